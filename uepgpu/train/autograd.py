"""The dense product of a coded layer for autograd: exact forward, coded backward; eager, compiled and under ``torch.func``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from uepgpu.train.draws import draws_of
from uepgpu.train.product import coded_product, sparsify

__all__ = ["coded_linear"]

Three = tuple[Tensor, Tensor, Tensor]

_transformed: Callable[[], bool] = getattr(torch._C, "_are_functorch_transforms_active", lambda: True)
"""Whether a transform of ``torch.func`` is at work, which takes functions that cost more. Where unsure they are taken always."""


def coded_linear(x: Tensor, weight: Tensor, bias: Tensor | None, steps: Tensor, handle: int, slot: int) -> Tensor:
    """Return X·Wᵀ + b, whose backward pass is coded.

    Parameters
    ----------
    x, weight, bias : Tensor
        Shapes (…, inputs), (outputs, inputs) and (outputs,), or no bias.
    steps : Tensor
        The counter of backward passes, int64 of shape (), which every backward pass advances.
    handle : int
        Of the layer's :class:`~uepgpu.train.draws.Draws`.
    slot : int
        Of δ·Wᵀ; that of Xᵀ·δ is the next.
    """
    function = _Product if torch.compiler.is_compiling() else _TransformedProduct if _transformed() else _PlainProduct
    apply: Any = function.apply
    result: Tensor = apply(x, weight, bias, steps, handle, slot)
    return result


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(x: Tensor, weight: Tensor, bias: Tensor | None, steps: Tensor, handle: int, slot: int) -> Tensor:
        return nn.functional.linear(x, weight, bias)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, weight, _, steps, handle, slot = inputs
        ctx.save_for_backward(x, weight)
        # Not saved for backward: a layer that is used twice advances its counter between its two backward passes.
        ctx.steps, ctx.handle, ctx.slot = steps, handle, slot

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        for_x, for_weight, for_bias, *_ = ctx.needs_input_grad
        products: Any = _gradients
        if torch.compiler.is_compiling():
            products = _operator  # which PyTorch does not look into
        elif torch.is_grad_enabled() or _transformed():
            products = _Gradients.apply
        found = products(gradient, x, weight, ctx.steps, ctx.handle, ctx.slot, for_x, for_weight, for_bias)
        wanted = [g if needed else None for g, needed in zip(found, (for_x, for_weight, for_bias), strict=True)]
        return *wanted, None, None, None


class _PlainProduct(_Product):
    """The same in one method: PyTorch looks up the signature of the other kind at every call, which takes as long as a product."""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> Tensor:
        _Product.setup_context(ctx, inputs, inputs[0])
        return _Product.forward(*inputs)

    setup_context = torch.autograd.Function.setup_context


class _TransformedProduct(_Product):
    """The same with what ``torch.func`` asks for, which graphs do not take."""

    @staticmethod
    def vmap(info: Any, in_dims: Sequence[int | None], *inputs: Any) -> tuple[Tensor, int]:
        apply: Any = _TransformedProduct.apply
        return torch.stack([apply(*_member(inputs, in_dims, i)) for i in range(info.batch_size)]), 0

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> NoReturn:
        raise NotImplementedError("uepgpu codes backward products: a coded layer has no forward-mode derivatives (jvp, jacfwd)")


class _Gradients(torch.autograd.Function):
    """The gradients of one backward pass, a function of its own so that ``torch.func`` hands it plain tensors."""

    @staticmethod
    def forward(*inputs: Any) -> Three:
        return _gradients(*inputs)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Three) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> NoReturn:
        raise NotImplementedError(
            "uepgpu has no second derivatives of coded layers: nothing says which stragglers would compute their products. "
            "Leave such layers exact with layers={name: None}"
        )

    @staticmethod
    def vmap(info: Any, in_dims: Sequence[int | None], *inputs: Any) -> tuple[Three, tuple[int, int, int]]:
        """Take the members one after another, each with a step, and so with realizations, of its own."""
        apply: Any = _Gradients.apply
        members = [apply(*_member(inputs, in_dims, i)) for i in range(info.batch_size)]
        a, b, c = (torch.stack(each) for each in zip(*members, strict=True))
        return (a, b, c), (0, 0, 0)


def _member(inputs: Sequence[Any], dims: Sequence[int | None], number: int) -> list[Any]:
    return [x if dim is None else x.select(dim, number) for x, dim in zip(inputs, dims, strict=True)]


def _gradients(
    gradient: Tensor,
    x: Tensor,
    weight: Tensor,
    steps: Tensor,
    handle: int,
    slot: int,
    for_x: bool,
    for_weight: bool,
    for_bias: bool,
) -> Three:
    """Return the gradients of x, weight and bias, empty where they are not wanted, and advance the counter."""
    # Under autocast the forward product was of factors cast to the type of what came out; autograd casts gradients back.
    x, weight = x.to(gradient.dtype), weight.to(gradient.dtype)
    draws, step = draws_of(handle), int(steps)
    steps.add_(1)
    delta = sparsify(gradient.reshape(-1, gradient.shape[-1]), draws.scheme.threshold)
    none = gradient.new_empty(0)
    grad_x = coded_product(delta, weight, draws, slot, step).reshape(x.shape) if for_x else none
    rows = x.reshape(-1, x.shape[-1])
    grad_weight = coded_product(rows.mT, delta, draws, slot + 1, step, flip=True) if for_weight else none
    return grad_x, grad_weight, delta.sum(0) if for_bias else none


@torch.library.custom_op("uepgpu::coded_gradients", mutates_args={"steps"})
def _operator(
    gradient: Tensor,
    x: Tensor,
    weight: Tensor,
    steps: Tensor,
    handle: int,
    slot: int,
    for_x: bool,
    for_weight: bool,
    for_bias: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    found = _gradients(gradient, x, weight, steps, handle, slot, for_x, for_weight, for_bias)
    # Compiled graphs take the strides that the shapes below promise; no two results may share memory.
    return found[0].contiguous(), found[1].contiguous(), found[2].clone() if found[2] is found[0] else found[2]


@_operator.register_fake
def _shapes(
    gradient: Tensor,
    x: Tensor,
    weight: Tensor,
    steps: Tensor,
    handle: int,
    slot: int,
    for_x: bool,
    for_weight: bool,
    for_bias: bool,
) -> Three:
    shapes = [
        shape if needed else (0,) for shape, needed in ((x.shape, for_x), (weight.shape, for_weight), (weight.shape[:1], for_bias))
    ]
    a, b, c = (gradient.new_empty(shape) for shape in shapes)
    return a, b, c
