"""The numbers that stand in the code of a function and of its gradient.

Where a branch begins (``if x > 20``, a block of 32), a gradient goes wrong; so inputs are drawn
around these numbers, and shapes as long.  Code is read, and never run.

Not for: what is drawn around them (``kinds.py``).
"""

from __future__ import annotations

import dis
import functools
import math
import numbers
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from types import CodeType, FunctionType, MethodType
from typing import Any

import numpy as np

MOST_PLACES = 60  # functions, classes and objects that are looked into
FEW = 16  # elements of an array or a container that is taken apart

#: Code of these is not the user's: the numbers in it say nothing of theirs.
LIBRARIES = {
    "autograd", "hypothesis", "jax", "jaxlib", "numpy", "pytest", "scipy", "tinygrad_lab", "torch",
    *sys.stdlib_module_names,
} - {"__main__"}  # fmt: skip


def constants_of(*functions: Any) -> tuple[float, ...]:
    """Collect the numbers in the code of some functions, in the order in which they are met.

    Looked into are what they hold on to (closures, defaults, the attributes of objects and of
    classes) and the functions of the same authors that they call by a global name.

    Examples
    --------
    >>> from tinygrad_lab.testing.inputs.constants import constants_of
    >>> edge = 20.0
    >>> def f(x):
    ...     return x if x > edge else 1.5 * x
    >>> constants_of(f)
    (1.5, 20.0)
    """
    waiting: deque[Any] = deque(functions)
    met: dict[int, Any] = {}  # by id; holds them, so that no id is used again
    collected: dict[float, None] = {}
    while waiting and len(met) < MOST_PLACES:
        item = waiting.popleft()
        if isinstance(item, (int, float, np.integer, np.floating)):
            if math.isfinite(item) and item is not True and item is not False:
                collected.setdefault(float(item))
        elif id(item) not in met and not isinstance(item, (str, bytes)):
            parts = list(_parts_of(item, asked=any(item is f for f in functions)))
            if parts:
                met[id(item)] = item
                waiting.extend(parts)
    return tuple(collected)


def _parts_of(item: Any, asked: bool = False) -> Iterable[Any]:
    """List what an object is made of, as far as numbers may be in it.

    Of a library's functions only those that were asked for by themselves are read.
    """
    if isinstance(item, np.ndarray):
        return item.ravel().tolist() if item.size <= FEW and item.dtype.kind in "iuf" else ()
    if isinstance(item, Mapping):
        return list(item.values())[:FEW]
    if isinstance(item, (tuple, list, set, frozenset)):
        return list(item)[:FEW]
    if isinstance(item, functools.partial):
        return [item.func, *item.args, *item.keywords.values()]
    if isinstance(item, (staticmethod, classmethod)):
        return [item.__func__]
    if isinstance(item, property):
        return [item.fget]
    if isinstance(item, MethodType):
        return [item.__func__, item.__self__]
    if isinstance(item, FunctionType):
        return _parts_of_function(item, asked)
    owner = getattr(item, "__self__", None)  # a built-in method, as the apply of a class
    if isinstance(owner, type):
        return [owner]
    return _parts_of_object(item)


def _parts_of_function(function: FunctionType, asked: bool) -> list[Any]:
    held = list(_held(function))
    if _is_of_a_library(function) and not asked:  # one of ours around the user's
        return [x for x in held if not isinstance(x, (numbers.Number, np.ndarray))]
    wrapped = getattr(function, "__wrapped__", None)
    parts = [] if wrapped is None else [wrapped]
    defaults = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
    return [*_numbers_in(function.__code__), *parts, *defaults, *held, *_named(function)]


def _held(function: FunctionType) -> Iterator[Any]:
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # not assigned yet
            continue


def _numbers_in(code: CodeType) -> Iterator[Any]:
    """Give the numbers in the code of a function, and of the functions inside it."""
    for instruction in dis.get_instructions(code):
        if isinstance(instruction.argval, CodeType):
            yield from _numbers_in(instruction.argval)
        elif instruction.opname.startswith(("LOAD_CONST", "LOAD_SMALL_INT", "RETURN_CONST")):
            yield from _flat(instruction.argval)


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, (tuple, frozenset)):
        for part in value:
            yield from _flat(part)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield value


def _named(function: FunctionType) -> Iterator[Any]:
    """Give the functions, classes and numbers that the code names in its module."""
    for name in dict.fromkeys(_names_in(function.__code__)):
        if name in function.__globals__:
            value = function.__globals__[name]
            if not isinstance(value, type(sys)) and not _is_of_a_library(value):
                yield value
        elif name in ("pi", "e"):  # np.pi, math.e
            yield getattr(math, name)


def _names_in(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names_in(constant)


def _parts_of_object(item: Any) -> list[Any]:
    """Look into a class, or into an object and its class, unless they are a library's."""
    of = item if isinstance(item, type) else type(item)
    attributes = [] if isinstance(item, type) else list(getattr(item, "__dict__", {}).values())
    if _is_of_a_library(of):
        # an adapter of ours holds the user's functions
        return [x for x in attributes if callable(x)]
    classes = [c for c in of.__mro__ if not _is_of_a_library(c)]
    members = (pair for c in classes for pair in vars(c).items())
    # Python 3.13 notes there in which line the class begins
    return [*attributes, *(value for name, value in members if name != "__firstlineno__")]


def _is_of_a_library(item: Any) -> bool:
    module = getattr(item, "__module__", None) or ""
    return isinstance(module, str) and module.partition(".")[0] in LIBRARIES
