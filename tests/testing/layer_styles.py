"""Layers, losses and networks by hand, in the styles in which people write them; all are right.

Each class is as short as its style allows.  STYLES names them, with the glue that adapts each and
with its inputs.  `test_layers.py` checks them, and makes each line of their backward passes wrong.
"""
# ruff: noqa: RET504, RUF059 - so people write, and a line that has a name can be told wrong

import numpy as np

from tinygrad_lab import testing as tgt

rng = np.random.default_rng(7)
X = rng.normal(size=(4, 3))
ROWS = np.array([0, 2, 1, 2])  # labels
ONE_HOT = np.eye(3)[ROWS]


def weights(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


# ---------------------------------------------------------------------------------------------
# Gradients on attributes of the layer


class Affine:
    """Caches on self, gradients beside the weights."""

    def __init__(self):
        self.W, self.b = weights(3, 2), weights(2, seed=1)

    def forward(self, x):
        self.x = x
        out = x @ self.W + self.b
        return out

    def backward(self, dout):
        self.dW = self.x.T @ dout
        self.db = dout.sum(axis=0)
        dx = dout @ self.W.T
        return dx


class Relu:
    """A mask, and a copy that is written into."""

    def forward(self, x):
        self.mask = x <= 0
        out = x.copy()
        out[self.mask] = 0
        return out

    def backward(self, dout):
        dx = dout.copy()
        dx[self.mask] = 0
        return dx


class Sigmoid:
    """The output is what is kept."""

    def forward(self, x):
        self.out = 1 / (1 + np.exp(-x))
        return self.out

    def backward(self, dout):
        dx = dout * self.out * (1 - self.out)
        return dx


class Dense:
    """Weights with a word, gradients with another; called as a function."""

    def __init__(self):
        self.weights, self.bias = weights(3, 2), weights(1, 2, seed=1)

    def __call__(self, inputs):
        self.inputs = inputs
        return np.dot(inputs, self.weights) + self.bias

    def backprop(self, grad_output):
        self.grad_weights = np.dot(self.inputs.T, grad_output)
        self.grad_bias = np.sum(grad_output, axis=0, keepdims=True)
        return np.dot(grad_output, self.weights.T)


class LeftOnSelf:
    """Neither pass returns anything: results are left on the layer."""

    def __init__(self):
        self.weights, self.biases = weights(3, 2), weights(1, 2, seed=1)

    def forward(self, inputs):
        self.inputs = inputs
        self.output = np.dot(inputs, self.weights) + self.biases

    def backward(self, dvalues):
        self.dweights = np.dot(self.inputs.T, dvalues)
        self.dbiases = np.sum(dvalues, axis=0, keepdims=True)
        self.dinputs = np.dot(dvalues, self.weights.T)


# ---------------------------------------------------------------------------------------------
# Gradients in containers


class Lists:
    """Parameters and gradients in lists beside each other, written in place."""

    def __init__(self):
        self.params = [weights(3, 2), weights(2, seed=1)]
        self.grads = [np.zeros((3, 2)), np.zeros(2)]

    def forward(self, x):
        W, b = self.params
        self.x = x
        out = np.dot(x, W) + b
        return out

    def backward(self, dout):
        W, b = self.params
        dx = np.dot(dout, W.T)
        dW = np.dot(self.x.T, dout)
        db = np.sum(dout, axis=0)
        self.grads[0][...] = dW
        self.grads[1][...] = db
        return dx


class Accumulated:
    """Parameters made by the first call; gradients in a dict, added up until they are flushed."""

    def __init__(self, n_out=2):
        self.n_out, self.initialized = n_out, False
        self.parameters = {"W": None, "b": None}
        self.gradients = {}
        self.X = []

    def _start(self, n_in):
        self.parameters = {"W": weights(n_in, self.n_out), "b": np.zeros((1, self.n_out))}
        self.gradients = {"W": np.zeros((n_in, self.n_out)), "b": np.zeros((1, self.n_out))}
        self.initialized = True

    def forward(self, X, retain_derived=True):
        if not self.initialized:
            self._start(X.shape[1])
        Z = X @ self.parameters["W"] + self.parameters["b"]
        if retain_derived:
            self.X.append(X)
        return np.tanh(Z)

    def backward(self, dLdy):
        dX = []
        for X in self.X:
            W = self.parameters["W"]
            Z = X @ W + self.parameters["b"]
            dZ = dLdy * (1 - np.tanh(Z) ** 2)
            dX.append(dZ @ W.T)
            self.gradients["W"] += X.T @ dZ
            self.gradients["b"] += dZ.sum(axis=0, keepdims=True)
        return dX[0] if len(dX) == 1 else dX

    def flush_gradients(self):
        self.X = []
        for name, gradient in self.gradients.items():
            self.gradients[name] = np.zeros_like(gradient)


class Parameter:
    """A number with its gradient."""

    def __init__(self, data):
        self.data, self.grad = data, None


class Conv1d:
    """Parameters that are objects; loops that fill buffers; a kernel of three, no padding."""

    def __init__(self):
        self.weight, self.bias = Parameter(weights(3)), Parameter(weights(1, seed=1))

    def forward(self, x):
        self.x = x
        n, length = x.shape
        out = np.zeros((n, length - 2))
        for i in range(length - 2):
            out[:, i] = x[:, i : i + 3] @ self.weight.data + self.bias.data[0]
        return out

    def backward(self, dout):
        dx = np.zeros(self.x.shape)
        dw = np.zeros(3)
        for i in range(dout.shape[1]):
            dx[:, i : i + 3] += np.outer(dout[:, i], self.weight.data)
            dw += dout[:, i] @ self.x[:, i : i + 3]
        self.weight.grad = dw
        self.bias.grad = np.array([dout.sum()])
        return dx


class Stepping:
    """The backward pass moves the weights with an optimizer, and returns the rest."""

    class Descent:
        """An optimizer without a memory."""

        def __init__(self, learning_rate=0.01):
            self.learning_rate = learning_rate

        def update(self, w, grad_wrt_w):
            return w - self.learning_rate * grad_wrt_w

    def __init__(self):
        self.W, self.w0 = weights(3, 2), weights(1, 2, seed=1)
        self.W_opt, self.w0_opt = self.Descent(), self.Descent()

    def forward_pass(self, X, training=True):
        self.layer_input = X
        return X.dot(self.W) + self.w0

    def backward_pass(self, accum_grad):
        W = self.W
        grad_w = self.layer_input.T.dot(accum_grad)
        grad_w0 = np.sum(accum_grad, axis=0, keepdims=True)
        self.W = self.W_opt.update(self.W, grad_w)
        self.w0 = self.w0_opt.update(self.w0, grad_w0)
        accum_grad = accum_grad.dot(W.T)
        return accum_grad


class WithRate:
    """The backward pass takes a learning rate, and moves the weights in place."""

    def __init__(self):
        self.weights, self.bias = weights(2, 3), weights(2, 1, seed=1)

    def forward(self, input):
        self.input = input
        return self.weights @ input + self.bias

    def backward(self, output_gradient, learning_rate):
        weights_gradient = output_gradient @ self.input.T
        input_gradient = self.weights.T @ output_gradient
        self.weights -= learning_rate * weights_gradient
        self.bias -= learning_rate * output_gradient.sum(axis=1, keepdims=True)
        return input_gradient


# ---------------------------------------------------------------------------------------------
# Losses and networks


class SoftmaxWithLoss:
    """Takes labels, and an upstream of 1 unless told otherwise."""

    def forward(self, x, t):
        e = np.exp(x - x.max(axis=1, keepdims=True))
        self.y, self.t = e / e.sum(axis=1, keepdims=True), t
        return -np.log(self.y[np.arange(len(t)), t]).mean()

    def backward(self, dout=1):
        dx = self.y.copy()
        dx[np.arange(len(self.t)), self.t] -= 1
        dx = dx * dout / len(self.t)
        return dx


class MeanSquares:
    """A loss with a method for its gradient, which takes what the loss takes."""

    def loss(self, y, y_pred):
        return 0.5 * np.power(y - y_pred, 2)

    def gradient(self, y, y_pred):
        return -(y - y_pred)


class TwoLayers:
    """A network of one method each, parameters and gradients in dicts."""

    def __init__(self):
        self.params = {
            "W1": weights(3, 5), "b1": weights(5, seed=1),
            "W2": weights(5, 3, seed=2), "b2": weights(3, seed=3),
        }  # fmt: skip

    def loss(self, X, y):
        W1, b1 = self.params["W1"], self.params["b1"]
        W2, b2 = self.params["W2"], self.params["b2"]
        h = np.tanh(X @ W1 + b1)
        scores = h @ W2 + b2
        e = np.exp(scores)
        p = e / e.sum(axis=1, keepdims=True)
        loss = -np.log(p[np.arange(len(y)), y]).mean()
        grads = {}
        dscores = p.copy()
        dscores[np.arange(len(y)), y] -= 1
        dscores /= len(y)
        grads["W2"] = h.T @ dscores
        grads["b2"] = dscores.sum(axis=0)
        dh = dscores @ W2.T
        dz = dh * (1 - h**2)
        grads["W1"] = X.T @ dz
        grads["b1"] = dz.sum(axis=0)
        return loss, grads


class Tanh:
    """An activation with no parameters."""

    def forward(self, x):
        self.y = np.tanh(x)
        return self.y

    def backward(self, dy):
        dz = dy * (1 - self.y**2)
        return dz


class Linear:
    """A layer of a network, with the batch along the first axis."""

    def __init__(self, n_in, n_out, seed):
        self.W, self.b = weights(n_in, n_out, seed=seed), np.zeros((1, n_out))

    def forward(self, x):
        self.x = x
        z = x @ self.W + self.b
        return z

    def backward(self, dz):
        self.dW = self.x.T @ dz
        self.db = np.sum(dz, axis=0, keepdims=True)
        dx = dz @ self.W.T
        return dx


class Network:
    """Layers in a list, passed through in turn, and back in reverse."""

    def __init__(self):
        self.layers = [Linear(3, 4, 0), Tanh(), Linear(4, 4, 1), Tanh(), Linear(4, 2, 2)]

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, grad):
        for layer in reversed(self.layers):
            grad = layer.backward(grad)
        return grad


