"""Right functions that compare elements: extremes, sorting, quantiles, pooling, near ties.

Not for: pieces that meet at a fixed number (``kinks.py``).
"""

from __future__ import annotations

import numpy as np

from benchmarks.checkers.right.losses import softmax, softmax_vjp
from benchmarks.checkers.right.points import beside, fixed, tied
from benchmarks.checkers.right.right import Array, Right, of_one_number

VECTOR = tied((5,))
TABLE = tied((3, 4))
PAIRS = {
    "ordinary": lambda rng: (rng.normal(size=4), rng.normal(size=4)),
    "huge": lambda rng: (1e6 * rng.normal(size=4), 1e6 * rng.normal(size=4)),
    "tiny": lambda rng: (1e-7 * rng.normal(size=4), 1e-7 * rng.normal(size=4)),
    "near ties": lambda rng: (lambda x: (x, x + 10 ** rng.uniform(-13, -3, 4) * rng.choice(
        [-1, 1], 4)))(rng.normal(size=4)),
}  # fmt: skip


def _at(x: Array, i: Array) -> Array:
    """One where an index of the last axis is, else zero."""
    return (np.arange(x.shape[-1]) == np.asarray(i)[..., None]) * 1.0


def _sort_vjp(g: Array, x: Array) -> Array:
    return np.take_along_axis(g, np.argsort(np.argsort(x, -1), -1), -1)


def _quantile(x: Array, q: float) -> Array:
    s = np.sort(x)
    k = q * (x.size - 1)
    i = int(k)
    return s[i] * (1 - (k - i)) + s[i + 1] * (k - i)


def _quantile_gradient(x: Array, q: float) -> Array:
    order, k = np.argsort(x), q * (x.size - 1)
    i = int(k)
    return (1 - (k - i)) * _at(x, order[i]) + (k - i) * _at(x, order[i + 1])


def _top(x: Array, k: int) -> Array:
    return np.sort(x)[::-1][:k]


def _top_vjp(g: Array, x: Array, k: int) -> Array:
    order = np.argsort(x)[::-1][:k]
    return sum(g[i] * _at(x, order[i]) for i in range(k))


def _pool(x: Array) -> Array:
    """The largest of each 2 by 2."""
    a, b = x.shape[0] // 2, x.shape[1] // 2
    return np.max(np.max(x.reshape(a, 2, b, 2), 3), 1)


