"""Pictures: plots of training. Matplotlib loads when the first plot is drawn, not before."""

from __future__ import annotations

from tinygrad_lab.viz.plots import (
    plot_decision_boundary,
    plot_kernels,
    plot_learning_curves,
    plot_predictions,
    plot_sweep_heatmap,
)

__all__ = [
    "plot_decision_boundary",
    "plot_kernels",
    "plot_learning_curves",
    "plot_predictions",
    "plot_sweep_heatmap",
]
