"""Layers that leave things out by chance, in training.

Not for: the arithmetic (``functional/dropouts.py``).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lab.nn import functional
from tinygrad_lab.nn.layers.making import Rng
from tinygrad_lab.nn.module import Module

__all__ = ["Dropout"]

Array = Any  # a Tensor, or whatever speaks NumPy's protocols


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
        return f"p={self.p}, inplace=False"
