"""Measure checkers: which planted faults each of them notices, and when it cries wolf.

    python -m tinygrad_lab.testing.benchmark [--quick] [--seeds N] [--json P] [--markdown P]

A fault is carried to another library's checker as a custom function of that library, made of the
same NumPy forward and backward computation.  What a tool says counts as noticing a fault only if
it is content with the same input once the fault is taken out.

Not for: checking your own gradients (``check_op``, ``gradcheck``), or timing.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import importlib.util
import json
import platform
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol
from unittest import mock

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tinygrad_lab.testing import operations, strategies
from tinygrad_lab.testing.catalogue import Call
from tinygrad_lab.testing.check import gradcheck
from tinygrad_lab.testing.faults import ENGINE, FAULTS, Fault
from tinygrad_lab.testing.ledger import blame
from tinygrad_lab.testing.report import FAIL, GradientError
from tinygrad_lab.testing.subjects import Subject, TensorSubject, bind

__all__ = ["Row", "Table", "main", "measure"]

Array = Any
JITTER = 1 / 32  # numbers that lie on no grid, yet on their side of every kink
LARGEST = 10.0  # no one's typical input has larger elements
WAYS = ("typical", "random", "strategy")


# ---------------------------------------------------------------------------------------------
# The tools


class Tool(Protocol):
    """A checker: ``alarm(call, rng)`` tells whether it objects to the gradient of a call."""

    name: str
    package: str
    setting: str

    def alarm(self, call: Call, rng: int) -> str:
        """Say what it objects to, or nothing."""
        ...


def _subject(call: Call) -> tuple[Subject, list[Array]]:
    args = bind(call.arrays, None)
    f: Any = call.f
    made = f.subject(args) if hasattr(f, "subject") else TensorSubject(f, args)
    return made, [np.array(x) for x in args.arrays]


class Ours:
    """``gradcheck`` of this package, as ``check_op`` calls it."""

    name, package = "ours", "tinygrad-lab"
    setting = "gradcheck and check_op, default profile, order=2"

    def alarm(self, call: Call, rng: int) -> str:
        """Report the kind of the first finding."""
        report = gradcheck(call.f, *call.arrays, order=2, rng=rng, raises=False, name="f")
        return report.findings[0].kind if report.findings else ""


class Torch:
    """``torch.autograd.gradcheck``, of a ``torch.autograd.Function``."""

    package = "torch"

    def __init__(self, fast: bool) -> None:
        self.fast = fast
        self.name = f"torch {'fast' if fast else 'slow'}"
        self.setting = f"torch.autograd.gradcheck, fast_mode={fast}, otherwise its defaults"

    def alarm(self, call: Call, rng: int) -> str:
        """Run it, and report the type of what it raises."""
        import torch

        subject, arrays = _subject(call)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(rng)
            # gradcheck refuses the strides that NumPy gives to empty arrays
            new = [torch.empty(x.shape, dtype=torch.float64) for x in arrays]
            for t, x in zip(new, arrays, strict=True):
                t.copy_(torch.from_numpy(x))
            inputs = [t.requires_grad_() for t in new]
            function = _torch_function(subject)
            return _raised(
                lambda: torch.autograd.gradcheck(function, inputs, fast_mode=self.fast)
            )


def _torch_function(subject: Subject) -> Callable[..., Any]:
    import torch

    def tensor(x: Any) -> Any:
        """Share memory where that is possible; PyTorch knows no negative strides."""
        x = np.asarray(x)
        shareable = x.flags.writeable and all(step >= 0 for step in x.strides)
        return torch.from_numpy(x if shareable else x.copy())

    class Carried(torch.autograd.Function):  # type: ignore[misc, unused-ignore]
        @staticmethod
        def forward(ctx: Any, *xs: Any) -> Any:
            recorded = subject.record([x.detach().numpy() for x in xs])
            ctx.pull = recorded.pull
            ys = tuple(tensor(np.array(y)) for y in recorded.outputs)
            return ys[0] if len(ys) == 1 else ys

        @staticmethod
        def backward(ctx: Any, *gs: Any) -> Any:
            found = ctx.pull([g.detach().numpy() for g in gs])
            return tuple(None if g is None else tensor(g) for g in found)

    return lambda *xs: Carried.apply(*xs)  # type: ignore[no-untyped-call, unused-ignore]


class Autograd:
    """``autograd.test_util.check_grads``, of a ``primitive`` with ``defvjp``."""

    name, package = "autograd", "autograd"
    setting = 'autograd.test_util.check_grads, of all inputs, modes=["rev"], order=1'

    def alarm(self, call: Call, rng: int) -> str:
        """Run it, and report the type of what it raises."""
        from autograd.extend import defvjp_argnums, primitive
        from autograd.test_util import check_grads

        subject, arrays = _subject(call)
        latest: dict[str, Any] = {}

        @primitive  # type: ignore[untyped-decorator, unused-ignore]
        def carried(*xs: Any) -> Any:
            recorded = subject.record([np.asarray(x) for x in xs])
            latest["pull"] = recorded.pull
            return recorded.outputs[0]

        def maker(argnums: Any, *_call: Any) -> Any:
            pull = latest["pull"]

            def vjp(g: Any) -> Any:
                found = pull([g])
                return tuple(np.asarray(found[i]) for i in argnums)

            return vjp

        defvjp_argnums(carried, maker)
        argnum = tuple(range(len(arrays)))  # by default it looks at the first input alone
        state = np.random.get_state()  # noqa: NPY002 - it draws its directions from there
        np.random.seed(rng)  # noqa: NPY002
        try:
            return _raised(lambda: check_grads(carried, argnum, modes=["rev"], order=1)(*arrays))
        finally:
            np.random.set_state(state)  # noqa: NPY002


class Jax:
    """``jax.test_util.check_grads``, of a ``custom_vjp`` around ``pure_callback``."""

    name, package = "jax", "jax"
    setting = 'jax.test_util.check_grads, modes=["rev"], order=1, 64-bit'

    def alarm(self, call: Call, rng: int) -> str:  # noqa: ARG002 - its directions are fixed
        """Run it, and report the type of what it raises."""
        jax: Any = importlib.import_module("jax")
        check_grads: Any = importlib.import_module("jax.test_util").check_grads
        jax.config.update("jax_enable_x64", True)
        subject, arrays = _subject(call)
        like: Any = lambda xs: tuple(jax.ShapeDtypeStruct(x.shape, x.dtype) for x in xs)
        outputs = like([np.asarray(y) for y in subject.evaluate(arrays).outputs])
        plain: Any = lambda xs: [np.array(x) for x in xs]

        def compute(*xs: Any) -> Any:
            return tuple(subject.evaluate(plain(xs)).outputs)

        def pull(g: Any, *xs: Any) -> Any:
            return tuple(subject.record(plain(xs)).pull(plain(g)))

        carried = jax.custom_vjp(lambda *xs: jax.pure_callback(compute, outputs, *xs))

        def backward(xs: Any, g: Any) -> Any:
            return jax.pure_callback(pull, like(xs), g, *xs)

        carried.defvjp(lambda *xs: (carried(*xs), xs), backward)
        return _raised(lambda: check_grads(carried, tuple(arrays), order=1, modes=["rev"]))


def _raised(check: Callable[[], Any]) -> str:
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            check()
    except Exception as error:  # noqa: BLE001 - that it raises is what it has to say
        return type(error).__name__
    return ""


TOOLS: tuple[Tool, ...] = (Ours(), Torch(fast=False), Torch(fast=True), Autograd(), Jax())


def _is_installed(tool: Tool) -> bool:
    return isinstance(tool, Ours) or importlib.util.find_spec(tool.package) is not None


def _version(tool: Tool) -> str:
    try:
        return importlib.metadata.version(tool.package)
    except importlib.metadata.PackageNotFoundError:
        return "this tree" if isinstance(tool, Ours) else "not installed"


# ---------------------------------------------------------------------------------------------
# What a fault is planted in, and inputs of it


@dataclass(frozen=True)
class Specimen:
    """An operation that faults are planted in, and how calls of it are generated."""

    name: str
    op: Any
    smooth: st.SearchStrategy[Call]
    has_special: bool


def specimen_of(fault: Fault) -> Specimen | None:
    """Say what a fault is planted in; None where that is no operation."""
    if fault.op is None:
        return None
    calls = operations.calls_of(fault.op, fault.inputs)
    return Specimen(fault.op.__name__, fault.op, calls, has_special=fault.inputs is None)


def carried(fault: Fault) -> str:
    """Say why a fault means nothing to other libraries; nothing where it does."""
    if fault.family == ENGINE and not fault.blamed:
        return "of our engine"
    if fault.number == 62:
        return "second order, which a pair of NumPy functions does not have"
    return ""


def draw(strategy: st.SearchStrategy[Any], number: int, rng: int) -> list[Any]:
    """Draw examples as Hypothesis would, without looking for anything."""
    found: list[Any] = []

    @seed(rng)
    @settings(
        max_examples=number, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(strategy)
    def collect(example: Any) -> None:
        found.append(example)

    collect()
    return found


def typical(calls: Sequence[Call]) -> Call:
    """Choose the plainest call: full arrays, fewest options; as one would write by hand."""
    full = [c for c in calls if all(_is_full(x) for x in c.arrays)]
    return min(full or calls, key=lambda c: len(c.text))


def _is_full(x: Any) -> bool:
    plain = not isinstance(x, np.ndarray) or x.dtype.kind != "f"
    return plain or (x.ndim > 0 and min(x.shape) > 1 and x.size > 2)


def redrawn(call: Call, calls: Sequence[Call], rng: np.random.Generator) -> Call:
    """Put other numbers into the arrays of a call: from where the operation's others lie."""
    arrays = []
    for i, x in enumerate(call.arrays):
        if not isinstance(x, np.ndarray) or x.dtype.kind != "f":
            arrays.append(x)
            continue
        pool = np.unique(np.concatenate([np.ravel(c.arrays[i]) for c in calls if _has(c, i)]))
        pool = pool[np.abs(pool) <= LARGEST]
        picks = rng.choice(pool, x.size, replace=x.size > pool.size)
        arrays.append((picks + rng.uniform(-JITTER, JITTER, x.size)).reshape(x.shape))
    return Call(call.text, call.f, arrays)


