"""A variational autoencoder of small pictures with blurred bars in them."""

import numpy as np
import torch
from torch import nn, optim
from torch.nn import functional as F
from torch.utils.data import DataLoader

torch.manual_seed(1)
torch.set_default_dtype(torch.float64)
rng = np.random.default_rng(1)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
log_interval = 2


def pictures(size):
    rows = np.arange(8)[:, None] - rng.uniform(0, 7, (size, 1, 1))
    return np.exp(-(rows**2)) * np.ones((size, 8, 8))


train_loader = DataLoader([(x, 0) for x in pictures(48)], batch_size=16, shuffle=True)
test_loader = DataLoader([(x, 0) for x in pictures(16)], batch_size=16, shuffle=False)


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(64, 40)
        self.fc21 = nn.Linear(40, 5)
        self.fc22 = nn.Linear(40, 5)
        self.fc3 = nn.Linear(5, 40)
        self.fc4 = nn.Linear(40, 64)

    def encode(self, x):
        h1 = F.relu(self.fc1(x))
        return self.fc21(h1), self.fc22(h1)

    def reparameterize(self, mu, logvar):
        std = torch.exp(0.5 * logvar)
        eps = torch.randn_like(std)
        return mu + eps * std

    def decode(self, z):
        h3 = F.relu(self.fc3(z))
        return torch.sigmoid(self.fc4(h3))

    def forward(self, x):
        mu, logvar = self.encode(x.view(-1, 64))
        z = self.reparameterize(mu, logvar)
        return self.decode(z), mu, logvar


def loss_function(recon_x, x, mu, logvar):
    BCE = F.binary_cross_entropy(recon_x, x.view(-1, 64), reduction="sum")
    KLD = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    return BCE + KLD


def train_epoch(model, optimizer, epoch):
    model.train()
    train_loss = 0
    for batch_idx, (data, _) in enumerate(train_loader):
        data = data.to(device)
        optimizer.zero_grad()
        recon_batch, mu, logvar = model(data)
        loss = loss_function(recon_batch, data, mu, logvar)
        loss.backward()
        train_loss += loss.item()
        optimizer.step()
        if batch_idx % log_interval == 0:
            print(f"Train Epoch: {epoch} Loss: {loss.item() / len(data):.6f}")
    return train_loss / len(train_loader.dataset)


def test_epoch(model):
    model.eval()
    test_loss = 0
    with torch.no_grad():
        for i, (data, _) in enumerate(test_loader):
            data = data.to(device)
            recon_batch, mu, logvar = model(data)
            test_loss += loss_function(recon_batch, data, mu, logvar).item()
            if i == 0:
                n = min(data.size(0), 8)
                shown = torch.cat([data[:n].unsqueeze(1), recon_batch.view(-1, 1, 8, 8)[:n]])
    test_loss /= len(test_loader.dataset)
    return [test_loss, shown.mean().item()]


def parts():
    return (VAE().to(device),)


def train(model):
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    losses = []
    for epoch in range(1, 3):
        losses.append(train_epoch(model, optimizer, epoch))
        losses += test_epoch(model)
        with torch.no_grad():
            sample = model.decode(torch.zeros(4, 5).to(device)).cpu()
            losses.append(sample.view(4, 1, 8, 8).sum().item())
    return losses


if __name__ == "__main__":
    print(train(*parts()))
