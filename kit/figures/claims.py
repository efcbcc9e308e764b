"""Claims beside what was measured: held, not held, undecided."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

from kit.figures.look import GREY, HIT, MISS, Html, html_table

VERDICTS = {"held": HIT, "not held": MISS, "undecided": GREY, "one seed, no claim": GREY}


@dataclass(frozen=True)
class Claim:
    """A line of a table of claims.

    Attributes:
        claim: what is claimed, in words.
        paper: what the paper printed, in words or numbers.
        here: what was measured, with its interval.
        verdict: one of "held", "not held", "undecided", "one seed, no claim".

    """

    claim: str
    paper: str
    here: str
    verdict: str


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
    cell = "padding:5px 12px 5px 0;text-align:left;vertical-align:top"
    head = "".join(
        f'<th style="{cell}">{name}</th>' for name in ("Claim", "Paper", "Here", "Verdict")
    )
    rows = []
    for one in claims:
        if one.verdict not in VERDICTS:
            raise ValueError(
                f"claims_table: {one.claim!r}: verdict must be one of {', '.join(VERDICTS)}, "
                f"got {one.verdict!r}"
            )
        rows.append(
            f'<tr><td style="{cell}">{html.escape(one.claim)}</td>'
            f'<td style="{cell};opacity:0.62">{html.escape(one.paper)}</td>'
            f'<td style="{cell};white-space:nowrap">{html.escape(one.here)}</td>'
            f'<td style="{cell};white-space:nowrap;color:{VERDICTS[one.verdict]}">'
            f"<b>{one.verdict}</b></td></tr>"
        )
    return html_table(title, f"<tr>{head}</tr>", "".join(rows), notes)
