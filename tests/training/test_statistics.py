"""What is kept of a training: the right numbers, bounded, without changing the training."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_lab as tl
from tinygrad_lab import nn, optim
from tinygrad_lab.training import Checkpoint, LayerStatistics, fit

X = np.random.default_rng(0).normal(size=(40, 2))
Y = np.tanh(X[:, :1] - X[:, 1:])


def network():
    return nn.Sequential(nn.Linear(2, 4, rng=0), nn.ReLU(), nn.Dropout(0.5, rng=0),
                         nn.BatchNorm1d(4), nn.Linear(4, 1, rng=1))  # fmt: skip


def training(*callbacks, epochs=3, model=None, **options):
    model = model or network()
    optimizer = optim.SGD(model.parameters(), lr=0.05)
    history = fit(model, (X, Y), tl.mse_loss, optimizer, epochs, callbacks=callbacks,
                  batch_size=10, rng=0, **options)  # fmt: skip
    return model, history


def test_gradients_and_weights_are_those_of_each_step():
    noted = []

    class Noting(tl.training.Callback):
        def on_batch(self, run):
            noted.append([(p.grad.copy(), p.data.copy()) for p in run.model.parameters()])

    statistics = LayerStatistics()
    model, _ = training(Noting(), statistics, epochs=1)
    assert statistics.steps.tolist() == [1, 2, 3, 4]
    for number, (name, _) in enumerate(model.named_parameters()):
        gradients, weights = zip(*(step[number] for step in noted), strict=True)
        sizes = [np.sqrt(np.mean(g**2)) for g in gradients]
        np.testing.assert_allclose(statistics.gradients[name], sizes)
        kept = statistics.weights[name]
        assert kept.shape == (4, 101)
        np.testing.assert_allclose(kept[:, 50], [np.median(w) for w in weights])
        np.testing.assert_allclose(kept[:, 0], [w.min() for w in weights])
    assert statistics.activations == {}


def test_activations_are_those_of_the_innermost_layers_in_evaluation_mode():
    statistics = LayerStatistics(X[:7])
    model, _ = training(statistics)
    assert list(statistics.activations) == ["0", "1", "2", "3", "4"]
    with tl.no_grad():  # fit leaves the model in evaluation mode, after the last step
        output, relu = model(X[:7]).data, model[1](model[0](X[:7])).data
    np.testing.assert_allclose(
        statistics.activations["4"][-1], np.percentile(output, np.arange(101))
    )
    np.testing.assert_array_equal(statistics.activations["1"], statistics.activations["2"])
    np.testing.assert_allclose(statistics.activations["1"][-1], np.percentile(relu, np.arange(101)))


def test_to_look_changes_nothing():
    plain, history = training()
    watched, same = training(LayerStatistics(X))
    assert same["loss"] == history["loss"]
    for name, value in plain.state_dict().items():
        np.testing.assert_array_equal(watched.state_dict()[name], value)
    assert not any(layer._forward_hooks for layer in watched.modules())


def test_a_layer_that_was_frozen_in_evaluation_mode_stays_so():
    model = network()
    model[3].eval()
    LayerStatistics(X).record(model)
    assert [layer.training for layer in model.modules()] == [True, True, True, True, False, True]


def test_a_long_training_keeps_few_steps_that_span_it():
    statistics = LayerStatistics(every=3, most=10)
    model = nn.Linear(2, 1, rng=0)
    for _ in range(1000):
        statistics.record(model)
        assert len(statistics.steps) <= 10
    steps = statistics.steps
    assert len(steps) >= 5
    assert len({*np.diff(steps)}) == 1
    assert steps[0] == steps[1] - steps[0]
    assert steps[-1] > 1000 - 2 * steps[0]
    assert statistics.weights["weight"].shape == (len(steps), 101)


def test_what_is_not_finite_is_nan_and_not_in_percentiles():
    statistics = LayerStatistics(X)
    model = nn.Linear(2, 3, rng=0)
    statistics.record(model)  # no gradient yet
    model.weight.data[0, 0] = np.inf
    model.weight.grad, model.bias.grad = np.full((3, 2), np.nan), np.full(3, 1e-200)
    statistics.record(model)
    np.testing.assert_array_equal(statistics.gradients["weight"], [np.nan, np.nan])
    np.testing.assert_allclose(statistics.gradients["bias"], [np.nan, 1e-200])
    assert np.isfinite(statistics.weights["weight"]).all()


def test_the_percentiles_of_a_large_parameter_are_close():
    model = nn.Linear(600, 600, rng=0)
    model.weight.data[:] = np.random.default_rng(0).normal(size=(600, 600)) + np.arange(600) % 7
    statistics = LayerStatistics()
    statistics.record(model)
    ordered = np.sort(model.weight.data.reshape(-1))
    ranks = np.searchsorted(ordered, statistics.weights["weight"][0]) / ordered.size
    np.testing.assert_allclose(100 * ranks, np.arange(101), atol=0.5)


def test_a_parameter_that_comes_later_has_nothing_before():
    model = nn.Sequential(nn.Linear(2, 2, rng=0))
    statistics = LayerStatistics(X)
    statistics.record(model)
    model.append(nn.Linear(2, 1, rng=0))
    statistics.record(model)
    assert np.isnan(statistics.weights["1.weight"][0]).all()
    assert np.isfinite(statistics.weights["1.weight"][1]).all()
    assert statistics.activations["1"].shape == statistics.activations["0"].shape == (2, 101)


def test_a_layer_that_is_called_often_counts_with_all_calls():
    class Twice(nn.Module):
        def __init__(self):
            self.cell = nn.Linear(2, 2, rng=0)

        def forward(self, x):
            return self.cell(self.cell(x))

    model, statistics = Twice(), LayerStatistics(X)
    statistics.record(model)
    with tl.no_grad():
        first = model.cell(X)
        both = np.concatenate([first.data, model.cell(first).data])
    assert statistics.activations["cell"][0, [0, 100]].tolist() == [both.min(), both.max()]


def test_recurrent_layers_count_with_their_output():
    model, statistics = nn.LSTM(2, 3, rng=0), LayerStatistics(np.ones((4, 1, 2)))
    statistics.record(model)
    assert statistics.activations[""][0, 100] == model(np.ones((4, 1, 2)))[0].data.max()


def test_a_training_that_is_resumed_goes_on_with_it(tmp_path):
    pytest.importorskip("safetensors")
    path = tmp_path / "run.safetensors"
    whole = LayerStatistics(X, most=3)
    training(whole, Checkpoint(path), epochs=4)
    part = LayerStatistics(X, most=3)
    training(part, Checkpoint(path), epochs=2)
    rest = LayerStatistics(X, most=3)
    training(rest, Checkpoint(path), epochs=4, resume=path)
    assert rest.steps.tolist() == whole.steps.tolist()
    np.testing.assert_array_equal(rest.gradients["0.weight"], whole.gradients["0.weight"])
    np.testing.assert_array_equal(rest.activations["4"], whole.activations["4"])


@pytest.mark.parametrize("options", [{"every": 0}, {"most": 1}])
def test_numbers_of_steps_are_checked(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))}="):
        LayerStatistics(**options)
