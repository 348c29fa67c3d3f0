"""Compiled kernels give what ``evaluate`` gives, line by line, and never a stale number."""

from __future__ import annotations

import operator
import os
import subprocess
import sys
import threading
from random import Random
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_lab as tl
from tests.transforms.jit.random_programs import Builder, draw_program
from tinygrad_lab import nn, optim
from tinygrad_lab.transforms.jit.program import (
    GuardFailed,
    Input,
    Instruction,
    Kind,
    Program,
    Ref,
    evaluate,
    expect,
    kind_of,
    mapped,
    refs,
)
from tinygrad_lab.warnings import CompilingWarning

numba = pytest.importorskip("numba", exc_type=ImportError)

from tinygrad_lab.transforms.jit.backends import (  # noqa: E402 - they are there without Numba
    cache,
    calling,
    forms,
    looping,
    loops,
    plan,
)
from tinygrad_lab.transforms.jit.backends import numba as backend  # noqa: E402
from tinygrad_lab.transforms.jit.backends.background import in_background  # noqa: E402

EXAMPLES = max(settings.default.max_examples // 8, 1)
POLYNOMIALS = (np.exp, np.log, np.log1p, np.expm1, np.cosh, np.tanh)
LIBRARY = (np.sin, np.arctan, np.arctan2, np.hypot, np.power)
SUMS = (np.sum, np.mean, np.prod, np.add.reduce, np.matmul)


@pytest.fixture(autouse=True)
def _new_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TINYGRAD_LAB_CACHE", str(tmp_path / "kernels"))
    monkeypatch.setattr(cache, "_entries", {})
    monkeypatch.setattr(cache, "_refused", set())


# -- line by line ---------------------------------------------------------------------------------


def bound(line: Instruction, args: Any, kwargs: Any, expected: Any) -> Any:
    """The documented distance from what NumPy gives for the same operands."""
    if expected.dtype.kind != "f" or line.op not in (*POLYNOMIALS, *LIBRARY, *SUMS):
        return 0
    if line.op not in SUMS:
        return 4 * np.spacing(np.abs(expected))
    eps = np.finfo(expected.dtype).eps
    if line.op is np.matmul:
        return max(args[0].shape[-1], 2) * eps * (np.abs(args[0]) @ np.abs(args[1]))
    if line.op is np.prod:
        return max(np.size(args[0]), 2) * eps * np.abs(expected)
    return max(np.size(args[0]), 2) * eps * line.op(np.abs(args[0]), **kwargs)


def check_lines(builder: Builder, program: Program, outputs: list[Any]) -> int:
    """Hold each result against NumPy's for the operands that the kernel itself computed."""
    values: dict[int, Any] = dict(enumerate(builder.inputs))
    values |= {ref.number: value for ref, value in zip(program.outputs, outputs, strict=True)}
    count = 0
    for ref, line in program.numbered():
        if ref.number not in values or any(r.number not in values for r in refs(line)):
            continue
        args = mapped(line.args, lambda r: values[r.number])
        kwargs = mapped(dict(line.kwargs), lambda r: values[r.number])
        with np.errstate(all="ignore"):
            expected = line.op(*args, **kwargs)
        actual = values[ref.number]
        assert type(actual) is type(expected), (ref, line)
        assert (actual.dtype, actual.shape) == (expected.dtype, expected.shape), (ref, line)
        if expected.dtype.kind == "f":
            error = np.abs(actual - expected)
            assert np.all(error <= bound(line, args, kwargs, expected)), (ref, line, actual)
        else:
            np.testing.assert_array_equal(actual, expected, str((ref, line)))
        count += 1
    return count


@settings(max_examples=EXAMPLES)
@given(
    st.integers(0, 2**32), st.integers(10, 25), st.sampled_from(((16, 8), (4, 4), (1, 1)))
)  # fmt: skip
def test_random_programs_line_by_line(seed: int, steps: int, limits: tuple[int, int]):
    random = Random(seed)
    builder = draw_program(random, steps)
    count, values = len(builder.inputs), builder.values
    lines = [Ref(i) for i in range(count, len(values)) if values[i] is not None]
    program = builder.program([ref for ref in lines if random.random() < 0.7])
    before = [np.copy(x) for x in builder.inputs]
    caller = calling.Caller(plan.Plan(program, *limits, with_numbers=False), cache.compiled)
    outputs = caller.function()(*builder.inputs)
    check_lines(builder, program, outputs)
    for x, y in zip(before, builder.inputs, strict=True):
        np.testing.assert_array_equal(x, y)
    arrays = [x for x in outputs if isinstance(x, np.ndarray)]
    for i, x in enumerate(arrays):
        assert not any(np.shares_memory(x, y) for y in arrays[:i] + builder.inputs)


def small_program(*lines: tuple[Any, ...], inputs: tuple[Any, ...]) -> tuple[Builder, Program]:
    """A program of lines (function, operands), where a number n stands for the n-th value."""
    builder = Builder(Random(0))
    for value in inputs:
        builder.input(value)
    for op, *args in lines:
        builder.line(op, *args)
    return builder, builder.program()


@pytest.mark.parametrize("fault", ["operands", "stride", "place"])
def test_the_check_sees_a_planted_fault(fault, monkeypatch):
    rng = np.random.default_rng(0)
    builder, program = small_program(
        (np.subtract, Ref(0), Ref(1)), (np.transpose, Ref(2)), (np.subtract, Ref(3), 1.0),
        inputs=(rng.normal(size=(20, 20)), rng.normal(size=20)),
    )  # fmt: skip
    if fault == "operands":
        monkeypatch.setitem(forms._INFIX, np.subtract, "- 2 *")
    elif fault == "stride":
        monkeypatch.setattr(plan, "row_strides", lambda shape: (1,) * len(shape))
    else:
        index = loops._Turns.index
        swapped = lambda *args: index(*args).replace("i0 * 20 + i1", "i1 * 20 + i0")
        monkeypatch.setattr(loops._Turns, "index", swapped)
    outputs = backend.compile(program)(*builder.inputs)
    with pytest.raises(AssertionError):
        check_lines(builder, program, outputs)


# -- functions of one element ---------------------------------------------------------------------


@pytest.mark.parametrize("op", POLYNOMIALS)
def test_functions_are_within_the_stated_bound_of_50_digits(op):
    rng = np.random.default_rng(0)
    sizes = 10.0 ** rng.uniform(-320, 308, 400)
    x = np.concatenate([
        rng.uniform(-1, 1, 400), rng.uniform(-40, 40, 400), rng.uniform(-745.2, 709.7, 400), sizes,
        -sizes, 1 + rng.uniform(-0.5, 0.5, 200), -1 + sizes,
    ])  # fmt: skip
    if op is np.log:
        x = np.abs(x)
    elif op is np.log1p:
        x = x[x > -1]
    with np.errstate(all="ignore"):
        x = x[np.isfinite(op(x)) & (x != 0)]
    line = Instruction(op, (Ref(0),), {}, kind_of(x))
    program = Program("f", (Input("x", kind_of(x)),), (line,), (Ref(1),), ("y",))
    (actual,) = backend.compile(program)(x)
    allowed = 3 if op in (np.tanh, np.cosh) else 2
    with mpmath.workdps(50):
        for value, result in zip(x.tolist(), actual.tolist(), strict=True):
            exact = getattr(mpmath, op.__name__)(mpmath.mpf(value))
            error = abs(mpmath.mpf(result) - exact) / mpmath.mpf(float(np.spacing(abs(result))))
            assert error <= allowed, (op, value, result)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_functions_are_right_at_the_ends(dtype):
    """What comes out are truth values, for results that are not finite end a call."""
    x = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, -1, -2, 800, -800, 1e38, -1e38, 1e-40], dtype)
    x = np.tile(x, 2)  # more than is written out
    truth = Kind(np.dtype(bool), x.shape)
    lines, outputs = [], []
    for op in POLYNOMIALS:
        lines.append(Instruction(op, (Ref(0),), {}, kind_of(x)))
        y = Ref(len(lines))
        for test, *args in ((np.isnan, y), (np.isinf, y), (np.greater, y, 0), (np.less, y, 0)):
            lines.append(Instruction(test, tuple(args), {}, truth))
            outputs.append(Ref(len(lines)))
    labels = tuple(
        f"{op.__name__} {what}" for op in POLYNOMIALS for what in ("nan", "inf", ">", "<")
    )
    program = Program("ends", (Input("x", kind_of(x)),), tuple(lines), tuple(outputs), labels)
    with np.errstate(all="ignore"):
        expected = evaluate(program, [x])
    for label, actual, wanted in zip(labels, backend.compile(program)(x), expected, strict=True):
        np.testing.assert_array_equal(actual, wanted, label)


