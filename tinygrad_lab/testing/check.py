"""``gradcheck``: run the properties on one function at one point, and tell what was found.

Not for: generating inputs (``strategies.py``, ``operations.py``).
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_lab.core.errors import describe
from tinygrad_lab.core.modes import debug
from tinygrad_lab.testing import ledger as account
from tinygrad_lab.testing._reporting import announced
from tinygrad_lab.testing.diagnosis import diagnose
from tinygrad_lab.testing.measure import Measurement
from tinygrad_lab.testing.numerical import Estimate, direction_like, scales_of
from tinygrad_lab.testing.properties import PROPERTIES, Check, Found
from tinygrad_lab.testing.report import (
    FAIL,
    SKIPPED,
    Finding,
    GradReport,
    Result,
    literal,
    raise_for,
    shown,
)
from tinygrad_lab.testing.subjects import (
    Arguments,
    Misbehaved,
    Subject,
    TensorSubject,
    bind,
    frozen,
)

if TYPE_CHECKING:
    from tinygrad_lab.testing.adapters import Adapter

__all__ = ["gradcheck"]

Array = NDArray[Any]
EVERY_ELEMENT = 64  # up to so many elements, a wrong gradient is shown element by element
_HERE = os.sep + "tinygrad_lab" + os.sep
_NUMPY = os.sep + "numpy" + os.sep


@announced
def gradcheck(
    fn: Callable[..., Any] | Adapter,
    *inputs: Any,
    wrt: int | Sequence[int] | None = None,
    order: int = 1,
    properties: str | Iterable[str] = "default",
    without: Collection[str] = (),
    upstream: Any = None,
    name: str | None = None,
    rng: int | np.random.Generator | None = 0,
    raises: bool = True,
    context: str = "input: ",
) -> GradReport:
    """Check the gradient of ``fn`` at some inputs: the numbers, and everything else that can fail.

    Parameters
    ----------
    fn : callable
        A function of Tensors, or what an adapter made of another library's (:mod:`adapters`).
    *inputs
        What it is called with.  Arrays of floats are differentiated by, and converted to float64;
        complex ones too, by their real and imaginary parts.  Anything else (integers, masks,
        options) is passed on.
    wrt : int or sequence of int, optional
        Which inputs to differentiate by, where not by all of these.
    order : int
        2 checks the gradient of the gradient as well, and so on.
    properties : "default", "numbers", or names
        Which properties to check: see ``PROPERTIES``.
    without : names, or dict of name to str
        Properties to leave out; a dict says why, which the report tells.
    upstream : array_like, optional
        The upstream to check with (of a single output); by default a random one, or 1 of a
        function that was adapted with its ``grad``.
    name : str, optional
        What to call the function in messages.
    rng : int, Generator or None
        For directions and upstreams.
    raises : bool
        Raise what was found.  If not, it is in the report.
    context : str
        What introduces the inputs in a message.

    Returns
    -------
    GradReport
        Its ``verdict`` is ``pass``, or ``inconclusive`` where numbers could not be decided on.

    Raises
    ------
    GradientError
        A property does not hold, or the function is none that a gradient can be checked of.
    TypeError, ValueError
        There is nothing to differentiate by, or a parameter is none that there is.

    Examples
    --------
    >>> import numpy as np, tinygrad_lab as tl
    >>> from tinygrad_lab import testing as tgt
    >>> report = tgt.gradcheck(lambda x: np.sin(x) * x, np.array([0.5, 2.0]))
    >>> report.verdict, report.resolution < 1e-7
    ('pass', True)
    """
    if order < 1:
        raise ValueError(f"order={order}: 1 checks the gradient, 2 the gradient of that as well")
    generator = np.random.default_rng(rng)
    subject, args = _subject_of(fn, inputs, wrt, name)
    arrays = [np.array(x, dtype=np.float64) for x in args.arrays]
    wanted = _chosen(properties, without)
    told = _told(subject, args, context)
    report = GradReport(subject.name, inputs=told)
    if isinstance(without, Mapping):
        reasons = [(label, f"left out: {why}") for label, why in without.items()]
        report.results += [Result(label, SKIPPED, None, why) for label, why in reasons]
    cause: BaseException | None = None
    try:
        with np.errstate(all="ignore"):
            check = _begun(subject, arrays, upstream, generator, order)
        for label in wanted:
            _one_property(check, label, report)
            if report.findings:
                break
    except Misbehaved as wrong:
        report.results.append(Result("call", FAIL))
        report.findings.append(Finding("call", wrong.kind, wrong.text, wrong.position))
        cause = wrong.__cause__
    if raises:
        raise_for(report, cause)
    return report


def _subject_of(
    fn: Any, inputs: Sequence[Any], wrt: int | Sequence[int] | None, name: str | None
) -> tuple[Subject, Arguments]:
    if not (callable(fn) or hasattr(fn, "subject")):
        raise TypeError(f"gradcheck takes a function and then its inputs, not {describe(fn)}")
    args = bind(inputs, wrt)
    subject: Subject = (
        fn.subject(args) if hasattr(fn, "subject") else TensorSubject(fn, args, name)
    )
    if name:
        subject.name = name
    return subject, args


NUMBERS = ("well_formed", "finite", "directional", "tied_direction", "exact", "jacobian")


def _chosen(properties: str | Iterable[str], without: Collection[str]) -> list[str]:
    if properties == "default":
        names = list(PROPERTIES)
    elif properties == "numbers":
        names = list(NUMBERS)
    else:
        names = [properties] if isinstance(properties, str) else list(properties)
    unknown = sorted({*names, *without} - set(PROPERTIES))
    if unknown:
        known = ", ".join(PROPERTIES)
        raise ValueError(f"no property is called {', '.join(unknown)}; there are {known}")
    return [label for label in PROPERTIES if label in names and label not in without]


def _told(subject: Subject, args: Arguments, context: str) -> str:
    differentiated = [args.given[i] for i in args.positions]
    parts = [f"{n} = {shown(x)}" for n, x in zip(subject.names, differentiated, strict=True)]
    rest = [shown(x) for i, x in enumerate(args.given) if i not in args.positions]
    return context + ", ".join(parts + rest)


# ---------------------------------------------------------------------------------------------
# The first call: does it behave at all?


def _begun(
    subject: Subject,
    arrays: list[Array],
    upstream: Any,
    generator: np.random.Generator,
    order: int,
) -> Check:
    before = [x.copy() for x in arrays]
    recorded = _guarded("the function", lambda: subject.record([frozen(x) for x in arrays]))
    _unchanged(subject, arrays, before, "the function")
    ups = [_drawn(y.shape, generator).astype(y.dtype) for y in recorded.outputs]
    upstream = getattr(subject, "upstream", None) if upstream is None else upstream
    if upstream is not None:
        ups[0] = _stretched(upstream, ups[0])
    kept = [u.copy() for u in ups]
    check = _guarded(
        "the backward pass", lambda: Check(subject, arrays, recorded, ups, generator, order)
    )
    _unchanged(subject, arrays, before, "the backward pass")
    if any(not np.array_equal(u, k) for u, k in zip(ups, kept, strict=True)):
        raise Misbehaved("mutates upstream", "the backward pass writes into its upstream")
    return check


def _drawn(shape: tuple[int, ...], generator: np.random.Generator) -> Array:
    """Draw upstreams of either sign, some above 1 and some below, none near 0."""
    sign = generator.choice([-1.0, 1.0], shape)
    return np.asarray(sign * generator.integers(24, 97, shape) / 48.0)


def _stretched(upstream: Any, like: Array) -> Array:
    try:
        return np.array(np.broadcast_to(upstream, like.shape), dtype=like.dtype)
    except ValueError:
        raise ValueError(
            f"the upstream has shape {np.shape(upstream)}, the output it belongs to {like.shape}"
        ) from None


def _guarded(who: str, call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Misbehaved:
        raise
    except Exception as error:
        if isinstance(error, ValueError) and "read-only" in str(error):
            what = "its upstream or its inputs" if who == "the backward pass" else "its input"
            kind = "mutates upstream" if who == "the backward pass" else "mutates input"
            text = f"{who} writes into {what}{_line_of(error, ', in ')}"
            raise Misbehaved(kind, text) from error
        text = f"{who} raised {type(error).__name__}: {error}"
        raise Misbehaved("raises", text + _line_of(error, "\n  in ")) from error


def _line_of(error: BaseException, before: str) -> str:
    """Find the innermost line that is not ours nor NumPy's, if there is one."""
    chain: BaseException | None = error
    best, seen = None, set()
    while chain is not None and id(chain) not in seen:  # a cause may be an error's own
        seen.add(id(chain))
        for frame in traceback.extract_tb(chain.__traceback__):
            if _HERE not in frame.filename and _NUMPY not in frame.filename:
                best = frame
        chain = chain.__cause__
    return f"{before}{PurePath(best.filename).name}:{best.lineno}: {best.line}" if best else ""


