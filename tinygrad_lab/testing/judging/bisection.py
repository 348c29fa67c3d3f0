"""Find the few that are wrong among many, by asking of whole ranges whether all in them are right.

Group testing: a range without a fault is done with after one question, and one with a fault is
halved (R. Dorfman, "The detection of defective members of large populations", 1943).

Not for: what is asked (``locating.py``).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

#: Whether something in ``range(low, high)`` is wrong.
Question = Callable[[int, int], bool]

Run = tuple[int, int]  # of indices that are all wrong: the first, and the first behind them
PROBES = 6  # so many within a run are asked for before it is taken for one


def runs(number: int, wrong: Question, most: int) -> list[Run]:
    """Find up to so many runs of wrong ones, from the first on, in ``range(number)``."""
    every: list[Run] = []
    low = 0
    while low < number and len(every) < most and wrong(low, number):
        first = _first(low, number, wrong)
        behind = _end_of_run(first, number, wrong)
        every.append((first, behind))
        low = behind
    return every


def spaced(low: int, high: int, most: int) -> list[int]:
    """Choose up to so many integers of a range, as far apart as they can be."""
    return sorted({int(k) for k in np.linspace(low, high - 1, min(most, high - low))})


def _first(low: int, high: int, wrong: Question) -> int:
    """Find the first wrong one of a range that holds one."""
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if wrong(low, middle) else (middle, high)
    return low


def _last(low: int, high: int, wrong: Question) -> int:
    """Find the last wrong one of a range that holds one."""
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if wrong(middle, high) else (low, middle)
    return low


def _end_of_run(first: int, number: int, wrong: Question) -> int:
    """Find how far those behind a wrong one are wrong too, as far as some of them show."""
    behind = first + 1
    if behind == number or not wrong(behind, number) or not wrong(behind, behind + 1):
        return behind
    end = _last(behind, number, wrong) + 1
    right = [k for k in spaced(behind, end, PROBES) if not wrong(k, k + 1)]
    return _last(behind, right[0], wrong) + 1 if right else end
