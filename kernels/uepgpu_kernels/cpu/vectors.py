"""Vectors of bits: one bit of each of 512 realizations, and elements of GF(2) and GF(256) made of 1 and 8 such vectors.

An element is `planes` vectors, bit i of all lanes in the i-th; a row of elements lies one after the other in a flat uint64
array, and a step takes arrays with the place of their first word. Lane 64 m + 8 v + b is bit 8 b + m of word v: with this order
eight rows of words of bytes become eight vectors when bits m of bytes change places with rows m.

A compiler cannot know that rows do not overlap, so that loops over words would stay scalar: steps are written in LLVM's own
vectors, which it fits to any processor. Each step has a twin in NumPy, for kernels that Python itself runs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils

from uepgpu_kernels.cpu import plain_vectors
from uepgpu_kernels.cpu.plain_vectors import WORDS
from uepgpu_kernels.cpu.vector_builder import NOTHING, VECTOR, WORD, compiled, each, load, or_all, store

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
    "lone",
    "meet",
    "reveal",
    "slice_bytes",
    "steps_of",
]

LANES = 64 * WORDS

PLAIN = bool(getattr(numba.config, "DISABLE_JIT", 0))
SQUARES = (0x01, 0x04, 0x10, 0x40, 0x1B, 0x6C, 0xAB, 0x9A)
"""x^(2i) modulo x^8 + x^4 + x^3 + x + 1."""


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
        return [load(builder, at, k) for k in range(planes)]

    def write(builder: Any, value: list[Any], at: Any) -> None:
        for k, x in enumerate(value):
            store(builder, x, at, k)

    def add_multiple(builder: Any, row: Any, factor: Any, other: Any, n: Any) -> None:
        multiples = _multiples(builder, read(builder, factor))
        with each(builder, n, (row, planes), (other, planes)) as (mine, its):
            write(builder, _product(builder, multiples, lambda i: load(builder, its, i), read(builder, mine)), mine)

    def scale(builder: Any, row: Any, factor: Any, n: Any) -> None:
        multiples = _multiples(builder, read(builder, factor))
        with each(builder, n, (row, planes)) as (mine,):
            write(builder, _product(builder, multiples, lambda i: load(builder, mine, i), [NOTHING] * planes), mine)

    def select(builder: Any, element: Any, mask: Any, row: Any, n: Any) -> None:
        total = [cgutils.alloca_once_value(builder, NOTHING) for _ in range(planes)]
        for t in total:
            builder.store(NOTHING, t)
        with each(builder, n, (mask, 1), (row, planes)) as (chosen, mine):
            bit = load(builder, chosen)
            for k, t in enumerate(total):
                builder.store(builder.xor(builder.load(t), builder.and_(bit, load(builder, mine, k))), t)
        write(builder, [builder.load(t) for t in total], element)

    def undecoded(builder: Any, vector: Any, row: Any, pivot: Any, used: Any, n: Any) -> None:
        found = cgutils.alloca_once_value(builder, NOTHING)
        builder.store(builder.not_(load(builder, pivot)), found)
        with each(builder, n, (row, planes)) as (mine,):
            builder.store(or_all(builder, [builder.load(found), *read(builder, mine)]), found)
        store(builder, builder.and_(builder.load(found), load(builder, used)), vector)

    def split(builder: Any, element: Any, mask: Any, out: Any) -> Any:
        whole, chosen = read(builder, element), load(builder, mask)
        inside = [builder.and_(x, chosen) for x in whole]
        write(builder, inside, out)
        write(builder, [builder.xor(x, y) for x, y in zip(whole, inside, strict=True)], element)
        return or_all(builder, inside)

    def first(builder: Any, vector: Any, element: Any, found: Any) -> Any:
        here, before = or_all(builder, read(builder, element)), load(builder, found)
        new = builder.and_(here, builder.not_(before))
        store(builder, builder.or_(before, here), found)
        store(builder, new, vector)
        return new

    def enter(builder: Any, element: Any, vector: Any, pivot: Any) -> Any:
        whole, new = read(builder, element), load(builder, vector)
        whole[0] = builder.or_(whole[0], new)
        store(builder, whole[0], element)
        store(builder, builder.or_(load(builder, pivot), new), pivot)
        return or_all(builder, whole)

    def invert(builder: Any, element: Any) -> None:
        if planes > 1:
            write(builder, _invert(builder, read(builder, element)), element)

    return Steps(
        compiled("aiaiaii", add_multiple),
        compiled("aiaii", scale),
        compiled("aiaiaii", select),
        compiled("ai", invert),
        compiled("aiaiai", split, types.boolean),
        compiled("aiaiai", first, types.boolean),
        compiled("aiaiai", enter, types.boolean),
        compiled("aiaiaiaii", undecoded),
    )


def _lost(builder: Any, counts: Any, old: Any, new: Any, i: Any, n: Any) -> None:
    module, suffix = builder.module, f"v{WORDS}i64"
    ones = cgutils.get_or_insert_function(module, ir.FunctionType(VECTOR, [VECTOR]), f"llvm.ctpop.{suffix}")
    total = cgutils.get_or_insert_function(module, ir.FunctionType(WORD, [VECTOR]), f"llvm.vector.reduce.add.{suffix}")
    own_before = load(builder, builder.gep(old, [builder.mul(i, ir.Constant(WORD, WORDS))]))
    own_after = load(builder, builder.gep(new, [builder.mul(i, ir.Constant(WORD, WORDS))]))

    def lost(j: Any) -> Any:
        step = builder.mul(j, ir.Constant(WORD, WORDS))
        before = builder.and_(own_before, load(builder, builder.gep(old, [step])))
        after = builder.and_(own_after, load(builder, builder.gep(new, [step])))
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
    vectors = [load(builder, row, m) for m in range(8)]
    for shift, pattern in ((1, 0x5555555555555555), (2, 0x3333333333333333), (4, 0x0F0F0F0F0F0F0F0F)):
        by, mask = (ir.Constant(VECTOR, [x] * WORDS) for x in (shift, pattern))
        for m in range(8):
            if m & shift == 0:
                low, high = vectors[m], vectors[m + shift]
                moved = builder.and_(builder.xor(builder.lshr(low, by), high), mask)
                vectors[m], vectors[m + shift] = builder.xor(low, builder.shl(moved, by)), builder.xor(high, moved)
    for m, vector in enumerate(vectors):
        store(builder, vector, out, m)


def _count(builder: Any, vector: Any, row: Any) -> None:
    bits, ones = load(builder, vector), ir.Constant(VECTOR, [0x0101010101010101] * WORDS)
    for m in range(8):
        shifted = builder.lshr(bits, ir.Constant(VECTOR, [m] * WORDS))
        store(builder, builder.add(load(builder, row, m), builder.and_(shifted, ones)), row, m)


def _meet(builder: Any, out: Any, a: Any, b: Any) -> Any:
    value = builder.and_(load(builder, a), load(builder, b))
    store(builder, value, out)
    return value


def _less(builder: Any, out: Any, a: Any, b: Any) -> Any:
    value = builder.and_(load(builder, a), builder.not_(load(builder, b)))
    store(builder, value, out)
    return value


def _join(builder: Any, out: Any, a: Any) -> Any:
    value = builder.or_(load(builder, out), load(builder, a))
    store(builder, value, out)
    return value


def _copy(builder: Any, out: Any, a: Any, n: Any) -> None:
    with each(builder, n, (out, 1), (a, 1)) as (to, of):
        store(builder, load(builder, of), to)


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


def _lone(builder: Any, found: Any, row: Any, open_: Any, n: Any) -> Any:
    once, twice = (cgutils.alloca_once_value(builder, NOTHING) for _ in range(2))
    for total in (once, twice):
        builder.store(NOTHING, total)
    with each(builder, n, (row, 1), (open_, 1)) as (member, unknown):
        here, before = builder.and_(load(builder, member), load(builder, unknown)), builder.load(once)
        builder.store(builder.or_(builder.load(twice), builder.and_(before, here)), twice)
        builder.store(builder.or_(before, here), once)
    single = builder.and_(builder.load(once), builder.not_(builder.load(twice)))
    store(builder, single, found)
    store(builder, builder.load(twice), found, 1)
    return single


def _reveal(builder: Any, open_: Any, row: Any, vector: Any, n: Any) -> None:
    single = load(builder, vector)
    with each(builder, n, (row, 1), (open_, 1)) as (member, unknown):
        store(builder, builder.and_(load(builder, unknown), builder.not_(builder.and_(load(builder, member), single))), unknown)


def _differ(builder: Any, a: Any, b: Any) -> Any:
    return builder.xor(load(builder, a), load(builder, b))


count_lost = plain_vectors.count_lost if PLAIN else compiled("aiaiaiii", _lost)
"""(counts, at, old, at, new, at, i, n): counts[j] += lanes with vectors i and j of `old` set, and not both of `new`; j < n."""
slice_bytes = plain_vectors.slice_bytes if PLAIN else compiled("aiai", _slice)
"""(row, at, out, at): the eight vectors of the bits of a row of bytes, which is seen as 64 words."""
count_set = plain_vectors.count_set if PLAIN else compiled("aiai", _count)
"""(vector, at, row, at): adds each lane's bit to its byte of a row, which is seen as 64 words. No byte may pass 255."""
meet = plain_vectors.meet if PLAIN else compiled("aiaiai", _meet, types.boolean)
"""(out, at, a, at, b, at) -> any: out = a and b."""
less = plain_vectors.less if PLAIN else compiled("aiaiai", _less, types.boolean)
"""(out, at, a, at, b, at) -> any: out = a and not b."""
join = plain_vectors.join if PLAIN else compiled("aiai", _join, types.boolean)
"""(out, at, a, at) -> any: out = out or a."""
differ = plain_vectors.differ if PLAIN else compiled("aiai", _differ, types.boolean)
"""(a, at, b, at) -> whether two vectors differ."""
later = plain_vectors.later if PLAIN else compiled("aiiai", _later)
"""(row, at, time, out, at): a vector of the lanes whose 16-bit time is later; here lane 64 v + b is bit b of word v."""
copy = plain_vectors.copy if PLAIN else compiled("aiaii", _copy)
"""(out, at, a, at, n): n vectors. Numba's own assignment of slices takes seconds to compile."""
lone = plain_vectors.lone if PLAIN else compiled("aiaiaii", _lone, types.boolean)
"""(found, at, row, at, open, at, n) -> any of the first: two vectors, where one of n members is open, and where several are."""
reveal = plain_vectors.reveal if PLAIN else compiled("aiaiaii", _reveal)
"""(open, at, row, at, vector, at, n): n members are open no more where the vector says."""
