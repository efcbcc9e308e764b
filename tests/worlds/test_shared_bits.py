from __future__ import annotations

import math
from collections import Counter
from itertools import product

import numpy as np
import pytest
from scipy.integrate import quad
from sklearn.linear_model import LogisticRegression

from kit.worlds.shared_bits import LN2, BitWorld, bit_information, shared_bits


def entropy_of_coin(p):
    return -sum(share * math.log(share) for share in (p, 1 - p) if share)


# Oracles that know nothing of directions or odds: all patterns of bits and flips, one by one.


def information(joint):
    """I(X;Y) in nats from the probability of each (x, y)."""
    one, other = Counter(), Counter()
    for (x, y), p in joint.items():
        one[x] += p
        other[y] += p
    return sum(p * math.log(p / one[x] / other[y]) for (x, y), p in joint.items() if p)


def enumerated(world, kept):
    """H(M), I(M;S), I(M;A) and I(S;A) of a world without noise."""
    kinds = (world.shared, world.target_bits, world.auxiliary_bits)
    teacher, target, auxiliary, views = Counter(), Counter(), Counter(), Counter()
    for coins in product((0, 1), repeat=sum(kinds)):
        shared, own, others = np.split(np.array(coins), np.cumsum(kinds)[:2])
        parts = zip((shared, own, others), kept, strict=True)
        m = tuple(int(bit) for part, bits in parts for bit in part[:bits])
        a = (*shared.tolist(), *others.tolist())
        for flips in product((0, 1), repeat=world.shared):
            s = (*(shared ^ np.array(flips, dtype=int)).tolist(), *own.tolist())
            wrong = sum(flips)
            p = world.flips**wrong * (1 - world.flips) ** (world.shared - wrong) / 2 ** sum(kinds)
            teacher[m, m] += p
            target[m, s] += p
            auxiliary[m, a] += p
            views[s, a] += p
    return [information(joint) for joint in (teacher, target, auxiliary, views)]


