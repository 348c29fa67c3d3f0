"""Let Hypothesis look for a call that fails a check, and make it small.

Not for: what is checked of a call (``operations.py``), or what calls there are (``catalogue``).
"""

from __future__ import annotations

import contextlib
import functools
import math
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from hypothesis import HealthCheck, Phase, Verbosity, assume, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Flaky, HypothesisDeprecationWarning, Unsatisfiable

from tinygrad_lab.testing.inputs.calls import (
    DEGENERATE,
    Call,
    is_degenerate,
    length_along,
    mostly,
    without,
)
from tinygrad_lab.testing.inputs.generated import is_defined, is_steady
from tinygrad_lab.testing.inputs.kinds import InputKind, wanting
from tinygrad_lab.testing.judging.running import OutOfTime
from tinygrad_lab.testing.telling.explain import unexplained
from tinygrad_lab.testing.telling.finding import GradientError

#: ``check(call, only)`` raises GradientError; ``only`` names properties, None stands for all.
Check = Callable[[Call, "Sequence[str] | None"], None]
Calls = st.SearchStrategy[Call]

BATCH = 25  # examples of one run
REFUSALS = 40  # after so many calls without a degenerate shape the operation takes none
PATIENCE = 6  # and after so many calls of a kind that have no value it has none there
PER_KIND = 2  # examples of a kind: the simplest one, and another
SHRINKING = 3.0  # seconds
FEWEST = 100  # checks to leave out the elements that are not needed
TOO_LONG = 0.25  # seconds; where a check takes as long, longer arrays are not tried


def search(check: Check, calls: Calls, examples: int, rng: int) -> None:
    """Check generated calls, and raise the smallest failure."""
    for batch in range(0, examples, BATCH):  # several short runs reach more rare shapes than one
        _run(Hunt(check), calls, min(BATCH, examples - batch), 1000 * rng + batch)


def search_degenerate(
    check: Check, calls: Calls, examples: int, rng: int, names: Iterable[str] = tuple(DEGENERATE)
) -> None:
    """Check calls of each kind of degenerate shapes that the operation accepts."""
    for number, name in enumerate(names):
        accepts = functools.partial(_is_defined_and_degenerate, name)
        with mostly(name), contextlib.suppress(Unsatisfiable):
            _run(Hunt(check, accepts, REFUSALS), calls, examples, 1000 * rng + 900 + number)


def _is_defined_and_degenerate(name: str, call: Call) -> bool:
    return is_degenerate(call, name) and is_defined(call)


def search_kinds(
    check: Callable[[Sequence[str], Call, Sequence[str] | None], None],
    calls: Calls,
    kinds: Iterable[InputKind],
    examples: int,
    rng: int,
) -> None:
    """Check calls with each kind of inputs, where the operation has a value there.

    ``check(looked_at, call, only)`` is told which properties may depend on the kind.
    """
    too_long = False
    for number, kind in enumerate(kinds):
        if kind.shapes and too_long:
            continue
        begin = time.thread_time()  # of this thread alone, however busy the machine is
        accepts = functools.partial(_is_met, kind)
        hunt = Hunt(functools.partial(check, kind.looked_at), accepts, PATIENCE)
        with wanting(kind), contextlib.suppress(Unsatisfiable):
            _run(hunt, calls, examples, 1000 * rng + 500 + number)
        if not kind.met and not kind.shapes:
            return  # nothing of these strategies is ours to choose
        if kind.shapes:
            too_long = time.thread_time() - begin > TOO_LONG * examples


def _is_met(kind: InputKind, call: Call) -> bool:
    return kind.met and is_steady(call, strictly=kind.strict)


class _EnoughError(BaseException):
    """Shrinking has taken long enough.  An Exception would be a failure to Hypothesis."""


#: What a run of Hypothesis ends with where something failed; the hunt knows more.
EXPECTED = (GradientError, Flaky, _EnoughError)


