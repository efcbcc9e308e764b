"""AMID's turns: who moves by what, in which order, and what an epoch leaves behind."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import oracles
import pytest
import torch
from amid_cases import (
    CLASS_COUNTS,
    CONFIG,
    DIM,
    DISTINCT,
    MIXED,
    Batches,
    alone,
    amid,
    batch,
    changed,
    copied,
    encoders,
)
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import SGD, Adam
from torch.overrides import TorchFunctionMode

from kit.amid.config import AMIDConfig, ablations, emotion, small, video
from kit.amid.method import AMID, DistilledFeatures, Frozen
from kit.data.clips import ClipBatch
from kit.diagnostics import gradient_map
from kit.distillation.inputs import CLIP_ENCODERS, ClipInput, ClipKind
from kit.distillation.networks import Encoders, clip_encoders
from kit.distillation.single import AuxiliaryAlone, StudentAlone, TeacherAlone
from kit.training import Epoch, Step, Turn, fit

MAIN, WARM_UP = 1, 0  # epochs of CONFIG
ROWS = ablations(CONFIG)
D = sum(5 * n / 10 * (1 - (1 - n / 10) ** 4) for n in CLASS_COUNTS)  # samples with a classmate


# ---- who moves by what: rows are terms, columns networks

ALONE = {"student": StudentAlone, "teacher": TeacherAlone, "auxiliary": AuxiliaryAlone}
# x: moves; t: moves if the auxiliary extractor is trained; its head is trained in both cases.
COLUMNS = "target target_head teacher auxiliary auxiliary_head classifier D1 D2".split()  # noqa: SIM905
MOVES = """
classification                      x x x t . x . .
jensen_shannon                      x x x t . x . .
student_information                 x x x t . . . .
auxiliary_information               x x x t x . . .
sample_discriminator_adversarial    x x . . . . . .
class_discriminator_adversarial     x x . . . . . .
sample_discriminator                . . . . . . x .
class_discriminator                 . . . . . . . x
"""
# A fixed teacher, and what it reads, is no argument of anything.
MOVES_BESIDE_A_FIXED_TEACHER = """
classification                      x x . . . x . .
jensen_shannon                      x x . . . x . .
student_information                 x x . . . . . .
sample_discriminator_adversarial    x x . . . . . .
class_discriminator_adversarial     x x . . . . . .
sample_discriminator                . . . . . . x .
class_discriminator                 . . . . . . . x
"""
PREDICTION = ["classification", "jensen_shannon"]
INFORMATION = ["student_information", "auxiliary_information"]
FIRST = ["sample_discriminator_adversarial"]
BOTH = [*FIRST, "class_discriminator_adversarial"]
JUDGES = ["sample_discriminator", "class_discriminator"]
TERMS = {  # of an epoch after the warm-up, the discriminators' turn first
    "L_MI_s": [*PREDICTION, "student_information"],
    "L_MI_s + L_MI_a": [*PREDICTION, *INFORMATION],
    "L_MI_s + L_MI_a + L_adv (AMID)": [*JUDGES, *PREDICTION, *INFORMATION, *BOTH],
    "AMID with L_nce": [*JUDGES, *PREDICTION, *INFORMATION, *BOTH],
    "with fixed teacher": [*JUDGES, *PREDICTION, "student_information", *BOTH],
    "w/o warm-up": [*JUDGES, *PREDICTION, *INFORMATION, *BOTH],
    "w/o D_2": ["sample_discriminator", *PREDICTION, *INFORMATION, *FIRST],
    "w/o dynamic weight": [*JUDGES, *PREDICTION, *INFORMATION, *BOTH],
}


def movers(table: str, *, heard_frozen: bool) -> dict[str, set[str]]:
    """The networks that move by each term."""
    long = {"D1": "sample_discriminator", "D2": "class_discriminator"}
    rows = (line.split() for line in table.strip().splitlines())
    moves = "x" if heard_frozen else "xt"
    return {
        term: {
            long.get(name, name) for name, mark in zip(COLUMNS, marks, strict=True) if mark in moves
        }
        for term, *marks in rows
    }


@pytest.mark.parametrize("heard_frozen", [True, False], ids=["fixed", "trained"])
@pytest.mark.parametrize("row", TERMS)
def test_gradient_map(row: str, heard_frozen: bool) -> None:
    model = amid(ROWS[row], heard_frozen=heard_frozen)
    table = MOVES_BESIDE_A_FIXED_TEACHER if row == "with fixed teacher" else MOVES
    expected = movers(table, heard_frozen=heard_frozen)
    found = gradient_map(model, batch(), epoch=MAIN)
    assert [*found] == TERMS[row]
    for term, norms in found.items():
        assert norms.keys() == {*model.networks}
        assert {name for name, norm in norms.items() if norm > 0} == expected[term], term
    warm_up = gradient_map(model, batch(), epoch=WARM_UP)
    assert [*warm_up] == (TERMS[row] if row == "w/o warm-up" else PREDICTION)
    for term, norms in warm_up.items():
        assert {name for name, norm in norms.items() if norm > 0} == expected[term], term


def test_without_a_head_the_auxiliary_term_moves_the_teacher_alone() -> None:
    """One fixed extractor of the right width: A is what it gives (and M reads S)."""
    model = amid(heard=DIM, heard_frozen=True)
    assert isinstance(model.networks["auxiliary_head"], nn.Identity)
    norms = gradient_map(model, batch(), epoch=MAIN)["auxiliary_information"]
    assert {name for name, norm in norms.items() if norm} == {"target", "target_head", "teacher"}
    z = model.encode(batch())
    assert not z.auxiliary.requires_grad


@pytest.mark.parametrize("labels", [DISTINCT, [2, 2, 2], [0, 1], [3, 3]])
def test_gradient_map_of_special_batches(labels: list[int]) -> None:
    model = amid()
    found = gradient_map(model, batch(labels), epoch=MAIN)
    distinct = len(set(labels)) == len(labels)
    terms = TERMS["L_MI_s + L_MI_a + L_adv (AMID)"]
    assert [*found] == [t for t in terms if not (distinct and t.startswith("class_disc"))]
    expected = movers(MOVES, heard_frozen=False)
    for term, norms in found.items():
        assert all(math.isfinite(norm) for norm in norms.values()), term
        assert {name for name, norm in norms.items() if norm > 0} == expected[term], term


@pytest.mark.parametrize(
    ("trained", "moves"),
    [
        ("student", {"target", "target_head", "classifier"}),
        ("teacher", {"target", "target_head", "auxiliary", "teacher", "classifier"}),
        ("auxiliary", {"auxiliary", "auxiliary_head", "classifier"}),
    ],
)
def test_gradient_map_of_a_model_alone(trained: Any, moves: set[str]) -> None:
    model = alone(ALONE[trained])
    assert {*model.networks} == moves
    for epoch in (0, 5):  # no warm-up
        found = gradient_map(model, batch(), epoch=epoch)
        assert [*found] == ["classification"]
        assert all(norm > 0 for norm in found["classification"].values())
    still = alone(ALONE[trained], heard_frozen=True)
    norms = gradient_map(still, batch())["classification"]
    assert {name for name, norm in norms.items() if norm} == moves - {"auxiliary"}


def test_features_of_the_discriminators_turn_are_detached() -> None:
    """Whatever an optimizer holds: nothing but the discriminators could move by it."""
    model = amid()
    sum(model.discriminator_terms(model.encode(batch()), batch()).values()).backward()
    reached = {
        name
        for name, network in model.networks.items()
        if any(p.grad is not None for p in network.parameters())
    }
    assert reached == {*JUDGES}


# ---- a step, turn by turn


class Watched(AMID):
    """Notes everything when a turn begins, and when the last one is done."""

    def __init__(self, *args: Any, **how: Any) -> None:
        super().__init__(*args, **how)
        self.noted: list[tuple[str, dict[str, Tensor]]] = []
        self.seen: list[tuple[int, DistilledFeatures, Tensor]] = []
        self.lambdas: list[list[float]] = []
        self.encoded = 0

    def encode(self, batch: ClipBatch) -> DistilledFeatures:
        self.encoded += 1
        return super().encode(batch)

    def turns(self, epoch: int) -> tuple[Turn[DistilledFeatures, ClipBatch], ...]:
        def noting(turn: Turn[DistilledFeatures, ClipBatch]) -> Callable[..., dict[str, Tensor]]:
            def terms(z: DistilledFeatures, batch: ClipBatch) -> dict[str, Tensor]:
                self.noted.append((turn.name, copied(self.networks)))
                return turn.terms(z, batch)

            return terms

        return tuple(replace(turn, terms=noting(turn)) for turn in super().turns(epoch))

    def end_step(self, epoch: int, z: DistilledFeatures, batch: ClipBatch) -> None:
        self.noted.append(("end", copied(self.networks)))
        detached = DistilledFeatures(*(part.detach().clone() for part in z))
        self.seen.append((epoch, detached, batch.labels))
        if self.weights is not None:
            self.lambdas.append(self.weights().tolist())
        super().end_step(epoch, z, batch)


def after_steps(model: AMID, loader: Batches, *, steps: int, epochs: int = 3) -> list[Step]:
    """Train so many steps and no further."""
    taken: list[Step] = []
    for record in fit(model, loader, epochs=epochs):
        taken += [record] if isinstance(record, Step) else []
        if len(taken) == steps:
            break
    return taken


EVERYTHING = {"target", "target_head", "teacher", "auxiliary", "auxiliary_head", "classifier"}


def test_a_turn_changes_its_own_networks_and_no_other() -> None:
    model = amid(replace(CONFIG, warm_up_epochs=0), Watched)
    (_, before), *noted = _steps(model, 3)
    assert [name for name, _ in noted] == ["main", "end"] + ["discriminators", "main", "end"] * 2
    ours = [state for name, state in [("discriminators", before), *noted] if name != "end"]
    ends = [state for name, state in noted if name == "end"]
    for step in range(3):
        assert changed(ours[2 * step], ours[2 * step + 1]) == {*JUDGES}
        assert changed(ours[2 * step + 1], ends[step]) == EVERYTHING


def _steps(model: Watched, steps: int) -> list[tuple[str, dict[str, Tensor]]]:
    after_steps(model, Batches([MIXED] * steps), steps=steps)
    return model.noted


def test_the_warm_up_moves_neither_discriminators_nor_weights_nor_the_auxiliary_head() -> None:
    model = amid(CONFIG, Watched)
    list(fit(model, Batches([MIXED] * 3), epochs=1))
    assert [name for name, _ in model.noted] == ["warm-up", "end"] * 3
    for (_, before), (_, after) in zip(model.noted[::2], model.noted[1::2], strict=True):
        assert changed(before, after) == EVERYTHING - {"auxiliary_head"}
    assert changed(model.noted[0][1], copied(model.networks)) == EVERYTHING - {"auxiliary_head"}
    assert model.optimizers["discriminators"].state_dict()["state"] == {}


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_step_of_the_warm_up_goes_down_l_cls_and_l_jsd(optimizer: Any) -> None:
    config = replace(CONFIG, optimizer=optimizer)
    model, plain = amid(config), amid(config)
    (step,) = after_steps(model, Batches([MIXED]), steps=1)
    plain.networks.train()
    z = plain.encode(batch())
    ours, theirs = (plain.networks["classifier"](part) for part in (z.student, z.teacher))
    p, q = ours.softmax(1), theirs.softmax(1)
    mean = (p + q) / 2
    divergence = (p * (p / mean).log() + q * (q / mean).log()).sum(1).mean() / 2
    labels = torch.tensor(MIXED)
    loss = F.cross_entropy(ours, labels) + F.cross_entropy(theirs, labels) + divergence
    moved = [p for p in plain.networks.parameters() if p.requires_grad]
    numbers = {"lr": CONFIG.learning_rate, "weight_decay": CONFIG.weight_decay}
    by_hand = SGD(moved, momentum=0.9, **numbers) if optimizer == "sgd" else Adam(moved, **numbers)
    loss.backward()
    by_hand.step()
    assert sum(step.values[name] for name in PREDICTION) == pytest.approx(loss.item(), rel=1e-6)
    for (name, found), expected in zip(
        model.networks.named_parameters(), plain.networks.parameters(), strict=True
    ):
        torch.testing.assert_close(found, expected, msg=name, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("labels", [MIXED, [0, 1, 2, 3, 3], [1, 1, 1, 1, 1]])
def test_a_step_by_hand_discriminators_first_and_the_main_turn_meets_the_moved_ones(
    labels: list[int],
) -> None:
    """Equations 12 and 13 as printed, on the features of the one forward pass."""
    model = amid(replace(CONFIG, warm_up_epochs=0), Watched)
    assert model.weights is not None
    model.weights.raw.copy_(torch.tensor([0.3, -0.4]))
    first, second = torch.tensor([0.3, -0.4]).softmax(0).tolist()
    judges = [copy.deepcopy(model.networks[name]) for name in JUDGES]
    (step,) = after_steps(model, Batches([labels]), steps=1)
    _, z, _ = model.seen[0]
    rows = torch.tensor([labels.count(label) > 1 for label in labels])

    def student_taken_for_teacher() -> tuple[float, float]:
        own, of_class = judges[0](z.student).sigmoid(), judges[1](z.student[rows]).sigmoid()
        sums = own.log().sum().item(), of_class.log().sum().item()
        return -first / 5 * sums[0], -second / D * sums[1]

    before = student_taken_for_teacher()
    optimizer = Adam([p for d in judges for p in d.parameters()], lr=1e-4, betas=(0.5, 0.999))
    losses = []
    for judge, weight, divisor, seen in (
        (judges[0], first, 5, torch.ones(5, dtype=torch.bool)),
        (judges[1], second, D, rows),
    ):
        real, made = (judge(part[seen]).sigmoid() for part in (z.teacher, z.student))
        losses.append(-weight / divisor * (real.log() + (1 - made).log()).sum())
    sum(losses).backward()
    optimizer.step()
    for name, judge, loss in zip(JUDGES, judges, losses, strict=True):
        assert step.values[name] == pytest.approx(loss.item(), rel=1e-5)
        for found, expected in zip(
            model.networks[name].parameters(), judge.parameters(), strict=True
        ):
            torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-8)
    after = student_taken_for_teacher()
    found = [step.values[name] for name in BOTH]
    assert found == pytest.approx(after, rel=1e-6)
    assert max(abs(a - b) for a, b in zip(found, before, strict=True)) > 1e-5


def test_the_main_turn_is_equation_17_in_the_oracles_numbers() -> None:
    config = replace(CONFIG, warm_up_epochs=0, temperature=0.7, adversarial_weight=3.0)
    model = amid(config, Watched)
    model.networks.double()
    assert model.weights is not None
    model.weights.raw.copy_(torch.tensor([0.3, -0.4]))
    model.networks.train()
    given = batch()
    given = given._replace(modalities={n: v.double() for n, v in given.modalities.items()})
    z = model.encode(given)
    terms = model.distillation_terms(z, given)
    ours, theirs = (model.networks["classifier"](part) for part in (z.student, z.teacher))
    first, second = oracle_softmax([0.3, -0.4])
    judged = [model.networks[name](z.student) for name in JUDGES]
    mates = [row for row, mate in enumerate(oracles.has_classmate(MIXED)) if mate]
    expected = {
        "classification": oracles.shared_classification_loss(ours, theirs, MIXED),
        "jensen_shannon": oracles.jensen_shannon_loss(ours, theirs),
        "student_information": 4
        * oracles.mutual_information_loss(z.student, z.teacher, MIXED, temperature=0.7),
        "auxiliary_information": 1.6
        * oracles.mutual_information_loss(z.auxiliary, z.teacher, MIXED, temperature=0.7),
        "sample_discriminator_adversarial": 3
        * (oracles.adversarial_loss(judged[0], weight=first, divisor=5) or 0),
        "class_discriminator_adversarial": 3
        * (oracles.adversarial_loss(judged[1][mates], weight=second, divisor=D) or 0),
    }
    assert {name: term.item() for name, term in terms.items()} == pytest.approx(expected, rel=1e-6)
    total = sum(terms.values())
    assert isinstance(total, Tensor)
    assert total.item() == pytest.approx(math.fsum(expected.values()), rel=1e-6)


def oracle_softmax(raw: Sequence[float]) -> list[float]:
    return [math.exp(value) / math.fsum(map(math.exp, raw)) for value in raw]


def test_l_nce_takes_the_place_of_both_information_terms() -> None:
    model = amid(replace(CONFIG, contrast="nce"))
    z = model.encode(batch())
    terms = model.distillation_terms(z, batch())
    for name, other, weight in (
        ("student_information", z.student, 4),
        ("auxiliary_information", z.auxiliary, 1.6),
    ):
        loss = oracles.contrastive_nce_loss(other, z.teacher, MIXED, temperature=0.5)
        assert terms[name].item() == pytest.approx(weight * loss, rel=1e-5)


def test_a_batch_is_encoded_once_a_step() -> None:
    model = amid(CONFIG, Watched)
    calls: dict[str, int] = dict.fromkeys(EVERYTHING, 0)

    def counting(name: str) -> Callable[..., None]:
        def hook(*_: Any) -> None:
            calls[name] += 1

        return hook

    inner = {"target": "seen", "auxiliary": "heard"}
    for name in EVERYTHING - {"classifier"}:
        network = model.networks[name]
        network = network[inner[name]] if name in inner else network
        network.register_forward_hook(counting(name))
    after_steps(model, Batches([MIXED] * 2), steps=6)
    assert model.encoded == 6
    assert {name: calls[name] for name in EVERYTHING - {"classifier"}} == dict.fromkeys(
        EVERYTHING - {"classifier"}, 6
    )


def test_all_distinct_classes_leave_d2_and_its_optimizer_alone() -> None:
    """Adam's momentum would move it by a gradient of zero: there must be none."""
    model = amid(replace(CONFIG, warm_up_epochs=0), Watched)
    records = fit(model, Batches([MIXED, DISTINCT, MIXED]), epochs=1)
    next(records)
    adam = model.optimizers["discriminators"]

    def second() -> Any:
        network = model.networks["class_discriminator"]
        states = [dict(adam.state[parameter]) for parameter in network.parameters()]
        assert all(state["step"] > 0 for state in states)
        return copy.deepcopy((network.state_dict(), states))

    before, first = second(), copied(model.networks["sample_discriminator"])
    step = next(records)
    assert not [name for name in step.values if name.startswith("class_discriminator")]
    torch.testing.assert_close(second(), before, rtol=0, atol=0)
    assert not torch.equal(model.networks["sample_discriminator"][0].weight, first["0.weight"])
    step = next(records)
    assert "class_discriminator_adversarial" in step.values
    assert not torch.equal(second()[0]["0.weight"], before[0]["0.weight"])


