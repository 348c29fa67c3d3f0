"""The graph to be drawn, as plain data: boxes and edges read off the recorded nodes.

Everything is measured here, once, and nothing about looks is decided here: ``dot.py`` turns the
model into text, ``picture.py`` into a table. The same computation gives the same model, whatever
the memory addresses: boxes are numbered in topological order.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from tinygrad_lab.core.engine import Node, propagate
from tinygrad_lab.core.graph import history
from tinygrad_lab.core.ownership import COPIED
from tinygrad_lab.core.tensor import Tensor

__all__ = ["Box", "Edge", "GraphModel", "Measure", "build"]

Role = Literal["input", "parameter", "operation", "loss"]
EdgeRole = Literal["spine", "skip", "side"]


@dataclass(frozen=True, slots=True)
class Measure:
    """A summary of an array of numbers; ``rms`` is the root mean square of the finite ones."""

    size: int
    rms: float
    mean: float
    low: float
    high: float
    nan: int = 0
    inf: int = 0

    @property
    def trouble(self) -> str:
        """``NaN`` or ``Inf`` when there is any, else an empty string."""
        return "NaN" if self.nan else "Inf" if self.inf else ""


@dataclass(frozen=True, slots=True)
class Box:
    """One box: an operation together with its result, a parameter, or data.

    ``name`` is what the user calls the value, ``title`` what was computed (the operation, or the
    kind of leaf) and ``attributes`` its arguments that are not arrays.
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
    module: str | None
    details: tuple[str, ...] = ()

    @property
    def flow(self) -> float | None:
        """The number that stands for the gradient: itself where it is one number, else its rms."""
        if self.grad is None:
            return None
        return self.grad.mean if self.grad.size == 1 else self.grad.rms

    @property
    def trouble(self) -> str:
        """What is not finite: ``NaN`` or ``Inf`` in the value, or else ``∇ NaN``; or nothing."""
        for measured, where in ((self.value, ""), (self.grad, "∇ ")):
            if measured is not None and measured.trouble:
                return where + measured.trouble
        return ""


@dataclass(frozen=True, slots=True)
class Edge:
    """One use of a value: operand number ``operand`` of the box ``target``.

    ``grad`` measures what flows back along this edge alone, ``None`` where nothing does.
    ``share`` is what that adds to the gradient of the source: over all edges that leave a box, the
    shares sum to its :attr:`Box.flow`. ``role`` places the edge: along the ``spine`` of
    activations, a ``skip`` past part of it, or in from the ``side``.
    """

    source: str
    target: str
    operand: int
    grad: Measure | None
    share: float | None
    tracked: bool
    role: EdgeRole


@dataclass(frozen=True, slots=True)
class GraphModel:
    """Boxes in topological order, edges by target and operand, and titles of modules."""

    boxes: tuple[Box, ...]
    edges: tuple[Edge, ...]
    modules: Mapping[str, str] = field(default_factory=dict)
    has_gradients: bool = True

    @property
    def loss(self) -> Box:
        """The box everything leads to."""
        return self.boxes[-1]

    def count(self, role: Role) -> int:
        """Return the number of boxes of a role."""
        return sum(box.role == role for box in self.boxes)

    @property
    def operations(self) -> int:
        """The number of operations, the last one included."""
        return self.count("operation") + self.count("loss")

    @property
    def parameters(self) -> int:
        """The number of elements of all parameters together."""
        return sum(math.prod(box.shape) for box in self.boxes if box.role == "parameter")


