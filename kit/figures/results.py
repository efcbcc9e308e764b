"""Our numbers beside the paper's, as a table."""

from __future__ import annotations

import html
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from kit.figures.look import Html, html_table


@dataclass(frozen=True)
class ResultRow:
    """A line of a table of results.

    Attributes:
        label: what was measured.
        values: one number per column; None where there is none.
        from_paper: a published row, shown in grey and marked "paper".
        spreads: a standard deviation per column, None where there is none; no spread at all if not
            given.

    """

    label: str
    values: Sequence[float | None]
    from_paper: bool = False
    spreads: Sequence[float | None] | None = None

    @classmethod
    def over_seeds(cls, label: str, runs: Sequence[Sequence[float | None]]) -> ResultRow:
        """A line from several seeds: mean and standard deviation of each column.

        Args:
            label: what was measured; how many seeds is added to it.
            runs: (seeds, columns) numbers, None where there is none in any seed.

        Raises:
            ValueError: no seed, seeds of different lengths, a number that only some seeds have.

        >>> ResultRow.over_seeds("AMID", [[70.0, None], [74.0, None]])
        ... # doctest: +NORMALIZE_WHITESPACE
        ResultRow(label='AMID, 2 seeds', values=[72.0, None], from_paper=False,
                  spreads=[2.8284271247461903, None])

        """
        if not runs or len({len(run) for run in runs}) > 1:
            raise ValueError(
                "ResultRow.over_seeds: expected at least one seed, all with as many numbers, "
                f"got {[len(run) for run in runs]}"
            )
        columns = [[one for one in column if one is not None] for column in zip(*runs, strict=True)]
        if any(0 < len(column) < len(runs) for column in columns):
            raise ValueError(f"ResultRow.over_seeds: {label!r}: a column lacks some of the seeds")
        means = [statistics.fmean(column) if column else None for column in columns]
        if len(runs) == 1:
            return cls(f"{label}, 1 seed", means)
        spreads = [statistics.stdev(column) if len(column) > 1 else None for column in columns]
        return cls(f"{label}, {len(runs)} seeds", means, spreads=spreads)


def results_table(
    columns: Sequence[str],
    rows: Sequence[ResultRow],
    *,
    title: str,
    notes: Sequence[str] = (),
) -> Html:
    """Lay rows of numbers out, one decimal each, the paper's rows in grey.

    Args:
        columns: the names of the numbers, with their unit.
        rows: from top to bottom.
        title: what one sees.
        notes: sentences below the table.

    Raises:
        ValueError: no row, a row with another number of values than columns, a value that is not
            finite.

    """
    if not rows or not columns:
        raise ValueError("results_table: expected at least one row and one column")
    head = _line("", [html.escape(column) for column in columns], "th")
    body = "".join(_row(row, len(columns)) for row in rows)
    return html_table(title, head, body, notes)


def _row(row: ResultRow, columns: int) -> str:
    if len(row.values) != columns:
        raise ValueError(
            f"results_table: row {row.label!r}: expected {columns} values, got {len(row.values)}"
        )
    spreads = [None] * columns if row.spreads is None else row.spreads
    if len(spreads) != columns:
        raise ValueError(
            f"results_table: row {row.label!r}: expected {columns} spreads, got {len(spreads)}"
        )
    cells = [
        _number(value, row.label)
        + ("" if spread is None or value is None else f" ± {_number(spread, row.label)}")
        for value, spread in zip(row.values, spreads, strict=True)
    ]
    label = html.escape(row.label)
    if row.from_paper:
        return _line(f"{label} <i>(paper)</i>", cells, "td", "opacity:0.62")
    return _line(label, cells, "td")


def _line(label: str, cells: Sequence[str], tag: str, style: str = "") -> str:
    place = "padding:4px 10px;text-align"
    numbers = "".join(
        f'<{tag} style="{place}:right;white-space:nowrap">{cell}</{tag}>' for cell in cells
    )
    return f'<tr style="{style}"><{tag} style="{place}:left">{label}</{tag}>{numbers}</tr>'


def _number(value: float | None, label: str) -> str:
    if value is None:
        return "–"
    if not math.isfinite(value):
        raise ValueError(f"results_table: row {label!r}: expected finite numbers, got {value}")
    return f"{value:.1f}"
