"""The Bi-LSTM: both directions real, and each caption on its own."""

from __future__ import annotations

import pytest
import torch
from padding import pad
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_packed_sequence

from kit.encoders.sequence import PAD, BiLSTM

CAPTIONS = [[2, 5, 6], [2, 7], [2, 8, 9, 10, 11], [2], [2, 5, 6]]


@pytest.fixture
def encoder() -> BiLSTM:
    torch.manual_seed(0)
    return BiLSTM(12, word_dim=4, units=3).eval()


def test_feature_is_the_maximum_over_the_captions_own_outputs(encoder: BiLSTM) -> None:
    features = encoder(*pad(CAPTIONS))
    assert features.shape == (5, 6)
    for caption, feature in zip(CAPTIONS, features, strict=True):
        forward = unrolled(encoder.lstm, encoder.embedding(torch.tensor(caption)), "")
        words = encoder.embedding(torch.tensor(caption[::-1]))
        backward = unrolled(encoder.lstm, words, "_reverse").flip(0)
        torch.testing.assert_close(feature, torch.cat([forward, backward], dim=1).amax(0))


def test_feature_is_nn_lstms_on_the_caption_alone(encoder: BiLSTM) -> None:
    for caption, feature in zip(CAPTIONS, encoder(*pad(CAPTIONS)), strict=True):
        outputs, _ = encoder.lstm(encoder.embedding(torch.tensor([caption])))
        torch.testing.assert_close(feature, outputs[0].amax(0))


def unrolled(lstm: nn.LSTM, words: Tensor, suffix: str) -> Tensor:
    """One direction of an LSTM by its equations, step by step."""
    w_x, w_h, b_x, b_h = (
        getattr(lstm, f"{name}_l0{suffix}")
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    h = c = torch.zeros(lstm.hidden_size)
    outputs = []
    for word in words:
        i, f, g, o = (w_x @ word + b_x + w_h @ h + b_h).chunk(4)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        outputs.append(h)
    return torch.stack(outputs)


def test_a_caption_does_not_notice_padding_batch_or_place(encoder: BiLSTM) -> None:
    together = encoder(*pad(CAPTIONS))
    alone = torch.cat([encoder(*pad([caption])) for caption in CAPTIONS])
    torch.testing.assert_close(together, alone)
    tokens, lengths = pad(CAPTIONS)
    wider = nn.functional.pad(tokens, (0, 7))
    torch.testing.assert_close(encoder(wider, lengths), together)
    torch.testing.assert_close(encoder(tokens.flip(0), lengths.flip(0)), together.flip(0))
    assert torch.equal(together[0], together[4])


def test_the_backward_direction_reads_from_the_last_word(encoder: BiLSTM) -> None:
    outputs: list[Tensor] = []
    encoder.lstm.register_forward_hook(
        lambda *call: outputs.append(pad_packed_sequence(call[2][0], batch_first=True)[0])
    )
    for last in (6, 9):  # padded: a longer caption is in the batch
        encoder(*pad([[2, 7, 8, 9, 10], [2, 5, last]]))
    one, other = outputs
    assert torch.equal(one[0], other[0])
    assert torch.equal(one[1, 0, :3], other[1, 0, :3])  # forward: has not seen it yet
    assert not torch.isclose(one[1, 0, 3:], other[1, 0, 3:]).any()


def test_padding_never_wins(encoder: BiLSTM) -> None:
    with torch.no_grad():
        for name, parameter in encoder.lstm.named_parameters():
            parameter.zero_()
            if "bias_ih" in name:  # gates open, candidates negative: every output is below zero
                parameter.copy_(torch.tensor([9.0] * 6 + [-9.0] * 3 + [9.0] * 3))
    features = encoder(*pad(CAPTIONS))
    assert (features < -0.5).all()


def test_dropout_acts_on_words_and_on_outputs_in_training_only(encoder: BiLSTM) -> None:
    tokens, lengths = pad([[2, *range(3, 12)]] * 400)
    assert torch.equal(encoder(tokens, lengths), encoder(tokens, lengths))
    seen: list[Tensor] = []
    encoder.dropout.register_forward_hook(lambda *call: seen.append(call[2]))
    encoder.train()(tokens, lengths)
    words, outputs = seen
    assert words.shape[2] == 4
    assert outputs.shape[2] == 6
    for dropped in seen:
        assert (dropped == 0).float().mean() == pytest.approx(0.3, abs=0.03)


@pytest.mark.parametrize("p", [0.0, 0.6])
def test_dropouts_share_is_the_one_asked_for(p: float) -> None:
    torch.manual_seed(0)
    encoder = BiLSTM(12, word_dim=40, units=30, dropout=p).train()
    seen: list[Tensor] = []
    encoder.dropout.register_forward_hook(lambda *call: seen.append(call[2]))
    encoder(*pad([[2, *range(3, 12)]] * 50))
    for dropped in seen:
        assert (dropped == 0).float().mean() == pytest.approx(p, abs=0.03)


def test_padding_has_a_word_vector_of_zero_that_is_not_learnt(encoder: BiLSTM) -> None:
    assert not encoder.embedding.weight[PAD].any()
    encoder(*pad(CAPTIONS)).sum().backward()
    gradient = encoder.embedding.weight.grad
    used = {token for caption in CAPTIONS for token in caption}
    assert {int(row) for row in gradient.abs().sum(1).nonzero()} == used


def test_errors_are_named(encoder: BiLSTM) -> None:
    tokens, lengths = pad(CAPTIONS)
    with pytest.raises(ValueError, match=r"^BiLSTM: expected \(batch, longest, 4\) float, got"):
        encoder(tokens[0], lengths)
    with pytest.raises(ValueError, match=r"^BiLSTM: expected lengths \(5,\) .* got \(4,\)"):
        encoder(tokens, lengths[:4])
    for wrong in (0, 6):
        lengths[1] = wrong
        with pytest.raises(
            ValueError, match=r"^BiLSTM: expected lengths \(5,\) int64 in 1\.\.5, got"
        ):
            encoder(tokens, lengths)
