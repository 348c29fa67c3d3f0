"""What the kernels of networks say, in lines that need NumPy alone.

These are printed with a program that calls the kernel, and compute the same, but for the order of
sums.  ``rows`` and ``columns`` are a window's (outputs, kernel, stride, dilation, offset) along an
axis: tap ``i`` of output ``t`` reads input ``t * stride + i * dilation + offset``.

Not for: the kernels themselves, which are for speed (``conv.py``, ``pool.py``).
"""

from math import prod

import numpy as np

from tinygrad_lab.nn.kernels import conv, pool
from tinygrad_lab.transforms.jit.kernels import kernel

__all__: list[str] = []


# -- convolution ------------------------------------------------------------------------------


def conv_taps(x, kernel, stride, padding, dilation, groups):
    """What each tap of each filter reads: (N, groups, C / groups, Ho, Wo, kh, kw)."""
    x = np.pad(x, ((0, 0), (0, 0), *padding))
    spans = [d * (k - 1) + 1 for k, d in zip(kernel, dilation)]
    windows = np.lib.stride_tricks.sliding_window_view(x, spans, (2, 3))
    taps = windows[:, :, :: stride[0], :: stride[1], :: dilation[0], :: dilation[1]]
    return taps.reshape(len(x), groups, x.shape[1] // groups, *taps.shape[2:])


def conv2d(x, w, bias, stride, padding, dilation, groups):
    """Cross-correlate images (N, C, H, W) with filters (O, C / groups, kh, kw)."""
    taps = conv_taps(x, w.shape[2:], stride, padding, dilation, groups)
    filters = w.reshape(groups, len(w) // groups, *w.shape[1:])
    y = np.einsum("ngchwij,gocij->ngohw", taps, filters)
    y = y.reshape(len(x), len(w), *y.shape[3:])
    return y if bias is None else y + bias.reshape(-1, 1, 1)


def conv2d_weight_gradient(g, x, kernel, stride, padding, dilation, groups):
    """The gradient of a convolution by its filters."""
    taps = conv_taps(x, kernel, stride, padding, dilation, groups)
    of_groups = g.reshape(len(g), groups, g.shape[1] // groups, *g.shape[2:])
    dw = np.einsum("ngohw,ngchwij->gocij", of_groups, taps)
    return dw.reshape(g.shape[1], *dw.shape[2:])


def conv2d_input_gradient(g, w, size, stride, padding, dilation, groups):
    """The gradient of a convolution by its images: each tap's part, where the tap read."""
    (n, o, high, wide), (_, c, kh, kw) = g.shape, w.shape
    of_groups = g.reshape(n, groups, o // groups, high, wide)
    filters = w.reshape(groups, o // groups, c, kh, kw)
    sides = [before + m + after for m, (before, after) in zip(size, padding)]
    dx = np.zeros((n, groups * c, *sides), np.result_type(g, w))
    for i in range(kh):
        for j in range(kw):
            top, left = i * dilation[0], j * dilation[1]
            down = slice(top, top + stride[0] * (high - 1) + 1, stride[0])
            across = slice(left, left + stride[1] * (wide - 1) + 1, stride[1])
            part = np.einsum("ngohw,goc->ngchw", of_groups, filters[:, :, :, i, j])
            dx[:, :, down, across] += part.reshape(n, groups * c, high, wide)
    (top, _), (left, _) = padding
    return dx[:, :, top : top + size[0], left : left + size[1]]


# -- pooling ----------------------------------------------------------------------------------


def window_slices(rows, columns):
    """Where each tap of a window reads padded images, row by row."""
    down, across = (
        [slice(first, first + (out - 1) * stride + 1, stride)
         for first in range(max(0, offset), max(0, offset) + kernel * dilation, dilation)]
        for out, kernel, stride, dilation, offset in (rows, columns)
    )  # fmt: skip
    return [(slice(None), slice(None), i, j) for i in down for j in across]


def window_margins(size, rows, columns):
    """How far windows reach beyond images, before and after."""
    return [
        (max(0, -offset), max(0, (out - 1) * stride + (kernel - 1) * dilation + offset + 1 - n))
        for n, (out, kernel, stride, dilation, offset) in zip(size, (rows, columns))
    ]


def taps_of(x, rows, columns, fill=0):
    """What each tap of a window reads: (taps, N, C, Ho, Wo)."""
    margins = window_margins(x.shape[2:], rows, columns)
    padded = np.pad(x, ((0, 0), (0, 0), *margins), constant_values=fill)
    return np.stack([padded[where] for where in window_slices(rows, columns)])


def put_back(parts, size, rows, columns):
    """Images of a size, with what belongs to each tap added where it read."""
    (top, bottom), (left, right) = window_margins(size, rows, columns)
    high, wide = size
    shape = (*parts[0].shape[:2], top + high + bottom, left + wide + right)
    images = np.zeros(shape, parts[0].dtype)
    for where, part in zip(window_slices(rows, columns), parts):
        images[where] += part
    return images[:, :, top : top + high, left : left + wide]


def smallest(x):
    """What is no larger than any number of a dtype."""
    return -np.inf if x.dtype.kind == "f" else 0 if x.dtype == bool else np.iinfo(x.dtype).min


def peaks_of(x, rows, columns):
    """Which taps read the largest of their window, and how many those are."""
    read = taps_of(x, rows, columns, smallest(x))
    is_inside = taps_of(np.ones(x.shape, bool), rows, columns, False)
    peaks = ((read == read.max(axis=0)) | (read != read)) & is_inside
    return peaks, np.maximum(peaks.sum(axis=0), 1)


def max_pool2d(x, rows, columns):
    """The largest element of each window."""
    return taps_of(x, rows, columns, smallest(x)).max(axis=0)


def max_pool2d_input_gradient(g, x, rows, columns):
    """Give each window's gradient to its largest elements, in equal shares."""
    peaks, ties = peaks_of(x, rows, columns)
    return put_back(peaks * (g / ties.astype(g.dtype)), x.shape[2:], rows, columns)


def max_pool2d_gather(u, x, rows, columns):
    """The mean of u over each window's largest elements."""
    peaks, ties = peaks_of(x, rows, columns)
    return (peaks * taps_of(u, rows, columns)).sum(axis=0) / ties.astype(u.dtype)


def avg_pool2d(x, rows, columns, divisor):
    """The sum of each window over its divisor."""
    return taps_of(x, rows, columns).sum(axis=0) / divisor


def avg_pool2d_input_gradient(g, size, rows, columns, divisor):
    """Spread each window's gradient evenly over the window."""
    return put_back([g / divisor] * (rows[1] * columns[1]), size, rows, columns)


# Each output of a convolution is one multiplication for each weight of its filter.
kernel(conv.conv2d, conv2d, lambda y, x, w, *bias: prod(y) * prod(w[1:]))
kernel(conv.conv2d_input_gradient, conv2d_input_gradient, lambda y, g, w: prod(g) * prod(w[1:]))
kernel(conv.conv2d_weight_gradient, conv2d_weight_gradient, lambda y, g, x: prod(g) * prod(y[1:]))
kernel(pool.max_pool2d, max_pool2d)
kernel(pool.max_pool2d_input_gradient, max_pool2d_input_gradient)
kernel(pool.max_pool2d_gather, max_pool2d_gather)
kernel(pool.avg_pool2d, avg_pool2d)
kernel(pool.avg_pool2d_input_gradient, avg_pool2d_input_gradient)
