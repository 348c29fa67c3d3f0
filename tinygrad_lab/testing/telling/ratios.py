"""What a constant factor between a wrong gradient and the right one hints at.

Most such factors are a slip of the calculus (2, -1, 1/2, log 2), or a length: a sum where the loss
takes the mean divides by one too few.  Where two readings fit one number, both are told.

Not for: finding the factor (``diagnosis.py``).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

TOLERANCE = 1e-6  # relative


class Size(NamedTuple):
    """A number that a mean may divide by, what it counts, and whether it is a batch's or so."""

    n: int
    what: str
    is_likely: bool = True


_NAMED = {
    -1.0: "sign flipped",
    2.0: "twice too large",
    0.5: "half of what it should be",
    -2.0: "sign flipped and twice too large",
    -0.5: "sign flipped and half of what it should be",
    4.0: "four times too large",
    0.25: "a quarter of what it should be",
    float(np.log(2)): "a factor log(2) too many",
    float(1 / np.log(2)): "a factor log(2) is missing",
    float(np.log(10)): "a factor log(10) too many",
    float(1 / np.log(10)): "a factor log(10) is missing",
    float(np.pi): "a factor pi too many",
    float(1 / np.pi): "a factor pi is missing",
    float(np.pi / 180): "degrees taken for radians",
    float(180 / np.pi): "radians taken for degrees",
}


def in_words(ratio: float, sizes: Sequence[Size | tuple[int, str]] = ()) -> str | None:
    """Say what a constant ratio between a gradient and the right one hints at, if at anything.

    ``sizes`` are lengths, the likeliest first.  A second reading is told where it is likely.

    Examples
    --------
    >>> in_words(2.0, [(2, "rows of x")])
    'twice too large; or not divided by 2, the number of rows of x'
    >>> in_words(1 / 7, [(8, "rows of x")])
    'divided by 8 - 1, of 8 rows of x'
    """
    counted: dict[int, Size] = {}
    for each in (Size(*size) for size in sizes):
        if each.n > 1 and (each.n not in counted or each.is_likely > counted[each.n].is_likely):
            counted[each.n] = each
    likely = [each for each in counted.values() if each.is_likely]
    others = [each for each in counted.values() if not each.is_likely]
    readings = [text for value, text in _NAMED.items() if _is(ratio, value)]
    flipped = "sign flipped and " * (ratio < 0)
    absolute = abs(ratio)
    fractions = list(_of_small_numbers(ratio)) if not readings else []
    readings += fractions
    of_lengths = [*_plain(absolute, likely), *_of_squares(absolute, likely, bool(readings))]
    if not readings:  # what explains it less plainly, where nothing does
        of_lengths = of_lengths or [*_plain(absolute, others), *_of_neighbours(absolute, likely)]
        of_lengths = of_lengths or list(_of_pairs(absolute, likely[:6]))
    readings += [flipped + text for text in of_lengths]
    if readings:
        return "; or ".join(list(dict.fromkeys(readings))[:2])
    return "right but for a small factor: a mistyped constant?" if abs(ratio - 1) < 1e-3 else None


def _plain(size: float, counted: Sequence[Size]) -> Iterator[str]:
    """Read a factor as one length."""
    for n, what, _ in counted:
        if _is(size, n):
            yield f"not divided by {n}, the number of {what}"
        if _is(size, 1 / n):
            yield f"divided by {n}, the number of {what}, once too often"


def _of_small_numbers(ratio: float) -> Iterator[str]:
    """Read a factor as one small number in the place of another, as a wrong exponent is."""
    for q in range(1, 6):
        for p in range(1, 6):
            if math.gcd(p, q) == 1 and p != q and _is(ratio, p / q):
                yield f"{p} times too large" if q == 1 else f"a {p} in the place of a {q}"


def _of_squares(size: float, counted: Sequence[Size], is_small: bool) -> Iterator[str]:
    """Read a factor as a length beside a 2, as the mean of squares has one."""
    for n, what, _ in (each for each in counted if each.n > (4 if is_small else 2)):
        if _is(size, n / 2):
            yield f"{n}/2, of {n} {what}: a sum in place of a mean, without the 2 of a square"
        if _is(size, 2 / n):
            yield f"2/{n}, of {n} {what}: doubled, and divided by their number once too often"
        if _is(size, 2 * n):
            yield f"not divided by {n}, the number of {what}, and doubled"
        if _is(size, 1 / (2 * n)):
            yield f"halved, and divided by {n}, the number of {what}, once too often"


def _of_neighbours(size: float, counted: Sequence[Size]) -> Iterator[str]:
    """Read a factor as a length less 1, as the variance of a sample has one."""
    for n, what, _ in (each for each in counted if each.n > 2):
        if _is(size, 1 / (n - 1)):
            yield f"divided by {n} - 1, of {n} {what}"
        if _is(size, n - 1):
            yield f"not divided by {n} - 1, of {n} {what}"
        if _is(size, n / (n - 1)):
            yield f"divided by {n} - 1 where it should be {n}, of {n} {what}"
        if _is(size, (n - 1) / n):
            yield f"divided by {n} where it should be {n} - 1, of {n} {what}"


def _of_pairs(size: float, counted: Sequence[Size]) -> Iterator[str]:
    """Read a factor as two lengths."""
    for (n, a, _), (m, b, _) in combinations(counted, 2):
        both = f"{n} {a} and {m} {b}"
        if _is(size, n * m):
            yield f"not divided by {n * m}, of {both}"
        if _is(size, 1 / (n * m)):
            yield f"divided by {n * m}, of {both}, once too often"
        for right, wrong in ((n, m), (m, n)):
            if _is(size, right / wrong):
                yield f"divided by {wrong} where it should be {right}, of {both}"


def _is(ratio: float, value: float) -> bool:
    return abs(ratio - value) <= TOLERANCE * abs(value)
