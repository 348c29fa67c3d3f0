"""What we measure: the settings of each study, beside the runs of the reports they repeat.

Where a report leaves a setting open, the study says what was chosen, and why.  Not for the figures
of the reports (``report_a.toml``, ``report_b.toml``), how they are judged (``measuring.py``,
``judging.py``), or running what is listed (``runner.py``).
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
OPTIMIZED = replace(BASE_A, lr=0.1, epochs=5_000)
ACCEPTED = Settings(data="xor", optimizer="adam", lr=0.01, epochs=5_000)

#: What the page calls the optimizers, and the rates that each is run at beside the common one.
OPTIMIZERS = {
    "SGD": "sgd",
    "momentum 0.9": "momentum",
    "Adagrad": "adagrad",
    "RMSprop": "rmsprop",
    "Adam": "adam",
    "AdamW": "adamw",
}
RATES = (0.01, 0.1, 1.0)

#: Seeds of a setting that no report speaks of.
FEWER = 20

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


# ---- the studies --------------------------------------------------------------------------------


def _base() -> Study:
    exact = replace(BASE_A, loss="mse")
    half = replace(BASE_B, lr=0.05)
    plateau = replace(BASE_B, reduction="mean", data="xor")
    slope = (
        "The last sigmoid's slope, missing in report A's derivation, shrinks the exact gradient as "
        "the outputs approach 0 and 1: its loss falls ever more slowly, and is far from the "
        "reported one after as many epochs. The reported figures are those of the gradient as "
        "derived."
    )
    plateaued = (
        "The best constant answer to XOR has the loss 110/441 = 0.2494, the plateau on which runs "
        "stay for a while. At epoch 500 the reported loss is still above that of every run here; "
        "when a run leaves the plateau is decided by its first weights, so that the losses of the "
        "seeds are far apart at any epoch between."
    )
    return Study(
        key="base",
        title="The base runs",
        text=(
            "Both reports train a 2-h₁-h₂-1 network of sigmoids with a squared error by gradient "
            "descent on the whole batch. Report A has biases and divides gradients by n; we take "
            "[2, 4, 4, 1], rate 1 and 10,000 epochs, which it leaves open. Its derivation takes "
            "∂L/∂Z₃ = 2(A₃ − y), without the factor A₃(1 − A₃) of the last sigmoid: that is twice "
            "the gradient of the cross-entropy. It is run as derived, and with the exact gradient "
            "of its squared error. Report B has [2, 3, 3, 1], no biases, rate 0.1, 9,000 epochs "
            "and gradients summed over the batch; whether its code descends the sum of squares or "
            "half of it is open: the base row takes the sum, and half of it is the row with half "
            "the rate."
        ),
        rows=(
            *_pair("gradient as derived", BASE_A, A["base"], quick="linear, xor"),
            *_pair(
                "exact gradient of the squared error", exact, A["base"], linear=slope, xor=slope
            ),
            *_pair("base", BASE_B, B["base"], quick="linear, xor", xor=plateaued),
            *_pair("half the squared error", half, B["base"], quick="", xor=plateaued),
            Row("B", "gradients averaged instead", plateau, B["averaged"].by_data["xor"]),
        ),
        claims=(
            Claim(REPORT_B.claims["plateau"], (plateau,), judging.stays_on_plateau),
            *(
                Claim(
                    f"Report B's losses are those of half the squared error ({_short(data)})",
                    (replace(half, data=data), replace(BASE_B, data=data)),
                    judging.agrees_better(B["base"].by_data[data], "with the whole of it"),
                )
                for data in DATA_TITLES
            ),
        ),
    )


def _short(data: str) -> str:
    return "XOR" if data == "xor" else data


def _learning_rate() -> Study:
    rate_1, of_half = replace(BASE_B, lr=1.0), replace(BASE_B, lr=0.5)
    chance = (
        "At this rate a network hardly leaves where it starts. Most of them still call nearly "
        "every point the same, and are right for the share of that label among the points."
    )
    on_the_way = (
        "At this rate most runs are still leaving the plateau when training ends, each at an "
        "accuracy of its own: which one is printed is an accident of the seed."
    )
    half_way = (
        "At so high a rate the sum of a hundred gradients throws the weights so far that the whole "
        "second hidden layer answers 0 to the points of one label. Without a bias the output is "
        "then σ(0) = 0.5 for these, just on one side of the threshold or the other, with hardly a "
        "slope left to move it. Half the squared error, which the losses of the base runs speak "
        "for, takes half as long steps."
    )
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
            *_pair("lr 1e-4", replace(BASE_A, lr=1e-4), A["rate 1e-4"], linear=chance, xor=chance),
            *_pair(
                "lr 1e-5",
                replace(BASE_A, lr=1e-5),
                A["rate 1e-4"],
                quick="",
                linear=chance,
                xor=chance,
            ),
            *_pair("lr 1", rate_1, B["rate 1"], linear=half_way),
            *_pair(
                "lr 1, half the squared error",
                of_half,
                B["rate 1"],
                quick="",
                linear=half_way,
            ),
            *_pair("lr 0.1", BASE_B, B["rate 0.1"]),
            *_pair("lr 0.01", replace(BASE_B, lr=0.01), B["rate 0.01"], xor=on_the_way),
        ),
        claims=(
            Claim(
                "At report B's rate 1, a run that misses the linear task answers 0.5 to most "
                "points of one label",
                (replace(rate_1, data="linear"),),
                judging.undecided_about_one_label,
            ),
            Claim(
                "Report B's rate 1 is that of half the squared error (linear)",
                tuple(replace(each, data="linear") for each in (of_half, rate_1)),
                judging.agrees_better(B["rate 1"].by_data["linear"], "with the whole of it"),
            ),
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
                f"{REPORT_A.claims['units']} ({_short(data)})",
                tuple(replace(BASE_A, hidden=(h, h), data=data) for h in widths),
                judging.ordered_by_speed([f"({h}, {h})" for h in widths]),
            )
            for data in DATA_TITLES
        ),
    )


def _no_activation() -> Study:
    a = Settings(activation="none", lr=0.03, epochs=10_000)
    high = replace(a, lr=0.1)
    b = replace(BASE_B, activation="none", lr=1e-4)
    by_draw = (
        "A network that diverged calls every point 0, and is right for the share of that label in "
        "its draw of the data, which is about half. What a network that converged is right for is "
        "decided by the draw as well."
    )
    through_zero = (
        "Without activation or bias the network is x·w, which is 0 at the origin: the diagonal "
        "that divides the labels goes through it, and the line where the output is 0.5 cannot. "
        "How many points lie between the two is decided by the draw of the data."
    )
    least_squares = (
        "Without activation or bias the network is x·w, and its least-squares solution on XOR is "
        "w = (0.394, 0.394), which is right for exactly 7 of 21 points, 33.33 %. A run that has "
        "converged cannot end at 42.86 %; one stopped on the way there could."
    )
    return Study(
        key="no-activation",
        title="No activation",
        text=(
            "No activation after any layer: the network is a linear map. Neither report states its "
            "rate. For report A we take 0.03, and 0.1 where its loss is to diverge; the summed "
            "gradients of report B diverge sooner, and we take three lower ones."
        ),
        rows=(
            *_pair("no activation, lr 0.03", a, A["no activation"], linear=by_draw),
            *_pair("no activation, lr 0.1", high, A["no activation"], linear=by_draw),
            *_pair(
                "no activation, lr 1e-4",
                b,
                B["no activation"],
                linear=through_zero,
                xor=least_squares,
            ),
            *_pair(
                "no activation, lr 1e-5",
                replace(b, lr=1e-5),
                B["no activation"],
                linear=through_zero,
                xor=least_squares,
            ),
            *_pair("no activation, lr 1e-2", replace(b, lr=1e-2), quick="", seeds=FEWER),
        ),
        claims=(
            Claim(
                f"{REPORT_A.claims['usually']}, at rate 0.03",
                (replace(a, data="linear"),),
                judging.usually_98_sometimes_55,
            ),
            *(
                Claim(
                    f"{REPORT_A.claims['diverges']}, at rate {each.lr:g}",
                    (replace(each, data="xor"),),
                    judging.diverges,
                )
                for each in (a, high)
            ),
        ),
    )


def _relu() -> Study:
    a = Settings(activation="relu", lr=0.03, epochs=10_000, threshold="median")
    b = replace(BASE_B, activation="relu", lr=1e-3)
    balance = (
        "A network whose last unit dies answers 0 to every point. For the others, a threshold at "
        "the median calls half of the points 1. Where the draw has more points of one label than "
        "of the other, a network that ranks every point right is still wrong for half of the "
        "difference: 98 % is what it gets from a draw with 52 points of one label, and of that "
        "split report A's 52 % at rate 1e-4 speaks too."
    )
    survivors = (
        "A network whose last unit dies answers 0 to every point. The others end at accuracies of "
        "their own, by the units that are left."
    )
    return Study(
        key="relu",
        title="ReLU",
        text=(
            "ReLU after every layer, the last one too: a network whose last unit dies answers 0 to "
            "everything and has no gradient left. Report A thresholds at the median output, which "
            "we do in its rows. Neither states its rate: we take 0.03 for report A and, for the "
            "summed gradients of report B, 1e-3, with its base rate of 0.1 beside it."
        ),
        rows=(
            *_pair("ReLU, lr 0.03", a, A["relu"], linear=balance, xor=survivors),
            *_pair("ReLU, lr 1e-3", b, B["relu"], linear=survivors, xor=survivors),
            *_pair("ReLU, lr 0.1", replace(b, lr=0.1), quick="", seeds=FEWER),
        ),
        claims=(
            Claim(
                REPORT_A.claims["median"],
                (replace(a, data="linear"),),
                judging.as_right_as_the_median_allows,
            ),
            Claim(REPORT_B.claims["stuck"], (replace(b, data="xor"),), judging.sometimes_stuck),
        ),
    )


def _optimizers() -> Study:
    order = {name: OPTIMIZERS[name] for name in ("Adam", "momentum 0.9", "SGD")}
    return Study(
        key="optimizers",
        title="Optimizers",
        text=(
            "Report A's network, [2, 4, 4, 1], and its gradient as derived, 5,000 epochs at rate "
            "0.1 with each optimizer. Report A has momentum 0.9 and Adam (0.9, 0.999, 1e-8), and "
            "points on to Adagrad and RMSprop; AdamW is Adam with a weight decay of 0.01."
        ),
        rows=tuple(
            row
            for label, optimizer in OPTIMIZERS.items()
            for row in _pair(label, replace(OPTIMIZED, optimizer=optimizer), A.get(optimizer, OURS))
        ),
        claims=tuple(
            Claim(
                f"{REPORT_A.claims['order']} ({_short(data)})",
                tuple(replace(OPTIMIZED, optimizer=each, data=data) for each in order.values()),
                judging.ordered_by_speed(list(order)),
            )
            for data in DATA_TITLES
        ),
    )


def _optimizer_rates() -> Study:
    def trained(label: str, rate: float) -> Settings:
        return replace(OPTIMIZED, data="xor", optimizer=OPTIMIZERS[label], lr=rate)

    in_order = ("Adam", "momentum 0.9", "SGD")
    return Study(
        key="optimizer-rates",
        title="Optimizers at other rates",
        text=(
            "One rate for all says as much about the rate as about the optimizers: with momentum "
            "0.9 the steps grow up to ten times as long, 1 / (1 − 0.9), as those of SGD. So each "
            "is run at three rates, on XOR."
        ),
        rows=tuple(
            Row("", f"{label}, lr {rate:g}", trained(label, rate), quick=False, seeds=FEWER)
            for label in OPTIMIZERS
            for rate in RATES
        ),
        claims=(
            Claim(
                "Adam > momentum > SGD with each at the best of these rates",
                tuple(trained(label, rate) for label in in_order for rate in RATES),
                judging.ordered_at_their_best(in_order, RATES),
            ),
        ),
    )


def _acceptance() -> Study:
    small, large = (replace(ACCEPTED, hidden=(h, h)) for h in (4, 8))
    return Study(
        key="acceptance",
        title="What this lab promises",
        text="Adam at 0.01 for 5,000 epochs on XOR, over 20 seeds whatever else is cut short.",
        rows=tuple(
            Row("", f"Adam, [2, {h}, {h}, 1]", settings, seeds=20)
            for h, settings in ((4, small), (8, large))
        ),
        claims=(
            Claim(
                "[2, 4, 4, 1] solves XOR on at least 17 of 20",
                (small,),
                judging.solved_at_least(0.85),
            ),
            Claim("[2, 8, 8, 1] solves XOR on all 20", (large,), judging.solved_at_least(1.0)),
        ),
    )


#: Every study, in the order of the report.
STUDIES: tuple[Study, ...] = (
    _base(),
    _learning_rate(),
    _hidden_units(),
    _no_activation(),
    _relu(),
    _optimizers(),
    _optimizer_rates(),
    _acceptance(),
)
