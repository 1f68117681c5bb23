"""Deadlines and numbers of workers for a loss, from tallies: the estimates, the intervals, and which tallies answer."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from tests.cases.paper import CXR, EW, NOW, PAPER, RXC
from tests.cases.refusals import cases, refused
from tests.cases.tallies import run
from uepgpu import Workers, codes, latency, simulate, theory
from uepgpu.monte_carlo import decode_times
from uepgpu_kernels.job import SUB_BATCHES

OTHER = Workers(30, latency=latency.Weibull(1.5, 0.8), omega=1.2, work="unit")
TARGETS = (0.5, 0.05)
ENDS = ("", "_low", "_high")


@pytest.mark.parametrize("workers", [PAPER, OTHER], ids=["simulated law", "another law"])
@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_count_domain_answers_are_roots_of_the_loss_and_of_its_bounds(workers, backend):
    tally = run(code=NOW, realizations=4000, backend=backend)
    found = tally.deadline_for(RXC, loss=TARGETS, workers=workers)
    for end in ENDS:
        curve = tally.loss(RXC, workers=workers, deadlines=np.sort(found[f"deadline{end}"].values))
        np.testing.assert_allclose(curve[f"normalized_loss{end}"].values[::-1], sorted(TARGETS), atol=1e-9)
    assert np.all(found.deadline_low < found.deadline)
    assert np.all(found.deadline < found.deadline_high)


def test_answers_of_tallies_approach_the_exact_ones():
    exact = theory.deadline_for(EW, RXC, OTHER, loss=TARGETS).deadline.values
    found = simulate(EW, RXC, PAPER, realizations=200_000, seed=5).deadline_for(RXC, loss=TARGETS, workers=OTHER)
    # Four standard errors, one being a quarter of the 95 % interval.
    assert np.all(np.abs(found.deadline - exact) <= found.deadline_high - found.deadline_low)
    assert np.all(found.deadline_high - found.deadline_low < 0.01)
    fewest = theory.workers_for(EW, RXC, PAPER, loss=TARGETS, deadline=0.6).workers.values
    found = simulate(EW, RXC, PAPER, realizations=200_000, seed=5).workers_for(RXC, loss=TARGETS, workers=PAPER, deadline=0.6)
    assert found.workers.values.tolist() == fewest.tolist()
    assert np.all(found.workers_low <= fewest)
    assert np.all(fewest <= found.workers_high)


def test_deadline_domain_answers_lie_on_the_grid():
    grid = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
    tally = run(code=EW, realizations=300, deadlines=grid)
    curve = tally.loss(RXC)
    found = tally.deadline_for(RXC, loss=[1.0, 0.6, 0.05, 1e-9])
    for i, target in enumerate((1.0, 0.6, 0.05)):
        t = found.deadline.values[i]
        at = grid.index(t)
        assert curve.normalized_loss.values[at] <= target
        assert np.all(curve.normalized_loss.values[:at] > target)
        low, high = found.deadline_low.values[i], found.deadline_high.values[i]
        assert low == max([0.0, *(g for g, x in zip(grid, curve.normalized_loss_low.values, strict=True) if x > target)])
        assert high == min([math.inf, *(g for g, x in zip(grid, curve.normalized_loss_high.values, strict=True) if x <= target)])
    assert found.deadline_low.values[0] == 0.0
    assert [found[f"deadline{end}"].values[3] for end in ("", "_high")] == [math.inf, math.inf]


def test_more_workers_than_were_simulated_are_not_guessed():
    found = run(code=EW, realizations=300).workers_for(RXC, loss=[1.0, 1e-9], workers=PAPER, deadline=0.3)
    assert found.workers.values.tolist() == [1.0, math.inf]
    assert found.workers_high.values[1] == math.inf


# --- coverage ---------------------------------------------------------------------------------------------------------


def counted_runs(n, runs):
    """Tallies of NOW in the count domain over consecutive realizations."""
    first = run(code=NOW, realizations=n)
    when = decode_times(NOW, RXC, PAPER, realizations=n * runs, seed=29)
    of_class = np.stack([when[:, RXC.classes == c].max(axis=1) for c in (1, 2, 3)], axis=1)
    patterns = ((of_class[:, None, :] <= np.arange(31)[None, :, None]) << np.arange(3)).sum(axis=2)
    for own in patterns.reshape(runs, n, 31):
        counted = np.zeros_like(first.patterns)
        np.add.at(counted, (np.arange(n)[:, None] % SUB_BATCHES, np.arange(31)[None, :], own), 1)
        yield replace(first, patterns=counted)


def test_intervals_of_count_domain_answers_cover():
    runs = 25
    exact = theory.deadline_for(NOW, RXC, PAPER, loss=0.2).deadline.item()
    fewest = theory.workers_for(NOW, RXC, PAPER, loss=0.2, deadline=0.5).workers.item()
    held = np.zeros(2)
    for tally in counted_runs(200, runs):
        found = tally.deadline_for(RXC, loss=0.2, workers=PAPER)
        held[0] += found.deadline_low.item() <= exact <= found.deadline_high.item()
        found = tally.workers_for(RXC, loss=0.2, workers=PAPER, deadline=0.5)
        held[1] += found.workers_low.item() <= fewest <= found.workers_high.item()
    assert np.all(held / runs >= 0.86), held / runs  # 95 % less two standard errors of 25 runs


def test_intervals_of_deadline_domain_answers_cover():
    runs, grid = 300, tuple(np.arange(1, 13) * 0.05)
    law = theory.loss_distribution(EW, RXC, PAPER, deadlines=grid)
    exact = theory.deadline_for(EW, RXC, PAPER, loss=0.1).deadline.item()
    first, rng, held, narrow = run(code=EW, realizations=150, deadlines=grid), np.random.default_rng(31), 0, 0
    for _ in range(runs):
        # One uniform number a realization decides its outcome at all deadlines, so that losses fall in time.
        word = rng.random((150, 1))
        outcome = [(word >= np.cumsum(p)[:3]).sum(axis=1) for p in law.probability.values]
        patterns = np.zeros_like(first.patterns)
        for t, own in enumerate(outcome):
            np.add.at(patterns, (np.arange(150) % SUB_BATCHES, t, np.array([0b111, 0b011, 0b001, 0])[own]), 1)
        found = replace(first, patterns=patterns).deadline_for(RXC, loss=0.1)
        held += found.deadline_low.item() < exact <= found.deadline_high.item()
        narrow += found.deadline_high.item() - found.deadline_low.item() < 0.21
    assert held / runs >= 0.925  # 95 % less two standard errors of 300 runs
    assert narrow / runs > 0.9


# --- refusals ---------------------------------------------------------------------------------------------------------

COUNTED, TIMED = run(), run(deadlines=(0.3, 0.6))
TIED = run(code=codes.ExpandingWindow((0.40, 0.35, 0.25), windows="fixed"))
BAD = cases(
    deadline={
        "no workers": (lambda: COUNTED.deadline_for(RXC, loss=0.1), "workers must be given for a count-domain tally"),
        "workers": (lambda: TIMED.deadline_for(RXC, loss=0.1, workers=PAPER), "workers and deadlines are for count-domain tallies"),
        "no pool": (lambda: COUNTED.deadline_for(RXC, loss=0.1, workers=30), "workers must be a uepgpu.Workers", "30"),
        "too many": (lambda: COUNTED.deadline_for(RXC, loss=0.1, workers=Workers(31, omega="fair")), "W = 31 does not fit"),
        "loss": (lambda: COUNTED.deadline_for(RXC, loss=-1, workers=PAPER), "loss must be finite normalized losses >= 0", "-1"),
        "part": (lambda: COUNTED.deadline_for(None, loss=0.1, workers=PAPER), "part must be a uepgpu.Partition", "None"),
        "classes": (
            lambda: TIMED.deadline_for(replace(CXR, classes=np.arange(1, 4).repeat(3)[::-1]), loss=0.1),
            "the partition's classes",
            "differ",
        ),
    },
    workers={
        "timed": (
            lambda: TIMED.workers_for(RXC, loss=0.1, workers=PAPER, deadline=1),
            "was simulated at fixed deadlines",
            "W = 30",
        ),
        "tied": (lambda: TIED.workers_for(RXC, loss=0.1, workers=PAPER, deadline=1), "packets that are tied to workers", "W = 30"),
        "deadline": (
            lambda: COUNTED.workers_for(RXC, loss=0.1, workers=PAPER, deadline="1"),
            "deadline must be a finite number >= 0",
        ),
        "speeds": (
            lambda: COUNTED.workers_for(RXC, loss=0.1, workers=Workers(2, speeds=(1, 2), omega="fair"), deadline=1),
            "workers must be equal for their number to be asked for",
        ),
    },
)


@pytest.mark.parametrize("call, pieces", BAD)
def test_bad_values_are_refused(call, pieces):
    refused(call, pieces)
