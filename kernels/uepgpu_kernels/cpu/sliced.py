"""The loop nest of elimination over GF(2) and GF(256): 512 realizations at once, a bit each in vectors."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from uepgpu_kernels.cpu.compile import entry, stage
from uepgpu_kernels.cpu.draw import draw_block, draw_space
from uepgpu_kernels.cpu.echelon import echelon
from uepgpu_kernels.cpu.ledger import begin_tile, end_tile, new_ledger, note_packet, tally_lanes
from uepgpu_kernels.cpu.listed import draw_own
from uepgpu_kernels.cpu.members import member_bytes
from uepgpu_kernels.cpu.plain_vectors import WORDS
from uepgpu_kernels.cpu.slices import is_any_set, set_first_lanes
from uepgpu_kernels.cpu.vectors import LANES, copy, meet, slice_bytes
from uepgpu_kernels.cpu.ways import Way, draw_by_packet
from uepgpu_kernels.job import BY_INDEX, BY_TIME
from uepgpu_kernels.streams import COEFFICIENTS

__all__ = ["run_sliced"]

ZERO = np.uint64(0)
BYTE = np.uint32(0xFF)
BLOCK_BITS = 128


@stage
def slice_block(words: Any, row: Any, wide: Any, out: Any) -> None:
    """Write the 128 vectors of a block's bits; `row` (512,) uint8 is scratch, `wide` the same as words."""
    for i in range(4):
        for b in range(4):
            shift = np.uint32(8 * b)
            for lane in range(LANES):
                row[lane] = np.uint8((words[i, lane] >> shift) & BYTE)
            slice_bytes(wide, 0, out, (4 * i + b) * 8 * WORDS)


@stage
def byte_of(chunk: Any, lane: Any, bit: Any) -> Any:
    """Return the eight bits from a place on of a lane's words."""
    i = bit >> 5
    both = (np.uint64(chunk[i + 1, lane]) << np.uint64(32)) | np.uint64(chunk[i, lane])
    return np.uint8((both >> np.uint64(bit & 31)) & np.uint64(BYTE))


