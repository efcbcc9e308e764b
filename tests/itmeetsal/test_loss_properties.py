"""What each loss promises: bounds, zeros, limits, and what it does not notice."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from loss_cases import CASES, Sample, sample
from loss_checks import PATTERNS, gradients, with_gradient
from torch import Tensor

from kit.itmeetsal import losses

few = settings(max_examples=10, derandomize=True, deadline=None, database=None)
batches = st.builds(
    lambda labels, dim, seed: sample(labels, dim=dim, seed=seed),
    st.lists(st.integers(0, 8), min_size=1, max_size=6),
    st.integers(1, 4),
    st.integers(0, 10**6),
)
every_loss = pytest.mark.parametrize("case", CASES)
triplets = pytest.mark.parametrize("case", [case for case in CASES if "triplet" in case])
kl_targets = pytest.mark.parametrize("kl_target", ["row", "softmax"])
MIXED = sample(PATTERNS["mixed"])


def close(result: Tensor, expected: Tensor | float, tolerance: float = 1e-9) -> None:
    expected = torch.as_tensor(expected, dtype=torch.float64)
    torch.testing.assert_close(result, expected, rtol=tolerance, atol=tolerance)


def rotation(dim: int, seed: int = 7) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.linalg.qr(torch.randn(dim, dim, generator=generator, dtype=torch.float64))[0]


def kl(image: Tensor, text: Tensor, labels: Tensor, kl_target: str) -> Tensor:
    eps = 0.0 if kl_target == "softmax" else 1e-8
    return losses.projection_kl_loss(image, text, labels, kl_target=kl_target, eps=eps)


# --- every loss -----------------------------------------------------------------------------


@every_loss
@given(batch=batches, data=st.data())
@few
def test_order_of_the_batch_does_not_matter(case: str, batch: Sample, data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(batch.labels))))
    rows = {name: getattr(batch, name)[order] for name in Sample._fields if name != "weight"}
    shuffled = batch._replace(**rows)
    close(CASES[case](losses, shuffled), CASES[case](losses, batch))


@every_loss
@given(batch=batches)
@few
def test_image_and_text_may_change_places(case: str, batch: Sample) -> None:
    exchanged = batch._replace(
        image_features=batch.text_features,
        text_features=batch.image_features,
        # class 0 becomes class 1 with its modality
        image_logits=batch.text_logits.flip(1),
        text_logits=batch.image_logits.flip(1),
    )
    close(CASES[case](losses, exchanged), CASES[case](losses, batch))


@every_loss
@given(batch=batches, seed=st.integers(0, 99))
@few
def test_joint_rotation_does_not_matter(case: str, batch: Sample, seed: int) -> None:
    turn = rotation(batch.weight.shape[0], seed)
    turned = batch._replace(
        image_features=batch.image_features @ turn,
        text_features=batch.text_features @ turn,
        weight=turn.T @ batch.weight,
    )
    close(CASES[case](losses, turned), CASES[case](losses, batch))


@every_loss
@given(batch=batches)
@few
def test_names_of_the_classes_do_not_matter(case: str, batch: Sample) -> None:
    order = torch.tensor([6, 2, 8, 0, 3, 7, 1, 5, 4])
    renamed = batch._replace(weight=batch.weight[:, order], labels=order.argsort()[batch.labels])
    close(CASES[case](losses, renamed), CASES[case](losses, batch))


# --- Eqs. 1-3: projections ------------------------------------------------------------------


@given(batch=batches, a=st.floats(0.01, 100), b=st.floats(0.01, 100))
@few
def test_lengths_scale_with_what_is_projected_alone(batch: Sample, a: float, b: float) -> None:
    image, text = batch.image_features, batch.text_features
    lengths = losses.projection_lengths(image, text)
    close(losses.projection_lengths(a * image, b * text), a * lengths)
    close(losses.projection_lengths(-image, text), -lengths)
    assert (lengths.abs() <= image.norm(dim=1, keepdim=True) * (1 + 1e-9)).all()


def test_a_projection_projected_again_stays() -> None:
    once = losses.project(MIXED.image_features, MIXED.text_features)
    close(losses.project(once, MIXED.text_features), once)
    own_lengths = losses.projection_lengths(MIXED.image_features, MIXED.text_features).diagonal()
    close(once.norm(dim=1), own_lengths.abs())


# --- Eqs. 4, 5: the discriminator -----------------------------------------------------------


def test_an_undecided_discriminator() -> None:
    image = torch.tensor([[3.0, 3.0], [-1, -1]], dtype=torch.float64, requires_grad=True)
    text = torch.zeros(2, 2, dtype=torch.float64, requires_grad=True)
    entropy = losses.modality_entropy_loss(image, text)
    close(entropy, -2 * math.log(2))
    slopes = torch.autograd.grad(entropy, (image, text))
    for slope in slopes:
        close(slope, torch.zeros(2, 2))
    close(losses.modality_classification_loss(image, text), 2 * math.log(2))


@given(batch=batches, sharpness=st.floats(0, 50))
@few
def test_modality_losses_stay_in_bounds(batch: Sample, sharpness: float) -> None:
    logits = sharpness * batch.image_logits, sharpness * batch.text_logits
    assert -2 * math.log(2) - 1e-12 <= losses.modality_entropy_loss(*logits) <= 0
    assert losses.modality_classification_loss(*logits) >= 0


def test_a_certain_discriminator() -> None:
    right = torch.tensor([[40.0, -40.0]], dtype=torch.float64)
    for text in (right, -right):
        close(losses.modality_entropy_loss(right, text), 0.0)
    close(losses.modality_classification_loss(right, -right), 0.0)
    # wrong about one modality alone: that modality's part alone
    close(losses.modality_classification_loss(right, right), 80.0)
    close(losses.modality_classification_loss(-right, -right), 80.0)


@pytest.mark.parametrize("case", ["modality_entropy", "modality_classification"])
def test_a_constant_on_both_logits_does_not_matter(case: str) -> None:
    shift = torch.linspace(-5, 5, 7, dtype=torch.float64)[:, None]
    shifted = MIXED._replace(
        image_logits=MIXED.image_logits + shift, text_logits=MIXED.text_logits - 2 * shift
    )
    close(CASES[case](losses, shifted), CASES[case](losses, MIXED))


# --- Eqs. 6-9: projection against labels ----------------------------------------------------


def test_kl_as_printed_is_zero_where_lengths_are_labels_plus_a_constant() -> None:
    basis, distinct = torch.eye(4, dtype=torch.float64), torch.arange(4)
    close(kl(basis, basis, distinct, "softmax"), 0.0)
    twins = basis[[0, 0, 1, 2]]
    close(kl(twins, twins, torch.tensor([5, 5, 2, 0]), "softmax"), 0.0)
    # <z^i_j, e_k> = G_jk + 0.7 and <z^t_k, zbar^i_j> = G_jk + 0.7
    image = basis + 0.7
    text = basis * image.norm(dim=1, keepdim=True)
    close(kl(image, text, distinct, "softmax"), 0.0)
    for off in ((1.1 * image, text), (image, 0.9 * text), (image, text[[1, 0, 2, 3]])):
        assert kl(*off, distinct, "softmax") > 1e-4


@given(batch=batches)
@few
def test_kl_is_not_negative(batch: Sample) -> None:
    given_batch = batch.image_features, batch.text_features, batch.labels
    assert kl(*given_batch, "softmax") >= -1e-12
    # with eps a row of Q sums to 1 + N eps
    assert kl(*given_batch, "row") >= -2 * math.log1p(len(batch.labels) * 1e-8) - 1e-12


@kl_targets
def test_kl_of_one_label_measures_against_the_uniform_row(kl_target: str) -> None:
    one_label = torch.full((5,), 3)
    same = MIXED.image_features[[2]].expand(5, -1)
    close(kl(same, same, one_label, kl_target), 0.0, tolerance=1e-6)
    image, text = MIXED.image_features[:5], MIXED.text_features[:5]
    expected = 0.0
    for features, onto in ((image, text), (text, image)):
        p = losses.projection_lengths(features, onto).softmax(dim=1)
        expected += math.log(5) + (p * p.log()).sum().item() / 5
    assert 0.1 < expected < 2 * math.log(5)
    close(kl(image, text, one_label, kl_target), expected, tolerance=1e-6)


def test_kl_rows_of_distinct_labels_want_their_own_pair_alone() -> None:
    pairs, labels = 40 * torch.eye(3, dtype=torch.float64), torch.tensor([2, 0, 1])
    close(kl(pairs, pairs, labels, "row"), 0.0, tolerance=1e-6)
    # all mass on one wrong candidate: each row of both directions costs log(1 / eps)
    close(kl(pairs, pairs[[1, 2, 0]], labels, "row"), -2 * math.log(1e-8))


def test_kl_rows_share_their_mass_among_all_positives() -> None:
    twins = 40 * torch.eye(2, dtype=torch.float64)[[0, 0, 1]]
    close(kl(twins, twins, torch.tensor([7, 7, 1]), "row"), 0.0, tolerance=1e-6)


# --- Eqs. 10, 11: instance labels -----------------------------------------------------------


def test_lengths_of_the_weight_columns_do_not_matter() -> None:
    stretched = MIXED._replace(weight=MIXED.weight * torch.linspace(0.1, 20, 9).double())
    for case in ("instance_classification", "imbalance_kl"):
        close(CASES[case](losses, stretched), CASES[case](losses, MIXED))


def test_only_matching_pairs_are_projected_on_each_other() -> None:
    image, text, weight = MIXED[:3]
    logits = losses.projected_class_logits(image, text, weight)
    columns = weight / weight.norm(dim=0)
    close(logits[0], losses.project(image, text) @ columns)
    close(logits[1], losses.project(text, image) @ columns)
    first_alone = losses.projected_class_logits(image[:1], text[:1], weight)
    for whole, first in zip(logits, first_alone, strict=True):
        close(first, whole[:1])


def test_classification_of_equal_logits_is_twice_log_classes() -> None:
    logits, labels = torch.ones(3, 9, dtype=torch.float64), torch.tensor([0, 8, 4])
    close(losses.instance_classification_loss(logits, -logits, labels), 2 * math.log(9))
    sure = 100 * torch.eye(9, dtype=torch.float64)[labels]
    close(losses.instance_classification_loss(sure, sure, labels), 0.0)
    close(losses.instance_classification_loss(sure, logits, labels), math.log(9))


def test_imbalance_is_zero_up_to_a_constant_per_row() -> None:
    logits, _ = losses.projected_class_logits(*MIXED[:3])
    shift = torch.linspace(-3, 3, 7, dtype=torch.float64)[:, None]
    close(losses.imbalance_kl_loss(logits, logits + shift, eps=0.0), 0.0)
    same = losses.projected_class_logits(MIXED.image_features, MIXED.image_features, MIXED.weight)
    close(losses.imbalance_kl_loss(*same, eps=0.0), 0.0)
    # with eps: -2 tau^2 C eps, to first order
    with_eps = losses.imbalance_kl_loss(*same, temperature=4.0, eps=1e-8)
    assert with_eps.item() == pytest.approx(-2 * 16 * 9 * 1e-8, rel=1e-2)


@given(batch=batches, temperature=st.floats(0.3, 10))
@few
def test_imbalance_is_symmetric_and_not_negative(batch: Sample, temperature: float) -> None:
    logits = losses.projected_class_logits(*batch[:3])
    there = losses.imbalance_kl_loss(*logits, temperature=temperature, eps=0.0)
    back = losses.imbalance_kl_loss(*logits[::-1], temperature=temperature, eps=0.0)
    close(back, there)
    assert there >= -1e-12


def test_imbalance_of_a_hot_softmax_is_the_variance_of_the_difference() -> None:
    logits = losses.projected_class_logits(*MIXED[:3])
    variance = (logits[0] - logits[1]).var(dim=1, correction=0).mean()
    hot = losses.imbalance_kl_loss(*logits, temperature=1e4, eps=0.0)
    assert variance > 1
    close(hot, variance, tolerance=1e-3)


# --- Eqs. 12-14: triplets -------------------------------------------------------------------


@triplets
@given(batch=batches, data=st.data())
@few
def test_triplets_do_not_notice_lengths(case: str, batch: Sample, data: st.DataObject) -> None:
    size = len(batch.labels)
    lengths = st.lists(st.floats(0.01, 100), min_size=size, max_size=size)
    stretched = batch._replace(
        image_features=batch.image_features * torch.tensor(data.draw(lengths))[:, None],
        text_features=batch.text_features * torch.tensor(data.draw(lengths))[:, None],
    )
    close(CASES[case](losses, stretched), CASES[case](losses, batch), tolerance=1e-7)


@pytest.mark.parametrize(
    ("loss", "hinges"),
    [
        (losses.inter_triplet_loss, 2),
        (losses.intra_triplet_loss, 2),
        (losses.bidirectional_triplet_loss, 4),
    ],
)
@pytest.mark.parametrize("margin", [0.0, 0.5, 1.0, 1.7])
def test_triplets_by_their_margin(loss: Callable[..., Tensor], hinges: int, margin: float) -> None:
    basis, labels = torch.eye(4, dtype=torch.float64), torch.arange(4)
    # positives at cosine 1 and negatives at 0; then both at 1; then no negatives; then opposed
    close(loss(basis, basis, labels, margin=margin), hinges * max(0.0, margin - 1))
    collapsed = torch.ones(4, 3, dtype=torch.float64)
    close(loss(collapsed, collapsed, labels, margin=margin), hinges * margin)
    close(loss(basis, basis, torch.zeros(4).long(), margin=margin), 0.0)


@triplets
@given(batch=batches)
@few
def test_triplets_stay_in_bounds(case: str, batch: Sample) -> None:
    hinges = 4 if "bidirectional" in case else 2
    assert 0 <= CASES[case](losses, batch) <= hinges * (1.3 + 2)


@triplets
def test_one_label_has_no_triplet_and_a_zero_with_a_graph(case: str) -> None:
    batch = with_gradient(sample([3, 3, 3]))
    loss = CASES[case](losses, batch)
    assert loss.requires_grad
    assert loss.item() == 0
    loss.backward()
    slopes = gradients(batch)
    assert set(slopes) == {"image_features", "text_features"}
    assert not any(slope.any() for slope in slopes.values())


def test_nobody_elses_sample_is_no_triplet_when_the_anchor_is_left_out() -> None:
    batch = with_gradient(sample([0, 1, 2, 3]))
    features = batch.image_features, batch.text_features
    assert losses.intra_triplet_loss(*features, batch.labels, margin=2.0) > 0
    loss = losses.intra_triplet_loss(*features, batch.labels, margin=2.0, positives="exclude_self")
    assert loss.item() == 0
    loss.backward()
    assert not any(slope.any() for slope in gradients(batch).values())


def test_triplets_take_labels_and_not_places_for_pairs() -> None:
    # rows 0 and 1 show one instance: neither is a negative of the other, and both are positives
    axis = torch.eye(3, dtype=torch.float64)
    text = torch.stack((axis[0], (axis[0] + axis[1]) / math.sqrt(2), axis[2]))
    labels = torch.tensor([6, 6, 1])
    # hardest positive at cosine 1/sqrt(2) for two anchors of three, in both directions
    loss = losses.inter_triplet_loss(axis[[0, 0, 2]], text, labels, margin=1.0)
    close(loss, (2 * (1 - math.sqrt(0.5)) + (1 - math.sqrt(0.5))) / 3)
