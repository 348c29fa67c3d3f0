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

import linecache
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ContextDecorator
from contextvars import Context, ContextVar, Token, copy_context
from heapq import heappop, heappush
from itertools import count
from typing import Any, ParamSpec, Self, TypeVar, overload

import numpy as np

from tinygrad_lab.core.errors import describe, explain, name_of
from tinygrad_lab.core.ownership import is_shared

__all__ = ["Node", "debug", "enable_grad", "is_grad_enabled", "no_grad", "propagate"]

Array = Any  # an ndarray, a Tensor, a Dask or CuPy array: whatever speaks NumPy's protocols
Rule = Callable[..., Array]
P = ParamSpec("P")
T = TypeVar("T")

#: The derivative table: for each operation, one rule for each positional argument (or None).
RULES: dict[Callable[..., Any], Sequence[Rule | None]] = {}

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

    op: Callable[..., Any] | None
    args: tuple[Any, ...] | None
    kwargs: Mapping[str, Any] | None
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
_PACKAGE = __name__.split(".", 1)[0]
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


def leaf() -> Node:
    """Make the node of a tensor that nothing was computed for: where gradients end up."""
    return record(None, None, None, None, None)


# ---------------------------------------------------------------------------------------------
# Modes: is a call recorded, and is it watched?


RECORD, IGNORE, WATCH = "record", "ignore", "watch"

_mode: ContextVar[str] = ContextVar("tinygrad_lab.mode", default=RECORD)
current_mode = _mode.get


class _Mode(ContextDecorator):
    """Switch the mode inside a ``with`` block or a decorated function; safe across threads."""

    def __init__(self, mode: str) -> None:
        self._to = mode
        self._tokens: list[Token[str]] = []

    def _recreate_cm(self) -> Self:
        return type(self)(self._to)  # a decorated function may run in many threads at once

    def __enter__(self) -> Self:
        self._tokens.append(_mode.set(self._to))
        return self

    def __exit__(self, *exc_info: object) -> None:
        _mode.reset(self._tokens.pop())


@overload
def no_grad() -> _Mode: ...
@overload
def no_grad(function: Callable[P, T]) -> Callable[P, T]: ...
def no_grad(function: Callable[P, T] | None = None) -> _Mode | Callable[P, T]:
    """Compute without recording: a context manager and a decorator.

    Examples
    --------
    >>> import tinygrad_lab as tl
    >>> w = tl.tensor([1.0, 2.0], requires_grad=True)
    >>> with tl.no_grad():
    ...     y = w * 3
    >>> y.requires_grad
    False
    """
    return _Mode(IGNORE) if function is None else _Mode(IGNORE)(function)


def enable_grad() -> _Mode:
    """Record again inside ``no_grad``: a context manager and a decorator."""
    return _Mode(RECORD)


def debug() -> _Mode:
    """Watch every operation: keep its source line, and stop at the first NaN or infinity.

    A context manager and a decorator.  It costs nothing where it is not used.

    Examples
    --------
    >>> import numpy as np, tinygrad_lab as tl
    >>> x = tl.tensor([1.0, 0.0], requires_grad=True)
    >>> with tl.debug(), np.errstate(divide="ignore"):
    ...     np.log(x)
    Traceback (most recent call last):
      ...
    FloatingPointError: log gave -inf at index (1,), first of 1 non-finite value in shape (2,)...
    """
    return _Mode(WATCH)


def is_grad_enabled() -> bool:
    """Tell whether calls are recorded here and now."""
    return current_mode() != IGNORE


# ---------------------------------------------------------------------------------------------
# The backward pass


def propagate(
    outputs: Sequence[Node],
    cotangents: Sequence[Array],
    *,
    retain_graph: bool = False,
    lift: Callable[[Any, Node], Array] | None = None,
    collect: dict[int, Array] | None = None,
    visit: Callable[[Node, Array, tuple[Array | None, ...]], None] | None = None,
) -> None:
    """Carry the ``cotangents`` of ``outputs`` back to the leaves.

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
        Fill in the gradients of the nodes with these orders, and touch no ``.grad``.
    visit : callable, optional
        Called for each node with its complete cotangent and its contributions to its parents.

    Raises
    ------
    RuntimeError
        The pass arrived at a node that an earlier pass has freed.
    """
    heap: list[tuple[int, Node]] = []  # the nodes that wait, youngest first
    waiting: dict[int, Array] = {}  # what has arrived at each of them so far
    for node, g in zip(outputs, cotangents, strict=True):
        if node.order not in waiting:
            heappush(heap, (node.order, node))
        before = waiting.get(node.order)
        waiting[node.order] = _conjugate(g) if before is None else before + _conjugate(g)
    oldest = 0 if collect is None else max(collect, default=-1)
    outside = copy_context()  # hooks run under their owner's settings

    with np.errstate(invalid="raise"):  # see _rescued
        while heap and heap[0][0] <= oldest:
            order, node = heappop(heap)
            g = waiting.pop(order)
            if node.hooks is not None:
                g = outside.run(_run_hooks, node, g)
            if collect is not None and order in collect:
                collect[order] = _conjugate(g)
            op, parents = node.op, node.parents
            if op is None:
                if collect is None:
                    mine = _conjugate(g.copy() if is_shared(g) else g)
                    node.grad = mine if node.grad is None else node.grad + mine
                if visit is not None:
                    outside.run(visit, node, g, ())
                continue
            if parents is None:
                raise RuntimeError(
                    f"the graph behind {node.name} was freed by an earlier backward(); say "
                    "backward(retain_graph=True) the first time, or compute the result again"
                )

            # The rules of one node.  Written out here rather than called, because it is most of
            # what a small network spends its time on.
            operands, kwargs = node.args, node.kwargs
            value, args = (node.value, operands) if lift is None else _lifted(node, lift)
            contributions: list[Array | None] = []
            try:
                for rule, parent, operand in zip(RULES[op], parents, operands):
                    if parent is None:
                        contributions.append(None)
                        continue
                    try:
                        c = rule(g, value, *args, **kwargs) if kwargs else rule(g, value, *args)
                    except FloatingPointError:
                        c = _rescued(op, rule, g, value, args, kwargs)
                    if c.shape != operand.shape or c.dtype is not operand.dtype:
                        c = _fitted(c, operand)
                    if node.site is not None:
                        _stop_if_not_finite(c, f"the derivative of {name_of(op)} gave", node.site)
                    key = parent.order
                    if key in waiting:
                        waiting[key] = waiting[key] + c
                    else:
                        waiting[key] = c
                        heappush(heap, (key, parent))
                    if visit is not None:
                        contributions.append(c)
            except Exception as error:
                where = " in its derivative rule"
                raise explain(error, op, operands, kwargs, node.site, where) from error
            if visit is not None:
                outside.run(visit, node, g, tuple(contributions))
            if not retain_graph:
                node.args = node.kwargs = node.value = node.parents = None
            c = contributions = None  # whoever is next may be the only owner of its gradient