def _unchanged(
    subject: Subject, arrays: Sequence[Array], before: Sequence[Array], who: str
) -> None:
    for i, (x, old) in enumerate(zip(arrays, before, strict=True)):
        if not np.array_equal(x, old, equal_nan=True):
            raise Misbehaved(
                "mutates input", f"{who} writes into input {i} ({subject.names[i]})", i
            )


# ---------------------------------------------------------------------------------------------
# One property, and what to say of it where it fails


def _one_property(check: Check, label: str, report: GradReport) -> None:
    try:
        with np.errstate(all="ignore"):
            result = _guarded_property(check, label)
    except Found as found:
        report.results.append(Result(label, FAIL))
        report.findings.append(_finding(check, label, found))
        return
    report.results.append(result)


def _guarded_property(check: Check, label: str) -> Result:
    try:
        return PROPERTIES[label](check)
    except (Found, Misbehaved):
        raise
    except Exception as error:
        if isinstance(error, ValueError) and "read-only" in str(error):
            raise Found(
                "mutates",
                f"an array that was handed over is written into{_line_of(error, ', in ')}",
            ) from error
        raise Found(
            "raises",
            f"{label} could not be looked at: {type(error).__name__}: {error}"
            + _line_of(error, "\n  in "),
        ) from error


def _finding(check: Check, label: str, found: Found) -> Finding:
    finding = Finding(label, found.kind, found.text, found.position, list(found.lines))
    inner = found.inner or check
    if found.measured is not None:
        gradients = [np.asarray(g) for g in found.gradients or ()]
        _locate(inner, found, finding, gradients)
        _blame(inner, found.measured, found.upstreams or inner.upstreams, gradients, finding)
    elif found.kind == "nonlinear":
        _blame_by_number(inner, finding)
    elif found.kind == "not finite":
        finding.lines += _first_not_finite(inner)
    return finding


