"""The multilayer perceptron, in one line.

Not for: the layers that it is made of.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_lab.nn.init import Init
from tinygrad_lab.nn.layers.activations import activation as _activation
from tinygrad_lab.nn.layers.linear import Identity, Linear
from tinygrad_lab.nn.layers.making import Rng, positive
from tinygrad_lab.nn.module import Module

__all__ = ["MLP"]

Array = Any  # a Tensor, or whatever speaks NumPy's protocols


class MLP(Module):
    """A multilayer perceptron: linear layers with an activation after each but the last.

    Parameters
    ----------
    sizes : sequence of int
        Inputs, hidden units of each layer, outputs: two numbers or more.
    activation : str or callable
        After every hidden layer: a name (``"sigmoid"``, ``"relu"``, ``"tanh"`` ...) or a function.
    output_activation : str, callable or None
        After the last layer; none by default, as losses that take logits want it.
    bias, dtype, init
        As in :class:`Linear`, for all layers.
    rng : int or numpy.random.Generator, optional
        Where the draws come from, in the order of the layers.

    Raises
    ------
    ValueError
        A size below 1, fewer than two of them, an unknown activation or ``init``.

    Examples
    --------
    >>> model = MLP([2, 3, 1], rng=0)
    >>> model
    MLP(
      (layers.0): Linear(in_features=2, out_features=3, bias=True)
      (layers.1): Sigmoid()
      (layers.2): Linear(in_features=3, out_features=1, bias=True)
    )
    >>> model(np.zeros((5, 2))).shape
    (5, 1)
    """

    def __init__(
        self,
        sizes: list[int] | tuple[int, ...],
        activation: str | Callable[[Any], Any] = "sigmoid",
        output_activation: str | Callable[[Any], Any] | None = None,
        bias: bool = True,
        init: str | Init | None = None,
        dtype: npt.DTypeLike = np.float64,
        rng: Rng = None,
    ) -> None:
        self.sizes = [positive(size, f"sizes[{i}]") for i, size in enumerate(sizes)]
        if len(self.sizes) < 2:
            raise ValueError(f"sizes={sizes!r}: expected two or more, [inputs, ..., outputs]")
        _activation(activation)  # is checked where there is no hidden layer too
        generator = np.random.default_rng(rng)
        self.layers: list[Callable[[Any], Any]] = []
        for i, (inputs, outputs) in enumerate(zip(self.sizes, self.sizes[1:], strict=False)):
            layer = Linear(inputs, outputs, bias, dtype=dtype, init=init, rng=generator)
            self.layers.append(layer)
            last = i == len(self.sizes) - 2
            function = _activation(output_activation if last else activation)
            if not isinstance(function, Identity):
                self.layers.append(function)

    def forward(self, x: Array) -> Array:
        """Shapes (..., sizes[0]) to (..., sizes[-1])."""
        for layer in self.layers:
            x = layer(x)
        return x
