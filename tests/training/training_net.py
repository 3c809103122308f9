"""A small network and runs of it, for the tests of the training loop."""

import torch
from torch import nn

from bridge.torch_side.training.train import fit

ROWS = 50


class Net(nn.Module):
    """Everything that a resumed run has to bring back: batch statistics and random numbers, beside the weights."""

    final = "softmax"

    def __init__(self, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.dense = nn.Linear(6, 16)
        self.norm = nn.BatchNorm1d(16)
        self.dropout = nn.Dropout(0.3)
        self.head = nn.Linear(16, 3)

    def logits(self, x):
        return self.head(self.dropout(torch.tanh(self.norm(self.dense(x)))))

    def forward(self, x):
        return self.logits(x).softmax(-1)


def run(net, data, **options):
    return fit(net, *data, **{"batch": 8, "epochs": 4, "device": "cpu", "learning_rate": 0.02} | options)


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))
