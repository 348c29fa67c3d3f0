"""The measuring of checkers is measured: it must tell noticing from sleeping and from crying."""

import json
import threading

import numpy as np
import pytest

from benchmarks import checkers
from benchmarks.checkers import alarms, points, slips, spread, tools, whole
from benchmarks.checkers.__main__ import main
from benchmarks.checkers.faults import FAULTS
from benchmarks.checkers.primitives import CASES
from benchmarks.checkers.table import Table
from tinygrad_lab.core.operations import planted
from tinygrad_lab.testing.inputs.calls import DEGENERATE, Call, is_degenerate
from tinygrad_lab.testing.telling.finding import GradReport, Result


def index(number):
    return next(i for i, f in enumerate(FAULTS) if f.number == number)


SIGN, ENGINE, CACHED, MODULE = index(1), index(41), index(45), index(48)
OPS = list(CASES)


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


class Hanging(Sleeping):
    """A checker that does not come back."""

    name = "hanging"

    def alarm(self, call, rng):
        raise tools.HungError(self.name)


def measured(fault, *others):
    table = checkers.measure(
        ["faults", "alarms"],
        seeds=1,
        examples=20,
        calls=2,
        chosen=[fault],
        tools=[checkers.Ours(), *others],
    )
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


def test_a_fault_of_a_module_is_looked_for_by_its_own_check():
    table, row = measured(MODULE, Crying())
    assert all(row.caught["ours"].values())
    assert not table.alarms


def test_what_a_planted_rule_cached_is_forgotten_between_tools():
    class Asking(Sleeping):
        name = "asking"

        def alarm(self, call, rng):
            from tinygrad_lab.testing.check import gradcheck

            report = gradcheck(call.f, *call.arrays, properties="numbers", raises=False)
            return "wrong" if report.findings else ""

    caught = measured(CACHED, Asking())[1].caught["asking"]
    assert caught == {"typical": False, "random": True, "strategy": True}


OTHERS = [tool for tool in checkers.TOOLS if not isinstance(tool, checkers.Ours)]


@pytest.mark.oracle
@pytest.mark.parametrize("tool", OTHERS, ids=lambda tool: tool.name)
def test_the_carriers_carry(tool):
    pytest.importorskip(tool.package)
    x, z = np.array([[0.25, 1.5], [2.0, -1.0]]), np.array([0.5, 2.0])
    call = Call("", np.subtract, (x, z))
    assert tool.alarm(call, 0) == ""
    with FAULTS[SIGN].plant():
        assert tool.alarm(call, 0)


def in_torch(f, wrong):
    torch = pytest.importorskip("torch")

    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx, *xs):
            ctx.save_for_backward(*xs)
            return f(*xs)

        @staticmethod
        def backward(ctx, g):
            return wrong(torch, g, *ctx.saved_tensors)

    def check(*xs, fast_mode):
        inputs = [torch.tensor(x, requires_grad=True) for x in xs]
        torch.autograd.gradcheck(Wrong.apply, inputs, fast_mode=fast_mode)

    return check


def in_autograd(f, wrong):
    anp = pytest.importorskip("autograd.numpy")
    from autograd.extend import defvjp_argnums, primitive
    from autograd.test_util import check_grads

    carried = primitive(f)
    defvjp_argnums(carried, lambda argnums, y, xs, kw: lambda g: wrong(anp, g, *xs))
    return lambda *xs: check_grads(carried, tuple(range(len(xs))), modes=["rev"], order=1)(*xs)


def in_jax(f, wrong):
    jax = pytest.importorskip("jax")
    from jax.test_util import check_grads

    carried = jax.custom_vjp(f)
    carried.defvjp(lambda *xs: (f(*xs), xs), lambda xs, g: wrong(jax.numpy, g, *xs))

    def check(*xs):
        wide = jax.config.jax_enable_x64
        jax.config.update("jax_enable_x64", True)
        try:
            check_grads(carried, xs, order=1, modes=["rev"])
        finally:
            jax.config.update("jax_enable_x64", wide)

    return check


