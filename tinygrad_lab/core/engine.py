"""Record calls as nodes, and walk them backwards.  The whole engine; it knows no operation.

A *node* is one recorded call: the function, the plain values it was given, its result, and which
of its arguments came from other nodes.  Nodes hold arrays and older nodes, never the tensors that
users hold, so a graph has no reference cycles and later writes to a tensor cannot reach into it.

The backward pass visits nodes from the youngest to the oldest.  Creation order is a topological
order, so a heap of the nodes that are waiting is all the bookkeeping it needs: no recursion, no
second list of the graph, and each node is freed as soon as it has been used.

Not for: derivative rules (``rules/``), or the ``Tensor`` that people use (``tensor.py``).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import nullcontext
from contextvars import copy_context
from heapq import heappop, heappush
from itertools import count
from typing import Any

import numpy as np

from tinygrad_lab.core.errors import describe, explain, name_of
from tinygrad_lab.core.modes import WATCH, current_mode, enable_grad, stop_if_not_finite
from tinygrad_lab.core.ownership import is_shared

__all__ = ["Node", "conjugate", "from_scalar", "propagate"]

Array = Any  # an ndarray, a Tensor, a Dask or CuPy array: whatever speaks NumPy's protocols
Rule = Callable[..., Array]

#: The derivative table: for each operation, one rule for each positional argument (or None).
RULES: dict[Callable[..., Any], Any] = {}

#: How many arguments an operation has rules for, where none of them is left out.
WHOLE: dict[Callable[..., Any], int] = {}

#: Operations, beside the elementwise ones of NumPy, whose rules take several cotangents at once.
BATCHES: set[Callable[..., Any]] = set()

#: Operations that pick some elements of their operands and leave the others out.
SELECTS: set[Callable[..., Any]] = set()

_next_order = count(0, -1).__next__  # counts downwards, so that the youngest node is the smallest


class Node:
    """One recorded call, or a leaf.

    Attributes
    ----------
    op : callable or None
        The NumPy function or primitive that was called; None for a leaf.
    args, kwargs, value
        The plain values it was given, and its plain result.  None once freed, and for a leaf.
    parents : tuple of (Node or None)
        For each positional argument, the node it came from; None for a constant.
    order : int
        Smaller for younger nodes, unique: sorting by it is a reverse topological order.
    grad
        The accumulated gradient of a leaf (or of a node that was asked to retain it).
    hooks : list or None
        Called with the complete gradient when the backward pass arrives here.
    site : str or None
        The source line of the call, kept under ``debug()``.
    """

    __slots__ = (
        "__weakref__",
        "args",
        "grad",
        "hooks",
        "kwargs",
        "op",
        "order",
        "parents",
        "site",
        "value",
    )

    op: Any
    args: Any
    kwargs: Any
    value: Any
    parents: tuple[Node | None, ...] | None
    order: int
    grad: Any
    hooks: list[Any] | None
    site: str | None

    def __repr__(self) -> str:
        return f"<Node {self.name} #{-self.order}>"

    @property
    def name(self) -> str:
        """The operation's name, or ``leaf``."""
        return "leaf" if self.op is None else self.op.__name__


NO_KWARGS: Mapping[str, Any] = {}
_NOTHING = nullcontext()
RETAIN = object()  # in Node.hooks: keep the gradient on the node
_new = object.__new__


def record(
    op: Callable[..., Any] | None,
    args: tuple[Any, ...] | None,
    kwargs: Mapping[str, Any] | None,
    value: Any,
    parents: tuple[Node | None, ...] | None,
) -> Node:
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


# ---------------------------------------------------------------------------------------------
# The backward pass


