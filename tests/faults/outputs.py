"""Files that are in the way of outputs: none of them is lost, by whatever command.

``python -m tests.faults.outputs --races 20`` names, as the output of each command, a text, a file of another program in the same
format, a store, an input, links, a folder, a pipe and a device, without and with ``--force``; then lets two processes write one
output at the same time.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.faults.child import attempt, listing
from tests.faults.disks import MULTIPLY, WRITERS
from tests.faults.folder import make_folder
from tests.faults.tally import JUDGED, OTHER, REFUSED, WRONG, Row, judge, script
from uepgpu.cli import main

DIARY = b"a diary\n"
BEGINS = {
    "csv": b"series,partition,other\n1,2,3\n",
    "parquet": b"PAR1 of another program PAR1",
    "png": b"\x89PNG\r\n\x1a\n of another program",
    "html": b"<!DOCTYPE html><title>a page of somebody else</title>",
    "db": b"SQLite format 3\0 of another program",
    "npy": b"\x93NUMPY\x01\x00v\x00{'descr': '<f8'",
    "json": b'{"mine": 1}',
}


def _copy_of_store(path: Path) -> None:
    shutil.copy(path.parent / "store.db", path)


def _linked(path: Path) -> None:
    path.with_name("diary").write_bytes(DIARY)
    path.symlink_to("diary")


IN_THE_WAY: dict[str, Callable[[Path], object]] = {
    "a text": lambda path: path.write_bytes(DIARY),
    "a file of another program": lambda path: path.write_bytes(BEGINS[path.suffix[1:]]),
    "a store": _copy_of_store,
    "a link to a text": _linked,
    "a link to nothing": lambda path: path.symlink_to("nothing"),
    "a second name of an input": lambda path: os.link(path.parent / "A.npy", path),
    "a folder": lambda path: path.mkdir(),
    "a pipe": lambda path: os.mkfifo(path),
    "a link to a device": lambda path: path.symlink_to("/dev/null"),
}
NEVER = ("a store", "a second name of an input", "a folder", "a pipe", "a link to a device")
"""What ``--force`` does not replace either; a file that some command takes for its own kind is none of these."""
OUTPUTS = WRITERS | {
    "b.json": ("bench", "--quick", "--backend", "numpy", "--json"),
    "t.csv": ("sweep", "spec.toml", "--backend", "numpy", "--store", "s.db", "--out"),
}


def _words(name: str, words: tuple[str, ...], force: bool) -> tuple[str, ...]:
    target = "." if words[0] == "sweep" else name
    forced = ("--force",) if force and words[0] != "combine" else ()
    return (*words, target, *forced)


def _run(words: tuple[str, ...]) -> Callable[[], int]:
    def run() -> int:
        sys.argv = ["uepgpu", *words]
        main()
        return 0

    return run


def in_the_way(folder: Path, template: Path, what: str, make: Callable[[Path], object]) -> Row:
    """Put something in the way of each output."""
    row = Row(f"{what} where an output is to be")
    for name, words in OUTPUTS.items():
        target = "table.csv" if words[0] == "sweep" else name
        is_input = words[0] == "multiply"
        if what == "a second name of an input" and not is_input:
            continue
        for force in (False, True):
            row.tried += 1
            given = _words(name, words, force)
            found = attempt(_run(given), template, folder / "work", 60, lambda work, name=target: make(work / name))  # type: ignore[misc]
            outcome = judge(found)
            replaced = found.changed == (target,) and found.code == 0
            if outcome == REFUSED:
                row.outcomes["refused in one line"] += 1
            elif force and replaced and what not in NEVER:
                row.outcomes["replaced by --force"] += 1
            else:
                row.bad(JUDGED.get(outcome, OTHER), f"{outcome}: {' '.join(given)}: {found.changed} {found.new}", found.err)
    return row


def onto_inputs(folder: Path, template: Path) -> Row:
    """Name an input as the output."""
    row = Row("an input named as the output")
    for words in (
        (*MULTIPLY, "-o", "A.npy"),
        (*MULTIPLY, "-o", "./B.npy"),
        (*MULTIPLY, "-o", "link.npy"),
        (*MULTIPLY, "-o", "folder/../A.npy"),
        ("combine", "store.db", "-o", "store.db"),
        ("sweep", "spec.toml", "--store", "spec.toml"),
        ("sweep", "spec.toml", "--store", "out/table.csv", "--out", "out"),
        ("multiply", "both.npz:left", "both.npz:right", *MULTIPLY[3:], "-o", "both.npz"),
    ):
        for force in ((), ("--force",)):
            if force and words[0] == "combine":
                continue
            row.tried += 1
            found = attempt(_run((*words, *force)), template, folder / "work", 60)
            outcome = judge(found)
            if outcome == REFUSED:
                row.outcomes["refused in one line"] += 1
            else:
                row.bad(JUDGED.get(outcome, OTHER), f"{outcome}: {' '.join((*words, *force))}: {found.changed}", found.err)
    return row


def races(folder: Path, template: Path, times: int) -> Row:
    """Let two processes write one output at the same time."""
    row = Row("two processes that write one output at once")
    for i in range(times):
        name = list(WRITERS)[i % 4]
        words = (*WRITERS[name], name)
        once = attempt(_run(words), template, folder / "once")
        assert once.code == 0, once.err
        whole = (folder / "once" / name).read_bytes()
        row.tried += 1

        def both(words: tuple[str, ...] = words) -> int:
            second = os.fork()
            code = 1
            try:
                sys.argv = ["uepgpu", *words]
                main()
            except SystemExit as stop:
                code = int(stop.code or 0)
            if second == 0:
                os._exit(code)
            return max(code, os.waitstatus_to_exitcode(os.waitpid(second, 0)[1]))

        found = attempt(both, template, folder / "work", 60)
        there = listing(folder / "work")
        left = [n for n in there if n.endswith(".part")]
        if found.code != 0 or left:
            row.bad(OTHER, f"{name}: exit code {found.code}, left {left}", found.err)
        elif there.get(name) != whole:
            row.bad(WRONG, f"{name} is not whole")
        else:
            row.outcomes["whole, nothing left behind"] += 1
    return row


def rows(folder: Path, given: argparse.Namespace) -> Iterator[Row]:
    """Yield the rows."""
    template = make_folder(folder / "template")
    for what, make in IN_THE_WAY.items():
        yield in_the_way(folder, template, what, make)
    yield onto_inputs(folder, template)
    yield races(folder, template, given.races)


if __name__ == "__main__":
    script(rows, races=20)
