"""Indexing: some elements out of many, by position and by condition, and back.

``getitem`` and ``scatter_add`` are each other's derivative.  ``setitem`` is what ``t[i] = v``
means for values that never change: a copy with new elements.  Both are linear in loops: what is
taken out one by one is put together once, and assignments in a row are one call (``tensor.py``).
"""

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tinygrad_lab.core.arguments import beside
from tinygrad_lab.core.operations import (
    composed,
    constant,
    defvjp,
    defvjp_joint,
    primitive,
    refused,
    together,
)
from tinygrad_lab.core.rules.arguments import as_array, common_dtype
from tinygrad_lab.core.several import Pieces


@primitive
def getitem(x, index):
    """The elements of ``x`` at ``index``, for every index NumPy accepts."""
    return x[index]


@primitive
def scatter_add(values, shape, index):
    """Zeros of ``shape``, with ``values`` added at ``index``: repeated places add up."""
    return _added(np.zeros_like(values, shape=shape), index, values)


@primitive
def assembled(*values, shape, places):
    """Zeros of ``shape``, with each of ``values`` added at its place."""
    out = np.zeros_like(values[0], shape=shape)
    for value, place in zip(values, places):
        out = _added(out, place, value)
    return out


def _added(out, index, values):
    if _names_each_place_once(index):
        out[index] += values
        return out
    try:
        np.add.at(out, index, values)
    except TypeError:  # Dask has no such thing
        return out + _added_in_turns(values, out.shape, index)
    return out


def _added_in_turns(values, shape, index):
    """Do the same by assignments, each to places that are all different."""
    places = np.arange(math.prod(shape)).reshape(shape)[index].reshape(-1)
    if places.size == 0:
        return np.zeros_like(values, shape=shape)
    order = np.argsort(places, stable=True)
    begins = np.flatnonzero(np.diff(places[order], prepend=-1))  # of the runs of equal places
    turns = np.empty_like(places)
    turns[order] = np.arange(places.size) - np.repeat(begins, np.diff(begins, append=places.size))
    flat, total = values.reshape((places.size,)), np.zeros_like(values, shape=(math.prod(shape),))
    for turn in range(int(np.max(turns, initial=0)) + 1):
        chosen = np.flatnonzero(turns == turn)
        part = np.zeros_like(values, shape=(math.prod(shape),))
        part[places[chosen]] = flat[chosen]
        total = total + part
    return total.reshape(shape)


