"""Order statistics and averages: sorting, quantiles, weighted means, and the nan-forms.

What NumPy computes from other functions is composed of them here too: the composition's rules are
already in the table.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from tinygrad_lab.core.primitive import as_array, constant, defvjp, instead, selects, values
from tinygrad_lab.core.rules.indexing import scatter_add
from tinygrad_lab.core.rules.reductions import _extreme

# Sorting: a permutation, undone.  Tied elements could be in any order, so they share evenly.


def _sort(g, y, x, axis=-1, kind=None, order=None, *, stable=None):
    if axis is None:
        return _sort(g, y, x.reshape(-1)).reshape(x.shape)
    shared = _shared_by_ties(np.moveaxis(g, axis, -1), np.moveaxis(y, axis, -1))
    rank = np.argsort(np.argsort(x, axis=axis, stable=True), axis=axis)
    return np.take_along_axis(np.moveaxis(shared, -1, axis), rank, axis)


def _shared_by_ties(g, y):
    """Average ``g`` over the runs of equal elements along the last, sorted, axis of ``y``."""
    if y.size == 0:
        return g
    new = y[..., 1:] != y[..., :-1]
    if np.all(new):
        return g
    first = np.concatenate([np.ones((*y.shape[:-1], 1), dtype=bool), new], axis=-1)
    run = np.cumsum(first.reshape(-1)) - 1
    total = scatter_add(g.reshape(-1), (int(run[-1]) + 1,), (run,))
    return (total / np.bincount(run))[run].reshape(y.shape)


defvjp(np.sort, _sort)


@instead(np.sort_complex)
def _(a):
    return np.sort(a if a.dtype.kind == "c" else a.astype(np.result_type(a.dtype, complex)))


# Quantiles: a weighted mean of two neighbours in sorted order.  The quantile of 0, 1, ... n - 1
# says which two, and the weights, for each of NumPy's methods.


_PICKING = ("inverted_cdf", "closest_observation", "lower", "higher", "nearest")


def _quantile(a, q, axis, method, keepdims, ignore_nan, scale=1):
    a = as_array(a)
    picks = type(q) in (int, float) or method in _PICKING
    dtype = a.dtype if picks else np.result_type(a.dtype, values(as_array(q)).dtype)
    q = np.true_divide(values(q), scale)
    if ignore_nan and q.ndim > 1:
        raise ValueError(f"q of shape {q.shape}: NumPy's nan-forms mix up more axes than one")
    axes = normalize_axis_tuple(range(a.ndim) if axis is None else axis, a.ndim)
    kept = [i for i in range(a.ndim) if i not in axes]
    lengths = tuple(a.shape[i] for i in kept)
    n = int(np.prod([a.shape[i] for i in axes], dtype=int))
    if n == 0:
        raise IndexError(f"no quantile of nothing: axes {axes} of shape {a.shape}")
    rows = np.sort(np.transpose(a, (*kept, *axes)).reshape((*lengths, n)), axis=-1)  # NaN last
    missing = np.isnan(rows)
    counts = np.sum(~missing, axis=-1) if ignore_nan else np.full(lengths, n)
    undefined = np.all(missing, axis=-1) if ignore_nan else np.any(missing, axis=-1)
    place = _places(q, np.where(undefined, 0, counts), method)
    below, part = np.floor(place).astype(int), place % 1
    neighbours = np.stack([below, np.minimum(below + 1, n - 1)])
    table = np.broadcast_to(rows, (2,) + (1,) * q.ndim + rows.shape)
    low, high = np.take_along_axis(table, neighbours[..., None], -1)[..., 0]
    result = np.where(part == 0, low, low + (high - low) * part.astype(dtype))
    result = np.where(undefined, a.dtype.type(np.nan), result)
    if keepdims:
        return result.reshape((*q.shape, *(1 if i in axes else m for i, m in enumerate(a.shape))))
    return result


def _places(q, counts, method):
    """Where among the ``counts`` sorted elements of each row the quantiles lie."""
    place = np.zeros((*q.shape, *counts.shape))
    for n in np.unique(counts[counts > 0]):
        at = np.quantile(np.arange(float(n)), q, method=method)
        place = np.where(counts == n, at.reshape(q.shape + (1,) * counts.ndim), place)
    return place


def _define_quantile(function, scale, ignore_nan):
    @instead(function)
    def quantile(a, q, axis=None, out=None, overwrite_input=False, method="linear", keepdims=False,
                 *, weights=None):  # fmt: skip
        if weights is not None:
            raise TypeError("a weighted quantile has no derivative rule; sort, and interpolate")
        return _quantile(a, q, axis, method, keepdims, ignore_nan, scale)


def _define_median(function, ignore_nan):
    @instead(function)
    def median(a, axis=None, out=None, overwrite_input=False, keepdims=False):
        return _quantile(a, 0.5, axis, "linear", keepdims, ignore_nan)


_define_quantile(np.quantile, 1, ignore_nan=False)
_define_quantile(np.percentile, 100, ignore_nan=False)
_define_quantile(np.nanquantile, 1, ignore_nan=True)
_define_quantile(np.nanpercentile, 100, ignore_nan=True)
_define_median(np.median, ignore_nan=False)
_define_median(np.nanmedian, ignore_nan=True)


# Means and spreads


@instead(np.ptp)
def _(a, axis=None, out=None, keepdims=False):
    return np.max(a, axis=axis, keepdims=keepdims) - np.min(a, axis=axis, keepdims=keepdims)


@instead(np.average)
def _(a, axis=None, weights=None, returned=False, *, keepdims=False):
    a = as_array(a)
    if weights is None:
        mean = np.mean(a, axis=axis, keepdims=keepdims)
        return (mean, np.full(mean.shape, a.size / mean.size)) if returned else mean
    weights = _aligned(as_array(weights), a, axis)
    total = np.sum(np.broadcast_to(weights, a.shape), axis=axis, keepdims=keepdims)
    if np.any(total == 0):
        raise ZeroDivisionError("Weights sum to zero, can't be normalized")
    mean = np.sum(a * weights, axis=axis, keepdims=keepdims) / total
    return (mean, np.broadcast_to(total, mean.shape)) if returned else mean


def _aligned(weights, a, axis):
    """Give weights along some axes, in the order these are named, all axes of ``a``."""
    if weights.shape == a.shape:
        return weights
    if axis is None:
        raise TypeError("Axis must be specified when shapes of a and weights differ.")
    axes = normalize_axis_tuple(axis, a.ndim)
    if weights.shape != tuple(a.shape[i] for i in axes):
        raise ValueError(f"weights of shape {weights.shape} for axis {axis} of shape {a.shape}")
    weights = np.transpose(weights, tuple(int(i) for i in np.argsort(axes)))
    return weights.reshape(tuple(n if i in axes else 1 for i, n in enumerate(a.shape)))


@instead(np.cov)
def _(m, y=None, rowvar=True, bias=False, ddof=None, fweights=None, aweights=None, *, dtype=None):
    rows = _variables(m, rowvar)
    if y is not None:
        rows = np.concatenate([rows, _variables(y, rowvar)])
    rows = rows.astype(np.result_type(rows.dtype, np.float64) if dtype is None else dtype)
    ddof = (0 if bias else 1) if ddof is None else ddof
    given = [as_array(w) for w in (fweights, aweights) if w is not None]
    w = (
        np.prod(np.stack(given), axis=0)
        if given
        else np.ones(rows.shape[1], np.finfo(rows.dtype).dtype)
    )
    total = np.sum(w)
    # NumPy's degrees of freedom: frequencies count observations, reliabilities do not.
    lost = ddof if aweights is None else ddof * np.sum(w * given[-1]) / total
    centred = rows - (rows @ w / total).reshape((-1, 1))
    return np.squeeze((centred * w) @ np.conj(centred.T) / (total - lost))


def _variables(m, rowvar):
    m = np.atleast_2d(m)
    return m if rowvar or m.shape[0] == 1 else m.T


@instead(np.corrcoef)
def _(x, y=None, rowvar=True, *, dtype=None):
    c = np.cov(x, y, rowvar, dtype=dtype)
    if c.ndim == 0:
        return c / c
    spread = np.sqrt(np.real(np.diagonal(c)))
    return c / spread.reshape((-1, 1)) / spread


# The nan-forms: NaN counts as absent

defvjp(np.nanmax, _extreme)
defvjp(np.nanmin, _extreme)
selects(np.nanmax, np.nanmin)


def _filled(a, value):
    return np.where(np.isnan(a), a.dtype.type(value), a)


@instead(np.nansum)
def _(a, axis=None, dtype=None, out=None, keepdims=False, **options):
    return np.sum(_filled(a, 0), axis, dtype, keepdims=keepdims, **options)


@instead(np.nanprod)
def _(a, axis=None, dtype=None, out=None, keepdims=False, **options):
    return np.prod(_filled(a, 1), axis, dtype, keepdims=keepdims, **options)


@instead(np.nancumsum)
def _(a, axis=None, dtype=None, out=None):
    return np.cumsum(_filled(a, 0), axis, dtype)


@instead(np.nancumprod)
def _(a, axis=None, dtype=None, out=None):
    return np.cumprod(_filled(a, 1), axis, dtype)


@instead(np.nanmean)
def _(a, axis=None, dtype=None, out=None, keepdims=False, *, where=True):
    present = ~np.isnan(a) & where
    total = np.sum(np.where(present, a, a.dtype.type(0)), axis, dtype, keepdims=keepdims)
    return total / np.sum(present, axis=axis, keepdims=keepdims).astype(total.dtype)


def _define_nan_spread(function, spread):
    @instead(function)
    def nan_spread(a, axis=None, dtype=None, out=None, ddof=0, keepdims=False, *, where=True,
                   mean=None, correction=None):  # fmt: skip
        present = ~np.isnan(a) & where
        ddof = ddof if correction is None else correction
        found = spread(_filled(a, 0), axis, dtype, ddof=ddof, keepdims=keepdims, where=present)
        enough = np.sum(present, axis=axis, keepdims=keepdims) > ddof
        return found if np.all(enough) else np.where(enough, found, a.dtype.type(np.nan))


_define_nan_spread(np.nanvar, np.var)
_define_nan_spread(np.nanstd, np.std)


# No derivative: counts and positions

constant(np.nanargmax, np.nanargmin, np.digitize, np.histogram_bin_edges, np.isin)