@functools.cache
def run_sliced(planes: int, way: Way) -> Any:
    """Return the loop nest of GF(2) (1 plane) or GF(256) (8 planes) for one way."""
    in_step, by_time = way.order == BY_INDEX, way.order == BY_TIME
    draw, draw_listed = way.draw, draw_by_packet(way)
    take = echelon(planes).take
    size = planes * WORDS
    per_block = BLOCK_BITS // planes

    @stage
    def draw_in_step(
        job: Any, first: Any, stride: Any, w: Any, held: Any, words: Any, row: Any, wide: Any, block: Any, packet: Any
    ) -> Any:
        """Write the coefficients of packet w of every lane; return which block `block` holds, given the one it held."""
        for i in range(job.k):
            at = w * job.k + i
            if at // per_block != held:
                held = at // per_block
                draw_block(words, job.seed, first, stride, held, COEFFICIENTS)
                slice_block(words, row, wide, block)
            start = (at % per_block) * size
            copy(packet, i * size, block, start, planes)
        return held

    @stage
    def draw_each(job: Any, first: Any, stride: Any, number: Any, chunk: Any, row: Any, wide: Any, bits: Any, packet: Any) -> None:
        """Write the coefficients of packet `number[lane]` of each lane."""
        draw_own(job, first, stride, number, per_block, chunk)
        n_bits = job.k * planes
        for r in range((n_bits + 7) // 8):
            for lane in range(LANES):
                start = (np.intp(number[lane]) * job.k) % per_block * planes
                row[lane] = byte_of(chunk, lane, start + 8 * r)
            slice_bytes(wide, 0, bits, 0)
            for p in range(min(8, n_bits - 8 * r)):
                copy(packet, (8 * r + p) * WORDS, bits, p * WORDS, 1)

    @stage
    def keep_members(k: Any, inside: Any, wide: Any, bits: Any, packet: Any) -> None:
        """Clear the coefficients of sub-products outside the supports, whose bytes `inside` holds (`wide` as words)."""
        for r in range(inside.shape[0]):
            slice_bytes(wide[r], 0, bits, 0)
            for p in range(min(8, k - 8 * r)):
                for q in range(planes):
                    at = (8 * r + p) * size + q * WORDS
                    meet(packet, at, packet, at, bits, p * WORDS)

    def nest(
        job: Any,
        first: Any,
        count: Any,
        stride: Any,
        cells: Any,
        members: Any,
        transitions: Any,
        pairs: Any,
        marginals: Any,
        record: Any,
    ) -> None:
        n, k = job.n_packets, job.k
        words = draw_space(job, LANES)
        keys = np.empty((n, LANES), dtype=np.uint32)
        time = np.empty((0 if in_step else n, LANES), dtype=np.uint16)
        numbers = np.empty((0 if in_step else n, LANES), dtype=np.uint16)
        window = np.empty((n, LANES), dtype=np.uint16)
        own = np.empty(LANES, dtype=np.uint16)
        chunk = np.zeros((0 if in_step else 4 * ((k * planes + BLOCK_BITS - 2) // BLOCK_BITS + 1) + 1, LANES), dtype=np.uint32)
        row = np.empty(LANES, dtype=np.uint8)
        wide = row.view(np.uint64)
        inside = np.empty(((k + 7) // 8, LANES), dtype=np.uint8)
        inside_wide = inside.view(np.uint64)
        marks = np.empty(k + 3, dtype=np.uint64)
        block = np.empty(BLOCK_BITS * WORDS, dtype=np.uint64)
        bits = np.empty(8 * WORDS, dtype=np.uint64)
        rows = np.empty(k * (k - 1) // 2 * size, dtype=np.uint64)
        pivot = np.empty(k * WORDS, dtype=np.uint64)
        packet = np.empty(k * size, dtype=np.uint64)
        chosen = np.empty(k * WORDS, dtype=np.uint64)
        scratch = np.empty(size + WORDS, dtype=np.uint64)
        used = np.empty(WORDS, dtype=np.uint64)
        ledger = new_ledger(job, by_time or record.shape[0] > 0)
        fallen = np.zeros(LANES, dtype=np.uint8)
        for done in range(0, count, LANES):
            start = first + stride * np.uint64(done)
            lanes = min(LANES, count - done)
            if in_step:
                draw(job, start, stride, words, cells, window)
            else:
                draw_listed(job, start, stride, cells, words, window, keys, numbers, time)
            set_first_lanes(lanes, used)
            rows[:] = ZERO
            pivot[:] = ZERO
            begin_tile(ledger, job, used)
            held = -1
            for w in range(n):
                if not is_any_set(ledger.open_):
                    break
                if in_step:
                    held = draw_in_step(job, start, stride, w, held, words, row, wide, block, packet)
                    own[:] = w
                    member_bytes(job, start, stride, own, window[w], members, marks, inside)
                else:
                    draw_each(job, start, stride, numbers[w], chunk, row, wide, bits, packet)
                    for lane in range(LANES):
                        late = by_time and time[w, lane] >= job.n_times
                        own[lane] = members.shape[0] - 1 if late else window[numbers[w, lane], lane]
                    member_bytes(job, start, stride, numbers[w], own, members, marks, inside)
                keep_members(k, inside, inside_wide, bits, packet)
                take(rows, pivot, packet, chosen, used, ledger.open_, scratch, k)
                note_packet(ledger, job, w, by_time, transitions, pairs, marginals)
            end_tile(ledger, job, lanes, fallen, time, by_time, record[done : done + lanes])
            if by_time:
                tally_lanes(ledger, job, lanes, fallen, transitions, pairs, marginals)

    return entry(nest, f"sliced, {planes}, {way.name}")
