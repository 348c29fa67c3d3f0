"""What `graph(...).check()` says of a user's operations in a network."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tl
from tinygrad_lab import nn
from tinygrad_lab.viz.health import flat

F = nn.functional


@tl.primitive
def swish(x: Any) -> Any:
    return x / (1 + np.exp(-x))


tl.defvjp(swish, lambda g, y, x: g / (1 + np.exp(-x)))  # without the slope of the sigmoid


class Net(nn.Module):
    """One hidden layer."""

    def __init__(self, activation: Any) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(4, 5, rng=0), nn.Linear(5, 3, rng=1)
        self.activation = activation

    def forward(self, x: Any) -> Any:
        return self.fc2(self.activation(self.fc1(x)))


def checked(activation: Any, **options: Any) -> Any:
    rng = np.random.default_rng(0)
    net = Net(activation)
    loss = F.cross_entropy(net(rng.normal(size=(6, 4))), rng.integers(0, 3, 6))
    return tl.viz.graph(loss, net, **options).check()


@pytest.fixture(scope="module")
def wrong():
    return checked(swish)


def test_a_wrong_primitive_is_marked_and_the_parameters_that_it_spoils(wrong):
    marks = {box.written: box.marks for box in wrong.model.boxes if box.operations}
    assert marks == {
        "fc1: Linear(4→5)": (), "fc2: Linear(5→3)": (), "cross_entropy": (),
        "swish": ("✗ gradcheck",),
    }  # fmt: skip
    spoiled = {box.name for box in wrong.model.boxes if box.marks == ("≠ ∇ disagrees",)}
    assert spoiled == {"fc1.weight", "fc1.bias"}
    assert "<B>✗ gradcheck</B>" in wrong.source


def test_the_report_says_what_and_how(wrong):
    assert not wrong.ok
    report = " ".join(wrong.report().split())
    for words in ("gradcheck: swish, after fc1: Linear(4→5)", "fc1.weight, fc1.bias", "100.00%"):
        assert words in report


def test_right_operations_are_not_marked():
    right = checked(np.tanh)
    assert right.ok, right.report()
    assert right.report().endswith("no derivative is wrong")
    assert not any(box.marks for box in right.model.boxes)


def test_the_gradient_need_not_be_drawn():
    assert [f.kind for f in flat(checked(swish, show=()).findings)] == ["gradcheck", "disagrees"]


def test_several_results_and_a_picture_without_a_model():
    w = tl.tensor(np.random.default_rng(0).normal(size=(3, 3)), requires_grad=True)
    u, s, vt = np.linalg.svd(w)
    assert tl.viz.graph(((u * s) @ vt).sum() + np.split(s, 3)[0].sum()).check().ok


def test_one_box_for_a_layer_is_marked_too():
    class Layer(nn.Module):
        def forward(self, x: Any) -> Any:
            return swish(x)

    marked = [box.path for box in checked(Layer(), detail="modules").model.boxes if box.marks]
    assert marked == ["fc1", "activation"]


def test_what_cannot_be_decided_is_not_ok():
    x = tl.tensor([1.0, 2.0], requires_grad=True)
    examined = tl.viz.graph((x * x).sum(), names={"x": x}).check(budget=1e-9)
    assert [f.kind for f in examined.findings] == ["undecided"]
    assert not examined.ok


def test_nothing_was_computed():
    assert tl.viz.graph(tl.tensor([1.0, 2.0], requires_grad=True)).check().ok


def test_what_cannot_be_called_again_is_not_ok():
    x = tl.tensor(np.random.default_rng(0).normal(size=(3, 3)), requires_grad=True)
    for loss in (tl.jit(lambda w: np.tanh(w @ w).sum())(x), tl.checkpoint(np.tanh, x).sum()):
        [finding] = tl.viz.graph(loss).check().findings
        assert (finding.kind, "cannot be called again" in finding.text) == ("undecided", True)


def test_drawing_loads_no_checker():
    script = (
        "import sys, tinygrad_lab as tl; x = tl.tensor([1.0, 2.0], requires_grad=True); "
        "tl.viz.graph((x * x).sum()); print('tinygrad_lab.testing' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr
