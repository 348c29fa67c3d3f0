"""The checker is checked: faults that somebody reported are planted, and must be noticed."""

import contextlib
import os

import numpy as np
import pytest

import tinygrad_lab as tl
from benchmarks.checkers.faults import FAULTS
from tinygrad_lab import testing as tgt
from tinygrad_lab.testing.inputs import search

EXAMPLES = 100
THOROUGH = os.environ.get("HYPOTHESIS_PROFILE") == "thorough"
#: The catalogue changes seldom: by day every third of it, all of it in the thorough tests.
PLANTED = FAULTS if THOROUGH else FAULTS[::3]
by_name = pytest.mark.parametrize("fault", PLANTED, ids=lambda f: f"{f.number} {f.name}")


def test_the_catalogue_is_whole():
    assert {fault.number for fault in FAULTS} == set(range(1, 63))


@pytest.fixture(autouse=True)
def little_shrinking(monkeypatch):
    """By day: what is found need not be made small to be blamed."""
    if not THOROUGH:
        monkeypatch.setattr(search, "SHRINKING", 0.0)


@by_name
def test_a_planted_fault_is_noticed_and_its_operation_blamed(fault):
    with fault.plant(), pytest.raises(tgt.GradientError) as caught:
        fault.check(EXAMPLES, 0)
    finding = caught.value.finding
    assert str(caught.value)
    if fault.blamed and finding.blame is not None and finding.property != "second_order":
        assert finding.blame.guilty.what == fault.blamed
        assert finding.blame.total == pytest.approx(1.0)
        assert abs(finding.blame.guilty.share - 1.0) < 1e-6


@pytest.mark.parametrize(  # by day test_every_operation checks all the rules that are right
    "fault", FAULTS if THOROUGH else FAULTS[::6], ids=lambda f: f"{f.number} {f.name}"
)
def test_no_false_alarm_once_what_was_planted_is_taken_out(fault):
    with contextlib.suppress(tgt.GradientError), fault.plant():
        fault.check(1, 0)
    assert fault.check(EXAMPLES // 20 if THOROUGH else 2, 1).verdict != "fail"


def test_each_planting_is_a_fresh_one():
    """A wrong rule with a cache begins with an empty one each time."""
    cached = next(f for f in FAULTS if f.number == 45)

    def slope(at):
        x = tl.tensor(at, requires_grad=True)
        return tl.gradients(np.exp(x), [x])[0]

    for at in (0.5, 1.0):
        with cached.plant():
            assert slope(at) == slope(at + 1) == np.exp(at)


ELEMENTWISE = {
    fault.name: fault.blamed
    for fault in FAULTS
    if fault.blamed in ("sin", "exp") and fault.number in (6, 16, 19)
}


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_blame_ranks_the_patched_operation_first_in_a_network(name):
    fault = next(f for f in FAULTS if f.name == name)

    def network(x, w, v):
        h = np.tanh(np.sin(x @ w) + np.exp(-x @ w / 2))
        return np.log(1 + np.exp(h @ v)).mean() + np.sum(w * w) / 10

    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(5, 3)) * 3, rng.normal(size=(3, 4)), rng.normal(size=(4, 2))
    with fault.plant():
        ledger = tgt.blame(network, *inputs)
    assert ledger.guilty.what == fault.blamed
    assert ledger.total == pytest.approx(1.0, rel=1e-3)
    others = [e for e in ledger.entries if e.what != fault.blamed]
    assert all(abs(e.share) < 1e-3 for e in others)
