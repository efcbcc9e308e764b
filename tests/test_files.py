"""Files are whole or not there."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from kit.files import as_path, atomic, locked, read_json, write_json


def test_json_comes_back_and_stays_readable(tmp_path: Path) -> None:
    value = {"text": "ä ≤ 1", "numbers": [1, 2.5, None], "deep": {"flag": True}}
    write_json(tmp_path / "new" / "folder" / "a.json", value)
    assert read_json(tmp_path / "new" / "folder" / "a.json") == value
    assert "ä ≤ 1" in (tmp_path / "new" / "folder" / "a.json").read_text(encoding="utf-8")


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail() -> None:
        with atomic(path) as part:
            part.write_text("half of the n")
            assert part.parent == path.parent  # a move within one file system is atomic
            raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError, match="the disk is full"):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_nobody_sees_a_half_written_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with atomic(path) as part:
        part.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"


def test_what_is_not_json_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(
        ValueError, match=r"^read_json: .*a\.json is damaged, put a copy back: Expe"
    ):
        read_json(tmp_path / "a.json")


def test_a_file_is_on_the_disk_before_it_is_moved_and_its_name_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = []

    def fsync(descriptor: int) -> None:
        events.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)

    def replace(part: Path, path: Path) -> None:
        events.append(f"to {path.name}")
        part.rename(path)

    monkeypatch.setattr("os.fsync", fsync)
    monkeypatch.setattr("os.replace", replace)
    with atomic(tmp_path / "a.txt") as part:
        part.write_text("new")
    assert events == [part.name, "to a.txt", tmp_path.name]


@pytest.mark.parametrize("wrong", [None, 5, 0, 1.5, b"a", ["a"], True])
def test_what_is_no_path_is_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match=r"^f: out must be a path, got "):
        as_path("f", wrong, "out")


@pytest.mark.parametrize("wrong", ["", "a\0b", "\0"])
def test_text_that_is_no_path_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"^f: out must be a path without NUL"):
        as_path("f", wrong, "out")


def test_a_path_may_begin_at_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert as_path("f", "~/runs") == tmp_path / "runs"
    assert as_path("f", tmp_path / "~") == tmp_path / "~"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is damaged"),
        (b'{"a": 1', "is damaged"),
        (b'{"a": 1}\0\0', "is damaged"),
        (b"\xff\xfe", "is damaged"),
        (b"[" * 100_000, "is damaged"),
        (None, "cannot read .*: No such file"),
    ],
)
def test_a_json_file_that_is_none_is_named(
    content: bytes | None, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=r"^read_json: ") as caught:
        read_json(path)
    assert str(path) in str(caught.value)
    assert re.search(message, str(caught.value))
    with pytest.raises(ValueError, match=r"^read_json: cannot read .*: Is a directory"):
        read_json(tmp_path)


def test_a_folder_that_cannot_be_written_to_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("kit.files.FileLock.acquire", refuse)
    with (
        pytest.raises(ValueError, match=rf"^f: cannot write to {tmp_path}: Permission denied"),
        locked("f", tmp_path),
    ):
        pass
