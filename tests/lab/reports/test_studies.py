"""The reported figures are those of the reports, and the claims are judged rightly."""

from dataclasses import replace

import numpy as np
import pytest

from tinygrad_lab.lab import Settings, train
from tinygrad_lab.lab.reports.judging import STUCK
from tinygrad_lab.lab.reports.reported import REPORT_A, REPORT_B
from tinygrad_lab.lab.reports.studies import ACCEPTED, STUDIES
from tinygrad_lab.lab.runner import run_all

RUN = train(Settings(hidden=(1,), epochs=2))


def reported():
    """Every figure, by study, report, data, and what tells the row apart."""
    return {
        (study.key, row.report, row.settings.data, row.label): row.reported
        for study in STUDIES
        for row in study.rows
    }


def test_every_figure_of_the_reports_is_here():
    figures = reported()

    def accuracy(*key):
        return figures[key].accuracy

    assert accuracy("learning-rate", "A", "linear", "lr 1") == (100,)
    assert accuracy("learning-rate", "A", "linear", "lr 1e-4") == (52,)
    assert accuracy("learning-rate", "A", "xor", "lr 1e-5") == (52.38,)
    assert accuracy("learning-rate", "B", "xor", "lr 0.01") == (80.95,)
    assert accuracy("hidden-units", "B", "xor", "(2, 2)") == (76.19,)
    assert accuracy("hidden-units", "A", "xor", "(16, 16)") == (100,)
    assert accuracy("no-activation", "A", "linear", "no activation, lr 0.03") == (98, 55)
    assert accuracy("no-activation", "B", "linear", "no activation, lr 1e-4") == (86,)
    assert accuracy("no-activation", "B", "xor", "no activation, lr 1e-4") == (42.86,)
    assert accuracy("relu", "A", "linear", "ReLU, lr 0.03") == (98,)
    assert accuracy("optimizers", "A", "xor", "momentum 0.9") == (100,)
    assert accuracy("optimizers", "A", "linear", "Adam") == (100,)
    relu = [figures["relu", "B", data, "ReLU, lr 1e-3"] for data in ("linear", "xor")]
    assert [(r.accuracy, r.loss) for r in relu] == [((91,), 0.094), ((95.24,), 0.053)]
    base = [figures["base", "A", data, "gradient as derived"] for data in ("linear", "xor")]
    assert [(r.accuracy, r.loss) for r in base] == [((100,), 7.9e-6), ((100,), 1.5e-7)]
    base = [figures["base", "B", data, "base"] for data in ("linear", "xor")]
    assert [r.loss for r in base] == [1.4e-4, 4.3e-4]
    assert dict(base[0].curve) == {0: 0.268, 500: 0.0110, 8500: 1.8e-4}
    assert dict(base[1].curve) == {0: 0.339, 500: 0.2516, 2000: 0.236, 3000: 0.024, 8500: 4.8e-4}


def test_everything_that_the_reports_say_is_compared():
    rows = [row for study in STUDIES for row in study.rows]
    texts = [claim.text for study in STUDIES for claim in study.claims]
    for report in (REPORT_A, REPORT_B):
        for name, run in report.runs.items():
            for data, figures in run.by_data.items():
                assert any(
                    row.reported is figures
                    and (row.report, row.settings.data) == (report.name, data)
                    for row in rows
                ), f"report {report.name}: {name}, {data}"
        for sentence in report.claims.values():
            assert any(text.startswith(sentence) for text in texts), sentence


def test_report_b_is_run_as_it_says():
    (row, _) = [r for s in STUDIES if s.key == "base" for r in s.rows if r.label == "base"]
    assert row.settings.hidden == (3, 3)
    assert (row.settings.bias, row.settings.lr, row.settings.epochs) == (False, 0.1, 9000)
    assert (row.settings.reduction, row.settings.loss) == ("sum", "mse")


def test_rows_and_claims_are_consistent():
    for study in STUDIES:
        settings = [row.settings for row in study.rows]
        assert len(set(settings)) == len(settings), f"{study.key} runs a setting twice"
        for claim in study.claims:
            assert set(claim.settings) <= set(settings), f"{study.key}: {claim.text}"


def verdict(study_key, text, *runs):
    """Judge a claim on made-up runs, given as (accuracy, loss, diverged_at, epochs to converge)."""
    (claim,) = [
        c for s in STUDIES if s.key == study_key for c in s.claims if c.text.startswith(text)
    ]
    results = [
        [
            replace(
                RUN,
                accuracy=accuracy,
                losses=np.array([1.0, 1e-4 if reach else 1.0, loss]),
                epochs=np.array([0, reach or 1, 99_999]),
                diverged_at=diverged,
            )
            for accuracy, loss, diverged, reach in setting
        ]
        for setting in runs
    ]
    return claim.verdict(dict(zip(claim.settings, results, strict=True)))


def test_acceptance_counts_accuracy_and_loss():
    good, poor, wrong = (1.0, 1e-5, None, 5), (1.0, 2e-3, None, 5), (0.95, 1e-5, None, 5)
    four, eight = "[2, 4, 4, 1] solves", "[2, 8, 8, 1] solves"
    assert verdict("acceptance", four, [good] * 17 + [wrong] * 3).holds
    assert not verdict("acceptance", four, [good] * 16 + [wrong] * 4).holds
    assert not verdict("acceptance", four, [good] * 16 + [poor] * 4).holds
    assert verdict("acceptance", eight, [good] * 20).holds
    assert not verdict("acceptance", eight, [good] * 19 + [poor]).holds


def test_stuck_is_sometimes_and_not_always():
    stuck, free = (11 / 21, STUCK, None, None), (1.0, 0.01, None, None)
    assert verdict("relu", "Report B", [stuck, free]).holds
    assert not verdict("relu", "Report B", [stuck, stuck]).holds
    assert not verdict("relu", "Report B", [free, free]).holds


def test_convergence_is_ordered_by_medians():
    def setting(*epochs):
        return [(1.0, 1e-4, None, epoch) for epoch in epochs]

    text = "Report A: order of convergence Adam > momentum > SGD (XOR)"
    fast, middle, slow = setting(1, 2, 900), setting(10, 20, 30), setting(100, 200, 1)
    judged = verdict("optimizers", text, fast, middle, slow)
    assert judged.holds
    assert "Adam 2, momentum 20, SGD 100" in judged.evidence
    assert not verdict("optimizers", text, middle, fast, slow).holds
    never = [(0.5, 1.0, None, None)] * 3
    assert "SGD never" in verdict("optimizers", text, fast, middle, never).evidence


def test_no_activation_is_judged_by_how_many_diverge():
    good, lost = (0.98, 0.1, None, None), (0.5, np.inf, 7, None)
    assert verdict("no-activation", "Report A: 98 %", [good] * 3 + [lost]).holds
    assert not verdict("no-activation", "Report A: 98 %", [good, lost, lost]).holds
    assert not verdict("no-activation", "Report A: 98 %", [good] * 3).holds
    assert verdict("no-activation", "Report A: the loss", [good, lost]).holds


@pytest.mark.parametrize(("hidden", "needed"), [((4, 4), 17), ((8, 8), 20)])
def test_acceptance(hidden, needed):
    """Adam at 0.01 for 5,000 epochs solves XOR, on as many of 20 seeds as is promised."""
    setting = replace(ACCEPTED, hidden=hidden)
    results = run_all([(setting, range(20))], progress=False)[setting]
    assert sum(r.accuracy == 1.0 and r.loss < 1e-3 for r in results) >= needed
