"""The draws of one realization: the words of every stream, and the packets and arrivals that they mean."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from uepgpu_kernels.job import BY_INDEX, BY_TIME, ERLANG, IN_BLOCKS, IN_ORDER
from uepgpu_kernels.reference.sample import words
from uepgpu_kernels.streams import COEFFICIENTS, MESSAGES, NUMBERED, ORDER, PACKETS, RACKS, SUPPORTS, TRACES, purpose_of

if TYPE_CHECKING:
    from uepgpu_kernels.job import Job

__all__ = ["Drawn", "Packet", "Stream", "draw"]

PRIME = 2**31 - 1
CELL_END = 2**32
COLUMNS, COLUMN = 2**7, 2**25
"""Columns of the table by which one word draws the windows of several packets, and words of each."""


@dataclass(frozen=True)
class Stream:
    """The 32-bit words of one stream.

    Attributes
    ----------
    number : int
    purpose : str
    words_per_packet : int
        Packet w owns the words from w times this on; 0 where words hold the windows, bits or bytes of several packets.
    words : tuple of int
        Word i is word i mod 4 of block i div 4, with the counter (realization low, realization high, block, stream); i counts
        from `first`.
    first : int
        Number of the first of the words, a multiple of 4: words of later rounds of a trajectory come after those of earlier ones.
    """

    number: int
    purpose: str
    words_per_packet: int
    words: tuple[int, ...]
    first: int = 0


@dataclass(frozen=True)
class Packet:
    """What one worker returns, or one of its messages.

    Attributes
    ----------
    number : int
        Number of the packet and of its worker; of workers that return m messages, packet wm + j is the j-th of worker w.
    word : int
        The word of stream 0 that decides it; in the count domain it may decide several packets.
    least, end : int
        Every word with least <= word < end means the same window and arrival, or the same windows of its packets. Of several
        messages of a worker in the deadline domain, it means the window and whether the packet is lost.
    window : int
        Which of :attr:`Replay.windows`.
    support : tuple of int
        The sub-products that it combines.
    coefficients : tuple of int, or None
        Of all K sub-products; modulo 2^31-1, or in GF(2) or GF(256). None where the decoder needs none.
    time : int or None
        Deadline domain: index of the first deadline by which it has arrived; None if it misses the last one.
        Count domain: its place in the order of arrival, from 1.
    """

    number: int
    word: int
    least: int
    end: int
    window: int
    support: tuple[int, ...]
    coefficients: tuple[int, ...] | None
    time: int | None


@dataclass(frozen=True)
class Drawn:
    """Everything random in a realization: the streams' words, the packets by number, and who arrives when.

    Attributes
    ----------
    streams : tuple of Stream
        Those that are drawn from.
    packets : tuple of Packet
        W of them, by number.
    order : tuple of int
        Numbers of the packets that arrive, in order of arrival; those of one deadline by number.
    shared : tuple of str
        What happened to several packets at once.
    states, next_states : tuple of int, or None
        State of every worker in this round and in the next, where there are states. In round 0 only the next ones are drawn.
    """

    streams: tuple[Stream, ...]
    packets: tuple[Packet, ...]
    order: tuple[int, ...]
    shared: tuple[str, ...]
    states: tuple[int, ...] | None = None
    next_states: tuple[int, ...] | None = None


def draw(job: Job, realization: int, *, coefficients: bool, before: tuple[int, ...] | None = None) -> Drawn:
    """Draw a realization of a plan's job, in the round of that.

    Parameters
    ----------
    job : Job
    realization : int
        0..2^64-1.
    coefficients : bool
        Whether coefficients are wanted: given ones, or those drawn over the job's field.
    before : tuple of int, optional
        States that the round before left, where they are known; else all rounds before are drawn.
    """
    streams: dict[int, Stream] = {}

    def take(stream: np.uint64, count: int, per_packet: int, first: int = 0) -> tuple[int, ...]:
        number = int(stream)
        drawn = words(int(job.seed), np.array([realization], dtype=np.uint64), number, first, count)[0]
        streams[number] = Stream(number, purpose_of(number), per_packet, tuple(int(x) for x in drawn), first)
        return streams[number].words

    n, k = job.n_packets, job.k
    m = job.per_word
    each_round = 4 * ((n + 3) // 4)
    drawn = take(PACKETS, -(-n // m), 1 if m == 1 else 0, each_round * job.round)
    deciding = [drawn[w // m] for w in range(n)]
    table, shared = [int(g) for g in job.group], []
    present: tuple[int, ...] | None = None
    if job.n_states and job.round:
        present = before or _states_before(job, realization, each_round)
        table = [_table_of(job, w, s) for w, s in enumerate(present)]
        shared.append(_told_states("states", present))
    states: list[bool] = []
    if job.n_racks:
        states = [word < int(job.rack_below) for word in take(RACKS, job.n_racks, 0)]
        if job.messages == 1:
            table = [int(job.struck[w]) if states[job.rack[w]] else table[w] for w in range(n)]
        struck = [str(rack) for rack in range(job.n_racks) if states[rack]]
        shared.append(f"racks struck: {', '.join(struck) or 'none'}")
    cells = [_cell(job, table[w], deciding[w]) if m == 1 else _cell_together(job, w % m, deciding[w]) for w in range(n)]
    following = tuple(cell[0] % job.n_states for cell in cells) if job.n_states else None
    if following is not None:
        shared.append(_told_states("states in the next round", following))
    window = [int(job.cell_window[table[w], cells[w][0]]) for w in range(n)]
    if job.order == BY_TIME:
        bins = [int(job.cell_time[table[w], cells[w][0]]) for w in range(n)]
        done = _done(job, bins) if job.messages > 1 else [v + 1 if v < job.arrival.shape[0] else None for v in bins]
        if job.arrival.size:
            _, n_rounds, count = job.arrival.shape
            row = (realization + job.round) % n_rounds
            if job.replay != IN_ORDER:
                row = _row_of_trace(job, realization, n_rounds, take)
            whose = list(range(count))
            if job.shuffle:
                whose = _shuffled(take(ORDER, count, 1, 4 * ((count + 3) // 4) * job.round))
            column = [whose[w // job.messages] for w in range(n)]
            bins = [job.n_times if c is None else int(job.arrival[c - 1, row, v]) for c, v in zip(done, column, strict=True)]
            shared.append(f"round {row} of the trace" + (f", latencies of workers {whose}" if job.shuffle else ""))
        elif job.messages > 1:
            count = len(job.due)
            first = [int(job.struck[w] if states and states[job.rack[w]] else job.due[w]) for w in range(count)]
            drawn = take(MESSAGES, count * (job.n_times if job.progress == ERLANG else 1), 0)
            bins = _erlang(job, first, drawn, done) if job.progress == ERLANG else _linear(job, first, drawn, done)
        order = [w for _, w in sorted((time, w) for w, time in enumerate(bins) if time < job.n_times)]
        time: list[int | None] = [t if t < job.n_times else None for t in bins]
    else:
        order = list(range(n)) if job.order == BY_INDEX else _shuffled(take(ORDER, n, 1))
        time = [None] * n
        for place, w in enumerate(order):
            time[w] = place + 1
    if job.degree.size:
        each = 1 if k <= NUMBERED else 4 * ((k + 3) // 4)
        drawn = take(SUPPORTS, n * each, each)
        support = [_subset(drawn[w * each : (w + 1) * each], int(job.degree[window[w]]), k) for w in range(n)]
    elif job.generator.shape[0]:
        support = [tuple(i for i in range(k) if job.generator[w, i] != 0) for w in range(n)]
    else:
        support = [tuple(i for i in range(k) if job.support[window[w], i]) for w in range(n)]
    rows: list[tuple[int, ...] | None] = [None] * n
    if coefficients and job.generator.shape[0]:
        rows = [tuple(row.tolist()) for row in job.generator]
    elif coefficients:
        bits = (32, 1, 8)[job.field]
        drawn = take(COEFFICIENTS, (n * k * bits + 31) // 32, k if bits == 32 else 0)
        rows = [tuple(_coefficient(drawn, w * k + i, bits) if i in support[w] else 0 for i in range(k)) for w in range(n)]
    packets = tuple(Packet(w, deciding[w], *cells[w][1:], window[w], support[w], rows[w], time[w]) for w in range(n))
    return Drawn(tuple(streams[s] for s in sorted(streams)), packets, tuple(order), tuple(shared), present, following)


def _table_of(job: Job, w: int, state: int | None) -> int:
    """Return the table of a worker whose state is known, or not yet drawn."""
    tables = len(job.n_threshold) // (job.n_states + 1)
    return int(job.group[w]) + (0 if state is None else tables * (1 + state))


def _states_before(job: Job, realization: int, each_round: int) -> tuple[int, ...]:
    """Return the states of workers in the job's round, by drawing all rounds before."""
    states: list[int | None] = [None] * job.n_packets
    number = np.array([realization], dtype=np.uint64)
    for r in range(job.round):
        drawn = words(int(job.seed), number, int(PACKETS), each_round * r, job.n_packets)[0]
        states = [_cell(job, _table_of(job, w, s), int(drawn[w]))[0] % job.n_states for w, s in enumerate(states)]
    return tuple(s for s in states if s is not None)