def build(
    loss: Tensor,
    *,
    model: Any = None,
    names: Mapping[str, Any] | None = None,
    gradients: bool = True,
    limit: int | None = None,
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
    naming = _Naming(loss, model, names)
    plan = _Plan(nodes, loss, naming)
    if limit is not None and len(plan.keys) > limit:
        raise ValueError(_too_large(nodes, len(plan.keys), limit))
    flow = _Flow(nodes, loss) if gradients else None
    side = _side_modules(plan, naming)
    boxes = tuple(_box(plan, naming, flow, side, index) for index in range(len(plan.keys)))
    return GraphModel(
        boxes=boxes,
        edges=tuple(_edges(plan, flow)),
        modules=naming.modules_of({box.module for box in boxes if box.module}),
        has_gradients=gradients,
    )


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
    commonest = Counter(_title(node) for node in nodes if node.op is not None).most_common(5)
    summary = ", ".join(f"{count} × {name}" for name, count in commonest)
    return (
        f"this graph has {boxes} boxes, too many to read (the limit is {limit}); most are "
        f"{summary}. Draw the graph of one layer or of fewer steps, or pass limit={boxes}"
    )


def _title(node: Node) -> str:
    """Return the name of an operation."""
    return str(getattr(node.op, "__name__", None) or type(node.op).__name__)


def _operands(node: Node) -> Iterator[tuple[int, Any, Node | None]]:
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


def _is_drawn(value: Any) -> bool:
    """Return whether a constant gets a box: an array of more than one element."""
    if isinstance(value, type) or not hasattr(value, "shape") or not hasattr(value, "dtype"):
        return False  # np.float32, given as a dtype, has a shape
    return math.prod(value.shape) > 1


@dataclass(slots=True)
class _Source:
    """Where a box comes from: a node, or an array that nothing tracks."""

    node: Node | None
    value: Any


class _Plan:
    """Which boxes there are, in topological order, and which box feeds which.

    A box is keyed by its node's ``order``, or by the array's identity; keys never leave this class,
    positions do.
    """

    def __init__(self, nodes: list[Node], loss: Tensor, naming: _Naming) -> None:
        self.keys: dict[tuple[str, Hashable], int] = {}
        self.sources: list[_Source] = []
        #: For each box, its operands as (position among the arguments, box).
        self.inputs: list[list[tuple[int, int]]] = []
        self.uses: list[int] = []
        values = {loss.node.order: loss.data} if loss.node is not None else {}
        for node in nodes:
            for _, value, parent in _operands(node):
                if parent is not None:
                    values[parent.order] = value
        for node in nodes:
            inputs = []
            for position, value, parent in _operands(node):
                key = ("array", _identity(value)) if parent is None else ("node", parent.order)
                inputs.append((position, self._place(key, None, value)))
            mine = self._place(("node", node.order), node, values[node.order])
            self.inputs[mine] = inputs
            for _, box in inputs:
                self.uses[box] += 1
        self._follow_data(naming)

    def _place(self, key: tuple[str, Hashable], node: Node | None, value: Any) -> int:
        """Return the position of a box, a new one at the end unless it is there already."""
        if key not in self.keys:
            self.keys[key] = len(self.sources)
            self.sources.append(_Source(node, value))
            self.inputs.append([])
            self.uses.append(0)
        return self.keys[key]

    def _follow_data(self, naming: _Naming) -> None:
        """Find, for each box, the operand the data arrives by: the spine of the picture."""
        #: How many operations lie between a box and the data; -1 for what no data reaches.
        self.depth: list[int] = []
        self.main: list[int | None] = []
        for index, source in enumerate(self.sources):
            inputs = [box for _, box in self.inputs[index]]
            reached = [box for box in inputs if self.depth[box] >= 0]
            # The longest way from the data is the spine; a shorter one is a skip connection.
            # Where no data arrives at all, any operation comes before any leaf.
            best = max(inputs, key=lambda b: (self.depth[b], bool(self.inputs[b])), default=None)
            self.main.append(best)
            if source.node is None or naming.is_fed_in(source.node):
                self.depth.append(0)
            else:
                self.depth.append(max((self.depth[b] + 1 for b in reached), default=-1))


class _Flow:
    """The gradients of one backward pass that leaves no trace."""

    def __init__(self, nodes: list[Node], loss: Tensor) -> None:
        self.nodes: dict[int, Measure] = {}
        #: By the order of the node that made a contribution, and the position of its operand.
        self.edges: dict[tuple[int, int], Measure] = {}
        self.shares: dict[tuple[int, int], float] = {}
        #: Contributions that wait for the gradient they are part of, by the node they arrive at.
        self._arrived: dict[int, list[tuple[tuple[int, int], Any]]] = {}
        assert loss.node is not None
        propagate(
            [loss.node],
            [np.ones_like(loss.data)],
            retain_graph=True,
            wanted=nodes,  # then retain_grad() writes no .grad
            visit=self._visit,
        )

    def _visit(self, node: Node, g: Any, contributions: tuple[Any, ...]) -> None:
        self.nodes[node.order] = measure(g)
        for edge, part in self._arrived.pop(node.order, ()):
            self.edges[edge] = measure(part)
            self.shares[edge] = _share(part, g)
        for position, part in enumerate(contributions):
            parent = (node.parents or ())[position]
            if parent is not None and part is not None:
                waiting = self._arrived.setdefault(parent.order, [])
                waiting.append(((node.order, position), part))


def _share(part: Any, whole: Any) -> float:
    """Return how much of the gradient ``whole`` is due to ``part``, one term of the sum it is.

    For a single number that is the term itself. Root mean squares do not add up, so for an array
    it is the part's component along the whole, scaled so that the whole's own component is its rms:
    the shares of all terms add up to the rms, and a term against the rest has a negative share.
    """
    a, g = (np.asarray(array, dtype=np.float64).reshape(-1) for array in (part, whole))
    if g.size == 1:
        return float(a[0])
    top = float(np.abs(g).max(initial=0.0))
    if not top or not math.isfinite(top):
        return 0.0 if not top else math.nan
    unit = g / top
    return float(a @ unit) / math.sqrt(float(unit @ unit) * g.size)


def measure(array: Any) -> Measure:
    """Measure an array.

    Examples
    --------
    >>> measure(np.array([3.0, -4.0, np.nan]))
    Measure(size=3, rms=3.5355339059327378, mean=-0.5, low=-4.0, high=3.0, nan=1, inf=0)
    """
    flat = np.asarray(array).reshape(-1)
    size = flat.size
    if flat.dtype.kind == "c":
        flat = np.abs(flat)
    flat = flat.astype(np.float64)
    finite = np.isfinite(flat)
    nan = inf = 0
    if not finite.all():
        nan = int(np.isnan(flat).sum())
        inf = size - nan - int(finite.sum())
        flat = flat[finite]
    if not flat.size:
        none = math.nan if size else 0.0
        return Measure(size, none, none, none, none, nan, inf)
    low, high = float(flat.min()), float(flat.max())
    # Scaled first: the square of a very small or a very large float is 0 or infinite.
    top = max(high, -low)
    unit = flat / top if top else flat
    rms, mean = top * math.sqrt(float(np.mean(np.square(unit)))), top * float(unit.mean())
    return Measure(size, rms, mean, low, high, nan, inf)


# ---- names --------------------------------------------------------------------------------------


class _Naming:
    """What nodes and arrays are called, and which module a parameter belongs to."""

    def __init__(self, loss: Tensor, model: Any, names: Mapping[str, Any] | None) -> None:
        self.nodes: dict[int, str] = {}
        self.arrays: dict[Hashable, str] = {}
        self.parameters: dict[int, str] = {}
        self.has_model = model is not None
        if loss.node is not None:
            self.nodes[loss.node.order] = "loss"
        for name, parameter in _named_parameters(model):
            if parameter.node is not None:
                self.parameters[parameter.node.order] = name
                self.nodes[parameter.node.order] = name
        for name, value in (names or {}).items():
            node = getattr(value, "node", None)
            if node is not None:
                self.nodes[node.order] = str(name)
            else:
                array = value.data if isinstance(value, Tensor) else value
                self.arrays[_identity(array)] = str(name)
        self._modules = dict(model.named_modules()) if hasattr(model, "named_modules") else {}

    def is_fed_in(self, node: Node) -> bool:
        """Tell whether a leaf is data: with a model given, whatever is none of its parameters."""
        return node.op is None and self.has_model and node.order not in self.parameters

    def module(self, node: Node) -> str | None:
        """Return the path of the module that owns a parameter."""
        path, _, _ = self.parameters.get(node.order, "").rpartition(".")
        return path if path and path in self._modules else None

    def modules_of(self, paths: set[str]) -> dict[str, str]:
        """Return a title for each module path: ``fc1: Linear(2→3)``."""
        return {path: f"{path}: {_kind(self._modules[path])}" for path in sorted(paths)}


def _identity(array: Any) -> Hashable:
    """What tells an array from others: of a small one its values, because graphs hold copies."""
    if type(array) is np.ndarray and array.size <= COPIED:
        return array.shape, array.dtype.str, array.tobytes()
    return id(array)


def _named_parameters(model: Any) -> Iterator[tuple[str, Tensor]]:
    """Yield the parameters of whatever has ``named_parameters()``."""
    if model is None:
        return
    if not hasattr(model, "named_parameters"):
        raise TypeError(
            f"model must have named_parameters(), {type(model).__name__} has not; "
            "to name single tensors pass names={'w': w}"
        )
    yield from model.named_parameters()


def _kind(module: Any) -> str:
    """Return the class of a module and, of a layer, its width in and out."""
    for ends in (("in_features", "out_features"), ("in_channels", "out_channels")):
        sizes = [getattr(module, end, None) for end in ends]
        if all(isinstance(size, int) for size in sizes):
            return f"{type(module).__name__}({sizes[0]}→{sizes[1]})"
    return type(module).__name__


def _side_modules(plan: _Plan, naming: _Naming) -> list[str | None]:
    """Attribute operations to modules: each to the one whose parameters enter there.

    A parameter may pass through operations of its own first (a transpose, a mask): those belong to
    the module too, and so does the operation where they meet the data.
    """
    modules: list[str | None] = []
    bare: list[bool] = []  # whether only parameters have gone into a box so far
    for index, source in enumerate(plan.sources):
        inputs = [box for _, box in plan.inputs[index]]
        if not inputs:
            modules.append(naming.module(source.node) if source.node is not None else None)
            bare.append(modules[-1] is not None)
            continue
        entering = {modules[box] for box in inputs if bare[box]}
        modules.append(entering.pop() if len(entering) == 1 else None)
        bare.append(modules[-1] is not None and all(bare[box] for box in inputs))
    return modules


# ---- boxes and edges ----------------------------------------------------------------------------


def _box(
    plan: _Plan, naming: _Naming, flow: _Flow | None, modules: list[str | None], index: int
) -> Box:
    """Describe one box."""
    source = plan.sources[index]
    node, value = source.node, source.value
    leaf = node is None or node.op is None
    if node is None:
        name = naming.arrays.get(_identity(value), "")
    else:
        name = naming.nodes.get(node.order, "")
    role = _role(plan, naming, index)
    return Box(
        id=f"n{index}",
        role=role,
        title=role if leaf or node is None else _title(node),
        name=name or (_argument_name(plan, index) if node is None else ""),
        attributes="" if leaf or node is None else _attributes(node),
        shape=tuple(value.shape),
        dtype=str(value.dtype),
        value=measure(value) if value.dtype.kind in "biufc" else None,
        grad=flow.nodes.get(node.order) if flow is not None and node is not None else None,
        module=modules[index],
        details=(f"at {node.site}",) if node is not None and node.site else (),
    )


def _role(plan: _Plan, naming: _Naming, index: int) -> Role:
    """Decide what a box is."""
    node = plan.sources[index].node
    if node is None:
        return "input"
    if index == len(plan.sources) - 1:
        return "loss"
    if node.op is not None:
        return "operation"
    return "input" if naming.is_fed_in(node) else "parameter"


def _argument_name(plan: _Plan, index: int) -> str:
    """Name an unnamed array by the argument it was passed as, where the operation has names."""
    for user, inputs in enumerate(plan.inputs):
        for position, box in inputs:
            node = plan.sources[user].node
            if box == index and node is not None and node.op is not None:
                return _parameter_names(node.op).get(position, "")
    return ""


def _parameter_names(op: Any) -> dict[int, str]:
    """Return the names of positional parameters, of a Python function only: a ufunc has none."""
    code = getattr(getattr(op, "__wrapped__", op), "__code__", None)
    if code is None:
        return {}
    names = code.co_varnames[: code.co_argcount]
    return {i: name for i, name in enumerate(names) if len(name) > 2}  # "a" says nothing


def _attributes(node: Node) -> str:
    """Write the arguments that are not arrays: ``axis=0``, ``3`` for a power, ``2, ·`` for 2 / x.

    Dots stand for arrays, where it matters which argument is one.
    """
    drawn = {position for position, _, _ in _operands(node)}
    args = list(node.args or ())
    names = _parameter_names(node.op)
    words = []
    for position, arg in enumerate(args):
        if position in drawn:
            words.append("·")
        elif arg is not None and len(args) > 2 and position in names:
            words.append(f"{names[position]}={_plain_text(arg)}")
        else:
            words.append("" if arg is None else _plain_text(arg))
    named = all("=" in word for word in words if word not in ("·", ""))
    if named or (words[0] == "·" and words.count("·") == 1):
        words = [word for word in words if word != "·"]
    for key, value in (node.kwargs or {}).items():
        if value is not None and value is not False:
            words.append(f"{key}={_plain_text(value)}")
    return ", ".join(word for word in words if word)


def _plain_text(value: Any) -> str:
    """Write an argument that is not drawn as a box, briefly."""
    if callable(value):  # np.float32, say, which has a shape too
        return str(getattr(value, "__name__", type(value).__name__))
    if hasattr(value, "item") and getattr(value, "size", 0) == 1:
        value = value.item()
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, slice):
        ends = ["" if end is None else str(end) for end in (value.start, value.stop, value.step)]
        return ":".join(ends[:2] if value.step is None else ends)
    if value is Ellipsis:
        return "…"
    if isinstance(value, (list, tuple)):
        return "(" + ", ".join(_plain_text(item) for item in value) + ")"
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"array{tuple(value.shape)}"
    return str(value)


