"""Activations as layers.

Not for: the functions themselves (``functional/activations.py``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_lab.nn import functional
from tinygrad_lab.nn.arguments import takes_words
from tinygrad_lab.nn.layers.linear import Identity
from tinygrad_lab.nn.module import Module
from tinygrad_lab.nn.names import look_up

__all__ = [
    "ELU", "GELU", "LeakyReLU", "LogSoftmax", "ReLU", "SiLU", "Sigmoid", "Softmax", "Softplus",
    "Tanh",
]  # fmt: skip

Array = Any  # a Tensor, or whatever speaks NumPy's protocols


class Sigmoid(Module):
    """:func:`tinygrad_lab.nn.functional.sigmoid` as a layer."""

    def forward(self, x: Array) -> Array:
        """Keep the shape."""
        return functional.sigmoid(x)


class Tanh(Module):
    """:func:`numpy.tanh` as a layer."""

    def forward(self, x: Array) -> Array:
        """Keep the shape."""
        return np.tanh(x)


class ReLU(Module):
    """:func:`tinygrad_lab.nn.functional.relu` as a layer."""

    def forward(self, x: Array) -> Array:
        """Keep the shape."""
        return functional.relu(x)


class LeakyReLU(Module):
    """:func:`tinygrad_lab.nn.functional.leaky_relu` as a layer."""

    def __init__(self, negative_slope: float = 0.01) -> None:
        self.negative_slope = negative_slope

    def forward(self, x: Array) -> Array:
        """Keep the shape."""
        return functional.leaky_relu(x, self.negative_slope)

    def extra_repr(self) -> str:
        """The slope."""
        return f"negative_slope={self.negative_slope}"


class ELU(Module):
    """:func:`tinygrad_lab.nn.functional.elu` as a layer."""

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = alpha

    def forward(self, x: Array) -> Array:
        """Keep the shape."""
        return functional.elu(x, self.alpha)

    def extra_repr(self) -> str:
        """What it tends to."""
        return f"alpha={self.alpha}"


class GELU(Module):
    """:func:`tinygrad_lab.nn.functional.gelu` as a layer."""

    def forward(self, x: Array) -> Array:
        """Keep the shape."""
        return functional.gelu(x)


class SiLU(Module):
    """:func:`tinygrad_lab.nn.functional.silu` as a layer."""

    def forward(self, x: Array) -> Array:
        """Keep the shape."""
        return functional.silu(x)


class Softplus(Module):
    """:func:`tinygrad_lab.nn.functional.softplus` as a layer."""

    def __init__(self, beta: float = 1.0) -> None:
        self.beta = beta

    def forward(self, x: Array) -> Array:
        """Keep the shape."""
        return functional.softplus(x, self.beta)

    def extra_repr(self) -> str:
        """The sharpness."""
        return f"beta={self.beta}"


class Softmax(Module):
    """:func:`tinygrad_lab.nn.functional.softmax` as a layer."""

    @takes_words
    def __init__(self, dim: int | None = None) -> None:
        self.dim = dim

    def forward(self, input: Array) -> Array:
        """Keep the shape."""
        return functional.softmax(input, self.dim)

    def extra_repr(self) -> str:
        """The axis."""
        return f"dim={self.dim}"


class LogSoftmax(Softmax):
    """:func:`tinygrad_lab.nn.functional.log_softmax` as a layer."""

    def forward(self, input: Array) -> Array:
        """Keep the shape."""
        return functional.log_softmax(input, self.dim)


ACTIVATIONS: dict[str, Callable[[], Module]] = {
    "elu": ELU,
    "gelu": GELU,
    "identity": Identity,
    "leaky_relu": LeakyReLU,
    "log_softmax": LogSoftmax,
    "none": Identity,
    "relu": ReLU,
    "sigmoid": Sigmoid,
    "silu": SiLU,
    "softmax": Softmax,
    "softplus": Softplus,
    "tanh": Tanh,
}


def activation(chosen: str | Callable[[Any], Any] | None) -> Callable[[Any], Any]:
    """Find a layer by its activation's name; a function is taken as it is, a class is called."""
    if chosen is None:
        return Identity()
    if isinstance(chosen, type):
        return chosen()  # nn.ReLU for nn.ReLU()
    return chosen if callable(chosen) else look_up(chosen, ACTIVATIONS, "activation")()
