"""Settings side by side: how fast each learns, and tables of results.

Not for: whole curves (``curves.py``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tinygrad_lab.viz.plots.canvas import axes, class_style, named, plain, quiet, some_ticks
from tinygrad_lab.viz.plots.cells import write_cells
from tinygrad_lab.viz.plots.runs import as_runs, median

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_epochs_to_threshold", "plot_sweep_heatmap"]


def plot_epochs_to_threshold(
    data: Mapping[str, ArrayLike | Sequence[ArrayLike]],
    threshold: float,
    *,
    ax: Axes | None = None,
    below: bool = True,
    unit: str = "epochs",
) -> Axes:
    """Draw how many epochs each setting needs: a point a run, a line at the median.

    A run that never gets there stands in a zone of its own at the right, and counts as slower than
    all others: where half of the runs are there, there is no median.

    Parameters
    ----------
    data
        From a label, such as the name of an optimizer, to one run of shape (epochs,) or several of
        shape (runs, epochs), or a list of them.
    threshold
        What is to be reached.
    ax
        Where to draw; a new figure when left out.
    below
        Whether a run is there when it is at the threshold or below, as a loss; ``False`` for at
        or above, as an accuracy.
    unit
        What entries are counted in.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TypeError, ValueError
        No mapping, no runs, or a run that is not one-dimensional.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> losses = {"SGD": [[0.9, 0.5, 0.2], [0.9, 0.8, 0.7]], "Adam": [[0.4, 0.1], [0.6, 0.2]]}
    >>> ax = plot_epochs_to_threshold(losses, 0.5, ax=Figure().subplots())
    >>> [text.get_text() for text in ax.get_yticklabels()]
    ['SGD', 'Adam']
    """
    settings = named(data, "plot_epochs_to_threshold", "one run or several")
    reached = {k: _first(as_runs(v, k), threshold, below) for k, v in settings.items()}
    ax = axes(ax) if ax else axes(None, figsize=(7.0, 1.4 + 0.7 * min(len(reached), 12)))
    last = max((np.max(n[np.isfinite(n)], initial=1.0) for n in reached.values()), default=1.0)
    never, runs = last * 1.12 + 0.5, 0
    for row, counts in enumerate(reached.values()):
        missing = int(np.isinf(counts).sum())
        runs = max(runs, missing)
        _draw_counts(ax, row, np.where(np.isinf(counts), never, counts))
        middle = median(counts)
        if np.isfinite(middle):
            ax.plot([middle, middle], [row - 0.3, row + 0.3], color=_ink(ax), linewidth=2)
        if missing:
            ax.text(never, row - 0.32, f"{missing} of {len(counts)}", ha="center", va="bottom",
                    fontsize="small")  # fmt: skip
    if runs:
        edge = (last + never) / 2
        ax.axvspan(edge, never * 2 - edge, color="#7F7F7F", alpha=0.15, linewidth=0)
        ax.text(never, -0.55, "never", ha="center", va="bottom", style="italic")
        ax.set_xlim(right=never * 2 - edge)
    some_ticks(ax.yaxis, list(reached))
    ax.set_ylim(len(reached) - 0.5, -0.7)
    ax.set_xlim(left=0)
    sign = "≤" if below else "≥"
    ax.set_xlabel(f"{unit} until {sign} {threshold:g}")
    quiet(ax)
    ax.grid(False, axis="y")
    return ax


def plot_sweep_heatmap(
    values: ArrayLike,
    *,
    rows: Sequence[object],
    columns: Sequence[object],
    ax: Axes | None = None,
    row_name: str = "",
    column_name: str = "",
    label: str = "",
    fmt: str = ".3g",
    colorbar: bool = True,
) -> Axes:
    """Draw a table of results, one cell per pair of settings, with its number written in it.

    Parameters
    ----------
    values
        Results, shape (rows, columns); a cell that is not finite is hatched and says ``–``.
    rows, columns
        The settings along each side.
    ax
        Where to draw; a new figure when left out.
    row_name, column_name
        What the settings are, as axis titles.
    label
        What the numbers are, beside the colour bar.
    fmt
        Format of the numbers.
    colorbar
        Draw the colour bar.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        Another number of settings than of rows or columns.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> ax = plot_sweep_heatmap([[0.5, 1.0]], rows=[2], columns=[0.1, 1.0], ax=Figure().subplots())
    >>> [text.get_text() for text in ax.texts]
    ['0.5', '1']
    """
    table = np.asarray(plain(values), dtype=np.float64)
    if table.shape != (len(rows), len(columns)) or not table.size:
        raise ValueError(
            f"plot_sweep_heatmap got values of shape {table.shape} for {len(rows)} rows and "
            f"{len(columns)} columns"
        )
    ax = axes(ax)
    image = ax.imshow(np.ma.masked_invalid(table), cmap="cividis", aspect="auto")
    write_cells(ax, table, image.norm, [[format(v, fmt) for v in row] for row in table])
    some_ticks(ax.xaxis, [str(c) for c in columns])
    some_ticks(ax.yaxis, [str(r) for r in rows])
    ax.set_xlabel(column_name)
    ax.set_ylabel(row_name)
    ax.spines[:].set_visible(False)
    if colorbar:
        ax.figure.colorbar(image, ax=ax, label=label)
    return ax


def _first(table: NDArray[np.float64], threshold: float, below: bool) -> NDArray[np.float64]:
    """Return at which entry, counted from 1, each run is there; infinity for never."""
    there = table <= threshold if below else table >= threshold
    return np.where(there.any(axis=1), there.argmax(axis=1) + 1.0, np.inf)


def _draw_counts(ax: Axes, row: int, counts: NDArray[np.float64]) -> None:
    """Draw the runs of one setting in its row, one above the other where they are equal."""
    order = np.argsort(counts, kind="stable")
    lanes = np.zeros(len(counts))
    lanes[order] = (np.arange(len(counts)) % 8 - 3.5) * 0.07 if len(counts) > 1 else 0.0
    ax.scatter(counts, row + lanes, s=30, linewidths=0.5, zorder=3, **class_style(row))


def _ink(ax: Axes) -> Any:
    """Return the colour of text on these Axes."""
    return ax.xaxis.label.get_color()
