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
