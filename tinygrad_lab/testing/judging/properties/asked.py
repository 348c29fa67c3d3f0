"""Less asked for: the gradient by some inputs only, of some results only; and what is kept for it.

A rule that is told what is asked for may look at it, and go wrong only where it is less than all.

Not for: what is asked for as a whole (``calls.py``, ``numbers.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tinygrad_lab.testing.judging.forms import form_of
from tinygrad_lab.testing.judging.judgement import (
    Judgement,
    Kind,
    Misbehaved,
    Reason,
    failed,
    passed,
    skipped,
)
from tinygrad_lab.testing.judging.point import Point

SUBSETS = 8  # so many are looked at: each input alone where there are few, halves of more


def subsets(point: Point) -> Judgement:
    """The gradient by some of the inputs is what it is among those by all of them."""
    number = len(point.arrays)
    if number < 2:
        return skipped(Reason.ONE_INPUT)
    if not point.subject.told_inputs:
        return skipped(Reason.COMPUTES_ALL)
    for wanted in _some(number):
        subject = point.subject.by_some(wanted, point.arrays)
        expected = [point.gradients[i] for i in wanted]
        try:
            recorded = subject.record([point.hand(point.arrays[i]) for i in wanted])
        except Misbehaved as error:
            if error.judgement.kind is not Kind.UNTRACKED:
                raise
            gradients: list[Any] = [np.zeros_like(e) for e in expected]  # nothing depends on these
        else:
            gradients = recorded.pull([point.hand(u) for u in point.upstreams])
        for i, g, e in zip(wanted, gradients, expected, strict=True):
            if point.differ(form_of(g, point.arrays[i]).array, e, i):
                names = [point.subject.names[k] for k in wanted]
                return point.failed(Kind.SUBSET, i, wanted=names)
    return passed()


def _some(number: int) -> Sequence[list[int]]:
    """Choose subsets: each input alone, and all but each; of many, intervals of them."""
    size = max(1, -(-2 * number // SUBSETS))
    blocks = [list(range(k, min(k + size, number))) for k in range(0, number, size)]
    others = [[i for i in range(number) if i not in block] for block in blocks]
    return [*blocks, *others] if number > 2 else blocks


def unused_results(point: Point) -> Judgement:
    """A result that nobody uses counts as one with an upstream of zero."""
    if len(point.upstreams) < 2:
        return skipped(Reason.ONE_OUTPUT)
    if not point.subject.told_results:
        return skipped(Reason.COMPUTES_ALL)
    for k in range(min(len(point.upstreams), SUBSETS)):
        ups = [u if j == k else np.zeros_like(u) for j, u in enumerate(point.upstreams)]
        some = [point.hand(u) if j == k else None for j, u in enumerate(ups)]
        expected = point.pulled(ups)
        pairs = zip(point.fresh().pull(some), point.arrays, strict=True)
        i = point.apart([form_of(g, x).array for g, x in pairs], expected)
        if i is not None:
            return point.failed(Kind.UNUSED_RESULT, i, used=k)
    return passed()


def kept_tensors(point: Point) -> Judgement:
    """Nobody can write into what the way back needs without its being noticed."""
    every = point.subject.unguarded(point.arrays, point.upstreams)
    about = {
        kept: failed(Kind.KEPT, kept.site, owner=kept.owner, kept=kept.name, whose=kept.whose)
        for kept in every
    }
    wrong = next((kept for kept in every if kept.goes_wrong), None)
    if wrong is not None:
        return replace(about[wrong], facts={**about[wrong].facts, "wrong": True})
    return replace(passed(), notes=tuple(about.values())[:1])
