"""Pooling as users call it: checked, and with the defaults filled in.

Not for: the arithmetic (``kernels/pool.py``), or layers (``layers/pooling.py``).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lab.nn.arguments import takes_arrays
from tinygrad_lab.nn.kernels import pool
from tinygrad_lab.nn.kernels.windows import Array, Taps, pair

__all__ = ["avg_pool2d", "max_pool2d"]

Size = int | tuple[int, int]


@takes_arrays
def max_pool2d(
    input: Array,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
) -> Array:
    """The largest element of each window of images ``(N, C, H, W)`` or ``(C, H, W)``.

    ``stride`` is the window's size unless given; ``ceil_mode`` keeps windows that the image's edge
    cuts off.  Elements that tie for the largest share the gradient evenly; the largest of a window
    with NaN in it is NaN, and those share.

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
    if input.ndim == 3:
        batch = input.reshape((1, *input.shape))
        y = max_pool2d(batch, kernel_size, stride, padding, dilation, ceil_mode)
        return y.reshape(y.shape[1:])
    rows, columns = _pooling("max_pool2d", input, kernel_size, stride, padding, dilation, ceil_mode)
    return pool.max_pool2d(input, rows=rows, columns=columns)


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
    if input.ndim == 3:
        batch = input.reshape((1, *input.shape))
        y = avg_pool2d(
            batch, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
        )
        return y.reshape(y.shape[1:])
    rows, columns = _pooling("avg_pool2d", input, kernel_size, stride, padding, 1, ceil_mode)
    if input.dtype.kind not in "fc":
        input = input.astype(float)  # a sum of small integers would overflow
    if divisor_override is not None:
        if divisor_override == 0:
            raise ValueError("divisor_override=0 would divide by zero")
        divisor: Any = divisor_override
    else:
        include = pair(padding, "padding", 0) if count_include_pad else (0, 0)
        counts = [
            _count(taps, size, margin)
            for taps, size, margin in zip((rows, columns), input.shape[2:], include, strict=True)
        ]
        divisor = np.outer(counts[0], counts[1]).astype(input.dtype)
    return pool.avg_pool2d(input, rows=rows, columns=columns, divisor=divisor)


def _count(taps: Taps, size: int, margin: int) -> Any:
    """How many elements of an axis, widened by ``margin``, each window covers."""
    first = np.arange(taps.out) * taps.stride + taps.offset
    last = np.minimum(first + taps.kernel, size + margin)
    return last - np.maximum(first, -margin)


def _pooling(
    name: str,
    input: Array,
    kernel_size: Size,
    stride: Size | None,
    padding: Size,
    dilation: Size,
    ceil_mode: bool,
) -> tuple[Taps, Taps]:
    """Check the settings, and work out where the windows lie."""
    if input.ndim != 4:
        raise ValueError(f"{name} takes images (N, C, H, W) or (C, H, W), not {input.shape}")
    kernel = pair(kernel_size, "kernel_size", 1)
    steps = kernel if stride is None else pair(stride, "stride", 1)
    margins, spacing = pair(padding, "padding", 0), pair(dilation, "dilation", 1)
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
                f"{name}: a window {kernel} with dilation {spacing} does not fit on an image of "
                f"shape {input.shape} with padding {margins}"
            )
        out = room // s + 1
        if ceil_mode and room % s and out * s < n + p:
            out += 1  # its first element still lies on the image or the margin before it
        taps.append(Taps(out, k, s, d, -p))
    return taps[0], taps[1]
