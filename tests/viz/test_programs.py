"""The picture of a program: lines in boxes, in the passes and loops they belong to, with memory."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import numpy as np
import pytest

import tinygrad_lab as tl
from tests.viz.test_dot import labels
from tests.viz.test_render import SVG
from tinygrad_lab import nn, optim
from tinygrad_lab.transforms.jit.backends.numba import kernels
from tinygrad_lab.viz import graph


def step(model, optimizer, x, y):
    loss = nn.functional.mse_loss(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss


def recorded(model, make=optim.SGD, shape=(100, 2), outputs=1):
    x, y = np.ones(shape), np.ones((*shape[:-1], outputs))
    return tl.program(step)(model, make(model.parameters(), lr=0.1), x, y)


@pytest.fixture
def program():
    return recorded(nn.MLP([2, 3, 1], output_activation="sigmoid", rng=0))


@pytest.fixture
def adam():
    return recorded(nn.MLP([2, 3, 1], rng=0), optim.Adam)


@pytest.fixture
def deep():
    return recorded(nn.MLP([8] * 9 + [1], rng=0), shape=(100, 8))


def rows_of(picture):
    return [row for step in picture.model.steps for row in step.rows]


def test_each_line_of_the_text_is_drawn_once(program):
    lines = re.findall(r"^    ([a-z]\w*) = ", program.source, re.MULTILINE)
    assert sorted(row.name for row in rows_of(graph(program))) == sorted(lines)


def test_each_pass_has_a_frame(program):
    titles = [frame.title for frame in graph(program).model.frames if frame.within is None]
    assert titles == ["forward", "backward", "update"]


def test_the_loops_are_those_that_are_compiled(program, adam):
    for each in (program, adam):
        model = graph(each, fold=False, detail="operations").model
        turns = {f.title for f in model.frames if f.title.startswith("loop")}
        assert turns == {"loop 1: 100 turns", "loop 2: 1 turn"}
        heads = re.findall(r"for \w+ in range\((\d+)\)", "\n".join(kernels(each)))
        assert set(heads) == {"100"}


def test_inputs_stand_where_they_are_read_first(program):
    first, *others = graph(program).model.steps
    assert [e.name for e in first.entries] == ["x", "layers_0_weight", "layers_0_bias"]
    assert [e.is_parameter for e in first.entries] == [False, True, True]
    entries = [e.name for s in others for e in s.entries]
    assert entries == ["layers_2_weight", "layers_2_bias", "y"]  # and no learning rate


def test_a_box_backward_is_beside_what_it_differentiates(program):
    model = graph(program).model
    box = {row.name: s for s in model.steps for row in s.rows}
    assert box["d_z2"].beside == box["a2"].id
    assert box["d_a1"].beside == box["d_layers_2_bias"].beside == box["z2"].id
    beside = f"rank=same; {box['z2'].id} -> {box['d_a1'].id} [style=invis]"
    assert beside in graph(program).source


def test_arrows_are_what_lines_are_computed_from(program):
    model = graph(program).model
    box = {row.name: s.id for s in model.steps for row in s.rows}
    arrows = {(a.source, a.target): a.role for a in model.arrows}
    assert arrows[box["z1"], box["a1"]] == "flow"
    assert arrows[box["d_z2"], box["d_a1"]] == "flow"
    assert arrows[box["a1"], box["d_layers_2_weight"]] == "later"
    assert (box["a2"], box["z1"]) not in arrows
    assert not any(source == target for source, target in arrows)


def test_what_was_in_a_memory_before_is_needed_no_more(program, adam):
    for each in (program, adam):
        rows = {row.name: row for row in rows_of(graph(each, fold=False, detail="operations"))}
        body = each.source.partition('"""\n\n')[2].partition("    return")[0]
        lines = [line.partition("#")[0] for line in body.splitlines()]
        reused = [name for name in rows if " after " in rows[name].memory]
        assert len(reused) >= 5
        for name in reused:
            _, _, before = rows[name].memory.partition(" after ")
            at = next(i for i, line in enumerate(lines) if line.strip().startswith(f"{name} ="))
            assert not any(re.search(rf"\b{before}\b", line) for line in lines[at + 1 :])


def test_results_are_in_memory_of_their_own(program):
    rows = {row.name: row for row in rows_of(graph(program))}
    assert rows["exp1"].memory.endswith(" after z1")
    assert rows["z1"].nbytes == 100 * 3 * 8
    assert not any(row.memory for row in rows.values() if row.is_result)


