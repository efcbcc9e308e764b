"""How a modality enters: the network's axes, scaling from the training split, weights, fixed."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from kit.data.clip_batches import VideoCrop
from kit.data.clips import ClipBatch, Clips
from kit.data.ragged import Ragged, Taken
from kit.distillation.inputs import CLIP_ENCODERS, ClipInput, ClipKind, crops, shifts
from kit.distillation.networks import ClipEncoder, clip_encoders, encode, feature_dims
from kit.encoders.audio import CNN14

# A clip that each encoder takes, small but not too small for its poolings.
SHAPES = {
    "r2plus1d_18": (2, 16, 16, 3),
    "small_video": (4, 16, 16, 3),
    "cnn14": (32, 32),
    "panns_cnn14": (32, 32),
    "small_audio": (32, 32),
    "lstm": (7,),
    "identity": (7,),
}
SMALL = [name for name in SHAPES if name not in ("r2plus1d_18", "cnn14", "panns_cnn14")]


def encoder(name: str = "identity", *, dim: int = 6, **asked: Any) -> ClipEncoder:
    torch.manual_seed(0)
    ragged = CLIP_ENCODERS[name].ragged
    one = ClipEncoder(ClipInput(name, **asked), SHAPES[name], ragged=ragged, dim=dim)
    one.load()
    return one


def inputs(name: str, clips: int = 3, seed: int = 0) -> tuple[Tensor, ...]:
    """Clips of an encoder; ragged ones of 1..clips steps, padded with 0, and their lengths."""
    generator = torch.Generator().manual_seed(seed)
    if not CLIP_ENCODERS[name].ragged:
        return (torch.randn(clips, *SHAPES[name], generator=generator),)
    lengths = torch.arange(1, clips + 1)
    values = torch.randn(clips, clips, *SHAPES[name], generator=generator)
    values[torch.arange(clips)[None, :] >= lengths[:, None]] = 0
    return values, lengths


def copied(network: nn.Module) -> dict[str, Tensor]:
    return copy.deepcopy(network.state_dict())


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def another(name: str, *, fixed: bool = False) -> nn.Module:
    """Another draw of the network's weights."""
    torch.manual_seed(1)
    return CLIP_ENCODERS[name].build(SHAPES[name], 6)[0]


def weights(name: str, folder: Path) -> str:
    """A file of `another`."""
    file = folder / f"{name}.safetensors"
    save_file(another(name).state_dict(), file)
    return str(file)


# ---- what is asked for


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"encoder": "vgg"}, r"^ClipInput: encoder must be 'r2plus1d_18' or .*, got 'vgg'$"),
        (
            {"encoder": "lstm", "scaling": "row"},
            r"^ClipInput: scaling must be 'training' or .*'row'",
        ),
        (
            {"encoder": "identity", "weights": "w.pt"},
            r"^ClipInput: an identity has no weights, got 'w\.pt'$",
        ),
        (
            {"encoder": "small_audio", "frozen": True},
            r"^ClipInput: a frozen small_audio needs weights, got none$",
        ),
        (
            {"encoder": "small_audio", "crop": VideoCrop()},
            r"^ClipInput: crop and shift are for videos, small_audio takes none$",
        ),
        ({"encoder": "lstm", "shift": 2}, r"crop and shift are for videos, lstm takes none$"),
        (
            {"encoder": "small_video", "shift": -1},
            r"shift must be a whole number of at least 0, got -1$",
        ),
    ],
)
def test_inputs_that_cannot_be_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ClipInput(**wrong)


def test_the_plainest_input_is_trained_from_scratch_and_scaled_by_the_training_split() -> None:
    asked = ClipInput("small_video")
    assert (asked.weights, asked.frozen, asked.scaling) == (None, False, "training")
    assert (asked.crop, asked.shift) == (None, 0)


