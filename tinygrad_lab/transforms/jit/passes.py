"""From program to program: the same numbers from fewer lines.

Each pass is a function of a program; :func:`simplified` runs all of them.  None changes a result by
a bit.

Not for: what a backend does with the lines (``backends/``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from tinygrad_lab.transforms.jit.program import (
    EFFECTS,
    VIEWS,
    Instruction,
    Program,
    Ref,
    draw,
    mapped,
    refs,
)

__all__ = ["simplified", "used_inputs"]


def simplified(program: Program) -> Program:
    """Merge what is computed twice, and leave out what changes nothing or nobody asks for."""
    for step in (without_copies, without_ones, merged, without_dead, separate):
        program = step(program)
    return program


def _rewritten(program: Program, rewrite: Callable[[Ref, Instruction], Any]) -> Program:
    """Make a program of the lines that ``rewrite`` gives; a ref stands for a line left out."""
    count = len(program.inputs)
    new: dict[int, Any] = {i: Ref(i) for i in range(count)}
    lines: list[Instruction] = []
    look = lambda ref: new[ref.number]
    for ref, line in program.numbered():
        of = new.get(line.of) if line.of is not None else None
        line = replace(
            line, args=mapped(line.args, look), kwargs=mapped(dict(line.kwargs), look),
            of=of.number if type(of) is Ref else None,
        )  # fmt: skip
        result = rewrite(ref, line)
        if type(result) is Instruction:
            new[ref.number] = Ref(count + len(lines))
            lines.append(result)
        else:
            new[ref.number] = result
    outputs = tuple(mapped(output, look) for output in program.outputs)
    return program.replaced(instructions=tuple(lines), outputs=outputs)


def without_copies(program: Program) -> Program:
    """Leave out copies that nobody can write to: those of values that do not come out."""
    shown = _shown(program)

    def rewrite(ref: Ref, line: Instruction) -> Any:
        is_copy = line.op is np.copy or (line.op is np.positive and line.kind.is_array)
        return line.args[0] if is_copy and ref.number not in shown else line

    return _rewritten(program, rewrite)


def _shown(program: Program) -> set[int]:
    """The values that come out, and those that what comes out may be a view of."""
    count = len(program.inputs)
    shown: set[int] = set()
    waiting = [ref.number for ref in refs(list(program.outputs))]
    while waiting:
        n = waiting.pop()
        if n in shown:
            continue
        shown.add(n)
        if n >= count and program.instructions[n - count].op in VIEWS:
            waiting += [ref.number for ref in refs(program.instructions[n - count].args[:1])]
    return shown


def without_ones(program: Program) -> Program:
    """Leave out products with 1, where shape and dtype stay what they are."""

    def rewrite(ref: Ref, line: Instruction) -> Any:
        if line.op is np.multiply and len(line.args) == 2 and not line.kwargs:
            for factor, other in (line.args, line.args[::-1]):
                if type(other) is Ref and _is_one(factor) and program_kind(other) == line.kind:
                    return other
        return line

    kinds = [given.kind for given in program.inputs]
    lines: list[Instruction] = []

    def program_kind(ref: Ref) -> Any:
        count = len(kinds)
        return kinds[ref.number] if ref.number < count else lines[ref.number - count].kind

    def noting(ref: Ref, line: Instruction) -> Any:
        result = rewrite(ref, line)
        if type(result) is Instruction:
            lines.append(result)
        return result

    shown = _shown(program)
    return _rewritten(program, lambda ref, line: (
        noting(ref, line) if ref.number not in shown else (lines.append(line), line)[1]
    ))  # fmt: skip


def _is_one(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return value.size > 0 and bool(np.all(value == 1))
    return isinstance(value, (int, float, np.generic)) and not isinstance(value, bool) and (
        bool(value == 1)
    )


def merged(program: Program) -> Program:
    """Compute once what is the same call of the same values."""
    known: dict[Any, Ref] = {}
    count = len(program.inputs)
    lines = 0

    def rewrite(ref: Ref, line: Instruction) -> Any:
        nonlocal lines
        key = None if line.op in EFFECTS and line.op is draw else _key(line)
        if key is not None and key in known:
            return known[key]
        if key is not None:
            known[key] = Ref(count + lines)
        lines += 1
        return line

    return _rewritten(program, rewrite)


def _key(line: Instruction) -> Any:
    return line.op, _frozen(line.args), _frozen(dict(line.kwargs))


def _frozen(value: Any) -> Any:
    """Something hashable that is equal for equal arguments: 1, 1.0 and True are different."""
    kind = type(value)
    if kind in (tuple, list):
        return (kind, *map(_frozen, value))
    if kind is dict:
        return tuple((key, _frozen(item)) for key, item in sorted(value.items()))
    if kind is slice:
        return (slice, *map(_frozen, (value.start, value.stop, value.step)))
    if isinstance(value, np.ndarray):
        small = value.size <= 64
        return (value.shape, value.dtype.str, value.tobytes()) if small else ("array", id(value))
    if isinstance(value, (float, complex, np.generic)):
        return kind, repr(value)
    if kind is Ref:
        return value
    try:
        hash(value)
    except TypeError:
        return "object", id(value)
    return kind, value


def without_dead(program: Program) -> Program:
    """Leave out what nobody asks for."""
    count = len(program.inputs)
    live = {ref.number for ref in refs(list(program.outputs))}
    for i in range(len(program.instructions) - 1, -1, -1):
        line = program.instructions[i]
        if line.op in EFFECTS or count + i in live:
            live.add(count + i)
            live.update(ref.number for ref in refs(line))
    return _rewritten(program, lambda ref, line: line if ref.number in live else None)


def separate(program: Program) -> Program:
    """Copy what would otherwise come out twice, as two arrays that are one."""
    taken: set[int] = set()
    lines, outputs = list(program.instructions), []
    for output in program.outputs:
        is_again = type(output) is Ref and output.number in taken
        if is_again and program.kind(output).is_array:
            lines.append(Instruction(np.copy, (output,), {}, program.kind(output)))
            output = Ref(len(program.inputs) + len(lines) - 1)
        elif type(output) is Ref:
            taken.add(output.number)
        outputs.append(output)
    return program.replaced(instructions=tuple(lines), outputs=tuple(outputs))


def used_inputs(program: Program) -> tuple[Program, list[int]]:
    """Leave out inputs that nothing is computed from, and say which stay."""
    used = {ref.number for ref in refs(list(program.outputs))}
    for line in program.instructions:
        used.update(ref.number for ref in refs(line))
    stay = [i for i in range(len(program.inputs)) if i in used]
    shift = {old: new for new, old in enumerate(stay)}
    dropped = len(program.inputs) - len(stay)
    move = lambda ref: Ref(shift[ref.number] if ref.number in shift else ref.number - dropped)
    lines = tuple(
        replace(
            line, args=mapped(line.args, move), kwargs=mapped(dict(line.kwargs), move),
            of=None if line.of is None else move(Ref(line.of)).number,
        )  # fmt: skip
        for line in program.instructions
        if line.of is None or line.of >= len(program.inputs) or line.of in shift or True
    )
    outputs = tuple(mapped(output, move) for output in program.outputs)
    inputs = tuple(program.inputs[i] for i in stay)
    return program.replaced(inputs=inputs, instructions=lines, outputs=outputs), stay


