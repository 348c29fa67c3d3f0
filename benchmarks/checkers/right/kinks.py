"""Right functions made of pieces: near where two of them meet, and where they are flat.

Not for: those that compare elements with each other (``orders.py``).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.checkers.right.elementwise import sigmoid
from benchmarks.checkers.right.points import Draw, beside, fixed, reals
from benchmarks.checkers.right.right import Array, Right, elementwise, of_one_number

AT_0 = reals(kinks=(0.0,))
AT_1 = reals(kinks=(-1.0, 1.0))
SCALE, ALPHA = 1.0507009873554805, 1.6732632423543772


def _margin(s: Array, y: int) -> Array:
    return np.maximum(0.0, s - s[y] + 1) * (np.arange(s.size) != y)


def _margin_gradient(s: Array, y: int) -> Array:
    d = np.where(_margin(s, y) > 0, 1.0, 0.0)
    return d - np.sum(d) * (np.arange(s.size) == y)


def _scores(gap: float | None, scale: float = 1.0) -> Draw:
    """Scores of classes, the first one's rival exactly at the margin but for a gap."""

    def draw(rng: np.random.Generator) -> tuple[Array, int]:
        s = scale * rng.normal(size=5)
        if gap is not None:
            s[3] = s[1] - 1 + rng.choice([-1, 1]) * 10 ** rng.uniform(-13, np.log10(gap))
        return s, 1

    return draw


def _huber(d: float) -> Any:
    return lambda x: np.where(abs(x) <= d, 0.5 * x * x, d * (abs(x) - d / 2))


def _triangle_wave(x: Array) -> Array:
    return abs(x - 2 * np.round(x / 2))


