"""A report's pages in a real browser that reaches no host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from conftest import Ran

pytestmark = pytest.mark.browser


@pytest.fixture
def asked() -> list[str]:
    return []


@pytest.fixture
def tab(chromium: Any, asked: list[str]) -> Any:
    """An empty page that notes every address it asks for and fails on a script error."""
    tab = chromium.new_page(viewport={"width": 1100, "height": 900})
    wrong: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.on("requestfailed", lambda request: wrong.append(request.url))
    tab.on("pageerror", lambda error: wrong.append(str(error)))
    yield tab
    tab.close()
    assert wrong == []


def visible(tab: Any, selector: str) -> list[bool]:
    boxes = [element.bounding_box() for element in tab.locator(selector).all()]
    return [bool(box) and box["width"] > 3 and box["height"] > 3 for box in boxes]


def test_notebook_page_lives_without_a_network(
    tab: Any, asked: list[str], report_with_failure: Ran
) -> None:
    page: Path = report_with_failure.folder / "pages" / "start_here.html"
    tab.goto(page.as_uri())
    tab.wait_for_selector(".js-plotly-plot svg .scatterlayer path.js-line")
    assert visible(tab, ".js-plotly-plot .main-svg >> nth=0") == [True]
    assert tab.locator('[data-title*="hare"], [data-title*="loud"]').count() == 0
    # The third formula is the hidden answer's.
    assert visible(tab, "math").count(True) == 4
    tab.click("summary")
    assert visible(tab, "math").count(True) == 5
    assert tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert {address.split(":")[0] for address in asked} <= {"file", "data", "blob"}
    assert any(address.endswith("plotly.min.js") for address in asked)


def test_from_the_index_to_the_notebooks_and_back(
    tab: Any, asked: list[str], report_with_failure: Ran
) -> None:
    tab.goto((report_with_failure.folder / "index.html").as_uri())
    assert tab.locator(".claim").inner_text().startswith("Scale quick: a demonstration in minutes")
    assert visible(tab, ".card") == [True, True]
    tab.click("text=Everything a page must show")
    tab.click("nav >> nth=0 >> text=The second")
    tab.locator(".output_error").wait_for()
    tab.click("nav >> nth=0 >> text=All notebooks")
    tab.locator(".claim").wait_for()
    assert {address.split(":")[0] for address in asked} <= {"file", "data", "blob"}
