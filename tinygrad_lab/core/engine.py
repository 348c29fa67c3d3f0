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

from collections.abc import Callable, Collection, Mapping, Sequence
from contextvars import copy_context
from heapq import heappop, heappush
from itertools import count
from typing import Any
from weakref import WeakSet

import numpy as np

from tinygrad_lab.core.cotangents import conjugate, fitted, own, run_hooks, total
from tinygrad_lab.core.errors import name_of, raise_explained
from tinygrad_lab.core.graph import between, parents_of
from tinygrad_lab.core.modes import stop_if_not_finite
from tinygrad_lab.core.operations import OPERATIONS, Array
from tinygrad_lab.core.ownership import is_shared
from tinygrad_lab.core.several import Parts, one_by_one
from tinygrad_lab.core.zeros import Run, hides_nan, keeping_zeros, rescued

Lift = Callable[[Any, "Node | None"], Array]
Visit = Callable[["Node", Array, tuple[Array | None, ...]], None]

NO_KWARGS: Mapping[str, Any] = {}

#: Recorded decompositions whose values are near each other.  A pass that meets one is run by
#: ``tracked_pass``, which ``degenerate.py`` puts here: it needs what is here.
OPEN: WeakSet[Node] = WeakSet()
tracked_pass: Any = None

_next_order = count(0, -1).__next__  # counts downwards, so that the youngest node is the smallest
_new = object.__new__


class Node:
    """One recorded call, or a leaf.  Once a pass has freed it, it knows no call any more."""

    __slots__ = (
        "__weakref__", "args", "grad", "hooks", "kwargs", "op", "order", "parents", "site", "value",
    )  # fmt: skip

    op: Any  # the NumPy function or primitive that was called; None for a leaf
    args: Any  # the plain values it was given
    kwargs: Any
    value: Any  # its plain result
    parents: tuple[Node | None, ...] | None  # the node of each argument; None for a constant
    order: int  # smaller for younger nodes, unique: sorting by it is a reverse topological order
    grad: Any  # what has accumulated on a leaf, or on a node that was asked to retain it
    hooks: list[Any] | None  # called with the complete gradient when a pass arrives here
    site: str | None  # the source line of the call, kept under ``debug()``

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
    node.order = _next_order()
    node.grad = node.hooks = node.site = None
    return node


def new_leaf() -> Node:
    """Make the node of a tensor that nothing was computed for: where gradients end up."""
    return record(None, None, None, None, None)


def propagate(
    outputs: Sequence[Node],
    cotangents: Sequence[Array],  # the gradient of the final quantity by each output
    *,
    wanted: Collection[Node] | None = None,  # return the gradients of these nodes instead
    ends: bool = False,  # nothing is wanted behind them
    retain_graph: bool = False,  # keep what was recorded, so that it can be walked again
    lift: Lift | None = None,  # turns a recorded value and its node into a tracked array
    batched: bool = False,  # the cotangents have one more axis, the first
    visit: Visit | None = None,  # called with each node, its cotangent, and its contributions
) -> dict[Node, Array]:
    """Carry the ``cotangents`` of ``outputs`` back, and return the gradients of the leaves.

    With ``wanted``, only what leads to these nodes is computed.  With ``lift``, rules run on
    tracked arrays, so that the gradients have a graph of their own: derivatives of any order.

    The pass is silent about arithmetic: where a slope is infinite the gradient is, as in NumPy,
    and ``debug()`` names the place.  An upstream of exactly 0 stays 0, whatever slope it meets.
    Arriving at a node that an earlier pass has freed is a ``RuntimeError``.
    """
    if OPEN and lift is None and not ends:
        gradients = tracked_pass(
            outputs, cotangents, retain_graph, visit, wanted=wanted, batched=batched
        )
        if gradients is not None:
            return gradients
    walk = _Walk(outputs, cotangents, wanted, lift, batched)
    heap, waiting, needed = walk.heap, walk.waiting, walk.needed
    looks = lift is not None
    gradients = {}
    with np.errstate(invalid="raise", divide="ignore", over="ignore"):  # invalid: see zeros.py
        while heap:
            node = heappop(heap)[1]
            g = waiting.pop(node)
            if looks or node.hooks is not None:
                g = walk.look(node, g)
            if needed is not None:
                if node in (walk.wanted or ()):
                    gradients[node] = own(g)
                    if ends:
                        continue
                if not any(parent in needed for parent in node.parents or ()):
                    continue
            contributions = walk.pull_back(node, g)
            if visit is not None:
                walk.outside.run(visit, node, g, tuple(contributions))
            if not retain_graph:
                node.args = node.kwargs = node.value = node.parents = None
        g, contributions = None, []  # so that each gradient has one owner
        while waiting:  # the leaves, which never have a turn
            leaf, g = waiting.popitem()
            if looks or leaf.hooks is not None:
                g = walk.look(leaf, g)
            if visit is not None:
                walk.outside.run(visit, leaf, g, ())
            gradients[leaf] = own(g) if is_shared(g) or g.dtype.kind == "c" else g
    return gradients