class Recurrent:
    """A step at a time, states in a dict, gradients added up over the steps."""

    def __init__(self):
        self.Wx, self.Wh, self.b = weights(3, 2), weights(2, 2, seed=1), weights(2, seed=2)

    def forward(self, x):
        self.x = x
        hs = {-1: np.zeros(2)}
        for t in range(len(x)):
            hs[t] = np.tanh(x[t] @ self.Wx + hs[t - 1] @ self.Wh + self.b)
        self.hs = hs
        return hs[len(x) - 1] * 1.0

    def backward(self, dout):
        self.dWx, self.dWh = np.zeros_like(self.Wx), np.zeros_like(self.Wh)
        self.db = np.zeros_like(self.b)
        dx = np.zeros_like(self.x)
        dh = dout
        for t in reversed(range(len(self.x))):
            draw = (1 - self.hs[t] ** 2) * dh
            self.dWx += np.outer(self.x[t], draw)
            self.dWh += np.outer(self.hs[t - 1], draw)
            self.db += draw
            dx[t] = self.Wx @ draw
            dh = self.Wh @ draw
        return dx


class BatchNorm:
    """Named intermediate values and their gradients, one line each."""

    def __init__(self):
        self.gamma, self.beta = weights(3), weights(3, seed=1)
        self.running_mean = np.zeros(3)

    def forward(self, x, train=True):
        self.running_mean = 0.9 * self.running_mean + 0.1 * x.mean(axis=0)
        mu = x.mean(axis=0)
        xc = x - mu
        var = np.mean(xc**2, axis=0)
        std = np.sqrt(var + 1e-5)
        xn = xc / std
        self.xc, self.std, self.xn = xc, std, xn
        return self.gamma * xn + self.beta

    def backward(self, dout):
        n = len(dout)
        self.dbeta = dout.sum(axis=0)
        self.dgamma = np.sum(self.xn * dout, axis=0)
        dxn = self.gamma * dout
        dxc = dxn / self.std
        dstd = -np.sum(dxn * self.xc / self.std**2, axis=0)
        dvar = 0.5 * dstd / self.std
        dxc += 2.0 / n * self.xc * dvar
        dmu = np.sum(dxc, axis=0)
        dx = dxc - dmu / n
        return dx