def _told_states(what: str, states: tuple[int, ...]) -> str:
    numbers = sorted(set(states))
    return f"{what}: {'; '.join(f'{s}: workers {[w for w, own in enumerate(states) if own == s]}' for s in numbers)}"


def _row_of_trace(job: Job, realization: int, n_rounds: int, take: Callable[..., tuple[int, ...]]) -> int:
    """Return the row of a trace in the job's round: back to where it last started anew, and on from there."""
    at = job.round
    number = np.array([realization], dtype=np.uint64)
    while job.replay == IN_BLOCKS and at > 0:
        again = int(words(int(job.seed), number, int(TRACES), 4 * (at // 2), 4)[0][2 * (at % 2)])
        if again < int(job.restart_below):
            break
        at -= 1
    first = 4 * (at // 2)
    anew = take(TRACES, 2 * job.round + 2 - first, 0, first)[2 * at + 1 - first]
    return (_below(anew, n_rounds) + job.round - at) % n_rounds


def _cell(job: Job, group: int, word: int) -> tuple[int, int, int]:
    """Return the cell of a table that a word falls into, and the words that it spans."""
    edges = [int(x) for x in job.threshold[group, : job.n_threshold[group]]]
    cell = bisect.bisect_right(edges, word)
    return cell, edges[cell - 1] if cell else 0, edges[cell] if cell < len(edges) else CELL_END


def _cell_together(job: Job, place: int, word: int) -> tuple[int, int, int]:
    """Return the cell of a packet at a place of its word, and the words that mean the same for all packets of the word."""
    column, rest = divmod(word, COLUMN)
    own, alias = divmod(int(job.alias[column]), COLUMNS)
    n_cells, start = int(job.n_threshold[0]) + 1, column * COLUMN
    number, least, end = (column, start, start + own) if rest < own else (alias, start + own, start + COLUMN)
    return number // n_cells**place % n_cells, least, end


def _done(job: Job, codes: list[int]) -> list[int | None]:
    """Return what work a worker has done with each packet, None where the packet is lost."""
    done: list[int | None] = []
    total = 0
    for p, code in enumerate(codes):
        total = (0 if p % job.messages == 0 else total) + code // 2
        done.append(None if code % 2 else total)
    return done


def _linear(job: Job, first: list[int], drawn: tuple[int, ...], done: list[int | None]) -> list[int]:
    """Return when packets arrive: a worker's word says when each work is done."""
    m = job.messages
    return [job.n_times if c is None else _cell(job, first[p // m] + c - 1, drawn[p // m])[0] for p, c in enumerate(done)]


def _erlang(job: Job, first: list[int], drawn: tuple[int, ...], done: list[int | None]) -> list[int]:
    """Return when packets arrive: words say how many messages of a worker come by each deadline that had not come before."""
    m, n, bins = job.messages, len(first), [job.n_times] * len(done)
    for w in range(n):
        come = 0
        for d in range(job.n_times):
            more = _cell(job, first[w] + d, drawn[n * d + w])[0]
            for j in range(come, min(come + more, m)):
                bins[w * m + j] = d if done[w * m + j] is not None else job.n_times
            come = min(come + more, m)
    return bins


def _below(word: int, n: int) -> int:
    """Return a number in 0..n-1 from a word."""
    return word * n >> 32


def _shuffled(drawn: tuple[int, ...]) -> list[int]:
    order = list(range(len(drawn)))
    for place in range(len(drawn) - 1, 0, -1):
        other = _below(drawn[place], place + 1)
        order[place], order[other] = order[other], order[place]
    return order


def _subset(drawn: tuple[int, ...], size: int, k: int) -> tuple[int, ...]:
    """Return a uniform set of `size` of k sub-products: by its number where there are few, else by Floyd's method."""
    if k <= NUMBERED:
        sets = list(itertools.combinations(range(k), size))
        return sets[_below(drawn[0], len(sets))]
    chosen: set[int] = set()
    for last, word in zip(range(k - size, k), drawn, strict=False):
        pick = _below(word, last + 1)
        chosen.add(last if pick in chosen else pick)
    return tuple(sorted(chosen))


def _coefficient(drawn: tuple[int, ...], place: int, bits: int) -> int:
    if bits == 32:
        return 1 + _below(drawn[place], PRIME - 1)
    return (drawn[place * bits // 32] >> place * bits % 32) & ((1 << bits) - 1)
