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
        nn.Conv2d(1, 8, 3, padding=1, rng=rng, dtype=dtype),
        nn.ReLU(),
        nn.Conv2d(8, 24, 3, padding=1, rng=rng, dtype=dtype),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Dropout(0.3, rng=rng),
        nn.Conv2d(24, 48, 3, padding=1, rng=rng, dtype=dtype),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dropout(0.5, rng=rng),
        nn.Linear(768, 10, rng=rng, dtype=dtype),
    )


train, test, _, classes = data.load("digits", dtype=np.float32)
model = network(SEED)
optimizer = optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.05)
started = perf_counter()
history = tl.fit(
    model,
    train,
    nn.CrossEntropyLoss(label_smoothing=0.1),
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
