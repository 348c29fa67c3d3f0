"""Optimizers: PyTorch's trajectories, what is written in place, states, and bad input."""

import pickle

import numpy as np
import pytest

import tinygrad_lab as tl
from tests.optim.settings import GRID, leaves, trained
from tests.support import warnings_of
from tinygrad_lab import nn, optim
from tinygrad_lab.optim.blocks import LEAST

every_setting = pytest.mark.parametrize(("name", "options"), GRID, ids=map(str, GRID))


@every_setting
def test_float32_stays(name, options):
    parameters = leaves(dtype=np.float32)
    optimizer = getattr(optim, name)(parameters, **options)
    for group in optimizer.param_groups:
        group["lr"] = np.float64(group["lr"])
    for _ in range(3):
        for parameter in parameters:
            parameter.grad = np.ones(parameter.shape, np.float32)
        holders = [p.data for p in parameters]  # shared, so that the parameters are rebound
        optimizer.step()
        del holders
    assert {p.dtype for p in parameters} == {np.dtype(np.float32)}
    arrays = [v for s in optimizer.state.values() for v in s.values() if isinstance(v, np.ndarray)]
    assert {a.dtype for a in arrays} <= {np.dtype(np.float32)}


@every_setting
def test_a_saved_state_goes_on_as_if_nothing_had_happened(name, options):
    whole, parts = leaves(), leaves()
    trained(getattr(optim, name)(whole, **options), whole, 20)
    first = getattr(optim, name)(parts, **options)
    trained(first, parts, 12)
    saved = pickle.loads(pickle.dumps(first.state_dict()))
    second = getattr(optim, name)(parts, lr=99.0)
    second.load_state_dict(saved)
    trained(second, parts, 8, first=12)
    for a, b in zip(whole, parts, strict=True):
        np.testing.assert_array_equal(a.data, b.data)


def test_a_saved_state_is_a_copy():
    parameters = leaves()
    optimizer = optim.Adam(parameters)
    trained(optimizer, parameters, 2)
    saved = optimizer.state_dict()
    before = saved["state"][0]["exp_avg"].copy()
    trained(optimizer, parameters, 2)
    np.testing.assert_array_equal(saved["state"][0]["exp_avg"], before)


@every_setting
def test_a_kept_graph_gives_the_gradient_at_the_old_values(name, options):
    w = tl.tensor([1.0, 2.0], requires_grad=True)
    optimizer = getattr(optim, name)([w], **options)
    loss = (w * w * w).sum()
    loss.backward(retain_graph=True)
    before = w.grad.copy()
    optimizer.step()
    assert (w.data != [1.0, 2.0]).any()
    optimizer.zero_grad()
    loss.backward()
    np.testing.assert_array_equal(w.grad, before)


def test_an_array_that_nobody_else_holds_is_written_in_place():
    w = tl.tensor(np.ones(LEAST), requires_grad=True)
    optimizer = optim.Adam([w], lr=0.1)
    address = w.data.__array_interface__["data"]
    (w * w).sum().backward()
    optimizer.step()
    assert w.data.__array_interface__["data"] == address
    detached = w.detach()
    (w * w).sum().backward()
    optimizer.step()
    assert w.data.__array_interface__["data"] != address
    assert (detached.data != w.data).all()


@every_setting
def test_dask_data_is_never_written_in_place(name, options):
    da = pytest.importorskip("dask.array")
    array = da.from_array(np.array([1.0, 2.0]), chunks=1)
    lazy = tl.Tensor(array, requires_grad=True)
    plain = tl.tensor([1.0, 2.0], requires_grad=True)
    for w, wrap in ((lazy, da.from_array), (plain, np.array)):
        optimizer = getattr(optim, name)([w], **options)
        for g in ([1.0, -1.0], [0.5, 2.0]):
            w.grad = wrap(np.array(g))
            optimizer.step()
    assert isinstance(lazy.data, da.Array)
    np.testing.assert_allclose(np.asarray(lazy.data), plain.data)
    np.testing.assert_array_equal(np.asarray(array), [1.0, 2.0])


def test_groups_have_options_of_their_own():
    a, b, c = (tl.tensor([1.0], requires_grad=True) for _ in range(3))
    optimizer = optim.SGD([{"params": [a]}, {"params": b, "lr": 0.5}], lr=0.1)
    optimizer.add_param_group({"params": [c], "lr": 0.25, "maximize": True})
    for p in (a, b, c):
        p.grad = np.ones(1)
    optimizer.step()
    assert [round(p.item(), 6) for p in (a, b, c)] == [0.9, 0.5, 1.25]
    assert "Parameter Group 1\n    dampening: 0\n" in repr(optimizer)
    assert "    lr: 0.25\n    maximize: True\n" in repr(optimizer)


def test_parameters_without_gradient_stay():
    a, b = tl.tensor([1.0], requires_grad=True), tl.tensor([1.0], requires_grad=True)
    optimizer = optim.Adam([a, b], weight_decay=0.1)
    a.grad = np.ones(1)
    optimizer.step()
    assert (a.item() < 1, b.item()) == (True, 1.0)
    optimizer.zero_grad()
    assert a.grad is None


def test_gradients_with_a_graph_of_their_own_will_do():
    w = tl.tensor([1.0, 2.0], requires_grad=True)
    optimizer = optim.Adam([w], lr=0.1)
    (w * w).sum().backward(create_graph=True)
    optimizer.step()
    np.testing.assert_allclose(w.data, [0.9, 1.9])
    assert w.is_leaf


