"""Memory of a sweep of many points, run to its end: ``python -m tests.faults.many_points --points 100000``."""

from __future__ import annotations

import argparse
import csv
import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tests.cases.sweeping import command, environment
from tests.faults.tally import LOST, OTHER, WRONG, Row, script

HEAD = """
deadlines = [0.5, 1]
gamma = [0.40, 0.35, 0.25]

[workers]
count = 20
omega = "fair"
work = WORK

[partitions.rxc]
paradigm = "rxc"
left_variances = [10, 1, 0.1]
right_variances = [10, 1, 0.1]
classes = [3, 3, 3]
"""
MANY = "realizations = 64\n" + HEAD.replace("WORK", '"unit"') + '[[series]]\ncode = "ew"\ngrid = { seed = [SEEDS] }\n'
MOST_A_POINT = 16.0
"""KiB of memory that a point may take: its description, its row in the table and its place in the loop."""


def resident(process: int, field: str = "VmRSS") -> float:
    """Return a field of a process's memory in MiB."""
    text = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    found = re.search(rf"{field}:\s+(\d+) kB", text)
    return int(found[1]) / 1024 if found else 0.0


def processor_seconds(process: int) -> float:
    """Return the processor time of a process; 0 if it has just ended."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def many_points(folder: Path, points: int) -> tuple[Row, float]:
    """Run a sweep of so many points to its end; return its row and the MiB that it took at most."""
    row, name = Row(f"a sweep of {points:,} points", 1), f"many-{points}"
    (folder / f"{name}.toml").write_text(MANY.replace("SEEDS", ", ".join(map(str, range(points)))))
    began, peak, used = time.monotonic(), 0.0, 0.0
    words = command("sweep", f"{name}.toml", "--out", name, "--threads", "1")
    with (
        (folder / "out.txt").open("w") as out,
        (folder / "err.txt").open("w") as err,
        subprocess.Popen(words, cwd=folder, env=environment(), stdout=out, stderr=err) as process,
    ):
        while process.poll() is None:
            peak, used = max(peak, resident(process.pid, "VmHWM")), processor_seconds(process.pid) or used
            time.sleep(0.25)
    seconds = time.monotonic() - began
    if process.returncode != 0:
        row.bad(OTHER, f"exit code {process.returncode}", (folder / "err.txt").read_text())
        return row, peak
    with (folder / name / "table.csv").open(encoding="utf-8", newline="") as file:
        seeds = {line["seed"]: line["realizations"] for line in csv.DictReader(file)}
    if len(seeds) != points:
        row.bad(LOST, f"{len(seeds)} points in the table")
    if set(seeds.values()) != {"64"}:
        row.bad(WRONG, "other numbers of realizations")
    size = (folder / name / "store.db").stat().st_size
    row.outcomes["to the end"] += not row.broken
    row.figures = (
        f"{peak:.0f} MiB at most, {seconds:.0f} s ({used:.0f} s of processor), {size / points:.0f} bytes of the store a point"
    )
    return row, peak


def rows(folder: Path, given: argparse.Namespace) -> Iterator[Row]:
    """Yield the rows."""
    few, less = many_points(folder, given.points // 10)
    yield few
    many, more = many_points(folder, given.points)
    a_point = (more - less) * 1024 / (given.points * 0.9)
    many.figures += f"; {a_point:.1f} KiB of memory for each further point"
    if a_point > MOST_A_POINT:
        many.bad(OTHER, many.figures)
    yield many


if __name__ == "__main__":
    script(rows, points=100_000)
