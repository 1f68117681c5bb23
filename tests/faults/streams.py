"""Standard streams that are closed, full or read by nobody, under every command.

``python -m tests.faults.streams``: files are written all the same, the exit code says that the output was not, and nothing is a
traceback.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.cases.command_line import environment
from tests.faults.child import listing
from tests.faults.disks import MULTIPLY
from tests.faults.folder import make_folder
from tests.faults.tally import OTHER, OVERWRITTEN, RAISED, Row, script

NO_OUT = (">&-", ">/dev/full", "<&- >&- 2>&-", ">/dev/full 2>/dev/full")
REDIRECTIONS = (*NO_OUT, "2>&-", "2>/dev/full", "| true")
COMMANDS: dict[str, tuple[str, ...]] = {
    "uepgpu-spec/table.csv": ("sweep", "spec.toml", "--backend", "numpy"),
    "x.csv": ("export", "store.db", "--csv", "x.csv"),
    "x.db": ("combine", "store.db", "-o", "x.db"),
    "C.npy": (*MULTIPLY, "--keep", "product", "-o", "C.npy"),
    "": ("replay", "store.db", "EW", "7"),
}
"""Commands by the file that they write."""


def rows(folder: Path, given: argparse.Namespace) -> Iterator[Row]:
    """Yield a row for each redirection."""
    template = make_folder(folder / "template")
    for redirection in REDIRECTIONS:
        row = Row(f"`{redirection}`".replace("|", "\\|"))
        for file, words in COMMANDS.items():
            work = folder / "work"
            shutil.rmtree(work, ignore_errors=True)
            shutil.copytree(template, work, symlinks=True)
            before = listing(work)
            row.tried += 1
            line = f"{sys.executable} -m uepgpu {' '.join(words)} {redirection}"
            if redirection == "| true":
                line = f"set -o pipefail; {line}"
            done = subprocess.run(
                ["bash", "-c", line],
                cwd=work,
                env=environment(),
                capture_output=True,
                encoding="utf-8",
                timeout=300,
                check=False,
            )
            after = listing(work)
            changed = [name for name, content in before.items() if after.get(name) != content and "store.db" not in name]
            wanted = (1,) if redirection in NO_OUT else (0,)
            if "Traceback" in done.stderr or "Exception ignored" in done.stderr:
                row.bad(RAISED, line, done.stderr)
            elif changed:
                row.bad(OVERWRITTEN, f"{line}: {changed}", done.stderr)
            elif file and not (work / file).exists():
                row.bad(OTHER, f"{line}: {file} is not written", done.stderr)
            elif done.returncode not in wanted or done.stderr.count("\n") > 1:
                row.bad(OTHER, f"{line}: exit code {done.returncode}", done.stderr)
            else:
                row.outcomes[f"results written, exit code {done.returncode}"] += 1
        yield row


if __name__ == "__main__":
    script(rows)
