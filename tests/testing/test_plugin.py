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
from tinygrad_lab.testing import gradcheck
from tinygrad_lab.testing.inputs.registration import register
from tinygrad_lab.testing.mutation.faults import EVERYWHERE
from tinygrad_lab.testing.session import EXAMPLES, session

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
        rough = lambda x: 1e15 + np.abs(np.sin(x))
        gradcheck(rough, np.array([0.5, -1.0]), name="rough")
"""
WEAK = """
    import hypothesis
    import pytest
    import rules
    import tinygrad_lab as tl
    from tinygrad_lab import testing as tgt

    @pytest.mark.gradtest
    def test_shape():
        x = tl.tensor([1.0, 2.0], requires_grad=True)
        rules.softplus(x).sum().backward()
        assert x.grad.shape == (2,)

    @tgt.gradtest(
        tgt.tensors(1, shape=(2,)),
        properties="directional",
        using=hypothesis.settings(max_examples=2),
    )
    def test_generated(x):
        return rules.softplus(x)
"""
BY_HAND = """
    import numpy as np
    from tinygrad_lab import testing as tgt

    x = np.array([0.5, -1.0])

    def test_product(gradcheck):
        product = tgt.adapters.numpy(
            lambda a, b: a * b, lambda g, a, b: (g * b, g * a), name="product"
        )
        gradcheck(product, x, x + 3, properties=["well_formed", "no_aliasing"])

    def test_nameless(gradcheck):
        gradcheck(tgt.adapters.numpy(lambda x: x * x, lambda g, x: 2 * g * x), x)
"""
ONCE = """
    import numpy as np
    import rules

    runs = []

    def test_once(gradcheck):
        runs.append(1)
        assert len(runs) == 1
        gradcheck(rules.softplus, np.array([0.5]))
"""
INTERRUPTED = """
    import numpy as np
    import rules

    runs = []

    def test_softplus(gradcheck):
        runs.append(1)  # as it is, watched, on the first fault, on the second
        if len(runs) == 4:
            raise KeyboardInterrupt
        gradcheck(rules.softplus, np.array([0.5, -1.0]))
"""
LOOKS_AFTERWARDS = """
    import tinygrad_lab.core.engine as engine

    def pytest_collection_finish():
        import rules
        rules.right = engine.OPERATIONS[rules.softplus]

    def pytest_unconfigure():
        import rules
        print("restored:", engine.OPERATIONS[rules.softplus] is rules.right)
"""
FAILING = """
    import rules
    from hypothesis import given
    from tinygrad_lab import testing as tgt

    @given(tgt.tensors(2, shape=(2,)))
    def test_given(pair):
        x, y = pair
        tgt.gradcheck(lambda a, b: rules.cube(a) + b, x, y, properties="directional")

    def test_check_op():
        tgt.check_op(rules.cube, tgt.tensors(1, shape=(2,)), properties="directional")
"""
GENERATED = """
    import rules
    from tinygrad_lab import testing as tgt

    @tgt.gradtest()
    def test_generated(x):
        return rules.cube(x)
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
    load = () if installed else ("-p", "tinygrad_lab.testing.pytest.plugin")
    monkeypatch.setenv("PYTHONPATH", str(request.config.rootpath))

    pytester.syspathinsert(request.config.rootpath)

    def run(*options, apart=False, **files):
        pytester.makepyfile(**files)
        options = (*load, "-p", "no:cacheprovider", *options)
        if not apart:  # Hypothesis draws what it draws in this process: the same each time
            return pytester.runpytest_inprocess(*options)
        return pytester.runpytest_subprocess(*options, "--hypothesis-seed=0")

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
    assert "raise_for(report" in run("--full-trace", test_b=BAD).stdout.str()


def test_a_failure_of_hypothesis_shows_its_example_and_none_of_our_lines(run):
    output = run(test_f=FAILING).stdout.str()
    assert "pair=(" in output
    assert "(ratio 0.667" in output
    for inside in ("Explanation", "engine.py", "operations.py", "@settings", "wrapped_test"):
        assert inside not in output


def test_a_test_without_a_line_of_its_own_shows_none_of_ours(run):
    made = """
        import functools
        import numpy as np
        import rules
        from tinygrad_lab import testing as tgt

        class TestCube:
            test_it = staticmethod(
                functools.partial(tgt.gradcheck, rules.cube, np.array([0.5, -1.0]))
            )
    """
    output = run(test_m=made).stdout.str()
    assert "ratio 0.667" in output
    assert "raise_for(report" not in output


