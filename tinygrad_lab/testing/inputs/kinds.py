"""Kinds of inputs that gradients go wrong on, beside small tame ones, and a plan to meet them.

A kind says what numbers an array holds, or what shape it has.  Strategies ask :func:`wanted` which
kind is looked for just now, and mark it as met where they could give it: a domain or a shape that
the user fixed has the last word.

Not for: drawing arrays (``strategies.py``), or degenerate shapes (``calls.py``), which operations
of the catalogue meet too.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import math
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass

import numpy as np

Shape = tuple[int, ...]
Numbers = tuple[float, ...]

MOST_CONSTANTS = 10  # numbers of the user's code that inputs are drawn around
LONGEST = 2048  # of lengths that stand in the user's code

FAR = 1e16  # beyond it, a constant is treated as a number near overflow is

LEADING = (1.0, 2.0, 1.5, 3.0, 1.25, 1.75)  # digits that shrink to what reads well

#: The powers of ten of each size, and what arrays of that size are called.
SIZES: dict[str, Numbers] = {
    "large": (10.0, 30.0, 100.0, 1e3),
    "huge": (1e5, 1e8, 1e12),
    "near overflow": (1e30, 1e75, 1e300),
    "small": (1e-1, 1e-2, 1e-3, 1e-4),
    "tiny": (1e-6, 1e-9, 1e-13),
    "near underflow": (1e-30, 1e-75, 1e-300),
}
IN_ORDER: tuple[Shape, ...] = ((3,), (7,), (2, 4), (3, 1, 2))
LENGTHS = (33, 129, 1025)
MANY_AXES: tuple[Shape, ...] = ((2, 1, 3, 2), (2, 3, 1, 2, 2), (1, 2, 2, 1, 2, 3))
ODD_SIDES: tuple[Shape, ...] = ((5,), (4, 7), (6, 5))
DENSE = 1023  # numbers of a sweep, which leaves no gap of a hundredth
WIDE = (-5.0, 5.0)  # the ends of a sweep where nobody says


#: What is looked at on arrays of a kind; everything else does not depend on it.
OF_NUMBERS = ("well_formed", "finite", "directional")
AT_TIES = (*OF_NUMBERS, "tied_direction")
OF_SHAPES = (*OF_NUMBERS, "no_aliasing", "linear_in_upstream", "layouts")


@dataclass(eq=False)
class InputKind:
    """What is looked for: the numbers in an array, or its shape, or both.

    Attributes
    ----------
    name
        What messages call it.
    numbers
        What elements are drawn from, the simplest first; nothing stands for ordinary ones.
    shapes
        The shapes of the largest array; nothing stands for ordinary ones.
    signed
        Whether their negatives are of this kind too.
    sweep
        Whether the array is to cover the whole domain instead.
    arranged
        What is done with the elements: "equal", "sorted", "falling".
    strict
        Whether a function that overflows or underflows on the way has no value there.
    looked_at
        The properties that may depend on it.
    met
        Whether a strategy has given such an array.
    """

    name: str
    numbers: Numbers = ()
    shapes: tuple[Shape, ...] = ()
    signed: bool = True
    sweep: bool = False
    arranged: str = ""
    strict: bool = False
    looked_at: tuple[str, ...] = OF_NUMBERS
    met: bool = False


_WANTED: ContextVar[InputKind | None] = ContextVar("wanted", default=None)
wanted = _WANTED.get  #: The kind that is looked for now, if any.


@contextlib.contextmanager
def wanting(kind: InputKind | None) -> Iterator[None]:
    """Draw arrays of one kind, wherever arrays can be chosen."""
    token = _WANTED.set(kind)
    try:
        yield
    finally:
        _WANTED.reset(token)


def plan(constants: Sequence[float] = ()) -> list[InputKind]:
    """List the kinds, those first that most mistakes are of.

    ``constants`` are numbers around which inputs are to lie, and lengths they are to have.
    """
    return [
        *_off_the_grid(), *_around(constants), *_of_shapes(constants), *_arranged(), *_beyond(),
    ]  # fmt: skip


def _off_the_grid() -> Iterator[InputKind]:
    yield InputKind("between the quarters", numbers=thousandths(-3.0, 3.0), signed=False)
    yield from sized("large")
    yield from sized("small")


def _arranged() -> Iterator[InputKind]:
    yield InputKind("close neighbours", numbers=neighbours(1.0), looked_at=AT_TIES)
    yield InputKind("equal", numbers=(1.0, 2.0, 0.5, 3.0), arranged="equal", looked_at=AT_TIES)
    yield InputKind(
        "zeros of both signs", numbers=(-0.0, 0.0, 1.0), signed=False, looked_at=AT_TIES
    )
    for order in ("sorted", "falling"):
        fine = thousandths(-3.0, 3.0)
        yield InputKind(order, shapes=IN_ORDER, numbers=fine, signed=False, arranged=order)
    yield InputKind("whole", numbers=tuple(float(n) for n in range(13)))
    yield InputKind("of many sizes", numbers=(1.0, 1e-3, 1e3, 1e-6, 1e6))
    yield InputKind("sweep", sweep=True, shapes=((DENSE,),))


def _beyond() -> Iterator[InputKind]:
    for name in ("huge", "tiny", "near overflow", "near underflow"):
        yield from sized(name)


def sized(name: str) -> Iterator[InputKind]:
    """Give the kinds of one name of :data:`SIZES`, one for each power of ten."""
    for power in SIZES[name]:
        numbers = tuple(_short(x * power) for x in LEADING)
        yield InputKind(name, numbers=numbers, strict=name.startswith("near"))


def _short(x: float) -> float:
    """Round to what reads well."""
    return float(f"{x:.6g}")


def neighbours(x: float) -> Numbers:
    """Give a number, and others beside it by an ulp, 1e-12, 1e-9 ... 1e-3 of its size."""
    gaps = (0.0, math.ulp(1.0), 1e-12, 1e-9, 1e-6, 1e-3)
    return tuple(x * (1 + gap) for gap in gaps)


def _of_shapes(constants: Sequence[float]) -> Iterator[InputKind]:
    own = [int(c) for c in constants if c == int(c) and 3 <= c <= LONGEST]
    around = [n for c in own[:MOST_CONSTANTS] for n in (c + 1, c, c - 1, 2 * c + 1)]
    for name, listed in (("odd sides", ODD_SIDES), ("many axes", MANY_AXES)):
        for shape in listed:
            yield InputKind(name, shapes=(shape,), looked_at=OF_SHAPES)
    for n in sorted({*LENGTHS, *around}):
        yield InputKind("long", shapes=((n,), (n, 2), (2, n)), looked_at=OF_SHAPES)


def _around(constants: Sequence[float]) -> Iterator[InputKind]:
    """Give kinds of numbers just above, just below, and equal to each of the constants."""
    marks = sorted({abs(c) for c in constants[:MOST_CONSTANTS]})
    for low, mark, high in zip([0.0, *marks], marks, [*marks[1:], math.inf], strict=False):
        strict = mark > FAR or 0 < mark < 1 / FAR
        if mark:
            yield InputKind(f"below {mark:g}", numbers=_between(mark, low), strict=strict)
        if high != mark:
            yield InputKind(f"above {mark:g}", numbers=_between(mark, high), strict=strict)
        yield InputKind(f"at {mark:g}", numbers=(mark, 1.0, mark / 2), strict=strict)


def _between(mark: float, other: float) -> Numbers:
    """Give numbers between a constant and the next one: some very near it, some further away."""
    up = other > mark
    unit = mark or 1.0
    reach = min(abs(other - mark), unit if up else mark)
    shares = (0.5, 0.1, 0.25, 0.01, 1e-3, 0.9)
    some = [_short(mark + share * reach if up else mark - share * reach) for share in shares]
    inside = (x for x in some if min(mark, other) < x < max(mark, other))
    return (*inside, math.nextafter(mark, math.inf if up else -math.inf))


@functools.cache
def thousandths(low: float, high: float) -> Numbers:
    """Give a thousand numbers of an interval, those first that read best."""
    digits = max(0, 3 - math.floor(math.log10(high - low)))
    points = {round(x, digits) for x in np.linspace(low, high, 1001).tolist()}
    inside = [x for x in points if low <= x <= high]
    return tuple(sorted(inside, key=lambda x: (len(repr(abs(x))), abs(x), x < 0)))


def sweep(low: float, high: float, n: int) -> list[float]:
    """Give numbers that leave no gap in an interval, none of them on a coarse grid."""
    width = (high - low) / n
    jitter = itertools.cycle((0.31, 0.68, 0.47))
    return [low + (k + next(jitter)) * width for k in range(n)]
