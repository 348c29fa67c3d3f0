"""Matplotlib plots of training: learning curves, predictions, decision boundaries, sweeps, kernels.

Every function takes its data first and an optional ``ax``, draws on that one ``Axes`` and returns
it. None of them shows a window, changes ``rcParams`` or draws random numbers, so they compose with
``plt.subplots`` and with ``plt.style.context`` (a dark style included). Colours are Okabe and
Ito's, told apart under every common colour-vision deficiency, and never the only difference:
classes differ by marker, curves by dash pattern.

Not for pictures of the computation graph: those are :func:`tinygrad_lab.viz.graph`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap

__all__ = [
    "plot_decision_boundary",
    "plot_kernels",
    "plot_learning_curves",
    "plot_predictions",
    "plot_sweep_heatmap",
]

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F")
_DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (6, 1.5, 1.5, 1.5)))
_MARKERS = ("o", "^", "s", "D", "v", "P", "X")

# More points than a figure has pixels only make the file bigger, since Matplotlib never
# simplifies a filled band.
_MOST_POINTS = 600

Runs = NDArray[np.float64]


def plot_learning_curves(
    data: ArrayLike | Sequence[ArrayLike] | Mapping[str, ArrayLike | Sequence[ArrayLike]],
    *,
    ax: Axes | None = None,
    epochs: ArrayLike | None = None,
    log: bool = True,
    band: tuple[float, float] | None = (25.0, 75.0),
    each_run: bool = False,
    ylabel: str = "loss",
) -> Axes:
    """Draw loss over epochs: one run, several seeds as median and band, or several settings.

    Parameters
    ----------
    data
        One run of shape (epochs,), several runs of one setting of shape (runs, epochs) or as a list
        of sequences that may differ in length, or a mapping from a label to either.
    ax
        Where to draw; a new figure when left out.
    epochs
        Position of each entry on the horizontal axis, shape (epochs,) of the longest run;
        0, 1, 2, ... when left out.
    log
        Logarithmic vertical axis.
    band
        Lower and upper percentile of the shaded band over runs, ``None`` for no band.
        A diverged run leaves the median and the band where it stops being finite.
    each_run
        Also draw every run as a thin line.
    ylabel
        Title of the vertical axis.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        No data, a run that is not one-dimensional, or fewer ``epochs`` than the longest run has.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> ax = Figure().subplots()
    >>> plot_learning_curves({"SGD": [1.0, 0.5, 0.3], "Adam": [1.0, 0.2, 0.1]}, ax=ax).get_yscale()
    'log'
    """
    settings = {str(k): v for k, v in data.items()} if isinstance(data, Mapping) else {"": data}
    if not settings:
        raise ValueError("plot_learning_curves needs at least one curve, got an empty mapping")
    ax = _axes(ax)
    for index, (label, runs) in enumerate(settings.items()):
        table = _as_runs(runs, label)
        x, table = _thin(_epochs_for(table, epochs), table)
        _draw_setting(ax, x, table, label, index, band, each_run)
    if log:
        ax.set_yscale("log", nonpositive="mask")
    ax.set_xlabel("epoch")
    ax.set_ylabel(ylabel)
    ax.margins(x=0.01)
    _quiet(ax)
    if any(settings):
        ax.legend(frameon=False, handlelength=3.0)
    return ax


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
    predicted = _classes(_plain(prediction), threshold)
    if len(predicted) != len(points):
        raise ValueError(
            f"plot_predictions needs one prediction per point: {len(points)} points, "
            f"prediction of shape {np.shape(_plain(prediction))}"
        )
    if ax is None:
        ax = _axes(None, figsize=(8.0, 3.9))
    ax.set_axis_off()
    left = ax.inset_axes((0.0, 0.0, 0.46, 1.0))
    right = ax.inset_axes((0.54, 0.0, 0.46, 1.0))
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
        _quiet(panel)
    right.tick_params(labelleft=False)
    _legend_below(left, -0.12)
    return ax


def _legend_below(ax: Axes, y: float) -> None:
    """Name the classes under the axes: inside, a legend's markers would pass for points."""
    ax.legend(
        frameon=False,
        fontsize="small",
        loc="upper left",
        bbox_to_anchor=(0, y),
        borderaxespad=0,
        ncols=4,
        columnspacing=1.2,
        handletextpad=0.2,
    )


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
    ax = _axes(ax)
    u, v, grid = _grid(points, resolution, margin)
    scores = _evaluate(model, grid)
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
        _legend_below(ax, -0.18)
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
    table = np.asarray(_plain(values), dtype=np.float64)
    if table.shape != (len(rows), len(columns)):
        raise ValueError(
            f"plot_sweep_heatmap got values of shape {table.shape} for {len(rows)} rows and "
            f"{len(columns)} columns"
        )
    ax = _axes(ax)
    image = ax.imshow(np.ma.masked_invalid(table), cmap="cividis", aspect="auto")
    _write_cells(ax, table, image.norm, fmt)
    ax.set_xticks(range(len(columns)), [str(c) for c in columns])
    ax.set_yticks(range(len(rows)), [str(r) for r in rows])
    ax.tick_params(length=0)
    ax.set_xlabel(column_name)
    ax.set_ylabel(row_name)
    for spine in ax.spines.values():
        spine.set_visible(False)
    if colorbar:
        ax.figure.colorbar(image, ax=ax, label=label)
    return ax


