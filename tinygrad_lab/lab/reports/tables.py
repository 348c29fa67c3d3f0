"""The CSV files beside the page: every number that it shows or draws can be had as data.

Not for the numbers themselves (``measuring.py``) nor for writing files (``writing.py``).
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from io import StringIO
from typing import Any

import numpy as np

from tinygrad_lab.lab.reports.measuring import Measurement
from tinygrad_lab.lab.reports.shares import Share, Spread
from tinygrad_lab.lab.reports.study import Runs
from tinygrad_lab.lab.settings import Settings, command_of
from tinygrad_lab.viz.plots.runs import percentiles


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
        writer.writerows(map(_cell, row) for row in self.rows)
        return buffer.getvalue()


def _cell(value: Any) -> Any:
    """Return a number with the digits that mean anything: 57, and not 56.99999999999999."""
    return f"{value:.10g}" if isinstance(value, float) else value


@dataclass(frozen=True, slots=True)
class Section:
    """What the template shows of a section, and the tables beside the page by their file names."""

    shown: dict[str, Any]
    tables: dict[str, Table] = field(default_factory=dict)

    def to_json(self) -> str:
        """Write it down: texts, numbers, lists and dictionaries alone.

        Raises
        ------
        TypeError
            Something else is shown.
        """
        tables = {name: [table.header, table.rows] for name, table in self.tables.items()}
        return json.dumps([self.shown, tables], default=_number)

    @classmethod
    def from_json(cls, text: str) -> Section:
        """Read what :meth:`to_json` wrote.

        Examples
        --------
        >>> section = Section({"seed": 1}, {"a.csv": Table(["x"], [[0.1]])})
        >>> Section.from_json(section.to_json()) == section
        True
        """
        shown, tables = json.loads(text)
        return cls(shown, {name: Table(*parts) for name, parts in tables.items()})


def _number(value: Any) -> Any:
    """Return a number of NumPy's as one of Python's."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"a section shows texts, numbers, lists and dictionaries, not {value!r}")


def runs_table(runs: Runs) -> Table:
    """Every run: its settings, its seed, what it ended with, and the command that repeats it.

    Settings and losses are there to the last bit.
    """
    rows = []
    for settings, results in runs.items():
        values = [str(v) if isinstance(v, float) else v for v in settings.to_row().values()]
        for r in results:
            end = (r.seed, str(r.loss), r.accuracy, r.test_accuracy, r.diverged_at)
            rows.append([*values, *end, command_of(settings, r.seed)])
    ends = ("seed", "final_loss", "accuracy", "test_accuracy", "diverged_at", "command")
    return Table((*Settings().to_row(), *ends), rows)


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
    """The learning curves: median and quartiles of the runs that are still finite.

    Accuracies are in percent, of all runs.
    """
    quartiles = ("quartile_1", "median", "quartile_3")
    header = (
        *("report", "setting", "data", "epoch", "finite_runs"),
        *(f"{what}_{name}" for what in ("loss", "accuracy") for name in quartiles),
    )
    rows = []
    for m in measured:
        start = (m.row.report, m.row.label, m.row.settings.data)
        losses = np.array([result.losses for result in m.results])
        accuracies = 100 * np.array([result.accuracies for result in m.results])
        finite = np.isfinite(losses)
        losses[~finite] = np.nan
        numbers = np.vstack([percentiles(of, [25, 50, 75]) for of in (losses, accuracies)]).T
        for epoch, count, at_epoch in zip(
            m.results[0].epochs, finite.sum(axis=0), numbers, strict=True
        ):
            rows.append((*start, int(epoch), int(count), *(f"{q:.6g}" for q in at_epoch)))
    return Table(header, rows)