@pytest.mark.parametrize("flips", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("bits", [(2, 1, 2), (1, 2, 1), (3, 0, 0), (0, 2, 1)])
def test_without_noise_every_number_is_that_of_the_enumeration(bits, flips):
    world = BitWorld(*bits, noise=0.0, flips=flips)
    for kept in product(*(range(number + 1) for number in bits)):
        known = world.teacher(shared=kept[0], target_bits=kept[1], auxiliary_bits=kept[2])
        entropy, with_target, with_auxiliary, between = enumerated(world, kept)
        assert known == pytest.approx((entropy, with_target, with_auxiliary), abs=1e-12)
        assert known.gap == pytest.approx(entropy - with_target, abs=1e-12)
        assert world.between_views == pytest.approx(between, abs=1e-12)


def patterns(bits):
    return np.array(list(product((-1.0, 1.0), repeat=bits))).reshape(2**bits, bits)


def log_likelihoods(vectors, directions, noise, correct):
    """log p(vector | pattern of bits), (clips, patterns), up to a constant; each bit is read
    rightly with probability `correct`: sums over all that may have been read, none of it by bit.
    """
    asked = patterns(directions.shape[1])
    squares = ((vectors[:, None] - asked @ directions.T) ** 2).sum(2)
    right = np.where(asked[:, None] == asked, correct, 1 - np.array(correct)).prod(2)
    return np.log(np.exp(-squares / (2 * noise**2)) @ right.T)


def log_mean(log_p, axis):
    return np.logaddexp.reduce(log_p, axis=axis) - math.log(log_p.shape[axis])


def test_with_noise_every_number_is_that_of_the_vectors_themselves():
    """Monte Carlo over the clips of a corpus, with the densities of its whole vectors."""
    noise, flips = 0.6, 0.1
    dials = {"shared": 2, "target_bits": 1, "auxiliary_bits": 2, "dim": 5, "clips": 20000}
    still = shared_bits(**dials, noise=0.0).train
    noisy = shared_bits(**dials, noise=noise, flips=flips).train
    bits = noisy.modalities["bits"]
    seen = {"target": ([0, 1, 2], [1 - flips] * 2 + [1.0]), "auxiliary": ([0, 1, 3, 4], [1.0] * 4)}
    log_p = {}
    for view, (columns, correct) in seen.items():
        signs = 2.0 * still.modalities["bits"][:, columns] - 1
        directions = np.linalg.lstsq(signs, still.modalities[view].astype(float), rcond=None)[0].T
        log_p[view] = log_likelihoods(noisy.modalities[view], directions, noise, correct)

    def measured(view, kept):
        """The mean of log p(vector | kept bits) / p(vector), and its standard error."""
        columns = seen[view][0]
        of_pattern = patterns(len(columns)) > 0
        fits = np.ones((len(bits), len(of_pattern)), dtype=bool)
        for place, column in enumerate(columns):
            if column in kept:
                fits &= bits[:, column, None] == of_pattern[:, place]
        given = np.logaddexp.reduce(np.where(fits, log_p[view], -np.inf), axis=1)
        ratio = given - np.log(fits.sum(1)) - log_mean(log_p[view], 1)
        return ratio.mean(), ratio.std() / math.sqrt(len(ratio))

    world = BitWorld(2, 1, 2, noise, flips)
    for number, kept in (((2, 1, 2), {0, 1, 2, 3, 4}), ((2, 1, 0), {0, 1, 2}), ((1, 0, 1), {0, 3})):
        known = world.teacher(shared=number[0], target_bits=number[1], auxiliary_bits=number[2])
        for view, value in (("target", known.with_target), ("auxiliary", known.with_auxiliary)):
            mean, error = measured(view, kept)
            assert error < 0.01
            assert mean == pytest.approx(value, abs=4 * error)

    # Between the views: of each pattern of the shared bits, the mean over what else there may be.
    by_shared = [log_mean(log_p[view].reshape(len(bits), 4, -1), 2) for view in seen]
    ratio = log_mean(sum(by_shared), 1) - sum(log_mean(one, 1) for one in by_shared)
    error = ratio.std() / math.sqrt(len(ratio))
    assert error < 0.01
    assert ratio.mean() == pytest.approx(world.between_views, abs=4 * error)


# One bit


@pytest.mark.parametrize("noise", [0.05, 0.2, 0.3, 0.4, 0.7, 1.0, 3.0])
def test_a_bit_in_noise_tells_what_an_adaptive_integral_says(noise):
    def lost(step):
        density = math.exp(-(step**2) / 2) / math.sqrt(2 * math.pi)
        return density * np.logaddexp(0, -2 * (1 + noise * step) / noise**2)

    parts = [quad(lost, *ends, epsabs=1e-14)[0] for ends in ((-30, -4), (-4, 0), (0, 30))]
    assert bit_information(noise=noise) == pytest.approx(LN2 - sum(parts), abs=1e-11)


def test_a_bit_in_noise_as_books_have_it():
    # The capacity of a binary input in Gaussian noise at Es/N0 = 0 dB, where noise^2 = 1/2.
    assert bit_information(noise=math.sqrt(0.5)) / LN2 == pytest.approx(0.7215, abs=1e-4)
    # In strong noise a bit tells what a Gaussian of its power would: ln(1 + 1/noise^2) / 2.
    assert bit_information(noise=30.0) == pytest.approx(math.log1p(1 / 900) / 2, rel=1e-3)


@pytest.mark.parametrize("flips", [0.0, 0.01, 0.2, 0.5])
def test_a_flipped_bit_tells_ln_2_less_the_coin(flips):
    told = LN2 - entropy_of_coin(flips)
    assert bit_information(noise=0.0, flips=flips) == pytest.approx(told, abs=1e-13)
    assert bit_information(noise=1e-200, other_noise=1e-9, flips=flips) == pytest.approx(told)


def test_two_noisy_readings_tell_less_of_each_other_than_of_the_bit():
    both = bit_information(noise=0.5, other_noise=0.8, flips=0.1)
    assert both == pytest.approx(bit_information(noise=0.8, other_noise=0.5, flips=0.1))
    assert both < bit_information(noise=0.8, flips=0.1) < bit_information(noise=0.8)
    # Against the plain sum over a grid of both readings.
    grid = np.arange(-8, 8, 0.05)
    one, other = (
        np.exp(-((grid - np.array([[-1], [1]])) ** 2) / (2 * noise**2)) for noise in (0.5, 0.8)
    )
    joint = one.T @ np.array([[0.9, 0.1], [0.1, 0.9]]) @ other
    joint /= joint.sum()
    apart = joint.sum(1, keepdims=True) * joint.sum(0)
    assert both == pytest.approx((joint * np.log(joint / apart)).sum(), abs=1e-9)


# The lesson


@pytest.mark.parametrize("noise", [0.0, 0.4, 1.0])
def test_the_shortcut_keeps_all_that_is_shared_with_the_target_and_has_the_least_gap(noise):
    world = BitWorld(noise=noise)
    whole, shortcut = world.teacher(), world.teacher(auxiliary_bits=0)
    assert whole.with_target == shortcut.with_target
    assert whole.with_auxiliary > shortcut.with_auxiliary
    assert whole.gap == pytest.approx(shortcut.gap + 2 * LN2)
    assert world.teacher(shared=0, target_bits=0, auxiliary_bits=0) == (0, 0, 0)


def test_without_noise_a_teacher_is_always_right_and_a_student_in_half_of_the_clips():
    corpus = shared_bits(noise=0.1)

    def right(*views):
        train, test = (
            np.hstack([split.modalities[view] for view in views])
            for split in (corpus.train, corpus.test)
        )
        model = LogisticRegression(max_iter=500).fit(train, corpus.train.labels)
        return model.score(test, corpus.test.labels)

    assert right("target", "auxiliary") == 1
    assert right("target") == pytest.approx(0.5, abs=0.08)


# The corpus


def everything(corpus, modality):
    return np.concatenate([split.modalities[modality] for split in corpus.splits])


def test_shapes_and_counts():
    corpus = shared_bits(target_bits=1, auxiliary_bits=3, dim=9, clips=500)
    assert [round(count / 500, 2) for count in corpus.counts.values()] == [0.6, 0.2, 0.2]
    shapes = {name: (v.dtype, v.shape[1:]) for name, v in corpus.train.modalities.items()}
    assert shapes == {
        "target": (np.float32, (9,)),
        "auxiliary": (np.float32, (9,)),
        "bits": (np.int8, (6,)),
    }
    assert len({one for split in corpus.splits for one in split.ids}) == 500


@pytest.mark.parametrize(
    ("bits", "columns", "classes"),
    [
        ((3, 1, 2), [0, 1, 4], "00+0 00+1 01+0 01+1 10+0 10+1 11+0 11+1"),
        ((1, 1, 1), [0, 2], "0+0 0+1 1+0 1+1"),
        ((2, 1, 0), [0, 1], "00+ 01+ 10+ 11+"),
        ((0, 1, 3), [1], "+0 +1"),
    ],
)
def test_the_class_is_named_by_the_bits_that_it_tells(bits, columns, classes):
    shared, target_bits, auxiliary_bits = bits
    corpus = shared_bits(
        shared=shared, target_bits=target_bits, auxiliary_bits=auxiliary_bits, clips=200
    )
    assert corpus.classes == tuple(classes.split())
    for label, coins in zip(corpus.train.labels, corpus.train.modalities["bits"], strict=True):
        assert corpus.classes[label].replace("+", "") == "".join(map(str, coins[columns]))


def test_without_noise_a_vector_is_its_bits_at_right_angles():
    corpus = shared_bits(shared=2, target_bits=1, auxiliary_bits=3, noise=0.0, dim=7)
    signs = 2.0 * everything(corpus, "bits") - 1
    for view, columns in (("target", [0, 1, 2]), ("auxiliary", [0, 1, 3, 4, 5])):
        vectors = everything(corpus, view)
        directions, _, rank, _ = np.linalg.lstsq(signs[:, columns], vectors, rcond=None)
        assert rank == len(columns)
        assert directions @ directions.T == pytest.approx(np.eye(rank), abs=1e-6)
        assert signs[:, columns] @ directions == pytest.approx(vectors, abs=1e-6)


def test_bits_are_fair_and_independent_and_flips_as_frequent_as_asked():
    corpus = shared_bits(shared=2, noise=0.0, flips=0.1, clips=20000)
    signs = 2.0 * everything(corpus, "bits") - 1
    assert signs.mean(0) == pytest.approx(np.zeros(6), abs=0.03)
    assert np.corrcoef(signs.T) == pytest.approx(np.eye(6), abs=0.03)
    plain = shared_bits(shared=2, noise=0.0, clips=20000)
    assert (everything(corpus, "auxiliary") == everything(plain, "auxiliary")).all()
    # A flip moves a vector by 2 along its bit's direction.
    moved = ((everything(corpus, "target") - everything(plain, "target")) ** 2).sum(1) / 4
    shares = np.bincount(moved.round().astype(int), minlength=3) / 20000
    assert shares == pytest.approx([0.81, 0.18, 0.01], abs=0.01)
    assert everything(corpus, "bits").tolist() == everything(plain, "bits").tolist()


def test_noise_has_the_deviation_that_is_asked_for_and_is_the_views_own():
    still, noisy = shared_bits(noise=0.0), shared_bits(noise=0.5)
    added = [everything(noisy, view) - everything(still, view) for view in ("target", "auxiliary")]
    for one in added:
        assert one.std() == pytest.approx(0.5, rel=0.02)
        assert np.cov(one.T) == pytest.approx(0.25 * np.eye(16), abs=0.04)
    assert np.corrcoef(added[0].ravel(), added[1].ravel())[0, 1] == pytest.approx(0, abs=0.03)


def test_a_target_may_know_nothing():
    corpus = shared_bits(shared=0, target_bits=0, noise=0.0)
    assert not everything(corpus, "target").any()
    assert BitWorld(shared=0, target_bits=0).teacher().with_target == 0


def test_the_same_seed_gives_the_same_corpus_and_another_another():
    first, again, other = (shared_bits(clips=200, seed=seed) for seed in (1, 1, 2))
    assert first.fingerprint() == again.fingerprint() != other.fingerprint()
    assert shared_bits(clips=200, seed=0).fingerprint() != first.fingerprint()


def test_one_dial_leaves_the_rest_as_it_was():
    plain = shared_bits(clips=200)
    for dials, same in (
        ({"noise": 0.1}, ("bits",)),
        ({"flips": 0.2}, ("bits", "auxiliary")),
        ({"target_bits": 1}, ("auxiliary",)),
        ({"auxiliary_bits": 1}, ("target",)),
    ):
        turned = shared_bits(**{"clips": 200, **dials})
        assert turned.fingerprint() != plain.fingerprint()
        if "auxiliary_bits" not in dials:
            assert turned.train.ids == plain.train.ids
        rows = [np.argsort([one for part in c.splits for one in part.ids]) for c in (plain, turned)]
        for view in same:
            ours, theirs = (
                everything(c, view)[r] for c, r in zip((plain, turned), rows, strict=True)
            )
            assert (ours == theirs).all(), (dials, view)


# What is refused


@pytest.mark.parametrize(
    ("dials", "message"),
    [
        ({"shared": -1}, "BitWorld: expected shared to be at least 0, got -1"),
        ({"target_bits": -2}, "BitWorld: expected target_bits to be at least 0, got -2"),
        ({"auxiliary_bits": -1}, "BitWorld: expected auxiliary_bits to be at least 0, got -1"),
        (
            {"shared": 0, "auxiliary_bits": 0},
            "at least one bit that is shared or the auxiliary's, .* got shared=0",
        ),
        ({"noise": -0.1}, "BitWorld: expected noise to be at least 0, got -0.1"),
        ({"noise": float("nan")}, "BitWorld: expected noise to be at least 0 and finite, got nan"),
        ({"flips": 0.6}, "BitWorld: expected flips between 0 and 0.5, got 0.6"),
        ({"dim": 4, "auxiliary_bits": 3}, "dim to be at least the 5 bits of a vector, got 4"),
        ({"clips": 0}, "shared_bits: expected clips to be at least 1, got 0"),
        ({"clips": 10}, "at least 3 clips of a class"),
        ({"seed": -1}, "shared_bits: expected seed to be at least 0, got -1"),
    ],
)
def test_impossible_dials_are_refused(dials, message):
    with pytest.raises(ValueError, match=message):
        shared_bits(**dials)


def test_a_teacher_cannot_keep_what_is_not_there():
    with pytest.raises(ValueError, match="expected shared between 0 and 2, got 3"):
        BitWorld().teacher(shared=3)
    with pytest.raises(ValueError, match=r"expected auxiliary_bits between 0 and 2, got -1"):
        BitWorld().teacher(auxiliary_bits=-1)


def test_impossible_readings_are_refused():
    with pytest.raises(
        ValueError, match=r"bit_information: expected noise to be at least 0 .* inf"
    ):
        bit_information(noise=float("inf"))
    with pytest.raises(ValueError, match="bit_information: expected other_noise to be at least 0"):
        bit_information(noise=0.0, other_noise=-1)
    with pytest.raises(ValueError, match=r"bit_information: expected flips between 0 and 0.5"):
        bit_information(noise=0.0, flips=-0.1)
