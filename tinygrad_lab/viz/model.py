"""The graph to be drawn, as plain data: boxes, frames and lines, with all numbers and words.

Nothing about looks is decided here: ``dot.py`` turns the model into text, ``picture.py`` into a
table.  The same computation gives the same model, whatever the memory addresses: boxes are numbered
in topological order.

Not for: which boxes there are (``plan.py``).
"""

from __future__ import annotations

import fnmatch
import math
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np

from tinygrad_lab.core.engine import Node
from tinygrad_lab.core.graph import history
from tinygrad_lab.core.scopes import scopes_of, trace_of
from tinygrad_lab.core.tensor import Tensor
from tinygrad_lab.viz import naming as words
from tinygrad_lab.viz.health import Finding, flat
from tinygrad_lab.viz.marking import marks_of, placed
from tinygrad_lab.viz.measures import Flow, Measure, measure, together
from tinygrad_lab.viz.naming import Naming
from tinygrad_lab.viz.nesting import Frame
from tinygrad_lab.viz.outline import Call, Repeat
from tinygrad_lab.viz.plan import DETAILS, Detail, Line, Place, Plan
from tinygrad_lab.viz.rules import NO_FORMULA, Formula, formula
from tinygrad_lab.viz.scaling import plan_of, words_of

__all__ = ["DETAILS", "Box", "Detail", "Edge", "Examine", "Frame", "GraphModel", "build"]

Role = Literal["input", "parameter", "operation", "layer", "loss"]
#: Where two graphs are compared: what only one of them has.
Status = Literal["", "added", "removed"]
EdgeRole = Literal["spine", "skip", "side", "carried"]

#: Between copies, a gradient that changes by more than this is said for the first and the last.
FAR = 10.0

#: Looks for trouble in a computation.
Examine = Callable[[Tensor, Sequence[Node], Naming], Sequence[Finding]]

_FREED_MEANWHILE = (
    "this graph was freed by backward() while it was drawn, in another thread or by a hook: draw "
    "it before backward(), or call backward(retain_graph=True)"
)


