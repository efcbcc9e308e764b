"""Eqs. 7-9, 11-13, 15, 16 against loops and hand numbers; what they promise, refuse and cost."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any, NamedTuple

import oracles
import pytest
import torch
from loss_checks import (
    PATTERNS,
    Ledger,
    check_gradient_is_the_slope,
    check_half_precision_is_computed_in_float32,
    gradients,
    with_gradient,
)
from torch import Tensor
from torch.nn import functional as F

from kit.amid import losses

LN2 = math.log(2)
CLASSES = 9
SEVERAL_CLASSES = [labels for name, labels in PATTERNS.items() if name != "equal"]


class Sample(NamedTuple):
    other: Tensor  # (batch, dim), the student's or the auxiliary features
    teacher: Tensor  # (batch, dim)
    student_answers: Tensor  # (batch, CLASSES)
    teacher_answers: Tensor  # (batch, CLASSES)
    student_real: Tensor  # (batch,), a discriminator's logits
    teacher_real: Tensor  # (batch,)
    labels: Tensor  # (batch,)


def sample(
    labels: list[int], *, dim: int = 5, seed: int = 0, dtype: torch.dtype = torch.float64
) -> Sample:
    """Draw a batch whose rows differ in length."""
    generator = torch.Generator().manual_seed(seed)
    batch = len(labels)
    shapes = [(batch, dim)] * 2 + [(batch, CLASSES)] * 2 + [(batch,)] * 2
    drawn = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]
    drawn[1] = drawn[1] * (1 + torch.arange(batch)[:, None])
    return Sample(*(2 * each.to(dtype) for each in drawn), torch.tensor(labels))


Case = Callable[[ModuleType, Sample], Any]


def on_pairs(name: str, **options: Any) -> Case:
    return lambda library, s: getattr(library, name)(s.other, s.teacher, s.labels, **options)


# `library` is kit.amid.losses or the oracles: they share names and arguments
PAIR_CASES: dict[str, Case] = {
    "mutual_information": on_pairs("mutual_information_loss", temperature=0.5),
    "mutual_information_cold": on_pairs("mutual_information_loss", temperature=0.03),
    "mutual_information_symmetric": on_pairs(
        "mutual_information_loss", temperature=0.6, symmetric=True
    ),
    "contrastive_nce": on_pairs("contrastive_nce_loss", temperature=0.5),
    "contrastive_nce_cold": on_pairs("contrastive_nce_loss", temperature=0.03),
}
CASES: dict[str, Case] = PAIR_CASES | {
    "adversarial": lambda library, s: library.adversarial_loss(
        s.student_real, weight=0.4, divisor=4.17
    ),
    "discriminator": lambda library, s: library.discriminator_loss(
        s.student_real, s.teacher_real, weight=0.6, divisor=4.17
    ),
    "shared_classification": lambda library, s: library.shared_classification_loss(
        s.student_answers, s.teacher_answers, s.labels
    ),
    "jensen_shannon": lambda library, s: library.jensen_shannon_loss(
        s.student_answers, s.teacher_answers
    ),
}
every_loss = pytest.mark.parametrize("case", CASES)
pair_losses = pytest.mark.parametrize("case", PAIR_CASES)
patterns = pytest.mark.parametrize("pattern", PATTERNS)
batches = pytest.mark.parametrize("size", [1, 2, 7])
MIXED = sample(PATTERNS["mixed"])


def close(result: Any, expected: Any, tolerance: float = 1e-9) -> None:
    expected = torch.as_tensor(expected, dtype=torch.float64)
    torch.testing.assert_close(result, expected, rtol=tolerance, atol=tolerance)


def estimate(batch: Sample, temperature: float = 0.5) -> tuple[float, float, bool]:
    """Return the estimate as plain numbers, whatever kit makes them of."""
    found = losses.mutual_information_estimate(
        batch.other, batch.teacher, batch.labels, temperature=temperature
    )
    assert isinstance(found, losses.MutualInformationEstimate)
    assert found._fields == ("nats", "ceiling", "vacuous")
    return float(found.nats), float(found.ceiling), bool(found.vacuous)


# --- the loops ------------------------------------------------------------------------------


@every_loss
@patterns
@batches
def test_loss_equals_its_loop(case: str, pattern: str, size: int) -> None:
    for seed, dim in ((0, 5), (1, 3), (2, 1)):
        batch = sample(PATTERNS[pattern][:size], dim=dim, seed=seed)
        result = CASES[case](losses, batch)
        assert result.shape == ()
        close(result, CASES[case](oracles, batch))


@batches
@pytest.mark.parametrize("temperature", [1e-3, 0.03, 0.5, 4.0])
def test_pair_log_probabilities_equal_their_loop(size: int, temperature: float) -> None:
    pair = sample(PATTERNS["mixed"][:size])[:2]
    result = losses.pair_log_probabilities(*pair, temperature=temperature)
    loop = oracles.pair_log_probabilities(*pair, temperature=temperature)
    assert result.shape == (size, size)
    close(result, loop)
    close(result.exp().sum(1), torch.ones(size))


@pytest.mark.parametrize("labels", [*SEVERAL_CLASSES, [0, 1], [0, 0, 1]])
@pytest.mark.parametrize("temperature", [0.03, 0.5, 4.0])
def test_estimate_equals_its_loop(labels: list[int], temperature: float) -> None:
    batch = sample(labels)
    nats, ceiling, vacuous = estimate(batch, temperature)
    loop = oracles.mutual_information_estimate(
        batch.other, batch.teacher, batch.labels, temperature=temperature
    )
    assert (nats, ceiling) == pytest.approx(loop[:2], rel=1e-9, abs=1e-9)
    assert vacuous == loop[2]
    assert nats <= ceiling + 1e-12


@pytest.mark.parametrize("labels", [*PATTERNS.values(), [7], [7, 7], [3, 5]])
def test_classmates_equal_their_loop(labels: list[int]) -> None:
    mask = losses.has_classmate(torch.tensor(labels))
    assert mask.dtype == torch.bool
    assert mask.tolist() == oracles.has_classmate(labels)


def test_the_printed_pairing_of_classmates_gives_the_same_sums() -> None:
    """Eqs. 12, 13: D2 sees another sample of the class, in their order; each comes once."""
    labels = [4, 1, 4, 2, 1, 4]
    batch, share = sample(labels), {"weight": 0.6, "divisor": 3.5}
    mates = [[u for u, label in enumerate(labels) if label == own] for own in labels]
    v = [row for row, own in enumerate(mates) if len(own) > 1]
    eta_1 = [mates[row][(mates[row].index(row) + 1) % len(mates[row])] for row in v]
    assert all(other != row for row, other in zip(v, eta_1, strict=True))
    seen = losses.has_classmate(batch.labels)
    printed = oracles.adversarial_loss(batch.student_real[eta_1], **share)
    close(losses.adversarial_loss(batch.student_real[seen], **share), printed)
    game = losses.discriminator_loss(
        teacher_logits=batch.teacher_real[seen], student_logits=batch.student_real[seen], **share
    )
    printed = oracles.discriminator_loss(
        teacher_logits=batch.teacher_real[v], student_logits=batch.student_real[eta_1], **share
    )
    close(game, printed)


# --- numbers worked by hand -----------------------------------------------------------------

LOG3 = math.log(3)
TEACHER = torch.tensor([[1, 0], [0, 1], [1, 1], [-1, 0]], dtype=torch.float64)
STUDENT = torch.tensor([[1, 0], [1, 1], [0, 2], [0, -1]], dtype=torch.float64)
TWO_BY_TWO = torch.tensor([0, 1, 0, 1])
HAND = (STUDENT, TEACHER, TWO_BY_TWO)


def test_pairs_by_hand() -> None:
    log_h = losses.pair_log_probabilities(STUDENT, TEACHER, temperature=0.5)
    close(log_h[0].exp(), [0.5472439921, 0.3046331666, 0.0740614207, 0.0740614207])
    cosine = torch.tensor([1, math.sqrt(0.5), 0, 0], dtype=torch.float64)
    close(log_h[0], torch.log_softmax(cosine / 0.5, dim=0))


def test_mutual_information_by_hand() -> None:
    one_way = losses.mutual_information_loss(*HAND, temperature=0.5)
    close(one_way, 4.339789530671186)
    back = losses.mutual_information_loss(TEACHER, STUDENT, TWO_BY_TWO, temperature=0.5)
    both = losses.mutual_information_loss(*HAND, temperature=0.5, symmetric=True)
    close(both, 8.653373630835604)
    close(both, one_way + back)
    nce = losses.contrastive_nce_loss(*HAND, temperature=0.5)
    close(nce, 2.169894765335593)
    close(nce, one_way / 2)  # k = N = 2 everywhere


def test_the_teacher_is_the_anchor() -> None:
    for loss in (losses.mutual_information_loss, losses.contrastive_nce_loss):
        there, back = (
            loss(*pair, MIXED.labels, temperature=0.5)
            for pair in (MIXED[:2], (MIXED.teacher, MIXED.other))
        )
        assert not there.isclose(back, rtol=1e-4)


def test_estimate_by_hand() -> None:
    nats, ceiling, vacuous = estimate(
        MIXED._replace(other=STUDENT, teacher=TEACHER, labels=HAND[2])
    )
    # N = k = 2: log(2/2) + mean log h of a class; the ceiling log(2/4)
    log_h = oracles.pair_log_probabilities(STUDENT, TEACHER, temperature=0.5)
    mates = [(0, 0), (0, 2), (1, 1), (1, 3), (2, 0), (2, 2), (3, 1), (3, 3)]
    assert nats == pytest.approx(sum(log_h[pair] for pair in mates) / 8, rel=1e-9)
    assert ceiling == pytest.approx(-LN2, rel=1e-9)
    assert vacuous


@pytest.mark.parametrize(
    ("labels", "ceiling"),
    [
        ([0, 1, 2, 3, 4, 5, 6], math.log(6)),
        ([0, 0, 1, 2, 3, 4, 5], (2 * math.log(5 / 4) + 5 * math.log(6)) / 7),
        ([0, 1], 0.0),  # a ceiling of exactly 0 says nothing either
        ([0, 0, 1, 1, 2, 2], 0.0),
        ([i % 4 for i in range(128)], math.log(96 / 32**2)),  # IEMOCAP: -2.4
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_ceiling_by_hand(labels: list[int], ceiling: float, dtype: torch.dtype) -> None:
    _, found, vacuous = estimate(sample(labels, dtype=dtype))
    assert found == pytest.approx(ceiling, rel=1e-6, abs=1e-12)
    assert vacuous == (ceiling <= 0)


def test_an_estimate_reaches_its_ceiling() -> None:
    # each class on its own axis: h shares all its mass among the k of the class
    features = 3 * torch.eye(3, dtype=torch.float64)[[0, 0, 1, 2, 2, 2]]
    perfect = sample([5, 5, 1, 0, 0, 0])._replace(teacher=features, other=features)
    nats, ceiling, _ = estimate(perfect, temperature=0.01)
    assert nats == pytest.approx(ceiling, rel=1e-9)


def test_an_estimate_leads_no_gradient() -> None:
    batch = with_gradient(MIXED)
    found = losses.mutual_information_estimate(
        batch.other, batch.teacher, batch.labels, temperature=0.5
    )
    assert not any(getattr(number, "requires_grad", False) for number in found)


@pytest.mark.parametrize("labels", [[3], [3, 3], [3] * 7])
def test_an_estimate_needs_negatives(labels: list[int]) -> None:
    batch = sample(labels)
    with pytest.raises(ValueError, match=r"mutual_information_estimate.*labels"):
        losses.mutual_information_estimate(*batch[:2], batch.labels, temperature=0.5)


def test_discriminators_by_hand() -> None:
    def logits(*values: float) -> Tensor:
        return torch.tensor(values, dtype=torch.float64)

    first = {"weight": 0.4, "divisor": 4}
    second = {"weight": 0.6, "divisor": 4}
    student = logits(0, 1, -1, 2), logits(0.5, -0.5, 0, 1)
    teacher = logits(1, 1, 0, -1), logits(0, 2, 1, 1)
    assert losses.has_classmate(TWO_BY_TWO).all()
    close(
        losses.adversarial_loss(student[0], **first)
        + losses.adversarial_loss(student[1], **second),
        0.6128442821296937,
    )
    close(
        losses.discriminator_loss(student[0], teacher[0], **first)
        + losses.discriminator_loss(student[1], teacher[1], **second),
        1.4431272914370594,
    )


def test_jensen_shannon_by_hand() -> None:
    p = torch.tensor([[LOG3, 0]], dtype=torch.float64)
    expected = 0.75 * math.log(1.5) - 0.25 * LN2
    assert expected == pytest.approx(0.13081203594113708, rel=1e-12)
    close(losses.jensen_shannon_loss(p, p.flip(1)), expected)


# --- gradients ------------------------------------------------------------------------------


@every_loss
@patterns
def test_gradient_is_the_slope(case: str, pattern: str) -> None:
    batch = sample(PATTERNS[pattern][:4], dim=3, seed=3)
    check_gradient_is_the_slope(partial(CASES[case], losses), batch)


def test_gradient_of_the_pairs_is_the_slope() -> None:
    pair = with_gradient(sample([0] * 4, dim=3))[:2]
    assert torch.autograd.gradcheck(
        lambda *given: losses.pair_log_probabilities(*given, temperature=0.5), pair
    )


@pair_losses
def test_both_sides_of_a_pair_move(case: str) -> None:
    batch = with_gradient(MIXED)
    PAIR_CASES[case](losses, batch).backward()
    assert len(gradients(batch)) == 2
    assert all(slope.abs().amax(1).gt(0).all() for slope in gradients(batch).values())


def slopes_by_cosine(cosine: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Slope of Eq. 8 by x = cosine / tau: row u of `other` holds column u of the cosines."""
    cosine = cosine.clone().requires_grad_()
    rest = (1 - cosine.square().sum(0)).sqrt()
    other = torch.cat((cosine, rest[None])).T
    teacher = torch.eye(*other.shape, dtype=other.dtype)
    loss = losses.mutual_information_loss(other, teacher, labels, temperature=temperature)
    (slope,) = torch.autograd.grad(loss, cosine)
    return slope * temperature


