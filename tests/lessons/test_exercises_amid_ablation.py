"""The check of a learner's own Figure 5: right answers pass, mistakes are called by name."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from kit.lessons import exercises
from kit.metrics import same_class_cosine


def pairs(student: Tensor, teacher: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    cosine = normalize(teacher) @ normalize(student).T
    return cosine, (labels[:, None] == labels[None, :]).fill_diagonal_(False)


def right(student: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
    cosine, same = pairs(student, teacher, labels)
    return cosine[same].mean()


def from_sums(student: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
    student, teacher = normalize(student), normalize(teacher)
    classes = labels.unique()
    total = (
        sum(teacher[labels == one].sum(0) @ student[labels == one].sum(0) for one in classes)
        - (teacher * student).sum()
    )
    counts = torch.stack([(labels == one).sum() for one in classes])
    return total / (counts * (counts - 1)).sum()


def from_the_kit(student: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
    return torch.tensor(same_class_cosine(student, teacher, labels))


def with_itself(student: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
    cosine, same = pairs(student, teacher, labels)
    return cosine[same.fill_diagonal_(True)].mean()


def only_itself(student: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
    return pairs(student, teacher, labels)[0].diagonal().mean()


def inner_product(student: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
    return (teacher @ student.T)[pairs(student, teacher, labels)[1]].mean()


def teacher_alone_normalised(student: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
    return (normalize(teacher) @ student.T)[pairs(student, teacher, labels)[1]].mean()


def mean_of_means(student: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
    chosen = [labels == one for one in labels.unique() if (labels == one).sum() > 1]
    each = [right(student[rows], teacher[rows], labels[rows]) for rows in chosen]
    return torch.stack(each).mean()


def mean_with_the_lonely(student: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
    each = [
        right(student[labels == one], teacher[labels == one], labels[labels == one])
        for one in labels.unique()
    ]
    return torch.stack(each).mean()


def over_clips(student: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
    cosine, same = pairs(student, teacher, labels)
    return cosine[same].sum() / len(labels)


@pytest.mark.parametrize("answer", [right, from_sums, from_the_kit])
def test_right_answers_pass(answer: object) -> None:
    assert exercises.check_same_class_cosine(answer).startswith("right")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (with_itself, "a clip with itself is no pair"),
        (only_itself, "what is left out"),
        (inner_product, "inner product"),
        (teacher_alone_normalised, "student's norm"),
        (mean_of_means, "mean of class means"),
        (mean_with_the_lonely, "a mean of none is nan"),
        (over_clips, "there are eight"),
        (lambda student, teacher, labels: -right(student, teacher, labels), "sign is wrong"),
        (lambda student, teacher, labels: 0.3, "type float"),
    ],
)
def test_mistakes_are_called_by_name(answer: object, said: str) -> None:
    told = exercises.check_same_class_cosine(answer)  # type: ignore[arg-type]
    assert said in told
    assert "right:" not in told
