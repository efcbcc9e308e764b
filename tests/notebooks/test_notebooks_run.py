"""Every notebook of the repository, run headless at smoke scale, and its pages in a browser."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import datasets
import nbformat
import numpy as np
import pytest

from kit.corpora.flickr8k import CAPTIONS_FILE, IMAGE_FOLDER, SPLIT_FILES
from kit.data.pairs import Corpus
from kit.reports import find_notebooks, make_report, plan_report
from kit.worlds.scenes import scenes

FIGURE = "application/vnd.plotly.v1+json"
NAMES = [path.name for path in find_notebooks()]
TRAIN = next(path for path in find_notebooks() if path.name == "05_train.ipynb")


@pytest.fixture(scope="session")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A report of all notebooks: its folder and its summary."""
    folder = tmp_path_factory.mktemp("smoke")
    return folder, make_report(plan_report(find_notebooks(), folder, scale="smoke", given={}))


def outputs(folder: Path, name: str) -> list[Any]:
    executed = nbformat.read(next((folder / "pages").glob(f"*{name}")), as_version=4)
    return [output for cell in executed.cells for output in cell.get("outputs", [])]


@pytest.mark.parametrize("name", NAMES)
def test_notebook_runs_and_leaves_a_result(smoke: tuple[Path, dict[str, Any]], name: str) -> None:
    folder, summary = smoke
    outcome = next(o for key, o in summary["notebooks"].items() if key.endswith(name))
    assert (outcome["state"], outcome["error"]) == ("finished", None)
    assert outcome["results"]
    said = "".join(o.text for o in outputs(folder, name) if o.output_type == "stream")
    assert "Warning" not in said
    assert "Error" not in said
    shown = [o.data for o in outputs(folder, name) if "data" in o]
    assert any(FIGURE in data or "<table" in data.get("text/html", "") for data in shown)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "start_here.ipynb"])
def test_an_exercise_that_nobody_did_is_not_tried_yet(
    smoke: tuple[Path, dict[str, Any]], name: str
) -> None:
    executed = nbformat.read(next((smoke[0] / "pages").glob(f"*{name}")), as_version=4)
    (said,) = [c.outputs for c in executed.cells if "exercise" in c.metadata.get("tags", [])]
    assert [output.text for output in said] == ["not tried yet\n"]


def test_ablation_judges_every_claim(smoke: tuple[Path, dict[str, Any]]) -> None:
    folder, summary = smoke
    results = summary["notebooks"]["itmeetsal/06_ablation.ipynb"]["results"]
    verdicts = [one["verdict"] for one in results["claims"]]
    assert len(verdicts) == 15
    assert set(verdicts[:13]) <= {"held", "not held", "undecided"}  # two seeds
    assert verdicts[13:] == ["one seed, no claim"] * 2
    runs = folder / "runs/itmeetsal_06_ablation/runs"
    # Temperature 4 is the full method and is not trained again.
    assert len(list(runs.iterdir())) == 6 * 2 + 1 + 2
    tables = "".join(
        o.data.get("text/html", "")
        for o in outputs(folder, name="06_ablation.ipynb")
        if "data" in o
    )
    assert tables.count("<i>(paper)</i>") == 4 + 2 + 4
    figures = [
        o.data[FIGURE] for o in outputs(folder, "06_ablation.ipynb") if FIGURE in o.get("data", {})
    ]
    assert len(figures) == 4
    assert sum(trace.get("mode") == "markers" for trace in figures[1]["data"]) == 8  # four maps


