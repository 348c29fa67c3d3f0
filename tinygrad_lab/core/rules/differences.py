"""Differences, integrals, sums and samples along an axis, interpolation, convolution."""

from __future__ import annotations

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from tinygrad_lab.core.primitive import as_array, defvjp, instead, primitive, values
from tinygrad_lab.core.rules.elementwise import conj
from tinygrad_lab.core.rules.indexing import scatter_add

# Differences


@instead(np.diff)
def _(a, n=1, axis=-1, prepend=None, append=None):
    if n < 0:
        raise ValueError(f"order must be non-negative but got {n}")
    a = np.moveaxis(as_array(a), axis, 0)
    ends = [e if e is None else _end(as_array(e), a, axis) for e in (prepend, append)]
    pieces = [piece for piece in (ends[0], a, ends[1]) if piece is not None]
    a = np.concatenate(pieces) if len(pieces) > 1 else a
    for _ in range(n):
        a = a[1:] - a[:-1]
    return np.moveaxis(a, 0, axis)


def _end(value, a, axis):
    """What goes before or after ``a`` along its first axis: a number, or an array like ``a``."""
    return np.moveaxis(value, axis, 0) if value.ndim else np.broadcast_to(value, (1, *a.shape[1:]))


@instead(np.ediff1d)
def _(ary, to_end=None, to_begin=None):
    flat = as_array(ary).reshape(-1)
    pieces = [to_begin, flat[1:] - flat[:-1], to_end]
    pieces = [as_array(piece).reshape(-1) for piece in pieces if piece is not None]
    return np.concatenate(pieces).astype(flat.dtype)


@instead(np.gradient)
def _(f, *varargs, axis=None, edge_order=1):
    axes = normalize_axis_tuple(range(f.ndim) if axis is None else axis, f.ndim)
    spacings = (varargs or (1.0,)) * (len(axes) if len(varargs) <= 1 else 1)
    if len(spacings) != len(axes):
        raise TypeError(f"{len(varargs)} spacings for {len(axes)} axes")
    if edge_order not in (1, 2):
        raise ValueError("'edge_order' greater than 2 not supported")
    slopes = [_slope(f, h, i, edge_order) for h, i in zip(spacings, axes)]
    return slopes[0] if len(slopes) == 1 else tuple(slopes)


def _slope(f, spacing, axis, edge_order):
    """Central differences inside, one-sided ones of the given order at the ends."""
    f = np.moveaxis(f, axis, 0)
    n = f.shape[0]
    if n <= edge_order:
        raise ValueError(f"{n} elements along axis {axis} for edge_order={edge_order}: too few")
    steps = _steps(spacing, n, f.dtype).reshape((-1,) + (1,) * (f.ndim - 1))
    slopes = (f[1:] - f[:-1]) / steps
    left, right = steps[:-1], steps[1:]
    inside = (right * slopes[:-1] + left * slopes[1:]) / (left + right)
    first, last = slopes[:1], slopes[n - 2 :]
    if edge_order == 2:  # a parabola's slope between two points is the mean of those at the ends
        first, last = 2 * first - inside[:1], 2 * last - inside[n - 3 :]
    return np.moveaxis(np.concatenate([first, inside, last]), 0, axis)


def _steps(spacing, n, dtype):
    """The distances between ``n`` places, from one for all or from the places."""
    if type(spacing) in (int, float):
        return np.full(n - 1, spacing, dtype=dtype)
    spacing = as_array(spacing)
    if spacing.ndim and spacing.shape != (n,):
        raise ValueError(f"coordinates of shape {spacing.shape} for {n} elements along an axis")
    return np.diff(spacing) if spacing.ndim else np.broadcast_to(spacing, (n - 1,))


# Integrals and running sums


