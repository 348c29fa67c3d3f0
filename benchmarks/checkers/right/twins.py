"""Wrong functions at nasty points: each with a fault that matters there, and can be measured there.

A checker that calls everything inconclusive raises no false alarm; here it shows.

Not for: faults at ordinary points (``benchmarks.checkers.second``, ``benchmarks.checkers.faults``).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.checkers.right.elementwise import sigmoid
from benchmarks.checkers.right.linear_algebra import symmetric
from benchmarks.checkers.right.losses import log_sum_exp, softmax
from benchmarks.checkers.right.points import Draw, log_uniform
from benchmarks.checkers.right.right import Array

__all__ = ["TWINS", "Twin"]


@dataclass(frozen=True)
class Twin:
    """A function, a gradient that is wrong at the points that are drawn, and one that is right."""

    name: str
    of: str  # the kind of point
    f: Callable[..., Any]
    wrong: Callable[..., Any]
    right: Callable[..., Any]
    draw: Draw
    points: int = 5

    @property
    def vjp(self) -> Callable[..., Any]:
        """What a checker is given."""
        return self.wrong

    def inputs(self, point: int) -> tuple[Any, ...]:
        """Draw the inputs of a point: the same ones every time."""
        return self.draw(np.random.default_rng((point, zlib.crc32(self.name.encode()))))


def _slopes(
    name: str, of: str, f: Any, wrong: Callable[[Array], Array], right: Callable[[Array], Array],
    draw: Callable[[np.random.Generator], Array],
) -> Twin:  # fmt: skip
    return Twin(name, of, f, lambda g, x: g * wrong(x), lambda g, x: g * right(x),
                lambda rng: (np.asarray(draw(rng)),))  # fmt: skip


def _range(low: float, high: float, signed: bool = False) -> Callable[..., Array]:
    def draw(rng: np.random.Generator) -> Array:
        x = log_uniform(rng, low, high, 3)
        return x * rng.choice([-1.0, 1.0], 3) if signed else x

    return draw


def _near(place: float, low: float, high: float, side: float = 0.0) -> Callable[..., Array]:
    def draw(rng: np.random.Generator) -> Array:
        return place + log_uniform(rng, low, high, 3) * (side or rng.choice([-1.0, 1.0], 3))

    return draw


def _tied(n: int, low: float, high: float) -> Callable[..., Array]:
    """All but two elements far below, those two all but equal."""

    def draw(rng: np.random.Generator) -> Array:
        x = -3 - rng.random(n)
        i, j = rng.choice(n, 2, replace=False)
        x[i] = 1.0
        x[j] = 1.0 - log_uniform(rng, low, high)
        return x

    return draw


def _one_hot(x: Array, i: Any) -> Array:
    return (np.arange(x.size) == i) * 1.0


def _doubled(where: Any, slope: Array) -> Array:
    return slope * np.where(where, 2.0, 1.0)


def _spectrum(low: float, high: float) -> Draw:
    def draw(rng: np.random.Generator) -> tuple[Array]:
        q = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        return (symmetric((q * np.array([log_uniform(rng, low, high), 1.0, 3.0])) @ q.T),)

    return draw


def _sech2(x: Array) -> Array:
    return 1 / np.cosh(x) ** 2


def _checked_log(x: Array) -> Array:
    if np.any(x <= 0):
        raise ValueError("log of what is not positive")
    return np.log(x)


def _single(x: Array) -> Array:
    return np.asarray(np.asarray(x, np.float32), np.float64)


def _cumprod_right(g: Array, x: Array) -> Array:
    rest = [np.prod(np.delete(x[: j + 1], i)) if i <= j else 0.0
            for i in range(x.size) for j in range(x.size)]  # fmt: skip
    return np.stack(rest).reshape(x.size, x.size) @ g


def _with_zero(rng: np.random.Generator) -> Array:
    x = rng.uniform(0.5, 1.5, 4)
    x[rng.integers(1, 3)] = 0.0
    return x


def _solve_vjp(by_b: Array, a: Array, b: Array) -> tuple[Array, Array]:
    return -symmetric(np.outer(by_b, np.linalg.solve(symmetric(a) + SKEW, b))), by_b


SKEW = np.array([[0.0, 0.5, 0.0], [-0.5, 0.0, 0.25], [0.0, -0.25, 0.0]])

TWINS: list[Twin] = [
    _slopes("tanh: twice in the tail", "saturated", lambda x: np.tanh(x),
            lambda x: _doubled(x > 3, _sech2(x)), _sech2, _range(4, 9)),
    _slopes("tanh: 0 in the tail", "saturated", lambda x: np.tanh(x),
            lambda x: np.where(abs(x) > 5, 0.0, _sech2(x)), _sech2, _range(5.5, 8, True)),
    _slopes("sigmoid: sign lost in the tail", "saturated", sigmoid,
            lambda x: sigmoid(x) * (1 - sigmoid(x)) * np.where(x < -6, -1.0, 1.0),
            lambda x: sigmoid(x) * (1 - sigmoid(x)), lambda rng: -_range(7, 14)(rng)),
    _slopes("softplus: slope 1 beyond 8", "saturated", lambda x: np.log1p(np.exp(x)),
            lambda x: np.where(x > 8, 1.0, sigmoid(x)), sigmoid, _range(8.5, 11)),
    _slopes("log-sigmoid: 0 beyond 10", "saturated", lambda x: -np.log1p(np.exp(-x)),
            lambda x: np.where(x > 10, 0.0, 1 / (1 + np.exp(x))), lambda x: 1 / (1 + np.exp(x)),
            _range(11, 20)),
    _slopes("bell: twice beyond 3", "saturated", lambda x: np.exp(-x * x),
            lambda x: _doubled(abs(x) > 3, -2 * x * np.exp(-x * x)),
            lambda x: -2 * x * np.exp(-x * x), _range(3.2, 5, True)),
    _slopes("gelu: the last term missing in the tail", "saturated",
            lambda x: 0.5 * x * (1 + np.tanh(0.8 * (x + 0.045 * x**3))),
            lambda x: 0.5 * (1 + np.tanh(0.8 * (x + 0.045 * x**3))),
            lambda x: 0.5 * (1 + np.tanh(0.8 * (x + 0.045 * x**3)))
            + 0.5 * x * _sech2(0.8 * (x + 0.045 * x**3)) * 0.8 * (1 + 0.135 * x * x),
            _range(2, 3.2, True)),
    Twin("softmax: off the diagonal lost at confidence", "saturated", softmax,
         lambda g, x: softmax(x) * (1 - softmax(x)) * g,
         lambda g, x: softmax(x) * (g - np.sum(g * softmax(x))),
         lambda rng: (np.array([0.0, 6.0, -5.0]) + rng.normal(size=3),)),
    Twin("cross-entropy: zero once it is small", "saturated",
         lambda x: (log_sum_exp(x) - x)[0],
         lambda g, x: g * (softmax(x) - _one_hot(x, 0)) * (softmax(x)[0] < 0.999),
         lambda g, x: g * (softmax(x) - _one_hot(x, 0)),
         lambda rng: (np.array([9.0, 0.0, -1.0]) + rng.normal(size=3),)),
    _slopes("arctan: 1 / (1 + x) far out", "saturated", lambda x: np.arctan(x),
            lambda x: 1 / (1 + x * x + np.where(x > 10, x, 0)), lambda x: 1 / (1 + x * x),
            _range(20, 200)),
    _slopes("square: 1 part in 1e4 at huge inputs", "huge", lambda x: x * x,
            lambda x: 2 * x * np.where(abs(x) > 1e3, 1.0001, 1), lambda x: 2 * x,
            _range(1e4, 1e9, True)),
    _slopes("log: a floor beneath the slope", "huge", lambda x: np.log(x),
            lambda x: np.maximum(1 / x, 1e-4), lambda x: 1 / x, _range(2e4, 1e7)),
    _slopes("exp: clipped slope", "huge", lambda x: np.exp(x),
            lambda x: np.minimum(np.exp(x), 1e20), lambda x: np.exp(x), _range(50, 300)),
    _slopes("cube: overflow guard", "huge", lambda x: x**3,
            lambda x: 3 * np.minimum(x * x, 1e8), lambda x: 3 * x * x, _range(1e5, 1e8, True)),
    _slopes("squareplus: wrong side", "huge", lambda x: (x + np.sqrt(x * x + 4)) / 2,
            lambda x: np.where(x > 50, 0.5, (1 + x / np.sqrt(x * x + 4)) / 2),
            lambda x: (1 + x / np.sqrt(x * x + 4)) / 2, _range(100, 1e4)),
    Twin("norm: epsilon too large for tiny inputs", "tiny", lambda x: np.sqrt(np.sum(x * x)),
         lambda g, x: g * x / (np.sqrt(np.sum(x * x)) + 1e-8),
         lambda g, x: g * x / np.sqrt(np.sum(x * x)),
         lambda rng: (1e-9 * (1 + rng.random(3)),)),
    _slopes("square root: epsilon in the slope", "tiny", lambda x: np.sqrt(x),
            lambda x: 0.5 / np.sqrt(x + 1e-6), lambda x: 0.5 / np.sqrt(x), _range(1e-8, 1e-6)),
    _slopes("cube: 0 at small inputs", "tiny", lambda x: x**3,
            lambda x: np.where(abs(x) < 1e-3, 0.0, 3 * x * x), lambda x: 3 * x * x,
            _range(1e-7, 1e-4, True)),
    _slopes("reciprocal: clipped", "tiny", lambda x: 1 / x, lambda x: -1 / np.maximum(x, 1e-3) ** 2,
            lambda x: -1 / x**2, _range(1e-7, 1e-4)),
    _slopes("tanh: cubic term twice", "tiny", lambda x: np.tanh(x),
            lambda x: np.where(abs(x) < 0.1, 1 - 2 * x * x, _sech2(x)), _sech2,
            _range(2e-2, 9e-2, True)),
    _slopes("x log x: 1 missing at small inputs", "tiny", lambda x: x * np.log(x),
            lambda x: np.log(x) + (x > 1e-3), lambda x: np.log(x) + 1, _range(1e-7, 1e-4)),
    _slopes("relu: the other branch just above", "near ties", lambda x: np.maximum(x, 0.0),
            lambda x: (x > 1e-6) * 1.0, lambda x: (x > 0) * 1.0, _near(0, 1e-10, 1e-7, 1.0)),
    _slopes("huber: the other branch near the bend", "near ties",
            lambda x: np.where(abs(x) <= 1, 0.5 * x * x, abs(x) - 0.5) * 1.0,
            lambda x: np.where(abs(x) <= 1 - 1e-2, x, 2 * np.sign(x)),
            lambda x: np.where(abs(x) <= 1, x, np.sign(x)), _near(1, 1e-6, 5e-3, -1.0)),
    _slopes("absolute value: sign lost near 0", "near ties", lambda x: abs(x),
            lambda x: np.where(abs(x) < 1e-5, -np.sign(x), np.sign(x)), lambda x: np.sign(x),
            _near(0, 1e-9, 1e-6)),
    _slopes("hard tanh: passes just outside", "near ties",
            lambda x: np.minimum(np.maximum(x, -1.0), 1.0), lambda x: (abs(x) < 1.001) * 1.0,
            lambda x: (abs(x) < 1) * 1.0, _near(1, 1e-6, 5e-4, 1.0)),
    Twin("largest: the second gets it near a tie", "near ties", lambda x: np.max(x),
         lambda g, x: g * _one_hot(x, np.argsort(x)[-2]),
         lambda g, x: g * _one_hot(x, np.argmax(x)), lambda rng: (_tied(5, 1e-8, 1e-4)(rng),)),
    Twin("largest: shared within a tolerance", "near ties", lambda x: np.max(x),
         lambda g, x: g * (x >= np.max(x) - 1e-3) / np.sum(x >= np.max(x) - 1e-3),
         lambda g, x: g * _one_hot(x, np.argmax(x)), lambda rng: (_tied(5, 1e-8, 1e-4)(rng),)),
    Twin("sort: not taken back to its places", "near ties", lambda x: np.sort(x),
         lambda g, x: g[np.argsort(x)], lambda g, x: g[np.argsort(np.argsort(x))],
         lambda rng: (np.array([2.0, 2.0 - log_uniform(rng, 1e-8, 1e-4), -1.0, 0.0]),)),
    Twin("median: of the neighbour", "near ties", lambda x: np.median(x),
         lambda g, x: g * _one_hot(x, np.argsort(x)[3]), lambda g,
         x: g * _one_hot(x, np.argsort(x)[2]),
         lambda rng: (np.array([0.0, log_uniform(rng, 1e-7, 1e-3), 2.0, -1.0, -2.0]),)),
    _slopes("log: half near its end", "domain end", _checked_log,
            lambda x: np.where(x < 1e-2, 0.5, 1.0) / x, lambda x: 1 / x, _range(1e-6, 5e-3)),
    _slopes("log: clipped near its end", "domain end", _checked_log,
            lambda x: 1 / np.maximum(x, 1e-3), lambda x: 1 / x, _range(1e-6, 5e-4)),
    _slopes("logit: one side lost near 1", "domain end", lambda p: np.log(p / (1 - p)),
            lambda p: 1 / p, lambda p: 1 / (p * (1 - p)), _near(1, 1e-4, 1e-2, -1.0)),
    _slopes("arcsin: epsilon under the root", "domain end", lambda x: np.arcsin(x),
            lambda x: 1 / np.sqrt(1 - x * x + 1e-3), lambda x: 1 / np.sqrt(1 - x * x),
            _near(1, 1e-4, 1e-2, -1.0)),
    Twin("log-determinant: half near singular", "domain end",
         lambda a: 2 * np.sum(np.log(np.diagonal(np.linalg.cholesky(symmetric(a))))),
         lambda g, a: g * symmetric(np.linalg.inv(symmetric(a))) / 2,
         lambda g, a: g * symmetric(np.linalg.inv(symmetric(a))), _spectrum(1e-4, 1e-2)),
    Twin("solve: not transposed near singular", "domain end",
         lambda a, b: np.linalg.solve(symmetric(a) + SKEW, b),
         lambda g, a, b: _solve_vjp(np.linalg.solve(symmetric(a) + SKEW, g), a, b),
         lambda g, a, b: _solve_vjp(np.linalg.solve((symmetric(a) + SKEW).T, g), a, b),
         lambda rng: (*_spectrum(1e-2, 1e-1)(rng), rng.normal(size=3))),
    _slopes("exp in float32: a tenth too much", "saturated", lambda x: _single(np.exp(_single(x))),
            lambda x: 1.1 * np.exp(x), lambda x: np.exp(x), lambda rng: rng.normal(size=3)),
    _slopes("sine in float32: sign flipped", "saturated", lambda x: _single(np.sin(_single(x))),
            lambda x: -np.cos(x), lambda x: np.cos(x), lambda rng: rng.normal(size=3)),
    Twin("small part beside a large one", "huge",
         lambda a, b: 1e6 * np.sum(np.sin(a)) + 1e-4 * np.sum(np.sin(b)),
         lambda g, a, b: (g * 1e6 * np.cos(a), -g * 1e-4 * np.cos(b)),
         lambda g, a, b: (g * 1e6 * np.cos(a), g * 1e-4 * np.cos(b)),
         lambda rng: (rng.normal(size=3), rng.normal(size=3))),
    Twin("cumulative product: 0 after a zero", "near ties", lambda x: np.cumprod(x),
         lambda g, x: np.where(x == 0, 0.0, _cumprod_right(g, x)), _cumprod_right,
         lambda rng: (_with_zero(rng),)),
    Twin("variance about a large mean: the mean's term", "huge",
         lambda x: np.mean((x - np.mean(x)) ** 2),
         lambda g, x: 2 * g * (x - np.mean(x)) / x.size + 2 * g * np.mean(x) * 1e-3 / x.size,
         lambda g, x: 2 * g * (x - np.mean(x)) / x.size,
         lambda rng: (1e3 + rng.normal(size=5),)),
]  # fmt: skip
