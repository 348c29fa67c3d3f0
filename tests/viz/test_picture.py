"""`tl.viz.graph`: what it returns, shows, saves and refuses."""

from __future__ import annotations

import re
import subprocess
import sys
from base64 import b64decode
from xml.etree import ElementTree as ET

import numpy as np
import pytest

import tinygrad_lab as tl
from tests.viz.conftest import make_fused
from tinygrad_lab.viz import RenderError, graph


@pytest.mark.usefixtures("drawing")
def test_a_notebook_gets_svg_png_pdf_and_text_and_never_html(case):
    bundle, metadata = graph(case.loss)._repr_mimebundle_(include=None, exclude=None)
    assert set(bundle) == {"image/svg+xml", "image/png", "application/pdf", "text/plain"}
    assert bundle["image/svg+xml"].startswith("<svg")
    assert b64decode(bundle["image/png"]).startswith(b"\x89PNG")
    assert b64decode(bundle["application/pdf"]).startswith(b"%PDF")
    root = ET.fromstring(bundle["image/svg+xml"])
    size = [float(root.get(side).removesuffix("pt")) * 96 / 72 for side in ("width", "height")]
    assert list(metadata["image/png"].values()) == pytest.approx(size, abs=2)


@pytest.mark.usefixtures("drawing")
def test_a_wide_picture_is_a_png_of_the_width_of_a_cell():
    wide = graph(make_fused(16).loss, direction="LR", fold=False)
    _, metadata = wide._repr_mimebundle_()
    assert metadata["image/png"]["width"] == pytest.approx(848, abs=2)
    width = float(ET.fromstring(wide.svg()).get("width").removesuffix("pt")) * 96 / 72
    assert width > 1000


@pytest.mark.usefixtures("no_engine")
def test_without_an_engine_a_notebook_gets_the_tree_and_the_remedy(case):
    picture = graph(case.loss)
    bundle, metadata = picture._repr_mimebundle_()
    assert set(bundle) == {"text/plain"}
    assert not metadata
    assert "squared_error" in bundle["text/plain"]
    assert "pip install" in bundle["text/plain"]
    assert picture.source.startswith("digraph")
    with pytest.raises(RenderError, match="pip install"):
        picture.svg()


def test_repr_is_one_line(case):
    assert repr(graph(case.loss)).startswith("<Graph of loss = ")
    assert "\n" not in repr(graph(case.loss))


@pytest.mark.usefixtures("drawing")
@pytest.mark.parametrize(
    ("name", "magic"), [("a.svg", b"<?xml"), ("a.PNG", b"\x89PNG"), ("a.pdf", b"%PDF")]
)
def test_save_by_ending(case, tmp_path, name, magic):
    path = graph(case.loss).save(tmp_path / name)
    assert path.read_bytes().startswith(magic)


@pytest.mark.usefixtures("drawing")
def test_save_writes_a_page_that_needs_nothing(case, tmp_path):
    program = tl.program(tl.grad(lambda x: (x * x).sum()))(np.ones(3))
    for picture in (graph(case.loss), graph(program)):
        page = picture.save(tmp_path / "a.html").read_text(encoding="utf-8")
        assert page.startswith("<!doctype html>")
        assert page.count("<svg") == 1
        assert not re.search(r"""(src|href)=["']?(?!data:)|url\(|@import""", page)


def test_save_writes_dot_without_an_engine(case, tmp_path, no_engine):
    picture = graph(case.loss)
    assert picture.save(tmp_path / "a.dot").read_text(encoding="utf-8") == picture.source


def test_a_failed_save_leaves_the_old_file(case, tmp_path, no_engine):
    old = tmp_path / "a.svg"
    old.write_text("old")
    with pytest.raises(RenderError):
        graph(case.loss).save(old)
    assert old.read_text() == "old"
    assert list(tmp_path.iterdir()) == [old]


@pytest.mark.parametrize("name", ["a.bmp", "a", "svg"])
def test_save_refuses_other_endings(case, tmp_path, name):
    with pytest.raises(ValueError, match=r"\.svg, \.png, \.pdf, \.html, \.dot"):
        graph(case.loss).save(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_to_graphviz(case):
    picture = graph(case.loss)
    assert picture.to_graphviz().source.strip() == picture.source.strip()


@pytest.mark.parametrize(
    "option", [{"direction": "up"}, {"theme": "blue"}, {"engine": "neato"}, {"show": ("memory",)}]
)
def test_unknown_options_name_the_known_ones(case, option):
    with pytest.raises(ValueError, match=f"{next(iter(option))} must be one of"):
        graph(case.loss, **option)


def test_more_than_600_boxes_are_refused_unless_asked_for():
    x = tl.tensor([1.0, 2.0], requires_grad=True)
    h = x
    for _ in range(600):
        h = h + x
    with pytest.raises(ValueError, match=r"602 boxes.*limit=602"):
        graph(h.sum(), fold=False)
    assert graph(h.sum(), fold=False, limit=602).model.operations == 601


def test_left_to_right(case):
    assert "rankdir=LR" in graph(case.loss, direction="LR").source


def test_importing_viz_loads_neither_matplotlib_nor_graphviz():
    script = (
        "import sys, tinygrad_lab.viz; "
        "print([m for m in ('matplotlib', 'graphviz', 'pygraphviz') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize(
    ("what", "words"),
    [
        (tl.nn.Linear(2, 2, rng=0), "tl.viz.graph(model(x), model)"),
        (lambda x: x * x, "tl.viz.graph(tl.program(f)(x))"),
        (np.ones(2), "not of ndarray"),
        (2.0, "not of float"),
    ],
)
def test_what_has_no_graph_is_told_what_has(what, words):
    with pytest.raises(TypeError) as error:
        tl.viz.graph(what)
    assert words in str(error.value)