def _pool_vjp(g: Array, x: Array) -> Array:
    dx = np.zeros(x.shape)
    for i, j in np.ndindex(*g.shape):
        k = int(np.argmax(x[2 * i : 2 * i + 2, 2 * j : 2 * j + 2]))  # one of them at a tie
        dx[2 * i + k // 2, 2 * j + k % 2] = g[i, j]
    return dx


def _overlapping(x: Array) -> Array:
    return np.stack([np.max(x[i : i + 3]) for i in range(x.size - 2)])


def _overlapping_vjp(g: Array, x: Array) -> Array:
    dx = np.zeros(x.shape)
    for i in range(x.size - 2):
        dx[i + int(np.argmax(x[i : i + 3]))] += g[i]
    return dx


def _trimmed(x: Array) -> Array:
    return np.mean(np.sort(x)[1:-1])


def _trimmed_gradient(x: Array) -> Array:
    rank = np.argsort(np.argsort(x))
    return ((rank > 0) & (rank < x.size - 1)) / (x.size - 2.0)


def _running(x: Array) -> Array:
    return np.maximum.accumulate(x)


def _running_vjp(g: Array, x: Array) -> Array:
    dx, at = np.zeros(x.shape), 0
    for i in range(x.size):
        at = i if x[i] >= x[at] else at
        dx[at] += g[i]
    return dx


def _sorted_weights(x: Array) -> Array:
    return np.sum(np.sort(x) * np.arange(1, x.size + 1) ** 2)


def _sparsemax(x: Array) -> Array:
    """The projection on the simplex (Martins and Astudillo 2016)."""
    return np.maximum(x - _threshold(x), 0.0)


def _threshold(x: Array) -> Array:
    s = np.sort(x)[::-1]
    n = np.arange(1, x.size + 1)
    k = int(np.sum(1 + n * s > np.cumsum(s)))
    return (np.cumsum(s)[k - 1] - 1) / k


def _sparsemax_vjp(g: Array, x: Array) -> Array:
    support = (x > _threshold(x)) * 1.0
    return support * (g - np.sum(support * g) / np.sum(support))


def _gini(x: Array) -> Array:
    return np.sum(abs(x[:, None] - x)) / x.size**2


def _isotonic(x: Array) -> Array:
    """Two blocks pooled where they are out of order: the increasing fit to two numbers."""
    return np.where(x[0] <= x[1], x, np.mean(x))


def _nms(x: Array) -> Array:
    """The sum of the local maxima."""
    inner = (x[1:-1] > x[:-2]) & (x[1:-1] > x[2:])
    return np.sum(x[1:-1] * inner)


def _nms_gradient(x: Array) -> Array:
    inner = (x[1:-1] > x[:-2]) & (x[1:-1] > x[2:])
    return np.concatenate([[0.0], inner * 1.0, [0.0]])


FUNCTIONS: list[Right] = [
    of_one_number("largest", lambda x: np.max(x), lambda x: _at(x, np.argmax(x)), VECTOR),
    of_one_number("smallest", lambda x: np.min(x), lambda x: _at(x, np.argmin(x)), VECTOR),
    Right("largest of each row", lambda x: np.max(x, axis=-1),
          lambda g, x: g[:, None] * _at(x, np.argmax(x, -1)), TABLE),
    of_one_number("largest absolute value", lambda x: np.max(abs(x)),
                  lambda x: np.sign(x) * _at(x, np.argmax(abs(x))), VECTOR),
    of_one_number("range", lambda x: np.max(x) - np.min(x),
                  lambda x: _at(x, np.argmax(x)) - _at(x, np.argmin(x)), VECTOR),
    of_one_number("second largest", lambda x: np.sort(x)[-2],
                  lambda x: _at(x, np.argsort(x)[-2]), VECTOR),
    of_one_number("margin of the best two", lambda x: np.sort(x)[-1] - np.sort(x)[-2],
                  lambda x: _at(x, np.argsort(x)[-1]) - _at(x, np.argsort(x)[-2]), VECTOR),
    Right("maximum of two", lambda x, y: np.maximum(x, y),
          lambda g, x, y: (g * (x >= y), g * (x < y)), PAIRS),
    Right("minimum of two", lambda x, y: np.minimum(x, y),
          lambda g, x, y: (g * (x <= y), g * (x > y)), PAIRS),
    Right("distance of two", lambda x, y: abs(x - y),
          lambda g, x, y: (g * np.sign(x - y), g * np.sign(y - x)), PAIRS),
    Right("sort", lambda x: np.sort(x), _sort_vjp, VECTOR),
    Right("sort of rows", lambda x: np.sort(x, axis=-1), _sort_vjp, TABLE),
    of_one_number("sort, weighted", _sorted_weights,
                  lambda x: (np.argsort(np.argsort(x)) + 1.0) ** 2, VECTOR),
    of_one_number("median of five", lambda x: np.median(x),
                  lambda x: _at(x, np.argsort(x)[2]), VECTOR),
    of_one_number("median of four", lambda x: np.median(x),
                  lambda x: 0.5 * (_at(x, np.argsort(x)[1]) + _at(x, np.argsort(x)[2])),
                  tied((4,))),
    of_one_number("a quantile", _quantile, _quantile_gradient, beside(VECTOR, fixed(0.3))),
    Right("top two", lambda x: _top(x, 2), lambda g, x: _top_vjp(g, x, 2), VECTOR),
    Right("max-pooling", _pool, _pool_vjp, tied((4, 4))),
    Right("max-pooling with overlap", _overlapping, _overlapping_vjp, tied((6,))),
    of_one_number("trimmed mean", _trimmed, _trimmed_gradient, VECTOR),
    Right("running maximum", _running, _running_vjp, VECTOR),
    Right("sparsemax", _sparsemax, _sparsemax_vjp, tied((4,), size=())),
    of_one_number("Gini's mean difference", _gini,
                  lambda x: 2 * np.sum(np.sign(x[:, None] - x), 1) / x.size**2, VECTOR),
    Right("isotonic fit of two", _isotonic,
          lambda g, x: np.where(x[0] <= x[1], g, np.mean(g)), tied((2,))),
    of_one_number("sum of local maxima", _nms, _nms_gradient, tied((6,))),
    of_one_number("median absolute deviation", lambda x: np.median(abs(x - np.median(x))),
                  lambda x: (lambda d, m, at: np.sign(d[at]) * (_at(x, at) - _at(x, m)))(
                      x - np.median(x), np.argsort(x)[2],
                      np.argsort(abs(x - np.median(x)))[2]), VECTOR),
    Right("softmax of the two largest", lambda x: softmax(_top(x, 2)),
          lambda g, x: _top_vjp(softmax_vjp(g, _top(x, 2)), x, 2), tied((4,), size=("tiny",))),
]  # fmt: skip