def _names_each_place_once(index):
    """Whether the index is made of integers, slices, None and ellipsis only, or one mask."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(
        part is None or part is Ellipsis or isinstance(part, (int, np.integer, slice))
        for part in parts
    ) or (len(parts) == 1 and getattr(parts[0], "dtype", None) == np.dtype(bool))


def _leaves_out(x, index):
    """Whether the index does more than give axes of length 1: ``x[:, None]``."""
    parts = index if isinstance(index, tuple) else (index,)
    return not all(
        part is None
        or part is Ellipsis
        or (isinstance(part, slice) and part.start is part.stop is part.step is None)
        for part in parts
    )


def _back(g, y, x, index):
    return scatter_add(g, x.shape, index) if _leaves_out(x, index) else g.reshape(x.shape)


def _piece(argnums, g, y, x, index):
    return [Pieces(assembled, x.shape, g, index) if _leaves_out(x, index) else g.reshape(x.shape)]


defvjp(getitem, _back, selects=_leaves_out)
together(getitem, _piece)
defvjp(scatter_add, lambda g, y, values, shape, index: getitem(g, index))
defvjp_joint(
    assembled,
    lambda argnums, g, y, *_, shape, places: [getitem(g, places[i]) for i in argnums],
)


@primitive
def setitem(x, *values, places):
    """A copy of ``x`` with each of ``values`` at its place: where several meet, the last wins."""
    out = x.copy()
    for value, place in zip(values, places):
        out[place] = value
    return out


def _setitem(argnums, g, y, x, *values, places):
    blank, numbers, first = np.full(x.shape, -1), [], 0
    for place in places:
        shape = getitem(blank, place).shape
        numbers.append(first + np.arange(math.prod(shape)).reshape(shape))
        first += math.prod(shape)
    written = setitem(blank, *numbers, places=places)  # which number a place has in the end

    def of(argnum):
        if argnum == 0:
            return np.where(beside(written == -1, g), g, 0)
        place, number = places[argnum - 1], numbers[argnum - 1]
        is_there = beside(getitem(written, place) == number, g)
        slopes = np.where(is_there, getitem(g, place), 0)
        missing = max(values[argnum - 1].ndim - slopes.ndim, 0)  # NumPy takes more leading ones
        return slopes.reshape((1,) * missing + slopes.shape)

    return [of(argnum) for argnum in argnums]


defvjp_joint(setitem, _setitem)


def _take(g, y, x, indices, axis=None, out=None, mode="raise"):
    n = x.size if axis is None else x.shape[axis]
    places = np.clip(indices, 0, n - 1) if mode == "clip" else as_array(indices) % max(n, 1)
    if axis is None:
        return scatter_add(g, (x.size,), places).reshape(x.shape)
    return scatter_add(g, x.shape, (slice(None),) * (axis % x.ndim) + (places,))


defvjp(np.take, _take, selects=True)


# Whatever only moves elements is computed once, by NumPy itself, on the elements' *positions*; the
# result is looked up there.  So every argument means what NumPy says it means, and the derivative
# is that of indexing.


def rearranged(move, *arrays):
    """``move(*arrays)``, for a function that only moves, repeats or drops elements."""
    ends = np.cumsum([0, *(a.size for a in arrays)])
    positions = [start + np.arange(a.size).reshape(a.shape) for start, a in zip(ends, arrays)]
    places = move(*positions)
    rows = [a.reshape(-1) for a in arrays]
    row = rows[0] if len(rows) == 1 else np.concatenate(rows)
    return row[places.reshape(-1)].reshape(places.shape)


@composed(np.take_along_axis)
def take_along_axis(arr, indices, axis=-1):
    return rearranged(lambda p: np.take_along_axis(beside(p, indices), indices, axis), arr)


# By condition


@primitive
def where(condition, a, b):
    """Elements of ``a`` where the condition holds, and of ``b`` elsewhere."""
    return np.where(condition, a, b)


@composed(np.where, by=("condition", "choices"))
def np_where(condition, *choices):
    return where(condition, *choices) if choices else np.nonzero(condition)


defvjp(
    where,
    None,
    lambda g, y, condition, a, b: np.where(condition, g, 0),
    lambda g, y, condition, a, b: np.where(condition, 0, g),
    selects=True,
)


@composed(np.choose, by=("choices",), lists=True)
def choose(a, choices, out=None, mode="raise"):
    arrays = _of_one_dtype(choices)
    return rearranged(lambda *p: np.choose(a, p, mode=mode), *arrays)


@composed(np.select, by=("choicelist", "default"), lists=True)
def select(condlist, choicelist, default=0):
    arrays = _of_one_dtype((*choicelist, default))
    return rearranged(lambda *p: np.select(condlist, p[:-1], p[-1]), *arrays)


def _of_one_dtype(values):
    dtype = common_dtype(*values)
    return [as_array(value).astype(dtype, copy=False) for value in values]


@composed(np.compress, by=("a",))
def compress(condition, a, axis=None, out=None):
    a, axis = (a.reshape(-1), 0) if axis is None else (a, axis)
    return np.take(a, np.flatnonzero(condition), axis)


@composed(np.extract, by=("arr",))
def extract(condition, arr):
    return np.take(arr, np.flatnonzero(condition))


# Diagonals


def onto_diagonal(g, x, offset, axis1, axis2):
    """Put the last axis of ``g`` on a diagonal of zeros of the shape of ``x``."""
    rows, columns = x.shape[axis1], x.shape[axis2]
    ones = beside(np.eye(rows, columns, offset, dtype=bool), g)
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


# Windows


@primitive
def windows(x, window_shape, axis):
    """Every window of a shape, as NumPy's ``sliding_window_view``."""
    return sliding_window_view(x, window_shape, axis)


def _windows(g, y, x, window_shape, axis):
    places = sliding_window_view(np.arange(x.size).reshape(x.shape), window_shape, axis)
    return scatter_add(g, (x.size,), (places,)).reshape(x.shape)


defvjp(windows, _windows)


@composed(sliding_window_view)
def windows_of(x, window_shape, axis=None, *, subok=False, writeable=False):
    return windows(x, window_shape, axis)


# No derivative: positions

refused("takes places, and floats are none: say t.detach()", np.ix_)

constant(np.flatnonzero, np.diag_indices_from, np.tril_indices_from, np.triu_indices_from)
