"""The pytest plugin: options, the marker and the fixture, and the summary at the end.

It is loaded in every pytest run of an environment that has the package, so it loads nothing that
the package does not.

Not for: checking (``check.py``), what a report looks like (``telling``), which faults are
planted (``mutation.py``), or what is left of a traceback (``tracebacks.py``).
"""

from __future__ import annotations

import contextlib
import itertools
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tinygrad_lab.testing import mutation
from tinygrad_lab.testing.judging.judgement import INCONCLUSIVE, PASS
from tinygrad_lab.testing.pytest.tracebacks import says_it_all, tidy
from tinygrad_lab.testing.session import EXAMPLES, session
from tinygrad_lab.testing.telling import summary
from tinygrad_lab.testing.telling.finding import GradReport

MOST_ROWS = 40  # where nothing is wrong, operations beyond these are counted, unless -v
_COLOURS = {"fail": "red", "inconclusive": "yellow", "pass": "green"}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    add = parser.getgroup("gradtest", "gradient tests (tinygrad_lab.testing)").addoption
    profiles = ", ".join(f"{name} {n}" for name, n in EXAMPLES.items())
    text = f"how many examples check_op and Hypothesis generate: {profiles}"
    add("--gradtest-profile", choices=list(EXAMPLES), help=text)
    text = "write what the gradient checks found, as .json or as one .html page"
    add("--gradtest-report", metavar="PATH", help=text)
    text = "fail tests with gradient checks that could not be decided"
    add("--gradtest-strict", action="store_true", help=text)
    text = "then plant faults in your own gradients, and say which tests do not notice"
    add("--gradtest-mutate", action="store_true", help=text)
    text = "for how long to plant faults, those first that are tried soonest"
    add("--gradtest-budget", metavar="SECONDS", type=float, default=float("inf"), help=text)


def pytest_configure(config: pytest.Config) -> None:
    """Begin to listen."""
    option = config.getoption
    config.addinivalue_line(
        "markers",
        "gradtest: checks gradients; given by itself to tests made by tgt.gradtest and to those "
        "that use the fixture gradcheck",
    )
    path = option("--gradtest-report")
    if path is not None and Path(path).suffix not in (".json", ".html"):
        raise pytest.UsageError(f"--gradtest-report={path}: the name must end in .json or .html")
    if option("--gradtest-mutate") and option("numprocesses", None):
        raise pytest.UsageError("--gradtest-mutate reruns tests in this process: leave out -n")
    if option("--gradtest-mutate") and option("usepdb"):
        raise pytest.UsageError("--gradtest-mutate makes tests fail on purpose: no --pdb")
    config.pluginmanager.register(_Session(config), "gradtest-session")


