"""What must hold of a gradient, beyond that the numbers agree.  One small function a property.

Each is given a :class:`Check` (one subject at one point, with its gradients for one upstream),
raises :class:`Found` where the property does not hold, and otherwise says how it was decided.
They stand in the registry from cheap to expensive; ``gradcheck(properties=...)`` chooses.

Not for: running them (``check.py``), or measuring slopes (``measure.py``).
"""

from __future__ import annotations

import functools
import math
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_lab.testing.measure import Measurement, Measurer
from tinygrad_lab.testing.numerical import (
    BAND,
    FIRST_STEP,
    Comparison,
    Estimate,
    climb,
    compare,
    direction_like,
    exact_slope,
    scales_of,
)
from tinygrad_lab.testing.report import FAIL, INCONCLUSIVE, PASS, SKIPPED, Result, shown
from tinygrad_lab.testing.subjects import (
    Arguments,
    Misbehaved,
    Recorded,
    Subject,
    TensorSubject,
    flat,
    frozen,
)
from tinygrad_lab.transforms.derivatives import jvp

__all__ = ["PROPERTIES", "Check", "Found"]

Array = NDArray[Any]
Property = Callable[["Check"], Result]

#: Every property by name, cheap ones first.
PROPERTIES: dict[str, Property] = {}

EXACT = 2.0**-53  # relative: what float64 cannot hold, exact mode cannot see
ROUNDING = 1e-10  # relative: what another order of summation may change
FLOAT32_ROUNDING = 1e-4  # of a function that computes in float32 whatever it is given
FLOAT32_UNDERFLOW = 1e-30  # what is smaller has lost its digits, or all of it
SMALL_JACOBIAN = 6  # up to so many input elements, every entry of the Jacobian is compared
MOST_ROWS = 16  # and up to so many results


class Found(Exception):  # noqa: N818 - carries a finding to whoever runs the properties
    """A property does not hold."""

    def __init__(
        self,
        kind: str,
        text: str,
        *lines: str,
        position: int | None = None,
        measured: Measurement | None = None,
        weights: Array | None = None,
        upstreams: Sequence[Array] | None = None,
        gradients: Sequence[Array] | None = None,
    ) -> None:
        super().__init__(text)
        self.kind, self.text, self.lines, self.position = kind, text, list(lines), position
        self.measured, self.weights = measured, weights
        self.upstreams, self.gradients = upstreams, gradients
        self.inner: Check | None = None  # of the gradient, at second order


class Check:
    """One subject at one point: the inputs, the upstream, the gradients, and what was measured."""

    def __init__(
        self,
        subject: Subject,
        arrays: Sequence[Array],
        recorded: Recorded,
        upstreams: Sequence[Array],
        generator: np.random.Generator,
        order: int,
    ) -> None:
        self.subject, self.generator, self.order = subject, generator, order
        self.arrays = list(arrays)
        self.recorded, self.upstreams = recorded, list(upstreams)
        self.gradients: list[Any] = recorded.pull([frozen(u) for u in upstreams])
        self.measurer = Measurer(subject, arrays, recorded.outputs)

    @property
    def weights(self) -> Array:
        """All upstreams in one row."""
        return flat(self.upstreams)

    def fresh(self, arrays: Sequence[Array] | None = None) -> Recorded:
        """Call the function anew, on read-only inputs."""
        given = self.arrays if arrays is None else arrays
        return self.subject.record([frozen(x) for x in given])

    def pulled(
        self, upstreams: Sequence[Array], recorded: Recorded | None = None
    ) -> list[Array]:
        """Pull read-only upstreams back through a fresh call, or the one that is given."""
        call = recorded or self.fresh()
        return [np.asarray(g) for g in call.pull([frozen(np.asarray(u)) for u in upstreams])]

    @property
    def noise(self) -> list[float]:
        """What of each gradient may be nothing but round-off, however it came about.

        A gradient that vanishes by cancellation is left with the last digits of what cancelled.
        """
        with np.errstate(all="ignore"):
            size = float(np.abs(flat(self.recorded.outputs)) @ np.abs(self.weights))
        size = size if np.isfinite(size) else 0.0
        lost = 1e-3 * self.rounding * size
        return [lost / float(np.min(scales_of(x), initial=1.0)) for x in self.arrays]

    @property
    def rounding(self) -> float:
        """What another order of summation may change, relative to the largest of a gradient."""
        narrow = any(y.dtype.itemsize < 8 for y in self.recorded.outputs)
        return FLOAT32_ROUNDING if narrow else ROUNDING

    def apart(self, a: Sequence[Array], b: Sequence[Array]) -> int | None:
        """Give the first position at which two lists of gradients differ by more than rounding."""
        noise = self.noise
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            size = float(np.max(np.abs(y[np.isfinite(y)]), initial=0.0))
            allowed = self.rounding * size + noise[i]
            if not np.allclose(x, y, rtol=self.rounding, atol=allowed, equal_nan=True):
                return i
        return None

    def place(self, i: int, index: tuple[int, ...]) -> str:
        """Name an element of an input as messages do."""
        args = getattr(self.subject, "args", None)
        where = args.place(i, index) if args else str(list(index))
        return f"{self.subject.names[i]}{where}"

    def label(self, i: int) -> str:
        """Name an input as messages do."""
        name = self.subject.names[i]
        return f"input {i}" if name.startswith("input") else f"input {i} ({name})"


