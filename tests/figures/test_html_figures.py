from __future__ import annotations

import base64
import io
import math
import re
import subprocess
import sys

import numpy as np
import plotly.io as pio
import pytest
from numpy.typing import NDArray
from PIL import Image

from kit import figures
from kit.figures import ResultRow, captioned_pictures, results_table, retrieval_gallery
from kit.figures.look import HIT, MISS
from kit.lessons import tables as published


def picture(seed: int, height: int = 8, width: int = 12) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


SENTENCES = ["a dog", "a <b>cat</b> & a mouse", "two birds"]


def embedded(html: str) -> list[NDArray[np.uint8]]:
    found = re.findall(r'src="data:image/png;base64,([^"]+)"', html)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))) for data in found]


def test_images_find_sentences() -> None:
    shown = retrieval_gallery([picture(0)], [SENTENCES], [[True, False, True]])
    html = shown._repr_html_()
    assert [*re.findall(r"(\d [✓✗])</b>", html)] == ["1 ✓", "2 ✗", "3 ✓"]
    assert html.count(f"border-left:4px solid {HIT}") == 2
    assert html.count(f"border-left:4px solid {MISS}") == 1
    assert "a &lt;b&gt;cat&lt;/b&gt; &amp; a mouse" in html
    assert "<b>cat" not in html
    assert "2 of 3 shown items are relevant" in html
    (query,) = embedded(html)
    np.testing.assert_array_equal(query, picture(0))


def test_sentences_find_images() -> None:
    pictures = [picture(at) for at in range(5)]
    html = retrieval_gallery(
        ["a dog", "a cat"],
        [pictures, pictures[::-1]],
        [[at == 2 for at in range(5)], [at == 0 for at in range(5)]],
    ).html
    for got, put in zip(embedded(html), pictures + pictures[::-1], strict=True):
        np.testing.assert_array_equal(got, put)
    assert html.count(f"border:4px solid {HIT}") == 2
    assert html.count(f"border:4px solid {MISS}") == 8
    assert "http" not in html


def test_arrays_of_pictures_and_hits_are_taken_as_they_are() -> None:
    pictures = np.stack([picture(at) for at in range(3)])
    html = retrieval_gallery(
        pictures, pictures[None, :2].repeat(3, 0), np.eye(3, 2, dtype=bool)
    ).html
    assert len(embedded(html)) == 9
    assert html.count(f"border:4px solid {HIT}") == 2


def test_large_pictures_are_embedded_at_twice_the_height_of_the_screen() -> None:
    html = retrieval_gallery([picture(0, 300, 400)], [["a"]], [[True]]).html
    assert embedded(html)[0].shape == (192, 256, 3)


def test_pictures_stand_beside_their_sentences() -> None:
    said = [SENTENCES, ["alone"]]
    html = captioned_pictures([picture(0), picture(1)], said, title="Two <pictures>").html
    for got, put in zip(embedded(html), [picture(0), picture(1)], strict=True):
        np.testing.assert_array_equal(got, put)
    assert [html.index(text) for text in ("a dog", "two birds", "alone")] == sorted(
        html.index(text) for text in ("a dog", "two birds", "alone")
    )
    assert "a &lt;b&gt;cat" in html
    assert "Two &lt;pictures&gt;" in html
    with pytest.raises(ValueError, match=r"captioned_pictures: .* got 2 pictures and 1 lists of"):
        captioned_pictures([picture(0), picture(1)], [SENTENCES], title="")
    with pytest.raises(ValueError, match=r"captioned_pictures: expected at least one picture"):
        captioned_pictures([], [], title="")
    with pytest.raises(ValueError, match=r"captioned_pictures: picture 0: .* uint8, got \(8, 12\)"):
        captioned_pictures([picture(0)[..., 0]], [SENTENCES], title="")


