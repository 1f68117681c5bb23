"""The arrays of a job as device code reads them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from uepgpu_kernels.automaton import Automaton, undecoded_classes
from uepgpu_kernels.cuda import decode
from uepgpu_kernels.cuda.bounds import COUNT_BITS, TIME_SHIFT, bounds_of
from uepgpu_kernels.cuda.shape import BUCKET_BITS, FINE_BITS, LISTING, Shape
from uepgpu_kernels.job import BY_TIME, Job
from uepgpu_kernels.joint import CELL_BITS, cells_of_columns
from uepgpu_kernels.network import merge_exchange
from uepgpu_kernels.steps import chain_states, steps_of

__all__ = ["CROWDED", "Tables", "make_tables", "states_of"]

States = tuple[NDArray[np.int64], NDArray[np.bool_]]

CROWDED = 0xFFFF
"""Value above the threshold of a bucket that holds several: search the thresholds themselves."""


class Tables(NamedTuple):
    """One-dimensional arrays and scalars; G tables of `width` cells, S windows."""

    width: np.int64
    n_packets: np.int64
    n_blocks: np.int64  # of four words, to draw all packets
    first_state: np.uint64  # of a packed walk
    inner: np.uint64  # packed chains: the flag of each window that is not the last of its chain
    halvings: np.int64  # steps of a binary search that a bucket may need
    group: NDArray[np.uint32]  # (W,), padded to whole blocks of words, and numbers; see `_groups`
    n_threshold: NDArray[np.uint32]  # (G,)
    threshold: NDArray[np.uint32]  # (G·width,)
    value: NDArray[np.uint32]  # (G·width,): time above, window below; see `code_bits`
    bucket: NDArray[np.uint64]  # (G·2^10,) or (G·2^12,): threshold, value from it on, value below it
    alias: NDArray[np.uint32]  # (128,), where a word decides several packets
    steps: NDArray[np.uint32]  # of a walk by words: see :func:`uepgpu_kernels.steps.steps_of`; bounds of counts by time
    together: NDArray[np.uint64]  # (128,): what each of a combination's packets has, 8 bits each: values if packed, else cells
    network: NDArray[np.uint32]  # (2 m,) comparators
    mask: NDArray[np.uint64]  # (S·⌈K/64⌉,)
    degree: NDArray[np.uint32]  # (S,)
    arrival: NDArray[np.uint16]  # (V·R·W,) or (0,)
    n_rounds: np.uint64  # R
    n_works: np.uint32  # V
    class_of: NDArray[np.uint32]  # (K,)
    generator: NDArray[
        np.uint64
    ]  # (W·K + T·K,): given coefficients, then sums; an array of its own would cost every kernel arguments
    capacity: NDArray[np.uint32]  # (S,)
    chain_start: NDArray[np.uint32]  # (S,)
    unit_of: NDArray[np.int32]  # (K,) or (0,)
    class_unit: NDArray[np.int32]  # (L,) or (0,)
    walk: NDArray[np.uint64]  # (states·S,): bits of undecoded classes, 8 apart, above; next state times S below
    decoded: NDArray[np.uint64]  # (states·S,)


def code_bits(shape: Shape) -> int:
    """Return how many bits of a value are the window's code."""
    if shape.nest in LISTING:
        return 16
    return 6 if shape.decoder is decode.count else 8


