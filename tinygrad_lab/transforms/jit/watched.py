"""What classes hold and methods name, where no twin is: later calls expect it as it was.

The globals of a function are inputs, read anew (``state.py``): its twin has others.  A class has no
twin, so a number that a method names is one in the program, and the program is for that number
alone: with another one the call is recorded anew.  So it is with another function or class of the
same name, as a notebook's cell makes one that is run again.

Not for: arrays, which are refused where no twin is (``refusals.py``).
"""

from __future__ import annotations

from array import array
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import deepcopy
from functools import partial
from itertools import islice
from operator import attrgetter, itemgetter
from types import (
    CellType,
    FunctionType,
    MappingProxyType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
    NoneType,
)
from typing import Any
from weakref import ReferenceType

import numpy as np

from tinygrad_lab.core.tensor import Tensor
from tinygrad_lab.transforms.jit.generators import Undrawn, is_generator
from tinygrad_lab.transforms.jit.reach import (
    NotRecordable,
    holder_of,
    is_open,
    is_users,
    modules_in,
    named_in,
    names_in,
    refuse_elusive,
)
from tinygrad_lab.transforms.jit.trace import Traced

__all__ = ["Watch", "content_of", "is_plain"]

_NUMBERS = (bool, int, float, complex, str, bytes, NoneType)
_DICTS = (dict, OrderedDict, defaultdict, Counter)
_CHANGING = (list, deque, *_DICTS, set, bytearray, array)
_HOLDERS = (tuple, frozenset, MappingProxyType, *_CHANGING)
_MOST = 500  # entries of what holds other things too
_code_of: Any = attrgetter("__code__")

Expect = Callable[[str, str], None]  # a condition, and the path that it is about


def is_plain(value: Any) -> bool:
    """Whether a value is a number or a text, or a container of these alone."""
    kind = type(value)
    if kind in (*_DICTS, MappingProxyType):
        return all(is_plain(key) and is_plain(item) for key, item in value.items())
    return kind in _NUMBERS or isinstance(value, np.generic) or (
        kind in _HOLDERS and all(map(is_plain, value))
    )  # fmt: skip


def _is_ambiguous(value: Any) -> bool:
    """Whether another plain value could be equal to this: 0.0 is -0.0, 1 is True in a list."""
    if isinstance(value, (*_DICTS, MappingProxyType)):
        return bool(value)  # their order, if nothing else
    if isinstance(value, (tuple, list, deque, set, frozenset)):
        return any(not isinstance(item, (str, bytes)) for item in value)
    return isinstance(value, (float, complex, np.inexact)) and not value