@patterns
@batches
@pytest.mark.parametrize(
    ("dtype", "temperature", "tolerance"),
    [
        (torch.float64, 0.5, 1e-9),
        (torch.float64, 1e-3, 1e-8),
        (torch.float32, 0.5, 1e-6),
        (torch.float32, 0.01, 1e-4),
        (torch.float32, 1e-3, 1e-3),
    ],
)
def test_gradient_by_logits_is_the_one_on_paper(
    pattern: str, size: int, dtype: torch.dtype, temperature: float, tolerance: float
) -> None:
    generator = torch.Generator().manual_seed(size)
    cosine = torch.rand(size, size, generator=generator, dtype=torch.float64) - 0.5
    cosine = (1.8 * cosine / math.sqrt(size)).to(dtype)
    labels = torch.tensor(PATTERNS[pattern][:size])
    slope = slopes_by_cosine(cosine, labels, temperature)
    expected = oracles.mutual_information_slopes(cosine, labels, temperature=temperature)
    close(slope.double(), expected, tolerance)
    close(slope.double().sum(1), torch.zeros(size), tolerance)
    if temperature == 0.5:
        # the same as printed in its short form, in which large numbers cancel when tau is small
        same = labels[:, None] == labels
        h = (cosine.double() / temperature).softmax(1)
        r = (h / (1 - h)).masked_fill(same, 0)
        k = same.sum(1, keepdim=True)
        short = (k * h - same.double() + r - h * r.sum(1, keepdim=True)) / size
        close(slope.double(), short, tolerance)


