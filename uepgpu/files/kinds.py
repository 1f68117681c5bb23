"""Kinds of figures: they tell who made them, so that a later one may replace them and nothing else."""

from __future__ import annotations

from uepgpu.files.outputs import Kind

__all__ = ["FIGURES", "MAKER", "PNG"]

MAKER = "uepgpu"
"""What figures say made them."""
PNG = Kind(("png",), b"\x89PNG\r\n\x1a\n", b"Software\0" + MAKER.encode())
FIGURES = (PNG, Kind(("svg",), b"<?xml", f"<dc:title>{MAKER}</dc:title>".encode()), Kind(("pdf",), b"%PDF-", f"({MAKER})".encode()))
