"""Reported numbers beside measured ones: rows, claims, studies, and how they are judged.

A study is a list of rows; a row is one setting on one data set with the figures that were reported
for it; a claim is a sentence of a report that the runs of a study can bear out or not.

Not for which studies there are (``studies.py``), nor for running them (``runner.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from tinygrad_lab.lab.settings import Settings
from tinygrad_lab.lab.training import Result

#: All runs so far, by setting; a setting that was not run (interrupted) is missing.
Runs = Mapping[Settings, Sequence[Result]]


@dataclass(frozen=True, slots=True)
class Reported:
    """The figures one report gives for one row.

    Attributes
    ----------
    accuracy
        In percent, as printed: an ``int`` where the report rounds to whole percent.
    loss
        After the last epoch.
    curve
        Epoch and loss, in pairs.
    remark
        What it says in words.
    """

    accuracy: tuple[float, ...] = ()
    loss: float | None = None
    curve: tuple[tuple[int, float], ...] = ()
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One setting on one data set, beside what was reported for it.

    Attributes
    ----------
    report
        ``"A"``, ``"B"``, or ``""`` where no report has it.
    label
        What distinguishes the row within its study; rows on both data sets share it.
    settings
        What is run.
    reported
        The figures of the report; empty where it gives none.
    finding
        What to say where the reported figures are not among those measured.
    quick
        Whether a quick report has it too.
    """

    report: str
    label: str
    settings: Settings
    reported: Reported = Reported()
    finding: str = ""
    quick: bool = True

    @property
    def name(self) -> str:
        """The label with the report before it."""
        return f"{self.report}: {self.label}" if self.report else self.label


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a claim holds in the runs, and the numbers it stands on."""

    holds: bool
    evidence: str


@dataclass(frozen=True, slots=True)
class Claim:
    """A sentence that the runs of some settings can bear out."""

    text: str
    settings: tuple[Settings, ...]
    judge: Callable[[Sequence[Sequence[Result]]], Verdict]

    def verdict(self, runs: Runs) -> Verdict | None:
        """Judge the claim; None while one of its settings has not been run."""
        if any(setting not in runs for setting in self.settings):
            return None
        return self.judge([runs[setting] for setting in self.settings])


@dataclass(frozen=True, slots=True)
class Study:
    """A question, the settings that answer it, and the claims made about it."""

    key: str
    title: str
    text: str
    rows: tuple[Row, ...]
    claims: tuple[Claim, ...] = ()
    exact_seeds: bool = False  # an acceptance stated for 20 seeds is not run on fewer


@dataclass(frozen=True, slots=True)
class Figure:
    """One reported number beside the range of what was measured.

    Attributes
    ----------
    grade
        ``"typical"``: among the middle half of the seeds; ``"seen"``: between the lowest and the
        highest; ``"not seen"``.
    """

    what: str
    reported: float
    low: float
    median: float
    high: float
    grade: str


@dataclass(frozen=True, slots=True)
class Measurement:
    """The runs of one row, summed up.  Accuracies are in percent; a diverged loss is infinite."""

    row: Row
    results: tuple[Result, ...]
    accuracy: tuple[float, float, float]
    loss: tuple[float, float, float]
    test_accuracy: tuple[float, float, float] | None
    perfect: float
    diverged: float
    figures: tuple[Figure, ...]


def measure(row: Row, results: Sequence[Result]) -> Measurement:
    """Sum up the runs of a row, and set each reported figure beside them.

    Parameters
    ----------
    row
        The row.
    results
        Its runs, one a seed.

    Returns
    -------
    Measurement
        Lowest, median and highest accuracy and loss, the share of runs at 100 % and of those that
        diverged, and a grade for each reported figure.

    Raises
    ------
    ValueError
        No runs.
    """
    if not results:
        raise ValueError(f"no runs of {row.name} to measure")
    accuracy = np.array([100 * result.accuracy for result in results])
    loss = np.array([result.loss for result in results])
    tested = [100 * r.test_accuracy for r in results if r.test_accuracy is not None]
    return Measurement(
        row=row,
        results=tuple(results),
        accuracy=_spread(accuracy),
        loss=_spread(loss),
        test_accuracy=_spread(np.array(tested)) if tested else None,
        perfect=float(np.mean(accuracy == 100.0)),
        diverged=float(np.mean([result.diverged_at is not None for result in results])),
        figures=tuple(_figures(row.reported, results, accuracy, loss)),
    )


def _figures(
    reported: Reported, results: Sequence[Result], accuracy: np.ndarray, loss: np.ndarray
) -> list[Figure]:
    figures = [_figure("accuracy", value, accuracy) for value in reported.accuracy]
    if reported.loss is not None:
        figures.append(_figure("loss", reported.loss, loss))
    for epoch, value in reported.curve:
        at_epoch = np.array([result.loss_at(epoch) for result in results])
        figures.append(_figure(f"loss at epoch {epoch}", value, at_epoch))
    return figures


def _figure(what: str, reported: float, values: np.ndarray) -> Figure:
    low, median, high = _spread(values)
    first, third = np.percentile(values, [25, 75], method="nearest")
    slack = _half_unit(reported)
    if first - slack <= reported <= third + slack:
        grade = "typical"
    elif low - slack <= reported <= high + slack:
        grade = "seen"
    else:
        grade = "not seen"
    return Figure(what, reported, low, median, high, grade)


def _half_unit(value: float) -> float:
    """Half a unit in the last place a number was printed with: what rounding may have moved it."""
    exponent = Decimal(repr(value)).as_tuple().exponent
    return 0.5 * 10.0 ** int(exponent) * (1 + 1e-9)


def _spread(values: np.ndarray) -> tuple[float, float, float]:
    """Lowest, median and highest; the median is one of the values, so infinities do no harm."""
    low, median, high = np.percentile(values, [0, 50, 100], method="nearest")
    return float(low), float(median), float(high)
