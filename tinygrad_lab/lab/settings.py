"""The settings of a training run: one frozen, checked, hashable record.

A value that cannot be trained is an error here, before any training, in one sentence that says what
to do.  Not for the training itself, nor for what differs between seeds: the seed belongs to a run.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
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

# Stands in every row: what its other columns mean is decided here.
_VERSION = {"settings_version": 1}


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

    def to_row(self) -> dict[str, Any]:
        """Return the settings as texts, numbers and None: for JSON, CSV or a database.

        Examples
        --------
        >>> row = Settings(hidden=(3, 3)).to_row()
        >>> row["hidden"], row["lr"], row["settings_version"]
        ('3,3', 0.1, 1)
        """
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return _VERSION | values | {"hidden": _text_of(self.hidden)}

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Settings:
        """Return the settings of a row, whose values may have become texts on their way (CSV).

        Raises
        ------
        SettingsError
            A column that is missing or unknown, a row of another version, or a value that is none.

        Examples
        --------
        >>> Settings.from_row(Settings(hidden=(3, 3)).to_row()) == Settings(hidden=(3, 3))
        True
        """
        expected = [*_VERSION, *_READ]
        wrong = [f"{name!r} is missing" for name in expected if name not in row]
        wrong += [f"{name!r} is unknown" for name in row if name not in expected]
        if wrong:
            raise SettingsError(f"a row of settings has other columns: {', '.join(wrong)}")
        for name, version in _VERSION.items():
            if str(row[name]) != str(version):
                raise SettingsError(
                    f"{name} = {row[name]!r}: this version of tinygrad_lab reads {version} alone"
                )
        return cls(**{name: _read(name, row[name]) for name in _READ})


def command_of(settings: Settings, seed: int) -> str:
    """Return the command line that repeats a run, to the last bit.

    Examples
    --------
    >>> command_of(Settings(hidden=(3, 3), bias=False, lr=0.2), seed=17)
    'tinygrad-lab train xor --hidden 3,3 --no-bias --lr 0.2 --seed 17'
    """
    usual = Settings(data=settings.data)
    words = ["tinygrad-lab", "train", settings.data]
    for field in fields(Settings):
        value, option = getattr(settings, field.name), field.name.replace("_", "-")
        if field.name == "data" or value == getattr(usual, field.name):
            continue
        if isinstance(value, bool):
            words.append(f"--{option}" if value else f"--no-{option}")
        else:
            words += [f"--{option}", _text_of(value)]
    return shlex.join([*words, "--seed", str(seed)])


def _text_of(value: Any) -> str:
    """A value as the command line takes it; numbers to the last bit."""
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


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


def _whole(value: Any) -> int:
    number = float(value)
    if not number.is_integer():
        raise ValueError(value)
    return int(number)


def _flag(value: Any) -> bool:
    return {"true": True, "1": True, "false": False, "0": False}[str(value).lower()]


def _optional(value: Any) -> str | None:
    """A text, or none: empty in CSV, and not a number in pandas."""
    return None if value is None or value == "" or value != value else str(value)


# How the value of a column is read, which may be a text for a number (CSV), 1 for True (SQLite) or
# a float for a whole number (pandas).
_READ: dict[str, Callable[[Any], Any]] = {
    "data": str,
    "hidden": lambda value: parse_hidden(str(value)),
    "activation": str,
    "output_activation": _optional,
    "bias": _flag,
    "init": str,
    "loss": str,
    "reduction": str,
    "optimizer": str,
    "lr": float,
    "epochs": _whole,
    "n": _whole,
    "threshold": str,
}


def _read(name: str, value: Any) -> Any:
    try:
        return _READ[name](value)
    except (KeyError, TypeError, ValueError, OverflowError):
        raise SettingsError(f"{value!r} is no value for {name!r}") from None


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
