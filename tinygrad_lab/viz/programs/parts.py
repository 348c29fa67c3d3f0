"""Which lines of a program are drawn as one box, and which boxes only once.

A part is what belongs together: the lines of one layer forward, those that differentiate one line,
those that move one parameter; where a program is compiled, of one loop. A run is parts that look
alike and come in a row.

Not for: what is said of a line (``model.py``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tinygrad_lab.transforms import Program
from tinygrad_lab.transforms.jit.backends.numba import Group
from tinygrad_lab.transforms.jit.program import Instruction, refs
from tinygrad_lab.transforms.jit.source import Statement
from tinygrad_lab.viz.outline import Runs

__all__ = ["Part", "Run", "called", "differentiated", "divided", "folded", "summarised"]

_LONGEST = 8  # lines of a part that nothing else ends
_MOST = 12  # boxes of a pass that is summed up

_NO_LOOP = Group(-1, None)


@dataclass(eq=False)
class Part:
    """Lines that are one box."""

    section: str
    group: Group
    lines: list[Statement]
    through: Statement | None = None  # the line that they differentiate
    module: str | None = None  # of a summary: the layer that the lines belong to


@dataclass(eq=False)
class Run:
    """Parts, and others that are as they are."""

    drawn: list[Part]
    others: list[list[Part]]

    @property
    def group(self) -> Group:
        """The loop that all of it is in."""
        groups = {part.group for part in self.drawn}
        return self.drawn[0].group if len(groups) == 1 else _NO_LOOP


def divided(
    lines: Sequence[Statement], groups: Mapping[int, Group], entering: Collection[str]
) -> Iterator[Part]:
    """Divide the lines of a program, those of each pass in the order of the loops.

    ``entering`` are the inputs that passes before the update read.
    """
    through = differentiated(lines)
    ends = set(through.values())
    for section in dict.fromkeys(line.section for line in lines):
        own = _by_loop([line for line in lines if line.section == section], groups)
        part: Part | None = None
        is_complete = False
        for line in own:
            group = groups.get(line.values[-1], _NO_LOOP)
            is_other = part is None or part.group != group or part.through != through.get(line)
            if part is None or is_other or is_complete:
                if part is not None:
                    yield part
                part = Part(section, group, [], through.get(line))
            part.lines.append(line)
            if section == "forward":
                is_complete = line in ends or (not ends and len(part.lines) >= _LONGEST)
            else:
                is_complete = section == "update" and line.name in entering
        if part is not None:
            yield part


def differentiated(lines: Sequence[Statement]) -> dict[Statement, Statement]:
    """Give, by line of a backward pass, the line with what it differentiates in its text."""
    made_in = {n: line for line in lines for n in line.values}
    pairs = ((line, made_in.get(line.of)) for line in lines if line.of is not None)
    return {line: other for line, other in pairs if other is not None}


def _by_loop(lines: list[Statement], groups: Mapping[int, Group]) -> list[Statement]:
    """Put a line beside those of its loop, if all that it reads is there by then.

    A parameter is called the same before it is moved and after: where a line that reads it would
    come to read another, all lines stay where they are.
    """
    stretches: list[tuple[Group, list[Statement]]] = []
    at: dict[str, int] = {}  # by name, the stretch it is computed in
    for line in lines:
        group = groups.get(line.values[-1], _NO_LOOP)
        last = len(stretches) - 1
        earliest = max((at.get(name, 0) for name in line.operands), default=0)
        alike = (i for i in range(last, earliest - 1, -1) if stretches[i][0] == group)
        place = next(alike, None) if group.loop else (last if last >= 0 else None)
        if place is None or stretches[place][0] != group:
            stretches.append((group, []))
            place = last + 1
        stretches[place][1].append(line)
        at[line.name] = place
    moved = [line for _, stretch in stretches for line in stretch]
    return moved if _sources(moved) == _sources(lines) else lines


def _sources(lines: Sequence[Statement]) -> dict[Statement, list[Statement | None]]:
    """Say where each line has its operands from."""
    source: dict[str, Statement] = {}
    sources: dict[Statement, list[Statement | None]] = {}
    for line in lines:
        sources[line] = [source.get(name) for name in line.operands]
        source[line.name] = line
    return sources


def summarised(
    lines: Sequence[Statement], layers: Mapping[str, str], program: Program, fold: bool
) -> list[Run]:
    """Put the lines of a layer together, those of each pass, for a program too long to be read.

    ``layers`` are the paths of layers, by the names of their parameters. Lines that read no
    parameter go with those before them, those of the backward pass with what they differentiate.
    With too many layers, those that hold them are what counts.
    """
    depth = max((layer.count(".") + 1 for layer in layers.values()), default=1)
    while True:
        whole = _of_layers(lines, {n: ".".join(p.split(".")[:depth]) for n, p in layers.items()})
        runs = list(folded(whole, program, fold))
        drawn = Counter(part.section for run in runs for part in run.drawn)
        if depth <= 1 or max(drawn.values()) <= _MOST:
            return runs
        depth -= 1


def _of_layers(lines: Sequence[Statement], layers: Mapping[str, str]) -> list[Part]:
    through = differentiated(lines)
    layer_of: dict[Statement | None, str] = {}
    whole: dict[tuple[str, str], Part] = {}
    layer = next((layers[n] for line in lines for n in line.operands if n in layers), "")
    for line in lines:
        names = line.operands if line.section != "backward" else ()
        layer = next(
            filter(None, [layer_of.get(through.get(line)), *map(layers.get, names)]), layer
        )
        layer_of[line] = layer
        part = Part(line.section, _NO_LOOP, [], module=layer)
        whole.setdefault((line.section, layer), part).lines.append(line)
    return list(whole.values())


def folded(parts: Iterable[Part], program: Program, fold: bool) -> Iterator[Run]:
    """Put parts that look alike and come in a row together, if there are enough of them."""
    parts = list(parts)
    numbers: dict[object, int] = {}
    forms = [numbers.setdefault(_form(part, program), len(numbers)) for part in parts]
    runs = Runs(forms if fold else [])
    i = 0
    while i < len(parts):
        period, copies = next(runs.at(i), (1, 1))
        stretches = [list(parts[i + k * period : i + (k + 1) * period]) for k in range(copies)]
        yield Run(stretches[0], stretches[1:])
        i += period * copies


def _form(part: Part, program: Program) -> object:
    """Say what a part looks like; parameters of whatever size are moved alike."""
    lines = called(part, program)
    kinds = () if part.section == "update" else tuple(line.kind for line in lines)
    operands = tuple(sum(1 for _ in refs(line)) for line in lines)
    return part.section, kinds, operands, tuple(line.op for line in lines)


def called(part: Part, program: Program) -> list[Instruction]:
    """Give the calls of a part's lines, in order."""
    first = len(program.inputs)
    return [program.instructions[n - first] for line in part.lines for n in line.values]
