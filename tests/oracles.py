"""The papers' equations again, as plain loops over float64 numbers, to hold `kit` against.

Written from the equations alone, slow on purpose, and importing nothing from `kit`. A function here
has the name and the arguments of the one that it checks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

# --- one row at a time ----------------------------------------------------------------------


def matrix(values: Any) -> Matrix:
    """Return the float64 numbers of a tensor, an array or nested lists."""
    return np.asarray(values.detach() if hasattr(values, "detach") else values, dtype=np.float64)


def dot(a: Matrix, b: Matrix) -> float:
    return math.fsum(float(a[d]) * float(b[d]) for d in range(len(a)))


def unit(row: Matrix) -> Matrix:
    """Divide a row by its length; a length below 1e-12 counts as 1e-12."""
    length = max(math.sqrt(dot(row, row)), 1e-12)
    return np.divide(row, length)


def log_softmax(row: Matrix) -> list[float]:
    largest = max(row)
    log_sum = largest + math.log(math.fsum(math.exp(value - largest) for value in row))
    return [float(value - log_sum) for value in row]


def divergence(log_p: Sequence[float], log_q: Sequence[float], eps: float) -> float:
    """Sum p log(p / (q + eps)); what has no probability adds nothing."""
    total = 0.0
    for log_share, log_target in zip(log_p, log_q, strict=True):
        if math.exp(log_share) > 0:
            # without eps the logarithm itself: exp of it may underflow where it does not
            padded = math.log(math.exp(log_target) + eps) if eps else log_target
            total += math.exp(log_share) * (log_share - padded)
    return total


# --- ITMeetsAL, Eqs. 1-3: projections -------------------------------------------------------


def project(features: Any, onto: Any) -> Matrix:
    """Eq. 1: <z, zbar'> zbar', row by row, with its sign."""
    features, onto = matrix(features), matrix(onto)
    projected: Matrix = np.zeros_like(features)
    for j in range(len(features)):
        direction = unit(onto[j])
        length = dot(features[j], direction)
        for d in range(len(direction)):
            projected[j, d] = length * direction[d]
    return projected


def projection_lengths(features: Any, onto: Any) -> Matrix:
    """Eqs. 2, 3: A_jk = <z_j, zbar'_k>, with its sign."""
    features, onto = matrix(features), matrix(onto)
    lengths = np.zeros((len(features), len(onto)))
    for j in range(len(features)):
        for k in range(len(onto)):
            lengths[j, k] = dot(features[j], unit(onto[k]))
    return lengths


# --- ITMeetsAL, Eqs. 4, 5: the discriminator ------------------------------------------------


def modality_entropy_loss(image_logits: Any, text_logits: Any) -> float:
    """Eq. 4: (1/N) sum_j sum_m [p^i log p^i + p^t log p^t]."""
    image_logits, text_logits = matrix(image_logits), matrix(text_logits)
    total = 0.0
    for j in range(len(image_logits)):
        for row in (image_logits[j], text_logits[j]):
            for log_p in log_softmax(row):
                total += math.exp(log_p) * log_p
    return total / len(image_logits)


def modality_classification_loss(image_logits: Any, text_logits: Any) -> float:
    """Eq. 5: -(1/N) sum_j [log p^i(image) + log p^t(text)]; image is 0, text is 1."""
    image_logits, text_logits = matrix(image_logits), matrix(text_logits)
    total = 0.0
    for j in range(len(image_logits)):
        total -= log_softmax(image_logits[j])[0] + log_softmax(text_logits[j])[1]
    return total / len(image_logits)


# --- ITMeetsAL, Eqs. 6-9: projection against labels -----------------------------------------


def log_label_targets(labels: Any, kl_target: str) -> Matrix:
    """Eq. 8: log Q from G_jk = [y_j = y_k]: shares of the row, or the softmax as printed."""
    labels = np.asarray(labels)
    targets = np.zeros((len(labels), len(labels)))
    for j in range(len(labels)):
        weights = []
        for k in range(len(labels)):
            same = 1.0 if labels[j] == labels[k] else 0.0
            weights.append({"row": same, "softmax": math.exp(same)}[kl_target])
        for k in range(len(labels)):
            share = weights[k] / math.fsum(weights)
            targets[j, k] = math.log(share) if share else -math.inf
    return targets


