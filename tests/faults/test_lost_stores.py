"""Stores that are deleted, moved, replaced or copied while a sweep writes them."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import time
import warnings
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

import uepgpu as uep
from tests.cases.sweeping import run, start, write_spec
from uepgpu.points.point import Sweep
from uepgpu.store.errors import StoreError, StoreLost, StoreWarning
from uepgpu.store.store import Claim, Store
from uepgpu.store.stored import read_points
from uepgpu.sweep.ranges import Range, describe_work, run_range
from uepgpu.sweep.run import identify_all
from uepgpu.sweep.spec import read_spec

pytestmark = pytest.mark.skipif(os.name == "nt", reason="an open file cannot be deleted there")
NUMPY = ("--backend", "numpy")


class Written:
    """A store that is open, and what writes a range to it."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(exist_ok=True)
        self.path, self.sweep = path, Sweep("mine", "", read_spec("paper", realizations=300, seed=3).points[:1])
        self.identities = identify_all(self.sweep.points)
        self.store = Store(path)
        (self.member,) = self.store.add_sweep(self.sweep, self.identities)

    def add(self, begin: int) -> None:
        claim = Claim(self.member.tally, begin, begin + 100, None)
        ran = run_range(describe_work(self.identities[0], 3), Range(begin, begin + 100, 1), backend="numpy")
        assert self.store.finish(claim, ran.tally, ran.provenance)


def rescued(path: Path) -> Path:
    (file,) = (f for f in path.parent.iterdir() if f.name == f"{path.name}.rescued-{os.getpid()}.db")
    return file


def check(path: Path, realizations: int) -> None:
    (stored,) = read_points(path)
    point = stored.point
    assert stored.tally == uep.simulate(point.code, point.part, point.workers, realizations=realizations, seed=3, backend="numpy")


def replace(path: Path) -> None:
    other = path.with_name("other.db")
    Store(other).close()
    other.replace(path)


LOSSES: dict[str, Callable[[Path], object]] = {
    "deleted": Path.unlink,
    "moved": lambda path: path.rename(path.with_name("moved.db")),
    "replaced": replace,
    "its log deleted": lambda path: Path(f"{path}-wal").unlink(),
    "its folder deleted": lambda path: shutil.rmtree(path.parent),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_a_store_that_is_lost_is_noticed_when_it_is_written(tmp_path: Path, loss: str) -> None:
    written = Written(tmp_path / "folder" / "s.db")
    written.add(0)
    written.add(100)
    LOSSES[loss](written.path)
    with pytest.raises(StoreLost, match=r"deleted, moved or replaced while it was in use. Everything .* resume with --store"):
        written.add(200)
    file = rescued(written.path)
    # The process goes on with the new file, if it must.
    assert written.store.realizations() == 300
    written.store.close()
    check(file, 300)
    assert not list(file.parent.glob("*.rescued-*-wal"))
    with Store(file) as store:
        assert store.ranges(written.member.tally) == ((0, 300),)


def test_a_store_that_is_lost_after_the_last_range_is_noticed_when_it_is_closed(tmp_path: Path) -> None:
    written = Written(tmp_path / "folder" / "s.db")
    written.add(0)
    written.path.unlink()
    with pytest.raises(StoreLost, match="Everything that it held is in"):
        written.store.close()
    check(rescued(written.path), 100)


def test_a_rescue_that_fails_says_so(tmp_path: Path) -> None:
    written = Written(tmp_path / "folder" / "s.db")
    written.add(0)
    shutil.rmtree(written.path.parent)
    written.path.parent.write_text("in the way")
    with pytest.raises(StoreError, match=r"was deleted, .* and what it held could not be written to"):
        written.add(100)
    written.store.close()


def slow_spec(folder: Path) -> Path:
    return write_spec(folder, error=0.0005, realizations=50_000_000)


def wait_for_ranges(store: Path, least: int, process: object) -> None:
    for _ in range(1200):
        time.sleep(0.05)
        assert process.poll() is None  # type: ignore[attr-defined]
        if store.exists():
            with closing(sqlite3.connect(f"{store.absolute().as_uri()}?mode=ro", uri=True)) as db:
                try:
                    if db.execute("SELECT COUNT(*) FROM span").fetchone()[0] >= least:
                        return
                except sqlite3.OperationalError:  # it is being made
                    continue
    raise AssertionError("no range was finished")


def test_a_sweep_whose_store_is_deleted_stops_and_keeps_everything(tmp_path: Path) -> None:
    slow_spec(tmp_path)
    store = tmp_path / "s.db"
    with start("sweep", "mine.toml", "--store", store, "--out", "o", *NUMPY, cwd=tmp_path) as process:
        wait_for_ranges(store, 3, process)
        for name in tmp_path.glob("s.db*"):
            name.unlink()
        out, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert out == ""
    assert err.count("\n") == 1
    assert "was deleted, moved or replaced while it was in use. Everything that it held is in" in err
    (file,) = tmp_path.glob("s.db.rescued-*.db")
    assert str(file) in err
    kept = sum(p.tally.realizations for p in read_points(file))
    assert kept > 0
    done = run("sweep", "mine.toml", "--store", file, "--out", "o", "--realizations", "20000", *NUMPY, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_store_that_is_copied_after_a_kill_is_whole(tmp_path: Path) -> None:
    slow_spec(tmp_path)
    store, copy = tmp_path / "s.db", tmp_path / "copy.db"
    with start("sweep", "mine.toml", "--store", store, "--out", "o", *NUMPY, cwd=tmp_path) as process:
        wait_for_ranges(store, 4, process)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
    shutil.copy(store, copy)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        held = {p.id: p.tally for p in read_points(copy)}
    warned = [str(w.message) for w in caught if w.category is StoreWarning]
    all_of_it = {p.id: p.tally for p in read_points(store)}  # with its log, which is still there
    # A kill between a checkpoint and the next range leaves a whole file, of which there is nothing to say.
    assert warned or held == all_of_it
    assert all("was copied while it was in use, or its last process was killed" in message for message in warned)
    # What is missing was finished in the last second or so before the kill.
    assert sum(t.realizations for t in all_of_it.values()) - sum(t.realizations for t in held.values()) < 3_000_000
    for tally in held.values():
        n = tally.realizations
        assert tally.ranges == ((0, n),)
    # It is carried on, and says once that it may lack something.
    for expected in (len(warned), 0):
        done = run("sweep", "mine.toml", "--store", copy, "--out", "o", "--realizations", "20000", *NUMPY, cwd=tmp_path)
        assert done.returncode == 0
        assert done.stderr.count("uepgpu: warning: store ") == expected
    done = run("sweep", "mine.toml", "--store", store, "--out", "o", "--realizations", "20000", *NUMPY, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert [p.id for p in read_points(store)] == [p.id for p in read_points(copy)]


def test_the_tables_of_a_new_store_are_in_the_file_itself(tmp_path: Path) -> None:
    with Store(tmp_path / "s.db"):
        # In another process: one that closes a file loses its locks on it.
        subprocess.run(["cp", tmp_path / "s.db", tmp_path / "copy.db"], check=True)
    with pytest.warns(StoreWarning, match="was copied while it was in use"):
        assert read_points(tmp_path / "copy.db") == []