def test_facts_name_the_contents_of_the_weights_and_not_their_place(tmp_path: Path) -> None:
    for name, content in (("a", b"one"), ("b", b"one"), ("c", b"two")):
        (tmp_path / name).write_bytes(content)
    one, moved, other = (
        ClipInput("lstm", weights=str(tmp_path / name), frozen=True).facts() for name in "abc"
    )
    assert one == moved
    assert {key for key in one if one[key] != other[key]} == {"weights"}
    assert str(tmp_path) not in json.dumps(one)
    (tmp_path / "a").write_bytes(b"two")
    assert ClipInput("lstm", weights=str(tmp_path / "a"), frozen=True).facts() == other


def test_facts_differ_with_all_that_is_asked() -> None:
    asked = [
        ClipInput("small_video"),
        ClipInput("r2plus1d_18"),
        ClipInput("small_video", scaling="kinetics"),
        ClipInput("small_video", crop=VideoCrop()),
        ClipInput("small_video", crop=VideoCrop(frames=8)),
        ClipInput("small_video", shift=2),
    ]
    assert len({json.dumps(one.facts()) for one in asked}) == len(asked)


def test_a_weights_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    asked = ClipInput("lstm", weights=str(tmp_path / "none.pt"))
    with pytest.raises(ValueError, match=r"^ClipInput: cannot read .*none\.pt: No such file"):
        asked.facts()
    with pytest.raises(ValueError, match=r"read_weights: .*none\.pt: expected .* No such file"):
        ClipEncoder(asked, (7,), ragged=True, dim=6).load()


# ---- the network of a modality


@pytest.mark.parametrize("name", [name for name, one in CLIP_ENCODERS.items() if not one.published])
def test_every_encoder_says_how_wide_its_features_are(name: str) -> None:
    one = encoder(name, dim=9)
    features = one(*inputs(name))
    assert features.shape == (3, one.feature_dim)
    assert features.dtype == torch.float32
    wide = {"r2plus1d_18": 512, "cnn14": 512, "identity": 7}
    assert one.feature_dim == wide.get(name, 9)


@pytest.mark.parametrize("name", [*SMALL, "r2plus1d_18"])
def test_every_encoder_is_trained_in_all_its_parameters(name: str) -> None:
    one = encoder(name)
    features = one(*inputs(name))
    assert features.requires_grad == (name != "identity")
    if name != "identity":
        (features * torch.randn_like(features)).sum().backward()
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in one.parameters())


