"""How good features are, and whether a difference is one: retrieval, classes, paired intervals."""

from kit.metrics.classification import (
    ClassificationScores,
    evaluate_classification,
)
from kit.metrics.intervals import Interval, interval_over_queries, interval_over_seeds
from kit.metrics.neighbours import NeighbourScores, evaluate_knn, same_class_cosine
from kit.metrics.retrieval import (
    CrossModalScores,
    Curve,
    PerQuery,
    RetrievalScores,
    evaluate_cross_modal,
    evaluate_retrieval,
)

__all__ = [
    "ClassificationScores",
    "CrossModalScores",
    "Curve",
    "Interval",
    "NeighbourScores",
    "PerQuery",
    "RetrievalScores",
    "evaluate_classification",
    "evaluate_cross_modal",
    "evaluate_knn",
    "evaluate_retrieval",
    "interval_over_queries",
    "interval_over_seeds",
    "same_class_cosine",
]
