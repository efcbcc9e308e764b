"""The numbers of AMID, its presets, and the rows of Tables 4, 5 and 6."""

from __future__ import annotations

import json
from dataclasses import asdict, fields, replace
from typing import Any

import pytest
from amid_cases import encoders

from kit.amid.config import PRESETS, AMIDConfig, ablations, emotion, sensitivity, small, video
from kit.distillation.config import TrainingConfig
from kit.distillation.single import AuxiliaryAlone, StudentAlone, TeacherAlone

VIDEO = {  # 4.2 of the paper; what is not printed there: the works that it builds on
    **{"dim": 512, "teacher": "online"},
    **{"student_information_weight": 4.0, "auxiliary_information_weight": 1.6},
    **{"adversarial_weight": 1.0, "temperature": 0.5, "contrast": "mutual_information"},
    **{"adversaries": "adaptive", "warm_up_epochs": 20},
    **{"optimizer": "sgd", "learning_rate": 1e-3, "weight_decay": 5e-4, "momentum": 0.9},
    **{"decay_at": (150, 225), "linear_decay_epochs": 0, "discriminator_learning_rate": 1e-4},
    **{"batch_size": 16, "epochs": 300, "selection": "last"},
}
EMOTION = VIDEO | {
    **{"dim": 768, "student_information_weight": 0.1, "auxiliary_information_weight": 0.04},
    **{"temperature": 0.6, "warm_up_epochs": 5, "optimizer": "adam", "learning_rate": 2e-4},
    **{"weight_decay": 1e-5, "decay_at": (), "linear_decay_epochs": 30, "batch_size": 128},
    **{"epochs": 60, "selection": "validation"},
}


def differences(config: AMIDConfig, other: AMIDConfig) -> dict[str, Any]:
    """What `config` has otherwise than `other`."""
    theirs = asdict(other)
    return {name: value for name, value in asdict(config).items() if value != theirs[name]}


def test_presets_are_the_papers() -> None:
    assert asdict(video()) == asdict(AMIDConfig()) == VIDEO
    assert asdict(emotion()) == EMOTION
    assert {name: build() for name, build in PRESETS.items()} == {
        **{"video": video(), "emotion": emotion(), "small": small()}
    }


def test_small_changes_size_and_schedule_and_no_number_of_the_objective() -> None:
    assert differences(small(), video()).keys() == {
        *("dim", "warm_up_epochs", "optimizer", "decay_at", "linear_decay_epochs", "epochs")
    }


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"dim": 7}, r"dim must be a whole number of at least 8, got 7$"),
        (
            {"batch_size": 1},
            r"batch_size must be a whole number of at least 2, got 1$",
        ),
        (
            {"batch_size": 2.0},
            r"batch_size must be a whole number of at least 2, got 2\.0",
        ),
        ({"epochs": True}, r"epochs must be a whole number of at least 1, got True$"),
        (
            {"warm_up_epochs": -1},
            r"warm_up_epochs must be a whole number of at least 0",
        ),
        ({"linear_decay_epochs": 0.5}, r"linear_decay_epochs must be a whole number of at least 0"),
        ({"teacher": "fixed"}, r"teacher must be 'online' or 'frozen', got 'fixed'$"),
        ({"contrast": "mi"}, r"contrast must be 'mutual_information' or 'nce', got 'mi'$"),
        ({"adversaries": "none"}, r"adversaries must be 'adaptive' or 'uniform' or 'sample_only'"),
        ({"optimizer": "adamw"}, r"optimizer must be 'sgd' or 'adam', got 'adamw'$"),
        (
            {"selection": "test"},
            r"selection must be 'last' or 'validation', got 'test'$",
        ),
        (
            {"student_information_weight": -1.0},
            r"student_information_weight must be a number of at",
        ),
        ({"auxiliary_information_weight": float("nan")}, r"auxiliary_information_weight must be a"),
        (
            {"adversarial_weight": float("inf")},
            r"adversarial_weight must be a number of at least 0",
        ),
        ({"weight_decay": -1e-4}, r"weight_decay must be a number of at least 0, got -0\.0001$"),
        ({"temperature": 0.0}, r"temperature must be a positive number, got 0\.0$"),
        (
            {"learning_rate": 0.0},
            r"learning_rate must be a positive number, got 0\.0$",
        ),
        ({"discriminator_learning_rate": -1.0}, r"discriminator_learning_rate must be a positive"),
        (
            {"contrast": "nce", "student_information_weight": 0, "auxiliary_information_weight": 0},
            r"contrast 'nce' without any information weight is ignored$",
        ),
        (
            {"adversaries": "uniform", "adversarial_weight": 0.0},
            r"uniform adversaries need an adversarial_weight$",
        ),
        (
            {"optimizer": "adam", "momentum": 0.5},
            r"momentum is for sgd, adam ignores 0\.5$",
        ),
        ({"momentum": 1.0}, r"momentum must lie in \[0, 1\), got 1\.0$"),
        ({"momentum": -0.1}, r"momentum must lie in \[0, 1\), got -0\.1$"),
        ({"decay_at": (150, 300)}, r"decay_at must lie below 300, got \(150, 300\)$"),
        ({"decay_at": (0,)}, r"each of decay_at must be a whole number of at least 1, got 0$"),
        ({"decay_at": (1.5,)}, r"decay_at must be a list of whole numbers, got "),
        ({"epochs": 200}, r"decay_at must lie below 200, got \(150, 225\)$"),
        (
            {"epochs": 3, "decay_at": (), "warm_up_epochs": 0, "linear_decay_epochs": 4},
            r"linear_decay_epochs goes beyond the run, got 4 of 3 epochs$",
        ),
        (
            {"epochs": 20, "decay_at": ()},
            r"warm_up_epochs must be below 20, got 20$",
        ),
        (
            {"teacher": "frozen"},
            r"a frozen teacher needs auxiliary_information_weight 0, got 1\.6$",
        ),
    ],
)
def test_impossible_numbers_are_named(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=rf"^AMIDConfig: .*{message}"):
        replace(video(), **wrong)


