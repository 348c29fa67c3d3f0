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


class ByAddress(torch.autograd.Function):
    """Twice its input; the backward pass reads the upstream from memory, as a kernel does."""

    @staticmethod
    def forward(ctx, x):
        return 2 * x

    @staticmethod
    def backward(ctx, g):
        return 2 * torch.as_strided(g, g.shape, torch.empty(g.shape).stride())


def test_a_kernel_that_takes_its_upstream_for_contiguous():
    report = check(lambda x: ByAddress.apply(x).sum(0), X)
    assert report.verdict == "fail", str(report)


def test_it_is_computed_where_the_inputs_are():
    places = set()

    def sine(x):
        places.add(x.device.type)
        return torch.sin(x)

    x = torch.tensor(X, device="cuda")
    for fn in (sine, tgt.adapters.torch(sine)):
        assert tgt.gradcheck(fn, x, order=2).passed
    assert places == {"cuda"}


def test_other_last_digits_at_each_call_are_no_fault():
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(4, 3, 9, 9)), rng.normal(size=(5, 3, 3, 3))
    report = check(lambda x, w: torch.nn.functional.conv2d(x, w, padding=1), x, w)
    assert report.passed, str(report)
