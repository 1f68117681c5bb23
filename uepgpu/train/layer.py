"""A dense layer whose backward products are computed by stragglers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from uepgpu.train.draws import Draws
from uepgpu.train.product import coded_product, sparsify

__all__ = ["CodedLinear"]


class CodedLinear(nn.Linear):
    """``nn.Linear`` with an exact forward product and coded backward products δ·Wᵀ and Xᵀ·δ; made by :func:`uepgpu.train.coded`.

    Every backward pass through the layer is a step of its own, with fresh realizations; ``state_dict`` holds their number, so
    that a model resumed from it continues as if uninterrupted. The gradient of the bias, a sum over the batch, is exact.

    Attributes
    ----------
    draws : Draws
    layer : int
        Number of the layer in the network, dense layers being counted from 0.
    step : int
        Backward passes so far.
    """

    draws: Draws
    layer: int
    step: int

    @classmethod
    def convert(cls, linear: nn.Linear, draws: Draws, layer: int) -> None:
        """Turn a layer into a coded one in place, so that references to it and hooks stay valid."""
        linear.__class__ = cls
        assert isinstance(linear, cls)
        linear.draws, linear.layer, linear.step = draws, layer, 0

    def forward(self, input: Tensor) -> Tensor:
        """Return X·Wᵀ + b, exactly."""
        apply: Any = _CodedProduct.apply
        result: Tensor = apply(input, self.weight, self.bias, self)
        return result

    def get_extra_state(self) -> dict[str, int]:
        """Return what the state dict holds besides parameters: the number of steps."""
        return {"step": self.step}

    def set_extra_state(self, state: dict[str, int]) -> None:
        """Resume at the step of a state dict."""
        self.step = int(state["step"])

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, metadata: Any, strict: bool, missing: list[str], *rest: Any
    ) -> None:
        """Take a plain layer's state dict too, which holds no step."""
        own: list[str] = []
        super()._load_from_state_dict(state_dict, prefix, metadata, strict, own, *rest)
        missing += [key for key in own if key != f"{prefix}_extra_state"]

    def extra_repr(self) -> str:
        """Describe the layer as PyTorch prints it."""
        scheme = self.draws.scheme
        return f"{super().extra_repr()}, {scheme.code!r}, {scheme.paradigm}, deadline={scheme.deadline:g}"


class _CodedProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, module: CodedLinear) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.module = module
        return nn.functional.linear(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        # Under autocast the forward product was of factors cast to the type of what came out; autograd casts gradients back.
        x, weight = (t.to(gradient.dtype) for t in ctx.saved_tensors)
        module: CodedLinear = ctx.module
        step = module.step
        module.step += 1
        draws, slot = module.draws, 2 * module.layer
        for_x, for_weight, for_bias, _ = ctx.needs_input_grad
        delta = sparsify(gradient.reshape(-1, gradient.shape[-1]), draws.scheme.threshold)
        grad_x = coded_product(delta, weight, draws, slot, step).reshape(x.shape) if for_x else None
        rows = x.reshape(-1, x.shape[-1])
        grad_weight = coded_product(rows.mT, delta, draws, slot + 1, step, flip=True) if for_weight else None
        return grad_x, grad_weight, delta.sum(0) if for_bias else None, None
