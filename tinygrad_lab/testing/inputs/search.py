"""Let Hypothesis look for a call that fails a check, and make it small.

Not for: what is checked of a call (``operations.py``), or what calls there are (``catalogue``).
"""

from __future__ import annotations

import contextlib
import functools
import math
import time
from collections.abc import Callable, Iterable, Sequence

from hypothesis import HealthCheck, Phase, Verbosity, assume, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Flaky, Unsatisfiable

from tinygrad_lab.testing.inputs.calls import DEGENERATE, Call, is_degenerate, mostly
from tinygrad_lab.testing.inputs.generated import is_defined
from tinygrad_lab.testing.inputs.kinds import InputKind, wanting
from tinygrad_lab.testing.session import session
from tinygrad_lab.testing.telling.finding import GradientError

#: ``check(call, only)`` raises GradientError; ``only`` names properties, None stands for all.
Check = Callable[[Call, "Sequence[str] | None"], None]
Calls = st.SearchStrategy[Call]

BATCH = 25  # examples of one run
REFUSALS = 40  # after so many calls without a degenerate shape the operation takes none
PATIENCE = 6  # and after so many calls of a kind that have no value it has none there
SHRINKING = 10.0  # seconds
TOO_LONG = 0.25  # seconds; where a check takes as long, longer arrays are not tried


def search(check: Check, calls: Calls, examples: int, rng: int) -> None:
    """Check generated calls, and raise the smallest failure."""
    for batch in range(0, examples, BATCH):  # several short runs reach more rare shapes than one
        _run(_Hunt(check), calls, min(BATCH, examples - batch), 1000 * rng + batch)


def search_degenerate(
    check: Check, calls: Calls, examples: int, rng: int, names: Iterable[str] = tuple(DEGENERATE)
) -> None:
    """Check calls of each kind of degenerate shapes that the operation accepts."""
    for number, name in enumerate(names):
        accepts = functools.partial(_is_defined_and_degenerate, name)
        with mostly(name), contextlib.suppress(Unsatisfiable):
            _run(_Hunt(check, accepts, REFUSALS), calls, examples, 1000 * rng + 900 + number)


def _is_defined_and_degenerate(name: str, call: Call) -> bool:
    return is_degenerate(call, name) and is_defined(call)


def search_kinds(
    check: Check, calls: Calls, kinds: Iterable[InputKind], examples: int, rng: int
) -> None:
    """Check calls with each kind of inputs, where the operation has a value there."""
    too_long = False
    for number, kind in enumerate(kinds):
        if kind.shapes and too_long:
            continue
        begin = time.perf_counter()
        accepts = functools.partial(_is_defined_and_met, kind)
        with wanting(kind), contextlib.suppress(Unsatisfiable):
            _run(_Hunt(check, accepts, PATIENCE), calls, examples, 1000 * rng + 500 + number)
        if not kind.met and not kind.shapes:
            return  # nothing of these strategies is ours to choose
        if kind.shapes:
            too_long = time.perf_counter() - begin > TOO_LONG * examples


def _is_defined_and_met(kind: InputKind, call: Call) -> bool:
    return kind.met and is_defined(call)


class _EnoughError(BaseException):
    """Shrinking has taken long enough.  An Exception would be a failure to Hypothesis."""


class _Hunt:
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
        if self.patience and not self.accepts(call):
            self.refused += 1
            assume(self.refused > self.patience)
            return
        self.refused = -math.inf  # the operation takes such inputs
        if time.perf_counter() > self.until:
            raise _EnoughError
        try:
            with session(explains=False):
                self.check(call, self.only)
        except GradientError as error:
            if self.failed is None:
                self.only = self._narrowed(call, error)
                self.until = time.perf_counter() + SHRINKING
            self.failed = call, error
            raise

    def _narrowed(self, call: Call, error: GradientError) -> tuple[str, ...] | None:
        """Choose the two properties that show the failure too, if they are enough."""
        only = ("well_formed", error.finding.property)
        try:
            with session(explains=False):
                self.check(call, only)
        except GradientError:
            return only
        return None

    def conclude(self) -> None:
        """Raise the smallest failure, if there was one, with everything there is to say of it."""
        if self.failed is None:
            return
        call, error = self.failed
        self.check(call, None)
        raise error.with_traceback(None)


def _run(hunt: _Hunt, calls: Calls, examples: int, seeded: int) -> None:
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

    with contextlib.suppress(GradientError, Flaky, _EnoughError):
        look()
    hunt.conclude()
