"""Drawing: through whatever engine there is, in a child process, and clear words where not."""

from __future__ import annotations

import os
import re
import shutil
from xml.etree import ElementTree as ET

import numpy as np
import pytest

import tinygrad_lab as tl
from tests.viz.test_dot import HOSTILE, tiny
from tinygrad_lab.viz import render as rendering
from tinygrad_lab.viz.picture import graph
from tinygrad_lab.viz.render import RenderError, render

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def library_only(monkeypatch):
    pytest.importorskip("pygraphviz")
    monkeypatch.setattr(rendering.shutil, "which", lambda _: None)


@pytest.mark.usefixtures("library_only")
@pytest.mark.parametrize(
    ("form", "magic"), [("svg", b"<svg"), ("png", b"\x89PNG"), ("pdf", b"%PDF")]
)
def test_the_library_draws_without_a_dot_program(form, magic):
    assert render("digraph {\n a -> b }", form).startswith(magic)


@pytest.mark.skipif(shutil.which("dot") is None, reason="no dot program")
@pytest.mark.parametrize(
    ("form", "magic"), [("svg", b"<svg"), ("png", b"\x89PNG"), ("pdf", b"%PDF")]
)
def test_the_program_draws(form, magic):
    assert render("digraph {\n a -> b }", form, engine="dot").startswith(magic)


@pytest.mark.parametrize("engine", ["auto", "dot"])
def test_the_program_comes_before_the_library(pretended_dot, engine):
    pretended_dot("print('<svg><!--', sys.argv[1:], '--><g/></svg>')")
    assert (
        render("digraph {\n a }", engine=engine)
        == b'<svg role="img" aria-label="computation graph"><g /></svg>'
    )


def test_the_program_is_asked_for_the_format(pretended_dot):
    pretended_dot("print(sys.argv[1:], sys.stdin.read())")
    assert b"-Tpdf" in render("digraph {\n a }", "pdf")
    assert b"dpi=144" in render("digraph {\n a }", "png")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("sys.exit('syntax error in line 1')", "`dot` program failed: syntax error in line 1"),
        ("print('<svg>')", "not well-formed"),
    ],
)
def test_a_program_that_fails_is_an_error(pretended_dot, body, message):
    pretended_dot(body)
    with pytest.raises(RenderError, match=message):
        render("digraph {\n a }")


@pytest.mark.usefixtures("no_engine")
@pytest.mark.parametrize("engine", ["auto", "dot", "pygraphviz"])
def test_without_an_engine_both_remedies_are_named(engine):
    with pytest.raises(RenderError, match=r"(?s)pygraphviz>=2\.0\.4.*`dot` program.*\.source"):
        render("digraph {\n a }", engine=engine)


@pytest.mark.usefixtures("library_only")
def test_a_crash_in_the_library_is_an_error_not_the_end(monkeypatch):
    monkeypatch.setattr(rendering, "_CHILD", "import os; os.abort()")
    with pytest.raises(RenderError, match=r"pygraphviz failed with exit status -?[0-9]+"):
        render("digraph {\n a }")


@pytest.mark.usefixtures("library_only")
def test_a_drawing_that_takes_for_ever_is_given_up(monkeypatch):
    monkeypatch.setattr(rendering, "_CHILD", "import time; time.sleep(60)")
    monkeypatch.setattr(rendering, "_SECONDS", 0.5)
    with pytest.raises(RenderError, match="has not finished"):
        render("digraph {\n a }")


@pytest.fixture
def hostile_folder(tmp_path, monkeypatch):
    """A current folder whose modules and program are named like those that drawing needs."""
    trap = "open('ran', 'a').close()\n"
    for name in ("pygraphviz", "graphviz", "signal", "sitecustomize", "usercustomize"):
        (tmp_path / f"{name}.py").write_text(trap, encoding="utf-8")
    (tmp_path / "dot").write_text(f"#!/bin/sh\ntouch '{tmp_path}/ran'\n")
    (tmp_path / "dot").chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep)  # as of PYTHONPATH=$PYTHONPATH:more, less more
    return tmp_path


@pytest.mark.usefixtures("library_only")
def test_the_library_imports_nothing_from_the_current_folder(hostile_folder):
    assert render("digraph {\n a -> b }").startswith(b"<svg")
    assert not (hostile_folder / "ran").exists()


@pytest.mark.parametrize("path", ["", ".", "./", os.pathsep.join(["", "x", "."])])
def test_a_program_in_the_current_folder_is_not_run(hostile_folder, monkeypatch, path):
    monkeypatch.setenv("PATH", path)
    with pytest.raises(RenderError, match="no `dot` program"):
        render("digraph {\n a -> b }", engine="dot")
    assert not (hostile_folder / "ran").exists()


def test_a_program_that_cannot_be_started_is_an_error(pretended_dot, tmp_path):
    pretended_dot("")
    (tmp_path / "dot").write_text("#!/no/such/shell\n")
    with pytest.raises(RenderError, match=r"`dot` program cannot be started: .*pip install"):
        render("digraph {\n a }")


@pytest.mark.usefixtures("library_only")
def test_text_that_is_not_dot_is_an_error():
    with pytest.raises(RenderError):
        render("this is not dot")


@pytest.mark.parametrize(("form", "engine"), [("bmp", "auto"), ("svg", "neato")])
def test_unknown_formats_and_engines_are_refused(form, engine):
    with pytest.raises(ValueError, match="must be one of"):
        render("digraph {\n a }", form, engine=engine)


