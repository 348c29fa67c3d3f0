"""Array manipulation: the same elements in another arrangement.

Every rule is the arrangement undone.
"""

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from tinygrad_lab.core.operations import composed, constant, defvjp, defvjp_joint, primitive
from tinygrad_lab.core.rules.arguments import as_array, untracked
from tinygrad_lab.core.rules.indexing import rearranged, scatter_add

# The same order, other axes


@primitive
def reshape(x, shape, order="C"):
    """The same elements in another shape."""
    return x.reshape(shape) if order == "C" else np.reshape(x, shape, order=order)


def _shaped_back(g, y, x, *args, **kwargs):
    return g.reshape(x.shape)


def _reshaped_back(g, y, x, shape, order="C"):
    return g.reshape(x.shape) if order == "C" else np.reshape(g, x.shape, order=order)


defvjp(reshape, _reshaped_back)
defvjp(np.squeeze, _shaped_back)
defvjp(np.expand_dims, _shaped_back)
defvjp(np.broadcast_to, lambda g, y, x, shape, subok=False: g)  # the engine sums it back


@composed(np.reshape)
def np_reshape(a, /, shape, order="C", *, copy=None):
    if order not in ("C", "F"):
        raise ValueError(
            f"reshape(order={order!r}) follows the memory layout, which a tensor does not "
            "promise; say order='C' or 'F'"
        )
    return reshape(a, shape) if order == "C" else reshape(a, shape, order)


@composed(np.ravel)
def ravel(a, order="C"):
    return np.reshape(a, -1, order)


@composed(np.broadcast_arrays)
def broadcast_arrays(*args, subok=False):
    arrays = [as_array(a) for a in args]
    shape = np.broadcast_shapes(*(a.shape for a in arrays))
    return tuple(np.broadcast_to(a, shape) for a in arrays)


def _at_least(n, arrange):
    """Define atleast_nd, where ``arrange`` gives an array its axes; several give a tuple."""

    def atleast(*arys):
        arrays = map(as_array, arys)
        wide = tuple(a.reshape(a.shape) if a.ndim >= n else arrange(a) for a in arrays)
        return wide[0] if len(wide) == 1 else wide

    return atleast


def _three(a):
    return a.reshape({0: (1, 1, 1), 1: (1, *a.shape, 1), 2: (*a.shape, 1)}[a.ndim])


composed(np.atleast_1d)(_at_least(1, lambda a: a.reshape((1,))))
composed(np.atleast_2d)(_at_least(2, lambda a: a.reshape((1, *a.shape) if a.ndim else (1, 1))))
composed(np.atleast_3d)(_at_least(3, _three))


# Permuted axes


def _transpose(g, y, x, axes=None):
    if axes is None:
        return g.T
    return np.transpose(g, tuple(np.argsort([a % x.ndim for a in axes])))


defvjp(np.transpose, _transpose)
defvjp(np.swapaxes, lambda g, y, x, axis1, axis2: np.swapaxes(g, axis1, axis2))
defvjp(np.moveaxis, lambda g, y, x, source, destination: np.moveaxis(g, destination, source))
defvjp(np.flip, lambda g, y, x, axis=None: np.flip(g, axis))


def _roll(g, y, x, shift, axis=None):
    return np.roll(g, tuple(-s for s in shift) if np.ndim(shift) else -shift, axis)


defvjp(np.roll, _roll)
defvjp(np.rot90, lambda g, y, x, k=1, axes=(0, 1): np.rot90(g, -k, axes))


@composed(np.fliplr)
def fliplr(m):
    return np.flip(m, 1)


@composed(np.flipud)
def flipud(m):
    return np.flip(m, 0)


@composed(np.rollaxis)
def rollaxis(a, axis, start=0):
    axis = normalize_axis_index(axis, a.ndim)
    start = normalize_axis_index(start, a.ndim + 1) if start >= 0 else start + a.ndim
    return np.moveaxis(a, axis, start - 1 if axis < start else start)


@composed(np.matrix_transpose, np.linalg.matrix_transpose)
def matrix_transpose(x, /):
    if x.ndim < 2:
        raise ValueError(f"a matrix has two axes or more, not shape {x.shape}")
    return np.swapaxes(x, -1, -2)


# Joining


@primitive
def concatenate(*arrays, axis=0):
    """Join arrays along an axis they have."""
    return np.concatenate(arrays, axis=axis)


def _concatenate(argnums, g, y, *arrays, axis=0):
    axis = axis % g.ndim
    ends = np.cumsum([a.shape[axis] for a in arrays])
    before = (slice(None),) * axis
    return [g[(*before, slice(ends[i] - arrays[i].shape[axis], ends[i]))] for i in argnums]


@primitive
def stack(*arrays, axis=0):
    """Join arrays of one shape along a new axis."""
    return np.stack(arrays, axis=axis)


def _stack(argnums, g, y, *arrays, axis=0):
    before = (slice(None),) * (axis % g.ndim)
    return [g[(*before, i)] for i in argnums]


