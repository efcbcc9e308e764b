"""Equations 1-14 of ITMeetsAL (Chen et al., 2021) as pure functions, in the paper's order.

The paper's letters, in words:

    z^i, z^t    image_features, text_features: (batch, dim), in the shared space, of any norm
    z with bar  the same, each row divided by its norm
    y_l         labels: the instance that a pair belongs to
    A           projection_lengths: how long z^i is along each z^t, and the other way round
    P, Q        softmax of A over the candidates; what the labels ask of it
    W           weight of the label classifier: (dim, classes)
    D           the discriminator: two logits for a feature, image first
    tau, m      temperature, margin
    N           the batch; every loss is a mean over it, and *_loss is minimised

Pair j is (z_j^i, z_j^t, y_j). Gradients flow through both factors of every product, and through the
normalisations: nothing is detached here. Who moves by a loss is decided in `method`.
"""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from kit import checks
from kit.information import direction, entropy, kl_divergence

KLTarget = Literal["row", "softmax"]
IntraPositives = Literal["include_self", "exclude_self"]


@checks.full_precision
def project(features: Tensor, onto: Tensor) -> Tensor:
    """Equation 1: each row projected on the direction of its partner, <z, zbar'> zbar'.

    Args:
        features: (batch, dim) float.
        onto: (batch, dim) float, the partners; a zero row gives a zero projection.

    Returns:
        (batch, dim): multiples of the rows of `onto`, in the unit of `features`.

    Raises:
        ValueError: shapes that disagree.

    The length keeps its sign: an opposed pair is projected backwards. (The text calls |<z, zbar'>|
    the similarity, which would make an opposed pair similar.)

    >>> project(torch.tensor([[2.0, 5.0]]), onto=torch.tensor([[3.0, 0.0]]))
    tensor([[2., 0.]])

    """
    checks.check_matrices("project", features=features, onto=onto)
    along = direction(onto)
    return (features * along).sum(1, keepdim=True) * along


@checks.full_precision
def projection_lengths(features: Tensor, onto: Tensor) -> Tensor:
    """Equations 2 and 3: A[j, k] = <z_j, zbar'_k>, how long each row is along each row of `onto`.

    Args:
        features: (batch, dim) float, one anchor a row.
        onto: (batch, dim) float, the candidates of the other modality.

    Returns:
        (batch, batch) signed lengths, in the unit of `features`; not symmetric.

    Raises:
        ValueError: shapes that disagree.

    The printed double sum and absolute value equal the matrix product that stands beside them only
    when read as the matrix of signed lengths.

    >>> a, b = torch.tensor([[2.0, 0.0], [0.0, 1.0]]), torch.tensor([[1.0, 0.0], [0.0, 3.0]])
    >>> projection_lengths(a, b)
    tensor([[2., 0.],
            [0., 1.]])

    """
    checks.check_matrices("projection_lengths", features=features, onto=onto)
    return features @ direction(onto).T


@checks.full_precision
def modality_entropy_loss(image_logits: Tensor, text_logits: Tensor) -> Tensor:
    """Equation 4, L_s: minus the discriminator's entropy. The encoders move by it.

    Args:
        image_logits: (batch, 2) float, D(z^i).
        text_logits: (batch, 2) float, D(z^t).

    Returns:
        A scalar in nats: minus the mean entropy of the images' answers, minus that of the texts'.
        It lies in [-2 ln 2, 0]: -1.386 when D cannot tell the modalities apart, 0 when D is
        certain.

    Raises:
        ValueError: logits that are not (batch, 2), or of unequal shape.

    The printed P_U in the second logarithm is read as P_D. Where D is certain the gradient dies
    too: it is p (log p + H) for each logit.

    >>> modality_entropy_loss(torch.zeros(3, 2), torch.zeros(3, 2))
    tensor(-1.3863)

    """
    _check_modality_logits("modality_entropy_loss", image_logits, text_logits)
    return -entropy(image_logits).mean() - entropy(text_logits).mean()


