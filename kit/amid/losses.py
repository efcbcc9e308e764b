"""Equations 4, 7-9 and 11-16 of AMID (Chen et al., 2023), in its order.

All are pure functions but Equation 14, whose weights remember: `AdversaryWeights`.

The paper's letters, in words:

    M, S, A     teacher, student and auxiliary features: (batch, dim), of any norm
    y           labels: the class of each sample
    h           pair_log_probabilities: how likely two samples are of one class, as a log
    P_i, k_i    samples of anchor i's class, itself included, and how many; N_i: all others
    V, w        samples whose class occurs more than once in the batch, and how many
    D1, D2      discriminators: one logit for a feature, teacher (real) against student
    tau, B      temperature, batch; a *_loss is minimised

The printed k and N depend on the anchor; only their sum B is constant. Gradients flow through both
factors of every product: who moves by a loss is decided where it is called.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kit.arguments import checked
from kit.checks import check_labels, check_matrices, check_number, check_whole, full_precision
from kit.information import direction

MOMENTUM = 0.9  # of Equation 14


@full_precision
def pair_log_probabilities(
    features: Tensor, teacher_features: Tensor, *, temperature: float
) -> Tensor:
    """Equation 7: log h(M_i, X_u), each teacher's cosines with the batch as a distribution.

    Args:
        features: (batch, dim) float, the student's or the auxiliary ones.
        teacher_features: (batch, dim) float, one anchor a row.
        temperature: tau > 0; the paper's is 0.5 on video, 0.6 on IEMOCAP.

    Returns:
        (batch, batch) log-probabilities in nats; the exponentials of a row sum to 1. The
        denominator runs over all of the batch, the positives and the anchor's own sample included.

    Raises:
        ValueError: shapes that disagree, a temperature that is not positive.

    >>> one = torch.eye(2)
    >>> pair_log_probabilities(one, one, temperature=1.0).exp()[0]  # e / (e + 1)
    tensor([0.7311, 0.2689])

    """
    name = "pair_log_probabilities"
    check_matrices(name, features=features, teacher_features=teacher_features)
    check_number(name, temperature=temperature)
    return F.log_softmax(_cosines(features, teacher_features) / temperature, dim=1)


@full_precision
def mutual_information_loss(
    features: Tensor,
    teacher_features: Tensor,
    labels: Tensor,
    *,
    temperature: float,
    symmetric: bool = False,
) -> Tensor:
    """Equations 8 and 9, L_MI: samples of one class are likely pairs, samples of two are not.

    For each anchor the sum of -log h over its class and of -log(1 - h) over all others, not divided
    by how many they are. With the student it is L_MIs and moves teacher and student, with the
    auxiliary features L_MIa.

    Args:
        features: (batch, dim) float, the student's or the auxiliary ones.
        teacher_features: (batch, dim) float, the anchors.
        labels: (batch,) whole numbers.
        temperature: tau > 0.
        symmetric: whether `features` are anchors too; the two directions are added.

    Returns:
        A scalar in nats, mean over anchors; at least the mean of k_i ln k_i, which is above 0 as
        soon as a class occurs twice. A batch of one class has no negatives, a batch of one sample
        gives 0.

    Raises:
        ValueError: shapes that disagree, labels that are no whole numbers, a temperature that is
            not positive.

    >>> one = torch.eye(2)  # each anchor: -2 log(e / (e + 1))
    >>> mutual_information_loss(one, one, torch.tensor([0, 1]), temperature=1.0)
    tensor(0.6265)

    """
    _check_pairs("mutual_information_loss", features, teacher_features, labels, temperature)
    logits = _cosines(features, teacher_features) / temperature
    same = _same_class(labels)
    loss = _pair_loss(logits, same).sum(1).mean()
    return loss + _pair_loss(logits.T, same).sum(1).mean() if symmetric else loss


class MutualInformationEstimate(NamedTuple):
    """What `mutual_information_estimate` measures, in nats.

    `ceiling` is what `nats` cannot exceed whatever the features are; where it is not above 0, the
    bound is `vacuous`: it says nothing of the mutual information.
    """

    nats: float
    ceiling: float
    vacuous: bool


@full_precision
@torch.no_grad()
def mutual_information_estimate(
    features: Tensor, teacher_features: Tensor, labels: Tensor, *, temperature: float
) -> MutualInformationEstimate:
    """Equation 4 evaluated with h: a lower bound on I(M; X), to be watched and not trained.

    The mean over anchors with negatives of log(N_i / k_i) + mean over the class of log h. Since a
    class shares h's probability among its k_i samples, the bound never exceeds log(N_i / k_i^2).

    Args:
        features: (batch, dim) float, the student's or the auxiliary ones.
        teacher_features: (batch, dim) float, the anchors.
        labels: (batch,) whole numbers.
        temperature: tau > 0.

    Raises:
        ValueError: as `mutual_information_loss`; a batch of one class, which has no negatives.

    >>> one = torch.eye(2)  # log(1 / 1) + log(e / (e + 1))
    >>> estimate = mutual_information_estimate(one, one, torch.tensor([0, 1]), temperature=1.0)
    >>> round(estimate.nats, 4), estimate.ceiling, estimate.vacuous
    (-0.3133, 0.0, True)

    """
    name = "mutual_information_estimate"
    _check_pairs(name, features, teacher_features, labels, temperature)
    same = _same_class(labels)
    positives = same.sum(1)
    negatives = len(labels) - positives
    if not negatives.any():
        raise ValueError(f"{name}: expected labels of at least two classes, all are {labels[0]}")
    log_h = pair_log_probabilities(features, teacher_features, temperature=temperature)
    anchors = negatives > 0
    mean_log_h = (log_h.where(same, 0).sum(1) / positives)[anchors]
    ratio = (negatives.to(log_h.dtype) / positives)[anchors].log()
    nats = (ratio + mean_log_h).mean().item()
    ceiling = (ratio - positives[anchors].to(log_h.dtype).log()).mean().item()
    return MutualInformationEstimate(nats, ceiling, ceiling <= 0)


@checked
def has_classmate(labels: Tensor) -> Tensor:
    """V of Equations 12 and 13: which samples' class occurs more than once in the batch.

    D2 is D1's game among these: the printed pairing of each with the next sample of its class is a
    permutation of V, and D2 sees one feature at a time.

    Args:
        labels: (batch,) whole numbers.

    Returns:
        (batch,) bool; all False where all classes are distinct.

    Raises:
        ValueError: labels that are no vector of whole numbers.

    >>> has_classmate(torch.tensor([3, 1, 3]))
    tensor([ True, False,  True])

    """
    check_labels("has_classmate", labels, rows=len(labels) if labels.ndim else 0)
    return _same_class(labels).sum(1) > 1


@full_precision
def adversarial_loss(
    student_logits: Tensor, *, weight: float | Tensor, divisor: float
) -> Tensor | None:
    """Equation 11, and half of Equation 12: a discriminator takes the student for the teacher.

    -(weight / divisor) sum log D(S). Equation 12, L_adv, is the sum of two calls: D1 on all of the
    batch with lambda_1 and B, D2 on `has_classmate` with lambda_2 and d. The student moves by it.

    Args:
        student_logits: (samples,) float, of one discriminator; any number of samples.
        weight: lambda of Equation 14, at least 0.
        divisor: B, or d of Equation 12, positive.

    Returns:
        A scalar in nats, at least 0; weight x samples / divisor x ln 2 when undecided. None without
        samples: the term is absent, and nobody moves by it.

    Raises:
        ValueError: logits that are no vector of floats, a divisor that is not positive.

    >>> adversarial_loss(torch.zeros(4), weight=0.5, divisor=4)  # ln 2 / 2
    tensor(0.3466)

    """
    _check_game("adversarial_loss", weight, divisor, student_logits=student_logits)
    if len(student_logits) == 0:
        return None
    return weight / divisor * F.softplus(-student_logits).sum()


@full_precision
def discriminator_loss(
    student_logits: Tensor, teacher_logits: Tensor, *, weight: float | Tensor, divisor: float
) -> Tensor | None:
    """Half of Equation 13: a discriminator tells the teacher (real) from the student.

    -(weight / divisor) sum [log D(M) + log(1 - D(S))]. Equation 13, L_D, is the sum of two calls,
    as in Equation 12. The discriminators move by it, on detached features.

    Args:
        student_logits: (samples,) float, D(S).
        teacher_logits: (samples,) float, D(M).
        weight: lambda of Equation 14, at least 0.
        divisor: B, or d, positive.

    Returns:
        A scalar in nats, at least 0; weight x samples / divisor x 2 ln 2 when undecided. None
        without samples.

    Raises:
        ValueError: logits that are no vectors of floats of one length, a divisor that is not
            positive.

    >>> discriminator_loss(torch.zeros(4), torch.zeros(4), weight=0.5, divisor=4)  # ln 2
    tensor(0.6931)

    """
    logits = {"student_logits": student_logits, "teacher_logits": teacher_logits}
    _check_game("discriminator_loss", weight, divisor, **logits)
    if len(student_logits) == 0:
        return None
    return weight / divisor * (F.softplus(-teacher_logits) + F.softplus(student_logits)).sum()


@checked
def expected_classmates(class_counts: Sequence[int], batch_size: int) -> float:
    """How many samples of a batch have a classmate in it, on average: d of Equations 12 and 13.

    batch_size x sum of p_c (1 - (1 - p_c)^(batch_size - 1)): a constant, "set by the frequency of
    the data with samples of the same classes". A batch's own number would make two samples weigh as
    much as sixteen.

    Args:
        class_counts: training samples of each class.
        batch_size: samples of a batch.

    Returns:
        A number in 0..batch_size.

    Raises:
        ValueError: no sample, a negative count, a batch size below 2.

    >>> expected_classmates([5, 5], batch_size=2)  # two samples, of one class every other time
    1.0

    """
    name, total = "expected_classmates", sum(class_counts)
    check_whole(name, at_least=2, batch_size=batch_size)
    if total == 0 or min(class_counts) < 0:
        raise ValueError(
            f"{name}: class_counts must be at least 0 and not all 0, got {class_counts}"
        )
    shares = [count / total for count in class_counts]
    return batch_size * sum(p * (1 - (1 - p) ** (batch_size - 1)) for p in shares)


class AdversaryWeights(nn.Module):
    """Equation 14, lambda_1 and lambda_2: what is aligned worse gets the larger weight.

    lambda = softmax(raw); at an epoch's end raw <- 0.9 raw + 0.1 (1 - the epoch's mean cosine),
    of a teacher with its own student feature for the first, with those of its classmates for the
    second. All state is in buffers, the sums of an unfinished epoch too, so that it is saved and
    moved with the networks.

    >>> weights = AdversaryWeights()
    >>> weights()  # lambda before anything was seen
    tensor([0.5000, 0.5000])

    """

    raw: Tensor
    cosine_sums: Tensor
    pair_counts: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("raw", torch.zeros(2))
        self.register_buffer("cosine_sums", torch.zeros(2, dtype=torch.float64))
        self.register_buffer("pair_counts", torch.zeros(2, dtype=torch.long))

    def _apply(self, move: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        """Move the buffers; a device without float64, such as Apple's, gets sums in float32."""
        apply: Any = super()._apply
        try:
            return apply(move, recurse)
        except TypeError:
            self.cosine_sums = self.cosine_sums.float()
            return apply(move, recurse)

    def forward(self) -> Tensor:
        """(2,) weights: lambda_1 for D1, lambda_2 for D2; they sum to 1."""
        return self.raw.softmax(0)

    @checked
    @torch.no_grad()
    def watch(self, student: Tensor, teacher: Tensor, labels: Tensor) -> None:
        """Add a batch's cosines to the epoch's sums.

        Args:
            student: (batch, dim) float.
            teacher: (batch, dim) float.
            labels: (batch,) whole numbers.

        Raises:
            ValueError: shapes that disagree, labels that are no whole numbers.

        """
        check_matrices("AdversaryWeights.watch", student=student, teacher=teacher)
        check_labels("AdversaryWeights.watch", labels, rows=len(teacher))
        exact = self.cosine_sums.dtype
        cosine = direction(teacher.to(exact)) @ direction(student.to(exact)).T
        same = labels[:, None] == labels[None, :]
        own = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
        pairs = torch.stack([own, same & ~own])
        self.cosine_sums += (cosine * pairs).sum((1, 2))
        self.pair_counts += pairs.sum((1, 2))

    @torch.no_grad()
    def update(self) -> None:
        """End an epoch: Equation 14, and sums from 0 again.

        A weight of which the epoch had no pair stays.
        """
        seen = self.pair_counts > 0
        mean = self.cosine_sums / self.pair_counts.clamp_min(1)
        moved = MOMENTUM * self.raw + (1 - MOMENTUM) * (1 - mean).to(self.raw.dtype)
        self.raw.copy_(torch.where(seen, moved, self.raw))
        self.cosine_sums.zero_()
        self.pair_counts.zero_()


