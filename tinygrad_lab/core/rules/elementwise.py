"""Elementwise calculus: the derivative of every function that acts on each element alone.

``g`` is the upstream gradient, ``y`` the result.  Broadcasting and dtype are the engine's: a rule
may return a gradient of the broadcast shape, and the engine sums it back to its argument's.

Where a slope is infinite, a rule says so; the engine keeps a zero upstream zero.
"""

from __future__ import annotations

import numpy as np

from tinygrad_lab.core.primitive import batches, constant, defvjp, instead, primitive, selects

LN2 = float(np.log(2.0))
LN10 = float(np.log(10.0))

# Arithmetic

defvjp(np.add, lambda g, y, a, b: g, lambda g, y, a, b: g)
defvjp(np.subtract, lambda g, y, a, b: g, lambda g, y, a, b: -g)
defvjp(np.multiply, lambda g, y, a, b: g * b, lambda g, y, a, b: g * a)
defvjp(np.divide, lambda g, y, a, b: g / b, lambda g, y, a, b: -g / b * y)
defvjp(np.remainder, lambda g, y, a, b: g, lambda g, y, a, b: -g * np.floor_divide(a, b))
defvjp(np.fmod, lambda g, y, a, b: g, lambda g, y, a, b: -g * np.trunc(a / b))
defvjp(np.negative, lambda g, y, x: -g)
defvjp(np.positive, lambda g, y, x: g)
defvjp(np.reciprocal, lambda g, y, x: -g / (x * x))
defvjp(np.square, lambda g, y, x: g * 2 * x)

# Powers and roots.  x**0 is constant in x, also at 0; 0**p does not change with p > 0.


def _power_by_base(g, y, x, p):
    return g * p * x ** np.where((p == 0) & (x == 0), 1, p - 1)


def _power_by_exponent(g, y, x, p):
    return g * y * np.log(np.where(x == 0, 1, x))


defvjp(np.power, _power_by_base, _power_by_exponent)
defvjp(np.float_power, _power_by_base, _power_by_exponent)
defvjp(np.sqrt, lambda g, y, x: g / (2 * y))
defvjp(np.cbrt, lambda g, y, x: g / (3 * y * y))
defvjp(np.hypot, lambda g, y, a, b: g * _over(a, y), lambda g, y, a, b: g * _over(b, y))


def _over(part, whole):
    """Divide a part by its whole, with the zero subgradient where the whole vanishes."""
    return part / np.where(whole == 0, 1, whole)


# Exponentials and logarithms

defvjp(np.exp, lambda g, y, x: g * y)
defvjp(np.exp2, lambda g, y, x: g * y * LN2)
defvjp(np.expm1, lambda g, y, x: g * np.exp(x))
defvjp(np.log, lambda g, y, x: g / x)
defvjp(np.log2, lambda g, y, x: g / x / LN2)
defvjp(np.log10, lambda g, y, x: g / x / LN10)
defvjp(np.log1p, lambda g, y, x: g / (1 + x))
defvjp(np.logaddexp, lambda g, y, a, b: g * np.exp(a - y), lambda g, y, a, b: g * np.exp(b - y))
defvjp(np.logaddexp2, lambda g, y, a, b: g * np.exp2(a - y), lambda g, y, a, b: g * np.exp2(b - y))

# Trigonometry

defvjp(np.sin, lambda g, y, x: g * np.cos(x))
defvjp(np.cos, lambda g, y, x: -g * np.sin(x))
defvjp(np.tan, lambda g, y, x: g * (1 + y * y))
defvjp(np.arcsin, lambda g, y, x: g / np.sqrt((1 - x) * (1 + x)))
defvjp(np.arccos, lambda g, y, x: -g / np.sqrt((1 - x) * (1 + x)))
defvjp(np.arctan, lambda g, y, x: g / (1 + x * x))
defvjp(
    np.arctan2,
    lambda g, y, a, b: g * _over(_over(b, np.hypot(a, b)), np.hypot(a, b)),
    lambda g, y, a, b: -g * _over(_over(a, np.hypot(a, b)), np.hypot(a, b)),
)
defvjp(np.deg2rad, lambda g, y, x: g * (np.pi / 180))
defvjp(np.radians, lambda g, y, x: g * (np.pi / 180))
defvjp(np.rad2deg, lambda g, y, x: g * (180 / np.pi))
defvjp(np.degrees, lambda g, y, x: g * (180 / np.pi))

# Hyperbolic functions

defvjp(np.sinh, lambda g, y, x: g * np.cosh(x))
defvjp(np.cosh, lambda g, y, x: g * np.sinh(x))
defvjp(np.tanh, lambda g, y, x: g * (1 - y * y))
defvjp(np.arcsinh, lambda g, y, x: g / np.hypot(1, x))
defvjp(np.arccosh, lambda g, y, x: g / (np.sqrt(x - 1) * np.sqrt(x + 1)))
defvjp(np.arctanh, lambda g, y, x: g / ((1 - x) * (1 + x)))

# Complex parts.  Inside the engine the conjugate of the gradient travels (see engine.conjugate)

defvjp(np.conjugate, lambda g, y, x: np.conj(g))

# Pieces: one-sided slopes meet at a kink.  Ties share evenly; |x| and clip take 0 and 1 there.


def _first_wins(g, a, b):
    return np.where(a == b, g / 2, np.where(a > b, g, 0))


def _absolute(g, y, x):
    return g * np.sign(x) if x.dtype.kind != "c" else g * _over(np.conj(x), y)


defvjp(np.absolute, _absolute)
defvjp(np.fabs, lambda g, y, x: g * np.sign(x))
defvjp(np.copysign, lambda g, y, a, b: g * np.sign(a) * np.copysign(1, b), lambda g, y, a, b: g * 0)
defvjp(np.maximum, lambda g, y, a, b: _first_wins(g, a, b), lambda g, y, a, b: _first_wins(g, b, a))
defvjp(np.minimum, lambda g, y, a, b: _first_wins(g, b, a), lambda g, y, a, b: _first_wins(g, a, b))


@primitive
def where(condition, a, b):
    """Elements of ``a`` where the condition holds, and of ``b`` elsewhere."""
    return np.where(condition, a, b)


@instead(np.where)
def _(condition, *choices):
    return where(condition, *choices) if choices else np.nonzero(condition)


defvjp(
    where,
    None,
    lambda g, y, condition, a, b: np.where(condition, g, 0),
    lambda g, y, condition, a, b: np.where(condition, 0, g),
)
selects(where)
batches(where)


@primitive
def clip(x, low, high):
    """Limit ``x`` to [low, high]; as in NumPy, ``high`` wins where the two cross."""
    return np.minimum(np.maximum(x, low), high)


defvjp(
    clip,
    lambda g, y, x, low, high: np.where((low <= x) & (x <= high), g, 0),
    lambda g, y, x, low, high: np.where((x < low) & (low <= high), g, 0),
    lambda g, y, x, low, high: np.where((x > high) | (low > high), g, 0),
)


@instead(np.clip)
def _(a, a_min=None, a_max=None, out=None, *, min=None, max=None):
    low = a_min if min is None else min
    high = a_max if max is None else max
    return clip(a, -np.inf if low is None else low, np.inf if high is None else high)


# No derivative: comparisons, rounding, tests

constant(
    np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal,
    np.logical_and, np.logical_or, np.logical_xor, np.logical_not,
    np.isfinite, np.isinf, np.isnan, np.signbit, np.isclose, np.allclose, np.array_equal,
    np.floor, np.ceil, np.trunc, np.rint, np.round, np.sign, np.floor_divide, np.spacing,
)  # fmt: skip