def _has(call: Call, i: int) -> bool:
    x = call.arrays[i] if i < len(call.arrays) else None
    return isinstance(x, np.ndarray) and x.dtype.kind == "f"


def special(call: Call, rng: np.random.Generator) -> Call | None:
    """Put zeros, ties and extremes into a call; None where it has no value there."""
    arrays = [
        rng.choice(strategies.SPECIAL, x.shape) if _has(call, i) else x
        for i, x in enumerate(call.arrays)
    ]
    moved = Call(call.text, call.f, arrays)
    try:
        with np.errstate(all="ignore"):
            subject, inputs = _subject(moved)
            values = subject.evaluate(inputs).outputs
    except Exception:  # noqa: BLE001 - not every operation is defined everywhere
        return None
    return moved if all(np.all(np.isfinite(y)) for y in values) else None


# ---------------------------------------------------------------------------------------------
# Detection


@dataclass
class Row:
    """What became of one fault.

    Attributes
    ----------
    number, name, family
        Of the fault.
    not_carried : str
        Why the other tools cannot be asked; empty where they can.
    caught : dict of str to dict of str to bool
        By tool and way (``typical``, ``random``, ``strategy``); a tool that was not asked is not
        there.
    examples : int or None
        How many examples ours needed.
    shrunk : int or None
        How many numbers the smallest failing input that ours reports has.
    property : str
        Which property of ours noticed.
    rank : int or None
        Place of the patched operation in the ledger of ours, where one was drawn up.
    composite_rank : int or None
        The same inside ``tanh(op(1 * x) / 2)``.
    """

    number: int
    name: str
    family: str
    not_carried: str
    caught: dict[str, dict[str, bool]] = field(default_factory=dict)
    examples: int | None = None
    shrunk: int | None = None
    property: str = ""
    rank: int | None = None
    composite_rank: int | None = None


