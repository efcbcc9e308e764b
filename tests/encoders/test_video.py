"""Video networks: R(2+1)D-18 is torchvision's, the small one sees motion; both are leaky."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from activation_checks import check_all_parameters_learn, check_only_leaky, rectifiers_called
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.video import r2plus1d_18

from kit.encoders.video import R2Plus1D18, SmallVideo
from kit.encoders.weights import load_weights, read_weights

SHAPE = (4, 32, 32, 3)  # a clip that a CPU is quick with


@pytest.fixture(scope="module")
def network() -> R2Plus1D18:
    """For RGB, in evaluation; its batch norms are not what they begin with."""
    torch.manual_seed(0)
    network = R2Plus1D18()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm3d):
            for tensor in (module.running_mean, module.bias):
                nn.init.normal_(tensor, 0, 0.2)
            for tensor in (module.running_var, module.weight):
                nn.init.uniform_(tensor, 0.7, 1.3)
    return network.eval()


@pytest.fixture(scope="module")
def gray() -> R2Plus1D18:
    """For one channel, in training, as it begins."""
    torch.manual_seed(0)
    return R2Plus1D18(1)


def videos(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape or (2, *SHAPE), generator=torch.Generator().manual_seed(seed))


# ---- R(2+1)D-18


def torchvisions(network: R2Plus1D18) -> nn.Module:
    """Torchvision's own network with the same weights, its classifier an identity."""
    with torch.device("meta"):
        own: Any = r2plus1d_18(weights=None)
    own.fc = nn.Identity()
    own.load_state_dict(network.state_dict(), assign=True)
    return own.eval()


