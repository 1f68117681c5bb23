"""Draws of a tile of realizations: words, then windows and arrival times, then the order of arrival.

Arrays of a tile have one row per packet and one column (lane) per realization, so that the inner loop runs over lanes
and LLVM vectorises it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from uepgpu_kernels.bodies.philox import MASK, SHIFT, philox4x32
from uepgpu_kernels.bodies.sample import ORDER_STREAM, below
from uepgpu_kernels.cpu.compile import stage

__all__ = ["draw_arrivals", "draw_windows", "permute", "sort_columns", "split_keys"]

FEW = 8
"""Up to so many thresholds, comparing with all of them beats a guide table."""

KEY_SHIFT = np.uint32(16)
LOW_HALF = np.uint32(0xFFFF)


@stage
def draw_block(words: Any, seed: Any, first: Any, stride: Any, block: Any, stream: Any) -> None:
    """Write block `block` of a stream into four rows, for realizations first, first + stride, …"""
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


@stage
def draw_windows(job: Any, first: Any, stride: Any, words: Any, window: Any) -> None:
    """Draw the windows of all packets; arrival times are not looked at."""
    lanes = words.shape[1]
    for w in range(job.n_packets):
        g = job.group[w]
        n = job.n_threshold[g]
        if w % 4 == 0:
            draw_block(words, job.seed, first, stride, w // 4, np.uint64(0))
        row = words[w % 4]
        out = window[w]
        if n <= FEW:
            for lane in range(lanes):
                out[lane] = 0
            for c in range(n):
                threshold = job.threshold[g, c]
                for lane in range(lanes):
                    out[lane] += row[lane] >= threshold
            plain = True
            for c in range(n + 1):
                plain = plain and job.cell_window[g, c] == c
            if not plain:
                for lane in range(lanes):
                    out[lane] = job.cell_window[g, out[lane]]
        else:
            for lane in range(lanes):
                out[lane] = job.cell_window[g, find_cell(job, g, n, row[lane])]


@stage
def find_cell(job: Any, g: Any, n: Any, word: Any) -> Any:
    """Return the number of thresholds of table g that are <= word."""
    c = np.intp(job.guide[g, np.intp(word >> job.guide_shift)])
    while c < n and word >= job.threshold[g, c]:
        c += 1
    return c


@stage
def draw_arrivals(job: Any, first: Any, stride: Any, words: Any, window: Any, keys: Any, by_packet: Any) -> None:
    """Draw windows and arrival times; a key is the time index in its upper half and in its lower the packet or the window."""
    lanes = words.shape[1]
    for w in range(job.n_packets):
        g = job.group[w]
        n = job.n_threshold[g]
        if w % 4 == 0:
            draw_block(words, job.seed, first, stride, w // 4, np.uint64(0))
        for lane in range(lanes):
            c = find_cell(job, g, n, words[w % 4, lane])
            s = job.cell_window[g, c]
            window[w, lane] = s
            tag = np.uint32(w) if by_packet else np.uint32(s)
            keys[w, lane] = (np.uint32(job.cell_time[g, c]) << KEY_SHIFT) | tag


@stage
def sort_columns(keys: Any, n: Any) -> None:
    """Sort each column of the first n rows by Batcher's merge-exchange network (Knuth vol. 3, algorithm 5.2.2M)."""
    lanes = keys.shape[1]
    top = 1
    while 2 * top < n:
        top *= 2
    p = top
    while p > 0:
        q = top
        r = 0
        d = p
        while True:
            for i in range(n - d):
                if (i & p) == r:
                    a = keys[i]
                    b = keys[i + d]
                    for lane in range(lanes):
                        x = a[lane]
                        y = b[lane]
                        a[lane] = min(x, y)
                        b[lane] = max(x, y)
            if q == p:
                break
            d = q - p
            q //= 2
            r = p
        p //= 2


@stage
def split_keys(keys: Any, tag: Any, time: Any, n: Any) -> None:
    """Split sorted keys into tags (window or packet) and time indices."""
    for w in range(n):
        for lane in range(keys.shape[1]):
            tag[w, lane] = keys[w, lane] & LOW_HALF
        for lane in range(keys.shape[1]):
            time[w, lane] = keys[w, lane] >> KEY_SHIFT


@stage
def permute(job: Any, first: Any, stride: Any, words: Any, order: Any) -> None:
    """Write a random permutation of the packets into each column (Fisher-Yates from the last packet down)."""
    lanes = words.shape[1]
    n = job.n_packets
    for w in range(n):
        for lane in range(lanes):
            order[w, lane] = w
    held = -1
    for i in range(n - 1, 0, -1):
        if i // 4 != held:
            held = i // 4
            draw_block(words, job.seed, first, stride, held, ORDER_STREAM)
        for lane in range(lanes):
            j = np.intp(below(np.uint64(words[i % 4, lane]), np.uint64(i + 1)))
            x = order[i, lane]
            order[i, lane] = order[j, lane]
            order[j, lane] = x
