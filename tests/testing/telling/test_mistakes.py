"""One mistake is one finding, and two are two."""

import numpy as np
import pytest

import tinygrad_lab as tl
from tinygrad_lab import testing as tgt
from tinygrad_lab.core.operations import planted, vjps_of

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(8, 3)), RNG.normal(size=(8, 2))
PARAMETERS = [RNG.normal(size=s) for s in [(3, 4), (4,), (4, 2), (2,)]]


def loss(W1, b1, W2, b2):
    h = np.tanh(X @ W1 + b1)
    return np.mean((h @ W2 + b2 - Y) ** 2)


def step(W1, b1, W2, b2):
    A = np.tanh(X @ W1 + b1)
    d = 2 * (A @ W2 + b2 - Y) / Y.size
    dZ = (d @ W2.T) * (1 - A * A)
    return X.T @ dZ, dZ.sum(axis=0), A.T @ d, d.sum(axis=0)


def findings(change):
    by_hand = tgt.adapters.numpy(loss, grad=lambda *args: change(*step(*args)))
    report = tgt.gradcheck(by_hand, *PARAMETERS, properties=["directional"], raises=False)
    assert all(finding.kind == "wrong" for finding in report.findings)
    return report.findings


def test_one_factor_that_mends_all_is_one_mistake():
    (finding,) = findings(lambda *gradients: tuple(8 * g for g in gradients))
    assert finding.text.startswith("gradients by input 0 (W1), input 1 (b1), input 2 (W2) and")
    assert "ratio 8.000: not divided by 8, the number of rows of X" in finding.diagnosis
    assert "one factor mends every gradient" in finding.lines


def test_one_factor_that_mends_some_names_them():
    (finding,) = findings(lambda W1, b1, W2, b2: (8 * W1, b1, 8 * W2, b2))
    assert finding.text == "gradients by input 0 (W1) and input 2 (W2) are wrong"
    assert "one factor mends the gradients by W1 and W2; those by b1 and b2 are right" in (
        finding.lines
    )


def test_a_single_one_says_nothing_of_others():
    (finding,) = findings(lambda W1, b1, W2, b2: (W1, 3 * b1, W2, b2))
    assert finding.text == "gradient by input 1 (b1) is wrong"
    assert not any("mends" in line for line in finding.lines)


def test_two_mistakes_are_two_the_worst_first():
    told = findings(lambda W1, b1, W2, b2: (W1, 1.01 * b1, -W2, b2))
    assert [finding.input for finding in told] == [2, 1]
    assert [finding.text for finding in told] == [
        "gradient by input 2 (W2) is wrong",
        "gradient by input 1 (b1) is wrong",
    ]


def test_one_rule_is_one_mistake_however_many_gradients_it_spoils():
    def network(x, w1, w2):
        return np.tanh(np.tanh(x @ w1) @ w2).sum()

    with planted(np.tanh, lambda g, y, x: g * (1 - y)):
        report = tgt.gradcheck(network, X, PARAMETERS[0], PARAMETERS[2], raises=False)
    wrong = [finding for finding in report.findings if finding.kind == "wrong"]
    assert len(wrong) == 1
    assert wrong[0].blame.guilty.what == "tanh"


def test_two_rules_are_two_mistakes():
    def apart(x, w):
        return np.sin(x).sum() + np.exp(w).sum()

    with (
        planted(np.sin, lambda g, y, x: -g * np.cos(x)),
        planted(np.exp, lambda g, y, x: g * y * y),
    ):
        report = tgt.gradcheck(apart, X, Y, raises=False, properties=["directional"])
    assert {finding.blame.guilty.what for finding in report.findings} == {"sin", "exp"}


@pytest.mark.parametrize("factor", [2.0, 1 + 1e-14])
def test_exact_mode_names_the_operation_and_the_line(factor):
    by_left = vjps_of(np.matmul)[0]
    with planted(np.matmul, lambda *call: by_left(*call) * factor, argnums=[0]):
        composed = lambda x, w: (x @ w) + x.sum()
        report = tgt.gradcheck(composed, X, PARAMETERS[0], raises=False, properties=["exact"])
        (finding,) = report.findings
        assert finding.blame.guilty.what == "matmul"
        assert finding.blame.guilty.share == 1.0
        assert finding.site.startswith("test_mistakes.py:")
        with pytest.raises(tgt.GradientError):
            exec(finding.reproducer, {})
    text = str(report)
    assert "not there, but at whole numbers: x" in text
    assert "  along x" in text


def test_exact_mode_sees_a_constant_that_moves():
    report = tgt.gradcheck(lambda x: (x * x.detach()).sum(), X, raises=False, properties=["exact"])
    assert report.findings[0].blame.guilty.written == "x.detach()"


def test_an_error_in_the_explanation_of_a_check_within_a_check_is_not_told_twice():
    @tl.primitive
    def halved(x):
        return x * 0.5

    tl.defvjp(halved, lambda g, y, x: g)
    with pytest.raises(tgt.GradientError) as caught:
        tgt.gradcheck(lambda x: np.sin(halved(x)), X)
    assert str(caught.value).count("reproduce:") == 1
