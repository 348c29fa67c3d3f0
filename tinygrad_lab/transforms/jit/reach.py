"""What a function can reach, and how it names that.

Not for: what becomes of it (``state.py``).
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Iterable
from contextlib import suppress
from types import FunctionType, ModuleType
from typing import Any

import numpy as np

__all__ = ["is_users", "may_hold_state", "names_in", "parameter_names"]

_PACKAGE = __name__.partition(".")[0]


@functools.cache
def is_users(module: str | None) -> bool:
    """Whether a module is the user's: no part of Python, of NumPy or of what was installed."""
    top = (module or "").partition(".")[0]
    if top == "__main__" or not top:
        return True
    if top in sys.stdlib_module_names or top in ("numpy", _PACKAGE):
        return False
    file = getattr(sys.modules.get(top), "__file__", None) or ""
    return "site-packages" not in file and "dist-packages" not in file


def names_in(function: FunctionType) -> list[str]:
    """The names in a function's code, and in that of the functions inside it."""
    names: dict[str, None] = {}
    waiting = [function.__code__]
    while waiting:
        code = waiting.pop()
        names.update(dict.fromkeys(code.co_names))
        waiting += [c for c in code.co_consts if hasattr(c, "co_names")]
    return list(names)


def may_hold_state(value: Any) -> bool:
    """Whether a value could be, or hold, something that is another in a later call."""
    if isinstance(value, (type, ModuleType)) or value is None:
        return False
    return not isinstance(value, (str, bool, np.ufunc, type(len), type(np.sum)))


def parameter_names(f: Any, count: int) -> list[str]:
    """The names of the first parameters of a function, ``x0`` ... where it has none."""
    parameters: Iterable[inspect.Parameter] = ()
    with suppress(TypeError, ValueError):  # of a ufunc, say
        parameters = inspect.signature(f).parameters.values()
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return [names[i] if i < len(names) else f"x{i}" for i in range(count)]
