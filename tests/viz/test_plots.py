"""Plots: on the Axes they are given, with the right data, and without side effects."""

from __future__ import annotations

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import tinygrad_lab as tl
from tinygrad_lab.viz import (
    plot_decision_boundary,
    plot_kernels,
    plot_learning_curves,
    plot_predictions,
    plot_sweep_heatmap,
)

CORNERS = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
XOR = np.array([0, 1, 1, 0])

PLOTS = {
    "curves": lambda **kw: plot_learning_curves({"a": np.ones((3, 5)), "b": [1, 0.5]}, **kw),
    "predictions": lambda **kw: plot_predictions(CORNERS, XOR, XOR[:, None] * 0.9, **kw),
    "boundary": lambda **kw: plot_decision_boundary(lambda x: x[:, 0], CORNERS, XOR, **kw),
    "heatmap": lambda **kw: plot_sweep_heatmap([[1, np.nan]], rows="a", columns="bc", **kw),
    "kernels": lambda **kw: plot_kernels(np.ones((2, 3, 3, 3)), **kw),
}


@pytest.fixture
def ax() -> Axes:
    return Figure().subplots()


@pytest.mark.parametrize("plot", PLOTS.values(), ids=PLOTS.keys())
def test_every_plot_returns_the_axes_it_was_given_and_changes_no_settings(plot, ax, monkeypatch):
    monkeypatch.setattr(plt, "show", lambda: pytest.fail("a plot must not show itself"))
    before = dict(mpl.rcParams)
    figures = plt.get_fignums()
    assert plot(ax=ax) is ax
    ax.figure.canvas.draw()
    assert dict(mpl.rcParams) == before
    assert plt.get_fignums() == figures


@pytest.mark.parametrize("plot", PLOTS.values(), ids=PLOTS.keys())
def test_every_plot_makes_its_own_axes_when_given_none(plot):
    ax = plot()
    assert isinstance(ax, Axes)
    ax.figure.canvas.draw()
    plt.close(ax.figure)


def test_several_seeds_are_a_median_and_a_band(ax):
    runs = np.array([[1.0, 0.1], [2.0, 0.2], [9.0, 0.9]])
    plot_learning_curves(runs, ax=ax, band=(0, 100))
    [line] = ax.lines
    assert line.get_ydata().tolist() == [2.0, 0.2]
    [band] = ax.collections
    heights = band.get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == (0.1, 9.0)
    assert ax.get_yscale() == "log"


def test_settings_differ_in_colour_and_dashes(ax):
    plot_learning_curves({"SGD": [1, 0.5], "Adam": [1, 0.1]}, ax=ax)
    first, second = ax.lines
    assert first.get_color() != second.get_color()
    assert first.get_linestyle() != second.get_linestyle()
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["SGD", "Adam"]


def test_a_diverged_run_leaves_the_band_and_a_short_one_ends(ax):
    plot_learning_curves([[1.0, 1.0, 1.0], [1.0, np.inf, np.nan], [4.0]], ax=ax)
    assert ax.lines[0].get_ydata().tolist() == [1.0, 1.0, 1.0]


def test_long_curves_are_thinned_but_keep_their_ends(ax):
    plot_learning_curves(np.linspace(1.0, 2.0, 9000), ax=ax)
    x = ax.lines[0].get_xdata()
    assert len(x) <= 600
    assert (x[0], x[-1]) == (0, 8999)


def test_epochs_place_the_entries(ax):
    plot_learning_curves([3.0, 2.0, 1.0], ax=ax, epochs=[0, 500, 1000])
    assert ax.lines[0].get_xdata().tolist() == [0, 500, 1000]
    with pytest.raises(ValueError, match=r"epochs has shape \(2,\).*3 entries"):
        plot_learning_curves([3.0, 2.0, 1.0], epochs=[0, 1], ax=ax)


@pytest.mark.parametrize("data", [[], {}, 3.0, [[]], np.ones((2, 2, 2)), {"a": []}])
def test_what_is_no_curve_is_refused(data):
    with pytest.raises(ValueError, match=r"learning.curve"):
        plot_learning_curves(data)


