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

from __future__ import annotations

import csv
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

import numpy as np

from kit.checks import check_unique, first_few
from kit.data.clips import ClipCorpus, Clips
from kit.data.ragged import Array, Modality, Ragged, clip_shape, is_ragged
from kit.data.splits import refuse_shared_groups
from kit.files import atomic

ITEMS_FILE, CLASSES_FILE = "items.csv", "classes.csv"
SPLITS = ("train", "validation", "test")


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
            twice, a label that is no class; no file of a modality, or two; arrays of Python
            objects, of another number of clips than the table has, or with numbers that are not
            finite. The file is named, and the clips where it is about clips.

    """
    folder = Path(folder)
    items = _items(folder)
    classes = _classes(folder, items)
    files = _array_files(folder, modalities)
    arrays = {name: _read_array(path) for name, path in files.items()}
    numbers = {one: number for number, one in enumerate(classes)}
    try:
        clips = Clips(
            "all",
            [item["id"] for item in items],
            [numbers[item["label"]] for item in items],
            arrays,
            [item["group"] for item in items if "group" in item],
        )
    except ValueError as error:
        read = ", ".join([ITEMS_FILE, *(path.name for path in files.values())])
        raise ValueError(f"read_clip_folder: {folder}: {error} (read from {read})") from error
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
    folder = Path(folder)
    clips, classes = read_clip_folder(folder, modalities=modalities)
    path, items = folder / ITEMS_FILE, _items(folder)
    if "split" not in items[0]:
        raise ValueError(
            f"read_clip_corpus: {path}: expected a column split, got {', '.join(items[0])}; "
            "without it, read_clip_folder and stratified_split or group_folds make a corpus"
        )
    words = [item["split"] for item in items]
    expected = f"read_clip_corpus: {path}: expected the splits {', '.join(SPLITS)}"
    _refuse_others(expected, items, "split", SPLITS)
    if set(words) != set(SPLITS):
        counts = ", ".join(f"{words.count(split)} of {split}" for split in SPLITS)
        raise ValueError(f"read_clip_corpus: {path}: expected clips of each split, got {counts}")
    train, validation, test = (
        clips.take([row for row, word in enumerate(words) if word == split], name=split)
        for split in SPLITS
    )
    corpus = ClipCorpus(folder.resolve().name, classes, train, validation, test)
    return refuse_shared_groups(f"read_clip_corpus: {path}", corpus)


def write_clip_folder(folder: str | Path, clips: Clips, classes: Sequence[str]) -> None:
    """Write clips so that `read_clip_folder` reads them again; the table comes last.

    Args:
        folder: a new one, or empty.
        clips: to be split later.
        classes: the name of each label.

    Raises:
        ValueError: a folder that holds something; an id, class or group without a character; a
            label without a class; a class twice.

    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"write_clip_folder: {folder}: expected a new or an empty folder")
    check_unique(f"write_clip_folder: {folder}", classes=classes)
    if max(clips.labels) >= len(classes):
        raise ValueError(
            f"write_clip_folder: {folder}: expected a class of every label up to "
            f"{max(clips.labels)}, got {len(classes)} classes"
        )
    if "" in (*clips.ids, *classes, *clips.groups):
        raise ValueError(f"write_clip_folder: {folder}: an id, class or group is empty")
    for name, modality in clips.modalities.items():
        _write_arrays(folder / name, modality)
    _write_table(folder / CLASSES_FILE, {"class": classes})
    table = {"id": clips.ids, "label": [classes[label] for label in clips.labels]}
    _write_table(
        folder / ITEMS_FILE, table | ({"group": clips.groups} if len(clips.groups) else {})
    )


def _items(folder: Path) -> list[dict[str, str]]:
    return _read_table(folder / ITEMS_FILE, ("id", "label"), ("split", "group"))


