"""PyTorch as a whole: modules, what somebody's Functions are told, and which of them is wrong."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from tinygrad_lab import testing as tgt

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.oracle

Function = torch.autograd.Function
X = np.array([[0.5, 1.0], [-1.0, 2.0]])
nn = torch.nn


def failure(fn, *inputs, **kwargs):
    with pytest.raises(tgt.GradientError) as caught:
        tgt.gradcheck(tgt.adapters.torch(fn), *inputs, **kwargs)
    return caught.value


def verdict(fn, *inputs, **kwargs):
    return tgt.gradcheck(tgt.adapters.torch(fn), *inputs, **kwargs).verdict


def function(forward, backward, name="Mine"):
    """Make a Function of its two halves, each with ``ctx`` first."""
    methods = {"forward": staticmethod(forward), "backward": staticmethod(backward)}
    return type(name, (Function,), methods)


def save_x(ctx, x):
    ctx.save_for_backward(x)
    return x**3


# ---------------------------------------------------------------------------------------------
# Functions that differentiate inside


def penalised(x, w):
    x = x if x.requires_grad else x.requires_grad_()
    y = torch.tanh(x @ w).sum()
    (g,) = torch.autograd.grad(y, x, create_graph=True)
    return y + (g**2).sum()


def cut_off_penalty(x, w):
    y = torch.tanh(x @ w).sum()
    (g,) = torch.autograd.grad(y, x, create_graph=True)
    return y + (g.detach() ** 2).sum()


def residual_of_a_differential_equation(w, t):
    t = t.clone().requires_grad_()
    u = torch.tanh(w[0] * t) * w[1]
    (du,) = torch.autograd.grad(u.sum(), t, create_graph=True)
    (ddu,) = torch.autograd.grad(du.sum(), t, create_graph=True)
    return ((ddu + u) ** 2).mean()


@pytest.mark.parametrize(
    ("f", "inputs"),
    [
        (penalised, (X, X.T)),
        (residual_of_a_differential_equation, (X[0], X[1])),
        (lambda x: torch.func.grad(lambda z: (torch.sin(z) * z).sum())(x), (X,)),
        (lambda x: torch.func.jacrev(torch.tanh)(x[0]), (X,)),
        (lambda x: torch.utils.checkpoint.checkpoint(torch.tanh, x, use_reentrant=False), (X,)),
        (lambda x: torch.utils.checkpoint.checkpoint(torch.tanh, x, use_reentrant=True), (X,)),
    ],
)
def test_a_function_that_differentiates_inside_passes(f, inputs):
    assert verdict(f, *inputs, order=2) == "pass"


def test_a_gradient_inside_that_is_cut_off_is_wrong():
    assert failure(cut_off_penalty, X, X.T).finding.kind == "wrong"


def test_outer_modes_do_not_matter():
    with torch.no_grad():
        assert verdict(penalised, X, X.T) == "pass"
    with torch.inference_mode():
        assert verdict(torch.tanh, X) == "pass"


# ---------------------------------------------------------------------------------------------
# Modules


class Wrong(Function):
    """tanh, with a backward pass that is a little wrong."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        y = torch.tanh(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (y,) = ctx.saved_tensors
        return g * (1 - 0.999 * y * y)


class Scaled(nn.Module):
    """A layer whose scale gets its gradient, or does not."""

    def __init__(self, cut_off=False):
        super().__init__()
        self.linear = nn.Linear(2, 3)
        self.scale = nn.Parameter(torch.tensor(1.5))
        self.cut_off = cut_off

    def forward(self, x):
        scale = self.scale.detach() if self.cut_off else self.scale
        return self.linear(x) * scale


def tied():
    m = nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 2))
    m[2].weight = m[0].weight
    return m


def frozen():
    m = nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 2))
    m[0].weight.requires_grad_(False)
    return m


class Branching(nn.Module):
    """A module with a layer that its result does not depend on."""

    def __init__(self):
        super().__init__()
        self.used, self.spare = nn.Linear(2, 3), nn.Linear(2, 3)

    def forward(self, x):
        return self.used(x)


MODULES = {
    "unused layer": Branching,
    "linear": lambda: nn.Linear(2, 3),
    "batch norm": lambda: nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)),
    "tied": tied,
    "frozen": frozen,
    "lazy": lambda: nn.Sequential(nn.LazyLinear(3), nn.ReLU(), nn.LazyLinear(1)),
    "weight norm": lambda: nn.utils.parametrizations.weight_norm(nn.Linear(2, 2)),
    "recurrent": lambda: nn.GRU(2, 3),
    "without parameters": nn.Tanh,
    "dropout in eval mode": lambda: nn.Sequential(nn.Linear(2, 3), nn.Dropout()).eval(),
    "half": lambda: nn.Linear(2, 3).half(),
    "complex": lambda: nn.Linear(2, 2, dtype=torch.complex64),
}


