"""Right functions whose plain formulas lose digits, in the value, in the gradient, or in both.

Not for: functions that are computed in float32 (``rounded.py``).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.checkers.right.elementwise import sigmoid
from benchmarks.checkers.right.points import Where, above, beside, between, reals
from benchmarks.checkers.right.right import Array, Right, elementwise, of_one_number

SMALL = reals(saturated=None, huge=(5.0, 30.0), tiny=(1e-7, 1e-2))
LARGE = above(0.0, huge=(1e2, 1e7), end=(1e-9, 1e-3))


def _variance_gradient(x: Array) -> Array:
    return 2 * (x - np.mean(x)) / x.size


def _offset(scale: float) -> Where:
    """Numbers about a mean that is much larger than they differ."""
    draw: Any = lambda size: lambda rng: (size + rng.normal(0, scale, 6),)
    return {"ordinary": draw(3.0), "huge": draw(1e4), "tiny": lambda rng: (rng.normal(0, 1e-6, 6),),
            "saturated": draw(1e6)}  # fmt: skip


def _quadratic_root(b: Array, c: Array) -> Array:
    return (-b + np.sqrt(b * b - 4 * c)) / 2


def _quadratic_root_vjp(g: Array, b: Array, c: Array) -> tuple[Array, Array]:
    d = np.sqrt(b * b - 4 * c)
    return g * (b / d - 1) / 2, -g / d


FUNCTIONS: list[Right] = [
    elementwise("(1 - cos x)/x²", lambda x: (1 - np.cos(x)) / x**2,
                lambda x: np.sin(x) / x**2 - 2 * (1 - np.cos(x)) / x**3,
                reals(saturated=None, huge=(5.0, 30.0), tiny=(1e-3, 1e-1))),
    elementwise("sin x / x", lambda x: np.sin(x) / x, lambda x: (x * np.cos(x) - np.sin(x)) / x**2,
                reals(saturated=None, huge=(5.0, 1e3), tiny=(1e-5, 1e-1))),
    elementwise("(exp x - 1)/x", lambda x: (np.exp(x) - 1) / x,
                lambda x: (x * np.exp(x) - np.exp(x) + 1) / x**2,
                reals(huge=(50.0, 300.0), tiny=(1e-4, 1e-1))),
    elementwise("exp x - 1", lambda x: np.exp(x) - 1, lambda x: np.exp(x),
                reals(huge=(50.0, 300.0))),
    elementwise("log of 1 + x", lambda x: np.log(1 + x), lambda x: 1 / (1 + x), above(-1.0)),
    elementwise("log of 1 + tiny", lambda x: np.log(1 + x), lambda x: 1 / (1 + x),
                between(-0.5, 0.5)),
    elementwise("sqrt(x + 1) - sqrt x", lambda x: np.sqrt(x + 1) - np.sqrt(x),
                lambda x: 0.5 / np.sqrt(x + 1) - 0.5 / np.sqrt(x), LARGE),
    elementwise("1/x - 1/(x + 1)", lambda x: 1 / x - 1 / (x + 1),
                lambda x: 1 / (x + 1) ** 2 - 1 / x**2, above(0.0, huge=(1e2, 1e5))),
    elementwise("1 - tanh²", lambda x: 1 - np.tanh(x) ** 2,
                lambda x: -2 * np.tanh(x) * (1 - np.tanh(x) ** 2), reals()),
    elementwise("1 - sigmoid", lambda x: 1 - sigmoid(x), lambda x: -sigmoid(x) * (1 - sigmoid(x)),
                reals(huge=(50.0, 500.0))),
    elementwise("log of 1 - sigmoid", lambda x: np.log(1 - sigmoid(x)), lambda x: -sigmoid(x),
                reals(saturated=(4.0, 30.0), huge=None)),
    elementwise("Langevin's function", lambda x: 1 / np.tanh(x) - 1 / x,
                lambda x: 1 / x**2 - 1 / np.sinh(x) ** 2,
                reals(huge=(50.0, 300.0), tiny=(1e-3, 1e-1))),
    elementwise("Planck's law", lambda x: x**3 / (np.exp(x) - 1),
                lambda x: (3 * x**2 * (np.exp(x) - 1) - x**3 * np.exp(x)) / (np.exp(x) - 1) ** 2,
                above(0.0, huge=(50.0, 300.0), end=(1e-6, 1e-3))),
    elementwise("Fermi's distribution", lambda e: 1 / (np.exp((e - 1.0) / 0.05) + 1),
                lambda e: -np.exp((e - 1) / 0.05) / (np.exp((e - 1) / 0.05) + 1) ** 2 / 0.05,
                between(-0.5, 3.0)),
    elementwise("expanded (x - 1)^7",
                lambda x: x**7 - 7 * x**6 + 21 * x**5 - 35 * x**4 + 35 * x**3 - 21 * x**2 + 7
                * x - 1,
                lambda x: 7 * (x - 1) ** 6,
                {"ordinary": lambda rng: (rng.normal(0, 1, 3),),
                 "near ties": lambda rng: (1 + rng.normal(0, 0.05, 3),),
                 "huge": lambda rng: (rng.normal(0, 1e4, 3),)}),
    elementwise("a difference of squares", lambda x: (1 + x) ** 2 - (1 - x) ** 2,
                lambda x: np.full(np.shape(x), 4.0), reals()),
    elementwise("adding and taking away", lambda x: (x + 1e8) - 1e8,
                lambda x: np.ones(np.shape(x)), reals()),
    elementwise("sine from far away", lambda x: np.sin(x + 2e4 * np.pi) * 2,
                lambda x: 2 * np.cos(x + 2e4 * np.pi), reals(huge=(1e2, 1e4))),
    Right("log of a difference of exponentials", lambda x, y: np.log(np.exp(x) - np.exp(y)),
          lambda g, x, y: (g * np.exp(x) / (np.exp(x) - np.exp(y)),
                           -g * np.exp(y) / (np.exp(x) - np.exp(y))),
          {"ordinary": lambda rng: (2 + rng.random(3), rng.random(3)),
           "domain end": lambda rng: (lambda y: (y + 10 ** rng.uniform(-7, -2, 3),
               y))(rng.random(3)),
           "huge": lambda rng: (200 + rng.random(3), 100 + rng.random(3)),
           "saturated": lambda rng: (20 + 20 * rng.random(3), rng.random(3))}),
    Right("larger root of a quadratic", _quadratic_root, _quadratic_root_vjp,
          {"ordinary": lambda rng: (3 + rng.random(3), 1 + rng.random(3)),
           "huge": lambda rng: (10 ** rng.uniform(2, 6, 3), rng.normal(0, 1, 3)),
           "domain end": lambda rng: (np.full(3, 2.0), 1 - 10 ** rng.uniform(-8, -2, 3)),
           "tiny": lambda rng: (rng.uniform(1, 2, 3), 10 ** rng.uniform(-10, -3, 3))}),
    of_one_number("variance by mean of squares", lambda x: np.mean(x**2) - np.mean(x) ** 2,
                  _variance_gradient, _offset(1.0)),
    of_one_number("variance about the mean", lambda x: np.mean((x - np.mean(x)) ** 2),
                  _variance_gradient, _offset(1.0)),
    of_one_number("distance by products",
                  lambda x, y: np.sum(x * x) + np.sum(y * y) - 2 * np.sum(x * y),
                  lambda x, y: (2 * (x - y), 2 * (y - x)),
                  {"ordinary": lambda rng: (rng.normal(size=4), rng.normal(size=4)),
                   "near ties": lambda rng: (lambda x: (x, x + 1e-5 * rng.normal(size=4)))(
                       rng.normal(size=4)),
                   "huge": lambda rng: (1e4 * rng.normal(size=4), rng.normal(size=4))}),
    of_one_number("area of a triangle by Heron",
                  lambda a, b, c: np.sqrt((a + b + c) * (-a + b + c) * (a - b + c) * (a + b
                      - c)) / 4,
                  lambda a, b, c: tuple(
                      x * (y * y + z * z - x * x)
                      / (2 * np.sqrt((a + b + c) * (-a + b + c) * (a - b + c) * (a + b - c)))
                      for x, y, z in ((a, b, c), (b, a, c), (c, a, b))),
                  {"ordinary": lambda rng: tuple(np.array(v) for v in 3 + rng.random(3)),
                   "domain end": lambda rng: (np.array(1.0), np.array(1.0),
                                              np.array(2 - 10 ** rng.uniform(-10, -2))),
                   "huge": lambda rng: tuple(np.array(v) for v in 1e5 * (3 + rng.random(3))),
                   "tiny": lambda rng: (np.array(1.0), np.array(1 + 1e-9),
                                        np.array(10 ** rng.uniform(-6, -2)))}),
    Right("relative difference", lambda x, y: (x - y) / (x + y),
          lambda g, x, y: (2 * g * y / (x + y) ** 2, -2 * g * x / (x + y) ** 2),
          beside(above(0.0, end=None), above(0.0, end=None))),
    elementwise("log-odds there and back", lambda x: np.log(sigmoid(x) / (1 - sigmoid(x))),
                lambda x: np.ones(np.shape(x)),
                reals(saturated=(4.0, 25.0), huge=None)),
    elementwise("squaring a square root", lambda x: np.sqrt(x) ** 2, lambda x: np.ones(np.shape(x)),
                above(0.0)),
    elementwise("e to the log", lambda x: np.exp(np.log(x)), lambda x: np.ones(np.shape(x)),
                above(0.0)),
]  # fmt: skip
