"""The numbers of ITMeetsAL, and Algorithm 1 as turns.

A generator turn at every step moves the encoders and the label classifier down
L_ce + L_di + L_tr + L_kl + L_s; at each k-th step a discriminator turn moves theta_D down L_c, on
the detached features of that step. (Equation 15 prints max over theta_D of the generator's sum;
Algorithm 1 and the text of 4.1 contradict it, and are followed here.) Figure 7's adversary replaces
D by two heads: an uncertainty predictor U, moved by the generator turn, and a modality classifier C
behind a gradient reversal layer. At each k-th step, in the place of the discriminator turn, one
backward pass of L_d moves both: C down, the encoders up. Read otherwise, the encoders climb at
every step and C descends at each k-th.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any, Literal, NamedTuple, get_args

from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from kit.checks import check_choice, check_number, check_whole
from kit.data.pairs import PairBatch
from kit.information import entropy
from kit.itmeetsal import losses
from kit.itmeetsal.networks import LabelClassifier, modality_discriminator, reverse_gradient
from kit.retrieval.towers import SharedFeatures, Towers, TowersConfig, mean_cosine
from kit.training import Method, Turn, scale_learning_rates

AdversaryName = Literal["unified", "separate", "none"]
Reversal = Literal["in_its_own_turn", "every_step"]


@dataclass(frozen=True)
class ITMeetsALConfig(TowersConfig):
    """Every number of the method, with the paper's value as its default and its section.

    Weights multiply the terms of the generator's turn; 0 leaves a term out.

    Raises:
        ValueError: an impossible value, named.

    """

    # Objective (4.1 - 4.4, 5.1)
    classification_weight: float = 1.0  # L_ce, Equation 10
    imbalance_weight: float = 1.0  # L_di, Equation 11
    triplet_weight: float = 1.0  # L_tr, Equation 14
    kl_weight: float = 1.0  # L_kl, Equation 9
    entropy_weight: float = 1.0  # L_s, Equation 4; L_d as well where reversed at "every_step"
    adversary: AdversaryName = "unified"  # Figure 4; "separate": Figure 7; "none": no discriminator
    reversal: Reversal = "in_its_own_turn"  # of Figure 7: when the encoders climb L_d
    kl_target: losses.KLTarget = "row"  # Q of Equation 8; "softmax": as printed
    temperature: float = 4.0  # tau of Equation 11 (5.1, Table 5)
    margin: float = 0.5  # m of Equations 12-13 (5.1)
    intra_positives: losses.IntraPositives = "include_self"  # of Equation 13
    discriminator_every: int = 5  # k: generator steps for each discriminator step (5.1)

    def __post_init__(self) -> None:
        super().__post_init__()
        name = type(self).__name__
        terms = [f.name for f in fields(self) if f.name.endswith("_weight")]
        weights = {term: getattr(self, term) for term in terms}
        check_number(name, at_least=0, margin=self.margin, **weights)
        check_number(name, temperature=self.temperature)
        check_whole(name, at_least=1, discriminator_every=self.discriminator_every)
        check_choice(name, among=get_args(AdversaryName), adversary=self.adversary)
        check_choice(name, among=get_args(Reversal), reversal=self.reversal)
        check_choice(name, among=get_args(losses.KLTarget), kl_target=self.kl_target)
        positives = get_args(losses.IntraPositives)
        check_choice(name, among=positives, intra_positives=self.intra_positives)
        if self.reversal == "every_step" and self.adversary != "separate":
            raise ValueError(f"{name}: reversal 'every_step' is for adversary 'separate' alone")
        if not any(weights.values()):
            raise ValueError(f"{name}: every term has weight 0: nothing would be trained")
        if self.adversary != "none" and self.entropy_weight == 0:
            raise ValueError(
                f"{name}: adversary {self.adversary!r} with entropy_weight 0 would train a "
                "discriminator that nobody hears; use adversary='none'"
            )

    def method(self, towers: Towers) -> ITMeetsAL:
        """Figure 4 or 7 on these towers."""
        return ITMeetsAL(self, towers)


def paper() -> ITMeetsALConfig:
    """The full method: L_ce + L_di + L_tr + L_kl + L_s against L_c, Figure 4."""
    return ITMeetsALConfig()


def baseline1() -> ITMeetsALConfig:
    """Table 4's first row: L_ce + L_tr."""
    return replace(baseline2(), imbalance_weight=0.0)