# ---------------------------------------------------------------------------------------------
# Functions with a cache


def affine_forward(x, w, b):
    out = x.reshape(len(x), -1) @ w + b
    return out, (x, w, b)


def affine_backward(dout, cache):
    x, w, b = cache
    dx = (dout @ w.T).reshape(x.shape)
    dw = x.reshape(len(x), -1).T @ dout
    db = dout.sum(axis=0)
    return dx, dw, db


def two_forward(x, w1, b1, w2, b2):
    a, cache1 = affine_forward(x, w1, b1)
    h = np.maximum(a, 0)
    out, cache2 = affine_forward(h, w2, b2)
    return out, (cache1, a, cache2)


def two_backward(dout, cache):
    cache1, a, cache2 = cache
    dh, dw2, db2 = affine_backward(dout, cache2)
    da = dh * (a > 0)
    dx, dw1, db1 = affine_backward(da, cache1)
    return dx, dw1, db1, dw2, db2


def simple_loss(W1, b1, W2, b2):
    """A loss and its gradients by names."""
    n = len(X)
    Z1 = X @ W1 + b1
    A1 = 1 / (1 + np.exp(-Z1))
    Z2 = A1 @ W2 + b2
    A2 = 1 / (1 + np.exp(-Z2))
    loss = np.sum((A2 - ONE_HOT) ** 2) / (2 * n)
    dA2 = (A2 - ONE_HOT) / n
    dZ2 = dA2 * A2 * (1 - A2)
    dW2 = A1.T @ dZ2
    db2 = dZ2.sum(axis=0)
    dA1 = dZ2 @ W2.T
    dZ1 = dA1 * A1 * (1 - A1)
    dW1 = X.T @ dZ1
    db1 = dZ1.sum(axis=0)
    return loss, {"dW1": dW1, "db1": db1, "dW2": dW2, "db2": db2}


