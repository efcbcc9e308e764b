"""Paired intervals: against hand numbers, and how often they hold the truth."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import ttest_rel

from kit.metrics import Interval, interval_over_queries, interval_over_seeds


def test_seeds_by_hand_and_by_scipy() -> None:
    ours, theirs = [26.0, 28.5, 27.0], [25.0, 25.0, 25.5]
    interval = interval_over_seeds(ours, theirs)
    low, high = ttest_rel(ours, theirs).confidence_interval(0.95)
    assert interval == pytest.approx((2.0, low, high))
    # differences 1, 3.5, 1.5: standard deviation 1.3229, over sqrt(3), times t(2, 0.975) = 4.3027
    assert interval.high - interval.difference == pytest.approx(4.302653 * 1.322876 / 3**0.5)


def test_pairing_takes_out_what_both_share() -> None:
    draw = np.random.default_rng(0)
    hard = draw.normal(size=500) * 10
    ours, theirs = hard + 0.3 + 0.5 * draw.normal(size=500), hard + 0.5 * draw.normal(size=500)
    assert interval_over_queries(ours, theirs).verdict == "higher"
    assert interval_over_queries(ours, draw.permutation(theirs)).verdict == "undecided"
    assert interval_over_queries(theirs, ours).verdict == "lower"


@pytest.mark.parametrize(
    ("interval", "pairs"), [(interval_over_queries, 60), (interval_over_seeds, 4)]
)
def test_nineteen_of_twenty_intervals_hold_the_truth(
    interval: Callable[..., Interval], pairs: int
) -> None:
    draw = np.random.default_rng(1)
    options = {"resamples": 400} if interval is interval_over_queries else {}
    held = 0
    for _ in range(300):
        theirs = draw.normal(size=pairs)
        low, high = interval(theirs + draw.normal(0.2, 1, pairs), theirs, **options)[1:]
        held += low <= 0.2 <= high
    assert 0.90 < held / 300 < 0.99


@pytest.mark.parametrize(
    ("low", "high", "claim"),
    [
        (0.1, 2.0, "held"),
        (-2.0, -0.1, "not held"),
        (-0.1, 2.0, "undecided"),
        (0, 1, "undecided"),
        (5.0, 5.0, "undecided"),  # all differences alike: no spread was seen
    ],
)
def test_a_claim_is_held_where_the_whole_interval_is_above_0(
    low: float, high: float, claim: str
) -> None:
    assert Interval((low + high) / 2, low, high).claim == claim


def test_the_same_seed_draws_the_same_interval() -> None:
    ours, theirs = np.arange(30) % 2, np.arange(30) % 3 == 0
    first = interval_over_queries(ours, theirs, seed=3)
    assert interval_over_queries(ours, theirs, seed=3) == first
    assert interval_over_queries(ours, theirs, seed=4) != first
    assert first.difference == pytest.approx(0.5 - 1 / 3)


def test_equal_runs_are_undecided() -> None:
    for interval in (interval_over_queries, interval_over_seeds):
        assert interval([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]) == (0, 0, 0)
        assert interval([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]).verdict == "undecided"


@pytest.mark.parametrize("interval", [interval_over_queries, interval_over_seeds])
def test_errors_are_named(interval: Callable[..., Interval]) -> None:
    name = interval.__name__
    with pytest.raises(ValueError, match=rf"{name}: ours and theirs must .* \(2,\) and \(3,\)"):
        interval([1, 2], [1, 2, 3])
    with pytest.raises(ValueError, match=rf"{name}: .* at least 2, got \(1,\) and \(1,\)"):
        interval([1], [1])
    with pytest.raises(ValueError, match=rf"{name}: scores must be finite"):
        interval([1, np.nan], [1, 2])
