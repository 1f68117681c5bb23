"""Exact theory: closed forms for losses and decoding probabilities (docs/mathematics.md §3 to §6), lower bounds (§11)."""

from __future__ import annotations

from uepgpu.theory.bounds import lower_bound
from uepgpu.theory.closed_forms import decoding_probability, loss

__all__ = ["decoding_probability", "loss", "lower_bound"]
