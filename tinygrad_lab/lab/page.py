"""The page of the report: its numbers, figures and text, and the CSV files beside it.

Not for running anything or writing files (``report.py``); the layout is in ``templates/``.
"""

from __future__ import annotations

import csv
import math
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields, replace
from functools import partial
from io import StringIO
from typing import TYPE_CHECKING, Any

import jinja2
import numpy as np

import tinygrad_lab as tl
from tinygrad_lab.lab import checked
from tinygrad_lab.lab.figures import svg
from tinygrad_lab.lab.measures import Figure, Measurement, Row, Runs, Study, measure
from tinygrad_lab.lab.settings import Settings
from tinygrad_lab.lab.studies import REPORT_B
from tinygrad_lab.lab.training import LOG_EVERY, Result, log_line, prediction_table, prepare
from tinygrad_lab.nn import functional

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DATA_TITLES = {"linear": "linear data", "xor": "XOR"}
_LOSS_DECADES = (-10, 0)  # the axis of the loss strips
_BOUNDARY_POINTS = 100
_THEMES = ("light", "dark")


def files(
    studies: Sequence[Study],
    runs: Runs,
    *,
    seeds: int,
    wanted: int,
    seconds: float,
    quick: bool = False,
) -> dict[str, str]:
    """Return the whole report: the text of each file by its name.

    Parameters
    ----------
    studies
        What was to be run.
    runs
        What was run; rows that are missing are left out, and the page says so.
    seeds
        Seeds a setting.
    wanted
        How many settings were to be run.
    seconds
        How long training took.
    quick
        Whether something was left out on purpose, which the page then says.
    """
    written: dict[str, str] = {"data/runs.csv": _runs_csv(runs)}
    sections = [_section(study, runs, written) for study in studies]
    measured = [m for study in studies for m in _measurements(study, runs)]
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tinygrad_lab.lab"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    written["index.html"] = environment.get_template("report.html.j2").render(
        sections=[s for s in sections if s["rows"]],
        example=_example(runs, written),
        by_hand=_by_hand(written),
        grades=_grades(measured),
        findings=_findings(measured),
        claims=[c for s in sections for c in s["claims"]],
        seeds=seeds,
        quick=quick,
        missing=wanted - len(runs),
        wanted=wanted,
        total=sum(len(results) for results in runs.values()),
        seconds=seconds,
        versions=f"tinygrad_lab {tl.__version__}, NumPy {np.__version__}, "
        f"Python {platform.python_version()}",
    )
    return written


def _measurements(study: Study, runs: Runs) -> list[Measurement]:
    return [measure(row, runs[row.settings]) for row in study.rows if row.settings in runs]


def _section(study: Study, runs: Runs, written: dict[str, str]) -> dict[str, Any]:
    """Lay out one study, and add its CSV files to those written."""
    measured = _measurements(study, runs)
    if measured:
        written[f"data/{study.key}.csv"] = _measured_csv(measured)
        written[f"data/{study.key}-curves.csv"] = _curves_csv(measured)
    return {
        "key": study.key,
        "title": study.title,
        "text": study.text,
        "rows": [_row(m) for m in measured],
        "claims": [
            {"text": claim.text, "holds": verdict.holds, "evidence": verdict.evidence}
            for claim in study.claims
            if (verdict := claim.verdict(runs)) is not None
        ],
        "figures": list(_curve_figures(study, measured)),
        "files": [name for name in written if name.startswith(f"data/{study.key}")],
        "missing": len(study.rows) - len(measured),
    }


# ---- numbers ------------------------------------------------------------------------------------


def _row(m: Measurement) -> dict[str, Any]:
    losses = [result.loss for result in m.results]
    reported = m.row.reported
    return {
        "name": m.row.name,
        "report": m.row.report,
        "label": m.row.label,
        "data": m.row.settings.data,
        "reported": _reported_text(m.row),
        "curve": [f for f in m.figures if f.what.startswith("loss at")],
        "accuracy": _percent(m.accuracy[1]),
        "accuracy_range": f"{_percent(m.accuracy[0])} to {_percent(m.accuracy[2])}",
        "accuracy_strip": _strip(
            [100 * r.accuracy for r in m.results], reported.accuracy, _percent_position
        ),
        "loss": _loss(m.loss[1]),
        "loss_range": f"{_loss(m.loss[0])} to {_loss(m.loss[2])}",
        "loss_strip": _strip(
            losses, () if reported.loss is None else (reported.loss,), _loss_position
        ),
        "test": None if m.test_accuracy is None else _percent(m.test_accuracy[1]),
        "perfect": f"{sum(r.accuracy == 1.0 for r in m.results)} of {len(m.results)}",
        "diverged": sum(r.diverged_at is not None for r in m.results),
        "grade": _grade(m),
        "unseen": _unseen(m),
    }


def _grade(m: Measurement) -> str:
    """The worst grade among a row's figures; empty where nothing was reported."""
    grades = {figure.grade for figure in m.figures}
    return next((grade for grade in ("not seen", "seen", "typical") if grade in grades), "")


