"""The loss around a model: the right losses at the right places, and the model left as it was."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_lab as tl
from tinygrad_lab import nn
from tinygrad_lab.viz import loss_surface, plot_loss_surface
from tinygrad_lab.viz.plots.surface import _filter_normalised


class Point(nn.Module):
    """Three numbers, whose loss is a bowl: the square of their length, a weight each."""

    def __init__(self, values=(1.0, 2.0, 0.5)):
        self.at = nn.Parameter(np.array(values))

    def loss(self):
        return (np.array([1.0, 3.0, 10.0]) * self.at**2).sum()


def test_losses_are_those_along_the_two_directions(ax):
    model = Point()
    directions = [[[1.0, 0.0, 0.0]], [[0.0, 2.0, 0.0]]]
    plot_loss_surface(model, model.loss, directions=directions, extent=2.0, resolution=5, ax=ax)
    mesh = ax.collections[0]
    u = np.linspace(-2.0, 2.0, 5)
    expected = (1 + u) ** 2 + 3 * (2 + 2 * u[:, None]) ** 2 + 10 * 0.25
    np.testing.assert_allclose(mesh.get_array().reshape(5, 5), expected)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("direction 1", "direction 2")


def test_the_model_is_left_as_it_was_also_after_an_error(ax):
    model = Point()
    own = model.at.data
    plot_loss_surface(model, model.loss, rng=None, directions=[[[1, 0, 0]], [[0, 1, 0]]], ax=ax,
                      resolution=3)  # fmt: skip
    assert model.at.data is own
    with pytest.raises(ZeroDivisionError):
        plot_loss_surface(model, lambda: 1 / 0, directions=[[[1, 0, 0]], [[0, 1, 0]]], ax=ax)
    assert model.at.data is own
    assert own.tolist() == [1.0, 2.0, 0.5]
    assert model.at.grad is None


def test_dropout_and_running_statistics_stand_still(ax):
    layers = [nn.Linear(2, 4, rng=0), nn.BatchNorm1d(4), nn.Dropout(0.5, rng=0)]
    model = nn.Sequential(*layers, nn.Linear(4, 1, rng=1))
    before = {name: value.copy() for name, value in model.state_dict().items()}
    loss = lambda: tl.mse_loss(model(np.ones((8, 2))), np.zeros((8, 1)))
    for _ in range(2):
        plot_loss_surface(model, loss, rng=0, resolution=3, colorbar=False, ax=ax)
    first, second = (c.get_array() for c in ax.collections if np.size(c.get_array()) == 9)
    np.testing.assert_array_equal(first, second)
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[name])
    assert model.training


def test_random_directions_have_the_lengths_of_the_filters():
    model = nn.Sequential(nn.Conv2d(2, 3, 2, rng=0), nn.Flatten(), nn.Linear(3, 2, rng=1))
    model[0].weight.data[1] *= 100.0
    parameters = dict(model.named_parameters())
    direction = _filter_normalised(parameters, np.random.default_rng(0))
    sizes = np.cumsum([p.size for p in parameters.values()])[:-1]
    weight, bias, *_ = np.split(direction, sizes)
    np.testing.assert_allclose(
        np.linalg.norm(weight.reshape(3, -1), axis=1),
        np.linalg.norm(model[0].weight.data.reshape(3, -1), axis=1),
    )
    assert not bias.any()


def test_a_seed_gives_the_same_picture(ax):
    model = nn.Linear(2, 3, rng=0)
    loss = lambda: tl.mse_loss(model(np.ones((1, 2))), np.zeros((1, 3)))
    for seed in (0, 0, 1):
        plot_loss_surface(model, loss, rng=seed, resolution=3, colorbar=False, ax=ax)
    first, second, third = (c.get_array() for c in ax.collections if c.get_array().size == 9)
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, third)


def test_a_path_lies_in_the_plane_of_its_principal_directions(ax):
    model = Point((0.0, 0.0, 0.0))
    states = [{"at": np.array([8.0, 0.0, 0.0]) / 2**i + [0, 0, (-1) ** i]} for i in range(6)]
    plot_loss_surface(model, model.loss, path=states, resolution=5, ax=ax)
    path = ax.lines[0].get_xydata()
    lengths = np.linalg.norm([state["at"] for state in states], axis=1)
    drawn = np.linalg.norm(path, axis=1)
    np.testing.assert_allclose(drawn / drawn[0], lengths / lengths[0])
    low, high = ax.get_xlim()
    assert low < path[:, 0].min()
    assert path[:, 0].max() < high
    assert [line.get_label() for line in ax.lines] == ["path", "start", "now"]
    assert ax.get_xlabel().startswith("principal direction 1 (")


def test_a_path_in_given_directions_is_its_projection(ax):
    model = Point((0.0, 0.0, 0.0))
    states = [{"at": np.array([4.0, 2.0, 9.0])}, {"at": np.array([1.0, 2.0, 5.0])}]
    directions = [[[1.0, 0.0, 0.0]], [[1.0, 1.0, 0.0]]]
    plot_loss_surface(model, model.loss, path=states, directions=directions, resolution=3, ax=ax)
    np.testing.assert_allclose(ax.lines[0].get_xydata(), [[2.0, 2.0], [-1.0, 2.0]], atol=1e-12)


def test_several_paths_lie_in_one_plane_that_is_best_for_all_of_them(ax):
    model = Point((0.0, 0.0, 0.0))
    first = [{"at": np.array([4.0, 0.0, 0.0])}, {"at": np.array([1.0, 0.0, 0.0])}]
    second = [{"at": np.array([4.0, 0.0, 0.0])}, {"at": np.array([2.0, 3.0, 0.0])}]
    surface = loss_surface(model, model.loss, path={"SGD": first, "Adam": second}, resolution=5)
    (start, _), (same_start, end) = surface.paths["SGD"], surface.paths["Adam"]
    np.testing.assert_allclose(start, same_start)
    # Nothing of these paths lies outside: distances between their points are kept, but for scale.
    scale = 4.0 / np.linalg.norm(start)
    np.testing.assert_allclose(scale * np.linalg.norm(end - start), np.hypot(2.0, 3.0))
    surface.plot(ax=ax)
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts == ["SGD", "start", "Adam", "now"]
    assert len({line.get_color() for line in ax.lines if line.get_label() in surface.paths}) == 2


def test_where_the_loss_is_not_finite_there_is_a_gap(ax):
    model = Point((0.0, 0.0, 0.0))
    loss = lambda: np.sqrt(model.at.sum() + 0.25)
    plot_loss_surface(model, loss, directions=[[[1, 0, 0]], [[0, 1, 0]]], resolution=5, ax=ax)
    values = ax.collections[0].get_array().reshape(5, 5)
    assert np.ma.getmaskarray(values)[0, 0]
    assert values[4, 4] == 1.5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "needs rng=.*directions=, or path="),
        ({"rng": 0, "directions": [[[1, 0, 0]], [[0, 1, 0]]]}, "not both"),
        ({"directions": [[[1, 0, 0]]]}, "two lists"),
        ({"directions": [[[1, 0, 0]], [[2, 0, 0]]]}, "parallel"),
        ({"directions": [[[1, 0]], [[2, 0, 0]]]}, r"shape \(2,\) for at"),
        ({"directions": [[], [[2, 0, 0]]]}, "0 arrays for 1"),
        ({"path": [{"at": np.ones(3)}]}, "2 states"),
        ({"path": [{"at": np.ones(3)}, {}]}, r"path\[1\].*no 'at'"),
        ({"path": [{"at": np.ones(3)}, {"at": np.ones(2)}]}, r"path\[1\] has shape \(2,\)"),
        ({"path": [{"at": np.array([1.0, 2.0, 0.5])}] * 2}, "equal"),
        ({"rng": 0, "resolution": 1}, "resolution"),
        ({"rng": 0, "extent": 0.0}, "extent"),
    ],
)
def test_without_a_plane_there_is_no_surface(options, message, ax):
    model = Point()
    with pytest.raises(ValueError, match=message):
        plot_loss_surface(model, model.loss, ax=ax, **options)


def test_a_loss_is_one_number_and_somewhere_finite(ax):
    model = Point()
    plane = {"directions": [[[1, 0, 0]], [[0, 1, 0]]], "ax": ax}
    with pytest.raises(ValueError, match=r"one number, got shape \(3,\)"):
        plot_loss_surface(model, lambda: model.at, **plane)
    with pytest.raises(ValueError, match="finite nowhere"):
        plot_loss_surface(model, lambda: np.nan, **plane)
    with pytest.raises(ValueError, match="without parameters"):
        plot_loss_surface(nn.ReLU(), lambda: 1.0, **plane)
