"""Kernels, feature maps, saliency."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_lab as tl
from tinygrad_lab import nn
from tinygrad_lab.viz import plot_feature_maps, plot_kernels, plot_saliency


def test_kernels_share_one_scale_around_zero(ax):
    weight = np.zeros((2, 1, 3, 3))
    weight[1, 0, 1, 1] = -4.0
    plot_kernels(weight, ax=ax)
    image = ax.images[0]
    assert image.get_clim() == (-4.0, 4.0)
    assert image.get_array().shape == (3, 7)
    with pytest.raises(ValueError, match=r"\(3, 3\)"):
        plot_kernels(np.ones((3, 3)), ax=ax)


def test_a_kernel_that_is_not_finite_does_not_stretch_the_scale(ax):
    weight = np.full((1, 2, 2, 2), np.nan)
    weight[0, 0, 0, 0], weight[0, 0, 0, 1] = 2.0, np.inf
    plot_kernels(weight, ax=ax)
    assert ax.images[0].get_clim() == (-2.0, 2.0)


def test_feature_maps_lie_row_by_row(ax):
    maps = np.arange(5.0)[:, None, None] * np.ones((5, 2, 3))
    plot_feature_maps(maps[None], columns=3, ax=ax)
    mosaic = ax.images[0].get_array().filled(np.nan)
    assert mosaic.shape == (2 * 2 + 1, 3 * 3 + 2)
    assert mosaic[0, [0, 4, 8]].tolist() == [0, 1, 2]
    assert mosaic[3, [0, 4]].tolist() == [3, 4]
    assert np.isnan(mosaic[2]).all()  # between the rows
    assert np.isnan(mosaic[3, 8])  # where there is no sixth
    assert ax.images[0].get_clim() == (0, 4)


def test_feature_maps_of_both_signs_have_zero_in_the_middle(ax):
    plot_feature_maps([[[-1.0, 3.0]]], ax=ax)
    assert ax.images[0].get_clim() == (-3, 3)


def test_each_map_may_have_a_scale_of_its_own(ax):
    plot_feature_maps([[[1.0, 2.0]], [[0.01, 0.02]], [[0.0, 0.0]]], each=True, columns=1, ax=ax)
    mosaic = ax.images[0].get_array().filled(np.nan)
    np.testing.assert_allclose(mosaic[[0, 2, 4]], [[0.5, 1], [0.5, 1], [0, 0]])


def test_feature_maps_are_of_one_image(ax):
    with pytest.raises(ValueError, match=r"got those of 2.*say maps\[0\]"):
        plot_feature_maps(np.ones((2, 3, 4, 4)), ax=ax)
    with pytest.raises(ValueError, match=r"got \(4, 4\)"):
        plot_feature_maps(np.ones((4, 4)), ax=ax)
    with pytest.raises(ValueError, match=r"columns=0"):
        plot_feature_maps(np.ones((3, 4, 4)), columns=0, ax=ax)


WEIGHT = np.array([[1.0, 0.0, -3.0, 0.5], [0.0, 2.0, 0.0, 0.0]])


def linear(image_weight):
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2, bias=False, rng=0))
    model[1].weight.data = image_weight
    return model


def test_saliency_is_the_size_of_the_gradient(ax):
    model = linear(WEIGHT)
    plot_saliency(model, np.ones((2, 2)), target=0, ax=ax)
    image, saliency = ax.child_axes[:2]
    assert saliency.images[0].get_array().tolist() == [[1.0, 0.0], [3.0, 0.5]]
    assert image.images[0].get_array().tolist() == [[1.0, 1.0], [1.0, 1.0]]
    assert model[1].weight.grad is None


def test_the_class_of_the_largest_score_is_chosen(ax):
    plot_saliency(linear(WEIGHT), np.ones((2, 2)), ax=ax)
    assert ax.child_axes[1].get_title() == "saliency of class 1"


def test_the_largest_over_the_channels_is_drawn(ax):
    plot_saliency(lambda x: (x * np.array([[1.0], [-4.0]])[:, None]).sum(), np.ones((2, 1, 3)),
                  ax=ax)  # fmt: skip
    saliency = ax.child_axes[1]
    assert saliency.images[0].get_array().tolist() == [[4.0, 4.0, 4.0]]
    assert saliency.get_title() == "saliency"


def test_colours_are_drawn_as_colours_and_scaled_if_need_be(ax):
    image = np.arange(12.0).reshape(3, 2, 2)
    plot_saliency(lambda x: tl.tensor(0.0) + x.sum(), image, ax=ax)
    drawn = ax.child_axes[0].images[0].get_array()
    np.testing.assert_allclose(drawn, np.moveaxis(image, 0, -1) / 11)
    assert ax.child_axes[0].get_xlabel() == "black 0, white 11"


@pytest.mark.parametrize(
    ("model", "image", "options", "message"),
    [
        (linear(WEIGHT), np.ones((1, 1, 2, 2)), {}, r"one image.*\(1, 1, 2, 2\)"),
        (linear(WEIGHT), np.full((2, 2), np.nan), {}, "NaN"),
        (linear(WEIGHT), np.ones((2, 2)), {"target": 2}, r"classes 0 ... 1"),
        (lambda x: 1.0, np.ones((2, 2)), {}, r"returns a Tensor.*got float"),
        (lambda x: x[:, None], np.ones((2, 2)), {}, r"shape \(1, 1, 2, 2\)"),
    ],
)
def test_what_has_no_saliency_is_refused(model, image, options, message, ax):
    with pytest.raises(ValueError, match=message):
        plot_saliency(model, image, ax=ax, **options)
