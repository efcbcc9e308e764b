"""Any Hugging Face dataset with pictures and captions as a `Corpus`; opening and splitting any."""

from __future__ import annotations

import hashlib
import io
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from PIL import Image

from kit.checks import first_few
from kit.corpora import equal_within, local_path, refused_by
from kit.data.images import known, open_picture, why_unreadable
from kit.data.pairs import CaptionedImages, Corpus
from kit.data.splits import check_shares
from kit.data.text import check_names, why_no_sentence

if TYPE_CHECKING:
    from datasets import Dataset

SPLIT_NAMES = {
    "train": ("train",),
    "validation": ("validation", "val", "valid", "dev"),
    "test": ("test",),
}


@dataclass(frozen=True)
class DatasetImages:
    """The pictures of a dataset by row, as RGB.

    Args:
        dataset: its column of pictures is of type `datasets.Image(decode=False)`.
        column: the name of that column.

    Raises:
        ValueError: on opening, a row without a picture that can be decoded.

    """

    dataset: Dataset = field(repr=False)
    column: str
    from_disk: ClassVar[bool] = True

    def __call__(self, index: int) -> Image.Image:
        """Open picture `index`."""
        where = f"DatasetImages: picture {index}, column {self.column!r}"
        return open_picture(_file(self.dataset[index][self.column]), where=where)

    def content_hash(self) -> str:
        """What tells these pictures from others: of the bytes as stored, or of the files named."""
        digest, paths = hashlib.sha256(), []
        for table in self.dataset.with_format("arrow").iter(256):
            stored = table[self.column].combine_chunks()
            for content, path in zip(stored.field("bytes"), stored.field("path"), strict=True):
                if content.is_valid:
                    digest.update(hashlib.sha256(content.as_buffer()).digest())
                else:
                    digest.update(b"file")
                    paths.append(_path(path.as_py()))
        if paths:
            folder = Path(os.path.commonpath([path.parent for path in paths]))
            files = known(folder, [os.path.relpath(path, folder) for path in paths])
            digest.update("".join(file.hash for file in files).encode())
        return digest.hexdigest()


@refused_by("from_dataset")
def from_dataset(
    source: Any,
    *,
    captions: str | Sequence[str],
    image: str = "image",
    identity: str | None = None,
    split_column: str | None = None,
    shares: tuple[float, float, float] | None = None,
    seed: int = 0,
    skip_bad: bool = False,
) -> Corpus:
    """A corpus from a dataset with an image column and captions; each picture is an instance.

    Rows with the same picture (the same bytes) are one image with the captions of all of them.
    Without `split_column` and `shares` the dataset must come in splits named train, validation (or
    val, valid, dev) and test. With either, its rows are first put together.

    Args:
        source: a `datasets.Dataset` or `DatasetDict`; a folder written by their `save_to_disk`; a
            parquet file or several; or a name on the hub, which needs a network.
        captions: the column that holds a row's captions (a list, or one sentence), or several
            columns that hold one each.
        image: the column of pictures: encoded images, their bytes, or paths.
        identity: a column with what rows have in common that show the same (a file name, an image's
            or a person's id): these are one instance, and in one split.
        split_column: a column that says which split a row is in; rows with another word (and parts
            with another name) are not used, and counted in `Corpus.notes`.
        shares: of train, validation and test, which sum to 1; instances are drawn by `seed`.
        seed: of that draw; not used otherwise.
        skip_bad: leave out, and list in `Corpus.notes`, the rows that are refused otherwise: those
            whose picture cannot be decoded and those with no caption, an empty one, or one that
            cannot be cut into words (`kit.data.text.why_no_sentence`).

    Raises:
        ValueError: a source that is none of these, a missing column, columns of the wrong type, no
            or not all splits, shares that do not sum to 1, an empty split; an instance or a picture
            in two splits (unless all rows have the same picture, which is noted); identities that
            are missing or look alike; and bad rows, counted and named.

    """
    if split_column is not None and shares is not None:
        raise ValueError("expected split_column or shares, got both")
    if shares is not None:
        check_shares("splits", shares, seed)
    columns = [captions] if isinstance(captions, str) else list(captions)
    if not columns:
        raise ValueError("expected a column of captions or several, got none")
    table, words = read_table(source, [image, *columns, identity], split_column)
    everything = {"all": list(range(len(table)))}
    rows, notes = rows_by_split(words) if shares is None else (everything, [])

    sentences, pictures = _captions(table, columns), _encoded_pictures(table, image)
    used = sorted(row for part in rows.values() for row in part)
    read = {row: _read(pictures[row][image]) for row in used}
    problems = {row: _problem(sentences[row]) or read[row][1] for row in used}
    bad = {row: f"row {row}: {problem}" for row, problem in problems.items() if problem}
    if bad and not skip_bad:
        found = f"{len(bad)} of {len(used)} rows are bad: {first_few(list(bad.values()))}"
        raise ValueError(
            f"expected a picture and captions in every row, {found}. "
            "skip_bad=True leaves them out and lists them in the corpus's notes"
        )
    notes += [f"left out, {problem}" for problem in bad.values()]

    content: dict[int, object] = {row: read[row][0] or row for row in used}
    if len({content[row] for row in used if row not in bad}) == 1 < len(used) - len(bad):
        notes.append("all rows have the same picture; each row stays an image of its own")
        content = {row: row for row in used}
    instances = content if identity is None else _identities(table, identity, used)
    if shares is not None:
        rows = _drawn(instances, shares, seed)
    rows = {split: [row for row in part if row not in bad] for split, part in rows.items()}
    for twins in equal_within("equal pictures", rows, content):
        if len({instances[row] for row in twins}) > 1:
            named = first_few([instances[row] for row in twins])
            notes.append(f"one picture has several values of column {identity!r}: {named}")
    if identity is not None:
        equal_within(f"values of column {identity!r}", rows, instances)
    splits = []
    for name, chosen in rows.items():
        split = _split(name, chosen, sentences, content, instances, DatasetImages(pictures, image))
        splits.append(split)
        images = len(split.image_names)
        if images < len(chosen):
            notes.append(f"{name}: {len(chosen)} rows of {images} pictures, captions put together")
        notes.append(f"{name}: {images} images and {len(split.captions)} captions")
    train, validation, test = splits
    return Corpus("dataset", train, validation, test, tuple(notes))


