"""Lengths of 0, and lengths whose squares are beyond floats: absolute values, norms and spreads.

A length gives back ``g * part / length`` to its parts, and nothing where it is 0: there it has a
kink.  But a function that is even in the length, as its square, has a second derivative: ``g`` is 0
there too, and ``g / length`` is the slope of ``g``.  Of others the second derivative is infinite.

What a length gives back depends on the directions of its parts alone.  So where their squares
overflow or underflow, and NumPy's length is infinite or 0, it is that of the parts in another unit.

Not for: the lengths themselves, or their first derivatives.
"""

from typing import Any

import numpy as np

from tinygrad_lab.core import degenerate
from tinygrad_lab.core.levels import somewhere
from tinygrad_lab.core.operations import defvjp, primitive
from tinygrad_lab.core.rules.arguments import untracked


@primitive
def vanishing(slope, part):
    """``slope * part`` where the part is 0, also if the slope is infinite."""
    return np.where(slope != slope, part, part.dtype.type(0))  # NaN has no place in a 0


defvjp(vanishing, lambda g, y, slope, part: g * part, lambda g, y, slope, part: g * slope)


def slope_at_zero(g, y, at_kink=np.inf, at_curve=None):
    """What g / y is where the length y is 0, and 0 elsewhere; None if nobody will ask.

    ``at_kink`` is the second derivative where the first jumps; ``at_curve``, if given, that of the
    square of a length which is not smooth.
    """
    if not degenerate.is_recorded(g):
        return None
    zero = untracked(y) == 0
    bend = degenerate.bend(g, y) if somewhere(zero & (untracked(g) == 0)) else 0
    if at_curve is not None:
        bend = np.where(untracked(bend) == 0, 0, at_curve)
    return np.where(zero, np.where(untracked(g) == 0, bend, at_kink), 0)


def at_zero(g, y, part, at_kink=np.inf):
    """0, with the slope by ``part`` that ``g * part / y`` has where y is 0."""
    slope = slope_at_zero(g, y, at_kink)
    return 0 if slope is None else vanishing(slope, part)


def out_of_range(length: Any, power: float = 2) -> Any:
    """Where a sum of powers is too large or too small for floats: its parts need not be."""
    total = untracked(length) ** power
    info = np.finfo(total.dtype)
    return (total == np.inf) | (total < info.tiny / info.eps)


def unit(parts: Any, axis: Any, out: Any, extreme: Any = np.max) -> Any:
    """What to measure parts in: where their length is out of range the largest, and else 1."""
    size = extreme(np.abs(untracked(parts)), axis=axis, keepdims=True)
    return np.where(out & (size != 0) & (size != np.inf), size, 1)
