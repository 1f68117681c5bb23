"""Vectors of bits: one bit of each of 512 realizations, and elements of GF(2) and GF(256) made of 1 and 8 such vectors.

An element is `planes` vectors, bit i of all lanes in the i-th; a row of elements lies one after the other in a flat uint64
array, and a step takes arrays with the place of their first word. Lane 64 m + 8 v + b is bit 8 b + m of word v: with this order
eight rows of words of bytes become eight vectors when bits m of bytes change places with rows m.

A compiler cannot know that rows do not overlap, so that loops over words would stay scalar: steps are written in LLVM's own
vectors, which it fits to any processor. Each step has a twin in NumPy, for kernels that Python itself runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from uepgpu_kernels.cpu import plain_vectors
from uepgpu_kernels.cpu.plain_vectors import WORDS

__all__ = [
    "LANES",
    "WORDS",
    "Steps",
    "copy",
    "count_lost",
    "count_set",
    "differ",
    "join",
    "later",
    "less",
    "meet",
    "slice_bytes",
    "steps_of",
]

LANES = 64 * WORDS

PLAIN = bool(getattr(numba.config, "DISABLE_JIT", 0))
WORD = ir.IntType(64)
VECTOR = ir.VectorType(WORD, WORDS)
NOTHING = ir.Constant(VECTOR, [0] * WORDS)
SQUARES = (0x01, 0x04, 0x10, 0x40, 0x1B, 0x6C, 0xAB, 0x9A)
"""x^(2i) modulo x^8 + x^4 + x^3 + x + 1."""

Write = Callable[..., Any]


class Steps(NamedTuple):
    """Steps on rows of elements. Arrays come with the place of a word, lengths are in elements."""

    add_multiple: Any  # (row, at, factor, at, other, at, n): row[j] += factor·other[j]
    scale: Any  # (row, at, factor, at, n): row[j] *= factor
    select: Any  # (element, at, mask, at, row, at, n): the sum of row[j] over j where mask[j], a vector each, is set
    invert: Any  # (element, at): becomes 1/element, and 0 where it is 0
    split: Any  # (element, at, mask, at, out, at) -> any: what the mask has of an element goes to `out`, what it has not stays
    first: Any  # (vector, at, element, at, found, at) -> any: where an element is not 0 and nothing was found, which it joins
    enter: Any  # (element, at, vector, at, pivot, at) -> any of the element: a vector joins its lowest plane, and the pivots
    undecoded: Any  # (vector, at, row, at, pivot, at, used, at, n): lanes in use without a pivot, or with some of n elements not 0


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


def _compiled(kinds: str, write: Write, result: Any = types.none) -> Any:
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
            return context.get_dummy_value() if found is None else _any(builder, found)

        return result(*wanted), generate

    return intrinsic(_ARITIES[len(kinds)](typed))


def _load(builder: Any, place: Any, plane: int = 0) -> Any:
    place = builder.gep(place, [ir.Constant(WORD, plane * WORDS)])
    return builder.load(builder.bitcast(place, VECTOR.as_pointer()), align=8)


def _store(builder: Any, value: Any, place: Any, plane: int = 0) -> None:
    place = builder.gep(place, [ir.Constant(WORD, plane * WORDS)])
    builder.store(value, builder.bitcast(place, VECTOR.as_pointer()), align=8)


def _any(builder: Any, vector: Any) -> Any:
    kind = ir.FunctionType(WORD, [VECTOR])
    joined = builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.vector.reduce.or.v{WORDS}i64"), [vector])  # type: ignore[no-untyped-call]
    return builder.icmp_unsigned("!=", joined, ir.Constant(WORD, 0))


def _or_all(builder: Any, vectors: list[Any]) -> Any:
    total = vectors[0]
    for x in vectors[1:]:
        total = builder.or_(total, x)
    return total


@contextmanager
def _each(builder: Any, n: Any, *rows: tuple[Any, int]) -> Iterator[list[Any]]:
    """Loop over n elements of rows, given with their planes; yield the places of each."""
    with cgutils.for_range(builder, n) as loop:
        yield [builder.gep(at, [builder.mul(loop.index, ir.Constant(WORD, planes * WORDS))]) for at, planes in rows]


def _multiples(builder: Any, f: list[Any]) -> list[list[Any]]:
    """Return the planes of f, x·f, x²·f and so on."""
    found = [f]
    for _ in range(len(f) - 1):
        top = f[7]
        f = [top, builder.xor(f[0], top), f[1], builder.xor(f[2], top), builder.xor(f[3], top), *f[4:7]]
        found.append(f)
    return found


def _product(builder: Any, multiples: list[list[Any]], other: Callable[[int], Any], total: list[Any]) -> list[Any]:
    """Return the planes of total + f·other, from the multiples of f."""
    for i, multiple in enumerate(multiples):
        bit = other(i)
        total = [builder.xor(t, builder.and_(m, bit)) for t, m in zip(total, multiple, strict=True)]
    return total


def _square(builder: Any, f: list[Any]) -> list[Any]:
    result = [NOTHING] * 8
    for i, power in enumerate(SQUARES):
        result = [builder.xor(r, f[i]) if power >> k & 1 else r for k, r in enumerate(result)]
    return result


def _invert(builder: Any, f: list[Any]) -> list[Any]:
    """Return f^254."""

    def times(a: list[Any], b: list[Any]) -> list[Any]:
        return _product(builder, _multiples(builder, a), lambda i: b[i], [NOTHING] * 8)

    def squared(a: list[Any], n: int) -> list[Any]:
        for _ in range(n):
            a = _square(builder, a)
        return a

    second = squared(f, 1)
    twelfth = squared(times(second, f), 2)
    fifteenth = times(twelfth, times(second, f))
    return times(times(squared(fifteenth, 4), twelfth), second)


def steps_of(planes: int) -> Steps:
    """Return the steps of GF(2) (1 plane) or GF(256) (8 planes)."""
    if PLAIN:
        return Steps(*plain_vectors.plain_steps(planes))

    def read(builder: Any, at: Any) -> list[Any]:
        return [_load(builder, at, k) for k in range(planes)]

    def write(builder: Any, value: list[Any], at: Any) -> None:
        for k, x in enumerate(value):
            _store(builder, x, at, k)

    def add_multiple(builder: Any, row: Any, factor: Any, other: Any, n: Any) -> None:
        multiples = _multiples(builder, read(builder, factor))
        with _each(builder, n, (row, planes), (other, planes)) as (mine, its):
            write(builder, _product(builder, multiples, lambda i: _load(builder, its, i), read(builder, mine)), mine)

    def scale(builder: Any, row: Any, factor: Any, n: Any) -> None:
        multiples = _multiples(builder, read(builder, factor))
        with _each(builder, n, (row, planes)) as (mine,):
            write(builder, _product(builder, multiples, lambda i: _load(builder, mine, i), [NOTHING] * planes), mine)

    def select(builder: Any, element: Any, mask: Any, row: Any, n: Any) -> None:
        total = [cgutils.alloca_once_value(builder, NOTHING) for _ in range(planes)]  # type: ignore[no-untyped-call]
        for t in total:
            builder.store(NOTHING, t)
        with _each(builder, n, (mask, 1), (row, planes)) as (chosen, mine):
            bit = _load(builder, chosen)
            for k, t in enumerate(total):
                builder.store(builder.xor(builder.load(t), builder.and_(bit, _load(builder, mine, k))), t)
        write(builder, [builder.load(t) for t in total], element)

    def undecoded(builder: Any, vector: Any, row: Any, pivot: Any, used: Any, n: Any) -> None:
        found = cgutils.alloca_once_value(builder, NOTHING)  # type: ignore[no-untyped-call]
        builder.store(builder.not_(_load(builder, pivot)), found)
        with _each(builder, n, (row, planes)) as (mine,):
            builder.store(_or_all(builder, [builder.load(found), *read(builder, mine)]), found)
        _store(builder, builder.and_(builder.load(found), _load(builder, used)), vector)

    def split(builder: Any, element: Any, mask: Any, out: Any) -> Any:
        whole, chosen = read(builder, element), _load(builder, mask)
        inside = [builder.and_(x, chosen) for x in whole]
        write(builder, inside, out)
        write(builder, [builder.xor(x, y) for x, y in zip(whole, inside, strict=True)], element)
        return _or_all(builder, inside)

    def first(builder: Any, vector: Any, element: Any, found: Any) -> Any:
        here, before = _or_all(builder, read(builder, element)), _load(builder, found)
        new = builder.and_(here, builder.not_(before))
        _store(builder, builder.or_(before, here), found)
        _store(builder, new, vector)
        return new

    def enter(builder: Any, element: Any, vector: Any, pivot: Any) -> Any:
        whole, new = read(builder, element), _load(builder, vector)
        whole[0] = builder.or_(whole[0], new)
        _store(builder, whole[0], element)
        _store(builder, builder.or_(_load(builder, pivot), new), pivot)
        return _or_all(builder, whole)

    def invert(builder: Any, element: Any) -> None:
        if planes > 1:
            write(builder, _invert(builder, read(builder, element)), element)

    return Steps(
        _compiled("aiaiaii", add_multiple),
        _compiled("aiaii", scale),
        _compiled("aiaiaii", select),
        _compiled("ai", invert),
        _compiled("aiaiai", split, types.boolean),
        _compiled("aiaiai", first, types.boolean),
        _compiled("aiaiai", enter, types.boolean),
        _compiled("aiaiaiaii", undecoded),
    )


def _lost(builder: Any, counts: Any, old: Any, new: Any, i: Any, n: Any) -> None:
    module, suffix = builder.module, f"v{WORDS}i64"
    ones = cgutils.get_or_insert_function(module, ir.FunctionType(VECTOR, [VECTOR]), f"llvm.ctpop.{suffix}")  # type: ignore[no-untyped-call]
    total = cgutils.get_or_insert_function(module, ir.FunctionType(WORD, [VECTOR]), f"llvm.vector.reduce.add.{suffix}")  # type: ignore[no-untyped-call]
    own_before = _load(builder, builder.gep(old, [builder.mul(i, ir.Constant(WORD, WORDS))]))
    own_after = _load(builder, builder.gep(new, [builder.mul(i, ir.Constant(WORD, WORDS))]))

    def lost(j: Any) -> Any:
        step = builder.mul(j, ir.Constant(WORD, WORDS))
        before = builder.and_(own_before, _load(builder, builder.gep(old, [step])))
        after = builder.and_(own_after, _load(builder, builder.gep(new, [step])))
        return builder.call(ones, [builder.and_(before, builder.not_(after))])

    # Eight sums at once: halves of vectors are added pair by pair.
    eights = builder.lshr(n, ir.Constant(WORD, 3))
    with cgutils.for_range(builder, eights) as loop:
        first = builder.shl(loop.index, ir.Constant(WORD, 3))
        level = [lost(builder.add(first, ir.Constant(WORD, e))) for e in range(WORDS)]
        for width in (4, 2, 1):
            low = [x for s in range(0, WORDS, 2 * width) for x in (*range(s, s + width), *range(WORDS + s, WORDS + s + width))]
            high = [x + width for x in low]
            masks = [ir.Constant(ir.VectorType(ir.IntType(32), WORDS), m) for m in (low, high)]
            half = len(level) // 2
            level = [builder.add(*(builder.shuffle_vector(level[e], level[e + half], mask) for mask in masks)) for e in range(half)]
        at = builder.bitcast(builder.gep(counts, [first]), VECTOR.as_pointer())
        builder.store(builder.add(builder.load(at, align=8), level[0]), at, align=8)
    with cgutils.for_range(builder, n, start=builder.shl(eights, ir.Constant(WORD, 3))) as loop:
        at = builder.gep(counts, [loop.index])
        builder.store(builder.add(builder.load(at), builder.call(total, [lost(loop.index)])), at)


def _slice(builder: Any, row: Any, out: Any) -> None:
    vectors = [_load(builder, row, m) for m in range(8)]
    for shift, pattern in ((1, 0x5555555555555555), (2, 0x3333333333333333), (4, 0x0F0F0F0F0F0F0F0F)):
        by, mask = (ir.Constant(VECTOR, [x] * WORDS) for x in (shift, pattern))
        for m in range(8):
            if m & shift == 0:
                low, high = vectors[m], vectors[m + shift]
                moved = builder.and_(builder.xor(builder.lshr(low, by), high), mask)
                vectors[m], vectors[m + shift] = builder.xor(low, builder.shl(moved, by)), builder.xor(high, moved)
    for m, vector in enumerate(vectors):
        _store(builder, vector, out, m)


def _count(builder: Any, vector: Any, row: Any) -> None:
    bits, ones = _load(builder, vector), ir.Constant(VECTOR, [0x0101010101010101] * WORDS)
    for m in range(8):
        shifted = builder.lshr(bits, ir.Constant(VECTOR, [m] * WORDS))
        _store(builder, builder.add(_load(builder, row, m), builder.and_(shifted, ones)), row, m)


def _meet(builder: Any, out: Any, a: Any, b: Any) -> Any:
    value = builder.and_(_load(builder, a), _load(builder, b))
    _store(builder, value, out)
    return value


def _less(builder: Any, out: Any, a: Any, b: Any) -> Any:
    value = builder.and_(_load(builder, a), builder.not_(_load(builder, b)))
    _store(builder, value, out)
    return value


def _join(builder: Any, out: Any, a: Any) -> Any:
    value = builder.or_(_load(builder, out), _load(builder, a))
    _store(builder, value, out)
    return value


def _copy(builder: Any, out: Any, a: Any, n: Any) -> None:
    with _each(builder, n, (out, 1), (a, 1)) as (to, of):
        _store(builder, _load(builder, of), to)


def _later(builder: Any, row: Any, time: Any, out: Any) -> None:
    times = ir.VectorType(ir.IntType(16), 64)
    bound = builder.trunc(time, ir.IntType(16))
    bounds = ir.Constant(times, ir.Undefined)
    for i in range(64):
        bounds = builder.insert_element(bounds, bound, ir.Constant(ir.IntType(32), i))
    for v in range(WORDS):
        place = builder.gep(row, [ir.Constant(WORD, 64 * v)])
        found = builder.icmp_unsigned(">", builder.load(builder.bitcast(place, times.as_pointer()), align=2), bounds)
        builder.store(builder.bitcast(found, WORD), builder.gep(out, [ir.Constant(WORD, v)]))


def _differ(builder: Any, a: Any, b: Any) -> Any:
    return builder.xor(_load(builder, a), _load(builder, b))


count_lost = plain_vectors.count_lost if PLAIN else _compiled("aiaiaiii", _lost)
"""(counts, at, old, at, new, at, i, n): counts[j] += lanes with vectors i and j of `old` set, and not both of `new`; j < n."""
slice_bytes = plain_vectors.slice_bytes if PLAIN else _compiled("aiai", _slice)
"""(row, at, out, at): the eight vectors of the bits of a row of bytes, which is seen as 64 words."""
count_set = plain_vectors.count_set if PLAIN else _compiled("aiai", _count)
"""(vector, at, row, at): adds each lane's bit to its byte of a row, which is seen as 64 words. No byte may pass 255."""
meet = plain_vectors.meet if PLAIN else _compiled("aiaiai", _meet, types.boolean)
"""(out, at, a, at, b, at) -> any: out = a and b."""
less = plain_vectors.less if PLAIN else _compiled("aiaiai", _less, types.boolean)
"""(out, at, a, at, b, at) -> any: out = a and not b."""
join = plain_vectors.join if PLAIN else _compiled("aiai", _join, types.boolean)
"""(out, at, a, at) -> any: out = out or a."""
differ = plain_vectors.differ if PLAIN else _compiled("aiai", _differ, types.boolean)
"""(a, at, b, at) -> whether two vectors differ."""
later = plain_vectors.later if PLAIN else _compiled("aiiai", _later)
"""(row, at, time, out, at): a vector of the lanes whose 16-bit time is later; here lane 64 v + b is bit b of word v."""
copy = plain_vectors.copy if PLAIN else _compiled("aiaii", _copy)
"""(out, at, a, at, n): n vectors. Numba's own assignment of slices takes seconds to compile."""
