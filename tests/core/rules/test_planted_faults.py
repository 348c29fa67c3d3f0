"""Would the checks notice?  Wrong rules are planted in the table; a check must fail for each."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import tinygrad_lab as tl
from tests.core.rules.catalogue import CASES, name_of
from tests.core.rules.test_rules import PROPERTIES
from tests.support import check_gradients
from tinygrad_lab.core import engine
from tinygrad_lab.core.operations import OPERATIONS, planted
from tinygrad_lab.core.rules import indexing, manipulation
from tinygrad_lab.core.rules.linalg import products
from tinygrad_lab.core.rules.mathematical import elementwise


def rule(op: Any, argnum: int = 0) -> Any:
    return OPERATIONS[op].vjps[argnum]


def is_caught(op: Any, examples: int = 100) -> bool:
    """Run every check over generated calls of ``op``, without shrinking, until one fails."""

    @settings(
        max_examples=examples, phases=[Phase.generate], database=None, derandomize=True,
        suppress_health_check=list(HealthCheck), report_multiple_bugs=False,
    )  # fmt: skip
    @given(st.data())
    def checks(data: Any) -> None:
        made = data.draw(CASES[op])
        check_gradients(made.f, *made.arrays)
        for holds in PROPERTIES:
            holds(made)

    try:
        checks()
    except (AssertionError, ValueError, TypeError, IndexError):
        return True
    return False


def overwriting(g: Any, y: Any, x: Any, index: Any) -> Any:
    """What ``grad[index] = g`` does where an index repeats: the last one wins."""
    return indexing.setitem(g.sum() * 0 + np.zeros(x.shape), g, index)


def in_place(g: Any, y: Any, x: Any) -> Any:
    if isinstance(g, np.ndarray):
        g *= np.cos(x)
        return g
    return g * np.cos(x)


def contiguous_only(g: Any, y: Any, x: Any) -> Any:
    return g * np.cos(x) if getattr(x, "flags", {"C": True})["C"] else g


def remembering() -> Any:
    """A rule with a state: right in the first call only."""
    seen: list[int] = []

    def stateful(g: Any, y: Any, x: Any) -> Any:
        seen.append(1)
        return g * np.exp(x) if len(seen) < 30 else g

    return stateful


def running_sums_from_the_end(x: Any) -> Any:
    return np.flip(np.cumsum(np.flip(x.ravel())))


keep = lambda g, shape: g.reshape(shape)

# name: (operation whose call is checked, entry of the table, its wrong rules)
FAULTS: dict[str, tuple[Any, Any, Any]] = {
    "sign": (np.subtract, np.subtract, [lambda g, y, a, b: g, lambda g, y, a, b: g]),
    "missing factor": (np.square, np.square, [lambda g, y, x: g * x]),
    "mean without 1/n": (np.mean, np.mean, [rule(np.sum)]),
    "swapped partials": (np.arctan2, np.arctan2, [rule(np.arctan2, 1), rule(np.arctan2, 0)]),
    "swapped operands": (
        np.multiply, np.multiply, [lambda g, y, a, b: g * a, lambda g, y, a, b: g * b],
    ),
    "upstream ignored": (np.sin, np.sin, [lambda g, y, x: 0 * g + np.cos(x)]),
    "upstream squared": (np.sin, np.sin, [lambda g, y, x: g * g * np.cos(x)]),
    "upstream through abs": (np.sin, np.sin, [lambda g, y, x: np.abs(g) * np.cos(x)]),
    "upstream through relu": (np.sin, np.sin, [lambda g, y, x: np.maximum(g, 0) * np.cos(x)]),
    "upstream written in place": (np.sin, np.sin, [in_place]),
    "wrong in a region": (np.sin, np.sin, [lambda g, y, x: g * np.where(x < -2, 1, np.cos(x))]),
    "coefficient off by 1e-4": (np.exp, np.exp, [lambda g, y, x: g * y * 1.0001]),
    "state kept between calls": (np.exp, np.exp, [remembering()]),
    "contiguity assumed": (np.sin, np.sin, [contiguous_only]),
    "right at first order only": (
        np.square, np.square,
        [lambda g, y, x: g * 2 * (x.detach() if isinstance(x, tl.Tensor) else x)],
    ),
    "transpose not inverted": (
        np.transpose, np.transpose,
        [lambda g, y, x, axes=None: np.transpose(g, None if axes is None else tuple(axes))],
    ),
    "moveaxis not undone": (
        np.moveaxis, np.moveaxis, [lambda g, y, x, s, d: np.moveaxis(g, s, d)],
    ),
    "reshape forgets order": (
        np.reshape, np.reshape, [lambda g, y, x, shape=None, order="C": g.reshape(x.shape)],
    ),
    "roll the wrong way": (np.roll, np.roll, [lambda g, y, x, s, axis=None: np.roll(g, s, axis)]),
    "keepdims assumed": (
        np.sum, np.sum,
        [lambda g, y, x, axis=None, keepdims=False, **kw: np.broadcast_to(g, x.shape)],
    ),
    "negative axis not normalised": (
        np.sum, np.sum,
        [lambda g, y, x, axis=None, keepdims=False, **kw: keep(g, tuple(
            1 if axis is None or i == axis or (isinstance(axis, tuple) and i in axis) else n
            for i, n in enumerate(x.shape))) + 0 * x],
    ),
    "ddof ignored": (
        np.var, np.var, [lambda g, y, x, ddof=0, **kw: rule_of_var(g, y, x, **kw)],
    ),
    "mask ignored": (
        np.sum, np.sum, [lambda g, y, x, where=True, **kw: rule_of_sum(g, y, x, **kw)],
    ),
    "product by dividing": (
        np.cumprod, np.cumprod,
        [lambda g, y, x, axis=None: running_sums_from_the_end(g * y).reshape(x.shape) / x],
    ),
    "duplicates overwritten": (indexing.getitem, indexing.getitem, [overwriting]),
    "first duplicate wins": (
        indexing.setitem, indexing.setitem,
        [rule(indexing.setitem), lambda g, y, x, value, index: g[index]],
    ),
    "take ignores its axis": (
        np.take, np.take,
        [lambda g, y, x, i, axis=None, mode="raise": indexing.scatter_add(
            g, (x.size,), np.asarray(i) % max(x.size, 1)).reshape(x.shape)],
    ),
    "matmul transposed": (
        np.matmul, np.matmul,
        [lambda g, y, a, b: (_swap(g) @ b) if a.ndim > 1 < b.ndim else a, rule(np.matmul, 1)],
    ),
    "matmul without rows and columns": (
        np.matmul, np.matmul, [lambda g, y, a, b: g @ _swap(b), lambda g, y, a, b: _swap(a) @ g],
    ),
    "concatenate from the front": (
        np.concatenate, manipulation.concatenate,
        [lambda g, y, *x, axis=0, i=i: np.take(g, range(x[i].shape[axis]), axis)
         for i in range(3)],
    ),
    "stack along the first axis": (
        np.stack, manipulation.stack, [lambda g, y, *x, axis=0, i=i: g[i] for i in range(3)],
    ),
    "where the wrong way round": (
        np.where, indexing.where,
        [None, lambda g, y, c, a, b: np.where(c, 0, g), lambda g, y, c, a, b: np.where(c, g, 0)],
    ),
    "clip passes everything": (
        np.clip, elementwise.clip,
        [lambda g, y, x, low, high: g, rule(elementwise.clip, 1), rule(elementwise.clip, 2)],
    ),
    "einsum without its summed-out axes": (
        np.einsum, products.einsum, [None, *[lambda g, y, s, *x, i=i, **kw: g for i in range(3)]],
    ),
    "float64 made of float32, and 0-d made of anything": (
        np.negative, np.negative, [lambda g, y, x: np.float64(-1) * g.sum()],
    ),
}  # fmt: skip

rule_of_var, rule_of_sum = rule(np.var), rule(np.sum)


def _swap(x: Any) -> Any:
    return np.swapaxes(x, -1, -2)


@pytest.mark.parametrize("name", FAULTS)
def test_a_wrong_rule_is_noticed(name: str):
    op, entry, wrong = FAULTS[name]
    with planted(entry, *wrong):
        assert is_caught(op), f"{name} in {name_of(op)} went unnoticed"


@pytest.mark.parametrize(
    ("name", "fitted"),
    {
        "no sum over broadcast axes": lambda c, operand, _: c,
        "no cast": lambda c, operand, _: FITTED(c.astype(operand.dtype), operand).astype(c.dtype),
        "leading axes only": lambda c, operand, _: c.sum(axis=tuple(range(c.ndim - operand.ndim))),
    }.items(),
)
def test_an_engine_that_forgets_broadcasting_or_casting_is_noticed(
    name: str, fitted: Any, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(engine, "fitted", fitted)
    op = np.deg2rad if name == "no cast" else np.multiply
    rules = OPERATIONS[op].vjps
    if name == "no cast":
        rules = (lambda g, y, x: g * np.float64(np.pi / 180),)
    with planted(op, *rules):
        assert is_caught(op)


FITTED = engine.fitted


@pytest.mark.parametrize("op", [np.sin, np.multiply, np.sum, indexing.getitem], ids=name_of)
def test_no_false_alarm(op: Any):
    assert not is_caught(op, examples=30)
