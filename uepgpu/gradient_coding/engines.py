"""What runs a plan of gradient descent: Numba or NumPy."""

from __future__ import annotations

import os
from types import ModuleType

from uepgpu.backends import BACKENDS, BackendUnavailable
from uepgpu.checks import choice, integer

__all__ = ["ENGINES", "core_count", "find_engine"]

ENGINES = ("numba", "numpy")


def find_engine(backend: str) -> tuple[str, ModuleType]:
    """Return the name and the kernels of a backend; ``"auto"`` is Numba where it can be imported, else NumPy.

    Raises
    ------
    BackendUnavailable
        A named backend cannot run: ``"cuda"`` has no kernels of gradient descent.
    """
    choice("backend", backend, ("auto", *BACKENDS))
    if backend == "cuda":
        raise BackendUnavailable(
            "backend 'cuda' cannot run gradient descent, which has no device kernels yet: use backend='numba', on all CPU cores"
        )
    name = backend
    if backend == "auto":
        name = next(engine for engine in ENGINES if BACKENDS[engine].unavailable() is None)
    if reason := BACKENDS[name].unavailable():
        raise BackendUnavailable(f"backend {name!r} cannot run: {reason}")
    if name == "numba":
        from uepgpu_kernels.cpu import descent as compiled

        return name, compiled
    from uepgpu_kernels.reference import descent as reference

    return name, reference


def core_count(threads: int | None) -> int:
    """Return `threads`, checked, or the number of cores that this process may use."""
    if threads is not None:
        return integer("threads", threads, 1)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