@pytest.fixture(scope="session")
def gradcheck() -> Callable[..., GradReport]:
    """``tinygrad_lab.testing.gradcheck``; a test that uses it is marked ``gradtest``."""
    from tinygrad_lab.testing.check import gradcheck

    return gradcheck


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark what checks gradients, so that ``-m gradtest`` selects it."""
    made_by_us = getattr(getattr(item, "obj", None), "checks_gradients", False)
    if made_by_us or "gradcheck" in getattr(item, "fixturenames", ()):
        item.add_marker("gradtest")


class _Session:
    """What one run of pytest has heard of checks, and what became of planted faults."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.current: dict[str, summary.Tally] = {}
        self.rows: list[Mapping[str, Any]] = []
        self.passed: Counter[str] = Counter()
        self.rules: list[mutation.Rule] = []
        self.campaign: mutation.Campaign | None = None  # once it has begun
        self.unsteady: list[str] = []
        self.closing = contextlib.ExitStack()
        config.add_cleanup(self.closing.close)
        self.closing.enter_context(session(listeners=(self.hear,)))
        if (name := config.getoption("--gradtest-profile")) is not None:
            self.choose_profile(name)

    def choose_profile(self, name: str) -> None:
        """Generate fewer or more examples, here and in Hypothesis."""
        self.closing.enter_context(session(profile=name))
        with contextlib.suppress(ImportError):
            from hypothesis import settings

            profile = f"gradtest-{name}"
            settings.register_profile(profile, settings(), max_examples=EXAMPLES[name])
            settings.load_profile(profile)

    # -- listening ------------------------------------------------------------------------------

    def hear(self, report: GradReport) -> None:
        """Count a finished check."""
        self.current.setdefault(report.name, summary.Tally(report.name, "")).add(report)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self) -> Generator[None, Any, Any]:
        """Fail a test with undecided checks, where that is wanted."""
        result = yield
        undecided = [t.undecided for t in self.current.values() if t.verdict == INCONCLUSIVE]
        if undecided and self.config.getoption("--gradtest-strict"):
            first = "inconclusive, which --gradtest-strict does not accept:"
            last = "Check at other inputs, or leave a property out: without=[...]"
            pytest.fail("\n".join([first, *undecided, last]), pytrace=False)
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Attach the tallies to the report, with which pytest-xdist sends them from its workers."""
        option = self.config.getoption
        if call.excinfo and not (option("fulltrace") or option("usepdb")):
            call.excinfo = _without_our_frames(call.excinfo, item)
        report = yield
        for sums in self.current.values():
            sums.test = item.nodeid
        vars(report)["gradtest"] = [sums.as_data() for sums in self.current.values()]
        self.current = {}
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Collect the tallies from all processes."""
        self.rows += getattr(report, "gradtest", [])
        if report.when == "call" and report.passed:
            self.passed[report.nodeid] += 1

    # -- planting faults ------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True, tryfirst=True)  # after the line of dots has got its [100%]
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, Any, Any]:
        """After all tests have run, rerun some of them with planted faults."""
        option = self.config.getoption
        wanted = option("--gradtest-mutate") and not option("collectonly")
        if wanted:  # before tests declare rules of their own, which a rerun would declare anew
            self.rules = mutation.rules_of_users()
        result = yield
        if wanted:
            self.mutate(session)
        return result

    def mutate(self, session: pytest.Session) -> None:
        """Rerun the passing tests that check gradients: first unchanged, then with each fault."""
        checking = {row["test"] for row in self.rows}
        items = [
            item
            for item in session.items
            if self.passed[item.nodeid]
            and (item.nodeid in checking or item.get_closest_marker("gradtest"))
        ]
        campaign = self.campaign = mutation.Campaign(self.rules)
        end = time.perf_counter() + self.config.getoption("--gradtest-budget")
        by_name = {item.nodeid: item for item in items}

        def run(names: Sequence[str]) -> Iterator[tuple[str, bool]]:
            for name, following in itertools.zip_longest(names, names[1:]):
                yield name, _passes(by_name[name], by_name.get(following))

        with mutation.undisturbed(getattr(item, "obj", None) for item in items):
            for item, following in itertools.zip_longest(items, items[1:]):
                with campaign.watched(item.nodeid):
                    passed = _passes(item, following)
                if not passed:
                    self.unsteady.append(item.nodeid)
                    campaign.forget(item.nodeid)
            functions = [mutation.written(getattr(item, "obj", None)) for item in items]
            names = mutation.names_in(functions)
            campaign.choose(names, end=end)
            terminal = self.config.pluginmanager.get_plugin("terminalreporter")
            if campaign.runs and terminal:
                terminal.write_line("")  # ends the line of dots, with -q too
                terminal.write_line(
                    f"planting {len(campaign.mutants)} faults, for which tests run "
                    f"{campaign.runs} times again (Ctrl-C stops, and tells what was learned)"
                )
            campaign.plant(run, end)
            campaign.suggest(names, end)
        self.current = {}

    # -- telling --------------------------------------------------------------------------------

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Write the table, and the report where one is wanted."""
        if hasattr(self.config, "workerinput"):  # of pytest-xdist: the controller reports
            return
        terminalreporter.ensure_newline()
        if self.rows:
            self.table(terminalreporter)
        if self.config.getoption("--gradtest-mutate"):
            self.tell_of_mutants(terminalreporter)
        if path := self.config.getoption("--gradtest-report"):
            mutants = [m.as_data() for m in self.campaign.judged] if self.campaign else []
            target = self.config.invocation_params.dir / path
            summary.write(target, self.rows, mutants)
            terminalreporter.write_line(f"gradient report: {target}")

    def table(self, terminal: pytest.TerminalReporter) -> None:
        """Write one line for each operation in each file of tests, the worst first."""
        rows = summary.in_order(summary.together(self.rows))
        terminal.section("gradients")
        passing = [row for row in rows if row["verdict"] == PASS]
        hidden = 0 if terminal.verbosity > 0 else max(len(passing) - MOST_ROWS, 0)
        cells = [("operation", "properties", "verdict", "resolution")]
        remarks: list[list[str]] = [[]]
        for row in rows[: len(rows) - hidden]:
            resolution = summary.resolution_text(row["resolution"])
            cells.append((row["operation"], row["summary"], row["verdict"], resolution))
            remarks.append(summary.remarks(row) if terminal.verbosity > 0 else [])
        widths = [max(map(len, column)) + 2 for column in zip(*cells, strict=True)]
        for (*texts, resolution), lines in zip(cells, remarks, strict=True):
            operation, properties, verdict = map(str.ljust, texts, widths)
            terminal.write(operation + properties)
            terminal.write(verdict, **{_COLOURS.get(verdict.strip(), "bold"): True})
            terminal.write(f"{resolution}\n")
            for line in lines:
                terminal.write_line(f"    {line}")
        if hidden:
            terminal.write_line(f"and {hidden} more that pass (-v shows them)")

    def tell_of_mutants(self, terminal: pytest.TerminalReporter) -> None:
        """Say which planted faults were noticed, and which tests did not notice."""
        terminal.section("planted faults")
        say = terminal.write_line
        if self.campaign is None:
            say("none was planted: the run was stopped", red=True)
            return
        for test in self.unsteady:
            say(f"{test} fails when it is run again: left out", red=True)
        if not self.campaign.mutants:
            say(
                "none: no passing gradient test reached a derivative rule, an adapted function, a "
                "class with a backward pass or a torch.autograd.Function from outside "
                "tinygrad_lab, or an operation of Tensors"
            )
            return
        mutants = self.campaign.judged
        tried = sum(m.done for m in self.campaign.mutants)
        if tried < len(self.campaign.mutants):
            say(f"stopped after {tried} of {len(self.campaign.mutants)}; so far", red=True)
        rows = [m.as_data() for m in mutants]
        noticed = sum(bool(m.noticed) for m in mutants)
        rules = dict.fromkeys(m.place for m in mutants)
        text = f"{noticed} of {len(mutants)} noticed, in {len(rules)} gradients"
        say(text, green=noticed == len(mutants))
        for gradient, by in itertools.groupby(summary.who_noticed(rows), lambda row: row[0]):
            say(gradient)
            for _, faults, tests in by:
                say(f"  {tests or 'no test'}: {faults}", red=not tests)
        for text in summary.unnoticed(rows):
            say(text, yellow=True)
        suggestions = mutation.together(m.suggestion for m in mutants if m.suggestion)
        if suggestions:
            say("to notice more:", bold=True)
        for text in suggestions:
            say("  " + text.replace("\n", "\n  "))


def _without_our_frames(
    raised: pytest.ExceptionInfo[BaseException], item: pytest.Item
) -> pytest.ExceptionInfo[BaseException]:
    """Remove from the traceback of a wrong gradient what does not belong to the test."""
    error = raised.value
    if not says_it_all(error):
        return raised
    tidy(error, getattr(getattr(item, "obj", None), "place_as", None))
    if error.__traceback__ is not None:
        return pytest.ExceptionInfo.from_exception(error)
    # Nothing of the test was running.  Of a group, older pytest cannot show an empty traceback.
    last = raised.traceback[-1:] if isinstance(error, BaseExceptionGroup) else ()
    raised.traceback = type(raised.traceback)(last)
    return raised


def _passes(item: pytest.Item, following: pytest.Item | None) -> bool:
    """Run a test again, quietly, and keep the fixtures of the one after it."""
    from _pytest.runner import runtestprotocol

    return not any(r.failed for r in runtestprotocol(item, log=False, nextitem=following))
