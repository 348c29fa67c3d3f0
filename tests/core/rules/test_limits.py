"""Slopes of elementwise functions where floats end, beside 50-digit arithmetic.

At infinity, at the largest and the smallest float, at zeros of both signs and at NaN a slope is the
limit where there is one, infinite where that is, NaN outside the domain, and else the convention of
``docs/conventions.md``: never a finite number that is wrong.

Not for: the values of NumPy's functions, which are NumPy's, or activations (``tests/nn``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath as mp
import numpy as np
import pytest

import tinygrad_lab as tl
from tests.limits import INF, NAN, differing, grid
from tinygrad_lab.core.operations import OPERATIONS

Slope = Callable[..., Any]
both_dtypes = pytest.mark.parametrize("dtype", [np.float64, np.float32])


def where(inside: Slope, slope: Slope) -> Slope:
    """A slope inside a domain; NaN outside."""
    return lambda x: slope(x) if inside(x) else None


def over(a: Any, b: Any, at_zero: Any = INF) -> Any:
    """``a / b``, and at a zero of ``b`` what is given."""
    return a / b if b else at_zero


LN2, LN10 = mp.log(2), mp.log(10)
ONE: dict[Any, Slope] = {
    np.square: lambda x: 2 * x,
    np.reciprocal: lambda x: over(-1, x * x, -INF),
    np.sqrt: where(lambda x: x >= 0, lambda x: over(1, 2 * mp.sqrt(x))),
    np.cbrt: lambda x: over(1, 3 * mp.cbrt(abs(x)) ** 2),
    np.exp: mp.exp,
    np.exp2: lambda x: LN2 * mp.mpf(2) ** x,
    np.expm1: mp.exp,
    np.log: where(lambda x: x >= 0, lambda x: over(1, x)),
    np.log2: where(lambda x: x >= 0, lambda x: over(1, x * LN2)),
    np.log10: where(lambda x: x >= 0, lambda x: over(1, x * LN10)),
    np.log1p: where(lambda x: x >= -1, lambda x: over(1, 1 + x)),
    np.sin: mp.cos,
    np.cos: lambda x: -mp.sin(x),
    np.tan: lambda x: 1 + mp.tan(x) ** 2,
    np.arcsin: where(lambda x: abs(x) <= 1, lambda x: over(1, mp.sqrt(1 - x * x))),
    np.arccos: where(lambda x: abs(x) <= 1, lambda x: over(-1, mp.sqrt(1 - x * x), -INF)),
    np.arctan: lambda x: 1 / (1 + x * x),
    np.sinh: mp.cosh,
    np.cosh: mp.sinh,
    np.tanh: lambda x: mp.sech(x) ** 2,
    np.arcsinh: lambda x: 1 / mp.sqrt(1 + x * x),
    np.arccosh: where(lambda x: x >= 1, lambda x: over(1, mp.sqrt(x * x - 1))),
    np.arctanh: where(lambda x: abs(x) <= 1, lambda x: over(1, 1 - x * x)),
    np.absolute: mp.sign,
    np.fabs: mp.sign,
    np.sinc: lambda x: (mp.cospi(x) - mp.sincpi(x)) / x if abs(x) > 1e-9 else -(mp.pi**2) * x / 3,
    np.i0: lambda x: mp.besseli(1, x) if abs(x) < 1000 else x * mp.mpf(10) ** 400,
}


def power(x: Any, p: Any) -> Any:
    """``x ** p``, not by multiplying 10**4000 times."""
    return mp.exp(p * mp.log(x)) if x > 0 else mp.power(x, p)


def exponent_slope(x: Any, p: Any) -> Any:
    if x < 0:
        return None
    return power(x, p) * mp.log(x) if x else (0 if p >= 0 else -INF)


def base_slope(x: Any, p: Any) -> Any:
    if p == 0 or (x < 0 and (p != mp.floor(p) or abs(p) > 1e6)):
        return 0 if p == 0 else None
    if x == 0:
        return 1 if p == 1 else 0 if p > 1 else INF if p > 0 else -INF
    return p * power(x, p - 1)


def logistic(x: Any) -> Any:
    return 1 / (1 + mp.exp(-x))


def larger(a: Any, b: Any) -> Any:
    return mp.mpf(1) / 2 if a == b else int(a > b)


TWO: dict[Any, tuple[Slope, Slope]] = {
    np.multiply: (lambda a, b: b, lambda a, b: a),
    np.divide: (
        lambda a, b: over(1, b),
        lambda a, b: -a / b / b if b else (-INF * mp.sign(a) if a else NAN),
    ),
    np.hypot: (
        lambda a, b: over(a, mp.hypot(a, b), 0),
        lambda a, b: over(b, mp.hypot(a, b), 0),
    ),
    np.arctan2: (
        lambda a, b: over(b, a * a + b * b, 0),
        lambda a, b: over(-a, a * a + b * b, 0),
    ),
    np.logaddexp: (lambda a, b: logistic(a - b), lambda a, b: logistic(b - a)),
    np.logaddexp2: (
        lambda a, b: logistic((a - b) * LN2),
        lambda a, b: logistic((b - a) * LN2),
    ),
    np.fmod: (
        lambda a, b: 1 if b else None,
        lambda a, b: -mp.sign(a / b) * mp.floor(abs(a / b)) if b else None,
    ),
    np.remainder: (
        lambda a, b: 1 if b else None,
        lambda a, b: -mp.floor(a / b) if b else None,
    ),
    np.power: (base_slope, exponent_slope),
    np.float_power: (base_slope, exponent_slope),
    np.maximum: (larger, lambda a, b: larger(b, a)),
    np.minimum: (lambda a, b: larger(b, a), larger),
    np.copysign: (lambda a, b: mp.sign(a) * (mp.sign(b) or 1), lambda a, b: 0),
}
TWO |= {np.fmax: TWO[np.maximum], np.fmin: TWO[np.minimum]}

EXTREMES = (np.maximum, np.minimum, np.fmax, np.fmin)
#: Their slopes do not look at what they are called with, or are in a test of their own.
CONSTANT_SLOPES = {
    np.add, np.subtract, np.negative, np.positive, np.conjugate, np.deg2rad, np.radians,
    np.rad2deg, np.degrees, np.ldexp, np.nextafter, np.heaviside,
}  # fmt: skip


def test_no_elementwise_function_is_left_out():
    ours = {
        op
        for op, known in OPERATIONS.items()
        if isinstance(op, np.ufunc) and op.signature is None and known.vjps
    }
    assert ours == (set(ONE) - {np.sinc, np.i0}) | set(TWO) | CONSTANT_SLOPES


@both_dtypes
@pytest.mark.parametrize("op", ONE, ids=lambda op: op.__name__)
def test_slopes_of_one_argument(op: Any, dtype: Any):
    x = grid(dtype)
    t = tl.tensor(x, requires_grad=True)
    with np.errstate(all="ignore"):
        slope = tl.gradients(op(t), t, np.ones_like(x))
    assert not differing(ONE[op], [x], slope)


COARSE = [0.5, 1.0, 2.0, 3.0, 100.0, 1e-8]


def looseness(op: Any) -> Callable[[float, float], float]:
    """How much rounding an argument of ``exp`` once does to its result, in units of eps."""
    if op in (np.logaddexp, np.logaddexp2):
        return lambda a, b: 8 + min(abs(a - b), 2000.0)
    if op in (np.power, np.float_power):
        return lambda a, b: 8 + abs(np.log(abs(a))) if a and np.isfinite(a) else 8
    return lambda a, b: 8


@both_dtypes
@pytest.mark.parametrize("op", TWO, ids=lambda op: op.__name__)
def test_slopes_of_two_arguments(op: Any, dtype: Any):
    x = grid(dtype, COARSE)[:-1]
    if op in (np.power, np.float_power, np.remainder, np.fmod):  # whose powers have no end
        x = x[(abs(x) < 1e6) | np.isinf(x)]
    a, b = (side.ravel() for side in np.meshgrid(x, x))
    leaves = [tl.tensor(side, requires_grad=True) for side in (a, b)]
    with np.errstate(all="ignore"):
        y = op(*leaves)
        slopes = tl.gradients(y, leaves, np.ones_like(y.data))
    # Where all is NaN, nobody asks for more; a negative zero has limits of its own.
    asked = ~(np.isnan(y.data) & np.isnan(slopes[0]) & np.isnan(slopes[1]))
    asked &= ~((a == 0) & np.signbit(a) | (b == 0) & np.signbit(b))
    if op in EXTREMES:  # infinities that tie share evenly, as other numbers do
        asked &= a != b
    if op in (np.power, np.float_power):  # of what is no whole number, and yet not NaN
        asked &= (a >= 0) | np.isfinite(a) & np.isfinite(b)
        asked &= ~(np.isinf(a) & (b < 0) & (b > -0.1))  # what is 0 in the end grows for long
        asked &= (a == 0) | (abs(a) >= np.finfo(dtype).tiny)  # a smaller one's powers overflow
    for slope, right in zip(slopes, TWO[op], strict=True):
        assert not differing(right, [a[asked], b[asked]], slope[asked], looseness(op))


@pytest.mark.parametrize("op", [np.log, np.log2, np.log10, np.sqrt])
def test_a_negative_zero_is_a_zero(op: Any):
    with np.errstate(divide="ignore"):
        assert tl.grad(op)(-0.0) == np.inf


def test_slopes_of_large_complex_numbers():
    x = tl.tensor([800 + 1j, -800 + 3j], requires_grad=True)
    assert tl.gradients(np.tanh(x), x, np.ones(2)).tolist() == [0, 0]


def test_clip_does_not_lose_a_nan():
    x = tl.tensor([np.nan, 0.5, 2.0], requires_grad=True)
    assert tl.gradients(np.clip(x, 0, 1), x, np.ones(3)).tolist() == [1.0, 1.0, 0.0]


def test_a_nan_that_an_extreme_is_takes_the_gradient():
    for op in (np.maximum, np.minimum):
        pairs = [[np.nan, 1.0], [2.0, np.nan]]
        a, b = (tl.tensor(side, requires_grad=True) for side in pairs)
        ga, gb = tl.gradients(op(a, b), [a, b], np.ones(2))
        assert (ga.tolist(), gb.tolist()) == ([1.0, 0.0], [0.0, 1.0])


def test_whole_quotients_are_exact():
    """Here a / b rounds up to a whole number that b does not go into a."""
    b = 0.1
    a = np.nextafter(3 * b, 0)
    by = tl.grad(lambda b: np.fmod(a, b))(b)
    assert by == -np.rint((a - np.fmod(a, b)) / b)


def test_the_second_derivative_of_a_power_is_there_at_zero():
    assert tl.hessian(lambda x: np.power(x, 2.0))(0.0) == 2
    assert tl.hessian(lambda x: np.power(x, 3.0))(0.0) == 0


@pytest.mark.parametrize("name", ["nan_to_num", "clip", "modf", "frexp", "unwrap"])
def test_compositions_at_infinity(name: str):
    x = tl.tensor([np.inf, -np.inf, 0.5], requires_grad=True)
    f, slope = {
        "nan_to_num": (np.nan_to_num, [0.0, 0.0, 1.0]),
        "clip": (lambda x: np.clip(x, -1, 1), [0.0, 0.0, 1.0]),
        "modf": (lambda x: np.modf(x)[0], [0.0, 0.0, 1.0]),
        "frexp": (lambda x: np.frexp(x)[0], [1.0, 1.0, 1.0]),
        "unwrap": (lambda x: np.unwrap(x[2:]), [0.0, 0.0, 1.0]),
    }[name]
    with np.errstate(invalid="ignore"):
        y = f(x)
        np.testing.assert_array_equal(y.data, f(x.data))
    np.testing.assert_array_equal(tl.gradients(y, x, np.ones(y.shape)), slope)
