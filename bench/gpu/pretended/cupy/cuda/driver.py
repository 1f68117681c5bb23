"""The driver that is pretended."""

from __future__ import annotations


def funcGetAttribute(attribute: int, pointer: int) -> int:
    """Return 0: nobody has asked a driver."""
    return 0
