"""Exact theory: closed forms for losses, their law, and decoding probabilities (docs/mathematics.md §3 to §6)."""

from __future__ import annotations

from uepgpu.theory.closed_forms import decoding_probability, loss
from uepgpu.theory.distribution import exceedance, loss_distribution, loss_quantile, loss_sd

__all__ = ["decoding_probability", "exceedance", "loss", "loss_distribution", "loss_quantile", "loss_sd"]