@pytest.mark.parametrize("contrast", ["mutual_information", "nce"])
def test_batches_of_one_class_of_two_and_of_all_classes_train(contrast: Any) -> None:
    kinds = [[2, 2, 2], [0, 1], [1, 1], DISTINCT]
    config = replace(CONFIG, warm_up_epochs=0, contrast=contrast)
    model = amid(config)
    records = list(fit(model, Batches(kinds), epochs=3, meter_every=1))
    for record in records:
        numbers = record.values if isinstance(record, Step) else record.means
        assert all(math.isfinite(value) for value in numbers.values())
    assert all(value.isfinite().all() for value in model.networks.state_dict().values())
    steps = [record for record in records if isinstance(record, Step)]
    nats = ["student_nats" in step.values for step in steps]
    mates = ["same_class_cosine" in step.values for step in steps]
    assert nats == [False, True, False, True] * 3  # one class has no negatives
    assert mates == [True, False, True, False] * 3


def test_one_classifier_for_both_and_its_gradient_is_the_sum() -> None:
    model = amid()
    model.networks.eval()
    weight = model.networks["classifier"].weight
    z, labels = model.encode(batch()), batch().labels
    ours, theirs = model.logits(z)
    both = torch.autograd.grad(
        model.prediction_terms(z, batch())["classification"], weight, retain_graph=True
    )[0]
    of_each = [
        torch.autograd.grad(F.cross_entropy(logits, labels), weight, retain_graph=True)[0]
        for logits in (ours, theirs)
    ]
    torch.testing.assert_close(both, of_each[0] + of_each[1])
    assert all(gradient.abs().sum() > 0 for gradient in of_each)
    taken: list[Tensor] = []
    model.networks["classifier"].register_forward_hook(lambda _, given, __: taken.append(given[0]))
    model.prediction_terms(z, batch())
    assert [id(features) for features in taken] == [id(z.student), id(z.teacher)]


