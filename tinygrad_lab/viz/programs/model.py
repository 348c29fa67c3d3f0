"""A program to be drawn, as plain data: its lines in boxes, in frames, and what leads where.

A box holds the lines that belong together: those of one layer forward, those that differentiate
one line, those that move one parameter. The frame around it is the loop that computes them if the
program is compiled, and around that the pass: forward, backward, update. Of equal boxes in a row
only the first are drawn.

Not for: what a program's text is (``transforms/jit/source.py``), or how it looks (``dot.py``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Literal, NamedTuple

from tinygrad_lab.transforms import Program
from tinygrad_lab.transforms.jit.backends.numba import Group, groups
from tinygrad_lab.transforms.jit.backends.numpy import buffers
from tinygrad_lab.transforms.jit.cost import size
from tinygrad_lab.transforms.jit.program import Ref, refs
from tinygrad_lab.transforms.jit.source import Statement, listing, shape_text
from tinygrad_lab.viz.nesting import Frame
from tinygrad_lab.viz.programs.parts import (
    Part,
    Run,
    called,
    differentiated,
    divided,
    folded,
    summarised,
)
from tinygrad_lab.viz.style import plural

__all__ = ["Arrow", "Entry", "ProgramModel", "Row", "Step", "read"]

_TITLES = {
    "forward": "forward", "backward": "backward", "again": "backward once more", "update": "update",
}  # fmt: skip

_READABLE = 30  # lines; with more, what repeats is drawn once, and with twice as many, summed up
_LONG = 600  # lines; with more, how they would be compiled is not even looked at
_COMMONEST = 5  # functions that are named by a summary


@dataclass(frozen=True, slots=True)
class Entry:
    """What the program is called with: a parameter or an array of data."""

    name: str
    path: str
    kind: str
    shape: str
    nbytes: int
    is_parameter: bool


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the program.

    ``memory`` says where its result is written, if that is memory of the program's own: ``b0``, or
    ``b0 after z1`` where that was in it before, ``b0 again`` where a part of a line was. ``calls``
    has the NumPy calls of the line.
    """

    name: str
    text: str
    shape: str
    nbytes: int
    memory: str
    is_result: bool
    calls: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """Lines in one box, or one that sums up a layer, and the inputs that it is the first to read.

    ``topic`` is the forward line that they differentiate, ``beside`` the box with that line.
    """

    id: str
    section: str
    rows: tuple[Row, ...]
    entries: tuple[Entry, ...] = ()
    topic: str = ""
    frame: str | None = None
    beside: str | None = None


class Arrow(NamedTuple):
    """From one box to another: within a pass, from one pass to a later, or from copy to copy."""

    source: str
    target: str
    role: Literal["flow", "later", "carried"]


@dataclass(frozen=True, slots=True)
class ProgramModel:
    """Everything that is drawn; ``facts`` are what is said of the whole."""

    name: str
    steps: tuple[Step, ...]
    frames: tuple[Frame, ...]
    arrows: tuple[Arrow, ...]
    facts: tuple[str, ...]

    @property
    def sections(self) -> tuple[str, ...]:
        """The passes that there are, in order."""
        return tuple(dict.fromkeys(step.section for step in self.steps))


def read(
    program: Program, *, detail: str = "auto", fold: bool | None = None, limit: int = 600
) -> ProgramModel:
    """Read a program.

    Parameters
    ----------
    program
        What is read.
    detail
        ``"modules"``: a box sums up the lines of one layer. ``"operations"``, ``"primitives"``:
        boxes have lines. ``"auto"``: lines, or layers where that would be too many.
    fold
        Draw equal boxes that come in a row once; by default where there are many lines.
    limit
        Refuse more lines than this.

    Raises
    ------
    ValueError
        More lines than the limit would be drawn.

    Examples
    --------
    >>> import numpy as np, tinygrad_lab as tl
    >>> model = read(tl.program(lambda x: np.sum(np.tanh(x)))(np.ones(3)))
    >>> [row.text for step in model.steps for row in step.rows]
    ['np.sum(np.tanh(x))']
    """
    return _Reader(program, detail, fold, limit).model()


