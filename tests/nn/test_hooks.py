"""Hooks of modules: when they are called, with what, and what their answers change."""

import copy
import pickle

import numpy as np
import pytest

import tinygrad_lab as tl
from tinygrad_lab import nn


class Product(nn.Module):
    """Two inputs, an option, two outputs."""

    def forward(self, a, b, *, scale=1.0):
        return a * b * scale, a + b


def tracked(*values):
    return tl.tensor(np.array(values, float), requires_grad=True)


def test_forward_hooks_see_and_replace():
    layer, calls = nn.Linear(2, 1, bias=False, rng=0), []
    layer.weight.data = np.array([[1.0, 10.0]])
    before = layer.register_forward_pre_hook(lambda m, args: calls.append((m, args)))
    after = layer.register_forward_hook(lambda m, args, y: calls.append((m, args, y)))
    x = np.array([1.0, 2.0])
    y = layer(x)
    assert calls[0][0] is calls[1][0] is layer
    assert calls[0][1][0] is calls[1][1][0] is x
    assert calls[1][2] is y
    twice = layer.register_forward_pre_hook(lambda m, args: args[0] * 2)
    halved = layer.register_forward_hook(lambda m, args, y: (y / 4, args[0]))
    out, seen = layer(x)
    assert (out.tolist(), seen.tolist()) == ([10.5], [2, 4])
    for handle in (before, after, twice, halved, twice):
        handle.remove()
    assert layer(x).tolist() == [21]
    assert len(calls) == 4


def test_order_keyword_arguments_and_errors():
    module, order = Product(), []
    module.register_forward_hook(lambda *_: order.append("first"))
    module.register_forward_hook(lambda *_: order.append("before it"), prepend=True)
    module.register_forward_pre_hook(
        lambda m, args, kwargs: (args, {"scale": 3.0, **kwargs}), with_kwargs=True
    )
    module.register_forward_hook(lambda m, args, kwargs, y: order.append(kwargs), with_kwargs=True)
    assert module(np.ones(1), 2.0)[0].tolist() == [6]
    assert module(np.ones(1), b=2.0, scale=1.0)[0].tolist() == [2]
    assert order[:3] == ["before it", "first", {"scale": 3.0}]
    assert order[5] == {"scale": 1.0, "b": 2.0}
    ends = []
    module.register_forward_hook(lambda m, args, y: ends.append(y), always_call=True)
    with pytest.raises(TypeError):
        module(np.ones(1))
    assert ends == [None]
    with pytest.raises(TypeError, match="a hook is a function, not 3"):
        module.register_forward_hook(3)
    module.register_forward_pre_hook(lambda *_: 1, with_kwargs=True)
    with pytest.raises(TypeError, match=r"returns None or \(args, kwargs\)"):
        module(1.0, 2.0)


def test_backward_hooks_see_the_gradients_of_this_call_alone():
    module, calls = Product(), []
    module.register_full_backward_hook(lambda *call: calls.append(call))
    a, b = tracked(1.0, 2.0), tracked(3.0, 5.0)
    product, total = module(a, b)
    (product * 2 + total + a * 100).sum().backward()
    ((called, grad_input, grad_output),) = calls
    assert called is module
    assert [g.tolist() for g in grad_output] == [[2, 2], [1, 1]]
    assert [g.tolist() for g in grad_input] == [[7, 11], [3, 5]]
    assert a.grad.tolist() == [107, 111]


def test_backward_hooks_replace():
    module = Product()
    module.register_full_backward_pre_hook(lambda m, outputs: tuple(10 * g for g in outputs))
    module.register_full_backward_hook(lambda m, inputs, outputs: (inputs[0] + 1, outputs[0]))
    a, b = tracked(1.0), tracked(3.0)
    (module(a, b)[0] * 2).sum().backward()
    assert (a.grad.tolist(), b.grad.tolist()) == ([61], [20])
    module.register_full_backward_hook(lambda m, inputs, outputs: inputs[:1])
    with pytest.raises(ValueError, match="returned 1 gradients"):
        module(a, b)[0].sum().backward()


def test_inputs_without_gradients():
    layer, calls = nn.Linear(2, 1, rng=0), []
    layer.register_full_backward_hook(lambda m, *gradients: calls.append(gradients))
    layer(np.ones((3, 2))).sum().backward()
    assert calls[0][0] == (None,)
    assert calls[0][1][0].tolist() == [[1]] * 3
    assert layer.weight.grad.tolist() == [[3, 3]]
    layer.requires_grad_(False)
    layer(np.ones((3, 2)))
    assert len(calls) == 1


def doubled(module, grad_input, grad_output):
    """A hook that is a plain function."""
    return tuple(None if g is None else 2 * g for g in grad_input)