@checks.full_precision
def modality_classification_loss(image_logits: Tensor, text_logits: Tensor) -> Tensor:
    """Equation 5, L_c: cross-entropy of images (class 0) against texts. D moves by it.

    Args:
        image_logits: (batch, 2) float, D(z^i).
        text_logits: (batch, 2) float, D(z^t).

    Returns:
        A scalar in nats, the sum of both modalities' means: 0 when all are told apart, 2 ln 2 =
        1.386 at chance, without upper bound.

    Raises:
        ValueError: logits that are not (batch, 2), or of unequal shape.

    The text calls it a negative cross-entropy; it is the cross-entropy.

    >>> modality_classification_loss(torch.zeros(3, 2), torch.zeros(3, 2))
    tensor(1.3863)

    """
    _check_modality_logits("modality_classification_loss", image_logits, text_logits)
    images = torch.zeros(len(image_logits), dtype=torch.long, device=image_logits.device)
    return F.cross_entropy(image_logits, images) + F.cross_entropy(text_logits, images + 1)


@checks.full_precision
def projection_kl_loss(
    image_features: Tensor,
    text_features: Tensor,
    labels: Tensor,
    *,
    kl_target: KLTarget,
    eps: float = 1e-8,
) -> Tensor:
    """Equations 6-9, L_kl: the projection lengths, as probabilities, against what the labels ask.

    P is the softmax of each row of A (Equations 6 and 7): for every anchor a distribution over the
    batch's candidates of the other modality. L_kl is KL(P || Q + eps), both ways. The encoders move
    by it.

    Args:
        image_features: (batch, dim) float.
        text_features: (batch, dim) float.
        labels: (batch,) whole numbers; equal labels belong together.
        kl_target: what Q is. ``"row"``: Q is shared equally among the candidates of the anchor's
            label, as in the work the paper builds on. ``"softmax"``: Equation 8 as printed, the
            softmax of [same label], nearly uniform. There is no default: it is the paper's most
            consequential ambiguity.
        eps: added to Q inside the logarithm; above 0 with ``"row"``, whose Q has zeros.

    Returns:
        A scalar in nats, mean over anchors, sum of both directions; at least 0 up to batch x eps.
        With ``"softmax"`` 0 where each row of A is [same label] plus a constant.

    Raises:
        ValueError: shapes that disagree, labels that are no whole numbers, an unknown `kl_target`,
            ``"row"`` with eps 0.

    >>> one = torch.eye(2)
    >>> round(projection_kl_loss(one, one, torch.tensor([0, 1]), kl_target="softmax").item(), 4)
    0.0

    """
    name = "projection_kl_loss"
    _check_pairs(name, image_features, text_features, labels)
    checks.check_number(name, at_least=0, eps=eps)
    if kl_target == "row" and eps == 0:
        raise ValueError(f"{name}: kl_target 'row' needs eps above 0: Q is 0 at other labels")
    same = (labels[:, None] == labels).to(image_features.dtype)
    log_q = F.log_softmax(same, dim=1) if kl_target == "softmax" else F.normalize(same, p=1).log()
    image_to_text = F.log_softmax(projection_lengths(image_features, text_features), dim=1)
    text_to_image = F.log_softmax(projection_lengths(text_features, image_features), dim=1)
    loss = kl_divergence(image_to_text, log_q, eps=eps).mean()
    return loss + kl_divergence(text_to_image, log_q, eps=eps).mean()


@checks.full_precision
def projected_class_logits(
    image_features: Tensor, text_features: Tensor, weight: Tensor
) -> tuple[Tensor, Tensor]:
    """The products inside Equations 10 and 11: W^T zhat of each pair, in both directions.

    W^T zhat^{i->t} is <z^i, zbar^t> (W^T zbar^t), so that no projected feature is ever built, and
    the two losses share these two matrix products.

    Args:
        image_features: (batch, dim) float.
        text_features: (batch, dim) float, row j the partner of image j.
        weight: (dim, classes) float, any norm: its columns are normalised here, ||W_c|| = 1.

    Returns:
        (image_to_text, text_to_image), each (batch, classes), in the unit of the features.

    Raises:
        ValueError: shapes that disagree.

    >>> image, text = torch.tensor([[2.0, 5.0]]), torch.tensor([[0.0, 3.0]])
    >>> projected_class_logits(image, text, weight=5 * torch.eye(2))[0]  # zhat = (0, 5)
    tensor([[0., 5.]])

    """
    name = "projected_class_logits"
    checks.check_matrices(name, image_features=image_features, text_features=text_features)
    checks.check_matrices(name, weight=weight)
    dim = image_features.shape[1]
    if len(weight) != dim:
        raise ValueError(f"{name}: weight must be ({dim}, classes), got {tuple(weight.shape)}")
    image_direction, text_direction = direction(image_features), direction(text_features)
    classes = direction(weight, dim=0)
    image_length = (image_features * text_direction).sum(1, keepdim=True)
    text_length = (text_features * image_direction).sum(1, keepdim=True)
    return image_length * (text_direction @ classes), text_length * (image_direction @ classes)


