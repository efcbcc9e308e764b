"""How good features are, and whether a difference is one: retrieval, paired intervals."""

from kit.metrics.intervals import Interval, interval_over_queries, interval_over_seeds
from kit.metrics.retrieval import (
    CrossModalScores,
    Curve,
    PerQuery,
    RetrievalScores,
    evaluate_cross_modal,
    evaluate_retrieval,
)

__all__ = [
    "CrossModalScores",
    "Curve",
    "Interval",
    "PerQuery",
    "RetrievalScores",
    "evaluate_cross_modal",
    "evaluate_retrieval",
    "interval_over_queries",
    "interval_over_seeds",
]
