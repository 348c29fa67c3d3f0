"""Convolution of NumPy's images with two axes, which the others are brought to (``conv.py``).

The images are unfolded by the taps of one kernel row only.  The unfolded rows follow one another in
memory, so the matrix that belongs to one row of outputs is a view that overlaps with the next
row's, and one ``np.matmul`` over all of those views is the convolution, written straight to the
result where it lies right.  That is a ``kh``-th of the memory traffic of im2col.  A kernel with
dilation, and the adjoint of a stride, are several dense correlations between slices of the images.
Where there is enough to do, several threads have a share of the images each (``threads.py``), and
compute there what is asked for together: both gradients, while their part of ``g`` is in the cache.

Not for: other arrays, derivatives, or what users call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache, partial, reduce
from math import gcd, inf, prod
from operator import add
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lab.nn.kernels.scratch import SCRATCH
from tinygrad_lab.nn.kernels.threads import in_parts
from tinygrad_lab.nn.kernels.windows import NDArray, Taps

__all__ = [
    "Job",
    "bias_gradient",
    "convolved",
    "done",
    "input_gradient",
    "turned",
    "weight_gradient",
]

# Bytes of unfolded images to work on at once: a part of the L2 cache.
BLOCK = 1 << 20
# Multiply-adds that are worth two threads: with fewer, these wait for each other longer.
SHARE = 20_000_000
_SIMD = np.show_config(mode="dicts").get("SIMD Extensions", {})
_FEATURES = {*_SIMD.get("baseline", ()), *_SIMD.get("found", ())}
# Multiply-adds from which on a weight gradient's product is cut into some of fewer rows.
SMALL_PRODUCT = 1_000_000
# The same of the other products.  With AVX-512 OpenBLAS multiplies up to so many without packing
# its operands first, at twice the speed where one of them has few rows.  Everywhere else it packs
# them, and the more rows the better.
SMALL_UNPACKED = SMALL_PRODUCT if _FEATURES & {"X86_V4", "AVX512_SKX"} else inf
# Outputs that a weight gradient sums over in one product, at least: adding products takes time too.
FEWEST_OUTPUTS = 256
# Taps of a filter, from which on a product with the transposed gradient pays for transposing it.
WORTH_TURNING = 192

Planes = tuple[Taps, Taps]


class Job(NamedTuple):
    """A result that shares of the images contribute to, each on its own."""

    images: int
    products: int  # multiply-adds for each of them
    abreast: int  # how many images are best taken together, or a multiple
    part: Callable[[slice], Any]  # what a share of the images contributes
    whole: Callable[[list[Any]], NDArray]  # the result, of what all of them contribute


def done(*jobs: Job) -> list[NDArray]:
    """Do jobs over the same images, on several threads where that is worth it."""

    def parts(share: slice) -> list[Any]:
        return [job.part(share) for job in jobs]

    products = max(job.products for job in jobs)
    shares = _shares(jobs[0].images, max(job.abreast for job in jobs), products)
    of_jobs = zip(*in_parts(parts, shares), strict=True)
    return [job.whole(list(some)) for job, some in zip(jobs, of_jobs, strict=True)]


def convolved(x: NDArray, w: NDArray, windows: Planes, groups: int) -> Job:
    """Images ``(N, O, Ho, Wo)`` from ``(N, C, H, W)`` and filters ``(O, C / groups, kh, kw)``."""
    rows, columns = windows
    y = np.empty((x.shape[0], w.shape[0], rows.out, columns.out), np.result_type(x, w))
    dense = ((read, _Rows(w, taps, down)) for taps, read, down in _undilated(rows))
    return _correlation(x, _pieces(columns, dense), groups, y)


def input_gradient(
    g: NDArray, w: NDArray, size: tuple[int, int], windows: Planes, groups: int
) -> Job:
    """Gradient ``(N, C, *size)`` by the images, from ``g`` ``(N, O, Ho, Wo)``."""
    rows, columns = windows
    w = turned(w, groups)
    down, across = list(_phases(rows, size[0])), list(_phases(columns, size[1]))
    phases = min(rows.stride, size[0]) * min(columns.stride, size[1])
    make = np.empty if len(down) * len(across) == phases else np.zeros
    dx = make((g.shape[0], w.shape[0], *size), np.result_type(g, w))
    pieces: list[_Piece] = []
    for column_inputs, column_taps, some_columns in across:
        filters = w[..., some_columns]
        strided = (
            (read, _Rows(filters[:, :, some_rows], taps, inputs))
            for row_inputs, row_taps, some_rows in down
            for taps, read, inputs in _undilated(row_taps, row_inputs)
        )
        pieces += _pieces(column_taps, strided, column_inputs)
    return _correlation(g, pieces, groups, dx)


def weight_gradient(g: NDArray, x: NDArray, windows: Planes, groups: int) -> Job:
    """Gradient ``(O, C / groups, kh, kw)`` by the filters."""

    def part(share: slice) -> NDArray:
        return _weight_gradient(g[share], x[share], *windows, groups)

    kernel = prod(taps.kernel for taps in windows)
    products = prod(g.shape[1:]) * (x.shape[1] // groups) * kernel
    return Job(len(g), products, 1, part, partial(reduce, add))


def bias_gradient(g: NDArray) -> Job:
    """Gradient ``(O,)`` by what is added to each channel of the result."""
    return Job(len(g), 0, 1, lambda share: g[share].sum(axis=(0, 2, 3)), partial(reduce, add))


def turned(w: Any, groups: int) -> Any:
    """Return the filters of the adjoint: inputs and outputs exchanged, all image axes reversed."""
    o, c, *kernel = w.shape
    w = np.swapaxes(w.reshape((groups, o // groups, c, *kernel)), 1, 2)
    w = w.reshape((groups * c, o // groups, *kernel))
    return w[(slice(None), slice(None), *(slice(None, None, -1),) * len(kernel))]


class _Rows(NamedTuple):
    """Filters without dilation along rows, where their taps fall, and which rows they give."""

    filters: NDArray
    taps: Taps
    down: slice


class _Piece(NamedTuple):
    """Correlations of one slice of the images with several filters, whose columns agree."""

    columns: Taps
    read: slice  # rows of the images
    rows: list[_Rows]
    across: slice  # columns of the results


def _pieces(
    columns: Taps, rows: Iterable[tuple[slice, _Rows]], across: slice = slice(None)
) -> list[_Piece]:
    """Put together what reads the same rows of the images, so that these are unfolded once."""
    pieces: dict[Any, _Piece] = {}
    for read, some in rows:
        key = (read.start, read.step)
        pieces.setdefault(key, _Piece(columns, read, [], across)).rows.append(some)
    return list(pieces.values())


def _correlation(x: NDArray, pieces: list[_Piece], groups: int, out: NDArray) -> Job:
    """Write ``sum over taps of w[o, c, i, j] * x[n, c, rows(t, i), columns(u, j)]`` to ``out``."""
    kernels = [_Kernel(piece, groups, out.dtype) for piece in pieces]

    def part(share: slice) -> None:
        for piece, kernel in zip(pieces, kernels, strict=True):
            kernel.run(x[share, :, piece.read], out[share, :, :, piece.across])

    products = sum(kernel.products for kernel in kernels)
    abreast = max((kernel.abreast for kernel in kernels), default=1)
    return Job(len(x), products, abreast, part, lambda parts: out)


class _Kernel:
    """How one piece is computed: its filters as matrices, and how the work is cut.

    Where there are few filters, the taps of a kernel row are not unfolded: there is a product for
    each of them, over lines of padded images, and these are shifted and added.  That is then less
    to copy, and the matrices have more rows.
    """

    def __init__(self, piece: _Piece, groups: int, dtype: np.dtype[Any]) -> None:
        taps = [rows.taps for rows in piece.rows]
        first = min(t.offset for t in taps)
        last = max(t.offset + t.kernel for t in taps)
        self.rows = Taps(max(t.out for t in taps), last - first, taps[0].stride, 1, first)
        self.columns = columns = piece.columns
        o, c, _, kw = piece.rows[0].filters.shape
        o //= groups
        self.shifts, order = range(1), (0, 1, 3, 4, 2)
        if columns.stride == 1 and 4 * o <= c:
            reach = (kw - 1) * columns.dilation
            self.columns = Taps(columns.out + reach, 1, 1, 1, columns.offset)
            self.shifts, order = range(0, reach + 1, columns.dilation), (0, 4, 1, 3, 2)
        self.matrices: list[tuple[NDArray, Taps, slice]] = []
        self.abreast = self.products = 0
        for filters, t, down in piece.rows:
            high = o * len(self.shifts)
            long = filters.size // max(1, groups * high)
            abreast, chunk = _small_products(high, long, self.columns.out)
            matrix = filters.reshape(groups, o, *filters.shape[1:]).transpose(order)
            matrix = matrix.reshape(groups, 1, high // chunk, chunk, long)
            self.matrices.append((matrix.astype(dtype, copy=False), t, down))
            self.abreast = max(self.abreast, abreast)
            self.products += filters.size * t.out * columns.out
        self.bytes_of_line = groups * self.columns.kernel * c * self.columns.out * dtype.itemsize

    def run(self, x: NDArray, out: NDArray) -> None:
        """Correlate images ``(N, C, H, W)``."""
        groups, columns = len(self.matrices[0][0]), self.columns
        unfolding = _Unfolding(range(8), columns, out.dtype)
        for some, m, part, rows in _blocks(len(x), self.abreast, self.rows, self.bytes_of_line):
            lines = Taps(rows.reach - rows.offset, 1, 1, 1, rows.offset)
            images = _side_by_side(x[some], m, groups)
            shape = (len(images), groups, 1, lines.out, columns.kernel, *images.shape[3:5])
            unfolded = unfolding.of(images, (*shape, columns.out), lines)[:, :, 0]
            for matrix, taps, down in self.matrices:
                y = _side_by_side(out[some, :, down][:, :, part], m, groups)
                shape = (*y.shape[:3], *matrix.shape[2:4], m * columns.out)
                direct = m == len(self.shifts) == 1 and out.strides[3] == out.itemsize
                product = y.reshape(shape) if direct else SCRATCH.take(1, shape, out.dtype)
                read = taps._replace(out=y.shape[2])
                np.matmul(matrix, _windows(unfolded, read, taps.offset - self.rows.offset), product)
                if len(self.shifts) > 1:
                    product = self._shifted_sum(product, y.shape)
                if not direct:
                    y[...] = product.reshape(*y.shape[:5], columns.out)[..., : y.shape[5]]

    def _shifted_sum(self, product: NDArray, shape: tuple[int, ...]) -> NDArray:
        """Add what belongs to each tap of a kernel row, moved to where the first tap reads."""
        parts = product.reshape(*shape[:3], len(self.shifts), shape[3], product.shape[-1])
        # Memory of its own: NumPy copies what it adds to if that might overlap with the rest.
        total = SCRATCH.take(2, parts[:, :, :, 0].shape, product.dtype)
        valid = total[..., : total.shape[-1] - self.shifts[-1]]
        for i, shift in enumerate(self.shifts):
            part = parts[:, :, :, i, :, shift : shift + valid.shape[-1]]
            np.add(valid, part, out=valid) if i else np.copyto(valid, part)
        return total


def _weight_gradient(g: NDArray, x: NDArray, rows: Taps, columns: Taps, groups: int) -> NDArray:
    """Sum over images and outputs of the outer products of ``g`` and what each tap read."""
    og, c = g.shape[1] // groups, x.shape[1] // groups
    kh, kw, width = rows.kernel, columns.kernel, columns.out
    dtype = np.result_type(g, x)
    gradient = np.zeros((kh, groups, kw * c, og), dtype)
    unfolding = _Unfolding((0, 1, 4, 5, 2, 3, 6, 7), columns, dtype)
    bytes_of_line = groups * kw * c * width * dtype.itemsize
    fewest = -(-FEWEST_OUTPUTS // max(1, rows.out * width))
    for taps, lines, written in _undilated(rows):
        images, upstream = x[:, :, lines], g[:, :, written]
        step, phases = taps.stride, min(taps.stride, kh)
        for some, m, part, strip in _blocks(len(x), fewest, taps, bytes_of_line):
            last_line = strip.out + (kh - 1) // step - 1
            inputs = Taps(last_line + 1, phases, step, 1, strip.offset)
            read = _side_by_side(images[some], m, groups)
            q = len(read)
            unfolded = unfolding.of(read, (q, groups, kw, c, phases, inputs.out, m, width), inputs)
            outputs = strip.out * m * width
            g_lines = _side_by_side(upstream[some, :, part], m, groups)
            if kh * kw * c >= WORTH_TURNING:
                g_lines = g_lines.transpose(0, 1, 2, 4, 5, 3)
                turned = SCRATCH.take(1, g_lines.shape, dtype)
                turned[...] = g_lines
                g_matrix = turned.reshape(q, groups, 1, outputs, og)
            else:
                g_matrix = g_lines.swapaxes(2, 3).reshape(q, groups, 1, og, outputs).swapaxes(3, 4)
            chunk = 8 if kw * c * outputs * og > SMALL_PRODUCT and kw * c % 8 == 0 else kw * c
            for i in range(kh):
                read_lines = slice(i // step, i // step + strip.out)
                matrix = unfolded[:, :, :, :, i % step, read_lines]
                matrix = matrix.reshape(q, groups, kw * c // chunk, chunk, outputs)
                gradient[i] += np.matmul(matrix, g_matrix).sum(axis=0).reshape(gradient.shape[1:])
    gradient = gradient.reshape(kh, groups, kw, c, og).transpose(1, 4, 3, 0, 2)
    return gradient.reshape(groups * og, c, kh, kw)


def _shares(n: int, abreast: int, products: int) -> list[slice]:
    """Share out ``n`` images of so many multiply-adds each, ``abreast`` or a multiple together.

    Four times the work is in twice as many shares, each of twice the size.  How many threads there
    are is not asked, so that the order of a sum, and with it the result, is the same everywhere.
    """
    doublings = (n * products // SHARE).bit_length()
    shares = 1 << (min(doublings, 1) + doublings // 2)
    each = abreast * max(1, -(-n // (abreast * shares)))
    return [slice(start, min(start + each, n)) for start in range(0, max(n, 1), each)]


def _small_products(filters: int, length: int, width: int) -> tuple[int, int]:
    """Choose how many images lie side by side in a product, and how many filters it takes.

    Vector units work on 16 columns at a time, and on 32 or 64 faster.
    """
    images = 1
    while 2 * images * width <= 128 and (images * width < 32 or images * width % 16):
        images *= 2
    chunk = filters
    while chunk % 2 == 0 and chunk >= 32 and chunk * length * images * width > SMALL_UNPACKED:
        chunk //= 2
    if chunk * length * images * width <= SMALL_UNPACKED:
        return images, chunk
    return max(images, -(-256 // max(1, width))), filters


def _undilated(taps: Taps, down: slice = slice(None)) -> Iterator[tuple[Taps, slice, slice]]:
    """Split an axis with dilation into axes without: one for each remainder of the outputs.

    Yields the taps, which inputs they fall on, and which of the outputs ``down`` they give.
    """
    # A single tap has whatever dilation one likes: with the stride, nothing is left in between.
    dilation = taps.dilation if taps.kernel > 1 else taps.stride
    common = gcd(taps.stride, dilation)
    step = dilation // common
    begin, by = down.start or 0, down.step or 1
    for first in range(min(step, taps.out)):
        offset, phase = divmod(first * taps.stride + taps.offset, dilation)
        out = (taps.out - first - 1) // step + 1
        yield (
            Taps(out, taps.kernel, taps.stride // common, 1, offset),
            slice(phase, None, dilation),
            slice(begin + first * by, None, step * by),
        )


def _blocks(
    n: int, m: int, rows: Taps, bytes_of_line: int
) -> Iterator[tuple[slice, int, slice, Taps]]:
    """Cut the work into images, and output rows of large images, whose unfolded rows fit a block.

    Yields the images, how many of them lie side by side, the rows of outputs, and where the taps
    of those rows fall.
    """
    at_once = max(1, BLOCK // max(1, m * bytes_of_line * (rows.reach - rows.offset)))
    several = -(-n // m)  # as many at once as these allow, and the same number each time
    at_once = m * -(-several // max(1, -(-several // at_once)))
    # Neighbouring strips both unfold the rows where they meet, so they are made much taller.
    tall = max(8 * rows.kernel, BLOCK // max(1, m * bytes_of_line * rows.stride) + 1)
    for start in range(0, n, max(1, at_once)):
        stop = min(n, start + at_once)
        even = stop - (stop - start) % m
        for some, side_by_side in ((slice(start, even), m), (slice(even, stop), stop - even)):
            for first in range(0, rows.out if some.start < some.stop else 0, tall):
                last = min(rows.out, first + tall)
                strip = rows._replace(out=last - first, offset=rows.offset + first * rows.stride)
                yield some, side_by_side, slice(first, last), strip


def _side_by_side(x: NDArray, m: int, groups: int) -> NDArray:
    """View images ``(N, C, H, W)`` as ``(N / m, groups, H, C / groups, m, W)``."""
    n, c, h, w = x.shape
    # Splitting an axis never copies, whatever the strides, so writing here writes to x.
    return x.reshape(n // m, m, groups, c // groups, h, w).transpose(0, 2, 4, 3, 1, 5)


class _Unfolding:
    """What taps read, in memory where the zeros around images stay from one block to the next.

    In the given order, the axes of that memory are ``(q, groups, kh, Ho, kw, C, m, Wo)``.
    """

    def __init__(self, order: Sequence[int], columns: Taps, dtype: np.dtype[Any]) -> None:
        self.order, self.columns, self.dtype = order, columns, dtype
        self.last: Any = None

    def of(self, images: NDArray, shape: tuple[int, ...], rows: Taps) -> NDArray:
        """Unfold images ``(q, groups, H, C, m, W)`` into memory of a ``shape``."""
        if self.last != (images.shape, shape, rows):
            self.last = (images.shape, shape, rows)
            self.memory = SCRATCH.take(0, shape, self.dtype)
            to = self.memory.transpose(self.order)
            outside, inside = _sides(rows, images.shape[2], self.columns, images.shape[5])
            for place in outside:
                to[place] = 0
            self.copies = [(to[place], read) for place, read in inside]
        for copy, read in self.copies:
            copy[...] = images[read]
        return self.memory


@lru_cache(1024)
def _sides(rows: Taps, high: int, columns: Taps, wide: int) -> tuple[list[Any], list[Any]]:
    """Where unfolded memory has zeros, and where it has what each tap reads, and from where."""
    outside: list[Any] = []
    inside: list[Any] = []
    for i in range(rows.kernel):
        down, lines = rows.inside(i, high)
        above, below = slice(down.start), slice(down.stop, rows.out)
        outside += [(..., i, rest, *[slice(None)] * 4) for rest in (above, below)]
        for j in range(columns.kernel):
            across, read = columns.inside(j, wide)
            left, right = slice(across.start), slice(across.stop, columns.out)
            outside += [(..., i, down, j, slice(None), slice(None), rest) for rest in (left, right)]
            place = (..., i, down, j, slice(None), slice(None), across)
            inside.append((place, (..., lines, slice(None), slice(None), read)))
    return [at for at in outside if not any(map(_is_empty, at))], inside


def _is_empty(at: Any) -> bool:
    return isinstance(at, slice) and at.stop is not None and at.stop <= (at.start or 0)


def _windows(unfolded: NDArray, rows: Taps, first: int) -> NDArray:
    """For each row of outputs, the matrix ``(kh * kw * C, m * Wo)`` of what its taps read.

    The taps of the first row of outputs begin at the line ``first``.
    """
    q, groups, _, kw, c, m, width = unfolded.shape
    shape = (q, groups, rows.out, 1, rows.kernel * kw * c, m * width)
    by_image, by_group, by_line = unfolded.strides[:3]
    item = unfolded.itemsize
    strides = (by_image, by_group, by_line * rows.stride, 0, m * width * item, item)
    return np.ndarray(shape, unfolded.dtype, unfolded, first * by_line, strides)


def _phases(taps: Taps, size: int) -> Iterator[tuple[slice, Taps, slice]]:
    """Split the adjoint of a strided axis into dense ones.

    Inputs with one remainder modulo the stride were read by every (stride / gcd)-th tap, so their
    gradient is a correlation of stride 1 with those taps alone, in reverse order.

    Yields those inputs, where the taps of its correlation fall on the upstream gradient, and
    which of the reversed kernel's elements they are.
    """
    common = gcd(taps.stride, taps.dilation)
    step = taps.stride // common
    for phase in range(min(taps.stride, size)):
        shifted = [phase - taps.offset - i * taps.dilation for i in range(min(step, taps.kernel))]
        first = next((i for i, s in enumerate(shifted) if s % taps.stride == 0), None)
        if first is None:
            continue  # no tap reads these inputs
        kernel = (taps.kernel - 1 - first) // step + 1
        dilation = taps.dilation // common
        offset = shifted[first] // taps.stride - (kernel - 1) * dilation
        out = (size - 1 - phase) // taps.stride + 1
        reversed_last = taps.kernel - 1 - first
        chosen = slice(reversed_last - (kernel - 1) * step, reversed_last + 1, step)
        yield slice(phase, None, taps.stride), Taps(out, kernel, 1, dilation, offset), chosen
