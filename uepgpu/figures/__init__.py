"""Figures of sweeps with matplotlib, as PNG, SVG or PDF."""

from __future__ import annotations

from uepgpu.figures.file import FORMATS, to_bytes, to_png
from uepgpu.figures.paint import draw, draw_chart

__all__ = ["FORMATS", "draw", "draw_chart", "to_bytes", "to_png"]
