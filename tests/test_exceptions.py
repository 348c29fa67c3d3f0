"""Every exception of the package can be sent to another process and back."""

import copyreg
import gc
import importlib
import inspect
import io
import pickle
import pkgutil
import weakref
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest

import tinygrad_lab
import tinygrad_lab as tl
import tinygrad_lab.testing as tgt
from tinygrad_lab.lab.runner import Interrupted
from tinygrad_lab.lab.settings import Settings
from tinygrad_lab.lab.training import DivergedError, train
from tinygrad_lab.testing.judging.judgement import Kind, Misbehaved, Site

DIVERGING = Settings(activation="none", lr=9.0, epochs=50)

#: How to make those that are not made of a message.
MAKERS = {
    DivergedError: lambda: DivergedError(7, Settings(reduction="sum")),
    Interrupted: lambda: Interrupted({}, 3),
    Misbehaved: lambda: Misbehaved(Kind.UNTRACKED, Site(input=1), ways="detach()"),
}


def every_exception():
    for module in pkgutil.walk_packages(tinygrad_lab.__path__, "tinygrad_lab."):
        if module.name.endswith("backends.elementary"):  # it needs Numba, and raises nothing
            continue
        for value in vars(importlib.import_module(module.name)).values():
            if not (inspect.isclass(value) and issubclass(value, BaseException)):
                continue
            if value.__module__.startswith("tinygrad_lab"):
                yield value


EVERY = sorted(set(every_exception()), key=lambda kind: kind.__name__)


def pickled(error):
    """As Python pickles errors, though Dask may have been imported, which has its own way."""
    buffer = io.BytesIO()
    pickler = pickle.Pickler(buffer)
    pickler.dispatch_table = {
        kind: reduce
        for kind, reduce in copyreg.dispatch_table.items()
        if not issubclass(kind, BaseException)
    }
    pickler.dump(error)
    return buffer.getvalue()


def assert_survives(error):
    again = pickle.loads(pickled(error))
    assert type(again).__name__ == type(error).__name__
    assert isinstance(error, type(again))
    assert (str(again), repr(again.args)) == (str(error), repr(error.args))
    assert vars(again).keys() == vars(error).keys()
    return again


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.__name__)
def test_an_exception_survives_pickle(kind):
    error = MAKERS.get(kind, lambda: kind("what was wrong"))()
    error.add_note("and where")
    assert assert_survives(error).__notes__ == ["and where"]


def test_the_walk_finds_them():
    assert {DivergedError, tgt.GradientError, *MAKERS} <= set(EVERY)


def raised(action):
    with pytest.raises(Exception) as error:
        action()
    return error.value


def wrong(x):
    return deep(lost(x))


def deep(x):
    for _ in range(400):
        x = x + 0.001
    return x


@tl.primitive
def lost(x):
    return x**3


tl.defvjp(lost, lambda g, y, x: g * x)


def tracked(shape=(3,)):
    return tl.tensor(np.ones(shape), requires_grad=True)


@pytest.mark.parametrize(
    "action",
    [
        lambda: tgt.gradcheck(lambda x: 1 / 0, np.ones(3)),
        lambda: np.sum(tracked(), axis=4),
        lambda: np.linalg.inv(tracked((3, 3))),
        lambda: tracked((3, 3)) @ np.ones(4),
        lambda: tracked().backward(),
        lambda: np.round(tracked()).backward(),
        lambda: np.array([tracked()]),
        lambda: np.busday_count(tracked(), 1),
        lambda: tl.nn.Linear(3, 2)(tracked((4,))),
        lambda: tl.grad(lambda x: x)(np.ones(3)),
    ],
)
def test_an_error_as_it_is_raised_survives_pickle(action):
    assert_survives(raised(action))


def test_a_gradient_error_brings_its_report_and_leaves_the_graph():
    error = raised(lambda: tgt.gradcheck(wrong, np.ones(3)))
    again = assert_survives(error)
    assert error.finding.blame is not None
    assert again.finding.blame is None
    assert str(again.report).splitlines()[:3] == str(error.report).splitlines()[:3]


def test_an_error_in_a_pool_comes_home():
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        error = raised(pool.submit(train, DIVERGING).result)
    assert isinstance(error, DivergedError)
    assert error.epoch > 0


def boom(x):
    raise OverflowError("too much")


def misshapen(x):
    return x.reshape(7)


@pytest.mark.parametrize("function", [wrong, boom, misshapen])
def test_a_failing_check_is_freed_when_its_error_is(function):
    def fails():
        checked = lambda x: function(x)
        try:
            tgt.gradcheck(checked, np.ones(3))
        except tgt.GradientError:
            return weakref.ref(checked)

    gc.collect()
    gc.disable()
    try:
        assert fails()() is None
    finally:
        gc.enable()
