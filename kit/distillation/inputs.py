"""How a modality enters a run: which network, from which weights, fixed or trained along."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from kit.checks import check_choice
from kit.data.clips import ClipBatch, Modality, clip_shape, clip_values
from kit.data.crops import VideoCrop
from kit.data.ragged import Ragged
from kit.encoders.audio import CNN14, SmallAudio
from kit.encoders.sequence import LSTMPool
from kit.encoders.video import R2Plus1D18, SmallVideo
from kit.encoders.weights import LoadedWeights, load_weights, read_weights
from kit.files import file_hash

Shape = tuple[int, ...]
Scaling = Literal["training", "kinetics", "none"]

# What Kinetics' videos are like, in units of a byte: the customary scaling of R(2+1)D.
KINETICS_MEAN = (0.43216, 0.394666, 0.37645)
KINETICS_DEVIATION = (0.22803, 0.22145, 0.216989)


@dataclass(frozen=True)
class Recipe:
    """A network for clips: the axes of a clip that it takes, and how it is built.

    Args:
        axes: of one clip; "steps" is the ragged axis.
        ragged: whether it takes clips of different length, with their lengths; such a network also
            takes clips that happen to be of one length.
        build: shape of a clip, wished width -> network, width of its features.
        published: whether it is somebody's network as it was published: fixed, and with a scaling
            of its own.

    """

    axes: tuple[str, ...]
    ragged: bool
    build: Callable[[Shape, int], tuple[nn.Module, int]]
    published: bool = False


_VIDEO, _SOUND = ("frames", "height", "width", "channels"), ("frames", "mels")
_STEPS = ("steps", "values")
CLIP_ENCODERS: dict[str, Recipe] = {
    "r2plus1d_18": Recipe(_VIDEO, False, lambda shape, dim: (R2Plus1D18(shape[-1]), 512)),
    "small_video": Recipe(_VIDEO, False, lambda shape, dim: (SmallVideo(shape, dim=dim), dim)),
    "cnn14": Recipe(_SOUND, False, lambda shape, dim: (CNN14(shape[-1]), 512)),
    "panns_cnn14": Recipe(
        _SOUND, False, lambda shape, dim: (CNN14(shape[-1], published=True), 512), published=True
    ),
    "small_audio": Recipe(_SOUND, False, lambda shape, dim: (SmallAudio(shape[-1], dim=dim), dim)),
    "lstm": Recipe(_STEPS, True, lambda shape, dim: (LSTMPool(shape[-1], units=dim), dim)),
    "identity": Recipe(("values",), False, lambda shape, dim: (nn.Identity(), shape[-1])),
}


@dataclass(frozen=True)
class ClipInput:
    """What is asked for of one modality.

    Args:
        encoder: a name in `CLIP_ENCODERS`; ``"identity"`` for vectors that were extracted already,
            ``"panns_cnn14"`` for PANNs' published weights, fixed, on log-mel frames in decibels as
            `kit.data.log_mel.PANNS` makes them.
        weights: a weights file; from scratch if not given.
        fixed: nothing of the encoder changes: no parameter, no statistic of batch norm.
        scaling: ``"training"``: each value of the last axis (colour, mel band) less its mean over
            the training split, by its deviation there; ``"kinetics"``: for RGB bytes, by what those
            videos are like; ``"none"``: as it is.
        crop: for videos that are longer or larger than the network takes.
        shift: in training, videos move by up to so many pixels, each anew in every epoch.

    Raises:
        ValueError: an unknown word; a fixed encoder from scratch, which knows nothing; weights of
            an identity; a published network that is to be trained or scaled.

    """

    encoder: str
    weights: str | None = None
    fixed: bool = False
    scaling: Scaling = "training"
    crop: VideoCrop | None = None
    shift: int = 0

    def __post_init__(self) -> None:
        check_choice("ClipInput", among=tuple(CLIP_ENCODERS), encoder=self.encoder)
        check_choice("ClipInput", among=("training", "kinetics", "none"), scaling=self.scaling)
        if self.encoder == "identity" and self.weights is not None:
            raise ValueError(f"ClipInput: an identity has no weights, got {self.weights!r}")
        if self.fixed and self.weights is None and self.encoder != "identity":
            raise ValueError(
                f"ClipInput: a fixed {self.encoder} needs weights; from scratch it knows nothing"
            )
        if CLIP_ENCODERS[self.encoder].published and (not self.fixed or self.scaling != "none"):
            raise ValueError(
                f"ClipInput: {self.encoder} is used as published: expected fixed=True and "
                f"scaling='none', got fixed={self.fixed} and scaling={self.scaling!r}"
            )
        if self.shift < 0:
            raise ValueError(f"ClipInput: shift must be at least 0 pixels, got {self.shift}")
        moved = self.crop is not None or self.shift
        if moved and CLIP_ENCODERS[self.encoder].axes != _VIDEO:
            raise ValueError(f"ClipInput: crop and shift are for videos, {self.encoder} takes none")

    def facts(self) -> dict[str, Any]:
        """What of it decides a result: the contents of the weights file, not its path."""
        weights = None if self.weights is None else file_hash("ClipInput", self.weights)
        return asdict(self) | {"weights": weights}


class ClipEncoder(nn.Module):
    """A modality's scaling and network: (batch, ...) as the clips have it to (batch, feature_dim).

    Args:
        asked: what is asked for.
        shape: of one clip, without the length of a ragged one.
        ragged: whether clips differ in length.
        dim: the width that networks of free width get.
        load: whether its weights are read; not where all of a run's networks are loaded after.

    Raises:
        ValueError: clips that the network cannot take, or weights that do not fit it.

    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self, asked: ClipInput, shape: Shape, *, ragged: bool, dim: int, load: bool = True
    ) -> None:
        super().__init__()
        recipe = CLIP_ENCODERS[asked.encoder]
        if len(shape) + ragged != len(recipe.axes) or (ragged and not recipe.ragged):
            got = f"({', '.join(['steps'] * ragged + [str(size) for size in shape])})"
            raise ValueError(
                f"ClipEncoder: {asked.encoder} takes clips of ({', '.join(recipe.axes)}), "
                f"{'ragged or not' if recipe.ragged else 'all of one size'}, got {got}, "
                f"{'ragged' if ragged else 'all of one size'}"
            )
        self.asked = asked
        # What a clip must be like; the first axis of a sequence is free.
        self.clip_shape = shape[not ragged :] if recipe.ragged else shape
        self.network, self.feature_dim = recipe.build(shape, dim)
        self.register_buffer("mean", torch.zeros(shape[-1]))
        self.register_buffer("deviation", torch.ones(shape[-1]))
        if asked.scaling == "kinetics":
            if shape[-1] != len(KINETICS_MEAN):
                raise ValueError(
                    "ClipEncoder: scaling 'kinetics' is for three colours, "
                    f"got clips with a last axis of {shape[-1]}"
                )
            self.mean.copy_(255 * torch.tensor(KINETICS_MEAN))
            self.deviation.copy_(255 * torch.tensor(KINETICS_DEVIATION))
        self.loaded: LoadedWeights | None = None
        if asked.weights is not None and load:
            state = read_weights(asked.weights)
            self.loaded = load_weights(self.network, state, source=asked.weights)
            if asked.fixed and asked.encoder == "cnn14" and "fc_audioset.weight" in state:
                raise ValueError(
                    f"ClipEncoder: {asked.weights} holds PANNs' published weights; fixed, they are "
                    "for encoder 'panns_cnn14', which has their ReLUs"
                )
        if asked.fixed:
            self.requires_grad_(False)

    def learn_scaling(self, modality: Modality) -> None:
        """Take mean and deviation of the training split, if scaling is ``"training"``.

        A value that never changes there keeps a deviation of 1.
        """
        if self.asked.scaling != "training":
            return
        values = clip_values(modality)
        flat = values.reshape(-1, values.shape[-1])
        # Block by block: bytes as float64, all at once, would take eight times their memory.
        blocks = np.array_split(flat, flat.size // 2**22 + 1)
        mean = sum(block.sum(axis=0, dtype=np.float64) for block in blocks) / len(flat)
        square = sum(np.square(block - mean).sum(axis=0) for block in blocks) / len(flat)
        # Compared as they are: the mean of equal numbers may be off in its last bit.
        constant = np.all([(block == flat[0]).all(axis=0) for block in blocks], axis=0)
        self.mean.copy_(torch.from_numpy(mean))
        self.deviation.copy_(torch.from_numpy(np.where(constant, 1.0, np.sqrt(square))))

    def train(self, mode: bool = True) -> ClipEncoder:
        """Training mode, except for a fixed encoder, which stays as it is in evaluation."""
        super().train(mode and not self.asked.fixed)
        return self

    def forward(self, values: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Encode clips; `lengths` are those of ragged ones.

        Raises:
            ValueError: clips of another shape than those it was built for.

        """
        sequences = CLIP_ENCODERS[self.asked.encoder].ragged
        wrong = values.shape[1 + sequences :] != self.clip_shape
        if wrong or (lengths is not None and not sequences):
            built = ["steps"] * sequences + [str(size) for size in self.clip_shape]
            came = [str(size) for size in values.shape[1:]]
            raise ValueError(
                f"ClipEncoder: {self.asked.encoder} was built for clips of ({', '.join(built)}), "
                f"got ({', '.join(came)}){'' if lengths is None else ', ragged'}"
            )
        if sequences and lengths is None:
            lengths = torch.full((len(values),), values.shape[1], device=values.device)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.asked.fixed):
            scaled = (values - self.mean) / self.deviation
            given = (scaled,) if lengths is None else (scaled, lengths)
            features: Tensor = self.network(*given)
            return features


class ClipKind(NamedTuple):
    """What the clips of a modality look like: the shape of one, without the length if ragged.

    `whole`: whether they are whole numbers, such as a picture's bytes.
    """

    shape: tuple[int, ...]
    ragged: bool
    whole: bool = False

    @classmethod
    def of(cls, modality: Modality) -> ClipKind:
        """Look at a modality."""
        whole = clip_values(modality).dtype.kind in "iu"
        return cls(clip_shape(modality), isinstance(modality, Ragged), whole)


def clip_encoders(
    inputs: Mapping[str, ClipInput], kinds: Mapping[str, ClipKind], *, dim: int, load: bool = True
) -> nn.ModuleDict:
    """An encoder for each modality; scalings are still to be learnt.

    Args:
        inputs: by modality.
        kinds: what the clips of each modality look like.
        dim: the width that networks of free width get.
        load: as in `ClipEncoder`.

    Raises:
        ValueError: a modality that the clips do not have, or one that its network cannot take.

    """
    encoders = nn.ModuleDict()
    for name, asked in inputs.items():
        if name not in kinds:
            raise ValueError(f"modality {name!r}: the clips have only {', '.join(kinds)}")
        shape, ragged, _ = kinds[name]
        if asked.crop is not None:  # makes videos of different lengths all of one size
            size = asked.crop.size
            shape, ragged = (asked.crop.frames, size, size, shape[-1]), False
        try:
            encoders[name] = ClipEncoder(asked, shape, ragged=ragged, dim=dim, load=load)
        except (ValueError, KeyError) as error:  # KeyError: a name that torch does not allow
            raise ValueError(f"modality {name!r}: {error}") from error
    return encoders


def feature_dims(encoders: nn.ModuleDict) -> list[int]:
    """The width of each encoder's features."""
    each: Any = encoders.values()
    return [encoder.feature_dim for encoder in each]


def encode(encoders: nn.ModuleDict, batch: ClipBatch) -> list[Tensor]:
    """Each modality of a batch through its encoder, in the encoders' order.

    Raises:
        ValueError: the batch lacks a modality.

    """
    missing = [name for name in encoders if name not in batch.modalities]
    if missing:
        raise ValueError(
            f"encode: expected the modalities {', '.join(encoders)}, got a batch without "
            f"{', '.join(missing)}"
        )
    return [
        encoder(batch.modalities[name], batch.lengths.get(name))
        for name, encoder in encoders.items()
    ]


def shifts(inputs: Mapping[str, ClipInput]) -> dict[str, int]:
    """The shift of each modality that has one."""
    return {name: asked.shift for name, asked in inputs.items() if asked.shift}


def crops(inputs: Mapping[str, ClipInput]) -> dict[str, VideoCrop]:
    """The crop of each modality that has one."""
    return {name: asked.crop for name, asked in inputs.items() if asked.crop is not None}
