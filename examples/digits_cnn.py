"""A convolutional network reads handwritten digits: `tl.fit` on the 1,797 digits of scikit-learn.

A quarter of them is held out; of those it reads about 99 % right. With tinygrad_lab and
scikit-learn installed:

    python examples/digits_cnn.py [epochs] [seed]
"""

import sys
from time import perf_counter

import numpy as np

import tinygrad_lab as tl
from tinygrad_lab import data, nn, optim

EPOCHS = int(sys.argv[1]) if len(sys.argv) > 1 else 25
SEED = int(sys.argv[2]) if len(sys.argv) > 2 else 0


def network(seed):
    rng, dtype = np.random.default_rng(seed), np.float32
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1, rng=rng, dtype=dtype),
        nn.BatchNorm2d(16, dtype=dtype),
        nn.ReLU(),
        nn.Conv2d(16, 48, 3, padding=1, rng=rng, dtype=dtype),
        nn.BatchNorm2d(48, dtype=dtype),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Dropout(0.3, rng=rng),
        nn.Conv2d(48, 48, 3, padding=1, rng=rng, dtype=dtype),
        nn.BatchNorm2d(48, dtype=dtype),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.5, rng=rng),
        nn.Linear(192, 10, rng=rng, dtype=dtype),
    )


def loss(scores, labels):
    return nn.functional.cross_entropy(scores, labels, label_smoothing=0.1)


train, test, _, classes = data.load("digits", dtype=np.float32)
model = network(SEED)
optimizer = optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.05)
started = perf_counter()
history = tl.fit(
    model,
    train,
    loss,
    optimizer,
    EPOCHS,
    validation=test,
    metrics=tl.metrics.accuracy,
    schedule=optim.CosineAnnealingLR(optimizer, T_max=EPOCHS),
    callbacks=[print],
    rng=SEED,
)
print(f"{perf_counter() - started:.1f} s")

with tl.no_grad():
    scores = model(test.tensors[0])
labels = test.tensors[1].data
read = scores.data.argmax(axis=1)
print(f"{np.mean(read == labels):.2%} of {len(test)} unseen digits are read right")
for label, other in zip(labels[read != labels], read[read != labels], strict=True):
    print(f"a {classes[label]} is taken for a {classes[other]}")
