"""Is one method better than another? Paired 95 % intervals, and what it would take to decide.

Two runs on one test set share its easy and its hard queries, and two methods with the same seed
share its luck, so differences are taken pair by pair before anything is averaged. What an interval
covers depends on what differs from seed to seed:

- each seed draws data of its own (a world): `interval_over_seeds`;
- each seed splits one set anew: the same with `resplit`, for splits share most of their clips;
- all seeds are tested on one test split: `interval_over_queries`, over seeds and queries.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kit.arguments import checked
from kit.checks import check_number
from kit.metrics import arrays

CONFIDENCE, POWER = 0.95, 0.8
MOST_SEEDS = 1000  # that `Interval.seeds_for` looks at


@dataclass(frozen=True)
class Interval:
    """A mean difference, scores minus reference, and its 95 % interval, in the unit of the scores.

    Attributes:
        difference: the mean.
        low: where the interval begins.
        high: where it ends.
        seeds: trainings of each method; from one alone follows no claim about methods.
        spread: standard deviation of the difference over seeds.
        resplit: test over training clips where all seeds split one set, else 0.
        query_error: standard error by the choice of test queries; 0 where it is part of `spread`.

    >>> interval = Interval(1.5, -1.0, 4.0, seeds=3)
    >>> str(interval), interval.claim
    ('+1.5 (-1.0 to +4.0)', 'undecided')

    """

    difference: float
    low: float
    high: float
    seeds: int = 1
    spread: float = 0.0
    resplit: float = 0.0
    query_error: float = 0.0

    def __str__(self) -> str:
        """The difference with the interval, in two digits of its half width."""
        if math.isinf(self.high):
            return f"{self.difference:+.2f}"
        half = (self.high - self.low) / 2
        digits = 2 if half <= 0 else min(6, max(1, 1 - math.floor(math.log10(half))))
        return f"{self.difference:+.{digits}f} ({self.low:+.{digits}f} to {self.high:+.{digits}f})"

    @property
    def verdict(self) -> Literal["higher", "lower", "undecided"]:
        """What the interval says: undecided where it holds 0, or where it has no width.

        Differences that are all equal but for rounding, of few seeds and few clips, show no spread
        to judge by.
        """
        if math.isclose(self.low, self.high, rel_tol=1e-6, abs_tol=1e-9):
            return "undecided"
        if self.low > 0:
            return "higher"
        return "lower" if self.high < 0 else "undecided"

    @property
    def claim(self) -> Literal["held", "not held", "undecided", "one seed, no claim"]:
        """What may be said of the claim that the first method is better than the reference."""
        if self.seeds == 1:
            return "one seed, no claim"
        words: dict[str, Literal["held", "not held"]] = {"higher": "held", "lower": "not held"}
        return words.get(self.verdict, "undecided")

    def detectable(self, seeds: int | None = None) -> float:
        """The difference that so many seeds would have shown in four of five studies like this one.

        Args:
            seeds: as many as there were if not given; infinite from two on where one was trained.

        """
        from scipy.stats import norm, t

        seeds = seeds or self.seeds
        if seeds < 2:
            return math.inf
        error = self.spread * math.sqrt(1 / seeds + self.resplit)
        return _reach(seeds, error, self.query_error) + math.hypot(
            t.ppf(POWER, seeds - 1) * error, norm.ppf(POWER) * self.query_error
        )

    def seeds_for(self, difference: float) -> int | None:
        """The fewest seeds that would show a difference in four of five studies; None if none do.

        What test queries or clips shared by all seeds leave open, no number of seeds decides.
        """
        tried = range(2, MOST_SEEDS + 1)
        return next((n for n in tried if self.detectable(n) <= abs(difference)), None)

    def needed(self, difference: float | None = None) -> str:
        """What an undecided claim would take, in words; nothing for one that is decided.

        Args:
            difference: one to be seen, such as the paper's.

        >>> Interval(1.5, -1.0, 4.0, seeds=3, spread=1.0).needed(1.2)
        'could have seen 3.1; +1.2 needs 8 seeds'

        """
        if self.claim != "undecided" or math.isclose(
            self.low, self.high, rel_tol=1e-6, abs_tol=1e-9
        ):
            return ""
        seen = f"could have seen {self.detectable():.2g}"
        if not difference:
            return seen
        seeds = self.seeds_for(difference)
        needs = f"{seeds} seeds" if seeds else "more test data, not more seeds"
        return f"{seen}; {difference:+g} needs {needs}"


@checked
def interval_over_seeds(
    scores: ArrayLike, reference: ArrayLike, *, resplit: float = 0.0
) -> Interval:
    """Paired t-interval: how the difference varies over seeds, and all that each draws anew.

    Where the seeds split one set anew, the splits share clips and the t-interval is too narrow;
    `resplit` widens it as Nadeau and Bengio do: variance over seeds times (1 / seeds + resplit).

    Args:
        scores: (seeds,) one score a seed.
        reference: (seeds,) of the same seeds in the same order.
        resplit: test over training clips of such splits.

    Raises:
        ValueError: no seed, another number of reference scores, scores that are not finite, a
            resplit that is negative or not finite.

    >>> str(interval_over_seeds([26.0, 27.0, 28.0], [25.0, 25.0, 25.0]))  # 2 -+ 4.3027 / sqrt(3)
    '+2.0 (-0.5 to +4.5)'

    """
    differences = _differences("interval_over_seeds", scores, reference, axes=(1,))
    check_number("interval_over_seeds", at_least=0, resplit=resplit)
    return _interval(differences, resplit=resplit)


@checked
def interval_over_queries(
    scores: ArrayLike, reference: ArrayLike, *, groups: arrays.Groups | None = None
) -> Interval:
    """Interval over the queries of one test split, and over the seeds that were all tested on it.

    Squares of two half widths add up: of a t-interval over seeds, and of a normal one over what the
    seeds agree on, query by query. Of one seed it covers queries alone, and says nothing of other
    trainings.

    Args:
        scores: (queries,) or (seeds, queries), such as ``100 * (scores.per_query.best_rank <= 1)``.
        reference: of the same seeds and queries in the same order.
        groups: (queries,) what each query belongs to where several are not drawn apart, such as
            the image of each caption.

    Raises:
        ValueError: as `interval_over_seeds`; fewer than two queries or groups, another number of
            groups than of queries.

    >>> scores, reference = np.array([1, 1, 1, 0] * 50), np.array([0, 1, 0, 0] * 50)
    >>> interval_over_queries(scores, reference).verdict
    'higher'

    """
    differences = _differences("interval_over_queries", scores, reference, axes=(1, 2))
    differences = differences.reshape(-1, differences.shape[-1])
    count = differences.shape[1]
    name, alone = "interval_over_queries", np.arange(count)
    ids = alone if groups is None else arrays.ids_of(name, "groups", groups, count)
    names, group = np.unique(ids, return_inverse=True)
    if len(names) < 2:
        raise ValueError(
            f"{name}: expected scores of at least two queries, of at least two groups, "
            f"got {count} queries and {len(names)} groups"
        )
    of_query = differences.mean(0) - differences.mean()
    variance = _variance_of_mean(of_query[None], group)
    if len(differences) > 1:  # what changes with seed and query is in the spread over seeds already
        rest = differences - differences.mean(1, keepdims=True) - of_query
        variance -= _variance_of_mean(rest, group) / (len(differences) - 1) / len(differences)
    return _interval(differences.mean(1), query_error=math.sqrt(max(0.0, variance)))


def _variance_of_mean(rows: NDArray[np.float64], group: NDArray[np.intp]) -> float:
    """Of the mean of each row of centred values, by the choice of groups; summed over the rows."""
    groups = int(group.max()) + 1
    sums = np.stack([np.bincount(group, weights=row, minlength=groups) for row in rows])
    return float(groups / (groups - 1) * np.square(sums).sum() / rows.shape[1] ** 2)


def _interval(
    differences: NDArray[np.float64], *, resplit: float = 0.0, query_error: float = 0.0
) -> Interval:
    """From one difference a seed: squares of both half widths add up."""
    seeds, mean = len(differences), float(differences.mean())
    spread = float(differences.std(ddof=1)) if seeds > 1 else 0.0
    error = spread * math.sqrt(1 / seeds + resplit)
    reach = _reach(seeds, error, query_error)
    if seeds == 1 and not query_error:
        reach = math.inf
    return Interval(mean, mean - reach, mean + reach, seeds, spread, resplit, query_error)


def _reach(seeds: int, error: float, query_error: float) -> float:
    """Half a width, from both standard errors."""
    from scipy.stats import norm, t

    upper = (1 + CONFIDENCE) / 2
    of_seeds = float(t.ppf(upper, seeds - 1)) * error if seeds > 1 else 0.0
    return math.hypot(of_seeds, float(norm.ppf(upper)) * query_error)


def _differences(
    name: str, scores: ArrayLike, reference: ArrayLike, *, axes: tuple[int, ...]
) -> NDArray[np.float64]:
    one = arrays.numbers(name, "scores", scores)
    other = arrays.numbers(name, "reference", reference)
    if one.ndim not in axes or one.shape != other.shape or one.size == 0:
        raise ValueError(
            f"{name}: scores and reference must be of one shape, not empty, with "
            f"{' or '.join(map(str, axes))} axes, got {one.shape} and {other.shape}"
        )
    if not (np.isfinite(one).all() and np.isfinite(other).all()):
        raise ValueError(f"{name}: scores must be finite")
    return one - other
