"""Train a small network on pictures of digits with PyTorch, and save it: `python write.py`.

It writes `digits.safetensors` beside itself, which `model_from_pytorch.py` opens.  It needs
torch, safetensors and scikit-learn, and nothing of this package.
"""

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(0)
images, labels = load_digits(return_X_y=True)
order = np.random.default_rng(0).permutation(len(images))[:1200]
x = torch.tensor(images[order] / 16, dtype=torch.float32).view(-1, 1, 8, 8)
y = torch.tensor(labels[order])

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
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for epoch in range(5):
    for batch in torch.randperm(len(x)).split(40):
        loss = nn.functional.cross_entropy(model(x[batch]), y[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
save_file(model.state_dict(), Path(__file__).parent / "digits.safetensors")
