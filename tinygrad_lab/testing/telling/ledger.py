"""Blame: which operation of a composite function has the wrong derivative.

For a direction u of the inputs and an upstream v, let g_k be the cotangent that the backward pass
used at node k, c_{k,i} what its rule returned for operand i, and t the measured directional
derivatives of all intermediate values.  Then

    <grad, u> - <v, t_out>  =  sum over nodes      sum_i <c_{k,i}, t_in(k,i)> - <g_k, t_k>
                             + sum over nodes      <g_k - what arrived at k, t_k>
                             + sum over inputs     <what was returned - what the pass had, u>

exactly: the first sum holds the faults of rules, the others those of the engine (fan-out, order).

Not for: deciding that something is wrong (``judging``).
"""

from __future__ import annotations

import enum
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

import numpy as np

from tinygrad_lab.core.engine import Node, propagate
from tinygrad_lab.core.errors import name_of
from tinygrad_lab.core.graph import history
from tinygrad_lab.core.modes import debug
from tinygrad_lab.testing.judging.arrays import Array, bind, in_parts
from tinygrad_lab.testing.judging.judgement import Evidence
from tinygrad_lab.testing.judging.numerical import Ladder, direction_like
from tinygrad_lab.testing.judging.point import Point
from tinygrad_lab.testing.judging.slope import Climb
from tinygrad_lab.testing.judging.subject import Origin, TensorSubject


class Part(enum.StrEnum):
    """Which step of the backward pass an entry is about."""

    RULE = "rule"  # what the operation's rule returned
    ARRIVAL = "accumulation"  # what arrived at the node and was added up
    RETURN = "return"  # what was handed to the caller


@dataclass
class Entry:
    """One line of the account.

    Its ``number`` is the node's place in the graph, counted from the inputs; its ``amount`` a part
    of the discrepancy, and ``share`` that in relation to the whole; its ``site`` the file and line
    of the call, or with an origin those of the rule.  The ``origin``, at second order, is the
    call, and its derivative rule, that this one was made in.
    """

    kind: Part
    node: Node
    number: int
    amount: float
    share: float = 0.0
    site: str = ""
    origin: Origin | None = None

    @property
    def what(self) -> str:
        """Name the operation, or say that the adding up is at fault."""
        name = "input" if self.node.op is None else name_of(self.node.op)
        if self.origin is not None:
            name = f"{name} in the rule of {name_of(self.origin.node.op)}"
        if self.kind is Part.RULE:
            return name
        return f"{'adding up' if self.kind is Part.ARRIVAL else 'returning'} the gradient of {name}"

    @property
    def suspects(self) -> list[str]:
        """Name the operations whose rule may be wrong: its own, and the one it was called in."""
        if self.kind is not Part.RULE:
            return []
        nodes = [self.node] if self.origin is None else [self.node, self.origin.node]
        return [name_of(node.op) for node in nodes if node.op is not None]


@dataclass
class Ledger:
    """How much of a discrepancy each operation accounts for; the largest entry comes first."""

    discrepancy: float
    entries: list[Entry] = field(default_factory=list)

    @property
    def guilty(self) -> Entry | None:
        """The entry with the largest part."""
        return self.entries[0] if self.entries else None

    @property
    def total(self) -> float:
        """What the shares add up to: 1, but for rounding."""
        return sum(entry.share for entry in self.entries)

    def line(self) -> str:
        """Write the account in one line."""
        if not self.entries:
            return "blame: nothing to blame"
        named = [e for k, e in enumerate(self.entries[:3]) if k == 0 or not abs(e.share) < 1e-3]
        places = [f"  {entry.site}" if entry.site else "" for entry in named]
        pairs = zip(named, places, strict=True)
        parts = [f"#{e.number} {e.what}  {e.share:.2%}{place}" for e, place in pairs]
        rest = self.entries[len(named) :]
        most = max((abs(entry.share) for entry in rest), default=0.0)
        others = f"    all {len(rest)} others < {max(most, 1e-16):.0e}" if rest else ""
        return f"blame (sums to {self.total:.2%}):  {'; '.join(parts)}{others}"

    def __str__(self) -> str:
        rows = [f"discrepancy {self.discrepancy:.6g}"]
        rows += [f"  {e.share:8.2%}  #{e.number} {e.what}  {e.site}" for e in self.entries[:10]]
        return "\n".join(rows)


