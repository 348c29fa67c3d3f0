"""What float32 makes of a gradient: its dtype, and numbers near those of float64.

A formula may lose all of its digits in float32 (``1 - cos(x)``), or leave its range (``exp(90)``),
and be right.  What it loses changes from point to point, and is gone where numbers are tame; a
mistake stays.

Not for: dtypes in float64 (``form.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tinygrad_lab.testing.judging.arrays import Array, flat
from tinygrad_lab.testing.judging.forms import form_of
from tinygrad_lab.testing.judging.judgement import Judgement, Kind, Reason, passed, skipped
from tinygrad_lab.testing.judging.point import Point
from tinygrad_lab.testing.judging.subject import TensorSubject
from tinygrad_lab.testing.judging.tamer import tamer

UNDERFLOW = 1e-30  # what is smaller has lost its digits, or all of it
FAR = 1e-2  # relative to the largest element
BESIDE = (2.0**-6, -0.7 * 2.0**-6)  # relative to the inputs, or to 1 where they are larger
EPS = float(np.finfo(np.float32).eps)


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
    return replace(near, notes=(*notes, *near.notes))


def _near_float64(
    point: Point, outputs: Sequence[Array], gradients: Sequence[Array], ups: Sequence[Array]
) -> Judgement:
    """Compare what came of float32 inputs with what comes of the same numbers in float64."""
    wide = [x.astype(np.float32).astype(np.float64) for x in point.arrays]
    call = point.fresh(wide)
    expected = point.pulled([u.astype(np.float64) for u in ups], call)
    if not _alike(outputs, call.outputs):
        return passed()
    noise = 100 * EPS * float(np.abs(flat(outputs)) @ np.abs(flat(ups)))
    for i, (g, e) in enumerate(zip(gradients, expected, strict=True)):
        allowed = FAR * float(np.max(np.abs(e), initial=0.0)) + noise + UNDERFLOW
        off = np.abs(g - e)
        if not np.all(np.isfinite(e)) or np.all(off <= allowed):
            continue
        if not np.all(off <= allowed + _sensitivity(point, wide, ups, i)):
            far = point.failed(Kind.FLOAT32, i, narrow=np.ravel(g), wide=e.ravel())
            return far if _stays(point, i) else _rounded(far)
    return passed()


def _rounded(far: Judgement) -> Judgement:
    """Note what float32 leaves of a gradient that is right, but for its digits or its range."""
    note = replace(far, facts={**far.facts, "harmless": True})
    return replace(skipped(Reason.BEYOND_FLOAT32), notes=(note,))


def _stays(point: Point, i: int) -> bool:
    """Whether a gradient in float32 is as far off beside the point, and where numbers are tamer."""
    here = _off(point, point.arrays, i)
    beside = [
        _off(point, [x + step * np.clip(x, -1, 1) for x in point.arrays], i) for step in BESIDE
    ]
    if here is None or any(there is None or not _is_like(there, here) for there in beside):
        return False
    tame = [_off(there, there.arrays, i) for there in tamer(point)]
    return any(there is not None and np.max(np.abs(there), initial=0.0) > FAR for there in tame)


def _is_like(there: Array, here: Array) -> bool:
    return bool(np.max(np.abs(there - here), initial=0.0) <= np.max(np.abs(here), initial=0.0) / 2)


def _off(point: Point, arrays: Sequence[Array], i: int) -> Array | None:
    """Say by how much the elements are off in float32, relative to the largest.

    None where there is no telling: the function is not defined, or its values differ as well.
    """
    try:
        calls = [
            point.fresh([x.astype(np.float32).astype(dtype) for x in arrays])
            for dtype in (np.float32, np.float64)
        ]
        g, e = (
            point.pulled(
                [u.astype(y.dtype) for u, y in zip(point.upstreams, call.outputs, strict=True)],
                call,
            )[i]
            for call in calls
        )
    except Exception:  # noqa: BLE001 - each library says so in its own way
        return None
    if not _alike(*(call.outputs for call in calls)) or not np.all(np.isfinite(e)):
        return None
    off = (g - e) / (float(np.max(np.abs(e), initial=0.0)) or 1.0)
    return np.where(np.isfinite(off), off, 1.0)


def _alike(narrow: Sequence[Array], wide: Sequence[Array]) -> bool:
    """Whether the values, at least, are finite and about the same in float32."""
    a, b = flat(narrow), flat(wide)
    finite = np.all(np.isfinite(a)) and np.all(np.isfinite(b))
    return bool(finite and np.all(np.abs(a - b) <= FAR * np.max(np.abs(b), initial=0.0)))


def _sensitivity(point: Point, wide: Sequence[Array], ups: Sequence[Array], i: int) -> float:
    """Say how much a gradient changes where the inputs change by float32's round-off near 1."""
    # absolute where an input is small, because ``1 + x`` rounds ``x`` there
    moves = [point.generator.uniform(-8, 8, x.shape) * EPS * np.maximum(np.abs(x), 1) for x in wide]
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
