"""Which language is a name of?  Read letter by letter, by a recurrent network made by hand."""

import random
import string

import torch
import torch.nn as nn

torch.manual_seed(2024)
torch.set_default_dtype(torch.float64)
all_letters = string.ascii_letters + " .,;'"
n_letters = len(all_letters)
category_lines = {
    "English": ["Ashford", "Barlow", "Whitby", "Thorne"],
    "Italian": ["Bellini", "Moretti", "Costa", "Ferrero"],
    "Russian": ["Abramov", "Petrov", "Yakovlev", "Zaitsev"],
}
all_categories = list(category_lines)
n_categories = len(all_categories)
picks = random.Random(0)


def line_to_tensor(line):
    tensor = torch.zeros(len(line), 1, n_letters)
    for li, letter in enumerate(line):
        tensor[li][0][all_letters.index(letter)] = 1
    return tensor


class RNN(nn.Module):
    def __init__(self, input_size, hidden_size, output_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.i2h = nn.Linear(input_size, hidden_size)
        self.h2h = nn.Linear(hidden_size, hidden_size)
        self.i2o = nn.Linear(input_size + hidden_size, output_size)
        self.softmax = nn.LogSoftmax(dim=1)

    def forward(self, input, hidden):
        combined = torch.cat((input, hidden), 1)
        hidden = torch.tanh(self.i2h(input) + self.h2h(hidden))
        output = self.softmax(self.i2o(combined))
        return output, hidden

    def init_hidden(self):
        return torch.zeros(1, self.hidden_size)


def category_from_output(output):
    top_n, top_i = output.topk(1)
    category_i = top_i[0].item()
    return all_categories[category_i], category_i


def random_example():
    category = picks.choice(all_categories)
    line = picks.choice(category_lines[category])
    category_tensor = torch.tensor([all_categories.index(category)], dtype=torch.long)
    return category, line, category_tensor, line_to_tensor(line)


criterion = nn.NLLLoss()
learning_rate = 0.05


def train_step(rnn, category_tensor, line_tensor):
    hidden = rnn.init_hidden()
    rnn.zero_grad()
    for i in range(line_tensor.size()[0]):
        output, hidden = rnn(line_tensor[i], hidden)
    loss = criterion(output, category_tensor)
    loss.backward()
    with torch.no_grad():
        for p in rnn.parameters():
            p.add_(p.grad, alpha=-learning_rate)
    return output, loss.item()


def evaluate(rnn):
    confusion = torch.zeros(n_categories, n_categories)
    with torch.no_grad():
        for i, category in enumerate(all_categories):
            for line in category_lines[category]:
                hidden = rnn.init_hidden()
                for letter in line_to_tensor(line):
                    output, hidden = rnn(letter, hidden)
                confusion[i][category_from_output(output)[1]] += 1
    return confusion / confusion.sum(1, keepdim=True)


def parts():
    return (RNN(n_letters, 16, n_categories),)


def train(rnn):
    all_losses = []
    current_loss = 0
    for step in range(1, 31):
        category, line, category_tensor, line_tensor = random_example()
        output, loss = train_step(rnn, category_tensor, line_tensor)
        current_loss += loss
        if step % 10 == 0:
            guess, _ = category_from_output(output)
            print(f"{step} {loss:.4f} {line} / {guess} {'✓' if guess == category else '✗'}")
            all_losses.append(current_loss / 10)
            current_loss = 0
    return all_losses + evaluate(rnn).view(-1).tolist()


if __name__ == "__main__":
    print(train(*parts()))