def _locate(check: Check, found: Found, finding: Finding, gradients: list[Array]) -> None:
    """Find the input, and the element, that is most wrong."""
    measured, weights = found.measured, found.weights
    assert measured is not None
    assert weights is not None
    finding.error = _relative(measured.analytic, measured.numeric.value)
    finding.analytic, finding.numeric = measured.analytic, measured.numeric
    worst = -1.0
    for i in _suspects(check, weights, gradients):
        values, errors, where = _numerical(check, i, weights, measured.climb.ladder.steps[0])
        own = np.asarray(gradients[i], float)[where] if where is not None else gradients[i]
        with np.errstate(invalid="ignore"):
            off = np.where(np.isfinite(own), np.abs(own - values), np.inf)
        k = tuple(int(j) for j in np.unravel_index(int(np.argmax(off)), off.shape))
        if off[k] > max(worst, 5 * errors[k] + 1e-9 * abs(values[k])):
            worst = float(off[k])
            _describe(check, i, k, own, values, errors, where, finding)
    prefix = "second order: " if finding.text.startswith("second order: ") else ""
    if finding.input is not None:
        finding.text = f"{prefix}gradient by {check.label(finding.input)} is wrong"
    else:
        finding.lines.insert(
            0, f"along a direction the gradient promises {finding.analytic:.6g}, "
            f"numeric {finding.numeric}",
        )  # fmt: skip


def _suspects(check: Check, weights: Array, gradients: list[Array]) -> list[int]:
    """Choose the inputs to look at element by element: all, or the worst where there are many."""
    filled = [i for i, x in enumerate(check.arrays) if x.size]
    if len(filled) < 2 or sum(x.size for x in check.arrays) <= EVERY_ELEMENT:
        return filled
    off = []
    for i in filled:
        directions = [np.zeros(x.shape) for x in check.arrays]
        directions[i] = direction_like(check.arrays[i], check.generator)
        climbed = check.measurer.climb(directions, 2.0**-8)
        numeric = climbed.ladder.slope(weights)
        promised = float(np.sum(np.asarray(gradients[i]) * climbed.directions[i]))
        off.append(abs(promised - numeric.value) / (abs(numeric.value) + 1e3 * numeric.error))
    return [filled[int(np.argmax(np.nan_to_num(off, nan=np.inf)))]]


