"""``fit``: it does what a loop by hand does, and says what it cannot do."""

import contextlib
import threading
from unittest.mock import Mock

import numpy as np
import pytest

import tinygrad_lab as tl
from tinygrad_lab import nn, optim
from tinygrad_lab.data import DataLoader, TensorDataset
from tinygrad_lab.training import Callback, DivergedError, evaluate, fit
from tinygrad_lab.warnings import MixedPrecisionWarning, RecordingWarning

RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 3))
Y = (X @ [[1.0], [2.0], [-1.0]] > 0).astype(float)


def parts(seed=0, lr=0.05, dropout=0.0):
    model = nn.Sequential(
        nn.Linear(3, 8, rng=seed), nn.Tanh(), nn.Dropout(dropout, rng=seed), nn.Linear(8, 1, rng=9)
    )
    return model, optim.Adam(model.parameters(), lr=lr)


loss = nn.functional.binary_cross_entropy_with_logits


def by_hand(model, optimizer, loader, epochs):
    losses = []
    for _ in range(epochs):
        total = 0.0
        for x, y in loader:
            value = loss(model(x), y)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            total += value.item() * len(x)
        losses.append(total / len(X))
    return losses


def same(one, other):
    return all(np.array_equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("jit", [True, False])
def test_it_is_the_loop_by_hand(jit):
    one, other = parts(dropout=0.3), parts(dropout=0.3)
    data = TensorDataset(X, Y)
    losses = by_hand(*one, DataLoader(data, 16, shuffle=True, rng=1), 4)
    history = fit(other[0], data, loss, other[1], 4, batch_size=16, rng=1, jit=jit)
    assert history["loss"] == losses
    assert same(one[0].state_dict(), other[0].state_dict())


def test_arrays_data_sets_and_loaders_are_the_same_to_it():
    results = []
    for data in ((X, Y), TensorDataset(X, Y), DataLoader(TensorDataset(X, Y), 32, True, rng=4)):
        model, optimizer = parts()
        results.append(fit(model, data, loss, optimizer, 2, rng=4)["loss"])
    assert results[0] == results[1] == results[2]


def test_metrics_are_of_the_whole_epoch_and_not_means_over_batches():
    model, optimizer = parts(lr=1e-9)  # which stays where it is
    f1 = lambda output, target: tl.metrics.f1(output, target, threshold=0.0)
    history = fit(
        model, (X, Y), loss, optimizer, validation=(X, Y), metrics={"f1": f1}, batch_size=7
    )
    whole = f1(model(X), Y)
    assert history["f1"][0] == whole == history["val_f1"][0]
    assert history["val_loss"][0] == pytest.approx(loss(model(X), Y).item(), rel=1e-12)
    assert history["loss"][0] == pytest.approx(history["val_loss"][0], rel=1e-6)


def test_modes():
    seen_training = []

    class Watching(nn.Linear):
        def forward(self, x):
            seen_training.append(self.training)
            return super().forward(x)

    model = Watching(3, 1, rng=0)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    fit(model, (X, Y), loss, optimizer, validation=(X, Y), batch_size=50, jit=False)
    assert seen_training == [True, False]
    assert not model.training
    model.train()
    evaluate(model, (X, Y), loss)
    assert model.training


def test_several_inputs():
    class Sum(nn.Module):
        def __init__(self):
            self.linear = nn.Linear(3, 1, rng=0)

        def forward(self, a, b):
            return self.linear(a) + b

    model = Sum()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    history = fit(model, (X, Y * 0, Y), loss, optimizer, 2, validation=(X, Y * 0, Y))
    assert history["val_loss"][1] < history["val_loss"][0]


def test_lbfgs_which_calls_the_loss_several_times():
    model, _ = parts()
    optimizer = optim.LBFGS(model.parameters(), line_search_fn="strong_wolfe")
    with pytest.warns(RecordingWarning, match="without jit.*LBFGS"):
        history = fit(model, (X, Y), loss, optimizer, 3, batch_size=50)
    assert history["loss"][-1] < 0.01 < history["loss"][0]


def test_an_optimizer_of_ones_own_whose_step_takes_nothing():
    class Plain(optim.SGD):
        def step(self):
            for group in self.param_groups:
                for p in group["params"]:
                    p.data = p.data - group["lr"] * p.grad

    (here, _), (there, _) = parts(), parts()
    fit(here, (X, Y), loss, optim.SGD(here.parameters(), lr=0.1), 2, rng=0)
    fit(there, (X, Y), loss, Plain(there.parameters(), lr=0.1), 2, rng=0)
    for p, q in zip(here.parameters(), there.parameters(), strict=True):
        np.testing.assert_allclose(q.data, p.data, rtol=1e-12)


def test_the_gradients_are_clipped():
    model, _ = parts()
    before = model.state_dict()
    fit(model, (X, 100 * Y), nn.functional.mse_loss, optim.SGD(model.parameters(), lr=1.0),
        clip=0.01, batch_size=50)  # fmt: skip
    moved = sum(np.square(model.state_dict()[name] - before[name]).sum() for name in before)
    assert moved**0.5 == pytest.approx(0.01, rel=1e-3)


def test_a_schedule_makes_a_step_each_epoch():
    model, optimizer = parts(lr=0.4)
    schedule = optim.StepLR(optimizer, step_size=1, gamma=0.5)
    assert fit(model, (X, Y), loss, optimizer, 3, schedule=schedule)["lr"] == [0.4, 0.2, 0.1]


# -- what goes wrong ------------------------------------------------------------------------------


@pytest.mark.parametrize("jit", [True, False])
def test_divergence_stops_and_leaves_the_last_whole_epoch(jit):
    model, optimizer = parts()
    data = DataLoader(TensorDataset(X, Y), 25)
    states = []
    wild = lambda run: (
        states.append(run.model.state_dict())
        or optimizer.param_groups[0].update(lr=1e200 if run.epoch == 2 else 0.05)
    )
    squared = lambda output, target: nn.functional.mse_loss(output * output, target)
    with pytest.raises(DivergedError, match=r"epoch 3, batch 2 \(lr=1e\+200\).*lr=1e\+199") as info:
        fit(model, data, squared, optimizer, 9, callbacks=[wild], jit=jit)
    error = info.value
    assert (error.epoch, error.batch, error.history.epochs) == (3, 2, 2)
    assert same(model.state_dict(), states[1])
    assert "as it was after epoch 2" in str(error)


def test_inputs_that_are_not_finite_are_named():
    model, optimizer = parts()
    with pytest.raises(DivergedError, match=r"inputs of this batch.*as it was before"):
        fit(model, (np.where(X > 2, np.nan, X), Y), loss, optimizer, batch_size=50)


@pytest.mark.parametrize("at", [1, 3, 4])
def test_ctrl_c_gives_the_history_so_far(at):
    class Interrupting(Callback):
        ended = False
        batches = 0

        def on_batch(self, run):
            self.batches += 1
            if self.batches == at:
                raise KeyboardInterrupt

        def on_end(self, run):
            self.ended = True

    model, optimizer = parts()
    callback = Interrupting()
    history = fit(model, (X, Y), loss, optimizer, 9, batch_size=25, callbacks=[callback])
    assert history.epochs == (at - 1) // 2
    assert history.stopped == f"interrupted in epoch {history.epochs + 1} of 9"
    assert callback.ended and not model.training


def test_what_cannot_be_recorded_runs_as_it_is_and_says_why_once():
    model, optimizer = parts()
    values = []

    def noted(output, target):
        value = loss(output, target)
        values.append(value.item())
        return value

    with pytest.warns(RecordingWarning, match=r"without jit.*would be a constant") as warned:
        history = fit(model, (X, Y), noted, optimizer, 2, batch_size=25)
    assert len([w for w in warned if w.category is RecordingWarning]) == 1
    assert history["loss"][1] == pytest.approx(np.mean(values[-2:]))


def test_data_of_another_precision_than_the_model():
    model, optimizer = parts()
    with pytest.warns(MixedPrecisionWarning, match="float32") as warned:
        fit(model, (X.astype(np.float32), Y), loss, optimizer, 3)
    assert {w.filename for w in warned} == {__file__}


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        ((X[:0], Y[:0]), {}, "no batch in the data"),
        (DataLoader(TensorDataset(X, Y), 64, drop_last=True), {}, "drop_last=True"),
        ((X, Y[:-1]), {}, r"one length.*\(50, 3\), \(49, 1\)"),
        ((X,), {}, r"\(x, x\)"),
        (X, {}, r"say \(x, y\)"),
        (iter([(X, Y)]), {}, "once an epoch"),
        ((X, Y), {"batch_size": 0}, "batch_size=0"),
        ((X, Y), {"metrics": lambda a, b: 0}, 'metrics={"name": metric}'),
        ((X, Y), {"metrics": ["accuracy"]}, "tl.metrics.accuracy"),
        ((X, Y), {"metrics": tl.metrics.confusion_matrix}, "must give one number"),
        ((X, Y), {"callbacks": [3]}, "a callback is"),
        ((X, Y), {"epochs": 2.5}, "epochs=2.5"),
        ((X, Y), {"epochs": 0}, "epochs=0"),
    ],
)
def test_what_makes_no_training_is_refused(data, options, message):
    model, optimizer = parts()
    with pytest.raises((TypeError, ValueError), match=message):
        fit(model, data, loss, optimizer, **options)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda output, target: 3.0, "gave 3.0"),
        (lambda output, target: (output - target) ** 2, "reduction='mean'"),
        (lambda output, target: None, "one number"),
    ],
)
def test_a_loss_that_gives_no_number(wrong, message):
    model, optimizer = parts()
    with pytest.raises(TypeError, match=message):
        fit(model, (X, Y), wrong, optimizer)