def property_of_gradients(f: Property) -> Property:
    """Enter a function into the registry, under its own name."""
    PROPERTIES[f.__name__] = f
    return f


def _result(name: Property | str, resolution: float | None = None, note: str = "") -> Result:
    label = name if isinstance(name, str) else name.__name__
    return Result(label, PASS, resolution, note)


def _same(a: Sequence[Array], b: Sequence[Array]) -> int | None:
    """Give the first position at which two lists of arrays differ by a bit."""
    pairs = enumerate(zip(a, b, strict=True))
    return next((i for i, (x, y) in pairs if not np.array_equal(x, y, equal_nan=True)), None)


# ---------------------------------------------------------------------------------------------
# Form


@property_of_gradients
def well_formed(check: Check) -> Result:
    """There is one gradient for each input, of its shape, of floats."""
    found = check.gradients
    if len(found) != len(check.arrays):
        counted = f"{len(found)} gradient{'s' * (len(found) != 1)} came back"
        inputs = f"{len(check.arrays)} input{'s' * (len(check.arrays) != 1)}"
        raise Found("count", f"{counted} for {inputs}")
    for i, (g, x) in enumerate(zip(found, check.arrays, strict=True)):
        where = f"gradient by {check.label(i)}"
        if g is None:
            raise Found("missing", f"{where} is None", position=i)
        if not isinstance(g, (np.ndarray, np.generic)) or np.asarray(g).dtype.kind != "f":
            what = getattr(g, "dtype", type(g).__name__)
            raise Found("not float", f"{where} is {what}, not an array of floats", position=i)
        if np.shape(g) != x.shape:
            raise Found(
                "shape",
                f"{where} has shape {np.shape(g)}, the input {x.shape}",
                _shape_hint(np.shape(g), x.shape),
                position=i,
            )
        if g.dtype != x.dtype:
            raise Found(
                "dtype", f"{where} is {g.dtype}, the input {x.dtype}", position=i
            )
    return _result(well_formed)


def _shape_hint(got: tuple[int, ...], wanted: tuple[int, ...]) -> str:
    try:
        widened = np.broadcast_shapes(got, wanted) == got
    except ValueError:
        widened = False
    if widened:
        return "the gradient of a broadcast operand has to be summed over the axes it was stretched"
    if got == wanted[::-1]:
        return "transposed"
    return "a gradient has the shape of what it belongs to"


@property_of_gradients
def repeatable(check: Check) -> Result:
    """The same call gives the same bits again, the function and its gradient."""
    again = check.fresh()
    if _same(again.outputs, check.recorded.outputs) is not None:
        kind, text = _why_it_changes(check)
        raise Found(kind, text)
    i = _same(check.pulled(check.upstreams, again), check.gradients)
    if i is not None:
        raise Found(
            "not repeatable",
            f"gradient by {check.label(i)} is another one the second time",
            "the value is the same: the backward pass is random, or keeps state between calls",
            position=i,
        )
    return _result(repeatable)