@full_precision
def contrastive_nce_loss(
    features: Tensor, teacher_features: Tensor, labels: Tensor, *, temperature: float
) -> Tensor:
    """L_nce of Table 4's last row: `mutual_information_loss`, each sum divided by its number.

    Args:
        features: (batch, dim) float, the student's or the auxiliary ones.
        teacher_features: (batch, dim) float, the anchors.
        labels: (batch,) whole numbers.
        temperature: tau > 0.

    Returns:
        A scalar in nats, mean over anchors of the mean over positives and the mean over negatives;
        an anchor without negatives has none of the second.

    Raises:
        ValueError: as `mutual_information_loss`.

    >>> one = torch.eye(2)
    >>> contrastive_nce_loss(one, one, torch.tensor([0, 1]), temperature=1.0)
    tensor(0.6265)

    """
    _check_pairs("contrastive_nce_loss", features, teacher_features, labels, temperature)
    same = _same_class(labels)
    pairs = _pair_loss(_cosines(features, teacher_features) / temperature, same)
    counts = same.sum(1, keepdim=True)
    share = torch.where(same, counts, (len(labels) - counts).clamp_min(1))
    return (pairs / share).sum(1).mean()


@full_precision
def shared_classification_loss(
    student_logits: Tensor, teacher_logits: Tensor, labels: Tensor
) -> Tensor:
    """Equation 15, L_cls: one classifier for the student's and for the teacher's features.

    Args:
        student_logits: (batch, classes) float, of S.
        teacher_logits: (batch, classes) float, of M, by the same classifier.
        labels: (batch,) whole numbers in 0..classes-1.

    Returns:
        A scalar in nats, at least 0: the sum of both means, 2 ln(classes) when nothing is known.

    Raises:
        ValueError: shapes that disagree, a label out of range.

    >>> shared_classification_loss(torch.zeros(1, 2), torch.zeros(1, 2), torch.tensor([1]))
    tensor(1.3863)

    """
    name = "shared_classification_loss"
    check_matrices(name, student_logits=student_logits, teacher_logits=teacher_logits)
    rows, classes = student_logits.shape
    check_labels(name, labels, rows=rows, classes=classes)
    labels = labels.long()
    return F.cross_entropy(student_logits, labels) + F.cross_entropy(teacher_logits, labels)


