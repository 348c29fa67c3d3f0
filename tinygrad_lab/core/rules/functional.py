"""Functional programming: functions of the caller's, applied piece by piece or along axes."""

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from tinygrad_lab.core.operations import composed
from tinygrad_lab.core.rules.arguments import as_array
from tinygrad_lab.core.rules.indexing import setitem


@composed(np.piecewise, by=("x", "funclist", "args", "kw"), lists=True, always=True)
def piecewise(x, condlist, funclist, *args, **kw):
    conditions = as_array(condlist)
    if conditions.ndim == x.ndim:
        conditions = conditions[None]
    conditions = conditions.astype(bool)
    if len(funclist) == len(conditions) + 1:
        conditions = np.concatenate([conditions, ~np.any(conditions, axis=0, keepdims=True)])
    if len(funclist) != len(conditions):
        raise ValueError(f"{len(funclist)} functions for {len(conditions)} conditions")
    pieces = [
        function(x[condition], *args, **kw) if callable(function) else function
        for condition, function in zip(conditions, funclist)
    ]
    return setitem(np.zeros_like(x), *map(as_array, pieces), places=list(conditions))


@composed(np.apply_along_axis, by=("arr", "args", "kwargs"), always=True)
def apply_along_axis(func1d, axis, arr, *args, **kwargs):
    axis = normalize_axis_index(axis, arr.ndim)
    rows = np.moveaxis(arr, axis, -1)
    lead = rows.shape[:-1]
    if 0 in lead:
        raise ValueError("Cannot apply_along_axis when any iteration dimensions are 0")
    results = [as_array(func1d(rows[i], *args, **kwargs)) for i in np.ndindex(lead)]
    whole = np.stack(results).reshape((*lead, *results[0].shape))
    own = range(len(lead), whole.ndim)
    return np.moveaxis(whole, tuple(own), tuple(i - len(lead) + axis for i in own))


@composed(np.apply_over_axes, by=("a",), always=True)
def apply_over_axes(func, a, axes):
    for axis in (axes,) if np.ndim(axes) == 0 else axes:
        reduced = func(a, axis)
        a = reduced if reduced.ndim == a.ndim else np.expand_dims(reduced, axis)
    return a
