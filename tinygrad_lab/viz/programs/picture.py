"""The picture of a program: to show, to print, and to save.

Not for: what is drawn (``model.py``), or how (``dot.py``).
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from tinygrad_lab.transforms.jit.cost import size
from tinygrad_lab.viz.drawing import Drawing
from tinygrad_lab.viz.nesting import Frame, walk
from tinygrad_lab.viz.programs.dot import program_dot
from tinygrad_lab.viz.programs.model import ProgramModel, Step
from tinygrad_lab.viz.style import plural
from tinygrad_lab.viz.tree import aligned

__all__ = ["ProgramGraph"]


class ProgramGraph(Drawing):
    """A drawn program. A notebook shows it as SVG or PNG; ``print`` shows it as a tree.

    Made by :func:`tinygrad_lab.viz.graph`.

    Attributes
    ----------
    model : ProgramModel
        What was read: boxes, frames and arrows, with all that is known of each line.
    source : str
        DOT text, the same for the same program, byte for byte.
    """

    def __init__(self, model: ProgramModel, theme: str = "light", engine: str = "auto") -> None:
        super().__init__(program_dot(model, theme=theme), engine)
        self.model = model

    def __repr__(self) -> str:
        count = sum(len(step.rows) for step in self.model.steps)
        return f"<Graph of {self.model.name}: {plural(count, 'line')}>"

    def __str__(self) -> str:
        heading = textwrap.fill(f"{self.model.name}: {', '.join(self.model.facts)}", 100)
        columns = aligned(("shape", "bytes", "memory"), list(_entries(self.model)))
        return "\n".join([heading, *columns])


def _entries(model: ProgramModel) -> Iterator[tuple[str, tuple[str, str, str]]]:
    """Yield text and numbers of inputs, frames and lines."""
    blank = ("", "", "")
    for item, depth in walk(model.frames, model.steps):
        indent = "  " * depth
        if isinstance(item, Frame):
            yield indent + (item.title or f"× {item.copies}, one of them shown"), blank
            continue
        yield from ((indent + text, numbers) for text, numbers in _rows(item))


def _rows(step: Step) -> Iterator[tuple[str, tuple[str, str, str]]]:
    for entry in step.entries:
        kind = "parameter" if entry.is_parameter else "input"
        yield f"{entry.name}: {kind}", (entry.shape, size(entry.nbytes), "")
    for row in step.rows:
        text = f"{row.name} = {row.text}" if row.name else row.text
        memory = "result" if row.is_result else row.memory
        yield text, (row.shape, size(row.nbytes) if row.nbytes else "", memory)
