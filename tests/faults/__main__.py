"""The long part of the trial of faults: every script one after another, and the table of docs/reliability.md renewed.

``python -m tests.faults`` runs all of them, which takes about an hour of one core; ``python -m tests.faults kills disks`` runs
some and leaves what the table says of the others. What they find is kept in ``docs/reliability.json``, from which the table is made
(``python -m tests.faults --table`` makes it again and runs nothing). Exits 1 if anything was broken or did not end.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.cases.sweeping import ROOT, environment
from tests.faults.table import DOCUMENT, RECORD, read_record, with_table

SECTIONS = {
    "damaged_stores": 3600,
    "damaged_files": 900,
    "kills": 3600,
    "lost_stores": 1800,
    "disks": 1800,
    "outputs": 900,
    "streams": 900,
    "clusters": 1800,
    "hostile_texts": 1800,
    "fuzz_specifications": 3600,
    "fuzz_api": 3600,
    "fuzz_command_lines": 5400,
    "long_sweep": 900,
    "many_points": 7200,
}
"""Scripts of this folder, in the order of the table, and the seconds that each may take."""


def run_section(name: str) -> bool:
    """Run a script and keep what it found; return whether nothing was broken."""
    print(f"=== {name}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.json"
        words = [sys.executable, "-m", f"tests.faults.{name}", "--json", str(file)]
        try:
            done = subprocess.run(words, cwd=ROOT, env=environment(), timeout=SECTIONS[name], check=False)
        except subprocess.TimeoutExpired:
            print(f"{name} did not end within {SECTIONS[name]} seconds; the table keeps what an earlier run found", flush=True)
            return False
        if not file.exists():
            print(f"{name} ended with {done.returncode} before it had found anything", flush=True)
            return False
        found = json.loads(file.read_text(encoding="utf-8"))
    record = read_record()
    record[name] = found
    RECORD.write_text(json.dumps({key: record[key] for key in SECTIONS if key in record}, indent=1) + "\n", encoding="utf-8")
    DOCUMENT.write_text(with_table(DOCUMENT.read_text(encoding="utf-8"), record), encoding="utf-8")
    return done.returncode == 0


def main() -> int:
    """Run the sections that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS))
    parser.add_argument("--table", action="store_true", help="make the table again and run nothing")
    given = parser.parse_args()
    if unknown := set(given.sections) - set(SECTIONS):
        parser.error(f"no section {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    if given.table:
        DOCUMENT.write_text(with_table(DOCUMENT.read_text(encoding="utf-8"), read_record()), encoding="utf-8")
        return 0
    return int([run_section(name) for name in given.sections or SECTIONS].count(False) > 0)


if __name__ == "__main__":
    sys.exit(main())
