"""Programs as fused loops, which Numba compiles.

Most of a program becomes one kernel or a few; calls that no loop has a form for are made from
Python between them.  Numba (extra ``fast``) is imported when the first kernel is compiled.

What comes out differs from ``evaluate`` only in this: sums and products of matrices add in another
order; ``exp``, ``log``, ``tanh`` and others are within 3 units in the last place; and where
parameters are moved, numbers below the smallest normal one are taken for 0.  All else is
bit for bit the same.

Not for: which loops (``loops.py``), or keeping compiled kernels (``cache.py``).
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Mapping, Set
from math import prod
from typing import Any, NamedTuple

from tinygrad_lab.transforms.jit.backends.calling import Caller, NotFinite
from tinygrad_lab.transforms.jit.backends.looping import Looped, Looping
from tinygrad_lab.transforms.jit.backends.loops import Kernel, LoopWriter
from tinygrad_lab.transforms.jit.backends.plan import Access, Calls, Line, Nest, Plan, Product
from tinygrad_lab.transforms.jit.program import Program, Ref
from tinygrad_lab.warnings import CompilingWarning, warn

__all__ = [
    "Group",
    "Looped",
    "NotFinite",
    "Unfit",
    "compile",
    "compile_loop",
    "compile_loop_or_say",
    "compile_or_say",
    "groups",
    "kernels",
]

_LONGEST = 2000  # statements that are compiled, at 4 ms each
_STATEMENTS = 500  # of a program; with more, fewer arrays are written out element by element


def compile(program: Program) -> Callable[..., list[Any]]:
    """Make a function of a program's inputs, which returns a list of its outputs.

    Parameters
    ----------
    program : Program

    Returns
    -------
    callable
        It raises GuardFailed where the program is one for other values, and :class:`NotFinite`
        where a result is not finite.  Inputs must be of the kinds that the program states.

    Raises
    ------
    ImportError
        Without Numba.
    """
    return Caller(_planned(program), _entry).function()


def compile_or_say(program: Program, is_asked_for: bool) -> Callable[..., list[Any]] | None:
    """Compile, or say why not; what is only missing or too long is not said to who did not ask."""
    return _or_say(program, is_asked_for, lambda: compile(program))


def compile_loop_or_say(
    program: Program, carried: Mapping[int, int], stacked: Set[int], is_asked_for: bool
) -> Callable[..., Looped] | None:
    """Compile a loop, or say why not, as :func:`compile_or_say` does."""
    return _or_say(program, is_asked_for, lambda: compile_loop(program, carried, stacked))


def _or_say(program: Program, is_asked_for: bool, compile: Callable[[], Any]) -> Any:
    try:
        return compile()
    except (ImportError, Unfit) as error:
        if not is_asked_for:
            return None
        help = '. pip install "tinygrad-lab[fast]" brings Numba' * isinstance(error, ImportError)
        why = f"{error}{help}"
    except Exception as error:  # noqa: BLE001 - whatever it is, NumPy calls are the remedy
        why = f"{type(error).__name__}: {error}".partition("\n")[0]
    if not threading.main_thread().is_alive():
        return None  # the process ends, and compiling ends with it
    warn(f"{program.name} is not compiled and runs as NumPy calls: {why}", CompilingWarning)
    return None


def kernels(program: Program) -> list[str]:
    """Give the text of a program's kernels."""
    caller = Caller(_planned(program), lambda kernel: None)
    return [kernel.text for kernel in caller.kernels]


class Group(NamedTuple):
    """Lines that are computed together: in one loop, or by calls from Python."""

    position: int  # among the groups, which come one after the other
    loop: int | None  # which loop it is, from 1 on, if several lines are computed in it
    turns: tuple[int, ...] = ()  # how often the loop goes round, along each axis


def groups(program: Program) -> dict[int, Group]:
    """Say where each value of a program is computed, if it is compiled; nothing if it is not.

    Numba need not be installed.
    """
    try:
        plan = _planned(program)
    except Unfit:
        return {}
    numbers = itertools.count(1)
    by_position = [
        Group(i, next(numbers), group.loops)
        if isinstance(group, Nest) and len(group.lines) > 1
        else Group(i, None)
        for i, group in enumerate(plan.groups)
    ]
    home = {ref.number: plan.home.get(plan.view(ref.number).root) for ref, _ in program.numbered()}
    return {number: by_position[i] for number, i in home.items() if i is not None}


class Unfit(ValueError):  # noqa: N818 - not an error: NumPy calls do as well
    """Compiling a program is not worth it."""


def compile_loop(
    program: Program, carried: Mapping[int, int], stacked: Set[int]
) -> Callable[..., Looped] | None:
    """Make a function that runs a program many times in one call: ``run(n, *inputs)``.

    Parameters
    ----------
    program : Program
    carried : mapping
        By position of an output, the position of the input that it is for the next time.
    stacked : set of int
        The positions of outputs of which each one is asked for, and not only the last.

    Returns
    -------
    callable or None
        It returns a :class:`Looped`.  None where Python has to call something between the loops,
        so that running the program again and again is as fast.
    """
    if any(type(output) is not Ref for output in program.outputs) or stacked & carried.keys():
        return None
    kinds = [(program.kind(program.outputs[o]), program.inputs[i].kind) for o, i in carried.items()]
    if any(before != after for before, after in kinds):
        return None
    plan = _planned(program, with_numbers=True)
    nests = [group for group in plan.groups if isinstance(group, Nest)]
    is_all = not any(group.lines for group in plan.groups if isinstance(group, Calls))
    if not is_all or any(_is_odd(plan, output) for output in plan.outputs):
        return None
    kernel = LoopWriter(plan, nests, carried, stacked).kernel()
    return Looping(plan, kernel, _entry(kernel), carried)


def _is_odd(plan: Plan, output: Ref) -> bool:
    """Whether an output is none that a kernel can write down."""
    is_number = plan.kind(output).dtype in (int, float, bool)
    return not is_number and output.number not in plan.line


def _planned(program: Program, with_numbers: bool = False) -> Plan:
    """Write out small arrays, as far as the text stays short."""
    for straight, row in ((16, 8), (4, 4), (1, 1)):
        plan = Plan(program, straight, row, with_numbers)
        lines = [line for g in plan.groups if isinstance(g, Nest) for line in g.lines]
        statements = sum(map(_weight, lines))
        if statements <= _STATEMENTS:
            break
    if not lines:
        raise Unfit("nothing in it is a loop")
    if statements > _LONGEST:
        raise Unfit(f"{statements:,} statements are too many to compile")
    return plan


def _weight(line: Line) -> int:
    """Count the statements of a line."""
    if isinstance(line.form, Product):
        return prod(line.form)
    return max((len(a.offsets) for a in line.accesses if isinstance(a, Access)), default=1)


def _entry(kernel: Kernel) -> Callable[..., int]:
    from tinygrad_lab.transforms.jit.backends.cache import compiled

    return compiled(kernel)