def blame(
    fn: Callable[..., Any],
    *inputs: Any,
    wrt: int | Sequence[int] | None = None,
    upstream: Any = None,
    rng: int | np.random.Generator | None = 0,
) -> Ledger:
    """Draw up the account of a function's gradient, whether it is wrong or not.

    Parameters
    ----------
    fn : callable
        A function of Tensors.
    *inputs
        What it is called with.
    wrt : int or sequence of int, optional
        Which inputs to differentiate by; by default all arrays of floats.
    upstream : array_like, optional
        The upstream of the output; by default a random one.
    rng : int, Generator or None
        For the direction and the upstream.

    Examples
    --------
    >>> import numpy as np, tinygrad_lab as tl
    >>> from tinygrad_lab import testing as tgt
    >>> @tl.primitive
    ... def cube(x):
    ...     return x * x * x
    >>> tl.defvjp(cube, lambda g, y, x: g * 2 * x * x)
    >>> ledger = tgt.blame(lambda x: np.sin(cube(np.exp(x))), np.array([0.1, 0.2]))
    >>> ledger.guilty.what, round(ledger.guilty.share, 6)
    ('cube', 1.0)
    """
    generator = np.random.default_rng(rng)
    subject = TensorSubject(fn, bind(inputs, wrt))
    arrays = [np.array(x, dtype=np.float64) for x in subject.args.arrays]
    recorded = subject.record(arrays)
    upstreams = [generator.uniform(0.5, 1.0, y.shape) for y in recorded.outputs]
    if upstream is not None:
        upstreams = [np.broadcast_to(np.asarray(upstream, float), recorded.outputs[0].shape)]
    point = Point(subject, arrays, recorded, upstreams, generator, 1)
    climbed = point.measurer.climb([direction_like(x, generator) for x in arrays])
    ledger = draw_up(Evidence(climbed, point, point.gradients, upstreams))
    if ledger is None:
        raise ValueError(f"{subject.name} takes different paths near its input: nothing to blame")
    return ledger


def draw_up(evidence: Evidence) -> Ledger | None:
    """Draw up the account from the evaluations of a ladder; None where there is no graph."""
    point, climbed = evidence.point, evidence.climb
    nodes = history(point.recorded.roots)[::-1]
    tangents = _tangents(nodes, climbed) if nodes else None
    if tangents is None:
        return None
    returned = {}
    for i, node in enumerate(point.recorded.inputs):
        if node in nodes:
            tangents[node] = climbed.directions[i]
            returned[node] = _inner(np.asarray(evidence.gradients[i]), tangents[node])
    entries = _entries(nodes, point.recorded.roots, evidence.upstreams, tangents, returned)
    ledger = Ledger(sum(entry.amount for entry in entries), entries)
    for entry in entries:
        entry.share = entry.amount / (ledger.discrepancy or 1.0)
    entries.sort(key=lambda entry: -abs(entry.amount))
    _add_places(entries, point, nodes)
    return ledger


def _entries(
    nodes: Sequence[Node],
    roots: Sequence[Node | None],
    upstreams: Sequence[Array],
    tangents: dict[Node, Any],
    returned: dict[Node, float],
) -> list[Entry]:
    """Watch a backward pass, and write the account of it in the directions of the tangents."""
    arrived: defaultdict[Node, float] = defaultdict(float)
    used: defaultdict[Node, float] = defaultdict(float)  # of a node that is not visited, nothing
    rules: dict[Node, float] = {}

    def arrive(node: Node, c: Any) -> float:
        amount = _inner(c, tangents.get(node))
        arrived[node] += amount
        return amount

    def visit(node: Node, g: Any, contributions: tuple[Any, ...]) -> None:
        used[node] = _inner(g, tangents.get(node))
        pairs = zip(node.parents or (), contributions)  # noqa: B905 - aligned
        total = sum(arrive(p, c) for p, c in pairs if p is not None and c is not None)
        if node.op is not None:
            rules[node] = total

    begin = [(root, u) for root, u in zip(roots, upstreams, strict=True) if root is not None]
    for root, u in begin:
        arrive(root, u)
    outputs, cotangents = [root for root, _ in begin], [u for _, u in begin]
    propagate(outputs, cotangents, retain_graph=True, visit=visit)
    entries = []
    for number, node in enumerate(nodes):
        if node in rules:
            entries.append(Entry(Part.RULE, node, number, rules[node] - used[node]))
        amount = used[node] - arrived[node]
        if abs(amount) > 1e-12 * (abs(used[node]) + abs(arrived[node])):
            entries.append(Entry(Part.ARRIVAL, node, number, amount))
        amount = returned.get(node, used[node]) - used[node]
        if abs(amount) > 1e-12 * abs(used[node]):
            entries.append(Entry(Part.RETURN, node, number, amount))
    return entries


