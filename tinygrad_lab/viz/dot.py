"""The model as DOT text, the language of Graphviz.

Labels are HTML-like throughout, because a plain label that begins with an empty line corrupts
memory in library Graphviz; every text that comes from outside passes :func:`escape`. Only what
Graphviz 2.42 knows is used. Not for running Graphviz (``render.py``).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from itertools import groupby

from tinygrad_lab.viz.measures import Measure
from tinygrad_lab.viz.model import Box, Edge, Frame, GraphModel
from tinygrad_lab.viz.style import (
    THEMES,
    Paint,
    Scale,
    Theme,
    measured,
    number,
    one_line,
    plural,
    printable,
)

__all__ = ["FONT", "escape", "to_dot", "tooltip"]

FONT = "Helvetica"
_LONG = 32  # characters of facts that are one line
_TITLE = 80  # characters of a frame's title
_ATTRIBUTES = 26

# With more uses than this, the shares of a gradient are too many and too small for labels.
_MANY_USES = 8

# Ranks that skip edges may reach over, all together, before Graphviz needs minutes to bend them.
_FAR = 600

_CARRIED = "↻ carried"

_SHAPES = {
    "input": 'style="rounded,dashed,filled"',
    "parameter": 'shape=cylinder style="filled"',
    "operation": 'style="rounded,filled"',
    "layer": 'style="rounded,filled"',
    "loss": 'style="rounded,filled" peripheries=2',
}


def to_dot(
    model: GraphModel,
    *,
    show: Collection[str] = ("shape", "grad"),
    direction: str = "TB",
    theme: str = "light",
) -> str:
    """Write a model as DOT.

    Parameters
    ----------
    model
        What to draw.
    show
        What boxes show besides their name: any of ``"shape"`` and ``"grad"``.
    direction
        ``"TB"``, top to bottom, or ``"LR"``, left to right.
    theme
        ``"light"`` or ``"dark"``.

    Notes
    -----
    In an SVG of it, boxes, edges and frames are groups with ids: ``n3``, ``e5`` and ``f0``, where
    edges and frames are numbered in the order of the model; where edge 5 is carried, it begins at
    ``ce5``.

    Examples
    --------
    >>> import tinygrad_lab as tl
    >>> from tinygrad_lab.viz.model import build
    >>> x = tl.tensor([1.0, 2.0], requires_grad=True)
    >>> to_dot(build((x * x).sum())).splitlines()[0]
    'digraph {'
    """
    return "\n".join(_Writer(model, show, direction, THEMES[theme]).lines()) + "\n"


def escape(text: str, longest: int = 40) -> str:
    r"""Make any text safe, visible and one line inside an HTML-like label.

    Examples
    --------
    >>> escape('a<b> & "c"'), escape(""), escape("two\nlines")
    ('a&lt;b&gt; &amp; &quot;c&quot;', '(empty)', 'two⏎lines')
    """
    return _entities(_without_backslash(one_line(text, longest)))


def _without_backslash(text: str) -> str:
    """Put a look-alike in the place of each backslash.

    Graphviz expands escapes once in labels and twice in tooltips, entities and all, so that a
    backslash before N would become the box's id.
    """
    return text.replace("\\", "\N{SET MINUS}")


def _entities(text: str) -> str:
    """Escape the characters that mean something in XML."""
    for character, entity in (("&", "amp"), ("<", "lt"), (">", "gt"), ('"', "quot")):
        text = text.replace(character, f"&{entity};")
    return text


def tooltip(lines: list[str]) -> str:
    """Write a tooltip as a quoted DOT string."""
    safe = (_entities(_without_backslash(printable(line))) for line in lines)
    return '"' + "&#10;".join(safe) + '"'


class _Writer:
    """Writes one model, with what all its boxes and edges have in common."""

    def __init__(
        self, model: GraphModel, show: Collection[str], direction: str, theme: Theme
    ) -> None:
        self.model = model
        self.show = show
        self.direction = direction
        #: From left to right a label has no room beside a line, unless the layout makes some; from
        #: top to bottom room for labels would move what stands side by side.
        self.label = "label" if direction == "LR" else "xlabel"
        self.theme = theme
        flows = [edge.grad.rms for edge in model.edges if edge.grad and not edge.grad.trouble]
        self.scale = Scale(flows, theme)
        self.usual_dtype = model.loss.dtype
        self.frame_ids = {frame.id: f"f{i}" for i, frame in enumerate(model.frames)}
        self.names = {box.id: box.name or box.path or box.written for box in model.boxes}
        self.places = _places(model)
        self.frames = {frame.id: frame for frame in model.frames}
        self.arriving = self._arriving()
        self.carrying = {edge.source for edge in model.edges if edge.role == "carried"}
        self.uses: dict[str, int] = {}
        for edge in model.edges:
            self.uses[edge.source] = self.uses.get(edge.source, 0) + 1

    def lines(self) -> Iterator[str]:
        """Yield the text line by line."""
        theme = self.theme
        yield "digraph {"
        yield (
            f"  graph [rankdir={self.direction} newrank=true nodesep=0.3 ranksep=0.38 pad=0.15 "
            f'bgcolor="{theme.background}" fontname="{FONT}" fontsize=9.5 '
            f'fontcolor="{theme.muted}" labelloc=b label=<{self._caption()}>]'
        )
        if _reach(self.model) > _FAR:
            yield "  graph [splines=line nslimit=0.5 nslimit1=0.5 mclimit=0.2]"
        yield (
            f'  node [shape=box fontname="{FONT}" fontsize=11 fontcolor="{theme.ink}" '
            f'height=0.3 margin="0.13,0.06"]'
        )
        yield f'  edge [fontname="{FONT}" fontsize=9 fontcolor="{theme.muted}" arrowsize=0.65]'
        yield from self._boxes()
        for i, edge in enumerate(self.model.edges):
            yield from self._edge(f"e{i}", edge)
        yield from self._firsts()
        yield from self._ranks()
        yield "}"

    def _boxes(self) -> Iterator[str]:
        """Yield the boxes, those of a layer or of what repeats inside its frame."""
        inside: dict[str | None, list[Box]] = {}
        for box in self.model.boxes:
            inside.setdefault(box.frame, []).append(box)
        within: dict[str | None, list[Frame]] = {}
        for frame in self.model.frames:
            within.setdefault(frame.within, []).append(frame)
        yield from (self._box(box) for box in inside.get(None, ()))
        waiting = [(frame, 1) for frame in reversed(within.get(None, []))]
        closing: list[int] = []
        while waiting:
            frame, depth = waiting.pop()
            yield from ("  " * closing.pop() + "}" for _ in range(len(closing) - depth + 1))
            closing.append(depth)
            yield from self._opened(frame, "  " * depth)
            yield from ("  " * depth + self._box(box) for box in inside.get(frame.id, ()))
            arriving = self.arriving.get(frame.id, ())
            yield from ("  " * depth + self._arrival(name) for name in arriving)
            waiting += [(f, depth + 1) for f in reversed(within.get(frame.id, []))]
        yield from ("  " * depth + "}" for depth in reversed(closing))

    def _opened(self, frame: Frame, indent: str) -> Iterator[str]:
        paint = self.theme.cluster
        title = escape(frame.title, _TITLE) if frame.title else ""
        if frame.copies > 1:
            title = f"<B>× {frame.copies}</B>" + (f"&#160; {title}" if title else "")
        if "shape" in self.show and frame.shapes:
            shapes = escape(_change(*frame.shapes))
            title += f'&#160;&#160; <FONT POINT-SIZE="9" COLOR="{self.theme.muted}">{shapes}</FONT>'
        line = "rounded,dashed,filled" if frame.copies > 1 else "rounded,filled"
        yield f"{indent}subgraph cluster_{frame.id} {{"
        yield (
            f'{indent}  graph [id="{self.frame_ids[frame.id]}" style="{line}" '
            f'fillcolor="{paint.fill}" color="{paint.line}" labelloc=t labeljust=l margin=9 '
            f"label=<{title}>]"
        )

    def _box(self, box: Box) -> str:
        """Write one box."""
        paint, shape = self.theme.paint[_paint(box)], _SHAPES[box.role]
        if box.status == "removed":
            paint = Paint(self.theme.background, self.theme.no_gradient)
            shape = shape.replace("filled", "filled,dashed")
        width = 2 if box.warnings else 1.2
        return (
            f'  {box.id} [id="{box.id}" {shape} fillcolor="{paint.fill}" '
            f'color="{paint.line}" penwidth={width} '
            f"label=<{self._label(box)}> tooltip={tooltip(_details(box))}]"
        )

    def _label(self, box: Box) -> str:
        """Write what a box says: a name, and under it a muted line of facts."""
        head = _head(box)
        facts = []
        if "shape" in self.show:
            facts.append(_size(box))
            if box.dtype != self.usual_dtype:
                facts.append(box.dtype)
        words = [escape(" ".join(facts))] if facts else []
        if "grad" in self.show and box.flow is not None and box.id != self.model.loss.id:
            flow = f"× {number(box.ratio)}" if box.ratio is not None else _flow(box)
            words.append(f"∇ {flow}")
        is_long = sum(map(len, words)) > _LONG
        if box.id in self.carrying:
            words.append(_CARRIED)
        below = ("<BR/>" if is_long else "&#160; ").join(words)
        head = "".join(f"<B>{escape(mark)}</B><BR/>" for mark in box.warnings) + head
        if not below:
            return head
        return f'{head}<BR/><FONT POINT-SIZE="9" COLOR="{self.theme.muted}">{below}</FONT>'

    def _arriving(self) -> dict[str | None, list[str]]:
        """Give, by frame, where what is carried comes into a copy.

        A line back from where it left the copy before would cross half of the picture.
        """
        frames = {box.id: box.frame for box in self.model.boxes}
        arriving: dict[str | None, list[str]] = {}
        for i, edge in enumerate(self.model.edges):
            if edge.role == "carried":
                frame = self._repeating(frames[edge.target])
                arriving.setdefault(frame, []).append(f"ce{i}")
        return arriving

    def _repeating(self, frame: str | None) -> str | None:
        """Give the frame of what repeats that a frame is in."""
        while frame is not None and self.frames[frame].copies == 1:
            frame = self.frames[frame].within
        return frame

    def _arrival(self, name: str) -> str:
        muted = self.theme.muted
        return (
            f'  {name} [id="{name}" shape=plain fontsize=9 fontcolor="{muted}" label=<{_CARRIED}>]'
        )

    def _firsts(self) -> Iterator[str]:
        """Yield unseen lines that keep what the first copy begins with above the frame."""
        by_operand: dict[tuple[str, int], list[Edge]] = {}
        for edge in self.model.edges:
            by_operand.setdefault((edge.target, edge.operand), []).append(edge)
        placed: set[str] = set()
        for i, edge in enumerate(self.model.edges):
            if edge.role == "carried":
                firsts = by_operand[edge.target, edge.operand]
                sources = {e.source: None for e in firsts if e.role in ("spine", "skip")}
                yield from (f"  {s} -> ce{i} [style=invis]" for s in sources if s not in placed)
                placed.update(sources)

    def _edge(self, id: str, edge: Edge) -> Iterator[str]:
        """Write one edge."""
        source, target = self.names[edge.source], self.names[edge.target]
        tip = [f"{source} → {target}, operand {edge.operand + 1}"]
        weight = {"spine": 30, "side": 2, "carried": 8}.get(edge.role)
        attributes = [f'id="{id}"'] + ([] if weight is None else [f"weight={weight}"])
        if edge.grad is not None:
            width, colour = self._line(edge.grad)
            attributes += [f"penwidth={width}", f'color="{colour}"']
            tip.append(f"∇ {measured(edge.grad)}")
            if self.uses[edge.source] > 1 and edge.share is not None:
                share = number(edge.share)
                if self.uses[edge.source] <= _MANY_USES:
                    attributes.append(f"{self.label}=<&#160;{share}&#160;>")
                tip.append(f"adds {share} to the gradient of {source}")
        elif edge.tracked and not self.model.has_gradients:
            attributes += ["penwidth=1.2", f'color="{self.theme.muted}"']
        else:
            attributes += ["style=dashed", "penwidth=1", f'color="{self.theme.no_gradient}"']
            tip.append("no gradient")
        if edge.status:
            attributes.append(
                f"{self.label}=<&#160;{'+' if edge.status == 'added' else '−'}&#160;>"
            )
            tip.append(edge.status)
        if edge.role == "carried":
            tip.append("carried from one copy to the next")
            attributes += ["style=dashed", f"tooltip={tooltip(tip)}"]
            yield f"  c{id} -> {edge.target} [{' '.join(attributes)}]"
            return
        attributes.append(f"tooltip={tooltip(tip)}")
        if self.places.get(edge.source, ("", ""))[1] == "right":
            # Within a rank an edge runs from left to right, so this one is drawn from its end.
            yield f"  {edge.target} -> {edge.source} [dir=back {' '.join(attributes)}]"
        else:
            yield f"  {edge.source} -> {edge.target} [{' '.join(attributes)}]"

    def _line(self, grad: Measure) -> tuple[float, str]:
        """Return the width and the colour of an edge that carries a gradient."""
        if grad.trouble:
            return 2.0, self.theme.paint["wrong"].line
        return self.scale.width(grad.rms), self.scale.colour(grad.rms)

    def _ranks(self) -> Iterator[str]:
        """Yield the ranks of what enters from the side: the same as of the box it leads to."""
        ranks: dict[str, list[str]] = {}
        for source, (target, place) in self.places.items():
            if place != "above":
                ranks.setdefault(target, []).append(source)
        for target, sources in ranks.items():
            yield f"  {{rank=same; {'; '.join(sources)}; {target}}}"

    def _caption(self) -> str:
        """Write the line under the picture: how much there is, and how to read the edges."""
        model = self.model
        words = [plural(model.operations, "operation")]
        if model.parameters:
            words.append(plural(model.parameters, "parameter"))
        if self.usual_dtype != "float64":
            words.append(escape(self.usual_dtype))
        if model.has_gradients and any(edge.grad is not None for edge in model.edges):
            low, high = number(self.scale.low), number(self.scale.high)
            flows = low if low == high else f"{low} (thin) to {high} (thick)"
            words.append(f"edges: ∇ rms {flows}")
        if math.prod(model.loss.shape) != 1 and model.has_gradients:
            words.append("∇ of the sum of the last box")
        notes = [escape(note, _TITLE) for note in model.notes]
        lines = [" &#160;·&#160; ".join(line) for line in (words, notes) if line]
        lines += map(escape, model.remarks[len(notes) :])
        return "<BR/>".join(lines)


def _places(model: GraphModel) -> dict[str, tuple[str, str]]:
    """Place what enters from the side: by box, the box whose rank it shares, and the side.

    The first operand goes to the left and the second to the right; a third would have to reach over
    another box, so it goes above. What leads to an operand stays on that operand's side.
    """
    places: dict[str, tuple[str, str]] = {}
    taken: dict[str, int] = {}
    # Edges are sorted by target: in reverse, a box has its place before what leads to it.
    for _, edges in reversed([(k, list(g)) for k, g in groupby(model.edges, lambda e: e.target)]):
        for edge in edges:
            if edge.role != "side":
                continue
            if edge.target in places:
                places[edge.source] = places[edge.target]
                continue
            taken[edge.target] = taken.get(edge.target, 0) + 1
            side = {1: "left", 2: "right"}.get(taken[edge.target], "above")
            places[edge.source] = (edge.target, side)
    return places


def _reach(model: GraphModel) -> int:
    """Return how many ranks all skip edges together reach over, which decides the layout's cost."""
    rank = dict.fromkeys((box.id for box in model.boxes), 0)
    for edge in model.edges:
        if edge.role in ("spine", "skip"):
            rank[edge.target] = max(rank[edge.target], rank[edge.source] + 1)
    return sum(rank[e.target] - rank[e.source] - 1 for e in model.edges if e.role == "skip")


