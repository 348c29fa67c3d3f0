"""Programs as NumPy calls in a row, with results written into memory that is used again.

Not for: loops (``numba.py``), or a text that people read (``source.py``).
"""

from __future__ import annotations

import builtins
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lab.transforms.jit.backends.names import Named
from tinygrad_lab.transforms.jit.backends.pool import LARGE, Pool
from tinygrad_lab.transforms.jit.expressions import call_text
from tinygrad_lab.transforms.jit.program import (
    Instruction,
    Kind,
    Program,
    Ref,
    empty,
    refs,
    values_shown,
)

__all__ = ["Buffers", "buffers", "compile"]

_REDUCTIONS = {
    np.sum: "add.reduce", np.max: "maximum.reduce", np.min: "minimum.reduce",
    np.prod: "multiply.reduce",
}  # fmt: skip
_WORKSPACES = 8  # kept at most, of calls that run at the same time


def compile(program: Program, is_strict: bool = True) -> Callable[..., Any]:
    """Make a function of a program's inputs, which returns a list of its outputs.

    It raises FloatingPointError where a value is not finite and the call itself may warn or take
    care.  If strict, also at what the backward pass is silent about: that is looked at once, and
    not line by line, which takes longer.
    """
    writer = _Writer(program, is_strict)
    text = "\n".join(writer.lines())
    space = writer.space
    exec(builtins.compile(text, f"<{program.name}>", "exec"), space)
    return space["run"]


class Buffers(NamedTuple):
    """Memory that a program has of its own, and writes again and again."""

    kinds: list[Kind]
    of: dict[int, int]  # by value, the position of the memory that it is written into


def buffers(program: Program) -> Buffers:
    """Say which results of a program are written into which memory, without running it."""
    writer = _Writer(program, is_strict=True)
    deque(writer.lines(), maxlen=0)
    return Buffers(writer.buffers, writer.written)


class _Writer(Named):
    """Writes the text of one program."""

    def __init__(self, program: Program, is_strict: bool) -> None:
        super().__init__({})
        self.program, self.is_strict = program, is_strict
        self.last = _last_uses(program)
        self.shown = values_shown(program, lambda line: refs(line) if _may_share(line) else ())
        self.buffers: list[Kind] = []
        self.free: dict[Kind, list[int]] = {}
        self.buffer_of: dict[int, int] = {}  # of what is needed still
        self.written: dict[int, int] = {}  # of everything

    def lines(self) -> Iterator[str]:
        """Write the function."""
        body = list(self._body())
        inputs = ", ".join(f"v{i}" for i in range(len(self.program.inputs)))
        outputs = ", ".join(
            self.refer(o) if type(o) is Ref else self.constant(o) for o in self.program.outputs
        )
        spaces: deque[list[Any]] = deque(maxlen=_WORKSPACES)
        kinds = self.buffers
        self.space["spaces"] = spaces
        self.space["workspace"] = lambda: list(map(empty, kinds))
        names = ", ".join(f"b{i}" for i in range(len(kinds)))
        yield f"def run({inputs}):"
        if kinds:
            yield " try: space = spaces.pop()"
            yield " except IndexError: space = workspace()"
            yield f" [{names}] = space"
        yield from body
        if kinds:
            yield " spaces.append(space)"
        yield f" return [{outputs}]"

    def _body(self) -> Iterator[str]:
        quiet = None
        for ref, line in self.program.numbered():
            is_quiet = line.quiet and not self.is_strict
            if is_quiet is not quiet:
                quiet = is_quiet
                level = "ignore" if quiet else "raise"
                yield f" with errstate(divide={level!r}, over={level!r}, invalid='raise'):"
            yield f"  {self._statement(ref, line)}"
            for number in self.last.get(ref.number, ()):
                self._release(number)

    def _release(self, number: int) -> None:
        if number in self.buffer_of:
            buffer = self.buffer_of.pop(number)
            self.free.setdefault(self.buffers[buffer], []).append(buffer)

    def _statement(self, ref: Ref, line: Instruction) -> str:
        return self.guard(line) or f"{self.refer(ref)} = {self._call(ref, line)}"

    def _call(self, ref: Ref, line: Instruction) -> str:
        args, op = line.args, line.op
        if op in _REDUCTIONS and _is_plain_reduction(line, self.program):
            axis = line.kwargs.get("axis", args[1] if len(args) > 1 else None)
            reduce, method = _REDUCTIONS[op].split(".")
            keep = ", keepdims=True" if line.kwargs.get("keepdims") else ""
            function = self.constant(getattr(getattr(np, reduce), method))
            return f"{function}({self.refer(args[0])}, {self.constant(axis)}{keep})"
        if _writes_out(line):
            function = self.constant(op)
            inside = [
                self.refer(arg) if type(arg) is Ref else self.constant(arg) for arg in line.args
            ]
            if ref.number not in self.shown and line.kind.shape and line.kind.size:
                buffer = self.written[ref.number] = self._take(ref, line)
                inside.append(f"out=b{buffer}")
            elif line.kind.nbytes >= LARGE:  # it comes out: memory that nobody holds any more
                inside.append(f"out={self.constant(Pool(line.kind))}.take()")
            return f"{function}({', '.join(inside)})"
        return call_text(line, self.refer, self.constant, self.program.kind)

    def _take(self, ref: Ref, line: Instruction) -> int:
        """Choose the memory for a result: that of an operand that ends here, where it may be."""
        if line.op is not np.matmul and line.kind.dtype.kind != "c":  # which rounds otherwise
            for operand in refs(line):
                ends = operand.number in self.last.get(ref.number, ())
                buffer = self.buffer_of.get(operand.number)
                if ends and buffer is not None and self.buffers[buffer] == line.kind:
                    del self.buffer_of[operand.number]
                    self.buffer_of[ref.number] = buffer
                    return buffer
        waiting = self.free.get(line.kind)
        if waiting:
            buffer = waiting.pop()
        else:
            buffer = len(self.buffers)
            self.buffers.append(line.kind)
        self.buffer_of[ref.number] = buffer
        return buffer


def _is_plain_reduction(line: Instruction, program: Program) -> bool:
    allowed = set(line.kwargs) <= {"axis", "keepdims"} and len(line.args) <= 2
    kind = program.kind(line.args[0])
    return (
        allowed
        and type(line.args[0]) is Ref
        and kind.is_array
        and kind.dtype.kind in "fc"
        and (bool(kind.shape))
    )


def _writes_out(line: Instruction) -> bool:
    """Whether a call can write its result where it is told to."""
    return isinstance(line.op, np.ufunc) and line.op.nout == 1 and not line.kwargs


def _may_share(line: Instruction) -> bool:
    """Whether a result may share the memory of an argument: what is no ufunc or sum may."""
    return not isinstance(line.op, np.ufunc) and line.op not in _REDUCTIONS


def _last_uses(program: Program) -> dict[int, list[int]]:
    """By line, the values that nothing needs after it, themselves or through what shares them."""
    count = len(program.inputs)
    owners: dict[int, set[int]] = {}  # whose memory a value may be in
    last: dict[int, int] = {}
    for ref, line in program.numbered():
        used = {ref_.number for ref_ in refs(line)}
        roots = set().union(*(owners.get(n, {n}) for n in used)) if used else set()
        owners[ref.number] = {ref.number} | (roots if _may_share(line) else set())
        for n in used | roots:
            last[n] = ref.number
        last.setdefault(ref.number, ref.number)
    ends: dict[int, list[int]] = {}
    for value, line_number in last.items():
        if value >= count:
            ends.setdefault(line_number, []).append(value)
    return ends
