"""Every number of AMID, its presets, and the rows of its ablations (Tables 4, 5 and 6)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from kit.checks import check_choice, check_number

Trained = Literal["both", "student", "teacher", "auxiliary"]
Teacher = Literal["online", "fixed"]
Contrast = Literal["mutual_information", "nce"]
Adversaries = Literal["adaptive", "uniform", "sample_only"]


@dataclass(frozen=True)
class Config:
    """Every number of the method, with the paper's value on video as its default and its section.

    Raises:
        ValueError: an impossible value, named.

    """

    # Model (4.2)
    dim: int = 512  # width of every feature; 768 on IEMOCAP
    trained: Trained = "both"  # one model alone: cross-entropy only (Table 4, "alone")
    teacher: Teacher = "online"  # "fixed": a teacher that was trained alone before (Table 5)

    # Objective (3, 4.2)
    student_information_weight: float = 4.0  # alpha_1 of Equations 1 and 17, on L_MIs
    auxiliary_information_weight: float = 1.6  # alpha_2, on L_MIa
    adversarial_weight: float = 1.0  # alpha_3, on L_adv
    temperature: float = 0.5  # tau of Equation 7; 0.6 on IEMOCAP
    contrast: Contrast = "mutual_information"  # "nce": Table 4's last row
    adversaries: Adversaries = "adaptive"  # Equation 14; "uniform", "sample_only": Table 5
    warm_up_epochs: int = 20  # T_start: L_cls + L_JSD alone; 5 on IEMOCAP

    # Optimisation (the supplement was not available; values of the works that it builds on)
    optimizer: Literal["sgd", "adam"] = "sgd"
    learning_rate: float = 1e-3
    weight_decay: float = 5e-4
    momentum: float = 0.9  # of SGD
    decay_at: tuple[int, ...] = (150, 225)  # epochs at whose start the rate falls to a tenth
    linear_decay_epochs: int = 0  # over the last of them the rate falls to 0; 30 on IEMOCAP
    discriminator_learning_rate: float = 1e-4  # Adam, betas (0.5, 0.999)
    batch_size: int = 16  # 128 on IEMOCAP
    epochs: int = 300  # 60 on IEMOCAP
    selection: Literal["last", "validation"] = "last"  # whose epoch's networks are kept and tested

    def __post_init__(self) -> None:
        name = "Config"
        for count in ("dim", "batch_size", "epochs"):
            check_whole(name, count, getattr(self, count), 1)
        for count in ("warm_up_epochs", "linear_decay_epochs"):
            check_whole(name, count, getattr(self, count), 0)
        check_choice(name, among=("both", "student", "teacher", "auxiliary"), trained=self.trained)
        check_choice(name, among=("online", "fixed"), teacher=self.teacher)
        check_choice(name, among=("mutual_information", "nce"), contrast=self.contrast)
        kinds = ("adaptive", "uniform", "sample_only")
        check_choice(name, among=kinds, adversaries=self.adversaries)
        check_choice(name, among=("sgd", "adam"), optimizer=self.optimizer)
        check_choice(name, among=("last", "validation"), selection=self.selection)
        weights = {f.name: getattr(self, f.name) for f in fields(self) if "weight" in f.name}
        check_number(name, at_least=0, **weights)
        check_number(
            name,
            temperature=self.temperature,
            learning_rate=self.learning_rate,
            discriminator_learning_rate=self.discriminator_learning_rate,
        )
        if not 0 <= self.momentum < 1:
            raise ValueError(f"{name}: momentum must lie in [0, 1), got {self.momentum}")
        if self.batch_size < 2:
            raise ValueError(f"{name}: batch_size must be at least 2, one sample has no other")
        if self.dim < 8:
            raise ValueError(f"{name}: dim must be at least 8, got {self.dim}")
        self._check_epochs(name)
        self._check_ignored(name)

    def _check_epochs(self, name: str) -> None:
        object.__setattr__(self, "decay_at", tuple(self.decay_at))
        for at in self.decay_at:
            check_whole(name, "each of decay_at", at, 1)
            if at >= self.epochs:
                raise ValueError(
                    f"{name}: decay_at must lie within the {self.epochs} epochs, "
                    f"got {self.decay_at}"
                )
        if self.linear_decay_epochs > self.epochs:
            raise ValueError(
                f"{name}: linear_decay_epochs must be at most the {self.epochs} epochs, "
                f"got {self.linear_decay_epochs}"
            )
        if self.trained == "both" and self.warm_up_epochs >= self.epochs:
            raise ValueError(
                f"{name}: warm_up_epochs must be below the {self.epochs} epochs, "
                f"got {self.warm_up_epochs}: nothing would be distilled"
            )

    def _check_ignored(self, name: str) -> None:
        if self.teacher == "fixed" and self.trained != "both":
            raise ValueError(
                f"{name}: teacher 'fixed' is for a student that learns from it, "
                f"got trained={self.trained!r}"
            )
        informed = self.student_information_weight or self.auxiliary_information_weight
        both = self.trained == "both"
        if both and self.contrast == "nce" and not informed:
            raise ValueError(f"{name}: contrast 'nce' without any information weight is ignored")
        if both and self.adversaries != "adaptive" and not self.adversarial_weight:
            raise ValueError(
                f"{name}: adversaries {self.adversaries!r} without adversarial_weight is ignored"
            )
        if self.optimizer == "adam" and self.momentum != Config.momentum:
            raise ValueError(f"{name}: momentum is for sgd, adam ignores {self.momentum}")
        if self.teacher == "fixed" and self.auxiliary_information_weight:
            raise ValueError(
                f"{name}: with a fixed teacher L_MIa moves nothing; "
                f"expected auxiliary_information_weight 0, got {self.auxiliary_information_weight}"
            )


def check_whole(function: str, name: str, value: object, at_least: int) -> None:
    """Refuse what is no whole number of at least so much."""
    if not isinstance(value, int) or isinstance(value, bool) or value < at_least:
        raise ValueError(
            f"{function}: {name} must be a whole number of at least {at_least}, got {value}"
        )


def video() -> Config:
    """Video recognition and retrieval: UCF51, ActivityNet (4.2)."""
    return Config()


def emotion() -> Config:
    """Emotion recognition: IEMOCAP (4.2). The weights alpha_1, alpha_2 are ours.

    The paper gives none. Equation 8 sums over pairs without dividing by their number: with four
    classes in a batch of 128 the video weights would pull some 25 times harder.
    """
    return Config(
        dim=768,
        student_information_weight=0.1,
        auxiliary_information_weight=0.04,
        temperature=0.6,
        warm_up_epochs=5,
        optimizer="adam",
        learning_rate=2e-4,
        weight_decay=1e-5,
        decay_at=(),
        linear_decay_epochs=30,
        batch_size=128,
        epochs=60,
        selection="validation",
    )


def small() -> Config:
    """Video numbers for small clips and few of them: minutes become seconds. The choice is ours."""
    return replace(
        video(),
        dim=64,
        warm_up_epochs=4,
        optimizer="adam",
        learning_rate=1e-3,
        decay_at=(),
        linear_decay_epochs=6,
        epochs=16,
    )


PRESETS: dict[str, Callable[[], Config]] = {
    preset.__name__: preset for preset in (video, emotion, small)
}


def ablations(config: Config) -> dict[str, Config]:
    """The rows of Tables 4 and 5 by their printed names, all else as in `config`.

    "with fixed teacher" needs the run of "teacher alone".
    """
    without_adversary = replace(config, adversarial_weight=0.0)
    return {
        "student alone": replace(config, trained="student"),
        "teacher alone": replace(config, trained="teacher"),
        "L_MI_s": replace(without_adversary, auxiliary_information_weight=0.0),
        "L_MI_s + L_MI_a": without_adversary,
        "L_MI_s + L_MI_a + L_adv (AMID)": config,
        "AMID with L_nce": replace(config, contrast="nce"),
        "with fixed teacher": replace(config, teacher="fixed", auxiliary_information_weight=0.0),
        "w/o warm-up": replace(config, warm_up_epochs=0),
        "w/o D_2": replace(config, adversaries="sample_only"),
        "w/o dynamic weight": replace(config, adversaries="uniform"),
    }


def sensitivity(config: Config) -> dict[tuple[str, float], Config]:
    """Table 6: one weight at a time, at the table's six values; (letter, value) -> numbers.

    The printed column 1.0 of alpha_2 must be 1.6: the step is 0.1.
    """
    ranges = {
        "α_1": ("student_information_weight", (3.7, 3.8, 3.9, 4.0, 4.1, 4.2)),
        "α_2": ("auxiliary_information_weight", (1.3, 1.4, 1.5, 1.6, 1.7, 1.8)),
        "α_3": ("adversarial_weight", (0.7, 0.8, 0.9, 1.0, 1.1, 1.2)),
    }
    return {
        (letter, value): replace(config, **dict[str, Any]({field: value}))
        for letter, (field, values) in ranges.items()
        for value in values
    }
