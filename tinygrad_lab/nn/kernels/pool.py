"""Pooling over any number of axes: the largest, or the mean, of what a window of an image holds.

Each pooling and its gradient are linear in the upstream, so each pair closes under
differentiation: the gradient's own derivative gathers where the gradient scatters.

NumPy's own arrays are taken a few images at a time: what is computed on the way is then small, and
stays in the cache.  One thread does that: the calls are so short that two, which wait for each
other between them, take half as long again.

Not for: what users call, which checks and fills in defaults (``functional/``).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from math import prod
from operator import add
from typing import Any

import numpy as np

from tinygrad_lab.core.operations import defvjp, primitive
from tinygrad_lab.nn.kernels.scratch import SCRATCH
from tinygrad_lab.nn.kernels.windows import (
    Array,
    Windows,
    fold,
    is_numpy,
    places,
    taps_along,
    taps_of,
)

__all__ = ["avg_pool", "max_pool"]

# Bytes to work on at once: a part of the L2 cache.
BLOCK = 1 << 19


@primitive
def max_pool(x: Array, *, windows: Windows) -> Array:
    """The largest element of each window; what lies outside is smaller than anything."""

    def largest(x: Array) -> Array:
        for axis, taps in enumerate(windows, 2):
            x = reduce(np.maximum, taps_along(x, axis, taps, smallest(x.dtype)))
        return x

    return _in_blocks(largest, 2 * prod(x.shape[2:]), x)


@primitive
def max_pool_input_gradient(g: Array, x: Array, *, windows: Windows) -> Array:
    """Give each window's gradient to its largest elements, in equal shares; to NaN, if any."""
    peaks_of = _Peaks(x.shape[2:], windows)

    def scatter(g: Array, x: Array, out: Array = None) -> Array:
        peaks, ties = peaks_of(x, g.dtype)
        share = g / ties
        return fold((share * peak for peak in peaks), x.shape[2:], windows, out)

    out = np.empty(x.shape, g.dtype) if is_numpy(g, x) else None
    return _in_blocks(scatter, peaks_of.size, g, x, out=out)


@primitive
def max_pool_gather(u: Array, x: Array, *, windows: Windows) -> Array:
    """The mean of ``u`` over each window's largest elements: the adjoint of the one above."""
    peaks_of = _Peaks(x.shape[2:], windows)

    def gather(u: Array, x: Array) -> Array:
        peaks, ties = peaks_of(x, u.dtype)
        return (np.stack(taps_of(u, windows)) * peaks).sum(axis=0) / ties

    return _in_blocks(gather, peaks_of.size, u, x)


defvjp(
    max_pool,
    lambda g, y, x, **how: max_pool_input_gradient(g, x, **how),
    branch=lambda y, x, **how: max_pool_input_gradient(np.ones_like(y), x, **how) != 0,
)
# A small change of x leaves the largest elements where they are, almost everywhere, so the
# derivative by x is 0.  It is declared, because a tracked argument without a rule is an error.
defvjp(
    max_pool_input_gradient,
    lambda u, y, g, x, **how: max_pool_gather(u, x, **how),
    lambda u, y, g, x, **how: np.zeros_like(x),
)
defvjp(
    max_pool_gather,
    lambda g, y, u, x, **how: max_pool_input_gradient(g, x, **how),
    lambda g, y, u, x, **how: np.zeros_like(x),
)


def smallest(dtype: np.dtype[Any]) -> Any:
    """What no number of a dtype is smaller than."""
    if dtype.kind == "f":
        return -np.inf
    return False if dtype.kind == "b" else np.iinfo(dtype).min


def places_of_largest(x: Array, windows: Windows) -> Array:
    """Where in its image the first of the largest elements of each window is."""
    largest = _largest_anywhere(taps_of(x, windows, smallest(x.dtype)))
    tap = np.argmax(_Peaks(x.shape[2:], windows).without_margins(largest), axis=0)
    place, step = np.zeros_like(tap), 1
    for axis in reversed(range(len(windows))):
        taps, n = windows[axis], x.shape[2 + axis]
        first = np.arange(taps.out) * taps.stride + taps.offset
        first = first.reshape((-1, *(1,) * (len(windows) - axis - 1)))
        place = place + (first + tap % taps.kernel * taps.dilation) * step
        tap, step = tap // taps.kernel, step * n
    return place


