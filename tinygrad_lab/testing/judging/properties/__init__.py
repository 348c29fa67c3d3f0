"""What must hold of a gradient, beyond that the numbers agree.  One small function a property.

Each takes a :class:`Point` and returns a :class:`Judgement`.

Not for: running them (``check.py``), or measuring slopes (``slope.py``).
"""

from __future__ import annotations

from collections.abc import Callable

from tinygrad_lab.testing.judging.judgement import Judgement
from tinygrad_lab.testing.judging.point import Point
from tinygrad_lab.testing.judging.properties import asked, calls, exact, form, narrow, numbers

#: Every property by name, cheap ones first.
PROPERTIES: dict[str, Callable[[Point], Judgement]] = {
    holds.__name__: holds
    for holds in (
        form.well_formed, calls.repeatable, calls.second_backward, form.no_aliasing,
        numbers.finite, calls.linear_in_upstream, calls.partial_upstream, numbers.directional,
        numbers.tied_direction, exact.exact, numbers.jacobian, calls.interleaved,
        calls.changed_inputs, calls.fan_out, asked.subsets, asked.unused_results,
        asked.kept_tensors, form.layouts, narrow.float32, numbers.forward_and_backward,
        numbers.second_order,
    )
}  # fmt: skip
