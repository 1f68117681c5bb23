"""Figures as the bytes of a file."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import matplotlib as mpl

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["FORMATS", "to_bytes", "to_png"]

FORMATS = ("png", "svg", "pdf")
DOTS_PER_INCH = 150


def to_bytes(figure: Figure, form: str) -> bytes:
    """Return a figure in one of :data:`FORMATS`; equal figures give equal bytes."""
    buffer = io.BytesIO()
    undated = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[form]
    # Ids of an SVG that do not change from run to run, letters as shapes for readers without the font, text in a PDF as text.
    with mpl.rc_context({"svg.hashsalt": "uepgpu", "svg.fonttype": "path", "pdf.fonttype": 42}):
        figure.savefig(buffer, format=form, dpi=DOTS_PER_INCH, metadata=undated)
    return buffer.getvalue()


def to_png(figure: Figure) -> bytes:
    """Return the figure as PNG."""
    return to_bytes(figure, "png")