@dataclass(frozen=True, slots=True)
class Box:
    """One box: an operation or a whole call together with its result, a parameter, or data.

    ``name`` is what the user calls the value, ``title`` what was computed (the operation, the
    layer, or the kind of leaf) and ``attributes`` its arguments that are not arrays; ``written`` is
    how all this is said in the picture: ``conv2d(k3, p1)``, ``x[:, 0]``, ``fc: Linear(2→3)``, or
    the name of a leaf.  A layer has a ``path``, and ``shape_before`` is that of the first array
    that it was called with.  Of what repeats, ``value`` and ``grad`` measure all copies together,
    and ``course`` has the gradient of each, the first copy first.  ``marks`` say what is wrong with
    it, and ``is_follower`` that what is not finite in it comes from a box that is marked.  Where
    two graphs are compared, ``status`` says that one of them alone has it, and ``ratio`` how many
    times as large its gradient became.
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
    written: str = ""
    is_layer: bool = False
    path: str | None = None
    shape_before: tuple[int, ...] | None = None
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
        """The number that stands for the gradient: itself where it is one number, else its rms.

        It is not finite where an element is not.
        """
        if self.grad is None:
            return None
        if self.grad.trouble:
            return math.nan if self.grad.nan else math.inf
        return self.grad.mean if self.grad.size == 1 else self.grad.rms

    @property
    def heading(self) -> str:
        """What it is in one line: ``conv2d(k3, p1) → h``, or the name of a leaf."""
        if self.role in ("input", "parameter"):
            return self.name or self.title
        return f"{self.written} → {self.name}" if self.name else self.written

    @property
    def ends(self) -> tuple[float, float] | None:
        """The gradient in the first and in the last copy, where it changes more than tenfold."""
        if not self.course:
            return None
        first, last = self.course[0].rms, self.course[-1].rms
        changes = max(first, last) > FAR * min(first, last)
        return (first, last) if changes else None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader is warned of: its marks, or else what is not finite in it."""
        return self.marks or ((f"✗ {self.trouble}",) if self.trouble else ())

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
    nearby: Mapping[str, Any] | None = None,
    gradients: bool = True,
    limit: int | None = None,
    detail: str = "auto",
    fold: bool | None = None,
    collapse: Collection[str] = (),
    depth: int | None = None,
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
    nearby
        What those are called that have no other name.
    gradients
        Run one backward pass to measure gradients. It changes no ``.grad`` and keeps the graph;
        hooks run as in any pass, and what they return is what is drawn.
    limit
        Refuse more boxes than this.
    detail
        ``"modules"``: each layer that calls no other is one box with its parameters.
        ``"operations"``: beside it are its parameters, and each call of a function is a box.
        ``"primitives"``: each recorded operation is.  ``"auto"``: operations, or modules where
        that would be too many, or operations in a row as one box if that would be too.
    fold
        Draw what repeats once; by default where there would be too many boxes.
    collapse
        Paths of layers to draw as one box each; ``"layers.*.attention"`` stands for several.
    depth
        Draw layers that are so deep within others as one box each.
    examine
        Looks for trouble, whose places are marked: a function of the loss, its nodes, the oldest
        first, and what they are called.

    Raises
    ------
    TypeError
        ``loss`` is not a Tensor.
    ValueError
        ``loss`` has no history, its graph was freed by ``backward()``, it has more than ``limit``
        boxes, or ``collapse`` names no layer.

    Examples
    --------
    >>> import tinygrad_lab as tl
    >>> x = tl.tensor([1.0, 2.0], requires_grad=True)
    >>> [box.title for box in build((x * x).sum()).boxes]
    ['parameter', 'multiply', 'sum']
    """
    nodes = _history(loss)
    with _unless_freed(nodes):
        naming = Naming(loss, model, names, nearby)
        collapsed = _chosen(collapse, naming)
        plan = plan_of(nodes, naming, detail=detail, folded=fold, collapsed=collapsed, depth=depth)
        if limit is not None and len(plan.places) > limit:
            raise ValueError(_too_large(nodes, len(plan.places), limit))
        lines = {use: line for line, uses in plan.lines.items() for use in uses}
        flow = Flow(nodes, loss, lines) if gradients else None
        findings = examine(loss, nodes, naming) if examine else []
        read = _Reader(plan, naming, flow, loss, findings).model()
        return replace(read, notes=words_of(plan, detail))


def _chosen(patterns: Collection[str], naming: Naming) -> frozenset[str]:
    """Give the paths that are meant, and refuse what leads to no layer."""
    chosen: set[str] = set()
    for pattern in patterns:
        own = fnmatch.filter(naming.modules, pattern)
        if not own:
            known = ", ".join(map(repr, filter(None, naming.modules))) or "none: pass the model"
            raise ValueError(f"collapse: no layer is called {pattern!r}; the layers are {known}")
        chosen.update(own)
    return frozenset(chosen)


# ---- reading the history ------------------------------------------------------------------------


def _history(loss: Any) -> list[Node]:
    """Return every node ``loss`` was computed from, oldest first, ``loss`` last."""
    if not isinstance(loss, Tensor):
        instead = ""
        if hasattr(loss, "parameters"):
            instead = ": say tl.viz.graph(loss, model), or tl.viz.graph(model(x), model)"
        elif callable(loss):
            instead = ": say tl.viz.graph(f(t)), or tl.viz.graph(tl.program(f)(x))"
        kind = type(loss).__name__
        raise TypeError(f"only the graph of a Tensor can be drawn, not of {kind}{instead}")
    if loss.node is None:
        raise ValueError(
            "this tensor has no history: nothing it was computed from has requires_grad=True, or "
            "it was computed under no_grad() or detached"
        )
    nodes = history([loss.node])[::-1]
    if _is_freed(nodes):
        raise ValueError(
            "this graph was freed by backward(): draw it before backward(), or call "
            "backward(retain_graph=True)"
        )
    return nodes


def _is_freed(nodes: Sequence[Node]) -> bool:
    return any(node.op is not None and node.args is None for node in nodes)


@contextmanager
def _unless_freed(nodes: Sequence[Node]) -> Iterator[None]:
    """Take nothing of what was read for true if a backward pass has freed some of it meanwhile."""
    try:
        yield
    except Exception as error:
        if _is_freed(nodes):
            raise ValueError(_FREED_MEANWHILE) from error
        raise
    if _is_freed(nodes):
        raise ValueError(_FREED_MEANWHILE)


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
        #: What each frame stands for; that of the model itself is not drawn.
        merged = {f: [g for g in each if not (isinstance(g, Call) and g.path == "")]
                  for f, each in plan.merged.items()}  # fmt: skip
        self.frames = {frame: each for frame, each in merged.items() if each}
        self.frame_ids: dict[Any, str] = {f: f"f{i}" for i, f in enumerate(self.frames)}
        self.shapes = {
            use.parent.order: use.value.shape for use in plan.operands if use.parent is not None
        }
        self.inputs: dict[Place, list[Line]] = {place: [] for place in plan.places}
        for line in sorted(plan.lines, key=lambda line: line.operand):
            self.inputs[line.target].append(line)
        self.uses = Counter(line.source for line in plan.lines)
        self.values = _values(plan, loss)
        self.inner: dict[Place, list[Place]] = {}
        for leaf in plan.uses:
            if leaf.within is not None:
                self.inner.setdefault(leaf.within, []).append(leaf)
        self.findings = tuple(placed(finding, plan, self.ids) for finding in findings)
        self.marks = marks_of(self.findings)
        self._follow_data()

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
        for frame, parts in self.frames.items():
            around = self.plan.frames[parts[0]]
            calls = [part for part in parts if isinstance(part, Call)]
            yield Frame(
                id=self.frame_ids[frame],
                title=words.frame_title(parts, self._path(around)),
                within=self.frame_ids.get(around),
                path=calls[-1].path if calls else None,
                copies=math.prod(part.copies for part in parts if isinstance(part, Repeat)),
                shapes=self._shapes(calls[-1]) if calls else (),
            )

    def _path(self, frame: Call | Repeat | None) -> str | None:
        """Give the path of the innermost layer that a frame is, or is in."""
        while frame is not None and not (isinstance(frame, Call) and frame.path):
            frame = self.plan.frames[frame]
        return frame.path if isinstance(frame, Call) else None

    def _shapes(self, call: Call) -> tuple[tuple[int, ...], ...]:
        """Give the shapes of the first array that a call was given, and of its result."""
        traces = call.scope.operands.values() if call.scope is not None else ()
        result = getattr(call.nodes[-1].value, "shape", None)
        for trace in traces:
            before = trace[0] if isinstance(trace, tuple) else self.shapes.get(trace)
            if before is not None and result is not None:
                return tuple(before), tuple(result)
        return ()

    def _owners(self) -> dict[Place, str]:
        """Attribute operations to modules that are none of ours, by the parameters they use.

        A parameter may pass through operations of its own first (a transpose, a mask): those belong
        to the module too, and so does the operation where they meet the data.
        """
        calls = [*self.plan.frames, *(place.call for place in self.plan.places)]
        if any(isinstance(call, Call) and call.path for call in calls):
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
        # A module of which only a part repeats has no frame: it would hold more than repeats.
        around: dict[str, set[Any]] = {}
        for place, owner in owners.items():
            around.setdefault(owner, set()).add(place.frame)
        return {place: owner for place, owner in owners.items() if len(around[owner]) == 1}

    def _frames_of(self, owners: Mapping[Place, str]) -> Iterator[Frame]:
        around = {path: self.frame_ids.get(place.frame) for place, path in owners.items()}
        for path, within in sorted(around.items()):
            id = self.frame_ids[path] = f"f{len(self.frame_ids)}"
            yield Frame(id, words.layer_title(path, self.naming.modules[path]), within, path)

    # -- boxes ------------------------------------------------------------------------------------

    def _box(self, place: Place, owners: Mapping[Place, str]) -> Box:
        value = self.values[place][0]
        measures = [measure(v) for v in self.values[place] if v.dtype.kind in "biufc"]
        course = tuple(self._gradients(place))
        frame = self.frame_ids.get(owners.get(place, place.frame))
        role = self._role(place)
        title, attributes, name, written = self._words(place, role, owners.get(place))
        parameters = self._absorbed(place)
        if role == "parameter":
            parameters = parameters + self.values[place]
        return Box(
            id=self.ids[place], role=role, title=title, name=name, attributes=attributes,
            shape=tuple(value.shape), dtype=str(value.dtype),
            value=together(measures), grad=together(course), frame=frame, written=written,
            is_layer=place.is_layer, path=place.call.path if place.call is not None else None,
            shape_before=self._shape_before(place),
            operations=0 if place.is_leaf else len(place.nodes),
            parameters=sum(math.prod(v.shape) for v in parameters),
            course=course if len(course) > 1 else (),
            details=tuple(self._details(place)),
            marks=self.marks.get(self.ids[place], ()),
            is_follower=any(f.kind == "not finite" for f in self.findings),
        )  # fmt: skip

    def _shape_before(self, place: Place) -> tuple[int, ...] | None:
        if place.call is not None and place.is_layer:
            return next(iter(self._shapes(place.call)), None)
        is_reshape = not place.is_leaf and words.title_of(place.nodes[0]) == "reshape"
        return tuple(place.nodes[0].args[0].shape) if is_reshape else None

    def _absorbed(self, place: Place) -> list[Any]:
        """List the values of the parameters that are part of a box."""
        return [value for leaf in self.inner.get(place, ()) for value in leaf.values]

    def _details(self, place: Place) -> Iterator[str]:
        inner = [] if place.is_leaf else place.inner
        if len(inner) > 1:
            counts = Counter(map(words.title_of, inner))
            yield "of " + ", ".join(f"{n} × {t}" if n > 1 else t for t, n in counts.items())
        if len(place.results) > 1:
            yield f"{len(place.results)} copies"
        for node in inner[-1:]:
            if node.site:
                yield f"at {node.site}"

    def _gradients(self, place: Place) -> list[Measure]:
        if self.flow is None:
            return []
        return [self.flow.nodes[n.order] for n in place.results if n.order in self.flow.nodes]

    def _role(self, place: Place) -> Role:
        if not place.nodes:
            return "input"
        if place is self.plan.places[-1]:
            return "loss"
        if not place.is_leaf:
            return "layer" if place.call is not None and place.call.is_layer else "operation"
        return "input" if self.naming.is_fed_in(place.nodes[0]) else "parameter"

    def _words(self, place: Place, role: Role, owner: str | None) -> tuple[str, str, str, str]:
        """Give the title, the attributes and the name of a box, and how it is written."""
        outer = owner or self._path(place.frame)
        if place.is_leaf:
            name = self._name_of_leaf(place)
            return role, "", name, words.within(name, outer or self._owner(place)) or role
        names = self.naming.names
        name = names.get(place.results[-1].order, "") or names.get(place.results[0].order, "")
        call = place.call
        if call is None:
            node = place.nodes[0]
            written = words.written(place.nodes, self._subject(place))
            return words.title_of(node), words.attributes_of(node), name, written
        title = words.called(call)
        if call.is_layer:
            written = words.layer_title(words.within(call.path or "", outer), call.called)
            return title, words.options_of(call.called), name, written
        if call.called is None:
            contents = words.contents_of(call.nodes)
            return title, contents, name, f"{title}: {contents}"
        attributes = words.arguments_of(call, self._shapes_of_operands(place))
        return title, attributes, name, f"{title}({attributes})" if attributes else title

    def _name_of_leaf(self, place: Place) -> str:
        trace = place.nodes[0].order if place.nodes else trace_of(place.value)
        return self.naming.names.get(trace) or self._as_passed(place, trace)

    def _owner(self, leaf: Place) -> str | None:
        """Give the path of the layer that alone uses a leaf."""
        calls = [target.call for target, _ in self.plan.uses.get(leaf, ())]
        paths = {call.path if call is not None else None for call in calls}
        return paths.pop() if len(paths) == 1 else None

    def _subject(self, place: Place) -> str:
        """Give the name of the one box that a value comes from."""
        sources = {line.source for line in self.inputs[place]}
        if len(sources) != 1 or any(line.carried for line in self.inputs[place]):
            return ""
        [source] = sources
        if source.is_leaf:
            name = self._name_of_leaf(source)
        else:
            name = self.naming.names.get(source.results[-1].order, "")
        return name if name.isidentifier() else ""

    def _shapes_of_operands(self, place: Place) -> dict[str, tuple[int, ...]]:
        assert place.call is not None
        return {
            words.operand_name(place.call.scope, trace): tuple(line.source.value.shape)
            for line in self.inputs[place]
            if line.source.is_leaf
            for trace in self._traces(line.source)
        }

    def _traces(self, leaf: Place) -> list[Any]:
        return [n.order for n in leaf.nodes] or [trace_of(leaf.value)]

    def _as_passed(self, place: Place, trace: Any) -> str:
        """Name unnamed data by the argument that it was passed as, to the outermost call."""
        if trace in self.arguments:
            return self.arguments[trace]
        for target, position in self.plan.uses[place]:
            if target.call is None and not place.nodes:
                name = words.parameter_names(target.nodes[0].op).get(position, "")
                if name:
                    return name
        return ""

    @cached_property
    def arguments(self) -> dict[Any, str]:
        """What arrays are called as arguments of the outermost call that they are passed to."""
        scopes = sorted(scopes_of(self.plan.nodes), key=lambda scope: -scope.since)
        arguments: dict[Any, str] = {}
        for scope in scopes:
            for array in scope.arrays:
                if name := self.naming.name_of_view(array):
                    arguments.setdefault(trace_of(array), name)
        for scope in scopes:
            for key, trace in scope.operands.items():
                name = words.argument_name(scope, key)
                if name:
                    arguments.setdefault(trace, name)
        return arguments

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
        nodes = line.target.inner
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


def _values(plan: Plan, loss: Tensor) -> dict[Place, list[Any]]:
    """Give the value of each box, of what repeats those of all copies."""
    values: dict[Place, list[Any]] = {}
    for place in plan.places:
        if place.is_leaf:
            values[place] = place.values or [loss.data if place.value is None else place.value]
        else:
            results = [loss.data if n is loss.node else n.value for n in place.results]
            values[place] = [v[0] if isinstance(v, (tuple, list)) else v for v in results]
    return values
