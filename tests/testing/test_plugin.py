"""The pytest plugin, in runs of pytest inside this one.

What leaves something behind in a process (rules in the table, a profile) gets one of its own.
"""

import json
import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint, entry_points

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_lab as tl
from tinygrad_lab.testing import _hypothesis, _mutation, _reporting, gradcheck

pytest_plugins = ["pytester"]

RULES = """
    import numpy as np
    import tinygrad_lab as tl

    @tl.primitive
    def softplus(x):
        return np.logaddexp(0.0, x)

    tl.defvjp(softplus, lambda g, y, x: g * tl.sigmoid(x))

    @tl.primitive
    def cube(x):
        return x**3

    tl.defvjp(cube, lambda g, y, x: g * 2 * x**2)
"""
GOOD = """
    import numpy as np
    import rules

    def test_softplus(gradcheck):
        gradcheck(rules.softplus, np.array([0.5, -1.0]))
"""
BAD = """
    import numpy as np
    import rules
    from tinygrad_lab import testing as tgt

    def test_cube():
        tgt.gradcheck(rules.cube, np.array([0.5, -1.0]))
"""
UNSURE = """
    import numpy as np

    def test_rough(gradcheck):
        rough = lambda x: 1e12 + np.sin(x)
        gradcheck(rough, np.array([0.5, -1.0]), name="rough")
"""
WEAK = """
    import pytest
    import rules
    import tinygrad_lab as tl
    from tinygrad_lab import testing as tgt

    @pytest.mark.gradtest
    def test_shape():
        x = tl.tensor([1.0, 2.0], requires_grad=True)
        rules.softplus(x).sum().backward()
        assert x.grad.shape == (2,)

    @tgt.gradtest()
    def test_generated(x):
        return rules.softplus(x)
"""
NOT_OURS = """
    def test_nothing_of_the_kind():
        pass
"""


@pytest.fixture
def run(pytester, request, monkeypatch):
    """Run pytest on files of tests, with the plugin once."""
    pytester.makepyfile(rules=RULES)
    installed = any(entry.name == "gradtest" for entry in entry_points(group="pytest11"))
    load = () if installed else ("-p", "tinygrad_lab.testing.plugin")
    monkeypatch.setenv("PYTHONPATH", str(request.config.rootpath))

    pytester.syspathinsert(request.config.rootpath)

    def run(*options, apart=False, **files):
        pytester.makepyfile(**files)
        start = pytester.runpytest_subprocess if apart else pytester.runpytest_inprocess
        return start(*load, "-p", "no:cacheprovider", *options)

    return run


def test_the_table_has_each_operation_the_worst_first(run):
    result = run(test_a=GOOD, test_b=BAD, test_c=UNSURE)
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.re_match_lines(
        [
            r"=+ gradients =+",
            r"operation +properties +verdict +resolution",
            r"cube +directional fails, \d+ hold +fail *$",
            r"rough +.*undecided.* +inconclusive *$",
            r"softplus +\d+ hold +pass +\de-\d\d",
        ],
        consecutive=True,
    )


def test_a_failure_shows_the_line_of_the_test_and_none_of_ours(run):
    output = run(test_b=BAD).stdout.str()
    assert "tgt.gradcheck(rules.cube" in output
    assert "raise_for(report" not in output


def test_nothing_is_told_where_no_gradient_was_checked(run):
    assert "gradients" not in run(test_a=NOT_OURS).stdout.str()


def test_strict_fails_what_could_not_be_decided(run):
    result = run("--gradtest-strict", test_a=GOOD, test_c=UNSURE)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["inconclusive, which --gradtest-strict does not accept: rough*"])


def test_the_marker_is_given_by_itself(run):
    result = run("-m", "gradtest", "--strict-markers", test_a=GOOD, test_w=WEAK, test_n=NOT_OURS)
    result.assert_outcomes(passed=3, deselected=1)


def test_reports(run, pytester):
    run("--gradtest-report=out/checks.json", test_a=GOOD, test_b=BAD)
    checks = json.loads((pytester.path / "out" / "checks.json").read_text())["checks"]
    assert [(c["operation"], c["verdict"]) for c in checks] == [
        ("cube", "fail"),
        ("softplus", "pass"),
    ]
    assert "test_b.py::test_cube" in checks[0]["test"]
    run("--gradtest-report=checks.html", test_a=GOOD, test_b=BAD)
    page = (pytester.path / "checks.html").read_text()
    assert "softplus" in page and "ratio 0.667" in page
    assert "http" not in page and "<script" not in page and "src=" not in page
    assert [p.name for p in pytester.path.glob("*.part")] == []


