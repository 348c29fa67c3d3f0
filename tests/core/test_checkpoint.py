"""Checkpointing: the same gradients from less memory, and the same random numbers twice."""

from __future__ import annotations

import copy
import functools
import gc
import random
import threading
import tracemalloc
from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tl
from tests.interrupts import interrupted_everywhere

RNG = np.random.default_rng(0)


def block(rng: int = 0) -> tl.nn.Sequential:
    nn = tl.nn
    return nn.Sequential(
        nn.Linear(3, 8, rng=rng), nn.Tanh(), nn.Dropout(0.5, rng=rng), nn.Linear(8, 3, rng=rng)
    )


def test_gradients_are_those_of_the_plain_call_with_dropout():
    plain, again = block(), block()
    x, same = (tl.tensor(np.ones((5, 3)), requires_grad=True) for _ in range(2))
    y = plain(plain(x)).sum()
    z = tl.checkpoint(again, tl.checkpoint(again, same)).sum()
    y.backward()
    z.backward()
    assert y.item() == z.item()
    np.testing.assert_array_equal(same.grad, x.grad)
    for p, q in zip(plain.parameters(), again.parameters(), strict=True):
        np.testing.assert_allclose(q.grad, p.grad, rtol=1e-14)
    assert plain(x).sum().item() == again(same).sum().item(), "the generator went on elsewhere"


def test_second_derivatives():
    f = lambda x: np.exp(np.sin(x)).sum()
    x = RNG.normal(size=3)
    inside = tl.hessian(lambda x: tl.checkpoint(f, x))(x)
    np.testing.assert_allclose(inside, tl.hessian(f)(x))


def test_the_values_of_the_first_time_are_used_after_a_step():
    model, x = tl.nn.Linear(2, 1, rng=0), tl.tensor(np.ones((1, 2)), requires_grad=True)
    y = tl.checkpoint(model, x).sum()
    weight = model.weight.data.copy()
    model.weight.data = model.weight.data + 1
    y.backward()
    np.testing.assert_array_equal(x.grad, weight)


def test_containers_and_constants_are_handed_over():
    w = tl.tensor([1.0, 2.0], requires_grad=True)
    y = tl.checkpoint(lambda p, k: (p["w"] * p["w"]).sum() * k, {"w": w}, 3)
    y.backward()
    np.testing.assert_array_equal(w.grad, [6.0, 12.0])


def test_a_tracked_tensor_that_is_not_handed_over_is_refused():
    w = tl.tensor(2.0, requires_grad=True)
    x = tl.tensor(3.0, requires_grad=True)
    y = tl.checkpoint(lambda x: x * w, x)
    with pytest.raises(RuntimeError, match="hand it over"):
        y.backward()


def test_without_anything_tracked_it_is_the_plain_call():
    assert not tl.checkpoint(np.sin, tl.tensor(1.0)).requires_grad
    with tl.no_grad():
        assert not tl.checkpoint(np.sin, tl.tensor(1.0, requires_grad=True)).requires_grad
    with pytest.raises(TypeError, match="one tensor"):
        tl.checkpoint(lambda x: (x, x), tl.tensor(1.0, requires_grad=True))


class Noisy(tl.nn.Module):
    """Dropout, running statistics in place and by assignment, a count, a cycle, a slot."""

    __slots__ = ("scale",)

    def __init__(self) -> None:
        self.scale = tl.nn.Parameter([0.5, 1.5])
        self.layers = [tl.nn.Linear(2, 2, rng=1), tl.nn.Dropout(0.5, rng=2)]
        self.mean, self.weighted, self.count = np.zeros(2), tl.tensor([0.0, 0.0]), 0
        self.layers[1].owner, self.kind = self, tl.nn.Linear
        self.gains = {layer: float(i + 1) for i, layer in enumerate(self.layers)}

    def forward(self, x: Any) -> Any:
        self.count += 1
        self.mean[...] = 0.9 * self.mean + 0.1 * x.data.mean(axis=0)
        self.weighted = self.weighted + self.mean
        for layer in self.layers:
            x = layer(x) * self.gains[layer]
        penalty = sum((p * p).sum() for p in self.parameters())
        return (x - self.mean) * self.layers[1].owner.scale + penalty * self.count

    def state(self) -> Any:
        parameters = {name: (id(p), p.data.copy()) for name, p in self.named_parameters()}
        generator = self.layers[1]._rng.bit_generator.state
        return parameters, self.mean.copy(), self.weighted.data.copy(), self.count, generator


