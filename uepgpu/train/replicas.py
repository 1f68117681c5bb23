"""Many trainings at once: stacked weights, batched products and an explicit backward pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from uepgpu.train.convolutions import Convolutions
from uepgpu.train.draws import MOST_LAYERS, Draws, StackDraws
from uepgpu.train.masked import scaled_products
from uepgpu.train.networks import Network
from uepgpu.train.packed import add_scaled_products, fits
from uepgpu.train.product import coded_product
from uepgpu.train.scheme import Scheme

__all__ = ["Member", "Stack"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Member:
    """One training of a stack.

    Attributes
    ----------
    scheme : Scheme or None
        None trains with exact products.
    replica : int
        Decides initial weights, the order of the data and, with the scheme's seed, all realizations. Members of one
        replica number share them whatever their schemes.

    Examples
    --------
    >>> from uepgpu.train import Member
    >>> [Member(None, replica=r).replica for r in range(2)]  # two exact trainings, for comparison
    [0, 1]
    """

    scheme: Scheme | None
    replica: int = 0


class Stack:
    """R independent trainings of one network by stochastic gradient descent, as one computation.

    Parameters
    ----------
    network : Network
    members : sequence of Member
        Their codes, workers, deadlines and seeds may differ; how products are cut and estimated may not. Exact members
        fit any stack.
    seed : int
        Of initial weights.
    rate : float
        Learning rate.
    device : torch.device or str
        ``"cpu"`` or a CUDA device (unproven there).

    Attributes
    ----------
    weights, biases : lists of Tensor
        Of every dense layer, shapes (R, outputs, inputs) and (R, 1, outputs).
    step : int
        Steps taken so far.

    Raises
    ------
    ValueError
        No members, schemes that differ in what a stack shares, or more than 128 dense layers.

    Examples
    --------
    >>> import torch, uepgpu as uep
    >>> from uepgpu.train.networks import Network
    >>> workers = uep.Workers(9, latency=uep.latency.Exponential(0.5))
    >>> scheme = Scheme(uep.codes.Uncoded(), workers, deadline=2.0)
    >>> stack = Stack(Network((20,), (20, 12, 10)), [Member(scheme, 0), Member(scheme, 1), Member(None, 0)], seed=1, rate=0.1)
    >>> correct = stack.train(torch.ones(3, 16, 20), torch.zeros(3, 16, dtype=torch.int64))
    >>> tuple(correct.shape), stack.step
    ((3,), 1)
    """

    def __init__(
        self, network: Network, members: Sequence[Member], *, seed: int, rate: float, device: torch.device | str = "cpu"
    ) -> None:
        if not members:
            raise ValueError("members must name at least one training")
        if len(network.dense) - 1 > MOST_LAYERS:
            raise ValueError(f"network must have at most {MOST_LAYERS} dense layers in a stack, got {len(network.dense) - 1}")
        self.network, self.members, self.rate, self.step = network, list(members), rate, 0
        self.scheme = _shared(self.members)
        self.draws = [None if m.scheme is None else Draws(m.scheme, m.replica) for m in self.members]
        self._factors = None if self.scheme is None else StackDraws(self.draws, int(np.prod(self.scheme.shape)))
        # Exact members are left exact.
        thresholds = torch.tensor([0.0 if m.scheme is None else m.scheme.threshold for m in self.members])
        self._threshold = thresholds[:, None, None].to(device) if thresholds.any() else None
        models = [network.build(seed=seed, replica=m.replica) for m in self.members]
        dense = [[layer for layer in model if isinstance(layer, torch.nn.Linear)] for model in models]
        with torch.no_grad():
            self.weights = [torch.stack([layer.weight for layer in each]).to(device) for each in zip(*dense, strict=True)]
            self.biases = [torch.stack([layer.bias[None] for layer in each]).to(device) for each in zip(*dense, strict=True)]
        self.front = Convolutions(models, device) if network.convolutions else None

    # --- forward ------------------------------------------------------------------------------------------------------

    def predict(self, x: Tensor) -> Tensor:
        """Return the logits of samples (B, …), the same for all members, or (R, B, …): (R, B, labels)."""
        with torch.no_grad():
            if self.front is not None:
                x = self.front(x if x.ndim == 5 else x.expand(len(self.members), *x.shape))
            return self._forward(x)[-1]

    def _forward(self, x: Tensor) -> list[Tensor]:
        """Return the input of every dense layer, and the logits."""
        inputs = [x]
        for number, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            z = torch.baddbmm(bias, inputs[-1], weight.mT) if inputs[-1].ndim == 3 else inputs[-1] @ weight.mT + bias
            inputs.append(z if number == len(self.weights) - 1 else z.relu_())
        return inputs

    # --- training -----------------------------------------------------------------------------------------------------

    def train(self, x: Tensor, y: Tensor) -> Tensor:
        """Take one step on samples (R, B, …) with labels (R, B); return how many were classified right before it, (R,) int64.

        Nothing waits for a device: the step, and this result, may still be at work there.
        """
        if self.front is None:
            correct, _ = self._dense_step(x, y, back=False)
        else:
            features = self.front(x)
            correct, gradient = self._dense_step(features.detach(), y, back=True)
            self.front.descend(features, gradient, self.rate)
        self.step += 1
        return correct

    @torch.no_grad()
    def _dense_step(self, x: Tensor, y: Tensor, *, back: bool) -> tuple[Tensor, Tensor]:
        """Go forward and backward through the dense layers; with `back` also return the gradient of their input."""
        inputs = self._forward(x)
        logits = inputs.pop()
        correct = (logits.argmax(2) == y).sum(1)
        # PyTorch's softmax over ten entries takes four times as long.
        delta = (logits - logits.amax(2, keepdim=True)).exp_()
        delta /= delta.sum(2, keepdim=True)
        delta.scatter_add_(2, y[:, :, None], delta.new_full((), -1.0).expand(*y.shape, 1))
        delta /= y.shape[1]
        gradient = delta
        for layer in reversed(range(len(self.weights))):
            if self._threshold is not None:
                delta = torch.where(delta.abs() < self._threshold, 0.0, delta)
            if layer > 0 or back:
                gradient = self._input_gradient(layer, delta)
            self._descend(layer, delta, inputs[layer])
            self.biases[layer].sub_(delta.sum(1, keepdim=True), alpha=self.rate)
            if layer > 0:
                delta = torch.ops.aten.threshold_backward(gradient, inputs[layer], 0)
        return correct, gradient

    def _input_gradient(self, layer: int, delta: Tensor) -> Tensor:
        """Return δ·Wᵀ of all members, (R, B, inputs), coded."""
        weight, slot = self.weights[layer], 2 * layer
        if self.scheme is None:
            return delta @ weight
        if not self.scheme.scales:
            return torch.stack([self._product(r, delta[r], weight[r], slot, flip=False) for r in range(len(self.members))])
        assert self._factors is not None
        if fits(delta, weight):
            factors = self._factors.weights(slot, self.step).reshape(-1, *self.scheme.shape)
            result = delta.new_zeros((*delta.shape[:2], weight.shape[2]))
            add_scaled_products(result, delta, weight, factors, self.scheme, transposed=False, alpha=1.0)
            return result
        return scaled_products(
            delta, weight, self._factors.factors(slot, self.step, delta).view(-1, *self.scheme.shape), self.scheme
        )

    def _descend(self, layer: int, delta: Tensor, x: Tensor) -> None:
        """Subtract the coded gradient Xᵀ·δ from the weights, which are held transposed."""
        weight, slot = self.weights[layer], 2 * layer + 1
        if self.scheme is None:
            weight.baddbmm_(delta.mT, x, alpha=-self.rate)
        elif not self.scheme.scales:
            for r in range(len(self.members)):
                weight[r].sub_(self._product(r, x[r].mT, delta[r], slot, flip=True), alpha=self.rate)
        else:
            assert self._factors is not None
            tiles = self.scheme.paradigm == "rxc"
            if fits(delta, weight):
                factors = self._factors.weights(slot, self.step).reshape(-1, *self.scheme.shape)
                if tiles:
                    factors = np.ascontiguousarray(factors.transpose(0, 2, 1))
                add_scaled_products(weight, delta, x, factors, self.scheme, transposed=True, alpha=-self.rate)
            else:
                sent = self._factors.factors(slot, self.step, delta).view(-1, *self.scheme.shape)
                weight.sub_(scaled_products(delta.mT, x, sent.mT if tiles else sent, self.scheme), alpha=self.rate)

    def _product(self, member: int, left: Tensor, right: Tensor, slot: int, *, flip: bool) -> Tensor:
        draws = self.draws[member]
        if draws is None:
            return right.mT @ left.mT if flip else left @ right
        return coded_product(left, right, draws, slot, self.step, flip=flip)

    # --- state --------------------------------------------------------------------------------------------------------

    def state(self) -> dict[str, NDArray[np.generic]]:
        """Return everything that training resumes from, as arrays by name."""
        return {name: t.detach().cpu().numpy().copy() for name, t in self._held().items()} | {"step": np.array(self.step)}

    def _held(self) -> dict[str, Tensor]:
        """Return every tensor that training changes, by name."""
        held = {f"weight{i}": w for i, w in enumerate(self.weights)} | {f"bias{i}": b for i, b in enumerate(self.biases)}
        if self.front is not None:
            held |= {f"convolution{i}": p for i, p in enumerate(self.front.parameters)}
        return held

    def restore(self, state: dict[str, NDArray[np.generic]]) -> None:
        """Resume from a state.

        Raises
        ------
        ValueError
            It is the state of another stack.
        """
        held = self._held()
        for name, tensor in held.items():
            there = state[name].shape if name in state else None
            if there != tuple(tensor.shape):  # copying would broadcast
                raise ValueError(f"the state of a stack must hold {name} of shape {tuple(tensor.shape)}, got {there}")
        with torch.no_grad():
            for name, tensor in held.items():
                tensor.copy_(torch.from_numpy(state[name]))
        self.step = int(state["step"])


def _shared(members: Sequence[Member]) -> Scheme | None:
    """Return a scheme that represents all of them, None if all are exact."""
    schemes = [m.scheme for m in members if m.scheme is not None]
    for scheme in schemes[1:]:
        for name in ("paradigm", "blocks", "order", "importance", "faithful", "scales"):
            if getattr(scheme, name) != getattr(schemes[0], name):
                raise ValueError(
                    f"members of a stack must share {name}, got {getattr(schemes[0], name)!r} and {getattr(scheme, name)!r}: "
                    "train them in stacks of their own"
                )
    return schemes[0] if schemes else None