class _Reader:
    """Reads one program."""

    def __init__(self, program: Program, detail: str, fold: bool | None, limit: int) -> None:
        self.text = listing(program)
        self.program = self.text.program  # as it is written
        self.cost = program.cost
        self.buffers = buffers(self.program)
        self.groups: dict[int, Group] = {}
        inputs = zip(self.text.inputs, self.program.inputs, strict=True)
        arrays = {name for name, item in inputs if item.kind.is_array}
        lines = self.text.statements
        early = {name for line in lines if line.section != "update" for name in line.operands}
        #: Inputs that are shown: rates, and what an optimizer keeps, are named by the update.
        self.entering = arrays & early
        self.runs = self._arranged(detail, len(lines) > _READABLE if fold is None else fold)
        self.drawn = [part for run in self.runs for part in run.drawn]
        if (count := _drawn_of(self.runs)) > limit:
            raise ValueError(
                f"the program has {count} lines to draw, more than limit={limit}: draw a smaller "
                "one, or print it"
            )
        self.ids = {part: f"s{i}" for i, part in enumerate(self.drawn)}
        self.frames: list[Frame] = []
        self.at, self.stand_ins = self._places()
        self.through = differentiated(lines)

    def _arranged(self, detail: str, fold: bool) -> list[Run]:
        """Choose between lines and layers, and find what repeats."""
        lines, layers = self.text.statements, self._layers()
        may_sum_up = bool(layers) and detail == "auto"
        if detail != "modules" and not (may_sum_up and len(lines) > _LONG):
            self.groups = groups(self.program)
            runs = list(folded(divided(lines, self.groups, self.entering), self.program, fold))
            if not may_sum_up or _drawn_of(runs) <= 2 * _READABLE:
                return runs
        return summarised(lines, layers, self.program, fold)

    def _layers(self) -> dict[str, str]:
        """Give the paths of layers, by the names of their parameters and of the gradients."""
        inputs = zip(self.text.inputs, self.program.inputs, strict=True)
        paths = {name: item.name.split(".")[1:-1] for name, item in inputs if name in self.entering}
        layers = {name: ".".join(path) for name, path in paths.items() if path}
        return layers | {f"d_{name}": layer for name, layer in layers.items()}

    def model(self) -> ProgramModel:
        """Describe everything."""
        within = self._frames()
        arrows, entries = self._arrows()
        steps = tuple(self._step(part, within[part], entries) for part in self.drawn)
        return ProgramModel(self.program.name, steps, tuple(self.frames), arrows, self._facts())

    # -- frames -----------------------------------------------------------------------------------

    def _frames(self) -> dict[Part, str]:
        """Make frames of passes, loops and runs, and say which each part is in."""
        within: dict[Part, str] = {}
        for section, runs in groupby(self.runs, lambda run: run.drawn[0].section):
            outer = self._framed(_TITLES[section], None)
            for group, alike in groupby(runs, lambda run: run.group):
                frame = self._framed(_title(group), outer) if group.loop else outer
                for run in alike:
                    copies = len(run.others) + 1
                    inner = self._framed("", frame, copies) if run.others else frame
                    for own, parts in groupby(run.drawn, lambda part: part.group):
                        is_inside = bool(own.loop) and own != group
                        box = self._framed(_title(own), inner) if is_inside else inner
                        within |= dict.fromkeys(parts, box)
        return within

    def _framed(self, title: str, within: str | None, copies: int = 1) -> str:
        self.frames.append(Frame(f"f{len(self.frames)}", title, within, copies=copies))
        return self.frames[-1].id

    # -- lines ------------------------------------------------------------------------------------

    def _step(self, part: Part, frame: str, entries: Mapping[str, str]) -> Step:
        box = self.ids[part]
        if part.module is None:
            rows = tuple(map(self._row, part.lines))
            own = tuple(self._entry(name) for name, first in entries.items() if first == box)
        else:
            rows, own = (self._summary(part),), ()
        topic = part.through.text if part.through is not None else ""
        return Step(box, part.section, rows, own, topic, frame, self._beside(part))

    def _beside(self, part: Part) -> str | None:
        """Give the forward box with what a part of the backward pass differentiates."""
        if part.section != "backward":
            return None
        others = [self.through[line] for line in part.lines if line in self.through]
        return next((self.at[o].box for o in others if o.section == "forward"), None)

    def _summary(self, part: Part) -> Row:
        """Sum up the lines of a layer."""
        lines = called(part, self.program)
        counts = Counter(getattr(line.op, "__name__", "call") for line in lines)
        words = [f"{n} × {name}" if n > 1 else name for name, n in counts.most_common(_COMMONEST)]
        more = [f"{len(counts) - _COMMONEST} more"] * (len(counts) > _COMMONEST)
        return Row(
            name=part.module or self.program.name,
            text=f"{plural(len(part.lines), 'line')}: {', '.join(words + more)}",
            shape="",
            nbytes=sum(line.kind.nbytes for line in lines if line.kind.is_array),
            memory="",
            is_result=False,
            calls=tuple(line.text for line in part.lines[:_COMMONEST]),
        )

    def _row(self, line: Statement) -> Row:
        own = self.program.kind(Ref(line.values[-1]))
        return Row(
            name=line.name,
            text=line.text.removeprefix(f"{line.name} = "),
            shape=line.shape,
            nbytes=own.nbytes if line.name and own.is_array else 0,
            memory=self._memory(line.values[-1]),
            is_result=line.name in self.text.results,
            calls=tuple(map(self._call, line.values)),
        )

    def _call(self, number: int) -> str:
        line = self.program.instructions[number - len(self.program.inputs)]
        memory = self._memory(number)
        where = f", written to {memory}" if memory else ""
        return f"{getattr(line.op, '__name__', 'a call')}: {line.kind}{where}"

    def _memory(self, number: int) -> str:
        """Name the memory that a value is written to, and what was in it before."""
        buffer = self.buffers.of.get(number)
        if buffer is None:
            return ""
        before = self.before.get(number)
        if before is None:
            return f"b{buffer}"
        return f"b{buffer} after {before.name}" if before.name else f"b{buffer} again"

    @cached_property
    def before(self) -> dict[int, _Content]:
        """Say, by value, what another line had left in the same memory, if one had."""
        line_of = {n: line for line in self.text.statements for n in line.values}
        last: dict[int, _Content] = {}  # by memory, what is in it, and was before this line
        before: dict[int, _Content] = {}
        earlier: dict[int, _Content] = {}
        for number, buffer in self.buffers.of.items():
            line = line_of[number]
            if buffer in last and last[buffer].line is not line:
                earlier[buffer] = last[buffer]
            last[buffer] = _Content(line, line.name if number == line.values[-1] else "")
            if buffer in earlier:
                before[number] = earlier[buffer]
        return before

    def _facts(self) -> tuple[str, ...]:
        """Say what the whole program costs, and what its memory and its loops are."""
        facts = [
            plural(self.cost.calls, "call"),
            plural(self.cost.multiply_adds, "multiply-add"),
            f"{size(self.cost.peak_bytes)} at once",
        ]
        if kinds := self.buffers.kinds:
            total = size(sum(kind.nbytes for kind in kinds))
            names = f"b0 to b{len(kinds) - 1}" if len(kinds) > 1 else "b0"
            facts.append(f"{names}: {total}, written {plural(len(self.buffers.of), 'time')}")
        loops = [group.loop for group in self.groups.values() if group.loop]
        if loops:
            count = plural(len(set(loops)), "loop")
            facts.append(f"compiled: {plural(len(loops), 'call')} in {count}")
        return tuple(facts)

    # -- what leads where -------------------------------------------------------------------------

    def _arrows(self) -> tuple[tuple[Arrow, ...], dict[str, str]]:
        """Follow the names through the lines; those of copies are those of the drawn parts.

        Gives the arrows, and by input the box that is the first to read it.
        """
        at, stand_ins = self.at, self.stand_ins
        origin: dict[str, _Place] = {}  # where a name has its value from, so far
        entries: dict[str, str] = {}
        arrows: dict[Arrow, None] = {}
        for line in self.text.statements:
            here = at[line]
            for name in line.operands:
                entering = stand_ins.get(name, name)
                if name in origin:
                    arrow = origin[name].arrow(here)
                    arrows |= {} if arrow is None else {arrow: None}
                elif entering in self.entering:
                    entries.setdefault(entering, here.box)
            origin[line.name] = here
        return tuple(arrows), entries

    def _places(self) -> tuple[dict[Statement, _Place], dict[str, str]]:
        """Say which box each line is in, and which input is drawn for one that only copies read."""
        at: dict[Statement, _Place] = {}
        stand_ins: dict[str, str] = {}
        for run in self.runs:
            for number, parts in enumerate([run.drawn, *run.others]):
                for part, first in zip(parts, run.drawn, strict=True):
                    place = _Place(self.ids[first], part.section, run, number)
                    at.update(dict.fromkeys(part.lines, place))
                    pairs = zip(self._inputs_of(part), self._inputs_of(first), strict=True)
                    stand_ins = {a: b for a, b in pairs if a and b} | stand_ins
        return at, stand_ins

    def _inputs_of(self, part: Part) -> Iterator[str]:
        """Name the operands of a part's calls that are inputs; others are empty."""
        names = self.text.inputs
        for line in called(part, self.program):
            for ref in refs(line):
                yield names[ref.number] if ref.number < len(names) else ""

    def _entry(self, name: str) -> Entry:
        item = self.program.inputs[self.text.inputs.index(name)]
        return Entry(
            name, item.name, str(item.kind), shape_text(item.kind.shape), item.kind.nbytes,
            is_parameter="." in item.name,
        )  # fmt: skip