def projection_kl_loss(
    image_features: Any, text_features: Any, labels: Any, *, kl_target: str, eps: float = 1e-8
) -> float:
    """Eq. 9 with P of Eqs. 6, 7: each anchor's softmax over the other modality's N rows."""
    targets = log_label_targets(labels, kl_target)
    total = 0.0
    for lengths in (
        projection_lengths(image_features, text_features),
        projection_lengths(text_features, image_features),
    ):
        for anchor in range(len(lengths)):
            total += divergence(log_softmax(lengths[anchor]), targets[anchor], eps)
    return total / len(targets)


# --- ITMeetsAL, Eqs. 10, 11: instance labels ------------------------------------------------


def projected_class_logits(
    image_features: Any, text_features: Any, weight: Any
) -> tuple[Matrix, Matrix]:
    """Return Wbar^T zhat for both directions; zhat_j from the matching pair j alone."""
    columns = [unit(column) for column in matrix(weight).T]
    both = []
    for features, onto in ((image_features, text_features), (text_features, image_features)):
        projected = project(features, onto)
        logits = np.zeros((len(projected), len(columns)))
        for j in range(len(projected)):
            for c in range(len(columns)):
                logits[j, c] = dot(columns[c], projected[j])
        both.append(logits)
    return both[0], both[1]


def instance_classification_loss(
    image_to_text_logits: Any, text_to_image_logits: Any, labels: Any
) -> float:
    """Eq. 10: the cross-entropies of both directions, each a mean over the batch."""
    labels = np.asarray(labels)
    total = 0.0
    for logits in (matrix(image_to_text_logits), matrix(text_to_image_logits)):
        for j in range(len(logits)):
            total -= log_softmax(logits[j])[labels[j]]
    return total / len(labels)


def imbalance_kl_loss(
    image_to_text_logits: Any,
    text_to_image_logits: Any,
    *,
    temperature: float = 4.0,
    eps: float = 1e-8,
) -> float:
    """Eq. 11: (tau^2/N) sum_j sum_c [p log(p/(q+eps)) + q log(q/(p+eps))]."""
    image_to_text, text_to_image = matrix(image_to_text_logits), matrix(text_to_image_logits)
    total = 0.0
    for j in range(len(image_to_text)):
        log_p = log_softmax(image_to_text[j] / temperature)
        log_q = log_softmax(text_to_image[j] / temperature)
        total += divergence(log_p, log_q, eps)
        total += divergence(log_q, log_p, eps)
    return temperature**2 * total / len(image_to_text)


# --- ITMeetsAL, Eqs. 12-14: triplets --------------------------------------------------------


def hinge(
    anchors: Any, others: Any, labels: Any, margin: float, *, skip_itself: bool = False
) -> float:
    """Return (1/N) sum_j max(0, m - hardest positive + hardest negative), by cosine.

    An anchor without a positive or without a negative adds nothing; the divisor stays N.
    """
    anchors, others, labels = matrix(anchors), matrix(others), np.asarray(labels)
    total = 0.0
    for j in range(len(anchors)):
        positives, negatives = [], []
        for k in range(len(others)):
            cosine = dot(unit(anchors[j]), unit(others[k]))
            if labels[k] != labels[j]:
                negatives.append(cosine)
            elif not (skip_itself and k == j):
                positives.append(cosine)
        if positives and negatives:
            total += max(0.0, margin - min(positives) + max(negatives))
    return total / len(anchors)


def inter_triplet_loss(
    image_features: Any, text_features: Any, labels: Any, *, margin: float = 0.5
) -> float:
    """Eq. 12: anchors of one modality, positives and negatives of the other."""
    return hinge(image_features, text_features, labels, margin) + hinge(
        text_features, image_features, labels, margin
    )


