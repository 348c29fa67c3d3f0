"""Record calls as nodes, and walk them backwards.  The whole engine; it knows no operation.

A *node* is one recorded call: the function, the plain values it was given, its result, and which
of its arguments came from other nodes.  Nodes hold arrays and older nodes, never the tensors that
users hold, so a graph has no reference cycles and later writes to a tensor cannot reach into it.

The backward pass visits nodes from the youngest to the oldest.  Creation order is a topological
order, so a heap of the nodes that are waiting is all the bookkeeping it needs: no recursion, no
second list of the graph, and each node is freed as soon as it has been used.

Not for: derivative rules (``rules/``), or how a call gets here (``dispatch.py``).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from contextvars import ContextVar, copy_context
from copy import copy
from functools import partial
from heapq import heappop, heappush
from itertools import count
from threading import Lock
from typing import Any
from weakref import WeakValueDictionary, ref

import numpy as np

from tinygrad_lab.core.cotangents import conjugate, fitted, own, rule_fault, run_hooks, total
from tinygrad_lab.core.errors import BatchedValueError, name_of, raise_explained
from tinygrad_lab.core.graph import between, differentiating_behind, parents_of
from tinygrad_lab.core.modes import stop_if_not_finite
from tinygrad_lab.core.operations import OPERATIONS, Array
from tinygrad_lab.core.ownership import is_shared, refuse_changed
from tinygrad_lab.core.several import Parts, Pieces, whole
from tinygrad_lab.core.zeros import hides_nan, rescued, with_zeros

Lift = Callable[[Any, "Node | None"], Array]
Visit = Callable[["Node", Array, tuple[Array | None, ...]], None]

NO_KWARGS: Mapping[str, Any] = {}

#: Recorded decompositions whose values are near each other.  A pass that meets one is run by
#: ``tracked_pass``, which ``degenerate.py`` puts here: it needs what is here.
OPEN: set[ref[Node]] = set()  # plain, so that it is quick to see that it is empty
tracked_pass: Any = None

#: What records a program here and now, if anything: it looks at the nodes of each pass.
recorder: ContextVar[Any] = ContextVar("tinygrad_lab.recorder", default=None)

next_order = count(0, -1).__next__  # counts downwards, so that the youngest node is the smallest
_new = object.__new__


class Node:
    """One recorded call, or a leaf.  Once a pass has freed it, it knows no call any more."""

    __slots__ = (
        "__weakref__", "args", "grad", "hooks", "kwargs", "op", "order", "parents", "prints",
        "scope", "site", "value",
    )  # fmt: skip

    op: Any  # the NumPy function or primitive that was called; None for a leaf
    args: Any  # the plain values it was given
    kwargs: Any
    value: Any  # its plain result
    parents: Sequence[Node | None] | None  # the node of each argument; None for a constant
    order: int  # smaller for younger nodes, unique: sorting by it is a reverse topological order
    grad: Any  # what has accumulated on a leaf, or on a node that was asked to retain it
    hooks: list[Any] | None  # called with the complete gradient when a pass arrives here
    site: str | None  # the source line of the call, kept under ``debug()``
    prints: Any  # what large arrays of the user's looked like at the call: see ownership.py
    scope: Any  # which call of a layer or function it is the result of: see scopes.py

    def __repr__(self) -> str:
        return f"<Node {self.name} #{-self.order}>"

    @property
    def name(self) -> str:
        """The operation's name, or ``leaf``."""
        return "leaf" if self.op is None else self.op.__name__


def record(op: Any, args: Any, kwargs: Any, value: Any, parents: Any) -> Node:
    """Make the node of one call."""
    node = _new(Node)
    node.op = op
    node.args = args
    node.kwargs = kwargs
    node.value = value
    node.parents = parents
    node.order = next_order()
    node.grad = node.hooks = node.site = node.prints = node.scope = None
    return node


def new_leaf() -> Node:
    """Make the node of a tensor that nothing was computed for: where gradients end up."""
    return record(None, None, None, None, None)


def extend(node: Node, arg: Any, parent: Node | None) -> None:
    """Add an argument to the newest of calls, which nobody has built upon."""
    if type(node.args) is tuple:
        node.args, node.parents = list(node.args), list(node.parents or ())
    node.args.append(arg)
    node.parents.append(parent)  # type: ignore[union-attr]
    node.order = next_order()


