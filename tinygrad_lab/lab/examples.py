"""What a trained network is asked about: its own data, other data by name, or a file.

Not for reading files (``tables.py``) or for the answers (``predictions.py``).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tinygrad_lab.lab import tables
from tinygrad_lab.lab.data import Array, Data, DataError
from tinygrad_lab.lab.networks import Network, NetworkError
from tinygrad_lab.lab.settings import Settings, usual_settings, without_effect
from tinygrad_lab.lab.training import load_data

Examples = tuple[Array, Array | None]


def own_examples(network: Network, held_out: bool = False) -> Examples:
    """Return the inputs and targets that a network was trained on, or those it was tested on.

    Raises
    ------
    DataError
        There are none that it was tested on, or the file of the data is gone.
    """
    return _part(load_data(network.settings, network.seed), network.settings, held_out)


def named_examples(
    network: Network, data: str, seed: int | None = None, held_out: bool = False, **chosen: float
) -> Examples:
    """Return other examples by the name of their data, as ``train`` has them with the seed.

    Parameters
    ----------
    network
        Says what inputs and classes are called; its own seed is the usual one.
    data, seed
        Which data, and which draw.
    held_out
        Those that training keeps for the test.
    **chosen
        ``n`` and ``noise``.

    Raises
    ------
    SettingsError
        An unknown name, or what has no effect on these data.
    NetworkError, DataError
        They do not fit the network.
    """
    trained = network.settings
    if data == trained.data:
        drawn_by = {"n", "noise"} - set(without_effect(trained))
        chosen = {name: getattr(trained, name) for name in drawn_by} | chosen
    asked = usual_settings(data, **chosen)
    loaded = load_data(asked, network.seed if seed is None else seed)
    rows, y = _part(loaded, asked, held_out)
    truth = np.argmax(y, axis=1) if y.shape[1] > 1 else y[:, 0].astype(int)
    return _fitted(network, rows, [loaded.encoding.classes[label] for label in truth], data)


def file_examples(
    network: Network, path: str, target: str | None = None, labels: str | None = None
) -> Examples:
    """Return all examples of a CSV or an IDX file; targets are None where it does not say.

    Parameters
    ----------
    network
        Says which columns are the inputs, and which one names the classes.
    path
        The file.
    target, labels
        The column, or the IDX file, with the classes; the column is that of the training otherwise.

    Raises
    ------
    NetworkError, DataError
        The file cannot be read, or does not fit the network.
    """
    column = network.settings.target if target is None else target
    if labels is None and (column is not None or Path(path).suffix.lower() == ".csv"):
        rows, columns, names = tables.read_csv(path, column)
        if target is not None and names is None:
            raise DataError(f"{path} has no column {target!r}; there are: {', '.join(columns)}")
        return _fitted(network, _chosen(network, rows, columns, path), names, path)
    rows, _ = tables.read_images(path)
    names = None if labels is None else tables.read_labels(labels, len(rows))
    return _fitted(network, rows, names, path)


def _part(data: Data, settings: Settings, held_out: bool) -> tuple[Array, Array]:
    if not held_out:
        return data.x, data.y
    if data.x_test is None or data.y_test is None:
        raise DataError(f"of data {settings.data!r} nothing is held out; leave that option out")
    return data.x_test, data.y_test


def _chosen(network: Network, rows: Array, columns: tuple[str, ...], path: str) -> Array:
    """Return the columns of a table that are the network's inputs, in its order."""
    wanted = network.encoding.columns
    missing = [name for name in wanted if name not in columns]
    if missing:
        raise NetworkError(
            f"{path} has no column {missing[0]!r}; the network takes {', '.join(wanted)}"
        )
    return rows[:, [columns.index(name) for name in wanted]]


def _fitted(network: Network, rows: Array, names: list[str] | None, source: str) -> Examples:
    """Return rows and classes as the network has them."""
    encoding = network.encoding
    if rows.shape[1] != len(encoding.columns):
        raise NetworkError(
            f"the network takes {len(encoding.columns)} inputs, and {source} has {rows.shape[1]}"
        )
    if names is None:
        return encoding.inputs(rows), None
    labels = tables.labels_of(names, encoding.classes, source)
    return encoding.inputs(rows), network.targets(labels)
