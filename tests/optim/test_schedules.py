"""Schedules: rates by hand, order, states, bad arguments; the oracle tests have PyTorch's rates."""

import copy
import math

import numpy as np
import pytest

import tinygrad_lab as tl
from tests.interrupts import assert_all_or_none
from tests.support import warnings_of
from tinygrad_lab import nn, optim
from tinygrad_lab.optim import lr_scheduler as schedules

MAKE = {
    "LambdaLR": lambda o: schedules.LambdaLR(o, lambda epoch: 0.5**epoch),
    "MultiplicativeLR": lambda o: schedules.MultiplicativeLR(o, lambda epoch: 0.5),
    "StepLR": lambda o: schedules.StepLR(o, 2, 0.5),
    "MultiStepLR": lambda o: schedules.MultiStepLR(o, [1, 3, 3], 0.5),
    "ConstantLR": lambda o: schedules.ConstantLR(o, 0.5, 2),
    "LinearLR": lambda o: schedules.LinearLR(o, 0.5, 0.25, 2),
    "ExponentialLR": lambda o: schedules.ExponentialLR(o, 0.5),
    "PolynomialLR": lambda o: schedules.PolynomialLR(o, 4, 2.0),
    "CosineAnnealingLR": lambda o: schedules.CosineAnnealingLR(o, 2, 0.2),
    "CosineAnnealingWarmRestarts": lambda o: schedules.CosineAnnealingWarmRestarts(o, 2, 1, 0.2),
    "CyclicLR": lambda o: schedules.CyclicLR(o, 0.2, 1.0, 2),
    "OneCycleLR": lambda o: schedules.OneCycleLR(
        o, 1.0, 5, pct_start=0.6, div_factor=2.0, final_div_factor=2.0
    ),
    "SWALR": lambda o: optim.swa_utils.SWALR(o, 0.5, 2, "linear"),
    "ChainedScheduler": lambda o: schedules.ChainedScheduler(
        [schedules.ConstantLR(o, 0.5, 2), schedules.ExponentialLR(o, 0.5)]
    ),
    "SequentialLR": lambda o: schedules.SequentialLR(
        o, [schedules.ConstantLR(o, 0.5, 9), schedules.ExponentialLR(o, 0.5)], [2]
    ),
}
RATES = {  # of a first rate of 1, by the formulas
    "LambdaLR": [1, 0.5, 0.25, 0.125, 0.0625],
    "MultiplicativeLR": [1, 0.5, 0.25, 0.125, 0.0625],
    "StepLR": [1, 1, 0.5, 0.5, 0.25],
    "MultiStepLR": [1, 0.5, 0.5, 0.125, 0.125],
    "ConstantLR": [0.5, 0.5, 1, 1, 1],
    "LinearLR": [0.5, 0.375, 0.25, 0.25, 0.25],
    "ExponentialLR": [1, 0.5, 0.25, 0.125, 0.0625],
    "PolynomialLR": [1, 9 / 16, 4 / 16, 1 / 16, 0],
    "CosineAnnealingLR": [1, 0.6, 0.2, 0.6, 1],
    "CosineAnnealingWarmRestarts": [1, 0.6, 1, 0.6, 1],
    "CyclicLR": [0.2, 0.6, 1, 0.6, 0.2],
    "OneCycleLR": [0.5, 0.75, 1, 0.625, 0.25],
    "SWALR": [1, 0.75, 0.5, 0.5, 0.5],
    "ChainedScheduler": [0.5, 0.25, 0.25, 0.125, 0.0625],
    "SequentialLR": [0.5, 0.5, 1, 0.5, 0.25],
}
every_schedule = pytest.mark.parametrize("name", MAKE)


def made(name):
    """A parameter, an optimizer that has moved it, and a schedule."""
    p = nn.Parameter([1.0])
    p.grad = np.ones(1)
    optimizer = optim.SGD([p], lr=1.0, momentum=0.9)
    optimizer.step()
    return optimizer, MAKE[name](optimizer), p


def rates_of(schedule, steps):
    rates = schedule.get_last_lr()
    for _ in range(steps):
        schedule.step()
        rates += schedule.get_last_lr()
    return rates


@every_schedule
def test_rates_are_those_of_the_formulas(name):
    _, schedule, _p = made(name)
    np.testing.assert_allclose(rates_of(schedule, 4), RATES[name], atol=1e-15)


