"""What is known of each operation: one record, and the few functions that write it.

An operation is a NumPy function, or one made with :func:`primitive`.  :data:`OPERATIONS` holds its
record: the derivative rules, or the composition that stands in for it, or why it has none.  The
last declaration wins, so a user's rule is used in place of ours.

Not for: the rules themselves (``rules/``), or a call as it arrives (``dispatch.py``).
"""

import functools
import inspect
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import NoneType
from typing import Any, ParamSpec, TypeVar

import numpy as np

from tinygrad_lab.core.errors import name_of, qualified_name

__all__ = [
    "OPERATIONS", "Operation", "composed", "constant", "defvjp", "defvjp_joint", "defvjp_variadic",
    "no_array", "planted", "primitive", "refused", "together", "vjps_of",
]  # fmt: skip

P = ParamSpec("P")
T = TypeVar("T")
Array = Any  # an ndarray, a Tensor, a Dask or CuPy array: whatever speaks NumPy's protocols
Op = Callable[..., Any]  # a NumPy function, or one made with `primitive`
Rule = Callable[..., Array]


@dataclass(frozen=True, slots=True)
class Operation:
    """All that is known of one operation."""

    vjps: Sequence[Any] = ()  # the derivative rule for each positional argument, or None
    joint: Op | None = None  # the rules of all arguments in one, where that saves work
    composition: Op | None = None  # the same in other operations, called when a tensor arrives
    by: frozenset[int | str] = (
        frozenset()
    )  # the parameters that the composition has a derivative by
    lists: bool = False  # it takes lists of arrays: a list is no array to it
    always: bool = False  # the composition is called for plain values too
    constant: bool = False  # piecewise constant or not of floats: never recorded
    refusal: str | None = None  # why it refuses tracked tensors, and what to do
    in_place: bool = False  # it writes into its first argument: no tensor may be there
    no_array: bool = False  # it takes sizes, types, text or files, and no array
    selects: bool | Op = False  # it leaves elements out, a NaN perhaps; or: whether a call does
    branch: Op | None = None  # (y, *args, **kwargs): which side of each of its kinks a call was on
    degenerate: Op | None = None  # (*results): values are near each other, their vectors not unique
    complete: int = field(init=False)  # how many of the first arguments have rules

    def __post_init__(self) -> None:
        rules = self.vjps
        missing = isinstance(rules, tuple) and None in rules
        object.__setattr__(self, "complete", rules.index(None) if missing else len(rules))

    @property
    def takes_arrays(self) -> bool:
        """Whether each argument with a rule is an array, a list of numbers included."""
        return isinstance(self.vjps, tuple)

    def has_rule(self, position: int) -> bool:
        """Whether there is a rule for the argument at a position."""
        return position < len(self.vjps) and self.vjps[position] is not None

    def has_derivative(self, place: int | str) -> bool:
        """Whether the composition has a derivative by an argument, by its position or name."""
        return place in self.by or _parameter(self.composition, place) in self.by

    def parameter(self, place: int | str) -> int | str:
        """Name a parameter as one reads it, by its position or name."""
        if isinstance(place, str) or self.composition is None:
            return place
        return _parameter(self.composition, place)


@functools.cache
def _parameter(composition: Any, place: int | str) -> str:
    """Name what takes an argument; one that takes all the rest has its own name, ``args`` say."""
    parameters = inspect.signature(composition).parameters.values()
    if isinstance(place, str):
        rest = [p.name for p in parameters if p.kind is p.VAR_KEYWORD]
        return place if not rest or place in (p.name for p in parameters) else rest[0]
    positional = [p for p in parameters if p.kind not in (p.KEYWORD_ONLY, p.VAR_KEYWORD)]
    return positional[min(place, len(positional) - 1)].name


#: The record of every operation, by the function itself.
OPERATIONS: dict[Op, Operation] = {}


def vjps_of(op: Any) -> Sequence[Any]:
    """Look up the rules of an operation by argument; there are none of what is not declared."""
    return OPERATIONS[op].vjps if op in OPERATIONS else ()