# --- float32 at its edges -------------------------------------------------------------------


def identical(batch: Sample) -> Sample:
    row = batch.teacher[:1].expand_as(batch.teacher)
    return batch._replace(teacher=row, other=row)


def one_direction(batch: Sample) -> Sample:
    return batch._replace(teacher=batch.other, student_answers=batch.teacher_answers)


def equal_rows(batch: Sample) -> Sample:
    """Give the first and the last the same features, and two equal largest entries of a row."""
    teacher, other = batch.teacher.clone(), batch.other.clone()
    other[-1] = other[0]
    teacher[0] = teacher[-1] = other[0]
    return batch._replace(teacher=teacher, other=other)


def axes(batch: Sample) -> Tensor:
    return torch.eye(max(2, len(batch.labels)), dtype=batch.teacher.dtype)[: len(batch.labels)]


def wrong_neighbour(batch: Sample) -> Sample:
    """Set each anchor on the place of the next sample, and at right angles to all others."""
    return batch._replace(teacher=axes(batch), other=axes(batch).roll(1, 0))


def opposed(batch: Sample) -> Sample:
    return batch._replace(other=-batch.teacher)


def zero_row(batch: Sample) -> Sample:
    teacher, other = batch.teacher.clone(), batch.other.clone()
    teacher[0], other[-1] = 0, 0
    return batch._replace(teacher=teacher, other=other)


