"""The page in a browser: it fits a phone, folds, opens where a link leads, and prints whole.

With a page of two studies.  Not for what the page says (``test_report.py``).
"""

import re
import shutil
import time

import pytest

from benchmarks.pictures.browser import Browser
from tests.lab.reports.test_report import short
from tinygrad_lab.lab import train_many
from tinygrad_lab.lab.reports import pictures
from tinygrad_lab.lab.reports.page import files, measurements
from tinygrad_lab.lab.reports.studies import STUDIES


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if not (shutil.which("chromium") or shutil.which("google-chrome")):
        pytest.skip("there is no Chromium here")
    folder = tmp_path_factory.mktemp("browser")
    studies = short([STUDIES[0], STUDIES[-1]])
    runs = {row.settings: train_many(row.settings, [0]) for s in studies for row in s.rows}
    drawn = {s.key: pictures.section(s.key, s.title, measurements(s, runs)) for s in studies}
    text = files(studies, runs, drawn, seeds=1, seconds=0.0)["index.html"]
    (folder / "index.html").write_text(text, encoding="utf-8")
    with Browser(folder / "profile") as browser:
        browser.address = f"file://{folder}/index.html"
        yield browser


@pytest.fixture
def page(browser):
    """Open the page, in a window of a width, at a section."""

    def open_(width=1280, section=""):
        browser(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=width < 500,
        )
        browser("Page.navigate", url="about:blank")
        browser("Page.navigate", url=f"{browser.address}{section}")
        while browser.value("document.readyState + location.protocol") != "completefile:":
            time.sleep(0.02)
        return browser.value

    return open_


SIZE = "[document.scrollingElement.scrollWidth, document.scrollingElement.scrollHeight]"
OPEN = "document.querySelectorAll('details[open]').length"
ALL = "document.querySelectorAll('details').length"
UNFOLD = "document.querySelectorAll('details').forEach(each => { each.open = true; })"


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_nothing_is_wider_than_the_window(page, width):
    value = page(width)
    value(UNFOLD)
    assert value(OPEN) == value(ALL) > 10
    assert value(SIZE)[0] == width


def test_a_phone_has_the_findings_and_the_headings_first(page):
    value = page(390)
    assert value(OPEN) == 0
    assert value(SIZE)[1] < 6000
    assert value("getComputedStyle(document.querySelector('nav')).display") == "none"
    value("document.querySelector('.menu').click()")
    assert value("document.querySelector('nav').matches(':popover-open')")
    value("document.querySelector('nav a[href=\"#acceptance\"]').click()")
    assert not value("document.querySelector('nav').matches(':popover-open')")


def test_a_link_opens_the_section_that_it_leads_to(page):
    part = "document.getElementById('acceptance').closest('details').open"
    assert page(section="#acceptance")(part)
    value = page()
    assert not value(part)
    for _ in range(2):  # the second time the address is the same
        value("document.querySelector('nav a[href=\"#acceptance\"]').click()")
        value("new Promise(done => setTimeout(done, 50))")
        assert value(part)
        value("document.getElementById('acceptance').closest('details').open = false")


def test_on_paper_all_but_long_tables_is_open_and_afterwards_as_before(page):
    value = page(section="#acceptance")
    before = value(OPEN)
    value("dispatchEvent(new Event('beforeprint'))")
    assert value("document.querySelectorAll('details:not([open], .long)').length") == 0
    assert value("document.querySelectorAll('.long[open]').length") == 0
    value("dispatchEvent(new Event('afterprint'))")
    assert value(OPEN) == before == 1


def test_the_switch_shows_the_other_theme(page):
    value = page()
    background = "getComputedStyle(document.body).backgroundColor"
    colours = [value(background)]
    for _ in range(2):
        value("document.getElementById('theme').click()")
        colours.append(value(background))
    assert colours[0] == colours[2] != colours[1]


def test_nothing_is_fetched(page):
    assert page()("performance.getEntriesByType('resource').length") == 0


# ---- colours ------------------------------------------------------------------------------------


def luminance(colour):
    """Of sRGB: https://www.w3.org/TR/WCAG22/#dfn-relative-luminance."""
    parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(a, b):
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


@pytest.fixture
def themes():
    text = files([], {}, {}, seeds=1, seconds=0.0)["index.html"]
    style = text[text.index("<style>") : text.index("</style>")]
    graph = dict(re.findall(r"(--graph-\w+): (#\w{6});", style))
    blocks = [block for block in re.findall(r"\{([^{}]*)\}", style) if "--ink:" in block]
    themes = []
    for block in blocks:
        for name, colour in graph.items():
            block = block.replace(f"var({name})", colour)
        themes.append(dict(re.findall(r"--([\w-]+): (#\w{6});", block)))
    return themes


PAIRS = [
    *((ink, ground) for ink in ("ink", "soft", "link") for ground in ("page", "card")),
    *((name, f"{name}-bg") for name in ("good", "fair", "poor")),
]


def test_text_has_the_contrast_that_reading_needs(themes):
    assert len(themes) == 3  # light, dark by the system, dark by the switch
    assert themes[1] == themes[2] != themes[0]
    for theme in themes:
        for ink, ground in PAIRS:
            assert contrast(theme[ink], theme[ground]) >= 4.5, (ink, ground)
        for mark in ("seed", "said", "zero", "one"):  # what is no text
            assert contrast(theme[mark], theme["card"]) >= 3, mark
