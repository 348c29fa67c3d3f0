"""What many runs say together: how many of them do something, and how their numbers spread.

Each with its 95 % confidence interval over seeds.  Not for which numbers are looked at
(``measuring.py``).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from tinygrad_lab.viz.plots.runs import percentiles

# Two-sided 95 % of the standard normal.
_Z = 1.959963984540054

#: The words for a share, each with the smallest share that it is said of; "most" is more than half.
WORDS = ("most", "some", "hardly any", "none")

_SOME = 0.1


@dataclass(frozen=True, slots=True)
class Share:
    """How many of some runs something is true of.

    Attributes
    ----------
    count, of
        It is true of ``count`` runs, of ``of`` in all: at least one.

    Examples
    --------
    >>> share = Share(34, 100)
    >>> str(share), share.word
    ('34 of 100', 'some')
    >>> [round(end, 3) for end in share.interval]
    [0.255, 0.437]
    """

    count: int
    of: int

    @property
    def value(self) -> float:
        """The share as a number between 0 and 1."""
        return self.count / self.of

    @property
    def word(self) -> str:
        """What the share alone says.

        ``"most"`` for more than half of the runs, ``"some"`` for a tenth or more, ``"hardly any"``
        for fewer, ``"none"``.
        """
        if 2 * self.count > self.of:
            return "most"
        if self.value >= _SOME:
            return "some"
        return "hardly any" if self.count else "none"

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the share among all seeds there could be.

        Wilson's (1927, Probable Inference, the Law of Succession, and Statistical Inference), which
        says something sensible of 0 and of all runs too.
        """
        n, p = self.of, self.value
        shrink = 1 + _Z**2 / n
        centre = (p + _Z**2 / (2 * n)) / shrink
        half = _Z * math.sqrt(p * (1 - p) / n + _Z**2 / (4 * n**2)) / shrink
        # At 0 and 1 an end is exact, but for the rounding of the two terms.
        low = 0.0 if self.count == 0 else centre - half
        high = 1.0 if self.count == n else centre + half
        return low, high

    def __str__(self) -> str:
        return f"{self.count} of {self.of}"


@dataclass(frozen=True, slots=True)
class Spread:
    """The order statistics of one number over the runs.

    Each is the number of a run: of two that are equally near, the higher.  Infinity, for a run that
    diverged or never got where it should, sorts last and is counted like any other.

    Attributes
    ----------
    lowest, quartile_1, median, quartile_3, highest
        The five numbers.
    interval
        The 95 % interval of the median over seeds; None for fewer than six, which cannot give one.
        It is free of any assumption about the distribution: so many of n runs lie below the median
        as heads come up in n throws of a coin (David and Nagaraja, Order Statistics, 2003, 7.1).

    Examples
    --------
    >>> Spread.of([3.0, 1.0, 2.0, 5.0, float("inf"), 4.0])
    Spread(lowest=1.0, quartile_1=2.0, median=4.0, quartile_3=5.0, highest=inf, interval=(1.0, inf))
    """

    lowest: float
    quartile_1: float
    median: float
    quartile_3: float
    highest: float
    interval: tuple[float, float] | None

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Sort the numbers of the runs.

        Raises
        ------
        ValueError
            No numbers.
        """
        ordered = sorted(float(value) for value in values)
        if not ordered:
            raise ValueError("no runs to sum up")
        rank = _rank(len(ordered))
        low, first, middle, third, high = percentiles(
            np.array(ordered)[:, None], [0, 25, 50, 75, 100]
        )[:, 0].tolist()
        interval = (ordered[rank - 1], ordered[-rank]) if rank else None
        return cls(low, first, middle, third, high, interval)


def _rank(n: int) -> int:
    """Return the highest rank from either end of n values that bounds their median at 95 %.

    The median is below the value of rank k with the chance of fewer than k heads in n throws, which
    may be 1 in 40 at each end.  Counted in whole numbers, with nothing to round.
    """
    rank, ways = 0, 1
    while 40 * ways <= 2**n:
        rank += 1
        ways += math.comb(n, rank)
    return rank
