"""Three mistakes of ddbourgin/numpy-ml, rebuilt small, each with a right twin.

https://github.com/ddbourgin/numpy-ml/tree/master/numpy_ml/neural_nets
"""

import numpy as np


class Gelu:
    """An approximation of x Φ(x), and the slope of what it approximates."""

    def fn(self, x):
        return 0.5 * x * (1 + self.tanh(x))

    def tanh(self, x):
        return np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))

    def grad(self, x):
        density = np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)
        return 0.5 * (1 + self.tanh(x)) + x * density


class RightGelu(Gelu):
    """The slope of the approximation itself."""

    def grad(self, x):
        t = self.tanh(x)
        inner = np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * x**2)
        return 0.5 * (1 + t) + 0.5 * x * (1 - t**2) * inner


class PooledEmbedding:
    """A bag of words: the rows of a table that belong to an example's words, added up."""

    def __init__(self):
        self.W = np.random.default_rng(1).normal(size=(5, 2))

    def forward(self, words):
        self.words = words
        return np.stack([self.W[bag].sum(axis=0) for bag in words])

    def backward(self, dout):
        self.dW = np.zeros_like(self.W)
        for bag, d in zip(self.words, dout, strict=True):
            self.dW[bag] += d


class RightPooledEmbedding(PooledEmbedding):
    """A word that occurs twice gets its gradient twice."""

    def backward(self, dout):
        self.dW = np.zeros_like(self.W)
        for bag, d in zip(self.words, dout, strict=True):
            np.add.at(self.dW, bag, d)


class MaxPool:
    """The largest of each window, with zeros around the image."""

    def __init__(self):
        self.size, self.pad = 3, 1

    def windows(self, height, width):
        for i in range((height + 2 * self.pad) // self.size):
            for j in range((width + 2 * self.pad) // self.size):
                rows = slice(i * self.size, (i + 1) * self.size)
                yield (i, j), (rows, slice(j * self.size, (j + 1) * self.size))

    def forward(self, x):
        self.x, padded = x, np.pad(x, self.pad)
        largest = {place: padded[window].max() for place, window in self.windows(*x.shape)}
        last = max(largest)
        return np.array(list(largest.values())).reshape(last[0] + 1, last[1] + 1)

    def backward(self, dout):
        dx = np.pad(np.zeros_like(self.x), self.pad)
        for place, window in self.windows(*self.x.shape):
            inside = self.x[window]
            dx[window] += (inside == inside.max()) * dout[place]
        return dx[self.pad : -self.pad, self.pad : -self.pad]


class RightMaxPool(MaxPool):
    """Looks for the largest where the forward pass did, in the padded image."""

    def backward(self, dout):
        padded = np.pad(self.x, self.pad)
        dx = np.zeros_like(padded)
        for place, window in self.windows(*self.x.shape):
            dx[window] += (padded[window] == padded[window].max()) * dout[place]
        return dx[self.pad : -self.pad, self.pad : -self.pad]