def _describe(
    check: Check,
    i: int,
    k: tuple[int, ...],
    own: Array,
    values: Array,
    errors: Array,
    where: Any,
    finding: Finding,
) -> None:
    index = k if where is None else tuple(int(w[k]) for w in where)
    estimate = Estimate(float(values[k]), float(errors[k]))
    finding.input, finding.index = i, index
    finding.analytic, finding.numeric = float(own[k]), estimate
    finding.error = _relative(finding.analytic, estimate.value)
    sizes = [(n, f"elements along axis {a}") for a, n in enumerate(check.arrays[i].shape)]
    sizes += [(check.arrays[i].size, "elements")]
    sizes += [(y.size, "results") for y in check.recorded.outputs]
    trusted = errors <= 1e-7 * np.max(np.abs(values), initial=0.0)
    finding.diagnosis = diagnose(own, values, sizes) if np.all(trusted) else ""
    place = check.place(i, index)
    pattern = finding.diagnosis
    if not pattern and estimate.value:
        pattern = f"ratio {finding.analytic / estimate.value:.3g} here"
    hint = f"        ({pattern})" if pattern else ""
    lines = [line for line in finding.lines if not line.startswith("at ")]
    lines.insert(0, f"at {place}: rule gives {finding.analytic:.6g}, numeric {estimate}{hint}")
    finding.lines = lines


def _relative(analytic: float, numeric: float) -> float:
    size = max(abs(numeric), abs(analytic) if not np.isinf(analytic) else 0.0)
    return abs(analytic - numeric) / size if size else 0.0


def _numerical(
    check: Check, i: int, weights: Array, first: float
) -> tuple[Array, Array, tuple[Array, ...] | None]:
    """Measure the gradient by one input: of every element, or of some where there are many."""
    x = check.arrays[i]
    scales = scales_of(x)
    places = list(np.ndindex(*x.shape))
    chosen = None
    if len(places) > EVERY_ELEMENT:
        spread = np.linspace(0, len(places) - 1, EVERY_ELEMENT).astype(int)
        places = [places[j] for j in spread]
        chosen = tuple(np.array(axis) for axis in zip(*places, strict=True))
    values, errors = np.zeros(len(places)), np.zeros(len(places))
    for j, place in enumerate(places):
        directions = [np.zeros(y.shape) for y in check.arrays]
        directions[i][place] = scales[place]
        measured = check.measurer.climb(directions, first).ladder.slope(weights)
        if not np.isfinite(measured.value):
            measured = check.measurer.climb(directions, 2.0**-13).ladder.slope(weights)
        values[j] = measured.value / scales[place]
        errors[j] = measured.error / scales[place]
    if chosen is None:
        return values.reshape(x.shape), errors.reshape(x.shape), None
    return values, errors, chosen


def _blame(
    check: Check,
    measured: Measurement,
    upstreams: Sequence[Array],
    gradients: list[Array],
    finding: Finding,
) -> None:
    """Say which operation is wrong; of a backward pass by hand, which line."""
    auditor = getattr(check.subject, "audit", None)
    if auditor is not None:
        seen = auditor(check.arrays, upstreams)
        finding.lines += seen.lines
        finding.site = seen.site
        return
    if not measured.climb.ladder.finite or not np.isfinite(measured.analytic):
        return
    drawn = account.draw_up(
        check.subject, check.arrays, check.recorded, measured.climb, upstreams, gradients
    )
    if drawn is None or drawn.guilty is None:
        return
    finding.blame = drawn
    guilty = drawn.guilty
    finding.site = guilty.site
    if guilty.origin is not None:
        finding.reproducer = account.reproducer(guilty.origin.node, order=2)
    elif guilty.kind == account.RULE:
        finding.reproducer = account.reproducer(guilty.node)


def _blame_by_number(check: Check, finding: Finding) -> None:
    """Where a pullback is not linear, find an upstream for which it gives a wrong number."""
    directions = [direction_like(x, check.generator) for x in check.arrays]
    for factor in (1.0, -1.0, 4.0):
        ups = [factor * u for u in check.upstreams]
        gradients = check.pulled(ups, check.recorded)
        measured = check.measurer.compare(gradients, factor * check.weights, directions)
        if measured.verdict == FAIL:
            _blame(check, measured, ups, gradients, finding)
            return


def _first_not_finite(check: Check) -> list[str]:
    """Find the operation whose derivative is the first that is not finite."""
    if not isinstance(check.subject, TensorSubject):
        return []
    try:
        with debug(), np.errstate(all="ignore"):
            check.pulled(check.upstreams)
    except FloatingPointError as error:
        what, _, where = str(error).partition("\n  called at ")
        file, _, rest = where.partition(":")
        return [f"first of all, {what}", f"  called at {PurePath(file).name}:{rest}"]
    return []


def example_text(arguments: dict[str, Any]) -> str:
    """Write the arguments of a generated example so that they can be pasted."""
    return ", ".join(f"{name}={literal(value)}" for name, value in arguments.items())


