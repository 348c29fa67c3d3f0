"""Every entry of the derivative table, over the calls that the catalogue generates.

Not for: ties and singular points (``test_conventions.py``), or the engine (``tests/core``).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_lab as tl
from tests.core.rules.catalogue import CASES, Call, layouts, mixed_layouts, name_of
from tests.support import check_gradients
from tinygrad_lab.core.operations import OPERATIONS

EXAMPLES = settings.default.max_examples
FEWER = settings(max_examples=max(EXAMPLES // 2, 5))

each_operation = pytest.mark.parametrize("op", CASES, ids=name_of)


def of_the_core(op: Any) -> bool:
    home = getattr(op, "__module__", "numpy") or ""  # of a documentation page: nowhere
    return home.startswith(("numpy", "tinygrad_lab.core.rules"))


def differentiable() -> set[Any]:
    return {op for op, known in OPERATIONS.items() if known.kind == "differentiable"}


def test_every_entry_of_the_table_has_a_case():
    missing = {name_of(op) for op in differentiable() - set(CASES) if of_the_core(op)}
    assert not missing, f"no case in tests/core/rules/catalogue.py for {sorted(missing)}"


def test_every_case_is_of_an_entry_of_the_table():
    assert not {name_of(op) for op in set(CASES) - differentiable()}


@each_operation
@FEWER
@given(data=st.data())
def test_first_and_second_derivatives_agree_with_finite_differences(op: Any, data: Any):
    made = data.draw(CASES[op])
    check_gradients(made.f, *made.arrays)


# ---------------------------------------------------------------------------------------------
# Properties beyond the numbers


def upstream_for(y: Any, seed: int = 0) -> Any:
    return np.asarray(np.random.default_rng(seed).integers(-8, 9, y.shape) / 4).astype(y.dtype)


def frozen(x: Any) -> Any:
    """The same array, read-only, so that a rule which writes into it raises."""
    view = x[...]
    view.flags.writeable = False
    return view


def pull_back(made: Call, upstream: Any = None, arrays: Any = None) -> tuple[Any, list[Any]]:
    """The result on tensors and the gradient of every operand, all inputs read-only."""
    operands = made.arrays if arrays is None else arrays
    leaves = [tl.Tensor(frozen(a), requires_grad=True) for a in operands]
    y = made.f(*leaves)
    upstream = upstream_for(y.data) if upstream is None else upstream
    y.backward(frozen(upstream))
    return y, [leaf.grad for leaf in leaves]


def assert_same(found: Any, expected: Any, what: str) -> None:
    for i, (g, e) in enumerate(zip(found, expected, strict=True)):
        np.testing.assert_array_equal(g, e, err_msg=f"{what}, gradient {i}")


def assert_close(found: Any, expected: Any, what: str, tolerance: float = 1e-12) -> None:
    for i, (g, e) in enumerate(zip(found, expected, strict=True)):
        size = tolerance * (1 + np.max(np.abs(e), initial=0.0))
        np.testing.assert_allclose(g, e, rtol=0, atol=size, err_msg=f"{what}, gradient {i}")


def a_gradient_is_an_array_of_its_own_like_its_operand(made: Call) -> None:
    upstream = upstream_for(made.f(*made.arrays))
    _, found = pull_back(made, upstream)
    for g, x in zip(found, made.arrays, strict=True):
        assert type(g) is np.ndarray
        assert (g.shape, g.dtype) == (x.shape, x.dtype)
        assert g.flags.writeable
        assert not any(np.shares_memory(g, other) for other in (upstream, *made.arrays))
    pairs = [(a, b) for i, a in enumerate(found) for b in found[:i]]
    assert not any(np.shares_memory(a, b) for a, b in pairs)


def a_pullback_is_linear_in_the_upstream_and_repeatable(made: Call) -> None:
    up = upstream_for(made.f(*made.arrays))
    _, found = pull_back(made, up)
    assert_same(pull_back(made, up)[1], found, "again")
    assert_same(pull_back(made, -up)[1], [-g for g in found], "upstream negated")
    assert_same(pull_back(made, 4 * up)[1], [4 * g for g in found], "upstream times 4")
    assert_same(pull_back(made, 0 * up)[1], [0 * g for g in found], "zero upstream")
    other = upstream_for(up, seed=1)
    total = [a + b for a, b in zip(found, pull_back(made, other)[1], strict=True)]
    assert_close(pull_back(made, up + other)[1], total, "sum of two upstreams")


def memory_layout_does_not_matter(made: Call) -> None:
    y, expected = pull_back(made)
    for arranged in mixed_layouts(made.arrays):
        for upstream in layouts(upstream_for(y.data)):
            z, found = pull_back(made, upstream, arranged)
            np.testing.assert_allclose(z.data, y.data, rtol=1e-12, atol=1e-12)
            assert_close(found, expected, f"strides {[a.strides for a in arranged]}")

    # Arrays of one number that takes no room: every stride is 0.
    thin = [np.broadcast_to(a.ravel()[:1].sum(), a.shape) for a in made.arrays]
    thick = [np.array(a) for a in thin]
    one = np.broadcast_to(0.75, y.shape)
    if all(a.size for a in thin) and np.all(np.isfinite(made.f(*thick))):
        expected = pull_back(made, np.array(one), thick)[1]
        assert_close(pull_back(made, one, thin)[1], expected, "stride 0")


def float32_in_gives_float32_gradients(made: Call) -> None:
    _, expected = pull_back(made)
    narrow = [a.astype(np.float32) for a in made.arrays]
    z, found = pull_back(made, upstream_for(made.f(*narrow)), narrow)
    assert z.dtype == np.asarray(made.f(*narrow)).dtype
    assert all(g.dtype == np.float32 for g in found)
    assert_close(found, expected, "float32", tolerance=3e-4)

    leaves = [tl.Tensor(a, requires_grad=True) for a in narrow]
    y32 = made.f(*leaves)
    slopes = tl.gradients(y32, leaves, np.ones_like(y32.data), create_graph=True)
    assert all(g.dtype == np.float32 for g in slopes), "second order"


def each_operand_alone_gets_the_gradient_it_gets_in_company(made: Call) -> None:
    y, together = pull_back(made)
    for i, expected in enumerate(together):
        operands = [
            tl.Tensor(a, requires_grad=True) if j == i else a for j, a in enumerate(made.arrays)
        ]
        alone = made.f(*operands)
        alone.backward(upstream_for(y.data))
        assert_close([operands[i].grad], [expected], f"operand {i} alone")


def two_uses_add_up(made: Call) -> None:
    y, once = pull_back(made)
    leaves = [tl.Tensor(a, requires_grad=True) for a in made.arrays]
    first, second = made.f(*leaves), made.f(*leaves)
    (first + second).backward(upstream_for(y.data))
    assert_close([leaf.grad for leaf in leaves], [2 * g for g in once], "f(x) + f(x)")


def arrays_in_give_arrays_out_and_nothing_is_recorded(made: Call) -> None:
    plain = made.f(*[frozen(a) for a in made.arrays])
    assert isinstance(plain, (np.ndarray, np.generic))
    untracked = made.f(*map(tl.Tensor, made.arrays))
    assert isinstance(untracked, tl.Tensor)
    assert not untracked.requires_grad
    with tl.no_grad():
        quiet = made.f(*[tl.Tensor(a, requires_grad=True) for a in made.arrays])
    assert not quiet.requires_grad
    for tensor in (untracked, quiet):
        assert type(tensor.data) is np.ndarray
        np.testing.assert_allclose(tensor.data, plain, rtol=1e-12, atol=1e-12)


PROPERTIES = [
    a_gradient_is_an_array_of_its_own_like_its_operand,
    a_pullback_is_linear_in_the_upstream_and_repeatable,
    memory_layout_does_not_matter,
    float32_in_gives_float32_gradients,
    each_operand_alone_gets_the_gradient_it_gets_in_company,
    two_uses_add_up,
    arrays_in_give_arrays_out_and_nothing_is_recorded,
]


@each_operation
@FEWER
@given(data=st.data())
def test_properties(op: Any, data: Any):
    made = data.draw(CASES[op])
    for holds in PROPERTIES:
        holds(made)
