"""How much of a computation is drawn by itself, so that a picture can be read.

What is small is drawn whole.  Of what is not, first what repeats is drawn once, then layers become
boxes, from the innermost outwards, and at last operations in a row are taken together.

Not for: which boxes follow from that (``plan.py``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any

from tinygrad_lab.core.engine import Node
from tinygrad_lab.viz.naming import Naming
from tinygrad_lab.viz.outline import Call, Copy, Repeat, fold, group, outline
from tinygrad_lab.viz.plan import Layout, Plan, Settings, uses_of

__all__ = ["READABLE", "plan_of", "words_of"]

#: More boxes than this are too many to read, where nobody asks for them.
READABLE = 60

#: So few are drawn by themselves even where some repeat.
FEW = 45

#: So many beside one another are as wide as a notebook's cell, 848 px, about.
NARROW = 8


def plan_of(
    nodes: Sequence[Node],
    naming: Naming,
    *,
    detail: Any,
    folded: bool | None,
    collapsed: Collection[str],
    depth: int | None,
) -> Plan:
    """Plan a picture of a graph that can be read.

    What is None, or ``"auto"`` for the detail, is chosen; if all is given, so is the size.
    """
    whole = outline(nodes, naming.paths)
    uses = uses_of(nodes)
    copies: dict[Node, list[Copy]] = {}
    usual = Settings("operations" if detail == "auto" else detail, False, collapsed, depth)
    if folded is not None:
        usual = replace(usual, folded=folded)
    attempts = list(_attempts(usual, whole, detail == "auto", folded, depth is None))
    readable: Plan | None = None  # the first that has too much in it, but not much too much
    for settings in attempts:
        if readable is not None and (settings.grouped or settings.depth != depth):
            return readable
        if settings.folded and not copies:
            copies = fold(whole)
        if not settings.folded and copies:
            whole, copies = outline(nodes, naming.paths), {}
        if settings.grouped:
            group(whole, READABLE // 2)
        layout = Layout(whole, settings)
        if len(layout.places) > READABLE and settings is not attempts[-1]:
            continue
        plan = Plan(nodes, uses, layout, copies, naming.parameters)
        if readable is not None and not _is_better(plan, readable):
            if _is_narrow(readable):
                return readable
            continue
        most = READABLE if settings.folded or folded is False else FEW
        if len(plan.places) <= most and _is_narrow(plan):
            return plan
        if len(plan.places) <= READABLE and readable is None:
            readable = plan
    return readable or plan


def _is_narrow(plan: Plan) -> bool:
    return plan.width() <= NARROW


def _is_better(plan: Plan, before: Plan) -> bool:
    """Whether a plan is worth what it leaves out: half of the boxes, or a picture that fits."""
    is_short = len(plan.places) <= len(before.places) / 2
    return is_short or (_is_narrow(plan) and not _is_narrow(before))


def _attempts(
    usual: Settings, whole: Call, is_free: bool, folded: bool | None, any_depth: bool
) -> Iterator[Settings]:
    """Give what to try, the most detailed first."""
    yield usual
    once = replace(usual, folded=folded is not False)
    if once != usual:
        yield once
    if not is_free:
        return
    modules = replace(once, detail="modules")
    yield modules
    if any_depth:
        for depth in range(_depth(whole) - 1, 0, -1):
            yield replace(modules, depth=depth)
    if folded is not False:
        last = replace(modules, depth=1 if any_depth else modules.depth, grouped=True)
        yield from (last, replace(last, folded=False))


def _depth(whole: Call) -> int:
    """Count how many layers are within one another."""
    deepest, waiting = 0, [(whole, 0)]
    while waiting:
        call, depth = waiting.pop()
        deepest = max(deepest, depth)
        waiting += [(part, depth + part.is_layer) for part in call.parts if isinstance(part, Call)]
    return deepest


def words_of(plan: Plan, usual: str) -> tuple[str, ...]:
    """Say what is not drawn by itself that is, or might be, in a picture in full detail."""
    settings = plan.settings
    words = []
    if any(isinstance(frame, Repeat) for frame in plan.frames):
        words.append("what repeats is drawn once")
    layers = [place.call for place in plan.places if place.call and place.call.is_layer]
    if any(call.holds_a_layer for call in layers):
        words.append("layers within others as one box")
    elif layers and settings.detail == "modules" and usual == "auto":
        words.append("layers as one box")
    if settings.grouped:
        words.append("operations in a row as one box")
    return tuple(words)
