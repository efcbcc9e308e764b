"""Any Hugging Face dataset with pictures and captions as a `Corpus`; opening and splitting any."""

from __future__ import annotations

import hashlib
import io
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from PIL import Image

from kit.checks import first_few
from kit.data.images import open_picture, why_unreadable
from kit.data.pairs import CaptionedImages, Corpus
from kit.data.picture_files import known

if TYPE_CHECKING:
    from datasets import Dataset

SPLIT_NAMES = {
    "train": ("train",),
    "validation": ("validation", "val", "valid", "dev"),
    "test": ("test",),
}


@dataclass(frozen=True)
class DatasetImages:
    """The pictures of some rows of a dataset by index, as RGB.

    Args:
        dataset: its column of pictures is of type `datasets.Image(decode=False)`.
        column: the name of that column.
        rows: for each index the row.

    Raises:
        ValueError: on opening, a row without a picture that can be decoded.

    """

    dataset: Dataset = field(repr=False)
    column: str
    rows: tuple[int, ...] = field(repr=False)
    from_disk: ClassVar[bool] = True

    def __call__(self, index: int) -> Image.Image:
        """Open picture `index`."""
        row = self.rows[index]
        where = f"DatasetImages: row {row}, column {self.column!r}"
        try:
            file = _file(self.dataset[row][self.column])
        except ValueError as error:
            raise ValueError(f"{where}: expected a picture, got {error}") from error
        return open_picture(file, where=where)

    def content_hash(self) -> str:
        """What tells these pictures from others: of the bytes as stored, or of the files named."""
        table = self.dataset.select_columns([self.column]).with_format("arrow")
        digest, paths = hashlib.sha256(), []
        for at in range(0, len(self.rows), 256):
            stored = table[list(self.rows[at : at + 256])][self.column].combine_chunks()
            for content, path in zip(stored.field("bytes"), stored.field("path"), strict=True):
                if content.is_valid:
                    digest.update(hashlib.sha256(content.as_buffer()).digest())
                else:
                    digest.update(b"file")
                    paths.append(os.path.abspath(path.as_py()))
        if paths:
            folder = Path(os.path.commonpath([os.path.dirname(path) for path in paths]))
            files = known(folder, [os.path.relpath(path, folder) for path in paths])
            digest.update("".join(file.hash for file in files).encode())
        return digest.hexdigest()


def from_dataset(
    source: Any,
    *,
    captions: str | Sequence[str],
    image: str = "image",
    split_column: str | None = None,
    shares: tuple[float, float, float] | None = None,
    seed: int = 0,
    skip_bad: bool = False,
) -> Corpus:
    """A corpus from a dataset with an image column and captions; each row is an instance.

    Without `split_column` and `shares` the dataset must come in splits named train, validation (or
    val, valid, dev) and test. With either, its rows are first put together.

    Args:
        source: a `datasets.Dataset` or `DatasetDict`; a folder written by their `save_to_disk`; a
            parquet file or several; or a name on the hub, which needs a network.
        captions: the column that holds a row's captions (a list, or one sentence), or several
            columns that hold one each.
        image: the column of pictures: encoded images, their bytes, or paths.
        split_column: a column that says which split a row is in; rows with another word are not
            used, and counted in `Corpus.notes`.
        shares: of train, validation and test, which sum to 1; rows are drawn by `seed`.
        seed: of that draw; not used otherwise.
        skip_bad: leave out, and list in `Corpus.notes`, the rows that are refused otherwise: those
            whose picture cannot be decoded and those with an empty caption or none.

    Raises:
        ValueError: a source that is none of these, a missing column, columns of the wrong type, no
            or not all splits, shares that do not sum to 1, an empty split, and bad rows, counted
            and named.

    """
    if split_column is not None and shares is not None:
        raise ValueError("from_dataset: expected split_column or shares, got both")
    columns = [captions] if isinstance(captions, str) else list(captions)
    encoded, drawn = partial(_with_encoded_pictures, image=image), shares is not None
    table, rows, notes = split_table(
        "from_dataset", source, [image, *columns], split_column, named=not drawn, prepare=encoded
    )
    if shares is not None:
        rows = _rows_by_share(len(table), shares, seed)

    used = sorted(row for part in rows.values() for row in part)
    sentences = _captions(table, columns)
    bad = _bad_rows(table, image, sentences, used)
    if bad and not skip_bad:
        raise ValueError(
            f"from_dataset: expected a picture and captions in every row, {len(bad)} of "
            f"{len(used)} rows are bad: {first_few(list(bad.values()))}. "
            "skip_bad=True leaves them out and lists them in the corpus's notes"
        )
    notes += [f"left out, {problem}" for problem in bad.values()]

    splits: list[CaptionedImages] = []
    for name, chosen in rows.items():
        kept = [row for row in chosen if row not in bad]
        if not kept:
            raise ValueError(f"from_dataset: split {name!r}: expected at least one row, got none")
        split = CaptionedImages(
            name=name,
            image_names=[f"row {row}" for row in kept],
            image_labels=kept,
            captions=[caption for row in kept for caption in sentences[row]],
            caption_images=[index for index, row in enumerate(kept) for _ in sentences[row]],
            open_image=DatasetImages(table, image, tuple(kept)),
        )
        splits.append(split)
        notes.append(f"{name}: {len(kept)} images and {len(split.captions)} captions")
    train, validation, test = splits
    return Corpus("dataset", train, validation, test, tuple(notes))


