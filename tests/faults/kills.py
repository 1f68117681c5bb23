"""Processes killed at any moment: nothing that was finished is lost, and what is run again ends with the same integers.

``python -m tests.faults.kills --kills 60 --seed 1`` kills ``uepgpu sweep`` when it makes its store, compiles, runs and writes, and
``uepgpu export``, ``combine`` and ``report`` while they write, with SIGKILL, SIGTERM, SIGHUP and SIGINT (once and twice), and
prints a table.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.cases.sweeping import command, environment, run, same_tallies, start, stored_ranges, write_spec
from uepgpu.store.errors import StoreError, StoreWarning
from uepgpu.store.stored import read_points

SIGNALS = ("SIGKILL", "SIGTERM", "SIGHUP", "SIGINT", "SIGINT twice")
SWEEPS = ("creation", "compilation", "mid-run")
READERS = ("export", "combine", "report")
TIMEOUT = 300.0


@dataclass
class Count:
    """What became of the kills of one phase by one signal."""

    kills: int = 0
    ended_before: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    def bad(self, what: str, detail: str) -> None:
        """Note something that must not happen."""
        self.outcomes[what] += 1
        self.examples.append(f"{what}: {detail.strip()[-400:]}")


class Trial:
    """Kills processes in a folder of its own.

    Parameters
    ----------
    folder : Path
    seed : int
        Of the moments.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.chance = folder, random.Random(seed)
        self.spec = write_spec(folder, error=0.003, realizations=400_000)
        done = self._finish("whole")
        assert done.returncode == 0, done.stderr
        self.whole = folder / "whole" / "store.db"
        self.expected: dict[str, bytes | None] = {}
        self.seconds: dict[str, float] = {}
        for reader in READERS:
            began = time.monotonic()
            done = run(*self._reading(reader, "expected"), cwd=folder)
            assert done.returncode == 0, done.stderr
            self.seconds[reader] = time.monotonic() - began
            made = self._target(reader, "expected")
            self.expected[reader] = None if reader == "combine" else made.read_bytes()

    # --- what is killed -------------------------------------------------------------------------------------------

    def _sweep(self, out: str, backend: str = "numpy") -> tuple[str | Path, ...]:
        return ("sweep", self.spec, "--out", out, "--backend", backend)

    def _finish(self, out: str) -> subprocess.CompletedProcess[str]:
        return run(*self._sweep(out), cwd=self.folder)

    def _target(self, reader: str, name: str) -> Path:
        return self.folder / f"{name}.{ {'export': 'csv', 'combine': 'db', 'report': 'html'}[reader] }"

    def _reading(self, reader: str, name: str) -> tuple[str | Path, ...]:
        target = self._target(reader, name)
        return (reader, self.whole, *(("--csv", target) if reader == "export" else ("-o", target)))

    def _send(self, process: subprocess.Popen[str], name: str) -> None:
        process.send_signal(getattr(signal, name.split()[0]))
        if name.endswith("twice"):
            time.sleep(self.chance.uniform(0.0, 0.3))
            process.send_signal(signal.SIGINT)

    def kill(self, phase: str, name: str, count: Count) -> None:
        """Kill once, and see what is left."""
        count.kills += 1
        if phase in SWEEPS:
            self._kill_sweep(phase, name, count)
        else:
            self._kill_reader(phase, name, count)

    def _kill_sweep(self, phase: str, name: str, count: Count) -> None:
        out = self.folder / "killed"
        shutil.rmtree(out, ignore_errors=True)
        store = out / "store.db"
        options: dict[str, object] = {}
        if phase == "compilation":
            # Where no kernel is cached the first range compiles for seconds.
            options["env"] = environment() | {"NUMBA_CACHE_DIR": tempfile.mkdtemp(dir=self.folder)}
        words = self._sweep("killed", "numba" if phase == "compilation" else "numpy")
        with popen(words, self.folder, options) as process:
            self._wait(process, store, phase)
            ended = process.poll() is not None
            self._send(process, name)
            _, err = process.communicate(timeout=TIMEOUT)
        count.ended_before += ended
        self._judge_end(process.returncode, err, name, ended, count)
        kept = {p.id: p.tally for p in read_quietly(store)}
        copied = self.folder / "copy.db"
        if store.exists():
            shutil.copy(store, copied)
            try:
                alone = {p.id: p.tally.realizations for p in read_quietly(copied)}
                lacking = sum(t.realizations for t in kept.values()) - sum(alone.values())
                count.outcomes["the file alone holds all" if lacking == 0 else "the file alone lacks the last second"] += 1
            except StoreError as error:
                count.bad("the file alone is no store", str(error))
            copied.unlink()
        done = self._finish("killed")
        if done.returncode != 0 or done.stderr:
            count.bad("not resumed", done.stderr)
            return
        after = {p.id: p.tally for p in read_quietly(store)}
        lost = [key for key, tally in kept.items() if key not in after or tally.realizations > after[key].realizations]
        if lost:
            count.bad("finished ranges lost", ", ".join(lost))
        elif same_tallies(self.whole, store):
            count.outcomes["resumed to the same integers"] += 1
        else:
            count.bad("other integers", "")

    def _wait(self, process: subprocess.Popen[str], store: Path, phase: str) -> None:
        """Wait for a moment of a phase."""
        until = time.monotonic() + TIMEOUT
        while process.poll() is None and time.monotonic() < until:
            if phase == "creation" and store.parent.exists():
                time.sleep(self.chance.uniform(0.0, 0.15))
                return
            if phase == "compilation" and store.exists():
                time.sleep(self.chance.uniform(0.3, 4.0))
                return
            if phase == "mid-run" and stored_ranges(store) >= 1:
                time.sleep(self.chance.uniform(0.0, 1.5))
                return
            time.sleep(0.005)

    def _kill_reader(self, phase: str, name: str, count: Count) -> None:
        target = self._target(phase, "killed")
        before = self.whole.read_bytes()
        target.unlink(missing_ok=True)
        with popen(self._reading(phase, "killed"), self.folder, {}) as process:
            time.sleep(self.chance.uniform(0.3, 1.0) * self.seconds[phase])
            ended = process.poll() is not None
            self._send(process, name)
            _, err = process.communicate(timeout=TIMEOUT)
        count.ended_before += ended
        self._judge_end(process.returncode, err, name, ended, count)
        if self.whole.read_bytes() != before:
            count.bad("the store was changed", "")
        self._judge_target(phase, target, count, "absent or whole")
        target.unlink(missing_ok=True)
        done = run(*self._reading(phase, "killed"), cwd=self.folder)
        if done.returncode != 0 or done.stderr:
            count.bad("not run again", done.stderr)
        elif target.exists():
            self._judge_target(phase, target, count, "whole when run again")

    def _judge_target(self, reader: str, target: Path, count: Count, good: str) -> None:
        if target.exists():
            if reader == "combine":
                whole = same_tallies(self.whole, target)
            else:
                whole = target.read_bytes() == self.expected[reader]
            if not whole:
                count.bad("a file that is not whole", str(target))
                return
        count.outcomes[good] += 1

    def _judge_end(self, code: int, err: str, name: str, ended: bool, count: Count) -> None:
        number = getattr(signal, name.split()[0])
        if "Traceback" in err:
            count.bad("traceback", err)
        elif code not in ((0, -number) if number == signal.SIGKILL else (0, 130, -number)):
            count.bad(f"exit code {code}", err)
        elif not ended:
            count.outcomes[f"ended with {code}"] += 1


