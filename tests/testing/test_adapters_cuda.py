"""Functions and modules of PyTorch on a GPU; skipped where there is none."""

import numpy as np
import pytest

from tinygrad_lab import testing as tgt

torch = pytest.importorskip("torch")
pytestmark = [
    pytest.mark.oracle,
    pytest.mark.filterwarnings("ignore"),  # of CUDA about its own start
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"),
]
X = np.array([[0.5, 1.0], [-1.0, 2.0]])


def check(fn, *inputs, **kwargs):
    return tgt.gradcheck(tgt.adapters.torch(fn, device="cuda"), *inputs, raises=False, **kwargs)


def test_a_function_and_its_second_derivative():
    report = check(lambda x: (torch.tanh(x) @ x, x.device.type == "cuda"), X, order=2)
    assert report.passed, str(report)


def test_a_module_with_a_buffer_is_left_where_it_was():
    m = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    before = {k: v.clone() for k, v in m.state_dict().items()}
    report = check(m, X)
    assert report.passed, str(report)
    assert all(torch.equal(v, before[k]) for k, v in m.state_dict().items())
    assert all(p.device.type == "cpu" for p in m.parameters())


def test_a_module_on_the_gpu_is_computed_there():
    m = torch.nn.Linear(2, 3).cuda()
    report = check(m, X)
    assert report.passed, str(report)
    assert tgt.check_module(m, X, raises=False).passed


def test_a_function_that_goes_there_by_itself():
    report = tgt.gradcheck(tgt.adapters.torch(lambda x: x.cuda().sin()), X, raises=False)
    assert report.passed, str(report)


def test_a_wrong_backward_pass():
    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * 3

    report = check(lambda x: Wrong.apply(x.sin()), X)
    assert report.verdict == "fail"
    assert "Wrong, " in str(report)


def test_random_numbers_go_on_as_before():
    state = torch.cuda.get_rng_state()
    check(torch.nn.Dropout(), X)
    assert torch.equal(state, torch.cuda.get_rng_state())
