"""Each section as a page shows it: well-formed, described, with the data of each figure beside."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from tinygrad_lab.lab.reports import page
from tinygrad_lab.lab.reports.sections import PARTS, convolution, dead_relu, loss_surface
from tinygrad_lab.lab.reports.studies import STUDIES
from tinygrad_lab.lab.training import train_many

KEYS = ("boundaries", "dead-relu", "loss-surface", "convolution")


class Tags(HTMLParser):
    """Tags that match, and what a browser would go to."""

    VOID = frozenset({"meta", "br", "img", "link", "hr", "input", "wbr"})

    def __init__(self, text):
        super().__init__()
        self.open, self.links = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.links += [dict(attrs).get("href")] if tag == "a" else []
        self.open += [] if tag in self.VOID else [tag]

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module", params=KEYS)
def made(request):
    if request.param == "convolution":
        pytest.importorskip("sklearn")
    patch = pytest.MonkeyPatch()
    patch.setattr(convolution, "QUICK_EPOCHS", 1)
    patch.setattr(dead_relu, "QUICK_EPOCHS", 20)
    patch.setattr(dead_relu, "QUICK_SEEDS", 8)
    patch.setattr(loss_surface, "QUICK_EPOCHS", 20)
    patch.setattr(loss_surface, "QUICK_RESOLUTION", 5)
    (part,) = [part for part in PARTS if part.key == request.param]
    wanted = [replace(settings, epochs=40) for settings in part.needs(STUDIES)]
    runs = {settings: train_many(settings, range(4)) for settings in wanted}
    try:
        section = part.make(runs, True)
    finally:
        patch.undo()
    return page.files([], {}, {part.key: section}, parts=[part], seeds=4, seconds=0.0, quick=True)


def test_it_is_well_formed_and_every_link_leads_to_a_file(made):
    tags = Tags(made["index.html"])
    assert tags.open == []
    data = {link for link in tags.links if link.startswith("data/")}
    assert data == {name for name in made if name.startswith("data/")}


def test_every_figure_is_described_and_has_a_caption_and_data(made):
    text = made["index.html"]
    figures = re.findall(r"<figure>(.*?)</figure>", text, flags=re.S)
    assert figures
    for figure in figures:
        assert re.search(r'<svg[^>]* aria-label="[^"]{20,}"', figure)
        (caption,) = re.findall(r"<figcaption>(.*?) <a href=\"data/[^\"]+\" download>", figure)
        assert len(caption) > 30
    assert "nan" not in re.sub(r"<svg.*?</svg>|<[^>]+>", "", text, flags=re.S).split()


def test_it_is_not_heavy(made):
    assert len(made["index.html"]) < 500_000
