"""Statistics: averages, spreads, quantiles, correlations, weighted counts.

What NumPy computes from other functions is composed of them here too: the composition's rules are
already in the table.
"""

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from tinygrad_lab.core.arguments import beside
from tinygrad_lab.core.levels import somewhere
from tinygrad_lab.core.operations import composed, constant, defvjp
from tinygrad_lab.core.rules.arguments import as_array, as_floats, common_dtype, untracked
from tinygrad_lab.core.rules.indexing import getitem, scatter_add
from tinygrad_lab.core.rules.mathematical.elementwise import conj
from tinygrad_lab.core.rules.mathematical.lengths import (
    out_of_range,
    slope_at_zero,
    unit,
    vanishing,
)
from tinygrad_lab.core.rules.mathematical.sums import axes_of, count, keep, nan_filled, spread

# Averages


def _mean(g, y, x, axis=None, dtype=None, out=None, keepdims=False, *, where=True):
    g = g if where is True else keep(g, x, axis)
    return spread(g / count(x, axis, where), x, axis, where)


defvjp(np.mean, _mean)


@composed(np.nanmean)
def nanmean(a, axis=None, dtype=None, out=None, keepdims=False, *, where=True):
    present = ~np.isnan(a) & where
    total = np.sum(np.where(present, a, a.dtype.type(0)), axis, dtype, keepdims=keepdims)
    return total / np.sum(present, axis=axis, keepdims=keepdims).astype(total.dtype)


@composed(np.average, by=("a", "weights"))
def average(a, axis=None, weights=None, returned=False, *, keepdims=False):
    a = as_array(a)
    if weights is None:
        mean = np.mean(a, axis=axis, keepdims=keepdims)
        weight = np.full(mean.shape, a.size / mean.size, mean.dtype)
        return (mean, weight) if returned else mean
    weights = as_array(weights)
    dtype = np.result_type(weights.dtype, *([a.dtype] if a.dtype.kind in "fc" else [a.dtype, "f8"]))
    weights = _aligned(weights.astype(dtype, copy=False), a, axis)
    total = np.sum(np.broadcast_to(weights, a.shape), axis=axis, keepdims=keepdims)
    if somewhere(total == 0):
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


# Spread around the mean


def _degrees(x, axis, ddof, correction, where):
    n = count(x, axis, where)
    return np.maximum(n - (ddof if correction is None else correction), 0)


def _deviations(x, axis, where, mean):
    """How far each element lies from the mean, 0 where masked out; of complex ones, conjugated."""
    if mean is None:
        masked = {} if where is True else {"where": where}
        mean = np.mean(x, axis=axes_of(x, axis), keepdims=True, **masked)
    return conj(x - mean if where is True else np.where(where, x - mean, 0))


def _var(g, y, x, axis=None, dtype=None, out=None, ddof=0, keepdims=False, *, where=True,
         mean=None, correction=None):  # fmt: skip
    slope = 2 * _deviations(x, axis, where, mean) / _degrees(x, axis, ddof, correction, where)
    return keep(g, x, axis) * slope


def _std(g, y, x, axis=None, dtype=None, out=None, ddof=0, keepdims=False, *, where=True,
         mean=None, correction=None):  # fmt: skip
    spread, degrees = keep(y, x, axis), _degrees(x, axis, ddof, correction, where)
    away = part = _deviations(x, axis, where, mean)
    out = out_of_range(spread)
    if x.size and somewhere(out):
        part = away / unit(away, axes_of(x, axis), out)
        squares = np.real(part * conj(part))
        spread = np.sqrt(np.sum(squares, axis=axes_of(x, axis), keepdims=True) / degrees)
    spread = spread * degrees
    flat = spread == 0  # all elements equal: the zero subgradient
    back = keep(g, x, axis) * np.where(flat, 0, part / np.where(flat, 1, spread))
    bend = slope_at_zero(g, y)
    if bend is None:
        return back
    each = keep(bend, x, axis) / degrees
    varies = count(x, axis, where) > 1  # of one element the spread is 0, and smooth
    return back + vanishing(np.where(varies, each, 0), away)


defvjp(np.var, _var)
defvjp(np.std, _std, branch=lambda y, x, *args, **kwargs: y == 0)


def _define_nan_spread(function, spread):
    @composed(function)
    def nan_spread(a, axis=None, dtype=None, out=None, ddof=0, keepdims=False, *, where=True,
                   mean=None, correction=None):  # fmt: skip
        present = ~np.isnan(a) & where
        ddof = ddof if correction is None else correction
        options = {"ddof": ddof, "keepdims": keepdims, "where": present}
        if mean is not None:
            options["mean"] = mean
        result = spread(nan_filled(a, 0), axis, dtype, **options)
        enough = np.sum(present, axis=axis, keepdims=keepdims) > ddof
        return result if not somewhere(~enough) else np.where(enough, result, a.dtype.type(np.nan))


