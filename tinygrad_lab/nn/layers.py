"""Layers: functions with parameters or settings of their own, and ways to stack them.

Arguments, defaults and memory layouts are PyTorch's, plus ``dtype``, ``init`` and ``rng``.
Everything is checked when a layer is built.

Not for: the arithmetic (``functional.py``) or what all layers can do (``module.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import sqrt
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tinygrad_lab.nn import functional
from tinygrad_lab.nn.init import Init, fans, initialiser, uniform
from tinygrad_lab.nn.module import Module
from tinygrad_lab.nn.names import look_up
from tinygrad_lab.nn.parameter import Parameter
from tinygrad_lab.nn.windows import Array, pair

__all__ = [
    "ELU",
    "GELU",
    "MLP",
    "AvgPool2d",
    "Conv2d",
    "Dropout",
    "Flatten",
    "Identity",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "MaxPool2d",
    "ReLU",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Tanh",
]

Size = int | tuple[int, int]
Rng = int | np.random.Generator | None


# -- with parameters --------------------------------------------------------------------------


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
        self.in_features = _positive(in_features, "in_features")
        self.out_features = _positive(out_features, "out_features")
        shape = (self.out_features, self.in_features)
        self.weight, self.bias = _parameters(shape, bias, dtype, init, rng)

    def forward(self, x: Array) -> Array:
        """Shapes (..., in) to (..., out)."""
        return functional.linear(x, self.weight, self.bias)

    def extra_repr(self) -> str:
        """Sizes, and whether there is no bias."""
        bias = "" if self.bias is not None else ", bias=False"
        return f"{self.in_features} -> {self.out_features}{bias}"


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
    Conv2d(3 -> 8, kernel_size=(5, 5), padding=2)
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
        self.in_channels = _positive(in_channels, "in_channels")
        self.out_channels = _positive(out_channels, "out_channels")
        self.kernel_size = pair(kernel_size, "kernel_size", 1)
        self.stride, self.dilation = pair(stride, "stride", 1), pair(dilation, "dilation", 1)
        self.padding, self.groups = padding, _positive(groups, "groups")
        if in_channels % groups or out_channels % groups:
            raise ValueError(
                f"groups={groups} must divide both in_channels={in_channels} and "
                f"out_channels={out_channels}"
            )
        functional.margins(padding, self.kernel_size, self.stride, self.dilation)
        shape = (self.out_channels, self.in_channels // groups, *self.kernel_size)
        self.weight, self.bias = _parameters(shape, bias, dtype, init, rng)

    def forward(self, x: Array) -> Array:
        """Shapes (N, C, H, W) to (N, O, Ho, Wo)."""
        return functional.conv2d(
            x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups
        )

    def extra_repr(self) -> str:
        """Channels, and what differs from the defaults."""
        settings = [f"kernel_size={self.kernel_size}"]
        for name, usual in (
            ("stride", (1, 1)),
            ("padding", 0),
            ("dilation", (1, 1)),
            ("groups", 1),
        ):
            if getattr(self, name) != usual:
                settings.append(f"{name}={getattr(self, name)!r}")
        if self.bias is None:
            settings.append("bias=False")
        return f"{self.in_channels} -> {self.out_channels}, {', '.join(settings)}"


def _parameters(
    shape: tuple[int, ...], bias: bool, dtype: npt.DTypeLike, init: str | Init | None, rng: Rng
) -> tuple[Parameter, Parameter | None]:
    """A weight of ``shape``, and a bias or None."""
    if np.dtype(dtype).kind not in "fc":
        raise ValueError(f"dtype={np.dtype(dtype)}: parameters are floats")
    generator = np.random.default_rng(rng)
    if init is None:
        bound = 1 / sqrt(fans(shape)[0])
        weight = uniform(shape, generator, dtype, low=-bound, high=bound)
        offset = uniform(shape[:1], generator, dtype, low=-bound, high=bound) if bias else None
    else:
        weight = initialiser(init)(shape, generator, dtype)
        if weight.shape != shape:
            raise ValueError(f"init gave shape {weight.shape} for a weight of shape {shape}")
        offset = np.zeros(shape[0], dtype) if bias else None
    return Parameter(weight), None if offset is None else Parameter(offset)


def _positive(value: Any, name: str) -> int:
    if not isinstance(value, (int, np.integer)) or value < 1:
        raise ValueError(f"{name}={value!r}: expected an integer of 1 or more")
    return int(value)


# -- without parameters ------------------------------------------------------------------------


class _Pool2d(Module):
    """The settings that both poolings share."""

    def __init__(
        self, kernel_size: Size, stride: Size | None, padding: Size, ceil_mode: bool
    ) -> None:
        self.kernel_size = pair(kernel_size, "kernel_size", 1)
        self.stride = self.kernel_size if stride is None else pair(stride, "stride", 1)
        self.padding = pair(padding, "padding", 0)
        self.ceil_mode = ceil_mode

    def extra_repr(self) -> str:
        """The window."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}"


