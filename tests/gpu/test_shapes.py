"""Few kernels serve many problems: what is compiled does not depend on numbers of workers, deadlines or states."""

from __future__ import annotations

import numpy as np
import pytest

import uepgpu as uep
from tests.cases import problems
from uepgpu.machine import ahead
from uepgpu.machine.selftest import cases
from uepgpu.plan import DECODERS, make_plan
from uepgpu_kernels.automaton import automaton_of, build_automaton

pytestmark = pytest.mark.usefixtures("numba_cuda")

EW = problems.PROBLEMS["ew"]
SIXTY = np.linspace(0, 3, 60)


def prepared(code, workers, deadlines, decoder, monkeypatch, compiled):
    """Make a job ready as a device would, and note which kernels are asked for."""
    from uepgpu_kernels.cuda import Prepared, memory, run

    class Noting(memory.Memory):
        def kernel(self, shape):
            compiled.add(shape)

    monkeypatch.setattr(run, "memory_of", lambda number: Noting())
    job = make_plan(code, EW.part, workers, seed=1, deadlines=deadlines).job
    automaton = automaton_of(job) if decoder == "match" else None
    return Prepared(job, DECODERS[decoder].implementation("cuda"), "patterns", automaton)


@pytest.mark.parametrize("decoder", ["count", "match", "eliminate"])
@pytest.mark.parametrize("deadlines, most", [(None, 1), (SIXTY, 2)])
def test_a_sweep_over_workers_and_deadlines_compiles_two_kernels(deadlines, most, decoder, monkeypatch):
    compiled = set()
    for w in range(10, 41):
        prepared(EW.code, uep.Workers(w, omega=1.0, work="unit"), deadlines, decoder, monkeypatch, compiled)
    assert 1 <= len(compiled) <= most
    assert all(shape.n_packets in (0, 32, 64) for shape in compiled)


def test_counting_and_matching_are_tables_of_one_kernel(monkeypatch):
    for deadlines in (None, SIXTY):
        compiled = set()
        tables = []
        for decoder in ("count", "match"):
            tables.append(prepared(EW.code, EW.workers, deadlines, decoder, monkeypatch, compiled).tables)
        assert len(compiled) == 1
        used = "steps" if deadlines is None else "walk"  # of sixty deadlines; few are counted by, with bounds
        assert getattr(tables[0], used).size > 0


@pytest.mark.parametrize("times", [22, 200])
def test_many_deadlines_take_one_look_at_a_word_too(times, monkeypatch):
    from uepgpu_kernels.cuda.draw import look_up_maker
    from uepgpu_kernels.cuda.tables import CROWDED

    made = prepared(EW.code, EW.workers, np.linspace(0, 1.05, times), "count", monkeypatch, set())
    crowded = (made.tables.bucket >> np.uint64(16)) & np.uint64(CROWDED) == CROWDED
    assert made.shape.nest == {22: "binned", 200: "sorted"}[times]
    assert made.shape.fine == (times == 200)
    assert crowded.mean() <= 0.001  # of 200 deadlines, 7 % of buckets as coarse as those of 22
    look_up = look_up_maker(made.shape).py_func
    job = made.job
    words = np.random.default_rng(1).integers(2**32, size=3000, dtype=np.uint32)
    words = np.concatenate([words, job.threshold[0, :-1], job.threshold[0, :-1] - np.uint32(1)])
    words = words[~crowded[words >> np.uint32(32 - (12 if made.shape.fine else 10))]]
    assert words.size > 3000
    cells = np.searchsorted(job.threshold[0, : job.n_threshold[0]], words, side="right")
    code = job.cell_window[0].astype(int)
    time = job.cell_time[0].astype(int)
    wanted = (time << 8 | code if times == 200 else time << 11 | 1 << 5 * code)[cells]
    assert [int(look_up(made.tables, made.tables.bucket, np.uint32(0), word)) >> 16 for word in words] == wanted.tolist()


@pytest.mark.parametrize("windows", [((0,), (0, 1), (0, 1, 2, 3)), ((0, 1), (1, 2), (0, 2, 3)), ((0, 1, 2), (2, 3))])
def test_bounds_of_counts_are_what_a_walk_in_any_order_decodes(windows):
    from uepgpu_kernels.cuda.bounds import bounds_of

    rng = np.random.default_rng(2)
    walk = build_automaton(np.array([sum(1 << i for i in w) for w in windows], dtype=np.uint64))
    members = np.array([0b0001, 0b0110, 0b1000], dtype=np.uint64)
    undecoded = (walk.decoded[:, None] & members) != members
    bounds = bounds_of(walk.following, undecoded).reshape(3, 1024)
    reached = set()
    for _ in range(300):
        number = rng.integers(0, 6, size=len(windows))
        state = 0
        for window in rng.permutation(np.repeat(np.arange(len(windows)), number)):
            state = walk.following[state, window]
        total = int((number << (5 * np.arange(len(windows)))).sum())
        found = total < bounds[:, total & 1023]
        assert found.tolist() == undecoded[state].tolist()
        reached.add(tuple(found.tolist()))
    assert len(reached) >= 3


def test_the_selftest_of_a_device_compiles_eight_kernels_and_reaches_every_decoder():
    shapes = ahead.shapes()
    assert 6 <= len(shapes) <= 8
    assert {shape.nest for shape in shapes.values()} == {"by_words", "binned", "sorted", "warped", "listed"}
    assert [name for name, shape in shapes.items() if shape.rounds] == ["EW-30 of two states, 3 rounds"]
    mine = cases("cuda")
    assert {shape.kind for shape in shapes.values()} == {"patterns", "pairs", "marginals"}
    assert {case.decoder for case in mine} - {"auto"} == set(DECODERS)
    assert {case.deadlines is None for case in mine} == {True, False}
    assert len(cases("numba")) > len(mine)
    assert len({case.name for case in cases()}) == len(cases())
