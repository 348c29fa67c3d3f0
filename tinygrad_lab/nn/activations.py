"""Activation functions and their relatives, elementwise or along one axis.

Each is one operation with a rule of its own where that makes the graph smaller or the result more
precise.  Conventions at kinks: the slope of ``relu`` at 0 is 0, and so of its relatives.

Not for: layers (``layers.py``) or losses (``losses.py``).
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from tinygrad_lab.core.operations import defvjp, primitive

__all__ = [
    "elu",
    "gelu",
    "leaky_relu",
    "log_softmax",
    "logsumexp",
    "relu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "tanh",
]

Array = Any  # a Tensor, or whatever speaks NumPy's protocols
Axis = int | tuple[int, ...] | None

# The largest exponent whose exp does not overflow, by the size of a float in bytes.  Limiting the
# exponent to it changes sigmoid only where its value is below the smallest normal number.
_LARGEST_EXPONENT = {2: 11.0, 4: 88.0, 8: 709.0}


@primitive
def sigmoid(x: Array) -> Array:
    """The logistic function ``1 / (1 + exp(-x))``, to full relative precision at both ends.

    Examples
    --------
    >>> sigmoid(np.array([0.0, -700.0]))
    array([5.00000000e-001, 9.85967654e-305])
    """
    minus = -x
    return np.reciprocal(
        1 + np.exp(np.minimum(minus, _LARGEST_EXPONENT.get(minus.itemsize, 709.0)))
    )


defvjp(sigmoid, lambda g, y, x: g * (y * (1 - y)), batches=True)


def tanh(x: Array) -> Array:
    """The hyperbolic tangent: NumPy's own."""
    return np.tanh(x)


@primitive
def relu(x: Array) -> Array:
    """``max(x, 0)``.

    Examples
    --------
    >>> relu(np.array([-1.0, 0.0, 2.0]))
    array([0., 0., 2.])
    """
    return np.maximum(x, 0)


defvjp(relu, lambda g, y, x: g * (x > 0), batches=True, branch=lambda y, x: np.sign(x))


@primitive
def leaky_relu(x: Array, negative_slope: float = 0.01) -> Array:
    """``x`` where it is positive, ``negative_slope * x`` elsewhere.

    Examples
    --------
    >>> leaky_relu(np.array([-1.0, 2.0]), 0.1)
    array([-0.1,  2. ])
    """
    return np.where(x > 0, x, x * negative_slope)


defvjp(
    leaky_relu,
    lambda g, y, x, negative_slope=0.01: np.where(x > 0, g, g * negative_slope),
    batches=True,
    branch=lambda y, x, negative_slope=0.01: np.sign(x),
)


@primitive
def elu(x: Array, alpha: float = 1.0) -> Array:
    """``x`` where it is positive, ``alpha * (exp(x) - 1)`` elsewhere.

    Examples
    --------
    >>> elu(np.array([-1.0, 2.0])).round(4)
    array([-0.6321,  2.    ])
    """
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


defvjp(
    elu,
    lambda g, y, x, alpha=1.0: np.where(x > 0, g, g * (alpha * np.exp(np.minimum(x, 0)))),
    batches=True,
    branch=lambda y, x, alpha=1.0: np.sign(x),
)


@primitive
def softplus(x: Array, beta: float = 1.0) -> Array:
    """``log(1 + exp(beta * x)) / beta``, a smooth ``relu``; exact for every ``x``.

    Examples
    --------
    >>> softplus(np.array([0.0, 10.0])).round(4)
    array([ 0.6931, 10.    ])
    """
    return np.logaddexp(0, x * beta) / beta


defvjp(softplus, lambda g, y, x, beta=1.0: g * sigmoid(x * beta), batches=True)


@primitive
def silu(x: Array) -> Array:
    """``x * sigmoid(x)``, also called swish.

    Examples
    --------
    >>> silu(np.array([0.0, 10.0])).round(4)
    array([0.    , 9.9995])
    """
    return x * sigmoid(x)


def _silu_slope(x: Array) -> Array:
    s = sigmoid(x)
    return s * (1 + x * (1 - s))


defvjp(silu, lambda g, y, x: g * _silu_slope(x), batches=True)


def gelu(x: Array, approximate: Literal["tanh"] = "tanh") -> Array:
    """The Gaussian error linear unit, in its tanh approximation (the exact one needs ``erf``).

    Raises
    ------
    ValueError
        Any other ``approximate``.

    Examples
    --------
    >>> gelu(np.array([-1.0, 1.0])).round(4)
    array([-0.1588,  0.8412])
    """
    if approximate != "tanh":
        raise ValueError(f"gelu(approximate={approximate!r}): only 'tanh' is implemented")
    # 0.5 * (1 + tanh(u)) is sigmoid(2u), which keeps its precision for very negative x.
    return x * sigmoid((x + 0.044715 * (x * x * x)) * 1.5957691216057308)


@primitive
def softmax(x: Array, axis: int = -1) -> Array:
    """``exp(x) / sum(exp(x))`` along ``axis``: positive numbers that sum to 1.

    Examples
    --------
    >>> softmax(np.array([0.0, 0.0, -np.inf]))
    array([0.5, 0.5, 0. ])
    """
    e = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


defvjp(softmax, lambda g, y, x, axis=-1: y * (g - (g * y).sum(axis=axis, keepdims=True)))


@primitive
def log_softmax(x: Array, axis: int = -1) -> Array:
    """The logarithm of :func:`softmax`, exact where that rounds to 0 or 1.

    Examples
    --------
    >>> log_softmax(np.array([0.0, 1000.0]))
    array([-1000.,     0.])
    """
    shifted = x - np.max(x, axis=axis, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))


defvjp(
    log_softmax,
    lambda g, y, x, axis=-1: g - np.exp(y) * g.sum(axis=axis, keepdims=True),
)


@primitive
def logsumexp(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """``log(sum(exp(x)))`` along ``axis`` (None: over everything), without overflow.

    Examples
    --------
    >>> float(logsumexp(np.array([1000.0, 1000.0])).round(4))
    1000.6931
    """
    largest = _finite(np.max(x, axis=axis, keepdims=True))
    with np.errstate(divide="ignore"):  # log(0) is right where all are -inf
        y = np.log(np.exp(x - largest).sum(axis=axis, keepdims=True)) + largest
    return y if keepdims else y.reshape(_shape_dropping_axes(x, axis))


def _logsumexp_slope(g: Array, y: Array, x: Array, axis: Axis) -> Array:
    shape = _shape_keeping_axes(x, axis)
    return g.reshape(shape) * np.exp(x - _finite(y.reshape(shape)))


defvjp(logsumexp, lambda g, y, x, axis=None, keepdims=False: _logsumexp_slope(g, y, x, axis))


def _finite(y: Array) -> Array:
    """Replace infinities by 0, since infinity minus infinity is NaN."""
    return np.where(np.isfinite(y), y, 0)


def _reduced_axes(x: Array, axis: Axis) -> set[int]:
    axes = range(x.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    return {a % x.ndim for a in axes}


def _shape_keeping_axes(x: Array, axis: Axis) -> tuple[int, ...]:
    reduced = _reduced_axes(x, axis)
    return tuple(1 if i in reduced else n for i, n in enumerate(x.shape))


def _shape_dropping_axes(x: Array, axis: Axis) -> tuple[int, ...]:
    reduced = _reduced_axes(x, axis)
    return tuple(n for i, n in enumerate(x.shape) if i not in reduced)
