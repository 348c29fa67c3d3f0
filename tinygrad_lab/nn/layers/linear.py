"""Linear layers, and those that only pass things on.

Not for: the arithmetic (``functional/affine.py``).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_lab.nn import functional
from tinygrad_lab.nn.init import Init
from tinygrad_lab.nn.layers.making import Rng, first_values, on_cpu, parameters, positive
from tinygrad_lab.nn.module import Module

__all__ = ["Bilinear", "Flatten", "Identity", "Linear"]

Array = Any  # a Tensor, or whatever speaks NumPy's protocols


class Linear(Module):
    """``x @ weight.T + bias``, from ``(..., in_features)`` to ``(..., out_features)``.

    Parameters
    ----------
    in_features, out_features : int
        Sizes, 1 or more.
    bias : bool
        Whether to add a bias.
    dtype : dtype
        A float type.
    init : str or callable, optional
        Draws the weight (see :mod:`tinygrad_lab.nn.init`); the bias then begins at 0.  By default
        both are uniform within ``1 / sqrt(in_features)``, as in PyTorch.
    rng : int or numpy.random.Generator, optional
        Where the draws come from.

    Raises
    ------
    ValueError
        A size below 1, a dtype that is no float, or an unknown ``init``.

    Examples
    --------
    >>> layer = Linear(4, 7, rng=0)
    >>> layer
    Linear(4 -> 7)
    >>> layer(np.ones((2, 4))).shape
    (2, 7)
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        dtype: npt.DTypeLike = np.float64,
        init: str | Init | None = None,
        rng: Rng = None,
    ) -> None:
        self.in_features = positive(in_features, "in_features")
        self.out_features = positive(out_features, "out_features")
        shape = (self.out_features, self.in_features)
        self.weight, self.bias = parameters(shape, bias, dtype, init, rng)

    def forward(self, x: Array) -> Array:
        """Shapes (..., in) to (..., out)."""
        return functional.linear(x, self.weight, self.bias)

    def extra_repr(self) -> str:
        """Sizes, and whether there is no bias."""
        bias = "" if self.bias is not None else ", bias=False"
        return f"{self.in_features} -> {self.out_features}{bias}"


class Bilinear(Module):
    """:func:`tinygrad_lab.nn.functional.bilinear` as a layer; parameters as :class:`Linear`.

    By default weight and bias are uniform within ``1 / sqrt(in1_features)``, as in PyTorch.

    Examples
    --------
    >>> layer = Bilinear(2, 3, 4, rng=0)
    >>> layer
    Bilinear(in1_features=2, in2_features=3, out_features=4, bias=True)
    >>> layer(np.ones((5, 2)), np.ones((5, 3))).shape
    (5, 4)
    """

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: npt.DTypeLike | None = None,
        *,
        init: str | Init | None = None,
        rng: Rng = None,
    ) -> None:
        on_cpu(device)
        self.in1_features = positive(in1_features, "in1_features")
        self.in2_features = positive(in2_features, "in2_features")
        self.out_features = positive(out_features, "out_features")
        shape = (out_features, in1_features, in2_features)
        generator, bound, dtype = np.random.default_rng(rng), in1_features**-0.5, dtype or float
        self.weight = first_values(shape, bound, dtype, init, generator)
        self.bias = first_values(shape[:1], bound, dtype, init, generator) if bias else None

    def forward(self, input1: Array, input2: Array) -> Array:
        """Shapes (..., in1) and (..., in2) to (..., out)."""
        return functional.bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self) -> str:
        """The sizes, and whether there is a bias."""
        return (
            f"in1_features={self.in1_features}, in2_features={self.in2_features}, "
            f"out_features={self.out_features}, bias={self.bias is not None}"
        )


class Flatten(Module):
    """Make one axis of the axes from ``start_axis`` to ``end_axis``.

    Examples
    --------
    >>> Flatten()(np.ones((2, 3, 4))).shape
    (2, 12)
    """

    def __init__(self, start_axis: int = 1, end_axis: int = -1) -> None:
        self.start_axis, self.end_axis = start_axis, end_axis

    def forward(self, x: Array) -> Array:
        """Shapes (N, ...) to (N, features), by default."""
        start, end = (
            axis + x.ndim if axis < 0 else axis for axis in (self.start_axis, self.end_axis)
        )
        if not 0 <= start <= end < x.ndim:
            raise ValueError(
                f"cannot flatten axes {self.start_axis} to {self.end_axis} of shape {x.shape}"
            )
        length = int(np.prod(x.shape[start : end + 1], dtype=int))
        return x.reshape((*x.shape[:start], length, *x.shape[end + 1 :]))


class Identity(Module):
    """Return the input."""

    def forward(self, x: Array) -> Array:
        """Keep the shape."""
        return x
