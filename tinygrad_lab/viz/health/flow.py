"""How gradients flow: whether they vanish or explode on the way from the last layer to the first.

And from the last step of a loop to the first.

Not for: activations that are the reason (``activations.py``).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from tinygrad_lab.core.engine import Node
from tinygrad_lab.viz.health.evidence import Evidence
from tinygrad_lab.viz.health.finding import Finding, Spot
from tinygrad_lab.viz.style import number

__all__ = ["flow"]

#: Gradient at the first layer by that at the last.  Fresh networks of up to 9 layers as PyTorch
#: makes them had 2e-5 (gelu) and more, but for sigmoids, of which those with less did not learn.
VANISHED = 1e-5
#: Fresh networks had up to 25; with 268 plain gradient descent did not learn.
EXPLODED = 250.0
#: Less will do where the first layer's gradient is large beside its weights too.  Fresh networks
#: had up to 3.5 there, and then no more than 25.
EXPLODED_AND_STEEP, STEEP = 60.0, 2.0

#: Per step of a loop.  Fresh RNN, GRU and LSTM had 0.47 to 0.67, which in 50 steps is 1e-14.
FADES, GROWS = 0.35, 1.1
FADED = 1e-4
#: So little is nothing beside the last step's, in numbers of 16 digits.
LOST = 1e-16

FALLS = 0.4  # from one layer to the one before: there it begins


class _Stage(NamedTuple):
    """A layer, or several uses of one: the operations, and the gradient that arrives there."""

    nodes: list[Node]
    norm: float


def flow(case: Evidence) -> Iterator[Finding]:
    """Compare the gradient that arrives at each layer, and at each step of a loop."""
    by_weights: dict[Node, list[Node]] = {}
    for node in case.nodes:
        if node in case.weights and node in case.norms:
            by_weights.setdefault(case.weights[node], []).append(node)
    stages = [
        _Stage(nodes, float(np.linalg.norm([case.norms[n] for n in nodes])))
        for nodes in by_weights.values()
    ]
    through_time = [
        (abs(math.log(_ratio(course))), nodes, course)
        for nodes in by_weights.values()
        for course in _courses(case, nodes)
        if len(course) > 2 and course[-1]
    ]
    _, nodes, course = max(through_time, key=lambda each: each[0], default=(0.0, [], []))
    in_time = list(_through_time(case, nodes, course)) if nodes else []
    yield from in_time
    kinds = [finding.kind for finding in in_time]
    yield from (f for f in _through_layers(case, stages) if f.kind not in kinds)


def _ratio(course: Sequence[float]) -> float:
    """Give the first gradient of a course by the last; 0 is what is too small for a float."""
    return max(course[0], 5e-324) / course[-1]


def _courses(case: Evidence, nodes: Sequence[Node]) -> Iterator[list[float]]:
    """Give the gradient at each step of a loop, or of each layer that is a loop itself."""
    if len(nodes) > 1:
        yield [case.norms[n] for n in nodes]
    else:
        yield from (case.by_step[n] for n in nodes if n in case.by_step)


def _through_layers(case: Evidence, stages: Sequence[_Stage]) -> Iterator[Finding]:
    if len(stages) < 3 or not stages[-1].norm:
        return
    first, last = stages[0], stages[-1]
    ratio = first.norm / last.norm
    is_steep = case.steepness(case.weights[first.nodes[0]]) > STEEP
    limit = EXPLODED_AND_STEEP if is_steep else EXPLODED
    if VANISHED <= ratio <= limit or not first.norm:
        return
    kind, done = ("vanishing", "vanished") if ratio < 1 else ("exploding", "exploded")
    begins = _beginning(stages, ratio < 1)
    where = case.layer_of(begins.nodes[0])
    spots = [Spot(begins.nodes[0], f"{kind} from here")]
    spots.append(Spot(first.nodes[0], f"{done}, × {number(ratio)}"))
    text = (
        f"the gradient that arrives at {case.layer_of(last.nodes[0])} is {number(last.norm)}, at "
        f"{case.layer_of(first.nodes[0])} {number(first.norm)} ({number(ratio)} of it); on the way "
        f"back it begins to {'fall' if ratio < 1 else 'grow'} in {where}"
    )
    if ratio < 1:
        remedy = (
            "Begin with weights of the size that fits the activation (nn.init), use relu or gelu "
            "in place of sigmoid and tanh, normalise between layers, or add residual connections"
        )
    else:
        remedy = (
            "Begin with smaller weights (nn.init), normalise between layers, or clip gradients "
            "(nn.utils.clip_grad_norm_)"
        )
    yield Finding(kind, f"from {where}", text, remedy, tuple(spots))


def _beginning(stages: Sequence[_Stage], falling: bool) -> _Stage:
    """Give the last layer through which the gradient becomes much smaller, or larger."""
    for later, earlier in pairwise(stages[::-1]):
        step = earlier.norm / later.norm if later.norm else 1.0
        if step < FALLS if falling else step > 1 / FALLS:
            return later
    return stages[-1]


def _through_time(
    case: Evidence, nodes: Sequence[Node], course: Sequence[float]
) -> Iterator[Finding]:
    ratio = _ratio(course)
    rate = ratio ** (1 / (len(course) - 1))
    fades = (ratio < FADED and rate < FADES) or ratio < LOST
    if not fades and not (ratio > EXPLODED and rate > GROWS):
        return
    kind = "vanishing" if fades else "exploding"
    remedy = (
        "Use an LSTM or GRU (with a forget bias of 1) in place of a plain RNN, begin with "
        "orthogonal recurrent weights (nn.init.orthogonal_), or cut the sequence into shorter ones"
        if fades
        else "Clip gradients (nn.utils.clip_grad_norm_), or begin with orthogonal recurrent "
        "weights (nn.init.orthogonal_)"
    )
    yield Finding(
        kind, f"through time in {case.layer_of(nodes[-1])}",
        f"from step {len(course)} back to step 1 the gradient goes from {number(course[-1])} to "
        f"{number(course[0])}, times {number(rate)} a step",
        remedy, tuple(Spot(node, f"{kind} through time") for node in nodes),
    )  # fmt: skip
