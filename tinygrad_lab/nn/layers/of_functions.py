"""Layers that are a function of ``nn.functional``: they hold its options, and call it.

Not for: layers with parameters of their own.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from tinygrad_lab.nn.arguments import takes_words
from tinygrad_lab.nn.module import Module

__all__ = ["OfFunction"]

Array = Any  # a Tensor, or whatever speaks NumPy's protocols


class OfFunction(Module):
    """A layer that calls a function with the options it was made with.

    The options are the arguments of the function that are no arrays, or have a default.  They are
    attributes of the layer; arrays among them, class weights say, are buffers.

    Examples
    --------
    >>> from tinygrad_lab.nn import functional
    >>> from tinygrad_lab.nn.layers.of_functions import OfFunction
    >>> class Shrink(OfFunction, function=functional.softshrink):
    ...     pass
    >>> layer = Shrink(lambd=0.25)
    >>> layer, layer(np.array([1.0])), layer.lambd
    (Shrink(lambd=0.25), array([0.75]), 0.25)
    """

    function: ClassVar[Callable[..., Any]]
    options: ClassVar[tuple[str, ...]]

    def __init_subclass__(
        cls, function: Callable[..., Any] | None = None, without: tuple[str, ...] = ()
    ) -> None:
        """Give the class the options of ``function``, but not those ``without``."""
        if function is None:
            return
        parameters = inspect.signature(function).parameters.values()
        options = [p for p in parameters if not _is_input(p) and p.name not in without]
        cls.function = staticmethod(function)
        cls.options = tuple(p.name for p in options)
        cls.__init__ = _init(cls.__name__, options)  # type: ignore[method-assign]

    def forward(self, *inputs: Array, **named: Array) -> Array:
        """Call the function."""
        if not self.options:  # as most activations
            return type(self).function(*inputs, **named)
        options = {name: getattr(self, name) for name in self.options}
        return type(self).function(*inputs, **named, **options)

    def extra_repr(self) -> str:
        """The options, as PyTorch writes them: ``inplace`` where it is set."""
        values = {name: getattr(self, name) for name in self.options}
        return ", ".join(
            f"{name}={value!r}" for name, value in values.items() if name != "inplace" or value
        )


def _is_input(parameter: inspect.Parameter) -> bool:
    is_array = str(parameter.annotation).startswith("Array")
    return is_array and parameter.default is parameter.empty


def _init(owner: str, options: list[inspect.Parameter]) -> Callable[..., None]:
    """Make the method that keeps options as attributes."""
    own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    signature = inspect.Signature([own, *options])

    def initialise(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            bound = signature.bind(self, *args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{owner}(...): {error}") from None
        bound.apply_defaults()
        for parameter in options:
            value = bound.arguments[parameter.name]
            is_array = str(parameter.annotation).startswith("Array") and value is not None
            is_list = is_array and not hasattr(value, "dtype") and not np.isscalar(value)
            setattr(self, parameter.name, np.array(value) if is_list else value)

    initialise.__signature__ = signature  # type: ignore[attr-defined]
    return takes_words(initialise)
