"""Draw the pictures of the lab's report for these pages: `python -m docs.report_pictures REPORT`.

REPORT is the folder of a whole report. Needs Chromium. Each picture is `images/report-NAME.png`.
"""

from __future__ import annotations

import io
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

from benchmarks.pictures.browser import Browser

IMAGES = Path(__file__).parent / "images"

#: Name, window, theme, medium, and the element at the top ("" for that of the page).
PICTURES = [
    ("desktop", 1280, 900, "light", "screen", ""),
    ("dark", 1280, 900, "dark", "screen", "#learning-rate .figures.small"),
    ("curves", 1280, 900, "light", "screen", "#optimizers .figures"),
    ("phone", 390, 844, "light", "screen", ""),
    ("phone-dark", 390, 844, "dark", "screen", "#relu .figures.small"),
    ("print", 794, 1123, "light", "print", "#hidden-units"),
]


def draw(report: Path) -> None:
    """Draw all of them."""
    with tempfile.TemporaryDirectory() as profile, Browser(Path(profile)) as browser:
        for name, width, height, theme, medium, place in PICTURES:
            browser(
                "Emulation.setDeviceMetricsOverride",
                width=width,
                height=height,
                deviceScaleFactor=1,
                mobile=width < 500,
            )
            scheme = {"name": "prefers-color-scheme", "value": theme}
            browser("Emulation.setEmulatedMedia", media=medium, features=[scheme])
            browser("Page.navigate", url=f"file://{report.resolve()}/index.html")
            while browser.value("document.readyState + location.protocol") != "completefile:":
                time.sleep(0.05)
            browser.value("document.documentElement.style.scrollBehavior = 'auto'")
            if place:
                browser.value(f"document.querySelector('{place}').closest('details').open = true")
                browser.value(f"document.querySelector('{place}').scrollIntoView()")
                browser.value("scrollBy(0, -60)")
            time.sleep(0.5)
            # A palette of 256 colours is a third of the bytes, and nobody sees it.
            image = Image.open(io.BytesIO(browser.picture())).convert("RGB")
            image.quantize(dither=Image.Dither.NONE).save(
                IMAGES / f"report-{name}.png", optimize=True
            )


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
