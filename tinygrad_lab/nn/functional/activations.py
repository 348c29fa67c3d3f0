"""Activation functions and their relatives, elementwise or along one axis.

Each is one operation with a rule of its own where that makes the graph smaller or the result more
precise.  Conventions at kinks: the slope of ``relu`` at 0 is 0, and so of its relatives.

Not for: layers (``layers/``) or losses (``losses.py``).
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tinygrad_lab.core.operations import defvjp, primitive
from tinygrad_lab.core.rules.mathematical.elementwise import sigmoid as logistic
from tinygrad_lab.nn.arguments import takes_arrays

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
    "softmin",
    "softplus",
    "tanh",
]

Array = Any  # a Tensor, or whatever speaks NumPy's protocols
Axis = int | tuple[int, ...] | None


@takes_arrays
def sigmoid(input: Array) -> Array:
    """``1 / (1 + exp(-input))``, to full relative precision at both ends."""
    return logistic(input)


@takes_arrays
def tanh(input: Array) -> Array:
    """The hyperbolic tangent: NumPy's own."""
    return np.tanh(input)


@primitive
@takes_arrays
def relu(input: Array) -> Array:
    """``max(input, 0)``.

    Examples
    --------
    >>> relu(np.array([-1.0, 0.0, 2.0]))
    array([0., 0., 2.])
    """
    return np.maximum(input, 0)


defvjp(relu, lambda g, y, x: g * np.sign(y), branch=lambda y, x: np.sign(x))


@primitive
@takes_arrays
def leaky_relu(input: Array, negative_slope: float = 0.01) -> Array:
    """``input`` where it is positive, ``negative_slope * input`` elsewhere.

    Examples
    --------
    >>> leaky_relu(np.array([-1.0, 2.0]), 0.1)
    array([-0.1,  2. ])
    """
    return np.where(input > 0, input, input * negative_slope)


defvjp(
    leaky_relu,
    lambda g, y, x, negative_slope=0.01: np.where(x > 0, g, g * negative_slope),
    branch=lambda y, x, negative_slope=0.01: np.sign(x),
)


@primitive
@takes_arrays
def elu(input: Array, alpha: float = 1.0) -> Array:
    """``input`` where it is positive, ``alpha * (exp(x) - 1)`` elsewhere.

    Examples
    --------
    >>> elu(np.array([-1.0, 2.0])).round(4)
    array([-0.6321,  2.    ])
    """
    return np.where(input > 0, input, alpha * np.expm1(np.minimum(input, 0)))


defvjp(
    elu,
    lambda g, y, x, alpha=1.0: np.where(x > 0, g, g * (alpha * np.exp(np.where(x > 0, 0, x)))),
    branch=lambda y, x, alpha=1.0: np.sign(x),
)


def decay(x: Array) -> Array:
    """exp(-|x|); of complex numbers, which this is not meant for, NumPy refuses it."""
    return np.exp(np.copysign(x, -1))


@primitive
@takes_arrays
def softplus(input: Array, beta: float = 1.0) -> Array:
    """``log(1 + exp(beta * input)) / beta``, a smooth ``relu``; exact for every ``input``.

    Examples
    --------
    >>> softplus(np.array([0.0, 10.0])).round(4)
    array([ 0.6931, 10.    ])
    """
    z = input * beta
    return (np.maximum(z, 0) + np.log1p(decay(z))) / beta


defvjp(softplus, lambda g, y, x, beta=1.0: g * logistic(x * beta))


@primitive
@takes_arrays
def silu(input: Array) -> Array:
    """``input * sigmoid(input)``, also called swish.

    Examples
    --------
    >>> silu(np.array([0.0, 10.0])).round(4)
    array([0.    , 9.9995])
    """
    root = np.exp(np.minimum(input, 0) / 2)  # where exp(input) would be subnormal, it is not
    return damped(input, root) * (root / (1 + decay(input)))


def _silu_slope(x: Array) -> Array:
    return logistic(x) + damped(silu(x), logistic(-x))


def damped(x: Array, weight: Array) -> Array:
    """``x * weight``, where a weight of 0 wins against infinity."""
    return np.where((weight == 0) & np.isinf(x), 0, x) * weight


defvjp(silu, lambda g, y, x: g * _silu_slope(x))


@takes_arrays
def gelu(input: Array, approximate: Literal["tanh"] = "tanh") -> Array:
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
    return _gelu(input)


@primitive
def _gelu(x: Array) -> Array:
    # 0.5 * (1 + tanh(u)) is sigmoid(2u), which keeps its precision for very negative x.
    return damped(x, logistic(_twice_u(x)))


def _twice_u(x: Array) -> Array:
    x = np.clip(x, -_SATURATED, _SATURATED)
    return x * (1 + 0.044715 * x * x) * _GELU_SCALE


def _gelu_slope(x: Array) -> Array:
    v = _twice_u(x)
    s = logistic(v)
    x = np.clip(x, -_SATURATED, _SATURATED)
    return s + x * (s * logistic(-v)) * (1 + 3 * 0.044715 * x * x) * _GELU_SCALE


defvjp(_gelu, lambda g, y, x: g * _gelu_slope(x))
_gelu.__name__ = "gelu"
_SATURATED = 40.0  # gelu(x) is 0 below -40 and x above 40, in every dtype
_GELU_SCALE = 1.5957691216057308  # 2 * sqrt(2 / pi)


