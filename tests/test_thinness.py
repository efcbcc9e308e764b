"""How much code there is, room by room: lines without docstrings, comments and blanks."""

from __future__ import annotations

import ast
import io
import tokenize
from collections import Counter
from pathlib import Path

import pytest

import kit

ROOT = Path(kit.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
NOTEBOOKS_SIDE = {"figures", "widgets", "worlds", "lessons", "reports", "cli"}
ENGINE, SIDE, FILE = 6_350, 4_900, 300
FUNCTION, NINE_OF_TEN, PARAMETERS = 60, 30, 6
# What is set by name in a call: the trainings, the loop, readers and worlds with their dials,
# figures with their labels.
BY_NAME = {
    *("train", "fit", "from_dataset", "evaluate_knn", "scenes", "shared_bits"),
    *("make_clip", "sounding_actions", "move", "matrices", "curves", "clip_strip"),
    *("embedding_map", "_count_band"),
}
PASSING = {
    *(tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE),
    *(tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER),
}


def docstring(node: ast.AST) -> set[int]:
    """The lines of a node's docstring."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    if not isinstance(node, kinds) or ast.get_docstring(node) is None:
        return set()
    first = node.body[0]
    return set(range(first.lineno, (first.end_lineno or 0) + 1))


def code_lines(source: str, tree: ast.Module) -> set[int]:
    told = {line for node in ast.walk(tree) for line in docstring(node)}
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    used = (range(t.start[0], t.end[0] + 1) for t in tokens if t.type not in PASSING)
    return {line for lines in used for line in lines} - told


READ = {}
for path in FILES:
    text = path.read_text(encoding="utf-8")
    parsed = ast.parse(text)
    READ[path.relative_to(ROOT)] = parsed, code_lines(text, parsed)


def test_rooms_stay_thin(capsys: pytest.CaptureFixture[str]) -> None:
    rooms = Counter[str]()
    for path, (_, lines) in READ.items():
        rooms[path.with_suffix("").parts[0]] += len(lines)
    side = sum(count for room, count in rooms.items() if room in NOTEBOOKS_SIDE)
    engine = rooms.total() - side
    with capsys.disabled():
        shown = ", ".join(f"{room} {count}" for room, count in rooms.most_common() if count)
        print(f"\nlines of code: engine {engine}, notebooks' side {side}; {shown}")
    assert engine <= ENGINE
    assert side <= SIDE


def test_files_stay_thin() -> None:
    assert {path: len(lines) for path, (_, lines) in READ.items() if len(lines) > FILE} == {}


def test_functions_stay_short() -> None:
    functions = {
        (str(path), node.name): len(lines & set(range(node.lineno, (node.end_lineno or 0) + 1)))
        for path, (tree, lines) in READ.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
    }
    assert {name: length for name, length in functions.items() if length > FUNCTION} == {}
    assert sorted(functions.values())[int(0.9 * len(functions))] <= NINE_OF_TEN


def test_functions_take_few_parameters() -> None:
    many = {
        node.name
        for tree, _ in READ.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        and len({a.arg for a in (*node.args.args, *node.args.kwonlyargs)} - {"self", "cls"})
        > PARAMETERS
    }
    assert many <= BY_NAME, many - BY_NAME


def test_own_inheritance_is_one_level_deep_and_class_names_stand_once() -> None:
    bases: dict[str, list[str]] = {}
    for tree, _ in READ.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                assert node.name not in bases, f"{node.name} stands twice"
                names = [ast.unparse(base).partition("[")[0] for base in node.bases]
                bases[node.name] = names
    own = {name: [base for base in found if base in bases] for name, found in bases.items()}
    # The loop's `Method`, and `Models` for methods of clips, are protocols: no code is inherited.
    own = {name: [b for b in found if b not in ("Method", "Models")] for name, found in own.items()}
    deep = {name for name, found in own.items() for base in found if own[base]}
    assert deep == set()
