"""Right layers and small networks by hand: classes with forward and backward, many parameters.

Not for: single formulas.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.checkers.right.losses import softmax, softmax_vjp
from benchmarks.checkers.right.points import Where, reals
from benchmarks.checkers.right.reductions import layer_norm, layer_norm_vjp
from benchmarks.checkers.right.right import Array, Right, of_one_number


def sigmoid(x: Array) -> Array:
    """The logistic function."""
    return 1 / (1 + np.exp(-x))


class Dense:
    """x W + b, then tanh."""

    def __init__(self, w: Array, b: Array) -> None:
        self.w, self.b = w, b

    def forward(self, x: Array) -> Array:
        """Compute, and remember."""
        self.x, self.y = x, np.tanh(x @ self.w + self.b)
        return self.y

    def backward(self, g: Array) -> Array:
        """The gradient by the input; those of the parameters stay here."""
        d = g * (1 - self.y**2)
        self.dw, self.db = self.x.T @ d, np.sum(d, 0)
        return d @ self.w.T


def _stack(*parameters: Array) -> list[Dense]:
    return [Dense(w, b) for w, b in zip(parameters[::2], parameters[1::2], strict=True)]


def _network(x: Array, *parameters: Array) -> Array:
    for layer in _stack(*parameters):
        x = layer.forward(x)
    return x


def _network_vjp(g: Array, x: Array, *parameters: Array) -> tuple[Array, ...]:
    layers = _stack(*parameters)
    for layer in layers:
        x = layer.forward(x)
    for layer in reversed(layers):
        g = layer.backward(g)
    return (g, *(d for layer in layers for d in (layer.dw, layer.db)))


class Cell:
    """A gated recurrent cell, run over a sequence (T, n)."""

    def __init__(self, w: Array, u: Array) -> None:
        self.w, self.u = w, u
        self.cache: list[Any] = []

    def forward(self, x: Array) -> Array:
        """The last state."""
        n = self.w.shape[1] // 2
        h = np.zeros(n)
        for step in x:
            a = step @ self.w + h @ self.u
            z, c = sigmoid(a[:n]), np.tanh(a[n:])
            self.cache.append((step, h, z, c))
            h = (1 - z) * h + z * c
        return h

    def backward(self, g: Array) -> tuple[Array, Array, Array]:
        """The gradients by the sequence and the weights."""
        dw, du, dx = 0.0 * self.w, 0.0 * self.u, []
        for step, h, z, c in reversed(self.cache):
            da = np.concatenate([g * (c - h) * z * (1 - z), g * z * (1 - c * c)])
            dw, du = dw + np.outer(step, da), du + np.outer(h, da)
            dx.append(self.w @ da)
            g = g * (1 - z) + self.u @ da
        return np.stack(dx[::-1]), dw, du


def _cell_vjp(g: Array, x: Array, w: Array, u: Array) -> tuple[Array, Array, Array]:
    cell = Cell(w, u)
    cell.forward(x)
    return cell.backward(g)


def _block(x: Array, w: Array, v: Array) -> Array:
    """A residual block: x + relu(norm(x) W) V."""
    return x + np.maximum(layer_norm(x) @ w, 0.0) @ v


def _block_vjp(g: Array, x: Array, w: Array, v: Array) -> tuple[Array, Array, Array]:
    n = layer_norm(x)
    a = n @ w
    d = (g @ v.T) * (a > 0)
    return g + layer_norm_vjp(d @ w.T, x), n.T @ d, np.maximum(a, 0.0).T @ g


def _classifier(x: Array, w: Array, b: Array) -> Array:
    p = softmax(np.tanh(x) @ w + b)
    return -np.mean(np.log(p[:, 0]))


def _classifier_gradient(x: Array, w: Array, b: Array) -> tuple[Array, Array, Array]:
    t = np.tanh(x)
    d = (softmax(t @ w + b) - (np.arange(b.size) == 0)) / len(x)
    return (d @ w.T) * (1 - t * t), t.T @ d, np.sum(d, 0)


def _highway(x: Array, w: Array, t: Array) -> Array:
    s = sigmoid(x @ t)
    return s * np.tanh(x @ w) + (1 - s) * x


def _highway_vjp(g: Array, x: Array, w: Array, t: Array) -> tuple[Array, Array, Array]:
    s, h = sigmoid(x @ t), np.tanh(x @ w)
    ds, dh = g * (h - x) * s * (1 - s), g * s * (1 - h * h)
    return g * (1 - s) + ds @ t.T + dh @ w.T, x.T @ dh, x.T @ ds


def _experts(x: Array, gate: Array, w: Array) -> Array:
    """Experts (k, n, m) mixed by a softmax."""
    return np.einsum("bk,bkm->bm", softmax(x @ gate), np.einsum("bn,knm->bkm", x, w))


def _experts_vjp(g: Array, x: Array, gate: Array, w: Array) -> tuple[Array, Array, Array]:
    p, y = softmax(x @ gate), np.einsum("bn,knm->bkm", x, w)
    dl = softmax_vjp(np.einsum("bm,bkm->bk", g, y), x @ gate)
    dy = p[:, :, None] * g[:, None]
    return dl @ gate.T + np.einsum("bkm,knm->bn", dy, w), x.T @ dl, np.einsum("bn,bkm->knm", x, dy)


def _scaled_parts(a: Array, b: Array, c: Array) -> Array:
    return 1e6 * np.sum(np.sin(a)) + np.sum(b**2) + 1e-5 * np.sum(np.exp(c))


def _unlike(*scales: float) -> Where:
    """Parameters of unlike sizes in one call."""
    return {
        "ordinary": lambda rng: tuple(rng.normal(size=3) for _ in scales),
        "huge": lambda rng: tuple(s * rng.normal(size=3) for s in scales),
        "tiny": lambda rng: tuple(rng.normal(size=3) / s for s in scales),
    }


def _penalised(w: Array, b: Array) -> Array:
    """A loss on one side, a hundred thousand times smaller penalty on the other."""
    return np.sum(np.log(np.cosh(w))) * 1e3 + 1e-2 * np.sum(abs(b) ** 1.5)


def _wide_sum(x: Array) -> Array:
    return np.sum(np.tanh(x) * np.arange(x.size))


def _chain(depth: int) -> tuple[Any, Any]:
    """Sigmoids one after the other: the first ones' gradients all but vanish."""

    def value(x: Array, w: Array) -> Array:
        for i in range(depth):
            x = sigmoid(w[i] * x)
        return x

    def vjp(g: Array, x: Array, w: Array) -> tuple[Array, Array]:
        states = [x]
        for i in range(depth):
            states.append(sigmoid(w[i] * states[-1]))
        dw = [0.0] * depth
        for i in reversed(range(depth)):
            d = g * states[i + 1] * (1 - states[i + 1])
            dw[i] = np.sum(d * states[i])
            g = d * w[i]
        return g, np.stack(dw)

    return value, vjp


