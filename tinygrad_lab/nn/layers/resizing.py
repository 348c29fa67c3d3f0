"""Layers that give images of other sizes.

Not for: the functions themselves (``functional/resizing.py``).
"""

from __future__ import annotations

from typing import Any

from tinygrad_lab.nn import functional
from tinygrad_lab.nn.kernels.windows import Array
from tinygrad_lab.nn.module import Module

__all__ = [
    "ChannelShuffle", "PixelShuffle", "PixelUnshuffle", "Upsample", "UpsamplingBilinear2d",
    "UpsamplingNearest2d",
]  # fmt: skip

Size = int | tuple[int, ...] | None
Factor = float | tuple[float, ...] | None


class Upsample(Module):
    """:func:`tinygrad_lab.nn.functional.interpolate` as a layer.

    Examples
    --------
    >>> import numpy as np
    >>> Upsample(scale_factor=2, mode="bilinear")
    Upsample(scale_factor=2.0, mode='bilinear')
    >>> Upsample(scale_factor=2)(np.ones((1, 3, 4, 4))).shape
    (1, 3, 8, 8)
    """

    def __init__(
        self,
        size: Size = None,
        scale_factor: Factor = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
    ) -> None:
        self.size = size
        self.scale_factor: Any = (
            tuple(map(float, scale_factor)) if isinstance(scale_factor, (tuple, list))
            else scale_factor and float(scale_factor)
        )  # fmt: skip
        self.mode, self.align_corners = mode, align_corners
        self.recompute_scale_factor = recompute_scale_factor

    def forward(self, input: Array) -> Array:
        """Shapes ``(N, C, ...)`` to ``(N, C, *size)``."""
        return functional.interpolate(
            input, self.size, self.scale_factor, self.mode, self.align_corners,
            self.recompute_scale_factor,
        )  # fmt: skip

    def extra_repr(self) -> str:
        """The size, or how many times larger; and the mode."""
        name = "size" if self.scale_factor is None else "scale_factor"
        return f"{name}={getattr(self, name)!r}, mode={self.mode!r}"


class UpsamplingNearest2d(Upsample):
    """:class:`Upsample` of images with the mode "nearest"."""

    def __init__(self, size: Size = None, scale_factor: Factor = None) -> None:
        super().__init__(size, scale_factor, mode="nearest")


class UpsamplingBilinear2d(Upsample):
    """:class:`Upsample` of images with the mode "bilinear" and ``align_corners=True``."""

    def __init__(self, size: Size = None, scale_factor: Factor = None) -> None:
        super().__init__(size, scale_factor, mode="bilinear", align_corners=True)


class PixelShuffle(Module):
    """:func:`tinygrad_lab.nn.functional.pixel_shuffle` as a layer."""

    def __init__(self, upscale_factor: int) -> None:
        self.upscale_factor = upscale_factor

    def forward(self, input: Array) -> Array:
        """Shapes (..., C * r * r, H, W) to (..., C, H * r, W * r)."""
        return functional.pixel_shuffle(input, self.upscale_factor)

    def extra_repr(self) -> str:
        """The factor."""
        return f"upscale_factor={self.upscale_factor}"


class PixelUnshuffle(Module):
    """:func:`tinygrad_lab.nn.functional.pixel_unshuffle` as a layer."""

    def __init__(self, downscale_factor: int) -> None:
        self.downscale_factor = downscale_factor

    def forward(self, input: Array) -> Array:
        """Shapes (..., C, H * r, W * r) to (..., C * r * r, H, W)."""
        return functional.pixel_unshuffle(input, self.downscale_factor)

    def extra_repr(self) -> str:
        """The factor."""
        return f"downscale_factor={self.downscale_factor}"


class ChannelShuffle(Module):
    """:func:`tinygrad_lab.nn.functional.channel_shuffle` as a layer."""

    def __init__(self, groups: int) -> None:
        self.groups = groups

    def forward(self, input: Array) -> Array:
        """Keep the shape, (N, C, ...)."""
        return functional.channel_shuffle(input, self.groups)

    def extra_repr(self) -> str:
        """The groups."""
        return f"groups={self.groups}"
