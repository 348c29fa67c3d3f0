"""Differences smaller than the last digits of what is computed with: round-off, or a mistake.

What a formula loses it loses where numbers are large or small; a mistake is there elsewhere too.
"""

import numpy as np
import pytest

import tinygrad_lab as tl
from tinygrad_lab import testing as tgt
from tinygrad_lab.testing.judging.arrays import bind
from tinygrad_lab.testing.judging.point import Point
from tinygrad_lab.testing.judging.subject import subject_of
from tinygrad_lab.testing.judging.tamer import tamer


def report(f, vjp, *inputs, **options):
    return tgt.gradcheck(
        tgt.adapters.numpy(f, vjp), *map(np.array, inputs), raises=False, **options
    )


def elementwise(slope):
    return lambda g, x: g * slope(x)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def log_sum_exp(x):
    return x.max() + np.log(np.exp(x - x.max()).sum())


def softmax(x):
    return np.exp(x - log_sum_exp(x))


def entropy(x):
    return -np.sum(softmax(x) * (x - log_sum_exp(x)))


def entropy_back(g, x):
    return -g * softmax(x) * ((x - log_sum_exp(x)) + entropy(x))


def narrow_softmax_back(g, x):
    p, u = softmax(x.astype(np.float32)), g.astype(np.float32)
    return (p * (u - np.sum(u * p))).astype(float)


LOSES = {
    "a logarithm of nearly 1": (entropy, entropy_back, [66.0, -339.0, -132.5, -60.9, 114.4]),
    "the same": (entropy, entropy_back, [-250.6, 179.6, -64.1, -528.9, -572.9]),
    "1 - s": (lambda x: -np.log1p(np.exp(-x)), elementwise(lambda x: 1 - sigmoid(x)), [60.0, -3.0]),
    "whole numbers": (np.floor, elementwise(np.zeros_like), [4711.6, 436.1, -3030.4]),
    "hundreds": (lambda x: np.round(x, -2), elementwise(np.zeros_like), [81234.3, -912345.4]),
    "float32": (
        lambda x: softmax(x.astype(np.float32)).astype(float),
        narrow_softmax_back,
        [15.0, -2.0, 1.0, 0.0],
    ),
    "a pole": (
        lambda x: np.log(np.log(x)),
        elementwise(lambda x: 1 / (x * np.log(x))),
        [1.00000005, 1.0002, 1.000000005],
    ),
}


@pytest.mark.parametrize(("f", "vjp", "x"), LOSES.values(), ids=LOSES)
def test_what_loses_its_digits_is_not_called_wrong(f, vjp, x):
    assert report(f, vjp, x).verdict != "fail"


SMALL = {
    "the sign": (lambda x: 1e-20 * np.sin(x), lambda g, x: -1e-20 * g * np.cos(x), [0.3, 2.0]),
    "no slope": (lambda x: 1e-20 * np.sin(x), lambda g, x: 0 * x, [0.3, 2.0]),
    "the size of the upstream": (
        lambda x: 1e-20 * np.sin(x),
        lambda g, x: 1e-20 * np.abs(g) * np.cos(x),
        [0.3, 2.0],
    ),
    "a tail": (np.exp, lambda g, x: -g * np.exp(x), [-50.0, -45.0]),
    "a bell": (lambda x: np.exp(-x * x), lambda g, x: -4 * g * x * np.exp(-x * x), [7.0, -6.5]),
    "entropy": (entropy, lambda g, x: -entropy_back(g, x), [20.0, -30.0, 5.0]),
    "zero in float32": (
        lambda x: np.sin(x.astype(np.float32)).astype(float),
        lambda g, x: 0 * x,
        [0.3, 1.2],
    ),
}


@pytest.mark.parametrize(("f", "vjp", "x"), SMALL.values(), ids=SMALL)
def test_a_mistake_in_small_numbers_is_one(f, vjp, x):
    assert report(f, vjp, x).verdict == "fail"


def test_f_plus_f_where_digits_are_lost():
    x = np.array([66.0, -339.0, -132.5, -60.9, 114.4])
    lse = lambda x: np.max(x) + np.log(np.sum(np.exp(x - np.max(x))))
    f = lambda x: -np.sum(np.exp(x - lse(x)) * (x - lse(x)))
    assert tgt.gradcheck(f, x, raises=False).verdict != "fail"


def test_a_tamer_point():
    args = bind([np.array([1e-8, -1e6, 0.0])], None)
    subject = subject_of(np.sin, args)
    recorded = subject.record(args.arrays)
    ups = [np.ones(3)]
    point = Point(subject, args.arrays, recorded, ups, np.random.default_rng(0), 1)
    for there in tamer(point):
        x = there.arrays[0]
        assert np.all(np.sign(x) == [1, -1, 0])
        assert np.all((np.abs(x[:2]) > 0.05) & (np.abs(x[:2]) < 10))