def plot_kernels(weight: ArrayLike, *, ax: Axes | None = None, columns: int | None = None) -> Axes:
    """Draw the kernels of a convolution as a mosaic, one tile per output and input channel.

    All tiles share one colour scale, symmetric around zero: blue negative, white zero, orange
    positive.

    Parameters
    ----------
    weight
        Kernels, shape (out, in, height, width) or (n, height, width).
    ax
        Where to draw; a new figure when left out.
    columns
        Tiles in a row; by default the input channels, or a near square when there is one.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        A weight with another number of axes, or without elements.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> ax = plot_kernels(np.ones((4, 1, 3, 3)), ax=Figure().subplots())
    >>> ax.images[0].get_array().shape  # 2 × 2 tiles of 3 × 3, one pixel between
    (7, 7)
    """
    kernels = np.asarray(_plain(weight), dtype=np.float64)
    if kernels.ndim not in (3, 4) or kernels.size == 0:
        raise ValueError(
            "plot_kernels needs a weight of shape (out, in, height, width) or (n, height, width) "
            f"with elements, got {kernels.shape}"
        )
    if columns is None and kernels.ndim == 4 and kernels.shape[1] > 1:
        columns = kernels.shape[1]
    tiles = kernels.reshape(-1, *kernels.shape[-2:])
    ax = _axes(ax)
    limit = float(np.nanmax(np.abs(tiles))) or 1.0
    mosaic = _mosaic(tiles, columns or int(np.ceil(np.sqrt(len(tiles)))))
    ax.imshow(mosaic, cmap=_two_sided(), vmin=-limit, vmax=limit, interpolation="nearest")
    ax.set_axis_off()
    return ax


# ---- data in ------------------------------------------------------------------------------------


def _plain(value: Any) -> Any:
    """Return the array of a Tensor, and anything else as it is."""
    from tinygrad_lab.core.tensor import Tensor

    return value.data if isinstance(value, Tensor) else value


def _as_runs(runs: Any, label: str) -> Runs:
    """Return runs as one table of shape (runs, epochs), short ones padded with nan."""
    runs = list(_plain(runs)) if np.iterable(_plain(runs)) else []
    if runs and np.ndim(_plain(runs[0])) == 0:
        runs = [runs]
    rows = [np.asarray(_plain(row), dtype=np.float64) for row in runs]
    if not rows or any(row.ndim != 1 or row.size == 0 for row in rows):
        shapes = ", ".join(str(row.shape) for row in rows) or "nothing"
        raise ValueError(
            f"a learning curve{f' ({label})' if label else ''} needs shape (epochs,), or several "
            f"runs of that shape, none empty; got {shapes}"
        )
    table = np.full((len(rows), max(row.size for row in rows)), np.nan)
    for target, row in zip(table, rows, strict=True):
        target[: row.size] = row
    table[~np.isfinite(table)] = np.nan
    return table


def _epochs_for(table: Runs, epochs: ArrayLike | None) -> Runs:
    """Return the horizontal positions of a table of runs."""
    if epochs is None:
        return np.arange(table.shape[1], dtype=np.float64)
    x = np.asarray(epochs, dtype=np.float64)
    if x.ndim != 1 or x.size < table.shape[1]:
        raise ValueError(
            f"epochs has shape {x.shape}, but the longest run has {table.shape[1]} entries"
        )
    return x[: table.shape[1]]


def _thin(x: Runs, table: Runs) -> tuple[Runs, Runs]:
    """Keep at most ``_MOST_POINTS`` evenly spaced entries, the first and the last among them."""
    if x.size <= _MOST_POINTS:
        return x, table
    chosen = np.unique(np.linspace(0, x.size - 1, _MOST_POINTS).astype(np.intp))
    return x[chosen], table[:, chosen]


def _points_and_labels(X: ArrayLike, y: ArrayLike | None) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return points of shape (n, 2) and integer labels of shape (n,), zeros without ``y``."""
    points = np.asarray(_plain(X))
    if points.ndim != 2 or points.shape[1] != 2 or not len(points):
        raise ValueError(f"needs points in the plane, shape (n, 2), got X of shape {points.shape}")
    if y is None:
        return points, np.zeros(len(points), dtype=np.intp)
    labels = np.asarray(_plain(y))
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
    from tinygrad_lab.core.modes import no_grad

    with no_grad():
        scores = np.asarray(_plain(model(grid)), dtype=np.float64)
    if scores.ndim not in (1, 2) or len(scores) != len(grid):
        raise ValueError(
            f"the model must return one row of scores per point: it got {grid.shape} and "
            f"returned {scores.shape}"
        )
    return scores.reshape(len(grid), -1)


# ---- drawing ------------------------------------------------------------------------------------


def _axes(ax: Axes | None, **figure: Any) -> Axes:
    """Return ``ax``, or the only Axes of a new figure."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(layout="constrained", **figure)[1]


