"""Pictures with their sentences, and what was retrieved: hits and misses (the paper's Figure 8)."""

from __future__ import annotations

import html
from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kit.arguments import checked
from kit.figures.look import HIT, MISS, Html, beside, page, png

HEIGHT = 96  # of a picture, in pixels of the screen
Picture = NDArray[np.uint8]
Item = str | Picture
Items = Sequence[Item] | Picture  # several pictures of one size may be one array


@checked
def captioned_pictures(pictures: Items, captions: Sequence[Sequence[str]], *, title: str) -> Html:
    """Show pictures, each beside what is said of it.

    Args:
        pictures: (height, width, 3) uint8 each.
        captions: for each picture its sentences.
        title: what one sees.

    Raises:
        ValueError: no picture, lengths that disagree, a picture that is none.

    """
    if len(pictures) == 0 or len(pictures) != len(captions):
        raise ValueError(
            "captioned_pictures: expected at least one picture, and captions for each, got "
            f"{len(pictures)} pictures and {len(captions)} lists of captions"
        )
    rows = []
    for at, (picture, said) in enumerate(zip(pictures, captions, strict=True)):
        where = f"captioned_pictures: picture {at}"
        sentences = "".join(f"<div>{html.escape(sentence)}</div>" for sentence in said)
        rows.append(_row(_shown(picture, where), sentences, stacked=True))
    return page(title, *rows)


@checked
def retrieval_gallery(
    queries: Items,
    retrieved: Sequence[Items] | Picture,
    hits: Sequence[Sequence[bool]] | NDArray[np.bool_],
    *,
    title: str = "The first items retrieved",
) -> Html:
    """Show each query with its first items in the order of the ranking, hits marked.

    Works in both directions: images that find sentences, sentences that find images.

    Args:
        queries: sentences, or pictures (height, width, 3) uint8.
        retrieved: for each query its first items, best first, likewise.
        hits: for each of these whether it is relevant; shown by colour and by ✓ or ✗.
        title: what one sees.

    Raises:
        ValueError: no query, lengths that disagree, an item that is neither.

    """
    for which, lists in (("retrieved", retrieved), ("hits", hits)):
        if not all(isinstance(one, Collection) and not isinstance(one, str) for one in lists):
            raise ValueError(f"retrieval_gallery: {which} must hold a list for each query")
    if len(queries) == 0 or not len(queries) == len(retrieved) == len(hits):
        raise ValueError(
            "retrieval_gallery: expected at least one query, and items and hits for each, got "
            f"{len(queries)} queries, {len(retrieved)} lists of items, {len(hits)} lists of hits"
        )
    rows = []
    for at, (query, items, right) in enumerate(zip(queries, retrieved, hits, strict=True)):
        if len(items) == 0 or len(items) != len(right):
            raise ValueError(
                f"retrieval_gallery: query {at}: expected one hit or miss for each of its items, "
                f"got {len(right)} for {len(items)}"
            )
        where = f"retrieval_gallery: query {at}"
        cells = "".join(
            _ranked(item, bool(hit), rank, where)
            for rank, (item, hit) in enumerate(zip(items, right, strict=True), start=1)
        )
        sentences = isinstance(items[0], str)
        rows.append(_row(_shown(query, where), cells, stacked=sentences))
    found = sum(bool(hit) for right in hits for hit in right)
    caption = (
        f'<div style="margin-bottom:8px"><span style="color:{HIT}">✓ relevant</span> &nbsp; '
        f'<span style="color:{MISS}">✗ not relevant</span> &nbsp; '
        f"{found} of {sum(len(right) for right in hits)} shown items are relevant</div>"
    )
    return page(title, caption, *rows)


def _row(query: str, cells: str, *, stacked: bool) -> str:
    """A query on the left; sentences below each other, pictures side by side."""
    flow = f"display:flex;flex-direction:{'column' if stacked else 'row'};flex-wrap:wrap;gap:6px"
    return beside(query, f'<div style="{flow}">{cells}</div>', 170)


def _ranked(item: Item, hit: bool, rank: int, where: str) -> str:
    """An item with its rank, in the colour and with the mark of a hit or of a miss."""
    mark, tone = ("✓", HIT) if hit else ("✗", MISS)
    sign = f'<b style="color:{tone}">{rank} {mark}</b>'
    shown = _shown(item, where)
    if isinstance(item, str):
        return (
            f'<div style="border-left:4px solid {tone};padding-left:8px">{sign}&ensp;{shown}</div>'
        )
    return (
        f'<div style="text-align:center"><div style="border:4px solid {tone};line-height:0">'
        f"{shown}</div>{sign}</div>"
    )


def _shown(item: Item, where: str) -> str:
    if isinstance(item, str):
        return html.escape(item)
    picture = np.asarray(item)
    if (
        picture.dtype != np.uint8
        or picture.ndim != 3
        or picture.shape[2] != 3
        or 0 in picture.shape
    ):
        raise ValueError(
            f"{where}: expected sentences or pictures of shape "
            f"(height, width, 3) and dtype uint8, got {picture.shape} and {picture.dtype}"
        )
    image = Image.fromarray(picture)
    # Twice the height for screens of high density; a photograph in full would weigh megabytes.
    image.thumbnail((100 * HEIGHT, 2 * HEIGHT))
    return (
        f'<img alt="picture" src="{png(image)}" '
        f'style="height:{HEIGHT}px;max-width:100%;object-fit:contain">'
    )
