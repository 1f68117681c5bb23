"""Draws of a tile of realizations: words, then windows and arrival times, then the order of arrival.

Arrays of a tile have one row per packet and one column (lane) per realization, so that the inner loop runs over lanes
and LLVM vectorises it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from uepgpu_kernels.bodies.philox import MASK, SHIFT, philox4x32
from uepgpu_kernels.bodies.sample import below, combination_of
from uepgpu_kernels.cpu.compile import allocation, stage
from uepgpu_kernels.cpu.look_up import FEW, count_each, find_cells, give_values, look_up_each
from uepgpu_kernels.job import AT_RANDOM, ERLANG, IN_ORDER
from uepgpu_kernels.joint import CELL_BITS
from uepgpu_kernels.streams import ORDER, PACKETS, RACKS, TRACES

__all__ = [
    "Cells",
    "draw_apart",
    "draw_block",
    "draw_combinations",
    "draw_counted",
    "draw_in_racks",
    "draw_in_states",
    "draw_in_trace",
    "draw_racks",
    "draw_round",
    "draw_space",
    "permute",
    "sort_columns",
]


class Cells(NamedTuple):
    """What drawn cells stand for in one loop nest, and how they are sorted."""

    value: NDArray[Any]  # (G, C + 1) windows, or keys: the time index above `shift`, the window below; narrow integers
    shift: int
    low: np.unsignedinteger[Any]  # mask of what is below
    label: NDArray[Any]  # (S,) the numbers of the windows, as integers of the walk
    network: NDArray[np.int64]  # (m, 2) comparators; (0, 2) where nothing is sorted
    together: NDArray[np.uint32]  # (128,) cells of combinations, 4 bits each; (0,) where a word decides one packet


CELL = np.uint32((1 << CELL_BITS) - 1)
ZERO, ONE = np.uint64(0), np.uint64(1)


@stage
def draw_block(words: Any, seed: Any, first: Any, stride: Any, block: Any, stream: Any) -> None:
    """Write block `block` of a stream into four rows, for realizations first, first + stride and so on."""
    k0 = seed & MASK
    k1 = seed >> SHIFT
    number = np.uint64(block)
    for lane in range(words.shape[1]):
        realization = first + stride * np.uint64(lane)
        w0, w1, w2, w3 = philox4x32(realization & MASK, realization >> SHIFT, number, stream, k0, k1)
        words[0, lane] = w0
        words[1, lane] = w1
        words[2, lane] = w2
        words[3, lane] = w3


@allocation
def draw_space(job: Any, lanes: Any) -> Any:
    """Return the scratch `words` of all that draw, (rows, lanes) uint32.

    Four rows are for a block of words. Where there are racks, a row is for each, as many as whole blocks have, and one more;
    with a trace one row, and where it is shuffled W more; where there are states three. Several messages have the last two rows,
    and before them W more where their progress is Erlang.
    """
    rows = 4
    if job.n_racks > 0:
        rows += (job.n_racks + 3) // 4 * 4 + 1
    if job.n_states > 0:
        rows += 3
    if job.arrival.shape[0] > 0:
        rows += 1 + (job.arrival.shape[2] if job.shuffle else 0)
    if job.messages > 1:
        rows += 2 + (job.due.shape[0] if job.progress == ERLANG else 0)
    return np.empty((rows, lanes), dtype=np.uint32)


@stage
def draw_counted(job: Any, first: Any, stride: Any, words: Any, cells: Any, out: Any) -> None:
    """Draw a cell for every packet and write what ``cells.value`` has for it, shape (W, lanes): of jobs that count packets."""
    if job.per_word > 1:
        draw_together(job, first, stride, words, cells.together, cells.value[0], out)
    else:
        draw_apart(job, first, stride, words, cells, out)


@stage
def draw_apart(job: Any, first: Any, stride: Any, words: Any, cells: Any, out: Any) -> None:
    """As :func:`draw_counted`, each by a word of its own."""
    for w in range(job.n_packets):
        draw_packet(job, first, stride, words, cells.value, w, out[w])


@stage
def draw_packet(job: Any, first: Any, stride: Any, words: Any, value: Any, w: Any, out: Any) -> None:
    """Draw the cell of a packet after the one before it, and write what `value` (G, C + 1) has for it."""
    g = job.group[w]
    # Where there is nothing to draw, the worker determines the packet.
    if job.n_threshold[g] > 0 and (w // 4 != (w - 1) // 4 or job.n_threshold[job.group[w - 1]] == 0):
        draw_block(words, job.seed, first, stride, job.round * ((job.n_packets + 3) // 4) + w // 4, PACKETS)
    find_cells(job, words[w % 4], g, value, out)


LINE = 32
"""Times of arrival in a line of the cache."""


@stage
def draw_in_trace(job: Any, first: Any, stride: Any, words: Any, cells: Any, out: Any) -> None:
    """As :func:`draw_counted`, with the times of arrival that a trace has.

    While packets are drawn, the rows that a few lanes will read are asked for, so that the memory of long traces is not waited for.
    """
    draw_round(job, first, stride, words)
    n, lanes, asked = job.n_packets, words.shape[1], np.uint32(0)
    for w in range(n):
        asked += ask_for(job.arrival, words[4, w * lanes // n : (w + 1) * lanes // n])
        draw_packet(job, first, stride, words, cells.value, w, out[w])
    words[0, 0] = asked  # without a use it would not be read
    read_arrivals(job, words, cells, out)


@stage
def ask_for(arrival: Any, rows: Any) -> Any:
    """Read from every line of the cache that rows of a trace are in; return a sum of what was there."""
    total, last = np.uint32(0), arrival.shape[2] - 1
    for v in range(arrival.shape[0]):
        for lane in range(rows.shape[0]):
            total += np.uint32(arrival[v, rows[lane], 0]) + np.uint32(arrival[v, rows[lane], last])
        for at in range(LINE, last, LINE):
            for lane in range(rows.shape[0]):
                total += np.uint32(arrival[v, rows[lane], at])
    return total


@stage
def read_arrivals(job: Any, words: Any, cells: Any, out: Any) -> None:
    """Put the time at which a packet arrives in the round of a trace in the place of what work it is charged."""
    n_works = job.arrival.shape[0]
    row = words[4]
    for w in range(job.n_packets):
        for lane in range(row.shape[0]):
            key = np.uint32(out[w, lane])
            work = np.intp(key >> cells.shift)
            time = np.uint32(job.n_times)
            if work < n_works:
                time = np.uint32(job.arrival[work, row[lane], words[5 + w, lane] if job.shuffle else w])
            out[w, lane] = (time << cells.shift) | (key & np.uint32(cells.low))


@stage
def draw_round(job: Any, first: Any, stride: Any, words: Any) -> None:
    """Write which round of a trace is met into row 4, and from row 5 on whose latency each worker has where it is shuffled."""
    n_rounds, row = np.uint64(job.arrival.shape[1]), words[4]
    if job.replay == IN_ORDER:
        for lane in range(row.shape[0]):
            row[lane] = ((first + stride * np.uint64(lane)) % n_rounds + np.uint64(job.round)) % n_rounds
    elif job.row.shape[0] > 0:
        follow_rows(job, first, stride, words, row)
    else:
        draw_rows(job, first, stride, words, row)
    if job.shuffle:
        whose = words[5 : 5 + job.arrival.shape[2]]
        for w in range(whose.shape[0]):
            for lane in range(row.shape[0]):
                whose[w, lane] = w
        permute(job, first, stride, words, whose, whose)


@stage
def follow_rows(job: Any, first: Any, stride: Any, words: Any, row: Any) -> None:
    """Write which round of a trace in blocks comes after that which a trajectory met last, and leave it to the next."""
    n_rounds, start = np.uint64(job.arrival.shape[1]), np.intp((first - job.state_first) // stride)
    draw_block(words, job.seed, first, stride, job.round // 2, TRACES)
    again, anew = words[2 * (job.round % 2)], words[2 * (job.round % 2) + 1]
    last = job.row[start : start + row.shape[0]]
    for lane in range(row.shape[0]):
        begun = np.uint32(below(np.uint64(anew[lane]), n_rounds))
        following = last[lane] + np.uint32(1)
        following = following if following < n_rounds else np.uint32(0)
        row[lane] = begun if job.round == 0 or np.uint64(again[lane]) < job.restart_below else following
        last[lane] = row[lane]


@stage
def draw_rows(job: Any, first: Any, stride: Any, words: Any, row: Any) -> None:
    """Write which round of a trace a round of a trajectory is: back to where it last started anew, and on from there."""
    n_rounds = np.uint64(job.arrival.shape[1])
    for lane in range(row.shape[0]):
        row[lane] = n_rounds
    missing, back = True, 0
    while missing:
        at = job.round - back
        if back == 0 or at % 2 == 1:
            draw_block(words, job.seed, first, stride, at // 2, TRACES)
        again, anew = words[2 * (at % 2)], words[2 * (at % 2) + 1]
        missing = False
        for lane in range(row.shape[0]):
            starts = at == 0 or job.replay == AT_RANDOM or np.uint64(again[lane]) < job.restart_below
            if row[lane] == n_rounds:
                if starts:
                    row[lane] = (below(np.uint64(anew[lane]), n_rounds) + np.uint64(back)) % n_rounds
                else:
                    missing = True
        back += 1


@stage
def draw_racks(job: Any, first: Any, stride: Any, words: Any) -> None:
    """Write whether each rack is struck, from row 4 on."""
    for head in range(0, job.n_racks, 4):
        states = words[4 + head : 8 + head]
        draw_block(states, job.seed, first, stride, head // 4, RACKS)
        for c in range(4):
            for lane in range(words.shape[1]):
                states[c, lane] = np.uint64(states[c, lane]) < job.rack_below


@stage
def draw_in_racks(job: Any, first: Any, stride: Any, words: Any, cells: Any, out: Any) -> None:
    """Draw which racks are struck, then the cells of packets by the tables that follow, as :func:`draw_counted`."""
    value, lanes = cells.value, words.shape[1]
    draw_racks(job, first, stride, words)
    for w in range(job.n_packets):
        if w % 4 == 0:
            draw_block(words, job.seed, first, stride, w // 4, PACKETS)
        state, kept, row = words[4 + job.rack[w]], words[words.shape[0] - 1], out[w]
        # By both tables for all lanes, and then one of the two: lanes advance together.
        find_cells(job, words[w % 4], job.struck[w], value, row)
        for lane in range(lanes):
            kept[lane] = row[lane]
        find_cells(job, words[w % 4], job.group[w], value, row)
        for lane in range(lanes):
            row[lane] = kept[lane] if state[lane] != 0 else row[lane]


@stage
def draw_in_states(job: Any, first: Any, stride: Any, words: Any, cells: Any, out: Any) -> None:
    """Draw the cells of packets by the states in which the last round left workers, and leave their next ones, as `draw_counted`.

    Cells of one number stand for one window, time and next state in the tables of every state.
    """
    value, lanes, n, states = cells.value, words.shape[1], job.n_packets, np.uint64(job.n_states)
    tables = np.uint64(job.n_threshold.shape[0]) // (states + ONE)
    blocks, start = (n + 3) // 4, np.intp((first - job.state_first) // stride)
    few = job.threshold.shape[1] * job.n_states <= 4 * FEW
    for w in range(n):
        if w % 4 == 0:
            draw_block(words, job.seed, first, stride, job.round * blocks + w // 4, PACKETS)
        g = np.uint64(job.group[w])
        word, table, row = words[w % 4], words[4], value[g]
        if job.round == 0:
            for lane in range(lanes):
                table[lane] = g
        else:
            before = job.state[w, start : start + lanes]
            for lane in range(lanes):
                table[lane] = g + tables * (ONE + np.uint64(before[lane]))
        after = words[5]
        if few:
            count_each(word, table, g, tables, states if job.round > 0 else ZERO, job.threshold, job.n_threshold, words[6], after)
        else:
            look_up_each(word, table, job.threshold, job.n_threshold, job.guide, job.guide_shift, job.guide_steps, after)
        if job.state.shape[1] > 0:
            state = job.state[w, start : start + lanes]
            for lane in range(lanes):
                cell = np.uint64(after[lane])
                out[w, lane] = row[cell]
                state[lane] = job.next_state[cell]
        else:
            for lane in range(lanes):
                out[w, lane] = row[after[lane]]


@stage
def draw_together(job: Any, first: Any, stride: Any, words: Any, together: Any, value: Any, out: Any) -> None:
    """Draw the cells of several packets by a word, and write what `value` (C + 1,) has for them, shape (W, lanes)."""
    n, m = job.n_packets, job.per_word
    for i in range((n + m - 1) // m):
        row = words[i % 4]
        draw_combinations(job, first, stride, words, i)
        for lane in range(words.shape[1]):
            row[lane] = together[row[lane]]
        for w in range(m * i, min(m * (i + 1), n)):
            shift = np.uint32(CELL_BITS * (w - m * i))
            for lane in range(words.shape[1]):
                out[w, lane] = (row[lane] >> shift) & CELL
            give_values(value, out[w])


@stage
def draw_combinations(job: Any, first: Any, stride: Any, words: Any, i: Any) -> None:
    """Write the combinations that word i of each realization draws into row i mod 4; words are drawn four at a time."""
    if i % 4 == 0:
        draw_block(words, job.seed, first, stride, i // 4, PACKETS)
    row = words[i % 4]
    for lane in range(row.shape[0]):
        row[lane] = combination_of(row[lane], job.alias)


@stage
def sort_columns(keys: Any, network: Any) -> None:
    """Sort each column."""
    for i in range(network.shape[0]):
        exchange(keys[network[i, 0]], keys[network[i, 1]])


@stage
def exchange(a: Any, b: Any) -> None:
    """Put the lesser of each pair into a."""
    for lane in range(a.shape[0]):
        x = a[lane]
        y = b[lane]
        a[lane] = min(x, y)
        b[lane] = max(x, y)


@stage
def permute(job: Any, first: Any, stride: Any, words: Any, source: Any, out: Any) -> None:
    """Write the rows of `source` into `out` in a random order, drawn for each column (Fisher-Yates from the last row down)."""
    lanes = words.shape[1]
    n, before = source.shape[0], job.round * ((source.shape[0] + 3) // 4)
    for w in range(n):
        for lane in range(lanes):
            out[w, lane] = source[w, lane]
    held = -1
    for i in range(n - 1, 0, -1):
        if i // 4 != held:
            held = i // 4
            draw_block(words, job.seed, first, stride, before + held, ORDER)
        for lane in range(lanes):
            j = np.intp(below(np.uint64(words[i % 4, lane]), np.uint64(i + 1)))
            x = out[i, lane]
            out[i, lane] = out[j, lane]
            out[j, lane] = x
