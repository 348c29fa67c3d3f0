"""Images of other sizes: interpolated between their elements, or with elements rearranged.

Interpolation is linear in the image, and a matrix along each axis.

Not for: the mean or the largest of a window (``pooling.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_lab.nn.arguments import takes_arrays
from tinygrad_lab.nn.kernels.axes import mapped, means
from tinygrad_lab.nn.kernels.windows import Array, NDArray, sizes
from tinygrad_lab.nn.names import look_up

__all__ = ["channel_shuffle", "interpolate", "pixel_shuffle", "pixel_unshuffle"]

#: How many image axes each mode is for.
_AXES = {
    "nearest": (1, 2, 3), "nearest-exact": (1, 2, 3), "area": (1, 2, 3), "linear": (1,),
    "bilinear": (2,), "bicubic": (2,), "trilinear": (3,),
}  # fmt: skip


@takes_arrays
def interpolate(
    input: Array,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Array:
    """Images ``(N, C, H, W)`` with other numbers of rows and columns; signals and volumes too.

    Parameters
    ----------
    input : array, shape (N, C, L), (N, C, H, W) or (N, C, D, H, W)
    size : int or sequence of int
        The new lengths of the axes behind the channels; or
    scale_factor : float or sequence of float
        how many times longer they become, rounded down.
    mode : str
        "nearest"; "nearest-exact", which measures from the middle of elements; "linear" for
        signals, "bilinear" or "bicubic" (with a = -0.75) for images, "trilinear" for volumes;
        "area", the means of parts of about the same length.
    align_corners : bool, optional
        Whether the middles of the outermost elements fall on each other (True), or their outer
        edges do (False, the default).  For the linear modes and "bicubic".
    recompute_scale_factor : bool, optional
        With ``scale_factor``: measure with the ratio of the lengths that came out instead.
    antialias : bool
        False; True is not here.

    Notes
    -----
    All modes but the nearest multiply by a matrix, in which an infinite element or a NaN makes NaN
    of its whole row and column; PyTorch's makes them of its neighbours alone.

    Raises
    ------
    ValueError
        Arguments do not fit; the text names them.

    Examples
    --------
    >>> interpolate(np.array([[[0.0, 4.0]]]), size=4, mode="linear")
    array([[[0., 1., 3., 4.]]])
    >>> interpolate(np.array([[[[1.0, 2.0]]]]), scale_factor=2)
    array([[[[1., 1., 2., 2.],
             [1., 1., 2., 2.]]]])
    """
    axes = look_up(mode, _AXES, "mode of interpolation")
    ndim = input.ndim - 2
    if ndim not in axes:
        raise ValueError(
            f"interpolate(mode={mode!r}) takes arrays of {' or '.join(str(n + 2) for n in axes)} "
            f"axes, (N, C, ...), not {input.shape}"
        )
    if antialias:
        raise ValueError(
            "interpolate(antialias=True) is not here: average first, F.avg_pool2d(...)"
        )
    if align_corners is not None and not mode.endswith(("linear", "cubic")):
        raise ValueError(f"interpolate(align_corners={align_corners}) is not for mode={mode!r}")
    if 0 in input.shape[2:]:
        raise ValueError(f"interpolate: an input of shape {input.shape} has no elements")
    out, steps = _sizes_and_steps(input, size, scale_factor, recompute_scale_factor)
    for axis, (m, step) in enumerate(zip(out, steps, strict=True), 2):
        n = input.shape[axis]
        if mode.startswith("nearest"):
            input = _nearest(input, axis, m, step, 0.5 * (mode == "nearest-exact"))
        elif mode == "area":
            input = mapped(input, axis, means(n, m))
        elif mode == "bicubic" or n != m:  # with as many elements, linear modes change none
            places = _places(n, m, step, bool(align_corners))
            elements, weights = (
                cubic(places) if mode == "bicubic" else linear(np.maximum(places, 0))
            )
            input = mapped(input, axis, _matrix(n, elements, weights))
    return input


def _sizes_and_steps(
    input: Array, size: Any, scale_factor: Any, recompute_scale_factor: bool | None
) -> tuple[tuple[int, ...], list[float]]:
    """The new length of each axis, and how many old elements a new one is from the next."""
    image = input.shape[2:]
    if (size is None) == (scale_factor is None):
        raise ValueError("interpolate takes either size or scale_factor, and one of them")
    if size is not None:
        if recompute_scale_factor:
            raise ValueError("interpolate(recompute_scale_factor=True) goes with scale_factor")
        out = sizes(size, "size", 1, len(image))
    else:
        factors = _factors(scale_factor, len(image))
        out = tuple(int(n * factor) for n, factor in zip(image, factors, strict=True))
        if min(out) < 1:
            raise ValueError(f"scale_factor={scale_factor} leaves nothing of {input.shape}: {out}")
        if not recompute_scale_factor:
            return out, [1 / factor for factor in factors]
    return out, [n / m for n, m in zip(image, out, strict=True)]


def _factors(scale_factor: Any, ndim: int) -> tuple[float, ...]:
    several = isinstance(scale_factor, (tuple, list))
    factors = tuple(scale_factor) if several else (scale_factor,) * ndim
    if len(factors) != ndim or not all(factor > 0 for factor in factors):
        raise ValueError(
            f"scale_factor={scale_factor!r}: expected a positive number, or {ndim} of them"
        )
    return factors


def _nearest(x: Array, axis: int, m: int, step: float, middle: float) -> Array:
    """Repeat or drop elements; places are rounded to float32 first, as PyTorch rounds them."""
    n = x.shape[axis]
    places = np.floor(((np.arange(m) + middle) * step).astype(np.float32)).astype(int)
    places = np.minimum(places, n - 1)
    times = np.bincount(places, minlength=n)
    if (times == times[0]).all():  # as of whole factors: the derivative of this is a sum
        before, behind = x.shape[: axis + 1], x.shape[axis + 1 :]
        wide = np.broadcast_to(np.expand_dims(x, axis + 1), (*before, m // n, *behind))
        return wide.reshape((*before[:-1], m, *behind))
    return np.take(x, places, axis)


def _places(n: int, m: int, step: float, align_corners: bool) -> NDArray:
    """Where along ``n`` elements each of ``m`` lies."""
    if align_corners:
        return np.arange(m) * ((n - 1) / (m - 1) if m > 1 else 0.0)
    return (np.arange(m) + 0.5) * step - 0.5


def linear(places: Array) -> tuple[Array, Array]:
    """The elements on both sides of each place, and their weights."""
    first = np.floor(places)
    return np.stack([first, first + 1]), np.stack([1 - (places - first), places - first])


def cubic(places: Array) -> tuple[Array, Array]:
    """The four elements around each place, and their weights by convolution with a cubic.

    R. G. Keys, "Cubic convolution interpolation for digital image processing", 1981, with the
    slope a = -0.75 at 1.
    """
    a, first = -0.75, np.floor(places)
    elements = np.stack([first + i for i in (-1, 0, 1, 2)])
    d = abs(places - elements)
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return elements, np.where(d <= 1, near, far)


def _matrix(n: int, elements: NDArray, weights: NDArray) -> NDArray:
    """The weights of ``n`` elements; what lies outside is the outermost element."""
    matrix = np.zeros((elements.shape[1], n))
    columns = np.clip(elements, 0, n - 1).astype(int)
    np.add.at(matrix, (np.arange(len(matrix)), columns), weights)
    return matrix


@takes_arrays
def pixel_shuffle(input: Array, upscale_factor: int) -> Array:
    """Make squares of pixels of channels: ``(..., C * r * r, H, W)`` to ``(..., C, H * r, W * r)``.

    Raises
    ------
    ValueError
        The channels are no multiple of ``upscale_factor ** 2``.

    Examples
    --------
    >>> pixel_shuffle(np.arange(4.0).reshape(4, 1, 1), 2)
    array([[[0., 1.],
            [2., 3.]]])
    """
    (r,) = sizes(upscale_factor, "upscale_factor", 1, 1)
    *batch, channels, high, wide = _of_images("pixel_shuffle", input)
    if channels % (r * r):
        raise ValueError(
            f"pixel_shuffle: {channels} channels (shape {input.shape}) are no multiple of "
            f"upscale_factor ** 2 = {r * r}"
        )
    split = input.reshape((*batch, channels // (r * r), r, r, high, wide))
    i = len(batch)
    order = (*range(i + 1), i + 3, i + 1, i + 4, i + 2)
    return np.transpose(split, order).reshape((*batch, channels // (r * r), high * r, wide * r))


@takes_arrays
def pixel_unshuffle(input: Array, downscale_factor: int) -> Array:
    """Make channels of squares of pixels: the inverse of :func:`pixel_shuffle`.

    Raises
    ------
    ValueError
        Rows or columns are no multiple of ``downscale_factor``.

    Examples
    --------
    >>> pixel_unshuffle(np.arange(4.0).reshape(1, 2, 2), 2).shape
    (4, 1, 1)
    """
    (r,) = sizes(downscale_factor, "downscale_factor", 1, 1)
    *batch, channels, high, wide = _of_images("pixel_unshuffle", input)
    if high % r or wide % r:
        raise ValueError(
            f"pixel_unshuffle: {high} rows and {wide} columns (shape {input.shape}) are not both "
            f"multiples of downscale_factor = {r}"
        )
    split = input.reshape((*batch, channels, high // r, r, wide // r, r))
    i = len(batch)
    order = (*range(i + 1), i + 2, i + 4, i + 1, i + 3)
    return np.transpose(split, order).reshape((*batch, channels * r * r, high // r, wide // r))


@takes_arrays
def channel_shuffle(input: Array, groups: int) -> Array:
    """Let the channels ``(N, C, ...)`` of several groups take turns, as for grouped convolutions.

    Raises
    ------
    ValueError
        The channels are no multiple of ``groups``.

    Examples
    --------
    >>> channel_shuffle(np.arange(6.0).reshape(1, 6, 1), 2)[0, :, 0]
    array([0., 3., 1., 4., 2., 5.])
    """
    (groups,) = sizes(groups, "groups", 1, 1)
    if input.ndim < 3 or input.shape[1] % groups:
        raise ValueError(
            f"channel_shuffle(groups={groups}) takes (N, C, ...), with a multiple of {groups} "
            f"channels, not {input.shape}"
        )
    n, channels, *rest = input.shape
    split = input.reshape((n, groups, channels // groups, *rest))
    return np.swapaxes(split, 1, 2).reshape(input.shape)


def _of_images(name: str, input: Array) -> tuple[int, ...]:
    if input.ndim < 3:
        raise ValueError(f"{name} takes images (..., C, H, W), not {input.shape}")
    return tuple(input.shape)
