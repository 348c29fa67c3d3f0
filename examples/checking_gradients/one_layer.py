"""One layer with a sigmoid, its gradients by hand, and one mistake.

python examples/checking_gradients/one_layer.py
"""

import numpy as np

from tinygrad_lab import testing as tgt

X, Y = np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), np.array([[1.0], [0.0], [1.0]])


def step(W, b):
    Z = X @ W + b
    A = 1 / (1 + np.exp(-Z))
    loss = np.mean((A - Y) ** 2)
    dZ = 2 * (A - Y) / Y.size
    return loss, {"dW": X.T @ dZ, "db": dZ.sum(axis=0)}


mine = tgt.adapters.numpy(loss_and_grads=step)
tgt.gradcheck(mine, np.array([[0.5], [-1.0]]), np.array([0.1]))
