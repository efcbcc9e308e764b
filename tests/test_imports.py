"""Which room may know which: the rules that keep the house one that a third paper can move into."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import kit

ROOT = Path(kit.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
# Everything that pyproject asks for beyond the core; a bare GPU machine has none of it.
AROUND = """datasets jupyterlab ipywidgets anywidget papermill nbformat nbconvert jupyter_client
    traitlets plotly scipy sklearn umap numba threadpoolctl math_core click tqdm pygments IPython
    pandas pyarrow librosa soundfile soxr pooch audioread""".split()  # noqa: SIM905

# A student that sees small videos, a teacher that hears and reads too.
AMID = """
import sys
import kit.runs
import numpy as np
from kit.amid.config import AMIDConfig
from kit.distillation.run import train
from kit.distillation.inputs import ClipInput
from kit.data.clips import Clips
from kit.data.ragged import Ragged
from kit.data.splits import stratified_split
rng = np.random.default_rng(0)
modalities = {
    "seen": rng.integers(0, 256, (12, 4, 16, 16, 3), dtype=np.uint8),
    "heard": rng.normal(size=(12, 16, 16)).astype(np.float32),
    "told": Ragged.of([rng.normal(size=(1 + row % 3, 4)) for row in range(12)]),
}
clips = Clips("all", [str(row) for row in range(12)], [row % 2 for row in range(12)], modalities)
corpus = stratified_split(clips, ("one", "other"), name="noise", seed=0)
config = AMIDConfig(dim=8, warm_up_epochs=0, epochs=1, batch_size=4, decay_at=())
inputs = {
    "target": {"seen": ClipInput("small_video")},
    "auxiliary": {"heard": ClipInput("small_audio"), "told": ClipInput("lstm")},
}
assert list(train(corpus, config, sys.argv[1] + "/amid", **inputs))
print(len(kit.runs.load(sys.argv[1] + "/amid").predict(corpus.test)))
"""

BARE = f"""
import importlib, pkgutil, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {AROUND}:
            raise ModuleNotFoundError(name + " is not on a bare machine", name=name)

import torch, torchvision, timm  # what these bring along stays
kept = set(sys.modules)
sys.meta_path.insert(0, Absent())
for name in {AROUND}:
    for module in [m for m in sys.modules if m.partition(".")[0] == name]:
        del sys.modules[module]

import kit
rooms = "training runs encoders retrieval distillation itmeetsal amid metrics"
for room in rooms.split():
    module = importlib.import_module("kit." + room)
    for part in pkgutil.iter_modules(getattr(module, "__path__", [])):
        importlib.import_module(f"kit.{{room}}.{{part.name}}")
import kit.corpora.flickr8k, kit.retrieval.images, kit.worlds.scenes
import kit.data.clip_batches, kit.corpora.clip_folder, kit.distillation.inputs, kit.data.clips
import kit.worlds.dialogues, kit.data.log_mel, kit.worlds.shared_bits, kit.worlds.actions