def _why_it_changes(check: Check) -> tuple[str, str]:
    """Tell a function that draws random numbers from one that remembers."""
    kept, plain = np.random.get_state(), random.getstate()  # noqa: NPY002 - theirs is looked at
    first = check.fresh().outputs
    np.random.set_state(kept)  # noqa: NPY002
    random.setstate(plain)
    second = check.fresh().outputs
    if _same(first, second) is None:
        return "random", "the function is random: it draws from a global generator at each call"
    return "global state", (
        "the function gives another value at each call: it draws random numbers, or depends on "
        "state outside of its inputs"
    )


@property_of_gradients
def second_backward(check: Check) -> Result:
    """Pulling back twice through one call gives the same twice."""
    i = _same(check.pulled(check.upstreams, check.recorded), check.gradients)
    if i is not None:
        raise Found(
            "second backward",
            f"gradient by {check.label(i)} is another one on a second backward pass",
            "something is kept from the first pass, or was written over by it",
            position=i,
        )
    return _result(second_backward)


@property_of_gradients
def no_aliasing(check: Check) -> Result:
    """A gradient is an array of its own: not the upstream, not an input, not another gradient."""
    ups = [np.array(u) for u in check.upstreams]
    call = check.fresh()
    found = call.pull(ups)
    others = [("the upstream", u) for u in ups]
    others += [(check.label(i), x) for i, x in enumerate(check.arrays)]
    for i, g in enumerate(found):
        for what, other in others:
            if isinstance(g, np.ndarray) and g.size and np.shares_memory(g, other):
                raise Found(
                    "aliasing",
                    f"gradient by {check.label(i)} shares its memory with {what}",
                    "whoever adds to one in place changes the other: return a copy",
                    position=i,
                )
        others.append((f"the gradient by {check.label(i)}", g))
    return _result(no_aliasing)


@property_of_gradients
def finite(check: Check) -> Result:
    """Where the value and the slope are finite, so is the gradient."""
    bad = [i for i, g in enumerate(check.gradients) if not np.all(np.isfinite(g))]
    if not bad:
        return _result(finite)
    if not all(np.all(np.isfinite(y)) for y in check.recorded.outputs):
        return Result("finite", SKIPPED, None, "the value is not finite")
    for i in bad:
        g = np.asarray(check.gradients[i])
        for index in np.argwhere(~np.isfinite(g))[:4]:
            at = tuple(int(k) for k in index)
            directions = [np.zeros(x.shape) for x in check.arrays]
            directions[i][at] = scales_of(check.arrays[i])[at]
            sides = check.measurer.climb(directions, 2.0**-13).ladder
            if not sides.finite:
                continue
            left, right, error = sides.sides()
            slopes = np.concatenate([left, right])
            settled = np.all(np.isfinite(slopes)) and np.all(
                np.tile(error, 2) <= 1e-3 * (1 + np.abs(slopes))
            )
            if settled:
                raise Found(
                    "not finite",
                    f"gradient by {check.label(i)} is {g[at]} where value and slope are finite",
                    f"at {check.place(i, at)} = {check.arrays[i][at]:.6g}: one-sided "
                    f"slopes {left @ check.weights:.6g} and {right @ check.weights:.6g}",
                    position=i,
                )
    return _result(finite, note="the slope is infinite here")


# ---------------------------------------------------------------------------------------------
# The upstream


