from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors

from kit.metrics import evaluate_knn, ranks, same_class_cosine


def on_circle(scores):
    """2-D features whose cosine with (1, 0) is each score."""
    return np.array([[s, math.sqrt(1 - s * s)] for s in scores])


def random_problem(seed, *, queries=37, gallery=90, classes=6, width=8):
    draw = np.random.default_rng(seed)
    centres = draw.standard_normal((classes, width))
    query_labels = draw.integers(classes, size=queries)
    gallery_labels = draw.integers(classes, size=gallery)
    query_labels[0] = gallery_labels[0]
    return (
        centres[query_labels] + draw.standard_normal((queries, width)),
        centres[gallery_labels] + draw.standard_normal((gallery, width)),
        query_labels,
        gallery_labels,
    )


def knn(queries, gallery, query_labels, gallery_labels, *, ks=(1, 5)):
    """`evaluate_knn` of videos that have nothing in common."""
    return evaluate_knn(
        queries,
        gallery,
        query_labels,
        gallery_labels,
        query_ids=[f"test {row}" for row in range(len(queries))],
        gallery_ids=[f"train {row}" for row in range(len(gallery))],
        ks=ks,
    )


def ordered_pairs(student, teacher, labels):
    """Mean cosine by loops over ordered pairs of one class."""
    cosines = [
        float(m @ s) / math.sqrt(float(m @ m)) / math.sqrt(float(s @ s))
        for v, m in enumerate(teacher)
        for u, s in enumerate(student)
        if v != u and labels[v] == labels[u]
    ]
    return math.fsum(cosines) / len(cosines)


# Nearest neighbours, worked by hand


def test_three_queries_among_five_videos():
    gallery = on_circle([0.9, 0.7, 0.5, 0.3, 0.1])
    queries = np.array([[4.0, 0.0]] * 3)
    scores = knn(queries, gallery, [0, 1, 2], [0, 1, 1, 0, 2], ks=(1, 2, 3, 4, 5))
    thirds = [100 / 3, 200 / 3, 200 / 3, 200 / 3, 100]
    assert list(scores.recall.values()) == pytest.approx(thirds)
    assert scores.queries_without_class == 0


def test_one_neighbour_of_the_class_is_enough_however_many_others_there_are():
    gallery = on_circle([0.9, 0.8, 0.7, 0.6, 0.5])
    scores = knn(np.array([[1.0, 0]]), gallery, [3], [0, 0, 0, 0, 3])
    assert scores.recall == {1: 0.0, 5: 100.0}


def test_a_class_that_the_gallery_lacks_is_a_miss_and_counted():
    queries = on_circle([1.0, 1.0, 1.0, 1.0])
    scores = knn(queries, on_circle([0.9, 0.1]), [0, 9, 0, 8], [0, 1], ks=(1, 2))
    assert scores.recall == {1: 50.0, 2: 50.0}
    assert scores.queries_without_class == 2


def test_ties_put_the_other_class_first_wherever_it_stands():
    for labels in ([1, 0, 0], [0, 1, 0], [0, 0, 1]):
        gallery = np.tile([[2.0, 1.0]], (3, 1))
        scores = knn(np.array([[1.0, 0.0]]), gallery, [1], labels, ks=(1, 2, 3))
        assert scores.recall == {1: 0.0, 2: 0.0, 3: 100.0}


