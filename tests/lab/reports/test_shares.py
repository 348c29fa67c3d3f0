"""Shares and spreads over seeds: what their words and intervals mean, whatever the runs."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_lab.lab.reports.shares import WORDS, Share, Spread

SHARES = st.integers(1, 200).flatmap(lambda n: st.builds(Share, st.integers(0, n), st.just(n)))
NUMBERS = st.floats(-100, 100) | st.just(math.inf)
VALUES = st.lists(NUMBERS, min_size=1, max_size=40)


class TestShare:
    """A word that follows from the count, and Wilson's interval."""

    @given(SHARES)
    def test_one_more_run_never_lowers_the_grade(self, share):
        better = Share(min(share.count + 1, share.of), share.of)
        assert WORDS.index(better.word) <= WORDS.index(share.word)
        assert better.interval >= share.interval

    @given(SHARES)
    def test_the_interval_holds_the_share(self, share):
        low, high = share.interval
        assert 0 <= low <= share.value <= high <= 1

    @given(SHARES)
    def test_the_interval_of_the_others_is_its_mirror(self, share):
        low, high = Share(share.of - share.count, share.of).interval
        assert share.interval == pytest.approx((1 - high, 1 - low))

    @pytest.mark.parametrize(
        ("count", "word"),
        [
            *((0, "none"), (1, "hardly any"), (9, "hardly any"), (10, "some"), (50, "some")),
            *((51, "most"), (100, "most")),
        ],
    )
    def test_words(self, count, word):
        assert Share(count, 100).word == word

    def test_the_true_share_is_at_wilsons_ends_exactly_so_unlikely(self):
        """Where the normal approximation puts the count at 1.96 standard errors: its definition."""
        for count, n in product((1, 7, 20), (20, 100)):
            for p in Share(count, n).interval:
                error = math.sqrt(p * (1 - p) / n)
                assert abs(count / n - p) == pytest.approx(1.959964 * error, abs=1e-7)


class TestSpread:
    """Order statistics, infinities among them."""

    @given(VALUES)
    def test_the_numbers_are_those_of_runs_in_order(self, values):
        s = Spread.of(values)
        five = [s.lowest, s.quartile_1, s.median, s.quartile_3, s.highest]
        assert five == sorted(five)
        assert set(five) <= set(values)
        assert (s.lowest, s.highest) == (min(values), max(values))
        assert 2 * sum(v <= s.median for v in values) > len(values)
        assert 2 * sum(v >= s.median for v in values) >= len(values)

    @given(VALUES, st.randoms(use_true_random=False))
    def test_the_order_of_the_runs_does_not_matter(self, values, random):
        shuffled = list(values)
        random.shuffle(shuffled)
        assert Spread.of(shuffled) == Spread.of(values)

    @given(VALUES)
    def test_the_interval_holds_the_median(self, values):
        interval = Spread.of(values).interval
        assert (interval is None) == (len(values) < 6)
        if interval:
            assert interval[0] <= Spread.of(values).median <= interval[1]

    @given(st.lists(st.integers(-100, 100), min_size=1))
    def test_of_an_odd_number_the_median_is_numpys(self, values):
        if len(values) % 2:
            assert Spread.of(values).median == np.median(values)

    def test_half_of_the_runs_never_get_there(self):
        never = [math.inf] * 10
        assert Spread.of([*range(11), *never]).median == 10
        assert math.isinf(Spread.of([*range(9), *never]).median)

    @pytest.mark.parametrize("n", [6, 20, 100])
    def test_the_interval_covers_the_true_median_in_95_of_100_draws(self, n):
        rng = np.random.default_rng(n)
        draws = rng.standard_normal((4000, n))
        intervals = np.array([Spread.of(draw).interval for draw in draws])
        covered = np.mean((intervals[:, 0] <= 0) & (intervals[:, 1] >= 0))
        assert 0.945 < covered < 0.98

    def test_nothing_to_sum_up(self):
        with pytest.raises(ValueError, match="no runs"):
            Spread.of([])
