"""From program to program: the same numbers from fewer lines.

Each pass is a function of a program; :func:`simplified` runs all of them.  None changes a result by
a bit.

Not for: what a backend does with the lines (``backends/``).
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence
from typing import Any

import numpy as np

from tinygrad_lab.transforms.jit.program import (
    EFFECTS,
    VIEWS,
    Instruction,
    Program,
    Ref,
    draw,
    expect,
    mapped,
    refs,
    values_shown,
)

__all__ = ["simplified", "used_inputs", "without_dead"]


_NUMBERS = (bool, int, float, complex)


def simplified(program: Program) -> Program:
    """Merge what is computed twice, and leave out what changes nothing or nobody asks for."""
    return separate(without_dead(merged(program)))


def merged(program: Program) -> Program:
    """Compute each value once: nothing that is computed already, no copies, no products with 1."""
    shown = values_shown(program, lambda line: refs(line.args[:1]) if line.op in VIEWS else ())
    count = len(program.inputs)
    new: dict[int, Ref] = {i: Ref(i) for i in range(count)}
    known: dict[Any, Ref] = {}
    lines: list[Instruction] = []

    def look(ref: Ref) -> Ref:
        return new[ref.number]

    for ref, line in program.numbered():
        line = _direct(line, program)
        repeated = _repeated(line, program)
        if repeated and ref.number in shown and not _is_fresh(repeated, program, shown):
            repeated = None
        line = line.renumbered(look)
        same = look(repeated) if repeated else None
        here = Ref(count + len(lines))
        if same is None and line.op is not draw:
            same = known.setdefault(_key(line), here)
        new[ref.number] = same or here
        if same is None or same == here:
            lines.append(_put_in_order(lines, count, line))
        else:
            _inherit(lines, same.number - count, line)
    result = mapped(program.result, look)
    outputs = tuple(mapped(output, look) for output in program.outputs)
    return program.replaced(instructions=tuple(lines), outputs=outputs, result=result)


def _inherit(lines: list[Instruction], at: int, line: Instruction) -> None:
    """Let the line that stands in for one left out be what that was: a gradient, say."""
    if at >= 0 and lines[at].gradient_of is None and lines[at].phase == line.phase:
        lines[at] = lines[at]._replace(
            gradient_of=line.gradient_of, hint=lines[at].hint or line.hint
        )


def _put_in_order(lines: list[Instruction], count: int, line: Instruction) -> Instruction:
    """Let a copy in another order in memory be the gradient that it is a copy of."""
    of = line.args[0] if line.op is np.copy else None
    if type(of) is not Ref or of.number < count or line.gradient_of is not None:
        return line
    origin = lines[of.number - count]
    lines[of.number - count] = origin._replace(gradient_of=None)
    return line._replace(gradient_of=origin.gradient_of)


def _direct(line: Instruction, program: Program) -> Instruction:
    """Take a shape from what the last shape was made of, and operands as they were."""
    line = _stretching(line, program)
    while line.op is np.reshape and _is_plain(line, 2):
        inner = program.maker(line.args[0])
        if inner is None or inner.op is not np.reshape or not _is_plain(inner, 2):
            break
        line = line._replace(args=(inner.args[0], line.args[1]))
    return line


def _stretching(line: Instruction, program: Program) -> Instruction:
    """Let a ufunc stretch its operands itself, as it does where their shapes differ."""
    if not isinstance(line.op, np.ufunc) or line.op.signature or line.kwargs:
        return line
    args = list(line.args)
    for position, operand in enumerate(args):
        while (shorter := _before_stretching(operand, program)) is not None:
            operands = [*args[:position], shorter, *args[position + 1 :]]
            if _broadcast(operands, program) != line.kind.shape:
                break
            args, operand = operands, shorter
    return line._replace(args=tuple(args))


def _before_stretching(operand: Any, program: Program) -> Ref | None:
    """Find the array of which an operand has only more axes in front, or longer ones."""
    maker = program.maker(operand) if type(operand) is Ref else None
    if maker is None or maker.op not in (np.broadcast_to, np.reshape) or not _is_plain(maker, 2):
        return None
    of = maker.args[0]
    if type(of) is not Ref or not program.kind(of).is_array:  # a number would decide no dtype
        return None
    shape = program.kind(of).shape
    added = len(maker.kind.shape) - len(shape)
    is_reshaped = maker.op is np.reshape and maker.kind.shape != (*(1,) * added, *shape)
    return None if is_reshaped else of


def _broadcast(operands: Sequence[Any], program: Program) -> tuple[int, ...]:
    """The shape that operands have together."""
    shapes = [
        program.kind(operand).shape if type(operand) is Ref else np.shape(operand)
        for operand in operands
    ]
    return np.broadcast_shapes(*shapes)


def _is_plain(line: Instruction, count: int) -> bool:
    return len(line.args) == count and not line.kwargs


def _repeated(line: Instruction, program: Program) -> Ref | None:
    """Find the value that a line only repeats.

    In a copy, a shape that it has, axes exchanged twice, or a product with 1.
    """
    if line.op in (np.copy, np.positive) or (line.op is np.reshape and _is_plain(line, 2)):
        of = line.args[0]
        return of if type(of) is Ref and program.kind(of) == line.kind else None
    if line.op is np.swapaxes and _is_plain(line, 3):
        inner = program.maker(line.args[0])
        if inner is not None and inner.op is np.swapaxes and _is_plain(inner, 3):
            ndim = len(line.kind.shape)
            pairs = [{axis % ndim for axis in each.args[1:]} for each in (line, inner)]
            of = inner.args[0]
            return of if pairs[0] == pairs[1] and type(of) is Ref else None
    if line.op is np.multiply and len(line.args) == 2:
        for factor, other in (line.args, line.args[::-1]):
            if type(other) is Ref and _is_one(factor) and program.kind(other) == line.kind:
                return other
    return None


def _is_fresh(ref: Ref, program: Program, shown: set[int]) -> bool:
    """Whether a value is in memory of its own, which nothing that comes out shares."""
    at = ref.number - len(program.inputs)
    return at >= 0 and ref.number not in shown and program.instructions[at].op not in VIEWS


def _is_one(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return value.size > 0 and bool(np.all(value == 1))
    return (
        isinstance(value, (int, float, np.generic))
        and not isinstance(value, bool)
        and (bool(value == 1))
    )


def _key(line: Instruction) -> Any:
    return line.op, _frozen(line.args), _frozen(dict(line.kwargs))


def _frozen(value: Any) -> Hashable:
    """Something hashable that is equal for equal arguments: 1, 1.0 and True are different."""
    kind = type(value)
    if kind in (tuple, list):
        return kind, tuple(map(_frozen, value))
    if kind is dict:
        return tuple((key, _frozen(item)) for key, item in sorted(value.items()))
    if kind is slice:
        return slice, tuple(map(_frozen, (value.start, value.stop, value.step)))
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
    return _with(program, range(count), live)


def _with(program: Program, inputs: Sequence[int], live: Collection[int]) -> Program:
    """Keep some inputs and the live lines, and give what stays new numbers."""
    new = {old: Ref(i) for i, old in enumerate(inputs)}
    lines: list[Instruction] = []
    for ref, line in program.numbered():
        if ref.number in live:
            new[ref.number] = Ref(len(inputs) + len(lines))
            lines.append(line.renumbered(lambda ref: new.get(ref.number)))
    look = lambda ref: new[ref.number]
    return program.replaced(
        inputs=tuple(program.inputs[i] for i in inputs),
        instructions=tuple(lines),
        outputs=tuple(mapped(output, look) for output in program.outputs),
        result=mapped(program.result, look),
    )


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


def without_facts(program: Program) -> tuple[Program, set[int]]:
    """Leave out guards on numbers that nothing else depends on, and say which inputs those are.

    A momentum of 0 decides which way a step goes, and is no part of its arithmetic: such numbers
    are looked at before the program runs.
    """
    count = len(program.inputs)
    sources: dict[int, set[int]] = {i: {i} for i in range(count)}
    for ref, line in program.numbered():
        sources[ref.number] = set().union(*(sources[r.number] for r in refs(line)))
    guards = [(ref.number, line) for ref, line in program.numbered() if line.op is expect]
    needed = {r.number for r in refs(list(program.outputs))}
    needed |= {ref.number for ref, line in program.numbered() if line.op in EFFECTS - {expect}}
    computed = set().union(*(sources[n] for n in needed)) if needed else set()
    facts = {
        i
        for i in range(count)
        if i not in computed
        and not program.inputs[i].kind.is_array
        and program.inputs[i].kind.dtype in _NUMBERS
    }
    kept: list[int] = []
    while len(kept) < len(others := [n for n, _ in guards if not sources[n] <= facts]):
        kept = others  # a number in one of these is no fact, and others may be about it
        facts = facts.difference(*(sources[n] for n in kept))
    dropped = {n for n, _ in guards} - set(kept)
    facts &= set().union(*(sources[n] for n in dropped)) if dropped else set()
    live = {ref.number for ref, _ in program.numbered()} - dropped
    return without_dead(_with(program, range(count), live)), facts


def used_inputs(program: Program, keep: Collection[int] = ()) -> tuple[Program, list[int]]:
    """Leave out inputs that nothing is computed from, but those to ``keep``; say which stay."""
    used = {*keep} | {ref.number for ref in refs([*program.outputs, program.result])}
    for line in program.instructions:
        used.update(ref.number for ref in refs(line))
    count = len(program.inputs)
    stay = [i for i in range(count) if i in used]
    if len(stay) == count:
        return program, stay
    return _with(program, stay, range(count, count + len(program.instructions))), stay