def _unseen(m: Measurement) -> str:
    """How many of a row's figures no seed gave, where it is not all of them."""
    count = sum(figure.grade == "not seen" for figure in m.figures)
    return f"{count} of {len(m.figures)} " if 0 < count < len(m.figures) else ""


def _grades(measured: Iterable[Measurement]) -> dict[str, int]:
    counts = {"typical": 0, "seen": 0, "not seen": 0}
    for m in measured:
        for figure in m.figures:
            counts[figure.grade] += 1
    return counts


def _findings(measured: Iterable[Measurement]) -> list[dict[str, Any]]:
    """What no seed gave, rows with the same explanation together."""
    findings: dict[str, dict[str, Any]] = {}
    for m in measured:
        missed = [f for f in m.figures if f.grade == "not seen"]
        if missed:
            text = m.row.finding
            found = findings.setdefault(text or m.row.name, {"text": text, "lines": []})
            found["lines"].append(_disagreement(m, missed))
    return list(findings.values())


def _disagreement(m: Measurement, missed: Iterable[Figure]) -> dict[str, str]:
    numbers = (
        f"{f.what} {_number(f.what, f.reported)} reported, "
        f"{_number(f.what, f.low)} to {_number(f.what, f.high)} measured"
        for f in missed
    )
    title = f"{m.row.name}, {_DATA_TITLES[m.row.settings.data]}"
    return {"title": title, "numbers": "; ".join(numbers)}


def _reported_text(row: Row) -> list[str]:
    said = row.reported
    if said.remark:
        return [said.remark]
    parts = [_percent(value) for value in said.accuracy]
    if said.loss is not None:
        parts.append(f"loss {_loss(said.loss)}")
    return parts


def _number(what: str, value: float) -> str:
    return _percent(value) if what == "accuracy" else _loss(value)