# -- training steps -------------------------------------------------------------------------------


def inputs_of(program: Program, seed: int) -> list[Any]:
    """Draw arguments of the kinds that a program is for."""
    rng = np.random.default_rng(seed)
    values: list[Any] = []
    for name, kind in program.inputs:
        if not kind.is_array:
            values.append({int: 3, float: 0.9, bool: False}[kind.dtype])
        elif kind.dtype.kind == "f":
            value = rng.normal(size=kind.shape).astype(kind.dtype)
            values.append(np.abs(value) + 0.5 if name.endswith("square") else value)
        else:
            values.append(rng.integers(0, 2, size=kind.shape).astype(kind.dtype))
    return [v if not kind_of(v).is_array or np.ndim(v) else v[()] for v in values]


def training_step(model: Any, optimizer: Any, loss: Any) -> Any:
    def step(model: Any, optimizer: Any, x: Any, y: Any) -> Any:
        value = loss(model(x), y)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        return value

    return lambda x, y: tl.program(step)(model, optimizer, x, y)


def lab_step() -> Program:
    rng = np.random.default_rng(0)
    model = nn.MLP([2, 3, 3, 1], activation="sigmoid", output_activation="sigmoid", rng=0)
    step = training_step(model, optim.SGD(model.parameters(), lr=0.1), nn.functional.mse_loss)
    return step(tl.tensor(rng.uniform(size=(100, 2))), tl.tensor(rng.uniform(size=(100, 1))))


