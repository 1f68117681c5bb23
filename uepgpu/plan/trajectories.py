"""Trajectories of rounds: which may be asked for, what their rounds are called, and cells of workers with states.

Of these, one word decides what a packet does in a round, the state in the next round included.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from uepgpu.checks import integer, shown
from uepgpu.codes.supports import SupportLaw
from uepgpu.latency import Trace
from uepgpu.plan.cells import Cells, deadline_cells
from uepgpu.workers import Markov, Workers

__all__ = ["MOST_ROUNDS", "check_rounds", "problem_of_round", "state_cells"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

END = 2.0**32
MOST_ROUNDS = 100_000


def check_rounds(rounds: object, workers: Workers) -> int:
    """Return the number of rounds of trajectories.

    Raises
    ------
    ValueError
        It is out of range, or workers have no rounds.
    """
    number = integer("rounds", rounds, 1, MOST_ROUNDS)
    if workers.states is None and not isinstance(workers.latency, Trace):
        raise ValueError(f"rounds={shown(rounds)} needs workers with states or a trace, got {workers.describe_latency()}")
    return number


def problem_of_round(problem: str, number: int) -> str:
    """Return what tells the tally of a round apart, from that of round 0."""
    return problem if number == 0 else hashlib.sha256(f"uepgpu round 1\0{problem}\0{number}".encode()).hexdigest()


def state_cells(law: SupportLaw, rank: Ints, workers: Workers, states: Markov, times: Floats) -> Cells:
    """Return the tables of round 0, then those of later rounds by the state of the worker.

    Each cell (window, time) of workers with one law, that of a single round or that of a state, is split by the next state:
    in round 0 in the shares that its words in the tables of states have, so that only the next state is new.
    """
    each = [deadline_cells(law, rank, w, times) for w in (workers, *(_of(workers, own) for own in states.laws))]
    size = max(cells[0].shape[1] for cells in each)
    widths = [_widths(cells, size) for cells in each]  # (G, C)
    table, start = np.asarray(states.transition), states.stationary
    joint = np.einsum("s,sgc,sn->gcn", start, np.array(widths[1:]), table)
    # A cell that is too unlikely for any state's table to have words: as if nothing were known.
    known = joint.sum(axis=2, keepdims=True) > 0
    shares = [np.where(known, joint, start @ table), *(np.broadcast_to(row, joint.shape) for row in table)]
    split = [_split(width, share) for width, share in zip(widths, shares, strict=True)]
    ends = np.concatenate(split)  # (G (S + 1), C S)
    n_threshold = np.count_nonzero(ends < END, axis=1)
    most = int(n_threshold.max()) + 1
    threshold = np.full((len(ends), most), 2**32 - 1, dtype=np.uint32)
    for row, end, n in zip(threshold, ends, n_threshold, strict=True):
        row[:n] = end[:n]

    def of_cells(field: int) -> NDArray[np.uint16]:
        rows = np.zeros((len(widths[0]), size), dtype=np.uint16)
        for cells in each:  # cells of one number are the same in all, and each has those that it can reach
            for row, own, n in zip(rows, cells[field], cells[1].tolist(), strict=True):
                row[: n + 1] = own[: n + 1]
        return np.tile(np.repeat(rows, len(table), axis=1)[:, :most], (len(each), 1))

    return threshold, n_threshold.astype(np.int64), of_cells(2), of_cells(3), each[0][4]


def _of(workers: Workers, law: object) -> Workers:
    return replace(workers, states=None, latency=law)  # type: ignore[arg-type]


def _widths(cells: Cells, size: int) -> Floats:
    """Return how many words each cell has, shape (G, size)."""
    threshold, n_threshold, *_ = cells
    found = np.zeros((len(threshold), size))
    for row, ends, n in zip(found, threshold, n_threshold.tolist(), strict=True):
        row[: n + 1] = np.diff([0.0, *ends[:n].tolist(), END])
    return found


def _split(width: Floats, share: Floats) -> Floats:
    """Return where the parts of cells end, shape (G, C·S), whole numbers: of cells that begin where the last one ends."""
    before = np.cumsum(width, axis=1) - width
    part = np.cumsum(share, axis=2) / share.sum(axis=2, keepdims=True)
    part[:, :, -1] = 1.0
    inside = np.floor(width[:, :, None] * part)
    return np.asarray((before[:, :, None] + inside).reshape(len(width), -1))