class _Peaks:
    """Which taps read the largest element of their window."""

    def __init__(self, image: tuple[int, ...], windows: Windows) -> None:
        self.windows = windows
        self.size = prod(taps.kernel * taps.out for taps in windows)  # of one channel of an image
        ends = zip(windows, image, strict=True)
        self.all_inside = all(taps.offset >= 0 and taps.reach <= n for taps, n in ends)
        if not self.all_inside:
            self.inside = np.stack(taps_of(np.ones((1, 1, *image), bool), windows, fill=False))

    def __call__(self, x: Array, dtype: Any) -> tuple[Array, Array]:
        """Whether taps read the largest, ``(taps, N, C, *outputs)``, and how many do."""
        peaks = self.without_margins(
            self._largest_of(x)
            if is_numpy(x)
            else _largest_anywhere(taps_of(x, self.windows, smallest(x.dtype)))
        )
        # The type of ``sum`` is a wide integer, and eight times as much to write as these.
        count = np.uint8 if len(peaks) < 256 else np.intp
        ties = peaks.sum(axis=0, dtype=count).astype(dtype)
        return peaks, np.maximum(ties, 1)  # a window may lie outside

    def without_margins(self, largest: Array) -> Array:
        """Taps that fall outside the image read no largest element."""
        return largest if self.all_inside else largest & self.inside

    def _largest_of(self, x: Array) -> Array:
        """Where the taps read the largest, or NaN, in memory that is kept."""
        taps = places(self.windows, x.shape[2:])
        shape = (len(taps), *x.shape[:2], *(taps.out for taps in self.windows))
        read = SCRATCH.take(0, shape, x.dtype)
        if not self.all_inside:
            read.fill(smallest(x.dtype))
        for to, (outputs, inputs) in zip(read, taps, strict=True):
            to[outputs] = x[inputs]
        top = read.max(axis=0)
        largest = np.equal(read, top, out=SCRATCH.take(1, shape, bool))
        if (top != top).any():
            largest |= np.not_equal(read, read, out=SCRATCH.take(2, shape, bool))
        return largest


def _largest_anywhere(views: list[Array]) -> Array:
    """Where the views hold the largest of all of them: the NaN, where there are any."""
    read = np.stack(views)
    return (read == read.max(axis=0)) | (read != read)


@primitive
def avg_pool(x: Array, *, windows: Windows, divisor: Array) -> Array:
    """The sum of each window over its ``divisor``, a scalar or one for each output."""

    def mean(x: Array) -> Array:
        for axis, taps in enumerate(windows, 2):
            x = reduce(add, taps_along(x, axis, taps))
        return x / divisor

    return _in_blocks(mean, 2 * prod(x.shape[2:]), x)


@primitive
def avg_pool_input_gradient(
    g: Array, *, size: tuple[int, ...], windows: Windows, divisor: Array
) -> Array:
    """Spread each window's gradient evenly over the window."""

    def spread(g: Array, out: Array = None) -> Array:
        share = g / divisor
        return fold([share] * prod(taps.kernel for taps in windows), size, windows, out)

    shape = (*g.shape[:2], *size)
    out = np.empty(shape, (g[:0, :0] / divisor).dtype) if is_numpy(g) else None
    return _in_blocks(spread, 2 * prod(size), g, out=out)


defvjp(
    avg_pool,
    lambda g, y, x, **how: avg_pool_input_gradient(g, size=x.shape[2:], **how),
)
defvjp(
    avg_pool_input_gradient,
    lambda u, y, g, size, **how: avg_pool(u, **how),
)


def _in_blocks(f: Callable[..., Array], each: int, *arrays: Array, out: Array = None) -> Array:
    """Call ``f``, which works on ``each`` numbers for a channel of an image, on a few at a time.

    It writes to its part of ``out``, where that is given.
    """
    if not is_numpy(*arrays):
        return f(*arrays)
    n, c = arrays[0].shape[:2]
    planes = [_flat(a) for a in arrays]
    result: Array = None if out is None else _flat(out)
    blocks = max(1, -(-n * c * each * arrays[0].itemsize // BLOCK))
    step = max(1, -(-n * c // blocks))
    for start in range(0, max(1, n * c), step):
        some = slice(start, start + step)
        if out is not None:
            f(*(p[some] for p in planes), result[some])
            continue
        part = f(*(p[some] for p in planes))
        if result is None:
            result = np.empty((n * c, *part.shape[1:]), part.dtype)
        result[some] = part
    return result.reshape((n, c, *result.shape[2:]))


def _flat(images: Array) -> Array:
    """Each channel of an image as an image of its own."""
    return images.reshape((images.shape[0] * images.shape[1], 1, *images.shape[2:]))
