"""Recorded latencies: rounds of workers, as they were (docs/mathematics.md §4)."""

from __future__ import annotations

import math
import re
import tracemalloc

import numpy as np
import pytest

import uepgpu as uep
from tests.cases.paper import EW, GAMMA, MDS, NOW, RXC, close
from tests.oracles import brute_force as brute
from uepgpu import Workers, codes, theory
from uepgpu.latency import Empirical, Trace, trace
from uepgpu.plan import FOREVER, make_plan
from uepgpu.points.notation import read_workers, write_workers
from uepgpu.replay import replay
from uepgpu.theory.received import received_law

TIMES = [0.3, 0.6]
ROUND, WORKER = np.arange(4)[:, None], np.arange(30)
TABLE = ((7 * WORKER + 11 * ROUND) % 30 + 1) / 20 * (1 + ROUND / 4)
REPLAY = ("random", "order")


def unit(latencies, count=30, replay="random", shuffle=False, block=None, **more):
    return Workers(count, Trace(latencies, replay, shuffle, block), **({"omega": 1.0, "work": "unit"} | more))


@pytest.mark.parametrize("replay", REPLAY)
def test_losses_of_a_trace_are_those_of_the_table(replay):
    workers = unit(TABLE, replay=replay)
    assert theory.loss(EW, RXC, workers, deadlines=TIMES).normalized_loss.values.round(6).tolist() == [0.773272, 0.173711]
    assert theory.loss(MDS, RXC, workers, deadlines=TIMES).normalized_loss.values.round(6).tolist() == [1, 0.5]


def test_what_is_due_exactly_at_a_deadline_has_arrived():
    # Plain <= would give 6, 4, 3, 3 and 12, 9, 7, 6.
    assert Trace(TABLE).answered(np.full(30, 0.3)).tolist() == [6, 4, 4, 3]
    assert Trace(TABLE).answered(np.full(30, 0.6)).tolist() == [12, 9, 8, 6]


@pytest.mark.parametrize("code", [EW, NOW, MDS], ids=["EW", "NOW", "MDS"])
def test_the_loss_is_the_mean_over_rounds(code):
    workers = unit(TABLE)
    by_number = theory.loss(code, RXC, received=range(31)).loss.values
    close(theory.loss(code, RXC, workers, deadlines=[0.6]).loss.item(), by_number[[12, 9, 8, 6]].mean(), rtol=1e-11)
    tally = uep.simulate(code, RXC, workers, realizations=500, seed=3)
    counted = tally.loss(RXC).loss.values
    found = tally.loss(RXC, workers=workers, deadlines=TIMES).loss.values
    close(found, [counted[[6, 4, 4, 3]].mean(), counted[[12, 9, 8, 6]].mean()])


def test_speeds_work_and_load_scale_recorded_latencies():
    speeds = np.linspace(0.5, 2.0, 30)
    workers = Workers(30, Trace(TABLE), speeds=speeds, omega="fair")
    # r / (Ω s) with Ω = 9/30
    numbers = [(row * 3 / (0.3 * speeds) <= 2.5 + 1e-12).sum() for row in TABLE]
    close(received_law(workers, np.array([2.5]), 9, 3), np.bincount(numbers, minlength=31)[None] / 4)


def test_what_is_lost_thins_every_round():
    workers = unit([[1.0, 2.0, 3.0], [1.0, np.inf, 9.0]], 3, loss_probability=0.25)
    law = received_law(workers, np.array([0.5, 3.0]), 9, 1)
    three = [math.comb(3, n) * 0.75**n * 0.25 ** (3 - n) for n in range(4)]
    close(law, [[1, 0, 0, 0], (np.array(three) + np.array([0.25, 0.75, 0, 0])) / 2])


def test_missing_latencies_never_come():
    holes = unit([[1.0, np.nan, 3.0], [np.inf, 2.0, 0.5]], 3)
    assert holes.latency == Trace([[1.0, np.inf, 3.0], [np.inf, 2.0, 0.5]])
    assert received_law(holes, np.array([1e300]), 9, 1).tolist() == [[0, 0, 1, 0]]
    assert Trace([[1.0, np.nan], [2.0, 0.0]]).answered(np.full(2, np.inf)).tolist() == [1, 2]
    # Each worker for itself.
    assert holes.arrival([0.7, 2.0, math.inf], 9, 1, law=0).tolist() == [0, 0.5, 0.5]
    assert holes.absence([0.7, 2.0, math.inf], 9, 1, law=2).tolist() == [0.5, 0.5, 0]


