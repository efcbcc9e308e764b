"""Any Hugging Face dataset whose columns hold arrays, as clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kit.checks import first_few
from kit.corpora import refused_by
from kit.corpora.huggingface import read_table, rows_by_split
from kit.data.clips import ClipCorpus, Clips
from kit.data.ragged import Array, Modality, Ragged
from kit.data.splits import corpus_of_splits
from kit.data.text import check_names, is_missing

if TYPE_CHECKING:
    from datasets import Dataset

_Columns = tuple[str, str | None, str | None]  # of labels, ids and groups


@refused_by("clips_from_dataset")
def clips_from_dataset(
    source: Any,
    *,
    label: str,
    modalities: Mapping[str, str] | Sequence[str],
    id_column: str | None = None,
    group_column: str | None = None,
) -> tuple[Clips, tuple[str, ...]]:
    """All rows of a dataset as clips, and the names of their classes.

    `stratified_split` or `group_folds` make a corpus of them; `clip_corpus_from_dataset` keeps the
    splits that a dataset has.

    Args:
        source: a `datasets.Dataset` or `DatasetDict`; a folder written by their `save_to_disk`; a
            parquet file or several; or a name on the hub, which needs a network. Rows of several
            parts follow one another.
        label: a column of class labels; or of words or whole numbers, which are then the classes,
            in ascending order.
        modalities: for each modality its column, or the columns alone. A column holds numbers in
            lists, in lists of lists and so on, or in `Array2D` to `Array5D`. Where rows differ in
            the length of the outermost list the modality is `Ragged`. Numbers keep their type:
            what is a video in bytes should be a column of uint8.
        id_column: unique names of the clips; else they are called ``row 0``, ``row 1``, ...
        group_column: what must not be split apart, such as sessions.

    Raises:
        ValueError: a source that is none of these, a missing column, columns of the wrong type,
            rows without label, id, group or numbers, shapes that disagree, numbers that are not
            finite, an id twice; labels, ids or groups that look alike. Column or modality and rows
            are named.

    """
    columns, by_modality = (label, id_column, group_column), _by_modality(modalities)
    table, _ = read_table(source, [*columns, *by_modality.values()])
    return _clips(table, range(len(table)), columns, by_modality)


@refused_by("clip_corpus_from_dataset")
def clip_corpus_from_dataset(
    source: Any,
    *,
    label: str,
    modalities: Mapping[str, str] | Sequence[str],
    id_column: str | None = None,
    group_column: str | None = None,
    split_column: str | None = None,
) -> ClipCorpus:
    """A dataset with splits of its own as a corpus.

    Args:
        source: as in `clips_from_dataset`; without `split_column` it has parts named train,
            validation (or val, valid, dev) and test.
        label: as there.
        modalities: as there.
        id_column: as there.
        group_column: as there.
        split_column: says of each row which split it is in; rows with another word (and parts with
            another name) are not used, and counted in `ClipCorpus.notes`.

    Raises:
        ValueError: what `clips_from_dataset` refuses; not all splits, or one without rows; a group
            that is in the test split and in another; splits that do not fit together
            (`ClipCorpus`).

    """
    columns, by_modality = (label, id_column, group_column), _by_modality(modalities)
    table, words = read_table(source, [*columns, *by_modality.values()], split_column)
    rows, notes = rows_by_split(words)
    used = [row for part in rows.values() for row in part]
    splits = [split for split, part in rows.items() for _ in part]
    clips, classes = _clips(table, used, columns, by_modality)
    return corpus_of_splits(clips, splits, classes, name="dataset", notes=tuple(notes))


def _by_modality(modalities: Mapping[str, str] | Sequence[str]) -> dict[str, str]:
    """The column of each modality."""
    if isinstance(modalities, Mapping):
        return dict(modalities)
    alone = [modalities] if isinstance(modalities, str) else modalities
    return {column: column for column in alone}


def _clips(
    table: Dataset, rows: Sequence[int], columns: _Columns, modalities: Mapping[str, str]
) -> tuple[Clips, tuple[str, ...]]:
    """These rows of a table in this order."""
    label, id_column, group_column = columns
    plain: Any = table.select(rows).with_format("arrow")[:]
    ids = [f"row {row}" for row in rows]

    def words(column: str) -> list[Any]:
        values: list[Any] = plain[column].to_pylist()
        empty = [one for one, value in zip(ids, values, strict=True) if is_missing(value)]
        if empty:
            found = f"{len(empty)} have none: {first_few(empty)}"
            raise ValueError(f"column {column!r}: expected a word or number in every row, {found}")
        return values

    labels, classes = _labels(label, table.features[label], words(label), ids)
    check_names(f"column {label!r}", classes=classes)
    named = ids if id_column is None else words(id_column)
    groups = [] if group_column is None else words(group_column)
    arrays = {name: _modality(column, plain[column], named) for name, column in modalities.items()}
    return Clips("all", named, labels, arrays, groups), classes


def _labels(
    column: str, feature: Any, values: Sequence[Any], ids: Sequence[str]
) -> tuple[list[int], tuple[str, ...]]:
    """The label of each row, and the names of the classes."""
    from datasets import ClassLabel

    if isinstance(feature, ClassLabel):
        names = feature.names
        pairs = zip(ids, values, strict=True)
        unknown = [f"{one} ({value})" for one, value in pairs if not 0 <= value < len(names)]
        if unknown:
            expected = f"expected labels of {len(names)} classes"
            found = f"{len(unknown)} others: {first_few(unknown)}"
            raise ValueError(f"column {column!r}: {expected}, got {found}")
        return list(values), tuple(names)
    if {type(value) for value in values} not in ({str}, {int}):
        expected = "expected class labels, words or whole numbers"
        raise ValueError(f"column {column!r}: {expected}, got {feature}")
    numbers = {value: number for number, value in enumerate(sorted(set(values)))}
    return [numbers[value] for value in values], tuple(str(value) for value in numbers)


def _modality(column: str, values: Any, ids: Sequence[str]) -> Modality:
    """A column of nested lists as one array, or as a ragged one."""
    arrays, wrong = [], []
    for one, value in zip(ids, values, strict=True):
        try:
            arrays.append(_array(value))
        except ValueError as error:
            wrong.append(f"{one} ({error})")
    if wrong:
        expected = f"expected lists of numbers, {len(wrong)} rows are none"
        raise ValueError(f"column {column!r}: {expected}: {first_few(wrong)}")
    if len({array.shape for array in arrays}) == 1:
        return np.stack(arrays)
    with refused_by(f"column {column!r}"):
        return Ragged.of(arrays)


def _array(value: Any) -> Array:
    """Nested lists as Arrow keeps them, as an array."""
    import pyarrow as pa
    from pyarrow import compute

    nested = value.value if isinstance(value, pa.ExtensionScalar) else value
    if nested is None or not nested.is_valid:
        raise ValueError("nothing there")
    if not _is_list(nested.type):
        raise ValueError(f"{nested.type}")
    flat = nested.values
    if len(flat) == 0:
        raise ValueError("an empty list")
    shape = [len(flat)]
    while _is_list(flat.type):
        lengths = compute.unique(compute.list_value_length(flat)).to_pylist()
        if len(lengths) != 1 or lengths[0] is None:
            raise ValueError(f"inner lists of lengths {first_few(lengths)}")
        shape += lengths
        flat = flat.flatten()
    if flat.null_count:
        raise ValueError(f"{flat.null_count} numbers are missing")
    array: Array = flat.to_numpy(zero_copy_only=False).reshape(shape)
    return array


def _is_list(kind: Any) -> bool:
    import pyarrow.types as of

    return bool(of.is_list(kind) or of.is_large_list(kind) or of.is_fixed_size_list(kind))
