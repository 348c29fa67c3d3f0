"""The patches of an image that a sliding window sees, as columns; and back.

Not for: what is computed from them at once (``convolution.py``, ``pooling.py``).
"""

from __future__ import annotations

from math import prod

from tinygrad_lab.nn.arguments import takes_arrays
from tinygrad_lab.nn.kernels import windows
from tinygrad_lab.nn.kernels.windows import Array, Taps, sizes

__all__ = ["fold", "unfold"]

Size = int | tuple[int, ...]


@takes_arrays
def unfold(
    input: Array, kernel_size: Size, dilation: Size = 1, padding: Size = 0, stride: Size = 1
) -> Array:
    """The patches of images ``(N, C, H, W)`` as columns ``(N, C * kh * kw, patches)``.

    Also of one image ``(C, H, W)``.  Patches come row by row, and so do the elements of each.

    Raises
    ------
    ValueError
        Settings do not fit; the text names them.

    Examples
    --------
    >>> import numpy as np
    >>> unfold(np.arange(6.0).reshape(1, 2, 3), 2)
    array([[0., 1.],
           [1., 2.],
           [3., 4.],
           [4., 5.]])
    """
    if input.ndim == 3:
        columns = unfold(input.reshape((1, *input.shape)), kernel_size, dilation, padding, stride)
        return columns.reshape(columns.shape[1:])
    if input.ndim != 4:
        raise ValueError(f"unfold takes images (N, C, H, W) or (C, H, W), not {input.shape}")
    taps = _taps("unfold", input.shape[2:], kernel_size, dilation, padding, stride)
    return windows.unfold(input, 1, taps)[:, 0]


@takes_arrays
def fold(
    input: Array,
    output_size: Size,
    kernel_size: Size,
    dilation: Size = 1,
    padding: Size = 0,
    stride: Size = 1,
) -> Array:
    """Add columns ``(N, C * kh * kw, patches)`` up to images ``(N, C, *output_size)``.

    Each element goes where :func:`unfold` takes it from: that one's transpose, not its inverse,
    because what several patches see is added.  Also for columns without the first axis.

    Raises
    ------
    ValueError
        Settings or shapes do not fit; the text names them.

    Examples
    --------
    >>> import numpy as np
    >>> fold(np.ones((1, 4, 2)), (2, 3), 2)
    array([[[[1., 2., 1.],
             [1., 2., 1.]]]])
    """
    if input.ndim == 2:
        batch = input.reshape((1, *input.shape))
        images = fold(batch, output_size, kernel_size, dilation, padding, stride)
        return images.reshape(images.shape[1:])
    size = sizes(output_size, "output_size", 1, 2)
    taps = _taps("fold", size, kernel_size, dilation, padding, stride)
    kernel, outputs = prod(t.kernel for t in taps), tuple(t.out for t in taps)
    if input.ndim != 3 or input.shape[1] % kernel or input.shape[2] != prod(outputs):
        raise ValueError(
            f"fold: columns of shape {input.shape} for images of {size}: expected "
            f"(N, C * {kernel}, {prod(outputs)}): kernels, and {outputs} patches"
        )
    n, c = input.shape[0], input.shape[1] // kernel
    pieces = input.reshape((n, c, kernel, *outputs))
    return windows.fold((pieces[:, :, i] for i in range(kernel)), size, taps)


def _taps(
    name: str, size: Size, kernel_size: Size, dilation: Size, padding: Size, stride: Size
) -> tuple[Taps, ...]:
    settings = (
        sizes(kernel_size, "kernel_size", 1, 2), sizes(stride, "stride", 1, 2),
        sizes(dilation, "dilation", 1, 2), sizes(padding, "padding", 0, 2),
    )  # fmt: skip
    taps = tuple(
        Taps((n + 2 * p - d * (k - 1) - 1) // s + 1, k, s, d, -p)
        for n, k, s, d, p in zip(sizes(size, "size", 0, 2), *settings, strict=True)
    )
    if any(t.out < 1 for t in taps):
        raise ValueError(
            f"{name}: a window of {settings[0]} with dilation {settings[2]} does not fit on an "
            f"image of {size} with padding {settings[3]}"
        )
    return taps
