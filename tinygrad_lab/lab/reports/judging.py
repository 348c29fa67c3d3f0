"""How the two are judged: reported numbers beside measured ones, and claims by the runs.

``measure`` grades each figure of a row by where it lies among the seeds; each function after it
judges one kind of claim.  Not for what is reported (``reported.py``), run (``studies.py``) or shown
(``page.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise

import numpy as np

from tinygrad_lab.lab.reports.reported import Reported
from tinygrad_lab.lab.reports.study import Judge, Results, Row, Verdict

#: A loss below this counts as converged where speeds are compared.
CONVERGED = 0.01

#: The loss of a network that answers 0 to every point of ``xor``: 10 of its 21 labels are 1.
STUCK = 10 / 21


# ---- figures ------------------------------------------------------------------------------------


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
    results: Results
    accuracy: tuple[float, float, float]
    loss: tuple[float, float, float]
    test_accuracy: tuple[float, float, float] | None
    perfect: float
    diverged: float
    figures: tuple[Figure, ...]


def measure(row: Row, results: Results) -> Measurement:
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
        diverged=_diverged(results) / len(results),
        figures=tuple(_figures(row.reported, results, accuracy, loss)),
    )


def _figures(
    reported: Reported, results: Results, accuracy: np.ndarray, loss: np.ndarray
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


# ---- claims -------------------------------------------------------------------------------------


def ordered_by_speed(names: Sequence[str]) -> Judge:
    """Return a judge of whether each setting converges sooner than the next, in the median."""

    def judge(*runs: Results) -> Verdict:
        medians = [_median_epochs(results) for results in runs]
        epochs = (
            f"{name} {'never' if np.isinf(median) else f'{median:,.0f}'}"
            for name, median in zip(names, medians, strict=True)
        )
        return Verdict(
            all(a < b for a, b in pairwise(medians)),
            f"median epochs to a loss under {CONVERGED}: " + ", ".join(epochs),
        )

    return judge


def _median_epochs(results: Results) -> float:
    epochs = [result.epochs_to(CONVERGED) for result in results]
    return float(np.percentile(epochs, 50, method="nearest"))


def sometimes_stuck(results: Results) -> Verdict:
    """Judge whether some runs, and not all, end where every output is 0."""
    stuck = sum(abs(result.loss - STUCK) < 1e-4 for result in results)
    text = f"{stuck} of {len(results)} runs end at {STUCK:.5f}, every output 0"
    return Verdict(0 < stuck < len(results), text)


def usually_98_sometimes_55(results: Results) -> Verdict:
    """Judge whether most runs separate the points and some diverge."""
    good = sum(result.accuracy >= 0.95 for result in results)
    diverged = _diverged(results)
    text = (
        f"{good} of {len(results)} runs at 95 % or better; {diverged} diverge, and then every "
        "point is called 0, which is right for about half of them"
    )
    return Verdict(good > len(results) / 2 and diverged > 0, text)


def sometimes_diverges(results: Results) -> Verdict:
    """Judge whether any run diverges."""
    diverged = _diverged(results)
    return Verdict(diverged > 0, f"{diverged} of {len(results)} runs diverge")


def _diverged(results: Results) -> int:
    return sum(result.diverged_at is not None for result in results)


def stays_on_plateau(results: Results) -> Verdict:
    """Judge whether no run solves the task, and the median loss stays high."""
    solved = sum(result.accuracy == 1.0 for result in results)
    median = float(np.median([result.loss for result in results]))
    text = f"{solved} of {len(results)} runs reach 100 %; median loss {median:.3f}"
    return Verdict(solved == 0 and median > 0.2, text)


def solved_at_least(share: float) -> Judge:
    """Return a judge of whether this share of the runs reaches 100 % and a loss under 1e-3."""

    def judge(results: Results) -> Verdict:
        solved = sum(result.accuracy == 1.0 and result.loss < 1e-3 for result in results)
        text = f"{solved} of {len(results)} seeds, loss under 1e-3"
        return Verdict(solved >= share * len(results), text)

    return judge
