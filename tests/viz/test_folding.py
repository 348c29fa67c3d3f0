"""What repeats is drawn once: only where copies are alike and wired alike; large graphs fit."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import tinygrad_lab as tl
from tests.viz.conftest import make_case
from tinygrad_lab.viz import graph
from tinygrad_lab.viz.dot import to_dot
from tinygrad_lab.viz.model import GraphModel, build

nn = tl.nn


def leaf(*shape: int) -> tl.Tensor:
    return tl.tensor(np.linspace(-1.0, 1.0, int(np.prod(shape))).reshape(shape), requires_grad=True)


def copies(model: GraphModel) -> list[int]:
    return [frame.copies for frame in model.frames if frame.copies > 1]


def test_steps_that_take_what_the_step_before_gave_are_folded():
    x = h = leaf(3)
    for _ in range(12):
        h = np.tanh(h * 0.9) + x
    model = build(h.sum(), fold=True)
    assert copies(model) == [12]
    assert len(model.boxes) == 5
    assert sum(edge.role == "carried" for edge in model.edges) == 1


def test_equal_boxes_that_are_wired_otherwise_are_drawn_apart():
    h = [leaf(3)]
    sources = [0, 1, 1, 3, 0, 5, 2, 7, 4, 9, 3, 11]
    for i, j in enumerate(sources):
        h.append(h[i] + h[j])
    model = build(h[-1].sum(), fold=True)
    assert copies(model) == []
    assert model.operations == len(model.boxes) - 1 == 13


def test_two_runs_of_equal_boxes_with_other_connections_are_two():
    x = h = leaf(3)
    for _ in range(10):
        h = h * x
    for _ in range(10):
        h = h * h
    assert copies(build(h.sum(), fold=True)) == [10, 10]


def test_weights_that_alternate_are_a_period_of_two():
    a, b = leaf(3), leaf(3)
    h = leaf(3)
    for _ in range(8):
        h = h * a * b
    model = build(h.sum(), fold=True, names={"a": a, "b": b})
    assert copies(model) == [8]
    of_parameters = {box.name: box.shape for box in model.boxes if box.role == "parameter"}
    assert {"a", "b"} <= set(of_parameters)


def test_what_every_step_has_of_its_own_is_one_box_for_all():
    weights = [leaf(3) for _ in range(10)]
    h = leaf(3)
    for w in weights:
        h = np.sin(h * w)
    model = build(h.sum(), fold=True)
    assert copies(model) == [10]
    assert model.parameters == 33
    assert model.count("parameter") == 2


def test_slices_that_are_cut_before_the_loop_go_with_their_steps():
    x, h = leaf(4, 9, 3), np.zeros((4, 3))
    cell = nn.RNNCell(3, 3, rng=0)
    for part in [x[:, t] for t in range(9)]:
        h = cell(part, h)
    model = build(h.sum(), fold=True)
    assert copies(model) == [9, 9]
    assert [b.written for b in model.boxes if b.title == "getitem"] == ["[:, 0 … 8]"]


def test_blocks_are_named_from_the_first_to_the_last():
    layer = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, rng=0)
    model = nn.TransformerEncoder(layer, 6)
    loss = (model(np.linspace(-1, 1, 24).reshape(2, 3, 4)) ** 2).sum()
    read = build(loss, model=model)
    [block] = [frame for frame in read.frames if frame.copies == 6]
    assert block.title == "layers.0 … layers.5: TransformerEncoderLayer"
    assert block.shapes == ((2, 3, 4), (2, 3, 4))
    assert "self_attn: MultiheadAttention(4, 2 heads)" in [frame.title for frame in read.frames]
    assert "what repeats is drawn once" in to_dot(read)


def test_a_gradient_that_vanishes_on_the_way_is_said_for_both_ends():
    h = leaf(3)
    for _ in range(20):
        h = np.tanh(h * 0.3)
    model = build(h.sum(), fold=True)
    box = next(box for box in model.boxes if box.title == "tanh")
    assert len(box.course) == 20
    first, last = box.ends
    assert first == box.course[0].rms < last / 10
    assert build(leaf(3).sum()).loss.ends is None


def test_a_chain_of_300_operations_can_be_read_and_says_how_it_was_shortened():
    functions = itertools.cycle([np.sin, np.tanh, np.exp, np.negative, np.cos])
    rng, h = np.random.default_rng(0), leaf(3)
    for f in itertools.islice(functions, 300):
        h = f(h) * 0.5 if rng.random() < 0.5 else f(h)
    model = build(h.sum())
    assert len(model.boxes) <= 60
    assert model.operations > 300
    assert "operations in a row as one box" in model.notes


def test_no_graph_is_refused_that_may_be_shortened():
    rng, h = np.random.default_rng(0), [leaf(2)]
    for i in range(900):
        h.append(h[-1] + h[rng.integers(max(0, i - 50), i + 1)] * 0.0)
    model = graph(h[-1].sum()).model
    assert len(model.boxes) <= 60
    assert model.operations == 1801


def test_layers_within_layers_become_boxes_until_it_can_be_read():
    def tower(depth: int) -> nn.Module:
        if not depth:
            return nn.Sequential(nn.Linear(2, 2, rng=depth), nn.Tanh())
        return nn.Sequential(tower(depth - 1), nn.ReLU(), tower(depth - 1), nn.Sigmoid())

    model = tower(5)
    read = build(model(np.ones((3, 2))).sum(), model=model, fold=False)
    assert 8 < len(read.boxes) <= 60
    assert "layers within others as one box" in read.notes
    shallow = build(model(np.ones((3, 2))).sum(), model=model, fold=False, depth=1)
    assert [box.path for box in shallow.boxes if box.role == "layer"] == ["0", "1", "2", "3"]


def test_a_layer_that_is_to_be_one_box_must_be_there():
    model = nn.Sequential(nn.Sequential(nn.Linear(2, 3, rng=0), nn.ReLU()), nn.Linear(3, 1, rng=0))
    loss = model(np.ones((4, 2))).sum()
    read = build(loss, model=model, collapse=["0"])
    box = next(box for box in read.boxes if box.path == "0")
    assert (box.written, box.parameters, box.operations) == ("0: Sequential", 9, 2)
    with pytest.raises(ValueError, match="no layer is called 'fc'"):
        build(loss, model=model, collapse=["fc"])


def test_the_last_step_may_lack_what_nobody_uses():
    cell, x = nn.LSTMCell(3, 4, rng=0), leaf(2, 12, 3)
    h = c = np.zeros((2, 4))
    hidden = []
    for t in range(12):
        h, c = cell(x[:, t], (h, c))
        hidden.append(h)
    model = build(np.stack(hidden).sum(), names={"x": x}, fold=True)
    assert copies(model) == [12]
    assert model.operations == build(np.stack(hidden).sum(), fold=False).operations
    stack = next(box for box in model.boxes if box.title == "stack")
    assert sum(edge.target == stack.id for edge in model.edges) == 1  # one line for all steps
    assert "x[:, 0 … 11]" in [box.written for box in model.boxes]


def test_shares_of_a_folded_loop_are_those_of_the_whole():
    w, h = leaf(3), leaf(3)
    for _ in range(10):
        h = np.tanh(h * w)
    folded, whole = (build(h.sum(), names={"w": w}, fold=fold) for fold in (True, False))
    sizes = [next(b.grad.rms for b in m.boxes if b.name == "w") for m in (folded, whole)]
    assert sizes[0] == pytest.approx(sizes[1])


class Branches(nn.Module):
    """Convolutions of several sizes side by side."""

    def __init__(self):
        self.all = nn.ModuleList(nn.Conv2d(1, 2, k, padding=k // 2, rng=0) for k in (1, 3, 5, 7))

    def forward(self, x):
        return np.concatenate([branch(x) for branch in self.all], axis=1)


def test_branches_with_kernels_of_other_sizes_are_no_copies_and_are_drawn_without_parameters():
    model = Branches()
    read = build(model(np.ones((1, 1, 8, 8))).sum(), model=model)
    assert copies(read) == []
    assert [box.written for box in read.boxes if box.is_layer] == [
        "all.0: Conv2d(1→2, k1)", "all.1: Conv2d(1→2, k3, p1)", "all.2: Conv2d(1→2, k5, p2)",
        "all.3: Conv2d(1→2, k7, p3)",
    ]  # fmt: skip
    assert read.count("parameter") == 0
    assert read.parameters == 2 * (1 + 9 + 25 + 49) + 8
    assert read.notes == ("layers as one box",)


def test_a_pattern_stands_for_several_paths():
    model = nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8, rng=0), 5)
    loss = (model(np.linspace(-1, 1, 24).reshape(2, 3, 4)) ** 2).sum()
    read = build(loss, model=model, collapse=["layers.*.self_attn"], fold=False, limit=None)
    whole = [box.path for box in read.boxes if box.title == "MultiheadAttention"]
    assert whole == [f"layers.{i}.self_attn" for i in range(5)]


def test_a_module_of_which_a_part_repeats_has_no_frame():
    case = make_case(2, *[4] * 12, 1)
    read = build(case.loss, model=case.model, names=case.names)
    assert copies(read) == [11]
    around = {frame.id: frame.within for frame in read.frames}
    for box in read.boxes:
        if box.name == "fc1.weight":
            assert box.frame is None
        if box.name == "fc2.weight":
            assert around[box.frame] is not None


def test_the_numbers_of_a_parameter_are_those_of_all_copies():
    pairs = [(nn.Linear(6, 6, rng=k), nn.Tanh()) for k in range(8)]
    model = nn.Sequential(*[layer for pair in pairs for layer in pair])
    read = build(model(leaf(4, 6)).sum(), model=model, fold=True)
    assert copies(read) == [8]
    assert read.parameters == sum(p.size for p in model.parameters())
    weight = next(box for box in read.boxes if box.role == "parameter")
    assert weight.value.high == max(linear.weight.data.max() for linear, _ in pairs)
    assert weight.value.low == min(linear.weight.data.min() for linear, _ in pairs)
