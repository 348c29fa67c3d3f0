"""gradtest: which functions it takes, what it draws for them, one report for one mistake."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import Phase, assume, settings
from hypothesis import strategies as st

import tinygrad_lab as tl
from tinygrad_lab import testing as tgt
from tinygrad_lab.testing.adapters import numpy as by_hand
from tinygrad_lab.testing.session import session

QUICK = settings(max_examples=10, database=None, derandomize=True)


@tl.primitive
def wrong_product(x, y):
    return x * y


tl.defvjp(wrong_product, lambda g, z, x, y: 2 * g * y, lambda g, z, x, y: 2 * g * x)

right = by_hand(np.sin, lambda g, x: np.asarray(g * np.cos(x), dtype=g.dtype), name="sine")
wrong = by_hand(np.sin, lambda g, x: np.asarray(g * np.sin(x), dtype=g.dtype), name="sine")


# ---------------------------------------------------------------------------------------------
# What it takes


@tgt.gradtest
def test_without_parentheses(x):
    return np.sin(x)


test_an_adapter = tgt.gradtest(tgt.tensors(1), using=QUICK)(right)


@tgt.gradtest([tgt.tensors(1, shape=(3,)), tgt.tensors(1, shape=(3, 2))], using=QUICK)
def test_a_strategy_for_each_array(x, w):
    assert x.shape == (3,)
    return x @ w


@tgt.gradtest({"w": tgt.tensors(1, shape=(3, 2)), "x": tgt.tensors(1, shape=(3,))}, using=QUICK)
def test_by_name(x, w):
    return x @ w


@tgt.gradtest(tgt.tensors(1, shape=(4,)).map(lambda xs: xs[0]), using=QUICK)
def test_a_strategy_of_arrays(x):
    return x * x


@pytest.fixture
def factor():
    return 1.5


@pytest.mark.parametrize("power", [2, 3])
@tgt.gradtest(tgt.tensors(2), kwargs={"axis": tgt.axes(), "keepdims": st.booleans()}, using=QUICK)
def test_with_what_pytest_gives(x, y, power, factor, axis, keepdims):
    return np.sum(x**power * y * factor, axis=axis, keepdims=keepdims)


class TestMethods:
    """Methods of a class, with fixtures of their own."""

    @pytest.fixture
    def scale(self):
        return 2.0

    @tgt.gradtest(tgt.tensors(1), using=QUICK)
    def test_of_a_class(self, x, scale):
        assert isinstance(self, TestMethods)
        return np.tanh(x) * scale


@tgt.gradtest(tgt.tensors(1, domain=tgt.Domain(-1, 1)), using=QUICK)
def test_that_assumes(x):
    assume(x.ndim < 3)
    return x * (1.0 if x.ndim < 3 else np.nan)


def test_other_arguments_than_are_drawn_are_answered_with_what_to_write():
    with pytest.raises(TypeError, match=r"draws 2 arrays, but f\(x\) takes 1: .*tensors\(1\)"):

        @tgt.gradtest(tgt.tensors(2))
        def f(x):
            return x

    with pytest.raises(TypeError, match=r"draws axis, which f\(x\) does not take"):

        @tgt.gradtest(tgt.tensors(1), kwargs={"axis": tgt.axes()})
        def f(x):
            return x

    with pytest.raises(TypeError, match=r"draws z, which f\(x\) does not take"):

        @tgt.gradtest({"z": tgt.tensors(1)})
        def f(x):
            return x

    with pytest.raises(TypeError, match="inputs are strategies, such as"):
        tgt.gradtest(np.ones(3))
    with pytest.raises(TypeError, match="say the domain in inputs"):
        tgt.gradtest(tgt.tensors(1), domain=tgt.Domain(0, 1))
    with pytest.raises(TypeError, match="of a function, not of 3"):
        tgt.gradtest()(3)
    with pytest.raises(TypeError, match="takes arrays alone"):
        tgt.gradtest(tgt.tensors(1), kwargs={"axis": 0})(right)
    with pytest.raises(ValueError, match="no property is called"):
        tgt.gradtest(tgt.tensors(1), properties="number")


# ---------------------------------------------------------------------------------------------
# What it finds


def failure_of(test, *args, **kwargs):
    reports = []
    with session(listeners=(reports.append,)), pytest.raises(tgt.GradientError) as caught:
        test(*args, **kwargs)
    assert caught.value.report is reports[-1]
    return caught.value


def test_one_mistake_is_one_failure_made_small_and_explained():
    @tgt.gradtest(tgt.tensors(2, broadcast=True), using=QUICK)
    def product(x, y):
        return wrong_product(x, y) + 0.0

    error = failure_of(product)
    assert not isinstance(error, BaseExceptionGroup)
    assert sum(x.size for x in _inputs(error)) <= 3
    assert "twice too large" in str(error)
    assert "wrong_product  100.00%" in str(error)


def _inputs(error):
    line = next(row for row in str(error).splitlines() if "smallest failing input" in row)
    text = line.partition("input: ")[2].replace("x = ", "").replace("y = ", "")
    return eval(f"[{text}]", {"np": np})


def test_of_an_adapter():
    error = failure_of(tgt.gradtest(tgt.tensors(1), using=QUICK)(wrong))
    assert str(error).startswith("sine, gradient by input 0 (x) is wrong")


def test_further_kinds_are_met_whatever_hypothesis_draws():
    numbers = {"using": settings(QUICK, max_examples=60), "properties": "directional"}

    @tgt.gradtest(tgt.tensors(1), **numbers)
    def long_and_wrong(x):
        return wrong_product(x, 1.0) if x.size > 40 else x * 1.0

    @tgt.gradtest(tgt.tensors(1), **numbers)
    def large_and_wrong(x):
        return np.where(np.asarray(x.data) > 123.0, wrong_product(x, 1.0), x)

    assert _inputs(failure_of(large_and_wrong))[0].max() > 123
    assert "smallest failing input: x = float64(" in str(failure_of(long_and_wrong))


def test_hypothesis_is_told_what_to_do():
    seen = []

    @tgt.gradtest(tgt.tensors(1), using=settings(QUICK, phases=[Phase.explicit]))
    def never_called(x):
        seen.append(x)

    never_called()
    assert not seen


MODULE = """
import numpy as np
import tinygrad_lab as tl
from tinygrad_lab import testing as tgt

@tl.primitive
def product(x, y):
    return x * y

tl.defvjp(product, lambda g, z, x, y: g * y, lambda g, z, x, y: -g * x)

@tgt.gradtest(tgt.tensors(2, broadcast=True), properties="directional")
def test_product(x, y):
    return product(x, y)
"""


def test_under_pytest_there_is_one_failure_too(tmp_path):
    (tmp_path / "test_it.py").write_text(MODULE, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "test_it.py", "-p", "no:cacheprovider"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "1 failed" in ran.stdout
    assert "distinct failures" not in ran.stdout
    # On a build server pytest repeats the whole message in its short summary.
    failures = ran.stdout.partition("short test summary")[0]
    assert failures.count("smallest failing input") == 1, ran.stdout
