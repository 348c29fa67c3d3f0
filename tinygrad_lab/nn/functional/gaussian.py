"""The normal distribution: its density and its distribution function, which ``gelu`` is made of.

Not for: drawing from it (``numpy.random``), or losses (``losses.py``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_lab.core.operations import defvjp, primitive
from tinygrad_lab.core.rules.arguments import as_floats

__all__ = ["FAR", "normal_cdf", "normal_density"]

Array = Any  # a Tensor, or whatever speaks NumPy's protocols

#: Beyond it the density is 0 in every dtype, and the distribution function 0 or 1.
FAR = 40.0


@primitive
def normal_cdf(x: Array) -> Array:
    """The probability that a standard normal number is below ``x``, ``erfc(-x / sqrt(2)) / 2``.

    Within a few units in the last place also far to the left, where it is tiny: there it is the
    bell ``exp(-x² / 2)`` times the Mills ratio, a rational function with positive coefficients.

    Examples
    --------
    >>> import numpy as np
    >>> normal_cdf(np.array([-20.0, 0.0, 1.0]))
    array([2.75362412e-89, 5.00000000e-01, 8.41344746e-01])
    """
    x = as_floats(x)
    if x.dtype.itemsize < 4:  # where the coefficients would overflow
        return normal_cdf(x.astype(np.float32)).astype(x.dtype)
    return _in_blocks(_cdf, x) if type(x) is np.ndarray else _cdf(x)  # the same numbers


def _in_blocks(f: Callable[[Array], Array], x: Array) -> Array:
    """``f`` of so many elements at once that what it computes on the way stays in the cache."""
    if x.size <= _BLOCK:
        return f(x)
    flat, y = x.reshape(-1), np.empty(x.size, x.dtype)
    for start in range(0, x.size, _BLOCK):
        part = slice(start, start + _BLOCK)
        y[part] = f(flat[part])
    return y.reshape(x.shape)


_BLOCK = 16384


def _cdf(x: Array) -> Array:
    numerator, denominator = _SHORT if x.dtype.itemsize == 4 else _LONG
    size = np.minimum(np.fabs(x), FAR)  # of complex numbers NumPy refuses fabs
    tail = _bell(size) * (_polynomial(numerator, size) / _polynomial(denominator, size))
    return np.where(x < 0, tail, 1 - tail)


@primitive
def normal_density(x: Array) -> Array:
    """The bell ``exp(-x² / 2) / sqrt(2 pi)``.

    Examples
    --------
    >>> import numpy as np
    >>> normal_density(np.array([0.0, 1.0])).round(6)
    array([0.398942, 0.241971])
    """
    return _bell(np.clip(x, -FAR, FAR)) * 0.3989422804014327


defvjp(normal_cdf, lambda g, y, x: g * normal_density(x))
defvjp(normal_density, lambda g, y, x: g * (-y * np.clip(x, -FAR, FAR)))


def _bell(x: Array) -> Array:
    """exp(-x² / 2), of which a rounded square would lose as many digits as it is large."""
    near = np.rint(x * 16) / 16  # whose square is exact
    return np.exp(near * near * -0.5) * np.exp((x - near) * (x + near) * -0.5)


def _polynomial(coefficients: tuple[float, ...], x: Array) -> Array:
    y = x * coefficients[0] + coefficients[1]
    for coefficient in coefficients[2:]:
        y = y * x + coefficient
    return y


# Rational functions that interpolate exp(a² / 2) * erfc(a / sqrt(2)) / 2 at points of [0, 40] (in
# float32: [0, 15]), found in 60 digits: of all a, the largest relative error is 1e-16 (8e-9).
_LONG = (
    (
        1.412006087028076e-06, 3.786351803240895e-05, 0.0004972730660831567, 0.00413752114872265,
        0.023852521829217956, 0.09846131519083871, 0.2910478703813179, 0.5964708193378727,
        0.7765641397907815, 0.5,
    ),
    (
        3.5393743817034457e-06, 9.490976487536711e-05, 0.0012500181021993545,
        0.010466137253814498, 0.0610288059825763, 0.2569873142590225, 0.7868808831123079,
        1.7221395351506155, 2.5687784862680085, 2.3510128403844215, 1.0,
    ),
)  # fmt: skip
_SHORT = (
    (
        0.004122528203069215, 0.04070006147737858, 0.18347186143016864, 0.43867425738206206,
        0.5000000021756479,
    ),
    (
        0.01033353410301861, 0.10202606508008999, 0.4700843052336978, 1.2035824337408796,
        1.6752334168384364, 1.0,
    ),
)  # fmt: skip
