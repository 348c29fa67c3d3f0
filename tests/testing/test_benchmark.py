"""The measuring of checkers is measured: it must tell noticing from sleeping and from crying."""

import json

import numpy as np
import pytest

from tinygrad_lab.testing import benchmark
from tinygrad_lab.testing.catalogue import Call
from tinygrad_lab.testing.faults import FAULTS

SIGN = next(f for f in FAULTS if f.number == 1)
ENGINE = next(f for f in FAULTS if f.number == 41)
CACHED = next(f for f in FAULTS if f.number == 45)


class Sleeping:
    """A checker that is content with everything."""

    name, package, setting = "sleeping", "numpy", "never objects"

    def alarm(self, call, rng):
        return ""


class Crying(Sleeping):
    """A checker that is content with nothing."""

    name, setting = "crying", "always objects"

    def alarm(self, call, rng):
        return "wolf"


def measured(fault, *tools):
    table = benchmark.measure(1, 20, 2, [fault], [benchmark.Ours(), *tools])
    return table, table.rows[0]


def test_neither_a_sleeping_nor_a_crying_checker_notices_anything():
    table, row = measured(SIGN, Sleeping(), Crying())
    for name in ("sleeping", "crying"):
        assert row.caught[name] == {"typical": False, "random": False, "strategy": False}
    assert row.caught["ours"] == {"typical": True, "random": True, "strategy": True}
    assert table.alarms["sleeping"].ordinary == table.alarms["ours"].ordinary == 0
    assert table.alarms["crying"].ordinary == table.alarms["crying"].ordinary_points == 2


def test_what_ours_says_of_a_rule_is_recorded():
    _, row = measured(SIGN)
    assert row.examples >= 1
    assert row.shrunk <= 4
    assert row.rank == row.composite_rank == 1
    assert row.property == "directional"


def test_a_fault_of_our_engine_is_not_asked_of_others():
    table, row = measured(ENGINE, Crying())
    assert "crying" not in row.caught
    assert row.not_carried in table.markdown()
    assert "| n/a |" in table.markdown()


def test_what_a_planted_rule_cached_is_forgotten_between_tools():
    class Asking(Sleeping):
        name = "asking"

        def alarm(self, call, rng):
            from tinygrad_lab.testing.check import gradcheck

            report = gradcheck(call.f, *call.arrays, properties="numbers", raises=False)
            return "wrong" if report.findings else ""

    assert measured(CACHED, Asking())[1].caught["asking"]["typical"] is False


TOOLS = [tool for tool in benchmark.TOOLS if not isinstance(tool, benchmark.Ours)]


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_the_carriers_carry(tool):
    pytest.importorskip(tool.package)
    x, z = np.array([[0.25, 1.5], [2.0, -1.0]]), np.array([0.5, 2.0])
    call = Call("", np.subtract, (x, z))
    assert tool.alarm(call, 0) == ""
    with SIGN.plant():
        assert tool.alarm(call, 0)


def test_a_tool_that_is_not_installed_says_so():
    class Missing(Sleeping):
        name, package = "missing", "no_such_package_here"

    table, row = measured(SIGN, Missing())
    assert "missing" not in row.caught
    assert "| missing | not installed |" in table.markdown()


def test_the_command_writes_both_files(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(benchmark, "FAULTS", [SIGN])
    monkeypatch.setattr(benchmark, "TOOLS", (benchmark.Ours(),))
    page, numbers = tmp_path / "out" / "page.md", tmp_path / "out" / "numbers.json"
    told = ["--quick", "--seeds", "1", "--examples", "5"]
    assert benchmark.main([*told, "--json", str(numbers), "--markdown", str(page)]) == 0
    assert page.read_text(encoding="utf-8") in capsys.readouterr().out
    assert json.loads(numbers.read_text())["rows"][0]["number"] == 1
    assert sorted(p.name for p in page.parent.iterdir()) == ["numbers.json", "page.md"]


def test_every_fault_has_a_specimen_or_a_reason():
    for fault in FAULTS:
        assert benchmark.specimen_of(fault) is not None or benchmark.carried(fault)
