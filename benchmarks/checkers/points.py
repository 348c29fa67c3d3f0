"""What a fault is planted in, and the inputs at which checkers are asked about it.

Not for: asking them (``planted.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from benchmarks.checkers.faults import ENGINE, Fault
from tinygrad_lab.testing.inputs import strategies
from tinygrad_lab.testing.inputs.calls import DEGENERATE, Call, is_degenerate, mostly
from tinygrad_lab.testing.inputs.generated import calls_of, is_defined

__all__ = ["Specimen", "carried", "draw", "points", "special", "specimen_of"]

JITTER = 1 / 32  # numbers that lie on no grid, yet on their side of every kink
LARGEST = 10.0  # no one's typical input has larger elements


@dataclass(frozen=True)
class Specimen:
    """An operation that faults are planted in, and how calls of it are generated.

    With ``has_special``, zeros, ties and extremes may be put into them.
    """

    name: str
    op: Any
    smooth: st.SearchStrategy[Call]
    has_special: bool


def specimen_of(fault: Fault) -> Specimen | None:
    """Say what a fault is planted in; None where that is no operation."""
    if fault.op is None:
        return None
    calls = calls_of(fault.op, fault.inputs)
    return Specimen(fault.op.__name__, fault.op, calls, has_special=fault.inputs is None)


def carried(fault: Fault) -> str:
    """Say why a fault means nothing to other libraries; nothing where it does."""
    if fault.family == ENGINE and not fault.blamed:
        return "of our engine"
    if fault.number == 62:
        return "second order, which a pair of NumPy functions does not have"
    return ""


def draw(strategy: st.SearchStrategy[Any], number: int, rng: int) -> list[Any]:
    """Draw examples as Hypothesis would, without looking for anything."""
    examples: list[Any] = []

    @seed(rng)
    @settings(
        max_examples=number, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(strategy)
    def collect(example: Any) -> None:
        examples.append(example)

    collect()
    return examples


def typical(calls: Sequence[Call]) -> Call:
    """Choose the plainest call: full arrays, fewest options; as one would write by hand."""
    full = [c for c in calls if all(_is_full(x) for x in c.arrays)]
    return min(full or calls, key=lambda c: len(c.text))


def _is_full(x: Any) -> bool:
    plain = not isinstance(x, np.ndarray) or x.dtype.kind != "f"
    return plain or (x.ndim > 0 and min(x.shape) > 1 and x.size > 2)


def redrawn(call: Call, calls: Sequence[Call], rng: np.random.Generator) -> Call:
    """Put other numbers into the arrays of a call: from where the operation's others lie."""
    arrays = []
    for i, x in enumerate(call.arrays):
        if not isinstance(x, np.ndarray) or x.dtype.kind != "f":
            arrays.append(x)
            continue
        pool = np.unique(np.concatenate([np.ravel(c.arrays[i]) for c in calls if _has(c, i)]))
        pool = pool[np.abs(pool) <= LARGEST]
        picks = rng.choice(pool, x.size, replace=x.size > pool.size)
        arrays.append((picks + rng.uniform(-JITTER, JITTER, x.size)).reshape(x.shape))
    return Call(call.text, call.f, arrays)


def _has(call: Call, i: int) -> bool:
    x = call.arrays[i] if i < len(call.arrays) else None
    return isinstance(x, np.ndarray) and x.dtype.kind == "f"


def special(call: Call, rng: np.random.Generator) -> Call | None:
    """Put zeros, ties and extremes into a call; None where it has no value there."""
    arrays = [
        rng.choice(strategies.SPECIAL, x.shape) if _has(call, i) else x
        for i, x in enumerate(call.arrays)
    ]
    moved = Call(call.text, call.f, arrays)
    return moved if is_defined(moved) else None


def points(specimen: Specimen, examples: int) -> dict[str, list[Call]]:
    """Choose the inputs of the three ways of checking."""
    rng = np.random.default_rng(0)
    calls = draw(specimen.smooth, examples, 0)
    plainest = typical(calls)
    random = [redrawn(plainest, calls, rng) for _ in range(20)]
    kinks = []
    if specimen.has_special:
        kinks = [special(c, rng) for c in draw(specimen.smooth, examples // 2, 1)]
    return {
        "typical": [redrawn(plainest, calls, rng)],
        "random": random,
        "strategy": calls + degenerate(specimen, examples) + [c for c in kinks if c is not None],
    }


def degenerate(specimen: Specimen, examples: int) -> list[Call]:
    """Draw calls with degenerate shapes, as ``check_op`` does."""
    cases = []
    for kind in DEGENERATE:
        with mostly(kind):
            drawn = draw(specimen.smooth, 1 + examples // 20, 2)
        cases += [c for c in drawn if is_degenerate(c, kind) and is_defined(c)]
    return cases