_define_nan_spread(np.nanvar, np.var)
_define_nan_spread(np.nanstd, np.std)


@composed(np.ptp)
def ptp(a, axis=None, out=None, keepdims=False):
    return np.max(a, axis=axis, keepdims=keepdims) - np.min(a, axis=axis, keepdims=keepdims)


# Quantiles: a weighted mean of two neighbours in sorted order.  The quantile of 0, 1, ... n - 1
# says which two, and the weights, for each of NumPy's methods.  At an element, where two slopes by
# q meet, the quantile has that towards the next.


def _quantile(a, q, dtype, axis, method, keepdims, ignore_nan, between):
    if ignore_nan and q.ndim > 1:
        raise ValueError(f"q of shape {q.shape}: NumPy's nan-forms mix up more axes than one")
    rows, axes = _sorted(a, axis)
    *lengths, n = rows.shape
    missing = np.isnan(rows)
    undefined = np.all(missing, axis=-1) if ignore_nan else np.any(missing, axis=-1)
    each = (1,) * len(lengths)
    counts = np.sum(~missing, axis=-1) + undefined if ignore_nan else np.full(each, n)
    counts = beside(counts, untracked(rows))
    place = _places(beside(q.reshape(q.shape + each), counts), counts, n, method)
    below = np.minimum(np.floor(untracked(place)).astype(int), max(n - 2, 0))
    part = place - below
    neighbours = np.stack([below, np.minimum(below + 1, n - 1)])
    table = np.broadcast_to(rows, (2,) + (1,) * q.ndim + rows.shape)
    low, high = np.take_along_axis(table, neighbours[..., None], -1)[..., 0]
    result = between(low, high, part.astype(dtype))
    result = np.where(undefined, a.dtype.type(np.nan), result)
    return result.reshape((*q.shape, *_kept(a.shape, axes))) if keepdims else result


def _sorted(a, axis):
    """Sort along some axes, as one axis behind the others: NaN come last in it."""
    axes = normalize_axis_tuple(range(a.ndim) if axis is None else axis, a.ndim)
    others = [i for i in range(a.ndim) if i not in axes]
    n = int(np.prod([a.shape[i] for i in axes], dtype=int))
    if n == 0:
        raise IndexError(f"no quantile of nothing: axes {axes} of shape {a.shape}")
    if a.ndim != 1:
        a = np.transpose(a, (*others, *axes)).reshape((*(a.shape[i] for i in others), n))
    return np.sort(a, axis=-1), axes


def _kept(shape, axes):
    return tuple(1 if i in axes else m for i, m in enumerate(shape))


def _along(low, high, part):
    """Go part of the way between neighbours, from the nearer end, as NumPy does."""
    gap = high - low
    at_one = ((part == 0) | (part == 1)) & ~np.isfinite(gap)  # an element, beside an infinite one
    gap = np.where(at_one, 0, gap)
    return np.where(part >= 0.5, high - gap * (1 - part), low + gap * part)


def _middle(low, high, part):
    return np.where(part == 0, low, (low + high) / 2)


def _places(q, counts, n, method):
    """Where the quantiles lie in sorted rows of ``n``, of which ``counts`` elements count."""
    plain = untracked(q)
    if method == "linear":
        place = (counts - 1) * plain
    else:
        row = beside(np.arange(float(n)), counts)
        left = np.where(row < counts[..., None], row, np.nan)
        place = np.nanquantile(left, beside(plain.reshape(-1), left), axis=-1, method=method)
        place = place.reshape((*q.shape[: q.ndim - counts.ndim], *counts.shape))
    growth, start = _GROWTH.get(method, (-counts, 0))
    rate = counts + growth
    free = rate * plain + start  # where it would be without ends
    return place + (q - plain) * np.where((free >= 0) & (free <= counts - 1), rate, 0)


#: How fast a place moves with q, less the number of elements, and where it is for q = 0; by the
#: other methods it jumps.
_GROWTH = {
    "linear": (-1, 0), "weibull": (1, -1), "hazen": (0, -1 / 2),
    "interpolated_inverted_cdf": (0, -1), "median_unbiased": (1 / 3, -2 / 3),
    "normal_unbiased": (1 / 4, -5 / 8),
}  # fmt: skip


