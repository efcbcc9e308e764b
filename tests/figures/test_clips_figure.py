"""Clips: the very pixels and samples that were given, in the page itself."""

from __future__ import annotations

import base64
import io
import re
import wave
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageSequence

from kit.figures import clip_strip
from kit.figures.clips import LOUD, QUIET

RATE = 8000


def video(seed: int, frames: int = 5, height: int = 8, channels: int = 3) -> NDArray[np.uint8]:
    shape = (frames, height, 12, channels)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def tone(seed: int, samples: int = 900) -> NDArray[np.float32]:
    return np.random.default_rng(seed).uniform(-1, 1, samples).astype(np.float32)


VIDEOS = [video(0), video(1)]
SOUNDS = [tone(2), 0.5 * tone(3)]
HEARD: dict[str, Any] = {"sounds": SOUNDS, "sample_rate": RATE}


def shown(**other: Any) -> str:
    given: dict[str, Any] = {"videos": VIDEOS, "titles": ["a <b>", "c"], "frames_per_second": 8}
    return clip_strip(**{**given, **other}).html


def pictures(page: str, attribute: str = "src") -> list[Image.Image]:
    found = re.findall(rf'{attribute}="data:image/png;base64,([^"]+)"', page)
    return [Image.open(io.BytesIO(base64.b64decode(data))) for data in found]


def test_a_clip_moves_at_its_pace_without_end_and_keeps_its_pixels() -> None:
    for moving, expected in zip(pictures(shown())[::2], VIDEOS, strict=True):
        frames = [np.asarray(one.convert("RGB")) for one in ImageSequence.Iterator(moving)]
        np.testing.assert_array_equal(frames, expected)
        assert (moving.info["duration"], moving.info["loop"]) == (125, 0)


def test_the_strip_holds_the_frames_side_by_side() -> None:
    for strip, expected in zip(pictures(shown())[1::2], VIDEOS, strict=True):
        pixels = np.asarray(strip)
        assert pixels.shape == (8, 5 * 12 + 4, 3)
        for at, frame in enumerate(expected):
            np.testing.assert_array_equal(pixels[:, 13 * at : 13 * at + 12], frame)
        assert (pixels[:, 12::13] == 255).all()


def test_of_many_frames_ten_stand_side_by_side_and_all_move() -> None:
    long = video(0, frames=30)
    page = shown(videos=[long], titles=["long"])
    moving, strip = pictures(page)
    assert getattr(moving, "n_frames", 0) == 30
    pixels = np.asarray(strip)
    assert pixels.shape[1] == 10 * 12 + 9
    for at, row in enumerate([0, 3, 6, 10, 13, 16, 19, 23, 26, 29]):
        np.testing.assert_array_equal(pixels[:, 13 * at : 13 * at + 12], long[row])
    assert page.count("long: 10 of 30 frames, 3.75 s") == 2  # for the pointer, for those who listen


def test_who_wants_less_motion_sees_the_middle_frame() -> None:
    page = shown()
    assert page.count('<source media="(prefers-reduced-motion: reduce)" srcset=') == 2
    for still, expected in zip(pictures(page, "srcset"), VIDEOS, strict=True):
        np.testing.assert_array_equal(np.asarray(still), expected[2])


def test_grey_clips_stay_grey_and_arrays_of_clips_are_taken_as_they_are() -> None:
    grey = np.stack([video(at, channels=1) for at in range(2)])
    moving, strip, *_ = pictures(shown(videos=grey))
    assert strip.mode == "L"
    np.testing.assert_array_equal(np.asarray(strip)[:, :12], grey[0, 0, ..., 0])
    frames = [np.asarray(one.convert("L")) for one in ImageSequence.Iterator(moving)]
    np.testing.assert_array_equal(frames, grey[0, ..., 0])