@property_of_gradients
def linear_in_upstream(check: Check) -> Result:
    """A pullback is linear: in multiples, in sums, in the sign; nothing in, nothing out."""
    if any(not np.all(np.isfinite(g)) for g in check.gradients):
        return Result("linear_in_upstream", SKIPPED, None, "the gradient is not finite")
    if not all(np.all(np.isfinite(y)) for y in check.recorded.outputs):
        return Result("linear_in_upstream", SKIPPED, None, "the value is not finite")
    ups, once = check.upstreams, check.gradients
    others = [np.asarray(check.generator.integers(-8, 9, u.shape) / 8.0) for u in ups]
    zero = check.pulled([0.0 * u for u in ups], check.recorded)
    i = next((i for i, g in enumerate(zero) if np.any(g != 0)), None)
    if i is not None:
        raise Found(
            "nonlinear",
            f"gradient by {check.label(i)} is not zero where the upstream is",
            "the upstream is ignored, or something is added to it",
            position=i,
        )
    for factor, what in ((-1.0, "change sign with"), (4.0, "grow in proportion to")):
        scaled = check.pulled([factor * u for u in ups], check.recorded)
        i = check.apart(scaled, [factor * g for g in once])
        if i is not None:
            raise Found(
                "nonlinear",
                f"gradient by {check.label(i)} does not {what} the upstream",
                _nonlinear_hint(scaled[i], once[i], factor),
                position=i,
            )
    separate = check.pulled(others, check.recorded)
    noise = check.noise
    both = check.pulled([u + w for u, w in zip(ups, others, strict=True)], check.recorded)
    total = [a + b for a, b in zip(once, separate, strict=True)]
    sizes = [np.abs(a) + np.abs(b) for a, b in zip(once, separate, strict=True)]
    for i, (g, expected, size) in enumerate(zip(both, total, sizes, strict=True)):
        allowed = check.rounding * np.max(size, initial=0.0) + noise[i]
        if not np.all(np.abs(g - expected) <= allowed):
            raise Found(
                "nonlinear",
                f"gradient by {check.label(i)} of two upstreams is not the sum of their gradients",
                "the upstream enters through something that is not linear (abs, relu, clip, **2)",
                position=i,
            )
    return _result(linear_in_upstream)


def _nonlinear_hint(scaled: Array, once: Array, factor: float) -> str:
    if np.allclose(scaled, once):
        return "it does not change at all: through abs, **2, or the upstream is not used"
    if np.allclose(scaled, factor * factor * once):
        return "it grows with the square of the upstream"
    return "the upstream enters through something that is not linear (abs, relu, clip, **2)"


@property_of_gradients
def partial_upstream(check: Check) -> Result:
    """Of several outputs, the gradients of each alone add up to the gradient of all."""
    if len(check.upstreams) < 2:
        return Result("partial_upstream", SKIPPED, None, "there is one output")
    parts = []
    for k in range(len(check.upstreams)):
        ups = [u if j == k else np.zeros_like(u) for j, u in enumerate(check.upstreams)]
        parts.append(check.pulled(ups))
    total = [functools.reduce(np.add, each) for each in zip(*parts, strict=True)]
    i = check.apart(total, check.gradients)
    if i is not None:
        raise Found(
            "partial upstream",
            f"gradient by {check.label(i)} of all outputs is not the sum of their own",
            position=i,
        )
    return _result(partial_upstream)


# ---------------------------------------------------------------------------------------------
# The numbers


def _decide(
    name: str,
    measured: Measurement,
    weights: Array,
    gradients: Sequence[Array],
    upstreams: Sequence[Array] | None = None,
) -> Result:
    if measured.verdict == FAIL:
        kind = "subgradient" if measured.note.startswith("kink") else "wrong"
        lines = [measured.note] if measured.note else []
        raise Found(
            kind, "the gradient is wrong", *lines, measured=measured, weights=weights,
            gradients=gradients, upstreams=upstreams,
        )  # fmt: skip
    seen = measured.resolution if math.isfinite(measured.resolution) else None
    return Result(name, measured.verdict, seen, measured.note)


@property_of_gradients
def directional(check: Check) -> Result:
    """Along a direction in which everything moves, the gradient promises the measured slope."""
    if not sum(x.size for x in check.arrays):
        return Result("directional", PASS, None, "no elements")
    return _along("directional", check, [direction_like(x, check.generator) for x in check.arrays])


@property_of_gradients
def tied_direction(check: Check) -> Result:
    """So it does where all elements move by the same amount: ties stay ties."""
    if sum(x.size for x in check.arrays) < 2:
        return Result("tied_direction", SKIPPED, None, "there is one element")
    scale = max(float(np.min(scales_of(x), initial=1.0)) for x in check.arrays)
    return _along("tied_direction", check, [np.full(x.shape, scale) for x in check.arrays])


def _along(name: str, check: Check, directions: Sequence[Array]) -> Result:
    """Compare along a direction, but for elements by which the slope is infinite."""
    if not all(np.all(np.isfinite(y)) for y in check.recorded.outputs):
        return Result(name, INCONCLUSIVE, None, "the value is not finite")
    finite = [np.isfinite(g) for g in check.gradients]
    if not any(np.any(f) for f in finite):
        return Result(name, SKIPPED, None, "the slope is infinite: see finite")
    moves = [np.where(f, u, 0.0) for f, u in zip(finite, directions, strict=True)]
    gradients = [np.where(f, g, 0.0) for f, g in zip(finite, check.gradients, strict=True)]
    measured = check.measurer.compare(gradients, check.weights, moves)
    return _decide(name, measured, check.weights, gradients)