def read_table(
    source: Any, columns: Sequence[str | None], split_column: str | None = None
) -> tuple[Dataset, list[Any]]:
    """All rows of a dataset, part after part, and for each row a word that may name its split.

    Args:
        source: what `from_dataset` takes.
        columns: those needed; None stands for none.
        split_column: has the words, or class labels, whose names count; without it they are the
            names of the parts.

    Returns:
        the table with the needed columns, and the words.

    Raises:
        ValueError: a source that cannot be read, a part that lacks a column, parts whose columns
            are of different types.

    """
    from datasets import ClassLabel, concatenate_datasets

    parts = _opened(source)
    needed = list(dict.fromkeys(one for one in (*columns, split_column) if one is not None))
    for name, part in parts.items():
        absent = [column for column in needed if column not in part.column_names]
        if absent:
            found = f"missing {', '.join(absent)}; there are {', '.join(part.column_names)}"
            raise ValueError(f"{name}: expected the columns {', '.join(needed)}, {found}")
    try:
        table = concatenate_datasets([part.select_columns(needed) for part in parts.values()])
    except ValueError as error:
        names = ", ".join(parts)
        raise ValueError(f"expected {names} to have columns of the same types: {error}") from error
    table = table.with_format(None)
    if split_column is not None:
        words, feature = list(table[split_column]), table.features[split_column]
        called = dict(enumerate(feature.names if isinstance(feature, ClassLabel) else ()))
        return table, [called.get(word, word) for word in words] if called else words
    return table, [name for name, part in parts.items() for _ in range(len(part))]


def rows_by_split(words: Sequence[Any]) -> tuple[dict[str, list[int]], list[str]]:
    """The rows of each split by their words, and a note on each word that names no split.

    Raises:
        ValueError: a split without rows.

    """
    split_of = {word: split for split, spellings in SPLIT_NAMES.items() for word in spellings}
    rows: dict[str, list[int]] = {split: [] for split in SPLIT_NAMES}
    for row, word in enumerate(words):
        if word in split_of:
            rows[split_of[word]].append(row)
    others = Counter(word for word in words if word not in split_of)
    for split, part in rows.items():
        if not part:
            found = first_few([f"{word} ({n} rows)" for word, n in Counter(words).items()])
            raise ValueError(
                f"split {split!r}: expected rows called {' or '.join(SPLIT_NAMES[split])}, got "
                f"{found or 'no row'}; known are {', '.join(split_of)}; "
                "name a split_column, or draw the splits"
            )
    return rows, [f"{n} rows of the split {word!r} are not used" for word, n in others.items()]


def _opened(source: Any) -> dict[str, Dataset]:
    """The parts of a dataset by name; one without parts is called ``all``."""
    from datasets import Dataset, DatasetDict, load_dataset, load_from_disk

    opened: Any = source
    try:
        if not isinstance(source, Dataset | DatasetDict):
            several = isinstance(source, Sequence) and not isinstance(source, str)
            paths = [local_path(file) for file in (source if several else [source])]
            # A name on the hub is NAME or OWNER/NAME.
            gone = [p for p in paths if not p.exists() and (p.is_absolute() or len(p.parts) > 2)]
            wrong = [
                p.absolute() for p in paths if p.suffix != ".parquet" and (p.is_file() or p in gone)
            ]
            if wrong or not paths:
                expected = "expected a parquet file, a folder of save_to_disk or a name on the hub"
                raise ValueError(f"{expected}, got {first_few(wrong) or 'none'}")
            files = [str(path) for path in paths]
            if all(file.endswith(".parquet") for file in files):
                opened = Dataset.from_parquet(files)
            elif paths[0].is_dir():
                opened = load_from_disk(files[0])
            else:
                opened = load_dataset(str(source))
    except Exception as error:  # whatever pyarrow and datasets raise on damaged files
        reason = str(error) or type(error).__name__
        raise ValueError(f"{source}: no dataset that can be read: {reason}") from error
    return dict(opened) if isinstance(opened, DatasetDict) else {"all": opened}


