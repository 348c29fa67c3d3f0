"""Whole scripts, as students hand them in: parameters in global variables, one step in a function.

Each comes in a right and in a wrong version, with two or three lines of glue.
"""

import types

import pytest

from tinygrad_lab import testing as tgt

HEAD = """
import numpy as np

rng = np.random.default_rng(1)
X = rng.normal(size=(6, 3))
Y = np.eye(2)[[0, 1, 1, 0, 1, 0]]
lr = 0.1
W1, b1 = rng.normal(size=(3, 4)), rng.normal(size=(1, 4))
W2, b2 = rng.normal(size=(4, 2)), rng.normal(size=(1, 2))

def sigmoid(z):
    return 1 / (1 + np.exp(-z))
"""

SQUARES = (
    HEAD
    + """
def forward(X):
    global A1, A2
    A1 = sigmoid(X @ W1 + b1)
    A2 = sigmoid(A1 @ W2 + b2)
    return A2

def loss(X, Y):
    return np.sum((forward(X) - Y) ** 2) / (2 * len(X))

def train_step(X, Y):
    global W1, b1, W2, b2
    delta2 = (A2 - Y) * A2 * (1 - A2)
    delta1 = (delta2 @ W2.T) * A1 * (1 - A1)
    W2 -= lr * A1.T @ delta2 / len(X)
    b2 -= lr * delta2.sum(axis=0, keepdims=True) / len(X)
    W1 -= lr * X.T @ delta1 / len(X)
    b1 -= lr * delta1.sum(axis=0, keepdims=True) / len(X)
"""
)

SOFTMAX = (
    HEAD
    + """
def step(W1, b1, W2, b2):
    z1 = X @ W1 + b1
    a1 = np.maximum(z1, 0)
    z2 = a1 @ W2 + b2
    e = np.exp(z2 - z2.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    loss = np.sum((p - Y) ** 2)
    dp = 2 * (p - Y)
    dz2 = p * (dp - np.sum(dp * p, axis=1, keepdims=True))
    da1 = dz2 @ W2.T
    dz1 = da1 * (z1 > 0)
    return loss, {"dW1": X.T @ dz1, "db1": dz1.sum(0, keepdims=True),
                  "dW2": a1.T @ dz2, "db2": dz2.sum(0, keepdims=True)}
"""
)

ACTIVATIONS = (
    HEAD
    + """
class Act:
    def forward(self, z):
        self.a = np.tanh(z)
        return self.a

    def backward(self, d):
        return d * (1 - self.a ** 2)

first, second = Act(), Act()

def predict(X):
    return second.forward(first.forward(X @ W1 + b1) @ W2 + b2)

def back(X, g):
    global dW1, db1, dW2, db2
    g = second.backward(g)
    dW2, db2 = first.a.T @ g, g.sum(axis=0, keepdims=True)
    g = first.backward(g @ W2.T)
    dW1, db1 = X.T @ g, g.sum(axis=0, keepdims=True)
"""
)

RELU = (
    HEAD
    + """
def forward(x, w, b):
    z = x @ w + b
    return np.maximum(z, 0), (x, w, z)

def backward(g, cache):
    x, w, z = cache
    d = g * (z > 0)
    return d @ w.T, x.T @ d, d.sum(axis=0, keepdims=True)
"""
)


SQUARE = RELU.replace("size=(3, 4)", "size=(3, 3)").replace("size=(1, 4)", "size=(1, 3)")


def script(text):
    module = types.ModuleType("lab")
    exec(text, vars(module))
    return module


def parameters(lab):
    return lab.W1, lab.b1, lab.W2, lab.b2


def stepping(lab):
    back = lambda lab, g, X, Y: lab.train_step(X, Y)
    mine = tgt.adapters.layer(lab, forward="loss", backward=back, rate=lab.lr)
    return lambda **kw: tgt.gradcheck(mine, lab.X, lab.Y, upstream=1.0, properties="numbers", **kw)


def returning(lab):
    mine = tgt.adapters.numpy(loss_and_grads=lab.step)
    return lambda **kw: tgt.gradcheck(mine, *parameters(lab), **kw)


def leaving(lab):
    mine = tgt.adapters.layer(
        lab, forward="predict", backward=lambda lab, g, X: lab.back(X, g),
        params=["W1", "b1", "W2", "b2"],
    )  # fmt: skip
    return lambda **kw: tgt.gradcheck(mine, lab.X, **kw)


def caching(lab):
    mine = tgt.adapters.numpy(lab.forward, lab.backward, cache=True)
    return lambda **kw: tgt.gradcheck(mine, lab.X, lab.W1, lab.b1, **kw)


@pytest.mark.parametrize(
    ("text", "glue", "right", "wrong", "named"),
    [
        (SQUARES, stepping, "(A2 - Y) * A2 * (1 - A2)", "(A2 - Y)", "W1"),  # the missing sigma'
        (SQUARES, stepping, "X.T @ delta1 / len(X)", "X.T @ delta1", "W1"),  # the batch
        (SOFTMAX, returning, "p * (dp - np.sum(dp * p, axis=1, keepdims=True))",
         "dp * p * (1 - p)", "W1"),  # the diagonal alone
        (ACTIVATIONS, leaving, "first, second = Act(), Act()", "first = second = Act()", ""),
        (RELU, caching, "d = g * (z > 0)", "g[z <= 0] = 0; d = g", ""),  # in place
        (SQUARE, caching, "d @ w.T", "d @ w", "x"),  # a missing transpose
    ],
)  # fmt: skip
def test_a_lab_and_its_right_twin(text, glue, right, wrong, named):
    assert right in text
    report = glue(script(text))()
    assert report.passed, str(report)
    report = glue(script(text.replace(right, wrong)))(raises=False)
    assert report.verdict == "fail"
    assert f"({named})" in str(report) if named else report.findings
