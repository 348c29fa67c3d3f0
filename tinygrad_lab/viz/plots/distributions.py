"""How values are distributed: activations layer by layer, weights over the steps of a training.

Between the sorted values that a distribution is known by it counts as even, so that all values of
an array do as well as its percentiles.

Not for: gradients (``gradients.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tinygrad_lab.viz.plots.canvas import (
    axes,
    colour,
    edges_between,
    named,
    plain,
    positions,
    quiet,
    some_ticks,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_activation_histograms", "plot_weight_histograms"]

# What lies outside is drawn at the ends: one value far away would make all others one bar.
_SHOWN = (0.5, 99.5)
# From this share on a value is worth a word.
_WORTH_TELLING = 0.01


def plot_activation_histograms(
    data: Mapping[str, ArrayLike],
    *,
    ax: Axes | None = None,
    bins: int = 60,
    xlabel: str = "activation",
) -> Axes:
    """Draw the histogram of each layer in a row of its own, the first layer at the top.

    All rows share the horizontal axis, each has its own height. At the right stands which share of
    the values is exactly 0, as behind a ReLU, and how many are not finite.

    Parameters
    ----------
    data
        From the name of a layer to its values, of any shape: what the layer returned, its weights,
        or percentiles of them, as ``LayerStatistics.activations`` of a training has them, a row a
        step, of which one is to be chosen.
    ax
        Where to draw; a new figure when left out.
    bins
        Bars along the horizontal axis.
    xlabel
        What is drawn.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TypeError, ValueError
        No mapping, no layer, or one without values; fewer than 2 bins.

    Examples
    --------
    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> x = np.linspace(-1.0, 1.0, 100)
    >>> ax = plot_activation_histograms({"fc": x, "relu": np.maximum(x, 0)}, ax=Figure().subplots())
    >>> [text.get_text() for text in ax.texts]
    ['50 % are 0']
    """
    layers = {
        k: _values(k, v) for k, v in named(data, "plot_activation_histograms", "values").items()
    }
    if bins < 2:
        raise ValueError(f"bins={bins}: expected 2 or more")
    finite = {name: v[np.isfinite(v)] for name, v in layers.items()}
    edges = _bins([v for v in finite.values() if v.size], bins)
    if ax is None:
        ax = axes(None, figsize=(7.0, 1.2 + 0.55 * min(len(layers), 20)))
    for row, (name, values) in enumerate(layers.items()):
        if finite[name].size:
            _draw_row(ax, row, edges, shares(finite[name], edges))
        remark = _remark(values)
        if remark:
            ax.annotate(remark, (1.0, row), xycoords=("axes fraction", "data"), xytext=(4, 2),
                        textcoords="offset points", fontsize="small", va="bottom")  # fmt: skip
    some_ticks(ax.yaxis, list(layers))
    ax.set_ylim(len(layers) - 0.5, -1.0)
    ax.set_xlim(edges[0], edges[-1])
    ax.set_xlabel(xlabel)
    quiet(ax)
    ax.spines["left"].set_visible(False)
    ax.grid(False, axis="y")
    return ax


def plot_weight_histograms(
    values: ArrayLike,
    *,
    ax: Axes | None = None,
    steps: ArrayLike | None = None,
    bins: int = 60,
    ylabel: str = "weight",
    colorbar: bool = True,
) -> Axes:
    """Draw how the distribution of a parameter moves in training: step × value, and its median.

    Parameters
    ----------
    values
        A row a step, shape (steps, values) or (steps, ...): the weights themselves, or percentiles
        of them, as each parameter of ``LayerStatistics.weights`` has them. Activations will do too.
    ax
        Where to draw; a new figure when left out.
    steps
        The numbers of the steps, increasing; 0, 1, 2, ... when left out.
    bins
        Cells along the vertical axis.
    ylabel
        What is drawn.
    colorbar
        Draw the colour bar.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        One step, no values, nothing finite, fewer than 2 bins, or another number of ``steps``.

    Examples
    --------
    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> spread = np.array([[1.0], [2.0], [3.0]]) * np.linspace(-1.0, 1.0, 101)
    >>> ax = plot_weight_histograms(spread, steps=[0, 10, 20], ax=Figure().subplots())
    >>> ax.get_xlabel(), ax.lines[0].get_ydata().tolist()
    ('step', [0.0, 0.0, 0.0])
    """
    table = np.asarray(plain(values), dtype=np.float64)
    if table.ndim < 2 or len(table) < 2 or not table.size:
        raise ValueError(
            "plot_weight_histograms needs a row for each of several steps, shape (steps, values); "
            f"got {table.shape}. Of one step, plot_activation_histograms"
        )
    if bins < 2:
        raise ValueError(f"bins={bins}: expected 2 or more")
    where = positions(steps, len(table), "steps")
    rows = [row[np.isfinite(row)] for row in table.reshape(len(table), -1)]
    if not any(row.size for row in rows):
        raise ValueError("plot_weight_histograms got no value that is finite")
    edges = _bins([row for row in rows if row.size], bins)
    heat = np.stack([shares(row, edges) if row.size else np.full(bins, np.nan) for row in rows])
    ax = axes(ax)
    image = ax.pcolormesh(
        edges_between(where), edges, np.ma.masked_where(~(heat.T > 0), heat.T), cmap="cividis",
        vmin=0.0, rasterized=True,
    )  # fmt: skip
    medians = [float(np.median(row)) if row.size else np.nan for row in rows]
    _draw_line(ax, where, medians)
    ax.set_xlabel("step")
    ax.set_ylabel(ylabel)
    if colorbar:
        ax.figure.colorbar(image, ax=ax, label="share of the values")
    return ax


def shares(values: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return which share of values lies between each edge and the next.

    Parameters
    ----------
    values
        Shape (n,), finite, in any order. A share of ``1 / (n - 1)`` counts as spread evenly
        between each and the next larger.
    edges
        Increasing; what lies outside of them counts as in the first and the last bin.

    Examples
    --------
    >>> shares(np.array([0.0, 1.0, 2.0]), np.array([0.0, 0.5, 1.0, 2.0]))
    array([0.25, 0.25, 0.5 ])
    >>> shares(np.array([0.0, 0.0, 0.0, 1.0]), np.array([-1.0, 0.25, 2.0]))
    array([0.75, 0.25])
    """
    ordered, intervals = np.sort(values), max(values.size - 1, 1)
    count = np.searchsorted(ordered, edges, side="right")
    right = np.clip(count, 1, intervals)
    start, length = ordered[right - 1], ordered[right % values.size] - ordered[right - 1]
    behind = (edges >= start).astype(np.float64)  # of several equal values, all or none
    inside = np.divide(edges - start, length, out=behind, where=length > 0)
    below = (right - 1 + np.clip(inside, 0.0, 1.0)) / intervals
    below[0], below[-1] = 0.0, 1.0
    return np.diff(below)


