"""Where the taps of a kernel fall on an image: the geometry that convolution and pooling share.

Along each axis, tap ``i`` of output ``t`` reads input ``t * stride + i * dilation + offset``.
Padding is a negative offset: what lies outside the image reads as a fill value.

Not for: the arithmetic of convolution (``conv.py``) and pooling (``pool.py``).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from itertools import chain
from math import prod
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tinygrad_lab.nn.kernels.scratch import SCRATCH

__all__ = [
    "Taps", "Windows", "fold", "is_numpy", "place", "places", "sizes", "spread", "taps_along",
    "taps_of", "unfold",
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


def fold(
    pieces: Iterable[Array], size: tuple[int, ...], windows: Windows, out: Array = None
) -> Array:
    """Add what belongs to each tap back to where :func:`taps_of` read it: the adjoint.

    ``pieces`` come in the order of :func:`taps_of`.  The result has shape ``(N, C, *size)``, and
    behind these the axes of the pieces that no window slides along.  It may be written to ``out``.
    """
    pieces = iter(pieces)
    first = next(pieces)
    pieces = chain([first], pieces)
    if not is_numpy(first):
        return _folded_anywhere(pieces, size, windows)
    if out is None:
        out = np.empty((*first.shape[:2], *size, *first.shape[2 + len(size) :]), first.dtype)
    overlap = any(taps.overlap for taps in windows)
    if overlap and any(taps.stride > 1 for taps in windows):
        return fold(_by_phase(first, pieces, windows), size, tuple(map(_phases, windows)), out)
    out.fill(0)
    for (outputs, inputs), piece in zip(places(windows, size), pieces, strict=True):
        if overlap:
            out[inputs] += piece[outputs]
        else:
            out[inputs] = piece[outputs]
    return out


def _phases(taps: Taps) -> Taps:
    """The inputs by their remainders modulo the stride, as taps: they do not overlap."""
    most = taps.out + (taps.kernel - 1) * taps.dilation // taps.stride
    return Taps(most, taps.stride, taps.stride, 1, taps.offset)


def _by_phase(first: Array, pieces: Iterable[Array], windows: Windows) -> Array:
    """Add up what belongs to inputs with the same remainders, which lie side by side here.

    Adding to every second element instead takes six times as long.
    """
    strides = [taps.stride for taps in windows]
    lengths = [_phases(taps).out for taps in windows]
    shape = (*strides, *first.shape[:2], *lengths, *first.shape[2 + len(windows) :])
    sums = SCRATCH.take(3, shape, first.dtype)
    sums.fill(0)
    for tap, piece in zip(np.ndindex(*(taps.kernel for taps in windows)), pieces, strict=True):
        steps = [divmod(i * t.dilation, t.stride) for i, t in zip(tap, windows, strict=True)]
        inside = [slice(at, at + t.out) for (at, _), t in zip(steps, windows, strict=True)]
        sums[(*(phase for _, phase in steps), slice(None), slice(None), *inside)] += piece
    return sums.reshape(prod(strides), *shape[len(windows) :])


@lru_cache(1024)
def places(windows: Windows, size: tuple[int, ...]) -> list[tuple[Any, Any]]:
    """For each tap, which outputs read inside of images ``(N, C, *size)``, and what they read."""
    taken = []
    for tap in np.ndindex(*(taps.kernel for taps in windows)):
        along = [taps.inside(i, n) for taps, i, n in zip(windows, tap, size, strict=True)]
        outputs, inputs = zip(*along, strict=True)
        taken.append(((slice(None), slice(None), *outputs), (slice(None), slice(None), *inputs)))
    return taken


def _folded_anywhere(pieces: Iterable[Array], size: tuple[int, ...], windows: Windows) -> Array:
    result: Array = None
    for tap, piece in zip(np.ndindex(*(t.kernel for t in windows)), pieces, strict=True):
        for axis, (taps, i, n) in enumerate(zip(windows, tap, size, strict=True), 2):
            piece = place(piece, axis, i, n, taps)
        result = piece if result is None else result + piece
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
