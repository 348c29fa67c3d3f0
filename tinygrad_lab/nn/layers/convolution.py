"""Convolution layers.

Not for: the arithmetic (``functional/convolution.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy.typing as npt

from tinygrad_lab.nn import functional
from tinygrad_lab.nn.functional.convolution import margins
from tinygrad_lab.nn.init import Init
from tinygrad_lab.nn.kernels.windows import Array, sizes
from tinygrad_lab.nn.layers.making import Rng, on_cpu, parameters, positive
from tinygrad_lab.nn.module import Module
from tinygrad_lab.nn.names import look_up
from tinygrad_lab.nn.parameter import Parameter

__all__ = [
    "Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d",
]  # fmt: skip

Size = int | tuple[int, ...]
Padding = Size | Literal["valid", "same"]

_MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "replicate",
          "circular": "circular"}  # fmt: skip


class _Convolution(Module):
    """Settings that all convolutions have, and their repr."""

    ndim: int
    output_padding: tuple[int, ...] = ()
    bias: Parameter | None

    def _set(
        self, in_channels: int, out_channels: int, kernel_size: Size, stride: Size, dilation: Size,
        groups: int, padding_mode: str, device: Any,
    ) -> None:  # fmt: skip
        on_cpu(device)
        self.in_channels = positive(in_channels, "in_channels")
        self.out_channels = positive(out_channels, "out_channels")
        self.kernel_size = sizes(kernel_size, "kernel_size", 1, self.ndim)
        self.stride = sizes(stride, "stride", 1, self.ndim)
        self.dilation = sizes(dilation, "dilation", 1, self.ndim)
        self.groups = positive(groups, "groups")
        if in_channels % groups or out_channels % groups:
            raise ValueError(
                f"groups={groups} must divide both in_channels={in_channels} and "
                f"out_channels={out_channels}"
            )
        look_up(padding_mode, _MODES, "padding_mode")
        self.padding_mode = padding_mode

    def extra_repr(self) -> str:
        """Channels, and what differs from the defaults."""
        settings = [
            f"{self.in_channels}, {self.out_channels}",
            f"kernel_size={self.kernel_size}, stride={self.stride}",
        ]
        for name, usual in (("padding", 0), ("dilation", 1), ("output_padding", 0)):
            value = getattr(self, name)
            if value and value != (usual,) * self.ndim:
                settings.append(f"{name}={value}")
        if self.groups != 1:
            settings.append(f"groups={self.groups}")
        if self.bias is None:
            settings.append("bias=False")
        if self.padding_mode != "zeros":
            settings.append(f"padding_mode={self.padding_mode}")
        return ", ".join(settings)


class _Conv(_Convolution):
    """A convolution, whatever its number of axes."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Padding = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: npt.DTypeLike | None = None,
        *,
        init: str | Init | None = None,
        rng: Rng = None,
    ) -> None:
        self._set(
            in_channels, out_channels, kernel_size, stride, dilation, groups, padding_mode, device
        )
        text = isinstance(padding, str)
        self.padding = padding if text else sizes(padding, "padding", 0, self.ndim)
        margins(self.padding, self.kernel_size, self.stride, self.dilation)
        shape = (self.out_channels, self.in_channels // self.groups, *self.kernel_size)
        self.weight, self.bias = parameters(shape, bias, dtype, init, rng)

    def forward(self, input: Array) -> Array:
        """Shapes (N, C, ...) to (N, O, ...), or both without N."""
        padding, mode = self.padding, _MODES[self.padding_mode]
        if mode != "constant":
            edges = margins(padding, self.kernel_size, self.stride, self.dilation)
            input = functional.pad(input, [n for edge in reversed(edges) for n in edge], mode)
            padding = 0
        convolution = getattr(functional, f"conv{self.ndim}d")
        return convolution(
            input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups
        )


class _ConvTranspose(_Convolution):
    """A transposed convolution, whatever its number of axes."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size = 0,
        output_padding: Size = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Size = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: npt.DTypeLike | None = None,
        *,
        init: str | Init | None = None,
        rng: Rng = None,
    ) -> None:
        self._set(
            in_channels, out_channels, kernel_size, stride, dilation, groups, padding_mode, device
        )
        if padding_mode != "zeros":
            raise ValueError(f"padding_mode={padding_mode!r}: a transposed convolution has 'zeros'")
        self.padding = sizes(padding, "padding", 0, self.ndim)
        self.output_padding = sizes(output_padding, "output_padding", 0, self.ndim)
        shape = (self.in_channels, self.out_channels // self.groups, *self.kernel_size)
        self.weight, self.bias = parameters(shape, bias, dtype, init, rng, self.out_channels)

    def forward(self, input: Array, output_size: Sequence[int] | None = None) -> Array:
        """Shapes (N, C, ...) to (N, O, ...), or both without N.

        ``output_size`` chooses the size of the result among those whose convolution has the size
        of ``input``, instead of ``output_padding``.
        """
        more = self.output_padding if output_size is None else self._longer(input, output_size)
        convolution = getattr(functional, f"conv_transpose{self.ndim}d")
        return convolution(
            input, self.weight, self.bias, self.stride, self.padding, more, self.groups,
            self.dilation,
        )  # fmt: skip

    def _longer(self, input: Array, output_size: Sequence[int]) -> tuple[int, ...]:
        size = tuple(output_size)[-self.ndim :]
        least = tuple(
            (n - 1) * s - 2 * p + d * (k - 1) + 1
            for n, s, p, d, k in zip(
                input.shape[-self.ndim :], self.stride, self.padding, self.dilation,
                self.kernel_size, strict=True,
            )
        )  # fmt: skip
        most = tuple(n + s - 1 for n, s in zip(least, self.stride, strict=True))
        fits = len(size) == self.ndim and len(output_size) in (self.ndim, input.ndim)
        if not fits or any(not a <= n <= b for a, n, b in zip(least, size, most, strict=True)):
            raise ValueError(
                f"output_size={tuple(output_size)}: of an input of shape {input.shape} the result "
                f"can have sizes from {least} to {most}"
            )
        return tuple(n - a for n, a in zip(size, least, strict=True))


class Conv1d(_Conv):
    """Cross-correlation of signals with ``out_channels`` filters, plus a bias for each.

    The first arguments are those of :func:`tinygrad_lab.nn.functional.conv1d`.  With another
    ``padding_mode`` the border is no zeros: "reflect", "replicate" or "circular", as in
    :func:`tinygrad_lab.nn.functional.pad`.  ``dtype``, ``init`` and ``rng`` are as in
    :class:`Linear`.  The weight has shape (out_channels, in_channels / groups, k).

    Raises
    ------
    ValueError
        Sizes or settings do not fit; the text names them.

    Examples
    --------
    >>> import numpy as np
    >>> layer = Conv1d(3, 8, 5, padding="same", rng=0)
    >>> layer(np.ones((1, 3, 12))).shape
    (1, 8, 12)
    """

    ndim = 1


class Conv2d(_Conv):
    """Cross-correlation of images with ``out_channels`` filters, plus a bias for each.

    The first arguments are those of :func:`tinygrad_lab.nn.functional.conv2d`.  With another
    ``padding_mode`` the border is no zeros: "reflect", "replicate" or "circular", as in
    :func:`tinygrad_lab.nn.functional.pad`.  ``dtype``, ``init`` and ``rng`` are as in
    :class:`Linear`.  The weight has shape (out_channels, in_channels / groups, kh, kw).

    Raises
    ------
    ValueError
        Sizes or settings do not fit; the text names them.

    Examples
    --------
    >>> import numpy as np
    >>> layer = Conv2d(3, 8, 5, padding=2, rng=0)
    >>> layer
    Conv2d(3, 8, kernel_size=(5, 5), stride=(1, 1), padding=(2, 2))
    >>> layer(np.ones((1, 3, 12, 12))).shape
    (1, 8, 12, 12)
    """

    ndim = 2


class Conv3d(_Conv):
    """Cross-correlation of volumes with ``out_channels`` filters, plus a bias for each.

    The first arguments are those of :func:`tinygrad_lab.nn.functional.conv3d`.  With another
    ``padding_mode`` the border is no zeros: "reflect", "replicate" or "circular", as in
    :func:`tinygrad_lab.nn.functional.pad`.  ``dtype``, ``init`` and ``rng`` are as in
    :class:`Linear`.  The weight has shape (out_channels, in_channels / groups, kd, kh, kw).

    Raises
    ------
    ValueError
        Sizes or settings do not fit; the text names them.

    Examples
    --------
    >>> import numpy as np
    >>> layer = Conv3d(1, 2, 3, stride=(1, 2, 2), rng=0)
    >>> layer(np.ones((1, 1, 5, 7, 7))).shape
    (1, 2, 3, 3, 3)
    """

    ndim = 3


class ConvTranspose1d(_ConvTranspose):
    """Transposed convolution of signals with filters of ``in_channels``, plus a bias.

    The first arguments are those of :func:`tinygrad_lab.nn.functional.conv_transpose1d`, in
    PyTorch's order; ``dtype``, ``init`` and ``rng`` are as in :class:`Linear`.  The weight has
    shape (in_channels, out_channels / groups, k).

    Raises
    ------
    ValueError
        Sizes or settings do not fit; the text names them.

    Examples
    --------
    >>> import numpy as np
    >>> layer = ConvTranspose1d(2, 1, 4, stride=2, padding=1, rng=0)
    >>> layer(np.ones((1, 2, 5))).shape
    (1, 1, 10)
    """

    ndim = 1


class ConvTranspose2d(_ConvTranspose):
    """Transposed convolution of images with filters of ``in_channels``, plus a bias.

    The first arguments are those of :func:`tinygrad_lab.nn.functional.conv_transpose2d`, in
    PyTorch's order; ``dtype``, ``init`` and ``rng`` are as in :class:`Linear`.  The weight has
    shape (in_channels, out_channels / groups, kh, kw).

    Raises
    ------
    ValueError
        Sizes or settings do not fit; the text names them.

    Examples
    --------
    >>> import numpy as np
    >>> layer = ConvTranspose2d(2, 1, 3, stride=2, padding=1, rng=0)
    >>> layer(np.ones((1, 2, 5, 5))).shape
    (1, 1, 9, 9)
    >>> layer(np.ones((1, 2, 5, 5)), output_size=(10, 10)).shape
    (1, 1, 10, 10)
    """

    ndim = 2


class ConvTranspose3d(_ConvTranspose):
    """Transposed convolution of volumes with filters of ``in_channels``, plus a bias.

    The first arguments are those of :func:`tinygrad_lab.nn.functional.conv_transpose3d`, in
    PyTorch's order; ``dtype``, ``init`` and ``rng`` are as in :class:`Linear`.  The weight has
    shape (in_channels, out_channels / groups, kd, kh, kw).

    Raises
    ------
    ValueError
        Sizes or settings do not fit; the text names them.

    Examples
    --------
    >>> import numpy as np
    >>> layer = ConvTranspose3d(2, 1, 2, stride=2, rng=0)
    >>> layer(np.ones((1, 2, 2, 3, 3))).shape
    (1, 1, 4, 6, 6)
    """

    ndim = 3
