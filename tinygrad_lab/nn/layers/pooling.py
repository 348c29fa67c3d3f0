"""Pooling layers.

Not for: the arithmetic (``functional/pooling.py``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinygrad_lab.nn import functional
from tinygrad_lab.nn.kernels.windows import Array, sizes
from tinygrad_lab.nn.module import Module

__all__ = [
    "AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveAvgPool3d",
    "AdaptiveMaxPool1d", "AdaptiveMaxPool2d", "AdaptiveMaxPool3d",
    "AvgPool1d", "AvgPool2d", "AvgPool3d",
    "LPPool1d", "LPPool2d", "LPPool3d",
    "MaxPool1d", "MaxPool2d", "MaxPool3d",
    "MaxUnpool1d", "MaxUnpool2d", "MaxUnpool3d",
]  # fmt: skip

Size = int | tuple[int, ...]
OutputSize = int | None | tuple[int | None, ...]


class _Pool(Module):
    """A pooling of ``ndim`` image axes; settings are kept as they were written, as in PyTorch."""

    ndim: int
    name: str
    stride: Size | None

    def _window(self, kernel_size: Size, stride: Size | None, padding: Size = 0) -> None:
        sizes(kernel_size, "kernel_size", 1, self.ndim)
        sizes(kernel_size if stride is None else stride, "stride", 1, self.ndim)
        sizes(padding, "padding", 0, self.ndim)
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding

    @property
    def _function(self) -> Callable[..., Any]:
        return getattr(functional, f"{self.name}{self.ndim}d")


class _MaxPool(_Pool):
    """The largest element of each window."""

    name = "max_pool"

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        dilation: Size = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        self._window(kernel_size, stride, padding)
        sizes(dilation, "dilation", 1, self.ndim)
        self.dilation, self.return_indices, self.ceil_mode = dilation, return_indices, ceil_mode

    def forward(self, input: Array) -> Any:
        """Shape (N, C, ...), or without N, to a smaller one; with ``return_indices`` a pair."""
        return self._function(
            input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode,
            self.return_indices,
        )  # fmt: skip

    def extra_repr(self) -> str:
        """The window."""
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class _MaxUnpool(_Pool):
    """What a max pooling took, where it took it from."""

    name = "max_unpool"

    def __init__(self, kernel_size: Size, stride: Size | None = None, padding: Size = 0) -> None:
        self._window(kernel_size, stride, padding)
        self.kernel_size = sizes(kernel_size, "kernel_size", 1, self.ndim)
        self.stride = sizes(self.stride, "stride", 1, self.ndim)
        self.padding = sizes(padding, "padding", 0, self.ndim)

    def forward(
        self, input: Array, indices: Array, output_size: tuple[int, ...] | None = None
    ) -> Array:
        """Shape (N, C, ...), or without N, to a larger one."""
        return self._function(
            input, indices, self.kernel_size, self.stride, self.padding, output_size
        )

    def extra_repr(self) -> str:
        """The window."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class _AvgPool(_Pool):
    """The mean of each window."""

    name = "avg_pool"

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        self._window(kernel_size, stride, padding)
        self.ceil_mode, self.count_include_pad = ceil_mode, count_include_pad
        self.divisor_override = divisor_override

    def forward(self, input: Array) -> Array:
        """Shape (N, C, ...), or without N, to a smaller one."""
        return self._function(
            input, self.kernel_size, self.stride, self.padding, self.ceil_mode,
            self.count_include_pad, self.divisor_override,
        )  # fmt: skip

    def extra_repr(self) -> str:
        """The window."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class _LPPool(_Pool):
    """The root of the sum of the powers of each window."""

    name = "lp_pool"

    def __init__(
        self,
        norm_type: float,
        kernel_size: Size,
        stride: Size | None = None,
        ceil_mode: bool = False,
    ) -> None:
        self._window(kernel_size, stride)
        self.norm_type, self.ceil_mode, self.stride = norm_type, ceil_mode, stride

    def forward(self, input: Array) -> Array:
        """Shape (N, C, ...), or without N, to a smaller one."""
        return self._function(input, self.norm_type, self.kernel_size, self.stride, self.ceil_mode)

    def extra_repr(self) -> str:
        """The exponent and the window."""
        return (
            f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"ceil_mode={self.ceil_mode}"
        )


class _AdaptivePool(_Pool):
    """A pooling to a size that is stated, whatever the input's."""

    def __init__(self, output_size: OutputSize) -> None:
        self.output_size = output_size

    def forward(self, input: Array) -> Any:
        """Shape (N, C, ...), or without N, to ``(N, C, *output_size)``."""
        return self._function(input, self.output_size)

    def extra_repr(self) -> str:
        """The size of the result."""
        return f"output_size={self.output_size}"


