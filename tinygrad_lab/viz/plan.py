"""Which boxes, frames and lines a picture has: decided on the outline, before any number or word.

A box is one operation, one call that is drawn as a whole, a parameter, or an array of data.  Of
what repeats only the first copy is drawn; the others are what their counterparts in it are.

Not for: reading the outline (``outline.py``), how much detail there is room for (``scaling.py``),
or describing boxes (``model.py``).
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np

from tinygrad_lab.core.engine import Node
from tinygrad_lab.core.scopes import trace_of
from tinygrad_lab.viz.outline import Call, Copy, Part, Repeat

__all__ = [
    "DETAILS", "Detail", "Layout", "Line", "Place", "Plan", "Settings", "Use", "operands",
    "uses_of",
]  # fmt: skip

Detail = Literal["modules", "operations", "primitives"]
DETAILS = ("modules", "operations", "primitives")

_OURS = __name__.partition(".")[0]


@dataclass(frozen=True)
class Settings:
    """How much of a computation is drawn by itself."""

    detail: Detail = "operations"
    folded: bool = True
    collapsed: Collection[str] = ()  # paths of layers that are one box each
    depth: int | None = None  # so deep within other layers, layers are one box each
    grouped: bool = False  # parts in a row are one box


@dataclass(eq=False)
class Place:
    """One box: what it stands for."""

    call: Call | None = None  # a call that is drawn as a whole
    nodes: list[Node] = field(default_factory=list)  # operations, or leaves; those of copies too
    value: Any = None  # of a leaf
    values: list[Any] = field(default_factory=list)  # of its nodes
    frame: Call | Repeat | None = None
    within: Place | None = None  # the call that a leaf is an inner matter of
    has_parameters: bool = False  # those of the call are part of the box
    ends: list[Node] = field(default_factory=list)  # the last operation of each copy

    def __post_init__(self) -> None:
        """Begin with one copy."""
        self.ends += self.nodes[-1:]
        self._newest: Node | None = self.nodes[-1] if self.nodes else None

    @property
    def is_leaf(self) -> bool:
        """Whether it was computed by nothing."""
        return not self.nodes or self.nodes[0].op is None

    @property
    def inner(self) -> list[Node]:
        """The operations of one copy; of a leaf, its node."""
        return self.nodes[:1] if self.call is None else self.call.nodes

    @property
    def results(self) -> list[Node]:
        """The operations whose results leave it: one a copy; of leaves all."""
        return self.nodes if self.is_leaf else self.ends

    def add(self, node: Node, alike: Node) -> None:
        """Add an operation of another copy, which is there what one is in the first."""
        self.nodes.append(node)
        if self._newest is not None and alike.order < self._newest.order:
            self.ends[-1] = node
        else:
            self.ends.append(node)
        self._newest = alike

    @property
    def is_layer(self) -> bool:
        """Whether it is a layer as a whole."""
        return self.call is not None and self.call.is_layer


class Line(NamedTuple):
    """One use of a value: from a box to another, as which operand, from one copy to the next."""

    source: Place
    target: Place
    operand: int
    carried: bool


class Use(NamedTuple):
    """One operand that is drawn: ``key`` is the node it comes from, or the trace of a constant."""

    node: Node
    position: int
    value: Any
    parent: Node | None
    key: Hashable


class Layout:
    """The boxes of operations and the frames around them, from the outside in."""

    def __init__(self, whole: Call, settings: Settings) -> None:
        self.settings = settings
        self.frames: dict[Call | Repeat, Call | Repeat | None] = {}  # and what each is within
        self.places: list[Place] = []
        waiting: list[tuple[Part, Any, int]] = [(part, None, 0) for part in reversed(whole.parts)]
        while waiting:
            part, frame, depth = waiting.pop()
            if isinstance(part, Node):
                self.places.append(Place(nodes=[part], frame=frame))
                continue
            if isinstance(part, Call) and self._is_a_box(part, depth):
                has_parameters = self._is_whole(part, depth)
                self.places.append(
                    Place(part, list(part.nodes), frame=frame, has_parameters=has_parameters)
                )
                continue
            if isinstance(part, Repeat) or part.is_layer:
                self.frames[part] = frame
                frame, depth = part, depth + (not isinstance(part, Repeat))
            waiting += [(inner, frame, depth) for inner in reversed(part.parts)]

    def _is_a_box(self, part: Call, depth: int) -> bool:
        if self._is_whole(part, depth):
            return True
        if self.settings.detail == "primitives":
            return False
        if not part.is_layer:
            return not part.holds_a_layer
        # Who calls a layer of ours has not written what is in it.
        is_ours = type(part.called).__module__.partition(".")[0] == _OURS
        return not part.holds_a_layer and (is_ours or len(part.parts) == 1)

    def _is_whole(self, part: Call, depth: int) -> bool:
        """Whether a call is one box together with its parameters."""
        settings = self.settings
        if not part.is_layer:
            return part.called is None
        if part.path is not None and part.path in settings.collapsed:
            return True
        if settings.depth is not None and depth >= settings.depth:
            return True
        return settings.detail == "modules" and not part.holds_a_layer


class Plan:
    """Boxes in topological order, frames from the outside in, and lines by target and operand."""

    def __init__(
        self,
        nodes: Sequence[Node],
        uses: Sequence[Use],
        layout: Layout,
        copies: Mapping[Node, list[Copy]],
        parameters: Collection[int],
    ) -> None:
        self.nodes, self.operands = nodes, uses
        self.copies, self.parameters = copies, parameters
        self.settings = layout.settings
        self.frames = layout.frames
        self._of: dict[Hashable, Place] = {}  # by node, or by the trace of an array
        for place in layout.places:
            self._of.update(dict.fromkeys(place.nodes, place))
        for node in nodes:
            if node.op is not None and node not in self._of:
                alike = self._drawn(node)
                self._of[node] = self._of[alike]
                self._of[node].add(node, alike)
        self.given: list[Line] = []  # arrays that a call made others of
        self.uses = self._leaves(uses)
        if nodes[-1] not in self._of:  # nothing was computed
            self._of[nodes[-1]] = Place(nodes=[nodes[-1]])
        self.lines = self._lines(uses)
        self.places = self._in_order()
        self._numbers = {place: i for i, place in enumerate(self.places)}
        self.merged = self._merge_frames()

    def place(self, node: Node) -> Place:
        """Give the box of a node."""
        return self._of[node]

    def width(self) -> int:
        """Count how many boxes are beside one another, at most: about, as layouts differ."""
        lines = sorted(self.lines, key=lambda line: self._numbers[line.target])
        uses = Counter(line.source for line in lines)
        inputs: dict[Place, list[Place]] = {place: [] for place in self.places}
        for line in lines:
            inputs[line.target].append(line.source)
        # Beside what they lead to are leaves, and what is computed of one alone: a transpose.
        beside = {place for place in self.places if place.is_leaf} | {
            source
            for sources in inputs.values()
            for source in sources
            if len(sources) > 1 and [(p.is_leaf, uses[p]) for p in inputs[source]] == [(True, 1)]
        }
        ranks: dict[Place, int] = dict.fromkeys(self.places, 0)
        for line in lines:
            if line.source not in beside and not line.carried:
                ranks[line.target] = max(ranks[line.target], ranks[line.source] + 1)
        for line in reversed(lines):
            if line.source in beside:
                ranks[line.source] = ranks[line.target]
        return max(Counter(ranks.values()).values(), default=1)

    def _drawn(self, node: Node) -> Node:
        """Give the operation that is drawn for one, which may be in another copy."""
        while True:
            others = (c.first for c in self.copies.get(node, ()) if c.first is not node)
            other = next(others, None)
            if other is None:
                return node
            node = other

    # -- parameters and data ----------------------------------------------------------------------

    def _leaves(self, uses: Sequence[Use]) -> dict[Place, list[tuple[Place, int]]]:
        """Make the boxes of leaves, and say where each is used."""
        users: dict[Hashable, list[Use]] = defaultdict(list)
        for use in uses:
            if use.parent is None or use.parent.op is None:
                users[use.key].append(use)
        at = {(use.node, use.position): key for key, each in users.items() for use in each}
        targets: dict[Place, list[tuple[Place, int]]] = defaultdict(list)
        for key, each in users.items():
            drawn = self._counterpart(key, each, at)
            if drawn not in self._of:
                self._of[drawn] = Place(value=users[drawn][0].value)
            place = self._of[key] = self._of[drawn]
            leaf = each[0].parent
            if leaf is not None:
                place.nodes.append(leaf)
                place.values.append(each[0].value)
            targets[place] += [(self._of[use.node], use.position) for use in each]
        for place, used in targets.items():
            boxes = {target for target, _ in used}
            if place.nodes and place.nodes[0].order in self.parameters:
                place.frame = self._innermost([target.frame for target in boxes])
            if len(boxes) == 1 and self._is_absorbed(place, *boxes):
                [place.within] = boxes
        self._add_arguments(targets)
        return targets

    def _add_arguments(self, uses: dict[Place, list[tuple[Place, int]]]) -> None:
        """Add the arrays that a call was given and made others of: labels, say, or a mask."""
        for target in dict.fromkeys(self._of.values()):
            if target.call is None or target.call.scope is None:
                continue
            for number, trace in enumerate(target.call.scope.operands.values()):
                if not isinstance(trace, tuple) or math.prod(trace[0]) < 2:
                    continue
                if trace not in self._of:
                    self._of[trace] = Place(value=_array_of(trace))
                if not uses.get(self._of[trace]):
                    uses[self._of[trace]].append((target, number))
                    self.given.append(Line(self._of[trace], target, number, False))

    def _counterpart(self, key: Hashable, users: Sequence[Use], at: Any) -> Hashable:
        """Give the leaf that stands for one of a later copy, which is used nowhere else."""
        places = [(use.node, use.position) for use in users]
        while True:
            node, position = places[0]
            later = next((c for c in self.copies.get(node, ()) if c.number), None)
            if later is None or not all(self._is_in(later, user) for user, _ in places):
                return key
            other = at.get((later.first, position))
            if other is None or other == key:
                return key
            key, places = other, [(later.first, position)]

    def _is_in(self, copy: Copy, node: Node) -> bool:
        return any(
            c.repeat is copy.repeat and c.number == copy.number for c in self.copies.get(node, ())
        )

    def _innermost(self, frames: Sequence[Call | Repeat | None]) -> Call | Repeat | None:
        """Give the innermost frame that all of some frames are in."""
        if all(frame is frames[0] for frame in frames):
            return frames[0]
        chains = [list(self._around(frame)) for frame in frames]
        return next((f for f in chains[0] if all(f in chain for chain in chains)), None)

    def _around(self, frame: Call | Repeat | None) -> Iterator[Call | Repeat]:
        while frame is not None:
            yield frame
            frame = self.frames[frame]

    def _is_absorbed(self, leaf: Place, target: Place) -> bool:
        """Whether a leaf is an inner matter of the call that uses it."""
        call = target.call
        if call is None or (leaf.nodes and not target.has_parameters):
            return False
        if call.scope is None:  # of several operations: what all began with is shown
            return leaf is not self._of[self.nodes[0]]
        traces = [n.order for n in leaf.nodes] or [trace_of(leaf.value)]
        return not any(trace in call.scope.operands.values() for trace in traces)

    # -- lines, and the order of everything -------------------------------------------------------

    def _lines(self, uses: Sequence[Use]) -> dict[Line, list[tuple[int, int]]]:
        """Say which operands of which operations each line stands for."""
        lines: dict[Line, list[tuple[int, int]]] = defaultdict(list)
        firsts: dict[tuple[Place, Place], int] = {}
        for node, position, _, parent, key in uses:
            target, source = self._of[node], self._of[key]
            carried = parent is not None and self._is_carried(parent, node)
            if (source is target and not carried) or source.within is not None:
                continue
            operand = position if target.call is None else 0
            if len(source.nodes) > len(source.inner) and not carried:  # copies side by side
                operand = firsts.setdefault((source, target), operand)
            lines[Line(source, target, operand, carried)].append((node.order, position))
        return lines | {line: [] for line in self.given}

    def _is_carried(self, source: Node, target: Node) -> bool:
        """Whether a value goes from one copy to another of the same repeat."""
        if source not in self.copies:
            return False
        ours = {c.repeat: c.number for c in self.copies[source]}
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

    # -- frames -----------------------------------------------------------------------------------

    def _merge_frames(self) -> dict[Call | Repeat, list[Call | Repeat]]:
        """Say which frames each drawn one stands for, the outermost first.

        A frame around another and nothing else is drawn as one with it.
        """
        boxes = Counter(place.frame for place in self.places)
        held = Counter(self.frames.values())
        merged: dict[Call | Repeat, list[Call | Repeat]] = {}
        before: list[Call | Repeat] = []
        for frame in self.frames:  # one within another comes after it
            before.append(frame)
            if boxes[frame] or held[frame] != 1:
                merged[frame], before = before, []
        return merged


def uses_of(nodes: Sequence[Node]) -> list[Use]:
    """List the operands of operations that are drawn, the oldest first."""
    return [
        Use(node, position, value, parent, trace_of(value) if parent is None else parent)
        for node in nodes
        for position, value, parent in operands(node)
    ]


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
