"""The LSTM over frame features: its equations, and each clip on its own."""

from __future__ import annotations

import re

import pytest
import torch
from activation_checks import check_all_parameters_learn, rectifiers_called
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from kit.encoders.sequence import LSTMPool

LENGTHS = torch.tensor([4, 1, 6, 2])
LONGEST = 6


@pytest.fixture
def network() -> LSTMPool:
    torch.manual_seed(0)
    return LSTMPool(5, units=3)


def sequences(padding: float = 0.0) -> Tensor:
    """Steps of (4, 1, 6, 2), padded with a number."""
    values = torch.randn(4, LONGEST, 5, generator=torch.Generator().manual_seed(1))
    return values.masked_fill(
        torch.arange(LONGEST)[None, :, None] >= LENGTHS[:, None, None], padding
    )


def test_features_are_the_maximum_over_a_clips_own_steps(network: LSTMPool) -> None:
    features = network(sequences(), LENGTHS)
    assert features.shape == (4, 3)
    for values, length, feature in zip(sequences(), LENGTHS, features, strict=True):
        alone = values[:length]
        torch.testing.assert_close(feature, unrolled(network.lstm, alone).amax(0))
        torch.testing.assert_close(feature, network.lstm(alone)[0].amax(0))


def unrolled(lstm: nn.LSTM, steps: Tensor) -> Tensor:
    """An LSTM by its equations, step by step."""
    h = c = torch.zeros(lstm.hidden_size)
    outputs = []
    for step in steps:
        gates = lstm.weight_ih_l0 @ step + lstm.bias_ih_l0 + lstm.weight_hh_l0 @ h + lstm.bias_hh_l0
        i, f, g, o = gates.chunk(4)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        outputs.append(h)
    return torch.stack(outputs)


def test_it_is_one_layer_one_way_without_anything_else(network: LSTMPool) -> None:
    shapes = {name: tuple(p.shape) for name, p in network.named_parameters()}
    assert shapes == {
        "lstm.weight_ih_l0": (12, 5),
        "lstm.weight_hh_l0": (12, 3),
        "lstm.bias_ih_l0": (12,),
        "lstm.bias_hh_l0": (12,),
    }
    assert {type(module) for module in network.modules()} == {LSTMPool, nn.LSTM, nn.Dropout}
    assert network.dropout.p == 0
    assert rectifiers_called(network, sequences(), LENGTHS) == set()


def test_a_clip_does_not_notice_padding_batch_or_place(network: LSTMPool) -> None:
    together = network(sequences(), LENGTHS)
    for padding in (-100.0, float("nan")):
        assert torch.equal(network(sequences(padding), LENGTHS), together)
    wider = nn.functional.pad(sequences(), (0, 0, 0, 7))
    torch.testing.assert_close(network(wider, LENGTHS), together)
    for row, length in enumerate(LENGTHS):
        alone = network(sequences()[row : row + 1, :length], length[None])
        torch.testing.assert_close(alone, together[row : row + 1])
    order = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(network(sequences()[order], LENGTHS[order]), together[order])


def test_padding_never_wins(network: LSTMPool) -> None:
    with torch.no_grad():
        for name, parameter in network.lstm.named_parameters():
            parameter.zero_()
            if "bias_ih" in name:  # gates open, candidates negative: every output is below zero
                parameter.copy_(torch.tensor([9.0] * 6 + [-9.0] * 3 + [9.0] * 3))
    assert (network(sequences(), LENGTHS) < -0.5).all()


def test_the_first_and_the_last_step_matter() -> None:
    torch.manual_seed(0)
    network = LSTMPool(5, units=32)  # so many that one has its maximum there
    features = network(sequences(), LENGTHS)
    rows = torch.arange(4)
    for step in (torch.zeros_like(LENGTHS), LENGTHS - 1):
        changed = sequences()
        changed[rows, step] = 9 * torch.sign(changed[rows, step])
        assert (network(changed, LENGTHS) != features).any(1).all()


