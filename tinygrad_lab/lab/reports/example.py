"""The report's section that shows one run in full: report B's base setting, on both data sets.

Not for the layout (``templates/report.html.j2``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_lab.lab.pages.figures import svg
from tinygrad_lab.lab.reports.graphs import drawn
from tinygrad_lab.lab.reports.measuring import median_run
from tinygrad_lab.lab.reports.studies import DATA_TITLES
from tinygrad_lab.lab.reports.study import Runs, Study
from tinygrad_lab.lab.reports.tables import Section, Table
from tinygrad_lab.lab.settings import Settings
from tinygrad_lab.lab.training import LOG_EVERY, Result, log_line, prediction_table, prepare

_BOUNDARY_POINTS = 100


def needs(studies: Sequence[Study]) -> list[Settings]:
    """Return the settings that are shown: report B's base runs; none where they are not run."""
    rows = [row for study in studies if study.key == "base" for row in study.rows]
    return [row.settings for row in rows if (row.report, row.label) == ("B", "base")]


def section(runs: Runs, _quick: bool = False) -> Section | None:
    """Show the run of each data set that has the median loss; None where one was not run."""
    if len(runs) < len(DATA_TITLES):
        return None
    linear, xor = map(median_run, runs.values())
    tables: dict[str, Table] = {}
    panels = []
    for result in (linear, xor):
        data = result.settings.data
        boundary, evaluated = _boundary(result)
        panels += [_predictions(result), boundary]
        tables[f"example-{data}-predictions.csv"] = _predictions_table(result)
        tables[f"example-{data}-boundary.csv"] = evaluated
    shown = {
        "seed": xor.seed,
        "panels": panels,
        "log": _log(xor),
        "table": prediction_table(xor),
        "graph": drawn(prepare(xor.settings, xor.seed)[1], xor.x, xor.y),
    }
    return Section(shown, tables)


def _predictions(result: Result) -> dict[str, str]:
    from tinygrad_lab.viz import plot_predictions

    caption = f"Ground truth beside prediction, {DATA_TITLES[result.settings.data]}"
    picture = svg(
        lambda ax: plot_predictions(result.x, result.y, result.prediction, ax=ax),
        name=f"predictions-{result.settings.data}",
        description=caption,
        size=(7.0, 3.6),
    )
    file = f"data/example-{result.settings.data}-predictions.csv"
    return {"svg": picture, "caption": caption, "data": file}


def _predictions_table(result: Result) -> Table:
    rows = np.hstack([result.x, result.y, result.prediction]).tolist()
    return Table(("x0", "x1", "label", "output"), rows)


def _boundary(result: Result) -> tuple[dict[str, str], Table]:
    """Draw the decision boundary; return also the points and outputs that it was drawn from."""
    from tinygrad_lab.viz import plot_decision_boundary

    rows: list[tuple[str, str, str]] = []

    def model(points: Any) -> Any:
        outputs = result.predict(points)
        rows.extend(
            (f"{a:.4f}", f"{b:.4f}", f"{output:.5f}")
            for (a, b), (output,) in zip(points, outputs, strict=True)
        )
        return outputs

    data = result.settings.data
    picture = svg(
        lambda ax: plot_decision_boundary(
            model, result.x, result.y, ax=ax, resolution=_BOUNDARY_POINTS
        ),
        name=f"boundary-{data}",
        description=f"Decision boundary, {DATA_TITLES[data]}",
        size=(4.2, 3.8),
        bottom=0.8,
    )
    caption = f"Output and decision boundary, {DATA_TITLES[data]}"
    figure = {"svg": picture, "caption": caption, "data": f"data/example-{data}-boundary.csv"}
    return figure, Table(("x0", "x1", "output"), rows)


def _log(result: Result) -> str:
    return "\n".join(
        log_line(int(epoch), float(loss))
        for epoch, loss in zip(result.epochs, result.losses, strict=True)
        if epoch % LOG_EVERY == 0
    )