@pytest.mark.parametrize(
    ("name", "shape", "ragged", "message"),
    [
        (
            "small_video",
            (32, 32, 3),
            False,
            r"^ClipEncoder: small_video takes clips of \(frames, height, width, channels\), "
            r"got \(32, 32, 3\)$",
        ),
        (
            "r2plus1d_18",
            (32, 32, 3),
            True,
            r", got ragged \(32, 32, 3\)$",
        ),
        (
            "lstm",
            (7,),
            False,
            r"^ClipEncoder: lstm takes clips of \(steps, values\), got \(7,\)$",
        ),
        ("lstm", (5, 7), True, r"\(steps, values\), got ragged \(5, 7\)$"),
        (
            "identity",
            (),
            False,
            r"identity takes clips of \(values\), got \(\)$",
        ),
        ("identity", (2,), True, r"got ragged \(2,\)$"),
        (
            "small_audio",
            (8000,),
            False,
            r"takes clips of \(frames, mels\), got \(8000,\)$",
        ),
    ],
)
def test_clips_that_a_network_cannot_take_are_refused(
    name: str, shape: tuple[int, ...], ragged: bool, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        ClipEncoder(ClipInput(name), shape, ragged=ragged, dim=6)


# ---- scaling


def test_each_value_is_scaled_by_its_mean_and_deviation() -> None:
    one = encoder()
    clips = np.array([[1.0, 0, 5, 2, 2, 2, 2], [3.0, 10, 5, 2, 2, 2, 4]])
    one.learn_scaling(clips)
    assert one.mean.tolist() == [2, 5, 5, 2, 2, 2, 3]
    assert one.deviation.tolist() == [1, 5, 1, 1, 1, 1, 1]  # what never changes is not blown up
    scaled = one(torch.tensor([[3.0, 0, 6, 2, 2, 2, 5]]))
    assert scaled.tolist() == [[1, -1, 1, 0, 0, 0, 2]]


def test_a_video_is_scaled_by_its_colours_over_everything_else() -> None:
    video = np.random.default_rng(0).integers(0, 256, (5, 4, 16, 16, 3), dtype=np.uint8)
    video[..., 1] //= 4
    one = encoder("small_video")
    one.learn_scaling(video)
    flat = video.reshape(-1, 3).astype(np.float64)
    np.testing.assert_allclose(one.mean, flat.mean(0), rtol=1e-6)
    np.testing.assert_allclose(one.deviation, flat.std(0), rtol=1e-6)
    one.network = nn.Identity()
    scaled = one(torch.from_numpy(video).float()).reshape(-1, 3)
    torch.testing.assert_close(scaled.mean(0), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(scaled.std(0), torch.ones(3), atol=1e-3, rtol=0)


def test_ragged_clips_are_scaled_by_their_own_steps_and_not_by_padding() -> None:
    one = encoder("lstm")
    parts = [np.full((3, 7), 4.0, np.float32), np.full((1, 7), 8.0, np.float32)]
    one.learn_scaling(Ragged.of(parts))
    assert one.mean.tolist() == [5] * 7
    assert one.deviation.tolist() == pytest.approx([np.sqrt(3)] * 7)


@pytest.mark.parametrize("rows", [[4, 0, 2], [0, 1, 2, 3, 4]])
def test_what_is_asked_clip_by_clip_is_scaled_as_what_is_in_memory(rows: list[int]) -> None:
    clips = np.random.default_rng(0).integers(0, 256, (5, 6, 7), dtype=np.uint8)
    clips[:, :, 3] = 9
    lazy, here = encoder("lstm"), encoder("lstm")
    lazy.learn_scaling(Taken(clips, np.array(rows)))
    here.learn_scaling(clips[rows])
    torch.testing.assert_close(lazy.mean, here.mean)
    torch.testing.assert_close(lazy.deviation, here.deviation)
    assert lazy.deviation[3] == 1
    taken = Taken(Ragged.of([*clips]), np.array(rows))
    assert ClipKind.of(taken) == ClipKind((7,), ragged=True, whole=True)


def test_large_modalities_are_scaled_block_by_block_to_the_same_numbers() -> None:
    many = np.random.default_rng(0).integers(0, 256, (2_000, 300, 9), dtype=np.uint8)  # two blocks
    one = ClipEncoder(ClipInput("small_audio"), (300, 9), ragged=False, dim=6)
    one.learn_scaling(many)
    flat = many.reshape(-1, 9)
    np.testing.assert_allclose(one.mean, flat.mean(0, dtype=np.float64), rtol=1e-6)
    np.testing.assert_allclose(one.deviation, flat.std(0, dtype=np.float64), rtol=1e-6)


def test_what_never_changes_has_deviation_1_whatever_its_last_bit() -> None:
    one = encoder()
    one.learn_scaling(np.full((1000, 7), 7.7))  # numpy's own deviation of these is above 0
    assert one.deviation.tolist() == [1] * 7


def test_kinetics_are_three_colours_in_bytes() -> None:
    one = encoder("small_video", scaling="kinetics")
    before = copied(one)
    one.learn_scaling(np.zeros((1, 2, 3, 3, 3), np.uint8))
    assert same(copied(one), before)  # nothing is learnt
    one.network = nn.Identity()
    grey = one(torch.full((1, *SHAPES["small_video"]), 255 * 0.43216))[0, 0, 0, 0]
    published = torch.tensor([[0.43216, 0.394666, 0.37645], [0.22803, 0.22145, 0.216989]])
    torch.testing.assert_close(grey, (0.43216 - published[0]) / published[1], atol=1e-6, rtol=1e-5)
    with pytest.raises(ValueError, match=r"^ClipEncoder: kinetics scaling needs 3 colours, g"):
        ClipEncoder(ClipInput("small_video", scaling="kinetics"), (4, 8, 8, 1), ragged=False, dim=6)


def test_none_leaves_everything_as_it_is() -> None:
    one = encoder(scaling="none")
    one.learn_scaling(np.random.default_rng(0).normal(size=(5, 7)))
    values = torch.randn(3, 7)
    assert torch.equal(one(values), values)


# ---- weights, and fixed networks


@pytest.mark.parametrize("name", ["small_video", "small_audio", "lstm"])
def test_weights_come_from_their_file(name: str, tmp_path: Path) -> None:
    file = weights(name, tmp_path)
    expected = copied(another(name))
    assert same(copied(encoder(name, weights=file).network), expected)
    assert not same(copied(encoder(name).network), expected)


def test_weights_that_come_later_are_not_read() -> None:
    asked = ClipInput("lstm", weights="a hash and no file", frozen=True)
    one = clip_encoders({"told": asked}, KINDS, dim=6)["told"]
    assert one.settings == asked
    assert not any(parameter.requires_grad for parameter in one.parameters())
    with pytest.raises(
        ValueError, match=r"^read_weights: a hash and no file: expected .* No such file"
    ):
        one.load()


@pytest.mark.parametrize(
    ("name", "fixed", "activation"),
    [("cnn14", True, nn.LeakyReLU), ("cnn14", False, nn.LeakyReLU), ("panns_cnn14", True, nn.ReLU)],
)
def test_cnn14_has_the_activation_that_its_weights_were_trained_with(
    name: str, fixed: bool, activation: type[nn.Module]
) -> None:
    """Fixing one that was trained here changes no activation; PANNs' has its own."""
    asked = ClipInput(name, weights="file", frozen=fixed, scaling="none")
    with torch.device("meta"):
        one = ClipEncoder(asked, (40, 64), ragged=False, dim=6)
    used = {type(module) for module in one.modules() if isinstance(module, nn.ReLU | nn.LeakyReLU)}
    assert used == {activation}


def test_published_weights_are_used_as_published(tmp_path: Path) -> None:
    for asked in ({"frozen": True}, {"scaling": "none"}):
        with pytest.raises(
            ValueError,
            match=r"^ClipInput: panns_cnn14 is used as published: expected frozen=True and "
            r"scaling='none', got frozen=(True and scaling='training'|False and scaling='none')$",
        ):
            ClipInput("panns_cnn14", weights="file", **asked)
    state = CNN14(32).state_dict()
    published, ours = str(tmp_path / "Cnn14_emb512.pth"), str(tmp_path / "ours.safetensors")
    torch.save({"model": state | {"fc_audioset.weight": torch.zeros(1)}}, published)
    save_file(state, ours)
    with pytest.raises(
        ValueError,
        match=r"^ClipEncoder: .*Cnn14_emb512\.pth: frozen PANNs weights need 'panns_cnn14'$",
    ):
        encoder("cnn14", weights=published, frozen=True)
    assert encoder("cnn14", weights=ours, frozen=True).loaded.unexpected == ()
    assert encoder("cnn14", weights=published).loaded.unexpected == ("fc_audioset.weight",)
    fixed = encoder("panns_cnn14", weights=published, frozen=True, scaling="none")
    assert fixed.loaded.unexpected == ("fc_audioset.weight",)
    assert encoder("lstm").loaded is None


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("small_video", (2, 4, 16, 16, 1), r"of \(4, 16, 16, 3\), got \(4, 16, 16, 1\)$"),
        ("identity", (2, 1), r"of \(7,\), got \(1,\)$"),
        ("lstm", (2, 5, 1), r"of \('steps', 7\), got \(5, 1\)$"),
        ("lstm", (2, 7), r"of \('steps', 7\), got \(7,\)$"),
    ],
)
def test_clips_unlike_those_it_was_built_for_are_refused(
    name: str, given: tuple[int, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=rf"^ClipEncoder: {name} was built for clips {message}"):
        encoder(name)(torch.zeros(given))


def test_sequences_of_one_length_need_no_lengths() -> None:
    asked = ClipInput("lstm")
    torch.manual_seed(0)
    one = ClipEncoder(asked, (5, 7), ragged=False, dim=6)
    values = torch.randn(3, 5, 7)
    torch.testing.assert_close(one(values), one(values, torch.tensor([5, 5, 5])), rtol=0, atol=0)
    assert one(values[:, :2]).shape == (3, 6)  # others may be of another length
    with pytest.raises(ValueError, match=r"identity was built for .* got ragged \(7,\)$"):
        encoder()(torch.zeros(2, 7), torch.ones(2, dtype=torch.long))


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    file = weights("small_audio", tmp_path)
    with pytest.raises(ValueError, match=r"load_weights: .*small_audio\.safetensors: .* missing"):
        encoder("lstm", weights=file)
    with pytest.raises(ValueError, match=r"(?s)load_weights: .*2 tensors do not fit: "):
        encoder("small_audio", weights=file, dim=8)


@pytest.mark.parametrize("name", ["small_video", "small_audio", "lstm"])
def test_nothing_of_a_fixed_encoder_changes(name: str, tmp_path: Path) -> None:
    one = encoder(name, weights=weights(name, tmp_path), frozen=True)
    network = nn.ModuleDict({"fixed": one, "trained": nn.Linear(6, 6)})
    network.train()
    assert network["trained"].training
    assert not any(module.training for module in one.modules())
    assert not any(parameter.requires_grad for parameter in one.parameters())
    before = copied(one)
    features = one(*inputs(name))
    assert not features.requires_grad
    loss = network["trained"](features).square().sum()
    loss.backward()
    assert same(copied(one), before)  # batch norm's statistics too
    assert all(p.grad is None for p in one.parameters())
    torch.testing.assert_close(one(*inputs(name)), features, rtol=0, atol=0)
    network.eval()
    network.train()
    assert not one.training


@pytest.mark.parametrize("name", ["small_video", "small_audio", "lstm"])
def test_features_that_no_step_changes_are_computed_once(name: str, tmp_path: Path) -> None:
    values, *lengths = inputs(name)
    many = lengths[0].tolist() if lengths else []
    parts = [value[:steps].numpy() for value, steps in zip(values, many, strict=False)]
    modality = Ragged.of(parts) if lengths else values.numpy()
    one = encoder(name, weights=weights(name, tmp_path), frozen=True)
    before, calls = copied(one), []
    one.network.register_forward_hook(lambda *_: calls.append(1))
    one.remember(Clips("train", ["a", "b", "c"], [0, 1, 0], {"it": modality}), "it")
    assert same(copied(one), before)  # batch norm's statistics too
    encoders = nn.ModuleDict({"it": one}).train()
    rows = torch.tensor([2, 0])
    steps = {"it": lengths[0][rows]} if lengths else {}
    batch = ClipBatch.of({"it": values[rows]}, steps, torch.tensor([0, 0]), rows)
    (features,) = encode(encoders, batch)
    assert len(calls) == 1
    torch.testing.assert_close(features, one(values, *lengths)[rows])
    other = batch._replace(modalities={"it": values[rows] + 1})  # of another split
    assert not torch.allclose(encode(encoders.eval(), other)[0], features)


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("small_audio", {}),
        ("small_video", {"frozen": True, "shift": 1}),
        ("small_video", {"frozen": True, "crop": VideoCrop(frames=2, size=16)}),
        ("identity", {"frozen": True}),
    ],
)
def test_what_changes_from_step_to_step_is_not_remembered(
    name: str, how: dict[str, Any], tmp_path: Path
) -> None:
    if name != "identity":
        how = {**how, "weights": weights(name, tmp_path)}
    one = encoder(name, **how)
    shape = inputs(name)[0].shape
    clips = Clips("train", list("abc"), [0, 1, 0], {"it": np.zeros(shape, np.float32)})
    one.remember(clips, "it")
    assert one.known is None


