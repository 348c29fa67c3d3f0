"""The engine under random programs; and faults of the engine, which those must notice."""

import numpy as np
import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from benchmarks.checkers.faults import FAULTS
from benchmarks.checkers.machine import TensorMachine, quick
from tinygrad_lab import testing as tgt
from tinygrad_lab.core.operations import defvjp, primitive

noticing = settings(quick(100, 20), phases=[Phase.generate])


def test_programs_get_the_gradients_of_the_model():
    run_state_machine_as_test(TensorMachine, settings=quick(15, 20))


@pytest.mark.parametrize("number", [41, 42, 43, 44])
def test_faults_of_the_engine_are_noticed(number):
    fault = next(f for f in FAULTS if f.number == number)
    with fault.plant(), pytest.raises((AssertionError, ExceptionGroup)):
        run_state_machine_as_test(TensorMachine, settings=noticing)


@pytest.mark.parametrize("number", [41, 42, 43])
def test_the_ledger_tells_faults_of_adding_up_from_faults_of_rules(number):
    fault = next(f for f in FAULTS if f.number == number)

    def shared(x, w):
        h = np.tanh(x * w)
        return (np.sin(h) * h + np.exp(h)).sum()

    x, w = np.array([0.5, -1.0]), np.array([1.5, 0.25])
    with fault.plant():
        ledger = tgt.blame(shared, x, w)
    assert ledger.guilty.kind == "accumulation"
    assert ledger.guilty.what == "adding up the gradient of tanh"
    assert ledger.total == pytest.approx(1.0)
    rules = [e for e in ledger.entries if e.kind == "rule"]
    assert all(abs(e.share) < 1e-9 for e in rules)


def test_the_ledger_of_a_right_gradient_is_empty_but_for_rounding():
    ledger = tgt.blame(lambda x: np.sin(x) * np.exp(x), np.array([0.5, -1.0]))
    assert abs(ledger.discrepancy) < 1e-10


def test_faults_that_cancel_still_show():
    @primitive
    def twice_too_large(x):
        return np.sin(x)

    @primitive
    def half_of_it(x):
        return np.cos(x)

    defvjp(twice_too_large, lambda g, y, x: 2 * g * np.cos(x))
    defvjp(half_of_it, lambda g, y, x: -0.5 * g * np.sin(x))
    f = lambda x: half_of_it(twice_too_large(x))
    assert tgt.gradcheck(f, np.array([0.5]), properties=["directional"]).passed
    ledger = tgt.blame(f, np.array([0.5]))
    assert {e.what for e in ledger.entries if abs(e.amount) > 1e-3} == {
        "twice_too_large", "half_of_it",
    }  # fmt: skip
