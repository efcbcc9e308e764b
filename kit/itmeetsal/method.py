"""The numbers of ITMeetsAL, and Algorithm 1 as turns.

A generator turn at every step moves the encoders and the label classifier down
L_ce + L_di + L_tr + L_kl + L_s; at each k-th step a discriminator turn moves theta_D down L_c, on
the detached features of that step. (Equation 15 prints max over theta_D of the generator's sum;
Algorithm 1 and the text of 4.1 contradict it, and are followed here.) Figure 7's adversary replaces
D by two heads: an uncertainty predictor U, moved by the generator turn, and a modality classifier C
behind a gradient reversal layer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any, Literal, NamedTuple

from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from kit.checks import check_choice, check_number
from kit.data.pairs import PairBatch
from kit.encoders.text import BiLSTM
from kit.information import entropy
from kit.itmeetsal.losses import (
    IntraPositives,
    KLTarget,
    bidirectional_triplet_loss,
    imbalance_kl_loss,
    instance_classification_loss,
    modality_classification_loss,
    modality_entropy_loss,
    projected_class_logits,
    projection_kl_loss,
)
from kit.itmeetsal.networks import modality_discriminator, reverse_gradient, shared_space
from kit.training import Turn, scale_learning_rates

AdversaryName = Literal["unified", "separate", "none"]


@dataclass(frozen=True)
class Config:
    """Every number of the method, with the paper's value as its default and its section.

    Weights multiply the terms of the generator's turn; 0 leaves a term out.

    Raises:
        ValueError: an impossible value, named.

    """

    # Model (4, 5.1)
    dim: int = 512  # width of the shared space (5.1)
    word_dim: int = 512  # width of a word embedding
    lstm_units: int = 512  # per direction; the text feature has twice as many (5.1: 1024)
    dropout: float = 0.3  # on word embeddings and LSTM outputs (5.1)
    min_word_count: int = 3  # a word must occur as often in the training captions

    # Objective (4.1 - 4.4, 5.1)
    classification_weight: float = 1.0  # L_ce, Equation 10
    imbalance_weight: float = 1.0  # L_di, Equation 11
    triplet_weight: float = 1.0  # L_tr, Equation 14
    kl_weight: float = 1.0  # L_kl, Equation 9
    entropy_weight: float = 1.0  # L_s, Equation 4; with "separate" the reversed L_d as well
    adversary: AdversaryName = "unified"  # Figure 4; "separate": Figure 7; "none": no discriminator
    kl_target: KLTarget = "row"  # Q of Equation 8; "softmax": as printed
    temperature: float = 4.0  # tau of Equation 11 (5.1, Table 5)
    margin: float = 0.5  # m of Equations 12-13 (5.1)
    intra_positives: IntraPositives = "include_self"  # of Equation 13

    # Optimisation (Algorithm 1, 5.1)
    backbone_learning_rate: float = 2e-5  # lr_1 (5.1)
    learning_rate: float = 2e-4  # lr_2: not printed; the value of the work it builds on
    weight_decay: float = 4e-5  # on the backbone and the two projections
    decay: float = 0.94  # factor of the staircase ("decaying every 2 epochs exponentially", 5.1)
    decay_epochs: int = 2  # (5.1)
    discriminator_every: int = 5  # k: generator steps for each discriminator step (5.1)
    batch_size: int = 64  # (5.1: 64 or 32)
    epochs: int = 30  # not printed

    def __post_init__(self) -> None:
        name = "Config"
        counts = ("dim", "word_dim", "lstm_units", "min_word_count", "decay_epochs")
        for count in (*counts, "discriminator_every", "batch_size", "epochs"):
            value = getattr(self, count)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(
                    f"{name}: {count} must be a whole number of at least 1, got {value}"
                )
        if self.dim < 8:
            raise ValueError(f"{name}: dim must be at least 8, got {self.dim}")
        if self.batch_size < 2:
            raise ValueError(f"{name}: batch_size must be at least 2, one pair has no negatives")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"{name}: dropout must lie in [0, 1), got {self.dropout}")
        if not 0 < self.decay <= 1:
            raise ValueError(f"{name}: decay must lie in (0, 1], got {self.decay}")
        weights = {f.name: getattr(self, f.name) for f in fields(self) if "weight" in f.name}
        check_number(name, at_least=0, margin=self.margin, **weights)
        check_number(
            name,
            temperature=self.temperature,
            learning_rate=self.learning_rate,
            backbone_learning_rate=self.backbone_learning_rate,
        )
        check_choice(name, among=("unified", "separate", "none"), adversary=self.adversary)
        check_choice(name, among=("row", "softmax"), kl_target=self.kl_target)
        check_choice(
            name, among=("include_self", "exclude_self"), intra_positives=self.intra_positives
        )
        if not any(value for key, value in weights.items() if key != "weight_decay"):
            raise ValueError(f"{name}: every term has weight 0: nothing would be trained")
        if self.adversary != "none" and self.entropy_weight == 0:
            raise ValueError(
                f"{name}: adversary {self.adversary!r} with entropy_weight 0 would train a "
                "discriminator that nobody hears; use adversary='none'"
            )


def paper() -> Config:
    """The full method: L_ce + L_di + L_tr + L_kl + L_s against L_c, Figure 4."""
    return Config()


def baseline1() -> Config:
    """Table 4's first row: L_ce + L_tr."""
    return replace(baseline2(), imbalance_weight=0.0)


