"""Arranging: joining, splitting, tiling, padding, diagonals and windows, from simpler shapings."""

from __future__ import annotations

import numpy as np
from numpy.lib.array_utils import normalize_axis_index
from numpy.lib.stride_tricks import sliding_window_view

from tinygrad_lab.core.primitive import as_array, defvjp, instead, primitive
from tinygrad_lab.core.rules.choosing import rearranged
from tinygrad_lab.core.rules.indexing import scatter_add
from tinygrad_lab.core.rules.shaping import onto_diagonal

# Axes

defvjp(np.rot90, lambda g, y, x, k=1, axes=(0, 1): np.rot90(g, -k, axes))


@instead(np.fliplr)
def _(m):
    return np.flip(m, 1)


@instead(np.flipud)
def _(m):
    return np.flip(m, 0)


@instead(np.rollaxis)
def _(a, axis, start=0):
    axis = normalize_axis_index(axis, a.ndim)
    start = normalize_axis_index(start, a.ndim + 1) if start >= 0 else start + a.ndim
    return np.moveaxis(a, axis, start - 1 if axis < start else start)


@instead(np.matrix_transpose)
@instead(np.linalg.matrix_transpose)
def _(x, /):
    if x.ndim < 2:
        raise ValueError(f"a matrix has two axes or more, not shape {x.shape}")
    return np.swapaxes(x, -1, -2)


def _at_least(n, arrange):
    """Define atleast_nd, where ``arrange`` gives an array its axes; several give a tuple."""

    def atleast(*arys):
        arrays = map(as_array, arys)
        made = tuple(a.reshape(a.shape) if a.ndim >= n else arrange(a) for a in arrays)
        return made[0] if len(made) == 1 else made

    return atleast


def _three(a):
    return a.reshape({0: (1, 1, 1), 1: (1, *a.shape, 1), 2: (*a.shape, 1)}[a.ndim])


instead(np.atleast_1d)(_at_least(1, lambda a: a.reshape((1,))))
instead(np.atleast_2d)(_at_least(2, lambda a: a.reshape((1, *a.shape) if a.ndim else (1, 1))))
instead(np.atleast_3d)(_at_least(3, _three))


# Joining


def _join(prepare, axis):
    def join(tup, *, dtype=None, casting="same_kind"):
        arrays = [prepare(a) for a in tup]
        along = int(arrays[0].ndim > 1) if axis is None and arrays else axis
        return np.concatenate(arrays, axis=along, dtype=dtype)

    return join


instead(np.hstack)(_join(np.atleast_1d, None))
instead(np.vstack)(_join(np.atleast_2d, 0))
instead(np.dstack)(_join(np.atleast_3d, 2))


@instead(np.column_stack)
def _(tup):
    columns = [as_array(a) for a in tup]
    return np.concatenate([a if a.ndim > 1 else a.reshape((-1, 1)) for a in columns], axis=1)


@instead(np.append)
def _(arr, values, axis=None):
    return np.concatenate([as_array(arr), as_array(values)], axis=axis)


@instead(np.block)
def _(arrays):
    blocks = [as_array(a) for a in _innermost(arrays)]
    return rearranged(lambda *p: np.block(_filled_in(arrays, iter(p))), *blocks)


def _innermost(nested):
    return [a for part in nested for a in _innermost(part)] if type(nested) is list else [nested]


def _filled_in(nested, blocks):
    """The same nested lists, of these blocks."""
    return [_filled_in(n, blocks) for n in nested] if type(nested) is list else next(blocks)


@instead(np.broadcast_arrays)
def _(*args, subok=False):
    arrays = [as_array(a) for a in args]
    shape = np.broadcast_shapes(*(a.shape for a in arrays))
    return tuple(np.broadcast_to(a, shape) for a in arrays)


