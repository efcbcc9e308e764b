"""Shared bits, an embedded world of vectors in which every mutual information is known.

A clip is a handful of fair coins. The target's vector holds the shared bits and bits of its own,
the auxiliary's vector the shared bits and others of its own; both are noisy. What a teacher M
knows depends on which bits it keeps, S and A being the two vectors as they come:

    >>> world = BitWorld(shared=2, target_bits=2, auxiliary_bits=2, noise=0.0)
    >>> whole, shortcut = world.teacher(), world.teacher(auxiliary_bits=0)
    >>> [round(known.with_target / LN2, 9) for known in (whole, shortcut)]  # I(M;S) is the same
    [4.0, 4.0]
    >>> [round(known.gap / LN2, 9) for known in (whole, shortcut)]  # H(M|S) is not
    [2.0, 0.0]
    >>> [round(known.with_auxiliary / LN2, 9) for known in (whole, shortcut)]  # nor I(M;A)
    [4.0, 2.0]

That is the shortcut: to raise I(M;S) a teacher need not keep what the target lacks. The class is
made of shared bits and one bit that only the auxiliary has. Without noise a teacher that keeps that
bit is always right, one that takes the shortcut in half of the clips, like a student.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kit.data.clips import ClipCorpus, Clips
from kit.data.splits import stratified_split
from kit.worlds.dials import check_dials

LN2 = math.log(2)

# Independent streams of chance, so that turning one dial leaves the rest as it was.
_SHARED, _TARGET, _AUXILIARY, _FLIPS = range(4)
_TARGET_EMBEDDING, _AUXILIARY_EMBEDDING, _TARGET_NOISE, _AUXILIARY_NOISE = range(4, 8)

# The class tells at most this many shared bits, and one of the auxiliary's: eight classes.
_SHARED_IN_CLASS = 2


class TeacherInformation(NamedTuple):
    """What a teacher M knows, in nats, S and A being the target's and the auxiliary's vectors."""

    entropy: float  # H(M)
    with_target: float  # I(M;S)
    with_auxiliary: float  # I(M;A)

    @property
    def gap(self) -> float:
        """H(M|S): what the teacher knows and the target's vector does not tell."""
        return self.entropy - self.with_target


@dataclass(frozen=True)
class BitWorld:
    """The dials of `shared_bits` that decide what is known of what, and the answers.

    All bits are fair and independent. The answers are exact, noise included: each bit has a
    direction of its own and the noise is the same in all directions, so that information adds up.

    Args:
        shared: bits in both vectors, at least 0.
        target_bits: bits in the target's vector alone, at least 0.
        auxiliary_bits: bits in the auxiliary's vector alone, at least 0.
        noise: standard deviation of each number's Gaussian noise, at least 0; a bit is -1 or +1.
        flips: probability, 0 to 0.5, that a shared bit arrives wrong in the target's vector: at 0.5
            it tells nothing.

    Raises:
        ValueError: a dial outside its range; neither a shared bit nor one of the auxiliary's, of
            which the class is made.

    """

    shared: int = 2
    target_bits: int = 2
    auxiliary_bits: int = 2
    noise: float = 0.4
    flips: float = 0.0

    def __post_init__(self) -> None:
        bits = {"shared": self.shared, "target_bits": self.target_bits}
        check_dials("BitWorld", 0, **bits, auxiliary_bits=self.auxiliary_bits, noise=self.noise)
        check_dials("BitWorld", 0, 0.5, flips=self.flips)
        if not self.shared + self.auxiliary_bits:
            raise ValueError(
                "BitWorld: expected at least one bit that is shared or the auxiliary's, of which "
                "the class is made, got shared=0 and auxiliary_bits=0"
            )

    def teacher(
        self,
        *,
        shared: int | None = None,
        target_bits: int | None = None,
        auxiliary_bits: int | None = None,
    ) -> TeacherInformation:
        """What a teacher knows that keeps so many bits of each kind; without a number, all of them.

        The teacher keeps the bits themselves, as they were before any flip and noise; a network
        that reads them out of the two vectors comes near to that where the noise is small. S is the
        target's vector: what a student makes of it tells no more of the teacher. (A network could
        also copy the target's noise, and share more with it than bits.)

        Raises:
            ValueError: fewer than 0 bits, or more than there are.

        One of two shared bits, and all of the target's, which the auxiliary does not have:

        >>> BitWorld(noise=0.0).teacher(shared=1, auxiliary_bits=0).with_auxiliary == LN2
        True

        """
        there = {
            "shared": self.shared,
            "target_bits": self.target_bits,
            "auxiliary_bits": self.auxiliary_bits,
        }
        asked = {"shared": shared, "target_bits": target_bits, "auxiliary_bits": auxiliary_bits}
        kept = {name: there[name] if bits is None else bits for name, bits in asked.items()}
        for name, bits in kept.items():
            check_dials("BitWorld.teacher", 0, there[name], **{name: bits})
        read = bit_information(noise=self.noise)
        read_by_target = bit_information(noise=self.noise, flips=self.flips)
        return TeacherInformation(
            entropy=sum(kept.values()) * LN2,
            with_target=kept["shared"] * read_by_target + kept["target_bits"] * read,
            with_auxiliary=(kept["shared"] + kept["auxiliary_bits"]) * read,
        )

    @property
    def between_views(self) -> float:
        """I(S;A) in nats: what the two vectors, noisy as they are, tell of each other."""
        both = bit_information(noise=self.noise, other_noise=self.noise, flips=self.flips)
        return self.shared * both

    @property
    def classes(self) -> tuple[str, ...]:
        """Their names, such as "10+1": the first shared bits, and the auxiliary's first."""
        told, own = self._told
        return tuple(
            "".join(bits[:told]) + "+" + "".join(bits[told:])
            for bits in product("01", repeat=told + own)
        )

    @property
    def _told(self) -> tuple[int, int]:
        """How many shared bits the class tells, and how many of the auxiliary's."""
        return min(self.shared, _SHARED_IN_CLASS), min(self.auxiliary_bits, 1)


