"""The reported figures are those of the reports, and the claims are judged rightly."""

from dataclasses import replace

import numpy as np
import pytest

from tinygrad_lab.lab import Settings, train, train_many, xor
from tinygrad_lab.lab.reports.judging import STUCK
from tinygrad_lab.lab.reports.reported import NOTHING, REPORT_A, REPORT_B
from tinygrad_lab.lab.reports.studies import ACCEPTED, STUDIES

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


def test_settings_that_no_report_speaks_of_say_how_many_seeds_they_have():
    for study in STUDIES:
        for row in study.rows:
            if row.seeds:
                assert row.reported == NOTHING, row.name
                assert row.seeds == 20


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
    """Judge a claim on made-up runs of each of its settings."""
    (claim,) = [
        c for s in STUDIES if s.key == study_key for c in s.claims if c.text.startswith(text)
    ]
    numbered = [[replace(r, seed=seed) for seed, r in enumerate(each)] for each in runs]
    return claim.verdict(dict(zip(claim.settings, numbered, strict=True)))


def run(accuracy=1.0, loss=1e-5, *, diverged=None, reach=5, **others):
    """Make up a run that ends so, and converges at an epoch or never."""
    return replace(
        RUN,
        accuracy=accuracy,
        losses=np.array([1.0, 1e-4 if reach else 1.0, loss]),
        epochs=np.array([0, reach or 1, 99_999]),
        diverged_at=diverged,
        **others,
    )


LOST = run(0.5, np.inf, diverged=7, reach=None)


