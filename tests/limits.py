"""What a function tends to, in 50-digit arithmetic, and whether a float is that.

``limit(f, x, y, ...)`` is ``f`` at floats, each taken for exactly the number that it is.  At an
infinite one it is the limit along a growing argument; where several are infinite, the common limit
along three paths.  Where there is none, it is NaN.

Not for: gradients by finite differences (``support.py``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import mpmath as mp
import numpy as np

mp.mp.dps = 50

Number = Any  # an mpf, or a Python number
INF, NAN = mp.inf, mp.nan
_SIZES = (mp.mpf(10) ** 400, mp.mpf(10) ** 1200, mp.mpf(10) ** 4000)  # beyond every float

ORDINARY = [0.25, 0.5, 0.75, 0.99, 1.0, 1.5, 2.0, 3.0, 5.0, 7.0, 20.0, 50.0, 89.0, 100.0, 700.0]
POWERS = [10.0**k for k in (-300, -160, -38, -20, -8, -4, -1, 1, 4, 8, 20, 30, 160, 300)]


def grid(dtype: Any, points: Sequence[float] = (*ORDINARY, *POWERS)) -> Any:
    """Both signs of some points, of zero, of the ends of a dtype, of infinity; and NaN."""
    info = np.finfo(dtype)
    ends = [info.smallest_subnormal, info.tiny, info.eps, info.max / 2, info.max, np.inf]
    with np.errstate(over="ignore"):
        sizes = np.unique(np.array([0.0, *ends, *points]).astype(dtype))
    return np.concatenate([-sizes[::-1], sizes, [np.nan]]).astype(dtype)


def limit(f: Callable[..., Number], *xs: float) -> Number:
    """The value of ``f``, or its limit, or NaN."""
    if any(map(math.isnan, xs)):
        return NAN
    exact = [mp.mpf(float(x)) for x in xs]
    infinite = [i for i, x in enumerate(exact) if mp.isinf(x)]
    paths = [(0, 0)] if len(infinite) < 2 else [(0, 0), (0, 1), (1, 0)]
    limits = []
    for path in paths:
        along = []
        for size in _SIZES if infinite else (1,):
            for i, faster in zip(infinite, path, strict=False):
                exact[i] = mp.sign(exact[i]) * size ** (1 + faster)
            along.append(_real(f, exact))
        limits.append(_settled(along) if infinite else along[0])
    return limits[0] if all(x == limits[0] for x in limits) else NAN


def _real(f: Callable[..., Number], xs: Sequence[Number]) -> Number:
    try:
        value = f(*xs)
    except (ZeroDivisionError, ValueError):
        return NAN
    return NAN if value is None or isinstance(value, mp.mpc) else mp.mpf(value)


def _settled(along: Sequence[Number]) -> Number:
    """What values tend to: one of them, 0, an infinity, or nothing."""
    a, b, c = map(abs, along)
    if all(
        x == along[-1] or abs(x - along[-1]) < abs(along[-1]) * mp.mpf(10) ** -40 for x in along
    ):
        return along[-1]
    if a > 2 * b and b >= 2 * c:
        return mp.mpf(0)
    same_sign = len({mp.sign(x) for x in along}) == 1
    return INF * mp.sign(along[-1]) if a * 2 < b and b * 2 < c and same_sign else NAN


def is_that(value: Any, expected: Number, dtype: Any, ulps: float = 8, absolute: float = 0) -> bool:
    """Whether a float is a number, as far as rounding lets it: overflow to infinity included."""
    value, info = float(value), np.finfo(dtype)
    if math.isnan(value) or mp.isnan(expected):
        return math.isnan(value) and bool(mp.isnan(expected))
    largest = mp.mpf(float(info.max))
    if math.isinf(value) or abs(expected) > largest:
        edge = largest * (1 - ulps * float(info.eps))
        return bool(min(abs(mp.mpf(value)), abs(expected)) >= edge and value * expected > 0)
    rounding = ulps * float(info.eps) * abs(expected) + 4 * float(info.smallest_subnormal)
    return bool(abs(mp.mpf(value) - expected) <= rounding + absolute)


def differing(
    f: Callable[..., Number],
    xs: Sequence[Any],
    values: Any,
    ulps: Callable[..., float] = lambda *x: 8,
    absolute: float = 0,
) -> list[str]:
    """Say which of ``values`` is not ``f`` at the floats in ``xs``, arrays of one shape."""
    return [
        f"{at}: {float(value)}, right {mp.nstr(right, 17)}"
        for *at, value in zip(*(x.tolist() for x in xs), values.tolist(), strict=True)
        if not is_that(value, right := limit(f, *at), values.dtype, ulps(*at), absolute)
    ]
