"""Programs that show a fault by themselves: each is run before it is printed."""

import sys

import numpy as np
import pytest

import tinygrad_lab as tl
from tests.testing.failures import finding
from tinygrad_lab import testing as tgt
from tinygrad_lab.testing.telling.pasted import literal, spelled
from tinygrad_lab.testing.telling.reproducers import Program, first_that_fails

X = np.array([0.3, -0.8, 1.1])


def primitive(f, *rules):
    op = tl.primitive(f)
    tl.defvjp(op, *rules)
    return op


def one_of_many(x):
    return np.tanh(x)


def of_one(g, y, x):
    c = np.array(g * (1 - y * y))
    c.flat[c.size // 2 + 1] *= 3
    return c


one_of_many = primitive(one_of_many, of_one)


def damped(x):
    return np.sin(x)


damped = primitive(damped, lambda g, y, x: np.where(np.abs(g) > 1e-3, g, 0) * np.cos(x))


def by_layout(x):
    return x * 2.0


by_layout = primitive(by_layout, lambda g, y, x: 2 * g if g.flags.c_contiguous else 3 * g)


def product(a, b):
    return a @ b


product = primitive(product, lambda g, y, a, b: g @ b.T, lambda g, y, a, b: a.T @ g * 1.01)


def loud(x):
    print("loud")
    return x * x


loud = primitive(loud, lambda g, y, x: g * x)


RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("fn", "inputs", "word"),
    [
        (lambda x: (one_of_many(np.sin(x)) * 2.0).sum(), (RNG.normal(size=30),), "one_of_many"),
        (lambda x: (damped(x * 2.0) * 1e-4).sum(), (X,), "upstream="),
        (lambda x: (by_layout(x).T * 3.0).sum(), (RNG.normal(size=(2, 3)),), "by_layout"),
        (
            lambda a, b: np.tanh(product(a, b)).sum(),
            (RNG.normal(size=(20, 30)), RNG.normal(size=(30, 20))),
            "rng.uniform(",
        ),
        (lambda x: np.sin(product(x, x)).sum(), (RNG.normal(size=(2, 2)),), "lambda a: product(a"),
    ],
)
def test_a_reproducer_is_mended_until_it_fails(fn, inputs, word):
    failure = finding(fn, *inputs)
    assert word in failure.reproducer
    with pytest.raises(tgt.GradientError):
        exec(failure.reproducer, {})


def test_trying_a_reproducer_is_quiet(capsys, monkeypatch):
    failure = finding(lambda x: np.sin(loud(x)), X)
    assert "loud(a)" in failure.reproducer
    printed = capsys.readouterr().out.count("loud")
    monkeypatch.setattr(Program, "fails", lambda *_: False)
    finding(lambda x: np.sin(loud(x)), X)
    assert printed == capsys.readouterr().out.count("loud")


def test_what_cannot_be_imported_is_marked_and_tried_all_the_same():
    inner = primitive(lambda x: x * x, lambda g, y, x: g * x)
    inner.__name__ = "inner"
    failure = finding(lambda x: np.sin(inner(x)), X)
    assert "# inner was defined inside a function: define it here first" in failure.reproducer
    with pytest.raises(tgt.GradientError):
        exec(failure.reproducer, {"inner": inner})
    main = sys.modules["__main__"]
    outer = primitive(lambda x: x * x, lambda g, y, x: g * x)
    outer.__name__ = outer.__qualname__ = "outer"
    outer.__module__ = "__main__"
    main.outer = outer
    try:
        assert not spelled(outer).stands_alone
    finally:
        del main.outer


def test_programs_that_do_not_run_or_find_nothing_are_dropped():
    passes = Program(
        "import numpy as np\nfrom tinygrad_lab import testing as tgt\n"
        "tgt.gradcheck(np.sin, np.array([1.0]))"
    )
    assert passes.fails() is False
    assert Program("this is no Python").fails() is None
    assert Program("raise SystemError").fails() is None
    nothing = first_that_fails([None, passes, Program("1 / 0")])
    assert (nothing.text, nothing.is_right_alone) == ("", True)


def test_where_each_call_is_right_it_is_said():
    def forgetful(x):
        return np.sin(x)

    state = {"calls": 0}

    def rule(g, y, x):  # right whenever it is asked alone, on what it was given
        return g * np.cos(x) * (2.0 if state["composed"] else 1.0)

    op = primitive(forgetful, rule)

    def composed(x):
        return np.tanh(op(x)).sum()

    state["composed"] = True
    failure = finding(composed, X)
    assert failure.reproducer  # it is wrong alone too
    state["composed"] = False
    tgt.gradcheck(composed, X)


def test_programs_of_functions_by_hand():
    failure = finding(tgt.adapters.numpy(squares, half), X)
    assert "import squares\n" in failure.reproducer
    assert "tgt.adapters.numpy(squares, half)" in failure.reproducer
    with pytest.raises(tgt.GradientError):
        exec(failure.reproducer, {})
    by_grad = finding(tgt.adapters.numpy(total, grad=half_of_total), X)
    assert "tgt.adapters.numpy(total, grad=half_of_total)" in by_grad.reproducer
    with pytest.raises(tgt.GradientError):
        exec(by_grad.reproducer, {})
    unsigned = finding(tgt.adapters.numpy(squares, of_either_sign), X)
    assert unsigned.kind == "nonlinear"
    with pytest.raises(tgt.GradientError):
        exec(unsigned.reproducer, {})
    unnamed = finding(tgt.adapters.numpy(lambda x: x * x, lambda g, x: g * x), X)
    assert not unnamed.reproducer


def squares(x):
    return x * x


def half(g, x):
    return g * x


def of_either_sign(g, x):
    return np.abs(g) * 2 * x


def total(x):
    return np.sum(x * x)


def half_of_total(x):
    return x


def test_values_as_python():
    for value in (
        np.float32, np.dtype("float32"), np.zeros((0, 2)), np.array([np.nan, np.inf]),
        (np.array([1]), 2.0), [True, np.nan, -np.inf], slice(0, 2, None), ..., np.array([1 + 2j]),
    ):  # fmt: skip
        again = eval(literal(value), {"np": np})
        assert type(again) is type(value)
        np.testing.assert_equal(again, value)
