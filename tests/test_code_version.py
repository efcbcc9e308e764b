"""The hash of a run's code: what changes it, and what does not."""

from __future__ import annotations

import functools
import linecache
import shutil
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from toy_method import ToyMethod

import kit
from kit.code_version import _version, code_version

PAIRS = ("kit.itmeetsal.method", "kit.retrieval.run")
CLIPS = ("kit.amid.config", "kit.distillation.run")


_read = sys.modules["kit.code_version"]._read  # type: ignore[attr-defined]
_of_a_file = functools.cache(lambda source: _read(source, {}))


def read_once(source: str, known: dict[str, Any]) -> Any:
    """Most files of most copies are the same."""
    text, named = _read(source, known) if known else _of_a_file(source)
    return text, list(named)


class Copy:
    """A copy of kit whose files may be edited; its versions are taken anew each time."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def version(self, *roots: str | type) -> str:
        return _version.__wrapped__(roots)

    def edit(self, file: str, old: str, new: str) -> None:
        path = self.root / file
        text = path.read_text()
        assert old in text, (file, old)
        path.write_text(text.replace(old, new, 1))


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Copy:
    root = tmp_path / "kit"
    ignored = shutil.ignore_patterns("__pycache__", "figures", "reports")
    shutil.copytree(Path(kit.__file__).parent, root, ignore=ignored)
    (root / "figures").mkdir()
    (root / "figures" / "look.py").write_text("WIDTH = 1\n")
    (root / "training.py").write_text(
        '''"""A module."""
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kit.figures import look

RATE = 0.1


class Loop:
    """A class."""

    def step(self, size: int = 3) -> float:
        """A method."""
        if size < 0:
            raise ValueError(f"step: expected no less than 0, got {size}")
        from kit import information
        return size * RATE  # a comment
'''
    )
    monkeypatch.setattr("kit.code_version.__file__", str(root / "code_version.py"))
    monkeypatch.setattr("kit.code_version._read", read_once)
    return Copy(root)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""A module."""', '"""A module of another sort."""'),
        ('    """A class."""\n\n', '    """One.\n\n    And more.\n    """\n\n'),
        ('        """A method."""\n', ""),
        ("  # a comment", "  # another"),
        ("size * RATE", "(\n            size * RATE\n        )"),
        ("RATE = 0.1", "\n\nRATE = (0.1)"),
        ('f"step: expected no less than 0, got {size}"', '"no", size'),
        ("    from kit.figures import look", "    from kit.worlds import scenes, look"),
    ],
)
def test_words_do_not_change_it(old: str, new: str, copy: Copy) -> None:
    before = copy.version(*PAIRS)
    copy.edit("training.py", old, new)
    assert copy.version(*PAIRS) == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("RATE = 0.1", "RATE = 0.2"),
        ("RATE = 0.1", "RATE = '0.1'"),
        ("size * RATE", "size + RATE"),
        ("size: int = 3", "size: int = 4"),
        ("size < 0", "size <= 0"),
        ("raise ValueError(", "raise TypeError("),
        ("        return size", "            return size"),
    ],
)
def test_what_acts_changes_it(old: str, new: str, copy: Copy) -> None:
    before = copy.version(*PAIRS)
    copy.edit("training.py", old, new)
    if new.startswith(" "):  # the same words in another place of the tree
        copy.edit("training.py", "        from kit import information\n", "        if size:\n")
        between = copy.version(*PAIRS)
        copy.edit("training.py", "            return size", "            pass\n        return size")
        assert copy.version(*PAIRS) != between
    assert copy.version(*PAIRS) != before


def added(copy: Copy, file: str) -> None:
    with (copy.root / file).open("a") as text:
        text.write("\nADDED = 1\n")


@pytest.mark.parametrize(
    ("file", "pairs", "clips"),
    [
        ("itmeetsal/losses.py", True, False),
        ("itmeetsal/__init__.py", True, False),
        ("retrieval/images.py", True, False),
        ("data/pairs.py", True, False),
        ("amid/losses.py", False, True),
        ("distillation/inputs.py", False, True),
        ("data/clips.py", False, True),
        ("encoders/video.py", False, True),
        ("information.py", True, True),  # imported within a function, too
        ("metrics/retrieval.py", True, True),
        ("runs.py", True, True),
        ("training.py", True, True),
        ("worlds/dialogues.py", False, False),
        ("corpora/huggingface.py", False, False),
        ("lessons/exercises.py", False, False),
        ("figures/look.py", False, False),
        ("cli.py", False, False),
    ],
)
def test_it_counts_what_a_run_passes_through(
    file: str, pairs: bool, clips: bool, copy: Copy
) -> None:
    before = copy.version(*PAIRS), copy.version(*CLIPS)
    added(copy, file)
    after = copy.version(*PAIRS), copy.version(*CLIPS)
    assert tuple(a != b for a, b in zip(before, after, strict=True)) == (pairs, clips)


