"""Softmax and its relatives, along an axis.

Not for: functions of each element (``activations.py``) or losses (``losses.py``).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_lab.core.operations import defvjp, primitive
from tinygrad_lab.nn.arguments import takes_arrays
from tinygrad_lab.nn.functional.dropouts import _generator as generator

__all__ = ["gumbel_softmax", "log_softmax", "logsumexp", "softmax", "softmin"]

Array = Any  # a Tensor, or whatever speaks NumPy's protocols
Axis = int | tuple[int, ...] | None


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
    >>> import numpy as np
    >>> softmax(np.array([0.0, 0.0, -np.inf]))
    array([0.5, 0.5, 0. ])
    """
    return _softmax(_as_type(input, dtype), _axis(input, dim, "softmax"))


@takes_arrays
def softmin(input: Array, dim: int | None = None, *, dtype: npt.DTypeLike | None = None) -> Array:
    """:func:`softmax` of ``-input``: the smallest number has the largest share.

    Examples
    --------
    >>> import numpy as np
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
    >>> import numpy as np
    >>> log_softmax(np.array([0.0, 1000.0]))
    array([-1000.,     0.])
    """
    return _log_softmax(_as_type(input, dtype), _axis(input, dim, "log_softmax"))


@takes_arrays
def gumbel_softmax(
    logits: Array,
    tau: float = 1,
    hard: bool = False,
    eps: float = 1e-10,
    dim: int = -1,
    *,
    rng: int | np.random.Generator | None = None,
) -> Array:
    """Draw from the classes by their logits, so that a gradient passes: a relaxed one-hot sample.

    :func:`softmax` of ``(logits + Gumbel noise) / tau``.  With ``hard`` the result is one-hot, and
    its gradient is that of the relaxed one.  ``rng`` is a seed or a generator; ``eps`` is without
    effect, as in PyTorch.  (Jang et al., Categorical Reparameterization with Gumbel-Softmax, 2017.)

    Examples
    --------
    >>> import numpy as np
    >>> gumbel_softmax(np.zeros(3), hard=True, rng=0)
    array([0., 0., 1.])
    """
    noise = -np.log(generator(rng).standard_exponential(logits.shape))
    shares = softmax((logits + noise.astype(logits.dtype)) / tau, dim)
    return _hardened(shares, dim) if hard else shares


@primitive
def _hardened(x: Array, axis: int) -> Array:
    """1 in the place of the largest, 0 elsewhere; with the derivative of ``x``."""
    places = np.expand_dims(np.argmax(x, axis=axis), -1)
    return np.moveaxis(np.arange(x.shape[axis]) == places, -1, axis).astype(x.dtype)


defvjp(_hardened, lambda g, y, x, axis: g)


@takes_arrays
def logsumexp(input: Array, dim: Axis = None, keepdim: bool = False) -> Array:
    """``log(sum(exp(input)))`` along ``dim`` (None: over everything), without overflow.

    Where all elements are minus infinity, so is the result, and the slope is 0.

    Examples
    --------
    >>> import numpy as np
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
    shifted = _below_largest(x, x.max(axis=axis, keepdims=True))
    return shifted - _log_sum_exp(shifted, axis)


defvjp(_log_softmax, lambda g, y, x, axis: g - np.exp(y) * g.sum(axis=axis, keepdims=True))


@primitive
def _logsumexp(x: Array, axis: Axis, keepdims: bool) -> Array:
    largest = x.max(axis=axis, keepdims=True)
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
    e = np.exp(_below_largest(x, x.max(axis=axis, keepdims=True)))
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
