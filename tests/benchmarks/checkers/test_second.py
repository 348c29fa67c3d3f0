"""The second list is what it says: numbers of the right twins are right, those of the others not.

How the checker fares with it is measured by ``python -m benchmarks.checkers.second``.
"""

import os
import warnings

import numpy as np
import pytest

from benchmarks.checkers.second import is_noticed, pairs
from tinygrad_lab import testing as tgt

PAIRS = pairs()
#: The list changes seldom: by day every fourth, all of them in the thorough tests.
TRIED = PAIRS if os.environ.get("HYPOTHESIS_PROFILE") == "thorough" else PAIRS[::4]
#: Wrong in something else than the numbers of one call, or not noticed by the checker as it is.
NOT_BY_NUMBERS = {
    "upstream read as if contiguous", "another gradient in each call",
    "backward that writes into what was saved", "backward that detaches its upstream",
    "gradient of a product of one 0 loses its axis",
}  # fmt: skip


def test_there_are_sixty_and_each_has_a_report():
    assert len(PAIRS) >= 60
    assert len({pair.name for pair in PAIRS}) == len(PAIRS)
    assert all("#" in pair.source for pair in PAIRS)


@pytest.mark.parametrize("pair", TRIED, ids=lambda pair: pair.name)
def test_the_right_twin_is_right_and_the_other_is_not(pair):
    inputs = pair.inputs(np.random.default_rng(0))
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        options = {**pair.options, "properties": "numbers", "raises": False}
        if not pair.options:
            assert tgt.gradcheck(pair.right(), *inputs, **options).verdict != "fail"
    if pair.name not in NOT_BY_NUMBERS:
        assert is_noticed(pair, "wrong", 0)[0] == "fail"