def digit_step() -> Program:
    rng = np.random.default_rng(0)
    model = nn.MLP([40, 24, 9], activation="relu", output_activation=None, dtype="f4", rng=0)
    step = training_step(model, optim.Adam(model.parameters()), nn.functional.cross_entropy)
    return step(tl.tensor(rng.uniform(size=(16, 40)).astype("f4")), rng.integers(9, size=16))


def convolution_step() -> Program:
    rng = np.random.default_rng(0)
    model = nn.Sequential(
        nn.Conv2d(1, 2, 3, rng=0), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(18, 4, rng=0)
    )
    step = training_step(model, optim.SGD(model.parameters(), lr=0.1), nn.functional.cross_entropy)
    return step(tl.tensor(rng.uniform(size=(5, 1, 8, 8))), rng.integers(4, size=5))


@pytest.mark.parametrize("make", [lab_step, digit_step, convolution_step])
def test_training_steps(make):
    program = make()
    run = backend.compile(program)
    for seed in range(3):
        inputs = inputs_of(program, seed)
        expected, actual = evaluate(program, inputs), run(*inputs)
        for label, x, y in zip(program.labels, expected, actual, strict=True):
            assert type(x) is type(y), label
            if kind_of(x).is_array:
                scale = 1e-4 if x.dtype == np.float32 else 1e-12
                assert (x.dtype, x.shape) == (y.dtype, y.shape), label
                np.testing.assert_allclose(y, x, rtol=scale, atol=scale, err_msg=label)
            else:
                assert x == y, label


def test_the_lab_step_is_one_kernel():
    assert len(backend.kernels(lab_step())) == 1


# -- many steps in one call -----------------------------------------------------------------------