def _notices(tool: Tool, fault: Fault, points: Sequence[Call]) -> bool:
    """Whether it objects at some point, and does not without the fault."""
    left = iter(enumerate(points))
    while True:
        with fault.plant():
            found = next(((i, point) for i, point in left if tool.alarm(point, i)), None)
        if found is None:
            return False
        i, point = found
        if not tool.alarm(point, i):
            return True


def look_for(fault: Fault, tools: Sequence[Tool], examples: int) -> Row:
    """Ask every tool about one fault."""
    specimen = specimen_of(fault)
    row = Row(fault.number, fault.name, fault.family, carried(fault))
    _ours_by_strategy(fault, examples, row)
    if specimen is None:
        row.caught["ours"] |= {"typical": True, "random": True}  # its one input is a typical one
        return row
    points = _points(specimen, examples)
    for tool in tools:
        if isinstance(tool, Ours):
            asked = {way: points[way] for way in ("typical", "random")}
        elif row.not_carried:
            continue
        else:
            asked = points
        mine = row.caught.setdefault(tool.name, {})
        for way, calls in asked.items():
            mine[way] = _notices(tool, fault, calls)
    return row


def _points(specimen: Specimen, examples: int) -> dict[str, list[Call]]:
    """Choose the inputs of the three ways of checking."""
    rng = np.random.default_rng(0)
    calls = draw(specimen.smooth, examples, 0)
    plainest = typical(calls)
    random = [redrawn(plainest, calls, rng) for _ in range(20)]
    kinks = []
    if specimen.has_special:
        kinks = [special(c, rng) for c in draw(specimen.smooth, examples // 2, 1)]
    return {
        "typical": [redrawn(plainest, calls, rng)],
        "random": random,
        "strategy": calls + [c for c in kinks if c is not None],
    }


def _ours_by_strategy(fault: Fault, examples: int, row: Row) -> None:
    """Run the fault's own check; count what it needs, and look at where it arrives."""
    checked: list[tuple[bool, Any, tuple[Any, ...]]] = []

    def counting(f: Any, *arrays: Any, **options: Any) -> Any:
        try:
            report = gradcheck(f, *arrays, **options)
        except GradientError:
            checked.append((True, f, arrays))
            raise
        checked.append((report.verdict == FAIL, f, arrays))
        return report

    mine = row.caught.setdefault("ours", {})
    with mock.patch.object(operations, "gradcheck", counting), fault.plant():
        try:
            fault.check(examples, 0)
        except GradientError as error:
            finding = error.report.findings[0]
        else:
            mine["strategy"] = False
            return
    mine["strategy"] = True
    failing = [i for i, (failed, *_) in enumerate(checked) if failed]
    _, f, arrays = checked[failing[-1]]
    row.examples, row.property = failing[0] + 1, finding.property
    row.shrunk = sum(np.size(x) for x in arrays if isinstance(x, np.ndarray))
    if fault.blamed:
        row.rank = _rank(finding.blame, fault.blamed)
        with fault.plant():
            row.composite_rank = _composite_rank(f, arrays, fault.blamed)


def _rank(ledger: Any, blamed: str) -> int | None:
    """Count from 1; 0 where the ledger does not have it."""
    if ledger is None:
        return None
    names = [entry.what for entry in ledger.entries]
    return names.index(blamed) + 1 if blamed in names else 0


def _composite_rank(f: Any, arrays: Sequence[Any], blamed: str) -> int | None:
    """Rank the operation among others, where the fault makes a number wrong there."""

    def composite(*xs: Any) -> Any:
        wide = [x * 1.0 if getattr(x, "requires_grad", False) else x for x in xs]
        return np.tanh(f(*wide) / 2.0)

    try:
        with np.errstate(all="ignore"):
            ledger = blame(composite, *arrays)
    except Exception:  # noqa: BLE001 - a rule that raises leaves nothing to account for
        return None
    wrong = np.isfinite(ledger.discrepancy) and abs(ledger.discrepancy) > 1e-9
    return _rank(ledger, blamed) if wrong else None


# ---------------------------------------------------------------------------------------------
# False alarms


@dataclass
class Alarms:
    """How often a tool objects to gradients that are right: at ordinary inputs, and at kinks."""

    ordinary: int = 0
    ordinary_points: int = 0
    at_kinks: int = 0
    kink_points: int = 0
    where: dict[str, int] = field(default_factory=dict)


def false_alarms(
    specimens: Sequence[Specimen], tools: Sequence[Tool], seeds: int, calls: int
) -> dict[str, Alarms]:
    """Ask every tool about the same right gradients, and count what it objects to."""
    found = {tool.name: Alarms() for tool in tools}
    for number in range(seeds):
        for specimen in specimens:
            rng = np.random.default_rng(number)
            ordinary = draw(specimen.smooth, calls, number)
            kinks = [special(c, rng) for c in ordinary] if specimen.has_special else []
            for tool in tools:
                _count(tool, specimen, ordinary, number, False, found[tool.name])
                _count(tool, specimen, [c for c in kinks if c], number, True, found[tool.name])
    return found


def _count(
    tool: Tool, specimen: Specimen, calls: Sequence[Call], rng: int, kinks: bool, into: Alarms
) -> None:
    for call in calls:
        if kinks and isinstance(tool, Ours):
            names = operations.AT_KINKS  # as check_op does at kinks
            report = gradcheck(
                call.f, *call.arrays, rng=rng, raises=False, properties=names, name="f"
            )
            alarmed = bool(report.findings)
        else:
            alarmed = bool(tool.alarm(call, rng))
        if kinks:
            into.kink_points, into.at_kinks = into.kink_points + 1, into.at_kinks + alarmed
        else:
            into.ordinary_points += 1
            into.ordinary += alarmed
        if alarmed:
            into.where[specimen.name] = into.where.get(specimen.name, 0) + 1


# ---------------------------------------------------------------------------------------------
# The table


@dataclass
class Table:
    """Everything measured, and with what."""

    settings: dict[str, Any]
    tools: dict[str, dict[str, str]]
    rows: list[Row]
    alarms: dict[str, Alarms]

    def counts(self) -> dict[str, dict[str, tuple[int, int]]]:
        """Count for each tool and way what was caught, of how many."""
        found: dict[str, dict[str, tuple[int, int]]] = {}
        for name in self.tools:
            asked = [row.caught[name] for row in self.rows if name in row.caught]
            if asked:
                found[name] = {w: (sum(c[w] for c in asked), len(asked)) for w in WAYS}
        return found

    def markdown(self) -> str:
        """Lay it out as a page."""
        return "\n".join([*self._head(), *self._summary(), *self._false(), *self._faults(), ""])

    def _head(self) -> list[str]:
        told = ", ".join(f"{key} {value}" for key, value in self.settings.items())
        rows = [f"- **{n}**: {t['setting']} ({t['version']})" for n, t in self.tools.items()]
        return [*INTRODUCTION, f"Measured with: {told}.", "", *rows, ""]

    def _summary(self) -> list[str]:
        rows = ["## Caught", "", "| tool | 1 typical point | 20 random points | our strategy |"]
        rows.append("|---|---|---|---|")
        counts, carried_over = self.counts(), [r for r in self.rows if not r.not_carried]
        for name, ways in counts.items():
            cells = " | ".join(f"{ways[w][0]} of {ways[w][1]}" for w in WAYS)
            rows.append(f"| {name}{', all faults' if name == 'ours' else ''} | {cells} |")
            if name == "ours":
                same = [sum(r.caught[name][w] for r in carried_over) for w in WAYS]
                cells = " | ".join(f"{n} of {len(carried_over)}" for n in same)
                rows.append(f"| ours, those the others can be asked about | {cells} |")
        missing = [n for n in self.tools if n not in counts]
        rows += [f"| {n} | not installed | not installed | not installed |" for n in missing]
        ranks = [r.rank for r in self.rows if r.rank is not None]
        inside = [r.composite_rank for r in self.rows if r.composite_rank is not None]
        return [
            *rows, "",
            f"Blame ranks the patched operation first in {ranks.count(1)} of {len(ranks)} failures "
            f"that it explains, and inside a composite function in {inside.count(1)} of "
            f"{len(inside)}."
            + "".join(
                f" Not first: fault {r.number} ({r.name}), noticed by {r.property}."
                for r in self.rows
                if r.rank not in (None, 1) or r.composite_rank not in (None, 1)
            ),
            "",
        ]  # fmt: skip

    def _false(self) -> list[str]:
        rows = ["## False alarms", "", "| tool | ordinary inputs | zeros, ties, extremes | where |"]
        rows.append("|---|---|---|---|")
        for name, a in self.alarms.items():
            most = sorted(a.where.items(), key=lambda pair: -pair[1])[:6]
            told = ", ".join(f"{n} {k}" for n, k in most)
            ordinary = f"{a.ordinary} of {a.ordinary_points}"
            rows.append(f"| {name} | {ordinary} | {a.at_kinks} of {a.kink_points} | {told} |")
        return [*rows, ""]

    def _faults(self) -> list[str]:
        names = list(self.alarms)
        head = ["fault", *names, "noticed by", "examples", "shrunk", "rank", "in composite"]
        rows = ["## Every fault", "", *LEGEND, "", "| " + " | ".join(head) + " |"]
        rows.append("|---" * len(head) + "|")
        for row in self.rows:
            marks = [_marks(row.caught.get(name)) for name in names]
            told = (row.examples, row.shrunk, row.rank, row.composite_rank)
            cells = [f"{row.number} {row.name}", *marks, row.property or "–", *map(_cell, told)]
            rows.append("| " + " | ".join(cells) + " |")
        reasons: dict[str, list[str]] = {}
        for row in self.rows:
            if row.not_carried:
                reasons.setdefault(row.not_carried, []).append(str(row.number))
        return [*rows, "", *[f"n/a: {', '.join(n)}: {why}." for why, n in reasons.items()]]


def _cell(value: int | None) -> str:
    return "–" if value is None else str(value)


def _marks(caught: dict[str, bool] | None) -> str:
    if caught is None:
        return "n/a"
    return " ".join("✓" if caught[way] else "·" for way in WAYS)


INTRODUCTION = [
    "# Which checker notices which fault",
    "",
    "Written by `python -m tinygrad_lab.testing.benchmark --markdown PATH`; not edited by hand.",
    "",
    "Each fault of `tgt.FAULTS` is planted, and each checker is asked about it in three ways: at",
    "one typical input (full arrays, fewest options, numbers on no grid and at no kink), at 20",
    "inputs like it with other numbers, and at everything our strategies generate (shapes of all",
    "kinds, options, zeros, ties). For the others the fault becomes a custom function of theirs",
    "made of the same NumPy forward and backward computation, and \"our strategy\" is a loop over",
    "inputs drawn from our strategies. A fault counts as noticed if the checker objects, or",
    "raises, and is content with the same input once the fault is taken out.",
    "",
    "What this does not compare: faults of our engine have no meaning elsewhere; the others are",
    "asked for first derivatives in float64, which is what can be carried over, while ours looks",
    "at second order and float32 as well; what the carrying itself repairs (PyTorch checks",
    "shapes and dtypes of what a function returns, ours sums over broadcast axes in the rules of",
    "its table) is to the credit of neither. The catalogue of faults is ours, so that ours catches",
    "most of it says that the checker was built for it, not that no other faults exist.",
    "",
]

LEGEND = [
    "Three marks a tool: typical point, 20 random points, our strategy; ✓ noticed, · not, n/a not",
    "to be asked. Of ours: the property that noticed, the examples needed, the numbers in the",
    "shrunk input, and the rank of the patched operation in the blame, of the check itself and",
    "inside `tanh(op(1 * x) / 2)`; – where there is no wrong number, or no operation, to blame.",
]


def measure(
    seeds: int = 20,
    examples: int = 100,
    calls: int = 3,
    chosen: Sequence[Fault] | None = None,
    tools: Sequence[Tool] = TOOLS,
    progress: Callable[[str], None] = lambda text: None,
) -> Table:
    """Measure everything.

    Parameters
    ----------
    seeds : int
        For the false alarms.
    examples : int
        Of our strategy.
    calls : int
        Ordinary inputs for each seed and operation, for the false alarms.
    chosen : sequence of Fault, optional
        By default all.
    tools : sequence of Tool
        Those that are not installed are told to be so.
    progress : callable
        Is told what is being done.

    Examples
    --------
    >>> from tinygrad_lab.testing import FAULTS
    >>> table = measure(seeds=1, examples=5, calls=1, chosen=FAULTS[:1], tools=[Ours()])
    >>> table.rows[0].caught["ours"]["strategy"]
    True
    """
    wanted = list(FAULTS if chosen is None else chosen)
    installed = [tool for tool in tools if _is_installed(tool)]
    rows = []
    for fault in wanted:
        progress(f"fault {fault.number}, {fault.name}")
        rows.append(look_for(fault, installed, examples))
    specimens = _distinct(wanted)
    progress(f"false alarms: {len(specimens)} operations, {seeds} seeds")
    alarms = false_alarms(specimens, installed, seeds, calls)
    about = {tool.name: {"setting": tool.setting, "version": _version(tool)} for tool in tools}
    ran = {
        "faults": len(wanted), "seeds": seeds, "examples": examples,
        "operations for false alarms": len(specimens), "inputs a seed": calls,
        "Python": platform.python_version(), "NumPy": np.__version__,
    }  # fmt: skip
    return Table(ran, about, rows, alarms)


def _distinct(chosen: Sequence[Fault]) -> list[Specimen]:
    """Find the operations that can be asked of other tools, each once."""
    found: dict[Any, Specimen] = {}
    for fault in chosen:
        specimen = None if carried(fault) else specimen_of(fault)
        if specimen is not None:
            found.setdefault(specimen.name if specimen.has_special else specimen.op, specimen)
    return list(found.values())


def write(path: Path, text: str) -> None:
    """Write beside, and move into place: a reader sees the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".part")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m tinygrad_lab.testing.benchmark", description="which checker notices what"
    )
    parser.add_argument("--seeds", type=int, help="seeds for the false alarms (20)")
    parser.add_argument("--examples", type=int, help="examples of our strategy (100)")
    parser.add_argument("--quick", action="store_true", help="every fifth fault, 2 seeds")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the numbers there")
    parser.add_argument("--markdown", type=Path, metavar="PATH", help="write the page there")
    options = parser.parse_args(arguments)
    table = measure(
        seeds=options.seeds or (2 if options.quick else 20),
        examples=options.examples or (50 if options.quick else 100),
        chosen=FAULTS[::5] if options.quick else FAULTS,
        progress=lambda text: print(text, file=sys.stderr),  # noqa: T201 - this is a command
    )
    if options.json:
        write(options.json, json.dumps(asdict(table), indent=1) + "\n")
    if options.markdown:
        write(options.markdown, table.markdown())
    print(table.markdown())  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
