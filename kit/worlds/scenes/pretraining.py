"""A small CNN that has learnt to see: what ImageNet is to the paper's backbones, Scenes is to ours.

The paper takes backbones that were trained to name what is in a photograph. `small_cnn` learns the
same here on drawn pictures, in seconds: what is where, and on which background. Captions take no
part in it, and the pictures are others than those of the corpora.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from kit.encoders.image import BACKBONES
from kit.files import atomic
from kit.worlds.dials import check_dials
from kit.worlds.scenes.pictures import draw
from kit.worlds.scenes.world import BACKGROUNDS, CHOICES, PLACES, Scene, random_scene

ATTRIBUTES = ("size", "texture", "colour", "shape")
NOISE = 0.02  # of a pixel, as in Scenes by default
BATCH_SIZE, LEARNING_RATE = 32, 3e-3


def small_cnn_from_scenes(
    folder: Path | str, *, pictures: int = 2000, epochs: int = 4, seed: int = 0
) -> Path:
    """Train `small_cnn` to name what is in drawn pictures, and keep its weights.

    Less than twenty seconds on one core with the defaults. A file that is there is used again.

    Args:
        folder: where the weights file goes; its name says how it was made.
        pictures: how many, at least 2; they are drawn for this alone.
        epochs: passes over them, at least 1.
        seed: of the pictures, of the first weights and of the order.

    Returns:
        The ``.safetensors`` file, for ``ImageInput(weights=...)``.

    Raises:
        ValueError: too few pictures or epochs.

    """
    check_dials("small_cnn_from_scenes", 2, pictures=pictures)
    check_dials("small_cnn_from_scenes", 1, epochs=epochs)
    named = f"small_cnn_{pictures}_pictures_{epochs}_epochs_seed_{seed}.safetensors"
    path = Path(folder) / named
    if path.exists():
        return path
    recipe = BACKBONES["small_cnn"]
    rng = np.random.default_rng((seed, 3))  # 0, 1 and 2 are Scenes'; a bare seed is (seed, 0)
    drawn = [random_scene(rng) for _ in range(pictures)]
    images = torch.stack(
        [
            recipe.transform(draw(scene, size=recipe.transform.size, noise=NOISE, seed=(seed, row)))
            for row, scene in enumerate(drawn)
        ]
    )
    targets = torch.stack([_named(scene) for scene in drawn])
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # and not those of GPUs, which go on outside
        network = _trained(recipe.build(), recipe.feature_dim, images, targets, epochs)
    with atomic(path) as part:
        save_file(network.state_dict(), part)
    return path


def _trained(
    network: nn.Module, feature_dim: int, images: Tensor, targets: Tensor, epochs: int
) -> nn.Module:
    """Descend the binary cross-entropy of every answer, over all of them."""
    head = nn.Linear(feature_dim, targets.shape[1])
    both = nn.Sequential(network, head)
    optimizer = torch.optim.Adam(both.parameters(), lr=LEARNING_RATE)
    batches = -(-len(images) // BATCH_SIZE)
    for _ in range(epochs):
        for rows in torch.randperm(len(images)).tensor_split(batches):
            losses = F.binary_cross_entropy_with_logits(
                both(images[rows]), targets[rows], reduction="none"
            )
            optimizer.zero_grad()
            losses.sum(1).mean().backward()
            optimizer.step()
    return network.eval()


def _named(scene: Scene) -> Tensor:
    """A yes or no for each attribute at each place, and anywhere, and for each background."""
    there = {(t.place, getattr(t, attribute)) for t in scene.things for attribute in ATTRIBUTES}
    there |= {("anywhere", choice) for _, choice in there} | {("behind", scene.background)}
    asked = [choice for attribute in ATTRIBUTES for choice in CHOICES[attribute]]
    questions = [(place, choice) for place in (*PLACES, "anywhere") for choice in asked]
    questions += [("behind", background) for background in BACKGROUNDS]
    return torch.tensor([question in there for question in questions], dtype=torch.float32)
