"""What a function can reach, and how it names that.

Not for: what becomes of it (``state.py``, ``watched.py``).
"""

from __future__ import annotations

import dis
import functools
import inspect
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from contextvars import ContextVar
from io import IOBase
from types import BuiltinMethodType, FunctionType, MethodWrapperType, ModuleType
from typing import Any

import numpy as np

__all__ = [
    "NotRecordable",
    "holder_of",
    "is_of_package",
    "is_open",
    "is_users", "is_writing",
    "may_hold_state",
    "modules_in",
    "named_in",
    "names_in",
    "parameter_names",
    "refuse_elusive",
    "refuse_unnamed",
]  # fmt: skip

_PACKAGE = __name__.partition(".")[0]

#: Classes of Python's that hold what a user puts there, and nothing else.
_HOLDERS = frozenset({
    "types.SimpleNamespace", "argparse.Namespace", "collections.ChainMap", "collections.UserDict",
    "collections.UserList",
})  # fmt: skip
_WRITING = frozenset({dis.opmap["STORE_GLOBAL"], dis.opmap["DELETE_GLOBAL"]})
_VIEWS: tuple[type, ...] = (type({}.keys()), type({}.values()), type({}.items()))

#: With these a function reads what it does not name: of any module, and among its own globals.
_OF_MODULES = frozenset({"__dict__", "getattr", "hasattr", "vars"})
_OF_ANYTHING = frozenset({"eval", "exec", "globals", "id"})
#: What they give is a state of the process.
_ELSEWHERE = frozenset({"environ", "getenv", "geterr"})


class NotRecordable(Exception):  # noqa: N818 - not an error: such a call is made as it is
    """What a call depends on is more than a program can read."""


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


def is_of_package(function: FunctionType) -> bool:
    """Whether a function stands in this package, which is nobody's to change."""
    name = function.__globals__.get("__name__", "")
    module = sys.modules.get(name) if name.partition(".")[0] == _PACKAGE else None
    return module is not None and function.__globals__ is vars(module)


def is_open(kind: type) -> bool:
    """Whether the objects of a class are looked into: of a user's, and of those that only hold."""
    return is_users(kind.__module__) or f"{kind.__module__}.{kind.__qualname__}" in _HOLDERS


def names_in(function: FunctionType) -> list[str]:
    """The names in a function's code, and in that of the functions inside it."""
    names: dict[str, None] = {}
    for code in _codes_of(function):
        names.update(dict.fromkeys(code.co_names))
    return list(names)


def _codes_of(function: FunctionType) -> Iterator[Any]:
    waiting: list[Any] = [function.__code__]
    while waiting:
        code = waiting.pop()
        yield code
        waiting += [c for c in code.co_consts if hasattr(c, "co_names")]


def is_writing(function: FunctionType) -> bool:
    """Whether a function, or one inside it, sets its globals."""
    return any(not _WRITING.isdisjoint(code.co_code[::2]) for code in _codes_of(function))


def modules_in(function: FunctionType) -> list[ModuleType]:
    """The user's modules that a function imports itself, or has by their names."""
    package = function.__globals__.get("__package__")
    wanted: dict[str, None] = {}
    for code in _codes_of(function):
        texts = [c for c in code.co_consts if type(c) is str]
        for name in (*code.co_names, *texts):
            wanted |= {name: None, f"{package}.{name}": None}
    modules = (sys.modules.get(name) for name in wanted)
    return [m for m in modules if isinstance(m, ModuleType) and is_users(m.__name__)]


def named_in(module: ModuleType, names: Iterable[str]) -> list[str]:
    """The names of what is in a module that some code may read: all, if it computes names."""
    names = list(names)
    if _OF_MODULES.isdisjoint(names):
        return names
    return [name for name in vars(module) if not name.startswith("__")]


def refuse_unnamed(function: FunctionType, names: Iterable[str]) -> None:
    """Refuse a function that reads what it does not name, and that no twin stands for."""
    unnamed = _ELSEWHERE.intersection(names)
    if suspects := _OF_ANYTHING.intersection(names).difference(function.__globals__):
        unnamed |= {
            instruction.argval
            for code in _codes_of(function)
            for instruction in dis.get_instructions(code)
            if instruction.opname == "LOAD_GLOBAL" and instruction.argval in suspects
        }
    if unnamed:
        raise NotRecordable(f"{function.__name__} reads with {min(unnamed)} what it does not name")


def refuse_elusive(value: Any) -> None:
    """Refuse what gives another value in each call, or can without anybody noticing."""
    if isinstance(value, Iterator) and not isinstance(value, IOBase):
        raise NotRecordable("an iterator, which gives another value in each call")
    if isinstance(value, (ContextVar, threading.local)):
        raise NotRecordable("values of a context or of a thread, which are others in another")
    if isinstance(value, np.random.SeedSequence):
        raise NotRecordable("a seed, whose children are others each time")
    if isinstance(value, _VIEWS):
        raise NotRecordable("a view of a dict")
    if not isinstance(value, (bytes, np.ndarray, np.generic)):
        with suppress(TypeError):
            memoryview(value).release()
            raise NotRecordable("memory that others can write to: a memoryview, of ctypes")


def holder_of(value: Any) -> Any:
    """The object whose method, written in C, a value is; None if it is none."""
    if not isinstance(value, (BuiltinMethodType, MethodWrapperType)):
        return None
    holder = value.__self__
    return None if isinstance(holder, (type, ModuleType)) else holder


def may_hold_state(value: Any) -> bool:
    """Whether a value could be, or hold, something that is another in a later call."""
    if isinstance(value, (type, ModuleType)) or value is None:
        return False
    if isinstance(value, (str, bool, np.ufunc, type(np.sum))):
        return False
    return not isinstance(value, BuiltinMethodType) or holder_of(value) is not None


def parameter_names(f: Any, count: int) -> list[str]:
    """The names of the first parameters of a function, ``x0`` ... where it has none."""
    parameters: Iterable[inspect.Parameter] = ()
    with suppress(TypeError, ValueError):  # of a ufunc, say
        parameters = inspect.signature(f).parameters.values()
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return [names[i] if i < len(names) else f"x{i}" for i in range(count)]
