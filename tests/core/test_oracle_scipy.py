"""What SciPy does to a tensor: it refuses, and no function loses a gradient in silence."""

from __future__ import annotations

import importlib
import inspect
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tl
from tests.core.rules.captured import parts_of
from tinygrad_lab.core.operations import planted

scipy = pytest.importorskip("scipy")
pytestmark = pytest.mark.oracle

MODULES = ("special", "linalg", "signal", "ndimage", "fft", "integrate", "interpolate", "stats")
ROW, MATRIX = np.array([0.5, 1.5, 2.5, 0.25]), np.array([[4.0, 1.0], [0.5, 3.0]])
ARGUMENTS = [(np.array(0.75),), (ROW,), (MATRIX,), (ROW, ROW), (MATRIX, MATRIX), (MATRIX, ROW[:2])]


def functions(module: str) -> Iterator[tuple[str, Callable[..., Any]]]:
    home = importlib.import_module(f"scipy.{module}")
    for name in home.__all__:
        f = getattr(home, name)
        if callable(f) and not inspect.isclass(f) and name not in ("test", "show_config"):
            yield name, f


def numbers(value: Any) -> list[Any]:
    return [np.asarray(part) for part in parts_of(value) if not isinstance(part, tl.Tensor)]


@pytest.mark.parametrize("module", MODULES)
def test_no_function_detaches(module: str):
    for name, f in functions(module):
        for arguments in ARGUMENTS:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                try:
                    detached = f(*(tl.tensor(x, requires_grad=True) for x in arguments))
                except Exception:  # noqa: BLE001 - refused, in whatever words
                    continue
                try:
                    elsewhere = f(*(x * 1.0625 + 0.0625 for x in arguments))
                except Exception:  # noqa: BLE001 - a result that is no function of the numbers
                    continue
            for ours, other in zip(numbers(detached), numbers(elsewhere), strict=False):
                depends = ours.shape == other.shape and not np.array_equal(ours, other, True)
                assert not (depends and ours.dtype.kind in "fc"), f"{module}.{name}: {ours}"


def test_a_refusal_names_scipys_function_and_a_rule_makes_it_work():
    special = importlib.import_module("scipy.special")
    t = tl.tensor([0.5, 1.5], requires_grad=True)
    for call, text in {
        (lambda: special.expit(t), r"scipy\.special\.expit has no derivative rule"),
        (lambda: special.xlogy.outer(t, t), r"scipy\.special\.xlogy\.outer has no derivative"),
        (lambda: special.erf(t, where=[True, False]), r"np\.where\(condition, scipy\.special\.erf"),
        (lambda: special.logsumexp(t), "would lose the gradient"),
    }:
        with pytest.raises(TypeError, match=text):
            call()
    with planted(special.expit, lambda g, y, x: g * y * (1 - y)):
        slopes = tl.gradients(special.expit(t).sum(), t)
    y = special.expit(t.data)
    np.testing.assert_allclose(slopes, y * (1 - y))


def test_sparse_matrices_are_refused():
    sparse = importlib.import_module("scipy.sparse")
    t = tl.tensor([0.5, 1.5], requires_grad=True)
    for kind in (sparse.csr_matrix, sparse.coo_array):
        m = kind(np.eye(2))
        for call in (lambda: t * m, lambda: t @ m, lambda: m @ t, lambda: m * t):  # noqa: B023
            with pytest.raises(TypeError, match=r"toarray\(\)|detach\(\)"):
                call()


def test_solvers_that_call_a_function_of_tensors():
    integrate, optimize = (importlib.import_module(f"scipy.{n}") for n in ("integrate", "optimize"))
    s = tl.tensor(0.75, requires_grad=True)
    for call in (
        lambda: integrate.quad(lambda x: x * s, 0, 1),
        lambda: integrate.solve_ivp(lambda t, y: -y * s, (0.0, 1.0), [1.0]),
        lambda: integrate.odeint(lambda y, t: -y * s, [1.0], [0.0, 1.0]),
        lambda: optimize.brentq(lambda x: x - s, 0.0, 2.0),
        lambda: optimize.minimize(lambda x: np.sum((x - s) ** 2), [1.0]),
        lambda: optimize.least_squares(lambda x: x - s, [1.0]),
    ):
        with pytest.raises((TypeError, ValueError)):
            call()
    root = optimize.newton(lambda x: x - s, 1.0)  # in Python, so that it stays tracked
    np.testing.assert_allclose(tl.gradients(root, s), 1.0)
