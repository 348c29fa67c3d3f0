"""Where nothing flows in, nothing flows out: an upstream of exactly 0 stays 0.

It must not become NaN by meeting an infinite slope, as in ``where(x > 0, sqrt(x), 0)`` at 0.  That
is an invalid operation (0 * inf, 0 / 0), which the floating-point unit flags by itself: the pass
runs with these raising, and a rule that raised runs once more, with care.

Nor must it by meeting a NaN that the forward pass left aside, as in ``where(isnan(x), 0, x * x)``.
That can only happen below an operation that leaves elements out: from the first one on that left
out a NaN, the whole pass takes care.
"""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import numpy as np

from tinygrad_lab.core.errors import BatchedValueError
from tinygrad_lab.core.levels import in_turn, innermost_array, somewhere
from tinygrad_lab.core.modes import WATCH, current_mode, enable_grad
from tinygrad_lab.core.operations import NUMPYS, Array, Rule
from tinygrad_lab.core.several import every

if TYPE_CHECKING:
    from tinygrad_lab.core.engine import Node

_SMALL = 256  # elements: looking at these costs no more than remembering to have looked


def rescued(
    error: Exception, op: Any, rule: Rule, g: Array, value: Array, args: Any, kwargs: Any
) -> Array:
    """Run a rule again, one that answers for no whole batch for each example.

    Where its arithmetic was invalid somewhere, zeros are kept zero.
    """
    if isinstance(error, BatchedValueError):
        rule = partial(in_turn, error, rule)
        try:
            return with_zeros(op, g, rule(g, value, *args, **kwargs))
        except FloatingPointError:
            pass
    recording = enable_grad() if current_mode() is WATCH else nullcontext()  # not to stop at it
    with np.errstate(invalid="ignore"), recording:
        try:
            return with_zeros(op, g, rule(g, value, *args, **kwargs))
        except BatchedValueError as batched:
            return with_zeros(op, g, in_turn(batched, rule, g, value, *args, **kwargs))


def hides_nan(node: Node, clean: WeakValueDictionary[int, Any]) -> bool:
    """Whether a tracked operand of a call holds a NaN, which its result may have left out.

    Large arrays without one are remembered in ``clean``: one may be indexed many times.
    """
    for operand, parent in zip(map(innermost_array, node.args), node.parents or ()):
        if parent is None or type(operand) not in NUMPYS:
            continue
        is_large = operand.size > _SMALL
        if is_large and clean.get(id(operand)) is operand:
            continue
        if np.isnan(operand).any():
            return True
        if is_large:
            clean[id(operand)] = operand
    return False


def with_zeros(op: Any, g: Array, answer: Any) -> Any:
    """Give what a rule answered, with zeros where nothing came in."""
    return every(partial(_with_zero, op, g), answer)


def _with_zero(op: Any, g: Array, c: Array) -> Array:
    if c.shape == g.shape and getattr(op, "signature", None) is None:
        return np.where((g == 0) & np.isnan(c), 0, c)
    # Not elementwise: an element of c meets more than one of g.
    nothing = ~np.any(g != 0)
    return np.where(np.isnan(c) & nothing, 0, c) if somewhere(nothing) else c
