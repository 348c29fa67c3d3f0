"""Right functions of each element by itself: smooth ones, which saturate, overflow or end.

Not for: those with kinks (``kinks.py``), nor those that cancel on purpose (``cancelling.py``).
"""

from __future__ import annotations

import numpy as np

from benchmarks.checkers.right.points import above, beside, between, fixed, reals
from benchmarks.checkers.right.right import Array, Right, elementwise

SIGMA = reals(saturated=(8.0, 36.0))
TAME = reals(saturated=None, huge=(1e2, 1e4))
GROWING = reals(saturated=(5.0, 30.0), huge=(50.0, 300.0))
POSITIVE = above(0.0)
OPEN = between(-1.0, 1.0)
UNIT = between(0.0, 1.0, middle=False)
C = np.sqrt(2 / np.pi)


def sigmoid(x: Array) -> Array:
    """The logistic function, as one writes it first."""
    return 1 / (1 + np.exp(-x))


def _gelu_slope(x: Array) -> Array:
    t = np.tanh(C * (x + 0.044715 * x**3))
    return 0.5 * (1 + t) + 0.5 * x * (1 - t**2) * C * (1 + 3 * 0.044715 * x**2)


def _mish_slope(x: Array) -> Array:
    t = np.tanh(np.log1p(np.exp(x)))
    return t + x * (1 - t**2) * sigmoid(x)


def _sech2(x: Array) -> Array:
    return 1 / np.cosh(x) ** 2


