"""Ways in which a file is found damaged: what a disk, a copy or a kill leaves of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

DAMAGE: dict[str, Callable[[bytes], bytes | None]] = {
    "flipped": lambda content: (
        content[: len(content) // 2]
        + bytes([content[len(content) // 2] ^ 4])
        + content[len(content) // 2 + 1 :]
    ),
    "truncated": lambda content: content[: len(content) // 2],
    "longer": lambda content: content + b"\0" * 64,
    "empty": lambda content: b"",
    "deleted": lambda content: None,
}


def damage_file(path: Path, damage: str) -> None:
    """Leave of a file what this damage leaves; the file is new, a link to it stays whole."""
    content = DAMAGE[damage](path.read_bytes())
    path.unlink()
    if content is not None:
        path.write_bytes(content)
