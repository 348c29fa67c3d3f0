"""A function of another library is adapted without being told, where it shows whose it is."""

import numpy as np
import pytest

import tinygrad_lab as tl
from tinygrad_lab import testing as tgt
from tinygrad_lab.testing.adapters.choice import adapted

X = np.array([0.5, -1.0, 2.0])


@pytest.mark.parametrize("fn", [np.sin, np.sum, tl.sigmoid, lambda x: x * x, tgt.adapters.layer])
def test_what_may_be_of_tensors_is_left(fn):
    assert adapted(fn) is fn
    assert adapted(fn, [X, [X], {"a": X}, 1.0, None]) is fn


def test_what_was_adapted_is_left():
    adapter = tgt.adapters.numpy(np.sin, lambda g, x: g * np.cos(x))
    assert adapted(adapter) is adapter


@pytest.mark.oracle
class TestOthers:
    """JAX's and autograd's functions."""

    def test_jax(self):
        jax = pytest.importorskip("jax")
        for fn in (jax.numpy.sin, jax.jit(lambda x: x * x)):
            assert tgt.gradcheck(fn, X).passed
        assert tgt.gradcheck(lambda x: jax.numpy.sin(x), jax.numpy.asarray(X)).passed
        report = tgt.gradcheck(lambda x: jax.numpy.sin(x), X, raises=False)
        assert "adapters.jax(f)" in str(report)

    def test_autograd(self):
        anp = pytest.importorskip("autograd.numpy")
        assert tgt.gradcheck(anp.sin, X).passed


class AnyOrder:
    """A sum whose terms are added up in another order at each call, and its gradient."""

    def __init__(self, error=0.0):
        self.rng, self.error = np.random.default_rng(0), error

    def total(self, x):
        y = np.concatenate([x, 1 / 3 + 0 * x, 1e3 - x * x])
        error = self.error * self.rng.normal()
        return np.asarray(np.sum(self.rng.permutation(y.ravel()))) * (1 + error)

    def gradient(self, g, x):
        terms = g * np.stack([1 + 0 * x, 1 / 3 + 0 * x, -1 / 3 + 0 * x, -2 * x])
        error = self.error * self.rng.normal()
        return sum(self.rng.permutation(terms)) * (1 + error)


def of_a_device(function):
    """Adapt it as what a device computes that adds in any order."""
    adapter = tgt.adapters.numpy(function.total, function.gradient)

    def subject(args):
        result = adapter.subject(args)
        result.adds_in_any_order = True
        return result

    return tgt.adapters.Adapter(subject, "total")


class TestAnyOrder:
    """Last digits that differ between two calls are no fault of a device; others are."""

    x = np.linspace(-1.0, 1.0, 300) / 7

    def test_last_digits(self):
        assert tgt.gradcheck(of_a_device(AnyOrder()), self.x).passed

    def test_of_a_processor_they_are(self):
        function = AnyOrder()
        adapter = tgt.adapters.numpy(function.total, function.gradient)
        assert tgt.gradcheck(adapter, self.x, raises=False).verdict == "fail"

    @pytest.mark.parametrize("error", [1e-3, 0.5])
    def test_more_than_that(self, error):
        report = tgt.gradcheck(of_a_device(AnyOrder(error)), self.x, raises=False)
        assert report.verdict == "fail"


def test_what_is_computed_on_a_gpu_may_come_back_as_cupy_has_it():
    """An array as CuPy's, which NumPy cannot convert: it comes over with ``get()``."""

    class ndarray:  # noqa: N801 - as it is called there
        __module__ = "cupy"

        def __init__(self, x):
            self.x, self.shape, self.dtype = x, x.shape, x.dtype

        def __array__(self, *_args, **_kwargs):
            raise TypeError("Implicit conversion to a NumPy array is not allowed")

        def get(self):
            return self.x

    there = tgt.adapters.numpy(lambda x: ndarray(x**3), lambda g, x: ndarray(3 * x * x * g))
    assert tgt.gradcheck(there, X).passed
