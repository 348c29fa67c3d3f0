"""The picture as text: layers indented, one line a box, with the numbers that the boxes show.

What ``print(graph)`` writes, and what a notebook shows where it shows no picture.

Not for: what is drawn (``plan.py``), or what boxes are called in a picture (``dot.py``).
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from tinygrad_lab.viz.model import Box, Edge, GraphModel
from tinygrad_lab.viz.nesting import Frame, walk
from tinygrad_lab.viz.style import number, one_line, plural, printable

__all__ = ["aligned", "gradient_of", "headline", "summary", "tree", "value_of"]

_WIDTH = 100
_INDENT = "  "
_NARROWEST = 24  # of the first column


def tree(model: GraphModel) -> str:
    """Write a model as a tree, one line a box, no line longer than 100 characters.

    What a layer computes stands indented below it. Of what repeats, one copy is written: an
    operand with ``↺`` comes from the copy before.

    Examples
    --------
    >>> import tinygrad_lab as tl
    >>> from tinygrad_lab.viz.model import build
    >>> x = tl.tensor(3.0, requires_grad=True)
    >>> print(tree(build(x * x, names={"x": x})))
    loss = 9: 1 operation, 1 parameter, 2 edges
                           shape  value  ∇
    x: parameter           ()     3      6
    loss = multiply(x, x)  ()     9      1
    """
    remarks = [textwrap.fill(printable(remark), _WIDTH) for remark in model.remarks]
    return "\n".join([summary(model), *_Writer(model).lines(), *remarks])


def summary(model: GraphModel) -> str:
    """Say in one line what a graph is."""
    return (
        f"{headline(model)}: {plural(model.operations, 'operation')}, "
        f"{plural(model.parameters, 'parameter')}, {plural(len(model.edges), 'edge')}"
    )


def aligned(
    heading: tuple[str, ...], entries: Sequence[tuple[str, tuple[str, ...]]]
) -> Iterator[str]:
    """Put numbers in columns beside indented text, which is cut short where it is too long."""
    columns = [heading, *(numbers for _, numbers in entries)]
    widths = [max(map(len, column)) for column in zip(*columns, strict=True)]
    room = max(_WIDTH - sum(widths) - 2 * len(widths), _NARROWEST)
    width = min(max(len(text) for text, _ in entries), room)
    for text, numbers in [("", heading), *entries]:
        cells = [_shortened(text, width if any(numbers) else _WIDTH).ljust(width)]
        cells += [cell.ljust(size) for cell, size in zip(numbers, widths, strict=True)]
        yield "  ".join(cells).rstrip()


def headline(model: GraphModel) -> str:
    """Name what a graph is of, and its value: ``loss = 9``."""
    loss = model.loss
    value = f" = {value_of(loss)}" if loss.value is not None and loss.value.size == 1 else ""
    return f"{one_line(loss.name)}{value}"


class _Writer:
    """Writes the lines of one model."""

    def __init__(self, model: GraphModel) -> None:
        self.model = model
        self.names = _unique_names(model)
        self.paths = {frame.id: frame.path for frame in model.frames}
        self.roles = {box.id: box.role for box in model.boxes}
        self.inputs: dict[str, list[Edge]] = {}
        for edge in model.edges:
            self.inputs.setdefault(edge.target, []).append(edge)

    def lines(self) -> Iterator[str]:
        """Yield a heading, and the lines of the tree with their numbers in columns."""
        yield from aligned(("shape", "value", "∇"), list(self._entries()))

    def _entries(self) -> Iterator[tuple[str, tuple[str, str, str]]]:
        """Yield text and numbers of each line; frames and remarks have no numbers."""
        blank = ("", "", "")
        for item, depth in walk(self.model.frames, self.model.boxes):
            indent = _INDENT * depth
            if isinstance(item, Frame):
                yield indent + _frame(item), blank
                continue
            yield indent + self._call(item), (self._kind(item), value_of(item), gradient_of(item))
            for remark in item.warnings:
                yield f"{indent}{_INDENT}{one_line(remark)}", blank

    def _kind(self, box: Box) -> str:
        """Write the shape, and the dtype where that is not the usual one."""
        usual = self.model.loss.dtype
        return str(box.shape) if box.dtype == usual else f"{box.shape} {box.dtype}"

    def _call(self, box: Box) -> str:
        """Write a box: what it is called, and how it was computed."""
        outer = self.paths.get(box.frame or "")
        name = self._within(outer, box.id)
        if box.role in ("input", "parameter"):
            return f"{name}: {box.title}"
        words = [
            "↺ " * (edge.role == "carried") + self._within(box.path or outer, edge.source)
            for edge in self._operands(box)
        ]
        title = one_line(box.title)
        if box.attributes and box.is_layer:
            title = f"{title}({one_line(box.attributes)})"
        elif box.attributes:
            words.append(one_line(box.attributes))
        arguments = f"({', '.join(words)})" if words else ""
        return f"{name} = {title}{arguments}"

    def _operands(self, box: Box) -> list[Edge]:
        """Give the lines to a box, of a layer those of its parameters last."""
        edges = self.inputs.get(box.id, [])
        if not box.is_layer:
            return edges
        return sorted(edges, key=lambda edge: self.roles[edge.source] == "parameter")

    def _within(self, path: str | None, box: str) -> str:
        """Name a box as inside a layer, which says whose weight it is."""
        return self.names[box].removeprefix(f"{path}.") if path else self.names[box]


def _frame(frame: Frame) -> str:
    """Write the heading of a layer, or of what repeats."""
    if frame.copies == 1:
        return one_line(frame.title, _WIDTH)
    return f"{one_line(frame.heading, _WIDTH)}, one of them shown, with the numbers of all"


def _unique_names(model: GraphModel) -> dict[str, str]:
    """Name each box by its own name, or by its number where that is not unique."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for index, box in enumerate(model.boxes, start=1):
        name = one_line(box.name or box.path or "") if box.name or box.path else ""
        names[box.id] = name if name and name not in taken else f"#{index}"
        taken.add(name)
    return names


def _shortened(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def value_of(box: Box) -> str:
    """Write a value: the number itself, or the range of an array."""
    if box.value is None:
        return ""
    if box.value.trouble:
        return f"{box.value.trouble}!"
    if box.value.size == 1:
        return number(box.value.mean)
    return f"{number(box.value.low)} … {number(box.value.high)}"


def gradient_of(box: Box) -> str:
    """Write the gradient of a box: itself, or its root mean square, and the change compared."""
    if box.grad is None:
        return ""
    if box.grad.trouble:
        return f"{box.grad.trouble}!"
    size = f"rms {number(box.grad.rms)}"
    if box.grad.size == 1:
        size = number(box.grad.mean)
    if box.ends:  # of copies, where it changes much from the first to the last
        size = f"rms {' … '.join(map(number, box.ends))}"
    return size if box.ratio is None else f"{size} × {number(box.ratio)}"
