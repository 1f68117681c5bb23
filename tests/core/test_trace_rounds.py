"""Traces as rounds of trajectories: in order, at random, in blocks (docs/mathematics.md §4)."""

from __future__ import annotations

import numpy as np
import pytest

import uepgpu as uep
from tests.cases.paper import EW, MDS, RXC
from tests.oracles import naive
from uepgpu import Workers, monte_carlo
from uepgpu.backends import BACKENDS, get_backend
from uepgpu.latency import Trace
from uepgpu.plan import make_plan
from uepgpu.points.notation import read_workers, write_workers
from uepgpu_kernels.reference.sample import arrivals

ROUND, WORKER = np.arange(4)[:, None], np.arange(30)
TABLE = ((7 * WORKER + 11 * ROUND) % 30 + 1) / 20 * (1 + ROUND / 4)


def unit(latencies, count=30, replay="random", shuffle=False, block=None, **more):
    return Workers(count, Trace(latencies, replay, shuffle, block), **({"omega": 1.0, "work": "unit"} | more))


HOWS = {"order": {}, "random": {}, "blocks": {"block": 4.0}}


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("shuffle", [False, True])
def test_numpy_and_numba_tally_the_same_integers_in_every_round(how, shuffle):
    workers = Workers(30, Trace(TABLE, how, shuffle, **HOWS[how]), omega=1.0, work="unit", loss_probability=0.1)
    options = {"deadlines": [0.3, 0.6, 0.9], "first_realization": 2**32 - 37, "seed": 5, "rounds": 6}
    compiled, reference = (uep.simulate(EW, RXC, workers, realizations=150, backend=b, **options) for b in ("numba", "numpy"))
    assert compiled == reference
    first = uep.simulate(EW, RXC, workers, realizations=100, **options)
    options["first_realization"] += 100
    assert first + uep.simulate(EW, RXC, workers, realizations=50, threads=2, **options) == compiled
    single = uep.simulate(EW, RXC, workers, realizations=150, **options | {"first_realization": 2**32 - 37, "rounds": None})
    assert single == compiled.tallies[0]


def rows_met(n, rounds, how, **more):
    """Return the rows that trajectories meet: the time of a row's only latency is its number."""
    table = np.arange(1.0, 8.0)[:, None]
    part = uep.Partition.model("cxr", left_variances=[1], right_variances=[1], classes=(1,))
    workers = Workers(1, Trace(table, how, **more), omega=1.0, work="unit")
    plan = make_plan(MDS, part, workers, seed=2**63 + 9, deadlines=table[:, 0])
    numbers = np.arange(2**32 - 2, 2**32 - 2 + n, dtype=np.uint64)
    return np.stack([arrivals(plan.of_round(r).job, numbers)[2][:, 0] for r in range(rounds)])


@pytest.mark.parametrize("how", HOWS)
def test_rows_of_every_round_are_those_of_the_oracle(how):
    found, seed = rows_met(40, 9, how, **HOWS[how]), 2**63 + 9
    for i in range(40):
        row = (2**32 - 2 + i) % 7
        for r in range(9):
            again, anew = (naive.word(seed, 2**32 - 2 + i, 7, 2 * r + x) for x in (0, 1))
            starts = r == 0 if how == "order" else how == "random" or r == 0 or again < 2**30
            row = (row + 1) % 7 if not starts else row if how == "order" else anew * 7 >> 32
            assert found[r, i] == row


def test_blocks_go_on_as_recorded_and_every_round_is_any_row():
    found = rows_met(20_000, 4, "blocks", block=4.0)
    for r in range(4):
        share = np.bincount(found[r], minlength=7) / 20_000
        assert np.all(np.abs(share - 1 / 7) <= 4 * np.sqrt(6 / 49 / 20_000))
    follows = np.mean(found[1:] == (found[:-1] + 1) % 7)
    expected = 3 / 4 + 1 / 4 / 7  # 1 - 1/b, and the row that is drawn anew may be the next one too
    assert abs(follows - expected) <= 4 * np.sqrt(expected * (1 - expected) / 60_000)


def test_traces_in_blocks_have_text_of_their_own():
    blocks = unit(TABLE, replay="blocks", block=2.5)
    assert read_workers(write_workers(blocks)) == blocks
    assert "block=2.5" in blocks.describe_latency()
    assert blocks != unit(TABLE, replay="blocks", block=2)
    assert '"block":' not in write_workers(unit(TABLE))


@pytest.mark.parametrize(
    "replay, block, reason",
    [
        ("blocks", None, "block must be given with replay='blocks', and with it alone, got block=None"),
        ("random", 2, "block must be given with replay='blocks', and with it alone, got block=2"),
        ("blocks", 0.5, "block must be a number of rounds >= 1, got 0.5"),
        ("blocks", -1, "block must be a finite number > 0"),
    ],
)
def test_blocks_of_no_length_are_refused(replay, block, reason):
    with pytest.raises(ValueError, match=reason):
        Trace(TABLE, replay, block=block)


def test_rounds_of_several_messages_are_not_for_cuda(monkeypatch):
    workers, without = unit(TABLE[:, :6], 6, messages=3), []

    def noting(*given, **more):
        without.append(more["without"])
        return get_backend("numpy")

    monkeypatch.setattr(monte_carlo, "get_backend", noting)
    options = {"deadlines": [0.6], "realizations": 3, "seed": 1, "rounds": 2}
    uep.simulate(EW, RXC, workers, **options)
    uep.simulate(EW, RXC, unit(TABLE), **options)
    assert without == [("cuda",), ()]
    plan = make_plan(EW, RXC, workers, seed=1, deadlines=[0.6], rounds=True)
    with pytest.raises(ValueError, match="rounds of several messages are not simulated by backend='cuda': give 'numba' or 'numpy'"):
        BACKENDS["cuda"].round_sampler(plan, "count", "patterns", 1)
