"""Device memory and streams, through CuPy; NumPy's under the simulator."""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uepgpu_kernels.cuda.cubin import Cubin, function_cubin, shape_cubin
from uepgpu_kernels.cuda.kernel import kernel_of
from uepgpu_kernels.cuda.shape import Shape
from uepgpu_kernels.cuda.stage import kernel as numba_kernel
from uepgpu_kernels.cuda.stage import simulated

__all__ = ["Memory", "device_count", "flat_arguments", "is_out_of_memory", "memory_of"]

OUT_OF_MEMORY = 2
"""CUDA_ERROR_OUT_OF_MEMORY of the driver, and cudaErrorMemoryAllocation of the runtime."""

FUNCTION_ATTRIBUTES = {"shared_bytes": 1, "local_bytes": 3, "registers": 4}
"""CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, _LOCAL_SIZE_BYTES and _NUM_REGS."""

_modules: dict[tuple[int, object], tuple[Any, Any]] = {}
"""Modules and functions on devices, by device and kernel; a context lives as long as the process."""

_loading = threading.Lock()
"""Two threads must not compile one kernel twice."""


class Memory:
    """NumPy's memory, for the simulator."""

    processors = 32
    most_threads = 2

    @contextlib.contextmanager
    def chosen(self) -> Iterator[None]:
        """Make the device and its stream current."""
        yield

    def kernel(self, shape: Shape) -> Any:
        """Return the kernel of a shape, ready to be launched."""
        return kernel_of(shape)

    def function(self, function: Callable[..., None], types: tuple[Any, ...]) -> Any:
        """Return a kernel that has no shape, for arguments of these types."""
        return numba_kernel(function)

    def flat(self, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return arguments as a launch takes them: done once for what many launches share."""
        return arguments

    def launch(self, kernel: Any, blocks: int, threads: int, arguments: tuple[Any, ...]) -> None:
        """Queue a kernel on the stream, with flat arguments."""
        kernel[blocks, threads](*arguments)

    def resources(self, kernel: Any) -> dict[str, int]:
        """Return registers and bytes of local memory of a thread, and shared bytes of a block."""
        return {}

    def put(self, array: NDArray[Any]) -> Any:
        """Return a copy on the device. An array of no entries has no address there, so it gets one."""
        return array if array.size else np.zeros([max(1, n) for n in array.shape], dtype=array.dtype)

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
    """CuPy's memory and streams. Machine code is loaded by CuPy too, so that Numba compiles and never asks a driver."""

    def __init__(self, number: int) -> None:
        import cupy

        self.cupy: Any = cupy
        self.device: Any = cupy.cuda.Device(number)
        self.most_threads = int(self.device.attributes["MaxThreadsPerBlock"])
        self.processors = int(self.device.attributes["MultiProcessorCount"])
        digits = str(self.device.compute_capability)
        self.capability = int(digits[:-1]), int(digits[-1])
        with self.device:
            self.queue: Any = cupy.cuda.Stream(non_blocking=True)

    @contextlib.contextmanager
    def chosen(self) -> Iterator[None]:
        with self.device, self.queue:
            yield

    def kernel(self, shape: Shape) -> Any:
        return _loaded(self, ("shape", shape), lambda: shape_cubin(shape, self.capability).cubin)

    def function(self, function: Callable[..., None], types: tuple[Any, ...]) -> Any:
        return _loaded(self, (function, types), lambda: function_cubin(function, types, self.capability).cubin)

    def flat(self, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(flat_arguments(arguments))

    def launch(self, kernel: Any, blocks: int, threads: int, arguments: tuple[Any, ...]) -> None:
        _, function = kernel
        function((blocks,), (threads,), arguments)  # on the current stream

    def resources(self, kernel: Any) -> dict[str, int]:
        _, function = kernel
        ask = self.cupy.cuda.driver.funcGetAttribute
        return {name: int(ask(number, function.ptr)) for name, number in FUNCTION_ATTRIBUTES.items()}

    def put(self, array: NDArray[Any]) -> Any:
        return self.cupy.asarray(np.ascontiguousarray(super().put(array)))  # CuPy keeps the order that it finds

    def zeros(self, size: int, dtype: Any) -> Any:
        return self.cupy.zeros(size, dtype=dtype)

    def get(self, array: Any) -> NDArray[Any]:
        host: NDArray[Any] = self.cupy.asnumpy(array)
        return host

    def free(self) -> int:
        return int(self.device.mem_info[0])

    def release(self) -> None:
        self.cupy.get_default_memory_pool().free_all_blocks()


def _loaded(memory: _Device, key: object, machine_code: Callable[[], Cubin]) -> Any:
    """Return (module, function) of a kernel on a device, loaded once; the module must live as long as the function."""
    with _loading:
        held = _modules.get((memory.device.id, key))
        if held is None:
            entry, code = machine_code()
            with memory.chosen():
                module = memory.cupy.cuda.function.Module()
                module.load(code)
                held = _modules[memory.device.id, key] = module, module.get_function(entry)
    return held


def flat_arguments(arguments: Iterable[Any]) -> Iterator[Any]:
    """Give the parameters of compiled code: scalars, of an array what Numba's code reads, of a tuple its fields."""
    for argument in arguments:
        if isinstance(argument, tuple):
            yield from flat_arguments(argument)
        elif isinstance(argument, np.generic):
            yield argument
        else:
            word = np.int64
            size, shape = argument.dtype.itemsize, argument.shape
            yield from (word(0), word(0), word(argument.size), word(size), word(argument.data.ptr))
            yield from (word(n) for n in shape)
            yield from (word(size * math.prod(shape[axis + 1 :])) for axis in range(len(shape)))


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
    """Return whether an error of CuPy says that device memory is short."""
    if isinstance(error, MemoryError):  # CuPy's OutOfMemoryError is one
        return True
    code = getattr(error, "status", None)
    return type(error).__name__ in ("CUDARuntimeError", "CUDADriverError") and code == OUT_OF_MEMORY
