"""Which examples pull a network where, and how sure it is: gradients of each, and an ensemble.

`tl.vmap(tl.grad(loss), (None, 0, 0))` gives the gradient of each example in place of their mean.
Their lengths show which examples are hard; here some labels are wrong, and those have the longest.
Then twenty networks are one, by `vmap` over stacks of their parameters, and disagree where nobody
has seen an example.
"""

import numpy as np

import tinygrad_lab as tl
from tinygrad_lab import nn, optim


def loss(model, x, y):
    """Of one example: its features and its class."""
    return nn.functional.cross_entropy(model(x), y)


rng = np.random.default_rng(0)
x = rng.normal(size=(200, 2))
truth = (x[:, 0] * x[:, 1] > 0).astype(int)
wrong = rng.choice(200, size=8, replace=False)
labels = truth.copy()
labels[wrong] = 1 - labels[wrong]

model = nn.MLP([2, 16, 2], activation="tanh", rng=1)
optimizer = optim.Adam(model.parameters(), lr=0.02)


@tl.jit
def step():
    """One step of descent on the mean over all examples."""
    value = tl.vmap(loss, (None, 0, 0))(model, x, labels).mean()
    optimizer.zero_grad()
    value.backward()
    optimizer.step()
    return value


for _ in range(400):
    step()

gradients = tl.vmap(tl.grad(loss), (None, 0, 0))(model, x, labels)
lengths = np.sqrt(sum((g.reshape(200, -1) ** 2).sum(axis=1) for g in gradients.values()))
suspects = np.argsort(lengths)[::-1][:8]
hits = len(set(suspects) & set(wrong))
print(f"of 8 wrong labels, {hits} are among the 8 examples with the longest gradients")
assert hits >= 6

# -- twenty networks as one ------------------------------------------------------------------------

networks = [nn.MLP([2, 16, 2], activation="tanh", rng=seed) for seed in range(20)]
parameters, _ = tl.stack_module_state(networks)


def mean_loss(parameters):
    """Of one network, by its parameters."""
    return nn.functional.cross_entropy(tl.functional_call(networks[0], parameters, x), truth)


slopes = tl.vmap(tl.grad(mean_loss))
for _ in range(300):
    parameters = {name: parameters[name] - 0.5 * g for name, g in slopes(parameters).items()}


def probability(parameters, points):
    """Of class 1, as one network sees it."""
    scores = tl.functional_call(networks[0], parameters, points)
    return nn.functional.softmax(scores)[:, 1]


points = np.array([[1.0, 1.0], [-1.0, 1.0], [0.05, 0.05], [8.0, 0.1]])
votes = tl.vmap(probability, (0, None))(parameters, points)
for point, mean, spread in zip(points, votes.mean(axis=0), votes.std(axis=0), strict=True):
    print(f"at {point}: {mean:.2f}, give or take {spread:.2f}")
assert votes[:, 0].mean() > 0.9 > 0.1 > votes[:, 1].mean()
