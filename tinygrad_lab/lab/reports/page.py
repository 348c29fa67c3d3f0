"""The page of the report: its numbers, figures and text, and the CSV files beside it.

Not for running anything or writing files (``writing.py``); the layout is in ``templates/``.
"""

from __future__ import annotations

import math
import platform
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import jinja2
import numpy as np

import tinygrad_lab as tl
from tinygrad_lab.lab.reports.figures import svg
from tinygrad_lab.lab.reports.measuring import RULE, Figure, Measurement, measure, percent
from tinygrad_lab.lab.reports.sections import Part
from tinygrad_lab.lab.reports.statistics import WORDS, Spread
from tinygrad_lab.lab.reports.studies import DATA_TITLES
from tinygrad_lab.lab.reports.study import Row, Runs, Study
from tinygrad_lab.lab.reports.tables import Section, curves_table, measured_table, runs_table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LOSS_DECADES = (-10, 0)  # the axis of the loss strips


def files(
    studies: Sequence[Study],
    runs: Runs,
    drawn: Mapping[str, Section | None],
    *,
    parts: Sequence[Part] = (),
    seeds: int,
    seconds: float,
    quick: bool = False,
) -> dict[str, str]:
    """Return the whole report: the text of each file by its name.

    Parameters
    ----------
    studies
        What was run.
    runs
        The runs of every setting.
    drawn
        What stands in the sections: of each study what :func:`figures` returns, by its key, and of
        each part what it makes.
    parts
        The sections that are no studies.
    seeds
        Seeds a setting.
    seconds
        How long it took.
    quick
        Whether something was left out on purpose, which the page then says.
    """
    measured = {study.key: measurements(study, runs) for study in studies}
    of_studies = {
        study.key: _section(study, measured[study.key], runs, drawn[study.key]) for study in studies
    }
    every_measurement = [m for each in measured.values() for m in each]
    sections = _in_order(of_studies, parts, drawn)
    page = _template().render(
        sections=[_shown(section) for section in sections],
        grades=_grades(every_measurement),
        rule=RULE,
        findings=_findings(every_measurement),
        claims=[claim for section in of_studies.values() for claim in section.shown["claims"]],
        seeds=seeds,
        quick=quick,
        total=sum(len(results) for results in runs.values()),
        seconds=seconds,
        versions=f"tinygrad_lab {tl.__version__}, NumPy {np.__version__}, "
        f"Python {platform.python_version()}",
    )
    tables = {"runs.csv": runs_table(runs)}
    for section in sections:
        tables |= section.tables
    return {f"data/{name}": table.csv() for name, table in tables.items()} | {"index.html": page}


def _in_order(
    of_studies: Mapping[str, Section],
    parts: Sequence[Part],
    drawn: Mapping[str, Section | None],
) -> list[Section]:
    """Put the parts behind the studies that they follow."""
    order: dict[str, list[Section]] = {key: [section] for key, section in of_studies.items()}
    for part in parts:
        section = drawn[part.key]
        if section is not None:
            head = {"key": part.key, "title": part.title, "template": f"{part.key}.html.j2"}
            place = part.after if part.after in of_studies else ""
            order.setdefault(place, []).append(Section(section.shown | head, section.tables))
    return [section for group in order.values() for section in group]


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(__package__),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template("report.html.j2")


def _shown(section: Section) -> dict[str, Any]:
    return section.shown | {"files": [f"data/{name}" for name in section.tables]}


def measurements(study: Study, runs: Runs) -> list[Measurement]:
    """Measure every row of a study."""
    return [measure(row, runs[row.settings]) for row in study.rows]


