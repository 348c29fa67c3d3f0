"""Arguments in containers: take the numbers out of dicts, lists, tuples and modules, and put back.

A module is whatever has ``named_parameters()``; its numbers are the parameters that require a
gradient, and come back as a dict by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import FunctionType, MemberDescriptorType
from typing import Any

__all__ = ["attributes", "is_module", "leaves", "rebuild", "same_structure"]

#: Whose classes hold neither slots nor parameters: our own, and Python's.
_WITHOUT = frozenset({__name__.partition(".")[0], "builtins"})


def is_module(value: Any) -> bool:
    """Whether a value is a module, which is called with parameters of its own."""
    return hasattr(value, "named_parameters") and not isinstance(value, type)


def attributes(module: Any, on_class: Callable[[Any], bool]) -> dict[str, Any]:
    """What a module's attributes hold: its own, those in slots, and what counts on its class."""
    values = dict(vars(module))
    for cls in type(module).__mro__:
        if cls.__module__.partition(".")[0] in _WITHOUT:
            continue
        for name, value in vars(cls).items():
            if type(value) is FunctionType or name in values:
                continue
            is_slot = isinstance(value, MemberDescriptorType) and name != "__dict__"
            if is_slot and hasattr(module, name):
                values[name] = getattr(module, name)
            elif on_class(value):
                values[name] = value
    return values


def _items(value: Any, open_modules: bool) -> list[tuple[Any, Any]] | None:
    """The parts of a container with their keys, or None for a number or an array."""
    if isinstance(value, dict):
        return list(value.items())
    if isinstance(value, (list, tuple)):
        return list(enumerate(value))
    if open_modules and is_module(value):
        return [(name, p) for name, p in value.named_parameters() if p.requires_grad]
    return None


def leaves(value: Any, path: str = "", open_modules: bool = True) -> Iterator[tuple[str, Any]]:
    """Give the numbers and arrays inside, depth first, each with its path.

    With ``open_modules=False`` a module is a leaf.

    Examples
    --------
    >>> list(leaves({"w": 1.0, "layers": [2.0, (3.0,)]}))
    [("['w']", 1.0), ("['layers'][0]", 2.0), ("['layers'][1][0]", 3.0)]
    """
    items = _items(value, open_modules)
    if items is None:
        yield path, value
    else:
        for key, part in items:
            yield from leaves(part, f"{path}[{key!r}]", open_modules)


def rebuild(
    value: Any, new: Iterator[Any] | Callable[[Any], Any], open_modules: bool = True
) -> Any:
    """Make the container again from new leaves, in the order of :func:`leaves`."""
    items = _items(value, open_modules)
    if items is None:
        return new(value) if callable(new) else next(new)
    parts = {key: rebuild(part, new, open_modules) for key, part in items}
    if isinstance(value, (list, tuple)):
        members = list(parts.values())
        if isinstance(value, list):
            return members
        return type(value)(*members) if hasattr(value, "_fields") else tuple(members)
    return parts


def same_structure(a: Any, b: Any) -> bool:
    """Whether two containers hold their leaves at the same paths."""
    return [path for path, _ in leaves(a)] == [path for path, _ in leaves(b)]
