"""``diff(before, after)``: what two graphs have in common, and what was added, removed, or changed.

Boxes are matched by the layer that they are in and by what they are; those that are left over, by
the order in which they come.  Nothing is computed again: two models of graphs are all it needs.

Not for: pictures of one graph (``picture.py``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from typing import Any

from tinygrad_lab.core.tensor import Tensor
from tinygrad_lab.viz.model import Box, Edge, Frame, GraphModel
from tinygrad_lab.viz.picture import Graph, graph
from tinygrad_lab.viz.style import number
from tinygrad_lab.viz.tree import headline

__all__ = ["Change", "Difference", "diff"]

#: A gradient that is so many times as large, or as small, is marked.
NOTICED = 10.0


def diff(
    before: Graph | Tensor, after: Graph | Tensor, model: Any = None, **options: Any
) -> Difference:
    """Draw the graph ``after`` with what was added to, removed from, and changed in ``before``.

    Added boxes are marked ``+``, removed ones are dashed and marked ``−``, and of the others the
    gradient is given as a ratio, ``∇ × 0.5``: marked where it changed tenfold, or where a shape or
    an option is another.

    Parameters
    ----------
    before, after
        Graphs that :func:`graph` drew, of two models or of one model at two times; or losses, which
        are drawn first.  A graph is what it was when it was drawn, so ``backward()`` may follow.
    model, **options
        For losses: what :func:`graph` is given besides; for graphs, ``theme`` and ``engine``.

    Returns
    -------
    Difference
        A picture, with ``.report()``, ``.added``, ``.removed`` and ``.changed``.

    Raises
    ------
    TypeError
        One of them is neither a graph of a tensor nor a tensor; or a graph, which was drawn as it
        is, is given with options that are too late.

    Examples
    --------
    >>> import numpy as np, tinygrad_lab as tl
    >>> w = tl.tensor([1.0, 2.0], requires_grad=True)
    >>> before = graph((w * w).sum(), names={"w": w})
    >>> print(diff(before, graph(np.tanh(w * w).sum(), names={"w": w})).report())
    loss = 5 → loss = 1.76: 1 box added, 0 removed, 3 in both
    <BLANKLINE>
    + tanh (2,)
    ∇ × 0.188: w, from 3.16 to 0.594
    ∇ × 0.297: multiply, from 1 to 0.297
    """
    first, second = (_drawn(each, model, options) for each in (before, after))
    return Difference(first, second, options.get("theme"), options.get("engine", "auto"))


def _drawn(each: Any, model: Any, options: Mapping[str, Any]) -> Graph:
    if isinstance(each, Tensor):
        return graph(each, model, **options)
    if not isinstance(each, Graph):
        raise TypeError(
            f"diff() compares two graphs of tl.viz.graph(loss), or two losses, not "
            f"{type(each).__name__}"
        )
    if model is not None or not {"theme", "engine"}.issuperset(options):
        raise TypeError(
            "diff() of graphs takes theme= and engine= alone: the rest was said to tl.viz.graph"
        )
    return each


@dataclass(frozen=True)
class Change:
    """A box that is in both graphs.

    ``ratio`` is the size of its gradient after by that before, None where there is not one in both;
    ``others`` are shape, dtype and options where these are others: what each was, and what it is.
    """

    before: Box
    after: Box
    ratio: float | None
    others: tuple[tuple[str, str], ...]


class Difference(Graph):
    """A graph beside another: made by :func:`diff`.

    Attributes
    ----------
    added, removed : tuple of Box
        Boxes of one of the graphs alone.
    changed : tuple of Change
        Boxes of both, in the order of the computation.
    """

    def __init__(
        self, before: Graph, after: Graph, theme: str | None = None, engine: str = "auto"
    ) -> None:
        pairs = _matched(before.model, after.model)
        old = {box.id: box for box in before.model.boxes}
        self.before, self.after = before.model, after.model
        self.added = tuple(box for box in after.model.boxes if box.id not in pairs)
        self.removed = tuple(box for box in before.model.boxes if box.id not in set(pairs.values()))
        self.changed = tuple(
            _change(old[pairs[box.id]], box) for box in after.model.boxes if box.id in pairs
        )
        style = replace(after.style, theme=theme or after.style.theme)
        super().__init__(_Merging(self, pairs).model(), style, engine)

    def report(self) -> str:
        """Write what was added, removed and changed; of gradients, the largest change first."""
        count = len(self.added)
        lines = [
            f"{headline(self.before)} → {headline(self.after)}: {count} box"
            f"{'' if count == 1 else 'es'} added, {len(self.removed)} removed, "
            f"{len(self.changed)} in both"
        ]
        lines += [f"+ {_called(box, self.after)}" for box in self.added]
        lines += [f"− {_called(box, self.before)}" for box in self.removed]
        for change in self.changed:
            name = _name(change.after, self.after)
            lines += [f"± {name}: was {old}, is {new}" for old, new in change.others]
        moved = [c for c in self.changed if c.ratio is not None and f"{c.ratio:.3g}" != "1"]
        for c in sorted(moved, key=_distance):
            sizes = [number(abs(box.flow or 0.0)) for box in (c.before, c.after)]
            name = _name(c.after, self.after)
            lines.append(f"∇ × {number(c.ratio or 0.0)}: {name}, from {sizes[0]} to {sizes[1]}")
        return "\n".join([lines[0], "", *lines[1:]] if lines[1:] else [f"{lines[0]}, all the same"])

    def _remarks(self) -> str:
        return self.report()


# ---- what is the same ---------------------------------------------------------------------------


def _matched(before: GraphModel, after: GraphModel) -> dict[str, str]:
    """Say of boxes of the second graph which one of the first each is."""
    pairs: dict[str, str] = {}
    for key in (_by_layer, _by_order):
        rest = [
            [box for box in model.boxes if box.id not in taken]
            for model, taken in ((before, set(pairs.values())), (after, set(pairs)))
        ]
        keys = [list(map(key(model), boxes)) for model, boxes in
                zip((before, after), rest, strict=True)]  # fmt: skip
        blocks = SequenceMatcher(None, keys[0], keys[1], autojunk=False).get_matching_blocks()
        for block in blocks:
            for i in range(block.size):
                pairs[rest[1][block.b + i].id] = rest[0][block.a + i].id
    return pairs


def _by_layer(model: GraphModel) -> Callable[[Box], Hashable]:
    frames = {frame.id: frame for frame in model.frames}

    def key(box: Box) -> Hashable:
        frame = frames.get(box.frame or "")
        kind = None if frame is None else (frame.path, _kind(frame.title))
        return kind, box.role == "loss", box.title, box.name or box.path

    return key


def _by_order(model: GraphModel) -> Callable[[Box], Hashable]:
    """Match what is the same but for where its layer is: a number further back, say."""
    kinds = {frame.id: _kind(frame.title) for frame in model.frames}

    def key(box: Box) -> Hashable:
        return kinds.get(box.frame or ""), box.role, box.title, box.name.rpartition(".")[2]

    return key


def _kind(title: str) -> str:
    return title.rpartition(": ")[2].partition("(")[0]


def _change(before: Box, after: Box) -> Change:
    ratio = None
    if before.flow is not None and after.flow is not None:
        old, new = abs(before.flow), abs(after.flow)
        ratio = new / old if old else 1.0 if not new else math.inf
    pairs = [(before.attributes, after.attributes), (before.dtype, after.dtype)]
    if not after.is_layer or before.attributes == after.attributes:  # which say it of a layer
        pairs.insert(0, (str(before.shape), str(after.shape)))
    others = tuple((old or "–", new or "–") for old, new in pairs if old != new)
    return Change(before, after, ratio, others)


def _is_far(ratio: float | None) -> bool:
    return ratio is not None and not 1 / NOTICED < ratio < NOTICED


def _distance(change: Change) -> float:
    """Sort what changed most to the front, and what is not finite before everything."""
    ratio = change.ratio or 0.0
    return -abs(math.log(ratio)) if ratio > 0 and math.isfinite(ratio) else -math.inf


def _name(box: Box, model: GraphModel) -> str:
    frame = next((f for f in model.frames if f.id == box.frame and f.title), None)
    name = box.name or box.written
    is_inside = frame is not None and not box.name
    return f"{name} in {frame.title}" if frame is not None and is_inside else name


def _called(box: Box, model: GraphModel) -> str:
    return f"{_name(box, model)} {box.shape}"


# ---- one picture of both ------------------------------------------------------------------------


class _Merging:
    """Puts what was removed where it was, between what is there."""

    def __init__(self, difference: Difference, pairs: Mapping[str, str]) -> None:
        self.before, self.after = difference.before, difference.after
        self.removed = [box.id for box in difference.removed]
        self.added = {box.id for box in difference.added}
        self.changes = {change.after.id: change for change in difference.changed}
        #: The boxes of the first graph, as they are called in the picture.
        self.ids = {old: new for new, old in pairs.items()} | {i: f"r{i}" for i in self.removed}
        self.frames = self._frames_of_the_first()

    def model(self) -> GraphModel:
        """Make one model of both."""
        needed = {box.frame for box in self._boxes_removed()}
        around = {frame.id: frame.within for frame in self._own_frames()}
        while missing := {around[f] for f in needed if f in around} - needed:
            needed |= missing
        frames = [*self.after.frames, *(f for f in self._own_frames() if f.id in needed)]
        order = self._order()
        boxes = sorted([*map(self._marked, self.after.boxes), *self._boxes_removed()],
                       key=lambda box: order[box.id])  # fmt: skip
        edges = sorted([*self._edges()], key=lambda e: (order[e.target], e.operand))
        return replace(
            self.after,
            boxes=tuple(boxes),
            edges=tuple(edges),
            frames=tuple(frames),
            findings=(),
            notes=(f"+ {len(self.added)} added, − {len(self.removed)} removed",),
        )

    def _frames_of_the_first(self) -> dict[str, str]:
        """Say which frame of the picture stands for one of the first graph.

        It is the one that its boxes are in now; where none is left, its own, which is drawn too.
        """
        here = {box.id: box.frame for box in self.after.boxes}
        frames = {frame.id: f"r{frame.id}" for frame in self.before.frames}
        within = {frame.id: frame.within for frame in self.before.frames}
        around = {frame.id: frame.within for frame in self.after.frames}
        for box in self.before.boxes:
            there, inside = box.frame, here.get(self.ids[box.id])
            while there is not None and inside is not None:
                frames[there] = inside
                there, inside = within[there], around.get(inside)
        return frames

    def _own_frames(self) -> Iterator[Frame]:
        there = {frame.id for frame in self.after.frames}
        for frame in self.before.frames:
            if self.frames[frame.id] not in there:
                within = self.frames.get(frame.within or "")
                title = f"− {frame.title}" if frame.title else ""
                yield replace(frame, id=self.frames[frame.id], within=within, title=title)

    def _boxes_removed(self) -> list[Box]:
        boxes = {box.id: box for box in self.before.boxes}
        return [
            replace(
                boxes[i], id=self.ids[i], frame=self.frames.get(boxes[i].frame or ""),
                role="operation" if boxes[i].role == "loss" else boxes[i].role,
                marks=("− removed",), status="removed",
            )
            for i in self.removed
        ]  # fmt: skip

    def _marked(self, box: Box) -> Box:
        if box.id in self.added:
            return replace(box, marks=("+ added",), status="added")
        change = self.changes[box.id]
        marks = [f"± was {old}" for old, _ in change.others]
        if _is_far(change.ratio):
            marks.append("△ larger ∇" if (change.ratio or 0.0) > 1 else "▽ smaller ∇")
        return replace(box, marks=tuple(marks), ratio=change.ratio)

    def _order(self) -> dict[str, tuple[float, int]]:
        """Put boxes of the first graph before the next box behind them that is in both."""
        order = {box.id: (float(i), 0) for i, box in enumerate(self.after.boxes)}
        before = float(len(self.after.boxes))
        for k, box in reversed(list(enumerate(self.before.boxes))):
            if box.id in self.removed:
                order[self.ids[box.id]] = (before - 0.5, k)
            else:
                before = order[self.ids[box.id]][0]
        return order

    def _edges(self) -> Iterator[Edge]:
        earlier = {(self.ids[e.source], self.ids[e.target]) for e in self.before.edges}
        here = {(e.source, e.target) for e in self.after.edges}
        for edge in self.after.edges:
            is_new = (edge.source, edge.target) not in earlier
            yield replace(edge, status="added") if is_new else edge
        for edge in self.before.edges:
            source, target = self.ids[edge.source], self.ids[edge.target]
            if (source, target) not in here:
                role = edge.role if edge.role == "side" and target[0] == "r" else "skip"
                yield replace(
                    edge, source=source, target=target, grad=None, share=None, role=role,
                    status="removed",
                )  # fmt: skip