def _quiet(ax: Axes) -> None:
    """Remove the upper and right spines, and draw a light grid behind the data."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(True, alpha=0.25, linewidth=0.6)
    ax.set_axisbelow(True)


def _draw_setting(
    ax: Axes,
    x: Runs,
    table: Runs,
    label: str,
    index: int,
    band: tuple[float, float] | None,
    each_run: bool,
) -> None:
    """Draw one setting: its median, the band over its runs and, if asked, each run."""
    colour = _COLOURS[index % len(_COLOURS)]
    dashes = _DASHES[index % len(_DASHES)]
    finite = np.isfinite(table).any(axis=0)
    x, table = x[finite], table[:, finite]
    if each_run and len(table) > 1:
        ax.plot(x, table.T, color=colour, linewidth=0.6, alpha=0.35)
    if band is not None and len(table) > 1 and x.size:
        low, high = np.nanpercentile(table, band, axis=0)
        ax.fill_between(x, low, high, color=colour, alpha=0.18, linewidth=0)
    median = np.nanmedian(table, axis=0) if x.size else x
    ax.plot(x, median, color=colour, linestyle=dashes, linewidth=1.8, label=label)


def _scatter(
    ax: Axes,
    points: NDArray[Any],
    labels: NDArray[Any],
    classes: NDArray[Any],
    named: bool = True,
) -> None:
    """Draw labelled points, one colour and marker a class, the same class always the same."""
    for value in classes:
        index = int(value) % len(_COLOURS)
        members = points[labels == value]
        ax.scatter(
            members[:, 0],
            members[:, 1],
            color=_COLOURS[index] if named else "#57606A",
            marker=_MARKERS[index],
            s=36,
            edgecolors="white",
            linewidths=0.7,
            zorder=3,
            label=f"class {value}" if named else None,
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
    ax.imshow(
        scores,
        extent=(float(u[0]), float(u[-1]), float(v[0]), float(v[-1])),
        origin="lower",
        cmap=_two_sided(),
        vmin=threshold - spread,
        vmax=threshold + spread,
        alpha=0.55,
        interpolation="bilinear",
        aspect="auto",
    )
    if finite.min() < threshold < finite.max():
        ax.contour(u, v, scores, levels=[threshold], colors="black", linewidths=1.4)


def _draw_regions(
    ax: Axes, u: NDArray[Any], v: NDArray[Any], winner: NDArray[Any], scores: NDArray[Any]
) -> None:
    """Draw the winning class over the plane, and the lines between classes."""
    from matplotlib.colors import ListedColormap

    count = scores.shape[1]
    palette = ListedColormap([_COLOURS[i % len(_COLOURS)] for i in range(count)])
    levels = np.arange(count + 1) - 0.5
    ax.imshow(
        winner,
        extent=(float(u[0]), float(u[-1]), float(v[0]), float(v[-1])),
        origin="lower",
        cmap=palette,
        vmin=levels[0],
        vmax=levels[-1],
        alpha=0.35,
        interpolation="nearest",
        aspect="auto",
    )
    for value in np.unique(winner):
        inside = (winner == value).astype(np.float64)
        if inside.min() < inside.max():
            ax.contour(u, v, inside, levels=[0.5], colors="black", linewidths=1.0)


def _write_cells(ax: Axes, table: NDArray[Any], norm: Any, fmt: str) -> None:
    """Write each number in its cell, in black or white, whichever reads better on its colour."""
    from matplotlib.patches import Rectangle

    for (i, j), value in np.ndenumerate(table):
        if not np.isfinite(value):
            cell = Rectangle((j - 0.5, i - 0.5), 1, 1, hatch="///", fill=False, linewidth=0)
            ax.add_patch(cell)
            ax.text(j, i, "–", ha="center", va="center")
            continue
        colour = "white" if float(norm(value)) < 0.55 else "black"
        ax.text(j, i, format(value, fmt), ha="center", va="center", color=colour)


def _mosaic(tiles: NDArray[Any], columns: int) -> NDArray[Any]:
    """Lay tiles of shape (n, h, w) out row by row, one empty pixel between them."""
    n, height, width = tiles.shape
    rows = -(-n // columns)
    mosaic = np.full((rows * (height + 1) - 1, columns * (width + 1) - 1), np.nan)
    for index, tile in enumerate(tiles):
        top, left = (index // columns) * (height + 1), (index % columns) * (width + 1)
        mosaic[top : top + height, left : left + width] = tile
    return mosaic


def _two_sided() -> Colormap:
    """Return the two-sided colour map: blue below, white at the middle, orange above."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("two_sided", [_COLOURS[0], "#F7F7F7", _COLOURS[1]])
