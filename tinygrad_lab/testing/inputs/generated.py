"""Which calls of an operation are generated: the catalogue's, or by its signature and rules.

Not for: single arrays (``strategies.py``), or what is checked of a call (``operations.py``).
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from tinygrad_lab.core.operations import vjps_of
from tinygrad_lab.testing.inputs import catalogue, strategies
from tinygrad_lab.testing.inputs.calls import Call, arrays, call
from tinygrad_lab.testing.inputs.strategies import Axes, Domain
from tinygrad_lab.testing.judging.arrays import bind
from tinygrad_lab.testing.judging.subject import Adapter, subject_of

UNSTEADY = 1e-6  # relative; how far a value may move with the last digits of its inputs


def calls_of(
    op: Any,
    inputs: st.SearchStrategy[tuple[Any, ...]] | None = None,
    kwargs: Mapping[str, Any] | None = None,
    domain: Domain | None = None,
) -> st.SearchStrategy[Call]:
    """Choose how calls are generated: from the catalogue, as asked for, or by the signature."""
    nothing_said = inputs is None and kwargs is None and domain is None
    if nothing_said and callable(op) and op in catalogue.CASES:
        return catalogue.CASES[op]
    options = _options_of(op) if kwargs is None else dict(kwargs)
    if inputs is None:
        number = _number_of_inputs(op)
        inputs = strategies.tensors(number, broadcast=number > 1, domain=domain)
    rules = vjps_of(op) if callable(op) else ()
    constant = {i for i, rule in enumerate(rules) if rule is None} if type(rules) is tuple else ()
    return _calls(op, inputs, options, constant)


@st.composite
def _calls(draw: Any, op: Any, inputs: Any, kwargs: Any, constant: Collection[int]) -> Call:
    xs = draw(inputs)
    options = drawn_options(draw, kwargs, xs)
    drawn = call(op, xs, **options) if options else Call(getattr(op, "__name__", "f"), op, xs)
    return _with_constants(drawn, constant) if constant else drawn


def _with_constants(call: Call, positions: Collection[int]) -> Call:
    """Hold constant the arguments that an operation has no derivative by."""

    def f(*moving: Any) -> Any:
        rest = iter(moving)
        xs = [x if i in positions else next(rest) for i, x in enumerate(call.arrays)]
        return call.f(*xs)

    return Call(call.text, f, [x for i, x in enumerate(call.arrays) if i not in positions])


def _options_of(op: Any) -> dict[str, Any]:
    """Say which keyword arguments to draw: ``axis`` and ``keepdims``, where there are such."""
    # the signatures of ufuncs name them too, but few ufuncs accept them
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


def drawn_options(draw: Any, kwargs: Mapping[str, Any], inputs: Any) -> dict[str, Any]:
    """Draw keyword arguments; axes are axes of the first input."""
    options = dict(kwargs)
    for key, value in kwargs.items():
        if isinstance(value, Axes):
            ndim = np.ndim(inputs[0])
            assume(ndim > 0)
            options[key] = draw(value.of(ndim))
        elif isinstance(value, st.SearchStrategy):
            options[key] = draw(value)
    return options


def _number_of_inputs(op: Any) -> int:
    if isinstance(op, Adapter):
        raise TypeError("check_op of an adapted function: say inputs=, for instance tensors(2)")
    rules = vjps_of(op)
    if rules:
        return len(rules) if isinstance(rules, tuple) else 2
    parameters = _parameters_of(op).values()
    needed = [p for p in parameters if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
    return max(len(needed), 1)


@st.composite
def at_kinks(draw: Any, calls: st.SearchStrategy[Call]) -> Call:
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


def has_a_value(call: Call) -> bool:
    """Whether a call is defined, and has an element to differentiate by."""
    return any(np.size(x) for x in call.arrays) and is_defined(call)


def is_defined(call: Call) -> bool:
    """Whether a call has a value: floats, all of them finite, and NumPy does not warn of it."""
    return _values(call) is not None


def is_steady(call: Call, strictly: bool = False) -> bool:
    """Whether a call has a value that depends on more than the last digit of its inputs.

    Strictly, nothing may overflow or underflow on the way there, nor on the way back: what is left
    then is not the function's own value, or gradient.
    """
    value = _values(call, "raise" if strictly else "ignore")
    beside = Call(call.text, call.f, [_moved(x) for x in call.arrays])
    other = None if value is None else _values(beside)
    if value is None or other is None:
        return False
    pairs = zip(value, other, strict=True)
    return all(
        a.shape == b.shape and np.all(np.abs(a - b) <= UNSTEADY * np.max(np.abs(a), initial=0.0))
        for a, b in pairs
    )


def _moved(x: Any) -> Any:
    """Move every element of an array by some of its last digits, each by another amount."""
    if not isinstance(x, np.ndarray) or x.dtype.kind != "f":
        return x
    amount = 2.0**-51 * (1 + np.arange(x.size) % 7).reshape(x.shape)
    return x * (1 + amount)


def _values(call: Call, on_the_way: Any = "ignore") -> list[Any] | None:
    """Compute the outputs; None where there are none to differentiate."""
    try:
        args = bind(call.arrays, None)
        with np.errstate(all=on_the_way), warnings.catch_warnings():
            warnings.simplefilter("error")
            subject, inputs = subject_of(call.f, args), [x.copy() for x in args.arrays]
            outputs = subject.evaluate(inputs).outputs
            if on_the_way == "raise":
                subject.record(inputs).pull([np.ones_like(y) for y in outputs])
    except Exception:  # noqa: BLE001 - not every operation is defined everywhere
        return None
    finite = all(y.dtype.kind == "f" and bool(np.all(np.isfinite(y))) for y in outputs)
    return outputs if finite else None
