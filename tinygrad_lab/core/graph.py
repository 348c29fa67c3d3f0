"""Walking a recorded history: one walk for the backward pass, checkpoints, pictures and tests.

Not for: recording calls, or carrying gradients (``engine.py``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from operator import attrgetter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tinygrad_lab.core.engine import Node


def parents_of(node: Node) -> tuple[Node | None, ...]:
    """Give ``node.parents``, or say that a backward pass has freed the node."""
    if node.parents is None:
        raise RuntimeError(
            f"the graph behind {node.name} was freed by an earlier backward(); say "
            "backward(retain_graph=True) the first time, or compute the result again"
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
