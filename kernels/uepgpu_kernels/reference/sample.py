"""Draws of many realizations at once."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uepgpu_kernels.job import BY_INDEX, BY_TIME, ERLANG, IN_BLOCKS, IN_ORDER, Job
from uepgpu_kernels.streams import COEFFICIENTS, MESSAGES, NUMBERED, ORDER, PACKETS, RACKS, SUPPORTS, TRACES

__all__ = ["arrivals", "coefficients", "philox", "subsets", "words"]

U64 = NDArray[np.uint64]
Ints = NDArray[np.int64]
LOW = np.uint64(2**32 - 1)
HALF = np.uint64(32)


def philox(counter: tuple[Any, Any, Any, Any], key: tuple[int, int]) -> list[U64]:
    """Return the four words of Philox4x32-10 for arrays of counter words (uint64 below 2^32, broadcast)."""
    c = [np.asarray(x, dtype=np.uint64) for x in counter]
    k0, k1 = key
    for _ in range(10):
        first = c[0] * np.uint64(0xD2511F53)
        second = c[2] * np.uint64(0xCD9E8D57)
        c = [(second >> HALF) ^ c[1] ^ np.uint64(k0), second & LOW, (first >> HALF) ^ c[3] ^ np.uint64(k1), first & LOW]
        k0, k1 = (k0 + 0x9E3779B9) % 2**32, (k1 + 0xBB67AE85) % 2**32
    return c


def words(seed: int, realizations: U64, stream: int | np.uint64, start: int, count: int) -> U64:
    """Return words start .. start + count - 1 of a stream, shape (realizations, count); start is a multiple of 4."""
    blocks = np.arange(start // 4, (start + count + 3) // 4, dtype=np.uint64)
    r = realizations[:, None]
    block = philox((r & LOW, r >> HALF, blocks[None, :], np.uint64(stream)), (seed % 2**32, seed >> 32))
    shape = (realizations.size, blocks.size)
    return np.stack([np.broadcast_to(w, shape) for w in block], axis=2).reshape(realizations.size, -1)[:, :count]


def arrivals(job: Job, realizations: U64) -> tuple[Ints, Ints, Ints]:
    """Draw packets; all shapes (realizations, W).

    Returns
    -------
    window : window of each packet, by packet number.
    packet : packet numbers in order of arrival.
    time : time index at which each of those has arrived; n_times or more means never.
    """
    n = job.n_packets
    cell, table = _cells(job, realizations)
    window = job.cell_window[table, cell].astype(np.int64)
    number = np.broadcast_to(np.arange(n), cell.shape)
    if job.order == BY_TIME:
        arrival = job.cell_time[table, cell].astype(np.int64)
        if job.messages > 1:
            arrival = _of_messages(job, realizations, arrival)
        elif job.arrival.size:
            n_works = job.arrival.shape[0]
            time = _recorded(job, realizations, np.minimum(arrival, n_works - 1))
            arrival = np.where(arrival < n_works, time, job.n_times)
        packet = np.argsort(arrival, axis=1, kind="stable")
        return window, packet, np.take_along_axis(arrival, packet, axis=1)
    if job.order == BY_INDEX:
        return window, number, number + 1
    return window, _permutation(job, realizations, job.n_packets), number + 1


def _permutation(job: Job, realizations: U64, n: int) -> Ints:
    """Return 0..n-1 in a random order, shape (realizations, n)."""
    packet = np.tile(np.arange(n), (realizations.size, 1))
    shuffle = words(int(job.seed), realizations, ORDER, 4 * ((n + 3) // 4) * job.round, n)
    each = np.arange(realizations.size)
    for i in range(n - 1, 0, -1):
        j = ((shuffle[:, i] * np.uint64(i + 1)) >> HALF).astype(np.int64)
        packet[each, i], packet[each, j] = packet[each, j], packet[each, i]
    return packet


def _recorded(job: Job, realizations: U64, work: Ints) -> Ints:
    """Return when works (realizations, W, …) of workers are done in the rounds of a trace that the realizations meet."""
    _, n_rounds, n = job.arrival.shape
    row = (realizations % np.uint64(n_rounds) + np.uint64(job.round)) % np.uint64(n_rounds)
    if job.replay != IN_ORDER:
        drawn = words(int(job.seed), realizations, TRACES, 0, 2 * job.round + 2)
        anew = (drawn[:, 1::2] * np.uint64(n_rounds)) >> HALF
        row = anew[:, -1]
        if job.replay == IN_BLOCKS:
            row = anew[:, 0]
            for at in range(1, job.round + 1):
                row = np.where(drawn[:, 2 * at] < job.restart_below, anew[:, at], (row + np.uint64(1)) % np.uint64(n_rounds))
    column = _permutation(job, realizations, n) if job.shuffle else np.arange(n)[None, :]
    more = (1,) * (work.ndim - 2)
    met, whose = row.astype(np.int64).reshape(-1, 1, *more), column.reshape(*column.shape, *more)
    return job.arrival[work, met, whose].astype(np.int64)


def _of_messages(job: Job, realizations: U64, code: Ints) -> Ints:
    """Return when messages arrive, (realizations, W m), given twice the work of each and 1 more where it is lost."""
    m = job.messages
    n = job.n_packets // m
    work, lost = np.divmod(code.reshape(-1, n, m), 2)
    done = np.cumsum(work, axis=2)
    if job.arrival.size:
        time = _recorded(job, realizations, done - 1)
    else:
        first = job.due
        if job.n_racks:
            first = np.where(_struck(job, realizations), job.struck, job.due)
        if job.progress == ERLANG:
            time = _erlang(job, realizations, np.broadcast_to(first, (realizations.size, n)))
        else:
            drawn = np.repeat(words(int(job.seed), realizations, MESSAGES, 0, n), m, axis=1).reshape(done.shape)
            table = first[..., None] + done - 1
            time = job.cell_time[table, _looked_up(job, table, drawn)]
    return np.where(lost == 1, job.n_times, time).reshape(code.shape).astype(np.int64)


def _erlang(job: Job, realizations: U64, first: Ints) -> Ints:
    """Return after how many deadlines fewer than j messages have come, j = 1..m, shape (realizations, W, m)."""
    n, m = first.shape[1], job.messages
    come = np.zeros(first.shape, dtype=np.int64)
    time = np.zeros((*first.shape, m), dtype=np.int64)
    for d in range(job.n_times):
        start = 4 * (d * n // 4)
        drawn = words(int(job.seed), realizations, MESSAGES, start, d * n - start + n)[:, d * n - start :]
        come += job.cell_time[first + d, _looked_up(job, first + d, drawn)]
        time += come[:, :, None] < np.arange(1, m + 1)
    return time


def _struck(job: Job, realizations: U64) -> NDArray[np.bool_]:
    """Return whether the rack of each worker is struck, shape (realizations, W)."""
    below: NDArray[np.bool_] = words(int(job.seed), realizations, RACKS, 0, job.n_racks) < job.rack_below
    return below[:, job.rack]


def _cells(job: Job, realizations: U64) -> tuple[Ints, Ints]:
    """Draw the cell of each packet, shape (realizations, W); with it the table that it is of, which broadcasts to that."""
    n, m = job.n_packets, job.per_word
    if job.n_states:
        return _cells_of_round(job, realizations)
    drawn = words(int(job.seed), realizations, PACKETS, 4 * ((n + 3) // 4) * job.round, -(-n // m))
    if m > 1:
        column, rest = (drawn >> np.uint64(25)).astype(np.int64), (drawn % np.uint64(2**25)).astype(np.int64)
        own, other = np.divmod(job.alias.astype(np.int64), 128)
        combination = np.where(rest < own[column], column, other[column])
        base = int(job.n_threshold[0]) + 1
        digits = combination[:, :, None] // base ** np.arange(m) % base
        return digits.reshape(realizations.size, -1)[:, :n], job.group
    table = np.broadcast_to(job.group, drawn.shape)
    if job.n_racks and job.messages == 1:
        table = np.where(_struck(job, realizations), job.struck, job.group)
    return _looked_up(job, table, drawn), table


def _looked_up(job: Job, table: Ints, drawn: U64) -> Ints:
    """Return the cells of words in their tables; all of one shape."""
    cell = np.empty(drawn.shape, dtype=np.int64)
    for g in np.unique(table):
        mine = table == g
        cell[mine] = np.searchsorted(job.threshold[g, : job.n_threshold[g]].astype(np.uint64), drawn[mine], side="right")
    return cell


def _cells_of_round(job: Job, realizations: U64) -> tuple[Ints, Ints]:
    """Draw the rounds of a trajectory up to the job's; return its cells and tables."""
    n, tables = job.n_packets, len(job.n_threshold) // (job.n_states + 1)
    blocks = (n + 3) // 4
    drawn = words(int(job.seed), realizations, PACKETS, 0, 4 * blocks * (job.round + 1))
    table = np.broadcast_to(job.group, (realizations.size, n))
    for at in range(job.round + 1):
        cell = _looked_up(job, table, drawn[:, 4 * blocks * at :][:, :n])
        if at < job.round:
            table = job.group + tables * (1 + cell % job.n_states)
    return cell, table


