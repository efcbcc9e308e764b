from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from kit.metrics import evaluate_cross_modal, evaluate_retrieval, ranks


def on_circle(scores):
    """2-D features whose cosine with (1, 0) is each score."""
    return np.array([[s, math.sqrt(1 - s * s)] for s in scores])


def ranking(relevant, *, ks=(1,)):
    """Scores of one query whose list has relevant items (1) where `relevant` says."""
    gallery = on_circle(np.linspace(0.9, -0.9, len(relevant)))
    return evaluate_retrieval(np.array([[3.0, 0.0]]), gallery, [1], list(relevant), ks=ks)


def oracle(queries, gallery, query_labels, gallery_labels):
    """Plain float64 loops: for each query (ranks of its positives, tied), ties pessimistic."""
    result = []
    for q, label in zip(np.asarray(queries, float), query_labels, strict=True):
        items = []
        for g, other in zip(np.asarray(gallery, float), gallery_labels, strict=True):
            score = sum(q * g) / math.sqrt(sum(q * q)) / math.sqrt(sum(g * g))
            items.append((-round(score, 9), other == label))
        items.sort()  # False before True: the irrelevant first among equals
        found = [rank for rank, (_, relevant) in enumerate(items, 1) if relevant]
        best = [score for score, relevant in items if relevant][:1]
        result.append((found, any(s in best and not relevant for s, relevant in items)))
    return result


def check_against_oracle(scores, expected):
    answered = [(q, found, tied) for q, (found, tied) in enumerate(expected) if found]
    assert scores.per_query.query.tolist() == [q for q, _, _ in answered]
    assert scores.per_query.best_rank.tolist() == [found[0] for _, found, _ in answered]
    assert scores.per_query.positives.tolist() == [len(found) for _, found, _ in answered]
    assert scores.per_query.tied.tolist() == [tied for _, _, tied in answered]
    precisions, cmpm = [], []
    for _, found, _ in answered:
        precisions.append(100 * sum(j / r for j, r in enumerate(found, 1)) / len(found))
        # Spec of the convention: hits among the first max(1, p) results over p + 1.
        hits = [sum(r <= max(1, p) for r in found) / (p + 1) for p in (r - 1 for r in found)]
        cmpm.append(100 * sum(hits) / len(found))
    np.testing.assert_allclose(scores.per_query.average_precision, precisions)
    np.testing.assert_allclose(scores.per_query.average_precision_cmpm, cmpm)
    assert scores.map == pytest.approx(np.mean(precisions))
    assert scores.map_cmpm == pytest.approx(np.mean(cmpm))
    assert scores.median_rank == np.median([found[0] for _, found, _ in answered])
    assert scores.tied_share == pytest.approx(np.mean([tied for _, _, tied in answered]))
    for k, value in scores.recall.items():
        assert value == pytest.approx(100 * np.mean([found[0] <= k for _, found, _ in answered]))
    for k in range(1, len(scores.curve.recall) + 1):
        shares = [sum(r <= k for r in found) for _, found, _ in answered]
        sizes = [len(found) for _, found, _ in answered]
        recall = np.mean([share / size for share, size in zip(shares, sizes, strict=True)])
        assert scores.curve.recall[k - 1] == pytest.approx(recall)
        assert scores.curve.precision[k - 1] == pytest.approx(np.mean(shares) / k)
    without = [q for q, (found, _) in enumerate(expected) if not found]
    assert list(scores.queries_without_positive) == without


def random_problem(seed, *, queries=23, gallery=41, labels=9, width=6):
    draw = np.random.default_rng(seed)
    return (
        draw.standard_normal((queries, width)),
        draw.standard_normal((gallery, width)),
        draw.integers(labels, size=queries) - 3,
        draw.integers(labels, size=gallery) - 3,
    )


