"""Look up a value by the name that a user wrote; an unknown name is an error that lists all.

Not for: the values themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import TypeVar

__all__ = ["look_up"]

T = TypeVar("T")


def look_up(name: object, known: Mapping[str, T], kind: str) -> T:
    """Return ``known[name]``.

    Raises
    ------
    ValueError
        There is no such name.  The text names the nearest, and lists all.

    Examples
    --------
    >>> look_up("sigmiod", {"relu": 1, "sigmoid": 2}, "activation")
    Traceback (most recent call last):
      ...
    ValueError: unknown activation 'sigmiod'; did you mean 'sigmoid'? Known: relu, sigmoid
    """
    if isinstance(name, str) and name in known:
        return known[name]
    near = get_close_matches(name, known, n=1) if isinstance(name, str) else []
    hint = f"; did you mean {near[0]!r}?" if near else "."
    raise ValueError(f"unknown {kind} {name!r}{hint} Known: {', '.join(sorted(known))}")
