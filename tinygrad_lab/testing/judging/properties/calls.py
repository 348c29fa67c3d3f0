"""Calls and pullbacks beside each other: the same again, one in between, multiples and sums.

Not for: one call by itself (``form.py``, ``numbers.py``).
"""

from __future__ import annotations

import contextlib
import functools
from dataclasses import replace
from typing import Any

import numpy as np

from tinygrad_lab.core.modes import no_grad
from tinygrad_lab.testing.judging.accusing import is_a_write
from tinygrad_lab.testing.judging.arrays import Array
from tinygrad_lab.testing.judging.judgement import Judgement, Kind, Reason, failed, passed, skipped
from tinygrad_lab.testing.judging.numerical import scales_of
from tinygrad_lab.testing.judging.point import Point
from tinygrad_lab.testing.judging.randomness import source_of
from tinygrad_lab.testing.judging.subject import TensorSubject
from tinygrad_lab.transforms.containers import leaves


def repeatable(point: Point) -> Judgement:
    """The same call gives the same bits again, the function and its gradient."""
    again = point.fresh()
    if not point.has_value(again.outputs):
        source = source_of(point.subject.fn, lambda: point.fresh().outputs)
        return failed(Kind.GLOBAL_STATE) if source is None else failed(Kind.RANDOM, source=source)
    i = point.changed(point.pulled(point.upstreams, again))
    return passed() if i is None else point.failed(Kind.NOT_REPEATABLE, i)


def second_backward(point: Point) -> Judgement:
    """Pulling back twice through one call gives the same twice."""
    try:
        i = point.changed(point.pulled(point.upstreams, point.recorded))
    except Exception as error:
        if not point.is_lenient or is_a_write(error):
            raise
        # no wrong number comes of it, and what is kept of a call may go with its backward pass
        point.pulls_once = True
        return replace(passed(), notes=(failed(Kind.SECOND_BACKWARD, error=error),))
    point.pulls_once = point.pulls_once or i is not None
    return passed() if i is None else point.failed(Kind.SECOND_BACKWARD, i)


def interleaved(point: Point) -> Judgement:
    """Two calls do not share state: a later one leaves the earlier one's gradient alone."""
    other = [x + scales_of(x) * 2.0**-6 for x in point.arrays]
    first = point.fresh()
    try:
        second = point.fresh(other)
    except Exception:  # noqa: BLE001 - the function need not be defined there
        return skipped(Reason.NOT_DEFINED_NEARBY)
    between = point.pulled(point.upstreams, first)
    with contextlib.suppress(Exception):  # nor need its gradient be
        point.pulled(point.upstreams, second)
    i = point.changed(between)
    if i is None and not point.pulls_once:
        i = point.changed(point.pulled(point.upstreams, first))
    return _used_again(point) if i is None else point.failed(Kind.SHARED_STATE, i)


def _of_another_sign(x: Array) -> Array:
    """Give numbers of another sign and size in every place."""
    return np.where(x > 0, -1.0, 1.0) - 1.5 * x


def _used_again(point: Point) -> Judgement:
    """An object that has been used before gives the gradients of a new one."""
    other = [_of_another_sign(x) for x in point.arrays]
    handed = [[point.hand(x) for x in xs] for xs in (other, point.arrays, point.upstreams)]
    try:
        reuse = point.subject.used_again(*handed)
    except Exception:  # noqa: BLE001 - it need not be defined there, nor be made to be used twice
        return passed()
    # a value that depends on what was before may do so: running statistics, random numbers
    if reuse is None or not point.has_value(reuse.outputs):
        return passed()
    before, gradients = point.arrays_of(reuse.before), point.arrays_of(reuse.gradients)
    i = point.apart(gradients, point.gradients)
    if i is None:
        return passed()
    sums = [a + b for a, b in zip(before, point.gradients, strict=True)]
    if not point.differ(gradients[i], sums[i], i):
        grows = point.failed(Kind.SHARED_STATE, i, adds_up=True, harmless=True)
        return replace(passed(), notes=(grows,))
    return point.failed(Kind.SHARED_STATE, i, used_before=True)


