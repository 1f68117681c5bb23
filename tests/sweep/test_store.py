"""The store: ranges that never overlap and always add up, claims, what is read back, and combining."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import uepgpu as uep
from tests.cases.sweeps import MODEL, SERIES, collect, sweep
from uepgpu.commands.combine import run_combine
from uepgpu.points.point import Sweep
from uepgpu.store import ownership, tables
from uepgpu.store.combine import combine
from uepgpu.store.counts import Counters, CountsError, pack, unpack
from uepgpu.store.errors import StoreError
from uepgpu.store.store import Claim, Store, StoredMember
from uepgpu.store.stored import find_point, read_points, read_sweeps
from uepgpu.sweep.collect import Collection
from uepgpu.sweep.local import Local
from uepgpu.sweep.ranges import Range, describe_work, run_range
from uepgpu.sweep.run import identify_all
from uepgpu.sweep.spec import parse_spec


def opened(store: Store) -> tuple[list[StoredMember], list[Any], Sweep]:
    made = sweep()
    identities = identify_all(made.points)
    return store.add_sweep(made, identities), identities, made


def run_claim(store: Store, claim: Claim, identity: Any, stop: int | None = None) -> bool:
    ran = run_range(describe_work(identity, 3), Range(claim.start, stop or claim.stop, 1), backend="numpy")
    return store.finish(claim, ran.tally, ran.provenance)


# --- ranges -------------------------------------------------------------------------------------------------------


@given(st.integers(0, 2**32))
@settings(max_examples=15, deadline=None)
def test_ranges_claimed_in_any_order_add_up_to_one_run(seed: int) -> None:
    chance, upto = random.Random(seed), 300
    with Store(":memory:") as store:
        members, identities, made = opened(store)
        tally, waiting = members[0].tally, list[Claim]()
        while waiting or store.covered(tally, upto) < upto:
            claim = store.claim(tally, chance.randint(1, upto) if waiting else upto)
            if claim is not None:
                assert all(claim.stop <= c.start or c.stop <= claim.start for c in waiting)
                waiting.append(claim)
            if claim is None or chance.random() < 0.5:
                chosen = waiting.pop(chance.randrange(len(waiting)))
                if chance.random() < 0.25:
                    store.release(chosen)
                else:
                    # A first part only, as a pilot may do.
                    assert run_claim(store, chosen, identities[0], chance.randint(chosen.start + 1, chosen.stop))
        counted = store.counted(tally, upto)
        store.join(tally, upto)
        joined = store.counted(tally, upto)
    point = made.points[0]
    whole = uep.simulate(point.code, point.part, point.workers, realizations=upto, seed=3, backend="numpy")
    for sums in (counted, joined):
        assert sums is not None
        assert sums.ranges == ((0, upto),)
        assert np.array_equal(sums.counters.patterns, whole.patterns)


def test_a_range_is_never_stored_twice() -> None:
    with Store(":memory:") as store:
        members, identities, _ = opened(store)
        claim = store.claim(members[0].tally, 100)
        assert claim == Claim(members[0].tally, 0, 100, None)
        assert run_claim(store, claim, identities[0])
        for late in (claim, Claim(claim.tally, 50, 150, None), Claim(claim.tally, 99, 100, None), Claim(claim.tally, 20, 30, None)):
            assert not run_claim(store, late, identities[0])
        assert store.realizations() == 100
        assert run_claim(store, Claim(claim.tally, 100, 150, None), identities[0])
        assert store.ranges(claim.tally) == ((0, 150),)


def test_range_sizes_are_fixed_by_the_first_estimate() -> None:
    with Store(":memory:") as store:
        members, identities, _ = opened(store)
        tally = members[0].tally
        claim = store.claim(tally, 1000)
        assert claim is not None
        ran = run_range(describe_work(identities[0], 3), Range(0, 70, 1), backend="numpy")
        store.finish(claim, ran.tally, ran.provenance, 64)
        second = store.claim(tally, 1000)
        assert second == Claim(tally, 70, 128, 64)
        ran = run_range(describe_work(identities[0], 3), Range(70, 128, 1), backend="numpy")
        store.finish(second, ran.tally, ran.provenance, 512)
        assert store.claim(tally, 1000) == Claim(tally, 128, 192, 64)


def test_claims_of_the_dead_are_taken_over_and_those_of_the_living_are_not(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with Store(path) as store:
        members, _, _ = opened(store)
        tally = members[0].tally
        code = (
            "import os, sys\nfrom uepgpu.store.store import Store\n"
            f"store = Store({str(path)!r})\nstore.claim({tally}, 100)\n"
            "print('claimed', flush=True)\nsys.stdin.readline()\nos._exit(1)\n"
        )
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        with subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
        ) as other:
            assert other.stdout is not None
            assert other.stdout.readline() == b"claimed\n"
            assert store.claim(tally, 100) is None
            assert store.claim(tally, 130) == Claim(tally, 100, 130, None)
            other.kill()
        assert store.claim(tally, 100) == Claim(tally, 0, 100, None)


def test_a_process_killed_when_all_was_done_is_forgotten_by_the_next_that_opens_the_store(tmp_path: Path) -> None:
    """Nobody claims anything in a finished store; its owner would for ever say that it was copied while in use."""
    path = tmp_path / "s.db"
    collect(path, sweep(realizations=100))
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_autocheckpoint = 0")
        row = (ownership.host(), f"{2**22 + 1}", time.time())
        db.execute("INSERT INTO owner (host, process, beat) VALUES (?, ?, ?)", row)
        db.commit()
        assert Path(f"{path}-wal").exists()
        collect(path, sweep(realizations=100))  # adds nothing
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT COUNT(*) FROM owner").fetchone() == (0,)
    assert len(read_points(path)) == 3  # without a warning


def test_who_is_dead() -> None:
    me, here, now = ownership.this_process(), ownership.host(), time.time()
    assert not ownership.is_dead(here, me, now)
    assert ownership.is_dead(here, me, now - 2 * ownership.LEASE_SECONDS)
    assert not ownership.is_dead("another machine", me, now)
    if os.name != "nt":
        assert ownership.is_dead(here, f"{2**22 + 1}", now)
    if Path("/proc/self/stat").exists():
        assert ownership.is_dead(here, f"{os.getpid()} 1", now), "the number was used again by a later process"


@given(st.integers(0, 2**62), st.sampled_from(["patterns", "pairs", "squares of rounds 1", "squares of rounds 2"]))
def test_counts_come_back_to_the_bit(most: int, kind: str) -> None:
    rng = np.random.default_rng(1)
    patterns = np.zeros((32, 2, 4), dtype=np.int64)
    patterns[0, :, 0] = most
    name, _, rounds = kind.partition(" of rounds ")
    shape = (2, 2, 3)
    more = {} if kind == "patterns" else {name: rng.integers(0, most + 1, (32, 2 // int(rounds or 1), 6))}
    blob, checksum = pack(Counters(patterns, **more))
    found = unpack(blob, checksum, kind, shape, most)
    for array, given_one in zip(found, Counters(patterns, **more), strict=True):
        assert array is given_one is None or np.array_equal(array, given_one)
    with pytest.raises(CountsError, match="do not add up"):
        unpack(blob, checksum, kind, shape, most + 1)
    with pytest.raises(CountsError, match="checksum"):
        unpack(blob[:-1] + bytes([blob[-1] ^ 1]), checksum, kind, shape, most)
    with pytest.raises(CountsError, match="impossible shape" if rounds == "2" else "counters instead of"):
        unpack(blob, checksum, kind, (3, 2, 3), most)
    with pytest.raises(CountsError, match="impossible shape"):
        unpack(blob, checksum, "squares of rounds 0", shape, most)


def test_a_worker_that_simulates_something_else_is_found_out(tmp_path: Path) -> None:
    made = sweep()

    class Wrong(Local):
        def submit(self, claim: Any, work: Any, span: Any, progress: Any) -> None:
            super().submit(claim, type(work)(work.code, work.part, work.workers, work.deadlines, work.seed + 1), span, progress)

    with Store(":memory:") as store:
        collection = Collection(store, made, identify_all(made.points))
        with pytest.raises(ValueError, match="a worker has simulated another problem"):
            collection.run(Wrong("numpy"))
        assert store.realizations() == 0


# --- reading ------------------------------------------------------------------------------------------------------


def test_points_come_back_without_specification_and_matrices(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    np.savez(tmp_path / "m.npz", a=rng.normal(size=(7, 9)), b=rng.normal(size=(9, 8)))
    table = {"paradigm": "cxr", "a": "m.npz:a", "b": "m.npz:b", "blocks": 9, "classes": [3, 3, 3]}
    data = {"partitions": {"own": table, "rxc": MODEL}, "series": [{"label": "EW", "code": "ew"}, SERIES[2]]}
    made = parse_spec(
        {
            "realizations": 3000,
            "deadlines": [0.5, 1.0],
            "gamma": [0.40, 0.35, 0.25],
            "workers": {"count": 12, "omega": "fair", "work": "true"},
        }
        | data,
        name="mine",
        folder=tmp_path,
    )
    collect(tmp_path / "s.db", made)
    (tmp_path / "m.npz").unlink()
    points = read_points(tmp_path / "s.db")
    assert [p.point.describe() for p in points] == [p.describe() for p in made.points]
    for stored, point in zip(points, made.points, strict=True):
        assert stored.tally.realizations == 3000
        deadlines = None if stored.tally.domain == "count" else point.deadlines
        direct = uep.simulate(
            point.code, point.part, point.workers, deadlines=deadlines, realizations=3000, seed=1, backend="numpy"
        )
        assert stored.tally == direct
        assert stored.tally.code == direct.code
        options: Any = {"workers": stored.point.workers, "deadlines": point.deadlines} if deadlines is None else {}
        one, other = stored.tally.loss(stored.point.part, **options), direct.loss(point.part, **options)
        assert one.equals(other)
        assert identify_all([stored.point])[0].point == stored.id
        assert stored.seconds > 0
        assert stored.backends == ("numpy",)
        assert stored.versions[0].startswith(f"uepgpu {uep.__version__}, numpy {np.__version__}")
    (read,) = read_sweeps(tmp_path / "s.db")
    assert (read.name, read.title, read.points) == ("mine", "mine", tuple(p.id for p in points))
    assert find_point(points, points[1].short_id) is points[1]
    assert find_point(points, points[1].id.upper()) is points[1]
    for prefix, message in (("", "no point has"), ("zz", "no point has an id that begins so"), ("?", "there are")):
        with pytest.raises(ValueError, match=message):
            find_point(points, prefix)
    with pytest.raises(StoreError, match="has no sweep 'other', only mine"):
        read_points(tmp_path / "s.db", sweep="other")
    assert sorted(f.name for f in tmp_path.iterdir()) == ["s.db"]


# --- combining ----------------------------------------------------------------------------------------------------


def test_combined_stores_hold_every_realization_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    collect(tmp_path / "a.db", sweep())
    collect(tmp_path / "b.db", sweep(realizations=8000))
    collect(tmp_path / "c.db", sweep(seed=4))
    names = [str(tmp_path / f"{n}.db") for n in "abc"]
    assert run_combine(names, str(tmp_path / "all.db")) == 0
    assert "6 points, 42,000 realizations" in capsys.readouterr().out
    points = read_points(tmp_path / "all.db")
    assert {p.id: p.tally for p in points if p.point.seed == 3} == {p.id: p.tally for p in read_points(tmp_path / "b.db")}
    assert {p.id: p.tally for p in points if p.point.seed == 4} == {p.id: p.tally for p in read_points(tmp_path / "c.db")}
    assert len(read_sweeps(tmp_path / "all.db")) == 3
    # It goes on from there.
    assert collect(tmp_path / "all.db", sweep(realizations=9000)).added == 3000
    assert run_combine(names, str(tmp_path / "all.db")) == 2
    assert "must be a file that does not exist yet" in capsys.readouterr().err
    assert run_combine([*names, str(tmp_path / "none.db")], str(tmp_path / "new.db")) == 2
    assert "no store" in capsys.readouterr().err
    assert not (tmp_path / "new.db").exists()


def test_ranges_that_overlap_are_kept_so_that_most_remains(tmp_path: Path) -> None:
    cuts = {"a": [(0, 50), (50, 60)], "b": [(0, 40), (40, 90)], "c": [(60, 100)]}
    for name, ranges in cuts.items():
        with Store(tmp_path / f"{name}.db") as store:
            members, identities, _ = opened(store)
            for begin, end in ranges:
                assert run_claim(store, Claim(members[0].tally, begin, end, None), identities[0])
    result = combine([tmp_path / f"{n}.db" for n in cuts], tmp_path / "all.db")
    assert (result.realizations, result.doubled) == (100, 90)
    tally = read_points(tmp_path / "all.db")[0].tally
    point = sweep().points[0]
    assert tally == uep.simulate(point.code, point.part, point.workers, realizations=100, seed=3, backend="numpy")


def test_stores_that_disagree_are_not_combined(tmp_path: Path) -> None:
    for name in "ab":
        collect(tmp_path / f"{name}.db", sweep())
    with Store(tmp_path / "b.db") as store, store._transaction():
        span, counts = next(store._rows.spans("ORDER BY key"))
        tally = store._rows.get(tables.Tally, span.tally)
        shape = (tally.times, tally.classes, tally.subproducts)
        found = unpack(counts, span.checksum, tally.kind, shape, span.stop - span.start)
        # A faulty machine: one realization counted under another pattern.
        found.patterns[0, 5, 0] -= 1
        found.patterns[0, 5, 7] += 1
        counts, checksum = pack(found)
        store._rows.delete(span)
        store._rows.insert(tables.Span, *span._replace(checksum=checksum)[1:], counts=counts)
    with pytest.raises(StoreError, match=r"disagree about realizations 0\.\.5999"):
        combine([tmp_path / "a.db", tmp_path / "b.db"], tmp_path / "c.db")
    assert sorted(f.name for f in tmp_path.iterdir()) == ["a.db", "b.db"]
