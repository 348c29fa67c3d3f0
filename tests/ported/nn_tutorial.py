"""Digits told apart four times: by hand, as a module, with an optimizer, with convolutions."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn, optim
from torch.utils.data import DataLoader, TensorDataset

torch.set_default_dtype(torch.float64)
rng = np.random.default_rng(0)
bs = 16
lr = 0.2
labels = rng.integers(0, 10, 96)
images = rng.normal(size=(96, 64)) + 2 * np.eye(10, 64)[labels]
x_train, y_train = map(torch.tensor, (images[:64], labels[:64]))
x_valid, y_valid = map(torch.tensor, (images[64:], labels[64:]))
n, c = x_train.shape


def log_softmax(x):
    return x - x.exp().sum(-1).log().unsqueeze(-1)


def nll(input, target):
    return -input[range(target.shape[0]), target].mean()


def accuracy(out, yb):
    preds = torch.argmax(out, dim=1)
    return (preds == yb).float().mean()


def by_hand(weights, bias):
    losses = []
    for i in range((n - 1) // bs + 1):
        xb = x_train[i * bs : (i + 1) * bs]
        yb = y_train[i * bs : (i + 1) * bs]
        pred = log_softmax(xb @ weights + bias)
        loss = nll(pred, yb)
        loss.backward()
        losses.append(loss.item())
        with torch.no_grad():
            weights -= weights.grad * lr
            bias -= bias.grad * lr
            weights.grad.zero_()
            bias.grad.zero_()
    losses.append(accuracy(log_softmax(x_valid @ weights + bias), y_valid).item())
    return losses


class Logistic(nn.Module):
    def __init__(self):
        super().__init__()
        self.weights = nn.Parameter(torch.zeros(64, 10))
        self.bias = nn.Parameter(torch.zeros(10))

    def forward(self, xb):
        return xb @ self.weights + self.bias


class Lambda(nn.Module):
    def __init__(self, func):
        super().__init__()
        self.func = func

    def forward(self, x):
        return self.func(x)


def as_a_module(model):
    for i in range((n - 1) // bs + 1):
        loss = F.cross_entropy(model(x_train[i * bs :][:bs]), y_train[i * bs :][:bs])
        loss.backward()
        with torch.no_grad():
            for p in model.parameters():
                p -= p.grad * lr
            model.zero_grad()
    return F.cross_entropy(model(x_valid), y_valid).item()


def convolutions():
    return nn.Sequential(
        Lambda(lambda x: x.view(-1, 1, 8, 8)),
        nn.Conv2d(1, 16, kernel_size=3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 10, kernel_size=3, stride=2, padding=1),
        nn.ReLU(),
        nn.AvgPool2d(2),
        Lambda(lambda x: x.view(x.size(0), -1)),
    )


def loss_batch(model, loss_func, xb, yb, opt=None):
    loss = loss_func(model(xb), yb)
    if opt is not None:
        loss.backward()
        opt.step()
        opt.zero_grad()
    return loss.item(), len(xb)


def fit(epochs, model, loss_func, opt, train_dl, valid_dl):
    history = []
    for _ in range(epochs):
        model.train()
        for xb, yb in train_dl:
            loss_batch(model, loss_func, xb, yb, opt)
        model.eval()
        with torch.no_grad():
            losses, nums = zip(*[loss_batch(model, loss_func, xb, yb) for xb, yb in valid_dl])
        history.append(np.sum(np.multiply(losses, nums)) / np.sum(nums))
    return history


def parts():
    weights = torch.randn(64, 10) / math.sqrt(64)
    weights.requires_grad_()
    bias = torch.zeros(10, requires_grad=True)
    return weights, bias, Logistic(), nn.Linear(64, 10), convolutions()


def train(weights, bias, logistic, linear, cnn):
    losses = by_hand(weights, bias)
    losses.append(as_a_module(logistic))
    train_dl = DataLoader(TensorDataset(x_train, y_train), batch_size=bs, shuffle=True)
    valid_dl = DataLoader(TensorDataset(x_valid, y_valid), batch_size=bs * 2)
    for model in (linear, cnn):
        opt = optim.SGD(model.parameters(), lr=lr, momentum=0.9)
        losses += fit(2, model, F.cross_entropy, opt, train_dl, valid_dl)
    return losses


if __name__ == "__main__":
    print(train(*parts()))
