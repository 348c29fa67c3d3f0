"""A training step recorded once and run many times: `tl.jit`, `tl.repeat`, and what they recorded.

The reports' network learns XOR three times from the same start: step by step, jitted, and in one
call. The numbers are the same. With tinygrad_lab installed:

    python examples/compiled_training_step.py
"""

from time import perf_counter

import numpy as np

import tinygrad_lab as tl
from tinygrad_lab import nn, optim
from tinygrad_lab.lab import xor

STEPS = 1000
x, y = xor()


def step(model, optimizer):
    loss = nn.functional.mse_loss(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss


def begin():
    model = nn.MLP([2, 3, 3, 1], output_activation="sigmoid", init="normal", rng=1)
    return model, optim.SGD(model.parameters(), lr=0.5, momentum=0.9)


def timed(name, losses_of):
    model, optimizer = begin()
    started = perf_counter()
    losses = losses_of(model, optimizer)
    print(f"{name:18} {perf_counter() - started:6.3f} s   loss {losses[0]:.4f} -> {losses[-1]:.4f}")
    return losses


# Step by step: tensors, a graph and its walk, an optimizer, each time.
eager = timed("step(...)", lambda *state: [step(*state).item() for _ in range(STEPS)])

# Recorded in the first call. Learning rates, moments and step counts are read at each call, so a
# schedule would not record again.
fast = tl.jit(step)
jitted = timed("tl.jit(step)(...)", lambda *state: [fast(*state).item() for _ in range(STEPS)])

# All steps in one call; what each of them returned comes back stacked.
repeated = timed("tl.repeat(step, n)", tl.repeat(step, STEPS))

assert np.allclose(jitted, eager, rtol=1e-6)
assert np.allclose(repeated, eager, rtol=1e-6)

print()
print(fast.report())

program = fast.program(*begin())
print()
print("One call costs", program.cost)
print("It begins:", *str(program).partition("# -- forward --")[2].splitlines()[1:4], sep="\n")
