"""Every number of AMID, its presets, and the rows of its ablations (Tables 4, 5 and 6)."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

from kit.amid.method import AMID
from kit.checks import check_choice, check_number, check_whole
from kit.distillation.config import TrainingConfig
from kit.distillation.networks import Encoders
from kit.distillation.single import StudentAlone, TeacherAlone

Teacher = Literal["online", "frozen"]
Contrast = Literal["mutual_information", "nce"]
Adversaries = Literal["adaptive", "uniform", "sample_only"]


@dataclass(frozen=True)
class AMIDConfig(TrainingConfig):
    """Every number of the method, with the paper's value on video as its default and its section.

    Raises:
        ValueError: an impossible value, named.

    """

    teacher: Teacher = "online"  # "frozen": a teacher that was trained alone before (Table 5)

    # Objective (3, 4.2)
    student_information_weight: float = 4.0  # alpha_1 of Equations 1 and 17, on L_MIs
    auxiliary_information_weight: float = 1.6  # alpha_2, on L_MIa
    adversarial_weight: float = 1.0  # alpha_3, on L_adv
    temperature: float = 0.5  # tau of Equation 7; 0.6 on IEMOCAP
    contrast: Contrast = "mutual_information"  # "nce": Table 4's last row
    adversaries: Adversaries = "adaptive"  # Equation 14; "uniform", "sample_only": Table 5
    warm_up_epochs: int = 20  # T_start: L_cls + L_JSD alone; 5 on IEMOCAP
    discriminator_learning_rate: float = 1e-4  # Adam, betas (0.5, 0.999)

    def __post_init__(self) -> None:
        super().__post_init__()
        name = type(self).__name__
        warm_up, auxiliary = self.warm_up_epochs, self.auxiliary_information_weight
        check_whole(name, at_least=0, warm_up_epochs=warm_up)
        check_choice(name, among=get_args(Teacher), teacher=self.teacher)
        check_choice(name, among=get_args(Contrast), contrast=self.contrast)
        check_choice(name, among=get_args(Adversaries), adversaries=self.adversaries)
        weights = {f.name: getattr(self, f.name) for f in fields(self) if "weight" in f.name}
        check_number(name, at_least=0, **weights)
        rate = self.discriminator_learning_rate
        check_number(name, temperature=self.temperature, discriminator_learning_rate=rate)
        if warm_up >= self.epochs:  # nothing would be distilled
            raise ValueError(f"{name}: warm_up_epochs must be below {self.epochs}, got {warm_up}")
        if self.contrast == "nce" and not (self.student_information_weight or auxiliary):
            raise ValueError(f"{name}: contrast 'nce' without any information weight is ignored")
        if self.adversaries != "adaptive" and not self.adversarial_weight:
            raise ValueError(f"{name}: {self.adversaries} adversaries need an adversarial_weight")
        if self.teacher == "frozen" and auxiliary:  # L_MIa would move nothing
            weight = f"auxiliary_information_weight 0, got {auxiliary}"
            raise ValueError(f"{name}: a frozen teacher needs {weight}")

    @property
    def reads(self) -> tuple[str, ...]:
        """A frozen teacher comes with encoders of its own."""
        return ("target", "frozen_teacher" if self.teacher == "frozen" else "auxiliary")

    def method(self, encoders: Encoders) -> AMID:
        """Student and teacher on these encoders."""
        return AMID(self, encoders)


def video() -> AMIDConfig:
    """Video recognition and retrieval: UCF51, ActivityNet (4.2)."""
    return AMIDConfig()


def emotion() -> AMIDConfig:
    """Emotion recognition: IEMOCAP (4.2). The weights alpha_1, alpha_2 are ours.

    The paper gives none. Equation 8 sums over pairs without dividing by their number: with four
    classes in a batch of 128 the video weights would pull some 25 times harder.
    """
    return AMIDConfig(
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


def small() -> AMIDConfig:
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


PRESETS: dict[str, Callable[[], AMIDConfig]] = {
    preset.__name__: preset for preset in (video, emotion, small)
}


def ablations(config: AMIDConfig) -> dict[str, TrainingConfig]:
    """The rows of Tables 4 and 5 by their printed names, all else as in `config`.

    "with fixed teacher" needs the run of "teacher alone".
    """
    without_adversary = replace(config, adversarial_weight=0.0)
    return {
        "student alone": StudentAlone.like(config),
        "teacher alone": TeacherAlone.like(config),
        "L_MI_s": replace(without_adversary, auxiliary_information_weight=0.0),
        "L_MI_s + L_MI_a": without_adversary,
        "L_MI_s + L_MI_a + L_adv (AMID)": config,
        "AMID with L_nce": replace(config, contrast="nce"),
        "with fixed teacher": replace(config, teacher="frozen", auxiliary_information_weight=0.0),
        "w/o warm-up": replace(config, warm_up_epochs=0),
        "w/o D_2": replace(config, adversaries="sample_only"),
        "w/o dynamic weight": replace(config, adversaries="uniform"),
    }


def sensitivity(config: AMIDConfig) -> dict[tuple[str, float], AMIDConfig]:
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
