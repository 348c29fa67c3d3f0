"""Which boxes, frames and lines a picture has: decided on the outline, before any number or word.

A box is one operation, one call that is drawn as a whole, a parameter, or an array of data.  Of
what repeats only the first copy is drawn; the others are what their counterparts in it are.

Not for: reading the outline (``outline.py``), or describing boxes (``model.py``).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np

from tinygrad_lab.core.engine import Node
from tinygrad_lab.core.scopes import trace_of
from tinygrad_lab.viz.outline import Call, Copy, Repeat, fold, nodes_of, outline

__all__ = ["DETAILS", "Detail", "Line", "Place", "Plan", "Settings", "operands"]

Detail = Literal["modules", "operations", "primitives"]
DETAILS = ("modules", "operations", "primitives")


@dataclass(frozen=True)
class Settings:
    """How much of a computation is drawn by itself."""

    detail: Detail = "operations"
    folded: bool = True
    collapsed: Collection[str] = ()  # paths of layers that are one box each
    depth: int | None = None  # so deep within other layers, layers are one box each


@dataclass(eq=False)
class Place:
    """One box: what it stands for."""

    call: Call | None = None  # a call that is drawn as a whole
    nodes: list[Node] = field(default_factory=list)  # operations, or leaves; those of copies too
    value: Any = None  # of a leaf
    frame: Call | Repeat | None = None
    within: Place | None = None  # the call that a leaf is an inner matter of

    @property
    def is_leaf(self) -> bool:
        """Whether it was computed by nothing."""
        return not self.nodes or self.nodes[0].op is None


class Line(NamedTuple):
    """One use of a value: from a box to another, as which operand, from one copy to the next."""

    source: Place
    target: Place
    operand: int
    carried: bool


class Plan:
    """Boxes in topological order, frames from the outside in, and lines by target and operand."""

    def __init__(
        self, nodes: Sequence[Node], paths: Mapping[int, str], settings: Settings, parameters: Any
    ) -> None:
        self.nodes, self.settings, self.parameters = nodes, settings, parameters
        self.whole = outline(nodes, paths)
        self.copies: dict[Node, list[Copy]] = fold(self.whole) if settings.folded else {}
        self.frames: dict[Call | Repeat, Call | Repeat | None] = {}  # and what each is within
        self._of: dict[Hashable, Place] = {}  # by node, or by the trace of an array
        self._set_out(self.whole, None, 0)
        for node in nodes:
            if node.op is not None and node not in self._of:
                self._of[node] = self._of[self._drawn(node)]
                self._of[node].nodes.append(node)
        self.given: list[Line] = []  # arrays that a call made others of
        self.uses = self._leaves()
        if nodes[-1] not in self._of:  # nothing was computed
            self._of[nodes[-1]] = Place(nodes=[nodes[-1]])
        self.lines = self._lines()
        self.places = self._in_order()

    def place(self, node: Node) -> Place:
        """Give the box of a node."""
        return self._of[node]

    # -- operations -------------------------------------------------------------------------------

    def _set_out(self, within: Call | Repeat, frame: Call | Repeat | None, depth: int) -> None:
        """Make boxes and frames of the parts of a call."""
        for part in within.parts:
            if isinstance(part, Node):
                self._of[part] = Place(nodes=[part], frame=frame)
            elif isinstance(part, Call) and self._is_a_box(part, depth):
                place = Place(part, list(nodes_of(part)), frame=frame)
                self._of.update(dict.fromkeys(place.nodes, place))
            elif isinstance(part, Repeat) or part.is_layer:
                self.frames[part] = frame
                self._set_out(part, part, depth + (not isinstance(part, Repeat)))
            else:
                self._set_out(part, frame, depth)

    def _is_a_box(self, part: Call, depth: int) -> bool:
        if not part.is_layer:
            return self.settings.detail != "primitives"
        if part.path is not None and part.path in self.settings.collapsed:
            return True
        if self.settings.depth is not None and depth >= self.settings.depth:
            return True
        return self.settings.detail == "modules" and not part.holds_a_layer()

    def _drawn(self, node: Node) -> Node:
        """Give the operation that is drawn for one, which may be in another copy."""
        while True:
            others = (c.first for c in self.copies.get(node, ()) if c.first is not node)
            other = next(others, None)
            if other is None:
                return node
            node = other

    # -- parameters and data ----------------------------------------------------------------------

    def _leaves(self) -> dict[Place, list[tuple[Place, int]]]:
        """Make the boxes of leaves, and say where each is used."""
        users: dict[Hashable, list[tuple[Node, int]]] = defaultdict(list)
        values: dict[Hashable, tuple[Node | None, Any]] = {}
        for node in self.nodes:
            for position, value, parent in operands(node):
                if parent is None or parent.op is None:
                    key = trace_of(value) if parent is None else parent
                    users[key].append((node, position))
                    values[key] = parent, value
        at = {use: key for key, each in users.items() for use in each}
        uses: dict[Place, list[tuple[Place, int]]] = defaultdict(list)
        for key, each in users.items():
            drawn = self._counterpart(key, each, at)
            if drawn not in self._of:
                self._of[drawn] = Place(value=values[drawn][1])
            place = self._of[key] = self._of[drawn]
            leaf = values[key][0]
            if leaf is not None:
                place.nodes.append(leaf)
            uses[place] += [(self._of[node], position) for node, position in each]
        for place, used in uses.items():
            targets = {target for target, _ in used}
            if place.nodes and place.nodes[0].order in self.parameters:
                place.frame = self._innermost([target.frame for target in targets])
            if len(targets) == 1 and self._is_absorbed(place, *targets):
                [place.within] = targets
        self._add_arguments(uses)
        return uses

    def _add_arguments(self, uses: dict[Place, list[tuple[Place, int]]]) -> None:
        """Add the arrays that a call was given and made others of: labels, say, or a mask."""
        for target in dict.fromkeys(self._of.values()):
            if target.call is None or target.call.scope is None or target.call.is_layer:
                continue
            for number, trace in enumerate(target.call.scope.operands.values()):
                if not isinstance(trace, tuple) or math.prod(trace[0]) < 2:
                    continue
                if trace not in self._of:
                    self._of[trace] = Place(value=_array_of(trace))
                if not uses.get(self._of[trace]):
                    uses[self._of[trace]].append((target, number))
                    self.given.append(Line(self._of[trace], target, number, False))

    def _counterpart(self, key: Hashable, users: Sequence[tuple[Node, int]], at: Any) -> Hashable:
        """Give the leaf that stands for one of a later copy, which is used nowhere else."""
        while True:
            node, position = users[0]
            later = next((c for c in self.copies.get(node, ()) if c.number), None)
            if later is None or not all(self._is_in(later, user) for user, _ in users):
                return key
            other = at.get((later.first, position))
            if other is None or other == key:
                return key
            key, users = other, [(later.first, position)]

    def _is_in(self, copy: Copy, node: Node) -> bool:
        return any(
            c.repeat is copy.repeat and c.number == copy.number for c in self.copies.get(node, ())
        )

    def _innermost(self, frames: Sequence[Call | Repeat | None]) -> Call | Repeat | None:
        """Give the innermost frame that all of some frames are in."""
        chains = [list(self._around(frame)) for frame in frames]
        return next((f for f in chains[0] if all(f in chain for chain in chains)), None)

    def _around(self, frame: Call | Repeat | None) -> Iterator[Call | Repeat]:
        while frame is not None:
            yield frame
            frame = self.frames[frame]

    def _is_absorbed(self, leaf: Place, target: Place) -> bool:
        """Whether a leaf is an inner matter of the call that uses it."""
        if target.call is None or target.call.scope is None:
            return False
        if leaf.nodes and leaf.nodes[0].order in self.parameters:
            return target.call.is_layer
        own = target.call.scope.operands.values()
        traces = [n.order for n in leaf.nodes] or [trace_of(leaf.value)]
        return not any(trace in own for trace in traces)

    # -- lines, and the order of everything -------------------------------------------------------

    def _lines(self) -> dict[Line, list[tuple[int, int]]]:
        """Say which operands of which operations each line stands for."""
        lines: dict[Line, list[tuple[int, int]]] = defaultdict(list)
        for node in self.nodes:
            target = self._of.get(node)
            for position, value, parent in operands(node):
                key = trace_of(value) if parent is None else parent
                source = self._of[key]
                carried = parent is not None and self._is_carried(parent, node)
                if target is None or (source is target and not carried):
                    continue
                if source.within is not None:
                    continue
                operand = position if target.call is None else 0
                lines[Line(source, target, operand, carried)].append((node.order, position))
        return lines | {line: [] for line in self.given}

    def _is_carried(self, source: Node, target: Node) -> bool:
        """Whether a value goes from one copy to another of the same repeat."""
        ours = {c.repeat: c.number for c in self.copies.get(source, ())}
        return any(ours.get(c.repeat, c.number) != c.number for c in self.copies.get(target, ()))

    def _in_order(self) -> list[Place]:
        """List the boxes: leaves before their first use, calls where their last operation is."""
        ranks: dict[Place, tuple[float, ...]] = {self._of[self.nodes[-1]]: (math.inf,)}
        for number, node in enumerate(self.nodes):
            if node.op is not None and self._drawn(node) is node:
                ranks[self._of[node]] = (number, math.inf)
        for line in self.lines:
            if line.source.is_leaf and line.source not in ranks:
                ranks[line.source] = (ranks[line.target][0], len(ranks))
        return sorted(ranks, key=lambda place: ranks[place])


def operands(node: Node) -> Iterator[tuple[int, Any, Node | None]]:
    """Yield the operands that are drawn, by position: tracked ones, and constant arrays."""
    parents = node.parents or ()
    for position, value in enumerate(node.args or ()):
        parent = parents[position] if position < len(parents) else None
        if parent is not None:
            yield position, value, parent
        elif isinstance(value, (list, tuple)):
            yield from ((position, item, None) for item in value if _is_drawn(item))
        elif _is_drawn(value):
            yield position, value, None


def _array_of(trace: Any) -> Any:
    """Give the array of a trace; of a large one, only its shape and dtype are known."""
    shape, dtype, own = trace
    if isinstance(own, bytes):
        return np.frombuffer(own, dtype).reshape(shape)
    return np.broadcast_to(np.zeros((), dtype), shape)


def _is_drawn(value: Any) -> bool:
    """Return whether a constant gets a box: an array of more than one element."""
    if isinstance(value, type) or not hasattr(value, "shape") or not hasattr(value, "dtype"):
        return False  # np.float32, given as a dtype, has a shape
    return math.prod(value.shape) > 1