class _Content(NamedTuple):
    """What is in some memory: the result of a line, by its name, or a part of one."""

    line: Statement
    name: str


class _Place(NamedTuple):
    """Where a line is: in which box, and in which copy of it."""

    box: str
    section: str
    run: Run | None
    copy: int

    def arrow(self, other: _Place) -> Arrow | None:
        """Give the arrow to another place; none within a box.

        Nor is there one into what stands below the passes: its lines name what they read, and
        the arrows would go around everything.
        """
        if other.section in ("update", "again") and other.section != self.section:
            return None
        if self.run is not None and self.run is other.run and self.copy != other.copy:
            return Arrow(self.box, other.box, "carried")
        if self.box == other.box:
            return None
        if self.section == other.section:
            return Arrow(self.box, other.box, "flow")
        # From one pass to a later, only what is drawn itself: what copies read is beside them.
        return None if self.copy or other.copy else Arrow(self.box, other.box, "later")


def _drawn_of(runs: Sequence[Run]) -> int:
    """Count the lines that are drawn; one for each layer that is summed up."""
    parts = [part for run in runs for part in run.drawn]
    return sum(1 if part.module is not None else len(part.lines) for part in parts)


def _title(group: Group) -> str:
    turns = " × ".join(map(str, group.turns)) or "1"
    return f"loop {group.loop}: {turns} turn{'s' * (turns != '1')}"
