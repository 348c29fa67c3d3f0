"""What things are called: as the user wrote them, in the variables and paths of the user."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_lab as tl
from tinygrad_lab.viz import graph
from tinygrad_lab.viz.model import build

nn, F = tl.nn, tl.nn.functional


def written(t, **options) -> str:
    return build(t, **options).loss.written


def test_variables_where_it_is_drawn_name_what_has_no_name():
    x, labels = np.arange(12.0).reshape(4, 3), np.array([0, 1, 1, 0])
    model = nn.Linear(3, 2, rng=0)
    logits = model(x)
    error = F.cross_entropy(logits, labels)
    names = {box.name for box in graph(error, model).model.boxes}
    assert names == {"x", "labels", "weight", "bias", "logits", "error"}
    names = {box.name for box in graph(error, model, names={"y": labels}).model.boxes}
    assert "y" in names and "labels" not in names


def test_models_among_the_variables_name_their_parameters_where_none_is_handed_in():
    cell, head = nn.RNNCell(3, 4, rng=0), nn.Linear(4, 1, rng=0)
    output = head(cell(np.ones((2, 3)))).sum()
    text = str(graph(output))
    assert "cell.weight_ih: parameter" in text
    assert "head.bias: parameter" in text
    assert "head = Linear(4→1)(" in text
    assert "head" not in str(graph(output, cell))


def test_what_no_variable_holds_has_the_name_of_the_outermost_argument():
    class Net(nn.Module):
        def __init__(self):
            self.fc = nn.Linear(3, 2, rng=0)

        def forward(self, pixels):
            return self.fc(pixels)

    model = Net()
    names = [box.name for box in graph(model(np.ones((4, 3))).sum(), model).model.boxes]
    assert "pixels" in names


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda x: x[:, 0], "x[:, 0]"),
        (lambda x: x[None, ..., 1:], "x[None, …, 1:]"),
        (lambda x: x * 0.5, "x * 0.5"),
        (lambda x: 2.0 / x, "2 / x"),
        (lambda x: x**3, "x ** 3"),
        (lambda x: np.sin(x) - 1, "- 1"),
        (lambda x: 1 - np.sin(x), "1 - ·"),
        (lambda x: x.reshape(6), "reshape"),
        (lambda x: np.transpose(x, (1, 0)), "transpose(1, 0)"),
        (lambda x: np.swapaxes(x, 0, 1), "swapaxes(0, 1)"),
        (lambda x: x.sum(axis=0), "sum(axis=0)"),
        (lambda x: np.add(x, x), "add"),
        (lambda x: F.softmax(x, dim=-1), "softmax(dim=-1)"),
        (lambda x: F.mse_loss(x, np.ones((2, 3))), "mse_loss"),
    ],
)
def test_operations_are_written_as_in_python(make, expected):
    x = tl.tensor(np.arange(1.0, 7.0).reshape(2, 3), requires_grad=True)
    assert written(make(x), names={"x": x}) == expected


def double(v):
    return np.tanh(v) * 2.0


def test_transformed_functions_are_one_box_with_their_name():
    x = tl.tensor(np.ones((2, 3)), requires_grad=True)
    compiled = tl.jit(double)
    compiled(x)
    assert written(compiled(x)) == "jit(double)"
    assert written(tl.checkpoint(double, x)) == "checkpoint(double)"
    assert written(tl.checkpoint(nn.Linear(3, 2, rng=0), x)) == "checkpoint(Linear)"
    assert written(tl.vmap(double)(x)) == "vmap(double)"
    assert build(tl.vmap(double)(x)).loss.operations == 2


def test_a_layer_that_is_no_more_is_known_by_its_class():
    x = tl.tensor(np.ones((2, 3)), requires_grad=True)
    assert written(nn.Softplus()(x)) == "Softplus"


def test_a_layer_that_hands_on_what_it_is_given_has_no_box():
    model = nn.Sequential(nn.Linear(3, 2, rng=0), nn.Dropout(0.5), nn.Identity()).eval()
    read = build(model(np.ones((4, 3))).sum(), model=model)
    assert [box.written for box in read.boxes if box.is_layer] == ["0: Linear(3→2)"]


def test_a_frame_around_one_frame_is_one_with_it():
    model = nn.Sequential(nn.Sequential(nn.Linear(3, 2, rng=0), nn.ReLU()))
    read = build(model(np.ones((4, 3))).sum(), model=nn.Sequential(model), detail="primitives")
    assert [frame.title for frame in read.frames] == [
        "0: Sequential › 0: Sequential", "0: Linear(3→2)", "1: ReLU",
    ]  # fmt: skip


def test_a_layer_of_the_user_is_a_frame_and_one_of_ours_is_a_box():
    class Gate(nn.Module):
        def __init__(self):
            self.fc, self.scale = nn.Linear(3, 3, rng=0), nn.Parameter(np.ones(3))

        def forward(self, x):
            return np.tanh(self.fc(x)) * self.scale

    model = nn.Sequential(Gate(), nn.Linear(3, 1, rng=0))
    read = build(model(np.ones((4, 3))).sum(), model=model)
    [frame] = read.frames
    assert (frame.title, frame.shapes) == ("0: Gate", ((4, 3), (4, 3)))
    assert [b.written for b in read.boxes if b.frame == frame.id] == [
        "fc.weight", "fc.bias", "fc: Linear(3→3)", "tanh", "scale", "multiply",
    ]  # fmt: skip


def test_a_part_of_an_array_is_named_after_it():
    data, cell = np.linspace(-1.0, 1.0, 60).reshape(3, 10, 2), nn.RNNCell(2, 3, rng=0)
    x, _y = data[:2], data[2:]
    h = np.zeros((2, 3))
    for t in range(10):
        h = cell(x[:, t], h)
    boxes = graph(h.sum(), fold=True).model.boxes
    assert next(box.name for box in boxes if box.role == "input") == "x[…]"
