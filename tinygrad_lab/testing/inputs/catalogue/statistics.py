"""The catalogue of sorting, order statistics, averages, correlations and histograms."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from tinygrad_lab.testing.inputs.calls import (
    ENOUGH, Call, Shape, Strategy, arrays, call, degenerate_versions, grid, shapes,
)  # fmt: skip
from tinygrad_lab.testing.inputs.catalogue.families import (
    each, extremes, family, holed, in_a_row, reductions, shaped, table, variants,
)  # fmt: skip

METHODS = [
    "inverted_cdf", "averaged_inverted_cdf", "closest_observation",
    "interpolated_inverted_cdf", "hazen", "weibull", "linear", "median_unbiased",
    "normal_unbiased", "lower", "higher", "midpoint", "nearest",
]  # fmt: skip
FLAT = [0.3, 0.0, [0.5, 1.0]]
MATRICES = [((2, 3),), ((1, 4),), ((3, 3),)]
WEIGHTS = grid(0.5, 2)


def sorted_axes(shape: Shape) -> Strategy[Any]:
    """Any axis to sort along, or all elements at once."""
    axes = [{}, *each(axis=[0, -1, None])] if shape else [{"axis": None}]
    return st.sampled_from([((), options) for options in axes])


@family
def quantiles(draw: Any, op: Any, among: list[Any], scale: float) -> Call:
    """Quantiles ``among`` some, times ``scale``, by any method, along any axis."""
    shape = draw(shapes(smallest=1))
    q = draw(st.sampled_from(among))
    kwargs = draw(st.fixed_dictionaries({}, optional={
        "method": st.sampled_from(METHODS),
        "axis": st.sampled_from([None, 0, -1, (0, -1)[: len(shape)]] if shape else [None]),
        "keepdims": st.booleans(),
    }))  # fmt: skip
    return call(op, [draw(arrays(shape, ENOUGH, unique=True))], np.multiply(q, scale), **kwargs)


@family
def averages(draw: Any, op: Any) -> Call:
    """Weights of the whole shape, along one axis, or along two in any order; or none."""
    (shape,) = draw(st.sampled_from(degenerate_versions([((2, 3, 4),)])))
    axis = draw(st.sampled_from([None, 0, -1, (2, 0), (1, 2)] if shape else [None]))
    sides = [shape] if axis is None else [shape, tuple(np.array(shape)[np.atleast_1d(axis)])]
    x, w = draw(arrays(shape)), draw(arrays(draw(st.sampled_from(sides)), WEIGHTS))
    kwargs = {"axis": axis, "keepdims": draw(st.booleans())}
    if draw(st.booleans()):
        return call(op, [x], **kwargs)
    f = lambda x, w: in_a_row(op, x, weights=w, returned=True, **kwargs)
    return Call(f"average(x, weights=w, returned=True, {kwargs})", f, [x, w])


CASES = table({
    np.sort: shaped(sorted_axes, unique=True),
    np.sort_complex: variants(
        [((4,),)], through=lambda op, x: np.imag(op(x) * (1 + 2j)), unique=True
    ),
    np.partition: variants(
        [((3, 4),), ((4, 4),)], [{"kth": 1}, {"kth": [0, 2], "axis": 0}], unique=True
    ),
    np.mean: reductions(empty=False),
    np.nanmean: holed(reductions(empty=False, where=False)),
    np.var: reductions(empty=False, options={"ddof": [0, 1, 0.5]}),
    np.std: reductions(ENOUGH, unique=True, empty=False, options={"correction": [0, 1]}),
    (np.nanvar, np.nanstd): holed(extremes()),
    np.ptp: extremes(),
    np.median: variants(
        [((3, 4),), ((1, 3, 2),), ((5,),), ((1,),)],
        [{}, {"axis": 0}, {"axis": (0,), "keepdims": True}], unique=True,
    ),
    np.nanmedian: holed(variants(
        [((3, 4),), ((2, 3, 3),), ((5,),)],
        [{}, {"axis": -1}, {"axis": (0,), "keepdims": True}], unique=True,
    )),
    np.quantile: quantiles([*FLAT, [[0.1, 0.62], [0.99, 0.25]]], 1),
    np.percentile: quantiles([*FLAT, [[0.1, 0.62], [0.99, 0.25]]], 100),
    np.nanquantile: holed(quantiles(FLAT, 1)),
    np.nanpercentile: holed(quantiles(FLAT, 100)),
    np.average: averages(),
    np.cov: [
        variants(MATRICES[:1], [{}, {"rowvar": False}, {"bias": True}, {"ddof": 0}]),
        variants([((2, 3), (1, 3)), ((4,), (4,))]),
        variants(
            [((2, 4), (4,))], [{}, {"fweights": np.array([1, 2, 3, 1])}, {"ddof": 0}],
            values=WEIGHTS, through=lambda op, x, w, **kw: op(x, aweights=w, **kw),
        ),
    ],
    np.corrcoef: variants(
        [((2, 3),)], [{}, {"rowvar": False}],
        through=lambda op, x, **kw: op(x / 8 + np.array([[1.0, 4, 2], [3, 1, 7]]), **kw),
    ),
    np.bincount: variants(
        [((4,),)], [{}, {"minlength": 7}],
        through=lambda op, w, **kw: op(np.array([0, 3, 3, 1]), w, **kw),
    ),
    np.histogram_bin_edges: variants(  # of nothing they are constant
        [((5,),)], [{}, {"bins": 3}], unique=True, never=["zero-size"]
    ),
    np.histogram: variants(
        [((5,),)], [{}, {"density": True}, {"bins": 3, "range": (0, 2)}], values=grid(0.75, 3),
        through=lambda op, w, **kw: op([0.1, 2.0, 1.1, 0.7, 1.9], weights=w, **kw)[0],
    ),
})  # fmt: skip