@every_schedule
def test_a_saved_state_goes_on(name):
    optimizer, schedule, _p = made(name)
    rates_of(schedule, 2)
    saved = copy.deepcopy((optimizer.state_dict(), schedule.state_dict()))
    rest = rates_of(schedule, 2)
    other, again, _q = made(name)
    other.load_state_dict(saved[0])
    again.load_state_dict(saved[1])
    assert rates_of(again, 2) == rest


@every_schedule
def test_states_of_others_are_refused_and_change_nothing(name):
    _, schedule, _p = made(name)
    schedule.step()
    before = schedule.state_dict()
    for state in ({}, 3, None, {**before, "speed": 1}, {**before, **dict.fromkeys(before, "x")}):
        with pytest.raises((TypeError, ValueError)):
            schedule.load_state_dict(state)
        assert schedule.state_dict() == before


@every_schedule
def test_an_interrupted_step_is_all_or_none(name):
    def state(subject):
        optimizer, schedule, _p = subject
        return schedule.state_dict(), [dict(group, params=0) for group in optimizer.param_groups]

    def make():
        subject = made(name)
        subject[1].step()
        return subject

    assert_all_or_none(make, lambda subject: subject[1].step(), state, stride=3)


def test_momentum_goes_the_other_way():
    optimizer, schedule, _p = made("CyclicLR")
    (group,) = optimizer.param_groups
    momenta = [group["momentum"]]
    for _ in range(4):
        schedule.step()
        momenta.append(group["momentum"])
    np.testing.assert_allclose(momenta, [0.9, 0.85, 0.8, 0.85, 0.9])
    optimizer = optim.Adam([nn.Parameter([1.0])])
    schedules.OneCycleLR(optimizer, 0.1, 10, max_momentum=0.7)
    assert optimizer.param_groups[0]["betas"] == (0.7, 0.999)
    with pytest.raises(ValueError, match="Rprop has neither momentum nor betas"):
        schedules.CyclicLR(optim.Rprop([nn.Parameter([1.0])]), 0.1, 0.2)


def test_a_rate_set_by_hand_is_where_it_goes_on_from():
    optimizer, schedule, _p = made("ExponentialLR")
    schedule.step()
    optimizer.param_groups[0]["lr"] = 0.8
    schedule.step()
    assert schedule.get_last_lr() == [0.4]
    optimizer, schedule, _p = made("LambdaLR")
    optimizer.param_groups[0]["lr"] = 0.8
    assert rates_of(schedule, 1) == [0.8, 0.5]  # of the first rate, always


def test_step_goes_to_an_epoch():
    for name, rates in RATES.items():
        if name in ("ChainedScheduler", "SequentialLR", "MultiplicativeLR", "SWALR"):
            continue
        _, schedule, _p = made(name)
        schedule.step(3)
        assert schedule.last_epoch == 3
        assert schedule.get_last_lr() == pytest.approx([rates[3]]), name
    _, schedule, _p = made("CosineAnnealingWarmRestarts")
    schedule.step(2.5)
    assert schedule.last_epoch == 2
    assert schedule.get_last_lr() == pytest.approx([0.2 + 0.4 * (1 + math.cos(math.pi / 4))])


def test_last_epoch_goes_on_and_wants_the_first_rates():
    optimizer, schedule, _p = made("StepLR")
    rates_of(schedule, 2)
    assert rates_of(schedules.StepLR(optimizer, 2, 0.5, last_epoch=2), 1) == [0.5, 0.25]
    with pytest.raises(ValueError, match=r"param_groups\[0\] has no 'initial_lr'"):
        schedules.StepLR(optim.SGD([nn.Parameter([1.0])]), 2, last_epoch=2)


def test_a_schedule_of_ones_own():
    class Halves(schedules.LRScheduler):
        def get_lr(self):
            return [base * 0.5**self.last_epoch for base in self.base_lrs]

    optimizer, _, _p = made("StepLR")
    assert rates_of(Halves(optimizer), 2) == [1, 0.5, 0.25]
    with pytest.raises(NotImplementedError, match="get_lr"):
        schedules.LRScheduler(optimizer)


