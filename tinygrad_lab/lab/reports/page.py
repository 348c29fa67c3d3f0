"""The page of the report: its numbers, figures and text, and the CSV files beside it.

Not for running anything or writing files (``writing.py``); the layout is in ``templates/``.
"""

from __future__ import annotations

import math
import platform
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import groupby
from typing import Any

import numpy as np

import tinygrad_lab as tl
from tinygrad_lab.lab.pages import render
from tinygrad_lab.lab.reports.measuring import (
    RULE,
    Figure,
    Measurement,
    Reaching,
    each_figure,
    measure,
    percent,
)
from tinygrad_lab.lab.reports.sections import Part
from tinygrad_lab.lab.reports.shares import WORDS, Spread
from tinygrad_lab.lab.reports.studies import DATA_TITLES
from tinygrad_lab.lab.reports.study import Row, Runs, Study
from tinygrad_lab.lab.reports.tables import Section, measured_table, runs_table

_BAR = 6.5  # half the height of a bar on a strip
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
        What stands in the sections: of each study its pictures, by its key, and of
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
    findings = _findings(every_measurement)
    contents = {"findings": "Findings"} if findings else {}
    page = render(
        __package__,
        "report.html.j2",
        title="Back-propagation lab: reported and measured",
        name="Back-propagation lab",
        contents=contents | {section.shown["key"]: section.shown["title"] for section in sections},
        sections=[_shown(section) for section in sections],
        grades=_grades(every_measurement),
        rule=RULE,
        findings=findings,
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
            head = {"key": part.key, "title": part.title, "digest": ""}
            head["template"] = f"{part.key}.html.j2"
            place = part.after if part.after in of_studies else ""
            order.setdefault(place, []).append(Section(section.shown | head, section.tables))
    return [section for group in order.values() for section in group]


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
        "digest": _digest(measured),
        "resolution": max(each.resolution for m in measured for each in m.reaching),
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
        "reaching": [_reaching(each) for each in m.reaching],
    }


def _digest(measured: Sequence[Measurement]) -> str:
    """Say in a line what a study finds, for its heading."""
    grades = ", ".join(f"{n} by {word}" for word, n in _grades(measured).items() if n)
    figures = f" \N{MIDDLE DOT} reported figures that runs give: {grades}" if grades else ""
    return f"{len(measured)} settings{figures}"


def _reaching(reaching: Reaching) -> dict[str, Any]:
    """Lay out when runs get somewhere, and how many never do."""
    epochs = reaching.epochs
    never = f"not within {reaching.within:,}"

    def text(epoch: float) -> str:
        return f"{epoch:,.0f}" if math.isfinite(epoch) else "never"

    return {
        "what": reaching.what,
        "median": text(epochs.median) if math.isfinite(epochs.median) else never,
        "quartiles": f"{text(epochs.quartile_1)} to {text(epochs.quartile_3)}",
        "never": reaching.never,
        "within": reaching.within,
    }


def _range(spread: Spread, text: Callable[[float], str]) -> str:
    return f"{text(spread.lowest)} to {text(spread.highest)}"


def _interval(spread: Spread, text: Callable[[float], str]) -> str:
    """Write the interval of a median; empty where so few seeds give none."""
    return "" if spread.interval is None else " to ".join(map(text, spread.interval))


def _grades(measured: Iterable[Measurement]) -> dict[str, int]:
    counts = Counter(figure.grade for figure in each_figure(measured))
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


def _disagreement(m: Measurement, missed: Iterable[Figure]) -> dict[str, Any]:
    return {
        "title": f"{m.row.name}, {DATA_TITLES[m.row.settings.data]}",
        "figures": [
            {
                "what": f.what,
                "reported": _number(f.what, f.reported),
                "measured": _range(f.spread, partial(_number, f.what)),
                "outside": "" if f.inside else ", all on one side of it",
                "share": f.share,
            }
            for f in missed
        ],
    }


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
) -> dict[str, Any]:
    """Place the runs on a strip from 0 to 100, and what was reported.

    Where several end there is a bar, as high as their share; one run is a dot.
    """
    places = sorted(round(position(value)) for value in values)
    bars = []
    for place, runs in groupby(places):
        half = _BAR * (sum(1 for _ in runs) - 1) / len(places)
        bars.append(f"M{place + 6} {8 - half:.3g}v{2 * half:.3g}" if half else f"M{place + 6} 8h0")
    return {
        "runs": len(places),
        "bars": "".join(bars),
        "reported": [round(position(value), 1) for value in reported],
    }