def defvjp(
    op: Op,
    *vjps: Rule | None,
    argnums: Sequence[int] | None = None,
    selects: bool | Op = False,
    branch: Op | None = None,
    degenerate: Op | None = None,
) -> None:
    """Give an operation its derivative: one function for each differentiable argument.

    Parameters
    ----------
    op : callable
        A NumPy function, or one made with :func:`primitive`.
    *vjps : callable or None
        ``vjp(g, y, *args, **kwargs)``: the vector-Jacobian product for one argument, from the
        upstream gradient ``g``, the result ``y`` and what the operation was called with.  For an
        argument that is a list of arrays it returns a list.  None where there is no derivative.
    argnums : sequence of int, optional
        Which positional arguments ``vjps`` belong to; by default the first, the second ...
    selects : bool or callable
        The operation leaves some elements of its operands out, so that a NaN there must not reach
        a gradient; or, called with what the operation was called with, whether this call does.
    branch : callable, optional
        ``branch(y, *args, **kwargs)``: which side of each of its kinks a call was on, in arrays.
        Calls on the same side have one smooth derivative between them: gradient checks ask.
    degenerate : callable, optional
        ``degenerate(*results)`` of an operation with several results: some are near each other, so
        that others are not unique.  The rule is then called with tracked arrays: it may
        differentiate ``g``.

    Notes
    -----
    A vjp is plain NumPy, because whatever speaks NumPy's protocols flows through it.  It may
    return a gradient that broadcasting widened or whose dtype is wider than the argument's, ``g``
    itself, or a view: the engine sums, casts and copies.  It must not write into what it was given.

    Raises
    ------
    TypeError, ValueError
        ``op`` or a vjp is not callable, or ``op`` writes in place; ``argnums`` do not fit ``vjps``.

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
    _refuse_in_place(op)
    by_position = dict(zip(where, vjps, strict=True))
    rules = tuple(by_position.get(i) for i in range(max(where, default=-1) + 1))
    OPERATIONS[op] = Operation(
        rules, selects=selects, branch=branch, degenerate=degenerate,
        lists=_takes_lists(op),
    )  # fmt: skip


def defvjp_joint(
    op: Op,
    vjp: Op,
    *,
    argnums: Sequence[int] | None = None,
    selects: bool | Op = False,
    branch: Op | None = None,
) -> None:
    """Give an operation one rule for all its arguments, however many it takes.

    Parameters
    ----------
    op : callable
        A NumPy function, or one made with :func:`primitive`.
    vjp : callable
        ``vjp(argnums, g, y, *args, **kwargs)`` returns a list with the gradient for each position
        in ``argnums``: the arguments whose gradients are asked for.  For what they share, such as
        the solution of an adjoint equation, which is then computed once.
    argnums : sequence of int, optional
        Which positional arguments have a derivative; by default all of them.
    selects, branch
        As in :func:`defvjp`.

    Examples
    --------
    >>> import tinygrad_lab as tl
    >>> total = tl.primitive(lambda *arrays: sum(arrays))
    >>> tl.defvjp_joint(total, lambda argnums, g, y, *arrays: [g for _ in argnums])
    >>> tl.grad(lambda x: total(x, x, x))(1.0)
    array(3.)
    """
    _refuse_in_place(op)
    rules: Sequence[Any] = _Variadic(lambda argnum, *call, **kw: vjp([argnum], *call, **kw)[0])
    if argnums is not None:
        rules = tuple(rules[i] if i in argnums else None for i in range(max(argnums) + 1))
    OPERATIONS[op] = Operation(
        rules, joint=vjp, selects=selects, branch=branch, lists=_takes_lists(op)
    )


def together(op: Op, joint: Op) -> None:
    """Add to an operation with rules a joint one that saves work, as for :func:`defvjp_joint`."""
    OPERATIONS[op] = replace(OPERATIONS[op], joint=joint)


def defvjp_variadic(op: Op, vjp: Op, *, selects: bool = False) -> None:
    """Give an operation of any number of arguments one rule, ``vjp(argnum, g, y, *args, **kw)``.

    It is called once for each argument: where there are many, :func:`defvjp_joint` is cheaper.

    Examples
    --------
    >>> import tinygrad_lab as tl
    >>> total = tl.primitive(lambda *arrays: sum(arrays))
    >>> tl.defvjp_variadic(total, lambda argnum, g, y, *arrays: g)
    >>> tl.grad(lambda x: total(x, x, x))(1.0)
    array(3.)
    """
    _refuse_in_place(op)
    OPERATIONS[op] = Operation(_Variadic(vjp), selects=selects, lists=_takes_lists(op))


def _takes_lists(op: Op) -> bool:
    """Whether an operation takes lists of arrays, as one that is not NumPy's may."""
    if op in OPERATIONS:
        return OPERATIONS[op].lists
    numpys = isinstance(op, np.ufunc) or qualified_name(op).startswith("np.")
    return bool(getattr(op, "takes_lists", not numpys))