FUNCTIONS: list[Right] = [
    elementwise("tanh", lambda x: np.tanh(x), lambda x: 1 - np.tanh(x) ** 2, SIGMA),
    elementwise("tanh by sech", lambda x: np.tanh(x), _sech2, SIGMA),
    elementwise("tanh by exponentials",
                lambda x: (np.exp(x) - np.exp(-x)) / (np.exp(x) + np.exp(-x)),
                lambda x: 4 / (np.exp(x) + np.exp(-x)) ** 2, GROWING),
    elementwise("sigmoid", sigmoid, lambda x: sigmoid(x) * (1 - sigmoid(x)), SIGMA),
    elementwise("sigmoid by its exponential", sigmoid,
                lambda x: np.exp(-x) / (1 + np.exp(-x)) ** 2, GROWING),
    elementwise("steep sigmoid", lambda x: sigmoid(20 * x),
                lambda x: 20 * sigmoid(20 * x) * (1 - sigmoid(20 * x)), reals(saturated=(0.4, 2))),
    elementwise("softplus", lambda x: np.log1p(np.exp(x)), sigmoid, GROWING),
    elementwise("softplus, stable", lambda x: np.log1p(np.exp(-abs(x))) + np.maximum(x, 0),
                sigmoid, reals(kinks=(0.0,))),
    elementwise("softplus by logaddexp", lambda x: np.logaddexp(x, 0.0), sigmoid, SIGMA),
    elementwise("log-sigmoid", lambda x: -np.log1p(np.exp(-x)), lambda x: 1 - sigmoid(x), GROWING),
    elementwise("log of sigmoid", lambda x: np.log(sigmoid(x)), lambda x: sigmoid(-x),
                reals(saturated=(5.0, 30.0), huge=None)),
    elementwise("gelu, tanh", lambda x: 0.5 * x * (1 + np.tanh(C * (x + 0.044715 * x**3))),
                _gelu_slope, reals(saturated=(3.0, 9.0), huge=(1e2, 1e4))),
    elementwise("silu", lambda x: x * sigmoid(x),
                lambda x: sigmoid(x) * (1 + x * (1 - sigmoid(x))), GROWING),
    elementwise("mish", lambda x: x * np.tanh(np.log1p(np.exp(x))), _mish_slope, GROWING),
    elementwise("softsign", lambda x: x / (1 + abs(x)), lambda x: 1 / (1 + abs(x)) ** 2,
                reals(saturated=(10.0, 1e3), kinks=(0.0,))),
    elementwise("squareplus", lambda x: (x + np.sqrt(x**2 + 4)) / 2,
                lambda x: (1 + x / np.sqrt(x**2 + 4)) / 2, reals(saturated=(20.0, 1e4))),
    elementwise("isru", lambda x: x / np.sqrt(1 + x**2), lambda x: (1 + x**2) ** -1.5,
                reals(saturated=(30.0, 1e3), huge=(1e3, 1e5))),
    elementwise("arctan", lambda x: np.arctan(x), lambda x: 1 / (1 + x * x),
                reals(saturated=(50.0, 1e4))),
    elementwise("gudermannian", lambda x: 2 * np.arctan(np.tanh(x / 2)), lambda x: 1 / np.cosh(x),
                reals(saturated=(8, 36), huge=(50.0, 700.0))),
    elementwise("log cosh", lambda x: np.log(np.cosh(x)), lambda x: np.tanh(x),
                reals(saturated=(8, 30), huge=(50.0, 700.0), tiny=(1e-3, 1e-1))),
    elementwise("log cosh, stable", lambda x: np.logaddexp(x, -x) - np.log(2.0),
                lambda x: np.tanh(x), reals(saturated=(8, 30), tiny=(1e-6, 1e-1))),
    elementwise("bell", lambda x: np.exp(-(x**2)), lambda x: -2 * x * np.exp(-(x**2)),
                reals(saturated=(3.0, 7.0), huge=(10.0, 26.0))),
    elementwise("sech", lambda x: 1 / np.cosh(x), lambda x: -np.tanh(x) / np.cosh(x), GROWING),
    elementwise("Cauchy's bell", lambda x: 1 / (1 + x**2), lambda x: -2 * x / (1 + x**2) ** 2,
                reals(saturated=(10.0, 1e3))),
    elementwise("tanhshrink", lambda x: x - np.tanh(x), lambda x: np.tanh(x) ** 2,
                reals(tiny=(1e-5, 1e-2))),
    elementwise("exp", lambda x: np.exp(x), lambda x: np.exp(x), GROWING),
    elementwise("exp of minus", lambda x: np.exp(-x), lambda x: -np.exp(-x), GROWING),
    elementwise("expm1", lambda x: np.expm1(x), lambda x: np.exp(x), GROWING),
    elementwise("exp2", lambda x: np.exp2(x), lambda x: np.exp2(x) * np.log(2.0),
                reals(huge=(50.0, 900.0))),
    elementwise("sinh", lambda x: np.sinh(x), lambda x: np.cosh(x), GROWING),
    elementwise("cosh", lambda x: np.cosh(x), lambda x: np.sinh(x), GROWING),
    elementwise("sin", lambda x: np.sin(x), lambda x: np.cos(x), TAME),
    elementwise("cos of a square", lambda x: np.cos(x**2), lambda x: -2 * x * np.sin(x**2),
                reals(saturated=(4.0, 20.0), huge=(50.0, 300.0))),
    elementwise("fast sine", lambda x: np.sin(100 * x), lambda x: 100 * np.cos(100 * x),
                reals(saturated=None, huge=(1e1, 1e3))),
    elementwise("sine on a plateau", lambda x: 1e6 + np.sin(x), lambda x: np.cos(x), TAME),
    elementwise("tan", lambda x: np.tan(x), lambda x: 1 + np.tan(x) ** 2,
                between(-np.pi / 2, np.pi / 2, end=(1e-9, 1e-3))),
    elementwise("arcsin", lambda x: np.arcsin(x), lambda x: 1 / np.sqrt(1 - x**2), OPEN),
    elementwise("arccos", lambda x: np.arccos(x), lambda x: -1 / np.sqrt((1 - x) * (1 + x)), OPEN),
    elementwise("arctanh", lambda x: np.arctanh(x), lambda x: 1 / (1 - x**2), OPEN),
    elementwise("arcsinh", lambda x: np.arcsinh(x), lambda x: 1 / np.sqrt(x**2 + 1), reals()),
    elementwise("arccosh", lambda x: np.arccosh(x), lambda x: 1 / np.sqrt((x - 1) * (x + 1)),
                above(1.0)),
    elementwise("log", lambda x: np.log(x), lambda x: 1 / x, POSITIVE),
    elementwise("log1p", lambda x: np.log1p(x), lambda x: 1 / (1 + x), above(-1.0)),
    elementwise("log10", lambda x: np.log10(x), lambda x: 1 / (x * np.log(10.0)), POSITIVE),
    elementwise("log of a log", lambda x: np.log(np.log(x)), lambda x: 1 / (x * np.log(x)),
                above(1.0, end=(1e-9, 1e-3))),
    elementwise("sqrt", lambda x: np.sqrt(x), lambda x: 0.5 / np.sqrt(x), POSITIVE),
    elementwise("rsqrt", lambda x: 1 / np.sqrt(x), lambda x: -0.5 * x**-1.5, POSITIVE),
    elementwise("cube root", lambda x: np.cbrt(x), lambda x: np.cbrt(x) / (3 * x), above(0.0)),
    elementwise("power 1.5", lambda x: x**1.5, lambda x: 1.5 * np.sqrt(x), POSITIVE),
    elementwise("power 0.1", lambda x: x**0.1, lambda x: 0.1 * x**-0.9, POSITIVE),
    elementwise("square", lambda x: x**2, lambda x: 2 * x, reals(huge=(1e6, 1e12))),
    elementwise("cube", lambda x: x**3, lambda x: 3 * x**2, reals(huge=(1e3, 1e9))),
    elementwise("eleventh power", lambda x: x**11, lambda x: 11 * x**10, reals(tiny=(1e-4, 1e-2))),
    elementwise("reciprocal", lambda x: 1 / x, lambda x: -1 / x**2, reals(tiny=(1e-8, 1e-2))),
    elementwise("x log x", lambda x: x * np.log(x), lambda x: 1 + np.log(x), POSITIVE),
    elementwise("binary entropy", lambda p: -p * np.log(p) - (1 - p) * np.log(1 - p),
                lambda p: np.log((1 - p) / p), UNIT),
    elementwise("logit", lambda p: np.log(p / (1 - p)), lambda p: 1 / (p * (1 - p)), UNIT),
    elementwise("half circle", lambda x: np.sqrt(1 - x**2), lambda x: -x / np.sqrt(1 - x**2), OPEN),
    elementwise("flat at 0: exp(-1/x)", lambda x: np.exp(-1 / x), lambda x: np.exp(-1 / x) / x**2,
                above(0.0, tiny=(0.01, 0.1), end=(2e-3, 1e-2))),
    elementwise("sine of 1/x", lambda x: np.sin(1 / x), lambda x: -np.cos(1 / x) / x**2,
                above(0.0, tiny=(0.01, 0.1), end=(1e-5, 1e-2))),
    elementwise("x to the x", lambda x: x**x, lambda x: x**x * (1 + np.log(x)),
                above(0.0, huge=(10.0, 100.0))),
    elementwise("log(1 + x²)", lambda x: np.log(1 + x**2), lambda x: 2 * x / (1 + x**2),
                reals(tiny=(1e-4, 1e-2))),
    elementwise("exp of sine", lambda x: np.exp(np.sin(x)), lambda x: np.cos(x) * np.exp(np.sin(x)),
                TAME),
    elementwise("smooth absolute value", lambda x: np.sqrt(x**2 + 1e-12),
                lambda x: x / np.sqrt(x**2 + 1e-12), reals(kinks=(0.0,))),
    Right("power of two variables", lambda x, y: x**y,
          lambda g, x, y: (g * y * x ** (y - 1), g * x**y * np.log(x)),
          beside(above(0.0, huge=(10, 1e3)), reals(saturated=(3, 8), huge=None))),
    Right("hypot", lambda x, y: np.sqrt(x * x + y * y),
          lambda g, x, y: (g * x / np.sqrt(x * x + y * y), g * y / np.sqrt(x * x + y * y)),
          reals((3,), (3,), tiny=(1e-9, 1e-2))),
    Right("angle", lambda y, x: np.arctan2(y, x),
          lambda g, y, x: (g * x / (x * x + y * y), -g * y / (x * x + y * y)),
          reals((3,), (3,), tiny=(1e-9, 1e-2))),
    Right("quotient of unlike sizes", lambda x, y: x / y, lambda g, x, y: (g / y, -g * x / y**2),
          beside(reals(), reals(tiny=(1e-6, 1e-2), huge=(1e2, 1e9)))),
    Right("power with an integer option", lambda x, n: x**n,
          lambda g, x, n: g * n * x ** (n - 1), beside(reals(tiny=(1e-5, 1e-2)), fixed(5))),
]  # fmt: skip
