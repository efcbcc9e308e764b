from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, recall_score

from kit.metrics import evaluate_classification


def one_hot(predicted, classes):
    return np.eye(classes)[np.asarray(predicted)]


def random_problem(seed, *, rows=60, classes=5):
    draw = np.random.default_rng(seed)
    labels = draw.integers(classes, size=rows)
    return draw.standard_normal((rows, classes)) + one_hot(labels, classes), labels


def same(one, other):
    assert one.top1 == other.top1
    assert one.unweighted_accuracy == other.unweighted_accuracy
    np.testing.assert_array_equal(one.per_class, other.per_class)
    np.testing.assert_array_equal(one.confusion, other.confusion)


# Worked by hand


def test_six_samples_of_three_classes():
    # class 0: 3 of 4 right, class 1: 0 of 1, class 2: 1 of 1
    scores = evaluate_classification(one_hot([0, 0, 0, 2, 0, 2], 3), [0, 0, 0, 0, 1, 2])
    assert scores.top1 == pytest.approx(100 * 4 / 6)
    np.testing.assert_allclose(scores.per_class, [75, 0, 100])
    assert scores.unweighted_accuracy == pytest.approx(175 / 3)
    assert scores.confusion.tolist() == [[3, 0, 1], [1, 0, 0], [0, 0, 1]]


def test_a_class_that_does_not_occur_has_no_accuracy_and_no_part_in_the_mean():
    scores = evaluate_classification(one_hot([0, 1, 1], 4), [0, 0, 2])
    np.testing.assert_array_equal(scores.per_class, [50, np.nan, 0, np.nan])
    assert scores.unweighted_accuracy == 25
    assert scores.confusion.sum() == 3


def test_softmax_is_averaged_over_clips_before_the_arg_max():
    # Softmax of (ln a, ln b) is (a, b) / (a + b). By votes and by mean logits, class 1 would win.
    clips = np.log([[0.98, 0.02], [0.3, 0.7], [0.3, 0.7], [0.4, 0.6]])
    votes = evaluate_classification(clips, [0, 0, 0, 1])
    assert votes.confusion.tolist() == [[1, 2], [0, 1]]
    videos = evaluate_classification(clips, [0, 0, 0, 1], groups=["a", "a", "a", "b"])
    assert videos.confusion.tolist() == [[1, 0], [0, 1]]  # mean (1.58, 1.42) / 3
    certain = evaluate_classification(
        [[0.0, 8.0], [30.0, 0.0], [0.0, 8.0]], [1, 1, 1], groups=[7, 7, 7]
    )
    assert certain.top1 == 100  # mean logits would say class 0


def test_a_tie_is_wrong_whichever_class_is_true():
    for label in range(3):
        scores = evaluate_classification(np.zeros((1, 3)), [label])
        assert scores.top1 == 0
        assert scores.confusion[label].tolist() == [[0, 1, 0], [1, 0, 0], [1, 0, 0]][label]
    assert evaluate_classification([[1.0, 1.0, 0.0]], [2]).confusion.tolist()[2] == [1, 0, 0]


def test_a_tie_below_the_maximum_does_no_harm():
    assert evaluate_classification([[0.0, 0.0, 1.0]], [2]).top1 == 100


