"""How time and memory grow: the exponents of every function's cost, forward and backward.

Each function of NumPy's that has a derivative, each function of `nn.functional`, and each way of
building an array from parts is called at several sizes. A cost that grows as the p-th power of the
elements read and written has exponent p: 1 is what is promised; a product or a decomposition of
matrices has more, and is counted in its own operations. Printed is what is above `LIMIT`.

    python -m benchmarks costs              # all of them: some minutes
    python -m benchmarks costs cumprod fft  # those with such a word in their name

Time is the processor's, of one thread: another program's work does not count.

Not for: how fast anything is (`timing.py`).
"""

import math
import time
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

import tinygrad_lab as tl
from benchmarks.sized_calls import Array, Row, every_row
from tinygrad_lab.nn.kernels.scratch import SCRATCH

LIMIT = 1.2
LARGEST = 1 << 14  # elements: beyond, caches make linear costs look steeper
SECONDS = 0.004  # forward and backward at the largest size: less is not measured well


@dataclass(frozen=True)
class Costs:
    """The exponents of a row, in its own count of operations: 1 is as it should be."""

    name: str
    size: int
    forward: float
    backward: float
    memory: float

    @property
    def worst(self) -> float:
        """The largest of the three."""
        return max(self.forward, self.backward, self.memory)


def measure(row: Row, seconds: float = SECONDS) -> Costs:
    """Fit the exponents of one row over three sizes, each twice the one before."""
    size = row.least
    while size < LARGEST and sum(once(row, size, repeats=1)[:2]) < seconds:
        size *= 2
    sizes = [size // 4, size // 2, size]
    taken = [once(row, n, repeats=5) for n in sizes]
    elements = np.log([t[3] for t in taken] if row.power is None else sizes)
    scale = elements * (row.power or 1)
    forward, backward = (np.polyfit(scale, np.log([t[i] for t in taken]), 1)[0] for i in (0, 1))
    memory = np.polyfit(elements, np.log([t[2] for t in taken]), 1)[0]
    return Costs(row.name, size, float(forward), float(backward), float(memory))


def once(row: Row, n: int, repeats: int) -> tuple[float, float, float, float]:
    """Seconds of the forward and the backward pass, peak bytes of both, elements in and out."""
    f, operands = row.call(n)
    forward, backward = math.inf, math.inf
    for _ in range(repeats):
        leaves = [tl.tensor(x, requires_grad=True) for x in operands]
        begun = time.thread_time()
        results = tracked(f(*leaves))
        between = time.thread_time()
        upstream = [np.ones_like(y.data) for y in results]
        ready = time.thread_time()
        tl.gradients(results, leaves, upstream)
        backward = min(backward, time.thread_time() - ready)
        forward = min(forward, between - begun)
        elements = sum(x.size for x in (*operands, *(y.data for y in results)))
    return forward, backward, peak(f, operands) if repeats > 1 else 0.0, float(elements)


def peak(f: Callable[..., Any], operands: list[Array]) -> float:
    """The most bytes that were in use at once, with what convolutions keep for the next one."""
    SCRATCH.clear()
    leaves = [tl.tensor(x, requires_grad=True) for x in operands]
    tracemalloc.start()
    results = tracked(f(*leaves))
    tl.gradients(results, leaves, [np.ones_like(y.data) for y in results])
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return float(most)


def tracked(result: Any) -> list[tl.Tensor]:
    """The tensors among what a function gave."""
    members = result if isinstance(result, (list, tuple)) else [result]
    return [y for y in members if isinstance(y, tl.Tensor) and y.requires_grad]


def report(only: list[str]) -> Iterator[str]:
    """Measure the rows whose names contain one of the words, and say what is above the limit."""
    chosen = [row for row in every_row() if not only or any(word in row.name for word in only)]
    yield f"{'':28}{'size':>9}{'forward':>9}{'backward':>9}{'memory':>9}"
    above = 0
    for row in chosen:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            costs = measure(row)
            for _ in range(2):  # a busy machine gives a large exponent now and then
                if costs.worst > LIMIT:
                    costs = min(costs, measure(row, 2 * SECONDS), key=lambda c: c.worst)
        above += costs.worst > LIMIT
        if costs.worst > LIMIT or only:
            line = f"{costs.name:28}{costs.size:9}{costs.forward:9.2f}{costs.backward:9.2f}"
            yield f"{line}{costs.memory:9.2f}"
    yield f"{above} of {len(chosen)} above {LIMIT}"