@pytest.mark.parametrize(("queries", "gallery"), [(5, 6), (7, 13), (1, 9), (77, 130)])
@pytest.mark.parametrize("width", [37, 512])
def test_a_collapsed_model_cannot_look_good(queries, gallery, width):
    feature = np.random.default_rng(0).standard_normal((2, 1, width)).astype(np.float32)
    query_labels, gallery_labels = np.arange(queries) % 3, np.arange(gallery) % 3
    scores = knn(
        np.tile(feature[0], (queries, 1)),
        np.tile(feature[1], (gallery, 1)),
        query_labels,
        gallery_labels,
        ks=(1, gallery // 2, gallery),
    )
    assert scores.recall == {1: 0.0, gallery // 2: 0.0, gallery: 100.0}


def test_equal_videos_of_one_class_are_no_tie():
    gallery = np.array([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]])
    assert knn(np.array([[1.0, 0.0]]), gallery, [1], [1, 1, 0], ks=(1,)).recall == {1: 100.0}


# Against scikit-learn


@pytest.mark.parametrize("seed", range(5))
def test_random_problems_equal_brute_force(seed):
    queries, gallery, query_labels, gallery_labels = random_problem(seed)
    ks = (1, 2, 5, 20, 90)
    scores = knn(queries, gallery, query_labels, gallery_labels, ks=ks)
    search = NearestNeighbors(n_neighbors=90, metric="cosine", algorithm="brute").fit(gallery)
    found = gallery_labels[search.kneighbors(queries)[1]] == query_labels[:, None]
    for k in ks:
        assert scores.recall[k] == pytest.approx(100 * found[:, :k].any(1).mean())
    assert scores.queries_without_class == (~found.any(1)).sum()
    nearest = KNeighborsClassifier(1, metric="cosine", algorithm="brute")
    accuracy = nearest.fit(gallery, gallery_labels).score(queries, query_labels)
    assert scores.recall[1] == pytest.approx(100 * accuracy)
    assert 0 < scores.recall[1] < 100


# Properties


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_recall_grows_with_k_to_all_queries_that_have_their_class(seed):
    problem = random_problem(seed, gallery=12, classes=9)
    scores = knn(*problem, ks=range(1, 13))
    recall = [scores.recall[k] for k in range(1, 13)]
    assert recall == sorted(recall)
    assert recall[-1] == pytest.approx(100 * (1 - scores.queries_without_class / 37))


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), width=st.sampled_from([1, 8]))
def test_order_of_both_sides_and_length_of_rows_do_not_matter(seed, width):
    queries, gallery, query_labels, gallery_labels = random_problem(seed, width=width)
    draw = np.random.default_rng(seed)
    rows, columns = draw.permutation(len(queries)), draw.permutation(len(gallery))
    lengths = 10.0 ** draw.integers(-12, 12, size=(len(gallery), 1))
    expected = knn(queries, gallery, query_labels, gallery_labels)
    got = knn(
        queries[rows], (gallery * lengths)[columns], query_labels[rows], gallery_labels[columns]
    )
    assert got == expected


@pytest.mark.parametrize("width", [1, 8])  # of width 1, nearly everything ties
@pytest.mark.parametrize("tile", [(16, 16), (32, 16), (16, 4096), (512, 32)])
def test_size_of_blocks_changes_nothing(tile, width, monkeypatch):
    problem = random_problem(5, queries=70, gallery=101, width=width)
    expected = knn(*problem)
    monkeypatch.setattr(ranks, "TILE", tile)
    assert knn(*problem) == expected


# What may come in


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_torch_features_of_any_float(dtype):
    queries, gallery, query_labels, gallery_labels = map(torch.from_numpy, random_problem(0))
    queries, gallery = queries.to(dtype), gallery.to(dtype)
    expected = knn(queries.double(), gallery.double(), query_labels, gallery_labels)
    assert knn(queries.requires_grad_(), gallery, query_labels.int(), gallery_labels) == expected


@pytest.mark.parametrize(
    ("query_ids", "gallery_ids"),
    [
        (["a", "b"], ("c", "d")),
        ([("class", 1), ("class", 2)], [("class", 3), ("class", 4)]),
        (np.array([0, 1]), torch.tensor([2, 3])),
        (np.array(["a", "b"]), ["c", "c"]),
    ],
)
def test_ids_of_any_kind(query_ids, gallery_ids):
    features = np.eye(2)
    scores = evaluate_knn(
        features, features, [0, 1], [0, 1], query_ids=query_ids, gallery_ids=gallery_ids, ks=(1,)
    )
    assert scores.recall == {1: 100.0}


# What may not


