"""A small constant of the forward function that the gradient leaves out: ``log(p + 1e-7)``.

Such a gradient is the right one of a point nearby, the constant away.  Where the constant stands
deeper inside (``sqrt(var + 1e-5)``) no one point is, but the gradient is that of the function
without the constant; where that has no text, the constant counts for less as inputs grow.

Not for: whether the gradient is wrong; it is (``trial.py``).
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tinygrad_lab.testing.judging.arrays import Array
from tinygrad_lab.testing.judging.judgement import Evidence
from tinygrad_lab.testing.judging.numerical import Estimate, direction_like
from tinygrad_lab.testing.judging.point import Point
from tinygrad_lab.testing.judging.slope import Measurer, promised
from tinygrad_lab.testing.judging.small_constants import (
    LARGEST,
    SMALLEST,
    small_constants,
    without,
)
from tinygrad_lab.testing.judging.subject import Subject

EXPLAINED = 0.03  # of a difference may be left where a constant explains it
GROWTH = (1.0, 4.0, 16.0)  # times the inputs
POWERS = (1, 2)  # of the inputs, by which what is left out counts for less
MOST = 12  # constants that are tried
AGREES = 1e-7  # relative; what a gradient is off by without the constant
BESIDE = (1.25, 0.75)  # times the inputs: where a constant has to explain the difference as well


@dataclass(frozen=True)
class LeftOut:
    """A constant that a gradient leaves out; None where it cannot be told which."""

    constant: float | None = None
    is_beside_input: bool = True  # and not deeper inside


def constant_left_out(evidence: Evidence, i: int, is_nearly_right: bool = True) -> LeftOut | None:
    """Find out whether a small constant in the forward explains a wrong gradient by an input.

    Where it is wrong by much, beside something that is smaller than the constant, its text tells.
    """
    look = _Gaps(evidence, i)
    try:
        constant = _shift(look) if is_nearly_right else None
        if constant is not None:
            return LeftOut(constant)
        constant = _written(evidence, i)
        if constant is not None:
            return LeftOut(constant, is_beside_input=False)
        return LeftOut() if is_nearly_right and _fades(look) else None
    except (ArithmeticError, ValueError):  # the function need not be defined beside the point
        return None


def _written(evidence: Evidence, i: int) -> float | None:
    """Find the constant in the text of the function without which the gradient is right."""
    point, climbed = evidence.point, evidence.climb
    directions = [np.zeros(x.shape) for x in point.arrays]
    directions[i] = direction_like(point.arrays[i], point.generator)
    analytic, _ = promised(evidence.gradients, directions)

    def measured(subject: Subject) -> Estimate:
        measurer = Measurer(subject, point.arrays, subject.evaluate(point.arrays).outputs)
        ladder = measurer.climb(directions, climbed.ladder.steps[0]).ladder
        return ladder.slope(evidence.weights)

    here = measured(point.subject)
    for constant in small_constants(point.subject.fn)[:MOST]:
        subject = copy.copy(point.subject)
        subject.fn = without(point.subject.fn, constant)
        there = measured(subject)
        gap, left = (abs(slope.value - analytic) for slope in (here, there))
        if gap > 20 * here.error and left <= AGREES * abs(there.value) + 5 * there.error:
            return constant
    return None


class _Gaps:
    """How far promised slopes by one input are from the measured ones, here and nearby."""

    def __init__(self, evidence: Evidence, i: int) -> None:
        self.point: Point = evidence.point
        self.upstreams, self.weights, self.input = evidence.upstreams, evidence.weights, i
        self.first = evidence.climb.ladder.steps[0]  # that did not leave the domain
        self.direction = direction_like(self.point.arrays[i], self.point.generator)

    def measured(self, factor: float) -> Estimate:
        """Measure the slope where all inputs are larger by a factor."""
        arrays = self._at(factor)
        directions = [np.zeros(x.shape) for x in arrays]
        directions[self.input] = factor * self.direction
        outputs = self.point.subject.evaluate(arrays).outputs
        measurer = Measurer(self.point.subject, arrays, outputs)
        slope = measurer.climb(directions, self.first).ladder.slope(self.weights)
        return Estimate(slope.value / factor, slope.error / factor)

    def promised(self, factor: float, shift: float = 0.0) -> float:
        """Give the slope that is promised there, or a constant away from it."""
        arrays = self._at(factor)
        arrays[self.input] = arrays[self.input] + shift
        gradients = self.point.pulled(self.upstreams, self.point.fresh(arrays))
        return promised([gradients[self.input]], [self.direction])[0]

    def _at(self, factor: float) -> list[Array]:
        return [factor * x for x in self.point.arrays]


def _shift(look: _Gaps) -> float | None:
    """Find the constant that, added to the input, makes the promised slopes the measured ones."""
    here = look.measured(1.0)
    gap = here.value - look.promised(1.0)
    step = 1e-3 * float(np.min(np.abs(look.point.arrays[look.input]), initial=1.0)) or 1e-6
    constant = 0.0
    for h in (step, step * 1e-3):  # the second time around where the first has led
        rise = look.promised(1.0, constant + h) - look.promised(1.0, constant)
        if not rise:
            return None
        constant += (here.value - look.promised(1.0, constant)) * h / rise
    if not SMALLEST < constant < LARGEST or abs(gap) <= 20 * here.error:
        return None
    for factor in BESIDE:
        there = look.measured(factor)
        without = there.value - look.promised(factor)
        left = abs(there.value - look.promised(factor, constant))
        if abs(without) <= 20 * there.error or left > EXPLAINED * abs(without) + 5 * there.error:
            return None
    return constant


def _fades(look: _Gaps) -> bool:
    """Whether the relative error falls with a power of the inputs, as that of a constant does."""
    errors: list[float] = []
    for factor in GROWTH:
        there = look.measured(factor)
        off = abs(there.value - look.promised(factor))
        if not off > 20 * there.error or not there.value:
            return False
        errors.append(off / abs(there.value))
    return _has_a_power(errors)


def _has_a_power(errors: Sequence[float]) -> bool:
    falls = [math.log(a / b, GROWTH[1]) for a, b in itertools.pairwise(errors)]
    return any(all(abs(fall - power) < 0.1 for fall in falls) for power in POWERS)