def propagate(
    outputs: Sequence[Node],
    cotangents: Sequence[Array],
    *,
    retain_graph: bool = False,
    lift: Callable[[Any, Node | None], Array] | None = None,
    collect: dict[int, Array] | None = None,
    batched: bool = False,
    visit: Callable[[Node, Array, tuple[Array | None, ...]], None] | None = None,
) -> None:
    """Carry the ``cotangents`` of ``outputs`` back to the leaves.

    The pass is silent about arithmetic: where a slope is infinite the gradient is, as in NumPy,
    and ``debug()`` names the place.  Where nothing flows in, nothing flows out: an upstream of
    exactly 0 stays 0, whatever slope it meets.

    Parameters
    ----------
    outputs, cotangents
        Nodes to start from, and the gradient of the final quantity with respect to each.
    retain_graph : bool
        Keep what was recorded, so that the graph can be walked again.
    lift : callable, optional
        Turns a recorded value and its node into a tracked array.  When given, rules run on tracked
        arrays, so the gradients have a graph of their own: derivatives of any order.
    collect : dict of order to anything, optional
        Fill in the gradients of the nodes with these orders, and touch no ``.grad``.  Only what
        leads to them is computed.
    batched : bool
        The cotangents have one more axis, the first: several are carried in one pass.
    visit : callable, optional
        Called for each node with its complete cotangent and its contributions to its parents.

    Raises
    ------
    RuntimeError
        The pass arrived at a node that an earlier pass has freed.
    """
    walk = _Pass(lift, collect, batched, visit, outputs)
    for node, g in zip(outputs, cotangents, strict=True):
        walk.arrive(node, conjugate(g))
    g = None  # so that each gradient has one owner
    heap, waiting, needed = walk.heap, walk.waiting, walk.needed
    always_look = lift is not None or collect is not None

    with np.errstate(invalid="raise", divide="ignore", over="ignore"):  # invalid: see _rescued
        while heap:
            order, node = heappop(heap)
            g = waiting.pop(order)
            if always_look or node.hooks is not None:
                g = walk.look(node, g)
            if needed is not None and not _leads_on(node, needed):
                continue
            contributions = walk.pull_back(node, g)
            if visit is not None:
                walk.outside.run(visit, node, g, tuple(contributions))
            if not retain_graph:
                node.args = node.kwargs = node.value = node.parents = None
        contributions = []
        walk.settle()


