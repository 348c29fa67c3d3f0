"""A convolution and its gradients as a person writes them: plain NumPy, one place a time.

Images have shape (n, channels, rows, columns), kernels (outputs, channels, height, width), as in
``tl.conv2d``.  With x, k, y one channel of each and s the stride, y is

    y[i, j] = Σ_ab x[s·i + a, s·j + b] · k[a, b]

A change of k[a, b]
changes y[i, j] by x[s·i + a, s·j + b], and a change of that element of x changes y[i, j] by
k[a, b].  With G = ∂L/∂y, the chain rule sums over the places where each takes part:

    ∂L/∂k[a, b]            = Σ_ij G[i, j] · x[s·i + a, s·j + b]
    ∂L/∂x[s·i + a, s·j + b] += G[i, j] · k[a, b]        for all i, j, a, b

The first is the input correlated with the upstream.  (What is called a convolution here, as in
every library of networks, is a correlation: that of mathematics turns the kernel around.)

    >>> x, k = np.arange(9.0).reshape(1, 1, 3, 3), np.ones((1, 1, 2, 2))
    >>> G = np.ones((1, 1, 2, 2))
    >>> gradients(x, k, G)[1]
    array([[[[ 8., 12.],
             [20., 24.]]]])

It is here to be checked (``kernel.py``), so nothing in it knows of tensors or of the checker.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def convolved(X: Array, K: Array, s: int = 1) -> Any:
    """Return the images convolved with the kernels, shape (n, outputs, rows, columns)."""
    rows, columns = ((x - k) // s + 1 for x, k in zip(X.shape[2:], K.shape[2:], strict=True))
    Y = 0.0
    for a, b in np.ndindex(K.shape[2:]):
        met = np.s_[:, :, a : a + s * rows : s, b : b + s * columns : s]
        Y = Y + np.einsum("ncij,oc->noij", X[met], K[:, :, a, b])
    return Y


def loss(X: Array, K: Array) -> Any:
    """Return the mean of y²: something to differentiate."""
    return np.mean(convolved(X, K) ** 2)


def gradients(X: Array, K: Array, G: Array, s: int = 1) -> tuple[Array, Array]:
    """Return the gradients by the images and by the kernels, from the upstream gradient G."""
    rows, columns = G.shape[2:]
    dX, dK = np.zeros(X.shape), np.zeros(K.shape)
    for a, b in np.ndindex(K.shape[2:]):
        met = np.s_[:, :, a : a + s * rows : s, b : b + s * columns : s]
        dK[:, :, a, b] = np.einsum("noij,ncij->oc", G, X[met])
        dX[met] += np.einsum("noij,oc->ncij", G, K[:, :, a, b])
    return dX, dK


def gradients_turned(X: Array, K: Array, G: Array, s: int = 1) -> tuple[Array, Array]:
    """Return the gradients as one does who turns the kernel around: a mistake."""
    rows, columns = G.shape[2:]
    dX, dK = np.zeros(X.shape), np.zeros(K.shape)
    for a, b in np.ndindex(K.shape[2:]):
        met = np.s_[:, :, a : a + s * rows : s, b : b + s * columns : s]
        dK[:, :, -1 - a, -1 - b] = np.einsum("noij,ncij->oc", G, X[met])
        dX[met] += np.einsum("noij,oc->ncij", G, K[:, :, a, b])
    return dX, dK
