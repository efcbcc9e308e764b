"""A waveform as a log-mel spectrogram: how loud each band of pitch is, frame by frame."""

import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from kit.arguments import checked
from kit.checks import check_whole

FLOOR = 1e-10  # power; its 10 log10 is -100, what silence becomes

LOUDEST = 1e12  # in float32 the power of more, summed over a window, would be infinite


@checked
@dataclass(frozen=True)
class LogMel:
    """Hann windows, power, Slaney's mel bands of equal area, 10 log10.

    The bands are librosa's, the windows torch's: librosa's own would compile for a quarter of a
    minute on a new machine.

    The defaults suit a second of sound at 8 kHz: windows of 25 ms every 10 ms.

    Args:
        sample_rate: of the waveforms, in Hz.
        window: samples of a window, and of its Fourier transform.
        hop: samples from one window to the next.
        mels: number of bands.
        low_hz: where the lowest band begins.
        high_hz: where the highest one ends; at most half the sample rate.

    Raises:
        ValueError: impossible numbers.

    """

    sample_rate: int = 8000
    window: int = 200
    hop: int = 80
    mels: int = 40
    low_hz: float = 50.0
    high_hz: float = 4000.0

    def __post_init__(self) -> None:
        counts = {name: getattr(self, name) for name in ("sample_rate", "window", "hop", "mels")}
        check_whole("LogMel", at_least=1, at_most=2**24, **counts)
        low, high, half = self.low_hz, self.high_hz, self.sample_rate / 2
        if not 0 <= low < high <= half:
            raise ValueError(
                f"LogMel: expected 0 <= low_hz < high_hz <= {half}, half the sample rate, "
                f"got {low} and {high}"
            )

    @cached_property
    def bands(self) -> NDArray[np.float32]:
        """The mel matrix: (mels, window // 2 + 1) weights of each frequency in each band.

        Raises:
            ValueError: bands so narrow that one holds no frequency.

        """
        from librosa.filters import mel

        with warnings.catch_warnings():  # of empty bands, which are refused in words of our own
            warnings.filterwarnings("ignore", message="Empty filters detected")
            matrix: NDArray[np.float32] = mel(
                sr=self.sample_rate,
                n_fft=self.window,
                n_mels=self.mels,
                fmin=self.low_hz,
                fmax=self.high_hz,
            )
        empty = int((matrix.max(axis=1) == 0).sum())
        if empty:
            found = f"{empty} of {self.mels} bands"
            raise ValueError(f"LogMel: expected fewer mels or a longer window, {found} are empty")
        matrix.flags.writeable = False
        return matrix

    @checked
    def __call__(self, waveform: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """Transform waveforms; the first window is centred on the first sample.

        Args:
            waveform: (..., samples) float, at least a window long; its ends are mirrored.

        Returns:
            (..., frames, mels) float32, in decibel of power; silence is -100. Of an even window
            there are samples // hop + 1 frames.

        Raises:
            ValueError: waveforms that are none, no floats, too short, not finite, or above 1e12.

        """
        waveform = np.asarray(waveform)
        long = waveform.size > 0 and waveform.ndim > 0 and waveform.shape[-1] >= self.window
        if waveform.dtype.kind != "f" or not long:
            least, found = self.window, f"{waveform.dtype} {waveform.shape}"
            raise ValueError(f"LogMel: expected float waveforms (..., from {least}), got {found}")
        if not np.isfinite(waveform).all():
            raise ValueError("LogMel: expected a finite waveform, got nan or infinity")
        if (loudest := np.abs(waveform).max()) > LOUDEST:
            raise ValueError(f"LogMel: expected a waveform up to {LOUDEST:g}, got {loudest:g}")
        samples = torch.from_numpy(waveform.astype(np.float32)).reshape(-1, waveform.shape[-1])
        hann = torch.hann_window(self.window)
        spectrum = torch.stft(samples, self.window, self.hop, window=hann, return_complex=True)
        power = (spectrum.real.square() + spectrum.imag.square()).transpose(1, 2)
        loudness = power.numpy() @ self.bands.T
        # In float64, where 10 log10 of the floor is -100 and not -100.00001.
        decibel = np.float32(10 * np.log10(np.maximum(np.float64(loudness), FLOOR)))
        return decibel.reshape(*waveform.shape[:-1], *decibel.shape[1:])


# What PANNs' networks were trained on.
PANNS = LogMel(32000, window=1024, hop=320, mels=64, low_hz=50.0, high_hz=14000.0)
