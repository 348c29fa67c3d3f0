"""What the runs of a row give, beside what was reported for it.

The rule for "a run agrees with a reported figure" is here, once.  Not for claims in words
(``judging.py``), nor for what is reported (``reported.py``), run (``studies.py``) or shown.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from tinygrad_lab.lab.reports.reported import Reported
from tinygrad_lab.lab.reports.shares import Share, Spread
from tinygrad_lab.lab.reports.study import Results, Row
from tinygrad_lab.lab.training import Result
from tinygrad_lab.viz.plots.runs import median

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

#: A loss below this counts as converged where speeds are compared.
CONVERGED = 0.01

#: A loss agrees with a reported one that is at most so many times as large or as small.
LOSS_FACTOR = 2.0

#: The rule, for readers of the page.
RULE = (
    "A run agrees with a reported accuracy when it gives the same as printed, and with a reported "
    "loss when neither is more than twice the other; a figure's grade is the number of runs that "
    "agree with it."
)


@dataclass(frozen=True, slots=True)
class Figure:
    """One reported number beside what the runs gave.

    Attributes
    ----------
    what
        ``"accuracy"``, ``"loss"`` or ``"loss at epoch 500"``.
    epoch
        Where on the curve a loss was reported; None for a figure of the end.
    reported
        The number, an accuracy in percent.
    share
        The runs that agree with it; its ``word`` is the figure's grade.
    spread
        What the runs gave.
    """

    what: str
    epoch: int | None
    reported: float
    share: Share
    spread: Spread

    @property
    def grade(self) -> str:
        """What the share of runs that agree says: most, some, hardly any or none."""
        return self.share.word

    @property
    def inside(self) -> bool:
        """Whether the number lies between the lowest and the highest run, as far as printed."""
        slack = _half_unit(self.reported)
        return self.spread.lowest - slack <= self.reported <= self.spread.highest + slack


@dataclass(frozen=True, slots=True)
class Reaching:
    """When the runs first get somewhere, and how many never do.

    Attributes
    ----------
    what
        Where: ``"loss under 0.01"`` or ``"accuracy 100 %"``.
    epochs
        The first epoch on the curve at which it is so; infinite for a run that ends before.
    never
        The runs that end before.
    within
        The epochs that they had.
    resolution
        Epochs between two points of the curve: the true epoch is less than that much earlier.
    """

    what: str
    epochs: Spread
    never: Share
    within: int
    resolution: int


@dataclass(frozen=True, slots=True)
class Measurement:
    """The runs of one row, summed up.

    Attributes
    ----------
    row, results
        What was run, and the runs, one a seed.
    accuracy, test_accuracy
        At the end, in percent; the second on a draw of its own, None for data without one.
    loss
        At the end; infinite for a run that diverged.
    perfect, diverged
        The runs that end with every training point right; that left the finite numbers.
    figures
        Each reported number with its grade.
    agreeing
        The runs that agree with every number that was reported (of several accuracies, with one);
        None where nothing was.
    reaching
        Epochs to a loss under ``CONVERGED``, and to an accuracy of 100 %.
    typical
        The run with the median loss: neither lucky nor unlucky.
    """

    row: Row
    results: tuple[Result, ...]
    accuracy: Spread
    test_accuracy: Spread | None
    loss: Spread
    perfect: Share
    diverged: Share
    figures: tuple[Figure, ...]
    agreeing: Share | None
    reaching: tuple[Reaching, ...]
    typical: Result

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seed of each run."""
        return tuple(result.seed for result in self.results)

    @property
    def disagreements(self) -> tuple[Figure, ...]:
        """The figures that are findings.

        Hardly any run agrees with them, or none, or they lie outside of what the runs gave; where
        the row has an explanation, also those that no more than some agree with.
        """
        enough = ("most",) if self.row.finding else ("most", "some")
        return tuple(f for f in self.figures if f.grade not in enough or not f.inside)


