"""The form of gradients: count, shape, dtype, memory, and what memory and dtype must not change.

Not for: their numbers (``numbers.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tinygrad_lab.testing.judging.arrays import Array, flat
from tinygrad_lab.testing.judging.forms import form_of
from tinygrad_lab.testing.judging.judgement import Judgement, Kind, Reason, passed, skipped
from tinygrad_lab.testing.judging.point import Point
from tinygrad_lab.testing.judging.slope import branches, same_branches
from tinygrad_lab.testing.judging.subject import TensorSubject

FLOAT32_UNDERFLOW = 1e-30  # what is smaller has lost its digits, or all of it


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


def float32(point: Point) -> Judgement:
    """From float32 inputs come float32 gradients, near those of float64."""
    narrow = [x.astype(np.float32) for x in point.arrays]
    try:
        call = point.fresh(narrow)
    except Exception:  # noqa: BLE001 - nor need it; each library says so in its own way
        return skipped(Reason.NO_FLOAT32)
    ups = [u.astype(y.dtype) for u, y in zip(point.upstreams, call.outputs, strict=True)]
    try:
        gradients = call.pull([point.hand(u) for u in ups])
    except (ArithmeticError, ValueError, RuntimeError) as error:
        # float32 overflows sooner, and the user has that raise; or a matrix is singular in it
        if isinstance(error, ArithmeticError) or type(error).__name__ == "LinAlgError":
            return skipped(Reason.BEYOND_FLOAT32)
        raise
    native = any(y.dtype == np.float32 for y in call.outputs)
    if not native and not isinstance(point.subject, TensorSubject):
        return skipped(Reason.COMPUTES_IN_FLOAT64)
    # of a gradient whose form is another one anyway, that has been said
    forms = [(i, form_of(g, narrow[i])) for i, g in enumerate(gradients)]
    other = [(i, f) for i, f in forms if f.kind is Kind.DTYPE and point.forms[i].kind is None]
    lenient = {"harmless": True} if point.is_lenient else {}
    notes = tuple(
        point.failed(Kind.DTYPE, i, dtype=form.facts["dtype"], **lenient) for i, form in other
    )
    if notes and not point.is_lenient:
        return notes[0]
    if not native:
        return replace(passed(reason=Reason.RESULT_IN_FLOAT64), notes=notes)
    near = _near_float64(point, call.outputs, [form.array for _, form in forms], ups)
    return replace(near, notes=notes)


def _near_float64(
    point: Point, outputs: Sequence[Array], gradients: Sequence[Array], ups: Sequence[Array]
) -> Judgement:
    """Compare what came of float32 inputs with what comes of the same numbers in float64."""
    narrow = [x.astype(np.float32) for x in point.arrays]
    call = point.fresh([x.astype(np.float64) for x in narrow])
    expected = point.pulled([u.astype(np.float64) for u in ups], call)
    if not _alike(outputs, call.outputs):
        return passed()
    noise = 100 * float(np.finfo(np.float32).eps * np.abs(flat(outputs)) @ np.abs(flat(ups)))
    for i, (g, e) in enumerate(zip(gradients, expected, strict=True)):
        allowed = 1e-2 * float(np.max(np.abs(e), initial=0.0)) + noise + FLOAT32_UNDERFLOW
        off = np.abs(g - e)
        if not np.all(np.isfinite(e)) or np.all(off <= allowed):
            continue
        if not np.all(off <= allowed + _sensitivity(point, narrow, ups, i)):
            if not _suits_float32(*narrow, *expected, *call.outputs):
                return skipped(Reason.BEYOND_FLOAT32)
            return point.failed(Kind.FLOAT32, i, narrow=np.ravel(g), wide=e.ravel())
    return passed()


def _suits_float32(*arrays: Array) -> bool:
    """Whether float32 has room for squares and exponentials of numbers, and for their inverses."""
    sizes = np.abs(flat(arrays))
    return bool(np.all((sizes == 0) | ((sizes > 1e-6) & (sizes < 1e3))))


def _alike(narrow: Sequence[Array], wide: Sequence[Array]) -> bool:
    """Whether the values, at least, are finite and about the same in float32."""
    a, b = flat(narrow), flat(wide)
    finite = np.all(np.isfinite(a)) and np.all(np.isfinite(b))
    return bool(finite and np.all(np.abs(a - b) <= 1e-2 * np.max(np.abs(b), initial=0.0)))


def _sensitivity(point: Point, narrow: Sequence[Array], ups: Sequence[Array], i: int) -> float:
    """Say how much a gradient changes where the inputs change by float32's round-off near 1."""
    eps = float(np.finfo(np.float32).eps)
    wide = [x.astype(np.float64) for x in narrow]
    # absolute where an input is small, because ``1 + x`` rounds ``x`` there
    moves = [point.generator.uniform(-8, 8, x.shape) * eps * np.maximum(np.abs(x), 1) for x in wide]
    moved = [x + step for x, step in zip(wide, moves, strict=True)]
    change = 0.0
    for dtype in (np.float64, np.float32):
        cast = [u.astype(dtype) for u in ups]
        a, b = (
            point.pulled(cast, point.fresh([x.astype(dtype) for x in xs]))[i]
            for xs in (wide, moved)
        )
        change = max(change, float(np.max(np.abs(a - b), initial=0.0)))
    return 30 * change if np.isfinite(change) else np.inf
