"""The walk through a backward pass, one operation at a time, as a page.

At each step: what has arrived, the local rule, what goes back to each operand, and how parts of one
gradient add up.  Without scripts the page shows the picture and all steps, one below the other.
Everything is from the model that was drawn, so it can be walked when the graph is freed.

Not for the page around it (``page.py``), or formulas (``rules.py``).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_lab.viz.html.page import Page, Pictured, compose, escaped, filled
from tinygrad_lab.viz.html.vector import Palette, vector
from tinygrad_lab.viz.measures import Measure
from tinygrad_lab.viz.model import Box, Edge, GraphModel
from tinygrad_lab.viz.style import measured, number, one_line

__all__ = ["Step", "grid", "stepping_page", "walk"]

# With more parts than this, a gradient's sum is too long to be read.
_MANY_PARTS = 8

# Characters of a line of numbers: more would not fit beside the picture, or on a phone.
_LINE = 42


@dataclass(frozen=True)
class Step:
    """The turn of one box; lines are numbers into the edges of the model.

    ``parts`` are the lines that its gradient arrives by, ``back`` those that it sends back along,
    and ``so_far`` says of the box behind each of these which parts of its gradient are there.
    """

    box: Box
    parts: tuple[int, ...]
    back: tuple[int, ...]
    so_far: tuple[tuple[int, ...], ...]


def walk(model: GraphModel) -> list[Step]:
    """List the steps of a backward pass: the boxes that gradients go through, the loss first.

    Examples
    --------
    >>> import tinygrad_lab as tl
    >>> from tinygrad_lab.viz.model import build
    >>> x = tl.tensor([1.0, 2.0], requires_grad=True)
    >>> [step.box.title for step in walk(build((x * x).sum()))]
    ['sum', 'multiply']
    """
    entering: dict[str, list[int]] = {}
    leaving: dict[str, list[int]] = {}
    for i, edge in enumerate(model.edges):
        if edge.grad is not None:
            entering.setdefault(edge.target, []).append(i)
            leaving.setdefault(edge.source, []).append(i)
    arrived: dict[str, tuple[int, ...]] = {}
    steps = []
    for box in reversed(model.boxes):
        back = tuple(entering.get(box.id, ()))
        if not back:
            continue
        parts = tuple(leaving.get(box.id, ()))
        so_far = []
        for i in back:
            source = model.edges[i].source
            arrived[source] = (*arrived.get(source, ()), i)
            so_far.append(arrived[source])
        steps.append(Step(box, parts, back, tuple(so_far)))
    return steps


def stepping_page(pictured: Pictured) -> Page:
    """Make the page of a model.

    Raises
    ------
    ValueError
        The model has no gradients.
    RenderError
        Nothing on this machine can draw.
    """
    model = pictured.model
    if not model.has_gradients:
        raise ValueError(
            'step() walks along gradients, and this picture has none: draw it with "grad" in show'
        )
    palette = Palette()
    svg = vector(model, pictured.style, pictured.engine, palette)
    steps = walk(model)
    writer = _Writer(model)
    sections = [*map(writer.step, steps), writer.end()]
    body = filled(
        "stepping.html",
        svg=svg,
        last=len(steps),
        steps="\n".join(f'<li class="step">{section}</li>' for section in sections),
    )
    data = {"steps": [_data(model, step) for step in steps]}
    scripts = ("picture.js", "stepping.js")
    title = f"Backward pass of {one_line(model.loss.name)}"
    return compose(pictured, title, body, data, palette=palette, scripts=scripts, height=660)


def _data(model: GraphModel, step: Step) -> dict[str, Any]:
    """Give the numbers of a step."""
    edges = [(i, model.edges[i]) for i in step.back]
    back = [{"edge": f"e{i}", "to": e.source, "adds": _finite(e.share)} for i, e in edges]
    return {"box": step.box.id, "arrives": _finite(step.box.flow), "back": back}


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


class _Writer:
    """Writes steps as HTML."""

    def __init__(self, model: GraphModel) -> None:
        self.model = model
        self.boxes = {box.id: box for box in model.boxes}
        self.paths = {frame.id: frame.path for frame in model.frames}
        self.uses = Counter(edge.source for edge in model.edges if edge.grad is not None)

    def step(self, step: Step) -> str:
        """Write the turn of a box."""
        return "\n".join(self._lines(step))

    def _lines(self, step: Step) -> Iterator[str]:
        box = step.box
        facts = [self._about(box), box.dtype, *box.warnings]
        yield f"<h2>{escaped(one_line(box.heading))}</h2>"
        yield f'<p class="muted">{escaped(" · ".join(facts))}</p>'
        yield "<h3>Arrives: g</h3>"
        if not step.parts:
            of_sum = " of the sum of its elements" if math.prod(box.shape) != 1 else ""
            yield f"<p>The gradient{of_sum} by itself is 1: here the pass begins.</p>"
        elif len(step.parts) > 1:
            yield f"<p>{escaped(self._sum(step.parts, box))}</p>"
        yield _shown(box.grad)
        if box.course:
            first, last = (measured(m) for m in (box.course[0], box.course[-1]))
            yield (
                f"<p>Of {len(box.course)} copies together; in the last {escaped(last)}; "
                f"in the first {escaped(first)}</p>"
            )
        yield "<h3>Goes back</h3>"
        if not any(self.model.edges[i].rule.text for i in step.back):
            yield f"<p>{escaped(_words(box))}</p>"
        for i, so_far in zip(step.back, step.so_far, strict=True):
            yield from self._operand(self.model.edges[i], so_far)
        yield from self._values(step)

    def _values(self, step: Step) -> Iterator[str]:
        """Write the values that a rule speaks of: those of the operands and of the result."""
        operands = (self.model.edges[i] for i in step.back)
        values = [(e.rule.letter, self.boxes[e.source].value) for e in operands if e.rule.letter]
        if values:
            yield "<details><summary>Values in the rule</summary>"
            for letter, value in [*values, ("y", step.box.value)]:
                yield f"<p><b>{escaped(letter)}</b></p>{_shown(value)}"
            yield "</details>"

    def _operand(self, edge: Edge, so_far: tuple[int, ...]) -> Iterator[str]:
        """Write what goes back along a line, and what is there by now."""
        source = self.boxes[edge.source]
        letter = edge.rule.letter
        name = f"to <b>{escaped(one_line(source.heading))}</b> {escaped(self._about(source))}"
        yield f'<div class="operand"><p>{name}</p>'
        if edge.rule.text:
            by = f"∇{letter} = " if letter else ""
            yield f'<code class="rule">{escaped(by + edge.rule.text)}</code>'
        yield _shown(edge.grad)
        uses = self.uses[edge.source]
        if edge.role == "carried":
            yield "<p>Carried back to the copy before this one.</p>"
        elif uses > 1 and len(so_far) < uses:
            yield f"<p>Part {len(so_far)} of {uses}; the others are still to come.</p>"
        elif uses > 1:
            yield f"<p>The last of {uses} parts: {escaped(self._sum(so_far, source))}</p>"
            yield _shown(source.grad)
        yield "</div>"

    def _sum(self, parts: Sequence[int], box: Box) -> str:
        """Write a gradient as the sum of its parts."""
        shares = [self.model.edges[i].share for i in parts]
        if len(parts) > _MANY_PARTS or None in map(_finite, shares) or _finite(box.flow) is None:
            return f"{len(parts)} parts add up"
        first, *others = (number(share) for share in shares if share is not None)
        text = "".join(
            f" − {other[1:]}" if other.startswith("−") else f" + {other}" for other in others
        )
        return f"{first}{text} = {number(box.flow or 0.0)}"

    def end(self) -> str:
        """Write what there is at the end: a gradient for each leaf."""
        leaves = [box for box in self.model.boxes if box.role in ("parameter", "input")]
        rows = "".join(
            f"<tr><th scope='row'>{escaped(one_line(box.heading))}</th>"
            f"<td>{escaped(str(box.shape))}</td>"
            f"<td>{escaped(measured(box.grad)) if box.grad else 'none'}</td></tr>"
            for box in leaves
            if box.role == "parameter" or box.grad is not None
        )
        return (
            "<h2>The end: what each parameter has</h2><table><thead><tr><th scope='col'>name</th>"
            f"<th scope='col'>shape</th><th scope='col'>∇</th></tr></thead><tbody>{rows}</tbody>"
            "</table>"
        )

    def _about(self, box: Box) -> str:
        """Say how large an array is, and of a result, where it was computed."""
        path = "" if box.role == "parameter" else self.paths.get(box.frame or "")
        return f"{box.shape} in {path}" if path else str(box.shape)


def _words(box: Box) -> str:
    """Say how a gradient goes back through a box that has no formula."""
    inner = next((line for line in box.details if line.startswith("of ")), "")
    if inner:
        return f"Through {inner.removeprefix('of ')}: one after the other, the last first."
    return "By the rule of this operation, which is no single formula."


def _shown(measure: Measure | None) -> str:
    """Show a small array whole, and say how large the numbers of another are."""
    if measure is None:
        return ""
    if measure.whole is None:
        return f"<p>{escaped(measured(measure))}</p>"
    return f"<pre>{grid(measure.whole)}</pre>"


def grid(whole: Any) -> str:
    """Write a small array as NumPy does, with the digits and signs of pictures.

    Examples
    --------
    >>> print(grid([[0.13149, -2.0], [1e-7, 3.0]]))
    [[0.131    −2]
     [ 1e−7     3]]
    """
    array = np.asarray(whole)
    width = max((len(number(float(v))) for v in array.flat), default=0)
    kinds: Any = {"all": lambda value: number(float(value)).rjust(width)}
    return np.array2string(array, formatter=kinds, max_line_width=_LINE)
