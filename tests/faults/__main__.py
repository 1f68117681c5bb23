"""The long part of the trial of faults: every script one after another, and the table of docs/reliability.md renewed.

``python -m tests.faults`` runs all of them, which takes about an hour of one core, ``-j 4`` in four processes.
``python -m tests.faults kills disks`` runs some and leaves what the table says of the others. What they find is kept in
``docs/reliability.json``, from which the table is made; ``python -m tests.faults --table`` makes it again and runs nothing.
Exits 1 if anything was broken or did not end.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.cases.sweeping import ROOT, environment
from tests.faults.table import DOCUMENT, RECORD, added, read_record, with_table

PARTS: dict[str, tuple[str, ...]] = {
    "damaged_stores": ("--flips 500 --seed 1", "--flips 500 --seed 2 --whole 0"),
    "damaged_files": ("",),
    "kills": ("--kills 30 --seed 1 --first 0", "--kills 30 --seed 2 --first 30"),
    "lost_stores": ("--times 2",),
    "disks": ("",),
    "outputs": ("",),
    "streams": ("",),
    "clusters": ("--times 2",),
    "hostile_texts": ("--stores 20 --pages 3",),
    "fuzz_specifications": ("--count 1000",),
    "fuzz_api": ("--count 1000",),
    "fuzz_command_lines": ("--count 500",),
    "long_sweep": ("--seconds 300",),
    "many_points": ("--points 100000",),
}
"""Scripts of this folder in the order of the table, with the options of each process whose trials are added up."""
LIMIT = 7200
"""Seconds that each process may take."""


def run_part(name: str, options: str) -> dict[str, Any] | None:
    """Run a script; return what it found, None if it did not end well."""
    print(f"=== {name} {options}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.json"
        words = [sys.executable, "-m", f"tests.faults.{name}", *options.split(), "--json", str(file)]
        try:
            subprocess.run(words, cwd=ROOT, env=environment(), timeout=LIMIT, check=False)
        except subprocess.TimeoutExpired:
            print(f"{name} did not end within {LIMIT} seconds; the table keeps what an earlier run found", flush=True)
            return None
        if not file.exists():
            print(f"{name} ended before it had found anything; the table keeps what an earlier run found", flush=True)
            return None
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return found


def keep(name: str, found: dict[str, Any]) -> None:
    """Put what a script found into the record, and make the table again."""
    found_so_far = read_record() | {name: found}
    record = {key: found_so_far[key] for key in PARTS if key in found_so_far}
    RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    DOCUMENT.write_text(with_table(DOCUMENT.read_text(encoding="utf-8"), record), encoding="utf-8")


def main() -> int:
    """Run the sections that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(PARTS))
    parser.add_argument("-j", dest="processes", type=int, default=1, help="processes at a time")
    parser.add_argument("--table", action="store_true", help="make the table again and run nothing")
    given = parser.parse_args()
    if unknown := set(given.sections) - set(PARTS):
        parser.error(f"no section {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    if given.table:
        DOCUMENT.write_text(with_table(DOCUMENT.read_text(encoding="utf-8"), read_record()), encoding="utf-8")
        return 0
    good = True
    with ThreadPoolExecutor(given.processes) as pool:
        running = {name: [pool.submit(run_part, name, options) for options in PARTS[name]] for name in given.sections or PARTS}
        for name, parts in running.items():
            found = [part.result() for part in parts]
            whole = [part for part in found if part is not None]
            if len(whole) == len(found):
                keep(name, added(whole))
            good = good and len(whole) == len(found) and not any(row["broken"] for part in whole for row in part["rows"])
    return int(not good)


if __name__ == "__main__":
    sys.exit(main())