def loop_of(program: Program) -> tuple[dict[int, int], set[int]]:
    names = [given.name for given in program.inputs]
    carried = {o: names.index(x) for o, x in enumerate(program.labels) if x in names}
    return carried, {len(program.labels) - 1}


def test_a_loop_gives_what_calling_again_and_again_gives(monkeypatch):
    program = lab_step()
    carried, stacked = loop_of(program)
    assert len(carried) == 6
    monkeypatch.setattr(looping, "TURNS", 10_000)  # a few turns in each call of the kernel
    run = backend.compile_loop(program, carried, stacked)
    inputs = inputs_of(program, 0)
    before = [np.copy(x) for x in inputs]
    done, outputs = run(50, *inputs)
    assert done == 50
    now, losses = list(inputs), []
    for _ in range(50):
        results = evaluate(program, now)
        losses.append(results[-1])
        for o, i in carried.items():
            now[i] = results[o]
    np.testing.assert_allclose(outputs[-1], losses, rtol=1e-9)
    for o in range(len(results) - 1):
        np.testing.assert_allclose(outputs[o], results[o], rtol=1e-8, atol=1e-12)
    for x, y in zip(before, inputs, strict=True):
        np.testing.assert_array_equal(x, y)


def counting(limit: Any) -> Program:
    """A step: multiply x by the count, and count on, as long as x is below a limit."""
    kind, count = Kind(np.dtype(float), (3,)), Kind(int)
    lines = (
        Instruction(np.max, (Ref(0),), {}, Kind(np.dtype(float))),
        Instruction(np.less, (Ref(2), limit), {}, Kind(np.dtype(bool))),
        Instruction(expect, (Ref(3), True), {}, Kind(type(None))),
        Instruction(np.multiply, (Ref(0), Ref(1)), {}, kind),
        Instruction(operator.add, (Ref(1), 1), {}, count),
    )
    inputs = Input("x", kind), Input("count", count)
    return Program("counting", inputs, lines, (Ref(5), Ref(6), Ref(2)), ("x", "count", "result"))


@pytest.mark.parametrize(("limit", "done"), [(100.0, 5), (np.inf, 8), (1e9, 8)])
def test_a_loop_stops_before_the_turn_that_a_guard_is_against(limit, done):
    run = backend.compile_loop(counting(limit), {0: 0, 1: 1}, {2})
    got, (x, count, largest) = run(8, np.array([1.0, 0.5, -1.0]), 1)
    factorial = [1.0, 1.0, 2.0, 6.0, 24.0, 120.0, 720.0, 5040.0, 40320.0]
    assert (got, count, type(count)) == (done, done + 1, int)
    np.testing.assert_array_equal(x, factorial[done] * np.array([1.0, 0.5, -1.0]))
    np.testing.assert_array_equal(largest, factorial[:done])


def test_a_loop_stops_before_a_turn_whose_result_is_not_finite():
    run = backend.compile_loop(counting(np.inf), {0: 0, 1: 1}, {2})
    done, (x, count, _) = run(500, np.array([1.0, 0.5, -1.0]), 1)
    assert done == count - 1 == 170  # 171! is too large for a float
    assert np.all(np.isfinite(x))


def test_there_is_no_loop_around_what_python_has_to_call():
    program = convolution_step()
    assert backend.compile_loop(program, *loop_of(program)) is None


# -- what ends a call -----------------------------------------------------------------------------


def test_a_guard():
    kind = Kind(np.dtype(float), (40,))
    lines = (
        Instruction(np.sum, (Ref(0),), {}, Kind(np.dtype(float))),
        Instruction(np.greater, (Ref(1), 0), {}, Kind(np.dtype(bool))),
        Instruction(expect, (Ref(2), True), {}, Kind(type(None))),
        Instruction(np.multiply, (Ref(0), 2), {}, kind),
    )
    run = backend.compile(Program("f", (Input("x", kind),), lines, (Ref(4),), ("y",)))
    np.testing.assert_array_equal(run(np.ones(40))[0], np.full(40, 2.0))
    with pytest.raises(GuardFailed):
        run(-np.ones(40))


