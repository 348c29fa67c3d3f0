"""Every operation of the table whose slope jumps declares which side of the kink a call was on."""

import numpy as np
from hypothesis.errors import Unsatisfiable

from tinygrad_lab.testing.inputs.catalogue import CASES
from tinygrad_lab.testing.inputs.generated import at_kinks
from tinygrad_lab.testing.inputs.search import search
from tinygrad_lab.testing.judging.arrays import bind
from tinygrad_lab.testing.judging.numerical import direction_like
from tinygrad_lab.testing.judging.slope import Measurer, branches
from tinygrad_lab.testing.judging.subject import subject_of


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
            search(look, at_kinks(calls), 4, 0)
        except Unsatisfiable:  # it has a value at none of these points
            continue
    assert silent == {}
