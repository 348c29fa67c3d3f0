"""The report's section on decision boundaries as they form: a few epochs of one training.

Not for how a frame is drawn (``multiples.py``) nor for the layout
(``templates/boundaries.html.j2``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_lab.lab.reports.measuring import median_run
from tinygrad_lab.lab.reports.multiples import frame, grid
from tinygrad_lab.lab.reports.sections.moments import moments
from tinygrad_lab.lab.reports.sections.panel import panel
from tinygrad_lab.lab.reports.studies import DATA_TITLES
from tinygrad_lab.lab.reports.study import Results, Runs
from tinygrad_lab.lab.reports.tables import Section, Table
from tinygrad_lab.lab.training import Result, train_many

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]

FRAMES = 10


def section(runs: Runs, quick: bool) -> Section | None:
    """Train the median run of each data set again, and draw what it says at some epochs.

    None where nothing was run; XOR alone where it has to be quick.
    """
    shown = {
        settings.data: _again(results)
        for settings, results in runs.items()
        if settings.data == "xor" or not quick
    }
    if not shown:
        return None
    films, tables = [], {}
    for data, result in shown.items():
        outputs = {epoch: result.predict(grid(), epoch).ravel() for epoch in result.snapshots}
        films.append(_film(data, result, outputs))
        tables[f"boundaries-{data}.csv"] = _side_by_side(outputs)
        tables[f"boundaries-{data}-loss.csv"] = Table(
            ("epoch", "loss"),
            [
                (int(epoch), f"{loss:.6g}")
                for epoch, loss in zip(result.epochs, result.losses, strict=True)
            ],
        )
    return Section({"films": films}, tables)


def _again(results: Results) -> Result:
    """Train the run with the median loss again, and keep its weights at some epochs."""
    median = median_run(results)
    (again,) = train_many(median.settings, [median.seed], snapshots=moments(median, FRAMES))
    return again


def _film(data: str, result: Result, outputs: Mapping[int, Array]) -> dict[str, Any]:
    return {
        "title": _capital(DATA_TITLES[data]),
        "seed": result.seed,
        "frames": [
            _frame(result, epoch, output) | {"number": number}
            for number, (epoch, output) in enumerate(outputs.items(), start=1)
        ],
        "data": f"data/boundaries-{data}.csv",
        "curve": _curve(data, result),
    }


def _capital(title: str) -> str:
    return title[:1].upper() + title[1:]


def _frame(result: Result, epoch: int, output: Array) -> dict[str, Any]:
    right = (result.predict(result.x, epoch) > 0.5) == (result.y > 0.5)
    text = f"{np.sum(right)} of {right.size} right"
    return {
        "svg": frame(
            result.x,
            result.y.ravel() > 0.5,
            output,
            f"{DATA_TITLES[result.settings.data]}, output at epoch {epoch}: {text}",
        ),
        "epoch": f"{epoch:,}",
        "text": text,
    }


def _curve(data: str, result: Result) -> dict[str, str]:
    epochs = list(result.snapshots)
    losses = [result.loss_at(epoch) for epoch in epochs]
    fall = int(np.argmin(np.diff(np.log(losses))))
    return panel(
        lambda ax: _draw_curve(ax, result, epochs, losses),
        name=f"boundaries-{data}-loss",
        alt=f"Loss over epochs, {DATA_TITLES[data]}, with the frames marked",
        caption=(
            f"{_capital(DATA_TITLES[data])}: the loss falls most from frame {fall + 1} to "
            f"{fall + 2}, from {losses[fall]:.2g} to {losses[fall + 1]:.2g}."
        ),
    )


def _draw_curve(ax: Axes, result: Result, epochs: Sequence[int], losses: Sequence[float]) -> None:
    from tinygrad_lab.viz import plot_learning_curves

    plot_learning_curves(result.losses, epochs=result.epochs, ax=ax)
    ink = ax.xaxis.label.get_color()
    ax.plot(epochs, losses, linestyle="none", marker="o", markersize=5, color=ink)
    for number, place in enumerate(zip(epochs, losses, strict=True), start=1):
        ax.annotate(
            str(number), place, (0, 6), textcoords="offset points", ha="center", fontsize="small"
        )
    ax.set_xscale("symlog", linthresh=max(result.epochs[1], 1))
    ax.set_xlim(left=-0.4 * result.epochs[1])
    ax.margins(y=0.1)


def _side_by_side(outputs: Mapping[int, Array]) -> Table:
    """Make a table of the outputs of the frames: a row for each point."""
    columns = np.column_stack([grid(), *outputs.values()])
    rows = [[f"{number:.6g}" for number in row] for row in columns]
    return Table(("x0", "x1", *(f"epoch {epoch}" for epoch in outputs)), rows)
