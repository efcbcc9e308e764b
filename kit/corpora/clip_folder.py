"""Clips from a folder of your own: a table of the clips, and one array file for each modality.

Of a folder `mine`, row i of every array file belongs to line i of the table:

- ``mine/items.csv`` has the columns ``id`` and ``label`` (the name of the class), and perhaps
  ``split`` (train, validation or test) and ``group`` (what must not be split apart: a session, a
  speaker, a video).
- ``mine/NAME.npy`` is a modality NAME of one size: (clips, ...) numbers. It stays on the disk and
  is read as it is needed.
- ``mine/NAME.npz`` is a modality NAME of clips that differ in length: `values` (sum of lengths,
  ...) and `lengths` (clips,), as in `Ragged`.
- ``mine/classes.csv``, which may be absent, lists the classes in their order in the one column
  ``class``; without it they are those of the table, by alphabet.
"""

import csv
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO

import numpy as np

from kit.checks import check_unique, first_few
from kit.corpora import local_path, refused_by
from kit.data.clips import ClipCorpus, Clips
from kit.data.ragged import Modality, Ragged, clip_shape, is_ragged
from kit.data.splits import SPLITS, corpus_of_splits
from kit.data.text import check_names, check_several, check_unique_names
from kit.files import atomic

ITEMS_FILE, CLASSES_FILE = "items.csv", "classes.csv"


def read_clip_folder(
    folder: str | Path, *, modalities: Sequence[str] | None = None
) -> tuple[Clips, tuple[str, ...]]:
    """All clips of a folder and the names of their classes, for `stratified_split`, `group_folds`.

    Its splits, if it has any, are not looked at: `read_clip_corpus` reads them.

    Args:
        folder: laid out as said at the top of this file.
        modalities: the names of those to read; all if not given.

    Raises:
        ValueError: no table, other columns, a line with a field too few, too many or empty, an id
            twice, ids, labels or groups that look alike, a label that is no class; no file of a
            modality, or two; arrays of Python objects, of another number of clips than the table
            has, or with numbers that are not finite. The folder and file or modality are named, and
            the clips.

    """
    with refused_by(f"read_clip_folder: {folder}"):
        clips, classes, _ = _read(local_path(folder), modalities)
    return clips, classes


def read_clip_corpus(folder: str | Path, *, modalities: Sequence[str] | None = None) -> ClipCorpus:
    """A folder whose table says of each clip which split it is in.

    What is of one size stays on the disk.

    Args:
        folder: laid out as said at the top of this file, with a column ``split``.
        modalities: the names of those to read; all if not given.

    Raises:
        ValueError: what `read_clip_folder` refuses; no column ``split``, a word in it that is none
            of the three, a split without clips; a group that is in the test split and in another;
            splits that do not fit together (`ClipCorpus`).

    """
    with refused_by(f"read_clip_corpus: {folder}"):
        folder = local_path(folder)
        clips, classes, items = _read(folder, modalities)
        if "split" not in items[0]:
            found = f"{', '.join(items[0])}; read_clip_folder and stratified_split do without"
            raise ValueError(f"{ITEMS_FILE}: expected a column split, got {found}")
        _check_words(items, "split", SPLITS)
        splits = [item["split"] for item in items]
        return corpus_of_splits(clips, splits, classes, name=folder.resolve().name)


def write_clip_folder(folder: str | Path, clips: Clips, classes: Sequence[str]) -> None:
    """Write clips so that `read_clip_folder` reads them again; the table comes last.

    Args:
        folder: a new one, or empty.
        clips: to be split later.
        classes: the name of each label.

    Raises:
        ValueError: a folder that holds something; a label without a class; a class twice, without
            a character, or that looks like another.

    """
    with refused_by(f"write_clip_folder: {folder}"):
        folder = local_path(folder)
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ValueError("expected a new or an empty folder")
        check_unique_names(CLASSES_FILE, classes=classes)
        if max(clips.labels) >= len(classes):
            highest = max(clips.labels)
            raise ValueError(f"expected a class for each label up to {highest}, got {len(classes)}")
    for name, modality in clips.modalities.items():
        _write_arrays(folder / name, modality)
    _write_table(folder / CLASSES_FILE, {"class": classes})
    table = {"id": clips.ids, "label": [classes[label] for label in clips.labels]}
    groups = {"group": clips.groups} if len(clips.groups) else {}
    _write_table(folder / ITEMS_FILE, table | groups)


