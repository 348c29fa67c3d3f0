"""``jit`` and ``repeat`` on compiled loops: what eager calls give, whatever happens on the way."""

from __future__ import annotations

import sys
import warnings
from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tl
from tinygrad_lab import nn, optim
from tinygrad_lab.transforms.jit import function, repetition
from tinygrad_lab.warnings import CompilingWarning

pytest.importorskip("numba", exc_type=ImportError)

from tinygrad_lab.transforms.jit.backends import cache

F = nn.functional
X = np.random.default_rng(0).uniform(size=(30, 2))
Y = (X[:, :1] < X[:, 1:]).astype(float)


@pytest.fixture(autouse=True)
def _no_folder(monkeypatch):
    monkeypatch.setenv("TINYGRAD_LAB_CACHE", "")
    monkeypatch.setattr(cache, "_refused", set())


def problem(make: Any = optim.SGD, **settings: Any) -> tuple[Any, Any]:
    model = nn.Linear(2, 1, rng=0)  # small: the kernel is compiled faster
    return model, make(model.parameters(), lr=0.1, **settings)


def step(model: Any, optimizer: Any) -> Any:
    loss = F.mse_loss(model(X), Y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss


def backends(jitted: Any) -> list[str]:
    return [r.backend for each in jitted._recordings.values() for r in each]


def assert_close(x: Any, y: Any) -> None:
    np.testing.assert_allclose(x, y, rtol=1e-9, atol=1e-13)


def assert_same_state(here: Any, there: Any) -> None:
    for p, q in zip(here.parameters(), there.parameters(), strict=True):
        assert_close(q.data, p.data)
        assert (p.grad is None) == (q.grad is None)
        if p.grad is not None:
            assert_close(q.grad, p.grad)


@pytest.fixture
def loops(monkeypatch):
    """How many calls each loop made."""
    done: list[int] = []
    served = function.Jitted.served

    def counted(self: Any, recording: Any, run: Any, args: Any, kwargs: Any, *count: Any) -> Any:
        result = served(self, recording, run, args, kwargs, *count)
        done.extend(number() for number in count)
        return result

    monkeypatch.setattr(function.Jitted, "served", counted)
    return done


class TestJit:
    """One call at a time."""

    def test_training(self):
        here, there = problem(optim.Adam), problem(optim.Adam)
        jitted = tl.jit(step, backend="numba")
        for _ in range(6):
            assert_close(jitted(*there).item(), step(*here).item())
        assert_same_state(here[0], there[0])
        assert backends(jitted)[0] == "numba"
        assert "numba: " in jitted.report()

    def test_it_goes_over_when_a_program_has_served_for_a_while(self, monkeypatch):
        jobs: list[Any] = []
        monkeypatch.setattr(function, "in_background", jobs.append)
        jitted = tl.jit(lambda x: np.tanh(x) * 2)
        for _ in range(function._PATIENCE + 5):
            jitted(X)
        assert (len(jobs), backends(jitted)) == (1, ["numpy"])
        jobs[0]()
        assert backends(jitted) == ["numba"]
        assert_close(jitted(X), np.tanh(X) * 2)

    def test_without_numba_it_is_said_once(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "numba", None)
        jitted = tl.jit(lambda x: x * 2, backend="numba")
        jitted(X)
        with pytest.warns(CompilingWarning, match=r"pip install .tinygrad-lab\[fast\]"):
            jitted(X)
        assert np.array_equal(jitted(X), X * 2)
        assert backends(jitted) == ["numpy"]

    def test_without_numba_auto_says_nothing(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "numba", None)
        monkeypatch.setattr(function, "in_background", lambda job: job())
        jitted = tl.jit(lambda x: x * 2)
        for _ in range(function._PATIENCE + 5):
            assert np.array_equal(jitted(X), X * 2)
        assert backends(jitted) == ["numpy"]

    def test_a_kernel_that_cannot_be_compiled_is_said_once(self, monkeypatch):
        def fail(kernel: Any) -> Any:
            raise RuntimeError("no such instruction\nand more")

        monkeypatch.setattr(cache, "_compile", fail)
        jitted = tl.jit(lambda x: x * 2.25, backend="numba")
        jitted(X)
        with pytest.warns(CompilingWarning, match="no such instruction") as caught:
            jitted(X)
        assert len(caught) == 1 and "and more" not in str(caught[0].message)
        assert np.array_equal(jitted(X), X * 2.25)

    def test_a_call_that_is_not_finite_is_made_as_it_is(self):
        jitted = tl.jit(lambda x: np.log(x), backend="numba")
        for x in (X + 1, X + 1, X + 2):
            assert_close(jitted(x), np.log(x))
        with np.errstate(divide="ignore"):
            for _ in range(5):
                assert np.array_equal(jitted(0 * X), np.log(0 * X))
        assert_close(jitted(X + 1), np.log(X + 1))

    def test_both_ways_of_a_branch(self):
        def clipped(x: Any) -> Any:
            return x / 2 if np.max(x) > 1 else x * 3

        jitted = tl.jit(clipped, backend="numba")
        for scale in (1, 4, 1, 4, 1, 4):
            assert_close(jitted(scale * X), clipped(scale * X))
        assert backends(jitted) == ["numba", "numba"]

    def test_draws_are_the_same_stream(self):
        def make() -> Any:
            return nn.Sequential(nn.Linear(2, 5, rng=0), nn.Dropout(0.5, rng=1))

        here, there = make(), make()
        jitted = tl.jit(lambda x: there(x), backend="numba")
        for _ in range(4):
            assert_close(jitted(X).data, here(X).data)


class TestRepeat:
    """Many calls in one."""

    @pytest.mark.parametrize("make", [optim.SGD, optim.Adam])
    def test_training(self, make, loops):
        here, there = problem(make), problem(make)
        expected = [step(*here).item() for _ in range(40)]
        jitted = tl.jit(step, backend="numba")
        assert_close(tl.repeat(jitted, 30)(*there), expected[:30])
        assert_close(tl.repeat(jitted, 10)(*there), expected[30:])
        assert_same_state(here[0], there[0])
        assert sum(loops) > 30

    def test_gradients_that_accumulate(self, loops):
        def accumulate(model: Any) -> Any:
            loss = F.mse_loss(model(X), Y)
            loss.backward()
            return loss

        (here, _), (there, _) = problem(), problem()
        for _ in range(30):
            accumulate(here)
        tl.repeat(tl.jit(accumulate, backend="numba"), 30)(there)
        assert_same_state(here, there)
        assert sum(loops) > 20

    def test_a_schedule(self, loops):
        def scheduled(model: Any, optimizer: Any, schedule: Any) -> Any:
            loss = step(model, optimizer)
            schedule.step()
            return loss

        both = []
        for _ in range(2):
            model, optimizer = problem()
            both.append((model, optimizer, optim.StepLR(optimizer, 1, 0.9)))
        here, there = both
        expected = [scheduled(*here).item() for _ in range(30)]
        assert_close(tl.repeat(tl.jit(scheduled, backend="numba"), 30)(*there), expected)
        assert here[1].param_groups[0]["lr"] == pytest.approx(there[1].param_groups[0]["lr"])
        assert sum(loops) > 20

    def test_a_branch_in_the_middle(self, loops):
        def careful(model: Any, optimizer: Any) -> Any:
            loss = step(model, optimizer)
            if loss.data < 0.2:
                optimizer.param_groups[0]["lr"] = optimizer.param_groups[0]["lr"] * 0.9
            return loss

        here, there = problem(), problem()
        expected = [careful(*here).item() for _ in range(60)]
        assert min(expected) < 0.2 < max(expected)
        assert_close(tl.repeat(tl.jit(careful, backend="numba"), 60)(*there), expected)
        assert_same_state(here[0], there[0])
        assert sum(loops) > 20

    def test_until_something_is_not_finite(self, loops):
        def grow(x: Any) -> Any:
            x.data = x.data * 1e10
            return x.sum()

        here, there = tl.tensor(np.ones(20)), tl.tensor(np.ones(20))
        with np.errstate(over="ignore"):
            expected = [grow(here).item() for _ in range(40)]
            assert_close(tl.repeat(tl.jit(grow, backend="numba"), 40)(there), expected)
        assert_close(here.data, there.data)
        assert np.isinf(expected[-1])
        assert sum(loops) > 20

    def test_a_result_that_is_also_state(self):
        x = tl.tensor(1.0)

        def halve() -> Any:
            x.data = x.data / 2
            return x.data

        got = tl.repeat(tl.jit(halve, backend="numba"), 20)()
        assert np.array_equal(got, 0.5 ** np.arange(1, 21))

    def test_results_in_containers_with_constants(self, loops):
        t = tl.tensor(np.zeros(20))

        def count() -> Any:
            t.data = t.data + 1
            return {"twice": t.data * 2, "pair": (t.data.sum(), 7)}

        got = tl.repeat(tl.jit(count, backend="numba"), 12)()
        assert np.array_equal(got["twice"][:, 3], 2.0 * np.arange(1, 13))
        assert np.array_equal(got["pair"][0], 20.0 * np.arange(1, 13))
        assert np.array_equal(got["pair"][1], np.full(12, 7))
        assert sum(loops) > 5

    def test_draws_are_calls_one_by_one(self, loops):
        def make() -> Any:
            return nn.Sequential(nn.Linear(2, 5, rng=0), nn.Dropout(0.5, rng=1))

        here, there = make(), make()
        got = tl.repeat(tl.jit(lambda: there(X).sum(), backend="numba"), 8)()
        assert_close(got, [here(X).sum().item() for _ in range(8)])
        assert loops == []

    def test_the_loop_is_compiled_beside(self, monkeypatch, loops):
        jobs: list[Any] = []
        monkeypatch.setattr(repetition, "in_background", jobs.append)
        monkeypatch.setattr(function, "in_background", jobs.append)
        here, there = problem(), problem()
        jitted = tl.jit(step)
        expected = [step(*here).item() for _ in range(80)]
        assert np.array_equal(tl.repeat(jitted, 40)(*there), expected[:40])
        for job in jobs:
            job()
        assert_close(tl.repeat(jitted, 40)(*there), expected[40:])
        assert sum(loops) > 30

    def test_it_warns_of_nothing(self):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            tl.repeat(tl.jit(step, backend="numba"), 10)(*problem())
