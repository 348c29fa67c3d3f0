"""Handwritten digits through eight numbers and back: an autoencoder.

A network learns to give back the image that it is given, though all it may pass on from its first
half to its second is eight numbers. What it gives back is printed beside what it was given, and how
well the eight numbers tell the digits apart. With tinygrad_lab and scikit-learn installed:

    python examples/autoencoder.py [epochs]
"""

import sys

import numpy as np

import tinygrad_lab as tl
from tinygrad_lab import data, nn, optim

EPOCHS = int(sys.argv[1]) if len(sys.argv) > 1 else 150

train, test, *_ = data.load("digits", dtype=np.float32)
images, labels = train.tensors
encoder = nn.MLP([64, 64, 8], activation="gelu", rng=0, dtype=np.float32)
decoder = nn.MLP([8, 64, 64], activation="gelu", rng=1, dtype=np.float32)
model = nn.Sequential(nn.Flatten(), encoder, decoder, nn.Sigmoid())

optimizer = optim.Adam(model.parameters(), lr=5e-3)
history = tl.fit(
    model,
    (images, images.reshape(-1, 64)),  # the target is the input
    nn.functional.mse_loss,
    optimizer,
    EPOCHS,
    schedule=optim.CosineAnnealingLR(optimizer, T_max=EPOCHS),
    rng=0,
)
first, last = history["loss"][0], history["loss"][-1]
print(f"mean squared error: {first:.4f} in the first epoch, {last:.4f} in the last")

unseen, theirs = test.tensors
with tl.no_grad():
    code, known = (encoder(part.reshape(-1, 64)).data for part in (unseen, images))
    restored = model(unseen).data.reshape(-1, 8, 8)

spread = np.mean((unseen.data - images.data.mean(axis=0)) ** 2)
error = np.mean((unseen.data[:, 0] - restored) ** 2)
print(f"unseen digits: error {error:.4f}; the mean image has {spread:.4f}")

nearest = np.argmin(((code[:, None] - known) ** 2).sum(axis=2), axis=1)
right = np.mean(labels.data[nearest] == theirs.data)
print(f"taken for what has the nearest code, {right:.1%} of them are read right")

INKS = np.array(list(" .:-=+*#%@"))


def drawn(row):
    return "".join(INKS[(9 * row).astype(int)])


for before, after in zip(unseen.data[:3, 0], restored[:3], strict=True):
    print()
    for left, right in zip(before, after, strict=True):
        print(drawn(left), "  ->  ", drawn(right))