@pytest.mark.parametrize("make", MODULES.values(), ids=MODULES)
def test_a_module_passes_and_is_left_as_it_was(make):
    torch.manual_seed(0)
    m = make()
    lazy = any(map(torch.nn.parameter.is_lazy, m.parameters()))
    before = {} if lazy else {k: v.clone() for k, v in m.state_dict().items()}
    x = X + 0j if any(p.is_complex() for p in m.parameters()) else X + 0.25
    state = torch.get_rng_state()
    assert tgt.check_module(m, x).verdict == "pass"
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(v, m.state_dict()[k]) for k, v in before.items())
    assert all(v.dtype == before[k].dtype for k, v in m.state_dict().items() if k in before)
    assert all(p.grad is None for p in m.parameters())
    assert lazy == any(map(torch.nn.parameter.is_lazy, m.parameters()))


def test_parameters_are_looked_at_under_their_names():
    assert tgt.check_module(Scaled(), X).verdict == "pass"
    with pytest.raises(tgt.GradientError, match=r"gradient by input \d \(scale\) is wrong"):
        tgt.check_module(Scaled(cut_off=True), X)


def test_integers_go_into_a_module_of_parameters():
    report = tgt.check_module(nn.Embedding(5, 3, sparse=True), np.array([[1, 2, 1]]))
    assert report.verdict == "pass"


def test_a_module_that_cannot_be_copied():
    m = nn.Linear(2, 2)
    m.last = m(torch.ones(2))  # a result, of which PyTorch makes no copies
    assert tgt.check_module(m, X).verdict == "pass"
    assert m.weight.dtype == torch.float32


def test_hooks_that_change_gradients_are_wrong():
    m = nn.Linear(2, 2)
    m.weight.register_hook(lambda g: 2 * g)
    with pytest.raises(tgt.GradientError, match=r"\(weight\) is wrong"):
        tgt.check_module(m, X)
    m = nn.Sequential(nn.Linear(2, 2), nn.Tanh())
    m[1].register_full_backward_hook(lambda _m, into, _out: (into[0] * 2,))
    with pytest.raises(tgt.GradientError, match="wrong"):
        tgt.check_module(m, X)


def test_dropout_that_draws_is_no_wrong_number():
    with pytest.raises(tgt.GradientError) as caught:
        tgt.check_module(nn.Sequential(nn.Linear(2, 2), nn.Dropout()), X)
    assert caught.value.finding.kind in ("random", "global state")
    assert "eval()" in str(caught.value)


# ---------------------------------------------------------------------------------------------
# What goes in, and what comes out


@dataclass
class Output:
    """Results as models of text give them."""

    loss: Any
    logits: Any
    hidden: Any = None


def test_tensors_and_containers_of_them_go_in():
    x = torch.tensor([0.5, -1.0])
    assert verdict(torch.tanh, x) == "pass"
    assert verdict(lambda p, x: p["w"] * x + p["b"], {"w": x, "b": x + 1}, X) == "pass"
    assert not x.requires_grad


def test_dataclasses_and_integers_beside_floats_come_out():
    assert verdict(lambda x: Output(x.sum(), [x * 2]), X) == "pass"
    assert verdict(lambda x: torch.max(x, 0), X) == "pass"
    assert failure(lambda x: Output(x.detach(), x.detach()), X).finding.kind == "untracked"


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x,
        lambda x: x.t(),
        lambda x: x.expand(3, 2, 2),
        lambda x: torch.conj(x + 1j * x),
        lambda x: (x * 2).to_sparse().to_dense(),
    ],
)
def test_views_and_inputs_come_out(f):
    assert verdict(f, X, order=2) == "pass"


def test_float32_weights_of_a_function_are_widened():
    w = torch.rand(2, 3)
    model = nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3))
    report = tgt.gradcheck(tgt.adapters.torch(lambda x: model(x) + x @ w), X)
    assert report.passed
    assert report.resolution < 1e-7
    assert model[0].weight.dtype == torch.float32


def test_what_is_no_tensor_any_more_is_told_apart_from_what_is_detached():
    assert "float(), item() or numpy()" in str(failure(lambda x: x.sum().item(), X))
    assert "detach(), .data or no_grad()" in str(failure(lambda x: x.detach() * 2, X))


