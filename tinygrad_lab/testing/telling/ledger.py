"""Blame: which operation of a composite function has the wrong derivative.

For a direction u of the inputs and an upstream v, let g_k be the cotangent that the backward pass
used at node k, c_{k,i} what its rule returned for operand i, and t the measured directional
derivatives of all intermediate values.  Then

    <grad, u> - <v, t_out>  =  sum over nodes      sum_i <c_{k,i}, t_in(k,i)> - <g_k, t_k>
                             + sum over nodes      <g_k - what arrived at k, t_k>
                             + sum over inputs     <what was returned - what the pass had, u>
                             - sum over outputs without a history     <v, t_out>

exactly: the first sum holds the faults of rules, the second and third those of the engine (fan-out,
order).  Where an operand without a history moves with the inputs, t are measured as if it stayed,
and what it moves of the output has an entry of its own: there the gradient was lost, and no rule is
wrong.

Not for: deciding that something is wrong (``judging``), or how values move (``tangents.py``).
"""

from __future__ import annotations

import enum
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tinygrad_lab.core.engine import Node, propagate
from tinygrad_lab.core.errors import name_of
from tinygrad_lab.core.graph import history
from tinygrad_lab.core.modes import debug
from tinygrad_lab.testing.judging.arrays import Array, bind
from tinygrad_lab.testing.judging.judgement import Evidence
from tinygrad_lab.testing.judging.numerical import direction_like
from tinygrad_lab.testing.judging.point import Point
from tinygrad_lab.testing.judging.slope import Climb, promised
from tinygrad_lab.testing.judging.subject import Origin, TensorSubject
from tinygrad_lab.testing.telling.places import Place, operand_at, place_of
from tinygrad_lab.testing.telling.tangents import Graphs, graphs_of, inner
from tinygrad_lab.transforms.checkpoint import recomputed

NOTICED = 1e-3  # of the discrepancy; entries below are not told one by one


class Part(enum.StrEnum):
    """Which step of the backward pass an entry is about."""

    RULE = "rule"  # what the operation's rule returned
    ARRIVAL = "accumulation"  # what arrived at the node and was added up
    RETURN = "return"  # what was handed to the caller
    CONSTANT = "constant"  # what moves with the inputs, and no gradient goes through
    OUTPUT = "output"  # what is returned, and has no history


@dataclass
class Entry:
    """One line of the account.

    Its ``number`` is the node's place in the graph, counted from the inputs; its ``amount`` a part
    of the discrepancy, and ``share`` that in relation to the whole; its ``site`` the file and line
    of the call, or with an origin those of the rule.  The ``origin``, at second order, is the
    call, and its derivative rule, that this one was made in.  Of a constant, ``operand`` is its
    position or keyword in the call, and ``written`` what is written there.
    """

    kind: Part
    node: Node | None
    number: int
    amount: float
    share: float = 0.0
    site: str = ""
    origin: Origin | None = None
    operand: int | str | None = None
    written: str = ""
    cotangent: Any = field(default=None, repr=False)  # what arrived there

    @property
    def what(self) -> str:
        """Name the operation, or say that the adding up is at fault."""
        if self.node is None:
            return f"output {self.number}, which has no history"
        name = "input" if self.node.op is None else called(self.node)
        if self.origin is not None:
            name = f"{name} in the rule of {called(self.origin.node)}"
        if self.kind is Part.CONSTANT:
            return f"a constant of {name} that moves with the inputs"
        if self.kind is Part.RULE:
            return name
        return f"{'adding up' if self.kind is Part.ARRIVAL else 'returning'} the gradient of {name}"

    @property
    def suspects(self) -> list[str]:
        """Name the operations whose rule may be wrong: its own, and the one it was called in."""
        nodes = [self.node] if self.kind is Part.RULE else []
        nodes += [] if self.origin is None else [self.origin.node]
        return [called(node) for node in nodes if node is not None and node.op is not None]

    def __str__(self) -> str:
        written = f" ({self.written})" if self.written else ""
        number = "" if self.node is None else f"#{self.number} "
        return f"{number}{self.what}{written}  {self.share:.2%}{self.site and '  '}{self.site}"


def called(node: Node) -> str:
    """Name the operation of a node as its caller knows it."""
    batched = (node.kwargs or {}).get("call")  # a primitive that vmap called for a whole batch
    return name_of(getattr(batched, "op", node.op))


