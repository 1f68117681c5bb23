"""The problems of the record: the four hot kernels, then every decoder, field, order of arrival and kind of tally."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

import uepgpu as uep
from uepgpu import codes, latency
from uepgpu.tally import Trajectories

__all__ = ["DEADLINES", "GAMMA", "HOT", "PROBLEMS", "Problem", "by_round", "digest", "equality_cases"]

GAMMA = (0.40, 0.35, 0.25)
DEADLINES = tuple(0.05 * i for i in range(22))
HOT = ("count", "match", "count, 22 deadlines", "match, 22 deadlines")
"""Names of the problems whose kernels have instruction counts on record."""

SEED = 7
BEYOND_32_BITS = 2**32 - 37
"""Ranges from here on cross 2^32, and begin at no multiple of 32."""


@dataclass(frozen=True, eq=False)
class Problem:
    """What is simulated."""

    code: Any
    part: uep.Partition
    workers: uep.Workers
    deadlines: tuple[float, ...] | None = None
    decoder: str = "auto"
    tally: str = "auto"
    rounds: int | None = None

    def simulate(self, realizations: int, backend: str, first: int = 0, **more: Any) -> uep.Tally | Trajectories:
        """Return the tally of a range, or of every round of it."""
        asked = {"deadlines": self.deadlines, "decoder": self.decoder, "tally": self.tally, "seed": SEED, "backend": backend}
        asked |= {"realizations": realizations, "first_realization": first, "rounds": self.rounds}
        return uep.simulate(self.code, self.part, self.workers, **asked, **more)


def _summands(*sizes: int) -> uep.Partition:
    k = sum(sizes)
    return uep.Partition.model("cxr", left_variances=np.linspace(10, 1, k), right_variances=np.ones(k), classes=sizes)


def _problems() -> dict[str, Problem]:
    v = (10, 1, 0.1)
    nine = uep.Partition.model("rxc", left_variances=v, right_variances=v, classes=(3, 3, 3))
    ew, now, lt = codes.ExpandingWindow(GAMMA), codes.NonOverlappingWindow(GAMMA), codes.LT()
    gf2, gf256 = codes.NonOverlappingWindow(GAMMA, coefficients="gf2"), codes.ExpandingWindow(GAMMA, coefficients="gf256")
    thirty = uep.Workers(30, omega=1.0, work="unit")
    sixty, many = (uep.Workers(n, omega="fair", work="unit") for n in (60, 80))
    speeds = uep.Workers(30, omega=1.0, speeds=[1.0 + w % 3 for w in range(30)], loss_probability=0.1)
    both = uep.Markov([[0.9, 0.1], [0.3, 0.7]], [latency.Exponential(1.0), latency.Exponential(0.1)])
    states = uep.Workers(30, states=both, omega=1.0, work="unit")
    table = ((7 * np.arange(30) + 11 * np.arange(40)[:, None]) % 41 + 1) / 40
    trace = uep.Workers(30, latency.Trace(table, "blocks", True, 4.0), omega=1.0, work="unit")
    found: dict[str, Problem] = {}
    for deadlines, when in ((None, ""), (DEADLINES, ", 22 deadlines")):
        found |= {
            f"count{when}": Problem(ew, nine, thirty, deadlines, "count"),
            f"match{when}": Problem(ew, nine, thirty, deadlines, "match"),
            f"eliminate{when}": Problem(ew, nine, thirty, deadlines, "eliminate"),
            f"peel{when}": Problem(ew, nine, thirty, deadlines, "peel"),
            f"NOW, marginals{when}": Problem(now, nine, thirty, deadlines, "match", "marginals"),
            f"MDS{when}": Problem(codes.MDS(), nine, thirty, deadlines),
            f"LT, peel, pairs{when}": Problem(lt, nine, thirty, deadlines, "peel", "pairs"),
            f"repetition{when}": Problem(codes.Repetition(2), nine, uep.Workers(18, omega="fair"), deadlines),
            f"GF(2){when}": Problem(gf2, nine, thirty, deadlines),
            f"GF(256){when}": Problem(gf256, nine, thirty, deadlines),
            f"K = 33, count{when}": Problem(ew, _summands(9, 12, 12), sixty, deadlines, "count"),
            f"K = 32, match{when}": Problem(
                ew, _summands(10, 10, 12), uep.Workers(64, omega="fair", work="unit"), deadlines, "match"
            ),
            f"K = 64, LT, match{when}": Problem(lt, _summands(16, 16, 32), many, deadlines, "match", "pairs"),
            f"K = 64, eliminate{when}": Problem(ew, _summands(16, 16, 32), many, deadlines, "eliminate"),
        }
    return found | {
        "speeds, lossy": Problem(ew, nine, speeds, DEADLINES, "count"),
        "W = 256": Problem(now, nine, uep.Workers(256, omega="fair", work="unit"), None, "count"),
        "200 deadlines": Problem(ew, nine, thirty, tuple(np.linspace(0, 1.05, 200).tolist()), "count"),
        "rounds of two states": Problem(ew, nine, states, DEADLINES, "count", rounds=5),
        "rounds of a trace in blocks": Problem(ew, nine, trace, DEADLINES, "count", rounds=5),
    }


PROBLEMS = _problems()


def by_round(found: uep.Tally | Trajectories) -> tuple[uep.Tally, ...]:
    """Return the tallies of all rounds; without rounds, the one."""
    return found.tallies if isinstance(found, Trajectories) else (found,)


def digest(found: uep.Tally | Trajectories) -> str:
    """Return a digest of all integers of a tally, or of those of every round."""
    arrays = [x for tally in by_round(found) for x in (tally.patterns, tally.pairs, tally.marginals)]
    if isinstance(found, Trajectories):
        arrays.append(found.squares)
    parts = (b"-" if x is None else x.astype("<i8").tobytes() for x in arrays)
    return hashlib.sha256(b"|".join(parts)).hexdigest()[:16]


def equality_cases(most: int = 3001) -> Iterator[tuple[str, Problem, int, int]]:
    """Give (label, problem, realizations, first); few realizations where a CPU is slow, `most` at most."""
    for name, problem in PROBLEMS.items():
        k = problem.part.n_subproducts
        n = min(most, 67 if k == 64 else 501 if k > 9 or problem.workers.count > 100 else 3001)
        for first in (0, BEYOND_32_BITS):
            yield f"{name}: {n} from {first}", problem, n, first
