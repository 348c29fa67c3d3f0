"""The Python function around a program's kernels, and the calls between them.

Not for: the text of kernels (``loops.py``), or many turns of one (``looping.py``).
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterator
from itertools import groupby
from math import isfinite
from typing import Any

import numpy as np

from tinygrad_lab.transforms.jit.backends.loops import Kernel, Parameter, Writer
from tinygrad_lab.transforms.jit.backends.names import Named
from tinygrad_lab.transforms.jit.backends.plan import Access, Calls, Nest, Plan
from tinygrad_lab.transforms.jit.backends.pool import LARGE, Pool
from tinygrad_lab.transforms.jit.expressions import call_text
from tinygrad_lab.transforms.jit.program import (
    VIEWS,
    Instruction,
    Kind,
    Ref,
    astype,
    draw,
    expect,
    refs,
)

__all__ = ["Caller", "NotFinite", "ordered"]

_ARRAYS = frozenset({np.where, np.copy})  # what gives arrays also without axes


class NotFinite(FloatingPointError):  # noqa: N818 - not an error: the call is to be made eagerly
    """A result of a program is infinite or undefined, which eager code may do otherwise."""


class Caller(Named):
    """Writes the Python function that calls kernels, and what lies between them."""

    def __init__(self, plan: Plan, entry: Callable[[Kernel], Any]) -> None:
        super().__init__({
            "NotFinite": NotFinite, "empty": np.empty, "ascontiguous": np.ascontiguousarray,
            "ordered": ordered, "again": _again, "is_finite": _is_finite,
        })  # fmt: skip
        self.plan = plan
        self.program = plan.program
        self.kernels: list[Kernel] = []
        self.text: list[str] = []
        self.defined: set[int] = set(range(len(self.program.inputs)))
        self.contiguous: dict[int, str] = {}  # arrays that are known to be, by what names
        self.has_effects = False
        self.external = self._external()
        self.outputs = {o.number for o in plan.outputs if type(o) is Ref}
        self.segments = list(_segments(plan))
        self._write(entry)

    def function(self) -> Callable[..., list[Any]]:
        """Compile what was written."""
        inputs = ", ".join(f"v{i}" for i in range(len(self.program.inputs)))
        outputs = ", ".join(map(self._output, self.plan.outputs))
        body = [*self.text, f"return [{outputs}]"]
        head, tail = [f"def run({inputs}):", " try:"], [
            " except BufferError:", f"  return again(run, [{inputs}])",
        ]  # fmt: skip
        text = "\n".join([*head, *(f"  {line}" for line in body), *tail])
        exec(builtins.compile(text, f"<{self.program.name}>", "exec"), self.space)
        return self.space["run"]

    def _external(self) -> set[int]:
        """Find values of kernels that are read outside the kernel that computes them."""
        plan = self.plan
        result = {o.number for o in plan.outputs if type(o) is Ref}
        home = {}
        for position, segment in enumerate(_segments(plan)):
            if isinstance(segment, list):
                for nest in segment:
                    home.update({line.number: position for line in nest.lines})
        for position, segment in enumerate(_segments(plan)):
            if isinstance(segment, Calls):
                lines = [self._instruction(n) for n in segment.lines]
                result |= {plan.view(r.number).root for line in lines for r in refs(line)}
            else:
                roots = {
                    access.root for nest in segment for line in nest.lines
                    for access in line.accesses if isinstance(access, Access)
                }  # fmt: skip
                result |= {n for n in roots if home.get(n, position) != position}
        return {n for n in result if n in plan.line}

    def _instruction(self, number: int) -> Instruction:
        return self.program.instructions[number - self.plan.count]

    # -- writing ------------------------------------------------------------------------------

    def _write(self, entry: Callable[[Kernel], Any]) -> None:
        for segment in self.segments:
            if isinstance(segment, Calls):
                self._calls(segment.lines)
            else:
                self._kernel(segment, entry)
        for output in self.plan.outputs:
            if type(output) is Ref:
                self._define(output.number)
                self._check(output.number)

    def _kernel(self, nests: list[Nest], entry: Callable[[Kernel], Any]) -> None:
        kernel = Writer(self.plan, nests, self.external, self.outputs).kernel()
        name = f"kernel{len(self.kernels)}"
        self.kernels.append(kernel)
        self.space[name] = entry(kernel)
        args = [self._argument(p) for p in kernel.parameters]
        self.text += [
            f"state = {name}({', '.join(args)})",
            "if state: raise GuardFailed if state & 1 else NotFinite",
        ]
        for p in kernel.parameters:
            if p.role == "result":
                if not p.kind.shape and self._is_scalar(p.number):
                    self.text.append(f"v{p.number} = v{p.number}[()]")
                self.defined.add(p.number)
                self.contiguous[p.number] = f"v{p.number}"

    def _is_scalar(self, number: int) -> bool:
        """Whether NumPy gives a number of its own, and not an array without axes."""
        if number < self.plan.count:
            return True
        number = self.plan.copied.get(number, number)
        if number < self.plan.count:
            return False
        line = self._instruction(number)
        if line.op not in VIEWS and line.op is not astype:
            return line.op not in _ARRAYS
        base = line.args[0].number
        like: Any = np.zeros(self.plan.kind(line.args[0]).shape, np.int8)
        if not like.shape and self._is_scalar(base):
            like = like[()]
        return not isinstance(line.op(like, *line.args[1:], **line.kwargs), np.ndarray)

    def _argument(self, parameter: Parameter) -> str:
        """Make what a kernel is called with, and name it."""
        number, kind = parameter.number, parameter.kind
        name = f"v{number}"
        if parameter.role in ("result", "scratch"):
            self.text.append(f"{name} = {self._memory(kind)}")
            return name
        if number in self.plan.constants:
            return self.constant(self.plan.constants[number])
        self._define(number)
        if parameter.role == "number":
            return name
        if number not in self.contiguous:
            self.contiguous[number] = self._contiguous(number)
        return self.contiguous[number]

    def _memory(self, kind: Kind) -> str:
        """Write where a result goes: large ones where an earlier one was that nobody holds."""
        if kind.nbytes < LARGE:
            return f"empty({kind.shape!r}, {self.constant(kind.dtype)})"
        return f"{self.constant(Pool(Kind(kind.dtype, kind.shape)))}.take()"

    def _contiguous(self, number: int) -> str:
        """Make an array one whose rows follow each other, and name that."""
        is_input = number < self.plan.count
        if is_input and len(self.kernels) == 1 and not self.has_effects:
            return f"v{number}"  # the kernel says so if it is not, and `again` orders all
        order = "ordered" if is_input else "ascontiguous"
        self.text.append(f"c{number} = {order}(v{number})")
        return f"c{number}"

    def _define(self, number: int) -> None:
        """Make a view where Python needs one."""
        if number in self.defined:
            return
        self.defined.add(number)
        line = self._instruction(number)
        for ref in refs(line):
            self._define(ref.number)
        self.text.append(
            f"v{number} = {call_text(line, self.refer, self.constant, self.plan.kind)}"
        )

    def _calls(self, numbers: list[int]) -> None:
        """Call one after the other, as careful about invalid operations as the NumPy backend."""
        lines = [(number, self._instruction(number)) for number in numbers]
        for quiet, block in groupby(lines, lambda item: item[1].quiet):
            begin, is_arithmetic = len(self.text), True
            for number, line in block:
                self.has_effects |= line.op is draw
                is_arithmetic &= line.op is expect or line.kind.dtype in (int, float, bool)
                for ref in refs(line):
                    self._define(ref.number)
                self.defined.add(number)
                self.text.append(self._statement(number, line))
            if not is_arithmetic:  # of Python's numbers, which raises by itself
                level = "ignore" if quiet else "raise"
                self.text[begin:] = [
                    f"with errstate(divide={level!r}, over={level!r}, invalid='raise'):",
                    *(f" {text}" for text in self.text[begin:]),
                ]

    def _statement(self, number: int, line: Instruction) -> str:
        if (guard := self.guard(line)) is not None:
            return guard
        if line.op is np.matmul and not line.kwargs and line.kind.nbytes >= LARGE:
            x, y = (self.refer(a) if type(a) is Ref else self.constant(a) for a in line.args)
            return f"v{number} = np.matmul({x}, {y}, {self._memory(line.kind)})"
        return f"v{number} = {call_text(line, self.refer, self.constant, self.plan.kind)}"

    def _check(self, number: int) -> None:
        """See whether an output that a call gives is finite: kernels do so themselves."""
        kind = self.plan.kind(Ref(number))
        if number not in self.plan.line and kind.is_array and kind.dtype.kind in "fc":
            self.text.append(f"if not is_finite(v{number}): raise NotFinite")

    def _output(self, output: Any) -> str:
        if type(output) is not Ref:
            name = self.constant(output)
            return f"{name}.copy()" if isinstance(output, np.ndarray) else name
        number, kind = output.number, self.plan.kind(output)
        is_shared = number < self.plan.count or number in self.plan.views
        if not is_shared and number not in self.plan.line:
            is_shared = self._instruction(number).op in VIEWS
        is_copied = is_shared and kind.is_array and kind.shape
        return f"np.copy(v{number})" if is_copied else f"v{number}"


def _segments(plan: Plan) -> Iterator[Calls | list[Nest]]:
    """Give calls, and nests that follow each other, in order."""
    nests: list[Nest] = []
    for group in plan.groups:
        if isinstance(group, Nest):
            nests.append(group)
            continue
        if nests:
            yield nests
            nests = []
        yield group
    if nests:
        yield nests


def _again(run: Callable[..., list[Any]], inputs: list[Any]) -> list[Any]:
    """Call once more with arrays in the order in which kernels read them."""
    arrays = [ordered(x) if isinstance(x, np.ndarray) else x for x in inputs]
    if all(x is y for x, y in zip(arrays, inputs, strict=True)):
        raise TypeError("the arguments are not of the kinds that the program is for")
    return run(*arrays)


def _is_finite(x: Any) -> bool:
    """Whether all elements are finite: a sum of squares says so if it is, and reads them once."""
    flat = np.ravel(x)
    return isfinite(abs(np.vdot(flat, flat))) or bool(np.isfinite(x).all())


def ordered(x: Any) -> Any:
    """Give an array as kernels read it."""
    flags = x.flags
    if flags.c_contiguous and flags.aligned and x.dtype.isnative:
        return x
    return np.ascontiguousarray(x, x.dtype.newbyteorder("="))
