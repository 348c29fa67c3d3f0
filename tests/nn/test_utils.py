"""Parameters computed from others: norms, orthogonality, vectors of all of them."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import tinygrad_lab as tl
from tests.support import check_gradients
from tinygrad_lab import nn
from tinygrad_lab.nn import utils
from tinygrad_lab.nn.utils import parametrizations, parametrize

X = np.random.default_rng(0).normal(size=(4, 3))
COMPUTED = {
    "weight_norm": lambda layer: utils.weight_norm(layer),
    "weight_norm, whole": lambda layer: utils.weight_norm(layer, dim=None),
    "weight_norm, other axis": lambda layer: utils.weight_norm(layer, dim=1),
    "spectral_norm": lambda layer: utils.spectral_norm(layer, rng=0),
    "parametrizations.weight_norm": lambda layer: parametrizations.weight_norm(layer),
    "parametrizations.spectral_norm": lambda layer: parametrizations.spectral_norm(layer, rng=0),
    "matrix_exp": lambda layer: parametrizations.orthogonal(layer, orthogonal_map="matrix_exp"),
    "cayley": lambda layer: parametrizations.orthogonal(layer, orthogonal_map="cayley"),
    "householder": lambda layer: parametrizations.orthogonal(layer, orthogonal_map="householder"),
}
each = pytest.mark.parametrize("name", COMPUTED)


def made(name, layer=None):
    return COMPUTED[name](layer or nn.Linear(3, 3, rng=0))


@each
def test_the_output_is_that_of_the_weight_that_is_computed(name):
    layer = made(name).eval()
    assert "weight" not in dict(layer.named_parameters())
    np.testing.assert_allclose(layer(X).data, X @ layer.weight.data.T + layer.bias.data)


@each
def test_gradients_are_those_of_finite_differences(name):
    layer = made(name).eval()  # in training, the vectors of a spectral norm move
    state = {k: p.data + 0.01 for k, p in layer.named_parameters()}
    f = lambda *values: tl.functional_call(layer, dict(zip(state, values, strict=True)), X)
    check_gradients(f, *state.values(), order=1)


@each
def test_a_step_moves_what_it_is_computed_from(name):
    layer = made(name)
    optimizer = tl.optim.SGD(layer.parameters(), lr=0.1)
    before = layer.weight.data.copy()
    (layer(X) ** 2).sum().backward()
    optimizer.step()
    assert np.abs(layer.weight.data - before).max() > 1e-4


@each
def test_recorded_steps_are_the_same(name):
    layer, other = made(name), made(name)
    other.load_state_dict(layer.state_dict())

    def step(layer, optimizer):
        optimizer.zero_grad()
        loss = (layer(X) ** 2).sum()
        loss.backward()
        optimizer.step()
        return loss.detach()

    optimizers = [tl.optim.SGD(x.parameters(), lr=0.05) for x in (layer, other)]
    jitted = tl.jit(step, backend="numpy")
    for _ in range(3):
        a, b = jitted(layer, optimizers[0]), step(other, optimizers[1])
        np.testing.assert_allclose(a.data, b.data, rtol=1e-12)
    for key, value in layer.state_dict().items():
        np.testing.assert_allclose(value, other.state_dict()[key], rtol=1e-10, atol=1e-12)


@each
@pytest.mark.parametrize("again", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_compute_the_same(name, again):
    layer = made(name).eval()
    twin = again(layer)
    np.testing.assert_array_equal(twin(X).data, layer(X).data)
    assert twin.state_dict().keys() == layer.state_dict().keys()


@each
def test_it_goes_through_vmap(name):
    layer, xs = made(name).eval(), np.stack([X, X * 2])
    together = tl.vmap(lambda x: layer(x))(xs)
    np.testing.assert_allclose(together.data[1], layer(xs[1]).data)


@each
def test_float32_stays_float32(name):
    layer = made(name, nn.Linear(3, 3, rng=0, dtype=np.float32))
    assert layer(X.astype(np.float32)).dtype == np.float32
    assert all(v.dtype == np.float32 for v in layer.state_dict().values())


@each
def test_nothing_can_be_set_in_its_place(name):
    layer = made(name)
    with pytest.raises(TypeError, match=r"weight is computed"):
        layer.weight = nn.Parameter(np.ones((3, 3)))


class TestNorms:
    """Lengths, the largest singular value, and taking both away again."""

    def test_at_first_the_weight_is_what_it_was(self):
        weight = nn.Linear(3, 3, rng=0).weight.data
        for name in ("weight_norm", "weight_norm, whole", "parametrizations.weight_norm"):
            np.testing.assert_allclose(made(name).weight.data, weight, rtol=1e-14)

    def test_a_norm_is_that_of_rows_or_of_the_whole(self):
        layer = made("weight_norm")
        layer.weight_g.data = np.array([[1.0], [2.0], [3.0]])
        np.testing.assert_allclose(np.linalg.norm(layer.weight.data, axis=1), [1, 2, 3])
        assert made("weight_norm, whole").weight_g.shape == ()

    def test_the_largest_stretch_tends_to_one(self):
        layer = nn.Linear(6, 4, rng=3)
        utils.spectral_norm(layer, rng=0)
        for _ in range(200):
            layer(np.ones(6))
        assert abs(np.linalg.norm(layer.weight.data, 2) - 1) < 1e-10

    def test_outside_training_the_vectors_stay(self):
        layer = made("spectral_norm").eval()
        u = layer.weight_u.copy()
        layer(X)
        np.testing.assert_array_equal(layer.weight_u, u)

    def test_of_a_vector_it_is_the_length(self):
        layer = parametrizations.spectral_norm(nn.Linear(3, 3, rng=0), "bias")
        assert abs(np.linalg.norm(layer.bias.data) - 1) < 1e-12

    def test_they_can_be_removed(self):
        for name, remove in (
            ("weight_norm", utils.remove_weight_norm),
            ("spectral_norm", utils.remove_spectral_norm),
            ("parametrizations.weight_norm",
             lambda m: parametrize.remove_parametrizations(m, "weight")),
        ):  # fmt: skip
            layer = made(name)
            weight = layer.eval().weight.data
            assert sorted(remove(layer).state_dict()) == ["bias", "weight"]
            np.testing.assert_allclose(layer.weight.data, weight)
            assert isinstance(layer.weight, nn.Parameter)

    def test_frozen_stays_frozen(self):
        layer = nn.Linear(3, 3, rng=0).requires_grad_(False)
        assert not any(p.requires_grad for p in utils.weight_norm(layer).parameters())

    @pytest.mark.parametrize(
        ("call", "text"),
        [
            (lambda: utils.weight_norm(nn.ReLU()), "ReLU.weight is no parameter"),
            (lambda: utils.weight_norm(made("weight_norm")), "computed already"),
            (lambda: utils.spectral_norm(nn.Linear(2, 2), n_power_iterations=0), "iterations=0"),
            (lambda: utils.remove_weight_norm(made("spectral_norm")), "not what"),
            (lambda: parametrize.remove_parametrizations(nn.Linear(2, 2), "weight"), "no param"),
            (lambda: parametrizations.spectral_norm(nn.Linear(2, 2), dim=2), "dim=2"),
            (lambda: parametrizations.orthogonal(nn.Linear(2, 2), "bias"), "two axes"),
            (lambda: parametrizations.orthogonal(nn.Linear(2, 2), orthogonal_map="qr"), "qr"),
        ],
    )
    def test_what_cannot_be_is_named(self, call, text):
        with pytest.raises(ValueError, match=text):
            call()


class TestOrthogonality:
    """Three maps, square, tall and wide, with and without a base."""

    @pytest.mark.parametrize("shape", [(3, 3), (2, 5), (5, 2)])
    @pytest.mark.parametrize("name", ["matrix_exp", "cayley", "householder"])
    @pytest.mark.parametrize("base", [True, False])
    def test_it_is_orthogonal_and_stays_so(self, name, shape, base):
        layer = nn.Linear(shape[1], shape[0], rng=0)
        parametrizations.orthogonal(layer, orthogonal_map=name, use_trivialization=base)
        for p in layer.parameters():
            p.data = p.data + np.random.default_rng(1).normal(size=p.shape) * 0.1 * (p.ndim > 1)
            if name == "householder" and p.ndim > 1:  # its signs are not to be moved
                np.fill_diagonal(p.data, np.sign(np.diagonal(p.data)))
        w = layer.weight.data if shape[0] >= shape[1] else layer.weight.data.T
        np.testing.assert_allclose(w.T @ w, np.eye(min(shape)), atol=1e-13)

    @pytest.mark.parametrize("name", ["matrix_exp", "cayley", "householder"])
    def test_an_orthogonal_weight_is_kept(self, name):
        q, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))
        for base in (True, False)[: 1 + (name == "householder")]:
            layer = nn.Linear(4, 4)
            layer.weight.data = q.copy()
            parametrizations.orthogonal(layer, orthogonal_map=name, use_trivialization=base)
            np.testing.assert_allclose(layer.weight.data, q, atol=1e-14)

    def test_a_weight_of_zeros_becomes_orthogonal_too(self):
        layer = nn.Linear(3, 3, init="zeros")
        w = parametrizations.orthogonal(layer).weight.data
        np.testing.assert_allclose(w @ w.T, np.eye(3), atol=1e-14)


class Doubled(nn.Module):
    """What it is given, times two."""

    def forward(self, x):
        return x * 2


class Flat(nn.Module):
    """Another shape."""

    def forward(self, x):
        return x.reshape(-1)


class TestParametrize:
    """Parametrizations of one's own."""

    def test_one_after_the_other(self):
        layer = nn.Linear(2, 2, rng=0)
        weight = layer.weight.data
        for _ in range(2):
            parametrize.register_parametrization(layer, "weight", Doubled())
        np.testing.assert_array_equal(layer.weight.data, weight * 4)
        assert list(layer.state_dict()) == ["bias", "parametrizations.weight.original"]
        assert parametrize.is_parametrized(layer)
        assert not parametrize.is_parametrized(layer, "bias")
        parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)
        np.testing.assert_array_equal(layer.weight.data, weight)
        assert not parametrize.is_parametrized(layer)

    def test_another_shape_is_refused_unless_it_is_wanted(self):
        layer = nn.Linear(2, 2, rng=0)
        with pytest.raises(ValueError, match="unsafe=True"):
            parametrize.register_parametrization(layer, "weight", Flat())
        assert isinstance(layer.weight, nn.Parameter)
        parametrize.register_parametrization(layer, "weight", Flat(), unsafe=True)
        assert layer.weight.shape == (4,)

    def test_there_must_be_such_a_parameter(self):
        with pytest.raises(ValueError, match="no parameter 'wait'"):
            parametrize.register_parametrization(nn.Linear(2, 2), "wait", Doubled())

    def test_several_are_not_left(self):
        layer = made("parametrizations.weight_norm")
        with pytest.raises(ValueError, match="several"):
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)


