"""A store as one HTML file: parameters, results, interactive plots, stop reasons, provenance; no network needed."""

from __future__ import annotations

from uepgpu.report.page import build_page

__all__ = ["build_page"]