def test_rounds_are_counted_alike_in_pieces_of_any_size(monkeypatch):
    table = np.random.default_rng(2).exponential(size=(50, 7))
    time = np.linspace(0.2, 2, 7)
    whole = Trace(table).answered(time)
    assert whole.tolist() == [(row <= time).sum() for row in table]
    monkeypatch.setattr(trace, "ROWS", 10)
    assert Trace(table).answered(time).tolist() == whole.tolist()


def test_recorded_rounds_keep_what_independent_draws_lose():
    # Rounds of all or none: half the realizations get everything. The same latencies, pooled, are a fair coin a worker.
    rounds = np.repeat([[0.1], [5.0]], 30, axis=1)
    together, pooled = unit(rounds), Workers(30, Empirical(rounds.ravel()), omega=1.0, work="unit")
    assert together.arrival(0.3, 9, 1) == pooled.arrival(0.3, 9, 1) == 0.5
    found = [theory.loss(MDS, RXC, w, deadlines=[0.3]).normalized_loss.item() for w in (together, pooled)]
    assert found[0] == 0.5
    assert found[1] == pytest.approx(sum(math.comb(30, n) for n in range(9)) / 2**30)


def test_shuffled_rounds_serve_packets_that_are_tied_to_workers():
    fixed = codes.ExpandingWindow(GAMMA, windows="fixed")
    shuffled = unit(TABLE, shuffle=True)
    tally = uep.simulate(fixed, RXC, shuffled, realizations=500, seed=3)
    counted = tally.loss(RXC).loss.values
    close(tally.loss(RXC, workers=shuffled, deadlines=[0.6]).loss.item(), counted[[12, 9, 8, 6]].mean())
    with pytest.raises(ValueError, match="do not answer independently, and packets are tied"):
        tally.loss(RXC, workers=unit(TABLE), deadlines=[0.6])
    with pytest.raises(ValueError, match="do not answer independently and packets are tied"):
        uep.simulate(fixed, RXC, unit(TABLE), realizations=5, seed=3)


@pytest.mark.parametrize("replay", REPLAY)
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("code", [EW, MDS], ids=["EW", "MDS"])
def test_simulated_rounds_lose_what_the_closed_form_says(code, shuffle, replay):
    workers = unit(TABLE, replay=replay, shuffle=shuffle, loss_probability=0.1)
    loss = uep.simulate(code, RXC, workers, deadlines=TIMES, realizations=40_000, seed=6).loss(RXC)
    exact = theory.loss(code, RXC, workers, deadlines=TIMES).loss.values
    assert np.all(np.abs(loss.loss.values - exact) <= 4 * loss.loss_stderr.values + 1e-9)


def test_rounds_in_order_are_met_in_their_turn():
    # 9 of 30 packets decode everything: N(.6) = 12, 9, 8, 6.
    for first, lost in enumerate([0, 0.5, 1, 0.5]):
        options = {"realizations": 2, "seed": 1, "first_realization": 2**40 + first}
        tally = uep.simulate(MDS, RXC, unit(TABLE, replay="order"), deadlines=[0.6], **options)
        assert tally.loss(RXC).normalized_loss.item() == pytest.approx(lost)


def test_the_time_of_every_latency_is_that_of_plain_loops():
    rng = np.random.default_rng(8)
    table = np.where(rng.random((6, 5)) < 0.2, np.inf, rng.integers(0, 12, (6, 5)) / 10)
    table[0] = [0.0, 0.3, 0.21, 1.0, 0.7]
    speeds, times, omega = (1.0, 2.0, 0.5, 1.0, 3.0), [0.0, 0.1, 0.3, 0.3, 0.7, 1.0, 5.0], 0.7
    code = codes.Windows([[0], [0, 1], [0, 1, 2], [2]], [0.4, 0.3, 0.2, 0.1])
    part = uep.Partition.model("cxr", left_variances=[3, 2, 1], right_variances=[1, 1, 1], classes=(1, 2))
    alike = make_plan(code, part, Workers(5, Trace(table), work="unit"), seed=1, deadlines=times).job
    assert alike.arrival.shape == (1, 6, 5)  # whatever packets take, they are charged one
    for own in (speeds, None):
        workers = Workers(5, Trace(table), omega=omega, speeds=own)
        job = make_plan(code, part, workers, seed=1, deadlines=times).job
        assert job.arrival.shape == (3, 6, 5)  # works 1, 2, 3
        for v, r, w in np.ndindex(3, 6, 5):
            rate = omega * (1.0 if own is None else own[w]) * (1 + 2.0**-49)
            met = [d for d, t in enumerate(times) if table[r, w] * (v + 1) <= rate * t]
            assert job.arrival[v, r, w] == min(met, default=len(times))