def certain(sign: int) -> Callable[[Sample], Sample]:
    def answers(batch: Sample) -> Sample:
        sure = 1e4 * F.one_hot(batch.labels, CLASSES).to(batch.teacher.dtype)
        real = torch.full_like(batch.teacher_real, sign * 1e4)
        return batch._replace(
            student_answers=sure,
            teacher_answers=sign * sure,
            teacher_real=real,
            student_real=-real,
        )

    return answers


EDGES: dict[str, Callable[[Sample], Sample]] = {
    "identical features": identical,
    "teacher and student agree": one_direction,
    "a pair of equal rows": equal_rows,
    "the nearest is a stranger": wrong_neighbour,
    "opposed": opposed,
    "a zero row": zero_row,
    "certain answers, right": certain(1),
    "certain answers, wrong": certain(-1),
    "nothing special": lambda batch: batch,
}


@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize("temperature", [1e-3, 0.01, 0.5])
@pytest.mark.parametrize("name", ["mutual_information_loss", "contrastive_nce_loss"])
def test_pair_losses_in_float32_stay_finite_and_right(
    name: str, temperature: float, edge: str
) -> None:
    check_float32(on_pairs(name, temperature=temperature), edge)


@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize("case", [case for case in CASES if case not in PAIR_CASES])
def test_other_losses_in_float32_stay_finite_and_right(case: str, edge: str) -> None:
    check_float32(CASES[case], edge)