class _Walk:
    """One pass: what has arrived at which nodes, and how the rules are run."""

    __slots__ = (
        "batched",
        "careful",
        "heap",
        "lift",
        "needed",
        "outside",
        "run",
        "waiting",
        "wanted",
    )

    def __init__(
        self, outputs: Sequence[Node], cotangents: Any, wanted: Any, lift: Any, batched: bool
    ) -> None:
        self.waiting: dict[Node, Array] = {}  # what has arrived so far, by where
        for node, g in zip(outputs, cotangents):
            here = self.waiting.get(node)
            self.waiting[node] = conjugate(g) if here is None else total(here, conjugate(g))
        # Where something waits, but for the leaves: the youngest first.
        self.heap = sorted([(node.order, node) for node in self.waiting if node.op is not None])
        self.wanted = wanted if wanted is None else frozenset(wanted)
        self.needed = None if self.wanted is None else between(outputs, self.wanted)
        self.lift, self.batched = lift, batched
        self.run: Run | None = one_by_one if batched else None  # None for a plain call of a rule
        self.careful = False  # a NaN was hidden in the forward pass: see zeros.py
        self.outside = copy_context()  # what users hang in runs under their own settings

    def look(self, node: Node, g: Array) -> Array:
        """Give a complete cotangent a history where one is wanted, and show it to the hooks."""
        if self.lift is not None and isinstance(g, (np.ndarray, np.generic)):
            g = self.lift(g, None)
        if node.hooks is not None:
            g = self.outside.run(run_hooks, node, g, self.wanted is None)
        return g

    def pull_back(self, node: Node, g: Array) -> list[Array | None]:
        """Apply the rules of a node: from its cotangent to a contribution for each parent."""
        op, operands, kwargs = node.op, node.args, node.kwargs
        parents = node.parents or parents_of(node)
        heap, waiting, needed = self.heap, self.waiting, self.needed
        value, args = (node.value, operands) if self.lift is None else _lifted(node, self.lift)
        operation = OPERATIONS[op]
        if operation.selects and not self.careful and hides_nan(node):
            self.careful, self.run = True, keeping_zeros(self.run)
        run = self.run
        contributions: list[Array | None] = []
        try:
            for rule, parent, operand in zip(operation.vjps, parents, operands):
                if parent is None or (needed is not None and parent not in needed):
                    contributions.append(None)
                    continue
                try:
                    if run is not None:
                        c = run(op, rule, g, value, args, kwargs)
                    else:
                        c = rule(g, value, *args, **kwargs) if kwargs else rule(g, value, *args)
                except FloatingPointError:
                    c = rescued(op, rule, g, value, args, kwargs)
                if type(c) is list:
                    c = Parts.listed(c)
                if c.shape != operand.shape or c.dtype is not operand.dtype:
                    c = fitted(c, operand, self.batched)
                if node.site is not None:
                    stop_if_not_finite(c, f"the derivative of {name_of(op)} gave", node.site)
                contributions.append(c)
                if parent in waiting:
                    waiting[parent] = total(waiting[parent], c)
                else:
                    waiting[parent] = c
                    if parent.op is not None:
                        heappush(heap, (parent.order, parent))
        except Exception as error:  # noqa: BLE001 - and raised again
            where = " in its derivative rule"
            raise_explained(error, op, operands, kwargs, node.site, where)
        return contributions


def _lifted(node: Node, lift: Lift) -> tuple[Array, list[Any]]:
    """Give a node's value and arguments their histories back."""
    pairs = zip(node.args, node.parents or ())
    args = [arg if parent is None else lift(arg, parent) for arg, parent in pairs]
    return lift(node.value, node), args


def accumulate(gradients: dict[Node, Array]) -> None:
    """Add gradients to what their nodes have in ``.grad``."""
    for node, g in gradients.items():
        if node.grad is not None:
            with np.errstate(invalid="ignore", over="ignore"):
                g = node.grad + g
        node.grad = g
