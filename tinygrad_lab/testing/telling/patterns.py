"""Read the mistake off a wrong gradient: all that is tried, the plainest first.

Every pattern is computed and held against the numbers; one that does not reproduce them is not
named.

Not for: any one of them (``diagnosis.py``, ``counterfactuals.py``, ``regions.py``, ``ratios.py``).
"""

from __future__ import annotations

from itertools import islice

import numpy as np

from tinygrad_lab.testing.judging.arrays import Array
from tinygrad_lab.testing.judging.judgement import Evidence
from tinygrad_lab.testing.judging.left_out import constant_left_out
from tinygrad_lab.testing.judging.locating import Located
from tinygrad_lab.testing.judging.numerical import FIRST_STEP, climb, scales_of
from tinygrad_lab.testing.telling.around import arrays_around, lengths_around
from tinygrad_lab.testing.telling.counterfactuals import done_instead
from tinygrad_lab.testing.telling.diagnosis import (
    TOLERANCE,
    Pattern,
    diagnose,
    explains,
    wrong_elements,
    wrong_factor,
    wrong_term,
)
from tinygrad_lab.testing.telling.regions import region
from tinygrad_lab.testing.telling.words import of_left_out

NEARLY_RIGHT = 1e-3  # relative: where a gradient is off by less, that may well be meant
INDISTINCT = 10 * TOLERANCE  # and by less than this, it agrees with any pattern of the right one
CERTAIN = 1e-7  # relative; measured gradients less certain have no pattern
MOST_RESULTS, MOST_COLUMNS = 256, 36  # of a Jacobian that is measured
MOST_ARRAYS = 24  # that are tried as a factor


def pattern_of(evidence: Evidence, located: Located) -> str:
    """Name the pattern of a wrong gradient, where the measured one is certain enough."""
    promised, measured = located.promised, located.measured
    if np.any(located.errors > CERTAIN * np.max(np.abs(measured), initial=0.0)):
        return ""
    off, size = np.max(np.abs(promised - measured)), np.max(np.abs(measured), initial=0.0)
    left_out = constant_left_out(evidence, located.input, bool(off <= NEARLY_RIGHT * size))
    if left_out is not None:
        return of_left_out(left_out, evidence.point.subject.names[located.input])
    if off <= INDISTINCT * size:
        pattern = diagnose(promised, measured)
        ratio = None if pattern is None else pattern.ratio
        is_a_factor = ratio is not None and explains(ratio, promised, measured)
        return pattern.text if pattern is not None and is_a_factor else ""
    x = evidence.point.arrays[located.input]
    is_whole = promised.shape == x.shape
    everywhere = is_whole or (located.region is not None and not located.all_known)
    if not everywhere and not np.any(promised):
        return "zero there"
    pattern = diagnose(promised, measured, lengths_around(evidence.point, located.input))
    if not is_whole or not np.all(np.isfinite(promised)):
        return "" if pattern is None else pattern.text
    if pattern is not None and (pattern.ratio is not None or pattern.is_certain):
        return pattern.text
    return _done_instead(evidence, located) or _where(evidence, located, pattern)


def _done_instead(evidence: Evidence, located: Located) -> str:
    """Look at what is around: the upstream, the Jacobian, and values of the forward pass."""
    promised, measured, ups = located.promised, located.measured, evidence.upstreams
    jacobian = _jacobian(evidence, located)
    if jacobian is not None and (text := done_instead(promised, jacobian, ups)):
        return text
    values = dict(islice(arrays_around(evidence, promised.shape), MOST_ARRAYS))
    unit = ups[0].item() if len(ups) == 1 and ups[0].size == 1 else 1.0
    with np.errstate(all="ignore"):
        return wrong_factor(promised, measured, values) or wrong_term(
            promised / unit, measured / unit, values
        )


def _jacobian(evidence: Evidence, located: Located) -> Array | None:
    """Measure the Jacobian, if it is small."""
    point, i = evidence.point, located.input
    if not 2 <= point.weights.size <= MOST_RESULTS or located.promised.size > MOST_COLUMNS:
        return None
    scales, columns = scales_of(point.arrays[i]), []
    for place in np.ndindex(*point.arrays[i].shape):
        unit = point.direction(i, place)

        def along(h: float, unit: list[Array] = unit) -> Array:
            moved = [x + h * u for x, u in zip(point.arrays, unit, strict=True)]
            return point.measurer.row(moved)

        ladder = climb(along, point.measurer.centre, FIRST_STEP / 8, levels=3)
        columns.append(ladder.slopes()[0] / scales[place])
    jacobian = np.stack(columns, axis=1)
    small = 1e-9 * np.max(np.abs(jacobian), initial=0.0)
    jacobian[np.abs(jacobian) < small] = 0.0
    return jacobian if np.all(np.isfinite(jacobian)) else None


def _where(evidence: Evidence, located: Located, pattern: Pattern | None) -> str:
    """Say where it is wrong, if the message does not say so besides, and by what factor there."""
    promised, measured = located.promised, located.measured
    wrong = wrong_elements(promised, measured)
    is_told = located.region is not None
    text = region(wrong, evidence.point.arrays[located.input], by_place=not is_told)
    if not text and not is_told:
        return "" if pattern is None else pattern.text
    if not np.any(promised[wrong]):
        there = "zero there"
    else:
        closer = diagnose(promised[wrong], measured[wrong])
        has_ratio = closer is not None and closer.ratio is not None
        pattern = closer if has_ratio and not np.all(wrong) else pattern
        there = "" if pattern is None else pattern.text
    return ": ".join(filter(None, [text, there]))
