"""The loop: who moves, when, down what, and what is said of it."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import SGD
from toy_method import Hidden, Numbers, ToyLoader, ToyMethod, copied, same

from kit.diagnostics import gradient_map, with_progress
from kit.training import (
    Epoch,
    Progress,
    Step,
    Turn,
    _missing_in_bfloat16,
    check_precision,
    evaluating,
    fit,
    scale_learning_rates,
)


def states(method: ToyMethod) -> dict[str, dict[str, torch.Tensor]]:
    return {name: copied(net.state_dict()) for name, net in method.networks.items()}


def test_each_turn_moves_what_its_optimizer_holds_and_nothing_else() -> None:
    method = ToyMethod()
    before = states(method)
    for record in fit(method, ToyLoader(), epochs=2):
        if isinstance(record, Epoch):
            continue
        step = 7 * record.progress.epoch + record.progress.step
        after = states(method)
        assert not same(after["encoder"], before["encoder"])
        assert same(after["judge"], before["judge"]) == (step % 5 != 0), step
        if step < 5:  # None and not zero: no gradient was ever computed for it
            assert all(p.grad is None for p in method.networks["judge"].parameters())
        before = after


def test_batch_is_encoded_once_a_step_and_epochs_are_framed() -> None:
    method = ToyMethod(judge_every=1)
    records = list(fit(method, ToyLoader(3), epochs=2))
    assert method.encoded == 6
    assert method.events == ["begin 0", "end 0", "begin 1", "end 1"]
    assert [type(r) for r in records] == [Step, Step, Step, Epoch] * 2
    assert [r.progress.step for r in records] == [1, 2, 3, 0] * 2
    assert [r.progress.epoch for r in records] == [0, 0, 0, 1, 1, 1, 1, 2]


def test_a_step_ends_once_all_turns_have_moved() -> None:
    class Counting(ToyMethod):
        def end_step(self, epoch: int, z: Hidden, batch: Numbers) -> None:
            self.events.append(f"step of {epoch}")
            assert z.h is self.last
            assert torch.equal(batch.x, next(expected).x)
            self.at_end = states(self)

        def encode(self, batch: Numbers) -> Hidden:
            z = super().encode(batch)
            self.last = z.h
            return z

    expected = (batch for epoch in range(2) for batch in ToyLoader(2).epoch(epoch))
    method = Counting(judge_every=1)
    before = states(method)
    for record in fit(method, ToyLoader(2), epochs=2):
        if isinstance(record, Step):
            after = states(method)
            for name in ("encoder", "judge"):
                assert same(after[name], method.at_end[name]), name
                assert not same(after[name], before[name]), name
            before = after
    assert method.events == [
        event
        for epoch in range(2)
        for event in (f"begin {epoch}", *[f"step of {epoch}"] * 2, f"end {epoch}")
    ]


def test_a_step_that_is_not_finite_does_not_end() -> None:
    class Counting(ToyMethod):
        def end_step(self, epoch: int, z: Hidden, batch: Numbers) -> None:
            self.events.append("step")

    method = Counting(broken=2)
    with pytest.raises(FloatingPointError):
        list(fit(method, ToyLoader(3), epochs=1))
    assert method.events == ["begin 0", "step"]


def test_a_batch_moves_itself_to_the_device_of_the_networks() -> None:
    moved = []

    class Moving(Numbers):
        def to(self, device: torch.device) -> Numbers:
            moved.append(device)
            return Numbers(self.x)

    class Loader(ToyLoader):
        def epoch(self, epoch: int, *, skip: int = 0) -> Any:
            return (Moving(*batch) for batch in super().epoch(epoch, skip=skip))

    list(fit(ToyMethod(), Loader(3), epochs=1))
    assert moved == [torch.device("cpu")] * 3


def test_records_hold_terms_meters_means_and_alarms() -> None:
    *steps, epoch = fit(ToyMethod(judge_every=2), ToyLoader(4), epochs=1, meter_every=3)
    for number, step in enumerate(steps):
        watched = {"norm", "share/size", "share/please"} if number % 3 == 0 else set()
        judged = {"score"} if number % 2 else set()
        assert step.values.keys() == {"size", "please"} | watched | judged
    for name in ("size", "norm", "score"):
        seen = [step.values[name] for step in steps if name in step.values]
        assert epoch.means[name] == pytest.approx(sum(seen) / len(seen))
    assert (epoch.epoch, epoch.scores, epoch.alarms) == (0, {}, ())


def test_meters_are_taken_at_every_tenth_step_and_at_an_epochs_first() -> None:
    records = list(fit(ToyMethod(), ToyLoader(12), epochs=2))
    steps = [record for record in records if isinstance(record, Step)]
    metered = [number for number, step in enumerate(steps) if "norm" in step.values]
    assert metered == [0, 10, 12, 22]


def test_alarms_of_the_method_are_passed_on() -> None:
    method = ToyMethod()
    with torch.no_grad():
        method.networks["encoder"][0].bias += 1e5
    *_, epoch = fit(method, ToyLoader(1), epochs=1)
    assert epoch.alarms == ("the features are large",)


def test_shares_are_those_of_the_gradients_into_the_features() -> None:
    class Fixed(ToyMethod):
        def encoder_terms(self, z: Hidden, batch: Numbers) -> dict[str, torch.Tensor]:
            return {"three": 3 * z.h[0, 0], "four": 4 * z.h.flatten()[1], "none": z.h.sum() * 0}

    step, *_ = fit(Fixed(), ToyLoader(1), epochs=1)
    shares = [step.values[f"share/{name}"] for name in ("three", "four", "none")]
    assert shares == pytest.approx([3 / 7, 4 / 7, 0])


def test_a_term_that_is_not_finite_is_named_and_nothing_has_moved() -> None:
    method = ToyMethod(broken=4)
    records = fit(method, ToyLoader(3), epochs=2)
    for _ in range(4):
        next(records)
    before = states(method)
    with pytest.raises(
        FloatingPointError,
        match=r"fit: term 'please' of turn 'encoder' is nan at epoch 1, step 4",
    ):
        next(records)
    assert all(same(after, before[name]) for name, after in states(method).items())


def test_same_seed_same_history() -> None:
    def history() -> list[dict[str, float]]:
        return [r.values for r in fit(ToyMethod(), ToyLoader(), epochs=2) if isinstance(r, Step)]

    assert history() == history()


def test_a_turn_without_terms_stays_where_it_is() -> None:
    class Waiting(ToyMethod):
        def judge_terms(self, z: Hidden, batch: Numbers) -> dict[str, torch.Tensor]:
            return {}

    method = Waiting(judge_every=1)
    before = states(method)["judge"]
    assert all("score" not in getattr(r, "values", {}) for r in fit(method, ToyLoader(), epochs=1))
    assert same(states(method)["judge"], before)


def test_evaluation_runs_without_gradient_and_restores_each_modules_own_mode() -> None:
    method = ToyMethod()
    modes: list[Any] = []

    def evaluate() -> dict[str, float]:
        modes.append((torch.is_grad_enabled(), method.networks["encoder"].training))
        return {"score": 2.0}

    *_, epoch = fit(method, ToyLoader(1), epochs=1, evaluate=evaluate)
    assert modes == [(False, False)]
    assert epoch.scores == {"score": 2.0}
    assert method.networks.training
    frozen = method.networks["judge"].eval()
    with evaluating(method.networks):
        assert not method.networks["encoder"].training
    assert method.networks["encoder"].training
    assert not frozen.training


def test_a_run_goes_on_in_the_middle_of_an_epoch() -> None:
    whole = list(fit(ToyMethod(), ToyLoader(), epochs=2))
    method = ToyMethod()
    first = []
    for record in fit(method, ToyLoader(), epochs=2):
        first.append(record)
        if len(first) == 10:
            break
    rest = list(fit(method, ToyLoader(), epochs=2, start=record.progress))
    assert first + rest == whole


def test_progress_means_are_over_the_steps_that_had_the_value() -> None:
    progress = Progress().after({"a": 1.0}).after({"a": 3.0, "b": 5.0})
    assert progress.means() == {"a": 2.0, "b": 5.0}
    assert (progress.epoch, progress.step) == (0, 2)


@pytest.mark.usefixtures("bfloat16")
def test_bfloat16_encodes_under_autocast_and_descends_in_float32() -> None:
    method = ToyMethod()  # its terms check that features are float32
    list(fit(method, ToyLoader(2), epochs=1, precision="bfloat16"))
    assert method.seen == [torch.bfloat16] * 2
    assert all(p.dtype == torch.float32 for p in method.networks.parameters())


def test_the_gradient_map_by_hand() -> None:
    """Of `please`, 3 times the judge's mean answer: into W the outer product of the two means."""
    method = ToyMethod()
    method.networks.eval()
    (batch,) = ToyLoader(1).epoch(0)
    weights = method.networks["judge"][0].weight
    found = gradient_map(method, batch)
    into_bias, into_weights = 3 * weights.norm(), 3 * weights.norm() * batch.x.mean(0).norm()
    assert found["please"] == {
        "encoder": pytest.approx(torch.hypot(into_bias, into_weights).item()),
        "judge": 0.0,  # the term passes through it, and the turn does not move it
    }
    assert found.keys() == {"size", "please", "score"}
    for term, mover in (("size", "encoder"), ("score", "judge")):
        assert {name for name, norm in found[term].items() if norm > 0} == {mover}
    assert all(p.grad is None for p in method.networks.parameters())


