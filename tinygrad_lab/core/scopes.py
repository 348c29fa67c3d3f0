"""Scopes: which stretch of a forward pass was one call of a layer or of a function, for pictures.

A graph has one node for each operation; whoever looks at it thinks in what was written:
``max_pool2d(x, 2)``, ``fc1``.  The node that such a call returned knows it: its scope says what was
called, with which arguments, and which nodes were recorded meanwhile.  A scope keeps no large array
and no layer alive, and goes when a backward pass frees the node.

Not for: recording operations (``engine.py``), or what a picture makes of scopes (``viz``).
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lab.core.engine import Node, next_order
from tinygrad_lab.core.ownership import COPIED
from tinygrad_lab.core.tensor import Tensor

__all__ = ["POSITIONS", "Scope", "note", "scopes_of", "trace_of"]

#: What arguments are called of which only the place is known.
POSITIONS = tuple(range(16))


class Scope(NamedTuple):
    """One call: its nodes are those with an ``order`` below ``since`` and above ``until``."""

    since: int
    until: int
    called: Any  # the function, or the class of the layer
    layer: Any  # a weak reference to it; None where a function was called
    names: Sequence[Any]  # of the arguments, or their positions
    values: Sequence[Any]  # of a tensor its node, of a large array a weak reference
    kwargs: Mapping[str, Any]
    inner: Any  # what was noted of a call within this one that ended with the same node

    def holds(self, node: Node) -> bool:
        """Whether a node was recorded in this call."""
        return self.until < node.order < self.since

    @property
    def options(self) -> dict[Any, Any]:
        """The arguments that are no arrays, by name or position."""
        return {name: v for name, v in self._arguments() if not isinstance(v, _ARRAYS)}

    @property
    def operands(self) -> dict[Any, Any]:
        """What the arguments that are arrays can be known by again: see ``trace_of``."""
        arrays = {n: v for n, v in self._arguments() if isinstance(v, _ARRAYS)}
        return {name: _trace_of(value) for name, value in arrays.items()}

    @property
    def arrays(self) -> Iterator[np.ndarray[Any, Any]]:
        """The arrays themselves that no tensor holds, if they are still there."""
        for _, value in self._arguments():
            array = value() if isinstance(value, weakref.ref) else value
            if isinstance(array, np.ndarray):
                yield array

    def _arguments(self) -> Iterator[tuple[Any, Any]]:
        yield from zip(self.names, self.values, strict=False)
        yield from self.kwargs.items()


_ARRAYS = (Node, np.ndarray, weakref.ref)


def note(
    result: Any,
    since: int,
    called: Any,
    layer: Any,
    names: Sequence[Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
) -> None:
    """Note on the nodes of a result which call they come from; those it was given know others."""
    node = getattr(result, "node", None)
    if node is None:
        for part in result if isinstance(result, (tuple, list)) else ():
            note(part, since, called, layer, names, args, kwargs)
        return
    if node.order > since:
        return
    values = []  # by a loop: a comprehension costs a call
    for v in args:
        if isinstance(v, Tensor):
            v = v.node or _held(v.data)
        elif type(v) is np.ndarray:
            v = _held(v)
        values.append(v)
    if kwargs:
        kwargs = {
            k: getattr(v, "node", None) or _held(v) if isinstance(v, (Tensor, np.ndarray)) else v
            for k, v in kwargs.items()
        }
    # A plain tuple is made in a third of the time of a Scope.
    node.scope = (since, next_order(), called, layer, names, values, kwargs, node.scope)


def _held(array: Any) -> Any:
    """Refer to an array without keeping a large one."""
    array = array.data if isinstance(array, Tensor) else array
    return array if array.size <= COPIED else weakref.ref(array)


def trace_of(value: Any) -> Any:
    """Say by what an array is known again in a graph, which copies small ones: see ownership.py.

    That of a node is its ``order``, that of another array begins with its shape and dtype.
    """
    node = getattr(value, "node", None)
    return _trace_of(node or (value.data if isinstance(value, Tensor) else value))


def _trace_of(value: Any) -> Any:
    if isinstance(value, Node):
        return value.order
    array = value() if isinstance(value, weakref.ref) else value
    if array is None:  # it is no more
        return (), "", id(value)
    is_small = type(array) is np.ndarray and array.size <= COPIED
    own = array.tobytes() if is_small else id(array)
    return array.shape, array.dtype.str, own


def scopes_of(nodes: Sequence[Node]) -> Iterator[Scope]:
    """Give every scope that ended with one of some nodes."""
    for node in nodes:
        noted = node.scope
        while noted is not None:
            scope = Scope(*noted)
            yield scope
            noted = scope.inner
