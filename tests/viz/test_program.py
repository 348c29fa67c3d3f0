"""The picture of a program: a box a line, forward, backward and update in frames."""

import re

import numpy as np
import pytest

import tinygrad_lab as tl
from tinygrad_lab import nn, optim
from tinygrad_lab.viz import graph


def step(model, optimizer, x, y):
    loss = nn.functional.mse_loss(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss


@pytest.fixture
def program():
    model = nn.MLP([2, 3, 1], rng=0)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    return tl.program(step)(model, optimizer, np.ones((4, 2)), np.ones((4, 1)))


def test_each_line_has_a_box_and_each_pass_a_frame(program):
    dot = graph(program).source
    lines = re.findall(r"^    ([a-z]\w*) = ", program.source, re.MULTILINE)
    assert re.findall(r"^    s\d+ .*?<B>(\w+)</B>", dot, re.MULTILINE) == lines
    assert re.findall(r"subgraph.*\n.*label=<(.*?)>", dot) == ["forward", "backward", "update"]


def test_edges_are_what_lines_are_computed_from(program):
    dot = graph(program).source
    boxes = re.findall(r"(\w+) \[.*?<B>(\w+)</B>", dot)
    box = {name: id for id, name in reversed(boxes)}  # a parameter, and not what it becomes
    forward = f"  {box['x']} -> {box['z1']}\n"
    backward = f"  {box['d_layers_0_weight']} -> {box['d_z1']} [dir=back]\n"
    assert forward in dot and backward in dot
    assert "lr</B>" not in dot  # the lines that use it name it


def test_it_is_the_same_in_both_themes_but_for_colours(program):
    light, dark = (graph(program, theme=theme).source for theme in ("light", "dark"))
    plain = lambda dot: re.sub(r"#[0-9A-F]{6}", "", dot)
    assert light != dark and plain(light) == plain(dark)


def test_too_many_lines_are_refused(program):
    with pytest.raises(ValueError, match=r"has \d+ lines, more than limit=5: .*print it"):
        graph(program, limit=5)


def test_an_assertion_is_a_box():
    program = tl.program(lambda x: x * 2 if x.sum() > 1 else x)(np.ones(3))
    assert "assert np.sum(x) &gt; 1" in graph(program).source


def test_it_says_what_it_is(program):
    picture = graph(program)
    assert str(picture) == repr(picture) == f"<Graph of {program!r}>"


@pytest.mark.usefixtures("drawing")
def test_it_can_be_drawn(program):
    bundle, _ = graph(program)._repr_mimebundle_()
    assert set(bundle) == {"image/svg+xml", "image/png", "text/plain"}
