"""``python -m bench.gpu --out DIR``: the record of a GPU, in one command and about eight minutes.

Each section is a process with its own limit. They compile side by side and take turns on the device while something is
timed. A failure is a row. DIR/record.md and DIR/record.json are rewritten whenever there are new rows.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from pathlib import Path

from bench.gpu.equality import DIGESTS, make_digests
from bench.gpu.notes import FULL_BUDGET
from bench.gpu.page import page
from bench.gpu.processes import Rows, run
from bench.gpu.sections import SECTIONS
from uepgpu.backends import BACKENDS, usable_cores

PRETENDED_BUDGET = 3600.0
"""The simulator is slow, and nobody waits for it on a machine that is lent."""


def main() -> int:
    """Make the record; return 1 if anything failed."""
    parser = argparse.ArgumentParser(prog="python -m bench.gpu", description=__doc__)
    parser.add_argument("--out", type=Path, help="folder of the record")
    parser.add_argument(
        "--budget", type=float, help=f"seconds for everything, {FULL_BUDGET:.0f} if not given; with fewer, less is done"
    )
    parser.add_argument("--backend", choices=BACKENDS, default="cuda", help="what is measured")
    parser.add_argument("--pretended", action="store_true", help="run all of it without a device: no figure is a GPU's")
    parser.add_argument("--only", default=",".join(SECTIONS), help="some sections, by the start of their names")
    parser.add_argument("--at-once", type=int, default=min(16, usable_cores()), help="sections that run side by side")
    parser.add_argument("--make-digests", action="store_true", help="write the digests of tallies instead, by the NumPy backend")
    asked = parser.parse_args()
    asked.budget = asked.budget or (PRETENDED_BUDGET if asked.pretended else FULL_BUDGET)
    if asked.make_digests:
        DIGESTS.write_text(make_digests())
        return 0
    if asked.out is None:
        parser.error("--out is missing")
    if asked.pretended and asked.backend != "cuda":
        parser.error("--pretended stands for a device: --backend cuda")
    chosen = {name: s for name, s in SECTIONS.items() if name.startswith(tuple(asked.only.split(",")))}
    if not chosen:
        parser.error(f"--only={asked.only} names no section: {', '.join(SECTIONS)}")
    rows, record = asked.out / "rows", asked.out / "record"
    rows.mkdir(parents=True, exist_ok=True)
    for old in rows.iterdir():
        old.unlink()
    head = f"Backend {asked.backend}, {time.strftime('%Y-%m-%d %H:%M', time.gmtime())} UTC, budget {asked.budget:.0f} s."
    if asked.pretended:
        head = f"**The device was pretended. No figure here is of a GPU, and no check here was made on one.** {head}"

    def rewrite(found: Rows) -> None:
        for suffix, text in ((".json", json.dumps(found, indent=1)), (".md", page(chosen, found, head, pretended=asked.pretended))):
            fresh = asked.out / f"record{suffix}.new"
            fresh.write_text(text)
            fresh.replace(record.with_suffix(suffix))

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # an exit ends the sections
    found = run(
        chosen, rows, backend=asked.backend, pretended=asked.pretended, budget=asked.budget, at_once=asked.at_once, rewrite=rewrite
    )
    failed = [row for row in found if row["ok"] is False]
    what = f"{record.with_suffix('.md')}{', of a pretended device' if asked.pretended else ''}"
    print(f"{what}: {sum(row['ok'] is True for row in found)} checks passed, {len(failed)} failed")
    for row in failed:
        print(
            f"  {row['section']}, {row['what']}: {row.get('error', '')}"[
                : os.get_terminal_size().columns if sys.stdout.isatty() else 300
            ]
        )
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
