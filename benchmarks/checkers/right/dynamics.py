"""Right functions that step, iterate or solve: differential equations, fixed points, roots.

The gradient of what is solved is that of the solution, by the implicit function theorem.

Not for: scans over a given sequence (``indexing.py``).
"""

from __future__ import annotations

import numpy as np

from benchmarks.checkers.right.points import Where, above, beside, fixed, reals
from benchmarks.checkers.right.right import Array, Right, elementwise, of_one_number

STATE = reals((3,), saturated=(2.0, 5.0), huge=None, tiny=(1e-9, 1e-2))
ROUNDS = 100


def _logistic_map(x: Array, r: float, n: int) -> Array:
    for _ in range(n):
        x = r * x * (1 - x)
    return x


def _logistic_map_vjp(g: Array, x: Array, r: float, n: int) -> Array:
    for _ in range(n):
        g = g * r * (1 - 2 * x)
        x = r * x * (1 - x)
    return g


def _euler(x: Array, k: Array) -> Array:
    """Ten steps of x' = -k x³."""
    for _ in range(10):
        x = x - 0.01 * k * x**3
    return x


def _euler_vjp(g: Array, x: Array, k: Array) -> tuple[Array, Array]:
    states = [x]
    for _ in range(9):
        states.append(states[-1] - 0.01 * k * states[-1] ** 3)
    dk = 0.0
    for s in reversed(states):
        dk = dk - np.sum(g * 0.01 * s**3)
        g = g * (1 - 0.03 * k * s**2)
    return g, np.asarray(dk)


def _field(x: Array) -> Array:
    return np.stack([x[1], -np.sin(x[0])])


def _field_vjp(g: Array, x: Array) -> Array:
    return np.stack([-g[1] * np.cos(x[0]), g[0]])


def _midpoint(x: Array) -> Array:
    """A pendulum, five steps of the midpoint rule."""
    for _ in range(5):
        x = x + 0.2 * _field(x + 0.1 * _field(x))
    return x


def _midpoint_vjp(g: Array, x: Array) -> Array:
    states = [x]
    for _ in range(4):
        states.append(states[-1] + 0.2 * _field(states[-1] + 0.1 * _field(states[-1])))
    for s in reversed(states):
        d = _field_vjp(0.2 * g, s + 0.1 * _field(s))
        g = g + d + _field_vjp(0.1 * d, s)
    return g


def _kepler(m: Array) -> Array:
    """E - 0.6 sin E = M, by Newton's iteration."""
    e = m + 0.6 * np.sin(m)
    for _ in range(12):
        e = e - (e - 0.6 * np.sin(e) - m) / (1 - 0.6 * np.cos(e))
    return e


def _square_root(a: Array) -> Array:
    """Heron's iteration, from the size of the number."""
    x = 1 + a
    for _ in range(60):
        x = (x + a / x) / 2
    return x


def _cubic_root(a: Array) -> Array:
    """x³ + x = a, by Newton's iteration."""
    x = np.cbrt(a)
    for _ in range(60):
        x = x - (x**3 + x - a) / (3 * x * x + 1)
    return x


def _equilibrium(w: Array, b: Array) -> Array:
    """Z = tanh(w z + b), a contraction."""
    z = 0 * b
    for _ in range(2 * ROUNDS):
        z = np.tanh(0.2 * np.tanh(w) @ z + b)
    return z


def _equilibrium_vjp(g: Array, w: Array, b: Array) -> tuple[Array, Array]:
    z = _equilibrium(w, b)
    s = 1 - z * z
    h = s * np.linalg.solve(np.eye(b.size) - 0.2 * np.tanh(w).T * s, g)
    return 0.2 * np.outer(h, z) * (1 - np.tanh(w) ** 2), h


def _cosine_point(a: Array) -> Array:
    """X = cos(a x), by bisection: a step function of fine steps, for all that floats tell."""
    low, high = 0 * a, 1 + 0 * a
    for _ in range(ROUNDS * 3):
        middle = (low + high) / 2
        above = middle > np.cos(a * middle)
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return (low + high) / 2


def _cosine_slope(a: Array) -> Array:
    x = _cosine_point(a)
    return -x * np.sin(a * x) / (1 + a * np.sin(a * x))


def _sinkhorn(c: Array) -> Array:
    """A doubly stochastic matrix from costs."""
    k = np.exp(-c)
    for _ in range(6):
        k = k / np.sum(k, 1, keepdims=True)
        k = k / np.sum(k, 0, keepdims=True)
    return k


def _sinkhorn_vjp(g: Array, c: Array) -> Array:
    k, trail = np.exp(-c), []
    for _ in range(6):
        trail.append((k, 1))
        k = k / np.sum(k, 1, keepdims=True)
        trail.append((k, 0))
        k = k / np.sum(k, 0, keepdims=True)
    for before, axis in reversed(trail):
        s = np.sum(before, axis, keepdims=True)
        g = g / s - np.sum(g * before, axis, keepdims=True) / s**2
    return -g * np.exp(-c)


def _descent(w: Array, rate: Array) -> Array:
    """Where five steps of gradient descent on a quartic lead."""
    for _ in range(5):
        w = w - rate * (w**3 - w)
    return w


