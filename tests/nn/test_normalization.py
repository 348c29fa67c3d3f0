"""What the running statistics of layers that normalise become, and numbers far from 0."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import tinygrad_lab as tl
from tinygrad_lab import nn
from tinygrad_lab.nn import functional as F

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(5, 3)) * 2 + 1


def statistics(layer):
    return layer.running_mean, layer.running_var, layer.num_batches_tracked


class TestRunningStatistics:
    """They are those of the batches, however the layer is called."""

    def test_they_follow_the_batches(self):
        layer = nn.BatchNorm1d(3, momentum=0.25)
        layer(ROWS)
        mean, var, count = statistics(layer)
        np.testing.assert_allclose(mean, ROWS.mean(0) / 4)
        np.testing.assert_allclose(var, 0.75 + ROWS.var(0, ddof=1) / 4)
        assert count.shape == ()
        assert count == 1

    def test_without_momentum_all_batches_count_alike(self):
        layer, batches = nn.BatchNorm1d(3, momentum=None), RNG.normal(size=(4, 6, 3))
        for batch in batches:
            layer(batch)
        np.testing.assert_allclose(layer.running_mean, batches.mean((0, 1)))
        np.testing.assert_allclose(layer.running_var, batches.var(1, ddof=1).mean(0))

    def test_of_instances_they_are_the_mean_over_the_batch(self):
        layer, x = nn.InstanceNorm1d(3, momentum=1.0, track_running_stats=True), ROWS.T[None]
        x = np.concatenate([x, 2 * x])
        layer(x)
        np.testing.assert_allclose(layer.running_mean, x.mean(2).mean(0))
        np.testing.assert_allclose(layer.running_var, x.var(2, ddof=1).mean(0))

    def test_outside_training_they_are_used_and_stay(self):
        layer = nn.BatchNorm1d(3)
        layer(ROWS)
        before = [np.copy(value) for value in statistics(layer)]
        y = layer.eval()(ROWS)
        mean, var, _ = before
        np.testing.assert_allclose(y.data, (ROWS - mean) / np.sqrt(var + 1e-5))
        for value, old in zip(statistics(layer), before, strict=True):
            np.testing.assert_array_equal(value, old)

    def test_the_old_ones_are_not_written_to(self):
        layer = nn.BatchNorm1d(3)
        old = layer.running_mean
        layer(ROWS)
        np.testing.assert_array_equal(old, 0)

    def test_nothing_is_differentiated_through_them(self):
        layer, x = nn.BatchNorm1d(3), tl.tensor(ROWS, requires_grad=True)
        layer(x).sum().backward()
        assert all(isinstance(value, np.ndarray) for value in statistics(layer))
        layer.eval()(x).sum().backward()

    def test_gradients_of_a_gradient_leave_arrays_too(self):
        layer = nn.BatchNorm1d(3)
        inner = tl.grad(lambda x: (layer(x) ** 3).sum())
        tl.grad(lambda x: (inner(x) ** 2).sum())(ROWS)
        assert all(isinstance(value, np.ndarray) for value in statistics(layer))

    @pytest.mark.parametrize("momentum", [0.1, None])
    def test_a_recorded_step_leaves_the_same(self, momentum):
        layer = nn.BatchNorm1d(3, momentum=momentum)
        other = copy.deepcopy(layer)
        step = tl.jit(lambda x: (layer(x) ** 2).sum(), backend="numpy")
        for shift in range(4):
            step(ROWS + shift)
            (other(ROWS + shift) ** 2).sum()
            for a, b in zip(statistics(layer), statistics(other), strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-14)
                assert type(a) is type(b)
                assert a.dtype == b.dtype

    def test_a_checkpoint_counts_a_batch_once(self):
        layer, x = nn.BatchNorm1d(3), tl.tensor(ROWS, requires_grad=True)
        tl.checkpoint(layer, x).sum().backward()
        assert layer.num_batches_tracked == 1
        np.testing.assert_allclose(layer.running_mean, ROWS.mean(0) / 10)

    def test_a_functional_call_forgets_them(self):
        layer = nn.BatchNorm1d(3)
        tl.functional_call(layer, {}, ROWS)
        assert layer.num_batches_tracked == 0

    def test_they_are_the_state_of_pytorchs_names(self):
        assert list(nn.BatchNorm2d(2).state_dict()) == [
            "weight", "bias", "running_mean", "running_var", "num_batches_tracked",
        ]  # fmt: skip

    def test_they_keep_their_precision(self):
        for momentum in (0.1, None):
            layer = nn.BatchNorm1d(3, momentum=momentum, dtype=np.float32)
            layer(ROWS.astype(np.float32))
            assert layer.running_var.dtype == layer.running_mean.dtype == np.float32

    def test_they_begin_anew(self):
        layer = nn.BatchNorm1d(3)
        layer(ROWS)
        layer.reset_running_stats()
        mean, var, count = statistics(layer)
        assert (mean == 0).all()
        assert (var == 1).all()
        assert count == 0


class TestVmap:
    """Inside ``vmap`` each example would leave statistics of its own."""

    def test_one_layer_refuses_those_of_many(self):
        layer = nn.BatchNorm1d(3)
        with pytest.raises(RuntimeError, match=r"inside vmap: training.*buffers"):
            tl.vmap(layer)(np.stack([ROWS, ROWS]))
        assert layer.num_batches_tracked == 0

    def test_an_ensemble_hands_over_its_buffers(self):
        layers = [nn.BatchNorm1d(3) for _ in range(2)]
        layers[1](ROWS)
        parameters, buffers = tl.stack_module_state(layers)
        call = lambda p, b, x: tl.functional_call(layers[0], (p, b), x)
        xs = np.stack([ROWS, ROWS * 2])
        ys = tl.vmap(call)(parameters, buffers, xs)
        np.testing.assert_allclose(ys[1], layers[1](xs[1]).data)

    def test_outside_training_nothing_is_refused(self):
        layer = nn.BatchNorm1d(3).eval()
        xs = np.stack([ROWS, ROWS * 2])
        np.testing.assert_allclose(tl.vmap(layer)(xs)[1].data, layer(xs[1]).data)


class TestPrecision:
    """Numbers far from 0, all alike, and gradients that cancel."""

    @pytest.mark.parametrize(("dtype", "far", "tolerance"), [(float, 1e8, 1e-14), ("f", 1e4, 1e-6)])
    @pytest.mark.parametrize("name", ["batch", "layer", "group", "instance"])
    def test_far_from_zero_no_digits_are_lost(self, name, dtype, far, tolerance):
        x = (RNG.normal(size=(64, 2, 8)) + far).astype(dtype)
        functions = {
            "batch": (lambda x: F.batch_norm(x, None, None, training=True), (0, 2)),
            "layer": (lambda x: F.layer_norm(x, (2, 8)), (1, 2)),
            "group": (lambda x: F.group_norm(x, 2), (2,)),
            "instance": (F.instance_norm, (2,)),
        }
        f, axes = functions[name]
        exact = x.astype(np.longdouble)
        centered = exact - exact.mean(axes, keepdims=True)
        right = centered / np.sqrt((centered**2).mean(axes, keepdims=True) + 1e-5)
        assert np.abs(f(x) - right).max() < 4 * tolerance

    def test_of_a_sum_the_gradient_is_nothing(self):
        x = tl.tensor(ROWS * 1e3, requires_grad=True)
        F.layer_norm(x, 3, eps=0.0).sum().backward()
        assert np.abs(x.grad).max() < 1e-18

    @pytest.mark.parametrize("value", [0.0, 0.1, 1e8])
    def test_where_all_are_alike_everything_is_finite(self, value):
        x = tl.tensor(np.full((4, 2, 3), value), requires_grad=True)
        for f in (
            lambda x: F.batch_norm(x, None, None, training=True),
            lambda x: F.layer_norm(x, 3),
            lambda x: F.group_norm(x, 1),
            lambda x: F.rms_norm(x, 3),
        ):
            y = f(x)
            slope = tl.gradients((y**2).sum() + y[0, 0, 0], x, create_graph=True)
            bend = tl.gradients((slope * np.arange(24).reshape(4, 2, 3)).sum(), x)
            assert np.isfinite([y.data, slope.data, bend]).all()


class TestRefusals:
    """What cannot be normalised is named."""

    @pytest.mark.parametrize(
        ("call", "text"),
        [
            (lambda: nn.BatchNorm1d(3)(np.ones((1, 3))), r"\(1, 3\).*fewer than two values"),
            (lambda: nn.BatchNorm1d(3)(np.ones((0, 3))), r"\(0, 3\).*fewer than two values"),
            (lambda: nn.BatchNorm1d(4)(np.ones((2, 3))), r"weight has shape \(4,\).*3 channels"),
            (lambda: nn.BatchNorm2d(3)(np.ones((2, 3))), r"\(2, 3\): expected 4 axes"),
            (lambda: nn.BatchNorm1d(0), "num_features=0"),
            (lambda: nn.BatchNorm1d(2, dtype=int), "floats"),
            (lambda: nn.BatchNorm1d(2, device="cuda"), "cuda"),
            (lambda: F.batch_norm(np.ones((2, 1)), np.zeros(1), np.ones(1), training=True),
             "running_statistics"),
            (lambda: F.batch_norm(np.ones((2, 1)), None, None), "training=True"),
            (lambda: F.batch_norm(np.ones(2), None, None, training=True), r"\(2,\).*two axes"),
            (lambda: F.instance_norm(np.ones((2, 3, 1))), r"\(2, 3, 1\).*fewer than two values"),
            (lambda: F.layer_norm(np.ones((2, 3)), 4), r"\(2, 3\).*\(4,\)"),
            (lambda: F.layer_norm(np.ones((2, 3)), 3, np.ones(2)), r"weight has shape \(2,\)"),
            (lambda: F.group_norm(np.ones((2, 3, 4)), 2), "2 must divide the 3 channels"),
            (lambda: nn.GroupNorm(2, 3), "2 must divide num_channels=3"),
            (lambda: F.local_response_norm(np.ones((2, 3)), 2), "three axes"),
        ],
    )  # fmt: skip
    def test_with_the_shapes(self, call, text):
        with pytest.raises(ValueError, match=text):
            call()

    @pytest.mark.parametrize("layer", [nn.BatchNorm1d(3), nn.LayerNorm(3), nn.RMSNorm(3)])
    def test_complex_numbers(self, layer):
        with pytest.raises(TypeError, match="real numbers, not complex128"):
            layer(ROWS + 1j)


@pytest.mark.parametrize(
    "make", [lambda: nn.BatchNorm1d(3), lambda: nn.InstanceNorm1d(5), lambda: nn.RMSNorm(3)]
)
def test_lists_and_integers(make):
    x = np.arange(15).reshape(5, 3)
    for given in (x.tolist(), x):
        with tl.no_grad():
            y, expected = make().eval()(given), make().eval()(x.astype(float))
        np.testing.assert_array_equal(y, expected)


def test_statistics_that_were_taken_away_are_not_kept():
    layer = nn.BatchNorm1d(3)
    layer.running_mean = layer.running_var = None
    layer(ROWS)
    np.testing.assert_allclose(layer.eval()(ROWS).data, layer.train()(ROWS).data)
