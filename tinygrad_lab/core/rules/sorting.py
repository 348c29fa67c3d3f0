"""Sorting, searching and counting.

Sorting is a permutation, undone.  Tied elements could be in any order, so they share evenly.
"""

import numpy as np

from tinygrad_lab.core.arguments import beside
from tinygrad_lab.core.operations import composed, constant, defvjp
from tinygrad_lab.core.rules.arguments import untracked
from tinygrad_lab.core.rules.indexing import scatter_add


def _sort(g, y, x, axis=-1, kind=None, order=None, *, stable=None, descending=False):
    if axis is None:
        return _sort(g, y, x.reshape(-1), descending=descending).reshape(x.shape)
    shared = _shared_by_ties(np.moveaxis(g, axis, -1), np.moveaxis(y, axis, -1))
    rank = np.argsort(np.argsort(x, axis=axis, stable=True), axis=axis)
    rank = x.shape[axis] - 1 - rank if descending else rank
    return np.take_along_axis(np.moveaxis(shared, -1, axis), rank, axis)


def _shared_by_ties(g, y):
    """Average ``g`` over the runs of equal elements along the last, sorted, axis of ``y``."""
    if y.size == 0:
        return g
    new = y[..., 1:] != y[..., :-1]
    begin = beside(np.ones((*y.shape[:-1], 1), dtype=bool), new)
    first = np.concatenate([begin, new], axis=-1)
    run = np.cumsum(first.reshape(-1)) - 1
    total, length = (
        scatter_add(x.reshape(-1), (y.size,), (run,))[run] for x in (g, np.ones_like(untracked(y)))
    )
    return (total / length).reshape(y.shape)


def _order(y, x, axis=-1, kind=None, order=None, *, stable=None, descending=False):
    return np.argsort(x, axis=axis, stable=True)


defvjp(np.sort, _sort, branch=_order)


@composed(np.sort_complex)
def sort_complex(a):
    return np.sort(a if a.dtype.kind == "c" else a.astype(np.result_type(a.dtype, complex)))


@composed(np.partition)
def partition(a, kth, axis=-1, kind="introselect", order=None):
    return np.take_along_axis(a, np.argpartition(untracked(a), kth, axis), axis)


# No derivative: positions and counts

constant(np.argmax, np.argmin, np.nanargmax, np.nanargmin, np.argsort, np.argpartition, np.lexsort,
         np.argwhere, np.nonzero, np.count_nonzero, np.searchsorted)  # fmt: skip
