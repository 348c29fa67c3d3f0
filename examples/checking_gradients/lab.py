"""A lab on back-propagation: two layers by hand, and one mistake.

python examples/checking_gradients/lab.py
"""

import numpy as np

from tinygrad_lab import testing as tgt

rng = np.random.default_rng(3)
X = rng.normal(size=(8, 3))  # a row a sample
Y = rng.integers(2, size=(8, 2))


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def step(W1, b1, W2, b2):
    n = len(X)
    Z1 = X @ W1 + b1
    A1 = sigmoid(Z1)
    Z2 = A1 @ W2 + b2
    A2 = sigmoid(Z2)
    loss = np.sum((A2 - Y) ** 2) / n

    dZ2 = 2 * (A2 - Y) / n
    dW2, db2 = A1.T @ dZ2, dZ2.sum(axis=0)
    dZ1 = (dZ2 @ W2.T) * A1 * (1 - A1)
    dW1, db1 = X.T @ dZ1, dZ1.sum(axis=0)
    return loss, {"dW1": dW1, "db1": db1, "dW2": dW2, "db2": db2}


parameters = [rng.normal(size=shape) for shape in [(3, 4), (4,), (4, 2), (2,)]]
mine = tgt.adapters.numpy(loss_and_grads=step)
print(tgt.gradcheck(mine, *parameters))
