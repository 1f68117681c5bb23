"""Exact theory: closed forms for losses, decoding probabilities and completion times (docs/mathematics.md §3 to §6)."""

from __future__ import annotations

from uepgpu.theory.closed_forms import decoding_probability, loss
from uepgpu.theory.completion import completion_time
from uepgpu.theory.launched import launched_packets

__all__ = ["completion_time", "decoding_probability", "launched_packets", "loss"]
