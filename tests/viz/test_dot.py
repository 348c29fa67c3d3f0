"""The DOT text: the same for the same graph, safe whatever the names, readable colours."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_lab as tl
from tinygrad_lab.viz.dot import escape, to_dot
from tinygrad_lab.viz.model import build
from tinygrad_lab.viz.style import THEMES, Scale, number

HOSTILE = [
    "",
    " ",
    "\n",
    "\n\nbegins with empty lines",
    "two\nlines",
    'a "quoted" name',
    "<B>tags</B> & &amp; &#10;",
    "]]> --> */ }",
    "back\\slash \\N \\n",
    "naïve ŷ 层 🙂",
    "משקל (3, 2) السابق",
    "\x00\x07\ud800\ufffe\u202e",
    "x" * 500,
]

_SCRIPT = """
import numpy as np, tinygrad_lab as tl
junk = [object() for _ in range(int(__import__('sys').argv[1]))]
w, b = tl.tensor([[1.0, 2.0]], requires_grad=True), tl.tensor([0.5], requires_grad=True)
x = np.array([[3.0], [4.0]])
h = np.tanh(x @ w + b)
print(tl.viz.graph((h * h + h).mean(), names={'x': x, 'w': w}).source)
"""


def labels(source: str) -> list[str]:
    """Return the inside of every HTML-like label, found by matching brackets as Graphviz does."""
    insides = []
    for match in re.finditer(r"label=<", source):
        depth, end = 1, match.end()
        while depth:
            depth += {"<": 1, ">": -1}.get(source[end], 0)
            end += 1
        insides.append(source[match.end() : end - 1])
    return insides


def text_of(label: str) -> str:
    return "".join(ET.fromstring(f"<r>{label}</r>").itertext())


def tiny(name: str) -> str:
    x = tl.tensor([1.0, 2.0], requires_grad=True)
    return to_dot(build((x * x).sum(), names={name: x}))


def test_the_same_graph_gives_the_same_bytes_in_another_process():
    def run(junk: int, seed: int) -> str:
        done = subprocess.run(
            [sys.executable, "-c", _SCRIPT, str(junk)],
            env={"PYTHONHASHSEED": str(seed), "PYTHONIOENCODING": "utf-8"},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            check=True,
        )
        return done.stdout.decode()

    assert run(0, 1) == run(5000, 2)


def test_the_same_graph_gives_the_same_bytes_twice(case):
    texts = [to_dot(build(case.loss, model=case.model, names=case.names)) for _ in range(2)]
    assert texts[0] == texts[1]
    assert "0x" not in texts[0]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_stays_one_visible_line(name):
    for label in labels(tiny(name)):
        text = text_of(label)
        assert text.strip()
        assert "\n" not in text
        assert not label.startswith(("<BR", "\n", " "))


@given(st.text())
def test_escape_is_well_formed_and_tells_what_it_can(name):
    escaped = escape(name)
    text = text_of(escaped)
    assert text.strip()
    assert len(text) <= 40
    if name.isprintable() and name.strip() and len(name) <= 40:
        assert text == name.strip().replace("\\", "∖")


@given(st.text())
def test_quoted_strings_stay_closed(name):
    source = tiny(name)
    for line in source.splitlines():
        outside = re.sub(r"label=<.*?> tooltip", "tooltip", line)
        assert outside.count('"') % 2 == 0
    assert len(source.splitlines()) == len(tiny("x").splitlines())


def test_no_label_begins_with_an_empty_line(case):
    for show in [(), ("shape",), ("grad",), ("shape", "grad")]:
        source = to_dot(build(case.loss, model=case.model, names=case.names), show=show)
        for label in labels(source):
            assert text_of(re.split(r"<BR/>", label)[0]).strip()


def test_boxes_say_name_shape_and_gradient(case):
    said = [
        text_of(label).replace("\xa0", "")
        for label in labels(to_dot(build(case.loss, model=case.model, names=case.names)))
    ]
    assert "x(4, 2)" in said
    assert any(re.fullmatch(r"logistic → ŷ\(4, 1\) ∇ 0\.\d{1,4}", text) for text in said)
    assert any(re.fullmatch(r"squared_error → loss= 0\.\d{1,4}", text) for text in said)
    assert "fc1: Linear(2→3)" in said
    assert any(text.startswith("weight(3, 2)") for text in said)


def test_show_chooses_what_boxes_say(case):
    model = build(case.loss, gradients=False)
    assert "∇" not in to_dot(model, show=("shape",))
    assert "(4, 2)" not in "".join(labels(to_dot(model, show=())))


def test_dtype_is_said_only_where_it_differs():
    x = tl.tensor(np.ones(3, np.float32), requires_grad=True)
    index = np.array([0, 2])
    said = [text_of(t) for t in labels(to_dot(build((x[index] * x[index]).sum())))]
    assert [t for t in said if "float32" in t] == said[:1]  # the caption, for all of them


def test_shares_are_written_where_a_value_is_used_twice():
    x = tl.tensor(2.0, requires_grad=True)
    source = to_dot(build(x * x - 7.0 * x, names={"x": x}))
    assert [label.replace("&#160;", "") for label in labels(source)][-3:] == ["2", "2", "−7"]
    single = to_dot(build(np.sin(x)))
    assert "label=<&#160;" not in single.split("->", 1)[1]


def test_a_value_used_everywhere_is_drawn_with_straight_lines_and_no_shares():
    x = tl.tensor(np.ones(3), requires_grad=True)
    h = x
    for _ in range(60):
        h = np.tanh(h * 0.5 + x)
    source = to_dot(build(h.sum(), fold=False))
    assert "splines=line" in source
    assert "label=<&#160;" not in source
    assert source.count("adds ") >= 60  # in tooltips


def test_edges_without_gradient_are_grey_and_dashed(case):
    lines = to_dot(build(case.loss, names=case.names)).splitlines()
    dashed = [line for line in lines if " -> " in line and "style=dashed" in line]
    assert len(dashed) == 2  # the data, and the target
    assert all(THEMES["light"].no_gradient in line for line in dashed)


def test_the_spine_pulls_harder_than_what_comes_in(case):
    model = build(case.loss, model=case.model, names=case.names)
    source = to_dot(model)
    assert source.count(" weight=30 ") == sum(e.role == "spine" for e in model.edges) == 7
    assert source.count(" weight=2 ") == sum(e.role == "side" for e in model.edges) == 7


def test_trouble_is_marked_in_words_and_by_border():
    x = tl.tensor([1.0, np.nan], requires_grad=True)
    source = to_dot(build(x.sum()))
    assert "✗ NaN" in source
    assert THEMES["light"].paint["wrong"].line in source


def test_a_gradient_that_is_not_finite_is_drawn_as_wrong():
    x = tl.tensor([1.0, 0.0], requires_grad=True)
    with np.errstate(divide="ignore"):
        source = to_dot(build(np.log(x).sum()))
    wrong = THEMES["light"].paint["wrong"].line
    edges = [line for line in source.splitlines() if " -> " in line]
    assert [wrong in line for line in edges] == [True, False]
    assert "✗ ∇ Inf" in source


def test_a_third_operand_comes_from_above():
    parts = [tl.tensor(np.ones(2) * i, requires_grad=True) for i in range(5)]
    data = np.ones(2)
    source = to_dot(build(np.concatenate([data, *parts[1:]]).sum()))
    assert "{rank=same; n1; n2; n5}" in source
    assert re.search(r"n5 -> n2 \[.*dir=back", source)
    assert "n0 -> n5 [" in source
    assert "n3 -> n5 [" in source
    assert "n4 -> n5 [" in source


def test_attributes_that_would_widen_a_box_are_in_the_tooltip_only():
    x = tl.tensor(np.ones((2, 3, 4)), requires_grad=True)
    source = to_dot(build(x.sum(axis=(0, 1), dtype=np.float64, keepdims=True).sum()))
    label = next(t for t in labels(source) if text_of(t).startswith("sum("))
    assert len(text_of(label).partition("<")[0]) < 60
    assert "…" in text_of(label)
    assert "keepdims=True" not in text_of(label)
    assert "keepdims=True" in source


def test_nothing_newer_than_the_oldest_graphviz_in_use(case):
    source = to_dot(build(case.loss, model=case.model, names=case.names))
    known = {
        "rankdir", "newrank", "nodesep", "ranksep", "pad", "bgcolor", "fontname", "fontsize",
        "fontcolor", "labelloc", "labeljust", "label", "shape", "height", "margin", "arrowsize",
        "style", "fillcolor", "color", "penwidth", "peripheries", "tooltip", "weight", "rank",
        "dir", "id", "splines", "nslimit", "mclimit", "xlabel",
    }  # fmt: skip
    bare = re.sub(r'"[^"]*"', '""', re.sub(r"label=<.*?>(?= tooltip|\])", "label=x", source))
    assert set(re.findall(r"\b([a-z]+)=", bare)) <= known


def test_twice_the_operations_are_twice_the_work():
    def work(steps: int) -> int:
        x = tl.tensor(np.ones(10), requires_grad=True)
        h = x
        for _ in range(steps):
            h = h * 1.01 + x
        loss, calls = h.sum(), itertools.count()
        profiler = sys.getprofile()
        sys.setprofile(lambda *_: next(calls))
        try:
            source = to_dot(build(loss, fold=False))
        finally:
            sys.setprofile(profiler)
        assert source.count("->") >= 3 * steps
        return next(calls)

    assert work(200) < 2.2 * work(100)


def test_gradients_that_are_alike_are_drawn_alike():
    scale = Scale([0.9, 1.0], THEMES["light"])
    assert abs(scale.width(0.9) - scale.width(1.0)) < 0.2
    assert scale.width(0.0) == 0.8
    assert scale.width(float("nan")) == 0.8
    assert scale.width(float("inf")) == 4.5


@given(st.floats(-1e300, 1e300) | st.sampled_from([np.inf, -np.inf, np.nan]))
def test_numbers_are_short_and_right(value):
    text = number(value)
    assert len(text) <= 10
    if np.isfinite(value):
        assert float(text.replace("−", "-")) == pytest.approx(value, rel=6e-3)