class _Variadic(Sequence[Rule]):
    """The rules of an operation with any number of arguments, from one that is told which."""

    def __init__(self, vjp: Op) -> None:
        self._vjp = vjp

    def __getitem__(self, argnum: Any) -> Any:
        return functools.partial(self._vjp, argnum)

    def __len__(self) -> int:
        return sys.maxsize


def _refuse_in_place(op: Op) -> None:
    if op in OPERATIONS and OPERATIONS[op].in_place:
        raise TypeError(
            f"{qualified_name(op)} writes into its argument, and tensors are values: it cannot "
            "have a derivative"
        )


def composed(
    *ops: Op, by: Collection[int | str] = (), lists: bool = False, always: bool = False
) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Decorate what is called in place of ``ops`` when a tracked tensor arrives: it needs no rule.

    Parameters
    ----------
    *ops : callable
        NumPy functions, or operations made with :func:`primitive`.
    by : collection of str
        The parameters that it has a derivative by, the first alone if none is named.  A tracked
        tensor in any other is refused; all others arrive there as plain arrays.
    lists : bool
        It takes lists of arrays, as ``np.concatenate`` does; to others a list is an array.
    always : bool
        It is called for plain values too, where else NumPy's own function is.

    Examples
    --------
    >>> import numpy as np, tinygrad_lab as tl
    >>> @tl.operations.composed(np.fliplr)
    ... def fliplr(m):
    ...     return np.flip(m, 1)
    """

    def declare(composition: Callable[P, T]) -> Callable[P, T]:
        names: set[int | str] = {*(by or [_parameter(composition, 0)])}
        names |= {i for i in range(4) if _parameter(composition, i) in names}  # found at once
        mine = Operation(composition=composition, by=frozenset(names), lists=lists, always=always)
        OPERATIONS.update(dict.fromkeys(ops, mine))
        return composition

    return declare


def constant(*ops: Op) -> None:
    """Declare functions that are piecewise constant or not of floats: never recorded."""
    OPERATIONS.update(dict.fromkeys(ops, Operation(constant=True)))


def refused(reason: str, *ops: Op, in_place: bool = False) -> None:
    """Declare functions that refuse tracked tensors, saying why and what to do.

    Those that write in place refuse every tensor: somebody else may hold its values.
    """
    OPERATIONS.update(dict.fromkeys(ops, Operation(refusal=reason, in_place=in_place)))


def no_array(*ops: Op) -> None:
    """Declare functions of sizes, types, text or files, which take no array of floats."""
    OPERATIONS.update(dict.fromkeys(ops, Operation(no_array=True)))


@contextmanager
def planted(
    op: Op, *vjps: Rule | None, argnums: Sequence[int] | None = None, variadic: Op | None = None
) -> Iterator[None]:
    """Give an operation other rules inside a ``with`` block, in graphs recorded before too.

    Afterwards the former record is restored, unless somebody declared the operation anew inside.
    ``vjps`` are as for :func:`defvjp`, but that with ``argnums`` the other arguments keep theirs;
    ``variadic`` is one rule as for :func:`defvjp_variadic`.

    Examples
    --------
    >>> import numpy as np, tinygrad_lab as tl
    >>> with tl.operations.planted(np.sin, lambda g, y, x: -g * np.cos(x)):
    ...     float(tl.grad(np.sin)(0.0))
    -1.0
    """
    _refuse_in_place(op)
    before = OPERATIONS.get(op)
    known = before or Operation()
    rules: Sequence[Any] = vjps if variadic is None else _Variadic(variadic)
    if argnums is not None:
        others = dict(zip(argnums, vjps, strict=True))
        rules = tuple(others.get(i, vjp) for i, vjp in enumerate(known.vjps))
    mine = Operation(
        rules, selects=known.selects, branch=known.branch,
        degenerate=known.degenerate, lists=_takes_lists(op),
    )  # fmt: skip
    OPERATIONS[op] = mine
    try:
        yield
    finally:
        if OPERATIONS.get(op) is mine:
            del OPERATIONS[op]
            if before is not None:
                OPERATIONS[op] = before


# ---------------------------------------------------------------------------------------------
# Operations that NumPy does not have

#: Classes of arrays that all of NumPy's functions take, and whose values are at hand.
NUMPYS: set[type] = {np.ndarray}


def in_numpy(x: Any) -> Any:
    """Make an array NumPy's own; CuPy only hands its arrays over when it is told to."""
    try:
        return np.asarray(x)
    except TypeError:
        if not hasattr(x, "get"):
            raise
        return x.get()


