"""Walking a recorded history: one walk for the backward pass, checkpoints, pictures and tests.

And which of all nodes somebody is differentiating by, here and now.

Not for: recording calls, or carrying gradients (``engine.py``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from operator import attrgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tinygrad_lab.core.engine import Node

_differentiated: ContextVar[frozenset[Node]] = ContextVar(
    "tinygrad_lab.differentiated", default=frozenset()
)


@contextmanager
def differentiating(by: Iterable[Node]) -> Iterator[None]:
    """Say that somebody around this block differentiates by some nodes."""
    before = _differentiated.get()
    try:  # around setting it too, so that no interrupt leaves it set
        _differentiated.set(before.union(by))
        yield
    finally:
        _differentiated.set(before)


def differentiating_behind(
    outputs: Iterable[Node], cotangents: Iterable[Any]
) -> AbstractContextManager[None]:
    """Say that a backward pass is recorded: what it computes may be differentiated by any leaf."""
    behind = history([*outputs, *(getattr(g, "node", None) for g in cotangents)])
    return differentiating(node for node in behind if node.op is None)


def is_differentiating() -> bool:
    """Whether somebody around this call differentiates what it computes."""
    return bool(_differentiated.get())


def is_differentiated(*nodes: Node | None) -> bool:
    """Whether one of some nodes depends on what somebody around this call differentiates by."""
    ends = _differentiated.get()
    return bool(ends) and not ends.isdisjoint(history(nodes, until=ends))


def parents_of(node: Node) -> Sequence[Node | None]:
    """Give ``node.parents``, or say that a backward pass has freed the node."""
    if node.parents is None:
        raise RuntimeError(
            f"the graph behind {node.name} was freed by an earlier backward(); say "
            "backward(retain_graph=True) the first time, or compute the result again; of a state "
            "that is carried from step to step say h = h.detach()"
        )
    return node.parents


def history(roots: Iterable[Node | None], until: Collection[Node] = ()) -> list[Node]:
    """List every node behind some roots, these included, once each: the youngest first.

    It does not look behind the nodes in ``until``, nor behind what a backward pass has freed.
    """
    visited: set[Node] = set()
    waiting = [root for root in roots if root is not None]
    while waiting:
        node = waiting.pop()
        if node not in visited:
            visited.add(node)
            if node not in until:
                waiting += [parent for parent in node.parents or () if parent is not None]
    return sorted(visited, key=attrgetter("order"))


def between(roots: Iterable[Node], ends: Collection[Node]) -> set[Node]:
    """Collect the nodes on the ways from the roots back to some ends, both included."""
    on_the_way: set[Node] = set()
    for node in reversed(history(roots)):  # the oldest first, so that parents come before
        is_end = node in ends
        parents = () if is_end or node.op is None else parents_of(node)
        if is_end or any(parent in on_the_way for parent in parents):
            on_the_way.add(node)
    return on_the_way
