"""What holds during one run of tests: how much is generated, who hears of checks, what intercepts.

The pytest plugin begins a session of its own.  Outside of one, as in threads that a test starts,
nobody listens.

Not for: running checks (``check.py``), or pytest (``pytest/plugin.py``).
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any, ParamSpec

from tinygrad_lab.testing.judging.arrays import Array
from tinygrad_lab.testing.judging.subject import Pull, Subject
from tinygrad_lab.testing.telling.finding import GradientError, GradReport

P = ParamSpec("P")

#: How many examples a profile generates for an operation.
EXAMPLES = {"quick": 15, "default": 100, "thorough": 1000}


@dataclass(frozen=True)
class Session:
    """One run of tests."""

    #: Of :data:`EXAMPLES`, for checks that are not told how many examples to generate.
    profile: str = "default"
    #: Called with the report of each finished check, whatever its verdict.
    listeners: tuple[Callable[[GradReport], None], ...] = ()
    #: Each may put another pullback in place of that of a call at some inputs: how faults are
    #: planted.
    interceptors: tuple[Callable[[Subject, Sequence[Array], Pull], Pull], ...] = ()


_CURRENT: ContextVar[Session] = ContextVar("session", default=Session())  # noqa: B039 - frozen


def current_session() -> Session:
    """Give the session that holds here."""
    return _CURRENT.get()


@contextlib.contextmanager
def session(**changes: Any) -> Iterator[Session]:
    """Hold a session that differs from the current one in some attributes."""
    token = _CURRENT.set(replace(_CURRENT.get(), **changes))
    try:
        yield _CURRENT.get()
    finally:
        _CURRENT.reset(token)


def announce(report: GradReport) -> None:
    """Tell the listeners of a report."""
    for listener in current_session().listeners:
        listener(report)


def announced(check: Callable[P, GradReport]) -> Callable[P, GradReport]:
    """Report a finished check to the listeners, but none of the checks that it consists of."""

    @functools.wraps(check)
    def announcing(*args: P.args, **kwargs: P.kwargs) -> GradReport:
        try:
            with session(listeners=()):
                report = check(*args, **kwargs)
        except GradientError as error:
            announce(error.report)
            raise
        announce(report)
        return report

    return announcing