@instead(np.trapezoid)
def _(y, x=None, dx=1.0, axis=-1):
    y = np.moveaxis(as_array(y), axis, -1)
    if x is not None:
        x = as_array(x)
        dx = np.diff(x) if x.ndim == 1 else np.diff(np.moveaxis(x, axis, -1))
    return np.sum(dx * (y[..., 1:] + y[..., :-1]) / 2, axis=-1)


def _define_running(function, running, start):
    @instead(function)
    def cumulative(x, /, *, axis=None, dtype=None, out=None, include_initial=False):
        if axis is None and x.ndim != 1:
            raise ValueError(f"say the axis to run along: shape {x.shape} has {x.ndim}")
        axis = normalize_axis_index(0 if axis is None else axis, x.ndim)
        total = running(x, axis, dtype)
        if not include_initial:
            return total
        shape = (*x.shape[:axis], 1, *x.shape[axis + 1 :])
        return np.concatenate([np.full(shape, start, dtype=total.dtype), total], axis=axis)


if hasattr(np, "cumulative_sum"):  # NumPy 2.1
    _define_running(np.cumulative_sum, np.cumsum, 0)
    _define_running(np.cumulative_prod, np.cumprod, 1)


@instead(np.unwrap)
def _(p, discont=None, axis=-1, *, period=2 * np.pi):
    # Whole periods are added, which do not change with p.
    plain = values(p)
    return p + (np.unwrap(plain, discont, axis, period=period) - plain)


# Samples of a range


@instead(np.linspace)
def _(start, stop, num=50, endpoint=True, retstep=False, dtype=None, axis=0, *, device=None):
    start, stop = as_array(start), as_array(stop)
    parts = num - 1 if endpoint else num
    along = np.arange(num).reshape((-1,) + (1,) * max(start.ndim, stop.ndim))
    span = stop - start
    share = along / max(parts, 1)
    samples = np.moveaxis(start + span * share.astype(span.dtype), 0, axis)
    samples = samples if dtype is None else samples.astype(dtype)
    return (samples, span / parts if parts > 0 else np.nan) if retstep else samples


@instead(np.logspace)
def _(start, stop, num=50, endpoint=True, base=10.0, dtype=None, axis=0):
    exponents = np.linspace(start, stop, num, endpoint, axis=axis)
    samples = np.power(base if np.ndim(base) == 0 else np.expand_dims(base, axis), exponents)
    return samples if dtype is None else samples.astype(dtype)


@instead(np.geomspace)
def _(start, stop, num=50, endpoint=True, dtype=None, axis=0):
    start, stop = as_array(start), as_array(stop)
    if np.any(start == 0) or np.any(stop == 0):
        raise ValueError("Geometric sequence cannot include zero")
    share = np.linspace(np.zeros_like(stop / start), 1, num, endpoint)
    samples = np.moveaxis(start * (stop / start) ** share, 0, axis)
    return samples.astype(np.result_type(samples.dtype, np.float64) if dtype is None else dtype)


# Linear interpolation between points (xp, fp)


@primitive
def interp(x, xp, fp, left, right):
    """Interpolate linearly, as NumPy does."""
    return np.interp(x, xp, fp, left, right)


def _segments(x, xp):
    """The segment that each x falls into, how far along it lies, and whether it is inside."""
    i = np.clip(np.searchsorted(xp, x, side="right") - 1, 0, max(xp.size - 2, 0))
    j = np.minimum(i + 1, xp.size - 1)
    width = np.take(xp, j) - np.take(xp, i)
    return i, j, np.where(width == 0, 1, width), (x >= xp[0]) & (x <= xp[-1])


def _interp_x(g, y, x, xp, fp, left, right):
    i, j, width, inside = _segments(x, xp)
    return np.where(inside, g * (np.take(fp, j) - np.take(fp, i)) / width, 0)


def _interp_xp(g, y, x, xp, fp, left, right):
    i, j, width, _ = _segments(x, xp)
    share = (x - np.take(xp, i)) / width
    moved = -_interp_x(g, y, x, xp, fp, left, right)
    return scatter_add(moved * (1 - share), xp.shape, (i,)) + scatter_add(
        moved * share, xp.shape, (j,)
    )


