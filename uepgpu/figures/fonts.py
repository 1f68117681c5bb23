"""Fonts for people's words: others are tried for characters that the usual one does not have."""

from __future__ import annotations

import functools
import unicodedata
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from matplotlib import font_manager
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["FALLBACKS", "fitted_fonts"]

FALLBACKS = (
    *("Noto Sans", "Noto Sans CJK SC", "Noto Sans CJK JP", "Source Han Sans", "WenQuanYi Zen Hei", "Droid Sans Fallback"),
    *("Arial Unicode MS", "PingFang SC", "Hiragino Sans", "Microsoft YaHei", "Malgun Gothic", "Nirmala UI", "Segoe UI Symbol"),
    *("FreeSans", "Noto Sans Symbols2", "Noto Emoji", "Symbola", "Unifont"),
)
"""Fonts with many characters, in the order in which they are tried; then whatever is installed."""


UNFIT = ("cm", "STIXNon", "STIXSize", "Last Resort")
"""Fonts that come with matplotlib for formulas, whose characters are not where Unicode has them, and one of boxes."""
UNSEEN = ("Cc", "Cf", "Zs", "Zl", "Zp")
"""Categories of characters that need no glyph."""


@contextmanager
def fitted_fonts(figure: Figure) -> Iterator[None]:
    """Give every text of a figure the fonts that it needs, while the block runs; characters that none has warn once, together.

    Parameters
    ----------
    figure : Figure
    """
    lacking: set[str] = set()
    changed: list[tuple[Text, list[str]]] = []
    for text in figure.findobj(Text):
        families = [*text.get_fontfamily()]
        usual = font_manager.findfont(text.get_fontproperties())
        wanted = {c for c in text.get_text() if unicodedata.category(c) not in UNSEEN} - _characters(usual)
        if wanted:
            more, left = _families(frozenset(wanted))
            lacking |= left
            text.set_fontfamily([*families, *more])
            changed.append((text, families))
    if lacking:
        shown = "".join(sorted(lacking))
        message = f"no font that is installed has the characters {shown[:40]!r}, which the figure shows as boxes"
        warnings.warn(message, UserWarning, stacklevel=4)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing")  # that has been said
            yield
    finally:
        for text, families in changed:
            text.set_fontfamily(families)


@functools.cache
def _characters(file: str) -> frozenset[str]:
    return frozenset(map(chr, FT2Font(file).get_charmap()))


@functools.cache
def _families(wanted: frozenset[str]) -> tuple[tuple[str, ...], frozenset[str]]:
    """Return installed fonts that together have the wanted characters, and those that none has."""
    fonts = font_manager.fontManager.ttflist
    installed = {font.name: font.fname for font in fonts if font.style == "normal" and not font.name.startswith(UNFIT)}
    found: list[str] = []
    for name in (*(n for n in FALLBACKS if n in installed), *sorted(installed)):
        if not wanted:
            break
        if has := wanted & _characters(installed[name]):
            found.append(name)
            wanted -= has
    return tuple(found), wanted
