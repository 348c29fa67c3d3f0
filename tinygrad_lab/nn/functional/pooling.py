"""Pooling as users call it: checked, and with the defaults filled in.

Each function is for signals, images and volumes; what is said of images holds for all of them.

Not for: the arithmetic (``kernels/pool.py``), or layers (``layers/pooling.py``).
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from tinygrad_lab.core.rules.indexing import setitem
from tinygrad_lab.nn.arguments import takes_arrays
from tinygrad_lab.nn.functional.images import floats, of_batch
from tinygrad_lab.nn.kernels import pool
from tinygrad_lab.nn.kernels.windows import Array, Taps, Windows, sizes

__all__ = [
    "avg_pool1d", "avg_pool2d", "avg_pool3d",
    "lp_pool1d", "lp_pool2d", "lp_pool3d",
    "max_pool1d", "max_pool2d", "max_pool3d",
    "max_unpool1d", "max_unpool2d", "max_unpool3d",
]  # fmt: skip

Size = int | tuple[int, ...]


# -- the largest ------------------------------------------------------------------------------


@takes_arrays
def max_pool1d(
    input: Array,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest element of each window of signals ``(N, C, L)`` or ``(C, L)``.

    All else is as in :func:`max_pool2d`, for one axis.

    Examples
    --------
    >>> max_pool1d(np.array([[3.0, 1.0, 4.0, 1.0, 5.0]]), 2, return_indices=True)
    (array([[3., 4.]]), array([[0, 2]]))
    """
    return _largest(1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


@takes_arrays
def max_pool2d(
    input: Array,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest element of each window of images ``(N, C, H, W)`` or ``(C, H, W)``.

    ``stride`` is the window's size unless given; ``ceil_mode`` keeps windows that the image's edge
    cuts off.  Elements that tie for the largest share the gradient evenly; the largest of a window
    with NaN in it is NaN, and those share.  With ``return_indices`` a pair: the result, and the
    place of each largest element (of ties the first) in its image, counted row by row.

    Raises
    ------
    ValueError
        Settings do not fit; the text names them.

    Examples
    --------
    >>> max_pool2d(np.arange(16.0).reshape(1, 1, 4, 4), 2)[0, 0]
    array([[ 5.,  7.],
           [13., 15.]])
    """
    return _largest(2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


@takes_arrays
def max_pool3d(
    input: Array,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest element of each window of volumes ``(N, C, D, H, W)`` or ``(C, D, H, W)``.

    All else is as in :func:`max_pool2d`, for three axes.

    Examples
    --------
    >>> max_pool3d(np.arange(64.0).reshape(1, 4, 4, 4), 2).shape
    (1, 2, 2, 2)
    """
    return _largest(3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


@takes_arrays
def max_unpool1d(
    input: Array,
    indices: Array,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    output_size: tuple[int, ...] | None = None,
) -> Any:
    """Put signals back where :func:`max_pool1d` took them from, among zeros.

    All else is as in :func:`max_unpool2d`, for one axis.

    Examples
    --------
    >>> y, places = max_pool1d(np.array([[3.0, 1.0, 4.0, 5.0]]), 2, return_indices=True)
    >>> max_unpool1d(y, places, 2)
    array([[3., 0., 0., 5.]])
    """
    return _put_back(1, input, indices, kernel_size, stride, padding, output_size)


@takes_arrays
def max_unpool2d(
    input: Array,
    indices: Array,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    output_size: tuple[int, ...] | None = None,
) -> Any:
    """Put images back where :func:`max_pool2d` took them from, among zeros.

    ``indices`` are those it returned, and the settings those it had.  Several sizes have a pooling
    of the same: ``output_size``, with or without the first axes, says which it was; by default the
    smallest.  Where several go to one place, the last stays.

    Raises
    ------
    ValueError
        Shapes or settings do not fit; the text names them.
    IndexError
        A place is not in the image.

    Examples
    --------
    >>> x = np.array([[[1.0, 2.0, 0.0], [4.0, 3.0, 0.0]]])
    >>> y, places = max_pool2d(x, 2, return_indices=True)
    >>> max_unpool2d(y, places, 2, output_size=(2, 3))
    array([[[0., 0., 0.],
            [4., 0., 0.]]])
    """
    return _put_back(2, input, indices, kernel_size, stride, padding, output_size)


@takes_arrays
def max_unpool3d(
    input: Array,
    indices: Array,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    output_size: tuple[int, ...] | None = None,
) -> Any:
    """Put volumes back where :func:`max_pool3d` took them from, among zeros.

    All else is as in :func:`max_unpool2d`, for three axes.

    Examples
    --------
    >>> y, places = max_pool3d(np.arange(8.0).reshape(1, 2, 2, 2), 2, return_indices=True)
    >>> max_unpool3d(y, places, 2)[0, 1]
    array([[0., 0.],
           [0., 7.]])
    """
    return _put_back(3, input, indices, kernel_size, stride, padding, output_size)


def _largest(
    ndim: int,
    input: Array,
    kernel_size: Size,
    stride: Size | None,
    padding: Size,
    dilation: Size,
    ceil_mode: bool,
    return_indices: bool,
) -> Any:
    name = f"max_pool{ndim}d"

    def largest(x: Array) -> Any:
        windows = _pooling(name, x, kernel_size, stride, padding, dilation, ceil_mode)
        y = pool.max_pool(x, windows=windows)
        return (y, pool.places_of_largest(x, windows)) if return_indices else y

    return of_batch(name, largest, input, ndim)


def _put_back(
    ndim: int,
    input: Array,
    indices: Array,
    kernel_size: Size,
    stride: Size | None,
    padding: Size,
    output_size: tuple[int, ...] | None,
) -> Array:
    name = f"max_unpool{ndim}d"
    if input.shape != indices.shape:
        raise ValueError(
            f"{name}: indices {indices.shape} for an input {input.shape}: each element has a place"
        )
    if indices.dtype.kind not in "iu":
        raise TypeError(f"{name}: indices are integers, not {indices.dtype}")
    kernel = sizes(kernel_size, "kernel_size", 1, ndim)
    steps = kernel if stride is None else sizes(stride, "stride", 1, ndim)
    edges = sizes(padding, "padding", 0, ndim)

    def put_back(x: Array) -> Array:
        least = tuple(
            (n - 1) * s - 2 * p + k
            for n, s, p, k in zip(x.shape[2:], steps, edges, kernel, strict=True)
        )
        size = least if output_size is None else tuple(output_size)[-ndim:]
        if len(size) != ndim or any(
            abs(m - n) >= s for m, n, s in zip(size, least, steps, strict=True)
        ):
            raise ValueError(
                f"{name}: output_size={output_size}: an image that was pooled to {x.shape[2:]} "
                f"differs from {least} by less than the stride, {steps}"
            )
        n, c = x.shape[:2]
        flat = (n, c, prod(x.shape[2:]))
        blank = np.zeros_like(x, shape=(n, c, prod(size)))
        places = (np.arange(n)[:, None, None], np.arange(c)[:, None], indices.reshape(flat))
        return setitem(blank, x.reshape(flat), places=(places,)).reshape((n, c, *size))

    return of_batch(name, put_back, input, ndim)


# -- the mean ---------------------------------------------------------------------------------


@takes_arrays
def avg_pool1d(
    input: Array,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Array:
    """The mean of each window of signals ``(N, C, L)`` or ``(C, L)``.

    All else is as in :func:`avg_pool2d`, for one axis.

    Examples
    --------
    >>> avg_pool1d(np.array([[3.0, 1.0, 4.0, 2.0]]), 2)
    array([[2., 3.]])
    """
    return _mean(1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


@takes_arrays
def avg_pool2d(
    input: Array,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Array:
    """The mean of each window of images ``(N, C, H, W)`` or ``(C, H, W)``.

    ``stride`` is the window's size unless given; ``ceil_mode`` keeps windows that the image's edge
    cuts off.  Padded zeros count among the elements unless ``count_include_pad`` is False;
    ``divisor_override`` divides by that number instead.

    Raises
    ------
    ValueError
        Settings do not fit; the text names them.

    Examples
    --------
    >>> avg_pool2d(np.arange(16.0).reshape(1, 1, 4, 4), 2)[0, 0]
    array([[ 2.5,  4.5],
           [10.5, 12.5]])
    """
    return _mean(
        2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


@takes_arrays
def avg_pool3d(
    input: Array,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Array:
    """The mean of each window of volumes ``(N, C, D, H, W)`` or ``(C, D, H, W)``.

    All else is as in :func:`avg_pool2d`, for three axes.

    Examples
    --------
    >>> avg_pool3d(np.ones((1, 4, 4, 4)), 2).shape
    (1, 2, 2, 2)
    """
    return _mean(
        3, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


@takes_arrays
def lp_pool1d(
    input: Array,
    norm_type: float,
    kernel_size: Size,
    stride: Size | None = None,
    ceil_mode: bool = False,
) -> Array:
    """The ``norm_type``-th root of the sum of the powers of each window of signals.

    All else is as in :func:`lp_pool2d`, for one axis.

    Examples
    --------
    >>> lp_pool1d(np.array([[3.0, 4.0, 5.0, 12.0]]), 2, 2)
    array([[ 5., 13.]])
    """
    return _root_of_powers(1, input, norm_type, kernel_size, stride, ceil_mode)


@takes_arrays
def lp_pool2d(
    input: Array,
    norm_type: float,
    kernel_size: Size,
    stride: Size | None = None,
    ceil_mode: bool = False,
) -> Array:
    """The ``norm_type``-th root of the sum of the powers of each window of images.

    ``(sum of x ** norm_type) ** (1 / norm_type)``, without absolute values: where a sum is
    negative, an odd root of it is NaN.  Windows are as in :func:`avg_pool2d`.  Of a window of
    zeros an even root has the slope 0, as a norm has, and others have none.

    Raises
    ------
    ValueError
        Settings do not fit; the text names them.

    Examples
    --------
    >>> lp_pool2d(np.array([[[1.0, 2.0], [2.0, 4.0]]]), 2, 2)
    array([[[5.]]])
    """
    return _root_of_powers(2, input, norm_type, kernel_size, stride, ceil_mode)


@takes_arrays
def lp_pool3d(
    input: Array,
    norm_type: float,
    kernel_size: Size,
    stride: Size | None = None,
    ceil_mode: bool = False,
) -> Array:
    """The ``norm_type``-th root of the sum of the powers of each window of volumes.

    All else is as in :func:`lp_pool2d`, for three axes.

    Examples
    --------
    >>> lp_pool3d(np.ones((1, 2, 2, 2)), 3, 2)
    array([[[[2.]]]])
    """
    return _root_of_powers(3, input, norm_type, kernel_size, stride, ceil_mode)


def _mean(
    ndim: int,
    input: Array,
    kernel_size: Size,
    stride: Size | None,
    padding: Size,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Array:
    name = f"avg_pool{ndim}d"

    def mean(x: Array) -> Array:
        windows = _pooling(name, x, kernel_size, stride, padding, 1, ceil_mode)
        if divisor_override is not None:
            if divisor_override == 0:
                raise ValueError(f"{name}: divisor_override=0 would divide by zero")
            return pool.avg_pool(floats(x), windows=windows, divisor=divisor_override)
        margins = sizes(padding, "padding", 0, ndim) if count_include_pad else (0,) * ndim
        x, counts = floats(x), _elements(windows, x.shape[2:], margins)
        divisor = counts if isinstance(counts, int) else counts.astype(x.dtype)
        return pool.avg_pool(x, windows=windows, divisor=divisor)

    return of_batch(name, mean, input, ndim)


def _elements(windows: Windows, image: tuple[int, ...], margins: tuple[int, ...]) -> Any:
    """How many elements of an image, widened by its margins, each window covers."""
    ends = list(zip(windows, image, margins, strict=True))
    if all(taps.offset >= -margin and taps.reach <= n + margin for taps, n, margin in ends):
        return prod(taps.kernel for taps in windows)
    counts: Any = 1
    for taps, n, margin in ends:
        first = np.arange(taps.out) * taps.stride + taps.offset
        last = np.minimum(first + taps.kernel, n + margin)
        counts = np.multiply.outer(counts, last - np.maximum(first, -margin))
    return counts


def _root_of_powers(
    ndim: int,
    input: Array,
    norm_type: float,
    kernel_size: Size,
    stride: Size | None,
    ceil_mode: bool,
) -> Array:
    elements = prod(sizes(kernel_size, "kernel_size", 1, ndim))
    mean = _mean(ndim, input**norm_type, kernel_size, stride, 0, ceil_mode, True, None)
    root = (mean * elements) ** (1 / norm_type)
    return np.where(mean == 0, 0, root) if norm_type % 2 == 0 else root  # odd powers may cancel


# -- where the windows lie --------------------------------------------------------------------


def _pooling(
    name: str,
    input: Array,
    kernel_size: Size,
    stride: Size | None,
    padding: Size,
    dilation: Size,
    ceil_mode: bool,
) -> Windows:
    """Check the settings, and work out where the windows lie."""
    ndim = input.ndim - 2
    kernel = sizes(kernel_size, "kernel_size", 1, ndim)
    steps = kernel if stride is None else sizes(stride, "stride", 1, ndim)
    margins = sizes(padding, "padding", 0, ndim)
    spacing = sizes(dilation, "dilation", 1, ndim)
    taps = []
    for n, k, s, p, d in zip(input.shape[2:], kernel, steps, margins, spacing, strict=True):
        if 2 * p > k:
            raise ValueError(
                f"{name}: padding {p} is more than half of the window's {k}, so that some windows "
                "would hold padding alone"
            )
        room = n + 2 * p - d * (k - 1) - 1
        if room < 0:
            raise ValueError(
                f"{name}: a window {kernel} with dilation {spacing} does not fit on an input of "
                f"shape {input.shape} with padding {margins}"
            )
        out = room // s + 1
        if ceil_mode and room % s and out * s < n + p:
            out += 1  # its first element still lies on the image or the margin before it
        taps.append(Taps(out, k, s, d, -p))
    return tuple(taps)
