"""Reductions and scans: many elements become one, or a running value.

The upstream of a reduction is first given back the axes that the reduction removed, by
:func:`_keep`; then it broadcasts against the operand.
"""

from __future__ import annotations

import numpy as np

from tinygrad_lab.core.primitive import constant, defvjp, instead
from tinygrad_lab.core.rules.elementwise import conj


def _axes(x, axis):
    """The reduced axes, none of them negative."""
    if axis is None or x.ndim == 0:  # NumPy takes axis 0 and -1 of a 0-d array too
        return tuple(range(x.ndim))
    return tuple(a % x.ndim for a in (axis if isinstance(axis, tuple) else (axis,)))


def _keep(g, x, axis):
    """Give ``g`` (or a result) length-one axes where ``x`` was reduced."""
    axes = _axes(x, axis)
    return g.reshape(tuple(1 if i in axes else n for i, n in enumerate(x.shape)))


def _spread(g, x, axis, where=True):
    """Give each reduced element the upstream of its group; 0 to those masked out."""
    g = np.broadcast_to(_keep(g, x, axis), x.shape)
    return g if where is True else np.where(where, g, 0)


def _count(x, axis, where=True):
    """How many elements went into each result."""
    if where is True:
        return int(np.prod([x.shape[a] for a in _axes(x, axis)], dtype=int))
    return np.sum(np.broadcast_to(where, x.shape), axis=axis, keepdims=True)


# Sums and means


def _sum(g, y, x, axis=None, dtype=None, out=None, keepdims=False, initial=0, where=True):
    return _spread(g, x, axis, where)


def _mean(g, y, x, axis=None, dtype=None, out=None, keepdims=False, *, where=True):
    return _spread(_keep(g, x, axis) / _count(x, axis, where), x, axis, where)


defvjp(np.sum, _sum)
defvjp(np.mean, _mean)


# Products: by the products of the others on both sides, so zeros need no division


def _prod(g, y, x, axis=None, dtype=None, out=None, keepdims=False, initial=1, where=True):
    axes = _axes(x, axis)
    masked = x if where is True else np.where(where, x, 1)
    kept = [i for i in range(x.ndim) if i not in axes]
    order = (*kept, *axes)
    lengths = tuple(x.shape[i] for i in kept)
    rows = np.transpose(masked, order).reshape((*lengths, _count(x, axis)))
    others = _product_of_others(rows).reshape(tuple(x.shape[i] for i in order))
    others = np.transpose(others, tuple(np.argsort(np.array(order, dtype=int))))
    return _spread(g, x, axis, where) * others * initial


def _product_of_others(rows):
    """For each element of the last axis, the product of the elements beside it."""
    one = np.ones_like(rows[..., :1])
    before = np.cumprod(np.concatenate([one, rows[..., :-1]], axis=-1), axis=-1)
    after = np.cumprod(np.concatenate([one, rows[..., :0:-1]], axis=-1), axis=-1)[..., ::-1]
    return before * after


defvjp(np.prod, _prod)


# Extremes: ties share evenly


def _extreme(g, y, x, axis=None, out=None, keepdims=False, initial=None, where=True):
    extreme = _keep(y, x, axis)
    hit = x == extreme
    if np.any(y != y):  # a NaN among the elements is the extreme
        hit = hit | ((x != x) & (extreme != extreme))
    if where is not True:
        hit = hit & where
    ties = np.maximum(np.sum(hit, axis=_axes(x, axis), keepdims=True), 1)
    return np.where(hit, _keep(g, x, axis) / ties, 0)


defvjp(np.max, _extreme)
defvjp(np.min, _extreme)
instead(np.amax)(np.max)
instead(np.amin)(np.min)


# Spread around the mean


def _degrees(x, axis, ddof, correction, where):
    n = _count(x, axis, where)
    return np.maximum(n - (ddof if correction is None else correction), 0)


def _deviations(x, axis, where, mean):
    """How far each element lies from the mean, 0 where masked out; of complex ones, conjugated."""
    if mean is None:
        masked = {} if where is True else {"where": where}
        mean = np.mean(x, axis=_axes(x, axis), keepdims=True, **masked)
    return conj(x - mean if where is True else np.where(where, x - mean, 0))


def _var(g, y, x, axis=None, dtype=None, out=None, ddof=0, keepdims=False, *, where=True,
         mean=None, correction=None):  # fmt: skip
    slope = 2 * _deviations(x, axis, where, mean) / _degrees(x, axis, ddof, correction, where)
    return _keep(g, x, axis) * slope


def _std(g, y, x, axis=None, dtype=None, out=None, ddof=0, keepdims=False, *, where=True,
         mean=None, correction=None):  # fmt: skip
    spread = _keep(y, x, axis) * _degrees(x, axis, ddof, correction, where)
    flat = spread == 0  # all elements equal: the zero subgradient
    slope = _deviations(x, axis, where, mean) / np.where(flat, 1, spread)
    return _keep(g, x, axis) * np.where(flat, 0, slope)


defvjp(np.var, _var)
defvjp(np.std, _std)


# Scans


def _cumsum(g, y, x, axis=None, dtype=None, out=None):
    if axis is None:
        return np.flip(np.cumsum(np.flip(g))).reshape(x.shape)
    return np.flip(np.cumsum(np.flip(g, axis), axis=axis), axis)


defvjp(np.cumsum, _cumsum)


def _cumprod(g, y, x, axis=None, dtype=None, out=None):
    rows = x.reshape(-1) if axis is None else np.moveaxis(x, axis, -1)
    upstream = g if axis is None else np.moveaxis(g, axis, -1)
    n = rows.shape[-1]
    # d y_k / d x_i is the product of x_0 .. x_k without x_i, for every i <= k.
    lower = np.tri(n, dtype=bool)
    columns = np.where(lower, rows[..., None, :], 1)
    without = np.where(lower, _product_of_others(columns), 0) if n else columns
    grad = np.sum(upstream[..., :, None] * without, axis=-2)
    return grad.reshape(x.shape) if axis is None else np.moveaxis(grad, -1, axis)


defvjp(np.cumprod, _cumprod)

# No derivative: positions, counts and truths

constant(np.argmax, np.argmin, np.argsort, np.argwhere, np.nonzero, np.count_nonzero,
         np.all, np.any, np.searchsorted, np.lexsort)  # fmt: skip
