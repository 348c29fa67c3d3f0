"""First values: their moments and bounds, and PyTorch's for the same weights."""

import numpy as np
import pytest

import tinygrad_lab as tl
from tinygrad_lab import nn
from tinygrad_lab.nn import init

SHAPES = [(300, 200), (40, 30, 5), (20, 10, 5, 5)]

#: Each call, with the standard deviation for (inputs, outputs) of an output and an input, and the
#: bound in units of it, if there is one.
DRAWN = {
    "uniform_": ((-0.5, 1.5), lambda i, o: 2 / 12**0.5, None),
    "normal_": ((0.5, 2.0), lambda i, o: 2.0, None),
    "xavier_uniform_": ((2.0,), lambda i, o: 2 * (2 / (i + o)) ** 0.5, 3**0.5),
    "xavier_normal_": ((0.5,), lambda i, o: 0.5 * (2 / (i + o)) ** 0.5, None),
    "kaiming_uniform_": ((), lambda i, o: (2 / i) ** 0.5, 3**0.5),
    "kaiming_uniform_ a": ((5**0.5,), lambda i, o: (1 / 3 / i) ** 0.5, 3**0.5),
    "kaiming_uniform_ out": ((0, "fan_out", "relu"), lambda i, o: (2 / o) ** 0.5, 3**0.5),
    "kaiming_normal_ tanh": ((0, "fan_in", "tanh"), lambda i, o: 5 / 3 / i**0.5, None),
    "trunc_normal_": ((0.0, 0.5, -1.0, 1.0), lambda i, o: 0.5 * 0.87962566, 2 / 0.87962566),
}


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", DRAWN)
def test_moments_and_bounds(name, shape):
    args, std, bound = DRAWN[name]
    parameter = nn.Parameter(np.zeros(shape))
    fill = getattr(init, name.split()[0])
    assert fill(parameter, *args, rng=0) is parameter
    inputs, outputs = init.fans(shape)
    expected, size = std(inputs, outputs), parameter.size
    mean = 0.5 if name in ("uniform_", "normal_") else 0.0
    assert abs(parameter.data.mean() - mean) < 5 * expected / size**0.5
    assert abs(parameter.data.std() / expected - 1) < 5 / size**0.5
    if bound:
        assert 0.99 < np.abs(parameter.data).max() / (bound * expected) <= 1 + 1e-9
    again = fill(nn.Parameter(np.zeros(shape)), *args, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(again.data, parameter.data)
    assert fill(nn.Parameter(np.zeros(shape, np.float32)), *args, rng=0).dtype == np.float32


@pytest.mark.parametrize("shape", [(4, 6), (6, 4), (5, 5), (4, 2, 3)])
def test_orthogonal(shape):
    flat = init.orthogonal_(np.zeros(shape), 2.0, rng=0).reshape(shape[0], -1)
    small = flat @ flat.T if flat.shape[0] <= flat.shape[1] else flat.T @ flat
    np.testing.assert_allclose(small, 4 * np.eye(len(small)), atol=1e-12)
    draws = [init.orthogonal_(np.zeros((2, 2)), rng=seed) for seed in range(400)]
    assert np.abs(np.mean(draws, axis=0)).max() < 5 * 0.5**0.5 / 20  # all are alike likely


def test_sparse():
    matrix = init.sparse_(np.ones((50, 40)), 0.3, 2.0, rng=0)
    assert ((matrix == 0).sum(axis=0) == 15).all()
    assert abs(matrix[matrix != 0].std() / 2 - 1) < 0.1
    assert np.ptp((matrix == 0).sum(axis=1)) > 5  # other rows in each column


@pytest.mark.parametrize(
    ("low", "high"), [(-2, 2), (0.5, 0.6), (3, 4.5), (30, 31), (-1, np.inf), (-1e-6, 1e-6)]
)
def test_a_truncated_normal_is_one(low, high):
    values = init.trunc_normal_(np.zeros(20_000), 1.0, 2.0, 1 + 2 * low, 1 + 2 * high, rng=0)
    z = (values - 1) / 2
    assert low - 1e-9 <= z.min() <= z.max() <= high + 1e-9
    grid = np.linspace(low, min(high, max(low, 0) + 9), 200_001)
    density = np.exp(-(grid**2 - np.abs(grid).min() ** 2) / 2)
    mean = (grid * density).sum() / density.sum()
    std = ((grid - mean) ** 2 * density).sum() / density.sum()
    assert abs(z.mean() - mean) < 5 * std**0.5 / 20_000**0.5


def test_what_is_not_drawn():
    p = nn.Parameter(np.full((2, 3), 9.0))
    assert init.ones_(p).tolist() == [[1] * 3] * 2
    assert init.zeros_(p).tolist() == [[0] * 3] * 2
    assert init.constant_(p, 0.25).tolist() == [[0.25] * 3] * 2
    assert init.eye_(p).tolist() == [[1, 0, 0], [0, 1, 0]]
    x = np.arange(30.0).reshape(1, 2, 3, 5)
    weight = init.dirac_(nn.Parameter(np.zeros((4, 1, 3, 3))), groups=2)
    y = nn.functional.conv2d(x, weight, padding=1, groups=2).data
    np.testing.assert_array_equal(y, np.stack([x[:, 0], 0 * x[:, 0], x[:, 1], 0 * x[:, 1]], 1))


def test_a_recorded_graph_keeps_the_old_values():
    p = nn.Parameter([3.0])
    y = p * p
    init.zeros_(p)
    y.backward()
    assert p.grad.tolist() == [6.0]
    assert p.requires_grad


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: init.xavier_uniform_(nn.Parameter([1.0])), r"two axes or more.*\(1,\)"),
        (lambda: init.kaiming_normal_(np.ones((2, 2)), mode="fan"), "mode 'fan'.*fan_in"),
        (lambda: init.calculate_gain("rellu"), "did you mean 'relu'"),
        (lambda: init.eye_(np.ones(3)), "matrix"),
        (lambda: init.dirac_(np.ones((3, 2, 1)), groups=2), "divide"),
        (lambda: init.trunc_normal_(np.ones(3), a=2, b=1), "empty"),
        (lambda: init.trunc_normal_(np.ones(3), a=9, b=99), "four std"),
        (lambda: init.sparse_(np.ones(3), 0.1), "matrix"),
    ],
)
def test_bad_calls_say_why(call, text):
    with pytest.raises(ValueError, match=text):
        call()