def test_what_repeats_is_drawn_once(adam, deep):
    for each, copies in ((adam, 4), (deep, 18)):
        frames = [f for f in graph(each).model.frames if f.copies > 1]
        assert frames[-1].copies == copies  # one for each parameter
    model = graph(deep).model
    assert [f.copies for f in model.frames if f.copies > 1] == [8, 7, 18]
    assert any(arrow.role == "carried" for arrow in model.arrows)
    whole = graph(deep, fold=False, detail="operations").model
    assert not [f for f in whole.frames if f.copies > 1]
    assert sum(len(s.rows) for s in whole.steps) > 2 * sum(len(s.rows) for s in model.steps)


def test_a_long_program_is_summed_up_by_layers(deep):
    model = graph(deep, detail="modules", fold=False).model
    by_section: dict[str, list[str]] = {}
    for each in model.steps:
        by_section.setdefault(each.section, []).append(each.rows[0].name)
    layers = [f"layers.{2 * i}" for i in range(9)]
    assert by_section == {"forward": layers, "backward": layers[::-1], "update": layers}
    counted = sum(int(s.rows[0].text.split()[0]) for s in model.steps)
    lines = graph(deep, detail="operations", fold=False).model
    assert counted == sum(len(s.rows) for s in lines.steps)


def test_a_parameter_that_is_read_after_it_was_moved_is_shown_so():
    def moved(p, x):
        with tl.no_grad():
            old = (p * p).sum()
            p -= 0.1 * x
        return old, (p * x).sum()

    p = nn.Parameter(np.ones(3))
    lines = [row.text for row in rows_of(graph(tl.program(moved)(p, np.ones(3))))]
    text = tl.program(moved)(p, np.ones(3)).source
    at = [text.index(f"= {line}") for line in lines if f"= {line}" in text]
    assert at == sorted(at)


def test_it_is_the_same_in_both_themes_but_for_colours(program):
    light, dark = (graph(program, theme=theme).source for theme in ("light", "dark"))
    plain = lambda dot: re.sub(r"#[0-9A-F]{6}", "", dot)
    assert light != dark and plain(light) == plain(dark)


def test_labels_are_well_formed_and_begin_with_no_empty_line(program, adam):
    for label in labels(graph(adam).source) + labels(graph(program).source):
        text = ET.fromstring(f"<r>{label}</r>")
        assert next(text.itertext()).strip()


def test_too_many_lines_are_refused(program):
    with pytest.raises(ValueError, match=r"has \d+ lines to draw, more than limit=5: .*print it"):
        graph(program, limit=5)


def test_an_assertion_is_a_line():
    program = tl.program(lambda x: x * 2 if x.sum() > 1 else x)(np.ones(3))
    assert "assert np.sum(x) &gt; 1" in graph(program).source
    assert "assert np.sum(x) > 1" in str(graph(program))


def test_it_is_printed_as_a_tree(program):
    picture = graph(program)
    lines = str(picture).splitlines()
    assert lines[0].startswith(f"step: {program.cost.calls} calls")
    assert "    layers_0_weight: parameter" in "\n".join(lines)
    assert any(
        re.match(r"    z1 = x @ layers_0_weight.T .*\(100, 3\)  2.4 kB  b\d$", t) for t in lines
    )
    assert max(map(len, lines)) <= 100
    assert "\n" not in repr(picture)


def test_without_a_forward_pass_backward_runs_down():
    program = tl.program(tl.grad(lambda x: np.sum(np.exp(np.sin(x)))))(np.ones(3))
    assert "dir=back" not in graph(program).source


@pytest.mark.usefixtures("drawing")
@pytest.mark.parametrize("name", ["adam", "deep"])
def test_it_fits_a_cell_of_a_notebook_and_forward_is_on_the_left(name, request):
    root = ET.fromstring(graph(request.getfixturevalue(name)).svg())
    assert float(root.get("width").removesuffix("pt")) * 96 / 72 <= 848
    lefts = {}
    for group in root.iter(f"{SVG}g"):
        if group.get("class") == "cluster":
            text = next(group.iter(f"{SVG}text"))
            lefts[text.text] = float(text.get("x"))
    assert lefts["forward"] < lefts["backward"]
