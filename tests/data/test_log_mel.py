"""Log-mel spectrograms: bands as a second library has them, the transform as a plain loop."""

from __future__ import annotations

import math
import pickle
from dataclasses import asdict
from typing import Any

import kaldi_native_fbank
import numpy as np
import pytest
import scipy.fft
from numpy.typing import NDArray

from kit.data.log_mel import FLOOR, PANNS, LogMel

# Our own, PANNs', and one from 0 to half the sample rate with a window of another kind.
TRANSFORMS = {
    "default": LogMel(),
    "PANNs": PANNS,
    "whole": LogMel(16000, window=512, hop=130, mels=32, low_hz=0, high_hz=8000),
}
each = pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)


def noise(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    return np.float32(np.random.default_rng(seed).uniform(-0.5, 0.5, shape))


def tone(hz: float, transform: LogMel, *, seconds: float = 0.5) -> NDArray[np.float32]:
    time = np.arange(round(seconds * transform.sample_rate)) / transform.sample_rate
    return np.float32(0.5 * np.sin(2 * np.pi * hz * time))


# ---- bands


@each
def test_bands_are_those_of_a_second_library(transform: LogMel) -> None:
    frames = kaldi_native_fbank.FrameExtractionOptions()
    frames.samp_freq = transform.sample_rate
    frames.frame_length_ms = 1000 * transform.window / transform.sample_rate
    frames.round_to_power_of_two = False
    mels = kaldi_native_fbank.MelBanksOptions()
    mels.num_bins = transform.mels
    mels.low_freq, mels.high_freq = transform.low_hz, transform.high_hz
    mels.is_librosa, mels.norm, mels.use_slaney_mel_scale = True, "slaney", True
    mels.floor_to_int_bin = False
    second = kaldi_native_fbank.MelBanks(mels, frames).get_matrix()
    bands = transform.bands
    assert bands.shape == second.shape == (transform.mels, transform.window // 2 + 1)
    assert bands.dtype == np.float32
    np.testing.assert_allclose(bands, second, rtol=0, atol=1e-4 * bands.max())


def mel_of(hz: float) -> float:
    """Slaney's scale: linear up to 1 kHz, 15 mel, then 27 mel for a factor of 6.4."""
    return 3 * hz / 200 if hz < 1000 else 15 + 27 * math.log(hz / 1000) / math.log(6.4)


def hz_of(mel: float) -> float:
    return 200 * mel / 3 if mel < 15 else 1000 * 6.4 ** ((mel - 15) / 27)


def bands_by_hand(transform: LogMel) -> NDArray[np.float64]:
    """Triangles over edges that are equally far apart in mel, each of area 1 in Hz."""
    low, high = mel_of(transform.low_hz), mel_of(transform.high_hz)
    edges = [
        hz_of(low + (high - low) * at / (transform.mels + 1)) for at in range(transform.mels + 2)
    ]
    matrix = np.zeros((transform.mels, transform.window // 2 + 1))
    for band in range(transform.mels):
        left, peak, right = edges[band : band + 3]
        for column in range(matrix.shape[1]):
            hz = column * transform.sample_rate / transform.window
            if left < hz < right:
                side = (hz - left) / (peak - left) if hz < peak else (right - hz) / (right - peak)
                matrix[band, column] = side * 2 / (right - left)
    return matrix


@each
def test_bands_are_triangles_of_equal_area_on_slaneys_scale(transform: LogMel) -> None:
    np.testing.assert_allclose(transform.bands, bands_by_hand(transform), rtol=0, atol=1e-7)


def test_bands_are_made_once_and_cannot_be_written_to() -> None:
    transform = LogMel()
    assert transform.bands is transform.bands
    with pytest.raises(ValueError, match=r"read-only"):
        transform.bands[0, 0] = 1


# ---- the whole transform


def by_hand(transform: LogMel, waveform: NDArray[Any]) -> NDArray[np.float64]:
    """Frame by frame in float64: mirror, window, Fourier, power, bands, decibel."""
    half = transform.window // 2
    wave = waveform.astype(np.float64)
    mirrored = np.concatenate([wave[half:0:-1], wave, wave[-2 : -half - 2 : -1]])
    phase = 2 * np.pi * np.arange(transform.window) / transform.window
    hann, bands = 0.5 - 0.5 * np.cos(phase), bands_by_hand(transform)
    frames = []
    for start in range(0, len(mirrored) - transform.window + 1, transform.hop):
        spectrum = scipy.fft.rfft(hann * mirrored[start : start + transform.window])
        power = bands @ np.abs(spectrum) ** 2
        frames.append([10 * math.log10(max(band, 1e-10)) for band in power])
    return np.array(frames)


@each
@pytest.mark.parametrize("samples", [4000, 4123])
def test_the_transform_is_that_of_a_plain_loop(transform: LogMel, samples: int) -> None:
    waveform = noise(samples)
    spectrogram = transform(waveform)
    assert spectrogram.shape == (samples // transform.hop + 1, transform.mels)
    assert spectrogram.dtype == np.float32
    np.testing.assert_allclose(spectrogram, by_hand(transform, waveform), rtol=0, atol=1e-3)
    np.testing.assert_allclose(transform(waveform.astype(np.float64)), spectrogram, atol=1e-3)


@pytest.mark.parametrize("samples", [8000, 8079, 8080, 200])
def test_a_frame_for_each_hop_and_one_more(samples: int) -> None:
    assert len(LogMel()(noise(samples))) == samples // 80 + 1


@pytest.mark.parametrize("samples", [4000, 4080, 4081])
def test_windows_may_be_odd(samples: int) -> None:
    transform = LogMel(window=275)
    waveform = noise(samples)
    expected = by_hand(transform, waveform)
    np.testing.assert_allclose(transform(waveform), expected, rtol=0, atol=1e-3)


@each
@pytest.mark.parametrize("hz", [440.0, 1234.5, 3200.0])
def test_a_pure_tone_is_loudest_in_its_band(transform: LogMel, hz: float) -> None:
    spectrogram = transform(tone(hz, transform))
    inner = spectrogram[3:-3]  # mirrored ends are no pure tone
    low, high = mel_of(transform.low_hz), mel_of(transform.high_hz)
    # Band b has its peak b + 1 steps of mel above the lowest edge.
    place = (mel_of(hz) - low) / (high - low) * (transform.mels + 1) - 1
    loudest = inner.argmax(axis=1)
    assert (np.abs(loudest - place) < 1).all()
    far = np.abs(np.arange(transform.mels) - place) > 6
    assert (inner.max(axis=1) - inner[:, far].max(axis=1) > 25).all()


def test_ten_times_the_amplitude_is_20_decibel_more() -> None:
    waveform = noise(4000)
    np.testing.assert_allclose(LogMel()(waveform), LogMel()(waveform / 10) + 20, atol=1e-3)


def test_time_runs_along_the_first_axis() -> None:
    """A click at 0.4 s of 0.8 s: the frames whose window it is in, and silence before and after."""
    waveform = np.zeros(6400, np.float32)
    waveform[3200] = 1
    heard = np.flatnonzero((LogMel()(waveform) > -100).any(axis=1))
    assert heard.tolist() == [39, 40, 41]  # centred on 3120, 3200 and 3280; hann is 0 at -100
    assert LogMel()(waveform)[40].min() > LogMel()(waveform)[39].max()


@each
def test_silence_is_100_decibel_below_1(transform: LogMel) -> None:
    spectrogram = transform(np.zeros(transform.window, np.float32))
    assert FLOOR == 1e-10
    assert (spectrogram == -100).all()
    # Not relative to the loudest, as some libraries have it: quiet bands keep what they are.
    loud = transform(np.concatenate([noise(4000), np.zeros(4000, np.float32)]))
    assert loud.max() > -30
    assert (loud[-4:] == -100).all()


def test_many_waveforms_are_each_as_alone() -> None:
    waveforms = noise(2, 3, 4000)
    together = LogMel()(waveforms)
    assert together.shape == (2, 3, 51, 40)
    for row in np.ndindex(2, 3):
        np.testing.assert_allclose(together[row], LogMel()(waveforms[row]), rtol=0, atol=1e-4)
    assert np.array_equal(waveforms, noise(2, 3, 4000))


def test_panns_constants_are_the_published_ones() -> None:
    published = {
        "sample_rate": 32000,
        "window": 1024,
        "hop": 320,
        "mels": 64,
        "low_hz": 50,
        "high_hz": 14000,
    }
    assert asdict(PANNS) == published
    assert PANNS(noise(32000)).shape == (101, 64)  # 100 frames a second


def test_a_transform_is_a_value() -> None:
    assert LogMel() == LogMel(8000, window=200, hop=80, mels=40, low_hz=50, high_hz=4000)
    again = pickle.loads(pickle.dumps(PANNS))  # to worker processes
    assert again == PANNS
    assert np.array_equal(again.bands, PANNS.bands)


# ---- what is refused


@pytest.mark.parametrize("name", ["sample_rate", "window", "hop", "mels"])
def test_counts_are_at_least_1(name: str) -> None:
    message = rf"^LogMel: {name} must be a whole number of at least 1, got 0$"
    with pytest.raises(ValueError, match=message):
        LogMel(**{name: 0})


@pytest.mark.parametrize(
    ("low", "high"), [(-1, 4000), (50, 4001), (300, 300), (300, 200), (math.nan, 4000)]
)
def test_bands_lie_between_0_and_half_the_sample_rate(low: float, high: float) -> None:
    message = (
        r"^LogMel: expected 0 <= low_hz < high_hz <= 4000\.0, half of sample_rate, "
        rf"got {low} and {high}$"
    )
    with pytest.raises(ValueError, match=message):
        LogMel(low_hz=low, high_hz=high)


def test_bands_that_hold_no_frequency_are_counted() -> None:
    crowded = LogMel(mels=128)
    empty = int((bands_by_hand(crowded).max(axis=1) == 0).sum())
    assert empty > 0
    message = rf"^LogMel: expected fewer mels or a longer window, {empty} of 128 bands are empty$"
    with pytest.raises(ValueError, match=message):
        _ = crowded.bands
    with pytest.raises(ValueError, match=message):
        crowded(noise(4000))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            np.zeros(800, np.int16),
            r"float waveforms \(\.\.\., from 200\), got int16 \(800,\)$",
        ),
        (
            np.zeros((0, 800)),
            r"float waveforms \(\.\.\., from 200\), got float64 \(0, 800\)$",
        ),
        (np.zeros(0), r"float waveforms \(\.\.\., from 200\), got float64 \(0,\)$"),
        (noise(2, 199), r"float waveforms .* got float32 \(2, 199\)$"),
        (np.array([0.0] * 400 + [math.nan]), r"a finite waveform, got nan or infinity$"),
        (np.array([0.0] * 400 + [math.inf]), r"a finite waveform, got nan or infinity$"),
    ],
)
def test_waveforms_that_are_none_are_named(wrong: NDArray[Any], message: str) -> None:
    with pytest.raises(ValueError, match=r"^LogMel: expected " + message):
        LogMel()(wrong)
