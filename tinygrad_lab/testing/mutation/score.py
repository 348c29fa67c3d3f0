"""``mutation_score``: which planted faults some tests notice, which they do not, and what to add.

Not for: what is planted (``faults.py``), where (``places.py``), or running pytest.
"""

from __future__ import annotations

import contextlib
import inspect
import io
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tinygrad_lab.core.errors import name_of
from tinygrad_lab.core.operations import vjps_of
from tinygrad_lab.testing.judging.subject import Adapter
from tinygrad_lab.testing.mutation.campaign import Campaign, Mutant, names_in
from tinygrad_lab.testing.mutation.faults import EVERYWHERE, PARTIAL, Fault
from tinygrad_lab.testing.mutation.observed import PLANTING
from tinygrad_lab.testing.mutation.places import Place, all_rules, rules_of_users, written
from tinygrad_lab.testing.mutation.suggestions import Suggestion, together

NOTHING = (
    "no fault was planted: the test reaches no derivative rule from outside NumPy and "
    "tinygrad_lab, no gradient of an adapted function, no class with a backward pass, no "
    "torch.autograd.Function, and no operation of Tensors"
)

MOST_LINES = 12  # of what to add, in the text of a score


@contextlib.contextmanager
def undisturbed(functions: Iterable[Any]) -> Iterator[None]:
    """Keep failures on planted faults out of Hypothesis' example database, and do not shrink."""
    label = "_hypothesis_internal_use_settings"
    plain = [getattr(f, "__func__", f) for f in functions]
    before = {f: vars(f)[label] for f in plain if label in getattr(f, "__dict__", {})}
    for f, old in before.items():
        from hypothesis import Phase, settings

        phases = [phase for phase in old.phases if phase in (Phase.explicit, Phase.generate)]
        vars(f)[label] = settings(
            old, database=None, phases=phases, print_blob=False, deadline=None
        )
    try:
        yield
    finally:
        for f, old in before.items():
            vars(f)[label] = old


@dataclass(frozen=True)
class MutationScore:
    """How many planted faults some tests noticed.

    Attributes
    ----------
    noticed, total : int
        How many made a test fail, of how many that were planted and can be noticed.
    missed : list of (str, str)
        The others: which gradient, and what was wrong with it.
    reached : list of str
        Every gradient that faults were planted in.
    by_test : dict of str to dict
        For each test which faults it noticed and which it missed, as ``{"noticed": [(gradient,
        fault), ...], "missed": [...]}``.
    suggestions : list of Suggestion
        What to add for those that were missed.
    without_effect : list of (str, str)
        Faults that nothing is known to notice, and that do not count: where a function is not
        defined, say.
    left_out : list of str
        Tests that fail by themselves, where there are several.
    not_planted : int
        For how many faults the budget was too short.
    """

    noticed: int
    total: int
    missed: list[tuple[str, str]]
    reached: list[str]
    by_test: dict[str, dict[str, list[tuple[str, str]]]] = field(default_factory=dict)
    suggestions: list[Suggestion] = field(default_factory=list)
    without_effect: list[tuple[str, str]] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    not_planted: int = 0

    @property
    def score(self) -> float | None:
        """The share that was noticed, from 0 to 1; None where there was nothing to plant in."""
        return self.noticed / self.total if self.total else None

    def __str__(self) -> str:
        rows = [f"{test} fails by itself: left out" for test in self.left_out]
        if self.not_planted:
            rows.append(f"{self.not_planted} faults were not planted: the budget was spent")
        if self.score is None:
            return "\n".join([*rows, *([] if self.not_planted else [NOTHING])])
        share = 100 * self.noticed // self.total  # never 100 where one was missed
        rows.append(f"{self.noticed} of {self.total} planted faults noticed ({share} %)")
        width = max(len(label) for label in self.reached)
        for label in self.reached:
            missed = ", ".join(fault for rule, fault in self.missed if rule == label)
            rows.append(f"  {label:<{width}}  {f'missed: {missed}' if missed else 'all noticed'}")
        if len(self.by_test) > 1:
            rows += [
                f"  {test} alone notices {len(sums['noticed'])}"
                for test, sums in self.by_test.items()
            ]
        lines = together(s for s in self.suggestions if s.line)
        rows += ["to notice more:"] if lines else []
        rows += ["  " + text.replace("\n", "\n  ") for text in lines[:MOST_LINES]]
        if len(lines) > MOST_LINES:
            rows.append(f"  and {len(lines) - MOST_LINES} more, in .suggestions")
        return "\n".join(rows)