def intra_triplet_loss(
    image_features: Any,
    text_features: Any,
    labels: Any,
    *,
    margin: float = 0.5,
    positives: str = "include_self",
) -> float:
    """Eq. 13: all three of one modality; an anchor is its own positive, or is not."""
    skip_itself = {"include_self": False, "exclude_self": True}[positives]
    return hinge(image_features, image_features, labels, margin, skip_itself=skip_itself) + hinge(
        text_features, text_features, labels, margin, skip_itself=skip_itself
    )


def bidirectional_triplet_loss(
    image_features: Any,
    text_features: Any,
    labels: Any,
    *,
    margin: float = 0.5,
    intra_positives: str = "include_self",
) -> float:
    """Eq. 14: Eq. 12 plus Eq. 13."""
    return inter_triplet_loss(
        image_features, text_features, labels, margin=margin
    ) + intra_triplet_loss(
        image_features, text_features, labels, margin=margin, positives=intra_positives
    )


# --- AMID, Eqs. 7-9: who belongs to whom ----------------------------------------------------


def log_sum_exp(values: Sequence[float]) -> float:
    largest = max(values)
    return float(largest + math.log(math.fsum(math.exp(value - largest) for value in values)))


def cosines(other: Any, teacher: Any) -> Matrix:
    """Phi(M_i, X_u) for every pair, a row of each teacher."""
    teacher, other = matrix(teacher), matrix(other)
    table = np.zeros((len(teacher), len(other)))
    for i in range(len(teacher)):
        for u in range(len(other)):
            table[i, u] = dot(unit(teacher[i]), unit(other[u]))
    return table


def classmates(labels: Any, i: int) -> list[int]:
    """P_i: everyone of the anchor's class, itself among them."""
    return [u for u in range(len(labels)) if int(labels[u]) == int(labels[i])]


def strangers(labels: Any, i: int) -> list[int]:
    return [u for u in range(len(labels)) if int(labels[u]) != int(labels[i])]


def log_h(row: Sequence[float], u: int) -> float:
    """Eq. 7 for one anchor's logits: its softmax over all of the batch."""
    return row[u] - log_sum_exp(row)


def log_not_h(row: Sequence[float], u: int) -> float:
    """Return log(1 - h_u): what all others have, so that it never is 1 - 1."""
    return log_sum_exp([value for v, value in enumerate(row) if v != u]) - log_sum_exp(row)


def pair_log_probabilities(other: Any, teacher: Any, *, temperature: float) -> Matrix:
    """Eq. 7: log h(M_i, X_u), the denominator over all N + k samples."""
    logits = cosines(other, teacher) / temperature
    result = np.zeros_like(logits)
    for i in range(len(logits)):
        for u in range(len(logits)):
            result[i, u] = log_h(list(logits[i]), u)
    return result


def mutual_information_loss(
    other: Any, teacher: Any, labels: Any, *, temperature: float, symmetric: bool = False
) -> float:
    """Eqs. 8, 9: -(1/B) sum_i [sum_P log h + sum_N log(1 - h)]; the sums are not divided."""
    total = 0.0
    for anchors, others in ((teacher, other), (other, teacher))[: 2 if symmetric else 1]:
        logits = cosines(others, anchors) / temperature
        for i in range(len(logits)):
            row = list(logits[i])
            for u in classmates(labels, i):
                total -= log_h(row, u)
            for u in strangers(labels, i):
                total -= log_not_h(row, u)
    return total / len(labels)


def mutual_information_slopes(cosine: Any, labels: Any, *, temperature: float) -> Matrix:
    """Eq. 8's slope by x = cosine / tau, worked out by hand, and without cancellation.

    (1/B) [k h_u - 1_P(u) + 1_N(u) h_u - sum over the other strangers l of h_u h_l / (1 - h_l)]
    """
    logits = matrix(cosine) / temperature
    slopes = np.zeros_like(logits)
    for i in range(len(logits)):
        row, mine, theirs = list(logits[i]), classmates(labels, i), strangers(labels, i)
        for u in range(len(row)):
            h = math.exp(log_h(row, u))
            slope = len(mine) * h + (h if u in theirs else -1.0)
            for other in theirs:
                if other != u:
                    ratio = log_h(row, u) + log_h(row, other) - log_not_h(row, other)
                    slope -= math.exp(ratio)
            slopes[i, u] = slope / len(logits)
    return slopes


