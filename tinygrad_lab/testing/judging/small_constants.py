"""The small constants in the text of a function, and the function without one of them.

``log(softmax(x) + 1e-12)`` is looked through with all functions of Python that it calls: what
they write, take by default, or find in a global variable or around them.

Not for: whether a gradient leaves it out (``left_out.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import CellType, CodeType, FunctionType
from typing import Any

SMALLEST, LARGEST = 1e-20, 1e-2  # that somebody writes to avoid a division by zero
DEEPEST = 4  # calls inside of calls


def small_constants(fn: Any) -> list[float]:
    """List them, the smallest last."""
    constants: set[float] = set()

    def noticed(x: float) -> float:
        constants.add(x)
        return x

    _replaced(fn, noticed)
    return sorted(constants, reverse=True)


def without(fn: Any, constant: float) -> Any:
    """Give the function with 0 in place of a constant, wherever it stands."""
    return _replaced(fn, lambda x: 0.0 if x == constant else x)


Change = Callable[[float], float]


def _replaced(value: Any, change: Change, depth: int = 0) -> Any:
    """Change the small numbers in a function, or in what a variable holds."""
    if type(value) is float:
        return change(value) if SMALLEST < value < LARGEST else value
    if type(value) is not FunctionType or depth > DEEPEST:
        return value
    names = set(_names(value.__code__))
    used = {k: v for k, v in value.__globals__.items() if k in names and v is not value}
    around = _values(used, change, depth)
    made = FunctionType(
        _in_code(value.__code__, change),
        {**value.__globals__, **around},
        value.__name__,
        tuple(_replaced(x, change, depth + 1) for x in value.__defaults__ or ()) or None,
        tuple(_in_cell(cell, value, change, depth) for cell in value.__closure__ or ()) or None,
    )
    made.__kwdefaults__ = _values(value.__kwdefaults__ or {}, change, depth) or None
    return made


def _values(named: Mapping[str, Any], change: Change, depth: int) -> dict[str, Any]:
    return {name: _replaced(x, change, depth + 1) for name, x in named.items()}


def _in_cell(cell: CellType, owner: Any, change: Change, depth: int) -> CellType:
    try:
        value = cell.cell_contents
    except ValueError:  # nothing is in it yet
        return cell
    return cell if value is owner else CellType(_replaced(value, change, depth + 1))


def _in_code(code: CodeType, change: Change) -> CodeType:
    """Change the numbers that are written in a function, and in those inside of it."""

    def changed(x: Any) -> Any:
        return _in_code(x, change) if isinstance(x, CodeType) else _replaced(x, change)

    return code.replace(co_consts=tuple(map(changed, code.co_consts)))


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _names(inner)