def mutation_score(
    test: Callable[[], Any] | Collection[Callable[[], Any]],
    *,
    ops: Collection[Any] | None = None,
    faults: Collection[str] | None = None,
    budget: float | None = None,
) -> MutationScore:
    """Say which wrong gradients tests would notice, by making them wrong and running the tests.

    The tests are run twice as they are, and must pass.  Then every gradient that they reach is
    made wrong, in up to sixteen ways, one at a time: six that are everywhere, and some in one
    region of values, one element, shape, dtype, option or memory layout.  Those tests run again
    that reach the part.  For what no test notices a line is looked for that does.

    Parameters
    ----------
    test : callable, or several
        Tests without arguments: of pytest, of Hypothesis, made by ``gradtest``, or lambdas that
        call ``gradcheck``.
    ops : collection, optional
        Whose gradients to make wrong: operations of the derivative table, whoever wrote their
        rules, and adapted functions or their names.  By default the rules from outside NumPy and
        this package, all adapted functions, classes with a backward pass, and subclasses
        of ``torch.autograd.Function``; and where a test reaches none of these, the gradient through
        each operation of Tensors that it calls.
    faults : collection of str, optional
        In which ways: names as they are in the score, such as ``sign flipped``.
    budget : float, optional
        How many seconds it may take; what is cheap to try is tried first.

    Returns
    -------
    MutationScore
        Its ``score`` is None where the tests reach no such gradient.

    Raises
    ------
    TypeError
        A test takes arguments.
    ValueError
        The test does not pass as it is, or not twice, where there is only one; or there is no such
        fault.

    Notes
    -----
    A fault that nothing can notice does not count, where that is known: in a region where the
    function is not defined, say.  Hand over a test of Hypothesis as it is, not within a lambda:
    failures on planted faults are then not kept among its examples.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_lab import testing as tgt
    >>> leaky = tgt.adapters.numpy(
    ...     lambda x: np.where(x > 0, x, 0.1 * x), lambda g, x: np.where(x > 0, g, 0.1 * g),
    ...     name="leaky",
    ... )
    >>> test = lambda: tgt.gradcheck(leaky, np.array([[0.5, 30.0], [0.2, 0.5]]))
    >>> score = tgt.mutation_score(test, faults=["doubled", "wrong where the input is negative"])
    >>> print(score)
    1 of 2 planted faults noticed (50 %)
      leaky, by x  missed: wrong where the input is negative
    to notice more:
      leaky, by x: no test has a negative input
          tgt.gradcheck(leaky, np.array([-0.5]))
          or @tgt.gradtest(domain=tgt.Domain(-3, 3))
    """
    start = time.perf_counter()
    end = start + (float("inf") if budget is None else budget)
    chosen, owners = _chosen_faults(faults), _chosen_owners(ops)
    tests = _named([test] if callable(test) else list(test))
    for one in tests.values():
        _takes_nothing(one)
    left_out = []
    with PLANTING, undisturbed(tests.values()):
        every = rules_of_users() if ops is None else [p for p, _ in all_rules()]
        campaign = Campaign([p for p in every if ops is None or p.owner in owners])
        for name, one in tests.items():
            error = _failure_as_it_is(campaign, name, one)
            if error is not None and len(tests) == 1:
                raise error
            if error is not None:
                left_out.append(name)
                campaign.forget(name)

        def is_chosen(place: Place, fault: Fault) -> bool:
            owner_is = ops is None or getattr(place, "owner", None) in owners
            return owner_is and (chosen is None or fault.name in chosen)

        def run(names: Sequence[str]) -> Iterator[tuple[str, bool]]:
            for name in names:
                with contextlib.redirect_stdout(io.StringIO()):
                    passed = _failure_of(tests[name]) is None
                yield name, passed

        places = campaign.watch.places
        campaign.watch.places = {p: x for p, x in places.items() if x.reached}
        names = names_in(map(written, tests.values()))
        campaign.choose(names, is_chosen, end)
        campaign.plant(run, end)
        campaign.suggest(names, end)
    return _score(campaign, [name for name in tests if name not in left_out], left_out)


