"""``primitive`` and ``defvjp``: the one way in for a new operation, ours and the user's alike.

Not for: the rules themselves (``rules/``) or what recording means (``engine.py``).
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar, cast

import numpy as np

from tinygrad_lab.core.engine import BATCHES, RULES, SELECTS, WHOLE, Rule
from tinygrad_lab.core.errors import name_of

__all__ = [
    "CONSTANT",
    "INSTEAD",
    "IN_PLACE",
    "UNSUPPORTED",
    "as_array",
    "constant",
    "defvjp",
    "defvjp_variadic",
    "instead",
    "primitive",
    "selects",
    "unsupported",
    "values",
]

P = ParamSpec("P")
T = TypeVar("T")

#: Functions whose result has no derivative: computed on plain arrays, never recorded.
CONSTANT: set[Callable[..., Any]] = set()

#: NumPy functions that are spelled in terms of other operations when a Tensor arrives.
INSTEAD: dict[Callable[..., Any], Callable[..., Any]] = {}

#: Functions that no gradient flows through, and why: they refuse tracked tensors.
UNSUPPORTED: dict[Callable[..., Any], str] = {}

#: Those of them that write into their first argument, and refuse every tensor there.
IN_PLACE: set[Callable[..., Any]] = set()

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


def defvjp(
    op: Callable[..., Any], *vjps: Rule | None, argnums: Sequence[int] | None = None
) -> None:
    """Give an operation its derivative: one function for each differentiable argument.

    Parameters
    ----------
    op : callable
        A NumPy function, or one made with :func:`primitive`.
    *vjps : callable or None
        ``vjp(g, y, *args, **kwargs)``: the vector-Jacobian product for one argument, where ``g``
        is the upstream gradient (of the shape of ``y``), ``y`` the result of the call, and the
        rest what the operation was called with.  None for an argument with no derivative.
    argnums : sequence of int, optional
        Which positional arguments ``vjps`` belong to; by default the first, the second ...

    Notes
    -----
    A vjp is plain NumPy, because whatever speaks NumPy's protocols flows through it.  It may
    return a gradient that broadcasting widened or whose dtype is wider than the argument's, ``g``
    itself, or a view: the engine sums, casts and copies.  It must not write into what it was given.

    Raises
    ------
    TypeError
        ``op`` or a vjp is not callable.
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
    table: list[Rule | None] = [None] * (max(where, default=-1) + 1)
    for position, vjp in zip(where, vjps, strict=True):
        table[position] = vjp
    RULES[op] = tuple(table)
    WHOLE[op] = 0 if None in table else len(table)


class _Variadic:
    """The rules of an operation with any number of arguments, from one that is told which."""

    def __init__(self, vjp: Callable[..., Any]) -> None:
        self._vjp = vjp

    def __getitem__(self, argnum: int) -> Rule:
        return functools.partial(self._vjp, argnum)

    def __len__(self) -> int:
        return sys.maxsize


def defvjp_variadic(op: Callable[..., Any], vjp: Callable[..., Any]) -> None:
    """Give an operation of any number of arguments one rule, ``vjp(argnum, g, y, *args, **kw)``."""
    RULES[op] = _Variadic(vjp)
    WHOLE[op] = sys.maxsize


def constant(*ops: Callable[..., Any]) -> None:
    """Declare functions that are piecewise constant or not of floats: never recorded."""
    CONSTANT.update(ops)


def unsupported(reason: str, *ops: Callable[..., Any], in_place: bool = False) -> None:
    """Declare functions that refuse tracked tensors, saying why and what to do.

    With ``in_place`` they write into their first argument, and refuse every tensor there: somebody
    else may hold its values.
    """
    UNSUPPORTED.update(dict.fromkeys(ops, reason))
    if in_place:
        IN_PLACE.update(ops)


def selects(*ops: Callable[..., Any]) -> None:
    """Declare operations that pick some elements of their operands and leave the others out."""
    SELECTS.update(ops)


def batches(*ops: Callable[..., Any]) -> None:
    """Declare operations whose rules may be given several cotangents, along a new first axis."""
    BATCHES.update(ops)


def instead(op: Callable[..., Any]) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Decorate what is called in place of a NumPy function when a Tensor arrives there."""

    def register(replacement: Callable[P, T]) -> Callable[P, T]:
        INSTEAD[op] = replacement
        return replacement

    return register


def values(x: Any) -> Any:
    """Return the plain array of a tensor, for a composition to look at; an array as it is."""
    return x.data if type(x) in TAKES else x


def as_array(a: Any) -> Any:
    """Give a number or a list the methods of an array; leave every array as it is."""
    return a if hasattr(a, "ndim") else np.asarray(a)