#: Some faults again, as somebody would write them in those libraries.
NATIVE = {
    "upstream squared": lambda np_, g, x: (g * g * np_.cos(x),),
    "upstream through abs": lambda np_, g, x: (np_.abs(g) * np_.cos(x),),
    "a coefficient off by 1e-4": lambda np_, g, x: (g * np_.exp(x) * 1.0001,),
    "a coefficient off by 1e-6": lambda np_, g, x: (g * np_.exp(x) * 1.000001,),
    "no sum over broadcast axes": lambda np_, g, a, b: (g * b, g * a),
}


@pytest.mark.oracle
@pytest.mark.parametrize("tool", OTHERS, ids=lambda tool: tool.name)
@pytest.mark.parametrize("name", NATIVE)
def test_a_carried_fault_is_noticed_where_a_native_one_is(tool, name):
    np_ = pytest.importorskip({"torch": "torch", "autograd": "autograd.numpy",
                               "jax": "jax.numpy"}[tool.package])  # fmt: skip
    fault = next(f for f in FAULTS if f.name == name)
    x = np.array([[0.3, 1.5], [2.1, -1.2]])
    inputs, f = (x,), np_.exp if fault.number == 19 else np_.sin
    if fault.number == 20:
        inputs, f = (x, x[0]), lambda a, b: a * b
    check = {"torch": in_torch, "autograd": in_autograd, "jax": in_jax}[tool.package]
    options = {"fast_mode": tool.fast} if tool.package == "torch" else {}
    # autograd's checker draws from there, and may not meet the fault otherwise
    np.random.seed(0)  # noqa: NPY002
    native = tools._raised(lambda: check(f, NATIVE[name])(*inputs, **options))
    with fault.plant():
        carried = tool.alarm(Call("", fault.op, inputs), 0)
    assert bool(carried) == bool(native)


def test_a_tool_that_is_not_installed_says_so():
    class Missing(Sleeping):
        name, package = "missing", "no_such_package_here"

    table, row = measured(SIGN, Missing())
    assert "missing" not in row.caught
    assert "| missing | not installed |" in table.markdown()


def test_so_does_a_tool_that_does_not_come_back():
    table, row = measured(SIGN, Hanging())
    assert row.hung == ["hanging"]
    assert "| hanging | hung |" in table.markdown()
    counted = table.alarms["hanging"]
    assert (counted.hung, counted.ordinary_points, counted.kink_points) == (4, 0, 0)


def test_jax_is_waited_for_no_longer_than_it_may_take():
    tool, done = tools.Jax(), threading.Event()
    assert tool._within(60.0, lambda: "objects") == "objects"
    with pytest.raises(tools.HungError):
        tool._within(0.01, lambda: "" if done.wait(60.0) else "late")
    with pytest.raises(tools.HungError):  # and is not asked again
        tool._within(60.0, lambda: "objects")
    done.set()


def test_every_fault_has_a_specimen_or_a_reason():
    for fault in FAULTS:
        assert points.specimen_of(fault) is not None or points.carried(fault)


def test_the_others_are_asked_at_degenerate_shapes_too():
    specimen = points.specimen_of(FAULTS[SIGN])
    for kind in DEGENERATE:
        drawn = points.degenerate(specimen, 20)
        assert any(is_degenerate(call, kind) for call in drawn)


# ---------------------------------------------------------------------------------------------
# The whole catalogue, and slips


def test_right_operations_raise_no_alarm():
    result = whole.sweep([OPS.index(np.tanh)], [SIGN, MODULE], 2, 4, 1, print)
    assert (result.operations, result.specimens, result.runs) == (1, 2, 6)
    assert result.checks >= 4 * (4 + 3 + 2)
    assert result.alarms == []
    assert result.complete


def test_a_wrong_one_does_and_it_is_written_down():
    with planted(np.sin, lambda g, y, x: g):
        result = whole.sweep([OPS.index(np.sin)], [], 2, 4, 1, print)
    assert [(a.operation, a.seed) for a in result.alarms] == [("sin", 0), ("sin", 1)]
    assert "gradient by input 0 is wrong" in result.alarms[0].message
    assert "| sin | 1 | sin, gradient by input 0" in Table(catalogue=result).markdown()