def _paint(box: Box) -> str:
    """Say which paint of the theme a box gets."""
    if any(warning.startswith("✗") for warning in box.warnings):
        return "wrong"
    if box.marks and not box.status:
        return "weak"
    return "operation" if box.role == "layer" else box.role


def _head(box: Box) -> str:
    """Write the bold part of a label: the name of a leaf, or operation → name."""
    if box.role in ("input", "parameter"):
        return f"<B>{escape(box.written)}</B>"
    name, sign, rest = _parted(box)
    head = f"<B>{escape(name)}</B>{sign}{escape(_brief(rest)) if rest else ''}"
    return f"{head} → <B>{escape(box.name)}</B>" if box.name else head


def _parted(box: Box) -> tuple[str, str, str]:
    """Part what is written into what is bold, a sign, and the rest."""
    if ": " in box.written and (box.path or box.written.startswith(f"{box.title}: ")):
        return box.written.partition(": ")
    if box.written.startswith(f"{box.title}("):
        return box.title, "", box.written.removeprefix(box.title)
    return box.written, "", ""


def _brief(attributes: str) -> str:
    """Leave out the attributes that would make a box wide; the tooltip has them all."""
    if len(attributes) <= _ATTRIBUTES or not attributes.startswith("("):
        return attributes
    first, _, _ = attributes[1:_ATTRIBUTES].rpartition(", ")
    complete = first and first.count("(") == first.count(")")
    return f"({first}, …)" if complete else "(…)"