def test_an_encoder_that_is_trained_counts_its_statistics(tmp_path: Path) -> None:
    one = encoder("small_audio", weights=weights("small_audio", tmp_path))
    assert one.train().training
    before = copied(one)
    assert one(*inputs("small_audio")).requires_grad
    assert not same(copied(one), before)
    assert not one.eval().training


def test_gradients_stay_off_where_they_were_off(tmp_path: Path) -> None:
    with torch.no_grad():
        assert not encoder("lstm")(*inputs("lstm")).requires_grad


def test_padding_of_ragged_clips_does_not_count() -> None:
    one = encoder("lstm").eval()
    one.learn_scaling(np.random.default_rng(0).normal(3, 2, (4, 5, 7)).astype(np.float32))
    values, lengths = inputs("lstm")
    longer = torch.cat([values, torch.zeros(3, 4, 7)], 1)
    torch.testing.assert_close(one(longer, lengths), one(values, lengths))
    torch.testing.assert_close(one(values[:1, :1], lengths[:1]), one(values, lengths)[:1])


# ---- several modalities


KINDS = {
    "seen": ClipKind((4, 16, 16, 3), False),
    "heard": ClipKind((32, 32), False),
    "told": ClipKind((7,), True),
    "known": ClipKind((5,), False),
}
ASKED = {
    "told": ClipInput("lstm"),
    "heard": ClipInput("small_audio"),
    "known": ClipInput("identity"),
}