def test_the_gradient_map_asks_for_the_turns_of_its_epoch() -> None:
    class Warming(ToyMethod):
        def turns(self, epoch: int) -> tuple[Turn[Hidden, Numbers], ...]:
            return super().turns(epoch)[: 1 + epoch]

    (batch,) = ToyLoader(1).epoch(0)
    assert "score" not in gradient_map(Warming(), batch)
    assert "score" in gradient_map(Warming(), batch, epoch=1)


def test_unknown_precision_is_refused() -> None:
    with pytest.raises(ValueError, match=r"fit: precision must be 'float32' or 'bfloat16', got"):
        next(fit(ToyMethod(), ToyLoader(), epochs=1, precision="float16"))
    with pytest.raises(ValueError, match=r"^train: precision must be .*, got 'half'$"):
        check_precision("train", "half", "cuda")


NO_LSTM = r"^{}: precision 'bfloat16' needs .* has none for LSTM; use precision 'float32'$"


def test_bfloat16_is_refused_exactly_where_an_lstm_cannot_step() -> None:
    lstm, x = nn.LSTM(4, 4, batch_first=True, bidirectional=True), torch.ones(2, 3, 4)
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            lstm(x)[0].float().sum().backward()
    except RuntimeError:
        with pytest.raises(ValueError, match=NO_LSTM.format("train")):
            check_precision("train", "bfloat16", "cpu")
    else:
        check_precision("train", "bfloat16", "cpu")


