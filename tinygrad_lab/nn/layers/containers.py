"""Modules that hold modules, and what runs them one after the other.

Not for: what all modules can do (``module.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tinygrad_lab.nn.module import Module

__all__ = ["Sequential"]

Array = Any  # a Tensor, or whatever speaks NumPy's protocols


class Sequential(Module):
    """Layers one after the other; their names are their numbers, as in PyTorch.

    Raises
    ------
    TypeError
        Something among them cannot be called.

    Examples
    --------
    >>> from tinygrad_lab.nn import Linear, Sequential, Tanh
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
