"""Retrieval by cosine similarity: recall@K, median rank, mAP in two conventions, precision-recall.

An item of the gallery is relevant to a query ("a positive") when their labels are equal; a query
may have any number of positives. An irrelevant item with the same score as a positive ranks before
it, so that scores do not depend on the order of the gallery and a collapsed model cannot look good.

Everything follows from the ranks of the positives, r_0 < r_1 < ... (from 1), of each query:

* recall@K: the share of queries with r_0 <= K; median rank: of r_0
* AP = mean over j of (j + 1) / r_j
* AP_cmpm = mean over j of j / r_j, where r_0 = 1 counts 1: a hit does not count itself unless it
  is first. This is the convention that fits the mAP of the ITMeetsAL paper's Tables 4-6; with one
  positive it equals recall@1, with five it is at most 74.33 percent.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kit.arguments import checked
from kit.checks import check_unique, check_whole
from kit.metrics import arrays
from kit.metrics.arrays import Features, Floats, Integers, Labels
from kit.metrics.ranks import Ranks, Side, ranks_both_ways, ranks_of_positives

RECALL_LEVELS = np.linspace(0, 1, 11)
# Rows of these are divided by their norms in float32, where that holds the norms.
NARROW = ("float16", "bfloat16", "float32")


class Curve(NamedTuple):
    """`recall` and `precision` (gallery,) at ranks 1, 2, ...: means over queries, from 0 to 1.

    Recall is here the share of a query's positives found so far, as in a precision-recall curve.
    """

    recall: Floats
    precision: Floats


class PerQuery(NamedTuple):
    """What each query with positives got, for paired comparisons of two models; arrays (queries,).

    `query` is the row of the query features, ascending; `positives` how many positives it has;
    `best_rank` the best one's rank, from 1; `average_precision` and `average_precision_cmpm` in
    percent; `tied` whether an irrelevant item has the best positive's score.
    """

    query: Integers
    positives: Integers
    best_rank: Integers
    average_precision: Floats
    average_precision_cmpm: Floats
    tied: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class RetrievalScores:
    """Scores of one direction: means over the queries that have a positive (of folds: over folds).

    Attributes:
        recall: percent of queries with a positive among the first K, by K.
        median_rank: median rank of the best positive, from 1.
        map: mean average precision, percent.
        map_cmpm: the same where a hit does not count itself unless it is first, percent.
        curve: mean recall and mean precision at each rank, 0 to 1.
        tied_share: share of queries whose best positive ties with an irrelevant item, 0 to 1.
        queries_without_positive: rows of the query features that no score includes.
        per_query: the numbers behind the means.

    """

    recall: dict[int, float]
    median_rank: float
    map: float
    map_cmpm: float
    curve: Curve = field(repr=False)
    tied_share: float
    queries_without_positive: tuple[int, ...] = field(repr=False)
    per_query: PerQuery = field(repr=False)

    @property
    def interpolated(self) -> Floats:
        """(11,) best precision on the mean curve at recall of at least 0, 0.1, ..., 1."""
        best_from_here = np.maximum.accumulate(self.curve.precision[::-1])[::-1]
        # A mean of shares such as 1/3 may miss 1 by a rounding.
        return best_from_here[np.searchsorted(self.curve.recall, RECALL_LEVELS - 1e-9)]

    @property
    def area(self) -> float:
        """Under the mean curve, by trapezoids; it starts at recall 0 with the first precision."""
        recall, precision = self.curve
        return float(np.trapezoid(np.insert(precision, 0, precision[0]), np.insert(recall, 0, 0.0)))


@dataclass(frozen=True, eq=False)
class CrossModalScores:
    """Images as queries among texts, and texts as queries among images."""

    image_to_text: RetrievalScores
    text_to_image: RetrievalScores


@checked
def evaluate_retrieval(
    query_features: Features,
    gallery_features: Features,
    query_labels: Labels,
    gallery_labels: Labels,
    *,
    ks: Sequence[int] = (1, 5, 10),
) -> RetrievalScores:
    """Score each query's ranking of the gallery by cosine similarity.

    Products are float32 (never tf32), on the GPU where a side is there. Neither the score matrix
    nor a copy of the features is ever whole in memory.

    Args:
        query_features: (queries, dim), numpy or torch, any real dtype; rows of any length but 0.
        gallery_features: (gallery, dim), likewise.
        query_labels: (queries,) integers.
        gallery_labels: (gallery,) integers; equal labels are relevant to each other.
        ks: the K of recall@K, each in 1..gallery.

    Returns:
        The means over all queries that have a positive; the others are listed.

    Raises:
        ValueError: features that are not two-dimensional, are empty or of unequal width; a row that
            is zero or not finite; labels that are not one integer per row; a K outside 1..gallery;
            no query with a positive.

    A list whose second, fourth and fifth item are relevant has AP = (1/2 + 2/4 + 3/5) / 3 and
    AP_cmpm = (0/2 + 1/4 + 2/5) / 3:

    >>> gallery = np.array([[1, 0], [4, 1], [3, 1], [2, 1], [1, 1]])
    >>> scores = evaluate_retrieval(np.array([[5, 0]]), gallery, [1], [0, 1, 0, 1, 1], ks=(1, 2))
    >>> scores.recall, round(scores.map, 4), round(scores.map_cmpm, 4)
    ({1: 0.0, 2: 100.0}, 53.3333, 21.6667)

    """
    sides = {"query": (query_features, query_labels), "gallery": (gallery_features, gallery_labels)}
    return scores_one_way("evaluate_retrieval", ks, **sides)


def scores_one_way(
    name: str, ks: Sequence[int], **sides: tuple[Features, Labels]
) -> RetrievalScores:
    """`evaluate_retrieval`, as part of the function `name`; sides are `query` and `gallery`."""
    queries, gallery = _sides(name, **sides)
    _check_ks(name, ks, len(gallery.order))
    ranks = ranks_of_positives(queries, gallery)
    return _scores(ks, len(queries.order), len(gallery.order), [ranks])


@checked
def evaluate_cross_modal(
    image_features: Features,
    text_features: Features,
    image_labels: Labels,
    text_labels: Labels,
    *,
    ks: Sequence[int] = (1, 5, 10),
    fold_size: int | None = None,
) -> CrossModalScores:
    """`evaluate_retrieval` in both directions from one pass over the products.

    Args:
        image_features: (images, dim), as in `evaluate_retrieval`.
        text_features: (texts, dim).
        image_labels: (images,) integers.
        text_labels: (texts,) integers.
        ks: the K of recall@K, each at most the number of images and of texts (of a fold).
        fold_size: with a number, consecutive blocks of that many images, each with the texts of
            its images' labels, are scored apart and the means over these folds are returned
            (COCO's five folds of 1K: 1000). `interpolated` and `area` are then those of the mean
            curve, `per_query` holds the queries of all folds.

    Raises:
        ValueError: as `evaluate_retrieval`; a `fold_size` that does not divide the number of
            images; with it, a text whose label's images lie in two folds, or that has none.

    """
    name = "evaluate_cross_modal"
    images, texts = _sides(
        name, image=(image_features, image_labels), text=(text_features, text_labels)
    )
    folds = [(images, texts)] if fold_size is None else _folds(name, images, texts, fold_size)
    _check_ks(name, ks, min(len(side.order) for fold in folds for side in fold))
    most_images = max(len(fold_images.order) for fold_images, _ in folds)
    most_texts = max(len(fold_texts.order) for _, fold_texts in folds)
    ranks = [ranks_both_ways(*fold) for fold in folds]
    return CrossModalScores(
        _scores(ks, len(images.order), most_texts, [to_texts for to_texts, _ in ranks]),
        _scores(ks, len(texts.order), most_images, [to_images for _, to_images in ranks]),
    )


def _scores(
    ks: Sequence[int], queries: int, size: int, folds: Sequence[Iterable[Ranks]]
) -> RetrievalScores:
    """Means over folds of the means over queries of what follows from the positives' ranks.

    The curve has `size` ranks: where a fold has fewer items, nothing relevant comes after them.
    """
    parts, curves = [], []
    for blocks in folds:
        found, recalled = np.zeros(size), np.zeros(size)
        of_blocks = []
        for block in blocks:
            index = block.ranks - 1
            found += np.bincount(index, minlength=size)
            recalled += np.bincount(index, np.repeat(1 / block.sizes, block.sizes), minlength=size)
            of_blocks.append(_per_query(block))
        part = _joined(of_blocks)
        precision = np.cumsum(found) / np.arange(1, size + 1) / len(part.query)
        curves.append((np.cumsum(recalled) / len(part.query), precision))
        parts.append(part)
    per_query = _joined(parts)
    return RetrievalScores(
        recall={int(k): _mean(100 * np.mean(part.best_rank <= k) for part in parts) for k in ks},
        median_rank=_mean(np.median(part.best_rank) for part in parts),
        map=_mean(part.average_precision.mean() for part in parts),
        map_cmpm=_mean(part.average_precision_cmpm.mean() for part in parts),
        curve=Curve(*np.mean(curves, axis=0)),
        tied_share=_mean(part.tied.mean() for part in parts),
        queries_without_positive=tuple(np.setdiff1d(np.arange(queries), per_query.query).tolist()),
        per_query=per_query,
    )


def _mean(of_folds: Iterable[np.floating]) -> float:
    return float(np.mean(list(of_folds)))


def _per_query(block: Ranks) -> PerQuery:
    starts = np.cumsum(block.sizes) - block.sizes
    before = np.arange(len(block.ranks)) - np.repeat(starts, block.sizes)  # positives ranked before
    precision = (before + 1) / block.ranks
    cmpm = np.where(block.ranks == 1, 1.0, before / block.ranks)
    return PerQuery(
        query=block.queries,
        positives=block.sizes,
        best_rank=block.ranks[starts],
        average_precision=100 * (np.add.reduceat(precision, starts) / block.sizes),
        average_precision_cmpm=100 * (np.add.reduceat(cmpm, starts) / block.sizes),
        tied=block.tied,
    )


def _joined(parts: Sequence[PerQuery]) -> PerQuery:
    ascending = np.argsort(np.concatenate([part.query for part in parts]))
    fields: list[Any] = [np.concatenate(field)[ascending] for field in zip(*parts, strict=True)]
    return PerQuery(*fields)


def _folds(name: str, images: Side, texts: Side, fold_size: int) -> list[tuple[Side, Side]]:
    """Blocks of consecutive images, each with the texts of its labels."""
    check_whole(name, at_least=1, fold_size=fold_size)
    count = len(images.order)
    if count % fold_size:
        raise ValueError(f"{name}: fold_size must divide {count} images, got {fold_size}")
    blocks = [images.part(images.order // fold_size == fold) for fold in range(count // fold_size)]
    folds = [(block, texts.part(np.isin(texts.labels, block.labels))) for block in blocks]
    times = np.bincount(
        np.concatenate([block.order for _, block in folds]), minlength=len(texts.order)
    )
    if (times != 1).any():
        text = int((times != 1).argmax())
        found = f"text {text} in {times[text]}"
        raise ValueError(
            f"{name}: fold_size needs each text in one fold, by its label, got {found}"
        )
    return folds


def _sides(name: str, **sides: tuple[Features, Labels]) -> tuple[Side, Side]:
    """Check both sides' input; sort their items by label and measure their rows."""
    read = {side: _side(name, side, *given) for side, given in sides.items()}
    one, other = read.values()
    if one.features.shape[1] != other.features.shape[1]:
        shapes = (f"{side}_features {tuple(it.features.shape)}" for side, it in read.items())
        raise ValueError(f"{name}: {' and '.join(shapes)} must have the same width")
    if not np.isin(one.labels, other.labels).any():
        names = " and ".join(f"{side}_labels" for side in read)
        raise ValueError(f"{name}: expected a label that {names} have in common, got none")
    return one, other


@torch.no_grad()
def _side(name: str, side: str, given: Features, labels: Labels) -> Side:
    features = arrays.features_of(name, f"{side}_features", given)
    own_labels = arrays.integer_labels(name, f"{side}_labels", labels, len(features))
    parts = (arrays.as_tensor(features[at : at + 4096]) for at in range(0, len(features), 4096))
    largest, norms = torch.cat([_lengths(part.double()).cpu() for part in parts], dim=1)
    arrays.refuse_rows(name, f"{side}_features", "not finite", ~largest.isfinite().numpy())
    arrays.refuse_rows(name, f"{side}_features", "zero", (norms == 0).numpy())
    arrays.refuse_rows(name, f"{side}_features", "longer than 1e308", norms.isinf().numpy())
    kind = str(features.dtype).removeprefix("torch.")
    narrow = kind in NARROW and norms.min() > 1e-30 and norms.max() < 1e30
    order = np.argsort(own_labels, kind="stable").astype(np.int64)
    dtype = torch.float32 if narrow else torch.float64
    return Side(features, norms, order, own_labels[order], dtype)


def _lengths(rows: Tensor) -> Tensor:
    """(2, rows) largest number and Euclidean norm of each row of float64, however large or small.

    Rows are scaled by a power of two, which is exact: the squares of 1e200 would be infinite.
    """
    largest = torch.linalg.vector_norm(rows, torch.inf, dim=1)
    exponents = torch.frexp(largest).exponent.clamp(-1000, 1000).double()
    scaled = torch.linalg.vector_norm(rows * torch.exp2(-exponents)[:, None], dim=1)
    return torch.stack([largest, scaled * torch.exp2(exponents)])


def _check_ks(name: str, ks: Sequence[int], size: int) -> None:
    """Every K one that the gallery can fill, and none twice."""
    if len(ks) == 0 or min(ks) < 1 or max(ks) > size:
        items = f"as many as there are items to rank, got {tuple(ks)}"
        raise ValueError(f"{name}: ks must be whole numbers in 1..{size}, {items}")
    check_unique(name, ks=ks)