class TestClaims:
    """Each kind of claim, on runs for which it holds and on runs for which it does not."""

    def test_acceptance_counts_accuracy_and_loss(self):
        good, poor, wrong = run(), run(loss=2e-3), run(0.95)
        four, eight = "[2, 4, 4, 1] solves", "[2, 8, 8, 1] solves"
        assert verdict("acceptance", four, [good] * 17 + [wrong] * 3).holds
        assert not verdict("acceptance", four, [good] * 16 + [wrong] * 4).holds
        judged = verdict("acceptance", four, [good] * 16 + [poor] * 4)
        assert (judged.holds, str(judged.share)) == (False, "16 of 20")
        assert verdict("acceptance", eight, [good] * 20).holds
        assert not verdict("acceptance", eight, [good] * 19 + [poor]).holds

    def test_stuck_is_sometimes_and_not_always(self):
        stuck, free = run(11 / 21, STUCK), run(1.0, 0.01)
        judged = verdict("relu", "Report B", [stuck, free])
        assert (judged.holds, str(judged.share)) == (True, "1 of 2")
        assert not verdict("relu", "Report B", [stuck, stuck]).holds
        assert not verdict("relu", "Report B", [free, free]).holds

    def test_an_order_holds_where_it_does_for_most_seeds(self):
        def setting(*epochs):
            return [run(reach=epoch) for epoch in epochs]

        text = "Report A: order of convergence Adam > momentum > SGD (XOR)"
        fast, middle, slow = setting(1, 2, 900), setting(10, 20, 30), setting(100, 200, 1)
        judged = verdict("optimizers", text, fast, middle, slow)
        assert (judged.holds, str(judged.share)) == (True, "2 of 3")
        assert "Adam: 2; momentum 0.9: 20; SGD: 100" in judged.evidence
        assert not verdict("optimizers", text, middle, fast, slow).holds
        never = [run(0.5, 1.0, reach=None)] * 3
        judged = verdict("optimizers", text, setting(1, 2, 3), middle, never)
        assert judged.holds
        assert "SGD: never" in judged.evidence
        assert str(verdict("optimizers", text, fast, never, never).share) == "0 of 3"

    def test_the_best_rate_of_each_is_compared(self):
        def setting(epoch):
            return [run(reach=epoch)] * 3

        never = [run(0.5, 1.0, reach=None)] * 3
        runs = map(setting, (500, 10, 20, 900, 40, 30, 80, 70, 60))
        judged = verdict("optimizer-rates", "Adam >", *runs)
        assert judged.holds
        assert (
            "Adam at rate 0.1: 10; momentum 0.9 at rate 1: 30; SGD at rate 1: 60" in judged.evidence
        )
        runs = (*[setting(50)] * 3, never, setting(40), never, *[setting(60)] * 3)
        assert not verdict("optimizer-rates", "Adam >", *runs).holds

    def test_no_activation_is_judged_by_how_many_diverge(self):
        good = run(0.98, 0.1)
        usually = "Report A: 98 %"
        judged = verdict("no-activation", usually, [good] * 3 + [LOST])
        assert (judged.holds, str(judged.share)) == (True, "3 of 4")
        assert "1 between 40 and 70 %: 1 of those diverged" in judged.evidence
        assert not verdict("no-activation", usually, [good, LOST, LOST]).holds
        assert not verdict("no-activation", usually, [good] * 3).holds
        diverges = "Report A: the loss diverges (XOR), at rate 0.1"
        assert verdict("no-activation", diverges, [good, LOST, LOST]).holds
        assert not verdict("no-activation", diverges, [good, LOST]).holds

    def test_a_plateau_is_left_by_its_loss_or_its_accuracy(self):
        on_it, below, solved = run(0.6, 0.245), run(0.9, 0.15), run(1.0, 0.245)
        assert verdict("base", "Averaged", [on_it, on_it, below]).holds
        assert not verdict("base", "Averaged", [on_it, below, solved]).holds

    def test_what_agrees_better_has_to_by_more_than_chance(self):
        text = "Report B's losses are those of half the squared error (XOR)"
        curve = dict(REPORT_B.runs["base"].by_data["xor"].curve)
        right = replace(
            run(loss=4.3e-4),
            epochs=np.array([*curve, 9000]),
            losses=np.array([*curve.values(), 4.3e-4]),
        )
        wrong = run(0.5, 0.4)
        judged = verdict("base", text, [right] * 15 + [wrong] * 5, [right] * 2 + [wrong] * 18)
        assert judged.holds
        assert "15 of 20" in f"{judged.share} {judged.evidence}"
        assert "2 of 20" in judged.evidence
        few = [right] * 2 + [wrong] * 18
        assert not verdict("base", text, few, [right] + [wrong] * 19).holds

    def test_undecided_is_half_for_one_label(self):
        y = np.array([[0.0], [0.0], [1.0], [1.0]])
        half, at_all = (
            np.array([[0.1], [0.2], [0.499], [0.5]]),
            np.array([[0.1], [0.8], [0.4], [0.9]]),
        )
        undecided, wrong = (run(0.5, y=y, prediction=p) for p in (half, at_all))
        text = "At report B's rate 1"
        assert verdict("learning-rate", text, [undecided, run()]).holds
        assert not verdict("learning-rate", text, [undecided, wrong]).holds
        assert not verdict("learning-rate", text, [run()]).holds

    def test_a_median_threshold_allows_all_but_the_imbalance(self):
        ones = np.arange(100)[:, None]
        best = run(0.98, y=(ones < 48) * 1.0)
        other = run(0.96, y=(ones < 46) * 1.0)
        judged = verdict("relu", "Report A: 98 %", [best, best, other])
        assert judged.holds
        assert "3 are as right as a threshold at the median allows" in judged.evidence
        judged = verdict("relu", "Report A: 98 %", [other, other, run(0.5, y=(ones < 50) * 1.0)])
        assert not judged.holds
        assert "2 are as right" in judged.evidence


def test_the_best_constant_and_the_best_linear_answers_to_xor():
    """The numbers in the findings, from the points themselves."""
    x, y = xor()
    assert y.mean() == 10 / 21
    assert np.var(y) == pytest.approx(110 / 441)
    weights = np.linalg.lstsq(x, y)[0]
    assert weights.ravel() == pytest.approx([0.394, 0.394], abs=5e-4)
    assert ((x @ weights > 0.5) == (y == 1)).sum() == 7


@pytest.mark.parametrize(("hidden", "needed"), [((4, 4), 17), ((8, 8), 20)])
def test_acceptance(hidden, needed):
    """Adam at 0.01 for 5,000 epochs solves XOR, on as many of 20 seeds as is promised."""
    setting = replace(ACCEPTED, hidden=hidden)
    results = train_many(setting, range(20))
    assert sum(r.accuracy == 1.0 and r.loss < 1e-3 for r in results) >= needed
