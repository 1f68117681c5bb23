"""The networks of the experiments (docs/mathematics.md §7)."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

__all__ = ["CIFAR10", "DIGITS", "MNIST", "NETWORKS", "Network"]


@dataclass(frozen=True)
class Network:
    """Convolutions, if any, and dense layers with ReLU between; softmax cross-entropy is the loss.

    Attributes
    ----------
    shape : tuple of int
        Of one sample: (features,), or (channels, height, width).
    dense : tuple of int
        Inputs and outputs of the dense layers; the last is the number of labels.
    convolutions : tuple of (channels, padding)
        3×3 convolutions, each followed by ReLU; a 2×2 max-pool follows the last.

    Examples
    --------
    >>> MNIST.build(seed=1, replica=0)[0]
    Linear(in_features=784, out_features=100, bias=True)
    """

    shape: tuple[int, ...]
    dense: tuple[int, ...]
    convolutions: tuple[tuple[int, int], ...] = ()

    def build(self, *, seed: int, replica: int) -> nn.Sequential:
        """Return the network as a PyTorch model with PyTorch's initial weights, a function of (seed, replica)."""
        layers: list[nn.Module] = []
        channels = self.shape[0]
        word = int(np.random.default_rng([seed, replica, 0x1417]).integers(2**63))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(word)
            for wide, padding in self.convolutions:
                layers += [nn.Conv2d(channels, wide, 3, padding=padding), nn.ReLU()]
                channels = wide
            if self.convolutions:
                layers += [nn.MaxPool2d(2), nn.Flatten()]
            for inputs, outputs in itertools.pairwise(self.dense):
                layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        return nn.Sequential(*layers[:-1])


DIGITS = Network((64,), (64, 100, 200, 10))
MNIST = Network((784,), (784, 100, 200, 10))
CIFAR10 = Network((3, 32, 32), (7200, 512, 256, 10), convolutions=((32, 1), (32, 0)))
NETWORKS = {"digits": DIGITS, "mnist": MNIST, "cifar10": CIFAR10}
