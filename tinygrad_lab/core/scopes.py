"""Scopes: which stretch of a forward pass was one call of a layer or of a function, for pictures.

A graph has one node for each operation; whoever looks at it thinks in what was written:
``max_pool2d(x, 2)``, ``fc1``.  The node that such a call returned knows it: its scope says what was
called, with which options, and which nodes were recorded meanwhile.  A scope holds no large array
and no layer, so it keeps nothing alive and no graph becomes a cycle.

Not for: recording operations (``engine.py``), or what a picture makes of scopes (``viz``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_lab.core.engine import Node, next_order
from tinygrad_lab.core.ownership import COPIED
from tinygrad_lab.core.tensor import Tensor

__all__ = ["POSITIONS", "Scope", "note", "scopes_of", "trace_of"]

_new = object.__new__

#: What arguments are called of which only the place is known.
POSITIONS = tuple(range(16))


class Scope:
    """One call: its nodes are those with an ``order`` below ``since`` and above ``until``."""

    __slots__ = ("called", "inner", "operands", "options", "since", "until")

    called: Any  # the function, or a weak reference to the layer
    since: int
    until: int
    options: dict[Any, Any]  # arguments that are no arrays, by name or position
    operands: dict[Any, Any]  # what those that are can be known by again: see ``trace_of``
    inner: Scope | None  # a call within this one that ended with the same node

    def __contains__(self, node: Node) -> bool:
        return self.until < node.order < self.since


def note(
    result: Any,
    since: int,
    called: Any,
    names: Sequence[Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
) -> None:
    """Note on the nodes of a result which call they come from; those it was given know others."""
    if isinstance(result, (tuple, list)):
        for part in result:
            note(part, since, called, names, args, kwargs)
        return
    node = getattr(result, "node", None)
    if node is None or node.order > since:
        return
    scope = _new(Scope)
    scope.called, scope.since, scope.until = called, since, next_order()
    scope.options, scope.operands = {}, {}
    for name, value in [*zip(names, args, strict=False), *kwargs.items()]:
        if isinstance(value, (Tensor, np.ndarray)):
            scope.operands[name] = trace_of(value)
        else:
            scope.options[name] = value
    scope.inner, node.scope = node.scope, scope


def trace_of(value: Any) -> Any:
    """Say by what an array is known again in a graph, which copies small ones: see ownership.py.

    That of a node is its ``order``, that of another array begins with its shape and dtype.
    """
    node = getattr(value, "node", None)
    if node is not None:
        return node.order
    array = value.data if isinstance(value, Tensor) else value
    is_small = type(array) is np.ndarray and array.size <= COPIED
    own = array.tobytes() if is_small else id(array)
    return array.shape, array.dtype.str, own


def scopes_of(nodes: Sequence[Node]) -> Iterator[Scope]:
    """Give every scope that ended with one of some nodes."""
    for node in nodes:
        scope = node.scope
        while scope is not None:
            yield scope
            scope = scope.inner
