"""`print(graph)`: a tree with the numbers of the picture."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_lab as tl
from tests.viz.test_dot import HOSTILE
from tinygrad_lab import nn
from tinygrad_lab.viz import graph
from tinygrad_lab.viz.style import number


class Loop(nn.Module):
    """A recurrent network, step by step."""

    def __init__(self) -> None:
        self.cell, self.head = nn.RNNCell(3, 4, rng=0), nn.Linear(4, 1, rng=0)

    def forward(self, x):
        h = np.zeros((5, 4))
        for t in range(20):
            h = self.cell(x[:, t], h)
        return self.head(h)


@pytest.fixture
def loop():
    model, x = Loop(), tl.tensor(np.ones((5, 20, 3)), requires_grad=True)
    return graph(model(x).mean(), model, names={"x": x})


def line_with(text: str, picture) -> str:
    return next(line for line in str(picture).splitlines() if text in line)


def test_layers_are_indented_and_boxes_have_the_numbers_of_the_picture(case):
    picture = graph(case.loss, case.model, names=case.names)
    lines = str(picture).splitlines()
    assert lines[0].startswith("loss = 0.")
    assert lines[0].endswith("9 operations, 13 parameters, 14 edges")
    assert [line for line in lines if line.startswith("fc")] == [
        "fc1: Linear(2→3)", "fc2: Linear(3→1)",
    ]  # fmt: skip
    assert "loss = squared_error(ŷ, y)" in lines[-1]
    weight = next(box for box in picture.model.boxes if box.name == "fc1.weight")
    words = line_with("  weight: parameter   ", picture)
    assert f"(3, 2)  {number(weight.value.low)} … {number(weight.value.high)}" in words
    assert words.endswith(f"rms {number(weight.grad.rms)}")


def test_every_box_has_one_line(case, loop):
    for picture in (graph(case.loss, case.model), loop):
        frames = len([f for f in picture.model.frames if f.title or f.copies > 1])
        rows = frames + len(picture.model.boxes) + len(picture.model.remarks)
        assert len(str(picture).splitlines()) == 2 + rows


def test_what_repeats_is_marked_and_what_is_carried_too(loop):
    assert line_with("× 20", loop) == "× 20, one of them shown, with the numbers of all"
    assert "  cell = RNNCell" in str(loop)
    assert "↺" in str(loop)


def test_trouble_stands_below_its_box():
    x = tl.tensor([1.0, np.nan], requires_grad=True)
    lines = str(graph(np.exp(x).sum(), names={"x": x})).splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("x: parameter"))
    assert "NaN!" in lines[at]
    assert lines[at + 1] == "  ✗ NaN"


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_makes_a_line_long_or_two_of_it(name):
    a, b = (tl.tensor(np.ones((2, 3, 4, 5)), requires_grad=True) for _ in range(2))
    lines = str(graph(np.concatenate([a, b, a]).sum(), names={name: a, f"{name}!": b})).splitlines()
    assert len(lines) == 2 + 4
    assert max(map(len, lines)) <= 100
    assert all(line.isprintable() for line in lines)


def test_it_needs_no_engine(case, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert "logistic" in str(graph(case.loss))


def test_a_dtype_is_said_where_it_is_not_the_usual_one():
    logits = tl.tensor(np.zeros((2, 3)), requires_grad=True)
    picture = graph(nn.functional.cross_entropy(logits, np.array([0, 2])), names={"z": logits})
    assert "(2,) int64" in line_with("target: input", picture)
    assert "float64" not in str(picture)


def test_of_copies_whose_gradients_differ_the_first_and_the_last_are_said():
    x = tl.tensor(np.full(4, 0.1), requires_grad=True)
    h = x
    for _ in range(20):
        h = np.sin(h * 0.5)
    picture = graph(h.sum(), names={"x": x}, fold=True)
    box = next(box for box in picture.model.boxes if box.ends)
    first, last = map(number, box.ends)
    assert f"rms {first} … {last}" in line_with(f"= {box.title}", picture)
