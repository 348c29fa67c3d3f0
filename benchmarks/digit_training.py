"""Training on the digits: one epoch of `examples/digits_cnn.py`, the same batches for all.

Three convolutions with ReLU, pooling and dropout, smoothed cross-entropy, AdamW, 1,347 images in
batches of 32, float32. `python -m benchmarks.digit_training` trains whole networks
instead, and prints how well they read what is held out.
"""

import sys
from collections.abc import Iterable
from functools import partial
from time import process_time
from typing import Any

import numpy as np

import tinygrad_lab as tl
from benchmarks.timing import Runner, Workload

BATCH, EPOCHS, RATE, DECAY, SMOOTHING = 32, 25, 0.01, 0.05, 0.1
SHAPES = ((8, 1, 3, 3), (24, 8, 3, 3), (48, 24, 3, 3), (10, 768))


def start(seed: int) -> list[np.ndarray]:
    """Return the weights that all begin with, and the biases, in the order of the layers."""
    rng = np.random.default_rng(seed)
    values = []
    for shape in SHAPES:
        bound = np.prod(shape[1:]) ** -0.5
        values += [
            rng.uniform(-bound, bound, size).astype(np.float32) for size in (shape, shape[0])
        ]
    return values


def network(nn: Any, seed: int, **options: Any) -> Any:
    """Build it, of PyTorch's layers or of ours: the words are the same."""
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1, **options), nn.ReLU(),
        nn.Conv2d(8, 24, 3, padding=1, **options), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.3),
        nn.Conv2d(24, 48, 3, padding=1, **options), nn.ReLU(), nn.Flatten(), nn.Dropout(0.5),
        nn.Linear(768, 10, **options),
    )  # fmt: skip
    layers = [model[i] for i in (0, 2, 6, 10)]
    places = [p for layer in layers for p in (layer.weight, layer.bias)]
    for place, value in zip(places, start(seed), strict=True):
        place.data = value if nn is tl.nn else place.new_tensor(value)
    return model


def loss_of(nn: Any) -> Any:
    """Return the loss, of PyTorch's functions or of ours."""
    return partial(nn.functional.cross_entropy, label_smoothing=SMOOTHING)


def ours(jit: bool | str, seed: int = 0) -> tuple[Any, Any, Any]:
    """Return model, optimizer, and a step of `tl.fit`'s: recorded by default."""
    from tinygrad_lab.training import loop

    if jit == "numba":
        import numba  # noqa: F401 - to say so where it is missing
    model = network(tl.nn, seed, dtype=np.float32).seed(seed)
    optimizer = tl.optim.AdamW(model.parameters(), lr=RATE, weight_decay=DECAY)
    step = loop.step_of(model, loss_of(tl.nn), optimizer, jit=jit)
    return model, optimizer, lambda x, y: step(x, y)[0].item()


def theirs(seed: int = 0) -> tuple[Any, Any, Any]:
    """Return the same of PyTorch."""
    import torch

    torch.manual_seed(seed)
    model = network(torch.nn, seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=DECAY)

    def step(x, y):
        loss = loss_of(torch.nn)(model(tensor(x)), tensor(y))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return model, optimizer, step


def tensor(t: tl.Tensor) -> Any:
    """Return PyTorch's tensor of ours."""
    import torch

    return torch.from_numpy(t.data)


def batches(seed: int = 0) -> Any:
    """Return the loader that all learn from."""
    train = tl.data.load("digits", dtype=np.float32).train
    return tl.data.DataLoader(train, BATCH, shuffle=True, rng=seed)


def epoch_of(model: Any, optimizer: Any, step: Any) -> Runner:
    """Return an epoch as a step, and the gradients of a batch in evaluation mode."""
    loader = batches()
    x, y = next(iter(loader))

    def epoch():
        for batch in loader:
            step(*batch)

    def gradients():
        model.eval()
        optimizer.zero_grad()
        if isinstance(model, tl.nn.Module):
            loss_of(tl.nn)(model(x), y).backward()
        else:
            import torch

            loss_of(torch.nn)(model(tensor(x)), tensor(y)).backward()
        model.train()
        return [np.asarray(p.grad) for p in model.parameters()]

    return Runner(epoch, gradients)


WORKLOAD = Workload(
    name="digit-training",
    title="digit training: an epoch of a CNN on 1,347 digits, AdamW, batch 32",
    contenders={
        "PyTorch": lambda: epoch_of(*theirs()),
        "tinygrad_lab": lambda: epoch_of(*ours(False)),
        "tl.fit": lambda: epoch_of(*ours(True)),
        "tl.fit, jit numba": lambda: epoch_of(*ours("numba")),
    },
    tolerance=1e-3,
    unit="µs an epoch",
)


def whole(model: Any, optimizer: Any, step: Any, seed: int) -> tuple[float, float]:
    """Train from the first weights to the last; return processor seconds, and accuracy."""
    test = tl.data.load("digits", dtype=np.float32).test
    images, labels = test.tensors
    began = process_time()
    loader = batches(seed)
    for epoch in range(EPOCHS):
        optimizer.param_groups[0]["lr"] = RATE * (1 + np.cos(np.pi * epoch / EPOCHS)) / 2
        for batch in loader:
            step(*batch)
    seconds = process_time() - began
    model.eval()
    is_ours = isinstance(model, tl.nn.Module)
    scores = model(images).data if is_ours else model(tensor(images)).detach().numpy()
    return seconds, tl.metrics.accuracy(scores, labels)


def trainings(seeds: Iterable[int]) -> None:
    """Train with each seed, in turn ours and PyTorch's, on one thread each; print the results."""
    import torch

    torch.set_num_threads(1)
    tl.set_num_threads(1)
    rows = []
    for seed in seeds:
        results = [*whole(*ours(True, seed), seed), *whole(*theirs(seed), seed)]
        rows.append(results)
        print("seed {}: ours {:.1f} s, {:.2%}; PyTorch {:.1f} s, {:.2%}".format(seed, *results))
    table = np.array(rows)
    ratio = np.median(table[:, 0] / table[:, 2])
    print(f"median ratio of processor times {ratio:.2f}; of accuracies, ours: median "
          f"{np.median(table[:, 1]):.2%}, worst {table[:, 1].min():.2%}; PyTorch: "
          f"{np.median(table[:, 3]):.2%}, {table[:, 3].min():.2%}")  # fmt: skip


if __name__ == "__main__":
    trainings(range(int(sys.argv[1]) if len(sys.argv) > 1 else 5))
