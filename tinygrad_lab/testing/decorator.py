"""``gradtest``: make a test of a function, whose inputs Hypothesis generates.

Not for: looking for a failing call and making it small (``inputs/search.py``), or operations that
need no test function (``operations.py``).
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import UnsatisfiedAssumption
from hypothesis.reporting import report as report_of_hypothesis
from hypothesis.reporting import with_reporter

from tinygrad_lab.core.errors import describe, name_of
from tinygrad_lab.testing.check import choose, gradcheck
from tinygrad_lab.testing.inputs import strategies
from tinygrad_lab.testing.inputs.calls import Call
from tinygrad_lab.testing.inputs.constants import constants_of
from tinygrad_lab.testing.inputs.generated import drawn_options
from tinygrad_lab.testing.inputs.kinds import plan
from tinygrad_lab.testing.inputs.search import PER_KIND, Hunt, Refused, search_kinds
from tinygrad_lab.testing.inputs.strategies import Domain
from tinygrad_lab.testing.judging.arrays import array_of
from tinygrad_lab.testing.judging.examination import out_of_time
from tinygrad_lab.testing.judging.running import OutOfTime, within
from tinygrad_lab.testing.judging.subject import Adapter
from tinygrad_lab.testing.session import announce, current_session, session
from tinygrad_lab.testing.telling.explain import enter
from tinygrad_lab.testing.telling.finding import GradReport
from tinygrad_lab.testing.telling.pasted import literal
from tinygrad_lab.testing.telling.reproducers import rehearsing

SMALLEST = "smallest failing input: "
Strategy = st.SearchStrategy[Any]
Inputs = Strategy | Sequence[Strategy] | Mapping[str, Strategy]

#: What Hypothesis need not warn of: checks take longer than its tests do, and a fixture that is
#: made once for all examples is what a test of a gradient wants.
CALM = (
    HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.differing_executors,
)  # fmt: skip


def gradtest(
    inputs: Any = None,
    kwargs: Mapping[str, Any] | None = None,
    *,
    domain: Domain | None = None,
    order: int = 1,
    properties: str | Iterable[str] = "default",
    without: Collection[str] = (),
    strict: bool = False,
    tolerance: float = 0.0,
    budget: float | None = None,
    using: settings | None = None,
) -> Any:
    """Make a test of a function that returns what is to be differentiated.

    The function is called with Tensors in the first places and the keyword arguments drawn;
    whatever else it takes, ``self`` and fixtures and what ``parametrize`` gives, comes from
    pytest.  It becomes a Hypothesis test: settings, profiles, the example database all apply.  One
    failure is told, the smallest.  After Hypothesis' examples follow the further kinds of inputs
    that :func:`check_op` has, with strategies like :func:`tensors`.

    An adapter takes the place of a function: ``test_mine = gradtest(tensors(2))(adapter)``.

    Parameters
    ----------
    inputs : strategy, list of strategies, or dict of name to strategy, optional
        A strategy of tuples of arrays; or one of an array for each argument, in their order or by
        name.  By default one array.
    kwargs : mapping of str to strategy or value, optional
        ``axis=tgt.axes()`` draws axes of the first input.
    domain : Domain, optional
        Where values lie, with the default inputs.
    order, properties, without, strict, tolerance
        As in :func:`gradcheck`.
    budget : float, optional
        How many seconds a run of the test may take.  Where that is too short, the test does not
        fail, and its report calls it ``inconclusive``.
    using : hypothesis.settings, optional
        In place of the profile's; there is no deadline either way.

    Raises
    ------
    TypeError
        The function takes other arguments than are drawn.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_lab import testing as tgt
    >>> @tgt.gradtest(inputs=tgt.tensors(2, broadcast=True))
    ... def test_product(x, y):
    ...     return np.sin(x) * y
    >>> test_product()
    """
    if callable(inputs) and not isinstance(inputs, st.SearchStrategy):
        return gradtest()(inputs)  # @gradtest, without parentheses
    drawn = _Drawn(_checked_inputs(inputs, domain), dict(kwargs or {}))
    options = {
        "order": order, "properties": choose(properties, without), "without": without,
        "strict": strict, "tolerance": tolerance,
    }  # fmt: skip
    how = using or settings()
    how = settings(
        how,
        deadline=None,
        suppress_health_check=[*how.suppress_health_check, *CALM],
        report_multiple_bugs=False,
        phases=[phase for phase in how.phases if phase is not Phase.explain],
    )

    def decorate(function: Callable[..., Any]) -> Callable[..., None]:
        return _GradientTest(function, drawn, options, how, budget).as_function()

    return decorate


def _checked_inputs(inputs: Any, domain: Domain | None) -> Any:
    if inputs is None:
        return strategies.tensors(1, domain=domain)
    if domain is not None:
        raise TypeError(
            "gradtest(inputs, domain=...): say the domain in inputs: tensors(2, domain=...)"
        )
    several = inputs.values() if isinstance(inputs, Mapping) else inputs
    if not isinstance(inputs, st.SearchStrategy):
        listed = isinstance(inputs, (list, tuple, Mapping)) and bool(inputs)
        if not listed or not all(isinstance(s, st.SearchStrategy) for s in several):
            raise TypeError(
                f"gradtest(inputs={describe(inputs)}): inputs are strategies, such as tensors(2), "
                "or a list or a dict of them; to check at arrays of your own, call gradcheck"
            )
    return inputs


@dataclass
class _Drawn:
    """What is drawn for each call."""

    inputs: Any  # a strategy, or several in a list or a dict
    kwargs: dict[str, Any]

    def names(self, function: Callable[..., Any]) -> tuple[list[str], list[str]]:
        """Say which parameters of a function are drawn arrays, and which are pytest's.

        Raises
        ------
        TypeError
            They are not those that are drawn.
        """
        try:
            parameters = list(inspect.signature(function).parameters.values())
        except (TypeError, ValueError):
            return [], []
        kinds = inspect.Parameter
        places = [
            p.name
            for p in parameters
            if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.name != "self"
        ]
        free = [name for name in places if name not in self.kwargs]
        any_place = any(p.kind is kinds.VAR_POSITIONAL for p in parameters)
        any_name = any(p.kind is kinds.VAR_KEYWORD for p in parameters)
        number = self.number
        arrays = free if number is None else free[:number]
        if isinstance(self.inputs, Mapping):
            arrays = list(self.inputs)
        unknown = {*self.kwargs, *arrays} - {p.name for p in parameters}
        if unknown and not any_name:
            names = ", ".join(sorted(unknown))
            raise TypeError(f"gradtest draws {names}, which {_written(function)} does not take")
        if number is not None and len(arrays) < number and not any_place:
            raise TypeError(
                f"gradtest draws {number} arrays, but {_written(function)} takes {len(arrays)}: "
                f"write inputs=tensors({len(arrays) or 1}), or another parameter"
            )
        rest = [
            p.name
            for p in parameters
            if p.name not in (*arrays, *self.kwargs, "self")
            and p.kind not in (kinds.VAR_POSITIONAL, kinds.VAR_KEYWORD)
            and p.default is kinds.empty
        ]
        return arrays, rest

    @property
    def number(self) -> int | None:
        """How many arrays are drawn, where that is known before."""
        if isinstance(self.inputs, (Mapping, list, tuple)):
            return len(self.inputs)
        return strategies.number_of(self.inputs)

    def calls(self) -> st.SearchStrategy[tuple[Any, dict[str, Any]]]:
        """Give the strategy of the arrays and the keyword arguments of a call."""
        return _one_call(self.inputs, self.kwargs)


def _written(function: Any) -> str:
    return f"{name_of(function)}{inspect.signature(function)}"


@st.composite
def _one_call(draw: Any, inputs: Any, kwargs: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    if isinstance(inputs, st.SearchStrategy):
        xs = draw(inputs)
        xs = xs if isinstance(xs, tuple) else (xs,)
    else:
        several = inputs.values() if isinstance(inputs, Mapping) else inputs
        xs = tuple(_alone(draw(strategy)) for strategy in several)
    return xs, drawn_options(draw, kwargs, xs)


def _alone(x: Any) -> Any:
    """Take an array out of a tuple of one, which strategies like ``tensors`` give."""
    return x[0] if isinstance(x, tuple) and len(x) == 1 else x


#: The hunt that goes on: who is called with each example.
_HUNT: ContextVar[Hunt] = ContextVar("hunt")


class _GradientTest:
    """A function, what is drawn for it, and how it is checked."""

    def __init__(
        self,
        function: Any,
        drawn: _Drawn,
        options: dict[str, Any],
        how: settings,
        budget: float | None = None,
    ) -> None:
        if not (callable(function) or isinstance(function, Adapter)):
            raise TypeError(f"gradtest makes a test of a function, not of {describe(function)}")
        if isinstance(function, Adapter) and drawn.kwargs:
            raise TypeError("gradtest(kwargs=...) of an adapted function: it takes arrays alone")
        self.function, self.drawn, self.options, self.how = function, drawn, options, how
        self.budget = budget
        is_adapted = isinstance(function, Adapter)
        self.arrays, self.pytests = ([], []) if is_adapted else drawn.names(function)

    def as_function(self) -> Callable[..., None]:
        """Make the test."""

        def body(
            *receiver: Any, example: tuple[Any, dict[str, Any]], **given_by_pytest: Any
        ) -> None:
            call = self.call(*example, receiver, given_by_pytest)
            _HUNT.get()(call)

        self._name(body)
        vars(body)["__signature__"] = self._signature()
        by_hypothesis = self.how(given(example=self.drawn.calls())(body))

        def test(*receiver: Any, **given_by_pytest: Any) -> None:
            # what decorators and pytest set on the test is meant for Hypothesis
            vars(by_hypothesis).update(vars(test))
            self.run(by_hypothesis, receiver, given_by_pytest)

        self._name(test)
        vars(test).update(vars(by_hypothesis))
        vars(test)["__signature__"] = inspect.signature(by_hypothesis)
        vars(test)["checks_gradients"] = True  # how the pytest plugin knows it
        vars(test)["place_as"] = self.function  # whose lines pytest shows
        return test

    def _name(self, test: Callable[..., Any]) -> None:
        of = self.function
        test.__name__, test.__doc__ = name_of(of), getattr(of, "__doc__", None)
        test.__qualname__ = getattr(of, "__qualname__", test.__name__)
        test.__module__ = getattr(of, "__module__", None) or __name__

    def _signature(self) -> inspect.Signature:
        """Give the parameters that pytest fills, and the example."""
        parameter, kinds = inspect.Parameter, inspect.Parameter
        is_method = "self" in _parameters(self.function)
        receiver = [parameter("self", kinds.POSITIONAL_OR_KEYWORD)] if is_method else []
        rest = [parameter(name, kinds.KEYWORD_ONLY) for name in (*self.pytests, "example")]
        return inspect.Signature([*receiver, *rest])

    def run(
        self, by_hypothesis: Callable[..., Any], receiver: Sequence[Any], fixtures: dict[str, Any]
    ) -> None:
        """Let Hypothesis generate calls, then meet every further kind of inputs."""
        if self.budget is None:
            self._run(by_hypothesis, receiver, fixtures)
            return
        words: list[object] = []  # of Hypothesis, to which being out of time looks like a failure
        with within(self.budget) as clock:
            try:
                with with_reporter(words.append):
                    self._run(by_hypothesis, receiver, fixtures)
            except OutOfTime as spent:
                if spent.budget is not clock:
                    raise
                words.clear()
                report = GradReport(name_of(self.function))
                enter(report, "examples", out_of_time(clock))
                announce(report)
            finally:
                for line in words:
                    report_of_hypothesis(str(line))

    def _run(
        self, by_hypothesis: Callable[..., Any], receiver: Sequence[Any], fixtures: dict[str, Any]
    ) -> None:
        hunt = Hunt(self.check)
        token = _HUNT.set(hunt)
        try:
            with hunt.going_on():
                by_hypothesis(*receiver, **fixtures)
        finally:
            _HUNT.reset(token)
        hunt.conclude()
        how: settings = vars(by_hypothesis)["_hypothesis_internal_use_settings"]
        if Phase.generate not in how.phases:
            return
        calls = self.drawn.calls().map(lambda drawn: self.call(*drawn, receiver, fixtures))
        further = plan(constants_of(self.function))[: how.max_examples]
        search_kinds(self.check_kind, calls, further, PER_KIND + how.max_examples // 200, 0)

    def call(
        self, xs: Any, options: dict[str, Any], receiver: Sequence[Any], fixtures: dict[str, Any]
    ) -> Call:
        """Make a call of what was drawn, and of what pytest gave."""
        text = ", ".join(f"{name}={literal(value)}" for name, value in options.items())
        if isinstance(self.function, Adapter):
            adapted: Any = self.function
            return Call(text, adapted, xs)

        def f(*tensors: Any) -> Any:
            by_name = {**options, **fixtures}
            places = tensors
            if isinstance(self.drawn.inputs, Mapping):
                places, by_name = (), {**by_name, **dict(zip(self.arrays, tensors, strict=True))}
            try:
                return self.function(*receiver, *places, **by_name)
            except UnsatisfiedAssumption as refused:
                at_the_point = all(map(np.array_equal, map(array_of, tensors), xs))
                if at_the_point:
                    raise Refused from refused
                raise  # it is not defined beside the point, as it may be

        f.__name__ = name_of(self.function)
        names = self.arrays or [f"input {i}" for i in range(len(xs))]
        shown = [
            inspect.Parameter(n, inspect.Parameter.POSITIONAL_ONLY)
            for n in names
            if n.isidentifier()
        ]
        vars(f)["__signature__"] = inspect.Signature(shown)
        return Call(text, f, xs)

    def check(self, call: Call, only: Sequence[str] | None) -> None:
        """Check one call; whoever listens hears of it, unless it is made small."""
        chosen = [p for p in self.options["properties"] if only is None or p in only]
        with session(listeners=current_session().listeners if only is None else ()):
            self._checked(call, chosen)

    def check_kind(self, looked_at: Sequence[str], call: Call, only: Sequence[str] | None) -> None:
        """Check one call of a further kind.

        A number need not be decided on there, so nobody hears of it but where it is told to fail.
        """
        chosen = [p for p in looked_at if p in self.options["properties"]]
        names = [p for p in chosen if only is None or p in only]
        if names:
            with session(listeners=() if rehearsing.get() else current_session().listeners):
                self._checked(call, names)

    def _checked(self, call: Call, names: Sequence[str]) -> None:
        context = f"{SMALLEST}{call.text}{'  ' if call.text else ''}"
        options = {**self.options, "properties": names}
        gradcheck(call.f, *call.arrays, name=name_of(self.function), context=context, **options)


def _parameters(function: Any) -> Collection[str]:
    with contextlib.suppress(TypeError, ValueError):
        return inspect.signature(function).parameters
    return ()
