"""Tell ``float(t)`` from ``math.sin(t)``, which ask a tensor for the same thing.

Both call ``t.__float__()``.  The first is somebody asking for the number; the second would lose
the gradient without a word.  What differs is the function that the calling frame is about to call,
and that is written in its bytecode.
"""

from __future__ import annotations

import dis
import math
import sys
from functools import lru_cache
from types import CodeType

__all__ = ["math_function_calling"]


def math_function_calling() -> str | None:
    """Name the function of ``math`` that called the method that asks, or None.

    Only calls spelled in the code itself are seen (``math.sin(t)``, ``sin(t)``), not ``map``.
    """
    frame = sys._getframe(2)  # noqa: SLF001 - there is no other way to see one's caller
    name = _called_name(frame.f_code, frame.f_lasti)
    if name is None or not hasattr(math, name):
        return None
    bound = frame.f_locals.get(name, frame.f_globals.get(name))
    return None if bound is not None and bound is not getattr(math, name) else name


@lru_cache(maxsize=256)
def _called_name(code: CodeType, offset: int) -> str | None:
    """Find the name of what is called with one argument by the instruction at ``offset``."""
    before = [
        i for i in dis.get_instructions(code) if i.offset <= offset and i.opname not in _QUIET
    ]
    if not before or not before[-1].opname.startswith("CALL"):
        return None
    values_left = before[-1].arg or 0  # the arguments lie above the function on the stack
    for instruction in reversed(before[:-1]):
        if values_left <= 0:
            return instruction.argval if instruction.opname.startswith("LOAD_") else None
        values_left -= dis.stack_effect(instruction.opcode, instruction.arg, jump=False)
    return None


_QUIET = {"CACHE", "PRECALL", "PUSH_NULL", "KW_NAMES", "NOP", "RESUME", "EXTENDED_ARG"}
