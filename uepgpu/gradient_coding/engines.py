"""What runs a plan of gradient descent: Numba, NumPy, or a device."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from uepgpu.backends import BACKENDS, BackendUnavailable, find_place
from uepgpu.checks import choice, integer
from uepgpu.gradient_coding.device import DeviceKernels
from uepgpu_kernels.descent_job import DescentJob

__all__ = ["ENGINES", "Kernels", "core_count", "find_engine"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ENGINES = ("numba", "numpy")


class Kernels(Protocol):
    """What runs a plan: :mod:`uepgpu_kernels.cpu.descent` says what its functions do."""

    def descend(self, job: DescentJob, first: int, count: int, threads: int, /) -> Iterator[tuple[Floats, NDArray[np.uint32]]]:
        """Yield records of chunks of realizations, and the words of their last servers."""
        ...

    def sketch(self, job: DescentJob, first: int, count: int, iterations: int, /) -> tuple[Ints, NDArray[np.uint32]]:
        """Return the copies of blocks received, and the last words."""
        ...


def find_engine(backend: str) -> tuple[str, Kernels]:
    """Return the name and the kernels of a backend; ``"auto"`` is Numba where it can be imported, else NumPy.

    ``"cuda"`` runs when asked for by name: it draws on the host, and nobody has timed it on a device.

    Raises
    ------
    BackendUnavailable
        A named backend cannot run.
    """
    choice("backend", backend, ("auto", *BACKENDS))
    name = next(engine for engine in ENGINES if BACKENDS[engine].unavailable() is None) if backend == "auto" else backend
    if name == "cuda":
        place = find_place("cuda")
        return name, DeviceKernels(place, _on_host(place.host.name))
    if reason := BACKENDS[name].unavailable():
        raise BackendUnavailable(f"backend {name!r} cannot run: {reason}")
    return name, _on_host(name)


def _on_host(name: str) -> Any:
    if name == "numba":
        from uepgpu_kernels.cpu import descent as compiled

        return compiled
    from uepgpu_kernels.reference import descent as reference

    return reference


def core_count(threads: int | None) -> int:
    """Return `threads`, checked, or the number of cores that this process may use."""
    if threads is not None:
        return integer("threads", threads, 1)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
