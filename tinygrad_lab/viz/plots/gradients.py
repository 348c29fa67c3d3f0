"""How gradients flow: their size by layer, over the steps of a training or in one step.

Not for: the values they belong to (``distributions.py``), or a verdict (``Graph.health``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tinygrad_lab.viz.measures import measure
from tinygrad_lab.viz.plots.canvas import (
    axes,
    colour,
    edges_between,
    legend_below,
    named,
    numbers,
    positions,
    quiet,
    some_ticks,
)
from tinygrad_lab.viz.style import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_gradient_flow"]

_LAYERS_SHOWN = 40


def plot_gradient_flow(
    data: Mapping[str, ArrayLike] | Any,
    *,
    ax: Axes | None = None,
    steps: ArrayLike | None = None,
    colorbar: bool = True,
) -> Axes:
    """Draw the size of gradients by layer: of one step as bars, of several as a heat map.

    Both are logarithmic, the first layer is at the top. A gradient that is 0 and one that is not
    finite have no place on such a scale: they are marked by words, or hatched with a legend.

    Parameters
    ----------
    data
        From the name of a parameter or a layer to the root mean square of its gradient: a number,
        or one a step, shape (steps,), as ``LayerStatistics.gradients`` of a training has them. Or
        a model after ``backward()``, whose parameters' gradients are measured.
    ax
        Where to draw; a new figure when left out.
    steps
        The numbers of the steps, increasing; 0, 1, 2, ... when left out.
    colorbar
        Draw the colour bar of a heat map.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        No layer, negative sizes, layers with different numbers of steps, a model without
        gradients.
    TypeError
        Neither a mapping nor a model.

    Examples
    --------
    >>> import tinygrad_lab as tl
    >>> from matplotlib.figure import Figure
    >>> model = tl.nn.MLP([2, 4, 1], rng=0)
    >>> tl.mse_loss(model([[0.0, 1.0]]), [[1.0]]).backward()
    >>> ax = plot_gradient_flow(model, ax=Figure().subplots())
    >>> [text.get_text() for text in ax.get_yticklabels()]
    ['layers.0.weight', 'layers.0.bias', 'layers.2.weight', 'layers.2.bias']
    """
    if hasattr(data, "named_parameters"):
        data = _of_model(data)
    names, table = _table(named(data, "plot_gradient_flow", "sizes of gradients"))
    where = positions(steps, table.shape[1], "steps")
    if ax is None:
        height = 1.6 + 0.24 * min(len(names), _LAYERS_SHOWN)
        ax = axes(None, figsize=(7.0, max(height, 3.0)))
    if table.shape[1] == 1:
        _draw_bars(ax, table[:, 0])
    else:
        _draw_heat(ax, table, where, colorbar)
    some_ticks(ax.yaxis, names, most=_LAYERS_SHOWN)
    ax.set_ylim(len(names) - 0.5, -0.5)
    return ax


def _of_model(model: Any) -> dict[str, float]:
    """Measure the gradients that a backward pass left in a model."""
    sizes = {}
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            m = measure(parameter.grad)
            sizes[name] = np.nan if m.trouble else m.rms
    if not sizes:
        raise ValueError(
            "plot_gradient_flow got a model without gradients: call loss.backward() first, and "
            "draw before optimizer.zero_grad()"
        )
    return sizes


def _table(data: dict[str, Any]) -> tuple[list[str], NDArray[np.float64]]:
    """Return names, and sizes of shape (layers, steps)."""
    rows = {
        name: np.atleast_1d(numbers(v, f"plot_gradient_flow, {name!r},", "(steps,)", 0, 1))
        for name, v in data.items()
    }
    lengths = {row.size for row in rows.values()}
    if len(lengths) > 1:
        short = ", ".join(f"{name} {row.size}" for name, row in list(rows.items())[:6])
        raise ValueError(f"plot_gradient_flow needs as many steps of each layer, got {short}")
    table = np.stack(list(rows.values()))
    if (table < 0).any():
        raise ValueError(
            "plot_gradient_flow needs sizes, which are not negative: the root mean square of a "
            "gradient, np.sqrt(np.mean(g**2)), and not the gradient"
        )
    return list(rows), table


def _limits(table: NDArray[np.float64]) -> tuple[float, float]:
    """Return the ends of a logarithmic scale, a factor of ten or more apart."""
    positive = table[np.isfinite(table) & (table > 0)]
    if not positive.size:
        return 0.1, 1.0
    low, high = float(np.min(positive)), float(np.max(positive))
    middle = np.sqrt(low) * np.sqrt(high)
    return min(low, middle / np.sqrt(10)), max(high, middle * np.sqrt(10))


def _draw_bars(ax: Axes, sizes: NDArray[np.float64]) -> None:
    """Draw one step: a bar a layer, with its number if there is room for it."""
    from matplotlib.ticker import NullFormatter

    low, high = _limits(sizes)
    start = low / 3
    drawn = np.isfinite(sizes) & (sizes > 0)
    rows = np.arange(len(sizes))
    ax.barh(rows[drawn], sizes[drawn] - start, left=start, height=0.62, color=colour(0, ax))
    for row, size in enumerate(sizes):
        if drawn[row] and len(sizes) > _LAYERS_SHOWN:
            continue
        end = size if drawn[row] else start
        text = number(size) if size == 0 or drawn[row] else f"× {number(size)}"
        ax.annotate(text, (end, row), xytext=(4, 0), textcoords="offset points", va="center",
                    fontsize="small")  # fmt: skip
    ax.set_xscale("log")
    ax.xaxis.set_minor_formatter(NullFormatter())  # the bars have their numbers
    ax.set_xlim(start, high * (high / start) ** 0.18)
    ax.set_xlabel("∇ rms")
    quiet(ax)
    ax.grid(False, axis="y")


def _draw_heat(
    ax: Axes, table: NDArray[np.float64], steps: NDArray[np.float64], colorbar: bool
) -> None:
    """Draw layer × step, and mark what a logarithm does not have."""
    from matplotlib.colors import LogNorm

    low, high = _limits(table)
    sized = np.ma.masked_where(~np.isfinite(table) | (table == 0), table)
    rows = np.arange(len(table) + 1) - 0.5
    image = ax.pcolormesh(
        edges_between(steps), rows, sized, cmap="cividis", norm=LogNorm(low, high), rasterized=True
    )
    marks = [
        _mark(ax, steps, table == 0, "....", "0", colour(3, ax)),
        _mark(ax, steps, ~np.isfinite(table), "xxxx", "not finite", colour(1, ax)),
    ]
    ax.set_xlabel("step")
    if any(marks):
        legend_below(ax, handles=[mark for mark in marks if mark], handletextpad=0.6)
    if colorbar:
        ax.figure.colorbar(image, ax=ax, label="∇ rms")


def _mark(
    ax: Axes, steps: NDArray[np.float64], where: NDArray[Any], hatch: str, name: str, ink: Any
) -> Any:
    """Hatch cells, and return what a legend shows of it; None where there are none."""
    if not where.any():
        return None
    from matplotlib.patches import Patch

    style: Any = {"hatch": hatch, "facecolor": "none", "edgecolor": ink, "linewidth": 0.5}
    edges = edges_between(steps)
    for row, layer in enumerate(where):
        borders = np.flatnonzero(np.diff(np.concatenate([[0], layer.astype(np.int8), [0]])))
        for first, end in borders.reshape(-1, 2):
            spans = [(edges[first], edges[end] - edges[first])]
            ax.broken_barh(spans, (row - 0.5, 1.0), **style)
    return Patch(label=name, **style)