def test_it_is_taken_once_a_process_and_does_not_depend_on_the_order() -> None:
    assert code_version(*PAIRS) == code_version(*PAIRS[::-1])
    assert code_version(*PAIRS) != code_version(*CLIPS)
    hits = _version.cache_info().hits
    code_version(*PAIRS)
    assert _version.cache_info().hits == hits + 1


def test_a_module_beside_kit_counts_with_its_file_and_what_it_imports(
    copy: Copy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert code_version(ToyMethod) == code_version("toy_method")
    mine = tmp_path / "my_method.py"
    mine.write_text("from kit.training import Turn\nimport json\nMARGIN = 0.2\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    versions = [copy.version("my_method")]
    mine.write_text(mine.read_text().replace("0.2", "0.3"))
    versions.append(copy.version("my_method"))
    copy.edit("training.py", "RATE = 0.1", "RATE = 0.2")
    versions.append(copy.version("my_method"))
    assert len(set(versions)) == 3
    added(copy, "amid/losses.py")
    assert copy.version("my_method") == versions[-1]
    monkeypatch.delitem(sys.modules, "my_method")


IMPORTS = "from kit.itmeetsal import losses\nfrom kit.retrieval.images import ImageFeatures"
HELPER = "MARGIN = 0.2\nseed = 3\ndef hinge(x):\n    return max(0, x + MARGIN)"
METHOD = '''
class Method(ImageFeatures):
    """Mine."""
    weight = 2.0
    @property
    def loss(self):
        return hinge(self.weight) + losses.SCALE
'''


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> Callable[..., type]:
    """Runs cells as IPython does: one module without a file, each cell's lines kept by its name."""

    def run(*cells: str) -> type:
        module = types.ModuleType("a_notebook")
        monkeypatch.setitem(sys.modules, "a_notebook", module)
        for cell in cells:
            name = f"ipykernel_17/{abs(hash(cell))}.py"
            lines = [line + "\n" for line in cell.splitlines()]
            monkeypatch.setitem(linecache.cache, name, (len(cell), None, lines, name))
            exec(compile(cell, name, "exec"), module.__dict__)
        made: Any = module.__dict__["Method"]
        return made  # type: ignore[no-any-return]

    return run


def test_a_notebooks_class_counts_with_its_cell_and_what_that_names(
    copy: Copy, notebook: Callable[..., type]
) -> None:
    before = copy.version(notebook(IMPORTS, HELPER, METHOD))
    same = [
        (IMPORTS + "\nimport kit.amid.losses", HELPER, METHOD),
        (IMPORTS, HELPER.replace("seed = 3", "seed = 4\n# more"), METHOD.replace("Mine", "My own")),
    ]
    others = [
        (IMPORTS, HELPER.replace("0.2", "0.3"), METHOD),
        (IMPORTS, HELPER.replace("x + M", "x - M"), METHOD),
        (IMPORTS, HELPER, METHOD.replace("2.0", "2.5")),
    ]
    assert copy.version(notebook(*same[0])) == before
    assert all(copy.version(notebook(*cells)) != before for cells in others)
    method = notebook(IMPORTS, HELPER, METHOD)
    for file in ("amid/losses.py", "distillation/run.py"):
        added(copy, file)
        assert copy.version(method) == before
    for file in ("itmeetsal/losses.py", "retrieval/images.py", "data/pairs.py"):
        previous = copy.version(method)
        added(copy, file)
        assert copy.version(method) != previous, file


def test_what_has_no_source_is_refused(notebook: Callable[..., type]) -> None:
    with pytest.raises(ValueError, match=r"code_version: expected a class whose source is known"):
        code_version(notebook("Method = type('Method', (), {})"))
    with pytest.raises(ModuleNotFoundError, match=r"kit\.nowhere"):
        code_version("kit.nowhere")
