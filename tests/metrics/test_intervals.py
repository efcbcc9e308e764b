"""Paired intervals: against hand numbers, and how often they hold the truth."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import norm, t, ttest_rel

from kit.metrics import Interval, interval_over_queries, interval_over_seeds


def test_seeds_by_hand_and_by_scipy() -> None:
    scores, reference = [26.0, 28.5, 27.0], [25.0, 25.0, 25.5]
    interval = interval_over_seeds(scores, reference)
    expected = ttest_rel(scores, reference).confidence_interval(0.95)
    assert (interval.low, interval.high) == pytest.approx(tuple(expected))
    # differences 1, 3.5, 1.5: standard deviation 1.3229, over sqrt(3), times t(2, 0.975) = 4.3027
    assert interval.high - interval.difference == pytest.approx(4.302653 * 1.322876 / 3**0.5)
    assert (interval.seeds, interval.spread) == (3, pytest.approx(1.322876))


def test_splits_of_one_set_by_hand() -> None:
    # Nadeau and Bengio: the variance of the mean is s^2 (1/3 + 200/600).
    plain = interval_over_seeds([1.0, 3.5, 1.5], [0.0, 0.0, 0.0])
    wider = interval_over_seeds([1.0, 3.5, 1.5], [0.0, 0.0, 0.0], resplit=200 / 600)
    assert wider.difference == plain.difference == 2.0
    assert (wider.high - 2) / (plain.high - 2) == pytest.approx(math.sqrt(2))


def test_queries_by_hand() -> None:
    # Differences 1, 0, 0, 1: mean 1/2, deviation sqrt(1/3), over sqrt(4), times 1.95996.
    interval = interval_over_queries([1, 0, 1, 1], [0, 0, 1, 0])
    assert interval.difference == 0.5
    assert interval.high - 0.5 == pytest.approx(1.959964 * math.sqrt(1 / 3) / 2)
    assert interval.claim == "one seed, no claim"


def test_seeds_and_queries_by_hand() -> None:
    # Two seeds, means 1 and 2, so of the seeds t(1, 0.975) * 0.70711 / sqrt(2). The queries' means
    # 0, 3, 2, 1 have variance 5/3, over 4; what is left, -+1/2 twice a seed, has 2/3, over 2 * 4.
    scores = [[0.0, 2.0, 1.0, 1.0], [0.0, 4.0, 3.0, 1.0]]
    interval = interval_over_queries(scores, np.zeros((2, 4)))
    of_seeds, of_queries = 12.706205 * 0.5, 1.959964 * math.sqrt(5 / 12 - 1 / 12)
    assert interval.difference == 1.5
    assert interval.high - 1.5 == pytest.approx(math.hypot(of_seeds, of_queries))


def test_captions_of_an_image_are_drawn_together() -> None:
    draw = np.random.default_rng(0)
    of_images = draw.normal(size=200)
    captions = np.repeat(of_images, 5)  # five captions that always agree say no more than one
    one = interval_over_queries(of_images, np.zeros(200))
    five = interval_over_queries(captions, np.zeros(1000), groups=np.repeat(np.arange(200), 5))
    apart = interval_over_queries(captions, np.zeros(1000))
    assert (five.low, five.high) == pytest.approx((one.low, one.high))
    assert (five.high - five.low) / (apart.high - apart.low) == pytest.approx(5**0.5, rel=0.01)


def test_groups_of_unequal_size_weigh_as_many_as_they_are() -> None:
    interval = interval_over_queries([1, 1, 1, 0], np.zeros(4), groups=["a", "a", "a", "b"])
    # Sums about the mean 3/4: 3/4 and -3/4; two groups: sqrt(2 * 2 * 9/16) / 4 = 0.375.
    assert (interval.difference, interval.query_error) == (0.75, pytest.approx(0.375))


def test_pairing_takes_out_what_both_share() -> None:
    draw = np.random.default_rng(0)
    hard = draw.normal(size=500) * 10
    scores, reference = hard + 0.3 + 0.5 * draw.normal(size=500), hard + 0.5 * draw.normal(size=500)
    assert interval_over_queries(scores, reference).verdict == "higher"
    assert interval_over_queries(scores, draw.permutation(reference)).verdict == "undecided"
    assert interval_over_queries(reference, scores).verdict == "lower"


@pytest.mark.parametrize(
    ("interval", "shape"),
    [(interval_over_queries, (60,)), (interval_over_seeds, (4,)), (interval_over_queries, (3, 60))],
)
def test_nineteen_of_twenty_intervals_hold_the_truth(
    interval: Callable[..., Interval], shape: tuple[int, ...]
) -> None:
    draw = np.random.default_rng(1)
    held = 0
    for _ in range(300):
        reference = draw.normal(size=shape)
        found = interval(reference + draw.normal(0.2, 1, shape), reference)
        held += found.low <= 0.2 <= found.high
    assert 0.90 < held / 300 < 0.99


@pytest.mark.parametrize(
    ("low", "high", "claim"),
    [
        (0.1, 2.0, "held"),
        (-2.0, -0.1, "not held"),
        (-0.1, 2.0, "undecided"),
        (0, 1, "undecided"),
        (5.0, 5.0, "undecided"),  # all differences alike: no spread was seen
        (5.0, 5.0 + 1e-12, "undecided"),  # alike but for rounding
    ],
)
def test_a_claim_is_held_where_the_whole_interval_is_above_0(
    low: float, high: float, claim: str
) -> None:
    assert Interval((low + high) / 2, low, high, seeds=3).claim == claim
    assert Interval((low + high) / 2, low, high, seeds=1).claim == "one seed, no claim"


def test_differences_that_are_equal_but_for_rounding_are_undecided() -> None:
    interval = interval_over_seeds([0.1 + 0.2, 0.3], [0.0, 0.0])
    assert interval.low != interval.high
    assert (interval.verdict, interval.needed(0.1)) == ("undecided", "")


def test_one_seed_has_a_difference_and_no_claim() -> None:
    interval = interval_over_seeds([3.5], [2.0])
    assert (str(interval), interval.claim, interval.needed(1.0)) == (
        "+1.50",
        "one seed, no claim",
        "",
    )
    assert interval.verdict == "undecided"
    assert interval.detectable() == math.inf


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (-7.9, 10.3, "+1.2 (-7.9 to +10.3)"),
        (4.8123, 5.2123, "+5.01 (+4.81 to +5.21)"),
        (0.05, 0.11, "+0.080 (+0.050 to +0.110)"),
        (-1e-5, 2e-5, "+0.000005 (-0.000010 to +0.000020)"),
        (2.0, 2.0, "+2.00 (+2.00 to +2.00)"),
    ],
)
def test_digits_are_enough_to_read_the_interval(low: float, high: float, text: str) -> None:
    assert str(Interval((low + high) / 2, low, high)) == text


def test_what_could_be_seen_is_seen_four_times_of_five() -> None:
    draw, shown = np.random.default_rng(0), 0
    effect = interval_over_seeds([0.0, 1.0, 2.0, 3.0], np.full(4, 1.5))  # of spread 1.291
    for _ in range(2000):
        differences = draw.normal(effect.detectable(), effect.spread, 4)
        shown += interval_over_seeds(differences, np.zeros(4)).verdict == "higher"
    assert 0.75 < shown / 2000 < 0.85


def test_seeds_that_a_difference_needs() -> None:
    interval = Interval(0.5, -2.0, 3.0, seeds=3, spread=1.0)
    seeds = interval.seeds_for(1.2)
    assert seeds == 8
    error = 1 / math.sqrt(8)
    assert interval.detectable(8) == pytest.approx((t.ppf(0.975, 7) + t.ppf(0.8, 7)) * error)
    assert interval.detectable(8) <= 1.2 < interval.detectable(7)
    assert interval.needed(1.2) == "could have seen 3.1; +1.2 needs 8 seeds"
    assert interval.needed() == interval.needed(0.0) == "could have seen 3.1"
    assert interval.needed(-1.2).endswith("-1.2 needs 8 seeds")
    assert Interval(2.5, 2.0, 3.0, seeds=3, spread=1.0).needed(1.2) == ""


def test_no_number_of_seeds_makes_up_for_test_data() -> None:
    shared = Interval(0.5, -2.0, 3.0, seeds=3, spread=0.1, query_error=1.0)
    least = (norm.ppf(0.975) + norm.ppf(0.8)) * 1.0
    assert shared.seeds_for(0.99 * least) is None
    assert shared.seeds_for(1.1 * least) is not None
    assert shared.needed(1.9).endswith("; +1.9 needs more test data, not more seeds")
    resplit = Interval(0.5, -2.0, 3.0, seeds=3, spread=1.0, resplit=1 / 3)
    assert resplit.seeds_for(1.0) is None


def test_equal_runs_are_undecided() -> None:
    for interval in (interval_over_queries, interval_over_seeds):
        found = interval([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
        assert (found.difference, found.low, found.high) == (0, 0, 0) or math.isinf(found.high)
        assert found.verdict == "undecided"


@pytest.mark.parametrize("interval", [interval_over_queries, interval_over_seeds])
def test_errors_are_named(interval: Callable[..., Interval]) -> None:
    name = interval.__name__
    with pytest.raises(ValueError, match=rf"{name}: scores and ref.* \(2,\) and \(3,\)"):
        interval([1, 2], [1, 2, 3])
    with pytest.raises(ValueError, match=rf"{name}: .* not empty, .* got \(0,\) and \(0,\)"):
        interval([], [])
    with pytest.raises(ValueError, match=rf"{name}: scores must be finite"):
        interval([1, np.nan], [1, 2])


def test_other_errors_are_named() -> None:
    with pytest.raises(ValueError, match=r"interval_over_seeds: .* with 1 axes, got \(1, 2\)"):
        interval_over_seeds([[1, 2]], [[1, 2]])
    with pytest.raises(ValueError, match=r"resplit must be a number of at least 0, got -1"):
        interval_over_seeds([1, 2], [1, 2], resplit=-1)
    with pytest.raises(ValueError, match=r"groups must be one per row \(3\), got 2"):
        interval_over_queries([1, 2, 3], [1, 2, 3], groups=[0, 1])
    with pytest.raises(ValueError, match=r"at least two queries, .* got 1 queries and 1 groups"):
        interval_over_queries([1], [1])
    with pytest.raises(ValueError, match=r"got 2 queries and 1 groups"):
        interval_over_queries([1, 2], [1, 2], groups=["a", "a"])
