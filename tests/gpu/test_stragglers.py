"""Every model of stragglers gives the same integers in NumPy, Numba, the simulator and the executed PTX."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.cases.problems import line
from tests.cases.stragglers import ELSE, GILBERT, MODELS, TIMES, Model
from tests.gpu.emulation import emulated
from uepgpu import Workers
from uepgpu.backends import BACKENDS
from uepgpu.plan import make_plan, resolve_decoder

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("numba_cuda")]

FIRST = 2**32 - 37

FEW = Model(MODELS["states"].code, Workers(5, states=GILBERT, omega=1.0, work="unit"), line(1, 1, 2))
"""Of few states: one thread at a time, a large table would take minutes to copy."""


def tallied(backend, model, first, count):
    """Return patterns by round, of realizations that are not of rounds as if there were one."""
    plan = make_plan(model.code, model.part, model.workers, seed=7, deadlines=TIMES, rounds=model.rounds is not None)
    decoder = resolve_decoder(plan, model.decoder)
    if model.rounds is None:
        return [BACKENDS[backend].sampler(plan, decoder, "patterns", 1).run(first, count).patterns]
    sampler = BACKENDS[backend].round_sampler(plan, decoder, "patterns", 1)
    return [tally.patterns for tally in sampler.run_rounds(first, count, model.rounds).rounds]


@pytest.mark.parametrize("name", MODELS)
def test_the_executed_ptx_gives_the_tallies_of_numpy_and_numba(interpreter, name):
    model, count = MODELS[name], 67
    wanted = tallied("numpy", model, FIRST, count)
    assert np.array_equal(wanted, tallied("numba", model, FIRST, count))
    options = {"deadlines": TIMES, "rounds": model.rounds, "packed": not model.listed}
    job = emulated(interpreter, model.problem, "deadline", model.decoder, **options)
    found, _ = job.launch(FIRST, count, threads=2)
    assert np.array_equal(found if model.rounds else [found], wanted)
    if name == "states":
        plan = make_plan(model.code, model.part, model.workers, seed=7, deadlines=TIMES, rounds=True)
        numpy = BACKENDS["numpy"].round_sampler(plan, resolve_decoder(plan, model.decoder), "patterns", 1)
        assert np.array_equal(job.squares(FIRST, count), numpy.run_rounds(FIRST, count, model.rounds).squares)


def test_simulated_trajectories_are_those_of_numpy():
    arguments = [sys.executable, str(Path(__file__).with_name("simulated.py")), "trajectories", "35", *ELSE]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    assert json.loads(done.stdout) == {"ran": len(ELSE) + 1, "differ": []}


def test_no_order_of_threads_changes_the_tallies_of_rounds(interpreter):
    # One thread at a time, each as far as the next barrier: a missing one shows here alone.
    job = emulated(interpreter, FEW.problem, "deadline", FEW.decoder, deadlines=(0.3, 1.0), rounds=2)
    found, _ = job.launch(5, 67, threads=2, sched="thread")
    assert np.array_equal(found, job.expected(5, 67))