def _interp_fp(g, y, x, xp, fp, left, right):
    i, j, width, inside = _segments(x, xp)
    share = np.where(inside, (x - np.take(xp, i)) / width, 0)
    before = (x < xp[0]) & (left is None)
    after = (x > xp[-1]) & (right is None)
    low = np.where(inside | before, g * (1 - share), 0)
    high = np.where(inside, g * share, np.where(after, g, 0))
    return scatter_add(low, fp.shape, (i,)) + scatter_add(high, fp.shape, (j,))


defvjp(
    interp,
    _interp_x,
    _interp_xp,
    _interp_fp,
    lambda g, y, x, xp, fp, left, right: np.where(x < xp[0], g, 0),
    lambda g, y, x, xp, fp, left, right: np.where(x > xp[-1], g, 0),
)


@instead(np.interp)
def _(x, xp, fp, left=None, right=None, period=None):
    x, xp, fp = as_array(x), as_array(xp), as_array(fp)
    if period is not None:
        period = abs(period)
        x, xp = x % period, xp % period
        order = np.argsort(xp)
        xp, fp = xp[order], fp[order]
        xp = np.concatenate([xp[-1:] - period, xp, xp[:1] + period])
        fp = np.concatenate([fp[-1:], fp, fp[:1]])
        left = right = None
    return interp(x, xp, fp, left, right)


# Convolution and correlation of sequences


@primitive
def convolve_full(a, v):
    """Every overlap of two sequences."""
    return np.convolve(a, v)


def _by_left(g, y, a, v):
    return convolve_full(g, np.flip(v))[v.size - 1 : v.size - 1 + a.size]


defvjp(convolve_full, _by_left, lambda g, y, a, v: _by_left(g, y, v, a))


@instead(np.convolve)
def _(a, v, mode="full"):
    a, v = (np.atleast_1d(x) for x in (a, v))
    return _overlaps(*((a, v) if a.size >= v.size else (v, a)), mode)


@instead(np.correlate)
def _(a, v, mode="valid"):
    a, v = np.atleast_1d(a), conj(np.atleast_1d(v))
    if a.size >= v.size:
        return _overlaps(a, np.flip(v), mode)
    return np.flip(_overlaps(v, np.flip(a), mode))


def _overlaps(a, v, mode):
    """Convolve with a sequence that is not longer, and keep the overlaps of ``mode``."""
    if a.ndim != 1 or v.ndim != 1:
        raise ValueError("object too deep for desired array")
    if v.size == 0:
        raise ValueError("an empty sequence")
    if mode not in ("full", "same", "valid"):
        raise ValueError(f"mode must be one of 'valid', 'same', or 'full' (got {mode!r})")
    full = convolve_full(a, v)
    start = {"full": 0, "same": (v.size - 1) // 2, "valid": v.size - 1}[mode]
    length = {"full": full.size, "same": a.size, "valid": a.size - v.size + 1}[mode]
    return full[start : start + length]


# Counts with weights


@instead(np.bincount)
def _(x, /, weights=None, minlength=0):
    counts = np.bincount(values(x), None, minlength)
    if weights is None:
        return counts
    weights = as_array(weights)
    return scatter_add(weights.astype(float), counts.shape, (np.asarray(values(x)),))


@instead(np.histogram)
def _(a, bins=10, range=None, density=None, weights=None):
    a, bins = np.asarray(values(a)), values(bins)
    if weights is None:
        return np.histogram(a, bins, range, density)
    weights = as_array(weights)
    edges = np.histogram_bin_edges(a, bins, range)
    inside = (a >= edges[0]) & (a <= edges[-1])
    places = np.searchsorted(edges[1:-1], a[inside], side="right")
    total = scatter_add(weights[inside], (edges.size - 1,), (places,))
    return (total / np.diff(edges) / np.sum(total) if density else total), edges
