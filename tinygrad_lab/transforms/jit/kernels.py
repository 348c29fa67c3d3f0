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

__all__ = ["DEFINITIONS", "PLAIN", "is_kernel", "kernel"]

#: The kernels, and the function whose text says the same with NumPy alone.
DEFINITIONS: dict[Op, Callable[..., Any]] = {}

#: Primitives that say what a function of Python's says: they are recorded as a call of that.
PLAIN: dict[Op, Op] = {indexing.getitem: operator.getitem, creation.as_float: float}


def kernel(op: Op, definition: Callable[..., Any]) -> None:
    """Declare that a primitive is one instruction, and what it says."""
    DEFINITIONS[op] = definition


def is_kernel(op: Op) -> bool:
    """Whether a primitive is recorded as one instruction."""
    return op in DEFINITIONS
