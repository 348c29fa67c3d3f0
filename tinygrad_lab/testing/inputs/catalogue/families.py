"""Families of calls: what the rows of the catalogue's tables are written with.

A family is told of an operation and gives a strategy of its calls; ``unary(0.5, 4)`` is one, and so
:func:`table` makes of ``{(np.sqrt, np.log): unary(0.5, 4)}`` the cases of both.

Not for: the rows (the modules beside this one), or shapes and numbers (``calls.py``).
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from tinygrad_lab.testing.inputs.calls import (
    ENOUGH, EVERYWHERE, Call, Shape, Strategy, any_axis, arrays, axes, broadcasting, call,
    degenerate_versions, grid, narrowed, shapes,
)  # fmt: skip

Cases = dict[Any, Strategy[Call]]
Family = Callable[[Any], Strategy[Call]]
Options = Sequence[dict[str, Any]]
NONE: Options = [{}]

NUMPY = np.lib.NumpyVersion(np.__version__)  # what some options are newer than the oldest of


def family(draw_call: Callable[..., Call]) -> Callable[..., Family]:
    """Make of ``f(draw, op, ...)``, which draws one call, ``f(...)``, which gives a family."""
    strategy = st.composite(draw_call)

    @functools.wraps(draw_call)
    def settings(*args: Any, **kwargs: Any) -> Family:
        return lambda op: strategy(op, *args, **kwargs)

    return settings


def table(rows: Mapping[Any, Any]) -> Cases:
    """Give each operation its strategy of calls: of one family, or of any of several.

    A key is an operation, several of them in a tuple, or the name of one that not every NumPy has.
    The value of an old name is the operation of a row before, which NumPy calls in its place.
    """
    cases: Cases = {}
    for key, value in rows.items():
        families = value if isinstance(value, list) else [value]
        for named in key if isinstance(key, tuple) else (key,):
            op = getattr(np, named, None) if isinstance(named, str) else named
            if op is not None:
                is_old = families[0] in cases
                cases[op] = cases[value] if is_old else st.one_of([of(op) for of in families])
    return cases


# ---------------------------------------------------------------------------------------------
# Calls by a list of shapes and a list of options


@family
def variants(
    draw: Any,
    op: Callable[..., Any],
    sides: Sequence[tuple[Shape, ...]],
    options: Options = NONE,
    *,
    values: Sequence[float] = ENOUGH,
    unique: bool = False,
    through: Any = (),
    never: Sequence[str] = (),
) -> Call:
    """``op(*arrays, **kwargs)``: arrays of one of the ``sides``, with one of the ``options``.

    ``through`` is a function, or several from the outside in, that stands between: it is called
    as ``through(op, *arrays, **kwargs)``, and calls ``op`` with arguments of its own.
    ``never`` names the kinds of degenerate shapes that have no value, or none that depends on it.
    """
    chosen = draw(st.sampled_from(degenerate_versions(sides, never)))
    kwargs = draw(st.sampled_from(options))
    operands = [draw(arrays(side, values, unique=unique)) for side in chosen]
    f = op
    for layer in reversed([through] if callable(through) else through):
        f = functools.partial(layer, f)
    return Call(call(op, operands, **kwargs).text, lambda *x: f(*x, **kwargs), operands)


def each(**choices: Iterable[Any]) -> list[dict[str, Any]]:
    """Every combination of keyword arguments, the last one varying fastest."""
    combinations = itertools.product(*choices.values())
    return [dict(zip(choices, values, strict=True)) for values in combinations]


def in_a_row(op: Callable[..., Any], *x: Any, **kwargs: Any) -> Any:
    """All results of ``op``, one after the other, in one array."""
    return np.concatenate([np.ravel(part) for part in op(*x, **kwargs)])


def of_a_list(op: Callable[..., Any], *x: Any, **kwargs: Any) -> Any:
    """``op`` of its arguments as one list."""
    return op(list(x), **kwargs)


def of_complex(op: Callable[..., Any], x: Any, y: Any, **kwargs: Any) -> Any:
    """``op`` of x + i y, its real and its imaginary part in a row."""
    return in_a_row(lambda z: [np.real(z), np.imag(z)], op(x + 1j * y, **kwargs))


# ---------------------------------------------------------------------------------------------
# Elementwise operations


@family
def elementwise(draw: Any, op: Any, *domains: Sequence[float]) -> Call:
    """Operands of shapes that broadcast together, each with values from its own domain."""
    sides = draw(broadcasting(len(domains)))
    return call(op, [draw(arrays(s, d)) for s, d in zip(sides, domains, strict=True)])


def unary(low: float = -5, high: float = 5, away: Sequence[float] = ()) -> Family:
    """``op(x)`` for x in [low, high]."""
    return elementwise(grid(low, high, away))


def binary(a: Sequence[float] = EVERYWHERE, b: Sequence[float] = EVERYWHERE) -> Family:
    """``op(a, b)`` for operands that broadcast."""
    return elementwise(a, b)


def complex_too(options: Options = NONE) -> Family:
    """``op`` of complex arguments away from zero."""
    return variants([((2,), (2,))], options, values=grid(0.5, 2), through=of_complex)


# ---------------------------------------------------------------------------------------------
# Reductions and scans


@family
def reductions(
    draw: Any,
    op: Any,
    values: Sequence[float] = EVERYWHERE,
    *,
    unique: bool = False,
    empty: bool = True,
    where: bool = True,
    options: Mapping[str, Sequence[Any]] | None = None,
) -> Call:
    """``op`` over any axes, with or without ``keepdims``, a mask, and further options."""
    shape = draw(shapes(smallest=0 if empty else 1))
    axis = draw(axes(len(shape)))
    kwargs: dict[str, Any] = {"axis": axis} if axis is not None or draw(st.booleans()) else {}
    if draw(st.booleans()):
        kwargs["keepdims"] = draw(st.booleans())
    for key, choices in (options or {}).items():
        if draw(st.booleans()):
            kwargs[key] = draw(st.sampled_from(choices))
    counts = np.sum(np.ones(shape), axis=axis)
    if where and draw(st.integers(0, 3)) == 3:
        mask = draw(arrays(draw(narrowed(shape)), [1.0, 0.0])).astype(bool)
        kwargs["where"] = mask
        counts = np.sum(np.broadcast_to(mask, shape), axis=axis)
    degrees = counts - kwargs.get("ddof", kwargs.get("correction", 0))
    if not empty:  # what NumPy warns of, or refuses
        assume(np.all(degrees > 0))
    return call(op, [draw(arrays(shape, values, unique=unique))], **kwargs)


def extremes(**options: Sequence[Any]) -> Family:
    """Reductions of numbers that are all different, and of at least one."""
    return reductions(ENOUGH, unique=True, empty=False, where=False, options=options)


@family
def scans(draw: Any, op: Any) -> Call:
    """``op`` along one axis, or over all elements."""
    shape = draw(shapes())
    axis = draw(any_axis(len(shape))) if shape and draw(st.booleans()) else None
    return call(op, [draw(arrays(shape))], **({} if axis is None else {"axis": axis}))


def holed(of: Family) -> Family:
    """Calls of a family in which some elements are NaN, never all of a row."""
    return lambda op: _with_holes(of(op))


@st.composite
def _with_holes(draw: Any, calls: Any) -> Call:
    whole = draw(calls)
    (x,) = whole.arrays
    mask = np.zeros(x.shape, dtype=bool)
    if x.size > 1 and x.ndim and "axis=()" not in whole.text:
        holes = draw(st.lists(st.integers(0, x.size - 1), max_size=2))
        mask.ravel()[holes] = True
        if any(mask.all(axis=axis).any() for axis in range(x.ndim)) or x.size - mask.sum() < 2:
            mask[...] = False
    f = lambda x: whole.f(np.where(mask, np.nan, x))
    return Call(f"{whole.text} with NaN at\n{mask}", f, [x])


# ---------------------------------------------------------------------------------------------
# One array, and further arguments that depend on its shape


@family
def shaped(draw: Any, op: Any, further: Any, least: int = 0, unique: bool = False) -> Call:
    """``op(x, *args, **kwargs)``, where ``further(shape)`` is a strategy of (args, kwargs)."""
    shape = draw(shapes(least))
    args, kwargs = draw(further(shape))
    x = draw(arrays(shape, ENOUGH if unique else EVERYWHERE, unique))
    return call(op, [x], *args, **kwargs)


def keywords(**choices: Callable[[Shape], Strategy[Any]]) -> Any:
    """Any subset of some keyword arguments, each drawn from a strategy that knows the shape."""

    def further(shape: Shape) -> Strategy[Any]:
        optional = {key: strategy(shape) for key, strategy in choices.items()}
        return st.fixed_dictionaries({}, optional=optional).map(lambda kwargs: ((), kwargs))

    return further
