"""PyTorch's words: NumPy's meaning under another name, all the way through; or a refusal."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tl
from tests.support import directional_slope
from tinygrad_lab import habits, nn, words

X = np.random.default_rng(0).uniform(0.2, 0.8, (2, 3, 4))
M = X[0, :, :3] + np.eye(3)
MASK = X > 0.5
PLACES = np.argsort(X, axis=1)[:, :2, :3]

#: A call of each word on ``X``, what NumPy says for it, and the operand where it is another.
CALLS: dict[str, tuple[Any, ...]] = {
    "view": (lambda t: t.view(6, -1), lambda x: x.reshape(6, 4)),
    "view_as": (lambda t: t.view_as(np.ones(24)), lambda x: x.reshape(24)),
    "reshape_as": (lambda t: t.reshape_as(np.ones((4, 6))), lambda x: x.reshape(4, 6)),
    "flatten": (lambda t: t.flatten(1), lambda x: x.reshape(2, 12)),
    "unflatten": (lambda t: t.unflatten(-1, (2, 2)), lambda x: x.reshape(2, 3, 2, 2)),
    "unsqueeze": (lambda t: t.unsqueeze(-1), lambda x: x[..., None]),
    "permute": (lambda t: t.permute(2, 0, 1), lambda x: x.transpose(2, 0, 1)),
    "movedim": (lambda t: t.movedim(0, 2), lambda x: x.transpose(1, 2, 0)),
    "t": (lambda t: t.t(), lambda x: x.T, M),
    "expand": (lambda t: t.expand(5, -1, 3, -1), lambda x: np.broadcast_to(x, (5, 2, 3, 4))),
    "expand_as": (lambda t: t.expand_as(np.ones((2, 2, 3, 4))),
                  lambda x: np.broadcast_to(x, (2, 2, 3, 4))),
    "tile": (lambda t: t.tile(2, 1), lambda x: np.tile(x, (2, 1))),
    "repeat_interleave": (lambda t: t.repeat_interleave(2, dim=1), lambda x: x.repeat(2, 1)),
    "flip": (lambda t: t.flip(0, 2), lambda x: x[::-1, :, ::-1]),
    "roll": (lambda t: t.roll(1, 2), lambda x: np.roll(x, 1, 2)),
    "numel": (lambda t: t.numel(), lambda x: 24),
    "nelement": (lambda t: t.nelement(), lambda x: 24),
    "dim": (lambda t: t.dim(), lambda x: 3),
    "ndimension": (lambda t: t.ndimension(), lambda x: 3),
    "element_size": (lambda t: t.element_size(), lambda x: 8),
    "contiguous": (lambda t: t.contiguous(), lambda x: x),
    "to": (lambda t: t.to("cpu").to(tl.float32), lambda x: x.astype(np.float32)),
    "type": (lambda t: t.type(tl.float32), lambda x: x.astype(np.float32)),
    "type_as": (lambda t: t.type_as(t.float()), lambda x: x.astype(np.float32)),
    "float": (lambda t: t.float(), lambda x: x.astype(np.float32)),
    "double": (lambda t: t.float().double(), lambda x: x.astype(np.float32).astype(float)),
    "half": (lambda t: t.half(), lambda x: x.astype(np.float16)),
    "long": (lambda t: (9 * t).long(), lambda x: (9 * x).astype(np.int64)),
    "int": (lambda t: (9 * t).int(), lambda x: (9 * x).astype(np.int32)),
    "short": (lambda t: (9 * t).short(), lambda x: (9 * x).astype(np.int16)),
    "byte": (lambda t: (9 * t).byte(), lambda x: (9 * x).astype(np.uint8)),
    "bool": (lambda t: t.bool(), lambda x: x.astype(bool)),
    "cpu": (lambda t: t.cpu(), lambda x: x),
    "clone": (lambda t: t.clone(), lambda x: x),
    "add": (lambda t: t.add(t, alpha=3), lambda x: 4 * x),
    "sub": (lambda t: t.sub(t * t, alpha=2), lambda x: x - 2 * x * x),
    "mul": (lambda t: t.mul(t), lambda x: x * x),
    "div": (lambda t: t.div(t + 1), lambda x: x / (x + 1)),
    "true_divide": (lambda t: t.true_divide(3), lambda x: x / 3),
    "neg": (lambda t: t.neg(), lambda x: -x),
    "pow": (lambda t: t.pow(3), lambda x: x**3),
    "mm": (lambda t: t.mm(t), lambda x: x @ x, M),
    "mv": (lambda t: t.mv(t[0]), lambda x: x @ x[0], M),
    "bmm": (lambda t: t.bmm(t), lambda x: x @ x, np.stack([M, 2 * M])),
    "addmm": (lambda t: t.addmm(t, t, beta=2), lambda x: 2 * x + x @ x, M),
    "outer": (lambda t: t[0].outer(t[1]), lambda x: np.outer(x[0], x[1]), M),
    "ger": (lambda t: t[0].ger(t[1]), lambda x: np.outer(x[0], x[1]), M),
    "inner": (lambda t: t[0].inner(t[1]), lambda x: np.inner(x[0], x[1]), M),
    "clamp": (lambda t: t.clamp(min=0.4), lambda x: x.clip(0.4)),
    "clamp_min": (lambda t: t.clamp_min(0.4), lambda x: x.clip(0.4)),
    "clamp_max": (lambda t: t.clamp_max(0.6), lambda x: x.clip(None, 0.6)),
    "rsqrt": (lambda t: t.rsqrt(), lambda x: x**-0.5),
    "lerp": (lambda t: t.lerp(t * t, 0.25), lambda x: 0.75 * x + 0.25 * x * x),
    "sign": (lambda t: (t - 0.5).sign(), lambda x: np.sign(x - 0.5)),
    "floor": (lambda t: (9 * t).floor(), lambda x: np.floor(9 * x)),
    "ceil": (lambda t: (9 * t).ceil(), lambda x: np.ceil(9 * x)),
    "trunc": (lambda t: (9 * t).trunc(), lambda x: np.trunc(9 * x)),
    "logit": (lambda t: t.logit(), lambda x: np.log(x / (1 - x))),
    "norm": (lambda t: t.norm(dim=1, keepdim=True), lambda x: np.sqrt((x * x).sum(1)[:, None])),
    "det": (lambda t: t.det(), lambda x: np.linalg.det(x), M),
    "inverse": (lambda t: t.inverse(), lambda x: np.linalg.inv(x), M),
    "tril": (lambda t: t.tril(-1), lambda x: np.tril(x, -1), M),
    "triu": (lambda t: t.triu(diagonal=1), lambda x: np.triu(x, 1), M),
    "diag": (lambda t: t.diag(), lambda x: np.diag(x), M),
    "quantile": (lambda t: t.quantile(0.3, dim=2), lambda x: np.quantile(x, 0.3, 2)),
    "nansum": (lambda t: t.nansum(dim=1), lambda x: x.sum(1)),
    "amax": (lambda t: t.amax(dim=1, keepdim=True), lambda x: x.max(1, keepdims=True)),
    "amin": (lambda t: t.amin(1), lambda x: x.min(1)),
    "count_nonzero": (lambda t: t.count_nonzero(), lambda x: 24),
    "diff": (lambda t: t.diff(dim=1), lambda x: np.diff(x, axis=1)),
    "eq": (lambda t: t.eq(t), lambda x: x == x),
    "ne": (lambda t: t.ne(0.5), lambda x: x != 0.5),
    "lt": (lambda t: t.lt(0.5), lambda x: x < 0.5),
    "le": (lambda t: t.le(0.5), lambda x: x <= 0.5),
    "gt": (lambda t: t.gt(0.5), lambda x: x > 0.5),
    "ge": (lambda t: t.ge(0.5), lambda x: x >= 0.5),
    "equal": (lambda t: t.equal(t + 1), lambda x: False),
    "allclose": (lambda t: t.allclose(t + 1e-12), lambda x: True),
    "isclose": (lambda t: t.isclose(1 - t, atol=0.1), lambda x: np.isclose(x, 1 - x, atol=0.1)),
    "isnan": (lambda t: t.isnan(), lambda x: np.isnan(x)),
    "isinf": (lambda t: t.isinf(), lambda x: np.isinf(x)),
    "isfinite": (lambda t: t.isfinite(), lambda x: np.isfinite(x)),
    "logical_not": (lambda t: t.logical_not(), lambda x: np.logical_not(x)),
    "where": (lambda t: t.where(MASK, t * t), lambda x: np.where(MASK, x, x * x)),
    "masked_fill": (lambda t: t.masked_fill(MASK, 7.0), lambda x: np.where(MASK, 7.0, x)),
    "masked_select": (lambda t: t.masked_select(MASK), lambda x: x[MASK]),
    "index_select": (lambda t: t.index_select(1, np.array([2, 0])), lambda x: x[:, [2, 0]]),
    "gather": (lambda t: t.gather(1, PLACES),
               lambda x: np.take_along_axis(x[:, :, :3], PLACES, 1)),
    "take_along_dim": (lambda t: t.take_along_dim(np.argsort(X), dim=2), lambda x: np.sort(x)),
    "narrow": (lambda t: t.narrow(2, 1, 2), lambda x: x[:, :, 1:3]),
    "select": (lambda t: t.select(1, -1), lambda x: x[:, -1]),
    "chunk": (lambda t: t.chunk(3, dim=-1)[1], lambda x: x[..., 2:4]),
    "split": (lambda t: t.split([1, 3], dim=2)[1], lambda x: x[..., 1:]),
    "unbind": (lambda t: t.unbind(1)[2], lambda x: x[:, 2]),
    "sort": (lambda t: t.sort(dim=1, descending=True).values, lambda x: -np.sort(-x, 1)),
    "topk": (lambda t: t.topk(2, dim=1).values, lambda x: -np.sort(-x, 1)[:, :2]),
}  # fmt: skip
SMOOTH = [name for name, (call, *_) in CALLS.items() if name not in (
    "half", "float", "to", "type", "type_as", "double", "bool", "byte", "int", "long", "short",
    "floor", "ceil", "trunc", "sign")]  # fmt: skip


def call_of(name: str) -> tuple[Callable[..., Any], Callable[..., Any], Any]:
    call, meant, *operand = CALLS[name]
    return call, meant, operand[0] if operand else X


def test_every_word_has_a_call():
    assert CALLS.keys() == words.TENSOR.keys()


@pytest.mark.parametrize("name", CALLS)
def test_a_word_is_numpys(name: str):
    call, meant, x = call_of(name)
    expected = meant(x)
    for t in (tl.tensor(x), tl.tensor(x, requires_grad=True)):
        actual = call(t)
        np.testing.assert_allclose(getattr(actual, "data", actual), expected, rtol=1e-6)
        if isinstance(expected, np.ndarray):
            assert actual.dtype == expected.dtype


@pytest.mark.parametrize("name", SMOOTH)
def test_a_word_is_differentiated_twice_batched_and_recorded(name: str):
    call, _, x = call_of(name)
    y = call(tl.tensor(x, requires_grad=True))
    if not isinstance(y, tl.Tensor):
        return
    upstream = np.random.default_rng(1).normal(size=y.shape)
    direction = np.random.default_rng(2).normal(size=x.shape)

    def weighted(t: Any) -> Any:
        return (upstream * call(t * t)).sum()

    slope = tl.grad(weighted)  # of the square, so that there is a second derivative
    plain = lambda a: call(tl.tensor(a * a)).data
    numerical = directional_slope(plain, [x], 0, upstream, direction)
    np.testing.assert_allclose((slope(x) * direction).sum(), numerical, rtol=1e-7, atol=1e-8)
    (second,) = tl.hvp(weighted, (x,), (direction,))
    expected = directional_slope(lambda a: slope(a), [x], 0, direction, direction)
    np.testing.assert_allclose((second * direction).sum(), expected, rtol=1e-6, atol=1e-7)
    both = np.stack([x, x])
    np.testing.assert_allclose(tl.vmap(slope)(both)[1], slope(x), rtol=1e-12)
    jitted = tl.jit(slope)
    for _ in range(2):
        np.testing.assert_allclose(jitted(x), slope(x), rtol=1e-12)


METHODS = sorted(words.METHODS)
OTHERS = {
    "broadcast_to": ((5, 2, 3, 4),), "moveaxis": (0, 1), "nanquantile": (0.3,), "ldexp": (2,),
    "bincount": (), "kron": (M,), "vdot": (X,),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning")  # NumPy lets some go
@pytest.mark.parametrize("name", METHODS)
def test_a_function_of_numpys_is_a_method(name: str):
    function = getattr(np, name)
    array = {"bincount": np.array([1, 2, 2]), "corrcoef": M, "cov": M, "diagflat": M}.get(name, X)
    array = np.array([4, 6]) if name in ("gcd", "lcm") else array
    array = X + 1.5 if name in ("arccosh", "acosh") else array
    binary = getattr(function, "nin", 1) == 2 or name == "vdot"
    args = OTHERS.get(name, (array,) if binary else ())
    actual = getattr(tl.tensor(array), name)(*args)
    np.testing.assert_allclose(np.asarray(actual), function(array, *args))


@pytest.mark.parametrize("name", sorted(words.TENSOR.keys() - set(dir(np)) - words.PACKAGE.keys()))
def test_a_method_is_a_function_of_the_package_too(name: str):
    if name not in habits.PACKAGE:
        assert getattr(tl, name) is words.TENSOR[name]


@pytest.mark.oracle
@pytest.mark.parametrize("name", CALLS)
def test_a_word_is_pytorchs(name: str, monkeypatch: pytest.MonkeyPatch):
    torch = pytest.importorskip("torch")
    call, _, x = call_of(name)
    actual = call(tl.tensor(x))
    for word in ("MASK", "PLACES"):
        monkeypatch.setitem(globals(), word, torch.from_numpy(globals()[word]))

    class OfTorch:
        """Stands in for NumPy, and for this package, in the calls."""

        float32, int64 = torch.float32, torch.int64
        ones = staticmethod(torch.ones)

        @staticmethod
        def array(values: Any) -> Any:
            return torch.tensor(values)

        @staticmethod
        def argsort(values: Any) -> Any:
            return torch.from_numpy(values).argsort()

    monkeypatch.setitem(globals(), "np", OfTorch)
    monkeypatch.setitem(globals(), "tl", OfTorch)
    expected = call(torch.from_numpy(x))
    monkeypatch.undo()
    arrays = expected.numpy() if hasattr(expected, "numpy") else expected
    np.testing.assert_allclose(getattr(actual, "data", actual), arrays, rtol=1e-6)
    if hasattr(actual, "dtype") and hasattr(arrays, "dtype") and np.ndim(actual):
        assert actual.dtype == arrays.dtype


def test_chunks_and_splits_are_told_lengths():
    t = tl.arange(7)
    assert [part.tolist() for part in t.chunk(3)] == [[0, 1, 2], [3, 4, 5], [6]]
    assert [part.tolist() for part in t.split(3)] == [[0, 1, 2], [3, 4, 5], [6]]
    assert [len(part) for part in t.chunk(4)] == [2, 2, 2, 1]
    with pytest.raises(ValueError, match="add up to 6, and axis 0"):
        t.split([2, 4])


def test_division_rounds_in_its_own_type():
    assert tl.tensor([7, -7]).div(2, rounding_mode="trunc").tolist() == [3, -3]
    assert tl.tensor([7, -7]).div(2, rounding_mode="floor").tolist() == [3, -4]
    assert tl.tensor([7, -7]).div(2, rounding_mode="floor").dtype == np.int64
    assert tl.tensor([7.5]).div(tl.tensor([2.0]), rounding_mode="floor").tolist() == [3.0]


def test_float32_stays_float32():
    t = tl.tensor(X, dtype=np.float32)
    for y in (t.masked_fill(MASK, 7.0), t.clamp(min=0.5), t.where(MASK, 0.0), t.add(1, alpha=2),
              t.lerp(t, 0.5), t.norm(), t.rsqrt(), t.pow(2), t.mul(t.size)):  # fmt: skip
        assert y.dtype == np.float32


def test_sorted_ties_keep_their_order():
    t = tl.tensor([2.0, 1.0, 2.0, 1.0])
    assert t.sort().indices.tolist() == [1, 3, 0, 2]
    with pytest.raises(TypeError, match=r"leaves t as it is: say t = np\.sort"):
        t.sort()  # as NumPy's, which sorts in place
    with pytest.raises(TypeError, match=r"t\.sort\(dim, descending=False\)"):
        t.sort(0, "quicksort").values  # noqa: B018
    assert t.sort(descending=True).indices.tolist() == [0, 2, 1, 3]
    values, places = t.topk(1, largest=False)
    assert (values.tolist(), places.tolist()) == ([1.0], [1])
    with pytest.raises(ValueError, match="topk"):
        t.topk(5)


class TestSize:
    """``t.size`` is a number, and answers a call."""

    def test_it_is_the_number_and_the_lengths(self):
        t = tl.zeros(2, 3)
        assert (t.size, t.size(), t.size(0), t.size(-1)) == (6, (2, 3), 2, 3)
        assert repr(t.size) == "6"
        assert type(pickle.loads(pickle.dumps(t.size))) is int
        assert (np.float32(1) * t.size).dtype == np.float32

    def test_it_is_recorded_as_a_number(self):
        f = tl.jit(lambda x: (x / x.size).sum() + x.view(x.size(0), -1).sum())
        t = tl.tensor(X, requires_grad=True)
        for _ in range(2):
            np.testing.assert_allclose(f(t).item(), X.mean() + X.sum())


DIM = {
    "sum": 1, "mean": 1, "prod": 1, "cumsum": 1, "cumprod": 1, "argmax": 1, "argmin": 1, "all": 1,
    "any": 1, "argsort": 1, "nansum": 1, "nanmean": 1, "count_nonzero": 1, "diff": 1,
}  # fmt: skip


@pytest.mark.parametrize("name", DIM)
def test_dim_is_axis_where_that_means_the_same(name: str):
    expected = getattr(np, name)(X, axis=1)
    for actual in (getattr(tl, name)(tl.tensor(X), dim=1), getattr(tl, name)(X, axis=1),
                   getattr(tl, name)(tl.tensor(X), 1) if name != "diff" else expected):  # fmt: skip
        np.testing.assert_array_equal(np.asarray(actual), expected)
    if hasattr(tl.Tensor, name):
        np.testing.assert_array_equal(np.asarray(getattr(tl.tensor(X), name)(dim=1)), expected)


def test_dim_of_several_and_keepdim():
    t = tl.tensor(X)
    assert t.sum(dim=[0, 2], keepdim=True).shape == (1, 3, 1)
    assert t.mean((0, 1), keepdim=True).shape == (1, 1, 4)
    assert tl.stack([t, t], dim=1).shape == (2, 2, 3, 4)
    assert tl.flip(t, dims=[0]).shape == t.shape
    with pytest.raises(TypeError, match="two of these are one argument"):
        t.sum(dim=0, axis=0)


@pytest.mark.parametrize(("call", "text"), [
    (lambda t: t.max(1), "places: say t.argmax|t.argmax(axis=1) for the places"),
    (lambda t: t.max(dim=1), "t.argmax(axis=1) for the places"),
    (lambda t: tl.max(t, 1), "t.argmax(axis=1) for the places"),
    (lambda t: tl.min(t, dim=0), "t.argmin(axis=0) for the places"),
    (lambda t: t.std(0, keepdim=True), "ddof=1"),
    (lambda t: t.var(dim=1), "t.var(axis=1, ddof=1)"),
    (lambda t: t.repeat(2, 1), "np.tile(t, (2, 1))"),
    (lambda t: t[0].transpose(0, 1), "say t.T"),
    (lambda t: t.to("cuda"), "device='cuda'"),
    (lambda t: tl.zeros(2, device="cuda:0"), "leave device= out"),
    (lambda t: tl.tensor([1.0], device="mps"), "leave device= out"),
    (lambda t: tl.randn(2, 3), "randn(..., rng=rng), with rng = np.random.default_rng(seed)"),
    (lambda t: t.normal_(), "rng=rng"),
    (lambda t: tl.manual_seed(0), "rng = np.random.default_rng(seed)"),
    (lambda t: tl.Generator(), "np.random.default_rng(seed)"),
    (lambda t: tl.set_default_dtype(tl.float32), "dtype=np.float32"),
    (lambda t: tl.std(t), "np.std(t)"),
    (lambda t: tl.sort(t), "t.sort().values"),
    (lambda t: tl.split(t, 2), "t.split(n)"),
])  # fmt: skip
def test_two_meanings_are_refused_with_both(call: Callable[..., Any], text: str):
    with pytest.raises((TypeError, AttributeError, ValueError)) as refusal:
        call(tl.tensor(X))
    assert any(part in str(refusal.value) for part in text.split("|"))


class TestInPlace:
    """Words with an underscore: the tensor takes another value, where nobody is misled."""

    def test_a_manual_loop_moves_the_weights(self):
        w = tl.tensor([1.0, 2.0], requires_grad=True)
        y = (w * w).sum()
        y.backward()
        with tl.no_grad():
            assert w.sub_(0.5 * w.grad) is w
        assert w.tolist() == [0.0, 0.0]
        assert w.requires_grad

    def test_graphs_keep_the_values_they_saw(self):
        w = tl.tensor([1.0, 2.0], requires_grad=True)
        y = (w * w).sum()
        with tl.no_grad():
            w.zero_()
        y.backward()
        assert w.grad.tolist() == [2.0, 4.0]

    def test_an_array_handed_over_is_not_written(self):
        a = np.ones(2)
        t = tl.Tensor(a)
        t.mul_(3).add_(1)
        assert (t.tolist(), a.tolist()) == ([4.0, 4.0], [1.0, 1.0])

    def test_values_filled_copied_and_drawn(self):
        t = tl.empty(2, 2)
        assert t.fill_(7).tolist() == [[7.0, 7.0]] * 2
        assert t.copy_(tl.arange(2)).tolist() == [[0.0, 1.0]] * 2
        assert np.all(abs(t.uniform_(-1, 1, rng=0).data) < 1)
        assert t.normal_(0, 0.1, generator=np.random.default_rng(0)).shape == (2, 2)

    def test_where_a_gradient_flows_it_refuses(self):
        leaf = nn.Parameter([1.0, 2.0])
        with pytest.raises(RuntimeError, match="no_grad"):
            leaf.add_(1)
        with pytest.raises(TypeError, match=r"say t = t.add\(...\)"):
            (leaf * 2).add_(1)
        with pytest.raises(TypeError, match=r"say t = t.mul\(...\)"):
            tl.zeros(2).mul_(leaf)

    def test_a_part_of_another_tensor_refuses(self):
        t = tl.zeros(2, 3)
        with pytest.raises(TypeError, match=r"u\[i\] = v for a part of u"):
            t[0].fill_(1)
        with pytest.raises(TypeError, match="in place: it gives"):
            t.add_(tl.ones(4, 2, 3))

    def test_what_nobody_holds_refuses(self):
        t, model = tl.arange(3), nn.Linear(2, 1, rng=0)
        with pytest.raises(TypeError, match=r"say t\[i\] = v for a part of t"):
            t[0].add_(1)
        with pytest.raises(TypeError, match="nobody holds"):
            t[t.data > 1].zero_()
        drawn = tl.empty(2).normal_(rng=0).mul_(2)
        assert drawn.shape == (2,)
        t.add_(1).mul_(2)
        assert t.tolist() == [2, 4, 6]
        with tl.no_grad():
            model.weight.zero_()
            [model.bias][0].fill_(3.0)
            for p in model.parameters():
                p.mul_(2)
        assert (model.weight.tolist(), model.bias.tolist()) == ([[0.0, 0.0]], [6.0])

    def test_others_say_what_to_write(self):
        with pytest.raises(AttributeError, match=r"say t = t.cumsum\(...\)"):
            tl.zeros(2).cumsum_(0)


class TestWhatIsMade:
    """Functions that make tensors, of PyTorch's names and arguments."""

    @pytest.mark.parametrize(("made", "expected"), [
        (lambda: tl.zeros(2, 3), np.zeros((2, 3))),
        (lambda: tl.ones((2, 3), dtype=tl.float32), np.ones((2, 3), np.float32)),
        (lambda: tl.full((2,), 7), np.full(2, 7)),
        (lambda: tl.eye(2), np.eye(2)),
        (lambda: tl.arange(1, 7, 2), np.arange(1, 7, 2)),
        (lambda: tl.linspace(0, 1, 5), np.linspace(0, 1, 5)),
        (lambda: tl.zeros_like(tl.ones(2)), np.zeros(2)),
        (lambda: tl.full_like(tl.ones(2), 3), np.full(2, 3.0)),
        (lambda: tl.from_numpy(X), X),
        (lambda: tl.as_tensor([1, 2], dtype=tl.float32), np.array([1, 2], np.float32)),
        (lambda: tl.cat((tl.ones(1), tl.zeros(2)), dim=0), np.array([1.0, 0, 0])),
        (lambda: tl.randn(2, 3, rng=0), np.random.default_rng(0).normal(size=(2, 3))),
        (lambda: tl.rand((2, 3), rng=0), np.random.default_rng(0).random((2, 3))),
        (lambda: tl.randint(3, 9, (4,), rng=0), np.random.default_rng(0).integers(3, 9, (4,))),
        (lambda: tl.randint(9, (4,), rng=0), np.random.default_rng(0).integers(0, 9, (4,))),
        (lambda: tl.randint(low=0, high=9, size=(4,), rng=0),
         np.random.default_rng(0).integers(0, 9, (4,))),
        (lambda: tl.randperm(5, rng=0), np.random.default_rng(0).permutation(5)),
        (lambda: tl.normal(0.0, 2.0, (3,), rng=0), 2 * np.random.default_rng(0).normal(size=3)),
    ])  # fmt: skip
    def test_it_is_a_tensor_of_numpys(self, made: Any, expected: Any):
        t = made()
        assert type(t) is tl.Tensor
        np.testing.assert_array_equal(t.data, expected)
        assert t.dtype == expected.dtype

    def test_it_may_require_a_gradient(self):
        assert tl.randn(2, rng=0, requires_grad=True).is_leaf
        assert tl.zeros(2, requires_grad=True, device=tl.device("cpu")).requires_grad

    def test_one_generator_draws_on(self):
        rng = np.random.default_rng(0)
        first, second = tl.randn(3, rng=rng), tl.randn(3, generator=rng)
        assert np.all(first.data != second.data)
        assert tl.multinomial(tl.tensor([0.0, 1.0]), 3, replacement=True, rng=0).tolist() == [1] * 3

    def test_draws_are_recorded_as_draws(self):
        rng, same = np.random.default_rng(0), np.random.default_rng(0)
        f = tl.jit(lambda x, rng: x + tl.randn_like(x, rng=rng))
        for _ in range(3):
            np.testing.assert_array_equal(f(tl.ones(2), rng).data, 1 + same.normal(size=2))

    def test_types_and_devices(self):
        assert tl.float is tl.float32 is np.float32
        assert tl.long is np.int64
        assert not tl.cuda.is_available()
        assert tl.device("cuda" if tl.cuda.is_available() else "cpu") == "cpu"
        t = tl.tensor([1.0], requires_grad=True)
        assert t.device == t.data.device == tl.ones(2, device=t.device).to(t.device).device
        assert tl.is_tensor(tl.ones(1)) and not tl.is_tensor(np.ones(1))
        tl.set_default_dtype(tl.float64)