def pairs(images=12, captions=5, width=8, noise=1.0, seed=0):
    draw = np.random.default_rng(seed)
    meanings = draw.standard_normal((images, width))
    labels = np.arange(images)
    text_labels = np.repeat(labels, captions)
    image_features = meanings + noise * draw.standard_normal(meanings.shape)
    texts = meanings[text_labels] + noise * draw.standard_normal((images * captions, width))
    return image_features, texts, labels, text_labels


# Worked by hand


def test_list_of_five_with_three_relevant():
    scores = ranking([0, 1, 0, 1, 1], ks=(1, 2, 5))
    assert scores.map == pytest.approx(100 * (1 / 2 + 2 / 4 + 3 / 5) / 3)
    assert scores.map == pytest.approx(53.3333, abs=1e-4)
    assert scores.map_cmpm == pytest.approx(21.6667, abs=1e-4)
    assert scores.recall == {1: 0.0, 2: 100.0, 5: 100.0}
    assert scores.median_rank == 2
    np.testing.assert_allclose(scores.curve.recall, [0, 1 / 3, 1 / 3, 2 / 3, 1])
    np.testing.assert_allclose(scores.curve.precision, [0, 1 / 2, 1 / 3, 1 / 2, 3 / 5])


def test_area_and_interpolation_by_hand():
    scores = ranking([1, 0, 0, 1])
    # Points (1/2, 1), (1/2, 1/2), (1/2, 1/3), (1, 1/2): a box of 1/2 and a trapezoid.
    assert scores.area == pytest.approx(0.5 + 0.5 * (1 / 3 + 1 / 2) / 2)
    np.testing.assert_allclose(scores.interpolated, [1] * 6 + [0.5] * 5)


def test_interpolation_is_taken_on_the_mean_curve():
    # Ranks 1 and 2 of two items: mean recall 1/2, 1; mean precision 1/2, 1/2.
    queries = np.array([[1.0, 0.0], [1.0, 0.0]])
    scores = evaluate_retrieval(queries, on_circle([0.9, 0.1]), [0, 1], [0, 1], ks=(1,))
    np.testing.assert_allclose(scores.interpolated, [0.5] * 11)
    assert scores.area == pytest.approx(0.5)
    assert scores.median_rank == 1.5


@pytest.mark.parametrize(("positives", "ceiling"), [(1, 100.0), (2, 75.0), (5, 74.33333333)])
def test_perfect_ranking(positives, ceiling):
    scores = ranking([1] * positives + [0] * 4)
    assert scores.map == pytest.approx(100)
    assert scores.map_cmpm == pytest.approx(ceiling)
    assert scores.area == pytest.approx(1)
    np.testing.assert_allclose(scores.interpolated, 1)


def test_ties_put_the_irrelevant_item_first_wherever_it_stands():
    query = np.array([[1.0, 0.0]])
    for labels in ([1, 0, 0], [0, 1, 0], [0, 0, 1]):
        gallery = np.tile([[2.0, 1.0]], (3, 1))
        scores = evaluate_retrieval(query, gallery, [1], labels, ks=(1, 2, 3))
        assert scores.recall == {1: 0.0, 2: 0.0, 3: 100.0}
        assert scores.tied_share == 1


def test_tied_positives_share_no_rank_and_only_the_best_positive_counts_as_tied():
    # 0.9 irrelevant; 0.5 relevant, relevant; 0.1 relevant, irrelevant
    gallery = on_circle([0.9, 0.5, 0.5, 0.1, 0.1])
    scores = evaluate_retrieval(np.array([[1.0, 0]]), gallery, [1], [0, 1, 1, 1, 0], ks=(1,))
    assert scores.map == pytest.approx(100 * (1 / 2 + 2 / 3 + 3 / 5) / 3)
    assert scores.tied_share == 0