def test_what_is_no_model_loss_or_optimizer():
    model, optimizer = parts()
    with pytest.raises(TypeError, match="the model must be of the class Module"):
        fit(np.tanh, (X, Y), loss, optimizer)
    with pytest.raises(TypeError, match=r"class Optimizer, and is 0\.1"):
        fit(model, (X, Y), loss, 0.1)
    for wrong in ("mse", nn.MSELoss):
        with pytest.raises(TypeError, match=r"the loss is a function.* nn\.MSELoss\(\) say"):
            fit(model, (X, Y), wrong, optimizer)


def test_the_last_smaller_batch_is_recorded_once():
    count = Mock()

    class Counting(nn.Linear):
        def forward(self, x):
            count()
            return super().forward(x)

    model = Counting(3, 1, rng=0)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    fit(model, (X, Y), loss, optimizer, 8, batch_size=16)
    assert count.call_count < 16  # of 32 steps, the others ran from what was recorded


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_the_loaders_thread_ends_with_the_training(error):
    def raising(run):
        assert any(thread.name.startswith("DataLoader") for thread in threading.enumerate())
        raise error

    batch = Callback()
    batch.on_batch = raising
    model, optimizer = parts()
    loader = DataLoader(TensorDataset(X, Y), 4, num_workers=2)
    with contextlib.suppress(ValueError):
        fit(model, loader, loss, optimizer, callbacks=batch)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("DataLoader")]
