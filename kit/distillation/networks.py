"""Students, teachers and the encoders of their modalities: what distillation methods share.

Every activation of a trained network is LeakyReLU, as Table 1's caption in AMID's paper says of all
methods.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple, Protocol, Self

import torch
from torch import Tensor, nn

from kit.data.clip_batches import evaluation_batches
from kit.data.clips import ClipBatch, Clips
from kit.data.ragged import Modality, mean_and_deviation
from kit.distillation.inputs import CLIP_ENCODERS, ClipInput, ClipKind, Shape
from kit.encoders import NEGATIVE_SLOPE
from kit.encoders.weights import LoadedWeights, load_weights, read_weights
from kit.training import Features, Method

# What Kinetics' videos are like, in units of a byte: the customary scaling of R(2+1)D.
KINETICS_MEAN = (0.43216, 0.394666, 0.37645)
KINETICS_DEVIATION = (0.22803, 0.22145, 0.216989)


class ClipEncoder(nn.Module):
    """A modality's scaling and network: (batch, ...) as the clips have it to (batch, feature_dim).

    Args:
        settings: how the modality enters.
        shape: of one clip, without the length of a ragged one.
        ragged: whether clips differ in length.
        dim: the width that networks of free width get.

    Attributes:
        loaded: what came of loading weights; None before, and from scratch.
        known: the features of the training split, where `remember` computed them.

    Raises:
        ValueError: clips that the network cannot take.

    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, settings: ClipInput, shape: Shape, *, ragged: bool, dim: int) -> None:
        super().__init__()
        recipe = CLIP_ENCODERS[settings.encoder]
        if len(shape) + ragged != len(recipe.axes) or (ragged and not recipe.ragged):
            raise ValueError(
                f"ClipEncoder: {settings.encoder} takes clips of ({', '.join(recipe.axes)}), "
                f"got {'ragged ' * ragged}{tuple(shape)}"
            )
        self.settings, self.sequences = settings, recipe.ragged
        # What a clip must be like; the first axis of a sequence is free.
        self.clip_shape = shape[not ragged :] if recipe.ragged else shape
        self.network, self.feature_dim = recipe.build(shape, dim)
        self.register_buffer("mean", torch.zeros(shape[-1]))
        self.register_buffer("deviation", torch.ones(shape[-1]))
        if settings.scaling == "kinetics":
            if shape[-1] != len(KINETICS_MEAN):
                raise ValueError(f"ClipEncoder: kinetics scaling needs 3 colours, got {shape[-1]}")
            self.mean.copy_(255 * torch.tensor(KINETICS_MEAN))
            self.deviation.copy_(255 * torch.tensor(KINETICS_DEVIATION))
        self.loaded: LoadedWeights | None = None
        self.known: Tensor | None = None
        if settings.frozen:
            self.requires_grad_(False).eval()

    def load(self) -> None:
        """Read the weights that were asked for, if any.

        Raises:
            ValueError: weights that do not fit the network.

        """
        weights = self.settings.weights
        if weights is None:
            return
        state = read_weights(weights)
        self.loaded = load_weights(self.network, state, source=weights)
        frozen = self.settings.frozen and self.settings.encoder == "cnn14"
        if frozen and "fc_audioset.weight" in state:  # PANNs' own, which were trained with ReLUs
            raise ValueError(f"ClipEncoder: {weights}: frozen PANNs weights need 'panns_cnn14'")

    def learn_scaling(self, modality: Modality) -> None:
        """Take mean and deviation of the training split, if scaling is ``"training"``.

        A value that never changes there keeps a deviation of 1.
        """
        if self.settings.scaling != "training":
            return
        mean, deviation = mean_and_deviation(modality)
        self.mean.copy_(torch.from_numpy(mean))
        self.deviation.copy_(torch.from_numpy(deviation))

    @torch.no_grad()
    def remember(self, clips: Clips, name: str) -> None:
        """Compute a training split's features once, on this device, where no step changes them.

        They are those of a frozen network on clips that are neither cut nor moved; from then on
        `encode` takes them in training. Vectors that were extracted before are left where they are.

        Args:
            clips: the split that is trained on.
            name: of this encoder's modality.

        """
        settings = self.settings
        augmented = settings.crop is not None or settings.shift
        if settings.frozen and not augmented and settings.encoder != "identity":
            batches = (b.to(self.mean.device) for b in evaluation_batches(clips, [name]))
            parts = [self(b.modalities[name], b.lengths.get(name)) for b in batches]
            self.known = torch.cat(parts)

    def train(self, mode: bool = True) -> Self:
        """Training mode, except for a frozen encoder, which stays as it is in evaluation."""
        super().train(mode and not self.settings.frozen)
        return self

    def forward(self, values: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Encode clips; `lengths` are those of ragged ones.

        Raises:
            ValueError: clips of another shape than those it was built for.

        """
        wrong = values.shape[1 + self.sequences :] != self.clip_shape
        if wrong or (lengths is not None and not self.sequences):
            built = ("steps",) * self.sequences + self.clip_shape
            raise ValueError(
                f"ClipEncoder: {self.settings.encoder} was built for clips of {built}, "
                f"got {'ragged ' * (lengths is not None)}{tuple(values.shape[1:])}"
            )
        if self.sequences and lengths is None:
            lengths = torch.full((len(values),), values.shape[1])  # on the CPU, as batches have it
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.settings.frozen):
            scaled = (values - self.mean) / self.deviation
            given = (scaled,) if lengths is None else (scaled, lengths)
            features: Tensor = self.network(*given)
            return features


def clip_encoders(
    inputs: Mapping[str, ClipInput], kinds: Mapping[str, ClipKind], *, dim: int
) -> nn.ModuleDict:
    """A new encoder for each modality; weights are still to be loaded, scalings to be learnt.

    Args:
        inputs: by modality.
        kinds: what the clips of each modality look like.
        dim: the width that networks of free width get.

    Raises:
        ValueError: a modality that the clips do not have, or one that its network cannot take.

    """
    encoders = nn.ModuleDict()
    for name, settings in inputs.items():
        if name not in kinds:
            raise ValueError(f"modality {name!r}: the clips have only {', '.join(kinds)}")
        shape, ragged, _ = kinds[name]
        if settings.crop is not None:  # makes videos of different lengths all of one size
            size = settings.crop.size
            shape, ragged = (settings.crop.frames, size, size, shape[-1]), False
        try:
            encoders[name] = ClipEncoder(settings, shape, ragged=ragged, dim=dim)
        except (ValueError, KeyError) as error:  # KeyError: a name that torch does not allow
            raise ValueError(f"modality {name!r}: {error}") from error
    return encoders


def feature_dims(encoders: nn.ModuleDict) -> list[int]:
    """The width of each encoder's features."""
    each: Any = encoders.values()
    return [encoder.feature_dim for encoder in each]


def encode(encoders: Any, batch: ClipBatch) -> list[Tensor]:
    """Each modality of a batch through its encoder, in the encoders' order.

    Raises:
        ValueError: the batch lacks a modality.

    """
    missing = [name for name in encoders if name not in batch.modalities]
    if missing:
        found = ", ".join(batch.modalities)
        raise ValueError(f"encode: expected the modalities {', '.join(missing)}, got {found}")
    return [
        encoder(batch.modalities[name], batch.lengths.get(name))
        if encoder.known is None or not encoders.training
        else encoder.known[batch.indices]
        for name, encoder in encoders.items()
    ]


@dataclass(frozen=True)
class Encoders:
    """What a method of clips is built on.

    Args:
        target: `ClipEncoder` of each modality that the student has; the student is built on them.
        auxiliary: `ClipEncoder` of each of the others, frozen ones or not.
        class_counts: training clips of each class.
        frozen_teacher: the networks of a teacher that was trained alone.

    """

    target: nn.ModuleDict
    auxiliary: nn.ModuleDict
    class_counts: Sequence[int]
    frozen_teacher: nn.ModuleDict | None = None


class Answer(NamedTuple):
    """What one model says of a batch: features (batch, dim), logits (batch, classes)."""

    features: Tensor
    logits: Tensor


class Models(Method[Features, ClipBatch], Protocol[Features]):
    """A method of clips: one model or several, each of which answers.

    Attributes:
        models: their names; the student, where there is one, comes first.

    """

    models: tuple[str, ...]

    def answers(self, batch: ClipBatch, models: Sequence[str] = ()) -> dict[str, Answer]:
        """What these models say of a batch, all if none is named."""
        ...


class Frozen(nn.Module):
    """Networks of which nothing changes any more: no parameter, no buffer."""

    def __init__(self, networks: nn.ModuleDict) -> None:
        super().__init__()
        self.networks = networks
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> Self:
        """Stay in evaluation mode."""
        return super().train(False)


def teacher_network(target_dim: int, auxiliary_dims: Sequence[int], *, dim: int) -> nn.Sequential:
    """M: two layers on the student's feature beside the auxiliary ones, all in one row (3.1).

    Args:
        target_dim: width of the student's feature.
        auxiliary_dims: width of each auxiliary feature, at least one.
        dim: width of the teacher's feature.

    Returns:
        (batch, target_dim + sum of auxiliary_dims) -> (batch, dim).

    """
    return leaky_layers(target_dim + sum(auxiliary_dims), dim, dim)


def modality_head(feature_dims: Sequence[int], *, dim: int) -> nn.Module:
    """S, or A of Equation 9: a modality's feature as it is where it fits, else brought to `dim`.

    Several modalities come side by side. One frozen extractor of the right width needs no head:
    L_MIa then moves the teacher alone.

    Args:
        feature_dims: width of each modality's feature, at least one.
        dim: width of the shared space.

    Returns:
        (batch, sum of feature_dims) -> (batch, dim).

    """
    if list(feature_dims) == [dim]:
        return nn.Identity()
    return nn.Linear(sum(feature_dims), dim)


def modality_network(role: str, encoders: nn.ModuleDict, *, dim: int) -> nn.ModuleDict:
    """S of the target modalities, or A of the auxiliary ones: extractors and, if needed, a head.

    Args:
        role: ``"target"`` or ``"auxiliary"``; the head is called ``"target_head"`` and so on.
        encoders: `ClipEncoder` by modality.
        dim: width of the shared space.

    """
    head = modality_head(feature_dims(encoders), dim=dim)
    return nn.ModuleDict({role: encoders, f"{role}_head": head})


def full_modality_model(
    target: nn.ModuleDict, auxiliary: nn.ModuleDict, *, dim: int
) -> nn.ModuleDict:
    """M: the student, the auxiliary modalities' extractors, and the teacher on both."""
    networks = modality_network("target", target, dim=dim)
    networks["auxiliary"] = auxiliary
    networks["teacher"] = teacher_network(dim, feature_dims(auxiliary), dim=dim)
    return networks


def modality_features(networks: nn.ModuleDict, batch: ClipBatch, role: str = "target") -> Tensor:
    """S of a batch, or A with the role ``"auxiliary"``: (batch, dim)."""
    features: Tensor = networks[f"{role}_head"](torch.cat(encode(networks[role], batch), 1))
    return features


def full_modality_features(
    networks: nn.ModuleDict, batch: ClipBatch
) -> tuple[Tensor, Tensor, Tensor]:
    """S, what the auxiliary extractors give, and M, which reads both: S comes with its graph.

    They are (batch, dim), (batch, sum of the extractors' widths) and (batch, dim).
    """
    student = modality_features(networks, batch)
    extracted = torch.cat(encode(networks["auxiliary"], batch), 1)
    return student, extracted, networks["teacher"](torch.cat([student, extracted], 1))


def leaky_layers(*widths: int) -> nn.Sequential:
    """Linear layers of these widths with LeakyReLU between them."""
    layers: list[nn.Module] = []
    for width_in, width in pairwise(widths):
        layers += [nn.Linear(width_in, width), nn.LeakyReLU(NEGATIVE_SLOPE)]
    return nn.Sequential(*layers[:-1])
