"""The settings of a training run: one frozen, checked, hashable record.

A value that cannot be trained is an error here, before any training, in one sentence that says what
to do.  Not for the training itself, nor for what differs between seeds: the seed belongs to a run.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from tinygrad_lab.lab.data import DATA_NAMES

ACTIVATIONS = ("sigmoid", "relu", "leaky_relu", "tanh", "none")
INITS = ("normal", "kaiming_normal")
LOSSES = ("mse", "cross-entropy", "report-a")
OPTIMIZERS = ("sgd", "momentum", "adagrad", "rmsprop", "adam", "adamw")
REDUCTIONS = ("mean", "sum")
THRESHOLDS = ("half", "median")

# Two layers of more units have more weights than can be counted by NumPy.
_MOST = 10**9
_COUNTS = f"at most {_MOST:,} and at least 1"


class SettingsError(ValueError):
    """A setting that cannot be trained; the message says which, why, and what would do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One way to train one network on one data set.

    Attributes
    ----------
    data
        ``"linear"`` or ``"xor"``.
    hidden
        Units of each hidden layer; the network is ``[2, *hidden, 1]``.
    activation
        After every layer: ``"sigmoid"``, ``"relu"``, ``"leaky_relu"`` (slope 0.01 below 0),
        ``"tanh"`` or ``"none"``.
    output_activation
        After the last layer, where it differs.
    bias
        Biases starting at 0, or none at all.
    init
        Where weights are drawn from: ``"normal"``, N(0, 1); or ``"kaiming_normal"``, He's
        N(0, 2 / inputs of the layer).
    loss
        What is minimised: ``"mse"``; ``"cross-entropy"``; or ``"report-a"``, twice the
        cross-entropy, whose gradient before the last sigmoid is the 2(A₃ − y) that report A derives
        for its squared error.  The loss that is logged is the mean squared error in all three.
    reduction
        The gradient's: ``"mean"`` over the samples, or their ``"sum"``.
    optimizer
        ``"sgd"``, ``"momentum"`` (0.9), ``"adagrad"``, ``"rmsprop"``, ``"adam"`` or ``"adamw"``.
    lr
        Learning rate, above 0.
    epochs
        Steps on the whole batch, at least 1.
    n
        Points in each draw of ``linear``.
    threshold
        Scores above it count as label 1 in the accuracy: ``"half"`` (0.5), or the ``"median"`` of
        the scores.

    Raises
    ------
    SettingsError
        At construction, for a value that cannot be trained.

    Examples
    --------
    >>> Settings(hidden=(3, 3), optimizer="adam", lr=0.01).sizes
    (2, 3, 3, 1)
    >>> Settings(activation="sigmoit")
    Traceback (most recent call last):
      ...
    tinygrad_lab.lab.settings.SettingsError: unknown activation 'sigmoit'; did you mean...
    """

    data: str = "xor"
    hidden: tuple[int, ...] = (4, 4)
    activation: str = "sigmoid"
    output_activation: str | None = None
    bias: bool = True
    init: str = "normal"
    loss: str = "mse"
    reduction: str = "mean"
    optimizer: str = "sgd"
    lr: float = 0.1
    epochs: int = 5000
    n: int = 100
    threshold: str = "half"

    def __post_init__(self) -> None:
        _check_name("data", self.data, DATA_NAMES)
        _check_name("activation", self.activation, ACTIVATIONS)
        _check_name("output activation", self.last_activation, ACTIVATIONS)
        _check_name("init", self.init, INITS)
        _check_name("loss", self.loss, LOSSES)
        _check_name("reduction", self.reduction, REDUCTIONS)
        _check_name("optimizer", self.optimizer, OPTIMIZERS)
        _check_name("threshold", self.threshold, THRESHOLDS)
        _check_sizes(self.hidden)
        if not (math.isfinite(self.lr) and self.lr > 0):
            raise SettingsError(f"the learning rate must be a number above 0, got lr = {self.lr}")
        _check_count("epochs", self.epochs)
        _check_count("n", self.n)
        if self.loss != "mse" and self.last_activation != "sigmoid":
            raise SettingsError(
                f"loss {self.loss!r} needs a sigmoid as the output activation, got "
                f"{self.last_activation!r}; use loss 'mse', or output activation 'sigmoid'"
            )

    @property
    def last_activation(self) -> str:
        """The activation after the last layer."""
        return self.activation if self.output_activation is None else self.output_activation

    @property
    def sizes(self) -> tuple[int, ...]:
        """Units of every layer, from the two inputs to the one output."""
        return (2, *self.hidden, 1)


def parse_hidden(text: str) -> tuple[int, ...]:
    """Read hidden sizes as the command line gives them.

    Raises
    ------
    SettingsError
        Something that is not whole numbers and commas.

    Examples
    --------
    >>> parse_hidden("4,4")
    (4, 4)
    """
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise SettingsError(
            f"hidden sizes are whole numbers with commas between them, such as 4,4; got {text!r}"
        ) from None


def _check_name(kind: str, name: str, known: Sequence[str]) -> None:
    if name in known:
        return
    close = get_close_matches(str(name).lower(), known, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    raise SettingsError(f"unknown {kind} {name!r}; {hint}There are: {', '.join(known)}")


def _check_sizes(hidden: tuple[Any, ...]) -> None:
    if not hidden or not all(map(_is_count, hidden)):
        raise SettingsError(
            f"every hidden layer needs a whole number of units, {_COUNTS}; got hidden = {hidden}"
        )


def _check_count(name: str, value: Any) -> None:
    if not _is_count(value):
        raise SettingsError(f"{name} must be a whole number, {_COUNTS}; got {name} = {value}")


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _MOST
