"""Dropout: what it drops and how it scales, and where its random numbers come from."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import tinygrad_lab as tl
from tinygrad_lab import nn
from tinygrad_lab.nn import functional as F

ONES = np.ones((20, 8))


def masks(model, x=ONES):
    """What each dropout layer of a model makes of ones, by path."""
    return {path: m(x) for path, m in model.named_modules() if hasattr(m, "_rng")}


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)


def all_differ(of):
    values = list(of.values())
    return all(not np.array_equal(a, b) for i, a in enumerate(values) for b in values[:i])


# -- the numbers --------------------------------------------------------------------------------


def test_it_keeps_the_mean_and_scales_the_gradient_alike():
    x = tl.tensor(np.ones((200, 50)), requires_grad=True)
    y = F.dropout(x, 0.25, rng=0)
    assert set(np.unique(y.data)) == {0.0, 1 / 0.75}
    assert abs(y.data.mean() - 1) < 0.03
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, y.data)


def test_one_seed_is_one_pattern_and_a_generator_goes_on():
    np.testing.assert_array_equal(F.dropout(ONES, rng=3), F.dropout(ONES, rng=3))
    rng = np.random.default_rng(3)
    assert (F.dropout(ONES, rng=rng) != F.dropout(ONES, rng=rng)).any()


@pytest.mark.parametrize("name", F.dropouts.__all__)
def test_outside_training_and_at_its_ends(name):
    f, x = getattr(F, name), np.ones((3, 4, 5, 2)[: 3 if name == "dropout1d" else 4], np.float32)
    assert f(x, 0.9, training=False) is x
    assert f(x, 0.0, True) is x
    np.testing.assert_array_equal(f(x, 1.0, True, rng=0), np.zeros(x.shape))
    assert f(x, 0.5, True, True, rng=0).dtype == np.float32


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
@pytest.mark.parametrize("name", F.dropouts.__all__)
def test_p_is_a_probability(name, p):
    with pytest.raises(ValueError, match=rf"{name}: p={p}: expected a probability"):
        getattr(F, name)(np.ones((2, 3, 4, 5)[: 3 if name == "dropout1d" else 4]), p)
    with pytest.raises(ValueError, match=f"Dropout2d: p={p}"):
        nn.Dropout2d(p)


@pytest.mark.parametrize(
    ("name", "shape", "axes"),
    [
        ("dropout1d", (6, 4, 3), 2), ("dropout1d", (40, 3), 1), ("dropout2d", (6, 4, 3, 2), 2),
        ("dropout2d", (6, 4, 3), 2), ("dropout3d", (6, 4, 3, 2, 2), 2),
        ("dropout3d", (40, 3, 2, 2), 1), ("feature_alpha_dropout", (6, 4, 3, 2), 2),
    ],
)  # fmt: skip
def test_channels_are_dropped_whole(name, shape, axes):
    y = getattr(F, name)(np.ones(shape), training=True, rng=0)
    channels = y.reshape(*shape[:axes], -1)
    assert (channels == channels[..., :1]).all()
    assert len(np.unique(y)) == 2


@pytest.mark.parametrize(
    ("name", "shape"), [("dropout1d", (3,)), ("dropout2d", (2, 3)), ("dropout3d", (2, 3, 4)),
                        ("feature_alpha_dropout", (3,))]
)  # fmt: skip
def test_the_axes_are_checked(name, shape):
    with pytest.raises(ValueError, match="axes"):
        getattr(F, name)(np.ones(shape), training=True)


@pytest.mark.parametrize("name", ["alpha_dropout", "feature_alpha_dropout"])
def test_alpha_dropout_keeps_mean_and_variance(name):
    x = np.random.default_rng(0).normal(size=(400, 300, 1))
    y = getattr(F, name)(x, 0.3, training=True, rng=0)
    assert abs(y.mean()) < 0.02
    assert abs(y.var() - 1) < 0.02


# -- where the draws come from ------------------------------------------------------------------


class Block(nn.Module):
    """A block with one layer that draws."""

    def __init__(self, rng=0):
        self.drop = nn.Dropout(rng=rng)

    def forward(self, x):
        return self.drop(x)


class Listed(nn.Module):
    """Layers in an attribute, a list that grows, a dict, blocks."""

    def __init__(self):
        self.first = nn.Dropout(rng=0)
        self.layers = []
        for _ in range(2):
            self.layers.append(nn.Dropout(rng=0))
        self.named = {"a": nn.Dropout(rng=0), "b": Block()}
        self.tail = nn.Sequential(Block(), nn.Sequential(nn.Dropout(rng=0), nn.Dropout(rng=0)))

    def forward(self, x):
        return x


class Derived(Listed):
    """One that adds to the list of its base."""

    def __init__(self):
        super().__init__()
        self.layers.append(nn.Dropout(rng=0))


@pytest.mark.parametrize("make", [Listed, Derived, lambda: nn.Sequential(Block(), Listed())])
def test_equal_seeds_at_two_places_draw_independently_and_built_again_the_same(make):
    first = masks(make())
    assert len(first) >= 8
    assert all_differ(first)
    assert same(first, masks(make()))


def test_a_layer_that_stands_alone_draws_from_its_seed():
    expected = (np.random.default_rng(7).random(ONES.shape) >= 0.5) * 2
    np.testing.assert_array_equal(nn.Dropout(rng=7)(ONES), expected)


def test_another_seed_is_another_model():
    one, other = (nn.Sequential(nn.Dropout(rng=n), nn.Dropout(rng=n)) for n in (0, 1))
    assert all_differ({(i, j): m(ONES) for i, model in enumerate((one, other))
                       for j, m in enumerate(model)})  # fmt: skip


def test_a_layer_set_later_is_placed_too():
    model = nn.Sequential(nn.Dropout(rng=0))
    model.append(nn.Dropout(rng=0))
    model.extra = [nn.Dropout(rng=0)]
    model.listed = nn.ModuleList([nn.Dropout(rng=0)])
    model.add_module("added", nn.ModuleDict({"a": nn.Dropout(rng=0)}))
    drawn = masks(model)
    assert len(drawn) == 5
    assert all_differ(drawn)


def test_a_container_within_that_grows_is_placed_with_the_whole():
    model = nn.Sequential(nn.Dropout(rng=0), nn.Sequential())
    model[1].append(nn.Dropout(rng=0))  # where that is, its own container alone does not know
    assert all_differ(masks(nn.Sequential(model)))
    assert all_differ(masks(model.seed(0)))


def test_clones_are_independent():
    block = Block()
    model = nn.Sequential(*(copy.deepcopy(block) for _ in range(3)))
    assert all_differ(masks(model))


def test_a_slice_changes_nothing():
    model, untouched = (nn.Sequential(*(nn.Dropout(rng=0) for _ in range(3))) for _ in range(2))
    part = model[1:]
    assert same(masks(model), masks(untouched))
    assert part[0] is model[1]


def test_a_layer_from_another_model_stays_apart_from_its_new_neighbours():
    model = nn.Sequential(nn.Dropout(rng=0), nn.Dropout(rng=0))
    other = nn.Sequential(model[1], nn.Dropout(rng=0), copy.deepcopy(model[1]))
    assert all_differ(masks(other))
    assert all_differ(masks(nn.Sequential(nn.Dropout(rng=0), model[0], other)))


def test_a_layer_that_has_drawn_goes_on():
    layer, alone = nn.Dropout(rng=0), nn.Dropout(rng=0)
    layer(ONES), alone(ONES)
    model = nn.Sequential(layer)
    np.testing.assert_array_equal(model(ONES), alone(ONES))


def test_a_generator_that_was_handed_over_is_used_as_it_is():
    rng, twin = np.random.default_rng(0), np.random.default_rng(0)
    model = nn.Sequential(nn.Dropout(rng=rng), Block(rng))
    y = model(ONES)
    keep = [twin.random(ONES.shape) >= 0.5 for _ in range(2)]
    np.testing.assert_array_equal(y, ONES * 4 * keep[0] * keep[1])


def test_without_a_seed_no_two_are_alike():
    assert all_differ(masks(nn.Sequential(nn.Dropout(), nn.Dropout(), nn.Dropout())))


@pytest.mark.parametrize("again", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_go_on_as_the_original(again):
    model = nn.Sequential(nn.Dropout(rng=0), nn.Dropout(rng=0))
    assert same(masks(again(model)), masks(model))
    assert same(masks(again(model)), masks(model))


def test_one_number_seeds_a_model():
    model = nn.Sequential(nn.Dropout(rng=5), Block(None), nn.Dropout(rng=np.random.default_rng()))
    first = masks(model.seed(3))
    assert all_differ(first)
    assert same(first, masks(model.seed(3)))
    assert not same(first, masks(model.seed(4)))
    assert same(first, masks(nn.Sequential(nn.Dropout(), Block(), nn.Dropout()).seed(3)))


def test_seeding_keeps_what_is_shared():
    rng = np.random.default_rng(0)
    model = nn.Sequential(nn.Dropout(rng=rng), nn.Dropout(rng=rng)).seed(0)
    assert model[0]._rng is model[1]._rng
    assert model[0]._rng is not rng


@pytest.mark.parametrize("number", [-1, 0.5, True, None, "1"])
def test_a_seed_is_an_integer(number):
    with pytest.raises(ValueError, match="integer"):
        nn.Dropout().seed(number)


def test_a_rate_in_the_place_of_a_seed_is_refused():
    with pytest.raises(TypeError, match="seed"):
        nn.Dropout(rng=0.5)
    for seed in (0, np.random.default_rng()):  # where PyTorch has inplace=
        with pytest.raises(TypeError, match="rng="):
            nn.Dropout(0.5, seed)
        with pytest.raises(TypeError, match="rng="):
            nn.functional.dropout(np.ones(3), 0.5, True, seed)


def test_recorded_and_functional_calls_draw_the_same_streams():
    model = nn.Sequential(nn.Dropout(rng=0), Block(), nn.Sequential(nn.Dropout2d(rng=0)))
    images = np.ones((4, 3, 2, 2))
    plain = copy.deepcopy(model)
    jitted = tl.jit(model, backend="numpy")
    for _ in range(3):
        np.testing.assert_array_equal(jitted(images), plain(images))
    functional = copy.deepcopy(model)
    for _ in range(2):
        np.testing.assert_array_equal(tl.functional_call(functional, {}, images), plain(images))


def test_a_seed_that_comes_between_recorded_calls_counts():
    model = nn.Sequential(nn.Dropout(rng=0), nn.Dropout(rng=0))
    jitted = tl.jit(model, backend="numpy")
    jitted(ONES)
    model.seed(1)
    again = jitted(ONES)
    np.testing.assert_array_equal(again, model.seed(1)(ONES))


def test_a_checkpoint_draws_each_mask_once():
    model = nn.Sequential(nn.Dropout(rng=0), Block())
    x = tl.tensor(ONES, requires_grad=True)
    y = tl.checkpoint(model, x)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, y.data)


@pytest.mark.parametrize("randomness", ["different", "same"])
def test_inside_vmap(randomness):
    model = nn.Sequential(nn.Dropout(rng=0), nn.Dropout(rng=0))
    y = tl.vmap(model, randomness=randomness)(ONES)
    assert (y == y[0]).all() == (randomness == "same")


def test_recurrent_layers_drop_by_their_place():
    make = lambda: nn.GRU(2, 3, num_layers=2, dropout=0.5, rng=0)
    model = nn.Sequential(make(), nn.Sequential(make()))
    x = np.ones((4, 2))
    assert not np.array_equal(model[0](x)[0].data, model[1][0](x)[0].data)
    np.testing.assert_array_equal(model[0].weight_hh_l1.data, model[1][0].weight_hh_l1.data)
