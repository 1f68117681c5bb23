"""What was counted over ranges of realizations, and what is estimated from it."""

from __future__ import annotations

from uepgpu.tally.tally import Tally

__all__ = ["Tally"]
