"""Pictures to tensors: by hand, by a loop-written oracle, and what is refused."""

from __future__ import annotations

import dataclasses
import io
import json
import pickle
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from kit.data.images import FolderImages, TransformedImages, why_unreadable
from kit.encoders.image import ImageTransform

PLAIN = ImageTransform(4, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def noise(width: int, height: int, mode: str = "RGB") -> Image.Image:
    channels = len(mode) if mode in ("RGB", "RGBA") else 1
    data = random.Random(0).randbytes(width * height * channels)
    return Image.frombytes(mode, (width, height), data)


def test_pixels_are_scaled_and_normalised_by_channel() -> None:
    transform = ImageTransform(3, (0.1, 0.2, 0.3), (0.5, 0.25, 0.125))
    pixels = transform(noise(3, 3))
    assert pixels.shape == (3, 3, 3)
    assert pixels.dtype == torch.float32
    source = noise(3, 3)
    for channel, (mean, std) in enumerate(((0.1, 0.5), (0.2, 0.25), (0.3, 0.125))):
        for y in range(3):
            for x in range(3):
                value = source.getpixel((x, y))[channel] / 255
                assert pixels[channel, y, x].item() == pytest.approx((value - mean) / std, abs=1e-6)


def test_the_whole_image_is_squeezed_into_the_square() -> None:
    wide = Image.new("RGB", (40, 10))
    wide.paste((255, 255, 255), (0, 0, 10, 10))  # the left quarter, which a crop would lose
    pixels = PLAIN(wide)
    assert pixels.shape == (3, 4, 4)
    assert pixels[0, :, 0].min() > 0.8
    assert pixels[0, :, 2:].max() == 0


def test_shrinking_averages_over_all_pixels() -> None:
    stripes = Image.new("L", (64, 64))
    stripes.putdata([255 * (x % 2) for _ in range(64) for x in range(64)])
    pixels = PLAIN(stripes)
    assert (pixels - 0.5).abs().max() < 0.05  # without antialiasing: 0 or 1


@pytest.mark.parametrize("mode", ["L", "RGBA", "1"])
def test_every_picture_has_three_channels(mode: str) -> None:
    assert PLAIN(noise(8, 8, "RGBA").convert(mode)).shape == (3, 4, 4)


def test_grey_is_replicated() -> None:
    red, green, blue = PLAIN(noise(8, 8, "L"))
    assert torch.equal(red, green)
    assert torch.equal(green, blue)


def test_a_transform_survives_json() -> None:
    transform = ImageTransform(224, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert ImageTransform(**json.loads(json.dumps(dataclasses.asdict(transform)))) == transform


@pytest.mark.parametrize(
    ("size", "mean", "std", "got"),
    [
        (0, (0, 0, 0), (1, 1, 1), "size=0"),
        (4, (0, 0), (1, 1, 1), r"mean=\(0.0, 0.0\)"),
        (4, (0, 0, 0), (1,), r"std=\(1.0,\)"),
        (4, (0, 0, 0), (1, 0, 1), r"std=\(1.0, 0.0, 1.0\)"),
    ],
)
def test_impossible_transforms_are_refused(size: int, mean: tuple, std: tuple, got: str) -> None:
    with pytest.raises(ValueError, match=rf"^ImageTransform: expected a size of .*, got .*{got}"):
        ImageTransform(size, mean, std)


def test_mirrored_means_left_and_right_exchanged() -> None:
    pictures = TransformedImages(lambda index: noise(6 + index, 5), PLAIN)
    plain, flipped, again = pictures([1, 1, 1], np.array([False, True, False]))
    assert torch.equal(plain, again)
    assert torch.equal(pictures([1])[0], plain)
    assert torch.equal(pictures[range(1, 3)], pictures([1, 2]))
    for x in range(4):
        assert torch.equal(plain[:, :, x], flipped[:, :, 3 - x])
    assert not torch.equal(plain, flipped)
    assert torch.equal(plain, PLAIN(noise(7, 5)))


def test_pictures_of_a_folder_are_rgb_and_picklable(tmp_path: Path) -> None:
    grey = noise(5, 4, "L")
    grey.save(tmp_path / "grey.png")
    noise(5, 4).save(tmp_path / "colour.png")
    pictures = pickle.loads(pickle.dumps(FolderImages(tmp_path, ("colour.png", "grey.png"))))
    assert np.array_equal(np.asarray(pictures(0)), np.asarray(noise(5, 4)))
    assert pictures(1).mode == "RGB"
    assert np.array_equal(np.asarray(pictures(1))[:, :, 2], np.asarray(grey))


def test_a_picture_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no picture")
    pictures = FolderImages(tmp_path, ("text.jpg", "gone.jpg"))
    with pytest.raises(ValueError, match=r"FolderImages: .*text\.jpg: expected a picture, got"):
        pictures(0)
    with pytest.raises(ValueError, match=r"FolderImages: .*gone\.jpg: expected a picture, got"):
        pictures(1)


@pytest.mark.parametrize("kind", ["jpeg", "png"])
def test_a_picture_that_was_cut_short_is_found(kind: str) -> None:
    file = io.BytesIO()
    noise(64, 48).save(file, kind)
    assert why_unreadable(file) == ""
    whole = file.getvalue()
    assert why_unreadable(io.BytesIO(whole[: len(whole) * 3 // 4]))


def test_why_a_file_is_unreadable_is_said_without_its_path(tmp_path: Path) -> None:
    path = tmp_path / "text.jpg"
    path.write_text("no picture")
    assert why_unreadable(path) == "cannot identify image file"
    assert why_unreadable(tmp_path / "gone.jpg") == "[Errno 2] No such file or directory"
    assert why_unreadable(io.BytesIO(b"no picture")) == "cannot identify image file"
