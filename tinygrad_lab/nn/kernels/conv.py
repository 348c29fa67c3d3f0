"""Convolution over any number of axes, as three bilinear primitives, each other's derivatives.

With ``convolution(x, w)``, the gradient by the input ``convolution_input_gradient(g, w)`` and the
gradient by the weight ``convolution_weight_gradient(g, x)``, each of the three is linear in both of
its arguments, and its derivatives are the other two: every order is closed.  The gradient by the
input is also what is called a transposed convolution.

NumPy's images are brought to two axes, for which there are kernels (``planes.py``): a signal is an
image of one row, and the depth of a volume goes into the batch, its taps into the channels.  Arrays
that are not NumPy's (Dask, CuPy) take slices, a stack and a matrix product instead.

Not for: what users call, which checks and fills in defaults (``functional/``).
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from tinygrad_lab.core.operations import defvjp, primitive, together, vjps_of
from tinygrad_lab.nn.kernels import planes
from tinygrad_lab.nn.kernels.planes import Job
from tinygrad_lab.nn.kernels.windows import (
    Array,
    NDArray,
    Taps,
    Windows,
    fold,
    is_numpy,
    spread,
    taps_along,
    unfold,
)

__all__ = ["convolution", "convolution_input_gradient", "convolution_weight_gradient"]

Sizes = tuple[int, ...]
Margins = tuple[tuple[int, int], ...]


@primitive
def convolution(
    x: Array,
    w: Array,
    bias: Array | None,
    *,
    stride: Sizes,
    padding: Margins,
    dilation: Sizes,
    groups: int,
) -> Array:
    """Cross-correlate images ``(N, C, *size)`` with filters ``(O, C / groups, *kernel)``."""
    windows = _windows(x.shape[2:], w.shape[2:], stride, padding, dilation)
    offset = None if bias is None else bias.reshape((-1, *(1,) * len(windows)))
    if not is_numpy(x, w):
        y = _convolved_anywhere(x, w, windows, groups)
        return y if offset is None else y + offset
    n, x, w = len(x), _unfolded_depth(x, windows), _flat_filters(w)
    (y,) = planes.done(planes.convolved(x, w, _two(windows), groups))
    y = _raised(y, n, windows)
    if offset is None:
        return y
    return np.add(y, offset, out=y if np.result_type(y, offset) == y.dtype else None)


@primitive
def convolution_input_gradient(
    g: Array,
    w: Array,
    *,
    size: Sizes,
    stride: Sizes,
    padding: Margins,
    dilation: Sizes,
    groups: int,
) -> Array:
    """Gradient ``(N, C, *size)`` of a convolution by its input, from ``g`` ``(N, O, *outputs)``."""
    windows = _windows(size, w.shape[2:], stride, padding, dilation)
    if not is_numpy(g, w):
        return _input_gradient_anywhere(g, w, size, windows, groups)
    return planes.done(_input_gradient(g, w, size, windows, groups))[0]


@primitive
def convolution_weight_gradient(
    g: Array,
    x: Array,
    *,
    kernel: Sizes,
    stride: Sizes,
    padding: Margins,
    dilation: Sizes,
    groups: int,
) -> Array:
    """Gradient ``(O, C / groups, *kernel)`` of a convolution by its weight."""
    windows = _windows(x.shape[2:], kernel, stride, padding, dilation)
    if not is_numpy(g, x):
        shape = (g.shape[1], x.shape[1] // max(1, groups), *kernel)
        return _weight_gradient_anywhere(g, x, windows, groups).reshape(shape)
    return planes.done(_weight_gradient(g, x, kernel, windows, groups))[0]


defvjp(
    convolution,
    lambda g, y, x, w, bias, **how: convolution_input_gradient(g, w, size=x.shape[2:], **how),
    lambda g, y, x, w, bias, **how: convolution_weight_gradient(g, x, kernel=w.shape[2:], **how),
    lambda g, y, x, w, bias, **how: g.sum(axis=(0, *range(2, g.ndim))),
)


def _gradients(
    argnums: list[int],
    g: Array,
    y: Array,
    x: Array,
    w: Array,
    bias: Array,
    *,
    groups: int,
    **how: Any,
) -> list[Array]:
    """Compute the gradients by several arguments: of the same images, one after the other."""
    if not is_numpy(g, x, w):
        return [RULES[argnum](g, y, x, w, bias, groups=groups, **how) for argnum in argnums]
    windows = _windows(x.shape[2:], w.shape[2:], **how)
    jobs = (
        lambda: _input_gradient(g, w, x.shape[2:], windows, groups),
        lambda: _weight_gradient(g, x, w.shape[2:], windows, groups),
        lambda: planes.bias_gradient(_one_image_each(g, windows)),
    )
    return planes.done(*(jobs[argnum]() for argnum in argnums))


RULES = vjps_of(convolution)
together(convolution, _gradients)
defvjp(
    convolution_input_gradient,
    lambda u, y, g, w, size, **how: convolution(u, w, None, **how),
    lambda u, y, g, w, size, **how: convolution_weight_gradient(g, u, kernel=w.shape[2:], **how),
)
defvjp(
    convolution_weight_gradient,
    lambda u, y, g, x, kernel, **how: convolution(x, u, None, **how),
    lambda u, y, g, x, kernel, **how: convolution_input_gradient(g, u, size=x.shape[2:], **how),
)


def _windows(
    size: Sizes, kernel: Sizes, stride: Sizes, padding: Margins, dilation: Sizes
) -> Windows:
    return tuple(
        Taps((n + before + after - d * (k - 1) - 1) // s + 1, k, s, d, -before)
        for n, k, s, (before, after), d in zip(size, kernel, stride, padding, dilation, strict=True)
    )


# -- NumPy: images of one or three axes as such of two ----------------------------------------

_ONE_ROW = Taps(1, 1, 1, 1, 0)


def _two(windows: Windows) -> tuple[Taps, Taps]:
    """The windows along the last two axes."""
    rows, columns = (_ONE_ROW, *windows)[-2:]
    return rows, columns


def _input_gradient(g: NDArray, w: NDArray, size: Sizes, windows: Windows, groups: int) -> Job:
    g, (high, wide) = _one_image_each(g, windows), (1, *size)[-2:]
    job = planes.input_gradient(g, _flat_filters(w), (high, wide), _two(windows), groups)

    def whole(parts: list[Any]) -> NDArray:
        dx = job.whole(parts)
        if len(windows) < 3:
            return dx if len(windows) == 2 else dx[:, :, 0]
        depth = windows[0]
        n, c = len(dx) // depth.out, dx.shape[1] // depth.kernel
        dx = dx.reshape(n, depth.out, c, depth.kernel, *size[1:])
        return fold(np.moveaxis(dx, (3, 1), (0, 3)), size[:1], windows[:1])

    return job._replace(whole=whole)


def _weight_gradient(g: NDArray, x: NDArray, kernel: Sizes, windows: Windows, groups: int) -> Job:
    shape = (g.shape[1], x.shape[1] // max(1, groups), *kernel)
    g, x = _one_image_each(g, windows), _unfolded_depth(x, windows)
    job = planes.weight_gradient(g, x, _two(windows), groups)
    return job._replace(whole=lambda parts: job.whole(parts).reshape(shape))


def _unfolded_depth(x: NDArray, windows: Windows) -> NDArray:
    """For each output along the depth an image, and for each tap of a channel there a channel."""
    if len(windows) < 3:
        return x if len(windows) == 2 else x[:, :, None]
    views = [np.moveaxis(view, 2, 1) for view in taps_along(x, 2, windows[0])]
    unfolded = np.stack(views, axis=3)
    n, outputs, c, taps, high, wide = unfolded.shape
    return unfolded.reshape(n * outputs, c * taps, high, wide)


def _flat_filters(w: NDArray) -> NDArray:
    if w.ndim < 5:
        return w if w.ndim == 4 else w[:, :, None]
    o, c, depth, high, wide = w.shape
    return w.reshape(o, c * depth, high, wide)


def _one_image_each(g: NDArray, windows: Windows) -> NDArray:
    """For each output along the depth an image."""
    if len(windows) < 3:
        return g if len(windows) == 2 else g[:, :, None]
    n, o, depth, high, wide = g.shape
    return np.moveaxis(g, 2, 1).reshape(n * depth, o, high, wide)


def _raised(y: NDArray, n: int, windows: Windows) -> NDArray:
    """Undo :func:`_one_image_each`."""
    if len(windows) < 3:
        return y if len(windows) == 2 else y[:, :, 0]
    return np.moveaxis(y.reshape(n, windows[0].out, *y.shape[1:]), 1, 2)


# -- any other kind of array ------------------------------------------------------------------


def _convolved_anywhere(x: Array, w: Array, windows: Windows, groups: int) -> Array:
    n, o, length = x.shape[0], w.shape[0], prod(w.shape[1:])
    filters = w.reshape((o, length)).reshape((groups, o // groups, length))
    y = np.matmul(filters, unfold(x, groups, windows))
    outputs = tuple(taps.out for taps in windows)
    return y.reshape((n, o, prod(outputs))).reshape((n, o, *outputs))


def _input_gradient_anywhere(
    g: Array, w: Array, size: Sizes, windows: Windows, groups: int
) -> Array:
    for axis, taps in enumerate(windows, 2):
        g = spread(g, axis, taps.stride)
    dense = tuple(
        Taps(n, t.kernel, 1, t.dilation, -t.offset - (t.kernel - 1) * t.dilation)
        for n, t in zip(size, windows, strict=True)
    )
    return _convolved_anywhere(g, planes.turned(w, groups), dense, groups)


def _weight_gradient_anywhere(g: Array, x: Array, windows: Windows, groups: int) -> Array:
    n, o = g.shape[:2]
    outputs = prod(taps.out for taps in windows)
    upstream = g.reshape((n, o, outputs)).reshape((n, groups, o // groups, outputs))
    gradient = np.matmul(upstream, np.swapaxes(unfold(x, groups, windows), 2, 3)).sum(axis=0)
    return gradient.reshape((o, gradient.shape[2]))