def test_gallery_errors_are_named() -> None:
    with pytest.raises(ValueError, match=r"retrieval_gallery: expected at least one query"):
        retrieval_gallery([], [], [])
    with pytest.raises(ValueError, match=r"got 1 queries, 2 lists of items, 1 lists of hits"):
        retrieval_gallery(["q"], [["a"], ["b"]], [[True]])
    with pytest.raises(ValueError, match=r"query 0: expected one hit .* got 1 for 3"):
        retrieval_gallery(["q"], [SENTENCES], [[True]])
    with pytest.raises(ValueError, match=r"query 0: .* uint8, got \(8, 12, 3\) and float64"):
        retrieval_gallery([picture(0) / 255], [SENTENCES], [[True] * 3])  # type: ignore[list-item]
    with pytest.raises(ValueError, match=r"query 0: .* got 0 for 0"):
        retrieval_gallery(["q"], [[]], [[]])
    with pytest.raises(ValueError, match=r"query 0: .* got \(8, 12\) and uint8"):
        retrieval_gallery(["q"], [[picture(0)[:, :, 0]]], [[True]])


def test_results_stand_beside_the_papers_row_in_grey() -> None:
    row = published.itmeetsal_table(3).row("Our ITMeetsAL", "MobileNet")
    html = results_table(
        ["R@1 (%)", "R@5 (%)", "R@10 (%)"],
        [
            ResultRow("ours <frozen>", (28.25, 54.0, None)),
            ResultRow(", ".join(row.keys), row.values, from_paper=True),
        ],
        title="Flickr8K",
        notes=["One seed & no claim."],
    ).html
    ours, paper = re.findall(r"<tr>(.*?)</tr>", html)[1:]
    assert re.findall(r">([^<>]*)</td>", ours) == ["ours &lt;frozen&gt;", "28.2", "54.0", "–"]
    assert ours.count("text-align:right") == 3
    assert "opacity" not in ours
    assert paper.count("opacity") == 4
    assert "<i>(paper)</i>" in paper
    assert re.findall(r">([^<>]*)</td>", paper)[1:] == ["30.9", "58.6", "70.8"]
    assert "One seed &amp; no claim." in html


def test_spreads_stand_beside_their_numbers() -> None:
    row = ResultRow("ours", (28.25, None, 3.0), spreads=(1.26, 2.0, None))
    html = results_table(["a", "b", "c"], [row], title="t").html
    assert re.findall(r">([^<>]*)</td>", html) == ["ours", "28.2 ± 1.3", "–", "3.0"]


def test_results_errors_are_named() -> None:
    with pytest.raises(ValueError, match=r"row 'ours': expected 1 spreads, got 2"):
        results_table(["R@1"], [ResultRow("ours", (1.0,), spreads=(1.0, 2.0))], title="t")
    with pytest.raises(ValueError, match=r"row 'ours': expected finite numbers, got inf"):
        results_table(["R@1"], [ResultRow("ours", (1.0,), spreads=(math.inf,))], title="t")
    with pytest.raises(ValueError, match=r"results_table: expected at least one row"):
        results_table(["R@1"], [], title="t")
    with pytest.raises(ValueError, match=r"row 'ours': expected 1 values, got 2"):
        results_table(["R@1"], [ResultRow("ours", (1.0, 2.0))], title="t")
    with pytest.raises(ValueError, match=r"row 'ours': expected finite numbers, got nan"):
        results_table(["R@1"], [ResultRow("ours", (math.nan,))], title="t")


def test_importing_the_room_sets_the_renderer_and_hides_the_upload_button() -> None:
    assert figures.Html is not None
    assert pio.renderers.default == "plotly_mimetype"
    config = pio.renderers["plotly_mimetype"].config
    assert config == {"showSendToCloud": False, "displaylogo": False}


def test_figures_and_tables_import_without_torch_and_the_heavy_libraries() -> None:
    code = (
        "import sys, kit.figures, kit.lessons.tables; "
        "print([n for n in ('torch', 'sklearn', 'umap', 'numba') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_line_over_seeds() -> None:
    row = ResultRow.over_seeds("AMID", [[1.0, None], [2.0, None], [6.0, None]])
    assert (row.label, row.values, row.spreads) == ("AMID, 3 seeds", [3.0, None], [7**0.5, None])
    once = ResultRow.over_seeds("AMID", [[1.0, None]])
    assert (once.label, once.values, once.spreads) == ("AMID, 1 seed", [1.0, None], None)


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        ([], r"at least one seed, .* got \[\]"),
        ([[1.0], [1.0, 2.0]], r"as many numbers, got \[1, 2\]"),
        ([[1.0], [None]], r"'AMID': a column lacks some of the seeds"),
    ],
)
def test_a_line_over_seeds_refuses(runs: list[list[float | None]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ResultRow.over_seeds("AMID", runs)
