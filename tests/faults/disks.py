"""Disks that are full, quotas and disks that cannot be written, under every command that writes.

``python -m tests.faults.disks --sizes 24``. Full and read-only disks are small file systems in memory, which only root may mount;
a quota is the limit on the size of a file.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cases.sweeping import same_tallies
from tests.faults.child import TRACEBACK, Attempt, attempt
from tests.faults.damaged_stores import SPEC, call
from tests.faults.folder import make_folder
from tests.faults.tally import OTHER, OVERWRITTEN, RAISED, WRONG, Row, script
from uepgpu.cli import main

SWEEP = ("sweep", "mine.toml", "--backend", "numpy")
KILOBYTE = 1024
MULTIPLY = ("multiply", "A.npy", "B.npy", "--code", "mds", "--deadline", "1", "--realizations", "2", "--backend", "numpy")
WRITERS: dict[str, tuple[str, ...]] = {
    "x.csv": ("export", "store.db", "--csv"),
    "x.parquet": ("export", "store.db", "--parquet"),
    "x.png": ("plot", "store.db", "-o"),
    "x.html": ("report", "store.db", "-o"),
    "x.db": ("combine", "store.db", "-o"),
    "x.npy": (*MULTIPLY, "--keep", "product", "-o"),
}
"""Commands that write one file, by its name."""


@contextmanager
def small_disk(place: Path, kilobytes: int) -> Iterator[bool]:
    """Make a file system of that size; yields whether that is permitted."""
    place.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(place)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True, check=False).returncode:
        yield False
        return
    try:
        yield True
    finally:
        subprocess.run(["umount", str(place)], check=True)


def said_once(code: int | None, err: str, row: Row, what: str) -> bool:
    """Return whether a command that failed said so in one line, and note what it did else."""
    if code in (-1, TRACEBACK) or "Traceback" in err:
        row.bad(RAISED, what, err)
    elif code not in (1, 2) or err.count("\n") != 1:
        row.bad(OTHER, f"{what}: exit code {code}", err)
    else:
        return True
    return False


def finished_elsewhere(store: Path, folder: Path, row: Row, what: str) -> None:
    """Take a store to a disk with room and finish it: the integers must be those of a run that nothing disturbed."""
    moved = folder / "moved.db"
    for end in ("", "-wal", "-shm"):
        Path(f"{moved}{end}").unlink(missing_ok=True)
        if Path(f"{store}{end}").exists():
            shutil.copy(f"{store}{end}", f"{moved}{end}")
    code, _, err = call(*SWEEP, "--out", folder / "again", "--store", moved)
    if code != 0:
        row.bad(OTHER, f"{what}: not resumed", err)
    elif not same_tallies(folder / "whole.db", moved):
        row.bad(WRONG, f"{what}: resumed to other integers")
    else:
        row.outcomes["resumed to the same integers"] += 1


def full_disks(folder: Path, sizes: int) -> Row:
    """Sweep on disks with room for less and less."""
    row, disk = Row("a full disk in sweep"), folder / "disk"
    for size in range(16, 16 + 12 * sizes, 12):
        with small_disk(disk, size) as mounted:
            if not mounted:
                row.figures = "no permission to mount a small file system"
                return row
            row.tried += 1
            code, _, err = call(*SWEEP, "--out", folder / "out", "--store", disk / "s.db")
            if code == 0:
                row.outcomes["it fitted"] += 1
            elif said_once(code, err, row, f"{size} KiB"):
                row.outcomes["one line"] += 1
            finished_elsewhere(disk / "s.db", folder, row, f"{size} KiB")
    return row


def quotas(folder: Path, sizes: int) -> Row:
    """Sweep with a limit on the size of files."""
    row, work = Row("a quota in sweep"), folder / "work"
    template = folder / "quota"
    template.mkdir()
    (template / "mine.toml").write_text(SPEC)
    for size in range(8, 8 + 8 * sizes, 8):
        row.tried += 1
        found = attempt(_limited(size * KILOBYTE, (*SWEEP, "--out", "out", "--store", "s.db")), template, work)
        if found.code == 0:
            row.outcomes["it fitted"] += 1
        elif said_once(found.code, found.err, row, f"{size} KiB"):
            row.outcomes["one line"] += 1
        finished_elsewhere(work / "s.db", folder, row, f"{size} KiB")
    return row


def _limited(size: int, words: tuple[str, ...]) -> Callable[[], int]:
    def run() -> int:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        sys.argv = ["uepgpu", *words]
        main()
        return 0

    return run


def quotas_of_outputs(folder: Path, template: Path, sizes: int) -> Row:
    """Write each kind of output with no room for it, over an earlier one: the earlier one stays, or the new one is whole."""
    row, work = Row("a quota in export, plot, report, combine and multiply"), folder / "work"
    for name, words in WRITERS.items():
        earlier = attempt(_limited(2**30, (*words, name)), template, work)
        assert earlier.code == 0, earlier.err
        kept = folder / "earlier"
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(work, kept, symlinks=True, ignore=lambda at, names: [n for n in names if n == "pipe"])
        whole = (kept / name).stat().st_size
        for k in range(1, sizes // len(WRITERS) + 2):
            row.tried += 1
            size = 4096 + (whole - 4096) * k // (sizes // len(WRITERS) + 2) if whole > 8192 else 512
            rewrite = (*words, name) if name != "x.db" else (*words, "y.db")  # combine never writes onto a store
            found = attempt(_limited(size, rewrite), kept, work)
            _judge_output(row, f"{name}, {size} bytes", found)
    return row


def _judge_output(row: Row, what: str, found: Attempt) -> None:
    if found.changed:
        row.bad(OVERWRITTEN, f"{what}: {', '.join(found.changed)}", found.err)
    elif [name for name in found.new if not name.startswith("store.db-")]:  # SQLite's own, which the next reader takes over
        row.bad(OTHER, f"{what}: left {', '.join(found.new)}", found.err)
    elif said_once(found.code, found.err, row, what):
        row.outcomes["one line, the earlier output stays"] += 1


def read_only(folder: Path, template: Path) -> Row:
    """Write each kind of output to a disk that cannot be written."""
    row, disk = Row("a read-only disk in every command that writes"), folder / "shelf"
    with small_disk(disk, 4096) as mounted:
        if not mounted:
            row.figures = "no permission to mount a file system"
            return row
        shutil.copy(template / "store.db", disk / "s.db")
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        commands = [(*words, str(disk / name)) for name, words in WRITERS.items()]
        commands += [("sweep", "spec.toml", "--backend", "numpy", "--out", str(disk / "o"))]
        commands += [("sweep", "spec.toml", "--backend", "numpy", "--realizations", "900", "--store", str(disk / "s.db"))]
        commands += [("export", str(disk / "s.db"), "--csv", "new.csv")]
        for words in commands:
            row.tried += 1
            found = attempt(_limited(2**30, words), template, folder / "work")
            if found.code == 0 and found.new == ("new.csv",):
                row.outcomes["a store there is read"] += 1
            elif found.new or found.changed:
                row.bad(OTHER, f"{' '.join(words)}: wrote {found.new}", found.err)
            elif said_once(found.code, found.err, row, " ".join(words)):
                row.outcomes["one line, nothing is written"] += 1
    return row


def rows(folder: Path, given: argparse.Namespace) -> Iterator[Row]:
    """Yield the rows."""
    (folder / "mine.toml").write_text(SPEC)
    code, _, err = call(*SWEEP, "--out", folder / "out", "--store", folder / "whole.db")
    assert code == 0, err
    yield full_disks(folder, given.sizes)
    yield quotas(folder, given.sizes)
    template = make_folder(folder / "template")
    yield quotas_of_outputs(folder, template, given.sizes)
    yield read_only(folder, template)


if __name__ == "__main__":
    script(rows, sizes=24)
