"""Predictions, decision boundaries, confusion matrices."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

import tinygrad_lab as tl
from tinygrad_lab.viz import plot_confusion_matrix, plot_decision_boundary, plot_predictions

CORNERS = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
XOR = np.array([0, 1, 1, 0])


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


def test_points_must_be_finite(ax):
    with pytest.raises(ValueError, match=r"NaN or infinite"):
        plot_predictions([[0.0, np.nan]], [1], [1.0], ax=ax)


def test_a_confusion_matrix_has_counts_and_shares_of_the_actual_class(ax):
    plot_confusion_matrix([[90, 10], [1, 1]], labels=["cat", "dog"], ax=ax)
    cells = ["90\n90 %", "10\n10 %", "1\n50 %", "1\n50 %"]
    assert [t.get_text() for t in ax.texts] == cells
    np.testing.assert_allclose(ax.images[0].get_array(), [[0.9, 0.1], [0.5, 0.5]])
    assert ax.get_title() == "91 of 102 right (89.2 %)"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted class", "actual class")
    assert [t.get_text() for t in ax.get_yticklabels()] == ["cat", "dog"]


def test_a_class_without_examples_has_no_shares(ax):
    plot_confusion_matrix([[2, 0], [0, 0]], ax=ax)
    assert [t.get_text() for t in ax.texts] == ["2\n100 %", "0", "–", "–"]


def test_one_class_and_very_many_are_drawn(ax):
    plot_confusion_matrix([[7]], ax=ax)
    plot_confusion_matrix(np.eye(120, dtype=int), ax=Figure().subplots())
    assert [t.get_text() for t in ax.texts] == ["7\n100 %"]


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ([[1, 2, 3], [4, 5, 6]], r"got \(2, 3\)"),
        ([[0.5, 0.5], [0.0, 1.0]], "needs counts"),
        ([[1, -1], [0, 1]], "needs counts"),
        ([[np.nan, 1], [0, 1]], "needs counts"),
        ([[0, 0], [0, 0]], "all 0"),
        ([], r"got \(0,\)"),
        ([["a", "b"]], "needs numbers"),
    ],
)
def test_what_is_no_confusion_matrix_is_refused(counts, message, ax):
    with pytest.raises(ValueError, match=message):
        plot_confusion_matrix(counts, ax=ax)


def test_each_class_needs_a_label(ax):
    with pytest.raises(ValueError, match=r"3 labels for 2 classes"):
        plot_confusion_matrix(np.eye(2), labels="abc", ax=ax)