def test_large_pictures_are_embedded_as_large_as_they_are_shown() -> None:
    page = shown(videos=[video(0, frames=2, height=300)], titles=["tall"])
    assert {picture.height for picture in pictures(page)} == {96}
    assert "height:96px" in page


def test_the_players_play_the_samples_that_were_given() -> None:
    page = shown(**HEARD)
    found = re.findall(r'src="data:audio/wav;base64,([^"]+)"', page)
    assert page.count("<audio controls ") == len(found) == 2
    for data, sound in zip(found, SOUNDS, strict=True):
        with wave.open(io.BytesIO(base64.b64decode(data))) as recording:
            facts = recording.getnchannels(), recording.getsampwidth(), recording.getframerate()
            assert facts == (1, 2, RATE)
            samples = np.frombuffer(recording.readframes(10_000), dtype="<i2")
        np.testing.assert_allclose(samples / 32767, sound, atol=0.5001 / 32767)


def polygons(page: str) -> list[NDArray[np.float64]]:
    found = re.findall(r'<polygon points="([^"]+)"', page)
    return [np.array([[float(n) for n in xy.split(",")] for xy in p.split()]) for p in found]


def test_waves_are_drawn_on_one_scale_from_left_to_right() -> None:
    quiet = np.zeros(400, dtype=np.float32)
    pulse = quiet.copy()
    pulse[200] = 0.5  # the 101st of 200 columns
    loud, half, still = polygons(
        shown(
            videos=[video(0)] * 3,
            titles=["a", "b", "c"],
            sounds=[pulse, -pulse / 2, quiet],
            sample_rate=RATE,
        )
    )
    assert len(loud) == len(half) == 2 * 200  # there along the top, back along the bottom
    np.testing.assert_array_equal(loud[[0, 100, 199, 200, 399], 0], [0, 100, 199, 199, 0])
    assert loud[100, 1] == 2  # the loudest of all reaches the top
    assert half[299, 1] == 74  # half as loud, and below the middle
    assert (half[:200, 1] == 50).all()
    assert (still[:, 1] == 50).all()
    assert len(polygons(shown(sounds=[tone(0, 3)] * 2, sample_rate=RATE))[0]) == 6


def test_spectrograms_have_time_to_the_right_and_pitch_upwards_on_one_scale() -> None:
    first = np.array([[0.0, 1.0], [2.0, 3.0], [4.0, 4.0]], dtype=np.float32)
    second = np.full((1, 2), 2.0, dtype=np.float32)
    page = shown(spectrograms=[first, second])
    found = [np.asarray(one.convert("RGB")) for one in pictures(page)[2::3]]
    assert [one.shape[:2] for one in found] == [(2, 3), (2, 1)]
    assert (found[0][1, 0] == QUIET).all()  # lowest band, first frame
    assert (found[0][:, 2] == LOUD).all()
    middle = np.array([QUIET, LOUD]).mean(axis=0)
    for pixel in (found[0][1, 1], found[1][0, 0]):  # 2.0 lies half-way in both
        np.testing.assert_allclose(pixel, middle, atol=1)
    flat = [np.full((2, 2), 7.0)] * 2
    assert len(pictures(shown(spectrograms=flat))) == 6


def test_words_are_escaped_and_nothing_comes_from_elsewhere() -> None:
    bands = [np.eye(3)] * 2
    page = shown(**HEARD, spectrograms=bands, title='Clips & "sounds"')
    assert "Clips &amp; &quot;sounds&quot;" in page
    assert "a &lt;b&gt;" in page
    assert "<b>" not in page
    alternatives = re.findall(r'(?:alt|aria-label)="(a [^"]+)"', page)
    assert alternatives == [
        "a &lt;b&gt;, moving",
        "a &lt;b&gt;, sound",
        "a &lt;b&gt;: 5 of 5 frames, 0.62 s",
        "a &lt;b&gt;, wave of the sound",
        "a &lt;b&gt;, spectrogram",
    ]
    assert page.count("image-rendering:pixelated") == 6
    assert "http" not in page
    assert "<script" not in page


