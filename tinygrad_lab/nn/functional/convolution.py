"""Convolutions as users call them: checked, and with the defaults filled in.

Not for: the arithmetic (``kernels/conv.py``), or layers (``layers/convolution.py``).
"""

from __future__ import annotations

from typing import Any, Literal, cast

from tinygrad_lab.nn.arguments import takes_arrays
from tinygrad_lab.nn.cautions import expect_one_precision
from tinygrad_lab.nn.kernels import conv
from tinygrad_lab.nn.kernels.windows import Array, pair

__all__ = ["conv2d"]

Size = int | tuple[int, int]


@takes_arrays
def conv2d(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Size = 1,
    padding: Size | Literal["valid", "same"] = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Array:
    """Cross-correlate images with filters: what neural networks call convolution.

    Parameters
    ----------
    input : array, shape (N, C, H, W) or (C, H, W)
    weight : array, shape (O, C / groups, kh, kw)
    bias : array, shape (O,), optional
    stride, dilation : int or (int, int)
        Steps of the window, and between the elements of a filter, down and across.
    padding : int, (int, int), "valid" or "same"
        Zeros around the image; "valid" is none, "same" keeps its size (with stride 1).
    groups : int
        Number of groups of channels; a filter reads the channels of one group.

    Returns
    -------
    array, shape (N, O, Ho, Wo)
        ``Ho = (H + 2 * padding - dilation * (kh - 1) - 1) // stride + 1``, and ``Wo`` likewise.

    Raises
    ------
    ValueError
        Shapes or settings do not fit; the text names them.

    Examples
    --------
    >>> import numpy as np
    >>> image, filters = np.ones((1, 1, 4, 4)), np.ones((1, 1, 3, 3))
    >>> conv2d(image, filters, padding="same")[0, 0]
    array([[4., 6., 6., 4.],
           [6., 9., 9., 6.],
           [6., 9., 9., 6.],
           [4., 6., 6., 4.]])
    """
    if input.ndim == 3:
        batch = input.reshape((1, *input.shape))
        y = conv2d(batch, weight, bias, stride, padding, dilation, groups)
        return y.reshape(y.shape[1:])
    _check_filters(input, weight, bias, groups)
    steps, spacing = pair(stride, "stride", 1), pair(dilation, "dilation", 1)
    kernel = cast("tuple[int, int]", weight.shape[2:])
    edges = margins(padding, kernel, steps, spacing)
    for name, n, k, margin, d in zip(
        ("high", "wide"), input.shape[2:], kernel, edges, spacing, strict=True
    ):
        if n + sum(margin) < d * (k - 1) + 1:
            raise ValueError(
                f"a filter {d * (k - 1) + 1} {name} (kernel {kernel}, dilation {spacing}) does not "
                f"fit on an image of shape {input.shape} with padding {edges}"
            )
    return conv.conv2d(
        input, weight, bias, stride=steps, padding=edges, dilation=spacing, groups=groups
    )


def _check_filters(input: Array, weight: Array, bias: Array | None, groups: int) -> None:
    if input.ndim != 4 or weight.ndim != 4:
        raise ValueError(
            f"conv2d takes images (N, C, H, W) and filters (O, C / groups, kh, kw), not "
            f"{input.shape} and {weight.shape}"
        )
    if groups < 1:
        raise ValueError(f"groups={groups}: expected an integer of 1 or more")
    channels, filters = input.shape[1], weight.shape[0]
    if channels != weight.shape[1] * groups or filters % groups:
        raise ValueError(
            f"an image of {channels} channels and filters {weight.shape} in {groups} group(s): "
            f"the filters read {weight.shape[1] * groups} channels, and their number must be a "
            "multiple of the groups"
        )
    expect_one_precision(input, weight)
    if 0 in weight.shape[2:]:
        raise ValueError(f"a filter without elements: weight {weight.shape}")
    if bias is not None and bias.shape != (filters,):
        raise ValueError(f"bias {bias.shape} for {filters} filters")


def margins(
    padding: Any, kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Zeros before and after the image, for rows and columns, from what ``conv2d`` takes."""
    if padding == "same":
        if stride != (1, 1):
            raise ValueError(f"padding='same' needs stride 1, not {stride}")
        extra = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        return (extra[0] // 2, extra[0] - extra[0] // 2), (extra[1] // 2, extra[1] - extra[1] // 2)
    if isinstance(padding, str) and padding != "valid":
        raise ValueError(f"padding={padding!r}: expected 'same', 'valid' or numbers")
    down, across = (0, 0) if padding == "valid" else pair(padding, "padding", 0)
    return (down, down), (across, across)
