"""The tuned linear baseline: against two formulas of CCA, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kit.compared import cca
from kit.compared.cca import tuned_cca
from kit.data.pairs import CaptionedImages, Corpus
from kit.metrics import evaluate_cross_modal
from kit.retrieval.images import ImageInput

WORDS = ["red", "green", "blue", "circle", "square", "star", "small", "large", "left", "right"]
CORPUS_IMAGES = {"train": 90, "validation": 30, "test": 30}


def no_picture(index: int) -> None:
    raise AssertionError("features come from a file")


@pytest.fixture(scope="module")
def corpus_and_images(tmp_path_factory: pytest.TempPathFactory) -> tuple[Corpus, ImageInput]:
    """Images are what two captions of four words each say, mixed, with noise."""
    draw = np.random.default_rng(0)
    mix, names, feats, splits = draw.normal(size=(10, 12)), [], [], []
    for name, count in CORPUS_IMAGES.items():
        told = [draw.choice(10, 4, replace=False) for _ in range(count)]
        own = [f"{name}{number}" for number in range(count)]
        feats += [mix[rows].sum(0) + 0.5 * draw.normal(size=12) for rows in told]
        names += own
        captions = [" ".join(WORDS[w] for w in rows) for rows in told for _ in range(2)]
        images = np.repeat(np.arange(count), 2).tolist()
        splits.append(CaptionedImages(name, own, list(range(count)), captions, images, no_picture))
    path = tmp_path_factory.mktemp("features") / "features.npz"
    np.savez(path, files=np.array(names), feat=np.array(feats, np.float32))
    return Corpus("words", *splits), ImageInput(features=str(path))


def test_it_finds_what_is_linear_and_chooses_on_validation(
    corpus_and_images: tuple[Corpus, ImageInput],
) -> None:
    found = tuned_cca(*corpus_and_images)
    assert found.test.image_to_text.recall[1] > 60  # chance: 3
    assert found.test.text_to_image.recall[1] > 60
    assert found.validation[found.settings] == max(found.validation.values())
    assert len(found.validation) == len(cca.RIDGES) ** 2 * len(cca.POWERS)  # 10 words: one width
    assert {one.width for one in found.validation} == {10}


def test_maps_are_canonical_directions(
    corpus_and_images: tuple[Corpus, ImageInput], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without weighting, mapped modalities have unit variance (with the ridge) and s_k between."""
    corpus, images = corpus_and_images
    monkeypatch.setattr(cca, "RIDGES", (1.0,))
    monkeypatch.setattr(cca, "POWERS", (0.0,))
    seen = []

    def spy(image_features, text_features, *labels):  # type: ignore[no-untyped-def]
        seen.append((image_features, text_features))
        return evaluate_cross_modal(image_features, text_features, *labels)

    monkeypatch.setattr(cca, "evaluate_cross_modal", spy)
    tuned_cca(corpus, images)
    # By the other road: the generalised eigenproblem of the training pairs.
    from scipy.linalg import eigh
    from sklearn.feature_extraction.text import TfidfVectorizer

    arrays = np.load(str(images.features))
    row = {name: number for number, name in enumerate(arrays["files"].tolist())}
    x = arrays["feat"][[row[name] for name in corpus.train.image_names]].astype(float)
    x = x[np.asarray(corpus.train.image_of_caption)]
    weigh = TfidfVectorizer(analyzer=str.split, min_df=3, sublinear_tf=True)
    y = weigh.fit_transform(corpus.train.captions).toarray()
    mean_x, mean_y = x.mean(0), y.mean(0)
    x, y = x - mean_x, y - mean_y
    cxx, cyy, cxy = x.T @ x / len(x), y.T @ y / len(y), x.T @ y / len(x)
    cxx += np.trace(cxx) / len(cxx) * np.eye(len(cxx))
    cyy += np.trace(cyy) / len(cyy) * np.eye(len(cyy))
    squares, directions = eigh(cxy @ np.linalg.solve(cyy, cxy.T), cxx)
    directions = directions[:, ::-1][:, : cyy.shape[0]]
    test = arrays["feat"][[row[name] for name in corpus.test.image_names]].astype(float) - mean_x
    mapped, expected = seen[-1][0], test @ directions
    signs = np.sign((mapped * expected).sum(0))
    np.testing.assert_allclose(mapped, expected * signs, rtol=1e-4, atol=1e-5)
    assert (np.sqrt(squares[::-1][:3]) < 1).all()


def test_features_that_move_are_refused(corpus_and_images: tuple[Corpus, ImageInput]) -> None:
    with pytest.raises(ValueError, match=r"tuned_cca: expected frozen features, got ImageInput"):
        tuned_cca(corpus_and_images[0], ImageInput(weights=str(Path("w.pth"))))
