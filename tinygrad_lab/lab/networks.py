"""Trained networks in files: the weights, and all that it takes to use and to repeat them.

Not for training (``training.py``), nor for the format of the file (``tinygrad_lab.saving``).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tinygrad_lab as tl
from tinygrad_lab import nn
from tinygrad_lab.lab.data import Array, Encoding, with_a_column_a_class
from tinygrad_lab.lab.predictions import Predictions
from tinygrad_lab.lab.settings import Settings, SettingsError
from tinygrad_lab.lab.training import Result, build, outputs_of, predictions

# What this version writes and reads.
_VERSION = 1


class NetworkError(ValueError):
    """A file that holds no network of the lab, or data that a network does not take."""


@dataclass(frozen=True, slots=True)
class Network:
    """A trained network.

    Attributes
    ----------
    settings, seed
        What it was trained with: ``train(settings, seed)`` gives it again.
    encoding
        What its inputs and classes are called, and how inputs are scaled.
    weights
        Its ``state_dict``.
    threshold
        A single output above it is the second class.
    """

    settings: Settings
    seed: int
    encoding: Encoding
    weights: Mapping[str, Array] = field(repr=False)
    threshold: float = 0.5

    @classmethod
    def of(cls, result: Result) -> Network:
        """Return the network that a run ended with."""
        threshold = predictions(result).threshold
        return cls(result.settings, result.seed, result.encoding, result.weights, threshold)

    def model(self) -> nn.MLP:
        """Build the network."""
        model = build(self.settings, self.encoding, rng=0)
        model.load_state_dict(dict(self.weights))
        return model

    def predict(self, rows: Array) -> Predictions:
        """Return what it says of rows of numbers as they stand in a table, shape (n, inputs)."""
        return self.predictions(self.encoding.inputs(rows))

    def predictions(self, x: Array, y: Array | None = None) -> Predictions:
        """Return what it says of inputs that are scaled already, beside their targets."""
        outputs = outputs_of(self.settings, self.model(), x)
        return Predictions(outputs, self.encoding, self.threshold, y)

    def targets(self, labels: NDArray[np.int64]) -> Array:
        """Return the targets of classes 0, 1, ..., shaped as its outputs."""
        y = self.encoding.targets(labels)
        return with_a_column_a_class(y) if self.settings.last_activation == "softmax" else y


def save_network(network: Network, path: str | os.PathLike[str]) -> Path:
    """Save a network with its settings and its seed; the file appears as a whole.

    Raises
    ------
    OSError
        It cannot be written; a file that was there is as before.
    ImportError
        safetensors is not installed.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from tinygrad_lab.lab import train
    >>> result = train(Settings(epochs=5), seed=3)
    >>> path = save_network(Network.of(result), f"{mkdtemp()}/xor.safetensors")
    >>> network = read_network(path)
    >>> network.settings == result.settings, network.seed
    (True, 3)
    >>> bool((network.predict(result.x).outputs == result.prediction).all())
    True
    """
    encoding = network.encoding
    content = {
        "network_version": _VERSION,
        "settings": network.settings.to_row(),
        "seed": network.seed,
        "columns": list(encoding.columns),
        "classes": list(encoding.classes),
        "mean": np.asarray(encoding.mean, np.float64),
        "scale": np.asarray(encoding.scale, np.float64),
        "threshold": network.threshold,
        "weights": dict(network.weights),
    }
    return tl.save(content, path)


def read_network(path: str | os.PathLike[str]) -> Network:
    """Read a network that :func:`save_network` has saved.

    Raises
    ------
    NetworkError
        The file cannot be read, is damaged, holds something else, or is of another version.
    """
    try:
        content = tl.load(path)
    except OSError as error:
        raise NetworkError(f"cannot read {path}: {error.strerror or error}") from None
    except ValueError as error:
        raise NetworkError(str(error)) from None
    if not isinstance(content, dict) or "network_version" not in content:
        raise NetworkError(
            f"{path} holds no network of the lab: it was not written by tinygrad-lab train --save"
        )
    version = content["network_version"]
    if version != _VERSION:
        raise NetworkError(
            f"{path} is a network of version {version}, and this tinygrad_lab reads {_VERSION}: "
            "train it again"
        )
    try:
        return _checked(_network(content))
    except SettingsError as error:
        raise NetworkError(f"{path}: {error}") from None
    except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise NetworkError(f"{path} does not hold what its settings say: {reason}") from None


def _network(content: Mapping[str, Any]) -> Network:
    encoding = Encoding(
        tuple(content["columns"]), tuple(content["classes"]), content["mean"], content["scale"]
    )
    return Network(
        Settings.from_row(content["settings"]),
        int(content["seed"]),
        encoding,
        content["weights"],
        float(content["threshold"]),
    )


def _checked(network: Network) -> Network:
    """Return a network that can be built, or raise what is wrong with it."""
    network.encoding.inputs(np.zeros((1, len(network.encoding.columns))))
    network.model()
    return network
