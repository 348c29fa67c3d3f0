"""Hypothesis strategies for what gradients are tested on.

Not for: calls of particular operations (``catalogue``).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from tinygrad_lab.testing.inputs import calls, kinds
from tinygrad_lab.testing.inputs.calls import Shape
from tinygrad_lab.testing.inputs.kinds import InputKind
from tinygrad_lab.testing.judging.properties.form import layouts_of

__all__ = [
    "SPECIAL", "Axes", "Domain", "Graph", "at_kinks", "axes", "broadcastable", "extremes", "graphs",
    "integers_exact", "layouts", "long", "near_ties", "tensors", "upstreams",
]  # fmt: skip

Array = NDArray[Any]

#: Where derivatives go wrong: zeros, ties, saturation.
SPECIAL = (0.0, 1.0, -1.0, 2.0, 1000.0, -1000.0)


@dataclass(frozen=True)
class Domain:
    """An interval that inputs are taken from, and points that they keep away from.

    Raises
    ------
    ValueError
        There is nothing between its ends.

    Examples
    --------
    >>> Domain(-1, 1, away=[0]).values
    [-0.25, 0.25, -0.5, 0.5, -0.75, 0.75, -1.0, 1.0]
    """

    low: float = -3.0
    high: float = 3.0
    away: Sequence[float] = ()

    def __post_init__(self) -> None:
        """Refuse an interval with nothing in it."""
        if not self.low < self.high:
            raise ValueError(f"Domain({self.low}, {self.high}): the lower end comes first")

    @property
    def values(self) -> list[float]:
        """The numbers inputs are made of, quarters or finer, the simplest first."""
        if self.high - self.low >= 1:
            return calls.grid(self.low, self.high, self.away)
        points = np.linspace(self.low, self.high, 17)
        near = (self.high - self.low) / 20
        allowed = [float(p) for p in points if all(abs(p - a) > near for a in self.away)]
        return sorted(allowed, key=abs)

    def inside(self, numbers: Iterable[float]) -> list[float]:
        """Select the numbers that lie in it, and not near what they are to keep away from."""
        near = min(0.2, (self.high - self.low) / 20)
        return [
            x
            for x in numbers
            if self.low <= x <= self.high and all(abs(x - a) >= near for a in self.away)
        ]


EVERYWHERE = Domain(-math.inf, math.inf)


@dataclass(frozen=True)
class _Request:
    """What a user asked for: how many arrays, of which shapes, with which numbers."""

    number: int
    broadcast: bool
    shape: Shape | None
    domain: Domain | None  # None where nothing was said: ordinary numbers, and any others
    unique: bool = False

    @functools.cached_property
    def grid(self) -> list[float]:
        return (self.domain or Domain()).values

    @functools.cached_property
    def fine(self) -> list[float]:
        domain = self.domain or Domain()
        return domain.inside(kinds.thousandths(domain.low, domain.high))


def tensors(
    number: int = 1,
    *,
    broadcast: bool = False,
    shape: Shape | None = None,
    domain: Domain | None = None,
    unique: bool = False,
) -> st.SearchStrategy[tuple[Array, ...]]:
    """Tuples of float64 arrays, of one shape or of shapes that broadcast.

    In ``check_op`` and ``gradtest`` they are also large, tiny, long, of many axes, and near the
    numbers that stand in the code of what is checked; but never outside of ``domain``, nor of
    another ``shape``.

    Parameters
    ----------
    number : int
        How many arrays.
    broadcast : bool
        Let their shapes differ, where they broadcast together.
    shape : tuple of int, optional
        The shape of all of them; by default any with up to three axes.
    domain : Domain, optional
        Where the values lie; by default -3 to 3.  Three of four arrays are of quarters, which read
        well, the others of numbers in between.
    unique : bool
        No two elements of an array are equal: no ties.

    Examples
    --------
    >>> strategy = tensors(2, broadcast=True, domain=Domain(0, 1))
    """
    return _numbered(number, _requested(_Request(number, broadcast, shape, domain, unique)))


#: How many arrays a strategy gives, where it is one of these and nothing was made of it.
_NUMBERS: WeakKeyDictionary[st.SearchStrategy[Any], int] = WeakKeyDictionary()
number_of = _NUMBERS.get


def _numbered(
    number: int, strategy: st.SearchStrategy[tuple[Array, ...]]
) -> st.SearchStrategy[tuple[Array, ...]]:
    _NUMBERS[strategy] = number
    return strategy


_ONE_IN_FOUR = st.sampled_from((False, False, False, True))


@st.composite
def _requested(draw: Any, request: _Request) -> tuple[Array, ...]:
    """Draw what was asked for, of the kind that is wanted now where it may be of that kind."""
    kind = kinds.wanted()
    if kind is None or not _allows(request, kind):
        fine = request.fine if draw(_ONE_IN_FOUR) else request.grid
        sides = draw(_sides(request))
        return tuple(draw(calls.arrays(s, fine, unique=request.unique)) for s in sides)
    kind.met = True
    return draw(_of_kind(request, kind))


def _allows(request: _Request, kind: InputKind) -> bool:
    """Whether arrays may be of a kind, as far as the user fixed their shape and values."""
    if kind.shapes and request.shape is not None and not kind.sweep:
        return False
    if request.unique and kind.arranged == "equal":
        return False
    return not kind.numbers or bool((request.domain or EVERYWHERE).inside(_both_signs(kind)))


def _both_signs(kind: InputKind) -> list[float]:
    return [y for x in kind.numbers for y in ((x, -x) if kind.signed else (x,))]


@st.composite
def _of_kind(draw: Any, request: _Request, kind: InputKind) -> tuple[Array, ...]:
    """Draw arrays of a kind: all of them, or, where there are several, perhaps only one."""
    shapes = kind.shapes if request.shape is None else ()
    sides = draw(_sides(request, shapes))
    only = draw(st.integers(-1, len(sides) - 1)) if len(sides) > 1 else -1
    drawn = []
    for i, side in enumerate(sides):
        if kind.sweep:
            drawn.append(_swept(request, side, draw(st.booleans()) and i > 0))
        elif only in (-1, i):
            drawn.append(draw(_arranged(request, kind, side)))
        else:
            drawn.append(draw(calls.arrays(side, request.grid, unique=request.unique)))
    return tuple(drawn)


def _swept(request: _Request, side: Shape, backwards: bool) -> Array:
    """Cover the domain, from one end to the other."""
    domain = request.domain or Domain(*kinds.WIDE)
    n = math.prod(side)
    points = kinds.sweep(domain.low, domain.high, n) if n else []
    allowed = domain.inside(points) or domain.values
    values = np.resize(np.array(allowed[::-1] if backwards else allowed), n)
    return values.reshape(side)


@st.composite
def _signs(draw: Any, domain: Domain, kind: InputKind, side: Shape) -> tuple[Array, list[float]]:
    """Draw signs, and the numbers that lie in the domain with them: both in turn, or one."""
    both = (-1.0) ** np.arange(math.prod(side)).reshape(side)
    positive, negative = domain.inside(kind.numbers), domain.inside([-x for x in kind.numbers])
    either = [x for x in positive if -x in negative]
    versions = ((both, either), (np.ones(side), positive), (-np.ones(side), [-x for x in negative]))
    return draw(st.sampled_from([version for version in versions if version[1]]))


@st.composite
def _arranged(draw: Any, request: _Request, kind: InputKind, side: Shape) -> Array:
    domain = request.domain or EVERYWHERE
    numbers: Sequence[float] = domain.inside(kind.numbers) if kind.numbers else request.grid
    signs = np.ones(side)
    if kind.numbers and kind.signed:
        signs, numbers = draw(_signs(domain, kind, side))
    size = math.prod(side)
    if kind.arranged == "equal":
        return np.full(side, draw(st.sampled_from(numbers)) * (signs.flat[0] if size else 1.0))
    if request.unique and len(set(numbers)) < size:
        numbers, signs = request.grid, np.ones(side)
    drawn = draw(calls.arrays(side, numbers, unique=request.unique)) * signs
    if kind.arranged and drawn.ndim:
        drawn = np.sort(drawn)
        drawn = drawn[..., ::-1].copy() if kind.arranged == "falling" else drawn
    return np.asarray(drawn)


@st.composite
def _sides(draw: Any, request: _Request, wholes: Sequence[Shape] = ()) -> list[Shape]:
    """Draw the shapes of all arrays."""
    if request.shape is not None:
        return [request.shape] * request.number
    if not wholes:
        if request.broadcast:
            return list(draw(calls.broadcasting(request.number)))
        return [draw(calls.shapes())] * request.number
    whole = draw(st.sampled_from(wholes))
    if not request.broadcast or request.number == 1:
        return [whole] * request.number
    narrow = draw(st.integers(-1, request.number - 1))  # which one is stretched, if any
    return [draw(calls.narrowed(whole)) if i == narrow else whole for i in range(request.number)]


def broadcastable(
    number: int = 2, domain: Domain | None = None
) -> st.SearchStrategy[tuple[Array, ...]]:
    """Tuples of arrays of different shapes that broadcast together."""
    return tensors(number, broadcast=True, domain=domain)


@dataclass(frozen=True)
class Axes:
    """Axes of whatever array comes first; ``gradtest`` draws them when it knows its shape."""

    several: bool = True

    def of(self, ndim: int) -> st.SearchStrategy[Any]:
        """Give the axes of an array with so many of them."""
        if self.several:
            return calls.axes(ndim)
        return calls.any_axis(ndim) if ndim else st.none()


def axes(ndim: int | None = None, several: bool = True) -> Any:
    """None, an axis from the front or from the back, a tuple of them in any order.

    Without ``ndim``, those of the first input of a ``gradtest``.
    """
    return Axes(several) if ndim is None else Axes(several).of(ndim)


def upstreams(shape: Shape) -> st.SearchStrategy[Array]:
    """Upstream gradients of either sign, zeros among them."""
    return calls.arrays(shape, [1.0, -1.0, 0.5, -2.0, 0.0, 3.0])


def layouts(x: Array) -> st.SearchStrategy[Array]:
    """The same values in any memory layout: C, Fortran, with gaps, reversed."""
    return st.sampled_from(layouts_of(np.asarray(x)))


def integers_exact(
    number: int = 1, *, broadcast: bool = False, shape: Shape | None = None
) -> st.SearchStrategy[tuple[Array, ...]]:
    """Arrays of small whole numbers, on which linear operations make no rounding error."""
    whole = [float(n) for n in (0, 1, -1, 2, -2, 3, -3, 4, -4)]
    return _numbered(number, _of_numbers(_Request(number, broadcast, shape, None), whole))


def at_kinks(
    number: int = 1, *, broadcast: bool = False, shape: Shape | None = None
) -> st.SearchStrategy[tuple[Array, ...]]:
    """Arrays of few special values: zeros, ties within and between arrays, saturation."""
    return _numbered(number, _of_numbers(_Request(number, broadcast, shape, None), SPECIAL))


@st.composite
def _of_numbers(draw: Any, request: _Request, numbers: Sequence[float]) -> tuple[Array, ...]:
    sides = draw(_sides(request))
    return tuple(draw(calls.arrays(s, numbers)) for s in sides)


def extremes(
    number: int = 1,
    *,
    broadcast: bool = False,
    shape: Shape | None = None,
    domain: Domain | None = None,
) -> st.SearchStrategy[tuple[Array, ...]]:
    """Arrays of large and small numbers, 1e-307 to 1e308, of one size or of many, and zeros.

    Examples
    --------
    >>> strategy = extremes(2, shape=(3,), domain=Domain(0, 1e6))
    """
    sizes = [kind for name in kinds.SIZES for kind in kinds.sized(name)]
    others = [k for k in kinds.plan() if k.name in ("of many sizes", "zeros of both signs")]
    return _one_of(_Request(number, broadcast, shape, domain), [*sizes, *others])


def near_ties(
    number: int = 1,
    *,
    broadcast: bool = False,
    shape: Shape | None = None,
    domain: Domain | None = None,
) -> st.SearchStrategy[tuple[Array, ...]]:
    """Arrays whose elements are equal, or apart by an ulp, 1e-12, 1e-9, 1e-6 or 1e-3.

    Examples
    --------
    >>> strategy = near_ties(shape=(4,))
    """
    near = [k for k in kinds.plan() if k.name in ("close neighbours", "equal")]
    return _one_of(_Request(number, broadcast, shape, domain), near)


def long(
    number: int = 1, *, broadcast: bool = False, domain: Domain | None = None
) -> st.SearchStrategy[tuple[Array, ...]]:
    """Arrays with an axis of 33, 129 or 1025 elements, longer than most blocks.

    Examples
    --------
    >>> strategy = long(2, broadcast=True)
    """
    lengths = [k for k in kinds.plan() if k.name == "long"]
    return _one_of(_Request(number, broadcast, None, domain), lengths)


def _one_of(
    request: _Request, choices: Sequence[InputKind]
) -> st.SearchStrategy[tuple[Array, ...]]:
    allowed = [kind for kind in choices if _allows(request, kind)]
    if not allowed:
        raise ValueError(f"{request.domain} holds none of these numbers")
    strategy = st.sampled_from(allowed).flatmap(lambda kind: _of_kind(request, kind))
    return _numbered(request.number, strategy)


_OPERATIONS: dict[str, Callable[..., Any]] = {
    "add": lambda a, b: a + b,
    "multiply": lambda a, b: a * b,
    "subtract": lambda a, b: a - b,
    "sin": lambda a, b: np.sin(a),
    "tanh": lambda a, b: np.tanh(a),
    "square": lambda a, b: np.tanh(a) ** 2,
    "transpose": lambda a, b: a.T @ b if a.ndim == 2 else a * b,
    "mean": lambda a, b: a.mean(axis=0) + b,
    "pick": lambda a, b: a[..., [1, 0, 0]] * 2.0,
}


@dataclass(frozen=True)
class Graph:
    """A random composite function of some inputs: a list of operations on earlier results.

    Operands are named by how far back they lie, so that the list stays valid whichever of its
    items are deleted: that is how it shrinks.
    """

    records: tuple[tuple[str, int, int], ...]
    __name__: str = "graph"

    def __call__(self, *inputs: Any) -> Any:
        """Compute one number of everything that was made."""
        values = list(inputs)
        for name, i, j in self.records:
            a, b = values[-1 - i % len(values)], values[-1 - j % len(values)]
            values.append(_OPERATIONS[name](a, b))
        return sum((np.tanh(v).sum() for v in values[1:]), np.tanh(values[0]).sum())


def graphs(most: int = 12) -> st.SearchStrategy[Graph]:
    """Functions of arrays of shape (3, 3) with fan-out, reuse and dead ends."""
    record = st.tuples(st.sampled_from(list(_OPERATIONS)), st.integers(0, 5), st.integers(0, 5))
    return st.lists(record, max_size=most).map(lambda records: Graph(tuple(records)))