class Watch:
    """Writes what later calls expect of what has no twin.

    Parameters
    ----------
    expect, bound : callable
        Write a condition on a path; give the name of an object in the code.
    objects : callable
        Give all objects by these names.
    """

    def __init__(
        self,
        expect: Expect,
        bound: Callable[[Any, str], str],
        objects: Callable[[], dict[str, Any]],
    ) -> None:
        self._expect, self._bound, self._objects = expect, bound, objects
        self._seen: dict[int, Any] = {}
        self._plain: dict[str, Any] = {}  # plain values by their paths
        self._others: set[str] = set()  # the paths of what is not plain
        self._holders: list[tuple[Any, Any, str]] = []  # what can change, a copy, and its path
        self._functions: list[FunctionType] = []
        self.generators = Undrawn()
        self.grown: str | None = None  # the path of what the recorded call has changed

    def put_back(self) -> None:
        """Undo what the recorded call itself has changed where no twin is."""
        was_drawn = self.generators.put_back()
        changed = [holder for holder in self._holders if holder[0] != holder[1]]
        for value, copy, _ in changed:
            if isinstance(value, (list, bytearray, array)):
                value[:] = copy
            elif isinstance(value, dict):
                dict.clear(value)
                dict.update(value, copy)  # a Counter's own would add
            else:
                value.clear()
                (value.extend if isinstance(value, deque) else value.update)(copy)
        self.grown = changed[0][2] if changed else None
        space = self._objects()
        rebound = [path for path, value in self._plain.items() if not _is_at(path, value, space)]
        for path in rebound:
            space["value"] = self._plain[path]
            exec(f"{path} = value", space)
        if was_drawn:
            raise NotRecordable("it draws from a generator that lies in a class, or is Python's")
        if rebound and not self.grown:
            raise NotRecordable("it changes numbers of a class, or that a method names")

    def kind(self, cls: type) -> None:
        """Watch what a user's class holds, and what its methods name."""
        for base in (*cls.__mro__, *type.mro(type(cls))):
            if not is_users(base.__module__) or self._is_known(base):
                continue
            members = dict(vars(base))
            space = self._bound(vars(base), base.__qualname__)
            self._expect(f"len({space}) == {len(members)}", f"len({space})")
            functions = {key: _functions_of(member) for key, member in members.items()}
            methods = [key for key in members if functions[key]]
            self._fixed(methods, members, space)
            for function in (each for key in methods for each in functions[key]):
                self.code(function)
            made = {
                name for function in functions.get("__init__", ()) for name in names_in(function)
            }
            for key, member in members.items():
                is_a_count = isinstance(member, Iterator) and key in made  # of the objects
                if key.startswith("__") or is_a_count:
                    continue
                if is_plain(member):
                    self.value(member, f"{self._bound(base, base.__qualname__)}.{key}")
                elif key not in methods or type(member) is partial:
                    self.value(member, f"{space}[{key!r}]")

    def _fixed(self, keys: list[str], values: Mapping[str, Any], space: str) -> None:
        """Expect the same functions under the same names."""
        if keys:
            take = itemgetter(*keys)
            getter = self._bound(take, f"a method of {space}")
            self._expect(f"{getter}({space}) == {self._bound(take(values), '')}", getter)

    def code(self, function: FunctionType) -> None:
        """Watch what the code of a user's function names."""
        if not is_users(function.__module__) or self._is_known(function):
            return
        self.text(function)
        names, space = names_in(function), function.__globals__
        for name in names:
            item = space.get(name)
            is_a_count = isinstance(item, Iterator) and function.__name__ == "__init__"
            if name in space and not is_a_count:
                self.value(item, f"{self._bound(space, '')}[{name!r}]", names)
        for module in modules_in(function):
            self.value(module, self._bound(module, module.__name__), names)
        closed_over = function.__closure__ or ()
        for name, cell in zip(function.__code__.co_freevars, closed_over, strict=True):
            path = f"{self._bound(cell, name)}.cell_contents"
            for content in content_of(cell):
                self.value(content, path, names)
        name = self._bound(function, function.__qualname__)
        for attribute in ("__defaults__", "__kwdefaults__"):
            if (defaults := getattr(function, attribute)) is not None:
                self.value(defaults, f"{name}.{attribute}")
        for key, item in vars(function).items():
            if key != "__wrapped__":
                self.value(item, f"{name}.{key}", names)

    def text(self, function: FunctionType) -> None:
        """Expect a function to have the same code, which a reloaded module gives another."""
        self._functions.append(function)

    def finish(self) -> None:
        """Write what is expected of all functions together."""
        functions = list({id(f): f for f in self._functions}.values())
        if functions:
            code, each = self._bound(_code_of, ""), self._bound(functions, "the code of a function")
            known = self._bound([*map(_code_of, functions)], "")
            self._expect(f"[*map({code}, {each})] == {known}", each)

    def value(self, value: Any, path: str, names: Iterable[str] = ()) -> None:
        """Watch a value: what is plain is itself, all else what is plain in it."""
        if path in self._plain or path in self._others:
            return
        if is_plain(value):
            self._same(value, path)
            return
        self._others.add(path)
        if is_generator(value):
            self.generators.add(value)
        elif isinstance(value, (np.ndarray, Tensor)) or _is_fixed(value):
            return
        refuse_elusive(value)
        known = self._bound(value, path)
        if known != path and not isinstance(value, ModuleType):
            self._expect(f"{path} is {known}", path)
        if isinstance(value, type):
            self.kind(value)
        elif isinstance(value, FunctionType):
            self.code(value)
        elif not self._is_known(value):
            self._parts(value, path, names)

    def _parts(self, value: Any, path: str, names: Iterable[str]) -> None:
        if is_open(type(value)):
            self.kind(type(value))
            if hasattr(value, "__dict__"):
                self._expect(f"len({path}.__dict__) == {len(vars(value))}", f"len({path}.__dict__)")
            for name in _slots_of(value):
                if not hasattr(value, name):
                    self._expect(f"not hasattr({path}, {name!r})", path)
        if isinstance(value, (dict, list, deque, set)):
            self._expect(f"len({path}) == {len(value)}", f"len({path})")
        parts = list(islice(_parts_of(value, names), _MOST + 1))
        if len(parts) > _MOST:
            raise NotRecordable(f"it can reach what holds more than {_MOST} things")
        for inside, part in parts:
            self.value(part, f"{path}{inside}")

    def _same(self, value: Any, path: str) -> None:
        self._plain[path] = value
        if value is None or type(value) is bool:
            self._expect(f"{path} is {value!r}", path)
            return
        is_proxy = type(value) is MappingProxyType
        copy = dict(value) if is_proxy else deepcopy(value)
        known = self._bound(copy, path)
        if type(value) in _CHANGING:
            self._holders.append((value, copy, path))
        same = f"{path} == {known}" if value == value else f"{path} != {path}"
        if not is_proxy:
            same = f"type({path}) is type({known}) and {same}"
        if _is_ambiguous(value):
            same += f" and repr({path}) == {repr(value)!r}"
        self._expect(same, path)

    def _is_known(self, value: Any) -> bool:
        known = id(value) in self._seen
        self._seen[id(value)] = value
        return known