def mutual_information_estimate(
    other: Any, teacher: Any, labels: Any, *, temperature: float
) -> tuple[float, float, bool]:
    """Eq. 4's first term and h: mean log(N/k) + mean_P log h; it cannot exceed log(N/k^2)."""
    logits = cosines(other, teacher) / temperature
    nats, ceilings = [], []
    for i in range(len(logits)):
        k, n = len(classmates(labels, i)), len(strangers(labels, i))
        if n:
            mean = math.fsum(log_h(list(logits[i]), u) for u in classmates(labels, i)) / k
            nats.append(math.log(n / k) + mean)
            ceilings.append(math.log(n / k**2))
    ceiling = math.fsum(ceilings) / len(ceilings)
    return math.fsum(nats) / len(nats), ceiling, ceiling <= 0


def contrastive_nce_loss(other: Any, teacher: Any, labels: Any, *, temperature: float) -> float:
    """Eq. 8 as in CCL: the mean over positives plus the mean over negatives, if there are any."""
    logits = cosines(other, teacher) / temperature
    total = 0.0
    for i in range(len(logits)):
        row, mine, theirs = list(logits[i]), classmates(labels, i), strangers(labels, i)
        for u in mine:
            total -= log_h(row, u) / len(mine)
        for u in theirs:
            total -= log_not_h(row, u) / len(theirs)
    return total / len(logits)


# --- AMID, Eqs. 11-13: the discriminators ---------------------------------------------------


def has_classmate(labels: Any) -> list[bool]:
    """V of Eq. 12: the samples of classes with more than one sample in the batch."""
    return [len(classmates(labels, v)) > 1 for v in range(len(labels))]


def log_sigmoid(logit: float) -> float:
    return min(logit, 0.0) - math.log1p(math.exp(-abs(logit)))


def adversarial_loss(student_logits: Any, *, weight: float, divisor: float) -> float | None:
    """Eqs. 11, 12, one discriminator: -(lambda/d) sum log D(S); absent without samples."""
    logits = matrix(student_logits)
    total = 0.0
    for logit in logits:
        total -= log_sigmoid(float(logit))
    return weight * total / divisor if len(logits) else None


def discriminator_loss(
    student_logits: Any, teacher_logits: Any, *, weight: float, divisor: float
) -> float | None:
    """Eq. 13, one discriminator: -(lambda/d) sum [log D(M) + log(1 - D(S))]."""
    real, made = matrix(teacher_logits), matrix(student_logits)
    total = 0.0
    for v in range(len(real)):
        total -= log_sigmoid(float(real[v])) + log_sigmoid(-float(made[v]))
    return weight * total / divisor if len(real) else None


# --- AMID, Eqs. 15, 16: the answers ---------------------------------------------------------


def shared_classification_loss(student_logits: Any, teacher_logits: Any, labels: Any) -> float:
    """Eq. 15: the student's cross-entropy plus the teacher's, each a mean over the batch."""
    total = 0.0
    for logits in (matrix(student_logits), matrix(teacher_logits)):
        for i in range(len(logits)):
            total -= log_softmax(logits[i])[int(labels[i])]
    return total / len(labels)


def jensen_shannon_loss(student_logits: Any, teacher_logits: Any) -> float:
    """Eq. 16: (1/B) sum_i [KL(P_S || m) + KL(P_M || m)] / 2, m the mean of both."""
    student, teacher = matrix(student_logits), matrix(teacher_logits)
    total = 0.0
    for i in range(len(student)):
        log_p, log_q = log_softmax(student[i]), log_softmax(teacher[i])
        log_m = [log_sum_exp(pair) - math.log(2) for pair in zip(log_p, log_q, strict=True)]
        total += (divergence(log_p, log_m, 0.0) + divergence(log_q, log_m, 0.0)) / 2
    return total / len(student)
