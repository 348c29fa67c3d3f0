"""Kinks: every operation says which side of one a call was on, and what a tie leaves to be said."""

import os

import numpy as np
import pytest
from hypothesis.errors import Unsatisfiable

import tinygrad_lab as tl
from tinygrad_lab import testing as tgt
from tinygrad_lab.testing.inputs.catalogue import CASES
from tinygrad_lab.testing.inputs.generated import at_kinks
from tinygrad_lab.testing.inputs.search import search
from tinygrad_lab.testing.judging.arrays import bind
from tinygrad_lab.testing.judging.numerical import direction_like
from tinygrad_lab.testing.judging.slope import Measurer, branches
from tinygrad_lab.testing.judging.subject import subject_of

EXAMPLES = 20 if os.environ.get("HYPOTHESIS_PROFILE") == "thorough" else 2


def has_a_kink(subject, arrays, outputs):
    """Whether the slopes from the two sides are both certain, and differ."""
    rng = np.random.default_rng(0)
    directions = [direction_like(x, rng) for x in arrays]
    ladder = Measurer(subject, arrays, outputs).climb(directions, 2.0**-13).ladder
    if not ladder.finite:
        return False
    left, right, error = ladder.sides()
    certain = np.isfinite(left) & np.isfinite(right) & (error < 1e-4 * (1 + np.abs(left)))
    apart = np.abs(left - right) > 1e-3 * (np.abs(left) + np.abs(right)) + 100 * error
    return bool(np.any(certain & apart))


def test_every_operation_whose_slope_jumps_declares_its_branch():
    silent = {}

    def look(call, only):
        args = bind(call.arrays, None)
        subject, arrays = subject_of(call.f, args), [np.array(x, float) for x in args.arrays]
        with np.errstate(all="ignore"):
            here = subject.evaluate(arrays)
            declared = bool(branches(here.roots))
            filled = any(y.size for y in here.outputs)
            if filled and not declared and has_a_kink(subject, arrays, here.outputs):
                silent[call.text] = [np.asarray(x).tolist() for x in call.arrays]

    for calls in CASES.values():
        try:
            search(look, at_kinks(calls), EXAMPLES, 0)
        except Unsatisfiable:  # it has a value at none of these points
            continue
    assert silent == {}


TIES_INSIDE = [
    (lambda x, y: np.median(x * y), [0.0, 0.0, 0.0], [0.0, 0.0, 1.0]),
    (lambda x, y: np.median(x * y), [0.0, 1.0, 1000.0], [0.0, 0.0, 0.0]),
    (lambda x, y: np.maximum(x * y, 0).sum(), [0.0, 0.0, 0.0], [0.0, 1.0, -1.0]),
    (lambda x, y: np.sort(x * y)[1], [0.0, 0.0, 0.0], [1.0, 0.0, 2.0]),
]


@pytest.mark.parametrize(("f", "x", "y"), TIES_INSIDE)
def test_a_tie_of_computed_values_is_never_a_failure(f, x, y):
    """The rule is one of those that a tie has; the slope of the whole may be another number."""
    assert tgt.gradcheck(f, np.array(x), np.array(y), raises=False).verdict != "fail"


@pytest.mark.parametrize("x", [[1.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
def test_a_wrong_rule_at_a_tie_of_its_inputs_is_one(x):
    full = tl.primitive(lambda v: np.max(v))
    tl.defvjp(full, lambda g, y, v: g * (v == y))
    assert tgt.gradcheck(full, np.array(x), raises=False).verdict == "fail"


def tripled():
    """An operation that changes nothing, and triples every gradient."""
    triple = tl.primitive(lambda v: v * 1.0)
    tl.defvjp(triple, lambda g, y, v: 3 * g)
    return triple


WRONG_AT_TIES = [
    (lambda wrong, x: wrong(np.maximum(2 * x, x + 1)).sum(), [1.0, 2.0]),
    (lambda wrong, x: wrong(np.maximum(np.sin(x), np.sin(1 * x))).sum(), [0.3, 2.0]),
    (lambda wrong, x: np.clip(wrong(2 * x), -1, 1).sum(), [0.5, -0.5, 0.1]),
    (lambda wrong, x: wrong(np.sort(x * x))[1], [1.0, -1.0, 0.5]),
]


@pytest.mark.parametrize(("f", "x"), WRONG_AT_TIES)
def test_what_is_wrong_beside_a_tie_is_wrong_at_it(f, x):
    right = tgt.gradcheck(lambda x: f(lambda v: v, x), np.array(x), raises=False)
    assert right.verdict != "fail", str(right)
    wrong = tripled()
    assert tgt.gradcheck(lambda x: f(wrong, x), np.array(x), raises=False).verdict == "fail"


@pytest.mark.parametrize("x", [[1.0, 1.0, 1.0], [2.0, 0.0, 2.0]])
def test_equal_numbers_in_a_sort_pass_and_are_no_cover_for_a_wrong_rule(x):
    x, y = np.array(x), np.array([3.0, -1.0, 2.0])
    assert tgt.gradcheck(lambda x: np.sort(x) * y, x).verdict == "pass"
    doubled = tl.primitive(lambda z: z * 1.0)
    tl.defvjp(doubled, lambda g, r, z: 2 * g)
    report = tgt.gradcheck(lambda x: doubled(np.sort(x) * y), x, raises=False)
    assert report.verdict == "fail"
