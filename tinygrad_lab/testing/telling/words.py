"""Judgements in words.  Every sentence about a check is written here, and read by people alone.

Not for: the pattern in wrong numbers (``diagnosis.py``), or how a message is laid out
(``finding.py``).
"""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_lab.core.errors import describe
from tinygrad_lab.testing.judging.judgement import Judgement, Kind, Reason, Site
from tinygrad_lab.testing.judging.left_out import LeftOut
from tinygrad_lab.testing.judging.locating import Located
from tinygrad_lab.testing.judging.point import Point
from tinygrad_lab.testing.telling.digits import arrays_side_by_side, side_by_side
from tinygrad_lab.testing.telling.inputs import line_of

MOST_NAMED = 5  # so many wrong elements are named one by one

_REASONS = {
    Reason.LEFT_OUT: "left out: {why}",
    Reason.NOT_ASKED_FOR: "asked for with order=2",
    Reason.ONE_INPUT: "there is one input",
    Reason.COMPUTES_ALL: "it is not told what is asked for",
    Reason.ONCE_ONLY: "it says that it can be differentiated once only",
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
    Reason.MEANINGLESS: "it would say nothing beside what {after} has shown",
    Reason.OUT_OF_TIME: "the budget of {seconds:g} s was spent after {calls:call} "
    "({each:.2g} s each)",
    Reason.NO_FLOAT32: "it does not take float32",
    Reason.BEYOND_FLOAT32: "float32 has too few digits here, or no room for such numbers",
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
    Reason.DROWNS: "the slope that is promised, {slope:.0e}, drowns in the round-off of the rest, "
    "{band:.0e}: check what this input goes into by itself, or scale the rest down",
    Reason.SEVERAL_KINKS: "at several kinks at once no slope is the right one",
    Reason.CANCELS: "off by less than a right rule may lose: large terms cancel in this slope",
    Reason.RIGHT_BESIDE: "at the whole numbers {inputs} the gradient promises the slope {slope}, "
    "and it is {exactly}; beside them it is right",
    Reason.KINK: "kink: one-sided slopes {low} to {high}",
    Reason.A_SUBGRADIENT: "a subgradient: the point is a kink",
    Reason.NOTHING_MOVES: "nothing moves, and the gradient is zero",
    Reason.VANISHES: "the slope is less than the round-off of the function",
    Reason.BY_COMPLEX_STEP: "by complex step",
    Reason.BY_ENTRIES: "entry by entry, in the Jacobian",
    Reason.IN_LONG_DOUBLE: "in long double: round-off hides it in float64",
    Reason.WITHIN_TOLERANCE: "off by {off:.1e}, within tolerance={tolerance:g}",
    Reason.RESULT_IN_FLOAT64: "the result is float64",
    Reason.RULE_ROUNDS: "the rule rounds, though on integers it need not",
    Reason.AT_RATE: "at rate {rate:g}",
}

_CUT_OFF = "the backward is cut off from its inputs: it computes with detached values"
_IS_WRONG = {
    "several": "{gradient} are wrong",
    "input": "{gradient} is wrong",
    "": "the gradient is wrong",
}

