"""Vectors in the plane: embeddings, hidden states, by their two principal directions.

Not for: which tokens look at which (``sequences.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tinygrad_lab.viz.plots.canvas import (
    COLOURS,
    axes,
    class_style,
    legend_below,
    numbers,
    plain,
    quiet,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_embeddings", "principal_directions"]

# Beyond so many classes their names hide the points.
_MOST_WRITTEN = 20


def plot_embeddings(
    vectors: ArrayLike,
    labels: ArrayLike | Sequence[object] | None = None,
    *,
    ax: Axes | None = None,
    names: Sequence[object] | None = None,
) -> Axes:
    """Draw vectors in the plane of their two principal directions.

    The axes say which share of the variance each direction has: where both have little, points that
    are close in the picture need not be close.

    Parameters
    ----------
    vectors
        Shape (n, dimensions), two of each at least.
    labels
        A class for each vector, shape (n,): numbers, or words. Each class has a colour and a
        marker, and its name in its middle if there are not too many.
    ax
        Where to draw; a new figure when left out.
    names
        A text beside each point, for as many as can be read.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        Another shape, values that are not finite, vectors that are all equal, or another number of
        labels or names.

    Notes
    -----
    The directions are those of the singular value decomposition of the centred vectors. Their signs
    are chosen so that the largest component of each is positive.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> vectors = [[0.0, 0.0, 0.0], [3.0, 0.0, 1.0], [6.0, 1.0, 0.0]]
    >>> ax = plot_embeddings(vectors, ["a", "b", "b"], ax=Figure().subplots())
    >>> ax.get_xlabel()
    'principal direction 1 (96 %)'
    """
    table = numbers(vectors, "plot_embeddings", "(n, dimensions)", 2)
    if min(table.shape) < 2:
        raise ValueError(f"plot_embeddings needs two vectors of two dimensions, got {table.shape}")
    if not np.isfinite(table).all():
        rows = int((~np.isfinite(table)).any(axis=1).sum())
        raise ValueError(f"plot_embeddings: {rows} of {len(table)} vectors are not finite")
    directions, explained = principal_directions(table)
    points = (table - table.mean(axis=0)) @ directions.T
    classes = None if labels is None else _each(plain(labels), len(table), "labels")
    texts = None if names is None else _each(names, len(table), "names")
    ax = axes(ax)
    _draw_points(ax, points, classes)
    for point, text in zip(points, [] if texts is None else texts, strict=False):
        ax.annotate(str(text), point, xytext=(4, 3), textcoords="offset points", fontsize="small",
                    parse_math=False)  # fmt: skip
    for axis, number in ((ax.xaxis, 0), (ax.yaxis, 1)):
        axis.set_label_text(f"principal direction {number + 1} ({100 * explained[number]:.0f} %)")
    ax.margins(0.08)
    quiet(ax)
    if classes is not None:
        legend_below(ax, ncols=5)
    return ax


def principal_directions(table: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the two principal directions of rows, shape (2, dimensions), and their shares.

    Raises
    ------
    ValueError
        All rows are equal.

    Examples
    --------
    >>> directions, shares = principal_directions(np.array([[0.0, 0.0], [2.0, 0.0], [4.0, 0.0]]))
    >>> directions[0], shares
    (array([1., 0.]), array([1., 0.]))
    """
    centred = table - table.mean(axis=0)
    largest = float(np.abs(centred).max())
    if not largest:
        raise ValueError(f"all {len(table)} vectors are equal: there is no direction between them")
    _, sizes, directions = np.linalg.svd(centred / largest, full_matrices=False)
    directions, variances = directions[:2], np.square(sizes)
    peaks = np.take_along_axis(directions, np.abs(directions).argmax(axis=1)[:, None], axis=1)
    return directions * np.sign(peaks), variances[:2] / variances.sum()


def _each(values: Any, count: int, what: str) -> NDArray[Any]:
    array = np.asarray(list(values)).reshape(-1)
    if array.size != count:
        raise ValueError(f"plot_embeddings got {array.size} {what} for {count} vectors")
    return array


def _draw_points(ax: Axes, points: NDArray[Any], classes: NDArray[Any] | None) -> None:
    options: Any = {"s": 24, "linewidths": 0.5, "zorder": 3}
    if classes is None:
        ax.scatter(points[:, 0], points[:, 1], color=COLOURS[0], edgecolors="white", **options)
        return
    values = np.unique(classes)
    for index, value in enumerate(values):
        x, y = points[classes == value].T
        ax.scatter(x, y, label=str(value), **class_style(index), **options)
        if len(values) <= _MOST_WRITTEN:
            _write_on_top(ax, float(np.median(x)), float(np.median(y)), str(value))


def _write_on_top(ax: Axes, x: float, y: float, text: str) -> None:
    """Write among points so that it can be read: with a border in the colour of the ground."""
    from matplotlib.patheffects import withStroke

    border = [withStroke(linewidth=3.0, foreground=ax.get_facecolor())]
    ax.text(x, y, text, ha="center", va="center", weight="bold", zorder=5, path_effects=border,
            parse_math=False)  # fmt: skip