FUNCTIONS: list[Right] = [
    elementwise("relu", lambda x: np.maximum(x, 0.0), lambda x: (x > 0) * 1.0, AT_0),
    elementwise("relu by a mask", lambda x: x * (x > 0), lambda x: np.where(x > 0, 1.0, 0.0), AT_0),
    elementwise("leaky relu", lambda x: np.where(x > 0, x, 0.01 * x),
                lambda x: np.where(x > 0, 1.0, 0.01), AT_0),
    elementwise("relu squared", lambda x: np.maximum(x, 0.0) ** 2,
                lambda x: 2 * np.maximum(x, 0.0), AT_0),
    elementwise("relu6", lambda x: np.minimum(np.maximum(x, 0.0), 6.0),
                lambda x: ((x > 0) & (x < 6)) * 1.0, reals(kinks=(0.0, 6.0))),
    elementwise("hard tanh", lambda x: np.clip(x, -1, 1), lambda x: (abs(x) < 1) * 1.0, AT_1),
    elementwise("hard sigmoid", lambda x: np.clip(x / 6 + 0.5, 0, 1),
                lambda x: (abs(x) < 3) / 6.0, reals(kinks=(-3.0, 3.0))),
    elementwise("hard swish", lambda x: x * np.clip(x + 3, 0, 6) / 6,
                lambda x: np.where(x <= -3, 0.0, np.where(x >= 3, 1.0, x / 3 + 0.5)),
                reals(kinks=(-3.0, 3.0))),
    elementwise("elu", lambda x: np.where(x > 0, x, np.exp(np.minimum(x, 0.0)) - 1),
                lambda x: np.where(x > 0, 1.0, np.exp(np.minimum(x, 0.0))), AT_0),
    elementwise("selu", lambda x: SCALE * np.where(x > 0, x, ALPHA * np.expm1(np.minimum(x, 0.0))),
                lambda x: SCALE * np.where(x > 0, 1.0, ALPHA * np.exp(np.minimum(x, 0.0))), AT_0),
    elementwise("celu", lambda x: np.maximum(x, 0.0) + np.minimum(0.0, 2 * np.expm1(x / 2)),
                lambda x: np.where(x > 0, 1.0, np.exp(np.minimum(x, 0.0) / 2)),
                reals(huge=(50.0, 300.0), kinks=(0.0,))),
    elementwise("softshrink", lambda x: np.sign(x) * np.maximum(abs(x) - 0.5, 0.0),
                lambda x: (abs(x) > 0.5) * 1.0, reals(kinks=(-0.5, 0.5))),
    elementwise("hardshrink, which jumps", lambda x: np.where(abs(x) > 0.5, x, 0.0),
                lambda x: (abs(x) > 0.5) * 1.0, reals(kinks=(-0.5, 0.5))),
    elementwise("threshold, which jumps", lambda x: np.where(x > 1.0, x**2, -3.0),
                lambda x: np.where(x > 1.0, 2 * x, 0.0), reals(kinks=(1.0,))),
    elementwise("staircase", lambda x: np.floor(x) + 0.0 * x, lambda x: np.zeros(np.shape(x)),
                reals(huge=(1e2, 1e4), kinks=(1.0, 2.0))),
    elementwise("sawtooth", lambda x: x - np.floor(x), lambda x: np.ones(np.shape(x)),
                reals(huge=(1e2, 1e4), tiny=(1e-6, 1e-2), kinks=(1.0, 2.0))),
    elementwise("triangle wave", _triangle_wave,
                lambda x: np.sign(x - 2 * np.round(x / 2)),
                reals(huge=(1e2, 1e4), kinks=(0.0, 1.0))),
    elementwise("sign times logarithm", lambda x: np.sign(x) * np.log1p(abs(x)),
                lambda x: 1 / (1 + abs(x)), AT_0),
    elementwise("absolute value", lambda x: abs(x), lambda x: np.sign(x), AT_0),
    elementwise("absolute value cubed", lambda x: abs(x) ** 3, lambda x: 3 * x * abs(x), AT_0),
    elementwise("x |x|", lambda x: x * abs(x), lambda x: 2 * abs(x), AT_0),
    elementwise("root of the absolute value", lambda x: np.sqrt(abs(x)),
                lambda x: 0.5 * np.sign(x) / np.sqrt(abs(x)),
                reals(kinks=(0.0,), tiny=(1e-9, 1e-2))),
    elementwise("exp of minus the absolute value", lambda x: np.exp(-abs(x)),
                lambda x: -np.sign(x) * np.exp(-abs(x)), reals(huge=(50.0, 300.0), kinks=(0.0,))),
    elementwise("huber", _huber(1.0), lambda x: np.clip(x, -1, 1), AT_1),
    elementwise("huber of a tiny width", _huber(1e-6), lambda x: np.clip(x, -1e-6, 1e-6),
                reals(tiny=(1e-9, 1e-4), kinks=(0.0,))),
    elementwise("epsilon-insensitive", lambda x: np.maximum(abs(x) - 0.1, 0.0),
                lambda x: np.where(abs(x) > 0.1, np.sign(x), 0.0), reals(kinks=(0.1, -0.1))),
    elementwise("Tukey's biweight",
                lambda x: np.where(abs(x) < 2, 1 - (1 - (x / 2) ** 2) ** 3, 1.0),
                lambda x: np.where(abs(x) < 2, 1.5 * x * (1 - (x / 2) ** 2) ** 2, 0.0),
                reals(kinks=(-2.0, 2.0))),
    elementwise("smoothstep", lambda x: np.clip(x, 0, 1) ** 2 * (3 - 2 * np.clip(x, 0, 1)),
                lambda x: np.where((x > 0) & (x < 1), 6 * x * (1 - x), 0.0),
                reals(kinks=(0.0, 1.0))),
    elementwise("a bump of finite support",
                lambda x: np.where(abs(x) < 1, np.exp(-1 / np.where(abs(x) < 1, 1 - x * x, 1.0)),
                    0.0),
                lambda x: np.where(
                    abs(x) < 1,
                    -2 * x * np.exp(-1 / np.where(abs(x) < 1, 1 - x * x, 1.0))
                    / np.where(abs(x) < 1, 1 - x * x, 1.0) ** 2, 0.0),
                reals(kinks=(-1.0, 1.0))),
    elementwise("log clipped below", lambda x: np.log(np.maximum(x, 1e-3)),
                lambda x: np.where(x > 1e-3, 1 / np.maximum(x, 1e-3), 0.0), reals(kinks=(1e-3,))),
    elementwise("gate", lambda x: np.where(x > 0, sigmoid(x) * x, x / 2),
                lambda x: np.where(x > 0, sigmoid(x) * (1 + x * (1 - sigmoid(x))), 0.5),
                reals(kinks=(0.0,), huge=(50.0, 300.0))),
    of_one_number("multiclass hinge", lambda s, y: np.sum(_margin(s, y)), _margin_gradient,
                  {"ordinary": _scores(None), "near ties": _scores(1e-3),
                      "huge": _scores(None, 1e5),
                   "tiny": _scores(None, 1e-6)}),
    of_one_number("pinball", lambda x, q: np.sum(np.maximum(q * x, (q - 1) * x)),
                  lambda x, q: np.where(x > 0, q, q - 1), beside(AT_0, fixed(0.3))),
    Right("prelu", lambda x, a: np.where(x > 0, x, a * x),
          lambda g, x, a: (g * np.where(x > 0, 1, a), np.sum(g * np.where(x > 0, 0, x))),
          beside(reals(kinks=(0.0,)), reals((), saturated=None, huge=None, tiny=None))),
    Right("clip between moving bounds", lambda x, a, b: np.minimum(np.maximum(x, a), b),
          lambda g, x, a, b: (g * ((x >= a) & (x <= b)), g * ((x < a) & (a <= b)),
                              g * (np.maximum(x, a) > b)),
          {"ordinary": lambda rng: (3 * rng.normal(size=3), -rng.random(3), rng.random(3)),
           "near ties": lambda rng: (lambda a, b: (
               np.array([a[0] + 1e-5 * rng.normal(), b[1] + 1e-9 * rng.normal(), 0.0]), a, b))(
                   -0.1 - rng.random(3), 0.1 + rng.random(3)),
           "huge": lambda rng: (1e6 * rng.normal(size=3), -rng.random(3), rng.random(3))}),
    Right("where on another input", lambda x, y, m: np.where(m, np.exp(x), np.sin(y)),
          lambda g, x, y, m: (g * np.where(m, np.exp(x), 0), g * np.where(m, 0, np.cos(y))),
          beside(reals(huge=(20.0, 100.0)), reals(huge=(20.0, 100.0)),
                 fixed(np.array([True, False, True])))),
]  # fmt: skip
