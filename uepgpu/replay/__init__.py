"""One realization in full: its draws, its packets, every decoding step, and what is lost at each time.

A check on the kernels: plain Python that takes one packet at a time.
"""

from __future__ import annotations

from uepgpu.replay.realization import replay, trajectory
from uepgpu.replay.told import Evaluation, Moment, Replay, Step

__all__ = ["Evaluation", "Moment", "Replay", "Step", "replay", "trajectory"]
