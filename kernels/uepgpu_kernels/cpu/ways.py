"""The ways in which packets are drawn and put in order. Loop nests are compiled for one of them, and without the others.

A nest that asked its job would be compiled with all, which takes twice as long.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

from uepgpu_kernels.cpu.compile import stage
from uepgpu_kernels.cpu.draw import (
    draw_apart,
    draw_counted,
    draw_in_racks,
    draw_in_states,
    draw_in_trace,
    permute,
    sort_columns,
)
from uepgpu_kernels.cpu.draw_messages import draw_in_messages
from uepgpu_kernels.job import BY_INDEX, BY_PERMUTATION, BY_TIME, Job

__all__ = ["WAYS", "Way", "draw_by_packet", "draw_by_window", "way_of"]

PACKET_BITS = 16


class Way(NamedTuple):
    """What a nest is compiled for."""

    name: str
    order: int
    draw: Callable[..., None]  # (job, first, stride, words, cells, out): a cell for every packet


WAYS = {
    way.name: way
    for way in (
        Way("counted", BY_INDEX, draw_counted),
        Way("permuted", BY_PERMUTATION, draw_apart),
        Way("timed", BY_TIME, draw_apart),
        Way("racks", BY_TIME, draw_in_racks),
        Way("states", BY_TIME, draw_in_states),
        Way("trace", BY_TIME, draw_in_trace),
        Way("messages", BY_TIME, draw_in_messages),
    )
}


def way_of(job: Job) -> Way:
    """Return the way of a job."""
    if job.order != BY_TIME:
        return WAYS["counted" if job.order == BY_INDEX else "permuted"]
    if job.n_states > 0 or job.messages > 1:
        return WAYS["states" if job.n_states > 0 else "messages"]
    return WAYS["racks" if job.n_racks > 0 else "trace" if job.arrival.shape[0] > 0 else "timed"]


@functools.cache
def draw_by_packet(way: Way) -> Any:
    """Return the step that fills `packet` and `time` in order of arrival, and `window` by packet; `keys` is uint32 scratch."""
    by_time, permuted, draw = way.order == BY_TIME, way.order == BY_PERMUTATION, way.draw

    @stage
    def step(job: Any, first: Any, stride: Any, cells: Any, words: Any, window: Any, keys: Any, packet: Any, time: Any) -> None:
        n, lanes = job.n_packets, keys.shape[1]
        draw(job, first, stride, words, cells, keys)
        for w in range(n):
            for lane in range(lanes):
                window[w, lane] = keys[w, lane] & cells.low if by_time else keys[w, lane]
            for lane in range(lanes):
                keys[w, lane] = ((keys[w, lane] >> cells.shift) << PACKET_BITS) | w if by_time else w
        if by_time:
            sort_columns(keys, cells.network)
        if permuted:
            permute(job, first, stride, words, keys, packet)
        else:
            for w in range(n):
                for lane in range(lanes):
                    packet[w, lane] = keys[w, lane]
        for w in range(n):
            for lane in range(lanes):
                time[w, lane] = keys[w, lane] >> PACKET_BITS if by_time else w + 1

    return step


@functools.cache
def draw_by_window(way: Way) -> Any:
    """Return the step that fills `window` in order of arrival; by time also `keys`: time above `cells.shift`, the window below."""
    by_time, counted, draw = way.order == BY_TIME, way.order == BY_INDEX, way.draw

    @stage
    def step(job: Any, first: Any, stride: Any, cells: Any, words: Any, keys: Any, window: Any) -> None:
        if counted:
            draw(job, first, stride, words, cells, window)
        else:
            draw(job, first, stride, words, cells, keys)
            if by_time:
                sort_columns(keys, cells.network)
                for w in range(job.n_packets):
                    for lane in range(keys.shape[1]):
                        window[w, lane] = keys[w, lane] & cells.low
            else:
                permute(job, first, stride, words, keys, window)

    return step
