"""The table of a model: what it counts, and that it changes nothing."""

import numpy as np
import pytest

import tinygrad_lab as tl
from tinygrad_lab import nn

CONV_NET = nn.Sequential(
    nn.Conv2d(2, 4, 3, padding=1, rng=0), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(rng=0),
    nn.Flatten(), nn.Linear(100, 3, rng=1),
)  # fmt: skip


def test_layers_shapes_parameters_products_and_bytes():
    table = tl.summary(CONV_NET, (6, 2, 5, 5))
    rows = [(r.path, r.layer, r.shapes, r.parameters, r.multiply_adds) for r in table.rows]
    image = [(6, 4, 5, 5)]
    assert rows == [
        ("", "Sequential", [(6, 3)], 0, 0),
        ("0", "Conv2d", image, 4 * 2 * 9 + 4, 6 * 25 * 4 * 2 * 9),
        ("1", "BatchNorm2d", image, 8, 0),
        ("2", "ReLU", image, 0, 0),
        ("3", "Dropout", image, 0, 0),
        ("4", "Flatten", [(6, 100)], 0, 0),
        ("5", "Linear", [(6, 3)], 303, 6 * 300),
    ]
    assert table.parameters == table.trainable == sum(p.size for p in CONV_NET.parameters())
    assert table.activations == 8 * (5 * 600 + 18)
    assert table.bytes == 8 * (table.parameters + 4 + 4 + 1)


def test_it_changes_nothing():
    before, draws = CONV_NET.state_dict(), nn.generator_state(CONV_NET)
    attributes = [dict(vars(module)) for module in CONV_NET.modules()]
    tl.summary(CONV_NET, np.ones((6, 2, 5, 5)))
    after = CONV_NET.state_dict()
    assert all((after[name] == before[name]).all() for name in before)
    assert nn.generator_state(CONV_NET) == draws
    assert [dict(vars(module)) for module in CONV_NET.modules()] == attributes


class Shared(nn.Module):
    """A layer that is called twice, one that is not called, and products of its own."""

    def __init__(self):
        self.layer, self.idle = nn.Linear(4, 4, rng=0), nn.Linear(4, 9, rng=1)
        self.tied = nn.Linear(4, 4, rng=2)
        self.tied.weight = self.layer.weight
        self.table = nn.Parameter(np.ones((4, 2)), requires_grad=False)

    def forward(self, x, *, scale):
        y = self.layer(self.layer(x * scale)) @ self.table
        return {"product": y, "pair": (x, 3)}


def test_calls_ties_and_frozen_parameters():
    table = tl.summary(Shared(), np.ones((5, 4)), scale=2.0)
    model, layer, idle, tied = table.rows
    assert (model.multiply_adds, layer.multiply_adds) == (5 * 4 * 2, 2 * 5 * 16)
    assert (model.shapes, idle.shapes) == ([(5, 2), (5, 4)], [])
    assert (model.parameters, model.trainable) == (8, 0)
    assert (layer.parameters, tied.parameters) == (20, 4)
    assert (layer.activations, model.activations) == (2 * 5 * 4 * 8, 0)
    assert "8 (8 frozen)" in repr(table)


class OfValues(nn.Module):
    """What cannot be recorded: its result has another shape for other values."""

    def __init__(self):
        self.layer = nn.Linear(3, 3, rng=0)

    def forward(self, x):
        return self.layer(x)[np.asarray(x)[:, 0] > 0]


def test_what_cannot_be_recorded_is_shown_without_its_products():
    model = OfValues()
    table = tl.summary(model, np.array([[1.0, 2, 3], [-1, 2, 3]]))
    assert table.multiply_adds is None
    assert [row.shapes for row in table.rows] == [[(1, 3)], [(2, 3)]]
    assert "not counted" in repr(table)
    assert "_forward_hooks" not in vars(model.layer)


def test_float32_and_errors():
    model = nn.Linear(2, 3, rng=0).float()
    assert tl.summary(model, (7, 2)).activations == 7 * 3 * 4
    with pytest.raises(ValueError, match=r"\(7, 5\).*does not fit"):
        tl.summary(model, (7, 5))
    with pytest.raises(TypeError, match="summary of a model"):
        tl.summary(np.sin, (7, 5))


def test_in_a_notebook():
    html = tl.summary(nn.Sequential(nn.Tanh()), (2, 3))._repr_html_()
    assert "<td>(2, 3)</td>" in html
    assert html.count("<tr>") == 3
