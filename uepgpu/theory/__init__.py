"""Exact theory: losses, their law, what they take, decoding, completion times, lower bounds (docs/mathematics.md §3 to §6, §11)."""

from __future__ import annotations

from uepgpu.theory.bounds import lower_bound
from uepgpu.theory.closed_forms import decoding_probability, loss
from uepgpu.theory.completion import completion_time
from uepgpu.theory.distribution import exceedance, loss_distribution, loss_quantile, loss_sd
from uepgpu.theory.inverse import deadline_for, workers_for
from uepgpu.theory.launched import launched_packets
from uepgpu.theory.trajectories import trajectory_moments

__all__ = [
    "completion_time",
    "deadline_for",
    "decoding_probability",
    "exceedance",
    "launched_packets",
    "loss",
    "loss_distribution",
    "loss_quantile",
    "loss_sd",
    "lower_bound",
    "trajectory_moments",
    "workers_for",
]