CALLS = {
    "the module": lambda m: m,
    "a method": lambda m: m.forward,
    "a partial": lambda m: functools.partial(lambda m, x: m(x), m),
}


@pytest.mark.parametrize("way", CALLS)
def test_whatever_a_module_does_to_itself_it_does_once(way: str):
    plain, again = Noisy(), Noisy()
    x, same = (tl.tensor(np.ones((5, 2)), requires_grad=True) for _ in range(2))
    y, z = plain(x * 2), tl.checkpoint(CALLS[way](again), same * 2)
    for model, result in ((plain, y), (again, z)):
        result.sum().backward(retain_graph=True)
        result.sum().backward()
        model(tl.tensor(np.ones((1, 2))))
    np.testing.assert_equal(again.state()[1:], plain.state()[1:])
    np.testing.assert_allclose(same.grad, x.grad, rtol=1e-14)
    for (name, p), (other, q) in zip(
        plain.named_parameters(), again.named_parameters(), strict=True
    ):
        assert name == other
        np.testing.assert_allclose(q.grad, p.grad, rtol=1e-12)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_leaves_everything_as_it_was():
    def make() -> Any:
        model, x = Noisy(), tl.tensor(np.ones((5, 2)), requires_grad=True)
        return model, x, tl.checkpoint(model, x).sum()

    model, x, _ = make()
    state = lambda made: (made[0].state()[1:], made[1].data.copy())
    expected = state((model, x))
    identities = lambda model: [id(p) for p in model.parameters()]
    subjects: list[Any] = []

    def remembered() -> Any:
        subjects.append(make())
        subjects.append(identities(subjects[-1][0]))
        return subjects[-2]

    number = 0
    backward = lambda subject: subject[2].backward()
    for place, left in interrupted_everywhere(
        remembered, backward, state, within="tinygrad_lab/transforms", stride=11
    ):
        number += 1
        np.testing.assert_equal(left, expected, err_msg=place)
        assert identities(subjects[-2][0]) == subjects[-1], place
        assert all(type(p) is tl.nn.Parameter for p in subjects[-2][0].parameters())
    assert number > 10


def test_threads_share_a_model():
    """Each gradient is that of the mask which its own result was made with."""
    model = tl.nn.Sequential(tl.nn.Dropout(0.5, rng=0), tl.nn.Dropout(0.2, rng=1))
    weights = Noisy()
    failures = []

    def work(seed: int) -> None:
        x = tl.tensor(np.random.default_rng(seed).uniform(1, 2, 50), requires_grad=True)
        for _ in range(20):
            y = tl.checkpoint(model, x)
            z = tl.checkpoint(lambda m, x: (m.layers[0](x) * m.scale).sum(), weights, x[:2])
            x.grad = None
            (y.sum() + 0 * z).backward()
            if not np.allclose(x.grad, y.data / x.data):
                failures.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert all(type(p) is tl.nn.Parameter and p.is_leaf for p in weights.parameters())


def test_what_is_not_handed_over_and_changes_is_noticed():
    x = tl.tensor(np.ones(50), requires_grad=True)
    dropout = tl.nn.Dropout(0.5, rng=0)
    with pytest.raises(RuntimeError, match="another result"):
        tl.checkpoint(lambda x: dropout(x), x).sum().backward()
    array = np.ones(50)
    y = tl.checkpoint(lambda x, a: x * a, x, array)
    array[3] = 2.0
    with pytest.raises(RuntimeError, match="write into no array"):
        y.sum().backward()


def test_the_function_may_assign_to_what_it_was_given():
    def residual(x: Any) -> Any:
        x += np.sin(x)
        x[0] = x[1] * 2
        return x * x

    expected = tl.jacobian(lambda x: residual(x * 3))(np.array([0.5, 0.7, -0.2]))
    f = lambda x: tl.checkpoint(lambda pair: residual(pair[0]), [x * 3])
    np.testing.assert_allclose(tl.jacobian(f)(np.array([0.5, 0.7, -0.2])), expected)
    x = tl.tensor([1.0, 2.0], requires_grad=True)
    h = x * 2
    (tl.checkpoint(residual, h).sum() + h.sum()).backward()
    assert h.tolist() == [2.0, 4.0]
    leaf = tl.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(RuntimeError, match="on a leaf"):
        tl.checkpoint(residual, leaf).sum().backward()
    assert leaf.tolist() == [1.0, 2.0]


