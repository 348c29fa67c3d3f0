"""Sums, products, differences: of all elements along axes, running, and of neighbours.

The upstream of a reduction is first given back the axes that the reduction removed, by
:func:`keep`; then it broadcasts against the operand.
"""

import math

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from tinygrad_lab.core.operations import composed, defvjp, primitive
from tinygrad_lab.core.rules.arguments import as_array, as_floats


def axes_of(x, axis):
    """The reduced axes, none of them negative."""
    if axis is None or x.ndim == 0:  # NumPy takes axis 0 and -1 of a 0-d array too
        return tuple(range(x.ndim))
    return tuple(a % x.ndim for a in (axis if isinstance(axis, tuple) else (axis,)))


def keep(g, x, axis):
    """Give ``g`` (or a result) length-one axes where ``x`` was reduced."""
    if axis is None:
        return g.reshape((1,) * x.ndim)
    axes = axes_of(x, axis)
    return g.reshape(tuple(1 if i in axes else n for i, n in enumerate(x.shape)))


def spread(g, x, axis, where=True):
    """Give each reduced element the upstream of its group; 0 to those masked out."""
    g = np.broadcast_to(g if axis is None else keep(g, x, axis), x.shape)
    return g if where is True else np.where(where, g, 0)


def count(x, axis, where=True):
    """How many elements went into each result."""
    if where is True:
        return math.prod([x.shape[a] for a in axes_of(x, axis)])
    return np.sum(np.broadcast_to(where, x.shape), axis=axis, keepdims=True)


# Sums


def _sum(g, y, x, axis=None, dtype=None, out=None, keepdims=False, initial=0, where=True):
    return spread(g, x, axis, where)


defvjp(np.sum, _sum, lambda g, y, x, *args, **kwargs: g, argnums=[0, 5])  # and by initial=


# Products: by the products of the others on both sides, so zeros need no division


def _prod(g, y, x, axis=None, dtype=None, out=None, keepdims=False, initial=1, where=True):
    axes = axes_of(x, axis)
    masked = x if where is True else np.where(where, x, 1)
    remaining = [i for i in range(x.ndim) if i not in axes]
    order = (*remaining, *axes)
    lengths = tuple(x.shape[i] for i in remaining)
    rows = np.transpose(masked, order).reshape((*lengths, count(x, axis)))
    others = _product_of_others(rows).reshape(tuple(x.shape[i] for i in order))
    others = np.transpose(others, tuple(np.argsort(np.array(order, dtype=int))))
    return spread(g, x, axis, where) * others * initial


def _product_of_others(rows):
    """For each element of the last axis, the product of the elements beside it."""
    one = np.ones_like(rows[..., :1])
    before = np.cumprod(np.concatenate([one, rows[..., :-1]], axis=-1), axis=-1)
    after = np.cumprod(np.concatenate([one, rows[..., :0:-1]], axis=-1), axis=-1)[..., ::-1]
    return before * after


def _initial(g, y, x, axis=None, dtype=None, out=None, keepdims=False, initial=1, where=True):
    return keep(g, x, axis) * np.prod(x, axis, keepdims=True, where=where)


defvjp(np.prod, _prod, _initial, argnums=[0, 5])


# Running sums and products


def _cumsum(g, y, x, axis=None, dtype=None, out=None):
    if axis is None:
        return np.flip(np.cumsum(np.flip(g))).reshape(x.shape)
    return np.flip(np.cumsum(np.flip(g, axis), axis=axis), axis)


defvjp(np.cumsum, _cumsum)


