"""What is read off a graph: boxes, edges, numbers, names; and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinygrad_lab as tl
from tests.viz.conftest import affine
from tinygrad_lab.viz.measures import measure
from tinygrad_lab.viz.model import Box, GraphModel, build


def named(model: GraphModel, name: str) -> Box:
    [box] = [box for box in model.boxes if box.name == name]
    return box


def leaving(model: GraphModel, box: Box) -> list[float]:
    return [e.share for e in model.edges if e.source == box.id and e.share is not None]


def test_boxes_of_an_mlp(case):
    model = build(case.loss, model=case.model, names=case.names)
    assert [b.title for b in model.boxes if b.role in ("operation", "loss")] == [
        *["transpose", "matmul", "add", "logistic"] * 2,
        "squared_error",
    ]
    assert {b.name for b in model.boxes if b.role == "parameter"} == {
        "fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias",
    }  # fmt: skip
    assert {b.name: b.shape for b in model.boxes if b.role == "input"} == {
        "x": (4, 2), "y": (4, 1),
    }  # fmt: skip
    assert named(model, "ŷ").title == "logistic"
    assert model.loss.name == "loss"
    assert model.parameters == 13
    assert [f.title for f in model.frames] == ["fc1: Linear(2→3)", "fc2: Linear(3→1)"]


def test_modules_hold_the_operations_their_parameters_enter(case):
    model = build(case.loss, model=case.model, names=case.names)
    paths = {f.id: f.path for f in model.frames}
    held = [(b.title, paths.get(b.frame)) for b in model.boxes if b.role == "operation"]
    layer = ["transpose", "matmul", "add"]
    assert held == [
        *[(title, "fc1") for title in layer],
        ("logistic", None),
        *[(title, "fc2") for title in layer],
        ("logistic", None),
    ]


def test_boxes_come_in_topological_order(deep_case):
    model = build(deep_case.loss, fold=False)
    place = {box.id: i for i, box in enumerate(model.boxes)}
    assert [box.id for box in model.boxes] == [f"n{i}" for i in range(len(model.boxes))]
    assert all(place[e.source] < place[e.target] for e in model.edges)


def test_gradients_are_those_of_backward(case):
    model = build(case.loss, model=case.model)
    case.loss.backward()
    for name, parameter in case.model.named_parameters():
        box = named(model, name)
        assert box.grad is not None
        assert box.grad.rms == pytest.approx(np.sqrt(np.mean(parameter.grad**2)))
        assert box.grad.mean == pytest.approx(parameter.grad.mean())


def test_drawing_touches_no_grad_and_keeps_the_graph(case):
    hidden = case.names["ŷ"]
    hidden.retain_grad()
    build(case.loss)
    assert hidden.grad is None
    assert all(p.grad is None for _, p in case.model.named_parameters())
    case.loss.backward()
    before = [p.grad.copy() for _, p in case.model.named_parameters()]
    assert all(np.any(g) for g in before)


def test_a_square_has_two_edges_that_add_up():
    x = tl.tensor([0.3, -0.2, 0.5], requires_grad=True)
    model = build((x * x + x).sum(), names={"x": x})
    box = named(model, "x")
    uses = [(e.target, e.operand) for e in model.edges if e.source == box.id]
    assert uses == [("n1", 0), ("n1", 1), ("n2", 1)]
    assert leaving(model, box)[0] == leaving(model, box)[1]
    assert sum(leaving(model, box)) == pytest.approx(box.flow)


def test_contributions_to_one_number_are_signed_and_add_up():
    x = tl.tensor(2.0, requires_grad=True)
    model = build(x * x - 7.0 * x, names={"x": x})
    assert leaving(model, named(model, "x")) == [2.0, 2.0, -7.0]
    assert named(model, "x").flow == -3.0


@given(
    hnp.arrays(np.float64, hnp.array_shapes(max_dims=2), elements=st.floats(-5, 5)),
    st.lists(st.sampled_from([np.sin, np.exp, np.negative, np.square]), min_size=1, max_size=4),
)
def test_shares_add_up_whatever_the_functions(values, functions):
    x = tl.tensor(values, requires_grad=True)
    total = sum((f(x).sum() for f in functions), (x * x).sum())
    model = build(total, names={"x": x})
    box = named(model, "x")
    assert sum(leaving(model, box)) == pytest.approx(box.flow, abs=1e-9)


def test_operand_order_is_kept():
    a = tl.tensor([1.0, 2.0], requires_grad=True)
    b = tl.tensor([3.0, 4.0], requires_grad=True)
    for difference, expected in ((a - b, ["a", "b"]), (b - a, ["b", "a"])):
        model = build(difference.sum(), names={"a": a, "b": b})
        called = {box.id: box.name for box in model.boxes}
        into = [e for e in model.edges if e.target == "n2"]
        assert [called[e.source] for e in into] == expected
        assert [e.operand for e in into] == [0, 1]


def test_an_array_is_one_box_however_often_it_is_used():
    data = np.array([1.0, 2.0])
    w = tl.tensor([3.0, 4.0], requires_grad=True)
    model = build(((w * data) * data).sum(), names={"data": data})
    assert model.count("input") == 1
    assert sum(e.source == named(model, "data").id for e in model.edges) == 2


def test_untracked_tensors_are_named_like_arrays():
    data = tl.tensor([1.0, 2.0])
    w = tl.tensor([3.0, 4.0], requires_grad=True)
    model = build((w * data).sum(), names={"data": data})
    assert named(model, "data").role == "input"


def test_scalars_and_axes_are_attributes_not_boxes():
    x = tl.tensor(np.ones((2, 3)), requires_grad=True)
    model = build((2.0 / x**3).sum(axis=0, keepdims=False).mean())
    attributes = {b.title: b.attributes for b in model.boxes}
    assert model.count("input") == 0
    assert attributes["power"] == "3"
    assert attributes["divide"] == "2, ·"
    assert attributes["sum"] == "axis=0"
    assert attributes["mean"] == ""


def test_attributes_are_named_where_it_is_not_clear(fused_case):
    x, w, b = (tl.tensor(np.ones(s), requires_grad=True) for s in [(4, 3), (3, 3), (3,)])
    scaled = build(affine(x, w, b, 2.0))
    assert scaled.loss.attributes == "scale=2"
    assert build(x.reshape(2, 6)).loss.attributes == "2, 6"
    assert build(x[np.array([0, 1])]).loss.attributes == ""
    assert build(x.sum(axis=0, dtype=np.float64)).loss.attributes == "axis=0, dtype=float64"
    assert build(x.astype(np.float32)).loss.attributes.endswith("float32")


def test_an_unnamed_array_takes_the_name_of_the_argument(case):
    model = build(case.loss)
    assert [b.name for b in model.boxes if b.role == "input"] == ["", "target"]


def test_with_a_model_a_foreign_leaf_is_an_input(case):
    x = tl.tensor(np.ones((4, 2)), requires_grad=True)
    loss = (case.model(x)).sum()
    roles = {b.name: b.role for b in build(loss, model=case.model, names={"x": x}).boxes}
    assert roles["x"] == "input"
    assert roles["fc1.weight"] == "parameter"


def test_data_makes_the_spine_and_parameters_come_in_from_the_side(case):
    model = build(case.loss, model=case.model, names=case.names)
    called = {b.id: b.name or b.title for b in model.boxes}
    spine = [called[e.source] for e in model.edges if e.role == "spine"]
    side = {called[e.source] for e in model.edges if e.role == "side"}
    assert spine == ["x", "matmul", "add", "logistic", "matmul", "add", "ŷ"]
    assert side == {
        "fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias", "transpose", "y",
    }  # fmt: skip


def test_the_long_way_is_the_spine_and_the_short_cut_a_skip():
    x = np.array([[1.0, 2.0]])
    w = tl.tensor(np.eye(2), requires_grad=True)
    h = x @ w
    model = build((np.tanh(np.tanh(h)) + h).sum())
    by_role = {e.role: (e.source, e.target) for e in model.edges if e.role == "skip"}
    matmul, add = (next(b.id for b in model.boxes if b.title == t) for t in ("matmul", "add"))
    assert by_role["skip"] == (matmul, add)


def test_several_elements_mean_the_gradient_of_the_sum():
    x = tl.tensor([1.0, 2.0], requires_grad=True)
    assert named(build(3.0 * x, names={"x": x}), "x").flow == 3.0


def test_nothing_finite_is_hidden():
    x = tl.tensor([1.0, 0.0], requires_grad=True)
    with np.errstate(divide="ignore"):
        model = build(np.log(x).sum(), names={"x": x})
    assert named(model, "x").trouble == "∇ Inf"
    assert model.loss.trouble == "Inf"
    assert named(model, "x").value.trouble == ""


def test_without_gradients_no_pass_is_run():
    calls = []
    x = tl.tensor([1.0, 2.0], requires_grad=True)
    x.register_hook(calls.append)
    model = build((x * x).sum(), gradients=False)
    assert calls == []
    assert all(b.grad is None for b in model.boxes)


def test_a_long_chain_needs_no_recursion():
    x = tl.tensor([1.0, 2.0], requires_grad=True)
    h = x
    for _ in range(2000):
        h = h + x
    model = build(h.sum())
    assert model.operations == 2001
    assert sum(leaving(model, model.boxes[0])) == pytest.approx(2001.0)


def test_a_freed_graph_says_to_draw_before_backward(case):
    case.loss.backward()
    with pytest.raises(ValueError, match=r"draw it before backward\(\).*retain_graph=True"):
        build(case.loss)


def test_a_retained_graph_can_be_drawn(case):
    case.loss.backward(retain_graph=True)
    assert build(case.loss).operations == 9


def test_no_history_says_so():
    with pytest.raises(ValueError, match=r"no history.*requires_grad=True"):
        build(tl.tensor([1.0]))


def test_what_is_no_tensor_is_refused():
    with pytest.raises(TypeError, match=r"graph of a Tensor.*ndarray"):
        build(np.ones(3))


def test_a_model_without_parameters_is_refused(case):
    with pytest.raises(TypeError, match=r"named_parameters\(\), list has not"):
        build(case.loss, model=[])


def test_too_many_boxes_are_refused_with_a_summary(case):
    with pytest.raises(ValueError, match=r"15 boxes.*2 × matmul.*limit=15"):
        build(case.loss, limit=14)
    assert len(build(case.loss, limit=15).boxes) == 15


def test_a_leaf_alone_is_a_graph_of_one_box():
    model = build(tl.tensor(3.0, requires_grad=True))
    assert [b.role for b in model.boxes] == ["loss"]
    assert model.edges == ()


@given(hnp.arrays(np.float64, hnp.array_shapes(min_dims=0, min_side=0)))
def test_measure_agrees_with_numpy(array):
    m = measure(array)
    finite = array[np.isfinite(array)]
    assert (m.size, m.nan, m.inf) == (array.size, np.isnan(array).sum(), np.isinf(array).sum())
    if finite.size:
        assert (m.low, m.high) == (finite.min(), finite.max())
        top = np.abs(finite).max()
        assert abs(m.mean) / (top or 1.0) <= m.rms / (top or 1.0) * (1 + 1e-12)
        assert m.rms / (top or 1.0) <= 1 + 1e-12
    else:
        assert math.isnan(m.rms) or m.size == 0


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_rms_neither_underflows_nor_overflows(scale):
    assert measure(np.array([3.0, 4.0]) * scale).rms == pytest.approx(scale * math.sqrt(12.5))


def test_an_array_of_one_element_that_a_call_made_others_of_has_no_box():
    logits = tl.tensor([[0.5, -1.0, 2.0]], requires_grad=True)
    model = build(tl.nn.functional.cross_entropy(logits, np.array([2])))
    assert [box.title for box in model.boxes] == ["parameter", "cross_entropy"]


def test_labels_that_a_call_made_others_of_have_a_box_with_the_name_of_the_argument():
    logits = tl.tensor([[0.5, -1.0, 2.0]] * 2, requires_grad=True)
    model = build(tl.nn.functional.cross_entropy(logits, np.array([2, 0])))
    target = named(model, "target")
    assert (target.role, target.shape, target.dtype) == ("input", (2,), "int64")


def test_layers_and_functions_are_drawn_as_they_were_written():
    layer = tl.nn.Conv2d(1, 2, 3, padding=1, rng=0)
    image = np.arange(16.0).reshape(1, 1, 4, 4)
    loss = tl.nn.functional.max_pool2d(layer(image), 2).sum()
    model = build(loss, model=tl.nn.Sequential(layer))
    [conv, pool] = [b for b in model.boxes if b.role in ("layer", "operation")]
    assert (conv.written, conv.shape_before, conv.shape) == (
        "0: Conv2d(1→2, k3, p1)", (1, 1, 4, 4), (1, 2, 4, 4),
    )  # fmt: skip
    assert pool.written == "max_pool2d(k2)"
    assert [b.written for b in model.boxes if b.role == "parameter"] == ["weight", "bias"]
    whole = build(loss, model=tl.nn.Sequential(layer), detail="modules")
    [box] = [b for b in whole.boxes if b.role == "layer"]
    assert (box.written, box.parameters) == ("0: Conv2d(1→2, k3, p1)", 20)
    inside = build(loss, model=tl.nn.Sequential(layer), detail="primitives")
    assert [frame.title for frame in inside.frames] == ["0: Conv2d(1→2, k3, p1)"]


def test_the_steps_of_a_loop_are_drawn_once():
    cell = tl.nn.RNNCell(2, 3, rng=0)
    xs, h = np.ones((4, 9, 2)), np.zeros((4, 3))
    for t in range(9):
        h = cell(xs[:, t] * (t + 1.0), h)
    folded, unfolded = build(h.sum(), fold=True), build(h.sum(), fold=False)
    assert folded.operations == unfolded.operations
    assert folded.parameters == unfolded.parameters
    [frame] = [frame for frame in folded.frames if frame.copies > 1]
    assert frame.copies >= 8
    assert len(folded.boxes) == 8
    assert any(edge.role == "carried" for edge in folded.edges)
    of_weights = {b.name or b.shape: b.grad.rms for b in unfolded.boxes if b.role == "parameter"}
    for box in folded.boxes:
        if box.role == "parameter":
            assert box.grad.rms == pytest.approx(of_weights[box.name or box.shape])


def test_a_gradient_that_is_not_finite_is_written_so_in_its_box():
    w = tl.tensor(np.array([1.0, -2.0, 3.0]), requires_grad=True)
    with np.errstate(invalid="ignore"):
        drawn = tl.viz.graph((np.log(w) * w).sum())
    (box,) = (box for box in drawn.model.boxes if box.role == "parameter")
    assert np.isnan(box.flow)
    assert "∇ NaN" in drawn.source
