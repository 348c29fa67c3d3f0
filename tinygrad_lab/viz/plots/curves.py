"""Curves over epochs or steps: losses and metrics, and learning rates.

Not for: what is compared at one point of the training (``comparisons.py``).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from tinygrad_lab.viz.plots.canvas import axes, curve_style, numbers, quiet
from tinygrad_lab.viz.plots.runs import Runs, as_runs, percentiles

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_learning_curves", "plot_schedule"]

# More points than a figure has pixels only make the file bigger, since Matplotlib never
# simplifies a filled band.
_MOST_POINTS = 600


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
        Median and percentiles are numbers of runs: of two that are equally near the higher.
        A diverged run leaves them where it stops being finite.
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
        No data, a run that is not one-dimensional, fewer ``epochs`` than the longest run has, or a
        logarithmic axis for numbers of which none is positive.

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
    tables = {label: as_runs(runs, label) for label, runs in settings.items()}
    if log:
        _check_positive(tables.values())
    ax = axes(ax)
    for index, (label, table) in enumerate(tables.items()):
        x, thinned = _thin(_epochs_for(table, epochs), table)
        _draw_setting(ax, x, thinned, label, index, band, each_run)
    if log:
        ax.set_yscale("log", nonpositive="mask")
    ax.set_xlabel("epoch")
    ax.set_ylabel(ylabel)
    ax.margins(x=0.01)
    quiet(ax)
    if any(settings):
        ax.legend(frameon=False, handlelength=3.0)
    return ax


def plot_schedule(
    data: Any,
    *,
    ax: Axes | None = None,
    steps: int | None = None,
    log: bool = False,
    xlabel: str = "epoch",
) -> Axes:
    """Draw learning rates: those of a training, or what a schedule is going to give.

    Parameters
    ----------
    data
        Rates of shape (steps,), a schedule of ``tl.optim``, or a mapping from a label to either.
        A schedule is copied and runs on from where it is; the original does not move.
    ax
        Where to draw; a new figure when left out.
    steps
        How many rates to draw of a schedule.
    log
        Logarithmic vertical axis.
    xlabel
        What is counted: a schedule is stepped once an epoch, or once a batch.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        No rates, rates that are not one-dimensional, or a schedule without ``steps``.
    TypeError
        A schedule that asks for the loss: what it will do depends on the training.

    Examples
    --------
    >>> import tinygrad_lab as tl
    >>> from matplotlib.figure import Figure
    >>> optimizer = tl.optim.SGD([tl.nn.Parameter([1.0])], lr=1.0)
    >>> schedule = tl.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    >>> ax = plot_schedule(schedule, steps=4, ax=Figure().subplots())
    >>> ax.lines[0].get_ydata().tolist()
    [1.0, 0.5, 0.25, 0.125]
    """
    labelled = {str(k): v for k, v in data.items()} if isinstance(data, Mapping) else {"": data}
    if not labelled:
        raise ValueError("plot_schedule needs at least one schedule, got an empty mapping")
    curves = {label: _rates(value, steps) for label, value in labelled.items()}
    if log:
        _check_positive(curves.values())
    ax = axes(ax)
    index = 0
    for label, rates in curves.items():
        for number, column in enumerate(rates.T):
            name = f"{label} group {number}".strip() if rates.shape[1] > 1 else label
            ax.plot(column, label=name, linewidth=1.8, **_dot(column), **curve_style(index, ax))
            index += 1
    if log:
        ax.set_yscale("log", nonpositive="mask")
    ax.set_xlabel(xlabel)
    ax.set_ylabel("learning rate")
    ax.margins(x=0.01)
    quiet(ax)
    if index > 1 or any(labelled):
        ax.legend(frameon=False, handlelength=3.0)
    return ax


# ---- learning curves ----------------------------------------------------------------------------


def _check_positive(tables: Any) -> None:
    """Refuse a logarithmic axis on which nothing would be seen."""
    finite = [table[np.isfinite(table)] for table in tables]
    values = np.concatenate(finite)
    if values.size and values.max() <= 0:
        raise ValueError(
            f"a logarithmic axis shows positive numbers, and these are from {values.min():.4g} to "
            f"{values.max():.4g}: say log=False"
        )


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
    style = curve_style(index, ax)
    finite = np.isfinite(table).any(axis=0)
    x, table = x[finite], table[:, finite]
    if each_run and len(table) > 1:
        ax.plot(x, table.T, color=style["color"], linewidth=0.6, alpha=0.35)
    if band is not None and len(table) > 1 and x.size:
        low, high = percentiles(table, band)
        ax.fill_between(x, low, high, color=style["color"], alpha=0.18, linewidth=0)
    (median,) = percentiles(table, [50])
    if not x.size:
        label = f"{label} (never finite)".strip()
    ax.plot(x, median, linewidth=1.8, label=label, **_dot(x), **style)


def _dot(x: Runs) -> dict[str, Any]:
    """Return the marker of a curve of one point, whose line nobody would see."""
    return {"marker": "o"} if len(x) == 1 else {}


# ---- learning rates -----------------------------------------------------------------------------


def _rates(data: Any, steps: int | None) -> Runs:
    """Return rates of shape (steps, groups)."""
    if not hasattr(data, "param_groups") and not hasattr(data, "get_last_lr"):
        rates = numbers(data, "plot_schedule", "(steps,)", 1)
        return rates[:steps, None]
    if not hasattr(data, "get_last_lr"):
        raise TypeError("plot_schedule got an optimizer: give the schedule that was made of it")
    if steps is None or steps < 1:
        raise ValueError(f"plot_schedule(schedule, steps=100): how many rates? Got steps={steps}")
    if type(data).__name__ == "ReduceLROnPlateau":
        raise TypeError(
            "ReduceLROnPlateau goes by the losses of the training, so its rates are known only "
            'afterwards: plot_schedule(history["lr"])'
        )
    return _run_on(data, steps)


def _run_on(schedule: Any, steps: int) -> Runs:
    """Return the rates of a schedule from now on, shape (steps, groups), and leave it as it is."""
    parameters = [p for group in schedule.optimizer.param_groups for p in group["params"]]
    shared = {id(p): p for p in parameters}  # nothing moves them, so they need no copies
    twin = copy.deepcopy(schedule, shared)
    twin.optimizer.has_stepped = True  # as it will have, when the schedule is stepped
    rows = []
    for _ in range(steps):
        rows.append(list(twin.get_last_lr()))
        twin.step()
    return np.array(rows, dtype=np.float64)
