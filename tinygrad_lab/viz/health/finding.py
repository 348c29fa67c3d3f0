"""What is found wrong, as plain data, and the report of it.

Not for: finding it (the other files here).
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tinygrad_lab.viz.style import plural

__all__ = ["SYMBOLS", "WRONG", "Finding", "Spot", "flat", "report", "with_effects"]

#: By kind: what marks a box, for eyes that tell colours apart and for those that do not.
SYMBOLS = {
    "not finite": "✗", "gradcheck": "✗", "unnormalised": "↕", "exploding": "△", "saturated": "≈",
    "dead": "◌", "vanishing": "▽", "symmetric": "=", "independent": "≡", "detached": "⊘",
    "no gradient": "∅", "unused": "∅", "disagrees": "≠", "undecided": "?",
}  # fmt: skip

#: What makes numbers wrong, not only training slow.
WRONG = ("not finite", "gradcheck")

_WIDTH = 88


@dataclass(frozen=True)
class Spot:
    """One place of a finding: a node, the words that mark it, and its box once that is known."""

    node: Any
    words: str
    box: str | None = None


@dataclass(frozen=True)
class Finding:
    """One trouble.

    Attributes
    ----------
    kind
        One of :data:`SYMBOLS`.
    where
        The layer, the operation or the parameter, in words.
    text, remedy
        What was measured, and what helps.
    spots
        Where to see it in the picture, its origin first; none of a parameter that is not there.
    effects
        What else is wrong because of it: it goes away with its cause.
    """

    kind: str
    where: str
    text: str
    remedy: str = ""
    spots: tuple[Spot, ...] = ()
    effects: tuple[Finding, ...] = ()

    @property
    def symbol(self) -> str:
        """What marks a box of this kind, besides words."""
        return SYMBOLS[self.kind]

    @property
    def box(self) -> str | None:
        """The id of the box it begins in, None where there is none."""
        return self.spots[0].box if self.spots else None

    def __str__(self) -> str:
        return f"{self.symbol} {self.kind}: {self.where}: {self.text}"


def flat(findings: Sequence[Finding]) -> Iterator[Finding]:
    """Give findings and their effects, each cause before its effects."""
    for finding in findings:
        yield finding
        yield from flat(finding.effects)


def with_effects(cause: Finding, effects: Sequence[Finding]) -> Finding:
    """Put findings under the one that explains them."""
    return replace(cause, effects=(*cause.effects, *effects))


def report(findings: Sequence[Finding], heading: str, nothing: str) -> str:
    """Write findings under a heading, one after the other, each with what it causes and a remedy.

    Examples
    --------
    >>> dead = Finding("dead", "relu after fc1", "all 16 units are 0", "Use leaky_relu")
    >>> print(report([dead], "loss = 0.7", "nothing found"))
    loss = 0.7: 1 finding
    <BLANKLINE>
    1. ◌ dead: relu after fc1
       all 16 units are 0
       Remedy: Use leaky_relu.
    """
    if not findings:
        return f"{heading}: {nothing}"
    effects = sum(1 for _ in flat(findings)) - len(findings)
    more = f", with {plural(effects, 'effect')}" if effects else ""
    lines = [f"{heading}: {plural(len(findings), 'finding')}{more}"]
    for number, finding in enumerate(findings, start=1):
        first = f"{number}. "
        lines += ["", f"{first}{finding.symbol} {finding.kind}: {finding.where}"]
        lines += _wrapped(finding.text, " " * len(first))
        for effect in flat(finding.effects):
            text = f"{effect.symbol} {effect.kind}: {effect.where}: {effect.text}"
            lines += _wrapped(f"→ so {text}", " " * len(first))
        if finding.remedy:
            lines += _wrapped(f"Remedy: {finding.remedy}.", " " * len(first))
    return "\n".join(lines)


def _wrapped(text: str, indent: str) -> list[str]:
    text = " ".join(text.split())
    return textwrap.wrap(text, _WIDTH, initial_indent=indent, subsequent_indent=indent)
