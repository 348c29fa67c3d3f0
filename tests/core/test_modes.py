"""Promises 7 and 8: ``no_grad`` across threads and tasks, and ``debug``."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tl


def leaf(data: Any = (1.0, 2.0)) -> tl.Tensor:
    return tl.tensor(data, dtype=float, requires_grad=True)


def test_no_grad_is_a_context_manager():
    x = leaf()
    with tl.no_grad():
        assert not tl.is_grad_enabled()
        assert not (x * 2).requires_grad
        with tl.enable_grad():
            assert (x * 2).requires_grad
        assert not (x * 2).requires_grad
    assert tl.is_grad_enabled()
    assert (x * 2).requires_grad


def test_no_grad_ends_with_an_error():
    with pytest.raises(ZeroDivisionError), tl.no_grad():
        raise ZeroDivisionError
    assert tl.is_grad_enabled()


@pytest.mark.parametrize("decorate", [tl.no_grad, tl.no_grad()], ids=["bare", "called"])
def test_no_grad_is_a_decorator(decorate: Any):
    @decorate
    def predict(x: Any) -> Any:
        """Its documentation."""
        return x * 2

    assert not predict(leaf()).requires_grad
    assert predict.__name__ == "predict"
    assert predict.__doc__ == "Its documentation."
    assert tl.is_grad_enabled()


def test_no_grad_decorates_recursion():
    @tl.no_grad
    def down(n: int) -> bool:
        return (down(n - 1) if n else True) and not tl.is_grad_enabled()

    assert down(3)


def test_no_grad_refuses_what_runs_later():
    def generator() -> Any:
        yield

    async def task() -> None:
        pass

    for function in (generator, task):
        with pytest.raises(TypeError, match=r"with tl\.no_grad\(\):` inside it"):
            tl.no_grad(function)


def test_threads_do_not_see_each_others_mode():
    inside, modes = threading.Barrier(2), {}

    def work(name: str, quiet: bool) -> None:
        x = leaf()
        if quiet:
            with tl.no_grad():
                inside.wait()
                modes[name] = (x * 2).requires_grad
                inside.wait()
        else:
            inside.wait()
            modes[name] = (x * 2).requires_grad
            inside.wait()

    threads = [threading.Thread(target=work, args=(str(q), q)) for q in (True, False)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert modes == {"True": False, "False": True}


def test_one_decorated_function_in_many_threads():
    inside = threading.Barrier(4)

    @tl.no_grad()
    def predict() -> bool:
        inside.wait()
        return tl.is_grad_enabled()

    results: list[Any] = []
    threads = [threading.Thread(target=lambda: results.append(predict())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [False] * 4


def test_tasks_do_not_see_each_others_mode():
    async def quiet(turn: asyncio.Event, other: asyncio.Event) -> bool:
        with tl.no_grad():
            other.set()
            await turn.wait()
            return (leaf() * 2).requires_grad

    async def loud(turn: asyncio.Event, other: asyncio.Event) -> bool:
        await turn.wait()
        tracked = (leaf() * 2).requires_grad
        other.set()
        return tracked

    async def both() -> list[bool]:
        a, b = asyncio.Event(), asyncio.Event()
        return await asyncio.gather(quiet(a, b), loud(b, a))

    assert asyncio.run(both()) == [False, True]


def test_threads_can_train_at_once():
    def train(seed: int, out: dict[int, Any]) -> None:
        w = tl.tensor(np.random.default_rng(seed).normal(size=(5, 5)), requires_grad=True)
        for _ in range(50):
            w.grad = None
            (np.tanh(w @ w) ** 2).sum().backward()
            w.data = w.data - 0.05 * w.grad
        out[seed] = w.data

    together: dict[int, Any] = {}
    alone: dict[int, Any] = {}
    threads = [threading.Thread(target=train, args=(seed, together)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed in range(4):
        train(seed, alone)
        np.testing.assert_array_equal(together[seed], alone[seed])


def test_create_graph_inside_no_grad_records_the_pass():
    x = leaf()
    y = (x**3).sum()
    with tl.no_grad():
        slope = tl.gradients(y, x, create_graph=True)
    np.testing.assert_array_equal(tl.gradients(slope.sum(), x), 6 * x.data)


# -- debug ---------------------------------------------------------------------------------------


def test_debug_stops_at_the_first_value_that_is_not_finite():
    x = leaf([1.0, 0.0])
    with tl.debug(), np.errstate(divide="ignore"):
        y = x * 2
        with pytest.raises(FloatingPointError, match=r"log gave -inf at index \(1,\)") as stop:
            np.log(y)
    assert "test_modes.py" in str(stop.value)
    assert "np.log(y)" in str(stop.value)


def test_debug_stops_at_a_derivative_that_is_not_finite():
    x = leaf([1.0, 0.0])
    with tl.debug():
        y = np.sqrt(x).sum()  # this line
        with pytest.raises(FloatingPointError, match="derivative of sqrt gave inf") as stop:
            y.backward()
    assert "this line" in str(stop.value)


def test_debug_shows_the_line_when_a_rule_fails():
    @tl.primitive
    def odd(x: Any) -> Any:
        return x * 2

    tl.defvjp(odd, lambda g, y, x: g[:1])
    x = leaf()
    with tl.debug():
        y = odd(x).sum()  # the line at fault
        with pytest.raises(ValueError, match=r"odd.*derivative rule") as failure:
            y.backward()
    assert "the line at fault" in str(failure.value)


def test_debug_shows_the_line_of_a_shape_error():
    with tl.debug(), pytest.raises(ValueError, match="matmul") as failure:
        leaf(np.ones((2, 3))) @ leaf(np.ones((2, 3)))
    assert "leaf(np.ones((2, 3)))" in str(failure.value)


def test_debug_lets_good_numbers_and_masked_singularities_pass():
    x = leaf([4.0, 0.0])
    with tl.debug():
        y = np.where(x.data > 0, np.sqrt(x), 0.0).sum()
        y.backward(create_graph=True)
    np.testing.assert_array_equal(x.grad.data, [0.25, 0])


def test_without_debug_no_line_is_kept():
    y = np.sin(leaf())
    assert y.node.site is None
    with tl.debug():
        assert "np.sin" in np.sin(leaf()).node.site
