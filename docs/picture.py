"""Draw README's picture: the front page of a finished report, and a map that it holds.

python docs/picture.py reports/DATE
"""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

WIDTH, HEIGHT = 900, 640
OUT = Path(__file__).with_name("report.png")


def photograph(report: Path) -> list[Image.Image]:
    """The front page from its top, and the shared space of the training notebook."""
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=shutil.which("chromium"))
        tab = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        tab.goto((report / "index.html").resolve().as_uri())
        front = tab.screenshot()
        tab.goto((report / "pages" / "itmeetsal_05_train.html").resolve().as_uri())
        space = tab.locator(".js-plotly-plot").last
        space.scroll_into_view_if_needed()
        tab.wait_for_timeout(1500)
        drawn = space.screenshot()
        browser.close()
    return [Image.open(io.BytesIO(data)).convert("RGB") for data in (front, drawn)]


def main() -> None:
    """Put both side by side, small enough for a README."""
    pictures = photograph(Path(sys.argv[1]))
    height = max(picture.height for picture in pictures)
    sheet = Image.new("RGB", (sum(p.width for p in pictures) + 20, height), "white")
    left = 0
    for picture in pictures:
        sheet.paste(picture, (left, (height - picture.height) // 2))
        left += picture.width + 20
    sheet.thumbnail((1400, 1400))
    sheet.quantize(128).save(OUT, optimize=True)
    print(OUT, OUT.stat().st_size // 1000, "kB")


if __name__ == "__main__":
    main()
