"""Tests of the gradients of layers.py: one function has a mistake, one test is too weak.

pytest examples/checking_gradients --gradtest-mutate --gradtest-report=gradients.html
"""

import layers
import numpy as np

from tinygrad_lab import testing as tgt

leaky_relu = tgt.adapters.numpy(layers.leaky_relu, layers.leaky_relu_grad)
scaled = tgt.adapters.numpy(layers.scaled, layers.scaled_grad)


def test_leaky_relu(gradcheck):
    gradcheck(leaky_relu, np.array([0.5, 2.0]))


test_scaled = tgt.gradtest(inputs=tgt.tensors(2, broadcast=True))(scaled)
