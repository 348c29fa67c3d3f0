"""Activations as layers.

Not for: the functions themselves (``functional/activations.py``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_lab.nn import functional
from tinygrad_lab.nn.layers.linear import Identity
from tinygrad_lab.nn.layers.making import Rng, on_cpu, positive
from tinygrad_lab.nn.layers.of_functions import OfFunction
from tinygrad_lab.nn.module import Module
from tinygrad_lab.nn.names import look_up
from tinygrad_lab.nn.parameter import Parameter
from tinygrad_lab.nn.seeds import stream

__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "GLU",
    "SELU",
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "LeakyReLU",
    "LogSigmoid",
    "LogSoftmax",
    "Mish",
    "PReLU",
    "RReLU",
    "ReLU",
    "ReLU6",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softmax2d",
    "Softmin",
    "Softplus",
    "Softshrink",
    "Softsign",
    "Tanh",
    "Tanhshrink",
    "Threshold",
]  # fmt: skip

Array = Any  # a Tensor, or whatever speaks NumPy's protocols


class CELU(OfFunction, function=functional.celu):
    """:func:`tinygrad_lab.nn.functional.celu` as a layer."""


class ELU(OfFunction, function=functional.elu):
    """:func:`tinygrad_lab.nn.functional.elu` as a layer."""


class GELU(OfFunction, function=functional.gelu):
    """:func:`tinygrad_lab.nn.functional.gelu` as a layer."""


class GLU(OfFunction, function=functional.glu):
    """:func:`tinygrad_lab.nn.functional.glu` as a layer."""


class Hardshrink(OfFunction, function=functional.hardshrink):
    """:func:`tinygrad_lab.nn.functional.hardshrink` as a layer."""

    lambd: float

    def extra_repr(self) -> str:
        """The distance."""
        return str(self.lambd)


class Hardsigmoid(OfFunction, function=functional.hardsigmoid):
    """:func:`tinygrad_lab.nn.functional.hardsigmoid` as a layer."""


class Hardswish(OfFunction, function=functional.hardswish):
    """:func:`tinygrad_lab.nn.functional.hardswish` as a layer."""


class Hardtanh(OfFunction, function=functional.hardtanh):
    """:func:`tinygrad_lab.nn.functional.hardtanh` as a layer."""


class LeakyReLU(OfFunction, function=functional.leaky_relu):
    """:func:`tinygrad_lab.nn.functional.leaky_relu` as a layer."""


class LogSigmoid(OfFunction, function=functional.logsigmoid):
    """:func:`tinygrad_lab.nn.functional.logsigmoid` as a layer."""


class LogSoftmax(OfFunction, function=functional.log_softmax, without=("dtype",)):
    """:func:`tinygrad_lab.nn.functional.log_softmax` as a layer."""


class Mish(OfFunction, function=functional.mish):
    """:func:`tinygrad_lab.nn.functional.mish` as a layer."""


class ReLU(OfFunction, function=functional.relu):
    """:func:`tinygrad_lab.nn.functional.relu` as a layer."""


class ReLU6(OfFunction, function=functional.relu6):
    """:func:`tinygrad_lab.nn.functional.relu6` as a layer."""


class SELU(OfFunction, function=functional.selu):
    """:func:`tinygrad_lab.nn.functional.selu` as a layer."""


class SiLU(OfFunction, function=functional.silu):
    """:func:`tinygrad_lab.nn.functional.silu` as a layer."""


class Sigmoid(OfFunction, function=functional.sigmoid):
    """:func:`tinygrad_lab.nn.functional.sigmoid` as a layer."""


class Softmax(OfFunction, function=functional.softmax, without=("dtype",)):
    """:func:`tinygrad_lab.nn.functional.softmax` as a layer."""


class Softmin(OfFunction, function=functional.softmin, without=("dtype",)):
    """:func:`tinygrad_lab.nn.functional.softmin` as a layer."""


class Softplus(OfFunction, function=functional.softplus):
    """:func:`tinygrad_lab.nn.functional.softplus` as a layer."""


class Softshrink(OfFunction, function=functional.softshrink):
    """:func:`tinygrad_lab.nn.functional.softshrink` as a layer."""

    lambd: float

    def extra_repr(self) -> str:
        """The distance."""
        return str(self.lambd)


class Softsign(OfFunction, function=functional.softsign):
    """:func:`tinygrad_lab.nn.functional.softsign` as a layer."""


class Tanh(OfFunction, function=functional.tanh):
    """:func:`tinygrad_lab.nn.functional.tanh` as a layer."""


class Tanhshrink(OfFunction, function=functional.tanhshrink):
    """:func:`tinygrad_lab.nn.functional.tanhshrink` as a layer."""


class Threshold(OfFunction, function=functional.threshold):
    """:func:`tinygrad_lab.nn.functional.threshold` as a layer."""


class Softmax2d(Module):
    """:func:`tinygrad_lab.nn.functional.softmax` over the channels of images, (N, C, H, W)."""

    def forward(self, input: Array) -> Array:
        """Keep the shape, which has three axes or four."""
        if input.ndim not in (3, 4):
            raise ValueError(
                f"Softmax2d of shape {input.shape}: expected images (N, C, H, W) or (C, H, W)"
            )
        return functional.softmax(input, -3)


class PReLU(Module):
    """:func:`tinygrad_lab.nn.functional.prelu` with its slopes: one, or one for each channel.

    Attributes
    ----------
    weight : Parameter, shape (num_parameters,)
        The slopes, which begin with ``init``.
    """

    def __init__(
        self,
        num_parameters: int = 1,
        init: float = 0.25,
        device: Any = None,
        dtype: npt.DTypeLike = np.float64,
    ) -> None:
        on_cpu(device)
        self.num_parameters = positive(num_parameters, "num_parameters")
        self.weight = Parameter(np.full(num_parameters, init, dtype))

    def forward(self, input: Array) -> Array:
        """Keep the shape."""
        return functional.prelu(input, self.weight)

    def extra_repr(self) -> str:
        """How many slopes there are."""
        return f"num_parameters={self.num_parameters}"


class RReLU(Module):
    """:func:`tinygrad_lab.nn.functional.rrelu`: in training it draws the slopes from ``rng``."""

    def __init__(
        self, lower: float = 1 / 8, upper: float = 1 / 3, inplace: bool = False, *, rng: Rng = None
    ) -> None:
        self.lower, self.upper, self.inplace = lower, upper, inplace
        self._rng = stream(rng)

    def forward(self, input: Array) -> Array:
        """Keep the shape."""
        return functional.rrelu(input, self.lower, self.upper, self.training, rng=self._rng)

    def extra_repr(self) -> str:
        """The range of the slopes."""
        return f"lower={self.lower}, upper={self.upper}" + ", inplace=True" * self.inplace


#: The activations by name, as ``nn.MLP`` takes them: those that can do without arguments.
ACTIVATIONS: dict[str, Callable[[], Module]] = {
    "celu": CELU,
    "elu": ELU,
    "gelu": GELU,
    "hardsigmoid": Hardsigmoid,
    "hardswish": Hardswish,
    "hardtanh": Hardtanh,
    "identity": Identity,
    "leaky_relu": LeakyReLU,
    "log_softmax": LogSoftmax,
    "logsigmoid": LogSigmoid,
    "mish": Mish,
    "none": Identity,
    "prelu": PReLU,
    "relu": ReLU,
    "relu6": ReLU6,
    "selu": SELU,
    "sigmoid": Sigmoid,
    "silu": SiLU,
    "softmax": Softmax,
    "softplus": Softplus,
    "softsign": Softsign,
    "tanh": Tanh,
}


def activation(chosen: str | Callable[[Any], Any] | None) -> Callable[[Any], Any]:
    """Find a layer by its activation's name; a function is taken as it is, a class is called."""
    if chosen is None:
        return Identity()
    if isinstance(chosen, type):
        return chosen()  # nn.ReLU for nn.ReLU()
    return chosen if callable(chosen) else look_up(chosen, ACTIVATIONS, "activation")()
