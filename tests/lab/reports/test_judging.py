"""Reported beside measured: grades, rounding, diverged runs, and what is said of them."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_lab.lab import Settings, train
from tinygrad_lab.lab.reports.judging import measure
from tinygrad_lab.lab.reports.reported import Reported
from tinygrad_lab.lab.reports.study import Claim, Row, Verdict

SETTING = Settings(hidden=(1,), epochs=2)
RUN = train(SETTING)


def runs(accuracies, losses=None):
    """Make up runs with these accuracies, in percent, and these final losses."""
    losses = [0.1] * len(accuracies) if losses is None else losses
    return [
        replace(
            RUN,
            accuracy=accuracy / 100,
            losses=np.array([0.5, 0.3, loss]),
            diverged_at=None if math.isfinite(loss) else 1,
        )
        for accuracy, loss in zip(accuracies, losses, strict=True)
    ]


def grades(reported, *made_up):
    return [f.grade for f in measure(Row("A", "row", SETTING, reported), runs(*made_up)).figures]


@pytest.mark.parametrize(
    ("reported", "grade"),
    [
        (50, "typical"),
        (40, "typical"),
        (90, "seen"),
        (10, "seen"),
        (9, "not seen"),
        (91, "not seen"),
    ],
)
def test_grades(reported, grade):
    assert grades(Reported(accuracy=(reported,)), [10, 40, 50, 60, 90]) == [grade]


@pytest.mark.parametrize(
    ("reported", "agrees"), [(52, True), (52.4, True), (52.38, True), (52.3, False), (53, False)]
)
def test_a_figure_is_as_precise_as_it_was_printed(reported, agrees):
    (grade,) = grades(Reported(accuracy=(reported,)), [100 * 11 / 21] * 4)
    assert grade == ("typical" if agrees else "not seen")


def test_losses_are_rounded_to_the_digits_given():
    assert grades(Reported(loss=1.5e-7), [100] * 3, [1.46e-7] * 3) == ["typical"]
    assert grades(Reported(loss=1.5e-7), [100] * 3, [1.44e-7] * 3) == ["not seen"]


def test_the_curve_is_compared_epoch_by_epoch():
    measured = measure(
        Row("A", "row", SETTING, Reported(curve=((0, 0.5), (1, 0.4)))), runs([100, 100])
    )
    assert [(f.what, f.grade) for f in measured.figures] == [
        ("loss at epoch 0", "typical"),
        ("loss at epoch 1", "not seen"),
    ]


def test_a_diverged_run_counts_as_infinite():
    measured = measure(Row("", "row", SETTING), runs([50, 50, 50], [0.1, math.inf, math.inf]))
    assert measured.loss == (0.1, math.inf, math.inf)
    assert measured.diverged == pytest.approx(2 / 3)


@given(st.lists(st.floats(0, 100), min_size=1, max_size=30))
def test_sums_are_those_of_the_runs(accuracies):
    measured = measure(Row("", "row", SETTING), runs(accuracies))
    low, median, high = measured.accuracy
    assert low == pytest.approx(min(accuracies))
    assert high == pytest.approx(max(accuracies))
    assert any(median == pytest.approx(a) for a in accuracies)
    assert measured.perfect == pytest.approx(np.mean([a == 100 for a in accuracies]))


def test_nothing_to_measure():
    with pytest.raises(ValueError, match="no runs of A: row"):
        measure(Row("A", "row", SETTING), [])


def test_a_claim_waits_for_all_its_runs():
    other = replace(SETTING, lr=0.2)
    claim = Claim("both", (SETTING, other), lambda *both: Verdict(len(both) == 2, "counted"))
    assert claim.verdict({SETTING: [RUN]}) is None
    assert claim.verdict({SETTING: [RUN], other: [RUN]}) == Verdict(True, "counted")
