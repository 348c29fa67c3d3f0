"""The CSV files beside the page: every number that it shows or draws can be had as data.

Not for the numbers themselves (``judging.py``) nor for writing files (``writing.py``).
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields
from io import StringIO
from typing import Any

import numpy as np

from tinygrad_lab.lab.reports.measuring import Measurement
from tinygrad_lab.lab.reports.statistics import Share, Spread
from tinygrad_lab.lab.reports.study import Runs
from tinygrad_lab.lab.settings import Settings


@dataclass(frozen=True, slots=True)
class Table:
    """Names of columns, and rows."""

    header: Sequence[str]
    rows: Sequence[Sequence[Any]]

    def csv(self) -> str:
        """Return the text of the file."""
        buffer = StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(self.header)
        writer.writerows(self.rows)
        return buffer.getvalue()


@dataclass(frozen=True, slots=True)
class Section:
    """What the template shows of a section, and the tables beside the page by their file names."""

    shown: dict[str, Any]
    tables: dict[str, Table] = field(default_factory=dict)


def runs_table(runs: Runs) -> Table:
    """Every run: its settings, its seed, and what it ended with."""
    names = [column.name for column in fields(Settings)]
    header = (*names, "seed", "final_loss", "accuracy", "test_accuracy", "diverged_at")
    rows = []
    for settings, results in runs.items():
        values = asdict(settings) | {"hidden": " ".join(map(str, settings.hidden))}
        for r in results:
            end = (r.seed, r.loss, r.accuracy, r.test_accuracy, r.diverged_at)
            rows.append([*values.values(), *end])
    return Table(header, rows)


def measured_table(measured: Iterable[Measurement]) -> Table:
    """Every reported figure of a study beside what was measured, and rows that have none."""
    header = (
        *("report", "setting", "data", "what", "reported"),
        *("agreeing", "share_low", "share_high", "grade"),
        *("lowest", "quartile_1", "median", "quartile_3", "highest", "median_low", "median_high"),
        *("runs_at_100", "runs_diverged", "seeds"),
    )
    rows = []
    for m in measured:
        start = (m.row.report, m.row.label, m.row.settings.data)
        end = (m.perfect.count, m.diverged.count, len(m.results))
        for f in m.figures:
            graded = (f.share.count, *_ends(f.share), f.grade)
            rows.append((*start, f.what, f.reported, *graded, *_numbers(f.spread), *end))
        others = {"accuracy": m.accuracy, "loss": m.loss}
        others |= {f"epochs to {each.what}": each.epochs for each in m.reaching}
        compared = {f.what for f in m.figures}
        for what, spread in others.items():
            if what not in compared:
                rows.append((*start, what, *[None] * 5, *_numbers(spread), *end))
    return Table(header, rows)


def _ends(share: Share) -> Iterable[str]:
    """The interval of a share."""
    return (f"{end:.4f}" for end in share.interval)


def _numbers(spread: Spread) -> Iterable[str]:
    """The five numbers and the interval; infinity where a run diverged or never got there."""
    five = (spread.lowest, spread.quartile_1, spread.median, spread.quartile_3, spread.highest)
    ends = spread.interval or ("", "")
    return (each if each == "" else f"{each:.7g}" for each in (*five, *ends))


def curves_table(measured: Iterable[Measurement]) -> Table:
    """The learning curves as drawn: median and quartiles of the runs that are still finite."""
    header = ("report", "setting", "data", "epoch", "runs", "quartile_1", "median", "quartile_3")
    rows = []
    for m in measured:
        curves = np.array([result.losses for result in m.results])
        for epoch, losses in zip(m.results[0].epochs, curves.T, strict=True):
            finite = losses[np.isfinite(losses)]
            quartiles = np.percentile(finite, [25, 50, 75]) if finite.size else [np.nan] * 3
            start = (m.row.report, m.row.label, m.row.settings.data, int(epoch), finite.size)
            rows.append((*start, *(f"{q:.6g}" for q in quartiles)))
    return Table(header, rows)
