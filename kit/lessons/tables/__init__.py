"""All twelve tables of the two papers as data, to be shown beside what the kit measures.

Each table stands here as it is printed, a row a line, the compared methods included. Where the
print is doubtful, the printed number stays and a note says so.
"""

from __future__ import annotations

from collections.abc import Sequence

from kit.lessons.tables import amid, itmeetsal
from kit.lessons.tables.table import Note, Row, Table

__all__ = ["Note", "Row", "Table", "amid_table", "itmeetsal_scores", "itmeetsal_table"]


def itmeetsal_table(number: int) -> Table:
    """Table 1 to 6 of the ITMeetsAL paper (Chen et al. 2021).

    Raises:
        ValueError: another number.

    >>> itmeetsal_table(3).row("Our ITMeetsAL", "MobileNet")["Flickr8K image-to-text R@1 (%)"]
    30.9

    """
    return _numbered("itmeetsal_table", itmeetsal.TABLES, number)


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
    asked = [
        f"{data_set} {direction} {measure.replace('mAP_cmpm', 'mAP')} (%)"
        if measure != "mAP"
        else ""
        for direction in ("image-to-text", "text-to-image")
        for measure in measures
    ]
    return [row[column] if column in row.columns else None for column in asked]


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