def test_infinite_deadlines_wait_for_all_that_come():
    job = make_plan(MDS, RXC, unit([[1.0, np.inf, 3.0], [1.0, 1.0, 1.0]], 3), seed=1, deadlines=FOREVER).job
    assert job.arrival.tolist() == [[[0, 1, 0], [0, 0, 0]]]


@pytest.mark.parametrize("replay", REPLAY)
def test_simulated_losses_of_tied_packets_of_unequal_work_equal_enumeration(replay):
    part = brute.matrices_partition("cxr", **brute.CXR4)
    code = codes.ExpandingWindow(GAMMA, windows="fixed")
    rng = np.random.default_rng(2)
    table, speeds = rng.exponential(size=(3, 4)), np.array([1.0, 2.0, 0.7, 1.0])
    workers = Workers(4, Trace(table, replay), omega=1.5, speeds=speeds, loss_probability=0.2)
    law = code.law(part, 4)
    expected = 0.0
    for row in table:
        arrived = 0.8 * (row * law.work[law.window] <= 1.5 * 1.4 * speeds)
        expected += brute.loss(brute.tied_by_deadline(law.supports, law.window.tolist(), arrived.tolist()), part.gram) / 3
    loss = uep.simulate(code, part, workers, deadlines=[1.4], realizations=30_000, seed=4).loss(part)
    assert 0.01 < expected / part.norm2 < 0.99
    assert abs(loss.loss.item() - expected) <= 4 * loss.loss_stderr.item()


def test_every_worker_gets_every_latency_of_a_shuffled_round():
    # Uncoded, one fast latency a round: which sub-product has it.
    table = np.full((2, 9), 9.0)
    table[0, 0] = table[1, 5] = 0.5
    part = uep.Partition.model("rxc", left_variances=[1, 1, 1], right_variances=[1, 1, 1], classes=(9,))
    options = {"deadlines": [1.0], "realizations": 9_000, "seed": 3, "tally": "marginals"}
    for shuffle, expected in ((True, np.full(9, 1 / 9)), (False, np.array([0.5, 0, 0, 0, 0, 0.5, 0, 0, 0]))):
        workers = Workers(9, Trace(table, "order", shuffle), omega=1.0, work="unit")
        found = 1 - uep.simulate(codes.Uncoded(), part, workers, **options).marginals.sum(axis=(0, 1)) / 9_000
        assert np.all(np.abs(found - expected) <= 4 * np.sqrt(expected * (1 - expected) / 9_000))


def test_products_and_replays_meet_rounds():
    rng = np.random.default_rng(1)
    part = uep.Partition.rxc(rng.normal(size=(6, 4)), rng.normal(size=(4, 6)), rows=3, cols=3, classes=(3, 3, 3))
    workers = unit(TABLE)
    result = uep.multiply(part, EW, workers, deadline=0.6, realizations=300, seed=3)
    tally = uep.simulate(EW, part, workers, deadlines=[0.6], realizations=300, seed=3)
    assert float(np.mean(result.loss)) == pytest.approx(tally.loss(part).loss.item(), rel=1e-6)
    for i in range(8):
        told = replay(MDS, RXC, unit(TABLE, replay="order", shuffle=True), deadlines=[0.6], realization=i, seed=3)
        assert told.shared[0].startswith(f"round {i % 4} of the trace, latencies of workers [")
        assert len(told.order) == [12, 9, 8, 6][i % 4]
    met = {replay(MDS, RXC, workers, deadlines=[0.6], realization=i, seed=3).shared for i in range(40)}
    assert met == {(f"round {r} of the trace",) for r in range(4)}


def test_unequal_work_has_no_closed_form():
    with pytest.raises(NotImplementedError, match="unequal work whose arrivals are not independent"):
        theory.loss(EW, RXC, unit(TABLE, work="true"), deadlines=TIMES)


