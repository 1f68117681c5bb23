"""What steps on vectors of bits are built from: LLVM instructions that load, store and join vectors, and loops over rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from uepgpu_kernels.cpu.plain_vectors import WORDS

__all__ = ["NOTHING", "VECTOR", "WORD", "any_bit", "compiled", "each", "load", "or_all", "store"]

WORD = ir.IntType(64)
VECTOR = ir.VectorType(WORD, WORDS)
NOTHING = ir.Constant(VECTOR, [0] * WORDS)

Write = Callable[..., Any]

# Numba reads the number of arguments off the function.
_ARITIES: dict[int, Callable[[Any], Any]] = {
    2: lambda f: lambda t, a, b: f(a, b),
    5: lambda f: lambda t, a, b, c, d, e: f(a, b, c, d, e),
    7: lambda f: lambda t, a, b, c, d, e, g, h: f(a, b, c, d, e, g, h),
    4: lambda f: lambda t, a, b, c, d: f(a, b, c, d),
    6: lambda f: lambda t, a, b, c, d, e, g: f(a, b, c, d, e, g),
    9: lambda f: lambda t, a, b, c, d, e, g, h, i, j: f(a, b, c, d, e, g, h, i, j),
    8: lambda f: lambda t, a, b, c, d, e, g, h, i: f(a, b, c, d, e, g, h, i),
}


def compiled(kinds: str, write: Write, result: Any = types.none) -> Any:
    """Return the step that `write(builder, *arguments)` builds: a letter an argument, "a" an array, which its place follows.

    Where the result is a boolean, `write` returns a vector, and the step whether any bit of it is set.
    """

    def typed(*given: Any) -> Any:
        wanted = [a if kind == "a" else types.intp for a, kind in zip(given, kinds, strict=True)]

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            seen: list[Any] = []
            for i, kind in enumerate(kinds):
                if kind == "a":
                    array = context.make_array(signature.args[i])(context, builder, arguments[i])
                    seen.append(builder.gep(array.data, [arguments[i + 1]]))
                elif i == 0 or kinds[i - 1] != "a":
                    seen.append(arguments[i])
            found = write(builder, *seen)
            return context.get_dummy_value() if found is None else any_bit(builder, found)

        return result(*wanted), generate

    return intrinsic(_ARITIES[len(kinds)](typed))


def load(builder: Any, place: Any, plane: int = 0) -> Any:
    """Load a plane of the element at a place."""
    place = builder.gep(place, [ir.Constant(WORD, plane * WORDS)])
    return builder.load(builder.bitcast(place, VECTOR.as_pointer()), align=8)


def store(builder: Any, value: Any, place: Any, plane: int = 0) -> None:
    """Store a plane of the element at a place."""
    place = builder.gep(place, [ir.Constant(WORD, plane * WORDS)])
    builder.store(value, builder.bitcast(place, VECTOR.as_pointer()), align=8)


def any_bit(builder: Any, vector: Any) -> Any:
    """Return whether any bit of a vector is set."""
    kind = ir.FunctionType(WORD, [VECTOR])
    joined = builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.vector.reduce.or.v{WORDS}i64"), [vector])
    return builder.icmp_unsigned("!=", joined, ir.Constant(WORD, 0))


def or_all(builder: Any, vectors: list[Any]) -> Any:
    """Return the bits that any of the vectors has."""
    total = vectors[0]
    for x in vectors[1:]:
        total = builder.or_(total, x)
    return total


@contextmanager
def each(builder: Any, n: Any, *rows: tuple[Any, int]) -> Iterator[list[Any]]:
    """Loop over n elements of rows, given with their planes; yield the places of each."""
    with cgutils.for_range(builder, n) as loop:
        yield [builder.gep(at, [builder.mul(loop.index, ir.Constant(WORD, planes * WORDS))]) for at, planes in rows]
