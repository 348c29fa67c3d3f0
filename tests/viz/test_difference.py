"""What `diff(before, after)` says of two graphs."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_lab as tl
from tests.viz.conftest import make_case
from tinygrad_lab import nn
from tinygrad_lab.viz import diff, graph

F = nn.functional


def drawn(*layers, **options):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(6, 4)), rng.integers(0, 3, 6)
    model = nn.Sequential(*layers)
    return graph(F.cross_entropy(model(x), y), model, names={"x": x, "y": y}, **options)


def linear(inputs, outputs):
    return nn.Linear(inputs, outputs, rng=0)


@pytest.fixture(scope="module")
def difference():
    before = drawn(linear(4, 5), nn.Sigmoid(), linear(5, 3))
    return diff(before, drawn(linear(4, 5), nn.LayerNorm(5), nn.ReLU(), linear(5, 3)))


def test_a_graph_beside_itself_is_the_same():
    case = make_case(2, 3, 1)
    same = diff(graph(case.loss, case.model), graph(case.loss, case.model))
    assert (same.added, same.removed) == ((), ())
    assert all(change.ratio in (None, 1.0) and not change.others for change in same.changed)
    assert same.report().endswith("in both, all the same")


def test_layers_are_matched_wherever_they_went(difference):
    assert [box.title for box in difference.added if box.role != "parameter"] == [
        "LayerNorm", "ReLU",
    ]  # fmt: skip
    assert [box.title for box in difference.removed] == ["Sigmoid"]
    names = {c.after.name: c.before.name for c in difference.changed}
    assert names["3.weight"] == "2.weight"


def test_what_was_removed_is_drawn_dashed_where_it_was(difference):
    boxes = {box.title: box for box in difference.model.boxes}
    assert boxes["Sigmoid"].marks == ("− removed",)
    [line] = [text for text in difference.source.splitlines() if "<B>1</B>: Sigmoid" in text]
    assert "filled,dashed" in line
    entering = [e for e in difference.model.edges if e.target == boxes["Sigmoid"].id]
    leaving = [e for e in difference.model.edges if e.source == boxes["Sigmoid"].id]
    assert [e.status for e in (*entering, *leaving)] == ["removed", "removed"]
    place = {box.id: i for i, box in enumerate(difference.model.boxes)}
    assert all(place[e.source] < place[e.target] for e in difference.model.edges)


def test_the_gradient_is_a_ratio():
    w = tl.tensor([1.0, 2.0], requires_grad=True)
    before = graph((w * w).sum(), names={"w": w})
    after = graph((w * w).sum() * 100.0, names={"w": w})
    changed = {c.after.name: c.ratio for c in diff(before, after).changed}
    assert changed["w"] == pytest.approx(100.0)
    assert "∇ × 100: w, from 3.16 to 316" in diff(before, after).report()
    assert "∇ × 100" in diff(before, after).source


def test_a_model_before_and_after_a_step():
    model = nn.Sequential(linear(4, 5), nn.Tanh(), linear(5, 3))
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(6, 4)), rng.integers(0, 3, 6)
    before = graph(F.cross_entropy(model(x), y), model)
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    tl.optim.SGD(model.parameters(), lr=1.0).step()
    after = diff(before, graph(F.cross_entropy(model(x), y), model))
    assert not after.added and not after.removed
    assert any(c.ratio != 1 for c in after.changed if c.after.name == "0.weight")


def test_other_shapes_are_said():
    wider = diff(drawn(linear(4, 5), linear(5, 3)), drawn(linear(4, 7), linear(7, 3)))
    assert "± 0.weight: was (5, 4), is (7, 4)" in wider.report()
    assert not wider.added and not wider.removed
    marks = {box.name: box.marks for box in wider.model.boxes if box.role == "parameter"}
    assert marks["0.bias"] == ("± was (5,)",)


def test_losses_are_drawn_first():
    w = tl.tensor([1.0, 2.0], requires_grad=True)
    assert [box.title for box in diff((w * w).sum(), np.tanh(w * w).sum()).added] == ["tanh"]


def test_folded_loops_of_other_lengths():
    x = tl.tensor(np.ones((2, 2)), requires_grad=True)

    def loop(steps):
        h = x
        for _ in range(steps):
            h = np.tanh(np.sin(h @ x) + x)
        return graph(h.sum(), fold=True)

    longer = diff(loop(5), loop(9))
    assert (longer.added, longer.removed) == ((), ())


@pytest.mark.parametrize("other", [None, 3.0, np.zeros(3)])
def test_what_is_no_graph(other):
    with pytest.raises(TypeError, match=r"diff\(\) compares two graphs"):
        diff(drawn(linear(4, 3)), other)


def test_options_that_are_too_late():
    plain = drawn(linear(4, 3))
    assert "#0D1117" in diff(plain, plain, theme="dark").source
    with pytest.raises(TypeError, match="theme= and engine= alone"):
        diff(plain, plain, detail="modules")
