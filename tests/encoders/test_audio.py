"""Audio networks: CNN14 is PANNs', ReLUs and all, and leaky when trained; the small one hears."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from activation_checks import check_all_parameters_learn, check_only_leaky, rectifiers_called
from torch import Tensor, nn
from torch.nn import functional as F

from kit.encoders.audio import CNN14, SmallAudio
from kit.encoders.weights import load_weights, read_weights

State = dict[str, Tensor]

# What PANNs' files hold beside the network: the front end, and AudioSet's classifier.
LEFT_OVER = {
    "spectrogram_extractor.stft.conv_real.weight": (513, 1, 1024),
    "spectrogram_extractor.stft.conv_imag.weight": (513, 1, 1024),
    "logmel_extractor.melW": (513, 64),
    "fc_audioset.weight": (527, 512),
    "fc_audioset.bias": (527,),
}


ROUNDING = 3e-4  # after 13 layers in float32, of features of about 1


def spectrograms(*shape: int, seed: int = 0) -> Tensor:
    """Noise as loud as sound is: some -40 dB."""
    return 15 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) - 40


@pytest.fixture(scope="module")
def published() -> State:
    """The tensors of PANNs' ``Cnn14_emb512`` by its own names, with other numbers.

    All weights of convolutions are windows of one random vector, so that a file of them is small.
    The statistics are those of sounds: with others, all sounds would end up alike.
    """
    generator = torch.Generator().manual_seed(0)
    normal = torch.randn(100_000, generator=generator)

    def convolution(out: int, into: int) -> Tensor:
        scaled = (2 / (9 * into)) ** 0.5 * normal
        return scaled.as_strided((out, into, 3, 3), (31, 7, 3, 1))

    def norm(name: str, channels: int) -> State:
        drawn = torch.rand(2, channels, generator=generator)
        return {
            f"{name}.weight": 0.7 + 0.6 * drawn[0],
            f"{name}.bias": drawn[1] - 0.5,
            f"{name}.running_mean": torch.zeros(channels),
            f"{name}.running_var": torch.ones(channels),
            f"{name}.num_batches_tracked": torch.tensor(1000),
        }

    state = norm("bn0", 64)
    widths = [1, 64, 128, 256, 512, 1024, 2048]
    for block in range(1, 7):
        before, width = widths[block - 1 : block + 1]
        state[f"conv_block{block}.conv1.weight"] = convolution(width, before)
        state[f"conv_block{block}.conv2.weight"] = convolution(width, width)
        state |= norm(f"conv_block{block}.bn1", width) | norm(f"conv_block{block}.bn2", width)
    state["fc1.weight"] = torch.randn(512, 2048, generator=generator) / 2048**0.5
    state["fc1.bias"] = torch.randn(512, generator=generator) / 10
    network = cnn14(state, as_published=True)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.train().momentum = 1.0  # takes over the statistics of this one batch
    with torch.no_grad():
        network(spectrograms(3, 40, 64, seed=1))
    return network.state_dict()


def cnn14(state: State, *, as_published: bool) -> CNN14:
    """In evaluation; its tensors are the state's own, none is drawn to be overwritten."""
    with torch.device("meta"):
        network = CNN14(published=as_published)
    network.load_state_dict(state, assign=True)
    return network.eval()


def with_statistics_of_its_own(state: State) -> State:
    """For training, which moves those and, without an optimizer, nothing else."""
    moving = ("running_mean", "running_var", "num_batches_tracked")
    return {key: one.clone() if key.endswith(moving) else one for key, one in state.items()}


# ---- CNN14


def rebuilt(state: State, spectrogram: Tensor, slope: float) -> Tensor:
    """The same once more, of one spectrogram (frames, mels), from its equations, in float64."""

    def normed(x: Tensor, name: str) -> Tensor:  # (channels, ...)
        shape = (-1,) + (1,) * (x.ndim - 1)
        mean, variance, weight, bias = (
            state[f"{name}.{of}"].double().view(shape)
            for of in ("running_mean", "running_var", "weight", "bias")
        )
        return weight * (x - mean) / torch.sqrt(variance + 1e-5) + bias

    def activated(x: Tensor) -> Tensor:
        return torch.where(x > 0, x, slope * x)

    x = normed(spectrogram.double().T, "bn0").T[None]  # (channels, frames, mels)
    for block in range(1, 7):
        for part in (1, 2):
            weight = state[f"conv_block{block}.conv{part}.weight"].double()
            x = F.conv2d(x[None], weight, padding=1)[0]
            x = activated(normed(x, f"conv_block{block}.bn{part}"))
        if block < 6:  # means of 2 x 2; an odd frame at the end is dropped
            frames, mels = x.shape[1] // 2, x.shape[2] // 2
            x = x[:, : 2 * frames, : 2 * mels].reshape(-1, frames, 2, mels, 2).mean((2, 4))
    over_mels = x.mean(2)
    pooled = over_mels.max(1).values + over_mels.mean(1)
    return activated(state["fc1.weight"].double() @ pooled + state["fc1.bias"].double())