@pytest.mark.parametrize("groups", [None, np.arange(40) // 3])
def test_a_collapsed_model_cannot_look_good(groups):
    labels = np.repeat(np.arange(14), 3)[:40]
    logits = np.full((40, 14), 0.1, np.float32)
    assert evaluate_classification(logits, labels, groups=groups).top1 == 0


def test_clips_that_tie_by_symmetry_tie_in_whatever_order_they_are_added():
    for seed in range(20):  # in six of them, one sum is the largest by its last bit
        clip = np.random.default_rng(seed).standard_normal(12)
        clips = np.stack([np.roll(clip, shift) for shift in range(12)])
        for label in range(12):
            scores = evaluate_classification(clips, [label] * 12, groups=["video"] * 12)
            assert scores.top1 == 0


# Against scikit-learn


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("rows", [1, 9, 200])
def test_random_problems_equal_scikit_learn(seed, rows):
    logits, labels = random_problem(seed, rows=rows)
    scores = evaluate_classification(logits, labels)
    predicted, occurring = logits.argmax(1), np.unique(labels)
    assert scores.top1 == pytest.approx(100 * accuracy_score(labels, predicted))
    recalls = recall_score(labels, predicted, labels=occurring, average=None)
    np.testing.assert_allclose(scores.per_class[occurring], 100 * recalls)
    assert np.isnan(np.delete(scores.per_class, occurring)).all()
    macro = recall_score(labels, predicted, labels=occurring, average="macro")
    assert scores.unweighted_accuracy == pytest.approx(100 * macro)
    expected = confusion_matrix(labels, predicted, labels=range(5))
    np.testing.assert_array_equal(scores.confusion, expected)


@pytest.mark.parametrize("seed", range(5))
def test_groups_equal_a_loop_over_torch_softmax(seed):
    draw = np.random.default_rng(seed)
    video_labels = draw.integers(4, size=30)
    video = draw.permutation(np.concatenate([np.arange(30), draw.integers(30, size=70)]))
    logits = 3 * draw.standard_normal((100, 4))
    predicted = [
        int(torch.softmax(torch.from_numpy(logits[video == v]), 1).mean(0).argmax())
        for v in range(30)
    ]
    scores = evaluate_classification(logits, video_labels[video], groups=video)
    expected = confusion_matrix(video_labels, predicted, labels=range(4))
    np.testing.assert_array_equal(scores.confusion, expected)
    assert scores.top1 == pytest.approx(100 * accuracy_score(video_labels, predicted))


# Properties


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), each=st.integers(1, 9))
def test_for_balanced_classes_both_accuracies_are_one(seed, each):
    labels = np.repeat(np.arange(5), each)
    logits = np.random.default_rng(seed).standard_normal((len(labels), 5))
    scores = evaluate_classification(logits, labels)
    assert scores.top1 == pytest.approx(scores.unweighted_accuracy)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), times=st.integers(2, 5))
def test_samples_of_one_class_again_leave_only_the_unweighted_accuracy(seed, times):
    logits, labels = random_problem(seed, rows=100)
    before = evaluate_classification(logits, labels)
    best = int(np.nanargmax(before.per_class))
    rows = np.repeat(np.arange(100), np.where(labels == best, times, 1))
    after = evaluate_classification(logits[rows], labels[rows])
    assert after.unweighted_accuracy == pytest.approx(before.unweighted_accuracy)
    if before.per_class[best] > before.top1:
        assert after.top1 > before.top1
    else:
        assert after.top1 == pytest.approx(before.top1)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_order_of_rows_shift_of_logits_and_groups_of_one_change_nothing(seed):
    logits, labels = random_problem(seed)
    expected = evaluate_classification(logits, labels)
    draw = np.random.default_rng(seed)
    order = draw.permutation(len(labels))
    same(evaluate_classification(logits[order], labels[order]), expected)
    same(evaluate_classification(logits + draw.standard_normal((60, 1)), labels), expected)
    same(evaluate_classification(logits, labels, groups=order), expected)
    thrice = np.tile(logits, (3, 1))
    same(evaluate_classification(thrice, np.tile(labels, 3), groups=np.tile(order, 3)), expected)


def test_permuted_classes_permute_the_confusion():
    logits, labels = random_problem(3)
    order = np.array([2, 0, 4, 1, 3])
    expected = evaluate_classification(logits, labels)
    permuted = evaluate_classification(logits[:, order], np.argsort(order)[labels])
    np.testing.assert_array_equal(permuted.confusion, expected.confusion[order][:, order])
    np.testing.assert_array_equal(permuted.per_class, expected.per_class[order])


