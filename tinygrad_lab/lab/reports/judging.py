"""How the claims of the reports are judged: each function judges one kind, by the runs.

A verdict always says of how many runs it is so.  Not for reported numbers beside measured ones
(``measuring.py``), nor for what is run (``studies.py``) or shown (``page.py``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from tinygrad_lab.lab.reports.measuring import CONVERGED, agreeing, percent, share_of
from tinygrad_lab.lab.reports.reported import Reported
from tinygrad_lab.lab.reports.shares import Share
from tinygrad_lab.lab.reports.study import Judge, Results, Verdict
from tinygrad_lab.lab.training import Result
from tinygrad_lab.viz.plots.runs import median

#: The loss of a network that answers 0 to every point of ``xor``: 10 of its 21 labels are 1.
STUCK = 10 / 21

# An accuracy, in percent, from which a run counts as having solved its task, but for a point or so.
_SOLVED = 95

# An output so near to 0.5 says neither label.
_UNDECIDED = 0.01

# A loss above it is still on the plateau: nine tenths of the 0.25 that was reported.
_PLATEAU = 0.225


# ---- how soon -----------------------------------------------------------------------------------


def ordered_by_speed(names: Sequence[str]) -> Judge:
    """Return a judge of whether, for most seeds, each setting converges sooner than the next."""

    def judge(*runs: Results) -> Verdict:
        epochs = list(map(_epochs, runs))
        seeds = set.intersection(*map(set, epochs))
        in_order = share_of(all(a[seed] < b[seed] for a, b in pairwise(epochs)) for seed in seeds)
        medians = "; ".join(
            f"{name}: {_text(median(each.values()))}"
            for name, each in zip(names, epochs, strict=True)
        )
        return Verdict(
            in_order.word == "most",
            in_order,
            f"seeds have this order; median epochs to a loss under {CONVERGED}, {medians}",
        )

    return judge


def ordered_at_their_best(names: Sequence[str], rates: Sequence[float]) -> Judge:
    """Return the judge of the same for several rates of each: by the one with the best median."""

    def judge(*runs: Results) -> Verdict:
        best, labels = [], []
        for i, name in enumerate(names):
            of_rates = zip(rates, runs[i * len(rates) : (i + 1) * len(rates)], strict=True)
            rate, results = min(of_rates, key=lambda pair: median(_epochs(pair[1]).values()))
            best.append(results)
            labels.append(f"{name} at rate {rate:g}")
        return ordered_by_speed(labels)(*best)

    return judge


def _epochs(results: Results) -> dict[int, float]:
    """The epochs that the run of each seed takes to converge."""
    return {result.seed: result.epochs_to(CONVERGED) for result in results}


def _text(epochs: float) -> str:
    return "never" if math.isinf(epochs) else f"{epochs:,.0f}"


# ---- how it ends --------------------------------------------------------------------------------


def agrees_better(reported: Reported, other: str) -> Judge:
    """Return a judge of which of two settings agrees with everything reported more often.

    More often than chance has it: the lower end of the first share's interval is above the second.
    """

    def judge(results: Results, of_other: Results) -> Verdict:
        share, beside = agreeing(reported, results), agreeing(reported, of_other)
        return Verdict(
            share.interval[0] > beside.value,
            share,
            f"runs agree with all that is reported; {other} {beside}",
        )

    return judge


def undecided_about_one_label(results: Results) -> Verdict:
    """Judge whether most runs that miss the task answer 0.5 to most points of one label."""
    missed = [result for result in results if percent(result) < _SOLVED]
    if not missed:
        return Verdict(False, Share(0, len(results)), f"runs end below {_SOLVED} %")
    undecided = share_of(
        any(
            np.median(np.abs(result.prediction[result.y == label] - 0.5)) < _UNDECIDED
            for label in np.unique(result.y)
        )
        for result in missed
    )
    return Verdict(
        undecided.word == "most",
        undecided,
        f"runs of those that end below {_SOLVED} %, to within {_UNDECIDED}",
    )


def as_right_as_the_median_allows(results: Results) -> Verdict:
    """Judge how many runs are at 98 %, and how many are as right as a median threshold can be.

    It calls half of the points 1, so that all can be right but half the difference between twice
    the ones and the number of points.
    """
    at_98 = share_of(round(percent(result)) == 98 for result in results)
    allowed = [1 - abs(float(result.y.mean()) - 0.5) for result in results]
    best = sum(result.accuracy > most - 1e-9 for result, most in zip(results, allowed, strict=True))
    return Verdict(
        at_98.word == "most",
        at_98,
        f"runs end at 98 %; {best} are as right as a threshold at the median allows for their "
        f"draw, {100 * min(allowed):.0f} to {100 * max(allowed):.0f} %",
    )


def sometimes_stuck(results: Results) -> Verdict:
    """Judge whether some runs, and not all, end where every output is 0."""
    stuck = share_of(abs(result.loss - STUCK) < 1e-4 for result in results)
    return Verdict(
        0 < stuck.count < stuck.of, stuck, f"runs end at {STUCK:.5f}, the loss of the answer 0"
    )


def usually_98_sometimes_55(results: Results) -> Verdict:
    """Judge the two shares: most runs at about 98 %, and some others at about 55 %."""
    good = share_of(percent(result) >= _SOLVED for result in results)
    poor = [result for result in results if 0.4 <= result.accuracy <= 0.7]
    lost = sum(map(_diverged, poor))
    return Verdict(
        good.word == "most" and bool(poor),
        good,
        f"runs end at {_SOLVED} % or better, and {len(poor)} between 40 and 70 %: {lost} of "
        "those diverged, and then every point is called 0, which is right for about half of them",
    )


def diverges(results: Results) -> Verdict:
    """Judge whether most runs diverge."""
    share = share_of(map(_diverged, results))
    return Verdict(share.word == "most", share, "runs diverge")


def _diverged(result: Result) -> bool:
    return result.diverged_at is not None


def stays_on_plateau(results: Results) -> Verdict:
    """Judge whether most runs end unsolved, with the loss of the best constant answer or so."""
    on_it = share_of(result.loss > _PLATEAU and result.accuracy < 1 for result in results)
    middle = median(result.loss for result in results)
    return Verdict(
        on_it.word == "most",
        on_it,
        f"runs end above {_PLATEAU}, below 100 %; the median loss is {middle:.3f}",
    )


def solved_at_least(least: float) -> Judge:
    """Return a judge of whether this share of the runs reaches 100 % and a loss under 1e-3."""

    def judge(results: Results) -> Verdict:
        solved = share_of(r.accuracy == 1.0 and r.loss < 1e-3 for r in results)
        return Verdict(solved.value >= least, solved, "runs end at 100 % with a loss under 1e-3")

    return judge
