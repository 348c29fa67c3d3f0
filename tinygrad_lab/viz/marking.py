"""Which boxes the findings of an examination mark, and with what words.

A finding names nodes.  Of what is drawn once for several copies, the mark says in which it is.

Not for: finding anything (``health``, ``checked.py``), or how a mark looks (``dot.py``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from tinygrad_lab.core.engine import Node
from tinygrad_lab.viz.health import Finding, Spot
from tinygrad_lab.viz.plan import Place, Plan

__all__ = ["marks_of", "placed"]


def placed(finding: Finding, plan: Plan, ids: Mapping[Place, str]) -> Finding:
    """Put boxes in the places of nodes, here and in its effects: it is plain data from here on."""
    by: dict[tuple[str | None, str], list[Node]] = {}
    for spot in finding.spots:
        place = plan.place(spot.node)
        box = ids.get(place.within or place)
        by.setdefault((box, spot.words), []).append(spot.node)
    spots = (Spot(None, words + _in_copies(nodes, plan), box) for (box, words), nodes in by.items())
    effects = (placed(effect, plan, ids) for effect in finding.effects)
    return replace(finding, spots=tuple(spots), effects=tuple(effects))


def _in_copies(nodes: Sequence[Node], plan: Plan) -> str:
    """Say in which copies some nodes of one box are, if not in all."""
    numbers, most = set(), 1
    for node in nodes:
        number, count = _copy(node, plan)
        numbers.add(number)
        most = max(most, count)
    if len(numbers) == most:
        return ""
    return (
        f" in {len(numbers)} of {most}"
        if len(numbers) > 1
        else f" in no. {numbers.pop()} of {most}"
    )


def _copy(node: Node, plan: Plan) -> tuple[int, int]:
    """Give the number of the copy that a node is in, and how many there are."""
    if node.op is None:
        alike = plan.place(node).nodes
        return alike.index(node) + 1, len(alike)
    copies = plan.copies.get(node)
    return (copies[0].number + 1, copies[0].repeat.copies) if copies else (1, 1)


def marks_of(findings: Sequence[Finding]) -> dict[str, tuple[str, ...]]:
    """Say for each box with what it is marked; an effect marks no box that its cause does."""
    marks: dict[str, list[str]] = {}
    for box, mark in _marks(findings, frozenset()):
        if mark not in marks.setdefault(box, []):
            marks[box].append(mark)
    return {box: tuple(words) for box, words in marks.items()}


def _marks(findings: Sequence[Finding], causes: Collection[str]) -> Iterator[tuple[str, str]]:
    for finding in findings:
        own = [spot for spot in finding.spots if spot.box is not None and spot.box not in causes]
        for spot in own:
            yield str(spot.box), f"{finding.symbol} {spot.words}"
        yield from _marks(finding.effects, {*causes, *(str(spot.box) for spot in own)})
