"""Where dense work runs: NumPy on the host, or CuPy on a device. The one place that knows CuPy's own calls."""

from __future__ import annotations

import importlib
import os
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uepgpu.backends.registry import Backend, get_backend

__all__ = ["CUPY_CALLS", "Place", "find_place"]

CUPY_CALLS = ("asnumpy", "cuda.get_current_stream", "cuda.runtime.memGetInfo")
"""What is used of CuPy beyond the array API standard; a test looks them up in the CuPy that is installed."""


@dataclass(frozen=True, eq=False)
class Place:
    """Where arrays live, and which backend draws, decides and solves for weights on the host.

    Attributes
    ----------
    name : "numba", "numpy" or "cuda"
    xp : module
        The array namespace of dense work.
    host : Backend
    """

    name: str
    xp: Any
    host: Backend

    @property
    def on_device(self) -> bool:
        """Whether arrays live on a device."""
        return self.xp is not np

    def to_host(self, array: Any) -> NDArray[Any]:
        """Return a NumPy array; a copy only from a device."""
        return np.asarray(self.xp.asnumpy(array) if self.on_device else array)

    def settle(self) -> None:
        """Wait for what was asked of the device, so that a clock reads the truth."""
        if self.on_device:
            self.xp.cuda.get_current_stream().synchronize()

    def free_memory(self) -> int:
        """Return the bytes that are free where arrays live."""
        if self.on_device:
            return int(self.xp.cuda.runtime.memGetInfo()[0])
        try:
            return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
        except (AttributeError, ValueError, OSError):  # not a POSIX system
            return 4 * 2**30


def find_place(backend: str = "auto", *, without: Collection[str] = (), realizations: int | None = None) -> Place:
    """Return where `backend` runs; arguments and what ``"auto"`` means are those of :func:`~uepgpu.backends.get_backend`.

    Raises
    ------
    BackendUnavailable
        If a named backend cannot run here.
    ValueError
        If there is none of that name.
    """
    chosen = get_backend(backend, without=without, realizations=realizations)
    if chosen.name != "cuda":
        return Place(chosen.name, np, chosen)
    return Place("cuda", importlib.import_module("cupy"), get_backend("auto", without=("cuda",)))