def test_sixteen_clips_of_a_second_stay_below_a_megabyte_and_a_half() -> None:
    # Noise of a tenth of the range in every pixel: little of it can be packed.
    noise = np.random.default_rng(0).normal(60, 25, (16, 8, 32, 32, 3))
    pictures = noise.clip(0, 255).astype(np.uint8)
    sounds = np.stack([tone(at, RATE) for at in range(16)])
    titles = [f"class {at}" for at in range(16)]
    page = shown(videos=pictures, titles=titles, sounds=sounds, sample_rate=RATE)
    assert len(page) < 1_500_000


@pytest.mark.browser
def test_a_browser_decodes_pictures_and_sounds(chromium: Any) -> None:
    tab = chromium.new_page()
    tab.set_content(shown(**HEARD))
    tab.wait_for_function("[...document.querySelectorAll('audio')].every(a => a.readyState > 0)")
    durations = tab.evaluate("[...document.querySelectorAll('audio')].map(a => a.duration)")
    widths = tab.evaluate("[...document.querySelectorAll('img')].map(i => i.naturalWidth)")
    tab.close()
    assert durations == pytest.approx([900 / RATE] * 2, abs=1e-3)
    assert widths == [12, 64, 12, 64]


SILENT: dict[str, Any] = {"sounds": None, "sample_rate": None}


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"videos": [], "titles": []}, r"clip_strip: expected at least one clip .* 0 videos"),
        ({"titles": ["a"]}, r"clip_strip: .* all of each, got 2 videos, 1 titles"),
        (HEARD | {"sounds": SOUNDS[1:]}, r"got 2 videos, 2 titles, 1 sounds"),
        ({"spectrograms": [np.eye(2)]}, r"got 2 videos, 2 titles, 1 spectrograms"),
        ({"videos": [video(0), video(0)[..., 0]]}, r"video 1: .* got \(5, 8, 12\) and uint8"),
        ({"videos": [video(0)[..., :2]] * 2}, r"video 0: .* got \(5, 8, 12, 2\) and uint8"),
        ({"videos": [video(0) / 255] * 2}, r"video 0: .* got \(5, 8, 12, 3\) and float64"),
        ({"videos": [video(0)[:0]] * 2}, r"video 0: .* got \(0, 8, 12, 3\) and uint8"),
        ({"frames_per_second": 0}, r"clip_strip: expected positive frames_per_second, .* got 0 an"),
        (HEARD | {"sample_rate": None}, r"exactly where there are sounds, got 8 and None"),
        (HEARD | {"sounds": None}, r"exactly where there are sounds, got 8 and 8000"),
        (HEARD | {"sample_rate": -1}, r"a positive sample_rate exactly .* got 8 and -1"),
        (HEARD | {"sounds": [tone(0), tone(0)[None]]}, r"sound 1: .* got \(1, 900\) and float32"),
        (HEARD | {"sounds": [tone(0)[:0]] * 2}, r"sound 0: expected shape \(samples,\) .* \(0,\)"),
        (HEARD | {"sounds": [np.ones(9, dtype=int)] * 2}, r"sound 0: .* floats, got .* int64"),
        (HEARD | {"sounds": [1.5 * tone(0)] * 2}, r"sound 0: expected samples from -1 to 1, got -"),
        (HEARD | {"sounds": [np.nan * tone(0)] * 2}, r"sound 0: expected samples from -1 to 1"),
        ({"spectrograms": [np.eye(2), np.ones(3)]}, r"spectrogram 1: expected shape \(frames, ban"),
        ({"spectrograms": [np.full((2, 2), np.inf)] * 2}, r"spectrogram 0: .* and finite numbers"),
        ({"spectrograms": [np.ones((0, 4))] * 2}, r"spectrogram 0: .* got \(0, 4\) and float64"),
    ],
)
def test_errors_are_named(other: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        shown(**other)
