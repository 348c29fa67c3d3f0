"""The outline of a graph: which operations are parts of one call, and what repeats.

A computation is written as calls within calls: a model calls layers, a layer calls functions, and
these record operations.  The outline is that tree, read off the scopes of the nodes.  On it a run
of equal parts, the steps of a recurrent loop or the blocks of a transformer, becomes one part.

Not for: what becomes a box (``plan.py``), numbers (``measures.py``), or words (``naming.py``).
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, NamedTuple

from tinygrad_lab.core.engine import Node
from tinygrad_lab.core.scopes import Scope, scopes_of

__all__ = [
    "Call", "Copy", "Part", "Repeat", "Runs", "fold", "group", "nodes_of", "outline",
]  # fmt: skip

FEWEST_COPIES = 3
LONGEST_PERIOD = 64
FEWEST_SAVED = 8  # operations; for fewer no picture gets clearer
PERIODS_TRIED = 8  # at one place


@dataclass(eq=False)
class Call:
    """One call, of a layer or of a function, and what happened in it.

    What was ``called`` is a function, a layer, or the class of a layer that is no more; None for
    parts that are together for another reason.
    """

    called: Any
    scope: Scope | None = None
    parts: list[Part] = field(default_factory=list)
    path: str | None = None  # of a layer that is one of the model's
    is_layer: bool = False
    holds_a_layer: bool = False  # another layer was called within
    nodes: list[Node] = field(default_factory=list)  # everything in it, the oldest first


@dataclass(eq=False)
class Repeat:
    """Parts that come several times in a row; the others are like the first."""

    parts: list[Part]
    last: list[Part]  # the same parts in the last copy
    copies: int
    nodes: list[Node]  # of the first copy


Part = Node | Call | Repeat


def nodes_of(part: Part) -> Sequence[Node]:
    """Give the operations of a part, the oldest first."""
    return [part] if isinstance(part, Node) else part.nodes


def outline(nodes: Sequence[Node], paths: Mapping[int, str]) -> Call:
    """Arrange operations, the oldest first, in the calls that they were recorded in.

    ``paths`` are those of the model's layers, by identity.
    """
    scopes = {scope.since: scope for scope in scopes_of(nodes)}  # one a call, not one a result
    waiting = [scopes[since] for since in sorted(scopes)]  # the last has begun first
    whole = Call(None)
    opened = [whole]
    for node in nodes:
        if node.op is None:
            continue
        while opened[-1].scope is not None and node.order < opened[-1].scope.until:
            opened.pop()
        while waiting and node.order < waiting[-1].since:
            scope = waiting.pop()
            if not scope.holds(node):
                continue
            call = _call(scope, paths)
            if call.is_layer:
                for outer in opened:
                    outer.holds_a_layer = True
            opened[-1].parts.append(call)
            opened.append(call)
        opened[-1].parts.append(node)
        for call in opened:
            call.nodes.append(node)
    return whole


def _call(scope: Scope, paths: Mapping[int, str]) -> Call:
    layer = scope.layer and scope.layer()
    called = scope.called if layer is None else layer
    return Call(called, scope, [], paths.get(id(layer)), scope.layer is not None)


def group(whole: Call, most: int) -> None:
    """Take parts in a row together, so that the whole, and each model that it calls, has few."""
    models = [p for p in whole.parts if isinstance(p, Call) and p.is_layer and p.holds_a_layer]
    for call in [whole, *models]:
        size = math.ceil(len(call.parts) / most)
        call.parts = [part for stretch in _stretches(call.parts, size) for part in stretch]


def _stretches(parts: Sequence[Part], size: int) -> Iterator[list[Part]]:
    for is_alone, run in groupby(parts, lambda part: isinstance(part, Repeat)):
        own = list(run)
        for i in range(0, len(own), size):
            stretch = own[i : i + size]
            is_drawn = is_alone or len(stretch) == 1
            yield stretch if is_drawn else [Call(None, None, stretch, nodes=_all(stretch))]


def _all(parts: Sequence[Part]) -> list[Node]:
    return [node for part in parts for node in nodes_of(part)]


# ---- what repeats -------------------------------------------------------------------------------


class Copy(NamedTuple):
    """Where an operation that is drawn once for several belongs."""

    repeat: Repeat
    number: int  # of the copy it is in
    first: Node  # the same operation in the first copy


def fold(whole: Call) -> dict[Node, list[Copy]]:
    """Put a repeat in the place of each run of parts that are alike and wired alike.

    Says of each operation in a run which copy it is in, and what it looks like in the first, of the
    outer runs first.  Within the copies that are not drawn nothing is folded.
    """
    forms = _forms(whole)
    wiring = _Wiring(whole.nodes)
    copies: dict[Node, list[Copy]] = {}
    waiting: list[Call | Repeat] = [whole]
    while waiting:
        within = waiting.pop()
        within.parts[:] = _folded(within.parts, forms, wiring, copies)
        waiting += [part for part in within.parts if not isinstance(part, Node)]
    return copies


def _folded(
    parts: list[Part],
    forms: Mapping[Part, int],
    wiring: _Wiring,
    known: dict[Node, list[Copy]],
) -> list[Part]:
    folded: list[Part] = []
    own = [-1 if isinstance(part, Repeat) else forms[part] for part in parts]
    runs = Runs(own)
    i = 0
    while i < len(parts):
        period, copies = 1, 1
        for period, most in runs.at(i):
            size = len(_all(parts[i : i + period]))
            copies = wiring.alike(nodes_of(parts[i])[0], size, most)
            if copies >= FEWEST_COPIES and (copies - 1) * size >= FEWEST_SAVED:
                break
        else:
            folded.append(parts[i])
            i += 1
            continue
        stretches = [parts[i + k * period : i + (k + 1) * period] for k in range(copies)]
        i += copies * period
        first = _all(stretches[0])
        counterparts = [first] * copies
        rest = parts[i : i + period]
        shorter = None
        if _kinds(rest) == _kinds(stretches[0]):
            shorter = wiring.shorter(first, copies, _all(rest), forms)
        if shorter is not None:
            stretches.append(rest)
            counterparts.append(shorter)
            i += period
        repeat = Repeat(stretches[0], stretches[-1], len(stretches), first)
        folded.append(repeat)
        for k, (stretch, alike) in enumerate(zip(stretches, counterparts, strict=True)):
            for node, other in zip(_all(stretch), alike, strict=True):
                known.setdefault(node, []).append(Copy(repeat, k, other))
    return folded


def _kinds(parts: Sequence[Part]) -> list[Any]:
    """Say what was called in each of some parts, whatever happened in it."""
    return [part.op if isinstance(part, Node) else _kind(part) for part in parts]


def _kind(part: Call | Repeat) -> Any:
    if isinstance(part, Repeat):
        return part
    return type(part.called) if part.is_layer else part.called


class Runs:
    """Where equal forms come in a row, with which period and how often."""

    def __init__(self, forms: Sequence[int]) -> None:
        periods = min(len(forms) // FEWEST_COPIES, LONGEST_PERIOD)
        #: By period, how many forms from each place on equal those one period later.
        self.equal = {period: self._equal(forms, period) for period in range(1, periods + 1)}

    @staticmethod
    def _equal(forms: Sequence[int], period: int) -> list[int]:
        lengths = [0] * (len(forms) + 1)
        for i in range(len(forms) - period - 1, -1, -1):
            if forms[i] == forms[i + period]:
                lengths[i] = lengths[i + 1] + 1
        return lengths

    def at(self, start: int) -> Iterator[tuple[int, int]]:
        """Give periods and numbers of copies from a place on, what covers most first."""
        candidates = [
            (period, lengths[start] // period + 1)
            for period, lengths in self.equal.items()
            if lengths[start] >= (FEWEST_COPIES - 1) * period
        ]
        candidates.sort(key=lambda each: -each[0] * each[1])
        yield from candidates[:PERIODS_TRIED]


class _Wiring:
    """From where each operation takes its operands, to compare copies by."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.nodes = nodes
        self.place = {node: i for i, node in enumerate(nodes)}
        #: Places of operations, or leaves; None for constants.
        self.sources: list[list[Any]] = [
            [self.place.get(p, p) if p is not None else None for p in node.parents or ()]
            for node in nodes
        ]

    def alike(self, first: Node, size: int, copies: int) -> int:
        """Count the copies, from the first on, that are connected in the same way.

        Within a copy the ways must be the same.  What comes from an earlier copy must come from the
        same operation there, as many copies earlier, and from anywhere outside where that would lie
        before the first.  What comes from outside must be the same in all copies or another one in
        each.
        """
        base = self.place[first]
        used: dict[Any, int] = {}  # what comes from outside, by the place of its first use
        before: list[Any] = []
        for k in range(copies):
            ways: list[Any] = []
            for g in range(base + k * size, base + (k + 1) * size):
                if k and len(self.sources[g]) != len(self.sources[g - size]):
                    return k
                for source in self.sources[g]:
                    way = self._way(source, g, base, size, used)
                    if k and not self._fits(way, before[len(ways)], g - size - base, k):
                        return k
                    ways.append(way)
            before = ways
        return copies

    def shorter(
        self, first: Sequence[Node], copies: int, nodes: Sequence[Node], forms: Mapping[Part, int]
    ) -> list[Node] | None:
        """Match a copy after the last that lacks what nobody uses, such as the last memory.

        Gives the counterpart of each node in the first copy, or None if it is no such copy.
        """
        size, base = len(first), self.place[first[0]]
        last = base + (copies - 1) * size
        taken: dict[int, int] = {}  # which place of a copy each node of this one has
        place = 0
        for node in nodes:
            while place < size and not (
                forms[node] == forms[self.nodes[last + place]]
                and self._stands_for(node, last + place, last, size, taken)
            ):
                place += 1
            if place == size:
                return None
            taken[self.place[node]] = place
            place += 1
        return [first[place] for place in taken.values()] if len(taken) < size else None

    def _stands_for(
        self, node: Node, other: int, last: int, size: int, taken: Mapping[int, int]
    ) -> bool:
        """Whether a node after the last copy is wired as another one in it is."""
        own, its = self.sources[self.place[node]], self.sources[other]
        for mine, source in zip(own, its, strict=False):
            if not isinstance(source, int) or source < last - size:  # it comes from outside
                fits = not isinstance(mine, int) or mine < last
            elif source < last:
                fits = mine == source + size
            else:
                fits = taken.get(mine) == source - last
            if not fits:
                return False
        return len(own) == len(its)

    @staticmethod
    def _way(source: Any, g: int, base: int, size: int, used: dict[Any, int]) -> Any:
        """Say from where an operand comes: how far back in the run, or as what from outside."""
        if source is None:
            return None
        if isinstance(source, int) and source >= base:
            return source - g
        first = used.setdefault(source, g)
        copy, place = divmod(first - base, size)
        if copy == (g - base) // size:
            return "own", place
        return ("shared", place) if copy == 0 else ("odd", first)

    @staticmethod
    def _fits(way: Any, before: Any, place: int, copy: int) -> bool:
        """Whether a way in a copy goes with that in the copy before, at a place of the run."""
        if way == before:
            return True
        if isinstance(way, int):
            return not isinstance(before, int) and place + way < 0
        return copy == 1 and way == ("shared", before[1]) if isinstance(before, tuple) else False


def _forms(whole: Call) -> dict[Part, int]:
    """Number parts by what was called and of which sizes: two that look the same have one."""
    calls = [whole]
    for call in calls:
        calls += [part for part in call.parts if isinstance(part, Call)]
    numbers: dict[Any, int] = {}
    forms: dict[Part, int] = {}
    form: tuple[Any, ...]
    for node in whole.nodes:
        sizes = (node.value, *(arg for arg in node.args or () if hasattr(arg, "shape")))
        form = node.op, tuple(map(_sizes, sizes)), tuple(node.kwargs or ())
        forms[node] = numbers.setdefault(form, len(numbers))
    for call in reversed(calls):
        form = _kind(call), *(forms[part] for part in call.parts)
        forms[call] = numbers.setdefault(form, len(numbers))
    return forms


def _sizes(value: Any) -> Hashable:
    if isinstance(value, (tuple, list)):
        return tuple(map(_sizes, value))
    return getattr(value, "shape", ()), getattr(value, "dtype", None)
