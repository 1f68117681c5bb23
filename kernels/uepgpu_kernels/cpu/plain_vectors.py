"""The steps of :mod:`uepgpu_kernels.cpu.vectors` in NumPy, for kernels that Python itself runs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "WORDS",
    "copy",
    "count_lost",
    "count_set",
    "differ",
    "join",
    "later",
    "less",
    "lone",
    "meet",
    "plain_steps",
    "reveal",
    "slice_bytes",
]

WORDS = 8
"""64-bit words of a vector: the widest register there is."""

U64 = NDArray[np.uint64]


def _product(f: U64, g: U64) -> U64:
    """Return the product of elements (..., planes, WORDS): schoolbook, reduced by x^8 + x^4 + x^3 + x + 1 from the top."""
    planes = f.shape[-2]
    shape = np.broadcast_shapes(f.shape, g.shape)
    long = np.zeros((*shape[:-2], 2 * planes - 1, WORDS), dtype=np.uint64)
    for i in range(planes):
        for k in range(planes):
            long[..., i + k, :] ^= f[..., i, :] & g[..., k, :]
    for top in range(2 * planes - 2, planes - 1, -1):
        for lower in (4, 3, 1, 0):
            long[..., top - 8 + lower, :] ^= long[..., top, :]
    return long[..., :planes, :]


def plain_steps(planes: int) -> tuple[Callable[..., object], ...]:
    """Return the steps in the order of :class:`uepgpu_kernels.cpu.vectors.Steps`."""
    size = planes * WORDS

    def row_of(array: U64, at: int, n: int) -> U64:
        return array[at : at + n * size].reshape(n, planes, WORDS)

    def add_multiple(row: U64, at: int, factor: U64, fat: int, other: U64, oat: int, n: int) -> None:
        row_of(row, at, n)[:] ^= _product(row_of(factor, fat, 1), row_of(other, oat, n))

    def scale(row: U64, at: int, factor: U64, fat: int, n: int) -> None:
        row_of(row, at, n)[:] = _product(row_of(factor, fat, 1), row_of(row, at, n))

    def select(element: U64, at: int, mask: U64, mat: int, row: U64, rat: int, n: int) -> None:
        chosen = mask[mat : mat + n * WORDS].reshape(n, 1, WORDS)
        row_of(element, at, 1)[0] = np.bitwise_xor.reduce(row_of(row, rat, n) & chosen, axis=0)

    def invert(element: U64, at: int) -> None:
        f = row_of(element, at, 1)
        power = f
        for _ in range(6 if planes > 1 else 0):
            power = _product(_product(power, power), f)  # f^127 after six steps
        f[:] = _product(power, power) if planes > 1 else f

    def split(element: U64, at: int, mask: U64, mat: int, out: U64, oat: int) -> bool:
        inside = row_of(element, at, 1) & mask[mat : mat + WORDS]
        row_of(out, oat, 1)[:] = inside
        row_of(element, at, 1)[:] ^= inside
        return bool(inside.any())

    def first(vector: U64, at: int, element: U64, eat: int, found: U64, fat: int) -> bool:
        here, before = np.bitwise_or.reduce(row_of(element, eat, 1)[0], axis=0), found[fat : fat + WORDS]
        new = here & ~before
        vector[at : at + WORDS] = new
        before |= here
        return bool(new.any())

    def enter(element: U64, at: int, vector: U64, vat: int, pivot: U64, pat: int) -> bool:
        new = vector[vat : vat + WORDS]
        element[at : at + WORDS] |= new
        pivot[pat : pat + WORDS] |= new
        return bool(row_of(element, at, 1).any())

    def undecoded(vector: U64, at: int, row: U64, rat: int, pivot: U64, pat: int, used: U64, uat: int, n: int) -> None:
        found = np.bitwise_or.reduce(row_of(row, rat, n), axis=(0, 1)) | ~pivot[pat : pat + WORDS]
        vector[at : at + WORDS] = found & used[uat : uat + WORDS]

    return add_multiple, scale, select, invert, split, first, enter, undecoded


def count_lost(counts: NDArray[np.int64], at: int, old: U64, oat: int, new: U64, nat: int, i: int, n: int) -> None:
    """Do what :func:`uepgpu_kernels.cpu.vectors.count_lost` does."""

    def both(rows: U64, first: int) -> U64:
        mine = rows[first + i * WORDS : first + (i + 1) * WORDS]
        return rows[first : first + n * WORDS].reshape(n, WORDS) & mine

    counts[at : at + n] += np.bitwise_count(both(old, oat) & ~both(new, nat)).sum(axis=1, dtype=np.int64)


def slice_bytes(row: U64, at: int, out: U64, oat: int) -> None:
    """Write the eight vectors of a row of bytes."""
    byte = row[at : at + 8 * WORDS].view(np.uint8).reshape(8, WORDS, 8)  # lane 64 m + 8 v + b
    bits = np.unpackbits(byte[..., None], axis=3, bitorder="little")  # m, v, b, bit
    packed = np.packbits(bits.transpose(3, 1, 2, 0), axis=3, bitorder="little")
    out[oat : oat + 8 * WORDS] = np.ascontiguousarray(packed[..., 0]).view(np.uint64).ravel()


def count_set(vector: U64, at: int, row: U64, rat: int) -> None:
    """Add each lane's bit to its byte."""
    bits = np.unpackbits(vector[at : at + WORDS].view(np.uint8).reshape(WORDS, 8, 1), axis=2, bitorder="little")
    byte = row[rat : rat + 8 * WORDS].view(np.uint8).reshape(8, WORDS, 8)
    byte += bits.transpose(2, 0, 1)