@dataclass
class Ledger:
    """How much of a discrepancy each operation accounts for; the largest entry comes first.

    Where it cannot be drawn up, because the function takes other paths next to the point for
    example, there are no entries, and ``instead`` says so.
    """

    discrepancy: float
    entries: list[Entry] = field(default_factory=list)
    instead: str = ""
    nodes: Sequence[Node] = field(default=(), repr=False)  # of the graph, the oldest first
    unmeasured: int = 0  # steps that NaN or infinities went through

    @property
    def guilty(self) -> Entry | None:
        """The entry with the largest part, unless most of it all could not be measured."""
        entry = self.entries[0] if self.entries else None
        is_lost = self.unmeasured and entry is not None and abs(entry.share) < NOTICED
        return None if is_lost else entry

    @property
    def total(self) -> float:
        """What the shares add up to: 1, but for rounding."""
        return sum(entry.share for entry in self.entries)

    def line(self) -> str:
        """Write the account in one line."""
        if self.instead:
            return f"blame: {self.instead}"
        if not self.entries:
            return "blame: nothing to blame"
        named, rest = self._named()
        parts = []
        for entry, alike in named:
            more = sum(e.share for e in alike)
            calls = f"{len(alike)} more call{'s' * (len(alike) > 1)} of it"
            parts.append(f"{entry}{f' and {calls} {more:.2%}' if alike else ''}")
        most = max((abs(entry.share) for entry in rest), default=0.0)
        others = f"    all {len(rest)} others < {max(most, 1e-16):.0e}" if rest else ""
        others += f"; {self.unmeasured} not measured" if self.unmeasured else ""
        return f"blame (sums to {self.total:.2%}):  {'; '.join(parts)}{others}"

    def _named(self) -> tuple[list[tuple[Entry, list[Entry]]], list[Entry]]:
        """Choose what to name, other calls of the same operation with the first; and the rest."""
        named: list[tuple[Entry, list[Entry]]] = []
        rest = []
        for k, entry in enumerate(self.entries):
            is_small = k > 0 and abs(entry.share) < NOTICED
            same = next((alike for e, alike in named if _is_alike(e, entry)), None)
            if is_small or (same is None and len(named) == 3):
                rest.append(entry)
            elif same is not None:
                same.append(entry)
            else:
                named.append((entry, []))
        return named, rest

    def __str__(self) -> str:
        rows = [f"discrepancy {self.discrepancy:.6g}", *([self.instead] if self.instead else [])]
        rows += [f"  {e.share:8.2%}  #{e.number} {e.what}  {e.site}" for e in self.entries[:10]]
        return "\n".join(rows)


def _is_alike(a: Entry, b: Entry) -> bool:
    return a.kind is b.kind is Part.RULE and a.what == b.what


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

    Raises
    ------
    ValueError
        The function takes other paths right next to the inputs, or writes into what it used.

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
    if ledger is None or ledger.instead:
        why = "there is no graph" if ledger is None else ledger.instead
        raise ValueError(f"no account of {subject.name} can be drawn up: {why}")
    return ledger


def draw_up(evidence: Evidence) -> Ledger | None:
    """Draw up the account from the evaluations of a ladder; None where there is no graph."""
    point = evidence.point
    if not any(point.recorded.roots):
        return None
    graphs = graphs_of(evidence)
    if isinstance(graphs, str):
        return Ledger(0.0, instead=graphs) if graphs else None
    try:
        ledger = _of_graphs(evidence, *graphs)
    except RuntimeError as error:  # an array was written to since it was recorded
        return Ledger(0.0, instead=str(error))
    opened = _opened(evidence) if any(node.op in _sealed() for node in graphs[0].nodes) else None
    return opened or ledger


def _of_graphs(evidence: Evidence, graphs: Graphs, climbed: Climb) -> Ledger:
    point = evidence.point
    tangents: dict[Node, Any] = {}
    returned: dict[Node, float] = {}
    for i, node in enumerate(point.recorded.inputs):
        if node is not None and node in graphs.nodes:
            tangents[node] = climbed.directions[i]
            returned[node] = inner(np.asarray(evidence.gradients[i]), tangents[node])
    account = _Account(graphs, tangents, returned)
    entries = account.entries(point.recorded.roots, evidence.upstreams)
    entries += _without_history(evidence, climbed)
    slope, _ = promised(evidence.gradients, climbed.directions)
    discrepancy = slope - climbed.ladder.slope(evidence.weights).value
    ledger = Ledger(discrepancy, entries, nodes=graphs.nodes)
    for entry in entries:
        entry.share = entry.amount / (ledger.discrepancy or 1.0)
    ledger.entries = [entry for entry in entries if np.isfinite(entry.amount)]
    ledger.entries.sort(key=lambda entry: -abs(entry.amount))
    ledger.unmeasured = len(entries) - len(ledger.entries)
    _add_places(ledger.entries, point, graphs.nodes)
    return ledger


