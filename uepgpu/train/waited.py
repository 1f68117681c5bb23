"""How long a server has waited for the products of coded layers: what trainers log."""

from __future__ import annotations

from torch import nn

from uepgpu.train.layer import CodedLinear

__all__ = ["simulated_time"]


def simulated_time(model: nn.Module) -> float:
    """Return the time that a server has waited so far if all products of a step are computed in parallel.

    Every backward pass through a coded layer costs its deadline; of layers with several deadlines, or used more often, the longest
    counts. A trainer logs it beside the loss to compare methods by time (docs/training.md).

    Parameters
    ----------
    model : torch.nn.Module
        With at least one coded layer, also below the wrappers of trainers and ``torch.compile``.

    Returns
    -------
    float
        In the unit of the latency law.

    Raises
    ------
    ValueError
        If no layer is coded.

    Examples
    --------
    >>> import torch, uepgpu as uep
    >>> from uepgpu.train import coded
    >>> workers = uep.Workers(9, latency=uep.latency.Exponential(0.5))
    >>> model = coded(torch.nn.Sequential(torch.nn.Linear(12, 9)), uep.codes.Uncoded(), workers, 0.5, seed=1)
    >>> for _ in range(3):
    ...     model(torch.ones(4, 12)).sum().backward()
    >>> simulated_time(model)
    1.5
    """
    layers = [layer for layer in model.modules() if isinstance(layer, CodedLinear)]
    if not layers:
        raise ValueError("model has no coded layers: make them with uepgpu.train.coded before a trainer takes the model")
    return max((layer.step * layer.draws.scheme.deadline for layer in layers if layer.step), default=0.0)
