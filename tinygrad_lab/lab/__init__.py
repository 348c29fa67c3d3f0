"""The lab: two reports on back-propagation, run again over many seeds at one command.

Data sets, settings and training can be used from Python; the command is ``tinygrad-lab``
(or ``python -m tinygrad_lab``).  Not for general training: it knows small dense networks that tell
classes apart, trained on the whole batch.
"""

from __future__ import annotations

from tinygrad_lab.lab.data import Data, DataError, load
from tinygrad_lab.lab.networks import Network, NetworkError, read_network, save_network
from tinygrad_lab.lab.points import circles, linear, moons, spirals, xor
from tinygrad_lab.lab.settings import Settings, SettingsError, command_of, usual_settings
from tinygrad_lab.lab.training import DivergedError, Result, train, train_many

__all__ = [
    "Data",
    "DataError",
    "DivergedError",
    "Network",
    "NetworkError",
    "Result",
    "Settings",
    "SettingsError",
    "circles",
    "command_of",
    "linear",
    "load",
    "moons",
    "read_network",
    "save_network",
    "spirals",
    "train",
    "train_many",
    "usual_settings",
    "xor",
]
