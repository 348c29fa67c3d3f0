"""What one right function is: its text, its gradient by hand, and the inputs to ask it at.

Not for: the functions themselves (a file a family), or asking checkers about them
(``measuring.py``).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.checkers.right.points import Where

__all__ = ["Array", "Right", "elementwise", "of_one_number"]

Array = Any
Backward = Callable[..., Any]


@dataclass(frozen=True)
class Right:
    """A function of arrays, its pullback ``vjp(g, *inputs)``, and where to look at it.

    Both are NumPy's text.  ``torch`` is a text for PyTorch, where that differs in more than the
    name of the library.
    """

    name: str
    f: Callable[..., Any]
    vjp: Backward
    where: Where
    torch: Callable[..., Any] | None = None

    def kind(self, point: int) -> str:
        """Name the kind of a point; a function's kinds take turns."""
        kinds = list(self.where)
        return kinds[point % len(kinds)]

    def inputs(self, point: int) -> tuple[Any, ...]:
        """Draw the inputs of a point: the same ones every time."""
        rng = np.random.default_rng((point, zlib.crc32(self.name.encode())))
        return self.where[self.kind(point)](rng)


def elementwise(
    name: str,
    f: Callable[[Array], Array],
    slope: Callable[[Array], Array],
    where: Where,
    **more: Any,
) -> Right:
    """Make one of a function of each element, and its derivative."""
    return Right(name, f, lambda g, x: g * slope(x), where, **more)


def of_one_number(
    name: str, f: Callable[..., Array], gradient: Callable[..., Any], where: Where, **more: Any
) -> Right:
    """Make one of a function that gives one number, and its gradients by all inputs."""

    def vjp(g: Array, *inputs: Array) -> Any:
        by = gradient(*inputs)
        return tuple(g * d for d in by) if isinstance(by, tuple) else g * by

    return Right(name, f, vjp, where, **more)
