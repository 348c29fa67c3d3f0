"""Which calls of an operation are generated: the catalogue's, or by its signature and rules.

Not for: single arrays (``strategies.py``), or what is checked of a call (``operations.py``).
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from tinygrad_lab.core.engine import RULES
from tinygrad_lab.testing import catalogue, strategies
from tinygrad_lab.testing.judging.subject import Adapter
from tinygrad_lab.testing.search import is_defined
from tinygrad_lab.testing.strategies import Axes, Domain

__all__ = ["at_kinks", "calls_of", "drawn_options", "has_a_value"]


def calls_of(
    op: Any,
    inputs: st.SearchStrategy[tuple[Any, ...]] | None = None,
    kwargs: Mapping[str, Any] | None = None,
    domain: Domain | None = None,
) -> st.SearchStrategy[catalogue.Call]:
    """Say how calls are generated: what the catalogue has, or what is given, or by signature."""
    nothing_said = inputs is None and kwargs is None and domain is None
    if nothing_said and callable(op) and op in catalogue.CASES:
        return catalogue.CASES[op]
    options = _options_of(op) if kwargs is None else dict(kwargs)
    rules = RULES.get(op) if callable(op) else None
    constant = {i for i, rule in enumerate(rules) if rule is None} if type(rules) is tuple else ()
    calls = _calls(op, inputs, options, domain)
    return calls.map(lambda call: _with_constants(call, constant)) if constant else calls


def _with_constants(call: catalogue.Call, positions: Collection[int]) -> catalogue.Call:
    """Make constants of the arguments that an operation has no derivative by."""
    constants = {i: x for i, x in enumerate(call.arrays) if i in positions}

    def f(*moving: Any) -> Any:
        rest = iter(moving)
        every = range(len(call.arrays))
        return call.f(*[constants[i] if i in constants else next(rest) for i in every])

    arrays = [x for i, x in enumerate(call.arrays) if i not in constants]
    return catalogue.Call(call.text, f, arrays)


def _options_of(op: Any) -> dict[str, Any]:
    """Say which keyword arguments to draw: ``axis`` and ``keepdims``, where a signature has them.

    Ufuncs have them in theirs, though few take them.
    """
    parameters = {} if isinstance(op, (Adapter, np.ufunc)) else _parameters_of(op)
    options: dict[str, Any] = {}
    axis = parameters.get("axis")
    if axis is not None and axis.default is not inspect.Parameter.empty:
        options["axis"] = Axes(several=axis.default is None)
    if "keepdims" in parameters:
        options["keepdims"] = st.booleans()
    return options


def _parameters_of(op: Any) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(op).parameters
    except (TypeError, ValueError):
        return {}


def _calls(
    op: Any,
    inputs: st.SearchStrategy[tuple[Any, ...]] | None,
    kwargs: dict[str, Any],
    domain: Domain | None,
) -> st.SearchStrategy[catalogue.Call]:
    arrays = inputs
    if arrays is None:
        number = _number_of_inputs(op)
        arrays = strategies.tensors(number, broadcast=number > 1, domain=domain)

    @st.composite
    def one_call(draw: Any) -> catalogue.Call:
        xs = draw(arrays)
        options = drawn_options(draw, kwargs, xs)
        if not options:
            return catalogue.Call(getattr(op, "__name__", "f"), op, xs)
        return catalogue.call(op, list(xs), **options)

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
    if isinstance(op, Adapter):
        raise TypeError("check_op of an adapted function: say inputs=, for instance tensors(2)")
    rules = RULES.get(op)
    if isinstance(rules, tuple):
        return len(rules)
    if rules is not None:
        return 2
    parameters = _parameters_of(op).values()
    needed = [p for p in parameters if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
    return max(len(needed), 1)


# ---------------------------------------------------------------------------------------------
# Where an operation has a value


@st.composite
def at_kinks(draw: Any, calls: st.SearchStrategy[catalogue.Call]) -> catalogue.Call:
    """The same calls with zeros, ties and extremes in their arrays, where they have a value."""
    call = draw(calls)
    arrays = [
        draw(catalogue.arrays(x.shape, strategies.SPECIAL))
        if isinstance(x, np.ndarray) and x.dtype.kind == "f"
        else x
        for x in call.arrays
    ]
    moved = catalogue.Call(call.text, call.f, arrays)
    assume(is_defined(moved))
    return moved


def has_a_value(call: catalogue.Call) -> bool:
    """Whether a call is defined, and has an element to differentiate by."""
    return any(np.size(x) for x in call.arrays) and is_defined(call)