@checks.full_precision
def instance_classification_loss(
    image_to_text_logits: Tensor, text_to_image_logits: Tensor, labels: Tensor
) -> Tensor:
    """Equation 10, L_ce: every pair is its own class. Encoders and W move by it.

    Args:
        image_to_text_logits: (batch, classes) float, from `projected_class_logits`.
        text_to_image_logits: (batch, classes) float, likewise.
        labels: (batch,) whole numbers in 0..classes-1.

    Returns:
        A scalar in nats, at least 0: the sum of both directions' mean cross-entropies; 2
        ln(classes) when nothing is known.

    Raises:
        ValueError: shapes that disagree, a label out of range.

    The printed factor y_l is read as one-hot; as a number it would weigh a loss by its class index.

    >>> logits = torch.zeros(1, 2)
    >>> instance_classification_loss(logits, logits, torch.tensor([1]))
    tensor(1.3863)

    """
    name = "instance_classification_loss"
    checks.check_matrices(
        name, image_to_text_logits=image_to_text_logits, text_to_image_logits=text_to_image_logits
    )
    rows, classes = image_to_text_logits.shape
    checks.check_labels(name, labels, rows=rows, classes=classes)
    labels = labels.long()
    image_to_text = F.cross_entropy(image_to_text_logits, labels)
    return image_to_text + F.cross_entropy(text_to_image_logits, labels)


@checks.full_precision
def imbalance_kl_loss(
    image_to_text_logits: Tensor,
    text_to_image_logits: Tensor,
    *,
    temperature: float = 4.0,
    eps: float = 1e-8,
) -> Tensor:
    """Equation 11, L_di: both directions give one softened answer. Encoders and W move.

    Args:
        image_to_text_logits: (batch, classes) float, from `projected_class_logits`.
        text_to_image_logits: (batch, classes) float, likewise.
        temperature: tau > 0; the paper's best is 4 (Table 5).
        eps: added to the second probability inside the logarithm.

    Returns:
        A scalar: tau^2 times the mean over the batch of KL(p || q) + KL(q || p), in nats; at least
        0 up to 2 tau^2 classes eps, 0 where the logits agree up to a constant a row. For tau ->
        infinity it tends to the mean variance over classes of the difference of the logits.

    Raises:
        ValueError: shapes that disagree, a temperature that is not positive.

    >>> a, b = torch.tensor([[1.0, -1.0]]), torch.tensor([[-1.0, 1.0]])
    >>> round(imbalance_kl_loss(a, b, temperature=1e3, eps=0.0).item(), 3)  # Var(2, -2)
    4.0

    """
    name = "imbalance_kl_loss"
    checks.check_matrices(
        name, image_to_text_logits=image_to_text_logits, text_to_image_logits=text_to_image_logits
    )
    checks.check_number(name, temperature=temperature)
    checks.check_number(name, at_least=0, eps=eps)
    log_p = F.log_softmax(image_to_text_logits / temperature, dim=1)
    log_q = F.log_softmax(text_to_image_logits / temperature, dim=1)
    both = kl_divergence(log_p, log_q, eps=eps) + kl_divergence(log_q, log_p, eps=eps)
    return temperature**2 * both.mean()


@checks.full_precision
def inter_triplet_loss(
    image_features: Tensor, text_features: Tensor, labels: Tensor, *, margin: float = 0.5
) -> Tensor:
    """Equation 12, L_inter: across modalities, the hardest positive above the hardest negative.

    For every anchor max(0, margin - S+ + S-), S+ its least similar candidate of the same label, S-
    its most similar one of another label; S is the cosine. The encoders move by it.

    Args:
        image_features: (batch, dim) float.
        text_features: (batch, dim) float.
        labels: (batch,) whole numbers.
        margin: m, at least 0, in units of cosine.

    Returns:
        A scalar in [0, 2 (margin + 2)]: the sum of both directions' means. An anchor without
        negatives counts as 0. When all features are equal it is 2 margin: a loss that sits there
        has collapsed.

    Raises:
        ValueError: shapes that disagree, a negative margin.

    S = Z^T Z is printed, "the cosine function" is said: features are normalised.

    >>> one = torch.eye(2)
    >>> inter_triplet_loss(one, one, torch.tensor([0, 1]), margin=1.5)  # each anchor: 1.5 - 1 + 0
    tensor(1.)

    """
    name = "inter_triplet_loss"
    _check_pairs(name, image_features, text_features, labels)
    checks.check_number(name, at_least=0, margin=margin)
    similarity = direction(image_features) @ direction(text_features).T
    same = labels[:, None] == labels
    image_to_text = _hardest_hinge(similarity, same, ~same, margin)
    return image_to_text + _hardest_hinge(similarity.T, same, ~same, margin)


