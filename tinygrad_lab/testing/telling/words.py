"""Judgements in words.  Every sentence about a check is written here, and read by people alone.

Not for: the pattern in wrong numbers (``diagnosis.py``), or how a message is laid out
(``finding.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_lab.core.errors import describe
from tinygrad_lab.testing.judging.judgement import Judgement, Kind, Reason, Site
from tinygrad_lab.testing.telling.literals import shown

__all__ = ["element", "input_label", "note", "sentences"]

_REASONS = {
    Reason.LEFT_OUT: "left out: {why}",
    Reason.NOT_ASKED_FOR: "asked for with order=2",
    Reason.ONE_OUTPUT: "there is one output",
    Reason.ONE_ELEMENT: "there is one element",
    Reason.NO_ELEMENTS: "no elements",
    Reason.TOO_MANY_ELEMENTS: "more than {elements} input elements, or {results} of results",
    Reason.NOT_OF_TENSORS: "not a function of Tensors",
    Reason.NO_DERIVATIVE: "a gradient that cannot be differentiated",
    Reason.CONSTANT_GRADIENT: "the gradient does not depend on anything",
    Reason.NOT_DEFINED_NEARBY: "not defined nearby",
    Reason.NOT_A_POLYNOMIAL: "not a polynomial of degree two on integers",
    Reason.STEPS_ON_INTEGERS: "a step function on the integers",
    Reason.NO_FLOAT32: "it does not take float32",
    Reason.COMPUTES_IN_FLOAT64: "it computes in float64 by itself",
    Reason.VALUE_NOT_FINITE: "the value is not finite",
    Reason.GRADIENT_NOT_FINITE: "the gradient is not finite",
    Reason.SLOPE_INFINITE: "the slope is infinite here",
    Reason.SLOPE_INFINITE_EVERYWHERE: "the slope is infinite: see finite",
    Reason.SLOPE_JUMPS: "the slope itself jumps here",
    Reason.UNCERTAIN: "the numerical slope is not certain enough here",
    Reason.UNDERFLOW: "underflow hides the slope",
    Reason.STAIRS: "nothing moves over short steps, and as promised over long ones: round-off of "
    "an intermediate value, or a step function",
    Reason.ROUNDED_AWAY: "round-off of intermediate values hides the slope",
    Reason.GRADIENT_IS_ROUND_OFF: "the gradient is round-off",
    Reason.VALUE_JUMPS: "the value jumps here: a step, or round-off",
    Reason.NOISE_OR_KINK: "noise, or a kink: the one-sided slopes are not certain",
    Reason.SEVERAL_KINKS: "at several kinks at once no slope is the right one",
    Reason.KINK: "kink: one-sided slopes {low:.6g} to {high:.6g}",
    Reason.A_SUBGRADIENT: "a subgradient: the point is a kink",
    Reason.BY_COMPLEX_STEP: "by complex step",
    Reason.RESULT_IN_FLOAT64: "the result is float64",
    Reason.AT_RATE: "at rate {rate:g}",
}


def note(judgement: Judgement) -> str:
    """Say how something was decided, or why it was not; "" where there is nothing to say."""
    return "" if judgement.reason is None else _REASONS[judgement.reason].format(**judgement.facts)


def input_label(site: Site) -> str:
    """Name an input: "input 0 (x)", and without the name where it has none of its own."""
    label = f"input {site.input}"
    return label if site.name.startswith("input") else f"{label} ({site.name})"


def element(site: Site) -> str:
    """Name an element of an input: "x[0, 1]"."""
    part = f".{site.part}" if site.part else ""
    return f"{site.name}{list(site.index) if site.index else ''}{part}"


def sentences(judgement: Judgement) -> list[str]:
    """Say what is wrong: the sentence of a message, and the lines below it.

    Examples
    --------
    >>> from tinygrad_lab.testing.judging.judgement import failed
    >>> sentences(failed(Kind.MISSING, Site(0, "x")))
    ['gradient by input 0 (x) is None']
    """
    assert judgement.kind is not None
    write = _FAULTS[judgement.kind]
    if callable(write):
        first, *rest = write(judgement, judgement.facts)
    else:
        gradient = _gradient(judgement)
        first, *rest = (text.format(gradient=gradient, **judgement.facts) for text in write)
    return [f"second order: {first}" if judgement.order > 1 else first, *rest]


def _gradient(judgement: Judgement) -> str:
    return f"gradient by {input_label(judgement.site)}"


# ---------------------------------------------------------------------------------------------
# Sentences that depend on more than the kind

Facts = Mapping[str, Any]


def _in_line(site: Site, before: str) -> str:
    return f"{before}{site.line}: {site.source}" if site.line else ""


def _who(facts: Facts) -> str:
    return "the backward pass" if facts.get("backward") else "the function"


def _returns_nothing(_: Judgement, facts: Facts) -> list[str]:
    if facts.get("by_gradient"):
        return ["the gradient function returned None"]
    if facts["result"] is None:
        return ["it returned None; is a `return` missing?"]
    return [f"it returned {facts['result']!r}, with no number in it"]


def _not_float(judgement: Judgement, facts: Facts) -> list[str]:
    if judgement.site.input is not None:
        return [f"{_gradient(judgement)} is {facts['what']}, not an array of floats"]
    result = facts["result"]
    why = ", which has no derivative" if isinstance(result, np.ndarray) else ", not floats"
    return [f"it returned {describe(result)}{why}"]


def _untracked(_: Judgement, facts: Facts) -> list[str]:
    if "ways" in facts:
        return [f"the result has no history: {facts['ways']} on the way"]
    return [
        f"it returned {', '.join(describe(y) for y in facts['results'])} without a history: the "
        "gradient was lost on the way (detach(), .data, no_grad, or an operation on plain arrays)"
    ]


def _raises(judgement: Judgement, facts: Facts) -> list[str]:
    error, where = facts["error"], _in_line(judgement.site, "\n  in ")
    raised = f"{type(error).__name__}: {error}{where}"
    if "property" in facts:
        return [f"{facts['property']} could not be looked at: {raised}"]
    return [f"{_who(facts)} raised {raised}"]


def _mutates_input(judgement: Judgement, facts: Facts) -> list[str]:
    site = judgement.site
    if site.input is not None:
        return [f"{_who(facts)} writes into input {site.input} ({site.name})"]
    return [f"the function writes into its input{_in_line(site, ', in ')}"]


def _mutates_upstream(judgement: Judgement, facts: Facts) -> list[str]:
    inputs = " or its inputs" if facts.get("or_inputs") else ""
    where = _in_line(judgement.site, ", in ")
    return [f"the backward pass writes into its upstream{inputs}{where}"]


def _mutates(judgement: Judgement, _: Facts) -> list[str]:
    where = _in_line(judgement.site, ", in ")
    return [f"an array that was handed over is written into{where}"]


def _count(_: Judgement, facts: Facts) -> list[str]:
    if "missing" in facts:
        return [f"no gradient came back for {', '.join(facts['missing'])}"]
    gradients, inputs = (
        f"{facts[what]} {what[:-1]}{'s' * (facts[what] != 1)}" for what in ("gradients", "inputs")
    )
    return [f"{gradients} came back for {inputs}"]


def _shape(judgement: Judgement, facts: Facts) -> list[str]:
    shape, expected = facts["shape"], facts["expected"]
    try:
        widened = np.broadcast_shapes(shape, expected) == shape
    except ValueError:
        widened = False
    if widened:
        hint = "the gradient of a broadcast operand has to be summed over the axes it was stretched"
    elif shape == expected[::-1]:
        hint = "transposed"
    else:
        hint = "a gradient has the shape of what it belongs to"
    return [f"{_gradient(judgement)} has shape {shape}, the input {expected}", hint]


def _dtype(judgement: Judgement, facts: Facts) -> list[str]:
    text = f"{_gradient(judgement)} is {facts['dtype']}"
    if "expected" in facts:
        return [f"{text}, the input {facts['expected']}"]
    return [f"{text} for a float32 input", "a constant of the rule is float64"]


def _aliasing(judgement: Judgement, facts: Facts) -> list[str]:
    whose = input_label(facts["other"]) if "other" in facts else "the upstream"
    of = "the gradient by " if facts.get("of_gradient") else ""
    return [
        f"{_gradient(judgement)} shares its memory with {of}{whose}",
        "whoever adds to one in place changes the other: return a copy",
    ]


_LAYOUTS = ("C", "Fortran", "every second element", "reversed")


def _layout(judgement: Judgement, facts: Facts) -> list[str]:
    if "of_inputs" not in facts:
        return [
            f"{_gradient(judgement)} depends on the strides of the upstream",
            "it is another one for an upstream of stride 0, as sum() hands back",
        ]
    inputs = ", ".join(_LAYOUTS[k] for k in facts["of_inputs"])
    return [
        f"{_gradient(judgement)} depends on how arrays lie in memory",
        f"inputs: {inputs}; upstream: {_LAYOUTS[facts['of_upstream']]}",
    ]


_NOT_LINEAR = "the upstream enters through something that is not linear (abs, relu, clip, **2)"
_BY_POWER = {
    0: "it does not change at all: through abs, **2, or the upstream is not used",
    2: "it grows with the square of the upstream",
    None: _NOT_LINEAR,
}


def _nonlinear(judgement: Judgement, facts: Facts) -> list[str]:
    gradient, factor = _gradient(judgement), facts.get("factor")
    if factor is None:
        return [f"{gradient} of two upstreams is not the sum of their gradients", _NOT_LINEAR]
    if factor == 0:
        return [
            f"{gradient} is not zero where the upstream is",
            "the upstream is ignored, or something is added to it",
        ]
    follow = "change sign with" if factor < 0 else "grow in proportion to"
    return [f"{gradient} does not {follow} the upstream", _BY_POWER[facts["power"]]]


def _not_finite(judgement: Judgement, facts: Facts) -> list[str]:
    return [
        f"{_gradient(judgement)} is {facts['value']} where value and slope are finite",
        f"at {element(judgement.site)} = {facts['at']:.6g}: one-sided slopes {facts['left']:.6g} "
        f"and {facts['right']:.6g}",
    ]


def _wrong(judgement: Judgement, facts: Facts) -> list[str]:
    if "slope" in facts:
        inputs = ", ".join(f"{name} = {shown(x)}" for name, x in facts["inputs"].items())
        return [
            "the gradient is wrong (exact mode: on integers nothing is rounded)",
            f"at {inputs}",
            f"slope {facts['slope']:.17g}, exactly it is {facts['right']:.17g}",
        ]
    gradient = "the gradient" if judgement.site.input is None else _gradient(judgement)
    return [f"{gradient} is wrong", *filter(None, [note(judgement)])]


def _second_order(judgement: Judgement, facts: Facts) -> list[str]:
    if judgement.evidence.climb is not None:
        return _wrong(judgement, facts)
    return [
        "the derivative along a tangent, by differentiating the pullback, is another one",
        "the rule is not differentiable itself: it uses detached values",
    ]


def _uphill(_: Judgement, facts: Facts) -> list[str]:
    goes = "goes uphill" if facts["change"] > 0 else "does not move downhill"
    return [
        f"step {facts['step']} {goes}, however small the rate",
        f"at rate {facts['rate']:g} the loss goes from {facts['loss']:.12g} by "
        f"{facts['change']:+.3g}",
        "the update adds where it should subtract, or keeps a velocity of the wrong sign",
    ]


_FAULTS: dict[Kind, Sequence[str] | Callable[[Judgement, Facts], Sequence[str]]] = {
    Kind.RETURNS_NOTHING: _returns_nothing,
    Kind.NOT_FLOAT: _not_float,
    Kind.NOT_A_NUMBER: ["with grad= the function must return one real number"],
    Kind.UNTRACKED: _untracked,
    Kind.RAISES: _raises,
    Kind.RANDOM: ["the function is random: it draws from a global generator at each call"],
    Kind.GLOBAL_STATE: [
        "the function gives another value at each call: it draws random numbers, or depends on "
        "state outside of its inputs"
    ],
    Kind.MUTATES_INPUT: _mutates_input,
    Kind.MUTATES_UPSTREAM: _mutates_upstream,
    Kind.MUTATES: _mutates,
    Kind.WRITES_GRAD: ["asking for gradients added them to .grad of the inputs"],
    Kind.COUNT: _count,
    Kind.MISSING: ["{gradient} is None"],
    Kind.SHAPE: _shape,
    Kind.DTYPE: _dtype,
    Kind.ALIASING: _aliasing,
    Kind.NOT_REPEATABLE: [
        "{gradient} is another one the second time",
        "the value is the same: the backward pass is random, or keeps state between calls",
    ],
    Kind.SECOND_BACKWARD: [
        "{gradient} is another one on a second backward pass",
        "something is kept from the first pass, or was written over by it",
    ],
    Kind.SHARED_STATE: [
        "{gradient} changes when the function is called in between",
        "what the backward pass needs is kept on the function, not with the call",
    ],
    Kind.FAN_OUT: [
        "{gradient} of f(x) + f(x) is not twice that of f(x)",
        "contributions to one place overwrite each other, or are dropped",
    ],
    Kind.LAYOUT: _layout,
    Kind.FLOAT32: [
        "{gradient} in float32 is far from that in float64",
        "float32 {narrow}, float64 {wide}",
    ],
    Kind.NOT_FINITE: _not_finite,
    Kind.NONLINEAR: _nonlinear,
    Kind.PARTIAL_UPSTREAM: ["{gradient} of all outputs is not the sum of their own"],
    Kind.WRONG: _wrong,
    Kind.SUBGRADIENT: _wrong,
    Kind.SECOND_ORDER: _second_order,
    Kind.UPHILL: _uphill,
}
