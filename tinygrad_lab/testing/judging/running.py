"""Run what the user wrote: under the user's own settings of NumPy, and while the budget lasts.

A check runs a function at many points beside the one it is asked about, where it may overflow or
divide by zero; of that nobody wants to hear.  But a function that counts on ``np.errstate(all=
"raise")`` around it has to get its ``FloatingPointError``.  So the checker itself runs with every
floating-point warning off, and what the user wrote with what raises, or calls back, for the user.

Not for: what is run (``subject.py``), or what to conclude from it.
"""

from __future__ import annotations

import contextlib
import random
import sys
import time
import warnings
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import numpy as np

from tinygrad_lab.warnings import MixedPrecisionWarning


class OutOfTime(BaseException):
    """The budget is spent: nothing more is run.

    It is no ``Exception``, so that nobody takes it for one that the function raised.
    """

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        super().__init__(budget)


class Budget:
    """How long checks may take, and how long the calls of what the user wrote have taken."""

    def __init__(self, seconds: float = float("inf")) -> None:
        self.seconds = float(seconds)
        self.end = time.perf_counter() + seconds
        self.calls = 0
        self.spent = 0.0  # seconds, in all calls
        self.longest = 0.0  # seconds, of one call; the first counts until there is another

    @property
    def is_spent(self) -> bool:
        """Whether another call has no room."""
        return time.perf_counter() + self.longest > self.end

    def add(self, seconds: float) -> None:
        """Count one call."""
        self.calls += 1
        self.spent += seconds
        # what is loaded or compiled by the first call is not by the others
        self.longest = seconds if self.calls <= 2 else max(self.longest, seconds)


class _Settings:
    """How the user has set up NumPy."""

    def __init__(self) -> None:
        loud = ("raise", "call")
        self.modes: dict[str, Any] = {e: m for e, m in np.geterr().items() if m in loud}
        if "call" in self.modes.values():
            self.modes["call"] = np.geterrcall()


_BUDGETS: ContextVar[tuple[Budget, ...]] = ContextVar("budgets", default=())
_SETTINGS: ContextVar[_Settings | None] = ContextVar("settings", default=None)


@contextlib.contextmanager
def within(seconds: float | None) -> Iterator[Budget]:
    """Hold a budget, besides those that hold already; of None, count the calls alone."""
    budget = Budget() if seconds is None else Budget(seconds)
    token = _BUDGETS.set((*_BUDGETS.get(), budget))
    try:
        yield budget
    finally:
        _BUDGETS.reset(token)


@contextlib.contextmanager
def checking() -> Iterator[None]:
    """Hold during a check: its own arithmetic is silent, and random numbers go on as before it."""
    token = _SETTINGS.set(_Settings())
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings(), _generators_as_they_were():
            warnings.simplefilter("ignore", MixedPrecisionWarning)  # other precisions are tried
            yield
    finally:
        _SETTINGS.reset(token)


class as_the_user_has_it:  # noqa: N801 - used as a function is
    """Hold while something runs that the user wrote.

    Raises
    ------
    OutOfTime
        There is no room for it in the budget.
    """

    def __enter__(self) -> None:
        self.budgets = _BUDGETS.get()
        for budget in self.budgets:
            if budget.is_spent:
                raise OutOfTime(budget)
        users = _SETTINGS.get()
        # where nothing raises for the user, the settings of the check will do
        self.settings = np.errstate(**users.modes) if users is not None and users.modes else None
        if self.settings is not None:
            self.settings.__enter__()
        self.start = time.perf_counter()

    def __exit__(self, *error: object) -> None:
        seconds = time.perf_counter() - self.start
        if self.settings is not None:
            self.settings.__exit__(*error)  # type: ignore[arg-type]
        for budget in self.budgets:
            budget.add(seconds)


@contextlib.contextmanager
def _generators_as_they_were() -> Iterator[None]:
    """Put the global generators of random numbers back to where they were."""
    numpys, pythons = np.random.get_state(legacy=False), random.getstate()  # noqa: NPY002
    library: Any = sys.modules.get("torch")
    torch: Any = getattr(library, "random", None)
    torchs = None if torch is None else torch.get_rng_state()
    has_cuda = torch is not None and library.cuda.is_initialized()
    on_devices = library.cuda.get_rng_state_all() if has_cuda else []
    try:
        yield
    finally:
        np.random.set_state(numpys)  # noqa: NPY002
        random.setstate(pythons)
        if torchs is not None:
            torch.set_rng_state(torchs)
        if on_devices:
            library.cuda.set_rng_state_all(on_devices)