def test_so_does_a_checker_that_breaks_down(monkeypatch):
    def broken(*args, **kwargs):
        raise ZeroDivisionError("in the checker")

    monkeypatch.setattr(whole, "check_op", broken)
    result = whole.sweep([0], [], 1, 4, 1, print)
    assert result.alarms[0].message == "broke down: ZeroDivisionError: in the checker"


def test_what_is_inconclusive_is_counted(monkeypatch):
    def unsure(op, *, watch, **options):
        report = GradReport("f", [Result("jacobian", "inconclusive")])
        watch(None, report)
        return report

    monkeypatch.setattr(whole, "check_op", unsure)
    result = whole.sweep([OPS.index(np.sin)], [], 3, 4, 1, print)
    assert result.undecided == {"sin": whole.Undecided(3, ["jacobian"])}
    assert result.undecided_checks == 3
    assert "| sin | 3 | jacobian |" in Table(catalogue=result).markdown()


@pytest.mark.parametrize("op", [np.sin, np.matmul, np.stack, np.linalg.inv])
def test_slips_are_noticed(op):
    wanted = [place for place in slips.places() if place[0] == OPS.index(op)]
    result = slips.slips(wanted, 4, 1, print)
    assert result.caught == len(wanted) == result.rules + result.composed
    assert "**Caught: " in Table(slips=result).markdown()


def test_rules_of_zeros_cannot_slip_and_a_sleeping_check_misses(monkeypatch):
    zero = slips.look_at(OPS.index(np.nextafter), 1, 4)
    assert zero.outcome == "zero"
    asleep = slips.check_op
    monkeypatch.setattr(slips, "check_op", lambda *a, **k: asleep(*a, **k, properties=["finite"]))
    assert slips.look_at(OPS.index(np.sin), 0, 4).outcome == "missed"


# ---------------------------------------------------------------------------------------------
# The command


def test_the_command_writes_both_files(tmp_path, capsys, monkeypatch):
    page, numbers = tmp_path / "out" / "page.md", tmp_path / "out" / "numbers.json"
    monkeypatch.setattr("benchmarks.checkers.__main__.FAULTS", FAULTS[:1])
    options = ["--quick", "--seeds", "1", "--examples", "5", "--workers", "1"]
    files = ["--json", str(numbers), "--markdown", str(page)]
    assert main([*options, "--only", "faults", *files]) == 0
    assert page.read_text(encoding="utf-8") in capsys.readouterr().out
    assert json.loads(numbers.read_text())["rows"][0]["number"] == 1
    assert sorted(p.name for p in page.parent.iterdir()) == ["numbers.json", "page.md"]


def test_parts_of_several_runs_make_one_page(tmp_path):
    path = tmp_path / "numbers.json"
    first = checkers.measure(
        ["faults", "catalogue", "slips"], seeds=1, examples=2, chosen=[SIGN], operations=[0],
        tools=[checkers.Ours()],
    )  # fmt: skip
    path.write_text(first.json())
    again = Table.read(path)
    assert again == first
    second = checkers.measure(["alarms"], seeds=1, calls=1, chosen=[SIGN], tools=[Crying()])
    both = second.filled(again)
    assert (both.rows, both.alarms, both.slips) == (first.rows, second.alarms, first.slips)
    assert set(both.settings) == set(checkers.PARTS)
    assert set(both.tools) == {"ours", "crying"}


def test_jobs_are_spread_over_processes():
    messages = []
    jobs = [(SIGN, seed, [checkers.Ours()], 1) for seed in range(3)]
    apart, complete = spread.spread(alarms.false_alarms, jobs, 2, messages.append)
    assert complete
    assert messages[-1] == "3 of 3"
    assert apart == spread.spread(alarms.false_alarms, jobs, 1, messages.append)[0]


def test_stopped_it_gives_back_what_there_is():
    def job(i):
        if i == 2:
            raise KeyboardInterrupt
        return i

    messages = []
    assert spread.spread(job, [(0,), (1,), (2,), (3,)], 1, messages.append) == ([0, 1], False)
    assert messages[-1] == "stopped after 2 of 4"