def split_table(
    function: str,
    source: Any,
    columns: Sequence[str],
    split_column: str | None = None,
    *,
    named: bool = True,
    prepare: Callable[[dict[str, Dataset]], dict[str, Dataset]] = dict,
) -> tuple[Dataset, dict[str, list[int]], list[str]]:
    """All rows of a dataset, part after part, and where the splits are.

    Args:
        function: who asks, for the message.
        source: what `from_dataset` takes.
        columns: those needed.
        split_column: says which split a row is in; else the parts are the splits.
        named: whether parts that are the splits must be called like them.
        prepare: what happens to the parts before their columns must be of the same types.

    Returns:
        the table with the needed columns; the rows of each split in it; and a note on each word
        of `split_column` that names no split.

    Raises:
        ValueError: a source that cannot be read, a split without its part or with two, a part that
            lacks a column, parts whose columns are of different types.

    """
    from datasets import concatenate_datasets

    parts = _opened(function, source)
    if split_column is None and named:
        parts = _named_splits(function, parts)
    needed = [*columns] if split_column is None else [*columns, split_column]
    parts = prepare(_with_columns(function, parts, needed))
    try:
        table = concatenate_datasets(list(parts.values()))
    except ValueError as error:
        raise ValueError(
            f"{function}: expected {', '.join(parts)} to have columns of the same types: {error}"
        ) from error
    if split_column is not None:
        return table, *_rows_by_word(table, split_column)
    rows, start = {}, 0
    for name, part in parts.items():
        rows[name] = list(range(start, start + len(part)))
        start += len(part)
    return table, rows, []


def _opened(function: str, source: Any) -> dict[str, Dataset]:
    """The parts of a dataset by name; one without parts is called ``all``."""
    from datasets import Dataset, DatasetDict, load_dataset, load_from_disk
    from datasets.exceptions import DatasetsError

    several = isinstance(source, Sequence) and not isinstance(source, str)
    files = [str(file) for file in (source if several else [source])]
    try:
        if isinstance(source, Dataset | DatasetDict):
            opened = source
        elif all(file.endswith(".parquet") for file in files):
            opened = Dataset.from_parquet(files)
        elif Path(source).is_dir():
            opened = load_from_disk(str(source))
        else:
            opened = load_dataset(str(source))
    except (OSError, ValueError, TypeError, DatasetsError) as error:
        raise ValueError(f"{function}: {source}: no dataset that can be read: {error}") from error
    return dict(opened) if isinstance(opened, DatasetDict) else {"all": opened}


def _named_splits(function: str, parts: Mapping[str, Dataset]) -> dict[str, Dataset]:
    """The parts that are called like the three splits."""
    named = {}
    for split, spellings in SPLIT_NAMES.items():
        there = [name for name in spellings if name in parts]
        if len(there) != 1:
            raise ValueError(
                f"{function}: expected one split called {' or '.join(spellings)}, "
                f"got {', '.join(parts)}; else name a split_column, or draw the splits"
            )
        named[split] = parts[there[0]]
    return named


