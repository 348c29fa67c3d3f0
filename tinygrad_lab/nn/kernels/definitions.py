"""What the kernels of networks say, in lines that need NumPy alone.

These are printed with a program that calls the kernel, and compute the same, but for the order of
sums.  ``windows`` has (outputs, kernel, stride, dilation, offset) for each axis of an image: tap
``i`` of output ``t`` reads input ``t * stride + i * dilation + offset``.

Not for: the kernels themselves, which are for speed (``conv.py``, ``pool.py``).
"""

from math import prod

import numpy as np

from tinygrad_lab.nn.kernels import conv, pool
from tinygrad_lab.transforms.jit.kernels import kernel

__all__: list[str] = []


# -- windows ----------------------------------------------------------------------------------


def window_slices(windows):
    """Where each tap of a window reads padded images, row by row."""
    return [
        (slice(None), slice(None), *(
            slice(first, first + (out - 1) * stride + 1, stride)
            for i, (out, kernel, stride, dilation, offset) in zip(tap, windows)
            for first in [max(0, offset) + i * dilation]
        ))
        for tap in np.ndindex(*(kernel for out, kernel, *rest in windows))
    ]  # fmt: skip


def window_margins(size, windows):
    """How far windows reach beyond images, before and after."""
    return [
        (max(0, -offset), max(0, (out - 1) * stride + (kernel - 1) * dilation + offset + 1 - n))
        for n, (out, kernel, stride, dilation, offset) in zip(size, windows)
    ]


def taps_of(x, windows, fill=0):
    """What each tap of a window reads: (taps, N, C, *outputs)."""
    margins = window_margins(x.shape[2:], windows)
    padded = np.pad(x, ((0, 0), (0, 0), *margins), constant_values=fill)
    return np.stack([padded[where] for where in window_slices(windows)])


def put_back(parts, size, windows):
    """Images of a size, with what belongs to each tap added where it read."""
    margins = window_margins(size, windows)
    sides = [before + n + after for n, (before, after) in zip(size, margins)]
    images = np.zeros((*parts[0].shape[:2], *sides), parts[0].dtype)
    for where, part in zip(window_slices(windows), parts):
        images[where] += part
    inside = tuple(slice(before, before + n) for n, (before, _) in zip(size, margins))
    return images[:, :, *inside]


# -- convolution ------------------------------------------------------------------------------


def conv_windows(size, kernel, stride, padding, dilation):
    """Where a kernel lies along each axis."""
    return [
        ((n + before + after - d * (k - 1) - 1) // s + 1, k, s, d, -before)
        for n, k, s, (before, after), d in zip(size, kernel, stride, padding, dilation)
    ]


def by_group(x, groups, axis):
    """Split the channels into groups."""
    return x.reshape(*x.shape[:axis], groups, x.shape[axis] // groups, *x.shape[axis + 1 :])


def convolution(x, w, bias, stride, padding, dilation, groups):
    """Cross-correlate images (N, C, *size) with filters (O, C / groups, *kernel)."""
    taps = taps_of(x, conv_windows(x.shape[2:], w.shape[2:], stride, padding, dilation))
    filters = by_group(w.reshape(*w.shape[:2], len(taps)), groups, 0)
    y = np.einsum("tngc...,goct->ngo...", by_group(taps, groups, 2), filters)
    y = y.reshape(len(x), len(w), *y.shape[3:])
    return y if bias is None else y + bias.reshape(-1, *(1,) * (x.ndim - 2))


def convolution_weight_gradient(g, x, kernel, stride, padding, dilation, groups):
    """The gradient of a convolution by its filters."""
    taps = taps_of(x, conv_windows(x.shape[2:], kernel, stride, padding, dilation))
    taps, g = (y.reshape(*y.shape[: 2 - g.ndim], np.prod(g.shape[2:])) for y in (taps, g))
    dw = np.einsum("tngcp,ngop->goct", by_group(taps, groups, 2), by_group(g, groups, 1))
    return dw.reshape(g.shape[1], x.shape[1] // groups, *kernel)


def convolution_input_gradient(g, w, size, stride, padding, dilation, groups):
    """The gradient of a convolution by its images: each tap's part, where the tap read."""
    filters = by_group(w.reshape(*w.shape[:2], np.prod(w.shape[2:])), groups, 0)
    parts = np.einsum("ngo...,goct->tngc...", by_group(g, groups, 1), filters)
    parts = parts.reshape(len(parts), len(g), groups * w.shape[1], *g.shape[2:])
    return put_back(parts, size, conv_windows(size, w.shape[2:], stride, padding, dilation))


# -- pooling ----------------------------------------------------------------------------------


def smallest(x):
    """What is no larger than any number of a dtype."""
    return -np.inf if x.dtype.kind == "f" else 0 if x.dtype == bool else np.iinfo(x.dtype).min


def peaks_of(x, windows):
    """Which taps read the largest of their window, and how many those are."""
    read = taps_of(x, windows, smallest(x))
    is_inside = taps_of(np.ones(x.shape, bool), windows, False)
    peaks = ((read == read.max(axis=0)) | (read != read)) & is_inside
    return peaks, np.maximum(peaks.sum(axis=0), 1)


def max_pool(x, windows):
    """The largest element of each window."""
    return taps_of(x, windows, smallest(x)).max(axis=0)


def max_pool_input_gradient(g, x, windows):
    """Give each window's gradient to its largest elements, in equal shares."""
    peaks, ties = peaks_of(x, windows)
    return put_back(peaks * (g / ties.astype(g.dtype)), x.shape[2:], windows)


def max_pool_gather(u, x, windows):
    """The mean of u over each window's largest elements."""
    peaks, ties = peaks_of(x, windows)
    return (peaks * taps_of(u, windows)).sum(axis=0) / ties.astype(u.dtype)


def avg_pool(x, windows, divisor):
    """The sum of each window over its divisor."""
    return taps_of(x, windows).sum(axis=0) / divisor


def avg_pool_input_gradient(g, size, windows, divisor):
    """Spread each window's gradient evenly over the window."""
    return put_back([g / divisor] * len(window_slices(windows)), size, windows)


# Each output of a convolution is one multiplication for each weight of its filter.
kernel(conv.convolution, convolution, lambda y, x, w, *bias: prod(y) * prod(w[1:]))
kernel(
    conv.convolution_input_gradient,
    convolution_input_gradient,
    lambda y, g, w: prod(g) * prod(w[1:]),
)
kernel(
    conv.convolution_weight_gradient,
    convolution_weight_gradient,
    lambda y, g, x: prod(g) * prod(y[1:]),
)
kernel(pool.max_pool, max_pool)
kernel(pool.max_pool_input_gradient, max_pool_input_gradient)
kernel(pool.max_pool_gather, max_pool_gather)
kernel(pool.avg_pool, avg_pool)
kernel(pool.avg_pool_input_gradient, avg_pool_input_gradient)