@property_of_gradients
def exact(check: Check) -> Result:
    """A linear or bilinear operation on small integers has its gradient without any error."""
    if not sum(x.size for x in check.arrays):
        return Result("exact", SKIPPED, None, "no elements")
    whole = [np.asarray(check.generator.integers(-4, 5, x.shape), float) for x in check.arrays]
    moves = [np.asarray(check.generator.integers(1, 3, x.shape), float) for x in check.arrays]
    moves = [u * check.generator.choice([-1.0, 1.0], u.shape) for u in moves]

    def along(h: float) -> Array:
        moved = [x + h * u for x, u in zip(whole, moves, strict=True)]
        return flat(check.subject.evaluate(moved).outputs)

    try:
        with np.errstate(all="ignore"):
            slopes = exact_slope(along)
    except Exception:  # noqa: BLE001 - the function need not be defined there
        slopes = None
    if slopes is None:
        return Result("exact", SKIPPED, None, "not a polynomial of degree two on integers")
    call = check.fresh(whole)
    ups = [np.asarray(check.generator.integers(-3, 4, y.shape), float) for y in call.outputs]
    found = check.pulled(ups, call)
    promised = float(sum(np.sum(g * u) for g, u in zip(found, moves, strict=True)))
    right = float(slopes @ flat(ups))
    if promised == right:
        return _result(exact, EXACT)
    for first in (FIRST_STEP, 2.0**-22):
        fine = climb(along, first=first).slope(flat(ups))
        settled = fine.error <= 1e-4 * (1 + abs(right))
        if not settled or abs(fine.value - right) > BAND * fine.error + 1e-9 * abs(right):
            return Result("exact", SKIPPED, None, "a step function on the integers")
    at = ", ".join(
        f"{n} = {shown(x)}" for n, x in zip(check.subject.names, whole, strict=True)
    )
    raise Found(
        "wrong",
        "the gradient is wrong (exact mode: on integers nothing is rounded)",
        f"at {at}",
        f"slope {promised:.17g}, exactly it is {right:.17g}",
    )


@property_of_gradients
def jacobian(check: Check) -> Result:
    """Every entry of a small Jacobian is the one that was measured."""
    sizes = sum(x.size for x in check.arrays)
    outputs = flat(check.recorded.outputs)
    if not 0 < sizes <= SMALL_JACOBIAN or not 0 < outputs.size <= MOST_ROWS:
        most = f"more than {SMALL_JACOBIAN} input elements, or {MOST_ROWS} of results"
        return Result("jacobian", SKIPPED, None, most)
    if not np.all(np.isfinite(outputs)):
        return Result("jacobian", SKIPPED, None, "the value is not finite")
    rows = [check.pulled(ups, check.recorded) for ups in _unit_upstreams(check.upstreams)]
    worst = 0.0
    undecided = ""
    if not all(np.all(np.isfinite(g)) for row in rows for g in row):
        return Result("jacobian", SKIPPED, None, "the slope is infinite: see finite")
    for directions in _unit_directions(check.arrays):
        ladder = check.measurer.climb(directions).ladder
        slopes, errors = ladder.slopes()
        for k, row in enumerate(rows):
            promised = float(
                sum(np.sum(g * u) for g, u in zip(row, directions, strict=True))
            )
            numeric = Estimate(float(slopes[k]), float(errors[k]))
            terms = max(abs(promised), float(np.max(np.abs(slopes))))
            decided: Comparison | Measurement = compare(
                promised, numeric, terms, abs(float(outputs[k]))
            )
            if decided.verdict != PASS or not ladder.finite:
                weights = np.zeros(outputs.size)
                weights[k] = 1.0
                decided = measured = check.measurer.compare(row, weights, directions)
                ups = _unit_upstreams(check.upstreams)
                one = next(u for j, u in enumerate(ups) if j == k)
                _decide("jacobian", measured, weights, row, one)
            if decided.verdict == INCONCLUSIVE:
                undecided = decided.note
            elif decided.resolution < 1:
                worst = max(worst, decided.resolution)
    if undecided:
        return Result("jacobian", INCONCLUSIVE, None, undecided)
    return _result(jacobian, worst or None)


