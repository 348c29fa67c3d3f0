"""The lab: two reports on back-propagation, run again over many seeds at one command.

Data sets, settings and training can be used from Python; the command is ``tinygrad-lab``
(or ``python -m tinygrad_lab``).  Not for general training: it knows small dense networks, trained
on the whole batch.
"""

from __future__ import annotations

from tinygrad_lab.lab.data import Data, linear, load, xor
from tinygrad_lab.lab.settings import Settings, SettingsError
from tinygrad_lab.lab.training import DivergedError, Result, train, train_many

__all__ = [
    "Data",
    "DivergedError",
    "Result",
    "Settings",
    "SettingsError",
    "linear",
    "load",
    "train",
    "train_many",
    "xor",
]