# ---------------------------------------------------------------------------------------------
# float32 inputs


CANCELS = {
    "(exp x - 1)/x": (
        lambda x: (np.exp(x) - 1) / x,
        lambda x: (x * np.exp(x) - np.exp(x) + 1) / x**2,
        [0.00026435, 0.027915587, -0.0058402],
    ),
    "overflow": (sigmoid, lambda x: np.exp(-x) / (1 + np.exp(-x)) ** 2, [-100.0, 3.0]),
}


@pytest.mark.parametrize(("f", "slope", "x"), CANCELS.values(), ids=CANCELS)
def test_what_float32_loses_is_a_note(f, slope, x):
    checked = report(f, elementwise(slope), x)
    assert checked.verdict != "fail", str(checked)
    assert "too few digits here, or no room" in str(checked)
    assert any("not so where numbers are tamer" in note for note in checked.notes)


@pytest.mark.parametrize("x", [[0.3, -1.2], [1e-5, 2e-4], [300.0, -40.0]])
def test_a_mistake_in_float32_is_one(x):
    def doubled(g, x):
        return g * np.cos(x) * (2 if x.dtype == np.float32 else 1)

    checked = report(np.sin, doubled, x)
    assert [finding.kind for finding in checked.findings] == ["float32"]


# ---------------------------------------------------------------------------------------------
# Whole numbers, where nobody asked


def area(a, b, c):
    return np.sqrt((a + b + c) * (-a + b + c) * (a - b + c) * (a + b - c)) / 4


def area_back(g, a, b, c):
    def by(x, y, z):
        return g * x * (y * y + z * z - x * x) / (8 * 4 * area(a, b, c) / 4)

    return by(a, b, c), by(b, a, c), by(c, a, b)


def wave(x):
    return np.abs(x - np.rint(x))


@pytest.mark.parametrize("seed", range(6))
def test_a_kink_or_a_root_on_whole_numbers_is_no_failure(seed):
    sides = (395253.1, 355820.2, 353307.2)
    assert report(area, area_back, *sides, rng=seed).verdict == "pass"
    waves = report(wave, elementwise(lambda x: np.sign(x - np.rint(x))), [4.3, -7.2], rng=seed)
    assert waves.verdict == "pass"


def test_not_a_number_where_a_polynomial_has_a_slope():
    checked = [
        report(np.square, elementwise(lambda x: 2 * x * x / x), 0.1 + np.arange(9), rng=seed)
        for seed in range(3)
    ]
    assert [finding.kind for each in checked for finding in each.findings] == ["not finite"] * 3


def test_a_median_of_distances_on_whole_numbers():
    def spread(x):
        return np.median(np.abs(x - np.median(x)))

    x = np.array([-0.783, -0.286, 0.3184016, 0.357, 0.3184014])
    for seed in range(4, 8):
        checked = tgt.gradcheck(spread, x, raises=False, rng=seed, properties=["exact"])
        assert checked.verdict != "fail"


# ---------------------------------------------------------------------------------------------
# What drowns beside other inputs


A, B = np.array([0.4, 1.1, -0.7]), np.array([0.3, -0.2])
DROWNS = {
    "a sum": (
        lambda a, b: float(1e9 * np.sum(np.cos(a)) + 1e-9 * np.sum(np.tan(b))),
        lambda a: -1e9 * np.sin(a),
        lambda b: 1e-9 * (1 + np.tan(b) ** 2),
    ),
    "a difference": (
        lambda a, b: float(1e7 * np.sum(np.exp(a)) - 1e-10 * np.sum(np.sin(b))),
        lambda a: 1e7 * np.exp(a),
        lambda b: -1e-10 * np.cos(b),
    ),
    "several results": (
        lambda a, b: 1e8 * a * a + 1e-10 * np.sum(np.exp(b)),
        lambda a: 2e8 * a,
        None,
    ),
}


@pytest.mark.parametrize("factor", [1.0, -1.0, 3.0])
@pytest.mark.parametrize(("f", "by_a", "by_b"), DROWNS.values(), ids=DROWNS)
def test_a_slope_that_drowns_beside_others_is_no_pass(f, by_a, by_b, factor):
    def vjp(g, a, b):
        of_b = 1e-10 * np.sum(g) * np.exp(b) if by_b is None else g * by_b(b)
        return g * by_a(a), factor * of_b

    checked = tgt.gradcheck(tgt.adapters.numpy(f, vjp), A, B, raises=False)
    assert checked.verdict == "inconclusive"
    assert checked.resolutions["b"] is None
    if factor == 1.0:
        assert "b: the slope that is promised" in str(checked)
        assert "drowns in the round-off of the rest" in str(checked)


