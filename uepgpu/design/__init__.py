"""Answers: the best Γ, windows, class sizes, copies, number of workers and deadline (docs/design.md)."""

from __future__ import annotations

from uepgpu.design.drawn import gamma
from uepgpu.design.result import Design

__all__ = ["Design", "gamma"]
