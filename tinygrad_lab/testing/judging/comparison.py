"""Decide whether a slope is the one that was measured.

Not for: measuring it (``numerical.py``), or what to do where nothing is decided (``slope.py``).
"""

from __future__ import annotations

import math

import numpy as np

from tinygrad_lab.testing.judging.judgement import FAIL, INCONCLUSIVE, PASS, Judgement, Reason
from tinygrad_lab.testing.judging.numerical import BAND, CANCELLED, Estimate

AGREEMENT = 1e-9  # relative; what a correct rule may lose in its own arithmetic
TELLING = 1e-7  # relative; a wider band than this decides nothing
INVISIBLE = 1e-10  # of the size of the function: a slope below this counts as 0
UNDERFLOW = 1e-290  # what is smaller has lost its digits, or all of it


def compare(analytic: float, numeric: Estimate, terms: float = 0.0, size: float = 0.0) -> Judgement:
    """Decide whether a slope is the one that was measured.

    ``terms`` are the magnitudes that ``analytic`` is the sum of, for its own round-off, and
    ``size`` is that of the function.  The resolution is relative to the slope, or, where it
    vanishes, to the terms that cancel in it and the function.

    Examples
    --------
    >>> compare(1.0, Estimate(1.0 + 1e-12, 1e-13)).verdict
    'pass'
    >>> compare(1.000001, Estimate(1.0, 1e-13)).verdict
    'fail'
    >>> compare(1.000001, Estimate(1.0, 1e-5)).verdict
    'inconclusive'
    """

    def judged(verdict: str, resolution: float, reason: Reason | None = None) -> Judgement:
        return Judgement(
            verdict, reason=reason, analytic=analytic, estimate=numeric, resolution=resolution
        )

    if math.isnan(analytic) or math.isinf(analytic):
        settled = math.isfinite(numeric.value) and numeric.error <= 1e-3 * (1 + abs(numeric.value))
        return judged(FAIL if settled else INCONCLUSIVE, math.inf)
    if 0 < max(terms, abs(analytic), abs(numeric.value)) < UNDERFLOW:
        return judged(INCONCLUSIVE, math.inf, Reason.UNDERFLOW)
    uncertain = BAND * numeric.error + 16 * float(np.finfo(np.float64).eps) * terms
    band = uncertain + AGREEMENT * abs(numeric.value)
    reference = max(abs(numeric.value), abs(analytic))
    against = reference if reference > uncertain else max(reference, terms, size)
    resolution = max(band / against, AGREEMENT) if against > 0 else math.inf
    if not math.isfinite(band) or not math.isfinite(numeric.value):
        return judged(INCONCLUSIVE, math.inf)
    if abs(analytic - numeric.value) > band:
        certain = uncertain <= TELLING * max(reference, 1e-3 * terms)
        clear = abs(analytic - numeric.value) > 1000 * uncertain
        return judged(FAIL if certain or clear else INCONCLUSIVE, resolution)
    vanishes = reference <= uncertain <= INVISIBLE * size and abs(analytic) <= CANCELLED * max(
        size, terms
    )
    agrees = band <= TELLING * max(reference, terms) or vanishes or band == 0
    return judged(PASS if agrees else INCONCLUSIVE, resolution)
