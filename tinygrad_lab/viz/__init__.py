"""Pictures: the graph of a computation, and plots of training.

``graph(loss)`` draws how a tensor was computed and how its gradient flows back. The ``plot_*``
functions draw on a Matplotlib ``Axes`` and return it. Graphviz and Matplotlib load when the first
picture is drawn, not before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from tinygrad_lab.habits import missing
from tinygrad_lab.viz.difference import Difference, diff
from tinygrad_lab.viz.health import Finding
from tinygrad_lab.viz.html.page import Page
from tinygrad_lab.viz.picture import Examined, Graph, graph
from tinygrad_lab.viz.plots.classification import (
    plot_confusion_matrix,
    plot_decision_boundary,
    plot_predictions,
)
from tinygrad_lab.viz.plots.comparisons import plot_epochs_to_threshold, plot_sweep_heatmap
from tinygrad_lab.viz.plots.curves import plot_learning_curves, plot_schedule
from tinygrad_lab.viz.plots.distributions import plot_activation_histograms, plot_weight_histograms
from tinygrad_lab.viz.plots.embeddings import plot_embeddings
from tinygrad_lab.viz.plots.gradients import plot_gradient_flow
from tinygrad_lab.viz.plots.images import plot_feature_maps, plot_kernels, plot_saliency
from tinygrad_lab.viz.plots.sequences import plot_attention
from tinygrad_lab.viz.plots.surface import LossSurface, loss_surface, plot_loss_surface
from tinygrad_lab.viz.programs.picture import ProgramGraph
from tinygrad_lab.viz.render import RenderError

__all__ = [
    "Difference",
    "Examined",
    "Finding",
    "Graph",
    "LossSurface",
    "Page",
    "ProgramGraph",
    "RenderError",
    "diff",
    "graph",
    "loss_surface",
    "plot_activation_histograms",
    "plot_attention",
    "plot_confusion_matrix",
    "plot_decision_boundary",
    "plot_embeddings",
    "plot_epochs_to_threshold",
    "plot_feature_maps",
    "plot_gradient_flow",
    "plot_kernels",
    "plot_learning_curves",
    "plot_loss_surface",
    "plot_predictions",
    "plot_saliency",
    "plot_schedule",
    "plot_sweep_heatmap",
    "plot_weight_histograms",
]

if not TYPE_CHECKING:  # what is misspelt is an error for mypy too

    def __getattr__(name: str) -> NoReturn:
        raise missing(__name__, name, __all__)