def test_training_notebook_shows_all_its_pictures(smoke: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = smoke
    shown = [o.data for o in outputs(folder, "05_train.ipynb") if "data" in o]
    figures = [data[FIGURE] for data in shown if FIGURE in data]
    moved, curves, precision_recall, embedding = figures
    assert "classification" in moved["layout"]["yaxis"]["ticktext"]
    titles = {note["text"] for note in curves["layout"]["annotations"]}
    assert any("discriminator" in title.lower() for title in titles)
    assert len(precision_recall["data"]) == 4  # a line and its markers, in both directions
    assert [frame["name"] for frame in embedding["frames"]] == ["0", "1"]
    tables = [data["text/html"] for data in shown if "text/html" in data]
    assert sum("<svg" in table for table in tables) == 2  # Figures 4 and 7
    assert sum("✓ relevant" in table for table in tables) == 2
    assert sum("<i>(paper)</i>" in table and "30.9" in table for table in tables) == 1


def as_parquet(corpus: Corpus, folder: Path) -> dict[str, Any]:
    """The corpus as one parquet file with two caption columns."""
    rows = [(split, image) for split in corpus.splits for image in range(len(split.image_names))]
    table = datasets.Dataset.from_dict(
        {
            "photo": [split.open_image(image) for split, image in rows],
            "one": [split.captions_of(image)[0] for split, image in rows],
            "two": [split.captions_of(image)[1] for split, image in rows],
        }
    )
    table.to_parquet(folder / "corpus.parquet")
    columns = {"image_column": "photo", "caption_columns": ["one", "two"]}
    return {"corpus": str(folder / "corpus.parquet"), "shares": [0.7, 0.1, 0.2], **columns}


def as_flickr8k(corpus: Corpus, folder: Path) -> dict[str, Any]:
    """The corpus in Flickr8K's own layout."""
    (folder / IMAGE_FOLDER).mkdir()
    lines = []
    for split in corpus.splits:
        names = [f"{name}.jpg" for name in split.image_names]
        for image, name in enumerate(names):
            split.open_image(image).save(folder / IMAGE_FOLDER / name)
            said = enumerate(split.captions_of(image))
            lines += [f"{name}#{number}\t{caption}" for number, caption in said]
        (folder / SPLIT_FILES[split.name]).write_text("\n".join(names) + "\n")
    (folder / CAPTIONS_FILE).write_text("\n".join(lines) + "\n")
    return {"corpus": "flickr8k", "folder": str(folder)}


@pytest.mark.parametrize("write", [as_parquet, as_flickr8k])
def test_training_notebook_takes_other_data(write: Any, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    given = write(scenes(images=60, held_out=0.2), tmp_path / "data") | {"epochs": 1}
    plan = plan_report([TRAIN], tmp_path / "report", scale="smoke", given=given)
    (outcome,) = make_report(plan)["notebooks"].values()
    assert outcome["error"] is None
    counts = json.loads((tmp_path / "report/runs/itmeetsal_05_train/run/corpus.json").read_text())
    assert counts["counts"]["test"]["images"] == 12


@pytest.mark.parametrize("pictures", [12, 40])
def test_training_notebook_ends_with_few_test_pictures(pictures: int, tmp_path: Path) -> None:
    given = as_parquet(scenes(images=pictures), tmp_path) | {"epochs": 1, "min_word_count": 1}
    given["shares"] = [0.8, 0.1, 0.1]
    plan = plan_report([TRAIN], tmp_path / "report", scale="smoke", given=given)
    (outcome,) = make_report(plan)["notebooks"].values()
    assert outcome["error"] is None
    corpus = json.loads((tmp_path / "report/runs/itmeetsal_05_train/run/corpus.json").read_text())
    assert corpus["counts"]["test"]["images"] == pictures // 10


@pytest.mark.parametrize("tested", [1, 2])
def test_distillation_notebook_ends_with_few_test_clips_of_one_class(
    tested: int, tmp_path: Path
) -> None:
    draw, split = np.random.default_rng(0), ["train"] * 12 + ["validation"] * 2 + ["test"] * tested
    count = len(split)
    np.save(tmp_path / "video.npy", draw.integers(0, 256, (count, 8, 16, 16, 3), dtype=np.uint8))
    np.save(tmp_path / "log_mel.npy", draw.normal(size=(count, 16, 16)).astype(np.float32))
    labels = ["a", "b", "c"] * 4 + ["a"] * (count - 12)
    rows = [f"clip{n},{labels[n]},{name}" for n, name in enumerate(split)]
    (tmp_path / "items.csv").write_text("\n".join(["id,label,split", *rows]) + "\n")
    given = {"folder": str(tmp_path), "shares": [], "batch_size": 4}
    notebook = next(path for path in find_notebooks() if path.name == "04_train.ipynb")
    plan = plan_report([notebook], tmp_path / "report", scale="smoke", given=given)
    (outcome,) = make_report(plan)["notebooks"].values()
    assert outcome["error"] is None


def test_ablation_takes_flickr8k_with_features(tmp_path: Path) -> None:
    corpus = scenes(images=60, held_out=0.2)
    (tmp_path / "data").mkdir()
    given = as_flickr8k(corpus, tmp_path / "data")
    files = [f"{name}.jpg" for split in corpus.splits for name in split.image_names]
    feat = np.random.default_rng(0).normal(size=(len(files), 12)).astype(np.float32)
    np.savez(tmp_path / "features.npz", files=np.array(files), feat=feat)
    given |= {"features": str(tmp_path / "features.npz"), "seeds": [3]}
    ablation = TRAIN.with_name("06_ablation.ipynb")
    plan = plan_report([ablation], tmp_path / "report", scale="smoke", given=given)
    (outcome,) = make_report(plan)["notebooks"].values()
    assert outcome["error"] is None
    verdicts = {one["verdict"] for one in outcome["results"]["claims"]}
    assert verdicts == {"one seed, no claim"}


@pytest.mark.browser
def test_pages_draw_without_a_network(chromium: Any, smoke: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = smoke
    for page in sorted((folder / "pages").glob("*.html")):
        tab = chromium.new_page(viewport={"width": 1100, "height": 900})
        wrong: list[str] = []
        tab.on("console", lambda said, wrong=wrong: wrong.append(said.text))
        tab.on("pageerror", lambda error, wrong=wrong: wrong.append(str(error)))
        tab.goto(page.as_uri())
        drawn = tab.locator(".js-plotly-plot")
        for index in range(drawn.count()):
            drawn.nth(index).locator(".main-svg").first.wait_for()
        executed = outputs(folder, f"{page.stem.rpartition('itmeetsal_')[2]}.ipynb")
        assert drawn.count() == sum(FIGURE in output.get("data", {}) for output in executed)
        assert tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        assert wrong == []
        tab.close()