def test_it_is_torchvisions_network_with_leaky_relu(
    network: R2Plus1D18, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:  # every ReLU that torchvision asks for
        patch.setattr(nn, "ReLU", lambda inplace: nn.LeakyReLU(0.01))
        leaky = torchvisions(network)
    with torch.no_grad():
        features = network(videos())
        assert features.shape == (2, network.feature_dim) == (2, 512)
        torch.testing.assert_close(features, leaky(videos().movedim(-1, 1).contiguous()))


def test_with_a_slope_of_0_it_is_torchvisions_own(
    network: R2Plus1D18, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = torchvisions(network)
    pixels = videos().movedim(-1, 1).contiguous()
    with torch.no_grad():
        assert rectifiers_called(own, pixels) == {"relu_"}
        leaky = network(videos())
        for module in network.modules():
            if isinstance(module, nn.LeakyReLU):
                monkeypatch.setattr(module, "negative_slope", 0.0)
        torch.testing.assert_close(network(videos()), own(pixels))
        assert not torch.allclose(leaky, network(videos()), rtol=0.01)


def test_it_has_two_blocks_a_stage(network: R2Plus1D18) -> None:
    stages = [network.layer1, network.layer2, network.layer3, network.layer4]
    assert [len(stage) for stage in stages] == [2, 2, 2, 2]
    convolutions = [
        name
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv3d) and "downsample" not in name
    ]
    assert len(convolutions) + 1 == 2 * 18 - 1  # 17 of them, each in two parts; and the classifier


def test_a_torchvision_file_loads_and_its_classifier_is_said_to_be_left_over(
    tmp_path: Path,
) -> None:
    with torch.device("meta"):
        named = r2plus1d_18(weights=None).state_dict()
    # Each tensor a number of its own, expanded: the file stays small.
    state = {
        key: torch.tensor(1.0 + at).expand(value.shape)
        for at, (key, value) in enumerate(named.items())
    }
    torch.save(state, tmp_path / "r2plus1d_18-91a641e6.pth")
    with torch.device("meta"):
        empty = R2Plus1D18()
    filled = empty.to_empty(device="cpu")
    loaded = load_weights(
        filled, read_weights(tmp_path / "r2plus1d_18-91a641e6.pth"), source="torchvision's"
    )
    assert loaded.unexpected == ("fc.weight", "fc.bias")
    assert str(loaded).endswith(" left over: fc.weight, fc.bias")
    assert filled.state_dict().keys() == named.keys() - {"fc.weight", "fc.bias"}
    for key, value in filled.state_dict().items():
        assert torch.equal(value, state[key].to(value.dtype)), key


def test_r2plus1d_18_is_leaky_and_all_of_it_learns(network: R2Plus1D18, gray: R2Plus1D18) -> None:
    with torch.no_grad():
        check_only_leaky(network, videos())
    check_only_leaky(gray, videos(2, 4, 32, 32, 1))
    check_all_parameters_learn(gray, videos(2, 4, 32, 32, 1))


def test_other_channels_change_the_first_convolution_and_nothing_else(
    network: R2Plus1D18, gray: R2Plus1D18
) -> None:
    one, three = gray.stem[0], network.stem[0]
    for name in ("kernel_size", "stride", "padding", "out_channels", "bias"):
        assert getattr(one, name) == getattr(three, name)
    assert (one.in_channels, three.in_channels) == (1, 3)
    shapes, others = (
        {key: value.shape for key, value in either.state_dict().items()}
        for either in (gray, network)
    )
    assert {key for key in others if shapes[key] != others[key]} == {"stem.0.weight"}
    # They begin alike: normal, of a variance of 2 by the number of weights that a pixel meets.
    for weight in (one.weight, three.weight):
        assert weight.std().item() == pytest.approx((2 / (45 * 7 * 7)) ** 0.5, rel=0.05)


def test_a_clip_does_not_notice_its_batch(network: R2Plus1D18) -> None:
    with torch.no_grad():
        together = network(videos())
        for clip, feature in zip(videos(), together, strict=True):
            torch.testing.assert_close(network(clip[None])[0], feature)


def test_the_order_of_frames_rows_columns_and_colours_matters(network: R2Plus1D18) -> None:
    clip = videos(1, *SHAPE)
    with torch.no_grad():
        features = network(clip)
        for axis in (1, 2, 3, 4):
            other = network(clip.flip(axis))
            assert (features - other).norm() > 0.05 * features.norm(), axis


def test_time_is_the_second_axis(network: R2Plus1D18) -> None:
    """The stem halves rows and columns and keeps frames."""
    seen: list[Tensor] = []
    handle = network.stem.register_forward_hook(lambda *call: seen.append(call[2]))
    with torch.no_grad():
        network(videos(1, 5, 12, 20, 3))
    handle.remove()
    assert seen[0].shape == (1, 64, 5, 6, 10)


@pytest.mark.parametrize(
    ("wrong", "got"),
    [
        (torch.zeros(4, 32, 32, 3), r"\(4, 32, 32, 3\) torch.float32"),
        (torch.zeros(2, 3, 4, 32, 32), r"\(2, 3, 4, 32, 32\) torch.float32"),
        (torch.zeros(2, 0, 32, 32, 3), r"\(2, 0, 32, 32, 3\) torch.float32"),
        (torch.zeros(1, 4, 8, 8, 3, dtype=torch.uint8), r"\(1, 4, 8, 8, 3\) torch.uint8"),
    ],
)
def test_videos_that_r2plus1d_18_cannot_take_are_named(
    network: R2Plus1D18, wrong: Tensor, got: str
) -> None:
    message = r"^R2Plus1D18: expected \(batch, frames, height, width, 3\) float, got " + got + "$"
    with pytest.raises(ValueError, match=message):
        network(wrong)


# ---- the small network


@pytest.mark.parametrize(
    ("shape", "dim"), [((8, 32, 32, 3), 16), ((9, 50, 61, 1), 3), ((1, 8, 8, 2), 5)]
)
def test_small_clips_in_features_out(shape: tuple[int, ...], dim: int) -> None:
    assert SmallVideo(shape, dim=dim)(videos(4, *shape)).shape == (4, dim)


def test_small_video_is_leaky_and_all_of_it_learns() -> None:
    torch.manual_seed(0)
    network = SmallVideo(SHAPE, dim=5)
    check_only_leaky(network, videos())
    check_all_parameters_learn(network, videos())


def test_the_small_networks_time_is_a_convolution_over_frames() -> None:
    """Against the same in 3-D: an average of 2 x 2, convolutions of (1, 3, 3) and (3, 1, 1)."""
    torch.manual_seed(0)
    network = SmallVideo((5, 18, 23, 2), dim=4, widths=(3, 6)).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2)
    pixels = videos(3, 5, 18, 23, 2)
    x = F.avg_pool3d(pixels.movedim(-1, 1), (1, 2, 2))
    for place, time in zip(network.places, network.times, strict=True):
        x = F.conv3d(x, place[0].weight[:, :, None], stride=(1, 2, 2), padding=(0, 1, 1))
        x = F.leaky_relu(normed(place[1], x), 0.01)
        x = F.conv3d(x, time[0].weight[..., None], padding=(1, 0, 0))
        x = F.leaky_relu(normed(time[1], x), 0.01)
    expected = network.last(x.transpose(1, 2).flatten(1))
    torch.testing.assert_close(network(pixels), expected)


