"""Any Hugging Face dataset whose columns hold arrays, as clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kit.checks import first_few
from kit.corpora.huggingface import split_table
from kit.data.clips import ClipCorpus, Clips
from kit.data.ragged import Array, Modality, Ragged
from kit.data.splits import refuse_shared_groups

if TYPE_CHECKING:
    from datasets import Dataset


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
            finite, an id twice. Column and rows are named.

    """
    columns = _Columns("clips_from_dataset", label, modalities, id_column, group_column)
    table, _, _ = split_table(columns.function, source, columns.needed(), named=False)
    return _clips(table, range(len(table)), columns)


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
        split_column: says of each row which split it is in; rows with another word are not used,
            and counted in `ClipCorpus.notes`.

    Raises:
        ValueError: what `clips_from_dataset` refuses; not all splits, or one without rows; a group
            that is in the test split and in another; splits that do not fit together
            (`ClipCorpus`).

    """
    columns = _Columns("clip_corpus_from_dataset", label, modalities, id_column, group_column)
    table, rows, notes = split_table(columns.function, source, columns.needed(), split_column)
    for split, part in rows.items():
        if not part:
            raise ValueError(
                f"{columns.function}: split {split!r}: expected at least one row, got none"
            )
    clips, classes = _clips(table, [row for part in rows.values() for row in part], columns)
    ends = np.cumsum([len(part) for part in rows.values()]).tolist()
    train, validation, test = (
        clips.take(range(end - len(part), end), name=split)
        for (split, part), end in zip(rows.items(), ends, strict=True)
    )
    corpus = ClipCorpus("dataset", classes, train, validation, test, tuple(notes))
    return refuse_shared_groups(columns.function, corpus)


@dataclass(frozen=True)
class _Columns:
    """Who asks, and for which columns."""

    function: str
    label: str
    modalities: Mapping[str, str] | Sequence[str]
    id_column: str | None
    group_column: str | None

    def by_modality(self) -> dict[str, str]:
        """The column of each modality."""
        if isinstance(self.modalities, Mapping):
            return dict(self.modalities)
        alone = [self.modalities] if isinstance(self.modalities, str) else self.modalities
        return {column: column for column in alone}

    def needed(self) -> list[str]:
        """All columns that are asked for."""
        words = (self.label, self.id_column, self.group_column)
        named = [column for column in words if column is not None]
        return [*named, *self.by_modality().values()]


def _clips(table: Dataset, rows: Sequence[int], columns: _Columns) -> tuple[Clips, tuple[str, ...]]:
    """These rows of a table in this order."""
    plain = _plain(table.select(rows), columns.needed())
    ids = [f"row {row}" for row in rows]

    def words(column: str) -> list[Any]:
        values: list[Any] = plain[column].to_pylist()
        empty = [one for one, value in zip(ids, values, strict=True) if value in (None, "")]
        if empty:
            raise ValueError(
                f"{columns.function}: column {column!r}: expected a word or number in every row, "
                f"{len(empty)} have none: {first_few(empty)}"
            )
        return values

    labels, classes = _labels(table, dict(zip(ids, words(columns.label), strict=True)), columns)
    named = ids if columns.id_column is None else [str(one) for one in words(columns.id_column)]
    groups = [] if columns.group_column is None else [str(g) for g in words(columns.group_column)]
    by_modality = columns.by_modality()
    try:
        arrays = {name: _modality(c, plain[c], named) for name, c in by_modality.items()}
        clips = Clips("all", named, labels, arrays, groups)
    except ValueError as error:
        raise ValueError(
            f"{columns.function}: {error} (modalities from columns: "
            f"{', '.join(f'{name} from {column!r}' for name, column in by_modality.items())})"
        ) from error
    return clips, classes


def _plain(table: Dataset, columns: Sequence[str]) -> Any:
    """Columns as Arrow keeps them, whatever format the dataset is set to."""
    return table.select_columns(list(dict.fromkeys(columns))).with_format("arrow")[:]


def _labels(
    table: Dataset, values: Mapping[str, Any], columns: _Columns
) -> tuple[list[int], tuple[str, ...]]:
    """The label of each row by the row's name, and the names of the classes."""
    from datasets import ClassLabel

    feature, where = table.features[columns.label], f"column {columns.label!r}"
    if isinstance(feature, ClassLabel):
        unknown = [f"{one} ({v})" for one, v in values.items() if not 0 <= v < len(feature.names)]
        if unknown:
            raise ValueError(
                f"{columns.function}: {where}: expected labels of its {len(feature.names)} "
                f"classes, got {len(unknown)} others: {first_few(unknown)}"
            )
        return list(values.values()), tuple(feature.names)
    if {type(value) for value in values.values()} not in ({str}, {int}):
        raise ValueError(
            f"{columns.function}: {where}: expected class labels, words or whole numbers, "
            f"got {feature}"
        )
    numbers = {value: number for number, value in enumerate(sorted(set(values.values())))}
    return [numbers[value] for value in values.values()], tuple(str(value) for value in numbers)


def _modality(column: str, values: Any, ids: Sequence[str]) -> Modality:
    """A column of nested lists as one array, or as a ragged one."""
    arrays, wrong = [], []
    for one, value in zip(ids, values, strict=True):
        try:
            arrays.append(_array(value))
        except ValueError as error:
            wrong.append(f"{one} ({error})")
    inner = {array.shape[1:] for array in arrays}
    if wrong:
        raise ValueError(
            f"column {column!r}: expected lists of numbers, {len(wrong)} rows are none: "
            f"{first_few(wrong)}"
        )
    if len(inner) > 1:
        raise ValueError(
            f"column {column!r}: expected rows that differ in the length of the outermost list "
            f"alone, got (length, ...) with ... of {first_few(sorted(inner))}"
        )
    if len({len(array) for array in arrays}) == 1:
        return np.stack(arrays)
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
