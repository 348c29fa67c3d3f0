"""Plant faults one after the other, run the tests that reach them, and remember who noticed.

Not for: what a score looks like (``score.py``), or running pytest (``pytest/plugin.py``).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tinygrad_lab.testing.adapters import Adapter
from tinygrad_lab.testing.mutation.faults import Fault
from tinygrad_lab.testing.mutation.observed import MOST_PARTIAL, Watch, candidates, planted_at
from tinygrad_lab.testing.mutation.places import Place, Rule, rules_of_users
from tinygrad_lab.testing.mutation.suggestions import Suggestion, suggested
from tinygrad_lab.testing.telling.explain import unexplained

#: Runs some tests, and says of each whether it passed.
Run = Callable[[Sequence[str]], Iterator[tuple[str, bool]]]


@dataclass
class Mutant:
    """A fault at a place, and the tests that fail on it, or run the place and pass.

    ``reaching`` are those that can notice it: the others have no such inputs.
    """

    place: Place
    fault: Fault
    reaching: list[str] = field(default_factory=list)
    noticed: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    done: bool = False  # whether the tests have run on it
    changed: bool = False  # whether any number in the tests was another then
    pointless: bool = False  # whether it is known to make no difference that can be seen
    suggestion: Suggestion | None = None

    def as_data(self) -> dict[str, Any]:
        """Give what JSON can hold."""
        return {
            "rule": self.place.label, "fault": self.fault.name, "noticed": self.noticed,
            "missed": self.missed, "reached": bool(self.reaching),
            "suggestion": str(self.suggestion or ""),
        }  # fmt: skip


class Campaign:
    """All that is done for some tests: watched, made to run on faults, and told what they lack."""

    def __init__(self, rules: Sequence[Rule] | None = None) -> None:
        self.watch = Watch(rules_of_users() if rules is None else rules)
        self.seconds: dict[str, float] = {}  # that each test takes
        self.mutants: list[Mutant] = []
        self.pointless: list[Mutant] = []

    @contextlib.contextmanager
    def watched(self, test: str) -> Iterator[None]:
        """Watch while a test runs as it is."""
        start = time.perf_counter()
        with self.watch.test(test):
            yield
        self.seconds[test] = time.perf_counter() - start

    def forget(self, test: str) -> None:
        """Leave a test out: it fails by itself."""
        for observed in self.watch.places.values():
            for tests in observed.reached.values():
                tests.pop(test, None)
            if not observed.reached.get("", True):
                observed.reached.clear()

    def choose(
        self,
        names: Mapping[int, str],
        is_chosen: Callable[[Place, Fault], bool] = lambda _p, _f: True,
        end: float = float("inf"),
    ) -> None:
        """Decide which faults to plant: those that are everywhere, and some of a part.

        Of a kind, as of both signs, the one is taken that the fewest tests reach.  One that none
        reaches is taken if a line is found that would notice it, and comes before the others.
        """
        for place, observed in self.watch.places.items():
            everywhere, partial = candidates(place, observed)
            chosen = {f.name: self._mutant(place, f) for f in everywhere if is_chosen(place, f)}
            of_kind: dict[str, Mutant] = {}
            for fault in partial:
                mutant = self._mutant(place, fault)
                other = of_kind.get(fault.kind)
                if not is_chosen(place, fault) or (
                    other is not None and len(other.reaching) <= len(mutant.reaching)
                ):
                    continue
                if not mutant.reaching:
                    if time.perf_counter() < end:
                        self._try(mutant, names)
                    else:
                        mutant.pointless = True
                    if mutant.pointless:
                        self.pointless.append(mutant)
                        continue
                of_kind[fault.kind] = mutant
            first = sorted(
                of_kind.values(), key=lambda m: (m.fault.kind != "last element", bool(m.reaching))
            )
            self.mutants += [*chosen.values(), *first[:MOST_PARTIAL]]

    def _mutant(self, place: Place, fault: Fault) -> Mutant:
        observed = self.watch.places[place]
        reaching = observed.tests(fault)
        everyone = observed.reached.get("", ())
        return Mutant(place, fault, reaching, [], [t for t in everyone if t not in reaching])

    def _try(self, mutant: Mutant, names: Mapping[int, str]) -> None:
        """Look for a line that notices a fault."""
        observed = self.watch.places[mutant.place]
        mutant.suggestion, mutant.pointless = suggested(
            mutant.place, mutant.fault, observed, dict(names), mutant.changed
        )

    @property
    def runs(self) -> int:
        """How many times tests have to run."""
        return sum(len(mutant.reaching) for mutant in self.mutants)

    def plant(self, run: Run, end: float = float("inf")) -> None:
        """Run the tests on each fault, what is cheap first, until there is no time left."""

        def cost(mutant: Mutant) -> float:
            return sum(self.seconds.get(test, 0.0) for test in mutant.reaching)

        for mutant in sorted(self.mutants, key=cost):
            if mutant.reaching and time.perf_counter() + cost(mutant) > end:
                return
            noticed: list[str] = []
            missed: list[str] = []
            with planted_at(mutant.place, mutant.fault) as effect, unexplained():
                for test, passed in run(mutant.reaching) if mutant.reaching else ():
                    (missed if passed else noticed).append(test)
            mutant.noticed, mutant.missed = noticed, [*missed, *mutant.missed]
            mutant.done, mutant.changed = True, effect.changed

    def suggest(self, names: Mapping[int, str], end: float = float("inf")) -> None:
        """Say what would notice what nobody did; leave out what nothing can notice."""
        for mutant in self.mutants:
            if not mutant.done or mutant.noticed or mutant.suggestion is not None:
                continue
            if time.perf_counter() < end:
                self._try(mutant, names)
            if mutant.pointless:
                self.pointless.append(mutant)

    @property
    def judged(self) -> list[Mutant]:
        """The faults that count: those that were tried and can be noticed."""
        return [m for m in self.mutants if m.done and not m.pointless]


def names_in(functions: Iterable[Any]) -> dict[int, str]:
    """Give the names that tests have for what they check, by identity."""
    names: dict[int, str] = {}
    for function in functions:
        code = getattr(function, "__code__", None)
        cells = getattr(function, "__closure__", None) or ()
        inside = zip(getattr(code, "co_freevars", ()), cells, strict=False)
        scope = dict(getattr(function, "__globals__", {}))
        with contextlib.suppress(ValueError):  # a cell that is empty
            scope |= {name: cell.cell_contents for name, cell in inside}
        for name, value in scope.items():
            if isinstance(value, Adapter) or callable(value):
                names.setdefault(id(value), name)
    return names
