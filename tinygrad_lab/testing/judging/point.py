"""One subject at one point: the inputs, the upstream, the gradients, and what was measured there.

Not for: what must hold of them (``properties``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_lab.testing.judging.arrays import Array, flat, frozen, unit
from tinygrad_lab.testing.judging.judgement import Judgement, Kind, failed
from tinygrad_lab.testing.judging.numerical import scales_of
from tinygrad_lab.testing.judging.slope import Measurer
from tinygrad_lab.testing.judging.subject import Recorded, Subject

ROUNDING = 1e-10  # relative: what another order of summation may change
FLOAT32_ROUNDING = 1e-4  # of a function that computes in float32 whatever it is given


@dataclass(eq=False)
class Point:
    """One subject at one point, as the properties look at it."""

    subject: Subject
    arrays: list[Array]
    recorded: Recorded
    upstreams: list[Array]
    generator: np.random.Generator
    order: int

    def __post_init__(self) -> None:
        gradients = self.recorded.pull([frozen(u) for u in self.upstreams])
        # a number is a gradient by a number
        self.gradients: list[Any] = [
            np.float64(g) if isinstance(g, float) else g for g in gradients
        ]
        self.measurer = Measurer(self.subject, self.arrays, self.recorded.outputs)

    @property
    def weights(self) -> Array:
        """All upstreams in one row."""
        return flat(self.upstreams)

    @property
    def size(self) -> int:
        """How many elements all inputs have."""
        return sum(x.size for x in self.arrays)

    @property
    def has_finite_value(self) -> bool:
        """Whether every number of every output is finite."""
        return all(bool(np.all(np.isfinite(y))) for y in self.recorded.outputs)

    def direction(self, i: int, index: tuple[int, ...]) -> list[Array]:
        """Give the direction in which one element of an input moves, by its own scale."""
        return unit(self.arrays, i, index, scales_of(self.arrays[i])[index])

    def fresh(self, arrays: Sequence[Array] | None = None) -> Recorded:
        """Call the function anew, on read-only inputs."""
        inputs = self.arrays if arrays is None else arrays
        return self.subject.record([frozen(x) for x in inputs])

    def pulled(self, upstreams: Sequence[Array], recorded: Recorded | None = None) -> list[Array]:
        """Pull read-only upstreams back through a fresh call, or through a recorded one."""
        call = recorded or self.fresh()
        return [np.asarray(g) for g in call.pull([frozen(np.asarray(u)) for u in upstreams])]

    @property
    def noise(self) -> list[float]:
        """How much of each gradient may be round-off: the last digits of what cancelled in it."""
        size = float(np.abs(flat(self.recorded.outputs)) @ np.abs(self.weights))
        size = size if np.isfinite(size) else 0.0
        lost = 1e-3 * self.rounding * size
        return [lost / float(np.min(scales_of(x), initial=1.0)) for x in self.arrays]

    @property
    def rounding(self) -> float:
        """How much another order of summation may change, relative to the largest element."""
        narrow = any(y.dtype.itemsize < 8 for y in self.recorded.outputs)
        return FLOAT32_ROUNDING if narrow else ROUNDING

    def apart(self, a: Sequence[Array], b: Sequence[Array]) -> int | None:
        """Give the first position at which two lists of gradients differ by more than rounding."""
        pairs = enumerate(zip(a, b, strict=True))
        return next((i for i, (x, y) in pairs if self.differ(x, y, i)), None)

    def differ(self, x: Array, y: Array, i: int) -> bool:
        """Whether two gradients by the ``i``-th input differ by more than rounding."""
        size = float(np.max(np.abs(y[np.isfinite(y)]), initial=0.0))
        allowed = self.rounding * size + self.noise[i]
        return not np.allclose(x, y, rtol=self.rounding, atol=allowed, equal_nan=True)

    def failed(self, kind: Kind, i: int, **facts: Any) -> Judgement:
        """A property does not hold of the gradient by the ``i``-th input."""
        return failed(kind, self.subject.site(i), **facts)
