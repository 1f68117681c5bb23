"""Figures as the bytes of a file."""

from __future__ import annotations

import io

import matplotlib as mpl
from matplotlib.figure import Figure

from uepgpu.figures.fonts import fitted_fonts
from uepgpu.files.kinds import FIGURES, MAKER

__all__ = ["FORMATS", "Picture", "to_bytes", "to_png"]

FORMATS = tuple(suffix for kind in FIGURES for suffix in kind.suffixes)
DOTS_PER_INCH = 150


def to_bytes(figure: Figure, form: str, dots_per_inch: int = DOTS_PER_INCH) -> bytes:
    """Return a figure in one of :data:`FORMATS`; equal figures give equal bytes."""
    buffer = io.BytesIO()
    told = {"png": {"Software": MAKER}, "svg": {"Creator": MAKER, "Date": None}, "pdf": {"Creator": MAKER, "CreationDate": None}}
    # Ids of an SVG that do not change from run to run, letters as shapes for readers without the font, text in a PDF as text.
    with mpl.rc_context({"svg.hashsalt": "uepgpu", "svg.fonttype": "path", "pdf.fonttype": 42}), fitted_fonts(figure):
        figure.savefig(buffer, format=form, dpi=dots_per_inch, metadata=told[form])
    return buffer.getvalue()


class Picture(Figure):
    """A figure that a notebook shows as it is, whether or not ``matplotlib.pyplot`` has been loaded."""

    def _repr_png_(self) -> bytes:
        return to_png(self)


def to_png(figure: Figure) -> bytes:
    """Return the figure as PNG."""
    return to_bytes(figure, "png")