def check_float32(case: Case, edge: str) -> None:
    for labels in ([4], [4, 4], [4, 2], *PATTERNS.values()):
        batch = with_gradient(EDGES[edge](sample(labels, dtype=torch.float32)))
        result = case(losses, batch)
        assert result.dtype == torch.float32
        assert result.isfinite(), labels
        # a cosine's last bit is 6e-8, and tau = 1e-3 makes it 6e-5
        assert result.item() == pytest.approx(case(oracles, batch), rel=1e-4, abs=2e-3)
        result.backward()
        assert gradients(batch)
        assert all(slope.isfinite().all() for slope in gradients(batch).values()), labels


@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize("temperature", [1e-3, 0.01, 0.5])
def test_estimate_in_float32_stays_finite_and_right(temperature: float, edge: str) -> None:
    for labels in ([4, 2], *SEVERAL_CLASSES):
        batch = EDGES[edge](sample(labels, dtype=torch.float32))
        loop = oracles.mutual_information_estimate(
            batch.other, batch.teacher, batch.labels, temperature=temperature
        )
        found = estimate(batch, temperature)
        assert found[:2] == pytest.approx(loop[:2], rel=1e-4, abs=2e-3)


def test_a_sure_and_wrong_pair_costs_its_logits() -> None:
    # every anchor has h = 1 at a stranger: log(1 - h) = log 2 - 1000 there, where 1 - h is 0
    features = torch.eye(3)
    for dtype, tolerance in ((torch.float32, 1e-6), (torch.float64, 1e-9)):
        loss = losses.mutual_information_loss(
            features.roll(1, 0).to(dtype),
            features.to(dtype),
            torch.tensor([0, 1, 2]),
            temperature=1e-3,
        )
        close(loss.double(), 1000 + 1000 - LN2, tolerance)


# --- what each loss promises ----------------------------------------------------------------


def rotation(dim: int) -> Tensor:
    generator = torch.Generator().manual_seed(7)
    return torch.linalg.qr(torch.randn(dim, dim, generator=generator, dtype=torch.float64))[0]


@every_loss
@patterns
def test_order_of_the_batch_does_not_matter(case: str, pattern: str) -> None:
    batch = sample(PATTERNS[pattern])
    shuffled = Sample(*(each[[3, 0, 6, 2, 5, 1, 4]] for each in batch))
    close(CASES[case](losses, shuffled), CASES[case](losses, batch))


@pair_losses
@patterns
def test_lengths_rotations_and_names_do_not_matter(case: str, pattern: str) -> None:
    batch = sample(PATTERNS[pattern])
    lengths, turn = torch.logspace(-2, 2, 7, dtype=torch.float64)[:, None], rotation(5)
    for changed in (
        {"teacher": batch.teacher * lengths},
        {"other": batch.other * lengths},
        {"teacher": batch.teacher @ turn, "other": batch.other @ turn},
        {"labels": -3 * batch.labels - 100},
        {"labels": batch.labels.to(torch.int32)},
    ):
        close(PAIR_CASES[case](losses, batch._replace(**changed)), PAIR_CASES[case](losses, batch))


@pytest.mark.parametrize("labels", [*PATTERNS.values(), [3], [3, 3], [3, 1]])
@pytest.mark.parametrize("temperature", [1e-3, 0.5])
def test_equal_similarities(labels: list[int], temperature: float) -> None:
    size, batch = len(labels), identical(sample(labels))
    mates = [labels.count(label) for label in labels]
    not_h = math.log(1 - 1 / size) if size > 1 else 0.0
    expected = sum(k * math.log(size) - (size - k) * not_h for k in mates) / size
    given = (batch.other, batch.teacher, batch.labels)
    close(losses.mutual_information_loss(*given, temperature=temperature), expected)
    strangers = sum(k < size for k in mates) / size
    nce = losses.contrastive_nce_loss(*given, temperature=temperature)
    close(nce, math.log(size) - strangers * not_h)