@instead(np.meshgrid)
def _(*xi, copy=True, sparse=False, indexing="xy"):
    if indexing not in ("xy", "ij"):
        raise ValueError("Valid values for `indexing` are 'xy' and 'ij'.")
    n = len(xi)
    grids = [as_array(x).reshape((1,) * i + (-1,) + (1,) * (n - 1 - i)) for i, x in enumerate(xi)]
    if indexing == "xy" and n > 1:
        grids = [np.swapaxes(x, 0, 1) for x in grids]
    return tuple(grids) if sparse else np.broadcast_arrays(*grids)


# Splitting


def _pieces(split):
    """Split a tensor where NumPy splits the positions along the axis."""

    def pieces(ary, indices_or_sections, axis=0):
        axis = normalize_axis_index(axis, ary.ndim)
        return [
            ary[(*(slice(None),) * axis, slice(part[0], part[-1] + 1) if part.size else slice(0))]
            for part in split(np.arange(ary.shape[axis]), indices_or_sections)
        ]

    return pieces


def _split_along(name, axis, least):
    def split(ary, indices_or_sections):
        if ary.ndim < least:
            raise ValueError(f"{name} only works on arrays of {least} or more dimensions")
        return np.split(ary, indices_or_sections, axis(ary))

    return split


instead(np.array_split)(_pieces(np.array_split))
instead(np.split)(_pieces(np.split))
instead(np.hsplit)(_split_along("hsplit", lambda a: 0 if a.ndim == 1 else 1, 1))
instead(np.vsplit)(_split_along("vsplit", lambda a: 0, 2))
instead(np.dsplit)(_split_along("dsplit", lambda a: 2, 3))

if hasattr(np, "unstack"):  # NumPy 2.1

    @instead(np.unstack)
    def unstack(x, /, *, axis=0):
        return tuple(np.moveaxis(x, axis, 0))


# Repeating


@instead(np.tile)
def _(A, reps):
    A, reps = as_array(A), (reps,) if np.ndim(reps) == 0 else tuple(reps)
    n = max(A.ndim, len(reps))
    shape, reps = (1,) * (n - A.ndim) + A.shape, (1,) * (n - len(reps)) + reps
    spread = np.broadcast_to(
        A.reshape(tuple(k for m in shape for k in (1, m))),
        tuple(k for r, m in zip(reps, shape) for k in (r, m)),
    )
    return spread.reshape(tuple(r * m for r, m in zip(reps, shape)))


@instead(np.resize)
def _(a, new_shape):
    return rearranged(lambda p: np.resize(p, new_shape), as_array(a))


@instead(np.full_like)
def _(a, fill_value, dtype=None, order="K", subok=True, shape=None, *, device=None):
    shape = a.shape if shape is None else shape
    return np.broadcast_to(as_array(fill_value), shape).astype(a.dtype if dtype is None else dtype)


# Diagonals


@primitive
def diagonal_matrix(v, k=0):
    """A matrix with ``v`` on its k-th diagonal."""
    n = v.shape[0] + abs(k)
    return onto_diagonal(v, np.zeros((n, n)), k, 0, 1)


defvjp(diagonal_matrix, lambda g, y, v, k=0: np.diagonal(g, k))


@instead(np.diag)
def _(v, k=0):
    if v.ndim not in (1, 2):
        raise ValueError("Input must be 1- or 2-d.")
    return diagonal_matrix(v, k) if v.ndim == 1 else np.diagonal(v, k)


@instead(np.diagflat)
def _(v, k=0):
    return diagonal_matrix(v.reshape(-1), k)


@instead(np.linalg.diagonal)
def _(x, /, *, offset=0):
    return np.diagonal(x, offset, -2, -1)


@instead(np.linalg.trace)
def _(x, /, *, offset=0, dtype=None):
    return np.trace(x, offset, -2, -1, dtype)


# Padding