defvjp_joint(concatenate, _concatenate)
defvjp_joint(stack, _stack)


@composed(np.concatenate, lists=True)
def np_concatenate(arrays, axis=0, out=None, *, dtype=None, casting="same_kind"):
    arrays = [as_array(a) for a in arrays]
    if axis is None:
        arrays, axis = [a.reshape(-1) for a in arrays], 0
    joined = concatenate(*arrays, axis=axis)
    return joined if dtype is None else joined.astype(dtype)


@composed(np.stack, lists=True)
def np_stack(arrays, axis=0, out=None, *, dtype=None, casting="same_kind"):
    joined = stack(*map(as_array, arrays), axis=axis)
    return joined if dtype is None else joined.astype(dtype)


def _join(prepare, axis):
    def join(tup, *, dtype=None, casting="same_kind"):
        arrays = [prepare(as_array(a)) for a in tup]
        along = int(arrays[0].ndim > 1) if axis is None and arrays else axis
        return np.concatenate(arrays, axis=along, dtype=dtype)

    return join


composed(np.hstack, lists=True)(_join(np.atleast_1d, None))
composed(np.vstack, lists=True)(_join(np.atleast_2d, 0))
composed(np.dstack, lists=True)(_join(np.atleast_3d, 2))


@composed(np.column_stack, lists=True)
def column_stack(tup):
    columns = [as_array(a) for a in tup]
    return np.concatenate([a if a.ndim > 1 else a.reshape((-1, 1)) for a in columns], axis=1)


@composed(np.append, by=("arr", "values"))
def append(arr, values, axis=None):
    return np.concatenate([as_array(arr), as_array(values)], axis=axis)


@composed(np.block, lists=True)
def block(arrays):
    blocks = [as_array(a) for a in _innermost(arrays)]
    return rearranged(lambda *p: np.block(_filled_in(arrays, iter(p))), *blocks)


def _innermost(nested):
    return [a for part in nested for a in _innermost(part)] if type(nested) is list else [nested]


def _filled_in(nested, blocks):
    """The same nested lists, of these blocks."""
    return [_filled_in(n, blocks) for n in nested] if type(nested) is list else next(blocks)


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


composed(np.array_split)(_pieces(np.array_split))
composed(np.split)(_pieces(np.split))
composed(np.hsplit)(_split_along("hsplit", lambda a: 0 if a.ndim == 1 else 1, 1))
composed(np.vsplit)(_split_along("vsplit", lambda a: 0, 2))
composed(np.dsplit)(_split_along("dsplit", lambda a: 2, 3))


if hasattr(np, "unstack"):  # NumPy 2.1

    @composed(np.unstack)
    def unstack(x, /, *, axis=0):
        return tuple(np.moveaxis(x, axis, 0))


# Repeating


def _repeat(g, y, x, repeats, axis=None):
    n = x.size if axis is None else x.shape[axis]
    source = np.repeat(np.arange(n), repeats)  # where each element came from
    if axis is None:
        return scatter_add(g, (n,), source).reshape(x.shape)
    return scatter_add(g, x.shape, (slice(None),) * (axis % x.ndim) + (source,))


defvjp(np.repeat, _repeat)


@composed(np.tile)
def tile(A, reps):
    A, reps = as_array(A), (reps,) if np.ndim(reps) == 0 else tuple(reps)
    n = max(A.ndim, len(reps))
    shape, reps = (1,) * (n - A.ndim) + A.shape, (1,) * (n - len(reps)) + reps
    spread = np.broadcast_to(
        A.reshape(tuple(k for m in shape for k in (1, m))),
        tuple(k for r, m in zip(reps, shape) for k in (r, m)),
    )
    return spread.reshape(tuple(r * m for r, m in zip(reps, shape)))


@composed(np.resize)
def resize(a, new_shape):
    return rearranged(lambda p: np.resize(p, new_shape), as_array(a))


# Taking out and putting in


@composed(np.delete)
def delete(arr, obj, axis=None):
    return rearranged(lambda p: np.delete(p, obj, axis), arr)


@composed(np.insert, by=("arr", "values"))
def insert(arr, obj, values, axis=None):
    arr, new = as_array(arr), as_array(values)
    return rearranged(lambda p, q: np.insert(p, obj, q, axis), arr, new.astype(arr.dtype))


@composed(np.trim_zeros)
def trim_zeros(filt, trim="fb", axis=None):
    places = np.argwhere(untracked(filt) != 0)
    axes = normalize_axis_tuple(range(filt.ndim) if axis is None else axis, filt.ndim)
    box = [slice(None)] * filt.ndim
    for i in axes:
        first, last = (np.min(places[:, i]), np.max(places[:, i])) if places.size else (0, -1)
        front, back = "f" in trim.lower() or not places.size, "b" in trim.lower()
        box[i] = slice(first if front else None, last + 1 if back else None)
    return filt[tuple(box)]


# No derivative: shapes

constant(np.shape, np.ndim, np.size, np.result_type, np.can_cast, np.shares_memory,
         np.may_share_memory)  # fmt: skip
