"""Stores of schema version 1, of which tests/cases has one that the version before made: 2 points, 600 realizations."""

from __future__ import annotations

import lzma
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

import uepgpu as uep
from tests.cases.sweeping import run
from uepgpu.store import migration, ownership
from uepgpu.store.combine import combine
from uepgpu.store.errors import StoreError
from uepgpu.store.sections import read_sections
from uepgpu.store.store import Store
from uepgpu.store.stored import StoredPoint, read_points, read_progress, read_sweeps

POINTS = {
    "EW": "d746dc27b9",
    "LT": "fd34a8d06f",
}


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A store of schema version 1 in a folder of its own, its specification beside it."""
    store = tmp_path / "old.db"
    store.write_bytes(lzma.decompress((Path(__file__).parent.parent / "cases" / "schema-1.db.xz").read_bytes()))
    (tmp_path / "mine.toml").write_text(read_sweeps(store)[0].text)
    return store


def version(store: Path) -> int:
    with closing(sqlite3.connect(store)) as db:
        return int(db.execute("PRAGMA user_version").fetchone()[0])


def check(points: list[StoredPoint]) -> None:
    """They hold what was simulated, with draws of layout 1, which never merge with those of today."""
    kept = [p for p in points if p.short_id in POINTS.values()]
    assert {p.point.series: p.short_id for p in kept} == POINTS
    for stored in kept:
        point = stored.point
        deadlines = None if stored.tally.domain == "count" else point.deadlines
        direct = uep.simulate(point.code, point.part, point.workers, deadlines=deadlines, realizations=300, seed=7, backend="numpy")
        assert stored.tally.problem != direct.problem
        assert stored.tally.patterns.sum() == direct.patterns.sum()
        if stored.point.series == "EW":  # its draws are others, its law is the same: within 4 standard errors
            options = {"workers": point.workers, "deadlines": point.deadlines} if deadlines is None else {}
            old, new = (t.loss(point.part, **options) for t in (stored.tally, direct))
            error = np.hypot(old.loss_stderr.values, new.loss_stderr.values)
            assert np.all(np.abs(old.loss.values - new.loss.values) <= 4 * error)
            assert old.loss.values.max() > 0
        assert stored.stop_reason.startswith("relative error")


def test_an_old_store_is_read_as_it_is(old: Path) -> None:
    before = old.read_bytes()
    check(read_points(old))
    (section,) = read_sections(old)
    assert (section.title, len(section.points), section.missing) == ("made by schema 1", 2, 0)
    assert sorted(count for count, _ in read_progress(old).values()) == [300, 300]
    assert old.read_bytes() == before
    assert version(old) == 1


def test_an_old_store_becomes_a_new_one_when_it_is_written(old: Path) -> None:
    Store(old).close()
    assert version(old) == 2
    check(read_points(old))
    done = run("sweep", "mine.toml", "--store", old, "--out", "o", "--backend", "numpy", cwd=old.parent)
    assert done.returncode == 0
    assert done.stderr.count("\n") == 1
    assert "also holds 2 points of an earlier specification" in done.stderr
    assert "(600 realizations added" in done.stdout
    check(read_points(old))
    assert len(read_points(old)) in (2, 4)


def test_old_stores_are_combined_into_a_new_one(old: Path) -> None:
    done = combine([old], old.parent / "new.db")
    assert (done.points, done.realizations, done.unreadable, done.lost) == (2, 600, 0, "")
    assert version(old) == 1
    assert version(old.parent / "new.db") == 2
    check(read_points(old.parent / "new.db"))


def test_a_migration_that_is_interrupted_changes_nothing(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = old.read_bytes()

    def killed(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(migration.Rows, "enter_inventory", killed)
    with pytest.raises(KeyboardInterrupt):
        Store(old)
    monkeypatch.undo()
    assert version(old) == 1
    assert sorted(f.name for f in old.parent.iterdir()) == ["mine.toml", "old.db"]
    check(read_points(old))
    assert len(old.read_bytes()) == len(before)


def test_an_old_store_in_use_is_left_alone(old: Path) -> None:
    with closing(sqlite3.connect(old)) as db:
        row = (ownership.host(), ownership.this_process(), __import__("time").time())
        db.execute("INSERT INTO owner (host, process, beat) VALUES (?, ?, ?)", row)
        db.commit()
    with pytest.raises(StoreError, match=f"is in use by an older uepgpu .process {os.getpid()}"):
        Store(old)
    assert version(old) == 1


def test_damage_of_an_old_store_is_noticed_as_far_as_it_has_checksums(old: Path) -> None:
    whole = old.read_bytes()
    at = whole.find(b'"rate":1.0')
    assert at > 0
    old.write_bytes(whole[: at + 8] + b"3" + whole[at + 9 :])
    for use in (read_points, Store):
        with pytest.raises(StoreError, match=r"is damaged \(the checksum of row \d+ of table 'piece' is wrong"):
            use(old)
    old.write_bytes(whole)
    with closing(sqlite3.connect(old)) as db:
        db.execute("UPDATE span SET provenance = 77 WHERE key = 1")
        db.commit()
    for use in (read_points, Store):
        with pytest.raises(StoreError, match=r"is damaged \(row 77 of table 'piece' is missing"):
            use(old)
    assert version(old) == 1


def test_counts_of_old_stores_are_those_of_today(old: Path) -> None:
    counts = {p.point.series: p.tally.patterns.sum(axis=0).tolist() for p in read_points(old)}
    assert all(np.sum(c, axis=1).tolist() == [300] * len(c) for c in counts.values())
