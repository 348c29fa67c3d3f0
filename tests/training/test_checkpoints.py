"""A training that was interrupted goes on bit for bit."""

import numpy as np
import pytest

import tinygrad_lab as tl
from tinygrad_lab import nn, optim
from tinygrad_lab.data import DataLoader, TensorDataset
from tinygrad_lab.training import Checkpoint, EarlyStopping, fit

pytest.importorskip("safetensors")
X = np.random.default_rng(0).normal(size=(40, 3))
Y = (X[:, 0] > X[:, 1]).astype(np.int64)


def training(epochs, *callbacks, stopping=None, **options):
    """Everything that has a state: dropout, running statistics, Adam, a schedule, shuffling."""
    model = nn.Sequential(
        nn.Linear(3, 8, rng=0), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(rng=1),
        nn.Linear(8, 2, rng=2),
    )  # fmt: skip
    optimizer = optim.Adam(model.parameters(), lr=0.05)
    history = fit(
        model, DataLoader(TensorDataset(X, Y), 8, shuffle=True, rng=3),
        nn.functional.cross_entropy, optimizer, epochs,
        schedule=optim.StepLR(optimizer, 2, gamma=0.5), validation=(X, Y),
        metrics=tl.metrics.accuracy, callbacks=[stopping or EarlyStopping(patience=99), *callbacks],
        **options,
    )  # fmt: skip
    return model.state_dict(), {name: c for name, c in history.items() if name != "seconds"}


@pytest.mark.parametrize("at", [1, 3])
def test_it_goes_on_bit_for_bit(tmp_path, at):
    path = tmp_path / "run.safetensors"
    state, history = training(5)
    training(at, Checkpoint(path))
    again, its_history = training(5, resume=path)
    assert its_history == history
    assert all(np.array_equal(state[name], again[name]) for name in state)


def test_every_few_epochs_a_file_of_its_own(tmp_path):
    training(5, Checkpoint(tmp_path / "at{epoch}.safetensors", every=2))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "at2.safetensors",
        "at4.safetensors",
    ]


def test_what_a_training_cannot_go_on_from(tmp_path):
    with pytest.raises(FileNotFoundError):
        training(1, resume=tmp_path / "nothing")
    tl.save(nn.Linear(2, 1, rng=0), tmp_path / "model")
    with pytest.raises(ValueError, match="no checkpoint of a training"):
        training(1, resume=tmp_path / "model")
    training(1, Checkpoint(tmp_path / "run"))
    model = nn.Linear(3, 2, rng=0)
    optimizer = optim.Adam(model.parameters(), lr=0.1)
    with pytest.raises(ValueError, match="callbacks that are not given: 0: EarlyStopping"):
        fit(model, (X, Y), nn.functional.cross_entropy, optimizer, resume=tmp_path / "run")
    with pytest.raises(ValueError, match="written with a schedule"):
        fit(model, (X, Y), nn.functional.cross_entropy, optimizer, resume=tmp_path / "run",
            callbacks=[EarlyStopping()])  # fmt: skip