layer = tgt.adapters.layer
SMALL = [weights(3, 5, seed=4), weights(5, seed=5), weights(5, 3, seed=6), weights(3, seed=7)]

#: The name of each style: how it is adapted, and what it is called with.
STYLES = {
    "Affine": (lambda m: layer(m.Affine), [X]),
    "Relu": (lambda m: layer(m.Relu), [X]),
    "Sigmoid": (lambda m: layer(m.Sigmoid), [X]),
    "Dense": (lambda m: layer(m.Dense), [X]),
    "LeftOnSelf": (lambda m: layer(m.LeftOnSelf), [X]),
    "Lists": (lambda m: layer(m.Lists), [X]),
    "Accumulated": (lambda m: layer(m.Accumulated), [X]),
    "Conv1d": (lambda m: layer(m.Conv1d), [weights(2, 6)]),
    "Stepping": (lambda m: layer(m.Stepping), [X]),
    "WithRate": (lambda m: layer(m.WithRate), [weights(3, 4)]),
    "SoftmaxWithLoss": (lambda m: layer(m.SoftmaxWithLoss), [X, ROWS]),
    "MeanSquares": (
        lambda m: layer(
            m.MeanSquares,
            backward=lambda loss, g, y, p: (g * loss.gradient(p, y), g * loss.gradient(y, p)),
        ),
        [X, X[::-1] * 0.5],
    ),
    "TwoLayers": (lambda m: layer(m.TwoLayers), [X, ROWS]),
    "Network": (lambda m: layer(m.Network), [X]),
    "Recurrent": (lambda m: layer(m.Recurrent), [X]),
    "BatchNorm": (lambda m: layer(m.BatchNorm), [X]),
    "affine": (
        lambda m: tgt.adapters.numpy(m.affine_forward, m.affine_backward, cache=True),
        [weights(2, 2, 2), weights(4, 3, seed=1), weights(3, seed=2)],
    ),
    "two": (
        lambda m: tgt.adapters.numpy(m.two_forward, m.two_backward, cache=True), [X, *SMALL]
    ),
    "simple_loss": (lambda m: tgt.adapters.numpy(loss_and_grads=m.simple_loss), SMALL),
}  # fmt: skip
