"""Classifiers: predictions beside the truth, decision boundaries, confusion matrices.

Not for: pictures of what a classifier looks at (``images.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tinygrad_lab.core.modes import no_grad
from tinygrad_lab.viz.plots.canvas import (
    axes,
    class_style,
    legend_below,
    numbers,
    paler,
    panels,
    plain,
    quiet,
    some_ticks,
    two_sided,
)
from tinygrad_lab.viz.plots.cells import write_cells

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_confusion_matrix", "plot_decision_boundary", "plot_predictions"]

# How much of a colour is left where it is the ground under points: the rest is white, also on a
# dark background, so that lines and points stand out from it alike.
_GROUND = 0.5

# Beyond so many classes the numbers of a confusion matrix do not fit in its cells.
_MOST_WRITTEN = 20


def plot_predictions(
    X: ArrayLike,
    y: ArrayLike,
    prediction: ArrayLike,
    *,
    ax: Axes | None = None,
    threshold: float = 0.5,
    titles: tuple[str, str] = ("Ground truth", "Prediction"),
) -> Axes:
    """Draw points in the plane twice, side by side: their labels, and what was predicted.

    The two panels are inset in one Axes, which is returned; they are its ``child_axes``. Points
    predicted wrongly carry a cross, and the second title counts them.

    Parameters
    ----------
    X
        Points, shape (n, 2).
    y
        Labels 0, 1, ..., shape (n,) or (n, 1).
    prediction
        One score in [0, 1] per point, shape (n,) or (n, 1), or one score per class,
        shape (n, classes).
    ax
        Where to draw; a new figure when left out.
    threshold
        A single score above it means class 1.
    titles
        Titles of the two panels.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        Points that are not in the plane, or lengths that differ.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> ax = plot_predictions([[0, 1], [1, 0]], [1, 0], [0.9, 0.8], ax=Figure().subplots())
    >>> ax.child_axes[1].get_title()
    'Prediction (1 of 2 wrong)'
    """
    points, labels = _points_and_labels(X, y)
    predicted = _classes(plain(prediction), threshold)
    if len(predicted) != len(points):
        raise ValueError(
            f"plot_predictions needs one prediction per point: {len(points)} points, "
            f"prediction of shape {np.shape(plain(prediction))}"
        )
    if ax is None:
        ax = axes(None, figsize=(8.0, 3.9))
    left, right = panels(ax, 2, columns=2)
    wrong = predicted != labels
    classes = np.union1d(labels, predicted)
    _scatter(left, points, labels, classes)
    _scatter(right, points, predicted, classes)
    if wrong.any():
        ink = right.xaxis.label.get_color()
        right.scatter(
            points[wrong, 0],
            points[wrong, 1],
            marker="x",
            s=110,
            color=ink,
            linewidths=1.8,
            zorder=4,
        )
    left.set_title(titles[0])
    score = f"{wrong.sum()} of {len(points)} wrong" if wrong.any() else "all right"
    right.set_title(f"{titles[1]} ({score})")
    for panel in (left, right):
        panel.set_aspect("equal", adjustable="box")
        quiet(panel)
    right.tick_params(labelleft=False)
    legend_below(left)
    return ax


def plot_decision_boundary(
    model: Callable[[Any], Any],
    X: ArrayLike,
    y: ArrayLike | None = None,
    *,
    ax: Axes | None = None,
    resolution: int = 200,
    threshold: float = 0.5,
    margin: float = 0.1,
) -> Axes:
    """Draw what a classifier of the plane says everywhere, with the boundary and the data on top.

    Parameters
    ----------
    model
        Called once with a float array of shape (resolution**2, 2), with gradients off. It returns
        one score per point, shape (n,) or (n, 1), or one per class, shape (n, classes); an array or
        a Tensor.
    X
        Points, shape (n, 2); they set the region drawn and the dtype ``model`` sees.
    y
        Labels 0, 1, ..., shape (n,) or (n, 1); without them the points are drawn in one colour.
    ax
        Where to draw; a new figure when left out.
    resolution
        Points along each side of the grid.
    threshold
        The score at which the boundary is drawn.
    margin
        Room around the data, as a share of its extent.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        Points that are not in the plane, a resolution below 2, or scores of another length.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> ax = plot_decision_boundary(lambda x: x[:, 0] * x[:, 1], [[0.0, 0.0], [1.0, 1.0]], [0, 1],
    ...                             ax=Figure().subplots())
    >>> ax.get_xlabel()
    'x₀'
    """
    points, labels = _points_and_labels(X, y)
    if resolution < 2:
        raise ValueError(f"resolution must be at least 2, got {resolution}")
    u, v, grid = _grid(points, resolution, margin)
    scores = _evaluate(model, grid)
    ax = axes(ax)
    if scores.shape[1] == 1:
        _draw_score(ax, u, v, scores.reshape(resolution, resolution), threshold)
    else:
        _draw_regions(ax, u, v, scores.argmax(axis=1).reshape(resolution, resolution), scores)
    _scatter(ax, points, labels, np.unique(labels), named=y is not None)
    ax.set_xlim(u[0], u[-1])
    ax.set_ylim(v[0], v[-1])
    ax.set_aspect("equal", adjustable="box")
    ax.set_xlabel("x₀")
    ax.set_ylabel("x₁")
    if y is not None:
        legend_below(ax)
    return ax


def plot_confusion_matrix(
    counts: ArrayLike,
    *,
    ax: Axes | None = None,
    labels: Sequence[object] | None = None,
    colorbar: bool = False,
) -> Axes:
    r"""Draw how many of each class were taken for which, as counts and as shares of the class.

    Colours are the shares, so that a rare class is seen as well as a common one. The title says
    how many were right.

    Parameters
    ----------
    counts
        Shape (classes, classes), a row for a class as it is and a column as it was taken, as
        ``tl.metrics.confusion_matrix(outputs, targets)`` gives it.
    ax
        Where to draw; a new figure when left out.
    labels
        Names of the classes; 0, 1, 2, ... when left out.
    colorbar
        Draw the colour bar.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        Counts that are no square table of whole numbers from 0 on, no count at all, or another
        number of labels.

    Examples
    --------
    >>> import tinygrad_lab as tl
    >>> from matplotlib.figure import Figure
    >>> counts = tl.metrics.confusion_matrix([0, 0, 1, 1], [0, 0, 0, 1])
    >>> ax = plot_confusion_matrix(counts, labels=["cat", "dog"], ax=Figure().subplots())
    >>> ax.texts[0].get_text(), ax.get_title()
    ('2\n67 %', '3 of 4 right (75.0 %)')
    """
    table = _counts(counts)
    names = [str(name) for name in (range(len(table)) if labels is None else labels)]
    if len(names) != len(table):
        raise ValueError(f"plot_confusion_matrix got {len(names)} labels for {len(table)} classes")
    of_class = table.sum(axis=1, keepdims=True)
    shares = np.divide(table, of_class, out=np.full(table.shape, np.nan), where=of_class > 0)
    ax = axes(ax)
    image = ax.imshow(np.ma.masked_invalid(shares), cmap="cividis", vmin=0.0, vmax=1.0)
    if len(table) <= _MOST_WRITTEN:
        size = "medium" if len(table) <= 5 else "xx-small"
        write_cells(ax, shares, image.norm, _written(table, shares), fontsize=size)
    some_ticks(ax.xaxis, names, rotation=90 if max(map(len, names)) > 3 else 0)
    some_ticks(ax.yaxis, names)
    ax.spines[:].set_visible(False)
    ax.set_xlabel("predicted class")
    ax.set_ylabel("actual class")
    right, total = int(np.trace(table)), int(table.sum())
    ax.set_title(f"{right:,} of {total:,} right ({100 * right / total:.1f} %)")
    if colorbar:
        ax.figure.colorbar(image, ax=ax, label="share of the actual class")
    return ax


# ---- data in ------------------------------------------------------------------------------------


def _points_and_labels(X: ArrayLike, y: ArrayLike | None) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return points of shape (n, 2) and integer labels of shape (n,), zeros without ``y``."""
    points = np.asarray(plain(X))
    if points.ndim != 2 or points.shape[1] != 2 or not len(points):
        raise ValueError(f"needs points in the plane, shape (n, 2), got X of shape {points.shape}")
    if not np.isfinite(points).all():
        raise ValueError("needs points in the plane, and some of X are NaN or infinite")
    if y is None:
        return points, np.zeros(len(points), dtype=np.intp)
    labels = np.asarray(plain(y))
    if labels.size != len(points):
        raise ValueError(
            f"needs one label per point: X has shape {points.shape}, y has shape {labels.shape}"
        )
    return points, np.rint(labels.reshape(-1)).astype(np.intp)