#: Types that take every primitive without being asked, and what they call with the operation, its
#: arguments, and its body.
TAKES: dict[type, Op] = {}
#: Those of them that are tensors: an array in ``.data``, and the call that made it in ``.node``.
TENSORS: set[type] = set()
#: The types of arguments that no function need put in order.
IN_ORDER: set[type] = {np.ndarray, NoneType}


class Primitive:
    """Stands among the types of a dispatched call, as NumPy's protocol asks of every stranger.

    An array class that does not know this type declines the call (NEP 18), and sees the body's own
    NumPy calls instead of guessing, from a name, what the operation does.
    """


def primitive(body: Callable[P, T]) -> Callable[P, T]:
    """Make an operation that NumPy does not have, from its computation on plain arrays.

    It dispatches as a NumPy function does: an argument whose type defines ``__array_function__``
    is offered the call, and when all decline, the body runs: on ndarrays it is a plain function.
    Give it its derivative with :func:`defvjp`.

    Examples
    --------
    >>> import numpy as np, tinygrad_lab as tl
    >>> @tl.primitive
    ... def softplus(x):
    ...     return np.logaddexp(0.0, x)
    >>> tl.defvjp(softplus, lambda g, y, x: g * tl.sigmoid(x))
    >>> softplus(np.array([0.0])), tl.grad(softplus)(0.0)
    (array([0.69314718]), array(0.5))
    """
    words: Mapping[str, str] = getattr(body, "words", {})  # other names of its arguments
    on_arrays: Op = getattr(body, "on_arrays", body)  # the same, for arguments that are in order

    @functools.wraps(body)
    def operation(*args: P.args, **kwargs: P.kwargs) -> T:
        if kwargs and not words.keys().isdisjoint(kwargs):
            kwargs = renamed(body, words, kwargs)  # type: ignore[assignment]
        for arg in (*args, *kwargs.values()) if kwargs else args:
            kind = type(arg)
            if kind is np.ndarray:
                continue
            if take := TAKES.get(kind) or _taker(arg):
                is_in_order = not kwargs and IN_ORDER.issuperset(map(type, args))
                result: T = take(operation, args, kwargs, on_arrays if is_in_order else body)
                return result
        return body(*args, **kwargs)

    return operation


def renamed(op: Op, words: Mapping[str, str], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Give arguments the names that an operation knows, where ``words`` has others for them."""
    own = {words.get(name, name): value for name, value in kwargs.items()}
    if len(own) < len(kwargs):
        raise TypeError(f"{name_of(op)}({', '.join(kwargs)}): two of these are one argument")
    return own


def _taker(value: Any) -> Op | None:
    """Find what takes a primitive with such an argument, or with a list that holds one."""
    kind = type(value)
    if isinstance(value, (list, tuple)):
        return next(filter(None, map(_taker, value)), None)
    if take := TAKES.get(kind):
        return take
    is_foreign = kind is not np.ndarray and hasattr(kind, "__array_function__")
    return _offered if is_foreign else None


def _offered(operation: Op, args: tuple[Any, ...], kwargs: dict[str, Any], body: Op) -> Any:
    """Offer the call to others, and compute it if all decline."""
    result = _offer(operation, args, kwargs)
    return body(*args, **kwargs) if result is NotImplemented else result


def _members(value: Any) -> Iterator[Any]:
    """Give an argument, or of a list what is in it."""
    if not isinstance(value, (list, tuple)):
        yield value
        return
    for item in value:
        yield from _members(item)


def _offer(operation: Op, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Offer the call to each array type among the arguments, subclasses first (NEP 18)."""
    takers: list[Any] = []
    for arg in _members((*args, *kwargs.values())):
        kind, asked = type(arg), [type(taker) for taker in takers]
        if kind is np.ndarray or kind in asked or not hasattr(kind, "__array_function__"):
            continue
        later = [i for i, other in enumerate(asked) if issubclass(kind, other)]
        takers.insert(later[0] if later else len(takers), arg)
    types = (*(type(taker) for taker in takers), Primitive)
    for taker in takers:
        result = taker.__array_function__(operation, types, args, kwargs)
        if result is not NotImplemented:
            return result
    return NotImplemented
