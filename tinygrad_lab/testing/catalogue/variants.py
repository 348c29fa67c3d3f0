"""Calls for the catalogue by shapes and options: what most of NumPy's functions need.

Not for: the entries themselves (``catalogue*.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tinygrad_lab.testing.catalogue import (
    ENOUGH,
    Call,
    Shape,
    Strategy,
    arrays,
    degenerate_versions,
)

Shapes = Sequence[tuple[Shape, ...]]
NONE: list[dict[str, Any]] = [{}]


@st.composite
def variants(
    draw: Any,
    op: Callable[..., Any],
    shapes: Shapes,
    options: Sequence[dict[str, Any]] = NONE,
    *,
    values: Sequence[float] = ENOUGH,
    unique: bool = False,
    through: Callable[..., Any] | None = None,
    never: Sequence[str] = (),
) -> Call:
    """``op(*arrays, **kwargs)``: arrays of one of ``shapes``, with one of the ``options``.

    ``through`` is called in place of ``op``, and calls it: with arguments of its own, in a row.
    ``never`` names the kinds of degenerate shapes that have no value, or none that depends on it.
    """
    sides = draw(st.sampled_from(degenerate_versions(shapes, never)))
    kwargs = draw(st.sampled_from(options))
    operands = [draw(arrays(side, values, unique=unique)) for side in sides]
    f = op if through is None else through
    text = ", ".join(["x"] * len(sides) + [f"{key}={value!r}" for key, value in kwargs.items()])
    return Call(f"{op.__name__}({text})", lambda *x: f(*x, **kwargs), operands)


def in_a_row(op: Callable[..., Any]) -> Callable[..., Any]:
    """All results of ``op``, one after the other, in one array."""
    return lambda *x, **kwargs: np.concatenate([np.ravel(part) for part in op(*x, **kwargs)])


def of_a_list(op: Callable[..., Any]) -> Callable[..., Any]:
    """``op`` of its arguments as one list."""
    return lambda *x, **kwargs: op(list(x), **kwargs)


def one_of(*strategies: Strategy[Call]) -> Strategy[Call]:
    return st.one_of(*strategies)
