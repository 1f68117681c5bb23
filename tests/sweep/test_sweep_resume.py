"""Killed, doubled, spread over a cluster: a sweep ends with the same integers, and keeps what was finished."""

from __future__ import annotations

import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

import uepgpu as uep
from tests.cases.sweeping import cluster, command, environment, killed_runs, run, same_tallies, start, stored_ranges, write_spec
from uepgpu.cli import main
from uepgpu.store.stored import read_points
from uepgpu.sweep.dask_cluster import DaskCluster

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals")
NUMPY = ("--backend", "numpy")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A specification, and the store of its uninterrupted run."""
    folder = tmp_path_factory.mktemp("whole")
    spec = write_spec(folder)
    done = run("sweep", spec, "--out", folder / "out", *NUMPY, cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    return spec, folder / "out" / "store.db"


def test_an_uninterrupted_run_holds_what_simulate_returns(whole: tuple[Path, Path]) -> None:
    points = read_points(whole[1])
    assert len(points) == 6
    assert len({p.tally_id for p in points}) == 5  # MDS packets are alike, so that its work models share a tally
    for stored in points:
        point, n = stored.point, stored.tally.realizations
        assert stored.tally.ranges == ((0, n),)
        deadlines = point.deadlines if stored.tally.domain == "deadline" else None
        direct = uep.simulate(point.code, point.part, point.workers, deadlines=deadlines, realizations=n, seed=11, backend="numpy")
        assert stored.tally == direct
        assert stored.stop_reason


def test_killed_runs_end_with_the_same_integers(whole: tuple[Path, Path], tmp_path: Path) -> None:
    spec, store = whole
    killed_runs("sweep", spec, "--out", "killed", *NUMPY, cwd=tmp_path, kills=6, latest=2.0, seed=3)
    done = run("sweep", spec, "--out", "killed", *NUMPY, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert same_tallies(store, tmp_path / "killed" / "store.db")


def test_two_processes_share_a_store(whole: tuple[Path, Path], tmp_path: Path) -> None:
    spec, store = whole
    both = [start("sweep", spec, "--out", name, "--store", "shared.db", *NUMPY, cwd=tmp_path) for name in ("a", "b")]
    for process in both:
        with process:
            _, err = process.communicate(timeout=120)
            assert (process.returncode, err) == (0, "")
    assert same_tallies(store, tmp_path / "shared.db")
    assert (tmp_path / "a" / "table.csv").read_bytes() == (tmp_path / "b" / "table.csv").read_bytes()
    with sqlite3.connect(tmp_path / "shared.db") as db:
        assert db.execute("SELECT COUNT(*) FROM claim").fetchone() == (0,)
        assert db.execute("SELECT COUNT(*) FROM owner").fetchone() == (0,)
    db.close()


def test_a_finished_sweep_adds_nothing(whole: tuple[Path, Path], tmp_path: Path) -> None:
    spec, store = whole
    for _ in range(2):
        table, figure, before = tmp_path / "o" / "table.csv", tmp_path / "o" / "loss.png", read_points(store)
        stamps = [f.stat().st_mtime_ns for f in (table, figure) if f.exists()]
        done = run("sweep", spec, "--out", "o", "--store", store, *NUMPY, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        assert "finished before, nothing added" in done.stdout
        assert [p.tally for p in read_points(store)] == [p.tally for p in before]
    assert stamps == [table.stat().st_mtime_ns, figure.stat().st_mtime_ns]


@pytest.mark.slow
def test_a_cluster_that_loses_a_worker_ends_with_the_same_integers(tmp_path: Path) -> None:
    spec = write_spec(tmp_path, error=0.0008, realizations=6_000_000)  # long enough to lose a worker on a busy machine
    assert run("sweep", spec, "--out", "whole", *NUMPY, cwd=tmp_path).returncode == 0
    with cluster(tmp_path, 3) as (address, _, workers):
        with start("sweep", spec, "--out", "out", "--dask", address, *NUMPY, cwd=tmp_path) as process:
            # As soon as something is stored the workers are at work.
            for _ in range(600):
                time.sleep(0.05)
                if process.poll() is not None or stored_ranges(tmp_path / "out" / "store.db") >= 2:
                    break
            workers[0].send_signal(signal.SIGKILL)
            running = process.poll() is None
            _, err = process.communicate(timeout=240)
        complaints = [line for line in err.splitlines() if " points done, " not in line]  # a line a minute on a busy machine
        assert (process.returncode, complaints) == (0, [])
        assert running, "the sweep had ended before the worker was killed"
    assert same_tallies(tmp_path / "whole" / "store.db", tmp_path / "out" / "store.db")


def test_a_result_that_died_with_its_worker_is_waited_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    distributed = pytest.importorskip("distributed")
    # A future is lost between the answer that it is done and the look at it, and dask runs its task again.
    seen: list[int] = []
    future: Any = Mock(status="lost", result=lambda: ran, on_finish=seen.append)
    ran, claim = SimpleNamespace(tally=SimpleNamespace(realizations=7)), object()
    monkeypatch.setattr(distributed, "wait", lambda futures, **_: (set(futures), set()))
    cluster = DaskCluster("tcp://127.0.0.1:1")
    cluster._client = SimpleNamespace(status="running")
    cluster._running = {future: claim}
    assert cluster.collect(0.1) == []
    assert cluster._running == {future: claim}
    future.status = "finished"
    assert cluster.collect(0.1) == [(claim, ran)]
    assert (seen, cluster._running) == ([7], {})
    future.status = "cancelled"
    cluster._running = {future: claim}
    with pytest.raises(ValueError, match=r"the scheduler tcp://127\.0\.0\.1:1 does not answer any more"):
        cluster.collect(0.1)


@pytest.mark.slow
def test_dask_without_an_address_makes_a_cluster(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    spec = write_spec(tmp_path, error=0.01)
    with socket.socket() as other:
        with suppress(OSError):  # somebody else has dask's port: all the better
            other.bind(("", 8787))
            other.listen()
        done = run("sweep", spec, "--out", "out", *NUMPY, "--dask", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert run("sweep", spec, "--out", "here", *NUMPY, cwd=tmp_path).returncode == 0
    assert same_tallies(tmp_path / "here" / "store.db", tmp_path / "out" / "store.db")


def test_a_killed_scheduler_is_one_line_and_costs_no_finished_range(tmp_path: Path) -> None:
    spec = write_spec(tmp_path, error=0.0005, realizations=60_000_000)
    store = tmp_path / "out" / "store.db"
    with (
        cluster(tmp_path, 1) as (address, scheduler, _),
        start("sweep", spec, "--out", "out", "--dask", address, *NUMPY, cwd=tmp_path) as process,
    ):
        for _ in range(1200):
            time.sleep(0.05)
            if process.poll() is not None or stored_ranges(store) >= 2:
                break
        scheduler.kill()
        out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (1, "")
    err = "".join(line for line in err.splitlines(keepends=True) if " points done, " not in line)
    assert err.count("\n") == 1, err
    assert err.startswith(f"uepgpu: the scheduler {address} does not answer any more. ")
    assert "Every finished range is safe; run the same command again" in err
    kept = {p.id: p.tally.realizations for p in read_points(store)}
    assert sum(kept.values()) > 0
    done = run("sweep", spec, "--out", "out", "--realizations", "20000", *NUMPY, cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (0, 0)
    assert all(p.tally.realizations >= kept.get(p.id, 0) for p in read_points(store))


def test_a_worker_of_another_version_is_refused_by_name(tmp_path: Path) -> None:
    spec = write_spec(tmp_path)
    other = "import uepgpu\nuepgpu.__version__ = '0.0.9'\n"
    with cluster(tmp_path, 1, "--preload", other) as (address, _, _):
        done = run("sweep", spec, "--out", "out", "--dask", address, *NUMPY, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1, done.stderr
    assert re.search(r"--dask: the worker tcp://[\d.:]+ has uepgpu 0\.0\.9, this process uepgpu", done.stderr)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "address, message",
    [
        *(
            (address, "--dask must be tcp://HOST:PORT")
            for address in ("somewhere", "tcp://", "tcp://127.0.0.1:99999", "http://x:1")
        ),
        ("tcp://127.0.0.1:1", "no scheduler answers there"),
        ("tls://127.0.0.1:1", "no scheduler answers there (TLS expects"),
    ],
)
def test_a_cluster_that_is_not_there_is_a_wrong_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str, message: str
) -> None:
    pytest.importorskip("distributed")
    spec = write_spec(tmp_path)
    code = (
        "import sys\nimport uepgpu.sweep.dask_cluster as module\nmodule.CONNECT_SECONDS = 1\nfrom uepgpu.cli import main\n"
        f"sys.argv = ['uepgpu', 'sweep', {str(spec)!r}, '--dask', {address!r}]\nmain()\n"
    )
    done = subprocess.run(
        [command()[0], "-c", code], cwd=tmp_path, env=environment(), capture_output=True, encoding="utf-8", check=False, timeout=60
    )
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert sorted(f.name for f in tmp_path.iterdir()) == ["mine.toml"]


# --- a specification that has changed -----------------------------------------------------------------------------


@pytest.fixture
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[str, str]]:
    """Return what runs a sweep in this process, checks that it succeeds and returns what it prints."""
    monkeypatch.chdir(tmp_path)

    def run_here(*arguments: str) -> tuple[str, str]:
        monkeypatch.setattr(sys, "argv", ["uepgpu", "sweep", "mine.toml", "--out", "o", *arguments, *NUMPY])
        with pytest.raises(SystemExit) as stop:
            main()
        out, err = capsys.readouterr()
        assert stop.value.code == 0, err
        return out, err

    return run_here


def test_a_changed_specification_keeps_what_there_is_and_says_so(tmp_path: Path, sweep: Callable[..., tuple[str, str]]) -> None:
    spec = write_spec(tmp_path, error=0.01)
    sweep()
    before = {p.id: p.tally for p in read_points(tmp_path / "o" / "store.db")}
    spec.write_text(spec.read_text().replace("seed = 11", "seed = 12"))
    _, err = sweep()
    assert err.startswith("uepgpu: o/store.db also holds 6 points of an earlier specification called 'mine' that this one does not")
    assert err.count("\n") == 1
    after = {p.id: p.tally for p in read_points(tmp_path / "o" / "store.db")}
    assert len(after) == 12
    assert all(after[i] == tally for i, tally in before.items())


def test_finer_deadlines_and_other_matrices_simulate_nothing_in_the_count_domain(
    tmp_path: Path, sweep: Callable[..., tuple[str, str]]
) -> None:
    spec = write_spec(tmp_path, error=0.01)
    text = spec.read_text().replace('work = ["unit", "true"]', 'work = "unit"')
    spec.write_text(text)
    sweep()
    # Looser than what has been seen, so that no rule asks for more.
    finer = text.replace("[0.25, 0.5, 1]", "[0.25, 0.4, 0.5, 0.75, 1]").replace("[10, 1, 0.1]", "[9, 3, 1]")
    spec.write_text(finer.replace("relative_error = 0.01", "relative_error = 0.5"))
    out, _ = sweep()
    assert "nothing added" in out
    latest = read_points(tmp_path / "o" / "store.db")[-1].point
    assert len(latest.deadlines) == 5
    assert latest.part.energy[0] == 81


def test_more_realizations_extend_what_there_is(tmp_path: Path, sweep: Callable[..., tuple[str, str]]) -> None:
    text = write_spec(tmp_path).read_text()
    head, tail = text.split("[stop]")[0], text[text.index("[workers]") :]
    (tmp_path / "mine.toml").write_text(head + tail.replace("stop = {", "# "))
    for n in (3000, 7000, 7000):
        out, _ = sweep("--realizations", str(n))
        points = read_points(tmp_path / "o" / "store.db")
        assert {p.tally.realizations for p in points} == {n}
        assert {p.stop_reason for p in points} == {f"{n:,} of {n:,} realizations"}
    assert "nothing added" in out
