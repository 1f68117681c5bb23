"""A CuPy that is pretended, for :mod:`bench.gpu` on machines without a device: nothing that it says is of a GPU.

It is as strict as CuPy: host arrays and device arrays do not mix, nothing goes to the host but by ``asnumpy``, and memory can
run out. Arrays are NumPy's inside. Kernels are compiled to machine code as for a device; launches take that code's parameters
and run it in Numba's simulator. Streams are a queue that never waits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cupy import arrays as _arrays
from cupy import cuda as cuda
from cupy.arrays import ndarray as ndarray

PRETENDED = True

_KNOWN = (
    *(
        "abs",
        "any",
        "argsort",
        "broadcast_to",
        "concat",
        "exp",
        "full_like",
        "isfinite",
        "log1p",
        "matmul",
        "max",
        "maximum",
        "mean",
    ),
    *("permute_dims", "reshape", "sqrt", "stack", "sum", "take", "tanh", "where", "zeros_like"),
)
"""Functions of the array API standard that the library calls."""


def asarray(array: Any, dtype: Any = None) -> ndarray:
    """Copy to the device, unless it is there."""
    if isinstance(array, ndarray) and dtype in (None, array.dtype):
        return array
    return ndarray(np.array(_arrays.inside(array) if isinstance(array, ndarray) else array, dtype=dtype, order="K"))


def asnumpy(array: Any) -> Any:
    """Copy to the host."""
    return np.array(_arrays.inside(array))


def zeros(shape: Any, dtype: Any = float) -> ndarray:
    return ndarray(np.zeros(shape, dtype=dtype))


def empty(shape: Any, dtype: Any = float) -> ndarray:
    return ndarray(np.full(shape, 113, dtype=dtype))  # whoever reads it unwritten is wrong


class _Pool:
    def free_all_blocks(self) -> None:
        """Release nothing: nothing is kept."""


def get_default_memory_pool() -> _Pool:
    return _Pool()


def __getattr__(name: str) -> Any:
    if name in _KNOWN:
        return _arrays.on_device(getattr(np, name))
    if isinstance(found := getattr(np, name, None), type) and issubclass(found, np.generic):
        return found  # a type of entries
    raise AttributeError(f"the pretended CuPy has no {name!r}")
