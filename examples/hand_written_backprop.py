"""Two mistakes of hand-written back-propagation, and what the checks say of them.

A small network, its gradients and an update with momentum, all in plain NumPy. Both mistakes run,
give numbers of the right shape, and even learn something. With tinygrad_lab installed:

    python examples/hand_written_backprop.py
"""

import numpy as np

from tinygrad_lab import testing as tgt

rng = np.random.default_rng(0)
X = rng.uniform(size=(2, 20))  # a column a sample
Y = np.where(X[:1] > X[1:], 0.0, 1.0)
n = Y.size


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def loss(W1, b1, W2, b2, W3, b3):
    Z1 = W1 @ X + b1
    A1 = sigmoid(Z1)
    Z2 = W2 @ A1 + b2
    A2 = sigmoid(Z2)
    Z3 = W3 @ A2 + b3
    A3 = sigmoid(Z3)
    return np.sum((A3 - Y) ** 2) / n


def backward(W1, b1, W2, b2, W3, b3):
    A1 = sigmoid(W1 @ X + b1)
    A2 = sigmoid(W2 @ A1 + b2)
    A3 = sigmoid(W3 @ A2 + b3)
    dZ3 = 2 * (A3 - Y) / n  # a mistake: A3 comes out of a sigmoid
    dW3 = dZ3 @ A2.T
    db3 = dZ3.sum(axis=1, keepdims=True)
    dZ2 = (W3.T @ dZ3) * A2 * (1 - A2)
    dW2 = dZ2 @ A1.T
    db2 = dZ2.sum(axis=1, keepdims=True)
    dZ1 = (W2.T @ dZ2) * A1 * (1 - A1)
    dW1 = dZ1 @ X.T
    db1 = dZ1.sum(axis=1, keepdims=True)
    return dW1, db1, dW2, db2, dW3, db3


def momentum():
    velocity = [0.0] * 6

    def update(parameters, gradients, rate):
        for i, g in enumerate(gradients):
            velocity[i] = 0.9 * velocity[i] + rate * g
        return [p + v for p, v in zip(parameters, velocity, strict=True)]  # a mistake: p - v

    return update


shapes = [(2, 2), (2, 1), (2, 2), (2, 1), (1, 2), (1, 1)]
parameters = [rng.normal(scale=3.0, size=shape).round(2) for shape in shapes]

# Are these the gradients of this loss?
by_hand = tgt.adapters.numpy(loss, grad=backward)
try:
    print(tgt.gradcheck(by_hand, *parameters))
except tgt.GradientError as error:
    print(error)

print()

# Does this update go down the loss? The gradients are not yours here, but derived from the loss.
try:
    print(tgt.check_descent(loss, momentum, *parameters))
except tgt.GradientError as error:
    print(error)
