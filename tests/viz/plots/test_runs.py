"""A median or a percentile of runs is what one of them gave, in curves as in tables."""

from __future__ import annotations

import statistics

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_lab.lab.reports.shares import Spread
from tinygrad_lab.viz.plots.runs import median, percentiles

NUMBERS = st.lists(st.floats(0, 9) | st.just(np.inf), min_size=1, max_size=9)


@given(NUMBERS)
def test_curves_and_tables_have_one_median(values):
    (line,) = percentiles(np.array([values]).T, [50])
    assert line == median(values) == Spread.of(values).median == statistics.median_high(values)


@given(NUMBERS, st.lists(st.floats(0, 100), min_size=1), st.integers(0, 3))
def test_percentiles_are_numbers_of_the_runs_that_are_left(values, percents, lost):
    column = np.array([*values, *[np.nan] * lost])[:, None]
    each = percentiles(column, sorted(percents))[:, 0]
    assert set(each) <= set(values)
    assert np.array_equal(each, np.sort(each))


def test_where_no_run_is_left_there_is_no_number():
    assert np.isnan(percentiles(np.full((2, 1), np.nan), [0, 50, 100])).all()
