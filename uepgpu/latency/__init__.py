"""Latency laws: how long one unit of work takes at a worker of speed 1."""

from __future__ import annotations

from uepgpu.latency.continuous import Exponential, LogNormal, Pareto, ShiftedExponential, Weibull
from uepgpu.latency.from_cdf import FromCDF
from uepgpu.latency.law import Latency
from uepgpu.latency.staged import Staged
from uepgpu.latency.steps import Deterministic, Empirical
from uepgpu.latency.trace import Trace

__all__ = [
    "Deterministic",
    "Empirical",
    "Exponential",
    "FromCDF",
    "Latency",
    "LogNormal",
    "Pareto",
    "ShiftedExponential",
    "Staged",
    "Trace",
    "Weibull",
]