def baseline2() -> ITMeetsALConfig:
    """Table 4's second row: L_ce + L_tr + L_di."""
    return replace(baseline3(), kl_weight=0.0)


def baseline3() -> ITMeetsALConfig:
    """Table 4's third row: L_ce + L_tr + L_di + L_kl, no adversary."""
    return replace(paper(), adversary="none", entropy_weight=0.0)


def separate() -> ITMeetsALConfig:
    """Figure 7: separate uncertainty predictor and modality classifier, with gradient reversal."""
    return replace(paper(), adversary="separate")


def literal() -> ITMeetsALConfig:
    """Equation 8 as printed: `kl_target="softmax"`."""
    return replace(paper(), kl_target="softmax")


PRESETS = {f.__name__: f for f in (paper, baseline1, baseline2, baseline3, separate, literal)}


# By adversary, who raises the encoders' doubt and who tells the modalities apart.
HEADS = {
    "unified": ("discriminator", "discriminator"),
    "separate": ("uncertainty_predictor", "modality_classifier"),
    "none": (),
}


class Adversary(NamedTuple):
    """Who plays against the encoders; in Figure 4 both are the one discriminator D."""

    predictor: nn.Module  # whose uncertainty the encoders raise: D, or Figure 7's U
    classifier: nn.Module  # who tells the modalities apart in its own turn: D, or Figure 7's C