@pytest.mark.parametrize("call", [np.square, np.cumsum])  # of a kernel, and of Python
def test_a_result_that_is_not_finite(call):
    kind = Kind(np.dtype(float), (40,))
    lines = (
        Instruction(call, (Ref(0),), {}, kind, quiet=True),
        Instruction(np.multiply, (Ref(0), 1e-300), {}, kind),
    )
    program = Program("f", (Input("x", kind),), lines, (Ref(1), Ref(2)), ("y", "z"))
    run = backend.compile(program)
    with np.errstate(over="ignore"), pytest.raises(backend.NotFinite):
        run(np.full(40, 1e308))


def test_a_nan_of_the_backward_pass_that_a_comparison_hides():
    kind = Kind(np.dtype(float), (40,))
    lines = (
        Instruction(np.multiply, (Ref(0), Ref(0)), {}, kind, "backward"),
        Instruction(np.subtract, (Ref(1), Ref(1)), {}, kind, "backward"),
        Instruction(np.greater, (Ref(2), 0), {}, Kind(np.dtype(bool), (40,)), "update"),
    )
    run = backend.compile(Program("f", (Input("x", kind),), lines, (Ref(3),), ("y",)))
    assert not run(np.ones(40))[0].any()
    with pytest.raises(backend.NotFinite):
        run(np.full(40, 1e200))


def test_arguments_of_another_kind_are_refused():
    _, program = small_program((np.negative, Ref(0)), inputs=(np.ones((20, 3)),))
    run = backend.compile(program)
    for wrong in (np.ones((3, 20)), np.ones((20, 3), "f4"), np.ones((20, 3), int), None, [1.0]):
        with pytest.raises((TypeError, AttributeError)):
            run(wrong)
    swapped = np.ones((20, 3)).astype(np.dtype(float).newbyteorder())
    for right in (np.ones((3, 20)).T, np.ones((40, 3))[::2], swapped):
        np.testing.assert_array_equal(run(right)[0], -np.ones((20, 3)))


def test_moments_that_fade_away_are_zero_and_gradients_are_not():
    shape = (128, 128)  # large enough for the update to be a loop of its own

    def trained(compiled):
        w = tl.tensor(np.ones(shape, np.float32), requires_grad=True)
        optimizer = optim.SGD([w], lr=1e-3, momentum=0.5)

        def step(x):
            optimizer.zero_grad()
            np.sum(x @ w).backward()
            optimizer.step()

        step = tl.jit(step, backend="numba") if compiled else step
        for x in [1] * 3 + [0] * 136 + [1e-42]:
            step(np.full(shape, x, np.float32))
        return optimizer.state[w]["momentum_buffer"], w.grad

    velocity, gradient = trained(compiled=False)
    assert 0 < velocity[0, 0] < np.finfo(np.float32).tiny
    assert np.array_equal(trained(compiled=True), (np.zeros(shape), gradient))
    assert np.float32(1e-40) * np.float32(0.5) > 0  # nothing else computes so


def test_two_threads_call_one_function():
    program = lab_step()
    run = backend.compile(program)
    arguments = [inputs_of(program, seed) for seed in range(4)]
    expected = [run(*inputs) for inputs in arguments]
    wrong: list[int] = []

    def work(k: int) -> None:
        for _ in range(300):
            pairs = zip(run(*arguments[k]), expected[k], strict=True)
            wrong.extend(k for x, y in pairs if np.any(x != y))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_memory_is_used_again_when_nobody_holds_what_was_in_it():
    kind = Kind(np.dtype(float), (100, 100))
    lines = (
        Instruction(np.multiply, (Ref(0), 2), {}, kind),
        Instruction(np.matmul, (Ref(1), Ref(0)), {}, kind),
    )
    run = backend.compile(Program("f", (Input("x", kind),), lines, (Ref(1), Ref(2)), ("y", "z")))
    inputs = [np.full((100, 100), float(k)) for k in range(8)]
    taken = [run(x) for x in inputs]  # held
    views = [run(x)[0][50:, ::2].T for x in inputs]  # held by a part
    for k in range(8):
        np.testing.assert_array_equal(taken[k][0], np.full((100, 100), 2.0 * k))
        np.testing.assert_array_equal(taken[k][1], np.full((100, 100), 200.0 * k * k))
        np.testing.assert_array_equal(views[k], np.full((50, 50), 2.0 * k))
    places = {array.ctypes.data for x in inputs for array in run(x)}  # dropped at once
    assert len(places) <= 4


