"""How far a world's dials turn, in one wording."""

from __future__ import annotations

from math import inf, isfinite


def check_dials(function: str, low: float, high: float = inf, **dials: float) -> None:
    """Refuse a dial outside of `low` and `high`, both included, and what is no finite number.

    >>> check_dials("draw", 32, 512, size=16)
    Traceback (most recent call last):
    ValueError: draw: expected size between 32 and 512, got 16
    """
    limits = f"between {low} and {high}" if high < inf else f"to be at least {low}"
    for name, dial in dials.items():
        if not low <= dial <= high or not isfinite(dial):
            finite = "" if isfinite(dial) else " and finite"
            raise ValueError(f"{function}: expected {name} {limits}{finite}, got {dial}")


def check_held_out(function: str, held_out: float) -> None:
    """Refuse a share for validation, and as much for the test, that leaves none for training."""
    if not 0 < held_out < 0.5:
        raise ValueError(f"{function}: expected held_out above 0 and below 0.5, got {held_out}")
