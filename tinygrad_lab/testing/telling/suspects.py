"""Which of the calls inside a function is wrong by itself, where each can be looked at alone.

A library does not say what flows between its operations, but a derivative by hand inside a
function (``torch.autograd.Function``, ``custom_vjp``, ``primitive``) can be called by itself, on
what it was called with.

Not for: functions of Tensors, of which the ledger accounts for every operation (``ledger.py``).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from tinygrad_lab.testing.judging.arrays import frozen
from tinygrad_lab.testing.judging.judgement import FAIL, Judgement, Kind, Misbehaved, failed
from tinygrad_lab.testing.judging.point import Point
from tinygrad_lab.testing.judging.properties import PROPERTIES
from tinygrad_lab.testing.judging.subject import Inside

MOST = 32  # so many calls are looked at


class Suspect(NamedTuple):
    """A call that is wrong by itself."""

    inside: Inside
    number: int  # which call it was, from 1
    judgement: Judgement


def guilty(point: Point, label: str) -> tuple[list[Suspect], int]:
    """Find the calls that are wrong by themselves, one of each line; and how many there are."""
    calls: list[Inside] = []
    with contextlib.suppress(Exception):  # what cannot be looked into has no suspects
        calls = point.subject.called(point.arrays)
    suspects: dict[str, Suspect] = {}
    for number, inside in enumerate(calls[:MOST], start=1):
        if inside.rule.site.line not in suspects:
            for judgement in _failures(inside, label, point):
                suspects[inside.rule.site.line] = Suspect(inside, number, judgement)
                break
    return list(suspects.values()), len(calls)


def _failures(inside: Inside, label: str, outer: Point) -> Iterator[Judgement]:
    """Look at the property that failed, and at what makes the others of a call meaningless."""
    subject, arrays = inside.subject, [np.array(x, dtype=np.float64) for x in inside.arrays]
    try:
        recorded = subject.record([frozen(x) for x in arrays])
        generator = np.random.default_rng(0)
        ups = [np.asarray(generator.uniform(0.5, 1.5, y.shape), y.dtype) for y in recorded.outputs]
        alone = replace(
            outer, subject=subject, arrays=arrays, recorded=recorded, upstreams=ups,
            generator=generator,
        )  # fmt: skip
        for name in dict.fromkeys(("well_formed", "finite", label, "directional")):
            holds = PROPERTIES.get(name)
            judgement = None if holds is None else holds(alone)
            if judgement is not None and judgement.verdict == FAIL:
                yield judgement
    except Misbehaved as error:
        yield error.judgement
    except Exception as error:  # noqa: BLE001 - it is what is looked for
        yield failed(Kind.RAISES, error=error, backward=True)
