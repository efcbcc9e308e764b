"""What nearest neighbours say about features: kNN retrieval of classes, same-class cosine."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from kit.arguments import checked
from kit.checks import check_disjoint, check_unique
from kit.metrics import arrays
from kit.metrics.arrays import Features, Floats, Labels
from kit.metrics.retrieval import scores_one_way

Ids = Sequence[Hashable] | NDArray[Any] | Tensor


@dataclass(frozen=True)
class NeighbourScores:
    """Scores over all queries.

    Attributes:
        recall: percent of queries whose class occurs among those of the K nearest, by K.
        queries_without_class: number of queries whose class the gallery lacks; all are misses.

    """

    recall: dict[int, float]
    queries_without_class: int


@checked
def evaluate_knn(
    query_features: Features,
    gallery_features: Features,
    query_labels: Labels,
    gallery_labels: Labels,
    *,
    query_ids: Ids,
    gallery_ids: Ids,
    ks: Sequence[int] = (1, 5),
) -> NeighbourScores:
    """Find each query's class among its K nearest by cosine: test videos among training videos.

    An item of another class that is as near as the first of the query's class counts as nearer:
    scores do not depend on the order of the gallery. Float32 and memory as in
    `evaluate_retrieval`, whose recall this is, over all queries.

    Args:
        query_features: (queries, dim), numpy or torch, any real dtype; rows of any length but 0.
        gallery_features: (gallery, dim), likewise.
        query_labels: (queries,) integers, the classes.
        gallery_labels: (gallery,) integers.
        query_ids: (queries,) names or numbers that tell videos apart, each once.
        gallery_ids: (gallery,) likewise, none of them among `query_ids`: a video would find itself.
        ks: the K, each in 1..gallery.

    Raises:
        ValueError: ids that are not one per row, missing, a query's that stands twice, or ids
            shared by both sides; no query whose class
            occurs in the gallery; and as `evaluate_retrieval`.

    The nearest to (1, 0) is (3, 1), of the other class, then (2, 1); nothing is of class 7:

    >>> queries, gallery = np.array([[1, 0], [0, 1]]), np.array([[1, 1], [2, 1], [3, 1]])
    >>> evaluate_knn(
    ...     queries, gallery, [0, 7], [0, 0, 1], query_ids=[1, 2], gallery_ids=[3, 4, 5], ks=(1, 2)
    ... )
    NeighbourScores(recall={1: 0.0, 2: 50.0}, queries_without_class=1)

    """
    name = "evaluate_knn"
    features = arrays.features_of(name, "query_features", query_features)
    queries = arrays.ids_of(name, "query_ids", query_ids, len(features)).tolist()
    features = arrays.features_of(name, "gallery_features", gallery_features)
    gallery = arrays.ids_of(name, "gallery_ids", gallery_ids, len(features)).tolist()
    check_unique(name, query_ids=queries)
    check_disjoint(name, "ids", [("query_ids", queries), ("gallery_ids", gallery)])
    sides = {"query": (query_features, query_labels), "gallery": (gallery_features, gallery_labels)}
    scores = scores_one_way(name, ks, **sides)
    best_rank = scores.per_query.best_rank
    return NeighbourScores(
        recall={int(k): 100 * int(np.sum(best_rank <= k)) / len(queries) for k in ks},
        queries_without_class=len(scores.queries_without_positive),
    )


@checked
def same_class_cosine(
    student_features: Features, teacher_features: Features, labels: Labels
) -> float:
    """Mean cosine of student row u and teacher row v over ordered pairs v != u of one class.

    In float64 from the sums of each class's unit rows, with no matrix of pairs: the sum over v != u
    is <sum of m, sum of s> less the sum of <m_v, s_v>.

    Args:
        student_features: (rows, dim), numpy or torch, any real dtype; rows of any length but 0.
        teacher_features: (rows, dim) of the same samples.
        labels: (rows,) integers, the classes; one that occurs once has no pair.

    Returns:
        The mean, from -1 to 1.

    Raises:
        ValueError: features that are not two non-empty finite matrices of one shape; a row of
            zeros; labels that are not one integer per row; no class that occurs twice.

    Of the two ordered pairs, (v, u) = (0, 1) has cosine 3/5 and (1, 0) has 0; row 2 has none:

    >>> student, teacher = np.array([[5, 0], [3, 4], [1, 1]]), np.array([[2, 0], [0, 1], [1, 1]])
    >>> round(same_class_cosine(student, teacher, [0, 0, 1]), 12)
    0.3

    """
    name = "same_class_cosine"
    student = _unit_rows(name, "student_features", student_features)
    teacher = _unit_rows(name, "teacher_features", teacher_features)
    if teacher.shape != student.shape:
        shapes = f"student_features {student.shape} and teacher_features {teacher.shape}"
        raise ValueError(f"{name}: {shapes} must have the same shape")
    classes = arrays.integer_labels(name, "labels", labels, len(student))
    order = np.argsort(classes, kind="stable")
    _, starts, sizes = np.unique(classes[order], return_index=True, return_counts=True)
    pairs = int(np.sum(sizes * (sizes - 1)))
    if pairs == 0:
        raise ValueError(
            f"{name}: expected a class that occurs twice, got {len(sizes)} labels once"
        )
    of_teacher = np.add.reduceat(teacher[order], starts, axis=0)
    of_student = np.add.reduceat(student[order], starts, axis=0)
    return float((np.vdot(of_teacher, of_student) - np.vdot(teacher, student)) / pairs)


def _unit_rows(name: str, argument: str, features: Features) -> Floats:
    matrix = arrays.real_matrix(name, argument, features)
    # By a power of two, which is exact: the squares of 1e200 would be infinite, of 1e-200 zero.
    matrix = np.ldexp(matrix, -np.frexp(np.abs(matrix).max(axis=1, keepdims=True))[1])
    lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
    arrays.refuse_rows(name, argument, "zero", lengths[:, 0] == 0)
    unit: Floats = matrix / lengths
    return unit