def _classes(scores: ArrayLike, threshold: float) -> NDArray[np.intp]:
    """Turn scores of shape (n,), (n, 1) or (n, classes) into classes of shape (n,)."""
    table = np.asarray(scores)
    if table.ndim == 2 and table.shape[1] > 1:
        return table.argmax(axis=1).astype(np.intp)
    return (table.reshape(-1) > threshold).astype(np.intp)


def _grid(
    points: NDArray[Any], resolution: int, margin: float
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return both axes of a grid around the points, and its nodes, shape (resolution**2, 2)."""
    low, high = points.min(axis=0), points.max(axis=0)
    room = margin * np.where(high > low, high - low, 1.0)
    dtype = points.dtype if np.issubdtype(points.dtype, np.floating) else np.dtype(np.float64)
    u, v = (
        np.linspace(low[i] - room[i], high[i] + room[i], resolution).astype(dtype) for i in (0, 1)
    )
    return u, v, np.stack([np.tile(u, resolution), np.repeat(v, resolution)], axis=1)


def _evaluate(model: Callable[[Any], Any], grid: NDArray[Any]) -> NDArray[np.float64]:
    """Return a model's scores on the grid, shape (n, 1) or (n, classes)."""
    with no_grad():
        scores = np.asarray(plain(model(grid)), dtype=np.float64)
    if scores.ndim not in (1, 2) or len(scores) != len(grid):
        raise ValueError(
            f"the model must return one row of scores per point: it got {grid.shape} and "
            f"returned {scores.shape}"
        )
    return scores.reshape(len(grid), -1)


def _counts(counts: ArrayLike) -> NDArray[np.float64]:
    """Return a square table of counts, of which there is one at least."""
    table = numbers(counts, "plot_confusion_matrix", "(classes, classes)", 2)
    if table.shape[0] != table.shape[1]:
        raise ValueError(
            f"plot_confusion_matrix needs shape (classes, classes), got {table.shape}: "
            "tl.metrics.confusion_matrix(outputs, targets) counts"
        )
    if not (np.isfinite(table).all() and (table >= 0).all() and (table == np.rint(table)).all()):
        raise ValueError(
            "plot_confusion_matrix needs counts, whole numbers from 0 on; shares of the classes "
            "are computed from them"
        )
    if not table.any():
        raise ValueError("plot_confusion_matrix got counts that are all 0")
    return table


# ---- drawing ------------------------------------------------------------------------------------


def _scatter(
    ax: Axes,
    points: NDArray[Any],
    labels: NDArray[Any],
    classes: NDArray[Any],
    named: bool = True,
) -> None:
    """Draw labelled points, one colour and marker a class, the same class always the same."""
    for value in classes:
        members = points[labels == value]
        style = class_style(int(value)) | ({} if named else {"color": "#57606A"})
        ax.scatter(
            members[:, 0],
            members[:, 1],
            s=36,
            linewidths=0.7,
            zorder=3,
            label=f"class {value}" if named else None,
            **style,
        )


def _draw_score(
    ax: Axes, u: NDArray[Any], v: NDArray[Any], scores: NDArray[Any], threshold: float
) -> None:
    """Draw one score over the plane, centred on the threshold, and the line of the threshold."""
    finite = scores[np.isfinite(scores)]
    if not finite.size:
        return
    spread = float(np.abs(finite - threshold).max()) or 1.0
    # A probability keeps its natural scale, so that a hesitant model looks hesitant.
    if finite.min() >= 0.0 and finite.max() <= 1.0:
        spread = max(threshold, 1.0 - threshold)
    _draw_ground(
        ax, u, v, scores, two_sided(_GROUND), (threshold - spread, threshold + spread), "bilinear"
    )
    if finite.min() < threshold < finite.max():
        ax.contour(u, v, scores, levels=[threshold], colors="black", linewidths=1.4)


def _draw_regions(
    ax: Axes, u: NDArray[Any], v: NDArray[Any], winner: NDArray[Any], scores: NDArray[Any]
) -> None:
    """Draw the winning class over the plane, and the lines between classes."""
    from matplotlib.colors import ListedColormap

    count = scores.shape[1]
    palette = ListedColormap([paler(class_style(i)["color"], _GROUND) for i in range(count)])
    _draw_ground(ax, u, v, winner, palette, (-0.5, count - 0.5), "nearest")
    for value in np.unique(winner):
        inside = (winner == value).astype(np.float64)
        if inside.min() < inside.max():
            ax.contour(u, v, inside, levels=[0.5], colors="black", linewidths=1.0)


def _draw_ground(
    ax: Axes,
    u: NDArray[Any],
    v: NDArray[Any],
    values: NDArray[Any],
    cmap: Any,
    limits: tuple[float, float],
    interpolation: str,
) -> None:
    ax.imshow(
        values,
        extent=(float(u[0]), float(u[-1]), float(v[0]), float(v[-1])),
        origin="lower",
        cmap=cmap,
        vmin=limits[0],
        vmax=limits[1],
        interpolation=interpolation,
        aspect="auto",
    )


def _written(table: NDArray[np.float64], shares: NDArray[np.float64]) -> list[list[str]]:
    """Return count and share of each cell; nothing of one that nothing is in, among many."""
    empty = "0" if len(table) <= 5 else ""
    return [
        [f"{int(n):,}\n{100 * s:.0f} %" if n else empty for n, s in zip(*row, strict=True)]
        for row in zip(table, shares, strict=True)
    ]