def _inner(g: Any, t: Any) -> float:
    if g is None or t is None:
        return 0.0
    if isinstance(g, dict):  # cotangents of some of several results
        return sum(_inner(part, t[i]) for i, part in g.items())
    # A pass carries conjugate gradients of complex numbers, so none is conjugated here.
    return float(np.sum(np.asarray(g, dtype=t.dtype) * t).real)


def _tangents(nodes: Sequence[Node], climbed: Climb) -> dict[Node, Any] | None:
    """Measure the directional derivative of every intermediate value."""
    graphs = {h: history(call.roots)[::-1] for h, call in climbed.calls.items() if h != 0}
    if not climbed.ladder.finite or any(_form(g) != _form(nodes) for g in graphs.values()):
        return None
    tangents = {}
    for k, node in enumerate(nodes):
        if node.op is not None:
            values = {h: graph[k].value for h, graph in graphs.items()}
            tangents[node] = _slope_of(values, node.value, climbed.ladder.steps)
    return tangents


def _form(graph: Sequence[Node]) -> list[tuple[Any, Any]]:
    return [(node.op, getattr(node.value, "shape", None)) for node in graph]


def _slope_of(values: dict[float, Any], centre: Any, steps: tuple[float, ...]) -> Any:
    if isinstance(centre, tuple):  # several results
        return [
            _slope_of({h: v[i] for h, v in values.items()}, part, steps)
            for i, part in enumerate(centre)
        ]
    above, below = (np.stack([_row(values[side * h]) for h in steps]) for side in (1, -1))
    slopes, _ = Ladder(steps, _row(centre), above, below).slopes()
    if np.iscomplexobj(centre):
        slopes = slopes.view(np.complex128)
    return slopes.reshape(np.shape(centre))


def _row(value: Any) -> Array:
    """Put numbers in a row; complex ones as their real and imaginary parts, alternating."""
    parts = in_parts(value) if np.iscomplexobj(value) else value
    return np.asarray(parts, dtype=np.float64).ravel()


def _add_places(entries: Sequence[Entry], point: Point, nodes: Sequence[Node]) -> None:
    """Say where the calls were made, and at second order in whose rules."""
    with np.errstate(all="ignore"):
        origins = point.subject.origins(point.arrays)
        sites = _sites(point, nodes)
    for entry in entries:
        entry.site = sites[entry.number] if sites else ""
        if len(origins) == len(nodes) and (origin := origins[entry.number]) is not None:
            code = getattr(origin.rule, "__code__", None)
            entry.origin = origin
            entry.site = f"{PurePath(code.co_filename).name}:{code.co_firstlineno}" if code else ""


def _sites(point: Point, nodes: Sequence[Node]) -> list[str]:
    """Call once more under ``debug()``, which records the line of each call."""
    try:
        with debug():
            again = history(point.subject.evaluate(point.arrays).roots)[::-1]
    except FloatingPointError:
        return []
    if [node.op for node in again] != [node.op for node in nodes]:
        return []
    return [_file_and_line(node.site or "") for node in again]


def _file_and_line(site: str) -> str:
    match = re.match(r"(.*?):(\d+):", site, re.DOTALL)
    if match is None or "hypothesis" in PurePath(match[1]).parts:
        return ""
    return f"{PurePath(match[1]).name}:{match[2]}"
