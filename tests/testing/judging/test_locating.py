"""Wrong elements of large gradients are found and named, and only those."""

import os

import numpy as np
import pytest

from tinygrad_lab import testing as tgt
from tinygrad_lab.testing.judging.bisection import runs

RNG = np.random.default_rng(11)


def failure_of(shape, mistake, f=np.sin, slope=np.cos, join=np.sum):
    """Plant a mistake into the gradient of a sum, and give the message."""

    def vjp(g, w):
        gradient = np.asarray(g * slope(w))
        mistake(gradient)
        return gradient

    adapted = tgt.adapters.numpy(lambda w: join(f(w)), vjp)
    with pytest.raises(tgt.GradientError) as caught:
        tgt.gradcheck(adapted, RNG.normal(size=shape), properties="numbers")
    return str(caught.value), caught.value.finding


def at(index, factor=0.0):
    def mistake(gradient):
        gradient[index] *= factor

    return mistake


def of_memory(low, high):
    def mistake(gradient):
        gradient.reshape(-1)[low:high] *= 0.5

    return mistake


REGIONS = [
    ((150, 90), at((112, 7)), "w[112, 7] is wrong"),
    ((20_000,), at([5, 19_999]), "w[5], w[19999] are wrong"),
    ((60, 80), at(12), "all of w[12, :] is wrong"),
    ((60, 80), at(np.s_[:, -1], 2), "all of w[:, 79] is wrong"),
    ((1000,), at(np.s_[33:]), "all of w[33:] is wrong"),
    ((3, 300), at(np.s_[:, 32:]), "all of w[:, 32:] is wrong"),
    ((30, 20), at(np.s_[2:9, 3:7], 3), "all of w[2:9, 3:7] is wrong"),
    ((40, 50), at(([1, 5, 30], [4, 4, 9])), "w[1, 4], w[5, 4], w[30, 9] are wrong"),
    ((7, 8, 9), at(np.s_[:, 3]), "all of w[:, 3, :] is wrong"),
    ((7, 8, 9), at((2, 3, slice(5, None))), "all of w[2, 3, 5:] is wrong"),
    (
        (40, 50),
        of_memory(133, 1500),
        "everything from w[2, 33] to w[29, 49], in the order of memory",
    ),
    ((3, 4), at((1, 2)), "w[1, 2] is wrong"),
    ((5,), at(np.s_[2:4]), "all of w[2:4] is wrong"),
    ((5,), at([0, 3]), "w[0], w[3] are wrong"),
]
if os.environ.get("HYPOTHESIS_PROFILE") == "thorough":
    REGIONS += [((100_000,), at(77_777, -1), "w[77777] is wrong")]


@pytest.mark.parametrize(("shape", "mistake", "words"), REGIONS, ids=[row[2] for row in REGIONS])
def test_wrong_elements_are_named_and_the_rest_is_called_right(shape, mistake, words):
    text, finding = failure_of(shape, mistake)
    assert f"  {words}" in text
    assert "the rest of w is right" in text
    assert finding.index is not None


@pytest.mark.parametrize("shape", [(5,), (500,), (20, 30)])
def test_of_a_gradient_that_is_wrong_throughout_no_rest_is_right(shape):
    text, _ = failure_of(shape, at(..., 2))
    assert "the rest" not in text
    assert "twice too large" in text


@pytest.mark.parametrize("index", [np.s_[::2], np.s_[::7], RNG.choice(1000, 90)])
def test_of_many_scattered_ones_an_element_is_named_and_nothing_is_claimed_of_the_rest(index):
    text, finding = failure_of((1000,), at(index))
    assert finding.analytic == 0
    assert np.isin(finding.index[0], np.arange(1000)[index])
    assert "the rest" not in text


def test_a_wrong_element_of_complex_numbers():
    def vjp(g, z):
        gradient = np.conj(g * np.cos(z))
        gradient[50] = gradient[50].conj()
        return gradient

    z = RNG.normal(size=100) + 1j * RNG.normal(size=100)
    adapted = tgt.adapters.numpy(lambda z: np.sin(z).sum(), lambda g, z: vjp(np.conj(g), z))
    with pytest.raises(tgt.GradientError, match=r"z\[50\].* wrong, the rest of z is right"):
        tgt.gradcheck(adapted, z, properties="numbers")


def test_runs_are_found_with_few_questions():
    for wrong in ([], [0], [9999], [17, 18, 19], [3, 5000, 9998], list(range(33, 10_000))):
        asked = []

        def any_wrong(low, high, wrong=wrong, asked=asked):
            asked.append((low, high))
            return any(low <= k < high for k in wrong)

        indices = [k for low, high in runs(10_000, any_wrong, 5) for k in range(low, high)]
        assert indices == wrong
        assert len(asked) < 70