@full_precision
def jensen_shannon_loss(student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """Equation 16, L_JSD: student and teacher give one answer. Both move.

    The true Jensen-Shannon divergence: half of each one's KL divergence from their mean. (Code of
    related work computes half the Jeffreys divergence under this name.)

    Args:
        student_logits: (batch, classes) float.
        teacher_logits: (batch, classes) float.

    Returns:
        A scalar in nats, mean over the batch, in [0, ln 2]; 0 only where the answers are equal.

    Raises:
        ValueError: shapes that disagree.

    >>> sure = torch.tensor([[50.0, 0.0]])
    >>> jensen_shannon_loss(sure, -sure)  # ln 2: they exclude each other
    tensor(0.6931)

    """
    check_matrices(
        "jensen_shannon_loss", student_logits=student_logits, teacher_logits=teacher_logits
    )
    log_p, log_q = F.log_softmax(student_logits, dim=1), F.log_softmax(teacher_logits, dim=1)
    log_mean = torch.logaddexp(log_p, log_q) - math.log(2)
    both = log_p.exp() * (log_p - log_mean) + log_q.exp() * (log_q - log_mean)
    return both.sum(1).mean() / 2


def _pair_loss(logits: Tensor, same: Tensor) -> Tensor:
    """(batch, batch): -log h where the class is the same, -log(1 - h) where it is not.

    log(1 - h) without cancellation: log1p(-h) up to one half, and for the one entry of a row that
    may lie above it, the log of what the others sum to. Inputs are masked, not results: a gradient
    of an unused infinity would be nan.
    """
    log_h = F.log_softmax(logits, dim=1)
    h = log_h.exp()
    large = h > 0.5  # at most one in a row, and in few rows
    log_not = torch.log1p(-h.masked_fill(large, 0))
    rows = torch.arange(len(h), device=h.device)
    if h.device.type == "cpu":  # a GPU would be waited for: there all rows are taken
        rows = rows[large.any(1)]
    if len(rows):
        lowest = torch.finfo(logits.dtype).min / 4
        others = logits[rows].masked_fill(large[rows], lowest).logsumexp(1)
        sums = others - logits[rows].logsumexp(1)
        log_others = torch.zeros_like(h[:, 0]).index_put((rows,), sums)
        log_not = torch.where(large, log_others[:, None], log_not)
    return -torch.where(same, log_h, log_not)


def _cosines(features: Tensor, teacher_features: Tensor) -> Tensor:
    """(batch, batch): a row of each teacher."""
    return direction(teacher_features) @ direction(features).T


def _same_class(labels: Tensor) -> Tensor:
    return labels[:, None] == labels[None, :]


def _check_pairs(
    name: str, features: Tensor, teacher_features: Tensor, labels: Tensor, temperature: float
) -> None:
    check_matrices(name, features=features, teacher_features=teacher_features)
    check_labels(name, labels, rows=len(features))
    check_number(name, temperature=temperature)


def _check_game(name: str, weight: float | Tensor, divisor: float, **logits: Tensor) -> None:
    for which, values in logits.items():
        if values.ndim != 1 or not values.is_floating_point():
            came = f"{tuple(values.shape)} {values.dtype}"
            raise ValueError(f"{name}: {which} must be (samples,) float, got {came}")
    if len({len(values) for values in logits.values()}) > 1:
        shapes = " and ".join(f"{which} {tuple(v.shape)}" for which, v in logits.items())
        raise ValueError(f"{name}: {shapes} must have the same shape")
    check_number(name, divisor=divisor)
    if not isinstance(weight, Tensor):
        check_number(name, at_least=0, weight=weight)
    elif weight.ndim or not weight.is_floating_point():
        came = f"{tuple(weight.shape)} {weight.dtype}"
        raise ValueError(f"{name}: weight must be a number, or a float tensor of one, got {came}")
