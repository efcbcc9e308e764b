"""All twelve tables of the two papers as data, to be shown beside what the kit measures.

Each table stands here as it is printed, a row a line, the compared methods included. Where the
print is doubtful, the printed number stays and a note says so.
"""

from __future__ import annotations

from kit.published import amid, itmeetsal
from kit.published.table import Note, Row, Table

__all__ = ["Note", "Row", "Table", "amid_table", "itmeetsal_table"]


def itmeetsal_table(number: int) -> Table:
    """Table 1 to 6 of the ITMeetsAL paper (Chen et al. 2021).

    Raises:
        ValueError: another number.

    >>> itmeetsal_table(3).row("Our ITMeetsAL", "MobileNet")["Flickr8K image-to-text R@1 (%)"]
    30.9

    """
    return _numbered("itmeetsal_table", itmeetsal.TABLES, number)


def amid_table(number: int) -> Table:
    """Table 1 to 6 of the AMID paper (Chen et al. 2023).

    Raises:
        ValueError: another number.

    >>> amid_table(1).row("AMID (Ours)").values
    (73.8, 53.6)

    """
    return _numbered("amid_table", amid.TABLES, number)


def _numbered(name: str, tables: tuple[Table, ...], number: int) -> Table:
    for table in tables:
        if table.number == number:
            return table
    raise ValueError(f"{name}: expected the number of a table, 1 to {len(tables)}, got {number!r}")