def _flow(box: Box) -> str:
    """Write the gradient of a box; where it changes much from copy to copy, of both ends."""
    return " … ".join(map(number, box.ends or (box.flow or 0.0,)))


def _size(box: Box) -> str:
    """Write the shape, or in its place the value where there is only one."""
    if math.prod(box.shape) == 1 and box.value is not None:
        return f"= {number(box.value.mean)}"
    return _change(box.shape_before, box.shape)


def _change(before: tuple[int, ...] | None, after: tuple[int, ...]) -> str:
    """Write a shape, and what it was before where it was another."""
    return str(after) if before in (None, after) else f"{before} → {after}"


def _details(box: Box) -> list[str]:
    """Return the lines of a tooltip."""
    lines = [f"{box.title}({box.attributes})" if box.attributes else box.title]
    if box.path:
        lines[0] = f"{box.path}: {lines[0]}"
    if box.name:
        lines[0] += f" {box.name}" if box.role in ("input", "parameter") else f" → {box.name}"
    lines.append(f"{box.shape} {box.dtype}")
    if box.value is not None:
        lines.append(f"value {measured(box.value)}")
    if box.grad is not None:
        lines.append(f"∇ {measured(box.grad)}")
    if box.course:
        first, last = (number(box.course[i].rms) for i in (0, -1))
        lines.append(f"∇ rms {first} in the first copy, {last} in the last")
    return [*lines, *box.details]