# Sizes at which a BLAS gives equal rows scores that differ in the last bit, were they not padded.
@pytest.mark.parametrize(("images", "texts"), [(5, 5), (7, 13), (1, 9), (77, 130)])
@pytest.mark.parametrize("width", [37, 100, 512])
def test_a_collapsed_model_cannot_look_good(images, texts, width):
    feature = np.random.default_rng(0).standard_normal((2, 1, width)).astype(np.float32)
    both = evaluate_cross_modal(
        np.tile(feature[0], (images, 1)),
        np.tile(feature[1], (texts, 1)),
        np.arange(images),
        np.arange(texts),
        ks=(1,),
    )
    one, other = both.image_to_text, both.text_to_image
    assert one.recall == {1: 0.0}
    assert (one.median_rank, other.median_rank) == (texts, images)
    assert one.tied_share == 1
    assert other.tied_share == (images > 1)


def test_negative_scores_and_opposed_features_are_ranked_like_others():
    gallery = on_circle([-0.2, -0.5, -1.0])
    scores = evaluate_retrieval(np.array([[7.0, 0]]), gallery, [5], [0, 5, 5], ks=(1, 2))
    assert scores.recall == {1: 0.0, 2: 100.0}
    assert scores.map == pytest.approx(100 * (1 / 2 + 2 / 3) / 2)


def test_captions_go_with_their_image_by_label_not_by_place():
    images, texts, labels, text_labels = pairs(noise=0.0)
    order = np.random.default_rng(1).permutation(len(texts))
    scores = evaluate_cross_modal(
        images, texts[order], labels * 1000 - 7, text_labels[order] * 1000 - 7
    )
    assert scores.image_to_text.map == pytest.approx(100)
    assert scores.image_to_text.map_cmpm == pytest.approx(74.3333333)
    assert scores.text_to_image.recall[1] == 100
    wrong = evaluate_cross_modal(images, texts[order], labels, text_labels)
    assert wrong.image_to_text.map < 60


def test_queries_without_positive_are_left_out_and_listed():
    queries = on_circle([1.0, 0.9, 0.8, 0.7])
    scores = evaluate_retrieval(queries, queries, [4, 9, 2, 8], [4, 0, 2, 1], ks=(1,))
    assert scores.queries_without_positive == (1, 3)
    assert scores.per_query.query.tolist() == [0, 2]
    assert scores.recall == {1: 100.0}
    assert scores.map == 100


# Against loops and scikit-learn


@pytest.mark.parametrize("seed", range(4))
def test_random_problems_equal_the_loops(seed):
    problem = random_problem(seed)
    check_against_oracle(evaluate_retrieval(*problem, ks=(1, 3, 41)), oracle(*problem))


@pytest.mark.parametrize("seed", range(4))
def test_many_ties_equal_the_loops(seed):
    # One-dimensional features: every score is 1 or -1.
    queries, gallery, query_labels, gallery_labels = random_problem(seed, width=1)
    problem = (queries, gallery, query_labels, gallery_labels)
    check_against_oracle(evaluate_retrieval(*problem, ks=(1, 41)), oracle(*problem))


@pytest.mark.parametrize("tile", [(16, 16), (32, 16), (16, 4096), (512, 32)])
def test_tile_boundaries_change_nothing(tile, monkeypatch):
    monkeypatch.setattr(ranks, "TILE", tile)
    problem = random_problem(5, queries=70, gallery=101, labels=12)
    check_against_oracle(evaluate_retrieval(*problem), oracle(*problem))
    queries, gallery, query_labels, gallery_labels = problem
    both = evaluate_cross_modal(*problem)
    check_against_oracle(both.image_to_text, oracle(*problem))
    turned = oracle(gallery, queries, gallery_labels, query_labels)
    check_against_oracle(both.text_to_image, turned)


@pytest.mark.parametrize("most", [1, 40, 300])
def test_several_passes_where_positives_are_many_change_nothing(most, monkeypatch):
    monkeypatch.setattr(ranks, "PASS_THRESHOLDS", most)
    problem = random_problem(6, labels=5)
    check_against_oracle(evaluate_retrieval(*problem), oracle(*problem))
    both = evaluate_cross_modal(*problem)
    check_against_oracle(both.image_to_text, oracle(*problem))
    queries, gallery, query_labels, gallery_labels = problem
    turned = oracle(gallery, queries, gallery_labels, query_labels)
    check_against_oracle(both.text_to_image, turned)


