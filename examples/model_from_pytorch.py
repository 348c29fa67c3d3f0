"""A model that PyTorch trained: opened here, drawn, its gradients checked, trained on, given back.

`from_pytorch/digits.safetensors` was written by PyTorch (`from_pytorch/write.py`): the same layers
here have the same names for their weights, so the file is all that moves.  The 597 digits below
were not shown to it there.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from sklearn.datasets import load_digits

import tinygrad_lab as tl
from tinygrad_lab import nn, optim
from tinygrad_lab import testing as tgt

FILE = Path(__file__).parent / "from_pytorch" / "digits.safetensors"

model = nn.Sequential(
    nn.Conv2d(1, 8, 3, padding=1),
    nn.BatchNorm2d(8),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(8, 16, 3, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Linear(64, 10),
)
print(model.load_state_dict(tl.load(FILE)))

images, labels = load_digits(return_X_y=True)
order = np.random.default_rng(0).permutation(len(images))
x, y = images[order].reshape(-1, 1, 8, 8) / 16, labels[order]
(x, x_test), (y, y_test) = np.split(x, [1200]), np.split(y, [1200])


def accuracy():
    """The share of the digits read correctly that neither training has seen."""
    model.eval()
    with tl.no_grad():
        return (model(x_test).argmax(1) == y_test).mean()


def loss_of(inputs):
    """The loss of three digits, by the numbers in the pictures."""
    return nn.functional.cross_entropy(model(inputs), y[:3])


print(f"as PyTorch left it: {accuracy():.1%}")
graph = tl.viz.graph(loss_of(x[:3]), model)  # graph.save("digits.svg") draws it
print(f"its graph: {str(graph).count(chr(10))} lines, from conv2d to cross_entropy")
print("its gradient:", tgt.gradcheck(loss_of, x[:3] + 0.01, name="digits"))

optimizer = optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
model.train()
for batch in np.split(np.random.default_rng(1).permutation(1200), 30):
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(x[batch]), y[batch])
    loss.backward()
    optimizer.step()
print(f"one epoch later:    {accuracy():.1%}")

with TemporaryDirectory() as folder:
    path = tl.save(model, Path(folder) / "digits.safetensors")  # load_file(path) in PyTorch
    print(f"given back: {path.stat().st_size} bytes")