# What may come in


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("grouped", [False, True])
def test_torch_logits_of_any_float(dtype, grouped):
    logits, labels = random_problem(1)
    logits, labels = torch.from_numpy(logits).to(dtype), torch.from_numpy(np.sort(labels))
    groups = torch.arange(60) // 2 + 100 * labels if grouped else None
    expected = evaluate_classification(logits.double(), labels, groups=groups)
    got = evaluate_classification(logits.requires_grad_(), labels.to(torch.int16), groups=groups)
    same(got, expected)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int64])
def test_numpy_logits_of_any_real_dtype_also_read_only(dtype):
    logits, labels = random_problem(2)
    logits = (100 * logits).astype(dtype)
    expected = evaluate_classification(logits.astype(np.float64), labels)
    for array in (logits, labels):
        array.setflags(write=False)
    same(evaluate_classification(logits, labels), expected)
    same(evaluate_classification(np.asfortranarray(logits), labels.tolist()), expected)
    same(evaluate_classification(logits.tolist(), labels.astype(np.uint8)), expected)


def test_large_logits_do_not_overflow():
    logits = np.array([[5e4, 0.0], [5e4, 4.9e4], [-5e4, 0.0]], np.float32)
    assert evaluate_classification(logits, [0, 0, 1], groups=[0, 0, 1]).top1 == 100


def test_the_input_is_left_as_it_was():
    logits, labels = random_problem(4)
    copies = logits.copy(), labels.copy()
    evaluate_classification(logits, labels, groups=np.arange(60))
    tensor = torch.from_numpy(logits)
    evaluate_classification(tensor, labels)
    np.testing.assert_array_equal(logits, copies[0])
    np.testing.assert_array_equal(labels, copies[1])


def test_a_model_of_one_class_is_right():
    assert evaluate_classification([[0.5], [0.5]], [0, 0]).confusion.tolist() == [[2]]


# What may not


@pytest.mark.parametrize(
    ("logits", "problem"),
    [
        (np.zeros(3), r"a non-empty matrix of real numbers, got \(3,\)"),
        (np.zeros((0, 3)), r"got \(0, 3\)"),
        (np.zeros((3, 0)), r"got \(3, 0\)"),
        (np.zeros((3, 2), complex), "complex128"),
        (torch.zeros(3, 2, dtype=torch.bool), r"torch\.bool"),
        (np.array([["a"], ["b"], ["c"]]), "<U1"),
        (
            [[0.0, 1.0], [np.nan, 0.0], [np.inf, 0.0]],
            "no row of logits may be not finite, got 2, the first is row 1",
        ),
    ],
)
def test_wrong_logits(logits, problem):
    with pytest.raises(ValueError, match=f"^evaluate_classification: .*{problem}"):
        evaluate_classification(logits, [0, 1, 0])


@pytest.mark.parametrize(
    ("labels", "problem"),
    [
        ([0, 1], r"integers, one per row, got \(2,\)"),
        (np.zeros((3, 1), int), r"got \(3, 1\)"),
        ([0.0, 1.0, 1.0], "float64"),
        ([True, False, True], "bool"),
        ([0, 1, 2], r"in 0\.\.1, got 0 to 2"),
        ([-1, 1, 0], r"in 0\.\.1, got -1 to 1"),
    ],
)
def test_wrong_labels(labels, problem):
    with pytest.raises(ValueError, match=f"^evaluate_classification: .*labels .*{problem}"):
        evaluate_classification(np.zeros((3, 2)), labels)


@pytest.mark.parametrize(
    ("groups", "problem"),
    [
        ([1, 2], r"groups must be one per row \(3\), got 2"),
        (np.zeros((3, 1)), r"groups must be one per row \(3\), got a float64 array \(3, 1\)"),
        (["a", "b", "b"], "one label, not so in 'b'$"),
        (torch.tensor([5, 5, 4]), "not so in 5$"),
    ],
)
def test_wrong_groups(groups, problem):
    with pytest.raises(ValueError, match=f"^evaluate_classification: .*{problem}"):
        evaluate_classification(np.zeros((3, 2)), [0, 1, 0], groups=groups)
