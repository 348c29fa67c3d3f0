"""The form of one gradient: whether it is an array of floats in the shape of its input.

What is not may still stand for one.  ``b - rate * db`` is right for a ``b`` of shape (1, 3) and a
``db`` of shape (3,), and for integers, a Python number or another precision as well; but for a
``b`` of shape (3,) and a ``db`` of shape (3, 1) it has nine elements.  What further rules are given
has to have the shape itself.

Not for: the numbers in it (``properties/numbers.py``).
"""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_lab.testing.judging.arrays import Array, array_of
from tinygrad_lab.testing.judging.judgement import Kind


@dataclass(frozen=True)
class Form:
    """What a gradient is, beside what it should be."""

    array: Array  # the floats it stands for, in the shape of the input; NaN where it is for none
    kind: Kind | None = None  # in what it differs from an array of floats in that shape
    is_harmless: bool = True  # as it is, it can make no number wrong
    facts: Mapping[str, Any] = field(default_factory=dict)
    is_missing: bool = False  # whether it stands for no array


def form_of(gradient: Any, x: Array) -> Form:
    """Compare a gradient with the input that it belongs to."""
    nothing = np.full(x.shape, np.nan)
    gradient = array_of(gradient)
    if gradient is None:
        return Form(nothing, Kind.MISSING, is_harmless=False, is_missing=True)
    is_number = isinstance(gradient, (np.ndarray, np.generic, numbers.Real))
    # a copy, for it may be written into again; a Python number has no precision of its own
    dtype = x.dtype if type(gradient) in (int, float) else None
    g = np.array(gradient, dtype) if is_number else nothing
    if not is_number or g.dtype.kind not in "fiub":
        what = getattr(gradient, "dtype", type(gradient).__name__)
        return Form(
            nothing, Kind.NOT_FLOAT, is_harmless=False, facts={"what": what}, is_missing=True
        )
    wide = g if g.dtype.kind == "f" else g.astype(np.float64)
    if g.shape != x.shape:
        facts = {"shape": g.shape, "expected": x.shape, **_relation(g.shape, x.shape)}
        if _only_axes_of_one(g.shape, x.shape):
            is_stretched = np.broadcast_shapes(g.shape, x.shape) == x.shape
            return Form(wide.reshape(x.shape), Kind.SHAPE, is_harmless=is_stretched, facts=facts)
        return Form(nothing, Kind.SHAPE, is_harmless=False, facts=facts, is_missing=True)
    if g.dtype.kind != "f":
        return Form(wide, Kind.NOT_FLOAT, facts={"what": g.dtype})
    if g.dtype != x.dtype:
        return Form(g, Kind.DTYPE, facts={"dtype": g.dtype, "expected": x.dtype})
    return Form(g)


def _only_axes_of_one(shape: tuple[int, ...], expected: tuple[int, ...]) -> bool:
    """Whether two shapes differ by axes of length one alone."""
    return [n for n in shape if n != 1] == [n for n in expected if n != 1]


def _relation(shape: tuple[int, ...], expected: tuple[int, ...]) -> dict[str, bool]:
    """Say whether a gradient has the shape of its operand stretched, or transposed."""
    try:
        if np.broadcast_shapes(shape, expected) == shape:
            return {"stretched": True}
    except ValueError:
        pass
    return {"transposed": True} if shape == expected[::-1] else {}
