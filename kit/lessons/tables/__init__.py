"""All twelve tables of the two papers as data, to be shown beside what the kit measures.

Each table stands in a CSV file as it is printed, a row a line, the compared methods included; "-"
is a cell in which nothing is printed, an empty one belongs to another table's column. Where the
print is doubtful, the printed number stays and a line of notes.csv says so.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

__all__ = ["Note", "Row", "Table", "amid_table", "itmeetsal_scores", "itmeetsal_table"]


@dataclass(frozen=True)
class Row:
    """A line of a table: what names it, and its numbers.

    Attributes:
        keys: one name for each of the table's `key_columns`.
        columns: the table's columns, each with its unit.
        values: one number for each column; None where none is printed.

    """

    keys: tuple[str, ...]
    columns: tuple[str, ...]
    values: tuple[float | None, ...]

    def __getitem__(self, column: str) -> float | None:
        """The number in `column`.

        Raises:
            ValueError: a column that the table does not have.

        """
        if column not in self.columns:
            raise ValueError(
                f"Row: expected one of the columns {list(self.columns)}, got {column!r}"
            )
        return self.values[self.columns.index(column)]


@dataclass(frozen=True)
class Note:
    """What to know of a table, of a row of it (`keys`) or of a cell (`keys` and `column`)."""

    text: str
    keys: tuple[str, ...] = ()
    column: str = ""


@dataclass(frozen=True)
class Table:
    """A published table: `columns` are numbers with their unit, `key_columns` name the rows."""

    number: int
    title: str
    key_columns: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    notes: tuple[Note, ...]

    def row(self, *keys: str) -> Row:
        """The one row that carries all `keys`, in any order.

        Raises:
            ValueError: no row does, or several do.

        """
        found = [row for row in self.rows if set(keys) <= set(row.keys)]
        if len(found) != 1:
            known = "; ".join(", ".join(row.keys) for row in found or self.rows)
            raise ValueError(
                f"Table.row: expected keys of exactly one row of {self.number}, {self.title!r}, "
                f"got {keys}, which fit {len(found)} of: {known}"
            )
        return found[0]


def itmeetsal_table(number: int) -> Table:
    """Table 1 to 6 of the ITMeetsAL paper (Chen et al. 2021).

    Raises:
        ValueError: another number.

    >>> itmeetsal_table(3).row("Our ITMeetsAL", "MobileNet")["Flickr8K image-to-text R@1 (%)"]
    30.9

    """
    return _table("itmeetsal", number)


def amid_table(number: int) -> Table:
    """Table 1 to 6 of the AMID paper (Chen et al. 2023).

    Raises:
        ValueError: another number.

    >>> amid_table(1).row("AMID (Ours)").values
    (73.8, 53.6)

    """
    return _table("amid", number)


def itmeetsal_scores(row: Row, data_set: str, measures: Sequence[str]) -> list[float | None]:
    """A row of Tables 1 to 6 in the order of the kit's own scores.

    Args:
        row: of one of the six tables.
        data_set: as the table names it.
        measures: names of the kit, such as ``R@1``, ``mAP``, ``mAP_cmpm``. What the tables call mAP
            fits the second convention and stands there; the first is nowhere printed.

    Returns:
        All measures of image to text, then all of text to image, in percent; None where nothing is
        printed.

    >>> itmeetsal_scores(itmeetsal_table(4).row("Baseline1"), "Flickr30K", ("R@1", "mAP"))
    [40.6, None, 31.9, None]

    """
    printed = dict(zip(row.columns, row.values, strict=True))
    names = {"mAP_cmpm": "mAP", "mAP": None}
    return [
        printed.get(f"{data_set} {direction} {names.get(measure, measure)} (%)")
        for direction in ("image-to-text", "text-to-image")
        for measure in measures
    ]


def _table(paper: str, number: int) -> Table:
    lines = [line for line in _read(paper) if line.pop("Table") == str(number)]
    if not lines:
        raise ValueError(f"{paper}_table: expected the number of a table, 1 to 6, got {number!r}")
    filled = [name for name, cell in lines[0].items() if cell]
    columns = tuple(name for name in filled if name.endswith("(%)"))
    key_columns = tuple(name for name in filled if name not in columns)
    rows = [
        Row(
            tuple(line[name] for name in key_columns),
            columns,
            tuple(None if line[name] == "-" else float(line[name]) for name in columns),
        )
        for line in lines
    ]
    said = [
        line for line in _read("notes") if (line["Paper"], line["Table"]) == (paper, str(number))
    ]
    notes = [
        Note(line["Text"], tuple(filter(None, line["Row"].split(" | "))), line["Column"])
        for line in said
    ]
    title = notes.pop(0).text  # the first line of each table
    return Table(number, title, key_columns, columns, tuple(rows), tuple(notes))


def _read(name: str) -> list[dict[str, str]]:
    text = files(__name__).joinpath(f"{name}.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))
