"""Layers that normalise, with the weights and the running statistics that they keep.

Running statistics are plain arrays, and a forward pass in training puts new arrays in their place.

Not for: the arithmetic (``functional/normalization.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_lab.nn import functional
from tinygrad_lab.nn.arguments import takes_arrays
from tinygrad_lab.nn.layers.making import expect_one_for_all, on_cpu, positive
from tinygrad_lab.nn.module import Module
from tinygrad_lab.nn.parameter import Parameter

__all__ = [
    "BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "GroupNorm", "InstanceNorm1d", "InstanceNorm2d",
    "InstanceNorm3d", "LayerNorm", "LocalResponseNorm", "RMSNorm",
]  # fmt: skip

Array = Any  # a Tensor, or whatever speaks NumPy's protocols


class _OfChannels(Module):
    """What batch and instance normalisation share: weights and running statistics by channel."""

    _axes: tuple[int, ...]  # how many an input may have
    _by_instance = False
    weight: Parameter | None
    bias: Parameter | None
    running_mean: Array
    running_var: Array
    num_batches_tracked: Array

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: npt.DTypeLike | None = None,
        *,
        bias: bool = True,
    ) -> None:
        on_cpu(device)
        self.num_features = positive(num_features, "num_features")
        self.eps, self.momentum, self.affine = eps, momentum, affine
        self.track_running_stats = track_running_stats
        self.weight, self.bias = _weights((num_features,), affine, bias, dtype)
        self.running_mean = self.running_var = self.num_batches_tracked = None
        if track_running_stats:
            self.running_mean = np.zeros(num_features, dtype or np.float64)
            self.running_var = np.ones(num_features, dtype or np.float64)
            self.num_batches_tracked = np.array(0)

    def reset_running_stats(self) -> None:
        """Begin the running statistics anew: mean 0, variance 1, no batch counted."""
        if self.track_running_stats:
            self.running_mean = np.zeros_like(self.running_mean)
            self.running_var = np.ones_like(self.running_var)
            self.num_batches_tracked = np.zeros_like(self.num_batches_tracked)

    def _track(self, input: Array) -> None:
        """Put the running statistics after one more batch in place of those before."""
        mean, var, count = self.running_mean, self.running_var, self.num_batches_tracked
        count = (count + 1)[...]  # an array, where NumPy gives a number
        momentum: Any = self.momentum
        if momentum is None:
            momentum = 0.0 if self._by_instance else (1 / count).astype(mean.dtype)
        new = functional.running_statistics(
            input, mean, var, momentum, by_instance=self._by_instance
        )
        what = "training would leave each example's own running statistics in"
        expect_one_for_all(new[0], mean, self, what)
        self.running_mean, self.running_var = new
        if not self._by_instance:
            self.num_batches_tracked = count

    def _expect(self, input: Array) -> None:
        if input.ndim not in self._axes:
            wanted = " or ".join(map(str, self._axes))
            raise ValueError(
                f"{type(self).__name__} of shape {input.shape}: expected {wanted} axes, "
                f"(N, C{', ...' if max(self._axes) > 2 else ''}), not {input.ndim}"
            )

    def extra_repr(self) -> str:
        """The settings."""
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, "
            f"affine={self.affine}, bias={self.bias is not None}, "
            f"track_running_stats={self.track_running_stats}"
        )


def _weights(
    shape: tuple[int, ...], affine: bool, bias: bool, dtype: npt.DTypeLike | None
) -> tuple[Parameter | None, Parameter | None]:
    dtype = np.dtype(dtype or np.float64)
    if dtype.kind not in "fc":
        raise ValueError(f"dtype={dtype}: parameters are floats")
    return (
        Parameter(np.ones(shape, dtype)) if affine else None,
        Parameter(np.zeros(shape, dtype)) if affine and bias else None,
    )


class _BatchNorm(_OfChannels):
    """Normalise each channel over the batch."""

    @takes_arrays
    def forward(self, input: Array) -> Array:
        """Keep the shape, (N, C, ...)."""
        self._expect(input)
        if self.training or self.running_mean is None:
            y = functional.batch_norm(
                input, None, None, self.weight, self.bias, training=True, eps=self.eps
            )
            if self.training and self.running_mean is not None:
                self._track(input)
            return y
        return functional.batch_norm(
            input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
        )


class BatchNorm1d(_BatchNorm):
    """Normalise each channel over the batch, and keep running statistics for ``eval()``.

    Parameters
    ----------
    num_features : int
        Channels: C of inputs (N, C) or (N, C, L).
    eps : float
        Added to the variance.
    momentum : float or None
        How much each batch counts in the running statistics; None: all batches count alike.
    affine : bool
        Whether each channel has a weight and a bias.
    track_running_stats : bool
        False: there are none, and ``eval()`` too normalises by the batch's own.
    dtype : dtype
        A float type; float64 by default.
    bias : bool
        False leaves the bias out.

    Raises
    ------
    ValueError
        An input with other axes or channels, or, in training, with one value for each channel.

    Examples
    --------
    >>> import numpy as np
    >>> layer = BatchNorm1d(2)
    >>> x = np.array([[0.0, 10.0], [2.0, 30.0]])
    >>> layer(x).data.round(4)
    array([[-1., -1.],
           [ 1.,  1.]])
    >>> layer.running_mean, layer.num_batches_tracked
    (array([0.1, 2. ]), array(1))
    """

    _axes = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Normalise each channel of images (N, C, H, W) over the batch; as :class:`BatchNorm1d`."""

    _axes = (4,)


