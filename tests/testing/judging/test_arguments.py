"""What is differentiated by: arrays, NumPy's scalars, numbers, and all of these in containers."""

import math

import numpy as np
import pytest

from tinygrad_lab import testing as tgt
from tinygrad_lab.testing.judging.arrays import bind

X = np.linspace(-1, 2, 15).reshape(5, 3)
PARAMETERS = {
    "W1": np.linspace(-1, 1, 12).reshape(3, 4),
    "biases": [np.zeros(4), (np.float64(0.5), 3)],
}


def network(parameters, x, axes=(0, 1)):
    first, (second, number) = parameters["biases"]
    assert number == 3
    return (np.tanh(x @ parameters["W1"] + first) * second).sum(axes)


def by_parameters(g, parameters, x, axes=(0, 1)):
    h = np.tanh(x @ parameters["W1"] + parameters["biases"][0])
    d = g * parameters["biases"][1][0] * (1 - h * h)
    return x.T @ d, d.sum(0), g * h.sum(), d @ parameters["W1"].T


def test_arrays_in_containers_count_one_by_one():
    report = tgt.gradcheck(network, PARAMETERS, X, (0, 1), order=2)
    assert report.verdict == "pass"
    names = ["parameters['W1']", "parameters['biases'][0]", "parameters['biases'][1][0]", "x"]
    assert list(report.resolutions) == names
    by_hand = tgt.adapters.numpy(network, by_parameters)
    assert tgt.gradcheck(by_hand, PARAMETERS, X, (0, 1)).verdict == "pass"


def test_a_wrong_gradient_by_an_array_in_a_container_is_named():
    def wrong(g, *args):
        w, b, scale, x = by_parameters(g, *args)
        return w, 2 * b, scale, x

    with pytest.raises(tgt.GradientError, match=r"input 1 \(parameters\['biases'\]\[0\]\)") as at:
        tgt.gradcheck(tgt.adapters.numpy(network, wrong), PARAMETERS, X)
    assert "at parameters['biases'][0][" in str(at.value)


def test_wrt_a_container_is_by_all_that_it_holds():
    report = tgt.gradcheck(network, PARAMETERS, X, wrt=0)
    assert len(report.resolutions) == 3
    with pytest.raises(TypeError, match="cannot differentiate by input 0"):
        tgt.gradcheck(network, {"W1": 3}, X, wrt=0)


def test_what_has_the_structure_of_the_inputs_is_taken_apart_as_they_were():
    args = bind([PARAMETERS, X, (0, 1)], None)
    again = args.flattened(args.contained([f"{i}" for i in range(len(args.values))]))
    assert again == ["0", "1", "2", "3", "4", "5"]
    filled = args.filled(args.arrays)
    assert filled[2] == (0, 1)
    assert filled[0]["biases"][1] == (0.5, 3)


@pytest.mark.parametrize("number", [np.float64(0.5), np.float32(0.5), np.array(0.5)])
@pytest.mark.parametrize("wrong", [False, True])
def test_scalars_of_numpy_are_inputs(number, wrong):
    def vjp(g, x, a):
        return g * a * np.cos(x), float((g * np.sin(x)).sum()) * (-1 if wrong else 1)

    f = tgt.adapters.numpy(lambda x, a: np.sin(x) * a, vjp)
    report = tgt.gradcheck(f, X, number, raises=False)
    assert report.verdict == ("fail" if wrong else "pass")
    assert not wrong or report.findings[0].input == 1


def test_python_numbers_beside_arrays_are_options_unless_they_are_asked_for():
    f = lambda x, a: np.sin(x) * a
    assert list(tgt.gradcheck(f, X, 0.5).resolutions) == ["x"]
    assert list(tgt.gradcheck(f, X, 0.5, wrt=(0, 1)).resolutions) == ["x", "a"]
    assert list(tgt.gradcheck(f, 2.0, 0.5).resolutions) == ["x", "a"]
    assert tgt.gradcheck(lambda p: p["a"] * np.sin(p["b"]), {"a": 1.0, "b": 0.5}).passed


def test_a_function_of_a_number_gets_a_number():
    f = tgt.adapters.numpy(lambda a: math.sin(a), lambda g, a: g * math.cos(float(a)))
    assert tgt.gradcheck(f, 0.5).passed
