"""Linear layers, and those that only pass things on.

Not for: the arithmetic (``functional/affine.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_lab.nn import functional
from tinygrad_lab.nn.arguments import takes_words
from tinygrad_lab.nn.init import Init
from tinygrad_lab.nn.layers.making import Rng, first_values, on_cpu, parameters, positive
from tinygrad_lab.nn.module import Module

__all__ = ["Bilinear", "Flatten", "Identity", "Linear", "Unflatten"]

Array = Any  # a Tensor, or whatever speaks NumPy's protocols


class Linear(Module):
    """``x @ weight.T + bias``, from ``(..., in_features)`` to ``(..., out_features)``.

    Parameters
    ----------
    in_features, out_features : int
        Sizes, 1 or more.
    bias : bool
        Whether to add a bias.
    device : "cpu", optional
        There is no other.
    dtype : dtype, optional
        A float type, float64 by default.
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
    Linear(in_features=4, out_features=7, bias=True)
    >>> layer(np.ones((2, 4))).shape
    (2, 7)
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: npt.DTypeLike | None = None,
        *,
        init: str | Init | None = None,
        rng: Rng = None,
    ) -> None:
        on_cpu(device)
        self.in_features = positive(in_features, "in_features")
        self.out_features = positive(out_features, "out_features")
        shape = (self.out_features, self.in_features)
        self.weight, self.bias = parameters(shape, bias, dtype, init, rng)

    def forward(self, input: Array) -> Array:
        """Shapes (..., in) to (..., out)."""
        return functional.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        """Sizes, and whether there is a bias."""
        sizes = f"in_features={self.in_features}, out_features={self.out_features}"
        return f"{sizes}, bias={self.bias is not None}"


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
    """Make one axis of the axes from ``start_dim`` to ``end_dim``.

    Examples
    --------
    >>> Flatten()(np.ones((2, 3, 4))).shape
    (2, 12)
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, input: Array) -> Array:
        """Shapes (N, ...) to (N, features), by default."""
        start, end = (
            axis + input.ndim if axis < 0 else axis for axis in (self.start_dim, self.end_dim)
        )
        if not 0 <= start <= end < input.ndim:
            raise ValueError(
                f"cannot flatten axes {self.start_dim} to {self.end_dim} of shape {input.shape}"
            )
        length = int(np.prod(input.shape[start : end + 1], dtype=int))
        return input.reshape((*input.shape[:start], length, *input.shape[end + 1 :]))

    def extra_repr(self) -> str:
        """The axes."""
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """Make several axes of one.

    Parameters
    ----------
    dim : int
        The axis.
    unflattened_size : sequence of int
        The sizes of the axes in its place; one may be -1, for what is left.

    Raises
    ------
    ValueError
        The sizes do not make that of the axis.

    Examples
    --------
    >>> Unflatten(1, (2, -1))(np.ones((5, 6))).shape
    (5, 2, 3)
    """

    @takes_words
    def __init__(self, dim: int, unflattened_size: Sequence[int]) -> None:
        self.dim, self.unflattened_size = dim, tuple(unflattened_size)

    def forward(self, input: Array) -> Array:
        """Shapes ``(..., n, ...)`` to ``(..., *unflattened_size, ...)``."""
        if not -input.ndim <= self.dim < input.ndim:
            raise ValueError(f"there is no axis {self.dim} in shape {input.shape} to unflatten")
        dim = self.dim % input.ndim
        length, sizes = input.shape[dim], self.unflattened_size
        others = prod(size for size in sizes if size != -1)
        fits = sizes.count(-1) < 2 and (
            others == length if -1 not in sizes else others and length % others == 0
        )
        if not fits:
            raise ValueError(
                f"an axis of {length} (axis {self.dim} of shape {input.shape}) cannot be "
                f"unflattened to {sizes}"
            )
        return input.reshape((*input.shape[:dim], *sizes, *input.shape[dim + 1 :]))

    def extra_repr(self) -> str:
        """The axis and the sizes."""
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"


class Identity(Module):
    """Return the input; any arguments it is made with have no effect, as in PyTorch."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def forward(self, input: Array) -> Array:
        """Keep the shape."""
        return input
