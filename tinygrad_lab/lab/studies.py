"""What the two reports did, as data: every setting they tried and every figure they gave.

Where a report leaves a setting open, the study says what was chosen, and why.  Each figure stands
here once; ``measures.py`` says how it is judged, ``runner.py`` runs what is listed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from tinygrad_lab.lab.measures import Claim, Reported, Row, Study, Verdict
from tinygrad_lab.lab.settings import Settings
from tinygrad_lab.lab.training import Result

#: A loss below this counts as converged where speeds are compared.
CONVERGED = 0.01

#: The loss of a network that answers 0 to every point of ``xor``: 10 of its 21 labels are 1.
STUCK = 10 / 21

# Report A has biases and gradients divided by n.  It states neither rate nor epochs of its base
# run: rate 1 (in its own study) and 10,000 epochs give its two losses.
REPORT_A = Settings(hidden=(4, 4), loss="report-a", reduction="mean", lr=1.0, epochs=10_000)
REPORT_B = Settings(hidden=(3, 3), bias=False, reduction="sum", lr=0.1, epochs=9_000)
OPTIMIZED = Settings(hidden=(4, 4), reduction="mean", lr=0.1, epochs=5_000)
ACCEPTED = Settings(data="xor", optimizer="adam", lr=0.01, epochs=5_000)

PERFECT = Reported(accuracy=(100,))
NOTHING = Reported()


def _pair(
    report: str,
    label: str,
    settings: Settings,
    linear: Reported = NOTHING,
    xor: Reported = NOTHING,
    finding: str = "",
    quick: str = "xor",
) -> list[Row]:
    """Return the two rows of one setting, on linear and on xor data.

    ``quick`` names the data that a quick report runs it on: linear takes the longer.
    """
    return [
        Row(report, label, replace(settings, data=data), reported, finding, data in quick)
        for data, reported in (("linear", linear), ("xor", xor))
    ]


# ---- claims -------------------------------------------------------------------------------------


def _ordered_by_speed(names: Sequence[str]) -> Callable[[Sequence[Sequence[Result]]], Verdict]:
    """Return a judge of whether each setting converges sooner than the next, in the median."""

    def judge(runs: Sequence[Sequence[Result]]) -> Verdict:
        medians = [_median_epochs(results) for results in runs]
        holds = all(a < b for a, b in pairwise(medians))
        said = (
            f"{name} {'never' if np.isinf(m) else f'{m:,.0f}'}"
            for name, m in zip(names, medians, strict=True)
        )
        return Verdict(holds, f"median epochs to a loss under {CONVERGED}: " + ", ".join(said))

    return judge


def _median_epochs(results: Sequence[Result]) -> float:
    reached = [result.epochs_to(CONVERGED) for result in results]
    return float(np.percentile(reached, 50, method="nearest"))


def _sometimes_stuck(runs: Sequence[Sequence[Result]]) -> Verdict:
    (results,) = runs
    stuck = sum(abs(result.loss - STUCK) < 1e-4 for result in results)
    text = f"{stuck} of {len(results)} runs end at {STUCK:.5f}, every output 0"
    return Verdict(0 < stuck < len(results), text)


def _usually_98_sometimes_55(runs: Sequence[Sequence[Result]]) -> Verdict:
    (results,) = runs
    good = sum(result.accuracy >= 0.95 for result in results)
    lost = sum(result.diverged_at is not None for result in results)
    text = (
        f"{good} of {len(results)} runs at 95 % or better; {lost} diverge, and then every point is "
        "called 0, which is right for about half of them"
    )
    return Verdict(good > len(results) / 2 and lost > 0, text)


def _sometimes_diverges(runs: Sequence[Sequence[Result]]) -> Verdict:
    (results,) = runs
    lost = sum(result.diverged_at is not None for result in results)
    return Verdict(lost > 0, f"{lost} of {len(results)} runs diverge")


def _stays_on_plateau(runs: Sequence[Sequence[Result]]) -> Verdict:
    (results,) = runs
    solved = sum(result.accuracy == 1.0 for result in results)
    median = float(np.median([result.loss for result in results]))
    text = f"{solved} of {len(results)} runs reach 100 %; median loss {median:.3f}"
    return Verdict(solved == 0 and median > 0.2, text)


def _solved_at_least(share: float) -> Callable[[Sequence[Sequence[Result]]], Verdict]:
    """Return a judge of whether this share of the runs reaches 100 % and a loss under 1e-3."""

    def judge(runs: Sequence[Sequence[Result]]) -> Verdict:
        (results,) = runs
        solved = sum(result.accuracy == 1.0 and result.loss < 1e-3 for result in results)
        return Verdict(
            solved >= share * len(results), f"{solved} of {len(results)} seeds, loss under 1e-3"
        )

    return judge


# ---- the studies --------------------------------------------------------------------------------


def _base() -> Study:
    exact = replace(REPORT_A, loss="mse")
    plateau = replace(REPORT_B, reduction="mean", data="xor")
    b_linear = Reported((100,), 1.4e-4, ((0, 0.268), (500, 0.0110), (8500, 1.8e-4)))
    b_xor = Reported(
        (100,), 4.3e-4, ((0, 0.339), (500, 0.2516), (2000, 0.236), (3000, 0.024), (8500, 4.8e-4))
    )
    above_plateau = (
        "The best constant answer to XOR has the loss 110/441 = 0.2494, the plateau on which its "
        "runs start. By epoch 500 every seed has come down to it, and the reported loss is still "
        "above it, while its later figures are among those measured: that run came down more "
        "slowly than any here."
    )
    return Study(
        key="base",
        title="The base runs",
        text=(
            "Both reports train a 2-h₁-h₂-1 network of sigmoids with a squared error by gradient "
            "descent on the whole batch. Report A has biases and divides gradients by n; we take "
            "[2, 4, 4, 1], rate 1 and 10,000 epochs, which it leaves open. Its derivation takes "
            "∂L/∂Z₃ = 2(A₃ − y), without the factor A₃(1 − A₃) of the last sigmoid: that is twice "
            "the gradient of the cross-entropy. Run as derived, its losses come out; run with the "
            "exact gradient of its squared error, they do not. Report B has [2, 3, 3, 1], no "
            "biases, rate 0.1, 9,000 epochs and gradients summed over the batch; whether its code "
            "descends the sum of squares or half of it is open: we take the sum, and half of it is "
            "the row with half the rate."
        ),
        rows=(
            *_pair(
                "A",
                "gradient as derived",
                REPORT_A,
                Reported((100,), 7.9e-6),
                Reported((100,), 1.5e-7),
                quick="linear, xor",
            ),
            *_pair(
                "A",
                "exact gradient of the squared error",
                exact,
                Reported((100,), 7.9e-6),
                Reported((100,), 1.5e-7),
                "The last sigmoid's slope, missing in report A's derivation, shrinks the exact "
                "gradient as the outputs approach 0 and 1: with it, the reported loss would take "
                "far more epochs. The reported figures are those of the gradient as derived.",
            ),
            *_pair("B", "base", REPORT_B, b_linear, b_xor, above_plateau, quick="linear, xor"),
            *_pair(
                "B",
                "half the squared error",
                replace(REPORT_B, lr=0.05),
                b_linear,
                b_xor,
                above_plateau,
                quick="",
            ),
            Row("B", "gradients averaged instead", plateau, Reported(loss=0.25)),
        ),
        claims=(
            Claim(
                "Averaged instead of summed, report B's XOR stays on its plateau at 0.25",
                (plateau,),
                _stays_on_plateau,
            ),
        ),
    )


def _learning_rate() -> Study:
    chance = Reported(accuracy=(52,)), Reported(accuracy=(52.38,))
    return Study(
        key="learning-rate",
        title="Learning rate",
        text=(
            "All else as in the base runs. Report A names 1e-4 in its text and 1e-5 in a caption: "
            "both were run."
        ),
        rows=(
            *_pair("A", "lr 1", REPORT_A, PERFECT, PERFECT),
            *_pair("A", "lr 0.1", replace(REPORT_A, lr=0.1), PERFECT, PERFECT),
            *_pair("A", "lr 1e-4", replace(REPORT_A, lr=1e-4), *chance),
            *_pair("A", "lr 1e-5", replace(REPORT_A, lr=1e-5), *chance, quick=""),
            *_pair("B", "lr 1", replace(REPORT_B, lr=1.0), PERFECT, PERFECT),
            *_pair("B", "lr 0.1", REPORT_B, PERFECT, PERFECT),
            *_pair("B", "lr 0.01", replace(REPORT_B, lr=0.01), PERFECT, Reported((80.95,))),
        ),
    )


def _hidden_units() -> Study:
    def a(units: int) -> Settings:
        return replace(REPORT_A, hidden=(units, units))

    def b(units: int) -> Settings:
        return replace(REPORT_B, hidden=(units, units))

    widths = (16, 4, 2)
    names = [f"({h}, {h})" for h in widths]
    return Study(
        key="hidden-units",
        title="Hidden units",
        text="Units in each of the two hidden layers; all else as in the base runs.",
        rows=(
            *(r for h in (2, 4, 16) for r in _pair("A", f"({h}, {h})", a(h), PERFECT, PERFECT)),
            *_pair("B", "(2, 2)", b(2), PERFECT, Reported((76.19,))),
            *_pair("B", "(3, 3)", b(3), PERFECT, PERFECT),
            *_pair("B", "(4, 4)", b(4), PERFECT, PERFECT),
        ),
        claims=tuple(
            Claim(
                f"Report A: more units converge faster ({title})",
                tuple(replace(a(h), data=data) for h in widths),
                _ordered_by_speed(names),
            )
            for data, title in (("linear", "linear"), ("xor", "XOR"))
        ),
    )


def _no_activation() -> Study:
    a = Settings(activation="none", lr=0.03, epochs=10_000)
    b = replace(REPORT_B, activation="none", lr=1e-4)
    least_squares = (
        "Without activation or bias the network is x·w, and its least-squares solution on XOR is "
        "w = (0.394, 0.394), which is right for exactly 7 of 21 points, 33.33 %. A run that has "
        "converged cannot end at 42.86 %; one stopped on the way there can: see the rate 1e-5."
    )
    return Study(
        key="no-activation",
        title="No activation",
        text=(
            "No activation after any layer: the network is a linear map. Neither report states its "
            "rate. For report A we take 0.03, where most runs converge and some diverge, as it "
            "describes; for report B the summed gradients diverge for most "
            "seeds at 0.01 and for some at 1e-3, so we take 1e-4, and 1e-5 beside it. A diverged "
            "network calls every point 0."
        ),
        rows=(
            *_pair(
                "A",
                "no activation, lr 0.03",
                a,
                Reported((98, 55), remark="98 % usually, 55 % sometimes"),
                Reported((52,), remark="52 %, loss diverges"),
            ),
            *_pair(
                "B", "no activation, lr 1e-4", b, Reported((86,)), Reported((42.86,)), least_squares
            ),
            *_pair(
                "B",
                "no activation, lr 1e-5",
                replace(b, lr=1e-5),
                Reported((86,)),
                Reported((42.86,)),
                least_squares,
            ),
        ),
        claims=(
            Claim(
                "Report A: 98 % usually, 55 % sometimes (linear)",
                (replace(a, data="linear"),),
                _usually_98_sometimes_55,
            ),
            Claim(
                "Report A: the loss diverges (XOR)", (replace(a, data="xor"),), _sometimes_diverges
            ),
        ),
    )


def _relu() -> Study:
    a = Settings(activation="relu", lr=0.03, epochs=10_000, threshold="median")
    b = replace(REPORT_B, activation="relu", lr=1e-3)
    return Study(
        key="relu",
        title="ReLU",
        text=(
            "ReLU after every layer, the last one too: a network whose last unit dies answers 0 to "
            "everything and has no gradient left. Report A thresholds at the median output, which "
            "we do in its rows. Neither states its rate: we take 0.03 for report A and, for "
            "the summed gradients of report B, 1e-3; at its base rate of 0.1 nearly every run dies."
        ),
        rows=(
            *_pair("A", "ReLU, lr 0.03", a, Reported((98,)), PERFECT),
            *_pair("B", "ReLU, lr 1e-3", b, Reported((91,), 0.094), Reported((95.24,), 0.053)),
        ),
        claims=(
            Claim(
                "Report B: sometimes stuck at loss 0.47619 = 10/21 (XOR)",
                (replace(b, data="xor"),),
                _sometimes_stuck,
            ),
        ),
    )


def _optimizers() -> Study:
    sgd, momentum, adam, adagrad, rmsprop = (
        replace(OPTIMIZED, optimizer=name, lr=lr)
        for name, lr in (
            ("sgd", 0.1), ("momentum", 0.1), ("adam", 0.1), ("adagrad", 0.1), ("rmsprop", 0.01),
        )
    )  # fmt: skip
    names = ["Adam", "momentum", "SGD"]
    return Study(
        key="optimizers",
        title="Optimizers",
        text=(
            "[2, 4, 4, 1] with biases and averaged, exact gradients of the squared error, 5,000 "
            "epochs at rate 0.1, for each of them; RMSprop has its usual 0.01, since at 0.1 its "
            "steps do not shrink. Report A has momentum 0.9 and Adam (0.9, 0.999, 1e-8); it points "
            "on to Adagrad and RMSprop, run here as well."
        ),
        rows=(
            *_pair("", "SGD", sgd),
            *_pair("A", "momentum 0.9", momentum, PERFECT, PERFECT),
            *_pair("A", "Adam", adam, PERFECT, PERFECT),
            *_pair("", "Adagrad", adagrad),
            *_pair("", "RMSprop", rmsprop),
        ),
        claims=tuple(
            Claim(
                f"Report A: order of convergence Adam > momentum > SGD ({title})",
                tuple(replace(s, data=data) for s in (adam, momentum, sgd)),
                _ordered_by_speed(names),
            )
            for data, title in (("linear", "linear"), ("xor", "XOR"))
        ),
    )


def _acceptance() -> Study:
    small, large = (replace(ACCEPTED, hidden=(h, h)) for h in (4, 8))
    return Study(
        key="acceptance",
        title="What this lab promises",
        text="Adam at 0.01 for 5,000 epochs on XOR, over 20 seeds whatever else is cut short.",
        rows=(Row("", "Adam, [2, 4, 4, 1]", small), Row("", "Adam, [2, 8, 8, 1]", large)),
        claims=(
            Claim("[2, 4, 4, 1] solves XOR on at least 17 of 20", (small,), _solved_at_least(0.85)),
            Claim("[2, 8, 8, 1] solves XOR on all 20", (large,), _solved_at_least(1.0)),
        ),
        exact_seeds=True,
    )


#: Every study, in the order of the report.
STUDIES: tuple[Study, ...] = (
    _base(),
    _learning_rate(),
    _hidden_units(),
    _no_activation(),
    _relu(),
    _optimizers(),
    _acceptance(),
)