# ---- Equation 14


def raw_by_hand(seen: Sequence[tuple[int, DistilledFeatures, Tensor]]) -> list[float]:
    """1 - the mean cosine of all pairs: of a teacher with its own student, with classmates'."""
    own, mates = [], []
    for _, z, labels in seen:
        table = oracles.cosines(z.teacher, z.student)
        for v in range(len(labels)):
            own.append(table[v, v])
            mates += [table[v, u] for u in oracles.classmates(labels, v) if u != v]
    return [1 - math.fsum(cosines) / len(cosines) for cosines in (own, mates)]


def test_weights_move_at_the_end_of_each_epoch_after_the_warm_up() -> None:
    model = amid(CONFIG, Watched)  # one epoch of warm-up, two after it
    assert model.weights is not None
    steps = [MIXED, DISTINCT, [1, 1, 1], [0, 1]]
    raws = [
        model.weights.raw.tolist()
        for record in fit(model, Batches(steps), epochs=3)
        if isinstance(record, Epoch)
    ]
    epochs = [[one for one in model.seen if one[0] == epoch] for epoch in range(3)]
    first, second = (raw_by_hand(epoch) for epoch in epochs[1:])
    expected = [0.1 * value for value in first]
    assert raws[0] == [0, 0]
    assert raws[1] == pytest.approx(expected, rel=1e-5)
    assert raws[2] == pytest.approx(
        [0.9 * a + 0.1 * b for a, b in zip(expected, second, strict=True)], rel=1e-5
    )
    for epoch, raw in enumerate(([0, 0], [0, 0], raws[1])):  # one value for all of an epoch
        for lambdas in model.lambdas[4 * epoch : 4 * epoch + 4]:
            assert lambdas == pytest.approx(oracle_softmax(raw), rel=1e-6)
    assert model.weights.pair_counts.tolist() == [0, 0]  # the next epoch has its own


