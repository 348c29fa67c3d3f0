"""What is measured of the arrays in a graph: values, gradients, and who contributes how much.

Everything is measured once, in one backward pass that leaves no trace.

Not for: which boxes there are (``plan.py``), or how a measure is written (``style.py``).
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_lab.core.cotangents import total
from tinygrad_lab.core.engine import Node, propagate
from tinygrad_lab.core.tensor import Tensor

__all__ = ["Flow", "Measure", "measure", "together"]

#: A mean of so many roundings of a term is none.
_ROUNDINGS = 8


#: So many numbers are taken in at a glance.
_FEW = 24


@dataclass(frozen=True, slots=True)
class Measure:
    """A summary of an array of numbers; ``rms`` is the root mean square of the finite ones.

    ``whole`` has the numbers themselves, in nested lists, where these are real and no more than 24.
    """

    size: int
    rms: float
    mean: float
    low: float
    high: float
    nan: int = 0
    inf: int = 0
    whole: Any = field(default=None, repr=False, compare=False)

    @property
    def trouble(self) -> str:
        """``NaN`` or ``Inf`` when there is any, else an empty string."""
        return "NaN" if self.nan else "Inf" if self.inf else ""


def measure(array: Any) -> Measure:
    """Measure an array.

    Examples
    --------
    >>> measure(np.array([3.0, -4.0, np.nan]))
    Measure(size=3, rms=3.5355339059327378, mean=-0.5, low=-4.0, high=3.0, nan=1, inf=0)
    """
    array = np.asarray(array)
    flat = array.reshape(-1)
    size = flat.size
    whole = array.tolist() if size <= _FEW and flat.dtype.kind in "biuf" else None
    precision = np.finfo(flat.dtype if flat.dtype.kind in "fc" else np.float64).eps
    if flat.dtype.kind == "c":
        flat = np.abs(flat)
    flat = flat.astype(np.float64)
    finite = np.isfinite(flat)
    nan = inf = 0
    if not finite.all():
        nan = int(np.isnan(flat).sum())
        inf = size - nan - int(finite.sum())
        flat = flat[finite]
    if not flat.size:
        none = math.nan if size else 0.0
        return Measure(size, none, none, none, none, nan, inf, whole)
    low, high = float(flat.min()), float(flat.max())
    # Scaled first: the square of a very small or a very large float is 0 or infinite.
    top = max(high, -low)
    unit = flat / top if top else flat
    rms, mean = top * math.sqrt(float(np.mean(np.square(unit)))), top * float(unit.mean())
    mean = _beyond_rounding(mean, rms, precision)
    return Measure(size, rms, mean, low, high, nan, inf, whole)


def _beyond_rounding(mean: float, rms: float, precision: float) -> float:
    """Give a mean, or 0 where it is what rounding left of terms that cancel."""
    return mean if abs(mean) > _ROUNDINGS * precision * rms else 0.0


def together(measures: Iterable[Measure]) -> Measure | None:
    """Measure several arrays as if they were one; None of no array.

    Examples
    --------
    >>> together([measure([3.0]), measure([4.0, -5.0])])
    Measure(size=3, rms=4.08248290463863, mean=0.6666666666666666, low=-5.0, high=4.0, nan=0, inf=0)
    """
    parts = list(measures)
    if len(parts) < 2:
        return parts[0] if parts else None
    nan, inf = sum(m.nan for m in parts), sum(m.inf for m in parts)
    finite = [(m, m.size - m.nan - m.inf) for m in parts]
    finite = [(m, n) for m, n in finite if n]
    size, count = sum(m.size for m in parts), sum(n for _, n in finite)
    if not count:
        none = math.nan if size else 0.0
        return Measure(size, none, none, none, none, nan, inf)
    top = max(m.rms for m, _ in finite) or 1.0
    rms = top * math.sqrt(sum(n * (m.rms / top) ** 2 for m, n in finite) / count)
    mean = sum(n * m.mean for m, n in finite) / count
    mean = _beyond_rounding(mean, rms, np.finfo(np.float64).eps)
    low, high = min(m.low for m, _ in finite), max(m.high for m, _ in finite)
    return Measure(size, rms, mean, low, high, nan, inf)


class Flow:
    """The gradients of one backward pass.

    Parameters
    ----------
    nodes
        Every node, the loss last.
    loss
        What the pass starts from; with several elements, from their sum.
    lines
        Which line of the picture an operand arrives by, from the operation's ``order`` and the
        position.  What arrives at one place by one line is added up.
    """

    def __init__(
        self, nodes: Sequence[Node], loss: Tensor, lines: Mapping[tuple[int, int], Hashable]
    ) -> None:
        self.nodes: dict[int, Measure] = {}
        self.lines: dict[Hashable, list[Measure]] = {}
        self.shares: dict[Hashable, list[float]] = {}
        self._of, self._arrived = lines, dict[int, dict[Hashable, Any]]()
        assert loss.node is not None
        propagate(
            [loss.node],
            [np.ones_like(loss.data)],
            retain_graph=True,
            wanted=nodes,  # then retain_grad() writes no .grad
            visit=self._visit,
        )

    def _visit(self, node: Node, g: Any, contributions: tuple[Any, ...]) -> None:
        self.nodes[node.order] = _measured(g)
        for line, part in self._arrived.pop(node.order, {}).items():
            self.lines.setdefault(line, []).append(_measured(part))
            self.shares.setdefault(line, []).append(_share(_row(part), _row(g)))
        for position, part in enumerate(contributions):
            parent = (node.parents or ())[position]
            if parent is None or part is None:
                continue
            line = self._of.get((node.order, position), (node.order, position))
            waiting = self._arrived.setdefault(parent.order, {})
            waiting[line] = part if line not in waiting else total(waiting[line], part)


def _measured(g: Any) -> Measure:
    """Measure a cotangent: an array, or those of some of several results."""
    return measure(_row(g))


def _row(g: Any) -> Any:
    if not isinstance(g, dict):
        return g
    return np.concatenate([np.ravel(g[i]) for i in sorted(g)] or [np.zeros(0)])


def _share(part: Any, whole: Any) -> float:
    """Return how much of the gradient ``whole`` is due to ``part``, one term of the sum it is.

    For a single number that is the term itself. Root mean squares do not add up, so for an array
    it is the part's component along the whole, scaled so that the whole's own component is its rms:
    the shares of all terms add up to the rms, and a term against the rest has a negative share.
    """
    a, g = map(_real_row, (part, whole))
    if a.size != g.size:  # of other results than the rest
        return math.nan
    if g.size == 1:
        return float(a[0])
    top = float(np.abs(g).max(initial=0.0))
    if not top or not math.isfinite(top):
        return 0.0 if not top else math.nan
    unit = g / top
    return float(a @ unit) / math.sqrt(float(unit @ unit) * g.size)


def _real_row(array: Any) -> Any:
    """Put numbers in a row, complex ones as their real and imaginary parts."""
    flat = np.asarray(array).reshape(-1)
    return flat.view(flat.real.dtype) if flat.dtype.kind == "c" else flat.astype(np.float64)
