"""Scenes, an embedded corpus of pictures and captions, made from a seed, with dials to turn.

    >>> corpus = scenes(images=40, seed=7)
    >>> corpus.counts["train"], corpus.counts["test"]
    ({'images': 32, 'captions': 160}, {'images': 4, 'captions': 20})

The answer is known: `corpus.test.open_image.scenes[3]` is what picture 3 of the test split shows.
To draw and describe a scene of one's own: `draw(scene)` and `describe(scene)`. Captions say left
and right: in a mirrored picture they are no longer true.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kit.data.pairs import CaptionedImages, Corpus
from kit.worlds.dials import check_dials, check_held_out
from kit.worlds.scenes.captions import describe
from kit.worlds.scenes.pictures import draw
from kit.worlds.scenes.world import Scene, near_duplicate, random_scene

# Independent streams of chance, so that turning one dial leaves the rest as it was.
_SCENES, _CAPTIONS, _PICTURES = range(3)


@dataclass(frozen=True)
class Gallery:
    """The pictures of a split, drawn once: `gallery(3)` opens one, `gallery.scenes[3]` its scene.

    `pixels` is (images, size, size, 3) uint8. Pickles, so that loader workers can have it.
    """

    scenes: tuple[Scene, ...]
    pixels: NDArray[np.uint8] = field(repr=False)

    def __call__(self, index: int) -> Image.Image:
        """Open picture `index` of the split."""
        return Image.fromarray(self.pixels[index])

    def content_hash(self) -> str:
        """What tells these pictures from others."""
        return hashlib.sha256(str(self.pixels.shape).encode() + self.pixels.tobytes()).hexdigest()


def scenes(
    *,
    images: int = 1000,
    captions_per_image: int = 5,
    size: int = 64,
    told: float = 0.7,
    noise: float = 0.02,
    near_duplicates: float = 0.2,
    images_per_label: int = 1,
    held_out: float = 0.1,
    seed: int = 0,
) -> Corpus:
    """Make a corpus of pictures and captions, a pure function of its arguments.

    A label is one scene: all pictures of it (drawn anew, with jitter) lie in one split, and no two
    labels are the same scene.

    Args:
        images: number of pictures in all splits together.
        captions_per_image: at least 1; five mention five different parts (see `describe`).
        size: width and height of a picture in pixels, 32 to 512.
        told: probability, 0 to 1, that a caption mentions an attribute which it could mention.
        noise: standard deviation of the pixel noise as a share of full brightness, 0 to 1.
        near_duplicates: share of the scenes of each split, 0 to 1, that come in pairs which differ
            in exactly one attribute: hard negatives. The second of a pair follows the first.
        images_per_label: pictures of each scene; must divide `images`.
        held_out: share of the scenes in the validation split, and as many in the test split, above
            0 and below 0.5; at least one each.
        seed: at least 0; another seed, other scenes.

    Returns:
        A corpus with splits ``train``, ``validation`` and ``test``; each split's `open_image` is a
        `Gallery`.

    Raises:
        ValueError: a dial outside its range, or too few images for three splits.

    """
    check_dials("scenes", 1, captions_per_image=captions_per_image)
    check_dials("scenes", 0, 1, told=told, noise=noise, near_duplicates=near_duplicates)
    check_dials("scenes", 0, seed=seed)
    counts = _labels_per_split(images, images_per_label, held_out)

    def say(scene: Scene, number: int) -> tuple[str, ...]:
        stream = (seed, _CAPTIONS, number)
        return describe(scene, captions=captions_per_image, told=told, seed=stream)

    def show(scene: Scene, number: int) -> Image.Image:
        return draw(scene, size=size, noise=noise, seed=(seed, _PICTURES, number))

    rng, known = np.random.default_rng((seed, _SCENES)), set[Scene]()
    splits = []
    for name, count in counts.items():
        first = len(known)
        distinct = _distinct_scenes(count, near_duplicates, rng, known)
        splits.append(_split(name, distinct, first, images_per_label, say, show))
    train, validation, test = splits
    return Corpus("scenes", train, validation, test)


def _labels_per_split(images: int, images_per_label: int, held_out: float) -> dict[str, int]:
    if images_per_label < 1 or images % images_per_label:
        raise ValueError(
            "scenes: expected images_per_label to be at least 1 and to divide images, "
            f"got images_per_label={images_per_label} and images={images}"
        )
    check_held_out("scenes", held_out)
    labels = images // images_per_label
    held = max(1, round(labels * held_out))
    if labels <= 2 * held:
        raise ValueError(
            "scenes: expected images for at least one scene in each of three splits, got "
            f"{labels} scenes (images={images}, images_per_label={images_per_label}) "
            f"with held_out={held_out}"
        )
    return {"train": labels - 2 * held, "validation": held, "test": held}


def _distinct_scenes(
    count: int, near_duplicates: float, rng: np.random.Generator, known: set[Scene]
) -> list[Scene]:
    """Make `count` scenes that are not in `known`, a share of them in pairs, and add them to it."""

    def new(make: Callable[[], Scene]) -> Scene:
        while (scene := make()) in known:
            pass
        known.add(scene)
        return scene

    pairs = min(round(near_duplicates * count / 2), count // 2)
    groups = []
    for index in range(count - pairs):
        scene = new(partial(random_scene, rng))
        groups.append([scene])
        if index < pairs:
            groups[-1].append(new(partial(near_duplicate, scene, rng)))
    return [scene for index in rng.permutation(len(groups)) for scene in groups[index]]


def _split(
    name: str,
    distinct: Sequence[Scene],
    first_label: int,
    images_per_label: int,
    say: Callable[[Scene, int], tuple[str, ...]],
    show: Callable[[Scene, int], Image.Image],
) -> CaptionedImages:
    """Describe and draw each scene `images_per_label` times; numbers run on through the splits."""
    shown = tuple(scene for scene in distinct for _ in range(images_per_label))
    numbers = [first_label * images_per_label + row for row in range(len(shown))]
    said = [say(scene, number) for scene, number in zip(shown, numbers, strict=True)]
    drawn = [show(scene, number) for scene, number in zip(shown, numbers, strict=True)]
    return CaptionedImages(
        name=name,
        image_names=[f"scene_{number:06d}" for number in numbers],
        image_labels=[number // images_per_label for number in numbers],
        captions=[caption for captions in said for caption in captions],
        caption_images=[row for row, captions in enumerate(said) for _ in captions],
        open_image=Gallery(shown, np.stack([np.asarray(picture) for picture in drawn])),
        mirrored=False,
    )
