"""The catalogue of sums, products, differences and integrals."""

from __future__ import annotations

import numpy as np

from tinygrad_lab.testing.inputs.calls import EVERYWHERE, grid
from tinygrad_lab.testing.inputs.catalogue.families import (
    each, holed, in_a_row, reductions, scans, table, variants,
)  # fmt: skip

LINE, MATRIX = [((4,),)], [((3, 4),)]
STEPS = grid(0.5, 2)
SPACED = each(axis=[0, -1], edge_order=[1, 2])

CASES = table({
    np.sum: reductions(options={"initial": [0.0, 2.5], "dtype": [np.float64]}),
    np.prod: reductions(grid(-2, 2), options={"initial": [1.0, -2.0]}),
    np.nansum: holed(reductions(options={"initial": [0.0, 2.5]})),
    np.nanprod: holed(reductions(grid(-2, 2))),
    (np.cumsum, np.cumprod): scans(),
    (np.nancumsum, np.nancumprod): holed(scans()),
    ("cumulative_sum", "cumulative_prod"): [
        variants(LINE, [{}, {"include_initial": True}], values=EVERYWHERE),
        variants(
            [((2, 3, 4),)],
            [{"axis": -2, "include_initial": True}, {"axis": 0}],
            values=EVERYWHERE,
        ),
    ],
    np.diff: [
        variants(MATRIX, [{}, *each(n=[0, 2, 6]), {"axis": 0, "append": 2.0}]),
        variants(
            [((3, 4), (1, 4)), ((3, 4), ())],
            through=lambda op, x, end: op(x, axis=0, prepend=end, append=end),
        ),
    ],
    np.ediff1d: [
        variants(LINE + MATRIX),
        variants([((4,), (2,))], through=lambda op, x, end: op(x, end, 1.0)),
    ],
    np.gradient: [
        variants([((3, 4),), ((3, 3, 3),)], through=in_a_row),
        variants(
            [((3, 4),), ((3,),)], SPACED[:2], through=lambda op, x, **kw: op(x, 0.5, **kw)
        ),
        variants(  # coordinates have to increase
            [((4, 4), (4,))],
            SPACED,
            values=STEPS,
            through=lambda op, x, steps, **kw: op(x, np.cumsum(steps), **kw),
        ),
        variants([((3,), ())], values=STEPS),
    ],
    np.trapezoid: [
        variants(MATRIX, [{}, {"axis": 0}, {"dx": 0.5}]),
        variants([((3, 4), (4,)), ((3, 4), (3, 4)), ((4,), (4,))]),
        variants([((3, 4), (3,))], [{"axis": 0}]),
    ],
    "trapz": np.trapezoid,
})  # fmt: skip
