"""The settings of a training run: one frozen, checked, hashable record.

A value that cannot be trained is an error here, before any training, in one sentence that says what
to do.  Not for the training itself, nor for what differs between seeds: the seed belongs to a run.
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, dataclass, fields, replace
from difflib import get_close_matches
from typing import Any

from tinygrad_lab.lab.data import DATA_NAMES, is_drawn, is_noisy

ACTIVATIONS = ("sigmoid", "relu", "leaky_relu", "tanh", "none")
OUTPUT_ACTIVATIONS = (*ACTIVATIONS, "softmax")
INITS = ("normal", "kaiming_normal")
LOSSES = ("mse", "cross-entropy", "report-a")
OPTIMIZERS = ("sgd", "momentum", "adagrad", "rmsprop", "adam", "adamw")
REDUCTIONS = ("mean", "sum")
THRESHOLDS = ("half", "median")

# Two layers of more units have more weights than can be counted by NumPy.
_MOST = 10**9
_COUNTS = f"at most {_MOST:,} and at least 1"

# Stands in every row: what its other columns mean is decided here.
_VERSION = {"settings_version": 2}


class SettingsError(ValueError):
    """A setting that cannot be trained; the message says which, why, and what would do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One way to train one network on one data set.

    Attributes
    ----------
    data
        ``"linear"``, ``"xor"``, ``"spirals"``, ``"moons"``, ``"circles"``, ``"digits"``, or the
        path of a CSV or an IDX file, with a dot or a slash in it (see
        :func:`tinygrad_lab.lab.data.load`).
    hidden
        Units of each hidden layer; the network is ``[2, *hidden, 1]``, or with other data
        ``[inputs, *hidden, outputs]``: one output for two classes, and one a class for more.
    activation
        After every layer: ``"sigmoid"``, ``"relu"``, ``"leaky_relu"`` (slope 0.01 below 0),
        ``"tanh"`` or ``"none"``.
    output_activation
        After the last layer, where it differs; there it may be ``"softmax"`` too, with an output
        for each class.
    bias
        Biases starting at 0, or none at all.
    init
        Where weights are drawn from: ``"normal"``, N(0, 1); or ``"kaiming_normal"``, He's
        N(0, 2 / inputs of the layer).
    loss
        What is minimised: ``"mse"``; ``"cross-entropy"``, after a sigmoid that of each output by
        itself, after a softmax that of the classes; or ``"report-a"``, twice the cross-entropy,
        whose gradient before the last sigmoid is the 2(A₃ − y) that report A derives for its
        squared error.  The loss that is logged is the mean squared error in all three.
    reduction
        The gradient's: ``"mean"`` over the samples, or their ``"sum"``.
    optimizer
        ``"sgd"``, ``"momentum"`` (0.9), ``"adagrad"``, ``"rmsprop"``, ``"adam"`` or ``"adamw"``.
    lr
        Learning rate, above 0.
    epochs
        Steps on the whole batch, at least 1.
    n
        Points in each draw of data that is drawn; 100 with other data.
    noise
        Standard deviation of what is added to spirals, moons and circles; 0.05 with other data.
    target
        The column of a CSV file that names the classes.
    labels
        The IDX file with the classes of the images in an IDX file.
    digest
        What the files hold, as :func:`tinygrad_lab.lab.tables.digest` says it: training on others
        is an error.  None takes whatever they hold.
    threshold
        Scores above it count as label 1 in the accuracy: ``"half"`` (0.5), or the ``"median"`` of
        the scores.

    Raises
    ------
    SettingsError
        At construction, for a value that cannot be trained.

    Examples
    --------
    >>> Settings(hidden=(3, 3), optimizer="adam", lr=0.01).last_activation
    'sigmoid'
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
    noise: float = 0.05
    target: str | None = None
    labels: str | None = None
    digest: str | None = None
    threshold: str = "half"

    def __post_init__(self) -> None:
        for field in fields(self):
            check_value(field.name, getattr(self, field.name))
        _check_data(self)
        _check_loss(self.loss, self.last_activation)

    @property
    def last_activation(self) -> str:
        """The activation after the last layer."""
        return self.activation if self.output_activation is None else self.output_activation

    def to_row(self) -> dict[str, Any]:
        """Return the settings as texts, numbers and None: for JSON, CSV or a database.

        Examples
        --------
        >>> row = Settings(hidden=(3, 3)).to_row()
        >>> row["hidden"], row["lr"], row["settings_version"]
        ('3,3', 0.1, 2)
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
        columns = fields(cls)
        expected = [*_VERSION, *(column.name for column in columns)]
        wrong = [f"{name!r} is missing" for name in expected if name not in row]
        wrong += [f"{name!r} is unknown" for name in row if name not in expected]
        if wrong:
            raise SettingsError(f"a row of settings has other columns: {', '.join(wrong)}")
        for name, version in _VERSION.items():
            if str(row[name]) != str(version):
                raise SettingsError(
                    f"{name} = {row[name]!r}: this version of tinygrad_lab reads {version} alone"
                )
        return cls(**{column.name: _read(column, row[column.name]) for column in columns})


def usual_settings(data: str, **chosen: Any) -> Settings:
    """Return settings for a data set, with what nobody chose as it usually is there.

    That is what the reports have for their two, and for others what trains on them.

    Parameters
    ----------
    data
        As in :class:`Settings`.
    **chosen
        Any of the other settings.

    Raises
    ------
    SettingsError
        As :class:`Settings`.

    Examples
    --------
    >>> usual_settings("xor") == Settings()
    True
    >>> settings = usual_settings("digits", epochs=10)
    >>> settings.hidden, settings.loss, settings.epochs
    ((32,), 'cross-entropy', 10)
    """
    settings = Settings(data=data, **_usual(data) | chosen)
    for name in without_effect(settings):
        if name in chosen:
            raise _no_effect(settings, name)
    return settings


def pinned(settings: Settings) -> Settings:
    """Return the same settings with the digest of the files that they name, where they have none.

    Raises
    ------
    DataError
        One of the files cannot be read.

    Examples
    --------
    >>> pinned(Settings()) == Settings()
    True
    """
    if settings.data in DATA_NAMES or settings.digest is not None:
        return settings
    from tinygrad_lab.lab import tables

    return replace(settings, digest=tables.digest(settings.data, settings.labels))


def _usual(data: str) -> dict[str, Any]:
    if data in ("linear", "xor"):
        return {}
    trains = {"loss": "cross-entropy", "optimizer": "adam", "lr": 0.01}
    if is_noisy(data):
        plane = {"hidden": (16, 16), "activation": "tanh", "output_activation": "sigmoid"}
        return trains | plane | {"epochs": 1000}
    many = {"hidden": (32,), "activation": "relu", "output_activation": "softmax"}
    return trains | many | {"init": "kaiming_normal", "epochs": 300}


def command_of(settings: Settings, seed: int) -> str:
    """Return the command line that repeats a run, to the last bit.

    Examples
    --------
    >>> command_of(Settings(hidden=(3, 3), bias=False, lr=0.2), seed=17)
    'tinygrad-lab train xor --hidden 3,3 --no-bias --lr 0.2 --seed 17'
    """
    usual = _usual(settings.data)
    words = ["tinygrad-lab", "train", settings.data]
    for field in fields(Settings):
        name, value = field.name, getattr(settings, field.name)
        if name == "output_activation" and value is None and name in usual:
            value = settings.activation
        if name == "data" or value == usual.get(name, field.default):
            continue
        option = name.replace("_", "-")
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


# How the value of a column is read, by the type that it has: it may be a text for a number (CSV), 1
# for True (SQLite) or a float for a whole number (pandas).
_READERS: dict[type, Callable[[Any], Any]] = {
    str: str,
    int: _whole,
    float: float,
    bool: _flag,
    tuple: lambda value: parse_hidden(str(value)),
    type(None): _optional,
}


def _read(field: Field[Any], value: Any) -> Any:
    try:
        return _READERS[type(field.default)](value)
    except (KeyError, TypeError, ValueError, OverflowError):
        raise SettingsError(f"{value!r} is no value for {field.name!r}") from None


# ---- what can be trained ------------------------------------------------------------------------


def check_value(name: str, value: Any) -> None:
    """Raise SettingsError for what can be the value of a setting whatever the others are.

    Examples
    --------
    >>> check_value("hidden", (4, 0))
    Traceback (most recent call last):
      ...
    tinygrad_lab.lab.settings.SettingsError: every hidden layer needs a whole number of units...
    """
    if name in _NAMES:
        if not (name == "output_activation" and value is None):
            _check_name(name.replace("_", " "), value, _NAMES[name])
    elif name == "data":
        if not ("." in value or "/" in value):  # a file is looked at when it is read
            _check_name(name, value, DATA_NAMES)
    elif name == "hidden":
        if not value or not all(map(_is_count, value)):
            raise SettingsError(
                f"every hidden layer needs a whole number of units, {_COUNTS}; got hidden = {value}"
            )
    elif name in ("epochs", "n"):
        if not _is_count(value):
            raise SettingsError(f"{name} must be a whole number, {_COUNTS}; got {name} = {value}")
    elif name == "lr":
        if not 0 < value < math.inf:
            raise SettingsError(f"the learning rate must be a number above 0, got lr = {value}")
    elif name == "noise" and not 0 <= value < math.inf:
        raise SettingsError(f"noise must be a number from 0 on, got noise = {value}")


_NAMES = {
    "activation": ACTIVATIONS,
    "output_activation": OUTPUT_ACTIVATIONS,
    "init": INITS,
    "loss": LOSSES,
    "reduction": REDUCTIONS,
    "optimizer": OPTIMIZERS,
    "threshold": THRESHOLDS,
}


def _check_name(kind: str, name: str, known: Sequence[str]) -> None:
    if name in known:
        return
    close = get_close_matches(str(name).lower(), known, n=1)
    hint = f"did you mean {close[0]!r}? There" if close else "there"
    raise SettingsError(f"unknown {kind} {name!r}; {hint} are: {', '.join(known)}")


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _MOST


def _check_data(settings: Settings) -> None:
    """Raise SettingsError where nothing says what a file holds, and for what has no effect."""
    data, target, labels = settings.data, settings.target, settings.labels
    if target is not None and labels is not None:
        raise SettingsError(
            f"target {target!r} is a column of a CSV file and labels {labels!r} an IDX file: give "
            "one of them"
        )
    if data not in DATA_NAMES and target is None and labels is None:
        raise SettingsError(
            f"{data!r} is the name of a file, and nothing says where its classes are: give target, "
            "a column of the CSV file, or labels, the IDX file with the labels of images"
        )
    if settings.digest is not None and not re.fullmatch("sha256:[0-9a-f]{16}", settings.digest):
        raise SettingsError(
            "a digest is sha256: and 16 hexadecimal digits, as a row of a run has it; got digest = "
            f"{settings.digest!r}"
        )
    usual = {field.name: field.default for field in fields(settings)}
    for name in without_effect(settings):
        if getattr(settings, name) != usual[name]:
            raise _no_effect(settings, name)


def without_effect(settings: Settings) -> list[str]:
    """Return the names of what does nothing to the data."""
    if settings.data not in DATA_NAMES:
        return ["n", "noise"]
    names = ["n", "noise", "target", "labels", "digest"]
    return names[is_drawn(settings.data) + is_noisy(settings.data) :]


def _no_effect(settings: Settings, name: str) -> SettingsError:
    value = getattr(settings, name)
    return SettingsError(
        f"{name} = {value!r} has no effect on data {settings.data!r}; leave it out"
    )


def _check_loss(loss: str, last: str) -> None:
    """Raise SettingsError where a loss does not take what the last layer gives."""
    if (loss == "mse" and last != "softmax") or (loss != "mse" and last == "sigmoid"):
        return
    if loss == "cross-entropy" and last == "softmax":
        return
    if last == "softmax":
        raise SettingsError(
            f"output activation 'softmax' is for loss 'cross-entropy', got {loss!r}; use that loss "
            "or output activation 'sigmoid'"
        )
    raise SettingsError(
        f"loss {loss!r} needs a sigmoid as the output activation, got {last!r}; use loss 'mse', or "
        "output activation 'sigmoid'"
    )
