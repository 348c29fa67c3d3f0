"""Arguments in containers: take the numbers out of dicts, lists, tuples and modules, and put back.

A module is whatever has ``named_parameters()``; its numbers are those that require a gradient, and
come back as a dict by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["leaves", "rebuild", "same_structure"]


def _items(value: Any) -> list[tuple[Any, Any]] | None:
    """The parts of a container with their keys, or None for a number or an array."""
    if isinstance(value, dict):
        return list(value.items())
    if isinstance(value, (list, tuple)):
        return list(enumerate(value))
    if hasattr(value, "named_parameters"):
        return [(name, p) for name, p in value.named_parameters() if p.requires_grad]
    return None


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Give the numbers and arrays inside, depth first, each with its path.

    Examples
    --------
    >>> list(leaves({"w": 1.0, "layers": [2.0, (3.0,)]}))
    [("['w']", 1.0), ("['layers'][0]", 2.0), ("['layers'][1][0]", 3.0)]
    """
    items = _items(value)
    if items is None:
        yield path, value
    else:
        for key, part in items:
            yield from leaves(part, f"{path}[{key!r}]")


def rebuild(value: Any, new: Iterator[Any] | Callable[[Any], Any]) -> Any:
    """Make the container again from new leaves, in the order of :func:`leaves`."""
    if callable(new):
        new = map(new, [leaf for _, leaf in leaves(value)])
    keyed = _items(value)
    if keyed is None:
        return next(new)
    parts = {key: rebuild(part, new) for key, part in keyed}
    if isinstance(value, (list, tuple)):
        items = list(parts.values())
        if isinstance(value, list):
            return items
        return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
    return parts


def same_structure(a: Any, b: Any) -> bool:
    """Whether two containers hold their leaves at the same paths."""
    return [path for path, _ in leaves(a)] == [path for path, _ in leaves(b)]