def shifted(module, args, output):
    """Another."""
    return output + 1


def hooked():
    model = nn.Sequential(nn.Linear(2, 3, rng=0), nn.Tanh(), nn.Linear(3, 1, rng=1))
    model[1].register_full_backward_hook(doubled)
    model[2].register_forward_hook(shifted)
    return model


def test_second_derivatives_go_through():
    x = np.array([0.3, -0.2])
    for power in (1, 2):
        module = nn.Tanh()
        module.register_full_backward_hook(lambda m, inputs, outputs, p=power: (inputs[0] ** p,))
        slope = tl.grad(lambda x, m=module: np.sum(m(x)))
        np.testing.assert_allclose(slope(x), (1 - np.tanh(x) ** 2) ** power)
        curvature = tl.grad(lambda x, f=slope: np.sum(f(x)))(x)
        t = np.tanh(x)
        expected = power * (1 - t**2) ** (power - 1) * -2 * t * (1 - t**2)
        np.testing.assert_allclose(curvature, expected**power)  # it is called once more, there


def test_copies_and_pickles_keep_hooks_that_are_functions():
    x, model = np.ones((2, 2)), hooked()
    expected = gradients(model, x)
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        for a, b in zip(gradients(twin, x), expected, strict=True):
            np.testing.assert_array_equal(a, b)


def gradients(model, x):
    model.zero_grad()
    y = model(x)
    y.sum().backward()
    return [y.data, *(p.grad for p in model.parameters())]


def test_the_transforms_go_through_hooks():
    x, model = np.array([[0.5, -1.0]]), hooked()
    state = {name: p.data for name, p in model.named_parameters()}
    value, *expected = gradients(model, x)

    def total(state, x):
        return np.sum(tl.functional_call(model, state, x))

    slopes = tl.grad(total)
    for f in (slopes, tl.jit(slopes, backend="numpy")):
        for _ in range(3):
            for a, b in zip(f(state, x).values(), expected, strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-14)
    for name, g in tl.vmap(slopes, (None, 0))(state, np.stack([x, x])).items():
        np.testing.assert_allclose(g[1], expected[list(state).index(name)], rtol=1e-14)
    jitted = tl.jit(lambda x: model(x), backend="numpy")
    np.testing.assert_allclose([jitted(x).data for _ in range(3)], [value] * 3)
    model.zero_grad()
    tl.checkpoint(model, tl.tensor(x, requires_grad=True)).sum().backward()
    for p, g in zip(model.parameters(), expected, strict=True):
        np.testing.assert_allclose(p.grad, g, rtol=1e-14)


def test_a_program_follows_a_hook_that_comes_and_goes():
    layer = nn.Linear(2, 1, rng=0)
    jitted, x = tl.jit(lambda x: layer(x).sum(), backend="numpy"), np.ones(2)
    plain = float(jitted(x).data)
    with layer.register_forward_hook(shifted):
        assert float(jitted(x).data) == pytest.approx(plain + 1)
    assert float(jitted(x).data) == plain


def test_a_module_among_hooks_is_no_layer():
    model, other = nn.Linear(2, 1, rng=0), nn.Linear(1, 1, rng=1)
    model.register_forward_hook(lambda m, args, y, other=other: other(y))
    model.register_forward_hook(other.register_forward_hook)
    assert len(list(model.parameters())) == 2
    assert list(model.modules()) == [model]


def plain(g):
    return g.numpy().copy() if hasattr(g, "numpy") else None if g is None else np.array(g)


@pytest.mark.oracle
@pytest.mark.filterwarnings("ignore:Full backward hook is firing")  # PyTorch's first layer
def test_gradients_and_calls_are_pytorchs():
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).normal(size=(3, 2))
    ours = nn.Sequential(nn.Linear(2, 3, rng=0), nn.Tanh(), nn.Linear(3, 1, rng=1))
    theirs = torch.nn.Sequential(
        torch.nn.Linear(2, 3), torch.nn.Tanh(), torch.nn.Linear(3, 1)
    ).double()
    theirs.load_state_dict({k: torch.tensor(v) for k, v in ours.state_dict().items()})
    records = []
    for model, inputs in ((ours, x), (theirs, torch.tensor(x))):
        record = []

        def note(module, grad_input, grad_output, record=record):
            record.extend(map(plain, (*grad_input, *grad_output)))

        for module in model:
            module.register_full_backward_hook(note)
        model[1].register_full_backward_hook(lambda m, i, o: (3 * i[0],))
        model[1].register_full_backward_pre_hook(lambda m, o: (o[0] ** 2,))
        model(inputs).sum().backward()
        record.extend(plain(p.grad) for p in model.parameters())
        records.append(record)
    for a, b in zip(*records, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            np.testing.assert_allclose(a, b, rtol=1e-12)
