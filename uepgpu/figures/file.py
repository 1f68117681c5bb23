"""Figures as the bytes of a file."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import matplotlib as mpl

from uepgpu.files import Kind

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["FORMATS", "KINDS", "PNG", "to_bytes", "to_png"]

MAKER = "uepgpu"
PNG = Kind(("png",), b"\x89PNG\r\n\x1a\n", b"Software\0" + MAKER.encode())
KINDS = (PNG, Kind(("svg",), b"<?xml", f"<dc:title>{MAKER}</dc:title>".encode()), Kind(("pdf",), b"%PDF-", f"({MAKER})".encode()))
"""Figures tell who made them, so that a later one may replace them and nothing else."""
FORMATS = tuple(suffix for kind in KINDS for suffix in kind.suffixes)
DOTS_PER_INCH = 150


def to_bytes(figure: Figure, form: str, dots_per_inch: int = DOTS_PER_INCH) -> bytes:
    """Return a figure in one of :data:`FORMATS`; equal figures give equal bytes."""
    buffer = io.BytesIO()
    told = {"png": {"Software": MAKER}, "svg": {"Creator": MAKER, "Date": None}, "pdf": {"Creator": MAKER, "CreationDate": None}}
    # Ids of an SVG that do not change from run to run, letters as shapes for readers without the font, text in a PDF as text.
    with mpl.rc_context({"svg.hashsalt": "uepgpu", "svg.fonttype": "path", "pdf.fonttype": 42}):
        figure.savefig(buffer, format=form, dpi=dots_per_inch, metadata=told[form])
    return buffer.getvalue()


def to_png(figure: Figure) -> bytes:
    """Return the figure as PNG."""
    return to_bytes(figure, "png")