def test_without_warm_up_the_first_epoch_counts() -> None:
    model = amid(ROWS["w/o warm-up"], Watched)
    assert model.weights is not None
    list(fit(model, Batches([MIXED]), epochs=1))
    expected = [0.1 * value for value in raw_by_hand(model.seen)]
    assert model.weights.raw.tolist() == pytest.approx(expected, rel=1e-5)


def test_an_epoch_without_classmates_leaves_the_second_weight() -> None:
    model = amid(ROWS["w/o warm-up"])
    assert model.weights is not None
    list(fit(model, Batches([DISTINCT] * 2), epochs=1))
    assert model.weights.raw[0] != 0
    assert model.weights.raw[1] == 0


def test_uniform_weights_stay() -> None:
    model = amid(replace(CONFIG, adversaries="uniform"), Watched)
    before = copied(model.networks["adversary_weights"])
    list(fit(model, Batches([MIXED] * 2), epochs=3))
    assert model.lambdas == [[0.5, 0.5]] * 6
    assert not changed(before, copied(model.networks["adversary_weights"]))


def test_without_d2_lambda_1_is_1() -> None:
    model = amid(replace(CONFIG, adversaries="sample_only", warm_up_epochs=0), Watched)
    assert "class_discriminator" not in model.networks
    judge = copy.deepcopy(model.networks["sample_discriminator"])
    records = list(fit(model, Batches([MIXED] * 2), epochs=2, meter_every=1))
    first = records[0]
    assert isinstance(first, Step)
    _, z, _ = model.seen[0]
    loss = oracles.discriminator_loss(judge(z.student), judge(z.teacher), weight=1.0, divisor=5)
    assert first.values["sample_discriminator"] == pytest.approx(loss, rel=1e-5)
    lambdas = {r.values["sample_discriminator_lambda"] for r in records if isinstance(r, Step)}
    assert lambdas == {1.0}


