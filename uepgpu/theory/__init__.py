"""Exact theory: closed forms for losses and decoding probabilities (docs/mathematics.md §3 to §6)."""

from __future__ import annotations

from uepgpu.theory.closed_forms import decoding_probability, loss
from uepgpu.theory.launched import launched_packets

__all__ = ["decoding_probability", "launched_packets", "loss"]