def test_a_bound_on_tiles_changes_nothing(monkeypatch):
    monkeypatch.setattr(ranks, "TILE_NUMBERS", 100)
    problem = random_problem(7, queries=60, gallery=70, labels=4)
    check_against_oracle(evaluate_retrieval(*problem), oracle(*problem))


def test_a_label_with_hundreds_of_items_equals_the_loops():
    queries, gallery, query_labels, _ = random_problem(8, queries=20, gallery=700, labels=2)
    gallery_labels = np.where(np.arange(700) < 500, query_labels[0], 77)
    problem = (queries, gallery, query_labels, gallery_labels)
    check_against_oracle(evaluate_retrieval(*problem), oracle(*problem))


def test_average_precision_equals_scikit_learn():
    queries, gallery, query_labels, gallery_labels = random_problem(9, queries=60, gallery=150)
    scores = evaluate_retrieval(queries, gallery, query_labels, gallery_labels)
    unit = gallery / np.linalg.norm(gallery, axis=1, keepdims=True)
    expected = [
        100 * average_precision_score(gallery_labels == query_labels[q], unit @ queries[q])
        for q in scores.per_query.query
    ]
    np.testing.assert_allclose(scores.per_query.average_precision, expected)
    assert len(expected) == 60


# Properties


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), gallery=st.integers(1, 40), labels=st.integers(1, 8))
def test_properties_of_recall_and_curve(seed, gallery, labels):
    queries, items, query_labels, gallery_labels = random_problem(
        seed, gallery=gallery, labels=labels
    )
    query_labels[0] = gallery_labels[0]
    ks = range(1, gallery + 1)
    scores = evaluate_retrieval(queries, items, query_labels, gallery_labels, ks=ks)
    recall = [scores.recall[k] for k in ks]
    assert recall == sorted(recall)
    assert recall[-1] == 100
    assert scores.curve.recall[-1] == pytest.approx(1)
    assert (np.diff(scores.curve.recall) >= 0).all()
    assert (np.diff(scores.interpolated) <= 0).all()
    assert 0 <= scores.area <= 1 + 1e-12
    assert scores.map_cmpm <= scores.map + 1e-9


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_properties_with_one_positive(seed):
    images, texts, labels, _ = pairs(images=30, captions=1, noise=2.0, seed=seed)
    ks = range(1, 31)
    scores = evaluate_retrieval(images, texts, labels, labels, ks=ks)
    assert scores.map_cmpm == pytest.approx(scores.recall[1])
    for k in ks:
        bound = scores.recall[1] + (scores.recall[k] - scores.recall[1]) / k
        assert scores.map >= bound - 1e-9
        assert scores.curve.recall[k - 1] == pytest.approx(scores.recall[k] / 100)
        assert scores.curve.precision[k - 1] == pytest.approx(scores.recall[k] / 100 / k)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_order_of_the_gallery_and_length_of_rows_do_not_matter(seed):
    queries, gallery, query_labels, gallery_labels = random_problem(seed)
    query_labels[0] = gallery_labels[0]
    draw = np.random.default_rng(seed)
    order = draw.permutation(len(gallery))
    lengths = 10.0 ** draw.integers(-12, 12, size=(len(gallery), 1))
    one = evaluate_retrieval(queries, gallery, query_labels, gallery_labels)
    other = evaluate_retrieval(
        queries, (gallery * lengths)[order], query_labels, gallery_labels[order]
    )
    for a, b in zip(one.per_query, other.per_query, strict=True):
        np.testing.assert_array_equal(a, b)