def subsets(job: Job, realizations: U64, window: Ints) -> NDArray[np.bool_]:
    """Return the support of each packet, shape (realizations, W, K): its window's, or a drawn one."""
    if not job.degree.size:
        return job.support[window].astype(np.bool_)
    k, degree = job.k, job.degree[window]
    if k <= NUMBERED:
        return _numbered_subsets(words(int(job.seed), realizations, int(SUPPORTS), 0, job.n_packets), degree, k)
    padded = 4 * ((k + 3) // 4)
    drawn = words(int(job.seed), realizations, int(SUPPORTS), 0, job.n_packets * padded).reshape(*window.shape, padded)
    inside = np.zeros((*window.shape, k), dtype=np.bool_)
    for i in range(int(degree.max())):
        last = np.minimum(k - degree + i, k - 1)  # beyond a packet's degree nothing is added
        pick = ((drawn[:, :, i] * (last + 1).astype(np.uint64)) >> HALF).astype(np.int64)
        taken = np.take_along_axis(inside, pick[:, :, None], axis=2)[:, :, 0]
        pick = np.where(taken, last, pick)
        present = np.take_along_axis(inside, pick[:, :, None], axis=2)
        np.put_along_axis(inside, pick[:, :, None], present | (i < degree)[:, :, None], axis=2)
    return inside


def _numbered_subsets(drawn: U64, degree: Ints, k: int) -> NDArray[np.bool_]:
    """Return the subsets of k whose numbers, among those of their size, words draw: sets with the first element come first."""
    inside = np.zeros((*degree.shape, k), dtype=np.bool_)
    for d in np.unique(degree):
        sets = np.array([[i in chosen for i in range(k)] for chosen in itertools.combinations(range(k), int(d))])
        mine = degree == d
        inside[mine] = sets[((drawn[mine] * np.uint64(len(sets))) >> HALF).astype(np.int64)]
    return inside


def coefficients(job: Job, realizations: U64, window: Ints) -> U64:
    """Return the coefficients of each packet over the job's field, shape (realizations, W, K)."""
    total, bits = job.n_packets * job.k, (32, 1, 8)[job.field]
    drawn = words(int(job.seed), realizations, int(COEFFICIENTS), 0, (total * bits + 31) // 32)
    if job.field == 0:
        value = np.uint64(1) + ((drawn * np.uint64(2**31 - 2)) >> HALF)
    else:
        place = np.arange(32 // bits, dtype=np.uint64) * np.uint64(bits)
        value = (drawn[:, :, None] >> place) & np.uint64(2**bits - 1)
    rows = value.reshape(realizations.size, -1)[:, :total].reshape(realizations.size, job.n_packets, job.k)
    return rows * subsets(job, realizations, window)