class _Pass:
    """One walk through a graph: which nodes wait, what has arrived at each, who wants to see it."""

    __slots__ = (
        "batched",
        "careful",
        "collect",
        "heap",
        "leaves",
        "lift",
        "needed",
        "outside",
        "visit",
        "waiting",
    )

    def __init__(
        self,
        lift: Callable[[Any, Node | None], Array] | None,
        collect: dict[int, Array] | None,
        batched: bool,
        visit: Callable[..., None] | None,
        outputs: Sequence[Node],
    ) -> None:
        self.heap: list[tuple[int, Node]] = []  # youngest first
        self.leaves: list[Node] = []  # these wait for the end
        self.waiting: dict[int, Array] = {}
        self.lift, self.collect, self.batched, self.visit = lift, collect, batched, visit
        self.needed = None if collect is None else _leading_to(collect, outputs)
        self.careful = False  # a NaN was hidden in the forward pass: see _hides_nan
        self.outside = copy_context()  # what users hang in runs under their own settings

    def pull_back(self, node: Node, g: Array) -> list[Array | None]:
        """Apply the rules of a node: from its cotangent to a contribution for each parent."""
        op, operands, kwargs, needed = node.op, node.args, node.kwargs, self.needed
        parents = node.parents or _parents(node)
        waiting, heap, leaves = self.waiting, self.heap, self.leaves
        value, args = (node.value, operands) if self.lift is None else self._lifted(node)
        if op in SELECTS and not self.careful:
            self.careful = _hides_nan(operands, parents)
        special = self.batched or self.careful
        contributions: list[Array | None] = []
        try:
            for rule, parent, operand in zip(RULES[op], parents, operands):
                if parent is None or (needed is not None and parent.order not in needed):
                    contributions.append(None)
                    continue
                try:
                    if special:
                        c = self._with_care(op, rule, g, value, args, kwargs)
                    else:
                        c = rule(g, value, *args, **kwargs) if kwargs else rule(g, value, *args)
                except FloatingPointError:
                    c = _rescued(op, rule, g, value, args, kwargs)
                if c.shape != operand.shape or c.dtype is not operand.dtype:
                    c = _fitted(c, operand, self.batched)
                if node.site is not None:
                    stop_if_not_finite(c, f"the derivative of {name_of(op)} gave", node.site)
                contributions.append(c)
                if parent.order in waiting:
                    self.arrive(parent, c)
                else:  # written out, because most are used once
                    waiting[parent.order] = c
                    if parent.op is None:
                        leaves.append(parent)
                    else:
                        heappush(heap, (parent.order, parent))
        except Exception as error:
            where = " in its derivative rule"
            raise explain(error, op, operands, kwargs, node.site, where) from error
        return contributions

    def arrive(self, node: Node, c: Array) -> None:
        """Add a contribution to what waits at a node."""
        if node.order in self.waiting:
            self.waiting[node.order] = _quietly(operator.add, self.waiting[node.order], c)
            return
        self.waiting[node.order] = c
        if node.op is None:
            self.leaves.append(node)
        else:
            heappush(self.heap, (node.order, node))

    def look(self, node: Node, g: Array) -> Array:
        """Show a complete cotangent to whoever asked for it."""
        if self.lift is not None and isinstance(g, (np.ndarray, np.generic)):
            g = self.lift(g, None)
        if node.hooks is not None:
            g = self.outside.run(_run_hooks, node, g, self.collect is None)
        if self.collect is not None and node.order in self.collect and node.op is not None:
            self.collect[node.order] = _own(g)
        return g

    def settle(self) -> None:
        """Give the leaves their gradients."""
        for leaf in self.leaves:
            g = self.waiting.pop(leaf.order)
            if self.lift is not None or leaf.hooks is not None:
                g = self.look(leaf, g)
            if self.visit is not None:
                self.outside.run(self.visit, leaf, g, ())
            if is_shared(g) or g.dtype.kind == "c":
                g = _own(g)
            if self.collect is not None:
                self.collect[leaf.order] = g
            else:
                leaf.grad = g if leaf.grad is None else _quietly(operator.add, leaf.grad, g)

    def _with_care(
        self, op: Any, rule: Rule, g: Array, value: Array, args: Any, kwargs: Any
    ) -> Array:
        if self.batched and not _takes_batches(op):
            each = g.one_by_one() if hasattr(g, "one_by_one") else g
            c = np.stack([rule(one, value, *args, **kwargs) for one in each])
        else:
            c = rule(g, value, *args, **kwargs)
        return _zero_where_nothing_flows(op, g, c) if self.careful else c

    def _lifted(self, node: Node) -> tuple[Array, list[Any]]:
        """Give a node's value and arguments their histories back."""
        assert self.lift is not None
        args = list(node.args)
        for i, parent in enumerate(node.parents or ()):
            if parent is not None:
                args[i] = self.lift(args[i], parent)
        return self.lift(node.value, node), args


def _leading_to(wanted: Collection[int], outputs: Sequence[Node]) -> set[int]:
    """Find the nodes between the outputs and those with the wanted orders, both included."""
    seen: dict[int, Node] = {}
    waiting = list(outputs)
    while waiting:
        node = waiting.pop()
        if node.order not in seen:
            seen[node.order] = node
            if node.op is not None and (node.parents is not None or node.order not in wanted):
                waiting += [parent for parent in _parents(node) if parent is not None]
    leading = {order for order in seen if order in wanted}
    for order in sorted(seen, reverse=True):  # the oldest first
        if _leads_on(seen[order], leading):
            leading.add(order)
    return leading


def _leads_on(node: Node, needed: Collection[int]) -> bool:
    return any(parent is not None and parent.order in needed for parent in node.parents or ())


def _parents(node: Node) -> tuple[Node | None, ...]:
    if node.parents is None:
        raise RuntimeError(
            f"the graph behind {node.name} was freed by an earlier backward(); say "
            "backward(retain_graph=True) the first time, or compute the result again"
        )
    return node.parents


def _takes_batches(op: Any) -> bool:
    """Whether the rules of an operation may be given several cotangents at once.

    Elementwise ones may: what has one more axis in front broadcasts against all the rest.
    """
    return (isinstance(op, np.ufunc) and op.signature is None) or op in BATCHES