def same(one, other):
    assert one.recall == other.recall
    assert one.median_rank == other.median_rank
    assert one.queries_without_positive == other.queries_without_positive
    np.testing.assert_array_equal(one.curve, other.curve)
    np.testing.assert_array_equal(one.interpolated, other.interpolated)
    assert one.area == other.area
    for a, b in zip(one.per_query, other.per_query, strict=True):
        np.testing.assert_array_equal(a, b)


def test_cross_modal_equals_two_single_directions():
    images, texts, labels, text_labels = pairs(images=40, noise=2.0)
    text_labels[7] = 1000  # a caption of no image
    both = evaluate_cross_modal(images, texts, labels, text_labels)
    same(both.image_to_text, evaluate_retrieval(images, texts, labels, text_labels))
    same(both.text_to_image, evaluate_retrieval(texts, images, text_labels, labels))
    assert both.text_to_image.queries_without_positive == (7,)
    assert 0 < both.image_to_text.recall[1] < 100


# What may come in


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_torch_features_of_any_float(dtype):
    images, texts, labels, text_labels = (torch.from_numpy(array) for array in pairs(noise=0.3))
    expected = evaluate_cross_modal(
        images.to(dtype).double(), texts.to(dtype).double(), labels, text_labels
    )
    got = evaluate_cross_modal(
        images.to(dtype).requires_grad_(),
        texts.to(dtype),
        labels.int(),
        text_labels.to(torch.int16),
    )
    same(got.image_to_text, expected.image_to_text)
    same(got.text_to_image, expected.text_to_image)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int64])
def test_numpy_features_of_any_real_dtype_also_read_only(dtype):
    images, texts, labels, text_labels = pairs(noise=0.3)
    images, texts = (100 * images).astype(dtype), (100 * texts).astype(dtype)
    expected = evaluate_retrieval(
        images.astype(np.float64), texts.astype(np.float64), labels, text_labels
    )
    for array in (images, texts, labels, text_labels):
        array.setflags(write=False)
    same(evaluate_retrieval(images, texts, list(labels), text_labels), expected)


def test_numpy_beside_torch_and_strided_views():
    images, texts, labels, text_labels = pairs(noise=1.0)
    expected = evaluate_retrieval(images, texts, labels, text_labels)
    wide = np.asfortranarray(np.repeat(images, 2, axis=1))[:, ::2]
    got = evaluate_retrieval(wide, torch.from_numpy(texts), torch.from_numpy(labels), text_labels)
    same(got, expected)


def test_the_input_is_left_as_it_was_and_so_are_torch_settings():
    torch.set_float32_matmul_precision("medium")
    try:
        images, texts, labels, text_labels = (torch.from_numpy(array) for array in pairs())
        copies = [tensor.clone() for tensor in (images, texts, labels, text_labels)]
        evaluate_cross_modal(images, texts, labels, text_labels)
        for tensor, copy in zip((images, texts, labels, text_labels), copies, strict=True):
            assert torch.equal(tensor, copy)
        assert torch.get_float32_matmul_precision() == "medium"
        assert torch.backends.cuda.matmul.allow_tf32
        with pytest.raises(ValueError, match="ks"):
            evaluate_cross_modal(images, texts, labels, text_labels, ks=(99,))
        assert torch.backends.cuda.matmul.allow_tf32
    finally:
        torch.set_float32_matmul_precision("highest")


def test_autocast_around_it_changes_nothing():
    images, texts, labels, text_labels = (
        torch.from_numpy(array).float() for array in pairs(images=60, noise=2.0)
    )
    expected = evaluate_retrieval(images, texts, labels.long(), text_labels.long())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        same(evaluate_retrieval(images, texts, labels.long(), text_labels.long()), expected)