class MaxPool2d(_Pool2d):
    """The largest element of each window: :func:`tinygrad_lab.nn.functional.max_pool2d`."""

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        dilation: Size = 1,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__(kernel_size, stride, padding, ceil_mode)
        self.dilation = pair(dilation, "dilation", 1)

    def forward(self, x: Array) -> Array:
        """Shapes (N, C, H, W) to (N, C, Ho, Wo)."""
        return functional.max_pool2d(
            x, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode
        )


class AvgPool2d(_Pool2d):
    """The mean of each window: :func:`tinygrad_lab.nn.functional.avg_pool2d`."""

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__(kernel_size, stride, padding, ceil_mode)
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def forward(self, x: Array) -> Array:
        """Shapes (N, C, H, W) to (N, C, Ho, Wo)."""
        return functional.avg_pool2d(
            x,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
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


class Dropout(Module):
    """In training, set elements to 0 with probability ``p`` and scale the others up.

    It draws from a generator of its own, made from ``rng``.
    """

    def __init__(self, p: float = 0.5, rng: Rng = None) -> None:
        if not 0 <= p <= 1:
            raise ValueError(f"dropout p={p}: expected a probability, 0 to 1")
        self.p = p
        self._rng = np.random.default_rng(rng)

    def forward(self, x: Array) -> Array:
        """Keep the shape."""
        return functional.dropout(x, self.p, self.training, self._rng)

    def extra_repr(self) -> str:
        """The probability."""
        return f"p={self.p}"


class Identity(Module):
    """Return the input."""

    def forward(self, x: Array) -> Array:
        """Keep the shape."""
        return x


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

    def __init__(self, axis: int = -1) -> None:
        self.axis = axis

    def forward(self, x: Array) -> Array:
        """Keep the shape."""
        return functional.softmax(x, self.axis)

    def extra_repr(self) -> str:
        """The axis."""
        return f"axis={self.axis}"


class LogSoftmax(Softmax):
    """:func:`tinygrad_lab.nn.functional.log_softmax` as a layer."""

    def forward(self, x: Array) -> Array:
        """Keep the shape."""
        return functional.log_softmax(x, self.axis)


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


# -- stacked ----------------------------------------------------------------------------------


class Sequential(Module):
    """Layers one after the other; their names are their numbers, as in PyTorch.

    Raises
    ------
    TypeError
        Something among them cannot be called.

    Examples
    --------
    >>> model = Sequential(Linear(2, 3, rng=0), Tanh(), Linear(3, 1, rng=1))
    >>> model
    Sequential(
      (0): Linear(2 -> 3)
      (1): Tanh()
      (2): Linear(3 -> 1)
    )
    >>> [name for name, _ in model.named_parameters()]
    ['0.weight', '0.bias', '2.weight', '2.bias']
    """

    def __init__(self, *layers: Callable[[Any], Any]) -> None:
        for layer in layers:
            self.append(layer)

    def append(self, layer: Callable[[Any], Any]) -> Sequential:
        """Add one more layer at the end."""
        if not callable(layer):
            raise TypeError(f"Sequential takes layers, not {layer!r}; a list needs a star: *layers")
        setattr(self, str(len(self)), layer)
        return self

    def forward(self, x: Array) -> Array:
        """From the first layer's input to the last layer's output."""
        for layer in self:
            x = layer(x)
        return x

    def __len__(self) -> int:
        return sum(map(str.isdigit, vars(self)))

    def __iter__(self) -> Iterator[Callable[[Any], Any]]:
        return iter([layer for name, layer in vars(self).items() if name.isdigit()])

    def __getitem__(self, index: int | slice) -> Any:
        chosen = list(self)[index]
        return Sequential(*chosen) if isinstance(chosen, list) else chosen


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
      (layers.0): Linear(2 -> 3)
      (layers.1): Sigmoid()
      (layers.2): Linear(3 -> 1)
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
        self.sizes = [_positive(size, f"sizes[{i}]") for i, size in enumerate(sizes)]
        if len(self.sizes) < 2:
            raise ValueError(f"sizes={sizes!r}: expected two or more, [inputs, ..., outputs]")
        _activation(activation)  # is checked where there is no hidden layer too
        generator = np.random.default_rng(rng)
        self.layers: list[Callable[[Any], Any]] = []
        for i, (inputs, outputs) in enumerate(zip(self.sizes, self.sizes[1:], strict=False)):
            self.layers.append(Linear(inputs, outputs, bias, dtype, init, generator))
            last = i == len(self.sizes) - 2
            function = _activation(output_activation if last else activation)
            if not isinstance(function, Identity):
                self.layers.append(function)

    def forward(self, x: Array) -> Array:
        """Shapes (..., sizes[0]) to (..., sizes[-1])."""
        for layer in self.layers:
            x = layer(x)
        return x


def _activation(chosen: str | Callable[[Any], Any] | None) -> Callable[[Any], Any]:
    """Find a layer by its activation's name; a function is taken as it is, a class is called."""
    if chosen is None:
        return Identity()
    if isinstance(chosen, type):
        return chosen()  # nn.ReLU for nn.ReLU()
    return chosen if callable(chosen) else look_up(chosen, ACTIVATIONS, "activation")()
