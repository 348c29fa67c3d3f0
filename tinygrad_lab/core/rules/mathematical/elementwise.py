"""The derivative of every function that acts on each element alone.

``g`` is the upstream gradient, ``y`` the result.  Broadcasting and dtype are the engine's: a rule
may return a gradient of the broadcast shape, and the engine sums it back to its argument's.

Where a slope is infinite, a rule says so; the engine keeps a zero upstream zero.
"""

import functools
from typing import Any

import numpy as np

from tinygrad_lab.core import degenerate
from tinygrad_lab.core.operations import Array, composed, constant, defvjp, primitive
from tinygrad_lab.core.rules.arguments import as_array, as_floats, untracked
from tinygrad_lab.core.rules.mathematical.lengths import at_zero

LN2 = float(np.log(2.0))
LN10 = float(np.log(10.0))


def defined(slope, y):
    """A slope, and NaN where the result is: outside its domain a function has none."""
    return np.where(np.isnan(y), y, slope)


# Arithmetic and floating point

defvjp(np.add, lambda g, y, a, b: g, lambda g, y, a, b: g)
defvjp(np.subtract, lambda g, y, a, b: g, lambda g, y, a, b: -g)
defvjp(np.multiply, lambda g, y, a, b: g * b, lambda g, y, a, b: g * a)
defvjp(np.divide, lambda g, y, a, b: g / b, lambda g, y, a, b: -g * (y / b))


def _whole_times(y, a, b):
    """How often ``b`` goes into ``a``: of a / b, rounding may make the next whole number."""
    return np.rint((a - y) / b)


defvjp(
    np.remainder,
    lambda g, y, a, b: defined(g, y),
    lambda g, y, a, b: defined(-g * np.floor_divide(a, b), y),
    branch=lambda y, a, b: np.floor_divide(a, b),
)
defvjp(
    np.fmod,
    lambda g, y, a, b: defined(g, y),
    lambda g, y, a, b: -g * _whole_times(y, a, b),
    branch=lambda y, a, b: _whole_times(y, a, b),
)
defvjp(np.negative, lambda g, y, x: -g)
defvjp(np.positive, lambda g, y, x: g)
defvjp(np.reciprocal, lambda g, y, x: -g * y * y)
defvjp(np.square, lambda g, y, x: g * 2 * x)
defvjp(np.ldexp, lambda g, y, x, n: np.ldexp(g, n))
defvjp(np.nextafter, lambda g, y, a, b: g, lambda g, y, a, b: g * 0)


@composed(np.divmod, by=("a", "b"), always=True)
def np_divmod(a, b):
    return np.floor_divide(a, b), np.remainder(a, b)


@composed(np.modf, always=True)
def modf(x):
    fraction, whole = np.modf(untracked(x))
    infinite = np.isinf(whole)
    return np.where(infinite, fraction, x) - np.where(infinite, 0, whole), whole


@composed(np.frexp, always=True)
def frexp(x):
    _, exponent = np.frexp(untracked(x))
    return np.ldexp(x, -exponent), exponent


# Powers and roots.  x**0 is constant in x, also at 0; 0**p does not change with p > 0.  Where a
# factor of a slope vanishes and the other is infinite, the slope vanishes.


def _power_by_base(g, y, x, p):
    steepness = x ** np.where(np.equal(p, 0) & np.equal(x, 0), 1, np.subtract(p, 1))
    steepness = np.where(np.equal(p, 0) & np.isinf(steepness), 0, steepness)
    return defined(g * np.where(np.isinf(p) & (steepness == 0), 0, p) * steepness, y)


def _power_by_exponent(g, y, x, p):
    vanishes = np.equal(x, 0) & np.greater_equal(p, 0) | np.isinf(x) & (y == 0)
    return g * y * np.log(np.where(vanishes, 1, x))


defvjp(np.power, _power_by_base, _power_by_exponent)
defvjp(np.float_power, _power_by_base, _power_by_exponent)
defvjp(np.sqrt, lambda g, y, x: g / (2 * y + 0.0))  # of -0.0 as of 0.0
defvjp(np.cbrt, lambda g, y, x: g / (3 * y * y))
defvjp(
    np.hypot,
    lambda g, y, a, b: g * _share(a, b, y) + at_zero(g, y, a),
    lambda g, y, a, b: g * _share(b, a, y) + at_zero(g, y, b),
    branch=lambda y, a, b: y == 0,
)


def _share(a, b, length):
    """The cosine a / hypot(a, b), also where that is infinite or subnormal; 0 at the origin."""
    vanishes = a == 0
    ratio = b / np.where(vanishes, 1, a)
    is_normal = (length >= np.finfo(length.dtype).tiny) & (length < np.inf)
    is_smaller = np.abs(ratio) > 1  # the cube of that ratio, in the second derivative, overflows
    by_length = vanishes | is_normal & is_smaller | np.isinf(ratio)
    return np.where(by_length, over(a, length), np.sign(a) / np.hypot(1, ratio))


