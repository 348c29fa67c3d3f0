"""Layers, MLPs and initialisation: what they compute, and what they refuse to be built from."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_lab as tl
from tinygrad_lab import nn
from tinygrad_lab.nn import functional as fn


@pytest.mark.parametrize(
    ("layer", "function"),
    [
        (nn.Sigmoid(), fn.sigmoid),
        (nn.Tanh(), np.tanh),
        (nn.ReLU(), fn.relu),
        (nn.LeakyReLU(0.2), lambda x: fn.leaky_relu(x, 0.2)),
        (nn.ELU(2.0), lambda x: fn.elu(x, 2.0)),
        (nn.GELU(), fn.gelu),
        (nn.SiLU(), fn.silu),
        (nn.Softplus(2.0), lambda x: fn.softplus(x, 2.0)),
        (nn.Softmax(0), lambda x: fn.softmax(x, 0)),
        (nn.LogSoftmax(-1), lambda x: fn.log_softmax(x, -1)),
        (nn.Identity(), lambda x: x),
        (nn.Flatten(), lambda x: x.reshape(2, -1)),
        (nn.MaxPool2d(2, 1), lambda x: fn.max_pool2d(x, 2, 1)),
        (nn.AvgPool2d(2), lambda x: fn.avg_pool2d(x, 2)),
    ],
)
def test_layers_apply_their_function(layer, function):
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 4))
    np.testing.assert_array_equal(layer(x), function(x))
    np.testing.assert_array_equal(layer(tl.tensor(x)).data, function(x))
    assert repr(layer).startswith(type(layer).__name__ + "(")


def test_an_mlp_is_what_it_says():
    model = nn.MLP([2, 3, 1], "tanh", "sigmoid", rng=0)
    w1, b1, w2, b2 = (p.data for p in model.parameters())
    x = np.random.default_rng(1).normal(size=(5, 2))
    expected = fn.sigmoid(np.tanh(x @ w1.T + b1) @ w2.T + b2)
    np.testing.assert_allclose(model(x).data, expected)


@pytest.mark.parametrize("none", [None, "identity", "none", nn.Identity, nn.Identity()])
def test_an_mlp_without_output_activation(none):
    model = nn.MLP([2, 1], output_activation=none, rng=0)
    assert len(model.layers) == 1


def test_activations_can_be_functions_and_classes():
    x = np.ones((1, 2))
    model = nn.MLP([2, 3, 1], activation=np.tanh, output_activation=nn.ReLU, rng=0)
    same = nn.MLP([2, 3, 1], activation="tanh", output_activation="relu", rng=0)
    np.testing.assert_array_equal(model(x).data, same(x).data)


def test_one_seed_is_one_network():
    a, b, c = (nn.MLP([2, 3, 1], rng=seed).state_dict() for seed in (0, 0, 1))
    assert all((a[k] == b[k]).all() for k in a)
    assert any((a[k] != c[k]).any() for k in a)


def test_the_reports_network():
    model = nn.MLP([2, 400, 1], init="normal", rng=0)
    first = model.layers[0]
    assert abs(first.weight.data.std() - 1) < 0.1
    assert (first.bias.data == 0).all()
    assert all(p.ndim == 2 for p in nn.MLP([2, 3, 3, 1], bias=False, rng=0).parameters())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtypes(dtype):
    for init in (None, *nn.init.INITIALISERS):
        model = nn.MLP([2, 3, 1], dtype=dtype, init=init, rng=0)
        assert {p.dtype for p in model.parameters()} == {np.dtype(dtype)}
    assert nn.Conv2d(1, 2, 3, dtype=dtype, rng=0).weight.dtype == dtype


@given(
    name=st.sampled_from(["xavier_uniform", "xavier_normal", "kaiming_uniform", "kaiming_normal"]),
    out=st.integers(60, 100),
    inputs=st.integers(60, 100),
)
def test_initialisations_have_their_variance(name, out, inputs):
    weight = nn.init.INITIALISERS[name]((out, inputs), np.random.default_rng(0), np.float64)
    expected = 2 / (inputs + out) if name.startswith("xavier") else 2 / inputs
    assert weight.shape == (out, inputs)
    assert abs(weight.mean()) < 0.02
    assert weight.var() == pytest.approx(expected, rel=0.15)
    if name.endswith("uniform"):
        assert np.abs(weight).max() <= np.sqrt(3 * expected)


def test_an_initialiser_of_ones_own():
    layer = nn.Linear(2, 3, init=lambda shape, rng, dtype: np.full(shape, 4, dtype), rng=0)
    assert (layer.weight.data == 4).all()
    with pytest.raises(ValueError, match=r"\(3,\).*\(3, 2\)"):
        nn.Linear(2, 3, init=lambda shape, rng, dtype: np.zeros(shape[0]), rng=0)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: nn.Linear(0, 3), "in_features=0"),
        (lambda: nn.Linear(3, -1), "out_features=-1"),
        (lambda: nn.Linear(2.5, 1), "in_features=2.5"),
        (lambda: nn.Linear(2, 1, dtype=int), "floats"),
        (lambda: nn.Linear(2, 1, init="xaver_normal", rng=0), "did you mean 'xavier_normal'"),
        (lambda: nn.MLP([2, 0, 1]), r"sizes\[1\]=0"),
        (lambda: nn.MLP([2]), "two or more"),
        (lambda: nn.MLP([2, 1], activation="sigmiod", rng=0), "did you mean 'sigmoid'.*relu"),
        (
            lambda: nn.MLP([2, 1], output_activation="nothing", rng=0),
            "unknown activation 'nothing'",
        ),
        (lambda: nn.MLP([2, 1], init="gauss", rng=0), "unknown initialisation.*kaiming_normal"),
        (lambda: nn.Conv2d(0, 1, 3), "in_channels=0"),
        (lambda: nn.Conv2d(1, 1, 0), "kernel_size=0"),
        (lambda: nn.Conv2d(1, 1, 3, stride=0), "stride=0"),
        (lambda: nn.Conv2d(1, 1, 3, padding="full"), "'full'"),
        (lambda: nn.Conv2d(1, 1, 3, 2, padding="same"), "stride 1"),
        (lambda: nn.Conv2d(3, 4, 3, groups=2), "groups=2"),
        (lambda: nn.MaxPool2d(0), "kernel_size=0"),
        (lambda: nn.AvgPool2d(2, padding=-1), "padding=-1"),
        (lambda: nn.Dropout(2), "probability"),
    ],
)
def test_everything_is_checked_when_it_is_built(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_sequential_is_a_sequence_of_layers():
    layers = [nn.Linear(2, 3, rng=0), nn.ReLU(), nn.Linear(3, 1, rng=1)]
    model = nn.Sequential(*layers)
    assert list(model) == layers
    assert len(model) == 3
    assert model[-1] is layers[-1]
    assert list(model[:2]) == layers[:2]
    model.append(np.tanh)
    assert model(np.ones((1, 2))).shape == (1, 1)
    with pytest.raises(TypeError, match="star"):
        nn.Sequential(layers)


def test_flatten_says_what_it_cannot():
    with pytest.raises(ValueError, match=r"\(3,\)"):
        nn.Flatten()(np.ones(3))
    assert nn.Flatten(0, 1)(np.ones((2, 3, 4))).shape == (6, 4)
    assert nn.Flatten()(np.ones((0, 3, 4))).shape == (0, 12)


def test_a_small_network_learns_with_convolution_and_pooling():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 1, 6, 6)) * 0.1
    labels = np.arange(40) % 2
    x[labels == 1, 0, 2] += 1  # a bar across
    x[labels == 0, 0, :, 2] += 1  # a bar down
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1, rng=0), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(36, 2, rng=1),
    )  # fmt: skip
    optimizer = tl.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(30):
        loss = fn.cross_entropy(model(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert (np.argmax(model(x).data, axis=1) == labels).all()
    assert loss.item() < 0.1


def test_an_mlp_ends_in_a_linear_layer_unless_told():
    model = nn.MLP([2, 3, 1], "relu", rng=0)
    assert isinstance(model.layers[-1], nn.Linear)
    outputs = model(np.random.default_rng(0).normal(size=(200, 2))).data
    assert outputs.min() < 0 < outputs.max()
    assert isinstance(nn.MLP([2, 3, 1], "relu", nn.Sigmoid, rng=0).layers[-1], nn.Sigmoid)


def test_a_layer_may_set_attributes_of_the_model_it_is_in():
    model = nn.Sequential(nn.Linear(2, 3, rng=0), nn.Tanh())
    model.append(lambda x: setattr(model, "last", x) or x)
    y = model(np.ones((1, 2)))
    assert model.last is y
    assert len(model) == 3
    assert model[-1] is list(model)[2]
    assert [type(layer).__name__ for layer in model[:2]] == ["Linear", "Tanh"]
    replaced = nn.Linear(2, 3, rng=1)
    setattr(model, "0", replaced)
    assert model[0] is replaced
    assert [name for name, _ in model.named_parameters()] == ["0.weight", "0.bias"]
