"""Real faults of disks, files and folders: each gives one clear line, and costs nothing that was finished."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.cases.sweeping import run, same_tallies, start, write_spec
from uepgpu.cli import main
from uepgpu.store.stored import read_points

pytestmark = pytest.mark.skipif(os.name == "nt", reason="POSIX faults")
NUMPY = ("--backend", "numpy")
Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Return what calls the command line in this process and returns its exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def call_here(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["uepgpu", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        out, err = capsys.readouterr()
        assert isinstance(stop.value.code, int)
        return stop.value.code, out, err

    return call_here


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A specification and its finished store, with several rows to lose."""
    folder = tmp_path_factory.mktemp("made")
    spec = write_spec(folder, error=0.004)
    done = run("sweep", spec, "--out", folder / "o", *NUMPY, cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    return spec, folder / "o" / "store.db"


@pytest.fixture
def copy(made: tuple[Path, Path], tmp_path: Path) -> Path:
    """A copy of the store that may be broken, beside a copy of the specification."""
    shutil.copy(made[0], tmp_path / "mine.toml")
    return Path(shutil.copy(made[1], tmp_path / "s.db"))


def refused(call: Call, store: Path, *messages: str) -> None:
    """A sweep on the store ends with 2 and one line with these words, and leaves the file as it was."""
    before = store.read_bytes()
    code, out, err = call("sweep", "mine.toml", "--out", "o", "--store", store, *NUMPY)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    for message in messages:
        assert message in err
    assert store.read_bytes() == before
    assert not (store.parent / "o").exists()


def repaired(call: Call, store: Path, whole: Path) -> tuple[int, int]:
    """`combine` saves what can be read, and the sweep goes on to the same integers; return realizations saved and in all."""
    code, _, err = call("combine", store, "-o", "repaired.db")
    assert (code, err) == (0, "")
    saved = sum(p.tally.realizations for p in {p.tally_id: p for p in read_points("repaired.db")}.values())
    code, _, err = call("sweep", "mine.toml", "--out", "o", "--store", "repaired.db", *NUMPY)
    assert code == 0, err
    assert same_tallies(whole, Path("repaired.db"))
    return saved, sum(p.tally.realizations for p in {p.tally_id: p for p in read_points(whole)}.values())


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_torn_file(call: Call, made: tuple[Path, Path], copy: Path, share: float) -> None:
    size = copy.stat().st_size
    os.truncate(copy, int(size * share))
    refused(call, copy, "is damaged (the file ends after", "uepgpu combine", "-o repaired.db")
    code, _, err = call("export", copy, "--csv", "x.csv")
    assert code == 2
    assert "is damaged" in err
    saved, whole = repaired(call, copy, made[1])
    # What is left of the file decides; the end of it holds the latest ranges.
    assert saved < whole
    assert saved > 0 or share < 0.5


def test_a_file_torn_within_its_header(call: Call, copy: Path) -> None:
    os.truncate(copy, 60)
    refused(call, copy, "is not a store of uepgpu")


def test_a_corrupted_page(call: Call, made: tuple[Path, Path], copy: Path) -> None:
    # A page of counts in the middle: its header is overwritten, so that SQLite itself notices.
    with closing(sqlite3.connect(copy)) as db:
        page = db.execute("PRAGMA page_size").fetchone()[0]
        root = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'span'").fetchone()[0]
    with copy.open("r+b") as file:
        file.seek((root - 1) * page)
        file.write(b"\xa5" * 200)
    refused(call, copy, "is damaged (", "uepgpu combine")
    repaired(call, copy, made[1])


def test_a_flipped_bit_that_sqlite_does_not_notice(call: Call, made: tuple[Path, Path], copy: Path) -> None:
    with closing(sqlite3.connect(copy)) as db:
        blob, start, stop = db.execute("SELECT counts, start, stop FROM span ORDER BY LENGTH(counts) DESC").fetchone()
        tallies = db.execute("SELECT COUNT(*) FROM tally").fetchone()[0]
    data = copy.read_bytes()
    at = data.find(blob[40:140])
    assert at > 0
    copy.write_bytes(data[: at + 50] + bytes([data[at + 50] ^ 1]) + data[at + 51 :])
    with closing(sqlite3.connect(copy)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    code, _, err = call("export", copy, "--csv", "x.csv")
    assert code == 2
    assert f"is damaged (realizations {start}..{stop - 1} of a tally: the checksum of its counts is wrong)" in err
    assert not Path("x.csv").exists()
    # A sweep notices too, though its points are finished and their curves are kept.
    refused(call, copy, "is damaged (", "uepgpu combine")
    saved, whole = repaired(call, copy, made[1])
    assert saved == whole - (stop - start)
    assert tallies == 5


def test_a_store_of_another_version(call: Call, copy: Path) -> None:
    with closing(sqlite3.connect(copy)) as db:
        db.execute("PRAGMA user_version = 7")
    refused(call, copy, "has schema version 7, this uepgpu reads versions 1 to 2", "made by uepgpu 0.1.0", "left as it is")
    code, _, err = call("combine", copy, "-o", "new.db")
    assert code == 2
    assert "schema version 7" in err
    assert not Path("new.db").exists()


def test_files_that_are_no_stores(call: Call, copy: Path, tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("my notes, which are dear to me\n" * 10)
    refused(call, text, "is not a store of uepgpu: it is no SQLite file")
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as db:
        db.execute("CREATE TABLE phones (name, number)")
    refused(call, other, "is a SQLite file, but no store of uepgpu")


@pytest.mark.parametrize("name", ["n" * 5000, "~nobody-of-that-name/s.db", "o\udcff", "none.db"])
def test_names_that_no_store_can_have_are_wrong_calls(call: Call, name: str) -> None:
    words = (("export", name, "--csv", "x.csv"), ("plot", name), ("report", name, "-o", "x.html"), ("combine", name, "-o", "x.db"))
    for arguments in (*words, ("replay", name, "EW", "7")):
        code, out, err = call(*arguments)
        assert (code, out) == (2, ""), arguments[0]
        assert err.startswith("uepgpu: ")
        assert err.count("\n") == 1
        assert len(err) <= 310
    assert not list(Path().iterdir())


def test_places_where_no_store_can_be(call: Call, copy: Path) -> None:
    for store, message in (
        ("mine.toml/s.db", "'mine.toml' is not a folder"),
        (".", "is a folder"),
        (" ", "must be a name"),
    ):
        code, _, err = call("sweep", "mine.toml", "--out", "o", "--store", store)
        assert code == 2
        assert message in err
        assert err.count("\n") == 1
    assert not Path("o").exists()


@pytest.mark.parametrize("name", ["file:", "file:x.db", ":memory:", "file:a%20b?mode=memory"])
def test_a_store_is_the_file_of_its_name_whatever_sqlite_makes_of_that(call: Call, copy: Path, name: str) -> None:
    shutil.copy(copy, name)
    size = Path(name).stat().st_size
    there = sorted(f.name for f in copy.parent.iterdir())
    code, out, err = call("sweep", "mine.toml", "--out", "o", "--store", name, *NUMPY)
    assert (code, err) == (0, "")
    assert "finished before, nothing added" in out
    assert Path(name).stat().st_size >= size
    assert sorted(f.name for f in copy.parent.iterdir()) == sorted([*there, "o"])
    os.remove(name)
    assert call("sweep", "mine.toml", "--out", "o", "--store", name, "--realizations", "100", *NUMPY)[0] == 0
    assert read_points(name)


# --- disks --------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 300 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(place)], capture_output=True, check=False
    )
    if not mounted or mounted.returncode:
        pytest.skip("no permission to mount a small file system")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk(call: Call, made: tuple[Path, Path], copy: Path, small_disk: Path) -> None:
    store = small_disk / "s.db"
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(60_000))
    code, _, err = call("sweep", "mine.toml", "--out", "o", "--store", store, *NUMPY)
    assert code == 1
    assert "the disk is full. Every finished range is safe; free some space and run the same command again" in err
    assert err.count("\n") == 1
    kept = read_points(store)
    assert 0 < len(kept) < 6 or any(not p.stop_reason for p in kept)
    before = {p.id: p.tally.ranges for p in kept}
    shutil.move(store, "moved.db")
    for end in ("-wal", "-shm"):
        if Path(f"{store}{end}").exists():
            shutil.move(f"{store}{end}", f"moved.db{end}")
    code, _, err = call("sweep", "mine.toml", "--out", "o", "--store", "moved.db", *NUMPY)
    assert (code, err) == (0, "")
    assert same_tallies(made[1], Path("moved.db"))
    after = {p.id: p.tally.ranges for p in read_points("moved.db")}
    assert all(after[i][0][1] >= ranges[0][1] for i, ranges in before.items())


def test_a_file_that_may_not_grow(made: tuple[Path, Path], copy: Path, tmp_path: Path) -> None:
    def limited() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (160_000, 160_000))

    done = run("sweep", "mine.toml", "--out", "o", "--store", "new.db", *NUMPY, cwd=tmp_path, preexec_fn=limited)
    assert done.returncode == 1
    assert "Every finished range is safe" in done.stderr
    assert done.stderr.count("\n") == 1
    done = run("sweep", "mine.toml", "--out", "o", "--store", "new.db", *NUMPY, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert same_tallies(made[1], tmp_path / "new.db")


@pytest.fixture
def read_only(tmp_path: Path, copy: Path) -> Iterator[Path]:
    """A folder with a finished store in it that nobody can write to, root included where that can be had."""
    place = tmp_path / "shelf"
    place.mkdir()
    if os.geteuid():
        shutil.copy(copy, place / "s.db")
        place.chmod(0o500)
        yield place
        place.chmod(0o700)
        return
    commands = [["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)], ["mount", "-o", "remount,ro", str(place)]]
    if not shutil.which("mount") or subprocess.run(commands[0], capture_output=True, check=False).returncode:
        pytest.skip("no permission to mount a file system that root cannot write to")
    shutil.copy(copy, place / "s.db")
    subprocess.run(commands[1], check=True)
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_folder_that_cannot_be_written(call: Call, read_only: Path, made: tuple[Path, Path]) -> None:
    for name in ("s.db", "new.db"):
        code, out, err = call("sweep", "mine.toml", "--out", "o", "--store", read_only / name, *NUMPY)
        assert (code, out) == (2, "")
        assert err.count("\n") == 1
        assert "--store must be a file that can be written" in err
    assert [f.name for f in read_only.iterdir()] == ["s.db"]
    # It can still be read: points, export, combine.
    assert same_tallies(made[1], read_only / "s.db")
    code, out, err = call("export", read_only / "s.db", "--csv", "x.csv")
    assert (code, err) == (0, "")
    assert call("combine", read_only / "s.db", "-o", "new.db")[0] == 0
    assert same_tallies(made[1], Path("new.db"))


# --- what a killed process leaves ---------------------------------------------------------------------------------


def test_a_write_ahead_log_that_was_cut(made: tuple[Path, Path], copy: Path, tmp_path: Path) -> None:
    wal = tmp_path / "new.db-wal"
    with start("sweep", "mine.toml", "--out", "o", "--store", "new.db", *NUMPY, cwd=tmp_path) as process:
        while process.poll() is None and (not wal.exists() or wal.stat().st_size < 150_000):
            pass
        process.kill()
        process.communicate()
    assert wal.exists()
    os.truncate(wal, wal.stat().st_size * 2 // 3 + 11)
    done = run("sweep", "mine.toml", "--out", "o", "--store", "new.db", *NUMPY, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert same_tallies(made[1], tmp_path / "new.db")
