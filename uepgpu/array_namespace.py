"""Where dense work runs: NumPy on the host, or CuPy on a device. The one place that knows CuPy's own calls."""

from __future__ import annotations

import importlib
import importlib.util
import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uepgpu.backends import BACKENDS, Backend, BackendUnavailable, get_backend
from uepgpu.checks import choice

__all__ = ["CUPY_CALLS", "Place", "cupy_unavailable", "find_place"]

CUPY_CALLS = ("asnumpy", "cuda.is_available", "cuda.get_current_stream", "cuda.runtime.memGetInfo")
"""What is used of CuPy beyond the array API standard; a test looks them up in the CuPy that is installed."""

OTHERWISE = "or use backend='numba', which runs on all CPU cores"


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


def cupy_unavailable() -> str | None:
    """Return why CuPy cannot run here, with the remedy, or None.

    A device counts as there when one small computation has come back from it: a driver that is too old, or headers that the
    compiler misses, show only then.
    """
    if importlib.util.find_spec("cupy") is None:
        return f"cupy is not installed: pip install cupy-cuda13x (or cupy-cuda12x); {OTHERWISE}"

    try:
        cupy = importlib.import_module("cupy")
        if not cupy.cuda.is_available():
            return f"no CUDA device answers: check the driver with nvidia-smi; {OTHERWISE}"
        answer = cupy.asnumpy(cupy.asarray(np.arange(3.0)) + 1.0)
    except Exception as error:  # whatever a broken installation, driver or compiler raises
        return f"cupy does not work here ({type(error).__name__}: {' '.join(str(error).split())[:200]})"
    return None if answer.tolist() == [1.0, 2.0, 3.0] else f"the device adds 1 to (0, 1, 2) and gets {answer.tolist()}"


def find_place(backend: str = "auto") -> Place:
    """Return where `backend` runs; ``"auto"`` is a device that answers, else Numba, else NumPy.

    Raises
    ------
    BackendUnavailable
        If a named backend cannot run here.
    ValueError
        If there is none of that name.
    """
    choice("backend", backend, ("auto", *BACKENDS))
    if backend in ("numba", "numpy"):
        return Place(backend, np, get_backend(backend))
    host = next(BACKENDS[name] for name in ("numba", "numpy") if BACKENDS[name].unavailable() is None)
    reason = cupy_unavailable()
    if reason is None:
        return Place("cuda", importlib.import_module("cupy"), host)
    if backend == "cuda":
        raise BackendUnavailable(f"backend 'cuda' cannot run: {reason}")
    return Place(host.name, np, host)
