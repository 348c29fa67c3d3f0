"""What is known of each operation: one record, and the few functions that write it.

An operation is a NumPy function, or one made with :func:`primitive`.  :data:`OPERATIONS` holds its
record: the derivative rules, or the composition that stands in for it, or why it has none.  The
last declaration wins, so a user's rule is used in place of ours.

Not for: the rules themselves (``rules/``), a call as it arrives (``dispatch.py``), or the walk
backwards (``engine.py``).
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar, cast

import numpy as np

from tinygrad_lab.core.errors import name_of, qualified_name

__all__ = [
    "OPERATIONS",
    "Operation",
    "composed",
    "constant",
    "defvjp",
    "defvjp_variadic",
    "no_array",
    "planted",
    "primitive",
    "refused",
    "vjps_of",
]

P = ParamSpec("P")
T = TypeVar("T")
Array = Any  # an ndarray, a Tensor, a Dask or CuPy array: whatever speaks NumPy's protocols
Rule = Callable[..., Array]


@dataclass(frozen=True, slots=True)
class Operation:
    """All that is known of one operation.

    Attributes
    ----------
    vjps : sequence of (callable or None)
        The derivative rule for each positional argument.
    composition : callable or None
        What is called in its place when a tensor arrives: the same, spelled in other operations.
    constant : bool
        Its result is not of floats, or does not change with small changes of the arguments:
        computed on plain arrays, never recorded.
    refusal : str or None
        Why no gradient flows through it, and what to do: it refuses tracked tensors.
    in_place : bool
        It writes into its first argument, and refuses every tensor there.
    no_array : bool
        It takes sizes, types, text or files, and no array.
    selects : bool
        It picks some elements of its operands and leaves the others out.
    batches : bool
        Its rules may be given several cotangents at once, along a new first axis.
    branch : callable or None
        For an operation with kinks: ``branch(y, *args, **kwargs)`` tells which side of each kink
        a call was on.  Calls on the same side have one smooth derivative between them.
    complete : int
        How many of the first arguments have a rule, none left out.
    """

    vjps: Sequence[Any] = ()
    composition: Callable[..., Any] | None = None
    constant: bool = False
    refusal: str | None = None
    in_place: bool = False
    no_array: bool = False
    selects: bool = False
    batches: bool = False
    branch: Callable[..., Any] | None = None
    complete: int = field(init=False)

    def __post_init__(self) -> None:
        missing = isinstance(self.vjps, tuple) and None in self.vjps
        object.__setattr__(self, "complete", 0 if missing else len(self.vjps))

    @property
    def kind(self) -> str:
        """``differentiable``, ``constant``, ``not supported`` or ``no array``."""
        if self.constant:
            return "constant"
        if self.refusal is not None:
            return "not supported"
        return "no array" if self.no_array else "differentiable"


#: The record of every operation, by the function itself.
OPERATIONS: dict[Callable[..., Any], Operation] = {}


def vjps_of(op: Any) -> Sequence[Any]:
    """Look up the rules of an operation by argument; there are none of what is not declared."""
    return OPERATIONS[op].vjps if op in OPERATIONS else ()


# ---------------------------------------------------------------------------------------------
# Declaring


def defvjp(
    op: Callable[..., Any],
    *vjps: Rule | None,
    argnums: Sequence[int] | None = None,
    selects: bool = False,
    batches: bool = False,
    branch: Callable[..., Any] | None = None,
) -> None:
    """Give an operation its derivative: one function for each differentiable argument.

    Parameters
    ----------
    op : callable
        A NumPy function, or one made with :func:`primitive`.  What was declared of it before,
        by this package too, no longer counts.
    *vjps : callable or None
        ``vjp(g, y, *args, **kwargs)``: the vector-Jacobian product for one argument, where ``g``
        is the upstream gradient (of the shape of ``y``), ``y`` the result of the call, and the
        rest what the operation was called with.  None for an argument with no derivative.  For an
        argument that is a list of arrays it returns a list of gradients.
    argnums : sequence of int, optional
        Which positional arguments ``vjps`` belong to; by default the first, the second ...
    selects : bool
        The operation picks some elements of its operands and leaves the others out, so that a NaN
        among these must not reach a gradient.
    batches : bool
        The rules may be given several cotangents at once, along a new first axis.
    branch : callable, optional
        ``branch(y, *args, **kwargs)``: which side of its kinks a call was on, as an array or a
        tuple of arrays.  Gradient checks compare it, to know that no kink lies between two points.

    Notes
    -----
    A vjp is plain NumPy, because whatever speaks NumPy's protocols flows through it.  It may
    return a gradient that broadcasting widened or whose dtype is wider than the argument's, ``g``
    itself, or a view: the engine sums, casts and copies.  It must not write into what it was given.

    Raises
    ------
    TypeError
        ``op`` or a vjp is not callable, or ``op`` writes into its argument.
    ValueError
        ``argnums`` and ``vjps`` differ in number, or an argument number is negative or repeated.

    Examples
    --------
    >>> import numpy as np, tinygrad_lab as tl
    >>> @tl.primitive
    ... def scaled(factor, x):
    ...     return factor * np.sin(x)
    >>> tl.defvjp(scaled, lambda g, y, factor, x: g * factor * np.cos(x), argnums=[1])
    """
    where = list(range(len(vjps))) if argnums is None else list(argnums)
    if not all(f is None or callable(f) for f in (op, *vjps)):
        raise TypeError(f"defvjp({op!r}, ...): the operation and its rules must be callable")
    if len(where) != len(vjps) or len(set(where)) != len(where) or min(where, default=0) < 0:
        raise ValueError(
            f"defvjp({name_of(op)}): argnums={where} must name one argument, counted from 0, for "
            f"each of the {len(vjps)} rules"
        )
    rules: list[Rule | None] = [None] * (max(where, default=-1) + 1)
    for position, vjp in zip(where, vjps, strict=True):
        rules[position] = vjp
    _refuse_in_place(op)
    OPERATIONS[op] = Operation(tuple(rules), selects=selects, batches=batches, branch=branch)


def defvjp_variadic(
    op: Callable[..., Any], vjp: Callable[..., Any], *, selects: bool = False
) -> None:
    """Give an operation of any number of arguments one rule, ``vjp(argnum, g, y, *args, **kw)``.

    Examples
    --------
    >>> import numpy as np, tinygrad_lab as tl
    >>> @tl.primitive
    ... def total(*arrays):
    ...     return sum(arrays)
    >>> tl.defvjp_variadic(total, lambda argnum, g, y, *arrays: g)
    >>> x = tl.tensor([1.0, 2.0], requires_grad=True)
    >>> total(x, x, x).sum().backward()
    >>> x.grad
    array([3., 3.])
    """
    _refuse_in_place(op)
    OPERATIONS[op] = Operation(_Variadic(vjp), selects=selects)


def _refuse_in_place(op: Callable[..., Any]) -> None:
    if op in OPERATIONS and OPERATIONS[op].in_place:
        raise TypeError(
            f"{qualified_name(op)} writes into its argument, and tensors are values: it cannot "
            "have a derivative"
        )


class _Variadic(Sequence[Rule]):
    """The rules of an operation with any number of arguments, from one that is told which."""

    def __init__(self, vjp: Callable[..., Any]) -> None:
        self._vjp = vjp

    def __getitem__(self, argnum: Any) -> Any:
        return functools.partial(self._vjp, argnum)

    def __len__(self) -> int:
        return sys.maxsize


def composed(*ops: Callable[..., Any]) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Decorate what is called in place of ``ops`` when a tensor arrives there.

    It is written in operations that have rules, so it needs none.

    Examples
    --------
    >>> import numpy as np, tinygrad_lab as tl
    >>> from tinygrad_lab.core.operations import composed
    >>> @composed(np.ptp)
    ... def ptp(a, axis=None, out=None, keepdims=False):
    ...     return np.max(a, axis, keepdims=keepdims) - np.min(a, axis, keepdims=keepdims)
    """

    def declare(composition: Callable[P, T]) -> Callable[P, T]:
        for op in ops:
            OPERATIONS[op] = Operation(composition=composition)
        return composition

    return declare


