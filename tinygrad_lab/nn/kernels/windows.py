"""Where the taps of a kernel fall on an image: the geometry that convolution and pooling share.

Along each axis, tap ``i`` of output ``t`` reads input ``t * stride + i * dilation + offset``.
Padding is a negative offset: what lies outside the image reads as a fill value.

Not for: the arithmetic of convolution (``conv.py``) and pooling (``pool.py``).
"""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = [
    "Taps", "Windows", "fold", "is_numpy", "place", "sizes", "spread", "taps_along", "taps_of",
    "unfold",
]  # fmt: skip

Array = Any  # an ndarray, a Dask or CuPy array: whatever speaks NumPy's protocols
NDArray = npt.NDArray[Any]


class Taps(NamedTuple):
    """Which inputs each output of a sliding kernel reads, along one axis."""

    out: int
    kernel: int
    stride: int
    dilation: int
    offset: int

    @property
    def reach(self) -> int:
        """One past the last input that is read (which may lie outside)."""
        return (self.out - 1) * self.stride + (self.kernel - 1) * self.dilation + self.offset + 1

    @property
    def overlap(self) -> bool:
        """Whether two outputs may read the same input."""
        return self.stride <= (self.kernel - 1) * self.dilation

    def inside(self, tap: int, size: int) -> tuple[slice, slice]:
        """Outputs whose ``tap`` reads inside an axis of ``size``, and the inputs they read."""
        start = tap * self.dilation + self.offset
        first = max(0, -(start // self.stride))
        last = max(first, min(self.out, (size - 1 - start) // self.stride + 1))
        if first == last:
            return slice(0, 0), slice(0, 0)
        read = slice(first * self.stride + start, (last - 1) * self.stride + start + 1, self.stride)
        return slice(first, last), read


#: A window over images of any number of axes: the taps along each of them.
Windows = tuple[Taps, ...]


def sizes(value: Any, name: str, least: int, ndim: int) -> tuple[int, ...]:
    """Read an integer for all axes of an image, or one for each of them.

    Raises
    ------
    ValueError
        It is neither, or smaller than ``least``.
    """
    each = tuple(value) if isinstance(value, (tuple, list)) else (value,) * ndim
    each = each * ndim if len(each) == 1 else each
    if len(each) != ndim or any(not isinstance(v, (int, np.integer)) or v < least for v in each):
        several = {1: "one in a tuple", 2: "a pair of them"}.get(ndim, f"{ndim} of them")
        raise ValueError(f"{name}={value!r}: expected an integer of {least} or more, or {several}")
    return tuple(map(int, each))


def is_numpy(*arrays: Any) -> bool:
    """Tell whether all of them are NumPy's own arrays, so that in-place kernels may be used."""
    return all(isinstance(array, np.ndarray) for array in arrays)


def taps_along(x: Array, axis: int, taps: Taps, fill: float = 0.0) -> list[Array]:
    """Views of what each tap reads along ``axis``, which is padded with ``fill`` first if needed.

    Nothing is written in place, so any kind of array will do.
    """
    return _views(_pad(x, {axis: taps}, fill), axis, taps)


def taps_of(x: Array, windows: Windows, fill: float = 0.0) -> list[Array]:
    """Views of what each tap reads, each of shape ``(N, C, *outputs)``.

    The order is that of a kernel's elements, row by row.
    """
    views = [_pad(x, dict(enumerate(windows, 2)), fill)]
    for axis, taps in enumerate(windows, 2):
        views = [part for view in views for part in _views(view, axis, taps)]
    return views


def _views(padded: Array, axis: int, taps: Taps) -> list[Array]:
    start, span = max(0, taps.offset), (taps.out - 1) * taps.stride + 1
    firsts = [start + i * taps.dilation for i in range(taps.kernel)]
    outer = (slice(None),) * axis
    return [padded[(*outer, slice(first, first + span, taps.stride))] for first in firsts]


def _pad(x: Array, taps: dict[int, Taps], fill: float) -> Array:
    """Widen axes to what their taps read."""
    margins = [(0, 0)] * x.ndim
    for axis, t in taps.items():
        margins[axis] = (max(0, -t.offset), max(0, t.reach - x.shape[axis]))
    if not any(before or after for before, after in margins):
        return x
    if not is_numpy(x):
        return np.pad(x, margins, constant_values=fill)
    sides = list(zip(x.shape, margins, strict=True))
    padded = np.full([before + n + after for n, (before, after) in sides], fill, x.dtype)
    padded[tuple(slice(before, before + n) for n, (before, _) in sides)] = x
    return padded


def unfold(x: Array, groups: int, windows: Windows) -> Array:
    """Columns of taps ``(N, groups, C / groups * taps, outputs)``, for any kind of array.

    Made of slices and one stack, and reshaped one axis at a time because Dask needs that.
    """
    n, c = x.shape[:2]
    taps, outputs = prod(t.kernel for t in windows), prod(t.out for t in windows)
    unfolded = np.stack(taps_of(x, windows), axis=2).reshape((n, c, taps, outputs))
    unfolded = unfolded.reshape((n, c * taps, outputs))
    return unfolded.reshape((n, groups, c // groups * taps, outputs))


def fold(pieces: Iterable[Array], size: tuple[int, ...], windows: Windows) -> Array:
    """Add what belongs to each tap back to where :func:`taps_of` read it: the adjoint.

    ``pieces`` come in the order of :func:`taps_of`.  The result has shape ``(N, C, *size)``, and
    behind these the axes of the pieces that no window slides along.
    """
    overlap = any(taps.overlap for taps in windows)
    result: Array = None
    for tap, piece in zip(np.ndindex(*(t.kernel for t in windows)), pieces, strict=True):
        along = list(zip(windows, tap, size, strict=True))
        if not is_numpy(piece):
            for axis, (taps, i, n) in enumerate(along, 2):
                piece = place(piece, axis, i, n, taps)
            result = piece if result is None else result + piece
            continue
        if result is None:
            shape = (*piece.shape[:2], *size, *piece.shape[2 + len(size) :])
            result = np.zeros(shape, piece.dtype)
        out, read = zip(*(taps.inside(i, n) for taps, i, n in along), strict=True)
        to, part = result[:, :, *read], piece[:, :, *out]
        if overlap:
            to += part
        else:
            to[...] = part
    return result


def place(piece: Array, axis: int, tap: int, size: int, taps: Taps) -> Array:
    """Place one tap's outputs along ``axis`` at the inputs it read, with zeros elsewhere.

    Nothing is written in place, so any kind of array will do.
    """
    out, read = taps.inside(tap, size)
    piece = piece[(slice(None),) * axis + (out,)]
    if taps.stride > 1:
        piece = spread(piece, axis, taps.stride)
        piece = piece[(slice(None),) * axis + (slice(0, read.stop - read.start),)]
    margins = [(0, 0)] * piece.ndim
    margins[axis] = (read.start, size - read.start - piece.shape[axis])
    return np.pad(piece, margins)


def spread(piece: Array, axis: int, stride: int) -> Array:
    """Put ``stride - 1`` zeros behind each element along ``axis``, for any kind of array."""
    if stride == 1:
        return piece
    zeros = [np.zeros_like(piece)] * (stride - 1)
    shape = (*piece.shape[:axis], piece.shape[axis] * stride, *piece.shape[axis + 1 :])
    return np.stack([piece, *zeros], axis=axis + 1).reshape(shape)