def _without_history(evidence: Evidence, climbed: Climb) -> list[Entry]:
    """Enter the results that move, and that no gradient comes from."""
    slopes, _ = climbed.ladder.slopes()
    entries, begin = [], 0
    for j, (root, u) in enumerate(
        zip(evidence.point.recorded.roots, evidence.upstreams, strict=True)
    ):
        amount = -float(np.ravel(u) @ slopes[begin : begin + u.size])
        begin += u.size
        if root is None and amount:
            entries.append(Entry(Part.OUTPUT, None, j, amount))
    return entries


class _Account:
    """The account of one backward pass through a graph, in the directions of the tangents.

    Where constants move, the graph is computed again with constants that stay: so every rule is
    held against what it can know of.  What each constant moves of the results is measured alone.
    One that is used twice is one: so it is seen that what is taken away in one place is added in
    another, as with the maximum in a stable softmax.
    """

    def __init__(
        self, graphs: Graphs, tangents: Mapping[Node, Any], returned: Mapping[Node, float]
    ) -> None:
        """Take the tangents of the inputs, and what was returned in their direction."""
        self.graphs, self.tangents, self.returned = graphs, dict(tangents), returned
        self.values, self.constants = graphs.values(), graphs.moving(tangents)
        if self.constants:
            try:
                self.values = graphs.replayed(graphs.inputs)
            except Exception:  # noqa: BLE001 - no call that can be made by itself: with its rule
                self.constants = []
        for k, node in enumerate(graphs.nodes):
            if node.op is not None:
                self.tangents[node] = graphs.tangent(k, self.values)

    def entries(self, roots: Sequence[Node | None], upstreams: Sequence[Array]) -> list[Entry]:
        """Watch a backward pass, and write the account of it."""
        tangents, nodes = self.tangents, self.graphs.nodes
        arrived: defaultdict[Node, float] = defaultdict(float)
        used: defaultdict[Node, float] = defaultdict(float)  # of one that is not visited, nothing
        rules: dict[Node, float] = {}
        cotangents: dict[Node, Any] = {}

        def arrive(node: Node, c: Any) -> float:
            amount = inner(c, tangents.get(node))
            arrived[node] += amount
            return amount

        def visit(node: Node, g: Any, contributions: tuple[Any, ...]) -> None:
            used[node] = inner(g, tangents.get(node))
            cotangents[node] = dict(g) if isinstance(g, dict) else g
            pairs = zip(node.parents or (), contributions)  # noqa: B905 - aligned
            total = sum(arrive(p, c) for p, c in pairs if p is not None and c is not None)
            if node.op is not None:
                rules[node] = total

        begin = [(root, u) for root, u in zip(roots, upstreams, strict=True) if root is not None]
        for root, u in begin:
            arrive(root, u)
        outputs, ups = [root for root, _ in begin], [u for _, u in begin]
        propagate(outputs, ups, retain_graph=True, visit=visit)
        entries = self._of_constants(begin)
        for number, node in enumerate(nodes):
            if node in rules:
                amount = rules[node] - used[node]
                entries += self._of_rule(node, number, amount, cotangents.get(node))
            amount = used[node] - arrived[node]
            if abs(amount) > 1e-12 * (abs(used[node]) + abs(arrived[node])):
                entries.append(Entry(Part.ARRIVAL, node, number, amount))
            amount = self.returned.get(node, used[node]) - used[node]
            if abs(amount) > 1e-12 * abs(used[node]):
                entries.append(Entry(Part.RETURN, node, number, amount))
        return entries

    def _of_constants(self, begin: Sequence[tuple[Node, Array]]) -> list[Entry]:
        """Enter what each constant moves of the results, which no rule is told of."""
        graphs, entries = self.graphs, []
        still = dict.fromkeys(graphs.around, graphs.inputs[0.0])
        places = {node: k for k, node in enumerate(graphs.nodes)}
        for alike in self.constants:
            values = graphs.replayed(still, alike)
            moved = sum(inner(u, graphs.tangent(places[root], values)) for root, u in begin)
            call, place = alike[0]
            entry = Entry(Part.CONSTANT, graphs.nodes[call], call, -moved, operand=place)
            entries.append(entry)
        return entries

    def _of_rule(self, node: Node, number: int, amount: float, g: Any) -> list[Entry]:
        """Enter what a rule took in and did not give out; of a checkpoint, what is inside."""
        inside = _inside(node, number, g, self) if node.op is recomputed and amount else []
        rest = amount - sum(entry.amount for entry in inside)
        return [*inside, Entry(Part.RULE, node, number, rest, cotangent=g)]


