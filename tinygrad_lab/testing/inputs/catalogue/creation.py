"""The catalogue of ranges, grids, copies and matrices built from arrays."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from tinygrad_lab.testing.inputs.calls import grid
from tinygrad_lab.testing.inputs.catalogue.families import (
    each, in_a_row, keywords, shaped, table, unary, variants,
)  # fmt: skip

ENDS = [((3,), (3,)), ((), (2,)), ((), ())]
RANGES = [{"num": 4}, {"num": 3, "endpoint": False, "axis": -1}, {"num": 1}, {"num": 0}]
OFFSETS = [{}, *each(k=[1, -2])]

CASES = table({
    np.copy: unary(),
    np.astype: shaped(lambda shape: st.just(((np.float64,), {}))),
    np.full_like: variants(
        [((3,),), ((),)], through=lambda op, value: op(value + np.zeros((2, 1)), value)
    ),
    np.linspace: [
        variants(ENDS, RANGES),
        variants(ENDS, through=lambda op, a, b: op(a, b, 3, retstep=True)[1]),
    ],
    np.logspace: variants(ENDS, [{**options, "base": 2.0} for options in RANGES]),
    np.geomspace: variants(ENDS, RANGES, values=grid(0.75, 3)),
    np.meshgrid: variants(
        [((2,), (3,)), ((2,), (), (3,)), ((2,),)],
        [{}, {"indexing": "ij"}, {"sparse": True}],
        through=in_a_row,
    ),
    np.diag: variants([((3,),), ((3, 4),), ((1,),)], OFFSETS),
    np.diagflat: variants([((3,),), ((2, 2),), ((),)], OFFSETS),
    (np.tril, np.triu): shaped(keywords(k=lambda shape: st.integers(-2, 2)), least=1),
    np.vander: variants([((4,),)], [{}, {"N": 2, "increasing": True}, {"N": 1}, {"N": 0}]),
})  # fmt: skip
