"""Answers: the best Γ, windows, class sizes, copies, number of workers and deadline (docs/design.md)."""

from __future__ import annotations

from uepgpu.design.copies import repetition
from uepgpu.design.drawn import gamma
from uepgpu.design.fixed import fixed_windows
from uepgpu.design.rectangles import windows
from uepgpu.design.result import Design
from uepgpu.design.scaling import redundancy
from uepgpu.design.splits import classes
from uepgpu.design.waiting import deadline

__all__ = ["Design", "classes", "deadline", "fixed_windows", "gamma", "redundancy", "repetition", "windows"]
