"""Every public function of NumPy stands on one of four lists, and none loses a gradient in silence.

A rule that a user gives it is used, whatever list it is on.

Not for: whether the derivatives are right (``test_rules.py``).
"""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import tinygrad_lab as tl
from tests.core.rules.captured import arguments_of
from tinygrad_lab import words
from tinygrad_lab.core.operations import OPERATIONS, planted
from tinygrad_lab.core.rules.namespace import KINDS, kind, public_functions, table
from tinygrad_lab.testing.inputs.catalogue import CASES

EXAMPLES = max(settings.default.max_examples // 20, 2)
FUNCTIONS = dict(public_functions())
#: What NumPy offers to other arrays at all: the rest never calls this package.
DISPATCHED = (np.ufunc, type(np.sum))
#: What NumPy itself calls by the new name.
OLD_NAMES = {"row_stack", "trapz"}


def of_kind(wanted: str) -> dict[str, Any]:
    return {name: f for name, f in FUNCTIONS.items() if kind(OPERATIONS[f]) == wanted}


DIFFERENTIABLE = of_kind("differentiable")
REFUSED = of_kind("not supported")
IN_PLACE = {name: f for name, f in REFUSED.items() if OPERATIONS[f].in_place}


def leaf(*shape: int) -> tl.Tensor:
    return tl.tensor(np.linspace(0.5, 2.5, int(np.prod(shape))).reshape(shape), requires_grad=True)


def test_every_public_function_is_on_a_list():
    lost = [name for name, function in public_functions() if function not in OPERATIONS]
    assert not lost, f"on no list: {lost}; give them a rule, or a line in core/rules/namespace.py"


def test_no_function_is_on_two_lists():
    for name, function in FUNCTIONS.items():
        known = OPERATIONS[function]
        ways = [known.vjps, known.composition, known.constant, known.refusal, known.no_array]
        assert sum(map(bool, ways)) == 1, name


@pytest.mark.parametrize("name", DIFFERENTIABLE)
@settings(max_examples=EXAMPLES, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_differentiable_function_detaches(name: str, data: Any):
    """One tracked operand among plain ones is enough."""
    call = data.draw(CASES[DIFFERENTIABLE[name]])
    for i, x in enumerate(call.arrays):
        t = tl.tensor(x, requires_grad=True)
        y = call.f(*call.arrays[:i], t, *call.arrays[i + 1 :])
        assert y.requires_grad, f"{name} lost the gradient by operand {i}"
        assert tl.gradients(y.sum(), t).shape == x.shape


class RuleRan(Exception):
    """Raised by a rule, so that nothing else can be mistaken for it."""


def raising(argnum: int, g: Any, y: Any, *args: Any, **kwargs: Any) -> Any:
    raise RuleRan


def uses_the_rule(call: Any) -> bool:
    """Whether differentiating what ``call`` computes runs a planted rule, or says why it cannot."""
    try:
        y = call()
    except TypeError as error:
        refusals = ("which has no gradient", "has no derivative by", "of a tensor takes no")
        return any(refusal in str(error) for refusal in refusals)
    parts = [y] if isinstance(y, tl.Tensor) else list(y) if isinstance(y, (tuple, list)) else []
    tracked = [part for part in parts if isinstance(part, tl.Tensor) and part.requires_grad]
    if not tracked:  # numbers, shapes, positions: nothing to differentiate
        return not any(isinstance(p, np.ndarray) and p.dtype.kind in "fc" for p in [y, *parts])
    with pytest.raises(RuleRan):
        tracked[0].backward(np.ones(tracked[0].shape))
    return True


@pytest.mark.parametrize("name", sorted(DIFFERENTIABLE.keys() - OLD_NAMES))
@settings(max_examples=2, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_users_rule_takes_the_place_of_ours(name: str, data: Any):
    function = DIFFERENTIABLE[name]
    case = data.draw(CASES[function])
    tensors = [tl.tensor(a, requires_grad=True) for a in case.arrays]
    with planted(function, variadic=raising):
        assert uses_the_rule(lambda: case.f(*tensors)), name


@pytest.mark.parametrize("name", sorted(DIFFERENTIABLE.keys() - OLD_NAMES - {"array"}))
@settings(max_examples=1, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_users_rule_is_used_with_keywords_and_without_an_out(name: str, data: Any):
    function = DIFFERENTIABLE[name]
    arguments = arguments_of(function, data.draw(CASES[function]))
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except ValueError:
        pytest.skip("this NumPy does not tell the names")
    for place, value in list(arguments.places()):
        if isinstance(value, np.ndarray) and value.dtype.kind in "fc":
            arguments = arguments.replaced(place, tl.tensor(value, requires_grad=True))
    if not any(p.kind is p.VAR_POSITIONAL for p in parameters):
        pairs = enumerate(parameters)
        arguments = arguments.by_keyword(
            {i: p.name for i, p in pairs if p.kind is p.POSITIONAL_OR_KEYWORD}
        )
    if "out" in {p.name for p in parameters} and getattr(function, "nout", 1) == 1:
        arguments = arguments.replaced(("out",), None)
    with planted(function, variadic=raising):
        assert uses_the_rule(lambda: arguments(function)), name


METHODS: dict[str, tuple[Any, ...]] = {
    "clip": (0, 1), "dot": (np.ones((2, 2)),), "matmul": (np.ones((2, 2)),), "maximum": (1.0,),
    "minimum": (1.0,), "swapaxes": (0, 1), "take": ([0, 1],), "reshape": (4,),
    "arccos": (),
}  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [
        n
        for n in DIFFERENTIABLE
        if hasattr(leaf(1), n)
        and n not in {*words.TENSOR, *words.METHODS}
        and n not in ("astype", "imag", "real")
    ],
)
def test_methods_use_a_users_rule_too(name: str):
    t = tl.tensor([[0.25, 0.5], [0.75, 0.125]], requires_grad=True)
    names = {"abs": "absolute", "conj": "conjugate"}
    with planted(getattr(np, names.get(name, name)), variadic=raising):
        named = {"repeats": 2, "axis": 0} if name == "repeat" else {}
        assert uses_the_rule(lambda: getattr(t, name)(*METHODS.get(name, ()), **named))


@pytest.mark.parametrize(
    ("op", "call"),
    [
        (np.sum, lambda t: np.add.reduce(t)),
        (np.sum, lambda t: np.add.reduce(t, axis=None, keepdims=True)),
        (np.prod, lambda t: np.multiply.reduce(t)),
        (np.max, lambda t: np.maximum.reduce(t, axis=0)),
        (np.min, lambda t: np.minimum.reduce(t)),
        (np.max, lambda t: np.amax(t)),
        (np.sum, lambda t: np.nansum(t)),
        (np.power, lambda t: t**2),
        (np.power, lambda t: t**0.5),
        (np.power, lambda t: 2.0**t),
        (np.square, lambda t: t**2),
        (np.add, lambda t: np.ones(3) + t),
        (np.multiply, lambda t: 2 * t),
        (np.matmul, lambda t: np.ones(3) @ t),
        (np.absolute, lambda t: abs(t)),
        (np.negative, lambda t: -t),
        (np.transpose, lambda t: t.reshape(1, 3).T),
        (np.linalg.matmul, lambda t: np.linalg.matmul(np.ones((3, 3)), t.reshape(3, 1))),
        (np.var, lambda t: np.nanvar(t)),
    ],
)
def test_a_users_rule_is_used_however_its_function_is_called(op: Any, call: Any):
    with planted(op, variadic=raising):
        assert uses_the_rule(lambda: call(leaf(3)))


TWO_ARGUMENTS = {
    "allclose", "array_equal", "array_equiv", "digitize", "isclose", "isin", "may_share_memory",
    "searchsorted", "shares_memory", "intersect1d", "setdiff1d", "setxor1d", "union1d",
    "histogram2d",
}  # fmt: skip
#: Of integers, or of what is no array: there is nothing to differentiate by.
OF_NO_FLOATS = {
    "bitwise_and", "bitwise_count", "bitwise_invert", "bitwise_left_shift", "bitwise_not",
    "bitwise_or", "bitwise_right_shift", "bitwise_xor", "can_cast", "einsum_path", "gcd", "in1d",
    "invert", "ix_", "lcm", "left_shift", "packbits", "ravel_multi_index", "right_shift",
    "unpackbits", "unravel_index",
}  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, f in {**of_kind("constant"), **REFUSED}.items()
        if isinstance(f, DISPATCHED) and name not in {*OF_NO_FLOATS, *IN_PLACE}
    ],
)
def test_a_rule_may_be_given_to_what_has_none(name: str, tmp_path: Any):
    function, t = FUNCTIONS[name], leaf(2, 2)
    if name.startswith("save"):
        call = lambda: function(tmp_path / "x", t)
    elif name in TWO_ARGUMENTS or getattr(function, "nin", 0) == 2:
        call = lambda: function(t.ravel(), t.ravel())
    elif name == "argpartition":
        call = lambda: function(t, 1)
    else:
        call = lambda: function(t)
    with planted(function, variadic=raising), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        assert uses_the_rule(call), name


@pytest.mark.parametrize("name", IN_PLACE)
def test_what_writes_in_place_can_have_no_rule(name: str):
    with pytest.raises(TypeError, match="writes into its argument"):
        tl.defvjp(FUNCTIONS[name], lambda g, y, *args: g)


def test_the_last_declaration_wins():
    t = leaf(3)
    record = OPERATIONS[np.clip]
    try:
        tl.defvjp(np.clip, lambda g, y, x, *args, **kwargs: g * 100)
        assert tl.grad(lambda x: np.clip(x, 0, 1).sum())(t.data).tolist() == [100.0] * 3
        assert tl.grad(lambda x: x.clip(0, 1).sum())(t.data).tolist() == [100.0] * 3
        tl.operations.constant(np.clip)
        assert type(np.clip(t, 0, 1)) is np.ndarray
        tl.operations.refused("is not wanted here: t.detach()", np.clip)
        with pytest.raises(TypeError, match=r"np\.clip is not wanted here"):
            np.clip(t, 0, 1)
        tl.operations.composed(np.clip)(lambda x, low, high: x * 3)
        assert tl.grad(lambda x: np.clip(x, 0, 1).sum())(t.data).tolist() == [3.0] * 3
    finally:
        OPERATIONS[np.clip] = record


@pytest.mark.parametrize("symbol", ["+", "*", "//"])
def test_operators_use_a_users_rule_too(symbol: str):
    op = {"+": np.add, "*": np.multiply, "//": np.floor_divide}[symbol]
    with planted(op, variadic=raising):
        assert uses_the_rule(lambda: eval(f"t {symbol} 2.0", {"t": leaf(3)}))


def test_the_rule_of_a_function_of_lists_returns_lists():
    a, b = leaf(2), leaf(2)
    double = lambda g, y, arrays, axis=0: [2 * part for part in np.split(g, len(arrays), axis)]
    with planted(np.concatenate, double):
        np.concatenate([a, b, np.ones(2)]).sum().backward()
    np.testing.assert_array_equal([a.grad, b.grad], np.full((2, 2), 2.0))
    a, b = leaf(1, 1), leaf(1, 1)
    nested = lambda g, y, rows: [[3 * g[:1, :1], None], [g[1:, :1], g[1:, 1:]]]
    with planted(np.block, nested):
        np.block([[a, np.ones((1, 1))], [b, a]]).sum().backward()
    assert (a.grad.item(), b.grad.item()) == (4.0, 1.0)
    x, low = leaf(3), leaf(1)
    by_functions = lambda g, y, x, conditions, functions: [None, g[:1] * 5]
    with planted(np.piecewise, lambda g, y, *call: g, None, by_functions):  # a list of both kinds
        np.piecewise(x, [x.data > 1, x.data <= 1], [np.sin, low]).sum().backward()
    assert low.grad.item() == 5.0


REFUSED_CALLS: dict[str, Any] = {
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


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_supported_refuses_a_tracked_tensor_and_says_why(name: str):
    t = leaf(2, 2)
    call = REFUSED_CALLS.get(name, lambda f, t: f(t))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)  # np.matrix
        with pytest.raises(TypeError) as refusal:
            call(FUNCTIONS[name], t)
    assert "detach()" in str(refusal.value) or name == "nested_iters"  # NumPy's own words
    np.testing.assert_array_equal(t.data, leaf(2, 2).data)


@pytest.mark.parametrize("name", IN_PLACE)
def test_what_writes_in_place_refuses_every_tensor(name: str):
    t = leaf(2, 2).detach()
    with pytest.raises(TypeError, match="writes into its argument"):
        REFUSED_CALLS[name](FUNCTIONS[name], t)


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