def bit_information(*, noise: float, other_noise: float = 0.0, flips: float = 0.0) -> float:
    """The mutual information of two readings of one fair bit, -1 or +1, in nats.

    Args:
        noise: standard deviation of the Gaussian noise that one reading adds; with 0 it is the bit.
        other_noise: the same of the other reading.
        flips: probability, 0 to 0.5, that one of the two reads the opposite.

    Returns:
        0 to ln 2; to about 1e-12, by summing a Gaussian expectation on a fine grid.

    Raises:
        ValueError: noise that is negative or not finite, flips outside 0 to 0.5.

    A bit that arrives wrong eleven times in a hundred is worth half a bit:

    >>> round(bit_information(noise=0.0, flips=0.11) / LN2, 3)
    0.5
    >>> round(bit_information(noise=1.0) / LN2, 3)
    0.486

    """
    check_dials("bit_information", 0, noise=noise, other_noise=other_noise)
    check_dials("bit_information", 0, 0.5, flips=flips)
    return _bit_information(noise, other_noise, flips)


def shared_bits(
    *,
    shared: int = 2,
    target_bits: int = 2,
    auxiliary_bits: int = 2,
    noise: float = 0.4,
    flips: float = 0.0,
    dim: int = 16,
    clips: int = 2000,
    seed: int = 0,
) -> ClipCorpus:
    """Make a corpus of vectors that hold bits, a pure function of its arguments.

    Args:
        shared: bits in both vectors.
        target_bits: bits in the target's vector alone; the class does not tell them.
        auxiliary_bits: bits in the auxiliary's vector alone; the class tells the first.
        noise: standard deviation of each number's Gaussian noise.
        flips: probability that a shared bit arrives wrong in the target's vector.
        dim: length of a vector, at least the number of bits in it.
        clips: in all splits together, of which 60 % are for training, 20 % for validation.
        seed: at least 0; another seed, other clips, and other directions of the bits.

    Returns:
        A corpus with the modalities ``target`` and ``auxiliary``, (clips, dim) float32, and
        ``bits``, (clips, bits) int8, 0 or 1: the shared ones, then the target's, then the
        auxiliary's, before any flip. They are the answer, for meters and probes. The answer in
        nats is `BitWorld`, with the same dials.

    Raises:
        ValueError: a dial outside its range, too few dimensions for the bits, or so few clips that
            a class has fewer than three.

    """
    world = BitWorld(shared, target_bits, auxiliary_bits, noise, flips)
    needed = shared + max(target_bits, auxiliary_bits)
    if dim < needed:
        raise ValueError(
            f"shared_bits: expected dim to be at least the {needed} bits of a vector, got {dim}"
        )
    check_dials("shared_bits", 1, clips=clips)
    check_dials("shared_bits", 0, seed=seed)
    counts = {_SHARED: shared, _TARGET: target_bits, _AUXILIARY: auxiliary_bits}
    coins = {
        kind: np.random.default_rng((seed, kind)).integers(2, size=(clips, bits), dtype=np.int8)
        for kind, bits in counts.items()
    }
    flipped = np.random.default_rng((seed, _FLIPS)).random((clips, shared)) < flips
    seen_by_target = np.hstack([coins[_SHARED] ^ flipped, coins[_TARGET]])
    seen_by_auxiliary = np.hstack([coins[_SHARED], coins[_AUXILIARY]])
    target_streams = (seed, _TARGET_EMBEDDING), (seed, _TARGET_NOISE)
    auxiliary_streams = (seed, _AUXILIARY_EMBEDDING), (seed, _AUXILIARY_NOISE)
    everything = Clips(
        name="shared bits",
        ids=[f"clip_{number:06d}" for number in range(clips)],
        labels=_labels(world, coins[_SHARED], coins[_AUXILIARY]),
        modalities={
            "target": _vectors(seen_by_target, dim, noise, *target_streams),
            "auxiliary": _vectors(seen_by_auxiliary, dim, noise, *auxiliary_streams),
            "bits": np.hstack(list(coins.values())),
        },
    )
    return stratified_split(everything, world.classes, name="shared bits", seed=seed)


