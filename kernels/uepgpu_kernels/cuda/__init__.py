"""The CUDA target: kernels of the same bodies, launched through numba.cuda, with CuPy for memory and streams.

Nothing here is imported before a device is asked for. Only this package may import numba.cuda and cupy.
"""

from __future__ import annotations

from uepgpu_kernels.cuda.choose import shape_of
from uepgpu_kernels.cuda.cubin import capability_of, shape_cubin
from uepgpu_kernels.cuda.descent_draws import DescentDraws, draws_cubin
from uepgpu_kernels.cuda.memory import device_count
from uepgpu_kernels.cuda.probe import describe, probe_cubin
from uepgpu_kernels.cuda.ptx import VARIANTS, compile_ptx, compile_shape
from uepgpu_kernels.cuda.run import MOST_AT_ONCE, Prepared, prepare
from uepgpu_kernels.cuda.shape import MOST_ELIMINATED, MOST_SUBPRODUCTS, Shape
from uepgpu_kernels.cuda.squares import squares_cubin
from uepgpu_kernels.cuda.tables import Tables, make_tables

__all__ = [
    "MOST_AT_ONCE",
    "MOST_ELIMINATED",
    "MOST_SUBPRODUCTS",
    "VARIANTS",
    "DescentDraws",
    "Prepared",
    "Shape",
    "Tables",
    "capability_of",
    "compile_ptx",
    "compile_shape",
    "describe",
    "device_count",
    "draws_cubin",
    "make_tables",
    "prepare",
    "probe_cubin",
    "shape_cubin",
    "shape_of",
    "squares_cubin",
]