class ITMeetsAL(Method[SharedFeatures, PairBatch]):
    """The method as `kit.training.fit` trains it: networks, two optimizers, Algorithm 1's turns.

    Args:
        config: the numbers.
        towers: E1 and E2.

    """

    def __init__(self, config: ITMeetsALConfig, towers: Towers) -> None:
        self.config, self.towers = config, towers
        self.networks = nn.ModuleDict(dict(towers.networks.items()))
        self.networks["classifier"] = LabelClassifier(config.dim, towers.classes)
        heads = HEADS[config.adversary]
        for name in dict.fromkeys(heads):
            self.networks[name] = modality_discriminator(config.dim)
        players = [self.networks[name] for name in heads]
        self.adversary = Adversary(*players) if heads else None
        theta_p, theta_d = [*self.networks["classifier"].parameters()], []
        if self.adversary is not None:
            theta_d = [*self.adversary.classifier.parameters()]
        if config.adversary == "separate":
            theta_p += self.networks["uncertainty_predictor"].parameters()
        if self.reverses_at_once:  # one optimizer for both parties; a turn moves what it reaches
            theta_p, theta_d = theta_p + theta_d, []
        self.optimizers: dict[str, Optimizer] = {"generator": towers.optimizer(theta_p)}
        if theta_d:
            self.optimizers["discriminator"] = Adam(theta_d, lr=config.learning_rate)

    @property
    def reverses_at_once(self) -> bool:
        """Whether Figure 7's parties move in one backward pass of their own."""
        return self.config.adversary == "separate" and self.config.reversal == "in_its_own_turn"

    def begin_epoch(self, epoch: int) -> None:
        """Learning rates fall by a staircase, in every group."""
        for optimizer in self.optimizers.values():
            scale_learning_rates(optimizer, self.config.rate_factor(epoch))

    def encode(self, batch: PairBatch) -> SharedFeatures:
        """Both towers, once a step."""
        return self.towers.encode(batch)

    def turns(self, epoch: int) -> tuple[Turn[SharedFeatures, PairBatch], ...]:
        """Algorithm 1: the generator at every step, the discriminator at each k-th."""
        generator = Turn("generator", self.optimizers["generator"], self.generator_terms)
        every = self.config.discriminator_every
        if self.adversary is None:
            return (generator,)
        if self.reverses_at_once:
            terms = partial(reversal_terms, self.adversary.classifier)
            return generator, Turn("reversal", generator.optimizer, terms, every, anew=True)
        terms = partial(discriminator_terms, self.adversary.classifier)
        return generator, Turn("discriminator", self.optimizers["discriminator"], terms, every)

    def generator_terms(self, z: SharedFeatures, batch: PairBatch) -> dict[str, Tensor]:
        """Lines 7-14: what the encoders and theta_P descend, weighted."""
        c, labels = self.config, batch.labels
        terms: dict[str, Tensor] = {}
        if c.classification_weight or c.imbalance_weight:
            weight: Any = self.networks["classifier"].weight
            logits = losses.projected_class_logits(z.image, z.text, weight)
            if c.classification_weight:
                loss = losses.instance_classification_loss(*logits, labels)
                terms["classification"] = c.classification_weight * loss
            if c.imbalance_weight:
                loss = losses.imbalance_kl_loss(*logits, temperature=c.temperature)
                terms["imbalance"] = c.imbalance_weight * loss
        if c.triplet_weight:
            loss = losses.bidirectional_triplet_loss(
                *z, labels, margin=c.margin, intra_positives=c.intra_positives
            )
            terms["triplet"] = c.triplet_weight * loss
        if c.kl_weight:
            terms["kl"] = c.kl_weight * losses.projection_kl_loss(*z, labels, kl_target=c.kl_target)
        if self.adversary is not None:
            predictor, classifier = self.adversary
            loss = losses.modality_entropy_loss(predictor(z.image), predictor(z.text))
            terms["entropy"] = c.entropy_weight * loss
            if c.reversal == "every_step":
                # L_d reversed: the encoders climb what the classifier's own turn descends.
                loss = losses.modality_classification_loss(
                    classifier(reverse_gradient(z.image)), classifier(reverse_gradient(z.text))
                )
                terms["reversed_modality"] = c.entropy_weight * loss
        return terms

    def meters(self, z: SharedFeatures, batch: PairBatch) -> dict[str, Tensor]:
        """Norms and mean cosine of the features; accuracy and entropy (nats) of who judges them."""
        watched = {
            "image_norm": z.image.norm(dim=1).mean(),
            "text_norm": z.text.norm(dim=1).mean(),
            "mean_cosine": (mean_cosine(z.image) + mean_cosine(z.text)) / 2,
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
        messages = []
        triplet, cosine = means.get("triplet", math.inf), means.get("mean_cosine", 0.0)
        collapsed = 4 * self.config.margin * self.config.triplet_weight
        if abs(triplet - collapsed) < 0.01 * collapsed:
            messages.append(
                f"the triplet loss sits at four margins ({triplet:.3f}): positives and hardest "
                "negatives are equally near, the features have collapsed"
            )
        if cosine > 0.95:
            messages.append(
                f"the features collapse: two different ones have a mean cosine of {cosine:.3f}"
            )
        if means.get("discriminator_accuracy", 0.5) > 0.99:
            messages.append(
                "the discriminator always wins: "
                "its entropy sends hardly any gradient to the encoders"
            )
        elif means.get("modality_entropy", 0.0) > 0.999 * math.log(2):
            messages.append(
                "the uncertainty predictor answers one half to everything, which is its optimum: "
                "only the reversed gradient still tells the encoders of the modalities"
                if self.config.adversary == "separate"
                else "the discriminator is at chance: "
                "the modalities are confused, or it has stopped learning"
            )
        return tuple(messages)


def discriminator_terms(
    classifier: nn.Module, z: SharedFeatures, batch: PairBatch
) -> dict[str, Tensor]:
    """Lines 16-17: theta_P, theta_E1, theta_E2 are fixed, so the features are detached."""
    image_logits, text_logits = classifier(z.image.detach()), classifier(z.text.detach())
    return {"modality": losses.modality_classification_loss(image_logits, text_logits)}


def reversal_terms(classifier: nn.Module, z: SharedFeatures, batch: PairBatch) -> dict[str, Tensor]:
    """Figure 7's L_d in the place of lines 16-17: theta_c descends it, theta_E1, theta_E2 climb.

    The features are encoded anew: the generator's turn has moved what their graph went through.
    """
    image_logits = classifier(reverse_gradient(z.image))
    text_logits = classifier(reverse_gradient(z.text))
    return {"modality": losses.modality_classification_loss(image_logits, text_logits)}