def test_a_report_has_one_of_two_kinds(run):
    result = run("--gradtest-report=checks.txt", test_a=GOOD)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*must end in .json or .html*"])


def test_profiles_say_how_many_examples(run, pytester):
    generated = """
        import rules
        from tinygrad_lab import testing as tgt

        @tgt.gradtest()
        def test_generated(x):
            return rules.softplus(x)
    """
    run("--gradtest-profile=quick", "--gradtest-report=r.json", apart=True, test_w=generated)
    [check] = json.loads((pytester.path / "r.json").read_text())["checks"]
    assert 0 < check["checks"] <= _reporting.EXAMPLES["quick"]


def test_workers_send_what_they_heard(run):
    pytest.importorskip("xdist")
    result = run("-n", "1", apart=True, test_a=GOOD, test_b=BAD)
    result.stdout.re_match_lines([r"cube .*fail *$", r"softplus .*pass +\de-\d\d"])


def test_planted_faults_tell_a_weak_test_from_a_good_one(run, pytester):
    options = ("--gradtest-mutate", "--gradtest-report=r.json")
    result = run(*options, apart=True, test_b=BAD, test_w=WEAK)
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        [
            "6 of 12 noticed, in 2 rules",
            "cube, by argument 0: no passing gradient test runs this rule",
            "test_w.py::test_shape does not notice 6 of 6 (softplus, by argument 0: all)",
        ]
    )
    assert "test_generated does not" not in result.stdout.str()
    mutants = json.loads((pytester.path / "r.json").read_text())["mutants"]
    assert {m["fault"] for m in mutants} == set(_mutation.MUTATIONS)


def test_planting_leaves_no_examples_behind(run, pytester):
    run("--gradtest-mutate", apart=True, test_w=WEAK)
    folder = pytester.path / ".hypothesis" / "examples"
    assert [path for path in folder.glob("*/*") if path.is_file()] == []


def test_planting_with_no_rules_says_so(run):
    result = run("--gradtest-mutate", apart=True, test_n=NOT_OURS)
    result.stdout.fnmatch_lines(["none: after collection*"])


def test_planting_after_a_run_that_was_stopped_claims_nothing(run):
    result = run("--gradtest-mutate", "-x", apart=True, test_b=BAD, test_w=WEAK)
    result.stdout.fnmatch_lines(["not all were planted: the run was stopped"])
    assert "noticed" not in result.stdout.str()


def test_the_entry_points_lead_somewhere(request):
    text = (request.config.rootpath / "pyproject.toml").read_text(encoding="utf-8")
    declared = tomllib.loads(text)["project"]["entry-points"]
    assert set(declared) == {"pytest11", "hypothesis"}
    for group, entries in declared.items():
        for name, value in entries.items():
            assert EntryPoint(name, value, group).load() is not None


def test_a_planted_fault_is_gone_afterwards():
    @tl.primitive
    def halved(x):
        return x / 2

    tl.defvjp(halved, lambda g, y, x: g / 2)
    mutants = [m for m in _mutation.mutants() if m.op is halved]
    assert [m.fault for m in mutants] == list(_mutation.MUTATIONS)
    x = np.array([0.5, 1.0])
    for mutant in mutants:
        with _mutation.planted(mutant):
            assert gradcheck(halved, x, raises=False).verdict == "fail" or (
                mutant.fault == "averaged over the elements"
            )
        assert mutant.reached
    assert gradcheck(halved, x).passed


def test_listeners_hear_of_whole_checks_once():
    heard = []
    _reporting.LISTENERS.append(heard.append)
    try:
        tl.testing.check_op(np.tanh, examples=5)
        gradcheck(np.tanh, np.array([0.5]))
    finally:
        _reporting.LISTENERS.remove(heard.append)
    assert [report.name for report in heard] == ["tanh", "tanh"]


_hypothesis.register()


@given(st.from_type(tl.Tensor))
def test_hypothesis_makes_tensors(x):
    assert isinstance(x, tl.Tensor)
    assert x.dtype == np.float64


def test_the_plugin_loads_nothing_heavy(request):
    heavy = {"hypothesis", "matplotlib", "graphviz", "dask", "torch"}
    code = f"import sys, tinygrad_lab.testing.plugin; print(*({heavy!r} & set(sys.modules)))"
    command = [sys.executable, "-c", code]
    root = request.config.rootpath
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
