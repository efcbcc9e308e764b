"""How a modality enters a run: which network, from which weights, frozen or trained along."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple, Self, get_args

from torch import nn

from kit.checks import check_choice, check_fields, check_whole
from kit.data.clip_batches import VideoCrop
from kit.data.ragged import Modality, clip_shape, is_ragged
from kit.encoders.audio import CNN14, SmallAudio
from kit.encoders.sequence import LSTMPool
from kit.encoders.video import R2Plus1D18, SmallVideo
from kit.files import file_hash

Shape = tuple[int, ...]
Scaling = Literal["training", "kinetics", "none"]


@dataclass(frozen=True)
class EncoderRecipe:
    """A network for clips: the axes of a clip that it takes, and how it is built.

    Args:
        axes: of one clip. A network of ``"steps"`` takes clips of different length, with their
            lengths; it also takes clips that happen to be of one length.
        build: shape of a clip, wished width -> network, width of its features.
        published: whether it is somebody's network as it was published: frozen, and with a scaling
            of its own.

    """

    axes: tuple[str, ...]
    build: Callable[[Shape, int], tuple[nn.Module, int]]
    published: bool = False

    @property
    def ragged(self) -> bool:
        """Whether it takes clips of different length."""
        return self.axes[0] == "steps"


_VIDEO, _SOUND = ("frames", "height", "width", "channels"), ("frames", "mels")
CLIP_ENCODERS = {
    "r2plus1d_18": EncoderRecipe(_VIDEO, lambda shape, _: (R2Plus1D18(shape[-1]), 512)),
    "small_video": EncoderRecipe(_VIDEO, lambda shape, dim: (SmallVideo(shape, dim=dim), dim)),
    "cnn14": EncoderRecipe(_SOUND, lambda shape, _: (CNN14(shape[-1]), 512)),
    "panns_cnn14": EncoderRecipe(
        _SOUND, lambda shape, _: (CNN14(shape[-1], published=True), 512), published=True
    ),
    "small_audio": EncoderRecipe(_SOUND, lambda shape, dim: (SmallAudio(shape[-1], dim=dim), dim)),
    "lstm": EncoderRecipe(
        ("steps", "values"), lambda shape, dim: (LSTMPool(shape[-1], units=dim), dim)
    ),
    "identity": EncoderRecipe(("values",), lambda shape, _: (nn.Identity(), shape[-1])),
}


@dataclass(frozen=True)
class ClipInput:
    """What is asked for of one modality.

    Args:
        encoder: a name in `CLIP_ENCODERS`; ``"identity"`` for vectors that were extracted already,
            ``"panns_cnn14"`` for PANNs' published weights, frozen, on log-mel frames in decibels as
            `kit.data.log_mel.PANNS` makes them.
        weights: a weights file; from scratch if not given.
        frozen: nothing of the encoder changes: no parameter, no statistic of batch norm. Without
            crop and shift, features of the training split are computed once a run, and kept.
        scaling: ``"training"``: each value of the last axis (colour, mel band) less its mean over
            the training split, by its deviation there; ``"kinetics"``: for RGB bytes, by what those
            videos are like; ``"none"``: as it is.
        crop: for videos that are longer or larger than the network takes.
        shift: in training, videos move by up to so many pixels, each anew in every epoch.

    Raises:
        ValueError: an unknown word; a frozen encoder from scratch, which knows nothing; weights of
            an identity; a published network that is to be trained or scaled.

    """

    encoder: str
    weights: str | None = None
    frozen: bool = False
    scaling: Scaling = "training"
    crop: VideoCrop | None = None
    shift: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.crop, Mapping):  # from a file
            object.__setattr__(self, "crop", VideoCrop(**self.crop))
        check_fields(self)
        check_choice("ClipInput", among=tuple(CLIP_ENCODERS), encoder=self.encoder)
        check_choice("ClipInput", among=get_args(Scaling), scaling=self.scaling)
        recipe = CLIP_ENCODERS[self.encoder]
        if self.encoder == "identity" and self.weights is not None:
            raise ValueError(f"ClipInput: an identity has no weights, got {self.weights!r}")
        if self.frozen and self.weights is None and self.encoder != "identity":
            raise ValueError(f"ClipInput: a frozen {self.encoder} needs weights, got none")
        if recipe.published and (not self.frozen or self.scaling != "none"):
            raise ValueError(
                f"ClipInput: {self.encoder} is used as published: expected frozen=True and "
                f"scaling='none', got frozen={self.frozen} and scaling={self.scaling!r}"
            )
        check_whole("ClipInput", at_least=0, shift=self.shift)
        if (self.crop is not None or self.shift) and recipe.axes != _VIDEO:
            raise ValueError(f"ClipInput: crop and shift are for videos, {self.encoder} takes none")

    def facts(self) -> dict[str, Any]:
        """What of it decides a result: the contents of the weights file, not its path."""
        weights = None if self.weights is None else file_hash("ClipInput", self.weights)
        return asdict(self) | {"weights": weights}


class ClipKind(NamedTuple):
    """What the clips of a modality look like: the shape of one, without the length if ragged.

    `whole`: whether they are whole numbers, such as a picture's bytes.
    """

    shape: tuple[int, ...]
    ragged: bool
    whole: bool = False

    @classmethod
    def of(cls, modality: Modality) -> Self:
        """Look at a modality's first clip."""
        whole = modality[0].dtype.kind in "iu"
        return cls(clip_shape(modality), is_ragged(modality), whole)


def shifts(inputs: Mapping[str, ClipInput]) -> dict[str, int]:
    """The shift of each modality that has one."""
    return {name: settings.shift for name, settings in inputs.items() if settings.shift}


def crops(inputs: Mapping[str, ClipInput]) -> dict[str, VideoCrop]:
    """The crop of each modality that has one."""
    return {name: settings.crop for name, settings in inputs.items() if settings.crop is not None}
