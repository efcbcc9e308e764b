"""The one opener: how each kind of picture is meant to be seen, and what it refuses, by name."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from kit.data.images import FolderImages, known, open_picture, why_unreadable

ORIENTATION = 0x0112
RAMP = np.linspace(0, 1, 256).reshape(16, 16)
GREY = np.arange(256, dtype=np.uint8).reshape(16, 16)


def saved(picture: Image.Image, kind: str = "PNG", **options: Any) -> io.BytesIO:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file


def shown(picture: Image.Image | io.BytesIO) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """The first channel, of pictures whose channels are all the same."""
    opened = open_picture(picture)
    assert opened.mode == "RGB"
    pixels = np.asarray(opened)
    assert (pixels == pixels[..., :1]).all()
    return pixels[..., 0]


def half_red() -> Image.Image:
    picture = Image.new("RGB", (60, 40), "white")
    picture.paste("red", (0, 0, 30, 40))
    return picture


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_stand_upright(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    file = saved(half_red(), kind, exif=exif)
    upright = open_picture(file)
    with Image.open(file) as stored:
        expected = ImageOps.exif_transpose(stored).convert("RGB")
        assert np.array_equal(np.asarray(upright), np.asarray(expected))
        assert upright.size == ((40, 60) if orientation >= 5 else (60, 40))
        assert np.array_equal(np.asarray(open_picture(stored)), np.asarray(upright))


def test_damaged_exif_says_nothing() -> None:
    file = saved(half_red(), "JPEG", exif=b"Exif\x00\x00no tiff header at all")
    assert open_picture(file).size == (60, 40)
    assert why_unreadable(file) == ""


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_grey_of_16_bits_is_scaled_by_its_type(kind: str) -> None:
    deep = Image.fromarray(GREY.astype(np.uint16) * 257)
    assert np.array_equal(shown(saved(deep, kind)), GREY)
    # Dark stays dark: no picture is stretched to its own greatest value.
    dark = Image.fromarray(np.array([[0, 257 * 40, 65535 // 2]], np.uint16))
    assert shown(saved(dark, kind)).tolist() == [[0, 40, 127]]


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        (RAMP.astype(np.float32), GREY),
        (GREY.astype(np.float32), GREY),
        (RAMP.astype(np.float32) * 65535, GREY),
        (RAMP.astype(np.float32) * 1e30, GREY),
        (RAMP.astype(np.float32) * 6 - 3, GREY),
        (np.full((16, 16), 0.2, np.float32), np.full((16, 16), 51)),
        (np.full((16, 16), -7, np.float32), np.zeros((16, 16))),
        (GREY.astype(np.int32), GREY),
        (GREY.astype(np.int32) * 257, GREY),
        (GREY.astype(np.int32) * 2**23, GREY),
        (GREY.astype(np.int32) * 1000 - 127_500, GREY),
        ((GREY.astype(np.int64) * 16_843_009 - 2**31).astype(np.int32), GREY),
    ],
)
def test_32_bits_and_floats_are_scaled_by_the_smallest_range_that_holds_them(
    pixels: Any, expected: Any
) -> None:
    assert np.array_equal(shown(saved(Image.fromarray(pixels), "TIFF")), expected)


def with_palette(transparency: int | bytes) -> io.BytesIO:
    picture = Image.new("P", (2, 1))
    picture.putpalette([0, 0, 0, 90, 90, 90])
    picture.putpixel((1, 0), 1)
    return saved(picture, transparency=transparency)


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        (saved(Image.merge("RGBA", [Image.new("L", (2, 1), v) for v in (0, 0, 0, 0)])), 255),
        (saved(Image.new("RGBA", (2, 1), (0, 0, 0, 255))), 0),
        (saved(Image.new("RGBA", (2, 1), (0, 0, 0, 51))), 204),
        (saved(Image.new("RGBA", (2, 1), (0, 0, 0, 0)), "WEBP", lossless=True), 255),
        (saved(Image.new("LA", (2, 1), (0, 0))), 255),
        (saved(Image.new("LA", (2, 1), (90, 255))), 90),
        (saved(Image.new("L", (2, 1), 7), transparency=7), 255),
        (saved(Image.new("RGB", (2, 1), (7, 7, 7)), transparency=(7, 7, 7)), 255),
        (saved(Image.new("P", (2, 1)), transparency=0), 255),
        (saved(Image.new("P", (2, 1)), "GIF", transparency=0), 255),
        (Image.new("PA", (2, 1)), 255),
        (Image.new("RGBA", (2, 1)), 255),
    ],
)
def test_what_is_transparent_lies_on_white(picture: Any, expected: int) -> None:
    assert shown(picture).tolist() == [[expected, expected]]


def test_a_palette_may_be_transparent_in_part() -> None:
    assert shown(with_palette(0)).tolist() == [[255, 90]]
    assert shown(with_palette(bytes([255, 0]))).tolist() == [[0, 255]]


def test_four_inks_and_bits_become_rgb() -> None:
    assert np.asarray(open_picture(saved(Image.new("CMYK", (2, 1)), "TIFF"))).tolist() == [
        [[255] * 3] * 2
    ]
    assert np.abs(shown(saved(Image.new("CMYK", (8, 8)), "JPEG")).astype(int) - 255).max() <= 1
    assert shown(saved(Image.new("1", (2, 1), 1))).tolist() == [[255, 255]]


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "1"])
def test_ordinary_pictures_are_what_they_were(mode: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    file = saved(Image.fromarray(noise).convert(mode))
    with Image.open(file) as image:
        expected = np.asarray(image.convert("RGB"))
    assert np.array_equal(np.asarray(open_picture(file)), expected)


def test_of_several_frames_it_is_the_first() -> None:
    frames = [Image.new("L", (2, 1), value) for value in (10, 200)]
    assert shown(saved(frames[0], "GIF", save_all=True, append_images=frames[1:])).max() == 10


def chunk(name: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)


def png(width: int, height: int, *, bits: int = 8, kind: int = 0, rest: bytes = b"") -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + (rest or chunk(b"IDAT", b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("kind", "pixels", "expected"),
    [
        (0, [[32896], [65535]], [[128, 255]]),  # grey
        (2, [[32896] * 3, [0] * 3], [[128, 0]]),  # colours
        (4, [[0, 32896], [0, 0]], [[127, 255]]),  # grey and alpha
        (6, [[0, 0, 0, 65535], [0, 0, 0, 0]], [[0, 255]]),
    ],
)
def test_files_of_16_bits_a_channel(kind: int, pixels: list[Any], expected: list[Any]) -> None:
    stored = chunk(b"IDAT", zlib.compress(b"\0" + np.array(pixels, ">u2").tobytes()))
    assert shown(io.BytesIO(png(2, 1, bits=16, kind=kind, rest=stored))).tolist() == expected


def test_one_grey_value_of_16_bits_may_be_transparent() -> None:
    stored = chunk(b"IDAT", zlib.compress(b"\0" + np.array([0, 257, 514], ">u2").tobytes()))
    clear = chunk(b"tRNS", struct.pack(">H", 257)) + stored
    assert shown(io.BytesIO(png(3, 1, bits=16, rest=clear))).tolist() == [[0, 255, 2]]


WHOLE = saved(Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)))
REFUSED = {
    "a program for a printer": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n",
    "a document": b"%PDF-1.4\n%%EOF",
    "a drawing": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "an icon of a Mac": saved(Image.new("RGB", (16, 16)), "ICNS").getvalue(),
    "a web page": b"<!doctype html><title>404</title>",
    "nothing": b"",
    "cut short": WHOLE.getvalue()[:5000],
    "a bomb": png(30_000, 30_000),
    "half a bomb": png(10_000, 10_000),
    "no data": png(9, 9),
    "not finite": saved(Image.fromarray(np.array([[np.nan, 1]], np.float32)), "TIFF").getvalue(),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_picture_is_refused_by_name_wherever_it_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("subprocess.Popen.__init__", None)  # no other program is started
    (tmp_path / "a.jpg").write_bytes(REFUSED[kind])
    with pytest.raises(ValueError, match=r"^open_picture: .*a\.jpg: expected a picture, got .+"):
        open_picture(tmp_path / "a.jpg")
    with pytest.raises(ValueError, match=r"^FolderImages: .*a\.jpg: expected a picture, got .+"):
        FolderImages(tmp_path, ("a.jpg",))(0)
    with pytest.raises(ValueError, match=r"^row 3: expected a picture, got .+"):
        open_picture(io.BytesIO(REFUSED[kind]), where="row 3")
    assert why_unreadable(io.BytesIO(REFUSED[kind]))
    assert known(tmp_path, ["a.jpg"])[0].problem


@pytest.mark.parametrize("path", ["gone.png", "", "a\0b.png"])
def test_a_path_that_leads_nowhere_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(ValueError, match=r"^open_picture: .*: expected a picture, got "):
        open_picture(str(tmp_path / path))


def test_the_home_folder_may_be_written_as_a_tilde(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    Image.new("L", (2, 1), 9).save(tmp_path / "a.png")
    assert shown("~/a.png").max() == 9  # type: ignore[arg-type]
    assert FolderImages(Path("~"), ("a.png",))(0).size == (2, 1)
    assert known(Path("~"), ["a.png"])[0].problem == ""


def test_one_name_is_no_list_of_names(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"^FolderImages: expected several names in a list, got one"
    ):
        FolderImages(tmp_path, "a.png")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^known: expected several names in a list, got one text"):
        known(tmp_path, "a.png")