def test_products_are_full_float32_while_it_runs(monkeypatch):
    seen = []
    plain = torch.mm

    def spy(*args, **kwargs):
        seen.append(torch.backends.cuda.matmul.fp32_precision)
        return plain(*args, **kwargs)

    monkeypatch.setattr(torch, "mm", spy)
    torch.set_float32_matmul_precision("high")
    try:
        ranking([0, 1])
        assert torch.backends.cuda.matmul.fp32_precision == "tf32"
    finally:
        torch.set_float32_matmul_precision("highest")
    assert set(seen) == {"ieee"}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_the_scores_are_those_of_the_cpu():
    images, texts, labels, text_labels = (torch.from_numpy(array) for array in pairs(images=300))
    expected = evaluate_cross_modal(images, texts, labels, text_labels)
    got = evaluate_cross_modal(images.cuda(), texts, labels.cuda(), text_labels)
    same(got.image_to_text, expected.image_to_text)
    same(got.text_to_image, expected.text_to_image)


# Folds


def test_folds_are_means_over_blocks_of_images_with_their_captions():
    images, texts, labels, text_labels = pairs(images=20, noise=1.5)
    order = np.random.default_rng(3).permutation(len(texts))
    texts, text_labels = texts[order], text_labels[order]
    folded = evaluate_cross_modal(images, texts, labels, text_labels, ks=(1, 5), fold_size=5)
    singles = []
    for start in range(0, 20, 5):
        own = (text_labels >= start) & (text_labels < start + 5)
        block = slice(start, start + 5)
        singles.append(
            evaluate_cross_modal(
                images[block], texts[own], labels[block], text_labels[own], ks=(1, 5)
            )
        )
    for direction in ("image_to_text", "text_to_image"):
        got = getattr(folded, direction)
        parts = [getattr(single, direction) for single in singles]
        for name in ("map", "map_cmpm", "median_rank", "tied_share"):
            assert getattr(got, name) == pytest.approx(np.mean([getattr(p, name) for p in parts]))
        assert got.recall[5] == pytest.approx(np.mean([part.recall[5] for part in parts]))
        np.testing.assert_allclose(
            got.curve, np.mean([part.curve for part in parts], axis=0), atol=1e-12
        )
    assert folded.image_to_text.per_query.query.tolist() == list(range(20))
    assert folded.text_to_image.per_query.query.tolist() == list(range(100))
    # A caption competes within its fold only, so one over all images ranks no better.
    whole = evaluate_cross_modal(images, texts, labels, text_labels)
    assert (
        folded.text_to_image.per_query.best_rank <= whole.text_to_image.per_query.best_rank
    ).all()


def test_folds_with_unequal_numbers_of_captions():
    images = on_circle([1.0, 0.0])
    texts = on_circle([1.0, 1.0, 0.0])
    scores = evaluate_cross_modal(images, texts, [0, 1], [0, 0, 1], ks=(1,), fold_size=1)
    # Fold 0 finds 1 of 2, then 2 of 2; fold 1 finds all at once and nothing more.
    np.testing.assert_allclose(scores.image_to_text.curve.recall, [0.75, 1])
    np.testing.assert_allclose(scores.image_to_text.curve.precision, [1, 0.75])


def test_one_fold_is_the_whole():
    problem = pairs(images=10, noise=1.5)
    folded = evaluate_cross_modal(*problem, fold_size=10)
    whole = evaluate_cross_modal(*problem)
    same(folded.image_to_text, whole.image_to_text)
    same(folded.text_to_image, whole.text_to_image)


# Errors


def replaced(**changes):
    arguments = {
        "query_features": np.ones((4, 3)),
        "gallery_features": np.ones((5, 3)),
        "query_labels": [0, 1, 2, 3],
        "gallery_labels": [0, 1, 2, 3, 4],
        "ks": (1,),
    }
    return arguments | changes


