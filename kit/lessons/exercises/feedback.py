"""How a check looks at a learner's function: case by case, the first fault told in one sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from math import nan
from traceback import format_exception_only
from typing import Any

import torch
from torch import Tensor, nn

# What goes in by name, what must come out, what that shows, and what known mistakes give instead.
Case = tuple[dict[str, Any], Tensor | str, str, Sequence[tuple[object, str]]]


def first_fault(answer: Callable[..., object], cases: list[Case]) -> str | None:
    """What is wrong at the first case that goes wrong, None where all are right.

    Args:
        answer: The learner's function. What it raises is told, not raised.
        cases: In the order in which they are tried, the simplest first.

    Returns:
        One sentence, or "not tried yet" where the first case gives None or an Ellipsis.

    """
    for number, (inputs, expected, why, mistakes) in enumerate(cases):
        at = "for " + ", ".join(f"{name} = {_shown(value)}" for name, value in inputs.items())
        before = deepcopy(inputs)
        try:
            with torch.enable_grad():
                came = answer(*inputs.values())
            if number == 0 and (came is None or came is ...):
                return "not tried yet"
            changed = [name for name in inputs if not _same(before[name], inputs[name])]
            if changed:
                return f"{at} it changes {changed[0]} in place, which others still need"
            fault = _difference(came, expected, why, mistakes)
        except Exception as error:
            return f"{at} it raised {told(error)}"
        if fault:
            return f"{at} it {fault}"
    return None


def _difference(
    came: object, expected: Tensor | str, why: str, mistakes: Sequence[tuple[object, str]]
) -> str | None:
    if isinstance(expected, str):
        if not isinstance(came, str):
            return f"returns something of type {type(came).__name__}, expected {expected!r}"
        right = came == expected
        named = [sentence for slip, sentence in mistakes if came == slip]
    else:
        if not isinstance(came, Tensor) or came.is_complex():
            kind = came.dtype if isinstance(came, Tensor) else type(came).__name__
            return f"returns something of type {kind}, expected a Tensor of floats"
        if came.shape != expected.shape:
            return f"returns shape {tuple(came.shape)}, expected {tuple(expected.shape)}"
        came = tensor(came.tolist())
        right = close(came, expected)
        finite = came.where(came.isfinite(), nan)  # inf is named as nan is
        named = [sentence for slip, sentence in mistakes if close(finite, tensor(slip))]
    if right:
        return None
    return f"gives {_shown(came)}, expected {_shown(expected)}: {(named or [why])[0]}"


def case(
    expected: Any, why: str, mistakes: Sequence[tuple[object, str]] = (), **inputs: Any
) -> Case:
    """One case for `first_fault`: lists become tensors, of whole numbers or else float64.

    Args:
        expected: What must come out, numbers.
        why: What the learner is told where what came out is none of the known mistakes.
        mistakes: What known mistakes give instead, and the sentence for each.
        **inputs: What goes in, in the order of the learner's arguments; all but lists as it is.

    Returns:
        The case.

    """
    given = dict(inputs)
    for name, value in inputs.items():
        if isinstance(value, list):
            whole = torch.tensor(value)
            given[name] = whole if whole.dtype == torch.int64 else tensor(value)
    return given, tensor(expected), why, mistakes


def gradients(
    answer: Callable[..., object],
    inputs: Mapping[str, Any],
    moved: Mapping[str, Tensor],
    why: str,
    still: Mapping[str, Tensor] | None = None,
) -> list[Tensor] | str:
    """What an answer that gives the right value sends back into tensors that its inputs hold.

    Args:
        answer: The learner's function.
        inputs: What goes in.
        moved: By name, what a gradient must reach.
        why: What the learner is told where none does.
        still: By name, what no gradient may reach.

    Returns:
        The gradient of each that is moved; or a sentence, where one is missing or too many.

    """
    sources = {**moved, **(still or {})}
    reached: Any = [None] * len(sources)
    try:
        with torch.enable_grad():
            loss: Any = answer(*inputs.values())
            if loss.requires_grad:
                reached = torch.autograd.grad(loss, [*sources.values()], allow_unused=True)
    except Exception as error:
        return f"the value is right, but its gradient cannot be taken: {told(error)}"
    for name, gradient in zip(sources, reached, strict=True):
        arrives = gradient is not None and bool(gradient.any())
        if name in moved and not arrives:
            return f"the value is right, but no gradient reaches {name}, {why}"
        if name not in moved and arrives:
            return (
                f"the value is right, but a gradient reaches {name}: only {next(iter(moved))} moves"
            )
    return [*reached[: len(moved)]]


def tensor(values: object) -> Tensor:
    """The numbers as a float64 tensor, in which all that a check compares is given."""
    return torch.tensor(values, dtype=torch.float64)


def close(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors are equal in the four decimals that a learner is shown."""
    return torch.allclose(one, other, rtol=1e-5, atol=1e-4, equal_nan=True)


def _same(before: Any, after: Any) -> bool:
    if isinstance(before, nn.Module):
        return all(map(_same, before.parameters(), after.parameters()))
    if isinstance(before, Tensor):
        return before.requires_grad == after.requires_grad and torch.equal(before, after)
    return bool(before == after)


def _shown(value: object) -> str:
    if isinstance(value, nn.Module):
        return "one that gives back its input"
    if isinstance(value, Tensor):
        value = value.tolist()
    if isinstance(value, list):
        return "[" + ", ".join(map(_shown, value)) + "]"
    return f"{round(value, 4) + 0.0:g}" if isinstance(value, float) else repr(value)[:60]


def told(error: Exception) -> str:
    """The error in one line; `format_exception_only` bears even an error that cannot say itself."""
    return format_exception_only(error)[-1].strip().partition("\n")[0][:200]