def test_the_first_step_belongs_after_the_optimizers():
    p = nn.Parameter([1.0])
    optimizer = optim.SGD([p], lr=1.0)
    schedule = schedules.StepLR(optimizer, 2)
    (warning,) = warnings_of(lambda: schedule.step(), 2)
    assert warning.category is tl.warnings.ScheduleOrderWarning
    assert "Call optimizer.step() first" in str(warning.message)

    class Own(optim.Optimizer):
        def step(self, closure=None):
            """It says nobody that it was called."""

    schedule = schedules.StepLR(Own([p], {"lr": 1.0}), 2)
    assert warnings_of(lambda: schedule.step(), 1) == []


def test_a_plateau():
    optimizer, _, _p = made("StepLR")
    schedule = schedules.ReduceLROnPlateau(optimizer, "max", 0.5, patience=1, cooldown=1)
    rates = []
    for accuracy in (tl.tensor(0.5), np.float32(0.5), 0.5, 0.4, 0.4, 0.4, 0.9, np.nan, np.nan):
        schedule.step(accuracy)
        rates += schedule.get_last_lr()
    assert rates == [1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda o: schedules.StepLR(o, 0), "step_size=0"),
        (lambda o: schedules.StepLR(o, 1, gamma=0.0), "gamma=0.0"),
        (lambda o: schedules.CosineAnnealingLR(o, 0), "T_max=0"),
        (lambda o: schedules.CosineAnnealingLR(o, 3, eta_min=-1.0), "eta_min=-1.0"),
        (lambda o: schedules.MultiStepLR(o, 3), "milestones=3"),
        (lambda o: schedules.MultiStepLR(o, [1.5]), "milestones=1.5"),
        (lambda o: schedules.ConstantLR(o, 2.0), "factor=2.0"),
        (lambda o: schedules.LinearLR(o, 0.0), "start_factor=0.0"),
        (lambda o: schedules.PolynomialLR(o, power=np.nan), "power=nan"),
        (lambda o: schedules.CosineAnnealingWarmRestarts(o, 2, 0), "T_mult=0"),
        (lambda o: schedules.CyclicLR(o, 0.1, 0.2, mode="square"), "mode='square'"),
        (lambda o: schedules.CyclicLR(o, [0.1, 0.2], 0.2), "base_lr has 2 values, and .* 1 groups"),
        (lambda o: schedules.OneCycleLR(o, 0.1), "total_steps, or epochs and steps_per_epoch"),
        (lambda o: schedules.OneCycleLR(o, 0.1, 9, pct_start=2), "pct_start=2"),
        (lambda o: schedules.OneCycleLR(o, 0.1, 9, max_momentum=1.0), "max_momentum=1.0"),
        (lambda o: rates_of(schedules.OneCycleLR(o, 0.1, 3), 9), "step 4 of a cycle of 3 steps"),
        (lambda o: schedules.ReduceLROnPlateau(o, "less"), "mode='less'"),
        (lambda o: schedules.ReduceLROnPlateau(o, factor=1.0), "factor=1.0"),
        (lambda o: schedules.LambdaLR(o, [min, max]), "lr_lambda has 2 values"),
        (lambda o: schedules.SequentialLR(o, [MAKE["StepLR"](o)], [3]), "1 schedules and 1 milest"),
        (lambda o: schedules.ChainedScheduler([]), "at least"),
        (lambda o: schedules.ChainedScheduler([schedules.ReduceLROnPlateau(o)]), "told a number"),
        (
            lambda o: schedules.ChainedScheduler([MAKE["StepLR"](o), made("StepLR")[1]]),
            r"schedulers\[1\] .*another optimizer",
        ),
        (lambda o: optim.swa_utils.SWALR(o, -0.1), "swa_lr=-0.1"),
    ],
)
def test_bad_arguments(build, message):
    with pytest.raises(ValueError, match=message):
        build(made("StepLR")[0])


@pytest.mark.parametrize("kind", ["StepLR", "ReduceLROnPlateau", "CyclicLR", "LambdaLR"])
def test_the_first_argument_is_an_optimizer(kind):
    with pytest.raises(TypeError, match="the optimizer whose learning rate"):
        getattr(schedules, kind)(0.1, 3, 4)
    with pytest.raises(TypeError, match="function of the epoch, not 3"):
        schedules.LambdaLR(made("StepLR")[0], 3)
