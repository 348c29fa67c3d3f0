"""The functions that layers are made of: PyTorch's names, signatures and memory layouts.

The exceptions are ``axis`` and ``keepdims``, which are NumPy's names.  Each works on Tensors, and
on plain arrays, where it gives plain arrays.  The common ones are methods of
:class:`~tinygrad_lab.Tensor` too: ``x.relu()``, ``x.conv2d(w)``.

Not for: the arithmetic itself, which is in ``activations.py``, ``losses.py``, ``conv.py`` and
``pool.py``; nor anything with parameters (``layers.py``).
"""

from __future__ import annotations

import math
from typing import Any, Literal, NoReturn, cast

import numpy as np

from tinygrad_lab.core.engine import recorder
from tinygrad_lab.core.levels import drawing
from tinygrad_lab.core.operations import defvjp, primitive
from tinygrad_lab.core.tensor import methods
from tinygrad_lab.habits import missing
from tinygrad_lab.nn import conv, pool
from tinygrad_lab.nn.activations import (
    elu,
    gelu,
    leaky_relu,
    log_softmax,
    logsumexp,
    relu,
    sigmoid,
    silu,
    softmax,
    softplus,
    tanh,
)
from tinygrad_lab.nn.arguments import takes_arrays
from tinygrad_lab.nn.cautions import expect_one_precision
from tinygrad_lab.nn.losses import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    l1_loss,
    mse_loss,
    nll_loss,
)
from tinygrad_lab.nn.windows import Array, Taps, pair

__all__ = [
    "avg_pool2d",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "conv2d",
    "cross_entropy",
    "dropout",
    "elu",
    "gelu",
    "l1_loss",
    "leaky_relu",
    "linear",
    "log_softmax",
    "logsumexp",
    "max_pool2d",
    "mse_loss",
    "nll_loss",
    "relu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "tanh",
]

Size = int | tuple[int, int]


@primitive
@takes_arrays
def linear(input: Array, weight: Array, bias: Array | None = None) -> Array:
    """``input @ weight.T + bias``.

    Shapes: ``input`` (..., in), ``weight`` (out, in), ``bias`` (out,); the result is (..., out).

    Raises
    ------
    ValueError
        The shapes do not fit; the text names them.

    Examples
    --------
    >>> linear(np.array([[1.0, 2.0]]), np.array([[1.0, 1.0], [0.0, 3.0]]), np.array([0.0, 1.0]))
    array([[3., 7.]])
    """
    try:
        y = input @ (weight.T if weight.ndim == 2 else weight.mT)
    except ValueError:
        raise ValueError(
            f"an input of shape {input.shape} does not fit a weight of shape {weight.shape} "
            "(out, in): the input's last axis must be the weight's last"
        ) from None
    if input.dtype is not weight.dtype:
        expect_one_precision(input, weight)
    return y if bias is None else y + bias


def _linear_weight(g: Array, y: Array, x: Array, weight: Array, bias: Any = None) -> Array:
    if g.ndim == 2 and x.ndim == 2:
        return g.T @ x
    rows, (out, into) = math.prod(x.shape[:-1]), weight.shape
    return g.reshape((rows, out)).T @ x.reshape((rows, into))


defvjp(
    linear,
    lambda g, y, x, weight, bias=None: g @ weight,
    _linear_weight,
    lambda g, y, x, weight, bias=None: g.sum(axis=0) if g.ndim == 2 == y.ndim else g,
)


@takes_arrays
def dropout(
    input: Array,
    p: float = 0.5,
    training: bool = True,
    rng: int | np.random.Generator | None = None,
) -> Array:
    """Set each element to 0 with probability ``p``, and divide the others by ``1 - p``.

    Outside training it returns ``input`` itself.  An integer ``rng`` is a seed, and drops the
    same elements in every call; a generator draws others in each.

    Raises
    ------
    ValueError
        ``p`` is not a probability.

    Examples
    --------
    >>> dropout(np.ones(6), 0.5, rng=0)
    array([2., 0., 0., 0., 2., 2.])
    """
    if not 0 <= p <= 1:
        raise ValueError(f"dropout p={p}: expected a probability, 0 to 1")
    if not training or p == 0:
        return input
    mask = _generator(rng).random(input.shape) >= p
    return input * (mask / (1 - p if p < 1 else 1)).astype(input.dtype)


def _generator(rng: int | np.random.Generator | None) -> np.random.Generator:
    """Make a generator of a seed; one that nobody has seeded is another in each recorded call."""
    if isinstance(rng, np.random.Generator):
        return drawing(rng)
    recording = recorder.get()
    is_others = rng is None and recording is not None
    return recording.unseeded() if is_others else np.random.default_rng(rng)


# -- images -----------------------------------------------------------------------------------


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


methods(
    avg_pool2d,
    conv2d,
    elu,
    gelu,
    leaky_relu,
    log_softmax,
    logsumexp,
    max_pool2d,
    relu,
    sigmoid,
    silu,
    softmax,
    softplus,
)


def __getattr__(name: str) -> NoReturn:
    raise missing(__name__, name, __all__)
