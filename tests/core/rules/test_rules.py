"""Every entry of the derivative table, over the calls that the catalogue generates.

Finite differences of the tests' own judge the numbers.  What else must hold of a gradient (its
memory, its dtype, its linearity) is asked by ``tests/testing/test_every_operation.py``.

Not for: ties and singular points (``test_special_points.py``), or the engine (``tests/core``).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import tinygrad_lab as tl
from benchmarks.checkers.faults import BROADCAST, FAULTS, FORMULA, INDEXING, Fault
from benchmarks.checkers.primitives import CASES, name_of
from tests.support import check_gradients
from tinygrad_lab.core.operations import OPERATIONS
from tinygrad_lab.core.rules.mathematical.lengths import vanishing
from tinygrad_lab.core.rules.namespace import kind
from tinygrad_lab.testing.inputs.calls import Call

EXAMPLES = settings.default.max_examples
FEWER = settings(max_examples=max(EXAMPLES // 16, 3))  # by day; test_every_operation has others

each_operation = pytest.mark.parametrize("op", CASES, ids=name_of)


def of_the_core(op: Any) -> bool:
    home = getattr(op, "__module__", "numpy") or ""  # of a documentation page: nowhere
    # Private to one file, or a 0 with a slope, which no difference shows: tested with its users.
    private = name_of(op).startswith("_") or op is vanishing
    return home.startswith(("numpy", "tinygrad_lab.core.rules")) and not private


def differentiable() -> set[Any]:
    return {op for op, known in OPERATIONS.items() if kind(known) == "differentiable"}


def test_every_entry_of_the_table_has_a_case():
    missing = {name_of(op) for op in differentiable() - set(CASES) if of_the_core(op)}
    assert not missing, f"no calls of {sorted(missing)}: add to testing/inputs/catalogue"


def test_every_case_is_of_an_entry_of_the_table():
    assert not {name_of(op) for op in set(CASES) - differentiable()}


@each_operation
@FEWER
@given(data=st.data())
def test_first_and_second_derivatives_agree_with_finite_differences(op: Any, data: Any):
    call = data.draw(CASES[op])
    check_gradients(call.f, *call.arrays)


# ---------------------------------------------------------------------------------------------
# What is tracked, and what is not


def upstream_for(y: Any) -> Any:
    return np.asarray(np.random.default_rng(0).integers(-8, 9, y.shape) / 4).astype(y.dtype)


def pull_back(call: Call, *tracked: int) -> list[Any]:
    """The gradients of some operands, all others plain arrays."""
    operands: list[Any] = list(call.arrays)
    leaves = [tl.Tensor(operands[i], requires_grad=True) for i in tracked]
    for i, leaf in zip(tracked, leaves, strict=True):
        operands[i] = leaf
    y = call.f(*operands)
    y.backward(upstream_for(y.data))
    return [leaf.grad for leaf in leaves]


def each_operand_alone_gets_the_gradient_it_gets_in_company(call: Call) -> None:
    together = pull_back(call, *range(len(call.arrays)))
    for i, expected in enumerate(together):
        [alone] = pull_back(call, i)
        size = 1e-12 * (1 + np.max(np.abs(expected), initial=0.0))
        np.testing.assert_allclose(alone, expected, rtol=0, atol=size, err_msg=f"operand {i}")


def read_only(x: Any) -> Any:
    view = x[...]
    view.flags.writeable = False
    return view


def arrays_in_give_arrays_out_and_nothing_is_recorded(call: Call) -> None:
    plain = call.f(*map(read_only, call.arrays))
    assert isinstance(plain, (np.ndarray, np.generic))
    untracked = call.f(*map(tl.Tensor, call.arrays))
    assert isinstance(untracked, tl.Tensor)
    with tl.no_grad():
        unrecorded = call.f(*[tl.Tensor(x, requires_grad=True) for x in call.arrays])
    for tensor in (untracked, unrecorded):
        assert not tensor.requires_grad
        assert type(tensor.data) is np.ndarray
        np.testing.assert_allclose(tensor.data, plain, rtol=1e-12, atol=1e-12)


@each_operation
@FEWER
@given(data=st.data())
def test_what_is_tracked(op: Any, data: Any):
    call = data.draw(CASES[op])
    each_operand_alone_gets_the_gradient_it_gets_in_company(call)
    arrays_in_give_arrays_out_and_nothing_is_recorded(call)


# ---------------------------------------------------------------------------------------------
# Would finite differences notice?

OF_NUMBERS = [
    fault
    for fault in FAULTS
    if fault.blamed and fault.family in (FORMULA, BROADCAST, INDEXING) and "1e-6" not in fault.name
]


def is_caught(op: Any, examples: int) -> bool:
    """Judge generated calls until one fails, without making it small."""

    @settings(
        max_examples=examples, phases=[Phase.generate], database=None, derandomize=True,
        suppress_health_check=list(HealthCheck), report_multiple_bugs=False,
    )  # fmt: skip
    @given(CASES[op])
    def judge(call: Call) -> None:
        check_gradients(call.f, *call.arrays)

    try:
        judge()
    except (AssertionError, ValueError, TypeError, IndexError):
        return True
    return False


@pytest.mark.parametrize("fault", OF_NUMBERS, ids=lambda fault: fault.name)
def test_a_wrong_rule_is_noticed(fault: Fault):
    with fault.plant():
        assert is_caught(fault.op, examples=100)


@pytest.mark.parametrize("op", dict.fromkeys(fault.op for fault in OF_NUMBERS), ids=name_of)
def test_no_false_alarm(op: Any):
    assert not is_caught(op, examples=FEWER.max_examples)
