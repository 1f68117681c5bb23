"""What a packet is charged, and whether somebody chose it."""

from __future__ import annotations

from typing import Literal, cast

__all__ = ["DEFAULT_WORK", "LeftOpen"]


class LeftOpen(str):
    """A value that nobody chose: equal to the text that it is, but known as the default."""

    __slots__ = ()


DEFAULT_WORK = cast('Literal["true"]', LeftOpen("true"))
