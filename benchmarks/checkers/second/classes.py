"""Faults in classes with ``forward`` and ``backward``, as courses write them.

The glue is what somebody would write today: run forward, then backward, and return the gradients.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.checkers.second.arrays import normal, sigmoid
from benchmarks.checkers.second.pairs import Array, Pair, by_hand


class LSTM:
    """One layer over a sequence (T, D), in the order forget, input, candidate, output."""

    def __init__(self, w: Array, u: Array, b: Array, fault: str = "") -> None:
        self.w, self.u, self.b, self.fault = w, u, b, fault
        self.cache: list[Any] = []

    def forward(self, x: Array) -> Array:
        """The states (T, H)."""
        n = self.u.shape[1]
        h, c, out = np.zeros(n), np.zeros(n), []
        for step in x:
            z = self.w @ step + self.u @ h + self.b
            f, i, o = sigmoid(z[:n]), sigmoid(z[n : 2 * n]), sigmoid(z[3 * n :])
            a = np.tanh(z[2 * n : 3 * n])
            self.cache.append((step, h, c, f, i, a, o))
            c = f * c + i * a
            h = o * np.tanh(c)
            self.cache[-1] += (c,)
            out.append(h)
        return np.stack(out)

    def backward(self, g: Array) -> tuple[Array, Array, Array, Array]:
        """The gradients by the sequence and the weights."""
        n = self.u.shape[1]
        dw, du, db = np.zeros_like(self.w), np.zeros_like(self.u), np.zeros_like(self.b)
        dh, dc = np.zeros(n), np.zeros(n)
        dx = []
        for step, (x, h, c0, f, i, a, o, c) in zip(g[::-1], self.cache[::-1], strict=True):
            dh = step + dh
            t = np.tanh(c)
            dc = dc + dh * o * (1 - t * t)
            df = dc * c0 * (sigmoid(f) if self.fault == "forget" else f * (1 - f))
            dz = np.concatenate([
                df, dc * a * i * (1 - i), dc * i * (1 - a * a), dh * t * o * (1 - o)
            ])  # fmt: skip
            dw += np.outer(dz, x)
            du += np.outer(dz, h)
            db += dz
            dx.append(self.w.T @ dz)
            dh, dc = self.u.T @ dz, dc * f
            if self.fault == "next":
                dh, dc = np.zeros(n), np.zeros(n)
            elif self.fault == "hidden":
                dh = np.zeros(n)
        return np.stack(dx[::-1]), dw, du, db


def _run(x: Array, w: Array, u: Array, b: Array) -> Array:
    return LSTM(w, u, b).forward(x)


def _lstm(fault: str) -> Any:
    def vjp(g: Array, x: Array, w: Array, u: Array, b: Array) -> tuple[Array, ...]:
        layer = LSTM(w, u, b, fault)
        layer.forward(x)
        return layer.backward(g)

    return vjp


class Bidirectional:
    """Two running sums, one from each end, side by side: a layer with two directions."""

    def __init__(self, fault: bool = False) -> None:
        self.fault = fault

    def forward(self, x: Array) -> Array:
        """From (T,) to (T, 2)."""
        self.x = x
        return np.stack([np.cumsum(x**2), np.cumsum(np.sin(x)[::-1])[::-1]], axis=1)

    def backward(self, g: Array) -> Array:
        """The gradient by the sequence."""
        dy = g.copy()
        forward = np.cumsum(dy[::-1, 0])[::-1] * 2 * self.x
        if self.fault:
            dy[:, 1] = forward  # the memory of dy takes the result, before the other half reads it
        return forward + np.cumsum(dy[:, 1]) * np.cos(self.x)


def _bidirectional(fault: bool) -> Any:
    def vjp(g: Array, x: Array) -> Array:
        layer = Bidirectional(fault)
        layer.forward(x)
        return layer.backward(g)

    return vjp


LSTM_INPUTS = normal((4, 2), (12, 2), (12, 3), (12,))

PAIRS: list[Pair] = [
    by_hand("LSTM whose forget gate has no derivative", "CaptainE/RNN-LSTM-in-numpy#1, first",
            LSTM_INPUTS, _run, _lstm(""), _lstm("forget")),
    by_hand("LSTM that hands nothing to the step before", "CaptainE/RNN-LSTM-in-numpy#1, second",
            LSTM_INPUTS, _run, _lstm(""), _lstm("next")),
    by_hand("LSTM whose hidden gradient is set to 0", "ooples/AiDotNet#722", LSTM_INPUTS, _run,
            _lstm(""), _lstm("hidden")),
    by_hand("two directions: one overwrites the other's upstream", "apache/mxnet#18203",
            normal((5,)), lambda x: Bidirectional().forward(x), _bidirectional(False),
            _bidirectional(True)),
]  # fmt: skip
