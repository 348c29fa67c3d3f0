"""What holds for every plot: on the Axes it is given, without side effects, on any ground."""

from __future__ import annotations

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.axes import Axes

import tinygrad_lab as tl
from tinygrad_lab import nn, viz
from tinygrad_lab.viz.plots.canvas import COLOURS, ON_DARK, class_style, curve_style

CORNERS = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
XOR = np.array([0, 1, 1, 0])
CLASSIFIER = nn.Sequential(nn.Flatten(), nn.Linear(4, 3, rng=0))


def surface(**kw):
    model = nn.Linear(2, 1, rng=0)
    loss = lambda: tl.mse_loss(model(CORNERS), XOR[:, None].astype(float))
    return viz.plot_loss_surface(model, loss, rng=0, resolution=4, **kw)


PLOTS = {
    "activations": lambda **kw: viz.plot_activation_histograms({"a": [1.0, np.nan, 0.0]}, **kw),
    "attention": lambda **kw: viz.plot_attention(np.ones((5, 2, 3)) / 3, **kw),
    "boundary": lambda **kw: viz.plot_decision_boundary(lambda x: x[:, 0], CORNERS, XOR, **kw),
    "bars": lambda **kw: viz.plot_gradient_flow({"a": 1.0, "b": 0.0, "c": np.nan}, **kw),
    "confusion": lambda **kw: viz.plot_confusion_matrix([[3, 1], [0, 0]], colorbar=True, **kw),
    "curves": lambda **kw: viz.plot_learning_curves({"a": np.ones((3, 5)), "b": [1, 0.5]}, **kw),
    "embeddings": lambda **kw: viz.plot_embeddings(CORNERS, XOR, names="abcd", **kw),
    "epochs": lambda **kw: viz.plot_epochs_to_threshold({"a": [[2, 1], [2, 2]]}, 1, **kw),
    "features": lambda **kw: viz.plot_feature_maps(np.ones((5, 3, 3)), **kw),
    "flow": lambda **kw: viz.plot_gradient_flow({"a": [1, 0], "b": [np.inf, 1e-9]}, **kw),
    "heatmap": lambda **kw: viz.plot_sweep_heatmap([[1, np.nan]], rows="a", columns="bc", **kw),
    "kernels": lambda **kw: viz.plot_kernels(np.ones((2, 3, 3, 3)), **kw),
    "predictions": lambda **kw: viz.plot_predictions(CORNERS, XOR, XOR[:, None] * 0.9, **kw),
    "saliency": lambda **kw: viz.plot_saliency(CLASSIFIER, np.ones((2, 2)), **kw),
    "schedule": lambda **kw: viz.plot_schedule({"a": [0.1, 0.2], "b": [0.3]}, **kw),
    "surface": surface,
    "weights": lambda **kw: viz.plot_weight_histograms([[1, 2], [np.nan, 0]], **kw),
}


def test_each_of_them_is_here():
    assert {name for name in vars(viz) if name.startswith("plot_")} == {
        name for name in viz.__all__ if name.startswith("plot_")
    }
    assert len(PLOTS) == 1 + sum(name.startswith("plot_") for name in viz.__all__)  # flow: twice


@pytest.mark.parametrize("plot", PLOTS.values(), ids=PLOTS.keys())
def test_it_returns_the_axes_it_was_given_and_changes_no_settings(plot, ax, monkeypatch):
    monkeypatch.setattr(plt, "show", lambda: pytest.fail("a plot must not show itself"))
    before, figures = dict(mpl.rcParams), plt.get_fignums()
    assert plot(ax=ax) is ax
    ax.figure.canvas.draw()
    assert dict(mpl.rcParams) == before
    assert plt.get_fignums() == figures


@pytest.mark.parametrize("plot", PLOTS.values(), ids=PLOTS.keys())
def test_it_makes_its_own_axes_when_given_none(plot):
    with plt.style.context("dark_background"):
        ax = plot()
        assert isinstance(ax, Axes)
        plt.close(ax.figure)


def test_a_curve_has_the_colours_of_its_ground(ax):
    assert curve_style(1, ax)["color"] == COLOURS[1]
    ax.set_facecolor("#0D1117")
    assert curve_style(1, ax)["color"] == ON_DARK[1]
    ax.set_facecolor("none")  # where the page behind is not known
    assert curve_style(1, ax)["color"] == COLOURS[1]


def test_curves_and_classes_differ_by_more_than_colour(ax):
    curves = [curve_style(i, ax) for i in range(20)]
    assert len({(str(c["color"]), str(c["linestyle"])) for c in curves}) == 20
    classes = [class_style(i) for i in range(40)]
    assert len({(c["color"], c["marker"]) for c in classes}) == 40
    assert classes[0]["marker"] != classes[7]["marker"]  # the colours begin anew
