"""Small hand-written operations with their right derivatives, for faults to be planted in.

Convolution, pooling, normalisation and the like in plain NumPy, written for reading: each has a
forward function and a vjp that is right.  ``faults.py`` puts wrong ones in place.

Not for: use in networks (``tinygrad_lab.nn`` has fast ones).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
EPS = 1e-3


def unbroadcast(g: Array, shape: tuple[int, ...]) -> Array:
    """Sum a gradient over the axes that its operand was stretched along."""
    g = g.sum(axis=tuple(range(g.ndim - len(shape))))
    stretched = tuple(i for i, n in enumerate(shape) if n == 1 and g.shape[i] != 1)
    return np.array(g.sum(axis=stretched, keepdims=True))


# Convolution of rows: y[r, t] = sum_k w[k] x[r, t*stride + k*dilation - padding]


def conv1d(x: Array, w: Array, stride: int = 1, padding: int = 0, dilation: int = 1) -> Array:
    """Correlate each row of ``x`` with ``w``."""
    wide = np.pad(x, ((0, 0), (padding, padding)))
    length = (wide.shape[1] - (w.size - 1) * dilation - 1) // stride + 1
    starts = np.arange(length) * stride
    columns = [wide[:, starts + k * dilation] * w[k] for k in range(w.size)]
    return np.asarray(sum(columns))


def conv1d_vjp(
    g: Array, x: Array, w: Array, stride: int = 1, padding: int = 0, dilation: int = 1
) -> tuple[Array, Array]:
    """Give the gradients by ``x`` and ``w``."""
    wide = np.pad(x, ((0, 0), (padding, padding)))
    starts = np.arange(g.shape[1]) * stride
    dx, dw = np.zeros_like(wide), np.zeros_like(w)
    for k in range(w.size):
        dx[:, starts + k * dilation] += g * w[k]
        dw[k] = np.sum(g * wide[:, starts + k * dilation])
    return np.array(dx[:, padding : padding + x.shape[1]]), dw


def conv2d(x: Array, w: Array) -> Array:
    """Correlate an image with a filter."""
    rows, columns = x.shape[0] - w.shape[0] + 1, x.shape[1] - w.shape[1] + 1
    taps = [
        x[i : i + rows, j : j + columns] * w[i, j]
        for i in range(w.shape[0])
        for j in range(w.shape[1])
    ]
    return np.asarray(sum(taps))


def conv2d_vjp(g: Array, x: Array, w: Array, swapped: bool = False) -> tuple[Array, Array]:
    """Give the gradients by ``x`` and ``w``; ``swapped`` uses one index for the other."""
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for i in range(w.shape[0]):
        for j in range(w.shape[1]):
            dx[i : i + g.shape[0], j : j + g.shape[1]] += g * w[i, j]
            a, b = (j, i) if swapped else (i, j)
            dw[i, j] = np.sum(g * x[a : a + g.shape[0], b : b + g.shape[1]])
    return dx, dw


# Pooling of rows


def max_pool1d(x: Array, size: int = 2, stride: int = 1, padding: int = 0) -> Array:
    """Give the largest of each window of each row."""
    return _windows(x, size, stride, padding).max(axis=-1)


def _windows(x: Array, size: int, stride: int, padding: int) -> Array:
    wide = np.pad(x, ((0, 0), (padding, padding)), constant_values=-np.inf)
    length = (wide.shape[1] - size) // stride + 1
    return wide[:, np.arange(length)[:, None] * stride + np.arange(size)]


def max_pool1d_vjp(
    g: Array,
    x: Array,
    size: int = 2,
    stride: int = 1,
    padding: int = 0,
    overwrite: bool = False,
    shift: int = 0,
) -> Array:
    """Give the gradient by ``x``."""
    dx = np.zeros((x.shape[0], x.shape[1] + 2 * padding), dtype=x.dtype)
    best = _windows(x, size, stride, padding).argmax(axis=-1)
    for t in range(g.shape[1]):
        for r in range(g.shape[0]):
            at = t * stride + best[r, t]
            dx[r, at] = g[r, t] if overwrite else dx[r, at] + g[r, t]
    return np.array(dx[:, padding - shift : padding - shift + x.shape[1]])


def sum_pool1d(x: Array, size: int = 2) -> Array:
    """Sum windows that do not overlap; what is left over at the end is left out."""
    length = x.shape[1] // size
    return np.asarray(x[:, : length * size].reshape(x.shape[0], length, size).sum(axis=-1))


def sum_pool1d_vjp(g: Array, x: Array, size: int = 2, shift: bool = False) -> Array:
    """Give the gradient by ``x``; ``shift`` takes the remainder to be at the beginning."""
    dx = np.zeros_like(x)
    spread = np.repeat(g, size, axis=1)
    begin = x.shape[1] - spread.shape[1] if shift else 0
    dx[:, begin : begin + spread.shape[1]] = spread
    return dx


# Normalisation


def batch_norm(x: Array, gain: Array, offset: Array) -> Array:
    """Normalise each column by its mean and variance."""
    centred = x - x.mean(axis=0)
    return centred / np.sqrt(x.var(axis=0) + EPS) * gain + offset


def batch_norm_vjp(
    g: Array, x: Array, gain: Array, offset: Array, terms: int = 2
) -> tuple[Array, Array, Array]:
    """Give the gradients; with fewer than 2 ``terms`` the statistics are taken as constant."""
    spread = np.sqrt(x.var(axis=0) + EPS)
    normal = (x - x.mean(axis=0)) / spread
    d = g * gain
    dx = d.copy()
    if terms > 0:
        dx -= d.mean(axis=0)
    if terms > 1:
        dx -= normal * (d * normal).mean(axis=0)
    return dx / spread, (g * normal).sum(axis=0), g.sum(axis=0) + 0 * offset


MEAN, VARIANCE = 0.25, 1.5


def batch_norm_eval(x: Array) -> Array:
    """Normalise by statistics that were kept from training."""
    return np.asarray((x - MEAN) / np.sqrt(VARIANCE + EPS))


def softmax(x: Array) -> Array:
    """Give exponentials that sum to one, along the last axis."""
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return np.asarray(e / e.sum(axis=-1, keepdims=True))


def softmax_vjp(g: Array, x: Array) -> Array:
    """Give the gradient by ``x``."""
    y = softmax(x)
    return np.asarray(y * (g - (g * y).sum(axis=-1, keepdims=True)))


def log_softmax(x: Array) -> Array:
    """Give the logarithm of softmax, along the last axis."""
    shifted = x - x.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def log_softmax_vjp(g: Array, x: Array) -> Array:
    """Give the gradient by ``x``."""
    return np.asarray(g - softmax(x) * g.sum(axis=-1, keepdims=True))


# Activations and others


def leaky(x: Array, slope: float) -> Array:
    """Multiply what is below zero by a slope."""
    return np.where(x > 0, x, slope * x)


def leaky_vjp(g: Array, x: Array, slope: float) -> Array:
    """Give the gradient by ``x``."""
    return np.where(x > 0, g, slope * g)


def renorm(x: Array, most: float) -> Array:
    """Scale rows that are longer than ``most`` down to it."""
    length = np.sqrt((x * x).sum(axis=-1, keepdims=True))
    return np.where(length > most, x * (most / np.where(length == 0, 1, length)), x)


def renorm_vjp(g: Array, x: Array, most: float, swapped: bool = False) -> Array:
    """Give the gradient by ``x``."""
    length = np.sqrt((x * x).sum(axis=-1, keepdims=True))
    safe = np.where(length == 0, 1, length)
    along = (g * x).sum(axis=-1, keepdims=True)
    scaled = most / safe * (g - x * along / safe**2)
    longer = length <= most if swapped else length > most
    return np.where(longer, scaled, g)


def dropout(x: Array, seed: int) -> Array:
    """Leave out about half of the elements, by a mask drawn from a seed."""
    return np.asarray(x * (np.random.default_rng(seed).random(x.shape) < 0.5) * 2.0)


GELU = 0.044715


def gelu(x: Array) -> Array:
    """Give the tanh form of the Gaussian error linear unit."""
    return np.asarray(0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + GELU * x**3))))


def gelu_vjp(g: Array, x: Array, constant: float = GELU) -> Array:
    """Give the gradient by ``x``."""
    k = np.sqrt(2 / np.pi)
    t = np.tanh(k * (x + constant * x**3))
    return np.asarray(g * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * k * (1 + 3 * constant * x * x)))


def masked_entropy(x: Array) -> Array:
    """Give ``x**2 log x`` where x is positive, and 0 elsewhere."""
    with np.errstate(all="ignore"):
        return np.where(x > 0, x * x * np.log(x), 0.0)


def masked_entropy_vjp(g: Array, x: Array, leaking: bool = False) -> Array:
    """Give the gradient by ``x``; ``leaking`` multiplies by the mask what may be NaN."""
    with np.errstate(all="ignore"):
        if leaking:
            return np.asarray(g * (x > 0) * (2 * x * np.log(x) + x))
        return np.where(x > 0, g * (2 * x * np.log(np.where(x > 0, x, 1)) + x), 0.0)
