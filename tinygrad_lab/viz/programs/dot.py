"""A program as DOT text: forward runs down, backward runs up beside it, and the update is below.

A box forward and those that differentiate it stand side by side.

Not for: what is in a box (``model.py``).
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from itertools import pairwise

from tinygrad_lab.transforms.jit.cost import size
from tinygrad_lab.viz.dot import FONT, escape, tooltip
from tinygrad_lab.viz.nesting import Frame, walk
from tinygrad_lab.viz.programs.model import Arrow, Entry, ProgramModel, Row, Step
from tinygrad_lab.viz.style import THEMES, Theme

__all__ = ["program_dot"]

_WIDTH = 40  # characters of a line's text; what is longer goes on below
_LINES = 3  # of one text; the tooltip has all
_LEFT = '<BR ALIGN="LEFT"/>'


def program_dot(model: ProgramModel, *, theme: str = "light") -> str:
    """Write a program as DOT.

    Examples
    --------
    >>> import numpy as np, tinygrad_lab as tl
    >>> from tinygrad_lab.viz.programs.model import read
    >>> print(program_dot(read(tl.program(np.tanh)(np.ones(3)))).splitlines()[0])
    digraph {
    """
    return "\n".join(_Writer(model, THEMES[theme]).lines()) + "\n"


class _Writer:
    """Writes one program."""

    def __init__(self, model: ProgramModel, theme: Theme) -> None:
        self.model, self.theme = model, theme
        self.section = {step.id: step.section for step in model.steps}
        #: Beside a forward pass, the backward pass runs the other way.
        self.upward = "backward" if "forward" in model.sections else ""
        #: By forward box, the first of those that differentiate it.
        self.partners: dict[str, str] = {}
        for step in model.steps:
            if self.upward == step.section and step.beside is not None:
                self.partners.setdefault(step.beside, step.id)

    def lines(self) -> Iterator[str]:
        """Yield the text line by line."""
        theme = self.theme
        yield "digraph {"
        yield (
            f'  graph [newrank=true nodesep=0.2 ranksep=0.3 pad=0.15 bgcolor="{theme.background}" '
            f'fontname="{FONT}" fontsize=9.5 fontcolor="{theme.muted}" labelloc=b '
            f"label=<{self._caption()}>]"
        )
        yield (
            f'  node [shape=box style="rounded,filled" fontname="{FONT}" fontsize=10 '
            f'fontcolor="{theme.ink}" height=0.3 margin="0.08,0.04"]'
        )
        yield f'  edge [color="{theme.muted}" arrowsize=0.6]'
        yield from self._frames()
        yield from map(self._arrow, filter(self._is_drawn, self.model.arrows))
        yield from self._order()
        yield from self._beside()
        yield "}"

    # -- boxes ------------------------------------------------------------------------------------

    def _frames(self) -> Iterator[str]:
        """Yield the boxes in their frames."""
        depth = 0
        for item, level in walk(self.model.frames, self.model.steps):
            yield from ("  " * deep + "}" for deep in range(depth, level, -1))
            depth = level + isinstance(item, Frame)
            indent = "  " * (level + 1)
            if isinstance(item, Frame):
                yield from self._opened(item, indent)
            else:
                yield indent + self._step(item)
        yield from ("  " * deep + "}" for deep in range(depth, 0, -1))

    def _opened(self, frame: Frame, indent: str) -> Iterator[str]:
        paint = self.theme.cluster
        title = escape(frame.title) if frame.title else f"<B>× {frame.copies}</B>"
        if frame.within is None:
            title = f'<B><FONT COLOR="{self.theme.ink}">{title}</FONT></B>'
        look = "rounded,filled" if frame.title else "rounded,dashed,filled"
        yield f"{indent}subgraph cluster_{frame.id} {{"
        yield (
            f'{indent}  graph [style="{look}" fillcolor="{paint.fill}" color="{paint.line}" '
            f"margin=7 labelloc=t labeljust=l label=<{title}>]"
        )

    def _step(self, step: Step) -> str:
        paint = self.theme.paint["operation"]
        about = [line for row in step.rows for line in _details(row)]
        about += [f"{entry.name} is {entry.path}, {entry.kind}" for entry in step.entries]
        if step.topic:
            about.append(f"through {step.topic}")
        rows = "".join([*map(self._entry, step.entries), *map(self._row, step.rows)])
        table = f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="2">{rows}</TABLE>'
        return (
            f'{step.id} [fillcolor="{paint.fill}" color="{paint.line}" label=<{table}> '
            f"tooltip={tooltip(about)}]"
        )

    def _entry(self, entry: Entry) -> str:
        """Write an input where it is read first."""
        kind = "parameter" if entry.is_parameter else "input"
        head = self._head(entry.name, [entry.shape, size(entry.nbytes), kind])
        return _cell(head, self.theme.paint[kind].fill)

    def _row(self, row: Row) -> str:
        """Write one line: its name and what is known of its result, and below that its text."""
        size_ = size(row.nbytes) if row.nbytes else ""
        facts = [row.shape, size_, row.memory, "result" * row.is_result]
        head = self._head(row.name, facts) if row.name else ""
        text = "".join(f"{escape(line)}{_LEFT}" for line in _wrapped(row.text))
        return _cell(head + text, self.theme.paint["loss"].fill if row.is_result else None)

    def _head(self, name: str, facts: list[str]) -> str:
        words = " · ".join(map(escape, filter(None, facts)))
        between = _LEFT if len(name) + len(words) > _WIDTH else "&#160; "
        return f"<B>{escape(name)}</B>{between * bool(words)}{self._muted(words)}{_LEFT}"

    def _muted(self, text: str) -> str:
        return f'<FONT POINT-SIZE="9" COLOR="{self.theme.muted}">{text}</FONT>' if text else ""

    # -- arrows, and what stands where ------------------------------------------------------------

    def _is_drawn(self, arrow: Arrow) -> bool:
        """Tell whether an arrow helps: one to what is not beside its like goes up and around.

        Such a one also makes Graphviz put the backward pass on the left.
        """
        return arrow.role != "later" or arrow.target in self.partners.values()

    def _arrow(self, arrow: Arrow) -> str:
        source, target = arrow.source, arrow.target
        if arrow.role == "carried":
            tip = tooltip(["carried from one copy to the next"])
            return f"  {source} -> {target} [constraint=false style=dashed tooltip={tip}]"
        if arrow.role == "later":
            grey = self.theme.no_gradient
            return f'  {source} -> {target} [constraint=false style=dashed color="{grey}"]'
        if self.section[target] == self.upward:
            return f"  {target} -> {source} [dir=back]"
        return f"  {source} -> {target}"

    def _order(self) -> Iterator[str]:
        """Yield what keeps the boxes of a pass one below the other, and the update below all."""
        above: str | None = None
        for section in self.model.sections:
            own = [step.id for step in self.model.steps if step.section == section]
            if section == self.upward:
                yield from (_unseen(b, a) for a, b in pairwise(own))
                continue
            chain = own if above is None else [above, *own]
            yield from (_unseen(a, b) for a, b in pairwise(chain))
            above = own[-1]

    def _beside(self) -> Iterator[str]:
        """Yield which boxes stand side by side: a forward one, and what differentiates it."""
        for left, right in self.partners.items():
            yield f"  {{rank=same; {left} -> {right} [style=invis]}}"  # in this order

    def _caption(self) -> str:
        """Write what is known of the whole, in two lines."""
        facts = [*map(escape, self.model.facts)]
        lines = [facts[:3], facts[3:]]
        return "<BR/>".join(" &#160;·&#160; ".join(line) for line in lines if line)


def _cell(text: str, fill: str | None) -> str:
    colour = f' BGCOLOR="{fill}"' if fill else ""
    return f'<TR><TD ALIGN="LEFT"{colour}>{text}</TD></TR>'


def _unseen(above: str, below: str) -> str:
    return f"  {above} -> {below} [style=invis weight=5]"


def _wrapped(text: str) -> list[str]:
    """Break a text into short lines, and leave out what would be a fourth."""
    together = text.replace(" × ", "\N{NO-BREAK SPACE}×\N{NO-BREAK SPACE}")  # a count and its noun
    lines = textwrap.wrap(together, _WIDTH, break_on_hyphens=False)
    if len(lines) > _LINES:
        lines = [*lines[: _LINES - 1], f"{lines[_LINES - 1][: _WIDTH - 2]} …"]
    return lines


def _details(row: Row) -> list[str]:
    """Return the lines of a tooltip that are about one line of the program."""
    text = f"{row.name} = {row.text}" if row.name else row.text
    return [text, *(f"    {call}" for call in row.calls if row.name)]
