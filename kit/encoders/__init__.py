"""Encoders: a modality in, a feature vector out.

``image`` is ITMeetsAL's, ``video`` and ``audio`` are AMID's, ``sequence`` has the LSTMs of both;
``weights`` loads a file. Encoders know no data set.
"""

from torch import Tensor, nn

NEGATIVE_SLOPE = 0.01  # of AMID's LeakyReLUs: torch's own, the paper names none


def check_input(network: nn.Module, values: Tensor, *axes: str | int, **least: int) -> None:
    """Refuse what a network cannot take, by its name.

    Args:
        network: which one.
        values: its input.
        axes: what each axis is: the size that it must have, or a word.
        least: by word, the smallest size of such an axis; 1 if not given.

    Raises:
        ValueError: other axes, or values that are not of a float type.

    """
    shape = tuple(values.shape)
    fits = len(shape) == len(axes) and all(
        size == axis or (isinstance(axis, str) and size >= least.get(axis, 1))
        for size, axis in zip(shape, axes, strict=True)
    )
    if not fits or not values.is_floating_point():
        words = ", ".join(
            f"{axis} >= {least[axis]}" if axis in least else str(axis) for axis in axes
        )
        name = type(network).__name__
        raise ValueError(f"{name}: expected ({words}) float, got {shape} {values.dtype}")
