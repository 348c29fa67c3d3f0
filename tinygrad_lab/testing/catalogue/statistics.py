"""The catalogue of order statistics, averages, and the nan-forms."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from tinygrad_lab.testing.catalogue import (
    CASES,
    ENOUGH,
    Call,
    arrays,
    degenerate_versions,
    grid,
    reductions,
    scans,
    shapes,
)
from tinygrad_lab.testing.catalogue.variants import in_a_row, one_of, variants

METHODS = [
    "inverted_cdf", "averaged_inverted_cdf", "closest_observation",
    "interpolated_inverted_cdf", "hazen", "weibull", "linear", "median_unbiased",
    "normal_unbiased", "lower", "higher", "midpoint", "nearest",
]  # fmt: skip


@st.composite
def sortings(draw: Any, op: Any) -> Call:
    shape = draw(shapes())
    axes = [{}, {"axis": 0}, {"axis": -1}, {"axis": None}]
    kwargs = draw(st.sampled_from(axes if shape else axes[-1:]))
    x = draw(arrays(shape, ENOUGH, unique=True))
    return Call(f"{op.__name__}(x, {kwargs})", lambda x: op(x, **kwargs), [x])


QUANTILES_OF_NAN = [0.3, 0.0, [0.5, 1.0]]
QUANTILES = [*QUANTILES_OF_NAN, [[0.1, 0.62], [0.99, 0.25]]]


@st.composite
def quantiles(draw: Any, op: Any, scale: float) -> Call:
    shape = draw(shapes(smallest=1))
    q = draw(st.sampled_from(QUANTILES_OF_NAN if "nan" in op.__name__ else QUANTILES))
    options: dict[str, st.SearchStrategy[Any]] = {
        "method": st.sampled_from(METHODS),
        "axis": st.sampled_from([None, 0, -1, (0, -1)[: len(shape)]] if shape else [None]),
        "keepdims": st.booleans(),
    }
    kwargs = draw(st.fixed_dictionaries({}, optional=options))
    x, q = draw(arrays(shape, ENOUGH, unique=True)), np.multiply(q, scale)
    return Call(f"{op.__name__}(x, {q}, {kwargs})", lambda x: op(x, q, **kwargs), [x])


@st.composite
def with_holes(draw: Any, op: Any, inner: Any) -> Call:
    """A call of ``op`` in which some elements are NaN, never all of a row."""
    made = draw(inner)
    (x,) = made.arrays
    mask = np.zeros(x.shape, dtype=bool)
    if x.size > 1 and x.ndim and "axis=()" not in made.text:
        holes = draw(st.lists(st.integers(0, x.size - 1), max_size=2))
        mask.ravel()[holes] = True
        if any(mask.all(axis=axis).any() for axis in range(x.ndim)) or x.size - mask.sum() < 2:
            mask[...] = False
    f = lambda x: made.f(np.where(mask, np.nan, x))
    return Call(f"{made.text} with NaN at\n{mask}", f, [x])


def holed(op: Any, inner: Any) -> None:
    CASES[op] = with_holes(op, inner)


NO_MASK: dict[str, Any] = {"where": False}
WELL_APART: dict[str, Any] = {"unique": True, "empty": False, **NO_MASK}

holed(np.nansum, reductions(np.nansum, initial=st.sampled_from([0.0, 2.5])))
holed(np.nanprod, reductions(np.nanprod, grid(-2, 2)))
holed(np.nanmean, reductions(np.nanmean, empty=False, **NO_MASK))
holed(np.nanmax, reductions(np.nanmax, ENOUGH, **WELL_APART))
holed(np.nanmin, reductions(np.nanmin, ENOUGH, **WELL_APART))
holed(np.nanvar, reductions(np.nanvar, ENOUGH, **WELL_APART))
holed(np.nanstd, reductions(np.nanstd, ENOUGH, **WELL_APART))
holed(np.nancumsum, scans(np.nancumsum))
holed(np.nancumprod, scans(np.nancumprod))
holed(np.nanmedian, variants(np.nanmedian, [((3, 4),), ((2, 3, 3),), ((5,),)],
                             [{}, {"axis": -1}, {"axis": (0,), "keepdims": True}],
                             unique=True))  # fmt: skip
holed(np.nanquantile, quantiles(np.nanquantile, 1))
holed(np.nanpercentile, quantiles(np.nanpercentile, 100))

MATRICES = [((2, 3),), ((1, 4),), ((3, 3),)]
WEIGHTS = grid(0.5, 2)


@st.composite
def averages(draw: Any) -> Call:
    """Weights of the whole shape, along one axis, or along two in any order; or none."""
    (shape,) = draw(st.sampled_from(degenerate_versions([((2, 3, 4),)])))
    axis = draw(st.sampled_from([None, 0, -1, (2, 0), (1, 2)] if shape else [None]))
    named = axis if isinstance(axis, tuple) else (axis,)
    sides = [shape] if axis is None else [shape, tuple(shape[i] for i in named)]
    x, w = draw(arrays(shape)), draw(arrays(draw(st.sampled_from(sides)), WEIGHTS))
    kwargs = {"axis": axis, "keepdims": draw(st.booleans())}
    if draw(st.booleans()):
        return Call(f"average(x, {kwargs})", lambda x: np.average(x, **kwargs), [x])
    f = lambda x, w: in_a_row(np.average)(x, weights=w, returned=True, **kwargs)
    return Call(f"average(x, weights=w, returned=True, {kwargs})", f, [x, w])


CASES |= {
    np.sort: sortings(np.sort),
    np.sort_complex: variants(
        np.sort_complex,
        [((4,),)],
        through=lambda x: np.imag(np.sort_complex(x) * (1 + 2j)),
        unique=True,
    ),
    np.amax: reductions(np.amax, ENOUGH, **WELL_APART),
    np.amin: reductions(np.amin, ENOUGH, **WELL_APART),
    np.ptp: reductions(np.ptp, ENOUGH, **WELL_APART),
    np.partition: variants(
        np.partition, [((3, 4),), ((4, 4),)], [{"kth": 1}, {"kth": [0, 2], "axis": 0}], unique=True
    ),
    np.median: variants(
        np.median,
        [((3, 4),), ((1, 3, 2),), ((5,),), ((1,),)],
        [{}, {"axis": 0}, {"axis": (0,), "keepdims": True}],
        unique=True,
    ),
    np.quantile: quantiles(np.quantile, 1),
    np.percentile: quantiles(np.percentile, 100),
    np.average: averages(),
    np.cov: one_of(
        variants(np.cov, MATRICES[:1], [{}, {"rowvar": False}, {"bias": True}, {"ddof": 0}]),
        variants(np.cov, [((2, 3), (1, 3)), ((4,), (4,))]),
        variants(
            np.cov,
            [((2, 4), (4,))],
            [{}, {"fweights": np.array([1, 2, 3, 1])}, {"ddof": 0}],
            values=WEIGHTS,
            through=lambda x, w, **kwargs: np.cov(x, aweights=w, **kwargs),
        ),
    ),
    np.corrcoef: variants(
        np.corrcoef,
        [((2, 3),)],
        [{}, {"rowvar": False}],
        through=lambda x, **kw: np.corrcoef(x / 8 + np.array([[1.0, 4, 2], [3, 1, 7]]), **kw),
    ),
}
