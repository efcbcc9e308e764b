"""Feature vectors in two dimensions: PCA, t-SNE, UMAP, each epoch's map from the last one's."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kit.arguments import checked
from kit.figures.look import float32

Points = NDArray[np.float32]

FEWEST_ROWS = 4
LARGEST = 1e15  # features beyond it have squares that float32 cannot sum
# How many neighbours count (t-SNE's perplexity, UMAP's n_neighbors); never more than a third of the
# other rows, for UMAP never less than two.
NEIGHBOURS = 15.0
ONE_THREAD_BELOW = 2000  # rows; below, the threads of scikit-learn wait for each other


@checked
def project(
    features: ArrayLike, method: str = "pca", *, initial: ArrayLike | None = None, seed: int = 0
) -> Points:
    """Draw feature vectors in the plane: neighbours there are near each other here.

    Distances are Euclidean: give unit rows where the cosine counts. t-SNE and UMAP first take the
    50 main axes of wider features. The map is turned, mirrored and shifted onto `initial`, which
    changes no distance in it.

    Args:
        features: (rows, dim), at least 4 rows, finite.
        method: ``"pca"``, ``"tsne"`` or ``"umap"``.
        initial: (rows, 2) where the points start, for instance the last epoch's map; the main axes
            if not given.
        seed: of what is drawn at random; the same seed gives the same map.

    Returns:
        (rows, 2) float32, in no unit.

    Raises:
        ValueError: features of another shape or not finite, an initial map that does not fit, an
            unknown method, a seed below 0 or above 2**32 - 1.

    >>> project([[0, 0, 0], [2, 0, 0], [0, 1, 0], [2, 1, 0]]).round(2).tolist()
    [[-1.0, -0.5], [1.0, -0.5], [-1.0, 0.5], [1.0, 0.5]]

    """
    rows = _checked(features)
    methods: dict[str, Callable[..., Points]] = {"pca": _pca, "tsne": _tsne, "umap": _umap}
    if method not in methods:
        raise ValueError(f"project: method must be one of {list(methods)}, got {method!r}")
    if not 0 <= seed < 2**32:
        raise ValueError(f"project: seed must be a whole number in 0..2**32 - 1, got {seed}")
    start = None if initial is None else float32(initial)
    if start is not None and (start.shape != (len(rows), 2) or not np.isfinite(start).all()):
        raise ValueError(
            f"project: expected a finite initial map of shape ({len(rows)}, 2), got shape "
            f"{start.shape}"
        )
    neighbours = min(NEIGHBOURS, (len(rows) - 1) / 3)
    points = methods[method](rows, start, seed, neighbours)
    return points if start is None else _turned_onto(points, start)


@checked
def project_epochs(features: Sequence[ArrayLike], method: str = "pca", *, seed: int = 0) -> Points:
    """One map per epoch, each starting where the last one ended, so that points can be followed.

    Args:
        features: for each epoch (rows, dim), the same rows in the same order.
        method: as in `project`.
        seed: as in `project`.

    Returns:
        (epochs, rows, 2) float32.

    Raises:
        ValueError: no epoch, epochs with different numbers of rows, and what `project` refuses.

    """
    counts = {len(np.atleast_1d(rows)) for rows in features}
    if len(counts) != 1:
        raise ValueError(
            "project_epochs: expected at least one epoch and the same rows in each, got "
            f"{len(features)} epochs with {sorted(counts)} rows"
        )
    maps: list[Points] = []
    for rows in features:
        initial = maps[-1] if maps else None
        maps.append(project(rows, method, initial=initial, seed=seed))
    return np.stack(maps)


def _checked(features: ArrayLike) -> NDArray[np.float64]:
    rows = np.asarray(features, dtype=np.float64)
    if rows.ndim != 2 or len(rows) < FEWEST_ROWS or rows.shape[1] == 0:
        raise ValueError(
            f"project: expected features of shape (rows, dim) with at least {FEWEST_ROWS} rows, "
            f"got {rows.shape}"
        )
    finite = (np.abs(rows) < LARGEST).all(axis=1)  # not where it is nan
    if not finite.all():
        bad = int((~finite).argmax())
        raise ValueError(f"project: features must be finite, below {LARGEST:g}, row {bad} is not")
    return rows


def _main_axes(rows: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Coordinates along the axes of largest variance, signs fixed by the largest loading."""
    centred = rows - rows.mean(axis=0)
    left, sizes, axes = np.linalg.svd(centred, full_matrices=False)
    signs = np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])
    coordinates = (left * sizes * signs)[:, :count]
    return np.pad(coordinates, ((0, 0), (0, max(0, count - coordinates.shape[1]))))


def _pca(rows: NDArray[np.float64], start: Points | None, seed: int, neighbours: float) -> Points:
    return _main_axes(rows, 2).astype(np.float32)


def _tsne(rows: NDArray[np.float64], start: Points | None, seed: int, neighbours: float) -> Points:
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    narrow = _narrow(rows)
    if start is None:
        start = _small(_main_axes(rows, 2))
        exaggeration = 12.0
    else:
        # The map is unfolded already; exaggeration would tear it and lose who is where.
        exaggeration = 1.0
    model = TSNE(
        perplexity=neighbours, init=start, early_exaggeration=exaggeration, random_state=seed
    )
    with threadpool_limits(_threads(rows)):
        points: Points = model.fit_transform(narrow)
    return points


def _umap(rows: NDArray[np.float64], start: Points | None, seed: int, neighbours: float) -> Points:
    from threadpoolctl import threadpool_limits

    with warnings.catch_warnings():
        # umap says at import that a part of it, which is not used here, needs tensorflow.
        warnings.filterwarnings("ignore", "Tensorflow not installed", ImportWarning)
        from umap import UMAP

    if start is None:
        start = _main_axes(rows, 2).astype(np.float32)
    if (np.ptp(start, axis=0) == 0).any():
        # UMAP divides the start by its extent: points on one line (collapsed features) get some.
        jitter = np.random.default_rng(seed).normal(scale=1e-4, size=start.shape)
        start = start + jitter.astype(np.float32)
    # A given random_state makes UMAP single-threaded; it warns where that is not asked for.
    model = UMAP(n_neighbors=max(2, round(neighbours)), init=start, random_state=seed, n_jobs=1)
    with threadpool_limits(_threads(rows)):
        points: Points = model.fit_transform(_narrow(rows))
    return points


def _narrow(rows: NDArray[np.float64]) -> Points:
    return _main_axes(rows, min(50, *rows.shape)).astype(np.float32)


def _small(points: NDArray[np.float64]) -> Points:
    """Scale a start for t-SNE as its authors do: a spread of 1e-4 along the first axis."""
    spread = points[:, 0].std()
    return (points / (spread or 1.0) * 1e-4).astype(np.float32)


def _threads(rows: NDArray[np.float64]) -> int | None:
    return 1 if len(rows) < ONE_THREAD_BELOW else None


def _turned_onto(points: Points, target: Points) -> Points:
    """Turn, mirror and shift `points` onto `target` with least squares (orthogonal Procrustes)."""
    here = points - points.mean(axis=0, dtype=np.float64)
    there = target.mean(axis=0, dtype=np.float64)
    left, _, right = np.linalg.svd(here.T @ (target - there))
    turned: Points = (here @ (left @ right) + there).astype(np.float32)
    return turned