@pytest.mark.parametrize("name", sorted({name for name, _ in GRID}))
@pytest.mark.parametrize("lr", [-0.1, float("nan"), float("inf"), None, "fast"])
def test_a_learning_rate_is_a_finite_number_of_zero_or_more(name, lr):
    with pytest.raises(ValueError, match="lr="):
        getattr(optim, name)(leaves(), lr=lr)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda p: optim.SGD(p, momentum=-1), "momentum=-1"),
        (lambda p: optim.SGD(p, weight_decay=float("nan")), "weight_decay=nan"),
        (lambda p: optim.SGD(p, nesterov=True), "nesterov"),
        (lambda p: optim.SGD(p, momentum=0.9, dampening=0.1, nesterov=True), "nesterov"),
        (lambda p: optim.Adam(p, betas=(0.9, 1.0)), r"betas\[1\]=1.0.*below 1"),
        (lambda p: optim.Adam(p, betas=0.9), "betas=0.9"),
        (lambda p: optim.Adam(p, eps=-1), "eps=-1"),
        (lambda p: optim.RMSprop(p, alpha=-0.1), "alpha=-0.1"),
        (lambda p: optim.Adagrad(p, lr_decay=-1), "lr_decay=-1"),
        (lambda p: optim.SGD([]), "none"),
        (lambda p: optim.SGD([p[0], p[0]]), "twice"),
        (lambda p: optim.SGD([p[0] * 2]), "leaf"),
        (lambda p: optim.SGD([p[0].detach()]), "requires a gradient"),
        (lambda p: optim.SGD([{"params": p, "rate": 1}]), "no option 'rate'.*lr"),
        (lambda p: optim.SGD([{"params": p, "lr": -1}]), "lr=-1"),
    ],
)
def test_bad_options_and_parameters(build, message):
    with pytest.raises(ValueError, match=message):
        build(leaves())


def test_what_is_no_iterable_of_parameters():
    with pytest.raises(TypeError, match=r"model\.parameters\(\)"):
        optim.SGD(tl.nn.Linear(1, 1, rng=0))
    with pytest.raises(TypeError, match=r"\[tensor\]"):
        optim.SGD(leaves()[0])
    with pytest.raises(TypeError, match="ndarray"):
        optim.SGD([np.ones(3)])
    with pytest.raises(TypeError, match=r"a Linear.*model\.parameters\(\)"):
        optim.SGD(tl.nn.Linear(1, 1, rng=0).named_modules())
    for params in (None, 3, set(leaves())):
        with pytest.raises(TypeError, match="always in one order"):
            optim.SGD(params)


def test_a_state_that_does_not_fit():
    parameters = leaves()
    optimizer = optim.Adam(parameters)
    trained(optimizer, parameters, 1)
    saved = optimizer.state_dict()
    with pytest.raises(ValueError, match=r"\[2\].*\[3\]"):
        optim.Adam(parameters[:2]).load_state_dict(saved)
    with pytest.raises(ValueError, match=r"\(3, 2\)"):
        optim.Adam(parameters[::-1]).load_state_dict(saved)
    saved["param_groups"][0]["lr"] = -1
    with pytest.raises(ValueError, match="lr=-1"):
        optimizer.load_state_dict(saved)


# -- warnings ---------------------------------------------------------------------------------


def shown(action, times=1):
    caught = warnings_of(action, times)
    assert {w.filename for w in caught} <= {__file__}
    return [(w.category, str(w.message)) for w in caught]


def test_a_step_before_any_backward_is_warned_of_once_a_place():
    w = tl.nn.Parameter([1.0])
    optimizer = optim.SGD([w], lr=0.1)
    ((category, text),) = shown(lambda: optimizer.step(), times=3)
    assert category is tl.warnings.NoGradientWarning
    assert "backward()" in text
    w.requires_grad_(False)
    ((_, text),) = shown(lambda: optimizer.step())
    assert "frozen" in text
    w.requires_grad_(True)
    (w * 2).sum().backward()
    assert shown(lambda: optimizer.step()) == []


@pytest.mark.parametrize("forget", [lambda m, o: m.zero_grad(), lambda m, o: o.zero_grad()])
def test_an_optimizer_of_parameters_that_the_model_has_no_more(forget):
    model = tl.nn.MLP([2, 3, 1], "tanh", None, rng=0)
    optimizer = optim.Adam(model.parameters())

    def step():
        forget(model, optimizer)
        model(np.ones((4, 2))).sum().backward()
        optimizer.step()

    assert shown(step, times=2) == []
    model.layers[2] = tl.nn.Linear(3, 1, rng=1)
    ((category, text),) = shown(step, times=2)
    assert category is tl.warnings.AbandonedParameterWarning
    assert "2 of its 4 parameters (of shape (1, 3), (1,))" in text
    model.to(np.float32)  # the same parameters: but what is kept for them is float64
    with pytest.raises(ValueError, match=r"keeps exp_avg of float64.*float32\(3, 2\) by now"):
        shown(step)
    model = tl.nn.MLP([2, 3, 1], "tanh", None, rng=0)
    del step


@pytest.mark.parametrize("name", ["Adagrad", "RMSprop", "Adam", "AdamW"])
def test_complex_parameters_are_for_sgd_alone(name):
    w = tl.nn.Parameter([1 + 2j])
    (w * np.conj(w)).sum().real.backward()
    with pytest.raises(TypeError, match=r"complex128\(1,\).*use SGD"):
        getattr(optim, name)([w]).step()
    before = abs(w.data)
    optim.SGD([w], lr=0.1).step()
    assert (abs(w.data) < before).all()


def test_what_stands_in_place_of_parameters_is_told_what_to_write():
    model = nn.Linear(2, 2, rng=0)
    for params in (model, model.parameters, model.named_parameters):
        with pytest.raises(TypeError, match=r"say model\.parameters\(\)"):
            optim.SGD(params, lr=0.1)
