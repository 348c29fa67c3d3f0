"""Ctrl-C, or death, at every line: run an action again and again, ended one line later each time.

A program is interrupted wherever it happens to be.  So a promise such as "the state before or the
state after, never half of it" is tried at each line of the package that an action comes through,
and at the end of each function, where the work is done and the caller has not heard of it.

Not for: interrupts and kills from outside at random moments, which ``tests/soak`` sends.
"""

from __future__ import annotations

import dis
import functools
import itertools
import os
import signal
import sys
from collections.abc import Callable, Iterator
from inspect import CO_GENERATOR
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, TypeVar

import numpy as np

import tinygrad_lab

Subject = TypeVar("Subject")

PACKAGE = str(Path(tinygrad_lab.__file__).parent)


def interrupted_everywhere(
    make: Callable[[], Subject],
    action: Callable[[Subject], Any],
    state: Callable[[Subject], Any],
    *,
    within: str = PACKAGE,
    error: type[BaseException] = KeyboardInterrupt,
    stride: int = 1,
) -> Iterator[tuple[str, Any]]:
    """Run ``action(make())``, interrupted at the first line, at the second, and so on to the last.

    Parameters
    ----------
    make
        Makes what is acted on, the same each time.
    action
        What is interrupted; it is run once to its end before, so that whatever is made at its first
        use is there.
    state
        What is looked at after each interruption.
    within
        The part of the file names in whose lines to interrupt, ``"optim/optimizer.py"`` for
        instance; the whole package otherwise.
    error
        What is raised.
    stride
        Only every so many lines are tried, for an action of many.

    Yields
    ------
    place, state
        Where the action was interrupted, and the state it left.

    Examples
    --------
    >>> import numpy as np, tinygrad_lab as tl
    >>> def make():
    ...     w = tl.tensor([1.0, 2.0], requires_grad=True)
    ...     return w, tl.optim.SGD([w], lr=0.1), (w * w).sum().backward()
    >>> def action(subject):
    ...     subject[1].step()
    >>> for place, w in interrupted_everywhere(make, action, lambda subject: subject[0].tolist()):
    ...     assert w in ([1.0, 2.0], [0.8, 1.6]), place
    """
    action(make())
    for index in itertools.count(step=stride):
        subject = make()
        place = _interrupted(lambda: action(subject), index, within, error)  # noqa: B023
        if place is None:
            return
        yield place, state(subject)


def assert_all_or_none(
    make: Callable[[], Subject],
    action: Callable[[Subject], Any],
    state: Callable[[Subject], Any],
    **options: Any,
) -> int:
    """Assert that an interrupted action leaves the state before it or after it, whatever the place.

    States are compared by ``np.testing.assert_equal``: arrays, and tuples, lists and dictionaries
    of them.  They must be copies: what is compared may not change with the subject.

    Returns
    -------
    int
        At how many places it was interrupted.
    """
    before, done = state(make()), make()
    action(done)
    after = state(done)
    halfway, number = [], 0
    for place, left in interrupted_everywhere(make, action, state, **options):
        number += 1
        if not (_same(left, before) or _same(left, after)):
            halfway.append(place)
    assert not halfway, "half done after an interrupt at " + ", ".join(dict.fromkeys(halfway))
    assert number, f"no line of {options.get('within', PACKAGE)} is run"
    return number


def killed_everywhere(
    make: Callable[[], Subject],
    action: Callable[[Subject], Any],
    state: Callable[[Subject], Any],
    *,
    within: str = PACKAGE,
    stride: int = 1,
) -> Iterator[Any]:
    """Run ``action(make())`` in a process killed at its first line, at its second, and so on.

    Nothing is cleaned up after a kill, so what is looked at is what is on the disk.  It forks, and
    so wants a process without other threads.

    Yields
    ------
    state
        What ``state`` sees after each kill.
    """
    for index in itertools.count(step=stride):
        subject = make()
        child = os.fork()
        if child == 0:
            _interrupted(lambda: action(subject), index, within, _Killed)  # noqa: B023
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            assert status == 0, "the action failed"
            return
        yield state(subject)


@functools.cache
def _ends_of_with(code: CodeType) -> frozenset[int]:
    """Return where a function comes back to a line with ``with``, to leave the block.

    Python does not look for interrupts there: a lock that was taken is always given back.
    """
    entries = {"BEFORE_WITH", "BEFORE_ASYNC_WITH", "LOAD_SPECIAL"}
    line, entered = 0, set()
    for instruction in dis.get_instructions(code):
        positions = instruction.positions
        line = (positions and positions.lineno) or line
        if instruction.opname in entries:
            entered.add(line)
    starts = [(offset, line) for offset, line in dis.findlinestarts(code) if line in entered]
    first = {line: offset for offset, line in reversed(starts)}
    return frozenset(offset for offset, line in starts if offset != first[line])


class _Killed(BaseException):
    """The end of the process that makes one."""

    def __init__(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


def _same(left: Any, right: Any) -> bool:
    try:
        np.testing.assert_equal(left, right)
    except AssertionError:
        return False
    return True


def _interrupted(
    action: Callable[[], Any], index: int, within: str, error: type[BaseException]
) -> str | None:
    """Run ``action``, raise ``error`` at a line; return its place, or None if there are fewer."""
    remaining = index
    place = None

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal remaining, place
        if within not in frame.f_code.co_filename:
            return None
        leaves_with = event == "line" and frame.f_lasti in _ends_of_with(frame.f_code)
        # A generator that is freed returns too, where no error gets out of it.
        is_freed = event == "return" and frame.f_code.co_flags & CO_GENERATOR
        if event in ("line", "return") and not leaves_with and not is_freed:
            if remaining == 0:
                name = Path(frame.f_code.co_filename).name
                place = f"{name}:{frame.f_lineno} ({event} in {frame.f_code.co_qualname})"
                raise error  # which ends the tracing: what cleans up is not interrupted again
            remaining -= 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        action()
    except error:
        if place is None:
            raise
    finally:
        sys.settrace(before)
    return place