@takes_arrays
def softmax(input: Array, dim: int | None = None, *, dtype: npt.DTypeLike | None = None) -> Array:
    """``exp(input) / sum(exp(input))`` along ``dim``: positive numbers that sum to 1.

    Elements of infinity share evenly; where all are minus infinity, the result is NaN.  ``dim`` may
    be left out where there are one or two axes: it is the last.  The input is converted to
    ``dtype`` first, if given.

    Raises
    ------
    ValueError
        There are more than two axes, and no ``dim``.

    Examples
    --------
    >>> softmax(np.array([0.0, 0.0, -np.inf]))
    array([0.5, 0.5, 0. ])
    """
    return _softmax(_as_type(input, dtype), _axis(input, dim, "softmax"))


@takes_arrays
def softmin(input: Array, dim: int | None = None, *, dtype: npt.DTypeLike | None = None) -> Array:
    """:func:`softmax` of ``-input``: the smallest number has the largest share.

    Examples
    --------
    >>> softmin(np.array([0.0, 0.0, np.inf]))
    array([0.5, 0.5, 0. ])
    """
    return _softmax(-_as_type(input, dtype), _axis(input, dim, "softmin"))


@takes_arrays
def log_softmax(
    input: Array, dim: int | None = None, *, dtype: npt.DTypeLike | None = None
) -> Array:
    """The logarithm of :func:`softmax`, exact where that rounds to 0 or 1.

    Examples
    --------
    >>> log_softmax(np.array([0.0, 1000.0]))
    array([-1000.,     0.])
    """
    return _log_softmax(_as_type(input, dtype), _axis(input, dim, "log_softmax"))


@takes_arrays
def logsumexp(input: Array, dim: Axis = None, keepdim: bool = False) -> Array:
    """``log(sum(exp(input)))`` along ``dim`` (None: over everything), without overflow.

    Where all elements are minus infinity, so is the result, and the slope is 0.

    Examples
    --------
    >>> float(logsumexp(np.array([1000.0, 1000.0])).round(4))
    1000.6931
    """
    return _logsumexp(input, dim, keepdim)


def _as_type(x: Array, dtype: npt.DTypeLike | None) -> Array:
    return x if dtype is None else x.astype(dtype)


def _axis(x: Array, dim: int | None, name: str) -> int:
    """The axis to go along; one that is not named is the last of at most two."""
    if dim is not None:
        return dim
    if x.ndim > 2:
        raise ValueError(
            f"{name} of shape {x.shape}: say along which axis, dim=-1 for the last (PyTorch would "
            f"take {0 if x.ndim == 3 else 1} here, and warn)"
        )
    return -1


# The operations behind them have NumPy's words.


@primitive
def _softmax(x: Array, axis: int) -> Array:
    return _shares(x, axis)


defvjp(_softmax, lambda g, y, x, axis: y * (g - (g * y).sum(axis=axis, keepdims=True)))


@primitive
def _log_softmax(x: Array, axis: int) -> Array:
    shifted = _below_largest(x, np.max(x, axis=axis, keepdims=True))
    return shifted - _log_sum_exp(shifted, axis)


defvjp(_log_softmax, lambda g, y, x, axis: g - np.exp(y) * g.sum(axis=axis, keepdims=True))


@primitive
def _logsumexp(x: Array, axis: Axis, keepdims: bool) -> Array:
    largest = np.max(x, axis=axis, keepdims=True)
    above = _log_sum_exp(_below_largest(x, largest), axis)
    y = np.where(largest == -np.inf, largest, largest + above)
    return y if keepdims else y.reshape(_shape_dropping_axes(x, axis))


def _logsumexp_slope(g: Array, y: Array, x: Array, axis: Axis) -> Array:
    shape = _shape_keeping_axes(x, axis)
    return g.reshape(shape) * np.where(y.reshape(shape) == -np.inf, 0, _shares(x, axis))


defvjp(_logsumexp, lambda g, y, x, axis, keepdims: _logsumexp_slope(g, y, x, axis))

# What graph pictures, programs and errors call them.
_softmax.__name__, _log_softmax.__name__ = "softmax", "log_softmax"
_logsumexp.__name__ = "logsumexp"


def _below_largest(x: Array, largest: Array) -> Array:
    """``x - largest``, which is 0 where both are infinity."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.where(x == np.inf, 0, x - largest)


def _log_sum_exp(shifted: Array, axis: Axis) -> Array:
    """``log(sum(exp(shifted)))`` where the largest is 0: exact where the others are small."""
    e, top = np.exp(shifted), shifted == 0
    others = (e - top).sum(axis=axis, keepdims=True)
    return np.log1p(others + ((e * top).sum(axis=axis, keepdims=True) - 1))


def _shares(x: Array, axis: Axis) -> Array:
    e = np.exp(_below_largest(x, np.max(x, axis=axis, keepdims=True)))
    return e / e.sum(axis=axis, keepdims=True)


def _reduced_axes(x: Array, axis: Axis) -> set[int]:
    axes = range(x.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    return {a % x.ndim for a in axes}


def _shape_keeping_axes(x: Array, axis: Axis) -> tuple[int, ...]:
    reduced = _reduced_axes(x, axis)
    return tuple(1 if i in reduced else n for i, n in enumerate(x.shape))


def _shape_dropping_axes(x: Array, axis: Axis) -> tuple[int, ...]:
    reduced = _reduced_axes(x, axis)
    return tuple(n for i, n in enumerate(x.shape) if i not in reduced)
