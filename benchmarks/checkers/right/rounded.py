"""Right functions that compute in float32 inside, or look at their inputs before they compute.

Inputs and results are float64.  The gradient is that of the function in all its digits.

Not for: functions that round on purpose, whose gradient is another one by intention.
"""

from __future__ import annotations

import numpy as np

from benchmarks.checkers.right.points import (
    Draw,
    Where,
    above,
    beside,
    between,
    log_uniform,
    reals,
)
from benchmarks.checkers.right.right import Array, Right, elementwise

SINGLE = np.float32
MIDDLE = reals(saturated=(4.0, 12.0), huge=(20.0, 60.0), tiny=(1e-6, 1e-2))


def single(x: Array) -> Array:
    """Go down to float32."""
    return np.asarray(x, dtype=np.float32)


def double(x: Array) -> Array:
    """Come back."""
    return np.asarray(x, dtype=np.float64)


def _softmax32(x: Array) -> Array:
    z = single(x)
    e = np.exp(z - np.max(z))
    return double(e / np.sum(e))


def _softmax32_vjp(g: Array, x: Array) -> Array:
    p = single(_softmax32(x))
    u = single(g)
    return double(p * (u - np.sum(u * p)))


def _layer_norm32(x: Array) -> Array:
    z = single(x)
    d = z - np.mean(z)
    return double(d / np.sqrt(np.mean(d * d) + 0.125))


def _layer_norm32_vjp(g: Array, x: Array) -> Array:
    z, u = single(x), single(g)
    d = z - np.mean(z)
    s = np.sqrt(np.mean(d * d) + 0.125)
    n = d / s
    return double((u - np.mean(u) - n * np.mean(u * n)) / s)


def _checked_probability(p: Array) -> Array:
    if not np.all((p > 0) & (p < 1)):
        raise ValueError("a probability lies between 0 and 1")
    return np.log(p) - np.log(1 - p)


def _checked_log(x: Array) -> Array:
    assert np.all(x > 0), "log of what is not positive"
    return np.log(x)


def _checked_table(x: Array) -> Array:
    """Look up in a table that ends, and refuse what is beyond it."""
    if np.any(x < 0) or np.any(x > 4):
        raise IndexError("beyond the table")
    return np.sqrt(x + 0.5)


def _checked_grid(x: Array) -> Array:
    """Refuse numbers outside of the calibrated range, as quantised code does."""
    if np.max(abs(x)) >= 1.0:
        raise OverflowError("out of the calibrated range")
    return x / (1 - x * x)


def _checked_sum(p: Array) -> Array:
    if np.sum(p) >= 1:
        raise ValueError("nothing is left for the last class")
    return np.log(p) - np.log(1 - np.sum(p))


def _checked_order(low: Array, high: Array) -> Array:
    if not np.all(low < high):
        raise ValueError("an interval that is empty")
    return np.log(high - low)


def _checked_angle(c: Array) -> Array:
    if np.any(abs(c) > 1):
        raise ValueError("no cosine")
    return np.arccos(c)


def _beneath_one(rng: np.random.Generator, gap: float) -> tuple[Array]:
    p = rng.dirichlet(np.ones(4))[:3]
    return (p / p.sum() * (1 - gap),)


def _intervals(gap: tuple[float, float]) -> Draw:
    def draw(rng: np.random.Generator) -> tuple[Array, Array]:
        low = rng.normal(size=3)
        return low, low + log_uniform(rng, *gap, 3)

    return draw


SIMPLEX: Where = {
    "ordinary": lambda rng: _beneath_one(rng, rng.uniform(0.2, 0.6)),
    "domain end": lambda rng: _beneath_one(rng, 10 ** rng.uniform(-10, -3)),
}
POWERS = (1e-9, 1e-3)

