"""Check whole operations and modules: inputs are generated, failures shrink to the smallest.

Not for: one function at one point (``check.py``).
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable

from tinygrad_lab.core.errors import describe, name_of
from tinygrad_lab.core.operations import OPERATIONS
from tinygrad_lab.testing._reporting import EXAMPLES, PROFILE, announced
from tinygrad_lab.testing.check import example_text, gradcheck
from tinygrad_lab.testing.inputs import catalogue, strategies
from tinygrad_lab.testing.inputs.calls import Call, arrays, call
from tinygrad_lab.testing.inputs.search import is_defined, search, search_degenerate
from tinygrad_lab.testing.inputs.strategies import Axes, Domain
from tinygrad_lab.testing.properties import PROPERTIES
from tinygrad_lab.testing.report import (
    FAIL,
    INCONCLUSIVE,
    PASS,
    GradientError,
    GradReport,
    Result,
)

__all__ = ["check_module", "check_op", "gradtest"]

#: What is looked at where values are special; the rest has been looked at elsewhere.
AT_KINKS = ("well_formed", "finite", "directional", "tied_direction")


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
    rng: int = 0,
    raises: bool = True,
    watch: Callable[[Call, GradReport], None] | None = None,
) -> GradReport:
    """Check an operation on generated inputs: shapes, options, layouts, ties, zeros, extremes.

    Arrays of no axes, of no elements and with an axis of length one are among the inputs for
    certain, wherever the operation takes them.

    Parameters
    ----------
    op : callable or Adapter
        An operation of the derivative table (NumPy's, or one made with ``primitive``), any
        function of Tensors, or what an adapter made.
    inputs : strategy of tuples of arrays, optional
        By default what the catalogue has for the operation, or else arrays that broadcast, as many
        as it has rules for, from where it has a finite value.
    kwargs : mapping of str to strategy or value, optional
        Keyword arguments; ``axis=tgt.axes()`` draws axes of the first input.  By default those
        that the catalogue has, or ``axis`` and ``keepdims`` where the signature names them.
    domain : Domain, optional
        Where the inputs lie.
    examples : int, optional
        How many, half as many again at kinks, and a few of degenerate shapes; by default 100, or
        what the pytest option ``--gradtest-profile`` says.
    order : int
        2 checks second derivatives as well.
    properties, without
        As in :func:`gradcheck`.
    rng : int
        Seeds the generated inputs.
    raises : bool
        Raise what was found.
    watch : callable, optional
        Is told each call that was checked, and what was found of it: those that a failure was made
        small by as well, the smallest last.

    Returns
    -------
    GradReport
        One result for each property: its worst verdict, its worst resolution.

    Raises
    ------
    GradientError
        A property does not hold; at the smallest input that was found.
    TypeError, ValueError
        ``op`` is no function, or a parameter is none that there is.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_lab import testing as tgt
    >>> tgt.check_op(np.tanh, examples=10).verdict
    'pass'
    """
    examples = EXAMPLES[PROFILE["name"]] if examples is None else examples
    _can_be_checked(op, examples)
    name = name_of(op)
    calls = calls_of(op, inputs, kwargs, domain)
    seen: dict[str, Result] = {}
    named = properties if isinstance(properties, str) else tuple(properties)
    left_out = without
    at_kinks = [p for p in AT_KINKS if _is_wanted(p, named, left_out)]

    def checked(call: Call, **options: Any) -> GradReport:
        try:
            found = _checked(call, name, **options)
        except GradientError as error:
            if watch is not None:
                watch(call, error.report)
            raise
        if watch is not None:
            watch(call, found)
        return found

    def smooth(call: Call, only: Sequence[str] | None) -> None:
        chosen = named if only is None else [p for p in only if _is_wanted(p, named, left_out)]
        _merge(seen, checked(call, order=order, properties=chosen, without=left_out))

    def special(call: Call, only: Sequence[str] | None) -> None:
        names = [p for p in at_kinks if only is None or p in only]
        try:
            _merge(seen, checked(call, properties=names), only_passes=True)
        except GradientError as error:
            if error.finding.kind != "not float":  # complex there
                raise

    report = GradReport(name)
    try:
        said = inputs is not None or calls is catalogue.CASES.get(op)
        _search_where_defined(smooth, calls, examples, rng, everywhere=said)
        search_degenerate(smooth, calls, 1 + examples // 20, rng)
        if inputs is None and at_kinks:
            with contextlib.suppress(Unsatisfiable):
                search(special, _at_kinks(calls), examples // 2, rng)
    except GradientError as error:
        report.findings, report.inputs = error.report.findings, error.report.inputs
        report.results = error.report.results
        if raises:
            raise
        return report
    report.results = list(seen.values())
    return report


def _can_be_checked(op: Any, examples: int) -> None:
    if not callable(op) and not hasattr(op, "subject"):
        raise TypeError(f"check_op takes an operation or a function, not {describe(op)}")
    if examples < 1:
        raise ValueError(f"examples={examples}: at least one has to be looked at")


def _search_where_defined(
    check: Callable[..., None],
    calls: st.SearchStrategy[Call],
    examples: int,
    rng: int,
    everywhere: bool,
) -> None:
    """Check calls where the operation has a value, if nobody said where that is."""
    if everywhere:
        search(check, calls, examples, rng)
        return
    try:
        search(check, calls.filter(_says_something), examples, rng)
    except Unsatisfiable:  # it has a value nowhere: show why
        search(check, calls, 1, rng)


def _says_something(call: Call) -> bool:
    return any(np.size(x) for x in call.arrays) and is_defined(call)


@st.composite
def _at_kinks(draw: Any, calls: st.SearchStrategy[Call]) -> Call:
    """The same calls with zeros, ties and extremes in their arrays, where they have a value."""
    call = draw(calls)
    special = [
        draw(arrays(x.shape, strategies.SPECIAL))
        if isinstance(x, np.ndarray) and x.dtype.kind == "f"
        else x
        for x in call.arrays
    ]
    moved = Call(call.text, call.f, special)
    assume(is_defined(moved))
    return moved


def _is_wanted(name: str, properties: str | tuple[str, ...], without: Collection[str]) -> bool:
    if name not in PROPERTIES or name in without:
        return False
    named = (properties,) if isinstance(properties, str) else properties
    return properties in ("default", "numbers") or name in named


def _checked(call: Call, name: str, **options: Any) -> GradReport:
    f: Any = call.f
    f = f if hasattr(f, "subject") else _named(f, name)
    context = f"smallest failing input: {call.text}  "
    return gradcheck(f, *call.arrays, name=name, context=context, **options)


def _named(f: Callable[..., Any], name: str) -> Callable[..., Any]:
    named = lambda *args: f(*args)
    named.__name__ = name
    return named


def _merge(seen: dict[str, Result], report: GradReport, only_passes: bool = False) -> None:
    """Keep of each property the worst that was seen; that it did not apply is worst of all."""
    rank = {FAIL: 3, INCONCLUSIVE: 2, PASS: 1}
    for r in report.results:
        if only_passes and r.verdict != PASS:
            continue
        old = seen.get(r.property)
        if old is None or rank.get(r.verdict, 0) > rank.get(old.verdict, 0):
            seen[r.property] = r
        elif r.verdict == old.verdict and not only_passes:
            worst = max(old.resolution or 0.0, r.resolution or 0.0) or None
            seen[r.property] = Result(r.property, r.verdict, worst, r.note)


# ---------------------------------------------------------------------------------------------
# Calls


def calls_of(
    op: Any,
    inputs: st.SearchStrategy[tuple[Any, ...]] | None = None,
    kwargs: Mapping[str, Any] | None = None,
    domain: Domain | None = None,
) -> st.SearchStrategy[Call]:
    """Say how calls are generated: what the catalogue has, or what is given, or by signature."""
    nothing_said = inputs is None and kwargs is None and domain is None
    if nothing_said and callable(op) and op in catalogue.CASES:
        return catalogue.CASES[op]
    return _calls(op, inputs, _resolved(op, kwargs), domain).map(_held(op))


def _held(op: Any) -> Callable[[Call], Call]:
    """Hold fast the arguments that an operation has no derivative by."""
    rules = OPERATIONS[op].vjps if callable(op) and op in OPERATIONS else ()
    fixed = [i for i, rule in enumerate(rules) if rule is None] if isinstance(rules, tuple) else []

    def hold(call: Call) -> Call:
        if not fixed:
            return call
        held = {i: x for i, x in enumerate(call.arrays) if i in fixed}

        def f(*moving: Any) -> Any:
            left = iter(moving)
            return call.f(*[held[i] if i in held else next(left) for i in range(len(call.arrays))])

        arrays = [x for i, x in enumerate(call.arrays) if i not in held]
        return Call(call.text, f, arrays)

    return hold


def _resolved(op: Any, kwargs: Mapping[str, Any] | None) -> dict[str, Any]:
    if kwargs is not None:
        return dict(kwargs)
    found: dict[str, Any] = {}
    if hasattr(op, "subject") or isinstance(op, np.ufunc):  # whose signatures name what few take
        return found
    try:
        parameters = inspect.signature(op).parameters
    except (TypeError, ValueError):
        return found
    axis = parameters.get("axis")
    if axis is not None and axis.default is not inspect.Parameter.empty:
        found["axis"] = Axes(several=axis.default is None)
    if "keepdims" in parameters:
        found["keepdims"] = st.booleans()
    return found


def _calls(
    op: Any,
    inputs: st.SearchStrategy[tuple[Any, ...]] | None,
    kwargs: dict[str, Any],
    domain: Domain | None,
) -> st.SearchStrategy[Call]:
    arrays = inputs
    if arrays is None:
        number = _number_of_inputs(op)
        arrays = strategies.tensors(number, broadcast=number > 1, domain=domain)

    @st.composite
    def one_call(draw: Any) -> Call:
        given_inputs = draw(arrays)
        options = drawn_options(draw, kwargs, given_inputs)
        if not options:
            return Call(getattr(op, "__name__", "f"), op, given_inputs)
        return call(op, list(given_inputs), **options)

    return one_call()


def drawn_options(draw: Any, kwargs: Mapping[str, Any], inputs: Any) -> dict[str, Any]:
    """Draw keyword arguments; axes are those of the first input, and some are left out."""
    options = {}
    for key, value in kwargs.items():
        if isinstance(value, Axes):
            ndim = np.ndim(inputs[0])
            assume(ndim > 0)
            options[key] = draw(value.of(ndim))
        elif isinstance(value, st.SearchStrategy):
            options[key] = draw(value)
        else:
            options[key] = value
    return options


def _number_of_inputs(op: Any) -> int:
    if hasattr(op, "subject"):
        raise TypeError("check_op of an adapted function: say inputs=, for instance tensors(2)")
    rules = OPERATIONS[op].vjps if op in OPERATIONS else ()
    if rules:
        return len(rules) if isinstance(rules, tuple) else 2
    try:
        parameters = inspect.signature(op).parameters.values()
    except (TypeError, ValueError):
        return 1
    needed = [p for p in parameters if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
    return max(len(needed), 1)


# ---------------------------------------------------------------------------------------------
# Modules


def check_module(
    module: Any,
    *inputs: Any,
    order: int = 1,
    properties: str | Iterable[str] = "default",
    without: Collection[str] = (),
    rng: int = 0,
    raises: bool = True,
) -> GradReport:
    """Check the gradients of a module by its inputs and by each of its parameters.

    Parameters
    ----------
    module : Module
        What is called, and has ``named_parameters()`` whose tensors hold float64.
    *inputs
        What it is called with.
    order, properties, without, rng, raises
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
    parameters = dict(module.named_parameters())
    held = {name: (p.data, p.node) for name, p in parameters.items()}
    number = len(inputs)

    def call(*given_arrays: Any) -> Any:
        for p, x in zip(parameters.values(), given_arrays[number:], strict=True):
            p.data, p.node = x.data, x.node
        return module(*given_arrays[:number])

    arrays = [np.array(p.data) for p in parameters.values()]
    names = [*(f"input {i}" for i in range(number)), *parameters]
    call.__name__ = type(module).__name__
    call.input_names = names  # type: ignore[attr-defined]
    try:
        return gradcheck(
            call, *inputs, *arrays, order=order, properties=properties, without=without,
            rng=rng, raises=raises,
        )  # fmt: skip
    finally:
        for name, p in parameters.items():
            p.data, p.node = held[name]


# ---------------------------------------------------------------------------------------------
# The decorator


def gradtest(
    inputs: st.SearchStrategy[tuple[Any, ...]] | None = None,
    kwargs: Mapping[str, Any] | None = None,
    *,
    domain: Domain | None = None,
    order: int = 1,
    properties: str | Iterable[str] = "default",
    without: Collection[str] = (),
    using: settings | None = None,
) -> Callable[[Callable[..., Any]], Callable[[], None]]:
    """Make a test of a function that returns what is to be differentiated.

    The function is called with Tensors in the first places and the keyword arguments drawn.  It
    becomes a Hypothesis test: settings, profiles, the example database all apply.

    Parameters
    ----------
    inputs : strategy of tuples of arrays, optional
        By default one array.
    kwargs : mapping of str to strategy or value, optional
        ``axis=tgt.axes()`` draws axes of the first input.
    domain : Domain, optional
        Where values lie, with the default inputs.
    order, properties, without
        As in :func:`gradcheck`.
    using : hypothesis.settings, optional
        In place of the profile's; there is no deadline either way.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_lab import testing as tgt
    >>> @tgt.gradtest(inputs=tgt.tensors(2, broadcast=True))
    ... def test_product(x, y):
    ...     return np.sin(x) * y
    >>> test_product()
    """
    arrays = inputs if inputs is not None else strategies.tensors(1, domain=domain)

    @st.composite
    def one_call(draw: Any) -> tuple[Any, dict[str, Any]]:
        given_inputs = draw(arrays)
        return given_inputs, drawn_options(draw, kwargs or {}, given_inputs)

    def decorate(function: Callable[..., Any]) -> Callable[[], None]:
        def body(example: tuple[Any, dict[str, Any]]) -> None:
            given_inputs, options = example
            f = functools.wraps(function)(lambda *xs: function(*xs, **options))
            told = f"{example_text(options)}  " if options else ""
            gradcheck(
                f, *given_inputs, order=order, properties=properties, without=without,
                name=function.__name__, context=f"smallest failing input: {told}",
            )  # fmt: skip

        body.__name__, body.__doc__ = function.__name__, function.__doc__
        body.__qualname__, body.__module__ = function.__qualname__, function.__module__
        vars(body)["checks_gradients"] = True  # how the pytest plugin knows it
        vars(body)["place_as"] = function  # whose lines pytest shows
        calm = [*(using or settings()).suppress_health_check, HealthCheck.too_slow]
        quiet = settings(using or settings(), deadline=None, suppress_health_check=calm)
        return quiet(given(one_call())(body))

    return decorate