def batch(*without: str) -> ClipBatch:
    told, lengths = inputs("lstm")
    modalities = {
        "heard": inputs("small_audio")[0],
        "known": torch.arange(15.0).view(3, 5),
        "told": told,
    }
    for name in without:
        del modalities[name]
    return ClipBatch.of(modalities, {"told": lengths}, torch.tensor([0, 1, 0]), torch.arange(3))


def test_each_modality_goes_through_its_own_encoder_in_the_inputs_order() -> None:
    encoders = clip_encoders(ASKED, KINDS, dim=6)
    assert [*encoders] == ["told", "heard", "known"]
    assert feature_dims(encoders) == [6, 6, 5]
    told, heard, known = encode(encoders.eval(), batch())
    assert torch.equal(known, torch.arange(15.0).view(3, 5))
    torch.testing.assert_close(heard, encoders["heard"](batch().modalities["heard"]))
    expected = encoders["told"](batch().modalities["told"], batch().lengths["told"])
    torch.testing.assert_close(told, expected)
    assert clip_encoders({}, KINDS, dim=6).keys() == set()


def test_a_modality_that_is_not_there_is_named() -> None:
    with pytest.raises(
        ValueError, match=r"^modality 'felt': the clips have only seen, heard, told"
    ):
        clip_encoders({"felt": ClipInput("identity")}, KINDS, dim=6)
    message = r"^encode: expected the modalities told, known, got "
    with pytest.raises(ValueError, match=message):
        encode(clip_encoders(ASKED, KINDS, dim=6), batch("told", "known"))


