"""The graph to be drawn, as plain data: boxes, frames and lines, with all numbers and words.

Nothing about looks is decided here: ``dot.py`` turns the model into text, ``picture.py`` into a
table.  The same computation gives the same model, whatever the memory addresses: boxes are numbered
in topological order.

Not for: which boxes there are (``plan.py``).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from tinygrad_lab.core.engine import Node
from tinygrad_lab.core.graph import history
from tinygrad_lab.core.scopes import trace_of
from tinygrad_lab.core.tensor import Tensor
from tinygrad_lab.viz import naming as words
from tinygrad_lab.viz.health import Finding, flat
from tinygrad_lab.viz.measures import Flow, Measure, measure, together
from tinygrad_lab.viz.naming import Naming
from tinygrad_lab.viz.nesting import Frame
from tinygrad_lab.viz.outline import Call, Repeat, nodes_of
from tinygrad_lab.viz.plan import DETAILS, Detail, Line, Place, Plan, Settings
from tinygrad_lab.viz.rules import NO_FORMULA, Formula, formula

__all__ = ["DETAILS", "Box", "Detail", "Edge", "Examine", "Frame", "GraphModel", "build"]

Role = Literal["input", "parameter", "operation", "layer", "loss"]
#: Where two graphs are compared: what only one of them has.
Status = Literal["", "added", "removed"]
EdgeRole = Literal["spine", "skip", "side", "carried"]

#: Looks for trouble in a computation.
Examine = Callable[[Tensor, Sequence[Node], Naming], Sequence[Finding]]

#: More boxes than this are folded, then drawn as layers, where nobody says otherwise.
READABLE = 60


@dataclass(frozen=True, slots=True)
class Box:
    """One box: an operation or a whole call together with its result, a parameter, or data.

    ``name`` is what the user calls the value, ``title`` what was computed (the operation, the
    layer, or the kind of leaf) and ``attributes`` its arguments that are not arrays.  Of what
    repeats, ``value`` and ``grad`` measure all copies together, and ``course`` has the gradient of
    each, the first copy first.  ``marks`` say what is wrong with it, and ``is_follower`` that what
    is not finite in it comes from a box that is marked.  Where two graphs are compared, ``status``
    says that one of them alone has it, and ``ratio`` how many times as large its gradient became.
    """

    id: str
    role: Role
    title: str
    name: str
    attributes: str
    shape: tuple[int, ...]
    dtype: str
    value: Measure | None
    grad: Measure | None
    frame: str | None
    operations: int = 0
    parameters: int = 0
    course: tuple[Measure, ...] = ()
    details: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()
    is_follower: bool = False
    status: Status = ""
    ratio: float | None = None

    @property
    def flow(self) -> float | None:
        """The number that stands for the gradient: itself where it is one number, else its rms."""
        if self.grad is None:
            return None
        return self.grad.mean if self.grad.size == 1 else self.grad.rms

    @property
    def trouble(self) -> str:
        """What is not finite: ``NaN`` or ``Inf`` in the value, or else ``∇ NaN``; or nothing.

        Nothing too where it is known that it comes from elsewhere.
        """
        if self.is_follower:
            return ""
        for measured, where in ((self.value, ""), (self.grad, "∇ ")):
            if measured is not None and measured.trouble:
                return where + measured.trouble
        return ""


@dataclass(frozen=True, slots=True)
class Edge:
    """One use of a value: operand number ``operand`` of the box ``target``.

    ``grad`` measures what flows back along this edge alone, ``None`` where nothing does.
    ``share`` is what that adds to the gradient of the source: over all edges that leave a box, the
    shares sum to its :attr:`Box.flow`. ``rule`` is how it is computed, as a formula, where that is
    one; ``role`` places the edge: along the ``spine`` of
    activations, a ``skip`` past part of it, in from the ``side``, or ``carried`` from one copy of
    what repeats to the next.
    """

    source: str
    target: str
    operand: int
    grad: Measure | None
    share: float | None
    tracked: bool
    role: EdgeRole
    rule: Formula = NO_FORMULA
    status: Status = ""


@dataclass(frozen=True, slots=True)
class GraphModel:
    """Boxes in topological order, edges by target and operand, and frames from the outside in."""

    boxes: tuple[Box, ...]
    edges: tuple[Edge, ...]
    frames: tuple[Frame, ...] = ()
    has_gradients: bool = True
    detail: Detail = "operations"
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def loss(self) -> Box:
        """The box everything leads to."""
        return self.boxes[-1]

    def count(self, role: Role) -> int:
        """Return the number of boxes of a role."""
        return sum(box.role == role for box in self.boxes)

    @property
    def remarks(self) -> tuple[str, ...]:
        """Notes, and what was found wrong of what has no box: parameters not in the graph."""
        without = [f for f in flat(self.findings) if not f.spots]
        return (*self.notes, *(f"{f.symbol} {f.kind}: {f.where}" for f in without))

    @property
    def operations(self) -> int:
        """The number of operations, the last one included."""
        return sum(box.operations for box in self.boxes)

    @property
    def parameters(self) -> int:
        """The number of elements of all parameters together."""
        return sum(box.parameters for box in self.boxes)


def build(
    loss: Tensor,
    *,
    model: Any = None,
    names: Mapping[str, Any] | None = None,
    gradients: bool = True,
    limit: int | None = None,
    detail: str = "auto",
    fold: bool | None = None,
    collapse: Collection[str] = (),
    examine: Examine | None = None,
) -> GraphModel:
    """Read the graph of a tensor.

    Parameters
    ----------
    loss
        The tensor whose history is read. With several elements, gradients are those of its sum.
    model
        Anything with ``named_parameters()``; if it has ``named_modules()`` too, operations are
        attributed to the module whose parameters they use.
    names
        What tensors and arrays are called, ``{"x": x, "ŷ": prediction}``.
    gradients
        Run one backward pass to measure gradients. It changes no ``.grad`` and keeps the graph;
        hooks run as in any pass, and what they return is what is drawn.
    limit
        Refuse more boxes than this.
    detail
        ``"modules"``: each layer that calls no other is one box. ``"operations"``: each call of a
        function is, and layers are frames. ``"primitives"``: each recorded operation is.
        ``"auto"``: operations, or modules where that would be too many.
    fold
        Draw what repeats once; by default where there would be too many boxes.
    collapse
        Paths of layers to draw as one box each.
    examine
        Looks for trouble, whose places are marked: a function of the loss, its nodes, the oldest
        first, and what they are called.

    Raises
    ------
    TypeError
        ``loss`` is not a Tensor.
    ValueError
        ``loss`` has no history, its graph was freed by ``backward()``, or it has more than
        ``limit`` boxes.

    Examples
    --------
    >>> import tinygrad_lab as tl
    >>> x = tl.tensor([1.0, 2.0], requires_grad=True)
    >>> [box.title for box in build((x * x).sum()).boxes]
    ['parameter', 'multiply', 'sum']
    """
    nodes = _history(loss)
    naming = Naming(loss, model, names)
    settings = [_settings(d, f, collapse) for d, f in _attempts(detail, fold)]
    for each in settings:
        plan = Plan(nodes, naming.paths, each, naming.parameters)
        if len(plan.places) <= READABLE:
            break
    if limit is not None and len(plan.places) > limit:
        raise ValueError(_too_large(nodes, len(plan.places), limit))
    lines = {use: line for line, uses in plan.lines.items() for use in uses}
    flow = Flow(nodes, loss, lines) if gradients else None
    findings = examine(loss, nodes, naming) if examine else []
    return _Reader(plan, naming, flow, loss, findings).model()


def _settings(detail: Any, fold: bool, collapse: Collection[str]) -> Settings:
    return Settings(detail, fold, frozenset(collapse))


def _attempts(detail: str, fold: bool | None) -> list[tuple[str, bool]]:
    """List what to try until the picture can be read."""
    details = ["operations", "modules"] if detail == "auto" else [detail]
    folds = [False, True] if fold is None else [fold]
    return [(d, f) for d in details for f in folds]


# ---- reading the history ------------------------------------------------------------------------


def _history(loss: Any) -> list[Node]:
    """Return every node ``loss`` was computed from, oldest first, ``loss`` last."""
    if not isinstance(loss, Tensor):
        raise TypeError(f"only the graph of a Tensor can be drawn, not of {type(loss).__name__}")
    if loss.node is None:
        raise ValueError(
            "this tensor has no history: nothing it was computed from has requires_grad=True, or "
            "it was computed under no_grad() or detached"
        )
    nodes = history([loss.node])[::-1]
    if any(node.op is not None and node.args is None for node in nodes):
        raise ValueError(
            "this graph was freed by backward(): draw it before backward(), or call "
            "backward(retain_graph=True)"
        )
    return nodes


def _too_large(nodes: list[Node], boxes: int, limit: int) -> str:
    """Describe a graph that is too large to be drawn."""
    commonest = Counter(words.title_of(node) for node in nodes if node.op is not None).most_common(
        5
    )
    summary = ", ".join(f"{count} × {name}" for name, count in commonest)
    return (
        f"this graph has {boxes} boxes, too many to read (the limit is {limit}); most are "
        f"{summary}. Draw the graph of one layer or of fewer steps, or pass limit={boxes}"
    )


# ---- boxes, frames and lines --------------------------------------------------------------------


class _Reader:
    """Describes a plan: in words and numbers, by position."""

    def __init__(
        self, plan: Plan, naming: Naming, flow: Flow | None, loss: Tensor,
        findings: Sequence[Finding],
    ) -> None:  # fmt: skip
        self.plan, self.naming, self.flow, self.loss = plan, naming, flow, loss
        self.ids = {place: f"n{i}" for i, place in enumerate(plan.places)}
        frames = [f for f in plan.frames if not (isinstance(f, Call) and f.path == "")]
        self.frame_ids: dict[Any, str] = {f: f"f{i}" for i, f in enumerate(frames)}
        self.inputs: dict[Place, list[Line]] = {place: [] for place in plan.places}
        for line in sorted(plan.lines, key=lambda line: line.operand):
            self.inputs[line.target].append(line)
        self.uses = Counter(line.source for line in plan.lines)
        self.values = _values(plan, loss)
        self.findings = tuple(map(self._placed, findings))
        self.marks: dict[str, dict[str, None]] = {}
        for finding in flat(self.findings):
            for box, mark in finding.marks():
                self.marks.setdefault(box, {})[mark] = None
        self._follow_data()

    def _placed(self, finding: Finding) -> Finding:
        """Put boxes in the places of nodes: a finding is plain data from here on."""
        spots = tuple(replace(s, node=None, box=self._box_of(s.node)) for s in finding.spots)
        return replace(finding, spots=spots, effects=tuple(map(self._placed, finding.effects)))

    def _box_of(self, node: Node) -> str | None:
        place = self.plan.place(node)
        return self.ids.get(place.within or place)

    def model(self) -> GraphModel:
        """Describe everything."""
        owners = self._owners()
        frames = [*self._frames(), *self._frames_of(owners)]
        boxes = tuple(self._box(place, owners) for place in self.plan.places)
        return GraphModel(
            boxes, tuple(self._edges()), tuple(frames), self.flow is not None,
            self.plan.settings.detail, self.findings,
        )  # fmt: skip

    # -- frames -----------------------------------------------------------------------------------

    def _frames(self) -> Iterator[Frame]:
        for part, within in self.plan.frames.items():
            if part not in self.frame_ids:
                continue
            around = self.frame_ids.get(within)
            if isinstance(part, Repeat):
                yield Frame(self.frame_ids[part], "", around, copies=part.copies)
            else:
                title = words.layer_title(part.path, part.called)
                yield Frame(self.frame_ids[part], title, around, part.path)

    def _owners(self) -> dict[Place, str]:
        """Attribute operations to modules that are none of ours, by the parameters they use.

        A parameter may pass through operations of its own first (a transpose, a mask): those belong
        to the module too, and so does the operation where they meet the data.
        """
        if any(call.path for call in self.plan.frames if isinstance(call, Call)):
            return {}
        owners: dict[Place, str] = {}
        bare: set[Place] = set()  # what only parameters have gone into so far
        for place in self.plan.places:
            inputs = [line.source for line in self.inputs[place]]
            if not inputs:
                owner = self.naming.owner(place.nodes[0]) if place.nodes else None
                if owner is not None:
                    owners[place] = owner
                    bare.add(place)
                continue
            entering = {owners[box] for box in inputs if box in bare}
            if len(entering) == 1:
                owners[place] = entering.pop()
                if all(box in bare for box in inputs):
                    bare.add(place)
        return owners

    def _frames_of(self, owners: Mapping[Place, str]) -> Iterator[Frame]:
        for path in sorted(set(owners.values())):
            title = words.layer_title(path, self.naming.modules[path])
            yield Frame(f"m{path}", title, None, path)

    # -- boxes ------------------------------------------------------------------------------------

    def _box(self, place: Place, owners: Mapping[Place, str]) -> Box:
        value = self.values[place][0]
        measures = [measure(v) for v in self.values[place] if v.dtype.kind in "biufc"]
        course = tuple(self._gradients(place))
        frame = f"m{owners[place]}" if place in owners else self.frame_ids.get(place.frame)
        role = self._role(place)
        title, attributes, name = self._words(place, role)
        inner = [*nodes_of(place.call)] if place.call is not None else place.nodes[:1]
        absorbed = self._absorbed(place)
        return Box(
            id=self.ids[place], role=role, title=title, name=name, attributes=attributes,
            shape=tuple(value.shape), dtype=str(value.dtype),
            value=together(measures), grad=together(course), frame=frame,
            operations=0 if place.is_leaf else len(inner) * self._copies(place),
            parameters=sum(math.prod(v.shape) for v in absorbed)
            + (math.prod(value.shape) * len(place.nodes) if role == "parameter" else 0),
            course=course if len(course) > 1 else (),
            details=tuple(self._details(place, inner)),
            marks=tuple(self.marks.get(self.ids[place], ())),
            is_follower=any(f.kind == "not finite" for f in self.findings),
        )  # fmt: skip

    def _copies(self, place: Place) -> int:
        inner = len([*nodes_of(place.call)]) if place.call is not None else 1
        return max(len(place.nodes) // max(inner, 1), 1)

    def _absorbed(self, place: Place) -> list[Any]:
        """List the values of the parameters that are part of a box."""
        leaves = dict.fromkeys(p for p in self.plan.uses if p.within is place)
        return [p.value for p in leaves for _ in p.nodes]

    def _details(self, place: Place, inner: Sequence[Node]) -> Iterator[str]:
        if place.call is not None and len(inner) > 1:
            counts = Counter(map(words.title_of, inner))
            yield "of " + ", ".join(f"{n} × {t}" if n > 1 else t for t, n in counts.items())
        for node in inner[-1:]:
            if node.site:
                yield f"at {node.site}"

    def _gradients(self, place: Place) -> list[Measure]:
        if self.flow is None:
            return []
        return [self.flow.nodes[n.order] for n in _results(place) if n.order in self.flow.nodes]

    def _role(self, place: Place) -> Role:
        if not place.nodes:
            return "input"
        if place is self.plan.places[-1]:
            return "loss"
        if not place.is_leaf:
            return "layer" if place.call is not None and place.call.is_layer else "operation"
        return "input" if self.naming.is_fed_in(place.nodes[0]) else "parameter"

    def _words(self, place: Place, role: Role) -> tuple[str, str, str]:
        """Give the title, the attributes and the name of a box."""
        if place.is_leaf:
            trace = place.nodes[0].order if place.nodes else trace_of(place.value)
            return role, "", self.naming.names.get(trace) or self._as_passed(place, trace)
        name = self.naming.names.get(_results(place)[0].order, "")
        if place.call is None:
            node = place.nodes[0]
            return words.title_of(node), words.attributes_of(node), name
        shapes = {
            words.operand_name(place.call.scope, trace): tuple(line.source.value.shape)
            for line in self.inputs[place]
            if line.source.is_leaf
            for trace in self._traces(line.source)
        }
        return (
            words.called(place.call),
            words.arguments_of(place.call, shapes),
            (name or (place.call.path or "")),
        )

    def _traces(self, leaf: Place) -> list[Any]:
        return [n.order for n in leaf.nodes] or [trace_of(leaf.value)]

    def _as_passed(self, place: Place, trace: Any) -> str:
        """Name unnamed data by the argument that it was passed as, where that has a name."""
        for target, position in self.plan.uses[place]:
            if target.call is not None:
                name = words.operand_name(target.call.scope, trace)
            else:
                name = words.parameter_names(target.nodes[0].op).get(position, "")
            if name and not place.nodes:
                return name
        return ""

    # -- lines ------------------------------------------------------------------------------------

    def _follow_data(self) -> None:
        """Find, for each box, the operand the data arrives by: the spine of the picture."""
        #: How many operations lie between a box and the data; -1 for what no data reaches.
        self.depth: dict[Place, int] = {}
        self.main: dict[Place, Place | None] = {}
        for place in self.plan.places:
            inputs = [line.source for line in self.inputs[place] if not line.carried]
            inputs = [box for box in inputs if box in self.depth]
            reached = [box for box in inputs if self.depth[box] >= 0]
            # The longest way from the data is the spine; a shorter one is a skip connection.
            # Where no data arrives at all, any operation comes before any leaf.
            best = max(inputs, key=lambda b: (self.depth[b], not b.is_leaf), default=None)
            self.main[place] = best
            if place.is_leaf and (not place.nodes or self.naming.is_fed_in(place.nodes[0])):
                self.depth[place] = 0
            else:
                self.depth[place] = max((self.depth[b] + 1 for b in reached), default=-1)

    def _edges(self) -> Iterator[Edge]:
        """Yield the edges, by target and then by operand."""
        entering = self._entering()
        for place in self.plan.places:
            spine: Line | None = None
            for line in self.inputs[place]:
                if spine is None and line.source is self.main[place] and not line.carried:
                    spine = line
                role: EdgeRole = "spine" if spine is line else "skip"
                if line.source in entering:
                    role = "side"
                if line.carried:
                    role = "carried"
                grad = share = None
                if self.flow is not None and line in self.flow.lines:
                    grad = together(self.flow.lines[line])
                    share = sum(self.flow.shares[line]) / len(self.flow.shares[line])
                tracked = bool(line.source.nodes)
                source, target = self.ids[line.source], self.ids[place]
                rule = NO_FORMULA if grad is None else self._rule(line)
                yield Edge(source, target, line.operand, grad, share, tracked, role, rule)

    def _rule(self, line: Line) -> Formula:
        """Give the rule by an operand of a box that is one operation."""
        nodes = line.target.nodes[: len(line.target.nodes) // self._copies(line.target)]
        positions = {position for _, position in self.plan.lines[line]}
        if len(nodes) != 1 or len(positions) != 1:
            return NO_FORMULA
        rule = formula(nodes[0].op, *positions)
        own, result = (self.values[place][0].shape for place in (line.source, line.target))
        is_elementwise = isinstance(nodes[0].op, np.ufunc) and nodes[0].op.signature is None
        if rule.text and is_elementwise and own != result:
            return rule._replace(text=f"{rule.text}, summed over what was repeated")
        return rule

    def _entering(self) -> set[Place]:
        """Return the boxes that come in from the side: used once, beside what the data arrives by.

        An operation on such a box's way in, a transpose say, is one too, and its operand with it.
        """
        entering: set[Place] = set()
        for place in reversed(self.plan.places):
            main = self.main[place]
            for line in self.inputs[place]:
                box = line.source
                leads_in = place in entering and box.is_leaf
                if self.uses[box] == 1 and self.depth[box] <= 0 and (box is not main or leads_in):
                    entering.add(box)
        return entering


def _results(place: Place) -> list[Node]:
    """List the operations whose results leave a box: one a copy; of leaves all."""
    if place.call is None:
        return place.nodes
    length = len([*nodes_of(place.call)])
    return place.nodes[length - 1 :: length]


def _values(plan: Plan, loss: Tensor) -> dict[Place, list[Any]]:
    """Give the value of each box, of what repeats those of all copies."""
    values: dict[Place, list[Any]] = {}
    for place in plan.places:
        if place.is_leaf:
            values[place] = [loss.data if place.value is None else place.value]
        else:
            results = [loss.data if n is loss.node else n.value for n in _results(place)]
            values[place] = [v[0] if isinstance(v, (tuple, list)) else v for v in results]
    return values
