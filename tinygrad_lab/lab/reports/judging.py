"""How the claims of the reports are judged: each function judges one kind, by the runs.

Not for reported numbers beside measured ones (``measuring.py``), nor for what is run
(``studies.py``) or shown (``page.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from tinygrad_lab.lab.reports.measuring import CONVERGED
from tinygrad_lab.lab.reports.study import Judge, Results, Verdict

#: The loss of a network that answers 0 to every point of ``xor``: 10 of its 21 labels are 1.
STUCK = 10 / 21


def ordered_by_speed(names: Sequence[str]) -> Judge:
    """Return a judge of whether each setting converges sooner than the next, in the median."""

    def judge(*runs: Results) -> Verdict:
        medians = [_median_epochs(results) for results in runs]
        epochs = (
            f"{name} {'never' if np.isinf(median) else f'{median:,.0f}'}"
            for name, median in zip(names, medians, strict=True)
        )
        return Verdict(
            all(a < b for a, b in pairwise(medians)),
            f"median epochs to a loss under {CONVERGED}: " + ", ".join(epochs),
        )

    return judge


def _median_epochs(results: Results) -> float:
    epochs = [result.epochs_to(CONVERGED) for result in results]
    return float(np.percentile(epochs, 50, method="nearest"))


def sometimes_stuck(results: Results) -> Verdict:
    """Judge whether some runs, and not all, end where every output is 0."""
    stuck = sum(abs(result.loss - STUCK) < 1e-4 for result in results)
    text = f"{stuck} of {len(results)} runs end at {STUCK:.5f}, every output 0"
    return Verdict(0 < stuck < len(results), text)


def usually_98_sometimes_55(results: Results) -> Verdict:
    """Judge whether most runs separate the points and some diverge."""
    good = sum(result.accuracy >= 0.95 for result in results)
    diverged = _diverged(results)
    text = (
        f"{good} of {len(results)} runs at 95 % or better; {diverged} diverge, and then every "
        "point is called 0, which is right for about half of them"
    )
    return Verdict(good > len(results) / 2 and diverged > 0, text)


def sometimes_diverges(results: Results) -> Verdict:
    """Judge whether any run diverges."""
    diverged = _diverged(results)
    return Verdict(diverged > 0, f"{diverged} of {len(results)} runs diverge")


def _diverged(results: Results) -> int:
    return sum(result.diverged_at is not None for result in results)


def stays_on_plateau(results: Results) -> Verdict:
    """Judge whether no run solves the task, and the median loss stays high."""
    solved = sum(result.accuracy == 1.0 for result in results)
    median = float(np.median([result.loss for result in results]))
    text = f"{solved} of {len(results)} runs reach 100 %; median loss {median:.3f}"
    return Verdict(solved == 0 and median > 0.2, text)


def solved_at_least(share: float) -> Judge:
    """Return a judge of whether this share of the runs reaches 100 % and a loss under 1e-3."""

    def judge(results: Results) -> Verdict:
        solved = sum(result.accuracy == 1.0 and result.loss < 1e-3 for result in results)
        text = f"{solved} of {len(results)} seeds, loss under 1e-3"
        return Verdict(solved >= share * len(results), text)

    return judge
