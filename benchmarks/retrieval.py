"""Evaluation against its own lower bound: both directions with every score over one bare product.

5,000 images x 25,000 captions x 512-D, float32. The reference is the score matrix computed once in
512 x 4,096 tiles that nobody looks at. Prints one line: the ratio of the medians of five runs taken
in turn, and the peak memory beyond the features. Goal: at most 4, wished 2.5.
"""

from __future__ import annotations

import resource
import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor

from kit.metrics import evaluate_cross_modal

IMAGES, CAPTIONS, WIDTH, RUNS = 5_000, 5, 512, 5


def features() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    image_labels = torch.arange(IMAGES)
    text_labels = image_labels.repeat_interleave(CAPTIONS)
    meanings = torch.randn(IMAGES, WIDTH, generator=generator)
    images = meanings + 3 * torch.randn(IMAGES, WIDTH, generator=generator)
    texts = torch.randn(IMAGES * CAPTIONS, WIDTH, generator=generator).mul_(3)
    texts += meanings[text_labels]
    return images, texts, image_labels, text_labels


def bare_product(images: Tensor, texts: Tensor) -> None:
    for top in range(0, len(images), 512):
        for left in range(0, len(texts), 4096):
            images[top : top + 512] @ texts[left : left + 4096].T


def seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def peak_megabytes() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def main() -> None:
    images, texts, image_labels, text_labels = features()
    bare_product(images, texts)
    before = peak_megabytes()
    # The first evaluation is measured for memory, not for time.
    evaluate_cross_modal(images, texts, image_labels, text_labels)
    memory = peak_megabytes() - before
    bare, whole = [], []
    for _ in range(RUNS):
        bare.append(seconds(lambda: bare_product(images, texts)))
        whole.append(
            seconds(lambda: evaluate_cross_modal(images, texts, image_labels, text_labels))
        )
    ratio = statistics.median(whole) / statistics.median(bare)
    print(
        f"retrieval: ratio {ratio:.2f} (evaluation {statistics.median(whole):.2f} s over bare "
        f"product {statistics.median(bare):.2f} s; at most 4, goal 2.5), "
        f"peak extra memory {memory:.0f} MB (at most 600), {torch.get_num_threads()} threads"
    )


if __name__ == "__main__":
    main()
