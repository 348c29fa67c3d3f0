"""``gradcheck``: look at the properties of one function at one point, and report on them.

Not for: generating inputs (``operations.py``), or what the properties are (``judging``).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_lab.core.errors import describe
from tinygrad_lab.testing.adapters.choice import adapted
from tinygrad_lab.testing.judging.arrays import Arguments, bind
from tinygrad_lab.testing.judging.examination import Examination, Looked
from tinygrad_lab.testing.judging.judgement import FAIL, Judgement, Kind, Reason, skipped
from tinygrad_lab.testing.judging.properties import PROPERTIES
from tinygrad_lab.testing.judging.running import Budget, checking, within
from tinygrad_lab.testing.judging.subject import Adapter, Intended, Subject, subject_of
from tinygrad_lab.testing.session import announced
from tinygrad_lab.testing.telling.explain import enter
from tinygrad_lab.testing.telling.finding import GradReport, raise_for
from tinygrad_lab.testing.telling.inputs import LONGEST, line_of
from tinygrad_lab.testing.telling.words import not_by

NUMBERS = ("well_formed", "finite", "directional", "tied_direction", "exact", "jacobian")

LONG = 10.0  # seconds, of which somebody who waits for a check wants to hear before
CALLS, CALLS_OF_AN_INPUT = 50, 10  # that a check takes, about, where nothing is wrong


@announced
def gradcheck(
    fn: Callable[..., Any] | Adapter,
    *inputs: Any,
    wrt: int | Sequence[int] | None = None,
    order: int = 1,
    properties: str | Iterable[str] = "default",
    without: Collection[str] = (),
    upstream: Any = None,
    strict: bool = False,
    tolerance: float = 0.0,
    name: str | None = None,
    rng: int | np.random.Generator | None = 0,
    budget: float | None = None,
    raises: bool = True,
    context: str = "input: ",
    names: Sequence[str] | None = None,
    intended: Callable[..., Any] | float | None = None,
) -> GradReport:
    """Check the gradient of ``fn`` at some inputs: the numbers, and everything else that can fail.

    Parameters
    ----------
    fn : callable
        A function of Tensors, or what an adapter made of another library's (:mod:`adapters`).  One
        that comes from PyTorch, JAX or autograd, or whose inputs do, is adapted.
    *inputs
        What it is called with.  Arrays of floats are differentiated by, and converted to float64;
        complex ones too, by their real and imaginary parts.  NumPy's scalars are arrays; those in
        dicts, lists and tuples count one by one, and the function gets the same containers.
        Anything else (integers, masks, options) is passed on: a Python number too, unless nothing
        is an array; a note in the report says so.
    wrt : int or sequence of int, optional
        Which inputs to differentiate by, where not by all of these: Python numbers too.
    order : int
        2 checks the gradient of the gradient as well, and so on.
    properties : "default", "numbers", or names
        Which properties to check: see ``PROPERTIES``.
    without : names, or dict of name to str
        Properties to leave out; a dict says why, which the report tells.
    upstream : array_like, optional
        The upstream to check with (of a single output); by default a random one, or 1 of a
        function that was adapted with its ``grad``.
    strict : bool
        Fail as well for what makes no number wrong.  Of gradients written by hand in NumPy another
        dtype, memory that is shared and the like are otherwise notes in the report; of functions of
        Tensors they are always failures.
    tolerance : float
        How far off, relative to the terms that it is the sum of, a slope may be: of a forward
        function with a small constant that its gradient leaves out, as ``log(p + 1e-7)``.  Where it
        was needed a note says so, and it is the resolution then.
    name : str, optional
        What to call the function in messages.
    rng : int, Generator or None
        For directions and upstreams.
    budget : float, optional
        How many seconds it may take.  No call is begun that would not fit; what could not be looked
        at is ``inconclusive``.  Where a check is going to take long, a line of the log says so.
    raises : bool
        Raise the findings.  If not, they are in the report.
    context : str
        What introduces the inputs in a message.
    names : sequence of str, optional
        What to call the inputs in messages: all of them, or those that are differentiated by.
    intended : callable or float, optional
        The gradient is meant to be that of another function, ``intended(*inputs)``, as of a
        straight-through estimator, or so many times that of ``fn``, -1 of a reversal.

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
    _refuse(fn, wrt, order, upstream, tolerance, budget)
    fn = adapted(fn, inputs)
    generator = np.random.default_rng(rng)
    args = bind(inputs, wrt, alone=not getattr(fn, "has_parameters", False))
    with checking():  # a layer is looked at here
        subject = _subject_of(fn, args, name, names, intended)
    if not subject.names:
        raise TypeError(
            f"{subject.name} has no parameters and no inputs of floats: there is nothing to "
            "differentiate by"
        )
    chosen = choose(properties, without)
    report = GradReport(subject.name, inputs=_in_words(subject, context))
    report.add_notes(subject.notes)
    if isinstance(without, Mapping):
        for label, why in without.items():
            enter(report, label, skipped(Reason.LEFT_OUT, why=why))
    if wrt is None:
        report.add_notes(map(not_by, args.numbers_left_out(subject.fn)))
    upstream = subject.upstream if upstream is None else upstream
    allowed: list[float] = []
    errors: list[tuple[Kind | None, BaseException]] = []
    with within(budget) as clock, checking():
        examination = Examination(
            subject, chosen, generator, upstream, order, strict, tolerance, clock
        )
        looked: Looked | None
        for number, looked in enumerate(examination.look()):
            if number == 0:
                first = clock.calls, clock.spent  # often no measure: it loads and compiles
            elif number == 1 and clock.calls > first[0]:
                _say_how_long(subject, clock, (clock.spent - first[1]) / (clock.calls - first[0]))
            enter(report, looked.property, looked.judgement, looked.point)
            if looked.point is None and looked.judgement.kind is not None:  # of the first call
                report.findings[-1].lines += subject.hints(looked.judgement.kind)
            allowed += _allowed(looked.judgement)
            errors += _errors(looked.judgement)
    if allowed:
        report.add_notes([f"tolerance={tolerance:g} was needed: off by up to {max(allowed):.1e}"])
    if clock.spent > LONG:
        each = clock.spent / clock.calls
        report.add_notes([f"{clock.calls} calls took {in_words(clock.spent)}, {each:.2g} s each"])
    report.findings.sort(key=lambda finding: finding.kind.severity)
    causes = [_cause(report, errors)]
    # The frames in an error's traceback lead to this one, which must not lead back to the error.
    looked = None
    errors.clear()
    if raises:
        raise_for(report, causes.pop())
    return report


