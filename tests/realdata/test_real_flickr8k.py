"""The real Flickr8K, and the published MobileNet on its photographs."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from kit.corpora.flickr8k import flickr8k
from kit.data.pairs import CaptionedImages, Corpus
from kit.encoders.image import image_backbone
from kit.retrieval.images import FeatureFile, compute_features

pytestmark = pytest.mark.realdata


@pytest.fixture(scope="module")
def data() -> Path:
    return Path(os.environ["KIT_DATA"])


@pytest.fixture(scope="module")
def corpus(data: Path) -> Corpus:
    return flickr8k(data / "flickr8k")


def test_counts_are_the_published_ones(corpus: Corpus) -> None:
    assert corpus.counts == {
        "train": {"images": 6000, "captions": 30000},
        "validation": {"images": 1000, "captions": 5000},
        "test": {"images": 1000, "captions": 5000},
    }
    assert corpus.notes == (
        "91 images (455 captions) are in no split and are not used",
        "one picture under several names, each an image: 3050606344_af711c726c.jpg, "
        "2851198725_37b6027625.jpg",
        "train: expected 6000 images and 30000 captions, found 6000 and 30000",
        "validation: expected 1000 images and 5000 captions, found 1000 and 5000",
        "test: expected 1000 images and 5000 captions, found 1000 and 5000",
    )
    labels = [label for split in corpus.splits for label in split.image_labels]
    assert labels == list(range(8000))


def test_published_features_fit_every_split(data: Path, corpus: Corpus) -> None:
    for split in corpus.splits:
        path = data / "flickr8k_features" / "mobilenet_v1.npz"
        features = FeatureFile(path).of(split.image_names)
        assert features(range(len(split.image_names))).shape == (len(split.image_names), 1024)


def first_images(split: CaptionedImages, count: int) -> CaptionedImages:
    names, labels = list(split.image_names)[:count], list(split.image_labels)[:count]
    return dataclasses.replace(
        split,
        image_names=names,
        image_labels=labels,
        captions=list(split.captions)[: 5 * count],
        caption_images=list(split.caption_images)[: 5 * count],
    )


def test_mobilenet_sees_what_the_published_features_say(
    data: Path, corpus: Corpus, tmp_path: Path
) -> None:
    """Cosine about 0.92: the published features come from larger originals of the photographs.

    The same weights under symmetric padding, or with the input in [0, 1], give about 0.83.
    """
    split = first_images(corpus.test, 16)
    published = FeatureFile(data / "flickr8k_features" / "mobilenet_v1.npz").of(split.image_names)
    weights = data / "weights" / "mobilenetv1_100.safetensors"
    cosine = {}
    for name in ("mobilenet_v1", "mobilenet_v1_timm"):
        backbone = image_backbone(name, weights=weights, frozen=True)
        assert backbone.loaded is not None
        assert len(backbone.loaded.loaded) == 162
        assert backbone.batch_norm_folded
        features = compute_features(split, backbone, cache=tmp_path)
        cosine[name] = F.cosine_similarity(features.views[0], published(range(16))).mean().item()
    assert cosine["mobilenet_v1"] > 0.89
    assert cosine["mobilenet_v1_timm"] < 0.86


def test_a_wrong_weights_file_is_refused(data: Path) -> None:
    weights = data / "weights" / "mobilenetv1_100.safetensors"
    with pytest.raises(ValueError, match=r"load_weights: small_cnn from .* are missing"):
        image_backbone("small_cnn", weights=weights)


def test_fine_tuning_leaves_the_folded_batch_norm_as_it_is(data: Path) -> None:
    weights = data / "weights" / "mobilenetv1_100.safetensors"
    backbone = image_backbone("mobilenet_v1", weights=weights)
    buffers = {key: value.clone() for key, value in backbone.named_buffers()}
    backbone.train()(torch.rand(2, 3, 64, 64)).sum().backward()
    assert all(torch.equal(value, buffers[key]) for key, value in backbone.named_buffers())
    assert all(parameter.grad is not None for parameter in backbone.parameters())
