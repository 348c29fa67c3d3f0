"""Indexing: some elements out of many, and back.

``getitem`` and ``scatter_add`` are each other's derivative.  ``setitem`` is what ``t[i] = v``
means for values that never change: a copy with new elements.
"""

from __future__ import annotations

import math

import numpy as np

from tinygrad_lab.core.primitive import defvjp, primitive, selects


@primitive
def getitem(x, index):
    """The elements of ``x`` at ``index``, for every index NumPy accepts."""
    return x[index]


@primitive
def scatter_add(values, shape, index):
    """Zeros of ``shape``, with ``values`` added at ``index``: repeated places add up."""
    out = np.zeros_like(values, shape=shape)
    if _names_each_place_once(index):
        out[index] = values
        return out
    try:
        np.add.at(out, index, values)
    except TypeError:  # Dask has no such thing
        return _added_in_turns(values, shape, index)
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


defvjp(getitem, lambda g, y, x, index: scatter_add(g, x.shape, index))
defvjp(scatter_add, lambda g, y, values, shape, index: getitem(g, index))


@primitive
def setitem(x, value, index):
    """A copy of ``x`` with ``value`` at ``index``; of repeated places the last wins."""
    out = x.copy()
    out[index] = value
    return out


def _setitem_value(g, y, x, value, index):
    taken = g[index]
    if not _names_each_place_once(index):
        turn = np.arange(taken.size).reshape(taken.shape)
        last = np.zeros(x.shape, dtype=int)
        last[index] = turn  # of the values for one place, only the one that stayed has a gradient
        taken = np.where(last[index] == turn, taken, 0)
    missing = max(value.ndim - taken.ndim, 0)  # NumPy lets a value have leading ones
    return taken.reshape((1,) * missing + taken.shape)


defvjp(setitem, lambda g, y, x, value, index: setitem(g, 0, index), _setitem_value)


def _take(g, y, x, indices, axis=None, out=None, mode="raise"):
    n = x.size if axis is None else x.shape[axis]
    places = np.clip(indices, 0, n - 1) if mode == "clip" else np.asarray(indices) % max(n, 1)
    if axis is None:
        return scatter_add(g, (x.size,), places).reshape(x.shape)
    return scatter_add(g, x.shape, (slice(None),) * (axis % x.ndim) + (places,))


defvjp(np.take, _take)
selects(getitem, np.take)