class BatchNorm3d(_BatchNorm):
    """Normalise each channel of volumes (N, C, D, H, W) over the batch; as :class:`BatchNorm1d`."""

    _axes = (5,)


class _InstanceNorm(_OfChannels):
    """Normalise each channel of each example."""

    _by_instance = True

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Any = None,
        dtype: npt.DTypeLike | None = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias
        )

    @takes_arrays
    def forward(self, input: Array) -> Array:
        """Keep the shape, (N, C, ...) or (C, ...)."""
        self._expect(input)
        if input.ndim == min(self._axes):
            return self.forward(input[None])[0]
        if self.training or self.running_mean is None:
            y = functional.instance_norm(input, weight=self.weight, bias=self.bias, eps=self.eps)
            if self.running_mean is not None:
                self._track(input)
            return y
        return functional.instance_norm(
            input, self.running_mean, self.running_var, self.weight, self.bias,
            use_input_stats=False, eps=self.eps,
        )  # fmt: skip


class InstanceNorm1d(_InstanceNorm):
    """Normalise each channel of each example, (N, C, L) or (C, L), by its own statistics.

    Parameters are those of :class:`BatchNorm1d`, but that without being asked for there are no
    weights and no running statistics.

    Examples
    --------
    >>> import numpy as np
    >>> InstanceNorm1d(2)(np.array([[1.0, 3.0], [10.0, 30.0]])).round(4)
    array([[-1.,  1.],
           [-1.,  1.]])
    """

    _axes = (2, 3)


class InstanceNorm2d(_InstanceNorm):
    """Normalise each channel of each image, (N, C, H, W) or (C, H, W)."""

    _axes = (3, 4)


class InstanceNorm3d(_InstanceNorm):
    """Normalise each channel of each volume, (N, C, D, H, W) or (C, D, H, W)."""

    _axes = (4, 5)


class LayerNorm(Module):
    """:func:`tinygrad_lab.nn.functional.layer_norm` as a layer.

    Parameters
    ----------
    normalized_shape : int or sequence of int
        The last axes of the input, which are normalised over.
    eps : float
        Added to the variance.
    elementwise_affine, bias : bool
        Whether each element has a weight, and with it a bias.
    dtype : dtype
        A float type; float64 by default.

    Examples
    --------
    >>> import numpy as np
    >>> layer = LayerNorm(2)
    >>> layer
    LayerNorm((2,), eps=1e-05, elementwise_affine=True, bias=True)
    >>> layer(np.array([[1.0, 3.0]])).data.round(4)
    array([[-1.,  1.]])
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: npt.DTypeLike | None = None,
    ) -> None:
        on_cpu(device)
        self.normalized_shape = _shape(normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        self.weight, self.bias = _weights(self.normalized_shape, elementwise_affine, bias, dtype)

    def forward(self, input: Array) -> Array:
        """Keep the shape, ``(..., *normalized_shape)``."""
        return functional.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """The settings."""
        return (
            f"{self.normalized_shape}, eps={self.eps}, "
            f"elementwise_affine={self.elementwise_affine}, bias={self.bias is not None}"
        )


def _shape(normalized_shape: int | Sequence[int]) -> tuple[int, ...]:
    is_one = isinstance(normalized_shape, (int, np.integer))
    shape: Any = (normalized_shape,) if is_one else normalized_shape
    return tuple(positive(n, f"normalized_shape[{i}]") for i, n in enumerate(shape))


class RMSNorm(Module):
    """:func:`tinygrad_lab.nn.functional.rms_norm` as a layer; parameters as :class:`LayerNorm`.

    Examples
    --------
    >>> import numpy as np
    >>> RMSNorm(2)(np.array([3.0, 4.0])).data.round(4)
    array([0.8485, 1.1314])
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: Any = None,
        dtype: npt.DTypeLike | None = None,
    ) -> None:
        on_cpu(device)
        self.normalized_shape = _shape(normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        self.weight, _ = _weights(self.normalized_shape, elementwise_affine, False, dtype)

    def forward(self, input: Array) -> Array:
        """Keep the shape, ``(..., *normalized_shape)``."""
        return functional.rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        """The settings."""
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"
        )


class GroupNorm(Module):
    """:func:`tinygrad_lab.nn.functional.group_norm` as a layer.

    Raises
    ------
    ValueError
        ``num_groups`` does not divide ``num_channels``.

    Examples
    --------
    >>> import numpy as np
    >>> GroupNorm(2, 4)(np.array([[1.0, 3.0, 10.0, 30.0]])).data.round(4)
    array([[-1.,  1., -1.,  1.]])
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: Any = None,
        dtype: npt.DTypeLike | None = None,
        *,
        bias: bool = True,
    ) -> None:
        on_cpu(device)
        self.num_groups = positive(num_groups, "num_groups")
        self.num_channels = positive(num_channels, "num_channels")
        if num_channels % num_groups:
            raise ValueError(f"num_groups={num_groups} must divide num_channels={num_channels}")
        self.eps, self.affine = eps, affine
        self.weight, self.bias = _weights((num_channels,), affine, bias, dtype)

    def forward(self, input: Array) -> Array:
        """Keep the shape, (N, C, ...)."""
        return functional.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """The settings."""
        return (
            f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}"
            f", bias={self.bias is not None}"
        )


class LocalResponseNorm(Module):
    """:func:`tinygrad_lab.nn.functional.local_response_norm` as a layer."""

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        self.size = positive(size, "size")
        self.alpha, self.beta, self.k = alpha, beta, k

    def forward(self, input: Array) -> Array:
        """Keep the shape, (N, C, ...)."""
        return functional.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        """The settings."""
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"
