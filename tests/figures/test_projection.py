from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kit.figures import project, project_epochs, projection

Array = NDArray[np.float32]


def drifting(epochs: int = 4, pairs: int = 20, dim: int = 64) -> list[Array]:
    """Images and sentences that start apart and drift together, unit rows."""
    draw = np.random.default_rng(0)
    image, text = draw.normal(size=(2, pairs, dim))
    maps = []
    for epoch in range(epochs):
        near = 0.15 * epoch
        rows = np.concatenate([(1 - near) * image + near * text, (1 - near) * text + near * image])
        rows += 0.1 * draw.normal(size=rows.shape)
        maps.append((rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32))
    return maps


def moved(maps: Array) -> float:
    """How far points move between epochs, in units of the maps' spread."""
    spread = np.linalg.norm(maps - maps.mean(axis=1, keepdims=True), axis=2).mean()
    return float(np.linalg.norm(np.diff(maps, axis=0), axis=2).mean() / spread)


def distances(points: NDArray[Any]) -> NDArray[np.float64]:
    return np.array([np.linalg.norm(a - b) for a, b in itertools.combinations(points, 2)])


def test_pca_of_points_in_a_plane_keeps_all_distances() -> None:
    draw = np.random.default_rng(0)
    plane = draw.normal(size=(12, 2))
    axes, _ = np.linalg.qr(draw.normal(size=(7, 2)))
    points = project(plane @ axes.T + 5.0)
    assert points.shape == (12, 2)
    assert points.dtype == np.float32
    np.testing.assert_allclose(distances(points), distances(plane), atol=1e-5)
    assert points[:, 0].std() > points[:, 1].std()


def test_pca_of_one_column_lies_on_a_line() -> None:
    points = project(np.arange(5.0)[:, None])
    np.testing.assert_allclose(points[:, 1], 0)
    np.testing.assert_allclose(points[:, 0], np.arange(5.0) - 2, atol=1e-6)


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_the_same_seed_gives_the_same_map(method: str) -> None:
    rows = drifting(1)[0]
    np.testing.assert_array_equal(project(rows, method, seed=3), project(rows, method, seed=3))


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_epochs_move_less_than_fresh_maps(method: str) -> None:
    features = drifting()
    maps = project_epochs(features, method)
    fresh = np.stack([project(rows, method) for rows in features])
    assert maps.shape == (4, 40, 2)
    assert maps.dtype == np.float32
    np.testing.assert_array_equal(maps[0], fresh[0])
    assert moved(maps) < 0.7 * moved(fresh)


def test_a_map_is_turned_onto_the_initial_one_without_being_stretched() -> None:
    rows = drifting(1)[0]
    plain = project(rows)
    turn = np.array([[0.0, -1.0], [1.0, 0.0]], dtype=np.float32)
    mirror = np.array([[1.0, 0.0], [0.0, -1.0]], dtype=np.float32)
    target = plain @ turn @ mirror + 3
    np.testing.assert_allclose(project(rows, initial=target), target, atol=1e-4)
    far = project(rows, initial=100 * target)
    np.testing.assert_allclose(distances(far), distances(plain), atol=1e-3)


def test_tsne_puts_clusters_apart() -> None:
    draw = np.random.default_rng(1)
    rows = np.concatenate([draw.normal(size=(15, 8)), draw.normal(size=(15, 8)) + 20])
    points = project(rows, "tsne")
    centres = points[:15].mean(axis=0), points[15:].mean(axis=0)
    within = np.linalg.norm(points[:15] - centres[0], axis=1).max()
    assert np.linalg.norm(centres[0] - centres[1]) > within


def test_neighbours_are_never_more_than_a_third_of_the_other_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = drifting(1, pairs=5)[0]  # ten rows: at most 3
    maps = {}
    for neighbours in (15.0, 3.0, 2.0):
        monkeypatch.setattr(projection, "NEIGHBOURS", neighbours)
        maps[neighbours] = project(rows, "tsne")
    np.testing.assert_array_equal(maps[15.0], maps[3.0])
    assert not np.array_equal(maps[2.0], maps[3.0])
    assert project(rows[:4], "tsne").shape == (4, 2)


def test_tsne_of_forty_pairs_has_perplexity_15_and_starts_at_the_main_axes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[dict[str, Any]] = []

    class Asked:
        def __init__(self, **settings: Any) -> None:
            asked.append(settings)

        def fit_transform(self, rows: Array) -> Array:
            return np.zeros((len(rows), 2), np.float32)

    monkeypatch.setattr("sklearn.manifold.TSNE", Asked)
    rows = drifting(1, pairs=40)[0]
    project(rows, "tsne", seed=7)
    (settings,) = asked
    assert (settings["perplexity"], settings["random_state"]) == (15, 7)
    axes = project(rows, "pca")
    start = settings["init"] * (axes.std() / settings["init"].std())
    np.testing.assert_allclose(start, axes, atol=1e-5)


def test_collapsed_features_give_a_finite_map() -> None:
    for method in ("pca", "tsne"):
        assert np.isfinite(project(np.ones((12, 5)), method)).all()


def test_umap_is_repeatable_continuous_and_finite_for_collapsed_features() -> None:
    # One test, because umap compiles for seconds in each process.
    first, second = drifting(2, pairs=8)
    maps = project_epochs([first, second], "umap", seed=1)
    assert maps.shape == (2, 16, 2)
    assert maps.dtype == np.float32
    np.testing.assert_array_equal(maps[0], project(first, "umap", seed=1))
    fresh = np.stack([maps[0], project(second, "umap", seed=1)])
    assert moved(maps) < moved(fresh)
    assert np.isfinite(project(np.ones((6, 3)), "umap")).all()


def test_errors_are_named() -> None:
    rows = drifting(1)[0]
    with pytest.raises(ValueError, match=r"project: method must be one of .* got 'isomap'"):
        project(rows, "isomap")
    with pytest.raises(
        ValueError, match=r"project: expected features .* at least 4 rows, got \(3,"
    ):
        project(rows[:3])
    with pytest.raises(ValueError, match=r"project: expected features .* got \(64,\)"):
        project(rows[0])
    with pytest.raises(ValueError, match=r"project: expected a finite initial map .* \(40, 2\)"):
        project(rows, initial=np.zeros((39, 2)))
    with pytest.raises(ValueError, match=r"project: expected a finite initial map"):
        project(rows, initial=np.full((40, 2), np.nan))
    spoilt = rows.copy()
    spoilt[7, 3] = np.inf
    with pytest.raises(ValueError, match=r"project: features must be finite, row 7 is not"):
        project(spoilt)
    with pytest.raises(ValueError, match=r"project_epochs: .* got 2 epochs with \[39, 40\] rows"):
        project_epochs([rows, rows[:39]])
    with pytest.raises(ValueError, match=r"project_epochs: .* got 0 epochs"):
        project_epochs([])
