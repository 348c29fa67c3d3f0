"""Where a gradient is wrong, if that is a region: of places in the array, or of the input's values.

A region is told with the border as far as it was looked at, and only where so many elements fit it
that it is no chance.

Not for: by what factor it is wrong (``diagnosis.py``).
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from tinygrad_lab.testing.judging.arrays import Array

CHANCE = 0.1  # that as many elements fall into a region of some kind by themselves


def region(wrong: Array, x: Array | None = None, *, by_place: bool = True) -> str:
    """Say where elements are wrong: "" where no region is evident.

    ``wrong`` is a mask, and ``x`` the input's values at the same elements; without ``by_place``
    it is only looked for among these.

    Examples
    --------
    >>> region(np.arange(64) > 31)
    'right up to element 31, wrong from element 32 on'
    >>> region(np.array([True, True, False, False, False, False, True, False, False]),
    ...        np.array([3.0, 2.5, 1.0, -1.0, 0.5, 1.5, 4.0, 0.1, 2.0]))
    'wrong where it is 2.5 or more, right where it is 2 or less'
    """
    wrong = np.asarray(wrong, dtype=bool)
    if not np.any(wrong) or np.all(wrong):
        return ""
    texts = [*_along_axes(wrong), *_of_the_diagonal(wrong)] if by_place else []
    if x is not None and np.shape(x) == wrong.shape:
        texts += _of_values(wrong.ravel(), np.asarray(x, float).ravel())
    texts += _in_a_row(wrong.ravel()) if by_place else []
    return next(iter(texts), "")


def _is_no_chance(n: int, k: int, kinds: int) -> bool:
    """Whether so many of all elements hardly fall into one of some regions by themselves."""
    return kinds / math.comb(n, k) < CHANCE


def _of_values(wrong: Array, x: Array) -> Iterator[str]:
    if not _is_no_chance(wrong.size, int(wrong.sum()), 6) or not np.all(np.isfinite(x)):
        return
    negative = x < 0
    if np.array_equal(wrong, negative):
        yield "wrong where it is negative"
    if np.array_equal(wrong, ~negative) and np.any(x == 0):
        yield "right where it is negative alone"
    for of, values in (("it", x), ("its absolute value", np.abs(x))):
        inside, outside = values[wrong], values[~wrong]
        if inside.min() > outside.max():
            a, b = outside.max(), inside.min()
            yield f"wrong where {of} is {b:.6g} or more, right where it is {a:.6g} or less"
        if inside.max() < outside.min():
            a, b = outside.min(), inside.max()
            yield f"wrong where {of} is {b:.6g} or less, right where it is {a:.6g} or more"
    low, high = x[wrong].min(), x[wrong].max()
    if wrong.sum() > 2 and not np.any((x[~wrong] >= low) & (x[~wrong] <= high)):
        yield f"wrong where it lies from {low:.6g} to {high:.6g}, right below and above"


def _along_axes(wrong: Array) -> Iterator[str]:
    """Look for whole rows, columns or channels."""
    for axis in range(wrong.ndim if wrong.ndim > 1 else 0):
        rest = tuple(k for k in range(wrong.ndim) if k != axis)
        some, every = wrong.any(rest), wrong.all(rest)
        if not np.array_equal(some, every) or wrong.size == some.size:
            continue
        n, k = wrong.shape[axis], int(some.sum())
        first = ", ".join(map(str, np.flatnonzero(some)[:6])) + (", ..." if k > 6 else "")
        if k == 1 and n > 2:
            yield f"wrong at index {first} of axis {axis} alone"
        elif k == n - 1 and n > 2:
            yield f"right at index {int(np.flatnonzero(~some)[0])} of axis {axis} alone"
        else:
            yield f"wrong at index {first} of axis {axis}"


def _of_the_diagonal(wrong: Array) -> Iterator[str]:
    if wrong.ndim == 2 and wrong.shape[0] == wrong.shape[1] > 2:
        diagonal = np.eye(len(wrong), dtype=bool)
        if np.array_equal(wrong, diagonal):
            yield "wrong on the diagonal alone"
        if np.array_equal(wrong, ~diagonal):
            yield "right on the diagonal alone"


def _in_a_row(wrong: Array) -> Iterator[str]:
    places = np.flatnonzero(wrong)
    first, last, n = int(places[0]), int(places[-1]), wrong.size
    if n < 4 or places.size != last - first + 1:
        return
    if places.size == 1:
        where = {0: "the first element", n - 1: "the last element"}.get(first, f"element {first}")
        yield f"wrong at {where} of {n} alone"
    elif last == n - 1 and _is_no_chance(n, places.size, 2):
        yield f"right up to element {first - 1}, wrong from element {first} on"
    elif first == 0 and _is_no_chance(n, places.size, 2):
        yield f"wrong up to element {last}, right from element {last + 1} on"
    elif _is_no_chance(n, places.size, n):
        yield f"wrong from element {first} to element {last} alone"