def test_undecided_discriminators_cost_ln_2() -> None:
    model = amid()
    with torch.no_grad():
        for name in JUDGES:
            model.networks[name][-2].weight.zero_()
            model.networks[name][-2].bias.zero_()
    z, w = model.encode(batch()), 4  # of MIXED, all but the one of class 2
    share = 0.5 + 0.5 * w / D
    judged, main = model.discriminator_terms(z, batch()), model.distillation_terms(z, batch())
    assert sum(judged.values()).item() == pytest.approx(2 * math.log(2) * share, rel=1e-6)
    assert sum(main[name] for name in BOTH).item() == pytest.approx(math.log(2) * share, rel=1e-6)


def test_a_run_goes_on_in_the_middle_of_an_epoch_with_all_sums() -> None:
    loader, config = Batches([MIXED, [1, 1, 0], DISTINCT, MIXED]), replace(CONFIG, optimizer="adam")
    whole, first, rest = amid(config), amid(config), amid(config)
    expected = list(fit(whole, loader, epochs=3))
    progress = after_steps(first, loader, steps=6)[-1].progress
    assert (progress.epoch, progress.step) == (1, 2)
    rest.networks.load_state_dict(copied(first.networks))
    for name, optimizer in rest.optimizers.items():
        optimizer.load_state_dict(copy.deepcopy(first.optimizers[name].state_dict()))
    found = list(fit(rest, loader, epochs=3, start=progress))
    assert found == expected[-len(found) :]
    assert not changed(copied(whole.networks), copied(rest.networks))


