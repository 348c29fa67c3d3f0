"""What was wrong in public code is found, and said in the words that are on the page about it."""

import pytest

from tests.testing.wild.cases import CASES
from tinygrad_lab import testing as tgt


@pytest.mark.parametrize("name", CASES)
def test_a_mistake_is_found_and_named(name):
    case = CASES[name]
    with pytest.raises(tgt.GradientError) as caught:
        case.check()
    assert caught.value.finding.kind == case.kind
    assert f"({case.named})" in str(caught.value) or not case.named
    assert [words for words in case.said if words not in str(caught.value)] == []


@pytest.mark.parametrize("name", CASES)
def test_its_right_twin_passes(name):
    report = CASES[name].check(right=True)
    assert report.verdict == "pass"
    assert report.notes == []


@pytest.mark.parametrize("name", CASES)
def test_the_glue_is_of_at_most_three_lines(name):
    assert len(CASES[name].glue.splitlines()) <= 3
