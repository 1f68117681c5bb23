"""Workers: how many there are, how fast they answer, what a packet costs them."""

from __future__ import annotations

from uepgpu.workers.backup import Backup, Relaunch
from uepgpu.workers.pool import Workers
from uepgpu.workers.racks import Racks
from uepgpu.workers.states import Markov

__all__ = ["Backup", "Markov", "Racks", "Relaunch", "Workers"]