def _unit_upstreams(upstreams: Sequence[Array]) -> Iterator[list[Array]]:
    for k, u in enumerate(upstreams):
        for index in np.ndindex(*u.shape):
            ups = [np.zeros_like(v) for v in upstreams]
            ups[k][index] = 1.0
            yield ups


def _unit_directions(arrays: Sequence[Array]) -> Iterator[list[Array]]:
    for i, x in enumerate(arrays):
        scales = scales_of(x)
        for index in np.ndindex(*x.shape):
            directions = [np.zeros(y.shape) for y in arrays]
            directions[i][index] = scales[index]
            yield directions


# ---------------------------------------------------------------------------------------------
# Calls beside each other


@property_of_gradients
def interleaved(check: Check) -> Result:
    """Two calls do not share state: a later one leaves the earlier one's gradient alone."""
    other = [x + scales_of(x) * 2.0**-6 for x in check.arrays]
    first = check.fresh()
    try:
        with np.errstate(all="ignore"):
            second = check.fresh(other)
    except Exception:  # noqa: BLE001 - the function need not be defined there
        return Result("interleaved", SKIPPED, None, "not defined nearby")
    between = [g.copy() for g in check.pulled(check.upstreams, first)]
    with np.errstate(all="ignore"):
        second.pull(check.upstreams)
    i = _same(between, check.gradients)
    if i is None:
        i = _same(check.pulled(check.upstreams, first), check.gradients)
    if i is not None:
        raise Found(
            "shared state",
            f"gradient by {check.label(i)} changes when the function is called in between",
            "what the backward pass needs is kept on the function, not with the call",
            position=i,
        )
    return _result(interleaved)


@property_of_gradients
def fan_out(check: Check) -> Result:
    """What is used twice gets twice the gradient: ``f(x) + f(x)``."""
    subject = check.subject
    if not isinstance(subject, TensorSubject):
        return Result("fan_out", SKIPPED, None, "not a function of Tensors")

    def twice(*args: Any) -> list[Any]:
        ys = [_listed(subject.fn(*args)) for _ in range(2)]
        return [a + b for a, b in zip(*ys, strict=True)]

    double = TensorSubject(twice, subject.args, subject.name)
    found = check.pulled(check.upstreams, double.record([frozen(x) for x in check.arrays]))
    i = check.apart(found, [2 * np.asarray(g) for g in check.gradients])
    if i is not None:
        raise Found(
            "fan-out",
            f"gradient by {check.label(i)} of f(x) + f(x) is not twice that of f(x)",
            "contributions to one place overwrite each other, or are dropped",
            position=i,
        )
    return _result(fan_out)


def _listed(y: Any) -> list[Any]:
    from tinygrad_lab.transforms.containers import leaves

    return [leaf for _, leaf in leaves(y)]


# ---------------------------------------------------------------------------------------------
# Memory layout and precision


def layouts_of(x: Array) -> list[Array]:
    """Give the same values as C, Fortran, every second element of a larger array, and reversed.

    Examples
    --------
    >>> import numpy as np
    >>> [a.strides for a in layouts_of(np.zeros((2, 3)))]
    [(24, 8), (8, 16), (96, 16), (-24, -8)]
    """
    spaced = np.zeros(tuple(2 * n for n in x.shape), x.dtype)
    if x.ndim:
        spaced = spaced[(slice(None, None, 2),) * x.ndim]
    spaced[...] = x
    backwards: Any = (..., *(slice(None, None, -1),) * x.ndim)
    return [
        np.array(x, order="C"),
        np.array(x, order="F"),
        spaced,
        np.array(x[backwards])[backwards],
    ]


