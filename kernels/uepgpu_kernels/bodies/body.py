"""The decorator that every body carries."""

from __future__ import annotations

from numba import njit

__all__ = ["body"]

# Inlined at Numba's level: an ordinary callee makes an offline device compilation ask for a device.
body = njit(inline="always")
