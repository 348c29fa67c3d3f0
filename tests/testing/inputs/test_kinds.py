"""Kinds of inputs: what is wrong on one kind alone is found, and what is right passes on all."""

import functools
import math
import os

import numpy as np
import pytest
from hypothesis import given, settings

import tinygrad_lab as tl
from tinygrad_lab import testing as tgt
from tinygrad_lab.testing.adapters import numpy as by_hand
from tinygrad_lab.testing.inputs import kinds
from tinygrad_lab.testing.inputs.constants import constants_of
from tinygrad_lab.testing.inputs.strategies import Domain

THOROUGH = os.environ.get("HYPOTHESIS_PROFILE") == "thorough"
EDGE = 17.5
#: Enough examples for every kind to be among them; and of the properties those that tell.
FEWER = {"order": 1, "examples": 60, "properties": ["well_formed", "directional"]}


def sine(wrong):
    """The sine, whose gradient by hand is doubled where ``wrong(x)``."""

    def vjp(g, x):
        return np.asarray(g * np.cos(x) * np.where(wrong(x), 2.0, 1.0), dtype=g.dtype)

    return by_hand(np.sin, vjp, name="sine")


def is_multiple(x):
    return (np.abs(x) > 3) & (x == np.round(x))


def is_long(x, n):
    return np.arange(x.size).reshape(x.shape) >= n


#: What each is wrong for, and whether what fails then is as small as that.
WRONG = {
    "beyond a constant": (lambda x: x > 20, lambda x: x.size <= 2 and x.max() > 20),
    "beyond a global constant": (lambda x: x < -EDGE, lambda x: x.size <= 2 and x.min() < -EDGE),
    "between two constants": (lambda x: (x > 1) & (x < 1.02), lambda x: x.size <= 2),
    "in an interval that no code names": (
        functools.partial(lambda low, x: (x > low) & (x < low + 0.01), math.sqrt(5)),
        lambda x: x.size <= 2,
    ),
    "below 1e-5": (lambda x: (np.abs(x) < math.exp(-11.5)) & (x != 0), lambda x: x.size <= 2),
    "at whole numbers": (is_multiple, lambda x: x.size <= 2),
    "at negative zero": (lambda x: (x == 0) & np.signbit(x), lambda x: x.size <= 2),
    "where two are close": (
        lambda x: x.size > 1 and 0 < np.ptp(x) < 1e-5,
        lambda x: x.size <= 3,
    ),
    "where all are equal": (lambda x: x.size > 1 and np.ptp(x) == 0, lambda x: x.size == 2),
    "where they are sorted": (
        lambda x: x.ndim == 1 and x.size > 4 and bool(np.all(np.diff(x) > 0)),
        lambda x: x.size <= 7,
    ),
    "from 33 elements on": (lambda x: is_long(x, 33), lambda x: x.size <= 34),
    "from 1025 elements on": (lambda x: is_long(x, 1024), lambda x: x.size <= 1250),
    "beyond a block of 48": (lambda x: is_long(x, 48), lambda x: x.size <= 50),
    "at five axes": (lambda x: x.ndim == 5, lambda x: x.size <= 12),
    "where an axis has seven": (lambda x: 7 in x.shape, lambda x: x.size <= 21),
}

#: What another of them shows as well is left to the thorough tests.
BY_DAY = WRONG.keys() - {
    "beyond a global constant",
    "between two constants",
    "from 33 elements on",
    "beyond a block of 48",
    "at whole numbers",
    "at five axes",
}
NAMES = [name for name in WRONG if name in BY_DAY or THOROUGH]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_wrong_for_one_kind_alone_is_found_and_made_small(name):
    wrong, is_small = WRONG[name]
    failing = []
    watch = lambda call, report: failing.append(call) if report.findings else None
    with pytest.raises(tgt.GradientError, match="is wrong"):
        tgt.check_op(sine(wrong), tgt.tensors(1), watch=watch, **FEWER)
    assert is_small(failing[-1].arrays[0])


def test_what_is_right_passes_on_every_kind():
    calls = []
    watch = lambda call, report: calls.append(call.arrays[0])
    right = sine(lambda x: x > 1e300)
    assert tgt.check_op(right, tgt.tensors(1), watch=watch, **FEWER).passed
    assert {x.size for x in calls} >= {33, 129, 1025}
    sizes = [np.max(np.abs(x)) for x in calls if x.size]
    assert max(sizes) >= 1e5
    assert min(size for size in sizes if size) <= 1e-300


def test_a_domain_and_a_shape_have_the_last_word():
    arrays = []
    watch = lambda call, report: arrays.append(call.arrays[0])
    inputs = tgt.tensors(1, shape=(2, 2), domain=Domain(0.5, 100, away=[3]))
    assert tgt.check_op(sine(lambda x: False), inputs, watch=watch, **FEWER).passed
    assert {x.shape for x in arrays} == {(2, 2)}
    values = np.concatenate([x.ravel() for x in arrays])
    assert values.min() >= 0.5
    assert 99 <= values.max() <= 100
    assert np.min(np.abs(values - 3)) >= 0.2


