"""Convolution layers.

Not for: the arithmetic (``functional/convolution.py``).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from tinygrad_lab.nn import functional
from tinygrad_lab.nn.functional.convolution import margins
from tinygrad_lab.nn.init import Init
from tinygrad_lab.nn.kernels.windows import Array, pair
from tinygrad_lab.nn.layers.making import Rng, Size, parameters, positive
from tinygrad_lab.nn.module import Module

__all__ = ["Conv2d"]


class Conv2d(Module):
    """Cross-correlation of images with ``out_channels`` filters, plus a bias for each.

    The first arguments are those of :func:`tinygrad_lab.nn.functional.conv2d`, the last those of
    :class:`Linear`.  The weight has shape (out_channels, in_channels / groups, kh, kw).

    Raises
    ------
    ValueError
        Sizes or settings do not fit; the text names them.

    Examples
    --------
    >>> layer = Conv2d(3, 8, 5, padding=2, rng=0)
    >>> layer
    Conv2d(3, 8, kernel_size=(5, 5), stride=(1, 1), padding=(2, 2))
    >>> layer(np.ones((1, 3, 12, 12))).shape
    (1, 8, 12, 12)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size | Literal["valid", "same"] = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        dtype: npt.DTypeLike = np.float64,
        init: str | Init | None = None,
        rng: Rng = None,
    ) -> None:
        self.in_channels = positive(in_channels, "in_channels")
        self.out_channels = positive(out_channels, "out_channels")
        self.kernel_size = pair(kernel_size, "kernel_size", 1)
        self.stride, self.dilation = pair(stride, "stride", 1), pair(dilation, "dilation", 1)
        self.padding, self.groups = padding, positive(groups, "groups")
        if in_channels % groups or out_channels % groups:
            raise ValueError(
                f"groups={groups} must divide both in_channels={in_channels} and "
                f"out_channels={out_channels}"
            )
        margins(padding, self.kernel_size, self.stride, self.dilation)
        shape = (self.out_channels, self.in_channels // groups, *self.kernel_size)
        self.weight, self.bias = parameters(shape, bias, dtype, init, rng)

    def forward(self, x: Array) -> Array:
        """Shapes (N, C, H, W) to (N, O, Ho, Wo)."""
        return functional.conv2d(
            x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups
        )

    def extra_repr(self) -> str:
        """Channels, the window, and what differs from the defaults."""
        padding = self.padding
        padding = padding if isinstance(padding, str) else pair(padding, "padding", 0)
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}"
        text += f", stride={self.stride}"
        if padding != (0, 0):
            text += f", padding={padding}"
        if self.dilation != (1, 1):
            text += f", dilation={self.dilation}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        return text if self.bias is not None else f"{text}, bias=False"