def test_a_failure_of_a_generated_test_is_shown_in_its_function(run):
    result = run("-rf", test_g=GENERATED)
    result.stdout.fnmatch_lines(
        [
            "    @tgt.gradtest()",
            "    def test_generated(x):",
            ">       return rules.cube(x)",
            "E       *GradientError: test_generated, gradient by input 0 (x) is wrong*",
            "test_g.py:6: GradientError",
            "FAILED test_g.py::test_generated - *",
        ]
    )
    assert "example=" not in result.stdout.str()


def test_nothing_is_told_where_no_gradient_was_checked(run):
    assert "gradients" not in run(test_a=NOT_OURS).stdout.str()


def test_strict_fails_what_could_not_be_decided(run):
    result = run("--gradtest-strict", test_a=GOOD, test_c=UNSURE)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "inconclusive, which --gradtest-strict does not accept:",
            "rough",
            "  tied_direction: *not certain enough*",
            "Check at other inputs, or leave a property out*",
        ]
    )


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
    assert "1 fail</span>, " in page and "1 pass</span>" in page
    assert "http" not in page and "<script" not in page and "src=" not in page
    assert [p.name for p in pytester.path.glob("*.part")] == []


def test_every_kind_of_failure_is_in_the_report(run, pytester):
    both = """
        import numpy as np
        import rules
        from tinygrad_lab import testing as tgt

        def test_both():
            x = np.array([0.5, -1.0])
            tgt.gradcheck(rules.cube, x, raises=False)
            tgt.gradcheck(lambda x: 1 / 0, x, name="cube", raises=False)
    """
    run("--gradtest-report=r.json", test_b=both, test_c=UNSURE)
    [check, unsure] = json.loads((pytester.path / "r.json").read_text())["checks"]
    wrong, raising = check["messages"]
    assert "is wrong" in wrong and "division by zero" in raising
    assert "not certain enough" in unsure["undecided"]["jacobian"]
    run("--gradtest-report=r.html", test_b=both, test_c=UNSURE)
    page = (pytester.path / "r.html").read_text()
    assert "division by zero" in page and "jacobian: the numerical slope" in page


NOTED = """
    import numpy as np
    from tinygrad_lab import testing as tgt

    W, b = np.array([[0.3, -0.7], [0.2, 0.5]]), np.array([0.1, -2.0])

    def forward(g, w, b):
        return (g.T, 1.0 * g.sum(0))

    def test_noted(gradcheck):
        gradcheck(tgt.adapters.numpy(lambda w, b: w.T + b, forward, name="turned"), W, b)

    def test_wrong_twice(gradcheck):
        vjp = lambda g, w, b: (2 * g.T, g.sum(0)[:, None])
        gradcheck(tgt.adapters.numpy(lambda w, b: w.T + b, vjp, name="twice"), W, b)
"""


def test_reports_have_notes_resolutions_by_input_and_every_finding(run, pytester):
    result = run("-v", "--gradtest-report=r.json", test_n=NOTED)
    result.stdout.re_match_lines(
        [
            r"turned .* pass ",
            r"    by input: w \de-\d\d, b \de-\d\d",
            r"    note: gradient by input 0 \(w\) shares its memory with the upstream: .*",
        ],
        consecutive=True,
    )
    twice, turned = json.loads((pytester.path / "r.json").read_text())["checks"]
    assert set(turned["resolutions"]) == {"w", "b"} and len(turned["notes"]) == 1
    [message] = twice["messages"]
    assert "gradient by input 0 (w) is wrong" in message
    assert "gradient by input 1 (b) has shape (2, 1)" in message
    assert "note:" not in run(test_n=NOTED).stdout.str()
    run("--gradtest-report=r.html", test_n=NOTED)
    page = (pytester.path / "r.html").read_text()
    assert "has shape (2, 1)" in page and "<p>note: gradient by input 0 (w) shares" in page


def test_planted_faults_are_in_the_page(run, pytester):
    run("--gradtest-mutate", "--gradtest-report=r.html", apart=True, test_h=BY_HAND)
    page = (pytester.path / "r.html").read_text()
    row = "<tr><td>{}</td><td>{}</td><td>{}"
    by_hand = "&lt;lambda&gt; (test_h.py:13), by x"
    yes, no = '<span class="pass">1 of 1 tests', '<span class="fail">0 of 1 tests'
    assert row.format("product, by a", "doubled", no) in page
    assert row.format(by_hand, "doubled", yes) in page
    assert row.format(by_hand, "wrong beyond 20", no) in page
    assert "no test has an input beyond 20: add" in page
    assert "(product, by a: all; product, by b: all)" in page


def test_a_report_has_one_of_two_kinds(run):
    result = run("--gradtest-report=checks.txt", test_a=GOOD)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*must end in .json or .html*"])