def over(part, whole):
    """Divide a part by its whole, with the zero subgradient where the whole vanishes."""
    return part / np.where(whole == 0, 1, whole)


# Exponents and logarithms


def _of_one_array(body: Any) -> Any:
    """Say that a list is an array to it, and that ``x=`` is ``input=``."""
    body.takes_lists, body.words = False, {"x": "input"}
    return body


def _domain(x):
    """x, but NaN below 0, where a logarithm has no slope either, and no negative zero."""
    return np.square(np.sqrt(x))


@primitive
@_of_one_array
def sigmoid(input: "Array") -> "Array":
    """The logistic function ``1 / (1 + exp(-input))``, to full relative precision at both ends.

    Examples
    --------
    >>> sigmoid(np.array([0.0, -700.0]))
    array([5.00000000e-001, 9.85967654e-305])
    """
    x = as_floats(input)
    e = np.exp(np.minimum(x, _LARGEST_EXPONENT.get(x.dtype.itemsize, 709.0)))
    return e / (1 + e)


#: The largest exponent whose exp does not overflow, by the bytes of a float: sigmoid is 1 there.
_LARGEST_EXPONENT = {2: 11.0, 4: 88.0, 8: 709.0}


def odds(x: Any) -> Any:
    """``exp(x)``, in float32 at least, bounded: 1 / odds is right to the smallest normal number."""
    x = x.astype(np.float32) if x.dtype.itemsize == 2 else x
    return np.exp(np.minimum(x, _LARGEST_EXPONENT.get(x.dtype.itemsize, 709.0)))


@primitive
def logistic_density(x: Any) -> Any:
    """The slope of sigmoid, ``1 / (4 cosh²(x / 2))``, whose derivatives underflow when it does."""
    e = np.exp(-np.abs(x))
    return e / np.square(1 + e)


defvjp(logistic_density, lambda g, y, x: -g * y * np.tanh(x / 2))


def _sigmoid(g, y, x):
    if x.dtype.kind == "c":
        return g * (y * (1 - y))
    if degenerate.is_recorded(g):
        return g * logistic_density(x)
    return g * (y / (1 + odds(x)))  # 1 - y would lose all digits where y is near 1


defvjp(sigmoid, _sigmoid)

defvjp(np.exp, lambda g, y, x: g * y)
defvjp(np.exp2, lambda g, y, x: g * y * LN2)
defvjp(np.expm1, lambda g, y, x: g * np.exp(x))
defvjp(np.log, lambda g, y, x: g / _domain(x))
defvjp(np.log2, lambda g, y, x: g / LN2 / _domain(x))
defvjp(np.log10, lambda g, y, x: g / LN10 / _domain(x))
defvjp(np.log1p, lambda g, y, x: g / _domain(1 + x))
defvjp(
    np.logaddexp,
    lambda g, y, a, b: g * sigmoid(a - b),
    lambda g, y, a, b: g * sigmoid(b - a),
)
defvjp(
    np.logaddexp2,
    lambda g, y, a, b: g * sigmoid(LN2 * (a - b)),
    lambda g, y, a, b: g * sigmoid(LN2 * (b - a)),
)

# Trigonometric functions

defvjp(np.sin, lambda g, y, x: g * np.cos(x))
defvjp(np.cos, lambda g, y, x: -g * np.sin(x))
defvjp(np.tan, lambda g, y, x: g * (1 + y * y))
defvjp(np.arcsin, lambda g, y, x: g / np.sqrt((1 - x) * (1 + x)))
defvjp(np.arccos, lambda g, y, x: -g / np.sqrt((1 - x) * (1 + x)))
defvjp(np.arctan, lambda g, y, x: g * np.square(1 / hypot_1(x)))
defvjp(
    np.arctan2,
    lambda g, y, a, b: defined(g * _turn(b, a), y),
    lambda g, y, a, b: defined(-g * _turn(a, b), y),
)


def _turn(a, b):
    """The slope a / (a² + b²), also where that square is infinite; 0 at the origin."""
    length = np.hypot(a, b)
    share = _share(a, b, length)
    far = share * over(share, a)  # where the length overflows
    finite = np.where(np.isinf(length), far, over(share, length))
    return np.where(np.isinf(a) | np.isinf(b), 0, finite)


defvjp(np.deg2rad, lambda g, y, x: g * (np.pi / 180))
defvjp(np.radians, lambda g, y, x: g * (np.pi / 180))
defvjp(np.rad2deg, lambda g, y, x: g * (180 / np.pi))
defvjp(np.degrees, lambda g, y, x: g * (180 / np.pi))