@checks.full_precision
def intra_triplet_loss(
    image_features: Tensor,
    text_features: Tensor,
    labels: Tensor,
    *,
    margin: float = 0.5,
    positives: IntraPositives = "include_self",
) -> Tensor:
    """Equation 13, L_intra: the same as Equation 12 within the images, and within the texts.

    Args:
        image_features: (batch, dim) float.
        text_features: (batch, dim) float.
        labels: (batch,) whole numbers.
        margin: m, at least 0, in units of cosine.
        positives: ``"include_self"``: the anchor is among its own positives, so an anchor alone
            with its label still pushes others below a cosine of 1 - margin. ``"exclude_self"``:
            such an anchor counts as 0 (with random pairs of many instances that is nearly every
            anchor).

    Returns:
        A scalar in [0, 2 (margin + 2)]: the sum of both modalities' means.

    Raises:
        ValueError: shapes that disagree, a negative margin, unknown `positives`.

    >>> one = torch.eye(2)
    >>> intra_triplet_loss(one, one, torch.tensor([0, 1]), margin=1.5)
    tensor(1.)

    """
    name = "intra_triplet_loss"
    _check_pairs(name, image_features, text_features, labels)
    checks.check_number(name, at_least=0, margin=margin)
    same = positive = labels[:, None] == labels
    if positives == "exclude_self":
        positive = same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    image, text = direction(image_features), direction(text_features)
    within_images = _hardest_hinge(image @ image.T, positive, ~same, margin)
    return within_images + _hardest_hinge(text @ text.T, positive, ~same, margin)


@checks.full_precision
def bidirectional_triplet_loss(
    image_features: Tensor,
    text_features: Tensor,
    labels: Tensor,
    *,
    margin: float = 0.5,
    intra_positives: IntraPositives = "include_self",
) -> Tensor:
    """Equation 14, L_tr = L_inter + L_intra: four hinges. The encoders move by it.

    Args:
        image_features: (batch, dim) float.
        text_features: (batch, dim) float.
        labels: (batch,) whole numbers.
        margin: m, at least 0, in units of cosine; the paper sets 0.5.
        intra_positives: the `positives` of `intra_triplet_loss`.

    Returns:
        A scalar in [0, 4 (margin + 2)]. 4 margin when all features are equal: it has collapsed.

    Raises:
        ValueError: as `inter_triplet_loss` and `intra_triplet_loss`.

    >>> same = torch.ones(2, 3)
    >>> bidirectional_triplet_loss(same, same, torch.tensor([0, 1]))
    tensor(2.)

    """
    name = "bidirectional_triplet_loss"
    _check_pairs(name, image_features, text_features, labels)
    checks.check_number(name, at_least=0, margin=margin)
    inter = inter_triplet_loss(image_features, text_features, labels, margin=margin)
    intra = intra_triplet_loss(
        image_features, text_features, labels, margin=margin, positives=intra_positives
    )
    return inter + intra


def _hardest_hinge(similarity: Tensor, positive: Tensor, negative: Tensor, margin: float) -> Tensor:
    """Mean over all anchors of max(0, margin - hardest positive + hardest negative)."""
    # Finite fills: an infinite one times a zero gradient would be nan.
    limits = torch.finfo(similarity.dtype)
    hardest_positive = similarity.masked_fill(~positive, limits.max / 4).amin(1)
    hardest_negative = similarity.masked_fill(~negative, limits.min / 4).amax(1)
    return F.relu(margin - hardest_positive + hardest_negative).mean()


def _check_pairs(name: str, image_features: Tensor, text_features: Tensor, labels: Tensor) -> None:
    checks.check_matrices(name, image_features=image_features, text_features=text_features)
    checks.check_labels(name, labels, rows=len(image_features))


def _check_modality_logits(name: str, image_logits: Tensor, text_logits: Tensor) -> None:
    checks.check_matrices(name, image_logits=image_logits, text_logits=text_logits)
    if image_logits.shape[1] != 2:
        raise ValueError(
            f"{name}: image_logits must be (batch, 2), got {tuple(image_logits.shape)}"
        )