def test_every_source_of_random_numbers_that_is_handed_over():
    x = tl.tensor(np.ones(4), requires_grad=True)
    f = lambda x, a, b, c: x * a.normal() * b.normal() * c.random()
    sources = np.random.default_rng(0), np.random.RandomState(0), random.Random(0)
    y = tl.checkpoint(f, x, *sources)
    y.sum().backward()
    np.testing.assert_allclose(x.grad, y.data)


def test_what_has_no_gradient_is_what_it_would_be():
    x = tl.tensor([1.0, 3.0], requires_grad=True)
    assert tl.checkpoint(np.argmax, x) == 1
    assert not isinstance(tl.checkpoint(lambda x: x > 2, x), tl.Tensor)
    with pytest.raises(TypeError, match="one tensor"):
        tl.checkpoint(lambda x: None, x)


def test_debug_looks_inside():
    x = tl.tensor([1.0, 0.0], requires_grad=True)
    with tl.debug(), np.errstate(divide="ignore"), pytest.raises(FloatingPointError, match="log"):
        tl.checkpoint(lambda x: np.exp(-np.log(x)), x)


def test_arguments_that_depend_on_each_other():
    f = lambda x: tl.checkpoint(lambda a, b: a * b, x, x * 2)
    assert tl.grad(f)(3.0) == 12.0
    assert tl.hessian(f)(3.0) == 4.0
    assert tl.jvp(f, (3.0,), (1.0,))[1] == 12.0
    x = tl.tensor(3.0, requires_grad=True)
    f(x).backward(create_graph=True)
    assert x.grad.item() == 12.0
    same = lambda x: tl.checkpoint(lambda pair: pair[0] * pair[1], [x, x])
    assert tl.hessian(same)(3.0) == 2.0


def test_a_jacobian_computes_once_more_and_not_once_for_each_row():
    calls = []
    f = lambda x: calls.append(0) or np.sin(x) * x
    np.testing.assert_allclose(
        tl.jacobian(lambda x: tl.checkpoint(f, x))(np.arange(5.0)),
        np.diag(np.sin(np.arange(5.0)) + np.arange(5.0) * np.cos(np.arange(5.0))),
    )
    assert len(calls) == 2


def test_of_complex_numbers_of_nothing_and_of_plain_arrays():
    z = np.array([1 + 2j, -1j])
    np.testing.assert_allclose(
        tl.jacobian(lambda z: tl.checkpoint(np.exp, z))(z), np.diag(np.exp(z))
    )
    by_real = tl.jacobian(lambda x: tl.checkpoint(lambda x: x * z, x))(np.ones(2))
    np.testing.assert_allclose(by_real, np.diag(z))
    assert tl.jacobian(lambda x: tl.checkpoint(lambda x: x[:0], x))(np.ones(3)).shape == (0, 3)
    assert tl.checkpoint(lambda a, k: {"a": a + k}, np.ones(2), 1)["a"].tolist() == [2.0, 2.0]
    assert tl.grad(lambda x: tl.checkpoint(lambda x: np.float64(3.0), x) * x)(2.0) == 3.0


def peak_of(step: Any) -> int:
    gc.collect()
    tracemalloc.start()
    try:
        step()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_is_that_of_the_arguments():
    x = tl.tensor(np.ones(50_000), requires_grad=True)

    def long(x: Any) -> Any:
        for _ in range(20):
            x = np.sin(x)
        return x

    def plain() -> None:
        y = x
        for _ in range(5):
            y = long(y)
        y.sum().backward()

    def with_checkpoints() -> None:
        y = x
        for _ in range(5):
            y = tl.checkpoint(long, y)
        y.sum().backward()

    reference = peak_of(plain)
    x.grad = None
    assert peak_of(with_checkpoints) < 0.4 * reference


def test_a_deep_copy_draws_the_same_numbers():
    first = block(3)
    second = copy.deepcopy(first)
    x = np.ones((4, 3))
    np.testing.assert_array_equal(first(x).data, second(x).data)
