"""Two towers into one space: the networks and the optimisation that image-text methods share.

A method adds its own networks and terms; its configuration adds its own numbers to `TowersConfig`
and says how it is built, `config.method(towers)`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam

from kit.checks import check_fields, check_number, check_whole
from kit.data.pairs import PairBatch
from kit.encoders.sequence import BiLSTM
from kit.training import Method


@dataclass(frozen=True)
class TowersConfig:
    """Sizes of the towers and the numbers of their training; ITMeetsAL's values, by section.

    Raises:
        ValueError: an impossible value, named.

    """

    # Model (4, 5.1)
    dim: int = 512  # width of the shared space (5.1)
    word_dim: int = 512  # width of a word embedding
    lstm_units: int = 512  # per direction; the text feature has twice as many (5.1: 1024)
    dropout: float = 0.3  # on word embeddings and LSTM outputs (5.1)
    min_word_count: int = 3  # a word must occur as often in the training captions

    # Optimisation (Algorithm 1, 5.1)
    backbone_learning_rate: float = 2e-5  # lr_1 (5.1)
    learning_rate: float = 2e-4  # lr_2: not printed; the value of the work it builds on
    weight_decay: float = 4e-5  # on the backbone and the two projections
    decay: float = 0.94  # factor of the staircase ("decaying every 2 epochs exponentially", 5.1)
    decay_epochs: int = 2  # (5.1)
    batch_size: int = 64  # (5.1: 64 or 32)
    epochs: int = 30  # not printed

    def __post_init__(self) -> None:
        check_fields(self)
        name = type(self).__name__
        counts = ("word_dim", "lstm_units", "min_word_count", "decay_epochs", "epochs")
        check_whole(name, at_least=1, **{count: getattr(self, count) for count in counts})
        check_whole(name, at_least=8, dim=self.dim)
        check_whole(name, at_least=2, batch_size=self.batch_size)  # one pair has no negatives
        if not 0 <= self.dropout < 1:
            raise ValueError(f"{name}: dropout must lie in [0, 1), got {self.dropout}")
        if not 0 < self.decay <= 1:
            raise ValueError(f"{name}: decay must lie in (0, 1], got {self.decay}")
        check_number(name, at_least=0, weight_decay=self.weight_decay)
        rates = {n: getattr(self, n) for n in ("learning_rate", "backbone_learning_rate")}
        check_number(name, **rates)

    def rate_factor(self, epoch: int) -> float:
        """What share of its learning rate an epoch has: 0.94 ** (epoch // 2) in the paper."""
        return float(self.decay ** (epoch // self.decay_epochs))

    def method(self, towers: Towers) -> Method[SharedFeatures, PairBatch]:
        """The method of these numbers on these towers."""
        raise TypeError(f"{type(self).__name__} holds the numbers of towers; a method adds its own")


class SharedFeatures(NamedTuple):
    """Z^i and Z^t: (batch, dim) each."""

    image: Tensor
    text: Tensor


class Towers:
    """E1 and E2 of Figure 4: an image backbone and a Bi-LSTM, each with its projection.

    Args:
        config: sizes and rates.
        image_backbone: images to (batch, image_feature_dim) features; `nn.Identity` for features
            that are computed already. Frozen parameters of it stay as they are.
        image_feature_dim: width of what it gives.
        vocabulary_size: number of token ids.
        classes: number of training instances, for methods that classify them.

    """

    def __init__(
        self,
        config: TowersConfig,
        *,
        image_backbone: nn.Module,
        image_feature_dim: int,
        vocabulary_size: int,
        classes: int,
    ) -> None:
        self.config, self.classes = config, classes
        c = config
        text = BiLSTM(vocabulary_size, word_dim=c.word_dim, units=c.lstm_units, dropout=c.dropout)
        self.networks = nn.ModuleDict(
            {
                "image_backbone": image_backbone,
                "image_projection": projection(image_feature_dim, c.dim),
                "text_encoder": text,
                "text_projection": projection(text.feature_dim, c.dim),
            }
        )

    def encode(self, batch: PairBatch) -> SharedFeatures:
        """Algorithm 1, lines 4 and 5: Z^i = E1(X^i), Z^t = E2(X^t)."""
        return SharedFeatures(
            self.encode_images(batch.images), self.encode_texts(batch.tokens, batch.lengths)
        )

    def encode_images(self, images: Tensor) -> Tensor:
        """E1: (batch, ...) images to (batch, dim)."""
        networks = self.networks
        features: Tensor = networks["image_projection"](networks["image_backbone"](images))
        return features

    def encode_texts(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """E2: (batch, longest) token ids to (batch, dim)."""
        networks = self.networks
        features: Tensor = networks["text_projection"](networks["text_encoder"](tokens, lengths))
        return features

    def optimizer(self, others: Iterable[nn.Parameter] = ()) -> Adam:
        """Algorithm 1's groups: projections with decay; Bi-LSTM and `others`; the backbone."""
        c, networks = self.config, self.networks
        projections = [networks["image_projection"], networks["text_projection"]]
        decayed = [parameter for network in projections for parameter in network.parameters()]
        plain = [*networks["text_encoder"].parameters(), *others]
        backbone = [p for p in networks["image_backbone"].parameters() if p.requires_grad]
        groups: list[dict[str, Any]] = [
            {"params": decayed, "lr": c.learning_rate, "weight_decay": c.weight_decay},
            {"params": plain, "lr": c.learning_rate, "weight_decay": 0.0},
            {"params": backbone, "lr": c.backbone_learning_rate, "weight_decay": c.weight_decay},
        ]
        return Adam([group for group in groups if group["params"]])


def projection(feature_dim: int, dim: int) -> nn.Linear:
    """One linear layer into the shared space, Xavier-initialised, without activation."""
    linear = nn.Linear(feature_dim, dim)
    nn.init.xavier_uniform_(linear.weight)
    nn.init.zeros_(linear.bias)
    return linear


def mean_cosine(features: Tensor) -> Tensor:
    """Mean cosine of two different rows: 0 for spread features, 1 for collapsed ones.

    Args:
        features: (batch, dim) float.

    """
    rows = len(features)
    total = F.normalize(features).sum(0).square().sum()
    return (total - rows) / max(rows * (rows - 1), 1)
