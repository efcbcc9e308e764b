"""Every public function of losses, metrics and transforms, asked with what it does not expect.

It answers rightly, or it says in its own words which argument it does not take, and why.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from toy_method import Numbers, ToyMethod

from kit import figures, metrics
from kit.amid.losses import AdversaryWeights
from kit.data.log_mel import LogMel
from kit.metrics import Interval

MODULES = """information itmeetsal.losses itmeetsal.networks amid.losses amid.discriminators
    diagnostics data.log_mel""".split()  # noqa: SIM905

IMAGE = torch.tensor([[2.0, 1, 0], [0, 3, 1], [1, 1, 5], [4, 0, 1]])
TEXT = IMAGE.flip(1)
LABELS = torch.tensor([0, 1, 1, 2])
LOGITS, OTHER = IMAGE.log_softmax(1), TEXT.log_softmax(1)
TWO, VECTOR = IMAGE[:, :2], IMAGE[:, 0]
PAIRS = {"image_features": IMAGE, "text_features": TEXT}
TEACHING = {"features": IMAGE, "teacher_features": TEXT, "labels": LABELS, "temperature": 0.5}
CLASSES = {"image_to_text_logits": IMAGE, "text_to_image_logits": TEXT}
GALLERY = {
    "query_features": IMAGE.numpy(),
    "gallery_features": TEXT.numpy(),
    "query_labels": LABELS.numpy(),
    "gallery_labels": LABELS.numpy(),
    "ks": (1, 2),
}
SCORES = np.array([3.0, 1, 4, 1]), np.array([2.0, 1, 2, 0])

# One valid call of each, every argument given.
Calls = dict[str, tuple[Callable[..., Any], dict[str, Any]]]
CALLS: Calls = {}


def call(function: Callable[..., Any], name: str = "", **arguments: Any) -> None:
    CALLS[name or function.__name__] = function, arguments


def public(module: str) -> dict[str, Callable[..., Any]]:
    """The functions and classes that a module defines; of a package, what it gives on."""
    found = importlib.import_module(f"kit.{module}")
    return {
        name: thing
        for name, thing in vars(found).items()
        if name[0] != "_"
        and (inspect.isfunction(thing) or inspect.isclass(thing))
        and (thing.__module__ == found.__name__ or hasattr(found, "__path__"))
    }


ROOMS = {name: thing for module in (*MODULES, "metrics") for name, thing in public(module).items()}
# What functions return, and what only holds functions that stand in the table.
RESULTS = {"Interval", "MutualInformationEstimate", "AdversaryWeights"}
DRAWN = {name: thing for name, thing in public("figures").items() if inspect.isfunction(thing)}
DRAWN.pop("use_in_notebooks")


def room(name: str) -> Callable[..., Any]:
    return ROOMS[name]


call(room("direction"), features=IMAGE, dim=1)
call(room("entropy"), logits=LOGITS)
call(room("kl_divergence"), log_p=LOGITS, log_q=OTHER, eps=0.5)
for name in ("project", "projection_lengths"):
    call(room(name), features=IMAGE, onto=TEXT)
for name in ("modality_entropy_loss", "modality_classification_loss"):
    call(room(name), image_logits=TWO, text_logits=TEXT[:, :2])
call(room("projection_kl_loss"), **PAIRS, labels=LABELS, kl_target="row", eps=0.5)
call(room("projected_class_logits"), **PAIRS, weight=torch.eye(3))
call(room("instance_classification_loss"), **CLASSES, labels=LABELS)
call(room("imbalance_kl_loss"), **CLASSES, temperature=4.0, eps=0.5)
call(room("inter_triplet_loss"), **PAIRS, labels=LABELS, margin=0.5)
call(room("intra_triplet_loss"), **PAIRS, labels=LABELS, margin=0.5, positives="exclude_self")
call(
    room("bidirectional_triplet_loss"),
    **PAIRS,
    labels=LABELS,
    margin=0.5,
    intra_positives="include_self",
)
call(room("LabelClassifier"), dim=4, classes=3)
call(room("modality_discriminator"), dim=8)
call(room("reverse_gradient"), features=IMAGE)
call(room("pair_log_probabilities"), features=IMAGE, teacher_features=TEXT, temperature=0.5)
call(room("mutual_information_loss"), **TEACHING, symmetric=True)
call(room("mutual_information_estimate"), **TEACHING)
call(room("contrastive_nce_loss"), **TEACHING)
call(room("has_classmate"), labels=LABELS)
call(room("adversarial_loss"), student_logits=VECTOR, weight=0.5, divisor=4.0)
call(
    room("discriminator_loss"),
    student_logits=VECTOR,
    teacher_logits=TEXT[:, 0],
    weight=0.5,
    divisor=4.0,
)
call(room("expected_classmates"), class_counts=[5, 5], batch_size=2)
call(
    lambda **given: AdversaryWeights().watch(**given),
    "AdversaryWeights.watch",
    student=IMAGE,
    teacher=TEXT,
    labels=LABELS,
)
for name in ("shared_classification_loss", "jensen_shannon_loss"):
    call(room(name), student_logits=IMAGE, teacher_logits=TEXT)
CALLS["shared_classification_loss"][1]["labels"] = LABELS
call(room("sample_discriminator"), dim=8)
call(room("class_discriminator"), dim=8)
call(
    lambda **given: list(room("with_progress")(**given)),
    "with_progress",
    records=[],
    epochs=2,
    watch="score",
)


def mapped(**given: Any) -> Any:
    torch.manual_seed(0)
    return room("gradient_map")(batch=Numbers(torch.ones(4, 2)), **given)


call(
    mapped,
    "gradient_map",
    method=ToyMethod(),
    epoch=0,
)
SPECTRUM = {"sample_rate": 8000, "window": 64, "hop": 32, "mels": 4}
call(LogMel, **SPECTRUM, low_hz=50.0, high_hz=4000.0)
call(
    lambda **given: LogMel(**SPECTRUM)(**given),
    "LogMel.__call__",
    waveform=np.sin(np.arange(128, dtype=np.float32)).round(1),
)
call(metrics.evaluate_retrieval, **GALLERY)
call(
    metrics.evaluate_knn,
    **GALLERY,
    query_ids=["a", "b", "c", "d"],
    gallery_ids=["e", "f", "g", "h"],
)
call(
    metrics.evaluate_cross_modal,
    **{key.replace("query", "image").replace("gallery", "text"): v for key, v in GALLERY.items()},
    fold_size=4,
)
call(
    metrics.same_class_cosine,
    student_features=IMAGE.numpy(),
    teacher_features=TEXT.numpy(),
    labels=LABELS.numpy(),
)
call(
    metrics.evaluate_classification,
    logits=IMAGE.numpy(),
    labels=LABELS.numpy(),
    groups=np.arange(4),
)
call(metrics.interval_over_seeds, scores=SCORES[0], reference=SCORES[1], resplit=0.5)
call(
    metrics.interval_over_queries,
    scores=SCORES[0],
    reference=SCORES[1],
    groups=np.array([0, 0, 1, 2]),
)
STUDY = Interval(1.5, -1.0, 4.0, seeds=3, spread=1.0)
call(STUDY.detectable, "Interval.detectable", seeds=4)
call(STUDY.seeds_for, "Interval.seeds_for", difference=1.2)
call(STUDY.needed, "Interval.needed", difference=1.2)

POINTS = np.array([[0.0, 1], [2, 0], [1, 1], [3, 2]])
PICTURES = [np.zeros((4, 4, 3), np.uint8)] * 2
CLIPS = [np.zeros((2, 4, 4, 3), np.uint8)] * 2
NAMES = ["a", "b", "c", "d"]

FIGURE_ARGUMENTS: dict[str, dict[str, Any]] = {
    "class_bars": {
        **{"classes": NAMES, "ours": [1.0, 2, 3, 4], "reference": [2.0, 2, 2, 2]},
        **{"names": ("one", "other"), "counts": [1, 2, 3, 4], "title": "t"},
    },
    "confusion_matrices": {"runs": {"one": np.eye(4, dtype=int)}, "classes": NAMES},
    "clip_strip": {
        **{"videos": CLIPS, "titles": ["a", "b"], "frames_per_second": 2.0, "title": "t"},
        **{"sounds": [np.zeros(80)] * 2, "sample_rate": 80, "spectrograms": [np.zeros((4, 3))] * 2},
    },
    "discriminated_clouds": {
        **{
            "image_points": POINTS[None],
            "text_points": POINTS[None],
            "labels": ["a"],
            "title": "t",
        },
        **{"image_probability": np.full((1, 4, 4), 0.5), "reach": 4.0},
    },
    "curves": {
        **{"x": [1, 2], "panels": {"p": {"c": [1.0, 2]}}, "title": "t", "x_title": "x"},
        **{"references": {"p": {"r": 1.0}}, "shaded": {"s": (1.0, 2.0)}, "grey": ["c"]},
        "markers": True,
    },
    "adversary_diagram": {"adversary": "unified"},
    "distillation_diagram": {},
    "adversary_curves": {
        "outputs": {"D1": {"of the teacher": [0.5, 0.5]}},
        **{"weights": {"w": [0.5, 0.5]}, "warm_up": 1},
    },
    "gap_curves": {"runs": {"r": [1.0, 2.0]}, "warm_up": 1},
    "embedding_map": {
        **{
            "first_points": POINTS[None],
            "second_points": POINTS[None],
            "names": NAMES,
            "title": "t",
        },
        **{"sides": ("image", "text"), "classes": ["x", "x", "y", "y"], "epochs": None},
    },
    "embedding_maps": {
        **{"maps": {"m": (POINTS, POINTS)}, "names": NAMES, "sides": ("image", "text")},
        **{"classes": ["x", "x", "y", "y"], "title": "t"},
    },
    "captioned_pictures": {"pictures": PICTURES, "captions": [["a"], ["b"]], "title": "t"},
    "retrieval_gallery": {
        **{"queries": ["a", "b"], "retrieved": [PICTURES, PICTURES], "title": "t"},
        "hits": [[True, False], [False, True]],
    },
    "information_bars": {"teachers": {"t": (1.0, 0.5, 0.2)}, "title": "t"},
    "matrices": {
        **{"panels": {"p": np.eye(4)}, "title": "t", "row_names": NAMES, "column_names": NAMES},
        **{"row_title": "r", "column_title": "c", "marks": {"p": [(0, 0)]}, "decimals": 1},
    },
    "precision_recall_curves": {
        "curves": {"way": {"run": ([0.5, 1.0], [1.0, 0.5])}},
        "title": "t",
    },
    "project": {"features": POINTS, "method": "pca", "initial": None, "seed": 0},
    "project_epochs": {"features": [POINTS, POINTS], "method": "pca", "seed": 0},
    "claims_table": {
        "claims": [figures.Claim("c", "p", "h", "held")],
        **{"title": "t", "notes": ["n"]},
    },
    "results_table": {
        **{"columns": ["c"], "rows": [figures.ResultRow("r", [1.0])], "title": "t", "notes": ["n"]},
    },
    "training_curves": {
        "history": [{"epoch": 1, "means": {"a": 1.0}}, {"epoch": 2, "means": {"a": 2.0}}],
        **{"names": None, "labels": {"a": "A"}, "references": None, "title": "t"},
    },
}

FIGURES: Calls = {name: (DRAWN[name], given) for name, given in FIGURE_ARGUMENTS.items()}
EVERY = pytest.mark.parametrize("name", CALLS)


def test_every_public_function_stands_in_the_table() -> None:
    assert set(ROOMS) - RESULTS - set(CALLS) == set()
    for name, (function, arguments) in CALLS.items():
        function(**arguments)
        if "." not in name and name != "gradient_map":
            assert set(inspect.signature(ROOMS[name]).parameters) == set(arguments), name


# --- odd values -----------------------------------------------------------------------------

META = torch.device("meta")
ODD: list[Any] = [
    *(None, True, False, object(), len, int, ..., Path("a"), Decimal("0.5"), Fraction(1, 2)),
    *(
        "0.5",
        "",
        "row",
        b"row",
        "abcd",
        0.5,
        5e-324,
        1e-300,
        1e-17,
        1e17,
        1e300,
        math.nan,
        math.inf,
        -math.inf,
        -1,
        0,
        2**70,
        10**400,
    ),
    *(1j, [], (), {}, set(), [1, 2], [0.5, None], ["a", "b", "c", "d"], [[1], [1, 2]], [None] * 4),
    *(range(4), (0, 1, 2, 2), iter([1]), {"a": 1}, [math.nan] * 4, [1, "1", 2, 3], (1, 1)),
    *(np.float16(0.5), np.float32(0.5), np.int64(2), np.bool_(True), np.longdouble(0.5)),
    *(np.array(0.5), np.array(2), np.array("x"), np.datetime64("2020-01-01"), np.ma.masked),
    *(torch.tensor(0.5), torch.tensor(2), torch.tensor(True), torch.tensor(1j)),
    torch.tensor(0.5, requires_grad=True),
    *(np.zeros(0), np.zeros((0, 3)), np.zeros((4, 3)), np.ones((4, 0)), np.ones((4, 3, 1))),
    *(np.ones(4), np.ones(3), np.ones((4, 3), complex), np.ones((4, 3), bool), np.ones(4, bool)),
    *(np.full((4, 3), None), np.full((4, 3), "a"), np.array(["a", "b", "c", "d"])),
    *(np.full((4, 3), np.nan), np.full(4, np.nan), np.full((4, 3), 1e300), np.full(4, 1e300)),
    *(np.ma.array(np.ones((4, 3)), mask=True), np.ma.array([0, 1, 1, 2], mask=[0, 0, 0, 1])),
    *(np.zeros(4, "M8[s]"), np.zeros(4, [("a", "f4")]), np.array([2**64 - 1] * 4, np.uint64)),
    *(torch.zeros(0), torch.zeros(0, 3), torch.zeros(4, 3), torch.ones(4, 3, 1), torch.ones(4)),
    *(torch.ones(4, 3, dtype=torch.cfloat), torch.ones(4, 3).bool(), torch.ones(4).bool()),
    *(torch.ones(4, 3, device=META), torch.ones(4, dtype=torch.long, device=META)),
    *(torch.ones((), device=META), torch.ones(4, 3).long(), torch.ones(4, 3).half()),
    *(torch.ones(4, 3).to_sparse(), torch.ones(4, 3, dtype=torch.float64), torch.ones(3)),
    *(torch.full((4, 3), math.nan), torch.full((4, 3), 1e30), torch.full((4, 3), -math.inf)),
    *(torch.tensor([0, 1, 1, -7]), torch.tensor([0, 1, 1, 2**40]), torch.ones(4, 2)),
    [torch.ones(3)] * 4,
]


def holds_nan(value: Any, *, infinite: bool = False) -> bool:
    """Whether there is a nan anywhere in a result, or also an infinity in an argument."""
    if isinstance(value, torch.Tensor):
        return value.is_meta or holds_nan(value.detach().numpy(), infinite=infinite)
    if isinstance(value, float | np.ndarray | np.number):
        array = np.asarray(value)
        wrong = np.isnan(array) | (np.isinf(array) & infinite)
        return array.dtype.kind in "fc" and bool(wrong.any())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = (f.name for f in dataclasses.fields(value) if f.name != "per_class")
        return any(holds_nan(getattr(value, field)) for field in fields)
    if isinstance(value, Mapping):
        value = tuple(value.values())
    return isinstance(value, tuple | list) and any(holds_nan(one) for one in value)


def ask(name: str, argument: str, odd: Any, calls: Calls) -> None:
    """Answered without nan, or refused by the function's and the argument's names."""
    function, arguments = calls[name]
    try:
        result = function(**{**arguments, argument: odd})
    except (ValueError, TypeError) as error:
        message = str(error)
        assert message.startswith(name.removesuffix(".__call__").removesuffix("_epochs")), (
            argument,
            odd,
            message,
        )
        # Labels may be what does not fit the classes of logits.
        named = argument in message or "label" in message
        assert named or calls is FIGURES, (argument, odd, message)
        return
    if not (isinstance(odd, torch.Tensor) and holds_nan(odd, infinite=True)):
        infinite = isinstance(odd, int | float) and math.isfinite(float(min(odd, 1e300)))
        assert not holds_nan(result, infinite=infinite), (argument, odd, result)


@EVERY
def test_odd_values_are_answered_or_refused_by_name(name: str) -> None:
    for argument in CALLS[name][1]:
        for odd in ODD:
            ask(name, argument, odd, CALLS)


@pytest.mark.parametrize("name", DRAWN)
def test_figures_of_odd_values_are_drawn_or_refused_by_name(name: str) -> None:
    function, arguments = FIGURES[name]
    function(**arguments)
    for argument in arguments:
        for odd in ODD:
            if not isinstance(odd, torch.Tensor):
                ask(name, argument, odd, FIGURES)


numbers = st.one_of(st.floats(), st.integers(), st.floats(width=32), st.complex_numbers())
dtypes = st.one_of(
    st_numpy.floating_dtypes(endianness="?"),
    st_numpy.integer_dtypes(endianness="?"),
    st_numpy.unsigned_integer_dtypes(),
    st_numpy.boolean_dtypes(),
    st_numpy.complex_number_dtypes(),
)
shapes = st.sampled_from([(), (0,), (1,), (4,), (4, 3), (4, 2), (3, 4), (4, 3, 2)])
arrays = dtypes.flatmap(lambda dtype: st_numpy.arrays(dtype, shapes))
lists = st.lists(st.one_of(numbers, st.text(max_size=2), st.none()), max_size=5)
values = st.one_of(numbers, st.text(max_size=4), arrays, lists)


@EVERY
@settings(max_examples=15, derandomize=True, deadline=None, database=None)
@given(data=st.data())
def test_drawn_values_are_answered_or_refused_by_name(name: str, data: st.DataObject) -> None:
    argument = data.draw(st.sampled_from(sorted(CALLS[name][1])))
    odd = data.draw(values)
    plain = isinstance(odd, np.ndarray) and odd.dtype.kind in "fiub" and odd.dtype.isnative
    if plain and odd.dtype.itemsize <= 8 and data.draw(st.booleans()):
        odd = torch.from_numpy(odd)
    ask(name, argument, odd, CALLS)


# --- valid values in another guise ----------------------------------------------------------


def guises(value: Any) -> list[Any]:
    """The same number, or the same array, as somebody else may hold it."""
    if isinstance(value, bool) or value is None:
        return [np.bool_(value), np.array(value), torch.tensor(value)]
    if isinstance(value, int | float):
        kinds = (np.float32, np.float64, np.longdouble) if isinstance(value, float) else (np.int64,)
        exact = [kind(value) for kind in kinds if kind(value) == value]
        return [
            *exact,
            np.array(value),
            np.array(value, ">f8" if kinds[1:] else ">i4"),
            torch.tensor(value, dtype=torch.float64 if kinds[1:] else torch.int32),
        ]
    if isinstance(value, np.ndarray):
        wide = np.longdouble if value.dtype.kind == "f" else np.int16
        frozen = value.copy()
        frozen.flags.writeable = False
        strided = np.repeat(value, 2, axis=-1)[..., ::2]
        return [
            value.astype(value.dtype.newbyteorder(">")),
            value.astype(wide),
            frozen,
            strided,
            value.tolist(),
            np.asfortranarray(value),
        ]
    if isinstance(value, torch.Tensor):
        leaf = value.clone().requires_grad_(value.is_floating_point())
        return [
            leaf,
            torch.stack([value, value], -1)[..., 0],
            torch.nn.Parameter(value, leaf.requires_grad),
        ]
    if isinstance(value, tuple | list) and value and isinstance(value[0], int):
        return [
            list(value),
            tuple(value),
            np.array(value),
            torch.tensor(value),
            np.array(value, "<u1"),
        ]
    return [np.str_(value)] if isinstance(value, str) else []


def comparable(result: Any) -> Any:
    if isinstance(result, torch.Tensor):
        return result.detach().numpy()
    if isinstance(result, torch.nn.Module):
        return [tuple(p.shape) for p in result.parameters()]
    if dataclasses.is_dataclass(result) and not isinstance(result, type):
        return comparable(vars(result))
    if isinstance(result, Mapping):
        return [(key, comparable(value)) for key, value in result.items()]
    return [comparable(one) for one in result] if isinstance(result, tuple | list) else result


@EVERY
def test_valid_values_in_another_guise_give_the_same(name: str) -> None:
    function, arguments = CALLS[name]
    expected = comparable(function(**arguments))
    for argument, value in arguments.items():
        for guise in guises(value):
            result = comparable(function(**{**arguments, argument: guise}))
            np.testing.assert_equal(result, expected, err_msg=f"{argument} {guise!r}")