def test_profiles_say_how_many_examples(run, pytester):
    generated = GENERATED.replace("cube", "softplus")
    run("--gradtest-profile=quick", "--gradtest-report=r.json", apart=True, test_w=generated)
    [check] = json.loads((pytester.path / "r.json").read_text())["checks"]
    assert 0 < check["checks"] <= EXAMPLES["quick"]


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
            "* noticed, in 2 gradients",
            "softplus, by argument 0",
            "  test_generated: sign flipped, doubled,*",
            "cube, by argument 0",
            "  no test: sign flipped, doubled,*",
            "test_w.py::test_shape does not notice * (softplus, by argument 0: all)",
            "  cube, by argument 0: no passing gradient test runs it, and there the gradient is "
            "wrong as it is",
            "      tgt.gradcheck(cube, np.array([[]0.5, 0.8[]]))",
        ]
    )
    mutants = json.loads((pytester.path / "r.json").read_text())["mutants"]
    assert set(EVERYWHERE) < {m["fault"] for m in mutants}
    # Examples that fail with a fault say nothing of the code as it is.
    folder = pytester.path / ".hypothesis" / "examples"
    assert [path for path in folder.glob("*/*") if path.is_file()] == []


def test_planting_with_no_rules_says_so(run):
    result = run("--gradtest-mutate", apart=True, test_n=NOT_OURS)
    result.stdout.fnmatch_lines(["none: no passing gradient test reached a derivative rule, *"])


def test_planting_after_a_run_that_was_stopped_claims_nothing(run):
    result = run("--gradtest-mutate", "-x", apart=True, test_b=BAD, test_w=WEAK)
    result.stdout.fnmatch_lines(["none was planted: the run was stopped"])
    assert "noticed" not in result.stdout.str()


def test_planting_in_hand_written_backward_passes(run, pytester):
    result = run("--gradtest-mutate", "--gradtest-report=r.json", apart=True, test_h=BY_HAND)
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        [
            "* noticed, in 3 gradients",
            "product, by a",
            "  no test: sign flipped, *",
            "product, by b",
            "  no test: sign flipped, *",
            "<lambda> (test_h.py:13), by x",
            "  test_nameless: sign flipped, *",
            "test_h.py::test_product does not notice * (product, by a: all; *, by b: all)",
        ]
    )
    mutants = json.loads((pytester.path / "r.json").read_text())["mutants"]
    rules = {"product, by a", "product, by b", "<lambda> (test_h.py:13), by x"}
    assert {m["rule"] for m in mutants} == rules


def test_a_test_that_fails_when_run_again_is_left_out(run):
    result = run("--gradtest-mutate", apart=True, test_o=ONCE, test_a=GOOD)
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        ["test_o.py::test_once fails when it is run again: left out", "* noticed, in 2 gradients"]
    )


def test_interrupting_the_planting_tells_what_was_learned(run, pytester):
    options = ("--gradtest-mutate", "--gradtest-report=r.json")
    result = run(*options, apart=True, test_i=INTERRUPTED, conftest=LOOKS_AFTERWARDS)
    result.stdout.fnmatch_lines(
        ["stopped after * of *; so far", "1 of * noticed*", "*KeyboardInterrupt*"]
    )
    result.stdout.fnmatch_lines(["restored: True"])
    mutants = json.loads((pytester.path / "r.json").read_text())["mutants"]
    assert [m["noticed"] for m in mutants if m["noticed"]] == [["test_i.py::test_softplus"]]


def test_the_entry_points_lead_somewhere(request):
    text = (request.config.rootpath / "pyproject.toml").read_text(encoding="utf-8")
    declared = tomllib.loads(text)["project"]["entry-points"]
    assert set(declared) == {"pytest11", "hypothesis"}
    for group, entries in declared.items():
        for name, value in entries.items():
            assert EntryPoint(name, value, group).load() is not None


def test_listeners_hear_of_whole_checks_once():
    reports = []
    with session(listeners=(reports.append,)):
        tl.testing.check_op(np.tanh, examples=5)
        gradcheck(np.tanh, np.array([0.5]))
    assert [report.name for report in reports] == ["tanh", "tanh"]


register()


@given(st.from_type(tl.Tensor))
def test_hypothesis_makes_tensors(x):
    assert isinstance(x, tl.Tensor)
    assert x.dtype == np.float64


def test_the_plugin_loads_nothing_heavy(request):
    heavy = {"hypothesis", "matplotlib", "graphviz", "dask", "torch"}
    code = f"import sys, tinygrad_lab.testing.pytest.plugin; print(*({heavy!r} & set(sys.modules)))"
    command = [sys.executable, "-c", code]
    root = request.config.rootpath
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
