"""Choosing: elements picked by position and by condition, inserted and deleted.

Whatever only moves elements is computed once, by NumPy itself, on the elements' *positions*; the
result is looked up there.  So every argument means what NumPy says it means, and the derivative is
that of indexing.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from tinygrad_lab.core.primitive import as_array, constant, instead, values
from tinygrad_lab.core.rules.indexing import setitem


def rearranged(move, *arrays):
    """``move(*arrays)``, for a function that only moves, repeats or drops elements."""
    ends = np.cumsum([0, *(a.size for a in arrays)])
    positions = [start + np.arange(a.size).reshape(a.shape) for start, a in zip(ends, arrays)]
    places = move(*positions)
    rows = [a.reshape(-1) for a in arrays]
    row = rows[0] if len(rows) == 1 else np.concatenate(rows)
    return row[places.reshape(-1)].reshape(places.shape)


# By position


@instead(np.take_along_axis)
def _(arr, indices, axis=-1):
    indices = values(indices)
    return rearranged(lambda p: np.take_along_axis(p, indices, axis), arr)


@instead(np.delete)
def _(arr, obj, axis=None):
    return rearranged(lambda p: np.delete(p, values(obj), axis), arr)


@instead(np.insert)
def _(arr, obj, values, axis=None):
    arr, new = as_array(arr), as_array(values)
    return rearranged(lambda p, q: np.insert(p, obj, q, axis), arr, new.astype(arr.dtype))


@instead(np.partition)
def _(a, kth, axis=-1, kind="introselect", order=None):
    return np.take_along_axis(a, np.argpartition(values(a), kth, axis), axis)


# By condition


@instead(np.choose)
def _(a, choices, out=None, mode="raise"):
    a = values(a)
    return rearranged(lambda *p: np.choose(a, p, mode=mode), *map(as_array, choices))


@instead(np.select)
def _(condlist, choicelist, default=0):
    conditions = [values(c) for c in condlist]
    arrays = [as_array(a) for a in (*choicelist, default)]
    return rearranged(lambda *p: np.select(conditions, p[:-1], p[-1]), *arrays)


@instead(np.compress)
def _(condition, a, axis=None, out=None):
    a, axis = (a.reshape(-1), 0) if axis is None else (a, axis)
    return np.take(a, np.flatnonzero(values(condition)), axis)


@instead(np.extract)
def _(condition, arr):
    return np.take(arr, np.flatnonzero(values(condition)))


@instead(np.trim_zeros)
def _(filt, trim="fb", axis=None):
    places = np.argwhere(values(filt) != 0)
    axes = normalize_axis_tuple(range(filt.ndim) if axis is None else axis, filt.ndim)
    box = [slice(None)] * filt.ndim
    for i in axes:
        first, last = (np.min(places[:, i]), np.max(places[:, i])) if places.size else (0, -1)
        front, back = "f" in trim.lower() or not places.size, "b" in trim.lower()
        box[i] = slice(int(first) if front else None, int(last) + 1 if back else None)
    return filt[tuple(box)]


@instead(np.piecewise)
def _(x, condlist, funclist, *args, **kw):
    conditions = np.asarray(values(condlist))
    if conditions.ndim == x.ndim:
        conditions = conditions[None]
    conditions = conditions.astype(bool)
    if len(funclist) == len(conditions) + 1:
        conditions = np.concatenate([conditions, ~np.any(conditions, axis=0, keepdims=True)])
    if len(funclist) != len(conditions):
        raise ValueError(f"{len(funclist)} functions for {len(conditions)} conditions")
    result = np.zeros_like(x)
    for condition, function in zip(conditions, funclist):
        piece = function(x[condition], *args, **kw) if callable(function) else function
        result = setitem(result, piece, condition)
    return result


constant(np.argpartition, np.flatnonzero, np.ix_, np.diag_indices_from, np.tril_indices_from,
         np.triu_indices_from)  # fmt: skip
