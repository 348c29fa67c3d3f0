"""Right functions are right, and wrong ones beside them wrong: in 130 digits, and in float64.

How checkers fare with them is measured by ``python -m benchmarks.checkers.right``.
"""

import json
import os

import numpy as np
import pytest

from benchmarks.checkers.right import POINTS, functions
from benchmarks.checkers.right.__main__ import main
from benchmarks.checkers.right.digits import gradient_error, upstream_of
from benchmarks.checkers.right.measuring import ask
from benchmarks.checkers.right.points import KINDS
from benchmarks.checkers.right.twins import TWINS

ALL = functions()
#: The list changes seldom: by day every fourth, all of them in the thorough tests.
PROVED = ALL if os.environ.get("HYPOTHESIS_PROFILE") == "thorough" else ALL[::4]
EXACT = 1e-9  # what an iteration that is stopped leaves
ROUNDED = 1e-4  # of a slope: rounding of a formula that loses digits, and of float32


def gradients(right, inputs):
    with np.errstate(all="ignore"):
        by = right.vjp(upstream_of(right.f, inputs), *inputs)
    return list(by) if isinstance(by, (tuple, list)) else [by]


def is_moved(x):
    return isinstance(x, np.ndarray) and x.dtype.kind == "f"


def prove(right):
    """One point of each kind."""
    for point in range(len(right.where)):
        inputs = right.inputs(point)
        with np.errstate(all="ignore"):
            error, slopes = gradient_error(right.f, right.vjp, inputs, np.random.default_rng(point))
        assert error < EXACT, right.kind(point)
        moved = [i for i, x in enumerate(inputs) if is_moved(x)]
        by = dict(zip(moved, gradients(right, inputs), strict=True))
        largest = max(abs(float(slope)) for _, _, slope in slopes)
        for i, index, slope in slopes:
            assert abs(by[i][index] - float(slope)) <= ROUNDED * largest + 1e-12, right.kind(point)


def test_there_are_three_hundred_at_points_of_every_kind():
    assert len(ALL) >= 300 or not any(r.name == "erf" for r in ALL)  # without SciPy there are less
    assert len({right.name for right in ALL}) == len(ALL)
    assert {kind for right in ALL for kind in right.where} == set(KINDS)


@pytest.mark.parametrize("right", ALL[::16], ids=lambda right: right.name)
def test_some_gradients_are_right(right):
    prove(right)


@pytest.mark.oracle
@pytest.mark.parametrize("right", PROVED, ids=lambda right: right.name)
def test_every_gradient_is_right(right):
    prove(right)


@pytest.mark.parametrize("right", ALL[::16], ids=lambda right: right.name)
def test_values_and_gradients_are_finite_at_every_point(right):
    for point in range(POINTS):
        inputs = right.inputs(point)
        moved = [x for x in inputs if is_moved(x)]
        by = gradients(right, inputs)
        assert [np.shape(d) for d in by] == [x.shape for x in moved]
        assert all(np.all(np.isfinite(d)) for d in by), right.kind(point)


@pytest.mark.parametrize("twin", TWINS, ids=lambda twin: twin.name)
def test_twins_are_wrong_where_they_are_asked_and_their_other_gradient_is_right(twin):
    for point in range(2):
        inputs, rng = twin.inputs(point), np.random.default_rng(point)
        assert gradient_error(twin.f, twin.right, inputs, rng, most=5)[0] < EXACT
        assert gradient_error(twin.f, twin.wrong, inputs, rng, most=5)[0] > 1e-5


def test_a_wrong_formula_is_not_proved():
    square = next(right for right in ALL if right.name == "square")
    inputs, rng = (np.array([0.5, 9.0]),), np.random.default_rng(0)
    wrong = lambda g, x: g * 2 * x * (1 + 1e-7)
    assert gradient_error(square.f, square.vjp, inputs, rng)[0] < 1e-60
    assert gradient_error(square.f, wrong, inputs, rng)[0] == pytest.approx(1e-7)


def test_the_command_counts_what_checkers_say(tmp_path, capsys):
    path = tmp_path / "answers.json"
    main(["--every", "100", "--points", "2", "--only", "ours, NumPy", "--json", str(path)])
    answers = json.loads(path.read_text())
    right = [a for a in answers if a["is_right"]]
    assert len(right) == 2 * len(ALL[::100])
    assert f"| ours, NumPy | {len(ALL[::100])} | {len(right)} |" in capsys.readouterr().out
    assert {a["verdict"] for a in answers if not a["is_right"]} == {"fail"}


def test_a_text_of_numpy_is_asked_about_as_one_of_tensors():
    answers = ask(0, ["ours, Tensors"], points=1)
    assert [(a.checker, a.verdict) for a in answers] == [("ours, Tensors", "pass")]
