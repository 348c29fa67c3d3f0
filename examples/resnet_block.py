"""A residual block (He and others, 2015): what is learnt is what to add to the input.

A network of 25 layers on the digits of scikit-learn, with its shortcuts and without: what both have
learnt after a few epochs. With tinygrad_lab and scikit-learn installed:

    python examples/resnet_block.py [epochs] [images]
"""

import sys

import numpy as np

import tinygrad_lab as tl
from tinygrad_lab import data, nn, optim

EPOCHS = int(sys.argv[1]) if len(sys.argv) > 1 else 4
DTYPE = np.float32


class Block(nn.Module):
    """Two convolutions with batch norm, and a shortcut around them."""

    def __init__(self, inputs, outputs, stride=1, *, shortcut=True, rng):
        options = {"bias": False, "rng": rng, "dtype": DTYPE}
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, **options)
        self.bn1 = nn.BatchNorm2d(outputs, dtype=DTYPE)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, **options)
        self.bn2 = nn.BatchNorm2d(outputs, dtype=DTYPE)
        self.shortcut = None
        if shortcut:
            same = stride == 1 and inputs == outputs
            resized = nn.Conv2d(inputs, outputs, 1, stride, **options)
            self.shortcut = nn.Identity() if same else resized

    def forward(self, x):
        y = nn.functional.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return nn.functional.relu(y if self.shortcut is None else y + self.shortcut(x))


def network(shortcut):
    rng = np.random.default_rng(0)
    sizes = [(1, 8, 1), *[(8, 8, 1)] * 4, (8, 16, 2), *[(16, 16, 1)] * 4, (16, 32, 2), (32, 32, 1)]
    blocks = [Block(*size, shortcut=shortcut, rng=rng) for size in sizes]
    pooled = [nn.AvgPool2d(2), nn.Flatten(), nn.Linear(32, 10, rng=rng, dtype=DTYPE)]
    return nn.Sequential(*blocks, *pooled)


train, test, *_ = data.load("digits", dtype=DTYPE)
if len(sys.argv) > 2:
    train, test = (data.Subset(part, range(int(sys.argv[2]))) for part in (train, test))
for name, shortcut in (("with shortcuts", True), ("without", False)):
    model = network(shortcut)
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    history = tl.fit(
        model,
        train,
        nn.functional.cross_entropy,
        optimizer,
        EPOCHS,
        validation=test,
        metrics=tl.metrics.accuracy,
        schedule=optim.CosineAnnealingLR(optimizer, T_max=EPOCHS),
        batch_size=64,
        rng=0,
    )
    print(f"{name}: {history['val_accuracy'][-1]:.1%} of the unseen digits after {EPOCHS} epochs")
