"""Early stopping, and what callbacks are told."""

import numpy as np
import pytest

from tinygrad_lab import nn, optim
from tinygrad_lab.training import Callback, EarlyStopping, fit

X = np.random.default_rng(0).normal(size=(20, 2))
Y = X[:, :1] * 2


def training(epochs, *callbacks, **options):
    model = nn.Linear(2, 1, rng=0)
    optimizer = optim.SGD(model.parameters(), lr=0.05)
    history = fit(
        model, (X, Y), nn.functional.mse_loss, optimizer, epochs, callbacks=callbacks,
        batch_size=10, rng=0, **options,
    )  # fmt: skip
    return model, history


def test_events_in_their_order():
    class Noting(Callback):
        def __init__(self):
            self.events = []

        def on_start(self, run):
            self.events.append("start")

        def on_batch(self, run):
            self.events.append((run.epoch, run.batch))

        def on_epoch(self, run):
            self.events.append(len(run.history["loss"]))

        def on_end(self, run):
            self.events.append("end")

    training(2, noting := Noting())
    assert noting.events == ["start", (1, 1), (1, 2), 1, (2, 1), (2, 2), 2, "end"]


def test_print_is_a_callback(capsys):
    training(2, print)
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("epoch 1/2: loss ") and second.startswith("epoch 2/2: loss ")


def scripted(values):
    """A metric that gives these values, whatever the outputs are."""
    values = iter(values)
    return {"quality": lambda output, target: next(values)}


def test_it_stops_after_patience_and_goes_back_to_the_best():
    states = []
    stopping = EarlyStopping("quality", patience=2, mode="max")
    model, history = training(
        9, stopping, lambda run: states.append(run.model.state_dict()),
        metrics=scripted([1, 3, 2, 2.5, 9]),
    )  # fmt: skip
    assert history["quality"] == [1, 3, 2, 2.5]
    assert "quality was best in epoch 2" in history.stopped
    assert np.array_equal(model.weight.data, states[1]["weight"])


def test_it_goes_back_to_the_best_also_without_a_stop_unless_told_not_to():
    for restore, epoch in ((True, 0), (False, 2)):
        states = []
        model, history = training(
            3, EarlyStopping("quality", mode="min", restore=restore),
            lambda run, states=states: states.append(run.model.state_dict()),
            metrics=scripted([1, 3, 2]),
        )  # fmt: skip
        assert not history.stopped
        assert np.array_equal(model.weight.data, states[epoch]["weight"])


def test_small_gains_and_values_that_are_no_numbers_do_not_count():
    _, history = training(
        9, EarlyStopping("quality", patience=2, mode="max", min_delta=0.5),
        metrics=scripted([np.nan, 1, 1.2, np.nan, 1.3, 8]),
    )  # fmt: skip
    assert history.epochs == 4


def test_what_cannot_be_watched():
    with pytest.raises(ValueError, match=r'mode="min" or mode="max"'):
        EarlyStopping("quality")
    with pytest.raises(ValueError, match="patience=0"):
        EarlyStopping(patience=0)
    with pytest.raises(KeyError, match="watches 'val_loss', and the history has loss, seconds"):
        training(1, EarlyStopping())
