"""Which wrong gradients are one mistake: what one factor mends, or one operation or line made.

Not for: explaining one of them (``explain.py``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tinygrad_lab.testing.judging.judgement import FAIL, PASS, Judgement, Site
from tinygrad_lab.testing.judging.numerical import BAND
from tinygrad_lab.testing.telling.finding import Finding
from tinygrad_lab.testing.telling.words import listed

TOLERANCE = 1e-6  # relative; of two factors that are the same


@dataclass
class Mistake:
    """Gradients that are wrong in the same way, the furthest off first."""

    parts: list[Judgement]
    ratio: float = math.nan  # of each gradient to the right one, where it is one

    @property
    def sites(self) -> list[Site]:
        """The inputs that it concerns, in their order."""
        return sorted((part.site for part in self.parts), key=lambda site: site.input or 0)


def mistakes_of(judgement: Judgement) -> list[Mistake]:
    """Sort the failing parts of a judgement into those that one factor mends; the worst first."""
    failing = [part for part in judgement.parts if part.verdict == FAIL]
    mistakes: list[Mistake] = []
    for part in sorted(failing, key=lambda part: -part.relative_error):
        same = next((m for m in mistakes if _has_the_ratio_of(m.parts[0], part)), None)
        if same is None:
            mistakes.append(Mistake([part], part.analytic / (part.estimate.value or math.nan)))
        else:
            same.parts.append(part)
    return mistakes


def _has_the_ratio_of(a: Judgement, b: Judgement) -> bool:
    """Whether the same factor lies between promised and measured slope, as far as can be told."""
    left, right = a.analytic * b.estimate.value, b.analytic * a.estimate.value
    if not (math.isfinite(left) and math.isfinite(right)) or left == 0:
        return False
    errors = abs(a.analytic) * b.estimate.error + abs(b.analytic) * a.estimate.error
    is_certain = errors <= 1e-4 * abs(left)
    return is_certain and abs(left - right) <= TOLERANCE * abs(left) + BAND * errors


def is_same_fault(a: Finding, b: Finding) -> bool:
    """Whether two findings have one cause: an operation, or a line of a backward pass."""
    return bool(a.cause) and a.cause == b.cause


def beside(mistake: Mistake, judgement: Judgement) -> list[str]:
    """Say what is known of the other inputs, where one factor mends some."""
    if len(mistake.parts) < 2 or not math.isfinite(mistake.ratio):
        return []
    right = [part.site.name for part in judgement.parts if part.verdict == PASS]
    wrong = [site.name for site in mistake.sites]
    if len(wrong) == len(judgement.parts):
        return ["one factor mends every gradient"]
    rest = f"; {_those(right)} right" if right else ""
    return [f"one factor mends {_gradients(wrong)}{rest}"]


def _gradients(names: Sequence[str]) -> str:
    return f"the gradients by {listed(names)}"


def _those(names: Sequence[str]) -> str:
    first, last = ("those", "are") if len(names) > 1 else ("that", "is")
    return f"{first} by {listed(names)} {last}"