FUNCTIONS: list[Right] = [
    elementwise("exp in float32", lambda x: double(np.exp(single(x))),
                lambda x: double(np.exp(single(x))), MIDDLE),
    elementwise("tanh in float32", lambda x: double(np.tanh(single(x))),
                lambda x: double(1 - np.tanh(single(x)) ** 2), MIDDLE),
    elementwise("sigmoid in float32", lambda x: double(1 / (1 + np.exp(-single(x)))),
                lambda x: double(np.exp(-single(x)) / (1 + np.exp(-single(x))) ** 2),
                reals(saturated=(4.0, 12.0), huge=(20.0, 40.0))),
    elementwise("sine in float32", lambda x: double(np.sin(single(x))),
                lambda x: double(np.cos(single(x))), reals(saturated=None, huge=(10.0, 100.0))),
    elementwise("square in float32", lambda x: double(single(x) ** 2),
                lambda x: double(2 * single(x)), reals(huge=(1e2, 1e5), tiny=(1e-6, 1e-2))),
    elementwise("log in float32", lambda x: double(np.log(single(x))),
                lambda x: double(1 / single(x)), above(0.0, end=(1e-6, 1e-3))),
    elementwise("sqrt in float32", lambda x: double(np.sqrt(single(x))),
                lambda x: double(0.5 / np.sqrt(single(x))), above(0.0, end=(1e-6, 1e-3))),
    elementwise("arctan in float32, its slope in float64",
                lambda x: double(np.arctan(single(x))), lambda x: 1 / (1 + x * x), MIDDLE),
    elementwise("cube in float64, its slope in float32", lambda x: x**3,
                lambda x: double(3 * single(x) ** 2), reals(huge=(1e2, 1e4), tiny=(1e-4, 1e-2))),
    Right("product in float32", lambda x, y: double(single(x) * single(y)),
          lambda g, x, y: (double(single(g) * single(y)), double(single(g) * single(x))),
          reals((3,), (3,), huge=(1e2, 1e4))),
    Right("matrix product in float32", lambda x, w: double(single(x) @ single(w)),
          lambda g, x, w: (double(single(g) @ single(w).T), double(single(x).T @ single(g))),
          reals((3, 4), (4, 2), huge=(1e2, 1e4))),
    Right("matrix product in float32, backward in float64",
          lambda x, w: double(single(x) @ single(w)), lambda g, x, w: (g @ w.T, x.T @ g),
          reals((3, 4), (4, 2), huge=(1e2, 1e4))),
    Right("softmax in float32", _softmax32, _softmax32_vjp,
          reals((4,), saturated=(4.0, 12.0), huge=(20.0, 60.0))),
    Right("layer norm in float32", _layer_norm32, _layer_norm32_vjp,
          reals((5,), saturated=(4.0, 12.0), huge=(20.0, 60.0))),
    Right("sum in float32", lambda x: double(np.sum(single(x))),
          lambda g, x: double(np.ones(x.shape)) * g, reals((20,), huge=(1e2, 1e4))),
    Right("dense layer in float32", lambda x, w,
          b: double(np.tanh(single(x) @ single(w) + single(b))),
          lambda g, x, w, b: (lambda d: (double(d @ single(w).T), double(single(x).T @ d),
                                         double(np.sum(d, 0))))(
              single(g) * (1 - np.tanh(single(x) @ single(w) + single(b)) ** 2)),
          reals((3, 4), (4, 2), (2,), saturated=(1.0, 3.0), huge=None)),
    Right("log-odds of a checked probability", _checked_probability,
          lambda g, p: g / (p * (1 - p)), between(0.0, 1.0, middle=False)),
    Right("log behind an assert", _checked_log, lambda g, x: g / x, above(0.0)),
    Right("table that ends", _checked_table, lambda g, x: g * 0.5 / np.sqrt(x + 0.5),
          between(0.0, 4.0)),
    Right("guard of a calibrated range", _checked_grid,
          lambda g, x: g * (1 + x * x) / (1 - x * x) ** 2, between(-1.0, 1.0)),
    Right("log-ratios on a checked simplex", _checked_sum,
          lambda g, p: g / p + np.sum(g) / (1 - np.sum(p)), SIMPLEX),
    Right("log-width of a checked interval", _checked_order,
          lambda g, a, b: (-g / (b - a), g / (b - a)),
          {"ordinary": _intervals((0.3, 3.0)), "domain end": _intervals((1e-9, 1e-3)),
           "huge": _intervals((1e2, 1e6))}),
    Right("angle of a checked cosine", _checked_angle, lambda g, c: -g / np.sqrt(1 - c * c),
          between(-1.0, 1.0)),
    Right("geometric mean behind a check", lambda x: _checked_log(x).mean(),
          lambda g, x: g / x / x.size, above(0.0, (4,))),
    Right("checked quotient", lambda x, y: x / y if np.all(y > 1e-300) else [][0],
          lambda g, x, y: (g / y, -g * x / y**2), beside(reals(), above(0.0, end=(1e-7, 1e-3)))),
]  # fmt: skip