def test_a_result_without_a_history_is_named():
    text = str(failure(lambda x: (x * 2, (x * 3).detach()), X))
    assert "result 1 has no history" in text


def test_a_device_that_is_not_there():
    with pytest.raises(ValueError, match="PyTorch cannot use it on this machine"):
        tgt.adapters.torch(torch.tanh, device="xpu:7")


# ---------------------------------------------------------------------------------------------
# What a backward pass is told


def product(needs):
    def forward(ctx, x, w):
        ctx.save_for_backward(x, w)
        return x * w

    def backward(ctx, g):
        return needs(ctx.needs_input_grad, g, *ctx.saved_tensors)

    return function(forward, backward)


def test_a_backward_pass_that_looks_at_which_gradients_are_wanted():
    right = product(lambda n, g, x, w: (g * w if n[0] else None, g * x if n[1] else None))
    assert verdict(right, X, X + 1) == "pass"
    wrong = product(lambda n, g, x, w: (g * w, g * x if n[0] else g))
    error = failure(wrong, X, X + 1)
    assert error.finding.kind == "subset"
    assert error.finding.input == 1
    swapped = product(lambda n, g, x, w: (g * w, g * x) if all(n) else (g * x, g * w))
    assert failure(swapped, X, X + 1).finding.kind == "subset"


def sine_and_cosine(backward):
    def forward(ctx, x):
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x)
        return torch.sin(x), torch.cos(x)

    return function(forward, lambda ctx, a, b: backward(a, b, *ctx.saved_tensors))


def test_results_that_are_not_used():
    def careful(a, b, x):
        g = 0 if a is None else a * torch.cos(x)
        return g if b is None else g - b * torch.sin(x)

    def careless(a, b, x):
        return a * torch.cos(x) if b is None else -b * torch.sin(x) + (0 if a is None else a)

    assert verdict(sine_and_cosine(careful), X) == "pass"
    assert failure(sine_and_cosine(careless), X).report.verdict == "fail"
    one_sided = sine_and_cosine(lambda a, b, x: a * torch.cos(x) - b * torch.sin(x))
    assert failure(one_sided, X).finding.kind in ("unused result", "raises")
    twice = sine_and_cosine(lambda a, b, x: careful(a, b, x) * (2 if b is None else 1))
    assert failure(twice, X).finding.kind == "unused result"


def test_results_that_are_declared_constant():
    def forward(ctx, x):
        mean, place = x.mean(0), x.argmax()
        ctx.mark_non_differentiable(mean, place)
        return x * 2, mean, place

    assert verdict(function(forward, lambda ctx, g, _m, _p: g * 2), X) == "pass"
    wrong = function(forward, lambda ctx, g, _m, _p: g * 3)
    assert failure(wrong, X).finding.kind == "wrong"


def kept(forward, backward):
    return function(forward, backward, "Keeper")


def keep_input(ctx, x):
    ctx.x = x
    return x * x


def keep_result(ctx, x):
    ctx.y = torch.exp(x)
    return ctx.y


def keep_both_ways(ctx, x):
    ctx.x, ctx.mask = x, x > 0
    ctx.save_for_backward(x)
    return x * x


def test_tensors_that_are_kept_on_ctx():
    error = failure(kept(keep_input, lambda ctx, g: 2 * ctx.x * g), X)
    assert error.finding.kind == "kept tensor"
    assert "Keeper keeps one of its inputs as ctx.x" in str(error)
    assert error.finding.site.startswith("test_adapters_torch.py:")
    error = failure(lambda x: kept(keep_result, lambda ctx, g: ctx.y * g).apply(x.sin()), X)
    assert "Keeper keeps one of its results as ctx.y" in str(error)


def test_what_may_be_kept_on_ctx():
    saved = kept(keep_both_ways, lambda ctx, g: 2 * ctx.saved_tensors[0] * g)
    report = tgt.gradcheck(tgt.adapters.torch(saved), X)
    assert report.passed
    assert any("ctx.x" in note for note in report.notes)

    def own(ctx, x):
        ctx.slope, ctx.n = 2 * x, len(x)
        return x * x

    assert verdict(kept(own, lambda ctx, g: ctx.slope * g), X) == "pass"


# ---------------------------------------------------------------------------------------------
# Second order


def test_a_backward_pass_that_is_cut_off_is_named_with_its_line():
    def backward(ctx, g):
        return 3 * ctx.saved_tensors[0].detach() ** 2 * g

    cube = function(save_x, backward, "Cube")
    assert verdict(cube, X) == "pass"
    error = failure(lambda x: cube.apply(torch.sin(x)), X, order=2)
    assert error.finding.kind == "second order"
    line = backward.__code__.co_firstlineno
    assert error.finding.site == f"test_adapters_torch.py:{line}"


