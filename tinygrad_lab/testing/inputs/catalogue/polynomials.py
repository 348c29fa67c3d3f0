"""The catalogue of polynomials, interpolation, convolution and correlation."""

from __future__ import annotations

import numpy as np

from tinygrad_lab.testing.inputs.calls import grid
from tinygrad_lab.testing.inputs.catalogue.families import each, table, variants

LINE = [((4,),)]
SMALL = grid(-0.25, 0.25)
POINTS = np.array([0.0, 0.5, 1.25, 2.0])
BETWEEN = [-0.5, 0.15, 0.3, 0.75, 1.0, 1.6, 2.3]  # no point within 1/16

CASES = table({
    np.polyval: variants([((3,), (2, 2)), ((1,), ()), ((4,), (0,))]),
    np.polymul: variants([((3,), (2,)), ((1,), (2,))], values=grid(0.75, 3)),
    (np.polyadd, np.polysub): variants([((3,), (2,)), ((1,), (2,)), ((2,), (2,))]),
    np.polydiv: variants(
        [((4,), (2,)), ((3,), (3,)), ((3,), (1,))], values=[1, 2, 0.5, -2, 4],
        through=lambda op, u, v: op(u, v)[0], never=["zero-size"],  # a constant
    ),
    np.polyder: variants(LINE, each(m=[0, 1, 2])),
    np.polyint: [
        variants(LINE, [{}, {"m": 2, "k": 1.0}, {"m": 2, "k": [1.0, -1.0]}]),
        variants([((3,),)], through=lambda op, p: op(p, 2, p[1:])),
    ],
    np.poly: [
        variants([((3,),), ((1,),)], never=["zero-size"]),  # a constant
        variants(
            [((3, 3),)], values=grid(-0.5, 0.5),
            through=lambda op, a: op(a + np.diag([1.0, 4, 9])),
        ),
    ],
    np.roots: variants(LINE, values=SMALL, through=lambda op, p: op(
        np.concatenate([[0.0], p / 32 + np.array([1.0, -14, 49, -36]), [0.0]])
    )),
    np.polyfit: [
        variants(
            [((4,), (4,)), ((4,), (4, 2))], each(deg=[1, 2]), values=SMALL,
            through=lambda op, x, y, deg: op(x + np.arange(4), y, deg),
        ),
        variants(
            [((4,), (4,))], values=grid(0.5, 2),
            through=lambda op, w, y: op(np.arange(4.0), y, 1, w=w),
        ),
    ],
    np.interp: [
        variants(
            [((5,), (4,)), ((2, 2), (4,))], [{}, {"left": 1.0}, {"right": -1.0}], values=BETWEEN,
            through=lambda op, x, f, **kw: op(x, POINTS, f, **kw),
        ),
        variants(
            [((3,), (4,))], values=BETWEEN,
            through=lambda op, x, f: op(x * 0.8 + 0.03, POINTS[::-1], f, period=1.9),
        ),
        variants([((4,), (4,))], through=lambda op, xp, f: op(
            BETWEEN, POINTS + np.tanh(xp) / 64, f, left=np.sum(xp), right=np.sum(f)
        )),
    ],
    (np.convolve, np.correlate): variants(
        [((4,), (3,)), ((2,), (4,)), ((3,), (3,)), ((1,), (2,)), ((4,), (2,))],
        each(mode=["full", "same", "valid"]),
    ),
})  # fmt: skip