@pytest.mark.parametrize(
    "ids", [["v_1", "v_2", "v_3"], np.array(["v_1", "v_2", "v_3"]), torch.tensor([7, 8, 9])]
)
def test_a_video_may_not_find_itself(ids):
    features, labels = np.eye(3), [0, 1, 2]
    assert knn(features, features, labels, labels, ks=(1,)).recall == {1: 100.0}
    with pytest.raises(ValueError, match=r"^evaluate_knn: 3 ids are in 'query_ids' and in"):
        evaluate_knn(features, features, labels, labels, query_ids=ids, gallery_ids=ids, ks=(1,))


def test_shared_ids_are_named_also_where_they_come_in_different_kinds():
    features, labels = np.eye(3), [0, 1, 2]
    for shared in (["e", "d", "b"], np.array(["e", "d", "b"])):
        with pytest.raises(
            ValueError, match=r"2 ids are in 'query_ids' and in 'gallery_ids': b, d$"
        ):
            evaluate_knn(
                features,
                features,
                labels,
                labels,
                query_ids=("a", "b", "d"),
                gallery_ids=shared,
                ks=(1,),
            )
    with pytest.raises(ValueError, match=r"1 ids are in 'query_ids' and in 'gallery_ids': 2$"):
        evaluate_knn(
            features,
            features,
            labels,
            labels,
            query_ids=torch.arange(3),
            gallery_ids=np.arange(2, 5),
            ks=(1,),
        )


@pytest.mark.parametrize(
    ("side", "ids"), [("query", ["a"]), ("gallery", list("abcd")), ("gallery", np.zeros((3, 1)))]
)
def test_ids_must_be_one_a_row(side, ids):
    given = {"query_ids": list("abc"), "gallery_ids": list("def"), f"{side}_ids": ids}
    with pytest.raises(ValueError, match=f"^evaluate_knn: {side}_ids must be one per row .3., got"):
        evaluate_knn(np.eye(3), np.eye(3), [0, 1, 2], [0, 1, 2], **given)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"ks": (4,)}, r"ks must be whole numbers in 1\.\.3"),
        ({"ks": (0,)}, r"ks must be whole numbers in 1\.\.3"),
        ({"queries": np.eye(4)[:3]}, "must have the same width"),
        ({"queries": np.zeros((3, 3))}, "no row of query_features may be zero, got 3"),
        (
            {"gallery": np.full((3, 3), np.nan)},
            "no row of gallery_features may be not finite, got 3",
        ),
        ({"query_labels": [0, 1]}, "query_labels must be \\(3,\\) integers"),
        ({"gallery_labels": [0.0, 1.0, 2.0]}, "gallery_labels must be .* integers"),
        ({"query_labels": [7, 8, 9]}, "query_labels and gallery_labels have in common"),
    ],
)
def test_wrong_input_to_neighbours(change, problem):
    arguments = {
        "queries": np.eye(3),
        "gallery": np.eye(3),
        "query_labels": [0, 1, 2],
        "gallery_labels": [0, 1, 2],
        "ks": (1,),
    }
    with pytest.raises(ValueError, match=f"^evaluate_knn: .*{problem}"):
        knn(**(arguments | change))


# Same-class cosine


def test_same_class_cosine_by_hand():
    teacher = np.array([[1.0, 0], [0, 2], [1, 1], [5, 5]])
    student = np.array([[1.0, 1], [3, 0], [0, 1], [0, 1]])
    # Class 4 has rows 0, 1, 2. Teacher 0 with students 1, 2: 1, 0; teacher 1 with 0, 2: r, 1;
    # teacher 2 with 0, 1: 1, r; r = 1 / sqrt 2.
    expected = (1 + 0 + math.sqrt(0.5) + 1 + 1 + math.sqrt(0.5)) / 6
    assert same_class_cosine(student, teacher, [4, 4, 4, 0]) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("classes", [1, 4, 30])
def test_same_class_cosine_equals_the_loops(seed, classes):
    draw = np.random.default_rng(seed)
    student, teacher = draw.standard_normal((2, 40, 7))
    labels = draw.integers(classes, size=40) - 2
    expected = ordered_pairs(student, teacher, labels)
    assert same_class_cosine(student, teacher, labels) == pytest.approx(expected, rel=1e-9)


