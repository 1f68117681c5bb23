"""What tests need that may be missing: they skip without it, or fail where a variable says that it is required."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

__all__ = ["ROOT", "missing"]

ROOT = Path(__file__).parents[2]


def missing(reason: str, variable: str = "UEPGPU_REQUIRE_GPU_CHECKS") -> None:
    """Skip, or fail where `variable` says that nothing may be missing."""
    if os.environ.get(variable, "0") not in ("", "0"):
        pytest.fail(f"{variable} is set and {reason}", pytrace=False)
    pytest.skip(reason)
