"""One subject at one point: the inputs, the upstream, the gradients, and what was measured there.

Not for: what must hold of them (``properties``).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_lab.testing.judging.arrays import Array, first_difference, flat, frozen, unit, weighed
from tinygrad_lab.testing.judging.forms import Form, form_of
from tinygrad_lab.testing.judging.judgement import (
    Drowned,
    Judgement,
    Kind,
    Misbehaved,
    failed,
)
from tinygrad_lab.testing.judging.noise import Noise
from tinygrad_lab.testing.judging.numerical import direction_like, scales_of
from tinygrad_lab.testing.judging.slope import Measurer
from tinygrad_lab.testing.judging.subject import Recorded, Subject

ROUNDING = 1e-10  # relative: what another order of summation may change
SCATTER = 64.0  # so many standard deviations of measured round-off are no more than that
NARROWER = float(np.finfo(np.float32).eps / np.finfo(np.float64).eps)
IN_ANY_ORDER = 1e-5  # relative: what it may change of a value that is computed in float32
FLOAT32_ROUNDING = 1e-4  # of a function that computes in float32 whatever it is given


@dataclass(eq=False)
class Point:
    """One subject at one point, as the properties look at it."""

    subject: Subject
    arrays: list[Array]
    recorded: Recorded
    upstreams: list[Array]
    generator: np.random.Generator
    order: int
    hand: Callable[[Array], Array] = frozen  # what the function is handed of an array
    strict: bool = False
    tolerance: float = 0.0  # relative: what numbers may be off by
    memo: dict[Any, Any] = field(default_factory=dict, repr=False)  # what others found out here
    pulls_once: bool = False  # whether a second pullback of one call is none to count on
    is_tame: bool = False  # whether it stands for another one, where digits are lost

    def __post_init__(self) -> None:
        #: Of the entries of the Jacobian, once they have been looked at; and whether each that is
        #: not 0 is larger than its uncertainty.
        self.entries: Judgement | None = None
        self.sees_entries = True
        self.forms = self._forms_of(self.recorded.pull([self.hand(u) for u in self.upstreams]))
        self.gradients: list[Array] = [form.array for form in self.forms]
        self.measurer = Measurer(self.subject, self.arrays, self.recorded.outputs)

    @property
    def is_lenient(self) -> bool:
        """Whether what can make no number wrong is worth a note here, and no failure."""
        return self.subject.is_lenient and not self.strict

    @property
    def weights(self) -> Array:
        """All upstreams in one row."""
        return flat(self.upstreams)

    @property
    def size(self) -> int:
        """How many elements all inputs have."""
        return sum(x.size for x in self.arrays)

    @property
    def has_finite_value(self) -> bool:
        """Whether every number of every output is finite."""
        return all(bool(np.all(np.isfinite(y))) for y in self.recorded.outputs)

    def direction(self, i: int, index: tuple[int, ...]) -> list[Array]:
        """Give the direction in which one element of an input moves, by its own scale."""
        return unit(self.arrays, i, index, float(scales_of(self.arrays[i][index])))

    def fresh(self, arrays: Sequence[Array] | None = None) -> Recorded:
        """Call the function anew, on read-only inputs."""
        inputs = self.arrays if arrays is None else arrays
        return self.subject.record([self.hand(x) for x in inputs])

    def pulled(self, upstreams: Sequence[Array], recorded: Recorded | None = None) -> list[Array]:
        """Pull read-only upstreams back through a fresh call, or through a recorded one."""
        if self.pulls_once and recorded is self.recorded:
            recorded = None
        call = recorded or self.fresh()
        return self.arrays_of(call.pull([self.hand(np.asarray(u)) for u in upstreams]))

    def arrays_of(self, gradients: Sequence[Any]) -> list[Array]:
        """Make arrays of gradients, one for each input."""
        return [form.array for form in self._forms_of(gradients)]

    def _forms_of(self, gradients: Sequence[Any]) -> list[Form]:
        """Look at the form of each gradient; refuse gradients that belong to no input."""
        if len(gradients) != len(self.arrays):
            raise Misbehaved(Kind.COUNT, gradients=len(gradients), inputs=len(self.arrays))
        return [form_of(g, x) for g, x in zip(gradients, self.arrays, strict=True)]

    @functools.cached_property
    def noise(self) -> list[float]:
        """How much of each gradient may be round-off: the last digits of what cancelled in it."""
        size = float(weighed(np.abs(flat(self.recorded.outputs)), np.abs(self.weights)))
        size = size if np.isfinite(size) else 0.0
        lost = 1e-3 * self.rounding * size
        return [lost / float(np.min(scales_of(x), initial=1.0)) for x in self.arrays]

    @functools.cached_property
    def rounding(self) -> float:
        """How much another order of summation may change, relative to the largest element."""
        computed = [*self.recorded.outputs, *self.gradients]
        narrow = any(y.dtype.itemsize < 8 for y in computed)
        return FLOAT32_ROUNDING if narrow else ROUNDING

    def changed(self, gradients: Sequence[Array]) -> int | None:
        """Give the first gradient that another call like this one gave differently: by a bit.

        A device that adds up in any order may give other last digits.
        """
        if self.subject.adds_in_any_order:
            return self.apart(gradients, self.gradients)
        return first_difference(gradients, self.gradients)

    def has_value(self, outputs: Sequence[Array]) -> bool:
        """Whether another call like this one gave the same value, as ``changed`` says."""
        if first_difference(outputs, self.recorded.outputs) is None:
            return True
        pairs = zip(outputs, self.recorded.outputs, strict=True)
        return self.subject.adds_in_any_order and all(
            _within(np.asarray(IN_ANY_ORDER * np.max(np.abs(y), initial=0.0)), x, y)
            for x, y in pairs
        )

    def apart(
        self, a: Sequence[Array], b: Sequence[Array], sizes: Sequence[Array] | None = None
    ) -> int | None:
        """Give the first position at which two lists of gradients differ by more than rounding.

        That is relative to ``sizes``, those of ``b`` by default.
        """
        triples = enumerate(zip(a, b, b if sizes is None else sizes, strict=True))
        return next((i for i, (x, y, size) in triples if self.differ(x, y, i, size)), None)

    def differ(self, x: Array, y: Array, i: int, size: Array | None = None) -> bool:
        """Whether two gradients by the ``i``-th input differ by more than rounding.

        Where it looks like more, it is measured how much round-off there is: a function may
        compute in float32 inside.

        Raises
        ------
        Drowned
            They differ, but by less than the last digits of numbers that are computed with.
        """
        if np.array_equal(x, y):
            return False
        size = y if size is None else size
        largest = float(np.max(np.abs(size[np.isfinite(size)]), initial=0.0))
        allowed = self.rounding * (largest + np.abs(y)) + self.noise[i]
        if _within(allowed, x, y) or _within(
            allowed + SCATTER * self._round_off.gradients[i], x, y
        ):
            return False
        # what cancels in float32 need not scatter
        in_float32 = FLOAT32_ROUNDING * (largest + np.abs(y)) + NARROWER * self.noise[i]
        if self._round_off.is_full and _within(in_float32, x, y):
            return False
        if not self.is_tame and _within(np.full(y.shape, self.last_digit), x, y):
            raise Drowned
        return True

    @property
    def last_digit(self) -> float:
        """The last digit of numbers near 1, or of the largest input, in the upstream."""
        sizes = (float(np.max(np.abs(x), initial=1.0)) for x in self.arrays)
        return float(np.finfo(np.float64).eps) * max(sizes) * float(np.sum(np.abs(self.weights)))

    @functools.cached_property
    def _round_off(self) -> Noise:
        """The round-off of values and gradients, as it was measured."""
        generator = np.random.default_rng(0)
        directions = [direction_like(x, generator) for x in self.arrays]
        return self.measurer.noise(directions, self.upstreams)

    def failed(self, kind: Kind, i: int, **facts: Any) -> Judgement:
        """A property does not hold of the gradient by the ``i``-th input."""
        return failed(kind, self.subject.site(i), **facts)


def _within(allowed: Array, a: Array, b: Array) -> bool:
    """Whether two arrays are the same but for what is allowed, in every element."""
    with np.errstate(invalid="ignore"):  # the difference of infinities
        near = np.abs(np.asarray(a) - b) <= allowed
    return bool(np.all(near | (a == b) | (np.isnan(a) & np.isnan(b))))
