"""The catalogue of polynomials."""

from __future__ import annotations

import numpy as np

from tinygrad_lab.testing.inputs.calls import grid
from tinygrad_lab.testing.inputs.catalogue.families import each, table, variants

LINE = [((4,),)]
SMALL = grid(-0.25, 0.25)

CASES = table({
    np.polyval: variants([((3,), (2, 2)), ((1,), ()), ((4,), (0,))]),
    np.polymul: variants([((3,), (2,)), ((1,), (2,))], values=grid(0.75, 3)),
    (np.polyadd, np.polysub): variants([((3,), (2,)), ((1,), (2,)), ((2,), (2,))]),
    np.polydiv: variants(
        [((4,), (2,)), ((3,), (3,)), ((3,), (1,))],
        values=[1, 2, 0.5, -2, 4],
        through=lambda op, u, v: op(u, v)[0],
        never=["zero-size"],  # a constant
    ),
    np.polyder: variants(LINE, each(m=[0, 1, 2])),
    np.polyint: [
        variants(LINE, [{}, {"m": 2, "k": 1.0}, {"m": 2, "k": [1.0, -1.0]}]),
        variants([((3,),)], through=lambda op, p: op(p, 2, p[1:])),
    ],
    np.poly: [
        variants([((3,),), ((1,),)], never=["zero-size"]),  # a constant
        variants(
            [((3, 3),)],
            values=grid(-0.5, 0.5),
            through=lambda op, a: op(a + np.diag([1.0, 4, 9])),
        ),
    ],
    np.roots: variants(LINE, values=SMALL, through=lambda op, p: op(
        np.concatenate([[0.0], p / 32 + np.array([1.0, -14, 49, -36]), [0.0]])
    )),
    np.polyfit: [
        variants(
            [((4,), (4,)), ((4,), (4, 2))],
            each(deg=[1, 2]),
            values=SMALL,
            through=lambda op, x, y, deg: op(x + np.arange(4), y, deg),
        ),
        variants(
            [((4,), (4,))],
            values=grid(0.5, 2),
            through=lambda op, w, y: op(np.arange(4.0), y, 1, w=w),
        ),
    ],
})  # fmt: skip
