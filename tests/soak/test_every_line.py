"""Ctrl-C at any line of what changes state: it is the state before or the state after, never half.

Not for: how the lines are found (``tests/interrupts.py``), nor for files.
"""

import copy

import numpy as np
import pytest

import tinygrad_lab as tl
from tests.interrupts import assert_all_or_none as everywhere
from tinygrad_lab import nn, optim

OPTIMIZERS = {
    "SGD": lambda p: optim.SGD(p, lr=0.1),
    "SGD with momentum": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "ASGD": lambda p: optim.ASGD(p, t0=1),
    "Rprop": lambda p: optim.Rprop(p),
    "Adagrad": lambda p: optim.Adagrad(p),
    "Adadelta": lambda p: optim.Adadelta(p),
    "RMSprop": lambda p: optim.RMSprop(p, centered=True, momentum=0.5),
    "Adam": lambda p: optim.Adam(p, amsgrad=True),
    "AdamW": lambda p: optim.AdamW(p, weight_decay=0.1),
    "Adamax": lambda p: optim.Adamax(p),
    "NAdam": lambda p: optim.NAdam(p, decoupled_weight_decay=True, weight_decay=0.1),
    "RAdam": lambda p: optim.RAdam(p),
}
every_optimizer = pytest.mark.parametrize("name", OPTIMIZERS)


class Case:
    """A small model in the middle of its training, with the gradients of its second step."""

    def __init__(self, optimizer="SGD", width=2):
        rng = np.random.default_rng(0)
        self.x = rng.normal(size=(4, 3))
        self.model = nn.Sequential(
            nn.Linear(3, width, rng=1), nn.Tanh(), nn.Linear(width, 1, rng=2)
        )
        self.optimizer = OPTIMIZERS[optimizer](self.model.parameters())
        for last in (False, True):
            self.optimizer.zero_grad()
            self.loss().backward()
            if not last:
                self.optimizer.step()

    def loss(self):
        return np.mean(self.model(self.x) ** 2)

    def values(self):
        return [p.data.copy() for p in self.model.parameters()]

    def gradients(self):
        return [None if p.grad is None else np.array(p.grad) for p in self.model.parameters()]


@pytest.fixture
def assert_all_or_none(tried):
    """As of ``tests.interrupts``, and it says at how many places."""
    return lambda *args, **options: tried(f"{everywhere(*args, **options)} places")


def state_of(case):
    return copy.deepcopy(case.optimizer.state_dict())


@every_optimizer
def test_a_step(name, assert_all_or_none):
    assert_all_or_none(
        lambda: Case(name),
        lambda case: case.optimizer.step(),
        lambda case: (case.values(), state_of(case)),
    )


@every_optimizer
def test_a_first_step(name, assert_all_or_none):
    def make():
        case = Case(name)
        case.optimizer = OPTIMIZERS[name](case.model.parameters())
        return case

    assert_all_or_none(
        make, lambda case: case.optimizer.step(), lambda case: (case.values(), state_of(case))
    )


@every_optimizer
def test_loading_the_state_of_an_optimizer(name, assert_all_or_none):
    later = Case(name)
    later.optimizer.step()
    state = state_of(later)
    assert_all_or_none(
        lambda: Case(name), lambda case: case.optimizer.load_state_dict(state), state_of
    )


def test_loading_the_state_of_a_module(assert_all_or_none):
    state = {key: np.array(value) + 1.0 for key, value in Case().model.state_dict().items()}
    assert_all_or_none(
        Case, lambda case: case.model.load_state_dict(state), lambda case: case.values()
    )


def backward(case):
    case.loss().backward()


def test_a_backward_pass(assert_all_or_none):
    assert_all_or_none(Case, backward, Case.gradients)


def test_a_first_backward_pass(assert_all_or_none):
    def make():
        case = Case()
        case.optimizer.zero_grad()
        return case

    assert_all_or_none(make, backward, Case.gradients)


def through_a_checkpoint(case):
    np.mean(tl.checkpoint(case.model, case.x) ** 2).backward()


def test_a_checkpoint(assert_all_or_none):
    """It leaves the model's parameters the objects that they are, too."""

    def make():
        case = Case()
        case.before = [id(p) for p in case.model.parameters()]
        return case

    def look(case):
        same = [id(p) for p in case.model.parameters()] == case.before
        return case.gradients(), case.values(), same

    # Not within tl.no_grad itself: nothing can undo what an interrupt leaves half entered.
    assert_all_or_none(make, through_a_checkpoint, look, within="tinygrad_lab/transforms")