def _section(
    study: Study, measured: Sequence[Measurement], runs: Runs, drawn: Section | None
) -> Section:
    """Lay out one study around its figures."""
    figures = drawn or Section({})
    shown = {
        "key": study.key,
        "title": study.title,
        "template": "study.html.j2",
        "text": study.text,
        "rows": [_row(m) for m in measured],
        "claims": [
            {
                "text": claim.text,
                "holds": verdict.holds,
                "evidence": f"{verdict.share} {verdict.evidence}",
            }
            for claim in study.claims
            if (verdict := claim.verdict(runs)) is not None
        ],
    }
    tables = {f"{study.key}.csv": measured_table(measured)} | figures.tables
    return Section(shown | figures.shown, tables)


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
        "curve": [f for f in m.figures if f.epoch is not None],
        "figures": m.figures,
        "accuracy": _percent(m.accuracy.median),
        "accuracy_range": _range(m.accuracy, _percent),
        "accuracy_interval": _interval(m.accuracy, _percent),
        "accuracy_strip": _strip(
            [percent(result) for result in m.results], reported.accuracy, _percent_position
        ),
        "loss": _loss(m.loss.median),
        "loss_range": _range(m.loss, _loss),
        "loss_interval": _interval(m.loss, _loss),
        "loss_strip": _strip(
            losses, () if reported.loss is None else (reported.loss,), _loss_position
        ),
        "test": None if m.test_accuracy is None else _percent(m.test_accuracy.median),
        "perfect": m.perfect,
        "diverged": m.diverged.count,
        "agreeing": m.agreeing,
        "reaching": m.reaching,
    }


def _range(spread: Spread, text: Callable[[float], str]) -> str:
    return f"{text(spread.lowest)} to {text(spread.highest)}"


def _interval(spread: Spread, text: Callable[[float], str]) -> str:
    """Write the interval of a median; empty where so few seeds give none."""
    return "" if spread.interval is None else " to ".join(map(text, spread.interval))


def _grades(measured: Iterable[Measurement]) -> dict[str, int]:
    counts = Counter(figure.grade for m in measured for figure in m.figures)
    return {word: counts[word] for word in WORDS}


def _findings(measured: Iterable[Measurement]) -> list[dict[str, Any]]:
    """Return the disagreements, rows with the same explanation together."""
    findings: dict[str, dict[str, Any]] = {}
    for m in measured:
        if m.disagreements:
            text = m.row.finding
            finding = findings.setdefault(text or m.row.name, {"text": text, "lines": []})
            finding["lines"].append(_disagreement(m, m.disagreements))
    return list(findings.values())


def _disagreement(m: Measurement, missed: Iterable[Figure]) -> dict[str, str]:
    numbers = (
        f"{f.what} {_number(f.what, f.reported)} reported, "
        f"{f.share} runs agree ({_range(f.spread, partial(_number, f.what))})"
        for f in missed
    )
    title = f"{m.row.name}, {DATA_TITLES[m.row.settings.data]}"
    return {"title": title, "numbers": "; ".join(numbers)}


def _reported_text(row: Row) -> list[str]:
    reported = row.reported
    if reported.remark:
        return [reported.remark]
    parts = [_percent(value) for value in reported.accuracy]
    if reported.loss is not None:
        parts.append(f"loss {_loss(reported.loss)}")
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
    values: Sequence[float], reported: Sequence[float], position: Callable[[float], float]
) -> dict[str, list[float]]:
    """Place values on a strip from 0 to 100: what each seed gave, and what was reported."""
    return {
        "seeds": [round(position(value), 1) for value in values],
        "reported": [round(position(value), 1) for value in reported],
    }


# ---- figures ------------------------------------------------------------------------------------


def figures(key: str, title: str, measured: Sequence[Measurement]) -> Section:
    """Draw what a study has measured."""
    return Section(
        {"figures": list(_curve_figures(key, title, measured))},
        {f"{key}-curves.csv": curves_table(measured)},
    )


def _curve_figures(
    key: str, study: str, measured: Sequence[Measurement]
) -> Iterable[dict[str, str]]:
    """Draw the learning curves of a study: a panel for each report and data set."""
    together = any(not m.row.report for m in measured)  # a comparison no single report has made
    groups: dict[tuple[str, str], list[Measurement]] = {}
    for m in measured:
        who = "" if together else m.row.report
        groups.setdefault((who, m.row.settings.data), []).append(m)
    for (report, data), group in groups.items():
        who = f"Report {report}, " if report else ""
        title = f"{who}{DATA_TITLES[data]}"
        yield {
            "svg": svg(
                partial(_draw_curves, group=group, title=title),
                name=f"{key}-{report}-{data}",
                description=f"{study}: loss over epochs, {title}",
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
