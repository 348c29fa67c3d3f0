"""Hypothesis strategies for what gradients are tested on.

Not for: calls of particular operations (``catalogue``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from tinygrad_lab.testing.inputs import calls
from tinygrad_lab.testing.inputs.calls import Shape
from tinygrad_lab.testing.judging.properties.form import layouts_of

__all__ = [
    "SPECIAL", "Axes", "Domain", "Graph", "at_kinks", "axes", "broadcastable", "graphs",
    "integers_exact", "layouts", "tensors", "upstreams",
]  # fmt: skip

Array = NDArray[Any]

#: Where derivatives go wrong: zeros, ties, saturation.
SPECIAL = (0.0, 1.0, -1.0, 2.0, 1000.0, -1000.0)


@dataclass(frozen=True)
class Domain:
    """An interval that inputs are taken from, and points that they keep away from.

    Raises
    ------
    ValueError
        There is nothing between its ends.

    Examples
    --------
    >>> Domain(-1, 1, away=[0]).values
    [-0.25, 0.25, -0.5, 0.5, -0.75, 0.75, -1.0, 1.0]
    """

    low: float = -3.0
    high: float = 3.0
    away: Sequence[float] = ()

    def __post_init__(self) -> None:
        """Refuse an interval with nothing in it."""
        if not self.low < self.high:
            raise ValueError(f"Domain({self.low}, {self.high}): the lower end comes first")

    @property
    def values(self) -> list[float]:
        """The numbers inputs are made of, quarters or finer, the simplest first."""
        if self.high - self.low >= 1:
            return calls.grid(self.low, self.high, self.away)
        points = np.linspace(self.low, self.high, 17)
        near = (self.high - self.low) / 20
        allowed = [float(p) for p in points if all(abs(p - a) > near for a in self.away)]
        return sorted(allowed, key=abs)


def tensors(
    number: int = 1,
    *,
    broadcast: bool = False,
    shape: Shape | None = None,
    domain: Domain | None = None,
    unique: bool = False,
) -> st.SearchStrategy[tuple[Array, ...]]:
    """Tuples of float64 arrays, of one shape or of shapes that broadcast.

    Parameters
    ----------
    number : int
        How many arrays.
    broadcast : bool
        Let their shapes differ, where they broadcast together.
    shape : tuple of int, optional
        The shape of all of them; by default any with up to three axes.
    domain : Domain, optional
        Where the values lie.
    unique : bool
        No two elements of an array are equal: no ties.

    Examples
    --------
    >>> strategy = tensors(2, broadcast=True, domain=Domain(0, 1))
    """
    return _of_values((domain or Domain()).values, number, broadcast, shape, unique)


@st.composite
def _of_values(
    draw: Any, values: Any, number: int, broadcast: bool, shape: Any, unique: bool = False
) -> tuple[Array, ...]:
    if shape is None and broadcast:
        sides = draw(calls.broadcasting(number))
    else:
        sides = [draw(calls.shapes()) if shape is None else shape] * number
    return tuple(draw(calls.arrays(s, values, unique=unique)) for s in sides)


def broadcastable(
    number: int = 2, domain: Domain | None = None
) -> st.SearchStrategy[tuple[Array, ...]]:
    """Tuples of arrays of different shapes that broadcast together."""
    return tensors(number, broadcast=True, domain=domain)


@dataclass(frozen=True)
class Axes:
    """Axes of whatever array comes first; ``gradtest`` draws them when it knows its shape."""

    several: bool = True

    def of(self, ndim: int) -> st.SearchStrategy[Any]:
        """Give the axes of an array with so many of them."""
        if self.several:
            return calls.axes(ndim)
        return calls.any_axis(ndim) if ndim else st.none()


def axes(ndim: int | None = None, several: bool = True) -> Any:
    """None, an axis from the front or from the back, a tuple of them in any order.

    Without ``ndim``, those of the first input of a ``gradtest``.
    """
    return Axes(several) if ndim is None else Axes(several).of(ndim)


def upstreams(shape: Shape) -> st.SearchStrategy[Array]:
    """Upstream gradients of either sign, zeros among them."""
    return calls.arrays(shape, [1.0, -1.0, 0.5, -2.0, 0.0, 3.0])


def layouts(x: Array) -> st.SearchStrategy[Array]:
    """The same values in any memory layout: C, Fortran, with gaps, reversed."""
    return st.sampled_from(layouts_of(np.asarray(x)))


def integers_exact(number: int = 1, *, shape: Shape | None = None) -> Any:
    """Arrays of small whole numbers, on which linear operations make no rounding error."""
    whole = [float(n) for n in (0, 1, -1, 2, -2, 3, -3, 4, -4)]
    return _of_values(whole, number, False, shape)


def at_kinks(number: int = 1, *, broadcast: bool = False, shape: Shape | None = None) -> Any:
    """Arrays of few special values: zeros, ties within and between arrays, saturation."""
    return _of_values(SPECIAL, number, broadcast, shape)


_OPERATIONS: dict[str, Callable[..., Any]] = {
    "add": lambda a, b: a + b,
    "multiply": lambda a, b: a * b,
    "subtract": lambda a, b: a - b,
    "sin": lambda a, b: np.sin(a),
    "tanh": lambda a, b: np.tanh(a),
    "square": lambda a, b: np.tanh(a) ** 2,
    "transpose": lambda a, b: a.T @ b if a.ndim == 2 else a * b,
    "mean": lambda a, b: a.mean(axis=0) + b,
    "pick": lambda a, b: a[..., [1, 0, 0]] * 2.0,
}


@dataclass(frozen=True)
class Graph:
    """A random composite function of some inputs: a list of operations on earlier results.

    Operands are named by how far back they lie, so that the list stays valid whichever of its
    items are deleted: that is how it shrinks.
    """

    records: tuple[tuple[str, int, int], ...]
    __name__: str = "graph"

    def __call__(self, *inputs: Any) -> Any:
        """Compute one number of everything that was made."""
        values = list(inputs)
        for name, i, j in self.records:
            a, b = values[-1 - i % len(values)], values[-1 - j % len(values)]
            values.append(_OPERATIONS[name](a, b))
        return sum((np.tanh(v).sum() for v in values[1:]), np.tanh(values[0]).sum())


def graphs(most: int = 12) -> st.SearchStrategy[Graph]:
    """Functions of arrays of shape (3, 3) with fan-out, reuse and dead ends."""
    record = st.tuples(st.sampled_from(list(_OPERATIONS)), st.integers(0, 5), st.integers(0, 5))
    return st.lists(record, max_size=most).map(lambda records: Graph(tuple(records)))
