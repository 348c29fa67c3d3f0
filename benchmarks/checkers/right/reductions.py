"""Right functions that sum up: means, norms, distances, normalisations.

Not for: losses and softmax (``losses.py``), or what compares elements (``orders.py``).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.checkers.right.points import Where, above, beside, fixed, reals
from benchmarks.checkers.right.right import Array, Right, of_one_number

VECTOR = reals((5,), saturated=None, huge=(1e2, 1e8), tiny=(1e-9, 1e-2))
TABLE = reals((3, 4), saturated=None, huge=(1e2, 1e8), tiny=(1e-9, 1e-2))
PAIR = reals((4,), (4,), saturated=None, huge=(1e2, 1e6), tiny=(1e-6, 1e-2))
POSITIVE = above(0.0, (4,))


def _about() -> Where:
    """Values that lie close together, or about a large mean."""
    draw: Any = lambda mean, scale: lambda rng: (mean + scale * rng.normal(size=(3, 5)),)
    return {"ordinary": draw(0, 1), "huge": draw(1e5, 10.0), "saturated": draw(10.0, 1e-3),
            "tiny": draw(0, 1e-5)}  # fmt: skip


def layer_norm(x: Array, eps: float = 1e-5) -> Array:
    """Rows with mean 0 and variance 1."""
    d = x - np.mean(x, axis=-1, keepdims=True)
    return d / np.sqrt(np.mean(d * d, axis=-1, keepdims=True) + eps)


def layer_norm_vjp(g: Array, x: Array, eps: float = 1e-5) -> Array:
    """The pullback of ``layer_norm``."""
    d = x - np.mean(x, axis=-1, keepdims=True)
    s = np.sqrt(np.mean(d * d, axis=-1, keepdims=True) + eps)
    n = d / s
    rest = np.mean(g, axis=-1, keepdims=True) + n * np.mean(g * n, axis=-1, keepdims=True)
    return (g - rest) / s


def _std(x: Array) -> Array:
    return np.sqrt(np.mean((x - np.mean(x, -1, keepdims=True)) ** 2, -1))


def _std_vjp(g: Array, x: Array) -> Array:
    d = x - np.mean(x, -1, keepdims=True)
    return (g / _std(x))[:, None] * d / x.shape[-1]


def _cosine(x: Array, y: Array) -> Array:
    return np.sum(x * y) / np.sqrt(np.sum(x * x) * np.sum(y * y))


def _cosine_gradient(x: Array, y: Array) -> tuple[Array, Array]:
    a, b = np.sum(x * x), np.sum(y * y)
    c = _cosine(x, y)
    return y / np.sqrt(a * b) - c * x / a, x / np.sqrt(a * b) - c * y / b


def _rms_norm(x: Array, w: Array) -> Array:
    return w * x / np.sqrt(np.mean(x * x) + 1e-6)


def _rms_norm_vjp(g: Array, x: Array, w: Array) -> tuple[Array, Array]:
    s = np.sqrt(np.mean(x * x) + 1e-6)
    return g * w / s - x * np.sum(g * w * x) / (x.size * s**3), g * x / s


def _correlation(x: Array, y: Array) -> Array:
    return _cosine(x - np.mean(x), y - np.mean(y))


def _correlation_gradient(x: Array, y: Array) -> tuple[Array, Array]:
    a, b = _cosine_gradient(x - np.mean(x), y - np.mean(y))
    return a - np.mean(a), b - np.mean(b)


def _power_norm(x: Array, p: float) -> Array:
    return np.sum(abs(x) ** p) ** (1 / p)


def _power_norm_gradient(x: Array, p: float) -> Array:
    return np.sign(x) * (abs(x) / _power_norm(x, p)) ** (p - 1)


def _skewness(x: Array) -> Array:
    d = x - np.mean(x)
    return np.mean(d**3) / np.mean(d**2) ** 1.5


def _skewness_gradient(x: Array) -> Array:
    d, n = x - np.mean(x), x.size
    m2, m3 = np.mean(d**2), np.mean(d**3)
    by_d = (3 * d**2 / n) / m2**1.5 - 3 * m3 * d / (n * m2**2.5)
    return by_d - np.mean(by_d)


def _group_norm(x: Array) -> Array:
    return layer_norm(x.reshape(2, -1)).reshape(x.shape)


def _pairwise(x: Array) -> Array:
    d = x[:, None] - x[None]
    return np.sqrt(np.sum(d * d, -1) + np.eye(len(x)))


def _pairwise_vjp(g: Array, x: Array) -> Array:
    d = x[:, None] - x[None]
    w = ((g + g.T) / _pairwise(x) * (1 - np.eye(len(x))))[..., None]
    return np.sum(w * d, 1)


def _near_points(rng: np.random.Generator) -> tuple[Array]:
    x = rng.normal(size=(4, 2))
    x[1] = x[2] + 10 ** rng.uniform(-7, -2, 2)
    return (x,)


FUNCTIONS: list[Right] = [
    Right("sum", lambda x: np.sum(x), lambda g, x: g * np.ones(x.shape), TABLE),
    Right("mean along an axis", lambda x: np.mean(x, axis=1),
          lambda g, x: np.ones(x.shape) * g[:, None] / x.shape[1], TABLE),
    Right("standard deviation", _std, _std_vjp, _about()),
    Right("variance with ddof=1", lambda x: np.var(x, axis=-1, ddof=1),
          lambda g, x: 2 * g[:, None] * (x - np.mean(x, -1, keepdims=True)) / (x.shape[-1] - 1),
          _about()),
    Right("layer norm", layer_norm, layer_norm_vjp, _about()),
    Right("layer norm without epsilon", lambda x: layer_norm(x, 0.0),
          lambda g, x: layer_norm_vjp(g, x, 0.0), _about()),
    Right("batch norm of columns", lambda x: layer_norm(x.T).T,
          lambda g, x: layer_norm_vjp(g.T, x.T).T, _about()),
    Right("group norm", lambda x: _group_norm(x),
          lambda g, x: layer_norm_vjp(g.reshape(2, -1), x.reshape(2, -1)).reshape(x.shape),
          reals((2, 6), saturated=None, huge=(1e2, 1e5), tiny=(1e-6, 1e-2))),
    Right("RMS norm", _rms_norm, _rms_norm_vjp, PAIR),
    of_one_number("euclidean norm", lambda x: np.sqrt(np.sum(x**2)),
                  lambda x: x / np.sqrt(np.sum(x**2)), VECTOR),
    of_one_number("norm of NumPy's", lambda x: np.linalg.norm(x), lambda x: x / np.linalg.norm(x),
                  VECTOR),
    of_one_number("1-norm", lambda x: np.sum(abs(x)), lambda x: np.sign(x),
                  reals((5,), kinks=(0.0,))),
    of_one_number("3-norm", _power_norm, _power_norm_gradient, beside(VECTOR, fixed(3.0))),
    of_one_number("20-norm", _power_norm, _power_norm_gradient,
                  beside(reals((5,), saturated=(4, 9), tiny=(1e-4, 1e-2), huge=(1e2, 1e4)),
                      fixed(20.0))),
    of_one_number("1.1-norm", _power_norm, _power_norm_gradient,
                  beside(reals((5,), kinks=(0.0,)), fixed(1.1))),
    of_one_number("sum of squares", lambda x: np.sum(x * x), lambda x: 2 * x, VECTOR),
    of_one_number("sum of squares of unlike sizes",
                  lambda x: np.sum((x * 10.0 ** np.arange(5)) ** 2),
                  lambda x: 2 * x * 10.0 ** (2 * np.arange(5)), VECTOR),
    of_one_number("cosine similarity", _cosine, _cosine_gradient,
                  {**PAIR, "near ties": lambda rng: (lambda x: (x,
                      2 * x + 1e-6 * rng.normal(size=4)))(
                      rng.normal(size=4))}),
    of_one_number("correlation", _correlation, _correlation_gradient, PAIR),
    of_one_number("skewness", _skewness, _skewness_gradient,
                  {"ordinary": lambda rng: (rng.normal(size=6),),
                   "huge": lambda rng: (1e4 * rng.normal(size=6),),
                   "tiny": lambda rng: (1e-4 * rng.normal(size=6),),
                   "saturated": lambda rng: (100 + rng.normal(size=6),)}),
    Right("unit vector", lambda x: x / np.sqrt(np.sum(x * x)),
          lambda g, x: (g - x * np.sum(g * x) / np.sum(x * x)) / np.sqrt(np.sum(x * x)), VECTOR),
    Right("distances of points to each other", _pairwise, _pairwise_vjp,
          {"ordinary": lambda rng: (rng.normal(size=(4, 2)),), "near ties": _near_points,
           "huge": lambda rng: (1e5 * rng.normal(size=(4, 2)),)}),
    of_one_number("product", lambda x: np.prod(x), lambda x: np.prod(x) / x,
                  reals((4,), huge=(1e2, 1e6), tiny=(1e-6, 1e-2))),
    of_one_number("geometric mean", lambda x: np.exp(np.mean(np.log(x))),
                  lambda x: np.exp(np.mean(np.log(x))) / (x.size * x), POSITIVE),
    of_one_number("harmonic mean", lambda x: 1 / np.mean(1 / x),
                  lambda x: 1 / np.mean(1 / x) ** 2 / (x.size * x * x), POSITIVE),
    of_one_number("weighted mean", lambda x, w: np.sum(w * x) / np.sum(w),
                  lambda x, w: (w / np.sum(w), (x - np.sum(w * x) / np.sum(w)) / np.sum(w)),
                  beside(reals((4,)), above(0.0, (4,)))),
    Right("broadcast product", lambda x, y: x * y,
          lambda g, x, y: (np.sum(g * y, 1, keepdims=True), np.sum(g * x, 0)),
          reals((3, 1), (4,), huge=(1e2, 1e6))),
    Right("sum over options of axes", lambda x, axis: np.sum(np.sin(x), axis=axis),
          lambda g, x, axis: np.cos(x) * (g[:, None] if axis == 1 else g),
          beside(reals((3, 4), saturated=None, huge=(1e1, 1e3)), fixed(1))),
    of_one_number("coefficient of variation",
                  lambda x: np.sqrt(np.mean((x - np.mean(x)) ** 2)) / np.mean(x),
                  lambda x: (lambda m, s: ((x - m) / s / m - s / m**2) / x.size)(
                      np.mean(x), np.sqrt(np.mean((x - np.mean(x)) ** 2))), POSITIVE),
]  # fmt: skip
