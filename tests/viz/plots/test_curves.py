"""Learning curves and schedules: medians, bands, thinning; and a schedule that does not move."""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_lab import nn, optim
from tinygrad_lab.optim import lr_scheduler
from tinygrad_lab.viz import plot_learning_curves, plot_schedule


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


def test_a_single_epoch_is_a_point(ax):
    plot_learning_curves({"one": [0.5], "two": [0.5, 0.4]}, ax=ax)
    assert [line.get_marker() for line in ax.lines] == ["o", "None"]


def test_a_run_that_was_never_finite_is_named(ax):
    plot_learning_curves({"SGD": [1.0, 0.5], "lr=10": [[np.nan] * 2, [np.inf] * 2]}, ax=ax)
    labels = [t.get_text() for t in ax.get_legend().get_texts()]
    assert labels == ["SGD", "lr=10 (never finite)"]


def test_a_logarithm_of_nothing_positive_is_refused(ax):
    with pytest.raises(ValueError, match=r"from -2 to 0: say log=False"):
        plot_learning_curves([-2.0, -1.0, 0.0], ax=ax)
    plot_learning_curves([-2.0, -1.0, 0.0], ax=ax, log=False)


def optimizer(rate=0.1):
    return optim.SGD([nn.Parameter([1.0])], lr=rate)


def test_a_schedule_is_drawn_from_where_it_is_and_stays_there(ax):
    schedule = lr_scheduler.StepLR(optimizer(), step_size=2)
    schedule.optimizer.has_stepped = True
    schedule.step()
    plot_schedule(schedule, steps=4, ax=ax)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [0.1, 0.01, 0.01, 0.001])
    assert schedule.last_epoch == 1
    assert schedule.get_last_lr() == [0.1]


def test_a_schedule_that_was_not_stepped_yet_draws_without_a_warning(ax):
    schedule = lr_scheduler.CosineAnnealingLR(optimizer(), T_max=10)
    plot_schedule(schedule, steps=11, ax=ax)
    expected = 0.05 * (1 + np.cos(np.pi * np.arange(11) / 10))
    np.testing.assert_allclose(ax.lines[0].get_ydata(), expected, atol=1e-15)
    assert not schedule.optimizer.has_stepped


def test_groups_have_curves_of_their_own(ax):
    groups = [{"params": [nn.Parameter([1.0])], "lr": rate} for rate in (0.1, 0.2)]
    schedule = lr_scheduler.ExponentialLR(optim.SGD(groups, lr=1.0), gamma=0.5)
    plot_schedule({"halves": schedule, "rates": [0.1, 0.3]}, steps=2, ax=ax)
    assert [line.get_label() for line in ax.lines] == ["halves group 0", "halves group 1", "rates"]
    assert ax.lines[1].get_ydata().tolist() == [0.2, 0.1]


def test_a_schedule_that_goes_by_losses_is_refused(ax):
    with pytest.raises(TypeError, match=r"goes by the losses"):
        plot_schedule(lr_scheduler.ReduceLROnPlateau(optimizer()), steps=5, ax=ax)
    with pytest.raises(ValueError, match=r"how many rates"):
        plot_schedule(lr_scheduler.StepLR(optimizer(), 2), ax=ax)
    with pytest.raises(TypeError, match=r"give the schedule"):
        plot_schedule(optimizer(), steps=5, ax=ax)
