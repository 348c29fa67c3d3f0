"""Epochs to a threshold, and tables of results."""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_lab.viz import plot_epochs_to_threshold, plot_sweep_heatmap


def test_cells_tell_their_number(ax):
    plot_sweep_heatmap(
        [[0.5, np.nan, 1.0]], rows=["2"], columns=[0.1, 1, 10], ax=ax, fmt=".0%", colorbar=False
    )
    assert [t.get_text() for t in ax.texts] == ["50%", "–", "100%"]
    with pytest.raises(ValueError, match=r"\(1, 3\) for 2 rows"):
        plot_sweep_heatmap([[1, 2, 3]], rows="ab", columns="abc", ax=ax)


RUNS = {
    "fast": [[1.0, 0.4, 0.1], [1.0, 0.9, 0.2], [0.5, 0.4, 0.1]],
    "slow": [[1.0, 1.0, 0.4], [1.0, 1.0, 1.0]],
}


def test_points_stand_where_the_threshold_is_first_met(ax):
    plot_epochs_to_threshold(RUNS, 0.5, ax=ax)
    fast, slow = ax.collections[:2]
    assert fast.get_offsets()[:, 0].tolist() == [2, 3, 1]
    assert slow.get_offsets()[0, 0] == 3
    assert slow.get_offsets()[1, 0] > 3  # in the zone of those that never get there
    assert [t.get_text() for t in ax.texts] == ["1 of 2", "never"]


def test_a_run_that_never_gets_there_counts_as_slower_than_all(ax):
    plot_epochs_to_threshold(RUNS, 0.5, ax=ax)
    medians = [line.get_xdata()[0] for line in ax.lines]
    assert medians == [2]  # of the slow ones, half are never there


def test_accuracies_are_met_from_below(ax):
    plot_epochs_to_threshold({"a": [0.2, 0.8, 0.9]}, 0.8, ax=ax, below=False)
    assert ax.collections[0].get_offsets()[:, 0].tolist() == [2]
    assert ax.get_xlabel() == "epochs until ≥ 0.8"


def test_a_comparison_needs_names_and_runs(ax):
    with pytest.raises(TypeError, match=r"mapping from a name.*got list"):
        plot_epochs_to_threshold([[1.0]], 0.5, ax=ax)
    with pytest.raises(ValueError, match=r"empty mapping"):
        plot_epochs_to_threshold({}, 0.5, ax=ax)