def with_row(value):
    features = np.ones((5, 3), dtype=np.float32)
    features[2] = value
    return features


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"query_features": np.ones(3)},
            r"query_features must be a non-empty matrix of real numbers, got \(3,\)",
        ),
        (
            {"gallery_features": np.ones((5, 3, 1))},
            r"gallery_features must be a non-empty matrix.*\(5, 3, 1\)",
        ),
        (
            {"query_features": np.ones((0, 3))},
            r"query_features must be a non-empty matrix.*\(0, 3\)",
        ),
        ({"gallery_features": torch.ones(5, 0)}, r"gallery_features.*\(5, 0\)"),
        (
            {"gallery_features": np.ones((5, 3), bool)},
            "gallery_features must be a non-empty matrix of real numbers.*bool",
        ),
        (
            {"query_features": torch.ones(4, 3).cfloat()},
            "query_features must be a non-empty matrix of real numbers.*complex",
        ),
        (
            {"gallery_features": with_row(0)},
            "no row of gallery_features may be zero, got 1, the first is row 2",
        ),
        (
            {"gallery_features": with_row(np.nan)},
            "no row of gallery_features may be not finite, got 1, the first is row 2",
        ),
        (
            {"gallery_features": with_row(np.inf)},
            "no row of gallery_features may be not finite, got 1, the first is row 2",
        ),
        (
            {"gallery_features": np.ones((5, 2))},
            r"query_features \(4, 3\) and gallery_features \(5, 2\) must have the same width",
        ),
        (
            {"query_labels": [0, 1]},
            r"query_labels must be \(4,\) integers, one per row, got \(2,\)",
        ),
        (
            {"gallery_labels": np.zeros((5, 1), int)},
            r"gallery_labels must be \(5,\) integers.*got \(5, 1\)",
        ),
        ({"gallery_labels": np.zeros(5)}, "gallery_labels.*integer.*float64"),
        ({"query_labels": torch.zeros(4)}, "query_labels.*integer.*float32"),
        ({"ks": (1, 6)}, r"ks must be whole numbers in 1\.\.5, as many as .*\(1, 6\)"),
        ({"ks": (0,)}, r"ks must be whole numbers in 1\.\.5"),
        ({"ks": ()}, "ks must be whole numbers"),
        ({"ks": (1.0,)}, r"ks must be a list of whole numbers, got a tuple \(1\.0,\)"),
        ({"ks": (True,)}, "ks must be a list of whole numbers"),
        (
            {"query_labels": [7, 8, 9, 10]},
            "a label that query_labels and gallery_labels have in common, got none",
        ),
    ],
)
def test_bad_input_is_named(changes, message):
    with pytest.raises(ValueError, match=r"^evaluate_retrieval: .*" + message):
        evaluate_retrieval(**replaced(**changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"image_features": np.ones((4, 2))},
            r"image_features \(4, 2\) and text_features \(8, 3\)",
        ),
        ({"text_labels": [0] * 7}, "text_labels"),
        ({"ks": (5,)}, r"ks must be whole numbers in 1\.\.4"),
        ({"fold_size": 3}, "fold_size must divide 4 images, got 3"),
        ({"fold_size": 0}, "fold_size must be a whole number of at least 1, got 0"),
        ({"fold_size": 2.0}, r"fold_size must be a whole number, got 2\.0"),
        ({"fold_size": 2, "ks": (3,)}, r"ks must be whole numbers in 1\.\.2"),
        ({"fold_size": 2, "image_labels": [0, 1, 1, 3]}, "each text in one fold.*got text 2 in 2"),
        ({"fold_size": 2, "text_labels": [0, 0, 1, 1, 2, 2, 3, 9]}, "one fold.*got text 7 in 0"),
        ({"text_labels": [9] * 8}, "a label that image_labels and text_labels have in common"),
    ],
)
def test_bad_input_across_modalities_is_named(changes, message):
    arguments = {
        "image_features": np.ones((4, 3)),
        "text_features": np.ones((8, 3)),
        "image_labels": [0, 1, 2, 3],
        "text_labels": [0, 0, 1, 1, 2, 2, 3, 3],
        "ks": (1,),
    }
    with pytest.raises(ValueError, match=r"^evaluate_cross_modal: .*" + message):
        evaluate_cross_modal(**arguments | changes)