def make_tables(job: Job, shape: Shape, automaton: Automaton | None) -> Tables:
    """Return the tables of a job, as NumPy arrays."""
    # Chains are walked by an automaton of their own where their shape says so; else by counting.
    walked = shape.decoder is decode.automaton
    states = states_of(job, automaton) if walked else None
    bits = code_bits(shape)
    # A packed walk along chains adds 1 << code.
    scale = 8 if shape.decoder is decode.count and shape.nest not in LISTING else 1
    time = job.cell_time.astype(np.uint32) if job.order == BY_TIME else np.uint32(0)
    code = (job.cell_window * np.uint32(scale)).astype(np.uint32) << np.uint32(shape.state_bits)
    if job.n_states:
        code |= job.next_state
    if shape.nest == "binned":
        bits, code = TIME_SHIFT, np.uint32(1) << (COUNT_BITS * job.cell_window).astype(np.uint32)
    value = ((time << np.uint32(bits)) | code).astype(np.uint32)
    tabled = shape.nest in ("binned", "by_words")
    walk = _walk(job, *states) if states is not None and not tabled else _none(np.uint64)
    decoded = np.repeat(automaton.decoded, automaton.following.shape[1]) if walked and automaton is not None else _none(np.uint64)
    steps = steps_of(job, *states) if states is not None and shape.nest == "by_words" else None
    if states is not None and shape.nest == "binned":
        steps = bounds_of(*states).astype(np.uint32)
    windows = range(shape.n_windows if shape.decoder is decode.count and shape.nest not in LISTING else 0)
    last = [s + 1 == job.capacity.size or bool(job.chain_start[s + 1]) for s in windows]
    bucket = np.zeros(0, dtype=np.uint64)
    if shape.nest not in LISTING and shape.per_word == 1:
        leading = FINE_BITS if shape.fine else BUCKET_BITS
        tables = zip(job.threshold, job.n_threshold, value, strict=True)
        bucket = np.concatenate([_buckets(t[:n], v, leading) for t, n, v in tables])
    network = merge_exchange(job.n_packets) if shape.nest in LISTING and job.order == BY_TIME else np.zeros((0, 2))
    return Tables(
        width=np.int64(job.threshold.shape[1]),
        n_packets=np.int64(job.n_packets),
        n_blocks=np.int64(-(-job.n_packets // (4 * job.per_word))),
        first_state=np.uint64(sum((0x7F + int(job.capacity[s])) << (8 * s) for s in windows)),
        inner=np.uint64(sum(0x80 << (8 * s) for s in windows if not last[s])),
        halvings=np.int64(int(job.n_threshold.max()).bit_length()),
        group=_groups(job, shape),
        n_threshold=job.n_threshold.astype(np.uint32),
        threshold=job.threshold.ravel(),
        value=value.ravel(),
        bucket=bucket,
        alias=job.alias,
        steps=steps if steps is not None else _none(np.uint32),
        together=_together(job, value[0], shape),
        network=network.astype(np.uint32).ravel(),
        mask=_masks(job),
        degree=job.degree.astype(np.uint32),
        arrival=job.arrival.ravel(),
        n_rounds=np.uint64(job.arrival.shape[1]),
        n_works=np.uint32(job.arrival.shape[0]),
        class_of=job.class_of.astype(np.uint32),
        generator=np.concatenate([job.generator.ravel(), job.target.ravel()]).astype(np.uint64),
        capacity=job.capacity.astype(np.uint32),
        chain_start=job.chain_start.astype(np.uint32),
        unit_of=job.unit_of.astype(np.int32),
        class_unit=job.class_unit.astype(np.int32),
        walk=walk,
        decoded=decoded,
    )


def _masks(job: Job) -> NDArray[np.uint64]:
    """Return supports as bit masks, the first 64 sub-products first."""
    if job.mask.size or job.support.shape[0] == 0:
        return job.mask
    padded = np.pad(job.support, ((0, 0), (0, -job.k % 64)))
    return np.packbits(padded, axis=1, bitorder="little").view("<u8").ravel()


def _none(dtype: Any) -> NDArray[Any]:
    return np.zeros(0, dtype=dtype)


def _groups(job: Job, shape: Shape) -> NDArray[np.uint32]:
    """Return the table of every packet; where there are racks, also that where its rack is struck, its rack, and two numbers.

    They are how many racks there are, and below which word one is struck; of trajectories, how many tables each state has, and
    below which word a trace starts anew. Where workers send several messages all that is there,
    whether there are racks or not, and then the first table of every worker's arrivals and the number of messages. Arrays of their
    own would cost every kernel arguments.
    """
    size = -(-job.n_packets // 4) * 4

    def padded(row: NDArray[Any]) -> NDArray[Any]:
        return np.append(row, np.zeros(size - row.size))

    several = job.messages > 1
    rows = [padded(row) for row in ((job.group, job.struck, job.rack) if job.n_racks or several else (job.group,))]
    numbers = [job.n_racks, int(job.rack_below)] if job.n_racks or several else []
    if shape.rounds:  # a trace that starts anew in every round, at whatever word, has a kernel that does not ask
        numbers = [job.threshold.shape[0] // (job.n_states + 1), min(int(job.restart_below), 2**32 - 1)]
    messages = [padded(job.due), [job.messages]] if several else []
    return np.concatenate([*rows, numbers, *messages]).astype(np.uint32)


def _buckets(threshold: NDArray[np.uint32], value: NDArray[np.uint32], bits: int) -> NDArray[np.uint64]:
    """Return what each of 2^bits buckets of words holds: its threshold, and the values from there on and below."""
    edges = np.arange((1 << bits) + 1, dtype=np.uint64) << np.uint64(32 - bits)
    ends = threshold.astype(np.uint64)
    low = np.searchsorted(ends, edges[:-1], side="right")  # cell of the least word
    high = np.searchsorted(ends, edges[1:] - np.uint64(1), side="right")  # cell of the greatest word
    inside = [np.unique(ends[a:b]) for a, b in zip(low, high, strict=True)]
    at = np.array([int(x[0]) if x.size else 0 for x in inside], dtype=np.uint64)
    above = np.where([x.size > 1 for x in inside], CROWDED, value[high]).astype(np.uint64)
    below = value[low].astype(np.uint64)
    entry: NDArray[np.uint64] = np.bitwise_or(at << np.uint64(32), np.bitwise_or(above << np.uint64(16), below), dtype=np.uint64)
    return entry


def _together(job: Job, value: NDArray[np.uint32], shape: Shape) -> NDArray[np.uint64]:
    if shape.per_word == 1:
        return _none(np.uint64)
    cells = cells_of_columns(value.size, shape.per_word)
    found = np.zeros(cells.size, dtype=np.uint64)
    for i in range(shape.per_word):
        cell = (cells >> np.uint32(CELL_BITS * i)) & np.uint32((1 << CELL_BITS) - 1)
        found |= (cell if shape.nest in LISTING else value[cell]).astype(np.uint64) << np.uint64(8 * i)
    return found


def states_of(job: Job, automaton: Automaton | None) -> States | None:
    """Return the next state (states, S) and which classes are undecoded (states, L): by matching, or without it along chains."""
    if automaton is not None:
        return automaton.following, undecoded_classes(automaton, job)
    return chain_states(job) if job.class_unit.size else None


def _walk(job: Job, following: NDArray[np.int64], undecoded: NDArray[np.bool_]) -> NDArray[np.uint64]:
    walk: NDArray[np.uint64] = (following * following.shape[1]).astype(np.uint64)
    for c in range(min(job.n_classes, 4)):  # more classes are read off `decoded`
        walk |= undecoded[following][:, :, c].astype(np.uint64) << np.uint64(32 + 8 * c)
    return walk.ravel()