def _is_fixed(value: Any) -> bool:
    """Whether a value is a module of somebody else's, whose name is no other's."""
    return isinstance(value, ModuleType) and not is_users(value.__name__)


def _is_at(path: str, value: Any, space: dict[str, Any]) -> bool:
    """Whether a path leads to a value, or to one that is equal to it."""
    try:
        now = eval(path, space)
    except (AttributeError, IndexError, KeyError):
        return False
    if type(now) is Traced:  # refused, and said, as all that is left behind
        return True
    return now is value or (type(now) is type(value) and bool(now == value))


def _parts_of(value: Any, names: Iterable[str]) -> Iterator[tuple[str, Any]]:
    """What is in a container, in a user's object, and in a module what is named."""
    if isinstance(value, ModuleType):
        space = vars(value)
        yield from ((f".{name}", space[name]) for name in named_in(value, names) if name in space)
    elif isinstance(value, dict):
        yield from ((f"[{k!r}]", item) for k, item in list(value.items()) if type(k) in _NUMBERS)
    elif isinstance(value, (list, tuple, deque)):
        yield from ((f"[{number}]", item) for number, item in enumerate(value))
    elif isinstance(value, ReferenceType):
        yield "()", value()
    elif isinstance(value, partial):
        yield from ((f".{name}", getattr(value, name)) for name in ("func", "args", "keywords"))
    elif isinstance(value, MethodType) or holder_of(value) is not None:
        yield ".__self__", value.__self__
        yield from ((".__func__", f) for f in _functions_of(value))
    elif is_open(type(value)):
        yield from ((f".{name}", item) for name, item in getattr(value, "__dict__", {}).items())
        yield from ((f".{n}", getattr(value, n)) for n in _slots_of(value) if hasattr(value, n))
    else:
        yield from ((".__wrapped__", f) for f in _functions_of(value))


def _slots_of(value: Any) -> list[str]:
    """The names of an object's slots."""
    members = [pair for cls in type(value).__mro__ for pair in vars(cls).items()]
    return [name for name, member in members if isinstance(member, MemberDescriptorType)]


def content_of(cell: CellType) -> list[Any]:
    """What is in a cell, if anything is."""
    try:
        return [cell.cell_contents]
    except ValueError:  # nothing in it yet
        return []


def _functions_of(member: Any) -> list[FunctionType]:
    """The functions of a class's member: a method, and what a property reads and writes with."""
    names = ("__func__", "fget", "fset", "func", "function", "__wrapped__")
    parts = [member, *(getattr(member, name, None) for name in names)]
    return [part for part in parts if isinstance(part, FunctionType)]
