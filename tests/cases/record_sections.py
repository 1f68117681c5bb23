"""Sections of a record that end in every way a section can."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from bench.gpu.sections import Section


def _section(name: str, limit: float = 60.0, *, alone: bool = False, shard: int | None = None) -> Section:
    return Section(name.capitalize(), f"tests.cases.record_sections:{name}", limit, shard, alone)


def ends(notes, shard):
    notes.say("a figure", shard=shard, rate=1 / 3)
    notes.say("a check", ok=True)


def raises(notes):
    with notes.step("a step"):
        raise ValueError("of the step")
    notes.say("after it", ok=True)
    raise KeyError("of the section")


def crashes(notes):
    print("last words", file=sys.stderr, flush=True)
    os._exit(3)


def hangs(notes):
    """Write a row, half of one, and the number of a process of its own; then wait."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    notes.say("began", child=child.pid)
    with notes.file.open("a") as file:
        file.write('{"section": "ha')
    time.sleep(600)


ENDS = _section("ends", shard=4)
RAISES = _section("raises")
CRASHES = _section("crashes")
LAST = _section("ends", shard=5, alone=True)


def hanging(limit: float) -> Section:
    return _section("hangs", limit)