# ---------------------------------------------------------------------------------------------
# What is computed out of sight: inside a checkpoint, or by a compiled program


def _inside(node: Node, number: int, g: Any, account: _Account) -> list[Entry]:
    """Draw up the account of a checkpointed function, which is called again for that."""
    graphs = account.graphs
    parents = (node.parents or ())[1:]
    call, *values = node.args
    places = {each: k for k, each in enumerate(graphs.nodes)}

    def at(h: float) -> list[Any]:
        computed = {each: account.values[h][k] for each, k in places.items() if each.op is not None}
        there = {**graphs.inputs[h], **computed}
        pairs = zip(parents, values, strict=True)
        return [arg if parent is None else there.get(parent, arg) for parent, arg in pairs]

    try:
        with debug():
            result, inputs = call(values)
            calls = {h: call(at(h)) for h in graphs.around}
    except Exception:  # noqa: BLE001 - it was known to be wrong before: no more than that is said
        return []
    histories = {h: history([y.node])[::-1] for h, (y, _) in calls.items()}
    nodes = history([result.node])[::-1]
    if any([n.op for n in graph] != [n.op for n in nodes] for graph in histories.values()):
        return []
    leaves: list[Any] = [x.node for x in inputs]
    moved = {h: dict(zip(leaves, at(h), strict=True)) for h in graphs.around}
    moved[0.0] = dict(zip(leaves, values, strict=True))
    tangents = {
        x.node: account.tangents[parent]
        for x, parent in zip(inputs, parents, strict=True)
        if parent in account.tangents
    }
    of_these = _Account(Graphs(nodes, histories, graphs.steps, moved), tangents, {})
    entries = of_these.entries([result.node], [np.conj(g)])
    return [
        replace(e, number=number, site=str(place_of(getattr(e.node, "site", None) or "")))
        for e in entries
        if e.node is not None and e.node.op is not None
    ]


def _sealed() -> set[Any]:
    """Give the operation that stands for a whole compiled program."""
    from tinygrad_lab.transforms.jit.history import replayed

    return {replayed}


def _opened(evidence: Evidence) -> Ledger | None:
    """Draw up the account of what a compiled function was compiled from, if that is wrong too.

    Under ``debug()`` a compiled function is called as it was written.
    """
    point = evidence.point
    try:
        with debug():
            recorded = point.fresh()
            opened = replace(point, recorded=recorded, upstreams=list(evidence.upstreams))
            first = evidence.climb.ladder.steps[0]
            climbed = opened.measurer.climb(evidence.climb.directions, first)
            graphs = graphs_of(Evidence(climbed, opened, opened.gradients, evidence.upstreams))
            if isinstance(graphs, str):
                return None
            gradients = opened.pulled(evidence.upstreams, recorded)
            seen = Evidence(climbed, opened, gradients, evidence.upstreams)
            ledger = _of_graphs(seen, *graphs)
    except Exception:  # noqa: BLE001 - an infinity on the way, say: the program stays closed
        return None
    slope, _ = promised(evidence.gradients, climbed.directions)
    discrepancy = slope - climbed.ladder.slope(evidence.weights).value
    is_the_same = abs(ledger.discrepancy - discrepancy) <= NOTICED * abs(discrepancy)
    return ledger if is_the_same else None


# ---------------------------------------------------------------------------------------------
# Where the calls are


def _add_places(entries: Sequence[Entry], point: Point, nodes: Sequence[Node]) -> None:
    """Say where the calls were made, and at second order in whose rules."""
    with np.errstate(all="ignore"):
        origins = point.subject.origins(point.arrays)
        places = _places(point, nodes)
    for entry in entries:
        if entry.node is None or entry.site:
            continue
        place = places[entry.number] if places else Place()
        if entry.operand is not None and entry.share and abs(entry.share) >= NOTICED:
            operands = len(entry.node.args)
            entry.written = operand_at(place, called(entry.node), entry.operand, operands)
        entry.site = str(place)
        if len(origins) == len(nodes) and (origin := origins[entry.number]) is not None:
            code = getattr(origin.rule, "__code__", None)
            entry.origin = origin
            entry.site = str(Place(code.co_filename, code.co_firstlineno)) if code else ""


def _places(point: Point, nodes: Sequence[Node]) -> list[Place]:
    """Call once more under ``debug()``, which records the line of each call."""
    try:
        with debug():
            again = history(point.subject.evaluate(point.arrays).roots)[::-1]
    except FloatingPointError:
        return []
    if [node.op for node in again] != [node.op for node in nodes]:
        return []
    return [place_of(node.site or "") for node in again]
