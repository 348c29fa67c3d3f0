"""A tracked tensor becomes a plain number where the code says so, and nowhere else.

Each caller is tried with a leaf, with a result, inside a transform, under ``no_grad``, and with a
tensor that is not tracked.  What ``float`` is called on may be any expression: its bytecode is
full of jumps.
"""

from __future__ import annotations

import array
import cmath
import ctypes
import functools
import itertools
import math
import operator
import statistics
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tl

IN_WORDS: dict[str, Callable[[Any], Any]] = {
    "float(t)": lambda t: float(t),
    "int(t)": lambda t: int(t),
    "complex(t)": lambda t: complex(t),
    "complex(1, t)": lambda t: complex(1.0, t),
    "an alias of float": lambda t: (lambda number: number(t))(float),
    "float(t) among others": lambda t: [0.0, float(t), max(1, float(t))],
    "float(x) for x in": lambda t: max(float(x) for x in [t, t]),
    "[float(x) for x in]": lambda t: [float(x) for x in [t, t]],
    "float(*[t])": lambda t: float(*[t]),
    "t.item()": lambda t: t.item(),
    "t.tolist()": lambda t: t.tolist(),
}
#: What is text, constant between jumps, or says that it has no history.
ALWAYS: dict[str, Callable[[Any], Any]] = {
    "f-string": lambda t: f"{t:.3f} {t}",
    "str.format": lambda t: "{:.3f}".format(t),  # noqa: UP032
    "%": lambda t: "%.3f %d %s" % (t, t, t),  # noqa: UP031
    "format(t, ...)": lambda t: format(t, ".2e"),
    "repr, str": lambda t: repr(t) + str(t),
    "bool(t)": lambda t: bool(t) and t > 0 and not t < 0,
    "round(t)": lambda t: (round(t), round(t, 2)),
    "math.floor(t)": lambda t: math.floor(t),
    "math.ceil(t)": lambda t: math.ceil(t),
    "math.isnan(t)": lambda t: math.isnan(t) or math.isclose(t, 1.0),
    "float(t.detach())": lambda t: float(t.detach()),
    "float(t.data)": lambda t: float(t.data),
    "t.detach().item()": lambda t: t.detach().item(),
}
REFUSED: dict[str, Callable[[Any], Any]] = {
    "math.sin(t)": lambda t: math.sin(t),
    "math.sin(an expression)": lambda t: math.sin(np.exp(t) if t > 0 else t),
    "math.sin(*[t])": lambda t: math.sin(*[t]),
    "math.fsum": lambda t: math.fsum([t]),
    "math.gamma": lambda t: math.gamma(t),
    "cmath.sin(t)": lambda t: cmath.sin(t),
    "map(math.sin, ts)": lambda t: list(map(math.sin, [t])),
    "map(float, ts)": lambda t: list(map(float, [t])),
    "for x in map": lambda t: [x for x in map(math.cos, [t])],  # noqa: C416
    "starmap": lambda t: list(itertools.starmap(math.pow, [(t, 2)])),
    "partial": lambda t: functools.partial(math.sin)(t),
    "one of two": lambda t: (math.sin if t > 0 else float)(t),
    "np.float64(t)": lambda t: np.float64(t),
    "np.float32(t)": lambda t: np.float32(t),
    "np.complex128(t)": lambda t: np.complex128(t),
    "array.array": lambda t: array.array("d", [t]),
    "ctypes": lambda t: ctypes.c_double(t),
    "statistics.fmean": lambda t: statistics.fmean([t]),
    "statistics.NormalDist": lambda t: statistics.NormalDist(t, 1.0).mean,
    "np.full": lambda t: np.full(3, t),
    "np.array([t])": lambda t: np.array([t]),
    "np.array(dtype=)": lambda t: np.array([t, 1.0], dtype=float),
    "np.array(t)": lambda t: np.array(t),
    "np.asarray(t)": lambda t: np.asarray(t),
    "np.mean([t, t])": lambda t: np.mean([t, t]),
    "np.r_": lambda t: np.r_[t, 1.0],
    "np.c_": lambda t: np.c_[t, t],
    "np.vectorize": lambda t: np.vectorize(math.sin)(t),
    "np.ma.array": lambda t: np.ma.array([t]),
    "z.put": lambda t: np.zeros(3).put(0, t),
    "z.dot": lambda t: np.ones(1).dot([t]),
    "z[:1] = t": lambda t: operator.setitem(np.zeros(3), slice(1), t),
    "random": lambda t: np.random.default_rng(0).normal(t),
    "t.numpy()": lambda t: t.numpy(),
}
#: NumPy says something of its own; what we say is the cause.
CAUSES: dict[str, Callable[[Any], Any]] = {
    "z.fill(t)": lambda t: np.zeros(3).fill(t),
    "np.ndarray.fill(z, t)": lambda t: np.ndarray.fill(np.zeros(3), t),
    "z[0] = t": lambda t: assigned(np.zeros(3), t),
    "integers[0] = t": lambda t: assigned(np.zeros(3, int), t),
    "z.__setitem__(0, t)": lambda t: np.zeros(3).__setitem__(0, t),
    "operator.setitem": lambda t: operator.setitem(np.zeros(3), 0, t),
    "np.fromiter": lambda t: np.fromiter([t, t], float),
}
TRANSFORMS: dict[str, Any] = {
    "grad": tl.grad,
    "value_and_grad": tl.value_and_grad,
    "jacobian": tl.jacobian,
    "hessian": tl.hessian,
    "vjp": lambda f: lambda x: tl.vjp(f, x),
    "jvp": lambda f: lambda x: tl.jvp(f, (x,), (1.0,)),
    "grad of grad": lambda f: tl.grad(lambda x: tl.grad(f)(x)),
}


