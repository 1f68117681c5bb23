"""From a job to the loop nest of a decoder, with its tables filled in. An entry of the table of decoders names one of these."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from uepgpu_kernels.automaton import Automaton, automaton_of, undecoded_classes
from uepgpu_kernels.cpu.draw import Cells
from uepgpu_kernels.cpu.lockstep import run_automaton, run_chains
from uepgpu_kernels.cpu.one_by_one import run_eliminate, run_match, run_peel, run_real
from uepgpu_kernels.job import BY_TIME, Job
from uepgpu_kernels.network import merge_exchange

__all__ = ["Nest", "count", "eliminate", "match", "match_by_automaton", "match_by_paths", "peel", "real"]

Nest = Callable[..., None]
"""``(first, count, stride, transitions, pairs, marginals, record)``: adds realizations first, first + stride, ... to the arrays.

`transitions` ((T + 1)·2^L·L,), `pairs` (T + 1, K(K+1)/2) and `marginals` (T + 1, K) are counters by the time of decoding; the last
two may have no rows. `record` (count, K) takes the times themselves, or has no rows. All are int64.
"""


def count(job: Job) -> Nest:
    """Decode by counting along chains of windows."""
    narrow = _walk_type(job)
    cells, room = _cells(job, narrow), job.capacity.astype(narrow)
    return lambda first, n, stride, *out: run_chains(job, first, n, stride, cells, room, *out)


def match(job: Job) -> Nest:
    """Decode by matching: by the automaton where there is one."""
    automaton = automaton_of(job)
    return match_by_paths(job) if automaton is None else match_by_automaton(job, automaton)


def match_by_automaton(job: Job, automaton: Automaton) -> Nest:
    """Decode by walking the automaton: tables over state·S + window, where S is the number of windows."""
    narrow = _walk_type(job)
    n_windows = automaton.following.shape[1]
    following = (automaton.following * n_windows).astype(np.uint16).ravel()
    decoded = np.repeat(automaton.decoded, n_windows)
    classes = undecoded_classes(automaton, job).astype(np.uint8) << np.arange(job.n_classes, dtype=np.uint8)
    undecoded = np.repeat(classes.sum(axis=1).astype(np.uint8), n_windows)
    cells, tables = _cells(job, narrow), (following, decoded, undecoded, np.empty(0, dtype=narrow))
    return lambda first, n, stride, *out: run_automaton(job, first, n, stride, cells, *tables, *out)


def match_by_paths(job: Job) -> Nest:
    """Decode by alternating paths, packet by packet."""
    return _one_by_one(job, run_match)


def peel(job: Job) -> Nest:
    """Decode by peeling."""
    return _one_by_one(job, run_peel)


def eliminate(job: Job) -> Nest:
    """Decode by elimination over the job's finite field."""
    return _one_by_one(job, run_eliminate)


def real(job: Job) -> Nest:
    """Decode given real coefficients by elimination in float64."""
    return _one_by_one(job, run_real)


def _one_by_one(job: Job, entry: Any) -> Nest:
    cells = _cells(job, np.dtype(np.uint32))
    return lambda first, n, stride, *out: entry(job, first, n, stride, cells, *out)


def _walk_type(job: Job) -> np.dtype[Any]:
    """Return the narrowest integers that hold windows, numbers of packets and of sub-products."""
    most = max(job.n_packets + 1, job.k, int(job.cell_window.max()), job.support.shape[0] - 1)
    return np.dtype(np.uint8 if most <= 255 else np.uint16)


def _cells(job: Job, least: np.dtype[Any]) -> Cells:
    """Return what cells stand for, in the narrowest integers from `least` up."""
    most = int(job.cell_window.max())
    shift = most.bit_length()
    # Windows that are never drawn have no cell, and still their place in the walk.
    label = np.arange(max(most + 1, job.support.shape[0]), dtype=least)
    if job.order != BY_TIME:
        return Cells(job.cell_window.astype(least), shift, least.type(0), label, merge_exchange(0))
    key = (job.cell_time.astype(np.uint32) << shift) | job.cell_window
    narrow = np.promote_types(least, np.min_scalar_type(int(key.max())))
    return Cells(key.astype(narrow), shift, narrow.type((1 << shift) - 1), label, merge_exchange(job.n_packets))
