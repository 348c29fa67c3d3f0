"""Plain values that classes hold and that methods name: later calls expect them as they were.

The globals of a function are inputs, read anew (``state.py``): its twin has others.  A class has no
twin, so a number that a method names is one in the program, and the program is for that number
alone: with another one the call is recorded anew.

Not for: arrays, which are refused where no twin is (``refusals.py``).
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from itertools import islice
from types import (
    CellType,
    FunctionType,
    MappingProxyType,
    MemberDescriptorType,
    ModuleType,
    NoneType,
)
from typing import Any

import numpy as np

from tinygrad_lab.transforms.jit.reach import is_users, names_in

__all__ = ["Watch", "is_plain"]

_NUMBERS = (bool, int, float, complex, str, bytes, NoneType)
_CHANGING = (list, deque, dict, set, bytearray, array)
_HOLDERS = (tuple, frozenset, MappingProxyType, *_CHANGING)
_MOST = 64  # entries of what holds other things too

Expect = Callable[[str, str], None]  # a condition, and the path that it is about


def is_plain(value: Any) -> bool:
    """Whether a value is a number or a text, or a container of these alone."""
    kind = type(value)
    if kind in (dict, MappingProxyType):
        return all(is_plain(key) and is_plain(item) for key, item in value.items())
    return kind in _NUMBERS or isinstance(value, np.generic) or (
        kind in _HOLDERS and all(map(is_plain, value))
    )  # fmt: skip


class Watch:
    """Writes what later calls expect of plain values.

    Parameters
    ----------
    expect, bound : callable
        Write a condition on a path; give the name of an object in the code.
    """

    def __init__(self, expect: Expect, bound: Callable[[Any, str], str]) -> None:
        self._expect, self._bound = expect, bound
        self._seen: dict[int, Any] = {}
        self._holders: list[tuple[Any, Any, str]] = []  # what can change, a copy, and its path

    def put_back(self) -> str | None:
        """Undo what the recorded call itself has changed, and give the path of it, if any."""
        changed = [holder for holder in self._holders if holder[0] != holder[1]]
        for value, copy, _ in changed:
            if isinstance(value, (list, bytearray, array)):
                value[:] = copy
            else:
                value.clear()
                (value.extend if isinstance(value, deque) else value.update)(copy)
        return changed[0][2] if changed else None

    def kind(self, cls: type) -> None:
        """Watch what a user's class holds, and what its methods name."""
        for base in cls.__mro__:
            if not is_users(base.__module__) or self._is_known(base):
                continue
            name = self._bound(base, base.__qualname__)
            for key, member in list(vars(base).items()):
                functions = _functions_of(member)
                for function in functions:
                    self.code(function)
                if not functions and not key.startswith("__"):
                    self.value(member, f"{name}.{key}")

    def code(self, function: FunctionType) -> None:
        """Watch what the code of a user's function names."""
        if not is_users(function.__module__) or self._is_known(function):
            return
        names, space = names_in(function), function.__globals__
        for name in names:
            if name in space:
                path = f"{self._bound(space, '')}[{name!r}]"
                self.value(space[name], path, names)
        closed_over = function.__closure__ or ()
        for name, cell in zip(function.__code__.co_freevars, closed_over, strict=True):
            path = f"{self._bound(cell, name)}.cell_contents"
            for content in _content_of(cell):
                self.value(content, path, names)

    def value(self, value: Any, path: str, names: Iterable[str] = ()) -> None:
        """Watch a value: what is plain is itself, all else what is plain in it."""
        if is_plain(value):
            self._same(value, path)
        elif isinstance(value, type):
            self.kind(value)
        elif isinstance(value, FunctionType):
            self.code(value)
        elif not self._is_known(value):
            if is_users(type(value).__module__):
                self.kind(type(value))
            for inside, part in islice(_parts_of(value, names), _MOST):
                self.value(part, f"{path}{inside}")

    def _same(self, value: Any, path: str) -> None:
        if value is None or type(value) is bool:
            self._expect(f"{path} is {value!r}", path)
            return
        if type(value) is MappingProxyType:
            self._expect(f"{path} == {self._bound(dict(value), path)}", path)
            return
        copy = deepcopy(value)
        if type(value) in _CHANGING:
            self._holders.append((value, copy, path))
        known = self._bound(copy, path)
        same = f"type({path}) is type({known}) and {path} == {known}"
        self._expect(f"{path} is {known} or {same}" if type(value) is float else same, path)

    def _is_known(self, value: Any) -> bool:
        known = id(value) in self._seen
        self._seen[id(value)] = value
        return known


def _parts_of(value: Any, names: Iterable[str]) -> Iterator[tuple[str, Any]]:
    """What is in a container, in a user's object, and in a module what is named."""
    if isinstance(value, ModuleType):
        if is_users(value.__name__):
            yield from ((f".{name}", vars(value)[name]) for name in names if name in vars(value))
    elif isinstance(value, dict):
        yield from ((f"[{k!r}]", item) for k, item in list(value.items()) if type(k) in _NUMBERS)
    elif isinstance(value, (list, tuple)):
        yield from ((f"[{number}]", item) for number, item in enumerate(value))
    elif is_users(type(value).__module__):
        attributes = dict(getattr(value, "__dict__", {}))
        for cls in type(value).__mro__:
            slots = [n for n, m in vars(cls).items() if isinstance(m, MemberDescriptorType)]
            attributes |= {name: getattr(value, name) for name in slots if hasattr(value, name)}
        yield from ((f".{name}", item) for name, item in attributes.items())


def _content_of(cell: CellType) -> list[Any]:
    try:
        return [cell.cell_contents]
    except ValueError:  # nothing in it yet
        return []


def _functions_of(member: Any) -> list[FunctionType]:
    """The functions of a class's member: a method, and what a property reads and writes with."""
    names = ("__func__", "fget", "fset", "func", "function")
    parts = [member, *(getattr(member, name, None) for name in names)]
    return [part for part in parts if isinstance(part, FunctionType)]