def _read_table(
    path: Path, needed: Sequence[str], possible: Sequence[str] = ()
) -> list[dict[str, str]]:
    """The lines of a table by column: every field filled."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = next(reader, [])
            lines = [(reader.line_num, line) for line in reader if line]
    except FileNotFoundError:
        lacking = f"the table {path.name} in" if path.parent.is_dir() else "a folder"
        raise ValueError(
            f"read_clip_folder: expected {lacking} {path.parent.resolve()}, found none"
        ) from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(
            f"read_clip_folder: {path}: expected a table in UTF-8 with commas, got {error}"
        ) from error
    known = [*needed, *possible]
    if len(set(header)) < len(header) or not set(needed) <= set(header) <= set(known):
        perhaps = f" and perhaps {', '.join(possible)}" if possible else ""
        raise ValueError(
            f"read_clip_folder: {path}: expected the columns {', '.join(needed)}{perhaps}, "
            f"got {', '.join(header) or 'none'}"
        )
    for number, line in lines:
        if len(line) != len(header) or "" in line:
            raise ValueError(
                f"read_clip_folder: {path}, line {number}: expected {', '.join(header)}, "
                f"all filled, got {','.join(line)!r}"
            )
    return [dict(zip(header, line, strict=True)) for _, line in lines]


def _classes(folder: Path, items: Sequence[Mapping[str, str]]) -> tuple[str, ...]:
    """The classes in their order: of the list if there is one, else of the table."""
    path = folder / CLASSES_FILE
    if not path.exists():
        return tuple(sorted({item["label"] for item in items}))
    classes = tuple(line["class"] for line in _read_table(path, ("class",)))
    check_unique(f"read_clip_folder: {path}", classes=classes)
    expected = f"expected labels that {CLASSES_FILE} lists ({first_few(classes)})"
    _refuse_others(f"read_clip_folder: {folder / ITEMS_FILE}: {expected}", items, "label", classes)
    return classes


def _array_files(folder: Path, modalities: Sequence[str] | None) -> dict[str, Path]:
    """The array file of each modality."""
    found = sorted(folder.glob("[!.]*.np[yz]"))
    check_unique(f"read_clip_folder: {folder}: array files", names=[path.stem for path in found])
    files = {path.stem: path for path in found}
    wanted = list(files) if modalities is None else list(modalities)
    missing = [name for name in wanted if name not in files]
    if missing or not wanted:
        raise ValueError(
            f"read_clip_folder: {folder}: expected NAME.npy or NAME.npz of "
            f"{', '.join(missing) or 'each modality'}, "
            f"found {', '.join(path.name for path in found) or 'no array file'}"
        )
    return {name: files[name] for name in wanted}


def _read_array(path: Path) -> Modality:
    """A modality: on the disk if of one size, else in memory."""
    try:
        if path.suffix == ".npy":
            mapped = np.lib.format.open_memmap(path, mode="r")
            if mapped.ndim == 0:
                raise ValueError("a single number")
            return mapped
        with path.open("rb") as file:
            arrays = np.load(file, allow_pickle=False)
            if not isinstance(arrays, Mapping) or set(arrays) != {"values", "lengths"}:
                got = ", ".join(arrays) if isinstance(arrays, Mapping) else "a single array"
                raise ValueError(f"got {got}")
            return Ragged(arrays["values"], arrays["lengths"])
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        expected = {".npy": "one array of numbers", ".npz": "the arrays values and lengths"}
        raise ValueError(
            f"read_clip_folder: {path}: expected {expected[path.suffix]}: {error}"
        ) from error


def _write_arrays(path: Path, modality: Modality) -> None:
    """The clips of a modality behind one another, as they come: never all of them in memory."""
    if not is_ragged(modality):
        with atomic(path.with_name(f"{path.name}.npy")) as part, part.open("wb") as file:
            _write_numbers(file, len(modality), modality)
        return
    lengths = np.array([len(clip) for clip in _each(modality)])
    with atomic(path.with_name(f"{path.name}.npz")) as part, zipfile.ZipFile(part, "w") as archive:
        with archive.open("values.npy", "w", force_zip64=True) as file:
            _write_numbers(file, int(lengths.sum()), modality)
        with archive.open("lengths.npy", "w") as file:
            np.lib.format.write_array(file, lengths)


def _each(modality: Modality) -> Iterator[Array]:
    return (modality[row] for row in range(len(modality)))


def _write_numbers(file: IO[bytes], length: int, modality: Modality) -> None:
    """What `np.save` writes of an array of this length, without having it all."""
    shape, kind = (length, *clip_shape(modality)), modality[0].dtype.str
    numbers = {"descr": kind, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, numbers)
    for clip in _each(modality):
        file.write(np.ascontiguousarray(clip).data)


def _write_table(path: Path, columns: Mapping[str, Iterable[str]]) -> None:
    with atomic(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


def _refuse_others(
    expected: str, items: Sequence[Mapping[str, str]], column: str, known: Sequence[str]
) -> None:
    """Refuse lines of the table with a word in a column that is none of the known ones."""
    others = [f"{item[column]!r} ({item['id']})" for item in items if item[column] not in known]
    if others:
        raise ValueError(f"{expected}, got {len(others)} others: {first_few(others)}")
