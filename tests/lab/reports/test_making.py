"""A section is begun when all that it needs is there, once, and kept soon after it is made."""

from concurrent.futures import Future

import pytest

from tinygrad_lab.lab import Settings
from tinygrad_lab.lab.reports.making import Making, Task

FIRST, SECOND = Settings(epochs=1), Settings(epochs=2)


@pytest.fixture
def begun():
    """The futures of tasks that were begun, by name."""
    return {}


def task(begun, name, *needs):
    def begin(runs):
        assert name not in begun, "it is begun twice"
        assert set(needs) <= runs.keys()
        begun[name] = Future()
        return begun[name]

    return Task(frozenset(needs), begin)


def test_tasks_wait_for_what_they_need(begun):
    needs = {"none": (), "one": (FIRST,), "both": (FIRST, SECOND)}
    making = Making({name: task(begun, name, *each) for name, each in needs.items()})
    assert list(begun) == ["none"]
    making.add(SECOND, [])
    assert list(begun) == ["none"]
    making.add(FIRST, [])
    assert list(begun) == ["none", "one", "both"]


def test_what_is_made_is_kept_while_others_still_wait(begun):
    stored = []
    tasks = {"none": task(begun, "none"), "one": task(begun, "one", FIRST)}
    making = Making(tasks, keep=lambda *each: stored.append(each))
    begun["none"].set_result("text")
    making.add(FIRST, [])
    assert stored == [("none", "text")]
    begun["one"].set_result("more")
    assert making.collect(progress=False) == {"none": "text", "one": "more"}
    assert stored == [("none", "text"), ("one", "more")]


def test_what_is_finished_is_not_begun(begun):
    making = Making({"none": task(begun, "none")}, finished={"none": "earlier"}, keep=pytest.fail)
    assert begun == {}
    assert making.collect(progress=False) == {"none": "earlier"}


def test_an_error_in_a_section_is_an_error_here(begun):
    making = Making({"none": task(begun, "none")})
    begun["none"].set_exception(ZeroDivisionError("in a section"))
    with pytest.raises(ZeroDivisionError, match="in a section"):
        making.collect(progress=False)