@patterns
@batches
@pytest.mark.parametrize("temperature", [0.01, 0.5, 5.0])
def test_mutual_information_has_a_lower_bound(pattern: str, size: int, temperature: float) -> None:
    labels = PATTERNS[pattern][:size]
    bound = sum(math.log(labels.count(label)) * labels.count(label) for label in labels) / size
    batch = sample(labels)
    aligned = torch.eye(CLASSES, dtype=torch.float64)[batch.labels]
    for pair in (batch[:2], identical(batch)[:2], (aligned, aligned), (aligned, -aligned)):
        loss = losses.mutual_information_loss(*pair, batch.labels, temperature=temperature)
        assert loss >= bound - 1e-9
        # with negatives it is never reached; far below tau = 0.5 the gap is lost in rounding
        assert loss > bound + 1e-6 or temperature < 0.1 or len(set(labels)) == 1
    if len(set(labels)) == 1:
        same = losses.mutual_information_loss(
            *identical(batch)[:2], batch.labels, temperature=temperature
        )
        close(same, bound)


@pair_losses
@pytest.mark.parametrize("size", [1, 2, 7])
def test_one_class_has_positives_alone(case: str, size: int) -> None:
    batch = with_gradient(sample([4] * size))
    loss = PAIR_CASES[case](losses, batch)
    loss.backward()
    assert loss.isfinite()
    assert all(slope.isfinite().all() for slope in gradients(batch).values())
    if size == 1:
        assert loss.item() == 0
        assert not any(slope.any() for slope in gradients(batch).values())
    elif case == "mutual_information":
        log_h = losses.pair_log_probabilities(*batch[:2], temperature=0.5)
        close(loss, -log_h.sum(1).mean())
    elif case == "contrastive_nce":
        close(loss, -losses.pair_log_probabilities(*batch[:2], temperature=0.5).mean())


@pytest.mark.parametrize(("first", "second", "divisor"), [(0.5, 0.5, 4.17), (0.8, 0.2, 7.0)])
@patterns
def test_undecided_discriminators(
    pattern: str, first: float, second: float, divisor: float
) -> None:
    labels = torch.tensor(PATTERNS[pattern])
    zeros = torch.zeros(7, dtype=torch.float64)
    chosen = zeros[losses.has_classmate(labels)]
    w = len(chosen)
    expected = LN2 * (first + second * w / divisor)
    adversarial = losses.adversarial_loss(zeros, weight=first, divisor=7)
    game = losses.discriminator_loss(zeros, zeros, weight=first, divisor=7)
    enhanced = losses.adversarial_loss(chosen, weight=second, divisor=divisor)
    enhanced_game = losses.discriminator_loss(chosen, chosen, weight=second, divisor=divisor)
    if w == 0:
        assert pattern == "distinct"
        assert enhanced is None
        assert enhanced_game is None
    else:
        adversarial, game = adversarial + enhanced, game + enhanced_game
    close(adversarial, expected)
    close(game, 2 * expected)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_terms_without_samples_are_absent(dtype: torch.dtype) -> None:
    nobody = torch.zeros(0, dtype=dtype, requires_grad=True)
    assert losses.adversarial_loss(nobody, weight=0.5, divisor=4.17) is None
    assert losses.discriminator_loss(nobody, nobody, weight=0.5, divisor=4.17) is None


def test_who_wins_and_by_how_much() -> None:
    real = torch.tensor([30.0, 40.0], dtype=torch.float64)
    options = {"weight": 0.5, "divisor": 2.0}
    close(losses.adversarial_loss(real, **options), 0.0)
    close(losses.adversarial_loss(-real, **options), 17.5)
    close(losses.discriminator_loss(-real, real, **options), 0.0)
    close(losses.discriminator_loss(-real, -real, **options), 17.5)
    close(losses.discriminator_loss(real, real, **options), 17.5)
    # no weight, as without D2: a zero, not an absence
    close(losses.adversarial_loss(-real, weight=0.0, divisor=2.0), 0.0)


def test_answers_that_know_nothing() -> None:
    labels = torch.tensor([0, 8, 4])
    flat, sure = torch.ones(3, 9).double(), 100 * torch.eye(9).double()[labels]
    close(losses.shared_classification_loss(flat, -flat, labels), 2 * math.log(9))
    close(losses.shared_classification_loss(sure, flat, labels), math.log(9))
    close(losses.shared_classification_loss(flat, sure, labels), math.log(9))
    close(losses.shared_classification_loss(sure, sure, labels.to(torch.int32)), 0.0)