@property_of_gradients
def layouts(check: Check) -> Result:
    """How arrays lie in memory does not matter, of inputs nor of upstreams, stride 0 included."""
    kinds = [layouts_of(x) for x in check.arrays]
    names = ("C", "Fortran", "every second element", "reversed")
    ups = [layouts_of(u) for u in check.upstreams]
    for turn in range(1, 4):
        arranged = [kind[(turn + i) % 4] for i, kind in enumerate(kinds)]
        found = check.pulled([u[(turn + 1) % 4] for u in ups], check.fresh(arranged))
        i = check.apart(found, check.gradients)
        if i is not None:
            which = ", ".join(names[(turn + k) % 4] for k in range(len(kinds)))
            raise Found(
                "layout",
                f"gradient by {check.label(i)} depends on how arrays lie in memory",
                f"inputs: {which}; upstream: {names[(turn + 1) % 4]}",
                position=i,
            )
    thin = [np.broadcast_to(np.asarray(0.75), u.shape) for u in check.upstreams]
    thick = [np.array(u) for u in thin]
    i = check.apart(check.pulled(thin), check.pulled(thick))
    if i is not None:
        raise Found(
            "layout",
            f"gradient by {check.label(i)} depends on the strides of the upstream",
            "it is another one for an upstream of stride 0, as sum() hands back",
            position=i,
        )
    return _result(layouts)


@property_of_gradients
def float32(check: Check) -> Result:
    """From float32 inputs come float32 gradients, near those of float64."""
    narrow = [x.astype(np.float32) for x in check.arrays]
    with np.errstate(all="ignore"):
        try:
            call = check.fresh(narrow)
        except Exception:  # noqa: BLE001 - nor need it; each library says so in its own way
            return Result("float32", SKIPPED, None, "it does not take float32")
        ups = [u.astype(y.dtype) for u, y in zip(check.upstreams, call.outputs, strict=True)]
        found = call.pull([frozen(u) for u in ups])
        wide = check.fresh([x.astype(np.float64) for x in narrow])
        expected = check.pulled([u.astype(np.float64) for u in ups], wide)
    native = any(y.dtype == np.float32 for y in call.outputs)
    if not native and not isinstance(check.subject, TensorSubject):
        return Result("float32", SKIPPED, None, "it computes in float64 by itself")
    for i, g in enumerate(found):
        if g is not None and np.asarray(g).dtype != np.float32:
            text = f"gradient by {check.label(i)} is {np.asarray(g).dtype} for a float32 input"
            raise Found("dtype", text, "a constant of the rule is float64", position=i)
    if not native or not _alike(call.outputs, wide.outputs):
        return _result(float32, note="" if native else "the result is float64")
    noise = 100 * float(np.finfo(np.float32).eps * np.abs(flat(call.outputs)) @ np.abs(flat(ups)))
    for i, (g, e) in enumerate(zip(found, expected, strict=True)):
        allowed = 1e-2 * float(np.max(np.abs(e), initial=0.0)) + noise + FLOAT32_UNDERFLOW
        off = np.abs(np.asarray(g) - e)
        if not np.all(np.isfinite(e)) or np.all(off <= allowed):
            continue
        if not np.all(off <= allowed + _sensitivity(check, narrow, ups, i)):
            raise Found(
                "float32",
                f"gradient by {check.label(i)} in float32 is far from that in float64",
                f"float32 {np.ravel(g)[:4]}, float64 {e.ravel()[:4]}",
                position=i,
            )
    return _result(float32)


def _alike(narrow: Sequence[Array], wide: Sequence[Array]) -> bool:
    """Whether the values, at least, are finite and about the same in float32."""
    a, b = flat(narrow), flat(wide)
    finite = np.all(np.isfinite(a)) and np.all(np.isfinite(b))
    return bool(finite and np.all(np.abs(a - b) <= 1e-2 * np.max(np.abs(b), initial=0.0)))


def _sensitivity(check: Check, narrow: Sequence[Array], ups: Sequence[Array], i: int) -> float:
    """Say how much a gradient changes where the inputs change by float32's round-off near 1.

    As ``1 + x`` loses what ``x`` has below that, the change is absolute where an input is small.
    """
    eps = float(np.finfo(np.float32).eps)
    wide = [x.astype(np.float64) for x in narrow]
    moves = [check.generator.uniform(-8, 8, x.shape) * eps * np.maximum(np.abs(x), 1) for x in wide]
    moved = [x + step for x, step in zip(wide, moves, strict=True)]
    change = 0.0
    for dtype in (np.float64, np.float32):
        given = [u.astype(dtype) for u in ups]
        with np.errstate(all="ignore"):
            a, b = (
                check.pulled(given, check.fresh([x.astype(dtype) for x in xs]))[i]
                for xs in (wide, moved)
            )
            change = max(change, float(np.max(np.abs(a - b), initial=0.0)))
    return 30 * change if np.isfinite(change) else np.inf


