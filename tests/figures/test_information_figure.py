"""Information bars: the teacher's entropy in two parts, and what it shares with the auxiliary."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kit.figures import information_bars
from kit.figures.look import COLOURS

TEACHERS = {"keeps all": (2.0, 1.5, 1.0), "forgets": (2.0, 0.5, 0.0)}


def test_the_entropy_is_two_parts_end_to_end_and_the_auxiliary_has_a_bar_of_its_own() -> None:
    shared, lacking, auxiliary, ends = information_bars(TEACHERS, title="Known").data
    np.testing.assert_array_equal(shared.x, [2, 2])
    np.testing.assert_array_equal(lacking.x, [1, 0])
    np.testing.assert_array_equal(lacking.base, shared.x)  # it begins where the other ends
    assert shared.base is auxiliary.base is None
    np.testing.assert_array_equal(auxiliary.x, [1.5, 0.5])
    np.testing.assert_array_equal(shared.y, lacking.y)
    assert (shared.y + shared.width / 2 < auxiliary.y - auxiliary.width / 2).all()
    assert [t.name.split(",")[0] for t in (shared, lacking, auxiliary)] == [
        "I(M;S)",
        "H(M|S)",
        "I(M;A)",
    ]
    assert (shared.marker.color, lacking.marker.color, auxiliary.marker.color) == COLOURS[:3]
    assert [text.strip() for text in ends.text] == [
        "2.00 + 1.00 = 3.00",
        "2.00 + 0.00 = 2.00",
        "1.50",
        "0.50",
    ]
    np.testing.assert_array_equal(ends.x, [3, 2, 1.5, 0.5])
    np.testing.assert_allclose(ends.y, [*shared.y, *auxiliary.y])


def test_names_stand_from_the_top_in_nats_and_the_pointer_says_the_part_not_its_end() -> None:
    figure = information_bars(TEACHERS)
    layout = figure.layout
    assert layout.yaxis.ticktext == ("keeps all", "forgets")
    assert layout.yaxis.range[0] > layout.yaxis.range[1]
    assert layout.xaxis.title.text == "nats"
    assert layout.xaxis.range[0] == 0
    assert layout.xaxis.range[1] > 3
    lacking = figure.data[1]
    np.testing.assert_array_equal(lacking.customdata, [1, 0])
    assert lacking.hovertemplate.startswith("%{text}: %{customdata:.3f} nats")
    assert lacking.text == ("keeps all", "forgets")
    assert "http" not in figure.to_json()


def test_a_teacher_that_knows_nothing_is_drawn() -> None:
    figure = information_bars({"nothing": (0.0, 0.0, 0.0)})
    assert figure.layout.xaxis.range[1] > 0
    assert figure.data[-1].text[0].strip() == "0.00 + 0.00 = 0.00"


def test_a_rounding_below_0_is_0() -> None:
    figure = information_bars({"forgets": (2.0, 0.5, -4e-16)})
    assert figure.data[1].x[0] == 0
    assert figure.data[-1].text[0].strip() == "2.00 + 0.00 = 2.00"


@pytest.mark.parametrize(
    ("teachers", "message"),
    [
        ({}, r"information_bars: expected at least one teacher"),
        ({"a": (1.0, 2.0)}, r"information_bars: 'a': expected I\(M;S\), I\(M;A\) and H\(M\|S\)"),
        ({"a": (1.0, -0.1, 2.0)}, r"'a': .* not below 0, got \[1\.0, -0\.1, 2\.0\]"),
        ({"a": (1.0, np.nan, 2.0)}, r"'a': .* finite and not below 0"),
        ({"a": (1.0, np.inf, 2.0)}, r"'a': .* finite and not below 0"),
    ],
)
def test_errors_are_named(teachers: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        information_bars(teachers)
