"""What a module holds, found by walking its attributes and the containers in them.

A Parameter is a parameter and a Module a layer within, under whatever name.  A plain array or
Tensor is a buffer if its name does not begin with an underscore, or if it was registered as one.

Not for: what is done with what is found (``module.py``, ``state.py``).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from tinygrad_lab.core.tensor import Tensor
from tinygrad_lab.nn.parameter import Parameter
from tinygrad_lab.transforms.containers import attributes

__all__ = [
    "HOOKS", "Holder", "attributes_of", "buffers_of", "child", "inner_first", "modules_in", "put",
    "replaced", "walk", "walk_modules",
]  # fmt: skip

#: The attributes that hold hooks: what hooks hold is the user's, and no part of the model.
HOOKS = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")


class Holder:
    """What is walked: the base of ``Module``, which is all that derives from it."""

    #: The names of buffers that were registered, and whether they belong to the state.
    _registered_buffers: Mapping[str, bool] = {}


def attributes_of(module: Holder) -> dict[str, Any]:
    """All attributes but the hooks: its own, those in slots, and what counts on the class."""
    values = attributes(module, lambda value: isinstance(value, (Parameter, Holder)))
    return {name: value for name, value in values.items() if name not in HOOKS}


def walk(module: Holder, path: str = "") -> Iterator[tuple[str, Any]]:
    """What a module's attributes hold, and the containers in them, by path."""
    for name, value in attributes_of(module).items():
        yield from _inside(value, f"{path}.{name}" if path else name, ())


def buffers_of(
    module: Holder, path: str = "", *, persistent: bool = False
) -> Iterator[tuple[str, Any]]:
    """The buffers of one module by path, or only the ``persistent`` ones: those of its state."""
    registered = module._registered_buffers  # noqa: SLF001
    for name, value in attributes_of(module).items():
        belongs = registered.get(name, not name.startswith("_"))
        if belongs or (name in registered and not persistent):
            for place, item in _inside(value, f"{path}.{name}" if path else name, ()):
                if _is_buffer(item):
                    yield place, item


def _is_buffer(value: Any) -> bool:
    if isinstance(value, Tensor):
        return value.is_leaf and not isinstance(value, Parameter)
    return isinstance(value, np.ndarray) and value.dtype.kind in "biufc"


def _inside(value: Any, path: str, around: tuple[int, ...]) -> Iterator[tuple[str, Any]]:
    parts = _parts(value, path)
    if parts is None:
        yield path, value
    elif id(value) not in around:  # a container may hold itself
        for key, item in parts:
            yield from _inside(item, f"{path}.{key}", (*around, id(value)))


def _parts(value: Any, path: str = "") -> Iterable[tuple[Any, Any]] | None:
    """The parts of a container with their keys; None for what is none."""
    if isinstance(value, Holder):
        return None
    if isinstance(value, Mapping):
        return value.items()
    if isinstance(value, (list, tuple, deque)):
        return enumerate(value)
    if isinstance(value, SimpleNamespace):
        return vars(value).items()
    if is_dataclass(value) and not isinstance(value, type):
        return [(f.name, getattr(value, f.name)) for f in fields(value) if hasattr(value, f.name)]
    if isinstance(value, (set, frozenset)):
        for item in value:
            if isinstance(item, (Parameter, Holder)):
                raise TypeError(
                    f"{path} is a {type(value).__name__} with a {type(item).__name__} in it, which "
                    "would have another name in each run: say a list or a dict"
                )
    return None


def walk_modules(
    module: Any, path: str, visited: set[int], *, again: bool = False
) -> Iterator[tuple[str, Any]]:
    """A module and all within by path, each once, or ``again`` for each way that leads to it.

    None is reached through itself: a layer may hold the model that it belongs to.
    """
    visited.add(id(module))
    yield path, module
    for name, value in walk(module, path):
        if isinstance(value, Holder) and id(value) not in visited:
            yield from walk_modules(value, name, visited, again=again)
    if again:
        visited.remove(id(module))


def modules_in(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """A module, or those in a container, and all within, by path."""
    for where, part in _inside(value, path, ()):
        if isinstance(part, Holder):
            yield from walk_modules(part, where, set())


def inner_first(module: Any, visited: set[int]) -> Iterator[Any]:
    """A module and all within, each once, and after what it holds."""
    visited.add(id(module))
    for _, value in walk(module):
        if isinstance(value, Holder) and id(value) not in visited:
            yield from inner_first(value, visited)
    yield module


def child(value: Any, name: str) -> tuple[Any, Any] | None:
    """The key and the part that a path calls ``name``: of a module, or of a container."""
    parts = attributes_of(value).items() if isinstance(value, Holder) else _parts(value)
    return next(((key, part) for key, part in parts or () if str(key) == name), None)


def put(holder: Any, key: Any) -> tuple[Any, ...]:
    """The function, and its first arguments, that put another part in a place."""
    if hasattr(holder, "__setitem__") and not isinstance(holder, Holder):
        return type(holder).__setitem__, holder, key
    return object.__setattr__, holder, key


def replaced(value: Any, new: Mapping[int, Any], changes: list[tuple[Any, ...]]) -> Any:
    """Put new arrays for old: what takes the value's place, and the ``changes`` inside it.

    Whatever can be written to stays the same object.
    """
    if isinstance(value, np.ndarray):
        return new.get(id(value), value)
    parts = dict(_parts(value) or ())
    whole = {key: replaced(item, new, changes) for key, item in parts.items()}
    different = {key: item for key, item in whole.items() if item is not parts[key]}
    if isinstance(value, tuple) and different:
        items = whole.values()
        return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
    if isinstance(value, Mapping) and not hasattr(value, "__setitem__"):
        return value  # it is read-only, and stays as it is
    changes += [(*put(value, key), item) for key, item in different.items()]
    return value
