"""The whole examination: every kind of trouble, and what is only the effect of another.

Not for: finding any of it (the files named after kinds of trouble).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinygrad_lab.core.engine import Node
from tinygrad_lab.core.tensor import Tensor
from tinygrad_lab.viz.health.activations import dead, saturated
from tinygrad_lab.viz.health.detached import detached
from tinygrad_lab.viz.health.evidence import Again, Evidence
from tinygrad_lab.viz.health.finding import Finding, flat, with_effects
from tinygrad_lab.viz.health.finite import not_finite
from tinygrad_lab.viz.health.flow import flow
from tinygrad_lab.viz.health.inputs import independent, unnormalised
from tinygrad_lab.viz.health.parameters import no_gradient, symmetric, unused
from tinygrad_lab.viz.naming import Naming

__all__ = ["examine"]

#: The cause first, and the kinds that it explains.
_EXPLAINS = {
    "unnormalised": ("exploding", "saturated", "dead", "vanishing", "no gradient", "independent"),
    "exploding": ("saturated",),
    "saturated": ("vanishing", "no gradient", "independent"),
    "dead": ("vanishing", "no gradient", "independent"),
    "symmetric": ("vanishing", "no gradient", "independent"),
    "independent": ("vanishing", "no gradient"),
    "vanishing": ("no gradient",),
}


def examine(
    loss: Tensor, nodes: Sequence[Node], naming: Naming, again: Again | None = None
) -> list[Finding]:
    """Look for every kind of trouble, and put the effects of a cause under it.

    Parameters
    ----------
    loss
        What the backward pass starts from.
    nodes
        Every node of its graph, the oldest first.
    naming
        What parameters and layers are called.
    again
        Computes the loss anew, if there is something that does.

    Returns
    -------
    list of Finding
        What makes everything else meaningless first; then causes, in the order of the network.
    """
    with np.errstate(all="ignore"):
        case = Evidence(loss, nodes, naming, again)
        findings = [*not_finite(case)]
        if not findings and not case.is_empty:
            findings = [*saturated(case), *dead(case), *flow(case), *symmetric(case)]
            findings += [*no_gradient(case), *independent(case)]
            is_trouble = any(f.kind in _EXPLAINS["unnormalised"] for f in findings)
            findings += unnormalised(case, is_trouble)
        cut = [*detached(case)]
        findings += [*cut, *(f for f in unused(case) if f not in flat(cut))]
    return _by_cause(findings)


def _by_cause(findings: Sequence[Finding]) -> list[Finding]:
    """Put what a finding explains under it, at the same place if it can be, and else the first."""
    order = ("not finite", *_EXPLAINS, "no gradient", "detached", "unused")
    ranked = sorted(findings, key=lambda finding: order.index(finding.kind))  # stable
    under: dict[int, list[Finding]] = {id(finding): [] for finding in ranked}
    causes: list[Finding] = []
    for finding in ranked:
        possible = [c for c in causes if finding.kind in _EXPLAINS.get(c.kind, ())]
        here = [c for c in possible if _is_at(c, finding)]
        for cause in (here or possible)[:1]:
            under[id(cause)].append(finding)
        if not possible:
            causes.append(finding)
    return [with_effects(cause, under[id(cause)]) for cause in causes]


def _is_at(cause: Finding, effect: Finding) -> bool:
    """Whether an effect begins where its cause is."""
    return bool(effect.spots) and effect.spots[0].node in [spot.node for spot in cause.spots]