def measure(row: Row, results: Results) -> Measurement:
    """Sum up the runs of a row, and set each reported figure beside them.

    A run agrees with a reported accuracy when it is the same as printed, half a unit of the last
    digit being the rounding's; with a reported loss, at the end or along the curve, when neither is
    more than twice the other.  A figure's grade says how many runs agree with it, and nothing else.

    Parameters
    ----------
    row
        The row.
    results
        Its runs, one a seed.

    Returns
    -------
    Measurement

    Raises
    ------
    ValueError
        No runs.

    Examples
    --------
    >>> from tinygrad_lab.lab import Settings, train_many
    >>> row = Row("B", "twenty epochs", Settings(epochs=20), Reported(accuracy=(52.38,)))
    >>> (figure,) = measure(row, train_many(row.settings, range(6))).figures
    >>> str(figure.share), figure.grade
    ('2 of 6', 'some')
    """
    if not results:
        raise ValueError(f"no runs of {row.name} to measure")
    compared = [figure for figure, _ in _compared(row.reported, results)]
    tested = [100 * r.test_accuracy for r in results if r.test_accuracy is not None]
    return Measurement(
        row=row,
        results=tuple(results),
        accuracy=Spread.of(percent(result) for result in results),
        test_accuracy=Spread.of(tested) if tested else None,
        loss=Spread.of(result.loss for result in results),
        perfect=share_of(result.accuracy == 1.0 for result in results),
        diverged=share_of(result.diverged_at is not None for result in results),
        figures=tuple(compared),
        agreeing=agreeing(row.reported, results) if compared else None,
        reaching=_reaching(row, results),
        typical=median_run(results),
    )


def each_figure(measured: Iterable[Measurement]) -> list[Figure]:
    """Return every figure that was reported, once: by the setting that agrees with it most.

    What a report leaves open is run in several ways, each beside the same figures.
    """
    best: dict[tuple[int, str, float], Figure] = {}
    for m in measured:
        for figure in m.figures:
            key = (id(m.row.reported), figure.what, figure.reported)
            before = best.get(key)
            if before is None or figure.share.value > before.share.value:
                best[key] = figure
    return list(best.values())


def agreeing(reported: Reported, results: Results) -> Share:
    """Count the runs that agree with one of the reported accuracies, and with every loss."""
    compared = list(_compared(reported, results))
    accuracies = [close for figure, close in compared if figure.what == "accuracy"]
    losses = [close for figure, close in compared if figure.what != "accuracy"]
    either = [np.any(accuracies, axis=0)] if accuracies else []
    return share_of(np.all([*either, *losses], axis=0))


def share_of(flags: Iterable[bool]) -> Share:
    """Count of how many runs something is true."""
    each = list(flags)
    return Share(sum(map(bool, each)), len(each))


def median_run(results: Results) -> Result:
    """Return the run whose final loss is the median one: neither lucky nor unlucky."""
    return median(results, key=lambda result: result.loss)


def percent(result: Result) -> float:
    """Return the accuracy at the end in percent: 57 and not 56.99999999999999."""
    return round(100 * result.accuracy, 9)


def _compared(said: Reported, results: Results) -> Iterator[tuple[Figure, Flags]]:
    """Yield each reported figure, and which of the runs agree with it."""
    accuracies = np.array([percent(result) for result in results])
    for number in said.accuracy:
        close = np.abs(accuracies - number) <= _half_unit(number)
        yield _figure("accuracy", None, number, accuracies, close), close
    ends = [] if said.loss is None else [("loss", None, said.loss)]
    curve = [(f"loss at epoch {epoch}", epoch, number) for epoch, number in said.curve]
    for what, epoch, number in (*ends, *curve):
        losses = np.array([r.loss if epoch is None else r.loss_at(epoch) for r in results])
        close = (losses <= LOSS_FACTOR * number) & (number <= LOSS_FACTOR * losses)
        yield _figure(what, epoch, number, losses, close), close


def _figure(what: str, epoch: int | None, number: float, values: Array, close: Flags) -> Figure:
    return Figure(what, epoch, number, share_of(close), Spread.of(values))


def _reaching(row: Row, results: Results) -> tuple[Reaching, ...]:
    """When the runs converge, by their loss and by their accuracy."""
    goals = {
        f"loss under {CONVERGED}": [r.epochs_to(CONVERGED) for r in results],
        "accuracy 100 %": [r.epochs_to_accuracy(1.0) for r in results],
    }
    resolution = int(np.diff(results[0].epochs).max(initial=1))
    return tuple(
        Reaching(
            what,
            Spread.of(epochs),
            share_of(map(math.isinf, epochs)),
            row.settings.epochs,
            resolution,
        )
        for what, epochs in goals.items()
    )


def _half_unit(value: float) -> float:
    """Half a unit in the last place a number was printed with: what rounding may have moved it."""
    exponent = Decimal(repr(value)).as_tuple().exponent
    return 0.5 * 10.0 ** int(exponent) * (1 + 1e-9)
