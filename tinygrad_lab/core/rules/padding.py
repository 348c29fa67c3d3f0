"""Padding: a border around an array, in each of NumPy's modes."""

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from tinygrad_lab.core.operations import composed
from tinygrad_lab.core.rules.arguments import as_array, untracked
from tinygrad_lab.core.rules.indexing import rearranged, scatter_add


@composed(np.pad, by=("array", "constant_values", "end_values"))
def pad(array, pad_width, mode="constant", **kwargs):
    if callable(mode) or mode == "empty":
        raise TypeError(f"pad(mode={mode!r}) leaves the border to others; no gradient flows there")
    widths = _pad_widths(array, pad_width)
    if mode == "constant" and not kwargs:
        inside = tuple(slice(low, low + n) for n, (low, _) in zip(array.shape, widths))
        shape = tuple(low + n + high for n, (low, high) in zip(array.shape, widths))
        return scatter_add(array, shape, inside)
    if mode == "constant" and kwargs.keys() == {"constant_values"}:
        border = as_array(kwargs["constant_values"]).astype(array.dtype)
        return rearranged(lambda p, q: np.pad(p, widths, constant_values=q), array, border)
    if mode in ("edge", "wrap") or (mode in ("reflect", "symmetric") and _is_even(**kwargs)):
        return rearranged(lambda p: np.pad(p, widths, mode, **kwargs), array)
    plain = {key: untracked(value) for key, value in kwargs.items()}
    if "end_values" in kwargs:
        plain["end_values"] = np.zeros(as_array(kwargs["end_values"]).shape)
    np.pad(np.zeros(array.shape), widths, mode, **plain)  # for what NumPy refuses
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