#: The sentence of each fault, and the lines below it.  Where it depends on the facts, the text is
#: that of the first fact that there is, or else of "".
_FAULTS: dict[Kind, list[str | dict[str, str]]] = {
    Kind.RETURNS_NOTHING: [
        {
            "by_gradient": "the gradient function returned None",
            "empty": "it returned {empty!r}, with no number in it",
            "": "it returned None; is a `return` missing?",
        }
    ],
    Kind.NOT_FLOAT: [
        {
            "what": "{gradient} is {what}, not an array of floats",
            "array": "it returned {array!d}, which has no derivative",
            "": "it returned {result!d}, not floats",
        }
    ],
    Kind.NOT_A_NUMBER: ["with grad= the function must return one real number"],
    Kind.UNTRACKED: [
        {
            "ways": "the result has no history: {ways} on the way",
            "": "it returned {results!d} without a history: the gradient was lost on the way "
            "(detach(), .data, no_grad, or an operation on plain arrays)",
        }
    ],
    Kind.RAISES: [
        {
            "property": "{property} could not be looked at: {error!e}{below}",
            "backward": "the backward pass raised {error!e}{below}",
            "": "the function raised {error!e}{below}",
        },
    ],
    Kind.FOREIGN: [
        "it calls {function} with Tensors, and the derivative by hand that this has would not be "
        "asked for",
        "say gradcheck(adapters.{adapter}(f), ...), which asks for it",
    ],
    Kind.RANDOM: [
        "the function is random: at each call it draws from {source}",
        "seed it anew within the function, or hand over what was drawn as an input; check a model "
        "with dropout after .eval()",
    ],
    Kind.GLOBAL_STATE: [
        {
            "unseeded": "make() gives an object with other numbers in {unseeded} each time: seed "
            "it, np.random.default_rng(0) say, or hand over an object",
            "": "the function gives another value at each call: it depends on state outside of its "
            "inputs, or draws random numbers from a generator that it makes",
        }
    ],
    Kind.MUTATES_INPUT: [
        {
            "backward": "the backward pass writes into input {input} ({name})",
            "input": "the function writes into input {input} ({name})",
            "": "the function writes into its input{aside}",
        }
    ],
    Kind.MUTATES_UPSTREAM: [
        {
            "error": "the backward pass writes into its upstream or its inputs{aside}",
            "": "the backward pass writes into its upstream",
        }
    ],
    Kind.MUTATES: ["an array that was handed over is written into{aside}"],
    Kind.WRITES_GRAD: ["asking for gradients added them to .grad of the inputs"],
    Kind.COUNT: [
        {
            "missing": "no gradient came back for {missing}",
            "": "{gradients:gradient} came back for {inputs:input}",
        },
        {"of_layer": "where it is fixed, params=[] leaves parameters out", "": ""},
    ],
    Kind.MISSING: ["{gradient} is None"],
    Kind.SHAPE: [
        "{gradient} has shape {shape}, the input {expected}",
        {
            "harmless": "where it is subtracted from its input that makes no difference",
            "stretched": "the gradient of a broadcast operand has to be summed over the axes it "
            "was stretched",
            "transposed": "transposed",
            "": "a gradient has the shape of what it belongs to",
        },
    ],
    Kind.DTYPE: [
        {
            "expected": "{gradient} is {dtype}, the input {expected}",
            "": "{gradient} is {dtype} for a float32 input",
        },
        {
            "harmless": "a constant of the rule may be",
            "expected": "",
            "": "a constant of the rule is {dtype}",
        },
    ],
    Kind.ALIASING: [
        {
            "gradient_by": "{gradient} shares its memory with the gradient by {gradient_by}",
            "other": "{gradient} shares its memory with {other}",
            "": "{gradient} shares its memory with the upstream",
        },
        {
            "harmless": "whoever writes into one changes the other",
            "": "whoever adds to one in place changes the other: return a copy",
        },
    ],
    Kind.NOT_REPEATABLE: [
        "{gradient} is another one the second time",
        "the value is the same: the backward pass is random, or keeps state between calls",
    ],
    Kind.SECOND_BACKWARD: [
        {
            "error": "a second backward pass after one forward pass raises {error!e}",
            "": "{gradient} is another one on a second backward pass",
        },
        {"error": "", "": "something is kept from the first pass, or was written over by it"},
    ],
    Kind.SHARED_STATE: [
        {
            "adds_up": "{gradient} is added to the one of the pass before",
            "used_before": "{gradient} is another one when the object has been used before",
            "": "{gradient} changes when the function is called in between",
        },
        {
            "adds_up": "set it to zero before each backward pass",
            "used_before": "something of the first pass is kept for the second: an array that is "
            "computed once only, or a sum that goes on",
            "": "what the backward pass needs is kept on the function, not with the call",
        },
    ],
    Kind.READS_LATE: [
        {
            "error": "the backward pass raises {error!e} when the inputs are written into after "
            "the call",
            "": "{gradient} changes when the inputs are written into after the call",
        },
        "a rule reads a Tensor's values when it goes back: by then they may be others; it is "
        "handed those of the call",
    ],
    Kind.FAN_OUT: [
        "{gradient} of f(x) + f(x) is not twice that of f(x)",
        "contributions to one place overwrite each other, or are dropped",
    ],
    Kind.SUBSET: [
        "{gradient} is another one when asked for with {wanted} alone",
        "the backward pass looks at which gradients are wanted (needs_input_grad), and goes wrong",
    ],
    Kind.UNUSED_RESULT: [
        "{gradient} is another one when only result {used} is used",
        "the upstream of a result that is not used is missing, as if it were 0",
    ],
    Kind.KEPT: [
        {
            "wrong": "the gradient goes wrong in silence when somebody writes into an array that "
            "it needs",
            "": "{owner} keeps one of its {whose}s as {kept}",
        },
        {
            "wrong": "{owner} keeps one of its {whose}s as {kept}: with ctx.save_for_backward() "
            "PyTorch notices, and memory is freed in time{below}",
            "": "with ctx.save_for_backward() memory is freed in time{aside}",
        },
    ],
    Kind.LAYOUT: [
        {
            "inputs": "{gradient} depends on how arrays lie in memory",
            "": "{gradient} depends on the strides of the upstream",
        },
        {
            "inputs": "inputs: {inputs}; upstream: {upstream}",
            "": "it is another one for an upstream of stride 0, as sum() hands back",
        },
    ],
    Kind.FLOAT32: [
        "{gradient} in float32 is far from that in float64",
        "float32 {narrow}, float64 {wide}",
        {"harmless": "it is not so where numbers are tamer: round-off or overflow", "": ""},
    ],
    Kind.NOT_FINITE: [
        "{gradient} is {value} where value and slope are finite",
        "at {element} = {at:.6g}: one-sided slopes {left} and {right}",
    ],
    Kind.NONLINEAR: [
        {
            "at_zero": "{gradient} is not zero where the upstream is",
            "of_sums": "{gradient} of two upstreams is not the sum of their gradients",
            "sign": "{gradient} does not change sign with the upstream",
            "": "{gradient} does not grow in proportion to the upstream",
        },
        {
            "at_zero": "the upstream is ignored, or something is added to it",
            "constant": "it does not change at all: through abs, **2, or the upstream is not used",
            "quadratic": "it grows with the square of the upstream",
            "": "the upstream enters through something that is not linear (abs, relu, clip, **2)",
        },
    ],
    Kind.PARTIAL_UPSTREAM: ["{gradient} of all outputs is not the sum of their own"],
    Kind.WRONG: [
        {"exactly": "the gradient is wrong (exact mode: on integers nothing is rounded)"}
        | _IS_WRONG,
        {"exactly": "not there, but at whole numbers: {inputs}", "note": "{note}"},
        {"exactly": "along {directions}: slope {slope}, exactly it is {exactly}"},
    ],
    Kind.SUBGRADIENT: [_IS_WRONG, "{note}"],
    Kind.SECOND_ORDER: [
        {
            "tangent": "the derivative along a tangent, by differentiating the pullback, is "
            "another one",
            "without_history": "the gradient has no history, and yet it is not constant",
        }
        | _IS_WRONG,
        {
            "tangent": "the rule is not differentiable itself: it uses detached values",
            "without_history": _CUT_OFF,
            "cut_off": _CUT_OFF,
            "note": "{note}",
        },
    ],
    Kind.UPHILL: [
        {
            "rises": "step {step} goes uphill, however small the rate",
            "": "step {step} does not move downhill, however small the rate",
        },
        "at rate {rate:g} the loss goes from {loss:.12g} by {change:+.3g}",
        "the update adds where it should subtract, or keeps a velocity of the wrong sign",
    ],
}


