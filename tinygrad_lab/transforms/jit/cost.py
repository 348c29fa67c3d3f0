"""What a program costs, counted on its lines without running it.

Not for: what it took on some machine (``report()`` of a jitted function).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_lab.transforms.jit.kernels import MULTIPLY_ADDS
from tinygrad_lab.transforms.jit.program import (
    VIEWS,
    Instruction,
    Program,
    Ref,
    expect,
    expect_shape,
    refs,
)

__all__ = ["Cost", "cost", "multiply_adds", "size"]

_PRODUCTS = frozenset({np.matmul, np.dot, np.inner, np.vdot})


@dataclass(frozen=True)
class Cost:
    """What one call of a program costs.

    Attributes
    ----------
    calls : int
        Calls that compute something: views and checks are none.
    multiply_adds : int
        Multiplications, each with an addition, in products of matrices and convolutions.
    bytes_moved : int
        What the calls read and write, if each goes through memory on its own.
    peak_bytes : int
        The most that is in memory at once, inputs and results included, where each value is
        forgotten after its last use.
    """

    calls: int
    multiply_adds: int
    bytes_moved: int
    peak_bytes: int

    def __str__(self) -> str:
        return (
            f"{self.calls:,} calls, {self.multiply_adds:,} multiply-adds, "
            f"{size(self.bytes_moved)} moved, {size(self.peak_bytes)} at once"
        )


def size(count: int) -> str:
    """Write a number of bytes with three digits and a unit."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.3g} {unit}" if count < 1000 else f"{count:,.0f} {unit}"
        count /= 1000  # type: ignore[assignment]
    raise AssertionError


def cost(program: Program) -> Cost:
    """Count what one call of a program costs."""
    work = [line for line in program.instructions if not _is_free(line)]
    return Cost(
        calls=len(work),
        multiply_adds=sum(_multiply_adds(program, line) for line in work),
        bytes_moved=sum(
            line.kind.nbytes + sum(program.kind(v).nbytes for v in _arrays(line)) for line in work
        ),
        peak_bytes=_peak(program),
    )


def multiply_adds(program: Program) -> list[int]:
    """Count multiplications that are followed by an addition, for each instruction."""
    return [0 if _is_free(line) else _multiply_adds(program, line) for line in program.instructions]


def _is_free(line: Instruction) -> bool:
    return line.op in VIEWS or line.op in (expect, expect_shape)


def _arrays(line: Instruction) -> Iterator[Any]:
    """Give what a call reads, in order: values of the program, and constant arrays."""
    for arg in line.args:
        yield from [arg] if isinstance(arg, np.ndarray) else refs(arg)
    yield from refs(line.kwargs)


def _multiply_adds(program: Program, line: Instruction) -> int:
    shapes = [program.kind(v).shape for v in _arrays(line)]
    if line.op in MULTIPLY_ADDS:
        return MULTIPLY_ADDS[line.op](line.kind.shape, *shapes)
    if line.op in _PRODUCTS:
        return line.kind.size * (shapes[0][-1] if shapes[0] else 1)
    if line.op is np.tensordot:  # of m·k and k·n elements: m·n·k
        return math.isqrt(line.kind.size * math.prod(map(math.prod, shapes)))
    if line.op is np.einsum and isinstance(line.args[0], str):
        letters = line.args[0].partition("->")[0].replace(" ", "").split(",")
        sizes = dict(pair for pairs in map(_sizes, letters, shapes) for pair in pairs)
        return math.prod(sizes.values()) if len(letters) > 1 else 0
    return 0


def _sizes(letters: str, shape: tuple[int, ...]) -> Iterator[tuple[str, int]]:
    """Pair the letters of one operand of einsum with sizes, from the end; ``...`` comes first."""
    return zip(reversed(letters.replace("...", "")), reversed(shape), strict=False)


def _peak(program: Program) -> int:
    """Add up what is in memory after each call, and take the most."""
    count = len(program.inputs)
    owner = list(range(count))  # whose memory a value is in
    last = dict.fromkeys(range(count), count + len(program.instructions))
    for ref, line in program.numbered():
        first = next(refs(line), None)
        is_view = line.op in VIEWS and first is not None
        owner.append(owner[first.number] if is_view and first is not None else ref.number)
        for operand in (ref, *refs(line)):
            last[owner[operand.number]] = max(last.get(owner[operand.number], 0), ref.number)
    for output in refs(list(program.outputs)):
        last[owner[output.number]] = count + len(program.instructions)
    ends: dict[int, list[int]] = {}
    for value, line_number in last.items():
        ends.setdefault(line_number, []).append(value)
    now = peak = sum(item.kind.nbytes for item in program.inputs)
    for ref, line in program.numbered():
        now += line.kind.nbytes if owner[ref.number] == ref.number else 0
        peak = max(peak, now)
        now -= sum(program.kind(Ref(value)).nbytes for value in ends.get(ref.number, ()))
    return peak
