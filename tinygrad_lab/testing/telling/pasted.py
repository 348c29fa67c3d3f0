"""Python to be pasted: values with every digit, and a program that shows a wrong rule by itself.

Not for: sentences (``words.py``), or which rule is wrong (``ledger.py``).
"""

from __future__ import annotations

import string
import sys
from typing import Any

import numpy as np

from tinygrad_lab.core.engine import Node
from tinygrad_lab.core.errors import describe, name_of


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
    if not isinstance(x, (np.ndarray, np.generic)):
        return repr(x)
    dtype = "" if x.dtype in (np.float64, np.int64, np.bool_) else f", dtype=np.{x.dtype}"
    if x.size == 0:
        plain = {"i": "int", "b": "bool"}.get(x.dtype.kind, "float")
        return f"np.zeros({x.shape}{dtype or f', dtype={plain}'})"
    text = repr(x.tolist()).replace("nan", "np.nan").replace("inf", "np.inf")
    return f"np.array({text}{dtype})"


def reproducer(node: Node, order: int = 1) -> str:
    """Write a program that checks one recorded call, alone, on what it was given."""
    parameters, values, inside = [], [], []
    for i, (parent, arg) in enumerate(zip(node.parents or (), _shortened(node), strict=False)):
        inside.append(literal(arg))
        if parent is not None:
            values.append(inside[-1])
            inside[-1] = string.ascii_lowercase[i % 26] + ("" if i < 26 else str(i // 26))
            parameters.append(inside[-1])
    inside += [f"{key}={literal(value)}" for key, value in (node.kwargs or {}).items()]
    imports, spelled = _spelled(node.op)
    check = (
        f"tgt.gradcheck(lambda {', '.join(parameters)}: {spelled}({', '.join(inside)}), "
        f"{', '.join(values)}, {'order=2, ' * (order > 1)}name={name_of(node.op)!r})"
    )
    lines = ["import numpy as np", *imports, "from tinygrad_lab import testing as tgt", check]
    text = "\n".join(lines)
    if len(text) > 4000:
        sizes = ", ".join(describe(arg) for arg in node.args)
        return f"# {spelled}({sizes}): too large to print; see finding.blame.guilty.node.args"
    return text


def _shortened(node: Node, most: int = 12) -> tuple[Any, ...]:
    """Give the arguments of an elementwise call at some elements only, where there are many."""
    op, shape = node.op, getattr(node.value, "shape", ())
    elementwise = isinstance(op, np.ufunc) and op.signature is None
    if not elementwise or np.prod(shape) <= most:
        return tuple(node.args)
    places = np.linspace(0, np.prod(shape) - 1, most).astype(int)
    return tuple(np.broadcast_to(a, shape).ravel()[places] for a in node.args)


def _spelled(op: Any) -> tuple[list[str], str]:
    module, name = getattr(op, "__module__", "") or "", name_of(op)
    if module.startswith("numpy") or isinstance(op, np.ufunc):
        return [], f"np.{name}"
    if "<" in getattr(op, "__qualname__", ""):
        return [f"# {name} was defined inside a function: define it here first"], name
    if getattr(sys.modules.get(module), name, None) is op and module != "__main__":
        return [f"from {module} import {name}"], name
    return [f"# {name} is not importable from {module}: define it here first"], name