#: What is at fault besides rules, by the step of the backward pass.
_PARTS = {
    "constant": "no gradient goes through this constant: detach(), .data, float(), item(), "
    "np.asarray, no_grad, or a Tensor made anew",
    "output": "no gradient comes from this output: detach(), .data, or plain NumPy on the way",
    "accumulation": "what several calls gave back to one value was not added up as it came",
}

RIGHT_ALONE = "alone, this call is right: the fault is in how it is used"


def of_left_out(left: LeftOut, name: str) -> str:
    """Say that a gradient leaves out a constant of the forward function."""
    if left.constant is None:
        return "right up to a small constant in the forward pass, which it leaves out"
    if left.is_beside_input:
        return (
            f"right up to {left.constant:.1g} beside {name}, a small constant in the forward pass"
        )
    constant = f"{left.constant:.1g}, a small constant in the forward pass"
    return f"right up to {constant}, which it leaves out"


class _Formatter(string.Formatter):
    """Writes lists item by item, and dicts as assignments.

    ``!d`` describes a value or those of a list, ``!e`` an exception; ``:thing`` counts things.
    """

    def convert_field(self, value: Any, conversion: Any) -> Any:
        if conversion == "d":
            return [describe(v) for v in value] if isinstance(value, list) else describe(value)
        if conversion == "e":
            return f"{type(value).__name__}: {value}"
        return super().convert_field(value, conversion)

    def format_field(self, value: Any, format_spec: str) -> str:
        if isinstance(value, dict):
            value = line_of(list(value), list(value.values()))
        if isinstance(value, list):
            return ", ".join(map(str, value))
        if isinstance(value, Site):
            return input_label(value)
        if isinstance(value, int) and format_spec:
            return f"{value} {format_spec}{'s' * (value != 1)}"
        return str(super().format_field(value, format_spec))


