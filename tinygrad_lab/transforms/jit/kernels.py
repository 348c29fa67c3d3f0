"""Which primitives are one instruction of a program, and what they say in NumPy alone.

A primitive's body is recorded as the NumPy calls that it makes.  One whose body writes in place, or
has a way of its own for NumPy's arrays (convolution, pooling), is a *kernel*: one instruction, and
where a program is printed, a few lines that compute the same.

Not for: kernels themselves (``core/rules/``, ``nn/``).
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from tinygrad_lab.core.operations import Op
from tinygrad_lab.core.rules import creation, indexing

__all__ = ["DEFINITIONS", "MULTIPLY_ADDS", "PLAIN", "is_kernel", "kernel"]

#: The kernels, and the function whose text says the same with NumPy alone.
DEFINITIONS: dict[Op, Callable[..., Any]] = {}

#: Primitives that say what a function of Python's says: they are recorded as a call of that.
PLAIN: dict[Op, Op] = {indexing.getitem: operator.getitem, creation.as_float: float}


#: Of those that multiply and add, how often: from the shapes of the result and of the operands.
MULTIPLY_ADDS: dict[Op, Callable[..., int]] = {}


def kernel(
    op: Op, definition: Callable[..., Any], multiply_adds: Callable[..., int] | None = None
) -> None:
    """Declare that a primitive is one instruction, what it says, and what it costs."""
    DEFINITIONS[op] = definition
    if multiply_adds is not None:
        MULTIPLY_ADDS[op] = multiply_adds


def is_kernel(op: Op) -> bool:
    """Whether a primitive is recorded as one instruction."""
    return op in DEFINITIONS
