"""Files that are read once: found again by their dates, read again when they are others."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from kit.data.images import KNOWN_FILE, known

NAMES = ["a.png", "b.png", "c.png"]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "crossmodal_kit"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in NAMES:
        (folder / name).write_text(f"picture {name}")
    return folder


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are read from here on."""
    names: list[str] = []

    def noted(asked_by: str, path: Path) -> str:
        names.append(path.name)
        return path.read_text()

    monkeypatch.setattr("kit.data.images.file_hash", noted)
    return names


def test_each_is_read_once(folder: Path, read: list[str]) -> None:
    first = known(folder, NAMES)
    assert [file.hash for file in first] == [f"picture {name}" for name in NAMES]
    assert sorted(read) == NAMES
    assert known(folder, NAMES[::-1]) == first[::-1]
    assert known(folder, NAMES[1:2]) == first[1:2]
    assert sorted(read) == NAMES


@pytest.mark.parametrize("change", ["longer", "same size", "same size and date"])
def test_only_what_was_changed_is_read_again(folder: Path, read: list[str], change: str) -> None:
    known(folder, NAMES)
    read.clear()
    path = folder / "b.png"
    before = path.stat()
    path.write_text("Picture b.png" + "." * (change == "longer"))
    if change == "same size and date":
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert known(folder, NAMES)[1].hash.startswith("Picture b.png")
    assert read == ["b.png"]


def test_new_files_are_added(folder: Path, read: list[str]) -> None:
    known(folder, NAMES[:2])
    known(folder, NAMES[2:])
    read.clear()
    known(folder, NAMES)
    assert read == []


def test_each_is_decoded_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[str] = []

    def check(path: Path) -> str:
        checked.append(path.name)
        return "broken" if path.name == "b.png" else ""

    monkeypatch.setattr("kit.data.images.why_unreadable", check)
    for _ in range(2):
        assert [file.problem for file in known(folder, NAMES)] == ["", "broken", ""]
    assert sorted(checked) == NAMES


def test_a_folder_that_cannot_be_written_to_has_its_place_in_the_users_cache(
    folder: Path, cache: Path, read: list[str]
) -> None:
    (folder / KNOWN_FILE).mkdir()  # stands in the way, also for root, who may write anywhere
    known(folder, NAMES)
    assert len(list(cache.iterdir())) == 1
    read.clear()
    known(folder, NAMES)
    assert read == []


@pytest.mark.parametrize(
    "content", ["[" * 100_000, "", "[1]", "{", '{"a.png": [1]}', '{"a.png": 3}', "\x00"]
)
def test_what_was_kept_and_is_damaged_is_made_anew(
    folder: Path, read: list[str], content: str
) -> None:
    expected = known(folder, NAMES)
    (folder / KNOWN_FILE).write_text(content)
    read.clear()
    assert known(folder, NAMES) == expected
    assert sorted(read) == NAMES
    assert json.loads((folder / KNOWN_FILE).read_text()).keys() == set(NAMES)


def test_a_file_that_is_not_there_is_named(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"^known: .*gone\.png: expected a picture, got"):
        known(folder, ["a.png", "gone.png"])
