"""The UEP-30 job: EW, W = 30, k = (3, 3, 3), Γ = (.40, .35, .25), 22 deadlines 0:0.05:1.05, Ω = 1, unit work."""

from __future__ import annotations

import numpy as np
from numba import njit

import uepgpu as uep
from bench.peers import numba_elimination, numpy_loop
from uepgpu_kernels.cpu.draw import draw_block

GAMMA = (0.40, 0.35, 0.25)
DEADLINES = np.arange(22) * 0.05
CODE = uep.codes.ExpandingWindow(gamma=GAMMA)
PARTITION = uep.Partition.model(
    "rxc", left_variances=(10, 1, 0.1), right_variances=(10, 1, 0.1), shape=(300, 900, 300), classes=(3, 3, 3)
)
WORKERS = uep.Workers(30, omega=1.0, work="unit")
SIZES = np.array([3, 3, 3])
CLASS_ENERGY = np.diag(PARTITION.class_gram) / PARTITION.norm2
SUPPORTS = np.array([PARTITION.classes <= label for label in (1, 2, 3)])


def simulate(realizations, *, domain, decoder="auto", backend="numba", threads=1, seed=1, code=CODE):
    """Simulate and return the Dataset of losses with standard errors, in either domain."""
    kwargs = {"realizations": realizations, "seed": seed, "backend": backend, "decoder": decoder, "threads": threads}
    if domain == "count":
        return uep.simulate(code, PARTITION, WORKERS, **kwargs).loss(PARTITION, workers=WORKERS, deadlines=DEADLINES)
    return uep.simulate(code, PARTITION, WORKERS, deadlines=DEADLINES, **kwargs).loss(PARTITION)


def peer(realizations, seed=1):
    """Return the peer's mean normalized losses and their standard errors, shape (22,) each."""
    total, square = numba_elimination(realizations, seed, 30, SIZES, np.array(GAMMA), CLASS_ENERGY, DEADLINES)
    mean = total / realizations
    return mean, np.sqrt(np.maximum(square / realizations - mean**2, 0) / realizations)


def numpy_peer(realizations, seed=1):
    """Return the per-trial NumPy loop's losses, shape (realizations, 22)."""
    return numpy_loop(realizations, seed, 30, SUPPORTS, np.array(GAMMA), PARTITION.energy / PARTITION.norm2, DEADLINES)


@njit
def _floor(realizations, seed, blocks):
    words = np.empty((4, 256), dtype=np.uint32)
    total = np.uint64(0)
    for done in range(0, realizations, 256):
        for block in range(blocks):
            draw_block(words, seed, np.uint64(done), np.uint64(1), block, np.uint64(0))
            total += words[0, 0]
    return total


def draw_floor(realizations, domain):
    """Draw the words of so many realizations and nothing else: 8 for 30 packets where they are counted, else 30, four a block."""
    return _floor(realizations, np.uint64(1), 2 if domain == "count" else 8)