@primitive
def recurrence(a, b):
    """s[0] = b[0] and s[i] = a[i] s[i - 1] + b[i], along the last axis.

    Two steps are one with other coefficients, so every second element is a recurrence of half the
    length: n steps in log2(n) calls.
    """
    pairs = b.shape[-1] // 2
    if not pairs:
        return b
    a0, b0, a1, b1 = a[..., : 2 * pairs : 2], b[..., : 2 * pairs : 2], a[..., 1::2], b[..., 1::2]
    odd = recurrence(a1 * a0, a1 * b0 + b1)
    later = a[..., 2::2] * odd[..., : (b.shape[-1] - 1) // 2] + b[..., 2::2]
    even = np.concatenate([b[..., :1], later], -1)
    both = np.stack([even[..., :pairs], odd], -1).reshape((*b.shape[:-1], 2 * pairs))
    return np.concatenate([both, even[..., pairs:]], -1)


def _later(a, g):
    """What each s[i] adds to the gradient: itself, and through those after it."""
    following = np.concatenate([a[..., 1:], np.zeros_like(a[..., :1])], -1)
    return np.flip(recurrence(np.flip(following, -1), np.flip(g, -1)), -1)


defvjp(
    recurrence,
    lambda g, s, a, b: _later(a, g) * np.concatenate([np.zeros_like(s[..., :1]), s[..., :-1]], -1),
    lambda g, s, a, b: _later(a, g),
)


def _cumprod(g, y, x, axis=None, dtype=None, out=None):
    rows = x.reshape(-1) if axis is None else np.moveaxis(x, axis, -1)
    upstream = g if axis is None else np.moveaxis(g, axis, -1)
    # By the products of those before: then the later ones count as a running product begun here.
    before = np.cumprod(np.concatenate([np.ones_like(rows[..., :1]), rows[..., :-1]], -1), axis=-1)
    grad = before * _later(rows, upstream)
    return grad.reshape(x.shape) if axis is None else np.moveaxis(grad, -1, axis)


defvjp(np.cumprod, _cumprod)


def _define_running(function, running, start):
    @composed(function)
    def cumulative(x, /, *, axis=None, dtype=None, out=None, include_initial=False):
        if axis is None and x.ndim != 1:
            raise ValueError(f"say the axis to run along: shape {x.shape} has {x.ndim}")
        axis = normalize_axis_index(0 if axis is None else axis, x.ndim)
        total = running(x, axis, dtype)
        if not include_initial:
            return total
        shape = (*x.shape[:axis], 1, *x.shape[axis + 1 :])
        return np.concatenate([np.full(shape, start, dtype=total.dtype), total], axis=axis)


if hasattr(np, "cumulative_sum"):  # NumPy 2.1
    _define_running(np.cumulative_sum, np.cumsum, 0)
    _define_running(np.cumulative_prod, np.cumprod, 1)


# NaN counts as absent


def nan_filled(a, value):
    return np.where(np.isnan(a), a.dtype.type(value), a)


@composed(np.nansum, by=("a", "options"))
def nansum(a, axis=None, dtype=None, out=None, keepdims=False, **options):
    return np.sum(nan_filled(a, 0), axis, dtype, keepdims=keepdims, **options)


@composed(np.nanprod, by=("a", "options"))
def nanprod(a, axis=None, dtype=None, out=None, keepdims=False, **options):
    return np.prod(nan_filled(a, 1), axis, dtype, keepdims=keepdims, **options)


@composed(np.nancumsum)
def nancumsum(a, axis=None, dtype=None, out=None):
    return np.cumsum(nan_filled(a, 0), axis, dtype)


@composed(np.nancumprod)
def nancumprod(a, axis=None, dtype=None, out=None):
    return np.cumprod(nan_filled(a, 1), axis, dtype)


# Differences and integrals


@composed(np.diff, by=("a", "prepend", "append"))
def diff(a, n=1, axis=-1, prepend=None, append=None):
    if n < 0:
        raise ValueError(f"order must be non-negative but got {n}")
    a = np.moveaxis(as_array(a), axis, 0)
    ends = [e if e is None else _end(as_array(e), a, axis) for e in (prepend, append)]
    pieces = [piece for piece in (ends[0], a, ends[1]) if piece is not None]
    a = np.concatenate(pieces) if len(pieces) > 1 else a
    for _ in range(n):
        a = a[1:] - a[:-1]
    return np.moveaxis(a, 0, axis)


def _end(value, a, axis):
    """What goes before or after ``a`` along its first axis: a number, or an array like ``a``."""
    return np.moveaxis(value, axis, 0) if value.ndim else np.broadcast_to(value, (1, *a.shape[1:]))


@composed(np.ediff1d, by=("ary", "to_end", "to_begin"))
def ediff1d(ary, to_end=None, to_begin=None):
    flat = as_array(ary).reshape(-1)
    pieces = [to_begin, flat[1:] - flat[:-1], to_end]
    pieces = [as_array(piece).reshape(-1) for piece in pieces if piece is not None]
    return np.concatenate(pieces).astype(flat.dtype)


@composed(np.gradient, by=("f", "varargs"))
def gradient(f, *varargs, axis=None, edge_order=1):
    axes = normalize_axis_tuple(range(f.ndim) if axis is None else axis, f.ndim)
    spacings = (varargs or (1.0,)) * (len(axes) if len(varargs) <= 1 else 1)
    if len(spacings) != len(axes):
        raise TypeError(f"{len(varargs)} spacings for {len(axes)} axes")
    if edge_order not in (1, 2):
        raise ValueError("'edge_order' greater than 2 not supported")
    f = as_floats(f)
    slopes = [_slope(f, h, i, edge_order) for h, i in zip(spacings, axes)]
    return slopes[0] if len(slopes) == 1 else tuple(slopes)


def _slope(f, spacing, axis, edge_order):
    """Central differences inside, one-sided ones of the given order at the ends."""
    f = np.moveaxis(f, axis, 0)
    n = f.shape[0]
    if n <= edge_order:
        raise ValueError(f"{n} elements along axis {axis} for edge_order={edge_order}: too few")
    steps = _steps(spacing, n, f.dtype).reshape((-1,) + (1,) * (f.ndim - 1))
    left, right = steps[:-1], steps[1:]
    if np.ndim(spacing) == 0:
        inside = (f[2:] - f[:-2]) / (2 * left)
    else:
        inside = _three(f[:-2], f[1:-1], f[2:], -right, right - left, left, left, right)
    if edge_order == 1:
        first, last = (f[1:2] - f[:1]) / steps[:1], (f[n - 1 :] - f[n - 2 : n - 1]) / steps[n - 2 :]
    else:
        a, b = left[:1], right[:1]
        first = _three(f[:1], f[1:2], f[2:3], -(2 * a + b), a + b, -a, a, b)
        a, b = left[n - 3 :], right[n - 3 :]
        last = _three(f[n - 3 : n - 2], f[n - 2 : n - 1], f[n - 1 :], b, -(a + b), a + 2 * b, a, b)
    slopes = np.concatenate([first, inside, last]).astype(f.dtype, copy=False)
    return np.moveaxis(slopes, 0, axis)


def _three(f, g, h, by_f, by_g, by_h, left, right):
    """A weighted sum of three neighbours, of which two steps are between."""
    both = left + right
    return by_f / (left * both) * f + by_g / (left * right) * g + by_h / (right * both) * h


def _steps(spacing, n, dtype):
    """The distances between ``n`` places, from one for all or from the places."""
    if type(spacing) in (int, float):
        return np.full(n - 1, spacing, dtype=dtype)
    spacing = as_floats(spacing)
    if spacing.ndim and spacing.shape != (n,):
        raise ValueError(f"coordinates of shape {spacing.shape} for {n} elements along an axis")
    return np.diff(spacing) if spacing.ndim else np.broadcast_to(spacing, (n - 1,))


@composed(np.trapezoid, by=("y", "x", "dx"))
def trapezoid(y, x=None, dx=1.0, axis=-1):
    y = np.moveaxis(as_array(y), axis, -1)
    if x is not None:
        x = as_array(x)
        dx = np.diff(x) if x.ndim == 1 else np.diff(np.moveaxis(x, axis, -1))
    return np.sum(dx * (y[..., 1:] + y[..., :-1]) / 2, axis=-1)