# ---- a fixed teacher, fixed extractors


def test_a_frozen_teacher_has_its_own_extractor_and_classifier_and_never_changes() -> None:
    model = amid(ROWS["with fixed teacher"])
    networks = model.networks
    assert networks.keys() == {
        *("target", "target_head", "frozen_teacher", "classifier", "adversary_weights", *JUDGES)
    }
    theirs = networks["frozen_teacher"].networks
    for ours, other in zip(
        networks["classifier"].parameters(), theirs["classifier"].parameters(), strict=True
    ):
        assert torch.equal(ours, other)  # a copy, at first
        assert ours.data_ptr() != other.data_ptr()
    before = copied(networks)
    list(fit(model, Batches([MIXED] * 3), epochs=2))
    assert changed(before, copied(networks)) == {*networks} - {"frozen_teacher"}
    assert not any(p.requires_grad for p in networks["frozen_teacher"].parameters())
    assert not any(module.training for module in networks["frozen_teacher"].modules())


def test_a_frozen_teacher_answers_as_it_did_alone() -> None:
    teacher = alone(TeacherAlone)
    list(fit(teacher, Batches([MIXED] * 3), epochs=1))
    teacher.networks.eval()
    said = teacher.answers(batch())["teacher"]
    given = replace(encoders(seen=10), auxiliary=nn.ModuleDict())
    config = ROWS["with fixed teacher"]
    model = AMID(config, replace(given, frozen_teacher=copy.deepcopy(teacher.networks)))
    model.networks.train()
    z = model.encode(batch())
    assert not z.teacher.requires_grad
    assert z.student.requires_grad
    assert z.auxiliary.shape == (5, 0)
    torch.testing.assert_close(z.teacher, said.features)
    torch.testing.assert_close(model.logits(z)[1], said.logits)
    ours, theirs = model.logits(z)
    terms = model.prediction_terms(z, batch())
    alone_loss = F.cross_entropy(ours, batch().labels)
    assert terms["classification"].item() == pytest.approx(alone_loss.item())
    expected = oracles.jensen_shannon_loss(ours, theirs)
    assert terms["jensen_shannon"].item() == pytest.approx(expected, rel=1e-5)


def test_fixed_is_fixed_whatever_mode_is_asked_for() -> None:
    fixed = Frozen(nn.ModuleDict({"norm": nn.BatchNorm1d(3)}))
    fixed.train()
    before = copied(fixed)
    fixed.networks["norm"](torch.randn(5, 3))
    assert not changed(before, copied(fixed))
    assert not any(module.training for module in fixed.modules())


@pytest.mark.parametrize("row", ["L_MI_s + L_MI_a + L_adv (AMID)", "L_MI_s"])
def test_a_fixed_extractor_keeps_parameters_and_statistics(row: str) -> None:
    model = amid(ROWS[row], heard_frozen=True)
    before = copied(model.networks["auxiliary"])
    assert any(name.endswith("running_mean") for name in before)
    moving = copied(model.networks["target"])
    list(fit(model, Batches([MIXED] * 3), epochs=2))
    assert not changed(before, copied(model.networks["auxiliary"]))
    assert changed(moving, copied(model.networks["target"]))


def test_methods_that_cannot_be_are_refused() -> None:
    teacher = alone(TeacherAlone).networks
    given = encoders()
    with pytest.raises(ValueError, match=r"^AMID: teacher 'online' takes no frozen_teacher$"):
        AMID(CONFIG, replace(given, frozen_teacher=teacher))
    frozen = ROWS["with fixed teacher"]
    with pytest.raises(ValueError, match=r"^AMID: teacher 'frozen' needs a frozen_teacher$"):
        AMID(frozen, given)
    with pytest.raises(ValueError, match=r"^AMID: expected a frozen teacher of width 16, got 8$"):
        AMID(replace(frozen, dim=16), replace(given, frozen_teacher=teacher))
    still = encoders(seen=DIM)
    still.target.requires_grad_(False)
    with pytest.raises(
        ValueError, match=r"^AMID: a frozen target of width dim 8 has no head to be"
    ):
        AMID(CONFIG, still)
    AMID(replace(CONFIG, dim=16), still)  # a head can be trained


