"""What runs a plan of gradient descent: Numba, NumPy, or a device."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from uepgpu.backends import find_place, get_backend, usable_cores
from uepgpu.checks import thread_count
from uepgpu.gradient_coding.device import DeviceKernels
from uepgpu_kernels.descent_job import DescentJob

__all__ = ["Kernels", "core_count", "find_engine", "host_kernels"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Kernels(Protocol):
    """What runs a plan: :mod:`uepgpu_kernels.cpu.descent` says what its functions do."""

    def descend(self, job: DescentJob, first: int, count: int, threads: int, /) -> Iterator[tuple[Floats, NDArray[np.uint32]]]:
        """Yield records of chunks of realizations, and the words of their last servers."""
        ...

    def follow(self, job: DescentJob, weight: Floats, /) -> Floats:
        """Return the record for given weights of blocks."""
        ...

    def decode(self, answered: Ints, left_null: Floats, particular: Floats, /) -> Floats:
        """Return decoding weights of patterns of answers."""
        ...

    def sketch(self, job: DescentJob, first: int, count: int, iterations: int, /) -> tuple[Ints, NDArray[np.uint32]]:
        """Return the copies of blocks received, and the last words."""
        ...


def find_engine(backend: str, *, without: Collection[str] = (), iterations: int | None = None) -> tuple[str, Kernels]:
    """Return the name and the kernels of a backend.

    Arguments are those of :func:`uepgpu.backends.get_backend`, for which each iteration of a realization is one.

    Raises
    ------
    BackendUnavailable
        A named backend cannot run.
    """
    place = find_place(backend, without=without, realizations=iterations)
    host = host_kernels(place.host.name)
    if not place.on_device:
        return place.name, host
    from uepgpu_kernels.cuda import DescentDraws

    return place.name, DeviceKernels(place, host, DescentDraws)


def host_kernels(backend: str) -> Any:
    """Return the kernels of a backend that runs on the host: ``"auto"``, ``"numba"`` or ``"numpy"``."""
    if get_backend(backend, without=("cuda",)).name == "numba":
        from uepgpu_kernels.cpu import descent as compiled

        return compiled
    from uepgpu_kernels.reference import descent as reference

    return reference


def core_count(threads: int | None) -> int:
    """Return `threads`, checked, or the number of cores that this process may use."""
    if threads is not None:
        return thread_count(threads)
    return usable_cores()
