"""A program as DOT text: forward runs down, backward runs up beside it, and beside that the update.

A box is a line of the program's text. A forward line, those that differentiate it, and those that
use their gradients stand side by side. Not for the graph of a tensor (``model.py``, ``dot.py``).
"""

from __future__ import annotations

from collections.abc import Iterator

from tinygrad_lab.transforms import Program
from tinygrad_lab.transforms.jit.source import (
    Statement,
    input_names,
    result_names,
    shape_text,
    statements,
)
from tinygrad_lab.viz.dot import FONT, escape, tooltip
from tinygrad_lab.viz.drawing import Drawing
from tinygrad_lab.viz.style import THEMES, Theme

__all__ = ["ProgramGraph", "program_dot"]

_TITLES = {
    "forward": "forward", "backward": "backward", "again": "backward once more", "update": "update",
}  # fmt: skip


def program_dot(program: Program, *, theme: str = "light", limit: int = 600) -> str:
    """Write a program as DOT.

    Raises
    ------
    ValueError
        It has more lines than the limit.

    Examples
    --------
    >>> import numpy as np, tinygrad_lab as tl
    >>> print(program_dot(tl.program(np.tanh)(np.ones(3))).splitlines()[0])
    digraph {
    """
    lines = statements(program)
    if len(lines) > limit:
        raise ValueError(
            f"the program has {len(lines)} lines, more than limit={limit}: draw a smaller one, or "
            "print it"
        )
    return "\n".join(_Writer(program, lines, THEMES[theme]).lines()) + "\n"


class ProgramGraph(Drawing):
    """A drawn program."""

    def __init__(self, program: Program, source: str, engine: str) -> None:
        super().__init__(source, engine)
        self._about = repr(program)

    def __repr__(self) -> str:
        return f"<Graph of {self._about}>"


class _Writer:
    """Writes one program."""

    def __init__(self, program: Program, lines: list[Statement], theme: Theme) -> None:
        self.program, self.statements, self.theme = program, lines, theme
        used = {name for s in lines if s.section != "update" for name in s.operands}
        inputs = zip(input_names(program), program.inputs, strict=True)
        #: Learning rates and what an optimizer keeps have no box: the update's lines name them.
        self.inputs = {name: item for name, item in inputs if name in used}
        self.results = result_names(program)
        #: The box that a name means now: a parameter is given another value in the update.
        self.box: dict[str, str] = {name: f"i{i}" for i, name in enumerate(self.inputs)}

    def lines(self) -> Iterator[str]:
        """Yield the text line by line."""
        theme = self.theme
        yield "digraph {"
        yield (
            f'  graph [newrank=true nodesep=0.25 ranksep=0.3 pad=0.15 bgcolor="{theme.background}" '
            f'fontname="{FONT}" fontsize=11 fontcolor="{theme.muted}"]'
        )
        yield (
            f'  node [shape=box style="rounded,filled" fontname="{FONT}" fontsize=11 '
            f'fontcolor="{theme.ink}" height=0.3 margin="0.13,0.06"]'
        )
        yield f'  edge [color="{theme.muted}" arrowsize=0.6]'
        yield from (self._input(name) for name in self.inputs)
        yield from self._frames()
        yield from self._edges()
        yield "}"

    def _input(self, name: str) -> str:
        item = self.inputs[name]
        is_parameter = "." in item.name
        paint = self.theme.paint["parameter" if is_parameter else "input"]
        shape = "shape=cylinder" if is_parameter else 'style="rounded,dashed,filled"'
        label = self._label(f"<B>{escape(name)}</B>", shape_text(item.kind.shape))
        return (
            f'  {self.box[name]} [{shape} fillcolor="{paint.fill}" color="{paint.line}" '
            f"label=<{label}> tooltip={tooltip([item.name, str(item.kind)])}]"
        )

    def _label(self, head: str, shape: str) -> str:
        muted = self.theme.muted
        facts = f'&#160; <FONT POINT-SIZE="9" COLOR="{muted}">{shape}</FONT>'
        return head + facts if shape else head

    def _frames(self) -> Iterator[str]:
        """Yield each section of the text in a frame, one after the other."""
        section = ""
        for i, statement in enumerate(self.statements):
            if statement.section != section:
                if section:
                    yield "  }"
                section = statement.section
                fill, line = self.theme.cluster.fill, self.theme.cluster.line
                yield f"  subgraph cluster_{i} {{"
                yield (
                    f'    graph [style="rounded,filled" fillcolor="{fill}" color="{line}" margin=9 '
                    f"labeljust=l label=<{_TITLES[section]}>]"
                )
            yield f"  {self._statement(i, statement)}"
        if section:
            yield "  }"

    def _statement(self, i: int, statement: Statement) -> str:
        name, text = statement.name, statement.text.removeprefix(f"{statement.name} = ")
        is_output = name in self.results
        paint = self.theme.paint["loss" if is_output else "operation" if name else "wrong"]
        head = self._label(f"<B>{escape(name)}</B>", statement.shape) if name else ""
        about = [statement.text] + [f"through {statement.topic}"] * bool(statement.topic)
        return (
            f'  s{i} [fillcolor="{paint.fill}" color="{paint.line}" '
            f"label=<{head}{'<BR/>' * bool(name)}{escape(text)}> tooltip={tooltip(about)}]"
        )

    def _edges(self) -> Iterator[str]:
        """Yield the edges, and which boxes stand side by side."""
        section = dict.fromkeys(self.box.values(), "input")
        beside: set[str] = set()  # lines that have one beside them
        for i, statement in enumerate(self.statements):
            box, here = f"s{i}", statement.section
            section[box] = here
            names = [n for n in statement.operands if n in self.box and n != statement.name]
            sources = [self.box[name] for name in names]
            yield from (self._edge(source, box, section[source], here) for source in sources)
            partner = self.box.get(statement.topic.partition(" = ")[0])
            if here == "update":
                partner = next((s for s in sources if section[s] == "backward"), None)
            if partner is not None and partner not in beside:
                beside.add(partner)
                yield f"  {{rank=same; {partner} -> {box} [style=invis]}}"  # in this order
            self.box[statement.name] = box

    def _edge(self, source: str, target: str, before: str, here: str) -> str:
        """Write an edge; those within the backward pass hold it upside down."""
        if before == here == "backward":
            return f"  {target} -> {source} [dir=back]"
        if before == here or (before == "input" and here == "forward"):
            return f"  {source} -> {target}"
        grey = self.theme.no_gradient
        return f'  {source} -> {target} [constraint=false style=dashed color="{grey}"]'