@pytest.mark.parametrize("sharpness", [0.0, 1e-3, 1.0, 30.0, 1e4])
def test_jensen_shannon_is_bounded_and_symmetric(sharpness: float) -> None:
    for seed in range(5):
        batch = sample(PATTERNS["mixed"], seed=seed)
        p, q = sharpness * batch.student_answers, sharpness * batch.teacher_answers
        loss = losses.jensen_shannon_loss(p, q)
        assert -1e-12 <= loss <= LN2 + 1e-12
        close(losses.jensen_shannon_loss(q, p), loss)
        log_p, log_q = p.log_softmax(1), q.log_softmax(1)
        half_jeffreys = 0.5 * ((log_p.exp() - log_q.exp()) * (log_p - log_q)).sum(1).mean()
        assert loss <= half_jeffreys / 2 + 1e-12
        assert (loss > 1e-9) == (sharpness > 0)


def test_jensen_shannon_ends() -> None:
    p, shift = MIXED.student_answers, torch.linspace(-5, 5, 7).double()[:, None]
    close(losses.jensen_shannon_loss(p, p + shift), 0.0, 1e-12)
    apart = 1e3 * torch.eye(7, dtype=torch.float64)
    close(losses.jensen_shannon_loss(apart, apart.roll(1, 0)), LN2)


# --- precision and cost ---------------------------------------------------------------------


@every_loss
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(case: str, dtype: torch.dtype) -> None:
    half = sample(PATTERNS["mixed"], dtype=dtype)
    check_half_precision_is_computed_in_float32(partial(CASES[case], losses), half)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_pairs_and_estimate_of_half_precision_are_float32(dtype: torch.dtype) -> None:
    half = sample(PATTERNS["mixed"], dtype=dtype)
    single = Sample(*(each.float() for each in half[:-1]), half.labels)
    result = losses.pair_log_probabilities(*half[:2], temperature=0.5)
    assert result.dtype == torch.float32
    close(result.double(), losses.pair_log_probabilities(*single[:2], temperature=0.5), 1e-6)
    assert estimate(half) == pytest.approx(estimate(single), rel=1e-6)


@every_loss
def test_autocast_changes_nothing(case: str) -> None:
    batch = sample(PATTERNS["mixed"], dim=64, dtype=torch.float32)
    plain = CASES[case](losses, batch)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = CASES[case](losses, batch)
    assert cast.dtype == torch.float32
    torch.testing.assert_close(cast, plain, rtol=1e-6, atol=1e-6)


@every_loss
def test_nothing_larger_than_a_matrix_is_built(case: str) -> None:
    rows, dim = 24, 40
    batch = with_gradient(sample([label % 9 for label in range(rows)], dim=dim))
    with Ledger() as ledger:
        CASES[case](losses, batch).backward()
    # far below rows * rows * rows = 13,824
    assert rows <= ledger.largest <= rows * dim


def test_estimate_builds_nothing_larger_than_a_matrix() -> None:
    batch = sample([label % 9 for label in range(24)], dim=40)
    with Ledger() as ledger:
        estimate(batch)
    assert 24 * 24 <= ledger.largest <= 24 * 40


# --- what is refused ------------------------------------------------------------------------

FEATURES = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 1, 1, 2])
LOGITS = torch.zeros(4)
pair_functions = pytest.mark.parametrize(
    "loss",
    [
        losses.mutual_information_loss,
        losses.mutual_information_estimate,
        losses.contrastive_nce_loss,
        losses.pair_log_probabilities,
    ],
)
label_functions = pytest.mark.parametrize(
    "loss",
    [
        lambda labels: losses.mutual_information_loss(FEATURES, FEATURES, labels, temperature=1.0),
        lambda labels: losses.mutual_information_estimate(
            FEATURES, FEATURES, labels, temperature=1.0
        ),
        lambda labels: losses.contrastive_nce_loss(FEATURES, FEATURES, labels, temperature=1.0),
        lambda labels: losses.shared_classification_loss(FEATURES, FEATURES, labels),
    ],
    ids=["mutual_information_loss", "estimate", "contrastive_nce_loss", "shared_classification"],
)


def says(function: str, *words: str) -> str:
    """Match a message that starts with the function's name and holds all the words."""
    return f"(?s)^{function}: " + "".join(f"(?=.*{re.escape(word)})" for word in words)


def on_features(loss: Callable[..., Any], *pair: Tensor, temperature: float = 0.5) -> Any:
    labels = () if loss is losses.pair_log_probabilities else (LABELS,)
    return loss(*pair, *labels, temperature=temperature)