# -- compiling ------------------------------------------------------------------------------------


def tiny(factor: float = 2.0) -> Program:
    kind = Kind(np.dtype(float), (40,))
    line = Instruction(np.multiply, (Ref(0), factor), {}, kind)
    return Program("tiny", (Input("x", kind),), (line,), (Ref(1),), ("y",))


def test_what_compiles_in_the_background_gives_the_same():
    futures = [in_background(lambda k=k: backend.compile(tiny(k))) for k in (2.0, 3.0)]
    for factor, future in zip((2.0, 3.0), futures, strict=True):
        np.testing.assert_array_equal(future.result()(np.ones(40))[0], np.full(40, factor))


def test_what_goes_wrong_in_the_background_is_told_to_who_asks(monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)
    assert isinstance(in_background(lambda: backend.compile(tiny())).exception(), ImportError)


def test_an_interrupted_compilation_leaves_nothing_half_made(monkeypatch):
    from numba.core import typed_passes

    infer = typed_passes.type_inference_stage

    def interrupted(*args: Any, **kwargs: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(typed_passes, "type_inference_stage", interrupted)
    with pytest.raises(KeyboardInterrupt):
        backend.compile(tiny())
    assert list(cache.folder().iterdir()) == []
    monkeypatch.setattr(typed_passes, "type_inference_stage", infer)
    np.testing.assert_array_equal(backend.compile(tiny())(np.ones(40))[0], np.full(40, 2.0))


# -- the folder of compiled kernels ---------------------------------------------------------------


class Compilations:
    """How often Numba compiles."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count, original = 0, cache._compile

        def counted(kernel: Any) -> Any:
            self.count += 1
            return original(kernel)

        monkeypatch.setattr(cache, "_compile", counted)

    def of(self, program: Program) -> int:
        """Compile as another process would, check the result, and say how often Numba did."""
        before = self.count
        cache._entries.clear()
        np.testing.assert_array_equal(backend.compile(program)(np.ones(40))[0], np.full(40, 2.0))
        return self.count - before


@pytest.fixture
def compilations(monkeypatch):
    return Compilations(monkeypatch)


def test_a_second_process_does_not_compile(compilations):
    assert [compilations.of(tiny()) for _ in range(2)] == [1, 0]
    assert cache.folder().stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("package", ["numba", "llvmlite", "numpy"])
def test_another_version_compiles_anew(package, compilations, monkeypatch):
    compilations.of(tiny())
    monkeypatch.setattr(sys.modules[package], "__version__", "0")
    assert compilations.of(tiny()) == 1


@pytest.mark.parametrize(
    "damage", ["truncated", "changed", "empty", "folder", "unreadable", "link"]
)
def test_a_damaged_file_is_compiled_anew(damage, compilations, tmp_path):
    compilations.of(tiny())
    (path,) = cache.folder().iterdir()
    data = path.read_bytes()
    if damage == "truncated":
        path.write_bytes(data[:-100])
    elif damage == "changed":
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "unreadable":
        path.chmod(0o020)  # and others can write to it
    else:
        path.unlink()
        (tmp_path / "other").write_bytes(data)
        path.mkdir() if damage == "folder" else path.symlink_to(tmp_path / "other")
    assert compilations.of(tiny()) == 1


def test_nothing_is_executed_from_a_folder_that_others_can_write_to(compilations):
    compilations.of(tiny())
    cache.folder().chmod(0o770)
    with pytest.warns(CompilingWarning, match="can be written to by others"):
        assert compilations.of(tiny()) == 1
    assert compilations.of(tiny()) == 1  # and said once


def test_nothing_is_executed_from_a_folder_of_somebody_else(compilations, monkeypatch):
    compilations.of(tiny())
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    with pytest.warns(CompilingWarning, match="belongs to somebody else"):
        assert compilations.of(tiny()) == 1


def test_a_full_disk_is_no_error(compilations, monkeypatch):
    class Full:
        def write(self, data: bytes) -> int:
            raise OSError(28, "No space left on device")

        def __enter__(self) -> Full:
            return self

        def __exit__(self, *args: object) -> None:
            os.close(self.descriptor)

        def __init__(self, descriptor: int, mode: str) -> None:
            self.descriptor = descriptor

    monkeypatch.setattr(cache.os, "fdopen", Full)
    assert [compilations.of(tiny()) for _ in range(2)] == [1, 1]
    assert list(cache.folder().iterdir()) == []


def test_a_folder_that_cannot_be_made_is_said_once(compilations, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TINYGRAD_LAB_CACHE", str(tmp_path / "file" / "kernels"))
    with pytest.warns(CompilingWarning, match="compiled kernels are not kept"):
        assert compilations.of(tiny()) == 1


def test_no_folder_where_none_is_wanted(compilations, monkeypatch, tmp_path):
    monkeypatch.setenv("TINYGRAD_LAB_CACHE", "")
    assert [compilations.of(tiny()) for _ in range(2)] == [1, 1]
    assert list(tmp_path.iterdir()) == []


def test_what_was_used_longest_ago_is_thrown_away(compilations, monkeypatch):
    monkeypatch.setattr(cache, "_FILES", 1)
    compilations.of(tiny())
    backend.compile(tiny(3.0))
    assert len(list(cache.folder().iterdir())) == 1


SCRIPT = """
import numpy as np
from tinygrad_lab.transforms.jit.backends import cache, numba as backend
from tinygrad_lab.transforms.jit.program import Input, Instruction, Program, Ref, kind_of
original = cache._compile
def counted(kernel):
    print("compiled")
    return original(kernel)
cache._compile = counted
x = np.linspace(-1, 1, 200)
line = Instruction(np.tanh, (Ref(0),), {}, kind_of(x))
program = Program("f", (Input("x", kind_of(x)),), (line,), (Ref(1),), ("y",))
print(backend.compile(program)(x)[0].tobytes().hex())
"""


def test_two_processes_at_once_and_a_third_after_them():
    def begin() -> subprocess.Popen[str]:
        return subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, text=True)

    texts = [process.communicate()[0].split() for process in (begin(), begin())]
    third = begin().communicate()[0].split()
    assert len(third) == 1
    assert all(text[-1:] == third for text in texts)


def test_a_program_of_thousands_of_lines_is_not_compiled():
    kind = Kind(np.dtype(float), (40,))
    lines = tuple(Instruction(np.sin, (Ref(i),), {}, kind) for i in range(3000))
    program = Program("long", (Input("x", kind),), lines, (Ref(3000),), ("y",))
    assert backend.compile_or_say(program, is_asked_for=False) is None  # and says nothing
    with pytest.raises(backend.Unfit, match="3,000 statements"):
        backend.compile(program)


AT_THE_END = """
import threading, time
import tinygrad_lab as tl
from tinygrad_lab.transforms.jit.backends import numba as backend

def late(*_, **__):
    threading.main_thread().join()
    raise RuntimeError("can't register atexit after shutdown")  # what importing Numba says then

backend.compile = late
square = tl.jit(lambda x: x * x)
for _ in range(1000):
    square(2.0)
assert any(thread.name.startswith("tinygrad_lab") for thread in threading.enumerate())
"""


def test_nothing_is_said_when_the_process_ends_before_it_is_compiled():
    run = subprocess.run(
        [sys.executable, "-c", AT_THE_END], capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