def _define_quantile(function, scale, ignore_nan):
    @composed(function, by=("a", "q"))
    def quantile(a, q, axis=None, out=None, overwrite_input=False, method="linear", keepdims=False,
                 *, weights=None):  # fmt: skip
        if weights is not None:
            raise TypeError("a weighted quantile has no derivative rule; sort, and interpolate")
        a, plain = as_array(a), untracked(q)
        if method not in _GROWTH and untracked(a) is a:  # it jumps from element to element
            return function(a, plain, axis, method=method, keepdims=keepdims)
        dtype = function(np.ones(1, a.dtype), plain, method=method).dtype  # by NumPy's version
        q = np.true_divide(q, scale)
        a = as_floats(a)
        return _quantile(a, q, dtype, axis, method, keepdims, ignore_nan, _along)


@composed(np.median)
def median(a, axis=None, out=None, overwrite_input=False, keepdims=False):
    a = as_array(a)
    rows, axes = _sorted(a, axis)
    n = rows.shape[-1]
    result = rows[..., n // 2]
    if n % 2 == 0:
        result = (rows[..., n // 2 - 1] + result) / 2
    result = np.where(np.isnan(rows[..., -1]), a.dtype.type(np.nan), result)
    return result.reshape(_kept(a.shape, axes)) if keepdims else result


@composed(np.nanmedian)
def nanmedian(a, axis=None, out=None, overwrite_input=False, keepdims=False):
    a, half = as_array(a), np.asarray(0.5)
    return _quantile(a, half, a.dtype, axis, "linear", keepdims, True, _middle)


_define_quantile(np.quantile, 1, ignore_nan=False)
_define_quantile(np.percentile, 100, ignore_nan=False)
_define_quantile(np.nanquantile, 1, ignore_nan=True)
_define_quantile(np.nanpercentile, 100, ignore_nan=True)


# Correlations


@composed(np.cov, by=("m", "y", "aweights"))
def cov(m, y=None, rowvar=True, bias=False, ddof=None, fweights=None, aweights=None, *, dtype=None):
    rows = _variables(m, rowvar)
    if y is not None:
        rows = np.concatenate([rows, _variables(y, rowvar)])
    rows = rows.astype(np.result_type(rows.dtype, np.float64) if dtype is None else dtype)
    ddof = (0 if bias else 1) if ddof is None else ddof
    if ddof != int(ddof):
        raise ValueError("ddof must be integer")
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


@composed(np.corrcoef, by=("x", "y"))
def corrcoef(x, y=None, rowvar=True, *, dtype=None):
    c = np.cov(x, y, rowvar, dtype=dtype)
    if c.ndim == 0:
        return c / c
    spread = np.sqrt(np.real(np.diagonal(c)))
    return c / spread.reshape((-1, 1)) / spread


# Counts with weights


@composed(np.bincount, by=("weights",))
def bincount(x, /, weights=None, minlength=0):
    x = beside(as_array(x), untracked(weights))
    counts = np.bincount(x, untracked(weights), minlength)
    if weights is None:
        return counts
    weights = as_array(weights)
    if weights.shape != np.shape(x):
        raise ValueError(f"weights of shape {weights.shape} for numbers of shape {np.shape(x)}")
    return scatter_add(weights.astype(float), counts.shape, (x,))


@composed(np.histogram_bin_edges, by=("a", "bins", "range"), always=True)
def histogram_bin_edges(a, bins=10, range=None, weights=None):
    if np.ndim(bins):
        return bins
    edges = np.histogram_bin_edges(*map(untracked, (a, bins, range, weights)))
    if isinstance(range, np.ndarray):  # numbers of Python's, to NumPy
        range = range.tolist()
    low, high = range if range is not None else ((np.min(a), np.max(a)) if a.size else (0, 1))
    if low == high:  # NumPy widens it
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, edges.size, dtype=common_dtype(low, high, a, 1.0))


@composed(np.histogram, by=("a", "bins", "range", "weights"), always=True)
def histogram(a, bins=10, range=None, density=None, weights=None):
    if isinstance(bins, str) and weights is not None:
        raise TypeError("the number of bins is not estimated for weighted data: say bins=10")
    edges = np.histogram_bin_edges(a, bins, range)
    counts = np.histogram(untracked(a), untracked(edges))[0]
    if weights is not None:
        counts = _weighted_counts(untracked(a), untracked(edges), as_array(weights))
    widths = np.real(np.diff(edges)).astype(float, copy=False)
    return (counts / widths / np.sum(counts) if density else counts), edges


def _weighted_counts(a, edges, weights):
    inside = (a >= edges[0]) & (a <= edges[-1])
    places = np.searchsorted(edges[1:-1], getitem(a, inside), side="right")
    return scatter_add(getitem(weights, inside), (edges.size - 1,), (places,))


# No derivative: counts and positions

constant(np.digitize)