def test_a_published_file_loads_and_gives_what_the_publication_gives(
    published: State, tmp_path: Path
) -> None:
    beside = {key: torch.zeros(1).expand(shape) for key, shape in LEFT_OVER.items()}
    torch.save({"iteration": 600_000, "model": beside | published}, tmp_path / "Cnn14_emb512.pth")
    with torch.device("meta"):
        network = CNN14(published=True).eval()
    network.to_empty(device="cpu")
    state = read_weights(tmp_path / "Cnn14_emb512.pth")
    loaded = load_weights(network, state, source="PANNs'")
    assert set(loaded.loaded) == set(published)
    assert set(loaded.unexpected) == set(LEFT_OVER)
    sound = spectrograms(2, 37, 64)  # 37 frames: two of five halvings drop one
    with torch.no_grad():
        features = network(sound)
        expected = rebuilt(published, sound[0], 0.0)
    assert features.shape == (2, 512) == (2, network.feature_dim)
    torch.testing.assert_close(features[0], expected.float(), rtol=0, atol=ROUNDING)
    assert features.min() == 0 < features.max()
    assert 0.1 < (features == 0).float().mean() < 0.9  # the embedding is after its ReLU


def test_names_and_shapes_are_the_published_ones(published: State) -> None:
    with torch.device("meta"):
        state = CNN14().state_dict()
    assert {key: tuple(value.shape) for key, value in state.items()} == {
        key: tuple(value.shape) for key, value in published.items()
    }


def test_published_it_has_relus_and_trained_leaky_ones(published: State) -> None:
    sound = spectrograms(1, 32, 64)
    with torch.no_grad():
        fixed, trained = cnn14(published, as_published=True), cnn14(published, as_published=False)
        assert rectifiers_called(fixed, sound) == {"relu"}
        check_only_leaky(trained, sound)
        features = trained(sound)
        expected = rebuilt(published, sound[0], 0.01)[None].float()
    torch.testing.assert_close(features, expected, rtol=0, atol=ROUNDING)
    assert features.min() < 0


def test_bands_frames_and_batch_mates_have_their_places(published: State) -> None:
    network = cnn14(published, as_published=True)
    sound = spectrograms(3, 40, 64)
    with torch.no_grad():
        features = network(sound)
        torch.testing.assert_close(network(sound[1:2]), features[1:2], rtol=0, atol=ROUNDING)
        for other in (sound[1:2].flip(1), sound[1:2].flip(2), sound[:1]):
            assert (network(other) - features[1:2]).norm() > 0.5 * features[1:2].norm()


def test_cnn14_drops_in_training_only(published: State, monkeypatch: pytest.MonkeyPatch) -> None:
    dropped: list[tuple[float, bool]] = []

    def noted(x: Tensor, p: float, training: bool) -> Tensor:
        dropped.append((p, training))
        return x

    monkeypatch.setattr("kit.encoders.audio.F.dropout", noted)
    network = cnn14(with_statistics_of_its_own(published), as_published=False)
    sound = spectrograms(2, 32, 64)
    with torch.no_grad():
        network(sound)
        assert dropped == [(0.2, False)] * 6 + [(0.5, False)]
        network.train()(sound)
    assert dropped[7:] == [(0.2, True)] * 6 + [(0.5, True)]


def test_gradients_reach_all_of_cnn14(published: State) -> None:
    torch.manual_seed(0)
    network = cnn14(with_statistics_of_its_own(published), as_published=False)
    check_all_parameters_learn(network.train(), spectrograms(2, 32, 64))