@pair_functions
@pytest.mark.parametrize("shape", [(4, 2), (3, 3), (4,), (4, 3, 1), (0, 3)])
def test_features_that_disagree(loss: Callable[..., Any], shape: tuple[int, ...]) -> None:
    bad = torch.ones(shape)
    with pytest.raises(ValueError, match=says(loss.__name__, "teacher_features", str(shape))):
        on_features(loss, FEATURES, bad)
    first = rf"^{loss.__name__}: features .*{re.escape(str(shape))}"
    with pytest.raises(ValueError, match=first):
        on_features(loss, bad, FEATURES)


@pair_functions
@pytest.mark.parametrize("bad", [torch.ones(0, 3), torch.ones(4), torch.ones(4, 3).long()])
def test_features_that_are_none(loss: Callable[..., Any], bad: Tensor) -> None:
    with pytest.raises(ValueError, match=says(loss.__name__, "features")):
        on_features(loss, bad, bad)


@pair_functions
@pytest.mark.parametrize("temperature", [0.0, -0.5, math.nan, math.inf])
def test_a_temperature_that_is_not_positive(loss: Callable[..., Any], temperature: float) -> None:
    with pytest.raises(ValueError, match=says(loss.__name__, "temperature", str(temperature))):
        on_features(loss, FEATURES, FEATURES, temperature=temperature)


@label_functions
@pytest.mark.parametrize(
    "bad", [LABELS[:3], LABELS[:, None], torch.tensor(1), LABELS.float(), LABELS.bool()]
)
def test_labels_that_do_not_fit(loss: Callable[..., Any], bad: Tensor) -> None:
    with pytest.raises(ValueError, match=r"^\w+: labels"):
        loss(bad)


@pytest.mark.parametrize("bad", [LABELS[:, None], torch.tensor(1), LABELS.float(), LABELS.bool()])
def test_classmates_by_labels_that_are_none(bad: Tensor) -> None:
    with pytest.raises(ValueError, match=says("has_classmate", "labels")):
        losses.has_classmate(bad)


@pytest.mark.parametrize("bad", [-1, -100, 3])
def test_labels_that_the_classifier_has_not(bad: int) -> None:
    labels = torch.tensor([0, 1, bad, 2])
    with pytest.raises(ValueError, match=says("shared_classification_loss", "labels", str(bad))):
        losses.shared_classification_loss(FEATURES, FEATURES, labels)


@pytest.mark.parametrize("shape", [(4, 2), (3, 3), (4,), (0, 3)])
def test_answers_that_disagree(shape: tuple[int, ...]) -> None:
    bad = torch.ones(shape)
    for name, loss in (
        ("jensen_shannon_loss", losses.jensen_shannon_loss),
        (
            "shared_classification_loss",
            lambda student, teacher: losses.shared_classification_loss(student, teacher, LABELS),
        ),
    ):
        with pytest.raises(ValueError, match=says(name, "teacher_logits", str(shape))):
            loss(FEATURES, bad)
        with pytest.raises(ValueError, match=says(name, "student_logits", str(shape))):
            loss(bad, FEATURES)


@pytest.mark.parametrize("bad", [torch.zeros(4, 1), torch.tensor(0.0), torch.zeros(4).long()])
def test_real_or_not_that_is_no_row_of_logits(bad: Tensor) -> None:
    options = {"weight": 0.5, "divisor": 4.0}
    with pytest.raises(ValueError, match=says("adversarial_loss", "student_logits")):
        losses.adversarial_loss(bad, **options)
    with pytest.raises(ValueError, match=says("discriminator_loss", "student_logits")):
        losses.discriminator_loss(bad, LOGITS, **options)
    with pytest.raises(ValueError, match=says("discriminator_loss", "teacher_logits")):
        losses.discriminator_loss(LOGITS, bad, **options)


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_the_teacher_and_the_student_play_in_pairs(rows: int) -> None:
    for pair in ((LOGITS, LOGITS[:rows]), (LOGITS[:rows], LOGITS)):
        words = "teacher_logits", "student_logits", f"({rows},)"
        with pytest.raises(ValueError, match=says("discriminator_loss", *words)):
            losses.discriminator_loss(*pair, weight=0.5, divisor=4.0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("divisor", 0.0),
        ("divisor", -4.0),
        ("divisor", math.nan),
        ("weight", -0.1),
        ("weight", math.nan),
    ],
)
def test_weights_and_divisors_out_of_range(name: str, value: float) -> None:
    options = {"weight": 0.5, "divisor": 4.0, name: value}
    with pytest.raises(ValueError, match=says("adversarial_loss", name, str(value))):
        losses.adversarial_loss(LOGITS, **options)
    with pytest.raises(ValueError, match=says("discriminator_loss", name, str(value))):
        losses.discriminator_loss(LOGITS, LOGITS, **options)