def _descent_vjp(g: Array, w: Array, rate: Array) -> tuple[Array, Array]:
    states = [w]
    for _ in range(4):
        states.append(states[-1] - rate * (states[-1] ** 3 - states[-1]))
    by_rate = 0.0
    for s in reversed(states):
        by_rate = by_rate - np.sum(g * (s**3 - s))
        g = g * (1 - rate * (3 * s * s - 1))
    return g, np.asarray(by_rate)


def _heat(u: Array, steps: int) -> Array:
    for _ in range(steps):
        u = u + 0.2 * (np.roll(u, 1) - 2 * u + np.roll(u, -1))
    return u


def _bounce(h: Array) -> Array:
    """How far a ball has come at time 1 after at most one bounce on the floor."""
    t = np.sqrt(2 * h)
    falls = h - 0.5
    return np.where(t >= 1, falls, 0.8 * t * (1 - t) - 0.5 * (1 - t) ** 2)


def _bounce_slope(h: Array) -> Array:
    t = np.sqrt(2 * h)
    return np.where(t >= 1, 1.0, (0.8 - 1.6 * t + (1 - t)) / t)


UNIT: Where = {
    "ordinary": lambda rng: (rng.uniform(0.1, 0.9, 3),),
    "domain end": lambda rng: (10 ** rng.uniform(-9, -3, 3),),
    "near ties": lambda rng: (0.5 + 10 ** rng.uniform(-9, -3, 3),),
}

FUNCTIONS: list[Right] = [
    Right("logistic map, 5 times", _logistic_map, _logistic_map_vjp,
          beside(UNIT, fixed(3.7), fixed(5))),
    Right("logistic map, 30 times: chaos", _logistic_map, _logistic_map_vjp,
          beside(UNIT, fixed(3.7), fixed(30))),
    Right("Euler's steps", _euler, _euler_vjp, beside(STATE, reals((), huge=None, saturated=None))),
    Right("pendulum by the midpoint rule", _midpoint, _midpoint_vjp,
          reals((2,), saturated=(2.0, 4.0), huge=(1e1, 1e2), tiny=(1e-9, 1e-2))),
    elementwise("Kepler's equation", _kepler, lambda m: 1 / (1 - 0.6 * np.cos(_kepler(m))),
                reals(saturated=None, huge=(1e1, 1e3), tiny=(1e-9, 1e-2))),
    elementwise("Heron's square root", _square_root, lambda a: 0.5 / _square_root(a),
                above(0.0, huge=(1e2, 1e6), end=(1e-6, 1e-3))),
    elementwise("root of a cubic", _cubic_root, lambda a: 1 / (3 * _cubic_root(a) ** 2 + 1),
                reals(huge=(1e2, 1e6), tiny=(1e-3, 1e-2))),
    Right("equilibrium of a layer", _equilibrium, _equilibrium_vjp,
          reals((2, 2), (2,), saturated=(3.0, 6.0), huge=None)),
    elementwise("fixed point by bisection", _cosine_point, _cosine_slope,
                {"ordinary": lambda rng: (rng.uniform(0.2, 1.5, 3),),
                 "tiny": lambda rng: (10 ** rng.uniform(-6, -2, 3),)}),
    Right("Sinkhorn's iteration", _sinkhorn, _sinkhorn_vjp,
          reals((3, 3), saturated=(3.0, 8.0), huge=(10.0, 30.0))),
    Right("descent, differentiated", _descent, _descent_vjp,
          beside(reals((3,), saturated=None, huge=None, kinks=(1.0, -1.0)),
                 {"ordinary": lambda rng: (np.array(rng.uniform(0.01, 0.2)),),
                  "tiny": lambda rng: (np.array(1e-9),)})),
    Right("heat on a ring", _heat, lambda g, u, n: _heat(g, n),
          beside(reals((6,), saturated=None, huge=(1e2, 1e8)), fixed(8))),
    elementwise("a ball that may bounce", _bounce, _bounce_slope,
                {"ordinary": lambda rng: (rng.uniform(0.1, 0.4, 3),),
                 "near ties": lambda rng: (0.5 + 10 ** rng.uniform(-13, -3,
                     3) * rng.choice([-1, 1], 3),),
                 "domain end": lambda rng: (10 ** rng.uniform(-9, -3, 3),)}),
    of_one_number("energy of coupled springs",
                  lambda x: np.sum((x[1:] - x[:-1]) ** 2) + 0.25 * np.sum(x**4),
                  lambda x: 2 * (np.concatenate([np.zeros(1), x[1:] - x[:-1]])
                                 - np.concatenate([x[1:] - x[:-1], np.zeros(1)])) + x**3,
                  reals((5,), huge=(1e2, 1e4))),
    of_one_number("Lennard-Jones", lambda r: np.sum(4 * (r**-12.0 - r**-6.0)),
                  lambda r: 4 * (6 * r**-7.0 - 12 * r**-13.0),
                  {"ordinary": lambda rng: (rng.uniform(0.9, 2, 3),),
                   "domain end": lambda rng: (rng.uniform(0.05, 0.3, 3),),
                   "saturated": lambda rng: (rng.uniform(5, 30, 3),),
                   "near ties": lambda rng: (2 ** (1 / 6) + 10 ** rng.uniform(-9, -3, 3),)}),
]  # fmt: skip