def test_what_an_encoder_refuses_is_said_of_its_modality() -> None:
    with pytest.raises(ValueError, match=r"^modality 'known': ClipEncoder: lstm takes clips of"):
        clip_encoders({"known": ClipInput("lstm")}, KINDS, dim=6)
    for name in ("log.mel", "values"):  # names that torch has other plans with
        with pytest.raises(ValueError, match=rf"^modality '{name}': "):
            clip_encoders({name: ClipInput("identity")}, {name: KINDS["known"]}, dim=6)


def test_a_cropped_video_has_the_size_of_its_crop() -> None:
    crop = VideoCrop(frames=2, size=16)
    asked = {"seen": ClipInput("small_video", crop=crop)}
    for ragged in (False, True):
        shape = (40, 50, 3) if ragged else (9, 40, 50, 3)
        encoders = clip_encoders(asked, {"seen": ClipKind(shape, ragged)}, dim=6)
        features = encoders["seen"](torch.zeros(1, 2, 16, 16, 3))
        assert features.shape == (1, 6)
    assert crops({**asked, **ASKED}) == {"seen": crop}
    assert shifts({**asked, **ASKED}) == {}
    assert shifts({"seen": ClipInput("small_video", shift=3), **ASKED}) == {"seen": 3}


def test_a_kind_is_what_a_clip_looks_like() -> None:
    assert ClipKind.of(np.zeros((9, 4, 5))) == ClipKind((4, 5), False)
    assert ClipKind.of(Ragged.of([np.zeros((9, 5))])) == ClipKind((5,), True)