def popen(words: tuple[str | Path, ...], folder: Path, options: dict[str, object]) -> subprocess.Popen[str]:
    """Start a command; it has no terminal, and inherits no ignored signal."""
    if not options:
        return start(*words, cwd=folder)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command(*words), cwd=folder, encoding="utf-8", **pipes, **options)  # type: ignore[call-overload, no-any-return]


def read_quietly(store: Path) -> list[object]:
    """Return the points of a store that may have been killed; none if there is no store yet."""
    if not store.exists() or store.stat().st_size == 0:
        return []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StoreWarning)
        return list(read_points(store))


def kinds() -> Iterator[tuple[str, str]]:
    """Yield phases and signals in turn, for ever: SIGKILL half of the time."""
    while True:
        for other in SIGNALS[1:]:
            for phase in (*SWEEPS, *READERS):
                yield phase, SIGNALS[0]
            for phase in (*SWEEPS, *READERS):
                yield phase, other


def kill_many(
    trial: Trial, number: int, wanted: Callable[[str, str], bool] = lambda phase, name: True
) -> dict[tuple[str, str], Count]:
    """Kill so often, every kind in turn."""
    counts: dict[tuple[str, str], Count] = {}
    for phase, name in kinds():
        if sum(c.kills for c in counts.values()) >= number:
            return counts
        if wanted(phase, name):
            trial.kill(phase, name, counts.setdefault((phase, name), Count()))
    raise AssertionError("kinds never end")


def report(counts: dict[tuple[str, str], Count]) -> str:
    """Return a table of what became of what."""
    lines = ["| killed in | by | kills | outcome |", "| --- | --- | --- | --- |"]
    for (phase, name), count in sorted(counts.items()):
        ended = f" ({count.ended_before} had ended)" if count.ended_before else ""
        said = ", ".join(f"{n} {what}" for what, n in count.outcomes.most_common())
        lines.append(f"| {phase} | {name} | {count.kills}{ended} | {said} |")
    lines += [f"  {phase}, {name}: {e}" for (phase, name), count in counts.items() for e in count.examples]
    return "\n".join(lines)


def main_script() -> int:
    """Run the long trial."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # a job in the background of a shell ignores some, and children inherit that
        signal.signal(getattr(signal, name), signal.SIG_DFL if name != "SIGINT" else signal.default_int_handler)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        began = time.monotonic()
        counts = kill_many(Trial(Path(folder), given.seed), given.kills)
        print(report(counts))
        print(f"\n{sum(c.kills for c in counts.values())} kills (seed {given.seed}), {time.monotonic() - began:,.0f} s")
    return int(any(count.examples for count in counts.values()))


if __name__ == "__main__":
    sys.exit(main_script())
