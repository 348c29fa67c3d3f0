"""Matplotlib plots of training: curves, gradients, weights, images, attention, predictions.

Every function takes its data first and an optional ``ax``, draws on that one ``Axes`` and returns
it; small multiples are its ``child_axes``. None of them shows a window, changes ``rcParams`` or
draws random numbers that it was not given a generator for, so they compose with ``plt.subplots``
and with ``plt.style.context`` (a dark style included). Colours are told apart under every common
colour-vision deficiency, and are never the only difference.

``loss_surface`` gives the numbers that ``plot_loss_surface`` draws.

Not for pictures of the computation graph: those are :func:`tinygrad_lab.viz.graph`.
"""

from __future__ import annotations

from tinygrad_lab.viz.plots.classification import (
    plot_confusion_matrix,
    plot_decision_boundary,
    plot_predictions,
)
from tinygrad_lab.viz.plots.comparisons import plot_epochs_to_threshold, plot_sweep_heatmap
from tinygrad_lab.viz.plots.curves import plot_learning_curves, plot_schedule
from tinygrad_lab.viz.plots.distributions import (
    plot_activation_histograms,
    plot_weight_histograms,
)
from tinygrad_lab.viz.plots.embeddings import plot_embeddings
from tinygrad_lab.viz.plots.gradients import plot_gradient_flow
from tinygrad_lab.viz.plots.images import plot_feature_maps, plot_kernels, plot_saliency
from tinygrad_lab.viz.plots.sequences import plot_attention
from tinygrad_lab.viz.plots.surface import LossSurface, loss_surface, plot_loss_surface

__all__ = [
    "LossSurface",
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