def _values(name: str, value: Any) -> NDArray[np.float64]:
    array = np.asarray(plain(value), dtype=np.float64).reshape(-1)
    if not array.size:
        raise ValueError(f"plot_activation_histograms got no values of {name!r}")
    return array


def _bins(rows: list[NDArray[np.float64]], bins: int) -> NDArray[np.float64]:
    """Return the edges of bins in which each row has nearly all of its values."""
    ends = [np.percentile(row, _SHOWN) for row in rows]
    low = min((float(end[0]) for end in ends), default=0.0)
    high = max((float(end[1]) for end in ends), default=0.0)
    if low == high:
        low, high = low - (abs(low) or 1.0) / 2, high + (abs(high) or 1.0) / 2
    return np.linspace(low, high, bins + 1)


def _draw_row(ax: Axes, row: int, edges: NDArray[np.float64], share: NDArray[np.float64]) -> None:
    """Draw one histogram on its base line, which is at the number of its row."""
    top = row - 0.9 * share / np.max(share)
    ax.stairs(top, edges, baseline=row, fill=True, color=colour(0, ax), alpha=0.75, zorder=2)
    ax.axhline(row, color=colour(0, ax), linewidth=0.8, zorder=2)


def _remark(values: NDArray[np.float64]) -> str:
    """Say what a histogram hides."""
    zero, bad = float(np.mean(values == 0)), int((~np.isfinite(values)).sum())
    parts = [f"{100 * zero:.0f} % are 0"] if zero >= _WORTH_TELLING else []
    return ", ".join(parts + ([f"{bad:,} not finite"] if bad else []))


def _draw_line(ax: Axes, x: NDArray[np.float64], y: list[float]) -> None:
    """Draw a line that is seen on any colour."""
    from matplotlib.patheffects import Normal, Stroke

    ax.plot(
        x, y, color="white", linewidth=1.4, label="median",
        path_effects=[Stroke(linewidth=3.2, foreground="black"), Normal()],
    )  # fmt: skip