def constant(*ops: Callable[..., Any]) -> None:
    """Declare functions that are piecewise constant or not of floats: never recorded."""
    OPERATIONS.update(dict.fromkeys(ops, Operation(constant=True)))


def refused(reason: str, *ops: Callable[..., Any], in_place: bool = False) -> None:
    """Declare functions that refuse tracked tensors, saying why and what to do.

    With ``in_place`` they write into their first argument, and refuse every tensor there: somebody
    else may hold its values.
    """
    OPERATIONS.update(dict.fromkeys(ops, Operation(refusal=reason, in_place=in_place)))


def no_array(*ops: Callable[..., Any]) -> None:
    """Declare functions of sizes, types, text or files, which take no array of floats."""
    OPERATIONS.update(dict.fromkeys(ops, Operation(no_array=True)))


@contextmanager
def planted(
    op: Callable[..., Any],
    *vjps: Rule | None,
    argnums: Sequence[int] | None = None,
    variadic: Callable[..., Any] | None = None,
) -> Iterator[None]:
    """Give an operation other rules inside a ``with`` block; what else is known of it stays.

    Graphs that were recorded before use them too.  Afterwards the former record is restored,
    unless somebody declared the operation anew inside the block.

    Parameters
    ----------
    op, *vjps
        As for :func:`defvjp`.
    argnums : sequence of int, optional
        Which arguments get another rule; the others keep theirs.  By default all rules are
        replaced.
    variadic : callable, optional
        Instead of ``vjps``, one rule as for :func:`defvjp_variadic`.

    Examples
    --------
    >>> import numpy as np, tinygrad_lab as tl
    >>> from tinygrad_lab.core.operations import planted
    >>> with planted(np.sin, lambda g, y, x: -g * np.cos(x)):
    ...     float(tl.grad(np.sin)(0.0))
    -1.0
    """
    _refuse_in_place(op)
    before = OPERATIONS.get(op)
    rules: Sequence[Rule | None] = vjps if variadic is None else _Variadic(variadic)
    if argnums is not None:
        others = dict(zip(argnums, vjps, strict=True))
        former = before.vjps if before else ()
        rules = tuple(others.get(position, vjp) for position, vjp in enumerate(former))
    known = before or Operation()
    mine = Operation(rules, selects=known.selects, batches=known.batches, branch=known.branch)
    OPERATIONS[op] = mine
    try:
        yield
    finally:
        if OPERATIONS.get(op) is mine:
            if before is None:
                del OPERATIONS[op]
            else:
                OPERATIONS[op] = before


