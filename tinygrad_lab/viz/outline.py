"""The outline of a graph: which operations are parts of one call, and what repeats.

A computation is written as calls within calls: a model calls layers, a layer calls functions, and
these record operations.  The outline is that tree, read off the scopes of the nodes.  On it a run
of equal parts, the steps of a recurrent loop or the blocks of a transformer, becomes one part.

Not for: what becomes a box (``plan.py``), numbers (``measures.py``), or words (``naming.py``).
"""

from __future__ import annotations

import weakref
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tinygrad_lab.core.engine import Node
from tinygrad_lab.core.scopes import Scope, scopes_of

__all__ = [
    "FEWEST_COPIES", "Call", "Copy", "Part", "Repeat", "fold", "longest_run", "nodes_of", "outline",
]  # fmt: skip

FEWEST_COPIES = 3
LONGEST_PERIOD = 64
FEWEST_SAVED = 8  # boxes; for fewer no picture gets clearer


@dataclass(eq=False)
class Call:
    """One call, of a layer or of a function, and what happened in it."""

    called: Any  # a layer has a path where it is one of the model's
    scope: Scope | None = None
    parts: list[Part] = field(default_factory=list)
    path: str | None = None
    is_layer: bool = False

    def holds_a_layer(self) -> bool:
        """Whether another layer was called within."""
        inner = (part for part in self.parts if not isinstance(part, Node))
        return any(
            isinstance(part, Repeat) or part.is_layer or part.holds_a_layer() for part in inner
        )


@dataclass(eq=False)
class Repeat:
    """Parts that come several times in a row; the others are like the first."""

    parts: list[Part]
    copies: int


Part = Node | Call | Repeat


def nodes_of(part: Part) -> Iterator[Node]:
    """Give the operations of a part, the oldest first."""
    if isinstance(part, Node):
        yield part
    else:
        for inner in part.parts:
            yield from nodes_of(inner)


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
            if node in scope:
                call = _call(scope, paths)
                opened[-1].parts.append(call)
                opened.append(call)
        opened[-1].parts.append(node)
    return whole


def _call(scope: Scope, paths: Mapping[int, str]) -> Call:
    is_layer = isinstance(scope.called, weakref.ref)
    called = scope.called() if is_layer else scope.called
    return Call(called, scope, [], paths.get(id(called)), is_layer)


# ---- what repeats -------------------------------------------------------------------------------


class Copy(NamedTuple):
    """Where an operation that is drawn once for several belongs."""

    repeat: Repeat
    number: int  # of the copy it is in
    first: Node  # the same operation in the first copy


def fold(whole: Call) -> dict[Node, list[Copy]]:
    """Put a repeat in the place of each run of equal parts, within all calls.

    Says of each operation in a run which copy it is in, and what it looks like in the first, of the
    outer runs first.  Within the copies that are not drawn nothing is folded.
    """
    copies: dict[Node, list[Copy]] = {}
    numbers: dict[Any, int] = {}  # what looks the same has one number
    waiting: list[Call | Repeat] = [whole]
    while waiting:
        within = waiting.pop()
        within.parts[:] = _folded(within.parts, copies, numbers)
        waiting += [part for part in within.parts if not isinstance(part, Node)]
    return copies


def _folded(
    parts: list[Part], known: dict[Node, list[Copy]], numbers: dict[Any, int]
) -> list[Part]:
    forms = [_form(part, numbers) for part in parts]
    folded: list[Part] = []
    i = 0
    while i < len(forms):
        period, copies = longest_run(forms, i)
        if copies < FEWEST_COPIES:
            folded.append(parts[i])
            i += 1
            continue
        stretches = [parts[i + k * period : i + (k + 1) * period] for k in range(copies)]
        i += copies * period
        first = [node for part in stretches[0] for node in nodes_of(part)]
        if (copies - 1) * len(first) < FEWEST_SAVED:
            folded += [part for stretch in stretches for part in stretch]
            continue
        repeat = Repeat(stretches[0], copies)
        folded.append(repeat)
        for k, stretch in enumerate(stretches):
            nodes = (node for part in stretch for node in nodes_of(part))
            for node, alike in zip(nodes, first, strict=True):
                known.setdefault(node, []).append(Copy(repeat, k, alike))
    return folded


def longest_run(forms: Sequence[int], start: int) -> tuple[int, int]:
    """Give the period and the number of copies of the longest run of equal parts from a place."""
    best = (1, 1)
    for period in range(1, min((len(forms) - start) // FEWEST_COPIES, LONGEST_PERIOD) + 1):
        if forms[start] != forms[start + period]:
            continue
        copies, stretch = 1, forms[start : start + period]
        while forms[start + copies * period : start + (copies + 1) * period] == stretch:
            copies += 1
        if copies >= FEWEST_COPIES and copies * period > best[0] * best[1]:
            best = (period, copies)
    return best


def _form(part: Part, numbers: dict[Any, int]) -> int:
    """Number a part by what was called and of which sizes: two that look the same have one."""
    form: tuple[Any, ...]
    if isinstance(part, Node):
        form = (part.op, _sizes(part.value), tuple(sorted(map(str, part.kwargs or ()))))
    else:
        form = (_kind(part), *(_form(inner, numbers) for inner in part.parts))
    return numbers.setdefault(form, len(numbers))


def _kind(part: Call | Repeat) -> Any:
    if isinstance(part, Repeat):
        return part.copies
    return type(part.called) if part.is_layer else part.called


def _sizes(value: Any) -> Hashable:
    if isinstance(value, (tuple, list)):
        return tuple(map(_sizes, value))
    return getattr(value, "shape", ()), str(getattr(value, "dtype", ""))