def _score(campaign: Campaign, tests: Sequence[str], left_out: list[str]) -> MutationScore:
    reached = campaign.judged
    missed = [m for m in reached if not m.noticed]
    return MutationScore(
        len(reached) - len(missed),
        len(reached),
        [_pair(m) for m in missed],
        list(dict.fromkeys(m.place.label for m in reached)),
        {
            test: {
                "noticed": [_pair(m) for m in reached if test in m.noticed],
                "missed": [_pair(m) for m in reached if test in m.missed],
            }
            for test in tests
        },
        [m.suggestion for m in missed if m.suggestion is not None],
        [_pair(m) for m in campaign.pointless],
        left_out,
        sum(not m.done for m in campaign.mutants),
    )


def _pair(mutant: Mutant) -> tuple[str, str]:
    return mutant.place.label, mutant.fault.name


def _named(tests: Sequence[Callable[[], Any]]) -> dict[str, Callable[[], Any]]:
    """Name tests; two of one name by their number as well."""
    names: dict[str, Callable[[], Any]] = {}
    for i, test in enumerate(tests):
        name = name_of(test)
        names[f"{name} #{i}" if name in names else name] = test
    return names


def _chosen_faults(faults: Collection[str] | None) -> list[str] | None:
    if faults is None:
        return None
    asked = [faults] if isinstance(faults, str) else list(faults)
    known = [*EVERYWHERE, *(fault.name for fault in PARTIAL)]
    if unknown := [f for f in asked if f not in known and not f.startswith("wrong ")]:
        raise ValueError(f"no fault is called {', '.join(unknown)}; there are {', '.join(known)}")
    return asked


def _chosen_owners(ops: Collection[Any] | None) -> list[Any]:
    """Give the operations that are asked for, and of adapted functions their names."""
    owners = [op.__name__ if isinstance(op, Adapter) else op for op in ops or ()]
    for op in owners:
        if not isinstance(op, str) and not vjps_of(op):
            raise ValueError(
                f"{name_of(op)} has no rule in the derivative table; say an operation that has, "
                "an adapted function, or the name of one"
            )
    return owners


def _takes_nothing(test: Callable[[], Any]) -> None:
    try:
        inspect.signature(test).bind()
    except ValueError:  # of what is compiled
        return
    except TypeError:
        raise TypeError(
            "mutation_score calls the test without arguments, and "
            f"{name_of(test)}{inspect.signature(test)} takes some: hand over a lambda that calls it"
        ) from None


def _failure_as_it_is(campaign: Campaign, name: str, test: Callable[[], Any]) -> ValueError | None:
    """Run a test twice with nothing planted, the first time watched."""
    with campaign.watched(name):
        first = _failure_of(test)
    if first is not None:
        return _error("as it is, before any fault is planted", first)
    second = _failure_of(test)
    if second is not None:
        when = "when it is run a second time, so a failure would say nothing"
        return _error(when, second)
    return None


def _error(when: str, cause: BaseException) -> ValueError:
    first = str(cause).partition("\n")[0]
    error = ValueError(f"mutation_score: the test fails {when}: {type(cause).__name__}: {first}")
    error.__cause__ = cause
    return error


def _failure_of(test: Callable[[], Any]) -> BaseException | None:
    """Run a test, and give whatever it raises, pytest's own outcomes too."""
    try:
        test()
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:  # noqa: BLE001
        return error
    return None
