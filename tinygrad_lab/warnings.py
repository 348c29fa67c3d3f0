"""Warnings where training would go wrong in silence: one category each, all of one family.

Python shows a warning once for each place in a program, and its filters switch it off or make an
error of it: ``warnings.filterwarnings("error", category=tl.TrainingWarning)``.

Not for: what is certainly wrong, which is an error where it happens.
"""

from __future__ import annotations

import sys
import warnings

__all__ = [
    "AbandonedParameterWarning",
    "CompilingWarning",
    "LossInputWarning",
    "MixedPrecisionWarning",
    "NoGradientWarning",
    "NotAParameterWarning",
    "RecordingWarning",
    "ScheduleOrderWarning",
    "SlowBatchWarning",
    "TrainingWarning",
    "warn",
]

_PACKAGE = __name__.split(".", 1)[0]


class TrainingWarning(UserWarning):
    """Training will probably not do what was meant."""


class AbandonedParameterWarning(TrainingWarning):
    """An optimizer moves parameters that the model does not have any more."""


class LossInputWarning(TrainingWarning):
    """A loss is given probabilities where it takes logits, or their logarithms."""


class MixedPrecisionWarning(TrainingWarning):
    """A layer is given data of another precision than its weights."""


class NoGradientWarning(TrainingWarning):
    """A step moves nothing, because no parameter has a gradient."""


class NotAParameterWarning(TrainingWarning):
    """A tensor that requires a gradient is an attribute of a module, and no Parameter."""


class ScheduleOrderWarning(TrainingWarning):
    """A schedule makes its first step before the optimizer, which skips its first rate."""


class RecordingWarning(UserWarning):
    """A function under ``tl.jit`` does not run as a recorded program."""


class CompilingWarning(UserWarning):
    """A program is not compiled, or what was compiled is not kept for the next process."""


class SlowBatchWarning(UserWarning):
    """``tl.vmap`` calls a function for each example in turn, which is slow; under ``debug()``."""


def warn(message: str, category: type[UserWarning]) -> None:
    """Warn at the innermost line from outside this package."""
    frame, level = sys._getframe(1), 2  # noqa: SLF001 - there is no other way to see one's caller
    while frame.f_back is not None and _is_ours(frame.f_globals.get("__name__", "")):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


def _is_ours(module: str) -> bool:
    return module.split(".", 1)[0] == _PACKAGE