def _with_columns(
    function: str, parts: Mapping[str, Dataset], needed: Sequence[str]
) -> dict[str, Dataset]:
    """The parts with the needed columns and no others."""
    for name, part in parts.items():
        absent = [column for column in needed if column not in part.column_names]
        if absent:
            raise ValueError(
                f"{function}: {name}: expected the columns {', '.join(needed)}, missing "
                f"{', '.join(absent)}; there are {', '.join(part.column_names)}"
            )
    columns = list(dict.fromkeys(needed))
    return {name: part.select_columns(columns) for name, part in parts.items()}


def _rows_by_word(table: Dataset, column: str) -> tuple[dict[str, list[int]], list[str]]:
    """The rows of each split by the words of a column, and a note on words that name none."""
    split_of = {word: split for split, spellings in SPLIT_NAMES.items() for word in spellings}
    words = list(table.with_format(None)[column])
    rows: dict[str, list[int]] = {split: [] for split in SPLIT_NAMES}
    for row, word in enumerate(words):
        if word in split_of:
            rows[split_of[word]].append(row)
    others = Counter(word for word in words if word not in split_of)
    return rows, [f"{n} rows with {column} {word!r} are not used" for word, n in others.items()]


def _with_encoded_pictures(parts: Mapping[str, Dataset], image: str) -> dict[str, Dataset]:
    """The parts, their pictures not decoded."""
    from datasets import Image as ImageColumn

    encoded = {}
    for name, part in parts.items():
        try:
            encoded[name] = part.cast_column(image, ImageColumn(decode=False))
        except (TypeError, ValueError, NotImplementedError) as error:
            raise ValueError(
                f"from_dataset: {name}: column {image!r} must hold pictures, their bytes or paths, "
                f"got {part.features[image]}"
            ) from error
    return encoded


def _rows_by_share(
    rows: int, shares: tuple[float, float, float], seed: int
) -> dict[str, list[int]]:
    if len(shares) != len(SPLIT_NAMES) or min(shares) <= 0 or abs(sum(shares) - 1) > 1e-6:
        raise ValueError(
            f"from_dataset: shares must be three positive numbers that sum to 1, got {shares}"
        )
    order = np.random.default_rng(seed).permutation(rows)
    cuts = np.rint(np.cumsum(shares[:2]) * rows).astype(int)
    return {
        split: sorted(part.tolist())
        for split, part in zip(SPLIT_NAMES, np.split(order, cuts), strict=True)
    }


def _captions(table: Dataset, columns: Sequence[str]) -> list[list[Any]]:
    """The captions of each row, from a list column or from several columns; not yet checked."""
    by_column = [list(table[column]) for column in columns]
    return [
        [caption for value in values for caption in (value if isinstance(value, list) else [value])]
        for values in zip(*by_column, strict=True)
    ]


def _bad_rows(
    table: Dataset, image: str, sentences: Sequence[Sequence[Any]], used: Sequence[int]
) -> dict[int, str]:
    """What is wrong with each row that cannot be used."""
    pictures = table.select_columns([image])
    wrong = {
        row: _wrong_captions(sentences[row]) or _wrong_picture(pictures[row][image]) for row in used
    }
    return {row: f"row {row}: {problem}" for row, problem in wrong.items() if problem}


def _wrong_captions(captions: Sequence[Any]) -> str | None:
    for place, caption in enumerate(captions):
        if not isinstance(caption, str) or not caption.strip():
            return f"caption {place} is empty or no text"
    return None if captions else "no caption"


def _wrong_picture(stored: Mapping[str, Any] | None) -> str | None:
    try:
        reason = why_unreadable(_file(stored))
    except ValueError as error:
        reason = str(error)
    return reason and f"undecodable image ({reason})"


def _file(stored: Mapping[str, Any] | None) -> Path | io.BytesIO:
    """What Pillow can open, from the bytes or the path that a dataset keeps."""
    if stored is None or (stored["bytes"] is None and stored["path"] is None):
        raise ValueError("no picture is stored")
    return Path(stored["path"]) if stored["bytes"] is None else io.BytesIO(stored["bytes"])
