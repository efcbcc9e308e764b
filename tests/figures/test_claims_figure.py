"""The table of claims: a row a claim, its verdict in the verdict's colour, words as they are."""

from __future__ import annotations

import re

import pytest

from kit.figures import Claim, claims_table
from kit.figures.look import GREY, HIT, MISS
from kit.metrics import Interval

CLAIMS = [
    Claim("KL helps R@1", "+2.1", "+1.9 [0.4, 3.3]", "held"),
    Claim("a < b & <i>c</i>", "<b>30.9</b>", "p > 0.05 & more", "not held"),
    Claim("third", "-", "0.1 [-2.0, 2.2]", "undecided"),
    Claim("fourth", "70.8", "69.0", "one seed, no claim"),
]


def test_claims_stand_in_order_with_their_verdicts_last() -> None:
    html = claims_table(CLAIMS, title="Held <or> not", notes=["5 seeds & 95 %", "second"]).html
    head, *rows = re.findall(r"<tr>(.*?)</tr>", html)
    assert re.findall(r">([^<>]+)</th>", head) == ["Claim", "Paper", "Here", "Verdict"]
    cells = [[text for text in re.findall(r">([^<>]*)<", row) if text] for row in rows]
    assert cells == [
        ["KL helps R@1", "+2.1", "+1.9 [0.4, 3.3]", "held"],
        [
            "a &lt; b &amp; &lt;i&gt;c&lt;/i&gt;",
            "&lt;b&gt;30.9&lt;/b&gt;",
            "p &gt; 0.05 &amp; more",
            "not held",
        ],
        ["third", "-", "0.1 [-2.0, 2.2]", "undecided"],
        ["fourth", "70.8", "69.0", "one seed, no claim"],
    ]
    shades = [re.findall(r";color:(#\w+)", row) for row in rows]
    assert shades == [[HIT], [MISS], [GREY], [GREY]]
    for row in rows:  # the paper's column alone is pale
        assert ["opacity" in cell for cell in re.findall(r"<td ([^>]*)>", row)] == [0, 1, 0, 0]
    assert "Held &lt;or&gt; not" in html
    assert html.index("</table>") < html.index("5 seeds &amp; 95 %</div>") < html.index("second")
    assert "http" not in html


def test_errors_are_named() -> None:
    with pytest.raises(ValueError, match=r"claims_table: expected at least one claim"):
        claims_table([], title="t")
    with pytest.raises(
        ValueError,
        match=r"claims_table: 'c': verdict must be one of held, not held, undecided, "
        r"one seed, no claim, got 'Held'",
    ):
        claims_table([CLAIMS[0], Claim("c", "p", "h", "Held")], title="t")


def test_claim_of_an_interval_says_what_it_needs() -> None:
    open_ = Interval(0.5, -2.0, 3.0, seeds=3, spread=1.0)
    one = Claim.of("KL helps", open_, 1.2)
    assert one == Claim(
        "KL helps",
        "+1.2",
        "+0.5 (-2.0 to +3.0)",
        "undecided",
        "could have seen 3.1; +1.2 needs 8 seeds",
    )
    assert "could have seen 3.1; +1.2 needs 8 seeds" in claims_table([one], title="t").html
    said = Claim.of("KL helps", Interval(2.5, 2.0, 3.0, seeds=3), "said")
    assert said == Claim("KL helps", "said", "+2.50 (+2.00 to +3.00)", "held")