def note(judgement: Judgement) -> str:
    """Say how something was decided, or why it was not; "" where there is nothing to say.

    Of a judgement with several parts it is said by name, unless it is the same of all.
    """
    texts = {part.site.name: note(part) for part in judgement.parts}
    if len(set(texts.values())) > 1:
        return "; ".join(f"{name}: {text}" for name, text in texts.items() if text)
    if judgement.reason is None:
        return ""
    return _Formatter().vformat(_REASONS[judgement.reason], (), _side_by_side(judgement.facts))


#: Facts that are two numbers, or two arrays, to be held side by side.
_PAIRS = (("low", "high"), ("left", "right"), ("slope", "exactly"), ("narrow", "wide"))


def _side_by_side(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Write the facts that are pairs of numbers with the digits by which they differ."""
    pairs = [pair for pair in _PAIRS if all(name in facts for name in pair)]
    written = dict(facts)
    for a, b in pairs:
        are_arrays = np.ndim(facts[a]) > 0
        write = arrays_side_by_side if are_arrays else side_by_side
        written[a], written[b] = write(facts[a], facts[b])
    return written


def not_by(name: str) -> str:
    """Say that a number is not differentiated by."""
    return f"not differentiated by: {name}, a Python number; say wrt="


def input_label(site: Site) -> str:
    """Name an input: "input 0 (x)", and without the name where it has none of its own."""
    label = f"input {site.input}"
    return label if site.name == label else f"{label} ({site.name})"


def listed(names: Sequence[str], most: int = 6) -> str:
    """Write names in a row: "a, b and c"; of many the first, and how many more there are."""
    *first, last = names if len(names) <= most else [*names[:most], f"{len(names) - most} more"]
    return f"{', '.join(first)} and {last}" if first else last


def element(site: Site) -> str:
    """Name an element of an input: "x[0, 1]"."""
    part = f".{site.part}" if site.part else ""
    return f"{site.name}{list(site.index) if site.index else ''}{part}"


def extent(located: Located, point: Point) -> str:
    """Say which elements are wrong, if not all of them are; "" where that is not known."""
    x, site = point.arrays[located.input], point.subject.site(located.input)
    if not located.all_known or len(located.places) == x.size:
        return ""

    def at(place: tuple[int, ...]) -> str:
        return element(point.subject.site(located.input, place))

    wrong = located.places
    if located.run is not None:
        ends = (located.run[0], located.run[1] - 1)
        first, last = (tuple(map(int, np.unravel_index(k, x.shape))) for k in ends)
        what = f"everything from {at(first)} to {at(last)}, in the order of memory, is"
    elif located.region is not None and len(wrong) > 1:
        complete = len(point.subject.site(located.input, wrong[0]).index or ()) == x.ndim
        axes = list(zip(located.region, x.shape, strict=True))[: None if complete else -1]
        ranges = ", ".join(_slice(low, high, length) for (low, high), length in axes)
        what = f"all of {site.name}[{ranges}] is"
    elif len(wrong) > MOST_NAMED:
        what = f"{len(wrong)} of {x.size} elements are"
    else:
        what = f"{', '.join(map(at, wrong))} {'is' if len(wrong) == 1 else 'are'}"
    return f"{what} wrong, the rest of {site.name} is right"


def _slice(low: int, high: int, length: int) -> str:
    if high - low == 1:
        return str(low)
    return f"{low or ''}:{'' if high == length else high}"


def sentences(judgement: Judgement) -> list[str]:
    """Say what is wrong: the sentence of a message, and the lines below it."""
    assert judgement.kind is not None
    site, facts = judgement.site, _side_by_side(judgement.facts)
    where = f"in {site.line}: {site.source}" if site.line else ""
    facts |= {"aside": where and f", {where}", "below": where and f"\n  {where}"}
    if site.input is not None:
        facts |= {"input": site.input, "name": site.name, "element": element(site)}
        several = [input_label(each) for each in facts.get("several", ())]
        one = f"gradient by {input_label(site)}"
        facts["gradient"] = f"gradients by {listed(several)}" if several else one
    if judgement.reason is not None:
        facts["note"] = note(judgement)
    lines = []
    for line in _FAULTS[judgement.kind]:
        text = line if isinstance(line, str) else _chosen(line, facts)
        lines += [_Formatter().vformat(text, (), facts)] if text else []
    if judgement.order > 1:
        lines[0] = f"second order: {lines[0]}"
    return lines


def _chosen(texts: dict[str, str], facts: dict[str, Any]) -> str:
    return next((text for fact, text in texts.items() if not fact or fact in facts), "")


def of_blame(part: str) -> list[str]:
    """Say what an entry of the account means, where that is no matter of a rule."""
    return [_PARTS[part]] if part in _PARTS else []