def test_the_order_of_steps_matters(network: LSTMPool) -> None:
    values = sequences()[2:3]
    six = torch.tensor([6])
    assert not torch.allclose(network(values, six), network(values.flip(1), six), atol=1e-3)


def test_all_of_it_learns_and_padding_gets_no_gradient(network: LSTMPool) -> None:
    values = sequences().requires_grad_()
    check_all_parameters_learn(network, values, LENGTHS)
    assert values.grad is not None
    moved = values.grad.abs().sum(2) > 0
    assert not (moved & (torch.arange(LONGEST) >= LENGTHS[:, None])).any()
    assert moved[:, 0].all()


def test_which_is_loudest_anywhere_is_learnt() -> None:
    """A step of one of three kinds, somewhere in a sequence of up to 12 others."""
    generator = torch.Generator().manual_seed(0)

    def draw(clips: int) -> tuple[Tensor, Tensor, Tensor]:
        lengths = torch.randint(1, 13, (clips,), generator=generator)
        labels = torch.randint(3, (clips,), generator=generator)
        values = 0.3 * torch.randn(clips, 12, 4, generator=generator)
        at = (torch.rand(clips, generator=generator) * lengths).long()
        values[torch.arange(clips), at, labels] += 3
        return values, lengths, labels

    torch.manual_seed(0)
    network = nn.ModuleList([LSTMPool(4, units=16), nn.Linear(16, 3)])
    optimizer = torch.optim.Adam(network.parameters(), 0.02)
    values, lengths, labels = draw(200)
    for _ in range(40):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network[1](network[0](values, lengths)), labels).backward()
        optimizer.step()
    values, lengths, labels = draw(200)
    right = network[1](network[0](values, lengths)).argmax(1) == labels
    assert right.float().mean() > 0.95


@pytest.mark.parametrize("shape", [(6, 5), (4, 6, 4), (4, 6, 5, 5), (0, 6, 5)])
def test_values_of_another_shape_are_named(network: LSTMPool, shape: tuple[int, ...]) -> None:
    message = r"^LSTMPool: expected \(batch, longest, 5\) float, got " + re.escape(str(shape))
    with pytest.raises(ValueError, match=message):
        network(torch.zeros(shape), LENGTHS)


@pytest.mark.parametrize("lengths", [LENGTHS[:3], LENGTHS[:, None], LENGTHS.float()])
def test_lengths_that_are_not_one_whole_number_per_clip_are_named(
    network: LSTMPool, lengths: Tensor
) -> None:
    got = re.escape(f"{tuple(lengths.shape)} {lengths.dtype} from 1")
    message = rf"^LSTMPool: expected lengths \(4,\) int64 in 1\.\.6, got {got}"
    with pytest.raises(ValueError, match=message):
        network(sequences(), lengths)


@pytest.mark.parametrize("wrong", [0, -1, 7])
def test_lengths_outside_the_batch_are_named(network: LSTMPool, wrong: int) -> None:
    lengths = LENGTHS.clone()
    lengths[1] = wrong
    low, high = min(wrong, 2), max(wrong, 6)
    message = rf"^LSTMPool: expected lengths .* in 1\.\.6, got .* from {low} to {high}$"
    with pytest.raises(ValueError, match=message):
        network(sequences(), lengths)


@pytest.mark.parametrize("directions", [1, 2])
def test_it_has_the_bits_of_torchs_own_sorting(directions: int) -> None:
    torch.manual_seed(0)
    network = LSTMPool(5, units=3, bidirectional=directions == 2)
    ours, theirs = sequences().requires_grad_(), sequences().requires_grad_()
    maximum = network(ours, LENGTHS)
    packed = pack_padded_sequence(theirs, LENGTHS, batch_first=True, enforce_sorted=False)
    outputs, _ = pad_packed_sequence(network.lstm(packed)[0], batch_first=True)
    padding = torch.arange(LONGEST) >= LENGTHS[:, None]
    expected = outputs.masked_fill(padding[:, :, None], -9).amax(1)
    assert torch.equal(maximum, expected)
    for features in (maximum, expected):
        features.square().sum().backward()
    assert torch.equal(ours.grad, theirs.grad)