def test_predictions_are_two_panels_and_count_what_is_wrong(ax):
    plot_predictions(CORNERS, XOR[:, None], [[0.1], [0.2], [0.9], [0.1]], ax=ax)
    left, right = ax.child_axes
    assert left.get_title() == "Ground truth"
    assert right.get_title() == "Prediction (1 of 4 wrong)"
    crosses = right.collections[-1].get_offsets()
    assert crosses.tolist() == [[0.0, 1.0]]
    assert left.get_xlim() == right.get_xlim()


def test_predictions_may_be_scores_of_classes(ax):
    plot_predictions(CORNERS, [0, 1, 2, 2], np.eye(3)[[0, 1, 2, 2]], ax=ax)
    assert ax.child_axes[1].get_title() == "Prediction (all right)"


def test_predictions_must_match_the_points():
    with pytest.raises(ValueError, match=r"4 points.*\(3,\)"):
        plot_predictions(CORNERS, XOR, [0, 1, 1])
    with pytest.raises(ValueError, match=r"X has shape \(4, 2\), y has shape \(3,\)"):
        plot_predictions(CORNERS, XOR[:3], XOR)
    with pytest.raises(ValueError, match=r"points in the plane.*\(4, 3\)"):
        plot_predictions(np.ones((4, 3)), XOR, XOR)


def test_a_boundary_runs_where_the_score_meets_the_threshold(ax):
    plot_decision_boundary(lambda x: x[:, 0], CORNERS, XOR, ax=ax, threshold=0.25)
    contour = ax.collections[0]
    [path] = [p for p in contour.get_paths() if len(p.vertices)]
    assert np.allclose(path.vertices[:, 0], 0.25)


def test_a_model_of_tensors_is_called_with_gradients_off(ax):
    w = tl.tensor(np.ones((2, 1)), requires_grad=True)
    calls = []

    def model(x):
        calls.append((type(x), x.dtype, x.shape, tl.is_grad_enabled()))
        return tl.Tensor(x) @ w

    plot_decision_boundary(model, CORNERS.astype(np.float32), ax=ax, resolution=20)
    assert calls == [(np.ndarray, np.float32, (400, 2), False)]
    assert w.grad is None


def test_several_classes_are_regions(ax):
    plot_decision_boundary(
        lambda x: np.stack([x[:, 0], x[:, 1], 0 * x[:, 0] + 0.5], axis=1), CORNERS, XOR, ax=ax
    )
    assert set(np.unique(ax.images[0].get_array())) == {0, 1, 2}


@pytest.mark.parametrize(
    ("model", "message"),
    [(lambda x: x[:5, 0], r"one row of scores per point"), (lambda x: 0.5, r"returned \(\)")],
)
def test_a_model_must_answer_every_point(model, message):
    with pytest.raises(ValueError, match=message):
        plot_decision_boundary(model, CORNERS, XOR, ax=Figure().subplots(), resolution=10)


def test_a_grid_needs_two_points_a_side(ax):
    with pytest.raises(ValueError, match="resolution must be at least 2, got 1"):
        plot_decision_boundary(lambda x: x[:, 0], CORNERS, resolution=1, ax=ax)


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_a_model_that_says_nothing_is_still_drawn(ax, value):
    plot_decision_boundary(lambda x: np.full(len(x), value), CORNERS, XOR, ax=ax)
    ax.figure.canvas.draw()


def test_cells_tell_their_number(ax):
    plot_sweep_heatmap(
        [[0.5, np.nan, 1.0]], rows=["2"], columns=[0.1, 1, 10], ax=ax, fmt=".0%", colorbar=False
    )
    assert [t.get_text() for t in ax.texts] == ["50%", "–", "100%"]
    with pytest.raises(ValueError, match=r"\(1, 3\) for 2 rows"):
        plot_sweep_heatmap([[1, 2, 3]], rows="ab", columns="abc", ax=ax)


def test_kernels_share_one_scale_around_zero(ax):
    weight = np.zeros((2, 1, 3, 3))
    weight[1, 0, 1, 1] = -4.0
    plot_kernels(weight, ax=ax)
    image = ax.images[0]
    assert image.get_clim() == (-4.0, 4.0)
    assert image.get_array().shape == (3, 7)
    with pytest.raises(ValueError, match=r"\(3, 3\)"):
        plot_kernels(np.ones((3, 3)), ax=ax)
