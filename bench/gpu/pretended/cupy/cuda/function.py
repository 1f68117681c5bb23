"""Modules and functions: machine code as for a device, which the simulator runs from its source."""

from __future__ import annotations

import atexit
import ctypes
import functools
import os
import pickle
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np

from uepgpu_kernels.cuda import cubin, memory
from uepgpu_kernels.cuda.ptx import signature_of

_kernels: dict[bytes, tuple[str, Any]] = {}
"""Which kernel a piece of machine code is of: what a device needs not know."""


COMPILES = os.environ.get("UEPGPU_PRETENDED_CODE", "1") != "0"
"""Whether there is machine code: a test that is in a hurry does without."""


def _no_code(kernel: Any) -> cubin.Kept:
    return cubin.Kept(cubin.Cubin("kernel", f"\x7fELF, no code of the kernel {kernel}".encode()), found=True)


def _remember(build: Any) -> Any:
    @functools.wraps(build)
    def remembered(kernel: Any, *about: Any) -> cubin.Kept:
        kept: cubin.Kept = build(kernel, *about) if COMPILES else _no_code(kernel)
        if len(about) == 1:  # (shape, capability)
            what = ("shape", kernel, [kind for _, kind in signature_of(kernel)])
        else:  # (function, types, capability)
            what = ("function", (kernel.__module__, kernel.__name__), [_nested(kind) for kind in about[0]])
        _kernels[kept.cubin.code] = what
        return kept

    return remembered


memory.shape_cubin = _remember(cubin.shape_cubin)
memory.function_cubin = _remember(cubin.function_cubin)


class Module:
    def load(self, code: bytes) -> None:
        if code[:4] != b"\x7fELF":
            raise RuntimeError("CUDA_ERROR_INVALID_IMAGE: this is no machine code")
        self._code = code

    def get_function(self, name: str) -> Function:
        if name.encode() not in self._code:
            raise RuntimeError(f"CUDA_ERROR_NOT_FOUND: named symbol not found: {name}")
        return Function(self)


class Function:
    ptr = 0

    def __init__(self, module: Module) -> None:
        self._module = module
        self._kernel = _kernels[module._code]

    def __call__(self, grid: tuple[int, ...], block: tuple[int, ...], arguments: tuple[Any, ...]) -> None:
        which, kernel, kinds = self._kernel
        words = iter(arguments)
        taken = [_taken(kind, words) for kind in _flat(kinds)]
        if next(words, None) is not None:
            raise ValueError("a launch has more parameters than the machine code takes")
        for array, changed in zip(taken, _simulator().run(which, kernel, kinds, grid[0], block[0], taken), strict=True):
            if changed is not None:
                array[:] = changed


def _nested(kind: Any) -> Any:
    """Return Numba's name of a type; of a tuple with names, where its class is and the names of its fields' types."""
    made = getattr(kind, "instance_class", None)
    return str(kind) if made is None else ((made.__module__, made.__name__), [str(x) for x in kind.types])


def _flat(kinds: list[Any]) -> list[str]:
    return [name for kind in kinds for name in ([kind] if isinstance(kind, str) else kind[1])]


def _taken(kind: str, words: Any) -> Any:
    """Return the next argument of a kernel from the parameters of a launch."""
    if not kind.startswith("array("):
        word = next(words)
        if str(word.dtype) != kind:
            raise TypeError(f"a parameter must be {kind}, got {word.dtype}")
        return word
    dtype = np.dtype(kind.removeprefix("array(").partition(",")[0])
    nothing, none, entries, size, pointer = (int(next(words)) for _ in range(5))
    shape, strides = ([int(next(words)) for _ in range(_axes(kind))] for _ in range(2))
    array = np.frombuffer((ctypes.c_char * (entries * size)).from_address(pointer), dtype=dtype).reshape(shape)
    # What Numba's code reads, and an address that is one.
    if (nothing, none, size) != (0, 0, dtype.itemsize) or strides != list(array.strides) or entries == 0:
        raise ValueError(f"not the parameters of an {kind}")
    return array


def _axes(kind: str) -> int:
    """Return the number of axes that Numba's name of a type says."""
    return int(kind.split(", ")[1].removesuffix("d"))


class _Simulator:
    """A process of Numba's simulator: it must be chosen before Numba is imported."""

    def __init__(self) -> None:
        server = Path(__file__).parents[2] / "simulator.py"
        environment = {key: x for key, x in os.environ.items() if not key.startswith("NUMBA_")}
        environment |= {"NUMBA_ENABLE_CUDASIM": "1", "NUMBA_DISABLE_JIT": "1"}
        command = [sys.executable, str(server)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        self._alone = threading.Lock()
        atexit.register(self._end)

    def _end(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()

    def run(self, *launch: Any) -> list[Any]:
        """Run a launch; return what each argument has become, None where it is as before."""
        with self._alone:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            pickle.dump(launch, self._process.stdin)
            self._process.stdin.flush()
            found, error = pickle.load(self._process.stdout)
        if error:
            raise RuntimeError(f"CUDA_ERROR_LAUNCH_FAILED, in the simulator:\n{error}")
        return list(found)


@functools.cache
def _simulator() -> _Simulator:
    return _Simulator()