class _AdaptiveMaxPool(_AdaptivePool):
    """The largest element of each of so many parts."""

    name = "adaptive_max_pool"

    def __init__(self, output_size: OutputSize, return_indices: bool = False) -> None:
        super().__init__(output_size)
        self.return_indices = return_indices

    def forward(self, input: Array) -> Any:
        """Shape (N, C, ...), or without N, to ``(N, C, *output_size)``, or a pair of these."""
        return self._function(input, self.output_size, self.return_indices)


class _AdaptiveAvgPool(_AdaptivePool):
    """The mean of each of so many parts."""

    name = "adaptive_avg_pool"


class MaxPool1d(_MaxPool):
    """The largest element of each window.

    See :func:`tinygrad_lab.nn.functional.max_pool1d`.
    """

    ndim = 1


class MaxPool2d(_MaxPool):
    """The largest element of each window.

    See :func:`tinygrad_lab.nn.functional.max_pool2d`.
    """

    ndim = 2


class MaxPool3d(_MaxPool):
    """The largest element of each window.

    See :func:`tinygrad_lab.nn.functional.max_pool3d`.
    """

    ndim = 3


class MaxUnpool1d(_MaxUnpool):
    """What :class:`MaxPool1d` took, where it took it from, among zeros.

    See :func:`tinygrad_lab.nn.functional.max_unpool1d`.
    """

    ndim = 1


class MaxUnpool2d(_MaxUnpool):
    """What :class:`MaxPool2d` took, where it took it from, among zeros.

    See :func:`tinygrad_lab.nn.functional.max_unpool2d`.
    """

    ndim = 2


class MaxUnpool3d(_MaxUnpool):
    """What :class:`MaxPool3d` took, where it took it from, among zeros.

    See :func:`tinygrad_lab.nn.functional.max_unpool3d`.
    """

    ndim = 3


class AvgPool1d(_AvgPool):
    """The mean of each window.

    See :func:`tinygrad_lab.nn.functional.avg_pool1d`.
    """

    ndim = 1

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        window = sizes(kernel_size, "kernel_size", 1, 1)  # which PyTorch keeps as tuples here
        steps = window if stride is None else sizes(stride, "stride", 1, 1)
        margin = sizes(padding, "padding", 0, 1)
        super().__init__(window, steps, margin, ceil_mode, count_include_pad)

    def forward(self, input: Array) -> Array:
        """Shape (N, C, L), or without N, to a shorter one."""
        return functional.avg_pool1d(
            input, self.kernel_size, self.stride, self.padding, self.ceil_mode,
            self.count_include_pad,
        )  # fmt: skip


class AvgPool2d(_AvgPool):
    """The mean of each window.

    See :func:`tinygrad_lab.nn.functional.avg_pool2d`.
    """

    ndim = 2


class AvgPool3d(_AvgPool):
    """The mean of each window.

    See :func:`tinygrad_lab.nn.functional.avg_pool3d`.
    """

    ndim = 3


class LPPool1d(_LPPool):
    """The root of the sum of the powers of each window.

    See :func:`tinygrad_lab.nn.functional.lp_pool1d`.
    """

    ndim = 1


class LPPool2d(_LPPool):
    """The root of the sum of the powers of each window.

    See :func:`tinygrad_lab.nn.functional.lp_pool2d`.
    """

    ndim = 2


class LPPool3d(_LPPool):
    """The root of the sum of the powers of each window.

    See :func:`tinygrad_lab.nn.functional.lp_pool3d`.
    """

    ndim = 3


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """The largest element of each of ``output_size`` parts.

    See :func:`tinygrad_lab.nn.functional.adaptive_max_pool1d`.
    """

    ndim = 1


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """The largest element of each of ``output_size`` parts.

    See :func:`tinygrad_lab.nn.functional.adaptive_max_pool2d`.
    """

    ndim = 2


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """The largest element of each of ``output_size`` parts.

    See :func:`tinygrad_lab.nn.functional.adaptive_max_pool3d`.
    """

    ndim = 3


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """The mean of each of ``output_size`` parts.

    See :func:`tinygrad_lab.nn.functional.adaptive_avg_pool1d`.
    """

    ndim = 1


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """The mean of each of ``output_size`` parts.

    See :func:`tinygrad_lab.nn.functional.adaptive_avg_pool2d`.
    """

    ndim = 2


class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """The mean of each of ``output_size`` parts.

    See :func:`tinygrad_lab.nn.functional.adaptive_avg_pool3d`.
    """

    ndim = 3