def _matrix_factors(u: Array, v: Array) -> Array:
    return np.sum((u @ v - np.eye(3)) ** 2)


def _hinge_network(x: Array, w: Array) -> Array:
    return np.sum(np.maximum(0.0, 1 - np.maximum(x @ w, 0.0)))


def _hinge_network_gradient(x: Array, w: Array) -> tuple[Array, Array]:
    a = x @ w
    d = -1.0 * ((a > 0) & (a < 1))
    return d @ w.T, x.T @ d


NETWORK = reals(
    (3, 2), (2, 4), (4,), (4, 2), (2,), saturated=(2.0, 4.0), huge=None, tiny=(1e-4, 1e-2)
)

FUNCTIONS: list[Right] = [
    Right("network of two layers, as classes", _network, _network_vjp, NETWORK),
    Right("gated cell over a sequence, as a class", lambda x, w, u: Cell(w, u).forward(x),
          _cell_vjp,
          reals((4, 2), (2, 6), (3, 6), saturated=(2.0, 4.0), huge=(5.0, 10.0), tiny=(1e-4, 1e-2))),
    Right("residual block", _block, _block_vjp,
          reals((3, 4), (4, 5), (5, 4), saturated=None, huge=(1e2, 1e4), tiny=(1e-4, 1e-2))),
    of_one_number("classifier", _classifier, _classifier_gradient,
                  reals((4, 3), (3, 2), (2,), saturated=(3.0, 8.0), huge=(20.0, 60.0))),
    Right("highway layer", _highway, _highway_vjp,
          reals((3, 2), (2, 2), (2, 2), saturated=(2.0, 4.0), huge=(5.0, 10.0))),
    Right("mixture of experts", _experts, _experts_vjp,
          reals((3, 2), (2, 3), (3, 2, 2), saturated=(2.0, 5.0), huge=(10.0, 20.0))),
    of_one_number("parts of unlike size", _scaled_parts,
                  lambda a, b, c: (1e6 * np.cos(a), 2 * b, 1e-5 * np.exp(c)),
                  _unlike(1e2, 1e4, 2.0)),
    of_one_number("loss and a small penalty", _penalised,
                  lambda w, b: (1e3 * np.tanh(w), 1.5e-2 * np.sign(b) * np.sqrt(abs(b))),
                  _unlike(10.0, 1e4)),
    of_one_number("a thousand inputs", _wide_sum,
                  lambda x: np.arange(x.size) * (1 - np.tanh(x) ** 2),
                  reals((1000,), saturated=(4.0, 12.0), huge=(20.0, 60.0))),
    of_one_number("ten thousand inputs", lambda x: np.sum(x * x) / x.size,
                  lambda x: 2 * x / x.size, reals((10000,), saturated=None, huge=(1e2, 1e6))),
    Right("a long vector, element by element", lambda x: x * np.exp(-x * x),
          lambda g, x: g * (1 - 2 * x * x) * np.exp(-x * x),
          reals((700,), saturated=(2.0, 5.0), huge=(6.0, 20.0))),
    Right("three sigmoids in a chain", *_chain(3), reals((2,), (3,), saturated=(4, 9), huge=None)),
    Right("ten sigmoids in a chain", *_chain(10), reals((2,), (10,), saturated=(4, 9), huge=None)),
    Right("twenty-two sigmoids in a chain", *_chain(22), reals((2,), (22,), saturated=None,
              huge=None,
                                                              tiny=None)),
    of_one_number("matrix factors", _matrix_factors,
                  lambda u, v: (2 * (u @ v - np.eye(3)) @ v.T, 2 * u.T @ (u @ v - np.eye(3))),
                  reals((3, 2), (2, 3), saturated=None, huge=(1e2, 1e4))),
    of_one_number("hinge behind relu", _hinge_network, _hinge_network_gradient,
                  reals((4, 3), (3, 2), huge=(1e2, 1e4), tiny=(1e-3, 1e-1))),
    Right("two outputs", lambda x, w: (np.tanh(x @ w), np.sum(x * x)),
          lambda gs, x, w: ((gs[0] * (1 - np.tanh(x @ w) ** 2)) @ w.T + 2 * gs[1] * x,
                            x.T @ (gs[0] * (1 - np.tanh(x @ w) ** 2))),
          reals((3, 2), (2, 2), saturated=(2.0, 4.0), huge=(8.0, 20.0))),
]  # fmt: skip
