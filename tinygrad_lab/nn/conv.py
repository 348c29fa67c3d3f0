"""Convolution, as three bilinear primitives that are each other's derivatives.

With ``conv2d(x, w)``, the gradient by the input ``conv2d_input_gradient(g, w)`` and the gradient by
the weight ``conv2d_weight_gradient(g, x)``, each of the three is linear in both of its arguments,
and its derivatives are the other two: every order is closed, and each has a kernel of its own.

The NumPy kernels unfold images into columns by copying one slice per tap *of a kernel row* only.
The columns are stored image row by image row, so the columns of ``k`` neighbouring rows follow one
another in memory: the matrix that belongs to one row of outputs is a view that overlaps with
the next row's, and one ``np.matmul`` over all of those views is the convolution.  That is a
``k``-th of the memory traffic of im2col.  Work is cut into blocks whose columns stay in the L2
cache.  Arrays that are not NumPy's (Dask, CuPy) take slices, a stack and a matrix product instead.

Not for: what users call, which checks and fills in defaults (``functional.py``).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from math import gcd, prod
from typing import Any

import numpy as np

from tinygrad_lab.core.operations import defvjp, primitive
from tinygrad_lab.nn.windows import Array, NDArray, Taps, is_numpy, spread, unfold

__all__ = ["conv2d", "conv2d_input_gradient", "conv2d_weight_gradient"]

Pair = tuple[int, int]

# Bytes of unfolded columns to work on at once, chosen on a processor with 1 MB of L2 cache a core.
# A matrix product packs its operands there too, and packs more where its inner axis is long.
FORWARD_BLOCK = 1 << 19
WEIGHT_BLOCK = 1 << 18
# A product with fewer columns than this does not reach the speed of BLAS.
FEWEST_COLUMNS = 128


@primitive
def conv2d(
    x: Array,
    w: Array,
    bias: Array | None,
    *,
    stride: Pair,
    padding: tuple[Pair, Pair],
    dilation: Pair,
    groups: int,
) -> Array:
    """Cross-correlate images ``(N, C, H, W)`` with filters ``(O, C / groups, kh, kw)``."""
    rows, columns = _taps(x.shape[2:], w.shape[2:], stride, padding, dilation)
    if not is_numpy(x, w):
        y = _correlate_anywhere(x, w, rows, columns, groups)
        return y if bias is None else y + bias.reshape((-1, 1, 1))
    dtype = np.result_type(x, w) if bias is None else np.result_type(x, w, bias)
    y = np.empty((x.shape[0], w.shape[0], rows.out, columns.out), dtype)
    _correlate(x, w, rows, columns, groups, y, bias)
    return y


@primitive
def conv2d_input_gradient(
    g: Array,
    w: Array,
    *,
    size: Pair,
    stride: Pair,
    padding: tuple[Pair, Pair],
    dilation: Pair,
    groups: int,
) -> Array:
    """Gradient ``(N, C, *size)`` of a convolution by its input, from ``g`` ``(N, O, Ho, Wo)``."""
    rows, columns = _taps(size, w.shape[2:], stride, padding, dilation)
    if not is_numpy(g, w):
        return _input_gradient_anywhere(g, w, size, rows, columns, groups)
    turned = _turn(w, groups)
    dx = np.zeros((g.shape[0], turned.shape[0], *size), np.result_type(g, w))
    for row_phase, row_taps, some_rows in _phases(rows, size[0]):
        for column_phase, column_taps, some_columns in _phases(columns, size[1]):
            filters = turned[:, :, some_rows, some_columns]
            out = dx[:, :, row_phase :: stride[0], column_phase :: stride[1]]
            _correlate(g, filters, row_taps, column_taps, groups, out)
    return dx


@primitive
def conv2d_weight_gradient(
    g: Array,
    x: Array,
    *,
    kernel: Pair,
    stride: Pair,
    padding: tuple[Pair, Pair],
    dilation: Pair,
    groups: int,
) -> Array:
    """Gradient ``(O, C / groups, *kernel)`` of a convolution by its weight."""
    rows, columns = _taps(x.shape[2:], kernel, stride, padding, dilation)
    if is_numpy(g, x):
        return _weight_gradient(g, x, rows, columns, groups)
    return _weight_gradient_anywhere(g, x, rows, columns, groups)


defvjp(
    conv2d,
    lambda g, y, x, w, bias, **how: conv2d_input_gradient(g, w, size=x.shape[2:], **how),
    lambda g, y, x, w, bias, **how: conv2d_weight_gradient(g, x, kernel=w.shape[2:], **how),
    lambda g, y, x, w, bias, **how: g.sum(axis=(0, 2, 3)),
)
defvjp(
    conv2d_input_gradient,
    lambda u, y, g, w, size, **how: conv2d(u, w, None, **how),
    lambda u, y, g, w, size, **how: conv2d_weight_gradient(g, u, kernel=w.shape[2:], **how),
)
defvjp(
    conv2d_weight_gradient,
    lambda u, y, g, x, kernel, **how: conv2d(x, u, None, **how),
    lambda u, y, g, x, kernel, **how: conv2d_input_gradient(g, u, size=x.shape[2:], **how),
)


def _taps(
    size: Pair, kernel: Pair, stride: Pair, padding: tuple[Pair, Pair], dilation: Pair
) -> tuple[Taps, Taps]:
    rows, columns = (
        Taps((n + before + after - d * (k - 1) - 1) // s + 1, k, s, d, -before)
        for n, k, s, (before, after), d in zip(size, kernel, stride, padding, dilation, strict=True)
    )
    return rows, columns


def _turn(w: Array, groups: int) -> Array:
    """Return the filters of the adjoint: inputs and outputs exchanged, both image axes reversed."""
    o, c, kh, kw = w.shape
    turned = np.swapaxes(w.reshape((groups, o // groups, c, kh, kw)), 1, 2)
    return turned.reshape((groups * c, o // groups, kh, kw))[:, :, ::-1, ::-1]


class _Scratch(threading.local):
    """Memory that a thread keeps between convolutions.

    Fresh memory costs more than the copy into it, because the system zeroes it page by page.
    """

    largest = 4 << 20  # bytes; more than that is not worth keeping

    def __init__(self) -> None:
        self._memory: dict[int, NDArray] = {}

    def take(self, slot: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray:
        """Return an uninitialised array, in the memory that ``slot`` used before."""
        needed = prod(shape) * dtype.itemsize
        if needed > self.largest:
            return np.empty(shape, dtype)
        memory = self._memory.get(slot)
        if memory is None or memory.nbytes < needed:
            memory = self._memory[slot] = np.empty(needed, np.uint8)
        return np.ndarray(shape, dtype, memory)


_SCRATCH = _Scratch()


# -- NumPy ------------------------------------------------------------------------------------


def _correlate(
    x: NDArray,
    w: NDArray,
    rows: Taps,
    columns: Taps,
    groups: int,
    out: NDArray,
    bias: NDArray | None = None,
) -> None:
    """Write ``sum over taps of w[o, c, i, j] * x[n, c, rows(t, i), columns(u, j)]`` to ``out``."""
    o, c, kh, kw = w.shape
    og = o // groups
    filters = w.reshape(groups, 1, og, c, kh, kw).transpose(0, 1, 2, 4, 5, 3)
    filters = filters.reshape(groups, 1, og, kh * kw * c)
    # Neighbouring rows of outputs share rows of columns, unless the taps skip some.
    shared = rows.dilation == 1 and rows.stride < kh
    images = _grouped(x, groups)
    results = _grouped(out, groups)
    by_channel = None if bias is None else bias.reshape(groups, 1, og, 1, 1)
    columns_of_row = groups * kw * c * columns.out * x.itemsize
    unfolded: NDArray = np.empty(0, x.dtype)
    product = unfolded
    lines_of_row = rows.stride if shared else kh
    per_row = columns_of_row * lines_of_row
    fewest = -(-FEWEST_COLUMNS // columns.out)
    for block, part, taps in _blocks(x, rows, per_row, FORWARD_BLOCK, fewest):
        m = block.stop - block.start
        lines = (taps.out - 1) * taps.stride + kh if shared else taps.out * kh
        shape = (groups, lines, kw, c, m, columns.out)
        if unfolded.shape != shape:
            unfolded = _SCRATCH.take(0, shape, x.dtype)
            unfolded.fill(0)
            product = _SCRATCH.take(1, (groups, taps.out, og, m * columns.out), out.dtype)
        some = images[:, :, :, block]
        if shared:
            _copy_taps(unfolded, some, Taps(lines, 1, 1, 1, taps.offset), 0, columns)
        else:
            for i in range(kh):
                _copy_taps(unfolded[:, i::kh], some, taps, i, columns)
        np.matmul(filters, _windows(unfolded, taps, kh, shared), out=product)
        block_of_y = product.reshape(groups, taps.out, og, m, columns.out)
        if by_channel is None:
            results[:, part, :, block] = block_of_y
        else:
            np.add(block_of_y, by_channel, out=results[:, part, :, block])


def _weight_gradient(g: NDArray, x: NDArray, rows: Taps, columns: Taps, groups: int) -> NDArray:
    """Sum over images and outputs of the outer products of ``g`` and what each tap read."""
    o, c = g.shape[1] // groups, x.shape[1] // groups
    kh, kw = rows.kernel, columns.kernel
    gradient = np.zeros((groups, kh, o, kw * c), np.result_type(g, x))
    images, upstream = _grouped(x, groups), _grouped(g, groups)
    shared = rows.stride == 1
    per_row = groups * kw * c * columns.out * x.itemsize
    unfolded: NDArray = np.empty(0, x.dtype)
    fewest = -(-FEWEST_COLUMNS // (rows.out * columns.out))
    for block, part, taps in _blocks(x, rows, per_row, WEIGHT_BLOCK, fewest):
        m = block.stop - block.start
        lines = taps.out + (kh - 1) * taps.dilation if shared else taps.out
        shape = (groups, kw, c, lines, m, columns.out)
        if unfolded.shape != shape:
            unfolded = _SCRATCH.take(0, shape, x.dtype)
            unfolded.fill(0)
        by_line = unfolded.transpose(0, 3, 1, 2, 4, 5)
        matrix = unfolded.reshape(groups, kw * c, -1)
        some = images[:, :, :, block]
        g_matrix = np.ascontiguousarray(upstream[:, part, :, block].swapaxes(1, 2))
        g_matrix = g_matrix.reshape(groups, o, -1)
        if shared:
            _copy_taps(by_line, some, Taps(lines, 1, 1, 1, taps.offset), 0, columns)
        for i in range(kh):
            start = i * taps.dilation * m * columns.out if shared else 0
            if not shared:
                _copy_taps(by_line, some, taps, i, columns)
            read = matrix[:, :, start : start + g_matrix.shape[2]]
            gradient[:, i] += g_matrix @ read.swapaxes(1, 2)
    gradient = gradient.reshape(groups, kh, o, kw, c).transpose(0, 2, 4, 1, 3)
    return gradient.reshape(groups * o, c, kh, kw)


def _grouped(x: NDArray, groups: int) -> NDArray:
    """View images ``(N, C, H, W)`` as ``(groups, H, C / groups, N, W)``."""
    n, c, h, w = x.shape
    if groups == 1:
        return x.transpose(2, 1, 0, 3)[None]
    # Splitting one axis never copies, whatever the strides, so writing here writes to x.
    return x.reshape(n, groups, c // groups, h, w).transpose(1, 3, 2, 0, 4)


def _blocks(
    x: NDArray, rows: Taps, bytes_of_row: int, budget: int, fewest: int
) -> Iterator[tuple[slice, slice, Taps]]:
    """Cut the work into images, and output rows of large images, whose columns fit in ``budget``.

    Yields the images, the rows of outputs, and where the taps of those rows fall.
    """
    n = x.shape[0]
    images = max(fewest, budget // max(1, bytes_of_row * (rows.out + rows.kernel)))
    images = max(1, min(n, images))
    # Neighbouring pieces both unfold the rows where they meet, so the pieces are made much taller.
    tall = max(8 * rows.kernel, budget // max(1, bytes_of_row * images))
    for first in range(0, rows.out, tall):
        last = min(rows.out, first + tall)
        taps = rows._replace(out=last - first, offset=rows.offset + first * rows.stride)
        for start in range(0, n, images):
            yield slice(start, min(n, start + images)), slice(first, last), taps


def _copy_taps(to: NDArray, images: NDArray, rows: Taps, i: int, columns: Taps) -> None:
    """Copy what tap row ``i`` reads from ``(G, H, C, N, W)`` to ``(G, lines, kw, C, N, Wo)``.

    Columns that lie outside are never written: whoever allocates ``to`` fills it with zeros.
    """
    lines, read_lines = rows.inside(i, images.shape[1])
    to[:, : lines.start] = 0
    to[:, lines.stop :] = 0
    for j in range(columns.kernel):
        out, read = columns.inside(j, images.shape[4])
        to[:, lines, j, :, :, out] = images[:, read_lines, :, :, read]


def _windows(unfolded: NDArray, rows: Taps, kh: int, shared: bool) -> NDArray:
    """For each row of outputs, the matrix ``(kh * kw * C, N * Wo)`` of what its taps read."""
    groups, _, kw, c, n, width = unfolded.shape
    shape = (groups, rows.out, kh * kw * c, n * width)
    if not shared:
        return unfolded.reshape(shape)
    by_group, by_line = unfolded.strides[:2]
    item = unfolded.itemsize
    strides = (by_group, by_line * rows.stride, n * width * item, item)
    return np.ndarray(shape, unfolded.dtype, unfolded, 0, strides)  # as_strided takes 10 µs


def _phases(taps: Taps, size: int) -> Iterator[tuple[int, Taps, slice]]:
    """Split the adjoint of a strided axis into dense ones.

    Inputs with one remainder modulo the stride were read by every (stride / gcd)-th tap, so their
    gradient is a correlation of stride 1 with those taps alone, in reverse order.

    Yields the remainder, where the taps of its correlation fall on the upstream gradient, and
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
        yield phase, Taps(out, kernel, 1, dilation, offset), chosen


