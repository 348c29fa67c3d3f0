"""What must hold of a gradient, beyond that the numbers agree.  One small function a property.

Each takes a :class:`Point` and returns a :class:`Judgement`.

Not for: running them (``check.py``), or measuring slopes (``slope.py``).
"""

from __future__ import annotations

from collections.abc import Callable

from tinygrad_lab.testing.judging.judgement import Judgement
from tinygrad_lab.testing.judging.point import Point
from tinygrad_lab.testing.judging.properties.calls import (
    fan_out,
    interleaved,
    repeatable,
    second_backward,
)
from tinygrad_lab.testing.judging.properties.form import float32, layouts, no_aliasing, well_formed
from tinygrad_lab.testing.judging.properties.numbers import (
    directional,
    exact,
    finite,
    jacobian,
    tied_direction,
)
from tinygrad_lab.testing.judging.properties.orders import forward_and_backward, second_order
from tinygrad_lab.testing.judging.properties.upstream import linear_in_upstream, partial_upstream

#: Every property by name, cheap ones first.
PROPERTIES: dict[str, Callable[[Point], Judgement]] = {
    holds.__name__: holds
    for holds in (
        well_formed, repeatable, second_backward, no_aliasing, finite,
        linear_in_upstream, partial_upstream, directional, tied_direction, exact, jacobian,
        interleaved, fan_out, layouts, float32, forward_and_backward, second_order,
    )
}  # fmt: skip
