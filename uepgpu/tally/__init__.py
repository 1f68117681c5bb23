"""What was counted over ranges of realizations, and what is estimated from it."""

from __future__ import annotations

from uepgpu.tally.tally import Tally
from uepgpu.tally.trajectories import Trajectories

__all__ = ["Tally", "Trajectories"]