# ---- optimizers and rates


@pytest.mark.parametrize("row", TERMS)
@pytest.mark.parametrize("heard_frozen", [True, False], ids=["fixed", "trained"])
def test_everything_that_is_trained_has_exactly_one_optimizer(row: str, heard_frozen: bool) -> None:
    model = amid(ROWS[row], heard_frozen=heard_frozen)
    held = {
        name: {id(p) for group in optimizer.param_groups for p in group["params"]}
        for name, optimizer in model.optimizers.items()
    }
    judges = {
        id(p)
        for name in JUDGES
        if name in model.networks
        for p in model.networks[name].parameters()
    }
    trained = {id(p) for p in model.networks.parameters() if p.requires_grad}
    assert held["main"] == trained - judges
    assert held.get("discriminators", set()) == judges
    assert ("discriminators" in held) == (ROWS[row].adversarial_weight > 0)


def test_optimizers_have_the_configs_numbers() -> None:
    model = amid(replace(CONFIG, momentum=0.8, weight_decay=0.1, discriminator_learning_rate=0.3))
    main, judges = model.optimizers["main"], model.optimizers["discriminators"]
    assert isinstance(main, SGD)
    for group in main.param_groups:
        assert (group["lr"], group["momentum"], group["weight_decay"]) == (0.05, 0.8, 0.1)
    assert isinstance(judges, Adam)
    (group,) = judges.param_groups
    assert (group["lr"], group["betas"], group["weight_decay"]) == (0.3, (0.5, 0.999), 0)
    adam = amid(replace(CONFIG, optimizer="adam", weight_decay=0.1)).optimizers["main"]
    assert isinstance(adam, Adam)
    for group in adam.param_groups:
        assert (group["lr"], group["betas"], group["weight_decay"]) == (0.05, (0.9, 0.999), 0.1)


@pytest.mark.parametrize(
    ("config", "factors"),
    [
        (video(), {0: 1, 149: 1, 150: 0.1, 224: 0.1, 225: 0.01, 299: 0.01}),
        (emotion(), {0: 1, 29: 1, 30: 30 / 31, 31: 29 / 31, 59: 1 / 31}),
        (small(), {0: 1, 9: 1, 10: 6 / 7, 15: 1 / 7}),
        (
            replace(small(), decay_at=(5, 12)),
            {4: 1, 5: 0.1, 10: 0.1 * 6 / 7, 12: 0.01 * 4 / 7},
        ),
    ],
)
def test_rates_fall_by_tenths_or_along_a_line(
    config: AMIDConfig, factors: dict[int, float]
) -> None:
    assert {epoch: config.rate_factor(epoch) for epoch in factors} == pytest.approx(factors)


@pytest.mark.parametrize("build", [amid, lambda config: alone(StudentAlone, config)])
def test_only_the_main_turns_rate_falls(build: Callable[[AMIDConfig], Any]) -> None:
    model = build(replace(CONFIG, epochs=9, decay_at=(2, 4)))
    for epoch in (0, 3, 8, 1):  # any epoch directly: a resumed run begins where it was
        model.begin_epoch(epoch)
        rates = {name: o.param_groups[0]["lr"] for name, o in model.optimizers.items()}
        assert rates.pop("main") == pytest.approx(0.05 * {0: 1, 1: 1, 3: 0.1, 8: 0.01}[epoch])
        assert set(rates.values()) <= {1e-4}


# ---- answers, meters, alarms


def test_answers_are_features_and_logits_of_each_model() -> None:
    model = amid()
    model.networks.eval()
    z = model.encode(batch())
    said = model.answers(batch())
    assert [*said] == ["student", "teacher"]
    for name in said:
        features = getattr(z, name)
        torch.testing.assert_close(said[name].features, features)
        torch.testing.assert_close(said[name].logits, model.networks["classifier"](features))
    assert [*model.answers(batch(), ["teacher"])] == ["teacher"]


def test_the_student_answers_without_hearing() -> None:
    model = amid()
    model.networks.eval()
    seen = batch()._replace(modalities={"seen": batch().modalities["seen"]})
    (student,) = model.answers(seen, ("student",)).values()
    torch.testing.assert_close(student.logits, model.answers(batch())["student"].logits)
    with pytest.raises(ValueError, match=r"encode: expected the modalities heard, got seen$"):
        model.answers(seen)


@pytest.mark.parametrize("trained", ["student", "teacher", "auxiliary"])
def test_a_model_alone_is_its_cross_entropy(trained: Any) -> None:
    model = alone(ALONE[trained])
    model.networks.eval()
    z = model.encode(batch())
    assert z.feature.shape == (5, DIM)
    (said,) = model.answers(batch()).values()
    assert [*model.answers(batch())] == [trained] == [*model.models]
    rows = zip(oracles.matrix(said.logits), MIXED, strict=True)
    total = sum(-oracles.log_softmax(row)[label] for row, label in rows)
    (term,) = model.terms(z, batch()).values()
    assert term.item() == pytest.approx(total / 5, rel=1e-5)
    meters = model.meters(z, batch())
    assert meters[f"{trained}_norm"].item() == pytest.approx(
        sum(math.hypot(*row) for row in z.feature.tolist()) / 5, rel=1e-5
    )
    assert model.alarms({"classification": 1e9}) == ()


