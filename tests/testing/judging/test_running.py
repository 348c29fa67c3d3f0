"""What the user wrote runs as the user has set things up, and leaves them so."""

import random
import warnings

import numpy as np
import pytest

from tinygrad_lab import testing as tgt
from tinygrad_lab.testing.judging import running

X = np.array([0.5, -1.0, 3.0])


def careful_log(x):
    """A function that counts on the settings around it: it is 0 where log would be infinite."""
    try:
        return np.log(np.maximum(x, 0.0)).sum()
    except FloatingPointError:
        return np.log(x[x > 0]).sum()


def by_hand(f, slope):
    return tgt.adapters.numpy(f, lambda g, x: g * slope(x))


def test_what_raises_for_the_user_raises_in_the_function():
    f = by_hand(careful_log, lambda x: np.where(x > 0, 1 / x, 0.0))
    with np.errstate(divide="raise"):
        assert tgt.gradcheck(f, X).verdict == "pass"
    wrong = by_hand(careful_log, lambda x: np.where(x > 0, 2 / x, 0.0))
    with np.errstate(divide="raise"), pytest.raises(tgt.GradientError, match="is wrong"):
        tgt.gradcheck(wrong, X)


def test_what_calls_back_does_so():
    heard = []
    f = by_hand(lambda x: np.sin(x + 0 * np.exp(800 * x[2])), np.cos)
    with np.errstate(over="call"), np.errstate(call=lambda *error: heard.append(error)):
        tgt.gradcheck(f, X, properties="well_formed", raises=False)
    assert {what for what, _ in heard} == {"overflow"}


def test_settings_come_back_whatever_happens():
    modes = []

    def f(x):
        modes.append(np.geterr()["under"])
        raise KeyError

    with np.errstate(under="raise", over="warn"):
        before = np.geterr()
        tgt.gradcheck(by_hand(f, np.cos), X, raises=False)
        assert np.geterr() == before
    assert modes == ["raise"]


def test_what_only_warns_is_silent(recwarn):
    f = by_hand(lambda x: np.exp(x) + 0 * (1 / (x - x)), np.exp)
    tgt.gradcheck(f, X, raises=False)
    assert not list(recwarn)


def test_a_warning_of_the_function_itself_is_heard_at_the_point_alone():
    def f(x):
        if not np.array_equal(x, X):
            warnings.warn("far from home", stacklevel=1)
        warnings.warn("here", stacklevel=1)
        return np.sin(x)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        tgt.gradcheck(by_hand(f, np.cos), X)
    assert {str(w.message) for w in caught} == {"here"}


def test_global_generators_go_on_as_if_nothing_had_been():
    def seeded(x):
        np.random.seed(3)  # noqa: NPY002
        random.seed(3)
        return x * np.random.uniform(size=x.shape)  # noqa: NPY002

    def slope(x):
        return seeded(np.ones_like(x))

    np.random.seed(0)  # noqa: NPY002
    random.seed(0)
    expected = np.random.uniform(), random.random()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    random.seed(0)
    assert tgt.gradcheck(by_hand(seeded, slope), X).passed
    assert (np.random.uniform(), random.random()) == expected  # noqa: NPY002


def test_a_budget_counts_calls_and_ends():
    with running.within(None) as budget, running.checking():
        for _ in range(3):
            with running.as_the_user_has_it():
                pass
    assert budget.calls == 3 and not budget.is_spent
    with (
        running.within(0.0), running.within(60.0), running.checking(),
        pytest.raises(running.OutOfTime), running.as_the_user_has_it(),
    ):  # fmt: skip
        pass
    with running.as_the_user_has_it():  # outside of a check nothing holds
        pass


def test_being_out_of_time_is_no_error_of_the_function():
    assert not issubclass(running.OutOfTime, Exception)


# ---------------------------------------------------------------------------------------------
# Random numbers


OWN = np.random.default_rng(0)


class Noisy:
    """A layer with a generator of its own."""

    def __init__(self):
        self.source = np.random.default_rng(0)

    def __call__(self, x):
        return x * self.source.random(x.shape)


def closed_over():
    old = np.random.RandomState(0)
    return lambda x: x * old.rand(*x.shape)


@pytest.mark.parametrize(
    ("f", "source"),
    [
        (lambda x: x * np.random.random(x.shape), "NumPy's global generator"),  # noqa: NPY002
        (lambda x: x * random.random(), "the generator of Python's random"),
        (lambda x: x * OWN.random(x.shape), "the generator OWN"),
        (Noisy(), "the generator source"),
        (closed_over(), "the generator old"),
        (lambda x: x * random.random() * OWN.random(x.shape), "several generators"),
    ],
)
def test_a_random_function_is_told_where_its_numbers_come_from(f, source):
    report = tgt.gradcheck(f, X, raises=False)
    assert [finding.kind for finding in report.findings] == ["random"]
    assert report.findings[0].text.endswith(f"draws from {source}")


def test_a_function_that_remembers_is_not_called_random():
    calls = [0]

    def counting(x):
        calls[0] += 1
        return x * calls[0]

    report = tgt.gradcheck(counting, X, raises=False)
    assert [finding.kind for finding in report.findings] == ["global state"]