def test_the_page_has_the_expression_of_each_word():
    tables = words.expressions()
    assert tables["TENSOR"].keys() == words.TENSOR.keys()
    assert tables["TENSOR"]["permute"] == "`np.transpose(t, dims)`"
    assert tables["PACKAGE"]["zeros"] == "`tl.tensor(np.zeros(size))`"


class TestArrays:
    """Gradients and comparisons are NumPy's arrays, and say so where a tensor's method is asked."""

    @pytest.mark.parametrize(("call", "text"), [
        (lambda t: t.grad.zero_(), "a gradient is a NumPy array"),
        (lambda t: t.grad.detach(), "say t as it is"),
        (lambda t: 0.1 * t.grad.data, "say t as it is"),
        (lambda t: (t == 0.5).float().mean(), "say t.mean() for a share"),
        (lambda t: t.argmax(dim=1).unsqueeze(1), "say np.expand_dims(t, dim)"),
        (lambda t: (t > 0).masked_fill(t < 0, 1), "say tl.Tensor(t).masked_fill"),
    ])  # fmt: skip
    def test_a_method_of_tensors_is_answered(self, call: Callable[..., Any], text: str):
        t = tl.tensor(X, requires_grad=True)
        t.sum().backward()
        for _ in range(2):  # read, and known
            with pytest.raises(AttributeError) as miss:
                call(t)
            assert text in str(miss.value)

    def test_arrays_are_as_they_are(self):
        t = tl.tensor(X, requires_grad=True)
        assert t.grad is None
        t.sum().backward()
        assert type(t.grad) is np.ndarray
        assert t.grad.sum() == 24
        assert (t > 0).all()
        assert not hasattr(t.grad, "zero_")
        with pytest.raises(AttributeError, match="object has no attribute"):
            _ = t.grad.nothing_of_the_kind
