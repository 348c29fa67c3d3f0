"""``nn.Parameter``: a Tensor in everything, a leaf always, and never the result of an operation."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import tinygrad_lab as tl
from tinygrad_lab import nn
from tinygrad_lab.core.arguments import plain
from tinygrad_lab.core.errors import name_of
from tinygrad_lab.testing.inputs.catalogue import CASES

OPERATIONS = {
    "unary": lambda p: -p,
    "binary": lambda p: p + 1.0,
    "reflected": lambda p: 1.0 + p,
    "tensor first": lambda p: tl.tensor([1.0, 2.0]) * p,
    "array first": lambda p: np.ones(2) * p,
    "parameters": lambda p: p * p,
    "ufunc": np.exp,
    "function": lambda p: np.stack([p, p]),
    "index": lambda p: p[0],
    "method": lambda p: p.sum(),
    "primitive": tl.sigmoid,
    "reshape": lambda p: p.reshape(2, 1),
    "copy": lambda p: p.copy(),
    "detach": lambda p: p.detach(),
}


@pytest.mark.parametrize("requires_grad", [True, False])
@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_no_operation_returns_one(operation, requires_grad):
    p = nn.Parameter([1.0, 2.0], requires_grad=requires_grad)
    t = tl.tensor([1.0, 2.0], requires_grad=requires_grad)
    result, expected = operation(p), operation(t)
    assert type(result) is tl.Tensor
    np.testing.assert_array_equal(result.data, expected.data)
    assert result.requires_grad == expected.requires_grad
    if result.requires_grad:
        tl.gradients(result.sum(), [p])


@pytest.mark.parametrize("op", CASES, ids=name_of)
@settings(max_examples=1, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_every_function_takes_one_as_it_takes_a_tensor(op, data):
    call = data.draw(CASES[op])
    kinds = [nn.Parameter, lambda a: tl.tensor(a, requires_grad=True)]
    parameters, tensors = ([make(a) for a in call.arrays] for make in kinds)
    with np.errstate(all="ignore"):
        results = [call.f(*parameters), call.f(*tensors)]
    mine, theirs = (r if isinstance(r, (tuple, list)) else [r] for r in results)
    for a, b in zip(mine, theirs, strict=True):
        assert type(a) is type(b)
        assert not isinstance(a, nn.Parameter)
        np.testing.assert_array_equal(plain(a), plain(b))
        if getattr(b, "requires_grad", False):
            gradients = [tl.gradients(y, xs, np.ones_like(b.data), retain_graph=True)
                         for y, xs in ((a, parameters), (b, tensors))]  # fmt: skip
            np.testing.assert_equal(*gradients)


def test_it_owns_its_memory():
    array, t = np.ones(2), tl.tensor([1.0, 2.0])
    p, q = nn.Parameter(array), nn.Parameter(t)
    array[:], t.data[:] = 5, 5
    assert (p.tolist(), q.tolist()) == ([1, 1], [1, 2])


def test_text_pickles_and_copies():
    p = nn.Parameter([1.0, 2.0])
    assert repr(p) == "Parameter([1., 2.], requires_grad=True)"
    assert repr(nn.Parameter([1], requires_grad=False)) == "Parameter([1])"
    p.grad = np.ones(2)
    frozen = nn.Parameter([3.0], requires_grad=False)
    for duplicate in (copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))):
        twin, (again,) = duplicate(p), duplicate([frozen])
        assert isinstance(twin, nn.Parameter)
        assert (twin.requires_grad, twin.grad.tolist()) == (True, [1, 1])
        assert isinstance(again, nn.Parameter)
        assert not again.requires_grad
        twin.data[:] = 0
        assert p.tolist() == [1, 2]


def test_it_is_a_leaf_for_ever():
    t = tl.tensor([1.0], requires_grad=True)
    with pytest.raises(TypeError, match=r"nn\.Parameter\(t\.detach\(\)\)"):
        nn.Parameter(t * 2)
    frozen = nn.Parameter([1.0, 2.0], requires_grad=False)
    with pytest.raises(RuntimeError, match="parameter is a leaf"):
        frozen[0] = t[0]
    frozen[0] = 5.0
    with tl.no_grad():
        frozen[1] = t[0]
    assert frozen.tolist() == [5, 1]
    assert frozen.is_leaf
    with pytest.raises(TypeError, match="int64"):
        nn.Parameter([1, 2])
    with pytest.raises(TypeError, match="numbers"):
        nn.Parameter(["a"])


def test_other_subclasses_are_refused():
    with pytest.raises(TypeError, match="no subclasses"):
        type("Mine", (tl.Tensor,), {})


@pytest.mark.parametrize(
    "bad",
    [
        [1.0, 1.0], "x", object(), np.ones(3), np.ones((2, 1)), np.ones(2) * 1j, 1.0,
        np.array(["a", "b"]), np.array([1.0, None]), np.ma.array([1.0, 2.0], mask=[0, 1]),
        np.ones(2).view(np.recarray), tl.tensor([1.0]),
    ],
)  # fmt: skip
def test_what_is_no_gradient_is_refused_when_it_is_set(bad):
    p = nn.Parameter([1.0, 2.0])
    p.grad = before = np.ones(2)
    with pytest.raises((TypeError, ValueError), match=r"a gradient .*float64\(2,\)"):
        p.grad = bad
    assert p.grad is before


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_gradient_is_taken_in_the_dtype_of_the_tensor(dtype):
    p, number = nn.Parameter(np.ones(2, dtype)), nn.Parameter(dtype(1))
    for g in (np.ones(2), np.ones(2, np.float32), np.ones(2, int), np.ones(2, bool)):
        p.grad = g
        assert p.grad.dtype == dtype
    for g in (1, 1.0, np.float64(1), np.array(1.0)):
        number.grad = g
        assert (type(number.grad), number.grad.dtype) == (np.ndarray, dtype)
    p.grad = None
    assert p.grad is None
