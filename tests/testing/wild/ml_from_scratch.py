"""Three mistakes of eriklindernoren/ML-From-Scratch, rebuilt small, each with a right twin.

https://github.com/eriklindernoren/ML-From-Scratch/tree/master/mlfromscratch/deep_learning
"""

import numpy as np


class Recurrent:
    """h[t] = tanh(x[t] U + h[t-1] W): the steps of one sequence are its states."""

    def __init__(self):
        self.U = np.array([[0.5, -0.3], [0.2, 0.7], [-0.6, 0.1]])
        self.W = np.array([[0.4, 0.3], [-0.5, 0.6]])

    def forward_pass(self, X):
        self.X, self.states = X, np.zeros((len(X) + 1, 2))  # the last is the one before the first
        for t in range(len(X)):
            self.states[t] = np.tanh(X[t] @ self.U + self.states[t - 1] @ self.W)
        return self.states[:-1].copy()

    def backward_pass(self, accum_grad):
        self.dU, self.dW = np.zeros_like(self.U), np.zeros_like(self.W)
        dX = np.zeros_like(self.X)
        for t in reversed(range(len(self.X))):
            d = accum_grad[t] * (1 - self.states[t] ** 2)
            dX[t] = d @ self.U.T
            for s in reversed(range(t + 1)):
                self.dU += np.outer(self.X[s], d)
                self.dW += np.outer(self.states[s - 1], d)
                d = (d @ self.W.T) * (1 - self.states[s - 1] ** 2)
        return dX


class RightRecurrent(Recurrent):
    """Goes back once, and takes along what arrives from later steps."""

    def backward_pass(self, accum_grad):
        self.dU, self.dW = np.zeros_like(self.U), np.zeros_like(self.W)
        dX, later = np.zeros_like(self.X), np.zeros(2)
        for t in reversed(range(len(self.X))):
            d = (accum_grad[t] + later) * (1 - self.states[t] ** 2)
            dX[t] = d @ self.U.T
            self.dU += np.outer(self.X[t], d)
            self.dW += np.outer(self.states[t - 1], d)
            later = d @ self.W.T
        return dX


class Softmax:
    """Shares that add up to 1, with the diagonal of their Jacobian."""

    def forward_pass(self, X):
        e = np.exp(X - X.max(axis=-1, keepdims=True))
        self.p = e / e.sum(axis=-1, keepdims=True)
        return self.p

    def backward_pass(self, accum_grad):
        return accum_grad * self.p * (1 - self.p)


class RightSoftmax(Softmax):
    """Each share depends on all scores."""

    def backward_pass(self, accum_grad):
        weighted = (accum_grad * self.p).sum(axis=-1, keepdims=True)
        return self.p * (accum_grad - weighted)


class UpSampling:
    """Each pixel becomes four, and takes the gradient of one."""

    def forward_pass(self, X):
        return X.repeat(2, axis=-2).repeat(2, axis=-1)

    def backward_pass(self, accum_grad):
        return accum_grad[..., ::2, ::2]


class RightUpSampling(UpSampling):
    """The four add up."""

    def backward_pass(self, accum_grad):
        *rest, height, width = accum_grad.shape
        return accum_grad.reshape(*rest, height // 2, 2, width // 2, 2).sum(axis=(-3, -1))