def normed(norm: nn.Module, x: Tensor) -> Tensor:
    mean, deviation = norm.running_mean, (norm.running_var + norm.eps).sqrt()
    over = (slice(None), None, None, None)
    return (x - mean[over]) / deviation[over] * norm.weight[over] + norm.bias[over]


def test_dropout_is_the_one_asked_for_and_in_training_only() -> None:
    network = SmallVideo(SHAPE, dim=3)
    assert network.dropout.p == 0.5
    assert not torch.equal(network(videos()), network(videos()))
    network.eval()
    assert torch.equal(network(videos()), network(videos()))
    steady = SmallVideo(SHAPE, dim=3, dropout=0)
    assert torch.equal(steady(videos()), steady(videos()))


def blobs(clips: int, seed: int) -> tuple[Tensor, Tensor]:
    """A square on a torus that moves one way (0) or the other (1), from anywhere.

    In each frame by itself it stands anywhere, whichever way it moves: a frame does not tell.
    """
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(clips) % 2
    pixels = torch.zeros(clips, 4, 16, 16, 1)
    pixels[:, :, :4, :4] = 1
    for clip, label in zip(pixels, labels, strict=True):
        down, right = (int(n) for n in torch.randint(16, (2,), generator=generator))
        for at, frame in enumerate(clip):
            frame.copy_(frame.roll((down, right + (at if label else -at) * 2), (0, 1)))
    return pixels + 0.1 * torch.randn(pixels.shape, generator=generator), labels


def recognised(change: Callable[[Tensor], Tensor]) -> float:
    """Share of new clips whose direction is recognised after training on clips changed alike."""
    torch.manual_seed(0)
    clips, labels = blobs(256, seed=1)
    network = SmallVideo((4, 16, 16, 1), dim=2, widths=(8, 16), dropout=0.2)
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    for rows in [part for _ in range(8) for part in torch.randperm(256).split(32)]:
        optimizer.zero_grad()
        F.cross_entropy(network(change(clips[rows])), labels[rows]).backward()
        optimizer.step()
    clips, labels = blobs(200, seed=2)
    with torch.no_grad():
        return float((network.eval()(change(clips)).argmax(1) == labels).float().mean())


def test_the_small_network_learns_which_way_things_move() -> None:
    assert recognised(lambda clips: clips) > 0.95


def test_one_frame_does_not_tell_which_way_things_move() -> None:
    assert recognised(lambda clips: clips[:, :1].expand(-1, 4, -1, -1, -1)) < 0.65


@pytest.mark.parametrize("shape", [(4, 7, 16, 3), (4, 16, 7, 3), (0, 16, 16, 3), (16, 16, 3)])
def test_clips_too_small_for_a_network_are_named(shape: tuple[int, ...]) -> None:
    with pytest.raises(
        ValueError,
        match=r"^SmallVideo: expected a clip of \(frames, height, width, channels\) with sides of "
        r"at least 8 pixels, got " + re.escape(str(shape)) + "$",
    ):
        SmallVideo(shape, dim=4)


@pytest.mark.parametrize(
    ("wrong", "got"),
    [
        (torch.zeros(2, 5, 32, 32, 3), r"\(2, 5, 32, 32, 3\) torch.float32"),
        (torch.zeros(4, 32, 32, 3), r"\(4, 32, 32, 3\) torch.float32"),
        (torch.zeros(2, *SHAPE, dtype=torch.uint8), r"\(2, 4, 32, 32, 3\) torch.uint8"),
    ],
)
def test_clips_of_another_shape_are_named(wrong: Tensor, got: str) -> None:
    message = r"^SmallVideo: expected \(batch, 4, 32, 32, 3\) float, got " + got + "$"
    with pytest.raises(ValueError, match=message):
        SmallVideo(SHAPE, dim=4)(wrong)
