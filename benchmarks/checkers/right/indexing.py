"""Right functions that take, scatter, and scan: indices that repeat, products through zeros.

Not for: the largest and the sorted (``orders.py``).
"""

from __future__ import annotations

import numpy as np

from benchmarks.checkers.right.points import Where, above, beside, fixed, reals
from benchmarks.checkers.right.right import Array, Right, of_one_number

VECTOR = reals((5,), saturated=None, huge=(1e2, 1e8), tiny=(1e-9, 1e-2))
TABLE = reals((4, 3), saturated=None, huge=(1e2, 1e8), tiny=(1e-9, 1e-2))
INDICES = np.array([0, 2, 2, 1, 2])


def _zeros_in(number: int) -> Where:
    def draw(rng: np.random.Generator) -> tuple[Array]:
        x = rng.normal(size=5)
        x[rng.choice(5, number, replace=False)] = 0.0
        return (x,)

    return {**reals((5,), saturated=None, huge=(1e1, 1e3), tiny=(1e-3, 1e-1)), "near ties": draw}


def _added_at(shape: tuple[int, ...], at: Array, g: Array) -> Array:
    dx = np.zeros(shape)
    np.add.at(dx, at, g)
    return dx


def _cumprod_vjp(g: Array, x: Array) -> Array:
    """Without dividing, so that zeros do no harm."""
    dx, after = np.zeros(x.shape), 0.0
    before = np.concatenate([np.ones(1), np.cumprod(x)[:-1]])
    for i in range(x.size - 1, -1, -1):
        after = g[i] + (x[i + 1] * after if i + 1 < x.size else 0.0)
        dx[i] = before[i] * after
    return dx


def _others(x: Array) -> Array:
    return np.stack([np.prod(np.delete(x, i)) for i in range(x.size)])


def _recurrence(x: Array, a: Array) -> Array:
    """H = a h + x, from 0."""
    h, states = 0.0, []
    for v in x:
        h = a * h + v
        states.append(h)
    return np.stack(states)


def _recurrence_vjp(g: Array, x: Array, a: Array) -> tuple[Array, Array]:
    states, dx, da, d = _recurrence(x, a), np.zeros(x.shape), 0.0, 0.0
    for i in range(x.size - 1, -1, -1):
        d = g[i] + (a * d if i + 1 < x.size else 0.0)
        dx[i] = d
        da = da + (d * states[i - 1] if i else 0.0)
    return dx, np.asarray(da)


def _log_cumsum_exp(x: Array) -> Array:
    m = np.max(x)
    return np.log(np.cumsum(np.exp(x - m))) + m


def _log_cumsum_exp_vjp(g: Array, x: Array) -> Array:
    y = _log_cumsum_exp(x)
    return np.stack([np.sum((g * np.exp(x[i] - y))[i:]) for i in range(x.size)])


def _embedding(w: Array, i: Array) -> Array:
    return w[i]


def _bag(w: Array, i: Array) -> Array:
    return np.mean(w[i], 0)


def _segments(x: Array) -> Array:
    return np.stack([x[0] + x[3], x[1], x[2] + x[4]])


def _scatter(x: Array) -> Array:
    return np.stack([np.sum(x * (k == INDICES)) ** 2 for k in range(3)])


def _scatter_vjp(g: Array, x: Array) -> Array:
    s = np.stack([np.sum(x * (k == INDICES)) for k in range(3)])
    return (2 * g * s)[INDICES]


def _fraction_vjp(g: Array, x: Array) -> Array:
    a = 1 + x
    b = 1 + x / a
    c = 1 + x / b
    by_c = -g / c**2
    by_b = -by_c * x / b**2
    by_a = -by_b * x / a**2
    return by_a + by_b / a + by_c / b


