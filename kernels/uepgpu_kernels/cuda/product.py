"""Products of 32-bit words in one instruction each, which NVVM does not make of the bodies' arithmetic."""

from __future__ import annotations

from typing import Any

import numpy as np

from uepgpu_kernels.cuda.stage import simulated

__all__ = ["wide_product", "wide_sum"]


def _intrinsic(name: str, operands: int) -> Any:
    """Return the intrinsic of one PTX instruction on uint32 operands with a uint64 result; a third operand is uint64."""
    from llvmlite import ir
    from numba.cuda import types as known
    from numba.cuda.extending import intrinsic

    types: Any = known
    word, double = ir.IntType(32), ir.IntType(64)
    taken = [word, word, double][:operands]
    text = f"{name} " + ", ".join(f"${i}" for i in range(operands + 1)) + ";"
    letters = ",".join(["=l", "r", "r", "l"][: operands + 1])

    def code(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.call(ir.InlineAsm(ir.FunctionType(double, taken), text, letters), arguments)

    # Types are asked for when something is compiled: Numba without numba-cuda, which loads this too, has none.
    def of_two(context: Any, a: Any, b: Any) -> Any:
        return types.uint64(types.uint32, types.uint32), code

    def of_three(context: Any, a: Any, b: Any, c: Any) -> Any:
        return types.uint64(types.uint32, types.uint32, types.uint64), code

    return intrinsic(of_two if operands == 2 else of_three)


wide_product: Any
"""``(a, b) -> a·b`` of uint32, as uint64."""
wide_sum: Any
"""``(a, b, c) -> a·b + c`` of uint32 and a uint64."""
if simulated:
    wide_product = lambda a, b: np.uint64(a) * np.uint64(b)  # noqa: E731
    wide_sum = lambda a, b, c: np.uint64(a) * np.uint64(b) + c  # noqa: E731
else:
    wide_product, wide_sum = _intrinsic("mul.wide.u32", 2), _intrinsic("mad.wide.u32", 3)