def propagate(
    outputs: Sequence[Node],
    cotangents: Sequence[Array],  # the gradient of the final quantity by each output
    *,
    wanted: Collection[Node] | None = None,  # return the gradients of these nodes instead
    ends: bool = False,  # nothing is wanted behind them
    retain_graph: bool = False,  # keep what was recorded, so that it can be walked again
    lift: Lift | None = None,  # turns a recorded value and its node into a tracked array
    visit: Visit | None = None,  # called with each node, its cotangent, and its contributions
) -> dict[Node, Array]:
    """Carry the ``cotangents`` of ``outputs`` back, and return the gradients of the leaves.

    With ``wanted``, only what leads to these nodes is computed.  With ``lift``, rules run on
    tracked arrays, so that the gradients have a graph of their own: derivatives of any order.

    The pass is silent about arithmetic: where a slope is infinite the gradient is, as in NumPy,
    and ``debug()`` names the place.  An upstream of exactly 0 stays 0, whatever slope it meets.
    Arriving at a node that an earlier pass has freed is a ``RuntimeError``.
    """
    if visit is not None:
        visit = partial(_visited, visit)
    if (recording := recorder.get()) is not None:
        visit = recording.visiting(visit)
    if OPEN and lift is None and not ends:
        gradients = tracked_pass(outputs, cotangents, retain_graph, visit, wanted=wanted)
        if gradients is not None:
            return gradients
    walk = _Walk(outputs, cotangents, wanted, ends, retain_graph, lift, visit)
    if lift is None:
        return walk.gradients()
    with differentiating_behind(outputs, cotangents):
        return walk.gradients()


def _visited(visit: Visit, node: Node, g: Array, contributions: Sequence[Array | None]) -> None:
    """Show a node to a visitor, who sees no pieces."""
    visit(node, g, tuple(map(whole, contributions)))


