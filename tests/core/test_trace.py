"""Recorded latencies: rounds of workers, as they were (docs/mathematics.md §4)."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

import uepgpu as uep
from tests.cases.paper import EW, GAMMA, MDS, NOW, RXC, close
from uepgpu import Workers, codes, theory
from uepgpu.latency import Empirical, Trace, trace
from uepgpu.points.notation import read_workers, write_workers
from uepgpu.theory.received import received_law

TIMES = [0.3, 0.6]
ROUND, WORKER = np.arange(4)[:, None], np.arange(30)
TABLE = ((7 * WORKER + 11 * ROUND) % 30 + 1) / 20 * (1 + ROUND / 4)
REPLAY = ("random", "order")


def unit(latencies, count=30, replay="random", shuffle=False, **more):
    return Workers(count, Trace(latencies, replay, shuffle), **({"omega": 1.0, "work": "unit"} | more))


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


def test_what_needs_arrivals_of_a_trace_is_refused():
    with pytest.raises(ValueError, match="deadlines must not be given for workers whose arrivals are not independent"):
        uep.simulate(EW, RXC, unit(TABLE), deadlines=TIMES, realizations=5, seed=3)
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
