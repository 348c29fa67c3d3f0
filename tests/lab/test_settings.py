"""Settings that cannot be trained are refused at once, in a sentence that says what to do."""

from dataclasses import FrozenInstanceError

import pytest

from tinygrad_lab.lab import Settings, SettingsError
from tinygrad_lab.lab.settings import parse_hidden


def test_settings_are_values():
    assert Settings(lr=0.2) == Settings(lr=0.2)
    assert len({Settings(), Settings(), Settings(lr=0.2)}) == 2
    with pytest.raises(FrozenInstanceError):
        Settings().lr = 1.0


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"data": "xr"}, "unknown data 'xr'; did you mean 'xor'"),
        ({"activation": "Sigmoid"}, "unknown activation 'Sigmoid'; did you mean 'sigmoid'"),
        (
            {"activation": "zzz"},
            "unknown activation 'zzz'; There are: sigmoid, relu, leaky_relu, tanh, none",
        ),
        ({"output_activation": "rel"}, "unknown output activation 'rel'; did you mean 'relu'"),
        ({"optimizer": "adm"}, "unknown optimizer 'adm'; did you mean 'adam'"),
        ({"loss": "mae"}, "unknown loss 'mae'; did you mean 'mse'"),
        ({"reduction": "avg"}, "unknown reduction 'avg'"),
        ({"threshold": "mean"}, "unknown threshold 'mean'"),
        ({"lr": 0.0}, "must be a number above 0, got lr = 0.0"),
        ({"lr": -0.1}, "must be a number above 0, got lr = -0.1"),
        ({"lr": float("nan")}, "got lr = nan"),
        ({"lr": float("inf")}, "got lr = inf"),
        ({"hidden": (4, -1)}, r"at least 1; got hidden = \(4, -1\)"),
        ({"hidden": (4, 0)}, r"at least 1; got hidden = \(4, 0\)"),
        ({"hidden": (4.0,)}, "whole number"),
        ({"hidden": ()}, "at least 1"),
        ({"epochs": 0}, "got epochs = 0"),
        ({"epochs": -5}, "got epochs = -5"),
        ({"epochs": 1.5}, "whole number"),
        ({"n": 0}, "got n = 0"),
        ({"loss": "cross-entropy", "activation": "relu"}, "needs a sigmoid"),
        ({"loss": "report-a", "output_activation": "none"}, "needs a sigmoid"),
    ],
)
def test_bad_settings(wrong, message):
    with pytest.raises(SettingsError, match=message):
        Settings(**wrong)


def test_a_cross_entropy_wants_the_sigmoid_only_at_the_end():
    assert Settings(loss="cross-entropy", activation="relu", output_activation="sigmoid")


@pytest.mark.parametrize("text", ["", "4,", "4;4", "four", "4,4.5"])
def test_hidden_sizes_that_are_none(text):
    with pytest.raises(SettingsError, match="whole numbers with commas between them"):
        parse_hidden(text)
