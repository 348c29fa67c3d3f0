"""Python to be pasted: values with every digit, and functions by what they are imported from.

Not for: whole programs (``reproducers.py``), or sentences (``words.py``).
"""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lab.core.errors import name_of


def shown(x: Any) -> str:
    """Write an array so that it can be pasted; of a large one only the shape and the range."""
    text = literal(x)
    if len(text) <= 200 or not isinstance(x, np.ndarray):
        return text
    return f"{x.dtype}{x.shape}, from {x.min():.3g} to {x.max():.3g}"


def literal(x: Any) -> str:
    """Write a value as Python, with every digit."""
    if isinstance(x, (tuple, list)):
        inside = ", ".join(map(literal, x))
        if isinstance(x, list):
            return f"[{inside}]"
        return f"({inside},)" if len(x) == 1 else f"({inside})"
    if isinstance(x, np.dtype):
        return f"np.dtype({x.name!r})"
    if isinstance(x, type) and issubclass(x, np.generic):
        return f"np.{x.__name__}"
    if isinstance(x, (float, complex)) and not isinstance(x, np.generic):
        return _with_names(repr(x))
    if not isinstance(x, (np.ndarray, np.generic)):
        return repr(x)
    dtype = "" if x.dtype in (np.float64, np.int64, np.bool_) else f", dtype=np.{x.dtype}"
    if x.size == 0:
        plain = {"i": "int", "b": "bool"}.get(x.dtype.kind, "float")
        return f"np.zeros({x.shape}{dtype or f', dtype={plain}'})"
    return f"np.array({_with_names(repr(x.tolist()))}{dtype})"


def _with_names(text: str) -> str:
    """Write numbers that are no literals by their names in NumPy."""
    return text.replace("nan", "np.nan").replace("inf", "np.inf")


class Spelling(NamedTuple):
    """How a function is written in a program: after which line, and under which name."""

    line: str  # an import, or a comment where there is none to write
    name: str
    stands_alone: bool  # whether the line brings it


def spelled(function: Any) -> Spelling:
    """Write a function by what it can be imported from."""
    owner = getattr(function, "__self__", None)
    if isinstance(owner, type):  # the ``apply`` of a torch.autograd.Function
        return spelled(owner)._replace(name=f"{spelled(owner).name}.{function.__name__}")
    module, name = getattr(function, "__module__", "") or "", name_of(function)
    if module.startswith("numpy") or isinstance(function, np.ufunc):
        return Spelling("", f"np.{name}", True)
    path = getattr(function, "__qualname__", name)
    if module != "__main__" and _found(sys.modules.get(module), path) is function:
        return Spelling(f"from {module} import {path.partition('.')[0]}", path, True)
    where = (
        "was defined inside a function"
        if "<" in path
        else f"is not importable from {module or 'anywhere'}"
    )
    return Spelling(f"# {name} {where}: define it here first", name, False)


def _found(module: Any, path: str) -> Any:
    for part in path.split("."):
        module = getattr(module, part, None)
    return module