def test_same_class_cosine_of_torch_features_and_of_any_length():
    draw = np.random.default_rng(9)
    student, teacher = draw.standard_normal((2, 50, 6))
    labels = draw.integers(5, size=50)
    expected = same_class_cosine(student, teacher, labels)
    lengths = 10.0 ** draw.integers(-12, 12, size=(2, 50, 1))
    scaled = same_class_cosine(student * lengths[0], teacher * lengths[1], labels)
    assert scaled == pytest.approx(expected)
    order = draw.permutation(50)
    tensors = [torch.from_numpy(array[order]) for array in (student, teacher, labels)]
    assert same_class_cosine(tensors[0].requires_grad_(), *tensors[1:]) == pytest.approx(expected)
    half = [tensor.detach().bfloat16() for tensor in tensors[:2]]
    exact = same_class_cosine(half[0].double(), half[1].double(), tensors[2])
    assert same_class_cosine(*half, tensors[2]) == exact


def test_same_class_cosine_builds_no_matrix_of_pairs():
    draw = np.random.default_rng(0)
    student, teacher = draw.standard_normal((2, 10_000, 64))
    labels = np.arange(10_000) % 51
    tracemalloc.start()
    try:
        same_class_cosine(student, teacher, labels)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 * teacher.nbytes < 10_000**2  # bytes: not even a matrix of one byte a pair


def test_same_class_cosine_of_more_rows_than_have_a_matrix_of_pairs():
    rows = 300_000
    labels = np.arange(rows) % 3
    features = np.eye(3, dtype=np.float32)[labels]
    assert same_class_cosine(features, 2 * features, labels) == pytest.approx(1)
    assert same_class_cosine(features, -features, labels) == pytest.approx(-1)


@pytest.mark.parametrize(
    ("student", "teacher", "labels", "problem"),
    [
        (np.eye(3), np.eye(3), [0, 1, 2], "a class that occurs twice, got 3 labels once"),
        (np.eye(3), np.eye(4)[:3], [0, 0, 0], r"\(3, 3\) and teacher_features \(3, 4\) must have"),
        (np.eye(3), np.eye(4), [0, 0, 0], "must have the same shape"),
        (
            np.eye(3),
            np.diag([1, 0, 0]),
            [0, 0, 0],
            "no row of teacher_features may be zero, got 2, the first is row 1",
        ),
        (
            np.full((3, 3), np.inf),
            np.eye(3),
            [0, 0, 0],
            "no row of student_features may be not finite, got 3",
        ),
        (
            np.zeros(3),
            np.eye(3),
            [0, 0, 0],
            r"student_features must be a non-empty matrix .* got \(3,\)",
        ),
        (np.eye(3), np.eye(3), [0, 0], r"integers, one per row, got \(2,\)"),
    ],
)
def test_wrong_input_to_same_class_cosine(student, teacher, labels, problem):
    with pytest.raises(ValueError, match=f"^same_class_cosine: .*{problem}"):
        same_class_cosine(student, teacher, labels)


@pytest.mark.parametrize(
    ("ids", "problem"),
    [
        (["a", "b", "a"], "query_ids must be unique, got twice: a"),
        (torch.tensor([1, 1, 2]), "query_ids must be unique, got twice: 1"),
        ([1, "1", 2], "query_ids must be all strings or all numbers, got 1, '1', 2"),
        ([None, "b", "c"], "query_ids must be all strings or all numbers, got None"),
        (np.array([0, math.nan, 2]), "query_ids must be all strings or all numbers, got nan"),
        ("abc", "query_ids must be a list or an array or a tensor, got 'abc'"),
        ([torch.ones(2)] * 3, r"query_ids must be one per row \(3\)"),
    ],
)
def test_ids_that_tell_nothing_apart(ids, problem):
    with pytest.raises(ValueError, match=f"^evaluate_knn: {problem}"):
        evaluate_knn(
            np.eye(3),
            np.eye(3),
            [0, 1, 2],
            [0, 1, 2],
            query_ids=ids,
            gallery_ids=[7, 8, 9],
            ks=(1,),
        )
