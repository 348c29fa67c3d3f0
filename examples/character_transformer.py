"""A small causal transformer learns to write as Python's manual does, character by character.

It reads the same chapter as character_lstm.py, help("compound"). It has no state: each character
looks at those before it, and a position tells how far they are. The loss is the mean surprise at a
character in nats: about 3.2 if one knows how often each occurs, below 1.3 at the end.
With tinygrad_lab installed:

    python examples/character_transformer.py [steps]
"""

import re
import sys
from pydoc_data.topics import topics

import numpy as np

import tinygrad_lab as tl
from tinygrad_lab import nn, optim
from tinygrad_lab.nn import functional as F

STEPS = int(sys.argv[1]) if len(sys.argv) > 1 else 800
LENGTH, BATCH, WIDTH = 32, 32, 64  # of a passage, of a batch, of what stands for a character

text = re.sub(" +", " ", topics["compound"])[:45_000]
alphabet = sorted(set(text))
numbers = np.array([alphabet.index(character) for character in text])
rng = np.random.default_rng(0)


class Writer(nn.Module):
    """From the characters of a passage to how likely each character is next."""

    def __init__(self):
        self.characters = nn.Parameter(0.1 * rng.normal(size=(len(alphabet), WIDTH)))
        self.positions = nn.Parameter(0.1 * rng.normal(size=(LENGTH, WIDTH)))
        layer = nn.TransformerEncoderLayer(
            WIDTH, nhead=4, dim_feedforward=4 * WIDTH, dropout=0.0,
            batch_first=True, norm_first=True, rng=rng,
        )  # fmt: skip
        self.layers = nn.TransformerEncoder(layer, num_layers=2, norm=nn.LayerNorm(WIDTH))
        self.head = nn.Linear(WIDTH, len(alphabet), rng=rng)

    def forward(self, read):
        """Logits for what follows each character."""
        x = self.characters[read] + self.positions[: read.shape[1]]
        return self.head(self.layers(x, is_causal=True))


def passages():
    """Some passages, each as what is read, and what is to come at each place."""
    starts = rng.integers(0, len(numbers) - LENGTH, BATCH)
    places = starts[:, None] + np.arange(LENGTH)
    return numbers[places], numbers[places + 1]


def write(model, beginning, count, temperature=0.5):
    """Go on from a beginning, by drawing one character after the other."""
    written = [alphabet.index(character) for character in beginning]
    with tl.no_grad():
        for _ in range(count):
            logits = model(np.array([written[-LENGTH:]]))[0, -1]
            p = F.softmax(logits.astype(np.float64) / temperature, -1).numpy()
            written.append(rng.choice(len(alphabet), p=p))
    return "".join(alphabet[n] for n in written)


model = Writer().to(np.float32)
optimizer = optim.AdamW(model.parameters(), lr=3e-3)
schedule = optim.CosineAnnealingLR(optimizer, T_max=STEPS)
losses = []

for n in range(1, STEPS + 1):
    read, expected = passages()
    logits = model(read)
    loss = F.cross_entropy(logits.reshape(-1, len(alphabet)), expected.reshape(-1))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    schedule.step()
    losses.append(loss.item())
    if n % 100 == 0 or n == STEPS:
        print(f"step {n:5}  loss of the last 100: {np.mean(losses[-100:]):.3f}")

print()
print(write(model, "The ", 400))
