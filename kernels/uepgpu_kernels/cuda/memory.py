"""Device memory and streams, through CuPy; NumPy's under the simulator."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uepgpu_kernels.cuda.stage import cuda, simulated

__all__ = ["Memory", "device_count", "is_out_of_memory", "memory_of"]

OUT_OF_MEMORY = 2
"""CUDA_ERROR_OUT_OF_MEMORY of the driver, and cudaErrorMemoryAllocation of the runtime."""


class Memory:
    """NumPy's memory, for the simulator."""

    processors = 32
    most_threads = 2
    stream: Any = 0

    @contextlib.contextmanager
    def chosen(self) -> Iterator[None]:
        """Make the device and its stream current."""
        yield

    def launch(self, kernel: Any, blocks: int, threads: int, *arguments: Any) -> None:
        """Queue a kernel on the stream."""
        with warnings.catch_warnings():
            # Numba warns of grids below 128 blocks: few realizations are asked for, and there is nothing that a user could do.
            warnings.filterwarnings("ignore", message="Grid size")
            configured = kernel[blocks, threads, self.stream]
        configured(*arguments)

    def put(self, array: NDArray[Any]) -> Any:
        """Return a copy on the device. An array of no entries has no address there, so it gets one."""
        return array if array.size else np.zeros(1, dtype=array.dtype)

    def zeros(self, size: int, dtype: Any) -> Any:
        """Return zeros on the device."""
        return np.zeros(size, dtype=dtype)

    def get(self, array: Any) -> NDArray[Any]:
        """Wait for the stream and return a copy on the host."""
        host: NDArray[Any] = array
        return host

    def free(self) -> int:
        """Return the number of free bytes."""
        return 1 << 30

    def release(self) -> None:
        """Release unused blocks."""


class _Device(Memory):
    def __init__(self, number: int) -> None:
        import cupy

        self.cupy: Any = cupy
        self.device: Any = cupy.cuda.Device(number)
        self.most_threads = int(self.device.attributes["MaxThreadsPerBlock"])
        self.processors = int(self.device.attributes["MultiProcessorCount"])
        with self.device, cuda.gpus[number]:
            self.queue: Any = cupy.cuda.Stream(non_blocking=True)
            self.stream = cuda.external_stream(self.queue.ptr)

    @contextlib.contextmanager
    def chosen(self) -> Iterator[None]:
        # CuPy and Numba each have a current device; both use its primary context.
        with self.device, cuda.gpus[self.device.id], self.queue:
            yield

    def put(self, array: NDArray[Any]) -> Any:
        return self.cupy.asarray(super().put(array))

    def zeros(self, size: int, dtype: Any) -> Any:
        return self.cupy.zeros(size, dtype=dtype)

    def get(self, array: Any) -> NDArray[Any]:
        host: NDArray[Any] = self.cupy.asnumpy(array)
        return host

    def free(self) -> int:
        return int(self.device.mem_info[0])

    def release(self) -> None:
        self.cupy.get_default_memory_pool().free_all_blocks()


def memory_of(number: int) -> Memory:
    """Return the memory of a device."""
    return Memory() if simulated else _Device(number)


def device_count() -> int:
    """Return the number of devices."""
    if simulated:
        return 2
    import cupy

    return int(cupy.cuda.runtime.getDeviceCount())


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error of CuPy or Numba says that device memory is short."""
    if isinstance(error, MemoryError):  # CuPy's OutOfMemoryError is one
        return True
    if type(error).__name__ == "CUDAError":  # of cuda.core, which launches Numba's kernels; it has no code
        return str(error).startswith("CUDA_ERROR_OUT_OF_MEMORY")
    code = getattr(error, "code", getattr(error, "status", None))
    return type(error).__name__ in ("CudaAPIError", "CUDARuntimeError", "CUDADriverError") and code == OUT_OF_MEMORY