# -- any other kind of array ------------------------------------------------------------------


def _correlate_anywhere(x: Array, w: Array, rows: Taps, columns: Taps, groups: int) -> Array:
    n, o = x.shape[0], w.shape[0]
    length = w.shape[1] * rows.kernel * columns.kernel
    filters = w.reshape((o, length)).reshape((groups, o // groups, length))
    y = np.matmul(filters, unfold(x, groups, rows, columns))
    return y.reshape((n, o, rows.out * columns.out)).reshape((n, o, rows.out, columns.out))


def _input_gradient_anywhere(
    g: Array, w: Array, size: Pair, rows: Taps, columns: Taps, groups: int
) -> Array:
    apart = spread(spread(g, 2, rows.stride), 3, columns.stride)
    row_taps, column_taps = (
        Taps(n, t.kernel, 1, t.dilation, -t.offset - (t.kernel - 1) * t.dilation)
        for n, t in zip(size, (rows, columns), strict=True)
    )
    return _correlate_anywhere(apart, _turn(w, groups), row_taps, column_taps, groups)


def _weight_gradient_anywhere(g: Array, x: Array, rows: Taps, columns: Taps, groups: int) -> Array:
    n, o = g.shape[:2]
    outputs = rows.out * columns.out
    upstream = g.reshape((n, o, outputs)).reshape((n, groups, o // groups, outputs))
    unfolded = unfold(x, groups, rows, columns)
    gradient = np.matmul(upstream, np.swapaxes(unfolded, 2, 3)).sum(axis=0)
    gradient = gradient.reshape((o, gradient.shape[2]))
    return gradient.reshape((o, x.shape[1] // groups, rows.kernel, columns.kernel))