def test_a_trace_comes_back_from_text_to_the_bit():
    rng = np.random.default_rng(4)
    table = np.where(rng.random((5, 30)) < 0.2, np.inf, rng.exponential(size=(5, 30)))
    before = unit(table, replay="order", shuffle=True)
    after = read_workers(write_workers(before))
    assert after == before
    assert hash(after.latency) == hash(before.latency)
    assert before != unit(table, shuffle=True)
    shown = before.describe_latency()
    assert re.fullmatch(r"Trace\(5 rounds of 30 workers, [0-9a-f]{8}, replay='order', shuffle=True\)", shown)
    assert shown != unit(table[::-1], replay="order", shuffle=True).describe_latency()
    assert before.first(4).latency.latencies.tolist() == table[:, :4].tolist()


# --- files ----------------------------------------------------------------------------------------------------------------

ROWS = [("10", "b", "0.5"), ("9", "a", "1.5"), ("10", "a", "2"), ("9", "b", "")]
"""Round, worker and latency; rounds are in order of number, not of text."""
READ = [[1.5, math.inf], [2.0, 0.5]]
COLUMNS = {"round": "step", "worker": "node", "latency": "seconds"}


def csv(path, rows=ROWS, head="step,node,seconds"):
    path.write_text("\n".join([head, *(",".join(row) for row in rows), ""]))
    return path


def test_a_trace_is_read_from_every_kind_of_file(tmp_path):
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    np.save(tmp_path / "table.npy", READ)
    text = [[None if x == "" else x for x in column] for column in zip(*ROWS, strict=True)]
    seconds = [None if x is None else float(x) for x in text[2]]
    parquet.write_table(pa.table({"node": text[1], "seconds": seconds, "step": [int(x) for x in text[0]]}), tmp_path / "t.parquet")
    for found in (
        Trace.read(tmp_path / "table.npy"),
        Trace.read(csv(tmp_path / "t.csv"), **COLUMNS),
        Trace.read(csv(tmp_path / "bom.CSV", head="\ufeffstep, node ,seconds"), **COLUMNS),
        Trace.read(tmp_path / "t.parquet", **COLUMNS),
    ):
        assert found == Trace(READ)
    # A pair without a row never answered either.
    assert Trace.read(csv(tmp_path / "short.csv", ROWS[:3]), **COLUMNS, replay="order") == Trace(READ, "order")


def test_samples_are_read_from_every_kind_of_file(tmp_path):
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    np.save(tmp_path / "s.npy", [2.0, 0.5])
    parquet.write_table(pa.table({"seconds": [2.0, 0.5]}), tmp_path / "s.parquet")
    csv(tmp_path / "s.csv", [("0", "a", "2"), ("1", "a", "0.5")])
    for name, options in (("s.npy", {}), ("s.csv", {"column": "seconds"}), ("s.parquet", {"column": "seconds"})):
        assert Empirical.read(tmp_path / name, **options) == Empirical([0.5, 2.0])


BAD = {
    "no such column": (ROWS, COLUMNS | {"latency": "second"}, "has no column 'second', only .*did you mean 'seconds'"),
    "two rows of a pair": ([*ROWS, ("9", "b", "3")], COLUMNS, "round 9 has 2 rows of worker b"),
    "negative": ([*ROWS, ("11", "b", "-1")], COLUMNS, "latency 'seconds' must be >= 0, got -1.0"),
    "words": ([*ROWS, ("11", "b", "soon")], COLUMNS, "latency 'seconds' must hold numbers, got 'soon'"),
    "ragged": ([*ROWS, ("11", "b")], COLUMNS, r"line 6 of .* has 2 fields, and the first line 3"),
    "no round": ([*ROWS, ("", "b", "1")], COLUMNS, "round 'step': 1 rows have none"),
    "no rows": ([], COLUMNS, "has no rows"),
    "no name": (ROWS, {"round": "step", "worker": "node"}, "latency must name the column of .* got None"),
    "never answers": ([("1", "a", "1"), ("1", "b", "nan")], COLUMNS, "worker 1 never answers, in none of 1 rounds"),
}