def test_arrays_of_no_two_equal_elements_stay_so():
    def watch(call, report):
        x = call.arrays[0]
        assert len(set(x.ravel().tolist())) == x.size or x.size > 600

    tgt.check_op(
        sine(lambda x: False), tgt.tensors(1, shape=(5,), unique=True), watch=watch, **FEWER
    )


def test_a_function_that_is_defined_for_few_numbers_only_is_not_asked_for_more():
    def guarded(x):
        if np.any(np.abs(x) > math.exp(7.7)) or x.size > 40:
            raise ValueError("out of range")
        return np.sin(x)

    right = by_hand(guarded, lambda g, x: np.asarray(g * np.cos(x), dtype=g.dtype))
    assert tgt.check_op(right, tgt.tensors(1), **FEWER).passed


def test_primitives_of_several_arguments():
    @tl.primitive
    def product(x, y):
        return x * y

    def by_first(g, z, x, y):
        return np.broadcast_to(g * y, z.shape).sum() if x.ndim == 0 else _like(g * y, x)

    def by_second(g, z, x, y):
        wrong = np.where(np.abs(y) > 1e6, 0.5, 1.0)
        return _like(g * x, y) * wrong

    tl.defvjp(product, by_first, by_second)
    with pytest.raises(tgt.GradientError, match="by input 1") as caught:
        tgt.check_op(product, **FEWER)
    assert caught.value.finding.input == 1


def _like(g, x):
    summed = g.sum(axis=tuple(range(g.ndim - x.ndim)))
    ones = tuple(i for i, n in enumerate(x.shape) if n == 1)
    return summed.sum(axis=ones, keepdims=True)


# ---------------------------------------------------------------------------------------------
# The numbers in the code


class Switch:
    """A layer with numbers in an attribute, in a class and in a method."""

    block = 48

    def __init__(self):
        self.slope = 0.01

    def backward(self, g):
        return g if g.size < 33 else g * self.slope


def helper(x):
    return np.where(np.abs(x) < 1e-5, 0, x)


def calls_a_helper(x):
    return helper(x) + (lambda y: y * 2.5)(x)


CODE = {
    "a comparison": (lambda x: x > 20, {20.0}),
    "a global": (lambda x: x + EDGE, {17.5}),
    "a function inside, and another one": (calls_a_helper, {1e-5, 0.0, 2.5}),
    "a method": (Switch().backward, {33.0, 0.01, 48.0}),
    "an object": (Switch(), {33.0, 0.01, 48.0}),
    "what an adapter holds": (sine(lambda x: x > 12.5), {2.0, 1.0, 12.5}),
    "a partial": (functools.partial(helper, 3.5), {3.5, 1e-5, 0.0}),
    "a number of NumPy": (lambda x: x - np.pi, {math.pi}),
    "a function of a library": (np.tanh, set()),
    "booleans and text": (lambda x: x.sum(axis=None, keepdims=True) or "1.5", set()),
}


@pytest.mark.parametrize("name", CODE)
def test_the_numbers_that_stand_in_code(name):
    function, expected = CODE[name]
    assert set(constants_of(function)) == expected


def test_code_that_refers_to_itself_comes_to_an_end():
    loop = []
    loop.append(loop)

    def endless(x):
        return endless(x) if loop else 4.5

    assert set(constants_of(endless)) == {4.5}


# ---------------------------------------------------------------------------------------------
# The strategies


@given(tgt.extremes(1, shape=(4,), domain=Domain(0, 1e6)))
@settings(max_examples=20)
def test_extremes_lie_in_their_domain(drawn):
    assert drawn[0].shape == (4,)
    assert drawn[0].min() >= 0
    assert drawn[0].max() <= 1e6


@given(tgt.near_ties(2, shape=(3,)))
@settings(max_examples=20)
def test_near_ties_are_near(drawn):
    assert any(np.ptp(np.abs(x)) <= 3e-3 * np.max(np.abs(x)) for x in drawn)


@given(tgt.long(2, broadcast=True))
@settings(max_examples=20)
def test_long_ones_are_long(drawn):
    x, y = drawn
    assert max(np.broadcast_shapes(x.shape, y.shape)) in kinds.LENGTHS


@given(tgt.tensors(1, domain=Domain(0, 1)))
@settings(max_examples=50)
def test_numbers_off_the_grid_are_in_the_domain_and_short(drawn):
    assert all(0 <= x <= 1 and len(repr(x)) <= 6 for x in drawn[0].ravel().tolist())


def test_a_domain_that_holds_none_of_the_numbers():
    with pytest.raises(ValueError, match="holds none of these numbers"):
        tgt.near_ties(domain=Domain(10, 11))
