"""The real UCF51's audio: CNN14 embeddings of the clips of UCF101 that have sound, split 1."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.neighbors import KNeighborsClassifier

from kit.amid.losses import expected_classmates, has_classmate
from kit.metrics import evaluate_knn

pytestmark = pytest.mark.realdata

Clips = list[PurePosixPath]


@pytest.fixture(scope="module")
def folder() -> Path:
    return Path(os.environ["KIT_DATA"]) / "ucf51_audio"


@pytest.fixture(scope="module")
def embeddings(folder: Path) -> dict[str, NDArray[np.float32]]:
    """By name of the clip; the archive also holds a Mac's `._*` files."""
    found = {}
    with tarfile.open(folder / "audiocnn14embed512_features.tar.gz") as archive:
        for member in archive:
            path = PurePosixPath(member.name)
            file = archive.extractfile(member)
            if file and path.suffix == ".npy" and not path.name.startswith("._"):
                found[path.stem] = np.load(io.BytesIO(file.read()))
    return found


@pytest.fixture(scope="module")
def split(folder: Path, embeddings: dict[str, NDArray[np.float32]]) -> tuple[Clips, Clips]:
    """The clips with sound of split 1, training and test; a line is CLASS/CLIP.avi NUMBER."""

    def clips(part: str) -> Clips:
        lines = (folder / f"{part}list01.txt").read_text(encoding="utf-8").splitlines()
        paths = [PurePosixPath(line.split()[0]) for line in lines]
        return [path for path in paths if path.stem in embeddings]

    return clips("train"), clips("test")


def features_and_classes(
    embeddings: dict[str, NDArray[np.float32]], clips: Clips
) -> tuple[NDArray[np.float32], NDArray[np.int64], list[str]]:
    numbers = {name: n for n, name in enumerate(sorted({clip.parent.name for clip in clips}))}
    return (
        np.stack([embeddings[clip.stem] for clip in clips]),
        np.array([numbers[clip.parent.name] for clip in clips]),
        [clip.stem for clip in clips],
    )


def test_counts_are_the_published_ones(
    embeddings: dict[str, NDArray[np.float32]], split: tuple[Clips, Clips]
) -> None:
    train, test = split
    assert (len(embeddings), len(train), len(test)) == (6837, 4893, 1944)
    classes = {clip.parent.name for clip in train}
    assert len(classes) == 51
    assert classes == {clip.parent.name for clip in test}
    assert {array.shape for array in embeddings.values()} == {(512,)}


def test_nearest_neighbour_by_cosine(
    embeddings: dict[str, NDArray[np.float32]], split: tuple[Clips, Clips]
) -> None:
    gallery, gallery_labels, gallery_ids = features_and_classes(embeddings, split[0])
    queries, query_labels, query_ids = features_and_classes(embeddings, split[1])
    scores = evaluate_knn(
        queries, gallery, query_labels, gallery_labels, query_ids=query_ids, gallery_ids=gallery_ids
    )
    assert round(scores.recall[1], 2) == 40.28
    assert scores.recall[1] < scores.recall[5] < 100
    assert scores.queries_without_class == 0
    brute = KNeighborsClassifier(1, metric="cosine", algorithm="brute").fit(gallery, gallery_labels)
    accuracy = brute.score(queries, query_labels)
    assert scores.recall[1] == pytest.approx(100 * accuracy)


def test_four_of_sixteen_have_a_classmate_and_one_batch_in_fourteen_has_none(
    split: tuple[Clips, Clips],
) -> None:
    """D of Equations 12 and 13 on this split, and how often D2 has nothing to judge."""
    classes = np.unique([clip.parent.name for clip in split[0]], return_inverse=True)[1]
    counts = np.bincount(classes).tolist()
    assert f"{expected_classmates(counts, 16):.2f}" == "4.17"
    draw = np.random.default_rng(0)
    drawn = torch.from_numpy(classes[draw.integers(len(classes), size=(20_000, 16))])
    mates = torch.tensor([int(has_classmate(labels).sum()) for labels in drawn])
    assert mates.double().mean().item() == pytest.approx(4.17, abs=0.05)
    assert (mates == 0).double().mean().item() == pytest.approx(0.07, abs=0.005)
