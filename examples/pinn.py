"""A differential equation solved by a network whose second derivative is trained: u'' = -u.

With u(0) = 0 and u'(0) = 1 the solution is the sine, which nobody tells the network. Its output N
makes u = t + t² N with t = tanh(x), which begins as it must; what is left of u'' + u at some points
is the loss. The two derivatives by x are `tl.grad` of `tl.grad`, at many points by `tl.vmap`; the
gradient by the weights is a third. With tinygrad_lab installed:

    python examples/pinn.py [steps]
"""

import sys

import numpy as np

import tinygrad_lab as tl
from tinygrad_lab import nn, optim

STEPS = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
END = 2 * np.pi


def u(model, x):
    """The solution at one point, a number."""
    t = np.tanh(x)
    return t + t**2 * model(x.reshape(1) / 2 - END / 4)[0]


def residual(model, x):
    """What is left of the equation at one point."""
    return tl.grad(tl.grad(u, argnums=1), argnums=1)(model, x) + u(model, x)


model = nn.MLP([1, 24, 24, 1], activation="tanh", rng=0)
optimizer = optim.Adam(model.parameters(), lr=5e-3)
schedule = optim.CosineAnnealingLR(optimizer, T_max=STEPS)
points = np.linspace(0, END, 65)


@tl.jit
def step():
    loss = (tl.vmap(residual, (None, 0))(model, points) ** 2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss


for n in range(STEPS):
    loss = step()
    schedule.step()
    if n % 500 == 0 or n == STEPS - 1:
        print(f"step {n:5}  mean square of u'' + u: {loss.item():.2e}")

between = np.linspace(0, END, 1000)
error = np.abs(tl.vmap(u, (None, 0))(model, between) - np.sin(between)).max()
print(f"largest error between 0 and 2π: {error.item():.1e}")
