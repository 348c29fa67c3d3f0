"""`tl.jit`: the same numbers and the same changes as the call itself, or one clear error."""

import gc
import itertools
import random
import threading
import weakref
from array import array
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest

import tinygrad_lab as tl
from tests.interrupts import assert_all_or_none
from tinygrad_lab import nn, optim
from tinygrad_lab.transforms.jit import TracingError
from tinygrad_lab.warnings import RecordingWarning

F = nn.functional
RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 2))
Y = (X[:, :1] > 0).astype(float)
V = np.array([0.3, -1.0])
W = tl.tensor(RNG.normal(size=(2, 1)), requires_grad=True)
SCALE = np.ones(3)


def recordings(jitted):
    return [r for each in jitted._recordings.values() for r in each]


def beside(make, body, calls=6):
    """Call `body(*make())` as it is and jitted: results, parameters, gradients are the same."""
    here, there = make(), make()
    step, jitted = (lambda: body(*here)), tl.jit(lambda: body(*there), backend="numpy")
    for _ in range(calls):
        expected, got = step(), jitted()
        assert np.array_equal(plain(got), plain(expected))
        for p, q in zip(here[0].parameters(), there[0].parameters(), strict=True):
            assert np.array_equal(p.data, q.data)
            assert (p.grad is None) == (q.grad is None)
            assert p.grad is None or np.array_equal(p.grad, q.grad)
    return jitted, here, there


def plain(x):
    return x.data if isinstance(x, tl.Tensor) else x


def as_tuple(x):
    return x if isinstance(x, tuple) else (x,)