@pytest.mark.parametrize("kind", [StudentAlone, TeacherAlone, AuxiliaryAlone])
def test_a_model_alone_has_the_numbers_of_a_training_and_no_others(
    kind: type[TrainingConfig],
) -> None:
    alone = kind.like(emotion())
    assert {f.name for f in fields(alone)} == {f.name for f in fields(TrainingConfig)}
    assert all(getattr(alone, f.name) == getattr(emotion(), f.name) for f in fields(alone))


def test_numbers_of_a_training_alone_are_no_method() -> None:
    with pytest.raises(TypeError, match=r"^TrainingConfig holds the numbers of a training"):
        TrainingConfig().method(encoders())


def test_a_config_comes_back_from_a_file_as_it_was() -> None:
    for build in PRESETS.values():
        again = AMIDConfig(**json.loads(json.dumps(asdict(build()))))
        assert again == build()
        assert hash(again) == hash(build())


# ---- the tables


ROWS = {  # Tables 4 and 5: what each row changes
    "L_MI_s": {"auxiliary_information_weight": 0.0, "adversarial_weight": 0.0},
    "L_MI_s + L_MI_a": {"adversarial_weight": 0.0},
    "L_MI_s + L_MI_a + L_adv (AMID)": {},
    "AMID with L_nce": {"contrast": "nce"},
    "with fixed teacher": {"teacher": "frozen", "auxiliary_information_weight": 0.0},
    "w/o warm-up": {"warm_up_epochs": 0},
    "w/o D_2": {"adversaries": "sample_only"},
    "w/o dynamic weight": {"adversaries": "uniform"},
}


@pytest.mark.parametrize("preset", PRESETS)
def test_rows_of_tables_4_and_5_change_what_they_say_and_nothing_else(preset: str) -> None:
    config = PRESETS[preset]()
    found = ablations(config)
    alone = {"student alone": StudentAlone, "teacher alone": TeacherAlone}
    assert {name: type(found[name]) for name in alone} == alone
    assert [*found] == [*alone, *ROWS]  # in the tables' order
    assert {name: differences(found[name], config) for name in ROWS} == ROWS


def test_table_6_takes_one_weight_at_a_time_around_the_papers() -> None:
    table = sensitivity(video())
    changed = {cell: differences(config, video()) for cell, config in table.items()}
    fields = {
        "α_1": ("student_information_weight", 3.7, 4.0),
        "α_2": ("auxiliary_information_weight", 1.3, 1.6),
        "α_3": ("adversarial_weight", 0.7, 1.0),
    }
    assert len(table) == 18
    for letter, (field, first, default) in fields.items():
        values = [value for name, value in table if name == letter]
        assert values == pytest.approx([first + 0.1 * step for step in range(6)])
        assert default in values
        for value in values:
            expected = {} if value == default else {field: value}
            assert changed[letter, value] == expected
