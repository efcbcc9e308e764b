"""Real clips by a few lines: GRID's lips and voice, spoken digits with written ones."""

from __future__ import annotations

import gzip
import os
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.io import wavfile
from sklearn.linear_model import RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from kit.corpora.clip_folder import read_clip_folder, write_clip_folder
from kit.data.clips import ClipCorpus, Clips
from kit.data.log_mel import LogMel
from kit.data.splits import stratified_split

pytestmark = pytest.mark.realdata

SLOTS = ("command", "colour", "preposition", "letter", "digit", "adverb")


def windows(
    frames: NDArray[Any], seconds: NDArray[Any], *, rate: float, length: int
) -> NDArray[Any]:
    """Frames of each clip: the middle one is nearest to the word's middle, if it can be."""
    middle = np.rint(rate * seconds.mean(axis=1)).astype(int)  # frame i is at i / rate seconds
    first = (middle - length // 2).clip(0, frames.shape[1] - length)  # not beyond the clip's ends
    return frames[np.arange(len(frames))[:, None], first[:, None] + np.arange(length)]


def grid_clips(file: Path, slot: int) -> tuple[Clips, tuple[str, ...]]:
    """GRID, with one of six words as the class: 0 command, 1 colour, ... 3 letter, 4 digit."""
    grid = np.load(file)
    classes, labels = np.unique(grid["words"][:, slot], return_inverse=True)
    seconds = grid["word_seconds"][:, slot]
    lips = windows(grid["lips"][..., None], seconds, rate=25 / 3, length=9)
    log_mel = windows(grid["logmel"].swapaxes(1, 2), seconds, rate=25, length=27)
    return Clips("all", grid["names"], labels, {"lips": lips, "log_mel": log_mel}), tuple(classes)


def digit_corpus(folder: Path) -> ClipCorpus:
    """Spoken digits of one second, each with another written one; the official test recordings."""
    files = sorted((folder / "recordings").glob("*.wav"))  # DIGIT_SPEAKER_INDEX.wav
    spoken = [wavfile.read(file)[1][:8000] for file in files]  # 8 kHz; under 1 % are cut
    sound = np.stack([np.pad(wave, (0, 8000 - len(wave))) for wave in spoken])
    labels = np.array([int(file.name[0]) for file in files])

    def mnist(name: str, offset: int) -> NDArray[np.uint8]:
        return np.frombuffer(gzip.decompress((folder / name).read_bytes()), np.uint8, offset=offset)

    written, chosen = mnist("t10k-labels-idx1-ubyte.gz", 8), np.empty(len(files), int)
    for digit in range(10):
        chosen[labels == digit] = np.flatnonzero(written == digit)[: (labels == digit).sum()]
    picture = mnist("t10k-images-idx3-ubyte.gz", 16).reshape(-1, 1, 28, 28, 1)[chosen]
    modalities = {"picture": picture, "sound": np.float32(sound / 32768)}  # a video of one frame
    clips = Clips("all", [file.stem for file in files], labels, modalities)
    clips = clips.with_modality("log_mel", "sound", LogMel(sample_rate=8000))
    index = np.array([int(file.stem.split("_")[2]) for file in files])
    parts = {"train": index >= 10, "validation": (index >= 5) & (index < 10), "test": index < 5}
    splits = [clips.take(np.flatnonzero(part), name=name) for name, part in parts.items()]
    return ClipCorpus("spoken and written digits", tuple("0123456789"), *splits)


def probe(corpus: ClipCorpus, modality: str) -> float:
    """Top-1 in percent of a linear classifier on the bare numbers, on the test split."""

    def features(split: Clips) -> NDArray[np.float32]:
        numbers = np.asarray(split.modality(modality), dtype=np.float32)
        if modality == "lips":
            numbers = numbers.reshape(len(split), 9, 16, 2, 32, 2).mean((3, 5))
        return numbers.reshape(len(split), -1)

    classifier = make_pipeline(StandardScaler(), RidgeClassifier(alpha=1000.0))
    classifier.fit(features(corpus.train), corpus.train.labels)
    return 100 * float(classifier.score(features(corpus.test), corpus.test.labels))


@pytest.fixture(scope="module")
def data() -> Path:
    return Path(os.environ["KIT_DATA"])


@pytest.fixture(scope="module")
def grid(data: Path) -> Path:
    return data / "grid" / "grid_s1.npz"


@pytest.fixture(scope="module")
def digits(data: Path) -> ClipCorpus:
    return digit_corpus(data / "spoken_digits")


# ---- GRID


@pytest.mark.parametrize("slot", range(6), ids=SLOTS)
def test_windows_hold_their_word(grid: Path, slot: int) -> None:
    """With a frame reaching half way to the next: the word is 50 ms or more within each window."""
    seconds = np.load(grid)["word_seconds"][:, slot]
    for rate, frames, length in ((25 / 3, 25, 9), (25, 75, 27)):
        numbers = np.broadcast_to(np.arange(frames), (1000, frames))
        shown = windows(numbers, seconds, rate=rate, length=length)
        assert shown.shape == (1000, length)
        assert (np.diff(shown) == 1).all()
        assert (shown[:, 0] >= 0).all()
        assert (shown[:, -1] < frames).all()
        assert ((shown[:, 0] - 0.5) / rate < seconds[:, 0] - 0.04).all()
        assert ((shown[:, -1] + 0.5) / rate > seconds[:, 1] + 0.04).all()
        inside = (shown[:, 0] > 0) & (shown[:, -1] < frames - 1)
        middle = shown[inside, length // 2] / rate
        assert (abs(middle - seconds[inside].mean(1)) <= 0.501 / rate).all()
        assert inside.mean() > 0.8


@pytest.mark.parametrize(("slot", "classes"), [(0, 4), (1, 4), (2, 4), (3, 25), (4, 10), (5, 4)])
def test_grid_becomes_clips(grid: Path, slot: int, classes: int) -> None:
    clips, words = grid_clips(grid, slot)
    assert (len(clips), len(words)) == (1000, classes)
    lips, log_mel = clips.modality("lips"), clips.modality("log_mel")
    assert (lips.shape, lips.dtype) == ((1000, 9, 32, 64, 1), np.uint8)
    assert (log_mel.shape, log_mel.dtype) == ((1000, 27, 40), np.float32)
    said = np.load(grid)["words"][:, slot]
    assert [words[label] for label in clips.labels] == said.tolist()
    assert clips.ids == np.load(grid)["names"].tolist()
    corpora = [stratified_split(clips, words, name="GRID", seed=seed) for seed in (0, 1)]
    for corpus in corpora:
        assert all(
            abs(corpus.counts[s] - 1000 * p) <= 25
            for s, p in zip(("train", "validation", "test"), (0.6, 0.2, 0.2), strict=True)
        )
        assert sum(corpus.counts.values()) == 1000
    assert set(corpora[0].test.ids) != set(corpora[1].test.ids)


@pytest.mark.parametrize(
    ("slot", "voice", "lips"),
    [(4, (95, 100), (40, 75)), (3, (72, 95), (8, 30)), (1, (92, 100), (50, 85))],
    ids=["digit", "letter", "colour"],
)
def test_the_voice_says_more_than_the_lips(
    grid: Path, slot: int, voice: tuple[int, int], lips: tuple[int, int]
) -> None:
    """A linear probe, one split; on the bare words it is 99.7 / 64.7, 86.3 / 20.0, 100 / 76.7."""
    corpus = stratified_split(*grid_clips(grid, slot), name="GRID", seed=0)
    assert voice[0] <= probe(corpus, "log_mel") <= voice[1]
    assert lips[0] <= probe(corpus, "lips") <= lips[1]


def test_grid_as_a_folder(grid: Path, tmp_path: Path) -> None:
    clips, words = grid_clips(grid, 4)
    write_clip_folder(tmp_path / "digits", clips, words)
    again, classes = read_clip_folder(tmp_path / "digits")
    assert isinstance(again.modality("lips"), np.memmap)
    before = stratified_split(clips, words, name="digits", seed=0)
    after = stratified_split(again, classes, name="digits", seed=0)
    assert after.fingerprint() == before.fingerprint()


# ---- spoken and written digits


def test_digits_become_a_corpus(digits: ClipCorpus) -> None:
    assert digits.counts == {"train": 2400, "validation": 300, "test": 300}
    for split in digits.splits:
        assert set(Counter(split.labels).values()) == {len(split) // 10}
        picture, sound = split.modality("picture"), split.modality("sound")
        assert (picture.shape[1:], picture.dtype) == ((1, 28, 28, 1), np.uint8)
        assert (sound.shape[1:], sound.dtype) == ((8000,), np.float32)
        assert 0.3 < np.abs(sound).max() <= 1
        assert split.modality("log_mel").ndim == 3
        assert [int(one[0]) for one in split.ids] == split.labels
    assert {one.split("_")[2] for one in digits.test.ids} == set("01234")
    assert {one.split("_")[2] for one in digits.validation.ids} == set("56789")


def test_each_spoken_digit_has_a_written_one_of_its_own(data: Path, digits: ClipCorpus) -> None:
    folder = data / "spoken_digits"
    images = gzip.decompress((folder / "t10k-images-idx3-ubyte.gz").read_bytes())[16:]
    labels = gzip.decompress((folder / "t10k-labels-idx1-ubyte.gz").read_bytes())[8:]
    digit = {images[784 * i : 784 * (i + 1)]: label for i, label in enumerate(labels)}
    shown = [picture.tobytes() for s in digits.splits for picture in s.modality("picture")]
    assert len(set(shown)) == 3000
    assert [digit[one] for one in shown] == [label for s in digits.splits for label in s.labels]


def test_both_halves_of_a_digit_tell_which(digits: ClipCorpus) -> None:
    """A linear probe."""
    assert 75 <= probe(digits, "picture") <= 95
    assert 65 <= probe(digits, "log_mel") <= 99