@instead(np.pad)
def _(array, pad_width, mode="constant", **kwargs):
    if callable(mode) or mode == "empty":
        raise TypeError(f"pad(mode={mode!r}) leaves the border to others; no gradient flows there")
    widths = _pad_widths(array, pad_width)
    if mode == "constant" and not kwargs:
        inside = tuple(slice(low, low + n) for n, (low, _) in zip(array.shape, widths))
        shape = tuple(low + n + high for n, (low, high) in zip(array.shape, widths))
        return scatter_add(array, shape, inside)
    if mode == "constant":
        border = as_array(kwargs["constant_values"]).astype(array.dtype)
        return rearranged(lambda p, q: np.pad(p, widths, constant_values=q), array, border)
    if mode in ("edge", "wrap") or (mode in ("reflect", "symmetric") and _is_even(**kwargs)):
        return rearranged(lambda p: np.pad(p, widths, mode), array)
    np.pad(np.zeros(array.shape), widths, mode, **kwargs)  # for what NumPy refuses
    return _padded_along_each_axis(array, widths, mode, **kwargs) if array.size else array


def _pad_widths(array, pad_width):
    if isinstance(pad_width, dict):
        given = {normalize_axis_index(i, array.ndim): w for i, w in pad_width.items()}
        pad_width = [np.broadcast_to(given.get(i, 0), 2) for i in range(array.ndim)]
    pairs = np.broadcast_to(pad_width, (array.ndim, 2))
    return [(int(low), int(high)) for low, high in pairs]


def _is_even(reflect_type="even"):
    return reflect_type == "even"


def _padded_along_each_axis(
    array, widths, mode, stat_length=None, end_values=0, reflect_type="odd"
):
    """The modes that compute their border, one axis after the other, corners included."""
    dtype = array.dtype
    for axis, (low, high) in enumerate(widths):
        x = np.moveaxis(array, axis, 0)
        if mode == "linear_ramp":
            ends = np.broadcast_to(end_values, (array.ndim, 2))[axis]
            before = np.linspace(ends[0], x[0], low, endpoint=False)
            after = np.flip(np.linspace(ends[1], x[-1], high, endpoint=False), 0)
            x = np.concatenate([before, x, after])
        elif mode in ("reflect", "symmetric"):
            x = _odd_reflection(x, low, high, edge=int(mode == "reflect"))
        else:
            x = _with_statistics(x, low, high, mode, _stat_lengths(stat_length, array, axis))
        array = np.moveaxis(x, 0, axis)
    return array.astype(dtype)


def _stat_lengths(stat_length, array, axis):
    if stat_length is None:
        return (None, None)
    return tuple(int(n) for n in np.broadcast_to(stat_length, (array.ndim, 2))[axis])


def _with_statistics(x, low, high, mode, lengths):
    statistic = getattr(np, {"maximum": "max", "minimum": "min"}.get(mode, mode))
    n = x.shape[0]
    first, last = (n if length is None else min(length, n) for length in lengths)
    before, after = (statistic(part, axis=0, keepdims=True) for part in (x[:first], x[n - last :]))
    sides = [np.broadcast_to(s, (m, *x.shape[1:])) for s, m in ((before, low), (after, high))]
    return np.concatenate([sides[0], x, sides[1]])


def _odd_reflection(x, low, high, edge):
    """Reflect through the points at the ends, again and again while the border is wider than x."""
    if x.shape[0] == 1:  # nothing to reflect: NumPy repeats it
        return np.repeat(x, 1 + low + high, axis=0)
    period = x.shape[0] - edge
    while low or high:
        n = x.shape[0]
        whole = (n - edge) // period * period
        before, after = min(low, whole), min(high, whole)
        left = 2 * x[:1] - np.flip(x[edge : edge + before], 0)
        right = 2 * x[n - 1 :] - np.flip(x[n - edge - after : n - edge], 0)
        x = np.concatenate([left, x, right])
        low, high = low - before, high - after
    return x


# Windows


@primitive
def windows(x, window_shape, axis):
    """Every window of a shape, as NumPy's ``sliding_window_view``."""
    return sliding_window_view(x, window_shape, axis)


def _windows(g, y, x, window_shape, axis):
    places = sliding_window_view(np.arange(x.size).reshape(x.shape), window_shape, axis)
    return scatter_add(g, (x.size,), (places,)).reshape(x.shape)


defvjp(windows, _windows)


@instead(sliding_window_view)
def _(x, window_shape, axis=None, *, subok=False, writeable=False):
    return windows(x, window_shape, axis)