def _edges(plan: _Plan, flow: _Flow | None) -> Iterator[Edge]:
    """Yield the edges, by target and then by operand."""
    entering = _entering(plan)
    for index, inputs in enumerate(plan.inputs):
        user = plan.sources[index].node
        spine: int | None = None
        for place, (position, box) in enumerate(inputs):
            source = plan.sources[box].node
            grad = share = None
            if flow is not None and user is not None:
                grad = flow.edges.get((user.order, position))
                share = flow.shares.get((user.order, position))
            if spine is None and box == plan.main[index]:
                spine = place
            role: EdgeRole = "spine" if spine == place else "skip"
            if box in entering:
                role = "side"
            yield Edge(f"n{box}", f"n{index}", position, grad, share, source is not None, role)


def _entering(plan: _Plan) -> set[int]:
    """Return the boxes that come in from the side: used once, beside what the data arrives by.

    An operation on such a box's way in, a transpose say, is one too, and its operand with it.
    """
    entering: set[int] = set()
    for index in reversed(range(len(plan.inputs))):
        main = plan.main[index]
        for _, box in plan.inputs[index]:
            leads_in = index in entering and not plan.inputs[box]
            if plan.uses[box] == 1 and plan.depth[box] <= 0 and (box != main or leads_in):
                entering.add(box)
    return entering