class _Walk:
    """One pass: what has arrived at which nodes, and how the rules are run."""

    __slots__ = (
        "careful", "clean", "ends", "heap", "lift", "needed", "outside", "result", "retain_graph",
        "visit", "waiting", "wanted",
    )  # fmt: skip

    def __init__(
        self,
        outputs: Sequence[Node],
        cotangents: Sequence[Array],
        wanted: Collection[Node] | None,
        ends: bool,
        retain_graph: bool,
        lift: Lift | None,
        visit: Visit | None,
    ) -> None:
        self.waiting: dict[Node, Array] = {}  # what has arrived so far, by where
        for node, g in zip(outputs, cotangents):
            here = self.waiting.get(node)
            self.waiting[node] = conjugate(g) if here is None else total(here, conjugate(g))
        # Where something waits, but for the leaves: the youngest first.
        self.heap = sorted([(node.order, node) for node in self.waiting if node.op is not None])
        self.wanted = wanted if wanted is None else frozenset(wanted)
        self.needed = None if self.wanted is None else between(outputs, self.wanted)
        self.ends = ends
        self.retain_graph, self.lift, self.visit = retain_graph, lift, visit
        self.careful = False  # a NaN was hidden in the forward pass: see zeros.py
        self.clean: WeakValueDictionary[int, Any] | None = None  # arrays that hold none
        self.outside = copy_context()  # what users hang in runs under their own settings
        self.result: dict[Node, Array] = {}

    @np.errstate(invalid="raise", divide="ignore", over="ignore")  # invalid: see zeros.py
    def gradients(self) -> dict[Node, Array]:
        """Visit the nodes, the youngest first, and then the leaves, which never have a turn."""
        heap, pull_back = self.heap, self.pull_back
        while heap:
            pull_back(heappop(heap)[1])
        while self.waiting:
            leaf, g = self.waiting.popitem()
            if type(g) is Pieces or self.lift is not None or leaf.hooks is not None:
                g = self.look(leaf, g)
            if self.visit is not None:
                self.outside.run(self.visit, leaf, g, ())
            is_own = not is_shared(g) and g.dtype.kind != "c" and g.flags.c_contiguous
            self.result[leaf] = g if is_own else own(g)
        return self.result

    def look(self, node: Node, g: Array) -> Array:
        """Put a complete cotangent together, with a history if one is wanted; show it to hooks."""
        g = whole(g)
        if self.lift is not None and isinstance(g, (np.ndarray, np.generic)):
            g = self.lift(g, None)
        if node.hooks is not None:
            retained = None if self.wanted is not None else self.result
            g = self.outside.run(run_hooks, node, g, retained)
        return g

    def leads_on(self, node: Node, g: Array) -> bool:
        """Whether something is wanted behind a node; and keep what is wanted of itself."""
        if node in (self.wanted or ()):
            self.result[node] = own(g)
            if self.ends:
                return False
        return any(parent in (self.needed or ()) for parent in node.parents or ())

    def pull_back(self, node: Node) -> None:  # noqa: C901 - where a pass spends its time
        """Carry what has arrived at a node back to its parents by its rules, and free the node."""
        waiting, needed, visit = self.waiting, self.needed, self.visit
        g = waiting.pop(node)
        if type(g) is Pieces or self.lift is not None or node.hooks is not None:
            g = self.look(node, g)
        if needed is not None and not self.leads_on(node, g):
            return
        if node.prints is not None:
            refuse_changed(node.prints, node.name)
        op, operands, kwargs, site = node.op, node.args, node.kwargs, node.site
        parents = node.parents or parents_of(node)
        value, args = (node.value, operands) if self.lift is None else _lifted(node, self.lift)
        operation = OPERATIONS[op]
        if operation.selects and not self.careful:
            self.take_care(node)
        rules, careful, call = operation.vjps, self.careful, (g, value, *args)
        contributions: list[Array | None] = []
        try:
            if operation.joint is not None:
                rules = self.answers(op, operation.joint, parents, g, value, args, kwargs)
                careful = False
            for rule, parent, operand in zip(rules, parents, operands):
                if parent is None or (needed is not None and parent not in needed):
                    if visit is not None:
                        contributions.append(None)
                    continue
                try:
                    c = rule(*call, **kwargs) if kwargs else rule(*call)
                    if careful:
                        c = with_zeros(op, g, c)
                except (FloatingPointError, BatchedValueError) as error:
                    c = rescued(error, op, rule, g, value, args, kwargs)
                if type(c) is list:
                    c = Parts.listed(c)
                if c.shape != operand.shape or c.dtype is not operand.dtype:
                    c = fitted(c, operand)
                if site is not None:
                    stop_if_not_finite(c, f"the derivative of {name_of(op)} gave", site)
                if visit is not None:
                    contributions.append(copy(c) if type(c) is Pieces else c)
                if parent in waiting:
                    waiting[parent] = total(waiting[parent], c)
                else:
                    waiting[parent] = c
                    if parent.op is not None:
                        heappush(self.heap, (parent.order, parent))
        except Exception as error:  # noqa: BLE001 - and raised again
            # no name for it here: the traceback holds this frame, which must not hold its error
            raise_explained(
                rule_fault(error, operands), op, operands, kwargs, site, " in its derivative rule"
            )
        if visit is not None:
            self.outside.run(visit, node, g, tuple(contributions))
        if not self.retain_graph:  # `parents` first: another thread's pass asks for them last
            node.parents = node.args = node.kwargs = node.value = node.prints = node.scope = None

    def take_care(self, node: Node) -> None:
        """From the first operation on that left out a NaN, keep zeros zero."""
        selects = OPERATIONS[node.op].selects
        if callable(selects) and not selects(*node.args, **node.kwargs):
            return
        self.clean = WeakValueDictionary() if self.clean is None else self.clean
        if hides_nan(node, self.clean):
            self.careful = True

    def answers(
        self, op: Any, joint: Any, parents: Any, g: Array, value: Any, args: Any, kwargs: Any
    ) -> list[Any]:
        """Call a joint rule once, and let its answers stand in for the rules by argument."""
        needed = self.needed
        argnums = [
            position
            for position, parent in enumerate(parents)
            if parent is not None and (needed is None or parent in needed)
        ]
        rule = partial(joint, argnums)
        try:
            answers = rule(g, value, *args, **kwargs)
            if self.careful:
                answers = with_zeros(op, g, answers)
        except (FloatingPointError, BatchedValueError) as error:
            answers = rescued(error, op, rule, g, value, args, kwargs)
        if len(answers) != len(argnums):
            raise ValueError(f"it gave {len(answers)} gradients where {len(argnums)} were asked")
        of = dict(zip(argnums, answers))
        return [lambda *_, position=i, **__: of[position] for i in range(len(parents))]


def _lifted(node: Node, lift: Lift) -> tuple[Array, list[Any]]:
    """Give a node's value and arguments their histories back."""
    pairs = zip(node.args, node.parents or ())
    args = [arg if parent is None else lift(arg, parent) for arg, parent in pairs]
    return lift(node.value, node), args


_settling = Lock()
_set_grad = vars(Node)["grad"].__set__


def accumulate(gradients: dict[Node, Array]) -> None:
    """Add gradients to what their nodes have in ``.grad``: to all of them or, interrupted, to none.

    One thread at a time, so that no contribution is lost.
    """
    # On one line: between two an interrupt could fall, and leave the lock taken.
    with _settling: _settle(gradients)  # noqa: E701  # fmt: skip


def _settle(gradients: dict[Node, Array]) -> None:
    earlier = [node for node in gradients if node.grad is not None and node.op is None]
    if earlier:
        _add_to(gradients, earlier)
    # A single call writes all of them: within it Python answers no signal.
    deque(map(_set_grad, gradients, gradients.values()), maxlen=0)


@np.errstate(invalid="ignore", over="ignore")
def _add_to(gradients: dict[Node, Array], nodes: list[Node]) -> None:
    for node in nodes:
        gradients[node] = node.grad + gradients[node]
