"""A call to be checked, and what its arrays are drawn from: numbers, shapes, axes.

Not for: which calls an operation has (``catalogue``), or what users draw from (``strategies.py``).
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any

import numpy as np
from hypothesis import strategies as st

Array = Any
Shape = tuple[int, ...]
Strategy = st.SearchStrategy

# Hypothesis looks at each strategy before the first draw from it, which takes longer than the draw:
# those that many examples draw from are remembered.
_cached = functools.lru_cache(512)


class Call:
    """One call: ``f(*arrays)``, and how to read it in a failure report."""

    def __init__(self, text: str, f: Callable[..., Array], arrays: Sequence[Array]) -> None:
        self.text = text
        self.f = f
        self.arrays = tuple(arrays)

    def __repr__(self) -> str:
        inputs = "\n".join(f"    {a!r}, shape {np.shape(a)}" for a in self.arrays)
        return f"{self.text} of\n{inputs}"


def call(op: Any, arrays: Sequence[Array], *args: Any, **kwargs: Any) -> Call:
    """``op(*arrays, *args, **kwargs)``."""
    operands = ["x"] * len(arrays) + [repr(a) for a in args]
    operands += [f"{key}={value!r}" for key, value in kwargs.items()]
    f = lambda *xs: op(*xs, *args, **kwargs)
    return Call(f"{op.__name__}({', '.join(operands)})", f, arrays)


def length_along(call: Call, axis: int) -> int:
    """Give the length of an axis that all arrays of a call share, or 0 where they differ."""
    lengths = {x.shape[axis] for x in call.arrays if np.ndim(x) > axis}
    return lengths.pop() if len(lengths) == 1 else 0


def without(call: Call, axis: int, start: int, stop: int) -> Call:
    """The same call without some elements along an axis that all its arrays share."""
    outside = np.r_[0:start, stop : length_along(call, axis)]
    shorter = [np.take(x, outside, axis) if np.ndim(x) > axis else x for x in call.arrays]
    return Call(call.text, call.f, shorter)


def grid(low: float, high: float, away: Sequence[float] = (), offset: float = 0.0) -> list[float]:
    """Quarters from ``low`` to ``high``, moved by ``offset``, none within 1/5 of ``away``.

    Coarse, so that what fails shrinks to something readable, away from kinks and poles.
    """
    quarters = np.arange(np.ceil(low * 4), np.floor(high * 4) + 1) / 4 + offset
    allowed = [x for x in map(float, quarters) if all(abs(x - point) >= 0.2 for point in away)]
    return sorted(allowed, key=abs)  # Hypothesis shrinks towards the first


ONE_BY_ONE = 64  # up to so many elements, each is drawn, and made small, by itself
EVERYWHERE = grid(-3, 3)
ENOUGH = grid(-3.75, 3.75)  # for 27 elements, all different
NOT_ZERO = grid(-3, 3, away=[0])
EIGHTHS = grid(-3, 3, offset=1 / 8)  # never equal to, nor near, a quarter
HALVES = [n + 0.5 for n in (0, -1, 1, -2, 2, -3, 3)]  # no whole multiple of 1 or 2 is near


@st.composite
def arrays(
    draw: Any, shape: Shape, values: Sequence[float] = EVERYWHERE, unique: bool = False
) -> Array:
    """An array of ``shape`` with elements from ``values``; of very many, only a seed is drawn."""
    n = int(math.prod(shape))  # a side may be an integer of NumPy's
    if n > ONE_BY_ONE and not unique:
        generator = np.random.default_rng(draw(st.integers(0, 2**16)))
        return generator.choice(np.array(values, dtype=float), shape)
    elements = _elements(np.array(values, dtype=float).tobytes(), n, unique)
    return np.array(draw(elements), dtype=float).reshape(shape)


@_cached
def _elements(values: bytes, n: int, unique: bool) -> Strategy[list[float]]:
    """So many numbers out of some: their bytes, for ``-0.0`` is another number than ``0.0``."""
    each = st.sampled_from(np.frombuffer(values).tolist())
    return st.lists(each, min_size=n, max_size=n, unique=unique)


# ---------------------------------------------------------------------------------------------
# Degenerate shapes, which come seldom and break rules that are otherwise right

LENGTHS = {"zero-size": 0, "axis of length one": 1}

#: Whether a shape is one of those, by what they are called.
DEGENERATE: dict[str, Callable[[Shape], bool]] = {
    "0-d": lambda shape: shape == (),
    "zero-size": lambda shape: 0 in shape,
    "axis of length one": lambda shape: 1 in shape,
}
_MOSTLY: ContextVar[str] = ContextVar("mostly", default="")
degenerate_kind = _MOSTLY.get  #: The kind that is asked for now, or nothing.


@contextlib.contextmanager
def mostly(kind: str) -> Iterator[None]:
    """Draw degenerate shapes of one kind, wherever shapes can be chosen."""
    before = _MOSTLY.set(kind)
    try:
        yield
    finally:
        _MOSTLY.reset(before)


def is_degenerate(call: Call, kind: str) -> bool:
    """Whether an array of a call has such a shape."""
    floats = [x for x in call.arrays if isinstance(x, np.ndarray) and x.dtype.kind == "f"]
    return any(DEGENERATE[kind](x.shape) for x in floats)


def degenerate_versions(
    listed: Sequence[tuple[Shape, ...]], never: Sequence[str] = ()
) -> Sequence[tuple[Shape, ...]]:
    """Of some tuples of shapes those of the kind that is asked for, or else such made of them."""
    kind = degenerate_kind()
    if not kind or kind in never:
        return listed
    if degenerate := [sides for sides in listed if any(map(DEGENERATE[kind], sides))]:
        return degenerate
    if kind == "0-d":
        return [((),) * len(listed[0])]
    n = LENGTHS[kind]
    return [
        tuple(tuple(n if m == old else m for m in side) for side in sides)
        for sides in listed
        for old in sorted({m for side in sides for m in side})
    ]


# ---------------------------------------------------------------------------------------------
# Shapes and axes

SIDES = [2, 3, 3, 2, 1, 2, 3, 1, 3, 2, 3, 2, 1, 3, 2, 0]
NDIMS = [1, 2, 0, 3, 2, 3, 2, 1, 3, 2]


@_cached
@st.composite
def _any_shape(draw: Any, least: int = 0, most: int = 3, smallest: int = 0) -> Shape:
    ndim = draw(_among(tuple(n for n in NDIMS if least <= n <= most)))
    side = _among(tuple(n for n in SIDES if n >= smallest))
    return tuple(draw(side) for _ in range(ndim))


@_cached
def _among(numbers: tuple[int, ...]) -> Strategy[int]:
    return st.sampled_from(numbers)


@_cached
@st.composite
def shapes(draw: Any, least: int = 0, most: int = 3, smallest: int = 0) -> Shape:
    """Shapes of 0-d to 3-d with sides equal and distinct, of length one, and (seldom) zero."""
    kind = degenerate_kind()
    if kind == "0-d" and least == 0:
        return ()
    if kind not in LENGTHS or most == 0:
        return draw(_any_shape(least, most, smallest))
    shape = draw(_any_shape(max(least, 1), most, smallest))
    return _with_length(shape, draw(st.integers(0, len(shape) - 1)), LENGTHS[kind])


def _with_length(shape: Shape, axis: int, n: int) -> Shape:
    return (*shape[:axis], n, *shape[axis + 1 :])


@_cached
def narrowed(shape: Shape) -> Strategy[Shape]:
    """Shapes that broadcast to ``shape``: leading axes dropped, some sides 1."""
    sides = st.tuples(*[st.sampled_from([n, n, 1]) for n in shape])
    dropped = st.sampled_from([0, 0, *range(len(shape) + 1)])
    return st.tuples(sides, dropped).map(lambda pair: pair[0][pair[1] :])


@_cached
@st.composite
def broadcasting(draw: Any, number: int) -> tuple[Shape, ...]:
    """Several shapes that broadcast together; about half of the time one is the full shape.

    Where operands of no axes, or of axes of length one, are asked for, they meet full ones.
    """
    kind = degenerate_kind() if number > 1 else ""
    whole = draw(shapes() if kind in ("", "zero-size") else _any_shape(1, 3, 2))
    parts = [draw(narrowed(whole)) for _ in range(number)]
    one = draw(st.integers(0, number - 1))
    if kind == "0-d":
        parts[one] = ()
    elif kind == "axis of length one":
        parts[one] = _with_length(whole, draw(st.integers(0, len(whole) - 1)), 1)
        parts[one - 1] = whole
    elif draw(st.booleans()):
        parts[one] = whole
    return tuple(parts)


@_cached
def any_axis(ndim: int) -> Strategy[int]:
    """An axis, from the front or from the back."""
    return st.integers(-ndim, ndim - 1)


@_cached
@st.composite
def axes(draw: Any, ndim: int) -> Any:
    """None, an int, a negative int, or a tuple in any order and of mixed signs."""
    kind = draw(st.sampled_from(["none", "one", "several", "several"]))
    if kind == "none" or ndim == 0:
        return None
    if kind == "one":
        return draw(any_axis(ndim))
    order = draw(st.permutations(range(ndim)))[: draw(st.integers(0, ndim))]
    return tuple(a - ndim if draw(st.booleans()) else a for a in order)
