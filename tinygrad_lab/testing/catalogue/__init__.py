"""The catalogue: for each entry of the derivative table, how to generate calls of it.

One line adds an operation: ``CASES[np.sin] = unary(np.sin)``.  A case is a Hypothesis strategy of
:class:`Call`: float64 arrays, and a function of those arrays alone with everything else (axis,
index, mask, subscripts) settled.  The arrays lie on coarse grids, away from kinks and poles, so
that finite differences can judge; ``operations.py`` puts kinks, ties and zeros in their place.

Not for: what is checked of a call (``properties.py``).
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from tinygrad_lab.core.rules import creation, indexing, manipulation
from tinygrad_lab.core.rules.linalg import products as _products
from tinygrad_lab.core.rules.mathematical import elementwise as _elementwise

Array = Any
Shape = tuple[int, ...]
Strategy = st.SearchStrategy


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
    told = ["x"] * len(arrays) + [repr(a) for a in args]
    told += [f"{key}={value!r}" for key, value in kwargs.items()]
    f = functools.partial(_apply, op, args, kwargs)
    return Call(f"{op.__name__}({', '.join(told)})", f, tuple(arrays))


def _apply(op: Any, args: Any, kwargs: Any, *arrays: Any) -> Any:
    return op(*arrays, *args, **kwargs)


# ---------------------------------------------------------------------------------------------
# Numbers and shapes


def grid(low: float, high: float, away: Sequence[float] = (), offset: float = 0.0) -> list[float]:
    """Quarters from ``low`` to ``high``, moved by ``offset``, none within 1/5 of ``away``."""
    quarters = np.arange(np.ceil(low * 4), np.floor(high * 4) + 1) / 4 + offset
    near = [abs(quarters - point) < 0.2 for point in away]
    kept = quarters[~np.any(near, axis=0)] if near else quarters
    return sorted(map(float, kept), key=abs)  # Hypothesis shrinks towards the first


EVERYWHERE = grid(-3, 3)
ENOUGH = grid(-3.75, 3.75)  # for 27 elements, all different


@st.composite
def arrays(
    draw: Any, shape: Shape, values: Sequence[float] = EVERYWHERE, unique: bool = False
) -> Array:
    """An array of ``shape`` with elements from ``values``."""
    n = int(np.prod(shape, dtype=int))
    elements = st.lists(st.sampled_from(values), min_size=n, max_size=n, unique=unique)
    return np.array(draw(elements), dtype=float).reshape(shape)


SIDES = [2, 3, 3, 2, 1, 2, 3, 1, 3, 2, 3, 2, 1, 3, 2, 0]
NDIMS = [1, 2, 0, 3, 2, 3, 2, 1, 3, 2]


@st.composite
def _any_shape(draw: Any, least: int = 0, most: int = 3, smallest: int = 0) -> Shape:
    ndim = draw(st.sampled_from([n for n in NDIMS if least <= n <= most]))
    side = st.sampled_from([n for n in SIDES if n >= smallest])
    return tuple(draw(side) for _ in range(ndim))


@st.composite
def shapes(draw: Any, least: int = 0, most: int = 3, smallest: int = 0) -> Shape:
    """Shapes of 0-d to 3-d with sides equal and distinct, of length one, and (seldom) zero."""
    kind = _MOSTLY.get()
    if kind == "0-d" and least == 0:
        return ()
    if kind not in LENGTHS or most == 0:
        return draw(_any_shape(least, most, smallest))
    shape = draw(_any_shape(max(least, 1), most, smallest))
    return with_length(shape, draw(st.integers(0, len(shape) - 1)), LENGTHS[kind])


def with_length(shape: Shape, axis: int, n: int) -> Shape:
    """The shape with another length of one axis."""
    return (*shape[:axis], n, *shape[axis + 1 :])


# Degenerate shapes, which come seldom and break rules that are otherwise right

LENGTHS = {"zero-size": 0, "axis of length one": 1}

#: Whether a shape is one of those, by what they are called.
DEGENERATE: dict[str, Callable[[Shape], bool]] = {
    "0-d": lambda shape: shape == (),
    "zero-size": lambda shape: 0 in shape,
    "axis of length one": lambda shape: 1 in shape,
}
_MOSTLY: ContextVar[str] = ContextVar("mostly", default="")


@contextlib.contextmanager
def mostly(kind: str) -> Iterator[None]:
    """Draw degenerate shapes of one kind, wherever shapes can be chosen."""
    before = _MOSTLY.set(kind)
    try:
        yield
    finally:
        _MOSTLY.reset(before)


def is_degenerate(made: Call, kind: str) -> bool:
    """Whether an array of a call has such a shape."""
    floats = [x for x in made.arrays if isinstance(x, np.ndarray) and x.dtype.kind == "f"]
    return any(DEGENERATE[kind](x.shape) for x in floats)


def degenerate_versions(
    listed: Sequence[tuple[Shape, ...]], never: Sequence[str] = ()
) -> Sequence[tuple[Shape, ...]]:
    """Of some tuples of shapes those of the kind that is asked for, or else such made of them."""
    kind = _MOSTLY.get()
    if not kind or kind in never:
        return listed
    wanted = [sides for sides in listed if any(map(DEGENERATE[kind], sides))]
    if kind == "0-d":
        return wanted or [((),) * len(listed[0])]
    n = LENGTHS[kind]
    return wanted or [
        tuple(tuple(n if m == old else m for m in side) for side in sides)
        for sides in listed
        for old in sorted({m for side in sides for m in side})
    ]


def narrowed(shape: Shape) -> Strategy[Shape]:
    """Shapes that broadcast to ``shape``: leading axes dropped, some sides 1."""
    sides = st.tuples(*[st.sampled_from([n, n, 1]) for n in shape])
    return st.tuples(sides, st.sampled_from([0, 0, *range(len(shape) + 1)])).map(
        lambda pair: pair[0][pair[1] :]
    )


@st.composite
def broadcasting(draw: Any, number: int) -> tuple[Shape, ...]:
    """Several shapes that broadcast together; about half of the time one is the full shape.

    Where operands of no axes, or of axes of length one, are asked for, they meet full ones.
    """
    kind = _MOSTLY.get() if number > 1 else ""
    whole = draw(shapes() if kind in ("", "zero-size") else _any_shape(1, 3, 2))
    parts = [draw(narrowed(whole)) for _ in range(number)]
    one = draw(st.integers(0, number - 1))
    if kind == "0-d":
        parts[one] = ()
    elif kind == "axis of length one":
        parts[one] = with_length(whole, draw(st.integers(0, len(whole) - 1)), 1)
        parts[one - 1] = whole
    elif draw(st.booleans()):
        parts[one] = whole
    return tuple(parts)


def any_axis(ndim: int) -> Strategy[int]:
    """An axis, from the front or from the back."""
    return st.integers(-ndim, ndim - 1)


@st.composite
def axes(draw: Any, ndim: int, least: int = 0) -> Any:
    """None, an int, a negative int, or a tuple in any order and of mixed signs."""
    kind = draw(st.sampled_from(["none", "one", "several", "several"]))
    if kind == "none" or ndim == 0:
        return None
    if kind == "one":
        return draw(any_axis(ndim))
    order = draw(st.permutations(range(ndim)))[: draw(st.integers(least, ndim))]
    return tuple(a - ndim if draw(st.booleans()) else a for a in order)


# ---------------------------------------------------------------------------------------------
# Families


@st.composite
def elementwise_calls(draw: Any, op: Any, *domains: Sequence[float]) -> Call:
    """Operands of shapes that broadcast together, each with values from its own domain."""
    sides = draw(broadcasting(len(domains)))
    return call(op, [draw(arrays(s, d)) for s, d in zip(sides, domains, strict=True)])


def unary(op: Any, low: float = -5, high: float = 5, away: Sequence[float] = ()) -> Strategy[Call]:
    """``op(x)`` for x in [low, high]."""
    return elementwise_calls(op, grid(low, high, away))


def binary(
    op: Any, a: Sequence[float] = EVERYWHERE, b: Sequence[float] = EVERYWHERE
) -> Strategy[Call]:
    """``op(a, b)`` for operands that broadcast."""
    return elementwise_calls(op, a, b)


@st.composite
def power_calls(draw: Any, op: Any) -> Call:
    """Positive bases with any exponents, or any bases with a whole exponent that is constant."""
    if draw(st.booleans()):
        return draw(binary(op, grid(0.5, 3), grid(-2, 3)))
    x = draw(arrays(draw(shapes())))
    exponent = draw(st.sampled_from([2, 3, 0, 1, 2.0, 4, np.array([1.0])]))
    return call(op, [x], exponent)


@st.composite
def where_calls(draw: Any, op: Any) -> Call:
    a, b, condition = draw(broadcasting(3))
    mask = draw(arrays(condition, [0.0, 1.0])).astype(bool)
    f = lambda x, z: op(mask, x, z)
    return Call(f"where({mask!r}, x, x)", f, (draw(arrays(a)), draw(arrays(b))))


@st.composite
def clip_calls(draw: Any) -> Call:
    """Three operands, or limits that are numbers or missing; the limits may cross."""
    x, low, high = draw(broadcasting(3))
    values = draw(arrays(x))
    if draw(st.booleans()):
        lows, highs = [-1.125, -0.625, 1.125], [0.375, 0.875]
        return call(np.clip, [values, draw(arrays(low, lows)), draw(arrays(high, highs))])
    limits: list[dict[str, Any]] = [
        {"min": -0.625},
        {"max": 0.375},
        {"a_min": -0.625, "a_max": None},
    ]
    return call(np.clip, [values], **draw(st.sampled_from(limits)))


@st.composite
def reductions(
    draw: Any,
    /,
    op: Any,
    values: Sequence[float] = EVERYWHERE,
    *,
    unique: bool = False,
    empty: bool = True,
    where: bool = True,
    **options: Strategy[Any],
) -> Call:
    """``op`` over any axes, with or without ``keepdims``, a mask, and further options."""
    shape = draw(shapes(smallest=0 if empty else 1))
    axis = draw(axes(len(shape)))
    kwargs: dict[str, Any] = {"axis": axis} if axis is not None or draw(st.booleans()) else {}
    if draw(st.booleans()):
        kwargs["keepdims"] = draw(st.booleans())
    kwargs |= {key: draw(choices) for key, choices in options.items() if draw(st.booleans())}
    counts = np.sum(np.ones(shape), axis=axis)
    if where and draw(st.integers(0, 3)) == 3:
        mask = draw(arrays(draw(narrowed(shape)), [1.0, 0.0])).astype(bool)
        kwargs["where"] = mask
        counts = np.sum(np.broadcast_to(mask, shape), axis=axis)
    degrees = counts - kwargs.get("ddof", kwargs.get("correction", 0))
    if not empty:  # what NumPy warns of, or refuses
        assume(np.all(degrees > 0))
    return call(op, [draw(arrays(shape, values, unique=unique))], **kwargs)


@st.composite
def scans(draw: Any, op: Any, least: int = 0) -> Call:
    """``op`` along one axis, or over all elements."""
    shape = draw(shapes(least))
    axis = draw(any_axis(len(shape))) if shape and draw(st.booleans()) else None
    return call(op, [draw(arrays(shape))], **({} if axis is None else {"axis": axis}))


# Shaping: ``options(shape)`` is a strategy of (args, kwargs)


@st.composite
def shaped(draw: Any, op: Any, options: Any = None, least: int = 0, smallest: int = 0) -> Call:
    """``op(x, *args, **kwargs)`` where what is further given depends on the shape of x."""
    shape = draw(shapes(least, smallest=smallest))
    args, kwargs = draw(options(shape)) if options else ((), {})
    return call(op, [draw(arrays(shape))], *args, **kwargs)


def positional(make: Callable[[Shape], Strategy[tuple[Any, ...]]]) -> Any:
    return lambda shape: make(shape).map(lambda args: (args, {}))


def keywords(make: Callable[[Shape], dict[str, Strategy[Any]]]) -> Any:
    """Any subset of the keyword arguments."""
    return lambda shape: st.fixed_dictionaries({}, optional=make(shape)).map(lambda kw: ((), kw))


@st.composite
def new_shapes(draw: Any, shape: Shape) -> Any:
    size = int(np.prod(shape, dtype=int))
    pool: list[Any] = [size, (size,), shape[::-1], (1, *shape), (*shape, 1)]
    pool += [(d, size // d) for d in (1, 2, 3) if size % d == 0]
    pool += [(-1,), -1] if size else []
    pool += [(d, -1) for d in (2, 3) if size and size % d == 0]
    order = draw(st.sampled_from([{}, {"order": "F"}, {"order": "F"}, {"order": "C"}]))
    return (draw(st.sampled_from(pool)),), order


@st.composite
def squeezed_axes(draw: Any, shape: Shape) -> Any:
    ones = [i - draw(st.sampled_from([0, len(shape)])) for i, n in enumerate(shape) if n == 1]
    pool: list[Any] = [None, tuple(ones), *ones]
    return (), {"axis": draw(st.sampled_from(pool))}


def expansions(shape: Shape) -> Strategy[Any]:
    pool: list[Any] = [((0,), {}), ((-1,), {}), (((0, -1),), {})]
    return st.sampled_from([*pool, ((), {"axis": (len(shape) + 1, 0)})])


@st.composite
def moved_axes(draw: Any, shape: Shape) -> Any:
    n, k = len(shape), draw(st.integers(1, len(shape)))
    source, goal = (draw(st.permutations(range(n)))[:k] for _ in range(2))
    source = [a - n if draw(st.booleans()) else a for a in source]
    return ((source[0], goal[0]) if k == 1 else (source, tuple(goal))), {}


@st.composite
def rolls(draw: Any, shape: Shape) -> Any:
    kind = draw(st.sampled_from(["flat", "one", "several"]))
    shift = st.integers(-4, 4)
    if kind == "flat" or not shape:
        return (draw(shift),), {}
    if kind == "one":
        return (draw(shift), draw(any_axis(len(shape)))), {}
    across = draw(st.permutations(range(len(shape))))
    shifts = draw(st.tuples(*[shift] * len(shape)))
    return (shifts if draw(st.booleans()) else list(shifts), tuple(across)), {}


@st.composite
def diagonals(draw: Any, shape: Shape) -> Any:
    pair = draw(st.permutations(range(len(shape))))[:2]
    pair = [a - len(shape) if draw(st.booleans()) else a for a in pair]
    if draw(st.booleans()):
        return (), {"offset": draw(st.integers(-3, 3))}
    return (), {"offset": draw(st.integers(-3, 3)), "axis1": pair[0], "axis2": pair[1]}


@st.composite
def repeats(draw: Any, shape: Shape) -> Any:
    axis = draw(any_axis(len(shape))) if shape and draw(st.booleans()) else None
    n = int(np.prod(shape, dtype=int)) if axis is None else shape[axis]
    each = st.lists(st.integers(0, 3), min_size=n, max_size=n)
    return (draw(st.one_of(st.integers(0, 3), each)),), ({} if axis is None else {"axis": axis})


def transposed(shape: Shape) -> Strategy[Any]:
    n = len(shape)
    order = st.permutations(range(n))
    signed = order.map(lambda p: tuple(a - n if i % 2 else a for i, a in enumerate(p)))
    return st.one_of(st.none(), order.map(tuple), order, signed).map(lambda p: ((p,), {}))


@st.composite
def joined(draw: Any, op: Any, primitive: Any = None) -> Call:
    """Pieces that differ along the joining axis only (concatenate), or not at all (stack)."""
    flattens = op is np.concatenate and primitive is None
    shape = draw(shapes(int(op is np.concatenate and not flattens)))
    number, ndim = draw(st.integers(1, 3)), len(shape) + (op is np.stack)
    axis = draw(any_axis(ndim)) if ndim else None
    pieces = [shape] * number
    if op is np.concatenate and axis is not None:
        at = axis % ndim
        sides = [draw(st.sampled_from([1, 2, 0, 3])) for _ in range(number)]
        pieces = [(*shape[:at], n, *shape[at + 1 :]) for n in sides]
        if flattens and draw(st.integers(0, 3)) == 3:
            axis = None
    values = [draw(arrays(s)) for s in pieces]
    if primitive is not None:
        return Call(
            f"{op.__name__}(x, ..., axis={axis})",
            lambda *x: primitive(*x, axis=axis),
            tuple(values),
        )
    return Call(f"{op.__name__}([x, ...], axis={axis})", lambda *x: op(x, axis=axis), tuple(values))


# Indexing


@st.composite
def indices(draw: Any, shape: Shape) -> Any:
    """Every kind of index: ints, slices, arrays with repeats, masks, None, Ellipsis, mixtures."""
    kind = draw(st.sampled_from(["mixed", "mixed", "mask", "array", "bare"]))
    if kind == "mask":
        return draw(arrays(shape[: draw(st.integers(0, len(shape)))], [0.0, 1.0])).astype(bool)
    if not shape:
        return draw(st.sampled_from([(), Ellipsis, None, (None, Ellipsis), True, False]))
    if kind == "array" and shape[0]:
        picks = draw(st.lists(st.integers(-shape[0], shape[0] - 1), max_size=4))
        return draw(
            st.sampled_from([np.array(picks, dtype=int), np.array([picks, picks], dtype=int)])
        )
    if kind == "bare":
        return draw(_slices(shape[0]))
    parts: list[Any] = []
    common = draw(st.integers(1, 3))  # index arrays broadcast together
    for n in shape[: draw(st.integers(0, len(shape)))]:
        if draw(st.integers(0, 5)) == 5:
            parts.append(None)
        parts.append(draw(_axis_index(n, common)))
    if sum(part is not None for part in parts) < len(shape) and draw(st.booleans()):
        parts.append(Ellipsis)
    return tuple(parts)


def _slices(n: int) -> Strategy[slice]:
    bound = st.one_of(st.none(), st.integers(-n - 1, n + 1))
    return st.builds(slice, bound, bound, st.sampled_from([None, 1, 2, -1, -2]))


def _axis_index(n: int, common: int) -> Strategy[Any]:
    if n == 0:
        return _slices(n)
    one = st.integers(-n, n - 1)
    several = st.lists(one, min_size=common, max_size=common)
    kinds = [_slices(n), one, several.map(np.array), several, st.lists(one, min_size=1, max_size=1)]
    if n == common:
        kinds.append(st.just(np.ones(n, dtype=bool)))
    return st.one_of(kinds)


@st.composite
def indexed(draw: Any) -> Call:
    x = draw(arrays(draw(shapes(smallest=0))))
    return call(indexing.getitem, [x], draw(indices(x.shape)))


@st.composite
def scattered(draw: Any) -> Call:
    shape = draw(shapes())
    index = draw(indices(shape))
    values = draw(arrays(np.zeros(shape)[index].shape))
    return call(indexing.scatter_add, [values], shape, index)


@st.composite
def assigned(draw: Any) -> Call:
    """The value may have fewer axes than the place, sides of one, or more leading ones."""
    x = draw(arrays(draw(shapes())))
    index = draw(indices(x.shape))
    side = draw(narrowed(np.asarray(x[index]).shape))
    value = draw(arrays((1,) * draw(st.integers(0, 1)) + side))
    try:
        x.copy()[index] = value
    except (ValueError, TypeError):  # a boolean mask wants its values in one row
        assume(False)
    return call(indexing.setitem, [x, value], index)


@st.composite
def taken(draw: Any) -> Call:
    shape = draw(shapes(smallest=1))
    axis = draw(any_axis(len(shape))) if shape and draw(st.booleans()) else None
    n = int(np.prod(shape, dtype=int)) if axis is None else shape[axis]
    mode = draw(st.sampled_from([None, "wrap", "clip"]))
    which = st.integers(-n, n - 1 if n else 0) if mode is None else st.integers(-3 * n, 3 * n)
    pairs = st.lists(which, min_size=2, max_size=2).map(lambda p: np.array([p, p[::-1]]))
    places = draw(st.one_of(which, st.lists(which, max_size=4), pairs)) if n else []
    places = np.array(places, dtype=int) if isinstance(places, list) and not places else places
    kwargs = {"axis": axis} if axis is not None else {}
    return call(
        np.take, [draw(arrays(shape))], places, **kwargs, **({"mode": mode} if mode else {})
    )


# Products


@st.composite
def matmuls(draw: Any) -> Call:
    """Matrices, rows and columns, and stacks of matrices that broadcast."""
    side = st.sampled_from([2, 3, 1, 0])
    m, k, n = draw(side), draw(side), draw(side)
    lead = [s[:2] for s in draw(broadcasting(2))] if draw(st.booleans()) else [(), ()]
    try:
        np.broadcast_shapes(*lead)
    except ValueError:
        assume(False)
    a = draw(st.sampled_from([(*lead[0], m, k), (k,)]))
    b = draw(st.sampled_from([(*lead[1], k, n), (k,)]))
    return call(np.matmul, [draw(arrays(a)), draw(arrays(b))])


@st.composite
def dots(draw: Any) -> Call:
    k = draw(st.sampled_from([2, 3, 1, 0]))
    a = draw(st.sampled_from([(), (k,), (2, k), (3, 2, k)]))
    b = draw(st.sampled_from([(), (k,), (k, 3), (2, k, 2)]))
    return call(np.dot, [draw(arrays(a)), draw(arrays(b))])


@st.composite
def tensordots(draw: Any) -> Call:
    """Contract the last axes with the first (a number), or pairs of axes in any order."""
    common = draw(st.lists(st.sampled_from([2, 3, 1]), max_size=2))
    free_a, free_b = (draw(st.lists(st.sampled_from([2, 1, 3, 0]), max_size=2)) for _ in range(2))
    if draw(st.booleans()):
        left, right, contracted = (*free_a, *common), (*common, *free_b), len(common)
        return call(np.tensordot, [draw(arrays(left)), draw(arrays(right))], axes=contracted)
    order_a = draw(st.permutations(range(len(free_a) + len(common))))
    order_b = draw(st.permutations(range(len(free_b) + len(common))))
    sides_a, sides_b = ([0] * len(order) for order in (order_a, order_b))
    for place, n in zip(order_a, [*common, *free_a], strict=True):
        sides_a[place] = n
    for place, n in zip(order_b, [*common, *free_b], strict=True):
        sides_b[place] = n
    pairs = [list(order_a[: len(common)]), list(order_b[: len(common)])]
    if draw(st.booleans()):
        pairs[0] = [a - len(sides_a) for a in pairs[0]]
    one = len(common) == 1 and draw(st.booleans())
    across = (pairs[0][0], pairs[1][0]) if one else tuple(pairs)
    return call(
        np.tensordot, [draw(arrays(tuple(sides_a))), draw(arrays(tuple(sides_b)))], axes=across
    )


@st.composite
def einsums(draw: Any, op: Any) -> Call:
    """Random subscripts: repeated letters, letters summed out, ellipses, implicit results."""
    lengths = {"i": 2, "j": 0 if _MOSTLY.get() == "zero-size" else 3, "k": 2, "l": 1}
    number = draw(st.integers(1, 3))
    terms = [draw(st.text("ijkl", max_size=3)) for _ in range(number)]
    hidden = [draw(st.sampled_from([None, None, (), (3,), (2, 3), (2, 1)])) for _ in terms]
    sides = [tuple(lengths[letter] for letter in term) for term in terms]
    sides = [(*(h or ()), *side) for h, side in zip(hidden, sides, strict=True)]
    dots = "..." if any(h is not None for h in hidden) else ""
    left = ",".join(t if h is None else f"...{t}" for t, h in zip(terms, hidden, strict=True))
    letters = sorted(set("".join(terms)))
    if draw(st.booleans()):
        kept = draw(st.permutations(letters))[: draw(st.integers(0, len(letters)))]
        left += f"->{dots}{''.join(kept)}"
    kwargs = draw(st.sampled_from([{}, {}, {"optimize": True}]))
    f = lambda *x: op(left, *x, **kwargs)
    operands = tuple(draw(arrays(side)) for side in sides)
    return Call(f"einsum({left!r}, x, ..., {kwargs})", f, operands)


@st.composite
def numbered_einsums(draw: Any) -> Call:
    """The other form: axes named by numbers, ``einsum(a, [0, 1], b, [1], [0])``."""
    left, right = ([0, 1], [1, 2, 0]), ([1, 2], [2])
    first, second = draw(st.sampled_from([left[:1] + right[:1], (left[1], right[1])]))
    sides = [tuple((2, 3, 2)[i] for i in term) for term in (first, second)]
    result = draw(st.sampled_from([(), ([0],), ([2, 0],)]))
    f = lambda x, z: np.einsum(x, first, z, second, *result)
    return Call(f"einsum(x, {first}, x, {second}, *{result})", f, [draw(arrays(s)) for s in sides])


# ---------------------------------------------------------------------------------------------
# The catalogue

NOT_ZERO = grid(-3, 3, away=[0])
EIGHTHS = grid(-3, 3, offset=1 / 8)  # never equal to, nor near, a quarter
HALVES = [n + 0.5 for n in (0, -1, 1, -2, 2, -3, 3)]  # no whole multiple of 1 or 2 is near

CASES: dict[Any, Strategy[Call]] = {
    op: unary(op)
    for op in (
        np.negative, np.positive, np.square, np.exp, np.exp2, np.expm1, np.sin, np.cos, np.arctan,
        np.deg2rad, np.radians, np.rad2deg, np.degrees, np.sinh, np.cosh, np.tanh, np.arcsinh,
        np.conjugate, np.copy, creation.copied,
    )
}  # fmt: skip

CASES |= {op: unary(op, 0.5, 4) for op in (np.sqrt, np.log, np.log2, np.log10)}
CASES |= {op: unary(op, -0.75, 0.75) for op in (np.arcsin, np.arccos, np.arctanh)}
CASES |= {op: unary(op, away=[0]) for op in (np.reciprocal, np.cbrt, np.absolute, np.fabs)}
CASES |= {op: binary(op) for op in (np.add, np.subtract, np.multiply, np.logaddexp, np.logaddexp2)}
CASES |= {op: binary(op, HALVES, [1, -1, 2, -2]) for op in (np.remainder, np.fmod)}
CASES |= {op: binary(op, EVERYWHERE, EIGHTHS) for op in (np.maximum, np.minimum)}
CASES |= {op: power_calls(op) for op in (np.power, np.float_power)}
CASES |= {
    np.log1p: unary(np.log1p, -0.5, 4),
    np.tan: unary(np.tan, -1.25, 1.25),
    np.arccosh: unary(np.arccosh, 1.5, 4),
    np.divide: binary(np.divide, EVERYWHERE, grid(-3, 3, away=[0, 0.25, -0.25])),
    np.hypot: binary(np.hypot, NOT_ZERO),
    np.arctan2: binary(np.arctan2, NOT_ZERO),
    np.copysign: binary(np.copysign, NOT_ZERO, NOT_ZERO),
    np.where: where_calls(np.where),
    indexing.where: where_calls(indexing.where),
    np.clip: clip_calls(),
    _elementwise.clip: elementwise_calls(
        _elementwise.clip, EVERYWHERE, [-1.125, -0.625, 1.125], [0.375, 0.875]
    ),
}

CASES |= {
    np.sum: reductions(np.sum, initial=st.sampled_from([0.0, 2.5]), dtype=st.just(np.float64)),
    np.prod: reductions(np.prod, grid(-2, 2), initial=st.sampled_from([1.0, -2.0])),
    np.mean: reductions(np.mean, empty=False),
    np.max: reductions(np.max, ENOUGH, unique=True, empty=False, where=False),
    np.min: reductions(
        np.min, ENOUGH, unique=True, empty=False, where=False, initial=st.just(5.125)
    ),
    np.var: reductions(np.var, empty=False, ddof=st.sampled_from([0, 1, 0.5])),
    np.std: reductions(
        np.std, ENOUGH, unique=True, empty=False, correction=st.sampled_from([0, 1])
    ),
    np.cumsum: scans(np.cumsum),
    np.cumprod: scans(np.cumprod),
}

CASES |= {
    np.reshape: shaped(np.reshape, new_shapes),
    manipulation.reshape: shaped(manipulation.reshape, new_shapes),
    np.ravel: shaped(np.ravel, keywords(lambda s: {"order": st.sampled_from(["C", "F"])})),
    np.squeeze: shaped(np.squeeze, squeezed_axes),
    np.expand_dims: shaped(np.expand_dims, expansions),
    np.transpose: shaped(np.transpose, transposed),
    np.swapaxes: shaped(
        np.swapaxes, positional(lambda s: st.tuples(any_axis(len(s)), any_axis(len(s)))), least=1
    ),
    np.moveaxis: shaped(np.moveaxis, moved_axes, least=1),
    np.flip: shaped(np.flip, keywords(lambda s: {"axis": axes(len(s))})),
    np.roll: shaped(np.roll, rolls),
    np.tril: shaped(np.tril, keywords(lambda s: {"k": st.integers(-2, 2)}), least=1),
    np.triu: shaped(np.triu, keywords(lambda s: {"k": st.integers(-2, 2)}), least=1),
    np.diagonal: shaped(np.diagonal, diagonals, least=2),
    np.trace: shaped(np.trace, diagonals, least=2),
    np.repeat: shaped(np.repeat, repeats),
    np.astype: shaped(np.astype, positional(lambda s: st.just((np.float64,)))),
    creation.astype: shaped(creation.astype, positional(lambda s: st.just((np.float64,)))),
    np.concatenate: joined(np.concatenate),
    np.stack: joined(np.stack),
    manipulation.concatenate: joined(np.concatenate, manipulation.concatenate),
    manipulation.stack: joined(np.stack, manipulation.stack),
}


@st.composite
def widened(draw: Any) -> Call:
    shape = draw(shapes())
    return call(np.broadcast_to, [draw(arrays(draw(narrowed(shape))))], shape)


CASES |= {
    np.broadcast_to: widened(),
    indexing.getitem: indexed(),
    indexing.scatter_add: scattered(),
    indexing.setitem: assigned(),
    np.take: taken(),
    np.matmul: matmuls(),
    np.dot: dots(),
    np.tensordot: tensordots(),
    np.einsum: st.one_of(einsums(np.einsum), numbered_einsums()),
    _products.einsum: einsums(_products.einsum),
}


def name_of(op: Any) -> str:
    """A name that tells our primitives from NumPy's functions."""
    ours = getattr(op, "__module__", "numpy").startswith("tinygrad_lab")
    return f"{op.__name__}-primitive" if ours else op.__name__


# ---------------------------------------------------------------------------------------------
# Memory layouts: the same values, otherwise arranged


def layouts(x: Array) -> list[Array]:
    """C, Fortran, every second element of something larger, and reversed."""
    spaced = np.zeros(tuple(2 * n for n in x.shape))[..., *(slice(None, None, 2),) * x.ndim]
    spaced[...] = x
    backwards = (..., *(slice(None, None, -1),) * x.ndim)
    return [
        np.array(x, order="C"),
        np.array(x, order="F"),
        spaced,
        np.array(x[backwards])[backwards],
    ]


def mixed_layouts(operands: Sequence[Array]) -> list[tuple[Array, ...]]:
    """Every operand in each layout, the second a step behind the first, and so on."""
    kinds = [layouts(x) for x in operands]
    return [
        tuple(kind[(turn + i) % len(kind)] for i, kind in enumerate(kinds))
        for turn in range(len(kinds[0]))
    ]


__all__ = ["CASES", "Call", "layouts", "mixed_layouts", "name_of"]

from tinygrad_lab.testing.catalogue import (  # noqa: E402, F401 - they need all of the above
    arranging,
    differences,
    elementwise,
    fft,
    linalg,
    statistics,
)
