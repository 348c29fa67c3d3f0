"""Plant faults in the derivative rules of a user, one after the other, and rerun the tests.

A test that reaches a planted fault and still passes would not have noticed it.

Not for: the faults that our own checker is measured against (``faults.py``), or hand-written
backward passes, which are in no table.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tinygrad_lab.core.engine import RULES
from tinygrad_lab.core.errors import name_of

__all__ = ["MUTATIONS", "Mutant", "mutants", "planted"]

Rule = Callable[..., Any]
_NOT_THE_USERS = ("numpy", "tinygrad_lab")


def _averaged(rule: Rule, g: Any, *rest: Any, **kwargs: Any) -> Any:
    c = rule(g, *rest, **kwargs)
    return c * 0 + c.sum() / max(c.size, 1)


#: What is done to a rule, by what to call it.
MUTATIONS: dict[str, Callable[..., Any]] = {
    "sign flipped": lambda rule, g, *rest, **kw: -rule(g, *rest, **kw),
    "doubled": lambda rule, g, *rest, **kw: rule(g, *rest, **kw) * 2,
    "zeroed": lambda rule, g, *rest, **kw: rule(g, *rest, **kw) * 0,
    "0.1 % too large": lambda rule, g, *rest, **kw: rule(g, *rest, **kw) * 1.001,
    "upstream taken for 1": lambda rule, g, *rest, **kw: rule(g * 0 + 1, *rest, **kw),
    "averaged over the elements": _averaged,
}


@dataclass
class Mutant:
    """One fault that can be planted, and which tests noticed.

    Attributes
    ----------
    op : callable
        The operation whose rule is made wrong.
    argnum : int or None
        The argument it is the rule of; None for all of an operation with any number.
    fault : str
        One of :data:`MUTATIONS`.
    noticed, missed : list of str
        The tests that failed, and those that ran the wrong rule and passed.
    reached : bool
        Whether the rule has run since this was last set to False.
    """

    op: Any
    argnum: int | None
    fault: str
    noticed: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    reached: bool = False

    @property
    def rule(self) -> str:
        """Name the rule in messages."""
        by = "" if self.argnum is None else f", by argument {self.argnum}"
        return f"{name_of(self.op)}{by}"

    def wrong(self, rule: Rule) -> Rule:
        """Make a rule wrong."""
        mutation = MUTATIONS[self.fault]

        def mutated(g: Any, *rest: Any, **kwargs: Any) -> Any:
            self.reached = True
            return mutation(rule, g, *rest, **kwargs)

        return mutated


class _AllWrong:
    """The rules of an operation of any number of arguments, each made wrong when it is asked for.

    The engine goes through it with ``zip``, which ends with the shorter of the two.
    """

    def __init__(self, rules: Any, mutant: Mutant) -> None:
        self._rules, self._mutant = rules, mutant

    def __getitem__(self, argnum: int) -> Rule:
        return self._mutant.wrong(self._rules[argnum])

    def __len__(self) -> int:
        return len(self._rules)


def mutants() -> list[Mutant]:
    """List every fault that can be planted in rules written outside NumPy and this package."""
    found = []
    for op, rules in list(RULES.items()):
        if not isinstance(rules, tuple):
            places: Sequence[int | None] = [None] if _is_users(op) else []
        else:
            places = [i for i, rule in enumerate(rules) if rule and _is_users(rule)]
        found += [Mutant(op, place, fault) for place in places for fault in MUTATIONS]
    return found


def _is_users(function: Any) -> bool:
    while isinstance(function, functools.partial):
        function = function.func
    module = getattr(function, "__module__", None) or "numpy"
    return module.partition(".")[0] not in _NOT_THE_USERS


@contextlib.contextmanager
def planted(mutant: Mutant) -> Iterator[None]:
    """Put a wrong rule into the table, and the right one back."""
    right = RULES[mutant.op]
    if mutant.argnum is None:
        RULES[mutant.op] = _AllWrong(right, mutant)
    else:
        wrong = list(right)
        wrong[mutant.argnum] = mutant.wrong(wrong[mutant.argnum])
        RULES[mutant.op] = tuple(wrong)
    try:
        yield
    finally:
        RULES[mutant.op] = right
