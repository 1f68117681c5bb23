"""The convolutional front of a stack: exact, all members at once as groups of channels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["Convolutions"]


class Convolutions:
    """The convolutions, ReLUs and the max-pool of R networks, one group of channels each.

    Attributes
    ----------
    parameters : list of Tensor
        Weights (R·channels, inputs, 3, 3) and biases (R·channels,), in turn.
    """

    def __init__(self, models: Sequence[nn.Sequential], device: torch.device | str) -> None:
        self.members = len(models)
        layers = [[layer for layer in model if isinstance(layer, nn.Conv2d)] for model in models]
        self.padding = [layer.padding for layer in layers[0]]
        self.parameters: list[Tensor] = []
        with torch.no_grad():
            for each in zip(*layers, strict=True):
                for tensors in ([layer.weight for layer in each], [layer.bias for layer in each if layer.bias is not None]):
                    self.parameters.append(torch.cat(tensors).to(device).requires_grad_())

    def __call__(self, x: Tensor) -> Tensor:
        """Return the features (R, B, dense inputs) of images (R, B, channels, height, width)."""
        r, b = x.shape[:2]
        # Members become groups of channels of the same B images.
        images = x.transpose(0, 1).reshape(b, r * x.shape[2], *x.shape[3:])
        for weight, bias, padding in zip(self.parameters[::2], self.parameters[1::2], self.padding, strict=True):
            images = nn.functional.conv2d(images, weight, bias, padding=padding, groups=r).relu()
        pooled = nn.functional.max_pool2d(images, 2)
        return pooled.reshape(b, r, -1).transpose(0, 1).contiguous()

    def descend(self, features: Tensor, gradient: Tensor, rate: float) -> None:
        """Take a step of gradient descent, given the gradient of the features."""
        gradients = torch.autograd.grad(features, self.parameters, gradient)
        with torch.no_grad():
            for parameter, g in zip(self.parameters, gradients, strict=True):
                parameter.sub_(g, alpha=rate)