# ---------------------------------------------------------------------------------------------
# Higher orders


@property_of_gradients
def forward_and_backward(check: Check) -> Result:
    """The product with a tangent, taken forwards, is the one taken backwards (order=2)."""
    subject = check.subject
    if check.order < 2 or not isinstance(subject, TensorSubject) or len(check.upstreams) != 1:
        return Result("forward_and_backward", SKIPPED, None, "asked for with order=2")
    if not sum(x.size for x in check.arrays):
        return Result("forward_and_backward", SKIPPED, None, "no elements")
    moves = [direction_like(x, check.generator) for x in check.arrays]

    def of_inputs(*xs: Any) -> Any:
        return _listed(subject.fn(*subject.args.filled(xs)))[0]

    _, tangent = jvp(of_inputs, tuple(check.arrays), tuple(moves))
    ahead = np.asarray(tangent) * check.upstreams[0]
    back = [np.asarray(g) * u for g, u in zip(check.gradients, moves, strict=True)]
    size = float(np.sum(np.abs(ahead)) + sum(np.sum(np.abs(b)) for b in back))
    noise = sum(n * float(np.sum(np.abs(u))) for n, u in zip(check.noise, moves, strict=True))
    off = abs(float(np.sum(ahead)) - float(sum(np.sum(b) for b in back)))
    if np.isfinite(size) and not off <= 1e-9 * size + noise:
        raise Found(
            "second order",
            "the derivative along a tangent, by differentiating the pullback, is another one",
            "the rule is not differentiable itself: it uses detached values",
        )
    return _result(forward_and_backward)


def _is_round_off(measured: Measurement | None, check: Check) -> bool:
    """Whether both slopes of a gradient are what cancellation may leave of one that vanishes."""
    if measured is None:
        return False
    left = sum(n * x.size for n, x in zip(check.noise, check.arrays, strict=True))
    return max(abs(measured.analytic), abs(measured.numeric.value)) <= left


@property_of_gradients
def second_order(check: Check) -> Result:
    """The gradient itself, as a function of inputs and upstream, has the right derivative."""
    subject = check.subject
    if check.order < 2:
        return Result("second_order", SKIPPED, None, "asked for with order=2")
    if not hasattr(subject, "derivative"):
        return Result("second_order", SKIPPED, None, "a gradient that cannot be differentiated")
    if not sum(x.size for x in check.arrays):
        return Result("second_order", SKIPPED, None, "no elements")
    if check.measurer.at_a_kink:
        return Result("second_order", SKIPPED, None, "the slope itself jumps here")
    arrays = [*check.arrays, *check.upstreams]
    nested = subject.derivative(Arguments(tuple(arrays), tuple(range(len(arrays)))))
    try:
        recorded = nested.record([frozen(x) for x in arrays])
    except Misbehaved:  # a gradient that is constant, by all of its inputs
        return Result("second_order", SKIPPED, None, "the gradient does not depend on anything")
    if not all(np.all(np.isfinite(y)) for y in recorded.outputs):
        return Result("second_order", SKIPPED, None, "the slope is infinite here")
    ups = [np.asarray(check.generator.uniform(0.5, 1, y.shape)) for y in recorded.outputs]
    inner = Check(nested, arrays, recorded, ups, check.generator, check.order - 1)
    return _of_the_gradient(inner, check)


def _of_the_gradient(inner: Check, check: Check) -> Result:
    """Look at some properties of the gradient as a function itself."""
    for name in ("well_formed", "finite", "directional", "second_order"):
        try:
            result = PROPERTIES[name](inner)
        except Found as found:
            if _is_round_off(found.measured, check):
                return Result("second_order", INCONCLUSIVE, None, "the gradient is round-off")
            kind = found.kind if found.kind != "wrong" else "second order"
            found.kind, found.text, found.inner = kind, f"second order: {found.text}", inner
            raise
        if result.verdict == INCONCLUSIVE and inner.measurer.jumps(max(check.noise)):
            return Result("second_order", SKIPPED, None, "the slope itself jumps here")
        if result.verdict == INCONCLUSIVE:
            return Result("second_order", INCONCLUSIVE, None, result.note)
    return Result("second_order", PASS, None)