def _read(
    folder: Path, modalities: Sequence[str] | None
) -> tuple[Clips, tuple[str, ...], list[dict[str, str]]]:
    """All clips, the names of their classes, and the lines of the table."""
    items = _read_table(folder / ITEMS_FILE, ("id", "label"), ("split", "group"))
    classes = tuple(sorted({item["label"] for item in items}))
    if (folder / CLASSES_FILE).exists():
        classes = tuple(line["class"] for line in _read_table(folder / CLASSES_FILE, ("class",)))
        check_unique_names(CLASSES_FILE, classes=classes)
        _check_words(items, "label", classes)
    check_names(ITEMS_FILE, labels=classes)
    numbers = {one: number for number, one in enumerate(classes)}
    clips = Clips(
        "all",
        [item["id"] for item in items],
        [numbers[item["label"]] for item in items],
        _read_arrays(folder, modalities),
        [item["group"] for item in items if "group" in item],
    )
    return clips, classes, items


def _read_table(
    path: Path, needed: Sequence[str], possible: Sequence[str] = ()
) -> list[dict[str, str]]:
    """The lines of a table by column: every field filled."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restkey="", restval="", strict=True)
            header = list(reader.fieldnames or ())
            lines = [(reader.line_num, line) for line in reader]
    except FileNotFoundError:
        folder = path.parent.resolve()
        raise ValueError(f"expected a folder {folder} with {path.name}, found none") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        expected = "expected a table in UTF-8 with commas"
        raise ValueError(f"{path.name}: {expected}, got {error}") from error
    known = {*needed, *possible}
    if len(set(header)) < len(header) or not set(needed) <= set(header) <= known:
        perhaps = f" and perhaps {', '.join(possible)}" if possible else ""
        found = ", ".join(header) or "none"
        raise ValueError(
            f"{path.name}: expected the columns {', '.join(needed)}{perhaps}, got {found}"
        )
    for number, line in lines:
        if "" in line or "" in line.values():
            expected = f"expected {', '.join(header)}, all filled"
            raise ValueError(f"{path.name}, line {number}: {expected}, got {line}")
    return [line for _, line in lines]


def _check_words(items: Sequence[Mapping[str, str]], column: str, known: Sequence[str]) -> None:
    """Refuse lines of the table with a word in a column that is none of the known ones."""
    others = [f"{item[column]!r} ({item['id']})" for item in items if item[column] not in known]
    if others:
        expected = f"expected a {column} among {first_few(known)}"
        raise ValueError(f"{ITEMS_FILE}: {expected}, got {len(others)} others: {first_few(others)}")


def _read_arrays(folder: Path, modalities: Sequence[str] | None) -> dict[str, Modality]:
    """The modalities: of one size on the disk, else in memory."""
    found = sorted(folder.glob("[!.]*.np[yz]"))
    check_unique("array files", names=[path.stem for path in found])
    files = {path.stem: path for path in found}
    chosen = files if modalities is None else modalities
    check_several("array files", modalities=chosen)
    wanted = list(chosen)
    missing = [name for name in wanted if name not in files]
    if missing or not wanted:
        lacking, names = ", ".join(missing) or "each modality", [path.name for path in found]
        raise ValueError(f"expected NAME.npy or NAME.npz of {lacking}, found {names}")
    return {name: _read_array(files[name]) for name in wanted}


def _read_array(path: Path) -> Modality:
    try:
        if path.suffix == ".npy":
            mapped = np.lib.format.open_memmap(path, mode="r")
            if mapped.ndim == 0:
                raise ValueError("a single number")
            return mapped
        with path.open("rb") as file, np.lib.npyio.NpzFile(file) as arrays:
            if set(arrays) != {"values", "lengths"}:
                raise ValueError(f"got {', '.join(arrays)}")
            return Ragged(arrays["values"], arrays["lengths"])
    except Exception as error:  # whatever numpy and zipfile raise on damaged files
        expected = {".npy": "one array of numbers", ".npz": "the arrays values and lengths"}
        reason = str(error) or type(error).__name__
        raise ValueError(f"{path.name}: expected {expected[path.suffix]}: {reason}") from error


def _write_arrays(path: Path, modality: Modality) -> None:
    """The clips of a modality behind one another, as they come: never all of them in memory."""
    if not is_ragged(modality):
        with atomic(path.with_name(f"{path.name}.npy")) as part, part.open("wb") as file:
            _write_numbers(file, len(modality), modality)
        return
    lengths = np.array([len(modality[row]) for row in range(len(modality))])
    with atomic(path.with_name(f"{path.name}.npz")) as part, zipfile.ZipFile(part, "w") as archive:
        with archive.open("values.npy", "w", force_zip64=True) as file:
            _write_numbers(file, int(lengths.sum()), modality)
        with archive.open("lengths.npy", "w") as file:
            np.lib.format.write_array(file, lengths)


def _write_numbers(file: IO[bytes], length: int, modality: Modality) -> None:
    """What `np.save` writes of an array of this length, without having it all."""
    shape, kind = (length, *clip_shape(modality)), modality[0].dtype.str
    numbers = {"descr": kind, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, numbers)
    for row in range(len(modality)):
        file.write(np.ascontiguousarray(modality[row]).data)


def _write_table(path: Path, columns: Mapping[str, Iterable[str]]) -> None:
    with atomic(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
