"""Calls beside each other: the same call again, a second pass, a call in between, ``f(x) + f(x)``.

Not for: one call by itself (``form.py``, ``numbers.py``).
"""

from __future__ import annotations

import random
from typing import Any

import numpy as np

from tinygrad_lab.testing.judging.arrays import first_difference, frozen
from tinygrad_lab.testing.judging.judgement import Judgement, Kind, Reason, failed, passed, skipped
from tinygrad_lab.testing.judging.numerical import scales_of
from tinygrad_lab.testing.judging.point import Point
from tinygrad_lab.testing.judging.subject import TensorSubject
from tinygrad_lab.transforms.containers import leaves


def repeatable(point: Point) -> Judgement:
    """The same call gives the same bits again, the function and its gradient."""
    again = point.fresh()
    if first_difference(again.outputs, point.recorded.outputs) is not None:
        return failed(Kind.RANDOM if _draws_from_a_generator(point) else Kind.GLOBAL_STATE)
    i = first_difference(point.pulled(point.upstreams, again), point.gradients)
    return passed() if i is None else point.failed(Kind.NOT_REPEATABLE, i)


def _draws_from_a_generator(point: Point) -> bool:
    """Tell a function that draws random numbers from one that remembers."""
    numpys, pythons = np.random.get_state(), random.getstate()  # noqa: NPY002 - what users draw from
    first = point.fresh().outputs
    np.random.set_state(numpys)  # noqa: NPY002
    random.setstate(pythons)
    return first_difference(first, point.fresh().outputs) is None


def second_backward(point: Point) -> Judgement:
    """Pulling back twice through one call gives the same twice."""
    i = first_difference(point.pulled(point.upstreams, point.recorded), point.gradients)
    return passed() if i is None else point.failed(Kind.SECOND_BACKWARD, i)


def interleaved(point: Point) -> Judgement:
    """Two calls do not share state: a later one leaves the earlier one's gradient alone."""
    other = [x + scales_of(x) * 2.0**-6 for x in point.arrays]
    first = point.fresh()
    with np.errstate(all="ignore"):
        try:
            second = point.fresh(other)
        except Exception:  # noqa: BLE001 - the function need not be defined there
            return skipped(Reason.NOT_DEFINED_NEARBY)
    between = [g.copy() for g in point.pulled(point.upstreams, first)]
    with np.errstate(all="ignore"):
        second.pull(point.upstreams)
    i = first_difference(between, point.gradients)
    if i is None:
        i = first_difference(point.pulled(point.upstreams, first), point.gradients)
    return passed() if i is None else point.failed(Kind.SHARED_STATE, i)


def fan_out(point: Point) -> Judgement:
    """What is used twice gets twice the gradient: ``f(x) + f(x)``."""
    subject = point.subject
    if not isinstance(subject, TensorSubject):
        return skipped(Reason.NOT_OF_TENSORS)

    def twice(*args: Any) -> list[Any]:
        ys = [[y for _, y in leaves(subject.fn(*args))] for _ in range(2)]
        return [a + b for a, b in zip(*ys, strict=True)]

    double = TensorSubject(twice, subject.args, subject.name)
    gradients = point.pulled(point.upstreams, double.record([frozen(x) for x in point.arrays]))
    i = point.apart(gradients, [2 * np.asarray(g) for g in point.gradients])
    return passed() if i is None else point.failed(Kind.FAN_OUT, i)
