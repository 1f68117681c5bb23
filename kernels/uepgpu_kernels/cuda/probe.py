"""Whether a device answers: the driver, then one tiny kernel there and back."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from uepgpu_kernels.cuda.cubin import Kept, function_cubin
from uepgpu_kernels.cuda.memory import Memory, memory_of
from uepgpu_kernels.cuda.stage import cuda

__all__ = ["answers", "describe", "probe_cubin", "silence"]


typeof: Any = numba.typeof
TYPES = (typeof(np.zeros(1, dtype=np.int64)),)


def _count(x: Any) -> None:
    i = cuda.grid(1)
    if i < x.size:
        x[i] += i


def probe_cubin(capability: tuple[int, int]) -> Kept:
    """Return the machine code of the test kernel."""
    return function_cubin(_count, TYPES, capability)


def silence() -> str | None:
    """Return why no device answers, or None if one does."""
    import cupy

    # Everything else raises where there is no driver.
    if not cupy.cuda.is_available():
        return "no CUDA device answers (no NVIDIA driver, or no device that this process may use): install the driver"
    if not answers(memory_of(0)):
        return "a CUDA device is there, but a test kernel returned wrong numbers"
    return None


def answers(memory: Memory) -> bool:
    """Return whether a device computes: sent, launched and read on one stream, so that nothing is read too early."""
    with memory.chosen():
        sent = memory.put(np.ones(33, dtype=np.int64))
        memory.launch(memory.function(_count, TYPES), 2, 32, memory.flat((sent,)))
        return bool(memory.get(sent).tolist() == list(range(1, 34)))


def describe() -> list[str]:
    """Return a line per device: name, compute capability, memory, multiprocessors, driver. Needs a device that answers."""
    import cupy

    runtime = cupy.cuda.runtime
    driver = runtime.driverGetVersion()
    lines = []
    for number in range(runtime.getDeviceCount()):
        found = runtime.getDeviceProperties(number)
        name = found["name"].decode() if isinstance(found["name"], bytes) else str(found["name"])
        lines.append(
            f"{name}, compute capability {found['major']}.{found['minor']}, {found['totalGlobalMem'] / 2**30:.1f} GiB, "
            f"{found['multiProcessorCount']} multiprocessors, driver for CUDA {driver // 1000}.{driver % 1000 // 10}"
        )
    return lines