@composed(np.unwrap, by=("p", "period"))
def unwrap(p, discont=None, axis=-1, *, period=2 * np.pi):
    # Whole periods are added, and how many does not change with p.
    plain, length = untracked(p), untracked(period)
    whole = np.unwrap(plain, discont, axis, period=length)
    added = np.where(whole == plain, 0, whole - plain)
    return p + (added if length is period else np.rint(added / length) * period)


# Hyperbolic functions

defvjp(np.sinh, lambda g, y, x: g * np.cosh(x))
defvjp(np.cosh, lambda g, y, x: g * np.sinh(x))
defvjp(np.tanh, lambda g, y, x: g * _sech_squared(x, y))
defvjp(np.arcsinh, lambda g, y, x: g / hypot_1(x))
defvjp(np.arccosh, lambda g, y, x: g / (np.sqrt(x - 1) * np.sqrt(x + 1)))
defvjp(np.arctanh, lambda g, y, x: g / _domain((1 - x) * (1 + x)))


def _sech_squared(x, y):
    """The slope of tanh: 1 - y * y, which cancels unless the numbers are complex."""
    return np.square(sech(x)) if x.dtype.kind != "c" else 1 - y * y


@primitive
def sech(x):
    """1 / cosh(x), whose derivative does not underflow before it does itself."""
    return 1 / np.cosh(x)


defvjp(sech, lambda g, y, x: -g * y * np.tanh(x))


def hypot_1(x):
    """The length of (1, x)."""
    return np.hypot(1, x) if x.dtype.kind != "c" else np.sqrt(1 + x * x)


# Other special functions, with derivatives of every order at every point


@primitive
def sinc_derivative(x, order):
    """A derivative of sin(pi x) / (pi x), from the average of t^n cos(u t + n pi/2) on [0, 1].

    The average is sin(u)/u differentiated n times by u = pi x.  It is taken by Gauss-Legendre
    quadrature for small x; for large x, where that would need many nodes, x sinc(x) is
    differentiated by parts.
    """
    is_near = np.absolute(x) <= min(order + 2, 20) / np.pi
    near = np.pi * np.where(is_near, x, 0)
    average = sum(w * t**order * _sine(near * t, order + 1) for t, w in _quadrature())
    far = np.where(is_near, 1, x)
    turn = np.pi * np.fmod(np.where(np.isinf(far), 0, far), 2)
    by_parts = np.sin(turn) / np.pi / far
    for n in range(1, order + 1):
        by_parts = (np.pi ** (n - 1) * _sine(turn, n) - n * by_parts) / far
    return np.where(is_near, np.pi**order * average, by_parts)