from kit.itmeetsal.method import ITMeetsALConfig
from kit.retrieval.run import train
config = ITMeetsALConfig(dim=8, word_dim=4, lstm_units=4, epochs=1, batch_size=16)
run = sys.argv[1] + "/itmeetsal"
records = list(train(kit.worlds.scenes.corpus.scenes(images=40, size=32), config, run))
print(len(records), kit.runs.load(run).encode_texts(["a red circle"]).shape)
{AMID}
"""


def python(code: str, *arguments: str) -> str:
    command = [sys.executable, "-W", "error", "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_bare_gpu_machine_can_train_and_evaluate(tmp_path: Path) -> None:
    assert python(BARE, str(tmp_path)).endswith("torch.Size([1, 8])\n2\n")


def test_import_kit_takes_no_time_and_brings_nothing() -> None:
    code = (
        "import time; start = time.perf_counter(); import kit; took = time.perf_counter() - start;"
        "import sys; assert not {'torch', 'numpy', 'plotly'} & set(sys.modules); print(took)"
    )
    assert min(float(python(code)) for _ in range(3)) < 0.2


@pytest.mark.parametrize("room", ["figures", "lessons.tables", "reports", "cli", "files"])
def test_rooms_that_need_no_torch(room: str) -> None:
    python(f"import kit.{room}, sys; assert 'torch' not in sys.modules")


SCENES = """
import sys
import kit.runs
from kit.retrieval.images import ImageInput
from kit.worlds.scenes import scenes
from kit.worlds.scenes import small_cnn_from_scenes
from kit.itmeetsal.method import ITMeetsALConfig
from kit.retrieval.run import train
weights = str(small_cnn_from_scenes(sys.argv[1], pictures=16, epochs=1))
config = ITMeetsALConfig(dim=8, word_dim=4, lstm_units=4, epochs=1, batch_size=16)
images = ImageInput(weights=weights, frozen=True)
assert list(train(scenes(images=40, size=32), config, sys.argv[1] + "/run", images=images))
kit.runs.load(sys.argv[1] + "/run").encode_texts(["a red circle"])
"""
SLOW = "torchvision timm scipy sklearn umap librosa".split()  # noqa: SIM905
LOADED = f"\nprint([name for name in {SLOW} if name in sys.modules])"


@pytest.mark.parametrize("path", [SCENES, AMID], ids=["scenes", "amid"])
def test_a_run_of_small_networks_brings_none_of_the_slow_libraries(
    path: str, tmp_path: Path
) -> None:
    assert python(path + LOADED, str(tmp_path)).splitlines()[-1] == "[]"


def imported(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


# Downwards only; rooms of one floor do not know each other.
FLOORS = [
    {"arguments"},
    {"checks", "files", "code_version", "processes", "figures"},
    {"training", "information"},
    {"encoders", "diagnostics", "metrics"},
    {"data", "runs"},
    {"experiment"},
    {"corpora", "worlds", "retrieval", "distillation"},
    {"itmeetsal", "amid"},
    {"compared"},
    {"lessons"},
    {"reports"},
    {"cli"},
]
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
FOR_NOTEBOOKS = {"worlds", "lessons", "figures", "reports", "cli"}


def room_of(name: str) -> str:
    return name.split(".")[1] if "." in name else name


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_who_imports_whom(file: Path) -> None:
    room = file.relative_to(ROOT).with_suffix("").parts[0]
    for name in imported(file):
        top = name.partition(".")[0]
        if top == "kit" and room != "__init__" and (other := room_of(name)) not in ("kit", room):
            assert FLOOR[other] < FLOOR[room], f"{file} imports {name}: an arrow up, or across"
            assert other not in FOR_NOTEBOOKS or room in FOR_NOTEBOOKS, f"{file} imports {name}"
        assert top not in ("ipywidgets", "anywidget") or room == "widgets", file
        assert top != "papermill" or room == "reports", file
        assert top not in ("torch", "torchvision", "timm") or room != "figures", file


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_house_rules(file: Path) -> None:
    assert not file.stem.startswith(("utils", "common", "base_", "helpers"))
    source = file.read_text(encoding="utf-8")
    tree = ast.parse(source)
    told = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
    ]
    assert not any(isinstance(node, ast.Assert) for node in ast.walk(tree)), "input: ValueError"
    prose = {
        line
        for node in told
        if ast.get_docstring(node) and isinstance(node.body[0], ast.Expr)
        for line in range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1)
    }
    lines = enumerate(source.splitlines(), start=1)
    code = [n for n, line in lines if n not in prose and line.strip() and line.strip()[0] != "#"]
    assert len(code) <= 300
    for node in told:
        name = getattr(node, "name", "module")
        if isinstance(node, ast.FunctionDef):
            assert node.returns is not None, name
            rest = [*node.args.args, *node.args.kwonlyargs]
            assert all(a.annotation or a.arg in ("self", "cls") for a in rest), name
    for node in [tree, *tree.body]:
        public = not getattr(node, "name", "x").startswith("_")
        if public and isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            assert ast.get_docstring(node), getattr(node, "name", file)
