"""Convolutions on several threads: the same numbers, errors, settings, processes."""

import os
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest

import tinygrad_lab as tl
from tinygrad_lab.nn.kernels import planes, pool, threads


@pytest.fixture
def several():
    """Set the number of threads to 3, and back."""
    before = tl.get_num_threads()
    tl.set_num_threads(3)
    yield
    tl.set_num_threads(before)


def results(groups=2, stride=1):
    rng = np.random.default_rng(0)
    x = tl.tensor(rng.normal(size=(13, 4, 12, 9)), requires_grad=True)
    w = tl.tensor(rng.normal(size=(6, 4 // groups, 3, 3)), requires_grad=True)
    y = tl.conv2d(x, w, None, stride, 1, groups=groups)
    y.backward(np.cos(y.data))
    return y.data, x.grad, w.grad


@pytest.mark.parametrize("stride", [1, 2])
def test_the_number_of_threads_changes_no_bit(monkeypatch, several, stride):
    monkeypatch.setattr(planes, "SHARE", 1000)
    assert len(planes._shares(13, 1, 4000)) > 3
    shared = results(stride=stride)
    tl.set_num_threads(1)
    for a, b in zip(shared, results(stride=stride), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("pooled", [tl.max_pool2d, tl.avg_pool2d])
def test_pooling_a_few_images_at_a_time_changes_no_bit(monkeypatch, pooled):
    images = np.random.default_rng(0).normal(size=(5, 7, 9, 8)).round(1)

    def results():
        x = tl.tensor(images, requires_grad=True)
        y = pooled(x, 3, 2, 1)
        y.backward(np.cos(y.data))
        return y.data, x.grad

    whole = results()
    monkeypatch.setattr(pool, "BLOCK", 1000)
    for a, b in zip(results(), whole, strict=True):
        np.testing.assert_array_equal(a, b)


def test_shares_are_all_images_once():
    for n, abreast, products in [(0, 1, 10), (1, 8, 10**9), (32, 8, 10**6), (33, 4, 10**8)]:
        shares = planes._shares(n, abreast, products)
        assert [i for share in shares for i in range(share.start, share.stop)] == list(range(n))
        assert all(share.start % abreast == 0 for share in shares)


def test_helpers_do_their_part_and_answer_in_order(several):
    everybody = threading.Barrier(3, timeout=60)

    def work(part):
        everybody.wait()  # three at once, or never
        return part * part

    assert threads.in_parts(work, range(3)) == [0, 1, 4]


def test_an_error_in_any_thread_reaches_the_caller(several):
    both = threading.Barrier(2, timeout=60)

    def work(part):
        both.wait()
        if threading.current_thread() is not threading.main_thread():
            raise ValueError(f"part {part}")

    tl.set_num_threads(2)
    with pytest.raises(ValueError, match="part"):
        threads.in_parts(work, range(2))


def test_helpers_heed_the_callers_errstate(several):
    everybody = threading.Barrier(3, timeout=60)

    def work(_):
        everybody.wait()
        with pytest.raises(FloatingPointError):
            np.log(np.zeros(1) - 1)

    with warnings.catch_warnings(), np.errstate(invalid="raise"):
        warnings.simplefilter("error")
        threads.in_parts(work, range(3))


def test_parts_within_parts(several):
    def work(part):
        return sum(threads.in_parts(lambda n: part * n, range(5)))

    assert threads.in_parts(work, range(7)) == [10 * part for part in range(7)]


def test_a_convolution_while_python_ends():
    code = """
import atexit, numpy as np, tinygrad_lab as tl
tl.set_num_threads(2)
x, w = np.ones((64, 8, 32, 32)), np.ones((8, 8, 3, 3))
right = tl.conv2d(x, w)
atexit.register(lambda: print(np.array_equal(tl.conv2d(x, w), right)))
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (ran.stdout, ran.stderr) == ("True\n", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes do not fork here")
def test_a_process_that_forked_off_convolves():
    code = """
import os
import numpy as np
from tests.nn.test_threads import planes, results, tl
tl.set_num_threads(3)
planes.SHARE = 1000
expected = results()
child = os.fork()
if child == 0:
    same = all(np.array_equal(a, b) for a, b in zip(results(), expected, strict=True))
    os._exit(0 if same else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""  # in a process of its own: other libraries that were imported here may forbid it to fork
    root = Path(__file__).parents[2]
    quiet = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code]
    ran = subprocess.run(quiet, capture_output=True, text=True, check=True, cwd=root)
    assert ran.stdout == "0\n"


@pytest.mark.parametrize("number", [0, -1, 1.5, "2", True, None])
def test_bad_numbers_of_threads(number):
    before = tl.get_num_threads()
    with pytest.raises(ValueError, match=r"set_num_threads\(.*expected an integer of 1 or more"):
        tl.set_num_threads(number)
    assert tl.get_num_threads() == before


@pytest.mark.parametrize(
    ("environment", "number"),
    [
        ({"OMP_NUM_THREADS": "1"}, 1),
        ({"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": ""}, 1),
        ({"OMP_NUM_THREADS": "4,2"}, 8),
        ({"OMP_NUM_THREADS": "0"}, 1),
        ({"MKL_NUM_THREADS": "99"}, 8),
        ({}, 8),
    ],
)
def test_the_environment_limits_threads(monkeypatch, environment, number):
    monkeypatch.setattr(threads, "processors", lambda: 8)
    for name in threads._VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert threads._number_at_start() == number