def _percent(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") + "\N{NO-BREAK SPACE}%"


def _loss(value: float) -> str:
    if not math.isfinite(value):
        return "diverged"
    return f"{value:.2g}" if value < 0.01 else f"{value:.4f}".rstrip("0")


def _percent_position(value: float) -> float:
    return value


def _loss_position(value: float) -> float:
    low, high = _LOSS_DECADES
    if not math.isfinite(value):
        return 100.0
    decade = math.log10(max(value, 10.0**low))
    return 100.0 * (min(decade, high) - low) / (high - low)


def _strip(
    values: Sequence[float], reported: Sequence[float], position: Any
) -> dict[str, list[float]]:
    """Place values on a strip from 0 to 100: what each seed gave, and what was reported."""
    return {
        "seeds": [round(position(value), 1) for value in values],
        "reported": [round(position(value), 1) for value in reported],
    }


# ---- figures ------------------------------------------------------------------------------------


def _curve_figures(study: Study, measured: Sequence[Measurement]) -> Iterable[dict[str, str]]:
    """Draw the learning curves of a study: a panel for each report and data set."""
    together = any(not m.row.report for m in measured)  # a comparison no single report has made
    groups: dict[tuple[str, str], list[Measurement]] = {}
    for m in measured:
        key = ("" if together else m.row.report, m.row.settings.data)
        groups.setdefault(key, []).append(m)
    for (report, data), group in groups.items():
        who = f"Report {report}, " if report else ""
        title = f"{who}{_DATA_TITLES[data]}"
        yield {
            "svg": svg(
                partial(_draw_curves, group=group, title=title),
                name=f"{study.key}-{report}-{data}",
                description=f"{study.title}: loss over epochs, {title}",
            ),
            "caption": title,
        }


def _draw_curves(ax: Axes, group: Sequence[Measurement], title: str) -> None:
    from tinygrad_lab.viz import plot_learning_curves

    curves = {m.row.label: [result.losses for result in m.results] for m in group}
    longest = max((result.epochs for m in group for result in m.results), key=len)
    plot_learning_curves(curves, epochs=longest, ax=ax)
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
        ax.legend(frameon=False, handlelength=3.0)
    ax.set_title(title)


# ---- one run in full ----------------------------------------------------------------------------


def _example(runs: Runs, written: dict[str, str]) -> dict[str, Any] | None:
    """Show report B's base run in full, on both data sets, by the seed with the median loss."""
    chosen = {}
    for data in ("linear", "xor"):
        settings = replace(REPORT_B, data=data)
        if settings not in runs:
            return None
        chosen[data] = _median_run(runs[settings])
    panels = []
    for data, result in chosen.items():
        panels.append(_predictions_figure(data, result, written))
        panels.append(_boundary_figure(data, result, written))
    xor = chosen["xor"]
    return {
        "seed": xor.seed,
        "panels": panels,
        "log": _log(xor),
        "table": prediction_table(xor),
        "graph": _graph(xor),
        "files": [name for name in written if name.startswith("data/example")],
    }


def _median_run(results: Sequence[Result]) -> Result:
    """The run whose final loss is the median one: neither lucky nor unlucky."""
    return sorted(results, key=lambda result: result.loss)[len(results) // 2]


def _predictions_figure(data: str, result: Result, written: dict[str, str]) -> dict[str, str]:
    from tinygrad_lab.viz import plot_predictions

    table = np.hstack([result.x, result.y, result.prediction]).tolist()
    written[f"data/example-{data}-predictions.csv"] = _csv(("x0", "x1", "label", "output"), table)
    return {
        "svg": svg(
            lambda ax: plot_predictions(result.x, result.y, result.prediction, ax=ax),
            name=f"predictions-{data}",
            description=f"Ground truth beside prediction, {_DATA_TITLES[data]}",
            size=(7.0, 3.6),
        ),
        "caption": f"Ground truth beside prediction, {_DATA_TITLES[data]}",
    }


def _boundary_figure(data: str, result: Result, written: dict[str, str]) -> dict[str, str]:
    from tinygrad_lab.viz import plot_decision_boundary

    seen: list[tuple[Any, Any]] = []

    def model(points: Any) -> Any:
        seen.append((points, result.predict(points)))
        return seen[-1][1]

    picture = svg(
        lambda ax: plot_decision_boundary(
            model, result.x, result.y, ax=ax, resolution=_BOUNDARY_POINTS
        ),
        name=f"boundary-{data}",
        description=f"Decision boundary, {_DATA_TITLES[data]}",
        size=(4.2, 3.6),
    )
    rows = ((f"{a:.4f}", f"{b:.4f}", f"{s:.5f}") for (a, b), (s,) in zip(*seen[0], strict=True))
    written[f"data/example-{data}-boundary.csv"] = _csv(("x0", "x1", "output"), rows)
    return {"svg": picture, "caption": f"Output and decision boundary, {_DATA_TITLES[data]}"}


def _log(result: Result) -> str:
    return "\n".join(
        log_line(int(epoch), float(loss))
        for epoch, loss in zip(result.epochs, result.losses, strict=True)
        if epoch % LOG_EVERY == 0
    )


def _graph(result: Result) -> dict[str, str]:
    """Draw the graph of the first step, light and dark; a table where nothing can draw."""
    from tinygrad_lab.viz import RenderError, graph

    data, model = prepare(result.settings, result.seed)
    x, y = data.x, data.y
    loss = functional.mse_loss(model(tl.Tensor(x)), y)
    drawn = {theme: graph(loss, model, names={"x": x, "y": y}, theme=theme) for theme in _THEMES}
    try:
        pictures = {theme: picture.svg() for theme, picture in drawn.items()}
    except RenderError as error:
        return {"table": str(drawn["light"]), "remedy": str(error)}
    return pictures


# ---- hand-written back-propagation --------------------------------------------------------------


def _by_hand(written: dict[str, str]) -> dict[str, Any]:
    """Have report A's own code checked, and add the CSV files to those written."""
    section = checked.section()
    files = {f"data/{name}": _csv(*table) for name, table in section.tables.items()}
    written.update(files)
    return section.shown | {"files": list(files)}


# ---- data beside the figures --------------------------------------------------------------------


def _runs_csv(runs: Runs) -> str:
    """Every run: its settings, its seed, and what it ended with."""
    names = [field.name for field in fields(Settings)]
    header = (*names, "seed", "final_loss", "accuracy", "test_accuracy", "diverged_at")
    rows = []
    for settings, results in runs.items():
        values = asdict(settings) | {"hidden": " ".join(map(str, settings.hidden))}
        for r in results:
            end = (r.seed, r.loss, r.accuracy, r.test_accuracy, r.diverged_at)
            rows.append([*values.values(), *end])
    return _csv(header, rows)


def _measured_csv(measured: Sequence[Measurement]) -> str:
    """Every reported figure of a study beside what was measured, and rows that have none."""
    header = (
        *("report", "setting", "data", "what", "reported"),
        *("lowest", "median", "highest", "grade", "share_at_100", "share_diverged", "seeds"),
    )
    rows = []
    for m in measured:
        start = (m.row.report, m.row.label, m.row.settings.data)
        end = (m.perfect, m.diverged, len(m.results))
        compared = [(f.what, f.reported, f.low, f.median, f.high, f.grade) for f in m.figures]
        measured_only = [
            (what, None, *spread, None)
            for what, spread in (("accuracy", m.accuracy), ("loss", m.loss))
            if what not in {f.what for f in m.figures}
        ]
        rows += [(*start, *middle, *end) for middle in (*compared, *measured_only)]
    return _csv(header, rows)


def _curves_csv(measured: Sequence[Measurement]) -> str:
    """The learning curves as drawn: median and quartiles of the runs that are still finite."""
    rows = []
    for m in measured:
        table = np.array([result.losses for result in m.results])
        table[~np.isfinite(table)] = np.nan
        for epoch, losses in zip(m.results[0].epochs, table.T, strict=True):
            alive = losses[np.isfinite(losses)]
            quartiles = np.percentile(alive, [25, 50, 75]) if alive.size else [np.nan] * 3
            start = (m.row.report, m.row.label, m.row.settings.data, int(epoch), alive.size)
            rows.append((*start, *(f"{q:.6g}" for q in quartiles)))
    header = ("report", "setting", "data", "epoch", "runs", "quartile_1", "median", "quartile_3")
    return _csv(header, rows)


def _csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    buffer = StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return buffer.getvalue()
