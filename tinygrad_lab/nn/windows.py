"""Where the taps of a kernel fall on an image: the geometry that convolution and pooling share.

Along each axis, tap ``i`` of output ``t`` reads input ``t * stride + i * dilation + offset``.
Padding is a negative offset: what lies outside the image reads as a fill value.

Not for: the arithmetic of convolution (``conv.py``) and pooling (``pool.py``).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Taps", "fold", "is_numpy", "pair", "place", "spread", "taps_of", "unfold"]

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

    def inside(self, tap: int, size: int) -> tuple[slice, slice]:
        """Outputs whose ``tap`` reads inside an axis of ``size``, and the inputs they read."""
        start = tap * self.dilation + self.offset
        first = max(0, -(start // self.stride))
        last = max(first, min(self.out, (size - 1 - start) // self.stride + 1))
        if first == last:
            return slice(0, 0), slice(0, 0)
        read = slice(first * self.stride + start, (last - 1) * self.stride + start + 1, self.stride)
        return slice(first, last), read


def pair(value: Any, name: str, least: int) -> tuple[int, int]:
    """Read an int, or a pair of them, for rows and columns.

    Raises
    ------
    ValueError
        It is neither, or smaller than ``least``.
    """
    both = value if isinstance(value, (tuple, list)) else (value, value)
    if len(both) != 2 or any(not isinstance(v, (int, np.integer)) or v < least for v in both):
        raise ValueError(
            f"{name}={value!r}: expected an integer of {least} or more, or a pair of them"
        )
    return int(both[0]), int(both[1])


def is_numpy(*arrays: Any) -> bool:
    """Tell whether all of them are NumPy's own arrays, so that in-place kernels may be used."""
    return all(isinstance(array, np.ndarray) for array in arrays)


def taps_of(x: Array, rows: Taps, columns: Taps, fill: float = 0.0) -> list[Array]:
    """Views of what each tap reads, each of shape ``(N, C, rows.out, columns.out)``.

    The order is that of a kernel's elements, row by row.  ``x`` is padded with ``fill`` first
    where the taps reach outside.
    """
    padding = []
    starts = []
    for taps, size in ((rows, x.shape[2]), (columns, x.shape[3])):
        before, after = max(0, -taps.offset), max(0, taps.reach - size)
        padding.append((before, after))
        starts.append(taps.offset + before)
    if any(padding[0] + padding[1]):
        x = _pad(x, padding, fill)
    views = []
    for i in range(rows.kernel):
        for j in range(columns.kernel):
            top = starts[0] + i * rows.dilation
            left = starts[1] + j * columns.dilation
            views.append(
                x[
                    :,
                    :,
                    top : top + (rows.out - 1) * rows.stride + 1 : rows.stride,
                    left : left + (columns.out - 1) * columns.stride + 1 : columns.stride,
                ]
            )
    return views


def unfold(x: Array, groups: int, rows: Taps, columns: Taps) -> Array:
    """Columns of taps ``(N, groups, C / groups * taps, outputs)``, for any kind of array.

    Made of slices and one stack, and reshaped one axis at a time because Dask needs that.
    """
    n, c = x.shape[:2]
    taps, outputs = rows.kernel * columns.kernel, rows.out * columns.out
    unfolded = np.stack(taps_of(x, rows, columns), axis=2).reshape((n, c, taps, outputs))
    unfolded = unfolded.reshape((n, c * taps, outputs))
    return unfolded.reshape((n, groups, c // groups * taps, outputs))


def fold(pieces: Iterator[Array], size: tuple[int, int], rows: Taps, columns: Taps) -> Array:
    """Add what belongs to each tap back to where :func:`taps_of` read it: the adjoint.

    ``pieces`` come in the order of :func:`taps_of`.  The result has shape ``(N, C, *size)``.
    """
    where = [(i, j) for i in range(rows.kernel) for j in range(columns.kernel)]
    result: Array = None
    for (i, j), piece in zip(where, pieces, strict=True):
        if not is_numpy(piece):
            placed = place(place(piece, 2, i, size[0], rows), 3, j, size[1], columns)
            result = placed if result is None else result + placed
            continue
        if result is None:
            result = np.zeros((*piece.shape[:2], *size), piece.dtype)
        out_rows, in_rows = rows.inside(i, size[0])
        out_columns, in_columns = columns.inside(j, size[1])
        result[:, :, in_rows, in_columns] += piece[:, :, out_rows, out_columns]
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


def _pad(x: Array, padding: list[tuple[int, int]], fill: float) -> Array:
    if not is_numpy(x):
        return np.pad(x, [(0, 0), (0, 0), *padding], constant_values=fill)
    n, c, h, w = x.shape
    (top, bottom), (left, right) = padding
    padded = np.full((n, c, top + h + bottom, left + w + right), fill, x.dtype)
    padded[:, :, top : top + h, left : left + w] = x
    return padded
