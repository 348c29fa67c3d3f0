"""The form of gradients: count, shape, dtype, memory, and what memory must not change.

Not for: their numbers (``numbers.py``), or what float32 makes of them (``narrow.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tinygrad_lab.testing.judging.arrays import Array
from tinygrad_lab.testing.judging.judgement import Judgement, Kind, passed
from tinygrad_lab.testing.judging.point import Point
from tinygrad_lab.testing.judging.slope import branches, same_branches


def well_formed(point: Point) -> Judgement:
    """There is one gradient for each input, of its shape, of floats."""
    faults: list[Judgement] = []
    notes: list[Judgement] = []
    for i, form in enumerate(point.forms):
        is_of_a_step = point.subject.is_for_a_step or form.kind is not Kind.SHAPE
        if form.kind is not None and form.is_harmless and point.is_lenient and is_of_a_step:
            notes.append(point.failed(form.kind, i, harmless=True, **form.facts))
        elif form.kind is not None:
            faults.append(point.failed(form.kind, i, **form.facts))
    worst = replace(faults[0], parts=tuple(faults)) if faults else passed()
    return replace(worst, notes=tuple(notes))


def no_aliasing(point: Point) -> Judgement:
    """A gradient is an array of its own: not the upstream, not an input, not another gradient."""
    ups = [np.array(u) for u in point.upstreams]
    inputs = [np.array(x) for x in point.arrays]
    gradients = point.subject.record(inputs).pull(ups)
    handed: list[tuple[dict[str, Any], Any]] = [({}, u) for u in ups]
    handed += [({"other": point.subject.site(i)}, x) for i, x in enumerate(inputs)]
    earlier: list[tuple[dict[str, Any], Any]] = []
    faults: list[Judgement] = []
    notes: list[Judgement] = []
    for i, g in enumerate(gradients):
        arrays = isinstance(g, np.ndarray)
        of_the_caller = [whose for whose, x in handed if arrays and np.shares_memory(g, x)]
        of_a_gradient = [whose for whose, x in earlier if arrays and np.shares_memory(g, x)]
        if of_the_caller and point.is_lenient:  # by hand that is usual, and nobody adds to these
            notes.append(point.failed(Kind.ALIASING, i, **of_the_caller[0], harmless=True))
        elif of_the_caller or of_a_gradient:  # two gradients in one array are added to as two
            faults.append(point.failed(Kind.ALIASING, i, **[*of_the_caller, *of_a_gradient][0]))
        earlier.append(({"gradient_by": point.subject.site(i)}, g))
    return replace(faults[0] if faults else passed(), notes=tuple(notes))


LAYOUTS = ("C", "Fortran", "every second element", "reversed")


def layouts_of(x: Array) -> list[Array]:
    """Give the same values in each of the layouts."""
    every: tuple[Any, ...] = (slice(None, None, 2),) * x.ndim
    backwards: tuple[Any, ...] = (..., *(slice(None, None, -1),) * x.ndim)
    spaced = np.zeros(tuple(2 * n for n in x.shape), x.dtype)[..., *every]
    spaced[...] = x
    flipped = np.array(x[backwards])
    return [np.array(x, order="C"), np.array(x, order="F"), spaced, flipped[backwards]]


def layouts(point: Point) -> Judgement:
    """The memory layout of inputs and upstreams does not matter, stride 0 included."""
    kinds = [layouts_of(x) for x in point.arrays]
    ups = [layouts_of(u) for u in point.upstreams]
    for turn in range(1, 4):
        chosen, of_upstream = [(turn + i) % 4 for i in range(len(kinds))], (turn + 1) % 4
        arranged = [kind[k] for kind, k in zip(kinds, chosen, strict=True)]
        gradients = point.pulled([u[of_upstream] for u in ups], point.fresh(arranged))
        i = point.apart(gradients, point.gradients)
        if i is not None and not _rounds_over_a_kink(point, arranged):
            names = {"inputs": [LAYOUTS[k] for k in chosen], "upstream": LAYOUTS[of_upstream]}
            return point.failed(Kind.LAYOUT, i, **names)
    thin = [np.broadcast_to(np.asarray(0.75), u.shape) for u in point.upstreams]
    thick = [np.array(u) for u in thin]
    i = point.apart(point.pulled(thin), point.pulled(thick))
    return passed() if i is None else point.failed(Kind.LAYOUT, i)


def _rounds_over_a_kink(point: Point, arranged: Sequence[Array]) -> bool:
    """Whether another order of summation, as BLAS has for another layout, took another branch."""
    here, there = (
        point.subject.evaluate([point.hand(x) for x in xs]) for xs in (point.arrays, arranged)
    )
    near = [
        np.allclose(a, b, rtol=point.rounding, atol=point.rounding, equal_nan=True)
        for a, b in zip(here.outputs, there.outputs, strict=True)
    ]
    return all(near) and not same_branches(branches(here.roots), branches(there.roots))
