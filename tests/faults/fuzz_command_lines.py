"""Random command lines. Run: ``python -m tests.faults.fuzz_command_lines --count 500 --seed 1``."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import inspect
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.cases.command_line import environment
from tests.faults.child import attempt
from tests.faults.folder import make_folder
from tests.faults.hostile import NAMES, NUMBERS, TEXTS
from tests.faults.tally import counted, judge, script
from uepgpu.cli import main

__all__ = ["outcomes"]

Words = list[str]
TRAIN = "train digits --epochs 1 --replicas 1 --codes ew --deadline 1 --threads 1 --batch 512"
MULTIPLY = "multiply A.npy B.npy --code ew --gamma .4,.35,.25 --classes 3,3,3 --deadline .5 --realizations 3 --backend numpy"
LINES = (
    "sweep spec.toml --realizations 100 --seed 3 --out x --backend numpy",
    "sweep spec.toml --realizations 100 --store y.db --threads 2 --backend numpy",
    "design spec.toml --realizations 100 --seed 3 --out x --backend numpy",
    "sweep study.toml --realizations 3 --backend numpy",
    "plot store.db --kind loss -o x.png --at 0.5 --series EW",
    "plot store.db --kind probability",
    "plot store.db --x workers --y gamma --kind loss -o x.png",
    "best store.db --at 0.5 --by gamma --top 3",
    "best store.db --loss 0.5 --csv x.csv --series EW",
    "report store.db -o x.html --at 0.5",
    "export store.db --csv x.csv",
    "combine store.db -o new.db",
    "replay store.db EW 7",
    "replay store.db MDS 7 --json",
    "info",
    MULTIPLY,
    f"{MULTIPLY} -o C.npy --keep product --decoder lmmse",
    "multiply A.npy B.npy --code mds --paradigm cxr --blocks 3 --deadline inf --realizations 2 --backend numpy",
    TRAIN,
    f"{TRAIN} --out x --rate .1",
)
"""Good command lines, which are spoilt."""


def options_of(command: str) -> list[str]:
    """Return the options of a command, from the function that it calls."""
    function = getattr(importlib.import_module(f"uepgpu.cli.{command}"), command)
    named = [p for p in inspect.signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY]
    return [f"--{p.name.replace('_', '-')}" for p in named]


def command_line(rng: random.Random, good: list[Words]) -> Words:
    """Return a good command line with up to three things wrong or unusual, most of them values."""
    words = list(rng.choice(good))
    for _ in range(rng.choice((0, 1, 1, 1, 1, 2, 3))):
        hostile = rng.choice(rng.choice((NUMBERS, NUMBERS, TEXTS, NAMES, NAMES)))
        values = [i for i in range(1, len(words)) if not words[i].startswith("-")] or [len(words) - 1]
        what = rng.random()
        if what < 0.55:
            words[rng.choice(values)] = hostile
        elif what < 0.85 and words and words[0] in {line[0] for line in good}:
            option = rng.choice(options_of(words[0]) or ["--help"])
            if option in words[:-1]:
                words[words.index(option) + 1] = hostile
            else:
                words += [option, hostile]
        elif what < 0.9:
            words.insert(rng.randrange(1, len(words) + 1), hostile)
        elif what < 0.95 and len(words) > 1:
            del words[rng.randrange(len(words))]
        else:
            words[rng.randrange(len(words))] = hostile
    return words


def outcomes(count: int, seed: int, *, training: bool = True) -> Iterator[tuple[str, str, str]]:
    """Yield the outcome of each command line, its words, and what it said."""
    _load()
    rng = random.Random(seed)
    training = training and importlib.util.find_spec("torch") is not None
    good = [line.split() for line in LINES if training or not line.startswith("train")]
    with tempfile.TemporaryDirectory() as place:
        template = make_folder(Path(place) / "template")
        if training:  # compiles once for all
            subprocess.run(
                [sys.executable, "-m", "uepgpu", *TRAIN.split()], cwd=place, env=environment(), capture_output=True, check=True
            )
        for _ in range(count):
            words = command_line(rng, good)

            def run(words: Words = words) -> int:
                sys.argv = ["uepgpu", *words]
                main()
                return 0

            found = attempt(run, template, Path(place) / "case", seconds=120)
            yield judge(found), " ".join(word[:100] for word in words), found.err or found.out


def _load() -> None:
    """Load what commands load when they run, so that every process has it already."""
    for command in ("combine", "design", "export", "info", "multiply", "plot", "replay", "report", "sweep", "train"):
        with contextlib.suppress(ImportError):  # PyTorch is no part of every installation
            importlib.import_module(f"uepgpu.commands.{command}")


if __name__ == "__main__":
    script(lambda folder, given: [counted("random command lines", outcomes(given.count, given.seed))], count=500, seed=1)