def _lifted(node: Node, lift: Callable[[Any, Node], Array]) -> tuple[Array, list[Any]]:
    """Give a node's value and arguments their histories back."""
    args = [
        a if parent is None else lift(a, parent)
        for a, parent in zip(node.args or (), node.parents or (), strict=True)
    ]
    return lift(node.value, node), args


def _conjugate(g: Array) -> Array:
    """Turn a cotangent into what users see, or back: PyTorch's convention for complex numbers.

    Inside, the conjugate of the gradient travels, so that the rule of a holomorphic function is
    the one in the calculus book, without conjugations.
    """
    return np.conj(g) if g.dtype.kind == "c" else g


def _rescued(op: Any, rule: Rule, g: Array, value: Any, args: Any, kwargs: Any) -> Array:
    """Run a rule whose arithmetic was invalid somewhere (0 * inf, 0 / 0), and keep zeros zero.

    Where nothing flows in, nothing flows out: an upstream of exactly 0 must not become NaN by
    meeting an infinite slope, as in ``where(x > 0, sqrt(x), 0)`` at 0.  The floating-point unit
    flags such operations by itself, so the rules of singular functions need no masks of their own.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        c = rule(g, value, *args, **kwargs)
        if c.shape != g.shape or getattr(op, "signature", None) is not None:
            return c  # a contraction (matmul): a zero of g meets more than one slope
        return np.where((g == 0) & np.isnan(c), 0, c)


def _fitted(c: Array, operand: Array) -> Array:
    """Bring a contribution to its operand's shape and dtype, as broadcasting and casting left it."""
    if c.shape != operand.shape:
        shape = operand.shape
        lead = c.ndim - len(shape)
        if lead < 0 or any(n not in (1, m) for n, m in zip(shape, c.shape[lead:], strict=True)):
            raise ValueError(f"it gave {describe(c)} for an argument of shape {shape}")
        stretched = [lead + i for i, n in enumerate(shape) if n == 1 and c.shape[lead + i] != 1]
        c = c.sum(axis=(*range(lead), *stretched)).reshape(shape)
    if c.dtype != operand.dtype:
        if c.dtype.kind == "c" and operand.dtype.kind != "c":
            c = c.real
        c = c.astype(operand.dtype)
    return c


def _run_hooks(node: Node, g: Array) -> Array:
    for hook in node.hooks or ():
        if hook is RETAIN:
            node.grad = _conjugate(g)
            continue
        replacement = hook(_conjugate(g))
        if replacement is not None:
            if getattr(replacement, "shape", None) != g.shape:
                raise ValueError(
                    f"a hook on {node.name} returned {describe(replacement)} in place of a "
                    f"gradient of shape {g.shape}"
                )
            g = _conjugate(replacement)
    return g


# ---------------------------------------------------------------------------------------------
# Watching, under debug()


def site() -> str:
    """Give the file, line and text of the innermost call from outside this package."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(_PACKAGE):
        frame = frame.f_back
    file, line = frame.f_code.co_filename, frame.f_lineno
    return f"{file}:{line}: {linecache.getline(file, line).strip()}"


def watch(op: Any, args: tuple[Any, ...], kwargs: Any, value: Any, node: Node | None) -> None:
    """Remember where a call was made, and stop if its result is not finite."""
    here = site()
    if node is not None:
        node.site = here
    _stop_if_not_finite(value, f"{name_of(op)} gave", here)


def _stop_if_not_finite(value: Any, what: str, here: str) -> None:
    with _Mode(IGNORE):
        array = np.asarray(value)
    bad = ~np.isfinite(array) if array.dtype.kind in "fc" else np.zeros(array.shape, dtype=bool)
    n = int(bad.sum())
    if n:
        index = tuple(int(i) for i in np.argwhere(bad)[0])
        number = "1 non-finite value" if n == 1 else f"{n} non-finite values"
        raise FloatingPointError(
            f"{what} {array[index]} at index {index}, first of {number} in shape {array.shape}"
            f"\n  called at {here}"
        )
