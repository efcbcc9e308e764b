"""How often two equally good methods are told apart: false verdicts at nominal 5 %, goal 6 %.

Two methods that differ by chance alone, laid out as the studies of docs/results.md: GRID (seeds
split 1,000 clips anew, 600 to learn from and 200 to be tested on), Scenes (each seed draws 100 test
pictures of its own), Flickr8K (three seeds share 1,000 test photographs with five captions each).
Beside each stands what a plain paired t-interval over seeds would do there.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from kit.metrics import Interval, interval_over_queries, interval_over_seeds

Floats = NDArray[np.float64]
STUDIES = 4000


def grid(draw: np.random.Generator, seeds: int) -> tuple[Floats, Floats]:
    """Percent right of two classifiers, (seeds,) each: nearest class means in features of its own.

    Each sees a clip of one of ten words through eight numbers, with noise of its own and as much.
    """
    labels = np.arange(1000) % 10
    words = draw.normal(size=(1, 10, 8))
    clips = words[:, labels] + 1.5 * draw.normal(size=(2, 1000, 8))
    onehot = np.eye(10)[labels]
    scores = np.empty((2, seeds))
    for seed in range(seeds):
        rows = draw.permutation(1000)
        train, test = rows[:600], rows[800:]
        means = onehot[train].T @ clips[:, train] / onehot[train].sum(0)[:, None]
        near = clips[:, test] @ means.swapaxes(1, 2) - np.square(means).sum(2)[:, None] / 2
        scores[:, seed] = 100 * (near.argmax(2) == labels[test]).mean(1)
    return scores[0], scores[1]


def hits(draw: np.random.Generator, seeds: int, images: int, captions: int) -> Floats:
    """Hits in percent of two methods, (2, seeds, images x captions), tested on the same queries.

    What decides a hit: the image, the caption, what the method makes of them, the seed, chance.
    """
    image = draw.normal(size=(1, 1, images, 1)) + 0.7 * draw.normal(size=(2, 1, images, 1))
    caption = draw.normal(size=(1, 1, 1, captions)) + 0.7 * draw.normal(
        size=(2, 1, images, captions)
    )
    of_seed = 0.05 * draw.normal(size=(2, seeds, 1, 1))
    chance = draw.normal(size=(2, seeds, images, captions))
    found: Floats = 100.0 * (image + caption + of_seed + chance > 1.5)
    return found.reshape(2, seeds, -1)


def scenes(draw: np.random.Generator) -> tuple[Floats, Floats]:
    """(4,) each: every seed has 100 test pictures of its own."""
    both = np.stack([hits(draw, 1, 100, 1)[:, 0].mean(1) for _ in range(4)])
    return both[:, 0], both[:, 1]


def false_verdicts(study: Callable[[np.random.Generator], list[Interval]]) -> Floats:
    """Of many studies in which nothing is to be found: percent that found something."""
    found = [
        [interval.verdict != "undecided" for interval in study(np.random.default_rng((7, number)))]
        for number in range(STUDIES)
    ]
    return 100 * np.mean(found, axis=0)


def main() -> None:
    def resplit(seeds: int) -> Callable[[np.random.Generator], list[Interval]]:
        def study(draw: np.random.Generator) -> list[Interval]:
            scores = grid(draw, seeds)
            return [interval_over_seeds(*scores, resplit=200 / 600), interval_over_seeds(*scores)]

        return study

    def drawn(draw: np.random.Generator) -> list[Interval]:
        return [interval_over_seeds(*scenes(draw))] * 2

    def shared(captions: int) -> Callable[[np.random.Generator], list[Interval]]:
        groups = np.repeat(np.arange(1000), captions)

        def study(draw: np.random.Generator) -> list[Interval]:
            both = hits(draw, 3, 1000, captions)
            plain = interval_over_seeds(*both.mean(2))
            return [interval_over_queries(*both, groups=groups), plain]

        return study

    studies = {
        "GRID, 3 seeds": resplit(3),
        "GRID, 5 seeds": resplit(5),
        "Scenes, 4 seeds": drawn,
        "Flickr8K, 3 seeds, image to text": shared(1),
        "Flickr8K, 3 seeds, text to image": shared(5),
    }
    for name, study in studies.items():
        ours, plain = false_verdicts(study)
        print(
            f"{name}: {ours:.1f} % false verdicts of {STUDIES} studies (goal at most 6); "
            f"a plain t-interval over seeds {plain:.1f} %",
            flush=True,
        )


if __name__ == "__main__":
    main()