def assigned(z: Any, t: Any) -> Any:
    z[0] = t
    return z


def leaf(value: Any = 0.5) -> tl.Tensor:
    return tl.tensor(value, requires_grad=True)


def stops(use: Callable[[Any], Any], t: Any) -> str:
    """The text of the refusal, its cause included."""
    with pytest.raises((TypeError, ValueError)) as refusal:
        use(t)
    return f"{refusal.value} {refusal.value.__cause__}"


@pytest.mark.parametrize("how", IN_WORDS | ALWAYS)
def test_what_is_asked_for_in_words_is_answered(how: str):
    use = (IN_WORDS | ALWAYS)[how]
    for t in (leaf(), leaf() * 1, leaf().detach()):
        use(t)


@pytest.mark.parametrize("how", REFUSED | CAUSES)
def test_what_is_not_is_refused_with_the_remedy(how: str):
    use = (REFUSED | CAUSES)[how]
    for t in (leaf(), leaf() * 1):
        text = stops(use, t)
        assert "tracked tensor" in text
        assert "lose" in text
        assert "t.detach()" in text


@pytest.mark.parametrize("how", REFUSED | CAUSES)
def test_untracked_tensors_and_no_grad_are_plain(how: str):
    use = (REFUSED | CAUSES)[how]
    expected = 0.5 if how in ("t.numpy()", "ctypes") else use(np.float64(0.5))
    with tl.no_grad():
        inside = use(leaf())
    for result in (use(tl.tensor(0.5)), inside):
        np.testing.assert_array_equal(getattr(result, "value", result), expected)


@pytest.mark.parametrize("how", IN_WORDS)
@pytest.mark.parametrize("transform", TRANSFORMS)
def test_inside_a_transform_a_number_would_be_a_constant(transform: str, how: str):
    def f(x: Any) -> Any:
        IN_WORDS[how](x)
        return x * x

    text = stops(TRANSFORMS[transform](f), 0.5)
    assert "inside a function that is being differentiated" in text
    assert "t.detach()" in text


