"""Padding layers.

Not for: the arithmetic (``functional/padding.py``), or the ``padding=`` of other layers.
"""

from __future__ import annotations

from tinygrad_lab.nn import functional
from tinygrad_lab.nn.kernels.windows import Array
from tinygrad_lab.nn.module import Module

__all__ = [
    "CircularPad1d", "CircularPad2d", "CircularPad3d",
    "ConstantPad1d", "ConstantPad2d", "ConstantPad3d",
    "ReflectionPad1d", "ReflectionPad2d", "ReflectionPad3d",
    "ReplicationPad1d", "ReplicationPad2d", "ReplicationPad3d",
    "ZeroPad1d", "ZeroPad2d", "ZeroPad3d",
]  # fmt: skip

Widths = int | tuple[int, ...]


class _Pad(Module):
    """A border on the last axes, ``ndim`` of them."""

    ndim: int
    mode: str = "constant"
    value: float | None = None

    def __init__(self, padding: Widths) -> None:
        several = (
            tuple(padding) if isinstance(padding, (tuple, list)) else (padding,) * self.ndim * 2
        )
        self.padding: tuple[int, ...] = several
        if len(self.padding) != 2 * self.ndim:
            raise ValueError(
                f"padding={padding!r}: expected an integer, or two for each of {self.ndim} axes, "
                "the last axis first"
            )

    def forward(self, input: Array) -> Array:
        """Shape (..., n) to (..., before + n + after), for each axis that has a border."""
        return functional.pad(input, self.padding, self.mode, self.value)

    def extra_repr(self) -> str:
        """The widths."""
        return f"{self.padding}"


class _ConstantPad(_Pad):
    """A border of one value."""

    def __init__(self, padding: Widths, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def extra_repr(self) -> str:
        """The widths, and the value."""
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPad):
    """``value`` around the last axis.

    Examples
    --------
    >>> import numpy as np
    >>> ConstantPad1d((0, 2), 9.0)(np.ones((1, 2)))
    array([[1., 1., 9., 9.]])
    """

    ndim = 1


class ConstantPad2d(_ConstantPad):
    """``value`` around the last two axes."""

    ndim = 2


class ConstantPad3d(_ConstantPad):
    """``value`` around the last three axes."""

    ndim = 3


class ZeroPad1d(_Pad):
    """Zeros around the last axis."""

    ndim, value = 1, 0.0


class ZeroPad2d(_Pad):
    """Zeros around the last two axes.

    Examples
    --------
    >>> import numpy as np
    >>> ZeroPad2d((1, 0, 1, 0))(np.ones((1, 1, 2)))
    array([[[0., 0., 0.],
            [0., 1., 1.]]])
    """

    ndim, value = 2, 0.0


class ZeroPad3d(_Pad):
    """Zeros around the last three axes."""

    ndim, value = 3, 0.0


class ReflectionPad1d(_Pad):
    """Mirror the last axis at the outermost elements, which are not repeated."""

    ndim, mode = 1, "reflect"


class ReflectionPad2d(_Pad):
    """Mirror the last two axes at the outermost elements, which are not repeated.

    Examples
    --------
    >>> import numpy as np
    >>> ReflectionPad2d(1)(np.arange(4).reshape(1, 2, 2))[0]
    array([[3, 2, 3, 2],
           [1, 0, 1, 0],
           [3, 2, 3, 2],
           [1, 0, 1, 0]])
    """

    ndim, mode = 2, "reflect"


class ReflectionPad3d(_Pad):
    """Mirror the last three axes at the outermost elements, which are not repeated."""

    ndim, mode = 3, "reflect"


class ReplicationPad1d(_Pad):
    """Repeat the outermost elements of the last axis.

    Examples
    --------
    >>> import numpy as np
    >>> ReplicationPad1d(2)(np.arange(3).reshape(1, 3))
    array([[0, 0, 0, 1, 2, 2, 2]])
    """

    ndim, mode = 1, "replicate"


class ReplicationPad2d(_Pad):
    """Repeat the outermost elements of the last two axes."""

    ndim, mode = 2, "replicate"


class ReplicationPad3d(_Pad):
    """Repeat the outermost elements of the last three axes."""

    ndim, mode = 3, "replicate"


class CircularPad1d(_Pad):
    """Continue the last axis with the elements from the other end.

    Examples
    --------
    >>> import numpy as np
    >>> CircularPad1d((2, 1))(np.arange(3).reshape(1, 3))
    array([[1, 2, 0, 1, 2, 0]])
    """

    ndim, mode = 1, "circular"


class CircularPad2d(_Pad):
    """Continue the last two axes with the elements from the other end."""

    ndim, mode = 2, "circular"


class CircularPad3d(_Pad):
    """Continue the last three axes with the elements from the other end."""

    ndim, mode = 3, "circular"
