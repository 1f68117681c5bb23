"""Draws of a tile where workers send several messages: windows by packet, then arrivals by worker."""

from __future__ import annotations

from typing import Any

import numpy as np

from uepgpu_kernels.cpu.compile import stage
from uepgpu_kernels.cpu.draw import draw_apart, draw_block, draw_racks, draw_round
from uepgpu_kernels.cpu.look_up import FEW, find_cells, look_up_each
from uepgpu_kernels.job import ERLANG
from uepgpu_kernels.streams import MESSAGES

__all__ = ["draw_in_messages"]

ONE = np.uint32(1)


@stage
def draw_in_messages(job: Any, first: Any, stride: Any, words: Any, cells: Any, out: Any) -> None:
    """Draw a cell for every packet and write its key as :func:`uepgpu_kernels.cpu.draw.draw_apart`, with its time of arrival."""
    draw_apart(job, first, stride, words, cells, out)
    if job.arrival.shape[0] > 0:
        read_done(job, first, stride, words, cells, out)
    elif job.progress == ERLANG:
        draw_increments(job, first, stride, words, cells, out)
    elif job.most_work == job.messages:
        draw_alike(job, first, stride, words, cells, out)
    else:
        draw_done(job, first, stride, words, cells, out)


@stage
def set_time(key: Any, time: Any, cells: Any, n_times: Any) -> Any:
    """Return the key of a packet that arrives at `time` unless it is lost, given that of its window and work."""
    late = (key >> cells.shift) & ONE
    return (np.uint32(n_times if late else time) << cells.shift) | (key & np.uint32(cells.low))


@stage
def draw_alike(job: Any, first: Any, stride: Any, words: Any, cells: Any, out: Any) -> None:
    """Put times in the place of works where all are equal: those of message j are in one table for all lanes, or two."""
    m, lanes, racked = job.messages, words.shape[1], job.n_racks > 0
    kept, struck = words[words.shape[0] - 1], words[words.shape[0] - 2]
    if racked:
        draw_racks(job, first, stride, words)
    for w in range(job.due.shape[0]):
        if w % 4 == 0:
            draw_block(words, job.seed, first, stride, w // 4, MESSAGES)
        for j in range(m):
            row = out[w * m + j]
            for lane in range(lanes):
                kept[lane] = row[lane]
            if racked:
                find_cells(job, words[w % 4], job.struck[w] + j, cells.value, row)
                for lane in range(lanes):
                    struck[lane] = row[lane]
            find_cells(job, words[w % 4], job.due[w] + j, cells.value, row)
            if racked:
                state = words[4 + job.rack[w]]
                for lane in range(lanes):
                    row[lane] = struck[lane] if state[lane] != 0 else row[lane]
            for lane in range(lanes):
                row[lane] = set_time(kept[lane], np.uint32(row[lane]) >> cells.shift, cells, job.n_times)


@stage
def draw_done(job: Any, first: Any, stride: Any, words: Any, cells: Any, out: Any) -> None:
    """Put times in the place of works: each lane looks in the table of what its worker has done so far."""
    m, lanes, racked = job.messages, words.shape[1], job.n_racks > 0
    done, found, halvings = words[words.shape[0] - 2], words[words.shape[0] - 1], 0
    while job.guide_steps >> halvings > 0:
        halvings += 1
    if racked:
        draw_racks(job, first, stride, words)
    for w in range(job.due.shape[0]):
        if w % 4 == 0:
            draw_block(words, job.seed, first, stride, w // 4, MESSAGES)
        for lane in range(lanes):
            done[lane] = job.due[w] - 1
        if racked:
            state = words[4 + job.rack[w]]
            for lane in range(lanes):
                done[lane] = job.struck[w] - 1 if state[lane] != 0 else done[lane]
        for j in range(m):
            row = out[w * m + j]
            for lane in range(lanes):
                done[lane] += np.uint32(row[lane]) >> (cells.shift + 1)
            look_up_each(
                words[w % 4], done, job.threshold, job.n_threshold, job.guide, job.guide_shift, halvings, found
            )  # cells of arrivals are times
            for lane in range(lanes):
                row[lane] = set_time(np.uint32(row[lane]), found[lane], cells, job.n_times)


@stage
def draw_increments(job: Any, first: Any, stride: Any, words: Any, cells: Any, out: Any) -> None:
    """Put times in the place of works: one more for every deadline by which a message has not come."""
    m, lanes, racked, n = job.messages, words.shape[1], job.n_racks > 0, job.due.shape[0]
    start, held, halvings = words.shape[0] - 2 - n, -1, 0
    table, found = words[words.shape[0] - 2], words[words.shape[0] - 1]
    one, never = np.uint32(1) << cells.shift, np.uint32(job.n_times)
    while job.guide_steps >> halvings > 0:
        halvings += 1
    if racked:
        draw_racks(job, first, stride, words)
    for p in range(n * m):
        row = out[p]
        for lane in range(lanes):
            row[lane] = set_time(np.uint32(row[lane]), 0, cells, job.n_times)
    for w in range(n):
        for lane in range(lanes):
            words[start + w, lane] = 0
    for d in range(job.n_times):
        for w in range(n):
            at = d * n + w
            if at // 4 != held:
                held = at // 4
                draw_block(words, job.seed, first, stride, held, MESSAGES)
            word, come = words[at % 4], words[start + w]
            g = job.due[w] + d
            if not racked and job.n_threshold[g] <= FEW:
                for c in range(job.n_threshold[g]):
                    least = job.threshold[g, c]
                    for lane in range(lanes):
                        come[lane] += word[lane] >= least
            else:
                for lane in range(lanes):
                    table[lane] = g
                if racked:
                    state = words[4 + job.rack[w]]
                    for lane in range(lanes):
                        table[lane] = job.struck[w] + d if state[lane] != 0 else g
                look_up_each(word, table, job.threshold, job.n_threshold, job.guide, job.guide_shift, halvings, found)
                for lane in range(lanes):
                    come[lane] += found[lane]
            for j in range(m):
                row = out[w * m + j]
                # What is lost has the last time already.
                for lane in range(lanes):
                    key = np.uint32(row[lane])
                    row[lane] = key + (one if come[lane] <= j and (key >> cells.shift) < never else np.uint32(0))


@stage
def read_done(job: Any, first: Any, stride: Any, words: Any, cells: Any, out: Any) -> None:
    """Put times in the place of works: those at which the round of a trace has done what a worker has done so far."""
    m, lanes = job.messages, words.shape[1]
    draw_round(job, first, stride, words)
    row_of, done = words[4], words[words.shape[0] - 1]
    for w in range(job.arrival.shape[2]):
        for lane in range(lanes):
            done[lane] = 0
        for j in range(m):
            row = out[w * m + j]
            for lane in range(lanes):
                key = np.uint32(row[lane])
                done[lane] += key >> (cells.shift + 1)
                column = words[5 + w, lane] if job.shuffle else w
                row[lane] = set_time(key, job.arrival[done[lane] - 1, row_of[lane], column], cells, job.n_times)
