"""Regularised canonical correlation analysis: the baseline that claims on frozen features stand by.

Images as features of a frozen backbone, captions as tf-idf words; the two linear maps into one
space in which the correlation of a pair is largest (Hotelling 1936), each covariance with a ridge,
each direction weighted by a power of its correlation (Gong et al., IJCV 2014). Three numbers are
left open, and all are chosen on the validation split: a baseline that was not tuned flatters what
it is compared with.
"""

from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kit.data.pairs import CaptionedImages, Corpus
from kit.data.text import words
from kit.metrics.retrieval import CrossModalScores, evaluate_cross_modal
from kit.retrieval.images import ImageInput, ImageSource

Matrix = NDArray[np.float64]
RIDGES = (0.3, 1.0, 3.0)  # of the images' and of the words' covariance
WIDTHS = (64, 128, 256)
POWERS = (0.0, 1.0, 2.0)
MIN_CAPTIONS = 3  # in which a word occurs


@dataclass(frozen=True)
class CCASettings:
    """What is chosen on the validation split.

    Args:
        image_ridge: added to the images' covariance, in units of its mean eigenvalue.
        word_ridge: added to the words' covariance, likewise.
        width: directions that are kept.
        power: of a direction's correlation, by which it is weighted.

    """

    image_ridge: float
    word_ridge: float
    width: int
    power: float


@dataclass(frozen=True)
class CCA:
    """A fitted baseline.

    Attributes:
        settings: as chosen.
        validation: R@1 of both directions added, percent, of every setting tried.
        test: scores on the test split.

    """

    settings: CCASettings
    validation: dict[CCASettings, float] = field(repr=False)
    test: CrossModalScores


def tuned_cca(corpus: Corpus, images: ImageInput) -> CCA:
    """Fit on the training split, choose by the validation split, score on the test split.

    Args:
        corpus: images and captions in three splits.
        images: a frozen backbone with weights, or a file of features.

    Raises:
        ValueError: a backbone that is trained along, which has no fixed features; no word that
            occurs in three captions.

    """
    if images.features is None and not images.frozen:
        raise ValueError(f"tuned_cca: expected frozen features, got {images}")
    source = ImageSource(images, Path(images.cache) if images.cache else None)
    features = {split.name: _features(source, split) for split in corpus.splits}
    weigh, image_mean, text_mean, covariances = _learnt(corpus.train, features["train"])
    between, of_images, of_words = covariances

    def scores(split: CaptionedImages, maps: tuple[Matrix, Matrix]) -> CrossModalScores:
        seen = (features[split.name] - image_mean) @ maps[0]
        told = weigh.transform(split.captions) @ maps[1] - text_mean @ maps[1]
        image_of = np.asarray(split.image_of_caption)
        return evaluate_cross_modal(seen, told, np.arange(len(seen)), image_of)

    validation: dict[CCASettings, float] = {}
    maps_of: dict[CCASettings, tuple[Matrix, Matrix]] = {}
    for ridges in product(RIDGES, RIDGES):
        roots = _inverse_root(of_images, ridges[0]), _inverse_root(of_words, ridges[1])
        left, correlation, right = np.linalg.svd(roots[0] @ between @ roots[1], full_matrices=False)
        for width, power in product(sorted({min(w, len(correlation)) for w in WIDTHS}), POWERS):
            weight = correlation[:width] ** power
            maps = roots[0] @ left[:, :width] * weight, roots[1] @ right[:width].T * weight
            sides = scores(corpus.validation, maps)
            total = sides.image_to_text.recall[1] + sides.text_to_image.recall[1]
            settings = CCASettings(*ridges, width, power)
            validation[settings] = total
            if total == max(validation.values()):
                maps_of = {settings: maps}  # of the best so far
    ((settings, maps),) = maps_of.items()
    return CCA(settings, validation, scores(corpus.test, maps))


def _features(source: ImageSource, split: CaptionedImages) -> Matrix:
    """(images, dim) features of the plain pictures."""
    features: Any = source.pictures(split)
    return np.asarray(features(np.arange(len(split.image_names))), np.float64)


def _learnt(split: CaptionedImages, features: Matrix) -> tuple[Any, Matrix, Matrix, list[Any]]:
    """tf-idf of the training captions, means over all pairs, and what they covary by.

    The covariance between the modalities as it is, those within as eigenvalues and eigenvectors.
    """
    from scipy.sparse import csr_matrix
    from sklearn.feature_extraction.text import TfidfVectorizer

    weigh = TfidfVectorizer(analyzer=words, min_df=MIN_CAPTIONS, sublinear_tf=True)
    text = weigh.fit_transform(split.captions).astype(np.float64)
    pairs, image_of = text.shape[0], np.asarray(split.image_of_caption)
    belongs = csr_matrix((np.ones(pairs), (image_of, np.arange(pairs))), (len(features), pairs))
    captions = np.asarray(belongs.sum(1))  # of each image
    image_mean = (features * captions).sum(0) / pairs
    text_mean = np.asarray(text.mean(0)).ravel()
    centred = features - image_mean
    between = centred.T @ (belongs @ text).toarray() / pairs
    of_images = np.linalg.eigh((centred * captions).T @ centred / pairs)
    of_words = np.linalg.eigh((text.T @ text).toarray() / pairs - np.outer(text_mean, text_mean))
    return weigh, image_mean, text_mean, [between, of_images, of_words]


def _inverse_root(covariance: tuple[Matrix, Matrix], ridge: float) -> Matrix:
    """Of a covariance, given by eigenvalues and eigenvectors, with a ridge."""
    values, vectors = covariance
    held = values.clip(0) + ridge * values.mean()
    return np.asarray(vectors / np.sqrt(held) @ vectors.T)