# ---------------------------------------------------------------------------------------------
# Operations that NumPy does not have

#: Types that take every primitive without being asked, and what they call with the operation, its
#: arguments, and its body.
TAKES: dict[type, Callable[..., Any]] = {}


class Primitive:
    """Stands among the types of a dispatched call, as NumPy's protocol asks of every stranger.

    An array class that does not know this type declines the call (as NEP 18 has it: return
    NotImplemented when ``types`` holds one you do not know), so that it sees the body's own NumPy
    calls instead of guessing, from a name, what the operation does.
    """


def primitive(body: Callable[P, T]) -> Callable[P, T]:
    """Make an operation that NumPy does not have, from its computation on plain arrays.

    The result dispatches as a NumPy function does: an argument whose type defines
    ``__array_function__`` (a Tensor, or some array to come) is offered the call, and when all
    decline, the body runs.  On ndarrays it is a plain function that returns ndarrays.

    Give it its derivative with :func:`defvjp`.

    Examples
    --------
    >>> import numpy as np, tinygrad_lab as tl
    >>> @tl.primitive
    ... def softplus(x):
    ...     return np.logaddexp(0.0, x)
    >>> tl.defvjp(softplus, lambda g, y, x: g * tl.sigmoid(x))
    >>> x = tl.tensor([0.0, 2.0], requires_grad=True)
    >>> softplus(x).sum().backward()
    >>> x.grad
    array([0.5       , 0.88079708])
    >>> softplus(np.array([0.0]))
    array([0.69314718])
    """

    @functools.wraps(body)
    def operation(*args: P.args, **kwargs: P.kwargs) -> T:
        for arg in (*args, *kwargs.values()) if kwargs else args:
            kind = type(arg)
            if kind is np.ndarray:
                continue
            if kind in TAKES:
                return cast(T, TAKES[kind](operation, args, kwargs, body))
            if hasattr(kind, "__array_function__"):
                result: Any = _offer(operation, args, kwargs)
                return body(*args, **kwargs) if result is NotImplemented else result
        return body(*args, **kwargs)

    return operation


def _offer(operation: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Offer the call to each array type among the arguments, subclasses first (NEP 18)."""
    takers: list[Any] = []
    for arg in (*args, *kwargs.values()):
        kind = type(arg)
        if kind is np.ndarray or not hasattr(kind, "__array_function__"):
            continue
        if any(type(taker) is kind for taker in takers):
            continue
        later = [i for i, taker in enumerate(takers) if issubclass(kind, type(taker))]
        takers.insert(later[0] if later else len(takers), arg)
    types = (*(type(taker) for taker in takers), Primitive)
    for taker in takers:
        result = taker.__array_function__(operation, types, args, kwargs)
        if result is not NotImplemented:
            return result
    return NotImplemented