def test_other_bands_and_widths() -> None:
    with torch.device("meta"):
        network = CNN14(40, 100).eval()
        assert network(torch.zeros(3, 50, 40)).shape == (3, 100) == (3, network.feature_dim)
    with pytest.raises(ValueError, match=r"^CNN14: expected at least 32 mels, got 31$"):
        CNN14(31)


# ---- the small network


@pytest.mark.parametrize(("frames", "mels", "dim"), [(101, 40, 32), (27, 40, 6), (8, 8, 3)])
def test_small_spectrograms_in_features_out(frames: int, mels: int, dim: int) -> None:
    assert SmallAudio(mels, dim=dim)(spectrograms(2, frames, mels)).shape == (2, dim)


def test_small_audio_is_leaky_and_all_of_it_learns() -> None:
    torch.manual_seed(0)
    network = SmallAudio(40, dim=5)
    check_only_leaky(network, spectrograms(4, 27, 40))
    check_all_parameters_learn(network, spectrograms(4, 27, 40))


def test_the_small_network_hears_when_it_is_and_how_high() -> None:
    torch.manual_seed(0)
    network = SmallAudio(64, dim=5).eval()
    sound = torch.zeros(1, 96, 64)
    sound[:, 24:28, 24:28] = 9
    with torch.no_grad():
        features = network(sound)
        for axis in (1, 2):  # far from all edges, and by whole steps of all three convolutions
            other = network(sound.roll(32, axis))
            assert (other - features).norm() > 0.1 * (features - network(0 * sound)).norm()


def glides(clips: int, seed: int) -> tuple[Tensor, Tensor]:
    """A tone that falls (0) or rises (1) through all bands, beginning anywhere.

    What is heard in all, whenever that is, is the same of both.
    """
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(clips) % 2
    rising = torch.eye(32).expand(clips, 32, 32)
    sound = torch.where(labels[:, None, None] == 1, rising, rising.flip(2))
    starts = torch.randint(32, (clips,), generator=generator).tolist()
    sound = torch.stack([one.roll(start, 0) for one, start in zip(sound, starts, strict=True)])
    return sound + 0.1 * torch.randn(sound.shape, generator=generator), labels


def test_the_small_network_learns_which_way_a_tone_glides() -> None:
    torch.manual_seed(0)
    network = SmallAudio(32, dim=2, widths=(8, 16))
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    sound, labels = glides(256, seed=1)
    for rows in [part for _ in range(6) for part in torch.randperm(256).split(32)]:
        optimizer.zero_grad()
        F.cross_entropy(network(sound[rows]), labels[rows]).backward()
        optimizer.step()
    sound, labels = glides(200, seed=2)
    with torch.no_grad():
        assert (network.eval()(sound).argmax(1) == labels).float().mean() > 0.95


# ---- what they refuse


@pytest.mark.parametrize("network", [CNN14, SmallAudio])
@pytest.mark.parametrize(
    ("wrong", "got"),
    [
        (torch.zeros(2, 40, 31), r"\(2, 40, 31\) torch.float32"),
        (torch.zeros(2, 32, 40), r"\(2, 32, 40\) torch.float32"),
        (torch.zeros(40, 32), r"\(40, 32\) torch.float32"),
        (torch.zeros(2, 1, 40, 32), r"\(2, 1, 40, 32\) torch.float32"),
        (torch.zeros(2, 40, 32, dtype=torch.int16), r"\(2, 40, 32\) torch.int16"),
        (None, r"\(2, {short}, 32\) torch.float32"),
    ],
)
def test_spectrograms_that_a_network_cannot_take_are_named(
    network: type[nn.Module], wrong: Tensor | None, got: str
) -> None:
    least = {CNN14: 32, SmallAudio: 8}[network]
    with torch.device("meta"):
        built = CNN14(32).eval() if network is CNN14 else SmallAudio(32, dim=2).eval()
    built(torch.zeros(2, least, 32, device="meta"))
    if wrong is None:
        wrong, got = torch.zeros(2, least - 1, 32), got.format(short=least - 1)
    message = rf"^{network.__name__}: expected \(batch, frames >= {least}, 32\) float, got {got}$"
    with pytest.raises(ValueError, match=message):
        built(wrong)


def test_fewer_than_8_bands_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^SmallAudio: expected at least 8 mels, got 7$"):
        SmallAudio(7, dim=4)
