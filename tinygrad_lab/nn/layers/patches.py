"""The patches of images as layers.

Not for: the functions themselves (``functional/patches.py``).
"""

from __future__ import annotations

from tinygrad_lab.nn import functional
from tinygrad_lab.nn.kernels.windows import Array
from tinygrad_lab.nn.module import Module

__all__ = ["Fold", "Unfold"]

Size = int | tuple[int, ...]


class Unfold(Module):
    """:func:`tinygrad_lab.nn.functional.unfold` as a layer.

    Examples
    --------
    >>> import numpy as np
    >>> Unfold(2)(np.ones((1, 3, 4, 4))).shape
    (1, 12, 9)
    """

    def __init__(
        self, kernel_size: Size, dilation: Size = 1, padding: Size = 0, stride: Size = 1
    ) -> None:
        self.kernel_size, self.dilation, self.padding = kernel_size, dilation, padding
        self.stride = stride

    def forward(self, input: Array) -> Array:
        """Shapes ``(N, C, H, W)`` to ``(N, C * kh * kw, patches)``, or both without N."""
        return functional.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        """The window."""
        return (
            f"kernel_size={self.kernel_size}, dilation={self.dilation}, padding={self.padding}, "
            f"stride={self.stride}"
        )


class Fold(Module):
    """:func:`tinygrad_lab.nn.functional.fold` as a layer.

    Examples
    --------
    >>> import numpy as np
    >>> Fold((4, 4), 2)(np.ones((1, 12, 9))).shape
    (1, 3, 4, 4)
    """

    def __init__(
        self,
        output_size: Size,
        kernel_size: Size,
        dilation: Size = 1,
        padding: Size = 0,
        stride: Size = 1,
    ) -> None:
        self.output_size, self.kernel_size, self.dilation = output_size, kernel_size, dilation
        self.padding, self.stride = padding, stride

    def forward(self, input: Array) -> Array:
        """Shapes ``(N, C * kh * kw, patches)`` to ``(N, C, *output_size)``, or both without N."""
        return functional.fold(
            input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride
        )

    def extra_repr(self) -> str:
        """The size of the images, and the window."""
        return (
            f"output_size={self.output_size}, kernel_size={self.kernel_size}, "
            f"dilation={self.dilation}, padding={self.padding}, stride={self.stride}"
        )