def test_meters_by_hand() -> None:
    model = amid()
    with torch.no_grad():
        for name, logit in zip(JUDGES, (math.log(3), -math.log(3)), strict=True):
            model.networks[name][-2].weight.zero_()
            model.networks[name][-2].bias.fill_(logit)
    teacher = torch.eye(DIM)[:4] * 3
    student = torch.stack([teacher[0], teacher[0], teacher[2], -teacher[3]]) * 2
    student[1, 1] = student[1, 0]  # 45 degrees between the first two axes
    z = DistilledFeatures(student, teacher, torch.zeros(4, 0))
    given = batch([0, 0, 1, 2])
    with torch.no_grad():
        found = {name: value.item() for name, value in model.meters(z, given).items()}
    half = math.sqrt(0.5)
    nats, ceiling, _ = oracles.mutual_information_estimate(
        student, teacher, [0, 0, 1, 2], temperature=0.5
    )
    assert found == pytest.approx(
        {
            "student_norm": (6 * 3 + 6 / half) / 4,
            "teacher_norm": 3,
            "own_cosine": (1 + half + 1 - 1) / 4,
            "same_class_cosine": (half + 0) / 2,  # (M_0, S_1) and (M_1, S_0)
            "student_nats": nats,
            "nats_ceiling": ceiling,
            "sample_discriminator_lambda": 0.5,
            "sample_discriminator_of_teacher": 0.75,
            "sample_discriminator_of_student": 0.75,
            "class_discriminator_lambda": 0.5,
            "class_discriminator_of_teacher": 0.25,
            "class_discriminator_of_student": 0.25,
        },
        rel=1e-5,
    )


HEALTHY = {
    **{f"{name}_of_teacher": 0.7 for name in JUDGES},
    **{f"{name}_of_student": 0.4 for name in JUDGES},
    "same_class_cosine": 0.8,
}


@pytest.mark.parametrize(
    ("sick", "alarms"),
    [
        ({}, []),
        (
            {"sample_discriminator_of_teacher": 0.999, "sample_discriminator_of_student": 0.01},
            ["D1 tells teacher and student apart nearly always"],
        ),
        (
            {"class_discriminator_of_teacher": 1.0, "class_discriminator_of_student": 0.0},
            ["D2 tells teacher and student apart nearly always"],
        ),
        (
            {"same_class_cosine": 0.9995},
            ["teacher and student features of a class have become one direction (mean cosine 0.99"],
        ),
        ({"sample_discriminator_of_student": 1.0}, []),  # it has been deceived
    ],
)
def test_alarms_come_when_they_should(sick: dict[str, float], alarms: list[str]) -> None:
    said = amid().alarms(HEALTHY | sick)
    assert len(said) == len(alarms)
    assert all(one.startswith(alarm) for one, alarm in zip(said, alarms, strict=True))
    assert amid().alarms({"classification": 1.0}) == ()  # an epoch without these meters


# ---- activations


class CountingRelu(TorchFunctionMode):
    """Counts calls of ReLU, whatever they are called."""

    found = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.found += getattr(func, "__name__", "") in ("relu", "relu_", "relu6", "clamp_min")
        return func(*args, **(kwargs or {}))


def test_every_trained_network_has_leaky_relus_alone() -> None:
    kinds = {
        "seen": ClipKind((2, 16, 16, 3), False),
        "moved": ClipKind((2, 16, 16, 3), False),
        "heard": ClipKind((32, 32), False),
        "told": ClipKind((5,), True),
    }
    asked = {
        "target": {"seen": ClipInput("r2plus1d_18"), "moved": ClipInput("small_video")},
        "auxiliary": {"heard": ClipInput("small_audio"), "told": ClipInput("lstm")},
    }
    built = {role: clip_encoders(one, kinds, dim=8) for role, one in asked.items()}
    model = AMID(CONFIG, Encoders(**built, class_counts=CLASS_COUNTS))
    used = {one.encoder for inputs in asked.values() for one in inputs.values()}
    assert used == {*CLIP_ENCODERS} - {"cnn14", "panns_cnn14", "identity"}
    lengths = torch.tensor([3, 1, 2, 2, 1])
    modalities = {name: torch.randn(5, *kind.shape) for name, kind in kinds.items()}
    modalities["told"] = torch.randn(5, 3, 5)
    given = ClipBatch.of(modalities, {"told": lengths}, torch.tensor(MIXED), torch.arange(5))
    with CountingRelu() as counted:
        z = model.encode(given)
        model.discriminator_terms(z, given)
        model.distillation_terms(z, given)
    assert counted.found == 0
    kinds_of = {type(module) for module in model.networks.modules()}
    assert nn.LeakyReLU in kinds_of
    assert not kinds_of & {nn.ReLU, nn.ReLU6, nn.GELU, nn.SiLU, nn.ELU, nn.PReLU, nn.Tanh}
