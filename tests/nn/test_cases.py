"""What every function and every layer must do, whatever it computes (the list: ``cases/``)."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import tinygrad_lab as tl
from tests.nn.cases import Case, every_case, names_elsewhere, number, of_output
from tests.support import check_gradients
from tinygrad_lab import nn
from tinygrad_lab.nn import functional as F

CASES = every_case()
each_case = pytest.mark.parametrize("case", CASES, ids=str)


def plain(y):
    return [np.asarray(part.data if isinstance(part, tl.Tensor) else part) for part in of_output(y)]


def assert_close(actual, expected, tolerance=1e-12):
    assert len(actual) == len(expected)
    for a, e in zip(actual, expected, strict=True):
        assert (a.shape, a.dtype) == (e.shape, e.dtype)
        np.testing.assert_allclose(a, e, rtol=tolerance, atol=tolerance)


def test_nothing_is_left_out():
    functions = {name for name in F.__all__ if callable(getattr(F, name))}
    layers = {name for name in nn.__all__ if inspect.isclass(getattr(nn, name))}
    missing = (functions | layers) - {case.name for case in CASES} - names_elsewhere()
    assert not missing, f"add cases for {sorted(missing)}, or say where they are tested"


@each_case
def test_gradients_are_those_of_finite_differences(case: Case):
    f, values = case.of()
    total = number(f)

    def as_array(*moved):
        y = total(*moved)
        return y if isinstance(y, tl.Tensor) else np.asarray(y)

    def of_all(row):  # all that a large layer has, moved together
        parts = np.split(row, np.cumsum([v.size for v in values])[:-1])
        return as_array(*(part.reshape(v.shape) for part, v in zip(parts, values, strict=True)))

    if case.order and len(values) > 4:
        check_gradients(of_all, np.concatenate([v.ravel() for v in values]), order=1)
    elif case.order:
        check_gradients(as_array, *values, order=1)


@each_case
def test_float32_stays_float32(case: Case):
    f, values = case.of(np.float32)
    assert all(part.dtype == np.float32 for part in plain(f(*values)))
    if case.order:
        by = tuple(range(len(values)))
        gradients = tl.grad(number(f), by)(*values)
        assert all(g.dtype == np.float32 for g in gradients)


@each_case
def test_it_goes_through_jit(case: Case):
    f, values = case.of()
    by = tuple(range(len(values)))
    function = tl.value_and_grad(number(f), by) if case.order else f
    jitted = tl.jit(function, backend="numpy")
    for shift in (0.0, 0.01):
        moved = [v + shift for v in values]
        assert_close(plain(jitted(*moved)), plain(function(*moved)))


@each_case
def test_it_goes_through_vmap(case: Case):
    if not case.vmap:
        pytest.skip("values decide: tested with the family")
    f, values = case.of()
    by = tuple(range(len(values)))
    rows = [[v, v + 0.01] for v in values]
    for function in (f, tl.grad(number(f), by)) if case.order else (f,):
        together = plain(tl.vmap(function)(*(np.stack(row) for row in rows)))
        apart = [plain(function(*row)) for row in zip(*rows, strict=True)]
        assert_close(together, [np.stack(parts) for parts in zip(*apart, strict=True)])


@each_case
def test_it_goes_through_checkpoint(case: Case):
    f, values = case.of()
    if not case.order:
        pytest.skip("nothing to differentiate")
    by = tuple(range(len(values)))
    again = tl.grad(lambda *v: tl.checkpoint(number(f), *v), by)(*values)
    assert_close(list(again), list(tl.grad(number(f), by)(*values)))
