"""The gradient of a convolution by hand: it is the generated one, and its mistake is found."""

import inspect
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_lab as tl
from tinygrad_lab.lab.reports.sections import kernel, kernel_by_hand


@st.composite
def convolutions(draw):
    """Images, kernels that fit, a stride, and a gradient from above."""
    n, channels, outputs, stride = (draw(st.integers(1, 3)) for _ in range(4))
    sizes = [draw(st.integers(1, 6)) for _ in range(2)]
    kernels = [draw(st.integers(1, size)) for size in sizes]
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    X, K = rng.normal(size=(n, channels, *sizes)), rng.normal(size=(outputs, channels, *kernels))
    rows, columns = ((x - k) // stride + 1 for x, k in zip(sizes, kernels, strict=True))
    return X, K, rng.normal(size=(n, outputs, rows, columns)), stride


@settings(max_examples=60)
@given(convolutions())
def test_by_hand_it_is_what_the_package_computes(case):
    X, K, G, stride = case
    y, back = tl.vjp(lambda x, k: tl.conv2d(x, k, stride=stride), X, K)
    np.testing.assert_allclose(kernel_by_hand.convolved(X, K, stride), y, rtol=1e-12, atol=1e-12)
    for by_hand, generated in zip(kernel_by_hand.gradients(X, K, G, stride), back(G), strict=True):
        np.testing.assert_allclose(by_hand, generated, rtol=1e-12, atol=1e-12)


@settings(max_examples=30)
@given(convolutions())
def test_turned_around_it_is_the_gradient_by_the_kernel_turned_by_half_a_circle(case):
    X, K, G, stride = case
    (dX, dK), (same, turned) = (
        f(X, K, G, stride) for f in (kernel_by_hand.gradients, kernel_by_hand.gradients_turned)
    )
    np.testing.assert_array_equal(dX, same)
    np.testing.assert_array_equal(dK, turned[:, :, ::-1, ::-1])


@pytest.fixture(scope="module")
def made():
    rng = np.random.default_rng(0)
    return kernel.section(rng.normal(size=(2, 1, 5, 5)), rng.normal(size=(2, 1, 3, 2)))


def test_both_ways_agree_on_the_numbers_of_the_page(made):
    rows = made.tables["convolution-kernel-gradient.csv"].rows
    by_hand, program, turned = np.array([row[4:] for row in rows], float).T
    np.testing.assert_allclose(by_hand, program, rtol=1e-12, atol=1e-14)
    assert np.abs(turned - program).max() > 1e-3
    assert all(float(text) < 1e-12 for text in made.shown["differences"])


def test_the_kernel_that_is_turned_around_is_found_with_its_line(made):
    shown = made.shown
    assert (shown["right"]["verdict"], shown["turned"]["verdict"]) == ("pass", "fail")
    assert "gradient by input 1 (K) is wrong" in shown["turned"]["headline"]
    assert "dK is not the gradient by K: reversed along several axes" in shown["turned"]["message"]
    source = Path(inspect.getsourcefile(kernel_by_hand)).read_text("utf-8").splitlines()
    assert [source[shown["line"] - 1].strip()] == shown["new"]


def test_the_program_is_shown_whole(made):
    """What is shown runs, and gives the gradient that the table has."""
    rng = np.random.default_rng(0)
    X, K = rng.normal(size=(2, 1, 5, 5)), rng.normal(size=(2, 1, 3, 2))
    scope = {}
    exec("\n".join(made.shown["program"].values()), scope)
    (function,) = (f for name, f in scope.items() if name.startswith("value_and_grad"))
    _, (_, by_kernels) = function(X, K)
    rows = made.tables["convolution-kernel-gradient.csv"].rows
    np.testing.assert_allclose([float(row[5]) for row in rows], by_kernels.ravel(), rtol=1e-12)
