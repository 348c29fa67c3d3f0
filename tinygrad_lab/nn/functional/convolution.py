"""Convolutions as users call them: checked, and with the defaults filled in.

Not for: the arithmetic (``kernels/conv.py``), or layers (``layers/convolution.py``).
"""

from __future__ import annotations

from typing import Any, Literal

from tinygrad_lab.nn.arguments import takes_arrays
from tinygrad_lab.nn.cautions import expect_one_precision
from tinygrad_lab.nn.functional.images import AXES, of_batch, of_rank
from tinygrad_lab.nn.kernels import conv
from tinygrad_lab.nn.kernels.windows import Array, sizes

__all__ = [
    "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d",
]  # fmt: skip

Size = int | tuple[int, ...]
Padding = Size | Literal["valid", "same"]
Margins = tuple[tuple[int, int], ...]


@takes_arrays
def conv1d(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Array:
    """Cross-correlate signals ``(N, C, L)`` with filters ``(O, C / groups, k)``.

    All else is as in :func:`conv2d`, for one axis.

    Examples
    --------
    >>> import numpy as np
    >>> signal, differences = np.array([[[0.0, 1.0, 4.0, 9.0]]]), np.array([[[-1.0, 1.0]]])
    >>> conv1d(signal, differences)
    array([[[1., 3., 5.]]])
    """
    return _convolved(1, input, weight, bias, stride, padding, dilation, groups)


@takes_arrays
def conv2d(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Size = 1,
    padding: Padding = 0,
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
    return _convolved(2, input, weight, bias, stride, padding, dilation, groups)


@takes_arrays
def conv3d(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Array:
    """Cross-correlate volumes ``(N, C, D, H, W)`` with filters ``(O, C / groups, kd, kh, kw)``.

    All else is as in :func:`conv2d`, for three axes.

    Examples
    --------
    >>> import numpy as np
    >>> conv3d(np.ones((1, 1, 3, 3, 3)), np.ones((1, 1, 2, 2, 2))).shape
    (1, 1, 2, 2, 2)
    """
    return _convolved(3, input, weight, bias, stride, padding, dilation, groups)


@takes_arrays
def conv_transpose1d(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
) -> Array:
    """Transposed convolution of signals ``(N, C, L)`` with filters ``(C, O / groups, k)``.

    All else is as in :func:`conv_transpose2d`, for one axis.

    Examples
    --------
    >>> import numpy as np
    >>> conv_transpose1d(np.array([[[1.0, 2.0]]]), np.array([[[1.0, 10.0, 100.0]]]), stride=2)
    array([[[  1.,  10., 102.,  20., 200.]]])
    """
    return _transposed(
        1, input, weight, bias, stride, padding, output_padding, groups, dilation
    )  # fmt: skip


@takes_arrays
def conv_transpose2d(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
) -> Array:
    """Lay a filter down at each element of an image, times the element, and add up.

    That is the transpose of the matrix of a convolution: the gradient of :func:`conv2d` by its
    input, as a function of its own.  With a stride it makes images larger.

    Parameters
    ----------
    input : array, shape (N, C, H, W) or (C, H, W)
    weight : array, shape (C, O / groups, kh, kw)
    bias : array, shape (O,), optional
    stride, dilation : int or (int, int)
        Steps between the places of a filter, and between its elements.
    padding : int or (int, int)
        How much the result loses on each side: the padding of the convolution.
    output_padding : int or (int, int)
        How much longer the result is at the end: several sizes have a convolution of the same.
    groups : int
        Number of groups of channels, each with filters of its own.

    Returns
    -------
    array, shape (N, O, Ho, Wo)
        ``Ho = (H - 1) * stride - 2 * padding + dilation * (kh - 1) + output_padding + 1``, and
        ``Wo`` likewise.

    Raises
    ------
    ValueError
        Shapes or settings do not fit; the text names them.

    Examples
    --------
    >>> import numpy as np
    >>> image, filters = np.array([[[[1.0, 2.0], [3.0, 4.0]]]]), np.ones((1, 1, 2, 2))
    >>> conv_transpose2d(image, filters, stride=2)[0, 0]
    array([[1., 1., 2., 2.],
           [1., 1., 2., 2.],
           [3., 3., 4., 4.],
           [3., 3., 4., 4.]])
    """
    return _transposed(
        2, input, weight, bias, stride, padding, output_padding, groups, dilation
    )  # fmt: skip


@takes_arrays
def conv_transpose3d(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
) -> Array:
    """Transposed convolution of volumes ``(N, C, D, H, W)``.

    Filters are ``(C, O / groups, kd, kh, kw)``; all else is as in :func:`conv_transpose2d`, for
    three axes.

    Examples
    --------
    >>> import numpy as np
    >>> conv_transpose3d(np.ones((1, 1, 2, 2, 2)), np.ones((1, 1, 2, 2, 2)), stride=2).shape
    (1, 1, 4, 4, 4)
    """
    return _transposed(
        3, input, weight, bias, stride, padding, output_padding, groups, dilation
    )  # fmt: skip


def _convolved(
    ndim: int,
    input: Array,
    weight: Array,
    bias: Array | None,
    stride: Size,
    padding: Padding,
    dilation: Size,
    groups: int,
) -> Array:
    name = f"conv{ndim}d"
    _check_filters(name, ndim, weight, "(O, C / groups, ...)", groups)
    steps = sizes(stride, "stride", 1, ndim)
    spacing = sizes(dilation, "dilation", 1, ndim)
    kernel = weight.shape[2:]
    edges = margins(padding, kernel, steps, spacing)

    def convolved(x: Array) -> Array:
        channels, filters = x.shape[1], weight.shape[0]
        if channels != weight.shape[1] * groups or filters % groups:
            raise ValueError(
                f"{name}: an input of {channels} channels and filters {weight.shape} in {groups} "
                f"group(s): the filters read {weight.shape[1] * groups} channels, and their number "
                "must be a multiple of the groups"
            )
        _check_bias(name, bias, filters)
        spans = tuple(d * (k - 1) + 1 for k, d in zip(kernel, spacing, strict=True))
        padded = tuple(n + sum(edge) for n, edge in zip(x.shape[2:], edges, strict=True))
        if any(n < span for n, span in zip(padded, spans, strict=True)):
            raise ValueError(
                f"{name}: a filter that spans {spans} (kernel {kernel}, dilation {spacing}) does "
                f"not fit on an input of shape {x.shape}, which is {padded} with its padding"
            )
        expect_one_precision(x, weight)
        return conv.convolution(
            x, weight, bias, stride=steps, padding=edges, dilation=spacing, groups=groups
        )

    return of_batch(name, convolved, input, ndim)


def _transposed(
    ndim: int,
    input: Array,
    weight: Array,
    bias: Array | None,
    stride: Size,
    padding: Size,
    output_padding: Size,
    groups: int,
    dilation: Size,
) -> Array:
    name = f"conv_transpose{ndim}d"
    _check_filters(name, ndim, weight, "(C, O / groups, ...)", groups)
    steps = sizes(stride, "stride", 1, ndim)
    spacing = sizes(dilation, "dilation", 1, ndim)
    before = sizes(padding, "padding", 0, ndim)
    more = sizes(output_padding, "output_padding", 0, ndim)
    if any(m >= max(s, d) for m, s, d in zip(more, steps, spacing, strict=True)):
        raise ValueError(
            f"{name}: output_padding={more} must be less than the stride {steps} or the dilation "
            f"{spacing}: what lies farther out no filter reaches"
        )
    edges = tuple((p, p - m) for p, m in zip(before, more, strict=True))

    def transposed(x: Array) -> Array:
        channels, filters = x.shape[1], weight.shape[1] * groups
        if channels != weight.shape[0] or channels % groups:
            raise ValueError(
                f"{name}: an input of {channels} channels and filters {weight.shape} in {groups} "
                f"group(s): the filters take {weight.shape[0]} channels, a multiple of the groups"
            )
        _check_bias(name, bias, filters)
        size = tuple(
            (n - 1) * s - sum(edge) + d * (k - 1) + 1
            for n, s, edge, d, k in zip(
                x.shape[2:], steps, edges, spacing, weight.shape[2:], strict=True
            )
        )
        if min(size) < 1:
            raise ValueError(
                f"{name}: of an input of shape {x.shape} nothing would be left, with filters "
                f"{weight.shape}, stride {steps} and padding {before}: a result of size {size}"
            )
        expect_one_precision(x, weight)
        y = conv.convolution_input_gradient(
            x, weight, size=size, stride=steps, padding=edges, dilation=spacing, groups=groups
        )
        return y if bias is None else y + bias.reshape((filters, *(1,) * ndim))

    return of_batch(name, transposed, input, ndim)


def _check_filters(name: str, ndim: int, weight: Array, layout: str, groups: int) -> None:
    if weight.ndim != ndim + 2:
        layout = layout.replace("...", AXES[ndim].replace("L", "k"))
        raise ValueError(
            f"{name} takes {of_rank(ndim)} and filters of {ndim + 2} axes, {layout}, not filters "
            f"of shape {weight.shape}"
        )
    if groups < 1:
        raise ValueError(f"{name}: groups={groups}: expected an integer of 1 or more")
    if 0 in weight.shape[2:]:
        raise ValueError(f"{name}: a filter without elements: weight {weight.shape}")


def _check_bias(name: str, bias: Array | None, filters: int) -> None:
    if bias is not None and bias.shape != (filters,):
        raise ValueError(
            f"{name}: bias {bias.shape} for {filters} filters: expected shape ({filters},)"
        )


def margins(
    padding: Any, kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...]
) -> Margins:
    """Zeros before and after an image, along each axis, from what convolutions take."""
    if padding == "same":
        if any(step != 1 for step in stride):
            raise ValueError(f"padding='same' needs stride 1, not {stride}")
        extra = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        return tuple((n // 2, n - n // 2) for n in extra)
    if isinstance(padding, str) and padding != "valid":
        raise ValueError(f"padding={padding!r}: expected 'same', 'valid' or numbers")
    amounts = sizes(0 if padding == "valid" else padding, "padding", 0, len(kernel))
    return tuple((n, n) for n in amounts)