def _encoded_pictures(table: Dataset, image: str) -> Dataset:
    """The column of pictures, not decoded."""
    from datasets import Image as ImageColumn

    try:
        return table.select_columns([image]).cast_column(image, ImageColumn(decode=False))
    except (TypeError, ValueError, NotImplementedError) as error:
        expected = "must hold pictures, their bytes or paths"
        raise ValueError(f"column {image!r} {expected}, got {table.features[image]}") from error


def _identities(table: Dataset, identity: str, rows: Sequence[int]) -> dict[int, object]:
    """The instance of each of these rows, by a column."""
    values = list(table[identity])
    named = {row: values[row] for row in rows}
    check_names(f"column {identity!r}", identities=named.values())
    return named


def _drawn(
    instances: Mapping[int, object], shares: tuple[float, float, float], seed: int
) -> dict[str, list[int]]:
    """The rows of each split, whose instances are drawn in these shares."""
    distinct = list(dict.fromkeys(instances.values()))
    order = np.random.default_rng(seed).permutation(len(distinct))
    cuts = np.rint(np.cumsum(shares[:2]) * len(distinct)).astype(int)
    split_of: dict[object, str] = {}
    for split, part in zip(SPLIT_NAMES, np.split(order, cuts), strict=True):
        split_of |= {distinct[place]: split for place in part}
    rows: dict[str, list[int]] = {split: [] for split in SPLIT_NAMES}
    for row, instance in instances.items():
        rows[split_of[instance]].append(row)
    empty = [split for split, part in rows.items() if not part]
    if empty:
        found = f"{len(distinct)} images and shares {shares}, none for {', '.join(empty)}"
        raise ValueError(f"expected an image or more for each split, got {found}")
    return rows


def _split(
    name: str,
    rows: Sequence[int],
    sentences: Sequence[Sequence[str]],
    content: Mapping[int, object],
    instances: Mapping[int, object],
    pictures: DatasetImages,
) -> CaptionedImages:
    """These rows as one split: an image for each picture of an instance."""
    images: dict[object, list[int]] = {}
    labels: dict[object, int] = {}
    for row in rows:
        images.setdefault((instances[row], content[row]), []).append(row)
        labels.setdefault(instances[row], row)
    first = [found[0] for found in images.values()]
    captions = [[one for row in found for one in sentences[row]] for found in images.values()]
    return CaptionedImages(
        name=name,
        image_names=[f"row {row}" for row in first],
        image_labels=[labels[instances[row]] for row in first],
        captions=[caption for of_image in captions for caption in of_image],
        caption_images=[index for index, of_image in enumerate(captions) for _ in of_image],
        open_image=DatasetImages(pictures.dataset.select(first), pictures.column),
    )


def _captions(table: Dataset, columns: Sequence[str]) -> list[list[Any]]:
    """The captions of each row, from a list column or from several columns; not yet checked."""
    by_column = [list(table[column]) for column in columns]
    return [
        [caption for value in values for caption in (value if isinstance(value, list) else [value])]
        for values in zip(*by_column, strict=True)
    ]


def _problem(captions: Sequence[Any]) -> str:
    """Why a row's captions cannot be used; "" if they can."""
    for place, caption in enumerate(captions):
        if not isinstance(caption, str) or not caption.strip():
            return f"caption {place} is empty or no text"
        if reason := why_no_sentence(caption):
            return f"caption {place} is {reason}: {caption!r:.60}"
    return "" if captions else "no caption"


def _read(stored: Mapping[str, Any] | None) -> tuple[str, str]:
    """A hash of a picture's bytes and why it cannot be used: "" without bytes, and if it can."""
    if stored is None or (stored["bytes"] is None and stored["path"] is None):
        return "", "undecodable image (none is stored)"
    content = stored["bytes"]
    if content is None and "://" in stored["path"]:
        return "", f"a web address, which is not fetched: {stored['path']}"
    if content is None:
        path = _path(stored["path"])
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return "", f"no file at {path} (paths are relative to the current directory)"
        except (OSError, ValueError) as error:
            return "", f"cannot read {path} ({error})"
    reason = why_unreadable(io.BytesIO(content))
    return hashlib.sha256(content).hexdigest(), reason and f"undecodable image ({reason})"


def _file(stored: Mapping[str, Any]) -> Path | io.BytesIO:
    """What Pillow can open, from the bytes or the path that a dataset keeps."""
    return _path(stored["path"]) if stored["bytes"] is None else io.BytesIO(stored["bytes"])


def _path(path: str) -> Path:
    return Path(os.path.abspath(os.path.expanduser(path)))
