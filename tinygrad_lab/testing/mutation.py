"""Plant faults in the gradients that a user wrote, one after the other, and rerun their tests.

A gradient that a user wrote is a derivative rule from outside NumPy and this package, or what an
adapted function gives back by one of its inputs.

Not for: the faults that our own checker is measured against (``benchmarks/checkers``), or running
pytest (``pytest/plugin.py``).
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import io
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

import numpy as np

from tinygrad_lab.core.errors import name_of
from tinygrad_lab.core.operations import OPERATIONS, planted, vjps_of
from tinygrad_lab.testing.adapters.adapted import Adapted
from tinygrad_lab.testing.judging.subject import Adapter, Pull
from tinygrad_lab.testing.session import current_session, session

__all__ = [
    "MUTATIONS", "Mutant", "MutationScore", "Place", "Rule", "mutation_score", "rules_of_users",
    "undisturbed", "watched",
]  # fmt: skip

Function = Callable[..., Any]
NOT_THE_USERS = ("numpy", "tinygrad_lab")


def same(x: Any) -> Any:
    """Change nothing."""
    return x


@dataclass(frozen=True)
class Mutation:
    """What becomes of a gradient, or of the upstream before it is computed."""

    gradient: Function = same
    upstream: Function = same

    def of_rule(self, rule: Function) -> Function:
        """Make a derivative rule wrong."""
        return lambda g, *call, **kw: self.gradient(rule(self.upstream(g), *call, **kw))

    def of_pull(self, pull: Pull, position: int) -> Pull:
        """Make the gradient by one input wrong, of all that a pullback gives."""

        def wrong(upstreams: Sequence[Any]) -> list[Any]:
            gradients = pull(upstreams)
            if self.upstream is not same:
                gradients[position] = pull([self.upstream(u) for u in upstreams])[position]
            if isinstance(gradients[position], (np.ndarray, np.generic)):
                gradients[position] = self.gradient(gradients[position])
            return gradients

        return wrong


#: The faults, by what to call them.
MUTATIONS = {
    "sign flipped": Mutation(lambda c: -c),
    "doubled": Mutation(lambda c: c * 2),
    "zeroed": Mutation(lambda c: c * 0),
    "0.1 % too large": Mutation(lambda c: c * 1.001),
    "upstream taken for 1": Mutation(upstream=lambda g: g * 0 + 1),
    "averaged over the elements": Mutation(lambda c: c * 0 + c.sum() / max(c.size, 1)),
}


# ---------------------------------------------------------------------------------------------
# Where it is done


@dataclass(frozen=True)
class Rule:
    """The rule of an operation by one argument; by None for all of an operation with any number."""

    owner: Any
    argnum: int | None

    @property
    def label(self) -> str:
        """Name it in messages."""
        by = "" if self.argnum is None else f", by argument {self.argnum}"
        return f"{name_of(self.owner)}{by}"

    def planted(self, mutation: Mutation) -> AbstractContextManager[Any]:
        """Make it wrong, and right again."""
        return self.wrapped(mutation.of_rule)

    def wrapped(self, wrap: Callable[[Function], Function]) -> AbstractContextManager[Any]:
        """Put something around the rule; a test that gives the operation new rules keeps them."""
        vjps = vjps_of(self.owner)
        if self.argnum is not None:
            return planted(self.owner, wrap(vjps[self.argnum]), argnums=[self.argnum])
        each = lambda argnum, *call, **kw: wrap(vjps[argnum])(*call, **kw)
        return planted(self.owner, variadic=each)


@dataclass(frozen=True)
class OfAdapted:
    """What an adapted function, ``owner`` by name, gives back by one of its inputs.

    The function itself may be another one in each run of a test; its code is the same.
    """

    owner: str
    code: Any
    position: int
    by: str

    @classmethod
    def all_of(cls, subject: Adapted) -> list[OfAdapted]:
        """List those of one function."""
        code = getattr(_written(subject.gradient_of), "__code__", None)
        return [cls(subject.name, code, i, by) for i, by in enumerate(subject.names)]

    @property
    def label(self) -> str:
        """Name it in messages, a lambda by its line."""
        where = ""
        if "<lambda>" in self.owner and self.code is not None:
            where = f" ({PurePath(self.code.co_filename).name}:{self.code.co_firstlineno})"
        return f"{self.owner}{where}, by {self.by}"

    def planted(self, mutation: Mutation) -> AbstractContextManager[Any]:
        """Make it wrong, and right again."""

        def intercept(subject: Any, pull: Pull) -> Pull:
            here = self in OfAdapted.all_of(subject)
            return mutation.of_pull(pull, self.position) if here else pull

        return _intercepting(intercept)


#: A gradient by one argument.  Two are equal where they are the same in every run of a test.
Place = Rule | OfAdapted


def _intercepting(intercept: Callable[[Any, Pull], Pull]) -> AbstractContextManager[Any]:
    return session(interceptors=(*current_session().interceptors, intercept))


def _written(function: Any) -> Any:
    """Find what somebody wrote under what was wrapped around it."""
    while isinstance(function, functools.partial):
        function = function.func
    return inspect.unwrap(function)


# ---------------------------------------------------------------------------------------------
# Which places there are, and which a test reaches


def _rules() -> Iterator[tuple[Rule, Any]]:
    for op, operation in list(OPERATIONS.items()):
        vjps = operation.vjps
        if isinstance(vjps, tuple):
            yield from ((Rule(op, i), vjp) for i, vjp in enumerate(vjps) if vjp is not None)
        else:
            yield Rule(op, None), vjps[0]


def rules_of_users() -> list[Rule]:
    """List the derivative rules that were written outside NumPy and this package."""
    return [place for place, rule in _rules() if _is_users(rule)]


def _is_users(rule: Any) -> bool:
    written = _written(rule)
    module = getattr(written, "__module__", None)
    if module is None:  # of what is compiled, a ufunc say, and of what ``exec`` has run
        return hasattr(written, "__code__")
    return module.partition(".")[0] not in NOT_THE_USERS


@contextlib.contextmanager
def watched(rules: Iterable[Rule]) -> Iterator[list[Place]]:
    """List which of some rules run in the meantime, and gradients of adapted functions."""
    reached: dict[Place, None] = {}

    def noting(place: Rule, rule: Function) -> Function:
        def noted(*args: Any, **kwargs: Any) -> Any:
            reached[place] = None
            return rule(*args, **kwargs)

        return noted

    def intercept(subject: Any, pull: Pull) -> Pull:
        def noted(upstreams: Sequence[Any]) -> list[Any]:
            gradients = pull(upstreams)
            reached.update(dict.fromkeys(OfAdapted.all_of(subject)[: len(gradients)]))
            return gradients

        return noted

    places: list[Place] = []  # filled at the end
    with contextlib.ExitStack() as stack:
        stack.callback(lambda: places.extend(reached))
        for place in rules:
            stack.enter_context(place.wrapped(functools.partial(noting, place)))
        stack.enter_context(_intercepting(intercept))
        yield places


@dataclass
class Mutant:
    """A fault that can be planted, and the tests that fail on it, or reach its place and pass."""

    place: Place
    fault: str
    noticed: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)

    def planted(self) -> AbstractContextManager[Any]:
        """Plant the fault, and take it out again."""
        return self.place.planted(MUTATIONS[self.fault])

    def as_data(self) -> dict[str, Any]:
        """Give what JSON can hold."""
        names = {"rule": self.place.label, "fault": self.fault}
        return {**names, "noticed": self.noticed, "missed": self.missed}


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
    """How many planted faults a test noticed.

    Attributes
    ----------
    noticed, total : int
        How many made the test fail, of how many that were planted.
    missed : list of (str, str)
        The others: which gradient, and what was wrong with it.
    reached : list of str
        Every gradient that faults were planted in.
    """

    noticed: int
    total: int
    missed: list[tuple[str, str]]
    reached: list[str]

    @property
    def score(self) -> float | None:
        """The share that was noticed, from 0 to 1; None where there was nothing to plant in."""
        return self.noticed / self.total if self.total else None

    def __str__(self) -> str:
        if self.score is None:
            return (
                "no fault was planted: the test reaches no derivative rule from outside NumPy "
                "and tinygrad_lab, and no gradient of an adapted function"
            )
        share = 100 * self.noticed // self.total  # never 100 where one was missed
        rows = [f"{self.noticed} of {self.total} planted faults noticed ({share} %)"]
        width = max(len(label) for label in self.reached)
        for label in self.reached:
            missed = ", ".join(fault for rule, fault in self.missed if rule == label)
            rows.append(f"  {label:<{width}}  {f'missed: {missed}' if missed else 'all noticed'}")
        return "\n".join(rows)


def mutation_score(
    test: Callable[[], Any],
    *,
    ops: Collection[Any] | None = None,
    faults: Collection[str] | None = None,
) -> MutationScore:
    """Say which wrong gradients a test would notice, by making them wrong and running it.

    The test is run twice as it is, and must pass.  Then every gradient that it reached is made
    wrong in six ways, one at a time, and the test is run on each.

    Parameters
    ----------
    test : callable
        A test without arguments: of pytest, of Hypothesis, made by ``gradtest``, or a lambda that
        calls ``gradcheck``.
    ops : collection, optional
        Whose gradients to make wrong: operations of the derivative table, whoever wrote their
        rules, and adapted functions or their names.  By default all adapted functions, and the
        rules from outside NumPy and this package.
    faults : collection of str, optional
        In which ways; by default ``sign flipped``, ``doubled``, ``zeroed``, ``0.1 % too large``,
        ``upstream taken for 1`` and ``averaged over the elements``.

    Returns
    -------
    MutationScore
        Its ``score`` is None where the test reached no such gradient.

    Raises
    ------
    TypeError
        The test takes arguments.
    ValueError
        The test does not pass as it is, or not twice; or there is no such fault.

    Notes
    -----
    A fault that changes nothing counts as missed: that an upstream is taken for 1 cannot be seen
    by a test that only ever sums.  Hand over a test of Hypothesis as it is, not within a lambda:
    failures on planted faults are then not kept among its examples.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_lab import testing as tgt
    >>> by_hand = lambda g, x: g * np.cos(x)
    >>> sine = tgt.adapters.numpy(lambda x: np.sin(x), by_hand, name="sine")
    >>> x = np.array([0.5, 1.0])
    >>> print(tgt.mutation_score(lambda: tgt.gradcheck(sine, x)))
    6 of 6 planted faults noticed (100 %)
      sine, by x  all noticed
    >>> only_its_form = lambda: tgt.gradcheck(sine, x, properties=["well_formed", "finite"])
    >>> tgt.mutation_score(only_its_form).score
    0.0
    """
    chosen, owners = _chosen_faults(faults), _chosen_owners(ops)
    every = [place for place, _ in _rules() if place.owner in owners]
    rules = rules_of_users() if ops is None else every
    _takes_nothing(test)
    with undisturbed([test]):
        with watched(rules) as reached:
            _passes(test, "as it is, before any fault is planted")
        _passes(test, "when it is run a second time, so a failure would say nothing")
        places = [place for place in reached if ops is None or place.owner in owners]
        mutants = [Mutant(place, fault) for place in places for fault in chosen]
        missed = [(m.place.label, m.fault) for m in mutants if not _notices(test, m)]
    labels = list(dict.fromkeys(m.place.label for m in mutants))
    return MutationScore(len(mutants) - len(missed), len(mutants), missed, labels)


def _chosen_faults(faults: Collection[str] | None) -> list[str]:
    asked = [faults] if isinstance(faults, str) else list(MUTATIONS if faults is None else faults)
    if unknown := [fault for fault in asked if fault not in MUTATIONS]:
        known = ", ".join(MUTATIONS)
        raise ValueError(f"no fault is called {', '.join(unknown)}; there are {known}")
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
        signature = inspect.signature(test)
    except ValueError:
        return
    try:
        signature.bind()
    except TypeError:
        raise TypeError(
            f"mutation_score calls the test without arguments, and {name_of(test)}{signature} "
            "takes some: hand over a lambda that calls it"
        ) from None


def _passes(test: Callable[[], Any], when: str) -> None:
    if (error := _failure_of(test)) is not None:
        first = str(error).partition("\n")[0]
        message = f"mutation_score: the test fails {when}: {type(error).__name__}: {first}"
        raise ValueError(message) from error


def _notices(test: Callable[[], Any], mutant: Mutant) -> bool:
    with mutant.planted(), contextlib.redirect_stdout(io.StringIO()):
        return _failure_of(test) is not None


def _failure_of(test: Callable[[], Any]) -> BaseException | None:
    """Run a test, and give whatever it raises, pytest's own outcomes too."""
    try:
        test()
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:  # noqa: BLE001
        return error
    return None