def changed_inputs(point: Point) -> Judgement:
    """What is written into the inputs after a call is no part of that call's gradient."""
    call = point.fresh()
    if not call.tensors:
        return skipped(Reason.NOT_OF_TENSORS)
    with no_grad():
        for t, x in zip(call.tensors, point.arrays, strict=True):
            t[...] = _of_another_sign(x)
    try:
        gradients = point.pulled(point.upstreams, call)
    except Exception as error:  # noqa: BLE001 - it did not at the values of the call
        return failed(Kind.READS_LATE, error=error)
    i = point.changed(gradients)
    return passed() if i is None else point.failed(Kind.READS_LATE, i)


def fan_out(point: Point) -> Judgement:
    """What is used twice gets twice the gradient: ``f(x) + f(x)``."""
    subject = point.subject
    if not isinstance(subject, TensorSubject):
        return skipped(Reason.NOT_OF_TENSORS)

    def twice(*args: Any) -> list[Any]:
        ys = [[y for _, y in leaves(subject.fn(*args))] for _ in range(2)]
        return [a + b for a, b in zip(*ys, strict=True)]

    double = TensorSubject(twice, subject.args, subject.name)
    gradients = point.pulled(point.upstreams, double.record([point.hand(x) for x in point.arrays]))
    i = point.apart(gradients, [2 * np.asarray(g) for g in point.gradients])
    return passed() if i is None else point.failed(Kind.FAN_OUT, i)


def linear_in_upstream(point: Point) -> Judgement:
    """A pullback is linear: in multiples, in sums, in the sign; nothing in, nothing out."""
    if any(not np.all(np.isfinite(g)) for g in point.gradients):
        return skipped(Reason.GRADIENT_NOT_FINITE)
    if not point.has_finite_value:
        return skipped(Reason.VALUE_NOT_FINITE)
    ups, once = point.upstreams, point.gradients
    others = [np.asarray(point.generator.integers(-8, 9, u.shape) / 8.0) for u in ups]
    zero = point.pulled([0.0 * u for u in ups], point.recorded)
    i = next((i for i, g in enumerate(zero) if np.any(g != 0)), None)
    if i is not None:
        return point.failed(Kind.NONLINEAR, i, at_zero=True)
    for factor in (-1.0, 4.0):
        scaled = point.pulled([factor * u for u in ups], point.recorded)
        i = point.apart(scaled, [factor * g for g in once])
        if i is not None:
            facts = {"sign": True} if factor < 0 else {}
            if np.allclose(scaled[i], once[i]):
                facts["constant"] = True
            elif np.allclose(scaled[i], factor * factor * once[i]):
                facts["quadratic"] = True
            return point.failed(Kind.NONLINEAR, i, **facts)
    separate = point.pulled(others, point.recorded)
    both = point.pulled([u + w for u, w in zip(ups, others, strict=True)], point.recorded)
    pairs = list(zip(once, separate, strict=True))
    sizes = [np.abs(x) + np.abs(y) for x, y in pairs]
    i = point.apart(both, [x + y for x, y in pairs], sizes)
    return passed() if i is None else point.failed(Kind.NONLINEAR, i, of_sums=True)


def partial_upstream(point: Point) -> Judgement:
    """Of several outputs, the gradients of each alone add up to the gradient of all."""
    if len(point.upstreams) < 2:
        return skipped(Reason.ONE_OUTPUT)
    parts = []
    for k in range(len(point.upstreams)):
        ups = [u if j == k else np.zeros_like(u) for j, u in enumerate(point.upstreams)]
        parts.append(point.pulled(ups))
    total = [functools.reduce(np.add, each) for each in zip(*parts, strict=True)]
    i = point.apart(total, point.gradients)
    return passed() if i is None else point.failed(Kind.PARTIAL_UPSTREAM, i)