# Where nothing flows in, nothing flows out.  An upstream of exactly 0 must not become NaN by
# meeting an infinite slope, as in where(x > 0, sqrt(x), 0) at 0, nor by meeting a NaN that the
# forward pass left aside, as in where(isnan(x), 0, x * x).  The first is an invalid operation
# (0 * inf, 0 / 0), which the floating-point unit flags by itself.  The second is not, but it can
# only happen below an operation that selects some of its operands' elements and leaves a NaN out.


def _rescued(op: Any, rule: Rule, g: Array, value: Any, args: Any, kwargs: Any) -> Array:
    """Run a rule again whose arithmetic was invalid somewhere, and keep zeros zero."""
    with np.errstate(invalid="ignore"), enable_grad() if current_mode() is WATCH else _NOTHING:
        return _zero_where_nothing_flows(op, g, rule(g, value, *args, **kwargs))


def _hides_nan(operands: Any, parents: tuple[Node | None, ...]) -> bool:
    return any(
        parent is not None and type(operand) is np.ndarray and bool(np.isnan(operand).any())
        for operand, parent in zip(operands, parents)
    )


def _zero_where_nothing_flows(op: Any, g: Array, c: Array) -> Array:
    if c.shape == g.shape and getattr(op, "signature", None) is None:
        return np.where((g == 0) & np.isnan(c), 0, c)
    # Not elementwise: an element of c meets more than one of g.
    return c if np.any(g != 0) else np.where(np.isnan(c), 0, c)


def _fitted(c: Array, operand: Array, batched: bool = False) -> Array:
    """Undo broadcasting and casting: bring a contribution to its operand's shape and dtype."""
    shape, skip = operand.shape, int(batched)
    lead = c.ndim - len(shape)  # axes that are not the operand's, one of them the batch's
    if lead > skip and c.shape[lead:] == shape:  # the usual case: a bias
        c = _quietly(type(c).sum, c, tuple(range(skip, lead)))
    elif c.shape[skip:] != shape:
        if lead < skip or any(n not in (1, m) for n, m in zip(shape, c.shape[lead:], strict=True)):
            raise ValueError(f"it gave {describe(c)} for an argument of shape {shape}")
        stretched = [lead + i for i, n in enumerate(shape) if n == 1 and c.shape[lead + i] != 1]
        axes = (*range(skip, lead), *stretched)
        total = _quietly(type(c).sum, c, axes)
        c = total.reshape((*c.shape[:skip], *shape))
    if c.dtype != operand.dtype:
        if c.dtype.kind == "c" and operand.dtype.kind != "c":
            c = np.real(c)
        c = c.astype(operand.dtype)
    return c


def _quietly(function: Callable[..., Array], *args: Any) -> Array:
    """Call what may meet inf - inf, which is no fault of a rule's."""
    try:
        return function(*args)
    except FloatingPointError:
        with np.errstate(invalid="ignore"):
            return function(*args)


# What users see of a cotangent


def _own(g: Array) -> Array:
    """Make of a gradient an array that nobody else can write to."""
    return conjugate(g.copy() if type(g) is np.ndarray else from_scalar(g))


def from_scalar(value: Any) -> Any:
    """Make a 0-d array of a number, NumPy's or Python's; leave the rest alone."""
    return np.asarray(value) if isinstance(value, (np.generic, float, int, complex)) else value


def conjugate(g: Array) -> Array:
    """Turn a cotangent into what users see, or back: PyTorch's convention for complex numbers.

    Inside, the conjugate of the gradient travels, so that the rule of a holomorphic function is
    the one in the calculus book, without conjugations.
    """
    return np.conj(g) if g.dtype.kind == "c" else g


def _run_hooks(node: Node, g: Array, retain: bool) -> Array:
    for hook in node.hooks or ():
        if hook is RETAIN:
            if retain:
                node.grad = _own(g)
            continue
        replacement = hook(conjugate(from_scalar(g)))
        if replacement is not None:
            if getattr(replacement, "shape", None) != g.shape:
                raise ValueError(
                    f"a hook on {node.name} returned {describe(replacement)} in place of a "
                    f"gradient of shape {g.shape}"
                )
            g = conjugate(_fitted(replacement, g))
    return g
