"""Every model of stragglers, on problems that reach its draws on each backend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.cases.problems import EW, GAMMA, LEVEL_PAIR, RXC, SLOW, SLOW_HALF, Problem, line, recorded
from uepgpu import Backup, Markov, Racks, Workers, codes
from uepgpu.latency import Exponential, Pareto, Staged, Trace, Weibull

__all__ = ["FIVE", "GILBERT", "MODELS", "THREE", "TIMES", "Model", "trajectories"]

GOOD, BAD = Exponential(1.0), Exponential(0.1)
GILBERT = Markov([[0.9, 0.1], [0.3, 0.7]], [GOOD, BAD])
THREE = Markov([[0.5, 0.5, 0.0], [0.2, 0.3, 0.5], [0.6, 0.0, 0.4]], [GOOD, BAD, Exponential(5.0)])
FIVE = Markov(np.full((5, 5), 0.05) + 0.75 * np.eye(5)[[1, 2, 3, 4, 0]], [Exponential(rate) for rate in (3.0, 1.0, 0.5, 0.2, 0.05)])
"""Mostly in a circle, and of more states than two bits hold."""

TIMES = (0.3, 0.6, 0.6, 2.0)


@dataclass(frozen=True)
class Model:
    """A problem whose workers are of a model, how it is decoded, and of how many rounds a trajectory is; None: of no rounds."""

    code: Any
    workers: Workers
    part: Any = RXC
    decoder: str = "count"
    rounds: int | None = None

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
OTHERS = codes.NonOverlappingWindow(GAMMA, coefficients="gf2")
FORTY = Workers(41, states=GILBERT, omega=1.0, work="unit")

MODELS = {
    "a law for every worker": Model(EW, unit(latency=THIRTY)),
    "stages": Model(EW, unit(latency=Staged(Exponential(2.0), Exponential(5.0), 0.05))),
    "second tries": Model(EW, unit(latency=Pareto(1.5, 0.2), backup=Backup(0.3))),
    "dark racks": Model(EW, unit(racks=Racks([w // 5 for w in range(30)], 0.3))),
    "slow racks": Model(EW, unit(racks=Racks([w % 7 for w in range(30)], 0.4, SLOW), speeds=SLOW_HALF)),
    "a trace in order": Model(EW, traced("order")),
    "a trace at random": Model(EW, traced("random", loss_probability=0.1)),
    "a shuffled trace": Model(FIXED, traced("order", True)),
    "states": Model(EW, unit(states=GILBERT), rounds=4),
    "states of three kinds, decoded by matching": Model(EW, unit(states=THREE), decoder="match", rounds=4),
    "states of packets tied to workers": Model(FIXED, unit(states=THREE, loss_probability=0.2), rounds=3),
    "five states, two speeds, true work": Model(LEVEL_PAIR, Workers(30, states=FIVE, speeds=SLOW_HALF), rounds=4),
    "five states, drawn supports": Model(
        codes.LT(), Workers(9, states=FIVE, omega=1.0, work="unit"), line(2, 3), decoder="peel", rounds=4
    ),
    "states of 41 workers, eliminated": Model(OTHERS, FORTY, decoder="eliminate", rounds=3),
    "rounds of a trace in order": Model(EW, traced("order"), rounds=9),
    "rounds of a trace at random": Model(EW, traced("random", loss_probability=0.1), rounds=3),
    "rounds of a shuffled trace in blocks": Model(FIXED, traced("blocks", True, 3.0), rounds=6),
    "rounds of a trace in blocks, eliminated": Model(OTHERS, traced("blocks", block=3.0), decoder="eliminate", rounds=4),
    "rounds of a trace in blocks of one": Model(EW, traced("blocks", block=1.0), rounds=3),
}


def trajectories() -> dict[str, Model]:
    """Return the models of rounds."""
    return {name: model for name, model in MODELS.items() if model.rounds is not None}