FUNCTIONS: list[Right] = [
    Right("take with repeats", lambda x: x[INDICES],
          lambda g, x: _added_at(x.shape, INDICES, g), VECTOR),
    Right("embedding", _embedding, lambda g, w, i: _added_at(w.shape, i, g),
          beside(TABLE, fixed(INDICES))),
    Right("bag of embeddings", _bag,
          lambda g, w, i: _added_at(w.shape, i, np.ones((i.size, 1)) * g / i.size),
          beside(TABLE, fixed(INDICES))),
    Right("scatter-add, squared", _scatter, _scatter_vjp,
          reals((5,), saturated=None, huge=(1e2, 1e5), tiny=(1e-6, 1e-2))),
    Right("sums of segments", _segments, lambda g, x: g[np.array([0, 1, 2, 0, 2])], VECTOR),
    Right("every second, backwards", lambda x: x[::-2],
          lambda g, x: _added_at(x.shape, np.array([4, 2, 0]), g), VECTOR),
    Right("a mask of booleans", lambda x, m: x[m],
          lambda g, x, m: _added_at(x.shape, np.flatnonzero(m), g),
          beside(VECTOR, fixed(np.array([True, False, True, True, False])))),
    Right("diagonal and its sum", lambda a: np.diagonal(a) * np.trace(a),
          lambda g, a: np.eye(3) * (g * np.trace(a) + np.sum(g * np.diagonal(a))),
          reals((3, 3), saturated=None, huge=(1e2, 1e5), tiny=(1e-6, 1e-2))),
    Right("windows that overlap", lambda x: np.stack([x[i : i + 3] for i in range(3)]),
          lambda g, x: np.stack([np.sum(np.fliplr(g).diagonal(2 - k)) for k in range(5)]), VECTOR),
    Right("rolled and multiplied", lambda x: x * np.roll(x, 1),
          lambda g, x: g * np.roll(x, 1) + np.roll(g * x, -1),
          reals((5,), saturated=None, huge=(1e2, 1e6))),
    Right("padded by reflection", lambda x: np.concatenate([x[2:0:-1], x]),
          lambda g, x: g[2:] + np.concatenate([np.zeros(1), g[1::-1], np.zeros(2)]), VECTOR),
    Right("concatenated with itself", lambda x: np.concatenate([x, x[:2], np.sin(x)]),
          lambda g, x: g[:5] + np.concatenate([g[5:7], np.zeros(3)]) + g[7:] * np.cos(x),
          reals((5,), saturated=None, huge=(1e1, 1e3))),
    Right("cumulative sum", lambda x: np.cumsum(x), lambda g, x: np.cumsum(g[::-1])[::-1], VECTOR),
    Right("cumulative product", lambda x: np.cumprod(x), _cumprod_vjp, _zeros_in(1)),
    Right("cumulative product through two zeros", lambda x: np.cumprod(x), _cumprod_vjp,
          _zeros_in(2)),
    of_one_number("product through a zero", lambda x: np.prod(x), _others, _zeros_in(1)),
    of_one_number("product through two zeros", lambda x: np.prod(x), _others, _zeros_in(2)),
    Right("log of cumulative exponentials", _log_cumsum_exp, _log_cumsum_exp_vjp,
          reals((5,), saturated=(4.0, 15.0), huge=(20.0, 200.0))),
    Right("differences", lambda x: x[1:] - x[:-1],
          lambda g, x: np.concatenate([-g[:1], g[:-1] - g[1:], g[-1:]]), VECTOR),
    Right("linear recurrence", _recurrence, _recurrence_vjp,
          beside(VECTOR, {"ordinary": lambda rng: (np.array(rng.uniform(-0.9, 0.9)),),
                          "saturated": lambda rng: (np.array(1 - 1e-6),),
                          "huge": lambda rng: (np.array(30.0),)})),
    Right("polynomial by Horner", lambda c, x: ((c[3] * x + c[2]) * x + c[1]) * x + c[0],
          lambda g, c, x: (np.stack([np.sum(g), np.sum(g * x), np.sum(g * x**2), np.sum(g * x**3)]),
                           g * ((3 * c[3] * x + 2 * c[2]) * x + c[1])),
          reals((4,), (3,), saturated=None, huge=(1e2, 1e5), tiny=(1e-6, 1e-2))),
    Right("continued fraction", lambda x: 1 / (1 + x / (1 + x / (1 + x))),
          _fraction_vjp, above(0.0, tiny=(1e-6, 1e-2))),
    Right("outer product, upper part", lambda x: np.triu(np.outer(x, x)),
          lambda g, x: np.triu(g) @ x + np.triu(g).T @ x,
          reals((4,), saturated=None, huge=(1e2, 1e6))),
    Right("triangle of a matrix", lambda a: np.tril(a, -1),
          lambda g, a: np.tril(g, -1), TABLE),
]  # fmt: skip
