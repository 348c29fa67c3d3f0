"""How the claims of the reports are judged: each function judges one kind, by the runs.

A verdict always says of how many runs it is so.  Not for reported numbers beside measured ones
(``measuring.py``), nor for what is run (``studies.py``) or shown (``page.py``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from tinygrad_lab.lab.reports.measuring import CONVERGED, agreeing, percent, share_of
from tinygrad_lab.lab.reports.reported import Reported
from tinygrad_lab.lab.reports.statistics import Spread
from tinygrad_lab.lab.reports.study import Judge, Results, Verdict
from tinygrad_lab.lab.training import Result

#: The loss of a network that answers 0 to every point of ``xor``: 10 of its 21 labels are 1.
STUCK = 10 / 21

# A loss above it is still on the plateau: nine tenths of the 0.25 that was reported.
_PLATEAU = 0.225


def ordered_by_speed(names: Sequence[str]) -> Judge:
    """Return a judge of whether, for most seeds, each setting converges sooner than the next."""

    def judge(*runs: Results) -> Verdict:
        epochs = [{r.seed: r.epochs_to(CONVERGED) for r in results} for results in runs]
        seeds = set.intersection(*map(set, epochs))
        in_order = share_of(all(a[seed] < b[seed] for a, b in pairwise(epochs)) for seed in seeds)
        medians = ", ".join(
            f"{name} {_epochs(Spread.of(each.values()).median)}"
            for name, each in zip(names, epochs, strict=True)
        )
        return Verdict(
            in_order.word == "most",
            in_order,
            f"seeds for which it is so; median epochs to a loss under {CONVERGED}: {medians}",
        )

    return judge


def _epochs(median: float) -> str:
    return "never" if math.isinf(median) else f"{median:,.0f}"


def sometimes_stuck(results: Results) -> Verdict:
    """Judge whether some runs, and not all, end where every output is 0."""
    stuck = share_of(abs(result.loss - STUCK) < 1e-4 for result in results)
    return Verdict(
        0 < stuck.count < stuck.of, stuck, f"runs end at {STUCK:.5f}, the loss of the answer 0"
    )


def usually_98_sometimes_55(results: Results) -> Verdict:
    """Judge the two shares: most runs at about 98 %, and some others at about 55 %."""
    good = share_of(result.accuracy >= 0.95 for result in results)
    poor = [result for result in results if 0.4 <= result.accuracy <= 0.7]
    lost = sum(map(_diverged, poor))
    return Verdict(
        good.word == "most" and bool(poor),
        good,
        f"runs end at 95 % or better, and {len(poor)} between 40 and 70 %: {lost} of those "
        "diverged, and then every point is called 0, which is right for about half of them",
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
    median = Spread.of(result.loss for result in results).median
    return Verdict(
        on_it.word == "most",
        on_it,
        f"runs end above {_PLATEAU}, below 100 %; the median loss is {median:.3f}",
    )


def solved_at_least(least: float) -> Judge:
    """Return a judge of whether this share of the runs reaches 100 % and a loss under 1e-3."""

    def judge(results: Results) -> Verdict:
        solved = share_of(r.accuracy == 1.0 and r.loss < 1e-3 for r in results)
        return Verdict(solved.value >= least, solved, "runs end at 100 % with a loss under 1e-3")

    return judge
