"""Is one run better than another? Paired 95 % intervals, over queries or over seeds.

Two runs on the same test set share its easy and its hard queries, and two methods with the same
seed share its luck, so differences are taken pair by pair before anything is averaged.
"""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

CONFIDENCE = 0.95


class Interval(NamedTuple):
    """A mean difference, ours minus theirs, with an interval around it, in the unit of the scores.

    >>> Interval(2.0, 0.5, 3.5).verdict, Interval(1.0, -0.5, 2.5).verdict
    ('higher', 'undecided')
    """

    difference: float
    low: float
    high: float

    @property
    def verdict(self) -> Literal["higher", "lower", "undecided"]:
        """What may be said of ours: undecided where 0 lies in the interval, or where it is a point.

        Differences that are all equal, of few seeds and few clips, show no spread to judge by.
        """
        if 0 < self.low < self.high:
            return "higher"
        return "lower" if self.low < self.high < 0 else "undecided"

    @property
    def claim(self) -> Literal["held", "not held", "undecided"]:
        """What may be said of the claim that ours is higher."""
        if self.verdict == "undecided":
            return "undecided"
        return "held" if self.verdict == "higher" else "not held"


def interval_over_queries(
    ours: ArrayLike, theirs: ArrayLike, *, resamples: int = 10_000, seed: int = 0
) -> Interval:
    """Paired bootstrap: how the mean difference varies over test sets like this one.

    It says nothing about other seeds of the training. The interval is of percentiles.

    Args:
        ours: (queries,) scores, such as ``100 * (scores.per_query.best_rank <= 1)``.
        theirs: (queries,) scores of the same queries in the same order.
        resamples: how often the queries are drawn anew.
        seed: of that draw.

    Raises:
        ValueError: fewer than two queries, another number of theirs, scores that are not finite.

    >>> ours, theirs = np.array([1, 1, 1, 0] * 50), np.array([0, 1, 0, 0] * 50)
    >>> interval_over_queries(ours, theirs).verdict
    'higher'

    """
    from scipy.stats import bootstrap

    differences = _differences("interval_over_queries", ours, theirs)
    drawn = bootstrap(
        (differences,),
        np.mean,
        confidence_level=CONFIDENCE,
        n_resamples=resamples,
        method="percentile",
        batch=max(1, 10_000_000 // len(differences)),  # 80 MB at a time
        rng=np.random.default_rng(seed),
    )
    low, high = drawn.confidence_interval
    return Interval(float(differences.mean()), float(low), float(high))


def interval_over_seeds(ours: ArrayLike, theirs: ArrayLike) -> Interval:
    """Paired t-interval: how the difference varies over seeds, from two seeds on.

    Args:
        ours: (seeds,) one score a seed.
        theirs: (seeds,) of the same seeds in the same order.

    Raises:
        ValueError: as `interval_over_queries`.

    >>> interval = interval_over_seeds([26.0, 27.0, 28.0], [25.0, 25.0, 25.0])
    >>> [round(value, 4) for value in interval]  # 2 -+ 4.3027 / sqrt(3)
    [2.0, -0.4841, 4.4841]

    """
    from scipy.stats import t

    differences = _differences("interval_over_seeds", ours, theirs)
    mean, error = differences.mean(), differences.std(ddof=1) / np.sqrt(len(differences))
    reach = float(t.ppf((1 + CONFIDENCE) / 2, len(differences) - 1) * error)
    return Interval(float(mean), float(mean) - reach, float(mean) + reach)


def _differences(name: str, ours: ArrayLike, theirs: ArrayLike) -> NDArray[np.float64]:
    one, other = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    if one.ndim != 1 or one.shape != other.shape or len(one) < 2:
        shapes = f"{one.shape} and {other.shape}"
        raise ValueError(f"{name}: ours and theirs must be of one length, at least 2, got {shapes}")
    if not (np.isfinite(one).all() and np.isfinite(other).all()):
        raise ValueError(f"{name}: scores must be finite")
    return one - other
