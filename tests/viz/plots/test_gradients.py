"""Gradient flow: bars of one step, a heat map of several, and what has no logarithm."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

import tinygrad_lab as tl
from tinygrad_lab import nn
from tinygrad_lab.viz import plot_gradient_flow


def test_a_model_after_backward_has_a_bar_a_parameter(ax):
    model = nn.Sequential(nn.Linear(2, 3, rng=0), nn.Linear(3, 1, rng=1))
    tl.mse_loss(model(np.ones((4, 2))), np.ones((4, 1))).backward()
    plot_gradient_flow(model, ax=ax)
    ends = [bar.get_x() + bar.get_width() for bar in ax.patches]
    sizes = [np.sqrt(np.mean(np.square(p.grad))) for p in model.parameters()]
    np.testing.assert_allclose(ends, sizes)
    names = [name for name, _ in model.named_parameters()]
    assert [t.get_text() for t in ax.get_yticklabels()] == names
    bottom, top = ax.get_ylim()
    assert bottom > top  # the first layer is at the top
    assert ax.get_xscale() == "log"


def test_a_model_without_gradients_is_told(ax):
    with pytest.raises(ValueError, match=r"call loss.backward\(\) first"):
        plot_gradient_flow(nn.Linear(2, 1, rng=0), ax=ax)


def test_bars_of_nothing_and_of_nan_are_words(ax):
    plot_gradient_flow({"a": 0.5, "b": 0.0, "c": np.nan, "d": [np.inf]}, ax=ax)
    assert [t.get_text() for t in ax.texts] == ["0.5", "0", "× NaN", "× ∞"]
    assert len(ax.patches) == 1


def test_steps_and_layers_are_a_heat_map(ax):
    plot_gradient_flow({"a": [1e-6, 1e-3], "b": [1.0, 0.1]}, steps=[10, 20], ax=ax)
    [mesh] = ax.collections
    np.testing.assert_allclose(mesh.get_array(), [[1e-6, 1e-3], [1.0, 0.1]])
    assert mesh.get_clim() == (1e-6, 1.0)
    assert ax.get_xlim() == (5, 25)
    assert [t.get_text() for t in ax.get_yticklabels()] == ["a", "b"]


def test_what_has_no_logarithm_is_hatched_where_it_is(ax):
    plot_gradient_flow({"a": [1.0, 0.0, 0.0, 1.0], "b": [1.0, 1.0, np.nan, np.inf]}, ax=ax)
    _, zero, bad = ax.collections
    assert zero.get_paths()[0].get_extents().bounds == (0.5, -0.5, 2.0, 1.0)
    assert bad.get_paths()[0].get_extents().bounds == (1.5, 0.5, 2.0, 1.0)
    assert zero.get_hatch() != bad.get_hatch()
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["0", "not finite"]


def test_equal_gradients_do_not_look_different(ax):
    plot_gradient_flow({"a": [0.1, 0.1]}, ax=ax)
    low, high = ax.collections[0].get_clim()
    assert low < 0.1 < high


def test_many_layers_have_some_of_their_names():
    ax = plot_gradient_flow({f"layer{i}": [1.0, 2.0] for i in range(500)}, ax=Figure().subplots())
    names = [t.get_text() for t in ax.get_yticklabels()]
    assert len(names) <= 40
    assert names[0] == "layer0"


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        ({}, {}, "empty mapping"),
        ({"a": []}, {}, r"'a'.*got \(0,\)"),
        ({"a": np.ones((2, 2))}, {}, r"'a'.*got \(2, 2\)"),
        ({"a": [1, 2], "b": [1]}, {}, "a 2, b 1"),
        ({"a": [-1.0]}, {}, "not negative"),
        ({"a": [1, 2]}, {"steps": [1, 2, 3]}, "steps needs 2 increasing"),
        ({"a": [1, 2]}, {"steps": [2, 1]}, "steps needs 2 increasing"),
    ],
)
def test_what_is_no_flow_is_refused(data, options, message, ax):
    with pytest.raises(ValueError, match=message):
        plot_gradient_flow(data, ax=ax, **options)


def test_names_are_wanted(ax):
    with pytest.raises(TypeError, match="got ndarray"):
        plot_gradient_flow(np.ones((2, 2)), ax=ax)
