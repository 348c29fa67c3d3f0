"""Every row of the two reports over all its seeds: what the page says in words is so.

Two minutes of two processors, so only among the thorough tests.
"""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tinygrad_lab.lab.reports.measuring import CONVERGED, measure
from tinygrad_lab.lab.reports.studies import BASE_A, BASE_B, STUDIES
from tinygrad_lab.lab.reports.writing import FULL_SEEDS
from tinygrad_lab.lab.runner import run_all

pytestmark = pytest.mark.skipif(
    os.environ.get("HYPOTHESIS_PROFILE") != "thorough", reason="trains thousands of networks"
)

ROOT = Path(__file__).parents[3]

ROWS = {
    (study.key, row.report, row.settings.data, row.label): row
    for study in STUDIES
    for row in study.rows
}

#: The claims that do not hold; all others do.
REFUTED = {
    "Report A: more units converge faster (linear)",
    "Report A: 98 % with the median output as threshold (linear)",
    "Report A: the loss diverges (XOR), at rate 0.03",
    "Adam > momentum > SGD with each at the best of these rates",
}

#: The claims whose share of runs the documentation names.
SAID = (
    "Report A: more units converge faster (linear)",
    "Report A: more units converge faster (XOR)",
    "Report A: 98 % with the median output as threshold (linear)",
    "Report A: order of convergence Adam > momentum > SGD (linear)",
    "Report A: order of convergence Adam > momentum > SGD (XOR)",
    "Adam > momentum > SGD with each at the best of these rates",
    "Report B's losses are those of half the squared error (linear)",
    "Report B's rate 1 is that of half the squared error (linear)",
)

#: Grades that the page is about, by study, report, data, label and figure.
GRADES = {
    ("learning-rate", "B", "linear", "lr 1", "accuracy"): "some",
    ("learning-rate", "B", "linear", "lr 1, half the squared error", "accuracy"): "most",
    ("learning-rate", "B", "xor", "lr 0.1", "accuracy"): "most",
    ("base", "A", "linear", "gradient as derived", "loss"): "some",
    ("base", "A", "xor", "gradient as derived", "loss"): "most",
    ("base", "A", "xor", "exact gradient of the squared error", "loss"): "none",
    ("no-activation", "B", "xor", "no activation, lr 1e-4", "accuracy"): "none",
    ("optimizers", "A", "xor", "Adam", "accuracy"): "most",
    ("optimizers", "A", "linear", "momentum 0.9", "accuracy"): "most",
}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.fixture(scope="module")
def runs():
    """Everything that a whole report trains."""
    jobs = [
        (row.settings, range(row.seeds or FULL_SEEDS)) for study in STUDIES for row in study.rows
    ]
    return run_all(jobs, progress=False)


@pytest.fixture(scope="module")
def measured(runs):
    """Each row, measured."""
    return {key: measure(row, runs[row.settings]) for key, row in ROWS.items()}


def test_the_claims(runs):
    for study in STUDIES:
        for claim in study.claims:
            verdict = claim.verdict(runs)
            said = f"{claim.text}: {verdict.share} {verdict.evidence}"
            assert verdict.holds == (claim.text not in REFUTED), said


def test_the_numbers_in_the_documentation(runs, measured):
    text = (ROOT / "docs/report.md").read_text(encoding="utf-8")
    text = " ".join(text.partition("## What a hundred seeds say")[2].partition("\n## ")[0].split())
    verdicts = {c.text: c.verdict(runs) for study in STUDIES for c in study.claims}
    for claim in SAID:
        assert str(verdicts[claim].share) in text, claim
    shares = {(*key, f.what): f.share for key, m in measured.items() for f in m.figures}
    for figure in GRADES:
        if figure[0] in ("base", "learning-rate") and shares[figure].word != "most":
            assert str(shares[figure]) in text, figure


def test_the_grades(measured):
    grades = {(*key, f.what): f.grade for key, m in measured.items() for f in m.figures}
    assert {key: grades[key] for key in GRADES} == GRADES


class TestFindings:
    """What the explanations say, sentence by sentence."""

    def test_the_exact_gradient_stays_far_above_the_reported_loss(self, measured):
        for data in ("linear", "xor"):
            m = measured["base", "A", data, "exact gradient of the squared error"]
            assert m.loss.lowest > 10 * m.row.reported.loss

    def test_the_reported_loss_is_above_the_plateau_when_no_run_is(self, measured):
        for label in ("base", "half the squared error"):
            m = measured["base", "B", "xor", label]
            (figure,) = [f for f in m.figures if f.epoch == 500]
            assert figure.spread.highest < figure.reported

    def test_at_rate_1_a_layer_that_answers_0_leaves_the_output_at_a_half(self, runs):
        missed = [r for r in runs[replace(BASE_B, lr=1.0, data="linear")] if r.accuracy < 0.95]
        silent = 0
        for result in missed:
            first, second, _ = (weights for _, weights in sorted(result.weights.items()))
            hidden = sigmoid(sigmoid(result.x @ first.T) @ second.T)
            halves = np.abs(result.prediction.ravel() - 0.5) < 0.01
            silent += halves.mean() > 0.2 and hidden[halves].max() < 0.01
        assert silent > len(missed) / 2

    def test_at_low_rates_most_runs_still_call_nearly_every_point_the_same(self, runs):
        for rate in (1e-4, 1e-5):
            for data in ("linear", "xor"):
                results = runs[replace(BASE_A, lr=rate, data=data)]
                ones = [np.mean(result.prediction > 0.5) for result in results]
                assert np.mean([max(one, 1 - one) > 0.9 for one in ones]) > 0.5

    def test_at_rate_001_most_runs_of_report_b_are_leaving_the_plateau(self, runs):
        results = runs[replace(BASE_B, lr=0.01, data="xor")]
        assert np.mean([CONVERGED < result.loss < 0.2494 for result in results]) > 0.5

    def test_a_diverged_network_is_right_for_the_points_labelled_0(self, runs):
        diverged = [
            result for each in runs.values() for result in each if result.diverged_at is not None
        ]
        assert len(diverged) > 50
        for result in diverged:
            assert result.accuracy == pytest.approx(1 - result.y.mean())

    def test_a_linear_network_ends_at_the_least_squares_answer(self, measured):
        m = measured["no-activation", "B", "xor", "no activation, lr 1e-4"]
        assert m.perfect.count == 0
        assert m.accuracy.lowest == m.accuracy.median == pytest.approx(100 * 7 / 21)

    def test_a_relu_network_ends_at_0_or_at_an_accuracy_of_its_own(self, measured):
        m = measured["relu", "B", "xor", "ReLU, lr 1e-3"]
        alive = [r.accuracy for r in m.results if r.prediction.any()]
        assert len(alive) < len(m.results)
        assert len(set(alive)) > 3