def meet(out: U64, at: int, a: U64, aat: int, b: U64, bat: int) -> bool:
    """Write a and b."""
    out[at : at + WORDS] = a[aat : aat + WORDS] & b[bat : bat + WORDS]
    return bool(out[at : at + WORDS].any())


def less(out: U64, at: int, a: U64, aat: int, b: U64, bat: int) -> bool:
    """Write a and not b."""
    out[at : at + WORDS] = a[aat : aat + WORDS] & ~b[bat : bat + WORDS]
    return bool(out[at : at + WORDS].any())


def join(out: U64, at: int, a: U64, aat: int) -> bool:
    """Add a."""
    out[at : at + WORDS] |= a[aat : aat + WORDS]
    return bool(out[at : at + WORDS].any())


def differ(a: U64, at: int, b: U64, bat: int) -> bool:
    """Return whether vectors differ."""
    return bool((a[at : at + WORDS] != b[bat : bat + WORDS]).any())


def later(row: NDArray[np.uint16], at: int, time: int, out: U64, oat: int) -> None:
    """Write the lanes whose time is later."""
    packed = np.packbits(row[at : at + 64 * WORDS] > time, bitorder="little")
    out[oat : oat + WORDS] = packed.view("<u8")


def copy(out: U64, at: int, a: U64, aat: int, n: int) -> None:
    """Copy vectors."""
    out[at : at + n * WORDS] = a[aat : aat + n * WORDS]


def lone(found: U64, at: int, row: U64, rat: int, open_: U64, oat: int, n: int) -> bool:
    """Write where one member is open, and where several are."""
    here = row[rat : rat + n * WORDS].reshape(n, WORDS) & open_[oat : oat + n * WORDS].reshape(n, WORDS)
    once = np.bitwise_or.reduce(here, axis=0)
    twice = np.zeros(WORDS, dtype=np.uint64)
    for i in range(n):
        twice |= here[i] & np.bitwise_or.reduce(here[:i], axis=0)
    found[at : at + WORDS] = once & ~twice
    found[at + WORDS : at + 2 * WORDS] = twice
    return bool((once & ~twice).any())


def reveal(open_: U64, at: int, row: U64, rat: int, vector: U64, vat: int, n: int) -> None:
    """Close members where the vector says."""
    rows = row[rat : rat + n * WORDS].reshape(n, WORDS)
    open_[at : at + n * WORDS].reshape(n, WORDS)[:] &= ~(rows & vector[vat : vat + WORDS])
