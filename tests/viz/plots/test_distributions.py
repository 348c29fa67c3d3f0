"""Histograms of activations, and of weights over the steps of a training."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_lab.viz import plot_activation_histograms, plot_weight_histograms
from tinygrad_lab.viz.plots.distributions import shares

VALUES = np.random.default_rng(0).normal(size=4000)


def test_percentiles_tell_what_all_values_tell():
    edges = np.linspace(-3.0, 3.0, 13)
    counted = np.histogram(np.clip(VALUES, -3, 3), edges)[0] / VALUES.size
    np.testing.assert_allclose(shares(VALUES, edges), counted, atol=0.001)
    np.testing.assert_allclose(
        shares(np.percentile(VALUES, np.arange(101)), edges), counted, atol=0.01
    )


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([5.0], [0, 0, 1, 0]),
        ([3.0, 3.0, 5.0], [0, 0.75, 0.25, 0]),
        ([0.0, 0.0, 0.0], [1, 0, 0, 0]),
        ([8.0, 0.0], [0.25, 0.25, 0.25, 0.25]),
    ],
)
def test_equal_values_are_together_and_others_spread_evenly(values, expected):
    assert shares(np.array(values), np.array([0.0, 2.0, 4.0, 6.0, 8.0])).tolist() == expected


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=30))
def test_shares_sum_to_one(values):
    result = shares(np.array(values), np.array([-4.0, -1.0, 0.0, 0.0625, 7.0]))
    assert (result >= 0).all()
    assert result.sum() == pytest.approx(1.0)


def test_each_layer_has_a_row_with_its_histogram(ax):
    layers = {"fc": VALUES.reshape(40, 100), "relu": np.maximum(VALUES, 0)}
    plot_activation_histograms(layers, bins=20, ax=ax)
    fc, relu = ax.patches
    edges = fc.get_data().edges
    heights = fc.get_data().baseline - fc.get_data().values
    counted = np.histogram(np.clip(VALUES, edges[0], edges[-1]), edges)[0]
    np.testing.assert_allclose(heights / heights.sum(), counted / VALUES.size, atol=0.001)
    assert relu.get_data().baseline == 1
    assert [t.get_text() for t in ax.get_yticklabels()] == ["fc", "relu"]
    [remark] = ax.texts
    assert remark.get_text() == f"{100 * np.mean(VALUES <= 0):.0f} % are 0"


def test_one_value_far_away_does_not_hide_the_others(ax):
    plot_activation_histograms({"a": [*VALUES, 1e6]}, ax=ax)
    assert ax.get_xlim()[1] < 5


def test_a_dead_layer_and_one_that_is_not_finite_are_drawn(ax):
    plot_activation_histograms({"dead": np.zeros(9), "nan": [np.nan, np.inf]}, ax=ax)
    assert [t.get_text() for t in ax.texts] == ["100 % are 0", "2 not finite"]
    assert len(ax.patches) == 1


def test_weights_over_steps_are_shares_by_step(ax):
    rows = [[0.0, 1.0], [0.0, 2.0], [0.0, 4.0]]
    plot_weight_histograms(rows, steps=[1, 2, 4], bins=4, ax=ax)
    [mesh] = ax.collections
    heat = np.ma.filled(mesh.get_array(), 0.0)
    assert heat.shape == (4, 3)
    np.testing.assert_allclose(heat.sum(axis=0), 1.0)
    np.testing.assert_allclose(heat[:, 2], 0.25, atol=0.01)  # even between 0 and 4
    assert ax.lines[0].get_xydata().tolist() == [[1, 0.5], [2, 1.0], [4, 2.0]]


def test_weights_that_became_nan_leave_a_gap(ax):
    plot_weight_histograms([[0.0, 1.0], [np.nan, np.nan], [0.0, 1.0]], ax=ax)
    assert np.ma.getmaskarray(ax.collections[0].get_array())[:, 1].all()


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        ([1.0, 2.0], {}, r"got \(2,\)"),
        ([[1.0, 2.0]], {}, "Of one step, plot_activation_histograms"),
        (np.ones((2, 0)), {}, r"got \(2, 0\)"),
        (np.full((2, 2), np.nan), {}, "finite"),
        (np.ones((2, 2)), {"bins": 1}, "bins=1"),
        (np.ones((2, 2)), {"steps": [1, 1]}, "increasing"),
    ],
)
def test_what_has_no_history_is_refused(values, options, message, ax):
    with pytest.raises(ValueError, match=message):
        plot_weight_histograms(values, ax=ax, **options)


def test_layers_need_names_and_values(ax):
    with pytest.raises(TypeError, match="got list"):
        plot_activation_histograms([[1.0]], ax=ax)
    with pytest.raises(ValueError, match="no values of 'fc'"):
        plot_activation_histograms({"fc": []}, ax=ax)
    with pytest.raises(ValueError, match="bins=1"):
        plot_activation_histograms({"fc": [1.0]}, bins=1, ax=ax)