class TestVectors:
    """All parameters in a row."""

    def test_there_and_back(self):
        model = nn.MLP([2, 3, 1], rng=0)
        vector = utils.parameters_to_vector(model.parameters())
        assert vector.shape == (13,)
        utils.vector_to_parameters(vector * 2, model.parameters())
        again = utils.parameters_to_vector(model.parameters())
        np.testing.assert_array_equal(again.data, vector.data * 2)
        assert all(p.is_leaf for p in model.parameters())

    def test_it_is_differentiable(self):
        layer = nn.Linear(2, 2, rng=0)
        (utils.parameters_to_vector(layer.parameters()) ** 2).sum().backward()
        np.testing.assert_allclose(layer.bias.grad, 2 * layer.bias.data)

    def test_precisions_stay(self):
        layer = nn.Linear(2, 2, dtype=np.float32)
        utils.vector_to_parameters(np.arange(6.0), layer.parameters())
        assert layer.weight.dtype == np.float32

    @pytest.mark.parametrize("length", [5, 7])
    def test_the_length_is_checked(self, length):
        layer = nn.Linear(2, 2, rng=0)
        before = layer.weight.data
        with pytest.raises(ValueError, match=rf"\({length},\).*\(6,\)"):
            utils.vector_to_parameters(np.zeros(length), layer.parameters())
        assert layer.weight.data is before

    def test_of_nothing(self):
        with pytest.raises(ValueError, match="no parameters"):
            utils.parameters_to_vector([])
