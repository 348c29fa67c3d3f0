"""The catalogue of interpolation, convolution and correlation."""

from __future__ import annotations

import numpy as np

from tinygrad_lab.testing.inputs.catalogue.families import each, table, variants

POINTS = np.array([0.0, 0.5, 1.25, 2.0])
BETWEEN = [-0.5, 0.15, 0.3, 0.75, 1.0, 1.6, 2.3]  # no point within 1/16
PAIRS = [((4,), (3,)), ((2,), (4,)), ((3,), (3,)), ((1,), (2,)), ((4,), (2,))]

CASES = table({
    np.interp: [
        variants(
            [((5,), (4,)), ((2, 2), (4,))],
            [{}, {"left": 1.0}, {"right": -1.0}],
            values=BETWEEN,
            through=lambda op, x, f, **kw: op(x, POINTS, f, **kw),
        ),
        variants(
            [((3,), (4,))],
            values=BETWEEN,
            through=lambda op, x, f: op(x * 0.8 + 0.03, POINTS[::-1], f, period=1.9),
        ),
        variants([((4,), (4,))], through=lambda op, xp, f: op(
            BETWEEN, POINTS + np.tanh(xp) / 64, f, left=np.sum(xp), right=np.sum(f)
        )),
    ],
    (np.convolve, np.correlate): variants(PAIRS, each(mode=["full", "same", "valid"])),
})  # fmt: skip
