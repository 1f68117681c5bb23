"""A dense layer whose backward products are computed by stragglers."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NoReturn, Self

import torch
from torch import Tensor, nn

from uepgpu.train.autograd import coded_linear
from uepgpu.train.draws import MOST_LAYERS, Draws

__all__ = ["CodedLinear"]

STEPS = "coded_steps"


class CodedLinear(nn.Linear):
    """``nn.Linear`` with an exact forward product and coded backward products δ·Wᵀ and Xᵀ·δ; made by :func:`uepgpu.train.coded`.

    Every backward pass through the layer is a step of its own, with fresh realizations. The buffer ``coded_steps`` counts them:
    it is saved, copied and moved with the parameters, so that a model resumed from it continues as if uninterrupted. The gradient
    of the bias, a sum over the batch, is exact.

    Attributes
    ----------
    draws : Draws
    layer : int
        Number of the layer in the network, dense layers being counted from 0.
    coded_steps : Tensor
        Backward passes so far, int64, shape ().

    Examples
    --------
    >>> import torch, uepgpu as uep
    >>> from uepgpu.train import coded
    >>> workers = uep.Workers(9, latency=uep.latency.Exponential(0.5))
    >>> layer = coded(torch.nn.Linear(12, 9), uep.codes.Uncoded(), workers, 0.5, seed=1)
    >>> layer(torch.ones(4, 12)).sum().backward()
    >>> layer.step, layer.state_dict()["coded_steps"]
    (1, tensor(1))
    """

    draws: Draws
    layer: int
    coded_steps: Tensor

    @classmethod
    def convert(cls, linear: nn.Linear, draws: Draws, layer: int) -> None:
        """Turn a layer into a coded one in place, so that references to it and hooks stay valid."""
        linear.__class__ = cls
        assert isinstance(linear, cls)
        linear.draws, linear.layer = draws, layer
        linear.register_buffer(STEPS, torch.zeros((), dtype=torch.int64, device=linear.weight.device))

    @property
    def step(self) -> int:
        """Backward passes so far."""
        return int(self.coded_steps)

    def forward(self, input: Tensor) -> Tensor:
        """Return X·Wᵀ + b, exactly."""
        if isinstance(input, torch.fx.Proxy):
            raise RuntimeError(
                "uepgpu: a graph of torch.fx.symbolic_trace would leave the products of coded layers exact: use torch.compile, or "
                "a tracer for which CodedLinear is a leaf"
            )
        if hasattr(input, "__tensor_flatten__") or hasattr(self.weight, "__tensor_flatten__"):
            raise RuntimeError(
                f"uepgpu: coded layers multiply plain tensors, got {type(input).__name__} and {type(self.weight).__name__}: leave "
                "layers that several devices share exact with layers={name: None}"
            )
        if torch.compiler.is_exporting():
            warnings.warn("uepgpu: exported graphs leave the products of coded layers exact, in backward passes too", stacklevel=2)
        slot = 2 * (self.layer % MOST_LAYERS)
        return coded_linear(input, self.weight, self.bias, self.coded_steps, self.draws.handle, slot)

    def reset_parameters(self) -> None:
        """Begin anew: other initial weights, no steps taken."""
        super().reset_parameters()
        self.coded_steps.zero_()

    def extra_repr(self) -> str:
        """Describe the layer as PyTorch prints it."""
        scheme = self.draws.scheme
        return f"{super().extra_repr()}, {scheme.code!r}, {scheme.paradigm}, deadline={scheme.deadline:g}"

    # --- the counter, wherever the layer goes -------------------------------------------------------------------------

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Have the counter follow the parameters from device to device, but never change its type or lose its value."""
        before = self.coded_steps
        apply: Callable[..., object] = super()._apply
        apply(fn, recurse)
        after = self.coded_steps
        if after is not before and not after.is_meta:
            # A layer made on the meta device has taken no steps.
            self.coded_steps = torch.zeros_like(after, dtype=torch.int64)
            if not before.is_meta:
                self.coded_steps.copy_(before)
        return self

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        metadata: Any,
        strict: bool,
        missing: list[str],
        unexpected: list[str],
        errors: list[str],
    ) -> None:
        """Take a plain layer's state dict too, which says nothing about steps."""
        key, own = prefix + STEPS, list[str]()
        steps = state_dict.get(key)
        if steps is not None and (steps.dtype != torch.int64 or steps.shape != ()):
            errors.append(f"uepgpu: {key} must be int64 of shape (), got {steps.dtype} of shape {tuple(steps.shape)}.")
            state_dict = {name: value for name, value in state_dict.items() if name != key}
        super()._load_from_state_dict(state_dict, prefix, metadata, strict, own, unexpected, errors)
        missing += [name for name in own if name != key]

    def _replicate_for_data_parallel(self) -> NoReturn:
        raise RuntimeError(
            "uepgpu: torch.nn.DataParallel cannot train coded layers, its replicas on several devices would all meet the same "
            "stragglers: use DistributedDataParallel, with replica= the rank in uepgpu.train.coded"
        )
