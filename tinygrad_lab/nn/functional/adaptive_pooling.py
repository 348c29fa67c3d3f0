"""Pooling to a stated size, whatever the image's: the parts of an image are about equally large.

Each function is for signals, images and volumes; what is said of images holds for all of them.

Not for: windows of a stated size (``pooling.py``).
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from tinygrad_lab.nn.arguments import takes_arrays
from tinygrad_lab.nn.functional.images import floats, of_batch
from tinygrad_lab.nn.kernels import pool
from tinygrad_lab.nn.kernels.axes import mapped, means
from tinygrad_lab.nn.kernels.windows import Array, Taps, Windows, sizes

__all__ = [
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d",
    "adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d",
]  # fmt: skip

#: How long a result is: None along an axis keeps the image's length.
OutputSize = int | None | tuple[int | None, ...]


@takes_arrays
def adaptive_max_pool1d(input: Array, output_size: OutputSize, return_indices: bool = False) -> Any:
    """The largest element of each of ``output_size`` parts of signals ``(N, C, L)`` or ``(C, L)``.

    The parts, and all else, are as in :func:`adaptive_max_pool2d`, for one axis.

    Examples
    --------
    >>> adaptive_max_pool1d(np.array([[3.0, 1.0, 4.0, 1.0, 5.0]]), 2)
    array([[4., 5.]])
    """
    return _adaptive_largest(1, input, output_size, return_indices)


@takes_arrays
def adaptive_max_pool2d(input: Array, output_size: OutputSize, return_indices: bool = False) -> Any:
    """The largest element of each of ``output_size`` parts of images, which are about as large.

    Along an axis of length ``n``, part ``i`` of ``out`` goes from ``floor(i n / out)`` to before
    ``ceil((i + 1) n / out)``.  A length of None is the image's.  Ties, NaN and ``return_indices``
    are as in :func:`max_pool2d`.

    Raises
    ------
    ValueError
        The size is not positive integers or None, or the image is empty.

    Examples
    --------
    >>> adaptive_max_pool2d(np.arange(15.0).reshape(1, 3, 5), (1, 2))
    array([[[12., 14.]]])
    """
    return _adaptive_largest(2, input, output_size, return_indices)


@takes_arrays
def adaptive_max_pool3d(input: Array, output_size: OutputSize, return_indices: bool = False) -> Any:
    """The largest element of each of ``output_size`` parts of volumes.

    The parts, and all else, are as in :func:`adaptive_max_pool2d`, for three axes.

    Examples
    --------
    >>> adaptive_max_pool3d(np.arange(64.0).reshape(1, 4, 4, 4), 1)
    array([[[[63.]]]])
    """
    return _adaptive_largest(3, input, output_size, return_indices)


@takes_arrays
def adaptive_avg_pool1d(input: Array, output_size: OutputSize) -> Array:
    """The mean of each of ``output_size`` parts of signals ``(N, C, L)`` or ``(C, L)``.

    The parts, and all else, are as in :func:`adaptive_avg_pool2d`, for one axis.

    Examples
    --------
    >>> adaptive_avg_pool1d(np.array([[3.0, 1.0, 5.0]]), 2)
    array([[2., 3.]])
    """
    return _adaptive_mean(1, input, output_size)


@takes_arrays
def adaptive_avg_pool2d(input: Array, output_size: OutputSize) -> Array:
    """The mean of each of ``output_size`` parts of images, which are about as large.

    Along an axis of length ``n``, part ``i`` of ``out`` goes from ``floor(i n / out)`` to before
    ``ceil((i + 1) n / out)``.  A length of None is the image's.

    Raises
    ------
    ValueError
        The size is not positive integers or None, or the image is empty.

    Examples
    --------
    >>> adaptive_avg_pool2d(np.arange(15.0).reshape(1, 3, 5), (1, None))
    array([[[5., 6., 7., 8., 9.]]])
    """
    return _adaptive_mean(2, input, output_size)


@takes_arrays
def adaptive_avg_pool3d(input: Array, output_size: OutputSize) -> Array:
    """The mean of each of ``output_size`` parts of volumes.

    The parts, and all else, are as in :func:`adaptive_avg_pool2d`, for three axes.

    Examples
    --------
    >>> adaptive_avg_pool3d(np.arange(64.0).reshape(1, 4, 4, 4), 1)
    array([[[[31.5]]]])
    """
    return _adaptive_mean(3, input, output_size)


def _adaptive_largest(
    ndim: int, input: Array, output_size: OutputSize, return_indices: bool
) -> Any:
    name = f"adaptive_max_pool{ndim}d"

    def largest(x: Array) -> Any:
        out = _adaptive_size(name, x, output_size)
        windows = _equal_parts(x, out)
        if windows:
            y = pool.max_pool(x, windows=windows)
            return (y, pool.places_of_largest(x, windows)) if return_indices else y
        read, numbers = _unequal_parts(x, out)
        y = np.max(read, axis=2)
        if not return_indices:
            return y
        places = np.argmax(read, axis=2)[:, :, None]
        return y, np.take_along_axis(numbers, places, axis=2)[:, :, 0]

    return of_batch(name, largest, input, ndim)


def _adaptive_mean(ndim: int, input: Array, output_size: OutputSize) -> Array:
    name = f"adaptive_avg_pool{ndim}d"

    def mean(x: Array) -> Array:
        out = _adaptive_size(name, x, output_size)
        x, windows = floats(x), _equal_parts(x, out)
        if windows:
            elements = prod(taps.kernel for taps in windows)
            return pool.avg_pool(x, windows=windows, divisor=elements)
        for axis, m in enumerate(out, 2):
            x = mapped(x, axis, means(x.shape[axis], m))
        return x

    return of_batch(name, mean, input, ndim)


def _adaptive_size(name: str, x: Array, output_size: OutputSize) -> tuple[int, ...]:
    image = x.shape[2:]
    each = output_size if isinstance(output_size, (tuple, list)) else (output_size,) * len(image)
    if len(each) != len(image):
        raise ValueError(
            f"{name}: output_size={output_size!r}: expected an integer, or {len(image)} of them"
        )
    if 0 in image:
        raise ValueError(f"{name}: an input of shape {x.shape} has no elements to pool")
    out = tuple(n if m is None else m for n, m in zip(image, each, strict=True))
    return sizes(out, "output_size", 1, len(image))


def _equal_parts(x: Array, out: tuple[int, ...]) -> Windows:
    """The windows of adaptive pooling, where all are of one size; none where they are not."""
    if any(n % m for n, m in zip(x.shape[2:], out, strict=True)):
        return ()
    return tuple(Taps(m, n // m, n // m, 1, 0) for n, m in zip(x.shape[2:], out, strict=True))


def _unequal_parts(x: Array, out: tuple[int, ...]) -> tuple[Array, Any]:
    """The elements of each part ``(N, C, elements, *out)``, and where these are in an image.

    A part that is shorter than the longest is filled up with what is smaller than anything.
    """
    ndim, size = len(out), x.shape[2:]
    numbers: Any = 0
    index, inside = [], np.ones((1,) * (2 * ndim), bool)
    for axis, (n, m) in enumerate(zip(size, out, strict=True)):
        first = np.arange(m) * n // m
        length = -(-(np.arange(m) + 1) * n // m) - first
        element = np.arange(length.max())[:, None]
        shape = [1] * (2 * ndim)
        shape[axis], shape[ndim + axis] = len(element), m
        inside = inside & (element < length).reshape(shape)
        index.append(np.minimum(first + element, n - 1).reshape(shape))
        numbers = numbers * n + index[-1]
    flat = (prod(inside.shape[:ndim]), *out)
    read = x[(slice(None), slice(None), *index)].reshape((*x.shape[:2], *flat))
    read = np.where(inside.reshape(flat), read, pool.smallest(x.dtype))
    return read, numbers.reshape((1, 1, *flat))
