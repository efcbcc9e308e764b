"""How good features are: retrieval within and across modalities."""

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
    "PerQuery",
    "RetrievalScores",
    "evaluate_cross_modal",
    "evaluate_retrieval",
]
