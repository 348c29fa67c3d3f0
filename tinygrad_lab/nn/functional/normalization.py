"""Normalisation: subtract a mean, divide by a spread, over a batch, a layer, a group or a window.

The mean is subtracted twice, the second time from what is left, and the spread is that of the
rest: so numbers that are far from 0 lose no digits.  A function here changes none of its
arguments: the running statistics of batches are an input of :func:`batch_norm`, and
:func:`running_statistics` computes the next ones.

Not for: layers, which hold weights and running statistics (``layers/normalization.py``), nor
vectors of length 1 (``activations.normalize``).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from tinygrad_lab.core.levels import detached
from tinygrad_lab.core.operations import defvjp, primitive
from tinygrad_lab.nn.arguments import takes_arrays

__all__ = [
    "batch_norm",
    "group_norm",
    "instance_norm",
    "layer_norm",
    "local_response_norm",
    "rms_norm",
    "running_statistics",
]

Array = Any  # a Tensor, or whatever speaks NumPy's protocols
Axes = tuple[int, ...]


# -- the arithmetic that they share -----------------------------------------------------------


def _centered(x: Array, axis: Axes) -> Array:
    x = x - np.mean(x, axis=axis, keepdims=True)
    return x - np.mean(x, axis=axis, keepdims=True)


def _spread(centered: Array, axis: Axes, eps: float) -> Array:
    if centered.dtype.kind == "c":
        raise TypeError(f"what is normalised is of real numbers, not {centered.dtype}")
    return np.sqrt(np.mean(centered * centered, axis=axis, keepdims=True) + eps)


@primitive
def standardized(x: Array, axis: Axes, eps: float) -> Array:
    """``(x - mean) / sqrt(variance + eps)`` along some axes."""
    centered = _centered(x, axis)
    return centered / _spread(centered, axis, eps)


def _standardized_slope(g: Array, y: Array, x: Array, axis: Axes, eps: float) -> Array:
    g = _centered(g, axis)
    along = np.mean(g * y, axis=axis, keepdims=True)
    return (g - y * along) / _spread(_centered(x, axis), axis, eps)


defvjp(standardized, _standardized_slope)


def _scaled(y: Array, weight: Array | None, bias: Array | None, shape: Axes) -> Array:
    """Each channel, or element, times a weight plus a bias; ``shape`` is theirs beside ``y``."""
    y = y if weight is None else y * weight.reshape(shape)
    return y if bias is None else y + bias.reshape(shape)


def _of_channels(x: Array) -> Axes:
    """The shape of an array with one number for each channel."""
    return (x.shape[1],) + (1,) * (x.ndim - 2)


def _expect_channels(x: Array, name: str, **by_channel: Array | None) -> None:
    if x.ndim < 2:
        raise ValueError(
            f"{name} of shape {x.shape}: expected two axes or more, (N, C, ...), examples first"
        )
    for argument, value in by_channel.items():
        if value is not None and value.shape != x.shape[1:2]:
            raise ValueError(
                f"{name}: {argument} has shape {value.shape}, and the input {x.shape} has "
                f"{x.shape[1]} channels (its axis 1): one number for each channel is expected"
            )


def _expect_several(name: str, x: Array, axes: Axes, of: str) -> None:
    if prod(x.shape[i] for i in axes) < 2:
        raise ValueError(
            f"{name} of shape {x.shape}: {of} would be of fewer than two values, which have no "
            "spread to divide by; give a larger batch, or say eval() to use running statistics"
        )


# -- over a batch -----------------------------------------------------------------------------


@takes_arrays
def batch_norm(
    input: Array,
    running_mean: Array | None,
    running_var: Array | None,
    weight: Array | None = None,
    bias: Array | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Array:
    """Normalise each channel: by the batch's statistics in training, else by the running ones.

    ``(x - mean) / sqrt(variance + eps) * weight + bias`` (Ioffe and Szegedy, 2015).

    Shapes: ``input`` (N, C, ...), all others (C,); the result is like ``input``.

    It differs from PyTorch's in one thing.  That writes the new running statistics into the arrays
    it is given; a function here changes none of its arguments, so in training they must be None,
    and :func:`running_statistics` computes the new ones.  :class:`~tinygrad_lab.nn.BatchNorm1d` and
    its relatives do both.

    Raises
    ------
    ValueError
        Shapes do not fit; or a channel has fewer than two values, in training; or running
        statistics are given in training, or not given outside.

    Examples
    --------
    >>> import numpy as np
    >>> batch_norm(np.array([[1.0], [3.0]]), None, None, training=True).round(4)
    array([[-1.],
           [ 1.]])
    """
    _expect_channels(
        input, "batch_norm", running_mean=running_mean, running_var=running_var,
        weight=weight, bias=bias,
    )  # fmt: skip
    shape, axes = _of_channels(input), (0, *range(2, input.ndim))
    if training:
        _refuse_to_write("batch_norm", "training=True", momentum, running_mean, running_var)
        _expect_several("batch_norm", input, axes, "the statistics of a channel")
        return _scaled(standardized(input, axes, eps), weight, bias, shape)
    if running_mean is None or running_var is None:
        raise ValueError(
            "batch_norm(training=False) normalises by running_mean and running_var: give both, or "
            "say training=True to normalise by the batch's own statistics"
        )
    scale = 1 / np.sqrt(running_var + eps)
    y = (input - running_mean.reshape(shape)) * scale.reshape(shape)
    return _scaled(y, weight, bias, shape)


def _refuse_to_write(name: str, why: str, momentum: float, *running: Array | None) -> None:
    if any(value is not None for value in running):
        raise ValueError(
            f"{name}({why}) normalises by the input's own statistics, and does not write new ones "
            "into running_mean and running_var as PyTorch's does: say None for both here, and "
            "`self.running_mean, self.running_var = F.running_statistics(input, self.running_mean, "
            f"self.running_var, {momentum})`; or use the layers, which do so"
        )


@takes_arrays
def running_statistics(
    input: Array,
    running_mean: Array,
    running_var: Array,
    momentum: float = 0.1,
    *,
    by_instance: bool = False,
) -> tuple[Array, Array]:
    """The running mean and variance after one more batch, which counts with ``momentum``.

    The new variance is the unbiased one, as in PyTorch.  They have no history: nothing is
    differentiated through them.

    Parameters
    ----------
    input : array
        A batch, (N, C, ...).
    running_mean, running_var : array
        Those before, of shape (C,).
    momentum : float
        How much the new batch counts.
    by_instance : bool
        Whether each example has statistics of its own, as for :func:`instance_norm`; the mean of
        them counts.

    Examples
    --------
    >>> import numpy as np
    >>> running_statistics(np.array([[1.0], [3.0]]), np.zeros(1), np.ones(1), momentum=0.5)
    (array([1.]), array([1.5]))
    """
    _expect_channels(
        input, "running_statistics", running_mean=running_mean, running_var=running_var
    )
    x, axes = detached(input), (0,) * (not by_instance) + tuple(range(2, input.ndim))
    n = prod(x.shape[i] for i in axes)
    centered = _centered(x, axes)
    mean, var = np.mean(x, axis=axes), np.sum(centered * centered, axis=axes) / (n - 1)
    if by_instance:
        mean, var = np.mean(mean, axis=0), np.mean(var, axis=0)
    return (
        running_mean * (1 - momentum) + mean * momentum,
        running_var * (1 - momentum) + var * momentum,
    )


@takes_arrays
def instance_norm(
    input: Array,
    running_mean: Array | None = None,
    running_var: Array | None = None,
    weight: Array | None = None,
    bias: Array | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Array:
    """Normalise each channel of each example by its own statistics (Ulyanov, 2016).

    Shapes: ``input`` (N, C, ...), with one axis or more behind the channels; the others (C,).
    Running statistics are as for :func:`batch_norm`: used without ``use_input_stats``, and None
    with it.

    Raises
    ------
    ValueError
        As :func:`batch_norm` does.

    Examples
    --------
    >>> import numpy as np
    >>> instance_norm(np.array([[[1.0, 3.0], [10.0, 30.0]]])).round(4)
    array([[[-1.,  1.],
            [-1.,  1.]]])
    """
    if not use_input_stats:
        return batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    _expect_channels(input, "instance_norm", weight=weight, bias=bias)
    _refuse_to_write("instance_norm", "use_input_stats=True", momentum, running_mean, running_var)
    axes = tuple(range(2, input.ndim))
    _expect_several("instance_norm", input, axes, "the statistics of a channel of one example")
    return _scaled(standardized(input, axes, eps), weight, bias, _of_channels(input))


# -- of each example --------------------------------------------------------------------------


@takes_arrays
def layer_norm(
    input: Array,
    normalized_shape: int | Sequence[int],
    weight: Array | None = None,
    bias: Array | None = None,
    eps: float = 1e-5,
) -> Array:
    """Normalise over the last axes, ``normalized_shape`` (Ba, Kiros and Hinton, 2016).

    Shapes: ``input`` ``(..., *normalized_shape)``, ``weight`` and ``bias`` of ``normalized_shape``.

    Raises
    ------
    ValueError
        The shapes do not fit; the text names them.

    Examples
    --------
    >>> import numpy as np
    >>> layer_norm(np.array([[1.0, 3.0], [10.0, 30.0]]), 2).round(4)
    array([[-1.,  1.],
           [-1.,  1.]])
    """
    axes = _last_axes("layer_norm", input, normalized_shape, weight=weight, bias=bias)
    y = standardized(input, axes, eps)
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


@takes_arrays
def rms_norm(
    input: Array,
    normalized_shape: int | Sequence[int],
    weight: Array | None = None,
    eps: float | None = None,
) -> Array:
    """Divide by the root of the mean square over the last axes (Zhang and Sennrich, 2019).

    ``eps`` is added to the mean square: by default the distance from 1 to the next float.

    Raises
    ------
    ValueError
        The shapes do not fit; the text names them.

    Examples
    --------
    >>> import numpy as np
    >>> rms_norm(np.array([3.0, 4.0]), 2).round(4)
    array([0.8485, 1.1314])
    """
    axes = _last_axes("rms_norm", input, normalized_shape, weight=weight)
    if eps is None:
        eps = float(np.finfo(input.dtype if input.dtype.kind == "f" else float).eps)
    y = input / _spread(input, axes, eps)
    return y if weight is None else y * weight


def _last_axes(name: str, x: Array, shape: int | Sequence[int], **of_elements: Any) -> Axes:
    shape = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
    if not shape or x.shape[-len(shape) :] != shape:
        raise ValueError(
            f"{name}: an input of shape {x.shape} does not end with normalized_shape={shape}: the "
            "last axes of the input are what is normalised over"
        )
    for argument, value in of_elements.items():
        if value is not None and value.shape != shape:
            raise ValueError(f"{name}: {argument} has shape {value.shape}, not {shape}")
    return tuple(range(-len(shape), 0))


@takes_arrays
def group_norm(
    input: Array,
    num_groups: int,
    weight: Array | None = None,
    bias: Array | None = None,
    eps: float = 1e-5,
) -> Array:
    """Normalise groups of channels of each example (Wu and He, 2018).

    Shapes: ``input`` (N, C, ...), ``weight`` and ``bias`` (C,); ``num_groups`` divides C.

    Raises
    ------
    ValueError
        Shapes do not fit, or a group has fewer than two values.

    Examples
    --------
    >>> import numpy as np
    >>> group_norm(np.array([[1.0, 3.0, 10.0, 30.0]]), 2).round(4)
    array([[-1.,  1., -1.,  1.]])
    """
    _expect_channels(input, "group_norm", weight=weight, bias=bias)
    n, channels = input.shape[:2]
    if num_groups < 1 or channels % num_groups:
        raise ValueError(f"group_norm: num_groups={num_groups} must divide the {channels} channels")
    members = channels // num_groups * prod(input.shape[2:])
    if members * n == 1:
        raise ValueError(
            f"group_norm of shape {input.shape}: each of {num_groups} groups has one value, which "
            "has no spread to divide by: say fewer groups"
        )
    groups = input.reshape((n, num_groups, members))
    y = standardized(groups, (2,), eps).reshape(input.shape)
    return _scaled(y, weight, bias, _of_channels(input))


@takes_arrays
def local_response_norm(
    input: Array, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Array:
    """Divide each element by the mean square of its neighbours in ``size`` channels.

    ``x / (k + alpha * mean)**beta`` (Krizhevsky, 2012); beyond the first and the last channel
    there are zeros, which count.

    Shapes: ``input`` (N, C, ...), with one axis or more behind the channels.

    Raises
    ------
    ValueError
        Fewer than three axes, or a size below 1.

    Examples
    --------
    >>> import numpy as np
    >>> local_response_norm(np.ones((1, 3, 1)), 3, alpha=3.0, beta=1.0).ravel().round(4)
    array([0.3333, 0.25  , 0.3333])
    """
    if input.ndim < 3:
        raise ValueError(
            f"local_response_norm of shape {input.shape}: expected three axes or more, (N, C, ...)"
        )
    if size < 1:
        raise ValueError(f"local_response_norm: size={size}, expected 1 channel or more")
    beside = ((0, 0), (size // 2, (size - 1) // 2), *[(0, 0)] * (input.ndim - 2))
    squares = np.pad(input * input, beside)
    channels = input.shape[1]
    total = sum(squares[:, i : i + channels] for i in range(size))
    return input / (total * (alpha / size) + k) ** beta
