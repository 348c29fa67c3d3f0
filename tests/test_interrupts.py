"""The harness that interrupts at every line: what it notices, and what it does not mistake."""

import threading
from contextlib import suppress

import pytest

from tests.interrupts import assert_all_or_none, interrupted_everywhere

HERE = "test_interrupts.py"


def halfway(pair):
    pair["a"] += 1
    pair["b"] += 1


def at_once(pair):
    a = pair["a"] + 1
    b = pair["b"] + 1
    pair.update(a=a, b=b)


def restored(pair):
    before = dict(pair)
    try:
        halfway(pair)
    except BaseException:
        pair.update(before)
        raise


def make():
    return {"a": 1, "b": 1}


def test_every_line_and_every_end_is_tried():
    places = [place for place, _ in interrupted_everywhere(make, restored, dict, within=HERE)]
    lines = [place.split()[0] for place in places]
    assert len(set(lines)) == 5  # the lines in front of the interrupt, in both functions
    assert sum("return" in place for place in places) == 2
    assert all(place.startswith(HERE) for place in places)


def test_what_is_half_done_is_noticed():
    with pytest.raises(AssertionError, match=r"half done .*test_interrupts.py:\d+ \(line in half"):
        assert_all_or_none(make, halfway, dict, within=HERE)


@pytest.mark.parametrize("action", [at_once, restored])
def test_what_is_all_or_none_passes(action):
    assert assert_all_or_none(make, action, dict, within=HERE) >= 4


def test_a_lock_is_always_given_back():
    lock = threading.Lock()

    def locked(pair):
        with lock:
            at_once(pair)
        with lock, suppress(KeyError):
            at_once(pair)
            pair["c"] += 1

    places = [place for place, _ in interrupted_everywhere(make, locked, dict, within=HERE)]
    assert len(places) > 10
    assert not lock.locked()


def test_an_action_of_other_files_is_no_proof():
    with pytest.raises(AssertionError, match="no line of"):
        assert_all_or_none(make, halfway, dict)


def test_an_error_of_the_action_itself_is_not_hidden():
    def stop(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(interrupted_everywhere(make, stop, dict, within=HERE))
