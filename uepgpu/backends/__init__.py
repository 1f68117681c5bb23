"""Where realizations run: NumPy, Numba or CUDA, and which of them can run here."""

from __future__ import annotations

from uepgpu.backends.cuda import Devices, parse_devices
from uepgpu.backends.place import Place, find_place
from uepgpu.backends.registry import BACKENDS, Backend, BackendUnavailable, Sampler, available, get_backend, usable_cores

__all__ = [
    "BACKENDS",
    "Backend",
    "BackendUnavailable",
    "Devices",
    "Place",
    "Sampler",
    "available",
    "find_place",
    "get_backend",
    "parse_devices",
    "usable_cores",
]
