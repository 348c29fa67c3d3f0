"""Averages of weights: by hand, what is refused, and that all changes or nothing."""

import copy

import numpy as np
import pytest

from tests.interrupts import assert_all_or_none
from tinygrad_lab import nn, optim
from tinygrad_lab.optim.swa_utils import (
    AveragedModel,
    get_ema_avg_fn,
    get_ema_multi_avg_fn,
    get_swa_multi_avg_fn,
    update_bn,
)


def model(value=0.0):
    made = nn.Sequential(nn.Linear(1, 1, rng=0), nn.BatchNorm1d(1))
    made.load_state_dict(
        {k: np.full(v.shape, value, v.dtype) for k, v in made.state_dict().items()}
    )
    return made


def averaged(values, **options):
    average = AveragedModel(model(), **options)
    for value in values:
        average.update_parameters(model(value))
    return average


def in_place(average, current, number):
    for a, b in zip(average, current, strict=True):
        a[...] = (a * number + b) / (number + 1)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 4.0),
        ({"multi_avg_fn": get_swa_multi_avg_fn()}, 4.0),
        ({"multi_avg_fn": in_place}, 4.0),
        ({"avg_fn": get_ema_avg_fn(0.75)}, (2 * 0.75 + 4 * 0.25) * 0.75 + 6 * 0.25),
        ({"multi_avg_fn": get_ema_multi_avg_fn(0.75)}, (2 * 0.75 + 4 * 0.25) * 0.75 + 6 * 0.25),
        ({"avg_fn": lambda averaged, current, number: averaged + number}, 2 + 1 + 2),
    ],
)
def test_averages_by_hand(options, expected):
    average = averaged([2.0, 4.0, 6.0], **options)
    assert average.module[0].weight.item() == pytest.approx(expected)
    assert average.module[1].running_mean.item() == 6
    assert average.n_averaged == 3
    average = averaged([2.0, 4.0, 6.0], use_buffers=True, **options)
    assert average.module[1].running_mean.item() == pytest.approx(expected)
    assert average.module[1].num_batches_tracked == 6


def test_the_original_stays_and_the_copy_predicts():
    original = model(3.0)
    average = AveragedModel(original)
    average.update_parameters(original)
    average.update_parameters(model(5.0))
    assert original[0].weight.item() == 3
    x = np.ones((2, 1))
    np.testing.assert_array_equal(
        average.eval()(x).data, model(4.0).eval()(x).data * 0 + average.module(x).data
    )
    again = AveragedModel(model())
    again.load_state_dict(average.state_dict())
    again.update_parameters(model(7.0))
    assert again.module[0].weight.item() == 5


def test_what_is_refused():
    with pytest.raises(ValueError, match="say one of them"):
        AveragedModel(model(), avg_fn=get_ema_avg_fn(), multi_avg_fn=get_ema_multi_avg_fn())
    with pytest.raises(ValueError, match=r"decay=1\.5"):
        get_ema_avg_fn(1.5)
    with pytest.raises(ValueError, match="device='cuda'"):
        AveragedModel(model(), "cuda")
    average = averaged([1.0, 2.0])
    before = average.state_dict()
    with pytest.raises(RuntimeError, match=r"0\.weight has shape"):
        average.update_parameters(nn.Sequential(nn.Linear(2, 1, rng=0), nn.BatchNorm1d(1)))
    np.testing.assert_equal(average.state_dict(), before)


def test_an_interrupted_update_is_all_or_none():
    second, third = averaged([1.0, 2.0]), model(3.0)
    assert_all_or_none(
        lambda: copy.deepcopy(second),
        lambda average: average.update_parameters(third),
        lambda average: copy.deepcopy(average.state_dict()),
        within="optim/swa_utils.py",
    )


def test_statistics_are_those_of_all_batches_together():
    net = model(1.0).eval()
    batches = np.random.default_rng(0).normal(size=(3, 8, 1))
    update_bn([(batch, None) for batch in batches], net)
    np.testing.assert_allclose(net[1].running_mean, 1 + batches.mean())
    np.testing.assert_allclose(net[1].running_var, batches.var(1, ddof=1).mean())
    assert (net[1].momentum, net.training, net[1].num_batches_tracked) == (0.1, False, 3)
    update_bn(batches, nn.Linear(1, 1, rng=0))  # there is nothing to measure


def test_the_rate_of_averaging():
    optimizer = optim.SGD([nn.Parameter([1.0])], lr=1.0)
    optim.swa_utils.SWALR(optimizer, 0.5)
    assert optimizer.param_groups[0]["swa_lr"] == 0.5
