"""What ITMeetsAL's losses cost over its encoders, at the paper's widths.

All losses of the generator's turn, forward and backward to the features and the classifier, and a
whole step of the discriminator's turn (it comes at every fifth step; counted here as if at each),
against the forward and backward pass of both encoders: 512-D space, words and LSTM, captions of 8
to 16 words, 6,000 instances.

1. with a frozen backbone's features, 1,024-D, batch 64;
2. with MobileNetV1 at 224 x 224, batch 16. Goal: at most 0.05.

Each line has the ratio of medians of runs taken in turn, and how many threads there were.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from torch import nn

from kit.data.pairs import PairBatch
from kit.encoders.image import image_backbone
from kit.itmeetsal.method import paper
from kit.retrieval.towers import SharedFeatures, Towers

INSTANCES, WORDS = 6_000, 3_000


def seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def losses_over_encoders(
    name: str, backbone: nn.Module, feature_dim: int, images: torch.Tensor, runs: int
) -> None:
    config = paper()
    towers = Towers(
        config,
        image_backbone=backbone,
        image_feature_dim=feature_dim,
        vocabulary_size=WORDS,
        classes=INSTANCES,
    )
    method = config.method(towers)
    rows = len(images)
    lengths = torch.randint(8, 17, (rows,))
    tokens = torch.randint(2, WORDS, (rows, int(lengths.max())))
    tokens[torch.arange(tokens.shape[1]) >= lengths[:, None]] = 0
    labels = torch.randint(INSTANCES, (rows,))
    batch = PairBatch(images, tokens, lengths, labels, torch.arange(rows))
    generator, discriminator = method.turns(0)
    slopes = [torch.randn(rows, config.dim) for _ in range(2)]
    features = SharedFeatures(*(torch.randn_like(s).requires_grad_() for s in slopes))
    weight = method.networks["classifier"].weight

    def encoders() -> None:
        generator.optimizer.zero_grad()
        torch.autograd.backward(method.encode(batch), slopes)

    def losses() -> None:
        weight.grad = None
        torch.stack(list(generator.terms(features, batch).values())).sum().backward(
            inputs=[*features, weight]
        )
        discriminator.optimizer.zero_grad()
        torch.stack(list(discriminator.terms(features, batch).values())).sum().backward()
        discriminator.optimizer.step()

    losses(), encoders()
    taken = [(seconds(losses), seconds(encoders)) for _ in range(runs)]
    ours, theirs = (1e3 * statistics.median(column) for column in zip(*taken, strict=True))
    print(
        f"losses and discriminator, {name}, batch {rows}: ratio {ours / theirs:.3f} ({ours:.1f} ms "
        f"over {theirs:.1f} ms of the encoders), {torch.get_num_threads()} threads"
    )


def main() -> None:
    torch.manual_seed(0)
    losses_over_encoders("1,024-D features", nn.Identity(), 1024, torch.randn(64, 1024), runs=15)
    backbone, images = image_backbone("mobilenet_v1"), torch.randn(16, 3, 224, 224)
    losses_over_encoders(
        "MobileNetV1 (goal at most 0.05)", backbone, backbone.feature_dim, images, runs=5
    )


if __name__ == "__main__":
    main()