@pytest.mark.usefixtures("drawing")
def test_every_hostile_name_is_drawn_as_written():
    for name in HOSTILE:
        root = ET.fromstring(render(tiny(name)))
        texts = [text for t in root.iter(f"{SVG}text") for text in t.itertext()]
        tips = [t.text or "" for t in root.iter(f"{SVG}title")]
        assert any("∇" in tip for tip in tips)
        if name.isprintable() and 0 < len(name.strip()) <= 40:
            shown = name.replace("\\", "∖")
            assert shown in texts
            assert any(shown in tip for tip in tips)


@pytest.mark.usefixtures("drawing")
def test_the_svg_can_be_put_into_any_page(case):
    svg = graph(case.loss, case.model, names=case.names).svg()
    root = ET.fromstring(svg)
    assert svg.startswith("<svg")
    tags = {element.tag.removeprefix(SVG) for element in root.iter()}
    assert tags <= {"svg", "g", "title", "path", "polygon", "polyline", "ellipse", "text", "tspan"}
    names = {key for element in root.iter() for key in element.attrib}
    assert not names & {"style", "onclick", "{http://www.w3.org/1999/xlink}href"}
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    assert len({re.sub("-.*", "", i) for i in ids}) == 1
    background = next(root.iter(f"{SVG}polygon"))
    assert background.get("fill") == "#ffffff"


@pytest.mark.usefixtures("drawing")
def test_numbers_at_lines_have_a_rim_of_the_background():
    svg = render('digraph {\n graph [bgcolor="#0d1117"] a -> b [label=<0.5>] }')
    [number] = [text for text in ET.fromstring(svg).iter(f"{SVG}text") if text.text == "0.5"]
    assert (number.get("stroke"), number.get("paint-order")) == ("#0d1117", "stroke")


@pytest.mark.usefixtures("drawing")
def test_two_pictures_share_no_id(case):
    first, second = (
        set(re.findall(r'id="([^"]+)"', graph(case.loss, theme=theme).svg()))
        for theme in ("light", "dark")
    )
    assert first
    assert not first & second


@pytest.mark.usefixtures("drawing")
def test_a_line_of_a_label_is_one_text_around_the_middle_of_its_box(case):
    """Fonts of a page are wider or narrower than those that Graphviz measured."""
    root = ET.fromstring(graph(case.loss, case.model, names=case.names).svg())
    boxes = [g for g in root.iter(f"{SVG}g") if g.get("class") == "node"]
    for box, middle in zip(boxes, centres(root).values(), strict=True):
        lines = box.findall(f"{SVG}text")
        assert len({line.get("y") for line in lines}) == len(lines)
        assert all(line.get("text-anchor") == "middle" for line in lines)
        assert all(float(line.get("x")) == pytest.approx(middle, abs=0.5) for line in lines)
    said = ["".join(t.itertext()) for t in root.iter(f"{SVG}text")]
    assert "logistic → ŷ" in said


@pytest.mark.usefixtures("drawing")
def test_lines_that_are_flush_left_stay_so():
    program = tl.program(lambda x: np.sum(np.tanh(x) * np.tanh(x)))(np.ones(3))
    root = ET.fromstring(graph(program).svg())
    for box in (g for g in root.iter(f"{SVG}g") if g.get("class") == "node"):
        lines = box.findall(f"{SVG}text")
        assert {line.get("text-anchor") for line in lines} == {"start"}
        assert len({line.get("x") for line in lines}) == 1


@pytest.mark.usefixtures("drawing")
def test_a_picture_that_is_shown_twice_shares_no_id_with_itself(case):
    picture = graph(case.loss)
    first, second = (set(re.findall(r'id="([^"]+)"', picture.svg())) for _ in range(2))
    assert first
    assert not first & second


def centres(root: ET.Element) -> dict[str, float]:
    """Return the horizontal middle of each box, by the first line of its tooltip."""
    middles = {}
    for group in root.iter(f"{SVG}g"):
        title = group.find(f"{SVG}title")
        if group.get("class") == "node" and title is not None:
            outline = next(e for e in group if e.tag in (f"{SVG}path", f"{SVG}polygon"))
            numbers = re.findall(
                r"(-?[\d.]+),(-?[\d.]+)", outline.get("d") or outline.get("points")
            )
            xs = [float(x) for x, _ in numbers]
            middles[f"{len(middles)} {title.text}"] = (min(xs) + max(xs)) / 2
    return middles


@pytest.mark.usefixtures("drawing")
def test_seven_layers_make_a_straight_spine(deep_case):
    svg = graph(deep_case.loss, deep_case.model, names=deep_case.names).svg()
    root = ET.fromstring(svg)
    spine = [x for tip, x in centres(root).items() if re.match(r"\d+ (matmul|add|logistic)", tip)]
    assert len(spine) == 21
    assert max(spine) - min(spine) < 3.0
    assert float(root.get("width").removesuffix("pt")) <= 541


@pytest.mark.usefixtures("drawing")
def test_two_parameters_of_an_operation_stand_on_either_side(fused_case):
    root = ET.fromstring(graph(fused_case.loss, names=fused_case.names).svg())
    middles = {re.sub(r"^\d+ |\n(.|\n)*", "", tip): x for tip, x in centres(root).items()}
    spine = [x for tip, x in centres(root).items() if re.match(r"\d+ (affine|logistic)", tip)]
    assert len(spine) == 6
    assert max(spine) - min(spine) < 3.0
    for i in range(3):
        assert middles[f"parameter W{i}"] < min(spine)
        assert middles[f"parameter b{i}"] > max(spine)
