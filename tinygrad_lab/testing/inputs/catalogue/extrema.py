"""The catalogue of maxima and minima, between arrays and within one."""

from __future__ import annotations

import numpy as np

from tinygrad_lab.testing.inputs.calls import EIGHTHS, EVERYWHERE
from tinygrad_lab.testing.inputs.catalogue.families import binary, extremes, holed, table

CASES = table({
    (np.maximum, np.minimum, np.fmax, np.fmin): binary(EVERYWHERE, EIGHTHS),
    (np.max, np.amax, np.amin): extremes(),
    np.min: extremes(initial=[5.125]),
    (np.nanmax, np.nanmin): holed(extremes()),
})  # fmt: skip
