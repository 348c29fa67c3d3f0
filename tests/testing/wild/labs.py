"""Four mistakes of labs that students handed in, rebuilt small, each with a right twin."""

import numpy as np

rng = np.random.default_rng(1)
X = rng.normal(size=(6, 3))
Y = rng.uniform(size=(6, 2))
W1, b1 = rng.normal(size=(3, 4)), rng.normal(size=(1, 4))
W2, b2 = rng.normal(size=(4, 2)), rng.normal(size=(1, 2))


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def loss(W1, b1, W2, b2):
    A1 = sigmoid(X @ W1 + b1)
    A2 = sigmoid(A1 @ W2 + b2)
    return np.sum((A2 - Y) ** 2) / (2 * len(X))


def without_the_slope(W1, b1, W2, b2):
    """The error of a sigmoid output, handed on as if there were no sigmoid."""
    A1 = sigmoid(X @ W1 + b1)
    A2 = sigmoid(A1 @ W2 + b2)
    dZ2 = (A2 - Y) / len(X)
    dZ1 = (dZ2 @ W2.T) * A1 * (1 - A1)
    return X.T @ dZ1, dZ1.sum(axis=0, keepdims=True), A1.T @ dZ2, dZ2.sum(axis=0, keepdims=True)


def with_the_slope(W1, b1, W2, b2):
    A1 = sigmoid(X @ W1 + b1)
    A2 = sigmoid(A1 @ W2 + b2)
    dZ2 = (A2 - Y) * A2 * (1 - A2) / len(X)
    dZ1 = (dZ2 @ W2.T) * A1 * (1 - A1)
    return X.T @ dZ1, dZ1.sum(axis=0, keepdims=True), A1.T @ dZ2, dZ2.sum(axis=0, keepdims=True)


def step_of_sums(W1, b1, W2, b2):
    """A step of gradient descent that divides by the batch at the biases only."""
    A1 = sigmoid(X @ W1 + b1)
    A2 = sigmoid(A1 @ W2 + b2)
    dZ2 = (A2 - Y) * A2 * (1 - A2)
    dZ1 = (dZ2 @ W2.T) * A1 * (1 - A1)
    W1 -= 0.5 * X.T @ dZ1
    b1 -= 0.5 * dZ1.mean(axis=0, keepdims=True)
    W2 -= 0.5 * A1.T @ dZ2
    b2 -= 0.5 * dZ2.mean(axis=0, keepdims=True)


def step_of_means(W1, b1, W2, b2):
    """Divides everywhere."""
    A1 = sigmoid(X @ W1 + b1)
    A2 = sigmoid(A1 @ W2 + b2)
    dZ2 = (A2 - Y) * A2 * (1 - A2) / len(X)
    dZ1 = (dZ2 @ W2.T) * A1 * (1 - A1)
    W1 -= 0.5 * X.T @ dZ1
    b1 -= 0.5 * dZ1.sum(axis=0, keepdims=True)
    W2 -= 0.5 * A1.T @ dZ2
    b2 -= 0.5 * dZ2.sum(axis=0, keepdims=True)


class Tanh:
    """Keeps its result for the way back."""

    def forward(self, x):
        self.y = np.tanh(x)
        return self.y

    def backward(self, dout):
        return dout * (1 - self.y**2)


class Dense:
    """A layer with weights, a sample a row."""

    def __init__(self, n_in, n_out, seed):
        rng = np.random.default_rng(seed)
        self.W, self.b = rng.normal(size=(n_in, n_out)), rng.normal(size=n_out)

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, dout):
        self.dW, self.db = self.x.T @ dout, dout.sum(axis=0)
        return dout @ self.W.T


class Network:
    """Two layers that share one activation, which remembers the last of its calls."""

    def __init__(self):
        activation = Tanh()
        self.layers = [Dense(3, 4, 0), activation, Dense(4, 4, 1), activation]

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, dout):
        for layer in reversed(self.layers):
            dout = layer.backward(dout)
        return dout


class RightNetwork(Network):
    """An activation for each."""

    def __init__(self):
        self.layers = [Dense(3, 4, 0), Tanh(), Dense(4, 4, 1), Tanh()]


class Square:
    """As many outputs as inputs: a transpose that is missing changes no shape."""

    def __init__(self):
        self.W = np.array([[0.5, -1.2, 0.3], [0.8, 0.1, -0.7], [-0.4, 0.9, 1.1]])

    def forward(self, x):
        self.x = x
        return x @ self.W

    def backward(self, dout):
        self.dW = self.x.T @ dout
        return dout @ self.W


class RightSquare(Square):
    """Back by the transposed matrix."""

    def backward(self, dout):
        self.dW = self.x.T @ dout
        return dout @ self.W.T
