"""The networks of the experiments (docs/mathematics.md §7)."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import nn

from uepgpu.checks import choice

__all__ = ["CIFAR10", "DIGITS", "INITS", "MNIST", "NETWORKS", "Init", "Network"]

Init = Literal["glorot-normal", "pytorch"]
INITS = ("glorot-normal", "pytorch")


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
    init : "glorot-normal" or "pytorch"
        Initial weights: normal with mean 0 and variance 2/(inputs + outputs) and zero biases, as the published program has them
        (a convolution has nine inputs and outputs per channel), or what PyTorch gives new layers.

    Raises
    ------
    ValueError
        Another `init`.

    Examples
    --------
    >>> model = MNIST.build(seed=1, replica=0)
    >>> model[0]
    Linear(in_features=784, out_features=100, bias=True)
    >>> round(float(model[0].weight.detach().var()) * (784 + 100), 1), bool(model[0].bias.any())
    (2.0, False)
    """

    shape: tuple[int, ...]
    dense: tuple[int, ...]
    convolutions: tuple[tuple[int, int], ...] = ()
    init: Init = "pytorch"

    def __post_init__(self) -> None:
        choice("init", self.init, INITS)

    def build(self, *, seed: int, replica: int) -> nn.Sequential:
        """Return the network as a PyTorch model with its initial weights, a function of (seed, replica)."""
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
            if self.init == "glorot-normal":
                for layer in layers:
                    if isinstance(layer, (nn.Linear, nn.Conv2d)):
                        nn.init.xavier_normal_(layer.weight)
                        assert layer.bias is not None
                        nn.init.zeros_(layer.bias)
        return nn.Sequential(*layers[:-1])


DIGITS = Network((64,), (64, 100, 200, 10))
MNIST = Network((784,), (784, 100, 200, 10), init="glorot-normal")
CIFAR10 = Network((3, 32, 32), (7200, 512, 256, 10), convolutions=((32, 1), (32, 0)), init="glorot-normal")
NETWORKS = {"digits": DIGITS, "mnist": MNIST, "cifar10": CIFAR10}
