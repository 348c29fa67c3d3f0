"""What a study shows beside its numbers: learning curves, and for each setting the typical run.

Not for how a figure is drawn (``figures.py``, ``multiples.py``), nor for the numbers
(``measuring.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_lab.lab.pages.figures import svg
from tinygrad_lab.lab.reports.measuring import Measurement
from tinygrad_lab.lab.reports.multiples import grid, multiple
from tinygrad_lab.lab.reports.studies import DATA_TITLES
from tinygrad_lab.lab.reports.tables import Section, Table, curves_table
from tinygrad_lab.lab.settings import command_of
from tinygrad_lab.lab.training import Result, prediction_table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: What the names of a study's files end with, behind its key.
FILES = ("", "-curves", "-predictions", "-outputs")

_POINTS = 200  # of a drawn curve: a band has as many corners, twice

_WIDTH, _AXES, _LINE = 5.2, 3.15, 0.19  # inches: a figure, its axes with their labels, a legend's


def section(key: str, title: str, measured: Sequence[Measurement]) -> Section:
    """Draw what a study has measured.

    Parameters
    ----------
    key, title
        Of the study.
    measured
        Its rows.
    """
    curves, predictions, outputs = (f"{key}{ending}.csv" for ending in FILES[1:])
    multiples, fields = _multiples(measured)
    shown = {"curves": list(_curves(key, title, measured)), "multiples": multiples}
    files = {"curves": f"data/{curves}", "multiples": [f"data/{predictions}", f"data/{outputs}"]}
    tables = {curves: curves_table(measured), predictions: _predictions(measured), outputs: fields}
    return Section(shown | {"behind": files}, tables)


# ---- curves -------------------------------------------------------------------------------------


def _curves(key: str, study: str, measured: Sequence[Measurement]) -> Iterable[dict[str, str]]:
    """Draw loss and accuracy: a panel for each report and data set, a curve for each setting."""
    together = any(not m.row.report for m in measured)  # a comparison no single report has made
    groups: dict[tuple[str, str], list[Measurement]] = {}
    for m in measured:
        who = "" if together else m.row.report
        groups.setdefault((who, m.row.settings.data), []).append(m)
    for (report, data), group in groups.items():
        who = f"Report {report}, {DATA_TITLES[data]}" if report else DATA_TITLES[data]
        for what, draw in (("loss", _draw_losses), ("accuracy", _draw_accuracies)):
            yield {
                "svg": svg(
                    partial(draw, group),
                    name=f"{key}-{report}-{data}-{what}",
                    description=f"{study}: {what} over epochs, {who}",
                    size=(_WIDTH, _AXES + _LINE * _legend_lines(group)),
                    bottom=0.5 + _LINE * _legend_lines(group),
                ),
                "caption": f"{what.capitalize()}: {who}",
            }


def _draw_losses(group: Sequence[Measurement], ax: Axes) -> None:
    from tinygrad_lab.viz import plot_learning_curves

    epochs = _epochs(group)
    losses = {m.row.label: [_at(epochs, r, r.losses) for r in m.results] for m in group}
    plot_learning_curves(losses, epochs=epochs, ax=ax)
    ax.yaxis.set_major_formatter(_short)
    ax.minorticks_off()
    points = sorted({point for m in group for point in m.row.reported.curve})
    if points:
        ax.plot(
            *zip(*points, strict=True),
            linestyle="none",
            marker="D",
            markerfacecolor="none",
            color=ax.xaxis.label.get_color(),
            label="as reported",
        )
    _legend_below(ax, group)


def _short(loss: float, _: float) -> str:
    """Write a loss beside an axis, where there is room for few characters: 1e-3, 1e1."""
    return f"{loss:.0e}".replace("e-0", "e-").replace("e+0", "e")


def _draw_accuracies(group: Sequence[Measurement], ax: Axes) -> None:
    from tinygrad_lab.viz import plot_learning_curves

    epochs = _epochs(group)
    percents = {m.row.label: [_at(epochs, r, 100 * r.accuracies) for r in m.results] for m in group}
    plot_learning_curves(percents, epochs=epochs, ax=ax, log=False, ylabel="accuracy (%)")
    ax.set_ylim(top=101.5)
    _legend_below(ax, group)


def _epochs(group: Sequence[Measurement]) -> NDArray[np.int64]:
    """Return the epochs at which the curves of a panel are drawn."""
    longest = max((m.results[0].epochs for m in group), key=lambda epochs: epochs[-1])
    return longest[np.unique(np.linspace(0, len(longest) - 1, _POINTS).astype(int))]


def _at(epochs: NDArray[np.int64], result: Result, curve: NDArray[Any]) -> NDArray[Any]:
    """Return the points of a curve at these epochs, as far as it goes."""
    index = np.searchsorted(result.epochs, epochs[epochs <= result.epochs[-1]])
    return curve[index]


def _columns(group: Sequence[Measurement]) -> int:
    longest = max(len(m.row.label) for m in group)
    return 1 if longest > 28 else 2 if longest > 15 else 3


def _legend_lines(group: Sequence[Measurement]) -> int:
    return -(-(len(group) + 1) // _columns(group))  # one more: as reported


def _legend_below(ax: Axes, group: Sequence[Measurement]) -> None:
    """Put the legend where it hides nothing."""
    ax.legend(
        frameon=False,
        handlelength=3.0,
        loc="upper left",
        bbox_to_anchor=(-0.02, -0.2),
        borderaxespad=0.0,
        ncols=_columns(group),
    )


# ---- the typical run of each setting ------------------------------------------------------------


def _multiples(measured: Sequence[Measurement]) -> tuple[list[dict[str, Any]], Table]:
    """Draw the typical run of each setting; return also the outputs behind the drawings."""
    multiples, columns = [], {}
    for m in measured:
        title = f"{m.row.name}, {DATA_TITLES[m.row.settings.data]}"
        drawn = multiple(m.typical, title)
        multiples.append(
            {"svg": drawn.svg, "title": title, "seed": m.typical.seed}
            | {"right": _right(m.typical)}
            | {"command": command_of(m.row.settings, m.typical.seed)}
            | {"table": prediction_table(m.typical)}
        )
        nowhere = np.full(len(grid()), np.nan)  # of a run that diverged
        columns[f"{title}, seed {m.typical.seed}"] = (
            nowhere if drawn.outputs is None else drawn.outputs
        )
    return multiples, _outputs(columns)


def _right(result: Result) -> str:
    n = len(result.y)
    return f"{round(result.accuracy * n)} of {n} right"


def _outputs(columns: Mapping[str, NDArray[np.float64]]) -> Table:
    """Put the outputs side by side: a row for each point, a column for each setting."""
    rows = [
        [f"{number:.6g}" for number in row] for row in np.column_stack([grid(), *columns.values()])
    ]
    return Table(("x0", "x1", *columns), rows)


def _predictions(measured: Sequence[Measurement]) -> Table:
    header = ("report", "setting", "data", "seed", "x0", "x1", "label", "output")
    rows = []
    for m in measured:
        start = (m.row.report, m.row.label, m.row.settings.data, m.typical.seed)
        points = np.hstack([m.typical.x, m.typical.y, m.typical.prediction])
        rows += [(*start, *(f"{number:.7g}" for number in point)) for point in points]
    return Table(header, rows)