def test_what_is_saturated_or_has_no_slope_does_not_drown():
    def saturated(x, y):
        return tl.sigmoid(x) + np.tanh(y)

    assert tgt.gradcheck(saturated, np.array([45.0]), np.array([0.3])).verdict == "pass"
    bias = lambda x, b: (lambda h: (h - h.mean(0)) / np.sqrt(h.var(0) + 1e-5))(x @ np.eye(3) + b)
    x = np.random.default_rng(0).normal(size=(6, 3))
    assert tgt.gradcheck(bias, x, np.array([0.2, -0.1, 0.4])).verdict == "pass"


# ---------------------------------------------------------------------------------------------
# What long steps, short steps, cancelling terms and underflow cannot accuse


def powers(big, p):
    return (
        lambda x: big + x[0] ** p + np.sin(x[1]),
        lambda g, x: g * np.array([p * x[0] ** (p - 1), np.cos(x[1])]),
    )


def root_near_one(back):
    return lambda x: np.sqrt(1 - x * x), elementwise(lambda x: back(x) / np.sqrt(1 - x * x))


def norm(x):
    return np.sqrt(np.sum(x * x))


SEEN_BY_NO_STEP = {
    "a power beside a large number": (*powers(3e12, 0.6), [2e-7, 3e-9]),
    "one that bends little": (*powers(2.4e9, 0.88), [2.914e-9, 1.358e-11]),
    "a square that is rounded": (
        *root_near_one(lambda x: -x),
        [1 - 6.8e-9, 1 - 4.1e-8, -1 + 4e-10],
    ),
    "squares that underflow": (norm, lambda g, x: g * x / norm(x), [1e-160, 1e-160]),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("f", "vjp", "x"), SEEN_BY_NO_STEP.values(), ids=SEEN_BY_NO_STEP)
def test_what_no_step_can_see_is_not_called_wrong(f, vjp, x, seed):
    assert report(f, vjp, x, rng=seed).verdict != "fail"


WRONG_THERE = {
    "a power beside a number": (powers(3.0, 0.6)[0], powers(3.0, 0.7)[1], [2e-7, 3e-9]),
    "a square that is rounded": (*root_near_one(lambda x: -1.001 * x), [1 - 6.8e-9, 1 - 4.1e-8]),
    "squares that underflow": (norm, lambda g, x: 2 * g * x / norm(x), [1e-160, 1e-160]),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("f", "vjp", "x"), WRONG_THERE.values(), ids=WRONG_THERE)
def test_what_is_wrong_there_is_wrong(f, vjp, x, seed):
    assert report(f, vjp, x, rng=seed).verdict == "fail"


def sum_with_rule_off(off):
    """Sines whose rule is off by a relative error in each element, with one sign or the other."""
    return np.sin, lambda g, x: g * np.cos(x) * (1 + off)


def test_what_a_rule_may_lose_its_cancelling_terms_may_lose_too():
    x, off = np.array([0.5, -0.5 + 1e-4]), np.array([4e-10, -4e-10])
    for seed in range(8):
        assert report(*sum_with_rule_off(off), x, rng=seed).verdict != "fail"
        assert report(*sum_with_rule_off(1e3 * off), x, rng=seed).verdict == "fail"


def determinant(a):
    return a[0, 0] * a[1, 1] - a[0, 1] * a[1, 0]


def cofactors(a):
    return np.array([[a[1, 1], -a[1, 0]], [-a[0, 1], a[0, 0]]])


def only_where_regular(slopes):
    return lambda g, a: g * (slopes(a) if determinant(a) else 0 * a)


def test_a_rule_that_is_wrong_at_a_singular_matrix_alone_is_not_wrong_elsewhere():
    a = np.array([[0.3, 1.7], [-0.6, 0.9]])
    asked = {"properties": ["exact"]}
    reports = [
        report(determinant, only_where_regular(cofactors), a, rng=seed, **asked)
        for seed in range(40)
    ]
    undecided = [r.results[0].note for r in reports if r.verdict == "inconclusive"]
    assert not any(r.verdict == "fail" for r in reports)
    assert any("at the whole numbers" in note and "beside them" in note for note in undecided)
    transposed = only_where_regular(lambda a: cofactors(a).T)
    verdicts = [report(determinant, transposed, a, rng=seed, **asked).verdict for seed in range(8)]
    assert "fail" in verdicts
    assert "inconclusive" not in verdicts
