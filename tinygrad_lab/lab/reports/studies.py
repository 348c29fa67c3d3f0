"""What we measure: the settings of each study, beside the runs of the reports they repeat.

Where a report leaves a setting open, the study says what was chosen, and why.  Not for the figures
of the reports (``report_a.toml``, ``report_b.toml``), how they are judged (``judging.py``), or
running what is listed (``runner.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tinygrad_lab.lab.reports import judging
from tinygrad_lab.lab.reports.reported import NOTHING, OURS, REPORT_A, REPORT_B, Run
from tinygrad_lab.lab.reports.study import Claim, Row, Study
from tinygrad_lab.lab.settings import Settings

# Report A has biases and gradients divided by n.  It states neither rate nor epochs of its base
# run: rate 1 (in its own study) and 10,000 epochs give its two losses.
BASE_A = Settings(hidden=(4, 4), loss="report-a", reduction="mean", lr=1.0, epochs=10_000)
BASE_B = Settings(hidden=(3, 3), bias=False, reduction="sum", lr=0.1, epochs=9_000)
OPTIMIZED = Settings(hidden=(4, 4), reduction="mean", lr=0.1, epochs=5_000)
ACCEPTED = Settings(data="xor", optimizer="adam", lr=0.01, epochs=5_000)

A, B = REPORT_A.runs, REPORT_B.runs

#: The data sets in the order of the page, with what it calls them.
DATA_TITLES = {"linear": "linear data", "xor": "XOR"}


def _pair(
    label: str,
    settings: Settings,
    run: Run = OURS,
    *,
    quick: str = "xor",
    seeds: int | None = None,
    linear: str = "",
    xor: str = "",
) -> list[Row]:
    """Return the two rows of one setting, on linear and on xor data, each with its finding.

    ``quick`` names the data that a quick report runs it on: linear takes the longer.
    """
    return [
        Row(
            report=run.report,
            label=label,
            settings=replace(settings, data=data),
            reported=run.by_data.get(data, NOTHING),
            finding=finding,
            quick=data in quick,
            seeds=seeds,
        )
        for data, finding in zip(DATA_TITLES, (linear, xor), strict=True)
    ]


def _base() -> Study:
    exact = replace(BASE_A, loss="mse")
    plateau = replace(BASE_B, reduction="mean", data="xor")
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
            *_pair("gradient as derived", BASE_A, A["base"], quick="linear, xor"),
            *_pair(
                "exact gradient of the squared error",
                exact,
                A["base"],
                "The last sigmoid's slope, missing in report A's derivation, shrinks the exact "
                "gradient as the outputs approach 0 and 1: with it, the reported loss would take "
                "far more epochs. The reported figures are those of the gradient as derived.",
            ),
            *_pair("base", BASE_B, B["base"], above_plateau, quick="linear, xor"),
            *_pair(
                "half the squared error",
                replace(BASE_B, lr=0.05),
                B["base"],
                above_plateau,
                quick="",
            ),
            Row("B", "gradients averaged instead", plateau, B["averaged"].by_data["xor"]),
        ),
        claims=(Claim(REPORT_B.claims["plateau"], (plateau,), judging.stays_on_plateau),),
    )


def _learning_rate() -> Study:
    return Study(
        key="learning-rate",
        title="Learning rate",
        text=(
            "All else as in the base runs. Report A names 1e-4 in its text and 1e-5 in a caption: "
            "both were run."
        ),
        rows=(
            *_pair("lr 1", BASE_A, A["rate 1"]),
            *_pair("lr 0.1", replace(BASE_A, lr=0.1), A["rate 0.1"]),
            *_pair("lr 1e-4", replace(BASE_A, lr=1e-4), A["rate 1e-4"]),
            *_pair("lr 1e-5", replace(BASE_A, lr=1e-5), A["rate 1e-4"], quick=""),
            *_pair("lr 1", replace(BASE_B, lr=1.0), B["rate 1"]),
            *_pair("lr 0.1", BASE_B, B["rate 0.1"]),
            *_pair("lr 0.01", replace(BASE_B, lr=0.01), B["rate 0.01"]),
        ),
    )


def _hidden_units() -> Study:
    def rows(base: Settings, runs: Mapping[str, Run], units: int) -> list[Row]:
        label = f"({units}, {units})"
        return _pair(label, replace(base, hidden=(units, units)), runs[f"units {units}"])

    widths = (16, 4, 2)
    return Study(
        key="hidden-units",
        title="Hidden units",
        text="Units in each of the two hidden layers; all else as in the base runs.",
        rows=(
            *(row for units in (2, 4, 16) for row in rows(BASE_A, A, units)),
            *(row for units in (2, 3, 4) for row in rows(BASE_B, B, units)),
        ),
        claims=tuple(
            Claim(
                f"{REPORT_A.claims['units']} ({title})",
                tuple(replace(BASE_A, hidden=(h, h), data=data) for h in widths),
                judging.ordered_by_speed([f"({h}, {h})" for h in widths]),
            )
            for data, title in (("linear", "linear"), ("xor", "XOR"))
        ),
    )


def _no_activation() -> Study:
    a = Settings(activation="none", lr=0.03, epochs=10_000)
    b = replace(BASE_B, activation="none", lr=1e-4)
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
            *_pair("no activation, lr 0.03", a, A["no activation"]),
            *_pair("no activation, lr 1e-4", b, B["no activation"], least_squares),
            *_pair(
                "no activation, lr 1e-5", replace(b, lr=1e-5), B["no activation"], least_squares
            ),
        ),
        claims=(
            Claim(
                REPORT_A.claims["usually"],
                (replace(a, data="linear"),),
                judging.usually_98_sometimes_55,
            ),
            Claim(
                REPORT_A.claims["diverges"], (replace(a, data="xor"),), judging.sometimes_diverges
            ),
        ),
    )


def _relu() -> Study:
    a = Settings(activation="relu", lr=0.03, epochs=10_000, threshold="median")
    b = replace(BASE_B, activation="relu", lr=1e-3)
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
            *_pair("ReLU, lr 0.03", a, A["relu"]),
            *_pair("ReLU, lr 1e-3", b, B["relu"]),
        ),
        claims=(
            Claim(REPORT_B.claims["stuck"], (replace(b, data="xor"),), judging.sometimes_stuck),
        ),
    )


def _optimizers() -> Study:
    def trained(optimizer: str, lr: float = 0.1) -> Settings:
        return replace(OPTIMIZED, optimizer=optimizer, lr=lr)

    in_order = {"Adam": trained("adam"), "momentum": trained("momentum"), "SGD": trained("sgd")}
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
            *_pair("SGD", trained("sgd")),
            *_pair("momentum 0.9", trained("momentum"), A["momentum"]),
            *_pair("Adam", trained("adam"), A["adam"]),
            *_pair("Adagrad", trained("adagrad")),
            *_pair("RMSprop", trained("rmsprop", lr=0.01)),
        ),
        claims=tuple(
            Claim(
                f"{REPORT_A.claims['order']} ({title})",
                tuple(replace(settings, data=data) for settings in in_order.values()),
                judging.ordered_by_speed(list(in_order)),
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
            Claim(
                "[2, 4, 4, 1] solves XOR on at least 17 of 20",
                (small,),
                judging.solved_at_least(0.85),
            ),
            Claim("[2, 8, 8, 1] solves XOR on all 20", (large,), judging.solved_at_least(1.0)),
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
