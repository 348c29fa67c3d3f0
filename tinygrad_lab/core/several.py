"""Operations with several results (``eigh``, ``svd``, ``slogdet`` ...), as the engine sees them.

The call is one node, whose value is the tuple of results; each result is a node of its own that
picks one of them.  What comes back from the picks is gathered as :class:`Parts`, and the rule of
the operation reads the parts it was given.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygrad_lab.core.primitive import batches, defvjp

__all__ = ["Outputs", "Parts", "pick"]


class _Several:
    """Stands for the shape and the dtype of what has more than one."""

    kind = "f"


_SEVERAL = _Several()


class Outputs(tuple[Any, ...]):
    """The results of one call."""

    __slots__ = ()
    shape = dtype = _SEVERAL


class Parts(dict[int, Any]):
    """Cotangents of some of the results of one call, by their positions."""

    shape = dtype = _SEVERAL

    def __add__(self, other: Parts) -> Parts:
        both = {i: self[i] + other[i] for i in self.keys() & other.keys()}
        return Parts({**self, **other, **both})

    def of(self, position: int, outputs: Outputs) -> Any:
        """Give the cotangent of one result: zeros where nothing came back."""
        return self[position] if position in self else np.zeros_like(outputs[position])

    def one_by_one(self) -> Iterator[Parts]:
        """Give the members of a batch of cotangents, each as parts."""
        for together in zip(*self.values(), strict=True):
            yield Parts(zip(self.keys(), together, strict=True))


def pick(outputs: Outputs, position: int) -> Any:
    """Take one of the results of a call."""
    return outputs[position]


defvjp(pick, lambda g, y, outputs, position: Parts({position: g}))
batches(pick)