def _sine(x, quarters):
    """The sine of x and so many quarters of a turn."""
    return (-1) ** (quarters // 2) * (np.cos(x) if quarters % 2 else np.sin(x))


@functools.cache
def _quadrature():
    """Points and weights on [0, 1], made when first asked for: loading them takes milliseconds."""
    points = zip(*np.polynomial.legendre.leggauss(32))
    return [(float(point + 1) / 2, float(weight) / 2) for point, weight in points]


defvjp(np.sinc, lambda g, y, x: g * sinc_derivative(x, 1))
defvjp(sinc_derivative, lambda g, y, x, order: g * sinc_derivative(x, order + 1))


@primitive
def bessel_i(x, order):
    """The modified Bessel function I_n: the average of exp(x cos t) cos(n t) over a half turn.

    The two halves of that are folded together, so that nothing cancels near 0, and exp(x) is
    multiplied in two steps, so that only results that are too large overflow.
    """
    size = np.minimum(np.absolute(x), _EXP_IS_INFINITE)
    average = 0
    for t in (np.arange(_TURNS) + 0.5) * (np.pi / 2 / _TURNS):
        cosine = float(np.cos(t))
        other = np.expm1(-2 * cosine * size) if order % 2 else -1 - np.exp(-2 * cosine * size)
        weight = float(np.cos(order * t)) / (2 * _TURNS)
        average = average - np.exp(-2 * float(np.sin(t / 2)) ** 2 * size) * other * weight
    return np.exp(size / 2) * average * np.exp(size / 2) * (np.sign(x) if order % 2 else 1)


_TURNS = 64  # exact to rounding wherever exp(x) is finite
_EXP_IS_INFINITE = 1000.0
defvjp(np.i0, lambda g, y, x: g * bessel_i(x, 1))
defvjp(
    bessel_i, lambda g, y, x, order: g * (bessel_i(x, abs(order - 1)) + bessel_i(x, order + 1)) / 2
)


# Complex parts.  Inside the engine the conjugate of the gradient travels (see cotangents.py), so
# that the change of the result is the real part of g dx; of a real argument the engine takes the
# real part of what a rule returns.


def conj(x):
    """The complex conjugate; of real numbers, themselves."""
    return np.conj(x) if x.dtype.kind == "c" else x


defvjp(np.conjugate, lambda g, y, x: np.conj(g))
defvjp(np.real, lambda g, y, x: g)
defvjp(np.imag, lambda g, y, x: g * -1j)


@primitive
def angle(x):
    """The argument of complex numbers: the imaginary part of their logarithm."""
    return np.angle(x)


defvjp(angle, lambda g, y, x: g * -1j * over(np.conj(x), np.real(x * np.conj(x))))


@composed(np.angle)
def np_angle(z, deg=False):
    return np.rad2deg(angle(z)) if deg else angle(z)


@composed(np.real_if_close)
def real_if_close(a, tol=100):
    if a.dtype.kind != "c":
        return np.positive(a)
    most = tol * np.finfo(a.dtype).eps if tol > 1 else tol
    return np.real(a) if np.all(np.abs(np.imag(untracked(a))) < most) else a


@composed(np.sign, always=True)
def sign(x):
    signs = np.sign(untracked(x))
    if x.dtype.kind != "c":
        return signs
    return np.where(np.isinf(x), signs, over(x, np.abs(x)))


# Pieces: one-sided slopes meet at a kink.  |x| and clip take the slopes 0 and 1 there.


def _absolute(g, y, x):
    if x.dtype.kind != "c":
        return g * np.sign(x) + at_zero(g, y, x, at_kink=0)
    return g * over(np.conj(x), y) + at_zero(g, y, np.conj(x))


def _side(y, x):
    return x == 0 if np.iscomplexobj(x) else np.sign(x)  # of complex numbers only 0 is a kink


defvjp(np.absolute, _absolute, branch=_side)
defvjp(np.fabs, _absolute, branch=_side)
defvjp(
    np.copysign,
    lambda g, y, a, b: g * np.sign(a) * np.copysign(1, b),
    lambda g, y, a, b: g * 0,
    branch=lambda y, a, b: (np.sign(a), np.sign(b)),
)
defvjp(
    np.heaviside,
    lambda g, y, x, at_zero: g * 0,
    lambda g, y, x, at_zero: np.where(x == 0, g, 0),
    selects=True,
    branch=lambda y, x, at_zero: np.sign(x),
)


@primitive
def clip(x, low, high):
    """Limit ``x`` to [low, high]; as in NumPy, ``high`` wins where the two cross."""
    return np.minimum(np.maximum(x, low), high)


defvjp(
    clip,
    lambda g, y, x, low, high: np.where((x < low) | (x > high), 0, g),
    lambda g, y, x, low, high: np.where((x < low) & (low <= high), g, 0),
    lambda g, y, x, low, high: np.where((x > high) | (low > high), g, 0),
    branch=lambda y, x, low, high: (np.sign(x - low), np.sign(x - high), np.sign(high - low)),
)


@composed(np.clip, by=("a", "a_min", "a_max", "min", "max"))
def np_clip(a, a_min=None, a_max=None, out=None, *, min=None, max=None):
    low = a_min if min is None else min
    high = a_max if max is None else max
    return clip(a, -np.inf if low is None else low, np.inf if high is None else high)


@composed(np._core.umath.clip, by=("a", "low", "high"))  # type: ignore[attr-defined]
def clip_of_arrays(a, low, high):
    """What the method of plain arrays calls, ``z.clip(t, 1)``."""
    return np.clip(a, low, high)


@composed(np.nan_to_num, by=("x", "nan", "posinf", "neginf"), always=True)
def nan_to_num(x, copy=True, nan=0.0, posinf=None, neginf=None):
    if not copy:
        raise TypeError("nan_to_num(copy=False) writes in place, and tensors are values")
    if x.dtype.kind == "c":
        parts = (
            np.nan_to_num(part, True, nan, posinf, neginf) for part in (np.real(x), np.imag(x))
        )
        return sum(part * unit for part, unit in zip(parts, (1, 1j)))
    if x.dtype.kind != "f":
        return np.nan_to_num(untracked(x))
    posinf = np.finfo(x.dtype).max if posinf is None else posinf
    neginf = np.finfo(x.dtype).min if neginf is None else neginf
    holes = (np.isnan(x), nan), (np.isposinf(x), posinf), (np.isneginf(x), neginf)
    for hole, value in holes:
        x = np.where(hole, as_array(value).astype(x.dtype), x)
    return x


# No derivative: rounding

constant(np.floor, np.ceil, np.trunc, np.rint, np.round, np.around, np.fix, np.floor_divide,
         np.signbit, np.spacing)  # fmt: skip
