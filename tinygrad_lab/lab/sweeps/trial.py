"""One trial of a sweep: what was run, and what came of it, as the store keeps it.

Not for where it is kept (``store.py``) nor for which are run (``running.py``).
"""

from __future__ import annotations

import hashlib
import json
import math
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

import tinygrad_lab as tl
from tinygrad_lab.lab.settings import Settings
from tinygrad_lab.lab.training import Result, train_many

DONE, FAILED = "done", "failed"

#: What is measured of a trial that is done: columns of the store, after the settings and the seed.
MEASURES = (
    *("final_loss", "accuracy", "test_accuracy", "diverged_at"),
    *("epochs_to_0_1", "epochs_to_0_01", "epochs_to_0_001"),
)

_Curve = tuple[NDArray[np.int64], NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of one trial.

    Attributes
    ----------
    settings, seed
        What was run.
    measured
        For each of ``MEASURES`` its value, or None where it has none; empty for a failed trial.
    curve
        Epochs and losses, shape (points,) both; None for a failed trial.
    traceback
        Why it failed; None for one that is done.
    seconds
        How long it took: its share, where several were run as one.
    version
        What computed it.
    """

    settings: Settings
    seed: int
    measured: dict[str, float | int | None] = field(default_factory=dict)
    curve: _Curve | None = None
    traceback: str | None = None
    seconds: float | None = None
    version: str = (
        f"tinygrad_lab {tl.__version__}, NumPy {np.__version__}, Python {platform.python_version()}"
    )

    @property
    def status(self) -> str:
        """Whether it is done, or has failed."""
        return DONE if self.traceback is None else FAILED

    @classmethod
    def of(cls, result: Result, seconds: float) -> Trial:
        """Measure what a run ended with."""
        measured = {
            "final_loss": result.loss,
            "accuracy": result.accuracy,
            "test_accuracy": result.test_accuracy,
            "diverged_at": result.diverged_at,
            "epochs_to_0_1": _finite(result.epochs_to(0.1)),
            "epochs_to_0_01": _finite(result.epochs_to(0.01)),
            "epochs_to_0_001": _finite(result.epochs_to(0.001)),
        }
        curve = result.epochs, result.losses
        return cls(result.settings, result.seed, measured, curve, seconds=seconds)


def key_of(settings: Settings, seed: int) -> str:
    """Return what a trial is known by: its settings and its seed, wherever it stands in a plan.

    Examples
    --------
    >>> key_of(Settings(), 0) == key_of(Settings(), 0) != key_of(Settings(), 1)
    True
    """
    return hashlib.sha256(f"{_text_of(settings)} {seed}".encode()).hexdigest()[:32]


@lru_cache(maxsize=1)  # the seeds of one setting follow each other
def _text_of(settings: Settings) -> str:
    return json.dumps(settings.to_row(), sort_keys=True)


def run_trials(settings: Settings, seeds: Sequence[int]) -> list[Trial]:
    """Run one setting with some seeds at once, in whatever process this is called.

    Examples
    --------
    >>> [trial] = run_trials(Settings(epochs=1), [7])
    >>> trial.seed, trial.status
    (7, 'done')
    """
    started = time.perf_counter()
    results = train_many(settings, seeds)
    seconds = (time.perf_counter() - started) / len(seeds)
    return [Trial.of(result, seconds) for result in results]


def _finite(epochs: float) -> int | None:
    return int(epochs) if math.isfinite(epochs) else None
