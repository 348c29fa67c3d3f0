"""Reported beside measured: which runs agree, how many, and what is said of them."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_lab.lab import Settings, train
from tinygrad_lab.lab.reports.measuring import each_figure, measure
from tinygrad_lab.lab.reports.reported import Reported
from tinygrad_lab.lab.reports.shares import WORDS, Share
from tinygrad_lab.lab.reports.study import Claim, Row, Verdict

SETTING = Settings(hidden=(1,), epochs=2)
RUN = train(SETTING)


def run(right=21, loss=0.1, losses=(0.5, 0.3)):
    """Make up a run with so many of its 21 points right, this loss at the end, these before."""
    return replace(
        RUN,
        accuracy=right / 21,
        accuracies=np.array([10, 10, right]) / 21,
        losses=np.array([*losses, loss]),
        diverged_at=None if math.isfinite(loss) else 1,
    )


RUNS = st.lists(
    st.builds(run, st.integers(0, 21), st.floats(1e-6, 1) | st.just(math.inf)),
    min_size=1,
    max_size=25,
)
REPORTED = st.builds(
    Reported,
    accuracy=st.lists(st.sampled_from([100, 52.38, 52, 95.2]), max_size=2).map(tuple),
    loss=st.none() | st.floats(1e-6, 1),
    curve=st.lists(st.tuples(st.integers(0, 2), st.floats(0.1, 1)), max_size=2).map(tuple),
)


def measured(reported, runs):
    return measure(Row("A", "row", SETTING, reported), runs)


def shares(reported, runs):
    return [str(figure.share) for figure in measured(reported, runs).figures]


class TestAgreement:
    """Which runs agree with a figure."""

    @pytest.mark.parametrize(
        ("reported", "agrees"), [(52, 1), (52.4, 1), (52.38, 1), (52.3, 0), (53, 0), (52.381, 1)]
    )
    def test_an_accuracy_is_the_same_as_printed(self, reported, agrees):
        assert shares(Reported(accuracy=(reported,)), [run(11)]) == [f"{agrees} of 1"]

    def test_a_loss_is_within_a_factor_of_two_either_way(self):
        losses = [0.19, 0.2, 0.4, 0.8, 0.81, math.inf]
        assert shares(Reported(loss=0.4), [run(loss=loss) for loss in losses]) == ["3 of 6"]

    def test_the_curve_is_compared_epoch_by_epoch(self):
        runs = [run(losses=(0.5, 0.3)), run(losses=(0.5, 0.9))]
        m = measured(Reported(curve=((0, 0.5), (1, 0.4))), runs)
        assert [(f.what, f.epoch, str(f.share)) for f in m.figures] == [
            ("loss at epoch 0", 0, "2 of 2"),
            ("loss at epoch 1", 1, "1 of 2"),
        ]

    def test_a_row_agrees_where_one_run_gives_everything(self):
        runs = [run(21, 0.1), run(21, 0.9), run(11, 0.1), run(11, 0.9)]
        assert str(measured(Reported((100,), 0.1), runs).agreeing) == "1 of 4"
        assert str(measured(Reported((100, 52)), runs).agreeing) == "4 of 4"
        assert measured(Reported(), runs).agreeing is None

    @given(REPORTED, RUNS)
    def test_what_most_runs_give_the_median_run_gives(self, reported, runs):
        for figure in measured(reported, runs).figures:
            if figure.grade == "most":
                median = figure.spread.median
                if figure.what == "accuracy":
                    assert abs(median - figure.reported) <= 0.5
                else:
                    assert figure.reported / 2 <= median <= 2 * figure.reported

    @given(REPORTED, RUNS, st.randoms(use_true_random=False))
    def test_the_order_of_the_runs_does_not_matter(self, reported, runs, random):
        shuffled = list(runs)
        random.shuffle(shuffled)
        one, other = measured(reported, runs), measured(reported, shuffled)
        assert one.figures == other.figures
        assert (one.agreeing, one.reaching) == (other.agreeing, other.reaching)
        assert one.typical.loss == other.typical.loss

    @given(REPORTED.filter(lambda r: r.accuracy == (100,)), RUNS)
    def test_a_run_more_in_agreement_never_lowers_a_grade(self, reported, runs):
        only = Reported(accuracy=reported.accuracy)
        (before,) = measured(only, runs).figures
        (after,) = measured(only, [*runs, run(21)]).figures
        assert WORDS.index(after.grade) <= WORDS.index(before.grade)

    @given(REPORTED, RUNS)
    def test_no_more_runs_agree_with_everything_than_with_a_loss(self, reported, runs):
        m = measured(reported, runs)
        for figure in m.figures:
            if figure.what != "accuracy":
                assert m.agreeing.count <= figure.share.count

    @given(REPORTED, RUNS)
    def test_a_figure_that_an_accuracy_agrees_with_is_inside(self, reported, runs):
        for figure in measured(reported, runs).figures:
            if figure.what == "accuracy" and figure.share.count:
                assert figure.inside

    def test_findings_are_what_hardly_any_run_gives_and_more_where_there_is_an_explanation(self):
        runs = [run(21)] * 3 + [run(11)] * 17
        reported = Reported(accuracy=(52, 100, 95))
        assert [f.reported for f in measured(reported, runs).disagreements] == [95]
        explained = measure(Row("A", "row", SETTING, reported, finding="Because."), runs)
        assert [f.reported for f in explained.disagreements] == [100, 95]

    def test_a_figure_that_is_run_in_two_ways_counts_once_by_the_better(self):
        reported, equal = Reported(accuracy=(100,), loss=0.1), Reported(accuracy=(100,), loss=0.1)
        both = [measured(reported, [run(right, loss)]) for right, loss in ((21, 0.9), (11, 0.1))]
        assert [f.grade for f in each_figure(both)] == ["most", "most"]
        assert len(each_figure([*both, measured(equal, [run()])])) == 4

    def test_a_loss_can_agree_and_be_outside(self):
        (figure,) = measured(Reported(loss=0.25), [run(loss=0.2), run(loss=0.24)]).figures
        assert (figure.grade, figure.inside) == ("most", False)


class TestMeasurement:
    """The runs of a row, summed up."""

    def test_a_diverged_run_counts_as_infinite(self):
        m = measured(Reported(), [run(11, 0.1), run(11, math.inf), run(11, math.inf)])
        assert (m.loss.lowest, m.loss.median) == (0.1, math.inf)
        assert str(m.diverged) == "2 of 3"

    @given(RUNS)
    def test_sums_are_those_of_the_runs(self, runs):
        m = measured(Reported(), runs)
        right = sorted(round(21 * r.accuracy) for r in runs)
        assert round(21 * m.accuracy.lowest / 100) == right[0]
        assert round(21 * m.accuracy.median / 100) == right[len(runs) // 2]
        assert m.perfect.count == right.count(21)
        assert m.typical.loss == m.loss.median
        assert m.seeds == (RUN.seed,) * len(runs)

    def test_a_percentage_has_no_digits_of_rounding(self):
        linear = train(Settings(data="linear", hidden=(1,), epochs=1))
        m = measured(Reported(), [replace(linear, accuracy=0.57)])
        assert m.accuracy.median == 57.0

    def test_when_runs_converge_and_that_some_never_do(self):
        fast, slow = run(21, 0.001, losses=(0.5, 0.005)), run(21, 0.001)
        never = run(20, 0.02)
        of_loss, of_accuracy = measured(Reported(), [fast, slow, never]).reaching
        assert (of_loss.epochs.lowest, of_loss.epochs.median) == (1, 2)
        assert math.isinf(of_loss.epochs.highest)
        assert str(of_loss.never) == str(of_accuracy.never) == "1 of 3"
        assert of_accuracy.epochs.median == 2
        assert (of_loss.within, of_loss.resolution) == (2, 1)

    def test_the_resolution_is_that_of_the_curve(self):
        result = train(replace(SETTING, epochs=1203))
        (reaching, _) = measured(Reported(), [result]).reaching
        assert reaching.resolution == 4 == np.diff(result.epochs[:-1]).max()

    def test_nothing_to_measure(self):
        with pytest.raises(ValueError, match="no runs of A: row"):
            measured(Reported(), [])


def test_a_claim_waits_for_all_its_runs():
    other = replace(SETTING, lr=0.2)
    claim = Claim(
        "both", (SETTING, other), lambda *both: Verdict(len(both) == 2, Share(1, 2), "counted")
    )
    assert claim.verdict({SETTING: [RUN]}) is None
    assert claim.verdict({SETTING: [RUN], other: [RUN]}) == Verdict(True, Share(1, 2), "counted")
