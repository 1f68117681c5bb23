"""Every model of stragglers, on problems that reach its draws on each backend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.cases.problems import EW, GAMMA, LEVEL_PAIR, RXC, SLOW, Problem, line, recorded
from uepgpu import Backup, Markov, Racks, Workers, codes
from uepgpu.latency import Exponential, Pareto, Staged, Trace, Weibull

__all__ = ["ELSE", "FIVE", "GILBERT", "MODELS", "THREE", "TIMES", "Model"]

GOOD, BAD = Exponential(1.0), Exponential(0.1)
GILBERT = Markov([[0.9, 0.1], [0.3, 0.7]], [GOOD, BAD])
THREE = Markov([[0.5, 0.5, 0.0], [0.2, 0.3, 0.5], [0.6, 0.0, 0.4]], [GOOD, BAD, Exponential(5.0)])
FIVE = Markov(np.full((5, 5), 0.05) + 0.75 * np.eye(5)[[1, 2, 3, 4, 0]], [Exponential(rate) for rate in (3.0, 1.0, 0.5, 0.2, 0.05)])
"""Mostly in a circle, and of more states than two bits hold."""

TIMES = (0.3, 0.6, 0.6, 2.0)


@dataclass(frozen=True)
class Model:
    """A problem whose workers are of a model, how it is decoded, and of how many rounds a trajectory is; None: of no rounds.

    A general kernel serves those that are `listed`, though there is a faster one, which takes longer to compile.
    """

    code: Any
    workers: Workers
    part: Any = RXC
    decoder: str = "count"
    rounds: int | None = None
    listed: bool = False

    @property
    def problem(self) -> Problem:
        """What `simulate` takes."""
        return Problem(self.code, self.part, self.workers, TIMES)


def unit(**options: Any) -> Workers:
    return Workers(30, **({"omega": 1.0, "work": "unit"} | options))


def traced(replay: str, shuffle: bool = False, block: float | None = None, **options: Any) -> Workers:
    return unit(latency=Trace(recorded(7, 30), replay, shuffle, block), **options)


THIRTY = tuple((Exponential(1.0), Weibull(0.7), Pareto(1.5, 0.2))[w % 3] for w in range(30))
FIXED = codes.ExpandingWindow(GAMMA, windows="fixed")
GF2 = codes.NonOverlappingWindow(GAMMA, coefficients="gf2")
SPEEDS = tuple(1.0 - 0.5 * (w % 2) for w in range(60))
SIXTY = Racks(range(60), 0.4, SLOW)

MODELS = {
    "a law for every worker": Model(EW, unit(latency=THIRTY)),
    "stages": Model(EW, unit(latency=Staged(Exponential(2.0), Exponential(5.0), 0.05)), listed=True),
    "second tries": Model(EW, unit(latency=Pareto(1.5, 0.2), backup=Backup(0.3)), listed=True),
    "dark racks": Model(EW, unit(racks=Racks([w // 5 for w in range(30)], 0.3))),
    "slow racks": Model(EW, Workers(60, speeds=SPEEDS, omega=1.0, work="unit", racks=SIXTY), listed=True),
    "a trace in order": Model(EW, traced("order"), listed=True),
    "a trace at random": Model(EW, traced("random", loss_probability=0.1), listed=True),
    "a shuffled trace": Model(FIXED, traced("order", True), listed=True),
    "states": Model(EW, unit(states=GILBERT), rounds=4),
    "three states, matched": Model(EW, unit(states=THREE), decoder="match", rounds=4),
    "states of packets tied to workers": Model(FIXED, unit(states=THREE, loss_probability=0.2), rounds=3, listed=True),
    "five states, two speeds, true work": Model(LEVEL_PAIR, Workers(41, states=FIVE, speeds=SPEEDS[:41]), rounds=4),
    "rounds of a trace in order": Model(EW, traced("order"), rounds=9, listed=True),
    "rounds of a trace at random": Model(EW, traced("random", loss_probability=0.1), rounds=3, listed=True),
    "rounds of a shuffled trace in blocks": Model(FIXED, traced("blocks", True, 3.0), rounds=6),
    "rounds of a trace in blocks of one": Model(EW, traced("blocks", block=1.0), rounds=3, listed=True),
}

ELSE = {
    "five states, peeled": Model(codes.LT(), Workers(9, states=FIVE, omega=1.0, work="unit"), line(2, 3), decoder="peel", rounds=4),
    "states, eliminated": Model(GF2, Workers(41, states=GILBERT, omega=1.0, work="unit"), decoder="eliminate", rounds=3),
    "a trace in blocks, eliminated": Model(GF2, traced("blocks", block=3.0), decoder="eliminate", rounds=4),
    "one state, one packet": Model(EW, Workers(1, states=Markov([[1.0]], [GOOD]), omega=1.0, work="unit"), rounds=2),
    "K = 64": Model(EW, Workers(65, states=THREE, work="unit"), line(4, 20, 40), rounds=2),
    "eight windows": Model(codes.NonOverlappingWindow([0.125] * 8), unit(states=FIVE), line(*[1] * 8), rounds=2),
}
"""Trajectories whose draws are those of `MODELS`, decoded otherwise."""