def _labels(world: BitWorld, shared: NDArray[np.int8], auxiliary: NDArray[np.int8]) -> list[int]:
    """The bits that the class tells, read as a binary number, the first shared bit in front."""
    told, own = world._told
    bits = np.hstack([shared[:, :told], auxiliary[:, :own]]).astype(np.int64)
    labels: list[int] = (bits @ (1 << np.arange(told + own)[::-1])).tolist()
    return labels


def _vectors(
    bits: NDArray[np.int8],
    dim: int,
    noise: float,
    embedding_stream: tuple[int, int],
    noise_stream: tuple[int, int],
) -> NDArray[np.float32]:
    """Give each bit, as -1 or +1, a random direction at right angles to the others; add noise."""
    rng = np.random.default_rng(embedding_stream)
    directions, _ = np.linalg.qr(rng.standard_normal((dim, bits.shape[1])))
    vectors = (2.0 * bits - 1) @ directions.T
    vectors += noise * np.random.default_rng(noise_stream).standard_normal(vectors.shape)
    return np.asarray(vectors, dtype=np.float32)


# Beyond this logarithm of the odds a reading is certain in float64.
_CERTAIN = 100.0


@cache
def _bit_information(noise: float, other_noise: float, flips: float) -> float:
    # By symmetry the bit is +1. With x and y half the log-odds that each reading gives of its bit,
    # p(both readings) / (p(one) p(other)) is 1 + (1 - 2 flips) tanh(x) tanh(y), of which the mean
    # logarithm is taken; written with cosh it loses no digits where both tanh are near 1.
    y, weight = _readings(other_noise, sign=1)
    information = 0.0
    for sign, probability in ((1, 1 - flips), (-1, flips)):
        if probability == 0:
            continue
        x, own_weight = _readings(noise, sign=sign)
        alike = _log_2cosh(x[:, None] + y) + math.log(1 - flips)
        if flips:
            alike = np.logaddexp(alike, _log_2cosh(x[:, None] - y) + math.log(flips))
        ratio = alike - _log_2cosh(x)[:, None] - _log_2cosh(y) + LN2
        information += probability * float(own_weight @ ratio @ weight)
    return min(max(information, 0.0), LN2)


def _readings(noise: float, *, sign: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Half the log-odds that readings of the bit `sign` give, and how probable each reading is.

    Equal steps over ten standard deviations: exact to rounding for functions as smooth as these.
    """
    if noise < 0.01:  # no reading within ten standard deviations leaves a doubt
        return np.array([sign * _CERTAIN]), np.ones(1)
    steps = np.linspace(-10, 10, 801)
    weight = np.exp(-(steps**2) / 2)
    odds = ((sign + noise * steps) / noise**2).clip(-_CERTAIN, _CERTAIN)
    return odds, weight / weight.sum()


def _log_2cosh(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.logaddexp(x, -x)