def test_bfloat16_without_onednn_is_torchs_own_on_any_processor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "enabled", False)
    check_precision("train", "bfloat16", "cpu")


@pytest.fixture
def asked_anew() -> Iterator[None]:
    """The processor's answer is kept for the process: forget it before and after."""
    _missing_in_bfloat16.cache_clear()
    yield
    _missing_in_bfloat16.cache_clear()


@pytest.mark.usefixtures("asked_anew")
def test_a_processor_is_asked_once_and_nothing_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def fails(*args: object) -> None:
        asked.append(args)
        raise RuntimeError("could not create a primitive")

    monkeypatch.setattr(nn.LSTM, "forward", fails)
    state = torch.get_rng_state()
    for device in ("cpu", torch.device("cpu")):
        with pytest.raises(ValueError, match=NO_LSTM.format("train")):
            check_precision("train", "bfloat16", device)
    assert torch.equal(torch.get_rng_state(), state)
    with pytest.raises(ValueError, match=NO_LSTM.format("fit")):
        next(fit(ToyMethod(), ToyLoader(), epochs=1, precision="bfloat16"))
    assert len(asked) == 1
    check_precision("train", "float32", "cpu")
    check_precision("train", "bfloat16", "cuda")  # a GPU is not asked


@pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"), reason="the variable speaks of x86"
)
def test_bfloat16_is_refused_on_a_processor_with_avx2_only() -> None:
    code = "from kit.training import check_precision as c; c('train', 'bfloat16', 'cpu')"
    old = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | old,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "ValueError: train: precision 'bfloat16' needs" in done.stderr
    assert "this one (AVX2) has none for LSTM; use precision 'float32'" in done.stderr


def test_rates_are_scaled_from_what_they_were_built_with() -> None:
    a, b = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))
    optimizer = SGD([{"params": [a], "lr": 0.1}, {"params": [b], "lr": 0.4}])
    for factor in (0.5, 0.25, 0.25, 1.0):
        scale_learning_rates(optimizer, factor)
        assert [g["lr"] for g in optimizer.param_groups] == [0.1 * factor, 0.4 * factor]


def test_progress_bar_passes_every_record_on_and_names_scores(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def records() -> Any:
        return fit(ToyMethod(), ToyLoader(3), epochs=2, evaluate=lambda: {"R@1": 31.25, "mAP": 9.5})

    assert list(with_progress(records(), epochs=2, watch="R@1")) == list(records())
    said = capsys.readouterr()
    assert "2/2" in said.out
    assert "R@1 31.2]" in said.out  # the last word: no step of an epoch that does not come
    assert "step 0" not in said.out
    assert "9.5" not in said.out
    assert said.err == ""
