"""Check whole operations and modules: inputs are generated, failures shrink to the smallest.

Not for: one function at one point (``check.py``), tests of functions (``decorator.py``), or which
calls are generated (``inputs/generated.py``).
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable

from tinygrad_lab.core.errors import describe, name_of
from tinygrad_lab.core.operations import vjps_of
from tinygrad_lab.testing.adapters.choice import adapted
from tinygrad_lab.testing.adapters.modules import ModuleAdapter, of_module
from tinygrad_lab.testing.check import choose, gradcheck
from tinygrad_lab.testing.inputs import catalogue
from tinygrad_lab.testing.inputs.calls import Call
from tinygrad_lab.testing.inputs.constants import constants_of
from tinygrad_lab.testing.inputs.generated import at_kinks, calls_of, has_a_value
from tinygrad_lab.testing.inputs.kinds import plan
from tinygrad_lab.testing.inputs.search import PER_KIND, search, search_degenerate, search_kinds
from tinygrad_lab.testing.inputs.strategies import Domain
from tinygrad_lab.testing.judging.examination import out_of_time
from tinygrad_lab.testing.judging.judgement import FAIL, INCONCLUSIVE, PASS, Kind
from tinygrad_lab.testing.judging.running import OutOfTime, within
from tinygrad_lab.testing.judging.subject import Adapter
from tinygrad_lab.testing.session import EXAMPLES, announced, current_session
from tinygrad_lab.testing.telling.explain import enter
from tinygrad_lab.testing.telling.finding import GradientError, GradReport, Part, Result

#: What is looked at where values are special; the rest has been looked at elsewhere.
AT_KINKS = ("well_formed", "finite", "directional", "tied_direction")

ORDINARY = 2  # of so many calls one is ordinary, and checked for everything; the others of kinds

SMALLEST = "smallest failing input: "


@announced
def check_op(
    op: Any,
    inputs: st.SearchStrategy[tuple[Any, ...]] | None = None,
    kwargs: Mapping[str, Any] | None = None,
    *,
    domain: Domain | None = None,
    examples: int | None = None,
    order: int = 2,
    properties: str | Iterable[str] = "default",
    without: Collection[str] = (),
    strict: bool = False,
    tolerance: float = 0.0,
    rng: int = 0,
    budget: float | None = None,
    raises: bool = True,
    watch: Callable[[Call, GradReport], None] | None = None,
) -> GradReport:
    """Check an operation on generated inputs: shapes, options, layouts, ties, zeros, extremes.

    Arrays of no axes, of no elements and with an axis of length one are always among the inputs,
    if the operation takes them.  So are, unless the catalogue has calls of its own: numbers of a
    fine grid, from 1e-307 to 1e308, equal, sorted, and next to each other; a sweep over the domain;
    lengths up to 1025 and six axes; and numbers and lengths around those that stand in the code of
    the function and of its gradient.  There an undecided number is no verdict on the whole.

    Parameters
    ----------
    op : callable or Adapter
        An operation of the derivative table (NumPy's, or one made with ``primitive``), any
        function of Tensors, or what an adapter made.
    inputs : strategy of tuples of arrays, optional
        By default what the catalogue has for the operation, or else arrays that broadcast, as many
        as it has rules for, from where it has a finite value.  Those of :func:`tensors` come in
        further kinds too, within its ``domain`` and of its ``shape``.
    kwargs : mapping of str to strategy or value, optional
        Keyword arguments; ``axis=tgt.axes()`` draws axes of the first input.  By default those
        that the catalogue has, or ``axis`` and ``keepdims`` where the signature names them.
    domain : Domain, optional
        Where the inputs lie.
    examples : int, optional
        How many: half of them ordinary and checked for everything, half of further kinds; beside
        them half as many at kinks, and a few of degenerate shapes.  By default 100, or what the
        pytest option ``--gradtest-profile`` says.
    order : int
        2 checks second derivatives as well.
    properties, without, strict, tolerance
        As in :func:`gradcheck`.
    rng : int
        Seeds the generated inputs.
    budget : float, optional
        How many seconds the whole may take; what it leaves out is no pass.
    raises : bool
        Raise the finding; if not, it is in the report.
    watch : callable, optional
        Called with each call that was checked and its report: also with those that a failure was
        made small by, the smallest last.

    Returns
    -------
    GradReport
        One result for each property: its worst verdict, its worst resolution.

    Raises
    ------
    GradientError
        A property does not hold: at the smallest input at which it does not.
    TypeError, ValueError
        ``op`` is no function, or a parameter is none that there is.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_lab import testing as tgt
    >>> tgt.check_op(np.tanh, examples=10).verdict
    'pass'
    """
    examples = EXAMPLES[current_session().profile] if examples is None else examples
    if not callable(op) and not isinstance(op, Adapter):
        raise TypeError(f"check_op takes an operation or a function, not {describe(op)}")
    if examples < 1:
        raise ValueError(f"examples={examples}: at least one has to be looked at")
    op = adapted(op)
    calls = calls_of(op, inputs, kwargs, domain)
    options = {"order": order, "without": without, "strict": strict, "tolerance": tolerance}
    looking = _Search(op, choose(properties, without), watch, options)
    report = GradReport(name_of(op))
    with within(budget) as clock:
        try:
            looking.run(calls, examples, rng, by_default=inputs is None)
        except GradientError as error:
            if raises:
                raise
            return error.report
        except OutOfTime as spent:
            if spent.budget is not clock:
                raise
            enter(report, "examples", out_of_time(clock))
    report.results += looking.worst.values()
    report.add_notes(looking.notes)
    return report


@dataclass
class _Search:
    """What is looked at of an operation, where, and the worst of it."""

    op: Any
    chosen: Sequence[str]
    watch: Callable[[Call, GradReport], None] | None
    options: Mapping[str, Any]  # of gradcheck
    worst: dict[str, Result] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def run(
        self, calls: st.SearchStrategy[Call], examples: int, rng: int, by_default: bool
    ) -> None:
        """Look at ordinary calls, at degenerate shapes, at further kinds of inputs, at kinks."""
        of_the_catalogue = calls is catalogue.CASES.get(self.op)
        further = [] if of_the_catalogue else plan(constants_of(self.op, *_rules_of(self.op)))
        further = further[:examples]
        ordinary = max(examples - len(further), -(-examples // ORDINARY))
        filtered = by_default and not of_the_catalogue
        try:
            search(self.smooth, calls.filter(has_a_value) if filtered else calls, ordinary, rng)
        except Unsatisfiable:  # it has a value nowhere: show why
            search(self.smooth, calls, 1, rng)
            return
        search_degenerate(self.smooth, calls, 1 + examples // 20, rng)
        search_kinds(self.special, calls, further, PER_KIND + examples // 200, rng)
        if by_default and not set(self.chosen).isdisjoint(AT_KINKS):
            at_special_values = functools.partial(self.special, AT_KINKS)
            with contextlib.suppress(Unsatisfiable):
                search(at_special_values, at_kinks(calls), examples // 2, rng)

    def smooth(self, call: Call, only: Sequence[str] | None) -> None:
        """Look at everything."""
        names = [p for p in self.chosen if only is None or p in only]
        report = _checked(call, self.op, self.watch, properties=names, **self.options)
        _merge(self.worst, report.results)
        self.notes += [text for text in report.notes if text not in self.notes]

    def special(self, looked_at: Collection[str], call: Call, only: Sequence[str] | None) -> None:
        """Look at some properties, where numbers need not be decided on."""
        chosen = [p for p in looked_at if p in self.chosen]
        names = [p for p in chosen if only is None or p in only]
        if not names:
            return
        try:
            options = {name: self.options[name] for name in ("strict", "tolerance")}
            results = _checked(call, self.op, self.watch, properties=names, **options).results
        except GradientError as error:
            if error.finding.kind is not Kind.NOT_FLOAT:  # the result is complex there
                raise
        else:
            _merge(self.worst, [r for r in results if r.verdict == PASS], only_verdicts=True)


def _rules_of(op: Any) -> Sequence[Any]:
    rules = vjps_of(op) if callable(op) else ()
    return rules if isinstance(rules, tuple) else (rules,)


def _checked(
    call: Call, op: Any, watch: Callable[[Call, GradReport], None] | None, **options: Any
) -> GradReport:
    """Check one call, and show the report to whoever watches."""
    f: Any = call.f
    f = f if isinstance(f, Adapter) else lambda *args: call.f(*args)
    context = f"{SMALLEST}{call.text}  "
    watch = watch or (lambda _call, _report: None)
    try:
        report = gradcheck(f, *call.arrays, name=name_of(op), context=context, **options)
    except GradientError as error:
        watch(call, error.report)
        raise
    watch(call, report)
    return report


_RANK = {FAIL: 3, INCONCLUSIVE: 2, PASS: 1}


def _merge(
    worst: dict[str, Result], results: Iterable[Result], only_verdicts: bool = False
) -> None:
    """Remember the worst result of each property; "not applicable" is the best."""
    for r in results:
        old = worst.get(r.property)
        if old is None or _RANK.get(r.verdict, 0) > _RANK.get(old.verdict, 0):
            worst[r.property] = r
        elif r.verdict == old.verdict and not only_verdicts:
            resolution = max(old.resolution or 0.0, r.resolution or 0.0) or None
            parts = _worst_parts(old.parts, r.parts)
            worst[r.property] = replace(r, resolution=resolution, parts=parts)


def _worst_parts(old: Sequence[Part], new: Sequence[Part]) -> tuple[Part, ...]:
    """Remember the worst of each input, by name."""
    worst = {part.name: part for part in old}
    for part in new:
        before = worst.setdefault(part.name, part)
        rank, least = _RANK.get(part.verdict, 0), _RANK.get(before.verdict, 0)
        if (rank, part.resolution or 0.0) > (least, before.resolution or 0.0):
            worst[part.name] = part
    return tuple(worst.values())


def check_module(
    module: Any,
    *inputs: Any,
    order: int = 1,
    properties: str | Iterable[str] = "default",
    without: Collection[str] = (),
    strict: bool = False,
    tolerance: float = 0.0,
    rng: int = 0,
    raises: bool = True,
    budget: float | None = None,
) -> GradReport:
    """Check the gradients of a module by its inputs and by each of its parameters.

    Parameters
    ----------
    module : Module
        One of ours, or of PyTorch.  It is called in the mode that it is in (with dropout, put it
        in ``eval()`` mode), with parameters in float64, and left as it was.
    *inputs
        What it is called with.
    order, properties, without, strict, tolerance, rng, raises, budget
        As in :func:`gradcheck`.

    Raises
    ------
    GradientError
        A gradient is wrong, or a parameter gets none although the output depends on it.

    Examples
    --------
    >>> import numpy as np, tinygrad_lab as tl
    >>> from tinygrad_lab import testing as tgt
    >>> layer = tl.nn.Linear(3, 2, rng=0)
    >>> tgt.check_module(layer, np.ones((4, 3)) / 2).verdict
    'pass'
    """
    adapted = of_module(module)
    left = adapted.as_it_was() if isinstance(adapted, ModuleAdapter) else contextlib.nullcontext()
    with left:
        return gradcheck(
            adapted, *inputs, order=order, properties=properties, without=without, strict=strict,
            tolerance=tolerance, rng=rng, raises=raises, budget=budget,
        )  # fmt: skip
