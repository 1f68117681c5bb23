"""One realization told in full: its draws, its packets, every decoding step, what is lost when.

The second opinion on a number: plain Python that takes one packet at a time, beside kernels that take millions.
"""

from __future__ import annotations

from uepgpu.replay.realization import replay
from uepgpu.replay.told import Evaluation, Moment, Replay, Step

__all__ = ["Evaluation", "Moment", "Replay", "Step", "replay"]