def trained(model, optimizer, x=X, y=Y):
    loss = F.mse_loss(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss


def mlp(momentum=0.0):
    model = nn.MLP([2, 3, 1], rng=0)
    return model, optim.SGD(model.parameters(), lr=0.1, momentum=momentum)


class TestState:
    """What a call reads, and what it changes."""

    @pytest.mark.parametrize("momentum", [0.0, 0.9])
    def test_a_training_step(self, momentum):
        jitted, *_ = beside(lambda: mlp(momentum), trained)
        assert len(recordings(jitted)) == 2  # without gradients from before, and with
        assert recordings(jitted)[0].calls == 4

    def test_dropout_draws_the_same_stream(self):
        def make():
            layers = nn.Linear(2, 4, rng=0), nn.Dropout(0.5, rng=1), nn.Linear(4, 1, rng=2)
            model = nn.Sequential(*layers)
            return model, optim.SGD(model.parameters(), lr=0.1)

        beside(make, trained)

    def test_a_generator_among_the_arguments(self):
        def noisy(rng, x):
            return x + rng.normal(size=x.shape) * rng.random()

        here, there, jitted = np.random.default_rng(3), np.random.default_rng(3), tl.jit(noisy)
        for _ in range(4):
            assert np.array_equal(jitted(there, X), noisy(here, X))
        assert here.random() == there.random()

    def test_running_statistics_and_counters(self):
        class Norm(nn.Module):
            def __init__(self):
                self.mean, self.count = np.zeros(2), 0
                self.factor = nn.Parameter([1.0, 2.0])

            def forward(self, x):
                if self.training:
                    self.mean = self.mean * 0.9 + 0.1 * np.mean(x, axis=0)
                    self.count += 1
                return (x - self.mean) * self.factor

        def make():
            model = Norm()
            return model, optim.SGD(model.parameters(), lr=0.1)

        _, here, there = beside(make, lambda m, o: trained(m, o, X, X))
        assert there[0].count == here[0].count == 6
        assert np.array_equal(there[0].mean, here[0].mean)

    def test_a_method_of_an_object_with_state(self):
        class Trainer:
            def __init__(self):
                self.model, self.optimizer = mlp()
                self.steps, self.last = 0, None

            @tl.jit
            def step(self, x, y):
                self.last = loss = trained(self.model, self.optimizer, x, y)
                self.steps += 1
                return loss

        trainer, expected = Trainer(), mlp()
        for _ in range(4):
            loss = trainer.step(X, Y)
            assert loss.item() == trained(*expected).item() == trainer.last.item()
        assert trainer.steps == 4

    def test_globals_and_the_manual_loop(self):
        @tl.jit
        def step(x, y, lr):
            loss = np.mean((x @ W - y) ** 2)
            loss.backward()
            with tl.no_grad():
                w = W
                w -= lr * W.grad
            W.grad = None
            return loss

        start = W.data.copy()
        got = [step(X, Y, lr).item() for lr in (0.1, 0.2, 0.3)]
        expected = []
        for lr in (0.1, 0.2, 0.3):
            expected.append(np.mean((X @ start - Y) ** 2))
            start = start - lr * (2 / Y.size) * X.T @ (X @ start - Y)
        assert np.allclose(got, expected)
        assert np.allclose(W.data, start)
        assert len(recordings(step)) == 1  # the rate is a number that may differ

    def test_an_array_that_is_a_global_is_read_at_each_call(self):
        scaled = tl.jit(lambda x: np.sum(x * SCALE))
        assert scaled(np.arange(3.0)) == 3
        SCALE[:] = 2
        assert scaled(np.arange(3.0)) == 6
        SCALE[:] = 1
        assert len(recordings(scaled)) == 1

    def test_what_is_in_a_module_is_read_at_each_call(self, tmp_path, monkeypatch):
        (tmp_path / "settings_of_mine.py").write_text("import numpy as np\nA = np.ones(3)\nn = 2.0")
        monkeypatch.syspath_prepend(tmp_path)
        settings = pytest.importorskip("settings_of_mine")
        space = {"settings": settings}
        text = "def f(x):\n  settings.n = settings.n * 2\n  return x * settings.A * settings.n"
        exec(text, space)
        scaled = tl.jit(space["f"])
        assert np.array_equal(scaled(np.ones(3)), np.full(3, 4.0))
        settings.A = np.full(3, 5.0)
        assert np.array_equal(scaled(np.ones(3)), np.full(3, 40.0))
        assert settings.n == 8.0

    def test_a_dict_of_results(self):
        log = {}

        @tl.jit
        def halved(x):
            log["sum"] = x.sum()
            return x / 2

        for k in range(4):
            halved(np.full(2, float(k)))
            assert log["sum"] == 2 * k
        assert len(recordings(halved)) == 2  # without the entry, and with it

    def test_what_is_in_a_namespace_is_read_at_each_call(self):
        settings = SimpleNamespace(a=np.ones(3))
        scaled = tl.jit(lambda x: x * settings.a)
        scaled(np.ones(3))
        settings.a = np.full(3, 5.0)
        assert np.array_equal(scaled(np.ones(3)), np.full(3, 5.0))

    def test_another_model_of_the_same_shape_shares_the_recording_and_is_let_go(self):
        step = tl.jit(trained)
        for seed in range(4):
            model = nn.MLP([2, 3, 1], rng=seed)
            optimizer = optim.SGD(model.parameters(), lr=0.1)
            twin = nn.MLP([2, 3, 1], rng=seed)
            other = optim.SGD(twin.parameters(), lr=0.1)
            for _ in range(3):
                assert step(model, optimizer).item() == trained(twin, other).item()
        assert len(recordings(step)) == 2
        reference = weakref.ref(model)
        del model, optimizer
        gc.collect()
        assert reference() is None

    def test_one_parameter_twice_is_not_two(self):
        def loss(a, b):
            y = np.sum(a * a * b)
            y.backward()
            return y

        step = tl.jit(loss)
        a, b = (tl.tensor([2.0], requires_grad=True) for _ in range(2))
        step(a, b)
        c = tl.tensor([2.0], requires_grad=True)
        step(c, c)
        assert c.grad == [12.0]
        step(*(tl.tensor([2.0], requires_grad=True) for _ in range(2)))

    def test_evaluation_freezing_loading_and_other_dtypes_are_noticed(self):
        model, optimizer = mlp()
        twin, other = mlp()
        step = tl.jit(trained)

        def check(x=X, y=Y):
            got, expected = step(model, optimizer, x, y), trained(twin, other, x, y)
            assert got.item() == expected.item()

        check(), check(), check()
        for m in (model, twin):
            next(m.parameters()).requires_grad = False
        check(), check()
        for m in (model, twin):
            m.load_state_dict({name: a + 1 for name, a in m.state_dict().items()})
        check()
        for m in (model, twin):
            next(m.parameters()).requires_grad = True
            m.to(np.float32)
        check(X.astype(np.float32), Y.astype(np.float32))
        check(X[:5].astype(np.float32), Y[:5].astype(np.float32))

    def test_options_are_checked_as_the_step_does(self):
        model, optimizer = mlp()
        step = tl.jit(trained)
        step(model, optimizer), step(model, optimizer)
        optimizer.param_groups[0]["lr"] = -1.0
        with pytest.raises(ValueError, match="lr"):
            step(model, optimizer)


class TestBranches:
    """Which recording is for which call."""

    def test_both_ways_of_an_if_are_right(self):
        def body(model, optimizer):
            loss = F.mse_loss(model(X), Y)
            if loss > 0.3:
                loss = loss * 2
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss

        def make():
            model = nn.MLP([2, 3, 1], rng=0)
            return model, optim.SGD(model.parameters(), lr=0.05)

        jitted, *_ = beside(make, body, 30)
        assert len(recordings(jitted)) == 3  # the first call, and both ways
        assert all(r.calls > 1 for r in recordings(jitted)[:2])

    def test_shapes_and_dtypes(self):
        f = tl.jit(lambda x: np.exp(x).sum())
        for x in (np.ones(2), np.ones(3), np.ones(3, np.float32), np.ones(2), np.float64(1.0)):
            assert f(x) == np.exp(x).sum()
            assert f(x).dtype == x.dtype
        assert len(recordings(f)) == 4

    def test_a_float_is_an_input_and_an_integer_becomes_one(self):
        scaled = tl.jit(lambda x, a: x * a)
        for a in (1.5, 2.5, 3.5):
            got = scaled(np.ones(1, np.float32), a)
            assert got == [a] and got.dtype == np.float32
        assert len(recordings(scaled)) == 1
        power = tl.jit(lambda x, n: x**n)
        assert [power(np.array([3.0]), n)[0] for n in (1, 2, 3, 4)] == [3, 9, 27, 81]
        assert len(recordings(power)) == 2

    def test_a_number_that_is_a_size_is_part_of_what_is_recorded(self):
        padded = tl.jit(lambda x, share: np.pad(x, int(share * 4)))
        assert [padded(np.ones(2), s).size for s in (0.5, 1.0, 0.5)] == [6, 10, 6]

    def test_a_position_that_is_an_index_is_a_guard(self):
        f = tl.jit(lambda x, rows: rows[x.argmax()] * 2)
        rows = [np.full(2, i) for i in range(3)]
        for i in (0, 2, 2, 1, 0):
            assert np.array_equal(f(np.eye(3)[i], rows), rows[i] * 2)

    def test_many_variants_end_in_one_warning(self):
        f = tl.jit(lambda x: x + 1)
        call = lambda: [f(np.ones(n)) for n in range(1, 13)]
        with pytest.warns(RecordingWarning, match="programs are recorded") as caught:
            results = call()
        assert len(caught) == 1
        assert all(np.array_equal(y, np.full(n, 2.0)) for n, y in enumerate(results, 1))

    def test_what_is_not_finite_is_as_without_jit(self):
        where = tl.grad(lambda x: np.sum(np.where(x > 0, np.sqrt(np.maximum(x, 0)), 0)))
        f = tl.jit(where)
        for x in (np.array([1.0, 4.0]), np.array([1.0, 0.0]), np.array([1.0, 2.0])):
            assert np.array_equal(f(x), where(x))
        log = tl.jit(lambda x: np.log(x))
        log(np.ones(2))
        with pytest.warns(RuntimeWarning, match="divide"):
            assert log(np.array([1.0, 0.0]))[1] == -np.inf

    def test_a_draw_is_taken_back_where_the_call_is_repeated(self):
        def noisy(rng, x):
            return np.log(x) + rng.normal(size=x.shape)

        here, there, f = np.random.default_rng(0), np.random.default_rng(0), tl.jit(noisy)
        with np.errstate(divide="ignore"):
            for x in (np.ones(2), np.zeros(2), np.ones(2)):
                assert np.array_equal(f(there, x), noisy(here, x))


class TestResults:
    """What comes back."""

    def test_they_are_fresh_and_of_the_same_structure(self):
        f = tl.jit(
            lambda x: {"x": x, "t": x.T, "pair": (x + 1, x + 1), "none": None, "k": 3, "s": x.sum()}
        )
        x = np.ones((2, 3))
        f(x)
        first, second = f(x), f(x)
        assert first["x"] is x
        assert np.shares_memory(first["t"], x)
        assert not np.shares_memory(*first["pair"])
        assert not np.shares_memory(first["pair"][0], second["pair"][0])
        assert isinstance(first["s"], np.float64) and first["k"] == 3 and first["none"] is None

    def test_a_loss_that_has_been_walked_says_so(self):
        model, optimizer = mlp()
        step = tl.jit(trained)
        for _ in range(3):
            loss = step(model, optimizer)
            assert loss.requires_grad
            with pytest.raises(RuntimeError, match="freed"):
                loss.backward()

    def test_errors_are_those_of_the_call(self):
        model = nn.Linear(2, 3, rng=0)
        f = tl.jit(lambda x: model(x).detach())
        f(X)
        for function in (model, f):
            with pytest.raises(ValueError, match="does not fit a weight"):
                function(np.ones((4, 5)))


class TestHistory:
    """Gradients through a recorded call."""

    def test_a_loss_outside_of_a_jitted_model(self):
        model, twin = (nn.MLP([2, 3, 1], rng=0) for _ in range(2))
        one, other = (optim.SGD(m.parameters(), lr=0.1) for m in (model, twin))
        jitted = tl.jit(model)
        for _ in range(5):
            assert trained(jitted, one).item() == trained(twin, other).item()
        assert [r.calls for r in recordings(jitted)] == [3, 0]

    def test_dropout_going_backwards(self):
        models = [
            nn.Sequential(nn.Linear(2, 4, rng=0), nn.Dropout(0.5, rng=1), nn.Linear(4, 1, rng=2))
            for _ in range(2)
        ]
        jitted = tl.jit(models[1])
        for _ in range(4):
            for model, call in zip(models, (models[0], jitted), strict=True):
                model.zero_grad()
                F.mse_loss(call(X), Y).backward()
            for p, q in zip(*(m.parameters() for m in models), strict=True):
                assert np.array_equal(p.grad, q.grad)

    def test_several_results_each_with_its_gradient(self):
        w = tl.tensor([1.0, 2.0], requires_grad=True)
        f = tl.jit(lambda x: (np.sin(w) * x, {"square": w * w}))
        f(np.ones(2))
        y, rest = f(np.ones(2))
        rest["square"].sum().backward()
        assert np.array_equal(w.grad, 2 * w.data)
        w.grad = None
        y, rest = f(np.ones(2))
        (y.sum() + rest["square"].sum()).backward()
        assert np.allclose(w.grad, np.cos(w.data) + 2 * w.data)

    @pytest.mark.parametrize(
        "transform",
        [
            tl.grad, tl.hessian, tl.jacobian, lambda f: tl.grad(lambda x: tl.checkpoint(f, x)),
            lambda f: lambda x: tl.hvp(f, (x,), (V,))[0],
            lambda f: lambda x: tl.jvp(f, (x,), (V,))[1],
            lambda f: lambda x: tl.vjp(f, x)[1](2.0)[0], tl.value_and_grad,
            lambda f: tl.grad(lambda x: np.sum(tl.grad(f)(x) ** 2)),
        ],
    )  # fmt: skip
    def test_derivatives_of_any_order_through_it_and_in_it(self, transform):
        def f(x):
            return np.sum(np.sin(x) * x[::-1] ** 2)

        x = np.array([1.0, 2.0])
        expected = transform(f)(x)
        for jitted in (transform(tl.jit(f)), tl.jit(transform(f)), tl.jit(transform(tl.jit(f)))):
            for _ in range(3):
                got = jitted(x)
                for a, b in zip(as_tuple(got), as_tuple(expected), strict=True):
                    assert np.allclose(a, b, rtol=1e-13)
                    assert type(a) is type(b)

    def test_an_array_that_is_written_to_before_the_gradient(self):
        w, x = tl.tensor([1.0, 2.0], requires_grad=True), np.ones(2)
        f = tl.jit(lambda x: np.sum(w * x))
        f(x)
        loss = f(x)
        x[:] = 9
        loss.backward()
        assert np.array_equal(w.grad, [1.0, 1.0])


class Holder:
    """Keeps a value where nobody looks."""

    value = None


class TestRefusals:
    """What would be a stale number in later calls."""

    @pytest.mark.parametrize(
        "f",
        [
            lambda x: float(x.sum()), lambda x: x.sum().item(), lambda x: np.asarray(x) + 1,
            lambda x: f"{x.sum():.3f}", lambda x: x.tolist(), lambda x: int(x[0]),
            lambda x: np.array([x[0]]),
        ],
    )  # fmt: skip
    def test_a_number_made_of_a_value(self, f):
        with pytest.raises(TracingError, match="recorded"):
            tl.jit(f)(np.arange(3.0))
        with pytest.raises(TracingError, match="recorded"):
            tl.jit(lambda x: f(x * 2))(np.arange(3.0))

    def test_printing_shows_no_number(self, capsys):
        tl.jit(lambda x: print(x, tl.tensor(x)) or x * 2)(np.full(3, 0.123))
        assert "0.123" not in capsys.readouterr().out

    def test_a_list_that_grows(self):
        losses = []
        f = tl.jit(lambda x: losses.append(np.sum(x)) or x)
        with pytest.raises(TracingError, match="losses has another length"):
            f(X)
        assert losses == []

    @pytest.mark.parametrize(
        ("holder", "change"),
        [
            ([1], "append"), (deque([1]), "append"), ({1}, "add"), (bytearray(b"a"), "append"),
            (array("d", [1.0]), "append"), ({1: 2}, "__delitem__"),
        ],
    )  # fmt: skip
    def test_what_a_method_changes_beside_it(self, holder, change):
        """It is refused as what a function changes is, and left as it was."""

        class Layer:
            def __call__(self, x):
                getattr(holder, change)(3 if change != "__delitem__" else 1)
                return x * 2

        layer, before = Layer(), deepcopy(holder)
        with pytest.raises(TracingError, match="holder has other contents"):
            tl.jit(lambda x: layer(x))(X)
        assert holder == before

    def test_a_value_kept_where_nobody_looks(self):
        def keep(x):
            Holder.value = x * 2
            return x

        with pytest.raises(TracingError, match="kept somewhere"):
            tl.jit(keep)(X)
        with pytest.raises(TracingError, match="used after that call"):
            Holder.value + 1
        Holder.value = None

    def test_a_value_that_the_busy_collector_has_not_freed_yet(self):
        collecting, refused = threading.Event(), threading.Event()

        def wait(phase, _):
            if phase == "start" and threading.current_thread() is other:
                collecting.set()
                refused.wait(0.05)  # as long, the collector does nothing for anybody

        def leave_a_cycle(x):
            cycle = [np.sin(x)]
            cycle.append(cycle)
            return x * 2

        other = threading.Thread(target=gc.collect)
        gc.callbacks.append(wait)
        try:
            other.start()
            collecting.wait()
            assert np.array_equal(tl.jit(leave_a_cycle, backend="numpy")(V), V * 2)
        finally:
            refused.set()
            other.join()
            gc.callbacks.remove(wait)

    def test_an_array_that_nobody_sees(self):
        hidden = [np.ones(3)]
        functions = {"hidden": type("Hidden", (), {"array": hidden[0]})}
        with pytest.raises(TracingError, match="neither among its"):
            tl.jit(lambda x: x * functions["hidden"].array)(np.ones(3))
        fresh = tl.jit(lambda x: x * np.arange(3.0)[::-1] + np.eye(3)[1])
        fresh(np.ones(3))
        assert np.array_equal(fresh(np.ones(3)), [2.0, 2.0, 0.0])

    @pytest.mark.parametrize("draw", [lambda: np.random.rand(), lambda: random.random()])  # noqa: NPY002
    def test_a_draw_from_the_global_state(self, draw):
        random.seed(3)
        np.random.seed(3)  # noqa: NPY002 - that it is used is refused
        with pytest.raises(TracingError, match="hand over a generator"):
            tl.jit(lambda x: x + draw())(np.ones(2))
        expected = random.Random(3).random(), np.random.RandomState(3).rand()
        assert (random.random(), np.random.rand()) == expected  # noqa: NPY002

    def test_a_draw_of_another_thread_is_none_of_the_call(self):
        draws = threading.Semaphore(3)

        def f(x, n):
            if draws.acquire(blocking=False):
                pool.submit(random.random).result()
            return x * n

        with ThreadPoolExecutor(1) as pool:
            jitted = tl.jit(f)
            assert [jitted(np.ones(1), n) for n in (2.0, 3.0)] == [[2.0], [3.0]]
            assert not draws.acquire(blocking=False)
            assert len(recordings(jitted)) == 1  # the number is an input, as it would be alone
            with pytest.raises(TracingError, match="hand over a generator"):
                tl.jit(lambda x: x + random.random())(np.ones(2))

    def test_too_much_that_could_be_meant(self):
        many = [np.ones(1) for _ in range(6000)]
        f = tl.jit(lambda x: x * many[0])
        assert f(np.ones(1)) == [1.0]
        many[0] = np.full(1, 5.0)
        assert f(np.ones(1)) == [5.0]
        assert "made as they are: 2 calls, because it can reach more" in f.report()

    def test_an_array_that_is_written_into(self):
        def write(x):
            x[0] = 1
            return x

        with pytest.raises(TracingError, match="writes into an array"):
            tl.jit(write)(np.ones(3))
        with pytest.raises(TracingError, match="writes into an array"):
            tl.jit(lambda x: np.add(x, 1, out=x))(np.ones(3))

    def test_nothing_has_changed_after_a_refusal(self):
        model, optimizer = mlp()
        before = model.state_dict()

        def step():
            loss = trained(model, optimizer)
            return float(loss)

        with pytest.raises(TracingError):
            tl.jit(step)()
        for name, value in model.state_dict().items():
            assert np.array_equal(value, before[name])
        assert all(p.grad is None for p in model.parameters())

    def test_an_unknown_backend_and_no_function(self):
        with pytest.raises(ValueError, match="'numpy'"):
            tl.jit(np.sin, backend="fast")
        with pytest.raises(TypeError, match="takes a function"):
            tl.jit(3)


class TestTogether:
    """Threads, and transforms around one another."""

    def test_threads_share_a_recording(self):
        f = tl.jit(lambda x: np.sum(np.sin(x) @ np.cos(x).T), backend="numpy")
        arrays = [np.full((30, 30), i * 0.1) for i in range(40)]
        with ThreadPoolExecutor(8) as pool:
            got = list(pool.map(f, arrays))
        assert got == [np.sum(np.sin(x) @ np.cos(x).T) for x in arrays]
        assert len(recordings(f)) == 1

    def test_recording_in_one_thread_is_not_seen_in_another(self):
        model, inside, done = nn.Linear(2, 1, rng=0), threading.Event(), threading.Event()

        def slow(x):
            inside.set()
            done.wait(10)
            return model(x).detach()

        worker = threading.Thread(target=tl.jit(slow), args=(X,))
        worker.start()
        inside.wait(10)
        assert type(model.weight.data) is np.ndarray
        assert type(model(X).data) is np.ndarray
        done.set()
        worker.join()

    def test_one_inside_another(self):
        inner = tl.jit(np.exp)
        outer = tl.jit(lambda x: inner(x) + inner(2 * x))
        for x in (np.ones(2), np.zeros(2)):
            assert np.array_equal(outer(x), np.exp(x) + np.exp(2 * x))

    def test_debug_watches_as_without(self):
        f = tl.jit(lambda t: np.log(t))
        x = tl.tensor([0.0], requires_grad=True)
        stop = pytest.raises(FloatingPointError, match="log gave -inf")
        with tl.debug(), np.errstate(divide="ignore"), stop:
            f(x)


class Subject:
    """A network with dropout and momentum, and a step of it that is or will be recorded."""

    def __init__(self, calls):
        self.rng = np.random.default_rng(5)
        layers = nn.Linear(2, 3, rng=0), nn.Dropout(0.5, rng=self.rng), nn.Linear(3, 1, rng=1)
        self.model = nn.Sequential(*layers)
        self.optimizer = optim.SGD(self.model.parameters(), lr=0.1, momentum=0.9)
        self.step = tl.jit(trained)
        for _ in range(calls):
            self.step(self.model, self.optimizer)

    def state(self):
        parameters = self.model.state_dict()
        gradients = [None if p.grad is None else p.grad.copy() for p in self.model.parameters()]
        drawn = str(self.rng.bit_generator.state)
        return parameters, gradients, self.optimizer.state_dict()["state"], drawn


class TestInterrupts:
    """A call under jit is made, or it is not."""

    @pytest.mark.parametrize(("calls", "stride"), [(0, 499), (2, 2003), (3, 1)])
    def test_at_every_line(self, calls, stride):
        assert_all_or_none(
            lambda: Subject(calls),
            lambda subject: subject.step(subject.model, subject.optimizer),
            Subject.state,
            stride=stride,
        )


class TestReport:
    """What was recorded, and why."""

    def test_it_says_what_was_recorded_and_why(self):
        f = tl.jit(lambda x, k: x * 2 if x.sum() > 0 else np.ones(k))
        f(np.ones(2), 1), f(np.ones(2), 1), f(np.ones(3), 1), f(-np.ones(3), 1)
        report = f.report()
        assert "3 programs recorded, 1 call served" in report
        assert "the first call" in report
        assert "x, which is float64(3,) now" in report
        assert "a branch that went another way" in report
        assert "k = 1" in report


class TestRepeat:
    """Many steps in one call."""

    def test_it_is_as_many_calls(self):
        here, there = mlp(0.9), mlp(0.9)
        expected = [trained(*here).item() for _ in range(7)]
        got = tl.repeat(trained, 7)(*there)
        assert np.array_equal(got, expected)
        for p, q in zip(here[0].parameters(), there[0].parameters(), strict=True):
            assert np.array_equal(p.data, q.data)

    def test_structure(self):
        got = tl.repeat(lambda x: {"a": x, "b": (x.sum(), 2)}, 3)(np.ones(2))
        assert got["a"].shape == (3, 2) and got["b"][0].shape == (3,)

    @pytest.mark.parametrize(("n", "error"), [(0, ValueError), (1.5, TypeError), (True, TypeError)])
    def test_how_often(self, n, error):
        with pytest.raises(error, match="repeat"):
            tl.repeat(np.sin, n)


class TestConstants:
    """Arrays that the function makes itself, and writes to between two calls of NumPy's."""

    VIEWS: ClassVar[dict[str, Any]] = {
        "whole": lambda a: a,
        "reversed": lambda a: a[::-1],
        "one row": lambda a: a[1],
        "column": lambda a: a[:, 0],
        "turned": lambda a: a.T,
        "stretched": lambda a: np.broadcast_to(a[1, 2:], (3, 3)),
    }

    @pytest.mark.parametrize("name", VIEWS)
    @pytest.mark.parametrize("take", [np.multiply, lambda x, a: x[a.astype(int)], np.kron])
    def test_each_call_has_the_numbers_that_it_had(self, name: str, take: Any):
        def f(x: Any) -> Any:
            buffer = np.zeros((3, 3))
            view, total = self.VIEWS[name](buffer), 0.0
            for i in range(3):
                buffer[:] = np.arange(9.0).reshape(3, 3) % (i + 1)
                total = total + (i + 1) * take(x, view)
            return np.sum(total * total)

        x = np.arange(1.0, 4.0)
        for function, first in {
            f: x,
            tl.grad(f): x,
            tl.vmap(tl.grad(f)): np.stack([x, -x]),
        }.items():
            recorded = tl.jit(function)
            for argument in (first, first + 1, first * 3):
                np.testing.assert_array_equal(recorded(argument), function(argument))


RATE, SETTINGS = 2.0, {"rates": [2.0]}


def at_rate(x):
    return x * RATE


class Settings:
    """What a program finds in a class, in its methods and in what these name."""

    rate, limits = 2.0, {"low": [2.0]}
    __slots__ = ("own",)

    def __init__(self):
        self.own = 2.0

    def method(self, x):
        return at_rate(x)

    @property
    def read(self):
        return RATE

    @staticmethod
    def static(x):
        return x * SETTINGS["rates"][0]


def setting(place, key):
    return lambda value: place.__setitem__(key, value)


SET_RATE = setting(globals(), "RATE")
SET_FIRST = setting(SETTINGS["rates"], 0)


def keyword_only(x, *, rates=SETTINGS["rates"]):
    return x * rates[0]


def its_own(x):
    return x * its_own.rate


its_own.rate = 2.0
THING = Settings()
BYTES = bytearray([2])


class TestPlainValues:
    """Numbers that lie where no twin is: with others, the call is recorded anew."""

    @pytest.mark.parametrize(
        ("f", "change"),
        [
            (lambda x: x * Settings.rate, lambda value: setattr(Settings, "rate", value)),
            (lambda x: x * Settings.limits["low"][0], setting(Settings.limits["low"], 0)),
            (lambda x: x * THING.own, lambda value: setattr(THING, "own", value)),
            (lambda x: THING.method(x), SET_RATE),
            (THING.method, SET_RATE),
            (lambda x: Settings().method(x), SET_RATE),
            (lambda x: x * THING.read, SET_RATE),
            (lambda x: Settings.static(x), SET_FIRST),
            (keyword_only, SET_FIRST),
            (its_own, lambda value: setattr(its_own, "rate", value)),
            (tl.primitive(lambda x: x * RATE), SET_RATE),
            (lambda x: x * BYTES[0], lambda value: setting(BYTES, 0)(int(value))),
        ],
    )
    def test_another_number_is_another_program(self, f, change):
        jitted = tl.jit(f)
        try:
            for value in (2.0, 2.0, 5.0, 2.0, 7.0):
                change(value)
                assert jitted(np.ones(2)).tolist() == [value, value]
        finally:
            change(2.0)

    def test_what_gives_another_value_each_time_is_called_as_it_is(self):
        count, seen = itertools.count(1), set()

        def chunk(x):
            seen.add(len(seen))
            return x * len(seen)

        numbered, chunked = tl.jit(lambda x: x * next(count)), tl.jit(chunk)
        assert [numbered(1.0) for _ in "123"] == [1.0, 2.0, 3.0]
        assert [chunked(1.0) for _ in "123"] == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("place", [0, slice(1, None), (slice(None), 0)])
@pytest.mark.parametrize("record", [tl.jit, tl.program, lambda f: tl.repeat(f, 2)])
def test_a_write_into_a_plain_array_is_called_what_it_is(record, place):
    def written(x):
        inner = np.zeros((3, 2))
        inner[place] = x[place]
        return x + inner

    def told(x):
        inner = tl.tensor(np.zeros((3, 2)))
        inner[place] = x[place]
        return x + inner

    x = np.ones((3, 2))
    with pytest.raises(TracingError, match=r"inner\[i\] = t, into .*Say inner = tl.tensor"):
        record(written)(x)
    record(told)(x)