def _subject_of(
    fn: Callable[..., Any] | Adapter,
    args: Arguments,
    name: str | None,
    names: Sequence[str] | None,
    intended: Callable[..., Any] | float | None,
) -> Subject:
    subject = subject_of(fn, args, name or "")
    if intended is not None:
        subject = Intended(subject, intended)
    if names is not None:
        subject.call_inputs(names)
    return subject


def _say_how_long(subject: Subject, clock: Budget, each: float) -> None:
    """Tell the log where a check is going to take long, at so many seconds a call."""
    calls = CALLS + CALLS_OF_AN_INPUT * len(subject.names)
    if min(calls * each, clock.seconds) > LONG:
        import logging

        logging.getLogger("tinygrad_lab.testing").warning(
            "%s takes %.2g s a call: to check it will take about %s, unless budget= says less",
            subject.name, each, in_words(calls * each),
        )  # fmt: skip


def in_words(seconds: float) -> str:
    """Write a time as one says it."""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} minutes"


def _allowed(judgement: Judgement) -> list[float]:
    """List by how much numbers were off that passed for the tolerance alone."""
    every = (judgement, *judgement.parts)
    return [j.facts["off"] for j in every if j.reason is Reason.WITHIN_TOLERANCE]


def _errors(judgement: Judgement) -> list[tuple[Kind | None, BaseException]]:
    """Give the error that a failure is about, if it is about one, and the kind of the failure."""
    error = judgement.facts.get("error")
    return [(judgement.kind, error)] if judgement.verdict == FAIL and error is not None else []


def _cause(
    report: GradReport, errors: Sequence[tuple[Kind | None, BaseException]]
) -> BaseException | None:
    """Give the error that the first finding is about, if it is about one."""
    first = report.findings[0].kind if report.findings else None
    return next((error for kind, error in errors if kind is first), None)


def _refuse(fn: Any, wrt: Any, order: Any, upstream: Any, tolerance: Any, budget: Any) -> None:
    """Refuse arguments that are none."""
    if not callable(fn):
        is_layer = hasattr(fn, "forward") and hasattr(fn, "backward")
        instead = ": say gradcheck(adapters.layer(layer), x)" if is_layer else ""
        raise TypeError(
            f"gradcheck takes a function and then its inputs, not {describe(fn)}{instead}"
        )
    positions = wrt if isinstance(wrt, (list, tuple, range)) else [] if wrt is None else [wrt]
    if not all(isinstance(i, int) and not isinstance(i, bool) for i in positions):
        raise TypeError(f"wrt={wrt!r}: it is the position of an input, 0 for the first, or several")
    if wrt is not None and not positions:
        raise ValueError(f"wrt={wrt!r} names no input to differentiate by")
    if not isinstance(order, int) or order < 1:
        raise ValueError(f"order={order}: 1 checks the gradient, 2 the gradient of that as well")
    if upstream is not None and not np.all(np.isfinite(_floats(upstream))):
        raise ValueError(f"upstream={describe(upstream)}: it is an array of finite floats")
    if not (isinstance(tolerance, (int, float)) and 0 <= tolerance < 1):
        raise ValueError(f"tolerance={tolerance!r}: it is relative, from 0 to below 1")
    if budget is not None and not (isinstance(budget, (int, float)) and budget > 0):
        raise ValueError(f"budget={budget!r}: it is a number of seconds")


def _floats(x: Any) -> Any:
    try:
        return np.asarray(x, dtype=np.float64)
    except (TypeError, ValueError):
        return np.nan


def choose(properties: str | Iterable[str], without: Collection[str]) -> list[str]:
    """Name the properties to check, in the order in which they are."""
    if properties == "default":
        names = list(PROPERTIES)
    elif properties == "numbers":
        names = list(NUMBERS)
    else:
        names = [properties] if isinstance(properties, str) else list(properties)
    if not names:
        raise ValueError("properties=[] leaves nothing to check")
    unknown = sorted({*names, *without} - set(PROPERTIES))
    if unknown:
        known = ", ".join(PROPERTIES)
        raise ValueError(f"no property is called {', '.join(unknown)}; there are {known}")
    return [label for label in PROPERTIES if label in names and label not in without]


def _in_words(subject: Subject, context: str) -> str:
    """Write the inputs for a message: by name, then what is not differentiated by."""
    args = subject.args
    rest = [i for i in range(len(args.values)) if i not in args.positions]
    values = [args.values[i] for i in (*args.positions, *rest)]
    names = [*subject.names, *[""] * len(rest)]
    return context + line_of(names, values, max(LONGEST - len(context), LONGEST // 2))
