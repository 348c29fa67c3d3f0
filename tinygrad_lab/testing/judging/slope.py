"""Evaluate a subject around one point: ladders in any direction, and the kinks that they meet.

Our own operations say which branch they took (the sign under an absolute value, which element was
the largest), so that no kink between two points is a certainty.  For everything else the gap
between the one-sided slopes tells (``Ladder.gap_ratio``).  A function that raises is not defined
there, and has no number.

Not for: the arithmetic of one ladder (``numerical.py``), or what a disagreement with gradients
means (``trial.py``).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_lab.core.engine import Node
from tinygrad_lab.core.graph import history
from tinygrad_lab.core.operations import OPERATIONS
from tinygrad_lab.testing.judging.arrays import Array, flat
from tinygrad_lab.testing.judging.noise import Noise, noise_around, noise_farther_around
from tinygrad_lab.testing.judging.numerical import (
    BAND,
    FEWER_LEVELS,
    FIRST_STEP,
    LEVELS,
    Ladder,
    climb,
    direction_like,
    missed,
    quantized,
    scales_of,
)
from tinygrad_lab.testing.judging.subject import Evaluation, Subject

OTHER_DIRECTIONS = 8  # in some of which the ties of a median do break another way
FEWER_DIRECTIONS = 2  # of many elements, of which one tie does not show beside the others
NEARBY_POINTS = 60  # so that hardly a piece of a tie of several is missed
NEIGHBOURS, NEXT = 8, 2.0**-40  # so many points next to one, and how far away
KINK = 0.75  # a gap ratio above is that of a kink (1), not of a smooth function (1/2)
MANY = 4096  # elements, of which not all are looked at where some show the same
CONVERGED = 1e-6  # relative; what is apart by more is no rounding


@dataclass
class Climb:
    """A ladder, and how it was climbed."""

    ladder: Ladder
    calls: dict[float, Evaluation]  # of the subject, by step
    directions: list[Array]  # what each input was moved along
    missed: list[Array]  # how far a rounded step fell beside what was meant, divided by the step
    _tilts: dict[int, tuple[float, float]] = field(default_factory=dict, repr=False)

    def tilt(self, other: Climb) -> tuple[float, float]:
        """Compare with a direction that is the same but for the rounding of short steps.

        Give how many times the other one this is, and by how much it leans, relative to that.
        """
        if id(other) not in self._tilts:
            u, w = (np.concatenate(list(map(_some, c.directions))) for c in (self, other))
            largest = float(np.max(np.abs(w), initial=0.0)) or 1.0
            u, w = u / largest, w / largest
            unit = float(u @ w / (w @ w))
            tilted = np.abs(u - unit * w) / np.where(u == 0, 1.0, np.abs(u))
            self._tilts[id(other)] = unit, float(np.max(tilted, initial=0.0))
        return self._tilts[id(other)]

    @property
    def is_in_long_double(self) -> bool:
        """Whether all of it was computed in long double: some results have digits of no float64."""
        outputs = [y for call in self.calls.values() for y in call.outputs]
        if not all(y.dtype == np.longdouble for y in outputs):
            return False
        return any(np.any(y != y.astype(np.float64)) for y in outputs)

    @property
    def roots(self) -> tuple[Node | None, ...]:
        """The outputs of one of the calls, in its graph, if it has one."""
        return next((call.roots for call in self.calls.values()), ())


def _some(x: Array) -> Array:
    """Give the elements of an array, of many a few thousand."""
    return x.ravel()[:: 1 + x.size // MANY]


def promised(
    gradients: Sequence[Array], directions: Sequence[Array], dtype: Any = np.float64
) -> tuple[float, float]:
    """Give the slope along a direction by the gradients, and the sum of the sizes of its terms."""
    terms = [np.asarray(g, dtype) * u for g, u in zip(gradients, directions, strict=True)]
    return float(sum(t.sum() for t in terms)), float(sum(np.abs(t).sum() for t in terms))


def branches(roots: Sequence[Node | None]) -> list[Any]:
    """List which branches the calls behind some nodes took, constants that were chosen included.

    A mask, an index or a permutation that the function computed from its inputs is an argument
    with no history: where it differs between two evaluations, they took different branches.
    """
    taken: list[Any] = []
    for node in history(roots):
        if has_kinks(node):
            branch: Any = OPERATIONS[node.op].branch
            taken.append(branch(node.value, *node.args, **(node.kwargs or {})))
        pairs = zip(node.parents or (), node.args or ())  # noqa: B905 - aligned
        chosen = (x for parent, x in pairs if parent is None and isinstance(x, np.ndarray))
        taken += [x for x in chosen if x.dtype.kind in "biu"]
    return taken


def same_branches(a: Sequence[Any], b: Sequence[Any]) -> bool:
    """Whether two evaluations took the same branches everywhere."""
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same_branches, a, b))
    return bool(np.array_equal(a, b))


def has_kinks(node: Node) -> bool:
    """Whether the derivative of an operation jumps somewhere, as far as is known."""
    return node.op in OPERATIONS and OPERATIONS[node.op].branch is not None


@dataclass
class Subgradients:
    """The slopes at a kink, grown by one ladder after another.

    Every element of the result has a kink of its own, so each may take any of its slopes.
    """

    weights: Array
    least: Array
    most: Array
    error: Array

    @classmethod
    def on_both_sides(cls, ladder: Ladder, weights: Array) -> Subgradients:
        """Begin with the slopes from the left and from the right, as a ladder has them."""
        left, right, error = ladder.sides()
        terms = weights * left, weights * right
        return cls(weights, np.minimum(*terms), np.maximum(*terms), np.abs(weights) * error)

    def include(self, ladder: Ladder) -> None:
        """Count the slope of a ladder that was climbed beside the kink."""
        term = self.weights * ladder.slopes()[0]
        self.least, self.most = np.minimum(self.least, term), np.maximum(self.most, term)

    @property
    def interval(self) -> tuple[float, float]:
        """The least and the largest slope."""
        return float(np.sum(self.least)), float(np.sum(self.most))

    @property
    def band(self) -> float:
        """How far outside a slope is still one of them."""
        return BAND * float(np.sum(self.error)) + 1e-6 * max(map(abs, self.interval))

    def __contains__(self, slope: float) -> bool:
        low, high = self.interval
        return low - self.band <= slope <= high + self.band


class Measurer:
    """Evaluates a subject around one point; remembers every ladder, to climb none twice."""

    def __init__(self, subject: Subject, arrays: Sequence[Array], outputs: Sequence[Array]) -> None:
        self.subject, self.arrays = subject, [np.asarray(x, dtype=np.float64) for x in arrays]
        self.outputs, self.centre = list(outputs), flat(outputs)
        self.at_a_kink = False  # as far as was noticed
        self._climbs: dict[Any, Climb] = {}
        self._lines: dict[Any, dict[float, Evaluation | None]] = {}
        self._noises: dict[Any, Noise] = {}

    def climb(
        self,
        directions: Sequence[Array],
        first: float = FIRST_STEP,
        dtype: Any = np.float64,
        levels: int = LEVELS,
    ) -> Climb:
        """Climb a ladder along a direction, from its longest step; remember it."""
        key = (first, np.dtype(dtype).char, levels, *(u.tobytes() for u in directions))
        if key in self._climbs:
            return self._climbs[key]
        exact = [quantized(x, u, first) for x, u in zip(self.arrays, directions, strict=True)]
        wide = [
            (x.astype(dtype, copy=False), u.astype(dtype, copy=False))
            for x, u in zip(self.arrays, exact, strict=True)
        ]
        line = self._line(key[1], exact)
        calls: dict[float, Evaluation] = {}

        def along(h: float) -> Array:
            if h not in line:
                line[h] = self._evaluate([np.asarray(x + h * u) for x, u in wide])
            call = line[h]
            if call is not None:
                calls[h] = call
            return self._row(call, dtype)

        centre = self.centre if dtype is np.float64 else along(0.0)
        ladder = climb(along, centre.astype(dtype), first, levels)
        steps = [*ladder.steps, *(-h for h in ladder.steps)]
        beside = [missed(x, u, steps, dtype) for x, u in zip(self.arrays, exact, strict=True)]
        self._climbs[key] = Climb(ladder, calls, exact, beside)
        return self._climbs[key]

    def _line(self, base: Any, directions: Sequence[Array]) -> dict[float, Evaluation | None]:
        """What was evaluated on one line: ladders of one direction have steps in common."""
        return self._lines.setdefault((base, *(u.tobytes() for u in directions)), {})

    def quick(self, directions: Sequence[Array], dtype: Any = np.float64) -> Climb:
        """Climb fewer and shorter steps than usual, which is enough where functions are tame."""
        first = FIRST_STEP / 8 * self.shorter(directions)
        return self.climb(directions, first, dtype, FEWER_LEVELS)

    def _evaluate(self, moved: Sequence[Array]) -> Evaluation | None:
        """Compute the outputs; None where the function is not defined, as it says by raising."""
        try:
            with np.errstate(all="ignore"):
                return self.subject.evaluate(moved)
        except Exception:  # noqa: BLE001 - every function and library raises in its own way
            return None

    def _row(self, call: Evaluation | None, dtype: Any = np.float64) -> Array:
        row = None if call is None else flat(call.outputs)
        if row is None or row.size != self.centre.size:  # the shape may depend on the values
            return np.full(self.centre.size, np.nan, dtype=dtype)
        return row

    def row(self, arrays: Sequence[Array]) -> Array:
        """Give all outputs somewhere near, in one row; remember nothing."""
        return self._row(self._evaluate(arrays))

    def shorter(self, directions: Sequence[Array]) -> float:
        """Say by how much steps are shorter for all the elements that a direction moves.

        Many elements that move at once go far together, as the square root of their number.
        """
        moved = max(sum(np.count_nonzero(u) for u in directions), 1)
        return 2.0 ** -min(int(math.log2(moved)) // 2, 8)

    # -- noise ----------------------------------------------------------------------------------

    def noise(
        self, directions: Sequence[Array], upstreams: Sequence[Array], farther: bool = False
    ) -> Noise:
        """Measure how much of values and gradients is round-off; remember it."""
        key = (farther, *(x.tobytes() for x in (*directions, *upstreams)))
        if key not in self._noises:
            around = self.subject, self.arrays, directions, upstreams
            self._noises[key] = (
                noise_farther_around(self.noise(directions, upstreams), *around)
                if farther
                else noise_around(*around)
            )
        return self._noises[key]

    # -- kinks ----------------------------------------------------------------------------------
    def crosses(self, climbed: Climb) -> bool:
        """Whether the evaluations on one side took different branches: a kink lies between."""
        for sign in (1, -1):
            calls = [call for h, call in climbed.calls.items() if h * sign > 0]
            taken = [branches(call.roots) for call in calls]
            if not all(same_branches(taken[0], other) for other in taken[1:]):
                return True
        return False

    def is_on_a_boundary(self, climbed: Climb) -> bool:
        """Whether the point takes another branch than what lies on either side of it."""
        here = branches(self._here.roots) if self._here else []
        calls = climbed.calls.values()
        return bool(here) and not any(same_branches(here, branches(c.roots)) for c in calls)

    def differs_by_direction(self, climbed: Climb, weights: Array) -> bool:
        """Whether slopes along directions do not add up: no derivative here, though no bend.

        So it is where many kinks meet, as at a median of equal numbers.
        """
        if any(climbed.roots) and not branches(climbed.roots):  # nothing in it has a kink
            return False
        generator = np.random.default_rng(1)
        first = climbed.directions
        few = sum(x.size for x in self.arrays) <= MANY
        for _ in range(OTHER_DIRECTIONS if few else FEWER_DIRECTIONS):
            second = [direction_like(x, generator) for x in self.arrays]
            both = [u + w for u, w in zip(first, second, strict=True)]
            a, b, c = (
                self.climb(u, 2.0**-13 * self.shorter(u), levels=2).ladder.slope(weights)
                for u in (first, second, both)
            )
            size = abs(a.value) + abs(b.value) + abs(c.value)
            band = BAND * (a.error + b.error + c.error) + 1e-5 * size
            if abs(c.value - a.value - b.value) > band:
                return True
        return False

    @functools.cached_property
    def _here(self) -> Evaluation | None:
        """A call at the point itself."""
        return self._evaluate(self.arrays)

    @functools.cached_property
    def is_at_a_tie(self) -> bool:
        """Whether an operation takes other branches however near to the point."""
        if self._here is None or not any(map(has_kinks, history(self._here.roots))):
            return False
        generator = np.random.default_rng(2)
        taken = []
        for _ in range(NEIGHBOURS):
            beside = [x + NEXT * direction_like(x, generator) for x in self.arrays]
            call = self._evaluate(beside)
            taken += [] if call is None else [branches(call.roots)]
        return not all(same_branches(taken[0], other) for other in taken[1:])

    @functools.cached_property
    def is_at_a_tie_inside(self) -> bool:
        """Whether that is an operation on what was computed.

        What it is given may meet fewer of its branches than it has there: its derivative is right
        by itself, and that of the whole need not be (J. Bolte and E. Pauwels, *Conservative set
        valued fields*, Math. Program. 188, 2021).
        """
        here = history(self._here.roots) if self._here else []
        inside = [node for node in here if has_kinks(node)]
        computed = any(p is not None and p.op is not None for n in inside for p in n.parents or ())
        return computed and self.is_at_a_tie

    def nearby(self, directions: Sequence[Array]) -> Iterator[Ladder]:
        """Climb short ladders in one direction from points around a kink, on every piece of it."""
        generator = np.random.default_rng(0)
        for number in range(NEARBY_POINTS):
            base = [
                x + 2.0**-9 * scales_of(x) * generator.uniform(-1, 1, x.shape) for x in self.arrays
            ]
            line = self._line(number, directions)

            def along(h: float, base: Sequence[Array] = base, line: Any = line) -> Array:
                if h not in line:
                    moved = [x + h * u for x, u in zip(base, directions, strict=True)]
                    line[h] = self._evaluate(moved)
                return self._row(line[h])

            ladder = climb(along, self.centre, first=2.0**-18, levels=1)
            if np.all(np.isfinite(ladder.slopes()[0])):
                yield ladder

    def has_several_kinks(self) -> bool:
        """Whether more than one operation has a kink, as far as the graph is known."""
        graphs = (climbed.roots for climbed in self._climbs.values())
        return sum(map(has_kinks, history(next(filter(any, graphs), ())))) > 1

    def jumps(self, noise: float) -> bool:
        """Whether the value at the point is apart from those beside it, as far as was climbed."""
        if not self._climbs:
            return False
        ladder = min((c.ladder for c in self._climbs.values()), key=lambda x: x.steps[-1])
        for side in (ladder.above, ladder.below):
            far, near = np.abs(side[-2:] - ladder.centre)
            size = np.abs(ladder.centre) + np.abs(side[-1])
            if np.any((near > KINK * far) & (near > CONVERGED * size + noise)):
                return True
        return False
