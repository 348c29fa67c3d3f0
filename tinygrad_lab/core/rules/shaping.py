"""Shaping: the same elements in another arrangement.  Every rule is the arrangement undone."""

from __future__ import annotations

import numpy as np

from tinygrad_lab.core.primitive import (
    as_array,
    constant,
    defvjp,
    defvjp_variadic,
    instead,
    primitive,
)
from tinygrad_lab.core.rules.indexing import scatter_add

# The same order, other axes


def _back(g, y, x, *args, **kwargs):
    return g.reshape(x.shape)


def _reshape(g, y, x, shape=None, order="C"):
    return g.reshape(x.shape) if order == "C" else np.reshape(g, x.shape, order=order)


@instead(np.reshape)
def _(a, /, shape, order="C", *, copy=None):
    return a.reshape(shape, order=order)


@instead(np.ravel)
def _(a, order="C"):
    return a.reshape(-1, order=order)


defvjp(np.reshape, _reshape)
defvjp(np.squeeze, _back)
defvjp(np.expand_dims, _back)
defvjp(np.broadcast_to, lambda g, y, x, shape, subok=False: g)  # the engine sums it back

# Permuted axes


def _transpose(g, y, x, axes=None):
    if axes is None:
        return np.transpose(g)
    return np.transpose(g, tuple(np.argsort([a % x.ndim for a in axes])))


defvjp(np.transpose, _transpose)
defvjp(np.swapaxes, lambda g, y, x, axis1, axis2: np.swapaxes(g, axis1, axis2))
defvjp(np.moveaxis, lambda g, y, x, source, destination: np.moveaxis(g, destination, source))
defvjp(np.flip, lambda g, y, x, axis=None: np.flip(g, axis))


def _roll(g, y, x, shift, axis=None):
    return np.roll(g, tuple(-s for s in shift) if np.ndim(shift) else -shift, axis)


defvjp(np.roll, _roll)

# Triangles and diagonals

defvjp(np.tril, lambda g, y, x, k=0: np.tril(g, k))
defvjp(np.triu, lambda g, y, x, k=0: np.triu(g, k))


def onto_diagonal(g, x, offset, axis1, axis2):
    """Put the last axis of ``g`` on a diagonal of zeros of the shape of ``x``."""
    rows, columns = x.shape[axis1], x.shape[axis2]
    ones = np.eye(rows, columns, offset, dtype=bool)
    length = g.shape[-1]
    start = max(-offset, 0)
    along = g[..., np.clip(np.arange(rows) - start, 0, max(length - 1, 0))] if length else g
    if not length:
        return np.zeros_like(g, shape=x.shape)
    matrix = np.where(ones, along[..., :, None], 0)
    return np.moveaxis(matrix, (-2, -1), (axis1, axis2))


defvjp(
    np.diagonal,
    lambda g, y, x, offset=0, axis1=0, axis2=1: onto_diagonal(g, x, offset, axis1, axis2),
)


def _trace(g, y, x, offset=0, axis1=0, axis2=1, dtype=None, out=None):
    ones = np.eye(x.shape[axis1], x.shape[axis2], offset, dtype=bool)
    matrix = np.where(ones, g[..., None, None], 0)
    return np.moveaxis(matrix, (-2, -1), (axis1, axis2))


defvjp(np.trace, _trace)

# Joining


@primitive
def concatenate(*arrays, axis=0):
    """Join arrays along an axis they have."""
    return np.concatenate(arrays, axis=axis)


def _concatenate(argnum, g, y, *arrays, axis=0):
    axis = axis % g.ndim
    begin = sum(a.shape[axis] for a in arrays[:argnum])
    end = begin + arrays[argnum].shape[axis]
    return g[(slice(None),) * axis + (slice(begin, end),)]


@primitive
def stack(*arrays, axis=0):
    """Join arrays of one shape along a new axis."""
    return np.stack(arrays, axis=axis)


def _stack(argnum, g, y, *arrays, axis=0):
    return g[(slice(None),) * (axis % g.ndim) + (argnum,)]


defvjp_variadic(concatenate, _concatenate)
defvjp_variadic(stack, _stack)


@instead(np.concatenate)
def _(arrays, axis=0, out=None, *, dtype=None, casting="same_kind"):
    arrays = [as_array(a) for a in arrays]
    if axis is None:
        arrays, axis = [a.reshape(-1) for a in arrays], 0
    joined = concatenate(*arrays, axis=axis)
    return joined if dtype is None else joined.astype(dtype)


@instead(np.stack)
def _(arrays, axis=0, out=None, *, dtype=None, casting="same_kind"):
    joined = stack(*arrays, axis=axis)
    return joined if dtype is None else joined.astype(dtype)


# Copies


@primitive
def copied(x):
    """The same values in memory of their own."""
    return x.copy()


@primitive
def astype(x, dtype):
    """The same values in another float type."""
    return x.astype(dtype)


defvjp(copied, lambda g, y, x: g)
defvjp(astype, lambda g, y, x, dtype: g)  # the engine casts it back


@instead(np.copy)
def _(a, order="K", subok=False):
    return copied(a)


@instead(np.astype)
def _(x, dtype, /, *, copy=True, device=None):
    return x.astype(dtype, copy=copy)


# No derivative: shapes, and arrays made in the likeness of another

constant(np.shape, np.ndim, np.size, np.result_type, np.can_cast, np.shares_memory,
         np.may_share_memory, np.zeros_like, np.ones_like, np.empty_like)  # fmt: skip

# Repetition


def _repeat(g, y, x, repeats, axis=None):
    n = x.size if axis is None else x.shape[axis]
    source = np.repeat(np.arange(n), repeats)  # where each element came from
    if axis is None:
        return scatter_add(g, (n,), source).reshape(x.shape)
    return scatter_add(g, x.shape, (slice(None),) * (axis % x.ndim) + (source,))


defvjp(np.repeat, _repeat)