@pytest.mark.parametrize("how", ALWAYS)
def test_inside_a_transform_text_and_comparisons_are_as_ever(how: str):
    def f(x: Any) -> Any:
        ALWAYS[how](x)
        with tl.no_grad():
            float(x)
        return x * x if x > 0 else -x

    assert tl.grad(f)(0.5) == 1.0


def test_after_a_transform_that_fails_numbers_are_answered_again():
    with pytest.raises(ZeroDivisionError):
        tl.grad(lambda x: x / (1 // 0))(1.0)
    assert float(leaf()) == 0.5


# -- what is written around the call ---------------------------------------------------------------

EXPRESSIONS = """
s | t[0] | t[0] * 1 | s if yes else t[1] | s if no else t[1] | (s if yes else u) if no else t[1]
no or s | yes and s | no or (no or s) | same(s) | same(s, 1, k=2) | same(same(s)) | d["a"]
np.sum(t) | t.sum() | (lambda x: x)(s) | [x for x in t][0] | sum([x for x in t]) | (y := s)
sum(x * x for x in t) | next(x for x in t) | -s | max([x if x > 0 else -x for x in t if x != 3])
{k: v for k, v in d.items()}["a"] | same(*[s]) | same(*[s], **{"k": 1}) | f"{s}" and s
s if yes and (no or yes) else u | s if 1 < 0 < 2 else u | [[x for x in t] for _ in t][0][0]
"""
PLACES = """
{call} | [1, {call}, 2] | same({call}, 3) | {call} if yes else 3 | same(1, k={call}) | -{call} * 2
[out.append({call}) for out in [[]]] | {{"loss": {call}}} | str({call})
"""
BODIES = {
    "a function": "def run():\n    return {}",
    "a statement": "def run():\n    r = {}\n    return r",
    "a warm loop": "def run():\n    for _ in range(40):\n        r = {}\n    return r",
    "a generator": (
        "def run():\n    def several():\n        for _ in range(2):\n            yield {}\n"
        "    return list(several())"
    ),
    "a handler": (
        "def run():\n    try:\n        1 / 0\n    except ZeroDivisionError:\n"
        "        with np.errstate():\n            return {}"
    ),
    "a module": "r = {}\ndef run(): pass",
    "an assertion": "def run():\n    assert ({}) != []",
}


def listed(text: str) -> list[str]:
    return [part.strip() for line in text.strip().splitlines() for part in line.split(" | ")]


def run(body: str, place: str, call: str) -> None:
    t = leaf([0.5, 1.0, 2.0])
    names = {
        "np": np, "math": math, "t": t, "s": t[0] * 1, "u": t[1], "yes": True, "no": False,
        "d": {"a": t[0]}, "same": lambda x, *_, **__: x,
    }  # fmt: skip
    exec(BODIES[body].format(place.format(call=call)), names)
    names["run"]()  # type: ignore[operator]


@pytest.mark.parametrize("body", BODIES)
def test_float_of_any_expression_anywhere_is_answered_and_math_is_not(body: str):
    places = itertools.cycle(listed(PLACES) * 2 + listed(PLACES)[: len(body)])
    for place, expression in zip(places, listed(EXPRESSIONS) * 2, strict=False):
        run(body, place, f"float({expression})")
        for called in ("math.sin", "(float if no else math.sin)"):
            with pytest.raises(TypeError, match="would lose") as refusal:
                run(body, place, f"{called}({expression})")
            assert called != "math.sin" or "say np.sin(t)" in str(refusal.value)


@pytest.mark.parametrize("watch", ["trace", "opcodes", "profile", "monitoring"])
def test_a_debugger_or_coverage_makes_no_difference(watch: str):
    def trace(frame: Any, event: str, arg: Any) -> Any:
        frame.f_trace_opcodes = watch == "opcodes"
        return trace

    before = sys.gettrace(), sys.getprofile()
    monitoring = getattr(sys, "monitoring", None)
    if watch == "monitoring":
        if monitoring is None:
            pytest.skip("Python 3.12 and later")
        monitoring.use_tool_id(4, "test")
        monitoring.set_events(4, monitoring.events.LINE | monitoring.events.INSTRUCTION)
    try:
        (sys.setprofile if watch == "profile" else sys.settrace)(
            trace if watch != "monitoring" else before[0]
        )
        for expression in listed(EXPRESSIONS):
            run("a statement", "{call}", f"float({expression})")
            with pytest.raises(TypeError, match="would lose"):
                run("a statement", "{call}", f"math.sin({expression})")
    finally:
        sys.settrace(before[0])
        sys.setprofile(before[1])
        if watch == "monitoring":
            monitoring.set_events(4, 0)
            monitoring.free_tool_id(4)


# -- the words -------------------------------------------------------------------------------------

SAYS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "math.sin": (lambda t: math.sin(t), "math.sin(t) would lose .* say np.sin(t)"),
    "math.fsum": (lambda t: math.fsum([t]), "math.fsum(...) .* say np.sum(t)"),
    "cmath.phase": (lambda t: cmath.phase(t), "cmath.phase(...) .* say np.angle(t)"),
    "np.full": (lambda t: np.full(3, t), "np.full(...) .* say np.broadcast_to(t, shape)"),
    "np.r_": (lambda t: np.r_[t, t], "np.r_[...] .* say np.concatenate([t, ...])"),
    "np.c_": (lambda t: np.c_[t, t], "np.c_[...] .* say np.column_stack([t, ...])"),
    "np.array": (lambda t: np.array([t, t]), "np.array(...) .* or np.stack([t, ...])"),
    "np.mean": (lambda t: np.mean([t, t]), "np.mean(...) .* say np.stack([t, ...]) for a list"),
    "np.float32": (lambda t: np.float32(t), "np.float32(...) .* say t.astype(dtype)"),
    "np.fromiter": (lambda t: np.fromiter([t], float), "np.fromiter(...) .* say np.stack"),
    "a[0] =": (lambda t: assigned(np.zeros(3), t), "z[i] = t, .* say z = tl.tensor(z) before"),
    "fill": (lambda t: Z.fill(t), "Z.fill(...) .* say np.broadcast_to(t, shape)"),
    "dot": (lambda t: Z.dot([t]), "Z.dot(...) .* say np.dot(Z, ...)"),
    "tl.tensor": (lambda t: tl.tensor([t, t]), "tl.tensor(...) .* say np.stack([t, ...])"),
    "t.numpy": (lambda t: t.numpy(), "t.numpy() .* say t.detach().numpy()"),
    "map": (lambda t: list(map(float, [t])), "list(...) .* t.item()"),
    "NormalDist": (lambda t: statistics.NormalDist(t), "statistics.NormalDist(...) .* t.item()"),
}
Z = np.zeros(1)


@pytest.mark.parametrize("how", SAYS)
def test_the_refusal_says_what_was_written_and_what_to_write(how: str):
    use, words = SAYS[how]
    text = stops(use, leaf())
    first, second = words.split(" .* ")
    assert first in text
    assert second in text.partition(first)[2]


def test_what_a_library_asks_for_is_what_its_user_called():
    plt = pytest.importorskip("matplotlib.pyplot")
    x = tl.tensor([0.5, 1.0], requires_grad=True)
    y = x * x
    _, ax = plt.subplots()
    calls: dict[str, Callable[[], Any]] = {
        "ax.plot": lambda: ax.plot(y),
        "ax.hist": lambda: ax.hist(y),
        "ax.fill": lambda: ax.fill(x, y),
        "ax.scatter": lambda: ax.scatter(y.data, y),
        "plt.plot": lambda: plt.plot([y.sum(), y.mean()]),
    }
    for written, call in calls.items():
        with pytest.raises(TypeError, match=rf"^{written}\(\.\.\.\) would lose .* say t.detach"):
            call()
    assert len(ax.plot(y.detach())) == 1
    plt.close()
