"""Numba's CUDA module, which has no types, and the decorators of kernels and of the steps that kernels call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import config as _config
from numba import cuda as _cuda

__all__ = ["cuda", "kernel", "simulated", "stage"]

cuda: Any = _cuda

simulated: bool = bool(getattr(_config, "ENABLE_CUDASIM", 0))
"""Whether Numba's simulator stands in for the device: an environment variable decides when Numba is imported."""


def stage(function: Callable[..., Any]) -> Any:
    """Make a step that only device code calls."""
    # Inlined at Numba's level: an ordinary callee makes an offline compilation ask for a device.
    return cuda.jit(device=True, inline="always")(function)


def kernel(function: Callable[..., None]) -> Any:
    """Make a kernel; it is compiled when first launched."""
    # Never with a signature: that would compile at import, and raise where there is no driver.
    return cuda.jit(function)
