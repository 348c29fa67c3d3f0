"""Logistic regression with L-BFGS: benign or malignant, from 30 measurements of a cell's nucleus.

569 tumours (scikit-learn's breast cancer data), of which a quarter is held out. All the rest is in
each step: L-BFGS is for few parameters and exact gradients. A step calls the loss as often as it
likes, so it is given a function that computes it. It ends at a loss of 0.0753, where the slope is 0
to 6 digits. With tinygrad_lab[data] installed:

    python examples/logistic_regression_lbfgs.py
"""

import numpy as np

import tinygrad_lab as tl
from tinygrad_lab import nn, optim

data = tl.data.load("breast_cancer", standardize=True)
(x, y), (x_test, y_test) = data.train.tensors, data.test.tensors

model = nn.Linear(30, 1, rng=0)
PENALTY = 1 / len(x)  # scikit-learn's C=1, for the mean of losses


def loss_of(model, x, y):
    loss = nn.functional.binary_cross_entropy_with_logits(model(x)[:, 0], y.astype(float))
    return loss + PENALTY / 2 * (model.weight**2).sum()


def trained(optimizer, steps):
    """Make steps, and count how often the loss is computed."""
    losses = []

    def closure():
        optimizer.zero_grad()
        loss = loss_of(model, x, y)
        loss.backward()
        losses.append(loss.item())
        return loss

    for _ in range(steps):
        optimizer.step(closure)
    return losses


start = {name: array.copy() for name, array in model.state_dict().items()}
lbfgs = optim.LBFGS(
    model.parameters(), max_iter=50, tolerance_change=1e-15, line_search_fn="strong_wolfe"
)
losses = trained(lbfgs, 2)
slope = nn.utils.get_total_norm([p.grad for p in model.parameters()])
accuracy = np.mean((model(x_test).data[:, 0] > 0) == y_test)
print(f"L-BFGS: loss {losses[-1]:.6f} after {len(losses)} evaluations, slope {slope:.0e}")
print(f"{accuracy:.1%} of {len(x_test)} tumours it has not seen are told right")

# The same from the same start with a first-order method: it is still on the way.
model.load_state_dict(start)
first_order = trained(optim.SGD(model.parameters(), lr=0.5, momentum=0.9), len(losses))
print(f"SGD with momentum: loss {first_order[-1]:.6f} after as many")

assert losses[-1] < 0.07531
assert slope < 1e-6
assert accuracy > 0.95
assert losses[-1] < first_order[-1]