def test_only_what_holds_values_is_filled():
    with pytest.raises(RuntimeError, match="result of a computation"):
        init.zeros_(tl.tensor([1.0], requires_grad=True) * 2)
    with pytest.raises(TypeError, match="fills a parameter or an array"):
        init.zeros_([1.0])


@pytest.mark.oracle
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", DRAWN)
def test_pytorch_draws_from_the_same(name, shape):
    torch = pytest.importorskip("torch")
    args = DRAWN[name][0]
    torch.manual_seed(0)
    theirs = getattr(torch.nn.init, name.split()[0])(torch.empty(shape), *args).numpy()
    ours = getattr(init, name.split()[0])(np.zeros(shape), *args, rng=1)
    assert abs(theirs.std() / ours.std() - 1) < 8 / ours.size**0.5
    if "uniform" in name:
        assert abs(theirs.max() / ours.max() - 1) < 30 / ours.size


@pytest.mark.oracle
def test_gains_and_fixed_values_are_pytorchs():
    torch = pytest.importorskip("torch")
    for name, *param in (
        ["relu"], ["tanh"], ["selu"], ["sigmoid"], ["linear"], ["conv_transpose2d"],
        ["leaky_relu"], ["leaky_relu", 0.3],
    ):  # fmt: skip
        expected = torch.nn.init.calculate_gain(name, *param)
        assert init.calculate_gain(name, *param) == pytest.approx(expected, rel=1e-15)
    for shape, groups in (((4, 2, 3), 2), ((6, 2, 3, 4), 3), ((2, 5, 3, 3, 2), 1)):
        theirs = torch.nn.init.dirac_(torch.empty(shape), groups).numpy()
        np.testing.assert_array_equal(init.dirac_(np.ones(shape), groups), theirs)