def baseline2() -> Config:
    """Table 4's second row: L_ce + L_tr + L_di."""
    return replace(baseline3(), kl_weight=0.0)


def baseline3() -> Config:
    """Table 4's third row: L_ce + L_tr + L_di + L_kl, no adversary."""
    return replace(paper(), adversary="none", entropy_weight=0.0)


def separate() -> Config:
    """Figure 7: separate uncertainty predictor and modality classifier, with gradient reversal."""
    return replace(paper(), adversary="separate")


def literal() -> Config:
    """Equation 8 as printed: `kl_target="softmax"`."""
    return replace(paper(), kl_target="softmax")


PRESETS = {
    preset.__name__: preset
    for preset in (paper, baseline1, baseline2, baseline3, separate, literal)
}


class SharedFeatures(NamedTuple):
    """Z^i and Z^t: (batch, dim) each."""

    image: Tensor
    text: Tensor


class Adversary(NamedTuple):
    """Who plays against the encoders; in Figure 4 both are the one discriminator D."""

    predictor: nn.Module  # whose uncertainty the encoders raise: D, or Figure 7's U
    classifier: nn.Module  # who tells the modalities apart in its own turn: D, or Figure 7's C


class ITMeetsAL:
    """The method as `kit.training.fit` trains it: networks, two optimizers, Algorithm 1's turns.

    Args:
        config: the numbers.
        image_backbone: images to (batch, image_feature_dim) features; `nn.Identity` for features
            that are computed already. Frozen parameters of it stay as they are.
        image_feature_dim: width of what it gives.
        vocabulary_size: number of token ids.
        classes: number of training instances.

    """

    def __init__(
        self,
        config: Config,
        *,
        image_backbone: nn.Module,
        image_feature_dim: int,
        vocabulary_size: int,
        classes: int,
    ) -> None:
        self.config = config
        text_encoder = BiLSTM(
            vocabulary_size,
            word_dim=config.word_dim,
            units=config.lstm_units,
            dropout=config.dropout,
        )
        self.networks = shared_space(
            image_backbone, image_feature_dim, text_encoder, dim=config.dim, classes=classes
        )
        self.adversary: Adversary | None = None
        if config.adversary == "unified":
            discriminator = modality_discriminator(config.dim)
            self.networks["discriminator"] = discriminator
            self.adversary = Adversary(discriminator, discriminator)
        elif config.adversary == "separate":
            predictor = modality_discriminator(config.dim)
            classifier = modality_discriminator(config.dim)
            self.networks["uncertainty_predictor"] = predictor
            self.networks["modality_classifier"] = classifier
            self.adversary = Adversary(predictor, classifier)
        self.optimizers = self._optimizers()

    def _optimizers(self) -> dict[str, Optimizer]:
        """Algorithm 1's groups: theta_E1; theta_E2, projections, theta_P (and U); theta_D."""
        c, nets = self.config, self.networks
        decayed = [*nets["image_projection"].parameters(), *nets["text_projection"].parameters()]
        plain = [*nets["text_encoder"].parameters(), *nets["classifier"].parameters()]
        if c.adversary == "separate":
            plain += nets["uncertainty_predictor"].parameters()
        groups: list[dict[str, Any]] = [
            {"params": decayed, "lr": c.learning_rate, "weight_decay": c.weight_decay},
            {"params": plain, "lr": c.learning_rate, "weight_decay": 0.0},
        ]
        backbone = [p for p in nets["image_backbone"].parameters() if p.requires_grad]
        if backbone:
            lr = c.backbone_learning_rate
            groups.append({"params": backbone, "lr": lr, "weight_decay": c.weight_decay})
        optimizers: dict[str, Optimizer] = {"generator": Adam(groups)}
        if self.adversary is not None:
            theta_d = self.adversary.classifier.parameters()
            optimizers["discriminator"] = Adam(theta_d, lr=c.learning_rate)
        return optimizers

    def begin_epoch(self, epoch: int) -> None:
        """Learning rates: 0.94 ** (epoch // 2) of what they were, in every group."""
        factor = self.config.decay ** (epoch // self.config.decay_epochs)
        for optimizer in self.optimizers.values():
            scale_learning_rates(optimizer, factor)

    def encode(self, batch: PairBatch) -> SharedFeatures:
        """Algorithm 1, lines 4 and 5: Z^i = E1(X^i), Z^t = E2(X^t)."""
        return SharedFeatures(
            self.encode_images(batch.images), self.encode_texts(batch.tokens, batch.lengths)
        )

    def encode_images(self, images: Tensor) -> Tensor:
        """E1: (batch, ...) images to (batch, dim)."""
        features: Tensor = self.networks["image_projection"](
            self.networks["image_backbone"](images)
        )
        return features

    def encode_texts(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """E2: (batch, longest) token ids to (batch, dim)."""
        features: Tensor = self.networks["text_projection"](
            self.networks["text_encoder"](tokens, lengths)
        )
        return features

    def turns(self, epoch: int) -> tuple[Turn[SharedFeatures, PairBatch], ...]:
        """Algorithm 1: the generator at every step, the discriminator at each k-th."""
        generator = Turn("generator", self.optimizers["generator"], self.generator_terms)
        if self.adversary is None:
            return (generator,)
        return generator, Turn(
            "discriminator",
            self.optimizers["discriminator"],
            partial(discriminator_terms, self.adversary.classifier),
            every=self.config.discriminator_every,
        )

    def generator_terms(self, z: SharedFeatures, batch: PairBatch) -> dict[str, Tensor]:
        """Lines 7-14: what the encoders and theta_P descend, weighted."""
        c, labels = self.config, batch.labels
        terms: dict[str, Tensor] = {}
        if c.classification_weight or c.imbalance_weight:
            weight: Any = self.networks["classifier"].weight
            logits = projected_class_logits(z.image, z.text, weight)
            if c.classification_weight:
                loss = instance_classification_loss(*logits, labels)
                terms["classification"] = c.classification_weight * loss
            if c.imbalance_weight:
                loss = imbalance_kl_loss(*logits, temperature=c.temperature)
                terms["imbalance"] = c.imbalance_weight * loss
        if c.triplet_weight:
            loss = bidirectional_triplet_loss(
                *z, labels, margin=c.margin, intra_positives=c.intra_positives
            )
            terms["triplet"] = c.triplet_weight * loss
        if c.kl_weight:
            loss = projection_kl_loss(*z, labels, kl_target=c.kl_target)
            terms["kl"] = c.kl_weight * loss
        if self.adversary is not None:
            predictor, classifier = self.adversary
            loss = modality_entropy_loss(predictor(z.image), predictor(z.text))
            terms["entropy"] = c.entropy_weight * loss
            if c.adversary == "separate":
                # L_d reversed: the encoders climb what the classifier's own turn descends.
                loss = modality_classification_loss(
                    classifier(reverse_gradient(z.image)), classifier(reverse_gradient(z.text))
                )
                terms["reversed_modality"] = c.entropy_weight * loss
        return terms

    def meters(self, z: SharedFeatures, batch: PairBatch) -> dict[str, Tensor]:
        """Norms and alikeness of the features; accuracy and entropy (nats) of who judges them."""
        watched = {
            "image_norm": z.image.norm(dim=1).mean(),
            "text_norm": z.text.norm(dim=1).mean(),
            "alikeness": (_alikeness(z.image) + _alikeness(z.text)) / 2,
        }
        if self.adversary is not None:
            predictor, classifier = self.adversary
            image, text = classifier(z.image).argmax(1), classifier(z.text).argmax(1)
            right = (image == 0).float().mean() + (text == 1).float().mean()
            watched["discriminator_accuracy"] = right / 2
            uncertain = entropy(predictor(z.image)).mean() + entropy(predictor(z.text)).mean()
            watched["modality_entropy"] = uncertain / 2
        return watched

    def alarms(self, means: Mapping[str, float]) -> tuple[str, ...]:
        """What an epoch's means warn of, in words."""
        said = []
        triplet = means.get("triplet", 0.0)
        collapsed = 4 * self.config.margin * self.config.triplet_weight
        if "triplet" in means and abs(triplet - collapsed) < 0.01 * collapsed:
            said.append(
                f"the triplet loss sits at four margins ({triplet:.3f}): positives and hardest "
                "negatives are equally near, the features have collapsed"
            )
        alikeness = means.get("alikeness", 0.0)
        if alikeness > 0.95:
            said.append(
                f"the features collapse: two different ones have a mean cosine of {alikeness:.3f}"
            )
        if means.get("discriminator_accuracy", 0.5) > 0.99:
            said.append(
                "the discriminator always wins: "
                "its entropy sends hardly any gradient to the encoders"
            )
        elif means.get("modality_entropy", 0.0) > 0.999 * math.log(2):
            said.append(
                "the uncertainty predictor answers one half to everything, which is its optimum: "
                "only the reversed gradient still tells the encoders of the modalities"
                if self.config.adversary == "separate"
                else "the discriminator is at chance: "
                "the modalities are confused, or it has stopped learning"
            )
        return tuple(said)

    def end_step(self, epoch: int, z: SharedFeatures, batch: PairBatch) -> None:
        """Nothing is counted."""

    def end_epoch(self, epoch: int) -> None:
        """Nothing comes between epochs."""


def discriminator_terms(
    classifier: nn.Module, z: SharedFeatures, batch: PairBatch
) -> dict[str, Tensor]:
    """Lines 16-17: theta_P, theta_E1, theta_E2 are fixed, so the features are detached."""
    image_logits, text_logits = classifier(z.image.detach()), classifier(z.text.detach())
    return {"modality": modality_classification_loss(image_logits, text_logits)}


def _alikeness(features: Tensor) -> Tensor:
    """Mean cosine of two different rows: 0 for spread features, 1 for collapsed ones."""
    rows = len(features)
    total = nn.functional.normalize(features).sum(0).square().sum()
    return (total - rows) / max(rows * (rows - 1), 1)
