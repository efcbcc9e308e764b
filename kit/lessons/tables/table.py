"""What a published table is: rows of numbers with names, columns with units, notes."""

from __future__ import annotations

from dataclasses import dataclass


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

    paper: str
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


def columns(data_sets: str, directions: str, measures: str) -> tuple[str, ...]:
    """Every data set with every direction and measure, in the order of the print."""
    return tuple(
        f"{data_set} {direction} {measure} (%)"
        for data_set in data_sets.split()
        for direction in directions.split()
        for measure in measures.split()
    )


def rows(key_columns: tuple[str, ...], columns: tuple[str, ...], text: str) -> tuple[Row, ...]:
    """Read lines of `key | key | number number ...`; a dash is no number."""
    read = []
    for line in text.strip().splitlines():
        *keys, numbers = (part.strip() for part in line.split("|"))
        values = tuple(None if cell == "-" else float(cell) for cell in numbers.split())
        if len(keys) != len(key_columns) or len(values) != len(columns):
            raise ValueError(
                f"rows: expected {len(key_columns)} keys and {len(columns)} numbers, got {line!r}"
            )
        read.append(Row(tuple(keys), columns, values))
    return tuple(read)
