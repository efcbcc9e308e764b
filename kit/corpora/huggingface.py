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
from kit.corpora import refused_by
from kit.data.images import known, open_picture, why_unreadable
from kit.data.pairs import CaptionedImages, Corpus

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
                    paths.append(os.path.abspath(path.as_py()))
        if paths:
            folder = Path(os.path.commonpath([os.path.dirname(path) for path in paths]))
            files = known(folder, [os.path.relpath(path, folder) for path in paths])
            digest.update("".join(file.hash for file in files).encode())
        return digest.hexdigest()


@refused_by("from_dataset")
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
        split_column: a column that says which split a row is in; rows with another word (and parts
            with another name) are not used, and counted in `Corpus.notes`.
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
        raise ValueError("expected split_column or shares, got both")
    columns = [captions] if isinstance(captions, str) else list(captions)
    table, words = read_table(source, [image, *columns], split_column)
    if shares is not None:
        words = _drawn(len(table), shares, seed)
    rows, notes = rows_by_split(words)

    sentences, pictures = _captions(table, columns), _encoded_pictures(table, image)
    used = sorted(row for part in rows.values() for row in part)
    problems = {row: _problem(sentences[row], pictures[row][image]) for row in used}
    bad = {row: f"row {row}: {problem}" for row, problem in problems.items() if problem}
    if bad and not skip_bad:
        found = f"{len(bad)} of {len(used)} rows are bad: {first_few(list(bad.values()))}"
        raise ValueError(
            f"expected a picture and captions in every row, {found}. "
            "skip_bad=True leaves them out and lists them in the corpus's notes"
        )
    notes += [f"left out, {problem}" for problem in bad.values()]

    splits: list[CaptionedImages] = []
    for name, chosen in rows.items():
        kept = [row for row in chosen if row not in bad]
        split = CaptionedImages(
            name=name,
            image_names=[f"row {row}" for row in kept],
            image_labels=kept,
            captions=[caption for row in kept for caption in sentences[row]],
            caption_images=[index for index, row in enumerate(kept) for _ in sentences[row]],
            open_image=DatasetImages(pictures.select(kept), image),
        )
        splits.append(split)
        notes.append(f"{name}: {len(kept)} images and {len(split.captions)} captions")
    train, validation, test = splits
    return Corpus("dataset", train, validation, test, tuple(notes))


def read_table(
    source: Any, columns: Sequence[str | None], split_column: str | None = None
) -> tuple[Dataset, list[Any]]:
    """All rows of a dataset, part after part, and for each row a word that may name its split.

    Args:
        source: what `from_dataset` takes.
        columns: those needed; None stands for none.
        split_column: has the words; without it they are the names of the parts.

    Returns:
        the table with the needed columns, and the words.

    Raises:
        ValueError: a source that cannot be read, a part that lacks a column, parts whose columns
            are of different types.

    """
    from datasets import concatenate_datasets

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
        return table, list(table[split_column])
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
            raise ValueError(
                f"split {split!r}: expected rows called {' or '.join(SPLIT_NAMES[split])}, got "
                f"{first_few(list(dict.fromkeys(words)))}; name a split_column, or draw the splits"
            )
    return rows, [f"{n} rows of the split {word!r} are not used" for word, n in others.items()]


def _opened(source: Any) -> dict[str, Dataset]:
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
        raise ValueError(f"{source}: no dataset that can be read: {error}") from error
    return dict(opened) if isinstance(opened, DatasetDict) else {"all": opened}


def _encoded_pictures(table: Dataset, image: str) -> Dataset:
    """The column of pictures, not decoded."""
    from datasets import Image as ImageColumn

    try:
        return table.select_columns([image]).cast_column(image, ImageColumn(decode=False))
    except (TypeError, ValueError, NotImplementedError) as error:
        expected = "must hold pictures, their bytes or paths"
        raise ValueError(f"column {image!r} {expected}, got {table.features[image]}") from error


def _drawn(rows: int, shares: tuple[float, float, float], seed: int) -> list[str]:
    """The split of each row, drawn in these shares."""
    if len(shares) != len(SPLIT_NAMES) or min(shares) <= 0 or abs(sum(shares) - 1) > 1e-6:
        raise ValueError(f"shares must be three positive numbers that sum to 1, got {shares}")
    order = np.random.default_rng(seed).permutation(rows)
    cuts = np.rint(np.cumsum(shares[:2]) * rows).astype(int)
    words = np.empty(rows, object)
    for split, part in zip(SPLIT_NAMES, np.split(order, cuts), strict=True):
        words[part] = split
    return words.tolist()


def _captions(table: Dataset, columns: Sequence[str]) -> list[list[Any]]:
    """The captions of each row, from a list column or from several columns; not yet checked."""
    by_column = [list(table[column]) for column in columns]
    return [
        [caption for value in values for caption in (value if isinstance(value, list) else [value])]
        for values in zip(*by_column, strict=True)
    ]


def _problem(captions: Sequence[Any], stored: Mapping[str, Any] | None) -> str:
    """Why a row cannot be used; "" if it can."""
    for place, caption in enumerate(captions):
        if not isinstance(caption, str) or not caption.strip():
            return f"caption {place} is empty or no text"
    if not captions:
        return "no caption"
    if stored is None or (stored["bytes"] is None and stored["path"] is None):
        return "undecodable image (none is stored)"
    reason = why_unreadable(_file(stored))
    return reason and f"undecodable image ({reason})"


def _file(stored: Mapping[str, Any]) -> Path | io.BytesIO:
    """What Pillow can open, from the bytes or the path that a dataset keeps."""
    return Path(stored["path"]) if stored["bytes"] is None else io.BytesIO(stored["bytes"])
