"""Every public function of NumPy stands on one of four lists, and none loses a gradient in silence.

Not for: whether the derivatives are right (``test_rules.py``).
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import tinygrad_lab as tl
from tests.core.rules.catalogue import CASES
from tinygrad_lab.core.operations import CONSTANT, IN_PLACE, INSTEAD, UNSUPPORTED
from tinygrad_lab.core.rules.namespace import KINDS, NO_ARRAY, kind, public_functions, table

FUNCTIONS = dict(public_functions())
DIFFERENTIABLE = {name: f for name, f in FUNCTIONS.items() if kind(name, f) == "differentiable"}


def leaf(*shape: int) -> tl.Tensor:
    return tl.tensor(np.linspace(0.5, 2.5, int(np.prod(shape))).reshape(shape), requires_grad=True)


def test_every_public_function_is_on_a_list():
    lost = [name for name, function in FUNCTIONS.items() if kind(name, function) is None]
    assert not lost, f"on no list: {lost}; give them a rule, or a line in core/rules/namespace.py"


def test_no_function_is_on_two_lists():
    from tinygrad_lab.core.engine import RULES

    lists: list[set[Any]] = [{*RULES, *INSTEAD}, CONSTANT, set(UNSUPPORTED)]
    for i, first in enumerate(lists):
        for second in lists[:i]:
            assert not first & second
    assert not [
        name for name in NO_ARRAY & set(FUNCTIONS) if kind(name, FUNCTIONS[name]) != "no array"
    ]
    assert set(UNSUPPORTED) >= IN_PLACE


def test_names_of_the_lists_are_of_numpy():
    assert not NO_ARRAY - set(FUNCTIONS), "a name that NumPy does not have"


@pytest.mark.parametrize("name", DIFFERENTIABLE)
@settings(max_examples=5, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_differentiable_function_detaches(name: str, data: Any):
    """One tracked operand among plain ones is enough."""
    made = data.draw(CASES[DIFFERENTIABLE[name]])
    y = made.f(*[tl.tensor(a, requires_grad=True) for a in made.arrays])
    assert y.requires_grad, f"{name} lost the gradient"
    reached = tl.gradients(y.sum(), y)
    assert reached.shape == y.shape


UNSUPPORTED_CALLS: dict[str, Any] = {
    "bmat": lambda f, t: f([[t, t]]),
    "copyto": lambda f, t: f(t, 1.0),
    "fill_diagonal": lambda f, t: f(t, 1.0),
    "nested_iters": lambda f, t: f([t], [[0], [1]], op_flags=[["readonly"]]),
    "place": lambda f, t: f(t, [True], [1.0]),
    "put": lambda f, t: f(t, [0], 1.0),
    "put_along_axis": lambda f, t: f(t, np.array([[0]]), 1.0, 0),
    "putmask": lambda f, t: f(t, [True], [1.0]),
    "save": lambda f, t: f("/nowhere/x.npy", t),
    "savetxt": lambda f, t: f("/nowhere/x.txt", t),
    "savez": lambda f, t: f("/nowhere/x.npz", t),
    "savez_compressed": lambda f, t: f("/nowhere/x.npz", t),
    **dict.fromkeys(
        ("intersect1d", "setdiff1d", "setxor1d", "union1d", "histogram2d"), lambda f, t: f(t, t)
    ),
}


@pytest.mark.parametrize("name", [n for n, f in FUNCTIONS.items() if f in UNSUPPORTED])
def test_what_is_not_supported_refuses_a_tracked_tensor_and_says_why(name: str):
    t = leaf(2, 2)
    call = UNSUPPORTED_CALLS.get(name, lambda f, t: f(t))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)  # np.matrix
        with pytest.raises(TypeError) as refusal:
            call(FUNCTIONS[name], t)
    assert "detach()" in str(refusal.value) or name == "nested_iters"  # NumPy's own words
    np.testing.assert_array_equal(t.data, leaf(2, 2).data)


@pytest.mark.parametrize("name", [n for n, f in FUNCTIONS.items() if f in IN_PLACE])
def test_what_writes_in_place_refuses_every_tensor(name: str):
    t = leaf(2, 2).detach()
    with pytest.raises(TypeError, match="writes into its argument"):
        UNSUPPORTED_CALLS[name](FUNCTIONS[name], t)


def test_the_table_names_every_function_once():
    text = table()
    for title in KINDS.values():
        assert title in text
    for name in FUNCTIONS:
        assert text.count(f"`np.{name}`") == 1, name


def test_results_with_names_keep_them():
    a = leaf(2, 2)
    symmetric = a + a.T
    assert np.linalg.eigh(symmetric).eigenvalues.requires_grad
    assert np.linalg.svd(a).Vh.requires_grad
    assert np.linalg.qr(a).R.requires_grad
    assert np.linalg.slogdet(a).logabsdet.requires_grad


LISTS = [[1.0, 2.0], [3.0, 0.0]]


@pytest.mark.parametrize(
    "op",
    [np.add, np.divide, np.power, np.maximum, np.fmin, np.hypot, np.arctan2, np.matmul, np.dot,
     np.remainder, np.copysign, np.logaddexp, np.linalg.solve, np.vecdot, np.kron, np.inner,
     np.append, np.tensordot],
    ids=lambda op: op.__name__,
)  # fmt: skip
@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("first", [False, True])
def test_lists_among_tensors_are_arrays(op: Any, create_graph: bool, first: bool):
    def slope(other: Any) -> Any:
        t = tl.tensor([[1.5, 2.25], [0.75, 3.0]], requires_grad=True)
        y = op(t, other) if first else op(other, t)
        g = tl.gradients(y.sum(), t, create_graph=create_graph)
        return g.data if create_graph else g

    if op is np.linalg.solve and first:
        pytest.skip("a list of columns for a tracked matrix: the same path")
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(slope(LISTS), slope(np.array(LISTS)))