def test_a_mapped_file_is_replayed_from_the_file(tmp_path):
    rng = np.random.default_rng(3)
    table = rng.exponential(size=(40_000, 64)).astype(np.float32)
    table[rng.random(table.shape) < 0.1] = np.nan
    np.save(tmp_path / "large.npy", table)
    part = uep.Partition.model("cxr", left_variances=[3, 2, 1], right_variances=[1, 1, 1], classes=(1, 2))
    tracemalloc.start()
    mapped = Trace.read(tmp_path / "large.npy")
    plan = make_plan(MDS, part, Workers(64, mapped, omega=1.0, work="unit"), seed=1, deadlines=TIMES)
    digest = plan.digest("count")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert isinstance(mapped.latencies, np.memmap)
    # Two bytes a latency and a few slices; a copy in float64 alone would be 20.5 MB.
    assert peak < 2 * table.size + 10_000_000
    copied = Trace(table)
    assert copied == mapped
    assert (hash(copied), repr(copied)) == (hash(mapped), repr(mapped))
    other = make_plan(MDS, part, Workers(64, copied, omega=1.0, work="unit"), seed=1, deadlines=TIMES)
    assert np.array_equal(other.job.arrival, plan.job.arrival)
    assert other.digest("count") == digest
    assert mapped.answered(np.full(64, 0.3)).tolist() == copied.answered(np.full(64, 0.3)).tolist()
    small = mapped.first(2)
    assert isinstance(small.latencies, np.memmap)
    assert small == copied.first(2)
    assert write_workers(Workers(2, small)) == write_workers(Workers(2, copied.first(2)))


@pytest.mark.parametrize("value, reason", [(-1.0, "got -1.0 of worker 5 in round 39990"), (None, "worker 5 never answers")])
def test_a_mapped_file_is_checked_to_its_end(tmp_path, value, reason):
    table = np.ones((40_000, 64), dtype=np.float32)
    table[slice(None) if value is None else 39_990, 5] = np.nan if value is None else value
    np.save(tmp_path / "bad.npy", table)
    with pytest.raises(ValueError, match=reason):
        Trace.read(tmp_path / "bad.npy")


@pytest.mark.parametrize("name", BAD)
def test_a_bad_table_is_refused_in_one_line(tmp_path, name):
    rows, columns, reason = BAD[name]
    with pytest.raises(ValueError, match=reason) as error:
        Trace.read(csv(tmp_path / "t.csv", rows), **columns)
    assert "\n" not in str(error.value)


def test_other_bad_files_are_refused_in_one_line(tmp_path):
    csv(tmp_path / "t.csv")
    (tmp_path / "bytes.csv").write_bytes(b"step,node\xff,seconds\n1,2,3\n")
    (tmp_path / "no.parquet").write_bytes(b"PAR1 but no more")
    (tmp_path / "empty.csv").write_bytes(b"")
    csv(tmp_path / "twice.csv", [("1", "2", "3")], "step,step,seconds")
    np.save(tmp_path / "t.npy", READ)
    for call, reason in (
        (lambda: Trace.read(tmp_path / "t.npy", latency="seconds"), "name columns of .csv and .parquet files, got .*t.npy"),
        (lambda: Trace.read(tmp_path / "t.txt"), r"path: no file|must be an \.npy"),
        (lambda: Trace.read(tmp_path / "none.csv", **COLUMNS), "path: no file"),
        (lambda: Trace.read(tmp_path / "bytes.csv", **COLUMNS), "is no CSV file"),
        (lambda: Trace.read(tmp_path / "no.parquet", **COLUMNS), "cannot read .*no.parquet|pyarrow"),
        (lambda: Trace.read(tmp_path / "empty.csv", **COLUMNS), r"has no column 'step', only \[\]"),
        (lambda: Trace.read(tmp_path / "twice.csv", **COLUMNS), "has 2 columns 'step'"),
        (lambda: Empirical.read(tmp_path / "t.csv"), "column must name the column of latencies in .*t.csv.*, got None"),
        (lambda: Empirical.read(tmp_path / "t.csv", column="seconds"), "1 of 4 latencies are missing or infinite"),
        (lambda: Empirical.read(tmp_path / "t.npy"), r"samples must be one-dimensional, got shape \(2, 2\)"),
        (lambda: Empirical.read(tmp_path / "t.npy", column="seconds"), "column names one of a .csv or .parquet file"),
    ):
        with pytest.raises((ValueError, FileNotFoundError), match=reason) as error:
            call()
        assert "\n" not in str(error.value)
