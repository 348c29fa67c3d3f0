"""Tell ``float(t)`` from ``math.sin(t)`` and ``a[i] = t``, which ask for the same thing.

All call ``t.__float__()``.  The first asks for the number; the others would lose the gradient in
silence.  What differs is what the calling frame is about to do, and its bytecode says that.
"""

import dis
import math
import sys
from functools import lru_cache
from types import CodeType

import numpy as np

_HARMLESS = {"isfinite", "isinf", "isnan"}
_QUIET = {"CACHE", "PRECALL", "PUSH_NULL", "KW_NAMES", "NOP", "RESUME", "EXTENDED_ARG"}


def what_would_detach() -> tuple[str, str] | None:
    """Say what the caller of the method that asks is doing with the number, and what to do instead.

    Only what is spelled in the code itself is seen: ``math.sin(t)``, ``sin(t)`` and ``a[i] = t``,
    but not ``map(math.sin, ts)``, ``np.float64(t)`` or ``np.fromiter``.
    """
    frame = sys._getframe(2)  # noqa: SLF001 - there is no other way to see one's caller
    if frame.f_globals.get("__name__", "").startswith("numpy."):  # np.interp(..., left=t)
        function = frame.f_code.co_name
        return f"np.{function}(array, ..., t)", f"np.{function}(tl.tensor(array), ..., t)"
    name = _called_name(frame.f_code, frame.f_lasti)
    if name == "a[i] =":
        return "a[i] = t, into a plain array a,", "a = tl.tensor(a) before"
    if name is None or name in _HARMLESS or not hasattr(math, name):
        return None
    bound = frame.f_locals.get(name, frame.f_globals.get(name))
    if bound is not None and bound is not getattr(math, name):
        return None
    return f"math.{name}(t)", f"np.{name}(t)" if hasattr(np, name) else "it in NumPy's functions"


@lru_cache(maxsize=256)
def _called_name(code: CodeType, offset: int) -> str | None:
    """Find the name of what is called with one argument by the instruction at ``offset``."""
    before = [
        i for i in dis.get_instructions(code) if i.offset <= offset and i.opname not in _QUIET
    ]
    if before and before[-1].opname == "STORE_SUBSCR":
        return "a[i] ="
    if not before or not before[-1].opname.startswith("CALL"):
        return None
    values_left = before[-1].arg or 0  # the arguments lie above the function on the stack
    for instruction in reversed(before[:-1]):
        if values_left <= 0:
            return instruction.argval if instruction.opname.startswith("LOAD_") else None
        values_left -= dis.stack_effect(instruction.opcode, instruction.arg, jump=False)
    return None
