"""Pictures: the graph of a computation, and plots of training.

``graph(loss)`` draws how a tensor was computed and how its gradient flows back. The ``plot_*``
functions draw on a Matplotlib ``Axes`` and return it. Graphviz and Matplotlib load when the first
picture is drawn, not before.
"""

from __future__ import annotations

from tinygrad_lab.viz.difference import Difference, diff
from tinygrad_lab.viz.html.page import Page
from tinygrad_lab.viz.picture import Graph, graph
from tinygrad_lab.viz.plots import (
    plot_decision_boundary,
    plot_kernels,
    plot_learning_curves,
    plot_predictions,
    plot_sweep_heatmap,
)
from tinygrad_lab.viz.render import RenderError

__all__ = [
    "Difference",
    "Graph",
    "Page",
    "RenderError",
    "diff",
    "graph",
    "plot_decision_boundary",
    "plot_kernels",
    "plot_learning_curves",
    "plot_predictions",
    "plot_sweep_heatmap",
]