def test_a_backward_pass_that_says_it_can_be_derived_once():
    once = torch.autograd.function.once_differentiable
    cube = function(save_x, once(lambda ctx, g: 3 * ctx.saved_tensors[0] ** 2 * g))
    report = tgt.gradcheck(tgt.adapters.torch(cube), X, order=2)
    assert report.passed
    [second] = [r for r in report.results if r.property == "second_order"]
    assert "once" in second.note


# ---------------------------------------------------------------------------------------------
# Which Function is wrong


def test_the_wrong_function_of_several_is_named_with_its_line():
    right = function(save_x, lambda ctx, g: 3 * ctx.saved_tensors[0] ** 2 * g, "Right")
    error = failure(lambda x, w: (Wrong.apply(right.apply(x)) * right.apply(w)).sum(), X, X + 1)
    assert "Wrong, " in str(error)
    assert "Right, " not in str(error)
    line = Wrong.backward.__code__.co_firstlineno + 1
    assert error.finding.site == f"test_adapters_torch.py:{line}"


def test_the_wrong_function_in_a_module_is_named():
    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(2, 2)

        def forward(self, x):
            return Wrong.apply(self.linear(x))

    with pytest.raises(tgt.GradientError) as caught:
        tgt.check_module(Layer(), X)
    assert "Wrong, " in str(caught.value)


def test_a_function_that_is_right_by_itself_is_not_named():
    right = function(save_x, lambda ctx, g: 3 * ctx.saved_tensors[0] ** 2 * g, "Right")
    text = str(failure(lambda x: right.apply(x) * x.detach(), X))
    assert "right by themselves" in text


def test_functions_with_setup_context():
    class Times(Function):
        @staticmethod
        def forward(x, k):
            return x * k

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.k = inputs[1]

        @staticmethod
        def backward(ctx, g):
            return g * ctx.k, None

    class Twice(Times):
        @staticmethod
        def backward(ctx, g):
            return g * ctx.k * 2, None

    assert verdict(Times, X, 3.0) == "pass"
    error = failure(lambda x: Twice.apply(x * x, 3.0), X)
    assert "Twice, " in str(error)
    assert Twice.forward(2, 3) == 6  # it is as it was


class TestChosen:
    """A function is adapted by itself: by what it is, and by what it is given."""

    class Square(torch.autograd.Function):
        """A Function with a right backward pass."""

        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, g):
            return 2 * g * ctx.saved_tensors[0]

    def test_by_the_function(self):
        linear = torch.nn.Linear(2, 2)
        for fn in (torch.sin, torch.nn.functional.gelu, linear, self.Square, self.Square.apply):
            assert tgt.gradcheck(fn, X).passed
        assert "weight" in str(tgt.gradcheck(linear, X).inputs)

    def test_by_the_inputs(self):
        x = torch.tensor(X)
        assert tgt.gradcheck(lambda x: torch.sin(x), x).passed
        assert tgt.gradcheck(lambda a, p: torch.sin(a * p["b"]), X, {"b": x}).passed

    def test_numpys_functions_of_their_arrays_stay_functions_of_tensors(self):
        assert tgt.gradcheck(np.sin, torch.tensor(X)).passed

    def test_a_function_that_does_not_show_it_is_told_what_to_say(self):
        report = tgt.gradcheck(lambda x: torch.sin(x), X, raises=False)
        assert "adapters.torch(f)" in str(report)

    def test_tensors_are_moved_as_they_lie(self):
        from tinygrad_lab.testing.adapters.libraries.torch_graph import moved

        whole = torch.arange(24.0).reshape(4, 6)
        for x in (whole, whole.T, whole[::2, 1::2], whole[:, :1].expand(4, 6), whole.sum()):
            there = moved(x, "cpu", x.dtype)
            assert there.stride() == x.stride()
            assert torch.equal(there, x)
            assert there.data_ptr() != x.data_ptr()

    def test_what_is_run_in_float32_lies_as_in_float64(self):
        """A function that only takes float32 gets expanded and strided upstreams too."""
        strides = []

        class Narrow(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                if x.dtype != torch.float32:
                    raise RuntimeError("expected scalar type Float but found Double")
                return 2 * x

            @staticmethod
            def backward(ctx, g):
                strides.append(g.stride())
                return 2 * g

        assert tgt.gradcheck(Narrow, np.ones((3, 4))).passed
        assert any(0 in stride for stride in strides)
