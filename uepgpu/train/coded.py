"""The drop-in: dense layers of any model with coded backward products."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping
from typing import Any, TypeVar

from torch import nn

from uepgpu.checks import integer, shown
from uepgpu.codes import Code
from uepgpu.partition import Classes
from uepgpu.train.draws import Draws, seed_of_layer
from uepgpu.train.layer import CodedLinear
from uepgpu.train.scheme import DEFAULT_CLASSES, Estimator, Importance, Order, Paradigm, Scheme
from uepgpu.workers import Workers

__all__ = ["coded"]

Model = TypeVar("Model", bound=nn.Module)

NO_DENSE_PRODUCT = (nn.modules.conv._ConvNd, nn.Embedding, nn.EmbeddingBag, nn.LayerNorm, nn.RMSNorm)
"""Modules whose matrices are convolved with, looked up or multiplied entry by entry."""

PER_LAYER = tuple(field.name for field in dataclasses.fields(Scheme) if field.name != "seed")


def coded(
    model: Model,
    code: Code,
    workers: Workers,
    deadline: float,
    *,
    seed: int,
    paradigm: Paradigm = "rxc",
    blocks: int | tuple[int, ...] | None = None,
    classes: Classes = DEFAULT_CLASSES,
    order: Order = "norm",
    importance: Importance = "position",
    estimator: Estimator = "zero",
    p_min: float = 0.05,
    threshold: float = 0.0,
    faithful: bool = False,
    layers: Mapping[str, Mapping[str, Any] | None] | None = None,
    replica: int = 0,
) -> Model:
    """Make a model's dense layers compute their backward products through a code and stragglers; the forward pass stays exact.

    Every ``nn.Linear`` in the model becomes a :class:`CodedLinear` in place: the same object with the same parameters, hooks and
    buffers, so that existing optimizers stay valid. Convolutions and everything else stay as they are; a warning names modules
    that multiply by matrices of their own, such as the packed ``in_proj_weight`` of ``nn.MultiheadAttention``. Draws are fresh
    in every step and a function of (seed, replica, layer, product, step) alone.

    Coded layers work in graphs of ``torch.compile(fullgraph=True)`` and under ``torch.func.grad`` and ``torch.vmap``, whose members
    take steps of their own, one after another (per-sample gradients: a step a sample). Second derivatives, forward-mode
    derivatives and ``nn.DataParallel`` are refused.

    Parameters
    ----------
    model : nn.Module
        On the CPU or a CUDA device.
    code, workers, deadline, seed, paradigm, blocks, classes, order, importance, estimator, p_min, threshold, faithful
        As for :class:`Scheme`. Factored encodings and true packet cost are those of `code` and `workers`.
    layers : mapping, optional
        Per layer, by its name in ``model.named_modules()``: other values of the arguments above, or None for a layer, or one of
        those other modules, that stays exact.
    replica : int
        Number of the training, 0..65535: equal seeds with other replicas draw other realizations.

    Returns
    -------
    The model.

    Raises
    ------
    ValueError
        Bad arguments, named; no dense layer; an unknown name in `layers`; a layer that is coded already.

    Examples
    --------
    >>> import torch, uepgpu as uep
    >>> _ = torch.manual_seed(1)
    >>> model = torch.nn.Sequential(torch.nn.Linear(12, 9), torch.nn.ReLU(), torch.nn.Linear(9, 9))
    >>> workers = uep.Workers(15, latency=uep.latency.Exponential(0.5), omega="fair", work="unit")
    >>> code = uep.codes.ExpandingWindow((0.45, 0.35, 0.20))
    >>> model = coded(model, code, workers, 0.5, seed=1, layers={"2": None})
    >>> [type(module).__name__ for module in model]
    ['CodedLinear', 'ReLU', 'Linear']
    >>> model(torch.ones(9, 12)).sum().backward()
    >>> model[0].step
    1
    """
    shared = Scheme(
        code, workers, deadline, paradigm, blocks, classes, order, importance, estimator, p_min, threshold, faithful, seed
    )
    if not isinstance(model, nn.Module):
        raise ValueError(f"model must be a torch.nn.Module, got {shown(model)}")
    if layers is not None and not isinstance(layers, Mapping):
        raise ValueError(f"layers must map names of layers to options or None, got {shown(layers)}")
    own = dict(layers or {})
    integer("replica", replica, 0)
    found = [(name, module) for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    names = [name for name, _ in found]
    if not names:
        raise ValueError(f"model has no nn.Linear layer to code: {type(model).__name__}")
    others = _exact_matrices(model)
    for name, options in own.items():
        if name not in names and not (name in others and options is None):
            raise ValueError(f"layers names {name!r}, which is no nn.Linear of the model; there are {shown(names)}")
    made: list[tuple[nn.Linear, Draws, int]] = []
    for number, (name, module) in enumerate(found):
        if isinstance(module, CodedLinear):
            raise ValueError(f"layer {name!r} is coded already")
        if own.get(name, {}) is not None and (type(module) is not nn.Linear or "forward" in vars(module)):
            what = f"is a {type(module).__name__}" if type(module) is not nn.Linear else "has a forward of its own"
            raise ValueError(
                f"layer {name!r} {what}, whose products may differ from those of nn.Linear: "
                f"leave it exact with layers={{{name!r}: None}}"
            )
        scheme = _scheme_of(shared, name, own.get(name, {}))
        if scheme is not None:
            scheme = dataclasses.replace(scheme, seed=seed_of_layer(scheme.seed, number))
            made.append((module, Draws(scheme, replica), number))
    for layer in made:  # only now, so that an error leaves the model as it was
        CodedLinear.convert(*layer)
    left = [f"{name or 'the model'} ({what})" for name, what in others.items() if name not in own]
    if left:
        warnings.warn(
            f"uepgpu codes nn.Linear layers alone; products of other matrices stay exact: {', '.join(left)}. "
            "layers={name: None} says that this is meant",
            stacklevel=2,
        )
    return model


def _exact_matrices(model: nn.Module) -> dict[str, str]:
    """Return which modules hold parameters of dense products that are no nn.Linear, with their class and those parameters."""
    found = {}
    for name, module in model.named_modules():
        if not isinstance(module, (nn.Linear, *NO_DENSE_PRODUCT)):
            matrices = [key for key, p in module.named_parameters(recurse=False) if p.ndim > 1]
            if matrices:
                found[name] = f"{type(module).__name__}: {', '.join(matrices)}"
    return found


def _scheme_of(shared: Scheme, name: str, own: Mapping[str, Any] | None) -> Scheme | None:
    if own is None:
        return None
    if not isinstance(own, Mapping):
        raise ValueError(f"layers[{name!r}] must be a mapping of options, or None to leave the layer exact, got {shown(own)}")
    for option in own:
        if option not in PER_LAYER:
            raise ValueError(f"layers[{name!r}] sets {option!r}; what can be set per layer is {', '.join(PER_LAYER)}")
    changed = dict(own)
    if "paradigm" in changed and changed["paradigm"] != shared.paradigm:
        # Blocks of the other paradigm have no meaning here.
        changed.setdefault("blocks", None)
    return dataclasses.replace(shared, **changed)
