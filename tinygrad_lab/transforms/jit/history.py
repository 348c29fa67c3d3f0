"""Results of a recorded call that have a history: how gradients go back through a program.

Such a call is one node.  Its rule runs a second program, recorded beside the first: the pullback,
from the inputs of the call and the cotangents of its results to the cotangents of the inputs.  What
is differentiated again is the pullback itself, call by call, which is NumPy like any other.

Not for: recording (``function.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_lab.core.cotangents import conjugate
from tinygrad_lab.core.dispatch import from_node
from tinygrad_lab.core.engine import NO_KWARGS, propagate, record
from tinygrad_lab.core.operations import defvjp_joint
from tinygrad_lab.core.ownership import Print, preserved
from tinygrad_lab.core.several import Outputs
from tinygrad_lab.core.tensor import Tensor
from tinygrad_lab.transforms.jit.changes import Changes
from tinygrad_lab.transforms.jit.passes import simplified, used_inputs
from tinygrad_lab.transforms.jit.program import (
    Input,
    Instruction,
    Program,
    Ref,
    draw,
    evaluate,
    mapped,
)
from tinygrad_lab.transforms.jit.state import State
from tinygrad_lab.transforms.jit.trace import Trace, Traced

__all__ = ["Past", "draws_as_inputs", "pullback"]


class Past:
    """What gives the results of one recorded call their history."""

    def __init__(self, program: Program, stay: list[int], reached: list[int], draws: int) -> None:
        self.program = program  # the pullback
        self.stay = stay  # the inputs of the call that it takes, by position
        self.reached = reached  # those of them whose cotangents it gives
        self.draws = draws
        self.run: Callable[..., Any] | None = None

    @property
    def called(self) -> str:
        """The name of the function."""
        return self.program.name.removesuffix("_pullback")

    def __repr__(self) -> str:
        return self.program.name

    def attach(self, results: Sequence[Any], values: Any, nodes: Any, draws: Any) -> Sequence[Any]:
        """Make tensors of the results, which came from the nodes."""
        values, nodes = (self, *values, *draws), (None, *nodes, *(None for _ in draws))
        results = [np.asarray(result) for result in results]
        value: Any = results[0] if len(results) == 1 else Outputs(results)
        prints: list[Print] = []
        args = tuple(
            preserved(v, n is not None, prints) for v, n in zip(values, nodes, strict=True)
        )
        node = record(replayed, args, NO_KWARGS, value, nodes)
        node.prints = prints or None
        tensors = from_node(value, node)
        return tensors if len(results) > 1 else [tensors]

    def gradients(self, values: Sequence[Any], cotangents: Sequence[Any]) -> list[Any]:
        """Run the pullback: by loops and buffers on plain arrays, or call by call on tensors."""
        count = len(self.stay)
        inputs = (*values[:count], *cotangents, *values[count:])
        if self.run is not None and not any(isinstance(x, Tensor) for x in inputs):
            try:
                return self.run(*inputs)
            except Exception:  # noqa: BLE001 - guards that fail, infinite slopes: call by call
                pass
        with np.errstate(invalid="ignore"):
            return evaluate(self.program, inputs)


def replayed(past: Past, *values: Any) -> Any:
    """The results of a recorded call, which are known when its node is made."""
    raise NotImplementedError(f"{past} of {len(values)} values")


replayed.transform = "jit"  # type: ignore[attr-defined]  # for pictures


def _back(argnums: Sequence[int], g: Any, y: Any, past: Past, *values: Any) -> list[Any]:
    cotangents = [g.of(i, y) for i in range(len(y))] if isinstance(y, Outputs) else [g]
    each = dict(zip(past.reached, past.gradients(values, cotangents), strict=True))
    return [each[past.stay[argnum - 1]] for argnum in argnums]


defvjp_joint(replayed, _back)


def pullback(trace: Trace, state: State, changes: Changes, cotangents: Sequence[Any]) -> Past:
    """Record the way back from the live results of a call that is being recorded in ``trace``."""
    wanted = {leaf: position for position, (leaf, _) in state.tracked.items()}
    gradients = propagate(
        [y.node for y in changes.live if y.node is not None],
        [conjugate(g) for g in cotangents],
        wanted=set(wanted),
        retain_graph=True,
    )
    reached = sorted((wanted[leaf], g) for leaf, g in gradients.items())
    outputs = tuple(g.ref if type(g) is Traced else g for _, g in reached)
    labels = tuple(f"{trace.inputs[position].name}.grad" for position, _ in reached)
    lines = tuple(trace.instructions)
    program, drawn = draws_as_inputs(
        Program(trace.name, tuple(trace.inputs), lines, outputs, labels)
    )
    count = len(state.inputs)
    program, stay = used_inputs(
        simplified(program), {*range(count, len(program.inputs)), *(n for n, _ in reached)}
    )
    return Past(program, [n for n in stay if n < count], [n for n, _ in reached], len(drawn))


def draws_as_inputs(program: Program) -> tuple[Program, list[Ref]]:
    """Make what a program draws inputs of it, the last; and say which lines those were."""
    count = len(program.inputs)
    drawn = [ref for ref, line in program.numbered() if line.op is draw]
    moved: dict[int, Any] = {i: Ref(i) for i in range(count)}
    inputs = list(program.inputs)
    for i, ref in enumerate(drawn):
        moved[ref.number] = Ref(count + i)
        inputs.append(Input(f"draw{i}", program.kind(ref)))
    lines: list[Instruction] = []
    for ref, line in program.numbered():
        if ref.number in moved:
            continue
        moved[ref.number] = Ref(len(inputs) + len(lines))
        lines.append(line.renumbered(lambda ref: moved.get(ref.number)))
    outputs = tuple(mapped(o, lambda r: moved[r.number]) for o in program.outputs)
    new = program.replaced(inputs=tuple(inputs), instructions=tuple(lines), outputs=outputs)
    return new, drawn