class Refused(BaseException):
    """The function refuses its inputs.  An Exception would be a failure of the function."""


class Hunt:
    """What Hypothesis calls with each example of one run.

    It shrinks by trying a hundred smaller calls or so.  On those only the property that failed is
    checked, without a word of explanation, and whether the call behaves at all; the smallest is
    then checked completely.  Only calls that ``accepts`` agrees to are checked.
    """

    def __init__(
        self, check: Check, accepts: Callable[[Call], bool] = bool, patience: int = 0
    ) -> None:
        self.check = check
        self.accepts, self.patience = accepts, patience
        self.refused: float = 0
        self.only: tuple[str, ...] | None = None
        self.failed: tuple[Call, GradientError] | None = None  # the last is the smallest
        self.until = math.inf

    def __call__(self, call: Call) -> None:
        """Check one call, unless the function refuses it."""
        try:
            self._look_at(call)
        except Refused:
            assume(False)

    def _look_at(self, call: Call) -> None:
        if not self._is_met(call):
            self.refused += 1
            assume(self.refused > self.patience)
            return
        self.refused = -math.inf  # the operation takes such inputs
        if time.perf_counter() > self.until:
            raise _EnoughError
        try:
            with unexplained():
                self.check(call, self.only)
        except GradientError as error:
            is_first, self.failed = self.failed is None, (call, error)
            if is_first:
                self.until = time.perf_counter() + SHRINKING
                self.only = self._narrowed(call, error)
            raise

    def _narrowed(self, call: Call, error: GradientError) -> tuple[str, ...] | None:
        """Choose the two properties that show the failure too, if they are enough."""
        only = ("well_formed", error.finding.property)
        try:
            with unexplained():
                self.check(call, only)
        except GradientError:
            return only
        return None

    def _fails(self, call: Call) -> bool:
        try:
            with unexplained():
                if is_defined(call):
                    self.check(call, self.only)
        except GradientError:
            return True
        except Refused:
            pass
        return False

    def _shortened(self, call: Call) -> Call:
        """Leave out elements that a failing call does not need: half of them, a quarter, ..."""
        until, tries = time.perf_counter() + SHRINKING, FEWEST
        for axis in range(max((np.ndim(x) for x in call.arrays), default=0)):
            chunk = length_along(call, axis) // 2
            while chunk:
                for start in range(length_along(call, axis) - chunk, -1, -chunk):
                    if length_along(call, axis) <= chunk:
                        break
                    shorter = without(call, axis, start, start + chunk)
                    tries -= 1
                    if tries < 0 or time.perf_counter() > until:
                        return call
                    if self._is_met(shorter) and self._fails(shorter):
                        call = shorter
                chunk //= 2
        return call

    def _is_met(self, call: Call) -> bool:
        try:
            return self.accepts(call)
        except Refused:
            return False

    @contextlib.contextmanager
    def going_on(self) -> Iterator[None]:
        """Take the errors that Hypothesis ends with; where it has found nothing, no OutOfTime."""
        try:
            yield
        except EXPECTED:
            pass
        except OutOfTime:
            if self.failed is None:
                raise

    def conclude(self) -> None:
        """Raise the smallest failure, if there was one, with everything there is to say of it."""
        if self.failed is None:
            return
        call, error = self.failed
        with contextlib.suppress(Refused, OutOfTime), warnings.catch_warnings():
            # the function may call ``assume``, for which it is late by now
            warnings.simplefilter("ignore", HypothesisDeprecationWarning)
            self.check(self._shortened(call), None)
            self.check(call, None)
        raise error.with_traceback(None)


def _run(hunt: Hunt, calls: Calls, examples: int, seeded: int) -> None:
    @seed(seeded)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
        print_blob=False,
        verbosity=Verbosity.quiet,
    )
    @given(calls)
    def look(call: Call) -> None:
        hunt(call)

    with hunt.going_on():
        look()
    hunt.conclude()
