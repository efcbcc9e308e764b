"""Tables: our numbers beside the paper's; claims beside what was measured."""

from __future__ import annotations

import html
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from kit.arguments import checked
from kit.figures.look import GREY, HIT, MISS, Html, page

VERDICTS = {"held": HIT, "not held": MISS, "undecided": GREY, "one seed, no claim": GREY}
CLAIM = "padding:5px 12px 5px 0;text-align:left;vertical-align:top"
NAME = "padding:4px 10px;text-align:left"
NUMBER = "padding:4px 10px;text-align:right;white-space:nowrap"
PALE = ";opacity:0.62"
SMALL = "font-size:11px;white-space:normal;max-width:220px"


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


class Judged(Protocol):
    """An interval that judges: `kit.metrics.Interval`, whose text shows it."""

    @property
    def claim(self) -> str:
        """The verdict."""
        ...

    def needed(self, difference: float | None = None, /) -> str:
        """What an undecided claim would take."""
        ...


@dataclass(frozen=True)
class Claim:
    """A line of a table of claims.

    Attributes:
        claim: what is claimed, in words.
        paper: what the paper printed, in words or numbers.
        here: what was measured, with its interval.
        verdict: one of "held", "not held", "undecided", "one seed, no claim".
        needed: what an undecided claim would take.

    """

    claim: str
    paper: str
    here: str
    verdict: str
    needed: str = ""

    @classmethod
    def of(cls, claim: str, interval: Judged, paper: float | str) -> Claim:
        """A claim as an interval judges it; `paper` is its difference, or what it says in words."""
        if isinstance(paper, str):
            return cls(claim, paper, str(interval), interval.claim, interval.needed())
        needed = interval.needed(paper)
        return cls(claim, f"{paper:+g}", str(interval), interval.claim, needed)


@checked
def results_table(
    columns: Sequence[str], rows: Sequence[ResultRow], *, title: str, notes: Sequence[str] = ()
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
    styles = [NAME] + [NUMBER] * len(columns)
    lines = [_line("th", ["", *map(html.escape, columns)], styles)]
    for row in rows:
        label = (
            f"{html.escape(row.label)} <i>(paper)</i>" if row.from_paper else html.escape(row.label)
        )
        pale = PALE if row.from_paper else ""
        lines.append(_line("td", [label, *_numbers(row, len(columns))], [s + pale for s in styles]))
    return _table(title, lines, notes)


@checked
def claims_table(claims: Sequence[Claim], *, title: str, notes: Sequence[str] = ()) -> Html:
    """Lay claims out, one a row, the verdict last; the paper's column is grey.

    Args:
        claims: from top to bottom.
        title: what one sees.
        notes: sentences below the table.

    Raises:
        ValueError: no claim, a verdict that is none of the four.

    """
    if not claims:
        raise ValueError("claims_table: expected at least one claim")
    lines = [_line("th", ("Claim", "Paper", "Here", "Verdict"), [CLAIM] * 4)]
    for one in claims:
        if one.verdict not in VERDICTS:
            raise ValueError(
                f"claims_table: {one.claim!r}: verdict must be one of {', '.join(VERDICTS)}, "
                f"got {one.verdict!r}"
            )
        words = [*map(html.escape, (one.claim, one.paper, one.here)), f"<b>{one.verdict}</b>"]
        if one.needed:
            words[-1] += f'<div style="{SMALL}">{html.escape(one.needed)}</div>'
        narrow = CLAIM + ";white-space:nowrap"
        styles = [CLAIM, CLAIM + PALE, narrow, f"{narrow};color:{VERDICTS[one.verdict]}"]
        lines.append(_line("td", words, styles))
    return _table(title, lines, notes)


def _table(title: str, lines: Sequence[str], notes: Sequence[str]) -> Html:
    """The first line names the columns; sentences stand below."""
    below = "".join(f'<div style="margin-top:4px">{html.escape(note)}</div>' for note in notes)
    return page(
        title,
        '<table style="border-collapse:collapse;font-size:13px;color:inherit;'
        'font-variant-numeric:tabular-nums"><thead style="border-bottom:1px solid currentColor">'
        f"{lines[0]}</thead><tbody>{''.join(lines[1:])}</tbody></table>"
        f'<div style="font-size:12px;margin-top:6px;max-width:700px">{below}</div>',
    )


def _line(tag: str, cells: Sequence[str], styles: Sequence[str]) -> str:
    pairs = zip(cells, styles, strict=True)
    row = "".join(f'<{tag} style="{style}">{cell}</{tag}>' for cell, style in pairs)
    return f"<tr>{row}</tr>"


def _numbers(row: ResultRow, columns: int) -> list[str]:
    """A row's numbers in words, each with its spread."""
    spreads = [None] * len(row.values) if row.spreads is None else row.spreads
    for name, given in (("values", row.values), ("spreads", spreads)):
        if len(given) != columns:
            raise ValueError(
                f"results_table: row {row.label!r}: expected {columns} {name}, got {len(given)}"
            )
        wrong = [one for one in given if one is not None and not math.isfinite(one)]
        if wrong:
            raise ValueError(
                f"results_table: row {row.label!r}: expected finite numbers, got {wrong[0]}"
            )
    return [
        "–" if value is None else f"{value:.1f}" + ("" if spread is None else f" ± {spread:.1f}")
        for value, spread in zip(row.values, spreads, strict=True)
    ]
